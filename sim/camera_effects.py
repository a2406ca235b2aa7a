"""What lies between the light of a scene and the picture a real camera gives of it: blur, glare, exposure, noise."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter

from aislewise.types import F32, F64
from sim.scene import MISS, Scene
from sim.sensor_models import ExposureSetup, GlareSetup

FARTHEST_M = 1000.0
"""Where rays that miss are taken to end."""
BLUR_SAMPLES = 9
DISC_RAD = math.radians(0.4)
"""Half width of a source in the picture: about a pixel; the sun's own is 0.27 degrees."""
DISC_RADIANCE = 200.0
LEAST_RAD = math.radians(1.0)
"""Nearer to a source than this the veil grows no further: the formula ends there."""
COARSE = 4
"""Bloom is worked out on a picture that is smaller by this."""
BLOOM = ((2.0, 0.15), (8.0, 0.10))
"""Widths (coarse pixels) and shares of the halo round what is overexposed."""


def settings(setup: ExposureSetup, level: float) -> tuple[float, float]:
    """Exposure time, s, and gain for an exposure of `level` times time_s at gain 1: time first, then gain."""
    wanted_s = level * setup.time_s
    time_s = min(max(wanted_s, 1e-5), setup.max_s)
    return time_s, min(max(wanted_s / time_s, 1.0), setup.max_gain)


def next_level(setup: ExposureSetup, level: float, brightness: float, dt_s: float) -> float:
    """Where the automatic exposure has come to dt_s after a picture of that mean brightness (0 to 1). It works on the
    logarithm, with a first-order lag, and sees no more than the clipped picture: out of the dark it is blinded."""
    error = math.log(setup.target / max(brightness, 1e-3))
    pull = 1.0 - math.exp(-dt_s / setup.lag_s) if setup.lag_s > 0.0 else 1.0
    most = setup.max_s / setup.time_s * setup.max_gain
    return min(max(level * math.exp(pull * error), 1e-3), most)


@njit(cache=True, nogil=True, fastmath=True)
def smear(radiance, rays, t, triangle, now, before, of, f, width, out):  # type: ignore[no-untyped-def]
    """Motion blur, radiance (N, 3) into out: each pixel averages what passes over it while the shutter is open.

    now, before: (K, 3, 4) T_camera_map (optical axes) at the end and the start of the exposure, of[i] the one of ray
    i. Each pixel's own image motion is used (scatter as gather; McGuire et al., I3D 2012), the robot's alone: what
    moves by itself is sharp."""
    height = radiance.shape[0] // width
    a, b = np.empty(3), np.empty(3)
    for i in range(radiance.shape[0]):
        far = FARTHEST_M if triangle[i] == MISS else t[i]
        k = of[i]
        for r in range(3):
            a[r], b[r] = now[k, r, 3], before[k, r, 3]
            for c in range(3):
                p = rays[i, c] + far * rays[i, 3 + c]
                a[r] += now[k, r, c] * p
                b[r] += before[k, r, c] * p
        du, dv = 0.0, 0.0
        if a[2] > 0.05 and b[2] > 0.05:
            du, dv = f * (b[0] / b[2] - a[0] / a[2]), f * (b[1] / b[2] - a[1] / a[2])
        count = min(BLUR_SAMPLES, 1 + int(2.0 * max(abs(du), abs(dv))))
        u, v = i % width, i // width
        for c in range(3):
            out[i, c] = 0.0
        for s in range(count):
            share = (s + 0.5) / count
            x = min(max(int(u - share * du + 0.5), 0), width - 1)
            y = min(max(int(v - share * dv + 0.5), 0), height - 1)
            for c in range(3):
                out[i, c] += radiance[y * width + x, c] / count


def sources(scene: Scene, setup: GlareSetup, eye: F64) -> list[tuple[F64, float]]:
    """Direction and illuminance (where white paper has radiance 1) of every source that reaches eye (3,), m."""
    out = []
    if setup.sun is not None:
        azimuth, elevation = (math.radians(v) for v in setup.sun)
        c = math.cos(elevation)
        out.append((np.array([c * math.cos(azimuth), c * math.sin(azimuth), math.sin(elevation)]), setup.strength, np.inf))
    for lamp in setup.lamps:
        reach = np.array(lamp) - eye
        far = max(float(np.linalg.norm(reach)), 0.1)
        out.append((reach / far, setup.strength / far**2, far))
    if not out:
        return []
    rays = np.array([[*(eye + 0.05 * d), *d] for d, _, _ in out], np.float32)
    nearest = scene.cast(rays).t
    return [(d, e) for (d, e, far), t in zip(out, nearest, strict=True) if t >= far - 0.1]


