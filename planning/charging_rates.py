"""How fast batteries run down and fill up, learnt from what robots report.

Reports may come in whole percent: sums over long times are kept, never one report's difference. They begin with what the
settings say and what chargers commonly do (constant current to about 0.8, then falling: Montoya et al., "The electric vehicle
routing problem with nonlinear charging function", Transportation Research Part B 103, 2017), and forget within hours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from planning.charging import Cell

LEVELS = (0.0, 0.8, 0.9, 1.0)
TAPER = (1.0, 0.72, 0.15)
"""Of the current on an empty battery, on average between those levels: constant voltage from 0.8 on."""
CHARGE_PER_RANGE = 1 / 4
"""Time to charge over time to work, before anything is known."""
IDLE = 0.2
PRIOR_S, CHARGE_PRIOR_S = 1200.0, 30.0
"""What is assumed counts as much as so many seconds of reports: of work, and on a charger."""
MEMORY_S = 4 * 3600.0
FULL = 0.995
JUMP = 0.05
"""More than this between two reports is a new battery, or a fault."""


@dataclass(slots=True)
class _Sum:
    """Share of a battery over seconds; begins with `rate` for `weight_s`."""

    share: float
    seconds: float

    def add(self, share: float, seconds: float) -> None:
        keep = min(1.0, MEMORY_S / (self.seconds + seconds))
        self.share, self.seconds = keep * (self.share + share), keep * (self.seconds + seconds)

    @property
    def rate(self) -> float:
        return self.share / self.seconds


@dataclass(slots=True)
class _Seen:
    at_s: float
    battery: float
    on_charger: bool
    may_work: bool
    stands: bool


@dataclass(slots=True)
class Rates:
    """range_s: work in a full battery, as the settings have it."""

    range_s: float
    _drain: dict[str, _Sum] = field(default_factory=dict)
    _idle: _Sum | None = None
    _charge: list[_Sum] | None = None
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def hear(
        self,
        now_s: Mapping[str, float],
        battery: Mapping[str, float],
        on_charger: Collection[str],
        may_work: Collection[str],
        stands: Collection[str],
    ) -> None:
        """now_s: when each robot reported; on_charger, may_work (it gets orders as they come), stands
        (it has none): how each is now; the time between two reports counts where both are alike."""
        for robot, at_s in now_s.items():
            was = self._seen.get(robot)
            if was is not None and at_s <= was.at_s:
                continue
            self._seen[robot] = _Seen(at_s, battery[robot], robot in on_charger, robot in may_work, robot in stands)
            if was is None or abs(battery[robot] - was.battery) > JUMP or at_s - was.at_s > 60.0:
                continue
            self._learn(robot, was, self._seen[robot])
        self._seen = {robot: seen for robot, seen in self._seen.items() if robot in now_s}

    def _learn(self, robot: str, was: _Seen, seen: _Seen) -> None:
        took, change = seen.at_s - was.at_s, seen.battery - was.battery
        if was.on_charger and seen.on_charger:
            if seen.battery < FULL:
                sums = self._charge_sums()
                band = next(k for k, high in enumerate(LEVELS[1:]) if seen.battery <= high or k == len(TAPER) - 1)
                sums[band].add(max(0.0, change), took)
        elif not was.on_charger and not seen.on_charger:
            if was.may_work and seen.may_work:  # with the waits for orders: plans want to know how long a charge lasts
                self._drain_sum(robot).add(max(0.0, -change), took)
            if was.stands and seen.stands:
                self._idle_sum().add(max(0.0, -change), took)

    def _charge_sums(self) -> list[_Sum]:
        if self._charge is None:
            rate = 1.0 / (self.range_s * CHARGE_PER_RANGE)
            self._charge = [_Sum(rate * part * CHARGE_PRIOR_S, CHARGE_PRIOR_S) for part in TAPER]
        return self._charge

    def _drain_sum(self, robot: str) -> _Sum:
        return self._drain.setdefault(robot, _Sum(PRIOR_S / self.range_s, PRIOR_S))

    def _idle_sum(self) -> _Sum:
        if self._idle is None:
            self._idle = _Sum(IDLE * PRIOR_S / self.range_s, PRIOR_S)
        return self._idle

    def cell(self, robot: str) -> Cell:
        """What is known of a robot's battery. Bands of the charge curve that nobody was in yet keep their share of the first."""
        drain = self._drain_sum(robot).rate
        sums = self._charge_sums()
        base = (
            sums[0].rate
            if sums[0].seconds > 2 * CHARGE_PRIOR_S
            else max(s.rate / p for s, p in zip(sums, TAPER, strict=True))
        )
        rates, highest = [], base
        for total, part in zip(sums, TAPER, strict=True):
            highest = min(highest, total.rate if total.seconds > CHARGE_PRIOR_S else base * part)
            rates.append(highest)
        drain = min(max(drain, 0.1 / self.range_s), 10.0 / self.range_s, 0.5)
        return Cell(drain, min(0.9, self._idle_sum().rate / drain), LEVELS, tuple(rates))
