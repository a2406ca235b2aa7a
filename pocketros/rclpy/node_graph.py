"""What a node can see of the ROS graph."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING

from pocketros import cdr
from pocketros.bus import Endpoint

from .duration import Infinite
from .exceptions import NameValidationException, NodeNameNonExistentError
from .qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from .topic_endpoint_info import TopicEndpointInfo, TopicEndpointTypeEnum
from .type_hash import TypeHash

if TYPE_CHECKING:
    from .context import Context


class GraphInterface:
    """Mixed into Node."""

    context: Context

    def resolve_topic_name(self, topic: str, *, only_expand: bool = False) -> str:
        raise NotImplementedError

    def resolve_service_name(self, service: str, *, only_expand: bool = False) -> str:
        raise NotImplementedError

    def get_node_names(self) -> list[str]:
        return [node.name for node in self.context.bus.nodes()]

    def get_fully_qualified_node_names(self) -> list[str]:
        return [node.full for node in self.context.bus.nodes()]

    def get_node_names_and_namespaces(self) -> list[tuple[str, str]]:
        return [(node.name, node.namespace) for node in self.context.bus.nodes()]

    def get_node_names_and_namespaces_with_enclaves(self) -> list[tuple[str, str, str]]:
        return [(*pair, "/") for pair in self.get_node_names_and_namespaces()]

    def get_topic_names_and_types(self, no_demangle: bool = False) -> list[tuple[str, list[str]]]:
        return self._names_and_types(("publisher", "subscription"))

    def get_service_names_and_types(self) -> list[tuple[str, list[str]]]:
        return self._names_and_types(("service",))

    def get_publisher_names_and_types_by_node(
        self, node_name: str, node_namespace: str, no_demangle: bool = False
    ) -> list[tuple[str, list[str]]]:
        return self._names_and_types(("publisher",), (node_name, node_namespace))

    def get_subscriber_names_and_types_by_node(
        self, node_name: str, node_namespace: str, no_demangle: bool = False
    ) -> list[tuple[str, list[str]]]:
        return self._names_and_types(("subscription",), (node_name, node_namespace))

    def get_service_names_and_types_by_node(
        self, node_name: str, node_namespace: str
    ) -> list[tuple[str, list[str]]]:
        return self._names_and_types(("service",), (node_name, node_namespace))

    def get_client_names_and_types_by_node(
        self, node_name: str, node_namespace: str
    ) -> list[tuple[str, list[str]]]:
        return self._names_and_types(("client",), (node_name, node_namespace))

    def _names_and_types(
        self, kinds: tuple[str, ...], node: tuple[str, str] | None = None
    ) -> list[tuple[str, list[str]]]:
        if node is not None and node not in self.get_node_names_and_namespaces():
            raise NodeNameNonExistentError(f"cannot get names and types for nonexistent node {node}")
        found: dict[str, set[str]] = {}
        for endpoint in self.context.bus.endpoints():
            owner = (endpoint.node.name, endpoint.node.namespace)
            if endpoint.kind in kinds and node in (None, owner):
                found.setdefault(endpoint.name, set()).add(endpoint.type_name)
        return [(name, sorted(types)) for name, types in sorted(found.items())]

    def count_publishers(self, topic_name: str) -> int:
        return len(self._ends("publisher", _valid(self.resolve_topic_name, topic_name)))

    def count_subscribers(self, topic_name: str) -> int:
        return len(self._ends("subscription", _valid(self.resolve_topic_name, topic_name)))

    def count_clients(self, service_name: str) -> int:
        return len(self._ends("client", _valid(self.resolve_service_name, service_name)))

    def count_services(self, service_name: str) -> int:
        return len(self._ends("service", _valid(self.resolve_service_name, service_name)))

    def get_publishers_info_by_topic(
        self, topic_name: str, no_mangle: bool = False
    ) -> list[TopicEndpointInfo]:
        return self._info("publisher", topic_name)

    def get_subscriptions_info_by_topic(
        self, topic_name: str, no_mangle: bool = False
    ) -> list[TopicEndpointInfo]:
        return self._info("subscription", topic_name)

    def wait_for_node(self, fully_qualified_node_name: str, timeout: float) -> bool:
        """Block until a node of that name is there; False when `timeout` seconds have passed."""

        def found() -> bool:
            return fully_qualified_node_name in self.get_fully_qualified_node_names()

        return self.context.bus.wait_for_change(found, timeout)

    def _ends(self, kind: str, name: str) -> list[Endpoint]:
        return self.context.bus.endpoints(kind, name)

    def _info(self, kind: str, topic_name: str) -> list[TopicEndpointInfo]:
        topic = _valid(self.resolve_topic_name, topic_name)
        return [
            TopicEndpointInfo(
                node_name=end.node.name,
                node_namespace=end.node.namespace,
                topic_type=end.type_name,
                topic_type_hash=_parse_hash(end.type_hash or cdr.type_hash(end.type_name)),
                endpoint_type=TopicEndpointTypeEnum[kind.upper()],
                endpoint_gid=list(end.gid),
                qos_profile=_in_force(end.qos),
            )
            for end in self._ends(kind, topic)
        ]


def _in_force(asked: QoSProfile) -> QoSProfile:
    """The policies as the graph shows them: what was left open is what rmw takes by default."""
    qos = copy.copy(asked)
    for name in ("deadline", "lifespan", "liveliness_lease_duration"):
        if not getattr(qos, name).nanoseconds:
            setattr(qos, name, Infinite)
    for name, default in (
        ("reliability", ReliabilityPolicy.RELIABLE),
        ("durability", DurabilityPolicy.VOLATILE),
        ("liveliness", LivelinessPolicy.AUTOMATIC),
    ):
        if getattr(qos, name).name == "SYSTEM_DEFAULT":
            setattr(qos, name, default)
    return qos


def _parse_hash(text: str) -> TypeHash:
    """The hash spelt `RIHS01_...`; an invalid one for anything else."""
    prefix, _, digits = text.partition("_")
    if prefix != "RIHS01" or len(digits) != 64:
        return TypeHash()
    return TypeHash(1, bytes.fromhex(digits))


def _valid(resolve: Callable[[str], str], name: str) -> str:
    """The resolved name; here rclpy raises a plain ValueError for an invalid one."""
    try:
        return resolve(name)
    except NameValidationException as error:
        raise ValueError(f"name {name!r} is invalid: {error}") from error
