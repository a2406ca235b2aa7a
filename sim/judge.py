"""Pass or fail: what a run, in lock step or live, is judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aislewise.clock import to_s
from aislewise.types import GroundedInstruction, Order, OrderRecord, OrderState
from sim.demand import Cancellation
from sim.fault_figures import duplicate_deliveries, fault_list, fault_totals, lost_orders
from sim.scenario import Scenario
from sim.world import SimWorld


def shift_figures(
    scenario: Scenario, world: SimWorld, orders: Sequence[Order], records: Sequence[OrderRecord],
    grounded: Sequence[GroundedInstruction], cancellations: Sequence[Cancellation] = (),
    acknowledged: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """What every run is measured by. records: of all accepted orders, the instructions' among them;
    cancellations: what the customer called off, or would have; acknowledged: ids of orders that the customer was told
    were accepted."""
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
        "lost_orders": lost_orders(acknowledged, by_id),
        "duplicate_deliveries": duplicate_deliveries((r.order for r in records), world.deliveries),
        "collisions": len(world.collisions),
        "collision_list": [str(c) for c in world.collisions[:20]],
        "picks_per_hour": round(sum(r.lines_done for r in records) / sim_s * 3600.0, 3),
        "order_time_s": percentiles([to_s(r.updated_ns - r.order.release_ns) for r in done]),
        "late_orders": sum(0 < r.order.due_ns < r.updated_ns for r in done),
        "distance_m": round(sum(r.distance_m for r in world.robots.values()), 2),
        "sim_s": round(sim_s, 3),
        "instruction": instruction_result(scenario, world, grounded),
    }
    if scenario.demand is not None or scenario.gates.max_late_share is not None:
        out["demand"] = demand_figures(scenario, orders, by_id, cancellations, world.now_ns)
    if scenario.robot.mtbf_s:
        out["breakdowns"] = world.breakdowns()
    if scenario.faults:
        out["faults"] = fault_list(scenario)
        out["fault_totals"] = fault_totals(world)
    return out


def judged(metrics: dict[str, Any], scenario: Scenario) -> dict[str, Any]:
    """The metrics with their gates and the verdict."""
    verdict = gates(metrics, scenario)
    return metrics | {"gates": verdict, "ok": all(g["ok"] for g in verdict.values())}


def gates(metrics: dict[str, Any], scenario: Scenario) -> dict[str, dict[str, Any]]:
    """Pass or fail, each with its value and limit."""
    submitted, limits = metrics["orders_submitted"], scenario.gates
    need = int(np.ceil(limits.min_done_share * _wanted(metrics, scenario) - 1e-9))
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
    if limits.max_late_share is not None:
        value = metrics["demand"]["late_share"]
        table["late_share"] = (value, limits.max_late_share, value <= limits.max_late_share)
    if scenario.faults:
        begun = metrics["fault_totals"]["begun"]
        table["faults_begun"] = (begun, len(scenario.faults), begun == len(scenario.faults))
        for name in ("lost_orders", "duplicate_deliveries"):
            table[name] = (metrics[name], 0, metrics[name] == 0)
    return {name: {"value": v, "limit": limit, "ok": bool(ok)} for name, (v, limit, ok) in table.items()}


def _wanted(metrics: dict[str, Any], scenario: Scenario) -> int:
    """Orders that customers still wanted: those whose cancellation was honoured need no delivery."""
    demand = metrics.get("demand")
    return scenario.orders if demand is None else int(demand["orders"] - demand["cancelled"])


def demand_figures(
    scenario: Scenario, orders: Sequence[Order], by_id: Mapping[str, OrderRecord],
    cancellations: Sequence[Cancellation], now_ns: int,
) -> dict[str, Any]:  # fmt: skip
    """Punctuality and cancellations. An order counts as late when it was delivered after its due time, or that has
    passed without a delivery; not when it was called off. Lateness is completion minus due: below 0 is early."""
    asked = [by_id[c.order_id] for c in cancellations if c.at_ns <= now_ns and c.order_id in by_id]
    cancelled = [r for r in asked if r.state is OrderState.CANCELLED]
    off = {r.order.order_id for r in cancelled}
    due = [o for o in orders if o.due_ns and o.order_id not in off]
    ended = {o.order_id: _delivered_ns(by_id.get(o.order_id)) for o in due}
    late = [o for o in due if (ended[o.order_id] or now_ns) > o.due_ns]
    lateness = [to_s(at - o.due_ns) for o in due if (at := ended[o.order_id])]
    out: dict[str, Any] = {
        "orders": len(orders),
        "due_orders": len(due),
        "late_share": round(len(late) / len(due), 4) if due else 0.0,
        "lateness_s": percentiles(lateness, (50, 95)),
        "cancel_asked": len(asked),
        "cancelled": len(cancelled),
        "cancelled_on_board": sum(r.lines_done > 0 for r in cancelled),
        "cancel_too_late": sum(r.state is OrderState.DONE for r in asked),
    }
    if scenario.demand is not None and scenario.demand.rush_share:
        rush = [o for o in due if o.priority >= scenario.demand.rush_priority]
        out["rush_orders"], out["rush_late"] = len(rush), sum(o in late for o in rush)
    return out


def _delivered_ns(record: OrderRecord | None) -> int:
    return record.updated_ns if record is not None and record.state is OrderState.DONE else 0


def percentiles(values: Any, ranks: tuple[int, ...] = (50, 99)) -> dict[str, float]:
    """p50 and p99, or others, rounded; empty input gives zeros."""
    data = np.asarray(values, np.float64)
    if data.size == 0:
        return {f"p{rank}": 0.0 for rank in ranks}
    return {f"p{rank}": round(float(np.percentile(data, rank)), 3) for rank in ranks}


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
