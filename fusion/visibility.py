"""How surely a robot would have detected an object in one frame, were it there.

A track is only missed where the frame looked: inside the range, the camera's field of view for what
only a camera sees, and not behind something. The sweep's own evidence grid says which places were
seen through near the floor (free), hold something (occupied) or were hidden (unknown).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aislewise.errors import InputError
from aislewise.geometry import inverse, transform_xy
from aislewise.types import F64, DetectionFrame, GridMap, ObjectClass, Pose2D
from fusion.tracks import I64, Mask

SAMPLES = np.array([[0.0, 0.0], [0.3, 0.3], [0.3, -0.3], [-0.3, 0.3], [-0.3, -0.3]])
"""Where a footprint is looked up, in parts of its length and width."""


@dataclass(frozen=True, slots=True)
class ViewConfig:
    """hfov_rad, camera_range_m: where colour and wet floor can be seen. p_empty: chance to detect an
    object at full view; p_filled: when the place holds something but the network named nothing there;
    p_camera: when only a camera took part, which cannot tell occlusion."""

    hfov_rad: float = math.pi / 2.0
    camera_range_m: float = 8.0
    near_m: float = 0.7
    sure_m: float = 5.0
    far_m: float = 12.0
    p_empty: float = 0.6
    p_filled: float = 0.2
    p_floor: float = 0.4
    p_camera: float = 0.15
    evidence_height_m: float = 0.4

    def __post_init__(self) -> None:
        if not 0.0 < self.hfov_rad <= 2.0 * math.pi:
            raise InputError("view.hfov_rad", f"{self.hfov_rad}", "0 to 2 pi")
        if not 0.0 <= self.near_m <= self.sure_m < self.far_m:
            raise InputError("view.far_m", f"{self.far_m}", "near_m <= sure_m < far_m")
        for name in ("p_empty", "p_filled", "p_floor", "p_camera"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InputError(f"view.{name}", f"{getattr(self, name)}", "0 to below 1")


def in_camera_view(base_xy: F64, config: ViewConfig) -> Mask:
    """base_xy: (..., 2) in base_link. The camera looks along x."""
    x, y = base_xy[..., 0], base_xy[..., 1]
    half = config.hfov_rad / 2.0
    seen: Mask = (np.abs(np.arctan2(y, x)) < half) & (np.hypot(x, y) < config.camera_range_m)
    return seen


def in_base(xy: F64, T_map_base: Pose2D) -> F64:
    """(N, 2) points of `map` in base_link."""
    return transform_xy(inverse(T_map_base), xy)


def detection_probability(
    xy: F64, base: F64, z: F64, size: F64, yaw: F64, cls: I64, frame: DetectionFrame, config: ViewConfig
) -> F64:
    """(N,) probability of a detection in this frame. xy, base: (N, 2) box centres in `map` and base_link;
    z: (N,) their height."""
    distance = np.hypot(base[:, 0], base[:, 1])
    fading = np.clip((config.far_m - distance) / (config.far_m - config.sure_m), 0.0, 1.0)
    fading[distance < config.near_m] = 0.0
    camera = in_camera_view(base, config) if "camera" in frame.sensors else np.zeros(len(xy), bool)
    if frame.local_grid is None:
        return fading * np.where(camera, config.p_camera, 0.0)
    free, occupied = _evidence(xy, size, yaw, frame.local_grid)
    chance = np.where(occupied > 0.0, config.p_filled, config.p_empty * free)
    # Near the floor nothing is proved about what hangs or lies above.
    raised = z - size[:, 2] / 2.0 > config.evidence_height_m
    chance = np.where(raised, np.minimum(chance, 0.1), chance)
    # Lidar looks through a wet floor: only the camera can miss it.
    floor = cls == ObjectClass.WET_FLOOR
    return fading * np.where(floor, config.p_floor * free * camera, chance)


def _evidence(xy: F64, size: F64, yaw: F64, grid: GridMap) -> tuple[F64, F64]:
    """(N,) parts of each footprint that are free and occupied in a map-aligned grid."""
    c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    along, across = SAMPLES[:, 0] * size[:, :1], SAMPLES[:, 1] * size[:, 1:2]
    x = xy[:, :1] + c * along - s * across
    y = xy[:, 1:2] + s * along + c * across
    col = np.floor((x - grid.x_m) / grid.resolution_m).astype(np.int64)
    row = np.floor((y - grid.y_m) / grid.resolution_m).astype(np.int64)
    height, width = grid.data.shape
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    values = np.full(inside.shape, -1, np.int8)
    values[inside] = grid.data[row[inside], col[inside]]
    return (values == 0).mean(axis=1), (values > 50).mean(axis=1)
