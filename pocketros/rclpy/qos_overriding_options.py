"""QoS policies as parameters: `qos_overrides./TOPIC.publisher.depth` and the like."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult

from .duration import Duration
from .exceptions import ParameterAlreadyDeclaredException
from .publisher import Publisher
from .qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
)
from .subscription import Subscription

if TYPE_CHECKING:
    from .node import Node

QosCallbackResult = SetParametersResult
QosCallbackType = Callable[[QoSProfile], SetParametersResult]

_ENUMS: dict[QoSPolicyKind, Any] = {
    QoSPolicyKind.DURABILITY: DurabilityPolicy,
    QoSPolicyKind.HISTORY: HistoryPolicy,
    QoSPolicyKind.LIVELINESS: LivelinessPolicy,
    QoSPolicyKind.RELIABILITY: ReliabilityPolicy,
}


class InvalidQosOverridesError(Exception):
    """The callback refused the profile that the parameters make."""


class QoSOverridingOptions:
    """Which policies of a publisher or subscription become parameters, read once at its creation."""

    def __init__(
        self,
        policy_kinds: Iterable[QoSPolicyKind],
        *,
        callback: QosCallbackType | None = None,
        entity_id: str | None = None,
    ) -> None:
        """`entity_id` tells several entities of one topic apart; `callback` may refuse a profile."""
        self._policy_kinds = policy_kinds
        self._callback = callback
        self._entity_id = entity_id

    @property
    def policy_kinds(self) -> Iterable[QoSPolicyKind]:
        return self._policy_kinds

    @property
    def callback(self) -> QosCallbackType | None:
        return self._callback

    @property
    def entity_id(self) -> str | None:
        return self._entity_id

    @classmethod
    def with_default_policies(
        cls, *, callback: QosCallbackType | None = None, entity_id: str | None = None
    ) -> QoSOverridingOptions:
        """History, depth and reliability."""
        kinds = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY)
        return cls(kinds, callback=callback, entity_id=entity_id)


def _declare_qos_parameters(
    entity_type: type, node: Node, topic_name: str, qos: QoSProfile, options: QoSOverridingOptions
) -> None:
    """Declare the parameters of one entity and write their values into `qos`."""
    if not issubclass(entity_type, Publisher | Subscription):
        raise TypeError("Argument `entity_type` should be a subclass of Publisher or Subscription")
    is_publisher = issubclass(entity_type, Publisher)
    kind = "publisher" if is_publisher else "subscription"
    suffix = "" if options.entity_id is None else f"_{options.entity_id}"
    whose = f"for {kind} `{topic_name}` with id `{options.entity_id}`"
    for policy in options.policy_kinds:
        if policy is QoSPolicyKind.LIFESPAN and not is_publisher:
            continue
        policy_name = policy.name.lower()
        name = f"qos_overrides.{topic_name}.{kind}{suffix}.{policy_name}"
        descriptor = ParameterDescriptor(description=f"{policy_name} {whose}", read_only=True)
        try:
            parameter = node.declare_parameter(name, _get_qos_policy_parameter(qos, policy), descriptor)
        except ParameterAlreadyDeclaredException:
            parameter = node.get_parameter(name)
        _override_qos_policy(qos, policy, parameter.value)
    if options.callback is not None:
        result = options.callback(qos)
        if not result.successful:
            raise InvalidQosOverridesError(
                f"Provided QoS overrides {whose}, are not valid: {result.reason}"
            )


def _get_qos_policy_parameter(qos: QoSProfile, policy: QoSPolicyKind) -> str | int | bool:
    value: Any = getattr(qos, policy.name.lower())
    if policy in _ENUMS:
        if value.name == "UNKNOWN":
            raise ValueError("User provided QoS profile is invalid")
        return str(value.name.lower())
    return value.nanoseconds if isinstance(value, Duration) else value


def _override_qos_policy(qos: QoSProfile, policy: QoSPolicyKind, value: Any) -> None:
    name = policy.name.lower()
    if policy in _ENUMS:
        if value.upper() not in _ENUMS[policy].__members__:
            raise RuntimeError(f"Unexpected QoS override for policy `{name}`: `{value}`")
        value = _ENUMS[policy][value.upper()]
    elif isinstance(getattr(qos, name), Duration):
        value = Duration(nanoseconds=value)
    setattr(qos, name, value)
