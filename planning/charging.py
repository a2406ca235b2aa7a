"""When each robot charges, where, and how much: the problem, and what a plan costs.

A robot works until it drives to its charger, or until its battery is at the reserve; there it waits. It leaves the charger
with what the plan gives it, which may be less than full, and works on. Each robot visits a charger at most once within
the horizon, which is about as long as a full battery lasts: the next plan sees further.

Energy is counted in whole seconds of work, time in whole seconds from now. Costs are lost working seconds: driving to a
charger, standing on it, and standing with a battery at the reserve, less the worth of what batteries hold at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from aislewise.errors import InputError

PERCENT = 100
MICRO = 1_000_000
SHARES = (1.0, 0.75, 0.5, 0.35)
"""How far up rules charge, as shares of what lies between the reserve and the top. With less than the last nobody leaves: where
there is too little for all, ever shorter visits would leave chargers to robots that come and go."""
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
        if (
            len(self.levels) != len(self.rates) + 1
            or self.levels[0] != 0.0
            or list(self.levels) != sorted(set(self.levels))
        ):
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
    def least_s(self) -> int:
        """Seconds of work that it leaves a charger with at least."""
        return round(SHARES[-1] * self.span_s)

    @cached_property
    def idle_pct(self) -> int:
        return math.ceil(self.cell.idle * PERCENT)

    @cached_property
    def pieces(self) -> tuple[tuple[int, int], ...]:
        """The charge curve as (seconds of work above the reserve up to which, millionths of a second on the charger for each),
        the last one up to the top."""
        cell = self.cell
        out: list[tuple[int, int]] = []
        for high, rate in zip(cell.levels[1:], cell.rates, strict=False):
            up_to = min(self.span_s, math.floor((high - self.reserve) / cell.drain))
            if not out or up_to > out[-1][0]:
                out.append((up_to, max(1, math.ceil(MICRO * cell.drain / rate))))
        return tuple(p for p in out if p[0] > 0) or ((self.span_s, out[-1][1]),)

    def charge_s(self, arrives: int, amount: int) -> int:
        """Whole seconds for `amount` seconds of work from `arrives` above the reserve on."""
        total, low = 0, arrives
        for up_to, micro in self.pieces:
            part = max(0, min(arrives + amount, up_to) - low)
            total, low = total + part * micro, low + part
        return -(-(total + max(0, arrives + amount - low) * self.pieces[-1][1]) // MICRO)

    def level(self, energy_s: int) -> float:
        """The battery with so many seconds of work above the reserve."""
        return min(1.0, max(0.0, self.reserve + energy_s * self.cell.drain))

    @cached_property
    def worth_pct(self) -> tuple[int, int]:
        """Lost seconds, in hundredths, that a second of work left at the horizon is worth: in the lower half of the battery, and
        above. More than the time that charging it takes, as chargers are scarce; less than 1, or nobody would work."""
        tau = min(1.0, self.pieces[0][1] / MICRO)
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
                raise InputError(
                    "drive_s", f"has {len(robot.drive_s)} entries", f"one for each of {len(self.taken_s)} chargers"
                )
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
