"""The orders of an episode: which are open, who has taken which, and what is left to do for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from aislewise.sitemap import SiteMap
from aislewise.types import Order
from sim.demand import Demand
from sim.gym_driver import Act, Errand


@dataclass(slots=True)
class Stop:
    """Pick or drop one load. number: counts all stops of the episode."""

    number: int
    kind: str
    cell: int
    action_id: str
    dwell_s: float


@dataclass(eq=False)
class Work:
    """One order on its way. robot: who has taken it; stops: what is left to do, in this order; begun: a load is or
    is being taken on board, so that it can neither be given back nor be called off; ended_ns: when it was
    delivered or called off."""

    order: Order
    stops: list[Stop]
    robot: str = ""
    begun: bool = False
    called_off: bool = False
    ended_ns: int = -1

    @property
    def open(self) -> bool:
        return not self.robot and self.ended_ns < 0

    @property
    def ended(self) -> bool:
        return self.ended_ns >= 0

    @property
    def delivered(self) -> bool:
        return self.ended and not self.called_off


@dataclass
class OrderBook:
    """site: where places are; capacity: loads on board at once; pick_s, drop_s: dwell of each. works: all that were
    released."""

    site: SiteMap
    demand: Demand
    capacity: int
    pick_s: float
    drop_s: float
    works: dict[str, Work] = field(default_factory=dict)
    _live: dict[str, Work] = field(default_factory=dict)
    _of: dict[str, Work] = field(default_factory=dict)
    _stops: dict[int, tuple[Work, Stop]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._to_come = list(self.demand.orders)
        self._to_call_off = list(self.demand.cancellations)

    def advance(self, now_ns: int) -> None:
        """Take in what has been released and called off by now."""
        while self._to_come and self._to_come[0].release_ns <= now_ns:
            order = self._to_come.pop(0)
            self.works[order.order_id] = self._live[order.order_id] = self._work(order)
        while self._to_call_off and self._to_call_off[0].at_ns <= now_ns:
            work = self.works[self._to_call_off.pop(0).order_id]
            if not (work.begun or work.ended):
                work.called_off = True
                self._end(work, now_ns)

    def _work(self, order: Order) -> Work:
        """As many picks as fit on board, their drops, and so on."""
        loads = [(i, line) for i, line in enumerate(order.lines) for _ in range(line.quantity)]
        work = Work(order, [])
        for first in range(0, len(loads), self.capacity):
            batch = loads[first : first + self.capacity]
            for i, line in batch:
                face = line.pick_from or self.site.skus[line.sku]
                self._add(work, "pick", self.site.places[face].cell, i, self.pick_s)
            for i, line in batch:
                self._add(work, "drop", self.site.places[line.deliver_to].cell, i, self.drop_s)
        return work

    def _add(self, work: Work, kind: str, cell: int, line: int, dwell_s: float) -> None:
        stop = Stop(len(self._stops), kind, cell, f"{work.order.order_id}:{line}", dwell_s)
        work.stops.append(stop)
        self._stops[stop.number] = work, stop

    @property
    def over(self) -> bool:
        """Every order there will be has been delivered or called off."""
        return not self._to_come and not self._live

    def open(self) -> list[Work]:
        """Those nobody has taken, urgent ones first, then those due earliest, then the oldest."""
        never = 1 << 62
        return sorted(
            (w for w in self._live.values() if w.open),
            key=lambda w: (-w.order.priority, w.order.due_ns or never, w.order.release_ns, w.order.order_id),
        )

    def unfinished(self) -> list[Work]:
        return list(self._live.values())

    def of(self, robot: str) -> Work | None:
        return self._of.get(robot)

    def take(self, work: Work, robot: str) -> None:
        """What the robot had and has not begun is open again."""
        self.give_back(robot)
        work.robot = robot
        self._of[robot] = work

    def give_back(self, robot: str) -> None:
        before = self.of(robot)
        if before is not None and not before.begun:
            before.robot = ""
            del self._of[robot]

    def errand(self, work: Work) -> Errand:
        """The next place, and all that is to be done there in a row."""
        cell, acts = work.stops[0].cell, []
        for stop in work.stops:
            if stop.cell != cell:
                break
            acts.append(Act(stop.kind, stop.action_id, stop.dwell_s, stop.number))
        return Errand(cell, tuple(acts))

    def settle(self, done: Sequence[int], now_ns: int) -> list[Work]:
        """Strike out what has been done; returns the orders that were delivered with it."""
        ended = []
        for number in done:
            work, stop = self._stops[number]
            work.stops.remove(stop)
            work.begun = True
            if not work.stops:
                self._end(work, now_ns)
                ended.append(work)
        return ended

    def _end(self, work: Work, now_ns: int) -> None:
        self._of.pop(work.robot, None)
        self._live.pop(work.order.order_id, None)
        work.robot, work.ended_ns = "", now_ns
