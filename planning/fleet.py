"""The robots as the planner follows them: where each has got to, and what it was sent.

Every released waypoint has a sequence id. A robot reports the last one it completed; reports may be a
second old, so a waypoint is never taken for unreached only because the report says so: the one behind
the reported is never withdrawn, withdrawn cells stay shut to others for `settle_s` and until the robot
stands in the last cell left to it, and in that time it is sent nothing new. If it turns out to have entered a withdrawn cell all the same, it holds it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from aislewise.clock import to_ns
from aislewise.errors import ConflictError
from aislewise.sitemap import SiteMap
from aislewise.types import U8, RobotInfo, RobotMode, Waypoint
from planning.config import PlannerConfig
from planning.execute import ReleaseGraph
from planning.goals import Goal
from planning.rights import Rights
from planning.traffic import TrafficPlanner

Bool = NDArray[np.bool_]
ASTRAY_CELLS = 1.5  # a robot farther than this from all its cells was moved by someone
AT_WORK = (RobotMode.ACTING, RobotMode.CHARGING)
UNDER_WAY = (RobotMode.MOVING, RobotMode.STOPPED)
ADRIFT_CELLS = 0.75  # nor does one on its way to the next cell get as far as this from both that and its own
CENTRED = 0.2  # of a cell: a robot this near to the centre stands in its cell alone
LATE_S = 5.0  # on the way to the next cell for so long and the time of two: no robot that turns and sets off needs as much


@dataclass(slots=True)
class Robot:
    """pending: released waypoints not yet completed; loads: load id per pending action's seq (-1: charge);
    withdrawn: cell per seq taken back at withdrawn_ns, until settle_until_ns; moved_ns: last progress; foreign: it is
    at an action that an earlier planner sent, and will be sent nothing until that is over."""

    id: str
    info: RobotInfo
    cell: int
    next_seq: int
    moved_ns: int
    settle_until_ns: int
    pending: deque[Waypoint] = field(default_factory=deque)
    loads: dict[int, int] = field(default_factory=dict)
    withdrawn: dict[int, int] = field(default_factory=dict)
    withdrawn_ns: int = 0
    online: bool = True
    foreign: bool = False

    @property
    def able(self) -> bool:
        """It is heard of and says that it can carry out what it is sent."""
        return self.online and not self.info.problem

    @property
    def silent(self) -> bool:
        return not self.online and self.info.mode is not RobotMode.LOST

    @property
    def acting(self) -> bool:
        """An action is released and not completed: the robot goes nowhere after it for now."""
        return bool(self.loads)

    @property
    def dwell_left_s(self) -> float:
        return sum(w.dwell_s for w in self.pending)


@dataclass(frozen=True, slots=True)
class Done:
    """An action that a robot completed; load -1: a slice of charging."""

    robot: str
    load: int


class Fleet:
    """Robots, the cells they hold, and the waypoints they were sent."""

    def __init__(self, site: SiteMap, config: PlannerConfig) -> None:
        self._site, self.config = site, config
        self.graph = ReleaseGraph(site.free, lookahead=config.lookahead)
        self.robots: dict[str, Robot] = {}
        self.enrolled: list[str] = []
        self._centres: dict[int, tuple[float, float]] = {}
        self._shut_until: dict[int, int] = {}
        self._stalled_until: dict[int, int] = {}
        self._late: list[int] = []

    # --- hearing -------------------------------------------------------------------------------

    def hear(self, infos: Sequence[RobotInfo], now_ns: int) -> tuple[list[Done], list[int], bool]:
        """Take in the robots' reports: (actions done, loads whose released action a robot has lost,
        whether robots came or went). `enrolled` then says who begins anew: what those carry only they know. A robot
        that has lost its way holds the cell where it last knew where it was."""
        done: list[Done] = []
        lost: list[int] = []
        changed = False
        timeout = to_ns(self.config.robot_timeout_s)
        self.enrolled = []
        for info in sorted(infos, key=lambda r: r.id):
            heard = now_ns - info.heard_at_ns <= timeout
            fresh = heard and info.mode is not RobotMode.LOST
            robot = self.robots.get(info.id)
            changed |= robot is not None and robot.info.problem != info.problem
            if (heard and robot is None) or (fresh and robot is not None and self._out_of_step(robot, info)):
                lost += robot.loads.values() if robot else []
                changed |= self._enrol(info, now_ns)
            elif robot is not None and fresh:
                changed |= not robot.online
                robot.online = True
                done += self._advance(robot, info, now_ns)
        reports = {info.id: info for info in infos}
        for robot in self.robots.values():
            info = reports.get(robot.id, robot.info)
            if robot.online and (now_ns - info.heard_at_ns > timeout or info.mode is RobotMode.LOST):
                robot.online, changed = False, True
            if info.mode is RobotMode.LOST:  # what it says of its place and route counts no more
                robot.info = replace(robot.info, mode=info.mode, problem=info.problem)
        return done, lost, changed

    def _out_of_step(self, robot: Robot, info: RobotInfo) -> bool:
        """The robot has restarted, was carried elsewhere, or obeys somebody else."""
        known = robot.next_seq - 1
        if info.reached_seq > known and info.reached_seq not in robot.withdrawn:
            return True
        if info.reached_seq < robot.info.reached_seq:
            return True
        cells = (*self.graph.held(robot.id), *robot.withdrawn.values())
        return all(self._gap(info, cell) > ASTRAY_CELLS for cell in cells)

    def _gap(self, info: RobotInfo, cell: int) -> float:
        """Distance of a robot from a cell's centre, in cells."""
        x, y = self._centre(cell)
        return math.hypot(info.pose.x_m - x, info.pose.y_m - y) / self._site.resolution_m

    def _centre(self, cell: int) -> tuple[float, float]:
        """x, y in m; worked out once for each cell, as it is asked for several times a step for every robot."""
        found = self._centres.get(cell)
        if found is None:
            found = self._centres[cell] = self._site.centre(cell)
        return found

    def _enrol(self, info: RobotInfo, now_ns: int) -> bool:
        """Give the robot the nearest open cell that nobody holds; False if there is none yet."""
        centres = self._site.centres()
        gap = np.hypot(centres[:, 0] - info.pose.x_m, centres[:, 1] - info.pose.y_m)
        gap[~self._site.free.ravel()] = np.inf
        for cell in np.argsort(gap, kind="stable")[:4].tolist():
            if gap[cell] > ASTRAY_CELLS * self._site.resolution_m:
                break
            try:
                self.graph.reset_robot(info.id, cell)
            except ConflictError:
                continue
            settle = now_ns + to_ns(self.config.settle_s)
            self.robots[info.id] = Robot(
                info.id, info, cell, info.reached_seq + 1, now_ns, settle, foreign=info.mode in AT_WORK
            )
            self.enrolled.append(info.id)
            if info.mode in UNDER_WAY:
                # It finishes the leg it is on under the number that comes next. Were that number another cell's, it would
                # be believed there, or refuse what follows as too far away.
                self._append(self.robots[info.id], cell)
            return True
        return False

    def _advance(self, robot: Robot, info: RobotInfo, now_ns: int) -> list[Done]:
        done: list[Done] = []
        cells = 0
        while robot.pending and robot.pending[0].seq <= info.reached_seq:
            waypoint = robot.pending.popleft()
            robot.moved_ns = now_ns
            if waypoint.action:
                done.append(Done(robot.id, robot.loads.pop(waypoint.seq)))
            elif waypoint.cell != robot.cell:
                robot.cell = waypoint.cell
                cells += 1
        if cells:
            self.graph.left_behind(robot.id, cells)
        entered = robot.withdrawn.get(info.reached_seq, robot.cell)
        if entered != robot.cell and self._gap(info, entered) < self._gap(info, robot.cell):
            self._went_on(robot, info)
        robot.info = info
        robot.foreign &= info.mode in AT_WORK
        if not robot.pending:
            robot.moved_ns = now_ns
        return done

    def _went_on(self, robot: Robot, info: RobotInfo) -> None:
        """The withdrawal came too late: the robot is in a cell that it was to stay out of, and which
        nobody else was given since."""
        cell = robot.withdrawn[info.reached_seq]
        try:
            self.graph.reset_robot(robot.id, cell)
        except ConflictError:  # reported far too late: `unstick` will find it a cell
            return
        robot.cell = cell
        robot.pending.clear()
        robot.next_seq = info.reached_seq + 1
        robot.withdrawn = {seq: cell for seq, cell in robot.withdrawn.items() if seq > info.reached_seq}

    # --- taking back ---------------------------------------------------------------------------

    def take_back(self, blocked: Bool, now_ns: int, loose: Bool | None = None) -> list[int]:
        """Withdraw what leads into blocked cells; returns the loads whose action was withdrawn. Where the floor is
        `loose` (H * W,), what is planned but not released is open to a better plan: who waits behind others for cells
        that these have not left keeps the whole crowd to an order that was good some time ago."""
        for robot in self.robots.values():
            if robot.withdrawn and self._unsettled(robot):
                robot.settle_until_ns = max(robot.settle_until_ns, now_ns + 1)
                for cell in robot.withdrawn.values():
                    self._shut_until[cell] = max(self._shut_until.get(cell, 0), now_ns + 1)
            elif now_ns >= robot.settle_until_ns:
                robot.withdrawn.clear()
        self._shut_until = {cell: until for cell, until in self._shut_until.items() if until > now_ns}
        self._stalled_until = {cell: until for cell, until in self._stalled_until.items() if until > now_ns}
        self._late = self._held_up(now_ns) if self.config.replanning else []
        open_again = blocked.copy() if loose is None else blocked | loose
        open_again[self._late] = True
        self.graph.retract(open_again)
        loads: list[int] = []
        for robot in self.robots.values():
            ahead = self.graph.held(robot.id)[1:]
            bad = next((k for k, cell in enumerate(ahead) if k and blocked[cell]), 0)
            if bad and robot.online:
                loads += self._withdraw(robot, bad, now_ns)
        return loads

    def bar(self, rights: Rights, now_ns: int) -> list[int]:
        """Rights have changed: withdraw what leads robots where they may not be any more, and have all that is not released
        planned anew. Returns the loads whose action was withdrawn."""
        self.graph.retract(np.ones(self._site.cells.size, np.bool_))
        loads: list[int] = []
        for robot in self.robots.values():
            barred = np.flatnonzero(rights.barred(robot.id)[list(self.graph.held(robot.id)[1:])])
            if robot.online and len(barred):
                loads += self._withdraw(robot, int(barred[0]), now_ns)
                if not barred[0] and self._gap(robot.info, robot.cell) > CENTRED:
                    self._append(robot, robot.cell)
        return loads

    def _held_up(self, now_ns: int) -> list[int]:
        """Cells of robots that are late: free to drive, and not in the next cell by now. What they hold can be given to nobody
        else: they may set off at any moment."""
        late = [r.id for r in self.robots.values() if _under_way(r) and r.moved_ns < now_ns - to_ns(self._soon_s(r.pending[0]))]
        return [cell for robot in late for cell in self.graph.held(robot)]

    def _soon_s(self, move: Waypoint) -> float:
        """So long a move takes at most where nothing is in the way, where robots must drive slowly, too."""
        speed_mps = min(self.config.speed_mps, move.max_speed_mps or self.config.speed_mps)
        return LATE_S + 2 * self._site.resolution_m / speed_mps

    def _unsettled(self, robot: Robot) -> bool:
        """It has not come to stand in the last cell left to it."""
        return bool(robot.pending) or self._gap(robot.info, robot.cell) > CENTRED

    def unstick(self, now_ns: int) -> tuple[list[int], list[str]]:
        """Robots that have not got on for stall_s, or say that they cannot, turn back to their cell, and the cell ahead counts as
        blocked for a while. Returns the loads whose action was withdrawn, and the robots."""
        loads: list[int] = []
        stuck: list[str] = []
        for robot in list(self.robots.values()):
            if robot.online and robot.withdrawn and not robot.pending:
                if now_ns - robot.withdrawn_ns >= to_ns(self.config.stall_s) and self._unsettled(robot):
                    self._enrol(robot.info, now_ns)  # it will not come back: it stands where it says
                    continue
            if self._adrift(robot, now_ns):
                loads += [load for load in robot.loads.values() if load >= 0]
                self._enrol(robot.info, now_ns)
                stuck.append(robot.id)
                continue
            ahead = self.graph.held(robot.id)[1:]
            if not (ahead and _under_way(robot)):
                continue
            if robot.able and now_ns - robot.moved_ns < to_ns(self.config.stall_s):
                continue
            loads += self._withdraw(robot, 0, now_ns)
            self._shut_until[ahead[0]] = self._stalled_until[ahead[0]] = now_ns + to_ns(self.config.stall_s)
            if self._gap(robot.info, robot.cell) > CENTRED:
                self._append(robot, robot.cell)
            stuck.append(robot.id)
        return loads, stuck

    def _adrift(self, robot: Robot, now_ns: int) -> bool:
        """It stands beside its way and does not get on: enrolled when the cell it stands in was another's, it was given
        the next one, and what it is sent from there does not begin where it is."""
        first = robot.pending[0] if robot.pending else None
        if not (robot.able and first and not first.action and now_ns - robot.moved_ns >= to_ns(self.config.stall_s)):
            return False
        return min(self._gap(robot.info, robot.cell), self._gap(robot.info, first.cell)) > ADRIFT_CELLS

    def _withdraw(self, robot: Robot, keep: int, now_ns: int) -> list[int]:
        """Keep the first `keep` cells ahead of a robot."""
        left = 0
        kept: deque[Waypoint] = deque()
        loads = []
        until = now_ns + to_ns(self.config.settle_s)
        for waypoint in robot.pending:
            if left < keep:
                kept.append(waypoint)
                left += waypoint.cell != robot.cell
                continue
            robot.withdrawn[waypoint.seq] = waypoint.cell
            self._shut_until[waypoint.cell] = max(until, self._shut_until.get(waypoint.cell, 0))
            if waypoint.action:
                loads.append(robot.loads.pop(waypoint.seq))
        robot.pending = kept
        robot.next_seq = kept[-1].seq + 1 if kept else robot.info.reached_seq + 1
        robot.settle_until_ns, robot.moved_ns, robot.withdrawn_ns = until, now_ns, now_ns
        self.graph.withdraw(robot.id, keep)
        return [load for load in loads if load >= 0]

    def shut(self, size: int) -> Bool:
        """(size,) bool: cells withdrawn of late, or where someone got stuck or is late."""
        mask = np.zeros(size, np.bool_)
        mask[list(self._shut_until)] = True
        mask[self._late] = True
        return mask

    def stalled(self, size: int) -> Bool:
        """(size,) bool: cells where someone got stuck of late."""
        mask = np.zeros(size, np.bool_)
        mask[list(self._stalled_until)] = True
        return mask

    def wrecks(self) -> dict[int, str]:
        """Cells held by robots that are silent (whether they are there nobody knows) or cannot carry on, and why."""
        return {
            cell: f"silent robot {robot.id}" if robot.silent else f"robot {robot.id}: {robot.info.problem or 'lost'}"
            for robot in self.robots.values() if not robot.able for cell in self.graph.held(robot.id)
        }  # fmt: skip

    # --- planning ------------------------------------------------------------------------------

    def joint_paths(
        self, traffic: TrafficPlanner, goals: Mapping[str, Goal], shut: Bool, now_ns: int, *,
        costs: NDArray[np.int64] | None = None, detours: bool = True, leave: U8 | None = None, rights: Rights | None = None,
    ) -> tuple[list[str], NDArray[np.int32], NDArray[np.int32]]:  # fmt: skip
        """(names, starts (N,), paths (T + 1, N)) of all robots, from where what is committed to them ends. Who has no
        goal stays unless pushed; who acts, or has not obeyed a withdrawal yet, is not moved."""
        robots = list(self.robots.values())
        names = [r.id for r in robots]
        starts = np.array([self.graph.end_cell(name) for name in names], np.int32)
        aims = [goals.get(name) for name in names]
        apart = rights is not None and rights.floors.apart
        paths = traffic.plan(
            starts,
            [aim.cell if aim else -1 for aim in aims],
            [aim.urgency if aim else 0 for aim in aims],
            [not r.able or r.acting or self.settling(r, now_ns) for r in robots],
            shut,
            self.config.horizon,
            dwell=[aim is not None and aim.dwells for aim in aims],
            costs=costs,
            names=names,
            headings=[self.heading(r) for r in robots],
            detours=detours,
            leave=leave,
            floors=rights.floors if apart and rights else None,
            floor_of=[rights.floor(name) for name in names] if apart and rights else None,
        )
        return names, starts, paths

    # --- sending -------------------------------------------------------------------------------

    def settling(self, robot: Robot, now_ns: int) -> bool:
        return robot.foreign or now_ns < robot.settle_until_ns

    def send_cells(self, released: dict[str, list[int]], limits: NDArray[np.float64] | None = None) -> None:
        """Cells that robots may drive to, from the last ones that they were sent to. limits: (H * W,) m/s, inf = none."""
        for robot_id, cells in released.items():
            robot, before = self.robots[robot_id], -1
            if limits is not None and cells:
                before = robot.pending[-1].cell if robot.pending else robot.cell
            for cell in cells:
                most = math.inf if limits is None else min(limits[before], limits[cell])
                self._append(robot, cell, max_speed_mps=float(most) if most < math.inf else 0.0)
                before = cell

    def send_action(self, robot: Robot, action: str, action_id: str, dwell_s: float, load: int, object_id: str = "") -> None:
        """An action where the robot will stand when it has run all that is released to it."""
        robot.loads[robot.next_seq] = load
        cell = self.graph.end_cell(robot.id)
        self._append(robot, cell, action, action_id, dwell_s, object_id)

    def _append(
        self,
        robot: Robot,
        cell: int,
        action: str = "",
        action_id: str = "",
        dwell_s: float = 0.0,
        object_id: str = "",
        max_speed_mps: float = 0.0,
    ) -> None:
        x_m, y_m = self._centre(cell)
        robot.pending.append(Waypoint(robot.next_seq, x_m, y_m, cell, action, action_id, dwell_s, object_id, max_speed_mps))
        robot.next_seq += 1

    def heading(self, robot: Robot) -> int:
        """Which way it will look when it has run all that is committed to it: difference to the cell ahead."""
        way = self.graph.committed(robot.id)
        if len(way) > 1:
            return way[-1] - way[-2]
        yaw = robot.info.pose.yaw_rad
        return round(math.cos(yaw)) + self._site.width * round(math.sin(yaw))

    def all_released(self, robot: Robot) -> bool:
        """Nothing is committed to the robot beyond what it holds."""
        return len(self.graph.held(robot.id)) == len(self.graph.committed(robot.id))


def _under_way(robot: Robot) -> bool:
    """It is heard of, and what it has to do next is to drive into another cell."""
    first = robot.pending[0] if robot.pending else None
    return bool(robot.online and first and not first.action and first.cell != robot.cell)
