"""Subscriptions."""

from __future__ import annotations

import inspect
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from pocketros import cdr
from pocketros.bus import Endpoint, Packet

from ._entity import SUBSCRIPTION, Entity
from .qos import QoSProfile, effective_depth

if TYPE_CHECKING:
    from .callback_groups import CallbackGroup
    from .event_handler import EventHandler
    from .node import Node


class Subscription(Entity):
    """A queue of at most `depth` messages (the oldest is dropped) and the callback that takes them.

    A callback with two parameters also receives a dict with `source_timestamp` and
    `received_timestamp` in nanoseconds of system time. With `raw=True` it receives CDR bytes.
    """

    class CallbackType(Enum):
        MessageOnly = 0
        WithMessageInfo = 1

    _kind = SUBSCRIPTION

    def __init__(
        self,
        node: Node,
        msg_type: type,
        endpoint: Endpoint,
        callback: Callable[..., Any],
        callback_group: CallbackGroup,
        raw: bool,
    ) -> None:
        super().__init__(callback_group)
        self.msg_type = msg_type
        self.qos_profile: QoSProfile = endpoint.qos
        self.topic = endpoint.name
        self.raw = raw
        self.callback = callback
        self.event_handlers: list[EventHandler] = []
        self._node = node
        self._endpoint = endpoint
        self._queue: deque[Any] = deque(maxlen=effective_depth(endpoint.qos))
        endpoint.lazy = True
        endpoint.deliver = self._deliver_with_info if self._wants_info else self._deliver
        self._reader: Any = node.context.bus.create_reader(endpoint)

    @property
    def topic_name(self) -> str:
        return self.topic

    @property
    def callback(self) -> Callable[..., Any]:
        return self._callback

    @callback.setter
    def callback(self, value: Callable[..., Any]) -> None:
        self._callback = value
        self._wants_info = _takes_info(value)

    @property
    def _callback_type(self) -> CallbackType:
        return self.CallbackType(self._wants_info)

    def get_publisher_count(self) -> int:
        return int(self._reader.matched)

    def destroy(self) -> None:
        for handler in self.event_handlers:
            handler.destroy()
        if self._detach():
            self._reader.close()
            self._queue.clear()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self._node.destroy_subscription(self)

    def _deliver(self, message: Any) -> None:
        self._queue.append(message)
        if not self._queued:
            self._signal()

    def _deliver_with_info(self, message: Any) -> None:
        sent = received = time.time_ns()
        if message.__class__ is Packet:
            sent, received = message.source_ns, message.received_ns
        self._deliver((message, {"source_timestamp": sent, "received_timestamp": received}))

    def _pending(self) -> bool:
        return bool(self._queue)

    def _run(self) -> Any:
        try:
            message = self._queue.popleft()
        except IndexError:
            return None
        info = None
        if self._wants_info:
            message, info = message
        if message.__class__ is Packet:
            try:
                message = bytes(message.data) if self.raw else cdr.deserialize(message.data, self.msg_type)
            except cdr.CdrError:  # somebody else's bytes: counted, and not worth an exception here
                self._endpoint.report_lost("MALFORMED")
                return None
        elif self.raw:
            message = cdr.serialize(message)
        return self._callback(message, info) if self._wants_info else self._callback(message)


def _takes_info(callback: Callable[..., Any]) -> bool:
    """True for a callback with two positional parameters, as rclpy decides it."""
    if not callable(callback):
        raise TypeError("subscription callback must be callable")
    try:
        inspect.signature(callback).bind(object())
        return False
    except TypeError:
        pass
    except ValueError:  # a builtin without signature
        return False
    try:
        inspect.signature(callback).bind(object(), object())
    except TypeError:
        raise RuntimeError(
            "Subscription.callback should be callable with one argument (the message) "
            "or two (the message and its info)"
        ) from None
    return True
