"""Makes `import rclpy` work: the genuine one where it is installed, else pocketros."""

from __future__ import annotations

from aislewise.resources import interfaces_dir


def activate(mode: str | None = None) -> str:
    """Which ROS is active afterwards. mode overrides POCKETROS=auto|always|never."""
    import pocketros

    return str(pocketros.activate(interface_paths=[interfaces_dir()], mode=mode))
