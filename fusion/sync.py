"""One robot's camera and lidar into synchronised sets: late or missing sensors never block.

A set is stated at the stamp of its oldest unused message (the lidar's, when it is the older or the
partner). When the partner was taken elsewhere on the path, its camera mount is re-expressed by the
robot's motion in between, so that calibration stays right while the robot moves.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from aislewise.clock import to_ns
from aislewise.errors import InputError
from aislewise.geometry import compose, inverse, matrix, wrap_angle
from aislewise.types import F32, U8, CameraModel, Pose2D, SensorFrame

CAMERA, LIDAR = "camera", "lidar"


@dataclass(frozen=True, slots=True)
class SyncConfig:
    """slop_s: stamps this close belong together. deadline_s: longest wait for a partner or a pose.
    max_age_s: oldest message that may still join a later set. lost_s: a sensor silent for longer is
    not waited for. pose_window_s: length of the pose buffer; pose_reach_s: furthest extrapolation."""

    slop_s: float = 0.1
    deadline_s: float = 0.2
    max_age_s: float = 0.4
    lost_s: float = 1.5
    pose_window_s: float = 5.0
    pose_reach_s: float = 0.25
    max_pending: int = 8
    sensors: tuple[str, ...] = (CAMERA, LIDAR)

    def __post_init__(self) -> None:
        for name in ("slop_s", "deadline_s", "max_age_s", "lost_s", "pose_window_s", "pose_reach_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0.0 <= value <= 60.0):
                raise InputError(f"sync.{name}", f"{value}", "0 to 60 s")
        if not 1 <= self.max_pending <= 1000:
            raise InputError("sync.max_pending", f"{self.max_pending}", "1 to 1000")
        if not self.sensors or not set(self.sensors) <= {CAMERA, LIDAR}:
            raise InputError("sync.sensors", f"{self.sensors}", (CAMERA, LIDAR))


class PoseBuffer:
    """Recent T_map_base by stamp, with linear interpolation and a short extrapolation."""

    def __init__(self, window_s: float, reach_s: float) -> None:
        self._window_ns, self._reach_ns = to_ns(window_s), to_ns(reach_s)
        self._stamps: list[int] = []
        self._poses: list[Pose2D] = []

    def add(self, stamp_ns: int, pose: Pose2D) -> None:
        """Poses may come out of order; a repeated stamp replaces the pose."""
        if not all(map(math.isfinite, (pose.x_m, pose.y_m, pose.yaw_rad))):
            raise InputError("pose", f"{pose}", "finite")
        index = bisect.bisect_left(self._stamps, stamp_ns)
        if index < len(self._stamps) and self._stamps[index] == stamp_ns:
            self._poses[index] = pose
            return
        self._stamps.insert(index, stamp_ns)
        self._poses.insert(index, pose)
        old = bisect.bisect_left(self._stamps, self._stamps[-1] - self._window_ns)
        del self._stamps[:old], self._poses[:old]

    def covers(self, stamp_ns: int) -> bool:
        """Whether no later pose could still improve the answer for this stamp."""
        return bool(self._stamps) and stamp_ns <= self._stamps[-1]

    def at(self, stamp_ns: int) -> Pose2D | None:
        """Pose at a stamp; None when it is too far from what is known."""
        if not self._stamps:
            return None
        if not self._stamps[0] - self._reach_ns <= stamp_ns <= self._stamps[-1] + self._reach_ns:
            return None
        if len(self._stamps) == 1:
            return self._poses[0]
        high = min(max(bisect.bisect_left(self._stamps, stamp_ns), 1), len(self._stamps) - 1)
        t0, t1 = self._stamps[high - 1], self._stamps[high]
        a, b = self._poses[high - 1], self._poses[high]
        part = (stamp_ns - t0) / (t1 - t0)
        return Pose2D(
            a.x_m + part * (b.x_m - a.x_m),
            a.y_m + part * (b.y_m - a.y_m),
            wrap_angle(a.yaw_rad + part * wrap_angle(b.yaw_rad - a.yaw_rad)),
        )


@dataclass(slots=True)
class _Stream:
    """Unused messages of one sensor in stamp order."""

    pending: deque[tuple[int, Any]] = field(default_factory=deque)
    newest_ns: int = -1
    used_ns: int = -1
    dropped: int = 0


class Synchroniser:
    """`add_pose` and `add` as messages come, then `pop(now_ns)` until it returns None."""

    def __init__(self, robot: str, config: SyncConfig | None = None) -> None:
        self.robot = robot
        self.config = config or SyncConfig()
        self._poses = PoseBuffer(self.config.pose_window_s, self.config.pose_reach_s)
        self._streams = {name: _Stream() for name in self.config.sensors}
        self._emitted_ns = -1
        self._started_ns: int | None = None

    def add_pose(self, stamp_ns: int, T_map_base: Pose2D) -> None:
        self._poses.add(stamp_ns, T_map_base)

    def add_camera(self, stamp_ns: int, image: U8, camera: CameraModel) -> None:
        self.add(CAMERA, stamp_ns, (image, camera))

    def add_lidar(self, stamp_ns: int, points: F32) -> None:
        """points: (N, 4) float32 in base_link at stamp_ns."""
        self.add(LIDAR, stamp_ns, points)

    def add(self, sensor: str, stamp_ns: int, data: Any) -> None:
        """data: (image, CameraModel) for "camera", (N, 4) points for "lidar". Messages older than one
        already used are dropped and counted; so is the oldest of too many."""
        if sensor not in self._streams:
            raise InputError("sensor", f"{sensor!r:.40}", self.config.sensors)
        if stamp_ns < 0:
            raise InputError(f"{sensor}.stamp_ns", f"{stamp_ns}", "0 or more")
        stream = self._streams[sensor]
        stream.newest_ns = max(stream.newest_ns, stamp_ns)
        stamps = [stamp for stamp, _ in stream.pending]
        if stamp_ns <= stream.used_ns or stamp_ns in stamps:
            stream.dropped += 1
            return
        stream.pending.insert(bisect.bisect_left(stamps, stamp_ns), (stamp_ns, data))
        if len(stream.pending) > self.config.max_pending:
            stream.pending.popleft()
            stream.dropped += 1

    def pop(self, now_ns: int) -> SensorFrame | None:
        """The next set that is complete, or whose deadline has passed; None when there is none."""
        if self._started_ns is None or now_ns < self._started_ns:
            self._started_ns = now_ns
        while True:
            self._expire(now_ns)
            reference = self._reference()
            if reference is None or not self._ready(*reference, now_ns):
                return None
            sensor, stamp_ns = reference
            pose = self._poses.at(stamp_ns)
            if pose is not None:
                return self._emit(stamp_ns, pose)
            # Without a pose the set cannot be placed in the map; the wait for it is over.
            stream = self._streams[sensor]
            self._take(sensor, [t for t, _ in stream.pending].index(stamp_ns))
            stream.dropped += 1

    def health(self, now_ns: int) -> dict[str, str]:
        """Per sensor "ok", "late" (data come, but older than they may be) or "missing"."""
        out = {}
        for name, stream in self._streams.items():
            started_ns = now_ns if self._started_ns is None else self._started_ns
            age_ns = now_ns - max(stream.newest_ns, started_ns)
            missing = age_ns > to_ns(self.config.lost_s)
            late = stream.newest_ns > stream.used_ns and stream.newest_ns < self._emitted_ns
            out[name] = "missing" if missing else "late" if late else "ok"
        return out

    @property
    def dropped(self) -> dict[str, int]:
        """Messages per sensor that could not be used: too old, repeated, too many or without pose."""
        return {name: stream.dropped for name, stream in self._streams.items()}

    def _expire(self, now_ns: int) -> None:
        """Drops late messages that no later set may take any more, and stamps from the future."""
        max_age_ns = to_ns(self.config.max_age_s)
        ahead_ns = now_ns + to_ns(self.config.lost_s)
        for stream in self._streams.values():
            while stream.pending and stream.pending[0][0] < self._emitted_ns - max_age_ns:
                stream.pending.popleft()
                stream.dropped += 1
            while stream.pending and stream.pending[-1][0] > ahead_ns:
                stream.pending.pop()
                stream.dropped += 1
                stream.newest_ns = min(stream.newest_ns, now_ns)

    def _reference(self) -> tuple[str, int] | None:
        """Sensor and stamp of the message that the next set is built around. One older than the last
        set does not make a set of its own: it waits to join the next one."""
        heads = {}
        for name, stream in self._streams.items():
            fresh = [stamp for stamp, _ in stream.pending if stamp > self._emitted_ns]
            if fresh:
                heads[name] = fresh[0]
        if not heads:
            return None
        name = min(heads, key=lambda n: heads[n])
        if LIDAR in heads and heads[LIDAR] - heads[name] <= self._slop_ns:
            name = LIDAR  # gives the stamp where both fit
        return name, heads[name]

    def _ready(self, reference: str, stamp_ns: int, now_ns: int) -> bool:
        if now_ns >= stamp_ns + to_ns(self.config.deadline_s):
            return True
        if not self._poses.covers(stamp_ns):
            return False
        for name, stream in self._streams.items():
            if name == reference or self._partner(name, stamp_ns) is not None:
                continue
            heard_ns = max(stream.newest_ns, self._started_ns or 0)
            lost = now_ns - heard_ns > to_ns(self.config.lost_s)
            passed = stream.newest_ns > stamp_ns + self._slop_ns
            if not lost and not passed:
                return False
        return True

    def _partner(self, name: str, stamp_ns: int) -> int | None:
        """Index of the pending message nearest to a stamp, within the slop."""
        pending = self._streams[name].pending
        best = min(range(len(pending)), key=lambda i: abs(pending[i][0] - stamp_ns), default=None)
        if best is None or abs(pending[best][0] - stamp_ns) > self._slop_ns:
            return None
        return best

    def _late(self, name: str, stamp_ns: int) -> int | None:
        """Index of the newest older message that may stand in: never used before, not too old."""
        oldest_ns = stamp_ns - to_ns(self.config.max_age_s)
        usable = [i for i, (t, _) in enumerate(self._streams[name].pending) if oldest_ns <= t <= stamp_ns]
        return usable[-1] if usable else None

    def _emit(self, stamp_ns: int, pose: Pose2D) -> SensorFrame:
        frame = SensorFrame(self.robot, stamp_ns, pose)
        ages: dict[str, int] = {}
        for name in self._streams:
            index = self._partner(name, stamp_ns)
            index = self._late(name, stamp_ns) if index is None else index
            if index is None:
                continue
            taken_ns, data = self._streams[name].pending[index]
            moved = self._motion(pose, taken_ns)
            if moved is None:
                continue
            self._take(name, index)
            ages[name] = stamp_ns - taken_ns
            if name == LIDAR:
                frame = replace(frame, points=_moved_points(data, moved) if ages[name] else data)
            else:
                image, camera = data
                frame = replace(frame, image=image, camera=_moved_camera(camera, moved))
        self._emitted_ns = stamp_ns
        return replace(frame, age_ns=ages)

    def _motion(self, pose: Pose2D, taken_ns: int) -> Pose2D | None:
        """T_base_then: where base_link was at taken_ns, seen from the set's base_link."""
        then = self._poses.at(taken_ns)
        return None if then is None else compose(inverse(pose), then)

    def _take(self, name: str, index: int) -> None:
        """Uses one message; older ones of the same sensor can never be used any more."""
        stream = self._streams[name]
        stream.used_ns = stream.pending[index][0]
        stream.dropped += index
        for _ in range(index + 1):
            stream.pending.popleft()

    @property
    def _slop_ns(self) -> int:
        return to_ns(self.config.slop_s)


def _moved_camera(camera: CameraModel, T_base_then: Pose2D) -> CameraModel:
    return replace(camera, T_base_camera=matrix(T_base_then) @ camera.T_base_camera)


def _moved_points(points: F32, T_base_then: Pose2D) -> F32:
    T = matrix(T_base_then).astype(points.dtype)
    out = points.copy()
    out[:, :2] = points[:, :2] @ T[:2, :2].T + T[:2, 3]
    return out
