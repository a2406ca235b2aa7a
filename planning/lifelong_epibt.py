"""Multi-step PIBT and its refinement, in numba.

Every robot holds one operation (planning.lifelong_ops), and all of them together are free of conflicts at all
times: at first what is left of the last plan, then changed by `improve`, which gives one robot a better operation
and lets whoever is in its way find another, and so on: priority inheritance with backtracking over operations
(Okumura et al., AIJ 310, 2022; Yukhnevich and Andreychuk, "Enhancing PIBT via multi-action operations", 2025). A
change stands if the weighted sum of costs does not grow. Once through all robots in
order of weight gives a plan; going on with robots drawn by lot (large neighbourhood search) makes it better.

Arrays, for N robots on F road cells with K operations of D steps:
  ahead (F, 4)        road cell ahead at each heading, -1 = none
  steps (K, D), open_steps, tie (K,)  the operations
  at, heading (N,)    where the robots are; goal, then (N,): this goal and the one after it, -1 = none
  row, row_then (N,)  their rows in pool (R, F * headings), -1 = none
  beyond (N,)         cost to count for the way from this goal to the next
  route (N, K, D)     road cells of each robot's operations
  cost (N, K)         cost to go after each, times TIE_RANGE, with ties; IMPOSSIBLE where it leads into a wall
  rank (N, K)         its operations, cheapest first; count (N,): how many there are
  held (N,)           the operation that each robot holds
  occ (F, D + 1)      who is where at each time; -1 = nobody
  weight (N,)         what a robot's cost counts
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from planning.jit import kernel

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U16 = NDArray[np.uint16]
U64 = NDArray[np.uint64]

IMPOSSIBLE = 1 << 30
FREE, SEVERAL = -1, -2
SCALE = 64


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
def _to_go(table: U16, cell: int, heading: int, open_steps: int, turning: bool) -> Any:
    """Least cost in `table` from a cell, at a heading that can be had by turning in `open_steps` steps."""
    if not turning:
        return np.int64(table[cell])
    base = cell * 4
    best = np.int64(table[base + heading])
    if open_steps >= 1:
        best = min(best, np.int64(table[base + ((heading + 1) & 3)]), np.int64(table[base + ((heading + 3) & 3)]))
    if open_steps >= 2:
        best = min(best, np.int64(table[base + ((heading + 2) & 3)]))
    return best


@kernel
def _price_one(ahead: I32, steps: I32, open_steps: I32, pool: U16, turning: bool, unit: int, start: int, facing: int, goal: int, row: int, row_then: int, beyond: int, k: int, route: I32) -> int:
    """Write where operation k leads into `route` (D,) and return the cost to go after it, IMPOSSIBLE in a wall.

    What is left once the goal is reached counts towards the next, so that nobody dawdles on the last steps and
    everybody arrives looking the right way."""
    depth = steps.shape[1]
    cell, look, reached, moves = start, facing, -1, 0
    for d in range(depth):
        turn = steps[k, d]
        if turn >= 0:
            look = (facing + turn) & 3
            cell = ahead[cell, look]
            if cell < 0:
                return IMPOSSIBLE
            moves += 1
        route[d] = cell
        if cell == goal and reached < 0:
            reached = d
    if row < 0:
        return moves  # it has nowhere to go, and rather stays
    if reached < 0:
        return beyond + _to_go(pool[row], cell, look, open_steps[k], turning)
    if row_then < 0:
        return beyond - unit * (depth - reached)
    return min(beyond, _to_go(pool[row_then], cell, look, open_steps[k], turning)) - 1


@kernel
def price(ahead: I32, steps: I32, open_steps: I32, tie: I32, pool: U16, turning: bool, unit: int, at: I32, heading: I32, goal: I32, row: I32, row_then: I32, beyond: I32, first: int, last: int, route: I32, cost: I32, rank: I32, count: I32) -> None:
    """Routes, costs and ranking of the operations of robots first to last - 1."""
    total = steps.shape[0]
    for i in range(first, last):
        n = 0
        for k in range(total):
            value = _price_one(
                ahead, steps, open_steps, pool, turning, unit, at[i], heading[i], goal[i], row[i], row_then[i],
                beyond[i], k, route[i, k],
            )
            if value == IMPOSSIBLE:
                cost[i, k] = IMPOSSIBLE
                continue
            value = value * SCALE + tie[k]
            cost[i, k] = value
            place = n
            while place > 0 and cost[i, rank[i, place - 1]] > value:
                rank[i, place] = rank[i, place - 1]
                place -= 1
            rank[i, place] = k
            n += 1
        count[i] = n


@kernel
def _who(route: I32, occ: I32, at: I32, i: int, k: int) -> int:
    """The one robot in the way of i's operation k (i itself is not in `occ` after time 0), FREE or SEVERAL."""
    other = FREE
    came = at[i]
    for d in range(route.shape[2]):
        cell = route[i, k, d]
        j = occ[cell, d + 1]
        if j >= 0:
            if other >= 0 and other != j:
                return SEVERAL
            other = j
        if cell != came:
            j = occ[cell, d]
            if j >= 0 and j != i and occ[came, d + 1] == j:  # they would change places
                if other >= 0 and other != j:
                    return SEVERAL
                other = j
        came = cell
    return other


