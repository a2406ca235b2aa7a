"""The site as a directed graph of cells: where a robot may go from each cell, from where it may come, and what that costs.

With lanes a move may be legal one way only. Who plans moves uses `neighbours_of`; who computes distances to a goal walks
backwards and needs `sources_of`. Both have the layout of planning.distance.neighbours and equal it without lanes."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from aislewise.errors import InputError
from aislewise.lanes import ANY_WAY, STEPS, Lanes
from aislewise.sitemap import SiteMap
from aislewise.types import F64, U8
from planning.distance import I32, MAX_COST, Bool, as_grid

OPPOSITE = (2, 3, 0, 1)
"""Of each direction of STEPS, the number of the opposite one."""


def neighbours_of(free: Bool, leave: U8 | None = None) -> I32:
    """(H * W, 4) int32: the free cells that each free cell may be left to, packed left and padded with -1, in the order
    east, north, west, south. leave: (H, W) sums of the bits of aislewise.lanes, None = any way."""
    free, ways = _grids(free, leave)
    return _packed(free, np.array([(ways >> k) & 1 for k in range(4)], np.bool_))


def sources_of(free: Bool, leave: U8 | None = None) -> I32:
    """(H * W, 4) int32: the free cells from which each free cell may be entered; layout as in neighbours_of."""
    free, ways = _grids(free, leave)
    allowed = np.zeros((4, *free.shape), np.bool_)
    for k, step in enumerate(STEPS):
        here, there = _shifted(free.shape, step)
        allowed[k][here] = (ways[there] >> OPPOSITE[k]) & 1
    return _packed(free, allowed)


def both_ways(nbr: I32, sources: I32) -> I32:
    """(cells, 4) int32: the cells joined to each cell in at least one direction, packed left and padded with -1."""
    strange = (sources[:, :, None] != nbr[:, None, :]).all(axis=2) & (sources >= 0)
    table = np.concatenate([nbr, np.where(strange, sources, -1)], axis=1)
    order = np.argsort(table < 0, axis=1, kind="stable")[:, :4]
    return np.ascontiguousarray(np.take_along_axis(table, order, axis=1))


def crossing_costs(limits: F64, speed_mps: float, unit: int = 1) -> I32:
    """(H * W,) int32, 1 to MAX_COST: what crossing each cell costs a robot of `speed_mps`, in steps times `unit`.

    limits: (H, W) m/s, inf = none (SiteMap.speed_limits). A cell in which it drives half as fast costs two units; a
    larger unit rounds less and leaves less room below MAX_COST."""
    if not 0.0 < speed_mps < np.inf:
        raise InputError("speed_mps", f"{speed_mps}", "above 0")
    if not 1 <= unit <= 64:
        raise InputError("unit", f"{unit}", "1 to 64")
    if not (limits > 0).all():
        raise InputError("limits", f"{float(limits.min())}", "above 0 m/s")
    steps = np.maximum(1.0, speed_mps / limits.ravel())
    costs: I32 = np.clip(np.rint(unit * steps), 1, MAX_COST).astype(np.int32)
    return costs


def open_to(site: SiteMap, skills: Collection[str] | None = None, width_cells: int = 1) -> Bool:
    """(H, W) bool: where a robot with those skills (None: with all that there are) may be that is width_cells long and
    wide.

    A robot wider than a cell covers width_cells x width_cells of them and is said to be in the one that has
    (width_cells - 1) // 2 of them on its west and on its south: the middle one if their number is odd (the reference
    point of Li et al., "Multi-agent path finding for large agents", AAAI 2019). All that it covers must be free, at
    least width_cells wide, and open to one of its skills."""
    if not 1 <= width_cells <= min(site.height, site.width):
        raise InputError("width_cells", f"{width_cells}", f"1 to {min(site.height, site.width)}")
    good = site.free
    lanes = site.lanes or Lanes()
    if lanes.only is not None and skills is not None:
        has = frozenset(skills)
        good &= lanes.only.where(lambda names: bool(names & has))
    if lanes.width_cells is not None:
        good &= lanes.width_cells.where(lambda most: most >= width_cells)
    return _covering(good, width_cells)


def leave_of(site: SiteMap) -> U8 | None:
    """(H, W) directions in which cells may be left; None where there are no one-way lanes."""
    leave = site.lanes.leave if site.lanes is not None else None
    return leave if leave is not None and (leave != ANY_WAY).any() else None


def _covering(good: Bool, side: int) -> Bool:
    """Where a square of side x side cells fits on good ones, marked at its reference cell."""
    if side == 1:
        return good
    bad = np.zeros((good.shape[0] + 1, good.shape[1] + 1), np.int32)
    bad[1:, 1:] = np.cumsum(np.cumsum(~good, axis=0, dtype=np.int32), axis=1)
    fits = (bad[side:, side:] - bad[:-side, side:] - bad[side:, :-side] + bad[:-side, :-side]) == 0
    out = np.zeros_like(good)
    south = (side - 1) // 2
    out[south : south + fits.shape[0], south : south + fits.shape[1]] = fits
    return out


def _grids(free: Bool, leave: U8 | None) -> tuple[Bool, U8]:
    free = as_grid(free)
    if leave is None:
        return free, np.full(free.shape, ANY_WAY, np.uint8)
    if leave.shape != free.shape:
        raise InputError("leave", f"shape {leave.shape}", free.shape)
    return free, leave


def _shifted(shape: tuple[int, ...], step: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Indices of all cells that have a neighbour at `step`, and of those neighbours."""
    here = tuple(slice(max(0, -d), n - max(0, d)) for d, n in zip(step, shape))
    there = tuple(slice(max(0, d), n - max(0, -d)) for d, n in zip(step, shape))
    return (here[0], here[1]), (there[0], there[1])


def _packed(free: Bool, allowed: Bool) -> I32:
    """allowed: (4, H, W) bool, may one pass between a cell and its neighbour in each direction?"""
    cells = np.arange(free.size, dtype=np.int32).reshape(free.shape)
    table = np.full((4, *free.shape), -1, np.int32)
    for k, step in enumerate(STEPS):
        here, there = _shifted(free.shape, step)
        table[k][here] = np.where(free[here] & free[there] & allowed[k][here], cells[there], -1)
    flat = table.reshape(4, -1).T
    order = np.argsort(flat < 0, axis=1, kind="stable")
    return np.ascontiguousarray(np.take_along_axis(flat, order, axis=1))
