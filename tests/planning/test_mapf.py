"""One-shot path finding, judged by the independent checker. Clocks here count how often they are asked."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError, UnreachableError
from planning.check import check_paths
from planning.distance import I32, Bool, largest_component
from planning.mapf import LACAM, NOTHING, PRIORITISED, Solution, cost_of, solve


def ticks() -> Callable[[], float]:
    steps = count()
    return lambda: float(next(steps))


def racks() -> Bool:
    free = np.ones((14, 18), bool)
    free[2:12:3, 2:16] = False
    free[3:13:3, 2:16] = False
    return free


def draw(free: Bool, agents: int, seed: int) -> tuple[I32, I32]:
    cells = np.flatnonzero(largest_component(free).ravel()).astype(np.int32)
    rng = np.random.default_rng(seed)
    return rng.permutation(cells)[:agents], rng.permutation(cells)[:agents]


def plan(free: Bool, starts: I32, goals: I32, ticks_: int, threads: int = 1, seed: int = 0) -> Solution:
    found = solve(free, starts, goals, time_limit_s=ticks_, seed=seed, threads=threads, clock=ticks())
    if found.solved:
        assert not check_paths(free, starts, goals, found.paths)
        assert found.cost == cost_of(found.paths, goals) >= found.lower_bound
    return found


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("agents", [1, 30, 80])
def test_agents_among_racks_reach_their_goals_without_a_conflict(agents: int, threads: int) -> None:
    starts, goals = draw(racks(), agents, seed=agents)
    assert plan(racks(), starts, goals, 1000, threads).solved


def test_more_time_makes_a_plan_shorter() -> None:
    starts, goals = draw(racks(), 30, seed=3)
    costs = [plan(racks(), starts, goals, budget).cost for budget in (60, 300, 1500)]
    assert costs[0] > costs[-1] and costs == sorted(costs, reverse=True)
    assert costs[-1] <= 0.85 * costs[0]


def test_a_crowded_floor_is_solved_by_lacam_and_a_roomy_one_by_priorities() -> None:
    crowd = plan(racks(), *draw(racks(), 80, seed=1), 400)
    roomy = plan(racks(), *draw(racks(), 10, seed=1), 400)
    assert (crowd.solved, crowd.strategy) == (True, LACAM)
    assert (roomy.solved, roomy.strategy) == (True, PRIORITISED)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_whatever_is_answered_on_any_floor_is_a_valid_plan(seed: int) -> None:
    rng = np.random.default_rng(seed)
    free = largest_component(rng.random((rng.integers(2, 9), rng.integers(2, 9))) < 0.8)
    cells = int(free.sum())
    if cells:
        starts, goals = draw(free, int(rng.integers(1, cells + 1)), seed)
        plan(free, starts, goals, int(rng.integers(1, 300)), threads=int(rng.integers(1, 3)), seed=seed)


def test_four_agents_that_fill_a_square_turn_round_in_it() -> None:
    free = np.ones((2, 2), bool)
    found = plan(free, np.array([0, 1, 3, 2], np.int32), np.array([1, 3, 2, 0], np.int32), 1000)
    assert found.solved and found.cost == 4


def test_two_agents_cannot_pass_in_a_corridor_and_the_answer_says_so_without_waiting() -> None:
    clock = ticks()
    found = solve(np.ones((1, 4), bool), [0, 3], [3, 0], time_limit_s=1e9, threads=1, clock=clock)
    assert (found.solved, found.strategy, found.paths.tolist()) == (False, NOTHING, [[0, 3]])


def test_two_agents_pass_in_a_corridor_with_a_siding() -> None:
    free = np.array([[1, 1, 1, 1, 1], [0, 0, 1, 0, 0]], bool)
    found = plan(free, np.array([0, 4], np.int32), np.array([4, 0], np.int32), 1000)
    assert found.solved and found.cost <= 12


def test_no_time_gives_a_clear_answer() -> None:
    starts, goals = draw(racks(), 30, seed=3)
    found = plan(racks(), starts, goals, 0)
    assert not found.solved and found.paths.tolist() == [starts.tolist()] and found.strategy == NOTHING


def test_one_thread_and_one_clock_give_one_answer() -> None:
    starts, goals = draw(racks(), 40, seed=5)
    first, second = (plan(racks(), starts, goals, 500, seed=7) for _ in range(2))
    assert first.paths.tolist() == second.paths.tolist()


def test_nobody_to_plan_for_is_solved() -> None:
    found = solve(racks(), [], [], time_limit_s=1.0, clock=ticks())
    assert found.solved and found.cost == 0


def test_an_unreachable_goal_names_its_agent() -> None:
    free = np.ones((3, 3), bool)
    free[:, 1] = False
    with pytest.raises(UnreachableError, match=r"scen\[1\]"):
        solve(free, np.array([0, 3], np.int32), np.array([6, 5], np.int32), time_limit_s=1.0)


@pytest.mark.parametrize(
    ("starts", "goals", "field"),
    [([0, 0], [1, 2], "starts"), ([0, 1], [2, 2], "goals"), ([0, 99], [1, 2], "starts"), ([0, 1], [2], "goals")],
)
def test_spoiled_starts_and_goals_are_named(starts: list[int], goals: list[int], field: str) -> None:
    with pytest.raises(InputError) as caught:
        solve(np.ones((3, 3), bool), starts, goals, time_limit_s=1.0)
    assert caught.value.field == field


def test_the_cost_counts_until_an_agent_stays_on_its_goal() -> None:
    paths = np.array([[0, 5], [1, 5], [2, 6], [2, 5]], np.int32)
    assert cost_of(paths, np.array([2, 5], np.int32)) == 2 + 3
