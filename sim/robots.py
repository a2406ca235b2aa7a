"""A simulated differential-drive robot: drives released waypoints from cell centre to cell centre, acts,
brakes for what its safety scanner sees, drains its battery. Knows nothing of plans."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from aislewise.errors import InputError
from aislewise.geometry import compose, wrap_angle
from aislewise.types import Colour, Pose2D, RobotMode, Waypoint
from sim.mesh import F32
from sim.robot_config import RobotConfig
from sim.wear import Wear

__all__ = ["Carried", "RobotConfig", "SimRobot", "Surroundings"]

ARRIVED_M = 1e-3
ALIGNED_RAD = 0.01
MAX_LEG_M = 1.5
"""Waypoints are neighbouring cells: a longer leg is a mistake, and would cut through racks."""


class Surroundings(Protocol):
    """What the certified safety scanner answers, from true geometry."""

    def gap_ahead(self, robot: str, pose: Pose2D, backwards: bool) -> float:
        """Metres from the robot's edge to the nearest thing in its swept corridor."""
        ...

    def may_turn(self, robot: str, pose: Pose2D) -> bool:
        """Whether the footprint at that pose is clear of everything that stands there."""
        ...


@dataclass(frozen=True, slots=True)
class Carried:
    """A load on the deck. object_id: the true object; kg: its weight, where loads have one."""

    order_id: str
    action_id: str
    object_id: str
    colour: Colour
    paint: F32
    kg: float = 0.0


