from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from planning import pibt
from planning.distance import I32, UNREACHABLE, Bool, bfs, largest_component
from planning.lane_graph import neighbours_of, sources_of
from planning.traffic import TrafficPlanner


def random_floor(rng: np.random.Generator) -> Bool:
    """Open halls with pillars, one-wide aisles, or trees of dead ends."""
    height, width = int(rng.integers(2, 13)), int(rng.integers(2, 13))
    kind = rng.integers(3)
    free = rng.random((height, width)) > rng.uniform(0, 0.4)
    if kind == 1:
        free[:] = True
        free[1:-1:2, 1:-1] = False
    elif kind == 2:
        free[:] = False
        row, col = 0, 0
        for turn in rng.integers(0, 4, height * width).tolist():
            free[row, col] = True
            row = min(max(row + (turn == 1) - (turn == 3), 0), height - 1)
            col = min(max(col + (turn == 0) - (turn == 2), 0), width - 1)
    free[0, 0] = True
    return largest_component(free)


class Case:
    """Everything that a step is asked with, at random."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        free = random_floor(rng)
        cells = np.flatnonzero(free).astype(np.int32)
        leave = np.where(rng.random(free.shape) < 0.2, rng.integers(0, 16, free.shape), 15).astype(np.uint8)
        lanes = leave if rng.random() < 0.3 else None
        self.nbr, sources = neighbours_of(free, lanes), sources_of(free, lanes)
        self.size, self.count = free.size, int(rng.integers(1, len(cells) + 1))
        self.pool: I32 = np.empty((self.count, self.size), np.int32)
        for table in self.pool:
            bfs(sources, int(rng.choice(cells)), table, np.empty(self.size, np.int32))
        self.now: I32 = rng.permutation(cells)[: self.count]
        reached = self.pool[np.arange(self.count), self.now] < UNREACHABLE
        self.slots: I32 = np.where(reached & (rng.random(self.count) < 0.8), np.arange(self.count), -1).astype(np.int32)
        self.depth: I32 = rng.integers(0, 4, self.size).astype(np.int32)
        self.fixed, self.dwell = rng.random((2, self.count)) < rng.choice([0.0, 0.2])
        self.blocked: Bool = rng.random(self.size) < rng.choice([0.0, 0.15])
        self.rotate, self.turning = bool(rng.integers(2)), bool(rng.integers(2))
        self.heading: I32 = rng.choice([0, 1, -1, free.shape[1], -free.shape[1]], self.count).astype(np.int32)
        self.urgency, self.waited = rng.integers(0, (3, 5000), (self.count, 2)).T.astype(np.int64)
        self.patience = int(rng.choice([2, 50]))
        self.order: I32 = rng.permutation(self.count).astype(np.int32)
        self.nxt: I32 = np.full(self.count, -1, np.int32)
        first = self.order[0]  # one cell is settled beforehand, as a search would
        stay = set(self.now[self.fixed].tolist())
        ways = [cell for cell in self.nbr[self.now[first]].tolist() if cell >= 0 and cell not in stay] or [-1]
        self.nxt[first] = ways[int(rng.integers(len(ways)))] if rng.random() < 0.5 else -1
        self.rng = pibt.seed_state(seed)

    def run(self, steps: int) -> I32:
        paths: I32 = np.empty((steps + 1, self.count), np.int32)
        paths[0] = self.now
        pibt.pibt_run(
            self.nbr, self.pool, self.slots, self.depth, self.heading, self.turning, self.fixed, self.dwell, self.blocked,
            self.rotate, self.urgency.copy(), self.waited.copy(), self.patience, paths, self.rng,
            np.zeros(self.count, np.int32),
        )  # fmt: skip
        return paths

    def step(self) -> tuple[bool, I32, I32]:
        """(possible, next cells, both books of who is where afterwards)."""
        books: I32 = np.full((2, self.size), -1, np.int32)
        work, stack = np.empty((self.count, 8), np.int32), np.empty(self.count, np.int32)
        straight = (self.now + self.heading).astype(np.int32)
        possible = pibt.pibt_step(
            self.nbr, self.pool, self.slots, self.depth, straight, self.fixed, self.blocked, self.rotate, self.order, self.now,
            self.nxt, books[0], books[1], work, stack, self.rng,
        )  # fmt: skip
        return bool(possible), self.nxt, books


def test_decisions_are_those_they_have_always_been() -> None:
    """Recorded before the step was made faster: shifts on record can be played again only while this holds. A change that
    is meant to decide otherwise records anew what this prints."""
    digest = hashlib.sha256()
    for seed in range(400):
        paths = Case(seed).run(12)
        possible, nxt, _ = Case(seed).step()
        digest.update(paths.tobytes() + nxt.tobytes() + bytes([possible]))
    assert digest.hexdigest()[:24] == "70dd919822a200f3e7937b3c"


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6))
def test_a_step_keeps_what_was_settled_and_leaves_its_books_empty(seed: int) -> None:
    case = Case(seed)
    before = case.nxt.copy()
    possible, nxt, books = case.step()
    assert (nxt[before >= 0] == before[before >= 0]).all()
    assert (books == -1).all()
    if possible:
        assert len(set(nxt.tolist())) == case.count


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 40, 5_000, 1 << 21, 1 << 38]), st.integers(0, 300))
def test_agents_come_by_rank_and_then_by_number(seed: int, most: int, count: int) -> None:
    rank = np.random.default_rng(seed).integers(0, most, count)
    order, spare = np.empty(count, np.int32), np.empty(count, np.int32)
    pibt._by_rank(rank, order, spare)
    assert order.tolist() == np.lexsort((np.arange(count), -rank)).tolist()


@settings(max_examples=100, deadline=None)
@given(st.permutations([5, 1, 3, 2, 4]), st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_five_keys_are_sorted(distinct: list[int], equal: list[int]) -> None:
    for keys in (distinct, equal):
        assert list(pibt._sorted(*keys)) == sorted(keys)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.permutations(["a", "b", "c", "d", "e"]), min_size=1, max_size=8), st.integers(0, 1000))
def test_waiting_is_counted_by_name_however_robots_come_and_go(calls: list[list[str]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    planner = TrafficPlanner(np.ones((1, 8), np.bool_))
    book: dict[str, int] = {}
    for names in calls:
        names = names[: int(rng.integers(1, 6))]
        now = rng.permutation(8)[: len(names)].astype(np.int32)
        goals = np.where(rng.random(len(names)) < 0.3, now, rng.integers(-1, 8, len(names))).astype(np.int32)
        book = {
            name: 0 if goal in (-1, here) else book.get(name, 0) + 1
            for name, here, goal in zip(names, now.tolist(), goals.tolist(), strict=True)
        }
        assert planner._wait(list(names), now, goals).tolist() == list(book.values())


def test_two_robots_of_one_name_are_refused() -> None:
    planner: Any = TrafficPlanner(np.ones((2, 3), np.bool_))
    with pytest.raises(InputError, match="names"):
        planner.plan([0, 1], [2, 3], names=["r", "r"])


def test_robots_that_share_goals_or_have_none_each_get_their_own_way() -> None:
    free = np.ones((3, 6), np.bool_)
    paths = TrafficPlanner(free).plan([0, 5, 12, 8], [17, 17, -1, 8], horizon=12)
    assert 17 in paths[:, 0] and 17 in paths[:, 1]
    assert (paths[:, 2] == 12).all() and (paths[:, 3] == 8).any()
