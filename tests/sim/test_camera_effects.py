"""A real camera's shortcomings, each against the geometry or statistics that it follows from."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aislewise.geometry import distort
from aislewise.types import Pose2D
from sim.camera_effects import expose, next_level
from sim.camera_effects import settings as time_and_gain
from sim.depth import shadow
from sim.ego_motion import STILL, Twist
from sim.mesh import Material, Mesh, boxes
from sim.scene import Base, Placed, Scene
from sim.sensor_models import CameraSetup, DepthSetup, ExposureSetup, GlareSetup
from sim.sensors import CameraConfig, Lighting, Shot, capture

FLOOR = boxes([0, 0, -0.5], [80, 80, 1], (0.3, 0.3, 0.3), Material.CONCRETE)
HERE = Pose2D(0.0, 0.0)
LIGHT = Lighting()
EXPOSED = ExposureSetup(auto=False)
LEVEL = CameraConfig(pitch_down_rad=0.0)


def _scene(*things: Mesh) -> Scene:
    return Scene(Base.of(FLOOR), [Placed(m, k + 1) for k, m in enumerate(things)])


def _shot(scene: Scene, config: CameraConfig, twist: Twist = STILL, level: float = 1.0, seed: int = 0) -> Shot:
    return capture(scene, config, HERE, LIGHT, np.random.default_rng(seed), twist, None, level)


def _wall(x_m: float, colour: tuple[float, float, float] = (0.5, 0.5, 0.5)) -> Mesh:
    return boxes([x_m + 0.05, 0, 2], [0.1, 40, 8], colour, Material.CARDBOARD)


# ---- lens and shutter --------------------------------------------------------------------------------


def test_a_distorted_picture_shows_a_thing_where_the_lens_model_puts_it() -> None:
    d = (-0.2, 0.05, 0.002, -0.001)
    config = CameraConfig(distortion=d)
    marker = np.array([2.2, 1.1, 1.3])
    shot = _shot(_scene(boxes(marker, [0.06, 0.06, 0.06], (0.9, 0.1, 0.1), Material.PLASTIC, bottom=True)), config)
    p = np.linalg.inv(config.model.T_base_camera) @ [*marker, 1.0]
    K = config.model.K
    ideal = K[:2, :2] @ (p[:2] / p[2]) + K[:2, 2]
    u, v = K[:2, :2] @ distort(p[:2] / p[2], "plumb_bob", np.array(d)) + K[:2, 2]
    rows, columns = np.nonzero(shot.instance == 1)
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((u, v), abs=1.0)
    assert math.hypot(u - ideal[0], v - ideal[1]) > 5.0


@pytest.mark.parametrize("turn_radps", [-1.2, 0.0, 1.2])
def test_a_post_leans_as_the_camera_turns_while_its_rows_are_read(turn_radps: float) -> None:
    config = replace(LEVEL, rolling_shutter_s=0.05)
    post = boxes([5.0, 0.0, 2.0], [0.1, 0.1, 6.0], (0.9, 0.9, 0.9), Material.PLASTIC)
    instance = _shot(_scene(post), config, Twist(0.0, turn_radps)).instance
    top, low = (float(np.nonzero(instance[v] == 1)[0].mean()) for v in (30, 130))
    expected = config.model.K[0, 0] * turn_radps * 0.05 * 100 / 239
    assert low - top == pytest.approx(expected, abs=0.6)  # later rows see it further to the right in a left turn


def _edge_px(shot: Shot) -> float:
    """Width, between a tenth and nine tenths, of the one bright edge in the middle rows."""
    row = (shot.image[100:120].astype(float) / 255.0) ** 2.2
    profile = row.mean(axis=(0, 2))[120:200]
    low, high = profile.min(), profile.max()
    share = (profile - low) / (high - low)
    return float(((share > 0.1) & (share < 0.9)).sum())


def test_blur_grows_with_the_exposure_time_and_with_the_turn() -> None:
    half = boxes([6.0, 10.0, 2.0], [0.1, 20.0, 8.0], (0.9, 0.9, 0.9), Material.CARDBOARD)
    scene = _scene(_wall(6.2, (0.02, 0.02, 0.02)), half)
    turn = Twist(0.0, 1.0)
    width = {}
    for time_s in (0.002, 0.04):
        setup = replace(EXPOSED, time_s=time_s, max_s=0.05, read_noise_e=0.0, full_well_e=1e6)
        width[time_s] = [_edge_px(_shot(scene, replace(LEVEL, exposure=setup), twist)) for twist in (STILL, turn)]
    assert width[0.04][0] <= 2 and width[0.002][1] <= 2
    assert width[0.04][1] == pytest.approx(0.8 * 160 * 0.04, abs=2.0)


# ---- exposure and noise ------------------------------------------------------------------------------


@given(st.floats(0.01, 1.5), st.floats(0.05, 20.0), st.floats(0.1, 2.0))
def test_the_automatic_exposure_closes_in_on_its_target_and_never_passes_it(scene: float, level: float, dt_s: float) -> None:
    setup = ExposureSetup()
    error = math.inf
    for _ in range(200):
        brightness = min(scene * level, 1.0)
        gap = math.log(setup.target / brightness)
        assert abs(gap) <= abs(error) + 1e-9 and (error == math.inf or gap * error >= -1e-9)
        error = gap
        level = next_level(setup, level, brightness, dt_s)
    most = setup.max_s / setup.time_s * setup.max_gain
    assert abs(error) < 0.01 or level == pytest.approx(most)


def test_the_lag_is_that_of_a_first_order_system() -> None:
    setup = ExposureSetup(lag_s=0.7)
    after = next_level(setup, 1.0, setup.target / 4, 0.7)
    assert math.log(after) / math.log(4) == pytest.approx(1 - math.exp(-1))


def test_time_is_lengthened_before_gain_is_raised() -> None:
    setup = ExposureSetup()
    assert time_and_gain(setup, 2.0) == pytest.approx((2 * setup.time_s, 1.0))
    assert time_and_gain(setup, 10.0) == pytest.approx((setup.max_s, 10.0 * setup.time_s / setup.max_s))
    assert time_and_gain(setup, 1e6) == pytest.approx((setup.max_s, setup.max_gain))


@pytest.mark.parametrize("gain", [1.0, 8.0])
def test_noise_is_that_of_photons_and_of_reading_before_the_gain(gain: float) -> None:
    full, read, value = 10_000.0, 8.0, 0.3
    noise = np.random.default_rng(0).standard_normal((40_000, 3)).astype(np.float32)
    flat = np.full((40_000, 3), value / gain, np.float32)
    linear = np.rint(255 * np.linspace(0, 1, 4096)).astype(np.uint8)
    image = np.empty((40_000, 3), np.uint8)
    seen = expose(flat, np.full(3, gain, np.float32), gain, full, read, noise, linear, np.ones(40_000, np.float32), image)
    electrons = value * full / gain
    expected = math.sqrt(electrons + read**2) * gain / full
    assert seen == pytest.approx(value, rel=0.01)
    assert float(image.std()) / 255 == pytest.approx(math.hypot(expected, 1 / 255 / math.sqrt(12)), rel=0.03)


# ---- glare -------------------------------------------------------------------------------------------


def _glare(setup: GlareSetup, *things: Mesh) -> np.ndarray:
    """(H, W) what the sources add, in grey levels."""
    quiet = replace(EXPOSED, read_noise_e=0.0, full_well_e=1e6)
    scene = _scene(*things)
    with_it, without = (
        _shot(scene, replace(LEVEL, exposure=quiet, glare=g)).image.astype(float).mean(axis=2) for g in (setup, GlareSetup())
    )
    return with_it - without


def test_a_lamp_lays_a_veil_that_fades_with_the_angle() -> None:
    added = _glare(GlareSetup(lamps=((8.0, 0.0, 2.0),), strength=40.0))
    column = added[150:, 159]  # straight down from under the lamp
    smooth = np.convolve(column, np.ones(15) / 15, "valid")
    assert added.max() > 100 and smooth[0] > smooth[-1] > 0.0
    assert (np.diff(smooth) < 0.5).all()


def test_a_lamp_behind_a_wall_or_behind_the_camera_does_not_glare() -> None:
    assert np.abs(_glare(GlareSetup(lamps=((8.0, 0.0, 2.0),)), _wall(5.0))).max() == 0.0
    assert np.abs(_glare(GlareSetup(lamps=((-4.0, 0.0, 2.0),)))).max() == 0.0


def test_the_sun_beside_the_picture_still_dims_its_contrast() -> None:
    added = _glare(GlareSetup(sun=(60.0, 20.0)))
    assert added.mean() > 10.0 and added[:, :80].mean() > added[:, -80:].mean()  # it stands to the left


# ---- depth -------------------------------------------------------------------------------------------


def test_depth_is_along_the_axis_with_the_noise_of_its_source() -> None:
    setup = DepthSetup()
    for far_m in (1.0, 3.5):
        depth = _shot(_scene(_wall(far_m + LEVEL.x_m)), replace(LEVEL, depth=setup)).depth
        assert depth is not None and depth.shape == (240, 320) and depth.dtype == np.float32
        flat = depth[:60][np.isfinite(depth[:60])]
        assert float(np.median(flat)) == pytest.approx(far_m, abs=0.003)
        assert float(flat.std()) == pytest.approx(0.0012 + 0.0019 * (far_m - 0.4) ** 2, rel=0.1)


def test_too_near_and_too_far_are_told_apart_from_no_answer() -> None:
    near, far = boxes([0.45, 3, 1.2], [0.01, 6, 3.0], (0.5,) * 3, Material.CARDBOARD), _wall(9.0)
    depth = _shot(_scene(near, far), replace(LEVEL, depth=DepthSetup())).depth
    assert depth is not None
    assert np.isneginf(depth[110, 20]) and np.isposinf(depth[60, 300])
    assert np.isnan(_shot(_scene(), replace(LEVEL, depth=DepthSetup())).depth[20]).all()  # type: ignore[index]


def test_the_projectors_shadow_lies_left_of_a_near_thing_as_wide_as_the_disparities_differ() -> None:
    z = np.full((1, 320), 4.0, np.float32)
    z[0, 150:200] = 1.0
    shadow(z, 160 * 0.075)
    hole = np.nonzero(np.isnan(z[0]))[0]
    assert hole.tolist() == list(range(150 - 9, 150))


def test_dark_rubber_far_away_has_more_holes_than_cardboard() -> None:
    share = {}
    for material in (Material.CARDBOARD, Material.RUBBER):
        wall = boxes([4.3, 0, 2], [0.1, 40, 8], (0.05,) * 3, material)
        depth = _shot(_scene(wall), replace(LEVEL, depth=DepthSetup())).depth
        assert depth is not None
        share[material] = float(np.isnan(depth[:60]).mean())
    assert share[Material.RUBBER] > share[Material.CARDBOARD] + 0.1


def test_a_camera_of_another_size_sees_the_same_angles() -> None:
    big = CameraConfig.of(CameraSetup(640, 480))
    small = CameraConfig()
    corner = [c.directions.reshape(c.height, c.width, 3)[0, 0] for c in (big, small)]
    assert float(corner[0] @ corner[1]) > math.cos(math.radians(0.2))
