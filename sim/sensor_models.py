"""The `sensors:` of a scenario: which lidar and camera a robot carries and how far they fall short of ideal ones.

Everything is off by default. Figures of lidars are those of their makers' public data sheets; where a sheet leaves
something open, the docstring says what was taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aislewise.errors import InputError
from aislewise.geometry import undistort

RETURNS = ("first", "strongest", "last", "dual")


@dataclass(frozen=True, slots=True)
class LidarModel:
    """elevation_deg: per beam, highest first; columns: firings a turn at rate_hz; range_noise_m: one sigma;
    divergence_rad: full width of a beam."""

    elevation_deg: tuple[float, ...]
    columns: int
    rate_hz: float
    min_range_m: float
    max_range_m: float
    range_noise_m: float
    divergence_rad: float


def _even(high_deg: float, low_deg: float, beams: int) -> tuple[float, ...]:
    step = (high_deg - low_deg) / (beams - 1)
    return tuple(round(high_deg - k * step, 4) for k in range(beams))


LIDARS = {
    "vlp16": LidarModel(_even(15.0, -15.0, 16), 1800, 10.0, 0.5, 100.0, 0.03, 3.0e-3),
    "hdl32e": LidarModel(_even(10.67, -30.67, 32), 2160, 10.0, 1.0, 100.0, 0.02, 3.0e-3),
    "os1_64": LidarModel(_even(16.6, -16.6, 64), 1024, 10.0, 0.8, 120.0, 0.03, 2.27e-3),
}
"""vlp16: Velodyne VLP-16 (Puck) data sheet: +-15 deg in steps of 2, 0.2 deg at 10 Hz, 100 m, accuracy +-3 cm; beam
3.0 mrad wide (its user manual; half of that in height). Nothing nearer than 0.5 m is taken as valid.
hdl32e: Velodyne HDL-32E data sheet: +10.67 to -30.67 deg, 1 to 100 m, accuracy +-2 cm (one sigma); 2160 firings a turn
follow from its 0.16 deg at 10 Hz; the beam is taken as wide as the VLP-16's.
os1_64: Ouster OS-1-64 (generation 1) data sheet: +-16.6 deg, 1024 columns at 10 Hz, 0.8 to 120 m (80% target), range
repeatability 3 cm at signal-to-noise 100, beam 0.13 deg."""


def within(name: str, value: Any, low: float, high: float) -> None:
    """Raises InputError for what is no number of that range."""
    if isinstance(value, bool) or not math.isfinite(value) or not low <= value <= high:
        raise InputError(name, f"{value}", f"{low:g} to {high:g}")


@dataclass(frozen=True, slots=True)
class TimingSetup:
    """latency_s: from the stamp to the message, each robot's own within 20%; jitter_s: one sigma of what comes on
    top (never less than nothing); offset_s, drift_ppm: one sigma of the sensor clock's error, drawn once per robot.
    With more latency than half a second detections are judged against a later truth than theirs."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    offset_s: float = 0.0
    drift_ppm: float = 0.0

    def __post_init__(self) -> None:
        for name, high in (("latency_s", 5.0), ("jitter_s", 1.0), ("offset_s", 5.0), ("drift_ppm", 1000.0)):
            within(f"sensors.*.timing.{name}", getattr(self, name), 0.0, high)


