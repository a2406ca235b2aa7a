"""One-shot multi-agent path finding: everybody from start to goal, once.

PIBT with the swap step (Okumura et al. 2022; Okumura 2023) run until all agents stand on their goals, from
several seeds within the time given; the cheapest plan is kept. It is fast and solves what the
swap step solves; it gives no guarantee, and the answer says whether it found a solution.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planning.distance import I32, UNREACHABLE, Bool, DistanceTables
from planning.traffic import TrafficPlanner

MORE_STEPS = 500
"""Room for waiting, beyond four times the longest way."""


@dataclass(frozen=True, slots=True)
class Solution:
    """paths: (T + 1, N) int32 cells. cost: sum over agents of the step from which each stays on its goal;
    lower_bound: sum of shortest paths; tries: plans made."""

    paths: I32
    solved: bool
    cost: int
    lower_bound: int
    tries: int

    @property
    def makespan(self) -> int:
        return len(self.paths) - 1


def solve(free: Bool, starts: I32, goals: I32, *, time_limit_s: float, seed: int = 0, max_tries: int = 1000) -> Solution:
    """The best plan of as many tries as the time allows, at least one. free: (H, W); starts, goals: (N,)."""
    deadline = time.monotonic() + time_limit_s
    distances = shortest(free, starts, goals)
    bound = int(distances.sum())
    steps = 4 * int(distances.max()) + MORE_STEPS
    best: Solution | None = None
    for attempt in range(max_tries):
        # With rotation paths are shorter, without it crowds dissolve more often: take turns.
        paths, solved = run(free, starts, goals, seed + attempt, steps, rotate=attempt % 2 == 0)
        found = Solution(paths, solved, cost_of(paths, goals), bound, attempt + 1)
        if best is None or (found.solved, -found.cost) > (best.solved, -best.cost):
            best = found
        if time.monotonic() > deadline or best.cost == bound:
            break
    assert best is not None
    return Solution(best.paths, best.solved, best.cost, bound, attempt + 1)


def shortest(free: Bool, starts: I32, goals: I32) -> NDArray[np.int64]:
    """(N,) steps of each agent alone on the map; UnreachableError names the first that has no way."""
    from aislewise.errors import UnreachableError

    pool, slots = DistanceTables(free).rows(goals)
    out: NDArray[np.int64] = pool[slots, starts].astype(np.int64)
    if (out >= UNREACHABLE).any():
        agent = int(np.argmax(out >= UNREACHABLE))
        raise UnreachableError(f"scen[{agent}]", "its goal cannot be reached from its start")
    return out


def run(free: Bool, starts: I32, goals: I32, seed: int, steps: int, rotate: bool) -> tuple[I32, bool]:
    """PIBT for that many steps, cut off where all stand on their goals."""
    paths = TrafficPlanner(free, seed, allow_rotation=rotate).plan(starts, goals, horizon=steps)
    there = np.flatnonzero((paths == goals).all(axis=1))
    return (paths[: there[0] + 1], True) if len(there) else (paths, False)


def cost_of(paths: I32, goals: I32) -> int:
    """Sum over agents of the first step from which each stays on its goal (its last step if it never does)."""
    away = paths != goals
    steps = np.arange(1, len(paths) + 1)[:, None]
    return int((away * steps).max(axis=0).sum())
