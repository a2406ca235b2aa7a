"""A planning problem as one JSON file, and its solution: planned and rehearsed to the end.

    {"site": {...} or "site.json",         a site map (aislewise.sitemap), or its path beside the problem
     "robots": [{"id": "r1", "cell": 12}, {"id": "r2", "x_m": 3.5, "y_m": 1.5, "battery": 0.8,
                "load": ["order-0"]}],
     "orders": [{"order_id": "order-1", "lines": [{"sku": "A", "deliver_to": "station-1"}]}],
     "keep_outs": [{"id": "wet", "polygon": [[1, 1], [2, 1], [2, 2]], "reason": "wet floor"}],
     "config": {"capacity": 2}, "seed": 0}

Robots and orders are needed, the rest has defaults. Stamps of orders count from the start of the plan.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, Struct, UnsetType

from aislewise.errors import InputError
from aislewise.sitemap import OPEN, SiteMap
from aislewise.types import KeepOut, Order, OrderState, TaskKind
from planning.check import check_paths
from planning.config import PlannerConfig
from planning.orders import OrderValidator, check_id
from planning.planner import Planner
from planning.protocol import OrderBody, decode
from planning.rehearsal import Rehearsal, joint_paths
from planning.store import MemoryStore

MAX_BYTES = 64 << 20
MAX_ROBOTS = 10_000
DEFAULT_MAX_STEPS = 20_000


class RobotBody(Struct, forbid_unknown_fields=True):
    id: str
    cell: int | UnsetType = UNSET
    x_m: float | UnsetType = UNSET
    y_m: float | UnsetType = UNSET
    battery: float = 1.0
    load: tuple[str, ...] = ()


class KeepOutBody(Struct, forbid_unknown_fields=True):
    id: str
    polygon: tuple[tuple[float, float], ...]
    reason: str = ""


class ProblemBody(Struct, forbid_unknown_fields=True):
    site: str | dict[str, Any]
    robots: tuple[RobotBody, ...]
    orders: tuple[OrderBody, ...]
    keep_outs: tuple[KeepOutBody, ...] = ()
    config: dict[str, Any] = {}
    seed: int = 0


@dataclass(frozen=True)
class RobotStart:
    id: str
    cell: int
    battery: float
    load: tuple[str, ...]


@dataclass(frozen=True)
class Problem:
    """A checked problem: all that is named exists, robots stand in different open cells."""

    site: SiteMap
    robots: tuple[RobotStart, ...]
    orders: tuple[Order, ...]
    keep_outs: tuple[KeepOut, ...]
    config: PlannerConfig
    seed: int

    @staticmethod
    def load(path: Path | str) -> Problem:
        """Raises InputError naming the field."""
        path = Path(path)
        try:
            if path.stat().st_size > MAX_BYTES:
                raise InputError("problem", f"{path.stat().st_size} bytes", MAX_BYTES)
            return Problem.from_json(path.read_bytes(), path.parent)
        except OSError as error:
            raise InputError("problem", f"cannot read {path.name}: {error.strerror}") from error

    @staticmethod
    def from_json(raw: bytes, folder: Path = Path()) -> Problem:
        body = decode(raw, ProblemBody, "json", "problem")
        site = SiteMap.load(folder / body.site) if isinstance(body.site, str) else SiteMap.from_json(body.site)
        config = PlannerConfig.from_json(body.config)
        robots = _robots(body, site, config)
        return Problem(site, robots, _orders(body, site), _keep_outs(body), config, body.seed)


def _robots(body: ProblemBody, site: SiteMap, config: PlannerConfig) -> tuple[RobotStart, ...]:
    if not 1 <= len(body.robots) <= MAX_ROBOTS:
        raise InputError("robots", f"has {len(body.robots)} entries", f"1 to {MAX_ROBOTS}")
    out: list[RobotStart] = []
    orders = {order.order_id for order in body.orders}
    for i, robot in enumerate(body.robots):
        where = f"robots[{i}]"
        check_id(robot.id, f"{where}.id")
        cell, field = _robot_cell(robot, site, where)
        if not 0 <= cell < site.cells.size or site.cells.flat[cell] != OPEN:
            raise InputError(field, f"cell {cell} is not an open cell of the site")
        for other in out:
            if other.id == robot.id:
                raise InputError(f"{where}.id", f"{robot.id!r} occurs twice")
            if other.cell == cell:
                raise InputError(field, f"{other.id} stands in cell {cell} too")
        if not 0.0 <= robot.battery <= 1.0:
            raise InputError(f"{where}.battery", f"{robot.battery}", "0 to 1")
        if len(robot.load) > config.capacity:
            raise InputError(f"{where}.load", f"{len(robot.load)} loads", f"capacity {config.capacity}")
        for order_id in robot.load:
            if order_id not in orders:
                raise InputError(f"{where}.load", f"no order {order_id!r}")
        out.append(RobotStart(robot.id, cell, robot.battery, robot.load))
    carriers = Counter(order_id for robot in out for order_id in set(robot.load))
    for order_id, count in carriers.items():
        if count > 1:
            raise InputError("robots", f"order {order_id!r} is on board of {count} robots", 1)
    return tuple(out)


def _robot_cell(robot: RobotBody, site: SiteMap, where: str) -> tuple[int, str]:
    if not isinstance(robot.cell, UnsetType):
        return robot.cell, f"{where}.cell"
    if isinstance(robot.x_m, UnsetType) or isinstance(robot.y_m, UnsetType):
        raise InputError(where, "needs a cell, or x_m and y_m")
    return site.cell_at(robot.x_m, robot.y_m), f"{where}.x_m"


def _orders(body: ProblemBody, site: SiteMap) -> tuple[Order, ...]:
    validate, orders, seen = OrderValidator(site), [], set()
    for i, item in enumerate(body.orders):
        try:
            order = validate(item.to_order())
        except InputError as error:
            raise type(error)(f"orders[{i}].{error.field}", error.message, error.limit) from None
        if order.order_id in seen:
            raise InputError(f"orders[{i}].order_id", f"{order.order_id!r} occurs twice")
        seen.add(order.order_id)
        orders.append(order)
    return tuple(orders)


def _keep_outs(body: ProblemBody) -> tuple[KeepOut, ...]:
    out = []
    for i, item in enumerate(body.keep_outs):
        polygon = np.array(item.polygon, np.float64).reshape(-1, 2)
        if len(polygon) < 3 or not np.isfinite(polygon).all():
            raise InputError(f"keep_outs[{i}].polygon", f"has {len(polygon)} corners", "at least 3 finite points")
        out.append(KeepOut(item.id, polygon, item.reason))
    return tuple(out)


# --- solving -----------------------------------------------------------------------------------


def solve(problem: Problem, max_steps: int = DEFAULT_MAX_STEPS) -> dict[str, Any]:
    """Plan and rehearse until every order is final, or `max_steps` have passed.

    Returns {"ok", "orders": {id: {state, robot, reason, done_s}}, "robots": {id: {"tasks": [...], "path":
    [[x_m, y_m, t_s], ...]}}, "violations": [...], "makespan_steps", "step_s", "solver"}; "ok": all DONE and
    nothing violated. A robot's path names the cells it entered, with the time it was in each."""
    site = problem.site
    floor = Rehearsal(site, {r.id: r.cell for r in problem.robots}, problem.config.speed_mps)
    for robot in problem.robots:
        floor.robots[robot.id].battery = robot.battery
        floor.robots[robot.id].load = list(robot.load)
    store = _store(problem)
    planner = Planner(site, store, problem.config, problem.seed)
    solvers: Counter[str] = Counter()
    tasks: dict[str, list[dict[str, Any]]] = {robot.id: [] for robot in problem.robots}
    while store.open_count() and floor.ticks < max_steps:
        plan = planner.step(floor.world(keep_outs=problem.keep_outs), floor.now_ns)
        solvers[plan.solver] += bool(store.open_count())
        floor.obey(plan)
        before = {r: walker.present for r, walker in floor.robots.items()}
        floor.tick()
        for name, waypoint in before.items():
            now = floor.robots[name].present
            if now is not None and now.action and now != waypoint:
                tasks[name].append(_task(now, floor))
    return _solution(problem, floor, store, tasks, solvers)


