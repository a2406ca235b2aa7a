"""Nobody keeps a turn behind a robot that has been stopped, and all that was promised of turns still holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.clock import to_ns
from aislewise.sitemap import SiteMap
from aislewise.types import Pose2D, RobotInfo, RobotMode
from planning.config import PlannerConfig
from planning.execute import ReleaseGraph
from planning.fleet import LATE_S, Fleet
from planning.goals import Goal
from planning.traffic import TrafficPlanner

CONFIG = PlannerConfig(horizon=6)
TICK_S = 1.0 / CONFIG.speed_mps
LATE_TICKS = int((LATE_S + 2 * TICK_S) / TICK_S)
LADDER = (
    ".........",
    ".###.###.",
    ".........",
    ".###.###.",
    ".........",
)
RING = (
    "......",
    ".####.",
    "......",
)
LANES = (
    "..........",
    "..........",
)


class Robot:
    """Runs one cell a tick, or stands for `stands` ticks."""

    def __init__(self, cell: int) -> None:
        self.cell, self.reached, self.stands = cell, 0, 0


class Floor:
    """Robots on a grid, and the part of the planner that moves them. Judges by where robots are, and by a search of its own
    for rings in who waits for whom."""

    def __init__(self, rows: tuple[str, ...], starts: list[int], seed: int, config: PlannerConfig = CONFIG) -> None:
        closed = np.array([[char == "#" for char in row] for row in rows])
        self.site = SiteMap("floor", 1.0, 0.0, 0.0, closed.astype(np.uint8), {})
        self.fleet, self.traffic = Fleet(self.site, config), TrafficPlanner(self.site.free, seed)
        self.robots = {f"r{k}": Robot(cell) for k, cell in enumerate(starts)}
        self.goals: dict[str, int] = {}
        self.ticks = 0

    def plan(self) -> None:
        now_ns = to_ns(self.ticks * TICK_S)
        infos = [
            RobotInfo(n, Pose2D(*self.site.centre(r.cell)), 1.0, (), RobotMode.IDLE, r.reached, now_ns)
            for n, r in self.robots.items()
        ]
        nothing = np.zeros(self.site.cells.size, np.bool_)
        self.fleet.hear(infos, now_ns)
        self.fleet.take_back(nothing, now_ns)
        self.fleet.unstick(now_ns)
        shut = self.fleet.shut(nothing.size)
        aims = {name: Goal(cell, 0, False) for name, cell in self.goals.items()}
        names, _, paths = self.fleet.joint_paths(self.traffic, aims, shut, now_ns)
        self.fleet.send_cells(self.fleet.graph.extend(names, paths, shut))
        assert not rings(self.fleet.graph)

    def drive(self) -> None:
        self.ticks += 1
        inside = Counter(robot.cell for robot in self.robots.values())
        moved = []
        for name, robot in self.robots.items():
            pending = self.fleet.robots[name].pending
            if robot.stands or not pending:
                robot.stands = max(0, robot.stands - 1)
                continue
            inside[pending[0].cell] += pending[0].cell != robot.cell  # while it drives it is in both
            moved.append((robot, pending[0]))
        assert max(inside.values()) == 1
        for robot, waypoint in moved:
            assert abs(waypoint.cell - robot.cell) in (0, 1, self.site.width)
            robot.cell, robot.reached = waypoint.cell, waypoint.seq

    def step(self) -> None:
        self.plan()
        self.drive()

    def cells(self) -> list[int]:
        return [robot.cell for robot in self.robots.values()]


def rings(graph: ReleaseGraph) -> bool:
    """Whether somebody waits for itself. A visit that is not held comes after the robot's visit before it, and after each robot
    that is to pass the cell first has gone on: all of them, by taking away what nothing stands before, over and over."""
    tracks = {robot: list(track.visits) for robot, track in graph._tracks.items()}
    place = {id(v): (robot, k) for robot, visits in tracks.items() for k, v in enumerate(visits)}
    before: dict[tuple[str, int], set[tuple[str, int]]] = {}
    for robot, visits in tracks.items():
        for k, visit in enumerate(visits):
            needs = {(robot, k - 1)} if k else set()
            for other in graph._queues[visit.cell]:
                if other is visit:
                    break
                needs.add((place[id(other)][0], place[id(other)][1] + 1))
            before[robot, k] = needs
    done: set[tuple[str, int]] = set()
    while ready := [visit for visit, needs in before.items() if visit not in done and needs <= done]:
        done.update(ready)
    return len(done) < len(before)


def behind_a_stopped_robot(config: PlannerConfig = CONFIG) -> Floor:
    """r1 comes up behind r0, which is stopped on the lower of two lanes."""
    floor = Floor(LANES, [4, 0], 1, config)
    floor.goals = {"r0": 9, "r1": 8}
    floor.robots["r0"].stands = 10**6
    floor.step()
    while not floor.fleet.robots["r0"].pending:  # it is sent nothing at first, as it may still be under way
        floor.step()
    return floor


def test_who_has_another_way_goes_first_as_soon_as_the_first_is_late() -> None:
    floor = behind_a_stopped_robot()
    for _ in range(LATE_TICKS):
        floor.step()
    assert floor.robots["r1"].cell == 3  # behind it, as planned
    while floor.robots["r1"].cell != 8 and floor.ticks * TICK_S < CONFIG.stall_s:
        floor.step()
    assert floor.robots["r1"].cell == 8 and floor.robots["r0"].cell == 4


def test_what_is_committed_behind_a_late_robot_is_taken_back_and_its_cells_are_its_own() -> None:
    floor = behind_a_stopped_robot()
    graph, size = floor.fleet.graph, floor.site.cells.size
    for _ in range(LATE_TICKS):
        floor.step()
    assert not floor.fleet.shut(size).any()
    assert set(graph.committed("r1")[1:]) & set(graph.held("r0"))  # in line
    held = graph.held("r0")
    assert len(held) == 1 + CONFIG.lookahead
    floor.plan()
    assert np.flatnonzero(floor.fleet.shut(size)).tolist() == sorted(held) == sorted(graph.held("r0"))
    assert not set(graph.committed("r1")) & set(held)


def test_cells_of_a_late_robot_are_open_again_when_it_gets_on() -> None:
    floor = behind_a_stopped_robot()
    for _ in range(LATE_TICKS + 2):
        floor.step()
    assert floor.fleet.shut(floor.site.cells.size).any()
    floor.robots["r0"].stands = 0
    floor.step()
    floor.plan()
    assert not floor.fleet.shut(floor.site.cells.size).any()


def test_who_is_told_to_drive_slowly_has_that_much_longer() -> None:
    floor = Floor(LANES, [0], 0)
    floor.goals = {"r0": 9}
    for _ in range(5):
        floor.plan()
        floor.ticks += 1
    pending, since_s = floor.fleet.robots["r0"].pending, floor.fleet.robots["r0"].moved_ns / 1e9
    held = list(floor.fleet.graph.held("r0"))
    assert floor.fleet._held_up(to_ns(since_s + LATE_S + 10.0)) == held
    pending[0] = replace(pending[0], max_speed_mps=0.1)
    assert floor.fleet._held_up(to_ns(since_s + LATE_S + 19.0)) == []
    assert floor.fleet._held_up(to_ns(since_s + LATE_S + 21.0)) == held


def test_without_replanning_turns_are_kept() -> None:
    floor = behind_a_stopped_robot(PlannerConfig(horizon=6, replanning=False))
    while floor.ticks * TICK_S < CONFIG.stall_s - TICK_S:
        floor.step()
    assert floor.robots["r1"].cell == 3


def crowd(rows: tuple[str, ...], seed: int) -> tuple[Floor, np.random.Generator]:
    rng = np.random.default_rng(seed)
    free = np.flatnonzero(np.array(list("".join(rows))) == ".")
    floor = Floor(rows, rng.choice(free, len(free) // 3, replace=False).tolist(), seed)
    floor.goals = {name: int(rng.choice(free)) for name in floor.robots}
    return floor, rng


def work(floor: Floor, rng: np.random.Generator, ticks: int, stop: float) -> Counter[str]:
    """Robots drive to one goal after another, and are stopped for up to 30 s with the probability `stop` a tick."""
    free = np.flatnonzero(floor.site.free.ravel())
    reached: Counter[str] = Counter()
    for _ in range(ticks):
        floor.step()
        for name, robot in floor.robots.items():
            if rng.random() < stop:
                robot.stands = int(rng.integers(1, 45))
            if robot.cell == floor.goals[name]:
                reached[name] += 1
                floor.goals[name] = int(rng.choice(free))
    return reached


@settings(max_examples=12, deadline=None)
@given(st.sampled_from([LADDER, RING, LANES]), st.integers(0, 10**6), st.sampled_from([0.01, 0.05]))
def test_stops_cause_no_conflict_and_no_ring_and_everyone_gets_on_after_them(
    rows: tuple[str, ...], seed: int, stop: float
) -> None:
    floor, rng = crowd(rows, seed)
    work(floor, rng, 150, stop)
    reached = work(floor, rng, 250, 0.0)
    assert set(reached) == set(floor.robots)


@pytest.mark.parametrize("rows", [LADDER, LANES])
def test_while_nobody_stops_all_is_as_if_nobody_could_be_late(
    rows: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = []
    for late_s in (LATE_S, 1e6):
        monkeypatch.setattr("planning.fleet.LATE_S", late_s)
        floor, rng = crowd(rows, 3)
        way = []
        for _ in range(120):
            work(floor, rng, 1, 0.0)
            way.append(floor.cells())
        ways.append(way)
    assert ways[0] == ways[1]
