"""CP-SAT puts batches together from all that were met: set covering, where orders can be late with their turns.

The pool is large and most of it useless. The linear relaxation prices orders; a batch whose reduced cost is more than the
gap between the incumbent and that relaxation is in no better choice and is left away, so that without lateness nothing is
lost by it. An order may be covered twice: without it a batch is no longer than with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planning.batching_kernels import NONE, Data, Pool

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

MOST, MOST_TIMED = 5000, 600  # batches that CP-SAT gets, without lateness and with it
PRICED = 40_000  # batches that the linear relaxation gets: the newest
TREE = 1000  # nodes of HiGHS' tree where there is no clock


@dataclass(frozen=True)
class Columns:
    """Batches of the pool, with copies of what the kernels may change later. member: all orders in a row; at: where
    each batch's begin (C + 1,)."""

    member: I64
    at: I64
    length: I64
    tours: tuple[NDArray[np.int32], ...]

    @classmethod
    def of(cls, data: Data, pool: Pool) -> Columns:
        count = int(pool.head[0])
        picked = range(max(0, count - PRICED), count)
        size = pool.held[picked.start : count].astype(np.int64)
        rows = [pool.store[pool.at[c] : pool.at[c] + pool.held[c]] for c in picked]
        tours = tuple(pool.store[pool.at[c] + pool.held[c] : pool.at[c] + pool.held[c] + pool.size[c]].copy() for c in picked)
        at = np.concatenate([[0], np.cumsum(size)])
        return cls(np.concatenate(rows).astype(np.int64), at, pool.length[picked.start : count].copy(), tours)

    def orders(self, c: int) -> list[int]:
        return [int(o) for o in self.member[self.at[c] : self.at[c + 1]]]

    def tour(self, c: int) -> list[int]:
        return [int(p) for p in self.tours[c]]


def choose(
    data: Data, columns: Columns, best: Sequence[tuple[tuple[int, ...], int]], cost: int, left: Callable[[], float] | None, work: float
) -> tuple[list[int] | None, int]:
    """(batches that cover all orders for less than `cost`, None if none was found; how many there were to choose from).

    best: (orders, start) of each batch of the incumbent; batches come in the order of their starts. left: seconds to go, None
    for so much of CP-SAT's deterministic `work` instead."""
    known = {frozenset(columns.orders(c)): c for c in range(len(columns.length))}
    hint = {known[frozenset(orders)]: start for orders, start in best if frozenset(orders) in known}
    price = _prices(data, columns)
    if price is None:
        return None, 0
    reduced = columns.length - np.add.reduceat(price[columns.member], columns.at[:-1])
    gap = cost - price.sum()
    most = MOST_TIMED if data.timed[0] else MOST
    kept = np.flatnonzero(reduced <= gap + 1e-6) if not data.timed[0] else np.arange(len(reduced))
    kept = kept[np.argsort(reduced[kept], kind="stable")[:most]]
    kept = np.array(sorted(set(kept.tolist()) | set(hint)), np.int64)
    model = _Model(data, columns, kept)
    chosen = model.solve(hint, cost, left, work)
    return chosen, len(kept)


