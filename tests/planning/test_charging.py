"""The charger plan: costs against a replay by the second, CP-SAT against brute force, rules, and bad input."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from planning import charging_cpsat
from planning.charging import (
    NO_CHARGER,
    PERCENT,
    Cell,
    ChargePlan,
    ChargeRobot,
    Problem,
    Visit,
    cost,
    cost_of,
    end_s,
    wait_s,
)
from planning.charging_check import replay
from planning.charging_cpsat import solve
from planning.charging_rates import Rates
from planning.charging_rule import greedy, threshold_waits


def tiny(seed: int) -> Problem:
    """Two to four robots, a horizon of some seconds."""
    rng = random.Random(seed)
    robots, chargers = rng.choice([(2, 1), (3, 1), (3, 2), (4, 1)])
    drain = 1 / rng.choice([12, 16, 20])
    fast = drain * rng.choice([0.8, 1.5, 3.0])
    cell = Cell(
        drain, rng.choice([0.0, 0.2, 0.5]), (0.0, 0.6, 0.8, 1.0), (fast, fast * rng.choice([1.0, 0.5]), fast * 0.4)
    )
    held = rng.random() < 0.5
    fleet = []
    for i in range(robots):
        drives = tuple(rng.randint(0, 3) for _ in range(chargers))
        sent = chargers - 1 if i == 1 and rng.random() < 0.3 else NO_CHARGER
        on = 0 if i == 0 and held else NO_CHARGER
        fleet.append(
            ChargeRobot(f"r{i}", rng.uniform(0.2, 0.95), cell, 0.15, 0.95, drives, rng.randint(0, 2), on, sent)
        )
    taken = tuple(0 if k == 0 and held else rng.choice([0, 0, 3]) for k in range(chargers))
    return Problem(tuple(fleet), taken, rng.randint(12, 20), handover_s=1, moving_s=2)


def fleet(seed: int, robots: int = 12, chargers: int = 2, charge_s: float = 3600.0) -> Problem:
    rng = random.Random(seed)
    cell = Cell(1 / 14_400, 0.2, (0.0, 0.8, 0.9, 1.0), (1 / charge_s, 0.7 / charge_s, 0.2 / charge_s))
    return Problem(
        tuple(
            ChargeRobot(f"r{i}", rng.uniform(0.3, 0.9), cell, 0.15, 0.9, tuple(rng.randint(5, 60) for _ in range(chargers)))
            for i in range(robots)
        ),
        (0,) * chargers, 10_800,
    )  # fmt: skip


def choices(problem: Problem, i: int) -> list[tuple[int, Visit | None, int]]:
    """(cost, visit, end) of all that robot i can do, in whole seconds, the best first."""
    robot = problem.robots[i]
    found: list[Visit | None] = [] if problem.must_go(i) else [None]
    for k in range(len(problem.taken_s)):
        first = problem.earliest(i, k)
        for start in () if first < 0 else (0,) if robot.on != NO_CHARGER else range(first, problem.horizon_s + 1):
            came = wait_s(robot, start)[1]
            for level in range(robot.least_s, robot.span_s + 1):
                found.append(Visit(i, k, start, max(0, level - came)))
    ends = [(cost_of(problem, i, v), v, end_s(problem, v) if v else 0) for v in found]
    return sorted((x for x in ends if x[2] <= problem.horizon_s), key=lambda x: x[0])


def least_cost(problem: Problem) -> int:
    """By trying everything."""
    ways = [choices(problem, i) for i in range(len(problem.robots))]
    rest = [sum(w[0][0] for w in ways[i:]) for i in range(len(ways) + 1)]
    best = 1 << 60

    def place(i: int, paid: int, chosen: list[tuple[Visit, int]]) -> None:
        nonlocal best
        if i == len(ways):
            best = min(best, paid)
            return
        for price, visit, end in ways[i]:
            if paid + price + rest[i + 1] >= best:
                return
            if visit is None:
                place(i + 1, paid + price, chosen)
                continue
            gap = problem.handover_s
            if visit.start_s >= problem.taken_s[visit.charger] and all(
                v.charger != visit.charger or end + gap <= v.start_s or e + gap <= visit.start_s for v, e in chosen
            ):
                place(i + 1, paid + price, [*chosen, (visit, end)])

    place(0, 0, [])
    return best


@pytest.mark.parametrize("seed", range(25))
def test_cp_sat_finds_what_trying_everything_finds(seed: int) -> None:
    problem = tiny(seed)
    if any(not choices(problem, i) for i in range(len(problem.robots))):
        pytest.skip("a robot that must go has no visit that ends in time")
    plan = solve(problem, work=5.0, marks=problem.horizon_s)
    assert round(plan.cost * PERCENT) == least_cost(problem)
    assert plan.bound == pytest.approx(plan.cost, abs=0.02)


@settings(deadline=None, max_examples=8)
@given(
    st.integers(0, 10_000),
    st.sampled_from([(3, 1), (8, 1), (12, 2), (20, 3)]),
    st.sampled_from([600.0, 3600.0, 14_000.0]),
)
def test_plans_stand_up_to_a_replay_by_the_second(seed: int, size: tuple[int, int], charge_s: float) -> None:
    problem = fleet(seed, *size, charge_s)
    rule = greedy(problem)
    for plan in (rule, solve(problem, [rule], work=0.01, rounds=1)):
        seen = replay(problem, plan.visits)
        assert seen.faults == []
        for visit in plan.visits:
            stood = wait_s(problem.robots[visit.robot], visit.start_s)[0]
            assert seen.on_charger_s[visit.robot] == pytest.approx(end_s(problem, visit) - visit.start_s, abs=3)
            assert seen.stood_s[visit.robot] >= stood - 65  # which the drive is part of
        assert plan.cost <= rule.cost


def test_the_same_problem_has_the_same_plan() -> None:
    assert solve(fleet(3)) == solve(fleet(3))


def test_cp_sat_loses_less_than_the_rule_where_chargers_are_scarce() -> None:
    problem = fleet(1, 5, 1)
    plan = solve(problem)
    assert plan.solver == "cp-sat" and plan.cost < greedy(problem).cost - 100
    assert replay(problem, plan.visits).faults == []


def test_a_search_that_dies_leaves_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(*_: Any) -> None:
        raise RuntimeError("solver died")

    monkeypatch.setattr(charging_cpsat._Model, "search", dead)
    plan = solve(fleet(1))
    assert plan.solver == "greedy" and plan.visits


def test_a_plan_in_force_that_is_best_stays() -> None:
    problem = fleet(1, 5, 1)
    best = solve(problem)
    kept = solve(problem, [ChargePlan(best.visits, best.cost - 1000.0, "in force")])
    assert kept.visits == best.visits and kept.solver == "in force"


def test_robots_at_chargers_begin_there_and_robots_on_their_way_keep_theirs() -> None:
    cell = Cell(1 / 14_400, 0.2, (0.0, 1.0), (1 / 3600,))
    robots = [
        ChargeRobot(f"r{i}", 0.3 + 0.02 * i, cell, 0.15, 0.9, (30, 30), 0, (1, -1)[i > 0], (-1, 0)[i == 1])
        for i in range(6)
    ]
    plan = solve(Problem(tuple(robots), (0, 0), 10_800))
    by_robot = {v.robot: v for v in plan.visits}
    assert (by_robot[0].charger, by_robot[0].start_s) == (1, 0)
    assert by_robot[1].charger == 0


def test_with_too_few_chargers_some_leave_before_they_are_full() -> None:
    problem = fleet(2, 12, 1)
    plan = solve(problem)
    levels = [
        problem.robots[v.robot].level(max(0, wait_s(problem.robots[v.robot], v.start_s)[1]) + v.amount)
        for v in plan.visits
    ]
    assert min(levels) < 0.7
    full = [Visit(v.robot, v.charger, v.start_s, problem.robots[v.robot].span_s) for v in plan.visits]
    assert any("charger" in fault for fault in replay(problem, full).faults)


def test_waits_are_forecast_only_where_robots_get_low_together() -> None:
    cell = Cell(1 / 14_400, 0.2, (0.0, 1.0), (1 / 600,))
    below = [2160] * 3

    def waits(batteries: list[float], chargers: int) -> int:
        robots = tuple(ChargeRobot(f"r{k}", b, cell, 0.15, 0.8, (10,) * chargers) for k, b in enumerate(batteries))
        return threshold_waits(Problem(robots, (0,) * chargers, 9000), below)

    assert waits([0.5, 0.5, 0.5], 3) == 0
    assert waits([0.4, 0.55, 0.7], 1) == 0
    # Each takes 300 s and some rounding from 0.3 to 0.8, and the handover 15: the second waits once, the third twice.
    assert waits([0.5, 0.5, 0.5], 1) == pytest.approx(3 * 315, abs=12)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda v: [*v, v[0]], "visits twice"),
        (lambda v: [Visit(v[0].robot, v[1].charger, v[1].start_s, 9000), *v[1:]], "on charger"),
        (lambda v: [Visit(v[0].robot, v[0].charger, 0, v[0].amount), *v[1:]], "cannot be on charger"),
        (lambda v: [Visit(v[0].robot, v[0].charger, v[0].start_s, 20_000), *v[1:]], "top is"),
        (lambda v: [Visit(v[0].robot, v[0].charger, v[0].start_s, 10), *v[1:]], "too little"),
        (lambda v: [Visit(99, 0, 0, 0), *v], "no such robot"),
    ],
)
def test_the_checker_names_what_is_wrong(spoil: Any, said: str) -> None:
    problem = fleet(4, 6, 1)
    visits = list(greedy(problem).visits)
    assert replay(problem, visits).faults == []
    assert any(said in fault for fault in replay(problem, spoil(visits)).faults)


def test_costs_are_lost_seconds_and_the_worth_of_what_is_left() -> None:
    cell = Cell(0.001, 0.0, (0.0, 1.0), (0.002,))
    robot = ChargeRobot("r", 0.4, cell, 0.2, 1.0, (10,))
    problem = Problem((robot,), (0,), 1000)
    visit = Visit(0, 0, 150, 600)  # arrives with 50 s above the reserve, charges for 300 s, works 550 and has 100 left
    assert end_s(problem, visit) == 450
    low = robot.worth_pct[0]
    assert cost(problem, [visit]) == PERCENT * (10 + 300) - low * 100
    assert cost(problem, []) == PERCENT * 800  # works 200 s, and then stands


@pytest.mark.parametrize(
    ("field", "build"),
    [
        ("drain", lambda: Cell(0.0, 0.2, (0.0, 1.0), (0.1,))),
        ("rates", lambda: Cell(0.1, 0.2, (0.0, 0.5, 1.0), (0.1, 0.2))),
        ("levels", lambda: Cell(0.1, 0.2, (0.1, 1.0), (0.1,))),
        ("idle", lambda: Cell(0.1, 1.0, (0.0, 1.0), (0.1,))),
        ("battery", lambda: ChargeRobot("r", 1.1, Cell(0.1, 0.2, (0.0, 1.0), (0.1,)), 0.1, 0.9, ())),
        ("reserve", lambda: ChargeRobot("r", 0.5, Cell(0.1, 0.2, (0.0, 1.0), (0.1,)), 0.9, 0.9, ())),
        ("horizon_s", lambda: Problem((), (), 0)),
        (
            "drive_s",
            lambda: Problem((ChargeRobot("r", 0.5, Cell(0.1, 0.2, (0.0, 1.0), (0.1,)), 0.1, 0.9, ()),), (0,), 9),
        ),
    ],
)
def test_bad_input_is_named(field: str, build: Any) -> None:
    with pytest.raises(InputError) as caught:
        build()
    assert caught.value.field == field


@settings(deadline=None, max_examples=20)
@given(st.floats(2000, 40_000), st.floats(300, 9000), st.sampled_from([0.0, 0.01]))
def test_rates_are_learnt_from_reports(battery_s: float, charge_s: float, rounded: float) -> None:
    rates = Rates(14_400.0)
    level, charging = 0.5, False
    for second in range(0, 40_000, 10):
        charging = (charging and level < 0.95) or level < 0.2
        said = round(level / rounded) * rounded if rounded else level
        rates.hear({"r": float(second)}, {"r": said}, {"r"} if charging else (), {"r"} if not charging else (), ())
        level += 10 / charge_s if charging else -10 / battery_s
    cell = rates.cell("r")
    assert cell.drain * battery_s == pytest.approx(1.0, rel=0.2)
    assert cell.charge_s(0.2, 0.7) == pytest.approx(0.5 * charge_s, rel=0.25)
