"""What people and the forklift are about, where a scenario's `intent` says so: they go from one place of work to
another, stop and look round, carry cartons, take a trolley along, and lift loads.

Without it people wander (sim.people), and a forklift's forks stay down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aislewise.geometry import transform_xy, wrap_angle
from aislewise.sitemap import SiteMap
from aislewise.types import F64, Pose2D
from sim import bodies, props
from sim.mesh import Mesh

CART_REACH_M = 0.90
"""From a person's middle to that of the trolley they hold."""
LOOK_EVERY_S, LOOK_S, LOOK_RAD_S = 14.0, (1.0, 2.5), 0.9
WORK_S = (2.0, 8.0)
CART_SHARE, CARTON_SHARE = 0.34, 0.6
LIFT_MPS, DRIVING_M, UP_M = 0.25, 0.10, (0.9, 1.5)
"""Speed of a truck's mast, and heights of its forks on the way and when it stacks."""


@dataclass(eq=False)
class Cart:
    """A trolley led by hand: it follows as a trailer does, and is pushed where the person walks towards it (the curve
    is a tractrix), so that it never sweeps sideways. mesh: in its own frame, bow at the back."""

    id: str
    mesh: Mesh
    pose: Pose2D
    size: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        deep, wide = np.ptp(props.outline_of(self.mesh), axis=0).tolist()
        self.size = (deep, wide)

    def after(self, x_m: float, y_m: float) -> Pose2D:
        """Where it is once whoever leads it has come to (x, y). Its bow is on their side."""
        dx, dy = self.pose.x_m - x_m, self.pose.y_m - y_m
        away = math.hypot(dx, dy)
        heading = math.atan2(dy, dx) if away > 1e-6 else self.pose.yaw_rad
        return Pose2D(x_m + CART_REACH_M * math.cos(heading), y_m + CART_REACH_M * math.sin(heading), heading)

    @property
    def outline(self) -> F64:
        """(4, 2) in `map`."""
        a, b = self.size[0] / 2, self.size[1] / 2
        return transform_xy(self.pose, np.array([[a, b], [-a, b], [-a, -b], [a, -b]]))

    @property
    def placed(self) -> Mesh:
        """In `map`."""
        return self.mesh.moved(self.pose.x_m, self.pose.y_m, self.pose.yaw_rad)


@dataclass(eq=False)
class Errands:
    """Of one person. stores, counters: cells at which things are taken up and set down."""

    rng: np.random.Generator
    stores: NDArray[np.int64]
    counters: NDArray[np.int64]
    holds: str = ""
    cart: Cart | None = None
    _to_counter: bool = False
    _look_rad_s: float = 0.0

    def goal(self, free: NDArray[np.bool_], here: int) -> int:
        """The next cell to go to: stores and counters by turns, any cell where those are taken."""
        self._to_counter = not self._to_counter
        for cells in (self.counters, self.stores) if self._to_counter else (self.stores, self.counters):
            open_ = cells[free.ravel()[cells] & (cells != here)]
            if len(open_):
                return int(self.rng.choice(open_))
        return int(self.rng.choice(np.flatnonzero(free.ravel())))

    def arrive(self) -> float:
        """Takes up or sets down; returns how long that takes, s."""
        if self.cart is None:
            self.holds = "carton" if not self._to_counter and self.rng.random() < CARTON_SHARE else ""
        self._look_rad_s = 0.0
        return float(self.rng.uniform(*WORK_S))

    def stop_to_look(self, dt_s: float) -> float:
        """How long to stop now, on the way: mostly not at all, 0."""
        if self.rng.random() >= dt_s / LOOK_EVERY_S:
            return 0.0
        self._look_rad_s = LOOK_RAD_S * (1.0 if self.rng.random() < 0.5 else -1.0)
        return float(self.rng.uniform(*LOOK_S))

    def look(self, yaw_rad: float, dt_s: float, left_s: float) -> float:
        """The heading a moment later of somebody who stands and looks to one side, then to the other."""
        sign = 1.0 if left_s > sum(LOOK_S) / 4 else -1.0
        return wrap_angle(yaw_rad + sign * self._look_rad_s * dt_s)

    def hands(self, pose: Pose2D) -> str:
        """As bodies.Person.holds: on the bow only while the trolley is in front."""
        if self.cart is None:
            return self.holds
        bearing = wrap_angle(self.cart.pose.yaw_rad - pose.yaw_rad)
        return "bow" if abs(bearing) < 1.0 else ""


def errands_of(site: SiteMap, walkable: NDArray[np.bool_], name: str, start: Pose2D, rng: np.random.Generator) -> Errands:
    """For a person who starts there. Stores: cells that people may walk on at pick faces; counters: those beside
    stations."""
    ok = walkable.ravel()
    stores = [p.cell for p in site.of_kind("pick_face") if ok[p.cell]]
    counters = []
    for place in site.of_kind("station"):
        row, col = divmod(place.cell, site.width)
        beside = [(row + dr) * site.width + col + dc for dr in (-1, 0, 1) for dc in (-1, 0, 1)]
        counters += [cell for cell in beside if 0 <= cell < len(ok) and ok[cell]]
    cart = None
    if rng.random() < CART_SHARE:
        behind = start.yaw_rad + math.pi
        at = Pose2D(start.x_m + CART_REACH_M * math.cos(behind), start.y_m + CART_REACH_M * math.sin(behind), behind)
        if (cell := site.cell_at(at.x_m, at.y_m)) >= 0 and ok[cell]:
            cart = Cart(f"cart_of_{name}", props.build("trolley", rng), at)
    return Errands(rng, np.array(sorted(set(stores)), np.int64), np.array(sorted(set(counters)), np.int64), cart=cart)


@dataclass(eq=False)
class Stacking:
    """Of one forklift: at a corner of its circuit it stands, raises the forks, takes a load up or sets it down, and
    lowers them for the way."""

    rng: np.random.Generator
    lift_m: float = DRIVING_M
    load: Mesh | None = None
    _plan: list[float] = field(default_factory=list)

    def begin(self) -> None:
        self._plan = [float(self.rng.uniform(*UP_M)), DRIVING_M]

    def step(self, truck: bodies.Body, dt_s: float) -> bodies.Body | None:
        """The truck a moment later, or None when there is nothing to do here."""
        if not self._plan:
            return None
        left = self._plan[0] - self.lift_m
        self.lift_m += math.copysign(min(abs(left), LIFT_MPS * dt_s), left)
        if abs(left) <= LIFT_MPS * dt_s:
            if len(self._plan) == 2:
                self.load = bodies.half_pallet(self.rng) if self.load is None else None
            self._plan.pop(0)
        return self.dressed(truck)

    def dressed(self, truck: bodies.Body) -> bodies.Body:
        return bodies.with_forks(truck, self.lift_m, self.load)
