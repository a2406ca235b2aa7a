"""Raw clouds become clean ones; every point dropped is accounted for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aislewise.errors import InputError
from perception.calibration import from_xyz_rpy
from perception.lidar import LidarConfig, model_points

MOUNT = from_xyz_rpy((0.2, 0.0, 0.9), (0.0, 0.0, 0.0))
WIDE = LidarConfig(body=(0.0, 0.0, 0.0))


def test_points_arrive_in_base_link() -> None:
    T = from_xyz_rpy((0.2, 0.1, 0.9), (0.0, 0.0, np.pi / 2))
    points, _ = model_points(np.array([[3.0, 0.0, -0.5, 0.7]], np.float32), T, WIDE)
    assert points.dtype == np.float32
    assert np.allclose(points, [[0.2, 3.1, 0.4, 0.7]], atol=1e-6)


def test_every_drop_is_counted_by_its_reason() -> None:
    raw = np.array(
        [
            [5, 0, 0, 0.5],  # kept
            [np.nan, 0, 0, 0],
            [np.inf, 0, 0, 0],
            [-0.1, 0.25, -0.5, 0],  # on the robot's own deck
            [100, 0, 0, 0],  # far
            [0, 0.01, 0, 0],  # inside the housing: near the lidar and on the body
            [5, 0, 20, 0],  # on the roof
            [1e30, 1e30, 0, 0],
        ],
        np.float32,
    )
    points, counts = model_points(raw, MOUNT)
    assert len(points) == counts.kept == 1
    assert (counts.received, counts.not_finite, counts.self_hits, counts.out_of_range) == (8, 2, 2, 3)


@given(hnp.arrays(np.float32, st.tuples(st.integers(0, 40), st.sampled_from([3, 4])), elements=st.floats(width=32)))
def test_any_floats_give_finite_points_within_bounds(raw: np.ndarray) -> None:
    points, c = model_points(raw, MOUNT)
    assert np.isfinite(points).all()
    assert ((points[:, 3] >= 0) & (points[:, 3] <= 1)).all()
    assert c.received == c.kept + c.not_finite + c.self_hits + c.out_of_range + c.capped == len(raw)


def test_the_cap_is_the_same_every_time_and_favours_no_row_of_the_scan() -> None:
    rings = np.repeat(np.arange(16), 256)
    raw = np.stack([5 + rings * 0.1, np.zeros(4096), np.zeros(4096), np.zeros(4096)], 1).astype(np.float32)
    config = LidarConfig(max_points=512)
    first, counts = model_points(raw, MOUNT, config)
    again, _ = model_points(raw, MOUNT, config)
    assert np.array_equal(first, again)
    assert counts.capped == 4096 - 512
    per_ring = np.bincount(np.round((first[:, 0] - 5.2) * 10).astype(int), minlength=16)
    assert per_ring.min() > 20
    columns, _ = model_points(raw.reshape(16, 256, 4).transpose(1, 0, 2).reshape(-1, 4), MOUNT, config)
    per_ring = np.bincount(np.round((columns[:, 0] - 5.2) * 10).astype(int), minlength=16)
    assert per_ring.min() > 20


@pytest.mark.parametrize(("scale", "maximum"), [(1.0, 0.0), (200.0, 0.0), (40_000.0, 0.0), (100.0, 100.0)])
def test_intensity_ends_between_zero_and_one(scale: float, maximum: float) -> None:
    raw = np.full((1000, 4), 2.0, np.float32)
    raw[:, 3] = np.linspace(0, scale, 1000)
    points, _ = model_points(raw, MOUNT, LidarConfig(intensity_max=maximum))
    assert 0.5 < points[:, 3].max() <= 1.0
    assert points[0, 3] == 0.0


def test_an_empty_cloud_is_a_cloud() -> None:
    points, counts = model_points(np.empty((0, 4), np.float32), MOUNT)
    assert points.shape == (0, 4)
    assert counts.received == 0


@pytest.mark.parametrize(
    "bad",
    [np.zeros(5), np.zeros((5, 2)), np.zeros((5, 7)), np.zeros((5, 3), int), [[1.0, 2.0, 3.0]], None],
)
def test_what_is_no_cloud_is_refused(bad) -> None:
    with pytest.raises(InputError, match="points"):
        model_points(bad, MOUNT)


def test_too_many_points_are_refused() -> None:
    with pytest.raises(InputError, match="101 points"):
        model_points(np.zeros((101, 3), np.float32), MOUNT, LidarConfig(max_points=10, max_input_points=100))


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.eye(3), np.full((4, 4), np.nan), np.diag([1, 1, -1, 1])])
def test_a_mount_that_is_no_rigid_transform_is_refused(bad) -> None:
    with pytest.raises(InputError, match=r"lidar\.T_base_lidar"):
        model_points(np.zeros((1, 3), np.float32), bad)


@pytest.mark.parametrize(
    "bad", [{"max_range_m": 0.1}, {"max_points": 0}, {"intensity_max": -1.0}, {"min_z_m": 9.0}, {"body": (1.0,)}]
)
def test_a_bad_config_names_its_field(bad) -> None:
    with pytest.raises(InputError, match="lidar"):
        LidarConfig(**bad)
