"""The world state: versions, robots, health, keep-outs, and standing requests that follow objects."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from aislewise.clock import to_ns
from aislewise.errors import InputError, NotFoundError
from aislewise.sitemap import SiteMap
from aislewise.types import (
    Colour,
    Detection,
    DetectionFrame,
    GridMap,
    KeepOut,
    ObjectClass,
    Phrase,
    Pose2D,
    RobotInfo,
    RobotMode,
)
from fusion.world import WorldModel, footprint

SITE = SiteMap("hall", 1.0, 0.0, 0.0, np.zeros((20, 20), np.uint8), {})
WET = Phrase("the wet floor", cls=ObjectClass.WET_FLOOR)
SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
HOME = Pose2D(10.0, 10.0, 0.0)


def detection(cls: ObjectClass, x: float, y: float, colour: Colour | None = None) -> Detection:
    probs = np.full(7, 0.01, np.float32)
    probs[cls] = 0.94
    colours = np.full(8, 0.125 if colour is None else 0.01, np.float32)
    if colour is not None:
        colours[colour] = 0.93
    return Detection(probs, 0.9, np.array([x, y, 0.1], np.float32), np.array([1.0, 0.8, 0.2], np.float32), 0.0,
                     colours, np.full(2, 0.5, np.float32), np.full(32, 32**-0.5, np.float32))  # fmt: skip


def look(world: WorldModel, start_s: float, *seen: Detection, looks: int = 4, grid: GridMap | None = None,
         sensors: tuple[str, ...] = ("camera", "lidar"), pose: Pose2D = HOME) -> float:  # fmt: skip
    for k in range(looks):
        world.update(DetectionFrame("robot_1", to_ns(start_s + 0.5 * k), pose, seen, grid, sensors))
    return start_s + 0.5 * looks


def robot(name: str, x: float, heard_s: float = 0.0) -> RobotInfo:
    return RobotInfo(name, Pose2D(x, 10.0), 0.8, (), RobotMode.MOVING, 3, to_ns(heard_s))


def test_every_state_is_a_new_version_with_what_was_seen() -> None:
    world = WorldModel(SITE)
    end_s = look(world, 0.0, detection(ObjectClass.TOTE, 3, 0, Colour.BLUE))
    world.robot(robot("robot_2", 5.0))
    first, second = world.state(to_ns(end_s)), world.state(to_ns(end_s))
    assert (first.version, second.version) == (1, 2)
    (tote,) = first.objects
    assert tote.position[:2] == pytest.approx([13, 10], abs=1e-6)
    assert tote.colour is Colour.BLUE
    assert [r.id for r in first.robots] == ["robot_2"]
    assert first.occupancy is not None and first.occupancy.data.shape == (100, 100)


def test_a_robots_older_report_does_not_replace_a_newer_one() -> None:
    world = WorldModel(SITE)
    world.robot(robot("robot_1", 5.0, heard_s=2.0))
    world.robot(robot("robot_1", 1.0, heard_s=1.0))
    assert world.state(to_ns(2.0)).robots[0].pose.x_m == 5.0
    with pytest.raises(InputError, match="robot"):
        world.robot(robot("robot_1", math.nan))
    world.remove_robot("robot_1")
    assert world.state(to_ns(2.0)).robots == ()
    with pytest.raises(NotFoundError):
        world.remove_robot("robot_1")


def test_health_tells_missing_from_stale() -> None:
    world = WorldModel(SITE)
    world.robot(robot("robot_1", 5.0, heard_s=0.0))
    look(world, 0.0, sensors=("lidar",))
    assert world.health(to_ns(1.5)) == {"robot_1/camera": "missing", "robot_1/lidar": "ok", "robot_1": "ok"}
    assert world.health(to_ns(9.0))["robot_1/lidar"] == "stale"
    assert world.health(to_ns(9.0))["robot_1"] == "stale"


def test_fleet_members_never_become_objects() -> None:
    world = WorldModel(SITE)
    world.robot(robot("robot_2", 13.0))
    end_s = look(world, 0.0, detection(ObjectClass.ROBOT, 3.2, 0.1))
    assert world.state(to_ns(end_s)).objects == ()


def test_keep_outs_are_added_replaced_removed_and_end_by_themselves() -> None:
    world = WorldModel(SITE)
    world.add_keep_out(KeepOut("a", SQUARE, "paint"))
    world.add_keep_out(KeepOut("a", SQUARE + 1.0, "more paint"))
    world.add_keep_out(KeepOut("b", SQUARE, "visitors", until_ns=to_ns(5.0)))
    state = world.state(to_ns(1.0))
    assert [(k.id, k.reason) for k in state.keep_outs] == [("a", "more paint"), ("b", "visitors")]
    assert [k.id for k in world.state(to_ns(5.0)).keep_outs] == ["a"]
    world.remove_keep_out("a")
    assert world.state(to_ns(6.0)).keep_outs == ()
    with pytest.raises(NotFoundError):
        world.remove_keep_out("a")


@pytest.mark.parametrize("bad", [SQUARE[:2], SQUARE * math.nan, np.zeros((4, 3)), np.zeros((2000, 2))])
def test_a_keep_out_that_is_no_polygon_is_refused(bad) -> None:
    with pytest.raises(InputError, match=r"keep_out\.polygon"):
        WorldModel(SITE).add_keep_out(KeepOut("a", bad, "x"))


def test_the_number_of_keep_outs_is_bounded() -> None:
    world = WorldModel(SITE)
    with pytest.raises(InputError, match="too many"):
        for k in range(2000):
            world.add_keep_out(KeepOut(f"k{k}", SQUARE, "x"))


def test_a_standing_request_covers_objects_that_appear_later_and_ends_with_them() -> None:
    world = WorldModel(SITE)
    request = world.avoid(WET, margin_m=0.5)
    assert world.state(0).keep_outs == ()
    end_s = look(world, 0.0, detection(ObjectClass.WET_FLOOR, 3, 0), detection(ObjectClass.TOTE, 3, 3))
    (keep_out,) = world.state(to_ns(end_s)).keep_outs
    assert keep_out.id == f"{request}-obj-0001"
    assert keep_out.source == "instruction"
    assert "wet floor" in keep_out.reason
    assert np.ptp(keep_out.polygon, axis=0) == pytest.approx([2.0, 1.8], abs=1e-5)
    assert keep_out.polygon.mean(axis=0) == pytest.approx([13, 10], abs=1e-5)
    # Nobody looks: the patch stays. Somebody looks and the camera sees a dry floor: it goes.
    end_s = look(world, end_s, looks=100, pose=Pose2D(10, 10, math.pi))
    assert len(world.state(to_ns(end_s)).keep_outs) == 1
    dry = GridMap(np.zeros((128, 128), np.int8), 0.2, -2.8, -2.8)
    end_s = look(world, end_s, looks=40, grid=dry)
    assert world.state(to_ns(end_s)).keep_outs == ()


def test_a_request_that_is_withdrawn_or_over_frees_the_place() -> None:
    world = WorldModel(SITE)
    request = world.avoid(WET)
    assert world.avoid(WET) == request  # said twice is asked once
    world.avoid(Phrase("people", cls=ObjectClass.PERSON), until_ns=to_ns(10.0))
    end_s = look(world, 0.0, detection(ObjectClass.WET_FLOOR, 3, 0), detection(ObjectClass.PERSON, 3, 3))
    assert len(world.state(to_ns(end_s)).keep_outs) == 2
    world.stop_avoiding(request)
    assert len(world.state(to_ns(end_s)).keep_outs) == 1
    assert world.state(to_ns(10.0)).keep_outs == ()
    with pytest.raises(NotFoundError):
        world.stop_avoiding(request)


def test_colour_class_and_any_predicate_can_be_avoided() -> None:
    world = WorldModel(SITE)
    red = world.avoid(Phrase("red boxes", cls=ObjectClass.BOX, colour=Colour.RED))
    near = world.avoid(lambda obj: bool(obj.position[1] > 12), source="operator")
    seen = [detection(ObjectClass.BOX, 5, -3, Colour.RED), detection(ObjectClass.BOX, 5, 0, Colour.BLUE),
            detection(ObjectClass.BOX, 5, 3, Colour.BLUE)]  # fmt: skip
    end_s = look(world, 0.0, *seen, looks=6)
    state = world.state(to_ns(end_s))
    assert sorted(k.id for k in state.keep_outs) == sorted([f"{red}-obj-0001", f"{near}-obj-0003"])
    assert {k.source for k in state.keep_outs} == {"instruction", "operator"}


def test_the_polygon_holds_still_under_noise_and_follows_a_real_move() -> None:
    world = WorldModel(SITE)
    world.avoid(Phrase("people", cls=ObjectClass.PERSON))
    end_s = look(world, 0.0, detection(ObjectClass.PERSON, 3, 0))
    first = world.state(to_ns(end_s)).keep_outs[0].polygon
    end_s = look(world, end_s, detection(ObjectClass.PERSON, 3.05, 0.02))
    assert np.array_equal(world.state(to_ns(end_s)).keep_outs[0].polygon, first)
    for k in range(12):
        end_s = look(world, end_s, detection(ObjectClass.PERSON, 3.0 + 0.15 * k, 0), looks=1)
    state = world.state(to_ns(end_s))
    assert np.linalg.norm(state.keep_outs[0].polygon.mean(axis=0) - state.objects[0].position[:2]) < 0.3


def test_a_request_that_names_nothing_visible_is_refused() -> None:
    world = WorldModel(SITE)
    for phrase, margin_m, field in (
        (Phrase("somewhere", place="station_1"), 0.5, "avoid"),
        (WET, -1.0, "margin_m"),
        (WET, math.nan, "margin_m"),
        (WET, 500.0, "margin_m"),
        (Phrase("tall", attribute="tall"), 0.5, "avoid.attribute"),
    ):
        with pytest.raises(InputError) as caught:
            world.avoid(phrase, margin_m=margin_m)
        assert caught.value.field == field


def test_the_footprint_is_the_box_grown_on_all_sides() -> None:
    world = WorldModel(SITE)
    end_s = look(world, 0.0, detection(ObjectClass.PALLET, 3, 0))
    (pallet,) = world.state(to_ns(end_s)).objects
    assert np.ptp(footprint(pallet, 0.25), axis=0) == pytest.approx([1.5, 1.3], abs=1e-5)


@pytest.mark.parametrize(("cls", "stays"), [(ObjectClass.PERSON, False), (ObjectClass.BOX, True)])
def test_a_person_leaves_no_trail_in_the_occupancy_but_a_box_does(cls: ObjectClass, stays: bool) -> None:
    world = WorldModel(SITE)
    data = np.full((100, 100), -1, np.int8)
    data[49:51, 64:66] = 100  # hits on what stands 3 m ahead
    end_s = look(world, 0.0, detection(cls, 3, 0), grid=GridMap(data, 0.2, 0.0, 0.0))
    grid = world.state(to_ns(end_s)).occupancy
    assert grid is not None
    row, col = round((10.0 - grid.y_m) / 0.2), round((13.0 - grid.x_m) / 0.2)
    assert bool((grid.data[row - 1 : row + 1, col - 1 : col + 1] == 100).any()) is stays


def test_a_frame_that_comes_twice_counts_once() -> None:
    tote = detection(ObjectClass.TOTE, 3, 0, Colour.BLUE)
    once, twice = WorldModel(SITE), WorldModel(SITE)
    look(once, 0.0, tote)
    for _ in range(2):
        look(twice, 0.0, tote)
    (a,), (b,) = once.state(to_ns(2.0)).objects, twice.state(to_ns(2.0)).objects
    assert a.existence == b.existence and np.array_equal(a.covariance, b.covariance)


def test_a_robot_that_has_lost_its_way_stays_where_it_last_knew_and_shows_nothing() -> None:
    world = WorldModel(SITE)
    world.robot(replace(robot("robot_1", 10.0), mode=RobotMode.LOST))
    assert world.state(0).robots == ()
    world.robot(robot("robot_1", 10.0))
    world.robot(replace(robot("robot_1", 17.0, 1.0), mode=RobotMode.LOST, problem="not localised"))
    (info,) = world.state(to_ns(1.0)).robots
    assert (info.pose.x_m, info.mode, info.heard_at_ns) == (10.0, RobotMode.LOST, to_ns(1.0))
    end_s = look(world, 1.0, detection(ObjectClass.TOTE, 3, 0))
    assert world.state(to_ns(end_s)).objects == ()
    world.robot(robot("robot_1", 10.2, end_s))
    end_s = look(world, end_s, detection(ObjectClass.TOTE, 3, 0))
    assert len(world.state(to_ns(end_s)).objects) == 1
