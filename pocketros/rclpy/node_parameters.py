"""The parameters of a node: declaration, strict types, ranges and callbacks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import (
    ListParametersResult,
    ParameterDescriptor,
    ParameterEvent,
    ParameterValue,
    SetParametersResult,
)

from .exceptions import (
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterImmutableException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from .parameter import PARAMETER_SEPARATOR_STRING, Parameter

if TYPE_CHECKING:
    from .clock import Clock

SetCallback = Callable[[list[Parameter]], Any]


class ParameterInterface:
    """Mixed into Node."""

    _clock: Clock
    _parameter_event_publisher: Any

    def _init_parameters(self, overrides: dict[str, Any], allow_undeclared: bool) -> None:
        self._parameters: dict[str, Parameter] = {}
        self._descriptors: dict[str, Any] = {}
        self._parameter_overrides = overrides
        self._allow_undeclared_parameters = allow_undeclared
        self._pre_set_parameters_callbacks: list[Callable[[list[Parameter]], list[Parameter]]] = []
        self._on_set_parameters_callbacks: list[SetCallback] = []
        self._post_set_parameters_callbacks: list[SetCallback] = []
        self._parameter_event_publisher = None

    # ------------------------------------------------------------------ declaring

    def declare_parameter(
        self, name: str, value: Any = None, descriptor: Any = None, ignore_override: bool = False
    ) -> Parameter:
        """Declare a parameter with a default value or a Parameter.Type. Its type is then fixed."""
        entry = (name,) if value is None and descriptor is None else (
            name, value, ParameterDescriptor() if descriptor is None else descriptor
        )
        return self.declare_parameters("", [entry], ignore_override)[0]

    def declare_parameters(
        self, namespace: str, parameters: Sequence[tuple[Any, ...]], ignore_override: bool = False
    ) -> list[Parameter]:
        """Declare (name[, value or type[, descriptor]]) entries, names prefixed by `namespace`."""
        declared: list[tuple[Parameter, Any]] = []
        for index, entry in enumerate(parameters):
            parameter, descriptor = self._read_declaration(namespace, index, entry, ignore_override)
            declared.append((parameter, descriptor))
        known = [p.name for p, _ in declared if p.name in self._parameters]
        if known:
            raise ParameterAlreadyDeclaredException(known)
        for parameter, descriptor in declared:
            self._declare(parameter, descriptor)
        return [self._parameters[parameter.name] for parameter, _ in declared]

    def _read_declaration(
        self, namespace: str, index: int, entry: tuple[Any, ...], ignore_override: bool
    ) -> tuple[Parameter, Any]:
        if not 1 <= len(entry) <= 3:
            raise TypeError(f"Invalid parameter tuple length at index {index}: {entry}")
        name = entry[0]
        if not isinstance(name, str):
            raise TypeError(f"First element {name} at index {index} in parameters list is not a str.")
        name = f"{namespace}.{name}" if namespace else name
        if not name:
            raise InvalidParameterException(name)
        default = entry[1] if len(entry) > 1 else None
        descriptor = entry[2] if len(entry) > 2 else ParameterDescriptor()
        if not isinstance(descriptor, ParameterDescriptor):
            raise TypeError(f"Third element {descriptor} at index {index} is no ParameterDescriptor.")
        if len(entry) == 1:
            warnings.warn(
                f"declaring parameter {name!r} by name only is deprecated: give a value or a type",
                stacklevel=4,
            )
            descriptor.dynamic_typing = True
        value = self._fix_type(name, default, descriptor)
        if not ignore_override and name in self._parameter_overrides:
            value = self._parameter_overrides[name]
        if isinstance(value, ParameterValue):
            raise ValueError(f"Parameter {name}: a ParameterValue gives the type, not the value")
        return Parameter(name, value=value), descriptor

    def _fix_type(self, name: str, default: Any, descriptor: Any) -> Any:
        """Set the descriptor's type from the default value or type; returns the value, if any."""
        if isinstance(default, Parameter.Type):
            if default is Parameter.Type.NOT_SET:
                raise ValueError(f"Cannot declare parameter {name} as statically typed of NOT_SET")
            if descriptor.dynamic_typing:
                raise ValueError(f"Parameter {name}: dynamic_typing excludes giving a type")
            descriptor.type = default.value
            return None
        if not descriptor.dynamic_typing:
            is_message = isinstance(default, ParameterValue)
            descriptor.type = (
                default.type if is_message else Parameter.Type.from_parameter_value(default).value
            )
            if descriptor.type == Parameter.Type.NOT_SET.value:
                raise ValueError(f"Cannot declare parameter {name} without a value or type")
        return default

    def _declare(self, parameter: Parameter, descriptor: Any) -> None:
        descriptor.name = parameter.name
        result = self._set_atomically([parameter], {parameter.name: descriptor}, store_not_set=True)
        if result.successful:
            return
        if result.reason.startswith("Wrong parameter type"):
            expected = Parameter.Type(descriptor.type).name
            raise InvalidParameterTypeException(parameter, expected)
        raise InvalidParameterValueException(parameter.name, parameter.value, result.reason)

    def undeclare_parameter(self, name: str) -> None:
        if name not in self._parameters:
            raise ParameterNotDeclaredException(name)
        if self._descriptors[name].read_only:
            raise ParameterImmutableException(name)
        del self._parameters[name], self._descriptors[name]

    # ------------------------------------------------------------------ reading

    def has_parameter(self, name: str) -> bool:
        return name in self._parameters

    def get_parameter(self, name: str) -> Parameter:
        found = self._parameters.get(name)
        if found is None:
            if self._allow_undeclared_parameters:
                return Parameter(name, Parameter.Type.NOT_SET, None)
            raise ParameterNotDeclaredException(name)
        descriptor = self._descriptors[name]
        if found.type_ is Parameter.Type.NOT_SET and not descriptor.dynamic_typing:
            raise ParameterUninitializedException(name)
        return found

    def get_parameters(self, names: list[str]) -> list[Parameter]:
        return [self.get_parameter(name) for name in names]

    def get_parameter_or(self, name: str, alternative_value: Parameter | None = None) -> Parameter:
        found = self._parameters.get(name)
        if found is not None and found.type_ is not Parameter.Type.NOT_SET:
            return found
        return alternative_value or Parameter(name, Parameter.Type.NOT_SET, None)

    def get_parameters_by_prefix(self, prefix: str) -> dict[str, Parameter]:
        start = f"{prefix}{PARAMETER_SEPARATOR_STRING}" if prefix else ""
        return {n[len(start) :]: p for n, p in self._parameters.items() if n.startswith(start)}

    def get_parameter_type(self, name: str) -> Any:
        """The number of the type; Parameter.Type.NOT_SET, no number, if undeclared and allowed."""
        if name in self._parameters:
            return self._parameters[name].type_.value
        if self._allow_undeclared_parameters:
            return Parameter.Type.NOT_SET
        raise ParameterNotDeclaredException(name)

    def get_parameter_types(self, names: list[str]) -> list[Any]:
        return [self.get_parameter_type(name) for name in names]

    def describe_parameter(self, name: str) -> Any:
        if name in self._descriptors:
            return self._descriptors[name]
        if self._allow_undeclared_parameters:
            return ParameterDescriptor()
        raise ParameterNotDeclaredException(name)

    def describe_parameters(self, names: list[str]) -> list[Any]:
        return [self.describe_parameter(name) for name in names]

    def list_parameters(self, prefixes: list[str], depth: int) -> Any:
        """Names below `prefixes` (all if empty), `depth` levels deep (0: any depth)."""
        if isinstance(prefixes, str) or not all(isinstance(prefix, str) for prefix in prefixes):
            raise TypeError("The prefixes argument must be a list of strings")
        if not isinstance(depth, int):
            raise TypeError("The depth must be an integer")
        if depth < 0:
            raise ValueError("The depth must be greater than or equal to zero")

        def within(text: str) -> bool:
            return depth == 0 or text.count(PARAMETER_SEPARATOR_STRING) < depth

        names = [
            name
            for name in self._parameters
            if (not prefixes and within(name))
            or any(
                name == prefix or (name.startswith(f"{prefix}.") and within(name[len(prefix) + 1 :]))
                for prefix in prefixes
            )
        ]
        parents = dict.fromkeys(n.rpartition(".")[0] for n in names if "." in n)
        return ListParametersResult(names=names, prefixes=list(parents))

    # ------------------------------------------------------------------ setting

    def set_parameters(self, parameter_list: list[Parameter]) -> list[Any]:
        """Set one after the other; a refused value shows in its result, not as an exception."""
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> Any:
        """Set all or none. ParameterNotDeclaredException if one was never declared."""
        if self._pre_set_parameters_callbacks:
            modified: list[Parameter] = []
            for callback in self._pre_set_parameters_callbacks:
                modified.extend(callback(parameter_list))
            parameter_list = modified
            if not parameter_list:
                return SetParametersResult(
                    successful=False,
                    reason="parameter list cannot be empty, this might be due to "
                    "pre_set_parameters_callback modifying the original parameters list.",
                )
        if not all(isinstance(parameter, Parameter) for parameter in parameter_list):
            raise TypeError(f"parameter must be instance of type '{Parameter!r}'")
        unknown = [p.name for p in parameter_list if p.name not in self._parameters]
        if unknown and not self._allow_undeclared_parameters:
            raise ParameterNotDeclaredException(unknown)
        return self._set_atomically(parameter_list)

    def _set_atomically(
        self,
        parameters: list[Parameter],
        descriptors: dict[str, Any] | None = None,
        store_not_set: bool = False,
    ) -> Any:
        for parameter in parameters:
            known = self._descriptors if descriptors is None else descriptors
            descriptor = known.get(parameter.name)
            if reason := _refusal(parameter, descriptor, declaring=descriptors is not None):
                return SetParametersResult(successful=False, reason=reason)
        for callback in self._on_set_parameters_callbacks:
            result = callback(parameters)
            if not result.successful:
                return result
        self._store(parameters, descriptors, store_not_set)
        for callback in self._post_set_parameters_callbacks:
            callback(parameters)
        return SetParametersResult(successful=True)

    def _store(
        self, parameters: list[Parameter], descriptors: dict[str, Any] | None, store_not_set: bool
    ) -> None:
        changes: dict[str, list[Any]] = {"new": [], "changed": [], "deleted": []}
        for parameter in parameters:
            name = parameter.name
            if parameter.type_ is Parameter.Type.NOT_SET and not store_not_set:
                self._parameters.pop(name, None)
                self._descriptors.pop(name, None)
                changes["deleted"].append(parameter)
                continue
            if descriptors is not None:
                self._descriptors[name] = descriptors[name]
            self._descriptors.setdefault(name, ParameterDescriptor(name=name, dynamic_typing=True))
            is_new = self.get_parameter_or(name).type_ is Parameter.Type.NOT_SET
            changes["new" if is_new else "changed"].append(parameter)
            self._parameters[name] = parameter
        if self._parameter_event_publisher and self._parameter_event_publisher.get_subscription_count():
            event = ParameterEvent(
                stamp=self._clock.now().to_msg(), node=self.get_fully_qualified_name()
            )
            for key, items in changes.items():
                setattr(event, f"{key}_parameters", [p.to_parameter_msg() for p in items])
            self._parameter_event_publisher.publish(event)

    def get_fully_qualified_name(self) -> str:
        raise NotImplementedError

    def set_descriptor(self, name: str, descriptor: Any, alternative_value: Any = None) -> Any:
        """Replace a parameter's descriptor; its type stays. Returns the parameter's value."""
        current = self.get_parameter(name)
        if self._descriptors[name].read_only:
            raise ParameterImmutableException(name)
        descriptor.name, descriptor.type = name, current.type_.value
        if alternative_value is not None:
            current = Parameter(name, value=alternative_value)
        self._declare(current, descriptor)
        return self._parameters[name].get_parameter_value()

    # ------------------------------------------------------------------ callbacks

    def add_pre_set_parameters_callback(self, callback: Callable[[Any], list[Parameter]]) -> None:
        self._pre_set_parameters_callbacks.insert(0, callback)

    def add_on_set_parameters_callback(self, callback: SetCallback) -> None:
        """Call `callback(parameters) -> SetParametersResult` before values are set; it may refuse."""
        self._on_set_parameters_callbacks.insert(0, callback)

    def add_post_set_parameters_callback(self, callback: SetCallback) -> None:
        self._post_set_parameters_callbacks.insert(0, callback)

    def remove_pre_set_parameters_callback(self, callback: Callable[[Any], Any]) -> None:
        self._pre_set_parameters_callbacks.remove(callback)

    def remove_on_set_parameters_callback(self, callback: SetCallback) -> None:
        self._on_set_parameters_callbacks.remove(callback)

    def remove_post_set_parameters_callback(self, callback: SetCallback) -> None:
        self._post_set_parameters_callbacks.remove(callback)


