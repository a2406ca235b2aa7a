"""Parameters and their conversion to and from messages."""

from __future__ import annotations

import array
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Any

from pocketros import arguments

PARAMETER_SEPARATOR_STRING = "."


class Parameter:
    """A named, typed value."""

    class Type(Enum):
        """Not an int, as in rclpy: messages take `.value`."""

        NOT_SET = 0
        BOOL = 1
        INTEGER = 2
        DOUBLE = 3
        STRING = 4
        BYTE_ARRAY = 5
        BOOL_ARRAY = 6
        INTEGER_ARRAY = 7
        DOUBLE_ARRAY = 8
        STRING_ARRAY = 9

        @classmethod
        def from_parameter_value(cls, parameter_value: Any) -> Parameter.Type:
            """Type that holds a Python value; TypeError for values no parameter can hold."""
            scalar = _SCALARS.get(type(parameter_value))
            if parameter_value is None:
                return cls.NOT_SET
            if scalar is not None:
                return cls[scalar]
            if isinstance(parameter_value, array.array):
                return cls.DOUBLE_ARRAY if parameter_value.typecode in "fd" else cls.INTEGER_ARRAY
            if isinstance(parameter_value, Iterable) and not isinstance(parameter_value, dict):
                kinds = {type(item) for item in parameter_value}
                for kind, name in _ARRAYS:
                    if kinds <= {kind}:
                        return cls[name]
            raise TypeError(
                f"The given value is not one of the allowed types '{parameter_value!r}'."
            )

        @property
        def _is_array(self) -> bool:
            return bool(self.value >= Parameter.Type.BYTE_ARRAY.value)

        def check(self, parameter_value: Any) -> bool:
            """True if this type can hold the value; an empty array fits every array type."""
            if self is Parameter.Type.NOT_SET:
                return parameter_value is None
            try:
                found = Parameter.Type.from_parameter_value(parameter_value)
            except TypeError:
                return False
            is_array = self._is_array
            if is_array and found._is_array and not len(parameter_value):
                return True
            return found == self

    def __init__(self, name: str, type_: Type | None = None, value: Any = None) -> None:
        if type_ is None:
            type_ = Parameter.Type.from_parameter_value(value)
        if not isinstance(type_, Parameter.Type):
            raise TypeError(f"type must be an instance of '{Parameter.Type!r}'")
        if not type_.check(value):
            raise ValueError(f"Type '{type_}' and value '{value}' do not agree")
        self._name = name
        self._type_ = type_
        self._value = value

    @property
    def name(self) -> str:
        return self._name

    @property
    def type_(self) -> Type:
        return self._type_

    @property
    def value(self) -> Any:
        return self._value

    def __repr__(self) -> str:
        return f"Parameter(name={self._name!r}, type={self._type_.name}, value={self._value!r})"

    @classmethod
    def from_parameter_msg(cls, param_msg: Any) -> Parameter:
        value = parameter_value_to_python(param_msg.value)
        return cls(param_msg.name, Parameter.Type(param_msg.value.type), value)

    def get_parameter_value(self) -> Any:
        from rcl_interfaces.msg import ParameterValue

        message = ParameterValue(type=self._type_.value)
        if self._type_ is not Parameter.Type.NOT_SET:
            setattr(message, _MESSAGE_FIELDS[self._type_], self._value)
        return message

    def to_parameter_msg(self) -> Any:
        from rcl_interfaces.msg import Parameter as Message

        return Message(name=self._name, value=self.get_parameter_value())


_SCALARS = {bool: "BOOL", int: "INTEGER", float: "DOUBLE", str: "STRING"}
_ARRAYS = (
    (bytes, "BYTE_ARRAY"),
    (bool, "BOOL_ARRAY"),
    (int, "INTEGER_ARRAY"),
    (float, "DOUBLE_ARRAY"),
    (str, "STRING_ARRAY"),
)
_MESSAGE_FIELDS = {
    kind: f"{kind.name.lower()}_value" for kind in Parameter.Type if kind is not Parameter.Type.NOT_SET
}


def parameter_value_to_python(parameter_value: Any) -> Any:
    """Python value of a rcl_interfaces ParameterValue; None for NOT_SET."""
    try:
        kind = Parameter.Type(parameter_value.type)
    except ValueError as error:
        raise RuntimeError(f"Invalid parameter value type: {parameter_value.type}") from error
    if kind is Parameter.Type.NOT_SET:
        return None
    value = getattr(parameter_value, _MESSAGE_FIELDS[kind])
    return list(value) if kind._is_array else value


def get_parameter_value(string_value: str) -> Any:
    """ParameterValue message of a YAML-spelt value; what is no other type is a string."""
    try:
        value = arguments.parse_value(string_value)
    except arguments.ArgumentError:
        value = string_value
    return Parameter("", value=value).get_parameter_value()


def parameter_dict_from_yaml_file(
    parameter_file: str,
    use_wildcard: bool = False,
    target_nodes: list[str] | None = None,
    namespace: str = "",
) -> dict[str, Any]:
    """Parameter messages of a file, keyed by name; of all nodes, or of `target_nodes` only."""
    found: dict[str, Any] = {}
    if not Path(parameter_file).is_file():
        raise FileNotFoundError(parameter_file)
    for pattern, name, value in arguments.load_parameter_file(parameter_file):
        wanted = target_nodes is None or pattern in target_nodes or pattern.lstrip("/") in target_nodes
        if wanted or (use_wildcard and pattern == "/**"):
            full = f"{namespace}.{name}" if namespace else name
            found[full] = Parameter(full, value=value).to_parameter_msg()
    return found
