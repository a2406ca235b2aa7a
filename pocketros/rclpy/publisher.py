"""Publishers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pocketros.bus import Endpoint

from .exceptions import InvalidHandle, UnsupportedFeatureError, WithoutHandle
from .qos import LivelinessPolicy, QoSProfile

if TYPE_CHECKING:
    from .event_handler import EventHandler
    from .node import Node


class Publisher(WithoutHandle):
    """Hands messages to the bus. In process, subscribers receive the very object: do not change it."""

    def __init__(self, node: Node, msg_type: type, endpoint: Endpoint) -> None:
        self.msg_type = msg_type
        self.qos_profile: QoSProfile = endpoint.qos
        self.topic = endpoint.name
        self.event_handlers: list[EventHandler] = []
        self._node = node
        self._endpoint = endpoint
        self._writer: Any = node.context.bus.create_writer(endpoint)
        self._write: Callable[[Any], None] = self._writer.write

    @property
    def topic_name(self) -> str:
        return self.topic

    def publish(self, msg: Any) -> None:
        """Publish a message, or the CDR bytes of one. TypeError if it is of another type."""
        if msg.__class__ is not self.msg_type and not isinstance(msg, self.msg_type):
            if not isinstance(msg, bytes):
                raise TypeError(f"Expected {self.msg_type}, got {type(msg)}")
            self._writer.write_cdr(msg)
            return
        self._write(msg)

    def get_subscription_count(self) -> int:
        return self._writer.matched if self._writer is not None else 0

    def assert_liveliness(self) -> None:
        """Nothing to do unless liveliness is MANUAL_BY_TOPIC, which pocketros does not monitor."""
        if self.qos_profile.liveliness == LivelinessPolicy.MANUAL_BY_TOPIC:
            raise UnsupportedFeatureError("pocketros does not monitor liveliness: assert_liveliness")

    def wait_for_all_acked(self, timeout: Any = None) -> bool:
        """Block until every reliable subscription has all that was published; False at `timeout`.

        `timeout` is a Duration; None or a negative one waits for ever.
        """
        return bool(self._writer.wait_for_acks(None if timeout is None else timeout.nanoseconds / 1e9))

    def destroy(self) -> None:
        for handler in self.event_handlers:
            handler.destroy()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._write = self._refuse

    def _refuse(self, _: Any) -> None:
        raise InvalidHandle(f"publisher of {self.topic} was destroyed")

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self._node.destroy_publisher(self)
