"""People with errands go from work to work and lead their trolleys without ever touching anything."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aislewise.types import Colour, Pose2D
from sim import bodies, props
from sim.errands import CART_REACH_M, LOOK_S, Cart, Stacking, errands_of
from sim.geometry2d import convex_overlap
from sim.people import SimForklift, SimPerson, Vehicle
from sim.scenario import load_scenario, scenario_from
from sim.setup import place_forklift, place_people, walkable
from sim.warehouse import WarehouseConfig, generate
from sim.world import SimWorld

HALL = generate(WarehouseConfig(width=20, height=26, blocks=1, stations=4, chargers=2, parking=0, bays=0), np.random.default_rng(0))
NOTHING = np.zeros(HALL.site.cells.shape, bool)


def _person(seed: int, cart: bool, x: float = 6.5, y: float = 2.5) -> SimPerson:
    rng = np.random.default_rng(seed)
    cells = walkable(HALL)
    person = SimPerson("person_1", bodies.Person.random(rng), Pose2D(x, y), HALL.site, cells, rng)
    person.errands = errands_of(HALL.site, cells, "person_1", person.pose, np.random.default_rng(seed))
    mesh = props.build("trolley", np.random.default_rng(seed))
    person.errands.cart = Cart("cart", mesh, Pose2D(x - CART_REACH_M, y, math.pi)) if cart else None
    return person


def test_without_intent_nobody_has_errands() -> None:
    world = SimWorld(load_scenario("crowded_people"))
    assert all(p.errands is None for p in world.people.values())
    assert place_forklift(scenario_from({}), HALL).stacking is None  # type: ignore[union-attr]


def test_people_carry_from_stores_to_counters() -> None:
    """Whoever holds a carton took it at a store, and holds none after a counter."""
    person = _person(1, cart=False)
    errands = person.errands
    assert errands is not None and len(errands.stores) and len(errands.counters)
    visits, held = [], set()
    for k in range(8000):
        before = person._rest_s
        person.step(0.05, [], NOTHING)
        if k % 50 == 0:
            held.add(person.body.mesh.size)
        if person._rest_s > LOOK_S[1] and before <= 0.0:  # it has arrived
            visits.append((HALL.site.cell_at(person.pose.x_m, person.pose.y_m), errands.holds))
    assert len(visits) >= 6 and len(held) == 2, "with a carton and without"
    places = {True: set(errands.counters.tolist()), False: set(errands.stores.tolist())}
    kinds = ["counter" if cell in places[True] else "store" if cell in places[False] else "?" for cell, _ in visits]
    assert "?" not in kinds and {"store", "counter"} == set(kinds)
    assert all(not holds for kind, (_, holds) in zip(kinds, visits, strict=True) if kind == "counter")
    assert any(holds == "carton" for _, holds in visits)


def test_people_stop_on_the_way_and_look_to_both_sides() -> None:
    person, stops, turned = _person(2, cart=False), 0, []
    for _ in range(4000):
        path, pose, rest = len(person._path), person.pose, person._rest_s
        person.step(0.05, [], NOTHING)
        stops += rest <= 0 < person._rest_s and path > 0 and len(person._path) == path
        if rest > 0 and path:
            turned.append(person.pose.yaw_rad - pose.yaw_rad)
            assert (person.pose.x_m, person.pose.y_m) == (pose.x_m, pose.y_m)
    assert stops >= 3 and min(turned) < 0 < max(turned)


@given(st.floats(-3.0, 3.0), st.lists(st.tuples(st.floats(-3.1, 3.1), st.integers(1, 60)), min_size=1, max_size=8))
def test_a_trolley_keeps_its_distance_and_moves_no_more_than_who_leads_it(start: float, legs: list[tuple[float, int]]) -> None:
    x, y = 0.0, 0.0
    at = Pose2D(CART_REACH_M * math.cos(start), CART_REACH_M * math.sin(start), start)
    cart = Cart("c", props.build("trolley", np.random.default_rng(0)), at)
    for heading, steps in legs:
        for _ in range(steps):
            x, y, before = x + 0.05 * math.cos(heading), y + 0.05 * math.sin(heading), cart.pose
            cart.pose = cart.after(x, y)
            assert math.hypot(cart.pose.x_m - x, cart.pose.y_m - y) == pytest.approx(CART_REACH_M)
            assert math.hypot(cart.pose.x_m - before.x_m, cart.pose.y_m - before.y_m) < 0.12


@given(st.integers(0, 50), st.floats(-3.1, 3.1), st.lists(st.tuples(st.floats(-3.1, 3.1), st.integers(1, 40)), min_size=1, max_size=6))
def test_a_trolley_never_touches_a_standing_robot_wherever_it_is_led(seed: int, side: float, legs: list[tuple[float, int]]) -> None:
    """Begins with the trolley between the robot and the person, who first walks at the robot."""
    robot = Vehicle("robot_1", Pose2D(10.0, 2.5, 0.4), 0.35, 0.25, 0.0)
    person = _person(seed, True, 10.0 - 2.4 * math.cos(side), 2.5 - 2.4 * math.sin(side))
    person.walkable = np.ones_like(person.walkable)
    cart = person.errands.cart if person.errands else None
    assert cart is not None
    cart.pose = Pose2D(person.pose.x_m + CART_REACH_M * math.cos(side), person.pose.y_m + CART_REACH_M * math.sin(side), side)
    for heading, steps in [(side, 40), *legs]:
        for _ in range(steps):
            person._walk(heading, 1.1, 0.05, [robot], NOTHING)
            assert not convex_overlap(robot.outline(0.2), cart.outline)


def test_people_with_trolleys_get_about() -> None:
    robot = Vehicle("robot_1", Pose2D(10.0, 2.5, 0.0), 0.35, 0.25, 0.0)
    for seed in range(3):
        person, walked = _person(seed, cart=True), 0.0
        for _ in range(1600):
            before = person.pose
            person.step(0.05, [robot], NOTHING)
            walked += math.hypot(person.pose.x_m - before.x_m, person.pose.y_m - before.y_m)
        assert walked > 20.0, seed


def test_a_forklift_stacks_at_its_corners_and_drives_with_low_forks() -> None:
    truck = SimForklift(
        "forklift_1", bodies.forklift(np.random.default_rng(0), Colour.YELLOW), np.array([[2.5, 2.5], [9.5, 2.5], [9.5, 9.5], [2.5, 9.5]]),
        stacking=Stacking(np.random.default_rng(1)),
    )  # fmt: skip
    assert truck.stacking is not None
    loads, highest = [], 0.0
    for _ in range(2400):
        before = truck.pose
        truck.step(0.05, [], [])
        drove = math.hypot(truck.pose.x_m - before.x_m, truck.pose.y_m - before.y_m) > 1e-6
        if drove and truck.leg == len(loads) + 1 and truck.along_m > 1.0:  # on the way from the next corner
            loads.append(truck.stacking.load is not None)
        assert not drove or truck.stacking.lift_m < 0.2
        highest = max(highest, truck.stacking.lift_m)
    assert highest > 0.8 and loads[:2] == [True, False], "taken up at the first corner, set down at the second"


def test_an_errand_world_is_the_same_from_the_same_seed_and_shows_carts_to_scanners() -> None:
    scenario = replace(load_scenario("cluttered"), people=6)
    runs = []
    for _ in range(2):
        world = SimWorld(scenario)
        for _ in range(100):
            world.step(0.1)
        runs.append([p.pose for p in world.people.values()])
    assert runs[0] == runs[1]
    carts = [p.errands.cart for p in world.people.values() if p.errands and p.errands.cart]
    assert carts, "a third of them lead one"
    cart = carts[0]
    heading = cart.pose.yaw_rad + math.pi / 2
    pose = Pose2D(cart.pose.x_m - 1.5 * math.cos(heading), cart.pose.y_m - 1.5 * math.sin(heading), heading)
    assert world.gap_ahead("robot_1", pose, False) < 1.3


def test_people_are_placed_alike_with_and_without_intent() -> None:
    scenario = scenario_from({"people": 5})
    plain, busy = (place_people(s, HALL, []) for s in (scenario, replace(scenario, intent=True)))
    assert [p.pose for p in plain.values()] == [p.pose for p in busy.values()]
    assert sum(p.errands is not None for p in busy.values()) == 5
