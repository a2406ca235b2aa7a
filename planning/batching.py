"""Order batching: which orders a robot picks on one tour from the station and back, how it drives, and who goes when.

Orders are not split; a batch holds what a robot can carry. Least cost: the length of all tours, and a price for each
decisecond that an order comes late. Each robot does its batches one after the other; without priced due times their turns
cost nothing.

`solve` is anytime. Simple rules and savings make the first plan, ruin and recreate with annealing improves it
(planning.batching_kernels), and CP-SAT puts the best plan together from all batches met on the way (planning.batching_pool),
in turn, until the effort is spent. The answer says which of them found it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from planning import batching_kernels as kernels
from planning.batching_exact import shortest_tour
from planning.batching_kernels import Data, Pool, Scratch, State

I64 = NDArray[np.int64]

FAR = 1 << 40  # of a way that cannot be driven
NO_DUE = kernels.NONE
FIRST_COME, EARLIEST_DUE, SAVINGS, RUIN, PARTITION, GIVEN = (
    "first come, first served", "earliest due first", "savings", "ruin and recreate", "set partitioning", "start"
)  # fmt: skip
CYCLES = (0.5, 0.8, 0.97)  # shares of the effort by which annealing has cooled down
PARTITION_SHARE = 0.15  # of the effort, at most, for CP-SAT at the end of each of them
HOT, COLD = 0.02, 0.0004  # temperatures at the two ends of annealing, times the mean cost of a batch
MEAN_OUT = 8  # orders taken out in a round: up to so many, twice as many in whole batches
CHUNK_S = 0.05  # how often the clock is read
KICKS = 60  # of the tours in a result, where there are too many places to be exact
COLUMNS, CELLS = 1 << 17, 1 << 22  # batches kept, and orders and places in them
MAX_ORDERS, MAX_PLACES = 5_000, 20_000
SAVINGS_UP_TO = 1_500  # orders: the table of pairs grows with the square, the time as well


@dataclass(frozen=True, eq=False)
class Problem:
    """P places, place 0 the station; n orders; R kinds of load (units, grams, ...); m robots. Times in deciseconds.

    distance: (P, P) from row to column in any one unit, may be asymmetric, FAR where there is no way. visits: the places of
    each order. load: (n, R); capacity: (R,) of a robot. release: (n,) a tour with the order begins no earlier. due: (n,),
    NO_DUE for none; price: (n,) what a decisecond late costs in units of distance: priorities go in here. service: (n,) time
    to pick. setup: time of a batch at the station. pace: deciseconds for a unit of distance. ready: (m,) when each robot
    is free at the station."""

    distance: I64
    visits: tuple[tuple[int, ...], ...]
    load: I64
    capacity: I64
    release: I64
    due: I64
    price: I64
    service: I64
    ready: I64
    setup: int = 0
    pace: float = 0.0
    names: tuple[str, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        orders, places = len(self.visits), len(self.distance)
        if orders > MAX_ORDERS or places > MAX_PLACES:
            raise InputError("problem", f"{orders} orders, {places} places", f"{MAX_ORDERS} and {MAX_PLACES}")
        shapes: dict[str, tuple[int, ...]] = {"distance": (places, places), "load": (orders, len(self.capacity))}
        shapes |= dict.fromkeys(("release", "due", "price", "service"), (orders,))
        for field, shape in shapes.items():
            values = getattr(self, field)
            if values.shape != shape or values.dtype != np.int64:
                raise InputError(f"problem.{field}", f"{values.dtype} {values.shape}", f"int64 {shape}")
            if (values < 0).any():
                raise InputError(f"problem.{field}", "less than 0", "at least 0")
        if not places or not len(self.ready) or (self.ready < 0).any() or (self.capacity < 0).any():
            raise InputError("problem", "no station, no robot, or a ready time or capacity less than 0")
        if not 0 <= self.pace < 1e6 or self.setup < 0:
            raise InputError("problem.pace", f"{self.pace}, setup {self.setup}", "0 to 1e6, at least 0")
        for o, stops in enumerate(self.visits):
            if not stops or not all(0 < p < places for p in stops) or len(set(stops)) < len(stops):
                raise InputError(f"problem.visits[{o}]", f"{stops}", f"at least one place, each once, 1 to {places - 1}")
        if self.names and len(set(self.names)) != orders:
            raise InputError("problem.names", f"{len(set(self.names))} of them", f"{orders}, each once")

    @property
    def timed(self) -> bool:
        """Can an order be late at a price?"""
        return bool(((self.price > 0) & (self.due < NO_DUE)).any())

    def length(self, tour: Sequence[int]) -> int:
        """Of a tour from the station through these places and back."""
        return sum(int(self.distance[a, b]) for a, b in zip((0, *tour), (*tour, 0), strict=True))

    def takes(self, orders: Sequence[int], length: int) -> int:
        """Deciseconds of a batch of that tour length."""
        return int(self.setup + self.service[list(orders)].sum() + np.ceil(self.pace * length - 1e-6))


@dataclass(frozen=True, slots=True)
class Batch:
    """orders: numbers; tour: places in turn, without the station; start, end: of the tour, deciseconds."""

    orders: tuple[int, ...]
    tour: tuple[int, ...]
    length: int
    robot: int
    start: int
    end: int


@dataclass(frozen=True)
class Solution:
    """batches: by start. left_out: (order, reason) of those that no robot can bring. cost = distance + lateness priced.
    late: orders that come late; late_ds: by how much in all. strategy: what found it; first_cost: of the best simple rule;
    rounds: of ruin and recreate; columns: batches that CP-SAT had to choose from, the last time."""

    batches: tuple[Batch, ...]
    left_out: tuple[tuple[int, str], ...] = ()
    cost: int = 0
    distance: int = 0
    late: int = 0
    late_ds: int = 0
    strategy: str = ""
    first_cost: int = 0
    rounds: int = 0
    columns: int = 0


@dataclass(frozen=True)
class Effort:
    """How long to search: `seconds` of `clock`, or, where the clock is None, `rounds` of ruin and recreate, the same result
    every time."""

    seconds: float = 10.0
    clock: Callable[[], float] | None = time.process_time
    rounds: int = 5000


def solve(problem: Problem, effort: Effort | None = None, *, seed: int = 0, start: Solution | None = None) -> Solution:
    """The best solution found within `effort`; never worse than `start`, which is checked (InputError)."""
    search = Search(problem, effort or Effort(), seed)
    search.begin(start)
    for number, until in enumerate(CYCLES):
        search.anneal(until - PARTITION_SHARE * (until - search.used()), 0.5**number)
        search.partition(until)
    return search.result()


def by_rule(problem: Problem, rule: str, *, seed: int = 0) -> Solution:
    """What one simple rule makes (FIRST_COME, EARLIEST_DUE or SAVINGS), with tours shortened as everywhere."""
    search = Search(problem, Effort(clock=None, rounds=0), seed)
    search.apply(rule)
    return search.result()


def by_groups(problem: Problem, groups: Sequence[Sequence[int]], strategy: str, *, seed: int = 0) -> Solution:
    """Batches made elsewhere, with tours shortened, their turns as good as they get one after the other. InputError where an
    order is in none or two, or a group does not fit."""
    search = Search(problem, Effort(clock=None, rounds=0), seed)
    known = {int(o): k for k, o in enumerate(search.orders)}
    if sorted(o for group in groups for o in group) != sorted(known):
        raise InputError("groups", "an order is missing, twice or cannot be brought")
    for x, group in enumerate(groups):
        if (problem.load[list(group)].sum(0) > problem.capacity).any():
            raise InputError(f"groups[{x}]", f"{list(group)}", "what a robot can carry")
    search.adopt([[known[o] for o in group] for group in groups], strategy)
    return search.result()


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    line = np.abs(np.arange(5)[:, None] - np.arange(5)[None])
    for due in (NO_DUE, 1):
        column = np.full(4, due, np.int64)
        problem = Problem(
            line, ((1,), (2, 3), (3,), (4,)), np.ones((4, 1), np.int64), np.array([2]), np.zeros(4, np.int64), column,
            np.ones(4, np.int64), np.ones(4, np.int64), np.zeros(2, np.int64), pace=1.0,
        )  # fmt: skip
        solve(problem, Effort(clock=None, rounds=20))


class Search:
    """State of one call of solve. Kernels know only the orders that can be brought, by their place in `orders`."""

    def __init__(self, problem: Problem, effort: Effort, seed: int) -> None:
        self.problem, self.effort = problem, effort
        self.clock = effort.clock or (lambda: 0.0)
        self.began = self.clock()
        self.left_out = tuple(_left_out(problem))
        self.orders = np.array(sorted(set(range(len(problem.visits))) - {o for o, _ in self.left_out}), np.int64)
        rng = np.random.default_rng(seed)
        self.data, self.scratch = _data(problem, self.orders, rng)
        self.now, self.old, self.best = (_state(self.data) for _ in range(3))
        self.pool = _pool()
        self.least, self.first, self.rounds, self.columns, self.strategy = kernels.NONE, kernels.NONE, 0, 0, ""

    def used(self) -> float:
        """Share of the effort spent: 1 when it is all gone."""
        if self.effort.clock is None:
            return self.rounds / max(self.effort.rounds, 1)
        return (self.clock() - self.began) / max(self.effort.seconds, 1e-9)

    def begin(self, start: Solution | None) -> None:
        if start is not None:
            self._load(start)
        self.apply(FIRST_COME)
        if self.problem.timed:
            self.apply(EARLIEST_DUE)
        if len(self.orders) <= SAVINGS_UP_TO:
            self.apply(SAVINGS)
        self.first = self.least

    def apply(self, rule: str) -> None:
        if rule == SAVINGS:
            self._alone()
            size = int(self.now.head[0])
            kernels.savings(self.data, self.now, self.scratch, np.zeros((size, size), np.int64))
            groups = [row[:count].tolist() for row, count in zip(self.now.member, self.now.held[:size], strict=False) if count]
        else:
            by = (self.data.release,) if rule == FIRST_COME else (self.data.due, self.data.release)
            groups = self._next_fit(np.lexsort((np.arange(len(self.orders)), *by[::-1])))
        self.adopt(groups, rule)

    def _next_fit(self, line: I64) -> list[list[int]]:
        """Orders in that line, into one batch until the next does not fit."""
        groups: list[list[int]] = []
        load = self.data.capacity + 1
        for o in line.tolist():
            load = load + self.data.load[o]
            if (load > self.data.capacity).any():
                groups.append([])
                load = self.data.load[o]
            groups[-1].append(o)
        return groups

    def _alone(self) -> None:
        self.now.head[0] = 0
        for o in range(len(self.orders)):
            kernels.fresh_row(self.data, self.now, o)
            self.now.head[0] += 1

    def _clear(self) -> None:
        self.now.head[0] = 0
        self.now.turns[:] = 0

    def adopt(self, groups: Sequence[Sequence[int]], strategy: str, tours: Sequence[Sequence[int]] | None = None) -> None:
        """Make these batches the present state, and the best if they are; turns by urgency. The groups may name an order
        twice (a cover): it stays where it comes first."""
        self._clear()
        seen: set[int] = set()
        for x, group in enumerate(groups):
            new = [o for o in dict.fromkeys(group) if o not in seen]
            seen.update(new)
            if not new:
                continue
            row = kernels.fresh_row(self.data, self.now, new[0])
            for o in new[1:]:
                kernels.join_row(self.data, self.now, row, o)
            if tours is not None and len(new) == len(group):
                kernels.set_tour(self.data, self.now, row, np.array(tours[x], np.int32))
            self.now.head[0] += 1
        if self.data.timed[0]:
            line = list(range(int(self.now.head[0])))
            if strategy != PARTITION:  # whose batches come in turn
                line.sort(key=lambda k: (int(self.now.soonest[k]), k))
            for row in line:
                _, robot, turn = kernels.best_turn(self.data, self.now, row)
                kernels.take_turn(self.data, self.now, row, robot, turn)
        self._note_all()
        self._renew(strategy)

    def _note_all(self) -> None:
        for row in range(int(self.now.head[0])):
            kernels.note(self.data, self.now, self.pool, row)

    def _renew(self, strategy: str) -> None:
        cost = int(kernels.cost_of(self.data, self.now))
        if cost < self.least or not self.strategy:
            self.least, self.strategy = cost, strategy
            kernels.copy(self.data, self.now, self.best)

    def _load(self, start: Solution) -> None:
        number = {int(o): k for k, o in enumerate(self.orders)}
        if sorted(o for b in start.batches for o in b.orders) != sorted(number):
            raise InputError("start", "an order is missing, twice or cannot be brought")
        self._clear()
        for x, batch in enumerate(start.batches):
            if not batch.orders or (self.problem.load[list(batch.orders)].sum(0) > self.problem.capacity).any():
                raise InputError(f"start.batches[{x}]", f"{batch.orders}", "what a robot can carry")
            if sorted(batch.tour) != sorted({p for o in batch.orders for p in self.problem.visits[o]}):
                raise InputError(f"start.batches[{x}].tour", "misses a place, or has one that is not needed")
            if not 0 <= batch.robot < len(self.problem.ready):
                raise InputError(f"start.batches[{x}].robot", f"{batch.robot}", f"0 to {len(self.problem.ready) - 1}")
            row = kernels.fresh_row(self.data, self.now, number[batch.orders[0]])
            for o in batch.orders[1:]:
                kernels.join_row(self.data, self.now, row, number[o])
            kernels.set_tour(self.data, self.now, row, np.array([0, *batch.tour, 0], np.int32))
            self.now.head[0] += 1
            if self.data.timed[0]:
                kernels.take_turn(self.data, self.now, row, batch.robot, int(self.now.turns[batch.robot]))
        self._note_all()
        self._renew(GIVEN)

    def anneal(self, until: float, warmth: float) -> None:
        """Ruin and recreate from the best, cooling until that share of the effort is spent."""
        if len(self.orders) < 2:
            return
        kernels.copy(self.data, self.best, self.now)
        scale = self.least / max(1, int(self.best.head[0]))
        begin, rounds = self.used(), max(1, self.effort.rounds // 100)
        if self.effort.clock:
            rounds = 10
        while (used := self.used()) < until:
            done = (used - begin) / max(until - begin, 1e-9)
            before, since = self.clock(), self.least
            heat = scale * HOT * warmth * (COLD / HOT) ** done
            self.least = int(
                kernels.anneal(self.data, self.now, self.old, self.best, self.pool, self.scratch, heat, rounds, MEAN_OUT)
            )
            self.strategy = RUIN if self.least < since else self.strategy
            self.rounds += rounds
            if self.pool.head[0] > 0.9 * COLUMNS or self.pool.head[1] > 0.9 * CELLS:
                self._forget()
            if self.effort.clock:
                want = min(CHUNK_S, self.effort.seconds / 100)
                rounds = max(1, min(100_000, int(rounds * min(2.0, want / max(self.clock() - before, 1e-6)))))

    def _forget(self) -> None:
        """Empty the pool but for the batches of the present state: what is met later, and colder, is worth more."""
        self.pool.slot[:] = 0
        self.pool.head[:] = 0
        self._note_all()

    def partition(self, until: float) -> None:
        """Let CP-SAT choose from the batches met, in the effort left until that share of it."""
        from planning.batching_pool import Columns, choose

        if len(self.orders) < 2 or not self.pool.head[0] or not self.effort.rounds:
            return
        columns = Columns.of(self.data, self.pool)
        left = (lambda: (until - self.used()) * self.effort.seconds) if self.effort.clock else None
        chosen, self.columns = choose(self.data, columns, self._turns(), self.least, left)
        if chosen is not None:
            self.adopt([columns.orders(c) for c in chosen], PARTITION, [columns.tour(c) for c in chosen])

    def _turns(self) -> list[tuple[tuple[int, ...], int]]:
        """(orders, start) of each batch of the best."""
        return [
            (tuple(self.best.member[k, : self.best.held[k]].tolist()), int(self.best.start[k]))
            for k in range(int(self.best.head[0]))
        ]

    def result(self) -> Solution:
        """The best, every tour as short as can be had for little, robots' turns in their order."""
        self._polish()
        rows = range(int(self.best.head[0]))
        if self.data.timed[0]:
            lines = [self.best.seq[r, : self.best.turns[r]].tolist() for r in range(len(self.problem.ready))]
        else:
            lines = self._spread(sorted(rows, key=lambda k: (int(self.best.opens[k]), -int(self.best.length[k]), k)))
        batches = []
        for robot, line in enumerate(lines):
            clock = int(self.problem.ready[robot])
            for k in line:
                orders = tuple(sorted(int(self.orders[o]) for o in self.best.member[k, : self.best.held[k]]))
                tour = tuple(self.best.tour[k, 1 : self.best.size[k] - 1].tolist())
                begin = max(clock, *(int(self.problem.release[o]) for o in orders))
                length = self.problem.length(tour)
                clock = begin + self.problem.takes(orders, length)
                batches.append(Batch(orders, tour, length, robot, begin, clock))
        return self._solution(sorted(batches, key=lambda b: (b.start, b.robot)))

    def _solution(self, batches: list[Batch]) -> Solution:
        late = [(o, b.end - int(self.problem.due[o])) for b in batches for o in b.orders if b.end > self.problem.due[o]]
        distance = sum(b.length for b in batches)
        return Solution(
            tuple(batches), self.left_out, distance + sum(int(self.problem.price[o]) * ds for o, ds in late), distance, len(late),
            sum(ds for _, ds in late), self.strategy, int(self.first if self.first < kernels.NONE else self.least), self.rounds,
            self.columns,
        )  # fmt: skip

    def _polish(self) -> None:
        """Tours exact where that is quick, else by kicks; the timetable follows, and can only get better."""
        for k in range(int(self.best.head[0])):
            tour = self.best.tour[k, : self.best.size[k]]
            found = shortest_tour(self.problem.distance, tour)
            if found is not None:
                tour[:] = found
            else:
                kernels.deepen(self.data.dist, tour, len(tour), KICKS, self.scratch.rng)
            self.best.length[k] = kernels.length_of(self.data.dist, tour, len(tour))
        if self.data.timed[0]:
            for r in range(len(self.problem.ready)):
                kernels.retime(self.data, self.best, r)

    def _spread(self, line: list[int]) -> list[list[int]]:
        """Rows of each robot: the next goes to who is free first."""
        free = self.problem.ready.tolist()
        lines: list[list[int]] = [[] for _ in free]
        for k in line:
            robot = min(range(len(free)), key=lambda r: (max(free[r], int(self.best.opens[k])), r))
            lines[robot].append(k)
            orders = [int(self.orders[o]) for o in self.best.member[k, : self.best.held[k]]]
            free[robot] = max(free[robot], int(self.best.opens[k])) + self.problem.takes(orders, int(self.best.length[k]))
        return lines


