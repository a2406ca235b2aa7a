"""Per-ray arithmetic of lidar and camera, compiled: casting is cheap, numpy shading would cost more.

Light model: ambient from above, one shadow-casting lamp direction, and gloss; the ceiling is painted
on where rays miss. A wet floor mirrors what stands behind it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from sim.mesh import MATERIALS, Material
from sim.scene import MISS

TABLE = np.array([MATERIALS[m] for m in Material], np.float32)
"""(materials, 3) float32: lidar reflectivity, dropout chance, gloss."""
CEILING_Z_M = 7.5
_WET, _LAMP, _CONCRETE = int(Material.WET), int(Material.LAMP), int(Material.CONCRETE)
_WOOD, _WALL, _CARD = int(Material.WOOD), int(Material.WALL), int(Material.CARDBOARD)


@njit(cache=True, nogil=True, fastmath=True)
def _hash(ix: int, iy: int) -> float:
    n = (ix * 374761393 + iy * 668265263) & 0xFFFFFFFF
    n = ((n ^ (n >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((n ^ (n >> 16)) & 0xFFFF) / 65535.0


@njit(cache=True, nogil=True, fastmath=True)
def _value_noise(x: float, y: float) -> float:
    """Smooth noise in [0, 1] with features of size 1."""
    fx, fy = math.floor(x), math.floor(y)
    ix, iy = int(fx), int(fy)
    u, v = x - fx, y - fy
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    low = _hash(ix, iy) * (1 - u) + _hash(ix + 1, iy) * u
    high = _hash(ix, iy + 1) * (1 - u) + _hash(ix + 1, iy + 1) * u
    return low * (1 - v) + high * v


@njit(cache=True, nogil=True, fastmath=True)
def _texture(material: int, x: float, y: float, z: float) -> float:
    """Factor on the albedo."""
    if material == _CONCRETE or material == _WET:  # noqa: SIM109 (numba is faster this way)
        joint = abs(x / 5.0 - round(x / 5.0)) < 0.003 or abs(y / 5.0 - round(y / 5.0)) < 0.003
        tone = 0.84 + 0.22 * _value_noise(x * 0.9, y * 0.9) + 0.10 * _value_noise(x * 13, y * 13)
        return tone * (0.7 if joint else 1.0)
    if material == _WOOD:
        return 0.82 + 0.36 * _value_noise(x * 9 + y * 2, y * 9 + z * 40)
    if material == _CARD:
        return 0.88 + 0.2 * _value_noise(x * 5 + z * 3, y * 5 + z * 7)
    if material == _WALL:
        seam = abs((x + y) / 2.5 - round((x + y) / 2.5)) < 0.006
        return (0.8 if seam else 1.0) * (0.75 if z < 1.2 else 1.0)
    return 1.0


@njit(cache=True, nogil=True, fastmath=True)
def aim(directions, R, origin, start, rays):  # type: ignore[no-untyped-def]
    """Rays (N, 6): directions (N, 3) turned by R (3, 3), beginning `start` m along from origin (3,)."""
    for i in range(directions.shape[0]):
        for k in range(3):
            d = R[k, 0] * directions[i, 0] + R[k, 1] * directions[i, 1] + R[k, 2] * directions[i, 2]
            rays[i, k], rays[i, 3 + k] = origin[k] + start * d, d


@njit(cache=True, nogil=True, fastmath=True)
def aim_moving(directions, of, R, origin, start, rays):  # type: ignore[no-untyped-def]
    """As `aim`, from a sensor that moves: ray i by R[of[i]] (K, 3, 3) and origin[of[i]] (K, 3)."""
    for i in range(directions.shape[0]):
        j = of[i]
        for k in range(3):
            d = R[j, k, 0] * directions[i, 0] + R[j, k, 1] * directions[i, 1] + R[j, k, 2] * directions[i, 2]
            rays[i, k], rays[i, 3 + k] = origin[j, k] + start * d, d


@njit(cache=True, nogil=True, fastmath=True)
def towards_lamp(rays, t, triangle, normal, light, shadow, index):  # type: ignore[no-untyped-def]
    """Rays to the lamp from the hits that face it, into shadow (N, 6), and which hits those are, into index (N,);
    returns their number."""
    count = 0
    for i in range(rays.shape[0]):
        if triangle[i] == MISS:
            continue
        facing = normal[i, 0] * rays[i, 3] + normal[i, 1] * rays[i, 4] + normal[i, 2] * rays[i, 5]
        lamp = normal[i, 0] * light[0] + normal[i, 1] * light[1] + normal[i, 2] * light[2]
        if facing * lamp >= 0.0:  # eye and lamp on different sides
            continue
        back = t[i] - 0.004
        for k in range(3):
            shadow[count, k], shadow[count, 3 + k] = rays[i, k] + back * rays[i, 3 + k], light[k]
        index[count] = i
        count += 1
    return count


@njit(cache=True, nogil=True, fastmath=True)
def shade(rays, t, triangle, normal, lit, colour, material, table, light, out):  # type: ignore[no-untyped-def]
    """Linear radiance (N, 3) of N rays into `out`. lit: (N,) 1 where the lamp reaches the hit.
    light: (10,) lamp direction (3), lamp strength (3), ambient (3), phase of the ceiling lamps."""
    for i in range(rays.shape[0]):
        dx, dy, dz = rays[i, 3], rays[i, 4], rays[i, 5]
        if triangle[i] == MISS:
            glow = 0.05
            if dz > 0.02:
                s = (CEILING_Z_M - rays[i, 2]) / dz
                cx, cy = rays[i, 0] + s * dx, rays[i, 1] + s * dy
                u, v = cx / 4.0 + light[9], cy / 6.0
                u, v = u - math.floor(u), v - math.floor(v)
                glow = 0.16 + (2.5 if u < 0.1 and v < 0.4 else 0.0) - (0.08 if v > 0.93 else 0.0)
                glow *= math.exp(-s / 60.0)
            for k in range(3):
                out[i, k] = glow * (light[3 + k] + light[6 + k])
            continue
        tri = triangle[i]
        m = material[tri]
        x, y, z = rays[i, 0] + t[i] * dx, rays[i, 1] + t[i] * dy, rays[i, 2] + t[i] * dz
        if m == _LAMP:
            for k in range(3):
                out[i, k] = 1.3 * colour[tri, k]
            continue
        nx, ny, nz = normal[i, 0], normal[i, 1], normal[i, 2]
        facing = -(nx * dx + ny * dy + nz * dz)
        if facing < 0:
            nx, ny, nz, facing = -nx, -ny, -nz, -facing
        cos_l = max(0.0, nx * light[0] + ny * light[1] + nz * light[2]) * lit[i]
        sky = 0.55 + 0.45 * nz
        if z < 0.3 and m != _CONCRETE and m != _WET:
            sky *= 0.75 + 0.25 * z / 0.3
        gloss = table[m, 2]
        spec = 0.0
        if gloss > 0.0:
            hx, hy, hz = light[0] - dx, light[1] - dy, light[2] - dz
            cos_h = (nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz)
            c2 = cos_h * cos_h
            c8 = c2 * c2 * c2 * c2
            spec = gloss * lit[i] * c8 * c8 * c8 if cos_h > 0 else 0.0
        tone = _texture(m, x, y, z)
        for k in range(3):
            albedo = colour[tri, k] * tone
            out[i, k] = albedo * (light[6 + k] * sky + light[3 + k] * cos_l) + spec * light[3 + k]


@njit(cache=True, nogil=True, fastmath=True)
def mirror_wet(rays, index, mirrored, out):  # type: ignore[no-untyped-def]
    """Blends mirrored radiance into wet pixels (Schlick's Fresnel, water). index: (M,) pixels."""
    for j in range(index.shape[0]):
        i = index[j]
        fresnel = 0.06 + 0.94 * (1.0 - abs(rays[i, 5])) ** 4
        for k in range(3):
            out[i, k] = (1 - fresnel) * out[i, k] + fresnel * mirrored[j, k]


@njit(cache=True, nogil=True, fastmath=True)
def develop(radiance, gain, noise, read_noise, curve, vignette, image):  # type: ignore[no-untyped-def]
    """Radiance (N, 3) to 8-bit sRGB-like image (N, 3): exposure and white balance `gain` (3,), vignette
    (N,), shot and read noise (noise: (N, 3) unit normals), tone curve (4096,)."""
    for i in range(radiance.shape[0]):
        for k in range(3):
            value = radiance[i, k] * gain[k] * vignette[i]
            value += noise[i, k] * (read_noise + 0.02 * math.sqrt(max(value, 0.0)))
            j = int(value * 4095.0 + 0.5)
            image[i, k] = curve[min(max(j, 0), 4095)]


@njit(cache=True, nogil=True, fastmath=True)
def lidar_return(rays, t, triangle, normal, material, reflect, table, normals, uniforms,  # type: ignore[no-untyped-def]
                 range_noise, max_range, scale, ranges, intensity):  # fmt: skip
    """Measured range (m; 0 = no return) and intensity in [0, 1] of N rays.

    Dropouts grow with grazing incidence, dark materials and distance. normals: (N, 2), uniforms: (N,)."""
    for i in range(t.shape[0]):
        ranges[i], intensity[i] = 0.0, 0.0
        if triangle[i] == MISS or t[i] > max_range:
            continue
        m = material[triangle[i]]
        cos_i = abs(normal[i, 0] * rays[i, 3] + normal[i, 1] * rays[i, 4] + normal[i, 2] * rays[i, 5])
        far = t[i] / max_range
        graze = max(0.0, 1.0 - cos_i / 0.12)
        lost = table[m, 1] * (0.4 + 0.6 * (1.0 - cos_i)) + 0.5 * graze * far + 0.10 * far * far
        if uniforms[i] < lost:
            continue
        value = table[m, 0] * reflect[triangle[i]] * (0.25 + 0.75 * cos_i) * (1.0 - 0.3 * far) * scale
        intensity[i] = min(max(value * (1.0 + 0.12 * normals[i, 1]), 0.0), 1.0)
        ranges[i] = max(0.0, t[i] + range_noise * normals[i, 0] * (1.0 + 0.5 * (1.0 - cos_i)))
