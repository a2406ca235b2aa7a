"""What a robot's payload, battery and bad luck do to it; and that they do nothing unless asked for."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aislewise.errors import InputError
from aislewise.types import Colour, Pose2D, RobotMode, Waypoint
from sim.mesh import F32
from sim.robots import Carried, RobotConfig, SimRobot
from sim.scenario import Fidelity, Scenario
from sim.warehouse import WarehouseConfig
from sim.wear import Renewal, Wear
from sim.world import SimWorld

PAINT: F32 = np.zeros(3, np.float32)
SMALL = WarehouseConfig(width=20, height=26, blocks=1, stations=4, chargers=4, parking=2, bays=1)


class _Open:
    """Nothing stands in the way."""

    def gap_ahead(self, robot: str, pose: Pose2D, backwards: bool) -> float:
        return 100.0

    def may_turn(self, robot: str, pose: Pose2D) -> bool:
        return True


def _robot(config: RobotConfig, **changes: object) -> SimRobot:
    wear = Wear(config, lambda kind: np.random.default_rng([5, kind]))
    robot = SimRobot("robot_1", Pose2D(0.0, 0.0), config, Colour.WHITE, PAINT, np.random.default_rng(0), wear=wear)
    for name, value in changes.items():
        setattr(robot, name, value)
    return robot


def _lane(robot: SimRobot, cells: int) -> None:
    robot.set_route(0, [Waypoint(k, float(k + 1), 0.0, k + 1) for k in range(cells)])


def _time_of(robot: SimRobot, cells: int, limit_s: float = 1000.0) -> float:
    _lane(robot, cells)
    steps = 0
    while robot.route and steps < limit_s / 0.05:
        robot.step(0.05, _Open())
        steps += 1
    return steps * 0.05


def _load(kg: float) -> Carried:
    return Carried("o", "o:0", "goods_1", Colour.RED, PAINT, kg)


def test_a_laden_robot_gathers_speed_more_slowly_and_an_overladen_one_creeps() -> None:
    config = RobotConfig(mass_kg=100.0, load_kg=(50.0, 100.0), payload_kg=100.0)
    empty, laden, over = (_time_of(_robot(config, load=[_load(kg)] if kg else []), 20) for kg in (0.0, 100.0, 150.0))
    # A trapezoid of speed: s / v + v / a.
    v, a = config.speed_mps, config.accel_mps2
    assert empty == pytest.approx(20 / v + v / a, abs=0.6)
    assert laden == pytest.approx(20 / v + 2 * v / a, abs=0.6)
    assert over == pytest.approx(20 / config.reverse_mps, abs=2.0)


@pytest.mark.parametrize("most", [0.3, 1.0])
def test_a_robot_is_slow_where_it_is_told_to_be_and_nowhere_else(most: float) -> None:
    """It has slowed down when it gets there, and is as fast as ever elsewhere."""
    robot = _robot(RobotConfig())
    robot.set_route(0, [Waypoint(k, float(k + 1), 0.0, k + 1, max_speed_mps=most if 8 <= k < 12 else 0.0) for k in range(20)])
    inside, outside = [], []
    while robot.route:
        before = robot.pose.x_m
        robot.step(0.05, _Open())
        (inside if 8.0 < before and robot.pose.x_m <= 12.0 else outside).append(robot.speed_mps)
    assert max(inside) == pytest.approx(most, abs=0.01) and np.mean(inside) > 0.9 * most
    assert max(outside) == pytest.approx(RobotConfig().speed_mps)


def test_charging_slows_above_the_bend_and_ends() -> None:
    straight, bent = RobotConfig(charge_s=600.0), RobotConfig(charge_s=600.0, taper_from=0.8)

    def seconds(config: RobotConfig, low: float, high: float) -> float:
        battery, t = low, 0.0
        while battery < high:
            battery, t = config.charged(battery, 0.1), t + 0.1
        return t

    assert seconds(bent, 0.0, 0.8) == pytest.approx(seconds(straight, 0.0, 0.8), abs=0.2)
    # From 0.8 on the missing charge decays with 0.2 * charge_s as its time constant.
    assert seconds(bent, 0.8, 0.95) == pytest.approx(120.0 * math.log(4.0), abs=1.0)
    assert seconds(bent, 0.0, 1.0) < 3600.0


@given(st.floats(0, 1), st.floats(0.01, 60), st.floats(0.1, 1.0))
def test_charge_rises_and_stays_in_bounds(battery: float, dt_s: float, bend: float) -> None:
    config = RobotConfig(taper_from=bend)
    after = config.charged(battery, dt_s)
    assert battery <= after <= 1.0
    assert after <= RobotConfig().charged(battery, dt_s) + 1e-12


def test_an_empty_robot_stands_and_says_so_until_it_is_charged() -> None:
    config = RobotConfig(stops_when_empty=True)
    robot = _robot(config, battery=0.0)
    _lane(robot, 3)
    robot.step(1.0, _Open())
    assert robot.mode is RobotMode.STOPPED and robot.pose.x_m == 0.0 and robot.problem == "battery empty"
    at_charger = _robot(config, battery=0.0)
    at_charger.set_route(0, [Waypoint(0, 0.0, 0.0, 0, "charge", "c", 10.0)])
    for _ in range(40):
        at_charger.step(0.5, _Open())
    assert at_charger.battery > 0.0 and at_charger.problem == ""
    without = _robot(RobotConfig(), battery=0.0)
    assert _time_of(without, 3) < 10.0 and without.problem == ""


def test_picks_take_longer_or_shorter_but_as_planned_on_average() -> None:
    wear = Wear(RobotConfig(dwell_spread=0.5), lambda kind: np.random.default_rng([1, kind]))
    times = np.array([wear.dwell() for _ in range(4000)])
    assert times.min() > 0.0
    assert times.mean() == pytest.approx(1.0, abs=5 * 0.5 / math.sqrt(4000))
    assert times.std() == pytest.approx(0.5, abs=0.06)
    robot = _robot(RobotConfig(dwell_spread=0.5))
    lengths = []
    for seq in range(6):
        robot.set_route(seq, [Waypoint(seq, 0.0, 0.0, 0, "pick", f"a:{seq}", 4.0)])
        steps = 0
        while robot.route:
            robot.step(0.05, _Open())
            steps += 1
        lengths.append(steps)
    assert len(set(lengths)) > 3


def test_a_broken_robot_stands_for_its_repair_and_goes_on() -> None:
    config = RobotConfig(mtbf_s=20.0, mttr_s=30.0)
    robot = _robot(config)
    _lane(robot, 60)
    broken_s, moved_while_broken = 0.0, 0.0
    for _ in range(20_000):
        was = robot.pose.x_m, robot.speed_mps
        robot.step(0.05, _Open())
        if robot.problem:
            assert robot.problem == "broken down" and robot.mode is RobotMode.STOPPED
            broken_s += 0.05
            moved_while_broken += (robot.pose.x_m - was[0]) * (was[1] == 0.0)
        if not robot.route:
            break
    assert robot.wear is not None and robot.wear.breakdowns >= 1
    assert not robot.route and moved_while_broken == 0.0
    assert broken_s > 1.0


def test_time_between_failures_counts_work_alone() -> None:
    idle = Renewal(10.0, 5.0, np.random.default_rng(0))
    assert not any(idle.step(1.0, False) for _ in range(10_000))
    busy = Renewal(10.0, 5.0, np.random.default_rng(0))
    on = np.mean([busy.step(0.05, True) for _ in range(400_000)])
    assert on == pytest.approx(5.0 / 15.0, abs=0.03)
    assert busy.count == pytest.approx(20_000 / 15.0, rel=0.1)


def test_slow_downs_cost_their_share_of_time() -> None:
    plain = _time_of(_robot(RobotConfig()), 400)
    slow = _time_of(_robot(RobotConfig(slow_every_s=10.0, slow_s=10.0, slow_by=0.5)), 400)
    assert 1.15 * plain < slow < 2.0 * plain


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"load_kg": (5.0, 10.0)}, "robot.mass_kg"),
        ({"load_kg": (10.0, 5.0), "mass_kg": 1.0}, "robot.load_kg"),
        ({"load_kg": (5.0, 10.0), "mass_kg": 50.0, "payload_kg": 8.0}, "robot.payload_kg"),
        ({"taper_from": 0.0}, "robot.taper_from"),
        ({"mtbf_s": -1.0}, "robot.mtbf_s"),
        ({"mttr_s": 0.0}, "robot.mttr_s"),
        ({"slow_by": 1.0}, "robot.slow_by"),
        ({"dwell_spread": float("nan")}, "robot.dwell_spread"),
    ],
)
def test_a_bad_option_names_its_field(changes: dict[str, float], field: str) -> None:
    with pytest.raises(InputError, match=field):
        RobotConfig(**changes)  # type: ignore[arg-type]


# --- in the world ------------------------------------------------------------------------------


def _drive(config: RobotConfig, seconds: float = 40.0) -> tuple[SimWorld, list[tuple[float, ...]]]:
    world = SimWorld(Scenario(warehouse=SMALL, robots=2, people=1, forklifts=0, robot=config))
    track = []
    for name in ("robot_1", "robot_2"):
        pose = world.true_pose(name)
        cell, width = world.site.cell_at(pose.x_m, pose.y_m), world.site.width
        step = next(s for s in (width, -width, 1, -1) if world.site.free.flat[cell + s])
        route = [Waypoint(k, *world.site.centre(c), c) for k, c in enumerate([cell + step, cell] * 8)]
        world.set_route(name, 0, route)
    for _ in range(round(seconds * 10)):
        world.step(0.1)
        for name in world.robots:
            p = world.true_pose(name)
            track.append((p.x_m, p.y_m, p.yaw_rad, world.robot_info(name).battery))
    return world, track


def test_what_is_off_leaves_everything_as_it_was() -> None:
    """Options that never come into force draw from streams of their own, and change no one's numbers."""
    _, plain = _drive(RobotConfig())
    _, armed = _drive(RobotConfig(mtbf_s=1e9, slow_every_s=1e9, dwell_spread=0.3, taper_from=0.8, stops_when_empty=True))
    assert plain == armed
    assert RobotConfig().extras == ()


