"""Fusion node: synchronised camera and lidar of one robot through the network into detections."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from aislewise import messages, topics
from aislewise.errors import InputError
from aislewise.frames import RobotFrames
from aislewise.node import AislewiseNode, run
from aislewise.types import CameraModel, DetectionFrame, SensorFrame
from fusion.infer import Detector
from fusion.occupancy import EvidenceConfig, local_evidence
from fusion.sync import Synchroniser
from perception import pointcloud2


@dataclass(frozen=True)
class FusionNodeConfig:
    """weights: ONNX file, empty = the packaged one; threads of ONNX Runtime; period_s: how often sets
    whose deadline has passed are looked for."""

    weights: str = ""
    threads: int = 1
    period_s: float = 0.1


class FusionNode(AislewiseNode):
    """A late or missing sensor never blocks: the set goes through with what there is."""

    def __init__(self, detector: Detector | None = None, **kwargs: Any) -> None:
        super().__init__("fusion", **kwargs)
        self.settings = self.config(FusionNodeConfig)
        self.robot = self.get_namespace().strip("/")
        self.detector = detector or Detector(self.settings.weights or None, threads=self.settings.threads)
        self.sync = Synchroniser(self.robot)
        self.frames = RobotFrames(self.robot)
        self.fusion_ms: deque[float] = deque(maxlen=100_000)
        self._K: np.ndarray | None = None
        self._detections = self.advertise(topics.DETECTIONS)
        self.listen(topics.TF_STATIC, self.frames.on_static)
        self.listen(topics.TF, self.on_tf)
        self.listen(topics.CAMERA_INFO, self.on_info)
        self.listen(topics.IMAGE, self.on_image)
        self.listen(topics.POINTS, self.on_points)
        self.create_timer(self.settings.period_s, self.fuse)

    def on_tf(self, msg: Any) -> None:
        found = self.frames.on_tf(msg)
        if found is not None:
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

    def fuse(self) -> None:
        """Every set that is ready goes through the network."""
        while (frame := self.sync.pop(self.now_ns())) is not None:
            started = time.perf_counter()
            detections = self.detector.detect(frame)
            self.fusion_ms.append((time.perf_counter() - started) * 1e3)
            self.publish(frame, detections)

    def publish(self, frame: SensorFrame, detections: tuple[Any, ...]) -> None:
        grid = None if frame.points is None else local_evidence(frame.points, frame.T_map_base, self.evidence())
        sensors = tuple(
            n for n, part in (("camera", frame.image), ("lidar", frame.points)) if part is not None
        )
        self._detections.publish(
            messages.to_detections_msg(
                DetectionFrame(frame.robot, frame.stamp_ns, frame.T_map_base, detections, grid, sensors)
            )
        )

    def evidence(self) -> EvidenceConfig:
        """Rays start where /tf_static says the lidar is."""
        mount = self.frames.mount(topics.frame(self.robot, "lidar_link"))
        if mount is None:
            return EvidenceConfig()
        x, y, z = (float(v) for v in mount[:3, 3])
        return EvidenceConfig(lidar_x_m=x, lidar_y_m=y, lidar_z_m=z)


def main(args: list[str] | None = None) -> int:
    return run(FusionNode, args)
