"""Quality of service: policies, profiles and the presets of rmw."""

from __future__ import annotations

import warnings
from enum import Enum, IntEnum
from typing import Any

from pocketros.bus import mismatch

from .duration import Duration, Infinite
from .exceptions import UnsupportedFeatureError

__all__ = [
    "DurabilityPolicy", "HistoryPolicy", "InvalidQoSProfileException", "LivelinessPolicy",
    "QoSCompatibility", "QoSDurabilityPolicy", "QoSHistoryPolicy", "QoSLivelinessPolicy",
    "QoSPolicyKind", "QoSPresetProfiles",
    "QoSProfile", "QoSReliabilityPolicy", "ReliabilityPolicy",
    "qos_check_compatible", "qos_policy_name_from_kind", "qos_profile_action_status_default",
    "qos_profile_default",
    "qos_profile_parameter_events", "qos_profile_parameters", "qos_profile_sensor_data",
    "qos_profile_services_default", "qos_profile_system_default",
]  # fmt: skip


class QoSPolicyKind(IntEnum):
    INVALID = 1 << 0
    DURABILITY = 1 << 1
    DEADLINE = 1 << 2
    LIVELINESS = 1 << 3
    RELIABILITY = 1 << 4
    HISTORY = 1 << 5
    LIFESPAN = 1 << 6
    DEPTH = 1 << 7
    LIVELINESS_LEASE_DURATION = 1 << 8
    AVOID_ROS_NAMESPACE_CONVENTIONS = 1 << 9


def qos_policy_name_from_kind(policy_kind: QoSPolicyKind | int) -> str:
    return QoSPolicyKind(policy_kind).name


