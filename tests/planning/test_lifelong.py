"""Lifelong traffic: plans that are safe by construction, and good enough to be worth it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from planning.distance import largest_component
from planning.lifelong import Effort, LifelongPlanner, Planner
from planning.lifelong_ops import (
    CLOCKWISE,
    COUNTER,
    FORWARD,
    OPEN,
    WAIT,
    Operations,
    moving_operations,
    turning_operations,
)
from planning.lifelong_rolling import RollingPlanner, planner_for
from planning.lifelong_step import PlainTraffic
from planning.lifelong_tables import FAR, UNIT, Roads, StateTables
from planning.lifelong_tasks import Scheduler

STEP = ((0, 1), (1, 0), (0, -1), (-1, 0))


def drive(planner: Planner, tables: StateTables, at: np.ndarray, goals: np.ndarray, steps: int, rounds: int) -> tuple[np.ndarray, int]:
    """Plays a plan with rules written anew here; each robot goes to and fro between its goals. Returns the
    final places and how often a goal was reached."""
    roads = tables.roads
    cell, heading = roads.cells[at].copy(), np.zeros(len(at), np.int64)
    leg, reached = np.zeros(len(at), np.int64), 0
    width = roads.width
    for _ in range(steps):
        robots = np.arange(len(at))
        goal, then = goals[robots, leg % goals.shape[1]], goals[robots, (leg + 1) % goals.shape[1]]
        acts = planner.plan(roads.number[cell], heading, goal, then, Effort(rounds))
        nxt = cell.copy()
        for i, act in enumerate(acts.tolist()):
            look = int(heading[i])
            if not tables.turning and act != WAIT:
                act, look = act % 8, act // 8
            if act == FORWARD:
                y, x = int(cell[i]) // width + STEP[look][0], int(cell[i]) % width + STEP[look][1]
                assert 0 <= y < roads.height and 0 <= x < width and roads.number[y * width + x] >= 0
                nxt[i] = y * width + x
            heading[i] = (heading[i] + (act == CLOCKWISE) - (act == COUNTER)) % 4
        assert len(set(nxt.tolist())) == len(nxt), "two robots in one cell"
        moves = set(zip(cell.tolist(), nxt.tolist(), strict=True))
        assert not any(a != b and (b, a) in moves for a, b in moves), "two robots changed places"
        cell = nxt
        there = roads.number[cell] == goal
        leg += there
        reached += int(there.sum())
    return roads.number[cell], reached


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_operations_are_all_ways_to_spend_the_steps_once_each(depth: int) -> None:
    ops = turning_operations(depth)
    ways = set()
    for plan in itertools.product((FORWARD, CLOCKWISE, COUNTER, WAIT), repeat=depth):
        look, path = 0, []
        for act in plan:
            look = (look + (act == CLOCKWISE) - (act == COUNTER)) % 4
            path.append(look if act == FORWARD else -1)
        ways.add(tuple(path))
    assert {tuple(p) for p in ops.steps.tolist()} == ways and len(ops.steps) == len(ways)
    assert len(moving_operations(depth).steps) == 5**depth


@pytest.mark.parametrize("ops", [turning_operations(4), moving_operations(3)])
def test_what_is_left_of_an_operation_leads_through_the_same_cells(ops: Operations) -> None:
    for k, path in enumerate(ops.steps.tolist()):
        first = int(ops.first[k])
        turned = (first == CLOCKWISE) - (first == COUNTER) + (path[0] if first == FORWARD and ops.open.any() else 0)
        rest = [s if s < 0 else (s + turned) % 4 for s in ops.steps[ops.after[k]].tolist()]
        assert rest == [*path[1:], -1] or first == OPEN


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_tables_hold_the_least_cost_of_turns_and_priced_steps(seed: int, turning: bool) -> None:
    rng = np.random.default_rng(seed)
    free = rng.random((5, 6)) > 0.25
    free[0, 0] = True
    roads = Roads(free)
    price = rng.integers(1, 9, (len(roads), 4))
    tables = StateTables(roads, price, turn=3, turning=turning)
    tables.require([0])
    heads = tables.headings
    cost = np.full(len(roads) * heads, 10**6)
    cost[:heads] = 0
    for _ in range(len(cost)):  # Bellman and Ford
        for cell, look in itertools.product(range(len(roads)), range(heads)):
            for k in range(4):
                if heads == 4 and k != look:
                    continue
                if roads.ahead[cell, k] >= 0:
                    cost[cell * heads + look] = min(cost[cell * heads + look], price[cell, k] + cost[roads.ahead[cell, k] * heads + look])
            if heads == 4:
                cost[cell * 4 + look] = min(cost[cell * 4 + look], 3 + min(cost[cell * 4 + (look + 1) % 4], cost[cell * 4 + (look + 3) % 4]))
    assert np.array_equal(np.where(cost >= 10**6, FAR, cost), tables.pool[tables.slot[0]])


def test_tables_are_forgotten_in_the_order_of_their_last_use_and_never_when_asked_for() -> None:
    tables = StateTables(Roads(np.ones((4, 4), bool)), max_bytes=3 * 2 * 64)
    tables.require([0, 1, 2])
    tables.require([0, 3])
    assert tables.slot[1] < 0 and (tables.slot[[0, 2, 3]] >= 0).all()
    tables.require(range(8))
    assert (tables.slot[:8] >= 0).all() and len(set(tables.slot[:8].tolist())) == 8


def planners(tables: StateTables, robots: int) -> list[Planner]:
    return [LifelongPlanner(tables, robots, depth=3), RollingPlanner(tables, robots, window=8)]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.floats(0.1, 1.0))
def test_no_conflict_on_any_floor_at_any_density(seed: int, turning: bool, crowd: float) -> None:
    rng = np.random.default_rng(seed)
    free = rng.random((7, 8)) > 0.3
    free[0, :2] = True
    roads = Roads(free)
    tables = StateTables(roads, turning=turning)
    tables.require(range(len(roads)))
    robots = max(1, int(crowd * len(roads)))
    at = rng.permutation(len(roads))[:robots]
    for planner in planners(tables, robots):
        drive(planner, tables, at, rng.integers(-1, len(roads), (robots, 3)), 12, 20)


@pytest.mark.parametrize("turning", [True, False])
def test_a_robot_alone_loses_no_step(turning: bool) -> None:
    free = np.ones((9, 9), bool)
    free[4, 1:8] = False
    roads = Roads(free)
    tables = StateTables(roads, turning=turning)
    tables.require(range(len(roads)))
    start, goals = np.array([0]), np.array([[int(roads.number[80]), int(roads.number[8])]])
    way = int(tables.pool[tables.slot[goals[0, 0]], 0]) // UNIT
    for planner in planners(tables, 1):
        assert drive(planner, tables, start, goals, way, 10)[1] == 1


def test_crowds_that_turn_get_on_and_deeper_plans_get_on_better() -> None:
    rng = np.random.default_rng(5)
    free = rng.random((16, 16)) > 0.15
    roads = Roads(largest_component(free))
    tables = StateTables(roads)
    tables.require(range(len(roads)))
    at, goals = rng.permutation(len(roads))[:110], rng.integers(0, len(roads), (110, 8))
    reached = [drive(LifelongPlanner(tables, 110, depth=d), tables, at, goals, 60, 50)[1] for d in (1, 4)]
    assert reached[1] > 150 and reached[1] > 1.5 * reached[0]


def test_windows_are_better_where_there_is_room_and_are_chosen_only_there() -> None:
    rng = np.random.default_rng(6)
    roads = Roads(np.ones((16, 16), bool))
    tables = StateTables(roads)
    tables.require(range(len(roads)))
    at, goals = rng.permutation(256)[:50], rng.integers(0, 256, (50, 8))
    windows = drive(RollingPlanner(tables, 50), tables, at, goals, 60, 250)[1]
    assert windows > drive(LifelongPlanner(tables, 50, depth=3), tables, at, goals, 60, 250)[1]
    assert isinstance(planner_for(tables, 50, step_s=None, rounds=250), RollingPlanner)
    assert isinstance(planner_for(tables, 50, step_s=None, rounds=100), LifelongPlanner)
    assert isinstance(planner_for(tables, 50, step_s=0.01, rounds=10**9), LifelongPlanner)
    assert isinstance(planner_for(tables, 128, step_s=1.0, rounds=10**9), LifelongPlanner)


def test_the_same_seed_gives_the_same_plan_and_a_spent_clock_still_a_safe_one() -> None:
    roads = Roads(np.ones((6, 6), bool))
    tables = StateTables(roads)
    tables.require(range(36))
    at, goals = np.arange(20), np.arange(36)[::-1][:20].reshape(-1, 1).copy()
    runs = [drive(LifelongPlanner(tables, 20, depth=3, seed=4), tables, at, goals, 15, 40)[0] for _ in range(2)]
    assert np.array_equal(runs[0], runs[1])
    for planner in planners(tables, 20):
        acts = planner.plan(at, np.zeros(20, int), goals[:, 0], np.full(20, -1), Effort(10**9, lambda: 1.0, 0.5))
        assert acts.shape == (20,)


def test_two_robots_in_one_cell_and_too_many_are_refused() -> None:
    roads = Roads(np.ones((2, 2), bool))
    tables = StateTables(roads)
    none = np.full(2, -1)
    for planner in planners(tables, 2):
        with pytest.raises(InputError, match="two robots"):
            planner.plan(np.array([1, 1]), np.zeros(2, int), none, none, Effort())
    for kind in (LifelongPlanner, RollingPlanner):
        with pytest.raises(InputError, match="robots"):
            kind(tables, 5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 12))
def test_every_robot_gets_a_task_of_its_own_near_by_and_exactly_so_when_few(seed: int, robots: int, tasks: int) -> None:
    rng = np.random.default_rng(seed)
    roads = Roads(np.ones((8, 8), bool))
    tables = StateTables(roads)
    tables.require(range(64))
    at, first = rng.permutation(64)[:robots].astype(np.int32), rng.integers(0, 64, tasks).astype(np.int32)
    length = rng.integers(0, 100, tasks)
    look, none = rng.integers(0, 4, robots).astype(np.int32), np.full(robots, -1, np.int64)
    cost = []
    for pairs in (10**6, 0):
        chosen = Scheduler(tables, exact_pairs=pairs).assign(at, look, none, first, length)
        given_out = chosen[chosen >= 0]
        assert len(given_out) == min(robots, tasks) == len(set(given_out.tolist()))
        who = np.flatnonzero(chosen >= 0)
        way = tables.pool[tables.slot[first[chosen[who]]], at[who] * 4 + look[who]].astype(int)
        cost.append(int((5 * way + length[chosen[who]]).sum()))
    assert cost[0] <= cost[1]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 1.0))
def test_a_plain_step_moves_everybody_safely_and_the_first_in_line_nearer(seed: int, crowd: float) -> None:
    rng = np.random.default_rng(seed)
    roads = Roads(np.ones((6, 7), bool))
    tables = StateTables(roads, turning=False)
    tables.require(range(42))
    movers = max(1, int(crowd * 42))
    traffic = PlainTraffic(tables, movers, seed=seed)
    now, goal = rng.permutation(42)[:movers].astype(np.int32), rng.integers(-1, 42, movers)
    line = list(range(movers))
    for _ in range(15):
        nxt = traffic.step(now, goal)
        assert len(set(nxt.tolist())) == movers
        moves = set(zip(now.tolist(), nxt.tolist(), strict=True))
        assert all(a == b or (b in roads.ahead[a] and (b, a) not in moves) for a, b in moves)
        first = line[0]
        if now[first] != goal[first] and goal[first] >= 0:
            table = tables.pool[tables.slot[goal[first]]]
            assert table[nxt[first]] < table[now[first]]  # PIBT's promise on a floor without dead ends
        done = (nxt == goal) | (goal < 0)
        line = [i for i in line if not done[i]] + [i for i in line if done[i]]
        now = nxt


def test_a_plain_step_refuses_robots_that_turn() -> None:
    tables = StateTables(Roads(np.ones((2, 2), bool)))
    with pytest.raises(InputError, match="turn"):
        PlainTraffic(tables, 1)
    with pytest.raises(InputError, match="movers"):
        PlainTraffic(StateTables(tables.roads, turning=False), 5)


def test_in_a_crowd_those_near_their_goals_must_count_more(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    roads = Roads(largest_component(rng.random((16, 16)) > 0.15))
    tables = StateTables(roads)
    tables.require(range(len(roads)))
    robots = int(0.8 * len(roads))
    at, goals = rng.permutation(len(roads))[:robots], rng.integers(0, len(roads), (robots, 8))
    ranked = drive(LifelongPlanner(tables, robots, depth=3), tables, at, goals, 60, 50)[1]
    monkeypatch.setattr("planning.lifelong._weights", lambda order, has_goal: np.where(has_goal, 16, 1).astype(np.int32))
    equal = drive(LifelongPlanner(tables, robots, depth=3), tables, at, goals, 60, 50)[1]
    assert ranked > 1.15 * equal
