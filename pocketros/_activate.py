"""Choosing between the genuine rclpy and pocketros, and serving the latter to `import`."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .registry import Registry

MODES = ("auto", "always", "never")
_RCLPY = Path(__file__).with_name("rclpy")


def activate(interface_paths: Iterable[str | Path] = (), mode: str | None = None) -> str:
    """Make rclpy and the interface packages importable; returns "pocketros" or "rclpy".

    `interface_paths` are ROS interface package folders (package.xml, msg/*.msg, srv/*.srv,
    action/*.action); the genuine installation brings its own, so only pocketros uses them.
    `mode` (default: the environment's POCKETROS, else "auto"): "auto" takes the genuine rclpy where it is installed,
    "always" takes pocketros, "never" takes the genuine one and raises ImportError without it.
    May be called again, also to add folders; asking then for the other implementation raises
    RuntimeError, because modules already imported cannot be exchanged.
    """
    mode = mode or os.environ.get("POCKETROS") or "auto"
    if mode not in MODES:
        raise ValueError(f"POCKETROS must be one of {', '.join(MODES)}, not {mode!r}")
    current = active()
    if current is None:
        current = _choose(mode)
    elif mode == ("never" if current == "pocketros" else "always"):
        raise RuntimeError(f"mode {mode!r} was asked for, but {current} is already active")
    if current == "pocketros":
        from .messages import registry

        for path in interface_paths:
            registry.add_package(path)
    return current


def active() -> str | None:
    """ "pocketros", "rclpy" (the genuine one, already imported) or None (nothing chosen yet)."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return "pocketros"
    return "rclpy" if "rclpy" in sys.modules else None


def _choose(mode: str) -> str:
    genuine = importlib.util.find_spec("rclpy") is not None
    if mode == "never" and not genuine:
        raise ImportError("POCKETROS=never asks for the genuine rclpy, which is not installed")
    if genuine and mode != "always":
        return "rclpy"
    from .messages import interface_module, registry  # before the finder is asked for anything

    sys.meta_path.insert(0, _Finder(registry, interface_module))
    return "pocketros"


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `rclpy` in this package's folder and interface packages in the registry."""

    def __init__(self, registry: Registry, make_module: Callable[[str], ModuleType]) -> None:
        self._registry = registry
        self._make_module = make_module

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == "rclpy":
            return importlib.util.spec_from_file_location(
                fullname, _RCLPY / "__init__.py", submodule_search_locations=[str(_RCLPY)]
            )
        package, _, kind = fullname.partition(".")
        if kind not in ("", "msg", "srv", "action"):
            return None
        if package not in self._registry.packages():
            return None
        if kind and not self._registry.names(package, kind):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=not kind)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return self._make_module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """The module came complete from create_module."""
