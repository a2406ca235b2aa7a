"""The directions a large fleet drives in, zones and speed limits: nobody is cut off, and what the site says is kept to."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.lanes import ANY_WAY, EAST, NORTH, SOUTH, STEPS, WEST, Lanes, Zone
from aislewise.sitemap import Place, SiteMap
from aislewise.types import Order, OrderLine
from planning.check import check_lanes
from planning.planner import LARGE_FLEET, Planner, PlannerConfig
from planning.problem import Rehearsal
from planning.rights import Floors
from planning.store import MemoryStore
from planning.ways import PLACE_COST, Ways
from sim.layouts import WarehouseConfig
from sim.warehouse import generate

HALL = generate(
    WarehouseConfig(width=40, height=40, layout="fulfilment", stations=4, chargers=4, parking=4), np.random.default_rng(1)
).site


Graph = dict[tuple[int, int], set[tuple[int, int]]]


def graph(free: np.ndarray, leave: np.ndarray | None) -> Graph:
    """Cell -> cells it may be left to, by plain loops."""
    out: Graph = {}
    for r, c in np.argwhere(free).tolist():
        out[r, c] = set()
        for bit, (dr, dc) in enumerate(STEPS):
            there = (r + dr, c + dc)
            if 0 <= there[0] < free.shape[0] and 0 <= there[1] < free.shape[1] and free[there]:
                if leave is None or int(leave[r, c]) >> bit & 1:
                    out[r, c].add(there)
    return out


def reach(arcs: Graph, start: tuple[int, int]) -> set[tuple[int, int]]:
    seen, todo = {start}, [start]
    while todo:
        new = arcs[todo.pop()] - seen
        seen |= new
        todo += new
    return seen


def backwards(arcs: Graph) -> Graph:
    out: Graph = {cell: set() for cell in arcs}
    for cell, there in arcs.items():
        for other in there:
            out[other].add(cell)
    return out


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["fulfilment", "rack_aisle", "narrow_aisle", "mixed", "cross_dock"]))
def test_a_large_fleet_is_cut_off_nowhere_whatever_stands_in_the_aisles(seed: int, layout: str) -> None:
    rng = np.random.default_rng(seed)
    site = generate(WarehouseConfig(width=30, height=32, layout=layout, stations=2, chargers=2, parking=2), rng).site
    stuck = (rng.random(site.cells.size) < rng.choice([0.0, 0.01, 0.1])) & site.free.ravel()
    leave = Ways(site, 1.5).leave(stuck, True)
    assert leave is not None
    free = site.free & ~stuck.reshape(site.cells.shape)
    both, directed = graph(free, None), graph(free, leave)
    todo, against = set(both), backwards(directed)
    while todo:  # what is joined by ways that go both ways can be reached, and come back from
        start = next(iter(todo))
        part = reach(both, start)
        assert reach(directed, start) == part == reach(against, start)
        todo -= part
    for r, c in np.argwhere(stuck.reshape(free.shape)).tolist():  # who stands before it may go back
        for dr, dc in STEPS:
            here = (r + dr, c + dc)
            if here in directed:
                assert directed[here] == both[here]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["fulfilment", "narrow_aisle"]))
def test_each_class_of_a_large_fleet_is_cut_off_nowhere_on_its_own_floor(seed: int, layout: str) -> None:
    rng = np.random.default_rng(seed)
    site = generate(WarehouseConfig(width=30, height=32, layout=layout, stations=2, chargers=2, parking=2), rng).site
    columns = np.repeat(rng.random(15) < 0.3, 2)[: site.width]  # whole aisles and pieces of the cross aisles
    pieces = np.repeat(np.repeat(rng.random((8, 8)) < 0.15, 4, 0), 4, 1)[: site.height, : site.width]
    floors = Floors(site.free, [site.free & ~columns, site.free & ~pieces])
    leave = Ways(site, 1.5, floors).leave(np.zeros(site.cells.size, np.bool_), True)
    anyway = graph(site.free, None)
    for may in floors.may:
        both, directed = graph(may, None), graph(may, leave)
        todo, against = set(both), backwards(directed)
        while todo:
            start = next(iter(todo))
            part = reach(both, start)
            assert reach(directed, start) == part == reach(against, start)
            todo -= part
        inside = set(both)  # who stands outside gets in again, if there was a way before
        lanes = graph(site.free, leave)
        assert all(reach(lanes, cell) & inside for cell in set(lanes) - inside if reach(anyway, cell) & inside)


def test_who_was_put_into_a_dead_end_that_is_not_for_it_may_come_out_against_the_direction_of_the_aisle() -> None:
    cells = np.ones((34, 11), np.uint8)
    cells[:2], cells[2:32, 1::2] = 0, 0
    site = SiteMap("comb", 1.0, 0.0, 0.0, cells, {})
    hall = site.free.copy()
    hall[2:] = False
    leave = Ways(site, 1.5, Floors(site.free, [hall])).leave(np.zeros(cells.size, np.bool_), True)
    lanes = graph(site.free, leave)
    assert all((0, 0) in reach(lanes, cell) for cell in lanes)


def test_neighbouring_aisles_go_opposite_ways_and_wide_floor_any() -> None:
    leave = Ways(HALL, 1.5).leave(np.zeros(HALL.cells.size, np.bool_), True)
    assert leave is not None
    ways, free = Ways(HALL, 1.5), HALL.free
    assert (leave.ravel()[ways.roomy] & (EAST | WEST) != 0).any()
    narrow = free & ~ways.roomy.reshape(free.shape)
    column = [set((leave[narrow[:, c], c] & (NORTH | SOUTH)).tolist()) for c in range(free.shape[1]) if narrow[:, c].sum() > 20]
    assert len(column) > 5 and all(len(s) == 1 and s <= {NORTH, SOUTH} for s in column)
    assert all(a != b for a, b in zip(column, column[1:]))
    inner = ways.roomy.reshape(free.shape).copy()
    for dr, dc in STEPS:  # cells with none but roomy ones round them
        inner &= np.roll(ways.roomy.reshape(free.shape), (dr, dc), (0, 1)) | ~np.roll(free, (dr, dc), (0, 1))
    assert inner.any() and (leave[inner] == ANY_WAY).all()


def test_a_small_fleet_keeps_to_the_lanes_of_the_site_alone() -> None:
    nothing = np.zeros(HALL.cells.size, np.bool_)
    assert Ways(HALL, 1.5).leave(nothing, False) is None
    said = np.full(HALL.cells.shape, ANY_WAY, np.uint8)
    said[20, :] = EAST | NORTH | SOUTH
    ways = Ways(dataclasses.replace(HALL, lanes=Lanes(leave=said)), 1.5)
    assert np.array_equal(ways.leave(nothing, False), said)
    large = ways.leave(nothing, True)
    assert large is not None and not (large & ~said).any()  # and a large one to these as well


def test_slow_zones_and_places_cost_what_they_cost_in_time() -> None:
    zone = Zone("z", "slow", ((3.0, 3.0), (9.0, 3.0), (9.0, 4.0), (3.0, 4.0)), 0.5, from_s=10.0, to_s=20.0)
    ways = Ways(dataclasses.replace(HALL, zones=(zone,)), 1.5)
    inside = HALL.cell_at(4.5, 3.5)
    assert [int(ways.costs(t, False)[inside]) for t in (9.9, 10.0, 19.9, 20.0)] == [1, 3, 3, 1]
    station = HALL.of_kind("station")[0].cell
    assert ways.costs(0.0, False)[station] == 1 and ways.costs(0.0, True)[station] == PLACE_COST


def ring(zones: tuple[Zone, ...] = ()) -> SiteMap:
    """A ring of 20 x 8 cells driven anticlockwise round a block, with a face and a station on its lower side."""
    cells = np.ones((10, 22), np.uint8)
    cells[1:9, 1:21] = 0
    cells[2:8, 2:20] = 1
    leave = np.full(cells.shape, ANY_WAY, np.uint8)
    leave[1, 1:20], leave[1:8, 20], leave[8, 2:21], leave[2:9, 1] = EAST, NORTH, WEST, SOUTH
    places = {"s": Place("s", "station", 5 + 22, 5.5, 0.5), "f": Place("f", "pick_face", 3 + 22, 3.5, 0.5)}
    return SiteMap("ring", 1.0, 0.0, 0.0, cells, places, {"a": "f"}, lanes=Lanes(leave=leave), zones=zones)


def run(site: SiteMap, robots: int, orders: int, ticks: int = 2000) -> tuple[list[tuple[int, np.ndarray]], MemoryStore]:
    """Where everyone is (tick, cells) until all orders are done."""
    store = MemoryStore()
    for k in range(orders):
        store.submit(Order(f"o{k}", (OrderLine("s", pick_from="f"),)), 0)
    cells = np.random.default_rng(0).choice(np.flatnonzero(site.free.ravel()), robots, replace=False)
    floor = Rehearsal(site, {f"r{k}": int(c) for k, c in enumerate(cells)}, 1.5)
    planner, trail = Planner(site, store, PlannerConfig(), 1), []
    while store.open_count() and floor.ticks < ticks:
        floor.obey(planner.step(floor.world(), floor.now_ns))
        floor.tick()
        trail.append((floor.now_ns, np.array([site.cell_at(i.pose.x_m, i.pose.y_m) for i in floor.world().robots])))
    assert floor.violations == []
    return trail, store


def test_robots_go_the_whole_way_round_where_lanes_are_one_way() -> None:
    site = ring()
    trail, store = run(site, 4, 6)
    assert store.open_count() == 0
    paths = np.array([cells for _, cells in trail])
    assert site.lanes is not None and site.lanes.leave is not None
    assert not check_lanes(site.lanes.leave, paths)
    assert len(np.unique(paths)) == int(site.free.sum())


def test_nobody_enters_a_zone_while_it_is_shut() -> None:
    zone = Zone("wash", "keep_out", ((9.0, 8.0), (11.0, 8.0), (11.0, 9.0), (9.0, 9.0)), to_s=60.0)
    trail, store = run(ring((zone,)), 1, 2)
    assert store.open_count() == 0
    shut = {9 + 8 * 22, 10 + 8 * 22}
    inside = [now_ns / 1e9 for now_ns, cells in trail if shut & set(cells.tolist())]
    assert inside and min(inside) >= 60.0


def test_routes_say_how_fast_a_robot_may_drive_where_and_when() -> None:
    """Robots that are driven through a slow zone are told its limit on every move that touches it, while it holds."""
    zone = Zone("people", "slow", ((0.0, 4.0), (22.0, 4.0), (22.0, 12.0), (0.0, 12.0)), 0.4, from_s=20.0, to_s=1e6)
    site = ring((zone,))
    slow = set(np.flatnonzero(site.zone_cells(zone)).tolist())
    store = MemoryStore()
    for k in range(4):
        store.submit(Order(f"o{k}", (OrderLine("s", pick_from="f"),)), 0)
    floor = Rehearsal(site, {"r0": int(np.flatnonzero(site.free.ravel())[0])}, 1.5)
    planner, told = Planner(site, store, PlannerConfig(), 1), {}
    while store.open_count() and floor.ticks < 600:
        now_s, plan = floor.now_ns / 1e9, planner.step(floor.world(), floor.now_ns)
        for move, before in ((w, c) for r in plan.robots for w, c in zip(r.released, [-1, *[w.cell for w in r.released]], strict=False)):
            if not move.action and move.seq not in told:
                told[move.seq] = now_s, before, move.cell, move.max_speed_mps
        floor.obey(plan)
        floor.tick()
    assert store.open_count() == 0
    limits = [(most, now_s >= 20.0 and not slow.isdisjoint((before, cell))) for now_s, before, cell, most in told.values() if before >= 0]
    assert {most for most, holds in limits if holds} == {0.4} and {most for most, holds in limits if not holds} == {0.0}


def test_large_fleets_drive_one_way_and_finish() -> None:
    robots = LARGE_FLEET + 5
    faces, stations = HALL.of_kind("pick_face"), HALL.of_kind("station")
    rng, store = np.random.default_rng(4), MemoryStore()
    for k in range(30):
        line = OrderLine(stations[rng.integers(len(stations))].id, pick_from=faces[rng.integers(len(faces))].id)
        store.submit(Order(f"o{k}", (line,)), 0)
    cells = rng.choice(np.flatnonzero(HALL.free.ravel()), robots, replace=False)
    floor = Rehearsal(HALL, {f"r{k}": int(c) for k, c in enumerate(cells)}, 1.5)
    planner, wrong, moves = Planner(HALL, store, PlannerConfig(), 1), 0, 0
    leave = Ways(HALL, 1.5).leave(np.zeros(HALL.cells.size, np.bool_), True)
    assert leave is not None
    before = None
    while store.open_count() and floor.ticks < 3000:
        floor.obey(planner.step(floor.world(), floor.now_ns))
        floor.tick()
        now = np.array([[HALL.cell_at(i.pose.x_m, i.pose.y_m) for i in floor.world().robots]])
        if before is not None:
            wrong += len(check_lanes(leave, np.concatenate([before, now])))
            moves += int((before != now).sum())
        before = now
    assert store.open_count() == 0 and floor.violations == []
    assert moves > 500 and wrong == 0


@pytest.mark.parametrize("move, kinds", [(1, []), (-1, ["lane"]), (0, [])])
def test_the_checker_tells_a_move_against_a_lane(move: int, kinds: list[str]) -> None:
    leave = np.full((3, 5), EAST, np.uint8)
    assert [v.kind for v in check_lanes(leave, np.array([[7], [7 + move]]))] == kinds
