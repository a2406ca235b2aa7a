"""The charger plan by CP-SAT: an optional interval for each robot and charger, none of which overlap on a charger.

A robot's start and amount of charge are chosen together, from starts on a grid and levels to charge up to, so that what each
choice costs is a plain number (the charge curve and the waiting bend it); at every mark of the grid no more robots charge than
there are chargers, which the intervals say as well but not to the linear relaxation. A coarse grid over the horizon comes
first, then finer ones about the plan found; of a fleet, a few robots at a time. One worker, and effort counted in deterministic time: the same problem
has the same plan, on any machine.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

from ortools.sat.python import cp_model

from planning.charging import (
    NO_CHARGER,
    PERCENT,
    SHARES,
    ChargePlan,
    Problem,
    Visit,
    cost,
    cost_of,
    end_s,
    wait_s,
)
from planning.charging_rule import greedy, in_turn

MARKS = 32
"""Starts in the horizon that the first grid has; the next ones are FINER times as fine."""
FINER = 8
NEAR = 4
"""Steps of a finer grid to either side of a start."""
ROUNDS, TOGETHER = 2, 6
"""Searches on the first grid, and robots that each of them moves while the others stay; fewer robots are searched all at once."""
WORK = 0.03
"""Deterministic seconds of one search."""
MOST_ROBOTS = 64
"""The rule alone plans for more."""


@dataclass(frozen=True, slots=True)
class Option:
    """One way to visit a charger, whichever it is: from start_s to end_s for so many hundredths of lost seconds."""

    start_s: int
    end_s: int
    amount: int
    cost: int


def solve(
    problem: Problem, hints: Sequence[ChargePlan] = (), work: float = WORK, marks: int = MARKS, rounds: int = ROUNDS
) -> ChargePlan:
    """The best of the rule's plan, the hints and what CP-SAT makes of the best of these, with the name of who found it; `bound`,
    known where all robots fit into one search, holds for the starts and levels of the first grid. work: deterministic
    seconds of each search. A search that dies leaves the best so far."""
    best = min((*hints, greedy(problem)), key=lambda plan: plan.cost)
    if not problem.robots or not problem.taken_s or len(problem.robots) > MOST_ROBOTS:
        return best
    step, bound = max(1, math.ceil(problem.horizon_s / marks)), -math.inf
    robots, rng = range(len(problem.robots)), random.Random(len(problem.robots))
    try:
        for turn in range(1 if len(robots) <= TOGETHER else rounds):
            changing = frozenset(robots) if len(robots) <= TOGETHER else _neighbourhood(problem, best, turn, rng)
            best, least = _better(problem, best, _Model(problem, best.visits, changing, step, step), work)
            bound = least if len(robots) <= TOGETHER else bound
        first, grid_s = frozenset(v.robot for v in best.visits[:TOGETHER]), step
        while step > 1:  # to the second for who goes next: of the others the next plan decides
            step = max(1, step // FINER)
            best, _ = _better(problem, best, _Model(problem, best.visits, first, step, grid_s), work)
    except Exception:  # robots must not stand because a search died
        pass
    return ChargePlan(best.visits, best.cost, best.solver, bound)


def _better(problem: Problem, best: ChargePlan, model: _Model, work: float) -> tuple[ChargePlan, float]:
    found, least = model.search(work)
    for visits in (found, fitted(problem, found)):
        price = cost(problem, visits) / PERCENT
        if price < best.cost:
            best = ChargePlan(visits, price, "cp-sat")
    return best, least


def _neighbourhood(problem: Problem, plan: ChargePlan, turn: int, rng: random.Random) -> frozenset[int]:
    """Robots that could change places: next to each other in time, or, every other turn, in one charger's line; those that stay
    away are as if they came when they are empty."""
    when = {v.robot: v.start_s for v in plan.visits}
    line = {v.robot: v.charger for v in plan.visits}
    robots = sorted(range(len(problem.robots)), key=lambda i: (when.get(i, problem.robots[i].energy_s), i))
    if turn % 2:
        charger = rng.randrange(len(problem.taken_s))
        robots = [i for i in robots if line.get(i, charger) == charger]
    first = rng.randrange(max(1, len(robots) - TOGETHER + 1))
    return frozenset(robots[first : first + TOGETHER])


def fitted(problem: Problem, visits: Sequence[Visit]) -> tuple[Visit, ...]:
    """The same robots on the same chargers up to the same levels in the same order, each as late as nobody has to wait."""
    goals = [0] * len(problem.robots)
    for visit in visits:
        goals[visit.robot] = wait_s(problem.robots[visit.robot], visit.start_s)[1] + visit.amount
    return in_turn(problem, goals, {v.robot: v.charger for v in visits}, [v.robot for v in visits])


def options(problem: Problem, i: int, starts: Iterable[int], levels: Iterable[int], now: Visit | None) -> list[Option]:
    """What robot i can do at those starts, up to those seconds of work above its reserve; of what starts and ends alike the best.
    What costs more than to stay away is left out, unless it must go; `now`, what it does as yet, is in."""
    robot, away = problem.robots[i], cost_of(problem, i, None)
    goals = sorted(set(levels))
    visits = [now] if now is not None else []
    for start in [0] if robot.on != NO_CHARGER else sorted(set(starts)):
        arrives = wait_s(robot, start)[1]
        visits += [Visit(i, 0, start, amount) for amount in sorted({max(0, goal - arrives) for goal in goals})]
    out: dict[tuple[int, int], Option] = {}
    for visit in visits:
        end, price = end_s(problem, visit), cost_of(problem, i, visit) - PERCENT * _way(problem, i, visit.charger)
        if end > problem.horizon_s or (price > away and visit is not now and not problem.must_go(i)):
            continue
        known = out.get((visit.start_s, end))
        if known is None or price < known.cost:
            out[visit.start_s, end] = Option(visit.start_s, end, visit.amount, price)
    return list(out.values())


def _way(problem: Problem, i: int, charger: int) -> int:
    """What charger a robot goes to costs, in seconds."""
    robot = problem.robots[i]
    drive = 0 if robot.on != NO_CHARGER else robot.drive_s[charger]
    return drive + (problem.moving_s if robot.sent_to not in (NO_CHARGER, charger) else 0)


class _Model:
    def __init__(self, problem: Problem, visits: Sequence[Visit], changing: Set[int], step: int, grid_s: int) -> None:
        """changing: the robots whose visits are open; the others' stay. step: between starts, which are over the whole horizon if
        it is grid_s, else near those of `visits`; grid_s: between marks."""
        self.problem, self.model, self.step, self.grid_s = problem, cp_model.CpModel(), step, grid_s
        self.was = {visit.robot: visit for visit in visits}
        self.on_charger: list[list[Any]] = [[] for _ in problem.taken_s]
        self.active: dict[int, list[Any]] = {}
        self.chosen: list[list[tuple[Option, Any]]] = []
        self.at: list[dict[int, Any]] = []
        self.terms: list[Any] = []
        self.constant = 0
        for k, taken in enumerate(problem.taken_s):
            if taken > 0:
                self.on_charger[k].append(self.model.new_fixed_size_interval_var(0, taken, ""))
        self.fixed = [visit for visit in visits if visit.robot not in changing]
        for visit in self.fixed:
            size = end_s(problem, visit) - visit.start_s + problem.handover_s
            self.on_charger[visit.charger].append(self.model.new_fixed_size_interval_var(visit.start_s, size, ""))
            for mark in self._marks(visit.start_s, visit.start_s + size):
                self.active.setdefault(mark, []).append(1)
        for i in range(len(problem.robots)):
            self.chosen.append([])
            self.at.append({})
            if i in changing:
                self._robot(i)
            else:
                self.constant += cost_of(problem, i, self.was.get(i))
        for intervals in self.on_charger:
            self.model.add_no_overlap(intervals)
        for mark, there in self.active.items():
            room = sum(mark >= taken for taken in problem.taken_s)
            if any(not isinstance(one, int) for one in there):
                self.model.add(sum(there) <= room)
        self.model.minimize(sum(self.terms) + self.constant)

    def _marks(self, start_s: int, end_s: int) -> range:
        """Of the grid, those from start_s to before end_s."""
        return range(-(-start_s // self.grid_s) * self.grid_s, end_s, self.grid_s)

    def _starts(self, i: int) -> Iterator[int]:
        problem, was = self.problem, self.was.get(i)
        earliest = min(
            (s for k in range(len(problem.taken_s)) if (s := problem.earliest(i, k)) >= 0), default=problem.horizon_s
        )
        # Not before its turn: when it comes, when its battery is empty, when a charger is left.
        yield from (max(earliest, 0), max(earliest, problem.robots[i].energy_s))
        if self.step == self.grid_s:
            yield from range(-(-earliest // self.step) * self.step, problem.horizon_s + 1, self.step)
        elif was is not None:
            yield from (max(earliest, was.start_s + n * self.step) for n in range(-NEAR, NEAR + 1))

    def _levels(self, i: int) -> Iterator[int]:
        robot, was = self.problem.robots[i], self.was.get(i)
        if robot.span_s <= MARKS // 2:
            yield from range(robot.least_s, robot.span_s + 1)
        yield from (round(share * robot.span_s) for share in SHARES)
        if was is not None:
            level = wait_s(robot, was.start_s)[1] + was.amount
            part = max(1, robot.span_s * self.step // self.problem.horizon_s)
            yield from (min(robot.span_s, max(robot.least_s, level + n * part)) for n in (-1, 0, 1))

    def _robot(self, i: int) -> None:
        problem, model, was = self.problem, self.model, self.was.get(i)
        found = options(problem, i, self._starts(i), self._levels(i), was)
        ways = {k: s for k in range(len(problem.taken_s)) if 0 <= (s := problem.earliest(i, k)) <= problem.horizon_s}
        away = cost_of(problem, i, None)
        if not found or not ways:
            self.constant += away
            return
        goes = self._bool(was is not None)
        if problem.must_go(i) and was is not None:
            model.add(goes == 1)
        for option in found:
            takes = self._bool(was is not None and (was.start_s, end_s(problem, was)) == (option.start_s, option.end_s))
            self.chosen[i].append((option, takes))
            self.terms.append(option.cost * takes)
            for mark in self._marks(option.start_s, option.end_s + problem.handover_s):
                self.active.setdefault(mark, []).append(takes)
        self.terms.append(away * (1 - goes))
        model.add(sum(takes for _, takes in self.chosen[i]) == goes)
        start, end = (self._time(max(o.end_s for o in found), hint) for hint in self._now(was))
        model.add(start == sum(o.start_s * takes for o, takes in self.chosen[i]))
        model.add(end == sum(o.end_s * takes for o, takes in self.chosen[i]))
        size = self._time(problem.horizon_s, self._now(was)[1] - self._now(was)[0])
        model.add(size == end - start)
        gap = problem.handover_s
        for k, earliest in ways.items():
            there = self.at[i][k] = self._bool(was is not None and was.charger == k)
            self.terms.append(PERCENT * _way(problem, i, k) * there)
            model.add(start >= earliest).only_enforce_if(there)
            self.on_charger[k].append(model.new_optional_interval_var(start, size + gap, end + gap, there, ""))
        model.add(sum(self.at[i].values()) == goes)

    def _now(self, was: Visit | None) -> tuple[int, int]:
        return (0, 0) if was is None else (was.start_s, end_s(self.problem, was))

    def _bool(self, hint: bool) -> Any:
        variable = self.model.new_bool_var("")
        self.model.add_hint(variable, hint)
        return variable

    def _time(self, high: int, hint: int) -> Any:
        variable = self.model.new_int_var(0, high, "")
        self.model.add_hint(variable, hint)
        return variable

    def search(self, work: float) -> tuple[tuple[Visit, ...], float]:
        """(visits, what no plan on this grid costs less than). Nothing found in time: the visits it began with."""
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 0
        solver.parameters.max_deterministic_time = work
        solver.parameters.cp_model_presolve = False  # it takes longer than the search, and finds little
        solver.parameters.cp_model_probing_level = 0
        solver.parameters.symmetry_level = 0
        solver.parameters.linearization_level = 2
        status = solver.solve(self.model)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return tuple(self.was.values()), -math.inf
        visits = list(self.fixed)
        for i, chosen in enumerate(self.chosen):
            for option, takes in chosen:
                if solver.value(takes):
                    k = next(k for k, there in self.at[i].items() if solver.value(there))
                    visits.append(Visit(i, k, option.start_s, option.amount))
        return tuple(sorted(visits, key=lambda v: (v.start_s, v.robot))), solver.best_objective_bound / PERCENT
