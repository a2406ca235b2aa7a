"""What a node creates: publishers, subscriptions, clients, services, timers, guards and rates."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from pocketros.bus import Endpoint, NodeName
from pocketros.messages import type_name

from ._entity import Entity
from .callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from .client import Client
from .clock import Clock
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
    InvalidServiceNameException,
    InvalidTopicNameException,
    UnsupportedFeatureError,
)
from .guard_condition import GuardCondition
from .logging import RcutilsLogger
from .publisher import Publisher
from .qos import QoSProfile, qos_profile_services_default
from .service import DeferredService, Service
from .subscription import Subscription
from .timer import Rate, Timer
from .type_support import check_is_valid_msg_type, check_is_valid_srv_type

if TYPE_CHECKING:
    pass

_E = TypeVar("_E", bound=Entity)


class EntityInterface:
    """Mixed into Node."""

    context: Context
    _id: NodeName
    _executor: Any
    _order: int
    _destroyed: bool
    _logger: RcutilsLogger
    _clock: Clock

    def _init_entities(self) -> None:
        self._publishers: list[Publisher] = []
        self._subscriptions: list[Subscription] = []
        self._clients: list[Client] = []
        self._services: list[Service] = []
        self._timers: list[Timer] = []
        self._guards: list[GuardCondition] = []
        self._rates: list[Rate] = []
        self._default_callback_group = MutuallyExclusiveCallbackGroup()

    def resolve_topic_name(self, topic: str, *, only_expand: bool = False) -> str:
        raise NotImplementedError

    def _resolve(self, name: str, error: type[Exception], only_expand: bool = False) -> str:
        raise NotImplementedError

    @property
    def default_callback_group(self) -> CallbackGroup:
        return self._default_callback_group

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

    # ------------------------------------------------------------------ creating

    def _endpoint(self, kind: str, name: str, interface: Any, qos: QoSProfile) -> Endpoint:
        if self._destroyed:
            raise InvalidHandle(f"node {self._id.full} was destroyed")
        is_service = kind in ("client", "service")
        error = InvalidServiceNameException if is_service else InvalidTopicNameException
        return Endpoint(kind, self._resolve(name, error), type_name(interface), qos, self._id)

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

    def _destroy_entities(self) -> None:
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


def _destroy(collection: list[Any], entity: Any) -> bool:
    if entity not in collection:
        return False
    collection.remove(entity)
    entity.destroy()
    return True


def _as_qos(qos_or_depth: QoSProfile | int) -> QoSProfile:
    if isinstance(qos_or_depth, QoSProfile):
        return qos_or_depth
    if not isinstance(qos_or_depth, int) or isinstance(qos_or_depth, bool):
        raise TypeError("Expected QoSProfile or int, but received " + type(qos_or_depth).__name__)
    if qos_or_depth < 0:
        raise ValueError("history depth must be greater than or equal to zero")
    return QoSProfile(depth=qos_or_depth)
