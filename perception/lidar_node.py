"""Lidar node: a raw cloud in the sensor's frame in, clean model points in base_link out."""

from __future__ import annotations

from typing import Any

from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from aislewise import messages, topics
from aislewise.frames import RobotFrames
from aislewise.node import AislewiseNode, run
from perception import pointcloud2
from perception.lidar import LidarConfig, model_points


class LidarNode(AislewiseNode):
    """Drops what is no measurement (NaN, self hits, out of range) and says how much that was."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("lidar", **kwargs)
        self.settings = self.config(LidarConfig, self.on_settings)
        self.robot = self.get_namespace().strip("/")
        self.frames = RobotFrames(self.robot)
        self._points = self.advertise(topics.POINTS)
        self.listen(topics.TF_STATIC, self.frames.on_static)
        self.listen(topics.POINTS_RAW, self.on_cloud)

    def on_settings(self, settings: LidarConfig) -> None:
        self.settings = settings

    def on_cloud(self, msg: Any) -> None:
        mount = self.frames.mount(msg.header.frame_id)
        if mount is None:
            self.counts["no_mount"] += 1
            return
        fields = [pointcloud2.PointField(f.name, f.offset, f.datatype, f.count) for f in msg.fields]
        raw = pointcloud2.decode(
            msg.data, fields, msg.width, msg.height, msg.point_step, msg.row_step, msg.is_bigendian
        )
        points, counts = model_points(raw, mount, self.settings)
        self.counts["not_finite"] += counts.not_finite
        data, layout, step = pointcloud2.encode(points)
        out = PointCloud2(
            header=Header(stamp=msg.header.stamp, frame_id=topics.frame(self.robot, "base_link")),
            height=1, width=len(points), point_step=step, row_step=step * len(points),
            fields=[PointField(name=f.name, offset=f.offset, datatype=f.datatype, count=1) for f in layout],
            is_bigendian=False, is_dense=True, data=messages.octets(data),
        )
        self._points.publish(out)


def main(args: list[str] | None = None) -> int:
    return run(LidarNode, args)
