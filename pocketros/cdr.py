"""Messages to and from CDR bytes (XCDR1 little-endian, as ROS 2 sends them), through rosbags.

rosbags wants numpy arrays and integer bytes where rclpy's classes hold array.array, bytes or
memoryviews, so each type that contains any gets a generated pair of adapters; buffers are viewed,
never converted element by element. A type without such fields is handed over as it is.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from .definitions import DefinitionError, Field, MessageSpec
from .field_checks import DTYPES
from .messages import message_class, registry, type_name
from .registry import walk

_SEPARATOR = "=" * 80
_PLACEHOLDER = "structure_needs_at_least_one_member"  # rosidl's filler for empty messages


class CdrError(ValueError):
    """Bytes that are no valid CDR of the type, or a message that CDR cannot carry."""


def serialize(message: Any) -> bytes:
    """CDR bytes of a message, with the 4-byte encapsulation header."""
    return bytes(encode(message))


def encode(message: Any) -> memoryview:
    """Like `serialize`, without a last copy: read-only memory of its own."""
    name = type_name(type(message))
    codec = _codec(name)
    try:
        return codec.store.serialize_cdr(codec.to_wire(message), name)  # type: ignore[no-any-return]
    except CdrError:
        raise
    except Exception as error:
        raise CdrError(f"cannot serialise {name}: {error}") from error


def deserialize(data: bytes | bytearray | memoryview, message_type: type) -> Any:
    """Message of `message_type` from CDR bytes. Numeric arrays are read-only views of `data`."""
    name = type_name(message_type)
    if len(data) < 4 or bytes(data[:2]) not in (b"\0\0", b"\0\1"):
        raise CdrError(f"{name}: no CDR encapsulation header in {len(data)} bytes")
    try:
        return _codec(name).store.deserialize_cdr(memoryview(data), name)
    except Exception as error:
        raise CdrError(f"cannot deserialise {name}: {error}") from error


def type_hash(name: str) -> str:
    """`RIHS01_...` of a message type (REP-2016), "" where it is unknown or cannot be hashed.

    Two sides of a topic mean the same type if their hashes agree.
    """
    try:
        return _known_hash(name)
    except (CdrError, DefinitionError, KeyError):  # not cached: the definition may come later
        return ""


@functools.cache
def _known_hash(name: str) -> str:
    return str(_codec(name).store.hash_rihs01(name))


def message_definition(name: str) -> str:
    """Definition text of a type and all it contains, as MCAP's `ros2msg` schemas want it."""
    specs = list(walk(registry, name))
    parts = [_text(specs[0])]
    parts += [f"MSG: {s.name.replace('/msg/', '/')}\n{_text(s)}" for s in specs[1:]]
    return f"{_SEPARATOR}\n".join(parts)


def _text(spec: MessageSpec) -> str:
    lines = []
    for constant in spec.constants:
        value = constant.value
        if isinstance(value, bytes):
            value = value[0]
        elif isinstance(value, bool):
            value = str(value).lower()
        elif isinstance(value, str) and any(char in value for char in "#\"'"):
            value = _literal(value)
        lines.append(f"{constant.base} {constant.name}={value}\n")
    lines += [f"{field.type} {field.name}{_default_text(field)}\n" for field in spec.fields]
    return "".join(lines)


def _default_text(field: Field) -> str:
    value = field.default
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " [" + ", ".join(_literal(item) for item in value) + "]"
    return " " + _literal(value)


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return str(value).lower()
    return str(value[0] if isinstance(value, bytes) else value)


class _Codec:
    """rosbags' store, shared by all types, and the adapter of one type towards it."""

    __slots__ = ("store", "to_wire")

    def __init__(self, store: Any, to_wire: Callable[[Any], Any]) -> None:
        self.store = store
        self.to_wire = to_wire


_lock = threading.RLock()
_codecs: dict[str, _Codec] = {}
_shared_store: Any = None


def _codec(name: str) -> _Codec:
    found = _codecs.get(name)
    if found is None:
        with _lock:
            spec = registry.message(name)
            for part in spec.dependencies:  # an adapter is made of those of its parts
                _codec(part)
            if name not in _codecs:
                _codecs[name] = _make_codec(spec)
            found = _codecs[name]
    return found


