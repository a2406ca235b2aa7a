"""Whatever image comes in, out comes the model's image with intrinsics that fit, or a typed error."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aislewise.errors import InputError
from aislewise.geometry import intrinsics
from aislewise.types import CameraModel
from perception.camera import CameraConfig, decode, field_of_view, prepare_image

RNG = np.random.default_rng(0)
K = intrinsics(640, 480, 1.4)


def picture(height: int = 480, width: int = 640) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), np.uint8)


def compressed(rgb: np.ndarray, encoding: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, encoding)
    return out.getvalue()


def test_an_image_of_the_models_size_passes_unchanged() -> None:
    rgb = picture(240, 320)
    image, scaled = prepare_image(rgb.tobytes(), "rgb8", 240, 320, intrinsics(320, 240, 1.4))
    assert np.array_equal(image, rgb)
    assert np.array_equal(scaled, intrinsics(320, 240, 1.4))


def test_bgr_and_mono_come_out_as_rgb() -> None:
    rgb = picture(240, 320)
    bgr, _ = prepare_image(rgb[..., ::-1].tobytes(), "bgr8", 240, 320, intrinsics(320, 240, 1.4))
    assert np.array_equal(bgr, rgb)
    mono, _ = prepare_image(rgb[..., 0].tobytes(), "mono8", 240, 320, intrinsics(320, 240, 1.4))
    assert np.array_equal(mono, np.repeat(rgb[..., :1], 3, axis=2))


@pytest.mark.parametrize("encoding", ["png", "jpeg", "rgb8; jpeg compressed bgr8", "PNG"])
def test_compressed_images_carry_their_own_size(encoding: str) -> None:
    smooth = np.asarray(Image.fromarray(picture(6, 8)).resize((640, 480)))
    blob = compressed(smooth, "jpeg" if "jpeg" in encoding else "png")
    image, _ = prepare_image(blob, encoding, 0, 0, K)
    expected, _ = prepare_image(smooth, "rgb8", 480, 640, K)
    assert image.shape == (240, 320, 3)
    assert np.abs(image.astype(int) - expected.astype(int)).mean() < 4


def test_row_padding_is_skipped() -> None:
    rgb = picture(240, 320)
    padded = np.zeros((240, 1000), np.uint8)
    padded[:, :960] = rgb.reshape(240, 960)
    image, _ = prepare_image(padded.tobytes(), "rgb8", 240, 320, intrinsics(320, 240, 1.4), step=1000)
    assert np.array_equal(image, rgb)


@given(st.integers(20, 900), st.integers(20, 900), st.floats(0.3, 2.5))
def test_a_point_projects_to_the_same_place_of_the_resized_image(w: int, h: int, hfov: float) -> None:
    _, scaled = prepare_image(np.zeros((h, w, 3), np.uint8), "rgb8", h, w, intrinsics(w, h, hfov))
    ray = np.array([0.1, -0.05, 1.0])
    before, after = intrinsics(w, h, hfov) @ ray, scaled @ ray
    assert np.allclose(before[:2] / (w, h), after[:2] / (320, 240))


def test_field_of_view_is_the_one_of_the_intrinsics() -> None:
    assert field_of_view(CameraModel(640, 480, K, np.eye(4))) == pytest.approx(1.4)


@pytest.mark.parametrize(
    ("data", "encoding", "height", "width", "step", "field"),
    [
        (b"", "rgb8", 240, 320, 0, "image.data"),
        (b"x" * 100, "rgb8", 240, 320, 0, "image.data"),
        (b"x" * 300, "rgb8", 10, 10, 5, "image.step"),
        (b"x", "rgb8", 0, 0, 0, "image.width"),
        (b"x", "rgb8", -3, 5, 0, "image.width"),
        (b"x", "rgb8", 100_000, 100_000, 0, "image.width"),
        (b"x" * 300, "yuv422", 10, 10, 0, "image.encoding"),
        (b"not a jpeg", "jpeg", 0, 0, 0, "image.data"),
        (compressed(picture(), "png")[:500], "png", 0, 0, 0, "image.data"),
        (compressed(picture(), "jpeg")[:5000], "jpeg", 0, 0, 0, "image.data"),
        (compressed(picture(), "png"), "jpeg", 0, 0, 0, "image.data"),
        (np.zeros((4, 4, 3), np.float32), "rgb8", 4, 4, 0, "image.data"),
        (np.zeros((4, 4, 4), np.uint8), "rgb8", 4, 4, 0, "image.data"),
        (np.zeros((2, 4, 4, 3), np.uint8), "rgb8", 4, 4, 0, "image.data"),
    ],
)
def test_bad_images_are_refused_by_field(data, encoding, height, width, step, field) -> None:
    with pytest.raises(InputError) as caught:
        prepare_image(data, encoding, height, width, np.eye(3), step=step)
    assert caught.value.field == field


def test_a_decompression_bomb_is_refused_before_it_is_unpacked() -> None:
    blob = compressed(np.zeros((3000, 3000, 3), np.uint8), "png")
    with pytest.raises(InputError) as caught:
        decode(blob, "png", 0, 0, 0, CameraConfig(max_pixels=1_000_000))
    assert caught.value.field == "image.width"


@pytest.mark.parametrize(
    "bad", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.eye(4), "words", np.diag([300, -300, 1])]
)
def test_bad_intrinsics_are_refused(bad) -> None:
    with pytest.raises(InputError, match=r"camera\.K"):
        prepare_image(picture(), "rgb8", 480, 640, bad)


@given(st.binary(max_size=400), st.sampled_from(["rgb8", "mono8", "jpeg", "png"]))
def test_no_bytes_crash_the_decoder(data: bytes, encoding: str) -> None:
    with pytest.raises(InputError):
        prepare_image(data, encoding, 240, 320, K)
