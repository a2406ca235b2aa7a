"""Linear assignment: the cheapest pairing of rows and columns, at most one each, as many pairs as there can be.

Shortest augmenting paths (Jonker and Volgenant, Computing 38, 1987; rectangular as in Crouse, IEEE TAES 52(4), 2016). Rows
first take their cheapest column where it is free, then bid once for it (augmenting row reduction), and the few that are
left search for a path: of a thousand robots and many orders most are settled before the first search. Its prices prove
the answer: whoever doubts it adds them up (`Assignment.proven`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aislewise.errors import InputError
from planning.jit import kernel

I64 = NDArray[np.int64]
FORBIDDEN = 10**12
"""Costs from here on are no pair; leaving a row out costs as much, so that it happens only where it must."""
_FAR = np.iinfo(np.int64).max // 4


@dataclass(frozen=True)
class Assignment:
    """column (R,): of each row, -1 = none; cost: of the pairs; row_price (R,), column_price (C,): what each is worth."""

    column: I64
    cost: int
    row_price: I64
    column_price: I64

    def proven(self, costs: ArrayLike) -> bool:
        """Whether the prices show that no pairing of `costs` (R, C) is better (linear programming duality): no pair costs
        less than its row's and column's prices together, pairs made cost just that, a row left out is priced at what that
        costs, and a column left over is worth nothing."""
        table = np.asarray(costs, np.int64)
        rows = np.flatnonzero(self.column >= 0)
        slack = table - self.row_price[:, None] - self.column_price[None, :]
        free = np.ones(table.shape[1], np.bool_)
        free[self.column[rows]] = False
        return bool(
            len(set(self.column[rows].tolist())) == len(rows)
            and (table[rows, self.column[rows]] < FORBIDDEN).all()
            and (slack[table < FORBIDDEN] >= 0).all() and (slack[rows, self.column[rows]] == 0).all()
            and (self.row_price <= FORBIDDEN).all() and (self.row_price[self.column < 0] == FORBIDDEN).all()
            and (self.column_price <= 0).all() and (self.column_price[free] == 0).all()
        )  # fmt: skip


def assign(costs: ArrayLike) -> Assignment:
    """The cheapest pairing of the most pairs. costs: (R, C) ints, absolute values below FORBIDDEN / 1000, entries >=
    FORBIDDEN are not to be paired. Ties go to the lower column. Raises InputError."""
    table = np.ascontiguousarray(costs, np.int64)
    if table.ndim != 2:
        raise InputError("costs", f"shape {table.shape}", "(rows, columns)")
    rows, cols = table.shape
    column, u, v = np.full(rows, -1, np.int64), np.zeros(rows, np.int64), np.zeros(cols, np.int64)
    if rows and cols:
        largest = int(_largest(table, FORBIDDEN))
        if largest >= FORBIDDEN // 1000:
            raise InputError("costs", f"{largest}", f"below {FORBIDDEN // 1000}, or {FORBIDDEN} for no pair")
        _solve(table, FORBIDDEN, column, u, v)
    else:
        u[:] = FORBIDDEN
    paired = np.flatnonzero(column >= 0)
    return Assignment(column, int(table[paired, column[paired]].sum()), u, v)


@kernel
def _largest(cost: I64, forbidden: int) -> int:
    """The largest absolute value below `forbidden`."""
    most = np.int64(0)
    for i in range(cost.shape[0]):
        for j in range(cost.shape[1]):
            if cost[i, j] < forbidden:
                most = max(most, abs(cost[i, j]))
    return int(most)


@kernel
def _cheapest(cost: I64, v: I64, i: int, forbidden: int) -> Any:
    """(column of row i that costs least beyond its price, that cost, the second least); leaving i out is a column too."""
    least, second, at = np.int64(forbidden), np.int64(forbidden), np.int64(-1)
    for j in range(cost.shape[1]):
        c = cost[i, j]
        if c >= forbidden:
            continue
        r = c - v[j]
        if r < second:
            if r < least:
                second, least, at = least, r, np.int64(j)
            else:
                second = r
    return at, least, second


@kernel
def _solve(cost: I64, forbidden: int, column: I64, u: I64, v: I64) -> None:
    """column (R,) -1; u (R,), v (C,) zeros: written."""
    rows, cols = cost.shape
    row = np.full(cols, -1, np.int64)
    left = np.empty(rows, np.int64)
    count = 0
    for i in range(rows):
        j, u[i], _ = _cheapest(cost, v, i, forbidden)
        if j >= 0 and row[j] < 0:
            row[j], column[i] = i, j
        elif j >= 0:
            left[count] = i
            count += 1
    for _ in range(2):  # bids: who gives way bids in the next round
        waiting = count
        count = 0
        for k in range(waiting):
            i = left[k]
            j, least, second = _cheapest(cost, v, i, forbidden)
            u[i] = least
            if j < 0:
                continue
            if row[j] >= 0 and least == second:
                left[count] = i
                count += 1
                continue
            v[j] -= second - least
            u[i] = second
            if row[j] >= 0:
                column[row[j]] = -1
                left[count] = row[j]
                count += 1
            row[j], column[i] = i, j
    shortest, came = np.empty(cols, np.int64), np.empty(cols, np.int64)
    todo, visited = np.empty(cols, np.int64), np.empty(rows, np.int64)
    for k in range(count):
        _augment(cost, forbidden, left[k], column, row, u, v, shortest, came, todo, visited)


@kernel
def _augment(cost: I64, forbidden: int, start: int, column: I64, row: I64, u: I64, v: I64, shortest: I64, came: I64, todo: I64, visited: I64) -> None:
    """Dijkstra from row `start` over reduced costs to the nearest free column, or to a row that is best left out."""
    cols = cost.shape[1]
    shortest[:] = _FAR
    for j in range(cols):
        todo[j] = j
    open_, rows_seen = cols, 0
    i: Any = np.int64(start)
    reached: Any = np.int64(0)
    out_at: Any = np.int64(_FAR)
    out_row: Any = np.int64(-1)
    sink: Any = np.int64(-1)
    while True:
        visited[rows_seen] = i
        rows_seen += 1
        if reached + forbidden - u[i] < out_at:
            out_at, out_row = reached + forbidden - u[i], i
        least: Any = np.int64(_FAR)
        at: Any = np.int64(-1)
        base = reached - u[i]
        for k in range(open_):
            j = todo[k]
            c = cost[i, j]
            if c < forbidden:
                r = base + c - v[j]
                if r < shortest[j]:
                    shortest[j], came[j] = r, i
            far = shortest[j]
            if far < least or (far == least and at >= 0 and row[j] < 0 and row[todo[at]] >= 0):
                least, at = far, k
        if at < 0 or out_at <= least:
            reached = out_at
            break
        reached = least
        j = todo[at]
        open_ -= 1
        todo[at], todo[open_] = todo[open_], j
        if row[j] < 0:
            sink = j
            break
        i = row[j]
    u[start] += reached
    for k in range(1, rows_seen):
        seen = visited[k]
        u[seen] += reached - shortest[column[seen]]
    for k in range(open_, cols):
        j = todo[k]
        v[j] -= reached - shortest[j]
    if sink >= 0:
        j = sink
    elif out_row == start:
        return
    else:
        j = column[out_row]
        column[out_row] = -1
    while True:
        i = came[j]
        row[j] = i
        before = column[i]
        column[i] = j
        if i == start:
            return
        j = before
