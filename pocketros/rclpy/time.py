"""Time: a point in time of one kind of clock."""

from __future__ import annotations

from typing import Any, overload

from .clock_type import ClockType
from .constants import S_TO_NS
from .duration import Duration

__all__ = ["ClockType", "Time"]


class Time:
    """Nanoseconds since a clock's epoch. Times of different clock types do not mix (TypeError)."""

    __slots__ = ("_clock_type", "_ns")

    def __init__(
        self,
        *,
        seconds: float = 0,
        nanoseconds: int = 0,
        clock_type: ClockType = ClockType.SYSTEM_TIME,
    ) -> None:
        if not isinstance(clock_type, ClockType):
            raise TypeError("Clock type must be a ClockType enum")
        if seconds < 0:
            raise ValueError("Seconds value must not be negative")
        if nanoseconds < 0:
            raise ValueError("Nanoseconds value must not be negative")
        total = int(seconds * S_TO_NS) + int(nanoseconds)
        if total >= 1 << 63:
            raise OverflowError("Total nanoseconds value is too large to store in C time point.")
        self._ns = total
        self._clock_type = clock_type

    @property
    def nanoseconds(self) -> int:
        return self._ns

    def seconds_nanoseconds(self) -> tuple[int, int]:
        return divmod(self._ns, S_TO_NS)

    @property
    def clock_type(self) -> ClockType:
        return self._clock_type

    def __repr__(self) -> str:
        return f"Time(nanoseconds={self._ns}, clock_type={self._clock_type.name})"

    def __add__(self, other: Duration) -> Time:
        if isinstance(other, Duration):
            total = self._ns + other.nanoseconds
            if total >= 1 << 63:
                raise OverflowError("Addition leads to overflow in C storage.")
            return Time(nanoseconds=total, clock_type=self._clock_type)
        return NotImplemented

    __radd__ = __add__

    @overload
    def __sub__(self, other: Time) -> Duration: ...

    @overload
    def __sub__(self, other: Duration) -> Time: ...

    def __sub__(self, other: Time | Duration) -> Time | Duration:
        if isinstance(other, Time):
            self._require_same_clock(other, "subtract")
            return Duration(nanoseconds=self._ns - other._ns)
        if isinstance(other, Duration):
            if self._ns < other.nanoseconds:
                raise ValueError("Subtraction leads to negative time.")
            return Time(nanoseconds=self._ns - other.nanoseconds, clock_type=self._clock_type)
        return NotImplemented

    def _require_same_clock(self, other: Time, verb: str) -> None:
        if self._clock_type != other._clock_type:
            raise TypeError(f"Can't {verb} times with different clock types")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        self._require_same_clock(other, "compare")
        return self._ns == other._ns

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        self._require_same_clock(other, "compare")
        return self._ns < other._ns

    def __le__(self, other: object) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        self._require_same_clock(other, "compare")
        return self._ns <= other._ns

    def __gt__(self, other: object) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        return other < self

    def __ge__(self, other: object) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        return other <= self

    __hash__ = None  # type: ignore[assignment]

    def to_msg(self) -> Any:
        from builtin_interfaces.msg import Time as Message

        seconds, nanoseconds = divmod(self._ns, S_TO_NS)
        return Message(sec=seconds, nanosec=nanoseconds)

    @classmethod
    def from_msg(cls, msg: Any, clock_type: ClockType = ClockType.ROS_TIME) -> Time:
        from builtin_interfaces.msg import Time as Message

        if not isinstance(msg, Message):
            raise TypeError("Must pass a builtin_interfaces.msg.Time object")
        return cls(seconds=msg.sec, nanoseconds=msg.nanosec, clock_type=clock_type)
