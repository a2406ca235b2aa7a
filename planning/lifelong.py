"""Lifelong traffic: the next action of every robot, again and again, for fleets whose goals never end.

Each call plans a few steps ahead for all robots at once and returns the first (planning.lifelong_epibt says how);
what is left of a plan is where the next call begins, so effort is never lost. The same engine drives robots that
turn in place and movers that go to any neighbour. `planner_for` chooses between this and planning.lifelong_rolling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aislewise.errors import InputError
from planning.lifelong_epibt import IMPOSSIBLE, occupy, price, refine, sweep
from planning.lifelong_ops import (
    CLOCKWISE,
    COUNTER,
    FORWARD,
    MAX_DEPTH,
    OPEN,
    WAIT,
    Operations,
    moving_operations,
    turning_operations,
)
from planning.lifelong_tables import FAR, UNIT, StateTables
from planning.pibt import seed_state

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

PRICED = 500_000
"""Operations priced per step, all robots together, up to which plans look another step ahead: about 0.4 s of work
where robots stand close, and the deeper plan is the better one at any density."""
ROUNDS = 32
"""Robots tried between two looks at the clock."""
TRIES = 400
"""Robots moved aside for one change before it is given up."""
PASS_BY = 200
"""Of 1,024 robots in the way, how many are left alone while refining, so that not the same is tried for ever."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long `plan` may refine: `rounds` tries in all, and until `clock()` reaches `until_s` if a clock is given."""

    rounds: int = 2_000
    clock: Callable[[], float] | None = None
    until_s: float = 0.0

    @property
    def spent(self) -> bool:
        return self.clock is not None and self.clock() >= self.until_s


class Planner(Protocol):
    """What both lifelong planners do."""

    def plan(
        self, at: ArrayLike, heading: ArrayLike, goal: ArrayLike, then: ArrayLike, effort: Effort,
        rest: ArrayLike | None = None,
    ) -> I32: ...  # fmt: skip


