"""Lidar and camera of a simulated robot. A sensor is a frozen configuration; what varies from frame to
frame comes from the generator passed in, so frames can be sensed in any order and in several threads.

What `sensors:` of a scenario may add is in sim.lidar_effects, sim.camera_effects and sim.depth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from aislewise.geometry import camera_mount, intrinsics, matrix, undistort
from aislewise.types import F32, F64, U8, CameraModel, Pose2D
from sim.camera_effects import add_glare, bloom, expose, settings, smear, sources
from sim.depth import measure_depth
from sim.ego_motion import STILL, Twist, trail
from sim.lidar_effects import airborne, rain_per_m, split_pulses
from sim.mesh import Material
from sim.scene import MISS, Hits, Scene
from sim.sensor_models import LIDARS, CameraSetup, DepthSetup, ExposureSetup, GlareSetup, LidarSetup
from sim.shading import TABLE, aim, aim_moving, develop, lidar_return, mirror_wet, shade, towards_lamp

I32 = NDArray[np.int32]


class _Sent:
    """A dataclass that goes to other processes without what it has worked out: that would be a hundred times its
    size."""

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]


@dataclass(frozen=True)
class LidarConfig(_Sent):
    """A spinning lidar on a mast, axes as base_link. Points closer than min_range_m are its housing.

    elevation_rad: of every beam, highest first; empty: evenly from up_rad to down_rad. rate_hz: turns a second; moving:
    the robot drives on meanwhile, and nobody corrects the points for it. returns, divergence_rad: see
    sim.lidar_effects; extinction_per_m: of the air."""

    beams: int = 32
    columns: int = 1024
    up_rad: float = math.radians(15.0)
    down_rad: float = math.radians(-25.0)
    x_m: float = 0.22
    z_m: float = 0.90
    min_range_m: float = 0.15
    max_range_m: float = 30.0
    range_noise_m: float = 0.02
    intensity_scale: float = 1.0
    elevation_rad: tuple[float, ...] = ()
    rate_hz: float = 10.0
    moving: bool = False
    returns: str = "first"
    divergence_rad: float = 3.0e-3
    extinction_per_m: float = 0.0

    @staticmethod
    def of(setup: LidarSetup, columns: int) -> LidarConfig:
        """columns: where the setup names neither its own nor a model."""
        air = rain_per_m(setup.rain_mm_h) + setup.dust_per_m
        more: dict[str, Any] = {"moving": setup.motion, "returns": setup.returns, "extinction_per_m": air}
        if not setup.model:
            return LidarConfig(columns=setup.columns or columns, **more)
        model = LIDARS[setup.model]
        elevation = tuple(math.radians(e) for e in model.elevation_deg)
        return LidarConfig(
            len(elevation), setup.columns or model.columns, elevation[0], elevation[-1], min_range_m=model.min_range_m,
            max_range_m=model.max_range_m, range_noise_m=model.range_noise_m, elevation_rad=elevation,
            rate_hz=model.rate_hz, divergence_rad=model.divergence_rad, **more,
        )  # fmt: skip

    def __post_init__(self) -> None:
        for name, low, high in (
            ("beams", 1, 256), ("columns", 8, 4096), ("z_m", 0.05, 5.0), ("min_range_m", 0.0, 2.0),
            ("max_range_m", 1.0, 300.0), ("range_noise_m", 0.0, 1.0), ("intensity_scale", 0.0, 10.0),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise InputError(f"lidar.{name}", f"{getattr(self, name)}", f"{low} to {high}")
        if not -math.pi / 2 < self.down_rad < self.up_rad < math.pi / 2:
            raise InputError("lidar.down_rad", f"{self.down_rad}", "-pi/2 < down < up < pi/2")
        if self.elevation_rad and len(self.elevation_rad) != self.beams:
            raise InputError("lidar.elevation_rad", f"{len(self.elevation_rad)} angles", f"{self.beams} beams")

    @cached_property
    def T_base_lidar(self) -> F64:
        """(4, 4) lidar frame in base_link."""
        out = np.eye(4)
        out[0, 3], out[2, 3] = self.x_m, self.z_m
        return out

    @cached_property
    def directions(self) -> F32:
        """(beams * columns, 3) unit directions in the lidar frame."""
        azimuth = np.arange(self.columns) * (2 * math.pi / self.columns) - math.pi
        elevation = self.elevation_rad or np.linspace(self.up_rad, self.down_rad, self.beams)
        a, e = np.meshgrid(azimuth, elevation)
        out = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], axis=-1)
        flat: F32 = out.reshape(-1, 3).astype(np.float32)
        return flat

    @cached_property
    def column_of(self) -> I32:
        """(beams * columns,) the column of each ray."""
        return np.tile(np.arange(self.columns, dtype=np.int32), self.beams)

    @cached_property
    def column_s(self) -> F64:
        """(columns,) when each is fired, from the end of the turn on (so: before it)."""
        return (np.arange(self.columns) + 1 - self.columns) / (self.columns * self.rate_hz)


@dataclass(frozen=True)
class CameraConfig(_Sent):
    """A forward camera, pitched down.

    distortion: k1, k2, p1, p2 of its lens (aislewise.geometry.distort, "plumb_bob"); K is that of the ideal picture.
    rolling_shutter_s: from the reading of the first row to that of the last. exposure: none: one of the hall's own
    light. depth: it measures depth as well."""

    width: int = 320
    height: int = 240
    hfov_rad: float = math.radians(90.0)
    x_m: float = 0.25
    z_m: float = 0.85
    pitch_down_rad: float = math.radians(15.0)
    distortion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    rolling_shutter_s: float = 0.0
    exposure: ExposureSetup | None = None
    glare: GlareSetup | None = None
    depth: DepthSetup | None = None

    @staticmethod
    def of(setup: CameraSetup, depth: DepthSetup | None = None) -> CameraConfig:
        return CameraConfig(
            setup.width, setup.height, math.radians(setup.hfov_deg), distortion=setup.distortion,
            rolling_shutter_s=setup.rolling_shutter_s, exposure=setup.exposure, glare=setup.glare, depth=depth,
        )  # fmt: skip

    def __post_init__(self) -> None:
        for name, low, high in (
            ("width", 8, 1920), ("height", 8, 1920), ("hfov_rad", 0.1, 2.8), ("z_m", 0.05, 5.0),
            ("pitch_down_rad", -1.5, 1.5),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise InputError(f"camera.{name}", f"{getattr(self, name)}", f"{low} to {high}")

    @cached_property
    def model(self) -> CameraModel:
        K = intrinsics(self.width, self.height, self.hfov_rad)
        T = camera_mount(self.x_m, self.z_m, self.pitch_down_rad)
        return CameraModel(self.width, self.height, K, T)

    @cached_property
    def directions(self) -> F32:
        """(height * width, 3) unit directions in base_link, through the pixel centres, row by row."""
        model = self.model
        u, v = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        if any(self.distortion):
            focal, centre = model.K[0, 0], model.K[:2, 2]
            bent = (np.stack([u, v], axis=-1) - centre) / focal
            u, v = np.moveaxis(undistort(bent, "plumb_bob", np.array(self.distortion)) * focal + centre, -1, 0)
        rays = np.stack([u, v, np.ones_like(u)], axis=-1).reshape(-1, 3)
        rays = rays @ np.linalg.inv(model.K).T @ model.T_base_camera[:3, :3].T
        unit: F32 = (rays / np.linalg.norm(rays, axis=1, keepdims=True)).astype(np.float32)
        return unit

    @cached_property
    def row_of(self) -> I32:
        """(height * width,) the row of each ray."""
        return np.repeat(np.arange(self.height, dtype=np.int32), self.width)

    @cached_property
    def row_s(self) -> F64:
        """(height,) when each is read, from the end of the picture on (so: before it); (1,) with a global shutter."""
        if self.rolling_shutter_s == 0.0:
            return np.zeros(1)
        return np.linspace(-self.rolling_shutter_s, 0.0, self.height)

    @cached_property
    def axis_share(self) -> F32:
        """(height * width,) cosine between each ray and the optical axis."""
        return np.asarray(self.directions @ self.model.T_base_camera[:3, 2].astype(np.float32), np.float32)

    @cached_property
    def vignette(self) -> F32:
        """(height * width,) cos^4 law, half strength."""
        cosine = self.directions @ self.directions.reshape(self.height, self.width, 3)[
            self.height // 2, self.width // 2
        ]
        falloff: F32 = (0.5 + 0.5 * cosine**4).astype(np.float32)
        return falloff


@dataclass(frozen=True)
class Lighting:
    """lamp_dir: towards the lamp; lamp, ambient: strength per channel; exposure: gain per channel."""

    lamp_dir: tuple[float, float, float] = (0.35, 0.20, 0.915)
    lamp: tuple[float, float, float] = (0.85, 0.83, 0.78)
    ambient: tuple[float, float, float] = (0.62, 0.64, 0.68)
    exposure: tuple[float, float, float] = (1.0, 1.0, 1.0)
    read_noise: float = 0.004
    ceiling_phase: float = 0.0

    @staticmethod
    def random(rng: np.random.Generator) -> Lighting:
        """Another hall: other lamps, tint, brightness and camera gain."""
        slant, turn = rng.uniform(0.1, 0.7), rng.uniform(0, 2 * math.pi)
        tint = 1.0 + rng.uniform(-0.1, 0.1) * np.array([1.0, 0.1, -1.0])
        lamp, ambient = rng.uniform(0.3, 1.2) * tint, rng.uniform(0.3, 0.9) * tint
        gain = rng.uniform(0.85, 1.25) / (0.45 + 0.35 * (lamp.mean() + ambient.mean()))
        balance = gain * (1.0 + rng.uniform(-0.06, 0.06, 3))
        return Lighting(
            (math.sin(slant) * math.cos(turn), math.sin(slant) * math.sin(turn), math.cos(slant)),
            tuple(lamp), tuple(ambient), tuple(balance),
            float(rng.uniform(0.002, 0.012)), float(rng.uniform()),
        )  # fmt: skip

    @cached_property
    def packed(self) -> F32:
        flat = (*self.lamp_dir, *self.lamp, *self.ambient, self.ceiling_phase)
        return np.array(flat, np.float32)


DARK = Lighting(lamp=(0.0, 0.0, 0.0), ambient=(0.004, 0.004, 0.005), read_noise=0.006)
"""The lamps are out: what is left are signs and screens that glow themselves."""


_NORMALS = np.random.default_rng(0).standard_normal(1 << 20, np.float32)


def _normals(rng: np.random.Generator, shape: tuple[int, int]) -> F32:
    """Unit normals cut from a fixed table at a random place: fresh ones would cost as much as the shading."""
    count = shape[0] * shape[1]
    if count > len(_NORMALS) // 2:
        return rng.standard_normal(shape, np.float32)
    start = int(rng.integers(len(_NORMALS) - count))
    return _NORMALS[start : start + count].reshape(shape)


@dataclass(frozen=True, slots=True)
class Sweep:
    """points: (N, 4) float32 x, y, z, intensity in the lidar frame; instance: (N,) what was hit."""

    points: F32
    instance: I32


@dataclass(frozen=True, slots=True)
class Shot:
    """image: (H, W, 3) uint8 RGB; instance: (H, W) int32, what each pixel shows; depth: (H, W) float32, m (sim.depth);
    brightness: mean of the image, linear, as the automatic exposure measures it."""

    image: U8
    instance: I32
    depth: F32 | None = None
    brightness: float = 0.0


@dataclass(frozen=True, slots=True)
class RawFrame:
    """What one robot's sensors give at one instant. image (H, W, 3) uint8; points (N, 4) float32 in the
    lidar frame; depth, brightness: as in Shot."""

    stamp_ns: int
    image: U8
    points: F32
    depth: F32 | None = None
    brightness: float = 0.0


def _rays(T_map_base: F64, mount: F64, directions: F32, start_m: float, of: I32 | None = None) -> F32:
    """(N, 6) rays in `map` from the sensor's centre, beginning start_m along each. T_map_base: (4, 4), or of a sensor
    that moves (K, 4, 4), ray i by number of[i]."""
    rays = np.empty((len(directions), 6), np.float32)
    T = T_map_base
    origin = T[..., :3, :3] @ mount[:3, 3] + T[..., :3, 3]
    R, origin = T[..., :3, :3].astype(np.float32), origin.astype(np.float32)
    if of is None:
        aim(directions, R, origin, np.float32(start_m), rays)
    else:
        aim_moving(directions, of, R, origin, np.float32(start_m), rays)
    return rays


def _true(T_map_base: F64, mount_error: F64 | None) -> F64:
    return T_map_base if mount_error is None else T_map_base @ mount_error


def sweep(scene: Scene, config: LidarConfig, T_map_base: Pose2D, rng: np.random.Generator, own: tuple[int, ...] = (),
          twist: Twist = STILL, mount_error: F64 | None = None) -> Sweep:  # fmt: skip
    """One turn of the lidar that ends now. own: instances that belong to the robot itself and are masked out.
    mount_error: see sim.rigs."""
    mount, start_m, reach_m = config.T_base_lidar, config.min_range_m, config.max_range_m - config.min_range_m
    if config.moving and not twist.still:
        poses = _true(trail(T_map_base, twist, config.column_s), mount_error)
        rays = _rays(poses, mount, config.directions, start_m, config.column_of)
    else:
        rays = _rays(_true(matrix(T_map_base), mount_error), mount, config.directions, start_m)
    hits, directions = scene.cast(rays), config.directions
    if config.returns != "first":
        hits, pulse = split_pulses(scene, rays, hits, config.columns, config.divergence_rad, config.returns, reach_m)
        rays, directions = rays[pulse], directions[pulse]
    n = len(rays)
    ranges, intensity = np.empty(n, np.float32), np.empty(n, np.float32)
    lidar_return(
        rays, hits.t, hits.triangle, hits.normal, scene.material, scene.reflect, TABLE,
        _normals(rng, (n, 2)), rng.random(n, np.float32),
        config.range_noise_m, reach_m, config.intensity_scale,
        ranges, intensity,
    )  # fmt: skip
    triangle = hits.triangle
    if config.extinction_per_m > 0.0:
        false = np.empty(n, np.bool_)
        airborne(hits.t, reach_m, config.extinction_per_m, rng.random((n, 3), np.float32), ranges, intensity, false)
        triangle = np.where(false, MISS, triangle)
    keep = np.flatnonzero(ranges > 0)
    instance = scene.instance_of(triangle[keep])
    if own:
        other = ~np.isin(instance, own)
        keep, instance = keep[other], instance[other]
    points = np.empty((len(keep), 4), np.float32)
    points[:, :3] = directions[keep] * (ranges[keep] + config.min_range_m)[:, None]
    points[:, 3] = intensity[keep]
    return Sweep(points, instance)


_CURVE = np.rint(255.0 * np.linspace(0.0, 1.0, 4096) ** (1 / 2.2)).astype(np.uint8)
_NEAR_M = 0.08
"""Rays of the camera begin outside its housing."""


def capture(scene: Scene, config: CameraConfig, T_map_base: Pose2D, light: Lighting, rng: np.random.Generator,
            twist: Twist = STILL, mount_error: F64 | None = None, level: float = 1.0) -> Shot:  # fmt: skip
    """One picture whose last row is read now: cast, shadow, shade, mirror in wet floor, expose. level: of the
    exposure, see sim.camera_effects.settings; mount_error: see sim.rigs."""
    moving = config.rolling_shutter_s > 0.0 and not twist.still
    if moving:
        poses = _true(trail(T_map_base, twist, config.row_s), mount_error)
        rays = _rays(poses, config.model.T_base_camera, config.directions, _NEAR_M, config.row_of)
    else:
        poses = _true(matrix(T_map_base), mount_error)
        rays = _rays(poses, config.model.T_base_camera, config.directions, _NEAR_M)
    hits = scene.cast(rays)
    packed, n = light.packed, len(rays)
    lit = _lit(scene, rays, hits, packed)
    radiance = np.empty((n, 3), np.float32)
    shade(rays, hits.t, hits.triangle, hits.normal, lit, scene.colour, scene.material, TABLE, packed, radiance)
    instance = scene.instance_of(hits.triangle)
    hit = np.flatnonzero(hits.triangle != MISS)
    wet = hit[scene.material[hits.triangle[hit]] == Material.WET]
    if len(wet):
        _mirror(scene, rays, hits.t, wet, packed, radiance)
    if config.exposure is not None and config.exposure.blur and not twist.still:
        radiance = _smeared(config, T_map_base, twist, mount_error, level, rays, hits, radiance)
    if config.glare is not None:
        T_map_camera = (poses[-1] if moving else poses) @ config.model.T_base_camera
        seen = sources(scene, config.glare, T_map_camera[:3, 3])
        add_glare(radiance, rays, seen, T_map_camera[:3, 2], config.glare.scatter)
    image, brightness = _developed(config, light, level, radiance, rng)
    shape = (config.height, config.width)
    depth = None
    if config.depth is not None:
        normals, uniforms = _normals(rng, (n, 1))[:, 0], rng.random(n, np.float32)
        depth = measure_depth(scene, config.depth, rays, hits, config.axis_share, _NEAR_M, config.model.K[0, 0], shape,
                              normals, uniforms)  # fmt: skip
    return Shot(image.reshape(*shape, 3), instance.reshape(shape), depth, brightness)


def _smeared(config: CameraConfig, T_map_base: Pose2D, twist: Twist, mount_error: F64 | None, level: float,
             rays: F32, hits: Hits, radiance: F32) -> F32:  # fmt: skip
    assert config.exposure is not None
    open_s, _ = settings(config.exposure, level)
    now, before = (
        np.linalg.inv(_true(trail(T_map_base, twist, config.row_s - s), mount_error) @ config.model.T_base_camera)
        for s in (0.0, open_s)
    )
    of = config.row_of if len(now) > 1 else np.zeros(len(rays), np.int32)
    out = np.empty_like(radiance)
    smear(radiance, rays, hits.t, hits.triangle, now[:, :3], before[:, :3], of, config.model.K[0, 0], config.width, out)
    return out


def _developed(config: CameraConfig, light: Lighting, level: float, radiance: F32,
               rng: np.random.Generator) -> tuple[U8, float]:  # fmt: skip
    """The (N, 3) image of that radiance and its mean brightness (0 where no exposure is modelled)."""
    n, setup = len(radiance), config.exposure
    image = np.empty((n, 3), np.uint8)
    balance = np.array(light.exposure, np.float32)
    if setup is None:
        flicker = np.float32(math.exp(rng.normal(0.0, 0.06)))
        if config.glare is not None:
            bloom(radiance, float(flicker), config.width, config.glare.scatter)
        develop(radiance, balance * flicker, _normals(rng, (n, 3)), light.read_noise, _CURVE, config.vignette, image)
        return image, 0.0
    time_s, gain = settings(setup, level)
    scale = np.float32(time_s / setup.time_s * gain)
    if config.glare is not None:
        bloom(radiance, float(scale), config.width, config.glare.scatter)
    brightness = expose(radiance, balance * scale, gain, setup.full_well_e, setup.read_noise_e, _normals(rng, (n, 3)),
                        _CURVE, config.vignette, image)  # fmt: skip
    return image, float(brightness)


def _lit(scene: Scene, rays: F32, hits: Hits, light: F32) -> F32:
    """(N,) float32: 1 where the lamp reaches the hit; surfaces turned away from it need no shadow ray."""
    shadow, index = np.empty((len(rays), 6), np.float32), np.empty(len(rays), np.int64)
    count = towards_lamp(rays, hits.t, hits.triangle, hits.normal, light, shadow, index)
    lit = np.zeros(len(rays), np.float32)
    lit[index[:count]] = ~scene.occluded(shadow[:count])
    return lit


def _mirror(scene: Scene, rays: F32, t: F32, wet: NDArray[np.intp], light: F32, radiance: F32) -> None:
    bounce = np.empty((len(wet), 6), np.float32)
    bounce[:, :3] = rays[wet, :3] + rays[wet, 3:] * (t[wet] - 0.004)[:, None]
    bounce[:, 3:] = rays[wet, 3:] * np.array([1, 1, -1], np.float32)
    hits = scene.cast(bounce)
    mirrored = np.empty((len(wet), 3), np.float32)
    shade(bounce, hits.t, hits.triangle, hits.normal, np.ones(len(wet), np.float32), scene.colour,
          scene.material, TABLE, light, mirrored)  # fmt: skip
    mirror_wet(rays, wet, mirrored, radiance)
