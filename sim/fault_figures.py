"""What faults did to a run: when each was, how the fleet came out of it, and whether an order was lost or doubled."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from aislewise.types import Order
from sim.metrics import Handled
from sim.scenario import Scenario
from sim.world import SimWorld

CAPACITY = 2
"""Loads that a robot carries at once (planning.config): so much of a line's quantity is one of them."""
MOVED_M = 0.3
"""A robot this far from where it was when a fault ended is going again."""
Track = Sequence[tuple[float, float, float]]


def fault_list(scenario: Scenario) -> list[dict[str, Any]]:
    """When each fault was to befall whom, as a timeline draws them. until_s None: to the end; robots []: not robots,
    or all."""
    return [
        {
            "kind": f.kind, "at_s": f.at_s, "until_s": f.until_s if math.isfinite(f.until_s) else None,
            "robots": [f"robot_{n}" for n in f.robots], "text": str(f),
        }
        for f in scenario.faults
    ]  # fmt: skip


def with_reactions(
    faults: Iterable[Mapping[str, Any]], tracks: Mapping[str, Track], kills: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """moving_again_s: from a fault's end until the first of its robots (of all, where it names none) had moved on, None
    if nobody did, or it did not end. tracks: (t_s, x_m, y_m) by robot; kills: PlannerProcess.figures, in the order of
    the faults that they belong to."""
    left, out = iter(kills), []
    for fault in faults:
        robots = fault["robots"] or list(tracks)
        again = [a for r in robots if (a := _moved_on_s(tracks.get(r, ()), fault["until_s"])) is not None]
        reaction: dict[str, Any] = {"moving_again_s": min(again, default=None)}
        if fault["kind"] == "planner kill":
            reaction |= next(left, {})
        out.append({**fault, **reaction})
    return out


def _moved_on_s(track: Track, since_s: float | None) -> float | None:
    if since_s is None:
        return None
    after = [p for p in track if p[0] >= since_s]
    return next(
        (round(t - since_s, 3) for t, x, y in after if math.hypot(x - after[0][1], y - after[0][2]) >= MOVED_M), None
    )


def fault_totals(world: SimWorld) -> dict[str, Any]:
    """How many faults came about, how long each kind was in force, and how often robots had to wait."""
    robots = world.robots
    return {
        "begun": world.faults_begun(),
        "in_force_s": world.faults.in_force_s(list(robots), world.now_ns),
        "robot_stops": sum(r.stops for r in robots.values()),
    }


def lost_orders(acknowledged: Iterable[str], known: Collection[str]) -> int:
    """Orders that a client was told were accepted, and that the service does not know any more."""
    return len(set(acknowledged) - set(known))


def duplicate_deliveries(orders: Iterable[Order], deliveries: Iterable[Handled]) -> int:
    """Loads that were put down at a station beyond what was ordered."""
    wanted = {o.order_id: sum(math.ceil(line.quantity / CAPACITY) for line in o.lines) for o in orders}
    brought = Counter(d.order_id for d in deliveries if d.place)
    return sum(max(0, count - wanted.get(order_id, count)) for order_id, count in brought.items())
