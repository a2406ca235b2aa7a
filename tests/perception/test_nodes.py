"""The perception nodes on a bus: what comes in, what goes out, and what bad input does."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from aislewise import messages, topics
from aislewise.node import AislewiseNode
from perception import pointcloud2
from perception.camera_node import CameraNode
from perception.instruction_node import InstructionNode
from perception.lidar_node import LidarNode
from pocketros.testing import spin_until_idle

PREFIX = "/robot_1/"


class Bench(AislewiseNode):
    """Feeds the nodes and keeps what they publish."""

    def __init__(self) -> None:
        super().__init__("bench")
        self.inputs = {
            t.name: self.advertise(t, PREFIX) for t in (topics.IMAGE_RAW, topics.CAMERA_INFO_RAW, topics.POINTS_RAW)
        }
        self.tf = self.advertise(topics.TF_STATIC)
        self.text = self.advertise(topics.INSTRUCTION_TEXT)
        self.images: list = []
        self.clouds: list = []
        self.parsed: list = []
        self.listen(topics.IMAGE, self.images.append, PREFIX)
        self.listen(topics.POINTS, self.clouds.append, PREFIX)
        self.listen(topics.INSTRUCTION, self.parsed.append)


@pytest.fixture
def stage() -> Iterator[tuple]:
    rclpy.init(args=[])
    executor = SingleThreadedExecutor()
    nodes = [Bench(), CameraNode(namespace="/robot_1"), LidarNode(namespace="/robot_1"), InstructionNode()]
    for node in nodes:
        executor.add_node(node)
    yield (*nodes, lambda: spin_until_idle(executor))
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()


def image_msg(data: bytes, height: int = 480, width: int = 640) -> Image:
    head = messages.header(1, "robot_1/camera_link")
    return Image(header=head, height=height, width=width, encoding="rgb8", step=3 * width, data=data)


def cloud_msg(points: np.ndarray) -> PointCloud2:
    fields = [PointField(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(("x", "y", "z", "intensity"))]
    data = np.ascontiguousarray(points, np.float32).reshape(-1).view(np.uint8)
    return PointCloud2(
        header=messages.header(1, "robot_1/lidar_link"), height=1, width=len(points), fields=fields,
        point_step=16, row_step=16 * len(points), is_bigendian=False, is_dense=True, data=data,
    )  # fmt: skip


def test_an_image_becomes_the_models_size_and_a_truncated_one_is_counted(stage) -> None:
    bench, camera, _, _, spin = stage
    info = CameraInfo(header=messages.header(1, "x"), height=480, width=640, k=np.array([320, 0, 320, 0, 320, 240, 0, 0, 1.0]))
    bench.inputs[topics.CAMERA_INFO_RAW.name].publish(info)
    spin()
    bench.inputs[topics.IMAGE_RAW.name].publish(image_msg(bytes(480 * 640 * 3)))
    bench.inputs[topics.IMAGE_RAW.name].publish(image_msg(bytes(100)))
    spin()
    assert [(m.height, m.width) for m in bench.images] == [(240, 320)]
    assert camera.counts["camera/image_raw.refused"] == 1


def test_points_arrive_in_base_link_without_garbage(stage) -> None:
    bench, _, lidar, _, spin = stage
    mount = TransformStamped(header=messages.header(0, "robot_1/base_link"), child_frame_id="robot_1/lidar_link")
    mount.transform.translation.z = 0.9
    mount.transform.rotation.z, mount.transform.rotation.w = math.sin(math.pi / 4), math.cos(math.pi / 4)
    bench.tf.publish(TFMessage(transforms=[mount]))
    spin()
    points = np.array([[5, 0, 0, 0.5], [np.nan, 0, 0, 0], [np.inf, 1, 1, 0], [500, 0, 0, 0]], np.float32)
    bench.inputs[topics.POINTS_RAW.name].publish(cloud_msg(points))
    spin()
    out = bench.clouds[0]
    fields = [pointcloud2.PointField(f.name, f.offset, f.datatype, f.count) for f in out.fields]
    kept = pointcloud2.decode(out.data, fields, out.width, out.height, out.point_step, out.row_step)
    assert out.header.frame_id == "robot_1/base_link"
    assert np.allclose(kept, [[0, 5, 0.9, 0.5]], atol=1e-5)
    assert lidar.counts["not_finite"] == 2


def test_a_cloud_with_a_wrong_layout_is_refused_and_the_node_lives_on(stage) -> None:
    bench, _, lidar, _, spin = stage
    mount = TransformStamped(header=messages.header(0, "robot_1/base_link"), child_frame_id="robot_1/lidar_link")
    bench.tf.publish(TFMessage(transforms=[mount]))
    bad = cloud_msg(np.ones((4, 4), np.float32))
    bad.width = 1000
    bench.inputs[topics.POINTS_RAW.name].publish(bad)
    bench.inputs[topics.POINTS_RAW.name].publish(cloud_msg(np.full((4, 4), 3, np.float32)))
    spin()
    assert lidar.counts["lidar/points.refused"] == 1 and len(bench.clouds) == 1


def test_words_become_an_instruction_and_empty_ones_are_refused(stage) -> None:
    bench, _, _, instruction, spin = stage
    for text in ("bring the blue tote near charger 2 to station 1, keep away from the wet floor", ""):
        bench.text.publish(String(data=text))
    spin()
    parsed = messages.from_instruction_msg(bench.parsed[0])
    assert (parsed.intent, parsed.destination.place, len(parsed.avoid)) == ("bring", "station_1", 1)
    assert parsed.target.anchor.place == "charger_2"
    assert instruction.counts["/instruction.refused"] == 1
