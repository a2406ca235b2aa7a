"""ros2's command line verbs, for graphs without a ROS 2 installation: `python -m pocketros topic list`.

Words, options and output follow ros2cli and rosbag2 (Jazzy), so that habits and scripts carry over.
"""
