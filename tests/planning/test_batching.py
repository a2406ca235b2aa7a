"""Order batching: the search against brute force, the bound against both, plans against the independent checker."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from cli.main import main
from planning import batching_exact as exact
from planning import batching_kernels as kernels
from planning.batching import (
    EARLIEST_DUE,
    FAR,
    FIRST_COME,
    NO_DUE,
    SAVINGS,
    Effort,
    Problem,
    Solution,
    by_groups,
    by_rule,
    solve,
)
from planning.batching_bound import _Relaxation, lower_bound
from planning.batching_check import Verdict, check, check_files
from planning.batching_files import generate, read_instance, write_instance, write_solution
from planning.batching_pool import Columns, choose, least_cover
from planning.batching_search import Search

QUICK = settings(max_examples=20, deadline=None, derandomize=True)


def problem_of(seed: int, orders: int, *, timed: bool = False, robots: int = 2) -> Problem:
    """Few places on a grid, a little asymmetric, two kinds of load, capacities that bind."""
    rng = np.random.default_rng(seed)
    at = rng.integers(0, 12, (8, 2))
    dist = (np.abs(at[:, None] - at[None]).sum(-1) * 10).astype(np.int64)
    if seed % 2:
        dist += rng.integers(0, 3, dist.shape)
    np.fill_diagonal(dist, 0)
    for k in range(len(dist)):
        dist = np.minimum(dist, dist[:, k : k + 1] + dist[k])
    visits = tuple(tuple(sorted(rng.choice(np.arange(1, 8), rng.integers(1, 4), replace=False).tolist())) for _ in range(orders))
    load = np.stack([rng.integers(1, 4, orders), rng.integers(0, 6, orders)], 1)
    due = rng.integers(100, 700, orders) if timed else np.full(orders, NO_DUE)
    return Problem(
        dist, visits, load, np.array([7, 9]), rng.integers(0, 200, orders) if timed else np.zeros(orders, np.int64), due, rng.integers(0, 3, orders),
        rng.integers(0, 30, orders), rng.integers(0, 50, robots), 20, 0.7,
    )  # fmt: skip


def verdict_of(problem: Problem, found: Solution, folder: Path) -> Verdict:
    write_instance(folder / "i.json", problem)
    write_solution(folder / "s.json", found)
    return check_files(folder / "i.json", folder / "s.json")


def partitions(items: list[int]) -> list[list[list[int]]]:
    if not items:
        return [[]]
    out = []
    for rest in partitions(items[1:]):
        out.append([[items[0]], *rest])
        out += [[*rest[:k], [items[0], *rest[k]], *rest[k + 1 :]] for k in range(len(rest))]
    return out


def by_brute_force(problem: Problem) -> int:
    """Least cost over all partitions, tours, robots and turns."""
    tours: dict[tuple[int, ...], int] = {}
    best = 1 << 60
    for groups in partitions(list(range(len(problem.visits)))):
        if any((problem.load[g].sum(0) > problem.capacity).any() for g in groups):
            continue
        length = 0
        for g in groups:
            places = tuple(sorted({p for o in g for p in problem.visits[o]}))
            if places not in tours:
                tours[places] = min(problem.length(tour) for tour in itertools.permutations(places))
            length += tours[places]
        best = min(best, length + (least_lateness(problem, groups, tours) if problem.timed else 0))
    return best


def least_lateness(problem: Problem, groups: list[list[int]], tours: dict[tuple[int, ...], int]) -> int:
    best = 1 << 60
    for turn in itertools.permutations(range(len(groups))):
        for robots in itertools.product(range(len(problem.ready)), repeat=len(groups)):
            free, late = problem.ready.tolist(), 0
            for k, robot in zip(turn, robots, strict=True):
                g = groups[k]
                places = tuple(sorted({p for o in g for p in problem.visits[o]}))
                free[robot] = max(free[robot], *problem.release[g].tolist()) + problem.takes(g, tours[places])
                late += sum(int(problem.price[o]) * max(0, free[robot] - int(problem.due[o])) for o in g)
            best = min(best, late)
    return best


@QUICK
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_tiny_problems_are_solved_to_the_optimum(seed: int, orders: int) -> None:
    problem = problem_of(seed, orders)
    assert solve(problem, Effort(clock=None, rounds=150)).cost == by_brute_force(problem)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_tiny_problems_with_due_times_are_solved_to_the_optimum(seed: int, orders: int) -> None:
    problem = problem_of(seed, orders, timed=True)
    assert solve(problem, Effort(clock=None, rounds=400)).cost == by_brute_force(problem)


@QUICK
@given(st.integers(0, 10**6), st.integers(1, 6), st.booleans())
def test_no_plan_costs_less_than_the_bound(seed: int, orders: int, timed: bool) -> None:
    problem = problem_of(seed, orders if not timed else min(orders, 4), timed=timed)
    best = by_brute_force(problem)
    for rounds in (1, 100):
        assert lower_bound(problem, clock=None, rounds=rounds).cost <= best
        assert lower_bound(problem, below=best, clock=None, rounds=rounds).cost <= best
        assert lower_bound(problem, below=best + 40, clock=None, rounds=rounds).cost <= best
    assert _Relaxation(problem).by_loads() <= best


@QUICK
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_enumeration_proves_the_optimum_where_tours_are_short_and_symmetric(seed: int, orders: int) -> None:
    problem = problem_of(2 * seed, orders)
    best = by_brute_force(problem)
    assert lower_bound(problem, below=best, clock=None).cost == best
    assert lower_bound(problem, below=best + 50, clock=None).cost == best


def test_the_least_cover_is_never_above_the_plan_known() -> None:
    batches = {(0,): 5, (1,): 4, (0, 1): 8, (2,): 3}
    assert least_cover(batches, 3, 20, None) == 11
    assert least_cover(batches, 3, 10, None) == 10
    assert least_cover(batches, 4, 20, None) == 20  # order 3 is in none: no plan costs less


def test_a_pricing_that_is_cut_short_still_proves_its_bound() -> None:
    problem = generate(25, seed=3, lines=(1, 3), capacity=8, robots=3, aisles=5, depth=6, blocks=1)
    closed = lower_bound(problem, clock=None, rounds=200)
    found = solve(problem, Effort(clock=None, rounds=1500))
    assert closed.closed and closed.cost <= found.cost <= 1.1 * closed.cost
    relaxation = _Relaxation(problem)
    worth = relaxation._worth()
    for nodes in (1, 5, 50, 500):
        _, theta, done = relaxation._price(worth, nodes)
        assert 0.0 < theta * worth.sum() <= closed.cost + 1e-6
        assert not done


@QUICK
@given(st.integers(0, 10**6), st.integers(1, 30), st.booleans())
def test_plans_keep_every_rule_and_say_what_they_cost(tmp_path_factory: pytest.TempPathFactory, seed: int, orders: int, timed: bool) -> None:
    problem = problem_of(seed, orders, timed=timed, robots=3)
    folder = tmp_path_factory.mktemp("batching")
    found = solve(problem, Effort(clock=None, rounds=60))
    assert verdict_of(problem, found, folder).faults == []
    for rule in (FIRST_COME, EARLIEST_DUE, SAVINGS):
        plan = by_rule(problem, rule)
        assert verdict_of(problem, plan, folder).faults == []
        assert found.cost <= plan.cost or not timed or rule == EARLIEST_DUE


@QUICK
@given(st.integers(0, 10**6), st.integers(2, 20), st.booleans())
def test_rows_hold_what_their_members_say_after_many_rounds(seed: int, orders: int, timed: bool) -> None:
    problem = problem_of(seed, orders, timed=timed)
    search = Search(problem, Effort(clock=None, rounds=60), seed)
    search.begin(None)
    search.anneal(1.0, 5.0)
    for state in (search.now, search.best):
        rows = int(state.head[0])
        members = [state.member[k, : state.held[k]].tolist() for k in range(rows)]
        assert sorted(o for m in members for o in m) == list(range(orders))
        for k, m in enumerate(members):
            tour = state.tour[k, : state.size[k]].tolist()
            assert (tour[0], tour[-1]) == (0, 0) and sorted(tour[1:-1]) == sorted({p for o in m for p in problem.visits[o]})
            assert state.length[k] == problem.length(tour[1:-1])
            assert state.load[k].tolist() == problem.load[m].sum(0).tolist() and all(state.where[o] == k for o in m)
        if timed:
            turns = [k for r in range(2) for k in state.seq[r, : state.turns[r]].tolist()]
            assert sorted(turns) == list(range(rows))
            late = state.late[:rows].copy()
            for r in range(2):
                kernels.retime(search.data, state, r)
            assert state.late[:rows].tolist() == late.tolist()
    assert search.least == kernels.cost_of(search.data, search.best)


@QUICK
@given(st.integers(0, 10**6), st.integers(2, 8))
def test_exact_tours_are_shortest_and_bounds_below_them(seed: int, places: int) -> None:
    rng = np.random.default_rng(seed)
    dist = rng.integers(1, 60, (places + 1, places + 1))
    np.fill_diagonal(dist, 0)
    stops = np.arange(1, min(places, 6) + 1, dtype=np.int32)
    length = min(
        sum(int(dist[a, b]) for a, b in zip((0, *way), (*way, 0), strict=True)) for way in itertools.permutations(stops.tolist())
    )
    tour = exact.best_tour(dist, stops)
    assert kernels.length_of(dist, tour, len(tour)) == length == exact.best_length(dist, stops)
    both = np.minimum(dist, dist.T)
    assert exact.tour_bound(both, stops, len(stops), 1e300, 1) <= exact.best_length(both, stops)
    line = np.concatenate([[0], rng.permutation(stops), [0]]).astype(np.int32)
    before = kernels.length_of(dist, line, len(line))
    saved = kernels.deepen(dist, line, len(line), 5, np.ones(1, np.uint64))
    assert kernels.length_of(dist, line, len(line)) == before - saved >= length
    assert sorted(line[1:-1].tolist()) == stops.tolist()


@pytest.mark.parametrize("timed", [False, True])
def test_cp_sat_finds_the_better_choice_among_batches_met(timed: bool) -> None:
    problem = problem_of(8, 6, timed=timed)
    search = Search(problem, Effort(clock=None, rounds=100), 0)
    everyone = [g for groups in partitions(list(range(6))) for g in groups if (problem.load[g].sum(0) <= problem.capacity).all()]
    for g in {tuple(g) for g in everyone}:
        search.adopt([list(g), *([o] for o in range(6) if o not in g)], "all")
    search.adopt([[o] for o in range(6)], "alone")
    kernels.copy(search.data, search.now, search.best)
    search.least = int(kernels.cost_of(search.data, search.now))
    search.partition(1.0)
    assert search.strategy == "set partitioning"
    if not timed:
        assert search.least == by_brute_force(problem)
    chosen, _ = choose(search.data, Columns.of(search.data, search.pool), search._turns(), search.least, None, 1.0)
    assert chosen is None  # nothing better than its own answer


def test_never_worse_than_the_start_and_the_same_for_the_same_seed() -> None:
    problem = generate(30, seed=5, due=True, capacity=12)
    good = solve(problem, Effort(clock=None, rounds=300), seed=1)
    again = solve(problem, Effort(clock=None, rounds=5), seed=2, start=good)
    assert again.cost <= good.cost
    assert dataclasses.replace(solve(problem, Effort(clock=None, rounds=300), seed=1)) == good
    assert good.cost < min(by_rule(problem, rule).cost for rule in (FIRST_COME, EARLIEST_DUE, SAVINGS))
    with pytest.raises(InputError, match="start"):
        solve(problem, Effort(clock=None, rounds=5), start=dataclasses.replace(good, batches=good.batches[1:]))


def test_orders_that_nobody_can_bring_are_left_out_with_the_reason(tmp_path: Path) -> None:
    problem = problem_of(2, 5)
    load, distance = problem.load.copy(), problem.distance.copy()
    load[1, 0] = 99
    distance[7, :7] = distance[:7, 7] = FAR
    visits = (*problem.visits[:3], (7,), (1, 2))
    visits = tuple(tuple(p for p in v if p != 7) or (1,) if k != 3 else v for k, v in enumerate(visits))
    problem = dataclasses.replace(problem, load=load, distance=distance, visits=visits)
    found = solve(problem, Effort(clock=None, rounds=20))
    assert [o for o, _ in found.left_out] == [1, 3]
    assert "load 0 is 99" in found.left_out[0][1] and "no way" in found.left_out[1][1]
    assert verdict_of(problem, found, tmp_path).valid


def test_the_checker_sees_what_is_wrong(tmp_path: Path) -> None:
    problem = generate(12, seed=1, capacity=10, due=True)
    assert verdict_of(problem, solve(problem, Effort(clock=None, rounds=30)), tmp_path).valid
    task, plan = (json.loads((tmp_path / name).read_text()) for name in ("i.json", "s.json"))

    def faults(**changes: object) -> str:
        other = json.loads(json.dumps(plan))
        other["batches"][0] |= changes
        return " ".join(check(task, other).faults)

    first = plan["batches"][0]
    assert "in 0 batches" in faults(orders=first["orders"][1:])
    assert "in 2 batches" in faults(orders=[*first["orders"], plan["batches"][1]["orders"][0]])
    assert "room for" in faults(orders=list(range(12)))
    assert "does not go once" in faults(tour=first["tour"][1:])
    assert "said to be" in faults(length=first["length"] + 1)
    assert "takes" in faults(end=first["end"] - 1)
    assert "not known" in faults(robot=99)
    assert "not free before" in faults(robot=plan["batches"][1]["robot"], start=first["start"], end=first["end"])
    task["release"][first["orders"][0]] = first["start"] + 1
    assert "is released" in faults()
    assert "said to cost" in " ".join(check(task, plan | {"cost": plan["cost"] - 1}).faults)


def test_files_come_back_and_bad_ones_are_refused(tmp_path: Path) -> None:
    problem = generate(8, seed=2, due=True)
    write_instance(tmp_path / "i.json", problem)
    again = read_instance(tmp_path / "i.json")
    assert again.visits == problem.visits and again.due.tolist() == problem.due.tolist()
    assert again.distance.tolist() == problem.distance.tolist() and again.names == problem.names
    (tmp_path / "i.json").write_text("{}")
    with pytest.raises(InputError, match=r"i\.json"):
        read_instance(tmp_path / "i.json")
    with pytest.raises(InputError, match="visits"):
        dataclasses.replace(problem, visits=((0,), *problem.visits[1:]))
    with pytest.raises(InputError, match="capacity"):
        generate(8, seed=2, lines=(1, 30), capacity=10)
    with pytest.raises(InputError, match="groups"):
        by_groups(problem, [[0, 1]], "x")


def test_the_command_compares_and_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "f.json"
    line = ["bench", "batching", "--orders", "10", "--cpu-limit", "0.2", "--bound-limit", "0.5", "--json", str(out)]
    assert main([*line, "--instances", str(tmp_path / "i"), "--solutions", str(tmp_path / "s")]) == 0
    row = json.loads(out.read_text())["rows"][0]
    assert row["valid"] and row["ours"]["cost"] <= row["savings"]["cost"] and row["over_or_tools"] <= 1.0
    name = row["instance"]
    assert check_files(tmp_path / "i" / f"{name}.json", tmp_path / "s" / f"{name}.solution.json").cost == row["ours"]["cost"]
    assert main([*line, "--cpu-limit", "0"]) != 0 and "cpu-limit" in capsys.readouterr().err
