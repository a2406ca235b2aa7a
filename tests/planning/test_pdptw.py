"""Pickup and delivery with time windows: the search, against brute force and the independent checker."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from planning import pdptw_kernels as kernels
from planning.pdptw import Effort, Problem, Routes, _least_routes, _Search, solve
from planning.pdptw_check import check_routes

QUICK = settings(max_examples=25, deadline=None, derandomize=True)


def random_problem(seed: int, requests: int, *, width: float = 60.0) -> Problem:
    """Whole numbers throughout, asymmetric, each request servable alone."""
    rng = np.random.default_rng(seed)
    n, nodes = requests, 2 * requests + 1
    at = rng.integers(0, 30, (nodes, 2))
    travel = np.abs(at[:, None] - at[None]).sum(-1) + rng.integers(0, 4, (nodes, nodes)).astype(float)
    np.fill_diagonal(travel, 0.0)
    order = rng.permutation(np.arange(1, nodes))
    pairs = order.reshape(n, 2)
    demand, service = np.zeros(nodes), np.zeros(nodes)
    demand[pairs[:, 0]] = rng.integers(1, 6, n)
    demand[pairs[:, 1]] = -demand[pairs[:, 0]]
    service[1:] = rng.integers(0, 4, nodes - 1)
    earliest, latest = np.zeros(nodes), np.full(nodes, 400.0)
    for p, d in pairs.tolist():
        at_p = travel[0, p] + int(rng.integers(0, 60))
        earliest[p], latest[p] = max(0.0, at_p - width / 2), at_p + width / 2
        at_d = at_p + service[p] + travel[p, d] + int(rng.integers(0, 40))
        earliest[d], latest[d] = max(0.0, at_d - width / 2), at_d + width / 2
    return Problem(travel, travel * 2.0, demand, earliest, latest, service, pairs, 8.0)


def instance_file(problem: Problem, path: Path) -> Path:
    """As Sartori & Buriol have it; distance is travel there."""
    nodes = len(problem.demand)
    sibling = np.zeros((nodes, 2), int)
    for p, d in problem.pairs.tolist():
        sibling[p, 1], sibling[d, 0] = d, p
    rows = [
        f"{k} 0 0 {problem.demand[k]} {problem.earliest[k]} {problem.latest[k]} {problem.service[k]} {a} {b}"
        for k, (a, b) in enumerate(sibling.tolist())
    ]
    edges = [" ".join(map(str, row)) for row in problem.travel.tolist()]
    head = ["NAME: x", f"SIZE: {nodes}", f"CAPACITY: {problem.capacity}", "NODES"]
    path.write_text("\n".join([*head, *rows, "EDGES", *edges, "EOF"]) + "\n")
    return path


def by_brute_force(problem: Problem) -> tuple[int, float]:
    """(vehicles, distance) of the best: every partition of the requests, every order of each route."""
    n = len(problem.pairs)
    best_route: dict[frozenset[int], float] = {}
    for size in range(1, n + 1):
        for group in itertools.combinations(range(n), size):
            stops = problem.pairs[list(group)].ravel().tolist()
            lengths = [length for line in itertools.permutations(stops) if (length := drive(problem, line)) is not None]
            if lengths:
                best_route[frozenset(group)] = min(lengths)
    best = (n + 1, 0.0)
    for labels in itertools.product(range(n), repeat=n):
        groups = [frozenset(r for r in range(n) if labels[r] == k) for k in set(labels)]
        if all(group in best_route for group in groups):
            best = min(best, (len(groups), sum(best_route[group] for group in groups)))
    return best


def drive(problem: Problem, line: tuple[int, ...]) -> float | None:
    """Length of one route, None if it breaks a rule."""
    for p, d in problem.pairs.tolist():
        if p in line and line.index(p) > line.index(d):
            return None
    clock, load, last, length = problem.earliest[0], 0.0, 0, 0.0
    for node in (*line, 0):
        clock = max(problem.earliest[node], clock + problem.service[last] + problem.travel[last, node])
        load += problem.demand[node]
        length += problem.distance[last, node]
        if clock > problem.latest[node] or load > problem.capacity:
            return None
        last = node
    return float(length)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from([20.0, 80.0, 300.0]))
def test_tiny_problems_are_solved_to_the_optimum(seed: int, requests: int, width: float) -> None:
    problem = random_problem(seed, requests, width=width)
    found = solve(problem, Effort(clock=None, rounds=400), seed=seed)
    assert (found.vehicles, found.distance) == pytest.approx(by_brute_force(problem))
    assert _least_routes(_Search(problem, Effort(), 0).data) <= found.vehicles


@QUICK
@given(st.integers(0, 10**6), st.integers(2, 12), st.sampled_from([60.0, 200.0]))
def test_the_best_places_in_a_route_are_the_best_of_all(seed: int, requests: int, width: float) -> None:
    problem = random_problem(seed, requests, width=width)
    travel = problem.travel.copy()
    for k in range(len(travel)):  # shortest ways: a detour never saves time, so the search's cuts lose nothing
        travel = np.minimum(travel, travel[:, k : k + 1] + travel[k])
    problem = dataclasses.replace(problem, travel=travel)
    search = _Search(problem, Effort(clock=None, rounds=1), 0)
    search.begin(None)
    route = max(search.result().routes, key=len)
    row = np.array([0, *(int(np.flatnonzero(search.nodes == node)[0]) for node in route), 0], np.int32)
    begin, until, carry = np.empty((3, len(row)))
    assert kernels.timetable(search.data, row, len(row), begin, until, carry)
    length = drive(problem, route)
    assert length is not None
    for r, (p, d) in enumerate(problem.pairs.tolist()):
        if p in route:
            continue
        lines = [(*route[:i], p, *route[i:j], d, *route[j:]) for i in range(len(route) + 1) for j in range(i, len(route) + 1)]
        added = [after - length for line in lines if (after := drive(problem, line)) is not None]
        cost, i, j = kernels.place(search.data, row, len(row), begin, until, carry, r, 0.0, search.rng)
        assert cost == pytest.approx(min(added, default=kernels.NONE))
        if added:
            after = drive(problem, (*route[:i], p, *route[i:j], d, *route[j:]))
            assert after is not None and after - length == pytest.approx(cost)


@QUICK
@given(st.integers(0, 10**6), st.integers(1, 25), st.sampled_from([10.0, 60.0, 300.0]))
def test_solutions_keep_every_rule(tmp_path_factory: pytest.TempPathFactory, seed: int, requests: int, width: float) -> None:
    problem = random_problem(seed, requests, width=width)
    file = instance_file(problem, tmp_path_factory.mktemp("pdptw") / "x.txt")
    found = solve(problem, Effort(clock=None, rounds=200), seed=seed)
    verdict = check_routes(file, [list(route) for route in found.routes])
    assert verdict.faults == []
    assert found.distance == pytest.approx(2.0 * verdict.distance)
    assert found.vehicles <= found.first_vehicles


@QUICK
@given(st.integers(0, 10**6), st.integers(1, 20))
def test_never_worse_than_the_start(seed: int, requests: int) -> None:
    problem = random_problem(seed, requests)
    good = solve(problem, Effort(clock=None, rounds=300), seed=seed)
    again = solve(problem, Effort(clock=None, rounds=3), seed=seed + 1, start=good.routes)
    assert again.rank <= (good.rank[0], good.rank[1], good.rank[2] + 1e-6)


def test_a_start_is_made_better() -> None:
    problem = random_problem(5, 20, width=200.0)
    one_each: Routes = tuple((int(p), int(d)) for p, d in problem.pairs)
    found = solve(problem, Effort(clock=None, rounds=300), start=one_each)
    assert found.first_vehicles == 20
    assert found.vehicles < 10


def test_ejections_alone_save_routes() -> None:
    problem = random_problem(5, 20, width=200.0)
    search = _Search(problem, Effort(clock=None, rounds=20_000), 0)
    search.begin(tuple((int(p), int(d)) for p, d in problem.pairs))
    search.fewer_routes()
    assert search.result().vehicles < 10


def test_the_same_seed_gives_the_same_solution() -> None:
    problem = random_problem(3, 20)
    first, second = (solve(problem, Effort(clock=None, rounds=200), seed=7) for _ in range(2))
    assert first == second


def test_the_clock_ends_the_search() -> None:
    ticks = itertools.count()
    effort = Effort(seconds=200.0, clock=lambda: float(next(ticks)))
    solve(random_problem(1, 15), effort)
    assert 200 <= next(ticks) < 400


def test_what_no_vehicle_can_serve_is_left_out_and_named() -> None:
    problem = random_problem(2, 6)
    latest = problem.latest.copy()
    latest[problem.pairs[4, 1]] = 0.5
    found = solve(dataclasses.replace(problem, latest=latest), Effort(clock=None, rounds=100))
    assert found.left_out == (4,)
    assert sorted(node for route in found.routes for node in route) == sorted(np.delete(problem.pairs, 4, 0).ravel())


def test_nothing_to_do_is_no_vehicles() -> None:
    zero, none = np.zeros((1, 1)), np.zeros(1)
    problem = Problem(zero, zero, none, none, none, none, np.zeros((0, 2), np.int64), 1.0)
    assert solve(problem, Effort(clock=None, rounds=5)).routes == ()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"travel": np.zeros((3, 3))}, "problem.travel"),
        ({"latest": np.array([np.nan] * 7)}, "problem.latest"),
        ({"service": np.full(7, -1.0)}, "problem.service"),
        ({"pairs": np.array([[1, 2], [3, 4], [5, 5]])}, "problem.pairs"),
        ({"pairs": np.array([[1, 2], [3, 4]])}, "problem.pairs"),
        ({"demand": np.array([0.0, 1, 1, 1, 1, 1, 1])}, "problem.demand"),
        ({"capacity": float("nan")}, "problem.capacity"),
    ],
)
def test_bad_problems_are_refused(change: dict[str, object], field: str) -> None:
    with pytest.raises(InputError) as error:
        dataclasses.replace(random_problem(1, 3), **change)  # type: ignore[arg-type]
    assert error.value.field.startswith(field)


def test_bad_starts_are_refused() -> None:
    problem = random_problem(1, 2, width=5.0)
    (p, d), (q, e) = problem.pairs.tolist()
    late = dataclasses.replace(problem, earliest=np.where(np.arange(5) == p, problem.latest, problem.earliest))
    for case, start, words in (
        (problem, ((p, d),), "missing"),
        (problem, ((p, d), (q, e), (q, e)), "twice"),
        (problem, ((p, e), (q, d)), "elsewhere"),
        (problem, ((d, p), (q, e)), "before it is picked up"),
        (problem, ((p, d), (q, e, 99)), "unknown"),
        (late, ((q, p, d, e),), "window"),
    ):
        with pytest.raises(InputError, match=words):
            solve(case, Effort(clock=None, rounds=1), start=start)
