"""What any plan of a batching problem costs at least, proven.

"column generation": the linear relaxation of choosing batches, priced by branch and bound (planning.batching_exact). Where
time runs out before no batch is worth more than it costs, the duals are scaled down until that is so (Farley 1990, Operations
Research 38): the bound holds at any moment. "loads": whatever shares a tour with an order drives at least as far as for that
order alone, and a robot carries so much. Both take the shortest way between places in the nearer direction, and lateness as
if every batch could begin at once. "enumeration": where the relaxation is closed and a plan is known, HiGHS chooses from all
batches whose reduced cost is less than the gap between the two; a cheaper plan has no others (Baldacci, Christofides &
Mingozzi 2008, Mathematical Programming 115).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planning import batching_exact as exact
from planning.batching_exact import Known, Orders
from planning.batching_pool import least_cover
from planning.batching_problem import FAR, NO_DUE, Problem

I64 = NDArray[np.int64]

COLUMNS, LOADS, ENUMERATION = "column generation", "loads", "enumeration"
FINDS, PER_ROOT = 400, 8  # batches taken from one pricing in all, and with the same farthest order
NODES = 20_000  # of the first pricings
ENUMERATED = 100_000  # batches that HiGHS gets at most
NODES_S = 5_000  # of the enumeration for each second left
NODES_ROUND = 2_000  # or for each round left
SLOTS = 1 << 20  # tours whose bounds are kept


@dataclass(frozen=True)
class Bound:
    """cost: no plan costs less. kind: COLUMNS, LOADS or ENUMERATION. closed: the linear relaxation was solved to the end;
    rounds: of it."""

    cost: int
    kind: str
    closed: bool
    rounds: int


def lower_bound(
    problem: Problem, batches: Iterable[tuple[int, ...]] = (), *, below: int | None = None, seconds: float = 10.0,
    clock: Callable[[], float] | None = time.process_time, rounds: int = 100,
) -> Bound:  # fmt: skip
    """The best bound found within `seconds` of `clock`, or, where it is None, in that many rounds. batches: of a good plan,
    which save rounds; below: what it costs; the bound is then never more. Orders that cannot be brought do not count; whoever
    holds a solution compares it with those left out there too."""
    relaxation = _Relaxation(problem)
    if not len(relaxation.orders.alone):
        return Bound(0, LOADS, True, 0)
    simple = relaxation.by_loads()
    began = clock() if clock else 0.0
    best, done, number = relaxation.run(batches, lambda k: clock() - began < seconds if clock else k < rounds)
    if done and below is not None and max(best, simple) < below:
        left = seconds - (clock() - began) if clock else float(rounds - number)
        proven = relaxation.by_enumeration(below, left, NODES_S if clock else NODES_ROUND, timed=clock is not None)
        if proven > max(best, simple):
            return Bound(proven, ENUMERATION, True, number)
    return Bound(best, COLUMNS, done, number) if best >= simple else Bound(simple, LOADS, done, number)


class _Relaxation:
    """The linear relaxation over the orders that can be brought, and its columns."""

    def __init__(self, problem: Problem) -> None:
        self.numbers = [
            o for o, stops in enumerate(problem.visits)
            if (problem.load[o] <= problem.capacity).all()
            and (problem.distance[0, list(stops)] < FAR).all() and (problem.distance[list(stops), 0] < FAR).all()
        ]  # fmt: skip
        self.timed = problem.timed
        self.orders = _orders(problem, self.numbers)
        self.known = Known(np.zeros(SLOTS, np.uint64), np.zeros(SLOTS, np.int64), np.zeros(SLOTS, np.int64), np.zeros(1, np.int64))
        self.duals = np.zeros(len(self.numbers))
        self.stops = np.zeros(len(self.orders.places) + 1, np.int32)
        for o in range(len(self.numbers)):
            self.orders.alone[o] = self._at_least([o])
        self.columns: dict[tuple[int, ...], int] = {(o,): int(c) for o, c in enumerate(self.orders.alone)}
        self.line = np.argsort(-self.orders.alone, kind="stable").astype(np.int32)
        self.rank = np.empty_like(self.line)
        self.rank[self.line] = np.arange(len(self.line), dtype=np.int32)

    def _at_least(self, member: list[int]) -> int:
        return int(exact.batch_at_least(self.orders, self.known, np.array(member, np.int32), self.stops))

    def by_loads(self) -> int:
        """Sum over batches, largest first, of the largest that an order alone costs there; fewest batches by load."""
        orders = self.orders
        tours = np.array([exact.tour_at_least(orders, self.known, k, self.stops[:c].copy(), c, True) for k, c in self._alone()])
        late = int((orders.alone - tours).sum())
        line = np.argsort(-tours, kind="stable")
        best = int(tours.max())
        for r, room in enumerate(orders.capacity.tolist()):
            before = np.cumsum(orders.load[line, r]) - orders.load[line, r]
            # The k-th batch holds an order with at most k x capacity of load before it among the far ones.
            after = before + orders.load[line, r]
            total, full = 0, 0
            for tour, load in zip(tours[line].tolist(), after.tolist(), strict=True):
                while load > full * room:
                    total += tour
                    full += 1
            best = max(best, total)
        return best + late

    def _alone(self) -> Iterable[tuple[Any, int]]:
        """(key, places) of each order; its places lie in `stops` until the next is asked for."""
        first = self.orders.first
        for o in range(len(self.numbers)):
            count = int(first[o + 1] - first[o])
            self.stops[:count] = self.orders.places[first[o] : first[o + 1]]
            yield self.orders.key[o], count

    def run(self, batches: Iterable[tuple[int, ...]], more: Callable[[int], bool]) -> tuple[int, bool, int]:
        """(bound, whether it is the relaxation's value, rounds)."""
        number = {o: k for k, o in enumerate(self.numbers)}
        for batch in batches:
            member = sorted(number[o] for o in batch)
            self.columns[tuple(member)] = self._at_least(member)
        best, rounds, nodes = 0, 0, NODES
        while more(rounds):
            rounds += 1
            worth = self._worth()
            found, theta, done = self._price(worth, nodes)
            value = theta * float(worth.sum()) * (1 - 1e-9)
            step = 1 if self.timed else int(self.orders.fixed[2])
            best = max(best, math.ceil((value - 1e-6) / step) * step)
            self.duals = worth
            if not found and done:
                return best, True, rounds
            nodes = nodes * 2 if not found else nodes
        return best, False, rounds

    def _worth(self) -> NDArray[np.float64]:
        """(n,) duals of the relaxation over the columns so far."""
        from scipy.optimize import linprog
        from scipy.sparse import csr_array

        rows = list(self.columns)
        member = np.concatenate([np.array(row, np.int64) for row in rows])
        at = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        table = csr_array((-np.ones(len(member)), member, at), shape=(len(rows), len(self.numbers))).T
        found = linprog(list(self.columns.values()), A_ub=table, b_ub=-np.ones(len(self.numbers)), bounds=(0, None), method="highs")
        return np.maximum(0.0, -np.asarray(found.ineqlin.marginals))

    def by_enumeration(self, below: int, left: float, speed: int, *, timed: bool) -> int:
        """No plan costs less, where the duals are of the closed relaxation and a plan costs `below`; 0 if it came to nothing."""
        if left <= 0:
            return 0
        self.columns.clear()
        slack = max(1e-3, below - float(self.duals.sum()))
        _, _, whole = self._price(self.duals, int(left * speed), slack, ENUMERATED, ENUMERATED)
        return least_cover(self.columns, len(self.numbers), below, left / 2 if timed else None) if whole else 0

    def _price(
        self, worth: NDArray[np.float64], nodes: int, slack: float = 0.0, finds: int = FINDS, per_root: int = PER_ROOT
    ) -> tuple[int, float, bool]:
        orders = self.orders
        dense = np.argsort(-worth[None] / np.maximum(orders.load.T, 1e-9), axis=1, kind="stable").astype(np.int32)
        depth = min(len(self.numbers), *(int((np.cumsum(np.sort(column)) <= room).sum()) for column, room in zip(orders.load.T, orders.capacity)))
        member, count, cost = np.zeros((finds, depth), np.int32), np.zeros(finds, np.int32), np.zeros(finds, np.int64)
        found, theta, done = exact.price_out(
            orders, self.known, worth, slack, self.line, self.rank, dense, nodes, per_root, member, count, cost
        )
        for row, size, price in zip(member[:found], count, cost.tolist()):
            self.columns[tuple(sorted(row[:size].tolist()))] = price
        return found, float(theta), done


def _orders(problem: Problem, numbers: list[int]) -> Orders:
    used = sorted({p for o in numbers for p in problem.visits[o]})
    at = {p: k + 1 for k, p in enumerate(used)}
    dist = problem.distance[np.ix_([0, *used], [0, *used])]
    dist = np.minimum(dist, dist.T)
    for k in range(len(dist)):  # shortest ways, so that a tour never gets shorter by another place
        dist = np.minimum(dist, dist[:, k : k + 1] + dist[k])
    np.fill_diagonal(dist, 0)
    visits = [[at[p] for p in problem.visits[o]] for o in numbers]
    first = np.concatenate([[0], np.cumsum([len(v) for v in visits], dtype=np.int64)]).astype(np.int64)
    column = {field: np.ascontiguousarray(getattr(problem, field)[numbers]) for field in ("release", "due", "price", "service")}
    column["price"] = np.where(column["due"] < NO_DUE, column["price"], 0)
    step = max(1, int(np.gcd.reduce(dist, axis=None)))
    load, capacity = np.ascontiguousarray(problem.load[numbers]), problem.capacity
    if not len(capacity):
        load, capacity = np.ones((len(numbers), 1), np.int64), np.array([len(numbers)], np.int64)
    return Orders(
        np.ascontiguousarray(dist), first, np.array([p for v in visits for p in v], np.int32), load, capacity, column["release"],
        column["due"], column["price"], column["service"],
        np.random.default_rng(0).integers(1, 2**63, len(numbers), np.uint64), np.zeros(len(numbers), np.int64),
        np.array([problem.pace]), np.array([problem.setup, problem.ready.min(), step], np.int64),
    )  # fmt: skip
