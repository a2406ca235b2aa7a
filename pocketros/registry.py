"""The registry of interface packages.

Standard packages come from rosbags' type stores; the folder `definitions/` holds the text of what
rosbags lacks (services, vision_msgs, default values, Jazzy amendments).
"""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .definitions import (
    Constant,
    DefinitionError,
    Field,
    FieldType,
    MessageSpec,
    ServiceSpec,
    parse_message,
    parse_service,
)


class Registry:
    """All interface packages in reach: the standard ones and the folders added by the caller.

    Definitions are parsed when first asked for. Later additions win over earlier ones only for
    packages that were not known before; adding one package from two folders is an error.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._files: dict[str, Path] = {}
        self._folders: dict[str, Path] = {}
        self._specs: dict[str, MessageSpec | ServiceSpec] = {}
        self._standard = _standard_names()
        self._packages = frozenset(name.split("/", 1)[0] for name in self._standard)
        for folder in sorted(Path(__file__).with_name("definitions").iterdir()):
            self._add_files(folder.name, folder)

    def add_package(self, folder: str | Path) -> str:
        """Add a ROS interface package (package.xml, msg/*.msg, srv/*.srv); returns its name."""
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
        for kind in ("msg", "srv"):
            for path in sorted((folder / kind).glob(f"*.{kind}")):
                self._files[f"{package}/{kind}/{path.stem}"] = path
        self._packages |= {package}

    def packages(self) -> frozenset[str]:
        return self._packages

    def names(self, package: str, kind: str) -> list[str]:
        """Short names of the package's messages (`kind` "msg") or services ("srv"), sorted."""
        prefix = f"{package}/{kind}/"
        found = {n for n in (*self._files, *self._standard) if n.startswith(prefix)}
        return sorted(name[len(prefix) :] for name in found)

    def message(self, name: str) -> MessageSpec:
        """Spec of `pkg/msg/Name`, or of `pkg/srv/Name_Request` and `_Response`."""
        if "/srv/" in name:
            service, _, half = name.rpartition("_")
            if half in ("Request", "Response"):
                spec = self.service(service)
                return spec.request if half == "Request" else spec.response
        found = self._load(name)
        if not isinstance(found, MessageSpec):
            raise DefinitionError(f"{name!r} is no message")
        return found

    def service(self, name: str) -> ServiceSpec:
        found = self._load(name)
        if not isinstance(found, ServiceSpec):
            raise DefinitionError(f"{name!r} is no service")
        return found

    def _load(self, name: str) -> MessageSpec | ServiceSpec:
        with self._lock:
            if name not in self._specs:
                if path := self._files.get(name):
                    parse = parse_service if path.suffix == ".srv" else parse_message
                    self._specs[name] = parse(path.read_text(encoding="utf-8"), name)
                elif name in self._standard:
                    self._specs[name] = _standard_spec(name)
                else:
                    raise DefinitionError(f"unknown interface {name!r}")
            return self._specs[name]


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