def _left_out(problem: Problem) -> list[tuple[int, str]]:
    out = []
    for o, stops in enumerate(problem.visits):
        over = np.flatnonzero(problem.load[o] > problem.capacity)
        if len(over):
            out.append((o, f"load {int(over[0])} is {int(problem.load[o, over[0]])}, a robot carries {int(problem.capacity[over[0]])}"))
        elif (problem.distance[0, list(stops)] >= FAR).any() or (problem.distance[list(stops), 0] >= FAR).any():
            out.append((o, "no way from the station to a place and back"))
    return out


def _data(problem: Problem, orders: I64, rng: np.random.Generator) -> tuple[Data, Scratch]:
    n, places = len(orders), len(problem.distance)
    visits = [problem.visits[o] for o in orders]
    first = np.concatenate([[0], np.cumsum([len(v) for v in visits], dtype=np.int64)]).astype(np.int64)
    flat = np.array([p for v in visits for p in v], np.int32)
    columns = {field: np.ascontiguousarray(getattr(problem, field)[orders]) for field in ("release", "due", "price", "service")}
    columns["price"] = np.where(columns["due"] < NO_DUE, columns["price"], 0)
    columns["due"] = np.where(columns["price"] > 0, columns["due"], NO_DUE)
    scratch = Scratch(
        np.zeros(len(flat) + 2, np.int32), np.zeros(places, np.int64), np.zeros(1, np.int64), np.zeros(n + 1, np.int32),
        np.zeros(n + 1), np.full((n, n + 1), -1, np.int64), np.zeros((n, n + 1), np.int64),
        rng.integers(1, 2**63, 1, np.uint64),
    )  # fmt: skip
    data = Data(
        np.ascontiguousarray(problem.distance), first, flat, np.ascontiguousarray(problem.load[orders]), problem.capacity,
        columns["release"], columns["due"], columns["price"], columns["service"], problem.ready, np.zeros((n, max(n - 1, 0)), np.int32), np.zeros(n, np.int64),
        rng.integers(0, 2**63, n, np.uint64), np.array([problem.pace]), np.array([problem.setup], np.int64),
        np.array([problem.timed], np.int64),
    )  # fmt: skip
    kernels.lengths_alone(data, data.alone, scratch.tour, scratch.rng)
    apart = np.zeros((n, n))
    kernels.relatedness(data, apart)
    np.fill_diagonal(apart, -1.0)
    data.near[:] = np.argsort(apart, axis=1, kind="stable")[:, 1:]
    return data, scratch


