"""The checker must catch each fault; a plan without fault must pass."""

from __future__ import annotations

import numpy as np
import pytest

from planning.check import check_paths, check_release

FREE = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 1, 0]], dtype=bool)  # cells 0..11, 5 and 11 closed


def kinds(paths: list[list[int]], goals: list[int] | None = None, **options: bool) -> list[str]:
    plan = np.array(paths)
    return [v.kind for v in check_paths(FREE, plan[0], goals, plan, **options)]


def test_plan_without_fault_passes() -> None:
    assert kinds([[0, 4], [1, 0], [2, 1], [2, 1]], goals=[2, 1]) == []


@pytest.mark.parametrize(
    ("paths", "kind"),
    [
        ([[4], [5]], "obstacle"),
        ([[3], [4]], "jump"),  # next id, but the far end of the next row
        ([[0], [2]], "jump"),
        ([[0], [-1]], "obstacle"),
        ([[8], [12]], "obstacle"),
        ([[0, 2], [1, 1]], "vertex"),
        ([[0, 1], [1, 0]], "swap"),
    ],
)
def test_each_fault_is_found(paths: list[list[int]], kind: str) -> None:
    assert kind in kinds(paths)


def test_start_and_goal_are_compared_with_what_was_asked() -> None:
    plan = np.array([[0], [1]])
    assert [v.kind for v in check_paths(FREE, [4], [1], plan)] == ["start"]
    assert [v.kind for v in check_paths(FREE, [0], [2], plan)] == ["goal"]
    assert check_paths(FREE, [0], [-1], plan) == []


def test_following_and_rotation_are_faults_only_where_forbidden() -> None:
    follow = [[0, 1], [1, 2]]
    assert kinds(follow) == []
    assert kinds(follow, allow_following=False) == ["following"]
    assert kinds(follow, allow_rotation=False) == []
    ring = [[2, 3, 7, 6], [3, 7, 6, 2]]
    assert kinds(ring) == []
    assert kinds(ring, allow_rotation=False) == ["rotation"]


def test_wrong_shapes_are_an_answer_not_a_crash() -> None:
    assert [v.kind for v in check_paths(FREE, [0], None, np.zeros((2, 2), dtype=int))] == ["shape"]
    assert [v.kind for v in check_paths(FREE, [0], None, np.zeros((2, 1)))] == ["shape"]
    assert [v.kind for v in check_paths(FREE, [0], [1, 2], np.zeros((2, 1), dtype=int))] == ["shape"]
    assert check_paths(FREE, [], None, np.zeros((1, 0), dtype=int)) == []


def test_released_cells_are_chains_held_by_one_robot() -> None:
    assert check_release(FREE, {"a": [0, 1, 2], "b": [4, 8]}) == []
    assert [v.kind for v in check_release(FREE, {"a": [0, 1], "b": [2, 1]})] == ["held"]
    assert [v.kind for v in check_release(FREE, {"a": [0, 2]})] == ["jump"]
    assert [v.kind for v in check_release(FREE, {"a": [4, 5]})] == ["obstacle"]
    faults = check_release(FREE, {"a": [0, 1], "b": [2, 1]})
    assert faults[0].agents == ("a", "b") and faults[0].cell == 1
    assert "a and b" in str(faults[0])
