"""People and the forklift give way by themselves, and do not stay stuck."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aislewise.types import Colour, Pose2D
from sim import bodies
from sim.geometry2d import convex_overlap, disc
from sim.people import KEEP_M, PERSON_RADIUS_M, SimForklift, SimPerson, Vehicle, shortest_path
from sim.setup import walkable
from sim.warehouse import WarehouseConfig, generate

HALL = generate(WarehouseConfig(width=20, height=26, blocks=1, stations=2, chargers=2, parking=0, bays=0), np.random.default_rng(0))
CIRCUIT = np.array([[2.5, 2.5], [17.5, 2.5], [17.5, 23.5], [2.5, 23.5]])


def _robot(x: float, y: float, yaw: float = 0.0, stop_m: float = 0.0) -> Vehicle:
    return Vehicle("robot_1", Pose2D(x, y, yaw), 0.35, 0.25, stop_m)


def _forklift() -> SimForklift:
    return SimForklift("forklift_1", bodies.forklift(np.random.default_rng(0), Colour.YELLOW), CIRCUIT, along_m=1.0)


def _person(x: float, y: float, seed: int = 0) -> SimPerson:
    rng = np.random.default_rng(seed)
    return SimPerson("person_1", bodies.Person.random(rng), Pose2D(x, y), HALL.site, walkable(HALL), rng)


def test_a_forklift_drives_round_its_circuit() -> None:
    truck, legs = _forklift(), set()
    for _ in range(2400):
        truck.step(0.05, [], [])
        legs.add(truck.leg)
    assert legs == {0, 1, 2, 3}


@pytest.mark.parametrize("what", ["robot", "person", "box"])
def test_a_forklift_stops_for_what_stands_in_front_and_backs_up_when_it_stays(what: str) -> None:
    truck = _forklift()
    spot = (10.0, 2.6)
    robots = [_robot(*spot)] if what == "robot" else []
    outline = {"person": disc(*spot, PERSON_RADIUS_M), "box": disc(*spot, 0.4)}.get(what)
    things = [outline] if outline is not None else []
    shape = robots[0].outline() if robots else things[0]
    nearest, backed = math.inf, False
    for _ in range(800):
        truck.step(0.05, robots, things)
        assert not convex_overlap(truck.vehicle().outline(), shape)
        nearest = min(nearest, math.hypot(truck.pose.x_m - spot[0], truck.pose.y_m - spot[1]))
        backed |= truck.gear < 0 and truck.speed_mps > 0.1
    assert nearest < 3.0 and backed


def test_a_forklift_does_not_swing_into_a_robot_beside_a_corner() -> None:
    truck = _forklift()
    robot = _robot(17.5, 3.7, math.pi / 2)
    for _ in range(1200):
        truck.step(0.05, [robot], [])
        assert not convex_overlap(truck.vehicle().outline(), robot.outline())


def test_a_person_keeps_away_from_a_standing_robot() -> None:
    robot = _robot(10.0, 2.5)
    for seed in range(4):
        person, walked = _person(6.5, 2.5, seed), 0.0
        for _ in range(1200):
            before = person.pose
            person.step(0.05, [robot], np.zeros(HALL.site.cells.shape, bool))
            walked += math.hypot(person.pose.x_m - before.x_m, person.pose.y_m - before.y_m)
            assert robot.gap(person.pose.x_m, person.pose.y_m) >= KEEP_M - 1e-6
        assert walked > 20.0


def test_a_person_lets_an_oncoming_robot_pass() -> None:
    """The robot drives whenever its scanner lets it: they must not face each other for ever."""
    person, x = _person(12.0, 2.5, 3), 5.5
    taken = np.zeros(HALL.site.cells.shape, bool)
    for _ in range(1200):
        clear = abs(person.pose.y_m - 2.5) > 0.6 or not 0.0 < person.pose.x_m - x < 1.6
        robot = _robot(x, 2.5, 0.0, 0.36 if clear else 0.0)
        person.step(0.05, [robot], taken)
        assert robot.gap(person.pose.x_m, person.pose.y_m) > PERSON_RADIUS_M
        if clear and x < 16.0:
            x += 0.06
    assert x >= 15.9


def test_paths_are_shortest_and_absent_where_there_is_no_way() -> None:
    free = np.ones((5, 5), bool)
    free[2, :4] = False
    path = shortest_path(free, 0, 20)
    assert len(path) == 13 and path[0] == 0 and path[-1] == 20
    free[2, 4] = False
    assert shortest_path(free, 0, 20) == []
