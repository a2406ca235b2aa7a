"""Which robot brings which load in which order: assignment first, then sequencing, with reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aislewise.types import Decision, TaskKind
from planning.assign import complete
from planning.config import PlannerConfig
from planning.distance import UNREACHABLE, DistanceTables
from planning.ledger import Job, Load, LoadState
from planning.routing import FAR, Haul, Routes, RoutingProblem, Vehicle, legs
from planning.sequence import improve

DS = 10  # deciseconds in a second
MAX_WEIGHT = 100
LARGE_FLEET = 40
"""Robots from which on only those without work are planned for."""
MANY_VEHICLES, NAMED_RIVALS = 64, 8


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop in a robot's sequence: pick or drop one load in `cell`."""

    load: int
    kind: TaskKind
    cell: int


@dataclass(frozen=True)
class Dispatch:
    """sequences: robot -> its stops. waiting: order id -> (why nobody serves it, whether because it
    cannot be reached). solver: who answered."""

    sequences: dict[str, tuple[Stop, ...]]
    waiting: dict[str, tuple[str, bool]]
    decisions: tuple[Decision, ...]
    solver: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A robot that may be given work. takes_work: new orders too, not only what it has begun."""

    robot: str
    cell: int
    ready_s: float
    battery: float
    takes_work: bool
    abilities: frozenset[str]


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
        standing: np.ndarray[tuple[int], np.dtype[np.bool_]],
        why: Callable[[int], str],
        now_ns: int,
    ) -> Dispatch:
        """tables: distances on cells that are not `standing` (H * W,) blocked; why(cell): what blocks it."""
        feasible, waiting = self._feasible(_Reach(candidates), jobs, tables, standing, why)
        kept = self._kept(candidates, feasible, in_force) if len(candidates) > LARGE_FLEET else {}
        busy = {stop.load for stops in kept.values() for stop in stops}
        open_orders = {o: hauls for o, hauls in feasible.items() if not any(h.load in busy for h in hauls)}
        free = [c for c in candidates if c.robot not in kept]
        queued: set[str] = set()
        if kept:
            everyone, open_orders = open_orders, _renumbered(open_orders, candidates, free)
            queued = everyone.keys() - open_orders.keys()
        window, late = self._window(open_orders, jobs, in_force, len(free), now_ns)
        waiting.update({order_id: ("QUEUED: robots have enough to do", False) for order_id in [*late, *sorted(queued)]})
        problem = self._problem(free, window, jobs, tables, now_ns)
        before = self._routes_in_force(problem, free, in_force)
        routes, solver = self._solve(problem, before)
        sequences = kept | {c.robot: self._stops(problem, routes[v]) for v, c in enumerate(free)}
        served = {problem.hauls[problem.haul_of(n)[0]].load for route in routes for n in route}
        for order_id, hauls in window.items():
            if any(haul.load not in served for haul in hauls):
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

    def _feasible(
        self,
        reach: _Reach,
        jobs: Mapping[str, Job],
        tables: DistanceTables,
        standing: np.ndarray[tuple[int], np.dtype[np.bool_]],
        why: Callable[[int], str],
    ) -> tuple[dict[str, list[Haul]], dict[str, tuple[str, bool]]]:
        """Hauls per order that some robot can serve now, and why the other orders wait."""
        out: dict[str, list[Haul]] = {}
        waiting: dict[str, tuple[str, bool]] = {}
        for number, (order_id, job) in enumerate(jobs.items()):
            hauls, reason = [], ""
            for load in job.loads:
                if load.state in (LoadState.WAITING, LoadState.COMMITTED, LoadState.ABOARD):
                    haul, cause = self._haul(number, job, load, reach, tables, standing, why)
                    reason = reason or cause
                    hauls += [haul] if haul else []
            aboard = [haul for haul in hauls if haul.pick_cell < 0]
            if reason:
                waiting[order_id] = (reason, not reason.startswith("NO_ROBOT:"))
                hauls = aboard  # an order is begun as a whole or not; what is on board goes on
            if hauls:
                if len(hauls) > 1:
                    both = frozenset.intersection(*(haul.vehicles for haul in hauls))
                    hauls = [_for(haul, both) for haul in hauls]
                out[order_id] = hauls
        return out, waiting

    def _haul(
        self,
        group: int,
        job: Job,
        load: Load,
        reach: _Reach,
        tables: DistanceTables,
        standing: np.ndarray[tuple[int], np.dtype[np.bool_]],
        why: Callable[[int], str],
    ) -> tuple[Haul | None, str]:
        if standing[load.drop_cell]:
            return None, f"BLOCKED: {load.drop_place} by {why(load.drop_cell)}"
        aboard = load.state is not LoadState.WAITING
        able = reach.able(load.robot or job.robot, job.order.capability)
        if not able:
            if job.order.capability and not reach.known(job.order.capability):
                return None, f"CAPABILITY: no robot can {job.order.capability!r}"
            return None, "NO_ROBOT: none is ready for work"
        to_drop = tables.to(load.drop_cell)
        near = reach.near(able, to_drop)
        open_picks = [c for c in load.pick_cells if not standing[c] and to_drop[c] < UNREACHABLE]
        if not near:
            return None, f"BLOCKED: the way to {load.drop_place} is shut"
        if not aboard and not open_picks:
            cell = load.pick_cells[0]
            cause = f"by {why(cell)}" if standing[cell] else "is cut off"
            return None, f"BLOCKED: {load.pick_place or 'the object'} {cause}"
        return (
            Haul(
                load.id, group, -1 if aboard else open_picks[0], load.drop_cell, load.size, 0, -1, near
            ),
            "",
        )

    def _window(
        self,
        feasible: Mapping[str, list[Haul]],
        jobs: Mapping[str, Job],
        in_force: Mapping[str, Sequence[Stop]],
        robots: int,
        now_ns: int,
    ) -> tuple[dict[str, list[Haul]], list[str]]:
        """The orders to plan now, the most urgent first, with weights and due times; and the rest."""
        most = max(self._config.sequence_loads, 3 * robots)
        planned = {stop.load for stops in in_force.values() for stop in stops}
        ranked = sorted(
            feasible,
            key=lambda o: (
                not any(h.pick_cell < 0 for h in feasible[o]) and not jobs[o].robot,
                -self._weight(jobs[o], now_ns), jobs[o].order.due_ns or 1 << 62,
                not any(h.load in planned for h in feasible[o]), jobs[o].accepted_ns, o,
            ),
        )  # fmt: skip
        window: dict[str, list[Haul]] = {}
        late, count = [], 0
        for order_id in ranked:
            count += len(feasible[order_id])
            if count > most and window:
                late.append(order_id)
                continue
            order, weight = jobs[order_id].order, self._weight(jobs[order_id], now_ns)
            due_ds = max(0, (order.due_ns - now_ns) * DS // 10**9) if order.due_ns else -1
            window[order_id] = [
                Haul(h.load, h.group, h.pick_cell, h.drop_cell, h.size, weight, due_ds, h.vehicles)
                for h in feasible[order_id]
            ]
        return window, late

    def _weight(self, job: Job, now_ns: int) -> int:
        """Price of a decisecond's waiting: grows with priority, and with age so that nobody starves."""
        minutes = (now_ns - max(job.accepted_ns, job.order.release_ns)) // (60 * 10**9)
        return int(np.clip(4 + 4 * job.order.priority, 1, MAX_WEIGHT // 2) + np.clip(minutes, 0, MAX_WEIGHT // 2))

    # --- the problem and its answer ------------------------------------------------------------

    def _problem(
        self,
        candidates: Sequence[Candidate],
        window: Mapping[str, list[Haul]],
        jobs: Mapping[str, Job],
        tables: DistanceTables,
        now_ns: int,
    ) -> RoutingProblem:
        config = self._config
        hauls = tuple(haul for items in window.values() for haul in items)
        carried = {c.robot: 0 for c in candidates}
        for job in jobs.values():
            for load in job.loads:
                if load.state in (LoadState.ABOARD, LoadState.COMMITTED) and load.robot in carried:
                    carried[load.robot] += load.size
        vehicles = tuple(
            Vehicle(
                c.robot, c.cell, round(c.ready_s * DS), config.capacity, carried[c.robot],
                max(0, round((c.battery - config.charge_below / 2) * config.range_s * DS)),
            )
            for c in candidates
        )  # fmt: skip
        cells = [v.cell for v in vehicles]
        service = [0] * len(vehicles)
        for haul in hauls:
            cells += [haul.pick_cell, haul.drop_cell]
            service += [round(config.pick_s * DS), round(config.drop_s * DS)]
        return RoutingProblem(vehicles, hauls, legs(cells, service, self._between(cells, len(vehicles), tables)))

    def _between(self, cells: list[int], vehicles: int, tables: DistanceTables) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        """(N, N) drive times in ds; nobody drives to a vehicle's start."""
        where = np.array(cells, np.int64)
        out = np.full((len(cells), len(cells)), FAR, np.int64)
        goals = where.copy()
        goals[:vehicles] = -1
        pool, slots = tables.rows(goals)
        for k in np.flatnonzero(slots >= 0):
            steps = pool[slots[k], where].astype(np.int64)
            out[:, k] = np.where(steps < UNREACHABLE, np.rint(steps * self._ds_per_cell), FAR)
        return out

    def _routes_in_force(
        self, problem: RoutingProblem, candidates: Sequence[Candidate], in_force: Mapping[str, Sequence[Stop]]
    ) -> Routes:
        """What is left of the present sequences: whole orders that are still to be done as planned."""
        number = {haul.load: j for j, haul in enumerate(problem.hauls)}
        routes: list[list[int]] = []
        for c in candidates:
            stops = [(number[s.load], s.kind is TaskKind.DROP) for s in in_force.get(c.robot, ()) if s.load in number]
            routes.append([problem.pick(j) + drop for j, drop in stops if drop or problem.hauls[j].pick_cell >= 0])
        for hauls in problem.groups().values():
            nodes = set(problem.stops(hauls))
            if not any(nodes <= set(route) for route in routes):
                routes = [[n for n in route if n not in nodes] for route in routes]
        out = tuple(tuple(route) for route in routes)
        return out if problem.valid(out) else tuple(() for _ in routes)

    def _solve(self, problem: RoutingProblem, before: Routes) -> tuple[Routes, str]:
        best, solver = complete(problem, before)
        fresh = best != before
        if not 0 < len(problem.hauls) <= self._config.sequence_loads or len(problem.vehicles) > LARGE_FLEET:
            return best, solver
        cost = problem.cost(best)
        simple = all(len(hauls) == 1 for hauls in problem.groups().values())  # else insertion backtracks badly
        for start in (best, None) if fresh and simple else (best,):
            try:
                found = improve(problem, start, self._config)
            except Exception:  # a search that dies must not leave robots without an answer
                continue
            if found is None or not problem.valid(found):
                continue
            price = problem.cost(found) + self._moving_cost(problem, found, before)
            if price < cost:
                best, cost, solver = found, price, "routing"
            elif found == best:
                solver = "routing"
        return best, solver

    def _moving_cost(self, problem: RoutingProblem, routes: Routes, before: Routes) -> int:
        """Orders that would change robots must pay for it, so that plans do not flutter."""
        was = {n: v for v, route in enumerate(before) for n in route}
        moved = {
            problem.hauls[problem.haul_of(n)[0]].group
            for v, route in enumerate(routes) for n in route if was.get(n, v) != v
        }  # fmt: skip
        return round(len(moved) * self._config.stickiness_s * DS * 4)

    def _stops(self, problem: RoutingProblem, route: Sequence[int]) -> tuple[Stop, ...]:
        out = []
        for node in route:
            j, drop = problem.haul_of(node)
            haul = problem.hauls[j]
            kind = TaskKind.DROP if drop else TaskKind.PICK
            out.append(Stop(haul.load, kind, haul.drop_cell if drop else haul.pick_cell))
        return tuple(out)

    def _decisions(
        self, problem: RoutingProblem, routes: Routes, before: Routes, solver: str, jobs: Mapping[str, Job]
    ) -> tuple[Decision, ...]:
        """One for each order that got a robot or another one."""
        order_of = dict(enumerate(jobs))
        was = {n: v for v, route in enumerate(before) for n in route}
        out = []
        for group, hauls in problem.groups().items():
            first = problem.stops(hauls)[0]
            v = next((v for v, route in enumerate(routes) if first in route), -1)
            if v < 0 or was.get(first) == v:
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


class _Reach:
    """Which vehicles may serve what. The answers of one dispatch are few and often the same: they are kept."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        self._cells = np.array([c.cell for c in candidates], np.int64)
        self._number = {c.robot: v for v, c in enumerate(candidates)}
        self._able: dict[str, frozenset[int]] = {}

    def able(self, owner: str, need: str) -> frozenset[int]:
        """The owner alone if a robot has the order already; else who takes work and has the ability."""
        if owner:
            return frozenset({self._number[owner]} if owner in self._number else ())
        if need not in self._able:
            self._able[need] = frozenset(
                v for v, c in enumerate(self._candidates) if c.takes_work and (not need or need in c.abilities)
            )
        return self._able[need]

    def known(self, need: str) -> bool:
        return any(need in c.abilities for c in self._candidates)

    def near(self, able: frozenset[int], to_drop: np.ndarray[Any, np.dtype[np.int32]]) -> frozenset[int]:
        """Those of them from which there is a way."""
        if len(able) < MANY_VEHICLES:
            return frozenset(v for v in able if to_drop[self._cells[v]] < UNREACHABLE)
        off = np.flatnonzero(to_drop[self._cells] >= UNREACHABLE)
        return able.difference(off.tolist()) if len(off) else able


def _renumbered(
    orders: Mapping[str, list[Haul]], before: Sequence[Candidate], after: Sequence[Candidate]
) -> dict[str, list[Haul]]:
    """The hauls with the vehicle numbers of `after`, a part of `before`."""
    number = {c.robot: v for v, c in enumerate(after)}
    new = {v: number[c.robot] for v, c in enumerate(before) if c.robot in number}
    seen: dict[frozenset[int], frozenset[int]] = {}
    out: dict[str, list[Haul]] = {}
    for order_id, hauls in orders.items():
        for haul in hauls:
            if haul.vehicles not in seen:
                seen[haul.vehicles] = frozenset(new[v] for v in haul.vehicles if v in new)
            if seen[haul.vehicles]:
                out.setdefault(order_id, []).append(_for(haul, seen[haul.vehicles]))
    return out


def _for(haul: Haul, vehicles: frozenset[int]) -> Haul:
    return Haul(haul.load, haul.group, haul.pick_cell, haul.drop_cell, haul.size, haul.weight, haul.due_ds, vehicles)


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
