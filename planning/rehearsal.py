"""A floor without physics: robots that run exactly what is released to them, one cell at a time.

The twin of real robots behind the same small interface (reports in, plans out), for `aislewise plan`,
tests and benchmarks. A robot holds the cell it leaves and the cell it enters while it drives; two robots
in one cell are recorded as a violation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aislewise.clock import to_ns
from aislewise.sitemap import SiteMap
from aislewise.types import Plan, Pose2D, RobotInfo, RobotMode, RobotPlan, Waypoint, WorldState

Pace = Callable[[str, Waypoint], int]
"""Ticks that a robot needs for one move; at least 1. The same move may take longer another time."""


def ideal(robot: str, waypoint: Waypoint) -> int:
    return 1


@dataclass(slots=True)
class Walker:
    """One robot: cell it is in; waypoints it may run; ticks left of the `takes` that the one it runs needs."""

    id: str
    cell: int
    battery: float = 1.0
    load: list[str] = field(default_factory=list)
    reached_seq: int = 0
    waypoints: list[Waypoint] = field(default_factory=list)
    left: int = 0
    takes: int = 1
    silent: bool = False
    problem: str = ""
    heard_at_ns: int = 0

    @property
    def present(self) -> Waypoint | None:
        """The waypoint it runs now."""
        return self.waypoints[0] if self.waypoints and self.left > 0 else None

    @property
    def cells(self) -> set[int]:
        waypoint = self.present
        return {self.cell} | ({waypoint.cell} if waypoint is not None else set())


class Rehearsal:
    """Robots on a site, moved in ticks of `tick_s`: the time of one cell at `speed_mps`."""

    def __init__(
        self,
        site: SiteMap,
        starts: Mapping[str, int],
        speed_mps: float = 1.2,
        pace: Pace = ideal,
        battery_per_tick: float = 0.0,
        charge_per_tick: float = 0.01,
    ) -> None:
        self.site, self.pace = site, pace
        self.tick_s = site.resolution_m / speed_mps
        self.robots = {robot: Walker(robot, cell) for robot, cell in starts.items()}
        self.drain, self.charge = battery_per_tick, charge_per_tick
        self.ticks = 0
        self.violations: list[str] = []
        self.tracks: dict[str, list[int]] = {robot: [cell] for robot, cell in starts.items()}

    @property
    def now_ns(self) -> int:
        return to_ns(self.ticks * self.tick_s)

    def world(self, **known: object) -> WorldState:
        """What the fleet knows; `known`: further fields of WorldState."""
        infos = []
        for walker in self.robots.values():
            if not walker.silent:
                walker.heard_at_ns = self.now_ns
            x, y = self._where(walker)
            mode = RobotMode.ACTING if walker.present and walker.present.action else RobotMode.IDLE
            infos.append(
                RobotInfo(
                    walker.id, Pose2D(x, y), walker.battery, tuple(walker.load),
                    RobotMode.MOVING if walker.present and mode is RobotMode.IDLE else mode,
                    walker.reached_seq, walker.heard_at_ns, walker.problem,
                )
            )  # fmt: skip
        return WorldState(self.ticks, self.now_ns, robots=tuple(infos), **{"objects": (), **known})  # type: ignore[arg-type]

    def _where(self, walker: Walker) -> tuple[float, float]:
        """On the straight line from the cell it leaves to the one it enters."""
        x, y = self.site.centre(walker.cell)
        if walker.present is None:
            return x, y
        done = 1.0 - walker.left / walker.takes
        return x + done * (walker.present.x_m - x), y + done * (walker.present.y_m - y)

    def obey(self, plan: Plan) -> None:
        """Robots receive their routes; what one is doing right now it finishes first."""
        for robot_plan in plan.robots:
            walker = self.robots.get(robot_plan.robot)
            if walker is not None and not walker.silent:
                self._receive(walker, robot_plan)

    def _receive(self, walker: Walker, plan: RobotPlan) -> None:
        busy = walker.waypoints[:1] if walker.present else []
        after = busy[0].seq if busy else walker.reached_seq
        walker.waypoints = busy + [w for w in plan.released if w.seq > after]

    def tick(self) -> None:
        """Everyone gets on for one tick."""
        self.ticks += 1
        for walker in self.robots.values():
            self._run(walker)
            self.tracks[walker.id].append(walker.cell)
        self._check()

    def _run(self, walker: Walker) -> None:
        if walker.waypoints and walker.left == 0 and not walker.silent:
            waypoint = walker.waypoints[0]
            if waypoint.action:
                walker.left = max(1, round(waypoint.dwell_s / self.tick_s))
            else:
                walker.left = max(1, self.pace(walker.id, waypoint))
            walker.takes = walker.left
            self._check_start(walker, waypoint)
        if walker.left > 0 and not walker.silent:
            waypoint = walker.waypoints[0]
            charging = waypoint.action == "charge"
            walker.battery = min(1.0, max(0.0, walker.battery + (self.charge if charging else -self.drain)))
            self._check()  # while it holds both cells
            walker.left -= 1
            if walker.left == 0:
                self._complete(walker, walker.waypoints.pop(0))

    def _complete(self, walker: Walker, waypoint: Waypoint) -> None:
        walker.cell, walker.reached_seq = waypoint.cell, waypoint.seq
        order_id = waypoint.action_id.rpartition(":")[0]
        if waypoint.action == "pick":
            walker.load.append(order_id)
        elif waypoint.action == "drop":
            if order_id in walker.load:
                walker.load.remove(order_id)
            else:
                self.violations.append(f"{walker.id} drops {waypoint.action_id}, which it does not carry")

    def _check_start(self, walker: Walker, waypoint: Waypoint) -> None:
        near = {walker.cell, *self.site.neighbours(walker.cell)}
        if waypoint.cell not in near or (waypoint.action and waypoint.cell != walker.cell):
            self.violations.append(f"{walker.id} is sent from {walker.cell} to {waypoint.cell}, tick {self.ticks}")

    def _check(self) -> None:
        owner: dict[int, str] = {}
        for walker in self.robots.values():
            for cell in sorted(walker.cells):
                other = owner.setdefault(cell, walker.id)
                if other != walker.id and len(self.violations) < 100:
                    self.violations.append(f"{other} and {walker.id} in cell {cell}, tick {self.ticks}")


def joint_paths(tracks: Mapping[str, Sequence[int]]) -> tuple[list[str], list[list[int]]]:
    """(robots, rows): where each robot is at each tick."""
    robots = list(tracks)
    return robots, [list(row) for row in zip(*(tracks[r] for r in robots), strict=True)]
