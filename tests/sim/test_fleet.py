"""A fleet in arrays moves as single robots do, and is judged as they are."""

import dataclasses
import math

import numpy as np
import pytest

from aislewise.errors import InputError
from aislewise.types import Pose2D, Waypoint
from sim import motion as mo
from sim.bodies import FORKLIFT_SIZE_M
from sim.faults import parse_fault
from sim.fleet import Others, RobotFleet
from sim.geometry2d import convex_overlap, disc, gap_in_corridor
from sim.scenario import Fidelity, Scenario
from sim.warehouse import WarehouseConfig
from sim.world import SimWorld

HALL = WarehouseConfig(width=20, height=20, blocks=1, aisles=(1, 2), stations=3, chargers=6, parking=4, bays=1)
FAULTS = ("at 5s fault robot slow by 0.5 robot=1,2 for 10s", "at 8s fault robot stop robot=3 for 6s")


def two_worlds(seed: int, robots: int = 6, people: int = 3, forklifts: int = 1) -> tuple[SimWorld, SimWorld]:
    """The same shift with single robots and with a fleet, everybody at the same place."""
    faults = tuple(parse_fault(text, "faults") for text in FAULTS)
    scenario = Scenario(
        seed=seed, robots=robots, people=people, forklifts=forklifts, warehouse=HALL, faults=faults
    )
    singles = SimWorld(scenario)
    fleet = SimWorld(dataclasses.replace(singles.scenario, fidelity=Fidelity(sensor=0)))
    assert fleet.fleet is not None
    for row, robot in enumerate(singles.robots.values()):
        fleet.fleet.state[row, mo.YAW] = robot.pose.yaw_rad
        fleet.fleet.state[row, mo.BATTERY] = robot.battery
    return singles, fleet


def random_way(world: SimWorld, robot: str, rng: np.random.Generator, length: int) -> list[Waypoint]:
    """Cells from the robot's own on, into anybody's way, with some actions."""
    r = world.robots[robot]
    cell, seq = world.site.cell_at(r.pose.x_m, r.pose.y_m), r.reached_seq
    out: list[Waypoint] = []
    for _ in range(length):
        seq += 1
        if rng.random() < 0.15:
            action = ("charge", "charge", "park")[int(rng.integers(2))]
            out.append(Waypoint(seq, *world.site.centre(cell), cell, action, f"a{seq}", float(rng.uniform(0.2, 2.0))))
            continue
        width = world.site.width
        near = [c for c in (cell - 1, cell + 1, cell - width, cell + width) if world.site.free.flat[c]]
        cell = int(rng.choice(near))
        most = (0.0, 0.0, 0.25, 0.6)[(cell + seq) % 4]
        out.append(Waypoint(seq, *world.site.centre(cell), cell, max_speed_mps=most))
    return out


def send(world: SimWorld, robot: str, first_seq: int, way: list[Waypoint]) -> str:
    """What is wrong with it, or nothing."""
    try:
        world.set_route(robot, first_seq, way)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("seed", range(6))
def test_a_fleet_moves_as_single_robots_do(seed: int) -> None:
    singles, fleet = two_worlds(seed)
    rng = np.random.default_rng(seed)
    for tick in range(300):
        for name, robot in singles.robots.items():
            if rng.random() < 0.05 and math.hypot(*(np.array(singles.site.centre(
                singles.site.cell_at(robot.pose.x_m, robot.pose.y_m))) - (robot.pose.x_m, robot.pose.y_m))) < 1e-6:  # fmt: skip
                way = random_way(singles, name, rng, int(rng.integers(1, 8)))
                assert send(fleet, name, -1, way) == send(singles, name, -1, way)
            elif rng.random() < 0.02:  # take back what has not been started
                first = robot.reached_seq + int(rng.integers(1, 4))
                assert send(fleet, name, first, []) == send(singles, name, first, []) == ""
        singles.step(0.1)
        fleet.step(0.1)
        for name, a in singles.robots.items():
            b = fleet.robots[name]
            assert (b.pose, b.speed_mps, b.mode, b.reached_seq) == (a.pose, a.speed_mps, a.mode, a.reached_seq), tick
            assert (b.battery, b.stops) == (a.battery, a.stops)
            assert b.distance_m == pytest.approx(a.distance_m, abs=1e-9)
    assert [str(c) for c in fleet.collisions] == [str(c) for c in singles.collisions]
    assert sum(r.distance_m for r in singles.robots.values()) > 10.0


