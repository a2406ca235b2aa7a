"""Message, service and action classes made from interface specs.

The classes behave like rosidl's: keyword arguments only, slots, typed setters (AssertionError),
`get_fields_and_field_types()`. Two deliberate differences: fields are always checked (genuine
Jazzy checks only under ROS_PYTHON_CHECK_FIELDS=1 and then fails in C at publish), and numeric
sequences keep whatever buffer of the right type they are given (bytes, bytearray, memoryview,
array.array, numpy array) instead of copying it into an array.array.
"""

from __future__ import annotations

import array
import keyword
import operator
import threading
from types import ModuleType
from typing import Any

import numpy as np

from .definitions import FLOATS, INTEGER_LIMITS, Field, FieldType, MessageSpec, short_name
from .field_checks import DTYPES, FLOAT32_MAX, TYPECODES, make_checker
from .registry import Registry

IDL_NAMES = {
    "bool": "boolean", "byte": "octet", "char": "uint8", "float32": "float", "float64": "double",
}  # fmt: skip
_REPR_LIMIT = 64

registry = Registry()
_lock = threading.RLock()
_classes: dict[str, type] = {}


def message_class(name: str) -> type:
    """The class of `pkg/msg/Name`, or of a part such as `pkg/srv/Name_Request`, `pkg/action/Name_Goal`."""
    found = _classes.get(name)
    if found is None:
        with _lock:
            found = _classes.get(name)
            if found is None:
                found = _classes[name] = _build_class(registry.message(name))
    return found


def service_class(name: str) -> type:
    """The class of `pkg/srv/Name`, carrying `Request` and `Response`."""
    with _lock:
        if name not in _classes:
            registry.service(name)
            halves = {h: message_class(f"{name}_{h}") for h in ("Request", "Response")}
            _classes[name] = _holder(name, halves)
        return _classes[name]


def action_class(name: str) -> type:
    """The class of `pkg/action/Name`: `Goal`, `Result`, `Feedback` and, in `Impl`, what carries them."""
    with _lock:
        if name not in _classes:
            registry.action(name)
            impl = {
                "SendGoalService": service_class(f"{name}_SendGoal"),
                "GetResultService": service_class(f"{name}_GetResult"),
                "FeedbackMessage": message_class(f"{name}_FeedbackMessage"),
                "CancelGoalService": service_class("action_msgs/srv/CancelGoal"),
                "GoalStatusMessage": message_class("action_msgs/msg/GoalStatusArray"),
            }
            parts = {part: message_class(f"{name}_{part}") for part in ("Goal", "Result", "Feedback")}
            _classes[name] = _holder(name, {**parts, "Impl": type("Impl", (), impl)})
        return _classes[name]


def _holder(name: str, members: dict[str, Any]) -> type:
    """A class that only holds the classes of a service or action; it has no instances."""
    package, kind, short = name.split("/")

    def __init__(self: Any) -> None:
        raise NotImplementedError(f"{name} classes can not be instantiated")

    namespace = {"__module__": f"{package}.{kind}", "__init__": __init__, "_TYPE": name, **members}
    return type(short, (), namespace)


def type_name(cls: type) -> str:
    """Full ROS name (`pkg/msg/Name`) of a class made here; TypeError for any other class."""
    name = getattr(cls, "_TYPE", None)
    if not isinstance(name, str):
        raise TypeError(f"{cls!r} is no ROS message or service class")
    return name


def interface_module(fullname: str) -> ModuleType:
    """Module `pkg`, `pkg.msg`, `pkg.srv` or `pkg.action`; classes are made on first access (PEP 562)."""
    package, _, kind = fullname.partition(".")
    module = ModuleType(fullname, f"Interfaces of the ROS package {package}.")
    if not kind:
        module.__path__ = []
        return module
    names = registry.names(package, kind)
    build = {"msg": message_class, "srv": service_class, "action": action_class}[kind]

    def __getattr__(attribute: str) -> type:
        if attribute not in names:
            raise AttributeError(f"module {fullname!r} has no interface {attribute!r}")
        found = build(f"{package}/{kind}/{attribute}")
        setattr(module, attribute, found)
        return found

    module.__dict__.update(__all__=names, __getattr__=__getattr__, __dir__=lambda: names)
    return module


def idl_name(field_type: FieldType) -> str:
    """The type's name as `get_fields_and_field_types()` spells it, e.g. `sequence<double, 4>`."""
    base = IDL_NAMES.get(field_type.base, short_name(field_type.base))
    if field_type.string_bound:
        base += f"<{field_type.string_bound}>"
    if field_type.array == "fixed":
        return f"{base}[{field_type.size}]"
    if field_type.array == "sequence":
        return f"sequence<{base}, {field_type.size}>" if field_type.size else f"sequence<{base}>"
    return base


# ---------------------------------------------------------------------------------------------
# Class generation: source text per class, so that construction and assignment cost as little as
# hand-written code. Names with a leading underscore cannot collide with ROS field names.


