"""The better answer: OR-Tools' routing search."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.assign import complete
from planning.config import PlannerConfig
from planning.routing import NO_BULK, Haul, RoutingProblem, Vehicle
from planning.sequence import _Model, _parameters, improve
from tests.planning.conftest import legs

QUICK = settings(max_examples=15, deadline=None, derandomize=True)
CONFIG = PlannerConfig(solution_limit=30, work_limit=5000)


def random_problem(seed: int, robots: int, loads: int, aboard: int = 0) -> RoutingProblem:
    rng = np.random.default_rng(seed)
    vehicles = tuple(
        Vehicle(f"r{v}", v, int(rng.integers(0, 50)), 2, int(v < aboard), int(rng.integers(500, 10**5)), (3, 5))
        for v in range(robots)
    )
    hauls = tuple(
        Haul(
            j, j if j < aboard else 1000 + j // 2, -1 if j < aboard else j, j, 1, int(rng.integers(1, 5)),
            int(rng.integers(100, 3000)) if j % 2 else -1,
            frozenset([j]) if j < aboard else frozenset(range(robots)), (j % 3, 1) if seed % 2 and j >= aboard else NO_BULK,
        )
        for j in range(loads)
    )  # fmt: skip
    xy = rng.integers(0, 60, (robots + 2 * loads, 2))
    cells = [0] * robots + [c for haul in hauls for c in (haul.pick_cell, haul.drop_cell)]
    between = 8 * np.abs(xy[:, None] - xy[None]).sum(-1)
    return RoutingProblem(vehicles, hauls, legs(cells, [0] * robots + [40] * (2 * loads), between))


@QUICK
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 10))
def test_search_keeps_all_rules_and_is_never_worse_than_its_start(seed: int, robots: int, loads: int) -> None:
    problem = random_problem(seed, robots, loads, min(robots, loads, 2))
    start, _ = complete(problem, ((),) * robots)
    found = improve(problem, start, CONFIG)
    assert found is not None and problem.valid(found)
    assert problem.cost(found) <= problem.cost(start)


@QUICK
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 8))
def test_the_search_minimises_the_cost_we_state(seed: int, robots: int, loads: int) -> None:
    problem = random_problem(seed, robots, loads, min(robots, loads, 1))
    start, _ = complete(problem, ((),) * robots)
    model = _Model(problem)
    model.limit_work(2000)
    parameters = _parameters(CONFIG)
    model.routing.CloseModelWithParameters(parameters)
    first = model.routing.ReadAssignmentFromRoutes(model.indices(start), True)
    found = model.routing.SolveFromAssignmentWithParameters(first, parameters)
    assert problem.cost(model.routes(found)) == found.ObjectiveValue()


def test_the_search_repeats_exactly() -> None:
    problem = random_problem(3, 4, 12, 2)
    start, _ = complete(problem, ((),) * 4)
    assert improve(problem, start, CONFIG) == improve(problem, start, CONFIG)


def test_loads_on_the_way_are_taken_along() -> None:
    """Two loads from neighbouring faces to one station: pick, pick, drop, drop."""
    where = np.array([0, 10, 30, 11, 31])
    between = 10 * np.abs(where[:, None] - where[None])
    hauls = tuple(Haul(j, j, 1, 1, 1, 1, -1, frozenset([0])) for j in range(2))
    problem = RoutingProblem((Vehicle("r", 0, 0, 2, 0, 10**6),), hauls, legs([0, 1, 1, 1, 1], [0, 10, 10, 10, 10], between))
    start, _ = complete(problem, ((),))
    assert start == ((1, 2, 3, 4),)
    assert improve(problem, start, CONFIG) == ((1, 3, 2, 4),)


def test_a_full_robot_picks_one_load_at_a_time() -> None:
    where = np.array([0, 10, 30, 11, 31])
    between = 10 * np.abs(where[:, None] - where[None])
    hauls = tuple(Haul(j, j, 1, 1, 1, 1, -1, frozenset([0])) for j in range(2))
    problem = RoutingProblem((Vehicle("r", 0, 0, 2, 1, 10**6),), hauls, legs([0, 1, 1, 1, 1], [0, 10, 10, 10, 10], between))
    found = improve(problem, complete(problem, ((),))[0], CONFIG)
    assert found is not None and problem.valid(found) and found[0] in ((1, 2, 3, 4), (3, 4, 1, 2))


def test_a_load_due_soon_goes_first() -> None:
    where = np.array([0, 10, 20, 12, 22])
    between = 10 * np.abs(where[:, None] - where[None])
    hauls = (Haul(0, 0, 1, 1, 2, 1, -1, frozenset([0])), Haul(1, 1, 1, 1, 2, 1, 300, frozenset([0])))
    problem = RoutingProblem((Vehicle("r", 0, 0, 2, 0, 10**6),), hauls, legs([0, 1, 1, 1, 1], [0, 10, 10, 10, 10], between))
    assert improve(problem, ((1, 2, 3, 4),), CONFIG) == ((3, 4, 1, 2),)


def test_nothing_to_do_is_answered_without_a_search() -> None:
    problem = RoutingProblem((Vehicle("r", 0, 0, 2, 0, 10**6),), (), np.zeros((1, 1), np.int64))
    assert improve(problem, None, CONFIG) == ((),)
