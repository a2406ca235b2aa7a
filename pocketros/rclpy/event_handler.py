"""Event callbacks of publishers and subscriptions that the in-process bus can raise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from .exceptions import UnsupportedFeatureError


@dataclass(frozen=True, slots=True)
class QoSIncompatibleInfo:
    """`last_policy_kind` is the policy's name, such as "RELIABILITY"."""

    total_count: int
    total_count_change: int
    last_policy_kind: str


@dataclass(frozen=True, slots=True)
class IncompatibleTypeInfo:
    total_count: int
    total_count_change: int


@dataclass(frozen=True, slots=True)
class MessageLostInfo:
    """Messages that did not arrive, or arrived as something else than the type says."""

    total_count: int
    total_count_change: int


@dataclass(frozen=True, slots=True)
class MatchedInfo:
    total_count: int
    total_count_change: int
    current_count: int
    current_count_change: int


@dataclass(slots=True)
class _EventCallbacks:
    deadline: Callable[[Any], None] | None = None
    liveliness: Callable[[Any], None] | None = None
    incompatible_qos: Callable[[QoSIncompatibleInfo], None] | None = None
    incompatible_type: Callable[[IncompatibleTypeInfo], None] | None = None
    matched: Callable[[MatchedInfo], None] | None = None
    use_default_callbacks: bool = True

    def __post_init__(self) -> None:
        offered = {
            "incompatible_qos", "incompatible_type", "matched", "message_lost",
            "use_default_callbacks",
        }  # fmt: skip
        for item in fields(self):
            if item.name not in offered and getattr(self, item.name) is not None:
                raise UnsupportedFeatureError(f"pocketros raises no {item.name!r} events")


@dataclass(slots=True)
class PublisherEventCallbacks(_EventCallbacks):
    pass


@dataclass(slots=True)
class SubscriptionEventCallbacks(_EventCallbacks):
    message_lost: Callable[[MessageLostInfo], None] | None = None


class EventState:
    """Counts what the bus reports for one endpoint and calls the callbacks or warns."""

    def __init__(self, callbacks: _EventCallbacks | None, warn: Callable[[str], Any]) -> None:
        self._callbacks = callbacks or _EventCallbacks()
        self._warn = warn
        self._counts = {"TYPE": 0, "QOS": 0}
        self._lost = 0
        self._matched_total = 0
        self._matched_now = 0

    def mismatch(self, reason: str) -> None:
        key = "TYPE" if reason == "TYPE" else "QOS"
        self._counts[key] += 1
        count = self._counts[key]
        if reason == "TYPE" and self._callbacks.incompatible_type:
            self._callbacks.incompatible_type(IncompatibleTypeInfo(count, 1))
        elif reason != "TYPE" and self._callbacks.incompatible_qos:
            self._callbacks.incompatible_qos(QoSIncompatibleInfo(count, 1, reason))
        elif self._callbacks.use_default_callbacks:
            what = "type" if reason == "TYPE" else f"QoS. Last incompatible policy: {reason}"
            self._warn(f"incompatible {what}; no messages will pass between them")

    def lose(self, reason: str, count: int) -> None:
        """Messages dropped; what the middleware lost is its business unless somebody asks."""
        self._lost += count
        callback = getattr(self._callbacks, "message_lost", None)
        if callback is not None:
            callback(MessageLostInfo(self._lost, count))
        elif reason != "LOST" and self._callbacks.use_default_callbacks and _is_round(self._lost):
            self._warn(f"{self._lost} messages dropped so far, the last as {reason}")

    def match(self, current: int) -> None:
        change = current - self._matched_now
        self._matched_now = current
        self._matched_total += max(0, change)
        if self._callbacks.matched:
            self._callbacks.matched(
                MatchedInfo(self._matched_total, max(0, change), current, change)
            )


def _is_round(count: int) -> bool:
    """True for 1, 2, 4, 8...: a flood of bad messages must not become a flood of warnings."""
    return count & (count - 1) == 0
