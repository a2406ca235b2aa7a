"""What a real lidar makes of a scene beyond its range noise: pulses that meet two surfaces, and what hangs in the air."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aislewise.types import F32
from sim.scene import MISS, Hits, Scene
from sim.shading import TABLE

PULSE_M = 0.45
"""Surfaces nearer together than this blur into one return: half the length of a 3 ns pulse. The range then lies
between them (mixed pixels)."""
EDGE_M, EDGE_SHARE = 0.12, 0.015
"""A pulse is looked at closely where its neighbours' ranges differ by so much, plus that share of the range."""
SAMPLES = 5
"""Rays by which such a pulse is looked at: its middle, and four half-way out to its rim."""
RIM = 0.7
SEEN_M = 5.0
"""At this distance a third of the drops or grains that a pulse meets still answer: they are small, and what they send
back falls faster than a surface's."""


def split_pulses(scene: Scene, rays: F32, hits: Hits, columns: int, divergence_rad: float, returns: str,
                 max_range_m: float) -> tuple[Hits, NDArray[np.intp]]:  # fmt: skip
    """Hits as a lidar that reports `returns` has them, and the ray of each: with "dual" there are more than rays.

    A pulse is a cone. Where it straddles an edge its energy comes back in parts, by area, reflectivity and 1/r^2;
    "strongest" and "last" choose one, "dual" gives both (VLP-16 user manual, "Laser return modes"). Only pulses beside
    a jump in range along the turn are looked at: beams lie much further apart than they are wide."""
    index = np.empty(len(rays), np.intp)
    index = index[: edges(hits.t, columns, max_range_m, index)]
    rim = np.empty(((SAMPLES - 1) * len(index), 6), np.float32)
    spread(rays, index, np.float32(RIM * divergence_rad / 2), rim)
    around = scene.cast(rim)
    first = Hits(hits.t.copy(), hits.triangle.copy(), hits.normal.copy())
    second = Hits(np.empty(len(index), np.float32), np.full(len(index), MISS), np.empty((len(index), 3), np.float32))
    choose(
        rays, index, around.t, around.triangle, around.normal, scene.material, scene.reflect, TABLE, max_range_m,
        returns == "last", first.t, first.triangle, first.normal, second.t, second.triangle, second.normal,
    )  # fmt: skip
    every = np.arange(len(rays))
    if returns != "dual":
        return first, every
    more = second.triangle != MISS
    both = Hits(
        np.concatenate([first.t, second.t[more]]),
        np.concatenate([first.triangle, second.triangle[more]]),
        np.concatenate([first.normal, second.normal[more]]),
    )
    return both, np.concatenate([every, index[more]])


@njit(cache=True, nogil=True)
def edges(t, columns, max_range, index):  # type: ignore[no-untyped-def]
    """Rays (beam by beam, `columns` each) beside a jump in range, into index; returns their number."""
    count = 0
    for i in range(t.shape[0]):
        row = i - i % columns
        here = min(t[i], max_range)
        for side in (1, columns - 1):
            there = min(t[row + (i + side) % columns], max_range)
            if abs(here - there) > EDGE_M + EDGE_SHARE * min(here, there):
                index[count] = i
                count += 1
                break
    return count


@njit(cache=True, nogil=True, fastmath=True)
def spread(rays, index, half_angle, out):  # type: ignore[no-untyped-def]
    """Four rays round each of rays[index], half_angle off it: right, left, up, down; into out (4 * len(index), 6)."""
    for j in range(index.shape[0]):
        i = index[j]
        dx, dy, dz = rays[i, 3], rays[i, 4], rays[i, 5]
        flat = max(np.sqrt(dx * dx + dy * dy), 1e-6)
        rx, ry = dy / flat, -dx / flat
        ux, uy, uz = -dz * dx / flat, -dz * dy / flat, flat
        for k in range(4):
            a = half_angle if k == 0 else (-half_angle if k == 1 else 0.0)
            b = half_angle if k == 2 else (-half_angle if k == 3 else 0.0)
            for axis in range(3):
                out[4 * j + k, axis] = rays[i, axis]
            out[4 * j + k, 3] = dx + a * rx + b * ux
            out[4 * j + k, 4] = dy + a * ry + b * uy
            out[4 * j + k, 5] = dz + b * uz


