"""What each robot does or waits for, read off the floor as a plan left it, and the chain from one that stands to its root.

A `Floor` is immutable and made of references to what the planner renews with every plan: making one costs little, and
any thread may read it. All that asks for searching is done by who asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from aislewise.sitemap import SiteMap
from aislewise.types import U8, Decision, RobotInfo, RobotMode, RobotPlan, Task, TaskKind, WorldObject
from planning.distance import I32, UNREACHABLE, bfs
from planning.goals import Goal
from planning.lane_graph import neighbours_of, sources_of
from planning.obstacles import Blocked

LONGEST = 64
"""Links of a chain that are followed."""
NEAR_M = 4.0
"""Who moves farther than this from a cell is not taken for the one that it is kept clear of."""
STANDS_NS = 5_000_000_000
"""Who has been in a cell for longer stands; before that it drives, or is about to."""
ACTS, DRIVES = "acts", "drives"
AT_EASE = frozenset({"out", ACTS, DRIVES, "parked", "ready", "no_charger", "stopped"})
"""Codes of `cause` of robots that wait for nobody's turn."""


class Body(NamedTuple):
    """One robot. since_ns: in `cell` since; goal: None = takes no part; head: who is to go through the next cell
    committed to it first; low: its battery asks for a charger; settles: it is sent nothing until what was taken back from
    it, or what it is at, is over."""

    robot: str
    cell: int
    since_ns: int
    info: RobotInfo
    plan: RobotPlan
    goal: Goal | None
    able: bool
    online: bool
    low: bool
    settles: bool
    head: str

    @property
    def task(self) -> Task | None:
        return self.plan.tasks[0] if self.plan.tasks else None


@dataclass(frozen=True)
class Floor:
    """waits: order -> (why nobody serves it, whether because it
    cannot be reached); chargers: robot -> the charger's cell it is sent to; refused: what the checker
    had against the plan, "" = nothing; leave: (H, W) directions in which cells may be left, None = any; given_up_s: after so
    long an order that is blocked is given up."""

    stamp_ns: int
    site: SiteMap
    bodies: Mapping[str, Body]
    objects: tuple[WorldObject, ...]
    blocked: Blocked
    waits: Mapping[str, tuple[str, bool]]
    chargers: Mapping[str, int]
    refused: str
    leave: U8 | None
    given_up_s: float
    speed_mps: float
    since_ns: Mapping[str, int] = field(default_factory=dict)
    """Order -> since when nobody serves it."""

    @cached_property
    def holders(self) -> dict[int, str]:
        """Cell -> the robot that stands in it or was released into it."""
        return {cell: b.robot for b in self.bodies.values() for cell in (b.cell, *(w.cell for w in b.plan.released))}

    @cached_property
    def first(self) -> dict[int, str]:
        """Place's cell -> the robot let to it; the others wait."""
        return {b.goal.cell: b.robot for b in self.bodies.values() if b.goal is not None and b.goal.dwells}

    @cached_property
    def places(self) -> dict[int, str]:
        return {p.cell: p.id for p in self.site.places.values()}

    @cached_property
    def _ways(self) -> tuple[tuple[I32, I32], tuple[I32, I32]]:
        """(neighbours, sources) of the cells that are open, and of all that the site map has."""
        open_ = self.site.free & ~self.blocked.standing.reshape(self.site.cells.shape)
        return tuple((neighbours_of(free, self.leave), sources_of(free, self.leave)) for free in (open_, self.site.free))  # type: ignore[return-value]

    def robot_of(self, order_id: str) -> str:
        """Who has the order among its tasks; "" if nobody."""
        return next((b.robot for b in self.bodies.values() if any(t.order_id == order_id for t in b.plan.tasks)), "")

    def next_cell(self, cell: int, goal: int) -> int:
        """The first cell of a shortest way, round what stands if there is one, else through it; -1 if there is none."""
        for nbr, sources in self._ways:
            steps = _steps(sources, goal)
            ahead = [other for other in nbr[cell].tolist() if other >= 0 and steps[other] < UNREACHABLE]
            if ahead:
                return min(ahead, key=lambda other: int(steps[other]))
        return -1

    def unfit(self) -> dict[str, str]:
        """Robots that take no new work, and why."""
        return {
            b.robot: f"battery at {b.info.battery:.0%}" if b.able else b.info.problem or "silent"
            for b in self.bodies.values() if b.low or not b.able
        }  # fmt: skip

    def walls(self, reason: str) -> list[str]:
        """What stands between the place that a reason names and the rest of the floor."""
        cell = next((p.cell for p in self.site.places.values() if p.id in reason.split()), -1)
        if cell < 0:
            return []
        standing, nbr = self.blocked.standing, neighbours_of(self.site.free)
        inside = _steps(self._ways[0][1], cell) < UNREACHABLE
        between: dict[str, list[bool]] = {}
        for wall in np.flatnonzero(standing).tolist():
            beside = [other for other in nbr[wall].tolist() if other >= 0]
            sides = {bool(inside[other]) for other in beside if not standing[other]}
            if True in sides:
                between.setdefault(self.blocked.why.get(wall, "an obstacle"), []).append(False in sides)
        # Things side by side may shut a way together, none of them touching both sides.
        return [by for by, both in between.items() if any(both)] or list(between)

    def eta_ns(self, order_id: str) -> tuple[int, int] | None:
        """When the order's robot is to have brought it, in the middle and in nine of ten cases: its part of the way to the
        end of all the robot's tasks. None if nobody has it."""
        body = self.bodies.get(self.robot_of(order_id))
        if body is None:
            return None
        at, way, part = body.cell, 0.0, 0.0
        for task in body.plan.tasks:
            steps = _steps(self._ways[1][1], task.cell)[at]
            way += float(steps) * self.site.resolution_m / self.speed_mps + task.dwell_s
            at, part = task.cell, way if task.order_id == order_id else part
        share = part / way if way > 0 else 1.0
        p50, p90 = (self.stamp_ns + round((eta - self.stamp_ns) * share) for eta in (body.plan.eta_p50_ns, body.plan.eta_p90_ns))
        return p50, p90


