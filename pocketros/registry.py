"""The registry of interface packages.

Standard packages come from rosbags' type stores; the folder `definitions/` holds the text of what
rosbags lacks (services, vision_msgs, default values, Jazzy amendments).
"""

from __future__ import annotations

import re
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .definitions import (
    ActionSpec,
    Constant,
    DefinitionError,
    Field,
    FieldType,
    MessageSpec,
    ServiceSpec,
    parse_action,
    parse_message,
    parse_service,
)

Spec = MessageSpec | ServiceSpec | ActionSpec
KINDS = ("msg", "srv", "action")
_PART = re.compile(r"(_Goal|_Result|_Feedback|_FeedbackMessage|(_SendGoal|_GetResult)?(_Request|_Response)?)$")

SEPARATOR = "=" * 80
"""Stands between the definitions in `ros2msg` text."""


class Registry:
    """All interface packages in reach: the standard ones and the folders added by the caller.

    Definitions are parsed when first asked for. Later additions win over earlier ones only for
    packages that were not known before; adding one package from two folders is an error.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._files: dict[str, Path] = {}
        self._folders: dict[str, Path] = {}
        self._specs: dict[str, Spec] = {}
        self._standard = _standard_names()
        self._packages = frozenset(name.split("/", 1)[0] for name in self._standard)
        for folder in sorted(Path(__file__).with_name("definitions").iterdir()):
            self._add_files(folder.name, folder)

    def add_package(self, folder: str | Path) -> str:
        """Add a ROS interface package: package.xml, msg/*.msg, srv/*.srv, action/*.action; returns its name."""
        folder = Path(folder).resolve()
        manifest = folder / "package.xml"
        if not manifest.is_file():
            raise DefinitionError(f"{folder} is no interface package: it has no package.xml")
        name = (ElementTree.parse(manifest).findtext("name") or "").strip()
        if not name.isidentifier():
            raise DefinitionError(f"{manifest}: <name> {name!r} is not a package name")
        with self._lock:
            if self._folders.get(name) == folder:
                return name
            if name in self._packages:
                raise DefinitionError(f"package {name!r} is already known, asked to add {folder}")
            self._folders[name] = folder
            self._add_files(name, folder)
        return name

    def _add_files(self, package: str, folder: Path) -> None:
        for kind in KINDS:
            for path in sorted((folder / kind).glob(f"*.{kind}")):
                self._files[f"{package}/{kind}/{path.stem}"] = path
        self._packages |= {package}

    def add_definition(self, name: str, text: str) -> None:
        """Learn a message from `ros2msg` text, as bags carry it: the type, then all it contains.

        Types known already stay as they are.
        """
        first, *others = text.split(f"{SEPARATOR}\nMSG: ")
        found = {name: first}
        for part in others:
            short, _, body = part.partition("\n")
            found[short.strip().replace("/msg/", "/").replace("/", "/msg/")] = body
        with self._lock:
            specs = {n: parse_message(t, n) for n, t in found.items() if not self._is_known(n)}
            self._specs |= specs

    def _is_known(self, name: str) -> bool:
        return name in self._specs or name in self._files or name in self._standard

    def packages(self) -> frozenset[str]:
        return self._packages

    def names(self, package: str, kind: str) -> list[str]:
        """Short names of the package's messages, services or actions (`kind`: one of KINDS), sorted."""
        prefix = f"{package}/{kind}/"
        found = {n for n in (*self._files, *self._standard) if n.startswith(prefix)}
        return sorted(name[len(prefix) :] for name in found)

    def message(self, name: str) -> MessageSpec:
        """Spec of `pkg/msg/Name`, `pkg/srv/Name_Request`, `pkg/action/Name_Goal`..."""
        found = self._load(name)
        if not isinstance(found, MessageSpec):
            raise DefinitionError(f"{name!r} is no message")
        return found

    def service(self, name: str) -> ServiceSpec:
        """Spec of `pkg/srv/Name`, or of an action's `pkg/action/Name_SendGoal` or `_GetResult`."""
        found = self._load(name)
        if not isinstance(found, ServiceSpec):
            raise DefinitionError(f"{name!r} is no service")
        return found

    def action(self, name: str) -> ActionSpec:
        found = self._load(name)
        if not isinstance(found, ActionSpec):
            raise DefinitionError(f"{name!r} is no action")
        return found

    def _load(self, name: str) -> Spec:
        with self._lock:
            if name not in self._specs:
                whole = name if name in self._files else _whole(name)
                if path := self._files.get(whole):
                    self._specs.update((spec.name, spec) for spec in _read(path, whole))
                elif name in self._standard:
                    self._specs[name] = _standard_spec(name)
            if name not in self._specs:
                raise DefinitionError(f"unknown interface {name!r}")
            return self._specs[name]


def _whole(name: str) -> str:
    """The service or action that `name` is part of; a message is whole."""
    return name if "/msg/" in name else _PART.sub("", name)


def _read(path: Path, name: str) -> Iterable[Spec]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".msg":
        return [parse_message(text, name)]
    return (parse_service if path.suffix == ".srv" else parse_action)(text, name).parts()


def _standard_store() -> Any:
    """Field definitions of rosbags' newest ROS 2 store up to Jazzy: {name: (constants, fields)}.

    Older rosbags end with Iron; `definitions/` carries what Jazzy changed since, so both agree.
    """
    from rosbags.typesys import Stores, get_typestore

    names = ("ROS2_JAZZY", "ROS2_IRON")
    choice = next((Stores[name] for name in names if name in Stores.__members__), None)
    if choice is None:
        raise ImportError(f"the installed rosbags has none of the type stores {names}")
    store: Any = get_typestore(choice)
    return getattr(store, "fielddefs", None) or store.FIELDDEFS  # renamed in rosbags 0.10


_store_cache: Any = None


def _standard_names() -> frozenset[str]:
    global _store_cache
    if _store_cache is None:
        _store_cache = _standard_store()
    return frozenset(_store_cache)


def _standard_spec(name: str) -> MessageSpec:
    constants, fields = _store_cache[name]
    return MessageSpec(
        name,
        tuple(
            Field(field.rstrip("_"), _from_rosbags(desc))
            for field, desc in fields
            if field != "structure_needs_at_least_one_member"
        ),
        tuple(
            Constant(n, base, bytes([value]) if base == "byte" else value)
            for n, base, value in constants
        ),
    )


def _from_rosbags(desc: Any) -> FieldType:
    """Convert a rosbags field descriptor (node type, payload) into a FieldType."""
    node, payload = int(desc[0]), desc[1]
    if node == 1:  # BASE: (primitive, string bound)
        return FieldType(payload[0], string_bound=payload[1])
    if node == 2:  # NAME
        return FieldType(payload)
    element, size = payload
    inner = _from_rosbags(element)
    return FieldType(inner.base, "fixed" if node == 3 else "sequence", size, inner.string_bound)


def walk(registry: Registry, name: str) -> Iterable[MessageSpec]:
    """The spec of `name` and of all it contains, each once, depth first, `name` first."""
    seen: dict[str, MessageSpec] = {}

    def visit(current: str) -> None:
        if current not in seen:
            seen[current] = registry.message(current)
            for dependency in seen[current].dependencies:
                visit(dependency)

    visit(name)
    return seen.values()