class LifelongPlanner:
    """Plans for N robots on the free cells of a grid; remembers the operation that each holds.

    tables: costs over (cell, heading), with guidance; they say too whether robots turn. depth: steps looked ahead,
    None: as many as PRICED allows. A plan is free of vertex and swap conflicts at every step, whatever the effort,
    because it begins as what is left of the last one, after which everybody stops. Who is nearest the end of its
    work goes first; nobody is promised to arrive."""

    def __init__(self, tables: StateTables, robots: int, *, depth: int | None = None, seed: int = 0) -> None:
        roads = tables.roads
        if robots > len(roads):
            raise InputError("robots", f"{robots}", f"at most {len(roads)}, the free cells")
        self.tables = tables
        self.ops = _operations(depth, tables.turning) if depth is not None else _deepest(robots, tables.turning)
        self._rng = seed_state(seed)
        count, steps = self.ops.steps.shape
        self._held: I32 = np.zeros(robots, np.int32)
        self._route: I32 = np.zeros((robots, count, steps), np.int32)
        self._cost: I32 = np.zeros((robots, count), np.int32)
        self._rank: I32 = np.zeros((robots, count), np.int32)
        self._count: I32 = np.zeros(robots, np.int32)
        self._occ: I32 = np.full((len(roads), steps + 1), -1, np.int32)
        self._seen: I64 = np.zeros(robots, np.int64)
        self._stamp = 1

    def plan(
        self, at: ArrayLike, heading: ArrayLike, goal: ArrayLike, then: ArrayLike, effort: Effort,
        rest: ArrayLike | None = None,
    ) -> I32:  # fmt: skip
        """The next action of each robot, (N,) int32: FORWARD, CLOCKWISE, COUNTER, WAIT; for movers that do not
        turn, FORWARD + 8 * heading or WAIT.

        at, goal, then: (N,) road numbers: where it is, its goal, and the one after that; -1 = none. A goal whose
        table has not been made counts as none. heading: (N,) 0 to 3 (0 if robots do not turn). rest: (N,) cost of
        its work beyond the goal: who has least left goes first. InputError when two robots share a cell."""
        here, look, aim = (np.asarray(a, np.int32) for a in (at, heading, goal))
        urgent = self._value(here, look, aim, np.asarray(then, np.int32), rest)
        if not occupy(self._route, self._held, here, self._occ):  # somebody is not where it was sent
            self._held[:] = 0
            if not occupy(self._route, self._held, here, self._occ):
                raise InputError("at", "two robots in one cell")
        self._search(here, urgent, _weights(urgent, aim >= 0), effort)
        return self._first_actions(here, look, aim)

    def _value(self, at: I32, heading: I32, goal: I32, then: I32, rest: ArrayLike | None) -> I32:
        """Routes and costs of all operations of all robots; returns the robots, who has least to go first."""
        tables, ops = self.tables, self.ops
        row = np.where(goal >= 0, tables.slot[goal], -1).astype(np.int32)
        row_then = np.where((row >= 0) & (then >= 0), tables.slot[then], -1).astype(np.int32)
        beyond = np.zeros(len(at), np.int32)
        known = np.flatnonzero(row_then >= 0)
        # The dearest heading to arrive with: so the last step to a goal never looks like a loss.
        arrive = goal[known, None] * tables.headings + np.arange(tables.headings)
        beyond[known] = tables.pool[row_then[known, None], arrive].max(axis=1, initial=0)
        price(
            tables.roads.ahead, ops.steps, ops.open, ops.tie, tables.pool, tables.turning, UNIT, at, heading, goal, row,
            row_then, beyond, 0, len(at), self._route, self._cost, self._rank, self._count,
        )  # fmt: skip
        self._held[self._cost[np.arange(len(at)), self._held] == IMPOSSIBLE] = 0
        state = at * tables.headings + (heading if tables.turning else 0)
        togo = np.where(row >= 0, tables.pool[row, state].astype(np.int64), FAR)
        if rest is not None:
            togo += np.asarray(rest, np.int64)
        return np.argsort(togo, kind="stable").astype(np.int32)

    def _search(self, at: I32, order: I32, weight: I32, effort: Effort) -> None:
        args = (self._route, self._cost, self._rank, self._count, self._held, self._occ, at, weight)
        for begin in range(0, len(order), ROUNDS):
            part = order[begin : begin + ROUNDS]
            sweep(*args, part, TRIES, self._seen, self._stamp, self._rng)
            self._stamp += len(part)
            if effort.spent:
                return
        left = effort.rounds if len(order) else 0
        while left > 0 and not effort.spent:
            rounds = min(ROUNDS, left)
            refine(*args, rounds, TRIES, PASS_BY, self._seen, self._stamp, self._rng)
            self._stamp += rounds
            left -= rounds

    def _first_actions(self, at: I32, heading: I32, goal: I32) -> I32:
        """Take the first step of what is held, and keep the rest."""
        ops, tables = self.ops, self.tables
        held, self._held = self._held, ops.after[self._held]
        first = ops.first[held]
        if not tables.turning:
            return np.where(first == FORWARD, FORWARD + 8 * ops.steps[held, 0], WAIT).astype(np.int32)
        row = np.where(goal >= 0, tables.slot[goal], -1)
        turns = np.array([0, 1, 3, 2])
        togo = tables.pool[np.maximum(row, 0)[:, None], at[:, None] * 4 + (heading[:, None] + turns) % 4]
        best = np.argmin(togo.astype(np.int64) * 4 + np.arange(4), axis=1)
        turned = np.array([WAIT, CLOCKWISE, COUNTER, CLOCKWISE])[best]
        turned[row < 0] = WAIT
        return np.where(first == OPEN, turned, first).astype(np.int32)


def _operations(depth: int, turning: bool) -> Operations:
    return turning_operations(depth) if turning else moving_operations(depth)


def _deepest(robots: int, turning: bool) -> Operations:
    """The longest operations that PRICED allows for so many robots, at least two steps."""
    ops = _operations(2, turning)
    for depth in range(3, MAX_DEPTH + 1):
        longer = _operations(depth, turning)
        if robots * len(longer.steps) > PRICED:
            break
        ops = longer
    return ops


def _weights(order: I32, has_goal: NDArray[np.bool_]) -> I32:
    """1 to 501: what each robot's cost counts, steeply more for who is nearer the end of its work, which makes way
    for new work by finishing; 1 without a goal. With equal weights a crowd gets in its own way (half the tasks)."""
    count = len(order)
    weight = np.empty(count, np.int32)
    share = 1.0 - np.arange(count) / (count + 1)
    weight[order] = 1 + np.round(500 * share**3).astype(np.int32)
    weight[~has_goal] = 1
    return weight
