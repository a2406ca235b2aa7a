"""The plainest lifelong traffic: one PIBT step (Okumura et al., AIJ 310, 2022) for thousands of movers that do not turn.

For simulations of very large fleets, and for what a step costs at least. Distances are gathered for all movers before
anyone decides, in a loop without branches, because reading ten thousand tables is what the time goes to. There is no
swap step: in one-wide dead ends movers may block one another, which `planning.traffic` prevents.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aislewise.errors import InputError
from planning.jit import kernel
from planning.lifelong_tables import StateTables
from planning.pibt import seed_state

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U16 = NDArray[np.uint16]
U64 = NDArray[np.uint64]


@kernel
def _bits(rng: U64) -> Any:
    """xorshift64* (Vigna 2016) on the one-element state `rng`: 31 random bits."""
    x = rng[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[0] = x
    return np.int64((x * np.uint64(2685821657736338717)) >> np.uint64(33))


@kernel
def _candidates(ahead: I32, pool: U16, rows: I32, now: I32, occ: I32, wish: I32, rng: U64) -> None:
    """wish (N, 6): each mover's cells, nearest to its goal first, then empty ones, then by lot; -1 ends them."""
    far = np.empty((len(now), 5), np.int32)
    for i in range(len(now)):
        row, here = max(rows[i], 0), now[i]
        far[i, 4] = pool[row, here]
        for k in range(4):
            cell = ahead[here, k]
            far[i, k] = pool[row, max(cell, 0)]
    for i in range(len(now)):
        bits = _bits(rng)
        count = 0
        keys = np.empty(5, np.int64)
        for k in range(5):
            cell = now[i] if k == 4 else ahead[now[i], k]
            if cell < 0:
                continue
            key = np.int64(far[i, k]) if rows[i] >= 0 else np.int64(k < 4)
            key = (key << 8) | ((k < 4 and occ[cell] >= 0) << 7) | (bits & 63)
            bits >>= 6
            at = count
            while at > 0 and keys[at - 1] > key:
                keys[at] = keys[at - 1]
                wish[i, at] = wish[i, at - 1]
                at -= 1
            keys[at], wish[i, at] = key, cell
            count += 1
        wish[i, count] = -1


@kernel
def _decide(wish: I32, now: I32, nxt: I32, occ: I32, taken: I32, cursor: I32, stack: I32, root: int) -> None:
    """Next cells of `root` and of all that it pushes."""
    top = 0
    stack[0] = root
    cursor[root] = 0
    stuck = False
    while top >= 0:
        i = stack[top]
        if stuck:
            cursor[i] += 1
            stuck = False
        pushed, settled = -1, False
        while wish[i, cursor[i]] >= 0:
            cell = wish[i, cursor[i]]
            j = occ[cell]
            if taken[cell] < 0 and (j < 0 or j == i or nxt[j] != now[i]):
                taken[cell] = i
                nxt[i] = cell
                settled = True
                if j >= 0 and j != i and nxt[j] < 0:
                    pushed = j
                break
            cursor[i] += 1
        if pushed >= 0:
            top += 1
            stack[top] = pushed
            cursor[pushed] = 0
        elif settled:
            return  # the last one pushed has a cell, so all before it have theirs
        else:
            nxt[i] = now[i]
            taken[now[i]] = i
            stuck = True
            top -= 1


@kernel
def _step(ahead: I32, pool: U16, rows: I32, goal: I32, now: I32, nxt: I32, order: I32, occ: I32, taken: I32, wish: I32, cursor: I32, stack: I32, rng: U64) -> None:
    for i in range(len(now)):
        occ[now[i]] = i
        nxt[i] = -1
    _candidates(ahead, pool, rows, now, occ, wish, rng)
    for i in order:
        if nxt[i] < 0:
            _decide(wish, now, nxt, occ, taken, cursor, stack, i)
    for i in range(len(now)):
        occ[now[i]] = -1
        taken[nxt[i]] = -1
    waiting, arrived = 0, 0
    for i in order:  # who has arrived goes last; the others keep their order, so that everyone comes first some day
        if rows[i] < 0 or nxt[i] == goal[i]:
            stack[arrived] = i
            arrived += 1
        else:
            order[waiting] = i
            waiting += 1
    for k in range(arrived):
        order[waiting + k] = stack[k]


class PlainTraffic:
    """Steps for N movers; remembers in which order they come."""

    def __init__(self, tables: StateTables, movers: int, *, seed: int = 0) -> None:
        if tables.turning:
            raise InputError("tables", "for robots that turn", "turning=False")
        if not 1 <= movers <= len(tables.roads):
            raise InputError("movers", f"{movers}", f"1 to {len(tables.roads)}, the free cells")
        self.tables = tables
        self._rng = seed_state(seed)
        self._order: I32 = np.arange(movers, dtype=np.int32)
        self._occ: I32 = np.full((2, len(tables.roads)), -1, np.int32)
        self._wish: I32 = np.empty((movers, 6), np.int32)
        self._work: I32 = np.empty((2, movers), np.int32)

    def step(self, now: I32, goal: ArrayLike) -> I32:
        """The next road number of each mover: no two in one cell, no two changing places. now (N,): distinct road
        numbers; goal (N,): road numbers whose table has been made, -1 or others = none."""
        aim = np.asarray(goal, np.int32)
        rows = np.where(aim >= 0, self.tables.slot[aim], -1).astype(np.int32)
        nxt = np.empty_like(now)
        _step(
            self.tables.roads.ahead, self.tables.pool, rows, aim, now, nxt, self._order, self._occ[0], self._occ[1],
            self._wish, self._work[0], self._work[1], self._rng,
        )  # fmt: skip
        return nxt
