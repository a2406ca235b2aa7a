"""The charger plan in force: whether one is needed, when it is made anew, and what it says of each robot now."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from planning.charging import NO_CHARGER, PERCENT, ChargePlan, ChargeRobot, Problem, wait_s
from planning.charging import cost as cost_of_plan
from planning.charging_cpsat import MOST_ROBOTS, solve
from planning.charging_rates import Rates
from planning.charging_rule import in_turn, threshold_waits
from planning.config import PlannerConfig
from planning.distance import UNREACHABLE, DistanceTables
from planning.fleet import Robot

MIN_BETWEEN_S, MAX_BETWEEN_S = 60.0, 300.0
"""Plans are made at most, and at least, so often."""
SCARCE_S = 60
"""Waits for chargers until the horizon below which the plain rule is good enough."""
MARGIN = 30.0
"""Lost seconds that a new plan must save to take the place of the one in force."""
SHORTEST_S, LONGEST_S = 600, 6 * 3600


@dataclass(frozen=True, slots=True)
class Turn:
    """A robot's visit: to the charger in `cell`, from start_s on, up to `level` (0 to 1). stint_s: work in the charge."""

    cell: int
    start_s: float
    level: float
    stint_s: float


class Roster:
    """Keeps what it has learnt of batteries, and the plan. Times are seconds of the robots' reports."""

    def __init__(self, config: PlannerConfig) -> None:
        self.config = config
        self.rates = Rates(config.range_s)
        self.turns: dict[str, Turn] = {}
        self.order: list[str] = []
        """Robots by when their turn begins."""
        self.solver, self.waits_s = "none", 0
        self.won: Counter[str] = Counter()
        """How many plans each solver found."""
        self.lag_s = 20.0
        """From when a robot at work is called until it drives, learnt."""
        self._made_s = -math.inf
        self._signature: tuple[object, ...] = ()

    @property
    def reserve(self) -> float:
        """The battery that no plan goes below: as in the sequences of orders."""
        return self.config.charge_below / 2

    def renew(
        self, now_s: float, robots: Sequence[Robot], standing: Mapping[str, int], sent: Mapping[str, int], busy: Collection[str],
        cells: Sequence[int], tables: DistanceTables, step_s: float,
    ) -> bool:  # fmt: skip
        """Looks at the fleet, and makes a new plan if enough has changed. standing: robot -> the charger it stands on; sent: to
        which it is on its way; cells: of open chargers; step_s: of a step in `tables`. False: chargers are not scarce."""
        signature = (
            frozenset(r.id for r in robots),
            tuple(cells),
            frozenset(standing.items()),
            frozenset(sent.items()),
        )
        age_s = now_s - self._made_s
        if age_s < (MIN_BETWEEN_S if signature != self._signature else MAX_BETWEEN_S):
            return bool(self.turns)
        self._signature, self._made_s = signature, now_s
        problem = self._problem(robots, standing, sent, busy, cells, tables, step_s)
        below = [math.floor((self.config.charge_below - self.reserve) / r.cell.drain) for r in problem.robots]
        self.waits_s = threshold_waits(problem, below)
        if self.waits_s < SCARCE_S:
            self.turns, self.order = {}, []
            return False
        self._take(problem, solve(problem, self._in_force(problem, cells)), cells, now_s)
        return bool(self.turns)

    def _problem(
        self, robots: Sequence[Robot], standing: Mapping[str, int], sent: Mapping[str, int], busy: Collection[str],
        cells: Sequence[int], tables: DistanceTables, step_s: float,
    ) -> Problem:  # fmt: skip
        number = {cell: k for k, cell in enumerate(cells)}
        away = [
            [
                math.ceil(int(s) * step_s) if s < UNREACHABLE else NO_CHARGER
                for s in tables.to(cell)[[r.cell for r in robots]]
            ]
            for cell in cells
        ]
        found = [
            ChargeRobot(
                r.id, min(1.0, max(0.0, r.info.battery)), self.rates.cell(r.id), self.reserve, max(self.config.charge_to, self.reserve + 0.05),
                tuple(row[i] for row in away), round(self.lag_s) if r.id in busy else 0,
                number.get(standing.get(r.id, -1), NO_CHARGER), NO_CHARGER if r.id in standing else number.get(sent.get(r.id, -1), NO_CHARGER),
            )
            for i, r in enumerate(robots)
        ]  # fmt: skip
        # About a stint and a charge: each robot then has to come once.
        stints = [r.span_s + r.charge_s(0, r.span_s) for r in found]
        horizon_s = min(LONGEST_S, max(SHORTEST_S, sum(stints) // max(1, len(stints))))
        found.sort(key=lambda r: (r.on == NO_CHARGER, r.sent_to == NO_CHARGER, r.energy_s, r.name))
        return Problem(tuple(found[:MOST_ROBOTS]), (0,) * len(cells), horizon_s)

    def _in_force(self, problem: Problem, cells: Sequence[int]) -> list[ChargePlan]:
        """The turns that are left, in their order, as a plan for the problem as it is now."""
        if not self.turns:
            return []
        number = {r.name: i for i, r in enumerate(problem.robots)}
        where = {cell: k for k, cell in enumerate(cells)}
        goals = [r.span_s for r in problem.robots]
        fixed: dict[int, int] = {}
        for name, turn in self.turns.items():
            if name in number and turn.cell in where:
                robot = problem.robots[number[name]]
                goals[number[name]] = min(robot.span_s, max(0, round((turn.level - robot.reserve) / robot.cell.drain)))
                fixed[number[name]] = where[turn.cell]
        planned = [number[name] for name in self.order if number.get(name) in fixed]
        held = [i for i in range(len(problem.robots)) if problem.must_go(i)]
        rest = sorted(
            set(range(len(problem.robots))) - set(planned) - set(held), key=lambda i: (problem.robots[i].energy_s, i)
        )
        visits = in_turn(problem, goals, fixed, [*held, *(i for i in planned if i not in held), *rest])
        return [ChargePlan(visits, cost_of_plan(problem, visits) / PERCENT - MARGIN, "in force")]

    def _take(self, problem: Problem, plan: ChargePlan, cells: Sequence[int], now_s: float) -> None:
        self.solver = plan.solver
        self.won[plan.solver] += 1
        self.turns = {}
        for visit in sorted(plan.visits, key=lambda v: (v.start_s, v.robot)):
            robot = problem.robots[visit.robot]
            stint = wait_s(robot, visit.start_s)[1] + visit.amount
            self.turns[robot.name] = Turn(cells[visit.charger], now_s + visit.start_s, robot.level(stint), stint)
        self.order = list(self.turns)

    def done(self, robot: str) -> None:
        """Its turn is over, or comes to nothing."""
        self.turns.pop(robot, None)
        self.order = list(self.turns)

    def charge_s(self, robot: str, battery: float, level: float) -> float:
        """Seconds on a charger until the battery is at a level."""
        return self.rates.cell(robot).charge_s(battery, level)
