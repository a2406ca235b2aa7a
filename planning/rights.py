"""Where each robot may drive: cells that a site map keeps for some skills, and lanes too narrow for it, are walls to it.

Robots with the same rights are a class, and drive on the same floor: the cells that they may enter. Where a site map says
nothing of rights, all robots are one class and its floor is the whole site."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from aislewise.lanes import Lanes
from aislewise.sitemap import SiteMap
from aislewise.types import U8
from planning.distance import I32, UNREACHABLE, Bool, DistanceTables, connectivity
from planning.jit import kernel
from planning.lane_graph import neighbours_of, sources_of

NO_SKILLS: frozenset[str] = frozenset()


class Floors:
    """The floors of K classes on one site, numbered from 0.

    A robot that stands outside its floor, put there by hand, may go out of it by a shortest way: from such a cell moves
    lead to the floor or to cells that are nearer to it, and none leads the other way."""

    def __init__(self, free: Bool, may: Collection[Bool] = ()) -> None:
        """free: (H, W) bool; may: of each class, (H, W) bool cells that it may enter, none = one class, all of them."""
        self._free = free
        self.may: tuple[Bool, ...] = tuple(free & mine for mine in may) or (free,)
        self.apart: bool = len(self.may) > 1 or bool((self.may[0] != free).any())
        """Is there any cell that some class may not enter?"""
        self._parts = [connectivity(mine).label for mine in self.may] if self.apart else []

    def __len__(self) -> int:
        return len(self.may)

    def neighbours(self, free: Bool, leave: U8 | None) -> I32:
        """(K * H * W, 4) int32: planning.lane_graph.neighbours_of on each floor, one after the other. free: cells that are
        open now; leave: (H, W) directions in which cells may be left, None = any."""
        nbr = neighbours_of(free, leave)
        if not self.apart:
            return nbr
        away = self._away(free, leave)
        return np.concatenate([_kept(nbr, _leads_on(steps[nbr], steps[:, None])) for steps in away])

    def sources(self, free: Bool, leave: U8 | None) -> I32:
        """(K * H * W, 4) int32: planning.lane_graph.sources_of on each floor; arguments as of `neighbours`."""
        sources = sources_of(free, leave)
        if not self.apart:
            return sources
        away = self._away(free, leave)
        return np.concatenate([_kept(sources, _leads_on(steps[:, None], steps[sources])) for steps in away])

    def walled(self) -> I32:
        """(K * H * W, 4) int32: neighbours on each floor alone, with no way out of where a class may not be."""
        return np.concatenate([neighbours_of(mine) for mine in self.may]) if self.apart else neighbours_of(self._free)

    def stranded(self, free: Bool, leave: U8 | None) -> Bool:
        """(K, H * W) bool: free cells from which a class gets nowhere that it may be."""
        if not self.apart:
            return np.zeros((1, free.size), np.bool_)
        shut = [(steps >= UNREACHABLE) & free.ravel() for steps in self._away(free, leave)]
        return np.array(shut, np.bool_)

    def inside(self, floor: int, cell: int) -> int:
        """Where a robot that leaves `cell` comes onto its floor; the cell itself if it is there, or cannot get there."""
        if not self.apart or self.may[floor].flat[cell]:
            return cell
        steps = self._away(self._free, None)[floor]
        nbr = neighbours_of(self._free)
        at = cell
        while 0 < steps[at] < UNREACHABLE:
            at = min((c for c in nbr[at].tolist() if c >= 0), key=lambda c: int(steps[c]))
        return at if steps[at] == 0 else cell

    def part(self, floor: int) -> I32:
        """(H * W,) int32: numbers of the connected parts of a floor, -1 outside it; only if the floors are `apart`."""
        return self._parts[floor]

    def joined(self, floor: int, cell: int, other: int) -> bool:
        """May a robot of this class be in both, and is there a way between them while nothing stands on it?"""
        if not self.apart:
            return True
        part = self._parts[floor]
        return bool(part[cell] >= 0 and part[cell] == part[other])

    def _away(self, free: Bool, leave: U8 | None) -> list[I32]:
        """Of each class, (H * W,) steps to its floor; UNREACHABLE where there is no way."""
        sources = sources_of(free, leave)
        out = []
        for mine in self.may:
            steps: I32 = np.empty(free.size, np.int32)
            _steps_to(sources, (mine & free).ravel(), steps, np.empty(free.size, np.int32))
            out.append(steps)
        return out


class Rights:
    """Which class each robot belongs to. Robots that nobody has named have no skills and are one cell wide."""

    def __init__(self, site: SiteMap, skills: Mapping[str, Collection[str]], widths: Mapping[str, int]) -> None:
        """skills: robot id -> names; widths: robot id -> cells, 1 if not said."""
        lanes = site.lanes or Lanes()
        masks = [_open(site.free, lanes, NO_SKILLS, 1)]
        self._floor_of: dict[str, int] = {}
        said = lanes.only is not None or lanes.width_cells is not None
        for robot in sorted({*skills, *widths}) if said else ():
            mask = _open(site.free, lanes, skills.get(robot, NO_SKILLS), widths.get(robot, 1))
            number = next((k for k, known in enumerate(masks) if np.array_equal(known, mask)), len(masks))
            masks += [mask] if number == len(masks) else []
            self._floor_of[robot] = number
        self.floors = Floors(site.free, masks)

    def floor(self, robot: str) -> int:
        return self._floor_of.get(robot, 0)

    def inside(self, robot: str, cell: int) -> int:
        """As Floors.inside."""
        return self.floors.inside(self.floor(robot), cell)

    def barred(self, robot: str) -> Bool:
        """(H * W,) bool: cells that it may not enter."""
        return ~self.floors.may[self.floor(robot)].ravel()

    def same(self, other: Rights) -> bool:
        """Do both give the same rights to the same robots?"""
        robots = {*self._floor_of, *other._floor_of, ""}
        return all(np.array_equal(self.barred(r), other.barred(r)) for r in robots)


class OwnSteps:
    """Distance tables as robots of several classes have them: what is read at a robot's cell is its own distance."""

    def __init__(self, tables: DistanceTables, floor_at: Mapping[int, int]) -> None:
        """floor_at: cell of each robot -> its floor."""
        self._tables = tables
        self._at: dict[int, NDArray[np.int64]] = {
            floor: np.array([c for c, f in floor_at.items() if f == floor], np.int64) for floor in {*floor_at.values()}
        }

    @staticmethod
    def of(tables: DistanceTables, floor_at: Mapping[int, int]) -> DistanceTables:
        """The tables themselves while there is one class."""
        return cast(DistanceTables, OwnSteps(tables, floor_at)) if any(floor_at.values()) else tables

    def to(self, goal: int) -> I32:
        """(H * W,) int32 distances to `goal`, of use at the cells of robots."""
        out = self._tables.to(goal).copy()
        for floor, cells in self._at.items():
            out[cells] = self._tables.to(goal, floor)[cells]
        return out


