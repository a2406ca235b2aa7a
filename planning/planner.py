"""The planner: world state and orders in, a checked plan with released routes out.

One call of `step` a second or so. It knows no ROS and no clock; with the same calls and seed it gives
the same plans.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from aislewise.clock import to_ns, to_s
from aislewise.sitemap import SiteMap
from aislewise.types import U8, Decision, Plan, RobotInfo, RobotPlan, Task, TaskKind, WorldState
from planning.check import Violation, check_lanes, check_paths, check_release, check_rights
from planning.config import PlannerConfig
from planning.dispatch import Dispatcher, Stop
from planning.distance import UNREACHABLE, DistanceTables
from planning.fleet import Done, Fleet, Robot
from planning.goals import Goal, Goals, Mover, exits
from planning.ledger import ON_BOARD, Ledger, Load, LoadState
from planning.obstacles import Blocked, Bool, Obstacles
from planning.offers import Candidate
from planning.pace import Pace
from planning.power import Power
from planning.rights import OwnSteps, Rights
from planning.routing import I64
from planning.sequence_lns import warm_up
from planning.sqlite import StoreError
from planning.store import OrderStore
from planning.traffic import TrafficPlanner
from planning.ways import Ways
from planning.why_book import Book
from planning.why_floor import Floor

__all__ = ["Planner", "PlannerConfig"]

DEFAULTS = PlannerConfig()
LARGE_FLEET = 40
"""Robots from which on aisles have a direction, and planned moves that turn out bad are dropped."""
EXIT_COST = 50  # steps of detour that others make round cells opened for a robot to leave a keep-out
CHARGING = -1  # stands for a load in a charge action


class Planner:
    """Plans for one site. Orders come from and their states go to `store`."""

    def __init__(
        self, site: SiteMap, store: OrderStore, config: PlannerConfig = DEFAULTS, seed: int = 0
    ) -> None:
        self.site, self.config = site, config
        self._book = Book(site, store)
        self._ledger = Ledger(site, store, config, self._book.change)
        self._fleet = Fleet(site, config)
        self._obstacles = Obstacles(site, config)
        self._traffic = TrafficPlanner(site.free, seed)
        self._leave: U8 | None = None
        self._static = DistanceTables(site.free)
        self._power = Power(site, config)
        self._pace = Pace()
        self._place_at = {p.cell: p.id for p in site.places.values() if p.kind == "charger"}
        self._dispatcher = Dispatcher(config, site.resolution_m)
        warm_up()  # now, as a robot that waits for its first plan should not wait for a compiler as well
        self._sequences: dict[str, tuple[Stop, ...]] = {}
        self._standing: Bool | None = None
        self._why: dict[int, str] = {}
        self._open_tables = DistanceTables(site.free)
        self._abilities, self._widths = config.abilities(), config.widths_cells()
        self._entitle(Rights(site, self._abilities, self._widths))
        self._ways = Ways(site, config.speed_mps, self._rights.floors)
        self._barred_anew = False  # robots may be on ways that they may not go on
        self._dispatched_ns = -1
        self._stale = True
        self._mended = False  # only, and not yet searched for better
        self._waiting: dict[str, tuple[str, bool]] = {}
        self._solver = "none"
        self._version = 0
        self._decisions: list[Decision] = []

    def step(self, world: WorldState, now_ns: int) -> Plan:
        """The next plan. Robots run what it releases, and nothing else."""
        self._decisions = []
        self._book.look(world)
        self._hear(world.robots, now_ns)
        self._take_in(world, now_ns)
        blocked = self._obstacles.update(world, now_ns, self._ways.kept_out(to_s(now_ns))).with_wrecks(self._fleet.wrecks())
        self._why = {cell: why for cell, why in blocked.why.items() if blocked.standing[cell]}
        large = len(self._fleet.robots) > LARGE_FLEET
        shut, costs = self._close(blocked, large, now_ns)
        self._withdraw(shut, now_ns, large)
        shut |= self._fleet.shut(self.site.cells.size)
        self._dispatch(blocked, now_ns)
        goals = self._aim(shut)
        paths = self._drive(goals, shut, costs, now_ns)
        self._act(goals, now_ns)
        plan = self._plan(world, paths, now_ns)
        self._book.close(
            world, plan, goals, blocked, self._leave, self._waiting, self._fleet, self._ledger, self._power, self.config
        )
        return plan

    def reconfigure(self, config: PlannerConfig) -> None:
        """Other settings from the next step on; those that loads and waiting places rest on stay as they are."""
        kept = self.config
        config = replace(
            config, capacity=kept.capacity, payload_kg=kept.payload_kg, volume_l=kept.volume_l, queue_gap=kept.queue_gap,
            replanning=kept.replanning,
        )  # fmt: skip
        self.config, self._stale = config, True
        self._ledger.config = self._fleet.config = self._obstacles.config = self._power.config = config
        self._fleet.graph.lookahead = config.lookahead
        self._abilities, self._widths = config.abilities(), config.widths_cells()
        rights = Rights(self.site, self._abilities, self._widths)
        if not rights.same(self._rights):
            self._entitle(rights)
            self._barred_anew, self._standing = True, None
            chargers = self._power.chargers
            self._power.chargers = {robot: cell for robot, cell in chargers.items() if not rights.barred(robot)[cell]}
        self._ways = Ways(self.site, config.speed_mps, self._rights.floors)
        self._dispatcher = Dispatcher(config, self.site.resolution_m)

    def _entitle(self, rights: Rights) -> None:
        """Where each robot may drive."""
        self._rights, floors = rights, rights.floors
        self._static.redirect(floors.walled(), floors.walled())
        self._open_tables.redirect(floors.neighbours(self.site.free, None), floors.sources(self.site.free, None))
        self._goals = Goals(self.site, self._static, self.config.queue_gap)

    def blocked_cells(self) -> dict[int, str]:
        """Cells that routes are planned round now, and what blocks each."""
        return dict(self._why)

    def orders_by_state(self) -> Counter[str]:
        """Of the orders in work."""
        return Counter(job.state.value for job in self._ledger.jobs.values())

    @property
    def floor(self) -> Floor | None:
        """The floor as the last step left it, for those who ask why; any thread may read it."""
        return self._book.floor

    def waiting(self) -> dict[str, str]:
        """Order -> why nobody is on the way to it now."""
        return {order_id: reason for order_id, (reason, _) in self._waiting.items()}

    # --- what has happened ---------------------------------------------------------------------

    def _hear(self, infos: Iterable[RobotInfo], now_ns: int) -> None:
        done, lost, changed = self._fleet.hear(tuple(infos), now_ns)
        self._stale |= changed or bool(done)
        for item in done:
            self._finish(item, now_ns)
        self._take_back(lost, now_ns)
        for name in self._fleet.enrolled:
            self._ledger.found(self._fleet.robots[name].info, now_ns)
        for robot in self._fleet.robots.values():
            if robot.able:
                continue
            if not robot.silent:
                self._decisions.append(Decision(robot.id, "left out", robot.info.problem or robot.info.mode.value))
            if self.config.replanning:
                self._sequences.pop(robot.id, None)
                self._ledger.release(robot.id)
            if now_ns - robot.info.heard_at_ns > to_ns(self.config.lost_after_s):
                self._ledger.robot_gone(robot.id, now_ns)

    def _take_in(self, world: WorldState, now_ns: int) -> None:
        """A store that cannot be read stops no robot: the orders that are known go on."""
        try:
            self._stale |= self._ledger.take_in(world.robots, now_ns)
        except StoreError as error:
            self._decisions.append(Decision("orders", "no new ones are taken in", str(error)))

    def _finish(self, item: Done, now_ns: int) -> None:
        self._pace.finish(item.robot, now_ns)
        load = self._ledger.loads.get(item.load)
        if load is not None:
            self._ledger.done(load, now_ns)

    def _take_back(self, loads: Iterable[int], now_ns: int) -> None:
        for load in (self._ledger.loads.get(number) for number in loads):
            if load is not None:
                self._ledger.take_back(load, now_ns)
                self._stale = True

    # --- what is in the way --------------------------------------------------------------------

    def _close(self, blocked: Blocked, large: bool, now_ns: int) -> tuple[Bool, I64]:
        """(H * W,) cells nobody may enter now, and what entering the others costs. A robot caught in
        a keep-out finds a way out of it open."""
        leave = self._ways.leave(blocked.standing | self._fleet.stalled(blocked.standing.size), large)
        floors = self._rights.floors
        changed = leave is not self._leave or self._standing is None or not np.array_equal(blocked.standing, self._standing)
        self._leave = leave
        if changed and self.config.replanning:
            self._standing = blocked.standing
            free = self.site.free & ~blocked.standing.reshape(self.site.cells.shape)
            ways_out = floors.neighbours(free, leave)
            both_ways = leave is None and not floors.apart
            self._open_tables.reshape(free, ways_out, ways_out if both_ways else floors.sources(free, leave))
            self._stale = True
        if self.config.replanning:
            self._open_tables.reprice(self._ways.costs(to_s(now_ns), large=False))
        shut = blocked.any
        costs = self._ways.costs(to_s(now_ns), large)
        # Only for a robot that is inside: one on its way in has its way withdrawn instead.
        ends = {
            r.id: self._fleet.graph.end_cell(r.id)
            for r in self._fleet.robots.values()
            if r.able and blocked.forbidden[r.cell]
        }
        ways: set[int] = set()
        nbr = np.split(floors.neighbours(self.site.free, None), len(floors)) if floors.apart and ends else [self._static.nbr]
        for floor in {self._rights.floor(robot) for robot in ends}:
            mine = {robot: cell for robot, cell in ends.items() if self._rights.floor(robot) == floor}
            open_cells = self.site.free.ravel() & ~blocked.standing
            ways |= exits(mine, blocked.forbidden, open_cells, nbr[floor])
        for robot in ends:
            ways.update(c for c in self._fleet.graph.committed(robot) if blocked.forbidden[c])  # on its way out
        for cell in ways:
            shut[cell] = blocked.passing[cell]
            costs[cell] = EXIT_COST
        return shut, costs

    def _withdraw(self, shut: Bool, now_ns: int, large: bool) -> None:
        self._take_back(self._fleet.take_back(shut, now_ns, self._ways.roomy if large else None), now_ns)
        if self._barred_anew:
            self._barred_anew = False
            self._take_back(self._fleet.bar(self._rights, now_ns), now_ns)
        loads, stuck = self._fleet.unstick(now_ns)
        self._take_back(loads, now_ns)
        for robot in stuck:
            because = self._fleet.robots[robot].info.problem or (
                f"no progress for {self.config.stall_s:g} s: the cell ahead counts as blocked for as long"
            )
            self._decisions.append(Decision(robot, "turn back", because))

    # --- what shall be done --------------------------------------------------------------------

    def _dispatch(self, blocked: Blocked, now_ns: int) -> None:
        """New sequences, when something has changed or the last ones have grown old: those in force mended at once, and
        better ones looked for in the step after."""
        age_s = to_s(now_ns - self._dispatched_ns)
        due = self._dispatched_ns < 0 or age_s >= (self.config.replan_min_s if self._stale else self.config.replan_period_s)
        search = self._mended
        if not due and not search:
            return
        self._mended = not search
        if due:
            self._dispatched_ns, self._stale = now_ns, False
        blocked = blocked if self.config.replanning else Blocked.nothing(self.site.cells.size)
        robots = [r for r in self._fleet.robots.values() if r.able]
        laden = {load.robot for load in self._ledger.loads.values() if load.state in ON_BOARD}
        busy = {robot for robot, stops in self._sequences.items() if stops} | laden
        own_steps = OwnSteps.of(self._open_tables, {r.cell: self._rights.floor(r.id) for r in robots})
        decided = self._power.assign(robots, laden, busy, own_steps, blocked.standing)
        self._decisions += decided
        candidates = [self._candidate(r, blocked) for r in robots]
        kept = {} if self.config.replanning else self._begun()
        promised = {self._ledger.loads[stop.load].order.order_id for stops in kept.values() for stop in stops}
        before = {r.id: self._sequences.get(r.id, ()) for r in robots if r.id not in kept}
        result = self._dispatcher(
            [c for c in candidates if c.robot not in kept],
            {order_id: job for order_id, job in self._ledger.jobs.items() if order_id not in promised},
            before, self._open_tables, blocked.standing, lambda cell: blocked.why.get(cell, "an obstacle"), now_ns,
            stretch=self._pace.stretch(), search=search, floors=self._rights.floors,
        )  # fmt: skip
        self._sequences, self._solver, self._waiting = kept | result.sequences, result.solver, result.waiting
        self._decisions += result.decisions
        self._book.dispatched(self._sequences, result, self._ledger, self._fleet, self._power, now_ns)
        for robot, stops in self._sequences.items():
            for stop in stops:
                order_id = self._ledger.loads[stop.load].order.order_id
                if stop.kind is TaskKind.PICK and order_id not in self._waiting:
                    driving = order_id == self._ledger.loads[stops[0].load].order.order_id
                    self._ledger.promise(order_id, robot, driving, now_ns)
        for order_id, (reason, is_blocked) in list(self._waiting.items()):
            if order_id in self._ledger.jobs:
                self._ledger.wait(order_id, reason, now_ns, is_blocked)

    def _begun(self) -> dict[str, tuple[Stop, ...]]:
        """What robots still have to do of the sequences they were given, of those too that cannot work now."""
        live = self._ledger.loads
        left = {
            robot: tuple(s for s in stops if s.load in live and live[s.load].state is not LoadState.DELIVERED)
            for robot, stops in self._sequences.items()
        }
        return {robot: stops for robot, stops in left.items() if stops}

    def _candidate(self, robot: Robot, blocked: Blocked) -> Candidate:
        cell, floor = self._rights.inside(robot.id, self._fleet.graph.end_cell(robot.id)), self._rights.floor(robot.id)
        if blocked.standing[cell]:
            cell = self._nearest_open(cell, floor, blocked.standing)
        driving = len(self._fleet.graph.committed(robot.id)) - 1
        ready_s = driving * self.site.resolution_m / self.config.speed_mps + robot.dwell_left_s
        return Candidate(
            robot.id, cell, ready_s, robot.info.battery, self._power.may_work(robot),
            self._abilities.get(robot.id, frozenset()), floor,
        )

    def _nearest_open(self, cell: int, floor: int, standing: Bool) -> int:
        steps = np.where(standing, UNREACHABLE, self._static.to(cell, floor))
        best = int(np.argmin(steps))
        return best if steps[best] < UNREACHABLE else cell

    # --- where everyone goes -------------------------------------------------------------------

    def _aim(self, shut: Bool) -> dict[str, Goal]:
        movers = []
        for robot in self._fleet.robots.values():
            if not robot.able:
                continue
            end = self._fleet.graph.end_cell(robot.id)
            task = end if robot.acting else self._task_cell(robot)
            here = end if robot.acting else self._rights.inside(robot.id, end)
            movers.append(Mover(robot.id, here, task, robot.acting, self._rights.floor(robot.id)))
        return self._goals(movers, shut, frozenset(self._power.chargers.values()))

    def _task_cell(self, robot: Robot) -> int:
        stops = self._remaining(robot)
        if stops:
            return stops[0].cell
        return self._power.chargers.get(robot.id, -1)

    def _remaining(self, robot: Robot) -> list[Stop]:
        """Stops whose action is not released yet."""
        out = []
        for stop in self._sequences.get(robot.id, ()):
            load = self._ledger.loads.get(stop.load)
            if load is None or load.state in (LoadState.DROPPING, LoadState.DELIVERED):
                continue
            if stop.kind is TaskKind.DROP or load.state is LoadState.WAITING:
                out.append(stop)
        return out

    def _drive(self, goals: Mapping[str, Goal], shut: Bool, costs: I64, now_ns: int) -> dict[str, list[int]]:
        """Plan joint paths, have them checked, and release what is safe. Returns the intended cells."""
        names, starts, paths = self._fleet.joint_paths(
            self._traffic, goals, shut, now_ns, costs=costs, detours=self.config.replanning, leave=self._leave,
            rights=self._rights,
        )  # fmt: skip
        wrong = check_paths(self.site.free, starts, None, paths, allow_rotation=False)
        if self._leave is not None:
            wrong += check_lanes(self._leave, paths)
        wrong += self._against_rights(zip(names, paths.T, strict=True))
        if wrong:
            self._decisions.append(Decision("fleet", "nothing new is released", f"checker: {wrong[0]}"))
            return {}
        released = self._fleet.graph.extend(names, paths, shut)
        wrong = check_release(self.site.free, {name: self._fleet.graph.held(name) for name in names})
        wrong += self._against_rights((name, self._fleet.graph.held(name)) for name, cells in released.items() if cells)
        if wrong:
            self._decisions.append(Decision("fleet", "nothing new is released", f"checker: {wrong[0]}"))
            for name, cells in released.items():
                self._fleet.graph.withdraw(name, len(self._fleet.graph.held(name)) - 1 - len(cells))
            return {}
        self._fleet.send_cells(released, self._ways.speed_limits(to_s(now_ns)))
        return {name: _moves(paths[:, k].tolist()) for k, name in enumerate(names)}

    def _against_rights(self, ways: Iterable[tuple[str, ArrayLike]]) -> list[Violation]:
        lanes = self.site.lanes
        if lanes is None or (lanes.only is None and lanes.width_cells is None):
            return []
        return check_rights(lanes.only, lanes.width_cells, self._abilities, self._widths, dict(ways))

    def _act(self, goals: Mapping[str, Goal], now_ns: int) -> None:
        """Release the actions of robots whose released way ends at their task."""
        for robot in self._fleet.robots.values():
            goal = goals.get(robot.id)
            if goal is None or not goal.dwells or robot.acting or self._fleet.settling(robot, now_ns):
                continue
            if self._fleet.graph.end_cell(robot.id) != goal.cell or not self._fleet.all_released(robot):
                continue
            stops = self._remaining(robot)
            if not stops:
                self._fleet.send_action(
                    robot, TaskKind.CHARGE.value, f"charge:{robot.id}", self.config.charge_slice_s, CHARGING
                )
            for stop in stops:
                if stop.cell != goal.cell:
                    break
                load = self._ledger.loads[stop.load]
                if not self._ledger.begin(load, robot.id, robot.next_seq, now_ns):
                    self._decisions.append(Decision(robot.id, "waits", "the order store cannot be written"))
                    break
                self._fleet.send_action(
                    robot, stop.kind.value, load.action_id, self._dwell_s(stop), load.id, load.object_id
                )

    def _dwell_s(self, stop: Stop) -> float:
        return self.config.pick_s if stop.kind is TaskKind.PICK else self.config.drop_s

    # --- what is published ---------------------------------------------------------------------

    def _plan(self, world: WorldState, paths: Mapping[str, list[int]], now_ns: int) -> Plan:
        self._version += 1
        blocked = {order_id: reason for order_id, (reason, shut) in self._waiting.items() if shut}
        stretch = self._pace.stretch()
        return Plan(
            self._version, world.version, now_ns,
            tuple(self._robot_plan(r, paths.get(r.id, []), stretch, now_ns) for r in self._fleet.robots.values()),
            {**self._ledger.refused, **blocked}, tuple(self._decisions), self._solver,
        )  # fmt: skip

    def _robot_plan(self, robot: Robot, path: list[int], stretch: tuple[float, float], now_ns: int) -> RobotPlan:
        held = self._fleet.graph.held(robot.id)
        committed = self._fleet.graph.committed(robot.id)
        tasks = self._tasks(robot)
        at, ideal_s, first_s = self._rights.inside(robot.id, robot.cell), 0.0, 0.0
        for task in tasks:
            steps = int(self._static.to(task.cell, self._rights.floor(robot.id))[at])
            ideal_s += steps * self.site.resolution_m / self.config.speed_mps + task.dwell_s
            first_s, at = first_s or ideal_s, task.cell
        if tasks:
            self._pace.start(robot.id, tasks[0].cell, now_ns, first_s)
        p50, p90 = stretch
        horizon = (*committed[len(held) :], *path)
        return RobotPlan(
            robot.id, tuple(tasks), tuple(robot.pending), horizon,
            now_ns + to_ns(ideal_s * p50), now_ns + to_ns(ideal_s * p90),
        )  # fmt: skip

    def _tasks(self, robot: Robot) -> list[Task]:
        """What is released and not done, then what is to come."""
        tasks = []
        for waypoint in robot.pending:
            if waypoint.action:
                load = self._ledger.loads.get(robot.loads[waypoint.seq])
                tasks.append(self._task(TaskKind(waypoint.action), waypoint.cell, waypoint.dwell_s, load))
        for stop in self._remaining(robot):
            tasks.append(self._task(stop.kind, stop.cell, self._dwell_s(stop), self._ledger.loads[stop.load]))
        charger = self._power.chargers.get(robot.id)
        if charger is not None and not robot.acting and robot.able:
            tasks.append(Task(TaskKind.CHARGE, charger, self.config.charge_slice_s, place=self._place_at.get(charger, "")))
        return tasks

    def _task(self, kind: TaskKind, cell: int, dwell_s: float, load: Load | None) -> Task:
        if load is None:
            return Task(kind, cell, dwell_s, place=self._place_at.get(cell, ""))
        place = load.pick_place if kind is TaskKind.PICK else load.drop_place
        return Task(kind, cell, dwell_s, load.order.order_id, load.line, place, load.object_id)


def _moves(cells: list[int]) -> list[int]:
    """The cells entered, without the waits."""
    return [b for a, b in itertools.pairwise(cells) if a != b]
