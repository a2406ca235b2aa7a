"""One-shot path finding, judged by the independent checker."""

from __future__ import annotations

import numpy as np
import pytest

from aislewise.errors import UnreachableError
from planning.check import check_paths
from planning.mapf import cost_of, solve


def test_crowds_among_racks_reach_their_goals_without_a_conflict() -> None:
    free = np.ones((14, 18), bool)
    free[2:12:3, 2:16] = False
    free[3:13:3, 2:16] = False
    cells = np.random.default_rng(3).permutation(np.flatnonzero(free.ravel())).astype(np.int32)
    starts, goals = cells[:30], cells[30:60]
    found = solve(free, starts, goals, time_limit_s=30.0, max_tries=4)
    assert found.solved and not check_paths(free, starts, goals, found.paths)
    assert found.cost >= found.lower_bound > 0


def test_an_unreachable_goal_names_its_agent() -> None:
    free = np.ones((3, 3), bool)
    free[:, 1] = False
    with pytest.raises(UnreachableError, match=r"scen\[1\]"):
        solve(free, np.array([0, 3], np.int32), np.array([6, 5], np.int32), time_limit_s=1.0)


def test_the_cost_counts_until_an_agent_stays_on_its_goal() -> None:
    paths = np.array([[0, 5], [1, 5], [2, 6], [2, 5]], np.int32)
    assert cost_of(paths, np.array([2, 5], np.int32)) == 2 + 3
