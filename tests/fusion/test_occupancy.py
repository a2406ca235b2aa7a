"""Evidence of sweeps: what is hit is occupied, what is seen through near the floor free, the rest
unknown; the map forgets what moved on."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aislewise.clock import to_ns
from aislewise.errors import InputError
from aislewise.geometry import inverse, transform_xy
from aislewise.sitemap import SiteMap
from aislewise.types import DetectionFrame, GridMap, Pose2D
from fusion.occupancy import FREE, OCCUPIED, UNKNOWN, EvidenceConfig, OccupancyConfig, OccupancyMap, local_evidence

CENTRED = EvidenceConfig(lidar_x_m=0.0, lidar_z_m=0.9)


def sweep(boxes: list[tuple[float, float, float, float, float]], reach_m: float = 12.0) -> np.ndarray:
    """(N, 4) points in base_link of a 32-beam lidar 0.9 m above a floor with upright boxes
    (x0, y0, x1, y1, height); rays that meet nothing give no point."""
    azimuth = np.linspace(-math.pi, math.pi, 720, endpoint=False)
    elevation = np.radians(np.linspace(15, -25, 32))
    a, e = (v.ravel() for v in np.meshgrid(azimuth, elevation))
    d = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], axis=1)
    with np.errstate(divide="ignore"):
        best = np.where(d[:, 2] < 0, -0.9 / d[:, 2], np.inf)
    for x0, y0, x1, y1, height in boxes:
        with np.errstate(divide="ignore", invalid="ignore"):
            t0 = (np.array([x0, y0, -0.9]) / d), (np.array([x1, y1, height - 0.9]) / d)
        near, far = np.minimum(*t0).max(axis=1), np.maximum(*t0).min(axis=1)
        hit = (near <= far) & (near > 0)
        best = np.where(hit, np.minimum(best, near), best)
    seen = best < reach_m
    points = d[seen] * best[seen, None] + (0, 0, 0.9)
    return np.column_stack([points, np.zeros(len(points))]).astype(np.float32)


def at(grid: GridMap, x: float, y: float) -> int:
    row = math.floor((y - grid.y_m) / grid.resolution_m + 1e-9)
    col = math.floor((x - grid.x_m) / grid.resolution_m + 1e-9)
    return int(grid.data[row, col])


def site(closed: tuple[slice, slice] | None = None) -> SiteMap:
    cells = np.zeros((20, 30), np.uint8)
    if closed:
        cells[closed] = 1
    return SiteMap("hall", 1.0, 0.0, 0.0, cells, {})


def frame(t_s: float, pose: Pose2D, points: np.ndarray | None) -> DetectionFrame:
    grid = None if points is None else local_evidence(points, pose, CENTRED)
    return DetectionFrame("robot_1", to_ns(t_s), pose, (), grid, ("lidar",))


def test_a_box_is_occupied_the_floor_before_it_free_and_its_shadow_unknown() -> None:
    grid = local_evidence(sweep([(3.0, -0.5, 4.0, 0.5, 1.2)]), Pose2D(0, 0), CENTRED)
    assert at(grid, 3.1, 0.1) == OCCUPIED
    assert at(grid, 2.5, 0.1) == FREE
    assert at(grid, 5.5, 0.1) == UNKNOWN
    assert at(grid, -4.0, 3.0) == FREE


def test_a_ray_proves_a_cell_free_only_while_it_is_near_the_floor() -> None:
    over = local_evidence(np.array([[6.0, 0.0, 0.6, 0.0]], np.float32), Pose2D(0, 0), CENTRED)
    assert (over.data == FREE).sum() == 0  # it may have passed over a tote
    low = local_evidence(np.array([[6.0, 0.0, 0.2, 0.0]], np.float32), Pose2D(0, 0), CENTRED)
    assert at(low, 3.1, 0.0) == UNKNOWN
    assert at(low, 5.1, 0.0) == FREE
    assert at(low, 6.0, 0.0) == OCCUPIED


def test_a_tote_in_the_way_is_occupied_though_beams_above_it_reach_the_wall() -> None:
    grid = local_evidence(sweep([(3.0, -0.3, 3.4, 0.3, 0.3), (6.0, -3, 6.5, 3, 2.5)]), Pose2D(0, 0), CENTRED)
    assert at(grid, 3.1, 0.1) == OCCUPIED
    assert at(grid, 6.1, 0.1) == OCCUPIED


def test_what_hangs_high_does_not_block() -> None:
    points = np.array([[3.0, 0.0, 2.2, 0.0], [3.0, 1.0, 1.7, 0.0]], np.float32)
    grid = local_evidence(points, Pose2D(0, 0), CENTRED)
    assert at(grid, 3.0, 0.0) == UNKNOWN
    assert at(grid, 3.0, 1.0) == OCCUPIED


@settings(max_examples=20, deadline=None)
@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(-3.1, 3.1))
def test_the_grid_lies_in_the_map_whatever_the_robots_pose(x: float, y: float, yaw: float) -> None:
    pose = Pose2D(x, y, yaw)
    corner = np.array([x + 3.0, y + 1.0])
    local = transform_xy(inverse(pose), corner)
    points = np.array([[*local, 0.8, 0.0]], np.float32)
    grid = local_evidence(points, pose, CENTRED)
    # Float32 points may fall into the neighbour of a cell whose border they lie on.
    near = [at(grid, corner[0] + dx, corner[1] + dy) for dx in (-1e-4, 1e-4) for dy in (-1e-4, 1e-4)]
    assert OCCUPIED in near
    assert (grid.data == OCCUPIED).sum() == 1
    assert abs(grid.x_m / 0.2 - round(grid.x_m / 0.2)) < 1e-6


@settings(deadline=None)
@given(hnp.arrays(np.float32, st.tuples(st.integers(0, 30), st.just(4)), elements=st.floats(width=32)))
def test_no_points_crash_and_cells_have_only_three_values(points: np.ndarray) -> None:
    grid = local_evidence(points, Pose2D(1, 2, 3))
    assert set(np.unique(grid.data)) <= {UNKNOWN, FREE, OCCUPIED}


def test_an_obstacle_appears_in_the_map_and_vanishes_when_it_moved_on() -> None:
    occupancy = OccupancyMap(site())
    pose = Pose2D(10.0, 10.0, 0.0)
    for k in range(3):
        occupancy.integrate(frame(0.5 * k, pose, sweep([(3, -0.5, 4, 0.5, 1.5)])))
    assert at(occupancy.grid(), 13.1, 10.1) == OCCUPIED
    for k in range(6):
        occupancy.integrate(frame(2 + 0.5 * k, pose, sweep([])))
    assert at(occupancy.grid(), 13.1, 10.1) == FREE


def test_an_obstacle_nobody_sees_any_more_fades_to_unknown() -> None:
    occupancy = OccupancyMap(site())
    for k in range(3):
        occupancy.integrate(frame(0.5 * k, Pose2D(10, 10), sweep([(3, -0.5, 4, 0.5, 1.5)])))
    occupancy.fade(to_ns(15.0))
    assert at(occupancy.grid(), 13.1, 10.1) == OCCUPIED
    occupancy.fade(to_ns(150.0))
    assert at(occupancy.grid(), 13.1, 10.1) == UNKNOWN


def test_robots_are_no_obstacles() -> None:
    occupancy = OccupancyMap(site())
    other = Pose2D(13.3, 10.0)
    for k in range(5):
        scan = frame(0.5 * k, Pose2D(10, 10), sweep([(3.05, -0.25, 3.6, 0.25, 0.95)]))
        occupancy.integrate(scan, [other])
    assert at(occupancy.grid(), 13.3, 10.0) != OCCUPIED
    assert (occupancy.grid().data == OCCUPIED).sum() == 0
    occupancy.integrate(scan)
    occupancy.integrate(scan)
    assert (occupancy.grid().data == OCCUPIED).sum() > 0


def test_racks_are_occupied_from_the_start_and_do_not_spill_into_the_aisle() -> None:
    occupancy = OccupancyMap(site((slice(12, 14), slice(5, 25))))
    assert at(occupancy.grid(), 10.0, 12.5) == OCCUPIED
    for k in range(4):  # a rack face seen 0.1 m in front of where the map has it
        occupancy.integrate(frame(0.5 * k, Pose2D(10.0, 10.0), sweep([(-4, 1.9, 4, 3.9, 3.0)])))
    grid = occupancy.grid()
    row = math.floor((11.9 - grid.y_m) / 0.2)
    assert (grid.data[row] != OCCUPIED).all()


def test_the_map_covers_the_site_at_any_origin() -> None:
    hall = SiteMap("hall", 1.5, -7.3, 4.1, np.zeros((8, 5), np.uint8), {})
    grid = OccupancyMap(hall).grid()
    assert grid.x_m <= -7.3 + 1e-9 and grid.y_m <= 4.1 + 1e-9
    assert grid.x_m + grid.data.shape[1] * 0.2 >= 0.2 - 1e-6
    assert grid.y_m + grid.data.shape[0] * 0.2 >= 16.1 - 1e-6


def test_sweeps_at_the_border_and_outside_do_not_crash() -> None:
    occupancy = OccupancyMap(site())
    for pose in (Pose2D(0, 0), Pose2D(30, 20), Pose2D(500, -500), Pose2D(-13, 10)):
        occupancy.integrate(frame(0.0, pose, sweep([(3, -0.5, 4, 0.5, 1.5)])))
    occupancy.integrate(frame(1.0, Pose2D(5, 5), None))
    assert occupancy.grid().data.shape == (100, 150)


def test_a_grid_that_does_not_fit_is_refused() -> None:
    occupancy = OccupancyMap(site())
    good = frame(0.0, Pose2D(5, 5), sweep([]))
    assert good.local_grid is not None
    for changes in ({"resolution_m": 0.1}, {"yaw_rad": 0.2}):
        grid = dataclasses.replace(good.local_grid, **changes)
        with pytest.raises(InputError, match=r"local_grid\.resolution_m"):
            occupancy.integrate(dataclasses.replace(good, local_grid=grid))
    with pytest.raises(InputError, match="points"):
        local_evidence(np.zeros((4,), np.float32), Pose2D(0, 0))
    with pytest.raises(InputError, match="evidence"):
        EvidenceConfig(resolution_m=0.0)
    with pytest.raises(InputError, match="occupancy"):
        OccupancyConfig(occupied=-1.0)
