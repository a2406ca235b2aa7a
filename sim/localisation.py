"""Where robots believe that they are: the true pose with noise, or one that has lost its way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from aislewise.geometry import wrap_angle
from aislewise.types import F64, Pose2D
from sim.faults import Fault
from sim.scenario import Scenario
from sim.setup import stream

LOST_S, LOST_RAD = 3.0, 0.5
"""A pose that is lost slides away within, and turns by at most."""
FLEET_NOISE = 100_000


class Localisation:
    """index: every robot's place among all; those from `drivers` on are of object fidelity, whose noise is drawn at
    once for all of them."""

    def __init__(self, scenario: Scenario, index: Mapping[str, int], drivers: int) -> None:
        self._scenario, self._index, self._drivers = scenario, index, drivers
        self._fleet_noise: tuple[int, F64] = (-1, np.zeros((0, 3)))

    def pose(self, robot: str, true: Pose2D, now_ns: int, lost: Iterable[tuple[int, Fault, float]] = ()) -> Pose2D:
        """The same whenever asked at one time. lost: as FaultSchedule.lost has it."""
        config, noise = self._scenario.robot, self._noise(robot, now_ns)
        pose = Pose2D(
            true.x_m + config.localisation_m * float(noise[0]),
            true.y_m + config.localisation_m * float(noise[1]),
            wrap_angle(true.yaw_rad + config.localisation_rad * float(noise[2])),
        )
        for number, fault, lasted_s in lost:
            pose = self._astray(robot, pose, number, fault, lasted_s)
        return pose

    def _noise(self, robot: str, now_ns: int) -> F64:
        """(3,) standard normal."""
        row = self._index[robot]
        if row < self._drivers:
            return stream(self._scenario, "noise", row, now_ns).standard_normal(3)
        if self._fleet_noise[0] != now_ns:
            drawn = stream(self._scenario, "noise", FLEET_NOISE, now_ns).standard_normal((len(self._index), 3))
            self._fleet_noise = (now_ns, drawn)
        out: F64 = self._fleet_noise[1][row]
        return out

    def _astray(self, robot: str, pose: Pose2D, number: int, fault: Fault, lasted_s: float) -> Pose2D:
        """It slides off in a drawn direction, and turns."""
        rng = stream(self._scenario, "faults", number, self._index[robot])
        way, turn = rng.uniform(-math.pi, math.pi), rng.uniform(-LOST_RAD, LOST_RAD)
        share = min(1.0, lasted_s / LOST_S)
        far = share * (fault.amount or 0.0)
        return Pose2D(
            pose.x_m + far * math.cos(way), pose.y_m + far * math.sin(way), wrap_angle(pose.yaw_rad + share * turn)
        )
