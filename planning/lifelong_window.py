"""Windowed refinement, in numba: paths of W steps for all robots, improved a few robots at a time.

Where there is room to plan ahead, longer paths beat cleverer steps: all robots hold paths of W steps without
conflicts, what is left of the last plan first; then a robot that loses time and those on its best way are lifted out
and planned anew, one after the other, each with the least cost past the others (space-time A*), and the change stands
if together they lose no more than before (large neighbourhood search on windows: Li et al., "Anytime multi-agent path
finding via large neighborhood search", 2021; Jiang et al., "Scaling lifelong MAPF to more realistic settings", 2024).

Arrays, for N robots on F road cells: a state is cell * headings + heading (one heading if robots do not turn).
  path (N, W + 1)    states; path[:, 0] is where they are
  occ (F, W + 1)     who is where at each time; -1 = nobody
  rows (N, 2)        rows in `pool` of this goal and the next; -1 = none
  goals (N, 2)       their road cells; -1 = none
  past (N, 2)        least cost from goal p to the end of the known goals
  gap (N,)           how much more that is from the worst heading at the first goal: a path that ends before it pays
                     this, or robots would rather wait for ever than arrive and turn
  loss (N,)          what each path costs more than the robot alone would need
The cost of a path is the price of its steps (waiting costs one step until all known goals are reached, nothing
after) and what is left to go at its end.
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

GOALS = 2
PHASES = GOALS + 1
NO_WAY = 1 << 29


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
def _left(pool: U16, rows: I32, past: I32, i: int, phase: int, state: int) -> Any:
    """Cost to go from a state when `phase` goals are reached."""
    if phase >= GOALS or rows[i, phase] < 0:
        return 0
    return np.int64(pool[rows[i, phase], state]) + past[i, phase]


@kernel
def _alone(unit: int, pool: U16, rows: I32, past: I32, gap: I32, path: I32, i: int) -> Any:
    """What the robot would pay with nobody else about; too little by a turn or two if its goal is near."""
    left = _left(pool, rows, past, i, 0, path[i, 0])
    far = rows[i, 0] >= 0 and left - past[i, 0] > unit * (path.shape[1] - 1)
    return left + (gap[i] if far else 0)


@kernel
def _phase_after(goals: I32, rows: I32, i: int, phase: int, cell: int) -> int:
    """One goal a step can be reached, as the rules have it."""
    if phase < GOALS and rows[i, phase] >= 0 and goals[i, phase] == cell:
        return phase + 1
    return phase


@kernel
def _step_price(price: I32, turn: int, unit: int, headings: int, came: int, went: int, idle: bool) -> Any:
    if came == went:
        return 0 if idle else unit
    cell, other = came // headings, went // headings
    if cell == other:
        return turn
    return price[cell, went % headings] if headings == 4 else unit


@kernel
def path_cost(price: I32, turn: int, unit: int, headings: int, pool: U16, rows: I32, goals: I32, past: I32, gap: I32, path: I32, i: int) -> Any:
    """Cost of a robot's path and of what is left at its end."""
    phase, total = 0, np.int64(0)
    for t in range(path.shape[1] - 1):
        idle = phase >= GOALS or rows[i, phase] < 0
        total += _step_price(price, turn, unit, headings, path[i, t], path[i, t + 1], idle)
        phase = _phase_after(goals, rows, i, phase, path[i, t + 1] // headings)
    return total + _left(pool, rows, past, i, phase, path[i, path.shape[1] - 1]) + (gap[i] if phase == 0 else 0)


@kernel
def _mark(path: I32, headings: int, occ: I32, i: int, mark: int) -> None:
    for t in range(1, path.shape[1]):
        occ[path[i, t] // headings, t] = mark


@kernel
def take_places(path: I32, headings: int, occ: I32) -> bool:
    """Put all paths into `occ`; False if two of them are in conflict."""
    occ[:] = -1
    for t in range(path.shape[1]):
        for i in range(len(path)):
            cell = path[i, t] // headings
            if occ[cell, t] >= 0:
                return False
            occ[cell, t] = i
            if t > 0:
                came = path[i, t - 1] // headings
                j = occ[cell, t - 1]
                if came != cell and j >= 0 and j < i and path[j, t] // headings == came:
                    return False
                j = occ[cell, t - 1]
                if came != cell and j > i and path[j, t] // headings == came:
                    return False
    return True


@kernel
def _search(ahead: I32, price: I32, turn: int, unit: int, headings: int, pool: U16, rows: I32, goals: I32, past: I32, gap: I32, path: I32, occ: I32, i: int, most: int, mark: I32, stamp: int, parent: I32, bucket: I32, entry: I32) -> int:
    """The cheapest path of i past all in `occ` (i is not in it after time 0), written to path[i]; its cost beyond
    `most` or no way at all: NO_WAY, path[i] untouched. Cost to go never falls by more than a step costs, so A* with
    buckets by cost needs no sorting; the last in is the first out, which goes deep first."""
    window = path.shape[1] - 1
    states = ahead.shape[0] * headings
    start = path[i, 0]
    base = _left(pool, rows, past, i, 0, start)
    span = min(len(bucket), most - base + 1)
    if span <= 0:
        return NO_WAY
    bucket[:span] = -1
    root = start * PHASES
    entry[0, 0], entry[0, 1], entry[0, 2] = root, -1, -1
    bucket[0] = 0
    entries, level = 1, 0
    layer = states * PHASES
    while level < span:
        top = bucket[level]
        if top < 0:
            level += 1
            continue
        bucket[level] = entry[top, 1]
        node = entry[top, 0]
        if mark[node] == stamp:
            continue
        mark[node] = stamp
        parent[node] = entry[top, 2]
        t, here = node // layer, node % layer
        phase, state = here % PHASES, here // PHASES
        if t == window:
            while t >= 0:
                path[i, t] = (node % layer) // PHASES
                node = parent[node]
                t -= 1
            return base + level
        spent = base + level - _left(pool, rows, past, i, phase, state)
        cell, heading = state // headings, state % headings
        idle = phase >= GOALS or rows[i, phase] < 0
        for k in range(5):
            other, cost = state, np.int64(0 if idle else unit)
            if headings == 4:
                if k == 4:
                    continue
                if k == 1 or k == 2:
                    other, cost = cell * 4 + ((heading + (1 if k == 1 else 3)) & 3), np.int64(turn)
                elif k == 3:
                    target = ahead[cell, heading]
                    if target < 0:
                        continue
                    other, cost = target * 4 + heading, np.int64(price[cell, heading])
            elif k < 4:
                target = ahead[cell, k]
                if target < 0:
                    continue
                other, cost = target, np.int64(price[cell, k])
            target = other // headings
            if occ[target, t + 1] >= 0:
                continue
            if target != cell:
                j = occ[target, t]
                if j >= 0 and j != i and occ[cell, t + 1] == j:
                    continue
            reached = _phase_after(goals, rows, i, phase, target)
            total = spent + cost + _left(pool, rows, past, i, reached, other) - base
            if t + 1 == window and reached == 0:
                total += gap[i]
            if total >= span or entries >= len(entry):
                continue
            total = max(total, level)
            child = (t + 1) * layer + other * PHASES + reached
            if mark[child] == stamp:
                continue
            entry[entries, 0], entry[entries, 1], entry[entries, 2] = child, bucket[total], node
            bucket[total] = entries
            entries += 1
    return NO_WAY


@kernel
def _crowd(ahead: I32, headings: int, pool: U16, rows: I32, path: I32, occ: I32, i: int, size: int, group: I32, rng: U64) -> int:
    """Robot i and up to size - 1 others: those on its best way, walked down its table with ties by lot, then those
    beside its present path. Returns how many."""
    group[0] = i
    count = 1
    window = path.shape[1] - 1
    state = path[i, 0]
    for t in range(1, window + 1):
        if count >= size or rows[i, 0] < 0:
            break
        cell, heading = state // headings, state % headings
        best, here = np.int64(pool[rows[i, 0], state]), state
        lots = 1
        for k in range(4):
            if headings == 4:
                other = cell * 4 + ((heading + k) & 3)
                if k == 0:
                    other = ahead[cell, heading] * 4 + heading if ahead[cell, heading] >= 0 else -1
                elif k == 2:
                    continue
            else:
                other = ahead[cell, k]
            if other < 0:
                continue
            far = np.int64(pool[rows[i, 0], other])
            if far < best:
                best, state, lots = far, other, 1
            elif far == best and state != here:
                lots += 1
                if _bits(rng) % lots == 0:
                    state = other
        for late in range(2):
            j = occ[state // headings, max(t - late, 1)]
            count = _join(group, count, size, j)
        if state == here:
            break
    for _ in range(2 * size):
        if count >= size:
            break
        t = 1 + _bits(rng) % window
        cell = path[i, t] // headings
        other = ahead[cell, _bits(rng) & 3]
        if other >= 0:
            count = _join(group, count, size, occ[other, t])
    return count


@kernel
def _join(group: I32, count: int, size: int, j: int) -> int:
    if j < 0 or count >= size:
        return count
    for k in range(count):
        if group[k] == j:
            return count
    group[count] = j
    return count + 1


@kernel
def improve(ahead: I32, price: I32, turn: int, unit: int, headings: int, pool: U16, rows: I32, goals: I32, past: I32, gap: I32, path: I32, occ: I32, loss: I64, weight: I32, order: I32, rounds: int, largest: int, mark: I32, stamp: int, parent: I32, bucket: I32, entry: I32, rng: U64) -> int:
    """First each robot of `order` alone, then `rounds` groups of 2 to `largest` robots drawn by lot. Returns the
    last stamp used; paths, places and losses are brought up to date."""
    group, saved = np.empty(largest, np.int32), np.empty((largest, path.shape[1]), np.int32)
    for turn_of in range(len(order) + rounds):
        if turn_of < len(order):
            i, size = order[turn_of], 1
            if loss[i] <= 0:
                continue
        else:
            i = _bits(rng) % len(path)
            for _ in range(16):
                if loss[i] > 0:
                    break
                i = _bits(rng) % len(path)
            size = 2 + _bits(rng) % (largest - 1)
        count = _crowd(ahead, headings, pool, rows, path, occ, i, size, group, rng) if size > 1 else 1
        group[0] = i
        budget = np.int64(0)
        for g in range(count):
            j = group[g]
            saved[g] = path[j]
            budget += loss[j] * weight[j]
            _mark(path, headings, occ, j, -1)
        for g in range(count):  # in an order by lot
            other = g + _bits(rng) % (count - g)
            if g != other:
                group[g], group[other] = group[other], group[g]
                for t in range(path.shape[1]):
                    saved[g, t], saved[other, t] = saved[other, t], saved[g, t]
        spent, placed = np.int64(0), 0
        for g in range(count):
            j = group[g]
            base = _alone(unit, pool, rows, past, gap, path, j)
            most = base + (budget - spent) // weight[j]
            stamp += 1
            cost = _search(
                ahead, price, turn, unit, headings, pool, rows, goals, past, gap, path, occ, j, most, mark, stamp, parent,
                bucket, entry,
            )
            if cost >= NO_WAY:
                break
            spent += (cost - base) * weight[j]
            _mark(path, headings, occ, j, j)
            placed += 1
        if placed == count:
            for g in range(count):
                j = group[g]
                loss[j] = path_cost(price, turn, unit, headings, pool, rows, goals, past, gap, path, j) - _alone(
                    unit, pool, rows, past, gap, path, j
                )
            continue
        for g in range(placed):
            _mark(path, headings, occ, group[g], -1)
        for g in range(count):
            path[group[g]] = saved[g]
            _mark(path, headings, occ, group[g], group[g])
    return stamp


@kernel
def losses(price: I32, turn: int, unit: int, headings: int, pool: U16, rows: I32, goals: I32, past: I32, gap: I32, path: I32, loss: I64) -> None:
    for i in range(len(path)):
        loss[i] = path_cost(price, turn, unit, headings, pool, rows, goals, past, gap, path, i) - _alone(
            unit, pool, rows, past, gap, path, i
        )
