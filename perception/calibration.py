"""Where sensors sit and how a camera projects: read from YAML or KITTI text, and checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import ArrayLike

from aislewise.errors import InputError
from aislewise.types import F64, CameraModel

MAX_BYTES = 200_000
MAX_LEVER_M = 20.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """T_base_lidar: (4, 4) float64. camera is None when the file describes no camera. Its width and
    height are 0 where the format does not say them (KITTI). stated: T_base_lidar is the file's own and
    not put under the lidar."""

    T_base_lidar: F64
    camera: CameraModel | None = None
    stated: bool = False


def load_calibration(path: Path | str, lidar_height_m: float = 0.0) -> Calibration:
    """Reads a calibration file of either format. Raises InputError naming the field."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError("calib", f"{path.stat().st_size} bytes", MAX_BYTES)
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("calib", f"cannot read {path.name}: {error}") from error
    return parse_calibration(text, lidar_height_m)


def parse_calibration(text: str, lidar_height_m: float = 0.0) -> Calibration:
    """YAML with `camera` and `lidar`, a ROS camera_info YAML, or KITTI object or raw text.

    YAML:  camera: {width, height, K: [9 numbers] or {fx, fy, cx, cy}, T_base_camera: TRANSFORM}
           lidar: {T_base_lidar: TRANSFORM}
    TRANSFORM is 16 numbers row by row, or {xyz: [3], rpy: [3]} (m, rad; fixed-axis X-Y-Z as in
    URDF). KITTI states only camera and lidar: base_link is then put under the lidar on the floor,
    lidar_height_m below it. So it is for YAML without `lidar`.
    """
    if _is_kitti(text):
        return _kitti(text, lidar_height_m)
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError("calib", f"neither YAML nor KITTI text: {error}".split("\n")[0]) from error
    if not isinstance(data, dict):
        raise InputError("calib", "must be a mapping")
    if "camera_matrix" in data:
        data = {"camera": data}
    camera = _camera(data["camera"]) if "camera" in data else None
    if "lidar" in data:
        T_base_lidar = _transform("lidar.T_base_lidar", _get(data["lidar"], "T_base_lidar", "lidar"))
    else:
        T_base_lidar = _lifted(lidar_height_m)
    return Calibration(T_base_lidar, camera, stated="lidar" in data)


def sized(camera: CameraModel, width: int, height: int) -> CameraModel:
    """The camera for images of that size: fills a size the file did not state, refuses another."""
    if camera.width and (camera.width, camera.height) != (width, height):
        limit = f"{camera.width} x {camera.height} of the calibration"
        raise InputError("image.width", f"{width} x {height}", limit)
    check_intrinsics(camera.K, width, height)
    return CameraModel(width, height, camera.K, camera.T_base_camera)


def check_intrinsics(K: ArrayLike, width: int = 0, height: int = 0) -> F64:
    """(3, 3) float64 pinhole matrix; the principal point must lie in the image where a size is given."""
    matrix = _numbers("camera.K", K, (3, 3))
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0 or not np.allclose(matrix[2], (0, 0, 1)):
        raise InputError("camera.K", "no pinhole matrix", "fx, fy > 0, last row 0 0 1")
    cx, cy = matrix[0, 2], matrix[1, 2]
    if width and not (0 < cx < width and 0 < cy < height):
        raise InputError("camera.K", f"principal point ({cx:.1f}, {cy:.1f})", f"{width} x {height}")
    return matrix


def check_rigid(field: str, T: ArrayLike) -> F64:
    """(4, 4) float64 rigid transform with a lever arm a robot can have."""
    matrix = _numbers(field, T, (4, 4))
    R = matrix[:3, :3]
    if not np.allclose(R @ R.T, np.eye(3), atol=1e-2) or np.linalg.det(R) < 0:
        raise InputError(field, "rotation is not orthonormal and right-handed")
    if not np.allclose(matrix[3], (0, 0, 0, 1)):
        raise InputError(field, "last row", "0 0 0 1")
    if np.linalg.norm(matrix[:3, 3]) > MAX_LEVER_M:
        raise InputError(field, f"translation {np.linalg.norm(matrix[:3, 3]):.1f} m", MAX_LEVER_M)
    return matrix


