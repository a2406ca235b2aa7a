"""What we know as standard ROS messages, for RViz, Foxglove and other people's nodes: boxes, paths, markers.

Our own messages say more; these say it in a language everybody's tools speak. Published only while somebody
subscribes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Vector3
from nav_msgs.msg import Path
from std_msgs.msg import ColorRGBA
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose
from visualization_msgs.msg import Marker, MarkerArray

from aislewise.errors import InputError
from aislewise.messages import MAX_OBJECTS, finite, from_stamp, header, to_grid_msg, yaw_of
from aislewise.sitemap import SiteMap
from aislewise.topics import WORLD_MARKERS
from aislewise.types import DetectionFrame, GridMap, KeepOut, ObjectClass, RobotInfo, WorldObject, WorldState

XY = tuple[float, float]
ROBOT_SIZE = (0.9, 0.6, 0.35)
COLOURS: dict[str, tuple[float, float, float]] = {
    "person": (0.90, 0.20, 0.20), "forklift": (0.95, 0.60, 0.10), "pallet": (0.65, 0.45, 0.25),
    "tote": (0.20, 0.45, 0.90), "robot": (0.45, 0.45, 0.50), "box": (0.80, 0.70, 0.45), "wet_floor": (0.10, 0.75, 0.85),
    "ours": (0.15, 0.65, 0.30), "trouble": (0.90, 0.10, 0.60), "keep_out": (0.85, 0.10, 0.10),
    "route": (0.10, 0.80, 0.30), "horizon": (0.55, 0.75, 0.95), "text": (1.0, 1.0, 1.0),
}  # fmt: skip


# --- boxes -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Box:
    """An object as others see it. position: centre; size: length, width, height; all in the array's frame.
    variance: of x, xy, y in m2."""

    id: str
    cls: ObjectClass
    score: float
    position: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw_rad: float
    variance: tuple[float, float, float] = (0.0, 0.0, 0.0)


def to_detections_3d_msg(frame: DetectionFrame) -> Any:
    """What one robot detected in one frame, in its base_link."""
    boxes = [
        Box("", d.cls, float(d.score), _triple(d.position), _triple(d.size), float(d.yaw_rad))
        for d in frame.detections
    ]
    return to_boxes_msg(boxes, frame.stamp_ns, f"{frame.robot}/base_link")


def to_objects_3d_msg(world: WorldState) -> Any:
    """The tracked objects, in map; the score is the probability that the object is there."""
    return to_boxes_msg([_box(o) for o in world.objects], world.stamp_ns, "map")


def _box(o: WorldObject) -> Box:
    spread = (float(o.covariance[0, 0]), float(o.covariance[0, 1]), float(o.covariance[1, 1]))
    return Box(o.id, o.cls, float(o.existence), _triple(o.position), _triple(o.size), float(o.yaw_rad), spread)


def _triple(values: Any) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in values)
    return x, y, z


def to_boxes_msg(boxes: Iterable[Box], stamp_ns: int, frame_id: str) -> Any:
    head = header(stamp_ns, frame_id)
    out = Detection3DArray(header=head)
    for box in boxes:
        pose = to_pose_msg(*box.position, box.yaw_rad)
        found = ObjectHypothesisWithPose()
        found.hypothesis.class_id, found.hypothesis.score = box.cls.name.lower(), box.score
        found.pose.pose = pose
        covariance = np.zeros(36)
        covariance[[0, 1, 6, 7]] = np.array(box.variance)[[0, 1, 1, 2]]
        found.pose.covariance = covariance
        detection = Detection3D(header=head, results=[found], id=box.id)
        detection.bbox.center = pose
        detection.bbox.size.x, detection.bbox.size.y, detection.bbox.size.z = box.size
        out.detections.append(detection)
    return out


def from_boxes_msg(msg: Any) -> tuple[int, str, tuple[Box, ...]]:
    """(stamp_ns, frame id, boxes); InputError names a box that is not one of ours."""
    if len(msg.detections) > MAX_OBJECTS:
        raise InputError("detections", f"{len(msg.detections)} entries", MAX_OBJECTS)
    boxes = tuple(_from_detection(d, f"detections[{i}]") for i, d in enumerate(msg.detections))
    return from_stamp(msg.header.stamp), msg.header.frame_id, boxes


def _from_detection(msg: Any, name: str) -> Box:
    if not msg.results:
        raise InputError(f"{name}.results", "is empty")
    best = msg.results[0]
    try:
        cls = ObjectClass[best.hypothesis.class_id.upper()]
    except KeyError as error:
        known = [c.name.lower() for c in ObjectClass]
        raise InputError(f"{name}.class_id", f"{best.hypothesis.class_id!r}", known) from error
    at, size = msg.bbox.center.position, msg.bbox.size
    spread = np.asarray(best.pose.covariance, np.float64)
    return Box(
        msg.id, cls, finite(best.hypothesis.score, f"{name}.score"),
        _triple(finite(v, f"{name}.position") for v in (at.x, at.y, at.z)),
        _triple(finite(v, f"{name}.size") for v in (size.x, size.y, size.z)),
        yaw_of(msg.bbox.center.orientation), _triple(spread[[0, 1, 7]]),
    )  # fmt: skip


def to_pose_msg(x: float, y: float, z: float, yaw: float) -> Any:
    """A pose that is turned about the vertical."""
    return Pose(
        position=Point(x=float(x), y=float(y), z=float(z)),
        orientation=Quaternion(z=math.sin(yaw / 2.0), w=math.cos(yaw / 2.0)),
    )


# --- paths and the site ----------------------------------------------------------------------------


def to_path_msg(points: Sequence[XY], stamp_ns: int) -> Any:
    """Points of map as a path; each pose looks to the next one, the last as the one before."""
    head = header(stamp_ns, "map")
    yaws = [math.atan2(b[1] - a[1], b[0] - a[0]) for a, b in zip(points, points[1:])]
    poses = [
        PoseStamped(header=head, pose=to_pose_msg(x, y, 0.0, yaw))
        for (x, y), yaw in zip(points, [*yaws, *(yaws[-1:] or [0.0])])
    ]
    return Path(header=head, poses=poses)


def from_path_msg(msg: Any) -> list[XY]:
    at = [p.pose.position for p in msg.poses]
    return [(finite(p.x, f"poses[{i}].x"), finite(p.y, f"poses[{i}].y")) for i, p in enumerate(at)]


def to_site_grid_msg(site: SiteMap, stamp_ns: int) -> Any:
    """Where robots may stand by the site map: 0 open, 100 closed."""
    return to_grid_msg(
        GridMap(np.where(site.free, 0, 100).astype(np.int8), site.resolution_m, site.x_m, site.y_m), stamp_ns
    )


# --- markers ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sign:
    """One marker to be: key: what it stands for, stable over time within its namespace `ns`."""

    ns: str
    key: str
    kind: int
    colour: tuple[float, float, float, float]
    scale: tuple[float, float, float]
    at: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """x, y, z, yaw in map."""
    points: tuple[XY, ...] = ()
    text: str = ""


class MarkerBook:
    """Turns signs into a MarkerArray: keeps ids stable and takes down what is gone. Every marker has a lifetime,
    so that nothing stays on the screen when its node dies."""

    def __init__(self) -> None:
        self._ids: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._next: defaultdict[str, int] = defaultdict(int)

    def write(self, signs: Sequence[Sign], stamp_ns: int, frame_id: str = "map") -> Any:
        head = header(stamp_ns, frame_id)
        lifetime = Duration(sec=int(WORLD_MARKERS.stale_s))
        present = {(s.ns, s.key) for s in signs}
        gone = [(ns, key) for ns, ids in self._ids.items() for key in ids if (ns, key) not in present]
        markers = [Marker(header=head, ns=ns, id=self._ids[ns].pop(key), action=Marker.DELETE) for ns, key in gone]
        for sign in signs:
            markers.append(
                Marker(
                    header=head, ns=sign.ns, id=self._id(sign), type=sign.kind, action=Marker.ADD,
                    pose=to_pose_msg(*sign.at), scale=Vector3(**dict(zip("xyz", map(float, sign.scale)))),
                    color=ColorRGBA(**dict(zip("rgba", map(float, sign.colour)))), lifetime=lifetime,
                    points=[Point(x=float(x), y=float(y), z=0.05) for x, y in sign.points], text=sign.text,
                )
            )
        return MarkerArray(markers=markers)

    def _id(self, sign: Sign) -> int:
        ids = self._ids[sign.ns]
        if sign.key not in ids:
            ids[sign.key] = self._next[sign.ns]
            self._next[sign.ns] += 1
        return ids[sign.key]


def world_signs(world: WorldState) -> list[Sign]:
    """Objects as boxes with labels, robots, keep-outs."""
    parts: list[Iterator[Sign]] = [_object_signs(o) for o in world.objects]
    parts += [_robot_signs(r) for r in world.robots]
    parts += [_keep_out_signs(k) for k in world.keep_outs]
    return [sign for part in parts for sign in part]


def _object_signs(o: WorldObject) -> Iterator[Sign]:
    name = o.cls.name.lower()
    (x, y, z), size = _triple(o.position), _triple(o.size)
    colour = (*COLOURS[name], 0.3 + 0.6 * float(o.existence))
    yield Sign("objects", o.id, Marker.CUBE, colour, size, (x, y, z, float(o.yaw_rad)))
    words = f"{o.id} {o.colour.name.lower()} {name} {o.existence:.0%}"
    yield _text("object_labels", o.id, words, x, y, z + size[2] / 2 + 0.3)


def _robot_signs(r: RobotInfo) -> Iterator[Sign]:
    colour = (*COLOURS["trouble" if r.problem else "ours"], 0.9)
    x, y, height = r.pose.x_m, r.pose.y_m, ROBOT_SIZE[2]
    yield Sign("robots", r.id, Marker.CUBE, colour, ROBOT_SIZE, (x, y, height / 2, r.pose.yaw_rad))
    yield Sign("robot_headings", r.id, Marker.ARROW, colour, (0.8, 0.1, 0.1), (x, y, height, r.pose.yaw_rad))
    words = f"{r.id} {r.problem or r.mode.value} {r.battery:.0%}"
    yield _text("robot_labels", r.id, words, x, y, height + 0.5)


def _keep_out_signs(k: KeepOut) -> Iterator[Sign]:
    corners = tuple((float(x), float(y)) for x, y in k.polygon)
    colour = (*COLOURS["keep_out"], 0.9)
    yield Sign("keep_outs", k.id, Marker.LINE_STRIP, colour, (0.08, 0.0, 0.0), points=(*corners, corners[0]))
    x, y = np.asarray(k.polygon).mean(0)
    yield _text("keep_out_labels", k.id, f"keep out: {k.reason}", float(x), float(y), 0.5)


def route_signs(robot: str, released: Sequence[XY], planned: Sequence[XY]) -> list[Sign]:
    """What a robot may drive now, and what it is meant to drive then."""
    lines = (("routes", "route", released, 0.15), ("routes_planned", "horizon", planned, 0.05))
    return [
        Sign(ns, robot, Marker.LINE_STRIP, (*COLOURS[colour], 0.9), (width, 0.0, 0.0), points=tuple(points))
        for ns, colour, points, width in lines if len(points) > 1
    ]  # fmt: skip


def _text(ns: str, key: str, words: str, x: float, y: float, z: float) -> Sign:
    return Sign(ns, key, Marker.TEXT_VIEW_FACING, (*COLOURS["text"], 1.0), (0.0, 0.0, 0.3), (x, y, z, 0.0), text=words)
