"""Executable `robots`: the camera, lidar and fusion nodes of N robots in one process.

ROS 2's YAML launch format has no loops, so the number of robots is a parameter of this executable.
"""

from __future__ import annotations

import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node

from fusion.fusion_node import FusionNode
from perception.camera_node import CameraNode
from perception.lidar_node import LidarNode


def robot_nodes(robot: str) -> list[Node]:
    """The nodes of one robot in its namespace, REP-135."""
    return [
        CameraNode(namespace=f"/{robot}"), LidarNode(namespace=f"/{robot}"), FusionNode(namespace=f"/{robot}"),
    ]


def main(args: list[str] | None = None) -> int:
    rclpy.init(args=args)
    host = Node("robots")
    count = int(host.declare_parameter("robots", 1).value)
    nodes = [node for i in range(1, count + 1) for node in robot_nodes(f"robot_{i}")]
    executor = MultiThreadedExecutor(num_threads=2)
    for node in [host, *nodes]:
        executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        for node in [host, *nodes]:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
