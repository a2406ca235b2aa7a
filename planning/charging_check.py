"""Replays a charger plan second by second and names what is wrong with it. Shares no code with who makes plans: it takes
batteries as they are, in shares of full, and lets them run down and fill up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from planning.charging import ChargeRobot, Problem, Visit

SLACK_S = 3
"""Seconds of work that whole seconds may hide."""


@dataclass(slots=True)
class Replay:
    """faults: in words; worked_s, stood_s, on_charger_s, drove_s: of each robot until the horizon; lowest, last: batteries."""

    faults: list[str] = field(default_factory=list)
    worked_s: list[int] = field(default_factory=list)
    stood_s: list[int] = field(default_factory=list)
    on_charger_s: list[int] = field(default_factory=list)
    drove_s: list[int] = field(default_factory=list)
    lowest: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)


def replay(problem: Problem, visits: Sequence[Visit]) -> Replay:
    out = Replay()
    visit_of: dict[int, Visit] = {}
    for visit in visits:
        if not 0 <= visit.robot < len(problem.robots) or not 0 <= visit.charger < len(problem.taken_s):
            out.faults.append(f"{visit}: no such robot or charger")
        elif visit.robot in visit_of:
            out.faults.append(f"{problem.robots[visit.robot].name} visits twice")
        else:
            visit_of[visit.robot] = visit
    held: list[dict[int, str]] = [{} for _ in problem.taken_s]
    for i, robot in enumerate(problem.robots):
        _robot(problem, robot, visit_of.get(i), held, out)
    return out


def _robot(problem: Problem, robot: ChargeRobot, visit: Visit | None, held: list[dict[int, str]], out: Replay) -> None:
    worked = stood = charged = 0
    level = lowest = on_the_way = robot.battery
    drive = 0
    if visit is None:
        if robot.on >= 0:
            out.faults.append(f"{robot.name} stands on a charger, which no visit says")
    else:
        drive = 0 if robot.on >= 0 else robot.drive_s[visit.charger]
        _may_come(problem, robot, visit, drive, out)
    goal = 0.0
    for second in range(problem.horizon_s):
        begins = visit is not None and second == visit.start_s
        if begins and visit is not None:
            goal = level + visit.amount * robot.cell.drain
            if goal < robot.reserve + 0.34 * (robot.top - robot.reserve) - SLACK_S * robot.cell.drain:
                out.faults.append(f"{robot.name} leaves with {goal:.3f}, which is too little")
            if goal > max(robot.top, robot.battery) + SLACK_S * robot.cell.drain:
                out.faults.append(f"{robot.name} charges to {goal:.3f}, top is {robot.top}")
        if visit is not None and second >= visit.start_s and (level < goal - 1e-9):
            rate = next(
                r
                for high, r in zip(robot.cell.levels[1:], robot.cell.rates, strict=True)
                if level < high or high >= 1.0
            )
            level, charged = min(level + rate, goal), charged + 1
            goal = goal if level < goal - 1e-9 else 0.0
            _hold(problem, robot, visit.charger, second, held, out)
            continue
        before = visit is not None and second < visit.start_s
        until = problem.horizon_s if visit is None else visit.start_s if before else second + 1
        ahead = (until - second - 1) * robot.cell.idle * robot.cell.drain
        driving = before and visit is not None and second >= visit.start_s - drive
        if driving or level - robot.cell.drain - ahead >= robot.reserve - 1e-9:
            level -= robot.cell.drain
            worked += not driving
        else:
            level -= robot.cell.idle * robot.cell.drain
            stood += 1
        lowest = min(lowest, level)
        on_the_way = lowest if before else on_the_way
    if visit is not None and goal > 0.0 and level < goal - SLACK_S * robot.cell.drain:
        out.faults.append(f"{robot.name} is at {level:.3f} at the horizon and was to leave at {goal:.3f}")
    if visit is not None and on_the_way < robot.reserve - (SLACK_S + drive) * robot.cell.drain:
        start = visit.start_s * robot.cell.idle * robot.cell.drain
        if robot.battery - start >= robot.reserve:
            out.faults.append(f"{robot.name} comes to {on_the_way:.3f}, under the reserve {robot.reserve}")
    for figures, value in (
        (out.worked_s, worked),
        (out.stood_s, stood),
        (out.on_charger_s, charged),
        (out.drove_s, drive),
    ):
        figures.append(value)
    out.lowest.append(lowest)
    out.last.append(level)


def _may_come(problem: Problem, robot: ChargeRobot, visit: Visit, drive: int, out: Replay) -> None:
    if robot.on >= 0 and (robot.on != visit.charger or visit.start_s != 0):
        out.faults.append(
            f"{robot.name} stands on charger {robot.on} and is planned on {visit.charger} from {visit.start_s} s"
        )
    if robot.on < 0 and drive < 0:
        out.faults.append(f"{robot.name} has no way to charger {visit.charger}")
    elif robot.on < 0 and visit.start_s < drive + robot.ready_s:
        out.faults.append(f"{robot.name} cannot be on charger {visit.charger} at {visit.start_s} s")
    if visit.start_s < problem.taken_s[visit.charger]:
        out.faults.append(f"charger {visit.charger} is taken when {robot.name} comes")
    if visit.amount < 0 or visit.start_s > problem.horizon_s:
        out.faults.append(f"{robot.name} charges {visit.amount} s from {visit.start_s} s on")


def _hold(
    problem: Problem, robot: ChargeRobot, charger: int, second: int, held: list[dict[int, str]], out: Replay
) -> None:
    """The charger is its own until the handover after this second is over."""
    for t in (second, second + max(0, problem.handover_s - SLACK_S)):
        other = held[charger].setdefault(t, robot.name)
        if other != robot.name:
            out.faults.append(f"{robot.name} and {other} on charger {charger} at {t} s")
