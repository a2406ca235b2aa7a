"""Takes a lens's distortion out of an image: what goes on is a pinhole's picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aislewise.errors import InputError
from aislewise.geometry import distort
from aislewise.types import F32, F64, U8


@dataclass(frozen=True, slots=True)
class Distortion:
    """As sensor_msgs/CameraInfo states it: distortion_model and D."""

    model: str
    d: tuple[float, ...]

    @staticmethod
    def of(model: str, d: ArrayLike) -> Distortion | None:
        """None where there is none to take out: no coefficients, or all 0. Raises InputError for a lens that
        `aislewise.geometry.distort` does not know: its pictures would be read with wrong angles."""
        values = tuple(float(v) for v in np.ravel(np.asarray(d, np.float64)))
        if not np.isfinite(values).all():
            raise InputError("camera.distortion", "is not finite")
        if model != "equidistant" and not any(values):  # a fisheye with zeros still bends
            return None
        distort(np.zeros((1, 2)), model, np.array(values))
        return Distortion(model, values)


class Undistorter:
    """Bilinear resampling by a table that is made once per lens, K and size. Where the lens saw nothing the picture
    is black."""

    def __init__(self, lens: Distortion, K: F64, width: int, height: int) -> None:
        self._key = lens, K.tobytes(), width, height
        u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        focal, centre = np.array([K[0, 0], K[1, 1]]), K[:2, 2]
        ideal = (np.stack([u, v], axis=-1) - centre) / focal
        at = distort(ideal, lens.model, np.array(lens.d)) * focal + centre - 0.5
        seen = (at >= -0.5).all(axis=-1) & (at[..., 0] <= width - 0.5) & (at[..., 1] <= height - 0.5)
        at = np.clip(np.nan_to_num(at), 0.0, [width - 1, height - 1])
        low = np.minimum(at.astype(np.int64), [max(width - 2, 0), max(height - 2, 0)])
        share = at - low
        self._first: NDArray[np.int64] = (low[..., 1] * width + low[..., 0]).ravel()
        self._right = min(width - 1, 1)
        self._below = width * min(height - 1, 1)
        x, y = share[..., 0], share[..., 1]
        weights = np.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y]) * seen
        self._weights: F32 = weights.reshape(4, -1, 1).astype(np.float32)

    def fits(self, lens: Distortion, K: F64, width: int, height: int) -> bool:
        return self._key == (lens, K.tobytes(), width, height)

    def __call__(self, image: U8) -> U8:
        """(H, W, 3) uint8 of the size it was made for."""
        flat = image.reshape(-1, 3)
        steps = (0, self._right, self._below, self._right + self._below)
        out = sum(w * flat[self._first + step] for w, step in zip(self._weights, steps, strict=True))
        return np.rint(out).astype(np.uint8).reshape(image.shape)
