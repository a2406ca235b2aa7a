"""Interface definitions: what .msg, .srv and .action text says.

The grammar is that of the ROS 2 interface definition (docs.ros.org, "Interfaces"): one field or
constant per line, optional default values, bounded strings and arrays, `---` between the halves of
a service and the three parts of an action.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

INTEGER_LIMITS: dict[str, tuple[int, int]] = {
    **{f"int{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
    "char": (0, 255),
}
FLOATS = frozenset({"float32", "float64"})
STRINGS = frozenset({"string", "wstring"})
PRIMITIVES = frozenset({"bool", "byte", *INTEGER_LIMITS, *FLOATS, *STRINGS})

_TYPE = re.compile(
    r"(?P<base>[A-Za-z][\w/]*)(?:<=(?P<string_bound>\d+))?"
    r"(?:\[(?:(?P<bounded><=)?(?P<size>\d+))?(?P<close>\]))?"
)
_CONSTANT = re.compile(r"(?P<type>\S+)\s+(?P<name>[A-Za-z]\w*)\s*=(?P<value>.*)")
_FIELD = re.compile(r"(?P<type>\S+)\s+(?P<name>[A-Za-z]\w*)(?:\s+(?P<default>.+))?")
_FIELD_NAME = re.compile(r"[a-z](?:_?[a-z0-9])*", re.IGNORECASE)


class DefinitionError(ValueError):
    """An interface definition that cannot be read; the message names the type and the line."""


@dataclass(frozen=True, slots=True)
class FieldType:
    """Type of one field. `array` is "", "fixed" or "sequence"; `size` the length or upper bound."""

    base: str
    array: str = ""
    size: int = 0
    string_bound: int = 0

    @property
    def is_message(self) -> bool:
        return "/" in self.base

    @property
    def is_numeric_array(self) -> bool:
        """True where rclpy stores an array.array or a numpy array rather than a list."""
        return bool(self.array) and (self.base in INTEGER_LIMITS or self.base in FLOATS)

    def __str__(self) -> str:
        base = short_name(self.base)
        if self.string_bound:
            base += f"<={self.string_bound}"
        if self.array == "fixed":
            return f"{base}[{self.size}]"
        if self.array == "sequence":
            return f"{base}[<={self.size}]" if self.size else f"{base}[]"
        return base


@dataclass(frozen=True, slots=True)
class Field:
    """One field: ROS name, type and default value from the text (None: the type's zero)."""

    name: str
    type: FieldType
    default: Any = None

    @property
    def attribute(self) -> str:
        """Python attribute name: keywords get a trailing underscore."""
        return f"{self.name}_" if keyword.iskeyword(self.name) else self.name


@dataclass(frozen=True, slots=True)
class Constant:
    name: str
    base: str
    value: Any


@dataclass(frozen=True)
class MessageSpec:
    """A message (or half of a service): full name such as `sensor_msgs/msg/Image`."""

    name: str
    fields: tuple[Field, ...]
    constants: tuple[Constant, ...] = ()

    @cached_property
    def dependencies(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f.type.base for f in self.fields if f.type.is_message))


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    name: str
    request: MessageSpec
    response: MessageSpec

    def parts(self) -> Iterator[MessageSpec | ServiceSpec]:
        """The spec and those it brings along."""
        yield from (self, self.request, self.response)


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """An action, and the services and the message that carry it (design.ros2.org, "Actions")."""

    name: str
    goal: MessageSpec
    result: MessageSpec
    feedback: MessageSpec

    def parts(self) -> Iterator[MessageSpec | ServiceSpec | ActionSpec]:
        """The spec and those it brings along, named as rosidl names them."""
        yield from (self, self.goal, self.result, self.feedback)
        goal_id = Field("goal_id", FieldType("unique_identifier_msgs/msg/UUID"))
        goal, result, feedback = (
            Field(part, FieldType(f"{self.name}_{part.title()}")) for part in ("goal", "result", "feedback")
        )
        accepted = Field("accepted", FieldType("bool"))
        stamp = Field("stamp", FieldType("builtin_interfaces/msg/Time"))
        status = Field("status", FieldType("int8"))
        yield MessageSpec(f"{self.name}_FeedbackMessage", (goal_id, feedback))
        for service, request, response in (
            ("SendGoal", (goal_id, goal), (accepted, stamp)),
            ("GetResult", (goal_id,), (status, result)),
        ):
            name = f"{self.name}_{service}"
            halves = MessageSpec(f"{name}_Request", request), MessageSpec(f"{name}_Response", response)
            yield from ServiceSpec(name, *halves).parts()


def short_name(name: str) -> str:
    """`pkg/Name` of `pkg/msg/Name`; primitive types stay as they are."""
    package, _, rest = name.partition("/")
    return f"{package}/{rest.rpartition('/')[2]}" if rest else name