def test_gaps_and_overlaps_are_those_of_the_plane_geometry() -> None:
    rng = np.random.default_rng(1)
    for _ in range(2000):
        outline = disc(*rng.uniform(-2, 2, 2), float(rng.uniform(0.1, 1.0)), int(rng.integers(3, 9)))
        x, y, yaw = rng.uniform(-2, 2, 3)
        half = float(rng.uniform(0.1, 0.6))
        want = gap_in_corridor(outline, Pose2D(x, y, yaw), half)
        assert mo.gap(outline, len(outline), x, y, yaw, half) == pytest.approx(want, abs=1e-9)
        box = np.empty((4, 2))
        mo.corners(x, y, yaw, 0.7, 0.5, box)
        assert mo.overlap(box, 4, outline, len(outline)) == convex_overlap(box, outline)


def test_contacts_are_found_among_the_fleet_and_with_others_and_walls() -> None:
    _, world = two_worlds(1, people=0, forklifts=0)
    fleet = world.fleet
    assert fleet is not None
    a, b, c = list(fleet.robots)[:3]
    x, y = fleet.robots[a].pose.x_m, fleet.robots[a].pose.y_m
    fleet.state[fleet.names.index(b), :2] = x + 0.3, y
    fleet.state[fleet.names.index(c), :2] = 4.0, 0.1
    fleet._sort()
    found = set(fleet.contacts(Others.of({"crate": disc(x - 0.4, y, 0.2)}, set())))
    assert {(a, b), (a, "crate")} <= found and (b, "crate") not in found
    assert any(one == c and other.startswith("structure_") for one, other in found)


def test_a_forklift_that_stops_in_front_of_a_robot_has_not_hit_it() -> None:
    """It is judged by its body, not by the way that it needs to stop."""
    _, world = two_worlds(1, people=0)
    assert world.fleet is not None and world.forklift is not None
    truck = world.forklift
    truck.speed_mps = 1.2
    at = truck.pose
    ahead = FORKLIFT_SIZE_M[0] / 2 + mo.LENGTH_M / 2 + 0.1
    world.fleet.state[0, :3] = at.x_m + ahead * math.cos(at.yaw_rad), at.y_m + ahead * math.sin(at.yaw_rad), at.yaw_rad
    world.fleet._sort()
    world._judge(0.05)
    assert truck.vehicle().stop_m > 0.1 and not world.collisions
    world.fleet.state[0, :2] = at.x_m + 0.8 * ahead * math.cos(at.yaw_rad), at.y_m + 0.8 * ahead * math.sin(at.yaw_rad)
    world.fleet._sort()
    world._judge(0.05)
    assert [(c.a, c.b) for c in world.collisions] == [(world.fleet.names[0], truck.id)]


def test_a_route_too_long_or_with_a_gap_is_refused() -> None:
    _, world = two_worlds(1)
    name = next(iter(world.robots))
    fleet = world.fleet
    assert isinstance(fleet, RobotFleet)
    x, y = fleet.robots[name].pose.x_m, fleet.robots[name].pose.y_m
    stay = [Waypoint(k, x, y, 0) for k in range(mo.ROUTE + 1)]
    with pytest.raises(InputError, match="waypoints"):
        fleet.robots[name].set_route(-1, stay)
    with pytest.raises(InputError, match="first_seq"):
        fleet.robots[name].set_route(-1, [Waypoint(3, x, y, 0)])
    with pytest.raises(InputError, match="not next to"):
        fleet.robots[name].set_route(-1, [Waypoint(0, x + 5.0, y, 0)])


def test_more_robots_than_docks_stand_on_the_lanes() -> None:
    scenario = Scenario(robots=40, people=0, forklifts=0, warehouse=HALL, fidelity=Fidelity(sensor=2))
    world = SimWorld(scenario)
    assert len(world.drivers) == 2 and len(world.robots) == 40
    cells = [world.site.cell_at(r.pose.x_m, r.pose.y_m) for r in world.robots.values()]
    assert len(set(cells)) == 40 and all(world.site.free.flat[c] for c in cells)
    with pytest.raises(InputError, match="robots"):
        SimWorld(dataclasses.replace(scenario, robots=2000))
