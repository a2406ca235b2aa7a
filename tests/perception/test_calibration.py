"""Calibrations from YAML and KITTI mean what they say, and impossible ones are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aislewise.errors import InputError
from aislewise.geometry import camera_mount
from perception.calibration import check_rigid, from_xyz_rpy, load_calibration, parse_calibration, sized

YAML = """
camera:
  width: 640
  height: 480
  K: {fx: 400, fy: 400, cx: 320, cy: 240}
  T_base_camera: {xyz: [0.3, 0.0, 0.8], rpy: [-1.5707963267948966, 0, -1.5707963267948966]}
lidar:
  T_base_lidar: [1, 0, 0, 0.1,  0, 1, 0, 0,  0, 0, 1, 0.9,  0, 0, 0, 1]
"""
KITTI = """P0: 7.2e+02 0 6.1e+02 0 0 7.2e+02 1.7e+02 0 0 0 1 0
P2: 7.2e+02 0 6.1e+02 4.5e+01 0 7.2e+02 1.7e+02 2.2e-01 0 0 1 2.7e-03
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27
Tr_imu_to_velo: 1 0 0 -0.8 0 1 0 0.3 0 0 1 -0.8
"""
ROS = """
image_width: 320
image_height: 240
camera_matrix: {rows: 3, cols: 3, data: [200, 0, 160, 0, 200, 120, 0, 0, 1]}
T_base_camera: {xyz: [0, 0, 1]}
"""


def test_yaml_states_camera_and_lidar() -> None:
    calibration = parse_calibration(YAML)
    assert calibration.camera is not None
    assert np.allclose(calibration.camera.T_base_camera, camera_mount(0.3, 0.8, 0.0), atol=1e-9)
    assert np.allclose(calibration.camera.K, [[400, 0, 320], [0, 400, 240], [0, 0, 1]])
    assert calibration.stated
    assert calibration.T_base_lidar[2, 3] == 0.9


def test_ros_camera_info_yaml_reads() -> None:
    camera = parse_calibration(ROS).camera
    assert camera is not None
    assert (camera.width, camera.height, camera.K[0, 0]) == (320, 240, 200)


def test_kitti_projects_a_lidar_point_like_its_own_formula() -> None:
    calibration = parse_calibration(KITTI, lidar_height_m=1.73)
    camera = calibration.camera
    assert camera is not None
    assert not calibration.stated
    point = np.array([12.0, 1.0, -0.5, 1.0])
    P2 = np.array([[720, 0, 610, 45], [0, 720, 170, 0.22], [0, 0, 1, 0.0027]])
    velo = np.array([[0, -1, 0, 0], [0, 0, -1, -0.08], [1, 0, 0, -0.27], [0, 0, 0, 1]])
    expected = P2 @ velo @ point
    ours = camera.K @ (np.linalg.inv(camera.T_base_camera) @ calibration.T_base_lidar @ point)[:3]
    assert np.allclose(ours[:2] / ours[2], expected[:2] / expected[2], atol=1e-6)


def test_a_camera_takes_images_of_its_own_size_only() -> None:
    kitti, stated = parse_calibration(KITTI).camera, parse_calibration(YAML).camera
    assert kitti is not None and stated is not None
    assert sized(kitti, 1242, 375).width == 1242
    with pytest.raises(InputError, match=r"image\.width"):
        sized(stated, 320, 240)


@given(*[st.floats(-3, 3)] * 3)
def test_rpy_gives_a_rigid_transform_and_yaw_alone_turns_about_z(roll: float, pitch: float, yaw: float) -> None:
    T = check_rigid("T", from_xyz_rpy((1, 2, 3), (roll, pitch, yaw)))
    assert np.allclose(T[:3, 3], (1, 2, 3))
    flat = from_xyz_rpy((0, 0, 0), (0, 0, yaw))
    assert np.allclose(flat[:3, 0], (np.cos(yaw), np.sin(yaw), 0))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "calib"),
        ("[1, 2]", "calib"),
        ("a: [", "calib"),
        ("camera: 3", "camera"),
        ("camera: {K: [1, 2]}", "camera.K"),
        (YAML.replace("fx: 400", "fx: -400"), "camera.K"),
        (YAML.replace("cx: 320", "cx: 900"), "camera.K"),
        (YAML.replace("cx: 320, ", ""), "camera.K.cx"),
        (YAML.replace("width: 640", "width: wide"), "camera.width"),
        (YAML.replace("T_base_camera", "mount"), "camera.T_base_camera"),
        (YAML.replace("rpy: [-1.57", "rpy: [.nan, -1.57"), "camera.T_base_camera.rpy"),
        (YAML.replace("[1, 0, 0, 0.1", "[2, 0, 0, 0.1"), "lidar.T_base_lidar"),
        (YAML.replace("[1, 0, 0, 0.1", "[-1, 0, 0, 0.1"), "lidar.T_base_lidar"),
        (YAML.replace("0.9,", "900,"), "lidar.T_base_lidar"),
        (KITTI.replace("R0_rect", "R1"), "calib.R0_rect"),
        (KITTI.replace("-0.27", "forward"), "calib.Tr_velo_to_cam"),
    ],
)
def test_bad_calibrations_are_refused_by_field(text: str, field: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_calibration(text)
    assert caught.value.field == field


def test_a_calibration_file_that_cannot_be_read_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00" * 50)
    (tmp_path / "huge.yaml").write_bytes(b"a" * 300_000)
    for name in ("missing.yaml", "binary.yaml", "huge.yaml"):
        with pytest.raises(InputError, match="calib"):
            load_calibration(tmp_path / name)