class InvalidQoSProfileException(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(f"Invalid QoSProfile: {message}")


class QoSPolicyEnum(IntEnum):
    """Base of the policies; short keys are the names in lower case."""

    @classmethod
    def short_keys(cls) -> list[str]:
        return [name.lower() for name in cls.__members__]

    @classmethod
    def get_from_short_key(cls, name: str) -> int:
        return cls[name.upper()].value

    @property
    def short_key(self) -> str:
        return self.name.lower()


class HistoryPolicy(QoSPolicyEnum):
    SYSTEM_DEFAULT = 0
    KEEP_LAST = 1
    KEEP_ALL = 2
    UNKNOWN = 3


class ReliabilityPolicy(QoSPolicyEnum):
    SYSTEM_DEFAULT = 0
    RELIABLE = 1
    BEST_EFFORT = 2
    UNKNOWN = 3
    BEST_AVAILABLE = 4


class DurabilityPolicy(QoSPolicyEnum):
    SYSTEM_DEFAULT = 0
    TRANSIENT_LOCAL = 1
    VOLATILE = 2
    UNKNOWN = 3
    BEST_AVAILABLE = 4


class LivelinessPolicy(QoSPolicyEnum):
    SYSTEM_DEFAULT = 0
    AUTOMATIC = 1
    MANUAL_BY_TOPIC = 3
    UNKNOWN = 4
    BEST_AVAILABLE = 5


QoSHistoryPolicy = HistoryPolicy
QoSReliabilityPolicy = ReliabilityPolicy
QoSDurabilityPolicy = DurabilityPolicy
QoSLivelinessPolicy = LivelinessPolicy


class QoSProfile:
    """A full set of policies. Either `history` or `depth` must be given.

    Matching follows DDS for all policies. What in-process delivery can honour is honoured
    (history, depth, durability); reliability is trivially reliable; deadline, lifespan and
    liveliness are matched but not monitored.
    """

    __slots__ = (
        "_deadline", "_depth", "_durability", "_history", "_lease", "_lifespan", "_liveliness",
        "_reliability", "avoid_ros_namespace_conventions",
    )  # fmt: skip

    def __init__(
        self,
        history: HistoryPolicy | int | None = None,
        depth: int | None = None,
        reliability: ReliabilityPolicy | int = ReliabilityPolicy.RELIABLE,
        durability: DurabilityPolicy | int = DurabilityPolicy.VOLATILE,
        lifespan: Duration | None = None,
        deadline: Duration | None = None,
        liveliness: LivelinessPolicy | int = LivelinessPolicy.SYSTEM_DEFAULT,
        liveliness_lease_duration: Duration | None = None,
        avoid_ros_namespace_conventions: bool = False,
    ) -> None:
        if history is None:
            if depth is None:
                raise InvalidQoSProfileException("History and/or depth settings are required.")
            history = HistoryPolicy.KEEP_LAST
        self.history = HistoryPolicy(history)
        if self.history == HistoryPolicy.KEEP_LAST and depth is None:
            raise InvalidQoSProfileException("History set to KEEP_LAST without a depth setting.")
        self.depth = 0 if depth is None else depth
        self.reliability = ReliabilityPolicy(reliability)
        self.durability = DurabilityPolicy(durability)
        self.lifespan = lifespan or Duration()
        self.deadline = deadline or Duration()
        self.liveliness = LivelinessPolicy(liveliness)
        self.liveliness_lease_duration = liveliness_lease_duration or Duration()
        self.avoid_ros_namespace_conventions = avoid_ros_namespace_conventions

    @property
    def history(self) -> HistoryPolicy:
        return self._history

    @history.setter
    def history(self, value: HistoryPolicy | int) -> None:
        self._history = HistoryPolicy(value)

    @property
    def depth(self) -> int:
        return self._depth

    @depth.setter
    def depth(self, value: int) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"depth must be an int, not {type(value).__name__}")
        if value < 0:
            raise ValueError("depth must be greater than or equal to zero")
        if self._history == HistoryPolicy.KEEP_LAST and value == 0:
            warnings.warn(
                "A zero depth with KEEP_LAST doesn't make sense; it is taken for a depth of one",
                stacklevel=2,
            )
        self._depth = value

    @property
    def reliability(self) -> ReliabilityPolicy:
        return self._reliability

    @reliability.setter
    def reliability(self, value: ReliabilityPolicy | int) -> None:
        self._reliability = ReliabilityPolicy(value)

    @property
    def durability(self) -> DurabilityPolicy:
        return self._durability

    @durability.setter
    def durability(self, value: DurabilityPolicy | int) -> None:
        self._durability = DurabilityPolicy(value)

    @property
    def liveliness(self) -> LivelinessPolicy:
        return self._liveliness

    @liveliness.setter
    def liveliness(self, value: LivelinessPolicy | int) -> None:
        self._liveliness = LivelinessPolicy(value)

    @property
    def lifespan(self) -> Duration:
        return self._lifespan

    @lifespan.setter
    def lifespan(self, value: Duration) -> None:
        self._lifespan = _require_duration(value)

    @property
    def deadline(self) -> Duration:
        return self._deadline

    @deadline.setter
    def deadline(self, value: Duration) -> None:
        self._deadline = _require_duration(value)

    @property
    def liveliness_lease_duration(self) -> Duration:
        return self._lease

    @liveliness_lease_duration.setter
    def liveliness_lease_duration(self, value: Duration) -> None:
        self._lease = _require_duration(value)

    def get_c_qos_profile(self) -> Any:
        raise UnsupportedFeatureError("pocketros has no C structures: QoSProfile.get_c_qos_profile")

    # What the bus asks for (pocketros.bus.Policies).

    @property
    def keep_all(self) -> bool:
        return self._history == HistoryPolicy.KEEP_ALL

    @property
    def best_effort(self) -> bool:
        return self._reliability == ReliabilityPolicy.BEST_EFFORT

    @property
    def transient_local(self) -> bool:
        return self._durability == DurabilityPolicy.TRANSIENT_LOCAL

    @property
    def deadline_ns(self) -> int:
        return _finite_ns(self._deadline)

    @property
    def lifespan_ns(self) -> int:
        return _finite_ns(self._lifespan)

    @property
    def liveliness_rank(self) -> int:
        return int(self._liveliness == LivelinessPolicy.MANUAL_BY_TOPIC)

    @property
    def lease_ns(self) -> int:
        return _finite_ns(self._lease)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QoSProfile):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        names = (
            "history", "depth", "reliability", "durability", "lifespan", "deadline", "liveliness",
            "liveliness_lease_duration", "avoid_ros_namespace_conventions",
        )  # fmt: skip
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!s}' for name in names)})"