def _build_class(spec: MessageSpec) -> type:
    names = [field.attribute for field in spec.fields]
    scope: dict[str, Any] = {
        "_float": float, "_int": int, "_bool": bool, "_str": str, "_unset": _UNSET,
        "_reject": _reject_unknown,
    }  # fmt: skip
    arguments = ["_m", *(["*"] if names else []), *(f"{n}=_unset" for n in names), "**_unknown"]
    lines = [f"def __init__({', '.join(arguments)}):"]
    lines.append("    if _unknown: _reject(_m, _unknown)")
    setters = []
    for field, name in zip(spec.fields, names, strict=True):
        scope[f"_check_{name}"] = make_checker(spec.name, field, message_class)
        scope[f"_default_{name}"] = _default_factory(field)
        accept = _accept_expression(field, name, scope)
        default = _default_expression(field, name)
        lines.append(f"    _m._{name} = {default} if {name} is _unset else ({accept})")
        setters.append(f"def _set_{name}(_m, {name}): _m._{name} = {accept}")
    exec("\n".join([*lines, *setters]), scope)
    package, kind, short = spec.name.split("/")
    namespace: dict[str, Any] = {
        "__slots__": tuple(f"_{name}" for name in names),
        "__module__": f"{package}.{kind}",
        "__init__": scope["__init__"],
        "__eq__": _equal,
        "__repr__": _represent,
        "get_fields_and_field_types": classmethod(_field_types),
        "SLOT_TYPES": tuple(field.type for field in spec.fields),
        "_TYPE": spec.name,
        "_NAMES": tuple(names),
        "_SPEC": spec,
    }
    for name in names:
        namespace[name] = property(operator.attrgetter(f"_{name}"), scope[f"_set_{name}"])
    for constant in spec.constants:
        name = f"{constant.name}_" if keyword.iskeyword(constant.name) else constant.name
        namespace[name] = constant.value
    return type(short, (), namespace)


class _Unset:
    def __repr__(self) -> str:
        return "<default>"


_UNSET = _Unset()


def _reject_unknown(message: Any, unknown: dict[str, Any]) -> None:
    raise AttributeError(f"{message._TYPE} has no field {', '.join(map(repr, unknown))}")


def _accept_expression(field: Field, name: str, scope: dict[str, Any]) -> str:
    """Inline test for the common right type; anything else goes to the full checker."""
    base, slow = field.type.base, f"_check_{name}({name})"
    if field.type.array:
        return slow
    if field.type.is_message:
        scope[f"_class_{name}"] = message_class(base)
        return f"{name} if {name}.__class__ is _class_{name} else {slow}"
    if base in INTEGER_LIMITS:
        low, high = INTEGER_LIMITS[base]
        return f"{name} if {name}.__class__ is _int and {low} <= {name} <= {high} else {slow}"
    if base == "float32":
        test = f"{name}.__class__ is _float and {-FLOAT32_MAX} <= {name} <= {FLOAT32_MAX}"
        return f"{name} if {test} else {slow}"
    quick = {"float64": "_float", "bool": "_bool", "string": "_str", "wstring": "_str"}.get(base)
    if quick and not field.type.string_bound:
        return f"{name} if {name}.__class__ is {quick} else {slow}"
    return slow


def _default_expression(field: Field, name: str) -> str:
    """Immutable defaults are named constants, mutable ones are made for each message."""
    return f"_default_{name}()" if _is_mutable(field.type) else f"_default_{name}"


def _is_mutable(field_type: FieldType) -> bool:
    return bool(field_type.array) or field_type.is_message


def _default_factory(field: Field) -> Any:
    """Default value of an immutable field; for a mutable one, a callable that makes it."""
    kind, base, default = field.type, field.type.base, field.default
    if not kind.array:
        if kind.is_message:
            return message_class(base)
        zeros = {"bool": False, "byte": b"\0", "string": "", "wstring": ""}
        zero = zeros.get(base, 0.0 if base in FLOATS else 0)
        return zero if default is None else default
    count = kind.size if kind.array == "fixed" else 0
    if kind.is_numeric_array and kind.array == "fixed":
        start = np.zeros(count, DTYPES[base]) if default is None else np.array(default, DTYPES[base])
        return start.copy
    if kind.is_numeric_array:
        code, values = TYPECODES[base], default or ()
        return lambda: array.array(code, values)
    element = _default_factory(Field(field.name, FieldType(base)))
    if kind.is_message:
        return lambda: [element() for _ in range(count)]
    values = default if default is not None else (element,) * count
    return lambda: list(values)


def _equal(self: Any, other: Any) -> bool:
    if other.__class__ is not self.__class__:
        return False
    for name in self._NAMES:
        left, right = getattr(self, name), getattr(other, name)
        if isinstance(left, np.ndarray | array.array | memoryview | bytearray):
            if not np.array_equal(np.asarray(left), _as_ndarray(right, np.asarray(left).dtype)):
                return False
        elif isinstance(right, np.ndarray | array.array | memoryview | bytearray):
            if not np.array_equal(_as_ndarray(left, np.asarray(right).dtype), np.asarray(right)):
                return False
        elif left != right:
            return False
    return True


def _as_ndarray(value: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    return np.frombuffer(value, dtype) if isinstance(value, bytes) else np.asarray(value)


def _represent(self: Any) -> str:
    parts = []
    for name in self._NAMES:
        value = getattr(self, name)
        if isinstance(value, array.array | memoryview | bytearray | np.ndarray) or (
            isinstance(value, bytes) and len(value) > 1
        ):
            many = len(value) > _REPR_LIMIT
            value = f"<{len(value)} elements>" if many else list(value)
        else:
            value = repr(value)
        parts.append(f"{name}={value}")
    module = type(self).__module__
    return f"{module}.{type(self).__name__}({', '.join(parts)})"


def _field_types(cls: Any) -> dict[str, str]:
    return {field.attribute: idl_name(field.type) for field in cls._SPEC.fields}