def _make_codec(spec: MessageSpec) -> _Codec:
    global _shared_store
    if _shared_store is None:
        from rosbags.typesys import Stores, get_typestore

        _shared_store = get_typestore(Stores.EMPTY)
    for field in spec.fields:
        if field.type.base == "wstring":
            raise CdrError(f"{spec.name}: wstring fields cannot be serialised")
    fields = [(f.attribute, _to_rosbags(f)) for f in spec.fields]
    _shared_store.register({spec.name: ([], fields)})
    _shared_store.types[spec.name] = _factory(spec)
    return _Codec(_shared_store, _to_wire(spec))


def _to_rosbags(field: Field) -> Any:
    from rosbags.interfaces import Nodetype

    kind = field.type
    base = "uint8" if kind.base == "char" else kind.base  # as rosidl has it, also in type hashes
    node = Nodetype.NAME if kind.is_message else Nodetype.BASE
    element = (node, base if kind.is_message else (base, kind.string_bound))
    if not kind.array:
        return element
    node = Nodetype.ARRAY if kind.array == "fixed" else Nodetype.SEQUENCE
    return node, (element, kind.size)


def _passes_through(spec: MessageSpec) -> bool:
    """True where rosbags can read the message object itself."""
    return bool(spec.fields) and not any(_needs_adapter(field) for field in spec.fields)


def _needs_adapter(field: Field) -> bool:
    kind = field.type
    if kind.is_message:
        return not _passes_through(registry.message(kind.base))
    return kind.is_numeric_array or kind.base == "byte" or (bool(kind.array) and kind.base == "bool")


def _to_wire(spec: MessageSpec) -> Callable[[Any], Any]:
    """Function from our message to an object whose attributes rosbags can pack."""
    if _passes_through(spec):
        return lambda message: message
    names = [f.attribute for f in spec.fields] or [_PLACEHOLDER]
    wire = type("_Wire", (), {"__slots__": tuple(names)})
    scope: dict[str, Any] = {"_wire": wire, "_view": _view, "_numpy": np}
    lines = ["def to_wire(_m):", "    _w = _wire()"]
    for index, field in enumerate(spec.fields):
        value = f"_m._{field.attribute}"
        kind = field.type
        if _needs_adapter(field):
            if kind.is_message:
                scope[f"_f{index}"] = _codecs[kind.base].to_wire
                value = f"[_f{index}(_v) for _v in {value}]" if kind.array else f"_f{index}({value})"
            elif kind.is_numeric_array:
                scope[f"_f{index}"] = DTYPES[kind.base]
                value = f"_view({value}, _f{index})"
            elif kind.base == "byte":
                packed = f"_numpy.frombuffer(b''.join({value}), _numpy.uint8)"
                value = packed if kind.array else f"{value}[0]"
            else:
                value = f"_numpy.array({value}, bool)"
        lines.append(f"    _w.{field.attribute} = {value}")
    if not spec.fields:
        lines.append(f"    _w.{_PLACEHOLDER} = 0")
    exec("\n".join([*lines, "    return _w"]), scope)
    return scope["to_wire"]  # type: ignore[no-any-return]


def _view(value: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value)
    if not len(value):
        return np.empty(0, dtype)
    return np.frombuffer(value, dtype)


def _factory(spec: MessageSpec) -> Callable[..., Any]:
    """Function from rosbags' unpacked field values, in order, to our message."""
    cls = message_class(spec.name)
    names = [f.attribute for f in spec.fields]
    scope: dict[str, Any] = {"_new": cls.__new__, "_cls": cls}
    lines = [f"def make({', '.join(names) or '_'}):", "    _m = _new(_cls)"]
    for field, name in zip(spec.fields, names, strict=True):
        value = name
        if field.type.base == "byte":
            many = f"[bytes((_v,)) for _v in {name}.view('u1').tolist()]"  # rosbags: int8
            value = many if field.type.array else f"bytes(({name} & 255,))"
        elif field.type.base == "bool" and field.type.array:
            value = f"{name}.tolist()"
        lines.append(f"    _m._{name} = {value}")
    exec("\n".join([*lines, "    return _m"]), scope)
    return scope["make"]  # type: ignore[no-any-return]
