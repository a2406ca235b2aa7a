"""Reading one entry of a launch file: its attributes, with substitutions performed.

Attributes are as strict as `ros2 launch` reads them: what must be a string is not taken for one silently.
"""

from __future__ import annotations

import math
import os
import shlex
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import arguments
from .launch_plan import LaunchError
from .launch_substitutions import LOGIC, SubstitutionError, as_bool, substitute


@dataclass
class Scope:
    """What groups save and restore."""

    variables: dict[str, str]
    env: dict[str, str]
    namespace: str = ""
    parameters: list[str] = field(default_factory=list)
    remaps: list[str] = field(default_factory=list)
    delay_s: float = 0.0
    file: Path = Path()
    depth: int = 0


class Entity:
    """One entry's attributes, read with substitutions performed, each at most once."""

    def __init__(self, kind: str, body: Any, scope: Scope, where: str) -> None:
        self.where = where
        self._scope = scope
        self._children = body if isinstance(body, list) else None
        body = {} if body is None or isinstance(body, list) else body
        if not isinstance(body, dict):
            raise LaunchError(f"{where}: expected attributes, not {body!r}")
        self._body: dict[str, Any] = dict(body)

    def condition(self) -> bool:
        if "if" in self._body and "unless" in self._body:
            raise LaunchError(f"{self.where}: has both 'if' and 'unless'")
        if "if" in self._body:
            return as_bool(self.text("if"))
        return "unless" not in self._body or not as_bool(self.text("unless"))

    def finish(self) -> None:
        if self._body:
            raise LaunchError(f"{self.where}: unknown attribute {next(iter(self._body))!r}")

    def substitute(self, value: str) -> str:
        return substitute(value, _handlers(self._scope))

    def text(self, name: str, default: str | None = None) -> str:
        value = self.optional_text(name)
        if value is None:
            if default is None:
                raise LaunchError(f"{self.where}: missing attribute {name!r}")
            return default
        return value

    def optional_text(self, name: str) -> str | None:
        value = self._body.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, str):
            raise LaunchError(f"{self.where}: {name!r} must be a string, quote {value!r}")
        return self.substitute(value)

    def boolean(self, name: str, default: bool) -> bool:
        value = self._body.pop(name, default)
        return as_bool(self.substitute(value)) if isinstance(value, str) else bool(value)

    def number(self, name: str, default: float | None = None) -> float:
        value = self._body.pop(name, default)
        if value is None:
            raise LaunchError(f"{self.where}: missing attribute {name!r}")
        try:
            number = float(self.substitute(value) if isinstance(value, str) else value)
        except (TypeError, ValueError):
            number = math.nan
        if not 0.0 <= number < math.inf:
            raise LaunchError(f"{self.where}: {name!r} must be a number of at least 0, not {value!r}")
        return number

    def words(self, name: str) -> list[str]:
        return shlex.split(self.text(name, ""))

    def value(self, name: str) -> Any:
        """An attribute of any type; the text of strings is typed after substitution."""
        if name not in self._body:
            raise LaunchError(f"{self.where}: missing attribute {name!r}")
        raw = self._body.pop(name)
        if isinstance(raw, str):
            return arguments.parse_value(self.substitute(raw))
        if isinstance(raw, list):
            raw = [self.substitute(item) if isinstance(item, str) else item for item in raw]
        try:
            return arguments.check_value(raw)
        except ValueError as error:
            raise LaunchError(f"{self.where}: {error}") from error

    def has(self, name: str) -> bool:
        return name in self._body

    def children(self, name: str) -> list[Entity]:
        """Sub-entries such as `param`; each must be read completely by the caller."""
        items = self._body.pop(name, [])
        if not isinstance(items, list):
            raise LaunchError(f"{self.where}: {name!r} must be a list")
        return [
            Entity(name, item, self._scope, f"{self.where} {name}[{index}]")
            for index, item in enumerate(items)
        ]

    def nested(self) -> Any:
        if self._children is not None:
            return self._children
        if "children" not in self._body:
            raise LaunchError(f"{self.where}: missing 'children'")
        return self._body.pop("children")

    def environment(self, scope: Scope) -> tuple[tuple[str, str], ...]:
        """Variables that differ from this process's environment, the entry's own included."""
        own = {child.text("name"): child.text("value") for child in self.children("env")}
        merged = {**scope.env, **own}
        return tuple(sorted((k, v) for k, v in merged.items() if os.environ.get(k) != v))


def _handlers(scope: Scope) -> dict[str, Callable[[list[str]], str]]:
    def lookup(table: dict[str, str], what: str, words: list[str]) -> str:
        if not 1 <= len(words) <= 2:
            raise SubstitutionError("takes a name and at most one default")
        if words[0] in table:
            return table[words[0]]
        if len(words) == 1:
            raise SubstitutionError(f"{what} {words[0]!r} is not set")
        return words[1]

    return {
        **LOGIC,
        "var": lambda words: lookup(scope.variables, "variable", words),
        "env": lambda words: lookup(scope.env, "environment variable", words),
        "dirname": lambda words: str(scope.file.parent),
        "filename": lambda words: str(scope.file),
        "find-pkg-share": lambda words: str(_find_share(" ".join(words), scope.file)),
    }


def _find_share(package: str, file: Path) -> Path:
    """Share folder of a package: in the ROS prefixes, this Python's prefix, or its source tree."""
    prefixes = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]
    for prefix in prefixes:
        share = Path(prefix) / "share" / package
        if (share / "package.xml").is_file():
            return share
    for parent in file.parents:
        manifest = parent / "package.xml"
        if manifest.is_file():
            if (ElementTree.parse(manifest).findtext("name") or "").strip() == package:
                return parent
    raise SubstitutionError(f"package {package!r} is not installed, nor the source of {file.name}")
