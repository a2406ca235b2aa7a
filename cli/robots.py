"""Executable `robots`: the camera, lidar and fusion nodes of N robots in one process.

ROS 2's YAML launch format has no loops, so the number of robots is a parameter of this executable.
"""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.node import Node

from aislewise.node import AislewiseNode, run
from aislewise.settings import check, setting
from fusion.fusion_node import FusionNode
from perception.camera_node import CameraNode
from perception.lidar_node import LidarNode


@dataclass(frozen=True)
class RobotsConfig:
    """Parameters of the host."""

    robots: int = setting(1, "number of robots: robot_1 ... robot_N", low=0, high=64, live=False)
    prefix: str = setting("robot_", "their names: this and a number", live=False)

    def __post_init__(self) -> None:
        check(self)


def robot_nodes(robot: str) -> list[Node]:
    """The nodes of one robot in its namespace, REP-135."""
    return [
        CameraNode(namespace=f"/{robot}"), LidarNode(namespace=f"/{robot}"), FusionNode(namespace=f"/{robot}"),
    ]


def make() -> list[Node]:
    host = AislewiseNode("robots")
    config = host.config(RobotsConfig)
    names = [f"{config.prefix}{i}" for i in range(1, config.robots + 1)]
    return [host, *(node for name in names for node in robot_nodes(name))]


def main(args: list[str] | None = None) -> int:
    return run(make, args, threads=2)