def _refusal(parameter: Parameter, descriptor: Any, declaring: bool) -> str:
    """Why the descriptor forbids this value, or ""."""
    if descriptor is None:
        return ""
    if descriptor.read_only and not declaring:
        return f"Trying to set a read-only parameter: {parameter.name}."
    kind = parameter.type_
    if descriptor.dynamic_typing:
        descriptor.type = kind.value
    elif kind is Parameter.Type.NOT_SET:
        return "" if declaring else "Static parameter cannot be undeclared"
    elif kind.value != descriptor.type:
        expected = Parameter.Type(descriptor.type).name
        return f"Wrong parameter type, expected '{expected}' got '{kind.name}'"
    if kind is Parameter.Type.INTEGER and descriptor.integer_range:
        limits = descriptor.integer_range[0]
        return _integer_refusal(parameter, limits.from_value, limits.to_value, limits.step)
    if kind is Parameter.Type.DOUBLE and descriptor.floating_point_range:
        limits = descriptor.floating_point_range[0]
        return _double_refusal(parameter, limits.from_value, limits.to_value, limits.step)
    return ""


def _integer_refusal(parameter: Parameter, low: int, high: int, step: int) -> str:
    value = parameter.value
    if value in (low, high):
        return ""
    if not min(low, high) <= value <= max(low, high):
        return _out_of_range(parameter, low, high)
    if step and (value - low) % step:
        return f"The parameter value for {parameter.name} is not a valid step of {step} from {low}."
    return ""


def _double_refusal(parameter: Parameter, low: float, high: float, step: float) -> str:
    value = parameter.value
    if any(abs(value - bound) <= 1e-5 * max(abs(value), abs(bound)) for bound in (low, high)):
        return ""
    if not min(low, high) <= value <= max(low, high):
        return _out_of_range(parameter, low, high)
    if step and abs((value - low) / step - round((value - low) / step)) > 1e-5:
        return f"The parameter value for {parameter.name} is not a valid step of {step} from {low}."
    return ""


def _out_of_range(parameter: Parameter, low: float, high: float) -> str:
    return (
        f"Parameter {parameter.name} out of range. "
        f"Min: {low}, Max: {high}, value: {parameter.value}"
    )
