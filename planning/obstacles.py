"""Which cells robots must not enter now, from what is seen and what is forbidden.

A cell is in the way of something when the two overlap within the inner 80 % of the cell: what merely
touches a neighbouring cell's edge leaves room for a robot on the centre line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from aislewise.clock import to_ns
from aislewise.geometry import rectangle
from aislewise.sitemap import SiteMap
from aislewise.types import F64, GridMap, KeepOut, ObjectClass, Pose2D, WorldObject, WorldState
from planning.config import PlannerConfig

Bool = NDArray[np.bool_]
INNER = 0.8  # part of a cell's width that must stay clear
OCCUPIED = 65  # nav_msgs/OccupancyGrid: nav2's threshold for "occupied"
MIN_OCCUPIED = 0.08  # of the inner area
FASTEST_MPS = 3.0  # cap on a mover's estimated speed: fresh tracks overshoot
_NEVER = -1
_MOVERS = (ObjectClass.PERSON, ObjectClass.FORKLIFT)


@dataclass(frozen=True)
class Blocked:
    """(H * W,) bool each. standing: shut for as long as it is seen: routes are planned round these.
    passing: taken by something that moves: robots wait or go round, but no order waits for it.
    forbidden: the part of `standing` that only keep-outs shut: a robot inside may drive out.
    why: cause per standing cell, for those who ask why an order waits."""

    standing: Bool
    passing: Bool
    forbidden: Bool
    why: dict[int, str]

    @staticmethod
    def nothing(size: int) -> Blocked:
        """On a site of so many cells."""
        none = np.zeros(size, np.bool_)
        return Blocked(none, none.copy(), none.copy(), {})

    @property
    def any(self) -> Bool:
        return self.standing | self.passing

    def with_wrecks(self, wrecks: Mapping[int, str]) -> Blocked:
        """The same with cells (and why) where robots stand that go nowhere."""
        if not wrecks:
            return self
        standing, cells = self.standing.copy(), list(wrecks)
        standing[cells] = True
        forbidden = self.forbidden.copy()
        forbidden[cells] = False
        return Blocked(standing, self.passing & ~standing, forbidden, self.why | dict(wrecks))


def cells_in_polygon(site: SiteMap, polygon: F64) -> NDArray[np.int64]:
    """Cells whose inner part overlaps the polygon (N, 2) in `map`: its area by a lattice of points in
    each cell, and its outline by points along it, so that thin shapes are not missed."""
    polygon = np.asarray(polygon, np.float64)
    if len(polygon) < 3 or not np.isfinite(polygon).all():
        return np.empty(0, np.int64)
    res, origin = site.resolution_m, np.array([site.x_m, site.y_m])
    low = np.maximum(np.floor((polygon.min(0) - origin) / res).astype(int), 0)
    high = np.minimum(np.floor((polygon.max(0) - origin) / res).astype(int) + 1, [site.width, site.height])
    if (high <= low).any():
        return np.empty(0, np.int64)
    cols, rows = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
    cells = (rows * site.width + cols).ravel()
    offsets = (np.linspace(-INNER / 2, INNER / 2, 5) + 0.5) * res
    dx, dy = np.meshgrid(offsets, offsets)
    corner = np.stack([cols.ravel(), rows.ravel()], 1) * res + origin
    points = corner[:, None, :] + np.stack([dx.ravel(), dy.ravel()], 1)[None]
    hit = cells[_inside(polygon, points.reshape(-1, 2)).reshape(len(cells), -1).any(1)]
    return np.union1d(hit, _cells_of_points(site, _outline(polygon, res / 10)))


def _inside(polygon: F64, points: F64) -> Bool:
    """Even-odd rule, (P,) for points (P, 2)."""
    inside = np.zeros(len(points), np.bool_)
    x, y = points[:, 0], points[:, 1]
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y) != (y1 > y)
        inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


def _outline(polygon: F64, spacing_m: float) -> F64:
    parts = []
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        steps = min(10_000, max(1, math.ceil(float(np.linalg.norm(b - a)) / spacing_m)))
        parts.append(a + np.linspace(0.0, 1.0, steps, endpoint=False)[:, None] * (b - a))
    return np.concatenate(parts)


def _cells_of_points(site: SiteMap, points: F64) -> NDArray[np.int64]:
    """Cells that hold one of the points (P, 2) in their inner part."""
    index = _inner_cells(site, points)
    return np.unique(index[index >= 0])


def _inner_cells(site: SiteMap, points: F64) -> NDArray[np.int64]:
    """(P,) cell whose inner part holds each point (P, 2); -1 if none does."""
    u = (points - np.array([site.x_m, site.y_m])) / site.resolution_m
    whole = np.floor(u)
    inner = (np.abs(u - whole - 0.5) <= INNER / 2 + 1e-9).all(1)
    inner &= ((whole >= 0) & (whole < [site.width, site.height])).all(1)
    cell = whole[:, 1] * site.width + whole[:, 0]
    return np.where(inner, cell, -1).astype(np.int64)


class Obstacles:
    """Turns each world state into blocked cells; remembers since when cells have been taken."""

    def __init__(self, site: SiteMap, config: PlannerConfig) -> None:
        self._site, self.config = site, config
        self._centres = site.centres()
        self._open = site.free.ravel()
        self._occupied_since: NDArray[np.int64] = np.full(self._open.size, _NEVER, np.int64)
        self._passing_since: NDArray[np.int64] = np.full(self._open.size, _NEVER, np.int64)
        self._jutting_since: NDArray[np.int64] = np.full(self._open.size, _NEVER, np.int64)
        self._polygons: dict[bytes, NDArray[np.int64]] = {}
        self._lookup: tuple[tuple[object, ...], NDArray[np.int64], NDArray[np.float64]] | None = None

    def update(
        self, world: WorldState, now_ns: int, zones: Mapping[str, NDArray[np.int64]] = MappingProxyType({})
    ) -> Blocked:
        """zones: why -> cells of the site map's zones that are shut now; robots inside may drive out, as out of keep-outs."""
        config, size = self.config, self._open.size
        standing, passing, jutting = (np.zeros(size, np.bool_) for _ in range(3))
        why: dict[int, str] = {}
        poses = np.array([[r.pose.x_m, r.pose.y_m] for r in world.robots], np.float64).reshape(-1, 2)
        for seen in world.objects:
            if not self._counts(seen, poses, now_ns):
                continue
            moving = seen.cls in _MOVERS or float(np.hypot(*seen.velocity)) >= config.static_below_mps
            cells = self._swept(seen) if moving else self._footprint(seen)
            if moving:
                passing[cells] = True
            elif self._on_the_floor(seen):
                standing[cells] = True
            else:
                jutting[cells] = True
            if not moving:
                why.update(dict.fromkeys(cells.tolist(), f"{seen.cls.name.lower()} {seen.id}"))
        standing |= _lasting(self._jutting_since, jutting & self._open, now_ns, config.linger_s)
        lingering = _lasting(self._passing_since, passing, now_ns, config.linger_s)
        occupied = _lasting(self._occupied_since, self._occupied(world, poses), now_ns, config.persist_s)
        for mask, word in ((lingering, "something stands there"), (occupied, "seen occupied")):
            for cell in np.flatnonzero(mask & ~standing):
                why[int(cell)] = word
            standing |= mask
        forbidden = np.zeros(size, np.bool_)
        for keep_out in world.keep_outs:
            if keep_out.until_ns and keep_out.until_ns <= now_ns:
                continue
            cells = self._keep_out_cells(keep_out)
            forbidden[cells] = True
            why.update(dict.fromkeys(cells.tolist(), f"keep-out {keep_out.id}: {keep_out.reason}"))
        for reason, cells in zones.items():
            forbidden[cells] = True
            why.update(dict.fromkeys(cells.tolist(), reason))
        shut = (standing | forbidden) & self._open
        return Blocked(shut, passing & self._open & ~shut, forbidden & shut & ~standing, why)

    def _keep_out_cells(self, keep_out: KeepOut) -> NDArray[np.int64]:
        key = np.asarray(keep_out.polygon, np.float64).tobytes()
        if key not in self._polygons:
            if len(self._polygons) >= 256:
                self._polygons.clear()
            self._polygons[key] = cells_in_polygon(self._site, keep_out.polygon)
        return self._polygons[key]

    def _counts(self, seen: WorldObject, robots_xy: F64, now_ns: int) -> bool:
        """Whether an object bars the way: not robots (they report themselves), not wet floor (a
        keep-out does, if one is wanted), not what is forgotten or doubtful."""
        config = self.config
        if seen.cls in (ObjectClass.ROBOT, ObjectClass.WET_FLOOR) or seen.existence < config.existence_min:
            return False
        if now_ns - seen.last_seen_ns > to_ns(config.object_memory_s):
            return False
        gaps = np.hypot(*(robots_xy - seen.position[:2]).T)
        return not (gaps < 0.5 * self._site.resolution_m).any()

    def _on_the_floor(self, seen: WorldObject) -> bool:
        """Its centre is in an open cell. What lies in a rack or on a table and seems to jut out has to do so
        for a while: estimates of size swell for moments."""
        cell = self._site.cell_at(float(seen.position[0]), float(seen.position[1]))
        return cell >= 0 and bool(self._open[cell])

    def _footprint(self, seen: WorldObject) -> NDArray[np.int64]:
        pose = Pose2D(float(seen.position[0]), float(seen.position[1]), seen.yaw_rad)
        return cells_in_polygon(self._site, rectangle(pose, float(seen.size[0]), float(seen.size[1])))

    def _swept(self, seen: WorldObject) -> NDArray[np.int64]:
        """Cells within reach of a mover during the next predict_s."""
        radius = 0.5 * float(max(seen.size[0], seen.size[1])) + self.config.margin_m
        radius += 0.4 * self._site.resolution_m
        start = seen.position[:2]
        speed = float(np.hypot(*seen.velocity))
        leg = seen.velocity * (self.config.predict_s * min(1.0, FASTEST_MPS / max(speed, 1e-9)))
        along = np.clip((self._centres - start) @ leg / max(float(leg @ leg), 1e-9), 0.0, 1.0)
        gap = np.hypot(*(self._centres - start - along[:, None] * leg).T)
        return np.flatnonzero(gap < radius)

    def _occupied(self, world: WorldState, robots_xy: F64) -> Bool:
        """(H * W,) bool: open cells the occupancy grid says are taken, robots' own cells apart."""
        grid = world.occupancy
        if grid is None:
            return np.zeros(self._open.size, np.bool_)
        cell_of, fraction = self._grid_lookup(grid)
        taken = cell_of[(grid.data.ravel() >= OCCUPIED) & (cell_of >= 0)]
        count = np.bincount(taken, minlength=self._open.size)
        occupied = (count * fraction >= MIN_OCCUPIED) & (count >= np.where(fraction < 0.25, 2, 1))
        occupied[self._beside(robots_xy)] = False
        return occupied & self._open

    def _beside(self, robots_xy: F64) -> NDArray[np.int64]:
        """Cells of which robots (N, 2) cover some: their centres are nearer than 0.9 of a cell along both axes."""
        site = self._site
        steps = np.array([(dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
        home = np.floor((robots_xy - (site.x_m, site.y_m)) / site.resolution_m).astype(np.int64)
        col, row = np.moveaxis(home[:, None] + steps, 2, 0)
        inside = (col >= 0) & (col < site.width) & (row >= 0) & (row < site.height)
        cells = np.where(inside, row * site.width + col, 0)
        gap = np.abs(self._centres[cells] - robots_xy[:, None]).max(axis=2)
        out: NDArray[np.int64] = cells[inside & (gap < 0.9 * site.resolution_m)]
        return out

    def _grid_lookup(self, grid: GridMap) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(fine cell -> site cell or -1, share of a site cell's inner part that one fine cell covers)."""
        key = (grid.data.shape, grid.resolution_m, grid.x_m, grid.y_m, grid.yaw_rad)
        if self._lookup is None or self._lookup[0] != key:
            rows, cols = np.divmod(np.arange(grid.data.size), grid.data.shape[1])
            u = (np.stack([cols, rows], 1) + 0.5) * grid.resolution_m
            c, s = math.cos(grid.yaw_rad), math.sin(grid.yaw_rad)
            points = u @ np.array([[c, s], [-s, c]]) + np.array([grid.x_m, grid.y_m])
            cell_of = _inner_cells(self._site, points)
            held = np.bincount(cell_of[cell_of >= 0], minlength=self._open.size)
            self._lookup = (key, cell_of, 1.0 / np.maximum(held, 1))
        return self._lookup[1], self._lookup[2]


def _lasting(since: NDArray[np.int64], now_so: Bool, now_ns: int, for_s: float) -> Bool:
    """Where a condition has held for `for_s`; `since` is kept up to date in place."""
    since[~now_so] = _NEVER
    since[now_so & (since == _NEVER)] = now_ns
    lasting: Bool = now_so & (now_ns - since >= to_ns(for_s))
    return lasting