@njit(cache=True, nogil=True)
def choose(rays, index, t, triangle, normal, material, reflect, table, max_range, last,  # type: ignore[no-untyped-def]
           first_t, first_triangle, first_normal, second_t, second_triangle, second_normal):  # fmt: skip
    """The chosen return of each pulse of `index` into first_*[index], the other into second_* (MISS: there is none).
    t, triangle, normal: of its four outer rays; the middle one's are in first_*."""
    far, tri, facing = np.empty(SAMPLES), np.empty(SAMPLES, np.uint32), np.empty((SAMPLES, 3), np.float32)
    order, mean, energy, best = np.empty(SAMPLES, np.int64), np.empty(SAMPLES), np.empty(SAMPLES), np.empty(SAMPLES, np.int64)
    for j in range(index.shape[0]):
        i = index[j]
        far[0], tri[0], facing[0] = first_t[i], first_triangle[i], first_normal[i]
        for k in range(1, SAMPLES):
            at = (SAMPLES - 1) * j + k - 1
            far[k], tri[k], facing[k] = t[at], triangle[at], normal[at]
        count = by_range(far, tri, max_range, order)
        groups = cluster(far, tri, facing, order[:count], rays[i, 3:], material, reflect, table, mean, energy, best)
        if groups == 0:
            first_triangle[i] = MISS
            continue
        strongest = int(np.argmax(energy[:groups]))
        chosen, other = groups - 1 if last else strongest, groups - 1
        if strongest == groups - 1:  # the strongest is the last: the other one is the second strongest
            other = int(np.argmax(energy[: groups - 1])) if groups > 1 else -1
        k = best[chosen]
        first_t[i], first_triangle[i], first_normal[i] = mean[chosen], tri[k], facing[k]
        if other >= 0:
            k = best[other]
            second_t[j], second_triangle[j], second_normal[j] = mean[other], tri[k], facing[k]


@njit(cache=True, nogil=True)
def by_range(far, tri, max_range, order):  # type: ignore[no-untyped-def]
    """The samples that hit something, nearest first, into order; returns their number."""
    count = 0
    for k in range(far.shape[0]):
        if tri[k] == MISS or far[k] > max_range:
            continue
        spot = count
        while spot > 0 and far[order[spot - 1]] > far[k]:
            order[spot] = order[spot - 1]
            spot -= 1
        order[spot] = k
        count += 1
    return count


@njit(cache=True, nogil=True)
def cluster(far, tri, facing, order, direction, material, reflect, table, mean, energy, best):  # type: ignore[no-untyped-def]
    """Samples that one pulse cannot tell apart are one return: its mean range, energy and strongest sample, nearest
    first; returns how many there are."""
    groups, before, top = 0, 0.0, 0.0
    for k in order:
        cos_i = abs(facing[k, 0] * direction[0] + facing[k, 1] * direction[1] + facing[k, 2] * direction[2])
        power = table[material[tri[k]], 0] * reflect[tri[k]] * (0.25 + 0.75 * cos_i) / max(far[k], 0.1) ** 2
        if groups == 0 or far[k] - before > PULSE_M:
            mean[groups], energy[groups], best[groups] = 0.0, 0.0, k
            top = 0.0
            groups += 1
        g = groups - 1
        mean[g] += (far[k] - mean[g]) * power / (energy[g] + power)
        energy[g] += power
        if power > top:
            best[g], top = k, power
        before = far[k]
    return groups


def rain_per_m(rate_mm_h: float) -> float:
    """Extinction, 1/m, of rain: 1.076 R^0.67 dB/km (ITU-R P.1814, Prediction methods for terrestrial free-space
    optical links)."""
    return 1.076 * rate_mm_h**0.67 / (10.0 / np.log(10.0) * 1000.0) if rate_mm_h > 0.0 else 0.0


@njit(cache=True, nogil=True)
def airborne(t, max_range, extinction, uniforms, ranges, intensity, false):  # type: ignore[no-untyped-def]
    """Drops and grains: a pulse meets the first of them after an exponential distance (Beer and Lambert). If that is
    before the surface it may answer instead of it; else the surface's answer is weakened on both ways, and lost when
    it falls below 1%. As in Goodin et al., "Predicting the influence of rain on LIDAR in ADAS", Electronics 2019, with
    SEEN_M for the device. uniforms: (N, 3); false: (N,) bool, where the point is none of a surface."""
    for i in range(t.shape[0]):
        false[i] = False
        met = -np.log(max(1.0 - uniforms[i, 0], 1e-12)) / extinction
        if met < min(t[i], max_range) and uniforms[i, 1] < np.exp(-met / SEEN_M):
            ranges[i], intensity[i], false[i] = met, 0.01 + 0.07 * uniforms[i, 2], True
        elif ranges[i] > 0.0:
            intensity[i] *= np.exp(-2.0 * extinction * ranges[i])
            if intensity[i] < 0.01:
                ranges[i] = 0.0
