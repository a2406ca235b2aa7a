"""Pass or fail: what a run, in lock step or live, is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aislewise.clock import to_s
from aislewise.types import GroundedInstruction, Order, OrderRecord, OrderState
from sim.scenario import Scenario
from sim.world import SimWorld


def shift_figures(
    scenario: Scenario, world: SimWorld, orders: Sequence[Order], records: Sequence[OrderRecord],
    grounded: Sequence[GroundedInstruction],
) -> dict[str, Any]:  # fmt: skip
    """What every run is measured by. records: of all accepted orders, the instructions' among them."""
    by_id = {r.order.order_id: r for r in records}
    mine = [by_id[o.order_id] for o in orders if o.order_id in by_id]
    done = [r for r in mine if r.state is OrderState.DONE]
    sim_s = to_s(world.now_ns)
    out: dict[str, Any] = {
        "scenario": scenario.name,
        "seed": scenario.seed,
        "robots": len(world.robots),
        "orders_submitted": len(mine),
        "orders_done": len(done),
        "orders_final": sum(r.state.final for r in mine),
        "collisions": len(world.collisions),
        "collision_list": [str(c) for c in world.collisions[:20]],
        "picks_per_hour": round(sum(r.lines_done for r in records) / sim_s * 3600.0, 3),
        "order_time_s": percentiles([to_s(r.updated_ns - r.order.release_ns) for r in done]),
        "late_orders": sum(0 < r.order.due_ns < r.updated_ns for r in done),
        "distance_m": round(sum(r.distance_m for r in world.robots.values()), 2),
        "sim_s": round(sim_s, 3),
        "instruction": instruction_result(scenario, world, grounded),
    }
    if scenario.faults:
        out["faults"] = fault_figures(world)
    return out


def judged(metrics: dict[str, Any], scenario: Scenario) -> dict[str, Any]:
    """The metrics with their gates and the verdict."""
    verdict = gates(metrics, scenario)
    return metrics | {"gates": verdict, "ok": all(g["ok"] for g in verdict.values())}


def gates(metrics: dict[str, Any], scenario: Scenario) -> dict[str, dict[str, Any]]:
    """Pass or fail, each with its value and limit."""
    submitted, limits = metrics["orders_submitted"], scenario.gates
    need = int(np.ceil(limits.min_done_share * scenario.orders - 1e-9))
    table = {
        "collisions": (metrics["collisions"], limits.max_collisions, metrics["collisions"] <= limits.max_collisions),
        "orders_final": (metrics["orders_final"], submitted, metrics["orders_final"] == submitted > 0),
        "orders_done": (metrics["orders_done"], need, metrics["orders_done"] >= need),
        "instruction_done": (metrics["instruction"]["done"], True, bool(metrics["instruction"]["done"])),
    }
    if limits.min_detection_map is not None and "detection_map" in metrics:
        value = metrics["detection_map"]
        table["detection_map"] = (value, limits.min_detection_map, value >= limits.min_detection_map)
    if limits.max_sim_s is not None:
        table["sim_s"] = (metrics["sim_s"], limits.max_sim_s, metrics["sim_s"] <= limits.max_sim_s)
    if scenario.faults:
        begun = metrics["faults"]["begun"]
        table["faults_begun"] = (begun, len(scenario.faults), begun == len(scenario.faults))
    return {name: {"value": v, "limit": limit, "ok": bool(ok)} for name, (v, limit, ok) in table.items()}


def fault_figures(world: SimWorld) -> dict[str, Any]:
    """How many faults came about, how long each kind was in force, and how often robots had to wait."""
    robots = world.robots
    return {
        "begun": world.faults_begun(),
        "in_force_s": world.faults.in_force_s(list(robots), world.now_ns),
        "robot_stops": sum(r.stops for r in robots.values()),
    }


def percentiles(values: Any) -> dict[str, float]:
    """p50 and p99, rounded; empty input gives zeros."""
    data = np.asarray(values, np.float64)
    if data.size == 0:
        return {"p50": 0.0, "p99": 0.0}
    return {"p50": round(float(np.percentile(data, 50)), 3), "p99": round(float(np.percentile(data, 99)), 3)}


def instruction_result(
    scenario: Scenario, world: SimWorld, grounded: Sequence[GroundedInstruction]
) -> dict[str, Any]:
    """Judged by the simulator's truth: the right thing at the right place, and kept away from."""
    wanted = scenario.instruction
    if wanted is None:
        return {"status": "none", "done": True}
    last = grounded[-1] if grounded else None
    delivered = any(d.object_id == wanted.target and d.place == wanted.destination for d in world.deliveries)
    entered = world.keep_out_entries()
    return {
        "text": wanted.text,
        "status": last.status.value if last else "none",
        "question": last.question if last else "",
        "delivered": delivered,
        "keep_out_entries": entered,
        "done": delivered and entered == 0,
    }
