"""Where props stand: off the lanes, along walls, in floor storage and at rack ends, clear of all else."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from aislewise.errors import InputError
from aislewise.types import F64, Pose2D
from sim.geometry2d import convex_overlap
from sim.mesh import Mesh
from sim.props import Prop, Props, build, outline_of
from sim.warehouse import WALL_M, Warehouse

STEP_M = 0.25
"""Between the places along a wall that are tried."""
CLEAR_OF_DOCK_M = 1.3
"""From the middle of a station or charger."""
GAP_M = 0.03
"""To walls, obstacles and other things."""
RACK_END_M = 0.03
"""Of hanging film from the edge of a rack's cells: half of the gap that a rack leaves there."""


def place_props(wanted: Props, hall: Warehouse, taken: Sequence[F64], rngs: Sequence[np.random.Generator]) -> dict[str, Prop]:
    """taken: outlines of what stands there already; rngs: one for each kind in order, so that one cone more changes no
    ladder's looks. Raises InputError where there is no room for all."""
    spots = _Spots(hall, taken)
    out: dict[str, Prop] = {}
    for rng, (kind, count) in zip(rngs, wanted.counts.items(), strict=True):
        for k in range(count):
            mesh = build(kind, rng)
            pose = spots.find(mesh, kind == "wrap", rng)
            if pose is None:
                raise InputError(f"props.{kind}", f"{count}", f"room for {k} on this site")
            prop = _placed(f"{kind}_{k + 1}", kind, mesh, pose)
            spots.taken.append(prop.outline)
            out[prop.id] = prop
    return out


def _placed(name: str, kind: str, mesh: Mesh, pose: Pose2D) -> Prop:
    moved = mesh.moved(pose.x_m, pose.y_m, pose.yaw_rad)
    return Prop(name, kind, moved, outline_of(moved))


class _Spots:
    """The closed cells of a hall in which something may stand."""

    def __init__(self, hall: Warehouse, taken: Sequence[F64]) -> None:
        self.hall, self.taken = hall, list(taken)
        site = hall.site
        docks = site.of_kind("station") + site.of_kind("charger")
        self._docks = np.array([[p.x_m, p.y_m] for p in docks]).reshape(-1, 2)
        self._storage = [cell for cell in np.flatnonzero(~site.free.ravel()).tolist() if self._empty(cell)]

    def find(self, mesh: Mesh, hangs: bool, rng: np.random.Generator) -> Pose2D | None:
        """Film hangs at a rack's end where there is one; the rest stands at walls and in floor storage."""
        outline = outline_of(mesh)
        for proposals in ([self._rack_ends()] if hangs else []) + [self._walls(outline) + self._floor(outline, rng)]:
            for k in rng.permutation(len(proposals)):
                pose = proposals[int(k)]
                if self._fits(_turned(outline, pose)):
                    return pose
        return None

    def _empty(self, cell: int) -> bool:
        """No rack, wall or furniture in it."""
        row, col = divmod(cell, self.hall.site.width)
        x0, y0, x1, y1 = self.hall.obstacles.T
        return not bool(((x0 < col + 1) & (x1 > col) & (y0 < row + 1) & (y1 > row)).any())

    def _walls(self, outline: F64) -> list[Pose2D]:
        """Its back, or if it is too deep its side, to each wall."""
        deep, wide = np.ptp(outline, axis=0).tolist()
        strip = 1.0 - WALL_M - 2 * GAP_M
        turn = 0.0 if deep <= strip else math.pi / 2
        depth = deep if deep <= strip else wide
        if depth > strip:
            return []
        width, height = float(self.hall.site.width), float(self.hall.site.height)
        inset = WALL_M + GAP_M + depth / 2
        out = []
        for along in np.arange(1.0, max(width, height) - 1.0, STEP_M).tolist():
            if along < width - 1.0:
                out += [Pose2D(along, inset, math.pi / 2 + turn), Pose2D(along, height - inset, -math.pi / 2 + turn)]
            if along < height - 1.0:
                out += [Pose2D(inset, along, turn), Pose2D(width - inset, along, math.pi + turn)]
        return out

    def _floor(self, outline: F64, rng: np.random.Generator) -> list[Pose2D]:
        """About the middle of cells and of their corners, straight or a little askew."""
        out = []
        for cell in self._storage:
            x, y = self.hall.site.centre(cell)
            for dx, dy in ((0.0, 0.0), (0.5, 0.5), *rng.uniform(-0.5, 0.5, (3, 2)).tolist()):
                yaw = math.pi / 2 * float(rng.integers(4)) + float(rng.normal(0.0, 0.15))
                out.append(Pose2D(x + dx, y + dy, yaw))
        return out

    def _rack_ends(self) -> list[Pose2D]:
        out = []
        for c0, c1, r0, r1 in self.hall.racks + self.hall.pods:
            out += [Pose2D((c0 + c1) / 2, r0 + RACK_END_M, -math.pi / 2), Pose2D((c0 + c1) / 2, r1 - RACK_END_M, math.pi / 2)]
        return out

    def _fits(self, outline: F64) -> bool:
        """Within closed cells, clear of obstacles, docks and all that stands there."""
        (x0, y0), (x1, y1) = outline.min(axis=0), outline.max(axis=0)
        free = self.hall.site.free
        if x0 < 0.0 or y0 < 0.0 or x1 > free.shape[1] or y1 > free.shape[0]:
            return False
        if free[int(y0) : math.ceil(y1), int(x0) : math.ceil(x1)].any():
            return False
        a0, b0, a1, b1 = self.hall.obstacles.T
        if ((a0 < x1) & (a1 > x0) & (b0 < y1) & (b1 > y0)).any():
            return False
        apart = np.hypot(*(np.clip(self._docks, (x0, y0), (x1, y1)) - self._docks).T)
        if (apart < CLEAR_OF_DOCK_M).any():
            return False
        middle = outline.mean(axis=0)
        grown = middle + (outline - middle) * (1.0 + 2 * GAP_M / max(0.1, min(x1 - x0, y1 - y0)))
        return not any(convex_overlap(grown, other) for other in self.taken)


def _turned(outline: F64, pose: Pose2D) -> F64:
    c, s = math.cos(pose.yaw_rad), math.sin(pose.yaw_rad)
    out: F64 = outline @ np.array([[c, s], [-s, c]]) + (pose.x_m, pose.y_m)
    return out
