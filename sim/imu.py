"""A MEMS inertial unit at a robot's turning axis: angular rates and specific force with noise and drifting bias."""

from __future__ import annotations

import math

import numpy as np

from aislewise.types import F64
from sim.ego_motion import STILL, Twist
from sim.sensor_models import ImuSetup

GRAVITY_MPS2 = 9.80665


class Imu:
    """One robot's. Samples are averages over the step, so white noise has the density over sqrt(dt) (Kalibr's IMU
    noise model; El-Sheimy et al., "Analysis and modeling of inertial sensors using Allan variance", 2008)."""

    def __init__(self, setup: ImuSetup, rng: np.random.Generator) -> None:
        self._setup, self._rng = setup, rng
        bias = (setup.gyro_bias_radps, setup.accel_bias_mps2)
        self._bias = rng.standard_normal(6) * np.repeat(bias, 3)
        self._before = STILL

    def step(self, twist: Twist, dt_s: float) -> tuple[F64, F64]:
        """Angular velocity (3,) rad/s and specific force (3,) m/s^2 in base_link, over the last dt_s, at whose end the
        robot moves by twist. A standing robot feels gravity as 9.8 m/s^2 upwards."""
        s, root = self._setup, math.sqrt(dt_s)
        ahead = (twist.forward_mps - self._before.forward_mps) / dt_s
        aside = twist.forward_mps * twist.turn_radps
        self._before = twist
        self._bias += self._rng.standard_normal(6) * np.repeat((s.gyro_walk, s.accel_walk), 3) * root
        out = self._bias + self._rng.standard_normal(6) * np.repeat((s.gyro_noise, s.accel_noise), 3) / root
        out += (0.0, 0.0, twist.turn_radps, ahead, aside, GRAVITY_MPS2)
        return out[:3], out[3:]
