"""Message conversions are pairs: there and back is the same."""

from __future__ import annotations

import dataclasses
from array import array

import numpy as np
import pytest

from aislewise import messages
from aislewise.errors import InputError
from aislewise.types import (
    Colour,
    Detection,
    DetectionFrame,
    GridMap,
    GroundedInstruction,
    GroundingStatus,
    Instruction,
    KeepOut,
    ObjectClass,
    Phrase,
    Pose2D,
    RobotInfo,
    RobotMode,
    RobotPlan,
    Waypoint,
    WorldObject,
    WorldState,
)

RNG = np.random.default_rng(0)


def unit(n: int) -> np.ndarray:
    v = RNG.random(n).astype(np.float32)
    return v / np.linalg.norm(v)


def detection() -> Detection:
    return Detection(unit(7), 0.5, unit(3), unit(3), 0.25, unit(8), unit(2), unit(32))


def tracked() -> WorldObject:
    return WorldObject(
        "obj-0001", unit(7), unit(8), unit(2), np.array([1.0, 2.0, 0.5]), 0.5, np.array([1.0, 0.5, 0.25]),
        np.array([0.5, -0.5]), np.eye(4), 0.75, unit(32), 10, 1_500_000_000, ("robot_1", "robot_2"),
    )


def same(a: object, b: object) -> bool:
    """Equality that looks into dataclasses, tuples and arrays."""
    if dataclasses.is_dataclass(a) and type(a) is type(b):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.allclose(np.asarray(a), np.asarray(b), atol=1e-6)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return a == b


def grid() -> GridMap:
    return GridMap(np.array([[0, 100, -1], [0, 0, 0]], np.int8), 0.5, -1.0, 2.0)


def test_detections_survive() -> None:
    frame = DetectionFrame("robot_1", 123_456_789_012, Pose2D(1, 2, 0.5), (detection(),) * 3, grid(), ("camera", "lidar"))
    assert same(messages.from_detections_msg(messages.to_detections_msg(frame)), frame)


def test_a_frame_without_lidar_has_no_grid() -> None:
    frame = DetectionFrame("r", 5, Pose2D(0, 0), (), None, ("camera",))
    assert messages.from_detections_msg(messages.to_detections_msg(frame)).local_grid is None


def test_the_world_survives() -> None:
    robot = RobotInfo("robot_1", Pose2D(1, 2, 3), 0.5, ("a",), RobotMode.MOVING, 17, 99, "its motor is hot")
    keep_out = KeepOut("k", np.array([[0, 0], [1, 0], [1, 1]], float), "wet", "instruction", 7_000_000_001)
    world = WorldState(3, 4_000_000_005, (tracked(),), (robot,), grid(), (keep_out,), {"robot_1/camera": "ok"})
    assert same(messages.from_world_msg(messages.to_world_msg(world)), world)


def test_routes_survive_and_must_be_gapless() -> None:
    points = tuple(Waypoint(5 + i, 0.5 + i, 1.5, 40 + i, "pick" if i == 2 else "", "o:0", 4.0 if i == 2 else 0.0) for i in range(3))
    msg = messages.to_route_msg(RobotPlan("robot_1", (), points, (7, 8)), 9, 11)
    assert messages.from_route_msg(msg) == ("robot_1", 5, list(points))
    msg.waypoints[1].seq = 9
    with pytest.raises(InputError, match="waypoints"):
        messages.from_route_msg(msg)


def test_instructions_survive_with_their_anchors() -> None:
    charger = Phrase("charger 2", place="charger_2")
    target = Phrase("the blue tote", ObjectClass.TOTE, Colour.BLUE, None, None, "near", charger, unit(32))
    said = Instruction("bring it", "bring", 0.5, target, Phrase("station 1", place="station_1"), (Phrase("wet floor", ObjectClass.WET_FLOOR),), ("it",))
    assert same(messages.from_instruction_msg(messages.to_instruction_msg(said, 5)), said)
    grounded = GroundedInstruction(said, GroundingStatus.GROUNDED, (("obj-0001", 0.5),), "obj-0001", "station_1", ("obj-0002",), "")
    back, xy = messages.from_grounded_msg(messages.to_grounded_msg(grounded, (1.0, 2.0), 5))
    assert same(back, grounded) and xy == (1.0, 2.0)


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (lambda m: setattr(m, "score", float("nan")), "detections[0].score"),
        (lambda m: setattr(m, "class_probs", [0.5]), "detections[0].class_probs"),
        (lambda m: setattr(m, "embedding", [float("inf")] * 32), "detections[0].embedding"),
    ],
)
def test_a_malformed_detection_names_its_field(spoil, field: str) -> None:
    msg = messages.to_detections_msg(DetectionFrame("r", 1, Pose2D(0, 0), (detection(),)))
    spoil(msg.detections[0])
    with pytest.raises(InputError) as caught:
        messages.from_detections_msg(msg)
    assert caught.value.field == field


def test_a_robot_in_an_unknown_mode_is_refused() -> None:
    msg = messages.to_robot_msg(RobotInfo("r", Pose2D(0, 0), 0.5, (), RobotMode.IDLE, -1, 0))
    msg.mode = "dancing"
    with pytest.raises(InputError, match="mode"):
        messages.from_robot_msg(msg)


def test_octets_are_the_buffers_bytes_in_the_type_that_rclpy_takes_as_it_is() -> None:
    points = np.arange(12, dtype="<f4").reshape(3, 4)
    field = messages.octets(points)
    assert isinstance(field, array) and field.typecode == "B" and field.tobytes() == points.tobytes()
