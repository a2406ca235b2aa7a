"""Charger plans by simple rules: where searches begin, and what stands if none finds better; and what comes of no plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from planning.charging import NO_CHARGER, PERCENT, SHARES, ChargePlan, Problem, Visit, cost, cost_of, end_s, wait_s

MOST_TUNED = 64
"""Of larger fleets, all charge up to the same level."""


def greedy(problem: Problem) -> ChargePlan:
    """Who is empty first charges first, all up to the same level, the best of a few; then up to which level each by itself,
    as long as that gains: less for some, so that others need not wait."""
    robots = problem.robots
    least, goals = min(
        (cost(problem, in_turn(problem, g)), g) for g in ([round(s * r.span_s) for r in robots] for s in SHARES)
    )
    for i in range(len(robots)) if len(robots) <= MOST_TUNED else ():
        for share in SHARES:
            other = [*goals[:i], round(share * robots[i].span_s), *goals[i + 1 :]]
            price = cost(problem, in_turn(problem, other)) if other != goals else least
            if price < least:
                least, goals = price, other
    return ChargePlan(in_turn(problem, goals), least / PERCENT, "greedy")


def in_turn(
    problem: Problem, goals: Sequence[int], fixed: Mapping[int, int] | None = None, order: Sequence[int] | None = None
) -> tuple[Visit, ...]:
    """Robots in the order of their deadlines (or `order`) to the charger that is free first (or the `fixed` one), each as late as
    nobody after it has to wait; who gains nothing by it stays away. goals: seconds of work to charge up to."""
    robots = problem.robots
    lines: list[list[int]] = [[] for _ in problem.taken_s]
    free = list(problem.taken_s)
    usual = sorted(
        range(len(robots)),
        key=lambda i: (robots[i].on == NO_CHARGER, robots[i].sent_to == NO_CHARGER, robots[i].energy_s, i),
    )
    for i in order if order is not None else usual:
        ways = {k: max(free[k], problem.earliest(i, k)) for k in range(len(free)) if problem.earliest(i, k) >= 0}
        if fixed and fixed.get(i) in ways:
            ways = {fixed[i]: ways[fixed[i]]}
        if not ways:
            continue
        held = robots[i].on if robots[i].on != NO_CHARGER else robots[i].sent_to
        k = held if held in ways else min(ways, key=lambda c: (ways[c], robots[i].drive_s[c], c))
        lines[k].append(i)
        start = max(0, robots[i].energy_s) if held == NO_CHARGER else 0
        arrives = max(0, robots[i].energy_s - start)
        free[k] = ways[k] + robots[i].charge_s(arrives, max(0, goals[i] - arrives)) + problem.handover_s
    visits = [visit for k, line in enumerate(lines) for visit in _timed(problem, k, line, goals)]
    return tuple(sorted(visits, key=lambda v: (v.start_s, v.robot)))


def _timed(problem: Problem, charger: int, line: Sequence[int], goals: Sequence[int]) -> list[Visit]:
    """The visits of one charger's line: latest starts from the back, then what can be had from the front."""
    latest: dict[int, int] = {}
    after = problem.horizon_s
    for i in reversed(line):
        robot = problem.robots[i]
        takes = robot.charge_s(0, goals[i]) + problem.handover_s
        after = latest[i] = min(max(0, robot.energy_s), after - takes)
    out: list[Visit] = []
    free = problem.taken_s[charger]
    for i in line:
        robot = problem.robots[i]
        start = max(free, problem.earliest(i, charger), 0 if problem.must_go(i) else latest[i])
        if robot.on != NO_CHARGER:
            start = 0
        arrives = wait_s(robot, start)[1]
        visit = Visit(i, charger, start, max(0, goals[i] - arrives))
        end = end_s(problem, visit)
        if end > problem.horizon_s and problem.must_go(i):
            fits = visit.amount * max(0, problem.horizon_s - start) // (end - start)
            visit = Visit(i, charger, start, fits)
            end = end_s(problem, visit)
        if end > problem.horizon_s or not (
            problem.must_go(i) or cost_of(problem, i, visit) < cost_of(problem, i, None)
        ):
            continue
        out.append(visit)
        free = end + problem.handover_s
    return out


def threshold_waits(problem: Problem, below: Sequence[int]) -> int:
    """Seconds that robots would wait for chargers if each went when its energy is `below`[i] seconds above its reserve (under 0
    likewise) and charged to its top, on whichever charger is free first: whether chargers are scarce at all."""
    free = sorted(problem.taken_s)
    robots = problem.robots
    for robot in robots:
        if robot.on != NO_CHARGER:
            free[0] = robot.charge_s(robot.energy_s, max(0, robot.span_s - robot.energy_s)) + problem.handover_s
            free.sort()
    waited = 0
    low_at = {i: max(0, r.energy_s - below[i]) for i, r in enumerate(robots) if r.on == NO_CHARGER}
    for i in sorted(low_at, key=lambda i: (low_at[i], i)):
        if low_at[i] >= problem.horizon_s or not free:
            continue
        start = max(low_at[i], free[0])
        waited += start - low_at[i]
        arrives = min(robots[i].energy_s, below[i])
        free[0] = start + robots[i].charge_s(arrives, max(0, robots[i].span_s - arrives)) + problem.handover_s
        free.sort()
    return waited