@dataclass(frozen=True, slots=True)
class LidarSetup:
    """model: of LIDARS; empty: the simulator's own 32 beams. columns: rays a turn instead of the model's. motion: the
    robot moves while the lidar turns, and the points are not corrected for it. returns: what a pulse that meets two
    surfaces gives (sim.lidar_effects). rain_mm_h, dust_per_m: what hangs in the air."""

    model: str = ""
    columns: int = 0
    motion: bool = False
    returns: str = "first"
    rain_mm_h: float = 0.0
    dust_per_m: float = 0.0
    timing: TimingSetup = field(default_factory=TimingSetup)

    def __post_init__(self) -> None:
        if self.model and self.model not in LIDARS:
            raise InputError("sensors.lidar.model", f"{self.model!r}", sorted(LIDARS))
        if self.columns:
            within("sensors.lidar.columns", self.columns, 8, 4096)
        if self.returns not in RETURNS:
            raise InputError("sensors.lidar.returns", f"{self.returns!r}", RETURNS)
        within("sensors.lidar.rain_mm_h", self.rain_mm_h, 0.0, 200.0)
        within("sensors.lidar.dust_per_m", self.dust_per_m, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class ExposureSetup:
    """Exposure in time and gain, with noise that follows from electrons (EMVA Standard 1288: photon noise and dark
    noise, both before the gain). auto: mean brightness (linear, 0 to 1) is led to `target` with a lag of lag_s, by
    time up to max_s first, by gain after that; else time_s and gain 1 for ever. blur: what moves in the picture
    during the exposure is smeared. full_well_e, read_noise_e: a third-inch CMOS sensor's usual figures."""

    auto: bool = True
    target: float = 0.25
    lag_s: float = 0.7
    time_s: float = 0.008
    max_s: float = 0.025
    max_gain: float = 16.0
    full_well_e: float = 10_000.0
    read_noise_e: float = 4.0
    blur: bool = True

    def __post_init__(self) -> None:
        for name, low, high in (
            ("target", 0.01, 0.9), ("lag_s", 0.0, 60.0), ("time_s", 1e-5, 0.2), ("max_s", 1e-5, 0.2),
            ("max_gain", 1.0, 1000.0), ("full_well_e", 100.0, 1e6), ("read_noise_e", 0.0, 100.0),
        ):  # fmt: skip
            within(f"sensors.camera.exposure.{name}", getattr(self, name), low, high)
        if self.time_s > self.max_s:
            raise InputError("sensors.camera.exposure.time_s", f"{self.time_s}", f"up to max_s, {self.max_s}")


@dataclass(frozen=True, slots=True)
class GlareSetup:
    """Light that falls straight into the lens. sun: azimuth and elevation, deg, in `map`; it shines wherever the ray
    to it meets no body: what lies above the hall's walls, 6 m high, counts as window. lamps: bare lamps at (x, y, z)
    m. strength: illuminance at the lens (of lamps: 1 m away) over that which makes white paper as bright as 1.
    scatter: of the lens, over that of the human eye; dust and scratches add to it."""

    sun: tuple[float, float] | None = None
    lamps: tuple[tuple[float, float, float], ...] = ()
    strength: float = 30.0
    scatter: float = 1.0

    def __post_init__(self) -> None:
        if self.sun is not None:
            within("sensors.camera.glare.sun", self.sun[0], -360.0, 360.0)
            within("sensors.camera.glare.sun", self.sun[1], 0.0, 90.0)
        if len(self.lamps) > 32:
            raise InputError("sensors.camera.glare.lamps", f"{len(self.lamps)}", 32)
        for k, lamp in enumerate(self.lamps):
            for value in lamp:
                within(f"sensors.camera.glare.lamps[{k}]", value, -1e4, 1e4)
        within("sensors.camera.glare.strength", self.strength, 0.0, 1000.0)
        within("sensors.camera.glare.scatter", self.scatter, 0.0, 100.0)


@dataclass(frozen=True, slots=True)
class CameraSetup:
    """distortion: k1, k2, p1, p2 of Brown and Conrady ("plumb_bob"), given in CameraInfo so that perception can take
    it out. rolling_shutter_s: from the first row's reading to the last's."""

    width: int = 320
    height: int = 240
    hfov_deg: float = 90.0
    distortion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    rolling_shutter_s: float = 0.0
    exposure: ExposureSetup | None = None
    glare: GlareSetup | None = None
    timing: TimingSetup = field(default_factory=TimingSetup)

    def __post_init__(self) -> None:
        within("sensors.camera.width", self.width, 16, 1920)
        within("sensors.camera.height", self.height, 16, 1920)
        within("sensors.camera.hfov_deg", self.hfov_deg, 10.0, 150.0)
        for value in self.distortion:
            within("sensors.camera.distortion", value, -1.0, 1.0)
        half = math.tan(math.radians(self.hfov_deg / 2))
        corner = half * np.array([[1.0, self.height / self.width], [-1.0, -self.height / self.width]])
        try:
            undistort(corner, "plumb_bob", np.array(self.distortion))
        except InputError as error:
            raise InputError("sensors.camera.distortion", error.message, error.limit) from error
        within("sensors.camera.rolling_shutter_s", self.rolling_shutter_s, 0.0, 0.2)


@dataclass(frozen=True, slots=True)
class DepthSetup:
    """A structured-light depth camera registered to the colour camera. Noise along the axis, one sigma:
    noise_m + noise_per_m * (z - 0.4)^2, fitted to a Kinect by Nguyen, Izadi and Lovell, "Modeling Kinect sensor noise
    for improved 3D reconstruction and tracking", 3DIMPVT 2012. baseline_m: from projector to camera; what the
    projector cannot reach is a hole."""

    min_m: float = 0.4
    max_m: float = 5.0
    baseline_m: float = 0.075
    noise_m: float = 0.0012
    noise_per_m: float = 0.0019
    timing: TimingSetup = field(default_factory=TimingSetup)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("min_m", 0.0, 5.0), ("max_m", 0.5, 30.0), ("baseline_m", 0.0, 0.5), ("noise_m", 0.0, 0.5),
            ("noise_per_m", 0.0, 0.5),
        ):  # fmt: skip
            within(f"sensors.depth.{name}", getattr(self, name), low, high)
        if self.min_m >= self.max_m:
            raise InputError("sensors.depth.min_m", f"{self.min_m}", f"below max_m, {self.max_m}")


