"""Which robot brings which load in which order: the plan in force mended, then improved, with reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aislewise.types import Decision, TaskKind
from planning.assign import complete
from planning.config import PlannerConfig
from planning.distance import DistanceTables
from planning.ledger import Job, bulk_room
from planning.offers import Candidate, Offers, renumbered
from planning.rights import Floors
from planning.rights_offers import own_legs
from planning.routing import FAR, Haul, Routes, RoutingProblem, Vehicle
from planning.sequence import improve
from planning.sequence_lns import Search

DS = 10  # deciseconds in a second
MAX_WEIGHT = 100
SEARCHED_FLEET = 200
"""Robots from which on only those without work are planned for."""
LOADS_EACH = 6  # for each robot so many loads are planned, the most urgent ones
MANY_VEHICLES, NAMED_RIVALS = 64, 8


class Stop(NamedTuple):
    """One stop in a robot's sequence: pick or drop one load in `cell`."""

    load: int
    kind: TaskKind
    cell: int


@dataclass(frozen=True)
class Dispatch:
    """sequences: robot -> its stops. waiting: order id -> (why nobody serves it, whether because it
    cannot be reached). solver: who answered: insertion (of what is new), lns, routing, assignment or greedy."""

    sequences: dict[str, tuple[Stop, ...]]
    waiting: dict[str, tuple[str, bool]]
    decisions: tuple[Decision, ...]
    solver: str


