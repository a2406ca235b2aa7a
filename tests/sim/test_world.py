"""The world must be repeatable, safe by itself, and count the truth right."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from aislewise.errors import InputError, NotFoundError
from aislewise.geometry import rectangle
from aislewise.types import ObjectClass, Pose2D, RobotMode, Waypoint
from sim.geometry2d import convex_overlap, disc
from sim.people import PERSON_RADIUS_M, shortest_path
from sim.render import RenderPool
from sim.scenario import Event, Item, Scenario, Spoken, load_scenario
from sim.warehouse import WarehouseConfig
from sim.world import SimWorld

SMALL = WarehouseConfig(width=20, height=26, blocks=1, stations=4, chargers=4, parking=2, bays=1)


def _world(**changes: object) -> SimWorld:
    base = Scenario(warehouse=SMALL, robots=2, people=0, forklifts=0, lidar_columns=90)
    return SimWorld(dataclasses.replace(base, **changes))  # type: ignore[arg-type]


def _cell(world: SimWorld, robot: str) -> int:
    pose = world.true_pose(robot)
    return world.site.cell_at(pose.x_m, pose.y_m)


def _send(world: SimWorld, robot: str, goal: int, *actions: tuple[str, str, str]) -> None:
    """The whole way to a cell, released at once, and actions there."""
    free = world.site.free & ~world._taken
    path = shortest_path(free, _cell(world, robot), goal)
    assert path
    seq = world.robots[robot].reached_seq + 1
    route = [Waypoint(seq + k, *world.site.centre(c), c) for k, c in enumerate(path[1:])]
    for action, action_id, object_id in actions:
        route.append(Waypoint(seq + len(route), *world.site.centre(goal), goal, action, action_id, 1.0, object_id))
    world.set_route(robot, seq, route)


def _run(world: SimWorld, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        world.step(0.1)


def test_the_same_seed_and_routes_give_the_same_world() -> None:
    def run() -> tuple[object, ...]:
        world = _world(people=3, forklifts=1)
        _send(world, "robot_1", world.site.places["station_2"].cell)
        _run(world, 20)
        frame = world.sense(["robot_2"])["robot_2"]
        infos = [world.robot_info(r) for r in world.robots]
        return infos, [t.pose for t in world.truth()], frame.image.tobytes(), frame.points.tobytes()

    assert run() == run()


def test_sensing_in_a_pool_changes_nothing() -> None:
    alone, pooled = _world(people=2), _world(people=2)
    pool = RenderPool(pooled.base, workers=2)
    try:
        for _ in range(2):
            a, b = alone.sense(["robot_1", "robot_2"]), pooled.sense(["robot_1", "robot_2"], pool)
            for name in a:
                assert np.array_equal(a[name].points, b[name].points)
                assert np.array_equal(a[name].image, b[name].image)
                assert len(alone.visible(name)) == len(pooled.visible(name))
            alone.step(0.5)
            pooled.step(0.5)
    finally:
        pool.close()


def test_a_pick_and_a_drop_move_a_load_from_the_rack_to_the_table() -> None:
    world = _world()
    face, station = world.site.of_kind("pick_face")[0], world.site.places["station_1"]
    _send(world, "robot_1", face.cell, ("pick", "order-1:0", ""))
    _run(world, 60)
    assert world.robot_info("robot_1").load == ("order-1",)
    assert [p.place for p in world.picks] == [face.id]
    _send(world, "robot_1", station.cell, ("drop", "order-1:0", ""))
    _run(world, 60)
    assert world.robot_info("robot_1").load == ()
    assert [(d.order_id, d.place) for d in world.deliveries] == [("order-1", "station_1")]
    totes = [t for t in world.truth() if t.cls == ObjectClass.TOTE]
    assert len(totes) == 1 and totes[0].z_m > 0.7
    assert world.collisions == []


def test_totes_lie_on_a_table_at_a_side_wall_too() -> None:
    world = _world(warehouse=WarehouseConfig(width=20, height=30, layout="cross_dock"))
    face, station = world.site.of_kind("pick_face")[0], world.site.places["station_1"]
    actions = [("order-1:0", ""), ("order-2:0", "")]
    _send(world, "robot_1", face.cell, *(("pick", *a) for a in actions))
    _run(world, 60)
    _send(world, "robot_1", station.cell, *(("drop", *a) for a in actions))
    _run(world, 60)
    totes = [t for t in world.truth() if t.cls == ObjectClass.TOTE]
    assert len(totes) == 2
    for tote in totes:
        corners = rectangle(tote.pose, tote.size[0], tote.size[1])
        assert (abs(corners - (station.x_m, station.y_m)) < (0.31, 0.81)).all()


def test_a_named_object_is_taken_from_the_floor_and_can_be_told_at_its_delivery() -> None:
    world = _world(robots=1, items=(Item("tote_blue", "tote", "charger_2", "blue", 2.0),))
    thing = world.things["tote_blue"]
    assert not world.site.free.flat[world.site.cell_at(thing.pose.x_m, thing.pose.y_m)]
    dock = world.site.places["charger_2"].cell
    beside = dock + 2 * world.site.width
    _send(world, "robot_1", beside, ("pick", "i:0", "object-17"))
    _run(world, 60)
    assert "tote_blue" not in world.things
    _send(world, "robot_1", world.site.places["station_1"].cell, ("drop", "i:0", ""))
    _run(world, 90)
    assert [(d.object_id, d.place) for d in world.deliveries] == [("tote_blue", "station_1")]


def test_a_pick_with_nothing_in_reach_takes_nothing() -> None:
    world = _world()
    _send(world, "robot_1", _cell(world, "robot_1") + world.site.width, ("pick", "i:0", "object-1"))
    _run(world, 10)
    assert world.robot_info("robot_1").load == () and world.picks == []
    assert len(world.missed_picks) == 1


def test_a_robot_stops_for_what_stands_in_its_way() -> None:
    world = _world()
    start = world.true_pose("robot_1")
    world.step(0.1)
    ahead = (start.x_m, start.y_m + 3.0)
    world = _world(events=(Event("blocked_aisle", 0.0, ahead),))
    route = [Waypoint(k, start.x_m, start.y_m + k + 1.0, world.site.cell_at(start.x_m, start.y_m + k + 1.0)) for k in range(5)]
    world.set_route("robot_1", 0, route)
    _run(world, 15)
    assert world.robots["robot_1"].mode is RobotMode.STOPPED
    assert 0.5 < world.true_pose("robot_1").y_m - start.y_m < 2.5
    assert world.collisions == []
    world.set_route("robot_1", -1, [])  # taken back: it returns to the last cell centre
    _run(world, 5)
    pose = world.true_pose("robot_1")
    assert math.hypot(*np.subtract(world.site.centre(_cell(world, "robot_1")), (pose.x_m, pose.y_m))) < 0.01


def test_contacts_are_counted_once_per_episode() -> None:
    world = _world(robots=2)
    a, b = world.robots["robot_1"], world.robots["robot_2"]
    home = b.pose
    for _ in range(2):
        b.pose = Pose2D(a.pose.x_m + 0.2, a.pose.y_m)
        _run(world, 1.0)
        b.pose = home
        _run(world, 1.0)
    hits = [c for c in world.collisions if {c.a, c.b} == {"robot_1", "robot_2"}]
    assert len(hits) == 2
    a.pose = Pose2D(5.2, 10.0)  # inside a rack
    _run(world, 0.1)
    assert any(c.b.startswith("structure") for c in world.collisions)


def test_events_wait_for_room_and_appear() -> None:
    world = _world()
    pose = world.true_pose("robot_1")
    spot = (pose.x_m, pose.y_m)
    world = _world(events=(Event("wet_floor", 0.5, spot, 0.6, "puddle"),))
    _run(world, 2.0)
    assert "puddle" not in world.things
    _send(world, "robot_1", _cell(world, "robot_1") + 5 * world.site.width)
    _run(world, 15.0)
    assert "puddle" in world.things


def test_a_drawn_blockade_lies_in_a_one_wide_aisle_and_off_pick_faces() -> None:
    for seed in range(8):
        world = _world(seed=seed, events=(Event("blocked_aisle", 0.1),))
        _run(world, 0.5)
        thing = world.things["blocked_aisle_1"]
        cell = world.site.cell_at(thing.pose.x_m, thing.pose.y_m)
        row, col = divmod(cell, world.site.width)
        assert any(
            a.width == 1 and a.cols[0] == col and a.rows[0] < row < a.rows[1] - 1 for a in world.hall.aisles
        )
        assert all(p.cell != cell for p in world.site.places.values())


def test_driving_into_a_wet_floor_counts_once_told_and_only_then() -> None:
    def entries(keep_out: bool) -> int:
        start = _world().true_pose("robot_1")
        world = _world(
            events=(Event("wet_floor", 0.0, (start.x_m, start.y_m + 3.5), 0.5),),
            instruction=Spoken("keep away from the wet floor", 0.2, keep_out=keep_out, grace_s=0.5),
        )
        _run(world, 1.0)
        cell = world.site.cell_at(start.x_m, start.y_m)
        route = [Waypoint(k, start.x_m, start.y_m + k + 1.0, cell + (k + 1) * world.site.width) for k in range(6)]
        world.set_route("robot_1", 0, route)
        _run(world, 12.0)
        assert world.referee.incursion_s["robot_1"] > 0.5
        return world.keep_out_entries()

    assert entries(True) == 1
    assert entries(False) == 0


def test_instructions_are_given_out_once_and_in_time() -> None:
    world = _world(instruction=Spoken("go to station 1", 0.5))
    assert world.due_instructions() == []
    _run(world, 0.6)
    assert world.due_instructions() == ["go to station 1"]
    assert world.due_instructions() == []


def test_charging_fills_and_driving_drains_the_battery() -> None:
    world = _world(battery=(0.5, 0.5))
    cell = _cell(world, "robot_1")
    world.set_route("robot_1", 0, [Waypoint(0, *world.site.centre(cell), cell, "charge", "", 20.0)])
    _run(world, 10)
    assert world.robot_info("robot_1").mode is RobotMode.CHARGING
    assert world.robot_info("robot_1").battery > 0.51
    assert world.robot_info("robot_2").battery < 0.5


def test_odometry_drifts_but_stays_near_the_truth() -> None:
    world = _world()
    start = world.true_pose("robot_1")
    _send(world, "robot_1", world.site.places["station_3"].cell)
    _run(world, 60)
    end, odom = world.true_pose("robot_1"), world.odometry("robot_1")
    driven = math.hypot(end.x_m - start.x_m, end.y_m - start.y_m)
    assert 0.0 < abs(math.hypot(odom.x_m, odom.y_m) - driven) < 0.1 * driven + 0.2


def test_unknown_robots_and_unusable_routes_are_typed_errors() -> None:
    world = _world()
    cell = _cell(world, "robot_1")
    with pytest.raises(NotFoundError):
        world.true_pose("robot_9")
    with pytest.raises(InputError, match="waypoints"):
        world.set_route("robot_1", 0, [Waypoint(0, 0.5, 0.5, 0)])
    with pytest.raises(InputError, match="first_seq"):
        world.set_route("robot_1", 3, [Waypoint(3, *world.site.centre(cell), cell)])
    far = world.site.places["station_1"].cell
    with pytest.raises(InputError, match="next to"):
        world.set_route("robot_1", 0, [Waypoint(0, *world.site.centre(far), far)])
    with pytest.raises(InputError, match="dt_s"):
        world.step(-1.0)


def test_visible_truth_agrees_with_what_is_there() -> None:
    world = _world(items=(Item("tote_blue", "tote", "charger_1", "blue", 2.0),))
    world.sense(list(world.robots))
    seen = [o for o in world.visible("robot_1") if o.cls == ObjectClass.TOTE]
    assert len(seen) == 1 and not seen[0].ignore
    pose, thing = world.true_pose("robot_1"), world.things["tote_blue"]
    forward, left = thing.pose.y_m - pose.y_m, pose.x_m - thing.pose.x_m  # it looks along y
    assert seen[0].position[:2] == pytest.approx([forward, left], abs=1e-6)


def test_a_late_frame_is_judged_by_what_was_there_when_it_was_taken() -> None:
    world = _world(items=(Item("tote_blue", "tote", "charger_1", "blue", 2.0),))
    world.sense(["robot_1"])
    first, stamp_ns = world.visible("robot_1"), world.now_ns
    world.step(0.5)
    thing = world.things["tote_blue"]
    world.things["tote_blue"] = dataclasses.replace(thing, pose=dataclasses.replace(thing.pose, x_m=thing.pose.x_m + 0.4))
    world.sense(["robot_1"])
    assert world.visible("robot_1") is not first
    for stamp in (stamp_ns, stamp_ns + 100_000_000):
        assert world.visible("robot_1", stamp) is first
    assert world.visible("robot_1", world.now_ns) is world.visible("robot_1")


@pytest.mark.parametrize("seed", [1, 2])
def test_people_and_forklift_never_touch_robots_that_drive_through_them(seed: int) -> None:
    """Robots drive at random, each reserving its way; people and forklift have their own errands."""
    base = dataclasses.replace(load_scenario("shift"), seed=seed, people=10)
    world, rng = SimWorld(base), np.random.default_rng(seed)
    held = {r: {_cell(world, r)} for r in world.robots}
    walked = {p: 0.0 for p in world.people}
    for _ in range(900):
        before = {p.id: p.pose for p in world.people.values()}
        world.step(0.1)
        for p in world.people.values():
            walked[p.id] += math.hypot(p.pose.x_m - before[p.id].x_m, p.pose.y_m - before[p.id].y_m)
        for name, robot in world.robots.items():
            if robot.stopped_s > 8.0:
                world.set_route(name, -1, [])
            if robot.route:
                continue
            here = _cell(world, name)
            free = world.site.free & ~world._taken
            free.flat[[c for other, cells in held.items() if other != name for c in cells]] = False
            free.flat[here] = True
            goal = int(rng.choice(np.flatnonzero(free.ravel())))
            path = shortest_path(free, here, goal)[:7]
            held[name] = {here, *path}
            seq = robot.reached_seq + 1
            world.set_route(name, seq, [Waypoint(seq + k, *world.site.centre(c), c) for k, c in enumerate(path[1:])])
    assert [str(c) for c in world.collisions] == []
    assert min(walked.values()) > 15.0
    assert sum(r.distance_m for r in world.robots.values()) > 150.0
    assert world.forklift is not None
    truck = dataclasses.replace(world.forklift.vehicle(), stop_m=0.0).outline()
    for p in world.people.values():
        assert not convex_overlap(truck, disc(p.pose.x_m, p.pose.y_m, PERSON_RADIUS_M))
