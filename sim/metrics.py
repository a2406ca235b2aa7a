"""Ground truth to measure against: contacts between true footprints, deliveries, keep-out entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aislewise.clock import to_s
from aislewise.types import F64
from sim.geometry2d import convex_overlap, inside_polygon

TIMING_KEYS = frozenset({"wall_s", "realtime_factor", "fusion_latency_ms", "plan_latency_ms", "peak_memory_mb"})
"""Figures of metrics.json that depend on the machine; all others repeat for the same scenario and seed."""


@dataclass(frozen=True, slots=True)
class Collision:
    """Two true footprints overlapped, from t_s on. a is a robot; b a robot, person, forklift or thing."""

    t_s: float
    a: str
    b: str
    x_m: float
    y_m: float

    def __str__(self) -> str:
        return f"{self.t_s:.2f} s: {self.a} and {self.b} at ({self.x_m:.2f}, {self.y_m:.2f})"


@dataclass(frozen=True, slots=True)
class Handled:
    """A pick or a delivery that took place. object_id: the true object; place: where."""

    stamp_ns: int
    robot: str
    order_id: str
    object_id: str
    place: str


@dataclass
class Referee:
    """Counts each contact and each keep-out entry once, from its beginning to its end."""

    collisions: list[Collision] = field(default_factory=list)
    entries: list[tuple[float, str, str]] = field(default_factory=list)
    incursion_s: dict[str, float] = field(default_factory=dict)
    _touching: set[tuple[str, str]] = field(default_factory=set)
    _inside: set[tuple[str, str]] = field(default_factory=set)

    def contacts(
        self, now_ns: int, robots: dict[str, F64], others: dict[str, F64], walls: F64,
        known: Mapping[tuple[str, str], tuple[float, float]] | None = None,
    ) -> None:  # fmt: skip
        """robots, others: (N, 2) outlines by id; walls: (M, 4) x0, y0, x1, y1 of what is built in; known: pairs that
        somebody else found in contact, and where."""
        known = known or {}
        touching: set[tuple[str, str]] = set(known)
        names = list(robots)
        bounds = {k: (v.min(axis=0), v.max(axis=0)) for k, v in (*robots.items(), *others.items())}
        for i, a in enumerate(names):
            low, high = bounds[a]
            for b in [*names[i + 1 :], *others]:
                lo, hi = bounds[b]
                if low[0] < hi[0] and lo[0] < high[0] and low[1] < hi[1] and lo[1] < high[1]:
                    shape = robots[b] if b in robots else others[b]
                    if convex_overlap(robots[a], shape):
                        touching.add((a, b))
            near = (walls[:, 0] < high[0]) & (walls[:, 2] > low[0]) & (walls[:, 1] < high[1]) & (walls[:, 3] > low[1])
            for k in np.flatnonzero(near):
                x0, y0, x1, y1 = walls[k]
                if convex_overlap(robots[a], np.array([[x1, y1], [x0, y1], [x0, y0], [x1, y0]])):
                    touching.add((a, f"structure_{k}"))
        for a, b in sorted(touching - self._touching):
            x, y = known[a, b] if (a, b) in known else robots[a].mean(axis=0)
            self.collisions.append(Collision(to_s(now_ns), a, b, float(x), float(y)))
        self._touching = touching

    def keep_outs(self, now_ns: int, dt_s: float, robots: dict[str, F64], patches: dict[str, F64],
                  counts: Sequence[str]) -> None:  # fmt: skip
        """patches: true outlines of wet floors; counts: those that robots have been told to keep off."""
        inside: set[tuple[str, str]] = set()
        for name, outline in robots.items():
            probes = np.vstack([outline, outline.mean(axis=0)])
            for patch, polygon in patches.items():
                if inside_polygon(polygon, probes).any():
                    inside.add((name, patch))
                    self.incursion_s[name] = self.incursion_s.get(name, 0.0) + dt_s
        for name, patch in sorted(inside - self._inside):
            if patch in counts:
                self.entries.append((to_s(now_ns), name, patch))
        self._inside = inside