def parse_message(text: str, name: str) -> MessageSpec:
    """Parse .msg text into a spec. Raises DefinitionError naming the type and line."""
    package = name.split("/", 1)[0]
    fields: list[Field] = []
    constants: list[Constant] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = _strip_comment(raw)
        if not line:
            continue
        try:
            entry = _parse_line(line, package)
        except ValueError as error:
            raise DefinitionError(f"{name}, line {number}: {error}") from None
        target: list[Any] = constants if isinstance(entry, Constant) else fields
        if entry.name in {f.name for f in fields} | {c.name for c in constants}:
            raise DefinitionError(f"{name}, line {number}: {entry.name!r} appears twice")
        target.append(entry)
    return MessageSpec(name, tuple(fields), tuple(constants))


def parse_service(text: str, name: str) -> ServiceSpec:
    """Parse .srv text (request, a line of `---`, response)."""
    halves = re.split(r"^---\s*$", text, flags=re.MULTILINE)
    if len(halves) != 2:
        raise DefinitionError(f"{name}: a service has exactly one '---' line, found {len(halves) - 1}")
    request, response = halves
    return ServiceSpec(
        name, parse_message(request, f"{name}_Request"), parse_message(response, f"{name}_Response")
    )


def parse_action(text: str, name: str) -> ActionSpec:
    """Parse .action text (goal, result and feedback, divided by lines of `---`)."""
    parts = re.split(r"^---\s*$", text, flags=re.MULTILINE)
    if len(parts) != 3:
        raise DefinitionError(f"{name}: an action has exactly two '---' lines, found {len(parts) - 1}")
    kinds = ("Goal", "Result", "Feedback")
    return ActionSpec(name, *(parse_message(t, f"{name}_{k}") for t, k in zip(parts, kinds, strict=True)))


def _strip_comment(line: str) -> str:
    quote = ""
    for index, char in enumerate(line):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'" and (index == 0 or line[index - 1] in " =\t["):
            quote = char
        elif char == "#":
            return line[:index].strip()
    return line.strip()


def _parse_line(line: str, package: str) -> Field | Constant:
    if constant := _CONSTANT.fullmatch(line):
        field_type = _parse_type(constant["type"], package)
        if field_type.array or field_type.is_message:
            raise ValueError(f"constant {constant['name']!r} must have a primitive type")
        value = _parse_scalar(field_type, constant["value"].strip())
        return Constant(constant["name"], field_type.base, value)
    field = _FIELD.fullmatch(line)
    if field is None:
        raise ValueError(f"cannot parse {line!r}")
    if not _FIELD_NAME.fullmatch(field["name"]):
        raise ValueError(f"invalid field name {field['name']!r}")
    field_type = _parse_type(field["type"], package)
    default = None if field["default"] is None else _parse_default(field_type, field["default"])
    return Field(field["name"], field_type, default)


def _parse_type(text: str, package: str) -> FieldType:
    match = _TYPE.fullmatch(text)
    if match is None:
        raise ValueError(f"cannot parse type {text!r}")
    base = _qualify(match["base"], package)
    string_bound = int(match["string_bound"] or 0)
    if string_bound and base not in STRINGS:
        raise ValueError(f"only strings take a length bound: {text!r}")
    if not match["close"]:
        return FieldType(base, string_bound=string_bound)
    size = int(match["size"] or 0)
    array = "fixed" if match["size"] and not match["bounded"] else "sequence"
    return FieldType(base, array, size, string_bound)


def _qualify(base: str, package: str) -> str:
    if base in PRIMITIVES:
        return base
    parts = base.split("/")
    if len(parts) == 1:
        return f"{package}/msg/{base}"
    return f"{parts[0]}/msg/{parts[-1]}"


def _parse_default(field_type: FieldType, text: str) -> Any:
    if field_type.is_message:
        raise ValueError("a message field takes no default value")
    if not field_type.array:
        return _parse_scalar(field_type, text)
    if not (text.startswith("[") and text.endswith("]")):
        raise ValueError(f"array default must be written in brackets: {text!r}")
    items = [item for item in _split_items(text[1:-1]) if item]
    values = [_parse_scalar(field_type, item) for item in items]
    if field_type.array == "fixed" and len(values) != field_type.size:
        raise ValueError(f"default has {len(values)} elements, the array {field_type.size}")
    if field_type.array == "sequence" and field_type.size and len(values) > field_type.size:
        raise ValueError(f"default has {len(values)} elements, the bound is {field_type.size}")
    return tuple(values)


def _split_items(text: str) -> Iterator[str]:
    for match in re.finditer(r"\s*(\"(?:\\.|[^\"])*\"|'(?:\\.|[^'])*'|[^,]+)", text):
        yield match[1].strip()


def _parse_scalar(field_type: FieldType, text: str) -> Any:
    base = field_type.base
    if base in STRINGS:
        value = _unquote(text)
        if field_type.string_bound and len(value) > field_type.string_bound:
            raise ValueError(f"{text} exceeds the bound of {field_type.string_bound} characters")
        return value
    if base == "bool":
        if text.lower() not in ("true", "false", "0", "1"):
            raise ValueError(f"{text!r} is not a bool")
        return text.lower() in ("true", "1")
    if base in FLOATS:
        return float(text)
    number = int(text, 0)
    low, high = INTEGER_LIMITS.get(base, (0, 255))
    if not low <= number <= high:
        raise ValueError(f"{number} is out of range for {base}")
    return bytes([number]) if base == "byte" else number


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return str(ast.literal_eval(text))
    return text