@dataclass(eq=False)
class SimRobot:
    """One robot. `step` moves it; a finished action is returned for the world to carry out. pace: share of its speed
    that it has, 0: it stands; stops: how often it had to wait; wear: what chance does to it, where that is asked for."""

    id: str
    pose: Pose2D
    config: RobotConfig
    colour: Colour
    paint: F32
    rng: np.random.Generator
    battery: float = 1.0
    speed_mps: float = 0.0
    route: deque[Waypoint] = field(default_factory=deque)
    reached_seq: int = -1
    load: list[Carried] = field(default_factory=list)
    mode: RobotMode = RobotMode.IDLE
    distance_m: float = 0.0
    odom: Pose2D = field(default_factory=lambda: Pose2D(0.0, 0.0, 0.0))
    stopped_s: float = 0.0
    stops: int = 0
    pace: float = 1.0
    wear: Wear | None = None
    _pace: float = 1.0
    _anchor: tuple[float, float] = (0.0, 0.0)
    _acting_s: float = -1.0
    _acting: Waypoint | None = None

    def __post_init__(self) -> None:
        self._anchor = (self.pose.x_m, self.pose.y_m)

    @property
    def velocity(self) -> np.ndarray:
        """(2,) m/s in `map`."""
        return self.speed_mps * np.array([math.cos(self.pose.yaw_rad), math.sin(self.pose.yaw_rad)])

    @property
    def brake_m(self) -> float:
        """Distance it needs to stop in an emergency."""
        return self.speed_mps**2 / (2 * self.config.brake_mps2)

    @property
    def problem(self) -> str:
        """What it itself says is wrong with it."""
        if self.wear is not None and self.wear.broken:
            return "broken down"
        return "battery empty" if self._empty else ""

    @property
    def _empty(self) -> bool:
        """Without charge, and not at a charger with leave to use it."""
        if not self.config.stops_when_empty or self.battery > 0.0:
            return False
        return not (self.route and self.route[0].action == "charge")

    @property
    def _load_kg(self) -> float:
        return sum(c.kg for c in self.load)

    @property
    def _accel_mps2(self) -> float:
        """The same force on more mass."""
        config = self.config
        return config.accel_mps2 if not self.load else config.accel_mps2 * _empty_share(config.mass_kg, self._load_kg)

    @property
    def _top_mps(self) -> float:
        config = self.config
        overloaded = 0.0 < config.payload_kg < self._load_kg
        return min(config.speed_mps, config.reverse_mps) if overloaded else config.speed_mps

    # ---- routes --------------------------------------------------------------------------------------

    def set_route(self, first_seq: int, waypoints: Sequence[Waypoint]) -> None:
        """Replaces every waypoint from first_seq on that has not been started; first_seq -1 replaces all.

        Started are an action being carried out, and the next cell once the robot cannot stop short of
        it. Raises InputError when the sequence would get a gap."""
        keep = [w for w in self.route if 0 <= w.seq < first_seq]
        started = self._started()
        if started is not None and started not in keep:
            keep.insert(0, started)
        last = keep[-1].seq if keep else self.reached_seq
        fresh = [w for w in waypoints if w.seq > last]
        if fresh and fresh[0].seq != last + 1:
            raise InputError("first_seq", f"{fresh[0].seq} after {last}", last + 1)
        if any(b.seq != a.seq + 1 for a, b in zip(fresh, fresh[1:], strict=False)):
            raise InputError("waypoints.seq", "must rise one by one")
        x, y = (keep[-1].x_m, keep[-1].y_m) if keep else self._anchor
        for w in fresh:
            if math.hypot(w.x_m - x, w.y_m - y) > MAX_LEG_M:
                raise InputError("waypoints", f"{w.seq} is not next to the one before", f"{MAX_LEG_M} m")
            x, y = w.x_m, w.y_m
        self.route = deque([*keep, *fresh])

    def _started(self) -> Waypoint | None:
        if self._acting is not None:
            return self._acting
        if not self.route or self.route[0].action:
            return None
        gone = math.hypot(self.pose.x_m - self._anchor[0], self.pose.y_m - self._anchor[1])
        stop = self.speed_mps**2 / (2 * self._accel_mps2)
        leg = math.hypot(self.route[0].x_m - self._anchor[0], self.route[0].y_m - self._anchor[1])
        return self.route[0] if gone + stop > 0.5 * leg - 0.02 else None

    # ---- moving --------------------------------------------------------------------------------------

    def step(self, dt_s: float, world: Surroundings) -> Waypoint | None:
        """Advance by dt; returns the action waypoint that was completed in it, if any."""
        before = self.pose
        done = None
        self._pace = self.pace
        if self.wear is not None:
            self._pace *= self.wear.step(dt_s, self.mode)
        if self._pace <= 0.0 or self._empty:
            self._halt(dt_s)
        elif self._acting is not None:
            done = self._act(dt_s, self._acting)
        else:
            self._drive(dt_s, world)
        self._account(before, dt_s)
        return done

    def _halt(self, dt_s: float) -> None:
        """Brakes on the way it has, then stands, whatever it was at."""
        self.mode = RobotMode.STOPPED
        self.speed_mps = max(0.0, self.speed_mps - self.config.brake_mps2 * dt_s)
        if self.speed_mps > 0.0:
            self._advance(self.speed_mps * dt_s)

    def _act(self, dt_s: float, waypoint: Waypoint) -> Waypoint | None:
        self.mode = RobotMode.CHARGING if waypoint.action == "charge" else RobotMode.ACTING
        if waypoint.action == "charge":
            self.battery = self.config.charged(self.battery, dt_s)
        self._acting_s -= dt_s
        if self._acting_s > 1e-9:
            return None
        self._acting = None
        self.route.popleft()
        self.reached_seq = waypoint.seq
        return waypoint

    def _drive(self, dt_s: float, world: Surroundings) -> None:
        off = math.hypot(self.pose.x_m - self._anchor[0], self.pose.y_m - self._anchor[1])
        target = self.route[0] if self.route else None
        if target is None or target.action:
            if off > ARRIVED_M:
                self._return(dt_s, world)
            elif target is None:
                self.mode, self.speed_mps = RobotMode.IDLE, 0.0
            else:
                self._acting, self._acting_s, self.speed_mps = target, self._dwell_s(target), 0.0
                self.mode = RobotMode.CHARGING if target.action == "charge" else RobotMode.ACTING
            return
        dx, dy = target.x_m - self.pose.x_m, target.y_m - self.pose.y_m
        if math.hypot(dx, dy) < ARRIVED_M:
            self._reach()
            return
        error = wrap_angle(math.atan2(dy, dx) - self.pose.yaw_rad)
        if abs(error) > ALIGNED_RAD:
            if off > ARRIVED_M:  # the way ahead was taken back: return before turning
                self._return(dt_s, world)
            else:
                self._turn(error, dt_s, world)
            return
        self._forward(dt_s, world)

    def _dwell_s(self, action: Waypoint) -> float:
        """How long it really takes."""
        if self.wear is None or action.action == "charge":
            return action.dwell_s
        return action.dwell_s * self.wear.dwell()

    def _turn(self, error: float, dt_s: float, world: Surroundings) -> None:
        self.speed_mps = 0.0
        most = self.config.turn_radps * self._pace * dt_s
        pose = Pose2D(self.pose.x_m, self.pose.y_m, wrap_angle(self.pose.yaw_rad + max(-most, min(most, error))))
        if world.may_turn(self.id, pose):
            self.pose, self.mode = pose, RobotMode.MOVING
        else:
            self.mode = RobotMode.STOPPED

    def _forward(self, dt_s: float, world: Surroundings) -> None:
        """Along the straight run of released waypoints ahead."""
        gap = world.gap_ahead(self.id, self.pose, False) - self.config.scanner_gap_m
        accel = self._accel_mps2
        allowed = self._allowed_mps(accel)
        safe = math.sqrt(2 * self.config.brake_mps2 * max(0.0, gap))
        faster = self.speed_mps + accel * dt_s
        want = min(self._top_mps * self._pace, faster, allowed, safe)
        slowest = max(0.0, self.speed_mps - self.config.brake_mps2 * dt_s)
        self.speed_mps = max(want, slowest) if gap > 0 else slowest
        self.mode = RobotMode.STOPPED if safe < 0.05 else RobotMode.MOVING
        self._advance(self.speed_mps * dt_s)

    def _allowed_mps(self, accel_mps2: float) -> float:
        """To come to rest at the end of the straight, action-free run ahead, and to be as slow as is said where it is said."""
        x, y, total, allowed = self.pose.x_m, self.pose.y_m, 0.0, math.inf
        for w in self.route:
            length = math.hypot(w.x_m - x, w.y_m - y)
            if w.action or (
                length > ARRIVED_M
                and abs(wrap_angle(math.atan2(w.y_m - y, w.x_m - x) - self.pose.yaw_rad)) > 2 * ALIGNED_RAD
            ):
                break
            if w.max_speed_mps > 0.0:
                further = total + w.max_speed_mps * w.max_speed_mps / (2 * accel_mps2)
                allowed = min(allowed, math.sqrt(2 * accel_mps2 * further))
            total, x, y = total + length, w.x_m, w.y_m
        return min(allowed, math.sqrt(2 * accel_mps2 * total))

    def _advance(self, left_m: float) -> None:
        while self.route and not self.route[0].action:
            w = self.route[0]
            dx, dy = w.x_m - self.pose.x_m, w.y_m - self.pose.y_m
            length = math.hypot(dx, dy)
            heading = math.atan2(dy, dx) if length > ARRIVED_M else self.pose.yaw_rad
            if abs(wrap_angle(heading - self.pose.yaw_rad)) > 2 * ALIGNED_RAD:
                return
            if left_m < length - ARRIVED_M:
                k = left_m / length
                self.pose = Pose2D(self.pose.x_m + k * dx, self.pose.y_m + k * dy, heading)
                return
            self.pose = Pose2D(w.x_m, w.y_m, heading)
            left_m -= length
            self._reach()

    def _reach(self) -> None:
        w = self.route.popleft()
        self._anchor, self.reached_seq = (w.x_m, w.y_m), w.seq

    def _return(self, dt_s: float, world: Surroundings) -> None:
        """Straight back to the last cell centre, in reverse when that lies behind."""
        dx, dy = self._anchor[0] - self.pose.x_m, self._anchor[1] - self.pose.y_m
        length = math.hypot(dx, dy)
        if self.speed_mps > 0.0:  # first come to rest
            self.speed_mps = max(0.0, self.speed_mps - self.config.brake_mps2 * dt_s)
            step = min(self.speed_mps * dt_s, 0.2)
            c, s = math.cos(self.pose.yaw_rad), math.sin(self.pose.yaw_rad)
            self.pose = Pose2D(self.pose.x_m + step * c, self.pose.y_m + step * s, self.pose.yaw_rad)
            return
        backwards = dx * math.cos(self.pose.yaw_rad) + dy * math.sin(self.pose.yaw_rad) < 0
        gap = world.gap_ahead(self.id, self.pose, backwards) - 0.05
        step = min(self.config.reverse_mps * self._pace * dt_s, length, max(0.0, gap))
        self.mode = RobotMode.MOVING if step > 0 else RobotMode.STOPPED
        k = step / max(length, 1e-9)
        self.pose = Pose2D(self.pose.x_m + k * dx, self.pose.y_m + k * dy, self.pose.yaw_rad)

    def _account(self, before: Pose2D, dt_s: float) -> None:
        moved = math.hypot(self.pose.x_m - before.x_m, self.pose.y_m - before.y_m)
        self.distance_m += moved
        self.stops += self.mode is RobotMode.STOPPED and self.stopped_s == 0.0
        self.stopped_s = self.stopped_s + dt_s if self.mode is RobotMode.STOPPED else 0.0
        drain = 1.0 if self.mode is RobotMode.MOVING else self.config.idle_share
        if self.mode is not RobotMode.CHARGING:
            self.battery = max(0.0, self.battery - drain * dt_s / self.config.battery_s)
        turned = wrap_angle(self.pose.yaw_rad - before.yaw_rad)
        if moved or turned:
            ahead = moved * math.copysign(
                1.0, (self.pose.x_m - before.x_m) * math.cos(before.yaw_rad)
                + (self.pose.y_m - before.y_m) * math.sin(before.yaw_rad),
            )  # fmt: skip
            drift = self.config.odometry_drift
            scale, slip = 1.0 + drift * self.rng.standard_normal(), drift * self.rng.standard_normal()
            self.odom = compose(self.odom, Pose2D(ahead * scale, 0.0, turned * (1.0 + slip)))


def _empty_share(mass_kg: float, load_kg: float) -> float:
    """Of the whole mass, the robot's own; 1 where loads weigh nothing."""
    return mass_kg / (mass_kg + load_kg) if load_kg > 0.0 else 1.0
