"""YAML values into messages, for `topic pub` and `service call`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import yaml

from pocketros.definitions import FLOATS, INTEGER_LIMITS, STRINGS, FieldType
from pocketros.messages import message_class, type_name

from .errors import VerbError

Stamp = Callable[[Any], None]


def parse(text: str) -> dict[str, Any]:
    """The mapping that a command line argument spells."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise VerbError(f"The passed value is no valid YAML: {' '.join(str(error).split())}", 2) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise VerbError("The passed value needs to be a dictionary in YAML format", 2)
    return values


def fill(message: Any, values: dict[str, Any]) -> list[Stamp]:
    """Set the fields of a message; VerbError names the field that cannot be set.

    As with ros2, a Header may be given as `auto` and a Time as `now`: the setters returned put the
    current time there, each time they are called.
    """
    stamps: list[Stamp] = []
    _fill(message, values, "", stamps)
    return stamps


def _fill(message: Any, values: Any, path: str, stamps: list[Stamp]) -> None:
    if not isinstance(values, dict):
        _fail(path, f"{values!r} is expected to be a dictionary but is a {type(values).__name__}")
    fields = {field.attribute: field.type for field in message._SPEC.fields}
    for name, value in values.items():
        where = f"{path}.{name}" if path else str(name)
        if name not in fields:
            _fail(where, f"{type_name(type(message))} has no such field, it has: {', '.join(fields) or 'none'}")
        if value is None:
            continue  # `field:` with nothing after it leaves the default
        kind = fields[name]
        if not kind.array and _is_stamp(kind.base, value):
            owner, attribute = (getattr(message, name), "stamp") if value == "auto" else (message, name)
            stamps.append(lambda now, o=owner, a=attribute: setattr(o, a, now))  # type: ignore[misc]
            continue
        try:
            setattr(message, name, _convert(kind, value, where, stamps))
        except (AssertionError, OverflowError) as error:
            _fail(where, str(error))


def _is_stamp(base: str, value: Any) -> bool:
    return (base, value) in (("std_msgs/msg/Header", "auto"), ("builtin_interfaces/msg/Time", "now"))


def _convert(kind: FieldType, value: Any, path: str, stamps: list[Stamp]) -> Any:
    if not kind.array:
        return _scalar(kind.base, value, path, stamps)
    if isinstance(value, bytes) and kind.base in ("uint8", "char"):  # !!binary
        return value
    if not isinstance(value, list):
        _fail(path, f"{value!r} is expected to be a list of {kind.base} but is a {type(value).__name__}")
    return [_scalar(kind.base, item, f"{path}[{i}]", stamps) for i, item in enumerate(value)]


def _scalar(base: str, value: Any, path: str, stamps: list[Stamp]) -> Any:
    if "/" in base:
        message = message_class(base)()
        _fill(message, value, path, stamps)
        return message
    try:
        if base in STRINGS and not isinstance(value, list | dict | bytes):
            return str(value)
        if base in FLOATS and not isinstance(value, bool):
            return float(value)  # also of text: YAML 1.1 takes 1e-5 for a string
        if base in INTEGER_LIMITS and not isinstance(value, bool):
            return _integer(value)
        if base == "bool" and value in (True, False):
            return bool(value)
        if base == "byte":
            return value if isinstance(value, bytes) else bytes((_integer(value),))
    except (TypeError, ValueError):
        pass
    return _fail(path, f"{value!r} is no {base}")


def _integer(value: Any) -> int:
    if isinstance(value, float) and not (math.isfinite(value) and value.is_integer()):
        raise ValueError(value)
    return int(value, 0) if isinstance(value, str) else int(value)


def _fail(path: str, reason: str) -> Any:
    raise VerbError(f"Failed to populate field{f' {path!r}' if path else ''}: {reason}", 2)
