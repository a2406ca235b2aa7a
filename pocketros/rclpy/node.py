"""Nodes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from pocketros import arguments, names
from pocketros.bus import Endpoint, NodeName
from pocketros.messages import type_name

from ._entity import Entity
from .callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from .client import Client
from .clock import Clock, ROSClock
from .constants import S_TO_NS
from .context import Context
from .event_handler import (
    EventHandler,
    EventState,
    PublisherEventCallbacks,
    SubscriptionEventCallbacks,
)
from .exceptions import (
    InvalidHandle,
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidServiceNameException,
    InvalidTopicNameException,
    NodeNameNonExistentError,
    NotInitializedException,
    UnsupportedFeatureError,
    arguments_error,
)
from .guard_condition import GuardCondition
from .log_publisher import LogPublisher
from .logging import RcutilsLogger, get_logger
from .logging_service import LoggingService
from .node_graph import GraphInterface
from .node_parameters import ParameterInterface
from .parameter import Parameter
from .parameter_service import ParameterService
from .publisher import Publisher
from .qos import QoSProfile, qos_profile_parameter_events, qos_profile_services_default
from .service import DeferredService, Service
from .subscription import Subscription
from .time_source import TimeSource
from .timer import Rate, Timer
from .type_description_service import TypeDescriptionService
from .type_support import check_is_valid_msg_type, check_is_valid_srv_type
from .utilities import get_default_context

__all__ = ["HIDDEN_NODE_PREFIX", "Node", "NodeNameNonExistentError"]

HIDDEN_NODE_PREFIX = "_"
_E = TypeVar("_E", bound=Entity)


class Node(ParameterInterface, GraphInterface):
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
        self._publishers: list[Publisher] = []
        self._subscriptions: list[Subscription] = []
        self._clients: list[Client] = []
        self._services: list[Service] = []
        self._timers: list[Timer] = []
        self._guards: list[GuardCondition] = []
        self._rates: list[Rate] = []
        self._default_callback_group = MutuallyExclusiveCallbackGroup()
        self._logger = get_logger(self._id.full.strip("/").replace("/", "."))
        self._clock: ROSClock = ROSClock()
        self._bus = self.context.bus
        self._bus.add_node(self._id)
        overrides = self._arguments.overrides(self._id.full)
        overrides.update({p.name: p.value for p in parameter_overrides or ()})
        self._init_parameters(overrides, allow_undeclared_parameters)
        self._parameter_event_publisher = self.create_publisher(
            _message("rcl_interfaces/msg/ParameterEvent"),
            "/parameter_events",
            qos_profile_parameter_events,
        )
        if automatically_declare_parameters_from_overrides:
            self.declare_parameters("", [(name, value) for name, value in overrides.items()])
        rosout = enable_rosout and self._arguments.log_to_rosout
        self._log_publisher = LogPublisher(self) if rosout else None
        self._time_source = TimeSource(node=self)
        self._time_source.attach_clock(self._clock)
        self._parameter_service = ParameterService(self) if start_parameter_services else None
        self._logger_service = LoggingService(self) if enable_logger_service else None
        self._type_description_service = TypeDescriptionService(self)
        self.context.track_node(self)

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
    def default_callback_group(self) -> CallbackGroup:
        return self._default_callback_group

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

    @property
    def publishers(self) -> Iterator[Publisher]:
        yield from self._publishers

    @property
    def subscriptions(self) -> Iterator[Subscription]:
        yield from self._subscriptions

    @property
    def clients(self) -> Iterator[Client]:
        yield from self._clients

    @property
    def services(self) -> Iterator[Service]:
        yield from self._services

    @property
    def timers(self) -> Iterator[Timer]:
        yield from tuple(self._timers)

    @property
    def waitables(self) -> Iterator[Any]:
        """None ever: see add_waitable."""
        yield from ()

    @property
    def guards(self) -> Iterator[GuardCondition]:
        yield from self._guards

    def _entities(self) -> list[Any]:
        events = [e for entity in (*self._publishers, *self._subscriptions) for e in entity.event_handlers]
        return [
            *events, *self._timers, *self._subscriptions, *self._guards, *self._clients, *self._services
        ]  # fmt: skip

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

    def _endpoint(self, kind: str, name: str, interface: Any, qos: QoSProfile) -> Endpoint:
        if self._destroyed:
            raise InvalidHandle(f"node {self._id.full} was destroyed")
        is_service = kind in ("client", "service")
        error = InvalidServiceNameException if is_service else InvalidTopicNameException
        return Endpoint(kind, self._resolve(name, error), type_name(interface), qos, self._id)

    # ------------------------------------------------------------------ creating

    def create_publisher(
        self,
        msg_type: Any,
        topic: str,
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: PublisherEventCallbacks | None = None,
        qos_overriding_options: Any = None,
        publisher_class: type[Publisher] = Publisher,
    ) -> Publisher:
        check_is_valid_msg_type(msg_type)
        qos = self._overridden(Publisher, topic, qos_profile, qos_overriding_options)
        endpoint = self._endpoint("publisher", topic, msg_type, qos)
        events = self._watch(endpoint, event_callbacks, callback_group, topic)
        publisher = publisher_class(self, msg_type, endpoint)
        publisher.event_handlers = events
        self._publishers.append(publisher)
        self._attach_all(events)
        return publisher

    def create_subscription(
        self,
        msg_type: Any,
        topic: str,
        callback: Callable[..., Any],
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: SubscriptionEventCallbacks | None = None,
        qos_overriding_options: Any = None,
        raw: bool = False,
        content_filter_options: Any = None,
    ) -> Subscription:
        if content_filter_options is not None:
            raise UnsupportedFeatureError("pocketros has no content filtered topics")
        check_is_valid_msg_type(msg_type)
        qos = self._overridden(Subscription, topic, qos_profile, qos_overriding_options)
        endpoint = self._endpoint("subscription", topic, msg_type, qos)
        events = self._watch(endpoint, event_callbacks, callback_group, topic)
        group = callback_group or self._default_callback_group
        subscription = Subscription(self, msg_type, endpoint, callback, group, raw)
        subscription.event_handlers = events
        self._attach_all(events)
        return self._adopt(self._subscriptions, subscription)

    def create_client(
        self,
        srv_type: Any,
        srv_name: str,
        *,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Client:
        check_is_valid_srv_type(srv_type)
        endpoint = self._endpoint("client", srv_name, srv_type, qos_profile)
        group = callback_group or self._default_callback_group
        return self._adopt(self._clients, Client(self, srv_type, endpoint, group))

    def create_service(
        self,
        srv_type: Any,
        srv_name: str,
        callback: Callable[[Any, Any], Any],
        *,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Service:
        check_is_valid_srv_type(srv_type)
        endpoint = self._endpoint("service", srv_name, srv_type, qos_profile)
        group = callback_group or self._default_callback_group
        return self._adopt(self._services, Service(self, srv_type, endpoint, callback, group))

    def _create_deferred_service(
        self, srv_type: Any, name: str, callback: Any, qos: QoSProfile, group: CallbackGroup
    ) -> DeferredService:
        endpoint = self._endpoint("service", name, srv_type, qos)
        return self._adopt(
            self._services, DeferredService(self, srv_type, endpoint, callback, group)
        )

    def create_timer(
        self,
        timer_period_sec: float,
        callback: Callable[..., Any] | None,
        callback_group: CallbackGroup | None = None,
        clock: Clock | None = None,
        autostart: bool = True,
    ) -> Timer:
        """Timer on the node's clock (ROS time, thus simulated time where that is in use)."""
        group = callback_group or self._default_callback_group
        period_ns = int(float(timer_period_sec) * S_TO_NS)
        timer = Timer(
            callback, group, period_ns, clock or self._clock, context=self.context, autostart=autostart
        )
        return self._adopt(self._timers, timer)

    def create_guard_condition(
        self, callback: Callable[[], Any], callback_group: CallbackGroup | None = None
    ) -> GuardCondition:
        group = callback_group or self._default_callback_group
        return self._adopt(self._guards, GuardCondition(callback, group, self.context))

    def create_rate(self, frequency: float, clock: Clock | None = None) -> Rate:
        if frequency <= 0:
            raise ValueError("frequency must be > 0")
        rate = Rate(self.create_timer(1.0 / frequency, None, None, clock), context=self.context)
        self._rates.append(rate)
        return rate

    def add_waitable(self, waitable: Any) -> None:
        raise UnsupportedFeatureError("pocketros has no wait sets, thus no Node.add_waitable")

    def remove_waitable(self, waitable: Any) -> None:
        raise UnsupportedFeatureError("pocketros has no wait sets, thus no Node.remove_waitable")

    def _adopt(self, collection: list[_E], entity: _E) -> _E:
        collection.append(entity)
        if self._executor is not None:
            entity._attach(self._executor, self._order)
            self._executor.wake()
        return entity

    def _attach_all(self, entities: Iterable[Entity]) -> None:
        for entity in entities if self._executor is not None else ():
            entity._attach(self._executor, self._order)

    def _watch(
        self, endpoint: Endpoint, callbacks: Any, callback_group: CallbackGroup | None, topic: str
    ) -> list[EventHandler]:
        group = callback_group or self._default_callback_group
        return EventState(endpoint, callbacks, group, self._logger.name, topic).handlers

    def _overridden(
        self, kind: type, topic: str, qos_or_depth: QoSProfile | int, options: Any
    ) -> QoSProfile:
        """The profile asked for; a copy with the policies that parameters override, if any may."""
        qos = _as_qos(qos_or_depth)
        if options is None:
            return qos
        from .qos_overriding_options import _declare_qos_parameters

        qos = copy.copy(qos)
        _declare_qos_parameters(kind, self, self.resolve_topic_name(topic), qos, options)
        return qos

    # ------------------------------------------------------------------ destroying

    def destroy_publisher(self, publisher: Publisher) -> bool:
        return _destroy(self._publishers, publisher)

    def destroy_subscription(self, subscription: Subscription) -> bool:
        return _destroy(self._subscriptions, subscription)

    def destroy_client(self, client: Client) -> bool:
        return _destroy(self._clients, client)

    def destroy_service(self, service: Service) -> bool:
        return _destroy(self._services, service)

    def destroy_timer(self, timer: Timer) -> bool:
        return _destroy(self._timers, timer)

    def destroy_guard_condition(self, guard: GuardCondition) -> bool:
        return _destroy(self._guards, guard)

    def destroy_rate(self, rate: Rate) -> bool:
        if rate not in self._rates:
            return False
        self.destroy_timer(rate._timer)
        return _destroy(self._rates, rate)

    def destroy_node(self) -> None:
        """Remove the node and all it created from the graph and from its executor."""
        if self._destroyed:
            return
        if self._executor is not None:
            self._executor.remove_node(self)
        self._time_source.detach_node()
        if self._log_publisher is not None:
            self._log_publisher.detach()
        for rate in list(self._rates):
            self.destroy_rate(rate)
        collections: tuple[list[Any], ...] = (
            self._publishers, self._subscriptions, self._clients, self._services, self._timers,
            self._guards,
        )  # fmt: skip
        for collection in collections:
            for entity in collection:
                entity.destroy()
            collection.clear()
        self._destroyed = True
        self._bus.remove_node(self._id)
        self.context.untrack_node(self)

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy_node()


def _destroy(collection: list[Any], entity: Any) -> bool:
    if entity not in collection:
        return False
    collection.remove(entity)
    entity.destroy()
    return True


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


def _as_qos(qos_or_depth: QoSProfile | int) -> QoSProfile:
    if isinstance(qos_or_depth, QoSProfile):
        return qos_or_depth
    if not isinstance(qos_or_depth, int) or isinstance(qos_or_depth, bool):
        raise TypeError("Expected QoSProfile or int, but received " + type(qos_or_depth).__name__)
    if qos_or_depth < 0:
        raise ValueError("history depth must be greater than or equal to zero")
    return QoSProfile(depth=qos_or_depth)
