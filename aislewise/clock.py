"""Clocks are passed in, so that algorithms run the same on robots, in simulation and in tests."""

from __future__ import annotations

import time
from collections.abc import Callable

NS_PER_S = 1_000_000_000

Clock = Callable[[], int]
"""Returns the present in integer nanoseconds."""


def system_clock() -> int:
    return time.time_ns()


def to_ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)


def to_s(stamp_ns: int) -> float:
    return stamp_ns / NS_PER_S


class ManualClock:
    """A clock that a test or the simulator sets by hand."""

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, seconds: float) -> None:
        self.now_ns += to_ns(seconds)