def from_xyz_rpy(xyz: ArrayLike, rpy: ArrayLike, field: str = "transform") -> F64:
    """(4, 4) from metres and fixed-axis roll, pitch, yaw (URDF, REP-103)."""
    x, y, z = _numbers(f"{field}.xyz", xyz, (3,))
    roll, pitch, yaw = _numbers(f"{field}.rpy", rpy, (3,))
    cr, sr, cp, sp = math.cos(roll), math.sin(roll), math.cos(pitch), math.sin(pitch)
    cy, sy = math.cos(yaw), math.sin(yaw)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr, x],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr, y],
            [-sp, cp * sr, cp * cr, z],
            [0, 0, 0, 1],
        ]
    )


def _camera(data: Any) -> CameraModel:
    if not isinstance(data, dict):
        raise InputError("camera", "must be a mapping")
    width = _size(data.get("width", data.get("image_width", 0)), "camera.width")
    height = _size(data.get("height", data.get("image_height", 0)), "camera.height")
    if "camera_matrix" in data:
        K: Any = _get(data["camera_matrix"], "data", "camera.camera_matrix")
    else:
        K = _get(data, "K", "camera")
    if isinstance(K, dict):
        fx, fy, cx, cy = (_get(K, key, "camera.K") for key in ("fx", "fy", "cx", "cy"))
        K = [fx, 0, cx, 0, fy, cy, 0, 0, 1]
    matrix = check_intrinsics(_numbers("camera.K", K, (3, 3)), width, height)
    T = _transform("camera.T_base_camera", _get(data, "T_base_camera", "camera"))
    return CameraModel(width, height, matrix, T)


def _transform(field: str, value: Any) -> F64:
    if isinstance(value, dict):
        xyz, rpy = _get(value, "xyz", field), value.get("rpy", (0.0, 0.0, 0.0))
        return check_rigid(field, from_xyz_rpy(xyz, rpy, field))
    return check_rigid(field, _numbers(field, value, (4, 4)))


def _is_kitti(text: str) -> bool:
    return any(line.startswith(("P2:", "P_rect_02:")) for line in text.splitlines())


def _kitti(text: str, lidar_height_m: float) -> Calibration:
    """KITTI object benchmark: P2 (3x4), R0_rect (3x3), Tr_velo_to_cam (3x4); Geiger et al. 2012.

    Points go lidar -> rectified camera 0 by R0 * Tr; P2 = K [I | t] shifts on to colour camera 2.
    """
    rows: dict[str, str] = {}
    for line in text.splitlines():
        key, _, values = line.partition(":")
        rows[key.strip()] = values
    P = _kitti_row(rows, ("P2", "P_rect_02"), (3, 4))
    R0 = np.eye(4)
    R0[:3, :3] = _kitti_row(rows, ("R0_rect", "R_rect", "R_rect_00"), (3, 3))
    velo = np.eye(4)
    velo[:3] = _kitti_row(rows, ("Tr_velo_to_cam", "Tr_velo_cam", "Tr"), (3, 4))
    K = check_intrinsics(P[:, :3])
    shift = np.eye(4)
    shift[:3, 3] = np.linalg.solve(K, P[:, 3])
    T_camera_lidar = check_rigid("calib.Tr_velo_to_cam", shift @ R0 @ velo)
    T_base_lidar = _lifted(lidar_height_m)
    return Calibration(T_base_lidar, CameraModel(0, 0, K, T_base_lidar @ np.linalg.inv(T_camera_lidar)))


def _kitti_row(rows: dict[str, str], names: tuple[str, ...], shape: tuple[int, ...]) -> F64:
    for name in names:
        if name in rows:
            return _numbers(f"calib.{name}", rows[name].split(), shape)
    raise InputError(f"calib.{names[0]}", "is missing")


def _lifted(height_m: float) -> F64:
    T = np.eye(4)
    T[2, 3] = height_m
    return check_rigid("lidar.height", T)


def _get(data: Any, key: str, where: str) -> Any:
    if not isinstance(data, dict) or key not in data:
        raise InputError(f"{where}.{key}", "is missing")
    return data[key]


def _size(value: Any, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65536:
        raise InputError(field, f"{value!r:.40}", "whole number 0 to 65536")
    return value


def _numbers(field: str, value: Any, shape: tuple[int, ...]) -> F64:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(field, "is not numeric") from error
    if array.size != math.prod(shape) or not np.isfinite(array).all():
        raise InputError(field, f"{array.size} values", f"{math.prod(shape)} finite numbers")
    return array.reshape(shape)
