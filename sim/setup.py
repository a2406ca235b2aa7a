"""Where everything stands when a shift begins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from aislewise.geometry import rectangle
from aislewise.sitemap import Place
from aislewise.types import F64, Colour, ObjectClass, Pose2D
from sim import bodies
from sim.bodies import Body, Person
from sim.errands import Stacking, errands_of
from sim.fleet import RobotFleet
from sim.people import SimForklift, SimPerson
from sim.placement import place_props
from sim.props import Prop
from sim.robots import SimRobot
from sim.scenario import Event, Item, Scenario
from sim.warehouse import WALL_M, Warehouse
from sim.wear import Wear

ROBOT_COLOURS = (Colour.WHITE, Colour.ORANGE, Colour.BLUE, Colour.GREEN, Colour.YELLOW, Colour.RED, Colour.GREY)
GENERATORS = {
    "goods": 1, "looks": 2, "robots": 3, "people": 4, "events": 5, "noise": 6, "faults": 8, "wear": 9, "sensors": 10,
    "objects": 11, "props": 12, "intent": 13,
}  # fmt: skip
"""Streams of one seed: adding a person must not change the goods."""

FLEET = 1_000_000  # its part of a stream: beyond every robot's number


def stream(scenario: Scenario, name: str, *more: int) -> np.random.Generator:
    return np.random.default_rng([scenario.seed, GENERATORS[name], *more])


@dataclass(eq=False)
class Thing:
    """An object that stands about, z_m above the floor."""

    id: str
    body: Body
    pose: Pose2D
    z_m: float = 0.0

    @property
    def flat(self) -> bool:
        return self.body.cls == ObjectClass.WET_FLOOR

    @property
    def outline(self) -> F64:
        """(N, 2) in `map`; exact for a wet floor, the box for the rest."""
        if self.body.outline is not None:
            c, s = math.cos(self.pose.yaw_rad), math.sin(self.pose.yaw_rad)
            turn = np.array([[c, s], [-s, c]])
            exact: F64 = self.body.outline @ turn + (self.pose.x_m, self.pose.y_m)
            return exact
        return rectangle(self.pose, self.body.size[0], self.body.size[1])


def place_robots(scenario: Scenario, hall: Warehouse) -> dict[str, SimRobot]:
    """Those of sensor fidelity: on the chargers first, then on parking places, looking along the dock lane."""
    docks = hall.site.of_kind("charger") + hall.site.of_kind("parking")
    count = scenario.robots if scenario.fidelity is None else min(scenario.fidelity.sensor, scenario.robots)
    if count > len(docks):
        raise InputError("robots", f"{count}", f"{len(docks)} docks on this site")
    out = {}
    for k, dock in enumerate(docks[:count]):
        rng = stream(scenario, "robots", k)
        x, y = hall.site.centre(dock.cell)
        yaw = math.pi / 2 if abs(math.cos(dock.yaw_rad)) > 0.5 else 0.0
        colour = ROBOT_COLOURS[k % len(ROBOT_COLOURS)]
        robot = SimRobot(
            f"robot_{k + 1}", Pose2D(x, y, yaw), scenario.robot, colour, bodies.shade(rng, colour), rng,
            battery=float(rng.uniform(*scenario.battery)), wear=_wear(scenario, k),
        )  # fmt: skip
        out[robot.id] = robot
    return out


def place_fleet(scenario: Scenario, hall: Warehouse) -> RobotFleet | None:
    """Those of object fidelity: on the docks that are left, then spread over the lanes."""
    first = scenario.robots if scenario.fidelity is None else scenario.fidelity.sensor
    if first >= scenario.robots:
        return None
    if extras := scenario.robot.extras:  # rather than leave out unsaid what was asked for
        raise InputError(f"robot.{extras[0]}", "is not simulated at object fidelity", "robots of sensor fidelity")
    site = hall.site
    docks = [p.cell for p in site.of_kind("charger") + site.of_kind("parking")]
    places = {p.cell for p in site.places.values()}
    lanes = [c for c in np.flatnonzero(site.free.ravel()).tolist() if c not in places]
    spots = docks[first : scenario.robots]
    more = scenario.robots - first - len(spots)
    if more > len(lanes) // 2:
        raise InputError("robots", f"{scenario.robots}", f"{len(docks) + len(lanes) // 2} on this site")
    spots += [lanes[int(k)] for k in np.linspace(0, len(lanes) - 1, more).round()] if more else []
    rng = stream(scenario, "robots", FLEET)
    yaws = [math.pi / 2 * float(k) for k in rng.integers(-1, 3, len(spots))]
    poses = [Pose2D(*site.centre(cell), yaw) for cell, yaw in zip(spots, yaws, strict=True)]
    colours = [ROBOT_COLOURS[k % len(ROBOT_COLOURS)] for k in range(first, scenario.robots)]
    paints = [bodies.shade(rng, colour) for colour in colours]
    return RobotFleet(
        [f"robot_{k + 1}" for k in range(first, scenario.robots)], poses,
        rng.uniform(*scenario.battery, len(spots)).tolist(), scenario.robot,
        lambda k: (colours[k], paints[k]), float(site.width), float(site.height), hall.obstacles,
    )  # fmt: skip


def _wear(scenario: Scenario, robot: int) -> Wear | None:
    """None where nothing is left to chance."""
    config = scenario.robot
    if not (config.mtbf_s or config.slow_every_s or config.dwell_spread):
        return None
    return Wear(config, lambda kind: stream(scenario, "wear", robot, kind))


def place_items(scenario: Scenario, hall: Warehouse) -> dict[str, Thing]:
    """The scenario's items against the walls, and pallets in the floor storage."""
    rng = stream(scenario, "looks")
    out = {item.id: _item(item, hall, rng, scenario.labels) for item in scenario.items}
    for k, (x, y) in enumerate(hall.bays):
        name = f"pallet_{k + 1}"
        out[name] = Thing(name, bodies.pallet(rng, k % hall.empties < hall.empties - 1), Pose2D(x, y, math.pi / 2))
    return out


