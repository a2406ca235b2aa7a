"""The first answer: assignment."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning import assign
from planning.assign import FORBIDDEN, complete, greedy_pairs, match
from planning.routing import FAR, Haul, RoutingProblem, Vehicle
from tests.planning.conftest import legs

QUICK = settings(max_examples=40, deadline=None, derandomize=True)


def test_large_tables_are_paired_as_cheaply_as_by_the_general_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    for _ in range(6):
        costs = rng.integers(0, 500, tuple(rng.integers(assign.MANY + 1, 110, 2)))
        costs[rng.random(costs.shape) < 0.2] = FORBIDDEN
        large, _ = match(costs)
        with monkeypatch.context() as patch:
            patch.setattr(assign, "MANY", 10**9)
            general, _ = match(costs)
        assert len(large) == len(general) == len({r for r, _ in large}) == len({c for _, c in large})
        assert sum(int(costs[r, c]) for r, c in large) == sum(int(costs[r, c]) for r, c in general)


def random_problem(seed: int, robots: int, loads: int, aboard: int = 0, due: bool = True) -> RoutingProblem:
    """Points on a 60 x 60 grid; the first `aboard` loads are on board of the robot of that number."""
    rng = np.random.default_rng(seed)
    vehicles = tuple(
        Vehicle(f"r{v}", v, int(rng.integers(0, 50)), 2, int(v < aboard), 10**6) for v in range(robots)
    )
    hauls = tuple(
        Haul(
            j, j if j < aboard else 1000 + j // 2, -1 if j < aboard else j, j, 1, int(rng.integers(1, 5)),
            int(rng.integers(100, 3000)) if due and j % 2 else -1,
            frozenset([j]) if j < aboard else frozenset(range(robots)),
        )
        for j in range(loads)
    )  # fmt: skip
    xy = rng.integers(0, 60, (robots + 2 * loads, 2))
    cells = [0] * robots + [c for haul in hauls for c in (haul.pick_cell, haul.drop_cell)]
    between = 8 * np.abs(xy[:, None] - xy[None]).sum(-1)
    return RoutingProblem(vehicles, hauls, legs(cells, [0] * robots + [40] * (2 * loads), between))


@QUICK
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 5))
def test_match_is_the_cheapest_pairing(seed: int, rows: int, cols: int) -> None:
    costs = np.random.default_rng(seed).integers(0, 1000, (rows, cols))
    pairs, solver = match(costs)
    small, large = sorted((rows, cols))
    grid = costs if rows <= cols else costs.T
    best = min(sum(grid[i, k] for i, k in enumerate(p)) for p in itertools.permutations(range(large), small))
    assert solver == "assignment" and len(pairs) == small
    assert sum(costs[r, c] for r, c in pairs) == best


def test_forbidden_pairs_are_never_made() -> None:
    costs = np.array([[FORBIDDEN, 5], [FORBIDDEN, 1]])
    assert match(costs)[0] == [(1, 1)]
    assert greedy_pairs(costs) == [(1, 1)]


def test_greedy_answers_when_the_solver_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead() -> None:
        raise RuntimeError

    monkeypatch.setattr("planning.assign.lsa.SimpleLinearSumAssignment", dead)
    assert match(np.array([[3, 1], [1, 9]])) == ([(0, 1), (1, 0)], "greedy")


@QUICK
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(0, 12))
def test_complete_serves_every_load_within_all_rules(seed: int, robots: int, loads: int) -> None:
    problem = random_problem(seed, robots, loads, min(robots, loads, 2))
    routes, _ = complete(problem, ((),) * robots)
    assert problem.valid(routes)
    assert sorted(n for r in routes for n in r) == sorted(problem.stops(range(loads)))


def test_complete_keeps_what_is_in_force_in_place() -> None:
    problem = random_problem(1, 2, 6)
    before = ((), tuple(problem.stops([0, 1])))
    routes, _ = complete(problem, before)
    assert routes[1][:4] == before[1] and problem.valid(routes)


def test_loads_nobody_may_carry_are_left_out() -> None:
    problem = random_problem(1, 2, 2)
    hauls = tuple(Haul(h.load, j, h.pick_cell, h.drop_cell, 1, 1, -1, frozenset([1] if j else [])) for j, h in enumerate(problem.hauls))
    problem = RoutingProblem(problem.vehicles, hauls, problem.leg_ds)
    routes, _ = complete(problem, ((), ()))
    assert routes == ((), tuple(problem.stops([1])))


@pytest.mark.parametrize(
    ("routes", "why"),
    [
        (((3, 2), ()), "drop before pick"),
        (((2,), (3,)), "two robots for one load"),
        (((2,), ()), "picked, never dropped"),
        (((2, 4, 6, 3, 5, 7), ()), "three loads in a robot for two"),
        (((2, 3, 2, 3), ()), "twice"),
    ],
)
def test_valid_refuses(routes: Any, why: str) -> None:
    assert not random_problem(1, 2, 3).valid(routes), why


def test_unreachable_legs_are_not_driven() -> None:
    problem = random_problem(1, 1, 1)
    shut = problem.leg_ds.copy()
    shut[0, 1] = FAR
    problem = RoutingProblem(problem.vehicles, problem.hauls, shut)
    assert complete(problem, ((),))[0] == ((),)
    assert not problem.valid(((1, 2),))
