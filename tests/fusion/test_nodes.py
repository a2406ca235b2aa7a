"""The fusion and world nodes on a bus: lifecycle, diagnostics, and what they show in standard messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from aislewise import messages, topics, visual
from aislewise.clock import to_ns
from aislewise.errors import InputError
from aislewise.node import AislewiseNode
from aislewise.sitemap import SiteMap
from aislewise.types import (
    Detection,
    DetectionFrame,
    Instruction,
    ObjectClass,
    Phrase,
    Pose2D,
    RobotInfo,
    RobotMode,
    SensorFrame,
)
from fusion.fusion_node import FusionNode
from fusion.world_node import WorldNode
from perception import pointcloud2
from pocketros.testing import spin_until_idle

PREFIX = "/robot_1/"


def tote(x: float = 2.0) -> Detection:
    probs = np.full(7, 0.01, np.float32)
    probs[ObjectClass.TOTE] = 0.94
    colour = np.full(8, 0.01, np.float32)
    colour[1] = 0.93
    return Detection(
        probs, 0.9, np.array([x, 0, 0.2], np.float32), np.array([0.6, 0.4, 0.35], np.float32), 0.0, colour,
        np.zeros(2, np.float32), np.eye(32, dtype=np.float32)[0],
    )  # fmt: skip


class OneTote:
    """Stands in for the network: sees one tote in every frame."""

    def __init__(self) -> None:
        self.frames: list[SensorFrame] = []

    def detect(self, frame: SensorFrame) -> tuple[Detection, ...]:
        self.frames.append(frame)
        return (tote(),)


class Stage:
    """Nodes in simulated time."""

    def __init__(self) -> None:
        rclpy.init(args=["--ros-args", "-p", "use_sim_time:=true"])
        self.executor = SingleThreadedExecutor()
        self.nodes: list[Any] = []
        self.bench = self.add(AislewiseNode("bench"))
        self.clock = self.bench.advertise(topics.CLOCK)
        self.got: dict[str, list[Any]] = {}
        self.now_s = 0.0

    def add(self, node: Any) -> Any:
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def hear(self, topic: topics.Topic, prefix: str = "") -> list[Any]:
        got = self.got.setdefault(prefix + topic.name, [])
        self.bench.listen(topic, got.append, prefix)
        return got

    def pass_time(self, seconds: float, each: Callable[[int], None] = lambda now_ns: None, step_s: float = 0.1) -> None:
        for _ in range(round(seconds / step_s)):
            self.now_s += step_s
            self.clock.publish(Clock(clock=messages.to_stamp(to_ns(self.now_s))))
            each(to_ns(self.now_s))
            spin_until_idle(self.executor)

    def status(self, name: str) -> Any:
        reports = self.got[topics.DIAGNOSTICS.name]
        return next(s for m in reversed(reports) for s in m.status if s.name == name)


@pytest.fixture
def stage() -> Iterator[Stage]:
    out = Stage()
    yield out
    for node in out.nodes:
        node.destroy_node()
    rclpy.try_shutdown()


# --- fusion ----------------------------------------------------------------------------------------


class Robot:
    """Publishes a robot's poses and clouds."""

    def __init__(self, stage: Stage) -> None:
        self.tf = stage.bench.advertise(topics.TF)
        self.points = stage.bench.advertise(topics.POINTS, PREFIX)

    def poses(self, now_ns: int) -> None:
        chain = (("map", "robot_1/odom"), ("robot_1/odom", "robot_1/base_link"))
        links = [TransformStamped(header=messages.header(now_ns, a), child_frame_id=b) for a, b in chain]
        self.tf.publish(TFMessage(transforms=links))

    def cloud(self, stamp_ns: int) -> None:
        data, layout, step = pointcloud2.encode(np.full((50, 4), 3.0, np.float32))
        fields = [PointField(name=f.name, offset=f.offset, datatype=f.datatype, count=1) for f in layout]
        self.points.publish(
            PointCloud2(
                header=messages.header(stamp_ns, "robot_1/base_link"), height=1, width=50, fields=fields,
                point_step=step, row_step=step * 50, is_dense=True, data=data,
            )
        )

    def __call__(self, now_ns: int) -> None:
        self.poses(now_ns)
        if now_ns % to_ns(0.5) == 0:
            self.cloud(now_ns)


def fusion(stage: Stage, detector: Any, **parameters: Any) -> FusionNode:
    overrides = [Parameter(k, value=v) for k, v in parameters.items()]
    return stage.add(FusionNode(detector, namespace="/robot_1", parameter_overrides=overrides))


def test_a_deactivated_fusion_node_detects_nothing_and_resumes_with_fresh_frames(stage: Stage) -> None:
    network = OneTote()
    node, robot, seen = fusion(stage, network), Robot(stage), stage.hear(topics.DETECTIONS, PREFIX)
    stage.pass_time(3.0, robot)
    assert len(seen) >= 4
    robot.cloud(to_ns(stage.now_s + 0.05))  # newer than the last pose: waits for the next one
    stage.pass_time(0.1)
    node.trigger_deactivate()
    before, frames = len(seen), len(network.frames)
    stage.pass_time(3.0, robot)
    assert len(seen) == before and len(network.frames) == frames
    node.trigger_activate()
    paused_ns = to_ns(stage.now_s)
    stage.pass_time(3.0, robot)
    assert len(seen) - before >= 4
    assert all(f.stamp_ns > paused_ns for f in network.frames[frames:])


