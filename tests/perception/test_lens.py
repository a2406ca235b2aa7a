"""Taking a lens's distortion out gives the picture of a pinhole, and refuses what it does not know."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aislewise.errors import InputError
from aislewise.geometry import distort, intrinsics
from perception.lens import Distortion, Undistorter

W, H = 160, 120
K = intrinsics(W, H, 1.4)
LENSES = [
    ("plumb_bob", (-0.25, 0.06, 0.002, -0.001)), ("plumb_bob", (0.1, 0.02, 0.0, 0.0, 0.003)),
    ("rational_polynomial", (0.4, 0.1, 0.001, 0.0, 0.02, 0.6, 0.2, 0.03)), ("equidistant", (0.02, -0.01, 0.001, 0.0)),
]  # fmt: skip


def _pattern(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A smooth picture (..., 3) over ideal image points."""
    return 127.5 + 120.0 * np.stack([np.sin(6 * x), np.cos(5 * y), np.sin(4 * (x + y))], axis=-1)


def _points() -> np.ndarray:
    u, v = np.meshgrid(np.arange(W) + 0.5, np.arange(H) + 0.5)
    return np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]], axis=-1)


def _invert(model: str, d: tuple[float, ...], xy: np.ndarray) -> np.ndarray:
    """Newton's method with a numerical Jacobian: independent of how anything here inverts a lens."""
    out, eps = xy.copy(), 1e-6
    for _ in range(30):
        here = distort(out, model, np.array(d))
        dx = (distort(out + [eps, 0.0], model, np.array(d)) - here) / eps
        dy = (distort(out + [0.0, eps], model, np.array(d)) - here) / eps
        J = np.stack([dx, dy], axis=-1)
        out = out - np.linalg.solve(J, (here - xy)[..., None])[..., 0]
    return out


@pytest.mark.parametrize(("model", "d"), LENSES)
def test_an_undistorted_picture_is_that_of_a_pinhole(model: str, d: tuple[float, ...]) -> None:
    taken = np.rint(_pattern(*np.moveaxis(_invert(model, d, _points()), -1, 0))).astype(np.uint8)
    lens = Distortion.of(model, d)
    assert lens is not None
    out = Undistorter(lens, K, W, H)(taken).astype(float)
    ideal = _pattern(*np.moveaxis(_points(), -1, 0))
    middle = np.s_[15:-15, 20:-20]
    before = np.abs(taken[middle] - ideal[middle]).mean()
    after = np.abs(out[middle] - ideal[middle]).mean()
    assert before > 3.0 and after < before / 4


def test_what_the_lens_did_not_see_is_black() -> None:
    lens = Distortion.of("plumb_bob", (0.4, 0.0, 0.0, 0.0))
    assert lens is not None
    out = Undistorter(lens, K, W, H)(np.full((H, W, 3), 200, np.uint8))
    assert (out[0, 0] == 0).all() and (out[H // 2, W // 2] == 200).all()


@given(st.floats(-0.3, 0.3), st.floats(-0.05, 0.05), st.floats(-0.01, 0.01), st.floats(-0.01, 0.01))
def test_the_middle_of_a_picture_stays_where_it_is(k1: float, k2: float, p1: float, p2: float) -> None:
    assert np.array_equal(distort(np.zeros((1, 2)), "plumb_bob", np.array([k1, k2, p1, p2])), np.zeros((1, 2)))


def test_no_coefficients_mean_nothing_to_do() -> None:
    assert Distortion.of("", []) is None
    assert Distortion.of("plumb_bob", [0.0] * 5) is None


@pytest.mark.parametrize(("model", "d"), [("omni", (0.1,) * 4), ("plumb_bob", (0.1,) * 3), ("plumb_bob", (np.nan,) * 5)])
def test_an_unknown_lens_is_refused_by_name(model: str, d: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"camera\.distortion"):
        Distortion.of(model, d)
