from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from planning.check import check_lanes, check_paths
from planning.distance import largest_component
from planning.traffic import TrafficPlanner


def floor(*rows: str) -> np.ndarray:
    return np.array([[char == "." for char in row] for row in rows])


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 100_000), st.booleans())
def test_every_joint_step_is_safe_whatever_is_asked(seed: int, rotation: bool) -> None:
    rng = np.random.default_rng(seed)
    free = largest_component(rng.random((int(rng.integers(2, 9)), int(rng.integers(2, 9)))) > 0.25)
    cells = np.flatnonzero(free)
    if not len(cells):
        return
    count = int(rng.integers(1, len(cells) + 1))
    starts = rng.choice(cells, count, replace=False)
    goals = np.where(rng.random(count) < 0.3, -1, rng.choice(cells, count))
    fixed, dwell = rng.random(count) < 0.2, rng.random(count) < 0.3
    blocked = rng.random(free.size) < 0.1
    leave = None if rng.random() < 0.5 else np.where(rng.random(free.shape) < 0.5, rng.integers(0, 16, free.shape), 15).astype(np.uint8)
    planner = TrafficPlanner(free, seed, allow_rotation=rotation)
    paths = planner.plan(
        starts, goals, rng.integers(0, 5, count), fixed, blocked, 12,
        dwell=dwell, costs=rng.integers(1, 20, free.size), leave=leave,
    )  # fmt: skip
    assert leave is None or not check_lanes(leave, paths)
    assert not check_paths(free, starts, None, paths, allow_rotation=rotation)
    assert (paths[:, fixed] == starts[fixed]).all()
    entered = paths[1:][paths[1:] != paths[:-1]]
    assert not blocked[entered].any()
    for robot in np.flatnonzero(dwell & (goals >= 0)):
        arrived = np.flatnonzero(paths[:, robot] == goals[robot])
        if len(arrived):
            assert (paths[arrived[0] :, robot] == goals[robot]).all()


def test_two_robots_head_on_in_a_one_wide_dead_end_change_places() -> None:
    free = floor(
        "#.#####",
        ".......",
        "#.#####",
    )
    starts, goals = np.array([8, 12]), np.array([12, 8])
    paths = TrafficPlanner(free).plan(starts, goals, horizon=40)
    assert not check_paths(free, starts, goals, paths, allow_rotation=False)


def test_idle_robot_is_brought_out_of_the_dead_end_it_blocks() -> None:
    free = floor(
        "...####",
        ".#.....",
        "...####",
    )
    starts, goals = np.array([7, 13]), np.array([13, -1])
    paths = TrafficPlanner(free).plan(starts, goals, horizon=60)
    assert not check_paths(free, starts, goals, paths, allow_rotation=False)


def test_idle_robot_that_is_in_nobodys_way_stays() -> None:
    free = np.ones((3, 5), dtype=bool)
    paths = TrafficPlanner(free).plan([0, 14], [4, -1], horizon=10)
    assert (paths[:, 1] == 14).all() and paths[4, 0] == 4


def test_without_rotation_no_ring_turns_and_with_it_a_full_ring_can() -> None:
    free = floor("..", "..")
    starts, goals = np.array([0, 1, 3, 2]), np.array([1, 3, 2, 0])
    turning = TrafficPlanner(free, allow_rotation=True).plan(starts, goals, horizon=1)
    assert turning[1].tolist() == goals.tolist()
    waiting = TrafficPlanner(free).plan(starts, goals, horizon=5)
    assert (waiting == starts).all()


def test_person_is_waited_for_and_pallet_left_behind_is_driven_round() -> None:
    free = floor(
        "..............................",
        ".############################.",
        ".############################.",
        ".############################.",
        ".############################.",
        ".############################.",
        ".############################.",
        "..............................",
    )
    blocked = np.zeros(free.size, dtype=bool)
    blocked[5] = True
    planner = TrafficPlanner(free)
    first = planner.plan([3], [10], blocked=blocked, horizon=3)
    assert first[-1].tolist() == [4]
    for _ in range(100):
        later = planner.plan([3], [10], blocked=blocked, horizon=70)
    assert later[-1].tolist() == [10]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 10_000))
def test_a_robot_that_turns_in_place_takes_a_shortest_way_with_at_most_one_corner(start: int, goal: int, seed: int) -> None:
    if start == goal:
        return
    free = np.ones((10, 10), dtype=bool)
    (r0, c0), (r1, c1) = divmod(start, 10), divmod(goal, 10)
    towards = start + int(np.sign(r1 - r0)) * 10 if r1 != r0 else start + int(np.sign(c1 - c0))
    length = abs(r1 - r0) + abs(c1 - c0)
    path = TrafficPlanner(free, seed).plan([start], [goal], horizon=length, headings=[towards - start])[:, 0]
    moves = np.diff(path)
    assert path[-1] == goal
    assert np.count_nonzero(np.diff(moves)) <= 1
    assert moves[0] == towards - start  # it goes on the way it looks


def test_costly_cells_are_driven_round() -> None:
    free = np.ones((3, 7), dtype=bool)
    costs = np.ones(21, dtype=int)
    costs[[9, 10, 11]] = 10  # wet floor across the straight way
    paths = TrafficPlanner(free).plan([7], [13], costs=costs, horizon=12)
    assert paths[-1].tolist() == [13] and not set(paths[:, 0].tolist()) & {9, 10, 11}


def test_urgent_robot_goes_first_and_the_other_steps_back_or_waits() -> None:
    free = np.ones((3, 3), dtype=bool)
    starts, goals = [1, 3], [7, 5]  # both ways cross the middle cell 4 at step 1
    for urgent in (0, 1):
        paths = TrafficPlanner(free, allow_rotation=True).plan(starts, goals, [int(urgent == k) for k in range(2)])
        assert paths[1, urgent] == 4 and paths[2, urgent] == goals[urgent]


def test_same_seed_gives_the_same_plan_and_state_follows_the_names() -> None:
    free = np.ones((6, 6), dtype=bool)
    runs = []
    for _ in range(2):
        planner = TrafficPlanner(free, seed=3)
        planner.plan([0, 1, 2], [20, 21, 22], names=["a", "b", "c"])
        runs.append(planner.plan([0, 2], [20, 22], names=["a", "c"]))
    assert np.array_equal(*runs)


def test_empty_fleet_is_planned() -> None:
    assert TrafficPlanner(np.ones((2, 2), dtype=bool)).plan([], [], horizon=3).shape == (4, 0)


def test_goal_out_of_reach_counts_as_none() -> None:
    free = floor("..#.")
    assert TrafficPlanner(free).plan([0], [3], horizon=2)[:, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("starts", {"starts": [0, 0]}),
        ("starts", {"starts": [0, 99]}),
        ("goals", {"goals": [0]}),
        ("goals", {"goals": [0, -2]}),
        ("fixed", {"fixed": [True]}),
        ("blocked", {"blocked": [True]}),
        ("priorities", {"priorities": [1]}),
        ("names", {"names": ["a"]}),
        ("costs", {"costs": np.zeros(9, dtype=int)}),
        ("horizon", {"horizon": 0}),
        ("headings", {"headings": [0]}),
    ],
)
def test_bad_input_names_its_field(field: str, arguments: dict[str, object]) -> None:
    call = {"starts": [0, 1], "goals": [3, 4], **arguments}
    with pytest.raises(InputError) as error:
        TrafficPlanner(np.ones((3, 3), dtype=bool)).plan(**call)  # type: ignore[arg-type]
    assert error.value.field == field