def _steps(sources: I32, goal: int) -> I32:
    dist, queue = np.empty(len(sources), np.int32), np.empty(len(sources), np.int32)
    bfs(sources, goal, dist, queue)
    return dist


def chain(floor: Floor, robot: str) -> list[dict[str, Any]]:
    """Facts on the robot and on each that it waits for, up to the root, which waits for no robot, or to the first that came
    before (code "ring"). Each has robot, code, cell and since_ns, and, where it waits for another, `for`."""
    links: list[dict[str, Any]] = []
    seen: set[str] = set()
    while robot in floor.bodies and len(links) < LONGEST:
        if robot in seen:
            return [*links, {"robot": robot, "code": "ring"}]
        seen.add(robot)
        body = floor.bodies[robot]
        where = {"robot": robot, "at": floor.site.centre(body.cell), "since_ns": body.since_ns}
        links.append(where | _doing(body) | cause(floor, body))
        robot = str(links[-1].get("for", ""))
    return links


def cause(floor: Floor, body: Body) -> dict[str, Any]:
    """What one robot does or waits for now: `code` (planning.why_words has a sentence for each) and what goes with it."""
    if not body.able:
        silent = not body.online and body.info.mode is not RobotMode.LOST
        because = {"silent_since_ns": body.info.heard_at_ns} if silent else {"problem": body.info.problem or "it has lost its way"}
        return {"code": "out"} | because
    released = body.plan.released
    if released and released[0].action:
        return {"code": ACTS, "battery": body.info.battery}
    if released:
        stopped = body.info.mode is RobotMode.STOPPED
        return {"code": "stopped" if stopped else DRIVES, "ahead": sum(not w.action for w in released)}
    if body.settles:
        return {"code": "settles"}
    return _idle(floor, body) if body.task is None else _halted(floor, body, body.task)


