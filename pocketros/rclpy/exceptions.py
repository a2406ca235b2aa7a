"""The exceptions of rclpy."""

from __future__ import annotations

from typing import Any

from pocketros.arguments import ArgumentError, UnknownArgumentError


class NotInitializedException(Exception):
    """rclpy is used before rclpy.init()."""

    def __init__(self, message: str | None = None) -> None:
        text = "rclpy.init() has not been called."
        super().__init__(f"{text} msg:{message}" if message else text)


class InvalidHandle(Exception):
    """An entity is used after it was destroyed."""


class UnknownROSArgsError(RuntimeError):
    """The command line has a ROS argument that is not understood."""


class NoTypeSupportImportedException(Exception):
    """A class that rosidl generated, whose C type support is not there."""

    def __init__(self) -> None:
        super().__init__("no type_support imported")


class UnsupportedFeatureError(NotImplementedError):
    """The call is rclpy's, but pocketros does not offer what it asks for. A RuntimeError too."""


class NoHandleError(UnsupportedFeatureError, AttributeError):
    """A C handle was asked for. An AttributeError too, so that hasattr() works."""


class WithoutHandle:
    """Base of what has a C handle in rclpy."""

    @property
    def handle(self) -> Any:
        raise NoHandleError(f"pocketros has no C handles: {type(self).__name__}.handle")


class RCLError(RuntimeError):
    """An error that genuine rclpy receives from its C library."""


class NodeNameNonExistentError(RCLError):
    """The graph has no node of that name."""


class RCLInvalidROSArgsError(RCLError):
    """The command line has a ROS argument that cannot be parsed."""


def arguments_error(error: ArgumentError) -> RuntimeError:
    """rclpy's exception for what is wrong with a command line."""
    unknown = isinstance(error, UnknownArgumentError)
    return (UnknownROSArgsError if unknown else RCLInvalidROSArgsError)(str(error))


class ROSInterruptException(Exception):
    """An operation was cancelled because the context was shut down."""

    def __init__(self) -> None:
        super().__init__("rclpy.shutdown() has been called")


class NameValidationException(ValueError):
    """An invalid name. In rclpy some of these calls raise a plain ValueError: this is both."""

    def __init__(self, name_type: str, name: str, error_msg: str, invalid_index: int) -> None:
        marker = " " * invalid_index + "^"
        super().__init__(f"Invalid {name_type}: {error_msg}:\n  '{name}'\n   {marker}")


class InvalidNamespaceException(NameValidationException):
    def __init__(self, name: str, error_msg: str, invalid_index: int) -> None:
        super().__init__("namespace", name, error_msg, invalid_index)


class InvalidNodeNameException(NameValidationException):
    def __init__(self, name: str, error_msg: str, invalid_index: int) -> None:
        super().__init__("node name", name, error_msg, invalid_index)


class InvalidTopicNameException(NameValidationException):
    def __init__(self, name: str, error_msg: str, invalid_index: int) -> None:
        super().__init__("topic name", name, error_msg, invalid_index)


class InvalidServiceNameException(NameValidationException):
    def __init__(self, name: str, error_msg: str, invalid_index: int) -> None:
        super().__init__("service name", name, error_msg, invalid_index)


class ParameterException(Exception):
    def __init__(self, error_msg: str, parameters: Any) -> None:
        super().__init__(f"{error_msg}: {parameters}")


class ParameterNotDeclaredException(ParameterException):
    def __init__(self, parameters: Any) -> None:
        super().__init__("Invalid access to undeclared parameter(s)", parameters)


class ParameterAlreadyDeclaredException(ParameterException):
    def __init__(self, parameters: Any) -> None:
        super().__init__("Parameter(s) already declared", parameters)


class InvalidParameterException(ParameterException):
    def __init__(self, parameter_name: str) -> None:
        super().__init__("Invalid parameter name", parameter_name)


class InvalidParameterTypeException(ParameterException):
    def __init__(self, desired_parameter: Any, expected_type: str) -> None:
        super().__init__(
            f"Trying to set parameter '{desired_parameter.name}' to '{desired_parameter.value}' "
            f"of type '{desired_parameter.type_.name}', expecting type '{expected_type}'",
            desired_parameter.name,
        )


class InvalidParameterValueException(ParameterException):
    def __init__(self, parameter: str, value: Any, reason: str) -> None:
        super().__init__(
            f"Invalid parameter value ({value}) for parameter. Reason: {reason}", parameter
        )


class ParameterImmutableException(ParameterException):
    def __init__(self, parameter_name: str) -> None:
        super().__init__("Attempted to modify read-only parameter", parameter_name)


class ParameterUninitializedException(ParameterException):
    def __init__(self, parameter_name: str) -> None:
        super().__init__(f"The parameter '{parameter_name}' is not initialized", parameter_name)
