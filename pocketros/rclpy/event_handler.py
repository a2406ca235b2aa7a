"""Events of publishers and subscriptions: peers that match or do not, messages that got lost.

The executor calls the callbacks, like all others; the warnings that stand in for missing callbacks
are logged at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from . import logging
from ._entity import TASK, Entity
from .exceptions import UnsupportedFeatureError
from .qos import QoSPolicyKind

if TYPE_CHECKING:
    from pocketros.bus import Endpoint

    from .callback_groups import CallbackGroup


@dataclass(frozen=True, slots=True)
class _CountInfo:
    total_count: int = 0
    total_count_change: int = 0


class IncompatibleTypeInfo(_CountInfo):
    """A peer of another type."""


class QoSMessageLostInfo(_CountInfo):
    """Messages that did not arrive, or arrived as something else than the type says."""


@dataclass(frozen=True, slots=True)
class QoSRequestedIncompatibleQoSInfo(_CountInfo):
    """A peer whose policies do not match, and the last such policy."""

    last_policy_kind: QoSPolicyKind = QoSPolicyKind.INVALID


@dataclass(frozen=True, slots=True)
class QoSSubscriptionMatchedInfo(_CountInfo):
    """Peers that came or went."""

    current_count: int = 0
    current_count_change: int = 0


@dataclass(frozen=True, slots=True)
class QoSLivelinessChangedInfo:
    """Never raised here; for annotations."""

    alive_count: int = 0
    not_alive_count: int = 0
    alive_count_change: int = 0
    not_alive_count_change: int = 0


class QoSLivelinessLostInfo(_CountInfo):
    """Never raised here; for annotations."""


class QoSRequestedDeadlineMissedInfo(_CountInfo):
    """Never raised here; for annotations."""


class QoSOfferedDeadlineMissedInfo(_CountInfo):
    """Never raised here; for annotations."""


QoSOfferedIncompatibleQoSInfo = QoSRequestedIncompatibleQoSInfo
QoSPublisherMatchedInfo = QoSSubscriptionMatchedInfo


class QoSPublisherEventType(IntEnum):
    RCL_PUBLISHER_OFFERED_DEADLINE_MISSED = 0
    RCL_PUBLISHER_LIVELINESS_LOST = 1
    RCL_PUBLISHER_OFFERED_INCOMPATIBLE_QOS = 2
    RCL_PUBLISHER_INCOMPATIBLE_TYPE = 3
    RCL_PUBLISHER_MATCHED = 4


class QoSSubscriptionEventType(IntEnum):
    RCL_SUBSCRIPTION_REQUESTED_DEADLINE_MISSED = 0
    RCL_SUBSCRIPTION_LIVELINESS_CHANGED = 1
    RCL_SUBSCRIPTION_REQUESTED_INCOMPATIBLE_QOS = 2
    RCL_SUBSCRIPTION_MESSAGE_LOST = 3
    RCL_SUBSCRIPTION_INCOMPATIBLE_TYPE = 4
    RCL_SUBSCRIPTION_MATCHED = 5


class UnsupportedEventTypeError(UnsupportedFeatureError):
    """pocketros does not monitor deadlines and liveliness."""


@dataclass(slots=True)
class _EventCallbacks:
    deadline: Callable[[Any], Any] | None = None
    liveliness: Callable[[Any], Any] | None = None
    incompatible_qos: Callable[[QoSRequestedIncompatibleQoSInfo], Any] | None = None
    incompatible_type: Callable[[IncompatibleTypeInfo], Any] | None = None
    matched: Callable[[QoSSubscriptionMatchedInfo], Any] | None = None
    use_default_callbacks: bool = True

    def __post_init__(self) -> None:
        self.refuse_unsupported()

    def refuse_unsupported(self) -> None:
        for name in ("deadline", "liveliness"):
            if getattr(self, name) is not None:
                raise UnsupportedEventTypeError(f"pocketros raises no {name!r} events")


@dataclass(slots=True)
class PublisherEventCallbacks(_EventCallbacks):
    pass


@dataclass(slots=True)
class SubscriptionEventCallbacks(_EventCallbacks):
    message_lost: Callable[[QoSMessageLostInfo], Any] | None = None


class EventHandler(Entity):
    """Calls `callback(info)` for each event of one kind. `at_once`: in the thread that tells of it."""

    _kind = TASK  # within a node, events come first

    def __init__(
        self,
        *,
        callback_group: CallbackGroup,
        callback: Callable[[Any], Any],
        event_type: str,
        at_once: bool = False,
    ) -> None:
        super().__init__(callback_group)
        self.callback = callback
        self.event_type = event_type
        self._at_once = at_once
        self._queue: deque[Any] = deque()

    def _deliver(self, info: Any) -> None:
        if self._at_once:
            self.callback(info)
        else:
            self._queue.append(info)
            self._signal()

    def _pending(self) -> bool:
        return bool(self._queue)

    def _run(self) -> Any:
        return self.callback(self._queue.popleft()) if self._queue else None

    def destroy(self) -> None:
        self._detach()
        self._queue.clear()


class EventState:
    """Counts what the bus reports for one endpoint and hands it to the handlers."""

    def __init__(
        self,
        endpoint: Endpoint,
        callbacks: Any,
        callback_group: CallbackGroup,
        logger_name: str,
        topic: str,
    ) -> None:
        """`topic` is the name as the program gave it: warnings use that."""
        callbacks = callbacks or _EventCallbacks()
        callbacks.refuse_unsupported()
        self._kind, self._topic = endpoint.kind, topic
        self._logger_name = logger_name
        self._counts = {"incompatible_qos": 0, "incompatible_type": 0, "message_lost": 0}
        self._matched_total = self._matched_now = 0
        defaults = {
            "incompatible_qos": self._warn_of_qos,
            "incompatible_type": self._warn_of_type,
        }
        self._handlers: dict[str, EventHandler] = {}
        for kind in ("incompatible_qos", "incompatible_type", "matched", "message_lost"):
            given = getattr(callbacks, kind, None)
            callback = given or (defaults.get(kind) if callbacks.use_default_callbacks else None)
            if callback is not None:
                self._handlers[kind] = EventHandler(
                    callback_group=callback_group, callback=callback, event_type=kind, at_once=given is None
                )
        self._warns_of_losses = callbacks.use_default_callbacks
        endpoint.on_mismatch = self._on_mismatch
        endpoint.on_match = self._on_match
        endpoint.on_lost = self._on_lost

    @property
    def handlers(self) -> list[EventHandler]:
        return list(self._handlers.values())

    def _raise(self, kind: str, info: Any) -> None:
        if handler := self._handlers.get(kind):
            handler._deliver(info)

    def _count(self, kind: str, change: int) -> tuple[int, int]:
        self._counts[kind] += change
        return self._counts[kind], change

    def _on_mismatch(self, reason: str) -> None:
        if reason == "TYPE":
            self._raise("incompatible_type", IncompatibleTypeInfo(*self._count("incompatible_type", 1)))
            return
        counts = self._count("incompatible_qos", 1)
        info = QoSRequestedIncompatibleQoSInfo(*counts, QoSPolicyKind[reason])
        self._raise("incompatible_qos", info)

    def _on_match(self, current: int) -> None:
        change = current - self._matched_now
        self._matched_now = current
        self._matched_total += max(0, change)
        info = QoSSubscriptionMatchedInfo(self._matched_total, max(0, change), current, change)
        self._raise("matched", info)

    def _on_lost(self, reason: str, count: int) -> None:
        """Messages dropped; what the middleware lost is its business unless somebody asks."""
        total, _ = counts = self._count("message_lost", count)
        if "message_lost" in self._handlers:
            self._raise("message_lost", QoSMessageLostInfo(*counts))
        elif reason != "LOST" and self._warns_of_losses and _is_round(total):
            self._warn(
                f"{self._kind} on {self._topic!r}: {total} messages dropped so far, "
                f"the last as {reason}"
            )

    def _warn_of_qos(self, info: QoSRequestedIncompatibleQoSInfo) -> None:
        peer, verb, consequence = (
            ("subscription", "requesting", "No messages will be sent to it.")
            if self._kind == "publisher"
            else ("publisher", "offering", "No messages will be received from it.")
        )
        self._warn(
            f"New {peer} discovered on topic '{self._topic}', {verb} incompatible QoS. "
            f"{consequence} Last incompatible policy: {info.last_policy_kind.name}"
        )

    def _warn_of_type(self, _: IncompatibleTypeInfo) -> None:
        self._warn(f"Incompatible type on topic '{self._topic}', no messages will be sent to it.")

    def _warn(self, text: str) -> None:
        logging.get_logger(self._logger_name).warn(text)


def _is_round(count: int) -> bool:
    """True for 1, 2, 4, 8...: a flood of bad messages must not become a flood of warnings."""
    return count & (count - 1) == 0