class Dispatcher:
    """Keeps nothing but settings: what is in force comes in, what shall be in force goes out."""

    def __init__(self, config: PlannerConfig, resolution_m: float) -> None:
        self._config = config
        self._ds_per_cell = DS * resolution_m / config.speed_mps

    def __call__(
        self,
        candidates: Sequence[Candidate],
        jobs: Mapping[str, Job],
        in_force: Mapping[str, Sequence[Stop]],
        tables: DistanceTables,
        standing: NDArray[np.bool_],
        why: Callable[[int], str],
        now_ns: int,
        *,
        stretch: tuple[float, float] = (1.0, 1.0),
        search: bool = True,
        floors: Floors | None = None,
    ) -> Dispatch:
        """tables: distances on cells that are not `standing` (H * W,) blocked; why(cell): what blocks it. stretch: how many
        times longer driving takes than on an empty floor, in the middle and at worst in nine of ten cases; due times are
        brought forward by what lies between. search: look for better than the plan in force with what is new in it. floors:
        where robots of each class may drive, None = all everywhere; then `tables` are of each."""
        weight_due = partial(self._weight_due, now_ns=now_ns, hurry=stretch[0] / stretch[1])
        orders = Offers(candidates, tables, standing, why, floors)(jobs, weight_due)
        feasible, waiting = orders.hauls, orders.waiting
        kept = self._kept(candidates, feasible, in_force) if len(candidates) > SEARCHED_FLEET else {}
        busy = {stop.load for stops in kept.values() for stop in stops}
        open_orders = {o: hauls for o, hauls in feasible.items() if not any(h.load in busy for h in hauls)} if kept else feasible
        free = [c for c in candidates if c.robot not in kept]
        queued: set[str] = set()
        if kept:
            everyone, open_orders = open_orders, renumbered(open_orders, candidates, free)
            queued = everyone.keys() - open_orders.keys()
        window, late = self._window(open_orders, jobs, in_force, len(free))
        waiting.update({order_id: ("QUEUED: robots have enough to do", False) for order_id in [*late, *sorted(queued)]})
        problem = self._problem(free, window, orders.carried, tables, stretch[0])
        before = self._routes_in_force(problem, free, in_force)
        routes, solver = self._solve(problem, before, search)
        sequences = kept | {
            c.robot: self._stops(problem, routes[v], before[v], in_force.get(c.robot, ())) for v, c in enumerate(free)
        }
        served = {stop.load for stops in sequences.values() for stop in stops}
        for order_id, hauls in window.items():
            for haul in hauls:
                if haul.load not in served:
                    waiting[order_id] = ("NO_ROBOT: no robot has room", False)
        return Dispatch(sequences, waiting, self._decisions(problem, routes, before, solver, jobs), solver)

    # --- what can be served --------------------------------------------------------------------

    @staticmethod
    def _kept(
        candidates: Sequence[Candidate], feasible: Mapping[str, list[Haul]], in_force: Mapping[str, Sequence[Stop]]
    ) -> dict[str, tuple[Stop, ...]]:
        """In a large fleet, who has work that can go on as planned keeps it: new orders are for the others. So are, while
        any of them has nothing to do, orders that a robot is only to begin after what it has in hand."""
        loads = {haul.load: haul for hauls in feasible.values() for haul in hauls}
        out: dict[str, tuple[Stop, ...]] = {}
        for v, c in enumerate(candidates):
            stops = tuple(s for s in in_force.get(c.robot, ()) if s.load in loads)
            if stops and all(v in loads[s.load].vehicles for s in stops):
                out[c.robot] = stops
        if any(c.takes_work and c.robot not in out for c in candidates):
            for robot, stops in out.items():
                in_hand = {loads[stops[0].load].group} | {loads[s.load].group for s in stops if loads[s.load].pick_cell < 0}
                out[robot] = tuple(s for s in stops if loads[s.load].group in in_hand)
        return out

    def _window(
        self, feasible: Mapping[str, list[Haul]], jobs: Mapping[str, Job], in_force: Mapping[str, Sequence[Stop]], robots: int
    ) -> tuple[Mapping[str, list[Haul]], list[str]]:
        """The orders to plan now, the most urgent ones; and the rest."""
        most = max(self._config.sequence_loads, LOADS_EACH * robots)
        if sum(map(len, feasible.values())) <= most:
            return feasible, []
        planned = {stop.load for stops in in_force.values() for stop in stops}
        ranked = sorted(
            feasible,
            key=lambda o: (
                not any(h.pick_cell < 0 for h in feasible[o]) and not jobs[o].robot,
                -feasible[o][0].weight, jobs[o].order.due_ns or 1 << 62,
                not any(h.load in planned for h in feasible[o]), jobs[o].accepted_ns, o,
            ),
        )  # fmt: skip
        window: dict[str, list[Haul]] = {}
        late, count = [], 0
        for order_id in ranked:
            count += len(feasible[order_id])
            if count > most and window:
                late.append(order_id)
            else:
                window[order_id] = feasible[order_id]
        return window, late

    @staticmethod
    def _weight_due(job: Job, *, now_ns: int, hurry: float) -> tuple[int, int]:
        """Price of a decisecond's waiting: grows with priority, and with age so that nobody starves. And what is left until
        the order is due, ds, times `hurry`; -1 for none."""
        order = job.order
        minutes = (now_ns - max(job.accepted_ns, order.release_ns)) // (60 * 10**9)
        half = MAX_WEIGHT // 2
        weight = max(1, min(4 + 4 * order.priority, half)) + max(0, min(int(minutes), half))
        return weight, int(max(0, order.due_ns - now_ns) * DS / 10**9 * hurry) if order.due_ns else -1

    # --- the problem and its answer ------------------------------------------------------------

    def _problem(
        self,
        candidates: Sequence[Candidate],
        window: Mapping[str, list[Haul]],
        carried: Mapping[str, tuple[int, int, int]],
        tables: DistanceTables,
        stretch: float,
    ) -> RoutingProblem:
        config, nothing, room = self._config, (0, 0, 0), bulk_room(self._config)
        hauls = tuple(haul for items in window.values() for haul in items)
        vehicles = tuple(
            Vehicle(
                c.robot, c.cell, round(c.ready_s * DS), config.capacity, loads,
                max(0, round((c.battery - config.charge_below / 2) * config.range_s * DS)), room, (grams, millilitres),
            )
            for c in candidates for loads, grams, millilitres in (carried.get(c.robot, nothing),)
        )  # fmt: skip
        stops = [cell for haul in hauls for cell in (haul.pick_cell, haul.drop_cell)]
        service = [0] * len(vehicles) + [round(config.pick_s * DS), round(config.drop_s * DS)] * len(hauls)
        cells = [v.cell for v in vehicles] + stops
        legs = own_legs([c.floor for c in candidates], cells, service, tables, self._ds_per_cell * stretch)
        return RoutingProblem(vehicles, hauls, legs)

    @staticmethod
    def _routes_in_force(
        problem: RoutingProblem, candidates: Sequence[Candidate], in_force: Mapping[str, Sequence[Stop]]
    ) -> Routes:
        """What is left of the present sequences: whole orders that are still to be done as planned."""
        number = {haul.load: j for j, haul in enumerate(problem.hauls)}
        routes: list[list[int]] = []
        for c in candidates:
            stops = [(number[s.load], s.kind is TaskKind.DROP) for s in in_force.get(c.robot, ()) if s.load in number]
            routes.append([problem.pick(j) + drop for j, drop in stops if drop or problem.hauls[j].pick_cell >= 0])
        where = {node: v for v, route in enumerate(routes) for node in route}
        gone, first = set(), len(problem.vehicles)
        for j, haul in enumerate(problem.hauls):
            pick = first + 2 * j
            if haul.pick_cell >= 0 and where.get(pick, -1) != where.get(pick + 1, -1):
                gone.add(haul.group)
        for group, hauls in problem.groups().items():
            if len(hauls) > 1 and len({where.get(first + 2 * j + 1, -1) for j in hauls}) > 1:
                gone.add(group)
        out = tuple(tuple(n for n in route if problem.group_of(n) not in gone) if gone else tuple(route) for route in routes)
        if not problem.valid(out):
            out = tuple(problem.passable(v, route) for v, route in enumerate(out))
        return out

    def _solve(self, problem: RoutingProblem, before: Routes, search: bool) -> tuple[Routes, str]:
        """The plan in force with what is new in it; then, with `search`, the best of a race: ruin and recreate, and, where
        there are few loads, OR-Tools' routing search. What is in force stands unless something costs less."""
        if not problem.hauls or len(problem.vehicles) > SEARCHED_FLEET:
            return complete(problem, before)
        was = {problem.group_of(n): v for v, route in enumerate(before) for n in route}
        best, solver = self._mended(problem, before, was, self._config.search_rounds if search else 0)
        if search and len(problem.hauls) <= self._config.sequence_loads:
            cost = problem.cost(best) + self._moving_cost(problem, best, was)
            try:
                found = improve(problem, best, self._config)
            except Exception:  # a search that dies must not leave robots without an answer
                found = None
            if found and problem.valid(found) and problem.cost(found) + self._moving_cost(problem, found, was) < cost:
                best, solver = found, "routing"
        return best, solver

    def _mended(self, problem: RoutingProblem, before: Routes, was: Mapping[int, int], rounds: int) -> tuple[Routes, str]:
        try:
            search = Search(problem, before, was, self._moving_ds())
            mended, solver = search.mend(), "insertion"
            if rounds and search.improve(rounds) != mended:
                mended, solver = search.routes, "lns"
            if _sound(problem, before, mended):
                return mended, solver
        except Exception:  # as above
            pass
        return complete(problem, before)

    def _moving_ds(self) -> int:
        return round(self._config.stickiness_s * DS * 4)

    def _moving_cost(self, problem: RoutingProblem, routes: Routes, was: Mapping[int, int]) -> int:
        """Orders that would change robots must pay for it, so that plans do not flutter."""
        now = {problem.group_of(n): v for v, route in enumerate(routes) for n in route}
        return sum(was.get(group, v) != v for group, v in now.items()) * self._moving_ds()

    @staticmethod
    def _stops(
        problem: RoutingProblem, route: tuple[int, ...], before: tuple[int, ...], stops: Sequence[Stop]
    ) -> tuple[Stop, ...]:
        """Of a route, where `before` was the one for `stops` or what is left of them."""
        if route == before and len(before) == len(stops):
            return tuple(stops)
        out = []
        for node in route:
            j, drop = problem.haul_of(node)
            haul = problem.hauls[j]
            out.append(Stop(haul.load, TaskKind.DROP if drop else TaskKind.PICK, haul.drop_cell if drop else haul.pick_cell))
        return tuple(out)

    @staticmethod
    def _decisions(
        problem: RoutingProblem, routes: Routes, before: Routes, solver: str, jobs: Mapping[str, Job]
    ) -> tuple[Decision, ...]:
        """One for each order that got a robot or another one."""
        was = {n: v for v, route in enumerate(before) for n in route}
        moved = {n: v for v, route in enumerate(routes) if route != before[v] for n in route if was.get(n) != v}
        order_of = dict(enumerate(jobs)) if moved else {}
        out = []
        for group in {problem.group_of(n): None for n in moved}:
            first = problem.stops(problem.groups()[group])[0]
            v = moved.get(first, -1)
            if v < 0:
                continue
            times = _times(problem, first)
            arrival = _arrival(problem, v, routes[v], first) / DS
            robot, place = problem.vehicles[v].robot, routes[v].index(first) + 1
            best = min(times.values(), default=arrival)
            because = (
                f"{robot} is there in {arrival:.1f} s as stop {place} of {len(routes[v])}; the nearest robot, "
                f"if it had nothing else to do, in {best:.1f} s; found by {solver}"
            )
            out.append(Decision(order_of[group], robot, because, {**times, "arrival, s": arrival}))
        return tuple(out)


