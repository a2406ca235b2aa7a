"""Waiting for one message without spinning."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from .qos import QoSProfile

if TYPE_CHECKING:
    from .node import Node


def wait_for_message(
    msg_type: Any,
    node: Node,
    topic: str,
    *,
    qos_profile: QoSProfile | int = 1,
    time_to_wait: float = -1,
) -> tuple[bool, Any]:
    """(True, message) of the next message on `topic`; (False, None) on timeout or shutdown.

    A negative `time_to_wait` waits for ever.
    """
    profile = qos_profile if isinstance(qos_profile, QoSProfile) else QoSProfile(depth=qos_profile)
    arrived = threading.Event()
    received: list[Any] = []

    def deliver(message: Any) -> None:
        received.append(message)
        arrived.set()

    endpoint = node._endpoint("subscription", topic, msg_type, profile)
    endpoint.deliver = deliver
    node.context.on_shutdown(arrived.set)
    reader = node.context.bus.create_reader(endpoint)
    try:
        arrived.wait(None if time_to_wait < 0 else time_to_wait)
    finally:
        reader.close()
    return (True, received[0]) if received else (False, None)
