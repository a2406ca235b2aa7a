"""What distinguishes one robot's sensors from the next one's: true mounts and clocks, drawn once from the seed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aislewise.types import F64
from sim.sensor_models import SensorSetup, TimingSetup

SENSORS = ("camera", "lidar", "depth", "imu")


@dataclass(frozen=True, slots=True)
class MountErrors:
    """(4, 4) from where base_link would be, going by the sensor's stated mount, to where it is; None: no error."""

    camera: F64 | None = None
    lidar: F64 | None = None


NO_ERRORS = MountErrors()


@dataclass(frozen=True, slots=True)
class SensorClock:
    """One sensor's: its stamps are wrong by offset_s + drift * time; its messages come latency_s after the truth."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    offset_s: float = 0.0
    drift: float = 0.0

    def timing(self, taken_ns: int, rng: np.random.Generator) -> tuple[int, int]:
        """When a message goes out, and its stamp, ns."""
        late_s = self.latency_s + self.jitter_s * abs(float(rng.standard_normal()))
        wrong_ns = self.offset_s * 1e9 + self.drift * taken_ns
        return taken_ns + round(late_s * 1e9), max(0, taken_ns + round(wrong_ns))


EXACT = SensorClock()


@dataclass(frozen=True, slots=True)
class Rig:
    """One robot's."""

    mounts: MountErrors = field(default_factory=MountErrors)
    clocks: dict[str, SensorClock] = field(default_factory=dict)


def draw_rig(setup: SensorSetup, T_base_camera: F64, T_base_lidar: F64, rng: np.random.Generator) -> Rig:
    """Numbers are drawn for every sensor, used or not: a change of one leaves the others as they are."""
    mounts = MountErrors(
        _mount_error(T_base_camera, setup.calibration.camera_deg, setup.calibration.camera_m, rng),
        _mount_error(T_base_lidar, setup.calibration.lidar_deg, setup.calibration.lidar_m, rng),
    )
    plain = TimingSetup()
    timings = (
        setup.camera.timing, setup.lidar.timing,
        setup.depth.timing if setup.depth else plain, setup.imu.timing if setup.imu else plain,
    )  # fmt: skip
    return Rig(mounts, {name: _clock(timing, rng) for name, timing in zip(SENSORS, timings, strict=True)})


def _clock(timing: TimingSetup, rng: np.random.Generator) -> SensorClock:
    own, offset, drift = rng.uniform(0.8, 1.2), rng.standard_normal(), rng.standard_normal()
    return SensorClock(
        timing.latency_s * own, timing.jitter_s, timing.offset_s * offset, timing.drift_ppm * 1e-6 * drift
    )


def _mount_error(T_base_sensor: F64, deg: float, shift_m: float, rng: np.random.Generator) -> F64 | None:
    from scipy.spatial.transform import Rotation

    turn, shift = rng.standard_normal(3), rng.standard_normal(3)
    if deg == 0.0 and shift_m == 0.0:
        return None
    error = np.eye(4)
    error[:3, :3] = Rotation.from_rotvec(np.radians(deg) * turn).as_matrix()
    error[:3, 3] = shift_m * shift
    return T_base_sensor @ error @ np.linalg.inv(T_base_sensor)


