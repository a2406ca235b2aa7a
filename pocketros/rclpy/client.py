"""Service clients."""

from __future__ import annotations

import copy
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from pocketros.bus import Endpoint

from ._entity import CLIENT, Entity
from .exceptions import UnsupportedFeatureError
from .service_introspection import ServiceIntrospectionState
from .task import Future

if TYPE_CHECKING:
    from .callback_groups import CallbackGroup
    from .node import Node


class Client(Entity):
    """Calls a service. Replies are taken by the executor that spins the client's node."""

    _kind = CLIENT

    def __init__(
        self, node: Node, srv_type: Any, endpoint: Endpoint, callback_group: CallbackGroup
    ) -> None:
        super().__init__(callback_group)
        self.srv_type = srv_type
        self.srv_name = endpoint.name
        self.qos_profile = endpoint.qos
        self.context = node.context
        self._node = node
        self._lock = threading.Lock()
        self._replies: deque[tuple[int, Any]] = deque()
        self._pending_requests: dict[int, Future] = {}
        endpoint.deliver = self._deliver
        self._requester: Any = node.context.bus.create_requester(endpoint)
        node.context.on_shutdown(self._abandon)

    @property
    def service_name(self) -> str:
        return self.srv_name

    def call(self, request: Any, timeout_sec: float | None = None) -> Any:
        """Call and block until the reply; None when `timeout_sec` has passed.

        Another thread must be spinning: inside a callback of a single-threaded executor this
        never returns, in genuine rclpy as here.
        """
        self._check(request)
        arrived = threading.Event()
        future = self.call_async(request)
        future._when_done(arrived.set)
        if not arrived.wait(timeout_sec):
            self.remove_pending_request(future)
            return None
        return future.result()

    def call_async(self, request: Any) -> Future:
        self._check(request)
        future = Future(executor=self._executor)
        request = copy.copy(request)  # in process the server gets this object: callers reuse theirs
        with self._lock:  # the reply may come before send() has returned
            sequence = self._requester.send(request)
            self._pending_requests[sequence] = future
        return future

    def _check(self, request: Any) -> None:
        if not isinstance(request, self.srv_type.Request):
            raise TypeError(f"expected {self.srv_type.Request}, got {type(request)}")

    def get_pending_request(self, sequence_number: int) -> Future:
        with self._lock:
            return self._pending_requests[sequence_number]

    def remove_pending_request(self, future: Future) -> None:
        with self._lock:
            for sequence, pending in list(self._pending_requests.items()):
                if pending is future:
                    del self._pending_requests[sequence]

    def service_is_ready(self) -> bool:
        return bool(self._requester.matched)

    def wait_for_service(self, timeout_sec: float | None = None) -> bool:
        """Block until a server is there; False when time is up or the context was shut down."""
        bus = self.context.bus
        bus.wait_for_change(lambda: self.service_is_ready() or not self.context.ok(), timeout_sec)
        return self.service_is_ready()

    def configure_introspection(
        self, clock: Any, service_event_qos_profile: Any, introspection_state: int
    ) -> None:
        if introspection_state != ServiceIntrospectionState.OFF:
            raise UnsupportedFeatureError("pocketros has no service introspection")

    def destroy(self) -> None:
        if self._detach():
            self._requester.close()
            self._abandon()

    def _abandon(self) -> None:
        """Cancel what will not be answered any more, so that nobody waits for it."""
        with self._lock:
            pending, self._pending_requests = self._pending_requests, {}
        for future in pending.values():
            future.cancel()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._node.destroy_client(self)

    def _deliver(self, item: tuple[int, Any]) -> None:
        self._replies.append(item)
        self._signal()

    def _pending(self) -> bool:
        return bool(self._replies)

    def _run(self) -> Any:
        try:
            sequence, reply = self._replies.popleft()
        except IndexError:
            return None
        with self._lock:
            future = self._pending_requests.pop(sequence, None)
        if future is not None and not future.cancelled():
            future._set_executor(self._executor)
            future.set_result(reply)
        return None
