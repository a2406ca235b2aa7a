"""What has no class stands in every sensor and in nobody's way, and no truth speaks of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from aislewise.types import Colour, ObjectClass, Pose2D, RobotMode
from sim import bodies
from sim.fittings import LAMP_COLOURS
from sim.geometry2d import convex_overlap
from sim.layouts import LAYOUTS
from sim.mesh import Material, boxes, hull, join, quads, tubes
from sim.placement import place_props
from sim.props import SHAPES, Props, build, outline_of
from sim.scenario import scenario_from
from sim.scene import Base, Scene
from sim.sensors import LidarConfig, sweep
from sim.warehouse import WarehouseConfig, generate
from sim.world import SimWorld

SMALL = {"width": 20, "height": 20, "blocks": 1, "aisles": [1, 2], "stations": 3, "chargers": 4, "parking": 2, "bays": 1}
SOME = {"cone": 3, "ladder": 2, "roll_cage": 2, "heap": 2, "glass": 1, "wrap": 1}


def _world(**more: object) -> SimWorld:
    return SimWorld(scenario_from({"robots": 2, "people": 0, "forklifts": 0, "lidar_columns": 720, "warehouse": SMALL, **more}))


@pytest.mark.parametrize("kind", SHAPES)
def test_a_shape_is_of_many_faces_stands_on_the_floor_and_is_drawn_alike_from_one_seed(kind: str) -> None:
    for seed in range(8):
        mesh = build(kind, np.random.default_rng(seed))
        again = build(kind, np.random.default_rng(seed))
        low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
        assert np.array_equal(mesh.vertices, again.vertices) and np.array_equal(mesh.colour, again.colour)
        assert np.isfinite(mesh.vertices).all() and mesh.size > 2 * len(boxes([0, 0, 0], [1, 1, 1], (1, 1, 1), 0).triangles)
        assert low[2] > -0.02 and high[2] < 2.4 and (high - low)[:2].max() < 1.9
        assert (low[2] < 0.02) == (kind != "wrap"), "all stand, film hangs"
        assert np.allclose(low[:2], -high[:2], atol=1e-3), "its box is about the origin"
        assert 0.0 <= mesh.colour.min() and mesh.colour.max() <= 1.0


def test_bars_of_any_direction_keep_their_length_and_radius() -> None:
    for end in ([1.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.3, -0.4, 0.5]):
        at = tubes([[0, 0, 0]], [end], 0.05, (1, 1, 1), Material.METAL, 8).vertices
        axis = np.array(end) / np.linalg.norm(end)
        along = at @ axis
        off = np.linalg.norm(at - along[:, None] * axis, axis=1)
        assert along.min() == pytest.approx(0.0, abs=1e-6) and along.max() == pytest.approx(np.linalg.norm(end), abs=1e-6)
        assert off.max() == pytest.approx(0.05, abs=1e-6)


def test_a_hull_is_closed_and_a_quad_is_flat() -> None:
    mesh = hull(np.random.default_rng(0).standard_normal((20, 3)), (1, 1, 1), Material.CLOTH)
    edges = np.sort(np.concatenate([mesh.triangles[:, [0, 1]], mesh.triangles[:, [1, 2]], mesh.triangles[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    assert quads([[[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]], (1, 1, 1), Material.PAINT).size == 2


# ---- where they stand ------------------------------------------------------------------------------


@settings(max_examples=10)
@given(st.sampled_from(LAYOUTS), st.integers(0, 10_000), st.integers(20, 34), st.integers(20, 34), st.integers(1, 3))
def test_props_stand_in_closed_cells_clear_of_all_else(layout: str, seed: int, width: int, height: int, each: int) -> None:
    hall = generate(WarehouseConfig(width=width, height=height, layout=layout, **({"blocks": 1} if layout == "rack_aisle" else {})),
                    np.random.default_rng(seed))  # fmt: skip
    pallets = [outline_of(bodies.pallet(np.random.default_rng(0), True).mesh.moved(x, y, math.pi / 2)) for x, y in hall.bays]
    rngs = [np.random.default_rng([seed, k]) for k in range(len(SHAPES))]
    found = list(place_props(Props(**dict.fromkeys(SHAPES, each)), hall, pallets, rngs).values())
    assert len(found) == each * len(SHAPES)
    rects = [np.array([[a, b], [c, b], [c, d], [a, d]]) for a, b, c, d in hall.obstacles]
    docks = [(p.x_m, p.y_m) for p in hall.site.of_kind("station") + hall.site.of_kind("charger")]
    for k, prop in enumerate(found):
        edges = np.concatenate([prop.outline + s * (np.roll(prop.outline, -1, axis=0) - prop.outline) for s in np.linspace(0, 1, 9)])
        assert not any(hall.site.free.flat[hall.site.cell_at(float(x), float(y))] for x, y in edges), prop.id
        assert not any(convex_overlap(prop.outline, r) for r in rects), prop.id
        assert not any(convex_overlap(prop.outline, p) for p in pallets), prop.id
        assert not any(convex_overlap(prop.outline, other.outline) for other in found[k + 1 :]), prop.id
        assert min(math.hypot(*(edge - dock)) for edge in edges for dock in docks) > 1.2, prop.id


def test_a_hall_that_is_full_says_so_and_names_the_kind() -> None:
    with pytest.raises(InputError, match=r"props\.pallet_jack.*room for"):
        _world(props={"pallet_jack": 60})


@pytest.mark.parametrize(("bad", "says"), [
    ({"unicorn": 1}, "unicorn"), ({"cone": -1}, r"props\.cone"), ({"cone": 61}, r"props\.cone"), ({"cone": True}, "cone"),
    ({"cone": 1.5}, "cone"), ([1], "props"),
])  # fmt: skip
def test_props_that_cannot_be_read_name_their_field(bad: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        scenario_from({"props": bad})


def test_what_is_off_changes_nothing_and_what_is_on_leaves_the_rest_where_it_was() -> None:
    plain, more = _world(), _world(props=SOME, labels=True, lights=True)
    assert not plain.props and len(more.props) == sum(SOME.values())
    a, b = ([(t.id, t.pose, t.size) for t in w.truth()] for w in (plain, more))
    assert a == b and [r.pose for r in plain.robots.values()] == [r.pose for r in more.robots.values()]
    ladders = {k: p for k, p in more.props.items() if p.kind == "ladder"}
    fewer = _world(props={"ladder": 2})
    assert all(np.ptp(p.mesh.vertices[:, 2]) == np.ptp(fewer.props[k].mesh.vertices[:, 2]) for k, p in ladders.items())


# ---- what meets them -------------------------------------------------------------------------------


def _before(world: SimWorld, name: str, far_m: float) -> Pose2D:
    """A pose that far from a prop, looking at it from inside the hall."""
    x, y = world.props[name].outline.mean(axis=0)
    yaw = math.atan2(y - world.site.height / 2, x - world.site.width / 2)
    along = (math.pi / 2) * round(yaw / (math.pi / 2))
    return Pose2D(float(x - far_m * math.cos(along)), float(y - far_m * math.sin(along)), along)


def test_a_prop_stands_in_lidar_camera_and_scanner_but_in_no_truth() -> None:
    """A drum at a wall, so that nothing else is near: with it and without, all else equal."""
    bare, full = _world(), _world(props={"drum": 1})
    pose = _before(full, "drum_1", 2.0)
    frames = []
    for world in (bare, full):
        world.drivers["robot_1"].pose = pose
        frames.append(world.sense(["robot_1"])["robot_1"])
    low, high = full.props["drum_1"].outline.min(axis=0), full.props["drum_1"].outline.max(axis=0)
    hits = []
    for frame in frames:
        at = frame.points[:, :3] @ np.array([[math.cos(pose.yaw_rad), math.sin(pose.yaw_rad)], [-math.sin(pose.yaw_rad), math.cos(pose.yaw_rad)], [0, 0]])
        at += (pose.x_m + 0.22 * math.cos(pose.yaw_rad), pose.y_m + 0.22 * math.sin(pose.yaw_rad))
        z = frame.points[:, 2] + full.lidar.z_m
        hits.append(int(((at > low + 0.03) & (at < high - 0.03)).all(axis=1)[(z > 0.1) & (z < 0.85)].sum()))
    assert hits[0] < 10 and hits[1] > 100, "the wall behind is noisy by 2 cm"
    assert (np.abs(frames[0].image.astype(int) - frames[1].image).max(axis=2) > 12).sum() > 500
    assert {t.id for t in full.truth()} == {t.id for t in bare.truth()} and [o.cls for o in full.visible("robot_1")] == [
        o.cls for o in bare.visible("robot_1")
    ]
    for world in (bare, full):
        world.step(0.05)
    assert bare.gap_ahead("robot_1", pose, False) > 2.0 and 1.2 < full.gap_ahead("robot_1", pose, False) < 2.0


def test_driving_into_a_prop_is_judged_a_contact() -> None:
    world = _world(props={"roll_cage": 1})
    world.drivers["robot_1"].pose = _before(world, "roll_cage_1", 0.4)
    world.step(0.1)
    assert any("roll_cage_1" in (c.a, c.b) for c in world.collisions)


def _through(kind: str) -> tuple[int, int, int]:
    """Returns where a plain board of the same outline would stop all; how many are from the prop, and from beyond."""
    mesh = build(kind, np.random.default_rng(3))
    wall = boxes([6.0, 0, 2.0], [0.2, 20, 4.0], (0.5, 0.5, 0.5), Material.WALL)
    high, low = mesh.vertices[:, 2].max() - 0.1, mesh.vertices[:, 2].min() + 0.55
    half = float(mesh.vertices[:, 1].max()) - 0.1
    turn = sweep(Scene(Base.of(join([wall, mesh.moved(3.0, 0.0)])), []), LidarConfig(columns=2048, range_noise_m=0.0),
                 Pose2D(0.0, 0.0, 0.0), np.random.default_rng(0))  # fmt: skip
    x, y, z, _ = turn.points.astype(float).T
    scale = (3.0 - 0.22) / np.maximum(x, 0.1)  # where the ray met the sheet's plane
    inside = (x > 1.0) & (np.abs(y * scale) < half) & (z * scale + 0.9 > low) & (z * scale + 0.9 < high)
    return int(inside.sum()), int((inside & (x < 3.5)).sum()), int((inside & (x > 5.0)).sum())


def test_most_of_a_lidar_goes_through_glass_and_less_through_film() -> None:
    all_glass, from_glass, beyond_glass = _through("glass")
    all_film, from_film, beyond_film = _through("wrap")
    assert from_glass / all_glass < 0.16 and beyond_glass / all_glass > 0.80  # its marks come back as well
    assert 0.12 < from_film / all_film < 0.45 and beyond_film / all_film > 0.5


# ---- labels, lights, forks -------------------------------------------------------------------------


def test_a_label_is_paper_on_the_four_sides_and_follows_from_the_paint() -> None:
    rng = np.random.default_rng
    plain, marked = bodies.tote(rng(1), Colour.BLUE), bodies.tote(rng(1), Colour.BLUE, label=True)
    n = plain.mesh.size
    assert np.array_equal(plain.mesh.colour, marked.mesh.colour[:n]) and plain.size == marked.size
    paper = (marked.mesh.colour[n:] > 0.7).all(axis=1)
    middle = marked.mesh.vertices[marked.mesh.triangles[n:][paper]].mean(axis=(1,))
    assert len({(int(x), int(y)) for x, y in np.sign(np.round(middle[:, :2], 1))}) == 4
    paint = plain.mesh.colour[0]
    assert np.array_equal(bodies.tote_mesh(paint, True).vertices, marked.mesh.vertices)
    other = bodies.tote_mesh(bodies.shade(rng(9), Colour.BLUE), True)
    assert not np.array_equal(other.vertices, marked.mesh.vertices)


def test_a_charger_shows_free_taken_and_charging() -> None:
    world = _world(lights=True)

    def shown() -> dict[str, int]:
        colour = world.scene().colour
        return {k: int(np.isclose(colour, v, atol=1e-4).all(axis=1).sum()) for k, v in LAMP_COLOURS.items() if k != "free"}

    assert shown()["taken"] > 0 and shown()["charging"] == 0, "two robots begin on chargers"
    before = shown()["taken"]
    world.drivers["robot_1"].mode = RobotMode.CHARGING
    assert shown()["charging"] == shown()["taken"] == before / 2
    for robot in world.drivers.values():
        robot.pose = Pose2D(10.0, 10.0, 0.0)
    assert shown() == {"charging": 0, "taken": 0}


@pytest.mark.parametrize("lift_m", [0.05, 0.6, 1.5])
def test_forks_and_load_rise_together_and_stay_within_the_truth(lift_m: float) -> None:
    truck = bodies.forklift(np.random.default_rng(2), Colour.YELLOW)
    load = bodies.half_pallet(np.random.default_rng(3))
    up = bodies.with_forks(truck, lift_m, load)
    low, high = up.mesh.vertices.min(axis=0), up.mesh.vertices.max(axis=0)
    assert (np.abs(up.mesh.vertices[:, :2]) <= np.array(up.size[:2]) / 2 + 0.02).all() and up.size[:2] == truck.size[:2]
    assert high[2] <= up.size[2] + 0.13 and low[2] >= -0.03, "the beacon stands above the box, as ever"
    beam = up.mesh.vertices[-len(load.vertices) :, 2].min()
    assert beam == pytest.approx(lift_m + 0.03 + load.vertices[:, 2].min(), abs=1e-5)
    assert np.array_equal(bodies.with_forks(up, 0.08).mesh.vertices, truck.mesh.vertices), "lowered and unloaded it is as it was"


def test_a_carton_before_the_chest_does_not_change_who_the_person_is() -> None:
    person = bodies.Person.random(np.random.default_rng(4), vest=True)
    plain, laden = person.body(1.0), replace(person, holds="carton").body(1.0)
    assert plain.size == laden.size and plain.attributes == laden.attributes and laden.cls == ObjectClass.PERSON
    assert laden.mesh.vertices[:, 0].max() > 0.45 > plain.mesh.vertices[:, 0].max()
