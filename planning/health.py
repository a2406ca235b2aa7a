"""The planner's concerns on /diagnostics: how it plans, what the orders do, whether they are safe. Knows no ROS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from aislewise.diagnostics import Concern, Level, Timing
from aislewise.errors import AislewiseError
from aislewise.types import Plan
from planning.planner import Planner
from planning.service import PlanningService
from planning.store import OrderStore

CHECKER = "checker: "
SHOWN = 5
"""At most so many single orders and robots are named."""


def planner_concerns(planner: Planner | None, plan: Plan | None, step: Timing, period_s: float) -> Iterator[Concern]:
    """How the last plan came about; step: how long plans took."""
    if planner is None or plan is None:
        waits_for = "the site map" if planner is None else "a world state"
        yield Concern("planner", Level.STALE, f"no plan yet: waiting for {waits_for}")
        return
    yield _planning(plan, step, period_s)
    yield _orders(planner, plan)
    refused = [d.because.removeprefix(CHECKER) for d in plan.decisions if d.because.startswith(CHECKER)]
    if refused:
        yield Concern("checker", Level.ERROR, f"last plan refused: {refused[0]}", {"version": str(plan.version)})
    else:
        yield Concern("checker", values={"version": str(plan.version)})


def _planning(plan: Plan, step: Timing, period_s: float) -> Concern:
    left_out = [f"{d.subject}: {d.because}" for d in plan.decisions if d.choice == "left out"]
    values = {"version": str(plan.version), "solver": plan.solver, "robots": str(len(plan.robots))}
    values |= step.values("plan ") | {"robots left out": "; ".join(left_out[:SHOWN])}
    values["bound by"] = "; ".join(f"{d.subject}: {d.because}" for d in plan.decisions[:SHOWN])
    if float(step.values().get("p99 ms", 0.0)) > period_s * 1e3:
        return Concern("planner", Level.WARN, f"plans take longer than {period_s:g} s", values)
    if left_out:
        return Concern("planner", Level.WARN, f"left out: {left_out[0]}", values)
    if not plan.robots:
        return Concern("planner", Level.WARN, "no robots", values)
    return Concern("planner", values=values)


def _orders(planner: Planner, plan: Plan) -> Concern:
    waiting = planner.waiting()
    values = {state: str(count) for state, count in sorted(planner.orders_by_state().items())}
    values["waiting"] = str(len(waiting))
    for reason, count in Counter(waiting.values()).most_common(SHOWN):
        values[f"waiting: {reason}"] = str(count)
    for order_id, reason in list(plan.unroutable.items())[:SHOWN]:
        values[f"blocked: {order_id}"] = reason
    if plan.unroutable:
        return Concern("orders", Level.WARN, f"{len(plan.unroutable)} cannot be carried out now", values)
    return Concern("orders", values=values)


def store_concern(store: OrderStore | None, path: str) -> Concern:
    """Whether orders can be written and read."""
    if store is None:
        return Concern("store", Level.STALE, "not open")
    values = {"file": path or "none: orders are lost on exit"}
    try:
        values |= {"open orders": str(store.open_count()), "changes": str(store.last_seq())}
    except AislewiseError as error:
        return Concern("store", Level.ERROR, str(error), values)
    if store.trouble:
        return Concern("store", Level.ERROR, f"cannot be written: {store.trouble}", values)
    return Concern("store", values=values)


def service_concern(service: PlanningService | None, bind: str) -> Concern:
    """Whether fleet managers are answered."""
    if service is not None:
        level = Level.OK if service.alive else Level.ERROR
        return Concern("service", level, "ok" if service.alive else "has ended", {"endpoint": service.endpoint})
    return Concern("service", Level.STALE, f"{bind} is not open yet") if bind else Concern("service", message="none")
