"""What motion, wide beams and the air do to a sweep."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.geometry import matrix
from aislewise.types import F64, Pose2D
from sim.ego_motion import STILL, Twist, trail
from sim.lidar_effects import PULSE_M, SEEN_M, rain_per_m
from sim.mesh import Material, Mesh, boxes
from sim.scene import NO_INSTANCE, Base, Placed, Scene
from sim.sensors import LidarConfig, Sweep, sweep

HERE = Pose2D(0.5, -0.3, 0.4)
WALLS = boxes(
    [[8, 0, 2], [-8, 0, 2], [0, 8, 2], [0, -8, 2]], [[1, 18, 6], [1, 18, 6], [18, 1, 6], [18, 1, 6]], (0.5, 0.5, 0.5),
    Material.CARDBOARD,
)  # fmt: skip


def _scene(*things: Mesh) -> Scene:
    return Scene(Base.of(WALLS), [Placed(m, k + 1) for k, m in enumerate(things)])


def _turn(scene: Scene, twist: Twist = STILL, pose: Pose2D = HERE, **config: object) -> Sweep:
    lidar = LidarConfig(beams=8, up_rad=0.05, down_rad=-0.05, columns=720, **config)  # type: ignore[arg-type]
    return sweep(scene, lidar, pose, np.random.default_rng(0), (), twist)


def _off_the_walls(points: F64) -> F64:
    """(N,) distance of points (N, 3) in `map` from the nearest of the four inner faces."""
    return np.abs(np.max(np.abs(points[:, :2]), axis=1) - 7.5)


def _in_map(points: F64, poses: F64, of: F64) -> F64:
    mount = LidarConfig().T_base_lidar
    T = (poses @ mount)[of]
    return np.asarray(np.einsum("nij,nj->ni", T[:, :3, :3], points[:, :3].astype(np.float64)) + T[:, :3, 3])


@settings(max_examples=15, deadline=None)
@given(st.floats(-1.5, 1.5), st.floats(-1.2, 1.2))
def test_points_of_a_moving_lidar_lie_on_the_walls_once_each_is_placed_from_where_it_was_taken(v: float, w: float) -> None:
    twist = Twist(v, w)
    fired_s = -(719 - np.arange(720)) / 720 * 0.1  # a turn takes 0.1 s and ends now
    points = _turn(_scene(), twist, moving=True, range_noise_m=0.0).points.astype(np.float64)
    column = np.rint((np.arctan2(points[:, 1], points[:, 0]) + math.pi) / (2 * math.pi) * 720).astype(int) % 720
    placed = _in_map(points, trail(HERE, twist, fired_s), column)
    assert _off_the_walls(placed).max() < 0.005
    taken_as_still = _off_the_walls(_in_map(points, matrix(HERE)[None], np.zeros(len(points), int)))
    assert taken_as_still.max() >= 0.02 * max(abs(v), abs(w) * 7.0) - 0.005


def test_a_standing_robot_has_no_motion_distortion() -> None:
    assert np.array_equal(_turn(_scene(), moving=True).points, _turn(_scene()).points)


@given(st.floats(-2, 2), st.floats(-3, 3), st.floats(0.01, 0.2))
def test_the_twist_between_two_poses_leads_from_the_one_to_the_other(v: float, w: float, dt: float) -> None:
    after = trail(HERE, Twist(v, w), np.array([dt]))[0]
    pose = Pose2D(after[0, 3], after[1, 3], math.atan2(after[1, 0], after[0, 0]))
    found = Twist.between(HERE, pose, dt)
    assert found.forward_mps == pytest.approx(v, abs=1e-6) and found.turn_radps == pytest.approx(w, abs=1e-6)


def _post(gap_m: float, material: Material = Material.CARDBOARD) -> Mesh:
    """A narrow post straight ahead of the origin, its back gap_m before the wall."""
    return boxes([7.5 - gap_m - 0.05, 0.0, 1.0], [0.1, 0.3, 2.0], (0.5, 0.5, 0.5), material)


def _ahead(turn: Sweep) -> F64:
    ahead = (turn.points[:, 0] > 0) & (np.abs(turn.points[:, 1]) < 0.5)
    return turn.points[ahead].astype(np.float64)


def test_a_pulse_on_an_edge_gives_both_surfaces_where_both_are_asked_for() -> None:
    scene, at = _scene(_post(3.0)), Pose2D(0.0, 0.0)
    options = {"divergence_rad": 0.01, "range_noise_m": 0.0}
    single, dual = (_ahead(_turn(scene, pose=at, returns=r, **options)) for r in ("strongest", "dual"))
    assert len(dual) > len(single)
    azimuth, count = np.unique(np.round(np.arctan2(dual[:, 1], dual[:, 0]) + 10 * dual[:, 2] / dual[:, 0], 6), return_counts=True)
    twice = azimuth[count == 2]
    assert len(twice) >= 8  # each beam, at one edge at least
    narrow = _ahead(_turn(scene, pose=at, returns="dual", divergence_rad=1e-6, range_noise_m=0.0))
    assert len(narrow) == len(single)


def test_the_last_return_is_never_nearer_than_the_strongest() -> None:
    scene, at = _scene(_post(3.0)), Pose2D(0.0, 0.0)
    near = {}
    for returns in ("strongest", "last"):
        points = _ahead(_turn(scene, pose=at, returns=returns, divergence_rad=0.01, range_noise_m=0.0))
        near[returns] = int((points[:, 0] < 6.0).sum())
    assert 0 < near["last"] < near["strongest"]


def test_surfaces_that_one_pulse_cannot_part_give_a_range_in_between() -> None:
    gap_m, at, mount_m = 0.6 * PULSE_M, Pose2D(0.0, 0.0), LidarConfig().x_m
    low_m, high_m = 7.5 - gap_m - 0.1 - mount_m + 0.03, 7.5 - mount_m - 0.03
    between = {}
    for returns in ("first", "strongest"):
        points = _ahead(_turn(_scene(_post(gap_m)), pose=at, returns=returns, divergence_rad=0.015, range_noise_m=0.0))
        between[returns] = int(((points[:, 0] > low_m) & (points[:, 0] < high_m)).sum())
    assert between["first"] == 0 and between["strongest"] >= 8


@pytest.mark.parametrize("extinction", [0.005, 0.05])
def test_as_many_points_hang_in_the_air_as_beer_and_lambert_and_the_detector_give(extinction: float) -> None:
    turn = _turn(_scene(), extinction_per_m=extinction)
    false = int((np.hypot(turn.points[:, 0], turn.points[:, 1]) < 6.5).sum())
    reach = extinction + 1.0 / SEEN_M
    expected = 8 * 720 * extinction / reach * (1.0 - math.exp(-reach * 6.3))
    assert false == pytest.approx(expected, rel=0.2, abs=4 * math.sqrt(expected))
    weak = turn.points[np.hypot(turn.points[:, 0], turn.points[:, 1]) < 6.5, 3]
    assert weak.max() < 0.1


def test_points_in_the_air_belong_to_nothing() -> None:
    inside = boxes([7.2, 0, 2], [0.4, 15, 6], (0.5, 0.5, 0.5), Material.CARDBOARD)
    turn = _turn(_scene(inside), extinction_per_m=0.05)
    near = np.hypot(turn.points[:, 0], turn.points[:, 1]) < 5.0
    assert near.any() and (turn.instance[near] == NO_INSTANCE).all()
    assert (turn.instance == 1).any()


def test_rain_weakens_light_as_the_itu_states() -> None:
    assert rain_per_m(0.0) == 0.0
    assert rain_per_m(50.0) * 1000 * 10 / math.log(10) == pytest.approx(14.8, abs=0.1)  # dB/km
