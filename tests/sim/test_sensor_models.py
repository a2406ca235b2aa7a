"""Sensors of a scenario: what each stands for, and that the default is what it always was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aislewise.errors import InputError
from aislewise.types import Pose2D
from sim.mesh import Material, boxes
from sim.scenario import scenario_from
from sim.scene import Base, Scene
from sim.sensor_models import LIDARS, CameraSetup, LidarSetup, SensorSetup
from sim.sensors import CameraConfig, LidarConfig, sweep

ROOM = boxes(
    [[6, 0, 3], [-6, 0, 3], [0, 6, 3], [0, -6, 3], [0, 0, -0.5], [0, 0, 6.5]],
    [[1, 14, 8], [1, 14, 8], [14, 1, 8], [14, 1, 8], [14, 14, 1], [14, 14, 1]],
    (0.5, 0.5, 0.5), Material.CARDBOARD, bottom=True,
)  # fmt: skip


def test_without_a_word_about_sensors_they_are_the_simulators_own() -> None:
    assert LidarConfig.of(LidarSetup(), 720) == LidarConfig(columns=720)
    assert CameraConfig.of(CameraSetup()) == CameraConfig()
    assert scenario_from({}).sensors == SensorSetup()


@pytest.mark.parametrize("name", sorted(LIDARS))
def test_a_lidar_has_the_beams_rate_and_noise_of_its_data_sheet(name: str) -> None:
    config, model = LidarConfig.of(LidarSetup(name), 720), LIDARS[name]
    points = sweep(Scene(Base.of(ROOM)), config, Pose2D(0.0, 0.0), np.random.default_rng(0)).points.astype(np.float64)
    elevation = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    off = np.abs(elevation[:, None] - np.array(model.elevation_deg)[None, :])
    assert off.min(axis=1).max() < 0.01
    assert set(off.argmin(axis=1)) == set(range(len(model.elevation_deg)))
    assert config.columns == model.columns and config.rate_hz == model.rate_hz
    level = np.abs(elevation) < 3.0
    wall = points[level & (points[:, 0] > 0) & (np.abs(points[:, 1]) < 1.0)]
    assert float(np.std(wall[:, 0])) == pytest.approx(model.range_noise_m, rel=0.25)


def test_columns_of_the_scenario_stand_over_those_of_the_data_sheet() -> None:
    assert LidarConfig.of(LidarSetup("vlp16", columns=360), 720).columns == 360


@pytest.mark.parametrize(
    ("sensors", "field"),
    [
        ({"lidar": {"model": "vlp17"}}, "sensors.lidar.model"),
        ({"lidar": {"returns": "all"}}, "sensors.lidar.returns"),
        ({"lidar": {"columns": 4}}, "sensors.lidar.columns"),
        ({"lidar": {"dust_per_m": -0.1}}, "sensors.lidar.dust_per_m"),
        ({"camera": {"width": 5}}, "sensors.camera.width"),
        ({"camera": {"exposure": {"max_gain": 0.5}}}, "sensors.camera.exposure.max_gain"),
        ({"camera": {"exposure": {"time_s": 0.1}}}, "sensors.camera.exposure.time_s"),
        ({"camera": {"glare": {"sun": [0, 95]}}}, "sensors.camera.glare.sun"),
        ({"camera": {"distortion": [0, 0]}}, "sensors.camera.distortion"),
        ({"camera": {"fog": 1}}, "sensors.camera.fog"),
        ({"depth": {"min_m": 4.0, "max_m": 2.0}}, "sensors.depth.min_m"),
        ({"imu": {"gyro_noise": float("nan")}}, "sensors.imu.gyro_noise"),
        ({"calibration": {"lidar_deg": 45.0}}, "sensors.calibration.lidar_deg"),
        ({"lidar": {"timing": {"latency_s": -1.0}}}, "sensors.*.timing.latency_s"),
    ],
)
def test_what_no_sensor_has_is_an_error_that_names_its_field(sensors: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as error:
        scenario_from({"sensors": sensors})
    assert field in error.value.field


def test_a_lens_that_folds_the_picture_over_is_refused() -> None:
    with pytest.raises(InputError, match=r"sensors\.camera\.distortion"):
        scenario_from({"sensors": {"camera": {"distortion": [-0.9, 0.0, 0.0, 0.0]}}})
