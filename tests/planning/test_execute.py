"""Late robots wait; they never collide, and everyone gets there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import ConflictError, InputError, NotFoundError
from planning.check import check_paths, check_release
from planning.distance import connectivity
from planning.execute import ReleaseGraph
from planning.traffic import TrafficPlanner

NOTHING = np.zeros(25, dtype=bool)


def floor(*rows: str) -> np.ndarray:
    return np.array([[char == "." for char in row] for row in rows])


def row_of_five() -> ReleaseGraph:
    return ReleaseGraph(np.ones((5, 5), dtype=bool), lookahead=3)


def test_follower_is_released_only_into_cells_its_leader_has_left() -> None:
    graph = row_of_five()
    graph.reset_robot("a", 1)
    graph.reset_robot("b", 0)
    paths = np.array([[1, 0], [2, 1], [3, 2]])
    assert graph.extend(["a", "b"], paths, NOTHING) == {"a": [2, 3]}
    assert graph.held("a") == (1, 2, 3) and graph.held("b") == (0,)
    graph.left_behind("a", 1)
    assert graph.extend(["a", "b"], np.array([[3, 2]]), NOTHING) == {"b": [1]}
    assert graph.end_cell("b") == 2


def test_passing_order_of_the_plan_is_kept_however_late_the_first_is() -> None:
    graph = row_of_five()
    graph.reset_robot("first", 7)
    graph.reset_robot("second", 3)
    # both cross cell 2: `first` at step 1 coming from below, `second` at step 2 coming from the right
    paths = np.array([[7, 3], [2, 3], [1, 2], [1, 7]])
    graph.extend(["first", "second"], paths, NOTHING)
    assert graph.held("first") == (7, 2, 1)
    assert graph.held("second") == (3,)
    graph.left_behind("first", 1)
    assert graph.extend([], np.empty((1, 0), dtype=int), NOTHING) == {}
    graph.left_behind("first", 1)
    assert graph.extend([], np.empty((1, 0), dtype=int), NOTHING) == {"second": [2, 7]}


def test_waits_are_squeezed_out_and_lookahead_bounds_the_rest() -> None:
    graph = row_of_five()
    graph.reset_robot("a", 0)
    paths = np.array([[0], [0], [1], [1], [2], [3], [4]])
    assert graph.extend(["a"], paths, NOTHING) == {"a": [1, 2, 3]}
    assert graph.end_cell("a") == 3


def test_blocked_cells_are_never_released() -> None:
    graph = row_of_five()
    graph.reset_robot("a", 0)
    blocked = NOTHING.copy()
    blocked[2] = True
    assert graph.extend(["a"], np.array([[0], [1], [2], [3]]), blocked) == {"a": [1]}
    assert graph.end_cell("a") == 1


def test_retract_takes_back_what_was_not_released_and_what_depends_on_it() -> None:
    graph = row_of_five()
    graph.reset_robot("a", 7)
    graph.reset_robot("b", 3)
    graph.reset_robot("c", 4)
    paths = np.array([[7, 3, 4], [2, 3, 4], [1, 2, 3]])
    graph.extend(["a", "b", "c"], paths, NOTHING)
    assert graph.committed("b") == (3, 2) and graph.committed("c") == (4, 3)
    blocked = NOTHING.copy()
    blocked[2] = True  # a is already released into it and may go on; b may not enter, so c may not follow
    assert sorted(graph.retract(blocked)) == ["b", "c"]
    assert graph.held("a") == (7, 2, 1)
    assert graph.end_cell("b") == 3 and graph.end_cell("c") == 4


def test_withdraw_frees_the_cells_and_stops_those_who_would_pass_later() -> None:
    graph = row_of_five()
    graph.reset_robot("a", 0)
    graph.reset_robot("b", 6)
    paths = np.array([[0, 6], [1, 6], [2, 1]])
    graph.extend(["a", "b"], paths, NOTHING)
    graph.withdraw("a", 1)
    assert graph.held("a") == (0, 1)
    assert graph.end_cell("b") == 6


def test_robot_found_elsewhere_takes_its_new_cell_and_others_stop_before_it() -> None:
    graph = row_of_five()
    graph.reset_robot("a", 0)
    graph.reset_robot("b", 4)
    graph.extend(["b"], np.array([[4], [3], [2]]), NOTHING)
    with pytest.raises(ConflictError):
        graph.reset_robot("a", 2)
    graph.withdraw("b", 0)
    graph.reset_robot("a", 2)
    assert graph.held("a") == (2,) and graph.held("b") == (4,)
    graph.remove_robot("a")
    with pytest.raises(NotFoundError):
        graph.held("a")


def test_bad_calls_are_refused() -> None:
    graph = row_of_five()
    graph.reset_robot("a", 0)
    with pytest.raises(InputError):
        graph.reset_robot("b", 25)
    with pytest.raises(InputError):
        graph.left_behind("a", 1)
    with pytest.raises(InputError):
        graph.extend(["a"], np.array([[0], [1]]), NOTHING[:3])
    with pytest.raises(InputError):
        graph.extend(["a"], np.array([[0], [99]]), NOTHING)
    with pytest.raises(InputError):
        ReleaseGraph(np.ones((2, 2), dtype=bool), lookahead=0)


def test_column_that_does_not_start_at_the_end_cell_commits_nothing() -> None:
    graph = row_of_five()
    graph.reset_robot("a", 0)
    assert graph.extend(["a"], np.array([[1], [2]]), NOTHING) == {}
    assert graph.end_cell("a") == 0


MAPS = {
    "ladder of one-wide aisles": floor(
        ".........",
        ".###.###.",
        ".........",
        ".###.###.",
        ".........",
    ),
    "one ring": floor(
        "......",
        ".####.",
        "......",
    ),
    "racks": floor(
        "..........",
        ".##.##.##.",
        ".##.##.##.",
        "..........",
        ".##.##.##.",
        "..........",
    ),
}


class Shift:
    """A fleet that drives its released cells, each robot with its own random delays."""

    def __init__(self, free: np.ndarray, robots: int, seed: int, lookahead: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.free, self.cells = free, np.flatnonzero(free)
        self.traffic, self.graph = TrafficPlanner(free, seed), ReleaseGraph(free, lookahead=lookahead)
        self.names = [f"r{k}" for k in range(robots)]
        self.at = dict(zip(self.names, self.rng.choice(self.cells, robots, replace=False).tolist(), strict=True))
        for name, cell in self.at.items():
            self.graph.reset_robot(name, cell)
        self.slowness = dict(zip(self.names, self.rng.uniform(0.05, 0.9, robots), strict=True))
        self.goals = {name: int(self.rng.choice(self.cells)) for name in self.names}
        self.reached = dict.fromkeys(self.names, 0)

    def drive(self) -> None:
        for name in self.names:
            route = self.graph.held(name)
            assert route[0] == self.at[name]
            if len(route) > 1 and self.rng.random() > self.slowness[name]:
                steps = int(self.rng.integers(1, len(route)))
                self.at[name] = route[steps]
                self.graph.left_behind(name, steps)
            if self.at[name] == self.goals[name]:
                self.reached[name] += 1
                self.goals[name] = int(self.rng.choice(self.cells))
        assert len(set(self.at.values())) == len(self.names)

    def tick(self, people: int = 0) -> None:
        blocked = np.zeros(self.free.size, dtype=bool)
        blocked[self.rng.choice(self.cells, people, replace=False)] = people > 0
        self.graph.retract(blocked)
        starts = np.array([self.graph.end_cell(name) for name in self.names])
        goals = np.array([self.goals[name] for name in self.names])
        paths = self.traffic.plan(starts, goals, blocked=blocked, horizon=4)
        assert not check_paths(self.free, starts, None, paths, allow_rotation=False)
        before = {name: self.graph.held(name) for name in self.names}
        released = self.graph.extend(self.names, paths, blocked)
        for name in self.names:
            assert self.graph.held(name) == before[name] + tuple(released.get(name, ()))
        assert not any(blocked[cell] for cells in released.values() for cell in cells)
        assert not check_release(self.free, {name: self.graph.held(name) for name in self.names})
        self.drive()


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(MAPS)), st.integers(0, 10_000), st.integers(1, 4), st.integers(0, 3))
def test_no_cell_is_ever_held_twice_whatever_the_delays_and_people(
    name: str, seed: int, lookahead: int, people: int
) -> None:
    free = MAPS[name]
    shift = Shift(free, min(8, int(free.sum()) // 2), seed, lookahead)
    for _ in range(60):
        shift.tick(people)


@pytest.mark.parametrize("name", sorted(MAPS))
@pytest.mark.parametrize("seed", range(3))
def test_on_biconnected_maps_every_robot_keeps_reaching_goals(name: str, seed: int) -> None:
    free = MAPS[name]
    assert connectivity(free).biconnected
    shift = Shift(free, int(free.sum()) // 3, seed, lookahead=3)
    for _ in range(3):
        before = dict(shift.reached)
        for _ in range(1500):
            shift.tick()
        assert all(shift.reached[robot] > before[robot] for robot in shift.names)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_cells_that_are_kept_are_those_of_the_visits_whatever_happens(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph, traffic = row_of_five(), TrafficPlanner(np.ones((5, 5), dtype=bool), seed)
    names = ["a", "b", "c", "d"]
    for name, cell in zip(names, rng.permutation(25)[:4].tolist()):
        graph.reset_robot(name, cell)

    def kept_is_true() -> None:
        for name, track in graph._tracks.items():
            cells = tuple(visit.cell for visit in track.visits)
            assert graph.committed(name) == cells and graph.held(name) == cells[: track.held]

    for _ in range(12):
        shut = rng.random(25) < 0.1
        paths = traffic.plan([graph.end_cell(name) for name in names], rng.integers(0, 25, 4), blocked=shut, horizon=4)
        graph.extend(names, paths, shut)
        kept_is_true()
        name = names[int(rng.integers(4))]
        graph.left_behind(name, int(rng.integers(len(graph.held(name)))))
        kept_is_true()
        graph.withdraw(names[int(rng.integers(4))], int(rng.integers(3)))
        kept_is_true()
        graph.retract(rng.random(25) < 0.2)
        kept_is_true()
