"""QoS profiles as bags hold them, to and from rclpy's."""

from __future__ import annotations

from typing import Any

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

SECOND_NS = 1_000_000_000
INFINITE_NS = (1 << 63) - 1


def offered(profile: Any) -> Qos:
    """What a bag says of a publisher's rclpy profile."""
    return Qos(
        QosHistory(int(profile.history)),
        profile.depth,
        QosReliability(int(profile.reliability)),
        QosDurability(int(profile.durability)),
        _time(profile.deadline),
        _time(profile.lifespan),
        QosLiveliness(int(profile.liveliness)),
        _time(profile.liveliness_lease_duration),
        bool(profile.avoid_ros_namespace_conventions),
    )


def to_publish(topic: str, offers: list[Qos]) -> tuple[Any, str]:
    """The rclpy profile to play a topic with, and a warning where its publishers' differed."""
    from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

    if not offers:
        return QoSProfile(depth=10), ""
    if any(_matching(offer) != _matching(offers[0]) for offer in offers):
        return QoSProfile(depth=10), (
            f"Not all original publishers on topic {topic} offered the same QoS profiles. "
            "Falling back to the default publisher offer."
        )
    first = offers[0]
    profile = QoSProfile(
        depth=max(first.depth, 10),
        reliability=ReliabilityPolicy[_known(first.reliability, "RELIABLE")],
        durability=DurabilityPolicy[_known(first.durability, "VOLATILE")],
        liveliness=LivelinessPolicy[_known(first.liveliness, "AUTOMATIC")],
        deadline=_duration(first.deadline),
        lifespan=_duration(first.lifespan),
        liveliness_lease_duration=_duration(first.liveliness_lease_duration),
    )
    return profile, ""


def _matching(offer: Qos) -> tuple[Any, ...]:
    """The policies that decide who is matched; history and lifespan do not."""
    return (offer.reliability, offer.durability, offer.deadline, offer.liveliness, offer.liveliness_lease_duration)


def _known(policy: Any, default: str) -> str:
    known = ("RELIABLE", "BEST_EFFORT", "TRANSIENT_LOCAL", "VOLATILE", "AUTOMATIC", "MANUAL_BY_TOPIC")
    return policy.name if policy.name in known else default


def _time(duration: Any) -> QosTime:
    return QosTime(*divmod(duration.nanoseconds or INFINITE_NS, SECOND_NS))  # 0: not stated, no limit


def _duration(value: QosTime) -> Any:
    from rclpy.duration import Duration

    ns = value.sec * SECOND_NS + value.nsec
    # Bags of older rmw implementations spell "no limit" in their own ways, all of them decades long.
    return Duration() if not 0 < value.sec < 0x7FFFFFFF and ns >= SECOND_NS else Duration(nanoseconds=ns)
