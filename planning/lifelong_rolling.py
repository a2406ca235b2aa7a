"""Lifelong traffic where there is room: paths of many steps, kept from call to call and improved in the time given."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aislewise.errors import InputError
from planning.lifelong import I32, I64, Effort, LifelongPlanner, Planner
from planning.lifelong_ops import CLOCKWISE, COUNTER, FORWARD, WAIT
from planning.lifelong_tables import FAR, UNIT, StateTables
from planning.lifelong_window import PHASES, improve, losses, take_places
from planning.pibt import seed_state

ROOMY = 0.35
"""Robots per free cell up to which windows beat operations; measured on random floors, 0.25 yes, 0.5 no."""
ROBOTS_PER_SECOND = 1_200
"""Robots that a second of refinement serves; with fewer tries windows are worse than operations."""
ROUNDS_PER_ROBOT = 5
"""The same in tries."""
WINDOW = 20
LARGEST = 6
"""Robots planned anew at once."""
ROUNDS = 64
"""Groups tried between two looks at the clock."""
MAX_ENTRIES = 200_000
"""Of one search: far more than a window takes unless robots stand packed, and then it gives up."""


class RollingPlanner:
    """As LifelongPlanner (same `plan`), but with paths of `window` steps, which see jams before they form.

    A plan is free of vertex and swap conflicts whatever the effort: it begins as what is left of the last one."""

    def __init__(self, tables: StateTables, robots: int, *, window: int = WINDOW, largest: int = LARGEST, seed: int = 0) -> None:
        roads = tables.roads
        if robots > len(roads):
            raise InputError("robots", f"{robots}", f"at most {len(roads)}, the free cells")
        self.tables, self.window, self._largest = tables, window, largest
        self._rng = seed_state(seed)
        self._path: I32 = np.full((robots, window + 1), -1, np.int32)
        self._occ: I32 = np.full((len(roads), window + 1), -1, np.int32)
        nodes = (window + 1) * len(roads) * tables.headings * PHASES
        self._mark: I32 = np.zeros(nodes, np.int32)
        self._parent: I32 = np.empty(nodes, np.int32)
        self._bucket: I32 = np.empty(8 * window * UNIT, np.int32)
        self._entry: I32 = np.empty((MAX_ENTRIES, 3), np.int32)
        self._stamp = 0

    def plan(
        self, at: ArrayLike, heading: ArrayLike, goal: ArrayLike, then: ArrayLike, effort: Effort,
        rest: ArrayLike | None = None,
    ) -> I32:  # fmt: skip
        """See LifelongPlanner.plan."""
        tables = self.tables
        here, look = np.asarray(at, np.int32), np.asarray(heading, np.int32)
        state = (here * tables.headings + (look if tables.turning else 0)).astype(np.int32)
        self._roll(state)
        goals = np.stack([np.asarray(goal, np.int32), np.asarray(then, np.int32)], axis=1)
        rows = np.where(goals >= 0, tables.slot[goals], -1).astype(np.int32)
        rows[rows[:, 0] < 0, 1] = -1
        togo = np.where(rows[:, 0] >= 0, tables.pool[rows[:, 0], state].astype(np.int64), FAR)
        if rest is not None:
            togo += np.asarray(rest, np.int64)
        self._search(goals, rows, np.argsort(togo, kind="stable").astype(np.int32), effort)
        return self._first_actions(here, state)

    def _roll(self, state: I32) -> None:
        """What is left of the last paths, standing at their end; all standing now if somebody is not where it should be."""
        self._path[:, :-1] = self._path[:, 1:]
        if (self._path[:, 0] != state).any() or not take_places(self._path, self.tables.headings, self._occ):
            self._path[:] = state[:, None]
            if not take_places(self._path, self.tables.headings, self._occ):
                raise InputError("at", "two robots in one cell")

    def _search(self, goals: I32, rows: I32, order: I32, effort: Effort) -> None:
        tables = self.tables
        past = np.zeros_like(goals)
        known = np.flatnonzero(rows[:, 1] >= 0)
        arrive = goals[known, :1] * tables.headings + np.arange(tables.headings)
        onward = tables.pool[rows[known, 1][:, None], arrive].astype(np.int32)
        past[known, 0] = onward.min(axis=1, initial=FAR)
        gap = np.zeros(len(goals), np.int32)
        gap[known] = onward.max(axis=1, initial=0) - past[known, 0]
        weight = np.ones(len(goals), np.int32)
        loss: I64 = np.zeros(len(goals), np.int64)
        shared = (tables.price, tables.turn, UNIT, tables.headings, tables.pool, rows, goals, past, gap, self._path)
        losses(*shared, loss)
        left = effort.rounds
        while (len(order) or left > 0) and loss.any() and not effort.spent:
            part, order = order[:ROUNDS], order[ROUNDS:]
            rounds = 0 if len(part) else min(ROUNDS, left)
            self._stamp = improve(
                tables.roads.ahead, *shared, self._occ, loss, weight, part, rounds, self._largest, self._mark,
                self._stamp, self._parent, self._bucket, self._entry, self._rng,
            )  # fmt: skip
            left -= rounds

    def _first_actions(self, here: I32, state: I32) -> I32:
        tables, ahead = self.tables, self._path[:, 1]
        if not tables.turning:
            moved = tables.roads.ahead[here] == ahead[:, None]
            return np.where(moved.any(axis=1), FORWARD + 8 * moved.argmax(axis=1), WAIT).astype(np.int32)
        turn = np.array([WAIT, CLOCKWISE, WAIT, COUNTER])[(ahead - state) % 4]
        return np.where(ahead // 4 != here, FORWARD, turn).astype(np.int32)


def planner_for(tables: StateTables, robots: int, *, step_s: float | None, rounds: int, depth: int | None = None, seed: int = 0) -> Planner:
    """Windows where robots have room and there is time to use it, operations otherwise or where `depth` is given.
    step_s: seconds a step may take, None: counted in `rounds`."""
    time_enough = robots <= ROBOTS_PER_SECOND * step_s if step_s is not None else rounds >= ROUNDS_PER_ROBOT * robots
    if depth is None and time_enough and robots <= ROOMY * len(tables.roads):
        return RollingPlanner(tables, robots, seed=seed)
    return LifelongPlanner(tables, robots, depth=depth, seed=seed)
