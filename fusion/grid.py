"""Bird's-eye-view (BEV) geometry shared by training and inference: numpy only.

The grid is a square centred on base_link. Row 0 is the smallest y, column 0 the smallest x, as in
aislewise.types.GridMap. "Cells" are lidar cells; "head cells" are `stride` times as wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from aislewise.types import (
    ATTRIBUTES,
    EMBEDDING_SIZE,
    F32,
    F64,
    U8,
    CameraModel,
    Colour,
    ObjectClass,
)

I64 = NDArray[np.int64]

POINT_FEATURES = 9
IMAGE_HW = (240, 320)
"""Image size the network is trained and exported for."""
HEADS = {
    "heat": len(ObjectClass),
    "offset": 2,
    "z": 1,
    "size": 3,
    "yaw": 2,
    "colour": len(Colour),
    "attributes": len(ATTRIBUTES),
    "embedding": EMBEDDING_SIZE,
}
"""Output channels of the network. offset: head cells from the cell's centre; z: metres; size: log
metres; yaw: sine and cosine of YAW_FOLD[class] * yaw; colour, attributes, heat: logits."""
YAW_FOLD = np.array([1, 1, 2, 2, 1, 2, 2])
"""Rotational symmetry per ObjectClass: a pallet turned by pi is the same pallet, a person is not."""

_NO_POINTS = np.zeros((1, 4), np.float32)


NO_COLOUR = -100
"""Colour of an object that has none of its own; the loss leaves it out (torch's ignore_index)."""


@dataclass(frozen=True, slots=True)
class BevConfig:
    """Extent and resolution of the grid. voxel_m: at most one lidar point is kept per voxel of this
    edge, so that a near wall costs no more than a far one. lift_heights_m: heights above the floor at which image
    features are sampled for each head cell (Harley et al. 2022, Simple-BEV)."""

    half_extent_m: float = 12.8
    cell_m: float = 0.2
    stride: int = 2
    z_min_m: float = -0.25
    z_max_m: float = 2.75
    voxel_m: float = 0.1
    lift_heights_m: tuple[float, ...] = (0.02, 0.35, 0.9, 1.5)

    def __post_init__(self) -> None:
        if min(self.half_extent_m, self.cell_m, self.stride, self.voxel_m) <= 0:
            raise InputError("bev", "extent, cell, stride and voxel must be positive", 0)
        if self.z_min_m >= self.z_max_m or not self.lift_heights_m:
            raise InputError("bev.z_min_m", "must be below z_max_m, with heights to lift", None)
        if self.cells % (8 * self.stride) or abs(self.cells * self.cell_m - self.extent_m) > 1e-6:
            raise InputError("bev.cell_m", "extent must hold a multiple of 8 head cells", None)

    @property
    def extent_m(self) -> float:
        return 2.0 * self.half_extent_m

    @property
    def cells(self) -> int:
        return round(self.extent_m / self.cell_m)

    @property
    def head_cells(self) -> int:
        return self.cells // self.stride

    @property
    def head_cell_m(self) -> float:
        return self.cell_m * self.stride


def pillarise(points: F32, config: BevConfig) -> tuple[F32, I64]:
    """Points inside the grid, one per voxel, as pillar features (Lang et al. 2019, PointPillars).

    points: (N, 4) x, y, z, intensity in base_link; rows that are not finite are dropped.
    Returns (P, 9) float32 features (range, height, intensity, offset to the cell centre xy, offset
    to the pillar mean xyz, log count; mean and count are those of all points) and (P,) int64 flat cell indices, row * cells + column.
    """
    xyz = points[:, :3]
    # NaN fails every comparison, so this drops non-finite coordinates as well.
    inside = (np.abs(xyz[:, 0]) < config.half_extent_m) & (np.abs(xyz[:, 1]) < config.half_extent_m)
    inside &= (xyz[:, 2] > config.z_min_m) & (xyz[:, 2] < config.z_max_m)
    kept = points[inside]
    n, cell = config.cells, config.cell_m
    ij = np.floor((kept[:, :2] + config.half_extent_m) / cell).astype(np.int64)
    np.clip(ij, 0, n - 1, out=ij)
    flat = ij[:, 1] * n + ij[:, 0]
    count = np.bincount(flat, minlength=n * n)
    means = [
        np.bincount(flat, kept[:, axis], minlength=n * n) / np.maximum(count, 1) for axis in range(3)
    ]
    one = _one_per_voxel(kept[:, :3], config)
    kept, ij, flat = kept[one], ij[one], flat[one]
    features = np.empty((len(kept), POINT_FEATURES), np.float32)
    features[:, 0] = np.hypot(kept[:, 0], kept[:, 1]) / config.half_extent_m
    features[:, 1] = kept[:, 2]
    features[:, 2] = np.nan_to_num(kept[:, 3], nan=0.0, posinf=1.0, neginf=0.0)
    centre = (ij + 0.5) * cell - config.half_extent_m
    features[:, 3:5] = (kept[:, :2] - centre) / cell
    for axis in range(3):
        unit = cell if axis < 2 else 1.0
        features[:, 5 + axis] = (kept[:, axis] - means[axis][flat]) / unit
    features[:, 8] = np.log1p(count[flat]) / 5.0
    return features, flat


def _one_per_voxel(xyz: F32, config: BevConfig) -> NDArray[np.bool_]:
    """Mask of the last point in each voxel. xyz: (N, 3) inside the grid."""
    low = np.array([-config.half_extent_m, -config.half_extent_m, config.z_min_m])
    index = ((xyz - low) / config.voxel_m).astype(np.int64)
    side = int(config.extent_m / config.voxel_m) + 1
    flat = (index[:, 2] * side + index[:, 1]) * side + index[:, 0]
    owner = np.empty(side * side * (int((config.z_max_m - config.z_min_m) / config.voxel_m) + 1), int)
    order = np.arange(len(flat))
    owner[flat] = order  # the last write wins; only cells written here are read back
    mask: NDArray[np.bool_] = owner[flat] == order
    return mask


def head_centres(config: BevConfig) -> F64:
    """(head_cells,) coordinates of head cell centres along one axis, metres in base_link."""
    return (np.arange(config.head_cells) + 0.5) * config.head_cell_m - config.half_extent_m


def camera_grid(camera: CameraModel, config: BevConfig) -> tuple[F32, F32]:
    """Where each head cell, at each lift height, falls in the image.

    Returns (Z * H, W, 2) float32 normalised image coordinates in [-1, 1] (align_corners=False) and
    (1, H, W) float32, 1 where any height of the cell is in front of the camera and inside the image;
    heights that are not have coordinates -2, outside the image. The result is independent of the image's resolution: a resized image needs no
    other grid.
    """
    axis = head_centres(config)
    n, heights = len(axis), np.asarray(config.lift_heights_m)
    world = np.empty((len(heights), n, n, 3))
    world[..., 0], world[..., 1] = axis[None, None, :], axis[None, :, None]
    world[..., 2] = heights[:, None, None]
    T_camera_base = np.linalg.inv(camera.T_base_camera)
    local = world @ T_camera_base[:3, :3].T + T_camera_base[:3, 3]
    depth = np.maximum(local[..., 2], 0.1)
    pixel = (local @ camera.K.T)[..., :2] / depth[..., None]
    uv = 2.0 * pixel / np.array([camera.width, camera.height]) - 1.0
    valid = (local[..., 2] > 0.1) & (np.abs(uv) < 1.0).all(axis=-1)
    uv = np.where(valid[..., None], uv, -2.0)
    return uv.reshape(-1, n, 2).astype(np.float32), valid.any(axis=0)[None].astype(np.float32)


def model_inputs(
    image: U8 | None, camera: CameraModel | None, points: F32 | None, config: BevConfig
) -> tuple[F32, F32, F32, F32, I64, F32]:
    """One frame as AislewiseNet.forward takes it, without the batch axis (shapes: see there).
    A missing sensor becomes zeros and a flag of 0."""
    n, levels = config.head_cells, len(config.lift_heights_m)
    if image is not None and camera is not None:
        pixels = image.astype(np.float32).transpose(2, 0, 1) / np.float32(127.5) - np.float32(1)
        grid, seen = camera_grid(camera, config)
    else:
        pixels = np.zeros((3, *IMAGE_HW), np.float32)
        grid = np.full((levels * n, n, 2), -2.0, np.float32)
        seen = np.zeros((1, n, n), np.float32)
    # One point keeps the graph's shapes non-empty; the flag silences it.
    features, cells = pillarise(_NO_POINTS if points is None else points, config)
    if not len(features):
        features, cells = pillarise(_NO_POINTS, config)
    present = np.array([points is not None, image is not None and camera is not None], np.float32)
    return pixels, grid, seen, features, cells, present


def cell_of(xy: F64, config: BevConfig) -> tuple[I64, NDArray[np.bool_]]:
    """Head cell (column, row) of each position. xy: (M, 2) in base_link. Second: inside the grid."""
    ij = np.floor((xy + config.half_extent_m) / config.head_cell_m).astype(np.int64)
    inside = ((ij >= 0) & (ij < config.head_cells)).all(axis=-1)
    return ij, inside


def heat_map(cls: I64, xy: F64, sigma_m: F64, classes: int, config: BevConfig) -> F32:
    """(classes, H, W) float32: a Gaussian per object, exactly 1 in its own head cell (Yin et al.
    2021, CenterPoint). Objects outside the grid are left out."""
    axis = head_centres(config)
    heat = np.zeros((classes, len(axis), len(axis)), np.float32)
    ij, inside = cell_of(xy, config)
    for k in np.flatnonzero(inside):
        gx = np.exp(-0.5 * ((axis - axis[ij[k, 0]]) / sigma_m[k]) ** 2)
        gy = np.exp(-0.5 * ((axis - axis[ij[k, 1]]) / sigma_m[k]) ** 2)
        np.maximum(heat[cls[k]], gy[:, None] * gx[None, :], out=heat[cls[k]])
    return heat
