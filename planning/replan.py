"""A floor on which something changes all the time, to measure how soon there is a plan again.

The planner's own ledger, distance tables and dispatcher, and robots that drive along their tables and pick and drop what they
were given; no traffic. `Floor.change` makes one change and answers it as planning.planner does: the plan in force mended.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from aislewise.sitemap import SiteMap
from aislewise.types import Order, OrderLine, TaskKind
from planning.config import PlannerConfig
from planning.dispatch import Dispatch, Dispatcher, Stop
from planning.distance import DistanceTables, connectivity, neighbours
from planning.ledger import Job, Ledger, LoadState
from planning.offers import Candidate
from planning.routing import Routes, RoutingProblem
from planning.store import MemoryStore

ORDER, CANCEL, CLOSURE, REOPENING, LOSS, RETURN = "order", "cancel", "closure", "reopening", "robot lost", "robot back"
CHANGES = (ORDER, CANCEL, CLOSURE, LOSS)
MOST_CLOSED, MOST_LOST = 6, 5  # then the one that was closed or lost first comes back
STEP_S = 1.0  # between two changes
STRETCH = (1.2, 1.6)
DUE_S, DUE_SHARE = (300.0, 1800.0), 0.7


@dataclass(frozen=True)
class Answer:
    """seconds, cpu_s: from the change to the plan, of the clock and of the processor. problem, before, routes: in numbers."""

    kind: str
    seconds: float
    cpu_s: float
    plan: Dispatch
    problem: RoutingProblem
    before: Routes
    routes: Routes


class _Watched(Dispatcher):
    """Keeps the last problem and its answer in numbers."""

    problem: RoutingProblem
    before: Routes
    routes: Routes

    def _solve(self, problem: RoutingProblem, before: Routes, search: bool) -> tuple[Routes, str]:
        routes, solver = super()._solve(problem, before, search)
        self.problem, self.before, self.routes = problem, before, routes
        return routes, solver


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


@dataclass
class Floor:
    """site: with pick faces and stations. Everything follows from `seed`."""

    site: SiteMap
    robots: int
    orders: int
    seed: int
    config: PlannerConfig = field(default_factory=PlannerConfig)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._store = MemoryStore()
        self._ledger = Ledger(self.site, self._store, self.config)
        self._faces, self._stations = self.site.of_kind("pick_face"), self.site.of_kind("station")
        self._count = 0
        self.now_ns = 1
        cells = self._rng.choice(np.flatnonzero(self.site.free.ravel()), self.robots, replace=False)
        self.cell = {f"r{k}": int(c) for k, c in enumerate(cells)}
        self.lost: list[str] = []
        self.closed: list[int] = []
        self._places = {p.cell for p in self.site.places.values()}
        self._aisles = np.array([c for c in np.flatnonzero(self.site.free.ravel()) if c not in self._places])
        self._parts = len(connectivity(self.site.free).components)
        self._tables = DistanceTables(self.site.free)
        self._standing = np.zeros(self.site.cells.size, np.bool_)
        self.dispatcher = _Watched(self.config, self.site.resolution_m)
        self.in_force: dict[str, tuple[Stop, ...]] = {}
        self._turn = 0
        for _ in range(self.orders):
            self._submit()
        self._take_in()

    @property
    def jobs(self) -> dict[str, Job]:
        return self._ledger.jobs

    def candidates(self) -> list[Candidate]:
        return [Candidate(r, c, 0.0, 1.0, True, frozenset()) for r, c in self.cell.items() if r not in self.lost]

    def change(self) -> Answer:
        """The next kind of change in turn. What one that must be drawn takes (which cell can close) is not counted."""
        kind = CHANGES[self._turn % len(CHANGES)]
        self._turn += 1
        if kind is CLOSURE:
            kind = REOPENING if len(self.closed) >= MOST_CLOSED else CLOSURE
        elif kind is LOSS:
            kind = RETURN if len(self.lost) >= MOST_LOST else LOSS
        if kind in (CLOSURE, REOPENING):
            closed = self.closed[1:] if kind is REOPENING else [*self.closed, self._closable()]
            begun = _clocks()
            self._close(closed)
        elif kind in (LOSS, RETURN):
            name = self.lost[0] if kind is RETURN else str(self._rng.choice([r for r in self.cell if r not in self.lost]))
            begun = _clocks()
            self._lose(name)
        else:
            waiting = [o for o, job in self.jobs.items() if not job.robot]
            begun = _clocks()
            if kind is ORDER:
                self._submit()
            else:
                self._store.request_cancel(str(self._rng.choice(waiting)), self.now_ns)
            self._take_in()
        return self._answer(kind, begun, search=False)

    def search(self) -> Answer:
        """Better than the plan in force, on the same problem."""
        return self._answer("search", _clocks(), search=True)

    def _answer(self, kind: str, begun: tuple[float, float], search: bool) -> Answer:
        plan = self.dispatcher(
            self.candidates(), self.jobs, self.in_force, self._tables, self._standing, str, self.now_ns,
            stretch=STRETCH, search=search,
        )  # fmt: skip
        seconds, cpu_s = (now - then for now, then in zip(_clocks(), begun, strict=True))
        self.in_force = plan.sequences
        return Answer(kind, seconds, cpu_s, plan, self.dispatcher.problem, self.dispatcher.before, self.dispatcher.routes)

    # --- what changes --------------------------------------------------------------------------

    def _submit(self) -> None:
        rng, name = self._rng, f"o{self._count}"
        self._count += 1
        face, station = self._faces[rng.integers(len(self._faces))], self._stations[rng.integers(len(self._stations))]
        due = self.now_ns + int(rng.uniform(*DUE_S) * 1e9) if rng.random() < DUE_SHARE else 0
        self._store.submit(Order(name, (OrderLine(station.id, pick_from=face.id),), priority=int(rng.integers(0, 4)), due_ns=due), self.now_ns)

    def _take_in(self) -> None:
        self._ledger.take_in((), self.now_ns)

    def _closable(self) -> int:
        """A cell without which nothing is cut off."""
        while True:
            cell = int(self._rng.choice(self._aisles))
            free = self.site.free.copy()
            free.flat[[*self.closed, cell]] = False
            taken = cell in self.closed or cell in self.cell.values()
            if not taken and len(connectivity(free).components) == self._parts:
                return cell

    def _close(self, closed: list[int]) -> None:
        self.closed = closed
        self._standing = np.zeros(self.site.cells.size, np.bool_)
        self._standing[closed] = True
        free = self.site.free & ~self._standing.reshape(self.site.cells.shape)
        ways = neighbours(free)
        self._tables.reshape(free, ways, ways)

    def _lose(self, name: str) -> None:
        if name in self.lost:
            self.lost.remove(name)
            return
        self.lost.append(name)
        self._ledger.release(name)

    # --- what goes on meanwhile ----------------------------------------------------------------

    def go_on(self) -> None:
        """Robots drive for a second; what they come by they pick and drop. Who has delivered gets another order to wait for."""
        self.now_ns += int(STEP_S * 1e9)
        steps = round(self.config.speed_mps * STEP_S / self.site.resolution_m)
        for robot, stops in self.in_force.items():
            if robot in self.lost or not stops:
                continue
            table = self._tables.to(stops[0].cell)
            for _ in range(steps):
                ways = [int(c) for c in self._tables.nbr[self.cell[robot]] if c >= 0]
                self.cell[robot] = min([self.cell[robot], *ways], key=lambda c: int(table[c]))
            if self.cell[robot] == stops[0].cell:
                self._act(robot, stops[0])

    def _act(self, robot: str, stop: Stop) -> None:
        load = self._ledger.loads[stop.load]
        if stop.kind is TaskKind.PICK:
            load.state, load.robot = LoadState.ABOARD, robot
            self.jobs[load.order.order_id].robot = robot
        else:
            del self._ledger.jobs[load.order.order_id], self._ledger.loads[stop.load]
            self._submit()
            self._take_in()
        self.in_force[robot] = self.in_force[robot][1:]
