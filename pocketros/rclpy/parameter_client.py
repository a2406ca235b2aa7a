"""Reading and setting the parameters of another node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import ParameterEvent
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)

from .callback_groups import CallbackGroup
from .parameter import Parameter, parameter_dict_from_yaml_file
from .qos import QoSProfile, qos_profile_parameter_events, qos_profile_services_default
from .task import Future

if TYPE_CHECKING:
    from .node import Node
    from .subscription import Subscription

Callback = Callable[[Future], Any]


class AsyncParameterClient:
    """Calls the six parameter services of one node; each method returns the future response.

    A `callback` given to a method is called with the future when that is done.
    """

    def __init__(
        self,
        node: Node,
        remote_node_name: str,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> None:
        self.node = node
        self.remote_node_name = remote_node_name
        self._clients = {
            kind: node.create_client(
                kind, f"{remote_node_name}/{name}", qos_profile=qos_profile, callback_group=callback_group
            )
            for name, kind in (
                ("get_parameters", GetParameters),
                ("list_parameters", ListParameters),
                ("set_parameters", SetParameters),
                ("get_parameter_types", GetParameterTypes),
                ("describe_parameters", DescribeParameters),
                ("set_parameters_atomically", SetParametersAtomically),
            )
        }

    def services_are_ready(self) -> bool:
        return all(client.service_is_ready() for client in self._clients.values())

    def wait_for_services(self, timeout_sec: float | None = None) -> bool:
        """Block until all six are there; False when time is up or the context was shut down."""
        context = self.node.context

        def ready() -> bool:
            return self.services_are_ready() or not context.ok()

        context.bus.wait_for_change(ready, None if timeout_sec is None else max(0.0, timeout_sec))
        return self.services_are_ready()

    def list_parameters(
        self,
        prefixes: list[str] | None = None,
        depth: int | None = None,
        callback: Callback | None = None,
    ) -> Future:
        """Names below `prefixes` (all if empty), `depth` levels deep (None: any)."""
        request = ListParameters.Request(prefixes=prefixes or [], depth=depth or 0)
        return self._call(request, ListParameters, callback)

    def get_parameters(self, names: list[str], callback: Callback | None = None) -> Future:
        return self._call(GetParameters.Request(names=names), GetParameters, callback)

    def set_parameters(
        self, parameters: Sequence[Any], callback: Callback | None = None
    ) -> Future:
        """Set one after the other. `parameters` are Parameter objects or messages."""
        request = SetParameters.Request(parameters=_messages(parameters))
        return self._call(request, SetParameters, callback)

    def describe_parameters(self, names: list[str], callback: Callback | None = None) -> Future:
        return self._call(DescribeParameters.Request(names=names), DescribeParameters, callback)

    def get_parameter_types(self, names: list[str], callback: Callback | None = None) -> Future:
        return self._call(GetParameterTypes.Request(names=names), GetParameterTypes, callback)

    def set_parameters_atomically(
        self, parameters: Sequence[Any], callback: Callback | None = None
    ) -> Future:
        """Set all or none. `parameters` are Parameter objects or messages."""
        request = SetParametersAtomically.Request(parameters=_messages(parameters))
        return self._call(request, SetParametersAtomically, callback)

    def delete_parameters(self, names: list[str], callback: Callback | None = None) -> Future:
        """Unset parameters; only dynamically typed ones can be."""
        return self.set_parameters([Parameter(name) for name in names], callback)

    def load_parameter_file(
        self, parameter_file: str, use_wildcard: bool = False, callback: Callback | None = None
    ) -> Future:
        values = parameter_dict_from_yaml_file(parameter_file, use_wildcard)
        return self.set_parameters(list(values.values()), callback)

    def load_parameter_file_atomically(
        self, parameter_file: str, use_wildcard: bool = False, callback: Callback | None = None
    ) -> Future:
        values = parameter_dict_from_yaml_file(parameter_file, use_wildcard)
        return self.set_parameters_atomically(list(values.values()), callback)

    def on_parameter_event(
        self,
        callback: Callable[..., Any],
        qos_profile: QoSProfile = qos_profile_parameter_events,
        **options: Any,
    ) -> Subscription:
        """Subscribe to the parameter events of all nodes; options as in create_subscription."""
        return self.node.create_subscription(
            ParameterEvent, "/parameter_events", callback, qos_profile, **options
        )

    def _call(self, request: Any, kind: Any, callback: Callback | None) -> Future:
        future = self._clients[kind].call_async(request)
        if callback is not None:
            future.add_done_callback(callback)
        return future


def _messages(parameters: Sequence[Any]) -> list[Any]:
    return [p.to_parameter_msg() if isinstance(p, Parameter) else p for p in parameters]