def add_glare(radiance: F32, rays: F32, lit_by: list[tuple[F64, float]], axis: F64, scatter: float) -> None:
    """Puts sources and the veil that each lays over the picture into radiance (N, 3). axis: (3,) where the camera
    looks."""
    for direction, illuminance in lit_by:
        on_lens = illuminance * max(0.0, float(direction @ axis))
        if on_lens > 0.0:
            veil(radiance, rays, direction.astype(np.float32), np.float32(math.pi * on_lens), np.float32(scatter))


@njit(cache=True, nogil=True, fastmath=True)
def veil(radiance, rays, direction, illuminance, scatter):  # type: ignore[no-untyped-def]
    """Disability glare: a veil of 10 E / angle^2 (degrees; Stiles and Holladay, CIE 146:2002), and the source itself."""
    degree = math.pi / 180.0
    for i in range(radiance.shape[0]):
        cosine = rays[i, 3] * direction[0] + rays[i, 4] * direction[1] + rays[i, 5] * direction[2]
        angle = math.acos(min(max(cosine, -1.0), 1.0))
        glow = scatter * 10.0 * illuminance / (max(angle, LEAST_RAD) / degree) ** 2
        if angle < DISC_RAD:
            glow += DISC_RADIANCE
        for k in range(3):
            radiance[i, k] += glow


def bloom(radiance: F32, gain: float, width: int, scatter: float) -> None:
    """Halos of light that the optics scatter out of what is far too bright for the exposure, into radiance (N, 3)."""
    height = len(radiance) // width
    rows, columns = height - height % COARSE, width - width % COARSE
    if not (radiance.max(initial=0.0) * gain > 1.0 and rows and columns):
        return
    excess = np.zeros((rows // COARSE, columns // COARSE, 3), np.float32)
    overexposed(radiance, np.float32(1.0 / gain), width, excess)
    halo = sum(scatter * share * gaussian_filter(excess, (wide, wide, 0)) for wide, share in BLOOM)
    add_grown(halo, width, radiance)


@njit(cache=True, nogil=True, fastmath=True)
def overexposed(radiance, white, width, excess):  # type: ignore[no-untyped-def]
    """Means, over blocks of COARSE by COARSE pixels, of what exceeds white in radiance (N, 3), into excess."""
    for v in range(excess.shape[0] * COARSE):
        for u in range(excess.shape[1] * COARSE):
            for k in range(3):
                over = radiance[v * width + u, k] - white
                if over > 0.0:
                    excess[v // COARSE, u // COARSE, k] += over / (COARSE * COARSE)


@njit(cache=True, nogil=True, fastmath=True)
def add_grown(halo, width, radiance):  # type: ignore[no-untyped-def]
    """Adds halo (h, w, 3), blown up by COARSE (bilinear), to radiance (N, 3)."""
    h, w = halo.shape[0], halo.shape[1]
    for i in range(radiance.shape[0]):
        x = min(max((i % width + 0.5) / COARSE - 0.5, 0.0), w - 1.0)
        y = min(max((i // width + 0.5) / COARSE - 0.5, 0.0), h - 1.0)
        left, top = min(int(x), max(w - 2, 0)), min(int(y), max(h - 2, 0))
        right, low = min(left + 1, w - 1), min(top + 1, h - 1)
        a, b = x - left, y - top
        for k in range(3):
            upper = halo[top, left, k] * (1 - a) + halo[top, right, k] * a
            lower = halo[low, left, k] * (1 - a) + halo[low, right, k] * a
            radiance[i, k] += upper * (1 - b) + lower * b


@njit(cache=True, nogil=True, fastmath=True)
def expose(radiance, scale, gain, full_well, read_noise, noise, curve, vignette, image):  # type: ignore[no-untyped-def]
    """Radiance (N, 3) to an 8-bit sRGB-like image (N, 3); returns its mean brightness (linear, clipped, 0 to 1).

    scale: (3,) signal per radiance, gain and white balance included. In electrons the variance is signal (photon
    noise) plus read_noise^2, before the gain (EMVA Standard 1288, linear model). noise: (N, 3) unit normals."""
    total = 0.0
    for i in range(radiance.shape[0]):
        for k in range(3):
            value = radiance[i, k] * scale[k] * vignette[i]
            electrons = min(max(value, 0.0), 4.0) * full_well / gain
            value += noise[i, k] * math.sqrt(electrons + read_noise * read_noise) * gain / full_well
            value = min(max(value, 0.0), 1.0)
            total += value
            image[i, k] = curve[int(value * 4095.0 + 0.5)]
    return total / (3 * max(radiance.shape[0], 1))