def test_a_breakdown_is_told_to_the_fleet_and_counted() -> None:
    config = RobotConfig(mtbf_s=5.0, mttr_s=1000.0)
    world, track = _drive(config)
    assert world.breakdowns() == 2
    assert [world.robot_info(r).problem for r in world.robots] == ["broken down"] * 2
    assert _drive(config)[1] == track


def test_loads_weigh_what_the_scenario_says() -> None:
    world = SimWorld(Scenario(warehouse=SMALL, robots=1, robot=RobotConfig(mass_kg=80.0, load_kg=(5.0, 20.0))))
    pose = world.true_pose("robot_1")
    cell = world.site.cell_at(pose.x_m, pose.y_m)
    world.set_route("robot_1", 0, [Waypoint(k, *world.site.centre(cell), cell, "pick", f"o:{k}", 0.1) for k in range(2)])
    for _ in range(20):
        world.step(0.1)
    kg = [c.kg for c in world.robots["robot_1"].load]
    assert len(kg) == 2 and all(5.0 <= x <= 20.0 for x in kg) and kg[0] != kg[1]
    assert dataclasses.replace(RobotConfig(), mass_kg=80.0).extras == ()


def test_a_fleet_of_object_fidelity_does_not_leave_options_out_unsaid() -> None:
    fidelity = Fidelity(sensor=1)
    SimWorld(Scenario(warehouse=SMALL, robots=3, fidelity=fidelity))
    with pytest.raises(InputError, match=r"robot.mtbf_s: is not simulated at object fidelity"):
        SimWorld(Scenario(warehouse=SMALL, robots=3, fidelity=fidelity, robot=RobotConfig(mtbf_s=100.0)))
