"""Fusion node: synchronised camera and lidar of one robot through the network into detections."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from aislewise import messages, topics, visual
from aislewise.clock import to_s
from aislewise.diagnostics import Concern, Level, Timing
from aislewise.errors import InputError
from aislewise.frames import RobotFrames
from aislewise.managed import ManagedNode, transition
from aislewise.node import run
from aislewise.settings import check, setting
from aislewise.types import CameraModel, DetectionFrame, SensorFrame
from fusion.infer import Detector
from fusion.occupancy import EvidenceConfig, local_evidence
from fusion.sync import Synchroniser
from perception import pointcloud2

SENSORS = ("camera", "lidar")


@dataclass(frozen=True)
class FusionNodeConfig:
    """Parameters of the fusion node."""

    weights: str = setting("", "ONNX file of the model; empty: the packaged one", live=False)
    threads: int = setting(1, "threads of ONNX Runtime", low=1, high=64, live=False)
    period_s: float = setting(0.1, "how often sets whose deadline has passed are looked for, s", low=0.01, high=5.0)
    slow_ms: float = setting(250.0, "an inference (p50) slower than this is a warning, ms", low=1.0, high=60_000.0)

    def __post_init__(self) -> None:
        check(self)


class FusionNode(ManagedNode):
    """A late or missing sensor never blocks: the set goes through with what there is."""

    def __init__(self, detector: Detector | None = None, **kwargs: Any) -> None:
        super().__init__("fusion", **kwargs)
        self.settings = self.config(FusionNodeConfig, self.on_settings)
        self.robot = self.get_namespace().strip("/")
        self.fusion_ms: deque[float] = deque(maxlen=100_000)
        self._given = detector
        self._timer: Any = None
        self.autostart()

    # --- lifecycle ---------------------------------------------------------------------------------

    @transition
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.detector = self._given or Detector(self.settings.weights or None, threads=self.settings.threads)
        self.frames = RobotFrames(self.robot)
        self._inference = Timing()
        self._K: np.ndarray | None = None
        self._detections = self.advertise(topics.DETECTIONS)
        self._detections_3d = self.advertise(topics.DETECTIONS_3D)
        self.listen(topics.TF_STATIC, self.frames.on_static)
        self.listen(topics.TF, self.on_tf)
        self.listen(topics.CAMERA_INFO, self.on_info)
        self.listen(topics.IMAGE, self.on_image)
        self.listen(topics.POINTS, self.on_points)
        self._timer = self.every(self.settings.period_s, self.fuse)
        return super().on_configure(state)

    @transition
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.sync = Synchroniser(self.robot)  # what was heard before a pause is of no use after it
        self._posed_ns = self._seen_ns = self.now_ns()
        self._used: deque[tuple[int, tuple[str, ...]]] = deque(maxlen=20)
        return super().on_activate(state)

    def give_back(self) -> None:
        self.detector: Detector | None = None
        super().give_back()

    def on_settings(self, settings: FusionNodeConfig) -> None:
        self.settings = settings
        self.retime(self._timer, settings.period_s)

    # --- inputs ------------------------------------------------------------------------------------

    def on_tf(self, msg: Any) -> None:
        found = self.frames.on_tf(msg)
        if found is not None:
            self._posed_ns = self.now_ns()
            self.sync.add_pose(*found)
            self.fuse()

    def on_info(self, msg: Any) -> None:
        self._K = np.asarray(msg.k, np.float64).reshape(3, 3)

    def on_image(self, msg: Any) -> None:
        mount = self.frames.mount(msg.header.frame_id)
        if self._K is None or mount is None:
            self.counts["image.no_calibration"] += 1
            return
        image = np.frombuffer(msg.data, np.uint8)
        if image.size != msg.height * msg.width * 3:
            raise InputError("image.data", f"{image.size} bytes", msg.height * msg.width * 3)
        camera = CameraModel(int(msg.width), int(msg.height), self._K, mount)
        stamp = messages.from_stamp(msg.header.stamp)
        self.sync.add_camera(stamp, image.reshape(msg.height, msg.width, 3), camera)
        self.fuse()

    def on_points(self, msg: Any) -> None:
        fields = [pointcloud2.PointField(f.name, f.offset, f.datatype, f.count) for f in msg.fields]
        points = pointcloud2.decode(msg.data, fields, msg.width, msg.height, msg.point_step, msg.row_step)
        self.sync.add_lidar(messages.from_stamp(msg.header.stamp), points)
        self.fuse()

    # --- work --------------------------------------------------------------------------------------

    def fuse(self) -> None:
        """Every set that is ready goes through the network."""
        assert self.detector is not None
        while (frame := self.sync.pop(self.now_ns())) is not None:
            started = time.perf_counter()
            detections = self.detector.detect(frame)
            ms = (time.perf_counter() - started) * 1e3
            self.fusion_ms.append(ms)
            self._inference.add(ms)
            self.publish(frame, detections)

    def publish(self, frame: SensorFrame, detections: tuple[Any, ...]) -> None:
        grid = None if frame.points is None else local_evidence(frame.points, frame.T_map_base, self.evidence())
        sensors = tuple(n for n, part in zip(SENSORS, (frame.image, frame.points)) if part is not None)
        self._seen_ns = self.now_ns()
        self._used.append((self._seen_ns, sensors))
        out = DetectionFrame(frame.robot, frame.stamp_ns, frame.T_map_base, detections, grid, sensors)
        self._detections.publish(messages.to_detections_msg(out))
        if self._detections_3d.get_subscription_count():
            self._detections_3d.publish(visual.to_detections_3d_msg(out))

    def evidence(self) -> EvidenceConfig:
        """Rays start where /tf_static says the lidar is."""
        mount = self.frames.mount(topics.frame(self.robot, "lidar_link"))
        if mount is None:
            return EvidenceConfig()
        x, y, z = (float(v) for v in mount[:3, 3])
        return EvidenceConfig(lidar_x_m=x, lidar_y_m=y, lidar_z_m=z)

    # --- diagnostics -------------------------------------------------------------------------------

    def concerns(self, now_ns: int) -> Iterable[Concern]:
        if not self.is_active:
            return super().concerns(now_ns)
        return (*super().concerns(now_ns), self._model_concern(now_ns), self._pose_concern(now_ns))

    def _model_concern(self, now_ns: int) -> Concern:
        """Is it fast enough, and did every sensor take part of late?"""
        timing = self._inference.values("inference ")
        recent = [sensors for _, sensors in self._used]
        shares = {s: sum(s in used for used in recent) / len(recent) for s in SENSORS} if recent else {}
        values = {"frames": str(self._inference.count)} | timing
        values |= {f"{sensor} share": f"{share:.2f}" for sensor, share in shares.items()}
        silent_s = to_s(now_ns - self._seen_ns)
        missing = [sensor for sensor, share in shares.items() if share < 0.5]
        if silent_s > topics.DETECTIONS.stale_s:
            return Concern("model", Level.STALE, f"nothing to fuse for {silent_s:.1f} s", values)
        if missing:
            return Concern("model", Level.WARN, f"works without {' and '.join(missing)}", values)
        if timing and float(timing["inference p50 ms"]) > self.settings.slow_ms:
            return Concern("model", Level.WARN, f"inference slower than {self.settings.slow_ms:g} ms", values)
        return Concern("model", values=values)

    def _pose_concern(self, now_ns: int) -> Concern:
        """/tf carries every robot's poses; this is about our own."""
        age_s = to_s(now_ns - self._posed_ns)
        if age_s > topics.TF.stale_s:
            return Concern("pose", Level.ERROR, f"no map to base_link of {self.robot or 'the robot'} for {age_s:.1f} s")
        return Concern("pose", values={"age s": f"{age_s:.2f}"})


def main(args: list[str] | None = None) -> int:
    return run(FusionNode, args)
