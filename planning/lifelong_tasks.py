"""Which robot takes which task: the nearest first errand, the shorter task, anew at every step until it begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planning.jit import kernel
from planning.lifelong_tables import FAR, UNIT, StateTables

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U16 = NDArray[np.uint16]

EXACT_PAIRS = 150_000
"""Robots times tasks up to which the assignment is solved exactly at every step."""
NEAREST = 24
"""First errands looked at per robot beyond that."""
WAY_WEIGHT, LENGTH_WEIGHT = 5, 1
"""A step on the way to a task is lost; one within it must be gone by somebody some day, so it counts less. But
some tasks always lie in the pool, and it is better that those are the long ones."""
STICK = UNIT
"""Cost that a change of task must save."""


@kernel
def _nearest(row: I32, col: I32, turn_state: I32, spot_row: I32, spot_col: I32, spot_slot: I32, spot_length: I64, pool: U16, unit: int, way_weight: int, length_weight: int, key: I64, spot: I32) -> None:
    """For each robot the best `key.shape[1]` of the spots where tasks begin: those nearest as the crow flies, priced by table."""
    keep = key.shape[1]
    for i in range(len(row)):
        n = 0
        for s in range(len(spot_row)):
            value = np.int64(abs(row[i] - spot_row[s]) + abs(col[i] - spot_col[s])) * unit * way_weight + spot_length[s] * length_weight
            if n == keep and value >= key[i, n - 1]:
                continue
            place = n if n < keep else keep - 1
            while place > 0 and key[i, place - 1] > value:
                key[i, place] = key[i, place - 1]
                spot[i, place] = spot[i, place - 1]
                place -= 1
            key[i, place], spot[i, place] = value, s
            n = min(n + 1, keep)
        for place in range(n):
            s = spot[i, place]
            if spot_slot[s] >= 0:
                way = np.int64(pool[spot_slot[s], turn_state[i]])
                key[i, place] = way * way_weight + spot_length[s] * length_weight
        for place in range(n, keep):
            spot[i, place] = -1


@kernel
def _deal(order: I64, keep: int, spot: I32, first: I32, last: I32, task_of: I64, chosen: I64) -> None:
    """Cheapest pair first: each robot the shortest task left at the spot; first, last: range per spot in task_of."""
    for pair in order:
        i, s = pair // keep, spot[pair // keep, pair % keep]
        if s < 0 or chosen[i] >= 0 or first[s] >= last[s]:
            continue
        chosen[i] = task_of[first[s]]
        first[s] += 1


class Scheduler:
    """Hands revealed tasks to robots that have not begun one."""

    def __init__(self, tables: StateTables, *, exact_pairs: int = EXACT_PAIRS) -> None:
        self._tables, self._roads, self._exact_pairs = tables, tables.roads, exact_pairs

    def still_to_go(self, errands: I32, offsets: I64) -> I64:
        """For each errand of each task, the cost from there to the task's last one (road numbers, flat, offsets
        (T + 1,)): by table where there is one, else as the crow flies."""
        roads, tables = self._roads, self._tables
        cell = roads.cells[errands].astype(np.int64)
        row, col = cell // roads.width, cell % roads.width
        leg = np.zeros(len(errands), np.int64)
        leg[:-1] = (np.abs(np.diff(row)) + np.abs(np.diff(col))) * UNIT
        slot = tables.slot[errands[1:]]
        known = np.flatnonzero(slot >= 0)
        price = tables.pool[slot[known], errands[known] * tables.headings]
        leg[known] = np.where(price == FAR, leg[known], price)
        leg[offsets[1:] - 1] = 0
        before = np.concatenate([[0], np.cumsum(leg)])
        end = np.repeat(before[offsets[1:]], np.diff(offsets))
        rest: I64 = end - before[:-1]
        return rest

    def assign(self, at: I32, heading: I32, had: I64, first: I32, length: I64) -> I64:
        """Index of the task of each robot, -1 = none. at, heading (N,): the robots; had (N,): the task each was
        going to, -1 = none; first (T,): road number where each task begins; length (T,): its cost from there."""
        if not len(at) or not len(first):
            return np.full(len(at), -1, np.int64)
        if len(at) * len(first) <= self._exact_pairs:
            return self._exact(at, heading, had, first, length)
        return self._greedy(at, heading, had, first, length)

    def _exact(self, at: I32, heading: I32, had: I64, first: I32, length: I64) -> I64:
        from scipy.optimize import linear_sum_assignment

        way = self._ways(at, heading, first)
        cost = way * WAY_WEIGHT + length[None, :].astype(np.int64) * LENGTH_WEIGHT
        going = np.flatnonzero(had >= 0)
        cost[going, had[going]] -= STICK
        robots, tasks = linear_sum_assignment(cost)
        chosen: I64 = np.full(len(at), -1, np.int64)
        chosen[robots] = tasks
        return chosen

    def _ways(self, at: I32, heading: I32, first: I32) -> I64:
        """(N, T) cost from each robot to each task's first errand."""
        tables, roads = self._tables, self._roads
        spots, where = np.unique(first, return_inverse=True)
        state = at * tables.headings + (heading if tables.turning else 0)
        here, there = roads.cells[at].astype(np.int64), roads.cells[spots].astype(np.int64)
        way = (
            np.abs(here[:, None] // roads.width - there[None] // roads.width)
            + np.abs(here[:, None] % roads.width - there[None] % roads.width)
        ) * UNIT
        known = np.flatnonzero(tables.slot[spots] >= 0)
        way[:, known] = tables.pool[tables.slot[spots[known]][None, :], state[:, None]]
        return way[:, where]

    def _greedy(self, at: I32, heading: I32, had: I64, first: I32, length: I64) -> I64:
        tables, roads = self._tables, self._roads
        by_spot = np.lexsort((length, first))
        spots, begin, many = np.unique(first[by_spot], return_index=True, return_counts=True)
        here, there = roads.cells[at], roads.cells[spots]
        state = (at * tables.headings + (heading if tables.turning else 0)).astype(np.int32)
        key = np.full((len(at), NEAREST), np.iinfo(np.int64).max, np.int64)
        spot = np.full((len(at), NEAREST), -1, np.int32)
        _nearest(
            here // roads.width, here % roads.width, state, there // roads.width, there % roads.width,
            tables.slot[spots], length[by_spot[begin]], tables.pool, UNIT, WAY_WEIGHT, LENGTH_WEIGHT, key, spot,
        )  # fmt: skip
        going = had >= 0
        key[going] -= np.where(spots[np.maximum(spot[going], 0)] == first[had[going]][:, None], STICK, 0)
        chosen: I64 = np.full(len(at), -1, np.int64)
        left = begin.astype(np.int32)
        order = np.argsort(key, axis=None, kind="stable")
        _deal(order, NEAREST, spot, left, (begin + many).astype(np.int32), by_spot.astype(np.int64), chosen)
        rest = np.flatnonzero(chosen < 0)
        spare = np.setdiff1d(np.arange(len(first)), chosen)
        chosen[rest[: len(spare)]] = spare[: len(rest)]
        return chosen