@kernel
def _mark(route: I32, occ: I32, i: int, k: int, mark: int) -> None:
    for d in range(route.shape[2]):
        occ[route[i, k, d], d + 1] = mark


@kernel
def occupy(route: I32, held: I32, at: I32, occ: I32) -> bool:
    """Put all robots into `occ`; False if what they hold is in conflict (a mistake of the caller's)."""
    occ[:] = -1
    for i in range(len(at)):
        if occ[at[i], 0] >= 0:
            return False
        occ[at[i], 0] = i
    for i in range(len(at)):
        if _who(route, occ, at, i, held[i]) != FREE:
            return False
        _mark(route, occ, i, held[i], i)
    return True


@kernel
def _improve(route: I32, cost: I32, rank: I32, count: I32, held: I32, occ: I32, at: I32, weight: I32, root: int, floor: int, tries: int, skip: int, seen: I64, stamp: int, stack: I32, old: I32, cursor: I32, gained: I64, rng: U64) -> Any:
    """Give `root` a better operation, moving others aside; the gain (weighted cost saved), at least `floor`, or
    floor - 1 if nothing was found and all is as before. skip: chance in 1,024 to pass by a robot in the way."""
    top = 0
    stack[0], old[0], cursor[0], gained[0] = root, held[root], 0, 0
    seen[root] = stamp
    _mark(route, occ, root, held[root], -1)
    while top >= 0:
        i = stack[top]
        j, gain = SEVERAL, np.int64(0)
        while cursor[top] < count[i]:
            k = rank[i, cursor[top]]
            gain = gained[top] + np.int64(weight[i]) * (cost[i, old[top]] - cost[i, k])
            cursor[top] += 1
            if gain < floor - np.int64(weight[i]) * 8 * SCALE:
                cursor[top] = count[i]  # the rest is worse
                break
            if top == 0 and k == old[0]:
                continue
            j = _who(route, occ, at, i, k)
            if j == FREE:
                if gain >= floor:
                    break
                j = SEVERAL
                cursor[top] = count[i]
                break
            if j >= 0:
                spare = np.int64(weight[j]) * (cost[j, held[j]] - cost[j, rank[j, 0]])
                if seen[j] == stamp or gain + spare < floor or tries <= 0 or (_bits(rng) & 1023) < skip:
                    j = SEVERAL
                    continue
                break
        if j == FREE:
            held[i] = k
            _mark(route, occ, i, k, i)
            return gain
        if j >= 0:
            tries -= 1
            _mark(route, occ, j, held[j], -1)
            held[i] = k
            _mark(route, occ, i, k, i)
            top += 1
            stack[top], old[top], cursor[top], gained[top] = j, held[j], 0, gain
            seen[j] = stamp
            continue
        seen[i] = 0
        top -= 1
        if top >= 0:
            _mark(route, occ, stack[top], held[stack[top]], -1)
        held[i] = old[top + 1]
        _mark(route, occ, i, held[i], i)
    return floor - 1


@kernel
def sweep(route: I32, cost: I32, rank: I32, count: I32, held: I32, occ: I32, at: I32, weight: I32, order: I32, tries: int, seen: I64, stamp: int, rng: U64) -> Any:
    """`_improve` for each robot in `order`; returns the gain."""
    agents = len(at)
    stack, old, cursor = np.empty(agents + 1, np.int32), np.empty(agents + 1, np.int32), np.empty(agents + 1, np.int32)
    gained = np.empty(agents + 1, np.int64)
    total = np.int64(0)
    for i in order:
        stamp += 1
        if cost[i, held[i]] > cost[i, rank[i, 0]]:
            gain = _improve(
                route, cost, rank, count, held, occ, at, weight, i, 0, tries, 0, seen, stamp, stack, old, cursor, gained, rng
            )
            total += max(gain, 0)
    return total


@kernel
def refine(route: I32, cost: I32, rank: I32, count: I32, held: I32, occ: I32, at: I32, weight: I32, rounds: int, tries: int, skip: int, seen: I64, stamp: int, rng: U64) -> Any:
    """`_improve` for `rounds` robots drawn by lot; returns the gain."""
    agents = len(at)
    stack, old, cursor = np.empty(agents + 1, np.int32), np.empty(agents + 1, np.int32), np.empty(agents + 1, np.int32)
    gained = np.empty(agents + 1, np.int64)
    total = np.int64(0)
    for _ in range(rounds):
        stamp += 1
        i = _bits(rng) % agents
        if cost[i, held[i]] <= cost[i, rank[i, 0]]:
            continue
        gain = _improve(
            route, cost, rank, count, held, occ, at, weight, i, 0, tries, skip, seen, stamp, stack, old, cursor, gained, rng
        )
        total += max(gain, 0)
    return total