def _sound(problem: RoutingProblem, before: Routes, routes: Routes) -> bool:
    """Valid, `before` being so: the routes that differ, and no stop twice."""
    nodes = [n for route in routes for n in route]
    return len(set(nodes)) == len(nodes) and problem.valid(tuple(() if new == old else new for new, old in zip(routes, before, strict=True)))


def _times(problem: RoutingProblem, first: int) -> dict[str, float]:
    """When each vehicle could be at a node if it had nothing else to do; of a large fleet the nearest."""
    at_ds = problem.leg_ds[: len(problem.vehicles), first] + [v.ready_ds for v in problem.vehicles]
    rivals = np.flatnonzero(problem.leg_ds[: len(problem.vehicles), first] < FAR)
    if len(rivals) > MANY_VEHICLES:
        rivals = rivals[np.argsort(at_ds[rivals], kind="stable")[:NAMED_RIVALS]]
    return {f"{problem.vehicles[u].robot} alone, s": float(at_ds[u]) / DS for u in rivals.tolist()}


def _arrival(problem: RoutingProblem, vehicle: int, route: Sequence[int], node: int) -> int:
    at, now = vehicle, problem.vehicles[vehicle].ready_ds
    for stop in route:
        now += int(problem.leg_ds[at, stop])
        at = stop
        if stop == node:
            break
    return now
