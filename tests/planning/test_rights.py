"""Robots stay out of cells that are not for them: pushed or not, and still everybody gets where it may go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from aislewise.lanes import Lanes, layer_of
from aislewise.sitemap import Place, SiteMap
from planning.check import check_lanes, check_paths, check_rights
from planning.config import PlannerConfig
from planning.distance import DistanceTables, largest_component
from planning.goals import Goals, Mover
from planning.pibt import pibt_run, seed_state
from planning.rights import Floors, OwnSteps, Rights
from planning.traffic import TrafficPlanner
from tests.planning.conftest import Loop, build_order, build_site

FORK, TUG = frozenset({"fork"}), frozenset({"tug"})


class Hall:
    """A random small floor, some of it kept for forklifts or tugs and some of it narrow, and robots of all sorts on it."""

    def __init__(self, seed: int, robots: int = 0) -> None:
        self.rng = rng = np.random.default_rng(seed)
        free = largest_component(rng.random((int(rng.integers(2, 8)), int(rng.integers(3, 9)))) > 0.2)
        draw = rng.random(free.shape)
        share = rng.choice([0.1, 0.3])
        only = layer_of({FORK: draw < share, TUG: (draw >= share) & (draw < 1.5 * share)}, free.shape)
        width = layer_of({1: rng.random(free.shape) < 0.15}, free.shape) if rng.random() < 0.5 else None
        self.lanes = Lanes(only=only, width_cells=width)
        self.site = SiteMap("hall", 1.0, 0.0, 0.0, np.where(free, 0, 1).astype(np.uint8), {}, {}, self.lanes)
        self.free, cells = free, np.flatnonzero(free)
        count = min(len(cells), robots or int(rng.integers(1, len(cells) + 1)))
        self.starts, self.goals = rng.choice(cells, count, replace=False), rng.choice(cells, count)
        self.names = [f"r{k}" for k in range(count)]
        kinds = rng.integers(0, 4, count).tolist()
        self.skills = {n: {0: FORK, 1: TUG, 2: FORK | TUG}[k] for n, k in zip(self.names, kinds, strict=True) if k < 3}
        self.widths = {n: 2 for n in self.names if rng.random() < 0.3}
        self.rights = Rights(self.site, self.skills, self.widths)
        self.floor_of = [self.rights.floor(name) for name in self.names]

    def wrong(self, paths: np.ndarray) -> list[object]:
        ways = {name: paths[:, k] for k, name in enumerate(self.names)}
        return [*check_rights(self.lanes.only, self.lanes.width_cells, self.skills, self.widths, ways)]

    def may(self, robot: str, cell: int) -> bool:
        """By hand, from what the site map says."""
        only, width = self.lanes.only, self.lanes.width_cells
        if only is not None and (code := int(only.codes.flat[cell])):
            if not only.values[code - 1] & self.skills.get(robot, frozenset()):
                return False
        if width is not None and (code := int(width.codes.flat[cell])):
            return width.values[code - 1] >= self.widths.get(robot, 1)
        return True


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6))
def test_no_robot_is_ever_moved_into_a_cell_that_it_may_not_enter(seed: int) -> None:
    hall = Hall(seed)
    rng, count = hall.rng, len(hall.names)
    leave = np.where(rng.random(hall.free.shape) < 0.3, rng.integers(0, 16, hall.free.shape), 15).astype(np.uint8)
    lanes = leave if rng.random() < 0.3 else None
    fixed, blocked = rng.random(count) < 0.1, rng.random(hall.free.size) < 0.05
    goals = np.where(rng.random(count) < 0.3, -1, hall.goals)
    paths = TrafficPlanner(hall.free, seed).plan(
        hall.starts, goals, rng.integers(0, 3, count), fixed, blocked, 15, leave=lanes, floors=hall.rights.floors,
        floor_of=hall.floor_of,
    )  # fmt: skip
    assert not hall.wrong(paths)
    assert not check_paths(hall.free, hall.starts, None, paths, allow_rotation=False)
    assert lanes is None or not check_lanes(lanes, paths)
    for k, name in enumerate(hall.names):
        for before, here in zip(paths[:-1, k].tolist(), paths[1:, k].tolist(), strict=True):
            assert before == here or hall.may(name, here) or not hall.may(name, before)


@pytest.mark.parametrize("seed", [677, 1249, 1848])
def test_nobody_is_drawn_after_a_robot_that_makes_room_for_it(seed: int) -> None:
    """Floors on which a robot that backs out of the way could be followed by one that may not be there."""
    hall = Hall(seed)
    planner = TrafficPlanner(hall.free, seed)
    assert not hall.wrong(
        planner.plan(hall.starts, hall.goals, horizon=15, floors=hall.rights.floors, floor_of=hall.floor_of)
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6))
def test_two_robots_get_where_they_may_go_however_the_floor_is_shared(seed: int) -> None:
    hall = Hall(seed, robots=2)
    floors, goals = hall.rights.floors, hall.goals.copy()
    for k, name in enumerate(hall.names):
        if not (hall.may(name, hall.starts[k]) and floors.joined(hall.floor_of[k], hall.starts[k], goals[k])):
            goals[k] = -1
    for k in np.flatnonzero(goals >= 0).tolist():  # one after the other, while the other is in nobody's way
        alone = [hall.starts[k]], [goals[k]]
        paths = TrafficPlanner(hall.free, seed).plan(
            *alone, horizon=hall.free.size, floors=floors, floor_of=[hall.floor_of[k]]
        )
        assert goals[k] in paths[:, 0]
    both = TrafficPlanner(hall.free, seed).plan(
        hall.starts, goals, horizon=8 * hall.free.size, floors=floors, floor_of=hall.floor_of, leave=None
    )
    assert not hall.wrong(both)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6))
def test_who_was_put_where_it_may_not_be_leaves_by_a_shortest_way(seed: int) -> None:
    hall = Hall(seed, robots=1)
    name, start, floors = hall.names[0], int(hall.starts[0]), hall.rights.floors
    goal = hall.rights.inside(name, start)
    path = TrafficPlanner(hall.free, seed).plan([start], [goal], horizon=30, floors=floors, floor_of=hall.floor_of)[
        :, 0
    ]
    steps = DistanceTables(hall.free).to(start)
    near = min((int(steps[c]) for c in np.flatnonzero(hall.free).tolist() if hall.may(name, c)), default=-1)
    if near < 0:
        assert goal == start and (path == start).all()
    else:
        assert hall.may(name, goal) and int(np.argmax(path == goal)) == near


@pytest.mark.parametrize("fork", [0, 1])
def test_two_robots_change_places_by_a_bay_that_one_of_them_may_enter(fork: int) -> None:
    """Once with the forklift further from the bay, once with the tug."""
    free = np.array([[c == "." for c in row] for row in ("###.#####", ".........", "#########")])
    may = np.ones_like(free)
    may[0, 3] = False
    starts, goals = np.array([9, 17]), np.array([17, 9])
    floor_of = np.array([1, 0]) if fork == 0 else np.array([0, 1])
    paths = TrafficPlanner(free).plan(starts, goals, horizon=60, floors=Floors(free, [may, free]), floor_of=floor_of)
    assert not check_paths(free, starts, None, paths, allow_rotation=False)
    assert 17 in paths[:, 0] and 9 in paths[:, 1]
    assert 3 in paths[:, fork] and 3 not in paths[:, 1 - fork]


def test_a_forklift_backs_out_for_a_tug_that_stands_where_only_forklifts_can_go_on() -> None:
    free = np.array([[c == "." for c in row] for row in ("..##.##", ".....##", "..##.##")])
    may = np.ones_like(free)
    may[[0, 2], 4] = False
    paths = TrafficPlanner(free).plan([9, 11], [4, 7], horizon=30, floors=Floors(free, [may, free]), floor_of=[1, 0])
    assert 4 in paths[:, 0] and 7 in paths[:, 1]


def test_where_nobody_may_enter_the_bay_nobody_passes() -> None:
    free = np.array([[c == "." for c in row] for row in ("###.#####", ".........", "#########")])
    may = np.ones_like(free)
    may[0, 3] = False
    paths = TrafficPlanner(free).plan([9, 17], [17, 9], horizon=60, floors=Floors(free, [may]))
    assert 3 not in paths and (paths[:, 0] < paths[:, 1]).all()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6))
def test_the_first_robot_gets_on_while_there_are_no_more_robots_than_the_promise_allows(seed: int) -> None:
    """docs/traffic.md: R of a move u -> v is what can be reached from v without u by moves that everybody who may be in the
    cell left may make; robots no more than the smallest R has cells."""
    rng = np.random.default_rng(seed)
    free = np.ones((int(rng.integers(3, 6)), int(rng.integers(4, 7))), np.bool_)
    may = [rng.random(free.shape) > share for share in rng.choice([0.0, 0.1, 0.2], 2)]
    floors = Floors(free, may)
    own = [[set(row[row >= 0].tolist()) for row in part] for part in np.split(floors.walled(), 2)]
    everybody = [
        set.intersection(*sides) if (sides := [o[c] for k, o in enumerate(own) if may[k].flat[c]]) else set()
        for c in range(free.size)
    ]
    room = min(len(reached(everybody, v, u)) for ways in own for u in range(free.size) for v in ways[u])
    floor_of = rng.integers(0, 2, min(room, 12))
    cells = rng.permutation(free.size).tolist()
    starts = [next((cells.pop(k) for k, c in enumerate(cells) if may[f].flat[c]), -1) for f in floor_of.tolist()]
    goals = [
        int(c)
        for c in np.flatnonzero(may[floor_of[0]])
        if floors.joined(int(floor_of[0]), int(c), starts[0]) and c != starts[0]
    ]
    if -1 in starts or not goals:
        return
    tables = DistanceTables(free)
    tables.redirect(floors.walled(), floors.walled())
    pool, slots = tables.rows(np.full(len(starts), int(rng.choice(goals))), floor_of)
    slots[1:] = np.where(rng.random(len(slots) - 1) < 0.5, -1, slots[1:])
    paths: Any = np.array([starts, starts], np.int32)
    nobody, nowhere = np.zeros(len(starts), np.bool_), np.zeros(free.size, np.bool_)
    first = np.arange(len(starts)) == 0
    pibt_run(
        tables.nbr, pool, slots, np.zeros(2 * free.size, np.int32), np.zeros(len(starts), np.int32), False, nobody, nobody, nowhere,
        False, first.astype(np.int64), first.astype(np.int64), 1, paths, seed_state(seed), (floor_of * free.size).astype(np.int32),
    )  # fmt: skip
    assert pool[slots[0], paths[1, 0]] < pool[slots[0], starts[0]]


def reached(ways: list[set[int]], start: int, without: int) -> set[int]:
    seen, todo = {start}, [start]
    while todo:
        new = ways[todo.pop()] - seen - {without}
        seen |= new
        todo += new
    return seen


def test_tables_of_several_floors_are_those_of_each_alone_while_cells_open_and_close() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        hall = Hall(int(rng.integers(10**6)))
        floors, tables = hall.rights.floors, DistanceTables(hall.free, max_bytes=4 * hall.free.size * 6)
        for _ in range(4):
            free = hall.free & (rng.random(hall.free.shape) > 0.1)
            tables.reshape(free, floors.neighbours(free, None), floors.sources(free, None))
            cells = np.flatnonzero(free)
            if not len(cells):
                continue
            goals, which = rng.choice(cells, 5), rng.integers(0, len(floors), 5)
            pool, slots = tables.rows([*goals, -1], [*which, 0])
            assert slots[-1] == -1
            for slot, goal, floor in zip(slots.tolist(), goals.tolist(), which.tolist(), strict=False):
                size = free.size
                alone = DistanceTables(free)
                alone.redirect(
                    *(f(free, None)[floor * size : (floor + 1) * size] for f in (floors.neighbours, floors.sources))
                )
                assert (pool[slot] == alone.to(goal)).all()
            assert (tables.to(int(goals[0]), int(which[0])) == pool[slots[0]]).all()


def test_sites_without_rights_have_one_floor_and_nobody_is_told_apart() -> None:
    site = SiteMap("plain", 1.0, 0.0, 0.0, np.zeros((3, 4), np.uint8), {})
    rights = Rights(site, {"a": FORK}, {"b": 3})
    assert len(rights.floors) == 1 and not rights.floors.apart and rights.floor("a") == rights.floor("b") == 0
    tables = DistanceTables(site.free)
    assert OwnSteps.of(tables, {0: 0, 5: 0}) is tables
    assert (rights.floors.neighbours(site.free, None) == tables.nbr).all()


def test_a_class_that_does_not_exist_is_refused() -> None:
    planner = TrafficPlanner(np.ones((2, 2), np.bool_))
    for wrong in ([0, 1], [-1, 0], [0]):
        with pytest.raises(InputError, match="floor_of"):
            planner.plan([0, 1], [2, 3], floor_of=wrong)


@pytest.mark.parametrize(
    ("way", "wrong"), [((0, 1, 2), [2]), ((2, 2, 1, 0), []), ((2, 1, 2), [2]), ((0, 3), [1]), ((0, 1, 0), [])]
)
def test_the_check_of_rights_lets_robots_out_and_not_in(way: Sequence[int], wrong: Sequence[int]) -> None:
    """Cell 2 is for forklifts, cell 3 one cell wide."""
    only, width = layer_of({FORK: np.eye(1, 4, 2, bool)}, (1, 4)), layer_of({1: np.eye(1, 4, 3, bool)}, (1, 4))
    ways: Mapping[str, Sequence[int]] = {"tug": way, "fork": [0, 1, 2, 3]}
    found = check_rights(only, width, {"tug": TUG, "fork": FORK}, {"tug": 2}, ways)
    assert [v.step for v in found] == wrong and all(v.kind == "rights" and v.agents == ("tug",) for v in found)


# --- the whole planner ------------------------------------------------------------------------------


def reserve(site: SiteMap, aisles: Mapping[int, frozenset[str]], width: Mapping[int, int] | None = None) -> SiteMap:
    """The site of conftest, with aisles (by number, between the cross aisles) for some skills, or narrow."""
    shape = site.cells.shape

    def cells(aisle: int) -> np.ndarray:
        mask = np.zeros(shape, bool)
        mask[2:-2, 2 * aisle] = True
        return mask

    masks: dict[frozenset[str], np.ndarray] = {}
    for aisle, names in aisles.items():
        masks[names] = masks.get(names, np.zeros(shape, bool)) | cells(aisle)
    narrow = {most: cells(aisle) for aisle, most in (width or {}).items()}
    lanes = Lanes(only=layer_of(masks, shape), width_cells=layer_of(narrow, shape))
    return replace(site, lanes=lanes)


def entered(loop: Any) -> list[object]:
    """What robots did against rights, from the cells they really were in."""
    config, lanes = loop.config, loop.site.lanes
    return [*check_rights(lanes.only, lanes.width_cells, config.abilities(), config.widths_cells(), loop.floor.tracks)]


def checked(loop: Any) -> None:
    assert not entered(loop) and not loop.floor.violations
    said = [d for plan in loop.plans for d in plan.decisions if d.because.startswith("checker")]
    assert not said


def test_two_classes_share_a_site_and_each_is_sent_where_it_may_go(make: Any) -> None:
    """Aisle 0 is for forklifts, aisle 2 for tugs, aisle 4 too narrow for the forklifts; eight orders in each and in two that
    are for all."""
    site = reserve(make.site(), {0: FORK, 2: TUG}, {4: 1})
    orders = [
        make.order(f"o{n}", (f"face-{n % 5}-{n % 2}", f"station-{1 + n % 2}"), due_ns=(n % 3) * 10**11)
        for n in range(20)
    ]
    loop = make.loop(
        site,
        [2, 4, 6, 12],
        orders,
        capabilities="r0:fork r1:fork,lift r2:tug r3:tug",
        widths="r0:2 r1:2",
        battery_per_tick=0.002,
    )
    loop.run(1500)
    assert set(loop.states().values()) == {"DONE"}
    checked(loop)
    visits = {
        r: {cell % site.width for cell in track if 2 <= cell // site.width < 8}
        for r, track in loop.floor.tracks.items()
    }
    assert 0 in visits["r0"] | visits["r1"] and {4, 8} <= visits["r2"] | visits["r3"]


def test_orders_that_nobody_may_bring_wait_with_the_reason_and_the_others_are_brought(make: Any) -> None:
    site = reserve(make.site(), {0: FORK, 2: TUG})
    orders = [make.order("tug", ("face-2-0", "station-1")), make.order("free", ("face-1-0", "station-1"))]
    orders += [make.order("both", ("face-2-0", "station-1"), ("face-0-0", "station-1"))]
    loop = make.loop(site, [2, 4], orders, capabilities="r0:fork", unroutable_after_s=60.0)
    loop.run(40, lambda: loop.states()["free"] == "DONE")
    waiting = loop.planner.waiting()
    assert waiting["tug"] == "RIGHTS: no robot that may enter the way to face-2-0"
    assert waiting["both"].startswith("RIGHTS")
    loop.run(400)
    assert loop.states() == {"tug": "UNROUTABLE", "free": "DONE", "both": "UNROUTABLE"}
    assert loop.reasons()["tug"].startswith("RIGHTS")
    checked(loop)


def test_lines_in_aisles_of_different_classes_are_nobodys_order(make: Any) -> None:
    site = reserve(make.site(), {0: FORK, 2: TUG})
    order = make.order("both", ("face-2-0", "station-1"), ("face-0-0", "station-1"))
    loop = make.loop(site, [2, 4], [order], capabilities="r0:fork r1:tug")
    loop.run(10)
    assert loop.planner.waiting() == {"both": "RIGHTS: no robot that may enter the ways to all of its places"}
    loop.planner.reconfigure(PlannerConfig(capabilities="r0:fork r1:tug,fork"))
    loop.run(300)
    assert loop.states() == {"both": "DONE"} and not loop.floor.violations


def test_an_order_waits_for_the_one_robot_that_may_bring_it(make: Any) -> None:
    site = reserve(make.site(), {2: TUG})
    loop = make.loop(site, [2, 4], [make.order("o", ("face-2-0", "station-1"))], capabilities="r0:tug")
    loop.floor.robots["r0"].battery = 0.1
    loop.run(6)
    assert loop.planner.waiting()["o"] == "NO_ROBOT: none that may enter the way to station-1 is ready for work"
    loop.run(600)
    assert loop.states() == {"o": "DONE"}
    checked(loop)


def test_a_robot_put_where_it_may_not_be_comes_out_and_works(make: Any) -> None:
    site = reserve(make.site(), {2: TUG})
    inside = 5 * site.width + 4
    loop = make.loop(site, [inside], [make.order("o", ("face-1-0", "station-1"))])
    loop.run(200)
    assert loop.states() == {"o": "DONE"}
    checked(loop)
    idle = make.loop(site, [inside], [])
    idle.run(40, lambda: False)
    assert not 2 <= idle.floor.robots["r0"].cell // site.width < 8
    checked(idle)


@pytest.mark.parametrize("ticks", range(3, 12))
def test_a_robot_that_loses_its_skill_on_the_way_goes_no_further(make: Any, ticks: int) -> None:
    site = reserve(make.site(), {2: TUG})
    loop = make.loop(site, [4], [make.order("o", ("face-2-1", "station-1"))], capabilities="r0:tug")
    loop.run(ticks, lambda: False)
    robot = loop.floor.robots["r0"]
    began = bool(robot.load or (robot.present is not None and robot.present.action))
    first = robot.present.cell if robot.present is not None else robot.cell  # it cannot help entering this one
    before = len(loop.floor.tracks["r0"]) - 1
    loop.planner.reconfigure(PlannerConfig())
    loop.run(60, lambda: False)
    track = loop.floor.tracks["r0"][before:]
    track = track[track.index(first) :]
    lanes = site.lanes
    assert lanes is not None and lanes.only is not None and not check_rights(lanes.only, None, {}, {}, {"r0": track})
    assert not 2 <= track[-1] // site.width < 8 and not loop.floor.violations
    inside = {cell for cell in track if lanes.only.codes.flat[cell]}
    row = first // site.width
    assert began or len(inside) == (min(row - 1, 8 - row) if first in inside else 0)  # and out by the nearest end


@pytest.mark.parametrize(("robot", "spot"), [("r0", "parking-1"), ("tug", "parking-0")])
def test_idle_robots_park_where_they_may(make: Any, robot: str, spot: str) -> None:
    """The nearest parking place is for tugs."""
    site = make.site()
    mine = np.zeros(site.cells.shape, bool)
    mine.flat[site.places["parking-0"].cell] = True
    site = replace(site, lanes=Lanes(only=layer_of({TUG: mine}, site.cells.shape)))
    loop = make.loop(site, [8 * site.width + 3], [], capabilities="r0:tug" if robot == "tug" else "")
    loop.run(20, lambda: False)
    assert loop.floor.robots["r0"].cell == site.places[spot].cell
    checked(loop)


def test_who_waits_for_a_place_waits_on_its_own_floor() -> None:
    """Two dozen robots of two classes before one station, few enough to be given places one by one, and a crowd."""
    free = np.ones((12, 14), np.bool_)
    may = free.copy()
    may[:, 7:] = False
    site = SiteMap("hall", 1.0, 0.0, 0.0, np.zeros(free.shape, np.uint8), {"s": Place("s", "station", 0, 0.5, 0.5)})
    floors = Floors(free, [may, free])
    tables = DistanceTables(free)
    tables.redirect(floors.walled(), floors.walled())
    for count in (24, 60):
        rng = np.random.default_rng(count)
        cells = rng.choice(np.flatnonzero(may.ravel()), count, replace=False).tolist()
        movers = [Mover(f"r{k}", int(c), 0 if k % 3 else -1, False, k % 2) for k, c in enumerate(cells)]
        goals = Goals(site, tables, queue_gap=4)(movers, np.zeros(free.size, np.bool_), frozenset())
        assert all(may.flat[goals[m.robot].cell] for m in movers if m.floor == 0)
        assert len({goals[m.robot].cell for m in movers if m.task_cell < 0}) == len(
            [m for m in movers if m.task_cell < 0]
        )


def test_chargers_and_parking_places_are_given_to_who_may_go_there(make: Any) -> None:
    site = make.site()
    corner = np.zeros(site.cells.shape, bool)
    corner[-1, :3] = True  # charger-1 and parking-0
    site = replace(site, lanes=Lanes(only=layer_of({TUG: corner}, site.cells.shape)))
    loop = make.loop(site, [20, 22], [], capabilities="r1:tug", battery_per_tick=0.0)
    loop.floor.robots["r0"].battery = loop.floor.robots["r1"].battery = 0.2
    loop.run(60, lambda: False)
    cell = {place: site.places[place].cell for place in ("charger-1", "charger-2")}
    assert {r: w.cell for r, w in loop.floor.robots.items()} == {"r0": cell["charger-2"], "r1": cell["charger-1"]}
    checked(loop)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6))
def test_orders_that_some_robot_can_bring_are_brought_and_the_others_say_why(seed: int) -> None:
    rng = np.random.default_rng(seed)
    site = build_site()
    draw = rng.choice(["", "fork", "tug"], 5, p=[0.5, 0.25, 0.25]).tolist()
    site = reserve(site, {k: frozenset({name}) for k, name in enumerate(draw) if name})
    skills = [str(rng.choice(["", "fork", "tug", "fork,tug"])) for _ in range(int(rng.integers(1, 5)))]
    orders = [build_order(f"o{n}", (f"face-{n % 5}-{n % 2}", f"station-{1 + n % 2}")) for n in range(8)]
    named = " ".join(f"r{k}:{names}" for k, names in enumerate(skills) if names)
    starts = rng.choice(np.flatnonzero(site.free.ravel()), len(skills), replace=False).tolist()
    loop = Loop(site, starts, orders, seed=seed, capabilities=named, unroutable_after_s=5000.0)
    ends = {f"o{n}": not draw[n % 5] or any(draw[n % 5] in names for names in skills) for n in range(8)}
    loop.run(1200, lambda: all(loop.states()[o] == "DONE" for o, possible in ends.items() if possible))
    assert {o for o, state in loop.states().items() if state == "DONE"} == {
        o for o, possible in ends.items() if possible
    }
    loop.run(12, lambda: False)
    waiting = loop.planner.waiting()
    assert all(waiting[o].startswith("RIGHTS") for o, possible in ends.items() if not possible)
    checked(loop)


def test_what_the_planner_gets_wrong_is_not_released(make: Any) -> None:
    """It believes that a robot has a skill; the checker reads the site map and the settings."""
    site = reserve(make.site(), {2: TUG})
    loop = make.loop(site, [4], [make.order("o", ("face-2-1", "station-1"))])
    loop.planner._entitle(Rights(site, {"r0": TUG}, {}))
    loop.run(40, lambda: False)
    said = {d.because.partition(" at ")[0] for plan in loop.plans for d in plan.decisions if d.subject == "fleet"}
    assert said == {"checker: rights: r0"}
    assert not entered(loop)


@pytest.mark.parametrize("text", ["r0", "r0:", ":2", "r0:0", "r0:101", "r0:x", "r0:²"])
def test_widths_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="widths"):
        PlannerConfig(widths=text)
    assert PlannerConfig(widths="r0:2 r1:100").widths_cells() == {"r0": 2, "r1": 100}
