"""Hearing of changes of parameters, also those of other nodes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import ParameterEvent

from .callback_groups import CallbackGroup
from .qos import QoSProfile, qos_profile_parameter_events

if TYPE_CHECKING:
    from .node import Node


class ParameterCallbackHandle:
    """A registered callback for one parameter of one node (its full name)."""

    def __init__(self, parameter_name: str, node_name: str, callback: Callable[[Any], Any]) -> None:
        self.parameter_name = parameter_name
        self.node_name = node_name
        self.callback = callback


class ParameterEventCallbackHandle:
    """A registered callback for all parameter events."""

    def __init__(self, callback: Callable[[Any], Any]) -> None:
        self.callback = callback


class ParameterEventHandler:
    """Calls back with the message of a parameter that was set, the newest registration first."""

    def __init__(
        self,
        node: Node,
        qos_profile: QoSProfile = qos_profile_parameter_events,
        callback_group: CallbackGroup | None = None,
        event_callbacks: Any = None,
        qos_overriding_options: Any = None,
        raw: bool = False,
    ) -> None:
        self.node = node
        self.qos_profile = qos_profile
        self._callbacks = _Callbacks()
        self.parameter_event_subscription = node.create_subscription(
            ParameterEvent,
            "/parameter_events",
            self._callbacks.event_callback,
            qos_profile,
            callback_group=callback_group,
            event_callbacks=event_callbacks,
            qos_overriding_options=qos_overriding_options,
            raw=raw,
        )

    def destroy(self) -> None:
        self.node.destroy_subscription(self.parameter_event_subscription)

    @staticmethod
    def get_parameter_from_event(event: Any, parameter_name: str, node_name: str) -> Any:
        """The parameter's message if the event tells that it was set, else None."""
        if event.node != node_name:
            return None
        changes = ParameterEventHandler.get_parameters_from_event(event)
        return next((p for p in changes if p.name == parameter_name), None)

    @staticmethod
    def get_parameters_from_event(event: Any) -> Iterator[Any]:
        """Messages of all parameters that the event tells were set."""
        yield from event.new_parameters
        yield from event.changed_parameters

    def add_parameter_callback(
        self, parameter_name: str, node_name: str, callback: Callable[[Any], Any]
    ) -> ParameterCallbackHandle:
        """`node_name` may be relative to the node's namespace; "" means the node itself."""
        return self._callbacks.add_parameter_callback(
            parameter_name, self._resolve_path(node_name), callback
        )

    def remove_parameter_callback(self, handle: ParameterCallbackHandle) -> None:
        """RuntimeError if it is not registered."""
        self._callbacks.remove_parameter_callback(handle)

    def add_parameter_event_callback(
        self, callback: Callable[[Any], Any]
    ) -> ParameterEventCallbackHandle:
        return self._callbacks.add_parameter_event_callback(callback)

    def remove_parameter_event_callback(self, handle: ParameterEventCallbackHandle) -> None:
        """RuntimeError if it is not registered."""
        self._callbacks.remove_parameter_event_callback(handle)

    def _resolve_path(self, node_path: str | None = None) -> str:
        if not node_path:
            return self.node.get_fully_qualified_name()
        if node_path.startswith("/"):
            return node_path
        return f"/{self.node.get_namespace().strip('/')}/{node_path}".replace("//", "/")


class _Callbacks:
    def __init__(self) -> None:
        self.parameter_callbacks: dict[tuple[str, str], list[ParameterCallbackHandle]] = {}
        self.event_callbacks: list[ParameterEventCallbackHandle] = []
        self._lock = threading.RLock()  # a callback may add or remove callbacks

    def event_callback(self, event: Any) -> None:
        with self._lock:
            for (parameter_name, node_name), handles in list(self.parameter_callbacks.items()):
                found = ParameterEventHandler.get_parameter_from_event(event, parameter_name, node_name)
                for handle in tuple(handles) if found is not None else ():
                    handle.callback(found)
            for event_handle in tuple(self.event_callbacks):
                event_handle.callback(event)

    def add_parameter_callback(
        self, parameter_name: str, node_name: str, callback: Callable[[Any], Any]
    ) -> ParameterCallbackHandle:
        handle = ParameterCallbackHandle(parameter_name, node_name, callback)
        with self._lock:
            self.parameter_callbacks.setdefault((parameter_name, node_name), []).insert(0, handle)
        return handle

    def remove_parameter_callback(self, handle: ParameterCallbackHandle) -> None:
        key = (handle.parameter_name, handle.node_name)
        with self._lock:
            handles = self.parameter_callbacks.get(key, [])
            if handle not in handles:
                raise RuntimeError("Callback doesn't exist")
            handles.remove(handle)
            if not handles:
                del self.parameter_callbacks[key]

    def add_parameter_event_callback(
        self, callback: Callable[[Any], Any]
    ) -> ParameterEventCallbackHandle:
        handle = ParameterEventCallbackHandle(callback)
        with self._lock:
            self.event_callbacks.insert(0, handle)
        return handle

    def remove_parameter_event_callback(self, handle: ParameterEventCallbackHandle) -> None:
        with self._lock:
            if handle not in self.event_callbacks:
                raise RuntimeError("Callback doesn't exist")
            self.event_callbacks.remove(handle)