def _store(problem: Problem) -> MemoryStore:
    store = MemoryStore()
    carrier = {order_id: robot.id for robot in problem.robots for order_id in robot.load}
    for order in problem.orders:
        store.submit(order, 0)
        if order.order_id in carrier:
            for state in (OrderState.PLANNED, OrderState.ASSIGNED, OrderState.RUNNING):
                store.transition(order.order_id, state, 0, robot=carrier[order.order_id])
    return store


def _task(waypoint: Any, floor: Rehearsal) -> dict[str, Any]:
    return {
        "kind": TaskKind(waypoint.action).value, "id": waypoint.action_id, "cell": waypoint.cell,
        "start_s": round((floor.ticks - 1) * floor.tick_s, 3),
    }  # fmt: skip


def _solution(
    problem: Problem, floor: Rehearsal, store: MemoryStore, tasks: dict[str, list[dict[str, Any]]], solvers: Counter[str]
) -> dict[str, Any]:
    records = store.list(limit=max(1, len(problem.orders)))
    robots, rows = joint_paths(floor.tracks)
    starts = [robot.cell for robot in problem.robots]
    violations = floor.violations + [str(v) for v in check_paths(problem.site.free, starts, None, rows)]
    orders = {
        r.order.order_id: {
            "state": r.state.value, "robot": r.robot, "reason": r.reason,
            "done_s": round(r.updated_ns / 1e9, 3) if r.state.final else None,
        }
        for r in records
    }  # fmt: skip
    return {
        "ok": not violations and all(r.state is OrderState.DONE for r in records),
        "orders": orders,
        "robots": {
            robot: {"tasks": tasks[robot], "path": _path(problem.site, floor.tracks[robot], floor.tick_s)}
            for robot in robots
        },
        "violations": violations,
        "makespan_steps": floor.ticks,
        "step_s": floor.tick_s,
        "solver": max(solvers, key=lambda name: (solvers[name], name), default="none"),
    }


def _path(site: SiteMap, cells: list[int], step_s: float) -> list[list[float]]:
    return [
        [*site.centre(cell), round(t * step_s, 3)]
        for t, cell in enumerate(cells)
        if t == 0 or cell != cells[t - 1]
    ]


def dumps(solution: dict[str, Any]) -> str:
    return json.dumps(msgspec.to_builtins(solution), indent=1) + "\n"