def _open(free: Bool, lanes: Lanes, skills: Collection[str], width: int) -> Bool:
    """(H, W) bool: free cells that a robot may enter. Its width keeps it out of narrow lanes; as a body it is in one cell."""
    good, has = free, frozenset(skills)
    if lanes.only is not None:
        good = good & lanes.only.where(lambda names: bool(names & has))
    if lanes.width_cells is not None:
        good = good & lanes.width_cells.where(lambda most: most >= width)
    return good


def _leads_on(there: I32, here: I32) -> Bool:
    """May one go, by steps to the floor, from `here` to `there`? Onto the floor, or nearer to it."""
    good: Bool = (there == 0) | (there < here)
    return good


def _kept(table: I32, good: Bool) -> I32:
    """(H * W, 4) of a table of cells: the `good` ones, packed left and padded with -1, in the same order."""
    left = np.where(good & (table >= 0), table, -1)
    order = np.argsort(left < 0, axis=1, kind="stable")
    return np.ascontiguousarray(np.take_along_axis(left, order, axis=1))


@kernel
def _steps_to(sources: I32, ends: Bool, steps: I32, queue: I32) -> None:
    """Steps from every cell to the nearest of `ends` (cells,) into `steps`. sources: (cells, 4) from where each is entered;
    queue: (cells,) scratch."""
    steps[:] = UNREACHABLE
    tail = 0
    for cell in range(len(ends)):
        if ends[cell]:
            steps[cell] = 0
            queue[tail] = cell
            tail += 1
    head = 0
    while head < tail:
        cell = queue[head]
        head += 1
        for k in range(4):
            other = sources[cell, k]
            if other < 0:
                break
            if steps[other] == UNREACHABLE:
                steps[other] = steps[cell] + 1
                queue[tail] = other
                tail += 1
