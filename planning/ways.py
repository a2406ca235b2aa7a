"""The ways of a site as they are now: which way each cell may be left, what crossing it costs, and what zones shut.

A large fleet drives one-way through aisles in which two robots cannot pass, neighbouring aisles in opposite directions,
as people lay out warehouses for robots: two that meet head-on in an aisle cost everybody behind them minutes, and a
queue that has to back out of one may never end. Lanes of the site map come first; the planner's own give way to
whatever stands in an aisle, and where they would cut anyone off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from aislewise.lanes import ANY_WAY, STEPS, Zone
from aislewise.sitemap import SiteMap
from aislewise.types import U8
from planning.distance import I32, Bool
from planning.guidance import lane_signs
from planning.lane_graph import crossing_costs, leave_of
from planning.rights import Floors

I64 = NDArray[np.int64]
SHORTEST = 24
"""Cells in a straight line from which an aisle is given a direction: in a short one robots rarely meet."""
PLACE_COST = 8
"""Steps of detour worth taking round a station, charger or parking place: somebody works or rests there."""
PLACES = ("station", "charger", "parking")


@dataclass(frozen=True)
class Aisles:
    """Arcs that a large fleet does not drive. Each is number k of STEPS from `cell`; `stretch` numbers the pieces of aisle
    between two junctions that they belong to."""

    cell: I64
    k: I64
    stretch: I64

    def leave(self, base: U8, open_: Bool) -> U8:
        """(H, W) directions: those of `base` without the arcs whose stretch is not in open_ (stretches,)."""
        shut = ~open_[self.stretch]
        out = base.copy().ravel()
        np.bitwise_and.at(out, self.cell[shut], np.bitwise_not(np.left_shift(1, self.k[shut])).astype(np.uint8))
        return out.reshape(base.shape)


class Ways:
    """Directions and costs for one site. Remembers the last answer, as little changes from plan to plan."""

    def __init__(self, site: SiteMap, speed_mps: float, floors: Floors | None = None) -> None:
        """floors: where robots of each class may drive, None = all everywhere."""
        self._site, self._speed_mps = site, speed_mps
        self._floors = Floors(site.free) if floors is None else floors
        self._said = leave_of(site)
        self._zones: dict[Zone, NDArray[np.int64]] = {}
        self._limits: tuple[tuple[Zone, ...], I64, NDArray[np.float64] | None] | None = None
        self._aisles: Aisles | None = None
        self._last: tuple[Bool, U8] | None = None
        self._places = np.array(sorted(p.cell for kind in PLACES for p in site.of_kind(kind)), np.int64)
        self.roomy: Bool = _roomy(site.free).ravel()
        """(H * W,) bool: where two robots can pass."""

    def kept_out(self, now_s: float) -> dict[str, NDArray[np.int64]]:
        """Reason -> cells of the zones that are shut now."""
        out = {}
        for zone in self._site.zones:
            if zone.kind == "keep_out" and zone.holds(now_s):
                out[f"zone {zone.id}" + (f": {zone.reason}" if zone.reason else "")] = self._cells(zone)
        return out

    def costs(self, now_s: float, large: bool) -> I64:
        """(H * W,) what crossing each cell costs, in steps, by the speed that is allowed there; in a large fleet places
        are driven round."""
        costs = self._limits_now(now_s)[1].copy()
        if large:
            costs[self._places] = np.maximum(costs[self._places], PLACE_COST)
        return costs

    def speed_limits(self, now_s: float) -> NDArray[np.float64] | None:
        """(H * W,) m/s, inf where there is none; None if there is none anywhere."""
        return self._limits_now(now_s)[2]

    def _limits_now(self, now_s: float) -> tuple[tuple[Zone, ...], I64, NDArray[np.float64] | None]:
        holding = tuple(z for z in self._site.zones if z.kind == "slow" and z.holds(now_s))
        if self._limits is None or self._limits[0] != holding:
            limits = self._site.speed_limits(now_s)
            costs = crossing_costs(limits, self._speed_mps).astype(np.int64)
            self._limits = holding, costs, limits.ravel() if np.isfinite(limits).any() else None
        return self._limits

    def leave(self, stuck: Bool, large: bool) -> U8 | None:
        """(H, W) directions in which cells may be left, None = any. stuck: (H * W,) cells where something stands. A stretch
        of aisle beside one of them is driven both ways: who is behind must be able to come back."""
        if not large:
            return self._said
        if self._last is None or not np.array_equal(self._last[0], stuck):
            base = np.full(self._site.cells.shape, ANY_WAY, np.uint8) if self._said is None else self._said
            if self._aisles is None:
                self._aisles = one_way(self._site.free)
            free = self._site.free & ~stuck.reshape(base.shape)
            open_ = _joining(free, base, self._aisles, self._floors)
            cells = np.flatnonzero(stuck)
            beside = np.concatenate([cells] + [cells + dr * self._site.width + dc for dr, dc in STEPS])
            open_[self._aisles.stretch[np.isin(self._aisles.cell, beside)]] = True
            self._last = stuck.copy(), self._aisles.leave(base, open_)
        return self._last[1]

    def _cells(self, zone: Zone) -> NDArray[np.int64]:
        if zone not in self._zones:
            self._zones[zone] = np.flatnonzero(self._site.zone_cells(zone))
        return self._zones[zone]


def one_way(free: Bool, shortest: int = SHORTEST) -> Aisles:
    """The arcs against the direction of each aisle of at least `shortest` cells in which two robots cannot pass."""
    narrow = free & ~_roomy(free)
    number, cells, ks, stretches = 0, [], [], []
    for axis, (along, back) in enumerate(((0, 2), (1, 3))):  # east and west along rows, north and south along columns
        grid, tight = (free, narrow) if axis == 0 else (free.T, narrow.T)
        sign = lane_signs(np.ascontiguousarray(grid), shortest)
        place = np.arange(free.size).reshape(free.shape)
        place = place if axis == 0 else place.T
        # An arc and its opposite lie between a cell and the next of its line; a junction begins a new stretch.
        joined = grid[:, :-1] & grid[:, 1:] & (tight[:, :-1] | tight[:, 1:]) & (sign[:, :-1] != 0)
        side = np.zeros_like(grid)
        side[1:] |= grid[:-1]
        side[:-1] |= grid[1:]
        stretch = number + np.cumsum((~joined | side[:, :-1]).ravel()).reshape(joined.shape)
        number = int(stretch.max(initial=number)) + 1
        forward = joined & (sign[:, :-1] > 0)  # the way back is shut
        cells += [place[:, 1:][forward], place[:, :-1][joined & ~forward]]
        ks += [np.full(int(forward.sum()), back), np.full(int((joined & ~forward).sum()), along)]
        stretches += [stretch[forward], stretch[joined & ~forward]]
    _, dense = np.unique(np.concatenate(stretches), return_inverse=True)
    return Aisles(np.concatenate(cells).astype(np.int64), np.concatenate(ks).astype(np.int64), dense.astype(np.int64))


def _joining(free: Bool, base: U8, aisles: Aisles, floors: Floors) -> Bool:
    """(stretches,) bool: those that must be driven both ways so that whoever could get somewhere by `base` still can, each
    class on its floor, and out of where it may not be."""
    open_ = np.zeros(int(aisles.stretch.max(initial=-1)) + 1, np.bool_)
    width = free.shape[1]
    step = np.array([dr * width + dc for dr, dc in STEPS], np.int64)
    to = aisles.cell + step[aisles.k]
    before, lost = _parts(free, base, floors), floors.stranded(free, base)
    while True:
        leave = aisles.leave(base, open_)
        now = _parts(free, leave, floors)
        cut = ((before[:, aisles.cell] == before[:, to]) & (now[:, aisles.cell] != now[:, to])).any(axis=0)
        if floors.apart:
            cut |= (floors.stranded(free, leave) & ~lost)[:, aisles.cell].any(axis=0)
        cut &= ~open_[aisles.stretch]
        if not cut.any():
            return open_
        open_[aisles.stretch[cut]] = True


def _parts(free: Bool, leave: U8, floors: Floors) -> NDArray[np.int32]:
    """(K, cells) number of the strongly connected component of each cell on each floor."""
    return np.array([_strong(nbr) for nbr in np.split(floors.neighbours(free, leave), len(floors))])


def _strong(nbr: I32) -> NDArray[np.int32]:
    """(cells,) number of the strongly connected component of each cell."""
    here = np.repeat(np.arange(len(nbr)), 4)
    there = nbr.ravel()
    good = there >= 0
    arcs = coo_array((np.ones(int(good.sum()), np.int8), (here[good], there[good])), shape=(len(nbr), len(nbr)))
    labels: NDArray[np.int32] = connected_components(arcs.tocsr(), directed=True, connection="strong")[1]
    return labels


def _roomy(free: Bool) -> Bool:
    """(H, W) bool: cells of a square of 2 x 2 free ones."""
    f = np.pad(free, 1)
    square = f[:-1, :-1] & f[1:, :-1] & f[:-1, 1:] & f[1:, 1:]
    roomy: Bool = square[:-1, :-1] | square[1:, :-1] | square[:-1, 1:] | square[1:, 1:]
    return roomy
