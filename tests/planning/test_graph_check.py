"""The report on a site's graph against brute force on small floors, and against what PIBT then does."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from aislewise.lanes import ANY_WAY, EAST, NORTH, SOUTH, WEST, Lanes
from aislewise.sitemap import Place, SiteMap
from planning.distance import UNREACHABLE, bfs
from planning.graph_check import GraphReport, check_graph
from planning.lane_graph import both_ways, neighbours_of, sources_of
from planning.mapfiles import site_of
from planning.pibt import pibt_step, seed_state

Arcs = dict[int, set[int]]


def site(*rows: str, leave: np.ndarray | None = None, places: dict[str, tuple[str, int]] | None = None) -> SiteMap:
    """The first row is row 0. places: id -> (kind, cell)."""
    free = np.array([[char == "." for char in row] for row in rows])
    plain = site_of(free, 1.0)
    at = {n: Place(n, kind, cell, *plain.centre(cell)) for n, (kind, cell) in (places or {}).items()}
    return replace(plain, places=at, lanes=None if leave is None else Lanes(leave))


def random_site(seed: int, one_way: bool) -> SiteMap:
    rng = np.random.default_rng(seed)
    free = rng.random((int(rng.integers(1, 6)), int(rng.integers(1, 6)))) > rng.choice([0.1, 0.3])
    leave = np.full(free.shape, ANY_WAY, np.uint8)
    if one_way:
        leave &= ~np.where(rng.random(free.shape) < 0.5, 1 << rng.integers(0, 4, free.shape), 0).astype(np.uint8)
    return replace(site_of(free, 1.0), lanes=Lanes(leave) if one_way else None)


def arcs_of(where: SiteMap) -> Arcs:
    """Straight from the definition: open cells, and the bits of `leave`."""
    leave = where.lanes.leave if where.lanes is not None else None
    arcs: Arcs = {}
    for row, col in product(range(where.height), range(where.width)):
        if not where.free[row, col]:
            continue
        arcs[row * where.width + col] = set()
        for bit, dr, dc in ((EAST, 0, 1), (NORTH, 1, 0), (WEST, 0, -1), (SOUTH, -1, 0)):
            r, c = row + dr, col + dc
            if 0 <= r < where.height and 0 <= c < where.width and where.free[r, c]:
                if leave is None or leave[row, col] & bit:
                    arcs[row * where.width + col].add(r * where.width + c)
    return arcs


def reach(arcs: Arcs, start: int, without: int = -1, not_along: tuple[int, int] = (-1, -1)) -> set[int]:
    seen, todo = {start}, [start]
    while todo:
        cell = todo.pop()
        for other in arcs[cell]:
            if other not in seen and other != without and (cell, other) != not_along:
                seen.add(other)
                todo.append(other)
    return seen


def parts_of(arcs: Arcs, among: set[int], without: int = -1) -> list[set[int]]:
    """Strongly connected parts of the graph on `among`, largest first."""
    inner = {c: arcs[c] & among - {without} for c in among if c != without}
    seen = {c: reach(inner, c) for c in inner}
    parts = {frozenset(d for d in seen[c] if c in seen[d]) for c in inner}
    return sorted((set(p) for p in parts), key=len, reverse=True)


def block_sizes(arcs: Arcs) -> list[int]:
    """Cells of each biconnected component: neighbouring edges are in one if their other ends hang together without the
    cell between them."""
    both = {c: {d for d in arcs if d in arcs[c] or c in arcs[d]} for c in arcs}
    edges = [frozenset((c, d)) for c in both for d in both[c] if c < d]
    home = {edge: edge for edge in edges}

    def root(edge: frozenset[int]) -> frozenset[int]:
        while home[edge] != edge:
            edge = home[edge]
        return edge

    for cell, around in both.items():
        for x, y in product(around, around):
            if x < y and y in reach({c: both[c] for c in both}, x, without=cell):
                home[root(frozenset((cell, x)))] = root(frozenset((cell, y)))
    members: dict[frozenset[int], set[int]] = {}
    for edge in edges:
        members.setdefault(root(edge), set()).update(edge)
    return sorted((len(m) for m in members.values()), reverse=True)


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_the_structure_is_what_brute_force_finds(seed: int, one_way: bool) -> None:
    where = random_site(seed, one_way)
    arcs, report = arcs_of(where), check_graph(where)
    parts = parts_of(arcs, set(arcs))
    assert report.parts == tuple(len(p) for p in parts)
    assert report.one_way == sum(c not in arcs[d] for c in arcs for d in arcs[c])
    cut = {c for p in parts for c in p if len(parts_of(arcs, p, without=c)) > 1}
    assert set(report.cut_cells.tolist()) == cut
    sizes = [n for n in block_sizes(arcs) if n >= 3]
    assert (report.blocks, report.largest_block) == (len(sizes), max(sizes, default=0))
    assert report.strongly_biconnected == (len(parts) == 1 and block_sizes(arcs) == [len(arcs)] and len(arcs) >= 3)


def promised(arcs: Arcs, part: set[int]) -> tuple[int, bool]:
    """(robots without, whether with rings) by the conditions in the words of planning.graph_check, move by move."""
    moves = [(u, v) for u in part for v in arcs[u]]
    if len(part) < 3 or not all(v in part for _, v in moves):
        return 0, False
    rings = all(u in reach(arcs, v, not_along=(v, u)) for u, v in moves)
    return min(len(reach(arcs, v, without=u)) for u, v in moves), rings


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_the_promises_hold_for_every_move_of_the_largest_part(seed: int, one_way: bool) -> None:
    where = random_site(seed, one_way)
    arcs, report = arcs_of(where), check_graph(where)
    if not report.parts:
        assert not report.reaches_all and not report.reaches_all_in_rings
        return
    largest = [p for p in parts_of(arcs, set(arcs)) if len(p) == report.parts[0]]
    assert (report.robots_most, report.reaches_all_in_rings) in {promised(arcs, p) for p in largest}
    assert not report.reaches_all or report.reaches_all_in_rings


def step_of_first(where: SiteMap, now: np.ndarray, goal: int, seed: int) -> tuple[int, int]:
    """Distances of robot 0 to its goal before and after PIBT decided it and whom it pushes."""
    leave = where.lanes.leave if where.lanes is not None else None
    nbr, sources = neighbours_of(where.free, leave), sources_of(where.free, leave)
    cells, count = len(nbr), len(now)
    pool = np.empty((1, cells), np.int32)
    bfs(sources, goal, pool[0], np.empty(cells, np.int32))
    slots, nxt = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
    slots[0] = 0
    none, zeros = np.full(cells, -1, np.int32), np.zeros(cells, np.int32)
    assert pibt_step(
        nbr, pool, slots, zeros, np.full(count, -1, np.int32), np.zeros(count, bool), np.zeros(cells, bool), False,
        np.zeros(1, np.int32), now.astype(np.int32), nxt, none.copy(), none.copy(), np.empty((count, 8), np.int32),
        np.empty(count, np.int32), seed_state(seed), 0,
    )  # fmt: skip
    return int(pool[0, now[0]]), int(pool[0, nxt[0]])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_where_it_is_promised_the_first_robot_moves_however_crowded_the_floor_is(seed: int, one_way: bool) -> None:
    where = random_site(seed, one_way)
    report = check_graph(where)
    if not report.robots_most:
        return
    rng = np.random.default_rng(seed)
    part = max(parts_of(arcs_of(where), set(arcs_of(where))), key=len)
    now = rng.permutation(sorted(part))[: report.robots_most]
    for goal in rng.choice(sorted(part), 4):
        before, after = step_of_first(where, now, int(goal), seed)
        assert after == max(0, before - 1)


def test_where_it_is_not_promised_a_robot_may_be_stuck() -> None:
    cross = site("#.#", "...", "#.#")
    assert check_graph(cross).robots_most == 1
    assert step_of_first(cross, np.array([4, 5, 3, 7]), 5, 0) == (1, 1)


def test_one_way_aisles_between_two_cross_aisles_cost_the_promise_as_many_robots_as_they_are_long() -> None:
    rows = ["......."] * 2 + [".#.#.#."] * 3 + ["......."] * 2
    leave = np.full((7, 7), ANY_WAY, np.uint8)
    for col, way in ((0, NORTH), (2, SOUTH), (4, NORTH), (6, SOUTH)):
        leave[2:5, col] = way
        leave[5 if way == NORTH else 1, col] &= ~np.uint8(SOUTH if way == NORTH else NORTH)  # nobody goes in at its end
    report = check_graph(site(*rows, leave=leave))
    assert report.strongly_biconnected and report.robots_most == 40 - 1 - 3 and not report.reaches_all
    assert all(f.kind == "cut" for f in report.findings) and report.sound


def test_a_lane_that_leads_only_inwards_is_a_trap_and_says_so() -> None:
    leave = np.full((2, 5), ANY_WAY, np.uint8)
    leave[0, 3] = leave[1, 3] = EAST | NORTH | SOUTH
    places = {"pen": ("station", 4), "dock": ("charger", 0)}
    report = check_graph(site(".....", ".....", leave=leave, places=places))
    trap = next(f for f in report.findings if f.kind == "trap")
    assert not report.sound and not report.reaches_all and trap.severity == "error"
    assert trap.cells.tolist() == [3, 4, 8, 9] and trap.places == ("pen",)
    assert any(f.kind == "places" and "dock cannot be reached from any other place" in f.text for f in report.findings)
    assert not any(f.kind == "places" and f.text.startswith("pen") for f in report.findings)


def test_a_dead_end_is_named_by_its_mouth_and_the_places_in_it() -> None:
    report = check_graph(site("...", ".#.", "...", "#.#", "#.#", places={"face": ("pick_face", 13)}))
    (dead,) = [f for f in report.findings if f.kind == "dead_end"]
    assert dead.cells.tolist() == [10, 13] and dead.places == ("face",) and (dead.x_m, dead.y_m) == (1.5, 2.5)
    assert "2 cells opens at (1.5, 2.5) m, 2.0 m from pick_face face" in dead.text and dead.text.endswith("there: face")
    assert len(report.findings) == 1  # the mouth alone cuts nothing but that


def test_a_place_at_the_neck_of_the_floor_is_named_with_what_it_cuts_off() -> None:
    report = check_graph(site("..#..", ".....", "..#..", places={"dock": ("charger", 7)}))
    (neck,) = [f for f in report.findings if 7 in f.cells]
    assert neck.loss == 6 and neck.places == ("dock",) and neck.severity == "warning"


def test_a_closure_is_judged_and_what_it_did_is_told_apart() -> None:
    hall = site("...", "...", places={"a": ("station", 0), "b": ("station", 2)})
    before, closed = check_graph(hall), np.zeros((2, 3), bool)
    assert before.reaches_all and before.findings == () and before.sound
    closed[:, 1] = True
    after = check_graph(hall, closed)
    assert not after.sound and {f.kind for f in after.new_since(before)} >= {"places"}
    assert after.new_since(after) == ()
    assert check_graph(hall, closed.ravel()).to_json() == after.to_json()
    closed[0, 0] = True
    assert any("the cell is closed" in f.text for f in check_graph(hall, closed).findings)


def test_what_is_not_searched_within_the_budget_counts_as_unsafe() -> None:
    leave = np.full((40, 40), ANY_WAY, np.uint8)
    leave[20, :-1] = EAST | NORTH  # a one-way street that cuts the floor in two, joined at its end
    leave[19, :] &= ~np.uint8(NORTH)
    leave[19, 0] |= NORTH
    where = site(*["." * 40] * 40, leave=leave)
    full, none = check_graph(where), check_graph(where, budget=0)
    assert full.unchecked == 0 and none.unchecked > 0 and not none.reaches_all
    assert "were not checked" in none.promise()


def test_no_free_cell_and_a_single_cell_promise_nothing() -> None:
    for rows in (("##",), (".#",), ("..",)):
        report = check_graph(site(*rows))
        assert not report.reaches_all and report.promise()


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="closed"):
        check_graph(site("..."), np.zeros(2, bool))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_robots_on_a_directed_table_never_drive_a_lane_backwards(seed: int) -> None:
    """Without the swap step: each robot is decided in turn by a step of its own, as `plain`."""
    rng = np.random.default_rng(seed)
    where = random_site(seed, True)
    arcs = arcs_of(where)
    cells = np.array(sorted(arcs))
    if not len(cells):
        return
    leave = where.lanes.leave if where.lanes is not None else None
    nbr, sources = neighbours_of(where.free, leave), sources_of(where.free, leave)
    count, size = int(rng.integers(1, len(cells) + 1)), len(nbr)
    now = rng.permutation(cells)[:count].astype(np.int32)
    pool = np.empty((count, size), np.int32)
    for k in range(count):
        bfs(sources, int(rng.choice(cells)), pool[k], np.empty(size, np.int32))
    reachable = pool[np.arange(count), now] < UNREACHABLE
    slots = np.where(reachable & (rng.random(count) < 0.8), np.arange(count), -1).astype(np.int32)
    none, rotate, rng_state = np.full(size, -1, np.int32), bool(rng.integers(2)), seed_state(seed)
    occ_now, occ_nxt, work, stack = none.copy(), none.copy(), np.empty((count, 8), np.int32), np.empty(count, np.int32)
    for _ in range(12):
        nxt = np.full(count, -1, np.int32)
        for k in rng.permutation(count):
            pibt_step(
                nbr, pool, slots, np.zeros(size, np.int32), np.full(count, -1, np.int32), np.zeros(count, bool),
                np.zeros(size, bool), rotate, np.array([k], np.int32), now, nxt, occ_now, occ_nxt, work, stack, rng_state, int(k),
            )  # fmt: skip
        assert len(set(nxt.tolist())) == count
        assert all(b == a or b in arcs[a] for a, b in zip(now.tolist(), nxt.tolist()))
        now = nxt


def test_a_swap_draws_nobody_back_along_a_one_way_lane() -> None:
    leave = np.array([[ANY_WAY, ANY_WAY, EAST, WEST], [ANY_WAY, ANY_WAY, ANY_WAY, ANY_WAY]], np.uint8)
    where = site("....", "#.##", leave=leave)
    nbr, sources = neighbours_of(where.free, leave), sources_of(where.free, leave)
    pool = np.empty((1, 8), np.int32)
    bfs(sources, 3, pool[0], np.empty(8, np.int32))
    now, nxt, none = np.array([1, 2], np.int32), np.full(2, -1, np.int32), np.full(8, -1, np.int32)
    pibt_step(  # robot 0 wants into the dead end before which robot 1, without a goal, stands on a lane that leads there
        nbr, pool, np.array([0, -1], np.int32), np.zeros(8, np.int32), np.full(2, -1, np.int32), np.zeros(2, bool),
        np.zeros(8, bool), False, np.array([0, 1], np.int32), now, nxt, none.copy(), none.copy(),
        np.empty((2, 8), np.int32), np.empty(2, np.int32), seed_state(0),
    )  # fmt: skip
    assert all(b == a or b in arcs_of(where)[a] for a, b in zip(now.tolist(), nxt.tolist()))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_tables_of_both_directions_list_the_same_moves(seed: int) -> None:
    where = random_site(seed, True)
    leave = where.lanes.leave if where.lanes is not None else None
    nbr, sources = neighbours_of(where.free, leave), sources_of(where.free, leave)
    moves = {(c, d) for c, row in enumerate(nbr.tolist()) for d in row if d >= 0}
    assert moves == {(c, d) for c, around in arcs_of(where).items() for d in around}
    assert moves == {(c, d) for d, row in enumerate(sources.tolist()) for c in row if c >= 0}
    joined = {(c, d) for c, row in enumerate(both_ways(nbr, sources).tolist()) for d in row if d >= 0}
    assert joined == moves | {(d, c) for c, d in moves}
    for table in (nbr, sources):
        assert ((table[:, 1:] < 0) | (table[:, :-1] >= 0)).all()  # packed left


def test_the_report_is_plain_data() -> None:
    report: GraphReport = check_graph(site("...", ".#.", "...", "#.#"))
    data = report.to_json()
    assert data["findings"][0]["kind"] == "bays" and data["robots_most"] == 1 and data["sound"]
