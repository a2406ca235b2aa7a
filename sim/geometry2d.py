"""Planar geometry of footprints: distances, corridors, contacts. Outlines are convex, (N, 2) in `map`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from aislewise.types import F64, Pose2D


def distance_to_rectangle(x_m: float, y_m: float, pose: Pose2D, back_m: float, front_m: float, half_m: float) -> float:
    """Distance of a point to the rectangle x in [back, front], |y| <= half of the frame at `pose`."""
    c, s = math.cos(pose.yaw_rad), math.sin(pose.yaw_rad)
    dx, dy = x_m - pose.x_m, y_m - pose.y_m
    u, v = c * dx + s * dy, -s * dx + c * dy
    return math.hypot(max(back_m - u, 0.0, u - front_m), max(abs(v) - half_m, 0.0))


def convex_overlap(a: F64, b: F64) -> bool:
    """Whether two convex outlines overlap (separating axis theorem)."""
    for p in (a, b):
        for i in range(len(p)):
            nx, ny = p[i - 1][1] - p[i][1], p[i][0] - p[i - 1][0]
            pa, pb = a[:, 0] * nx + a[:, 1] * ny, b[:, 0] * nx + b[:, 1] * ny
            if pa.max() <= pb.min() or pb.max() <= pa.min():
                return False
    return True


def polygons_near(zone: F64, outlines: Sequence[F64]) -> bool:
    """Whether any outline overlaps the zone; cheap for the many that are far away."""
    low, high = zone.min(axis=0), zone.max(axis=0)
    for outline in outlines:
        if (outline.min(axis=0) < high).all() and (outline.max(axis=0) > low).all() and convex_overlap(zone, outline):
            return True
    return False


def gap_in_corridor(outline: F64, pose: Pose2D, half_m: float) -> float:
    """Smallest x > 0 in the frame of `pose` at which a convex outline enters |y| <= half; inf if never."""
    c, s = math.cos(pose.yaw_rad), math.sin(pose.yaw_rad)
    d = outline - (pose.x_m, pose.y_m)
    x, y = d[:, 0] * c + d[:, 1] * s, d[:, 1] * c - d[:, 0] * s
    if x.max() <= 0 or y.min() >= half_m or y.max() <= -half_m:
        return math.inf
    best = math.inf
    n = len(x)
    for i in range(n):
        x0, y0, x1, y1 = x[i - 1], y[i - 1], x[i], y[i]
        if abs(y1) <= half_m:
            best = min(best, x1)
        for bound in (-half_m, half_m):
            if (y0 - bound) * (y1 - bound) < 0:
                best = min(best, x0 + (bound - y0) / (y1 - y0) * (x1 - x0))
    return max(0.0, float(best))


def disc(x_m: float, y_m: float, radius_m: float, sides: int = 8) -> F64:
    """(sides, 2) outline round a disc (circumscribed)."""
    angle = (np.arange(sides) + 0.5) * (2 * math.pi / sides)
    reach = radius_m / math.cos(math.pi / sides)
    return np.stack([x_m + reach * np.cos(angle), y_m + reach * np.sin(angle)], axis=1)


def inside_polygon(polygon: F64, points: F64) -> np.ndarray:
    """(P,) bool for points (P, 2), even-odd rule; any simple polygon."""
    x, y = points[:, 0], points[:, 1]
    inside = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside
