"""The plan in force, mended and improved: own insertion, and ruin and recreate, over planning.routing's problem.

`Search` is warm and anytime. It begins with what is in force, `mend` inserts what is new, in milliseconds, and `improve` goes on
from there, as often as it is asked to. Neither ever makes the plan worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from planning import sequence_kernels as kernels
from planning.routing import FLAT_COST, LATE_COST, Haul, Routes, RoutingProblem, Vehicle
from planning.sequence_kernels import Data, Scratch, State

NEAR = 24  # neighbours of a group that are taken out with it
REMOVE = 12  # groups taken out in a round at most
HOT, COLD = 0.03, 0.0003  # temperatures at both ends of annealing, times the mean cost of a group


class Search:
    """Routes of one problem, and the best found so far.

    start: routes to begin with, valid, in which a group is whole or not at all. home: vehicle that each group may have
    without paying `moving_cost`."""

    def __init__(
        self, problem: RoutingProblem, start: Routes, home: Mapping[int, int] | None = None, moving_cost: int = 0, seed: int = 0
    ) -> None:
        self._groups = problem.groups()
        self._data = _data(problem, self._groups, home or {}, moving_cost)
        self._state = _state(self._data, start)
        rows, length = len(problem.vehicles) + 1, self._state.node.shape[1]
        self._scratch = Scratch(
            np.zeros((rows, 2 + self._data.size.shape[1], length + 1), np.int64), np.zeros((rows, length + 1), np.int64),
            np.full(rows, -1, np.int64), np.zeros(length, np.int64),
        )  # fmt: skip
        self._rng = np.array([np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] | 1], np.uint64)
        self._near: NDArray[np.int64] | None = None
        self.cost = 0
        self._keep()

    def mend(self) -> Routes:
        """Insert every group that is in no route, by regret; what finds no place stays out."""
        out = np.flatnonzero(self._state.where < 0).astype(np.int64)
        kernels.regret_insert(self._data, self._state, self._scratch, out, len(out), self._rng)
        self._keep()
        return self.routes

    def improve(self, rounds: int) -> Routes:
        """The best after so many rounds of ruin and recreate, from hot to cold; groups that are out stay out."""
        groups = int(np.count_nonzero(self._state.where >= 0))
        if not groups:
            return self.routes
        if self._near is None:
            self._near = np.empty((len(self._groups), min(NEAR, len(self._groups))), np.int64)
            kernels.nearest_groups(self._data, self._near)
        mean = self.cost / groups
        self.cost = int(kernels.anneal(
            self._data, self._state, self._scratch, self._near, self._best, self._best_count, self.cost, HOT * mean,
            max(1e-9, COLD * mean), rounds, REMOVE, self._rng,
        ))  # fmt: skip
        return self.routes

    def _keep(self) -> None:
        """What the routes are now is the best."""
        self._best, self._best_count = self._state.node.copy(), self._state.stops.copy()
        self.cost = int(kernels.total(self._data, self._state))

    @property
    def routes(self) -> Routes:
        return tuple(tuple(row[:n]) for row, n in zip(self._best.tolist(), self._best_count.tolist(), strict=True))


@cache
def warm_up() -> None:
    """Compile the kernels, or load them from the cache: once for a process."""
    hauls = tuple(Haul(j, j, 0, 0, 1, 1, -1, frozenset([0])) for j in range(2))
    problem = RoutingProblem((Vehicle("r", 0, 0, 2, 0, 10**6),), hauls, np.ones((5, 5), np.int32))
    search = Search(problem, ((),))
    search.mend()
    search.improve(1)


def _data(problem: RoutingProblem, groups: Mapping[int, list[int]], home: Mapping[int, int], moving_cost: int) -> Data:
    vehicles, hauls = problem.vehicles, problem.hauls
    count = len(vehicles)
    weights, due = np.array([(h.weight, h.due_ds) for h in hauls], np.int64).reshape(-1, 2).T
    amounts = np.array([(h.size, *h.bulk) for h in hauls], np.int64).reshape(-1, 3)
    kinds = 3 if amounts[:, 1:].any() else 1
    nodes = count + 2 * len(hauls)
    size, group = np.zeros((nodes, kinds), np.int64), np.zeros(nodes, np.int64)
    slope, bound = np.zeros(nodes, np.int64), np.zeros(nodes, np.int64)
    size[count::2], size[count + 1 :: 2] = amounts[:, :kinds], -amounts[:, :kinds]
    slope[count::2], slope[count + 1 :: 2] = weights, np.where(due >= 0, LATE_COST * weights, weights)  # as soft_bound
    bound[count + 1 :: 2] = np.maximum(due, 0)
    group[:count] = -1
    members = [j for items in groups.values() for j in items]
    first = np.cumsum([0, *(len(items) for items in groups.values())]).astype(np.int64)
    group[count::2] = np.repeat(np.arange(len(groups)), np.diff(first))[np.argsort(members)]
    group[count + 1 :: 2] = group[count::2]
    return Data(
        np.ascontiguousarray(problem.leg_ds.T, np.int32), size, slope, bound,
        np.array([v.ready_ds for v in vehicles], np.int64), _kinds([v.rooms for v in vehicles], kinds),
        _kinds([v.on_board for v in vehicles], kinds), np.array([v.battery_ds for v in vehicles], np.int64),
        np.array([FLAT_COST], np.int64), first, np.array(members, np.int64),
        np.array([h.pick_cell >= 0 for h in hauls], np.bool_), group, _allowed(problem, groups),
        np.array([home.get(g, -1) for g in groups], np.int64), np.array([moving_cost], np.int64),
    )  # fmt: skip


def _kinds(amounts: list[tuple[int, ...]], kinds: int) -> NDArray[np.int64]:
    return np.ascontiguousarray(np.array(amounts, np.int64).reshape(-1, 3)[:, :kinds])


def _allowed(problem: RoutingProblem, groups: Mapping[int, list[int]]) -> NDArray[np.bool_]:
    """(G, V) who may carry all of a group."""
    rows: dict[frozenset[int], int] = {}
    number = [rows.setdefault(problem.hauls[items[0]].vehicles, len(rows)) for items in groups.values()]
    table = np.zeros((len(rows) + 1, len(problem.vehicles)), np.bool_)
    for able, k in rows.items():
        table[k, list(able)] = True
    out = table[number] if number else np.zeros((0, len(problem.vehicles)), np.bool_)
    for g, items in enumerate(groups.values()):
        for j in items[1:]:
            if problem.hauls[j].vehicles is not problem.hauls[items[0]].vehicles:
                out[g, list(set(range(len(problem.vehicles))) - problem.hauls[j].vehicles)] = False
    return out


def _state(data: Data, start: Routes) -> State:
    vehicles, groups, stops = len(data.ready), len(data.home), 2 * len(data.hauls)
    longest = max((len(route) for route in start), default=0)
    shape = (vehicles, max(1, min(stops, max(4 * longest, 128))))
    state = State(
        np.zeros(shape, np.int64), np.zeros(vehicles, np.int64), np.zeros(vehicles, np.int64), np.full(groups, -1, np.int64),
        np.zeros(vehicles, np.int64), np.zeros(1, np.int64), np.full((groups, vehicles), -1, np.int64),
        np.zeros((groups, vehicles), np.int64), np.zeros((groups, vehicles), np.bool_),
    )  # fmt: skip
    for v, route in enumerate(start):
        state.node[v, : len(route)] = route
        state.stops[v] = len(route)
        state.where[data.group[list(route)]] = v
    kernels.load_routes(data, state)
    return state
