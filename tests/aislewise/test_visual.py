"""Standard messages: boxes and paths survive, markers keep their ids and go when what they show is gone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from visualization_msgs.msg import Marker

from aislewise import visual
from aislewise.errors import InputError
from aislewise.sitemap import SiteMap
from aislewise.types import (
    Detection,
    DetectionFrame,
    KeepOut,
    ObjectClass,
    Pose2D,
    RobotInfo,
    RobotMode,
    WorldObject,
    WorldState,
)

F = np.float32


def probs(size: int, best: int) -> Any:
    out = np.full(size, 0.2 / (size - 1), F)
    out[best] = 0.8
    return out


def tracked(name: str, cls: ObjectClass = ObjectClass.TOTE, x: float = 3.0) -> WorldObject:
    covariance = np.array([[0.04, 0.01, 0, 0], [0.01, 0.09, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    return WorldObject(
        name, probs(7, cls), probs(8, 1), np.zeros(2, F), np.array([x, 2.0, 0.2]), 0.5, np.array([0.6, 0.4, 0.35]),
        np.zeros(2), covariance, 0.75, np.zeros(32, F), 0, 0, ("robot_1",),
    )  # fmt: skip


def world(*names: str, problem: str = "") -> WorldState:
    robot = RobotInfo("robot_1", Pose2D(1.0, 2.0, 0.5), 0.8, (), RobotMode.MOVING, 3, 0, problem)
    keep_out = KeepOut("k1", np.array([[0, 0], [2, 0], [2, 2], [0, 2.0]]), "wet floor")
    return WorldState(1, 5_000_000_000, tuple(tracked(n) for n in names), (robot,), None, (keep_out,))


def test_detections_are_boxes_in_base_link() -> None:
    detection = Detection(
        probs(7, ObjectClass.PERSON), 0.5, np.array([1, 2, 0.9], F), np.array([0.5, 0.5, 1.75], F), 0.25,
        probs(8, 0), np.zeros(2, F), np.zeros(32, F),
    )
    frame = DetectionFrame("robot_1", 7, Pose2D(9, 9, 9), (detection,))
    stamp, frame_id, boxes = visual.from_boxes_msg(visual.to_detections_3d_msg(frame))
    assert (stamp, frame_id) == (7, "robot_1/base_link")
    assert boxes[0].cls is ObjectClass.PERSON and boxes[0].score == 0.5
    assert np.allclose(boxes[0].position, (1, 2, 0.9)) and np.allclose(boxes[0].size, (0.5, 0.5, 1.75))


def test_tracked_objects_survive_with_id_and_covariance() -> None:
    stamp, frame_id, boxes = visual.from_boxes_msg(visual.to_objects_3d_msg(world("obj-1", "obj-2")))
    assert (stamp, frame_id, [b.id for b in boxes]) == (5_000_000_000, "map", ["obj-1", "obj-2"])
    first = boxes[0]
    assert first.cls is ObjectClass.TOTE and first.score == 0.75 and math.isclose(first.yaw_rad, 0.5)
    assert np.allclose(first.variance, (0.04, 0.01, 0.09))


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (lambda d: d.results.clear(), "detections[0].results"),
        (lambda d: setattr(d.results[0].hypothesis, "class_id", "unicorn"), "detections[0].class_id"),
        (lambda d: setattr(d.bbox.center.position, "x", math.nan), "detections[0].position"),
    ],
)
def test_a_box_that_is_not_ours_names_its_field(spoil: Any, field: str) -> None:
    msg = visual.to_objects_3d_msg(world("obj-1"))
    spoil(msg.detections[0])
    with pytest.raises(InputError) as caught:
        visual.from_boxes_msg(msg)
    assert caught.value.field == field


def test_paths_survive_and_look_where_they_go() -> None:
    points = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]
    msg = visual.to_path_msg(points, 9)
    assert visual.from_path_msg(msg) == points and msg.header.frame_id == "map"
    yaws = [2 * math.atan2(p.pose.orientation.z, p.pose.orientation.w) for p in msg.poses]
    assert np.allclose(yaws, [0.0, math.pi / 2, math.pi / 2])
    assert visual.from_path_msg(visual.to_path_msg([], 9)) == []


def test_the_site_is_a_grid_with_closed_cells_occupied() -> None:
    site = SiteMap("s", 0.5, -1.0, 2.0, np.array([[0, 1], [0, 0]], np.uint8), {})
    msg = visual.to_site_grid_msg(site, 1)
    assert list(msg.data) == [0, 100, 0, 0] and (msg.info.width, msg.info.resolution) == (2, 0.5)
    assert (msg.info.origin.position.x, msg.info.origin.position.y) == (-1.0, 2.0)


def test_markers_show_objects_robots_keep_outs_and_their_words() -> None:
    msg = visual.MarkerBook().write(visual.world_signs(world("obj-1", problem="nav2: aborted")), 5)
    by_ns = {m.ns: m for m in msg.markers}
    assert set(by_ns) == {
        "objects", "object_labels", "robots", "robot_headings", "robot_labels", "keep_outs", "keep_out_labels"
    }
    assert by_ns["objects"].type == Marker.CUBE and by_ns["objects"].scale.x == 0.6
    assert by_ns["object_labels"].text == "obj-1 blue tote 75%" and "nav2: aborted" in by_ns["robot_labels"].text
    outline = by_ns["keep_outs"].points
    assert len(outline) == 5 and outline[0] == outline[-1]
    assert all(m.header.frame_id == "map" and m.lifetime.sec > 0 and m.color.a > 0 for m in msg.markers)


def test_ids_are_stable_and_what_is_gone_is_deleted_once() -> None:
    book = visual.MarkerBook()

    def ids(*names: str) -> dict[tuple[str, int], int]:
        return {(m.ns, m.id): m.action for m in book.write(visual.world_signs(world(*names)), 5).markers}

    first, second, third, fourth = ids("a", "b"), ids("b"), ids("b", "c"), ids("b", "c")
    b = {k for k, v in second.items() if v == Marker.ADD and k[0] == "objects"}
    deleted = {k for k, v in second.items() if v == Marker.DELETE}
    assert b < set(first) and {ns for ns, _ in deleted} == {"objects", "object_labels"} and deleted < set(first)
    assert not deleted & set(third) and Marker.DELETE not in fourth.values()
    assert len([k for k in third if k[0] == "objects"]) == 2


def test_routes_are_lines_released_wider_than_planned() -> None:
    signs = visual.route_signs("r", [(0, 0), (1, 0)], [(1, 0), (2, 0), (3, 0)])
    assert [s.ns for s in signs] == ["routes", "routes_planned"] and signs[0].scale[0] > signs[1].scale[0]
    assert visual.route_signs("r", [(0, 0)], []) == []
