"""Carries out a robot's released route by goals of a navigation stack such as Nav2. Knows no ROS.

Nav2 is told the poses up to the next action, never one that is not released. What it says of its progress is
believed only where the robot's own pose agrees: it counts a pose as passed from 0.7 m away, and a waypoint that is
reported as reached frees the cell behind the robot for others.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from aislewise.clock import to_ns
from aislewise.errors import InputError
from aislewise.settings import check, setting
from aislewise.types import Pose2D, RobotInfo, RobotMode, Waypoint

HOME = -1
"""Sequence id of the way back to the last cell centre."""


@dataclass(frozen=True)
class FollowConfig:
    """How routes are followed."""

    reached_m: float = setting(0.3, "a waypoint is reached from this near to it, m", low=0.05, high=1.0)
    home_m: float = setting(
        0.2, "farther from its last cell without a way ahead, the robot returns to it, m", low=0.05, high=1.0
    )
    retry_s: float = setting(2.0, "pause after a failed goal, doubled with each further one, s", low=0.1, high=60.0)
    retry_most_s: float = setting(30.0, "longest pause after a failed goal, s", low=0.1, high=600.0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Target:
    """One pose of a goal, in map."""

    seq: int
    x_m: float
    y_m: float
    yaw_rad: float


class RouteFollower:
    """One robot. The caller reports what happens and, after each report, gives Nav2 the goal that `wanted` says."""

    def __init__(self, robot: str, config: FollowConfig) -> None:
        self.robot, self.config = robot, config
        self.pose: Pose2D | None = None
        self.reached_seq = -1
        self.route: deque[Waypoint] = deque()
        self.problem = ""
        self._loads: dict[str, str] = {}
        self._anchor: tuple[float, float] | None = None
        self._goal: tuple[Target, ...] = ()
        self._passed = 0
        self._homed = False  # as near to the last cell's centre as the navigation gets
        self._acting_until_ns: int | None = None
        self._attempts = 0
        self._retry_ns = 0

    # --- the route ---------------------------------------------------------------------------------

    def set_route(self, first_seq: int, waypoints: Sequence[Waypoint]) -> None:
        """Replaces what has not been started from first_seq on; -1 replaces all. InputError for a gap."""
        keep = [w for w in self.route if 0 <= w.seq < first_seq]
        if (started := self._started()) is not None and started not in keep:
            keep.insert(0, started)
        last = keep[-1].seq if keep else self.reached_seq
        fresh = [w for w in waypoints if w.seq > last]
        if fresh and fresh[0].seq != last + 1:
            raise InputError("first_seq", f"{fresh[0].seq} after {last}", last + 1)
        self.route = deque([*keep, *fresh])

    def _started(self) -> Waypoint | None:
        """An action being carried out, or the cell that is nearer than the one behind."""
        if not self.route or self._acting_until_ns is not None:
            return self.route[0] if self.route else None
        first = self.route[0]
        if first.action or self._anchor is None:
            return None
        return first if self._gap(first.x_m, first.y_m) < self._gap(*self._anchor) else None

    def _gap(self, x_m: float, y_m: float) -> float:
        return math.inf if self.pose is None else math.hypot(self.pose.x_m - x_m, self.pose.y_m - y_m)

    # --- what the navigation is told ---------------------------------------------------------------

    def wanted(self, now_ns: int) -> tuple[Target, ...]:
        """The goal that should be in force; empty: none. Nothing is wanted until a failure has been slept over."""
        if self.pose is None or self._acting_until_ns is not None or now_ns < self._retry_ns:
            return ()
        moves: list[Waypoint] = []
        for waypoint in self.route:
            if waypoint.action:
                break
            moves.append(waypoint)
        if moves:
            return self._targets(moves)
        on_its_way = bool(self._goal) and self._goal[-1].seq == HOME
        if self._anchor is None or self._homed:
            return ()
        if on_its_way or self._gap(*self._anchor) > self.config.home_m:
            return (Target(HOME, *self._anchor, self.pose.yaw_rad),)
        return ()

    def _targets(self, moves: Sequence[Waypoint]) -> tuple[Target, ...]:
        """Each looks to the next one, the last as it was entered."""
        points = [self._anchor or (moves[0].x_m, moves[0].y_m), *((w.x_m, w.y_m) for w in moves)]
        yaws = [math.atan2(b[1] - a[1], b[0] - a[0]) for a, b in zip(points, points[1:])]
        return tuple(Target(w.seq, w.x_m, w.y_m, yaw) for w, yaw in zip(moves, [*yaws[1:], yaws[-1]]))

    def max_speed_mps(self) -> float:
        """The least that is said of the move in hand and the one after it, so that it is slow by then; 0 = no limit."""
        limits = [w.max_speed_mps for w in itertools.islice(self.route, 2) if not w.action and w.max_speed_mps > 0.0]
        return min(limits, default=0.0)

    def in_force(self) -> bool:
        return bool(self._goal)

    def agrees(self, targets: tuple[Target, ...]) -> bool:
        """Whether the goal in force leads to the same places, in so far as they are not reached."""
        ahead = [(t.seq, t.x_m, t.y_m) for t in self._goal if t.seq == HOME or t.seq > self.reached_seq]
        return ahead == [(t.seq, t.x_m, t.y_m) for t in targets]

    # --- what has happened -------------------------------------------------------------------------

    def sent(self, targets: tuple[Target, ...]) -> None:
        """A goal was sent; empty: the goal was cancelled."""
        self._goal, self._passed = targets, 0
        self._homed &= not targets

    def accepted(self) -> None:
        self.problem = ""

    def moved(self, pose: Pose2D) -> None:
        if self.pose is None:
            self._anchor = (pose.x_m, pose.y_m)
        self.pose = pose
        self._confirm()

    def remaining(self, poses: int) -> None:
        """The navigation says how many poses of the goal in force are still ahead."""
        self._passed = max(self._passed, min(len(self._goal) - 1, len(self._goal) - poses))
        self._confirm()

    def _confirm(self) -> None:
        """Reach what the navigation has passed and the robot's pose shows to lie here or behind."""
        for here, ahead in zip(self._goal[: self._passed], self._goal[1:]):
            if here.seq <= self.reached_seq:
                continue
            gap = self._gap(here.x_m, here.y_m)
            if gap > self.config.reached_m and gap <= self._gap(ahead.x_m, ahead.y_m):
                return
            self._reach(here.seq)

    def _reach(self, seq: int) -> None:
        while self.route and self.route[0].seq <= seq:
            waypoint = self.route.popleft()
            self._anchor, self.reached_seq = (waypoint.x_m, waypoint.y_m), waypoint.seq
            self._attempts, self._homed = 0, False

    def arrived(self) -> None:
        """The navigation says that the goal in force is reached."""
        if self._goal and self._goal[-1].seq != HOME:
            self._reach(self._goal[-1].seq)
        self._homed = bool(self._goal) and self._goal[-1].seq == HOME
        self._goal = ()

    def failed(self, reason: str, now_ns: int) -> None:
        """The goal in force, or the one just sent, has come to nothing."""
        pause_s = min(self.config.retry_most_s, self.config.retry_s * 2.0 ** min(self._attempts, 16))
        self._attempts += 1
        self._goal, self.problem, self._retry_ns = (), reason, now_ns + to_ns(pause_s)

    def unavailable(self, reason: str, now_ns: int) -> None:
        """There is no navigation at present; nothing is lost by asking for it often."""
        self._goal, self.problem, self._retry_ns = (), reason, now_ns + to_ns(self.config.retry_s)

    def tick(self, now_ns: int) -> None:
        """Carry out actions; a failure that left nothing to try is over after its pause."""
        if self.problem and now_ns >= self._retry_ns and not self.wanted(now_ns):
            self.problem = ""
        if not self.route or not self.route[0].action or self._goal:
            return
        action = self.route[0]
        if self._acting_until_ns is None:
            self._acting_until_ns = now_ns + to_ns(action.dwell_s)
        if now_ns >= self._acting_until_ns:
            self._acting_until_ns = None
            self._complete(action)

    def _complete(self, action: Waypoint) -> None:
        if action.action == "pick":
            self._loads[action.action_id] = action.action_id.rpartition(":")[0] or action.action_id
        elif action.action == "drop":
            self._loads.pop(action.action_id, None)
        self._reach(action.seq)

    # --- what the fleet is told --------------------------------------------------------------------

    def info(self, battery: float, now_ns: int, lost: bool = False) -> RobotInfo | None:
        """The robot's report, in the shape of the simulated robot's; None before the first pose."""
        if self.pose is None:
            return None
        mode = RobotMode.LOST if lost else self._mode()
        loads = tuple(self._loads.values())
        return RobotInfo(self.robot, self.pose, battery, loads, mode, self.reached_seq, now_ns, self.problem)

    def _mode(self) -> RobotMode:
        if self._acting_until_ns is not None:
            return RobotMode.CHARGING if self.route[0].action == "charge" else RobotMode.ACTING
        if self.problem:
            return RobotMode.STOPPED
        return RobotMode.MOVING if self._goal else RobotMode.IDLE
