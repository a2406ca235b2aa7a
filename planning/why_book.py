"""Takes down why the planner decides what it decides, while it does. It only listens: plans are the same without it.

One `Book` goes with one planner. Why an order changes its state is kept with the change, in its transaction (`change`, which
the ledger's journal asks); all else in one transaction at the end of a step (`close`), which costs no fsync. While the store
cannot be written, the newest records wait in memory, and nothing waits for them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from aislewise.sitemap import SiteMap
from aislewise.types import U8, Decision, OrderState, Plan, TaskKind, WorldObject, WorldState
from planning.config import PlannerConfig
from planning.dispatch import Dispatch, Stop
from planning.fleet import Fleet, Robot
from planning.goals import Goal
from planning.journal import Change
from planning.ledger import Job, Ledger
from planning.obstacles import Blocked
from planning.power import Power
from planning.reasons import Reason
from planning.sqlite import StoreError
from planning.store import OrderStore
from planning.why_floor import AT_EASE, STANDS_NS, Body, Floor, chain, refusal_of, sighting

log = logging.getLogger(__name__)

RIVALS = 4
"""Other robots that are named with a choice: those that could have been there first."""
UNSAVED = 10_000
"""Records that wait for a store that cannot be written; the oldest are lost first."""
MOST_CHAINS = 16
"""Robots of which it is written down in one step for whom they wait; others follow in the next."""
ALONE, ARRIVAL = " alone, s", "arrival, s"


class Book:
    """floor: as the last step left it, None before the first. Read it from any thread."""

    def __init__(self, site: SiteMap, store: OrderStore) -> None:
        self._site, self._store = site, store
        self.floor: Floor | None = None
        self._objects: tuple[WorldObject, ...] = ()
        self._jobs: Mapping[str, Job] = {}
        self._given: dict[str, str] = {}
        self._news: dict[str, tuple[str, dict[str, Any]]] = {}
        self._waits_since: dict[str, int] = {}
        self._changes: dict[str, tuple[tuple[Any, ...], Reason]] = {}
        self._cells: dict[str, tuple[int, int]] = {}
        self._said: dict[str, tuple[Any, ...]] = {}
        self._spoken: dict[str, tuple[Any, ...]] = {}
        self._stood: dict[str, tuple[Any, ...]] = {}
        self._unsaved: deque[Reason] = deque(maxlen=UNSAVED)

    # --- while it is decided -------------------------------------------------------------------

    def look(self, world: WorldState) -> None:
        """What is known of the floor when a step begins."""
        self._objects = world.objects

    def dispatched(
        self, sequences: Mapping[str, tuple[Stop, ...]], result: Dispatch, ledger: Ledger, fleet: Fleet, power: Power, now_ns: int
    ) -> None:
        """Orders were given to robots. To be called before the orders' states are moved accordingly."""
        try:
            self._dispatched(sequences, result, ledger, fleet, power, now_ns)
        except Exception:  # what cannot be explained is decided all the same
            log.exception("a choice of robots was not written down")

    def _dispatched(
        self, sequences: Mapping[str, tuple[Stop, ...]], result: Dispatch, ledger: Ledger, fleet: Fleet, power: Power, now_ns: int
    ) -> None:
        self._jobs = ledger.jobs
        given: dict[str, str] = {}
        for robot, stops in sequences.items():
            for stop in stops:
                given.setdefault(ledger.loads[stop.load].order.order_id, robot)
        before, self._given = self._given, given
        self._waits_since = {o: self._waits_since.get(o, now_ns) for o in result.waiting}
        choices = {d.subject: d for d in result.decisions}
        for order_id, robot in given.items():
            was = before.get(order_id, "")
            if was == robot or order_id in result.waiting:
                continue
            facts: dict[str, Any] = {"robot": robot} | self._choice(choices.get(order_id), robot, sequences, fleet, power)
            if was:
                facts |= {"from": was, "because": self._left(fleet.robots.get(was), power)}
            self._news[order_id] = ("moved" if was else "given"), facts

    @staticmethod
    def _choice(
        choice: Decision | None, robot: str, sequences: Mapping[str, tuple[Stop, ...]], fleet: Fleet, power: Power
    ) -> dict[str, Any]:
        """What the dispatch compared: when the robot is there, and when each rival could be if it had nothing else to do."""
        if choice is None or choice.choice != robot:
            return {}
        times = {k.removesuffix(ALONE): s for k, s in choice.numbers.items() if k.endswith(ALONE)}
        alone_s = times.pop(robot, None)
        rivals = []
        for rival in sorted(times, key=lambda r: (times[r], r))[:RIVALS]:
            facts: dict[str, Any] = {"robot": rival, "alone_s": times[rival], "stops": len(sequences.get(rival, ()))}
            if rival in fleet.robots and not power.may_work(fleet.robots[rival]):
                facts["battery"] = fleet.robots[rival].info.battery
            rivals.append(facts)
        facts = {"arrival_s": choice.numbers[ARRIVAL], "rivals": rivals, "could": len(times) + 1, "said": choice.because}
        return facts | ({"alone_s": alone_s} if alone_s is not None else {})

    @staticmethod
    def _left(robot: Robot | None, power: Power) -> str:
        """Why an order left its robot."""
        if robot is None or not robot.able:
            return "silent" if robot is None or robot.silent else robot.info.problem or "lost"
        return "cheaper" if power.may_work(robot) else f"its battery is at {robot.info.battery:.0%}"

    def change(self, change: Change) -> Reason:
        """Why an order changes its state. What is tried again or changes nothing, which is most of it, has its answer already."""
        said = change.state, change.reason, change.robot, change.lines_done
        last = self._changes.get(change.order_id)
        if last is None or last[0] != said:
            self._changes[change.order_id] = last = said, self._explained(change)
        if change.state.final:
            del self._changes[change.order_id]
        return last[1]

    def _explained(self, change: Change) -> Reason:
        code, facts = self._story(change, self._jobs.get(change.order_id))
        facts = facts | {"state": change.state.value}
        facts |= {key: value for key, value in (("robot", change.robot), ("said", change.reason)) if value and key not in facts}
        return Reason("order", change.order_id, change.now_ns, code, facts)

    def _story(self, change: Change, job: Job | None) -> tuple[str, dict[str, Any]]:
        order_id, state = change.order_id, change.state
        if state in (OrderState.PLANNED, OrderState.ASSIGNED):
            robot = change.robot or self._given.get(order_id, "")
            code = "assigned" if state is OrderState.ASSIGNED else "planned"
            return self._news.pop(order_id, (code, {"robot": robot}))
        if state is OrderState.RECEIVED:
            if not change.reason:
                return "taken_up", {}
            return "waits", {"since_ns": self._waits_since.get(order_id, change.now_ns)} | sighting(self._objects, change.reason)
        facts: dict[str, Any] = {"robot": job.robot} if job and job.robot else {}
        if state is OrderState.RUNNING:
            if change.lines_done is None:
                return "begun", facts
            return "lines_done", facts | {"lines_done": change.lines_done, "lines": len(job.order.lines) if job else 0}
        if job is not None:
            facts["took_s"] = (change.now_ns - max(job.accepted_ns, job.order.release_ns)) / 1e9
            if job.order.due_ns:
                facts["late_s"] = (change.now_ns - job.order.due_ns) / 1e9
            if change.reason:
                facts |= sighting(self._objects, change.reason)
        return state.value.lower(), facts

    # --- when it is decided --------------------------------------------------------------------

    def close(
        self, world: WorldState, plan: Plan, goals: Mapping[str, Goal], blocked: Blocked, leave: U8 | None, waits: Mapping[str, tuple[str, bool]],
        fleet: Fleet, ledger: Ledger, power: Power, config: PlannerConfig,
    ) -> None:  # fmt: skip
        """The step is over: leave the floor to those who ask, write down what was decided on robots."""
        try:
            self.floor = floor = self._floor(world, plan, goals, blocked, leave, waits, fleet, power, config)
            self._unsaved += self._news_of_orders(ledger, plan.stamp_ns)
            self._unsaved += self._said_of(plan)
            self._unsaved += self._stands(floor)
        except Exception:  # what cannot be explained is done all the same
            log.exception("a plan was not written down")
        self.save()

    def save(self) -> None:
        """What cannot be written now is tried again with the next step."""
        if self._unsaved:
            try:
                self._store.explain(list(self._unsaved))
            except StoreError:
                return
            self._unsaved.clear()

    def _floor(
        self, world: WorldState, plan: Plan, goals: Mapping[str, Goal], blocked: Blocked, leave: U8 | None, waits: Mapping[str, tuple[str, bool]],
        fleet: Fleet, power: Power, config: PlannerConfig,
    ) -> Floor:  # fmt: skip
        now_ns = plan.stamp_ns
        bodies: dict[str, Body] = {}
        cells: dict[str, tuple[int, int]] = {}
        for robot_plan in plan.robots:
            name = robot_plan.robot
            robot = fleet.robots[name]
            here = self._cells.get(name)
            cells[name] = here = here if here is not None and here[0] == robot.cell else (robot.cell, now_ns)
            halted = not robot_plan.released and robot_plan.horizon
            bodies[name] = Body(
                name, robot.cell, here[1], robot.info, robot_plan, goals.get(name), robot.able, robot.online,
                not power.may_work(robot), not robot_plan.released and fleet.settling(robot, now_ns),
                fleet.graph.head(robot_plan.horizon[0]) if halted else "",
            )  # fmt: skip
        self._cells = cells
        return Floor(
            now_ns, self._site, bodies, world.objects, blocked, waits, dict(power.chargers), refusal_of(plan.decisions),
            leave, config.unroutable_after_s, config.speed_mps, self._waits_since,
        )  # fmt: skip

    def _news_of_orders(self, ledger: Ledger, now_ns: int) -> list[Reason]:
        """Of orders that changed their robot and not their state."""
        news, self._news = self._news, {}
        return [Reason("order", o, now_ns, code, facts) for o, (code, facts) in news.items() if o in ledger.jobs]

    def _said_of(self, plan: Plan) -> Iterator[Reason]:
        """What each robot was told to do, and the planner's word on robots, where either is a new one."""
        for robot_plan in plan.robots:
            task = robot_plan.tasks[0] if robot_plan.tasks else None
            key = (task.kind, task.order_id, task.cell) if task else ()
            if self._said.get(robot_plan.robot, ()) != key:
                self._said[robot_plan.robot] = key
                yield Reason("robot", robot_plan.robot, plan.stamp_ns, *_told(robot_plan.tasks))
        spoken: dict[str, tuple[Any, ...]] = {}
        for decision in plan.decisions:
            if decision.subject in self._jobs or decision.subject in spoken:
                continue
            spoken[decision.subject] = word = decision.choice, decision.because
            if self._spoken.get(decision.subject) != word:
                code = decision.choice.replace(" ", "_")
                yield Reason("robot", decision.subject, plan.stamp_ns, code, {"said": decision.because})
        self._spoken = spoken

    def _stands(self, floor: Floor) -> Iterable[Reason]:
        """Who has stood for long and for whom, once for each cause."""
        standing: dict[str, tuple[Any, ...]] = {}
        said = 0
        for body in floor.bodies.values():
            if floor.stamp_ns - body.since_ns < STANDS_NS or body.plan.released or body.task is None or not body.able:
                continue
            known = self._stood.get(body.robot)
            if said >= MOST_CHAINS:
                standing |= {body.robot: known} if known else {}
                continue
            key = body.cell, body.head, floor.holders.get(body.plan.horizon[0], "") if body.plan.horizon else ""
            standing[body.robot] = key
            if key != known:
                said += 1
                links = chain(floor, body.robot)
                if links[0]["code"] not in AT_EASE:
                    yield Reason("robot", body.robot, floor.stamp_ns, "stands", {"chain": links})
        self._stood = standing


def _told(tasks: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    if not tasks:
        return "idle", {}
    task = tasks[0]
    facts = {"do": task.kind.value, "place": task.place, "then": len(tasks) - 1}
    return "told", facts | ({"order": task.order_id} if task.kind is not TaskKind.CHARGE else {})
