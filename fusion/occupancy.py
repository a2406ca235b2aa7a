"""Where something stands in the way: evidence of one lidar sweep, and the map that gathers it.

Log-odds mapping (Moravec & Elfes 1985; Thrun et al., Probabilistic Robotics, ch. 9). A cell is free
only where a ray passed it near the floor: a beam that goes over a tote says nothing about the tote.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from aislewise.clock import to_s
from aislewise.errors import InputError
from aislewise.geometry import transform_xy
from aislewise.sitemap import CLOSED, SiteMap
from aislewise.types import F32, F64, I8, DetectionFrame, GridMap, Pose2D

UNKNOWN, FREE, OCCUPIED = -1, 0, 100
MAX_REACH_M = 1000.0


@dataclass(frozen=True, slots=True)
class EvidenceConfig:
    """Grid of one sweep. lidar_*: where rays start in base_link. Hits from obstacle_min_m to
    obstacle_max_m above the floor are obstacles, lower ones the floor, higher ones pass over robots.
    free_below_m: a ray proves a cell free only while it is lower than this."""

    half_extent_m: float = 12.8
    resolution_m: float = 0.2
    lidar_x_m: float = 0.22
    lidar_y_m: float = 0.0
    lidar_z_m: float = 0.90
    obstacle_min_m: float = 0.10
    obstacle_max_m: float = 1.8
    free_below_m: float = 0.4

    def __post_init__(self) -> None:
        if not (self.resolution_m >= 0.02 and 1 <= self.half_extent_m / self.resolution_m <= 1000):
            raise InputError("evidence.resolution_m", f"{self.resolution_m}", "0.02 m or more")
        if not 0.0 <= self.obstacle_min_m < self.obstacle_max_m:
            raise InputError("evidence.obstacle_min_m", f"{self.obstacle_min_m}", "below obstacle_max_m")
        if not self.free_below_m > self.obstacle_min_m:
            raise InputError("evidence.free_below_m", f"{self.free_below_m}", "above obstacle_min_m")


def local_evidence(points: F32, T_map_base: Pose2D, config: EvidenceConfig | None = None) -> GridMap:
    """Free, occupied and unknown cells of one sweep around the robot, aligned with `map`.

    points: (N, 4) or (N, 3) float32 in base_link, z = 0 the floor. Cell corners are at multiples of
    the resolution in `map`, so that grids of all robots lie on one another.
    """
    config = config or EvidenceConfig()
    if points.ndim != 2 or points.shape[1] < 3:
        raise InputError("points", f"shape {points.shape}", "(N, 4)")
    cells = 2 * round(config.half_extent_m / config.resolution_m)
    col0 = round((T_map_base.x_m - config.half_extent_m) / config.resolution_m)
    row0 = round((T_map_base.y_m - config.half_extent_m) / config.resolution_m)
    points = points[(np.abs(points[:, :3]) < MAX_REACH_M).all(axis=1)]  # NaN fails as well
    start = transform_xy(T_map_base, np.array([config.lidar_x_m, config.lidar_y_m]))
    ends = np.empty((len(points), 3))
    ends[:, :2] = transform_xy(T_map_base, points[:, :2].astype(np.float64))
    ends[:, :2] = ends[:, :2] / config.resolution_m - (col0, row0)
    ends[:, 2] = points[:, 2]
    start = start / config.resolution_m - (col0, row0)
    data = np.full((cells, cells), UNKNOWN, np.int8)
    _trace(
        data, ends, start[0], start[1], config.lidar_z_m,
        config.obstacle_min_m, config.obstacle_max_m, config.free_below_m,
    )  # fmt: skip
    return GridMap(data, config.resolution_m, col0 * config.resolution_m, row0 * config.resolution_m)


@njit(cache=True, nogil=True)
def _trace(
    data: I8, ends: F64, x0: float, y0: float, z0: float, low: float, high: float, free_below: float
) -> None:
    """Marks free cells along the low part of each ray, then cells with hits: a hit outweighs any ray
    of the same sweep that slips through the cell. Units: cells across, metres up."""
    height, width = data.shape
    for i in range(ends.shape[0]):
        x1, y1, z1 = ends[i, 0], ends[i, 1], ends[i, 2]
        first = 0.0
        if z0 > free_below:
            if z1 >= free_below:
                continue
            first = (z0 - free_below) / (z0 - z1)
        length = math.hypot(x1 - x0, y1 - y0)
        last = 1.0
        if z1 >= low and length > 0.0:
            last = 1.0 - 1.0 / length  # one cell short of what was hit
        if last <= first:
            continue  # it was low for less than a cell before it hit
        # Steps of half a cell: no cell that matters is jumped over.
        steps = int(length * (last - first) * 2.0) + 1
        for k in range(steps + 1):
            part = first + (last - first) * k / steps
            if part < 0.0:
                continue
            col, row = math.floor(x0 + part * (x1 - x0)), math.floor(y0 + part * (y1 - y0))
            if row < 0 or row >= height or col < 0 or col >= width:
                break
            data[row, col] = 0
    for i in range(ends.shape[0]):
        x1, y1, z1 = ends[i, 0], ends[i, 1], ends[i, 2]
        if low <= z1 <= high:
            col, row = math.floor(x1), math.floor(y1)
            if 0 <= row < height and 0 <= col < width:
                data[row, col] = 100


@dataclass(frozen=True, slots=True)
class OccupancyConfig:
    """hit, miss: log-odds added per sweep; ceiling, floor: their bounds. A cell counts as occupied
    above `occupied` and as free below `free`. decay_s: time in which evidence fades to 1/e when the
    place is not seen. robot_radius_m: nothing is learnt under robots. structure_m: hits this near to
    closed cells of the site map belong to the structure."""

    resolution_m: float = 0.2
    hit: float = 0.9
    miss: float = 0.7
    ceiling: float = 3.5
    floor: float = -2.0
    occupied: float = 0.85
    free: float = -0.4
    decay_s: float = 40.0
    robot_radius_m: float = 0.65
    structure_m: float = 0.2

    def __post_init__(self) -> None:
        if not self.floor <= self.free < 0.0 < self.occupied <= self.ceiling:
            raise InputError("occupancy.occupied", "floor <= free < 0 < occupied <= ceiling must hold")
        if not (self.hit > 0.0 and self.miss > 0.0 and self.decay_s > 0.0):
            raise InputError("occupancy.decay_s", f"{self.decay_s}", "above 0")


class OccupancyMap:
    """Evidence of all robots over the site's extent. Closed cells of the site map are always occupied."""

    def __init__(self, site: SiteMap, config: OccupancyConfig | None = None) -> None:
        self.config = config or OccupancyConfig()
        step = self.config.resolution_m
        # Cell corners at multiples of the step in `map`, as local_evidence has them.
        self._col0, self._row0 = math.floor(site.x_m / step + 1e-6), math.floor(site.y_m / step + 1e-6)
        cols = math.ceil((site.x_m + site.width * site.resolution_m) / step - 1e-6) - self._col0
        rows = math.ceil((site.y_m + site.height * site.resolution_m) / step - 1e-6) - self._row0
        self._log = np.zeros((rows, cols), np.float32)
        self._stamp_ns: int | None = None
        x = (self._col0 + np.arange(cols) + 0.5) * step
        y = (self._row0 + np.arange(rows) + 0.5) * step
        col = np.clip(((x - site.x_m) / site.resolution_m).astype(int), 0, site.width - 1)
        row = np.clip(((y - site.y_m) / site.resolution_m).astype(int), 0, site.height - 1)
        self._closed = site.cells[np.ix_(row, col)] == CLOSED
        margin = round(self.config.structure_m / step)
        grown = binary_dilation(self._closed, iterations=margin) if margin else self._closed
        self._structure: NDArray[np.bool_] = grown

    def integrate(
        self, frame: DetectionFrame, robots: Sequence[Pose2D] = (), movers: Sequence[tuple[float, float, float]] = ()
    ) -> None:
        """Adds one sweep. robots: present poses of all fleet members. movers: (x, y, radius), m in `map`, of
        people and vehicles: hits on them teach nothing, so that they leave no trail. Frames without lidar
        only let time pass; the grid must be map-aligned and of this map's resolution (InputError)."""
        self.fade(frame.stamp_ns)
        if frame.local_grid is None:
            return
        grid = frame.local_grid
        step = self.config.resolution_m
        if grid.yaw_rad != 0.0 or abs(grid.resolution_m - step) > 1e-6:
            raise InputError("local_grid.resolution_m", f"{grid.resolution_m}, yaw {grid.yaw_rad}", step)
        col, row = round(grid.x_m / step) - self._col0, round(grid.y_m / step) - self._row0
        here, there = self._overlap(grid.data.shape, row, col)
        if here is None:
            return
        seen, log = grid.data[there], self._log[here]
        hit = (seen > 50) & ~self._structure[here]
        rows, cols = np.nonzero(hit)
        y, x = (rows + here[0].start + self._row0 + 0.5) * step, (cols + here[1].start + self._col0 + 0.5) * step
        for mover_x, mover_y, radius in movers:
            near = (x - mover_x) ** 2 + (y - mover_y) ** 2 <= radius**2
            hit[rows[near], cols[near]] = False
        change = np.where(hit, self.config.hit, np.where(seen == FREE, -self.config.miss, 0.0))
        np.clip(log + change, self.config.floor, self.config.ceiling, out=log, casting="unsafe")
        for pose in (frame.T_map_base, *robots):
            self._clear(pose)

    def fade(self, stamp_ns: int) -> None:
        """Lets evidence fade up to a stamp."""
        if self._stamp_ns is not None and stamp_ns > self._stamp_ns:
            self._log *= np.float32(math.exp(-to_s(stamp_ns - self._stamp_ns) / self.config.decay_s))
        self._stamp_ns = max(stamp_ns, self._stamp_ns or stamp_ns)

    def grid(self) -> GridMap:
        data = np.full(self._log.shape, UNKNOWN, np.int8)
        data[self._log < self.config.free] = FREE
        data[self._log > self.config.occupied] = OCCUPIED
        data[self._closed] = OCCUPIED
        step = self.config.resolution_m
        return GridMap(data, step, self._col0 * step, self._row0 * step)

    def _overlap(
        self, shape: tuple[int, ...], row: int, col: int
    ) -> tuple[tuple[slice, slice] | None, tuple[slice, slice]]:
        """Slices of this map and of a grid whose first cell is (row, col) here."""
        rows, cols = self._log.shape
        r0, r1 = max(row, 0), min(row + shape[0], rows)
        c0, c1 = max(col, 0), min(col + shape[1], cols)
        there = (slice(r0 - row, r1 - row), slice(c0 - col, c1 - col))
        if r0 >= r1 or c0 >= c1:
            return None, there
        return (slice(r0, r1), slice(c0, c1)), there

    def _clear(self, pose: Pose2D) -> None:
        """A robot stands here, so nothing else does."""
        step, radius = self.config.resolution_m, self.config.robot_radius_m
        reach = math.ceil(radius / step)
        col = math.floor(pose.x_m / step) - self._col0
        row = math.floor(pose.y_m / step) - self._row0
        r0, r1 = max(row - reach, 0), min(row + reach + 1, self._log.shape[0])
        c0, c1 = max(col - reach, 0), min(col + reach + 1, self._log.shape[1])
        if r0 >= r1 or c0 >= c1:
            return
        y = (self._row0 + np.arange(r0, r1) + 0.5) * step - pose.y_m
        x = (self._col0 + np.arange(c0, c1) + 0.5) * step - pose.x_m
        near = x[None, :] ** 2 + y[:, None] ** 2 <= radius**2
        patch = self._log[r0:r1, c0:c1]
        patch[near] = np.minimum(patch[near], np.float32(self.config.free * 1.5))