def stand_props(scenario: Scenario, hall: Warehouse, things: Sequence[Thing]) -> dict[str, Prop]:
    """The scenario's props, clear of those things."""
    rngs = [stream(scenario, "props", k) for k in range(len(scenario.props.counts))]
    return place_props(scenario.props, hall, [t.outline for t in things], rngs)


def _item(item: Item, hall: Warehouse, rng: np.random.Generator, label: bool) -> Thing:
    place = hall.site.place(item.near, f"items.{item.id}.near")
    if place.kind == "pick_face":
        raise InputError(f"items.{item.id}.near", f"{item.near!r}", "a place at the wall")
    colour = Colour[item.colour.upper()] if item.colour else bodies.any_colour(rng)
    cls = ObjectClass[item.cls.upper()]
    if cls == ObjectClass.PALLET:
        body = bodies.pallet(rng, item.loaded)
    elif cls == ObjectClass.TOTE:
        body = bodies.tote(rng, colour, label)
    else:
        body = bodies.cartons(rng) if cls == ObjectClass.BOX else bodies.wet_floor(rng, 0.5)
    return Thing(item.id, body, _at_wall(place, item.offset_m, body.size[1], hall))


def _at_wall(place: Place, along_m: float, depth_m: float, hall: Warehouse) -> Pose2D:
    """Long side along the wall that the place is at, in the closed cells of that wall."""
    inset = WALL_M + 0.05 + depth_m / 2
    width, height = float(hall.site.width), float(hall.site.height)
    dx, dy = math.cos(place.yaw_rad), math.sin(place.yaw_rad)
    if abs(dx) > 0.5:
        return Pose2D(inset if dx < 0 else width - inset, place.y_m + along_m, math.pi / 2)
    return Pose2D(place.x_m + along_m, inset if dy < 0 else height - inset, 0.0)


def walkable(hall: Warehouse) -> NDArray[np.bool_]:
    """(H, W) cells that people walk on: not the one-wide aisles, where nobody could pass them, and not
    the docks."""
    out = hall.site.free.copy()
    for aisle in hall.aisles:
        if aisle.width == 1:
            out[aisle.rows[0] : aisle.rows[1], aisle.cols[0] : aisle.cols[1]] = False
    for place in hall.site.places.values():
        if place.kind != "pick_face":
            out.flat[place.cell] = False
    return out


