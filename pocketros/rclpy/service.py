"""Service servers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pocketros.bus import Endpoint

from ._entity import SERVICE, Entity
from .exceptions import UnsupportedFeatureError
from .service_introspection import ServiceIntrospectionState

if TYPE_CHECKING:
    from .callback_groups import CallbackGroup
    from .node import Node


class Service(Entity):
    """Answers requests with `callback(request, response) -> response`, plain or `async def`."""

    _kind = SERVICE

    def __init__(
        self,
        node: Node,
        srv_type: Any,
        endpoint: Endpoint,
        callback: Callable[[Any, Any], Any],
        callback_group: CallbackGroup,
    ) -> None:
        super().__init__(callback_group)
        self.srv_type = srv_type
        self.srv_name = endpoint.name
        self.qos_profile = endpoint.qos
        self.callback = callback
        self._node = node
        self._queue: deque[tuple[Any, Callable[[Any], None]]] = deque()
        endpoint.deliver = self._deliver
        self._server: Any = node.context.bus.create_server(endpoint)

    @property
    def service_name(self) -> str:
        return self.srv_name

    def configure_introspection(
        self, clock: Any, service_event_qos_profile: Any, introspection_state: int
    ) -> None:
        if introspection_state != ServiceIntrospectionState.OFF:
            raise UnsupportedFeatureError("pocketros has no service introspection")

    def destroy(self) -> None:
        if self._detach():
            self._server.close()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self._node.destroy_service(self)

    def _deliver(self, item: tuple[Any, Callable[[Any], None]]) -> None:
        self._queue.append(item)
        self._signal()

    def _pending(self) -> bool:
        return bool(self._queue)

    def _run(self) -> Any:
        try:
            request, reply = self._queue.popleft()
        except IndexError:
            return None
        result = self.callback(request, self.srv_type.Response())
        if hasattr(result, "send") and hasattr(result, "close"):
            return self._answer_later(result, reply)
        self._answer(result, reply)
        return None

    async def _answer_later(self, pending: Any, reply: Callable[[Any], None]) -> None:
        self._answer(await pending, reply)

    def _answer(self, response: Any, reply: Callable[[Any], None]) -> None:
        if not isinstance(response, self.srv_type.Response):
            raise TypeError(
                f"callback of service {self.srv_name} must return {self.srv_type.Response}, "
                f"not {type(response)}"
            )
        reply(response)


class DeferredService(Service):
    """A service that answers when it likes: `callback(request, send)` calls `send(response)`.

    Not in rclpy's API; action servers answer that way.
    """

    def _run(self) -> Any:
        try:
            request, reply = self._queue.popleft()
        except IndexError:
            return None
        return self.callback(request, lambda response: self._answer(response, reply))
