"""People and the forklift: they have their own errands and give way. Neither ever causes a contact: a
step that would come too close to a robot, or into its braking distance, is not taken."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from aislewise.geometry import transform_xy, wrap_angle
from aislewise.sitemap import SiteMap
from aislewise.types import F64, Pose2D
from sim.bodies import FORKLIFT_SIZE_M, Body, Person
from sim.errands import Errands, Stacking
from sim.geometry2d import distance_to_rectangle, polygons_near

PERSON_RADIUS_M = 0.25
KEEP_M = 0.6
"""A person's centre keeps this far from a robot's or the forklift's outline, and so do the corners of their trolley."""
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A robot or forklift as others see it: outline half sides, and how far ahead it needs to stop."""

    id: str
    pose: Pose2D
    half_length_m: float
    half_width_m: float
    stop_m: float

    def gap(self, x_m: float, y_m: float, ahead_m: float = 0.0) -> float:
        """Distance from a point to the outline, drawn out by stop_m + ahead_m in front."""
        reach = self.stop_m + ahead_m
        return distance_to_rectangle(
            x_m, y_m, self.pose, -self.half_length_m, self.half_length_m + reach, self.half_width_m
        )

    def outline(self, margin_m: float = 0.0) -> F64:
        """(4, 2) corners, drawn out in front by the stopping distance."""
        a, b, w = -self.half_length_m - margin_m, self.half_length_m + self.stop_m + margin_m, self.half_width_m + margin_m
        return transform_xy(self.pose, np.array([[b, w], [a, w], [a, -w], [b, -w]]))


def shortest_path(free: Bool, start: int, goal: int) -> list[int]:
    """A* on the 4-connected grid (H, W); [] when there is no way."""
    height, width = free.shape
    gr, gc = divmod(goal, width)
    queue = [(0.0, start)]
    cost, parent = {start: 0.0}, {start: start}
    while queue:
        _, cell = heapq.heappop(queue)
        if cell == goal:
            path = [cell]
            while path[-1] != start:
                path.append(parent[path[-1]])
            return path[::-1]
        r, c = divmod(cell, width)
        for nr, nc in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
            if not (0 <= nr < height and 0 <= nc < width and free[nr, nc]):
                continue
            after, nxt = cost[cell] + 1.0, nr * width + nc
            if after < cost.get(nxt, math.inf):
                cost[nxt], parent[nxt] = after, cell
                heapq.heappush(queue, (after + abs(nr - gr) + abs(nc - gc), nxt))
    return []


@dataclass(eq=False)
class SimPerson:
    """Walks from place to place over the cells `walkable` (H, W), a little off the centre line. errands: what for; none:
    anywhere, with nothing in the hands."""

    id: str
    looks: Person
    pose: Pose2D
    site: SiteMap
    walkable: Bool
    rng: np.random.Generator
    pace_mps: float = 1.1
    speed_mps: float = 0.0
    phase_rad: float = 0.0
    errands: Errands | None = None
    _path: list[tuple[float, float]] = field(default_factory=list)
    _rest_s: float = 0.0
    _blocked_s: float = 0.0

    @property
    def body(self) -> Body:
        looks = self.looks if self.errands is None else replace(self.looks, holds=self.errands.hands(self.pose))
        return looks.body(self.phase_rad, min(1.0, self.speed_mps / 0.8))

    @property
    def velocity(self) -> F64:
        return self.speed_mps * np.array([math.cos(self.pose.yaw_rad), math.sin(self.pose.yaw_rad)])

    def step(self, dt_s: float, vehicles: Sequence[Vehicle], taken: Bool) -> None:
        """taken: (H, W) cells where something stands."""
        if self._rest_s > 0:
            self._rest_s -= dt_s
            self.speed_mps = 0.0
            if self.errands is not None:
                self.pose = replace(self.pose, yaw_rad=self.errands.look(self.pose.yaw_rad, dt_s, self._rest_s))
            self._make_room(dt_s, vehicles, taken)
            return
        if self.errands is not None and self._path and (pause_s := self.errands.stop_to_look(dt_s)):
            self._rest_s = pause_s
            return
        if not self._path:
            self._choose(taken)
            return
        x, y = self._path[0]
        dx, dy = x - self.pose.x_m, y - self.pose.y_m
        if math.hypot(dx, dy) < 0.15:
            self._path.pop(0)
            if not self._path:
                self._rest_s = float(self.rng.uniform(1.0, 7.0)) if self.errands is None else self.errands.arrive()
            return
        if not self._walk(math.atan2(dy, dx), self.pace_mps, dt_s, vehicles, taken):
            self.speed_mps = 0.0
            self._blocked_s += dt_s
            if self._blocked_s > 1.0:
                self._make_room(dt_s, vehicles, taken)
            if self._blocked_s > 3.0:
                self._choose(taken, vehicles)
        else:
            self._blocked_s = max(0.0, self._blocked_s - dt_s)

    def _walk(self, heading: float, pace: float, dt_s: float, vehicles: Sequence[Vehicle], taken: Bool) -> bool:
        """One step, unless it leads too close to a vehicle or into something."""
        turn = wrap_angle(heading - self.pose.yaw_rad)
        yaw = wrap_angle(self.pose.yaw_rad + max(-3.0 * dt_s, min(3.0 * dt_s, turn)))
        speed = pace if abs(turn) < 0.8 else 0.3 * pace
        x = self.pose.x_m + speed * dt_s * math.cos(heading)
        y = self.pose.y_m + speed * dt_s * math.sin(heading)
        if not self._allowed(x, y, vehicles, taken):
            self.pose = replace(self.pose, yaw_rad=yaw)
            return False
        self.pose, self.speed_mps = Pose2D(x, y, yaw), speed
        if self.errands is not None and self.errands.cart is not None:
            self.errands.cart.pose = self.errands.cart.after(x, y)
        self.phase_rad = (self.phase_rad + 5.0 * speed * dt_s) % (2 * math.pi)
        return True

    def _allowed(self, x: float, y: float, vehicles: Sequence[Vehicle], taken: Bool) -> bool:
        cell = self.site.cell_at(x, y)
        here = self.site.cell_at(self.pose.x_m, self.pose.y_m)
        if cell < 0 or (cell != here and (not self.walkable.flat[cell] or taken.flat[cell])):
            return False
        for v in vehicles:
            if abs(v.pose.x_m - x) + abs(v.pose.y_m - y) > 6.0:
                continue
            near, now = v.gap(x, y, 0.3), v.gap(self.pose.x_m, self.pose.y_m, 0.3)
            if near == now == 0.0:  # inside its stopping distance: any way out will do
                near = math.hypot(x - v.pose.x_m, y - v.pose.y_m)
                now = math.hypot(self.pose.x_m - v.pose.x_m, self.pose.y_m - v.pose.y_m)
            if near < KEEP_M and near <= now + 1e-6:
                return False
        return self._cart_allowed(x, y, vehicles)

    def _cart_allowed(self, x: float, y: float, vehicles: Sequence[Vehicle]) -> bool:
        """As for the person, for the trolley they would draw along."""
        cart = self.errands.cart if self.errands is not None else None
        if cart is None:
            return True
        after = replace(cart, pose=cart.after(x, y))
        for v in vehicles:
            if abs(v.pose.x_m - x) + abs(v.pose.y_m - y) > 7.0:
                continue
            near, now = (min(v.gap(px, py, 0.3) for px, py in c.outline.tolist()) for c in (after, cart))
            if near < KEEP_M and near <= now + 1e-6:
                return False
        return True

    def _make_room(self, dt_s: float, vehicles: Sequence[Vehicle], taken: Bool) -> None:
        """Step away from the nearest vehicle when it wants to come by."""
        spots = [(self.pose.x_m, self.pose.y_m)]
        if self.errands is not None and self.errands.cart is not None:
            spots.append((self.errands.cart.pose.x_m, self.errands.cart.pose.y_m))
        close = [v for v in vehicles if any(v.gap(x, y, 1.2) < KEEP_M for x, y in spots)]
        if not close:
            return
        v = min(close, key=lambda v: v.gap(self.pose.x_m, self.pose.y_m))
        away = math.atan2(self.pose.y_m - v.pose.y_m, self.pose.x_m - v.pose.x_m)
        side = math.copysign(math.pi / 2, wrap_angle(away - v.pose.yaw_rad))
        for heading in (v.pose.yaw_rad + side, v.pose.yaw_rad - side, away, v.pose.yaw_rad):
            if self._walk(heading, 0.9, dt_s, vehicles, taken):
                return

    def _choose(self, taken: Bool, vehicles: Sequence[Vehicle] = ()) -> None:
        """A new destination and the way there, round what stands about and round vehicles near by."""
        free = self.walkable & ~taken
        here = self.site.cell_at(self.pose.x_m, self.pose.y_m)
        for v in vehicles:
            if math.hypot(v.pose.x_m - self.pose.x_m, v.pose.y_m - self.pose.y_m) < 6.0:
                for reach in (0.0, 1.0):
                    x = v.pose.x_m + reach * math.cos(v.pose.yaw_rad)
                    y = v.pose.y_m + reach * math.sin(v.pose.yaw_rad)
                    if (cell := self.site.cell_at(x, y)) >= 0:
                        free.flat[cell] = False
        free.flat[here] = True
        if self.errands is None:
            goal = int(self.rng.choice(np.flatnonzero(free.ravel())))
        else:
            goal = self.errands.goal(free, here)
        path = shortest_path(free, here, goal)
        side = self.rng.uniform(0.05, 0.22) * (1 if self.rng.random() < 0.8 else -1)
        self._path = self._keep_right(path, float(side))
        self._blocked_s = 0.0

    def _keep_right(self, path: Sequence[int], side_m: float) -> list[tuple[float, float]]:
        centres = [self.site.centre(c) for c in path]
        out = []
        for a, b in zip(centres, centres[1:], strict=False):
            dx, dy = b[0] - a[0], b[1] - a[1]
            norm = math.hypot(dx, dy)
            out.append((b[0] + side_m * dy / norm, b[1] - side_m * dx / norm))
        return out


@dataclass(eq=False)
class SimForklift:
    """Follows a closed circuit of corner points, heading along the leg; waits for anything in front and
    backs up when that lasts. stacking: what it does at the corners; none: it only turns."""

    id: str
    body: Body
    circuit: F64
    pace_mps: float = 1.2
    leg: int = 0
    along_m: float = 0.0
    yaw_rad: float = 0.0
    speed_mps: float = 0.0
    gear: int = 1
    stacking: Stacking | None = None
    _blocked_s: float = 0.0
    _reverse_s: float = 0.0

    def __post_init__(self) -> None:
        self.yaw_rad = self._heading(self.leg)

    @property
    def pose(self) -> Pose2D:
        a = self.circuit[self.leg]
        heading = self._heading(self.leg)
        return Pose2D(
            float(a[0] + self.along_m * math.cos(heading)), float(a[1] + self.along_m * math.sin(heading)), self.yaw_rad
        )

    @property
    def velocity(self) -> F64:
        return self.gear * self.speed_mps * np.array([math.cos(self.yaw_rad), math.sin(self.yaw_rad)])

    def vehicle(self) -> Vehicle:
        length, width, _ = FORKLIFT_SIZE_M
        return Vehicle(self.id, self.pose, length / 2, width / 2, self.speed_mps**2 / 3.0)

    def step(self, dt_s: float, robots: Sequence[Vehicle], things: Sequence[F64]) -> None:
        """robots: keep clear of their braking distance; things: (N, 2) outlines of people and objects."""
        if self.stacking is not None and (body := self.stacking.step(self.body, dt_s)) is not None:
            self.body, self.speed_mps = body, 0.0
            return
        outlines = [v.outline() for v in robots] + list(things)
        turn = wrap_angle(self._heading(self.leg) - self.yaw_rad)
        if abs(turn) > 1e-3:
            self.speed_mps = 0.0
            yaw = wrap_angle(self.yaw_rad + max(-0.7 * dt_s, min(0.7 * dt_s, turn)))
            if self._clear(replace(self.pose, yaw_rad=yaw), 0.25, 0.25, outlines):
                self.yaw_rad, self._blocked_s = yaw, 0.0
            else:
                self._wait(dt_s)
            return
        brake = self.speed_mps**2 / 3.0
        for pace in (self.pace_mps, 0.4):
            if self._clear(self.pose, 0.5 + brake + 0.6 * pace, 0.12, outlines):
                want = pace if self.gear > 0 else 0.5
                self.speed_mps += max(-1.5 * dt_s, min(0.8 * dt_s, want - self.speed_mps))
                self._blocked_s = 0.0
                break
        else:
            self.speed_mps = max(0.0, self.speed_mps - 2.0 * dt_s)
            self._wait(dt_s)
        if self.gear < 0:
            self._reverse_s -= dt_s
            if self._reverse_s <= 0:
                self.gear, self.speed_mps = 1, 0.0
        self._move(self.speed_mps * dt_s)

    def _wait(self, dt_s: float) -> None:
        self._blocked_s += dt_s
        if self._blocked_s > 5.0 and self.speed_mps == 0.0:
            self.gear, self._blocked_s = -self.gear, 0.0
            self._reverse_s = 8.0

    def _clear(self, pose: Pose2D, reach_m: float, margin_m: float, outlines: Sequence[F64]) -> bool:
        """Nothing within reach_m in the direction of travel, nor within the margin beside it."""
        length, width, _ = FORKLIFT_SIZE_M
        ahead, behind = (reach_m, 0.05) if self.gear > 0 else (0.05, reach_m)
        if margin_m == reach_m:
            ahead = behind = margin_m
        a, b, w = -length / 2 - behind, length / 2 + ahead, width / 2 + margin_m
        zone = transform_xy(pose, np.array([[b, w], [a, w], [a, -w], [b, -w]]))
        return not polygons_near(zone, outlines)

    def _heading(self, leg: int) -> float:
        a, b = self.circuit[leg], self.circuit[(leg + 1) % len(self.circuit)]
        return math.atan2(float(b[1] - a[1]), float(b[0] - a[0]))

    def _length(self, leg: int) -> float:
        a, b = self.circuit[leg], self.circuit[(leg + 1) % len(self.circuit)]
        return math.hypot(float(b[0] - a[0]), float(b[1] - a[1]))

    def _move(self, distance_m: float) -> None:
        self.along_m += self.gear * distance_m
        if self.along_m >= self._length(self.leg):
            self.leg, self.along_m, self.speed_mps = (self.leg + 1) % len(self.circuit), 0.0, 0.0
            if self.stacking is not None:
                self.stacking.begin()
        elif self.along_m < 0.0:  # backed up to a corner: that is far enough
            self.along_m, self.gear, self.speed_mps = 0.0, 1, 0.0
