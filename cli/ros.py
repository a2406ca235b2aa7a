"""Makes `import rclpy` work: the genuine one where it is installed, else pocketros."""

from __future__ import annotations

import os
import shutil
import sys

from aislewise.resources import interfaces_dir


def activate(mode: str | None = None) -> str:
    """Which ROS is active afterwards. mode overrides POCKETROS=auto|always|never."""
    import pocketros

    return str(pocketros.activate(interface_paths=[interfaces_dir()], mode=mode))


def prepare_verb() -> None:
    """Before a verb that looks into a ROS graph: where ROS 2 is installed, its own `ros2` takes over."""
    if activate() == "rclpy" and shutil.which("ros2"):
        sys.stdout.flush()
        os.execvp("ros2", ["ros2", *sys.argv[1:]])
