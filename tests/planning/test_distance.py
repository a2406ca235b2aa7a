from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from planning.distance import BEHIND, UNREACHABLE, DistanceTables, connectivity, largest_component, neighbours
from planning.lane_graph import neighbours_of, sources_of


def floor(*rows: str) -> np.ndarray:
    return np.array([[char == "." for char in row] for row in rows])


def random_floor(seed: int, closed: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    free = rng.random((int(rng.integers(2, 9)), int(rng.integers(2, 9)))) > closed
    free[0, 0] = True
    return free


def reference(free: np.ndarray, goal: int, costs: np.ndarray) -> np.ndarray:
    """Dijkstra with a plain heap."""
    nbr = neighbours(free)
    dist = np.full(free.size, UNREACHABLE, dtype=np.int64)
    dist[goal] = 0
    heap = [(0, goal)]
    while heap:
        near, cell = heapq.heappop(heap)
        for other in nbr[cell][nbr[cell] >= 0].tolist():
            if near + int(costs[other]) < dist[other]:
                dist[other] = near + int(costs[other])
                heapq.heappush(heap, (int(dist[other]), other))
    return dist


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_tables_equal_a_plain_dijkstra(seed: int, weighted: bool) -> None:
    free = random_floor(seed)
    rng = np.random.default_rng(seed)
    costs = rng.integers(1, 256, free.size) if weighted else np.ones(free.size, dtype=int)
    goal = int(rng.choice(np.flatnonzero(free)))
    tables = DistanceTables(free, costs if weighted else None)
    assert np.array_equal(tables.to(goal), reference(free, goal, costs))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.booleans())
def test_tables_follow_a_floor_that_changes(seed: int, weighted: bool, one_way: bool) -> None:
    rng = np.random.default_rng(seed)
    free = random_floor(seed, closed=0.2)
    costs = rng.integers(1, 6, free.size) if weighted else None
    tables = DistanceTables(free, costs, max_bytes=1 << 14)
    for _ in range(int(rng.integers(1, 2 * BEHIND))):
        free = free ^ (rng.random(free.shape) < rng.choice([0.0, 0.05, 0.3]))
        free[0, 0] = True
        leave = rng.integers(0, 16, free.shape).astype(np.uint8) if one_way and rng.random() < 0.5 else None
        nbr, sources = neighbours_of(free, leave), sources_of(free, leave)
        tables.reshape(free, nbr, sources)
        fresh = DistanceTables(free, costs)
        fresh.redirect(nbr, sources)
        goals = rng.choice(np.flatnonzero(free), int(rng.integers(0, 5)))
        pool, slots = tables.rows(goals)
        for goal, slot in zip(goals.tolist(), slots.tolist(), strict=True):
            assert np.array_equal(pool[slot], fresh.to(goal))
        assert np.array_equal(tables.to(0), fresh.to(0))


def test_neighbours_are_symmetric_and_stop_at_walls_and_edges() -> None:
    free = random_floor(7)
    nbr = neighbours(free)
    for cell in range(free.size):
        mine = nbr[cell][nbr[cell] >= 0].tolist()
        assert all(free.flat[other] and cell in nbr[other] for other in mine)
        assert free.flat[cell] or not mine


def test_pool_is_bounded_and_rows_of_one_call_never_evict_each_other() -> None:
    free = np.ones((4, 5), dtype=bool)
    tables = DistanceTables(free, max_bytes=4 * 20 * 3)  # room for three
    for goals in ([0, 1, 2], [3, 0, -1], [4, 5, 3], [0, 1, 2, 3, 4], [19]):
        pool, slots = tables.rows(goals)
        for goal, slot in zip(goals, slots.tolist(), strict=True):
            assert (slot == -1) if goal == -1 else pool[slot][goal] == 0 == pool[slot].min()
    assert len(pool) == 5


def test_new_prices_replace_the_tables() -> None:
    free = np.ones((1, 4), dtype=bool)
    tables = DistanceTables(free)
    assert tables.to(3).tolist() == [3, 2, 1, 0]
    tables.reprice([1, 1, 9, 1])
    assert tables.to(3).tolist() == [11, 10, 9, 0]
    tables.reprice(None)
    assert tables.to(3).tolist() == [3, 2, 1, 0]


def test_bad_input_names_its_field() -> None:
    tables = DistanceTables(floor("..#"))
    for goal in (2, 3, -2):
        with pytest.raises(InputError, match="goals"):
            tables.to(goal)
    for costs in ([1, 1], [0, 1, 1], [1, 256, 1]):
        with pytest.raises(InputError, match="costs"):
            tables.reprice(costs)
    with pytest.raises(InputError, match="free"):
        DistanceTables(np.ones(4, dtype=bool))


def test_dead_ends_and_corridors_are_named() -> None:
    free = floor(
        "...#...",
        ".#...#.",
        "...#...",
        ".######",
        ".######",
    )
    shape = connectivity(free)
    assert shape.components == (19,)
    assert not shape.biconnected
    kinds = {spur.kind: spur for spur in shape.spurs}
    assert kinds["dead_end"].cells == (21, 28) and kinds["dead_end"].mouths == (14,)
    assert kinds["corridor"].cells == (10,) and kinds["corridor"].mouths == (9, 11)
    assert {9, 10, 11, 14, 21} == set(shape.cut_cells)


def test_ring_is_biconnected_and_line_is_one_dead_end() -> None:
    assert connectivity(floor("...", ".#.", "...")).biconnected
    line = connectivity(floor("...."))
    assert not line.biconnected
    assert [(s.kind, s.mouths, s.cells) for s in line.dead_ends] == [("dead_end", (), (0, 1, 2, 3))]


def count_components(free: np.ndarray) -> int:
    from scipy.ndimage import label

    return int(label(free)[1])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_cut_cells_are_exactly_those_whose_closure_splits_the_floor(seed: int) -> None:
    free = random_floor(seed)
    shape = connectivity(free)
    cuts = set()
    for cell in np.flatnonzero(free).tolist():
        without = free.copy()
        without.flat[cell] = False
        alone = not (neighbours(free)[cell] >= 0).any()
        if count_components(without) > count_components(free) - alone:
            cuts.add(cell)
    assert set(shape.cut_cells) == cuts
    assert len(shape.components) == count_components(free)


def test_largest_component_keeps_only_the_largest() -> None:
    free = floor("..#.", "..#.", "###.")
    assert largest_component(free).tolist() == floor("..##", "..##", "####").tolist()
    assert not largest_component(np.zeros((2, 2), dtype=bool)).any()
