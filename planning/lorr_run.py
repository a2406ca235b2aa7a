"""Plays a League of Robot Runners problem with our planner: schedule, tables, actions, step by step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planning.guidance import lane_prices
from planning.lifelong import Effort
from planning.lifelong_rolling import planner_for
from planning.lifelong_tables import UNIT, Roads, StateTables
from planning.lifelong_tasks import Scheduler
from planning.lorr import I32, I64, Problem
from planning.lorr_sim import NO_TASK, League

PREPARE_S = 20.0
"""Of the time before the first step, for tables of the goals that the map suggests."""
TABLE_SHARE = 0.4
"""Of a step's time that making tables may take; robots whose table is missing then wait for the next step."""
RESERVE, RESERVE_S = 0.1, 0.004
"""Of a step's time, kept for what begins before the clock is looked at again, and for the answer."""
NEAR = 8 * UNIT
"""Cost to go from which a robot's goal after this one begins to matter."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a step may cost. With a clock, `step_s` seconds; without, `rounds` of refinement and `tables` new tables,
    so that the same problem and seed give the same run."""

    step_s: float = 1.0
    rounds: int = 1_000_000_000
    tables: int = 1_000_000_000
    clock: Callable[[], float] | None = time.perf_counter


class Runner:
    """One problem and everything that plays it. depth: steps looked ahead (None: by crowding)."""

    def __init__(self, problem: Problem, pace: Pace, *, depth: int | None = None, guided: bool = True, seed: int = 0) -> None:
        self.problem, self.pace = problem, pace
        self.league = League(problem)
        self.roads = Roads(problem.free)
        price = lane_prices(problem.free) if guided else None
        self.tables = StateTables(self.roads, price)
        self.scheduler = Scheduler(self.tables)
        self.planner = planner_for(
            self.tables, problem.robots, step_s=pace.step_s if pace.clock is not None else None, rounds=pace.rounds,
            depth=depth, seed=seed,
        )  # fmt: skip
        self._errands = self.roads.numbers("errands", problem.errands)
        self._begin: I64 = np.zeros(0, np.int64)
        self._rest: I64 = np.empty(0, np.int64)
        self.starved = 0

    def prepare(self) -> int:
        """Tables for the cells that the map marks as places of work, then for all others, while time and room
        allow; the number made."""
        clock, begin = self.pace.clock, 0.0
        stations = self.roads.number[self.problem.stations].tolist()
        room = len(self.tables.pool) if len(self.tables.pool) == len(self.roads) else len(self.tables.pool) * 3 // 4
        goals = list(dict.fromkeys([*stations, *range(len(self.roads))]))[:room]
        if clock is None:
            return self.tables.require(goals[: self.pace.tables])
        begin = clock()
        return self.tables.require(goals, lambda _: clock() - begin < PREPARE_S)

    def step(self) -> float:
        """Decide one step and play it, after those that passed meanwhile if the decision was late; returns the
        seconds it took (0 without a clock)."""
        clock = self.pace.clock
        begin = clock() if clock is not None else 0.0
        schedule = self._choose_tasks()
        goal, then, rest = self._goals(schedule)
        at, heading = self.roads.number[self.league.cell], self.league.heading
        self._make_tables(at, heading, goal, then, begin)
        spare = max(RESERVE * self.pace.step_s, RESERVE_S)
        effort = Effort(self.pace.rounds, clock, begin + self.pace.step_s - spare)
        actions = self.planner.plan(at, heading, goal, then, effort, rest)
        took = clock() - begin if clock is not None else 0.0
        for _ in range(int(took / self.pace.step_s) if clock is not None else 0):
            self.league.stand()
        self.league.advance(actions, schedule, took)
        return took

    def _choose_tasks(self) -> I64:
        league = self.league
        schedule = league.assigned.copy()
        begun = (schedule >= 0) & (league.done[np.maximum(schedule, 0)] > 0)
        robots = np.flatnonzero(~begun)
        tasks = league.pool[league.done[league.pool] == 0]
        self._measure()
        start, _ = league.errands_of(tasks)
        had = np.where(schedule[robots] >= 0, np.searchsorted(tasks, schedule[robots]), -1)
        chosen = self.scheduler.assign(
            self.roads.number[league.cell[robots]], league.heading[robots], had, self._errands[start], self._rest[self._begin[tasks]]
        )
        schedule[robots] = np.where(chosen >= 0, tasks[np.maximum(chosen, 0)] if len(tasks) else NO_TASK, NO_TASK)
        return schedule

    def _measure(self) -> None:
        """What is to go from each errand of the tasks revealed since last time."""
        fresh = np.arange(len(self._begin), len(self.league.done), dtype=np.int64)
        if not len(fresh):
            return
        start, count = self.league.errands_of(fresh)
        offsets = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        flat = np.repeat(start - offsets[:-1], count) + np.arange(offsets[-1])
        self._begin = np.concatenate([self._begin, len(self._rest) + offsets[:-1]])
        self._rest = np.concatenate([self._rest, self.scheduler.still_to_go(self._errands[flat], offsets)])

    def _goals(self, schedule: I64) -> tuple[I32, I32, I64]:
        """The next errand of each robot and the one after it, as road numbers, -1 = none; and what is then to go."""
        goal = np.full(len(schedule), -1, np.int32)
        then = goal.copy()
        busy = np.flatnonzero(schedule >= 0)
        start, count = self.league.errands_of(schedule[busy])
        done = self.league.done[schedule[busy]]
        goal[busy] = self._errands[start + done]
        more = done + 1 < count
        then[busy[more]] = self._errands[(start + done)[more] + 1]
        rest = np.zeros(len(schedule), np.int64)
        rest[busy] = self._rest[self._begin[schedule[busy]] + done]
        return goal, then, rest

    def _make_tables(self, at: I32, heading: I32, goal: I32, then: I32, begin: float) -> None:
        """Tables of all goals, then of those that come next for robots about to arrive, while the budget lasts."""
        tables, pace = self.tables, self.pace
        clock = pace.clock
        row = np.where(goal >= 0, tables.slot[goal], -1)
        state = at * tables.headings + (heading if tables.turning else 0)
        near = (row >= 0) & (tables.pool[np.maximum(row, 0), state] <= NEAR) & (then >= 0)
        urgent = np.concatenate([goal, then[near]]).tolist()
        if clock is None:
            tables.require(urgent, lambda made: made < pace.tables)
        else:
            tables.require(urgent, lambda _: clock() - begin < TABLE_SHARE * pace.step_s)
        self.starved += int(((goal >= 0) & (tables.slot[goal] < 0)).sum())


def percentile_ms(seconds: list[float] | NDArray[np.float64], q: float) -> float:
    return round(float(np.percentile(np.asarray(seconds), q)) * 1e3, 3) if len(seconds) else 0.0


def warm_up() -> None:
    """Compile, or load, every kernel before a clock runs: both planners on a small floor, few tasks and many."""
    free = np.ones((8, 8), np.bool_)
    cells = np.arange(64, dtype=np.int32)
    problem = Problem("warm-up", free, cells[:12], cells[20:60], np.arange(0, 41, 2, dtype=np.int64), 18, cells[:0])
    for depth in (None, 3):
        runner = Runner(problem, Pace(rounds=200, clock=None), depth=depth)
        runner.prepare()
        for _ in range(4):
            runner.step()
    tables, none = runner.tables, np.full(12, -1, np.int64)
    first = runner.roads.numbers("warm-up", cells[:12])
    Scheduler(tables, exact_pairs=0).assign(first, np.zeros(12, np.int32), none, first, np.zeros(12, np.int64))