def _prices(data: Data, columns: Columns) -> F64 | None:
    """(n,) what each order costs in the linear relaxation; None if it has no answer."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    n, count = len(data.alone), len(columns.length)
    table = csr_array((-np.ones(len(columns.member)), columns.member, columns.at), shape=(count, n)).T
    found = linprog(columns.length, A_ub=table, b_ub=-np.ones(n), bounds=(0, None), method="highs")
    return -np.asarray(found.ineqlin.marginals) if found.status == 0 else None


class _Model:
    """The choice in CP-SAT's words."""

    def __init__(self, data: Data, columns: Columns, kept: I64) -> None:
        from ortools.sat.python import cp_model

        self.cp, self.data, self.columns, self.kept = cp_model, data, columns, kept
        self.model = cp_model.CpModel()
        self.taken = [self.model.new_bool_var("") for _ in kept]
        covered: list[list[Any]] = [[] for _ in data.alone]
        for literal, c in zip(self.taken, kept.tolist(), strict=True):
            for o in columns.orders(c):
                covered[o].append(literal)
        for literals in covered:
            self.model.add_bool_or(literals)
        self.total: Any = cp_model.LinearExpr.weighted_sum(self.taken, columns.length[kept].tolist())
        self.start: list[Any] = []
        if data.timed[0]:
            self._turns()
        self.model.minimize(self.total)

    def _turns(self) -> None:
        """Batches taken need a robot from start to end; robots that are not free yet are taken up by what they do."""
        data, model = self.data, self.model
        lasts = [self._lasts(c) for c in self.kept.tolist()]
        horizon = int(data.ready.max() + data.release.max() + 2 * sum(sorted(lasts)[-len(data.alone) :]))
        spans = [model.new_fixed_size_interval_var(0, int(ready), "") for ready in data.ready if ready > 0]
        late = {o: model.new_int_var(0, horizon, "") for o in np.flatnonzero(data.price > 0).tolist()}
        for literal, c, takes in zip(self.taken, self.kept.tolist(), lasts, strict=True):
            orders = self.columns.orders(c)
            start = model.new_int_var(int(data.release[orders].max()), horizon, "")
            spans.append(model.new_optional_fixed_size_interval_var(start, takes, literal, ""))
            self.start.append(start)
            for o in orders:
                if o in late:
                    model.add(late[o] >= start + takes - int(data.due[o])).only_enforce_if(literal)
        model.add_cumulative(spans, [1] * len(spans), len(data.ready))
        self.total = self.total + sum(int(data.price[o]) * amount for o, amount in late.items())

    def _lasts(self, c: int) -> int:
        data = self.data
        drive = np.ceil(data.pace[0] * int(self.columns.length[c]) - 1e-6)
        return int(data.setup[0] + data.service[self.columns.orders(c)].sum() + drive)

    def solve(self, hint: dict[int, int], cost: int, left: Callable[[], float] | None, work: float) -> list[int] | None:
        for x, c in enumerate(self.kept.tolist()):
            self.model.add_hint(self.taken[x], c in hint)
            if self.start and c in hint:
                self.model.add_hint(self.start[x], hint[c])
        solver = self.cp.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 1
        if left is None:
            solver.parameters.max_deterministic_time = work
        else:
            solver.parameters.max_time_in_seconds = max(0.0, left())
        status = solver.solve(self.model)
        if status not in (self.cp.OPTIMAL, self.cp.FEASIBLE) or solver.objective_value >= min(cost, NONE) - 0.5:
            return None
        chosen = [x for x, literal in enumerate(self.taken) if solver.boolean_value(literal)]
        if self.start:
            chosen.sort(key=lambda x: solver.value(self.start[x]))
        return [int(self.kept[x]) for x in chosen]


def least_cover(columns: Mapping[tuple[int, ...], int], orders: int, below: int, seconds: float | None) -> int:
    """A bound of what it costs to cover so many orders by these batches (members: cost), at most `below`: by HiGHS, whose
    bounds come from linear relaxations. seconds: None to stop after so much of a search tree instead."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    member = np.fromiter((o for batch in columns for o in batch), np.int64)
    at = np.concatenate([[0], np.cumsum([len(batch) for batch in columns])])
    table = csr_array((np.ones(len(member)), member, at), shape=(len(columns), orders)).T
    found = milp(
        list(columns.values()), integrality=np.ones(len(columns)), bounds=Bounds(0, 1), constraints=LinearConstraint(table, 1.0, np.inf),
        options={"mip_rel_gap": 0.0} | ({"node_limit": TREE} if seconds is None else {"time_limit": seconds}),
    )  # fmt: skip
    if found.status == 2:  # nothing costs less than the plan known
        return below
    return min(below, math.ceil(found.mip_dual_bound - 1e-6)) if found.mip_dual_bound is not None else 0