@dataclass(frozen=True, slots=True)
class ImuSetup:
    """Noise in the units of an Allan variance plot: densities of the white noise (rad/s/sqrt(Hz), m/s^2/sqrt(Hz)) and
    of the bias's random walk (rad/s^2/sqrt(Hz), m/s^3/sqrt(Hz)); *_bias: one sigma of the bias at the start.

    The defaults are those of the ADIS16448, a MEMS unit, as the EuRoC MAV data set states them (Burri et al., IJRR
    2016); the biases at the start are what is left after a robot has averaged over a second's standstill."""

    gyro_noise: float = 1.6968e-4
    gyro_walk: float = 1.9393e-5
    gyro_bias_radps: float = 2.0e-4
    accel_noise: float = 2.0e-3
    accel_walk: float = 3.0e-3
    accel_bias_mps2: float = 2.0e-2
    timing: TimingSetup = field(default_factory=TimingSetup)

    def __post_init__(self) -> None:
        for name in ("gyro_noise", "gyro_walk", "gyro_bias_radps", "accel_noise", "accel_walk", "accel_bias_mps2"):
            within(f"sensors.imu.{name}", getattr(self, name), 0.0, 10.0)


@dataclass(frozen=True, slots=True)
class CalibrationSetup:
    """How far the true mounts lie from the stated ones, one sigma per axis, drawn once per robot."""

    camera_deg: float = 0.0
    camera_m: float = 0.0
    lidar_deg: float = 0.0
    lidar_m: float = 0.0

    def __post_init__(self) -> None:
        for name, high in (("camera_deg", 10.0), ("camera_m", 0.2), ("lidar_deg", 10.0), ("lidar_m", 0.2)):
            within(f"sensors.calibration.{name}", getattr(self, name), 0.0, high)


@dataclass(frozen=True, slots=True)
class SensorSetup:
    """depth, imu: only where given; nothing in the stack uses them, they are there for users' own nodes and bags."""

    lidar: LidarSetup = field(default_factory=LidarSetup)
    camera: CameraSetup = field(default_factory=CameraSetup)
    depth: DepthSetup | None = None
    imu: ImuSetup | None = None
    calibration: CalibrationSetup = field(default_factory=CalibrationSetup)
