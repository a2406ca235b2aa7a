"""Footprint geometry against brute force."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.geometry import rectangle, transform_xy
from aislewise.types import Pose2D
from sim.geometry2d import convex_overlap, disc, distance_to_rectangle, gap_in_corridor, inside_polygon

COORD, YAW, SIDE = st.floats(-3, 3), st.floats(-3.2, 3.2), st.floats(0.1, 2.0)
POSES = st.builds(Pose2D, COORD, COORD, YAW)


@settings(max_examples=200, deadline=None)
@given(POSES, SIDE, SIDE, POSES, st.floats(0.1, 0.6))
def test_corridor_gap_is_where_a_sampled_outline_first_enters(box: Pose2D, a: float, b: float, view: Pose2D, half: float) -> None:
    outline = rectangle(box, a, b)
    gap = gap_in_corridor(outline, view, half)
    corner = np.linspace(0, 1, 400)[:, None]
    edges = np.concatenate([p + corner * (q - p) for p, q in zip(outline, np.roll(outline, -1, 0), strict=True)])
    c, s = math.cos(view.yaw_rad), math.sin(view.yaw_rad)
    d = edges - (view.x_m, view.y_m)
    x, y = d[:, 0] * c + d[:, 1] * s, d[:, 1] * c - d[:, 0] * s
    inside = np.abs(y) <= half
    if not inside.any() or x.max() <= 0:
        return
    if math.isfinite(gap):
        assert abs(gap - max(0.0, float(x[inside].min()))) < 0.03


@settings(max_examples=200, deadline=None)
@given(POSES, SIDE, SIDE, COORD, COORD)
def test_distance_to_a_rectangle_is_zero_exactly_inside(box: Pose2D, a: float, b: float, x: float, y: float) -> None:
    distance = distance_to_rectangle(x, y, box, -a / 2, a / 2, b / 2)
    inside = bool(inside_polygon(rectangle(box, a, b), np.array([[x, y]]))[0])
    assert (distance == 0.0) == inside or distance < 1e-9


@settings(max_examples=100, deadline=None)
@given(POSES, SIDE, SIDE, COORD, COORD, st.floats(0.1, 0.5))
def test_a_disc_overlaps_what_is_nearer_than_its_radius(box: Pose2D, a: float, b: float, x: float, y: float, r: float) -> None:
    distance = distance_to_rectangle(x, y, box, -a / 2, a / 2, b / 2)
    overlap = convex_overlap(disc(x, y, r), rectangle(box, a, b))
    if distance < r - 1e-6:
        assert overlap
    if distance > r * 1.1:
        assert not overlap


def test_transform_and_rectangle_agree() -> None:
    pose = Pose2D(1.0, 2.0, 0.3)
    assert np.allclose(rectangle(pose, 2.0, 1.0)[0], transform_xy(pose, np.array([1.0, 0.5])))
