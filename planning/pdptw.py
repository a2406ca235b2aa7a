"""Pickup and delivery with time windows (PDPTW): fewest vehicles first, then least distance.

A request is one pickup and one delivery by the same vehicle, in that order, each begun within its window. All
vehicles are alike, start and end at the depot (node 0), and never carry more than the capacity.

`solve` is anytime: a cheapest-insertion start, fewer routes by guided ejection search, shorter routes by ruin and
recreate with annealing (sources in planning.pdptw_kernels). The kernels take care of requests 0..n-1 in their own
numbering of nodes; everything public here uses the problem's node numbers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from planning import pdptw_kernels as kernels
from planning.pdptw_kernels import Data, Memo, State

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Routes = tuple[tuple[int, ...], ...]

FEWER_SHARE = 0.5  # of the effort, at most, goes to fewer routes
CHUNK_S = 0.05  # how often the clock is read
TURN = 20  # readings of the clock before the other way of saving a route has its turn
SHAKES = 100  # random moves after each ejection
HOT, COLD = 0.5, 0.005  # temperatures at the two ends of annealing, times the mean length of a leg
LOOSE = 0.3  # temperature while a route is being saved, likewise
FINE = (4.0, 200.0)  # least and most cost of a request left out, likewise
ASTRAY = 10  # readings of the clock with a request left out, after which the best is taken up again
REPAIRS, REPAIR_SHARE, REPAIR_SHAKES = 100, 0.01, 5  # ejections by tens, share of the effort, moves after each
REMOVE = 10.0  # nodes taken out per round, in the mean


@dataclass(frozen=True, eq=False)
class Problem:
    """N nodes, node 0 the depot; times and distances in any one unit each.

    travel, distance: (N, N), from row to column, may be asymmetric. demand: (N,), above 0 at a pickup, its negative
    at the delivery. earliest, latest: (N,) when service may begin (at the depot: when vehicles leave and must be
    back). service: (N,) how long it takes. pairs: (n, 2) pickup and delivery of each request; every node but the
    depot belongs to one. vehicles: how many there are, None if it does not matter."""

    travel: F64
    distance: F64
    demand: F64
    earliest: F64
    latest: F64
    service: F64
    pairs: I64
    capacity: float
    vehicles: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        nodes = len(self.demand)
        for field in ("travel", "distance"):
            _need(f"problem.{field}", getattr(self, field), (nodes, nodes))
        for field in ("demand", "earliest", "latest", "service"):
            _need(f"problem.{field}", getattr(self, field), (nodes,))
        for field in ("travel", "distance", "service"):
            if (getattr(self, field) < 0).any():
                raise InputError(f"problem.{field}", "less than 0", "at least 0")
        if self.pairs.shape != (max(nodes - 1, 0) // 2, 2) or nodes % 2 == 0:
            raise InputError("problem.pairs", f"shape {self.pairs.shape} for {nodes} nodes", "each node but 0 in one pair")
        if sorted(self.pairs.ravel().tolist()) != list(range(1, nodes)):
            raise InputError("problem.pairs", "a node is in no pair, or in two", "each node but 0 in one pair")
        taken, left = self.demand[self.pairs[:, 0]], self.demand[self.pairs[:, 1]]
        if (taken + left != 0).any() or (taken < 0).any():
            request = int(np.flatnonzero((taken + left != 0) | (taken < 0))[0])
            raise InputError(f"problem.demand[{self.pairs[request, 0]}]", "is not what the delivery takes off")
        if not self.capacity >= 0:
            raise InputError("problem.capacity", f"{self.capacity}", "at least 0")


def _need(field: str, values: Any, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise InputError(field, f"shape {values.shape}", shape)
    if not np.isfinite(values).all():
        raise InputError(field, "not a finite number")


@dataclass(frozen=True)
class Solution:
    """routes: the nodes of each vehicle used, without the depot. left_out: requests (rows of `pairs`) that no vehicle
    can serve, not even alone."""

    routes: Routes
    distance: float
    left_out: tuple[int, ...] = ()
    first_vehicles: int = 0  # of the first plan, before the search
    rounds: int = 0  # of ruin and recreate

    @property
    def vehicles(self) -> int:
        return len(self.routes)

    @property
    def rank(self) -> tuple[int, int, float]:
        """The less, the better."""
        return len(self.left_out), self.vehicles, self.distance


@dataclass(frozen=True)
class Effort:
    """How long to search: `seconds` of `clock`, or, where the clock is None, `rounds` of ruin and recreate and a tenth
    as many ejections, the same result every time."""

    seconds: float = 10.0
    clock: Callable[[], float] | None = time.process_time
    rounds: int = 1000


def solve(problem: Problem, effort: Effort | None = None, *, seed: int = 0, start: Routes | None = None) -> Solution:
    """The best solution found within `effort`; never worse than `start`, which is checked (InputError)."""
    effort = effort or Effort()
    search = _Search(problem, effort, seed)
    search.begin(start)
    search.fewer_routes()
    search.shorter_routes()
    return search.result()


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    line = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    between = np.abs(line[:, None] - line[None])
    problem = Problem(
        between, between, np.array([0.0, 1.0, 1.0, -1.0, -1.0]), np.zeros(5), np.full(5, 20.0), np.zeros(5),
        np.array([[1, 3], [2, 4]]), 2.0,
    )  # fmt: skip
    solve(problem, Effort(clock=None, rounds=2), start=((1, 3), (2, 4)))
    solve(problem, Effort(clock=None, rounds=2))


class _Search:
    """State of one call of solve."""

    def __init__(self, problem: Problem, effort: Effort, seed: int) -> None:
        self.problem, self.effort = problem, effort
        self.clock = effort.clock or (lambda: 0.0)
        self.began = self.clock()
        servable = _servable(problem)
        self.pairs = problem.pairs[servable]
        self.left_out = tuple(np.flatnonzero(~servable).tolist())
        self.nodes = np.concatenate([[0], self.pairs[:, 0], self.pairs[:, 1]]).astype(np.int64)
        self.data = _data(problem, self.nodes)
        n = len(self.pairs)
        self.now, self.old, self.best = (_state(n) for _ in range(3))
        self.memo = Memo(np.full((n, n), -1, np.int64), np.zeros((n, n)), np.zeros((n, n, 2), np.int32), np.ones(1, np.uint64))
        self.rng = np.array([np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] | 1], np.uint64)
        self.generator = np.random.default_rng(seed)
        self.rounds = self.first = self.ejections = 0
        self.out, self.outs = np.zeros(n + 2, np.int32), np.zeros(1, np.int64)
        self.penalty = np.ones(n)
        self.fine = 10.0

    def used(self) -> float:
        """Share of the effort spent: 1 when it is all gone. Without a clock, by rounds of ruin and recreate."""
        if self.effort.clock is None:
            return self.rounds / max(self.effort.rounds, 1)
        return (self.clock() - self.began) / max(self.effort.seconds, 1e-9)

    def begin(self, start: Routes | None) -> None:
        if start is not None:
            self._load(self._given(start))
        else:
            d = self.data
            n = len(self.pairs)
            # Far and late requests first: they have the fewest places later.
            far = (d.dist[0, 1 : n + 1] + d.dist[0, n + 1 :]) if n else np.zeros(0)
            kernels.construct(d, self.now, self.memo, np.argsort(-far, kind="stable").astype(np.int32))
        self._copy(self.now, self.best)
        self.first = int(self.best.open[0])

    def _given(self, start: Routes) -> list[list[int]]:
        """`start` in kernel numbers."""
        at = {int(node): k for k, node in enumerate(self.nodes)}
        n, seen = len(self.pairs), []
        rows = []
        for number, route in enumerate(start):
            field = f"start[{number}]"
            if not set(route) <= set(at) - {0}:
                raise InputError(field, "has an unknown node, or one that no vehicle can serve")
            row = [at[node] for node in route]
            for r in (v - 1 for v in row if v <= n):
                if r + 1 + n not in row or row.index(r + 1 + n) < row.index(r + 1):
                    raise InputError(field, f"delivers {self.nodes[1 + r]} elsewhere or before it is picked up")
            line = np.array([0, *row, 0], np.int32)
            begin, until, carry = np.empty((3, len(line)))
            if not kernels.timetable(self.data, line, len(line), begin, until, carry):
                raise InputError(field, "breaks a time window or the capacity")
            seen += row
            rows.append(line.tolist())
        if sorted(seen) != list(range(1, 2 * n + 1)):
            raise InputError("start", "a node is missing, or visited twice")
        return [row for row in rows if len(row) > 2]

    def _load(self, rows: Sequence[Sequence[int]]) -> None:
        node = np.zeros((len(rows), self.now.node.shape[1]), np.int32)
        for k, row in enumerate(rows):
            node[k, : len(row)] = row
        kernels.load_routes(self.data, self.now, node, np.array([len(row) for row in rows], np.int32))

    def _copy(self, source: State, target: State) -> None:
        """All but the count of versions, which never goes back: what the memo holds must stay told apart."""
        arrays: list[tuple[NDArray[Any], NDArray[Any]]] = list(zip(source[:-1], target[:-1], strict=True))
        for a, b in arrays:
            b[...] = a
        target.open[0] = source.open[0]

    def fewer_routes(self) -> None:
        """One route less at a time, until its share of the effort is used: by guided ejection search, and in turn by
        ruin and recreate with requests left out."""
        bound = _least_routes(self.data)
        while self.best.open[0] > max(bound, 1) and self.used() < FEWER_SHARE and self.ejections < self._most_ejections():
            self._copy(self.best, self.now)
            self._give_up_route()
            self.penalty[:] = 1.0
            if not self._bring_back():
                return

    def _most_ejections(self) -> float:
        return math.inf if self.effort.clock else max(1, self.effort.rounds // 10)

    def _bring_back(self) -> bool:
        """Find places for all that is out, in the routes that are left; then it is the best."""
        turn, steps, rounds = 0, 20, 20
        while self.used() < FEWER_SHARE and self.ejections < self._most_ejections():
            begin = self.clock()
            if turn % (2 * TURN) < TURN:
                kernels.squeeze(
                    self.data, self.now, self.memo, self.out, self.outs, self.penalty, self.rng, steps, SHAKES
                )
                self.ejections += steps
                if self.effort.clock:
                    steps = _chunk(steps, self.clock() - begin, self.effort.seconds)
                if not self.outs[0]:
                    self._copy(self.now, self.best)
                    return True
            else:
                self._anneal(self._leg() * LOOSE, rounds)
                self.ejections += 1
                if self.effort.clock:
                    rounds = _chunk(rounds, self.clock() - begin, self.effort.seconds)
                if self.best.open[0] == self.now.open[0]:
                    return True
            turn += 1
        return False

    def _leg(self) -> float:
        """Mean length of a leg in the best solution."""
        return float(self.best.cost[: self.best.open[0]].sum()) / len(self.nodes)

    def _anneal(self, heat: float, rounds: int) -> None:
        kernels.anneal(
            self.data, self.now, self.old, self.best, self.memo, self.out, self.outs, self.fine * self._leg(), heat,
            self.rng, rounds, REMOVE,
        )  # fmt: skip
        # Leaving out must neither pay for long nor never: the way between two good plans often leads over it.
        self.fine = min(self.fine * 1.1, FINE[1]) if self.outs[0] else max(self.fine / 1.05, FINE[0])

    def _give_up_route(self) -> None:
        """Empty the route with fewest requests, or one by lot, into what is out."""
        now, n = self.now, len(self.pairs)
        rows = int(now.open[0])
        k = int(now.size[:rows].argmin()) if self.generator.random() < 0.5 else int(self.generator.integers(rows))
        members = [v - 1 for v in now.node[k, 1 : now.size[k] - 1].tolist() if v <= n]
        self.out[: len(members)] = members
        self.outs[0] = len(members)
        kernels.drop_row(self.data, now, k)

    def shorter_routes(self) -> None:
        """Ruin and recreate, cooling over what is left of the effort."""
        if not len(self.pairs):
            return
        self._copy(self.best, self.now)
        self.outs[0] = 0
        self.penalty[:] = 1.0
        leg, astray = self._leg(), 0
        begin, rounds = self.used(), 50 if self.effort.clock else max(1, self.effort.rounds // 50)
        while (used := self.used()) < 1.0:
            heat = leg * HOT * (COLD / HOT) ** ((used - begin) / (1.0 - begin))
            before = self.clock()
            self._anneal(heat, rounds)
            astray = astray + 1 if self.outs[0] else 0
            if astray == ASTRAY:
                self._repair()
                astray = 0
            self.rounds += rounds
            if self.effort.clock:
                rounds = _chunk(rounds, self.clock() - before, self.effort.seconds)

    def _repair(self) -> None:
        """Bring what has long been out back by ejections, near to where the search is; else take up the best again."""
        began = self.clock()
        tries = REPAIRS
        while self.outs[0] and tries and self.used() < 1.0 and self.clock() - began < REPAIR_SHARE * self.effort.seconds:
            tries -= 1
            kernels.squeeze(self.data, self.now, self.memo, self.out, self.outs, self.penalty, self.rng, 10, REPAIR_SHAKES)
        if self.outs[0]:
            self._copy(self.best, self.now)
            self.outs[0] = 0

    def result(self) -> Solution:
        rows = int(self.best.open[0])
        routes = tuple(
            tuple(int(self.nodes[v]) for v in self.best.node[k, 1 : self.best.size[k] - 1]) for k in range(rows)
        )
        distance = math.fsum(
            float(self.problem.distance[a, b]) for route in routes for a, b in zip((0, *route), (*route, 0), strict=True)
        )
        return Solution(routes, distance, self.left_out, self.first, self.rounds)


def _chunk(count: int, took: float, seconds: float) -> int:
    """How many steps fit between two looks at the clock."""
    want = min(CHUNK_S, seconds / 100)
    return max(1, min(100_000, int(count * min(2.0, want / max(took, 1e-6)))))


def _servable(problem: Problem) -> NDArray[np.bool_]:
    """(n,) requests that one vehicle can serve alone."""
    p, d = problem.pairs[:, 0], problem.pairs[:, 1]
    early, late, service, travel = problem.earliest, problem.latest, problem.service, problem.travel
    at_p = np.maximum(early[p], early[0] + service[0] + travel[0, p])
    at_d = np.maximum(early[d], at_p + service[p] + travel[p, d])
    back = at_d + service[d] + travel[d, 0]
    fits = (at_p <= late[p]) & (at_d <= late[d]) & (back <= late[0]) & (problem.demand[p] <= problem.capacity)
    return np.asarray(fits, np.bool_)


def _state(n: int) -> State:
    shape = (max(n, 1), 2 * n + 4)
    return State(
        np.zeros(shape, np.int32), np.zeros(shape), np.zeros(shape), np.zeros(shape), np.full(shape[0], 2, np.int32),
        np.zeros(shape[0]), np.zeros(shape[0], np.int64), np.full(n, -1, np.int32), np.zeros(2, np.int64),
    )  # fmt: skip


def _data(problem: Problem, nodes: I64) -> Data:
    n = len(nodes) // 2
    travel = np.ascontiguousarray(problem.travel[np.ix_(nodes, nodes)], np.float64)
    distance = np.ascontiguousarray(problem.distance[np.ix_(nodes, nodes)], np.float64)
    early, late, service, load = (
        np.ascontiguousarray(column[nodes], np.float64)
        for column in (problem.earliest, problem.latest, problem.service, problem.demand)
    )
    load[0] = 0.0
    both = np.minimum(distance, distance.T)
    p, d = slice(1, n + 1), slice(n + 1, 2 * n + 1)
    related = np.minimum(np.minimum(both[p, p], both[d, d]), np.minimum(both[p, d], both[d, p]))
    np.fill_diagonal(related, -1.0)
    near = np.argsort(related, axis=1, kind="stable").astype(np.int32)
    capacity = np.array([problem.capacity], np.float64)
    return Data(
        travel, distance, load, early, late, service, capacity, _apart(travel, early, late, service, load, problem.capacity),
        near,
    )  # fmt: skip


def _apart(travel: F64, early: F64, late: F64, service: F64, load: F64, capacity: float) -> NDArray[np.bool_]:
    """(n, n): no route holds both requests. By shortest times, so that nothing between can make it possible."""
    n = len(travel) // 2
    legs = travel + service[:, None]  # service belongs to a leg: what lies between takes its own
    for k in range(len(legs)):
        legs = np.minimum(legs, legs[:, k : k + 1] + legs[k])
    p, d = np.arange(1, n + 1), np.arange(n + 1, 2 * n + 1)
    a, b = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    possible = np.zeros((n, n), np.bool_)
    for first, second in ((a, b), (b, a)):
        rides = load[p[first]] + load[p[second]] <= capacity
        for order, together in (
            ((p[first], d[first], p[second], d[second]), False),
            ((p[first], p[second], d[first], d[second]), True),
            ((p[first], p[second], d[second], d[first]), True),
        ):
            at, good = np.full((n, n), early[0]), np.ones((n, n), np.bool_)
            last = np.zeros((n, n), np.int64)
            for node in order:
                at = np.maximum(early[node], at + legs[last, node])
                good &= at <= late[node]
                last = node
            good &= at + legs[last, 0] <= late[0]
            possible |= good & (rides | (not together))
    return ~(possible | np.eye(n, dtype=np.bool_))


def _least_routes(data: Data) -> int:
    """A lower bound: requests of which no two share a route, gathered greedily."""
    clique: list[int] = []
    for r in np.argsort(-data.apart.sum(axis=1), kind="stable").tolist():
        if all(data.apart[r, s] for s in clique):
            clique.append(r)
    return len(clique)
