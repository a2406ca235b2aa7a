"""Messages as text: the YAML and CSV that `ros2 topic echo` prints."""

from __future__ import annotations

import array
import re
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from pocketros.definitions import FieldType
from pocketros.field_checks import TYPECODES
from pocketros.messages import IDL_NAMES

from .errors import VerbError

TRUNCATE_LENGTH = 128
_STEP = re.compile(r"([A-Za-z]\w*)|\[(-?\d+)\]")


@dataclass(frozen=True, slots=True)
class Style:
    """What to leave out. `limit`: elements or characters printed of an array or string (None: all)."""

    limit: int | None = TRUNCATE_LENGTH
    no_arr: bool = False
    no_str: bool = False
    flow: bool = False


class _Dumper(yaml.SafeDumper):
    """As in ros2, flow style is for sequences: mappings are in it only within one."""

    def represent_dict(self, data: dict[str, Any]) -> Any:
        return self.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=False)


_Dumper.add_representer(dict, _Dumper.represent_dict)


def to_yaml(message: Any, style: Style) -> str:
    values = as_dict(message, style)
    return yaml.dump(values, Dumper=_Dumper, allow_unicode=True, width=sys.maxsize, default_flow_style=style.flow)


def as_dict(message: Any, style: Style) -> dict[str, Any]:
    """Plain values of a message's fields, in their order."""
    return {f.attribute: _plain(f.type, getattr(message, f.attribute), style) for f in message._SPEC.fields}


def _plain(kind: FieldType, value: Any, style: Style) -> Any:
    if not kind.array:
        return _plain_scalar(kind, value, style)
    if style.no_arr:
        return abbreviation(kind, len(value))
    shown = value if style.limit is None else value[: style.limit]
    more = ["..."] if len(shown) < len(value) else []
    if kind.is_numeric_array:
        return [*numbers(kind, shown).tolist(), *more]
    return [*(_plain_scalar(kind, item, style) for item in shown), *more]


def _plain_scalar(kind: FieldType, value: Any, style: Style) -> Any:
    if kind.is_message:
        return as_dict(value, style)
    if kind.base == "byte":
        return chr(value[0])
    return _cut(value, style) if isinstance(value, str) else value


def _cut(text: str, style: Style) -> str:
    if style.no_str:
        return f"<string length: <{len(text)}>>"
    return text if style.limit is None or len(text) <= style.limit else text[: style.limit] + "..."


def abbreviation(kind: FieldType, length: int) -> str:
    """What --no-arr prints instead of an array."""
    base = IDL_NAMES.get(kind.base, kind.base)
    if kind.array == "fixed":
        return f"<array type: {base}[{kind.size}]>"
    bound = f"[{kind.size}]" if kind.size else ""
    return f"<sequence type: {base}{bound}, length: {length}>"


def numbers(kind: FieldType, value: Any) -> np.ndarray[Any, Any]:
    """A numeric array field (bytes, memoryview, array, ndarray, list) as an ndarray."""
    dtype = np.dtype(TYPECODES[kind.base])
    raw = isinstance(value, bytes | bytearray | memoryview)
    return np.frombuffer(value, dtype) if raw else np.asarray(value, dtype)


def to_csv(message: Any, style: Style) -> str:
    return ",".join(_csv(field.type, getattr(message, field.attribute), style) for field in message._SPEC.fields)


def _csv(kind: FieldType, value: Any, style: Style) -> str:
    if not kind.array:
        return _csv_scalar(kind, value, style)
    if style.no_arr:
        return abbreviation(kind, len(value))
    shown = value if style.limit is None else value[: style.limit]
    more = ["..."] if len(shown) < len(value) else []
    items = numbers(kind, shown).tolist() if kind.is_numeric_array else shown
    return ",".join([*(_csv_scalar(kind, item, style) for item in items), *more])


def _csv_scalar(kind: FieldType, value: Any, style: Style) -> str:
    if kind.is_message:
        return to_csv(value, style)
    return _cut(value, style) if isinstance(value, str) else str(value)


# ---------------------------------------------------------------------------------------------
# --field


def parse_field(text: str) -> list[str | int]:
    """`pose.covariance[0]` as ["pose", "covariance", 0]."""
    steps: list[str | int] = []
    for part in filter(None, text.split(".")):
        found = [m for m in _STEP.finditer(part)]
        if "".join(m[0] for m in found) != part or not found[0][1]:
            raise VerbError(f"Invalid field value '{text}'", 2)
        steps += [m[1] or int(m[2]) for m in found]
    if not steps:
        raise VerbError(f"Invalid field value '{text}'", 2)
    return steps


def select(message: Any, steps: list[str | int]) -> Any:
    """What `--field` chose: a message, or a value as rclpy would hold it (to be printed as such)."""
    value, kind, path = message, FieldType(message._TYPE), ""
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
        if isinstance(step, int):
            if not kind.array or not -len(value) <= step < len(value):
                raise VerbError(f"Invalid field '{path[1:]}': no such element", 2)
            value, kind = value[step], FieldType(kind.base)
            continue
        fields = {} if kind.array or not kind.is_message else {f.attribute: f for f in value._SPEC.fields}
        if step not in fields:
            raise VerbError(f"Invalid field '{path[1:]}': there are {', '.join(fields) or 'no fields'}", 2)
        kind, value = fields[step].type, getattr(value, step)
    if kind.is_numeric_array:
        values = numbers(kind, value)
        return values if kind.array == "fixed" else array.array(TYPECODES[kind.base], values.tobytes())
    return value
