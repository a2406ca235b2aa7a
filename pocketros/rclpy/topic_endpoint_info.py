"""What the graph tells about one publisher or subscription."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from .qos import HistoryPolicy, QoSPresetProfiles, QoSProfile
from .type_hash import TypeHash


class TopicEndpointTypeEnum(IntEnum):
    INVALID = 0
    PUBLISHER = 1
    SUBSCRIPTION = 2


def _integers(value: Any) -> Any:
    return value if all(isinstance(item, int) for item in value) else None


_CONVERSIONS: dict[str, Any] = {
    "node_name": lambda v: v if isinstance(v, str) else None,
    "node_namespace": lambda v: v if isinstance(v, str) else None,
    "topic_type": lambda v: v if isinstance(v, str) else None,
    "topic_type_hash": lambda v: TypeHash(**v) if isinstance(v, dict) else _of(TypeHash, v),
    "endpoint_type": lambda v: TopicEndpointTypeEnum(v) if isinstance(v, int) else None,
    "endpoint_gid": _integers,
    "qos_profile": lambda v: QoSProfile(**v) if isinstance(v, dict) else _of(QoSProfile, v),
}
"""Field -> value to store, or None for one of the wrong type (AssertionError, as in rclpy)."""


def _of(kind: type, value: Any) -> Any:
    return value if isinstance(value, kind) else None


class TopicEndpointInfo:
    __slots__ = tuple(_CONVERSIONS)

    node_name: str
    node_namespace: str
    topic_type: str
    topic_type_hash: TypeHash
    endpoint_type: TopicEndpointTypeEnum
    endpoint_gid: Sequence[int]
    qos_profile: QoSProfile

    def __init__(self, **fields: Any) -> None:
        if unknown := fields.keys() - _CONVERSIONS.keys():
            raise AssertionError(f"Invalid arguments passed to constructor: {sorted(unknown)}")
        defaults: dict[str, Any] = {
            "node_name": "", "node_namespace": "", "topic_type": "", "topic_type_hash": TypeHash(),
            "endpoint_type": TopicEndpointTypeEnum.INVALID, "endpoint_gid": [],
            "qos_profile": QoSPresetProfiles.UNKNOWN.value,
        }  # fmt: skip
        for name, default in defaults.items():
            setattr(self, name, fields.get(name, default))

    def __setattr__(self, name: str, value: Any) -> None:
        converted = _CONVERSIONS[name](value) if name in _CONVERSIONS else value
        if converted is None:
            raise AssertionError(f"{name} can not be {value!r}")
        object.__setattr__(self, name, converted)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TopicEndpointInfo):
            return False
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        qos = self.qos_profile
        depth = f" ({qos.depth})" if qos.history == HistoryPolicy.KEEP_LAST else ""
        return "\n".join([
            f"Node name: {self.node_name}",
            f"Node namespace: {self.node_namespace}",
            f"Topic type: {self.topic_type}",
            f"Topic type hash: {self.topic_type_hash}",
            f"Endpoint type: {self.endpoint_type.name}",
            f"GID: {'.'.join(format(x, '02x') for x in self.endpoint_gid)}",
            "QoS profile:",
            f"  Reliability: {qos.reliability.name}",
            f"  History (Depth): {qos.history.name}{depth}",
            f"  Durability: {qos.durability.name}",
            f"  Lifespan: {qos.lifespan}",
            f"  Deadline: {qos.deadline}",
            f"  Liveliness: {qos.liveliness.name}",
            f"  Liveliness lease duration: {qos.liveliness_lease_duration}",
        ])
