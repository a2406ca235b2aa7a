"""QoS profiles to DDS QoS and back, as rmw_cyclonedds_cpp maps them."""

from __future__ import annotations

import contextlib
import ctypes as ct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .capi import INFINITY, dds

MAX_BLOCKING_NS = 1_000_000_000
"""How long a reliable writer may wait for slow readers before the sample is given up (and said so).

rmw waits for ever: one robot out of radio range then stops whoever talks to it."""

KEEP_LAST, KEEP_ALL = 0, 1
BEST_EFFORT, RELIABLE = 0, 1
VOLATILE, TRANSIENT_LOCAL = 0, 1
AUTOMATIC, MANUAL_BY_TOPIC = 0, 2
_XCDR1 = (ct.c_int16 * 1)(0)

POLICY_NAMES = {
    2: "DURABILITY", 4: "DEADLINE", 8: "LIVELINESS", 11: "RELIABILITY", 13: "HISTORY", 21: "LIFESPAN",
}  # fmt: skip
"""Names of DDS policy ids (dds_qos_policy_id_t) that ROS has names for."""


@contextlib.contextmanager
def dds_qos(profile: Any, user_data: str = "") -> Iterator[int]:
    """A DDS QoS object for one endpoint with these policies; freed at the end of the block."""
    qos = dds.dds_create_qos()
    try:
        kind, depth = (KEEP_ALL, -1) if profile.keep_all else (KEEP_LAST, max(1, profile.depth))
        dds.dds_qset_history(qos, kind, depth)
        reliability = BEST_EFFORT if profile.best_effort else RELIABLE
        dds.dds_qset_reliability(qos, reliability, MAX_BLOCKING_NS)
        dds.dds_qset_durability(qos, TRANSIENT_LOCAL if profile.transient_local else VOLATILE)
        if profile.transient_local:
            dds.dds_qset_durability_service(qos, 0, kind, depth, -1, -1, -1)
        if profile.deadline_ns:
            dds.dds_qset_deadline(qos, profile.deadline_ns)
        if profile.lifespan_ns:
            dds.dds_qset_lifespan(qos, profile.lifespan_ns)
        liveliness = MANUAL_BY_TOPIC if profile.liveliness_rank else AUTOMATIC
        dds.dds_qset_liveliness(qos, liveliness, profile.lease_ns or INFINITY)
        dds.dds_qset_writer_data_lifecycle(qos, False)
        dds.dds_qset_data_representation(qos, 1, _XCDR1)  # a writer of XCDR2 matches no ROS reader
        data = user_data.encode()
        dds.dds_qset_userdata(qos, data, len(data))
        yield qos
    finally:
        dds.dds_delete_qos(qos)


@dataclass(frozen=True, slots=True)
class RemoteQos:
    """What discovery tells of a remote endpoint's QoS; durations in ns, 0 for none."""

    best_effort: bool
    transient_local: bool
    deadline_ns: int
    lifespan_ns: int
    liveliness_rank: int
    lease_ns: int
    user_data: str
    keep_all: bool | None
    depth: int

    def profile(self) -> Any:
        """As rclpy's QoSProfile; not every implementation announces history, hence UNKNOWN."""
        from rclpy.duration import Duration, Infinite
        from rclpy.qos import (
            DurabilityPolicy,
            HistoryPolicy,
            LivelinessPolicy,
            QoSProfile,
            ReliabilityPolicy,
        )

        def span(ns: int) -> Any:
            return Duration(nanoseconds=ns) if ns else Infinite

        return QoSProfile(
            history=HistoryPolicy.UNKNOWN
            if self.keep_all is None
            else HistoryPolicy.KEEP_ALL
            if self.keep_all
            else HistoryPolicy.KEEP_LAST,
            depth=max(0, self.depth),
            reliability=ReliabilityPolicy.BEST_EFFORT
            if self.best_effort
            else ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL
            if self.transient_local
            else DurabilityPolicy.VOLATILE,
            deadline=span(self.deadline_ns),
            lifespan=span(self.lifespan_ns),
            liveliness=LivelinessPolicy.MANUAL_BY_TOPIC
            if self.liveliness_rank
            else LivelinessPolicy.AUTOMATIC,
            liveliness_lease_duration=span(self.lease_ns),
        )


def read_qos(qos: int) -> RemoteQos:
    """The policies of a built-in topic's sample."""
    history, depth = _enum(), ct.c_int32()
    told = dds.dds_qget_history(qos, history, depth)
    reliability, durability, liveliness = _enum(), _enum(), _enum()
    blocking, deadline, lifespan, lease = _time(), _time(), _time(), _time()
    dds.dds_qget_reliability(qos, reliability, blocking)
    dds.dds_qget_durability(qos, durability)
    dds.dds_qget_deadline(qos, deadline)
    dds.dds_qget_lifespan(qos, lifespan)
    dds.dds_qget_liveliness(qos, liveliness, lease)
    return RemoteQos(
        best_effort=reliability.value == BEST_EFFORT,
        transient_local=durability.value >= TRANSIENT_LOCAL,
        deadline_ns=_finite(deadline.value),
        lifespan_ns=_finite(lifespan.value),
        liveliness_rank=int(liveliness.value == MANUAL_BY_TOPIC),
        lease_ns=_finite(lease.value),
        user_data=_user_data(qos),
        keep_all=history.value == KEEP_ALL if told else None,
        depth=depth.value,
    )


def _user_data(qos: int) -> str:
    data, size = ct.c_void_p(), ct.c_size_t()
    if not dds.dds_qget_userdata(qos, data, size) or not data.value:
        return ""
    try:
        return ct.string_at(data.value, size.value).decode("ascii", "replace")
    finally:
        dds.dds_free(data)


def _enum() -> ct.c_uint32:
    return ct.c_uint32(0)


def _time() -> ct.c_int64:
    return ct.c_int64(INFINITY)


def _finite(ns: int) -> int:
    return 0 if ns >= INFINITY or ns < 0 else ns


def user_data_value(user_data: str, key: str) -> str:
    """Value of `key` in USER_DATA such as `typehash=RIHS01_...;`; empty if it is not there."""
    for entry in user_data.split(";"):
        name, _, value = entry.partition("=")
        if name.strip() == key:
            return value.strip()
    return ""


