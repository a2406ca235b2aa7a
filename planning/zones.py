"""A site in zones: each planned by a process of its own, joined by gates that robots cross one way.

`cut` splits the free cells into connected zones of about equal size; `ZoneMap.of` takes any split. A gate is a pair of
neighbouring cells on either side of a border with one direction, so that nobody ever meets anybody at a border:
planning.zones_gates chooses them. planning.zones_run plays a problem over the zones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import label as components
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from aislewise.errors import InputError
from planning.distance import as_grid
from planning.zones_gates import Gates, choose_gates

I32 = NDArray[np.int32]
Bool = NDArray[np.bool_]

MAX_ZONES = 256
SLACK = 0.08
"""Of a part's free cells: how far from the even split a cut may lie where more lanes cross it."""


@dataclass(frozen=True, slots=True)
class ZoneMap:
    """free (H, W); label (H, W) int32: zone of each free cell, -1 elsewhere; zones: how many; gates: between them."""

    free: Bool
    label: I32
    zones: int
    gates: Gates

    @classmethod
    def of(cls, free: ArrayLike, label: ArrayLike) -> ZoneMap:
        """InputError when a zone is empty, in pieces, or cannot be left or come to through gates."""
        grid = as_grid(free)
        marks = np.ascontiguousarray(label, np.int32)
        if marks.shape != grid.shape:
            raise InputError("zones", f"shape {marks.shape}", f"{grid.shape}, the floor's")
        marks = np.where(grid, marks, -1).astype(np.int32)
        if (marks[grid] < 0).any():
            raise InputError("zones", f"free cell {int(np.flatnonzero((grid & (marks < 0)).ravel())[0])} is in no zone")
        zones = int(marks.max(initial=-1)) + 1
        if not 1 <= zones <= MAX_ZONES:
            raise InputError("zones", f"{zones}", f"1 to {MAX_ZONES}")
        for zone in range(zones):
            pieces = int(components(marks == zone)[1])
            if pieces != 1:
                raise InputError("zones", f"zone {zone} is in {pieces} pieces", "1")
        gates = choose_gates(grid, marks, zones)
        _check_ways(gates, zones)
        return cls(grid, marks, zones, gates)

    def cells_of(self, zone: int) -> int:
        return int((self.label == zone).sum())


def _check_ways(gates: Gates, zones: int) -> None:
    """From every zone to every other one."""
    if zones == 1:
        return
    links = coo_array((np.ones(len(gates), np.int8), (gates.from_zone, gates.to_zone)), shape=(zones, zones))
    parts, part = connected_components(links, directed=True, connection="strong")
    if parts > 1:
        alone = int(np.argmin(np.bincount(part)[part]))
        raise InputError("zones", f"no gates lead from zone {alone} to the others and back", "borders two cells wide")


def cut(free: ArrayLike, zones: int) -> ZoneMap:
    """`zones` connected zones of about equal size: the floor is halved across its longer side, then its parts.

    InputError when the free cells are not connected, are too few, or a border is too narrow for gates both ways."""
    grid = as_grid(free)
    if not 1 <= zones <= min(MAX_ZONES, max(1, int(grid.sum()) // 4)):
        raise InputError("zones", f"{zones}", f"1 to {MAX_ZONES}, four free cells each")
    pieces = int(components(grid)[1])
    if pieces != 1:
        raise InputError("free", f"the floor is in {pieces} pieces", "1")
    label = np.full(grid.shape, -1, np.int32)
    parts = [(grid, 0, zones)]
    while parts:
        part, first, many = parts.pop()
        if many == 1:
            label[part] = first
            continue
        low, high = _halve(part, many // 2 / many)
        parts += [(low, first, many // 2), (high, first + many // 2, many - many // 2)]
    return ZoneMap.of(grid, label)


def _halve(part: Bool, share: float) -> tuple[Bool, Bool]:
    """Two connected parts, the first with about `share` of the cells: a straight cut near there that most lanes cross."""
    rows, cols = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    across = len(cols) and np.ptp(cols) >= np.ptp(rows)
    turned = part if across else part.T
    before = np.cumsum(turned.sum(axis=0)) / turned.sum()
    lanes = np.append((turned[:, 1:] & turned[:, :-1]).sum(axis=0), 0)
    off = np.abs(before - share)
    near = np.flatnonzero((off <= max(SLACK * min(share, 1 - share) * 2, float(off.min()))) & (before < 1))
    where = near[np.lexsort((off[near], -lanes[near]))[0]]
    low = turned.copy()
    low[:, where + 1 :] = False
    low, high = _connect(turned, low)
    return (low, high) if across else (low.T.copy(), high.T.copy())


def _connect(part: Bool, low: Bool) -> tuple[Bool, Bool]:
    """What the cut strands on either side goes to the other one, so that both are connected as the whole is."""
    core = _largest(low)
    high = _largest(part & ~core)
    return part & ~high, high


def _largest(mask: Bool) -> Bool:
    pieces, many = components(mask)
    if many <= 1:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    largest: Bool = pieces == int(np.argmax(sizes))
    return largest
