"""Anytime improvement of a joint plan by large neighbourhood search on two threads: see planning.mapf_kernels for
the search itself.

Each thread works on a plan of its own. When a round has bettered it, the thread enters the round in the common
ledger: it undoes the round, takes over what others have entered since it last looked, and does the round again if that
still fits and still pays. So all plans go through the same rounds in the same order, and few are lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planning import mapf_kernels as kernels
from planning.distance import I32
from planning.pibt import seed_state

Clock = Callable[[], float]

SLICE_S = 0.02
"""Of work between two looks at the clock."""
FIRST_STATES, LEAST_STATES, MOST_STATES = 20_000, 1_000, 10_000_000
MAX_NODES = 1 << 19
"""States of one search."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One-shot path finding on numbered free cells. nbr: (C, 4) neighbours, -1 padded; pool: (A, C) int16 steps to each
    goal; starts, goals: (A,) cells, all reachable, no two the same."""

    nbr: I32
    pool: NDArray[np.int16]
    starts: I32
    goals: I32

    @property
    def shortest(self) -> I32:
        """(A,) steps of each agent alone on the floor."""
        rows: I32 = self.pool[np.arange(len(self.goals)), self.starts].astype(np.int32)
        return rows


@dataclass(slots=True)
class Ledger:
    """The rounds kept so far, as planning.mapf_kernels notes them, by all workers on one plan, in order."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    rounds: list[I32] = field(default_factory=list)


class Worker:
    """One plan under improvement; agents without a path have `state.arrive` -1. horizon: steps that paths may take."""

    def __init__(self, problem: Problem, horizon: int, seed: int) -> None:
        cells, agents = len(problem.nbr), len(problem.goals)
        steps = 64 * (horizon // 64 + 1)
        owner = np.full(cells, -1, np.int32)
        owner[problem.goals] = np.arange(agents)
        self.state = kernels.Traffic(
            nbr=problem.nbr, pool=problem.pool, starts=problem.starts, goals=problem.goals, owner=owner,
            crossings=np.flatnonzero(problem.nbr[:, 2] >= 0).astype(np.int32), path=np.zeros((agents, steps), np.int32),
            arrive=np.full(agents, -1, np.int32), busy=np.zeros((cells, steps // 64), np.uint64),
            occ=np.zeros((cells, steps), np.int32), node=np.empty((max(MAX_NODES, 16 * steps), 8), np.int32),
            head=np.empty(cells, np.int32), seen=np.zeros(cells, np.int64), bucket=np.empty(steps + 1, np.int32),
            search=np.zeros(1, np.int64), old=np.empty((kernels.MOST, steps), np.int32),
            old_arrive=np.empty(kernels.MOST, np.int32), picked=np.zeros(agents, np.int64),
            mark=np.zeros(cells, np.int64), queue=np.empty(cells, np.int32), rng=seed_state(seed),
            merit=np.zeros((kernels.ARMS, 2)), note=np.empty(1 + kernels.MOST * (steps + 2), np.int32),
            note_end=np.zeros(1, np.int64),
        )  # fmt: skip
        self.horizon = steps - 1
        self.bound = int(problem.shortest.sum())
        self.rounds = 0
        self._seen = 0
        self._states = FIRST_STATES

    @property
    def missing(self) -> int:
        """How many agents have no path."""
        return int((self.state.arrive < 0).sum())

    @property
    def cost(self) -> int:
        """Steps until each arrives, summed over those that have a path."""
        return int(np.maximum(self.state.arrive, 0).sum())

    @property
    def done(self) -> bool:
        """Is there nothing left to save?"""
        return self.missing == 0 and self.cost == self.bound

    def take(self, paths: I32) -> None:
        """Change to the plan `paths` (T + 1, A), in which everyone arrives within the horizon."""
        away = paths != self.state.goals
        arrive = (away * np.arange(1, len(paths) + 1)[:, None]).max(axis=0).astype(np.int32)
        kernels.adopt(self.state, np.ascontiguousarray(paths.T), arrive)

    def plan_in_turn(self, order: I32, give_up: int, go_on: Callable[[], bool]) -> bool:
        """Prioritised planning of all agents from nothing, in `order`; False where `go_on` ended it or more than
        `give_up` agents found no way."""
        self.state.arrive[:] = -1
        self.state.busy[:] = 0
        missing = 0
        for begin in range(0, len(order), 16):
            missing += kernels.plan_in_turn(self.state, order[begin : begin + 16], self.horizon)
            if missing > give_up or not go_on():
                return False
        return True

    def work(self, go_on: Callable[[], bool], clock: Clock, ledger: Ledger) -> None:
        """Find paths for those who have none, then better the plan, until nothing is left to save or `go_on`, asked
        every few hundredths of a second, says stop. All workers on the ledger must have begun with the same plan."""
        self._seen = 0
        while go_on() and not self.done:
            now = clock()
            budget, slack = self._states, 1
            if self.missing:
                slack = kernels.MISSING // 2
                count, left = kernels.repair(self.state, self.rounds + 1, budget, self.horizon)
            else:
                count, left = kernels.improve(self.state, self.rounds + 1, budget)
            self.rounds = count - 1
            self.exchange(ledger, slack)
            pace = SLICE_S * (1.0 - left / budget) / max(clock() - now, 1e-6)
            self._states = int(min(max(budget * min(max(pace, 0.5), 2.0), LEAST_STATES), MOST_STATES))

    def exchange(self, ledger: Ledger, slack: int = 1) -> None:
        """Take over what others have entered in the ledger, and enter the last round, if it was kept and still fits
        and costs less than `slack` more than what it replaces."""
        end = int(self.state.note_end[0])
        with ledger.lock:
            news = ledger.rounds[self._seen :]
            own = self.state.note[:end].copy()
            if news and end:
                kernels.take_back(self.state)
            for note in news:
                if not kernels.replay(self.state, note, 2 * kernels.MISSING * kernels.MOST):
                    raise RuntimeError("plans under joint improvement differ")
            if end and (not news or kernels.replay(self.state, own, slack)):
                ledger.rounds.append(own)
            self._seen = len(ledger.rounds)
        self.state.note_end[0] = 0

    def compile(self) -> None:
        """Call every kernel once, on a plan that nothing can be done about."""
        self.plan_in_turn(np.arange(len(self.state.goals), dtype=np.int32), 0, lambda: True)
        self.take(self.paths())
        kernels.repair(self.state, 1, 1, self.horizon)
        kernels.improve(self.state, 1, 1)
        self.state.note[0] = 0
        kernels.take_back(self.state)
        kernels.replay(self.state, self.state.note[:1].copy(), 1)

    def paths(self) -> I32:
        """(T + 1, A) int32 cells of a plan in which everyone has a path."""
        arrive = self.state.arrive
        steps = np.arange(int(arrive.max(initial=0)) + 1)[:, None]
        rows = np.where(steps <= arrive, self.state.path[:, : len(steps)].T, self.state.goals)
        return np.ascontiguousarray(rows, dtype=np.int32)


def work_together(workers: Sequence[Worker], go_on: Callable[[], bool], clock: Clock, threads: Executor) -> Worker:
    """Let all workers better the plan of the first as long as `go_on` says so. Returns the first, with all that was
    found."""
    for worker in workers[1:]:
        kernels.adopt(worker.state, workers[0].state.path, workers[0].state.arrive)
    ledger = Ledger()
    for task in [threads.submit(worker.work, go_on, clock, ledger) for worker in workers]:
        task.result()
    workers[0].exchange(ledger)
    return workers[0]
