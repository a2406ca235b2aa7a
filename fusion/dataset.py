"""Labelled frames -> training tensors: what is visible, augmentation, batching.

Frames come from any source with the shape of `Labelled` (the simulator's data set has it); this file
knows no simulator.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from aislewise.errors import InputError
from aislewise.types import ATTRIBUTES, F32, F64, U8, CameraModel, ObjectClass, SensorFrame
from fusion.grid import (
    IMAGE_HW,
    NO_COLOUR,
    YAW_FOLD,
    BevConfig,
    cell_of,
    head_centres,
    heat_map,
    model_inputs,
)

MIN_LIDAR_POINTS = 4
MIN_CAMERA_PIXELS = 24
"""An object counts as visible to a sensor from this many returns or pixels on."""


class Labelled(Protocol):
    """One frame and the objects in it (position of the box centre in base_link)."""

    @property
    def frame(self) -> SensorFrame: ...
    @property
    def objects(self) -> Sequence[Any]: ...


@dataclass(frozen=True, slots=True)
class Truth:
    """M objects: cls, colour (M,) int64; attributes (M, 2); position, size (M, 3); yaw (M,);
    lidar_points, camera_pixels (M,) int64: how much of each the sensors really saw."""

    cls: Any
    colour: Any
    attributes: Any
    position: Any
    size: Any
    yaw: Any
    lidar_points: Any
    camera_pixels: Any

    @staticmethod
    def of(objects: Sequence[Any]) -> Truth:
        def column(name: str, shape: tuple[int, ...], dtype: Any) -> Any:
            rows = [getattr(o, name) for o in objects]
            return np.asarray(rows, dtype).reshape(len(objects), *shape)

        return Truth(
            column("cls", (), np.int64),
            np.array([NO_COLOUR if o.colour is None else int(o.colour) for o in objects], np.int64),
            np.array([[o.attributes.get(a, False) for a in ATTRIBUTES] for o in objects], np.float32).reshape(
                len(objects), len(ATTRIBUTES)
            ),
            column("position", (3,), np.float64),
            column("size", (3,), np.float64),
            column("yaw", (), np.float64),
            column("lidar_points", (), np.int64),
            column("camera_pixels", (), np.int64),
        )

    def __len__(self) -> int:
        return len(self.cls)


@dataclass(frozen=True, slots=True)
class Example:
    """One frame kept in memory. points: (N, 4) float16 within the grid, to halve the memory."""

    image: U8 | None
    camera: CameraModel | None
    points: Any
    truth: Truth


def load(samples: Iterable[Labelled], config: BevConfig) -> list[Example]:
    """Keeps what training needs of each labelled frame (about 0.4 MB per frame)."""
    out = []
    for sample in samples:
        frame, points = sample.frame, sample.frame.points
        if frame.image is not None and frame.image.shape != (*IMAGE_HW, 3):
            raise InputError("image", f"shape {frame.image.shape}", (*IMAGE_HW, 3))
        if points is not None:
            inside = (np.abs(points[:, :2]) < config.half_extent_m * 1.1).all(axis=1)
            points = points[inside].astype(np.float16)
        out.append(Example(frame.image, frame.camera, points, Truth.of(sample.objects)))
    return out


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """Chances and ranges. drop_lidar, drop_camera: modality dropout."""

    drop_lidar: float = 0.2
    drop_camera: float = 0.15
    rotate_rad: float = 0.35
    height_jitter_m: float = 0.03
    calibration_rad: float = 0.006
    thin: float = 0.3
    beams: float = 0.25
    lidar_height_m: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.drop_lidar + self.drop_camera <= 1:
            raise InputError("augment.drop_lidar", "chances must add up to at most 1", 1)


def augment(example: Example, config: AugmentConfig, rng: np.random.Generator) -> Example:
    """A plausible variation of the frame; camera, points and truth stay consistent."""
    mirror = rng.random() < 0.5
    turn = rng.uniform(-1, 1) * config.rotate_rad * (rng.random() < 0.5)
    T = _turn(turn) @ np.diag([1.0, -1.0 if mirror else 1.0, 1.0, 1.0])
    truth = example.truth
    position = truth.position @ T[:3, :3].T
    yaw = (-truth.yaw if mirror else truth.yaw) + turn
    truth = replace(truth, position=position, yaw=yaw)
    points = None if example.points is None else _vary_points(example.points, T, config, rng)
    image, camera = example.image, example.camera
    if image is not None and camera is not None:
        image = _vary_image(image[:, ::-1] if mirror else image, rng)
        camera = _move_camera(camera, T, mirror, rng.normal(0.0, config.calibration_rad, 3))
    chance = rng.random()
    if chance < config.drop_lidar:
        points = None
    elif chance < config.drop_lidar + config.drop_camera:
        image, camera = None, None
    return Example(image, camera, points, truth)


def _turn(angle: float) -> F64:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def _move_camera(camera: CameraModel, T: F64, mirror: bool, error_rad: F64) -> CameraModel:
    """The camera that would have taken the (mirrored) image, seen from the (mirrored, turned)
    base_link, with a small error of calibration."""
    K = camera.K.copy()
    flip = np.diag([-1.0 if mirror else 1.0, 1.0, 1.0, 1.0])
    if mirror:
        K[0, 2] = camera.width - K[0, 2]
    x, y, z = error_rad
    wobble = np.eye(4)
    wobble[:3, :3] += np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return CameraModel(camera.width, camera.height, K, T @ camera.T_base_camera @ flip @ wobble)


def _vary_points(points: Any, T: F64, config: AugmentConfig, rng: np.random.Generator) -> F32:
    points = points.astype(np.float32)
    if rng.random() < config.thin:
        points = points[rng.random(len(points)) < rng.uniform(0.3, 1.0)]
    if rng.random() < config.beams:
        # Rings of equal elevation seen from about the lidar's height: some fall silent.
        z = points[:, 2] - config.lidar_height_m
        ring = np.floor(np.arctan2(z, np.hypot(points[:, 0], points[:, 1])) / math.radians(1.4))
        silent = rng.random(256) < rng.uniform(0.1, 0.6)
        points = points[~silent[ring.astype(np.int64) % 256]]
    out = points.copy()
    out[:, :3] = points[:, :3] @ T[:3, :3].T.astype(np.float32)
    out[:, 2] += np.float32(rng.normal(0.0, config.height_jitter_m))
    out[:, 3] = np.clip(out[:, 3] * rng.uniform(0.7, 1.3) + rng.normal(0.0, 0.02), 0.0, 1.0)
    return out


def _vary_image(image: U8, rng: np.random.Generator) -> U8:
    """Exposure, gamma and a slight colour cast, as one look-up table per channel."""
    ramp = np.arange(256) / 255.0
    gain, gamma = rng.uniform(0.75, 1.3), rng.uniform(0.8, 1.25)
    cast = rng.uniform(0.94, 1.06, 3)
    table = 255.0 * np.clip(gain * cast[:, None] * ramp[None, :] ** gamma, 0.0, 1.0)
    lut = table.astype(np.uint8)
    return np.stack([lut[c][image[..., c]] for c in range(3)], axis=-1)


@dataclass(slots=True)
class Batch:
    """Tensors of B frames holding M positive objects.

    inputs: the arguments of AislewiseNet.forward in order. heat, heat_weight: (B, 7, h, w); weight
    0 where an object stands that no present sensor could see. camera_heat, camera_weight: the same
    for the camera alone. objects, one row each: cell (flat index into B * h * w), cls, colour,
    attributes (M, 2), offset (M, 2), z (M, 1), size (M, 3), yaw (M, 2), in_view (the camera sees it).
    """

    inputs: tuple[Tensor, ...]
    heat: Tensor
    heat_weight: Tensor
    camera_heat: Tensor
    camera_weight: Tensor
    objects: dict[str, Tensor]


def collate(examples: Sequence[Example], config: BevConfig, rng: np.random.Generator) -> Batch:
    """Pads nothing: points and objects of all frames lie in one long row, with their frame index."""
    inputs = [model_inputs(e.image, e.camera, e.points, config) for e in examples]
    images, grids, seen, points, cells, present = zip(*inputs, strict=True)
    cells = [c + i * config.cells**2 for i, c in enumerate(cells)]
    maps, rows = [], []
    for i, example in enumerate(examples):
        maps.append(_maps(example, config))
        rows.append(_rows(example, config, rng))
        rows[-1]["cell"] += i * config.head_cells**2
    tensors = [torch.from_numpy(np.stack(x)) for x in (images, grids, seen)]
    tensors += [torch.from_numpy(np.concatenate(x)) for x in (points, cells)]
    return Batch(
        (*tensors, torch.from_numpy(np.stack(present))),
        *(torch.from_numpy(np.stack(x)) for x in zip(*maps, strict=True)),
        {k: torch.from_numpy(np.concatenate([r[k] for r in rows])) for k in rows[0]},
    )


def sigma_m(size: F64) -> F64:
    """(M,) spread of the heat map from (M, 3) sizes: about a third of the footprint's side."""
    return np.clip(0.35 * np.sqrt(size[:, 0] * size[:, 1]), 0.3, 0.8)


