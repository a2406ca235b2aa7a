"""Lidar and camera of a simulated robot. A sensor is a frozen configuration; what varies from frame to
frame comes from the generator passed in, so frames can be sensed in any order and in several threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from aislewise.geometry import camera_mount, intrinsics, matrix
from aislewise.types import F32, F64, U8, CameraModel, Pose2D
from sim.mesh import Material
from sim.scene import MISS, NO_INSTANCE, Hits, Scene
from sim.shading import TABLE, aim, develop, lidar_return, mirror_wet, shade, towards_lamp

I32 = NDArray[np.int32]


@dataclass(frozen=True)
class LidarConfig:
    """A spinning lidar on a mast, axes as base_link. Points closer than min_range_m are its housing."""

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

    def __post_init__(self) -> None:
        for name, low, high in (
            ("beams", 1, 256), ("columns", 8, 4096), ("z_m", 0.05, 5.0), ("min_range_m", 0.0, 2.0),
            ("max_range_m", 1.0, 300.0), ("range_noise_m", 0.0, 1.0), ("intensity_scale", 0.0, 10.0),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise InputError(f"lidar.{name}", f"{getattr(self, name)}", f"{low} to {high}")
        if not -math.pi / 2 < self.down_rad < self.up_rad < math.pi / 2:
            raise InputError("lidar.down_rad", f"{self.down_rad}", "-pi/2 < down < up < pi/2")

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
        elevation = np.linspace(self.up_rad, self.down_rad, self.beams)
        a, e = np.meshgrid(azimuth, elevation)
        out = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], axis=-1)
        flat: F32 = out.reshape(-1, 3).astype(np.float32)
        return flat


@dataclass(frozen=True)
class CameraConfig:
    """A forward camera, pitched down."""

    width: int = 320
    height: int = 240
    hfov_rad: float = math.radians(90.0)
    x_m: float = 0.25
    z_m: float = 0.85
    pitch_down_rad: float = math.radians(15.0)

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
        rays = np.stack([u, v, np.ones_like(u)], axis=-1).reshape(-1, 3)
        rays = rays @ np.linalg.inv(model.K).T @ model.T_base_camera[:3, :3].T
        unit: F32 = (rays / np.linalg.norm(rays, axis=1, keepdims=True)).astype(np.float32)
        return unit

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
    """image: (H, W, 3) uint8 RGB; instance: (H, W) int32, what each pixel shows."""

    image: U8
    instance: I32


@dataclass(frozen=True, slots=True)
class RawFrame:
    """What one robot's sensors give at one instant. image (H, W, 3) uint8; points (N, 4) float32 in the
    lidar frame."""

    stamp_ns: int
    image: U8
    points: F32


def _rays(T_map_base: Pose2D, mount: F64, directions: F32, start_m: float) -> F32:
    """(N, 6) rays in `map` from the sensor's centre, beginning start_m along each."""
    T = matrix(T_map_base)
    origin = T[:3, :3] @ mount[:3, 3] + T[:3, 3]
    rays = np.empty((len(directions), 6), np.float32)
    aim(directions, T[:3, :3].astype(np.float32), origin.astype(np.float32), np.float32(start_m), rays)
    return rays


def sweep(scene: Scene, config: LidarConfig, T_map_base: Pose2D, rng: np.random.Generator,
          own: tuple[int, ...] = ()) -> Sweep:  # fmt: skip
    """One turn of the lidar. own: instances that belong to the robot itself and are masked out."""
    rays = _rays(T_map_base, config.T_base_lidar, config.directions, config.min_range_m)
    hits = scene.cast(rays)
    n = len(rays)
    ranges, intensity = np.empty(n, np.float32), np.empty(n, np.float32)
    lidar_return(
        rays, hits.t, hits.triangle, hits.normal, scene.material, scene.reflect, TABLE,
        _normals(rng, (n, 2)), rng.random(n, np.float32),
        config.range_noise_m, config.max_range_m - config.min_range_m, config.intensity_scale,
        ranges, intensity,
    )  # fmt: skip
    keep = np.flatnonzero(ranges > 0)
    instance = scene.instance[hits.triangle[keep]]
    if own:
        other = ~np.isin(instance, own)
        keep, instance = keep[other], instance[other]
    points = np.empty((len(keep), 4), np.float32)
    points[:, :3] = config.directions[keep] * (ranges[keep] + config.min_range_m)[:, None]
    points[:, 3] = intensity[keep]
    return Sweep(points, instance)


_CURVE = np.rint(255.0 * np.linspace(0.0, 1.0, 4096) ** (1 / 2.2)).astype(np.uint8)


def capture(scene: Scene, config: CameraConfig, T_map_base: Pose2D, light: Lighting,
            rng: np.random.Generator) -> Shot:  # fmt: skip
    """One picture: cast, shadow, shade, mirror in wet floor, expose."""
    rays = _rays(T_map_base, config.model.T_base_camera, config.directions, 0.08)
    hits = scene.cast(rays)
    packed, n = light.packed, len(rays)
    hit = np.flatnonzero(hits.triangle != MISS)
    lit = _lit(scene, rays, hits, packed)
    radiance = np.empty((n, 3), np.float32)
    shade(rays, hits.t, hits.triangle, hits.normal, lit, scene.colour, scene.material, TABLE, packed, radiance)
    instance = np.full(n, NO_INSTANCE, np.int32)
    instance[hit] = scene.instance[hits.triangle[hit]]
    wet = hit[scene.material[hits.triangle[hit]] == Material.WET]
    if len(wet):
        _mirror(scene, rays, hits.t, wet, packed, radiance)
    gain = np.array(light.exposure, np.float32) * np.float32(math.exp(rng.normal(0.0, 0.06)))
    image = np.empty((n, 3), np.uint8)
    develop(radiance, gain, _normals(rng, (n, 3)), light.read_noise, _CURVE,
            config.vignette, image)  # fmt: skip
    shape = (config.height, config.width)
    return Shot(image.reshape(*shape, 3), instance.reshape(shape))


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
