"""Planar and rigid transforms. `T_a_b` maps coordinates in frame b to frame a (REP-103, REP-105)."""

from __future__ import annotations

import math

import numpy as np

from aislewise.errors import InputError
from aislewise.types import F64, Pose2D


def wrap_angle(angle_rad: float) -> float:
    """Angle in (-pi, pi]."""
    return -((-angle_rad + math.pi) % (2.0 * math.pi) - math.pi)


def compose(T_a_b: Pose2D, T_b_c: Pose2D) -> Pose2D:
    c, s = math.cos(T_a_b.yaw_rad), math.sin(T_a_b.yaw_rad)
    return Pose2D(
        T_a_b.x_m + c * T_b_c.x_m - s * T_b_c.y_m,
        T_a_b.y_m + s * T_b_c.x_m + c * T_b_c.y_m,
        wrap_angle(T_a_b.yaw_rad + T_b_c.yaw_rad),
    )


def inverse(T_a_b: Pose2D) -> Pose2D:
    c, s = math.cos(T_a_b.yaw_rad), math.sin(T_a_b.yaw_rad)
    return Pose2D(
        -c * T_a_b.x_m - s * T_a_b.y_m, s * T_a_b.x_m - c * T_a_b.y_m, wrap_angle(-T_a_b.yaw_rad)
    )


def transform_xy(T_a_b: Pose2D, xy: F64) -> F64:
    """xy: (..., 2) in frame b; returns the same points in frame a."""
    c, s = math.cos(T_a_b.yaw_rad), math.sin(T_a_b.yaw_rad)
    out = np.empty(np.shape(xy), np.float64)
    out[..., 0] = T_a_b.x_m + c * xy[..., 0] - s * xy[..., 1]
    out[..., 1] = T_a_b.y_m + s * xy[..., 0] + c * xy[..., 1]
    return out


def matrix(pose: Pose2D, z_m: float = 0.0) -> F64:
    """(4, 4) homogeneous matrix of a planar pose lifted to height z_m."""
    c, s = math.cos(pose.yaw_rad), math.sin(pose.yaw_rad)
    return np.array(
        [[c, -s, 0, pose.x_m], [s, c, 0, pose.y_m], [0, 0, 1, z_m], [0, 0, 0, 1]], np.float64
    )


def camera_mount(x_m: float, z_m: float, pitch_down_rad: float, y_m: float = 0.0) -> F64:
    """(4, 4) T_base_camera of a forward camera: optical frame z forward, x right, y down (REP-103)."""
    c, s = math.cos(pitch_down_rad), math.sin(pitch_down_rad)
    out = np.eye(4)
    out[:3, :3] = np.array([[0, -s, c], [-1, 0, 0], [0, -c, -s]])
    out[:3, 3] = (x_m, y_m, z_m)
    return out


def intrinsics(width: int, height: int, hfov_rad: float) -> F64:
    """(3, 3) K of an ideal pinhole camera with square pixels."""
    f = width / 2.0 / math.tan(hfov_rad / 2.0)
    return np.array([[f, 0, width / 2.0], [0, f, height / 2.0], [0, 0, 1]], np.float64)


def rectangle(pose: Pose2D, length_m: float, width_m: float) -> F64:
    """(4, 2) corners of a rectangle centred on pose, counter-clockwise."""
    hx, hy = length_m / 2.0, width_m / 2.0
    return transform_xy(pose, np.array([[hx, hy], [-hx, hy], [-hx, -hy], [hx, -hy]]))


def rectangles_overlap(a: F64, b: F64) -> bool:
    """Whether two convex quadrilaterals (4, 2) overlap, by the separating axis theorem."""
    for quad in (a, b):
        edges = np.roll(quad, -1, axis=0) - quad
        for normal in np.stack([-edges[:, 1], edges[:, 0]], axis=1):
            pa, pb = a @ normal, b @ normal
            if pa.max() <= pb.min() or pb.max() <= pa.min():
                return False
    return True


def distort(xy: F64, model: str, d: F64) -> F64:
    """Where a lens puts the ideal image points xy (..., 2), in units of the focal length.

    model and d as in sensor_msgs/CameraInfo: "plumb_bob" k1 k2 p1 p2 [k3] (Brown 1966, Conrady 1919),
    "rational_polynomial" k1 k2 p1 p2 k3 k4 k5 k6, "equidistant" k1 k2 k3 k4 (Kannala and Brandt 2006). Raises
    InputError for a model or a number of coefficients that is not known."""
    if len(d) not in _COEFFICIENTS.get(model, ()):
        raise InputError("camera.distortion", f"{model!r:.40} of {len(d)} coefficients", dict(_COEFFICIENTS))
    x, y = xy[..., 0], xy[..., 1]
    r2 = x * x + y * y
    if model == "equidistant":
        r = np.sqrt(r2)
        theta = np.arctan(r)
        t2 = theta * theta
        bent = theta * (1 + t2 * (d[0] + t2 * (d[1] + t2 * (d[2] + t2 * d[3]))))
        scale = np.divide(bent, r, out=np.ones_like(r), where=r > 1e-9)
        return np.asarray(xy * scale[..., None])
    k = np.zeros(8)
    k[: len(d)] = d
    k1, k2, p1, p2, k3, k4, k5, k6 = k
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    out = np.empty(np.shape(xy), np.float64)
    out[..., 0] = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    out[..., 1] = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return out


def undistort(xy: F64, model: str, d: F64, tolerance: float = 1e-4) -> F64:
    """The ideal image points that `distort` puts at xy (..., 2): a fixed point, as OpenCV's undistortPoints finds it.
    Raises InputError where there is none: that lens folds the picture over before it reaches xy."""
    ideal = np.array(xy, np.float64)
    for _ in range(50):
        ideal = np.clip(ideal + xy - distort(ideal, model, d), -10.0, 10.0)
    if not np.abs(distort(ideal, model, d) - xy).max(initial=0.0) < tolerance:
        raise InputError("camera.distortion", f"{tuple(float(v) for v in d)}", "a lens that covers its whole picture")
    return ideal


_COEFFICIENTS = {"plumb_bob": (4, 5), "rational_polynomial": (8,), "equidistant": (4,)}
