"""What chance does to a robot: breakdowns, slow-downs on the way, and picks that take longer than planned.

Each is a renewal process with random numbers of its own, so that asking for one does not change the others.
Times between events and their lengths are exponential: what is left to wait does not depend on how long one has
waited, as for failures of electronics in the middle of their life.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from aislewise.types import RobotMode

AT_WORK = (RobotMode.MOVING, RobotMode.ACTING, RobotMode.STOPPED)


class WearConfig(Protocol):
    """What of sim.robots.RobotConfig is read; 0 is off for all but mttr_s, slow_s and slow_by."""

    @property
    def dwell_spread(self) -> float: ...
    @property
    def mtbf_s(self) -> float: ...
    @property
    def mttr_s(self) -> float: ...
    @property
    def slow_every_s(self) -> float: ...
    @property
    def slow_s(self) -> float: ...
    @property
    def slow_by(self) -> float: ...


@dataclass
class Renewal:
    """Off for a while that only counts while the robot does what wears it, then on for a while; over and over.

    every_s, for_s: mean lengths; every_s 0: never on."""

    every_s: float
    for_s: float
    rng: np.random.Generator
    on: bool = False
    count: int = 0

    def __post_init__(self) -> None:
        self._left_s = float(self.rng.exponential(self.every_s)) if self.every_s else math.inf

    def step(self, dt_s: float, wearing: bool) -> bool:
        """Whether it is on after dt_s more."""
        if not self.on and not wearing:
            return False
        self._left_s -= dt_s
        if self._left_s <= 0.0:
            self.on = not self.on
            self.count += self.on
            self._left_s = float(self.rng.exponential(self.for_s if self.on else self.every_s))
        return self.on


class Wear:
    """One robot's share of bad luck."""

    def __init__(self, config: WearConfig, rng: Callable[[int], np.random.Generator]) -> None:
        """rng: the generator of each kind, by a number from 0."""
        self._slow_by = config.slow_by
        self._breakdown = Renewal(config.mtbf_s, config.mttr_s, rng(0))
        self._slow = Renewal(config.slow_every_s, config.slow_s, rng(1))
        self._dwell_rng = rng(2)
        # Log-normal with mean 1, as service times by hand are: never negative, and with a long tail.
        self._sigma = math.sqrt(math.log1p(config.dwell_spread**2))

    @property
    def broken(self) -> bool:
        return self._breakdown.on

    @property
    def breakdowns(self) -> int:
        return self._breakdown.count

    def step(self, dt_s: float, mode: RobotMode) -> float:
        """Share of its speed that the robot has for the next dt_s; 0: it is broken down. mode: what it did."""
        broken = self._breakdown.step(dt_s, mode in AT_WORK)
        slow = self._slow.step(dt_s, mode is RobotMode.MOVING)
        return 0.0 if broken else 1.0 - self._slow_by * slow

    def dwell(self) -> float:
        """How much longer (or shorter) this pick or drop takes than planned; 1 on average."""
        if not self._sigma:
            return 1.0
        return float(self._dwell_rng.lognormal(-0.5 * self._sigma**2, self._sigma))
