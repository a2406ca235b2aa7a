"""Robots stay out of cells that are not for them: pushed or not, and still everybody gets where it may go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from aislewise.lanes import Lanes, layer_of
from aislewise.sitemap import SiteMap
from planning.check import check_lanes, check_paths, check_rights
from planning.distance import DistanceTables, largest_component
from planning.rights import Floors, OwnSteps, Rights
from planning.traffic import TrafficPlanner

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


def test_where_nobody_may_enter_the_bay_nobody_passes() -> None:
    free = np.array([[c == "." for c in row] for row in ("###.#####", ".........", "#########")])
    may = np.ones_like(free)
    may[0, 3] = False
    paths = TrafficPlanner(free).plan([9, 17], [17, 9], horizon=60, floors=Floors(free, [may]))
    assert 3 not in paths and (paths[:, 0] < paths[:, 1]).all()


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
