"""The search for batches: simple rules, savings, annealing, CP-SAT, in the turn that planning.batching gives them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from planning import batching_kernels as kernels
from planning.batching_arrays import CELLS, COLUMNS, data_of, empty_pool, empty_state
from planning.batching_exact import shortest_tour
from planning.batching_problem import Batch, Problem, Solution, left_out

I64 = NDArray[np.int64]

FIRST_COME, EARLIEST_DUE, SAVINGS, RUIN, PARTITION, GIVEN = (
    "first come, first served", "earliest due first", "savings", "ruin and recreate", "set partitioning", "start"
)  # fmt: skip
HOT, COLD = 0.02, 0.0004  # temperatures at the two ends of annealing, times the mean cost of a batch
HOT_BELOW = 100  # orders: fewer get the more heat the fewer they are, as rounds abound and valleys are deep
MEAN_OUT = 8  # orders taken out in a round: up to so many, twice as many in whole batches
CHUNK_S = 0.05  # how often the clock is read
KICKS = 60  # of the tours in a result, where there are too many places to be exact
WORK = 0.0004  # CP-SAT's deterministic time for each round of an effort without a clock
SAVINGS_UP_TO = 1_500  # orders: the table of pairs grows with the square, the time as well


@dataclass(frozen=True)
class Effort:
    """How long to search: `seconds` of `clock`, or, where the clock is None, `rounds` of ruin and recreate, the same result
    every time."""

    seconds: float = 10.0
    clock: Callable[[], float] | None = time.process_time
    rounds: int = 5000


class Search:
    """State of one call of solve. Kernels know only the orders that can be brought, by their place in `orders`."""

    def __init__(self, problem: Problem, effort: Effort, seed: int) -> None:
        self.problem, self.effort = problem, effort
        self.clock = effort.clock or (lambda: 0.0)
        self.began = self.clock()
        self.left_out = tuple(left_out(problem))
        self.orders = np.array(sorted(set(range(len(problem.visits))) - {o for o, _ in self.left_out}), np.int64)
        rng = np.random.default_rng(seed)
        self.data, self.scratch = data_of(problem, self.orders, rng)
        self.now, self.old, self.best = (empty_state(self.data) for _ in range(3))
        self.pool = empty_pool()
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
        scale = self.least / max(1, int(self.best.head[0])) * min(5.0, max(1.0, HOT_BELOW / len(self.orders)))
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
        work = WORK * self.effort.rounds
        chosen, self.columns = choose(self.data, columns, self._turns(), self.least, left, work)
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
