"""Who waits for whom: the floor as it was after a plan, and the chain from a robot that stands to what holds it up.

A `Floor` is immutable: the planner makes one with every plan, other threads read the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aislewise.sitemap import SiteMap
from aislewise.types import ObjectClass, Task, WorldObject
from planning.distance import neighbours

Bool = NDArray[np.bool_]
MOVERS = (ObjectClass.PERSON, ObjectClass.FORKLIFT)
NEAR_M = 3.0
"""Farther than this from a cell that is kept clear of something moving, what moves is not it."""
LONGEST = 64
"""Links of a chain that are followed."""


@dataclass(frozen=True, slots=True)
class Body:
    """One robot. since_ns: in `cell` since; ahead: cells released to it beyond that; wants: the next cell after those, -1 =
    none; goal: the cell it is to drive to, -1 = none; queues: the goal is where it waits for the place at `place_cell`;
    out: facts on why it takes no part, None = it does; holds_still: "" or why it is sent nothing now; tasks: what is
    planned for it, in order; passing: who is to go through `wants` first, "" = nobody."""

    robot: str
    cell: int
    since_ns: int
    battery: float
    ahead: tuple[int, ...] = ()
    wants: int = -1
    passing: str = ""
    goal: int = -1
    queues: bool = False
    place_cell: int = -1
    acting: str = ""
    holds_still: str = ""
    out: dict[str, Any] | None = None
    low: bool = False
    tasks: tuple[Task, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """Something on the floor that the world state knows. by: the robots that saw it."""

    id: str
    what: str
    x_m: float
    y_m: float
    by: tuple[str, ...]
    moves: bool


@dataclass(frozen=True)
class Floor:
    """holder: cell -> the robot that stands in it or was released into it; first: cell -> the robot let to the place in
    it; shut: cell -> what stands there; passing: (H * W,) cells kept clear of something moving; withdrawn: cells taken
    back moments ago; eta_ns: order -> when its robot is to be at its first stop; aboard: order -> (on board, brought, all
    of its loads)."""

    stamp_ns: int
    site: SiteMap
    bodies: Mapping[str, Body]
    holder: Mapping[int, str]
    first: Mapping[int, str]
    shut: Mapping[int, str]
    passing: Bool
    withdrawn: frozenset[int]
    seen: tuple[Seen, ...]
    places: Mapping[int, str]
    eta_ns: Mapping[str, int] = field(default_factory=dict)
    aboard: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    waits: Mapping[str, str] = field(default_factory=dict)
    chargers: Mapping[str, int] = field(default_factory=dict)

    def robot_of(self, order_id: str) -> str:
        """Who has the order among its tasks; "" if nobody."""
        return next((b.robot for b in self.bodies.values() if any(t.order_id == order_id for t in b.tasks)), "")


def seen_of(objects: tuple[WorldObject, ...], existence_min: float) -> tuple[Seen, ...]:
    return tuple(
        Seen(o.id, o.cls.name.lower(), float(o.position[0]), float(o.position[1]), o.seen_by, o.cls in MOVERS)
        for o in objects
        if o.existence >= existence_min and o.cls is not ObjectClass.ROBOT
    )


def chain(floor: Floor, robot: str) -> list[dict[str, Any]]:
    """Facts on the robot and on each that it waits for, to the last, which waits for no robot; or to the first that came
    before (code "ring"). Each has robot, code, and, when it waits for another, `for`."""
    links: list[dict[str, Any]] = []
    seen: set[str] = set()
    while robot and len(links) < LONGEST:
        if robot in seen:
            links.append({"robot": robot, "code": "ring"})
            break
        seen.add(robot)
        links.append({"robot": robot} | cause(floor, floor.bodies[robot]))
        robot = str(links[-1].get("for", ""))
        robot = robot if robot in floor.bodies else ""
    return links


def cause(floor: Floor, body: Body) -> dict[str, Any]:
    """What one robot does or waits for: code, and what goes with it."""
    if body.out is not None:
        return {"code": "out"} | body.out
    if body.acting:
        task = body.tasks[0] if body.tasks else None
        facts = {"order": task.order_id, "place": task.place} if task else {}
        return {"code": "acts", "do": body.acting, "battery": body.battery} | facts
    if body.holds_still:
        return {"code": body.holds_still}
    if body.ahead:
        return {"code": "drives", "cell": body.ahead[0], "since_ns": body.since_ns} | doing(body)
    if body.wants >= 0:
        return _ahead(floor, body)
    if body.queues:
        first = floor.first.get(body.place_cell, "")
        who = {"for": first} if first and first != body.robot else {}
        return {"code": "queues", "place": floor.places.get(body.place_cell, ""), "cell": body.place_cell} | who
    if body.goal >= 0 and body.goal != body.cell:
        return {"code": "no_way", "cell": body.goal} | doing(body)
    if not body.tasks:
        return {"code": "parked", "place": floor.places.get(body.cell, ""), "waits": len(floor.waits)}
    return {"code": "begins"} | doing(body)


def _ahead(floor: Floor, body: Body) -> dict[str, Any]:
    cell = body.wants
    holder = floor.holder.get(cell, "")
    if holder and holder != body.robot:
        return {"code": "held", "cell": cell, "for": holder} | doing(body)
    if cell in floor.shut:
        return {"code": "shut", "cell": cell, "by": floor.shut[cell]} | by_whom(floor, floor.shut[cell]) | doing(body)
    if floor.passing[cell]:
        mover = moving_near(floor, cell)
        facts = {"what": mover.what, "id": mover.id, "at": [mover.x_m, mover.y_m], "seen_by": list(mover.by)} if mover else {}
        return {"code": "person", "cell": cell} | facts | doing(body)
    if cell in floor.withdrawn:
        return {"code": "withdrawn", "cell": cell} | doing(body)
    if body.passing and body.passing != body.robot:
        return {"code": "passes", "cell": cell, "for": body.passing} | doing(body)
    return {"code": "goes_on", "cell": cell} | doing(body)


def doing(body: Body) -> dict[str, Any]:
    """What the robot is about."""
    if not body.tasks:
        return {}
    task = body.tasks[0]
    return {"do": task.kind.value, "order": task.order_id, "place": task.place}


def moving_near(floor: Floor, cell: int) -> Seen | None:
    """What moves nearest to the cell; None if nothing does near it."""
    x_m, y_m = floor.site.centre(cell)
    gaps = [(float(np.hypot(s.x_m - x_m, s.y_m - y_m)), s.id, s) for s in floor.seen if s.moves]
    gap, _, nearest = min(gaps, key=lambda g: g[:2], default=(np.inf, "", None))
    return nearest if gap <= NEAR_M + floor.site.resolution_m else None


def by_whom(floor: Floor, by: str) -> dict[str, Any]:
    """Who saw what the planner calls `by` ("pallet p1"), if it is something seen."""
    found = next((s for s in floor.seen if f"{s.what} {s.id}" == by), None)
    return {"seen_by": list(found.by), "at": [found.x_m, found.y_m]} if found else {}


def walls(free: Bool, standing: Bool, why: Mapping[int, str], cell: int) -> list[tuple[str, int]]:
    """What cuts `cell` off from the rest of the floor: (cause, one of its cells). free: (H, W); standing: (H * W,) cells that
    something shuts, `why` says what. Those alone are named that stand between the floor round `cell` and the rest."""
    if standing[cell]:
        return [(why.get(cell, "an obstacle"), cell)]
    nbr = neighbours(free)
    inside, front = {cell}, [cell]
    touched: set[int] = set()
    while front:
        reached = [o for here in front for o in nbr[here].tolist() if o >= 0 and o not in inside]
        touched |= {o for o in reached if standing[o]}
        front = list(dict.fromkeys(o for o in reached if not standing[o]))
        inside.update(front)
    by_cause: dict[str, set[int]] = {}
    for other in np.flatnonzero(standing & free.ravel()).tolist():
        by_cause.setdefault(why.get(other, "an obstacle"), set()).add(other)
    between = []
    for cause_, cells in by_cause.items():
        near = {o for c in cells for o in nbr[c].tolist() if o >= 0 and not standing[o]}
        if cells & touched and near - inside:
            between.append((cause_, min(cells & touched)))
    # Several things side by side may shut the way together, none of them touching both sides.
    return sorted(between or [(c, min(cells & touched)) for c, cells in by_cause.items() if cells & touched], key=lambda w: w[1])
