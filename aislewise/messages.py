"""Paired conversions between our plain types and ROS messages; the one place that knows both.

Every `to_x_msg` has its `from_x_msg`. Message packages are whatever is active: genuine ROS 2 or a
compatible layer. Reading a message checks sizes and finiteness: InputError names the field.
"""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
from aislewise_msgs import msg as am
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Point32, Polygon, Vector3
from geometry_msgs.msg import Pose2D as Pose2DMsg
from nav_msgs.msg import OccupancyGrid
from std_msgs.msg import Header

from aislewise.clock import NS_PER_S
from aislewise.errors import InputError
from aislewise.types import (
    ATTRIBUTES,
    EMBEDDING_SIZE,
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

MAX_OBJECTS = 10_000
MAX_GRID_CELLS = 16_000_000


# --- small parts -----------------------------------------------------------------------------------


def to_stamp(stamp_ns: int) -> Any:
    return Time(sec=int(stamp_ns // NS_PER_S), nanosec=int(stamp_ns % NS_PER_S))


def from_stamp(stamp: Any) -> int:
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def header(stamp_ns: int, frame_id: str) -> Any:
    return Header(stamp=to_stamp(stamp_ns), frame_id=frame_id)


def to_pose2d_msg(pose: Pose2D) -> Any:
    return Pose2DMsg(x=float(pose.x_m), y=float(pose.y_m), theta=float(pose.yaw_rad))


def from_pose2d_msg(msg: Any, name: str = "pose") -> Pose2D:
    return Pose2D(*(finite(v, f"{name}.{f}") for v, f in ((msg.x, "x"), (msg.y, "y"), (msg.theta, "theta"))))


def yaw_of(rotation: Any) -> float:
    """Yaw of a geometry_msgs/Quaternion (x, y, z, w)."""
    q = rotation
    return math.atan2(2.0 * (q.w * q.z + q.x * q.y), 1.0 - 2.0 * (q.y * q.y + q.z * q.z))


def finite(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise InputError(name, f"{value} is not a number", "finite")
    return float(value)


def vector(values: Any, size: int, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    out = np.asarray(values, np.float32)
    if out.shape != (size,) or not np.isfinite(out).all():
        raise InputError(name, f"needs {size} finite numbers, got shape {out.shape}", size)
    return out


def floats(values: Any) -> list[float]:
    return [float(v) for v in values]


def octets(data: Any) -> Any:
    """A uint8[] field from a contiguous buffer (C order). rclpy's message classes take array.array as it is and copy
    everything else, numpy arrays too, element by element: 0.1 s for a megabyte."""
    out = array("B")
    out.frombytes(memoryview(data).cast("B"))
    return out


# --- occupancy -------------------------------------------------------------------------------------


def to_grid_msg(grid: GridMap | None, stamp_ns: int) -> Any:
    out = OccupancyGrid(header=header(stamp_ns, "map"))
    if grid is not None:
        out.info.resolution = float(grid.resolution_m)
        out.info.height, out.info.width = (int(n) for n in grid.data.shape)
        out.info.origin.position.x, out.info.origin.position.y = float(grid.x_m), float(grid.y_m)
        out.info.origin.orientation.z = math.sin(grid.yaw_rad / 2.0)
        out.info.origin.orientation.w = math.cos(grid.yaw_rad / 2.0)
        out.data = array("b", np.ascontiguousarray(grid.data, np.int8).tobytes())
    return out


def from_grid_msg(msg: Any) -> GridMap | None:
    height, width = int(msg.info.height), int(msg.info.width)
    if height * width == 0:
        return None
    if height * width > MAX_GRID_CELLS:
        raise InputError("info.height * info.width", f"{height * width} cells", MAX_GRID_CELLS)
    data = np.asarray(msg.data, np.int8)
    if data.size != height * width:
        raise InputError("data", f"{data.size} cells", f"{height} x {width}")
    origin = msg.info.origin
    return GridMap(
        data.reshape(height, width), finite(msg.info.resolution, "info.resolution"),
        finite(origin.position.x, "info.origin.position.x"),
        finite(origin.position.y, "info.origin.position.y"), yaw_of(origin.orientation),
    )


# --- detections ------------------------------------------------------------------------------------


def to_detections_msg(frame: DetectionFrame) -> Any:
    return am.DetectionArray(
        header=header(frame.stamp_ns, f"{frame.robot}/base_link"),
        robot=frame.robot,
        pose=to_pose2d_msg(frame.T_map_base),
        detections=[_to_detection_msg(d) for d in frame.detections],
        local_grid=to_grid_msg(frame.local_grid, frame.stamp_ns),
        sensors=list(frame.sensors),
    )


def _to_detection_msg(d: Detection) -> Any:
    return am.Detection(
        class_probs=floats(d.class_probs), score=float(d.score),
        position=Point(x=float(d.position[0]), y=float(d.position[1]), z=float(d.position[2])),
        size=Vector3(x=float(d.size[0]), y=float(d.size[1]), z=float(d.size[2])), yaw=float(d.yaw_rad),
        colour_probs=floats(d.colour_probs), attributes=floats(d.attributes), embedding=floats(d.embedding),
    )


def from_detections_msg(msg: Any) -> DetectionFrame:
    if len(msg.detections) > MAX_OBJECTS:
        raise InputError("detections", f"{len(msg.detections)} entries", MAX_OBJECTS)
    return DetectionFrame(
        msg.robot, from_stamp(msg.header.stamp), from_pose2d_msg(msg.pose),
        tuple(_from_detection_msg(d, f"detections[{i}]") for i, d in enumerate(msg.detections)),
        from_grid_msg(msg.local_grid), tuple(msg.sensors),
    )


def _from_detection_msg(msg: Any, name: str) -> Detection:
    xyz = (msg.position.x, msg.position.y, msg.position.z)
    return Detection(
        vector(msg.class_probs, len(ObjectClass), f"{name}.class_probs"),
        finite(msg.score, f"{name}.score"), vector(xyz, 3, f"{name}.position"),
        vector((msg.size.x, msg.size.y, msg.size.z), 3, f"{name}.size"), finite(msg.yaw, f"{name}.yaw"),
        vector(msg.colour_probs, len(Colour), f"{name}.colour_probs"),
        vector(msg.attributes, len(ATTRIBUTES), f"{name}.attributes"),
        vector(msg.embedding, EMBEDDING_SIZE, f"{name}.embedding"),
    )


# --- robots ----------------------------------------------------------------------------------------


def to_robot_msg(robot: RobotInfo) -> Any:
    return am.RobotState(
        header=header(robot.heard_at_ns, "map"), robot=robot.id, pose=to_pose2d_msg(robot.pose),
        battery=float(robot.battery), load=list(robot.load), mode=robot.mode.value,
        reached_seq=int(robot.reached_seq), problem=robot.problem,
    )


def from_robot_msg(msg: Any) -> RobotInfo:
    if not msg.robot:
        raise InputError("robot", "is empty")
    if msg.mode not in {m.value for m in RobotMode}:
        raise InputError("mode", f"{msg.mode!r}", [m.value for m in RobotMode])
    battery = finite(msg.battery, "battery")
    if not 0.0 <= battery <= 1.0:
        raise InputError("battery", f"{battery}", "0 to 1")
    return RobotInfo(
        msg.robot, from_pose2d_msg(msg.pose), battery, tuple(msg.load), RobotMode(msg.mode),
        int(msg.reached_seq), from_stamp(msg.header.stamp), msg.problem,
    )


def to_route_msg(plan: RobotPlan, plan_version: int, stamp_ns: int) -> Any:
    """The released waypoints of one robot. first_seq tells the robot what the list replaces."""
    first = plan.released[0].seq if plan.released else -1
    return am.Route(
        header=header(stamp_ns, "map"), robot=plan.robot, plan_version=plan_version, first_seq=first,
        waypoints=[
            am.Waypoint(
                seq=w.seq, x=float(w.x_m), y=float(w.y_m), cell=int(w.cell), action=w.action,
                action_id=w.action_id, dwell=float(w.dwell_s), object_id=w.object_id, max_speed=float(w.max_speed_mps),
            )
            for w in plan.released
        ],
        horizon=[int(c) for c in plan.horizon],
    )


class Newest:
    """Refuses messages that newer ones have overtaken: a network may deliver late, twice and in another order."""

    def __init__(self, most_late_s: float = 30.0) -> None:
        """most_late_s: a stamp further back is of a clock that began anew, as a simulation's does."""
        self._most_late_ns = int(most_late_s * NS_PER_S)
        self._stamps: dict[str, int] = {}

    def check(self, key: str, stamp: Any) -> None:
        """key: what the message is about; stamp: builtin_interfaces/Time. A message that comes twice passes. Raises
        InputError."""
        stamp_ns, newest_ns = from_stamp(stamp), self._stamps.get(key, 0)
        if newest_ns - self._most_late_ns <= stamp_ns < newest_ns:
            raise InputError("header.stamp", f"{stamp_ns} came after {newest_ns}", "not older than the one before")
        self._stamps[key] = stamp_ns


def from_route_msg(msg: Any) -> tuple[str, int, list[Waypoint]]:
    """(robot, first_seq, waypoints). Sequence ids must rise one by one."""
    points = [
        Waypoint(
            int(w.seq), finite(w.x, f"waypoints[{i}].x"), finite(w.y, f"waypoints[{i}].y"), int(w.cell),
            w.action, w.action_id, finite(w.dwell, f"waypoints[{i}].dwell"), w.object_id,
            finite(w.max_speed, f"waypoints[{i}].max_speed"),
        )
        for i, w in enumerate(msg.waypoints)
    ]
    for i, (a, b) in enumerate(zip(points, points[1:])):
        if b.seq != a.seq + 1:
            raise InputError(f"waypoints[{i + 1}].seq", f"{b.seq} after {a.seq}", a.seq + 1)
    for i, w in enumerate(points):
        if w.max_speed_mps < 0.0:
            raise InputError(f"waypoints[{i}].max_speed", f"{w.max_speed_mps}", "at least 0 m/s, which is no limit")
    return msg.robot, int(msg.first_seq), points


# --- world state -----------------------------------------------------------------------------------


def to_world_msg(world: WorldState) -> Any:
    return am.WorldState(
        header=header(world.stamp_ns, "map"), version=world.version,
        objects=[_to_object_msg(o) for o in world.objects],
        robots=[to_robot_msg(r) for r in world.robots],
        occupancy=to_grid_msg(world.occupancy, world.stamp_ns),
        keep_outs=[_to_keep_out_msg(k) for k in world.keep_outs],
        health_names=list(world.sensor_health), health_states=list(world.sensor_health.values()),
    )


def from_world_msg(msg: Any) -> WorldState:
    if len(msg.objects) > MAX_OBJECTS:
        raise InputError("objects", f"{len(msg.objects)} entries", MAX_OBJECTS)
    return WorldState(
        int(msg.version), from_stamp(msg.header.stamp),
        tuple(_from_object_msg(o, f"objects[{i}]") for i, o in enumerate(msg.objects)),
        tuple(from_robot_msg(r) for r in msg.robots), from_grid_msg(msg.occupancy),
        tuple(_from_keep_out_msg(k, f"keep_outs[{i}]") for i, k in enumerate(msg.keep_outs)),
        dict(zip(msg.health_names, msg.health_states)),
    )


def _to_object_msg(o: WorldObject) -> Any:
    return am.TrackedObject(
        id=o.id, class_probs=floats(o.class_probs), colour_probs=floats(o.colour_probs),
        attributes=floats(o.attributes),
        position=Point(x=float(o.position[0]), y=float(o.position[1]), z=float(o.position[2])),
        yaw=float(o.yaw_rad), size=Vector3(x=float(o.size[0]), y=float(o.size[1]), z=float(o.size[2])),
        velocity=Vector3(x=float(o.velocity[0]), y=float(o.velocity[1])),
        covariance=np.asarray(o.covariance, np.float64).ravel(), existence=float(o.existence),
        embedding=floats(o.embedding), first_seen=to_stamp(o.first_seen_ns),
        last_seen=to_stamp(o.last_seen_ns), seen_by=list(o.seen_by),
    )


def _from_object_msg(msg: Any, name: str) -> WorldObject:
    xyz, size = (msg.position.x, msg.position.y, msg.position.z), (msg.size.x, msg.size.y, msg.size.z)
    cov = np.asarray(msg.covariance, np.float64)
    if cov.size != 16 or not np.isfinite(cov).all():
        raise InputError(f"{name}.covariance", "needs 16 finite numbers", 16)
    return WorldObject(
        msg.id, vector(msg.class_probs, len(ObjectClass), f"{name}.class_probs"),
        vector(msg.colour_probs, len(Colour), f"{name}.colour_probs"),
        vector(msg.attributes, len(ATTRIBUTES), f"{name}.attributes"),
        np.array([finite(v, f"{name}.position") for v in xyz]), finite(msg.yaw, f"{name}.yaw"),
        np.array([finite(v, f"{name}.size") for v in size]),
        np.array([finite(v, f"{name}.velocity") for v in (msg.velocity.x, msg.velocity.y)]),
        cov.reshape(4, 4), finite(msg.existence, f"{name}.existence"),
        vector(msg.embedding, EMBEDDING_SIZE, f"{name}.embedding"),
        from_stamp(msg.first_seen), from_stamp(msg.last_seen), tuple(msg.seen_by),
    )


def _to_keep_out_msg(k: KeepOut) -> Any:
    corners = [Point32(x=float(x), y=float(y)) for x, y in k.polygon]
    return am.KeepOut(
        id=k.id, polygon=Polygon(points=corners), reason=k.reason, source=k.source, until=to_stamp(k.until_ns)
    )


def _from_keep_out_msg(msg: Any, name: str) -> KeepOut:
    corners = np.array([(p.x, p.y) for p in msg.polygon.points], np.float64)
    if corners.ndim != 2 or len(corners) < 3 or not np.isfinite(corners).all():
        raise InputError(f"{name}.polygon", "needs at least 3 finite corners", 3)
    return KeepOut(msg.id, corners, msg.reason, msg.source, from_stamp(msg.until))


# --- instructions ----------------------------------------------------------------------------------


def to_instruction_msg(instruction: Instruction, stamp_ns: int) -> Any:
    phrases: list[Any] = []

    def add(phrase: Phrase | None) -> int:
        if phrase is None:
            return -1
        anchor = add(phrase.anchor)
        phrases.append(
            am.Phrase(
                words=phrase.words, object_class=-1 if phrase.cls is None else int(phrase.cls),
                colour=-1 if phrase.colour is None else int(phrase.colour),
                attribute=phrase.attribute or "", place=phrase.place or "", relation=phrase.relation or "",
                anchor=anchor, embedding=[] if phrase.embedding is None else floats(phrase.embedding),
            )
        )
        return len(phrases) - 1

    target, destination = add(instruction.target), add(instruction.destination)
    avoid = [add(p) for p in instruction.avoid]
    return am.Instruction(
        header=header(stamp_ns, "map"), text=instruction.text, intent=instruction.intent,
        confidence=float(instruction.confidence), phrases=phrases, target=target, destination=destination,
        avoid=avoid, unknown=list(instruction.unknown),
    )


def from_instruction_msg(msg: Any) -> Instruction:
    def get(index: int, depth: int = 0) -> Phrase | None:
        if index < 0:
            return None
        if index >= len(msg.phrases) or depth > 8:
            raise InputError("phrases", f"index {index} of {len(msg.phrases)}", len(msg.phrases))
        p = msg.phrases[index]
        try:
            cls = None if p.object_class < 0 else ObjectClass(p.object_class)
            colour = None if p.colour < 0 else Colour(p.colour)
        except ValueError as error:
            raise InputError(f"phrases[{index}]", str(error)) from error
        embedding = vector(p.embedding, EMBEDDING_SIZE, f"phrases[{index}].embedding") if len(p.embedding) else None
        return Phrase(
            p.words, cls, colour, p.attribute or None, p.place or None, p.relation or None,
            get(p.anchor, depth + 1), embedding,
        )

    return Instruction(
        msg.text, msg.intent, finite(msg.confidence, "confidence"), get(msg.target), get(msg.destination),
        tuple(p for p in (get(int(i)) for i in msg.avoid) if p is not None), tuple(msg.unknown),
    )


def to_grounded_msg(
    grounded: GroundedInstruction, target_xy: tuple[float, float] | None, stamp_ns: int
) -> Any:
    x, y = target_xy or (0.0, 0.0)
    return am.GroundedInstruction(
        header=header(stamp_ns, "map"), instruction=to_instruction_msg(grounded.instruction, stamp_ns),
        status=grounded.status.value, candidate_ids=[c for c, _ in grounded.candidates],
        candidate_probs=floats(p for _, p in grounded.candidates), target_id=grounded.target_id,
        target_position=Point(x=float(x), y=float(y)), destination=grounded.destination,
        avoid_ids=list(grounded.avoid_ids), question=grounded.question,
    )


def from_grounded_msg(msg: Any) -> tuple[GroundedInstruction, tuple[float, float]]:
    """The grounded instruction and where its target stands (x_m, y_m in map)."""
    if msg.status not in {s.value for s in GroundingStatus}:
        raise InputError("status", f"{msg.status!r}", [s.value for s in GroundingStatus])
    grounded = GroundedInstruction(
        from_instruction_msg(msg.instruction), GroundingStatus(msg.status),
        tuple(zip(msg.candidate_ids, floats(msg.candidate_probs))), msg.target_id, msg.destination,
        tuple(msg.avoid_ids), msg.question,
    )
    position = msg.target_position
    return grounded, (finite(position.x, "target_position.x"), finite(position.y, "target_position.y"))
