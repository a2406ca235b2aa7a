"""A structured-light depth camera, registered to the colour camera: it shares its rays.

Metres along the optical axis; what is no measurement is marked as REP-118 has it: -inf too near, +inf too far, NaN no
answer."""

from __future__ import annotations

import numpy as np
from numba import njit

from aislewise.types import F32
from sim.scene import MISS, Hits, Scene
from sim.sensor_models import DepthSetup
from sim.shading import TABLE

FAINT = 0.02
"""Signal (reflectivity times incidence over range squared, m^-2) below which the pattern is lost more often than not."""
MIRROR_COS = 0.985
"""Glossy surfaces seen so squarely throw the projector's light straight back: the pattern is burnt out."""


def measure_depth(scene: Scene, setup: DepthSetup, rays: F32, hits: Hits, z_per_m: F32, start_m: float, focal_px: float,
                  shape: tuple[int, int], normals: F32, uniforms: F32) -> F32:  # fmt: skip
    """(H, W) float32 of the H * W rays row by row. z_per_m: (N,) m along the axis per m along the ray; start_m: how far
    along the rays begin; normals, uniforms: (N,)."""
    z = np.empty(len(rays), np.float32)
    measure(rays, hits.t, hits.triangle, hits.normal, scene.material, scene.reflect, TABLE, z_per_m, start_m, normals,
            uniforms, np.array([setup.min_m, setup.max_m, setup.noise_m, setup.noise_per_m]), z)  # fmt: skip
    picture = z.reshape(shape)
    shadow(picture, focal_px * setup.baseline_m)
    return picture


@njit(cache=True, nogil=True)
def measure(rays, t, triangle, normal, material, reflect, table, z_per_m, start, normals, uniforms,  # type: ignore[no-untyped-def]
            limits, z):  # fmt: skip
    """Depth with noise and holes of single pixels into z (N,). limits: (4,) least, most, noise, noise per m^2."""
    for i in range(t.shape[0]):
        z[i] = np.inf
        if triangle[i] == MISS:
            z[i] = np.nan
            continue
        true = (t[i] + start) * z_per_m[i]
        m = material[triangle[i]]
        cos_i = abs(normal[i, 0] * rays[i, 3] + normal[i, 1] * rays[i, 4] + normal[i, 2] * rays[i, 5])
        signal = table[m, 0] * reflect[triangle[i]] * cos_i / max(true, 0.3) ** 2
        lost = FAINT / (FAINT + 4.0 * signal) if signal < 4.0 * FAINT else 0.005
        if cos_i > MIRROR_COS:
            lost += table[m, 2]
        measured = true + normals[i] * (limits[2] + limits[3] * (true - 0.4) ** 2)
        if true < limits[0]:
            z[i] = -np.inf
        elif true <= limits[1]:
            z[i] = np.nan if uniforms[i] < lost else max(measured, 1e-3)


@njit(cache=True, nogil=True)
def shadow(z, disparity_m):  # type: ignore[no-untyped-def]
    """Holes, in z (H, W), where a nearer thing hides the surface from the projector, which sits to the right: seen from
    there, columns that the camera sees from right to left must come in the same order. disparity_m: px times m."""
    for v in range(z.shape[0]):
        leftmost = np.inf
        for u in range(z.shape[1] - 1, -1, -1):
            far = z[v, u]
            if not far > 0.0:  # NaN, or too near to be told
                continue
            column = u - disparity_m / far
            if column >= leftmost:
                if far < np.inf:
                    z[v, u] = np.nan
            else:
                leftmost = column