def _state(data: Data) -> State:
    n, robots = len(data.alone), len(data.ready)
    rows, members, stops = n + 1, 0, 0
    for c in range(len(data.capacity)):  # the most orders that fit, by the load that allows fewest
        fit = int((np.cumsum(np.sort(data.load[:, c])) <= data.capacity[c]).sum())
        members = fit if c == 0 else min(members, fit)
    members = members if len(data.capacity) else n
    stops = int(np.sort(np.diff(data.first))[::-1][: members + 1].sum())
    i32: Any = lambda *shape: np.zeros(shape, np.int32)  # noqa: E731
    i64: Any = lambda *shape: np.zeros(shape, np.int64)  # noqa: E731
    return State(
        i32(rows, min(stops, len(data.dist)) + 3), i32(rows), i32(rows, members + 2), i32(rows), i64(rows, len(data.capacity)), i64(rows),
        i64(rows), i64(rows), i64(rows), i64(rows), i32(rows), i64(rows), i64(rows), np.full(n, -1, np.int32), i32(robots, rows),
        i32(robots), i64(2),
    )  # fmt: skip


def _pool() -> Pool:
    i64: Any = lambda size: np.zeros(size, np.int64)  # noqa: E731
    return Pool(
        i64(2 * COLUMNS), np.zeros(COLUMNS, np.uint64), i64(COLUMNS), i64(COLUMNS), np.zeros(COLUMNS, np.int32),
        np.zeros(COLUMNS, np.int32), np.zeros(CELLS, np.int32), i64(2),
    )  # fmt: skip
