"""One-shot multi-agent path finding: everybody from start to goal, once, for the least sum of arrival times.

Two ways to a first plan run side by side. Prioritised planning, shortest ways first, is all but optimal where there is
room; agents it finds no way for are brought in by planning those in their way anew. LaCAM (`planning.lacam`) solves
what is too crowded for that. Large neighbourhood search (`planning.mapf_lns`) then shortens the better of the two until
the time is up. A plan is found if there is one and time and memory last; the answer says how it came about.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aislewise.errors import InputError, UnreachableError
from planning import lacam
from planning.distance import I32, Bool, as_grid, neighbours
from planning.guidance import lane_prices
from planning.lifelong_tables import Roads
from planning.mapf_kernels import FAR, fill_priced, fill_tables
from planning.mapf_lns import Clock, Problem, Worker, work_together
from planning.pibt import seed_state

RESERVE, MOST_RESERVE_S = 0.02, 0.2
"""Share of the time limit kept for the last round to end and the plan to be written down, and most seconds of it."""
ROOM = 0.2
"""Share of the cells taken by agents from which prioritised planning is not tried."""
CROWDED = 0.05
"""Share of the agents without a way from which it is given up."""
REPAIR_SHARE = 0.2
"""Share of the time that repairing what it leaves may take where LaCAM has a plan."""
LACAM_SHARE = 0.3
"""Share of the time that LaCAM may take on a single thread."""
LANES_SHARE = 0.15
"""Share of the time by which its tables with lanes must be made."""
TOO_LATE = 0.97
"""Share of the time after which improvement is not begun any more."""
CHUNK = 32
"""Tables made between two looks at the clock."""
PRIORITISED, LACAM, NOTHING = "prioritised planning", "LaCAM", "none"
WAY_ROOM, STEPS_ROOM = 2.5, 200
"""Steps that a path may take in prioritised planning: that many times the longest way and so many more."""
SLACK = 64
"""Steps that a path may take beyond the last arrival of LaCAM's plan."""


@dataclass(frozen=True, slots=True)
class Solution:
    """paths: (T + 1, N) int32 cells, the starts alone where nothing was found. cost: sum over agents of the step from
    which each stays on its goal, 0 where nothing was found; lower_bound: sum of shortest paths. strategy: how the first
    plan was found; rounds: neighbourhoods tried to repair and improve it."""

    paths: I32
    solved: bool
    cost: int
    lower_bound: int
    strategy: str
    rounds: int

    @property
    def makespan(self) -> int:
        return len(self.paths) - 1


def solve(
    free: Bool,
    starts: ArrayLike,
    goals: ArrayLike,
    *,
    time_limit_s: float,
    seed: int = 0,
    threads: int = 2,
    clock: Clock = time.monotonic,
) -> Solution:
    """The best plan found in the time. free: (H, W); starts, goals: (N,) cells.

    InputError where cells are closed or two agents share a start or a goal, UnreachableError where a goal cannot be
    reached. The outcome depends on the clock, and on more than one thread on their timing."""
    if threads < 1:
        raise InputError("threads", f"{threads}", "at least 1")
    begin = clock()
    budget = Budget(clock, begin, begin + time_limit_s - min(RESERVE * time_limit_s, MOST_RESERVE_S))
    grid = as_grid(free)
    cells = np.flatnonzero(grid.ravel()).astype(np.int32)
    with ThreadPoolExecutor(threads) as pool:
        problem = number(grid, starts, goals, pool, threads)
        race = _Race(problem, grid, budget, seed, threads, pool)
        plan, strategy = race.run() if len(problem.goals) else (None, NOTHING)
    bound = int(problem.shortest.sum())
    if plan is None:
        still = np.asarray(starts, np.int32).reshape(1, -1)
        return Solution(still, still.size == 0, 0, bound, strategy, 0)
    return Solution(cells[plan], True, cost_of(plan, problem.goals), bound, strategy, race.rounds)


def cost_of(paths: I32, goals: I32) -> int:
    """Sum over agents of the first step from which each stays on its goal (its last step if it never does)."""
    away = paths != goals
    steps = np.arange(1, len(paths) + 1)[:, None]
    return int((away * steps).max(axis=0).sum())


@dataclass(frozen=True, slots=True)
class Budget:
    """Time that may be taken, by that clock: from `begin` to `end`, in its seconds."""

    clock: Clock
    begin: float
    end: float

    def left(self, share: float = 1.0) -> bool:
        """Is less than that share of the time gone?"""
        return self.clock() < self.begin + share * (self.end - self.begin)


def number(free: Bool, starts: ArrayLike, goals: ArrayLike, pool: Executor, threads: int) -> Problem:
    """The problem on free cells numbered one after the other, with its distance tables."""
    index = np.full(free.size, -1, np.int32)
    cells = np.flatnonzero(free.ravel())
    index[cells] = np.arange(len(cells), dtype=np.int32)
    nbr = neighbours(free)[cells]
    nbr = np.ascontiguousarray(np.where(nbr >= 0, index[nbr], -1), dtype=np.int32)
    origins, ends = _numbers(index, "starts", starts), _numbers(index, "goals", goals)
    if len(origins) != len(ends):
        raise InputError("goals", f"{len(ends)} of them", f"{len(origins)}, one for each start")
    tables = np.empty((len(ends), len(cells)), np.int16)
    jobs = [
        pool.submit(fill_tables, nbr, ends[part[0] : part[-1] + 1], tables[part[0] : part[-1] + 1])
        for part in np.array_split(np.arange(len(ends)), threads)
        if len(part)
    ]
    for job in jobs:
        job.result()
    problem = Problem(nbr, tables, origins, ends)
    far = np.flatnonzero(problem.shortest >= FAR)
    if len(far):
        raise UnreachableError(f"scen[{far[0]}]", "its goal cannot be reached from its start")
    return problem


