"""Simulator node: the simulated warehouse as seen from ROS. Sensors, /tf, odometry, battery and states out,
routes in. Runs paced by the wall clock, or in lock step when a runner calls `tick`."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rosgraph_msgs.msg import Clock as ClockMsg
from sensor_msgs.msg import BatteryState, CameraInfo, Image, Imu, PointCloud2, PointField
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from aislewise import messages, topics
from aislewise.clock import to_ns
from aislewise.errors import AislewiseError
from aislewise.geometry import compose, inverse
from aislewise.node import AislewiseNode, run
from aislewise.settings import check, setting
from aislewise.types import Pose2D
from sim.fleet_topics import FleetTopics
from sim.network_faults import RobotNetwork
from sim.render import RenderPool
from sim.scenario import Scenario, load_scenario
from sim.sensor_faults import Reading, SensorFaults
from sim.sensor_models import ImuSetup
from sim.sensors import RawFrame
from sim.setup import stream
from sim.world import SimWorld


@dataclass(frozen=True)
class SimNodeConfig:
    """Parameters of the simulator."""

    scenario: str = setting("shift", "name of a scenario, or a file", live=False)
    robots: int = setting(-1, "number of robots; -1: the scenario's", low=-1, high=64, live=False)
    seed: int = setting(-1, "of the scenario; -1: its own", low=-1, high=2**31 - 1, live=False)
    tick_s: float = setting(0.1, "physics step, s", low=0.01, high=0.5, live=False)
    state_every: int = setting(2, "ticks between two reports of a robot", low=1, high=100, live=False)
    sense_every: int = setting(5, "ticks between two sets of sensor data", low=1, high=100, live=False)
    rate: float = setting(1.0, "simulated over wall seconds", low=0.01, high=100.0)
    workers: int = setting(
        -1, "processes that render; 0: this one; -1: one for each core but one", low=-1, high=64, live=False
    )

    def __post_init__(self) -> None:
        check(self, "sim.")


class SimNode(AislewiseNode):
    """Publishes what real robots would, from a SimWorld."""

    def __init__(self, scenario: Scenario | None = None, lockstep: bool = False, **kwargs: Any) -> None:
        super().__init__("sim", **kwargs)
        self.settings = self.config(SimNodeConfig, self.on_settings)
        if scenario is None:
            changes = {
                k: v for k in ("robots", "seed") if (v := getattr(self.settings, k)) >= 0
            }
            scenario = dataclasses.replace(load_scenario(self.settings.scenario), **changes)
        self.scenario = scenario
        self.world = SimWorld(scenario)
        self._sensor_faults = SensorFaults(
            self.world.faults, list(self.world.drivers), lambda *more: stream(scenario, "faults", *more),
            float(self.world.camera.K[0, 0]), self.world.suite.timing,
        )  # fmt: skip
        self.network = RobotNetwork(
            self.world.faults, list(self.world.robots), lambda *more: stream(scenario, "faults", *more)
        )
        self._newest = messages.Newest()
        self.ticks = 0
        self.frames_sent = 0
        self.frames: deque[tuple[str, RawFrame]] = deque(maxlen=64)
        workers = self.settings.workers
        if workers < 0:
            workers = min(len(self.world.drivers), max(1, (os.cpu_count() or 2) - 1))
        self._pool = RenderPool(self.world.base, workers) if workers and self.world.drivers else None
        self._coming: Iterator[tuple[str, RawFrame]] | None = None
        self._next_frame = self.create_guard_condition(self._publish_next)
        self._clock_pub = self.advertise(topics.CLOCK)
        self._tf = self.advertise(topics.TF)
        self._tf_static = self.advertise(topics.TF_STATIC)
        self._site = self.advertise(topics.SITE_MAP)
        self._instruction = self.advertise(topics.INSTRUCTION_TEXT)
        self._out = {name: self._robot_topics(name) for name in self.world.drivers}
        fleet = self.world.fleet
        self._fleet = FleetTopics(self, self.world, self.settings.tick_s, self.on_route, self.send) if fleet else None
        self._site.publish(String(data=json.dumps(self.world.site.to_json())))
        self._tf_static.publish(TFMessage(transforms=self._mounts()))
        self._pace: Any = None
        if not lockstep:  # paced by a clock that runs by itself: our own node may use simulated time, too
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._pace = self.create_timer(self.settings.tick_s / self.settings.rate, self.tick, clock=steady)

    def on_settings(self, settings: SimNodeConfig) -> None:
        self.settings = settings
        if self._pace is not None:
            self._pace.timer_period_ns = to_ns(settings.tick_s / settings.rate)

    def hold(self) -> None:
        """Let simulated time stand still; whoever comes late still finds the world at its beginning."""
        if self._pace is not None:
            self._pace.cancel()

    def go_on(self) -> None:
        if self._pace is not None:
            self._pace.reset()

    @property
    def workers(self) -> list[int]:
        """Process ids of those who render."""
        return self._pool.pids if self._pool is not None else []

    def _robot_topics(self, name: str) -> dict[str, Any]:
        prefix = f"/{name}/"
        self.listen(topics.ROUTE, self.on_route, prefix)
        table = (
            topics.IMAGE_RAW, topics.CAMERA_INFO_RAW, topics.POINTS_RAW, topics.ODOM, topics.BATTERY,
            topics.ROBOT_STATE,
            *((topics.DEPTH_RAW,) if self.scenario.sensors.depth else ()),
            *((topics.IMU_RAW,) if self.scenario.sensors.imu else ()),
        )
        return {topic.name: self.advertise(topic, prefix) for topic in table}

    def on_route(self, msg: Any) -> None:
        """Routes reach robots over the network, where they may be lost, doubled or overtaken."""
        self.network.carry(msg.robot, topics.ROUTE.name, self.world.now_ns, lambda: self._obey(msg))

    def _obey(self, msg: Any) -> None:
        try:
            self._newest.check(msg.robot, msg.header.stamp)
            robot, first_seq, waypoints = messages.from_route_msg(msg)
            self.world.set_route(robot, first_seq, waypoints)
        except AislewiseError as error:
            self.refuse(f"/{msg.robot}/{topics.ROUTE.name}", error)

    def send(self, robot: str, topic: topics.Topic, publisher: Any, msg: Any) -> None:
        """A robot's message on its way out."""
        self.network.carry(robot, topic.name, self.world.now_ns, lambda: publisher.publish(msg))

    def tick(self) -> None:
        """One physics step, and whatever is due to be published after it."""
        self.world.step(self.settings.tick_s)
        self.ticks += 1
        self.tell_time()
        self.network.due(self.world.now_ns)
        if self.scenario.sensors.imu:
            for name in self.world.drivers:
                felt = self.world.suite.inertial(name, self.world.twist(name), self.settings.tick_s)
                self._sensor_faults.send(name, "imu", self.world.now_ns, felt)
        self._publish_due()
        for text in self.world.due_instructions():
            self._instruction.publish(String(data=text))
        if self.ticks % self.settings.state_every == 0:
            for name in self.world.drivers:
                self._publish_state(name)
        if self._fleet is not None:
            self._fleet.publish(self.ticks)
        if self.ticks % self.settings.sense_every == 0:
            self._publish_sensors()

    def tell_time(self) -> None:
        """Also between ticks, to a node that has come since: it would take the time for 0."""
        self._clock_pub.publish(ClockMsg(clock=messages.to_stamp(self.world.now_ns)))

    def _publish_state(self, name: str) -> None:
        info, now = self.world.robot_info(name), self.world.now_ns
        odom = self.world.odometry(name)
        if not self.world.faults.has("robot silent", name, now):
            self._send(name, topics.ROBOT_STATE, messages.to_robot_msg(info))
        self._send(
            name, topics.BATTERY,
            BatteryState(header=messages.header(now, topics.frame(name, "base_link")), percentage=info.battery),
        )
        odom_msg = Odometry(
            header=messages.header(now, topics.frame(name, "odom")),
            child_frame_id=topics.frame(name, "base_link"),
        )
        odom_msg.pose.pose.position.x, odom_msg.pose.pose.position.y = odom.x_m, odom.y_m
        odom_msg.pose.pose.orientation.z = math.sin(odom.yaw_rad / 2)
        odom_msg.pose.pose.orientation.w = math.cos(odom.yaw_rad / 2)
        self._send(name, topics.ODOM, odom_msg)
        self._publish_tf(name, info.pose, odom, now)

    def _send(self, robot: str, topic: topics.Topic, msg: Any) -> None:
        self.send(robot, topic, self._out[robot][topic.name], msg)

    def _publish_tf(self, name: str, pose: Pose2D, odom: Pose2D, now: int) -> None:
        T_map_odom = compose(pose, inverse(odom))
        odom_frame, base = topics.frame(name, "odom"), topics.frame(name, "base_link")
        msg = TFMessage(
            transforms=[_transform("map", odom_frame, T_map_odom, now), _transform(odom_frame, base, odom, now)]
        )
        self.send(name, topics.TF, self._tf, msg)

    def _publish_sensors(self) -> None:
        """Rendering runs in processes of its own; frames go out in the robots' order, each
        when it is ready, so that the first are worked on while the last are still being rendered."""
        for name in self.world.drivers:
            self._publish_state(name)
        while self._coming is not None:  # paced by a wall clock that the rendering cannot keep up with
            self._publish_next()
        self._coming = self.world.sensing(list(self.world.drivers), self._pool)
        self._next_frame.trigger()

    def _publish_next(self) -> None:
        """One robot's sensors, then make room for those who work on them."""
        if self._coming is None:
            return
        ready = next(self._coming, None)
        if ready is None:
            self._coming = None
            return
        self._publish_frame(*ready)
        self._next_frame.trigger()

    def _publish_frame(self, name: str, frame: RawFrame) -> None:
        self.frames.append((name, self._sensor_faults.take(name, frame)))
        self.frames_sent += 1
        self._publish_due()

    def _publish_due(self) -> None:
        for reading in self._sensor_faults.due(self.world.now_ns):
            robot = reading.robot
            if reading.sensor == "camera":
                self._publish_image(reading)
            elif reading.sensor == "lidar":
                self._send(robot, topics.POINTS_RAW, _cloud(robot, reading.stamp_ns, reading.data))
            elif reading.sensor == "depth":
                self._send(robot, topics.DEPTH_RAW, _depth(reading))
            else:
                felt = _inertial(reading, self.scenario.sensors.imu, self.settings.tick_s)
                self._send(robot, topics.IMU_RAW, felt)

    def _publish_image(self, reading: Reading) -> None:
        camera = self.world.camera
        stamp = messages.header(reading.stamp_ns, topics.frame(reading.robot, "camera_link"))
        height, width = reading.data.shape[:2]
        info = CameraInfo(header=stamp, height=height, width=width, k=camera.K.ravel())
        lens = self.world.camera_config.distortion
        if any(lens):
            info.distortion_model, info.d = "plumb_bob", np.array([*lens, 0.0])
        self._send(reading.robot, topics.CAMERA_INFO_RAW, info)
        image = Image(
            header=stamp, height=height, width=width, encoding="rgb8", step=3 * width, data=messages.octets(reading.data)
        )
        self._send(reading.robot, topics.IMAGE_RAW, image)

    def _mounts(self) -> list[Any]:
        mounts = []
        for name in self.world.drivers:
            for link, T in (("lidar_link", self.world.T_base_lidar), ("camera_link", self.world.camera.T_base_camera)):
                out = TransformStamped(
                    header=messages.header(0, topics.frame(name, "base_link")),
                    child_frame_id=topics.frame(name, link),
                )
                t, q = out.transform.translation, out.transform.rotation
                t.x, t.y, t.z = (float(v) for v in T[:3, 3])
                q.x, q.y, q.z, q.w = (float(v) for v in _quaternion(T[:3, :3]))
                mounts.append(out)
        return mounts

    def destroy_node(self) -> None:
        if self._pool is not None:
            self._pool.close()
        super().destroy_node()