def place_people(
    scenario: Scenario, hall: Warehouse, vehicles: Sequence[Pose2D]
) -> dict[str, SimPerson]:
    """On walkable cells, some way from where robots and the forklift start."""
    cells = walkable(hall)
    centres = hall.site.centres()
    clear = cells.ravel().copy()
    for pose in vehicles:
        clear &= np.hypot(centres[:, 0] - pose.x_m, centres[:, 1] - pose.y_m) > 3.0
    if scenario.people and not clear.any():
        raise InputError("people", f"{scenario.people}", "no room for any on this site")
    out = {}
    for k in range(scenario.people):
        rng = stream(scenario, "people", k)
        x, y = hall.site.centre(int(rng.choice(np.flatnonzero(clear))))
        person = SimPerson(
            f"person_{k + 1}", Person.random(rng, vest=k % 2 == 0), Pose2D(x, y, float(rng.uniform(-3.1, 3.1))),
            hall.site, cells, rng, pace_mps=float(rng.uniform(0.8, 1.3)),
        )  # fmt: skip
        if scenario.intent:
            person.errands = errands_of(hall.site, cells, person.id, person.pose, stream(scenario, "intent", k))
        out[person.id] = person
    return out


def place_forklift(scenario: Scenario, hall: Warehouse) -> SimForklift | None:
    """On a circuit of the ring road and, where there is one, a wide aisle; it starts at its far end."""
    if not scenario.forklifts:
        return None
    rng = stream(scenario, "people", 1000)
    w, h = float(hall.site.width), float(hall.site.height)
    free = hall.site.free
    wide = sorted({c for a in hall.aisles if a.width >= 2 and not a.across and free[1:-1, (c := a.cols[0]) : c + 2].all()})
    west = wide[len(wide) // 2] + 0.55 if wide else 2.5
    circuit = np.array([[west, 2.5], [w - 2.5, 2.5], [w - 2.5, h - 2.5], [west, h - 2.5]])
    body = bodies.forklift(rng, Colour.YELLOW if rng.random() < 0.5 else Colour.ORANGE)
    stacking = Stacking(stream(scenario, "intent", 1000)) if scenario.intent else None
    pace, along = float(rng.uniform(1.0, 1.4)), float(rng.uniform(2, 8))
    return SimForklift("forklift_1", body, circuit, pace, leg=3, along_m=along, stacking=stacking)


def event_spots(event: Event, scenario: Scenario, hall: Warehouse, index: int) -> list[tuple[float, float]]:
    """Where the event may happen, best first: its own place, or fitting ones drawn by seed. A blocked
    aisle is one-wide, near the stations (where it matters), and no pick face is in the cell."""
    if event.at is not None:
        return [event.at]
    rng = stream(scenario, "events", index)
    faces = {p.cell for p in hall.site.of_kind("pick_face")}
    cells = []
    for aisle in hall.aisles:
        if (aisle.width == 1) == (event.kind == "blocked_aisle"):
            cells += [cell for cell in aisle.line(hall.site.width) if cell not in faces]
    if not cells:
        raise InputError(f"events[{index}].at", f"no fitting place for {event.kind} on this site; name one")
    xy = np.array([hall.site.centre(c) for c in cells])
    stations = np.array([[p.x_m, p.y_m] for p in hall.site.of_kind("station")])
    near = np.abs(xy[:, None] - stations[None]).sum(axis=2).min(axis=1)
    weight = np.exp(-near / scenario.slotting_m)
    order = rng.choice(len(cells), size=len(cells), replace=False, p=weight / weight.sum())
    return [(float(xy[k, 0]), float(xy[k, 1])) for k in order]


def event_body(event: Event, scenario: Scenario, index: int) -> Body:
    rng = stream(scenario, "events", index, 1)
    if event.kind == "wet_floor":
        return bodies.wet_floor(rng, event.radius_m)
    if event.kind == "person_down":
        return Person.random(rng).lying()
    return bodies.cartons(rng, 3)