def _visible(example: Example) -> tuple[Any, Any]:
    """(M,) bool each: seen by the lidar, by the camera, as far as the frame has them."""
    truth = example.truth
    by_lidar = (truth.lidar_points >= MIN_LIDAR_POINTS) & (example.points is not None)
    by_lidar &= truth.cls != ObjectClass.WET_FLOOR  # its returns look like any floor's
    by_camera = (truth.camera_pixels >= MIN_CAMERA_PIXELS) & (example.image is not None)
    return by_lidar, by_camera


def _maps(example: Example, config: BevConfig) -> tuple[F32, F32, F32, F32]:
    """Heat map and its weight for all present sensors together, then for the camera alone."""
    by_lidar, by_camera = _visible(example)
    truth, spread = example.truth, sigma_m(example.truth.size)

    def draw(mask: Any) -> F32:
        return heat_map(
            truth.cls[mask], truth.position[mask, :2], spread[mask], len(ObjectClass), config
        )

    out: list[F32] = []
    for mask in (by_lidar | by_camera, by_camera):
        heat = draw(mask)
        hidden = draw(~mask)  # neither a hit nor a false alarm there
        out += [heat, np.where((hidden > 0.1) & (heat < 1.0), 0.0, 1.0).astype(np.float32)]
    return out[0], out[1], out[2], out[3]


