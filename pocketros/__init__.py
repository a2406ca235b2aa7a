"""pocketros: rclpy's API where ROS 2 is not installed.

`activate()` makes `import rclpy`, `import sensor_msgs.msg` and so on work, either by leaving the
genuine ROS 2 installation in place or by serving this package under those names. See README.md.
"""

from __future__ import annotations

from ._activate import activate, active

__all__ = ["activate", "active"]
