"""When each robot charges, where, and how much: the problem, what a plan costs, and plans by simple rules.

A robot works until it drives to its charger, or until its battery is at the reserve; there it waits. It leaves the charger
with what the plan gives it, which may be less than full, and works on. Each robot visits a charger at most once within
the horizon, which is about as long as a full battery lasts: the next plan sees further.

Energy is counted in whole seconds of work, time in whole seconds from now. Costs are lost working seconds: driving to a
charger, standing on it, and standing with a battery at the reserve, less the worth of what batteries hold at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from aislewise.errors import InputError

PERCENT = 100
MILLI = 1000
SHARES = (1.0, 0.75, 0.5, 0.35)
"""How far up rules charge, as shares of what lies between the reserve and the top."""
LEAST_SHARE = 0.2
MOST_TUNED = 64
"""Of larger fleets, all charge up to the same level."""
SHORT_COST = 20
"""Lost seconds that each second of work under the reserve counts for."""
NO_CHARGER = -1


@dataclass(frozen=True)
class Cell:
    """A robot's battery. drain: share used up by a second of work; idle: share of that drain while it stands; rates: share charged
    in a second between the `levels` (one more, rising, from 0.0): falling, as chargers lower the current towards the end."""

    drain: float
    idle: float
    levels: tuple[float, ...]
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 0.0 < self.drain < 1.0:
            raise InputError("drain", f"{self.drain}", "more than 0 and less than 1 a second")
        if not 0.0 <= self.idle <= 0.99:
            raise InputError("idle", f"{self.idle}", "0 to 0.99")
        if len(self.levels) != len(self.rates) + 1 or self.levels[0] != 0.0 or list(self.levels) != sorted(set(self.levels)):
            raise InputError("levels", f"{self.levels}", "rising from 0.0, one more than rates")
        if not self.rates or min(self.rates) <= 0.0 or list(self.rates) != sorted(self.rates, reverse=True):
            raise InputError("rates", f"{self.rates}", "more than 0 and falling")

    def charge_s(self, low: float, high: float) -> float:
        """Seconds on a charger from one level to another."""
        spans = zip(self.levels, self.levels[1:], self.rates, strict=False)
        return sum(max(0.0, min(high, b) - max(low, a)) / rate for a, b, rate in spans)


@dataclass(frozen=True)
class ChargeRobot:
    """battery, reserve (it never works below), top (it charges to at most): 0 to 1. drive_s: to each charger, NO_CHARGER = no way
    there; ready_s: work in hand that it finishes first; on: the charger it stands on, which its visit
    begins with at once; sent_to: the charger it is on its way to."""

    name: str
    battery: float
    cell: Cell
    reserve: float
    top: float
    drive_s: tuple[int, ...]
    ready_s: int = 0
    on: int = NO_CHARGER
    sent_to: int = NO_CHARGER

    def __post_init__(self) -> None:
        if not 0.0 <= self.battery <= 1.0:
            raise InputError("battery", f"{self.battery}", "0 to 1")
        if not 0.0 <= self.reserve < self.top <= 1.0:
            raise InputError("reserve", f"{self.reserve}", f"0 to less than top {self.top}")

    @cached_property
    def energy_s(self) -> int:
        """Seconds of work down to the reserve, less than 0 under it."""
        return math.floor((self.battery - self.reserve) / self.cell.drain)

    @cached_property
    def span_s(self) -> int:
        """Seconds of work between top and reserve."""
        return max(1, math.floor((self.top - self.reserve) / self.cell.drain))

    @cached_property
    def idle_pct(self) -> int:
        return math.ceil(self.cell.idle * PERCENT)

    @cached_property
    def pieces(self) -> tuple[tuple[int, int], ...]:
        """The charge curve as (seconds of work above the reserve up to which, thousandths of a second on the charger for each),
        the last one up to the top."""
        cell = self.cell
        out: list[tuple[int, int]] = []
        for high, rate in zip(cell.levels[1:], cell.rates, strict=False):
            up_to = min(self.span_s, math.floor((high - self.reserve) / cell.drain))
            if not out or up_to > out[-1][0]:
                out.append((up_to, max(1, math.ceil(MILLI * cell.drain / rate))))
        return tuple(p for p in out if p[0] > 0) or ((self.span_s, out[-1][1]),)

    def charge_s(self, arrives: int, amount: int) -> int:
        """Whole seconds for `amount` seconds of work from `arrives` above the reserve on."""
        total, low = 0, arrives
        for up_to, milli in self.pieces:
            part = max(0, min(arrives + amount, up_to) - low)
            total, low = total + part * milli, low + part
        return -(-(total + max(0, arrives + amount - low) * self.pieces[-1][1]) // MILLI)

    def level(self, energy_s: int) -> float:
        """The battery with so many seconds of work above the reserve."""
        return min(1.0, max(0.0, self.reserve + energy_s * self.cell.drain))

    @cached_property
    def worth_pct(self) -> tuple[int, int]:
        """Lost seconds, in hundredths, that a second of work left at the horizon is worth: in the lower half of the battery, and
        above. More than the time that charging it takes, as chargers are scarce; less than 1, or nobody would work."""
        tau = min(1.0, self.pieces[0][1] / MILLI)
        return round(PERCENT * (tau + 0.5 * (1 - tau))), round(PERCENT * (tau + 0.25 * (1 - tau)))


@dataclass(frozen=True)
class Problem:
    """taken_s: when each charger is left by what is none of the robots; handover_s: from when one leaves a charger until the
    next stands on it; moving_s: what it costs to send a robot to another charger than it is on its way to."""

    robots: tuple[ChargeRobot, ...]
    taken_s: tuple[int, ...]
    horizon_s: int
    handover_s: int = 15
    moving_s: int = 30

    def __post_init__(self) -> None:
        if self.horizon_s < 1:
            raise InputError("horizon_s", f"{self.horizon_s}", "at least 1")
        on = [r.on for r in self.robots if r.on != NO_CHARGER]
        if len(on) != len(set(on)):
            raise InputError("robots", "two stand on one charger")
        for robot in self.robots:
            if len(robot.drive_s) != len(self.taken_s):
                raise InputError("drive_s", f"has {len(robot.drive_s)} entries", f"one for each of {len(self.taken_s)} chargers")
            if not all(NO_CHARGER <= k < len(self.taken_s) for k in (robot.on, robot.sent_to)):
                raise InputError("on", f"{robot.on}, {robot.sent_to}", f"less than {len(self.taken_s)} chargers")

    def must_go(self, i: int) -> bool:
        """It stands on a charger, or drives to one."""
        return self.robots[i].on != NO_CHARGER or self.robots[i].sent_to != NO_CHARGER

    def earliest(self, i: int, charger: int) -> int:
        """When robot i can stand on a charger, as far as it goes by itself; NO_CHARGER: never."""
        robot = self.robots[i]
        if robot.on != NO_CHARGER:
            return 0 if robot.on == charger else NO_CHARGER
        drive = robot.drive_s[charger]
        return drive if drive < 0 else drive + robot.ready_s


@dataclass(frozen=True, slots=True)
class Visit:
    """Robot number `robot` stands on a charger from start_s on and charges `amount` seconds of work."""

    robot: int
    charger: int
    start_s: int
    amount: int


@dataclass(frozen=True)
class ChargePlan:
    """visits by start; cost: lost seconds; bound: no plan costs less (-inf: not known); solver: who found it."""

    visits: tuple[Visit, ...]
    cost: float
    solver: str
    bound: float = -math.inf


def wait_s(robot: ChargeRobot, until_s: int) -> tuple[int, int]:
    """Of the time until a visit, the seconds that the robot stands because its battery would not last, and the seconds of work
    that it then is above the reserve (below 0: it is under it, since standing uses energy as well)."""
    left = robot.energy_s - until_s
    saved_pct = PERCENT - robot.idle_pct
    stands = min(until_s, max(0, -(left * PERCENT // saved_pct)))
    return stands, left + stands * saved_pct // PERCENT


def end_s(problem: Problem, visit: Visit) -> int:
    """When the robot leaves the charger."""
    robot = problem.robots[visit.robot]
    return visit.start_s + robot.charge_s(wait_s(robot, visit.start_s)[1], visit.amount)


def worth(robot: ChargeRobot, energy_s: int) -> int:
    """Of what a battery holds, in hundredths of lost seconds."""
    low, high = robot.worth_pct
    half = robot.span_s // 2
    return low * min(energy_s, half) + high * max(0, energy_s - half)


def cost_of(problem: Problem, i: int, visit: Visit | None) -> int:
    """What robot i loses until the horizon, in hundredths of seconds."""
    robot, horizon = problem.robots[i], problem.horizon_s
    if visit is None:
        stands, left = wait_s(robot, horizon)
        return PERCENT * (stands + SHORT_COST * max(0, -left)) - worth(robot, max(0, left))
    stands, arrives = wait_s(robot, visit.start_s)
    end = end_s(problem, visit)
    after = arrives + visit.amount - (horizon - end)
    drive = 0 if robot.on != NO_CHARGER else robot.drive_s[visit.charger]
    moving = problem.moving_s if robot.sent_to not in (NO_CHARGER, visit.charger) else 0
    seconds = stands + drive + (end - visit.start_s) + moving + max(0, -after) + SHORT_COST * max(0, -arrives)
    return PERCENT * seconds - worth(robot, max(0, after))


def cost(problem: Problem, visits: Iterable[Visit]) -> int:
    """Of a plan, in hundredths of lost seconds."""
    by_robot = {visit.robot: visit for visit in visits}
    return sum(cost_of(problem, i, by_robot.get(i)) for i in range(len(problem.robots)))


def greedy(problem: Problem) -> ChargePlan:
    """Who is empty first charges first, all up to the same level, the best of a few; then up to which level each by itself,
    as long as that gains: less for some, so that others need not wait."""
    robots = problem.robots
    least, goals = min((cost(problem, in_turn(problem, g)), g) for g in ([round(s * r.span_s) for r in robots] for s in SHARES))
    for i in range(len(robots)) if len(robots) <= MOST_TUNED else ():
        for share in (*SHARES, LEAST_SHARE):
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
    usual = sorted(range(len(robots)), key=lambda i: (robots[i].on == NO_CHARGER, robots[i].sent_to == NO_CHARGER, robots[i].energy_s, i))
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
        if end > problem.horizon_s or not (problem.must_go(i) or cost_of(problem, i, visit) < cost_of(problem, i, None)):
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