def test_boxes_go_out_in_the_standard_message_for_those_who_ask(stage: Stage) -> None:
    fusion(stage, OneTote())
    robot, boxes = Robot(stage), stage.hear(topics.DETECTIONS_3D, PREFIX)
    stage.pass_time(2.0, robot)
    _, frame_id, seen = visual.from_boxes_msg(boxes[-1])
    assert frame_id == "robot_1/base_link" and [b.cls for b in seen] == [ObjectClass.TOTE]


def test_model_health_names_the_missing_camera_and_the_lost_pose(stage: Stage) -> None:
    fusion(stage, OneTote())
    robot = Robot(stage)
    stage.hear(topics.DIAGNOSTICS)
    stage.pass_time(5.0, robot)
    model = stage.status("/robot_1/fusion: model")
    assert model.level == DiagnosticStatus.WARN and model.message == "works without camera"
    assert {v.key for v in model.values} >= {"inference p50 ms", "inference p99 ms", "lidar share"}
    assert model.hardware_id == "robot_1"
    assert stage.status("/robot_1/fusion: input perception/image").level == DiagnosticStatus.STALE
    assert stage.status("/robot_1/fusion: input perception/points").level == DiagnosticStatus.OK
    assert stage.status("/robot_1/fusion: pose").level == DiagnosticStatus.OK
    stage.pass_time(4.0)
    assert stage.status("/robot_1/fusion: model").level == DiagnosticStatus.STALE
    assert stage.status("/robot_1/fusion: pose").level == DiagnosticStatus.ERROR


def test_a_missing_model_file_is_an_error_at_start(stage: Stage) -> None:
    with pytest.raises(InputError, match="weights"):
        FusionNode(namespace="/robot_1", parameter_overrides=[Parameter("weights", value="/nowhere.onnx")])


# --- world -----------------------------------------------------------------------------------------


class Fleet:
    """Publishes a robot's reports and what it detects."""

    def __init__(self, stage: Stage) -> None:
        self.state = stage.bench.advertise(topics.ROBOT_STATE, PREFIX)
        self.detections = stage.bench.advertise(topics.DETECTIONS, PREFIX)
        site = SiteMap("s", 1.0, 0.0, 0.0, np.zeros((12, 12), np.uint8), {})
        stage.bench.advertise(topics.SITE_MAP).publish(String(data=json.dumps(site.to_json())))
        self.sees: tuple[Detection, ...] = (tote(),)

    def __call__(self, now_ns: int) -> None:
        pose = Pose2D(4.0, 4.0, 0.0)
        self.state.publish(messages.to_robot_msg(RobotInfo("robot_1", pose, 0.9, (), RobotMode.IDLE, -1, now_ns)))
        if now_ns % to_ns(0.5) == 0:
            frame = DetectionFrame("robot_1", now_ns, pose, self.sees, None, ("camera", "lidar"))
            self.detections.publish(messages.to_detections_msg(frame))


def test_a_deactivated_world_node_publishes_nothing_and_keeps_instructions(stage: Stage) -> None:
    fleet, states, answers = Fleet(stage), stage.hear(topics.WORLD_STATE), stage.hear(topics.GROUNDED)
    words = stage.bench.advertise(topics.INSTRUCTION)
    node = stage.add(WorldNode())
    stage.pass_time(4.0, fleet)
    assert len(states) >= 5 and len(states[-1].objects) == 1
    node.trigger_deactivate()
    before = len(states)
    said = Instruction("what", "none", 0.9, Phrase("tote", ObjectClass.TOTE))
    words.publish(messages.to_instruction_msg(said, 0))
    stage.pass_time(3.0, fleet)
    assert len(states) == before and not answers
    node.trigger_activate()
    stage.pass_time(2.0, fleet)
    assert len(states) > before and len(answers) == 1


def test_objects_and_markers_are_shown_and_taken_down(stage: Stage) -> None:
    fleet, objects, markers = Fleet(stage), stage.hear(topics.WORLD_OBJECTS), stage.hear(topics.WORLD_MARKERS)
    grids = stage.hear(topics.SITE_GRID)
    stage.add(WorldNode(parameter_overrides=[Parameter("occupancy_period_s", value=1.0)]))
    stage.pass_time(6.0, fleet)
    _, frame_id, boxes = visual.from_boxes_msg(objects[-1])
    assert frame_id == "map" and np.allclose(boxes[0].position[:2], (6.0, 4.0), atol=0.2)
    assert {"objects", "object_labels", "robots"} <= {m.ns for m in markers[-1].markers}
    assert len(grids) == 1 and grids[0].info.width == 12


def test_the_worlds_health_names_what_is_not_heard_of(stage: Stage) -> None:
    fleet = Fleet(stage)
    stage.hear(topics.DIAGNOSTICS)
    stage.add(WorldNode())
    stage.pass_time(4.0, fleet)
    assert stage.status("/world: world").level == DiagnosticStatus.OK
    assert stage.status("/world: input /robot_1/detections").level == DiagnosticStatus.OK
    stage.pass_time(6.0)
    world = stage.status("/world: world")
    assert world.level == DiagnosticStatus.WARN and "robot_1/camera" in world.message
    assert stage.status("/world: input /robot_1/robot_state").level == DiagnosticStatus.ERROR


def test_periods_and_patience_change_live(stage: Stage) -> None:
    fleet, states = Fleet(stage), stage.hear(topics.WORLD_STATE)
    node = stage.add(WorldNode())
    stage.pass_time(2.0, fleet)
    node.set_parameters([Parameter("period_s", value=0.1), Parameter("patience_s", value=1.0)])
    before = len(states)
    stage.pass_time(2.0, fleet)
    assert len(states) - before == 20 and node.settings.patience_s == 1.0
