"""Mending and searching on our own: insertion, and ruin and recreate."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.assign import complete
from planning.routing import FAR, NO_BULK, Haul, Routes, RoutingProblem, Vehicle
from planning.sequence_lns import Search
from tests.planning.conftest import legs

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
MOVING = 300


def random_problem(seed: int, robots: int, loads: int, *, single: bool = False) -> RoutingProblem:
    """Points on a 60 x 60 grid, capacities of 1 to 3, some on board, some for some vehicles alone, some out of reach."""
    rng = np.random.default_rng(seed)
    aboard = int(rng.integers(0, min(robots, loads) + 1))
    rooms = rng.integers(1, 4, robots)
    bulky = rng.random() < 0.5
    bulk = [(int(rng.integers(0, 4)), int(rng.integers(0, 6))) if bulky else NO_BULK for _ in range(loads)]
    vehicles = tuple(
        Vehicle(
            f"r{v}", v, int(rng.integers(0, 50)), int(rooms[v]), int(v < aboard), int(rng.choice([300, 10**5])), (6, 9),
            bulk[v] if v < aboard else NO_BULK,
        )
        for v in range(robots)
    )  # fmt: skip
    of = np.arange(1000, 1000 + loads) if single else np.sort(rng.integers(1000, 1000 + max(1, loads // 2), loads))
    able = {int(g): frozenset(v for v in range(robots) if rng.random() < 0.8) | {0} for g in of}
    hauls = tuple(
        Haul(
            j, j if j < aboard else int(of[j]), -1 if j < aboard else j, j, 1, int(rng.integers(1, 5)),
            int(rng.integers(100, 3000)) if rng.random() < 0.5 else -1,
            frozenset([j]) if j < aboard else able[int(of[j])], bulk[j],
        )
        for j in range(loads)
    )  # fmt: skip
    xy = rng.integers(0, 60, (robots + 2 * loads, 2))
    cells = [0] * robots + [c for haul in hauls for c in (haul.pick_cell, haul.drop_cell)]
    between = 8 * np.abs(xy[:, None] - xy[None]).sum(-1)
    if rng.random() < 0.3:
        between[:, rng.integers(robots, len(cells))] = FAR
    return RoutingProblem(vehicles, hauls, legs(cells, [0] * robots + [40] * (2 * loads), between))


def homes(problem: RoutingProblem, routes: Routes) -> dict[int, int]:
    return {problem.group_of(n): v for v, route in enumerate(routes) for n in route}


def moved_cost(problem: RoutingProblem, routes: Routes, was: dict[int, int]) -> int:
    return problem.cost(routes) + MOVING * sum(was.get(g, v) != v for g, v in homes(problem, routes).items())


def served(problem: RoutingProblem, routes: Routes) -> set[int]:
    return set(homes(problem, routes))


@QUICK
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 12))
def test_plans_keep_every_rule_and_cost_what_is_said(seed: int, robots: int, loads: int) -> None:
    problem = random_problem(seed, robots, loads)
    start, _ = complete(problem, ((),) * robots)
    start = tuple(problem.passable(v, route) for v, route in enumerate(start))
    rng = np.random.default_rng(seed)
    out = set(rng.choice(sorted(problem.groups()), len(problem.groups()) // 2, replace=False).tolist())
    before = tuple(tuple(n for n in route if problem.group_of(n) not in out) for route in start)
    was = homes(problem, before)
    search = Search(problem, before, was, MOVING, seed)
    mended = search.mend()
    assert problem.valid(mended)
    assert homes(problem, mended).items() >= was.items()  # nobody's work is moved to make room
    found = search.improve(60)
    assert problem.valid(found) and served(problem, found) == served(problem, mended)
    assert moved_cost(problem, found, was) <= moved_cost(problem, mended, was)
    left_out = sum(len(problem.stops(hauls)) for g, hauls in problem.groups().items() if g not in served(problem, found))
    assert search.cost == moved_cost(problem, found, was) - left_out * 10**10


def every_place(problem: RoutingProblem, routes: Routes, haul: int) -> list[Routes]:
    pick, out = problem.pick(haul), []
    for v, route in enumerate(routes):
        for i, k in itertools.combinations_with_replacement(range(len(route) + 1), 2):
            line = (*route[:i], pick, *route[i:k], pick + 1, *route[k:])
            out.append((*routes[:v], line, *routes[v + 1 :]))
    return [plan for plan in out if problem.valid(plan)]


@QUICK
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 10))
def test_what_is_new_goes_where_it_costs_least(seed: int, robots: int, loads: int) -> None:
    problem = random_problem(seed, robots, loads, single=True)
    new = loads - 1
    if problem.hauls[new].pick_cell < 0:
        return
    rest, _ = complete(problem, ((),) * robots)
    rest = tuple(problem.passable(v, tuple(n for n in route if problem.haul_of(n)[0] != new)) for v, route in enumerate(rest))
    with_out = {problem.group_of(n) for route in rest for n in route}
    if len(with_out) < loads - 1:
        return
    mended = Search(problem, rest).mend()
    plans = every_place(problem, rest, new)
    assert bool(plans) == (problem.group_of(problem.pick(new)) in served(problem, mended))
    if plans:
        assert problem.cost(mended) == min(problem.cost(plan) for plan in plans)


def all_plans(problem: RoutingProblem) -> list[Routes]:
    plans: list[Routes] = [((),) * len(problem.vehicles)]
    for haul in range(len(problem.hauls)):
        plans = [longer for plan in plans for longer in every_place(problem, plan, haul)]
    return plans


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 2), st.integers(1, 3))
def test_small_problems_are_solved_to_the_optimum(seed: int, robots: int, loads: int) -> None:
    rng = np.random.default_rng(seed)
    vehicles = tuple(Vehicle(f"r{v}", v, int(rng.integers(0, 50)), 2, 0, 10**5) for v in range(robots))
    hauls = tuple(
        Haul(j, j, j, j, 1, int(rng.integers(1, 5)), int(rng.integers(100, 900)) if j % 2 else -1, frozenset(range(robots)))
        for j in range(loads)
    )
    xy = rng.integers(0, 60, (robots + 2 * loads, 2))
    between = 8 * np.abs(xy[:, None] - xy[None]).sum(-1)
    problem = RoutingProblem(vehicles, hauls, legs([0] * len(xy), [0] * robots + [40] * (2 * loads), between))
    search = Search(problem, ((),) * robots)
    search.mend()
    assert problem.cost(search.improve(300)) == min(problem.cost(plan) for plan in all_plans(problem))


def test_a_search_repeats_exactly() -> None:
    problem = random_problem(5, 4, 12)
    start, _ = complete(problem, ((),) * 4)
    start = tuple(problem.passable(v, route) for v, route in enumerate(start))
    assert Search(problem, start, seed=3).improve(100) == Search(problem, start, seed=3).improve(100)


def test_work_stays_where_it_is_unless_moving_it_pays() -> None:
    """Two vehicles, one load between them: it stays with the farther one while moving costs more than is won."""
    vehicles = tuple(Vehicle(f"r{v}", v, 0, 1, 0, 10**6) for v in range(2))
    where = np.array([0, 20, 12, 40])  # r0, r1, pick, drop
    problem = RoutingProblem(
        vehicles, (Haul(0, 7, 2, 3, 1, 1, -1, frozenset((0, 1))),), legs([0, 1, 2, 3], [0] * 4, 10 * np.abs(where[:, None] - where[None]))
    )
    far, near = ((2 + 0, 2 + 1), ()), ((), (2 + 0, 2 + 1))
    gain = problem.cost(far) - problem.cost(near)
    assert gain > 0
    assert Search(problem, far, {7: 0}, gain + 1).improve(50) == far
    assert Search(problem, far, {7: 0}, gain - 1).improve(50) == near


def by_regret(problem: RoutingProblem, routes: Routes, home: dict[int, int]) -> Routes | None:
    """Plain regret insertion; None where two choices are equally good."""
    out = {g: hauls[0] for g, hauls in problem.groups().items() if g not in served(problem, routes)}
    while out:
        choices = []
        for group, haul in out.items():
            least: dict[int, tuple[int, Routes]] = {}
            for plan in every_place(problem, routes, haul):
                v = next(v for v, route in enumerate(plan) if route != routes[v])
                cost = problem.cost(plan) - problem.cost(routes) + MOVING * (home.get(group, v) != v)
                if v not in least or cost < least[v][0]:
                    least[v] = cost, plan
                elif cost == least[v][0] and plan != least[v][1]:
                    return None
            if not least:
                return None
            ranked = sorted(least.values())
            second = ranked[1][0] if len(ranked) > 1 else 10**15
            choices.append((ranked[0][0] - second, ranked[0][0], group, ranked[0][1]))
        choices.sort()
        if len(choices) > 1 and choices[0][:2] == choices[1][:2]:
            return None
        routes = choices[0][3]
        del out[choices[0][2]]
    return routes


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(2, 4), st.integers(3, 5))
def test_mending_is_regret_insertion(seed: int, robots: int, loads: int) -> None:
    problem = random_problem(seed, robots, loads, single=True)
    aboard = tuple(tuple(problem.pick(j) + 1 for j in range(loads) if v == j and problem.hauls[j].pick_cell < 0) for v in range(robots))
    aboard = tuple(problem.passable(v, route) for v, route in enumerate(aboard))
    if any(haul.pick_cell < 0 and haul.group not in served(problem, aboard) for haul in problem.hauls):
        return
    rng = np.random.default_rng(seed)
    home = {haul.group: int(rng.integers(robots)) for haul in problem.hauls if haul.pick_cell >= 0}
    expected = by_regret(problem, aboard, home)
    if expected is not None:
        mended = Search(problem, aboard, home, MOVING).mend()
        assert moved_cost(problem, mended, homes(problem, aboard) | home) == moved_cost(problem, expected, homes(problem, aboard) | home)


def test_what_cannot_be_done_as_it_was_leaves_a_route_whole() -> None:
    """Drops of one order out of turn, as after its lines were cut anew: the order goes, the rest stays."""
    hauls = tuple(Haul(j, 7 if j < 2 else 8, j, j, 1, 1, -1, frozenset([0])) for j in range(3))
    problem = RoutingProblem((Vehicle("r0", 0, 0, 3, 0, 10**6),), hauls, np.ones((7, 7), np.int64))
    assert problem.passable(0, (1, 3, 2, 4, 5, 6)) == (1, 3, 2, 4, 5, 6)
    assert problem.passable(0, (1, 3, 4, 2, 5, 6)) == (5, 6) and problem.valid(((5, 6),))
    assert problem.passable(0, (2, 5, 6)) == (5, 6)
