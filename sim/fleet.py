"""Robots at object fidelity: the same robots as sim.robots.SimRobot, hundreds of them, in arrays.

What they see comes from an error model instead of sensors (sim.object_sensor); how they drive, wait, act and charge is
what SimRobot does (sim.motion).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from aislewise.types import F64, Colour, Pose2D, RobotMode, Waypoint
from sim import motion as mo
from sim.mesh import F32
from sim.people import Vehicle
from sim.robots import MAX_LEG_M, Carried, RobotConfig

MODES = (RobotMode.IDLE, RobotMode.MOVING, RobotMode.ACTING, RobotMode.STOPPED, RobotMode.CHARGING)
ACTIONS = {"": mo.NOTHING, "pick": mo.PICK, "drop": mo.DROP, "charge": mo.CHARGE}
MOST_CONTACTS = 1000
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Others:
    """Convex outlines of what is not of the fleet: shapes (K, 16, 2), corners (K,), middle (K, 2) in `map`;
    robot_like (K,): it keeps to its lane as a robot does; names (K,)."""

    names: tuple[str, ...]
    shapes: F64
    corners: I64
    middle: F64
    robot_like: NDArray[np.bool_]

    @staticmethod
    def of(outlines: dict[str, F64], robots: set[str]) -> Others:
        """Of outlines (N, 2) by name; robots: which of them are robots."""
        shapes = np.zeros((len(outlines), mo.MOST_CORNERS, 2))
        corners, middle = np.zeros(len(outlines), np.int64), np.zeros((len(outlines), 2))
        for k, outline in enumerate(outlines.values()):
            shape = outline if len(outline) <= mo.MOST_CORNERS else _box(outline)
            shapes[k, : len(shape)], corners[k], middle[k] = shape, len(shape), outline.mean(axis=0)
        robot_like = np.array([name in robots for name in outlines], np.bool_)
        return Others(tuple(outlines), shapes, corners, middle, robot_like)


    def and_(self, more: Others) -> Others:
        return Others(
            self.names + more.names, np.concatenate([self.shapes, more.shapes]),
            np.concatenate([self.corners, more.corners]), np.concatenate([self.middle, more.middle]),
            np.concatenate([self.robot_like, more.robot_like]),
        )  # fmt: skip


def _box(outline: F64) -> F64:
    (x0, y0), (x1, y1) = outline.min(axis=0), outline.max(axis=0)
    return np.array([[x1, y1], [x0, y1], [x0, y0], [x1, y0]])


class FleetRobot:
    """One of the fleet; reads and writes its row. The attributes are those of SimRobot."""

    def __init__(self, fleet: RobotFleet, row: int, id: str, colour: Colour, paint: F32) -> None:
        self.id, self.colour, self.paint = id, colour, paint
        self.config = fleet.config
        self.load: list[Carried] = []
        self._fleet, self._row = fleet, row

    @property
    def pose(self) -> Pose2D:
        x, y, yaw = self._fleet.state[self._row, : mo.YAW + 1].tolist()
        return Pose2D(x, y, yaw)

    @property
    def speed_mps(self) -> float:
        return float(self._fleet.state[self._row, mo.SPEED])

    @property
    def velocity(self) -> F64:
        """(2,) m/s in `map`."""
        yaw = float(self._fleet.state[self._row, mo.YAW])
        return self.speed_mps * np.array([math.cos(yaw), math.sin(yaw)])

    @property
    def brake_m(self) -> float:
        return self.speed_mps**2 / (2 * self.config.brake_mps2)

    @property
    def battery(self) -> float:
        return float(self._fleet.state[self._row, mo.BATTERY])

    @battery.setter
    def battery(self, value: float) -> None:
        self._fleet.state[self._row, mo.BATTERY] = value

    @property
    def pace(self) -> float:
        return float(self._fleet.state[self._row, mo.PACE])

    @pace.setter
    def pace(self, value: float) -> None:
        self._fleet.state[self._row, mo.PACE] = value

    @property
    def mode(self) -> RobotMode:
        return MODES[int(self._fleet.mode[self._row])]

    @property
    def reached_seq(self) -> int:
        return int(self._fleet.reached[self._row])

    @property
    def distance_m(self) -> float:
        return float(self._fleet.state[self._row, mo.DISTANCE])

    @property
    def stopped_s(self) -> float:
        return float(self._fleet.state[self._row, mo.STOPPED_S])

    @property
    def stops(self) -> int:
        return int(self._fleet.state[self._row, mo.STOPS])

    def set_route(self, first_seq: int, waypoints: Sequence[Waypoint]) -> None:
        """As SimRobot.set_route."""
        self._fleet.set_route(self._row, first_seq, waypoints)


@dataclass
class _Buckets:
    """Who is in which cell of 1 m (sim.motion.fill_buckets)."""

    cols: int
    rows: int
    head: I64 = field(init=False)

    def __post_init__(self) -> None:
        self.head = np.full(self.cols * self.rows, -1, np.int64)


class RobotFleet:
    """All robots of object fidelity. walls: (M, 4) x0, y0, x1, y1 of what is built in; the hall's corner is (0, 0)."""

    def __init__(
        self, names: Sequence[str], poses: Sequence[Pose2D], batteries: Sequence[float], config: RobotConfig,
        looks: Callable[[int], tuple[Colour, F32]], width_m: float, height_m: float, walls: F64,
    ) -> None:  # fmt: skip
        n = len(names)
        self.config = config
        self.state = np.zeros((n, mo.STATE))
        for k, (pose, battery) in enumerate(zip(poses, batteries, strict=True)):
            self.state[k, : mo.YAW + 1] = pose.x_m, pose.y_m, pose.yaw_rad
            self.state[k, mo.ANCHOR_X : mo.ANCHOR_Y + 1] = pose.x_m, pose.y_m
            self.state[k, mo.BATTERY] = battery
        self.state[:, mo.PACE] = 1.0
        self.mode, self.reached = np.zeros(n, np.int64), np.full(n, -1, np.int64)
        self.robots = {name: FleetRobot(self, k, name, *looks(k)) for k, name in enumerate(names)}
        self.names = tuple(names)
        self._acting = np.zeros(n, np.bool_)
        self._route = np.zeros((n, mo.ROUTE, mo.WAYPOINT))
        self._first, self._count = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self._actions: list[dict[int, Waypoint]] = [{} for _ in names]
        self._buckets = _Buckets(math.ceil(width_m), math.ceil(height_m))
        self._after, self._home, self._done = (np.full(n, -1, np.int64) for _ in range(3))
        self._walls = np.ascontiguousarray(walls)
        self._wall_start, self._wall_of = _near_cells(walls, self._buckets.cols, self._buckets.rows)
        self._pairs = np.zeros((MOST_CONTACTS, 2), np.int64)
        c = config
        self._limits = np.array(
            [c.speed_mps, c.accel_mps2, c.brake_mps2, c.turn_radps, c.reverse_mps, c.scanner_gap_m, c.battery_s,
             c.idle_share, c.charge_s]
        )  # fmt: skip
        self._sort()

    def _sort(self) -> None:
        b = self._buckets
        mo.fill_buckets(self.state, b.cols, b.rows, b.head, self._after, self._home)

    # ---- routes ------------------------------------------------------------------------------------------------------

    def set_route(self, row: int, first_seq: int, waypoints: Sequence[Waypoint]) -> None:
        """Replaces every waypoint from first_seq on that has not been started. Raises InputError when the sequence
        would get a gap, or more than sim.motion.ROUTE waypoints would wait."""
        at, count = int(self._first[row]), int(self._count[row])
        old = self._route[row, at : at + count].copy()
        keep = int(np.count_nonzero((old[:, mo.SEQ] >= 0) & (old[:, mo.SEQ] < first_seq)))
        if count and not keep and self._started(row, old[0]):
            keep = 1
        last = int(old[keep - 1, mo.SEQ]) if keep else int(self.reached[row])
        fresh = [w for w in waypoints if w.seq > last]
        if fresh and fresh[0].seq != last + 1:
            raise InputError("first_seq", f"{fresh[0].seq} after {last}", last + 1)
        if any(b.seq != a.seq + 1 for a, b in zip(fresh, fresh[1:], strict=False)):
            raise InputError("waypoints.seq", "must rise one by one")
        if keep + len(fresh) > mo.ROUTE:
            raise InputError("waypoints", f"{keep + len(fresh)}", mo.ROUTE)
        x, y = old[keep - 1, mo.TO_X : mo.TO_Y + 1] if keep else self.state[row, mo.ANCHOR_X : mo.ANCHOR_Y + 1]
        for w in fresh:
            if math.hypot(w.x_m - x, w.y_m - y) > MAX_LEG_M:
                raise InputError("waypoints", f"{w.seq} is not next to the one before", f"{MAX_LEG_M} m")
            x, y = w.x_m, w.y_m
        self._route[row, :keep] = old[:keep]
        for k, w in enumerate(fresh, start=keep):
            self._route[row, k] = w.seq, w.x_m, w.y_m, ACTIONS[w.action], w.dwell_s, w.max_speed_mps
        self._first[row], self._count[row] = 0, keep + len(fresh)
        actions = {seq: w for seq, w in self._actions[row].items() if seq <= last}
        self._actions[row] = actions | {w.seq: w for w in fresh if w.action}

    def _started(self, row: int, way: F64) -> bool:
        """The robot is at that action, or can no longer stop short of that cell."""
        if self._acting[row]:
            return True
        if way[mo.ACTION] != mo.NOTHING:
            return False
        x, y, _, speed, ax, ay = self.state[row, :6].tolist()
        stop = speed**2 / (2 * self.config.accel_mps2)
        leg = math.hypot(way[mo.TO_X] - ax, way[mo.TO_Y] - ay)
        return math.hypot(x - ax, y - ay) + stop > 0.5 * leg - 0.02

    # ---- time --------------------------------------------------------------------------------------------------------

    def step(self, dt_s: float, others: Others) -> list[tuple[str, Waypoint]]:
        """Everybody on by dt_s; returns the actions completed in it, by robot."""
        b = self._buckets
        mo.step(
            dt_s, self._limits, self.state, self.mode, self.reached, self._acting, self._route, self._first, self._count,
            b.cols, b.rows, b.head, self._after, self._home, others.shapes, others.corners, others.middle,
            others.robot_like, self._done,
        )  # fmt: skip
        rows = np.flatnonzero(self._done >= 0).tolist()
        return [(self.names[row], self._actions[row].pop(int(self._done[row]))) for row in rows]

    def contacts(self, others: Others) -> list[tuple[str, str]]:
        """Pairs whose footprints overlap: a robot of the fleet and another, or one of the others, or a wall."""
        b = self._buckets
        count = mo.contacts(
            self.state, b.cols, b.rows, b.head, self._after, others.shapes, others.corners,
            self._wall_start, self._wall_of, self._walls, self._pairs,
        )  # fmt: skip
        return [(self.names[i], self._other(int(k), others)) for i, k in self._pairs[: min(count, MOST_CONTACTS)]]

    def _other(self, number: int, others: Others) -> str:
        if number >= 0:
            return self.names[number]
        k = -1 - number
        return others.names[k] if k < len(others.names) else f"structure_{k - len(others.names)}"

    # ---- the neighbourhood -------------------------------------------------------------------------------------------

    def near(self, x_m: float, y_m: float, reach_m: float) -> I64:
        """Rows of the robots whose centres are within reach_m along both axes."""
        xy = self.state[:, : mo.Y + 1]
        return np.flatnonzero((np.abs(xy[:, 0] - x_m) < reach_m) & (np.abs(xy[:, 1] - y_m) < reach_m))

    def vehicles(self, places: Sequence[Pose2D], reach_m: float) -> list[Vehicle]:
        """Those near any of the places, as people and forklifts see them."""
        if not places:
            return []
        rows = np.unique(np.concatenate([self.near(p.x_m, p.y_m, reach_m) for p in places]))
        robots = (self.robots[self.names[row]] for row in rows.tolist())
        return [Vehicle(r.id, r.pose, mo.LENGTH_M / 2, mo.WIDTH_M / 2, r.brake_m) for r in robots]

    def gap_ahead(self, pose: Pose2D) -> float:
        """Of a robot that is not of the fleet, to those that are (sim.motion.gap_ahead)."""
        b, none = self._buckets, Others.of({}, set())
        return float(
            mo.gap_ahead(
                self.state, -1, pose.x_m, pose.y_m, pose.yaw_rad, b.cols, b.rows, b.head, self._after, none.shapes,
                none.corners, none.middle, none.robot_like,
            )
        )

    def may_turn(self, pose: Pose2D) -> bool:
        """Whether the footprint at that pose is clear of the fleet."""
        b, none = self._buckets, Others.of({}, set())
        return bool(
            mo.may_turn(
                self.state, -1, pose.x_m, pose.y_m, pose.yaw_rad, b.cols, b.rows, b.head, self._after, none.shapes,
                none.corners, none.middle,
            )
        )


def _near_cells(walls: F64, cols: int, rows: int) -> tuple[I64, I64]:
    """(start (cells + 1,), walls): which walls come within a metre of each cell of 1 m."""
    near: list[list[int]] = [[] for _ in range(cols * rows)]
    for k, (x0, y0, x1, y1) in enumerate(walls.tolist()):
        for row in range(max(0, int(y0) - 1), min(rows, int(y1) + 2)):
            for col in range(max(0, int(x0) - 1), min(cols, int(x1) + 2)):
                near[row * cols + col].append(k)
    start = np.cumsum([0, *map(len, near)])
    return start.astype(np.int64), np.array([k for cell in near for k in cell], np.int64)
