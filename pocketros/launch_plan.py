"""What a launch comes to: a printable list of steps."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Resolver = Callable[[str, str], Callable[..., Any]]
"""(package, executable) -> its main function."""


class LaunchError(ValueError):
    """A launch file that cannot be run; the message names the file and the entry."""


@dataclass(frozen=True, slots=True)
class NodeStep:
    """Start executable `executable` of package `package`, `delay_s` after the launch."""

    package: str
    executable: str
    name: str = ""
    namespace: str = ""
    argv: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    respawn: bool = False
    respawn_delay_s: float = 0.0
    delay_s: float = 0.0
    where: str = ""

    @property
    def label(self) -> str:
        space = self.namespace.rstrip("/")
        return f"{space}/{self.name or self.executable}".lstrip("/")

    def __str__(self) -> str:
        extra = " (respawn)" if self.respawn else ""
        return f"node {self.label}: {self.package} {self.executable} {shlex.join(self.argv)}{extra}"


@dataclass(frozen=True, slots=True)
class ProcessStep:
    """Start a command as a process of its own."""

    command: tuple[str, ...]
    name: str = ""
    cwd: str = ""
    env: tuple[tuple[str, str], ...] = ()
    respawn: bool = False
    respawn_delay_s: float = 0.0
    delay_s: float = 0.0
    where: str = ""

    @property
    def label(self) -> str:
        return self.name or Path(self.command[0]).name

    def __str__(self) -> str:
        return f"process {self.label}: {shlex.join(self.command)}"


@dataclass(frozen=True, slots=True)
class LogStep:
    message: str
    delay_s: float = 0.0

    def __str__(self) -> str:
        return f"log: {self.message}"


@dataclass(frozen=True, slots=True)
class ShutdownStep:
    reason: str = ""
    delay_s: float = 0.0

    def __str__(self) -> str:
        return f"shutdown: {self.reason}"


Step = NodeStep | ProcessStep | LogStep | ShutdownStep


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """Steps in order of start; print it to see what a launch file comes to."""

    path: Path
    steps: tuple[Step, ...]
    arguments: tuple[tuple[str, str], ...]

    @property
    def nodes(self) -> tuple[NodeStep, ...]:
        return tuple(step for step in self.steps if isinstance(step, NodeStep))

    def __str__(self) -> str:
        lines = [f"{self.path.name}: {' '.join(f'{k}:={v}' for k, v in self.arguments)}".rstrip()]
        for step in self.steps:
            after = f"after {step.delay_s:g} s: " if step.delay_s else ""
            lines.append(f"  {after}{step}")
        return "\n".join(lines)
