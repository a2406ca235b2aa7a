"""What nodes need of /tf: a robot's pose in map, and the fixed mounts of its sensors (REP-105)."""

from __future__ import annotations

from typing import Any

import numpy as np

from aislewise import topics
from aislewise.errors import InputError
from aislewise.geometry import compose
from aislewise.messages import finite, from_stamp, yaw_of
from aislewise.types import F64, Pose2D


def rotation_matrix(q: Any) -> F64:
    """(3, 3) of a geometry_msgs/Quaternion; InputError unless it is of unit length."""
    x, y, z, w = (finite(v, "transform.rotation") for v in (q.x, q.y, q.z, q.w))
    norm = x * x + y * y + z * z + w * w
    if abs(norm - 1.0) > 1e-3:
        raise InputError("transform.rotation", f"norm {norm:.4f}", 1.0)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


class RobotFrames:
    """Collects map -> odom -> base_link and base_link -> sensor of one robot from TFMessages."""

    def __init__(self, robot: str) -> None:
        self._odom = topics.frame(robot, "odom")
        self._base = topics.frame(robot, "base_link")
        self._mounts: dict[str, F64] = {}
        self._T_map_odom: Pose2D | None = None

    def mount(self, frame_id: str) -> F64 | None:
        """(4, 4) T_base_sensor; None until /tf_static said it."""
        return np.eye(4) if frame_id == self._base else self._mounts.get(frame_id)

    def on_static(self, msg: Any) -> None:
        for t in msg.transforms:
            if t.header.frame_id == self._base:
                T = np.eye(4)
                T[:3, :3] = rotation_matrix(t.transform.rotation)
                v = t.transform.translation
                T[:3, 3] = [finite(c, "transform.translation") for c in (v.x, v.y, v.z)]
                self._mounts[t.child_frame_id] = T

    def on_tf(self, msg: Any) -> tuple[int, Pose2D] | None:
        """(stamp_ns, T_map_base) when the message completes the chain."""
        found = None
        for t in msg.transforms:
            if t.child_frame_id == self._odom:
                self._T_map_odom = _planar(t)
            elif t.child_frame_id == self._base and self._T_map_odom is not None:
                found = from_stamp(t.header.stamp), compose(self._T_map_odom, _planar(t))
        return found


def _planar(t: Any) -> Pose2D:
    v = t.transform.translation
    return Pose2D(finite(v.x, "transform.x"), finite(v.y, "transform.y"), finite(yaw_of(t.transform.rotation), "yaw"))
