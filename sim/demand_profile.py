"""What a shift's customers ask for: how orders spread over the day, what is asked for, by when, and what is
called off. Part of a scenario (`demand: {...}`); without it the stream is that of `sim.demand.plain_orders`."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from aislewise.errors import InputError
from aislewise.types import F64

PROFILES: dict[str, tuple[float, ...]] = {
    "even": (1.0,),
    "morning": (6, 5, 3, 2, 2, 1.5, 1.5, 1),
    "two_peaks": (1, 2, 4, 6, 4, 2, 2, 3, 5, 6, 3, 1),
    "cut_off": (1, 1, 1.5, 2, 3, 4.5, 7, 9, 1, 0.5),
}
"""Shapes of a day, weights of equal parts of it. Ours, for want of figures of your own: give `weights` where
you have them."""
MAX_WEIGHTS = 24 * 60
PLAN_GRID_S, GRID_S = 0.5, 0.1


@dataclass(frozen=True, slots=True)
class DemandConfig:
    """profile, weights: how busy equal parts of the scenario's release_s are, by a name or by figures;
    waiting_share: of the orders, on hand when the shift begins. zipf: exponent of the goods' popularity
    (the k-th most popular is asked for in proportion to k**-zipf; about 0.8 to 1.2 in shops), 0: popularity
    falls with the distance from the stations, as without `demand`; slotted: popular goods lie near the stations,
    else anywhere, drawn by the seed. two_line_share, due_share, priority_share: of the orders; due_s: least and
    greatest time from release to due. rush_*: orders that come with a short due time and a priority of their own.
    cancel_*: orders called off some time after their release.

    csv: the stream of a real warehouse instead (see sim.order_stream), relative to the scenario's file;
    csv_sha256: of its bytes, filled in when the scenario is read; speedup: its time over simulated time;
    units_per_load: how much of a line's quantity makes one load.

    Raises InputError naming the field."""

    profile: str = "even"
    weights: tuple[float, ...] = ()
    waiting_share: float = 0.0
    zipf: float = 0.0
    slotted: bool = True
    two_line_share: float = 0.2
    due_share: float = 0.7
    due_s: tuple[float, float] = (150.0, 300.0)
    priority_share: float = 0.15
    rush_share: float = 0.0
    rush_due_s: tuple[float, float] = (60.0, 120.0)
    rush_priority: int = 5
    cancel_share: float = 0.0
    cancel_after_s: tuple[float, float] = (5.0, 60.0)
    csv: str = ""
    csv_sha256: str = ""
    speedup: float = 1.0
    units_per_load: float = 1.0

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise InputError("demand.profile", f"{self.profile!r}", sorted(PROFILES))
        if len(self.weights) > MAX_WEIGHTS:
            raise InputError("demand.weights", f"{len(self.weights)} values", f"at most {MAX_WEIGHTS}")
        for k, weight in enumerate(self.weights):
            _within(f"weights[{k}]", weight, 0.0, 1e6)
        if self.weights and not max(self.weights) > 0.0:
            raise InputError("demand.weights", "all are 0", "one above 0")
        for name in ("waiting", "two_line", "due", "priority", "rush", "cancel"):
            _within(f"{name}_share", getattr(self, f"{name}_share"), 0.0, 1.0)
        for name in ("due_s", "rush_due_s", "cancel_after_s"):
            low, high = getattr(self, name)
            if not 0.0 < low <= high <= 1e6:
                raise InputError(f"demand.{name}", f"{(low, high)}", "0 < least <= greatest <= 1e6 s")
        _within("zipf", self.zipf, 0.0, 5.0)
        _within("rush_priority", self.rush_priority, 0, 1000)
        _within("speedup", self.speedup, 1e-3, 1e5)
        _within("units_per_load", self.units_per_load, 1e-3, 1e6)
        self._check_csv()

    def _check_csv(self) -> None:
        """A file says all of its orders but who calls them off, which it may leave open."""
        also = {"csv", "csv_sha256", "speedup", "units_per_load", "cancel_share", "cancel_after_s"}
        for f in dataclasses.fields(self):
            changed = getattr(self, f.name) != f.default
            if self.csv and changed and f.name not in also:
                raise InputError(f"demand.{f.name}", "does not go with csv", "nothing")
            if not self.csv and changed and f.name in ("csv_sha256", "speedup", "units_per_load"):
                raise InputError(f"demand.{f.name}", "goes with csv alone", "csv")

    def release_times(self, count: int, span_s: float, rng: np.random.Generator) -> F64:
        """(count,) s, rising, from 0 to span_s: arrivals of a non-homogeneous Poisson process given that there
        are `count`, by thinning (Lewis & Shedler, "Simulation of nonhomogeneous Poisson processes by thinning",
        Naval Research Logistics Quarterly 26(3), 1979): candidates at the greatest rate are kept with the
        probability of the rate where they fall."""
        waiting = round(self.waiting_share * count)
        rate = np.asarray(self.weights or PROFILES[self.profile], np.float64)
        keep = rate / rate.max()
        kept: list[float] = [0.0] * waiting
        while len(kept) < count:
            at, luck = rng.random(2)
            if luck < keep[min(int(at * len(keep)), len(keep) - 1)]:
                kept.append(float(at) * span_s)
        return np.sort(np.asarray(kept, np.float64))

    def popularity(self, distance_m: F64, slotting_m: float, rng: np.random.Generator) -> F64:
        """(faces,) probabilities that add up to 1, from each face's distance to its nearest station."""
        if self.zipf == 0.0:
            weight: F64 = np.exp(-distance_m / slotting_m)
        else:
            order = np.argsort(distance_m, kind="stable") if self.slotted else rng.permutation(len(distance_m))
            weight = np.empty(len(distance_m))
            weight[order] = np.arange(1, len(distance_m) + 1, dtype=np.float64) ** -self.zipf
        return weight / weight.sum()


def off_plans_s(at_s: float) -> float:
    """The instant on the simulator's grid, but never one at which the planner plans: what reaches the planning
    service in the tick of a plan may or may not be in that plan, and runs must repeat."""
    ticks = max(1, round(at_s / GRID_S))
    ticks += ticks % round(PLAN_GRID_S / GRID_S) == 0
    return round(ticks * GRID_S, 1)


def _within(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not math.isfinite(value) or not low <= value <= high:
        raise InputError(f"demand.{name}", f"{value}", f"{low:g} to {high:g}")