def _rows(example: Example, config: BevConfig, rng: np.random.Generator) -> dict[str, Any]:
    """Targets of the visible objects, at their own cell or, half of the time, at a neighbour of it:
    a peak that is off by one cell then still decodes to the right place."""
    by_lidar, by_camera = _visible(example)
    truth, n = example.truth, config.head_cells
    ij, inside = cell_of(truth.position[:, :2], config)
    keep = np.flatnonzero((by_lidar | by_camera) & inside)
    shift = rng.integers(-1, 2, (len(keep), 2)) * (rng.random((len(keep), 1)) < 0.5)
    ij = np.clip(ij[keep] + shift, 0, n - 1)
    axis, fold = head_centres(config), YAW_FOLD[truth.cls[keep]]
    angle = truth.yaw[keep] * fold
    return {
        "cell": ij[:, 1] * n + ij[:, 0],
        "cls": truth.cls[keep],
        "colour": truth.colour[keep],
        "attributes": truth.attributes[keep],
        "offset": ((truth.position[keep, :2] - axis[ij]) / config.head_cell_m).astype(np.float32),
        "z": truth.position[keep, 2:].astype(np.float32),
        "size": np.log(truth.size[keep]).astype(np.float32),
        "yaw": np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32),
        "in_view": by_camera[keep],
    }
