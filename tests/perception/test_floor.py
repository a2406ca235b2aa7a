"""The floor is found under tilt, clutter and tables; where there is none, that is said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from perception.calibration import from_xyz_rpy
from perception.floor import estimate_floor


def room(rng: np.random.Generator) -> np.ndarray:
    """Points of a room with its floor at z = 0: floor, a big table, walls, clutter."""
    floor = np.column_stack([rng.uniform(-8, 8, (3000, 2)), rng.normal(0, 0.01, 3000)])
    table = np.column_stack([rng.uniform(0.5, 3, (1500, 2)), np.full(1500, 0.75)])
    wall = np.column_stack([rng.uniform(-8, 8, 2000), np.full(2000, 8.0), rng.uniform(0, 3, 2000)])
    clutter = rng.uniform((-8, -8, 0), (8, 8, 2), (800, 3))
    return np.concatenate([floor, table, wall, clutter])


@settings(max_examples=15)
@given(st.floats(0.5, 2.5), st.floats(-0.12, 0.12), st.floats(-0.12, 0.12), st.integers(0, 99))
def test_height_and_tilt_are_recovered(height: float, roll: float, pitch: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    T_floor_lidar = from_xyz_rpy((0, 0, height), (roll, pitch, 0.0))
    points = room(rng)
    local = (np.column_stack([points, np.ones(len(points))]) @ np.linalg.inv(T_floor_lidar).T)[:, :3]
    floor = estimate_floor(local.astype(np.float32), np.random.default_rng(0))
    assert floor.height_m == pytest.approx(height, abs=0.04)
    assert floor.tilt_rad == pytest.approx(math.acos(math.cos(roll) * math.cos(pitch)), abs=0.01)
    lifted = local[:3000] @ floor.T_base_lidar[:3, :3].T + floor.T_base_lidar[:3, 3]
    assert np.abs(lifted[:, 2]).mean() < 0.03


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((0, 4)), np.full((500, 4), np.nan), np.ones((500, 4)),
        np.random.default_rng(0).uniform(-5, -1, (4000, 4)),
    ],
)  # fmt: skip
def test_no_floor_is_an_error_and_not_a_guess(points: np.ndarray) -> None:
    with pytest.raises(InputError, match="floor"):
        estimate_floor(points.astype(np.float32), np.random.default_rng(0))