def _quaternion(R: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(R).as_quat()


def _transform(parent: str, child: str, pose: Pose2D, stamp_ns: int) -> Any:
    out = TransformStamped(header=messages.header(stamp_ns, parent), child_frame_id=child)
    out.transform.translation.x, out.transform.translation.y = pose.x_m, pose.y_m
    out.transform.rotation.z, out.transform.rotation.w = math.sin(pose.yaw_rad / 2), math.cos(pose.yaw_rad / 2)
    return out


def _cloud(robot: str, stamp_ns: int, points: np.ndarray) -> Any:
    points = np.ascontiguousarray(points, np.float32)
    names = ("x", "y", "z", "intensity")
    return PointCloud2(
        header=messages.header(stamp_ns, topics.frame(robot, "lidar_link")), height=1, width=len(points),
        fields=[PointField(name=n, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, n in enumerate(names)],
        is_bigendian=False, point_step=16, row_step=16 * len(points), is_dense=True,
        data=messages.octets(points),
    )


def _depth(reading: Reading) -> Any:
    """In the colour camera's frame and pixels (REP-118: metres, NaN and infinities for what is no measurement)."""
    height, width = reading.data.shape
    return Image(
        header=messages.header(reading.stamp_ns, topics.frame(reading.robot, "camera_link")), height=height, width=width,
        encoding="32FC1", step=4 * width, data=messages.octets(reading.data),
    )  # fmt: skip


def _inertial(reading: Reading, setup: ImuSetup | None, dt_s: float) -> Any:
    """REP-145: no orientation, which the first covariance says; the unit sits at base_link's origin."""
    assert setup is not None
    gyro, accel = reading.data
    out = Imu(header=messages.header(reading.stamp_ns, topics.frame(reading.robot, "base_link")))
    out.orientation_covariance = np.array([-1.0, *[0.0] * 8])
    for vector, values in ((out.angular_velocity, gyro), (out.linear_acceleration, accel)):
        vector.x, vector.y, vector.z = (float(v) for v in values)
    out.angular_velocity_covariance = (np.eye(3) * setup.gyro_noise**2 / dt_s).ravel()
    out.linear_acceleration_covariance = (np.eye(3) * setup.accel_noise**2 / dt_s).ravel()
    return out


def main(args: list[str] | None = None) -> int:
    return run(SimNode, args)
