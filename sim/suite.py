"""The sensors that the robots of a shift carry, and what of them lasts from one frame to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from aislewise.types import F64, Pose2D
from sim.camera_effects import next_level
from sim.ego_motion import STILL, Twist
from sim.imu import Imu
from sim.rigs import EXACT, Rig, draw_rig
from sim.sensor_models import SensorSetup
from sim.sensors import CameraConfig, LidarConfig, RawFrame

Draw = Callable[..., np.random.Generator]
"""(more...) -> generator: the same for the same scenario and seed."""
RIG, INERTIAL, TIMING = range(3)
"""Parts of the stream."""


class SensorSuite:
    """One kind of lidar and camera for all robots, each with its own rig. lidar_columns: of a lidar that states none."""

    def __init__(self, setup: SensorSetup, lidar_columns: int, robots: Sequence[str], draw: Draw) -> None:
        self.setup = setup
        self.lidar = LidarConfig.of(setup.lidar, lidar_columns)
        self.camera = CameraConfig.of(setup.camera, setup.depth)
        self._draw = draw
        self._index = {name: k for k, name in enumerate(robots)}
        mounts = self.camera.model.T_base_camera, self.lidar.T_base_lidar
        self.rigs: dict[str, Rig] = {name: draw_rig(setup, *mounts, draw(RIG, k)) for name, k in self._index.items()}
        self._imus: dict[str, Imu] = {}
        if setup.imu is not None:
            self._imus = {name: Imu(setup.imu, draw(INERTIAL, k)) for name, k in self._index.items()}
        self._levels = dict.fromkeys(robots, 1.0)
        self._metered_ns = dict.fromkeys(robots, 0)
        self._before: dict[str, Pose2D] = {}

    def remember(self, poses: dict[str, Pose2D]) -> None:
        """Where the robots were before the step that comes."""
        self._before = poses

    def twist(self, robot: str, pose: Pose2D, dt_s: float) -> Twist:
        """How it moved in the step that led to that pose and took dt_s."""
        before = self._before.get(robot, pose)
        return STILL if before == pose else Twist.between(before, pose, dt_s)

    def level(self, robot: str) -> float:
        """Of the exposure of its next picture."""
        return self._levels[robot]

    def metered(self, robot: str, frame: RawFrame) -> None:
        """Takes a picture's brightness into the automatic exposure of the next."""
        setup = self.camera.exposure
        if setup is None or not setup.auto:
            return
        since_s = (frame.stamp_ns - self._metered_ns[robot]) * 1e-9
        self._metered_ns[robot] = frame.stamp_ns
        self._levels[robot] = next_level(setup, self._levels[robot], frame.brightness, since_s)

    def inertial(self, robot: str, twist: Twist, dt_s: float) -> tuple[F64, F64]:
        """See Imu.step; only with an `imu` in the setup."""
        return self._imus[robot].step(twist, dt_s)

    def timing(self, robot: str, sensor: str, taken_ns: int) -> tuple[int, int]:
        """When a reading taken then goes out, and its stamp, ns."""
        clock = self.rigs[robot].clocks[sensor]
        if clock == EXACT:
            return taken_ns, taken_ns
        rng = self._draw(TIMING, self._index[robot], list(self.rigs[robot].clocks).index(sensor), taken_ns)
        return clock.timing(taken_ns, rng)
