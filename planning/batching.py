"""Order batching: which orders a robot picks on one tour from the station and back, how it drives, and who goes when.

Orders are not split; a batch holds what a robot can carry. Least cost: the length of all tours, and a price for each
decisecond that an order comes late. Each robot does its batches one after the other; without priced due times their turns
cost nothing.

`solve` is anytime. Simple rules and savings make the first plan, ruin and recreate with annealing improves it
(planning.batching_kernels), and CP-SAT puts the best plan together from all batches met on the way (planning.batching_pool),
in turn, until the effort is spent. The answer says which of them found it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aislewise.errors import InputError
from planning.batching_problem import FAR, NO_DUE, Batch, Problem, Solution
from planning.batching_search import EARLIEST_DUE, FIRST_COME, SAVINGS, Effort, Search

__all__ = [
    "EARLIEST_DUE", "FAR", "FIRST_COME", "NO_DUE", "SAVINGS", "Batch", "Effort", "Problem", "Solution", "by_groups", "by_rule",
    "solve", "warm_up",
]  # fmt: skip

CYCLES = (0.5, 0.8, 0.97)  # shares of the effort by which annealing has cooled down
PARTITION_SHARE = 0.15  # of the effort, at most, for CP-SAT at the end of each of them


def solve(problem: Problem, effort: Effort | None = None, *, seed: int = 0, start: Solution | None = None) -> Solution:
    """The best solution found within `effort`; never worse than `start`, which is checked (InputError)."""
    search = Search(problem, effort or Effort(), seed)
    search.begin(start)
    for number, until in enumerate(CYCLES):
        search.anneal(until - PARTITION_SHARE * (until - search.used()), 0.5**number)
        search.partition(until)
    return search.result()


def by_rule(problem: Problem, rule: str, *, seed: int = 0) -> Solution:
    """What one simple rule makes (FIRST_COME, EARLIEST_DUE or SAVINGS), with tours shortened as everywhere."""
    search = Search(problem, Effort(clock=None, rounds=0), seed)
    search.apply(rule)
    return search.result()


def by_groups(problem: Problem, groups: Sequence[Sequence[int]], strategy: str, *, seed: int = 0) -> Solution:
    """Batches made elsewhere, with tours shortened, their turns as good as they get one after the other. InputError where an
    order is in none or two, or a group does not fit."""
    search = Search(problem, Effort(clock=None, rounds=0), seed)
    known = {int(o): k for k, o in enumerate(search.orders)}
    if sorted(o for group in groups for o in group) != sorted(known):
        raise InputError("groups", "an order is missing, twice or cannot be brought")
    for x, group in enumerate(groups):
        if (problem.load[list(group)].sum(0) > problem.capacity).any():
            raise InputError(f"groups[{x}]", f"{list(group)}", "what a robot can carry")
    search.adopt([[known[o] for o in group] for group in groups], strategy)
    return search.result()


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    line = np.abs(np.arange(5)[:, None] - np.arange(5)[None])
    for due in (NO_DUE, 1):
        column = np.full(4, due, np.int64)
        problem = Problem(
            line, ((1,), (2, 3), (3,), (4,)), np.ones((4, 1), np.int64), np.array([2]), np.zeros(4, np.int64), column,
            np.ones(4, np.int64), np.ones(4, np.int64), np.zeros(2, np.int64), pace=1.0,
        )  # fmt: skip
        solve(problem, Effort(clock=None, rounds=20))