def _idle(floor: Floor, body: Body) -> dict[str, Any]:
    if body.low:
        # Of two who are to have one in turn, who stands there now.
        turns = sorted(floor.chargers.items(), key=lambda item: floor.bodies[item[0]].cell == item[1] if item[0] in floor.bodies else False)
        holders = {floor.places.get(cell, ""): robot for robot, cell in turns}
        return {"code": "no_charger", "battery": body.info.battery, "holders": holders}
    if body.goal is not None and body.goal.cell != body.cell:
        return _ahead(floor, body, body.goal.cell)
    return {"code": "parked", "place": floor.places.get(body.cell, ""), "orders_waiting": len(floor.waits)}


def _halted(floor: Floor, body: Body, task: Task) -> dict[str, Any]:
    goal = body.goal.cell if body.goal is not None else task.cell
    if goal != body.cell:
        return _ahead(floor, body, goal)
    if goal != task.cell:
        first = floor.first.get(task.cell, "")
        return {"code": "queues"} | ({"for": first} if first and first != body.robot else {})
    return {"code": "ready"}


def _ahead(floor: Floor, body: Body, goal: int) -> dict[str, Any]:
    """Nothing is released to the robot though it is to drive to `goal`: what the next cell of its way is kept from it by."""
    cell = body.plan.horizon[0] if body.plan.horizon else floor.next_cell(body.cell, goal)
    if cell < 0:
        return {"code": "no_way"}
    facts = {"ahead_at": floor.site.centre(cell)}
    holder = floor.holders.get(cell, "")
    if holder and holder != body.robot:
        return {"code": "held", "for": holder} | facts
    if floor.blocked.standing[cell]:
        by = floor.blocked.why.get(cell, "an obstacle")
        facts |= {"by": by} | sighting(floor.objects, by)
        return {"code": "shut"} | facts
    if floor.blocked.passing[cell]:
        return {"code": "mover"} | facts | _mover(floor, cell)
    if floor.refused:
        return {"code": "refused", "said": floor.refused}
    if body.head and body.head != body.robot:
        return {"code": "passes", "for": body.head} | facts
    return {"code": "gives_way"} | facts


def _doing(body: Body) -> dict[str, Any]:
    task = body.task
    if task is None:
        return {}
    return {"do": task.kind.value, "place": task.place} | ({"order": task.order_id} if task.kind is not TaskKind.CHARGE else {})


def _mover(floor: Floor, cell: int) -> dict[str, Any]:
    """The moving thing nearest to a cell that is kept clear."""
    centre = np.array(floor.site.centre(cell))
    near = [(float(np.hypot(*(seen.position[:2] - centre))), seen) for seen in floor.objects]
    near = [(gap, seen) for gap, seen in near if gap <= NEAR_M and seen.cls.name != "ROBOT"]
    movers = [item for item in near if item[1].cls.name in ("PERSON", "FORKLIFT") or np.hypot(*item[1].velocity) > 0.1]
    if not movers:
        return {}
    seen = min(movers, key=lambda item: item[0])[1]
    return {"by": f"{seen.cls.name.lower()} {seen.id}"} | _seen(seen)


def sighting(objects: tuple[WorldObject, ...], by: str) -> dict[str, Any]:
    """Who saw what the planner calls `by` ("pallet p1"), and where, if it is something seen."""
    return next((_seen(seen) for seen in objects if by.endswith(seen.id) and f"{seen.cls.name.lower()} {seen.id}" in by), {})


def _seen(seen: WorldObject) -> dict[str, Any]:
    x_m, y_m = (round(float(v), 2) for v in seen.position[:2])
    return {"seen_by": list(seen.seen_by), "seen_at": [x_m, y_m], "last_seen_ns": seen.last_seen_ns}


def refusal_of(decisions: tuple[Decision, ...]) -> str:
    """What the checker said if nothing was released."""
    return next((d.because for d in decisions if d.subject == "fleet"), "")
