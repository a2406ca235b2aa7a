"""The services through which other nodes read and set a node's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)

from .exceptions import ParameterNotDeclaredException, ParameterUninitializedException
from .parameter import Parameter
from .qos import qos_profile_parameters

if TYPE_CHECKING:
    from .node import Node


class ParameterService:
    """The six services through which other nodes read and set parameters."""

    def __init__(self, node: Node) -> None:
        self._node = node
        for name, kind, handler in (
            ("describe_parameters", DescribeParameters, self._describe),
            ("get_parameters", GetParameters, self._get),
            ("get_parameter_types", GetParameterTypes, self._get_types),
            ("list_parameters", ListParameters, self._list),
            ("set_parameters", SetParameters, self._set),
            ("set_parameters_atomically", SetParametersAtomically, self._set_atomically),
        ):
            node.create_service(kind, f"~/{name}", handler, qos_profile=qos_profile_parameters)

    def _describe(self, request: Any, response: Any) -> Any:
        for name in request.names:
            try:
                response.descriptors.append(self._node.describe_parameter(name))
            except ParameterNotDeclaredException:
                response.descriptors = [ParameterDescriptor()]
                break
        return response

    def _get(self, request: Any, response: Any) -> Any:
        for name in request.names:
            try:
                value = self._node.get_parameter(name).get_parameter_value()
            except (ParameterNotDeclaredException, ParameterUninitializedException):
                response.values = []
                return response
            response.values.append(value)
        return response

    def _get_types(self, request: Any, response: Any) -> Any:
        try:
            kinds = self._node.get_parameter_types(request.names)
            response.types = [getattr(kind, "value", kind) for kind in kinds]
        except ParameterNotDeclaredException:
            response.types = []
        return response

    def _list(self, request: Any, response: Any) -> Any:
        response.result = self._node.list_parameters(list(request.prefixes), request.depth)
        return response

    def _set(self, request: Any, response: Any) -> Any:
        for message in request.parameters:
            parameter = Parameter.from_parameter_msg(message)
            response.results.append(self._try([parameter]))
        return response

    def _set_atomically(self, request: Any, response: Any) -> Any:
        response.result = self._try([Parameter.from_parameter_msg(m) for m in request.parameters])
        return response

    def _try(self, parameters: list[Parameter]) -> Any:
        try:
            return self._node.set_parameters_atomically(parameters)
        except ParameterNotDeclaredException as error:
            return SetParametersResult(successful=False, reason=str(error))
