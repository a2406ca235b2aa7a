"""Duration: a signed span of time in nanoseconds."""

from __future__ import annotations

import functools
import math
from typing import Any

from .constants import S_TO_NS
from .exceptions import UnsupportedFeatureError


@functools.total_ordering
class Duration:
    """Span of time in nanoseconds, kept within int64."""

    __slots__ = ("_ns",)

    def __init__(self, *, seconds: float = 0, nanoseconds: int = 0) -> None:
        total = int(seconds * S_TO_NS) + int(nanoseconds)
        if not -(1 << 63) <= total < 1 << 63:
            raise OverflowError("Total nanoseconds value is too large to store in C duration.")
        self._ns = total

    @property
    def nanoseconds(self) -> int:
        return self._ns

    def __repr__(self) -> str:
        return f"Duration(nanoseconds={self._ns})"

    def __str__(self) -> str:
        return "Infinite" if self._ns == Infinite._ns else f"{self._ns} nanoseconds"

    def __add__(self, other: Duration) -> Duration:
        if isinstance(other, Duration):
            return Duration(nanoseconds=self._ns + other._ns)
        return NotImplemented

    def __sub__(self, other: Duration) -> Duration:
        if isinstance(other, Duration):
            return Duration(nanoseconds=self._ns - other._ns)
        return NotImplemented

    def __mul__(self, other: float) -> Duration:
        if isinstance(other, int):
            return Duration(nanoseconds=self._ns * other)
        if isinstance(other, float):
            if other == math.inf:
                return Infinite
            if not math.isfinite(other):
                raise ValueError("Can't multiply duration with nan")
            return Duration(nanoseconds=int(self._ns * other))
        return NotImplemented

    def __eq__(self, other: object) -> bool:
        return self._ns == other._ns if isinstance(other, Duration) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self._ns < other._ns if isinstance(other, Duration) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def get_c_duration(self) -> Any:
        raise UnsupportedFeatureError("pocketros has no C structures: Duration.get_c_duration")

    def to_msg(self) -> Any:
        from builtin_interfaces.msg import Duration as Message

        seconds, nanoseconds = divmod(self._ns, S_TO_NS)
        return Message(sec=seconds, nanosec=nanoseconds)

    @classmethod
    def from_msg(cls, msg: Any) -> Duration:
        from builtin_interfaces.msg import Duration as Message

        if not isinstance(msg, Message):
            raise TypeError("Must pass a builtin_interfaces.msg.Duration object")
        return cls(seconds=msg.sec, nanoseconds=msg.nanosec)


Infinite = Duration(nanoseconds=(1 << 63) - 1)
