"""The orders the planner is working on, cut into loads, and the store's record of them.

One robot carries the whole of an order, and drops its lines in their order, so that `lines_done` says
after a restart which lines are done. Before a robot is told to put something down the store notes where in its
route that is: a robot that did so while no planner heard of it has got that far, and is not sent for it again.

A cancelled order whose goods are on board is delivered to its station, since nobody stands at the
shelf to take them back; it then ends as CANCELLED, with the number of loads in its reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

import msgspec
import numpy as np

from aislewise.errors import AislewiseError, InputError, StateError, UnreachableError
from aislewise.sitemap import SiteMap
from aislewise.types import Order, OrderLine, OrderRecord, OrderState, RobotInfo
from planning.config import PlannerConfig
from planning.distance import connectivity
from planning.journal import Explain, Journal
from planning.orders import OPEN_STATES
from planning.routing import NO_BULK, NO_LIMIT, Bulk
from planning.sqlite import StoreError
from planning.store import OrderStore

PAGE = 1000
_PATH = (OrderState.RECEIVED, OrderState.PLANNED, OrderState.ASSIGNED, OrderState.RUNNING, OrderState.DONE)
REACH_CELLS = 2.0  # a robot serves an object from at most this far, centre to centre


class RobotLostError(AislewiseError):
    """A robot went silent with goods on board."""

    code = "ROBOT_LOST"


class LoadState(Enum):
    """COMMITTED, DROPPING: the action of picking or dropping it is released to a robot."""

    WAITING = "waiting"
    COMMITTED = "committed"
    ABOARD = "aboard"
    DROPPING = "dropping"
    DELIVERED = "delivered"


def bulk_of(line: OrderLine, loads: int) -> Bulk:
    """Grams and millilitres of so many loads of a line, rounded up."""
    grams, millilitres = (math.ceil(1000 * each * loads - 1e-6) for each in (line.weight_kg, line.volume_l))
    return grams, millilitres


def bulk_room(config: PlannerConfig) -> Bulk:
    """Grams and millilitres that a robot can carry."""
    grams, millilitres = (math.floor(1000 * most + 1e-6) if most else NO_LIMIT for most in (config.payload_kg, config.volume_l))
    return grams, millilitres


Drops = dict[int, tuple[str, int]]
ON_BOARD = (LoadState.COMMITTED, LoadState.ABOARD, LoadState.DROPPING)


@dataclass(slots=True)
class Load:
    """What is picked in one go: one line, or as much of it as a robot carries.

    pick_cells: where a robot may stand to pick, best first. robot: who has it or had it on board. index: its number
    among the loads of its order, the same after a restart. bulk: its grams and millilitres in all."""

    id: int
    order: Order
    line: int
    size: int
    pick_cells: tuple[int, ...]
    drop_cell: int
    pick_place: str
    drop_place: str
    object_id: str = ""
    state: LoadState = LoadState.WAITING
    robot: str = ""
    index: int = 0
    bulk: Bulk = NO_BULK

    @property
    def action_id(self) -> str:
        return f"{self.order.order_id}:{self.line}"


@dataclass(slots=True)
class Job:
    """An order in work. robot: who must carry it, once it has begun; shut_since_ns: since when it
    cannot be served, -1 if it can; drops: (robot, seq) of the drops that were released, by index of the load. told: state,
    reason and robot that the store was told last."""

    order: Order
    loads: list[Load]
    accepted_ns: int
    state: OrderState
    robot: str = ""
    cancelling: bool = False
    shut_since_ns: int = -1
    lines_done: int = 0
    drops: Drops = field(default_factory=dict)
    told: tuple[OrderState, str, str] | None = None


class Ledger:
    """Orders in work. Every state change goes to the store before it is acted on: while the store cannot be
    written, nothing new is picked. What is on board is still brought, and written down later."""

    def __init__(
        self, site: SiteMap, store: OrderStore, config: PlannerConfig, explain: Explain | None = None
    ) -> None:
        """explain: says why orders change their state (planning.why_book)."""
        self._site, self._store, self.config = site, store, config
        self._journal = Journal(store, explain)
        self._label = connectivity(site.free).label
        self._next_load = 0
        self._due: list[OrderRecord] = []
        self.jobs: dict[str, Job] = {}
        self.loads: dict[int, Load] = {}
        self.refused: dict[str, str] = {}
        self._first_ns = -1
        self._seen_seq = store.last_seq()
        self._notes = {order_id: msgspec.json.decode(note, type=Drops) for order_id, note in store.notes().items()}
        after = ""
        while page := store.list(OPEN_STATES, PAGE, after):
            self._due += page
            after = page[-1].order.order_id
            if len(page) < PAGE:
                break

    # --- taking in -----------------------------------------------------------------------------

    def take_in(self, robots: Iterable[RobotInfo], now_ns: int) -> bool:
        """Orders released and cancellations asked for since the last call; whether there were any. Raises
        StoreError when they cannot be read; a later call goes on from there."""
        changed = False
        self._journal.flush()
        present = {robot.id: robot for robot in robots}
        self._first_ns = now_ns if self._first_ns < 0 else self._first_ns
        while events := self._store.events(self._seen_seq, PAGE):
            for event in events:
                if event.state is OrderState.CANCELLING:
                    changed |= self._cancel(event.order_id, now_ns)
                elif event.state is OrderState.RECEIVED and event.order_id not in self.jobs:
                    self._due.append(self._store.get(event.order_id))
                self._seen_seq = event.seq
        waiting = []
        for record in {r.order.order_id: r for r in self._due}.values():
            early = record.order.release_ns > now_ns and record.state is OrderState.RECEIVED
            if early or self._carrier_unheard(record, present, now_ns):
                waiting.append(record)
            elif record.order.order_id not in self.jobs:
                self._open(record, present, now_ns)
                changed = True
        self._due = waiting
        return changed

    def _carrier_unheard(self, record: OrderRecord, robots: Mapping[str, RobotInfo], now_ns: int) -> bool:
        """After a restart: what a robot has on board is known only once it has been heard."""
        begun = record.state in (OrderState.RUNNING, OrderState.CANCELLING) and record.robot
        in_time = now_ns - self._first_ns < self.config.lost_after_s * 1e9
        return bool(begun) and record.robot not in robots and in_time

    def _open(self, record: OrderRecord, robots: Mapping[str, RobotInfo], now_ns: int) -> None:
        order = record.order
        begun = record.state in (OrderState.RUNNING, OrderState.CANCELLING)
        try:
            if begun and record.robot and record.robot not in robots:
                raise RobotLostError(f"{record.robot} was not heard of since the restart")
            loads = self._cut(order)
        except AislewiseError as error:
            self._end(order.order_id, f"{error.code}: {error}", now_ns)
            return
        drops = self._notes.pop(order.order_id, {})
        job = Job(order, loads, record.accepted_ns, record.state, lines_done=record.lines_done, drops=drops)
        self.jobs[order.order_id] = job
        self.loads.update((load.id, load) for load in loads)
        if begun:
            self._resume(job, record, robots.values())
        if record.state in (OrderState.PLANNED, OrderState.ASSIGNED):
            self._move(job, OrderState.RECEIVED, now_ns)
        if record.state is OrderState.CANCELLING:
            self._cancel(order.order_id, now_ns)
        elif begun:
            self._count_lines(job, now_ns)

    def _resume(self, job: Job, record: OrderRecord, robots: Iterable[RobotInfo]) -> None:
        """Pick up an order that an earlier process had begun: what is on board the robots say."""
        job.robot = record.robot
        for load in job.loads:
            if load.line < record.lines_done:
                load.state, load.robot = LoadState.DELIVERED, record.robot
        for robot in robots:
            for load in job.loads:
                if self._was_dropped(job, load, robot):
                    load.state, load.robot = LoadState.DELIVERED, robot.id
            self._find_aboard(job, robot)

    @staticmethod
    def _was_dropped(job: Job, load: Load, robot: RobotInfo) -> bool:
        by, seq = job.drops.get(load.index, ("", 0))
        return by == robot.id and robot.reached_seq >= seq

    @staticmethod
    def _find_aboard(job: Job, robot: RobotInfo) -> None:
        """What the robot reports to carry, beyond what is known to be on board, was picked without our knowing."""
        known = sum(item.robot == robot.id and item.state in ON_BOARD for item in job.loads)
        missing = max(0, robot.load.count(job.order.order_id) - known)
        for load in [item for item in job.loads if item.state is LoadState.WAITING][:missing]:
            load.state, load.robot, job.robot = LoadState.ABOARD, robot.id, robot.id

    def found(self, robot: RobotInfo, now_ns: int) -> None:
        """A robot that did what we had not sent, or took back too late: it may have picked or dropped something."""
        for job in list(self.jobs.values()):
            self._find_aboard(job, robot)
            aboard = [item for item in job.loads if item.robot == robot.id and item.state is LoadState.ABOARD]
            missing = max(0, len(aboard) - robot.load.count(job.order.order_id))
            for load in [item for item in aboard if self._was_dropped(job, item, robot)][:missing]:
                self._delivered(load, now_ns)

    def _cut(self, order: Order) -> list[Load]:
        """An order's loads; raises InputError naming the line that cannot be served on this site."""
        loads: list[Load] = []
        for i, line in enumerate(order.lines):
            station = self._site.place(line.deliver_to, f"lines[{i}].deliver_to", "station")
            face = line.pick_from or self._site.skus.get(line.sku, "")
            if line.pick_at is not None:
                cells = self._cells_round(line.pick_at)
            else:
                cells = (self._site.place(face, f"lines[{i}].pick_from", "pick_face").cell,)
            cells = tuple(c for c in cells if self._label[c] == self._label[station.cell])
            if not cells:
                raise UnreachableError(f"lines[{i}]", f"no way from there to {station.id}")
            left = line.quantity
            if left < 1:
                raise InputError(f"lines[{i}].quantity", f"{left}", "at least 1")
            most = self._most_at_once(line, f"lines[{i}]")
            while left > 0:
                size = min(left, most)
                left -= size
                loads.append(
                    Load(
                        self._next_load, order, i, size, cells, station.cell, face, station.id, line.object_id,
                        index=len(loads), bulk=bulk_of(line, size),
                    )
                )
                self._next_load += 1
        return loads

    def _most_at_once(self, line: OrderLine, where: str) -> int:
        """Loads of a line that a robot can carry in one go."""
        config = self.config
        for name, limit in (("weight_kg", config.payload_kg), ("volume_l", config.volume_l)):
            if limit and getattr(line, name) > limit:
                raise InputError(f"{where}.{name}", f"{getattr(line, name):g}", f"at most {limit:g}: what a robot can carry")
        most, room = config.capacity, bulk_room(config)
        while most > 1 and any(b > r for b, r in zip(bulk_of(line, most), room, strict=True)):
            most -= 1
        return most

    def _cells_round(self, xy: tuple[float, float]) -> tuple[int, ...]:
        """Open cells to serve an object at `xy` from, nearest first; not the one it stands in."""
        centres, own = self._site.centres(), self._site.cell_at(*xy)
        gap = np.hypot(*(centres - np.asarray(xy)).T) / self._site.resolution_m
        near = np.flatnonzero(self._site.free.ravel() & (gap <= REACH_CELLS))
        ranked = sorted(near.tolist(), key=lambda c: (round(float(gap[c]), 6), c))
        return tuple(c for c in ranked if c != own)

    # --- progress ------------------------------------------------------------------------------

    def begin(self, load: Load, robot: str, seq: int, now_ns: int) -> bool:
        """The action on the load is to be released as that waypoint: from now on its order is this robot's. False when
        that could not be written down: a planner that comes after this one would send somebody else. What is on board
        is brought all the same."""
        job = self.jobs[load.order.order_id]
        if load.state is LoadState.ABOARD:
            load.state = LoadState.DROPPING
            job.drops[load.index] = robot, seq
            self._note(job)
            return True
        if not job.cancelling and not self._move(job, OrderState.RUNNING, now_ns, robot=robot):
            return False
        job.robot = load.robot = robot
        load.state = LoadState.COMMITTED
        return True

    def take_back(self, load: Load, now_ns: int) -> None:
        """The released action was withdrawn before it was begun."""
        if load.state is LoadState.DROPPING:
            load.state = LoadState.ABOARD
            job = self.jobs[load.order.order_id]
            job.drops.pop(load.index, None)
            self._note(job)
            return
        load.state, load.robot = LoadState.WAITING, ""
        if self.jobs[load.order.order_id].cancelling:
            self._cancel(load.order.order_id, now_ns)

    def done(self, load: Load, now_ns: int) -> None:
        """The action on the load was carried out."""
        if load.state is LoadState.COMMITTED:
            load.state = LoadState.ABOARD
        else:
            self._delivered(load, now_ns)

    def _delivered(self, load: Load, now_ns: int) -> None:
        load.state = LoadState.DELIVERED
        self._count_lines(self.jobs[load.order.order_id], now_ns)

    def _count_lines(self, job: Job, now_ns: int) -> None:
        """Write down how many are done, and close the order when all are."""
        open_lines = {item.line for item in job.loads if item.state is not LoadState.DELIVERED}
        job.lines_done = min(open_lines, default=len(job.order.lines))
        if not job.cancelling:
            job.state = OrderState.RUNNING if open_lines else OrderState.DONE
            self._journal.put(job.order.order_id, job.state, now_ns, lines_done=job.lines_done)
        self._close_if_over(job, now_ns)

    def promise(self, order_id: str, robot: str, driving: bool, now_ns: int) -> None:
        """The order has a place in `robot`'s sequence; `driving`: it is what the robot does next."""
        job = self.jobs[order_id]
        if job.state in (OrderState.RECEIVED, OrderState.PLANNED, OrderState.ASSIGNED):
            state = OrderState.ASSIGNED if driving else OrderState.PLANNED
            self._move(job, state, now_ns, robot=robot if driving else "")
        job.shut_since_ns = -1

    def wait(self, order_id: str, reason: str, now_ns: int, blocked: bool) -> None:
        """Nobody serves the order now. One that is `blocked` for too long is given up."""
        job = self.jobs[order_id]
        if job.state in (OrderState.PLANNED, OrderState.ASSIGNED, OrderState.RECEIVED):
            self._move(job, OrderState.RECEIVED, now_ns, reason=reason)
        if not blocked:
            job.shut_since_ns = -1
            return
        if job.shut_since_ns < 0:
            job.shut_since_ns = now_ns
        if now_ns - job.shut_since_ns >= self.config.unroutable_after_s * 1e9:
            self._give_up(job, f"{reason} for {self.config.unroutable_after_s:g} s", now_ns)

    def robot_gone(self, robot: str, now_ns: int) -> None:
        """A robot silent for too long: what it has on board is given up."""
        for job in [j for j in self.jobs.values() if j.robot == robot]:
            if any(load.state in ON_BOARD for load in job.loads):
                self._give_up(job, f"ROBOT_LOST: {robot} with goods on board", now_ns)

    def release(self, robot: str) -> None:
        """A silent robot keeps what it has on board; orders with nothing picked yet are anyone's."""
        for job in self.jobs.values():
            if job.robot == robot and all(item.robot != robot or item.state is LoadState.DELIVERED for item in job.loads):
                job.robot = ""

    def _cancel(self, order_id: str, now_ns: int) -> bool:
        record = self._store.get(order_id)
        if record.state is not OrderState.CANCELLING:
            return False
        job = self.jobs.get(order_id)
        if job is None:
            self._journal.put(order_id, OrderState.CANCELLED, now_ns, "CANCELLED: not begun")
            self._due = [r for r in self._due if r.order.order_id != order_id]
            return True
        job.cancelling, job.state = True, OrderState.CANCELLING
        for load in [item for item in job.loads if item.state is LoadState.WAITING]:
            job.loads.remove(load)
            del self.loads[load.id]
        self._close_if_over(job, now_ns)
        return True

    def _close_if_over(self, job: Job, now_ns: int) -> None:
        if any(load.state is not LoadState.DELIVERED for load in job.loads):
            return
        if job.cancelling:
            count = len(job.loads)
            reason = f"CANCELLED: {count} load(s) already on board were delivered" if count else "CANCELLED: not begun"
            self._journal.put(job.order.order_id, OrderState.CANCELLED, now_ns, reason, lines_done=job.lines_done)
        self._forget(job)

    def _give_up(self, job: Job, reason: str, now_ns: int) -> None:
        self._end(job.order.order_id, reason, now_ns)
        self._forget(job)

    def _end(self, order_id: str, reason: str, now_ns: int) -> None:
        state = self._store.get(order_id).state
        if state.final:
            return
        begun = state in (OrderState.RUNNING, OrderState.CANCELLING)
        final = OrderState.FAILED if begun else OrderState.UNROUTABLE
        self._journal.put(order_id, final, now_ns, reason)
        self.refused[order_id] = reason

    def _note(self, job: Job) -> None:
        with suppress(StoreError):  # it would matter only if the planner died as well, before it writes again
            self._store.note(job.order.order_id, msgspec.json.encode(job.drops))

    def _forget(self, job: Job) -> None:
        self.jobs.pop(job.order.order_id, None)
        for load in job.loads:
            self.loads.pop(load.id, None)

    def _move(
        self, job: Job, state: OrderState, now_ns: int, reason: str = "", robot: str = ""
    ) -> bool:
        """Walk the store's record to `state`, through the states in between; False when it cannot be written, to be
        tried again. If a client cancels meanwhile nothing moves: the event is dealt with in the next step."""
        order_id = job.order.order_id
        if job.told == (state, reason, robot):  # as every dispatch says it of every order that goes on waiting
            return True
        try:
            for step in _PATH[_PATH.index(job.state) + 1 : _PATH.index(state)]:
                self._journal.write(order_id, step, now_ns, robot=robot)
            job.state = self._journal.write(order_id, state, now_ns, reason, robot).state
            job.told = state, reason, robot
        except StoreError:
            return False
        except StateError:
            if self._store.get(order_id).state is not OrderState.CANCELLING:
                raise
        return True