def _numbers(index: I32, field: str, cells: ArrayLike) -> I32:
    array = np.asarray(cells, np.int64).ravel()
    inside = (array >= 0) & (array < len(index))
    found: I32 = np.where(inside, index[np.where(inside, array, 0)], -1).astype(np.int32)
    if (found < 0).any():
        raise InputError(field, f"cell {int(array[found < 0][0])} is not free")
    if len(np.unique(found)) < len(found):
        raise InputError(field, "two agents share a cell", "a cell for each")
    return found


def with_lanes(problem: Problem, free: Bool, go_on: Callable[[], bool]) -> NDArray[np.int16]:
    """(A, C) costs to each goal where long lanes have a direction and steps against it are dearer. The problem's own
    tables where costs would not fit the type or `go_on` says that time is up. free: (H, W)."""
    prices, ahead = lane_prices(free), Roads(free).ahead
    into = np.zeros_like(problem.nbr)
    for heading in range(4):
        to_here = (problem.nbr >= 0) & (ahead[problem.nbr, heading] == np.arange(len(problem.nbr))[:, None])
        into[to_here] = prices[problem.nbr[to_here], heading]
    tables = np.empty_like(problem.pool)
    for begin in range(0, len(tables), CHUNK):
        part = slice(begin, begin + CHUNK)
        plain = problem.pool[part]
        if int(plain.max(where=plain < FAR, initial=0)) * int(prices.max()) >= FAR:
            return problem.pool
        if not go_on():
            return problem.pool
        fill_priced(problem.nbr, into, problem.goals[part], tables[part])
    return tables


class _Race:
    """Two ways to a first plan, and what is made of the better. Whatever runs does so on the pool, one job a thread."""

    def __init__(
        self, problem: Problem, free: Bool, budget: Budget, seed: int, threads: int, pool: Executor
    ) -> None:
        self._problem, self._free, self._budget = problem, free, budget
        self._seed, self._threads, self._pool = seed, threads, pool
        self._crowd: Future[I32 | None] | None = None
        self._settled = False
        self.rounds = 0

    def run(self) -> tuple[I32 | None, str]:
        """(the best plan (T + 1, A), strategy); None if there is no plan."""
        self._crowd = self._pool.submit(self._lacam)
        best = self._prioritised()
        plan = self._crowd.result()
        if best is not None and (plan is None or best.cost <= cost_of(plan, self._problem.goals)):
            return best.paths(), PRIORITISED
        if plan is None or not self._budget.left(TOO_LATE):
            return plan, NOTHING if plan is None else LACAM
        workers = self._workers(len(plan) - 1 + SLACK)
        workers[0].take(plan)
        return self._together(workers, self._budget.left).paths(), LACAM

    def _lacam(self) -> I32 | None:
        """A plan (T + 1, A) by LaCAM; None if another way has come first or it takes too long."""
        p = self._problem
        share = LACAM_SHARE if self._threads == 1 else 1.0
        guided = with_lanes(p, self._free, lambda: not self._settled and self._budget.left(LANES_SHARE))
        return lacam.plan(
            p.nbr, guided, p.pool, int(p.shortest.max()), p.starts, p.goals, seed_state(self._seed),
            lambda: not self._settled and self._budget.left(share),
        )  # fmt: skip

    def _go_on(self) -> bool:
        """May prioritised planning go on? Longer if LaCAM has no plan."""
        if not self._settled and self._crowd is not None and self._crowd.done() and self._crowd.result() is not None:
            return self._budget.left(REPAIR_SHARE)
        return self._budget.left()

    def _prioritised(self) -> Worker | None:
        """A worker with a plan by prioritised planning, repaired and improved; None if it was not to be had."""
        agents, longest = len(self._problem.goals), int(self._problem.shortest.max())
        if agents > ROOM * len(self._problem.nbr):
            return None
        workers = self._workers(int(WAY_ROOM * longest) + STEPS_ROOM)
        order = np.argsort(self._problem.shortest, kind="stable").astype(np.int32)
        if not self._pool.submit(workers[0].plan_in_turn, order, int(CROWDED * agents), self._go_on).result():
            return None
        self._settled = not workers[0].missing
        best = self._together(workers, self._go_on)
        return None if best.missing else best

    def _workers(self, horizon: int) -> list[Worker]:
        return [Worker(self._problem, horizon, self._seed + k) for k in range(self._threads)]

    def _together(self, workers: list[Worker], go_on: Callable[[], bool]) -> Worker:
        """The first worker, with what all have made of its plan."""

        def go_on_until_settled() -> bool:
            self._settled = self._settled or not workers[0].missing
            return go_on()

        best = work_together(workers, go_on_until_settled, self._budget.clock, self._pool)
        self.rounds += sum(worker.rounds for worker in workers)
        return best


def warm_up() -> None:
    """Compile all kernels, or load them from the cache, so that no time limit has to bear it."""
    free = np.ones((1, 3), np.bool_)
    with ThreadPoolExecutor(1) as pool:
        problem = number(free, [0], [2], pool, 1)
    Worker(problem, 8, 0).compile()
    guided = with_lanes(problem, free, lambda: True)
    lacam.plan(problem.nbr, guided, problem.pool, 1, problem.starts, problem.goals, seed_state(0), lambda: True)
