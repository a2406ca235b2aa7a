"""What lidar and camera must report of a known scene."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from aislewise.errors import InputError
from aislewise.types import Colour, Pose2D
from sim import bodies
from sim.mesh import Material, boxes
from sim.scene import Base, Placed, Scene
from sim.sensors import CameraConfig, LidarConfig, Lighting, capture, sweep

FLOOR = boxes([0, 0, -0.5], [80, 80, 1], (0.3, 0.3, 0.3), Material.CONCRETE)
HERE = Pose2D(1.0, -2.0, 0.7)
LIDAR = LidarConfig(columns=360)


def _at(forward_m: float, left_m: float, mesh: bodies.Mesh, instance: int = 1) -> Placed:
    c, s = math.cos(HERE.yaw_rad), math.sin(HERE.yaw_rad)
    x, y = HERE.x_m + c * forward_m - s * left_m, HERE.y_m + s * forward_m + c * left_m
    return Placed(mesh.moved(x, y, HERE.yaw_rad), instance)


def _scene(*placed: Placed) -> Scene:
    return Scene(Base.of(FLOOR), placed)


def _rng(k: int = 0) -> np.random.Generator:
    return np.random.default_rng(k)


def test_floor_lies_at_zero_in_base_link() -> None:
    points = sweep(_scene(), LIDAR, HERE, _rng()).points
    assert points.dtype == np.float32 and points.shape[1] == 4
    z = points[:, 2] + LIDAR.T_base_lidar[2, 3]
    assert abs(float(np.median(z))) < 0.01
    assert float(np.std(z)) < 0.03


def test_a_wall_ahead_is_measured_where_it_stands_with_the_stated_noise() -> None:
    wall = boxes([0, 0, 1], [0.2, 20, 2], (0.5, 0.5, 0.5), Material.WALL)
    turn = sweep(_scene(_at(6.0, 0.0, wall)), LIDAR, HERE, _rng())
    ahead = turn.points[(turn.instance == 1) & (np.abs(turn.points[:, 1]) < 1.0)]
    x = ahead[:, 0] + LIDAR.T_base_lidar[0, 3]
    assert float(np.mean(x)) == pytest.approx(5.9, abs=0.01)
    assert float(np.std(x)) == pytest.approx(LIDAR.range_noise_m, rel=0.35)


def test_intensity_and_range_stay_in_their_limits() -> None:
    wall = boxes([0, 0, 1], [0.2, 20, 2], (0.5, 0.5, 0.5), Material.STRIPE)
    points = sweep(_scene(_at(3.0, 0.0, wall)), LidarConfig(columns=360, intensity_scale=10.0), HERE, _rng()).points
    assert points[:, 3].min() >= 0.0 and points[:, 3].max() <= 1.0
    assert np.linalg.norm(points[:, :3], axis=1).max() <= LIDAR.max_range_m + 0.2


def test_the_robot_does_not_see_itself() -> None:
    own = bodies.robot_mesh(bodies.shade(_rng(), Colour.WHITE), [bodies.shade(_rng(), Colour.RED)] * 2)
    scene = _scene(_at(0.0, 0.0, own, 7))
    turn = sweep(scene, LIDAR, HERE, _rng(), own=(7,))
    assert not (turn.instance == 7).any()
    near = np.hypot(turn.points[:, 0] + LIDAR.x_m, turn.points[:, 1]) < 0.5
    assert not near.any()
    assert not (capture(scene, CameraConfig(), HERE, Lighting(), _rng()).instance == 7).any()


def test_a_wet_floor_is_floor_to_the_lidar_and_a_patch_to_the_camera() -> None:
    puddle = bodies.wet_floor(_rng(), 1.0)
    dry, wet = _scene(), _scene(_at(3.0, 0.0, puddle.mesh))
    turn = sweep(wet, LIDAR, HERE, _rng())
    heights = turn.points[turn.instance == 1, 2] + LIDAR.z_m
    assert np.abs(heights).max() < 0.08
    shot, before = (capture(s, CameraConfig(), HERE, Lighting(), _rng()) for s in (wet, dry))
    patch = shot.instance == 1
    assert patch.sum() > 500
    change = np.abs(shot.image.astype(int) - before.image.astype(int)).mean(axis=2)
    assert change[patch].mean() > 10 * change[~patch].mean()


@pytest.mark.parametrize("colour", [Colour.RED, Colour.BLUE, Colour.GREEN])
def test_only_the_camera_tells_colours_apart(colour: Colour) -> None:
    channel = {Colour.RED: 0, Colour.GREEN: 1, Colour.BLUE: 2}[colour]
    tote = bodies.tote_mesh(bodies.shade(_rng(3), colour))
    scene = _scene(_at(1.8, 0.0, tote))
    shot = capture(scene, CameraConfig(), HERE, Lighting(), _rng())
    mean = shot.image[shot.instance == 1].mean(axis=0)
    assert int(np.argmax(mean)) == channel
    grey = _scene(_at(1.8, 0.0, bodies.tote_mesh(bodies.shade(_rng(3), Colour.GREY))))
    a, b = (sweep(s, LIDAR, HERE, _rng()).points for s in (scene, grey))
    assert np.array_equal(a, b)


def test_a_vest_changes_nothing_for_the_lidar() -> None:
    looks = bodies.Person.random(_rng(5), vest=True)
    plain = bodies.Person(**{f: getattr(looks, f) for f in looks.__slots__} | {"vest": False})
    a, b = (sweep(_scene(_at(3.0, 0.0, p.mesh(1.0))), LIDAR, HERE, _rng()) for p in (looks, plain))
    hit = a.instance == 1
    assert abs(int(hit.sum()) - int((b.instance == 1).sum())) <= 0.05 * hit.sum()
    assert a.points[hit, 3].mean() == pytest.approx(b.points[b.instance == 1, 3].mean(), rel=0.05)


def test_projection_agrees_with_the_camera_model() -> None:
    marker = boxes([0, 0, 0.5], [0.1, 0.1, 0.1], (0.9, 0.9, 0.9), Material.PLASTIC, bottom=True)
    config = CameraConfig()
    shot = capture(_scene(_at(4.0, -1.0, marker)), config, HERE, Lighting(), _rng())
    rows, cols = np.nonzero(shot.instance == 1)
    centre = np.linalg.inv(config.model.T_base_camera) @ np.array([4.0, -1.0, 0.5, 1.0])
    u, v, w = config.model.K @ centre[:3]
    assert cols.mean() + 0.5 == pytest.approx(u / w, abs=1.0)
    assert rows.mean() + 0.5 == pytest.approx(v / w, abs=1.0)


def test_frames_sensed_in_threads_equal_frames_sensed_one_by_one() -> None:
    scene = _scene(_at(2.0, 0.5, bodies.tote_mesh(bodies.shade(_rng(), Colour.RED))))

    def frame(k: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([3, k])
        return sweep(scene, LIDAR, HERE, rng).points, capture(scene, CameraConfig(), HERE, Lighting(), rng).image

    alone = [frame(k) for k in range(6)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(frame, range(6)))
    for (p, i), (q, j) in zip(alone, together, strict=True):
        assert np.array_equal(p, q) and np.array_equal(i, j)
    assert not np.array_equal(alone[0][1], alone[1][1])


@pytest.mark.parametrize("bad", [{"columns": 2}, {"beams": 0}, {"range_noise_m": -1.0}, {"down_rad": 1.0}])
def test_an_impossible_lidar_names_its_field(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match="lidar"):
        LidarConfig(**bad)  # type: ignore[arg-type]


def test_every_body_fits_the_box_that_is_its_truth() -> None:
    rng = _rng(1)
    made = [bodies.Person.random(rng).body(p, 1.0) for p in np.linspace(0, 6, 7)]
    made += [bodies.forklift(rng, Colour.YELLOW), bodies.pallet(rng, True), bodies.pallet(rng, False)]
    made += [bodies.tote(rng, Colour.BLUE), bodies.robot(rng, Colour.WHITE), bodies.wet_floor(rng)]
    made += [bodies.cartons(rng) for _ in range(5)]
    for body in made:
        low, high = body.mesh.vertices.min(axis=0), body.mesh.vertices.max(axis=0)
        slack = np.array([0.14, 0.14, 0.13])
        assert (high <= np.array([body.size[0] / 2, body.size[1] / 2, body.size[2]]) + slack).all(), body.cls
        assert (low >= np.array([-body.size[0] / 2, -body.size[1] / 2, 0.0]) - slack).all(), body.cls
