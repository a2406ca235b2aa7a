"""Nodes."""

from __future__ import annotations

from typing import Any

from pocketros import arguments, names
from pocketros.bus import NodeName

from .clock import Clock, ROSClock
from .context import Context
from .exceptions import (
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidServiceNameException,
    InvalidTopicNameException,
    NodeNameNonExistentError,
    NotInitializedException,
    WithoutHandle,
    arguments_error,
)
from .log_publisher import LogPublisher
from .logging import RcutilsLogger, get_logger
from .logging_service import LoggingService
from .node_entities import EntityInterface
from .node_graph import GraphInterface
from .node_parameters import ParameterInterface
from .parameter import Parameter
from .parameter_service import ParameterService
from .qos import qos_profile_parameter_events
from .time_source import TimeSource
from .type_description_service import TypeDescriptionService
from .utilities import get_default_context

__all__ = ["HIDDEN_NODE_PREFIX", "Node", "NodeNameNonExistentError"]

HIDDEN_NODE_PREFIX = "_"


class Node(EntityInterface, ParameterInterface, GraphInterface, WithoutHandle):
    """A node of the ROS graph. Use it as a context manager, or call destroy_node()."""

    def __init__(
        self,
        node_name: str,
        *,
        context: Context | None = None,
        cli_args: list[str] | None = None,
        namespace: str | None = None,
        use_global_arguments: bool = True,
        enable_rosout: bool = True,
        start_parameter_services: bool = True,
        parameter_overrides: list[Parameter] | None = None,
        allow_undeclared_parameters: bool = False,
        automatically_declare_parameters_from_overrides: bool = False,
        enable_logger_service: bool = False,
    ) -> None:
        self.context = context or get_default_context()
        if not self.context.ok():
            raise NotInitializedException("cannot create node")
        self._arguments = _merged_arguments(self.context, cli_args, use_global_arguments)
        self._id = _resolve_identity(self._arguments, node_name, namespace or "/")
        self._executor: Any = None
        self._order = 0
        self._destroyed = False
        self._init_entities()
        self._logger = get_logger(self._id.full.strip("/").replace("/", "."))
        self._clock: ROSClock = ROSClock()
        self._log_publisher: LogPublisher | None = None
        self._time_source = TimeSource()
        overrides = self._arguments.overrides(self._id.full)
        overrides.update({p.name: p.value for p in parameter_overrides or ()})
        self._init_parameters(overrides, allow_undeclared_parameters)
        self._bus = self.context.bus
        self._bus.add_node(self._id)
        try:
            self._create_own_entities(
                enable_rosout and self._arguments.log_to_rosout,
                automatically_declare_parameters_from_overrides,
                start_parameter_services,
                enable_logger_service,
            )
        except BaseException:
            self.destroy_node()  # a node that cannot be made leaves nothing in the graph
            raise
        self.context.track_node(self)

    def _create_own_entities(
        self, rosout: bool, declare_overrides: bool, parameter_services: bool, logger_service: bool
    ) -> None:
        self._parameter_event_publisher = self.create_publisher(
            _message("rcl_interfaces/msg/ParameterEvent"),
            "/parameter_events",
            qos_profile_parameter_events,
        )
        if declare_overrides:
            self.declare_parameters("", list(self._parameter_overrides.items()))
        if rosout:
            self._log_publisher = LogPublisher(self)
        self._time_source.attach_node(self)
        self._time_source.attach_clock(self._clock)
        if parameter_services:
            ParameterService(self)
        if logger_service:
            LoggingService(self)
        TypeDescriptionService(self)

    # ------------------------------------------------------------------ identity

    def get_name(self) -> str:
        return self._id.name

    def get_namespace(self) -> str:
        return self._id.namespace

    def get_fully_qualified_name(self) -> str:
        return self._id.full

    def get_clock(self) -> Clock:
        return self._clock

    def get_logger(self) -> RcutilsLogger:
        return self._logger

    @property
    def executor(self) -> Any:
        return self._executor

    @executor.setter
    def executor(self, new_executor: Any) -> None:
        if new_executor is self._executor:
            return
        if self._executor is not None:
            self._executor.remove_node(self)
        if new_executor is not None:
            new_executor.add_node(self)
        self._executor = new_executor

    # ------------------------------------------------------------------ names

    def resolve_topic_name(self, topic: str, *, only_expand: bool = False) -> str:
        return self._resolve(topic, InvalidTopicNameException, only_expand)

    def resolve_service_name(self, service: str, *, only_expand: bool = False) -> str:
        return self._resolve(service, InvalidServiceNameException, only_expand)

    def _resolve(self, name: str, error: type[Exception], only_expand: bool = False) -> str:
        if not isinstance(name, str):
            raise TypeError(f"a name must be a string, not {type(name).__name__}")
        if problem := names.find_name_error(name, "topic"):
            raise error(name, *problem)
        full = names.expand(name, self._id.name, self._id.namespace)
        if problem := names.find_name_error(full, "topic"):
            raise error(full, *problem)
        if only_expand:
            return full
        return self._arguments.remap(full, self._id.name, self._id.namespace) or full

    # ------------------------------------------------------------------ end

    def destroy_node(self) -> None:
        """Remove the node and all it created from the graph and from its executor."""
        if self._destroyed:
            return
        if self._executor is not None:
            self._executor.remove_node(self)
        self._time_source.detach_node()
        if self._log_publisher is not None:
            self._log_publisher.detach()
        self._destroy_entities()
        self._destroyed = True
        self._bus.remove_node(self._id)
        self.context.untrack_node(self)

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy_node()


def _message(name: str) -> Any:
    from pocketros.messages import message_class

    return message_class(name)


def _merged_arguments(
    context: Context, cli_args: list[str] | None, use_global: bool
) -> arguments.Arguments:
    """The node's own rules first (the first matching remap wins), the context's after them."""
    try:
        own = arguments.parse(cli_args or [])
    except arguments.ArgumentError as error:
        raise arguments_error(error) from error
    if not use_global:
        return own
    shared = context.arguments
    return arguments.Arguments(
        own.remaps + shared.remaps,
        shared.parameters + own.parameters,
        log_to_rosout=own.log_to_rosout and shared.log_to_rosout,
    )


def _resolve_identity(rules: arguments.Arguments, name: str, namespace: str) -> NodeName:
    if not isinstance(name, str):
        raise TypeError(f"node name must be a string, not {type(name).__name__}")
    namespace = namespace if namespace.startswith("/") else f"/{namespace}"
    final_name, final_namespace = rules.node_name(name), rules.namespace(name, namespace)
    if problem := names.find_name_error(final_name, "node"):
        raise InvalidNodeNameException(final_name, *problem)
    if problem := names.find_name_error(final_namespace, "namespace"):
        raise InvalidNamespaceException(final_namespace, *problem)
    return NodeName(final_name, final_namespace)
