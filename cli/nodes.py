"""The executables of `ros2 run aislewise ...`, which run without ROS 2 as well.

One process, one node: without ROS 2 it is met over DDS, if the extra `dds` is installed and
POCKETROS_TRANSPORT does not say otherwise.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable

MODULES = {
    "camera_node": "perception.camera_node",
    "lidar_node": "perception.lidar_node",
    "instruction_node": "cli.instruction",
    "fusion_node": "fusion.fusion_node",
    "world_node": "fusion.world_node",
    "planner_node": "planning.planner_node",
    "nav2_adapter": "planning.nav2_node",
    "robots": "cli.robots",
    "sim_node": "sim.sim_node",
}

Main = Callable[[list[str] | None], int]


def main_of(name: str) -> Main:
    """The `main` of an executable, on whichever ROS there is."""

    def main(args: list[str] | None = None) -> int:
        from cli.ros import activate

        if activate() == "pocketros" and importlib.util.find_spec("cyclonedds") is not None:
            os.environ.setdefault("POCKETROS_TRANSPORT", "dds")
        return int(importlib.import_module(MODULES[name]).main(args))

    return main


camera_node, lidar_node, instruction_node = (main_of(n) for n in ("camera_node", "lidar_node", "instruction_node"))
fusion_node, world_node, planner_node = (main_of(n) for n in ("fusion_node", "world_node", "planner_node"))
robots, sim_node, nav2_adapter = (main_of(n) for n in ("robots", "sim_node", "nav2_adapter"))
