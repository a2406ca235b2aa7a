"""Power with many robots and few chargers: turns instead of queues; and as ever where chargers are not scarce."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aislewise.clock import to_ns
from aislewise.types import Decision, Pose2D, RobotInfo, RobotMode
from planning.config import PlannerConfig
from planning.distance import DistanceTables
from planning.fleet import Robot
from planning.power import Power
from tests.planning.conftest import build_site

STEP_S = 5.0


class Shift:
    """Robots that work whenever they may, and reach what they are sent to within a call."""

    def __init__(
        self,
        site: Any,
        batteries: Sequence[float],
        planned: bool = True,
        work_s: float = 2000.0,
        charge_s: float = 800.0,
    ) -> None:
        self.site, self.work_s, self.charge_s = site, work_s, charge_s
        self.power = Power(site, PlannerConfig(range_s=work_s), planned)
        self.tables = DistanceTables(site.free)
        cells = np.flatnonzero(site.free.ravel())
        self.robots = []
        for k, battery in enumerate(batteries):
            info = RobotInfo(f"r{k}", Pose2D(0.0, 0.0), battery, (), RobotMode.IDLE, 0, 0)
            self.robots.append(Robot(info.id, info, int(cells[k]), 1, 0, 0))
        self.home = {r.id: r.cell for r in self.robots}
        self.now_s, self.worked, self.lowest = 0.0, 0, 1.0
        self.decisions: list[Decision] = []

    def step(self, shut: Sequence[int] = ()) -> list[Decision]:
        mask = np.zeros(self.site.cells.size, np.bool_)
        mask[list(shut)] = True
        busy = {r.id for r in self.robots if self.power.may_work(r)}
        said = self.power.assign(self.robots, set(), busy, self.tables, mask)
        self.decisions += said
        self.now_s += STEP_S
        on: set[int] = {r.cell for r in self.robots if self.power.chargers.get(r.id) == r.cell}
        for robot in self.robots:
            charger, works = self.power.chargers.get(robot.id, -1), self.power.may_work(robot)
            if charger != robot.cell and charger >= 0 and charger not in on:
                robot.cell = charger
                on.add(charger)
            elif charger < 0:
                robot.cell = self.home[robot.id]
            change = (
                STEP_S / self.charge_s if robot.cell == charger else -STEP_S * (1.0 if works else 0.2) / self.work_s
            )
            self.worked += works
            battery = min(1.0, max(0.0, robot.info.battery + change))
            self.lowest = min(self.lowest, battery)
            robot.info = replace(robot.info, battery=battery, heard_at_ns=to_ns(self.now_s))
        return said

    def run(self, seconds: float) -> Shift:
        while self.now_s < seconds:
            self.step()
        return self


@pytest.fixture(scope="module")
def crowd() -> dict[bool, Shift]:
    """Seven robots, two chargers, by the plain rule and in turns."""
    site = build_site()
    batteries = [0.75, 0.74, 0.73, 0.72, 0.71, 0.7, 0.69]
    return {planned: Shift(site, batteries, planned, charge_s=1400.0).run(2500.0) for planned in (False, True)}


def test_a_crowd_on_two_chargers_works_more_in_turns_than_when_all_come_low(crowd: dict[bool, Shift]) -> None:
    assert crowd[True].worked > 1.1 * crowd[False].worked
    assert crowd[True].lowest > 0.1


def test_some_go_early_and_some_leave_before_they_are_full_with_reasons(crowd: dict[bool, Shift]) -> None:
    went = [d for d in crowd[True].decisions if d.choice == "charge"]
    left = [d for d in crowd[True].decisions if d.choice == "leave charger"]
    assert any(d.numbers["battery"] > 0.4 for d in went)
    assert any(d.numbers["battery"] < 0.75 for d in left)
    assert "its turn to charge up to" in went[0].because and "turn" in left[0].because


def test_nobody_shares_a_charger_with_more_than_the_next_in_turn(make: Any) -> None:
    shift = Shift(make.site(), [0.5] * 8)
    while shift.now_s < 900.0:
        shift.step()
        users = list(shift.power.chargers.values())
        assert max((users.count(c) for c in users), default=0) <= 2


def test_the_same_shift_has_the_same_decisions(make: Any) -> None:
    first, second = (Shift(make.site(), [0.6, 0.5, 0.55, 0.45, 0.5]).run(500.0) for _ in range(2))
    assert first.decisions == second.decisions and first.decisions


@pytest.mark.parametrize("batteries", [[0.5, 0.35], [0.31, 0.3, 0.95], [0.9, 0.6, 0.32]])
def test_where_chargers_are_not_scarce_decisions_are_those_of_the_plain_rule(make: Any, batteries: list[float]) -> None:
    plain, planned = (Shift(make.site(), batteries, p, 40_000.0, 600.0) for p in (False, True))
    for _ in range(800):
        assert plain.step() == planned.step()
        assert plain.power.chargers == planned.power.chargers
    assert any(d.choice == "charge" for d in plain.decisions)


def test_a_charger_that_is_shut_loses_its_turns(make: Any) -> None:
    site = make.site()
    shift = Shift(site, [0.5] * 6).run(600.0)
    shut = site.of_kind("charger")[0].cell
    for _ in range(60):
        shift.step([shut])
        assert shut not in shift.power.chargers.values()
    assert shift.power.chargers


def test_robots_that_vanish_leave_their_turns(make: Any) -> None:
    shift = Shift(make.site(), [0.4] * 6).run(400.0)
    gone = set(shift.power.chargers)
    shift.robots = [r for r in shift.robots if r.id not in gone]
    for _ in range(60):
        shift.step()
    assert gone and not gone & set(shift.power.chargers)


def test_large_fleets_keep_the_plain_rule(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planning.power.MOST_PLANNED", 4)
    plain, planned = (Shift(make.site(), [0.4] * 6, p) for p in (False, True))
    for _ in range(200):
        assert plain.step() == planned.step()
