"""One zone's step, in two phases, so that no zone waits for another one's plan.

`look`: what is left of the last plan, with nobody leaving, is what surely can be done; an ask for the entry cell of a gate
is granted if the comer has a way from there that meets nobody of it. `plan`: with the gates that open now and the comers let
in, everybody's plan is improved; comers are planned from their first step on, so they never stop at a border.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from planning.lifelong import Effort, LifelongPlanner, _weights
from planning.lifelong_tables import FAR, UNIT, StateTables
from planning.zones import ZoneMap
from planning.zones_kernels import admit, bind, choose, replace, restrict, settle
from planning.zones_roads import NO_WAY, ZoneRoads

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

TABLE_BYTES = 1 << 30
"""For distance tables, per zone."""
NEAR_GATE = 8 * UNIT
"""Cost from which a robot counts as waiting at its gate."""
QUEUE = UNIT
"""Added to the way through a gate for each robot that waits there."""
STICK = UNIT
"""Cost that another gate must save."""
EARLIER = 16 * UNIT
"""Cost off what a comer has left to do, in the order of who goes first, per step that it has waited."""
PUSH = 16
"""A comer's cost counts once more for each step that it has waited, up to so many times: what is best for all may leave it
at the gate for ever, and with it those who wait for its cell."""


@dataclass(frozen=True, slots=True)
class Robots:
    """ids (N,); cell, goal, then (N,) cells of the whole floor, -1 = none; heading (N,); rest (N,) int64: cost of the
    work beyond the goal."""

    ids: I32
    cell: I32
    heading: I32
    goal: I32
    then: I32
    rest: I64

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, which: NDArray[np.generic]) -> Robots:
        return Robots(*(getattr(self, name)[which] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Answer:
    """actions (N,) as planning.lifelong has them; gates, ids (A,): the gates that robots would go through next step."""

    actions: I32
    gates: I32
    ids: I32


class ZonePlanner(LifelongPlanner):
    """Plans for the robots that stand in one zone. robots: of the whole site; by_cell (H * W, 4): guidance.

    Promises nobody of its zone a collision with anybody, its own or a comer, whatever the other zones do."""

    def __init__(self, zones: ZoneMap, zone: int, by_cell: I32, robots: int, *, depth: int, seed: int = 0) -> None:
        if depth < 2:
            raise InputError("depth", f"{depth}", "at least 2: gates are asked for a step ahead")
        self.roads = ZoneRoads(zones, zone)
        tables = StateTables(self.roads, self.roads.prices(by_cell), max_bytes=TABLE_BYTES)
        super().__init__(tables, len(self.roads), depth=depth, seed=seed)
        nodes, width = len(self.roads), self.ops.steps.shape[1]
        self._occ = np.full((2 * nodes, width + 1), -1, np.int32)
        self._all = (self._route, self._cost, self._rank, self._count)
        self._held_by: I32 = np.zeros(robots, np.int32)
        self._gate_of: I32 = np.full(robots, -1, np.int32)
        self._near = self.roads.near_border(width)
        straight = np.full(width, -1, np.int32)
        straight[0] = 0
        self._cross = int(np.flatnonzero((self.ops.steps == straight).all(axis=1))[0])
        self._way_row: I32 = np.full(zones.free.size, -1, np.int32)
        self._ways: I32 = np.empty((0, len(self.roads.out)), np.int32)

    def hops(self) -> I32:
        """(gates in, gates out) cost from behind one to behind the other; see GateGraph."""
        self.tables.require(self.roads.portal.tolist())
        rows = self.tables.slot[self.roads.portal]
        return self.tables.pool[rows[None, :], self._entry_states()[:, None]].astype(np.int32)

    def from_gates(self, goals: I32) -> I32:
        """(goals, gates in) cost from behind each gate to goals in this zone."""
        nodes = self.roads.numbers("goals", goals)
        self.tables.require(nodes.tolist())
        return self.tables.pool[self.tables.slot[nodes][:, None], self._entry_states()[None, :]].astype(np.int32)

    def learn(self, goals: I32, ways: I32) -> None:
        """ways (goals, G): from behind every gate of the site; those of gates that lead out of here are kept."""
        self._way_row[goals] = len(self._ways) + np.arange(len(goals))
        self._ways = np.concatenate([self._ways, ways[:, self.roads.out]])

    def look(
        self, robots: Robots, asked: I32, comers: Robots, waited: I32, news: tuple[I32, I32], shut: Bool, fresh: bool
    ) -> Bool:  # fmt: skip
        """Which of `comers` may come in through the gates `asked` (numbers in the ZoneMap), tried in this order; waited:
        steps since each first asked.
        robots: by ascending id. news: goals not heard of before and the ways to them, see `learn`. shut (G,): gates that
        let nobody in now. fresh: robots are not where the last plan wanted them; all plans begin anew."""
        self.learn(*news)
        self._shut = shut[self.roads.out]
        if fresh:
            self._held_by[:] = 0
        here = np.concatenate(
            [self.roads.number[robots.cell], self.roads.threshold[np.searchsorted(self.roads.into, asked)]]
        )
        self._robots, self._comers = robots, comers
        self._here, self._look = (
            here.astype(np.int32),
            np.concatenate([robots.heading, comers.heading]).astype(np.int32),
        )
        self._seat(len(here))
        self._held[:] = self._held_by[np.concatenate([robots.ids, comers.ids])]
        rest = np.concatenate([robots.rest, comers.rest - waited * np.int64(EARLIER)])
        self._push = np.concatenate([np.ones(len(robots), np.int32), 1 + np.minimum(waited, PUSH)]).astype(np.int32)
        goal, then = (np.concatenate([getattr(robots, f), getattr(comers, f)]) for f in ("goal", "then"))
        self._goal, after, rest = self._targets(goal, then, rest, np.concatenate([robots.ids, comers.ids]))
        self._urgent = self._value(self._here, self._look, self._goal, after, rest)
        aim = np.where(self._goal >= self.roads.own, self._goal, -1).astype(np.int32)
        restrict(
            self._route, self._cost, self._rank, self._count, self.ops.steps, self._here, aim, self._near,
            self.roads.own, len(self.roads),
        )  # fmt: skip
        if not settle(self._route, self._cost, self._held, self._here, self._occ):
            raise InputError("cell", "two robots in one cell")
        args = (self._route, self._rank, self._count, self._held, self._here, self._occ)
        return np.array([admit(*args, len(robots) + k) for k in range(len(comers))], np.bool_)

    def plan_step(self, passing: I32, admitted: Bool, rounds: int) -> Answer:
        """After `look`: the first actions, with the robots `passing` (ids) going through their gates now and those
        of the comers let in that are `admitted` on their way."""
        own = len(self._robots)
        index = np.searchsorted(self._robots.ids, passing)
        for i in index.tolist():
            self._send(i)
        for k, granted in enumerate(admitted.tolist()):
            bind(
                self._route, self._cost, self._rank, self._count, self._held, self._here, self._occ, own + k, granted
            )  # fmt: skip
        weights = _weights(self._urgent, self._goal >= 0) * self._push
        self._search(self._here, self._urgent, weights, Effort(rounds))
        rows = np.arange(own + len(self._comers))
        second = self._route[rows, self._held, 1]
        wish = np.flatnonzero((second >= self.roads.own) & (second < self.roads.own + len(self.roads.out)))
        wish = wish[(wish < own) | np.append(np.zeros(own, np.bool_), admitted)[wish]]
        ids = np.concatenate([self._robots.ids, self._comers.ids])
        actions = self._first_actions(self._here, self._look, self._goal)[:own]
        self._held_by[ids] = self._held
        self._held_by[passing], self._gate_of[passing] = 0, -1
        return Answer(actions, self.roads.out[second[wish] - self.roads.own], ids[wish].astype(np.int32))

    def _entry_states(self) -> I32:
        return self.roads.entry * 4 + self.roads.entry_heading

    def _seat(self, robots: int) -> None:
        self._route, self._cost, self._rank, self._count = (array[:robots] for array in self._all)
        self._held = np.zeros(robots, np.int32)

    def _send(self, i: int) -> None:
        """Robot i goes through its gate in the first step, and nowhere else."""
        k = self._cross
        self._route[i, k] = len(self.roads) + i
        self._route[i, k, 0] = self._goal[i]
        self._cost[i, k], self._rank[i, 0], self._count[i] = 0, k, 1
        replace(self._route, self._held, self._occ, i, k)

    def _targets(self, goal: I32, then: I32, rest: I64, ids: I32) -> tuple[I32, I32, I64]:
        """Nodes to go to, now and after that, and the cost beyond: the goal if it lies here and no way through other
        zones is shorter, else the portal of the best gate by the way to it, the way on from there, and who waits."""
        roads, tables = self.roads, self.tables
        inside, inside_then = (
            np.where(c >= 0, roads.number[np.maximum(c, 0)], -1).astype(np.int32) for c in (goal, then)
        )
        tables.require([*roads.portal.tolist(), *inside.tolist(), *inside_then.tolist()])
        state = self._here * 4 + self._look
        row = np.where(inside >= 0, tables.slot[inside], -1)
        direct = np.where(row >= 0, tables.pool[np.maximum(row, 0), state].astype(np.int64), NO_WAY)
        target, after, beyond = inside.copy(), inside_then, rest.copy()
        if len(roads.out):
            cost, on = self._over_gates(state, goal, ids)
            away = (goal >= 0) & (cost < direct)
            best = self._gate_of[ids]
            # At a shut gate nobody waits: a robot without a goal is moved aside at no cost, one that waits is in the way.
            target[away] = np.where(self._shut[best[away]], -1, roads.portal[best[away]])
            beyond[away] += on[away]
            after = np.where(away, -1, self._then_over_gates(inside, inside_then, then)).astype(np.int32)
            self._gate_of[ids] = np.where(away, best, -1)
        return target, after, beyond

    def _over_gates(self, state: I32, goal: I32, ids: I32) -> tuple[I64, I64]:
        """(N,) cost from each state to each goal through the best gate, which is noted, and the part beyond it."""
        rows = self.tables.slot[self.roads.portal]
        to_gate = self.tables.pool[rows[None, :], state[:, None]].astype(np.int64)
        to_gate[to_gate == FAR] = NO_WAY
        known = (goal >= 0) & (self._way_row[np.maximum(goal, 0)] >= 0)
        on = np.full(to_gate.shape, NO_WAY, np.int64)
        on[known] = self._ways[self._way_row[goal[known]]]
        gate = self._gate_of[ids]
        choose(to_gate, on, gate, NEAR_GATE, QUEUE, STICK)
        self._gate_of[ids] = gate
        robots = np.arange(len(ids))
        return to_gate[robots, gate] + on[robots, gate], on[robots, gate]

    def _then_over_gates(self, inside: I32, inside_then: I32, then: I32) -> I32:
        """The node after the goal: where that lies elsewhere, the gate on the shortest way from the goal."""
        after = inside_then.copy()
        leave = np.flatnonzero((inside >= 0) & (inside_then < 0) & (then >= 0))
        leave = leave[self._way_row[then[leave]] >= 0]
        rows = self.tables.slot[self.roads.portal]
        way = (
            self.tables.pool[rows[None, :], inside[leave, None] * 4].astype(np.int64)
            + self._ways[self._way_row[then[leave]]]
        )
        after[leave] = self.roads.portal[np.argmin(way, axis=1)]
        return after