def _require_duration(value: Any) -> Duration:
    if not isinstance(value, Duration):
        raise TypeError(f"must be a Duration, not {type(value).__name__}")
    return value


def _finite_ns(value: Duration) -> int:
    return 0 if value == Infinite else value.nanoseconds


qos_profile_unknown = QoSProfile(
    history=HistoryPolicy.UNKNOWN,
    reliability=ReliabilityPolicy.UNKNOWN,
    durability=DurabilityPolicy.UNKNOWN,
    liveliness=LivelinessPolicy.UNKNOWN,
)
qos_profile_default = QoSProfile(depth=10)
qos_profile_system_default = QoSProfile(
    history=HistoryPolicy.SYSTEM_DEFAULT,
    reliability=ReliabilityPolicy.SYSTEM_DEFAULT,
    durability=DurabilityPolicy.SYSTEM_DEFAULT,
)
qos_profile_sensor_data = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
qos_profile_services_default = QoSProfile(depth=10)
qos_profile_parameters = QoSProfile(depth=1000)
qos_profile_parameter_events = QoSProfile(depth=1000)

qos_profile_action_status_default = QoSProfile(
    depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


class QoSPresetProfiles(Enum):
    UNKNOWN = qos_profile_unknown
    DEFAULT = qos_profile_default
    SYSTEM_DEFAULT = qos_profile_system_default
    SENSOR_DATA = qos_profile_sensor_data
    SERVICES_DEFAULT = qos_profile_services_default
    PARAMETERS = qos_profile_parameters
    PARAMETER_EVENTS = qos_profile_parameter_events
    ACTION_STATUS_DEFAULT = qos_profile_action_status_default

    @classmethod
    def short_keys(cls) -> list[str]:
        return [name.lower() for name in cls.__members__]

    @classmethod
    def get_from_short_key(cls, name: str) -> QoSProfile:
        return cls[name.upper()].value


class QoSCompatibility(Enum):
    OK = 0
    WARNING = 1
    ERROR = 2


def qos_check_compatible(
    publisher_qos: QoSProfile, subscription_qos: QoSProfile
) -> tuple[QoSCompatibility, str]:
    """Whether two profiles match, and if not, why; WARNING where it is up to the middleware."""
    if reason := mismatch(publisher_qos, subscription_qos):
        return QoSCompatibility.ERROR, f"ERROR: incompatible policy {reason};"
    reasons = []
    for policy, weak, strong in (
        ("reliability", "BEST_EFFORT", "RELIABLE"),
        ("durability", "VOLATILE", "TRANSIENT_LOCAL"),
        ("liveliness", "AUTOMATIC", "MANUAL_BY_TOPIC"),
    ):
        offered = getattr(publisher_qos, policy).name
        requested = getattr(subscription_qos, policy).name
        unknown = ("SYSTEM_DEFAULT", "UNKNOWN")
        if (offered in unknown and requested in (*unknown, strong)) or (
            offered == weak and requested in unknown
        ):
            reasons.append(f"WARNING: {policy} is {offered} offered and {requested} requested;")
    return (QoSCompatibility.WARNING if reasons else QoSCompatibility.OK), "".join(reasons)


def effective_depth(profile: QoSProfile) -> int | None:
    """Queue length for a subscription: None for KEEP_ALL; a depth of 0 means 1, as in DDS."""
    return None if profile.keep_all else max(1, profile.depth)
