"""Plays a League of Robot Runners problem with a process per zone; tasks are given as in planning.lorr_run.

A step: goals go out to the zones; robots that asked at a gate are shown to the zone behind it, which says yes or no; of
what it grants stands what leaves no zone too full; then all zones plan at the same time. The merged actions of all zones
are played by the same rules, and written the same way, as those of one planner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planning.guidance import lane_prices
from planning.lifelong import _deepest
from planning.lifelong_ops import WAIT
from planning.lifelong_tables import UNIT
from planning.lorr import I32, I64, Problem
from planning.lorr_run import Pace, Runner
from planning.zones import ZoneMap
from planning.zones_plan import Answer, Robots
from planning.zones_process import ProcessZone, Zone, ZoneDiedError, ZoneSpec
from planning.zones_roads import GateGraph

Bool = NDArray[np.bool_]

FULL = 0.9
"""Robots per cell from which a zone lets in no more than it sends out: without a gap nobody moves."""
DEATHS = 3
"""In a row, without a step between, before a zone is given up."""


class ZonedRunner(Runner):
    """One problem over zones. `crossings`, `waits` (G,): robots through each gate, and steps that robots waited there after
    they asked; `deaths`: (step, zone) each time a zone was started again; `busy`: per step the seconds of processor time
    of each zone."""

    def __init__(
        self, problem: Problem, zones: ZoneMap, pace: Pace, *, depth: int | None = None, guided: bool = True, seed: int = 0,
        start: Callable[[ZoneSpec], Zone] = ProcessZone,
    ) -> None:  # fmt: skip
        super().__init__(problem, pace, depth=depth, guided=guided, seed=seed)
        self.zones = zones
        by_cell = np.full((problem.free.size, 4), UNIT, np.int32)
        if guided:
            by_cell[self.roads.cells] = lane_prices(problem.free)
        deep = depth if depth is not None else max(2, _deepest(problem.robots, True).depth)
        specs = [ZoneSpec(zones, z, by_cell, problem.robots, deep, seed) for z in range(zones.zones)]
        self._workers: list[Zone] = []
        try:
            for spec in specs:
                self._workers.append(start(spec))
        except BaseException:
            self.close()
            raise
        self._room = np.array([max(1, int(FULL * zones.cells_of(z))) for z in range(zones.zones)])
        self._zone_of: I32 = zones.label.ravel()
        self._graph: GateGraph | None = None
        self._way_row: I32 = np.full(problem.free.size, -1, np.int32)
        self._ways: I32 = np.empty((0, len(zones.gates)), np.int32)
        self._known: Bool = np.zeros((zones.zones, problem.free.size), np.bool_)
        self._asks: tuple[I32, I32] = (np.empty(0, np.int32), np.empty(0, np.int32))
        self._waited: I32 = np.zeros(problem.robots, np.int32)
        self._fresh, self._faults = True, 0
        self.crossings: I64 = np.zeros(len(zones.gates), np.int64)
        self.waits: I64 = np.zeros(len(zones.gates), np.int64)
        self.deaths: list[tuple[int, int]] = []
        self.busy: list[list[float]] = []

    def __enter__(self) -> ZonedRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for worker in self._workers:
            worker.stop()

    def connect(self) -> None:
        """Have the zones measure the ways between their gates; the first step does it if nobody has."""
        if self._graph is None:
            self._graph = GateGraph(self.zones, self._call_all("hops", [()] * self.zones.zones))

    def step(self) -> float:
        """Decide one step and play it; returns the seconds it took (0 without a clock).

        A zone whose process dies is started again from what is known here; in that step all robots of the site stand.
        ZoneDiedError when it dies again and again."""
        clock = self.pace.clock
        begin = clock() if clock is not None else 0.0
        spent = [worker.busy_s for worker in self._workers]
        schedule = self._choose_tasks()
        try:
            actions = self._decide(self._robots(schedule))
            self._fresh, self._faults = False, 0
        except ZoneDiedError as error:
            self._revive(error)
            actions = np.full(self.problem.robots, WAIT, np.int32)
        self.busy.append([worker.busy_s - s for worker, s in zip(self._workers, spent, strict=True)])
        took = clock() - begin if clock is not None else 0.0
        refused = len(self.league.record.errors)
        self.league.advance(actions, schedule, took)
        self._fresh |= len(self.league.record.errors) > refused
        return took

    def _robots(self, schedule: I64) -> Robots:
        goal, then, rest = self._goals(schedule)
        cells = np.append(self.roads.cells, -1).astype(np.int32)  # -1, no goal, takes the last
        ids = np.arange(self.problem.robots, dtype=np.int32)
        return Robots(ids, self.league.cell, self.league.heading, cells[goal], cells[then], rest)

    def _decide(self, robots: Robots) -> I32:
        """Both phases, in all zones; the merged actions."""
        self.connect()
        self._find_ways(np.concatenate([robots.goal, robots.then]))
        zone = self._zone_of[robots.cell]
        gates, ids = self._asks if not self._fresh else (self._asks[0][:0], self._asks[1][:0])
        first = np.lexsort((gates, -self._waited[ids]))
        gates, ids = gates[first], ids[first]
        robots_in = np.bincount(zone, minlength=self.zones.zones)
        full, ends = robots_in >= self._room, self.zones.gates
        # Nobody presses into a full zone from one with room: the full one must be able to send out.
        shut = full[ends.to_zone] & ~full[ends.from_zone]
        towards = np.where(shut[gates], -1, ends.to_zone[gates])
        looks = []
        for z in range(self.zones.zones):
            own, comers = robots.take(np.flatnonzero(zone == z)), robots.take(ids[towards == z])
            news, waited = self._news(z, own, comers), self._waited[comers.ids]
            looks.append((own, gates[towards == z], comers, waited, news, shut, self._fresh))
        granted = np.zeros(len(gates), np.bool_)
        for z, yes in enumerate(self._call_all("look", looks)):
            granted[towards == z] = yes
        granted &= self._leave_room(gates, granted, robots_in, self._waited[ids])
        steps = []
        for z, (own, *_) in enumerate(looks):
            share = -(-self.pace.rounds * len(own) // max(1, len(robots)))
            passing = np.sort(ids[granted & (zone[ids] == z)])
            steps.append((passing, granted[towards == z], share))
        answers: list[Answer] = self._call_all("plan_step", steps)
        self._note(gates, ids, granted, shut[gates])
        self._asks = (np.concatenate([a.gates for a in answers]), np.concatenate([a.ids for a in answers]))
        actions = np.full(len(robots), WAIT, np.int32)
        for (own, *_), answer in zip(looks, answers, strict=True):
            actions[own.ids] = answer.actions
        return actions

    def _find_ways(self, cells: I32) -> None:
        """From behind every gate to the goals that are new; their zones are asked."""
        fresh = np.unique(cells[cells >= 0])
        fresh = fresh[self._way_row[fresh] < 0]
        if not len(fresh) or self._graph is None:
            return
        goals = [fresh[self._zone_of[fresh] == z] for z in range(self.zones.zones)]
        for z, table in enumerate(self._call_all("from_gates", [(g,) for g in goals])):
            self._way_row[goals[z]] = len(self._ways) + np.arange(len(goals[z]))
            self._ways = np.concatenate([self._ways, self._graph.to_goals(z, table)])

    def _news(self, zone: int, *robots: Robots) -> tuple[I32, I32]:
        """Goals that a zone has not heard of, and the ways to them."""
        cells = np.unique(np.concatenate([part for r in robots for part in (r.goal, r.then)]))
        cells = cells[cells >= 0]
        cells = cells[~self._known[zone, cells]].astype(np.int32)
        self._known[zone, cells] = True
        return cells, self._ways[self._way_row[cells]]

    def _leave_room(self, gates: I32, granted: Bool, robots: I64, waited: I32) -> Bool:
        """Which grants stand: those of a zone that would be fuller than allowed, or fuller still, fall away, latest
        comers first. What remains may go round in rings, so full zones can still change robots."""
        kept = granted.copy()
        came, went = self.zones.gates.from_zone[gates], self.zones.gates.to_zone[gates]
        room = np.maximum(self._room, robots)
        while True:
            then = (
                robots + np.bincount(went[kept], minlength=len(robots)) - np.bincount(came[kept], minlength=len(robots))
            )
            over = kept & (then > room)[went]
            if not over.any():
                return kept
            latest = np.flatnonzero(over)
            kept[latest[np.argmin(waited[latest])]] = False

    def _note(self, gates: I32, ids: I32, granted: Bool, shut: Bool) -> None:
        np.add.at(self.crossings, gates[granted], 1)
        np.add.at(self.waits, gates[~granted], 1)
        before = self._waited[ids]
        self._waited[:] = 0
        self._waited[ids[~granted]] = (before + ~shut)[~granted]

    def _revive(self, error: ZoneDiedError) -> None:
        self._faults += 1
        if self._faults > DEATHS:
            raise error
        self.deaths.append((self.league.step, error.zone))
        worker = self._workers[error.zone]
        worker.start()
        self._known[:] = False  # the others may not have got what was sent in this step
        self._fresh = True

    def _call_all(self, method: str, args: Sequence[tuple[object, ...]]) -> list[Any]:
        """All zones at the same time; results in their order."""
        for worker, given in zip(self._workers, args, strict=True):
            worker.ask(method, *given)
        return [worker.answer() for worker in self._workers]
