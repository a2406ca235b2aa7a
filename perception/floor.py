"""The floor under a lidar whose mount is not known: the largest level plane below the sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from aislewise.types import F32, F64
from perception.lidar import cap

SAMPLE = 6000
TRIES = 300


@dataclass(frozen=True, slots=True)
class Floor:
    """T_base_lidar: (4, 4) float64 that puts the floor at z = 0 under the lidar and levels it.
    height_m: lidar above the floor; tilt_rad: angle between lidar and floor; share: part of the points
    below the lidar that lie on the plane."""

    T_base_lidar: F64
    height_m: float
    tilt_rad: float
    share: float


def estimate_floor(
    points: F32,
    rng: np.random.Generator,
    max_tilt_rad: float = math.radians(15.0),
    tolerance_m: float = 0.05,
    reach_m: float = 12.0,
) -> Floor:
    """RANSAC (Fischler & Bolles 1981) over near points below the lidar, then least squares.

    points: (N, 3+) in the lidar's frame, roughly upright. Of two planes with as many points the lower
    one is the floor and the other a table, so a plane with much below it counts for less. Raises
    InputError("floor") when no plane holds a tenth of the points.
    """
    below = _below(points, reach_m)
    if len(below) < 100:
        raise InputError("floor", f"only {len(below)} points below the lidar", "100: state the height")
    normal, offset, best = np.array([0.0, 0.0, 1.0]), 0.0, -1.0
    for _ in range(TRIES):
        a, b, c = below[rng.choice(len(below), 3, replace=False)]
        n = np.cross(b - a, c - a)
        length = float(np.linalg.norm(n))
        if length < 1e-6 or abs(n[2]) < math.cos(max_tilt_rad) * length:
            continue
        n = n / math.copysign(length, n[2])
        height = (below - a) @ n
        value = float((np.abs(height) < tolerance_m).sum() - 2.0 * (height < -3.0 * tolerance_m).sum())
        if value > best:
            normal, offset, best = n, float(a @ n), value
    inliers = below[np.abs(below @ normal - offset) < tolerance_m]
    share = len(inliers) / len(below)
    if best < 0.0 or share < 0.1:
        raise InputError("floor", "no level plane below the lidar", "state the lidar's height")
    normal, offset = _refine(below, normal, offset, tolerance_m)
    tilt = math.acos(min(1.0, float(normal[2])))
    return Floor(_levelling(normal, -offset), -offset, tilt, share)


def _below(points: F32, reach_m: float) -> NDArray[np.float64]:
    xyz = points[np.isfinite(points[:, :3]).all(axis=1), :3]
    near = np.hypot(xyz[:, 0], xyz[:, 1]) < reach_m
    index = np.flatnonzero(near & (xyz[:, 2] < -0.1))
    return xyz[cap(index, SAMPLE)].astype(np.float64)


def _refine(
    below: NDArray[np.float64], normal: F64, offset: float, tolerance_m: float
) -> tuple[F64, float]:
    """Total least squares on the inliers, twice, as they change with the plane."""
    for _ in range(2):
        inliers = below[np.abs(below @ normal - offset) < tolerance_m]
        centre = inliers.mean(axis=0)
        n = np.linalg.svd(inliers - centre, full_matrices=False)[2][2]
        normal = n if n[2] > 0.0 else -n
        offset = float(centre @ normal)
    return normal, offset


def _levelling(normal: F64, height_m: float) -> F64:
    """(4, 4): the smallest rotation that turns `normal` upright, then up by height_m."""
    axis = np.cross(normal, (0.0, 0.0, 1.0))
    c = float(normal[2])
    K = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    T = np.eye(4)
    T[:3, :3] = np.eye(3) + K + K @ K / (1.0 + c)  # Rodrigues, sin and cos from the vectors
    T[2, 3] = height_m
    return T
