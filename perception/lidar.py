"""Raw lidar points in, clean model points out: (N, 4) float32 x, y, z, intensity in base_link."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from aislewise.settings import check, setting
from aislewise.types import F32, F64
from perception.calibration import check_rigid


@dataclass(frozen=True, slots=True)
class LidarConfig:
    """Which points are kept, in base_link (z = 0 is the floor).

    body: length, width, height of the box around base_link whose hits are the robot itself.
    """

    min_range_m: float = setting(0.2, "nearer points are dropped", low=0.0, high=1000.0)
    max_range_m: float = setting(40.0, "farther points are dropped", low=0.0, high=1000.0)
    min_z_m: float = setting(-0.5, "lower points are dropped; the floor is 0", low=-100.0, high=100.0)
    max_z_m: float = setting(5.0, "higher points are dropped", low=-100.0, high=100.0)
    body: tuple[float, float, float] = (0.9, 0.7, 1.6)
    max_points: int = setting(32_768, "a larger cloud is thinned to so many points", low=1, high=2_000_000)
    max_input_points: int = setting(
        2_000_000, "a larger cloud is refused", low=1, high=2_000_000, live=False
    )
    intensity_max: float = setting(
        1.0, "value that becomes 1; 0 estimates it per cloud (1, 255 or 65535)", low=0.0, high=65535.0
    )

    def __post_init__(self) -> None:
        check(self, "lidar.")
        if not 0.0 <= self.min_range_m < self.max_range_m <= 1000.0:
            raise InputError("lidar.max_range_m", f"{self.max_range_m}", "min_range_m to 1000 m")
        if not self.min_z_m < self.max_z_m:
            raise InputError("lidar.max_z_m", f"{self.max_z_m}", "above min_z_m")
        if not 1 <= self.max_points <= self.max_input_points:
            raise InputError("lidar.max_points", f"{self.max_points}", "1 to max_input_points")
        if len(self.body) != 3 or not all(math.isfinite(v) and v >= 0.0 for v in self.body):
            raise InputError("lidar.body", f"{self.body}", "three lengths >= 0 m")


@dataclass(frozen=True, slots=True)
class CloudCounts:
    """What became of each received point; the parts sum up to `received`."""

    received: int
    kept: int
    not_finite: int
    self_hits: int
    out_of_range: int
    capped: int


def model_points(
    points: NDArray[np.floating], T_base_lidar: F64, config: LidarConfig | None = None
) -> tuple[F32, CloudCounts]:
    """points: (N, 3) or (N, 4) floats x, y, z, intensity in the lidar's frame.

    Returns (M, 4) float32 in base_link in the order received, and the counts. An empty cloud is
    valid. Raises InputError for a wrong shape or type, too many points, or a T_base_lidar that is
    no rigid transform.
    """
    config = config or LidarConfig()
    _check_points(points, config)
    check_rigid("lidar.T_base_lidar", T_base_lidar)
    received = len(points)
    points = points.astype(np.float32, copy=False)  # an overflow becomes inf and is dropped
    finite = np.isfinite(points[:, :3]).all(axis=1)
    if not finite.all():
        points = points[finite]
    ranged = _in_range(points, config.min_range_m, config.max_range_m)

    T = np.asarray(T_base_lidar, np.float32)
    out = np.empty((len(points), 4), np.float32)
    np.matmul(points[:, :3], T[:3, :3].T, out=out[:, :3])
    out[:, :3] += T[:3, 3]
    out[:, 3] = _intensity(points, config.intensity_max)

    length, width, height = config.body
    body = (np.abs(out[:, 0]) < length / 2) & (np.abs(out[:, 1]) < width / 2) & (out[:, 2] < height)
    ranged &= (out[:, 2] >= config.min_z_m) & (out[:, 2] <= config.max_z_m)
    keep = np.flatnonzero(ranged & ~body)
    self_hits = int(np.count_nonzero(body))
    usable = len(keep)
    out = out[cap(keep, config.max_points)]
    counts = CloudCounts(
        received=received,
        kept=len(out),
        not_finite=received - len(points),
        self_hits=self_hits,
        out_of_range=len(points) - usable - self_hits,
        capped=usable - len(out),
    )
    return out, counts


def cap(indices: NDArray[np.intp], limit: int) -> NDArray[np.intp]:
    """At most `limit` of the indices, chosen by a hash of their rank: the same every time, in order,
    and free of the stripes that every k-th point would leave in a scan with regular rows."""
    if len(indices) <= limit:
        return indices
    key = np.arange(len(indices), dtype=np.uint32) * np.uint32(2654435761)  # Knuth, TAOCP 6.4
    chosen = np.argpartition(key, limit)[:limit]
    return indices[np.sort(chosen)]


def _check_points(points: NDArray[np.floating], config: LidarConfig) -> None:
    if not isinstance(points, np.ndarray) or points.ndim != 2 or points.shape[1] not in (3, 4):
        shape = getattr(points, "shape", type(points).__name__)
        raise InputError("points", f"shape {shape}", "(N, 3) or (N, 4)")
    if not np.issubdtype(points.dtype, np.floating):
        raise InputError("points", f"dtype {points.dtype}", "floating point")
    if len(points) > config.max_input_points:
        raise InputError("points", f"{len(points)} points", config.max_input_points)


def _in_range(points: F32, near_m: float, far_m: float) -> NDArray[np.bool_]:
    """By distance from the lidar. Coordinates whose square overflows are far away all the same."""
    with np.errstate(over="ignore"):
        squared = np.einsum("ij,ij->i", points[:, :3], points[:, :3])
    return (squared >= near_m * near_m) & (squared <= far_m * far_m)


def _intensity(points: F32, maximum: float) -> F32 | float:
    """(N,) float32 in [0, 1]; 0 where a point has none."""
    if points.shape[1] < 4 or len(points) == 0:
        return 0.0
    raw = np.nan_to_num(points[:, 3], nan=0.0, posinf=0.0, neginf=0.0)
    if maximum == 0.0:
        # Robust to a few retro-reflectors that outshine the format's nominal range.
        high = float(np.quantile(raw, 0.99))
        maximum = 1.0 if high <= 1.0 else 255.0 if high <= 255.0 else 65535.0
    return np.clip(raw / np.float32(maximum), 0.0, 1.0)
