"""Raw images in, validated model images out: (240, 320, 3) uint8 RGB with matching intrinsics.

Encodings are those of sensor_msgs/Image (rgb8, bgr8, mono8) and sensor_msgs/CompressedImage (jpeg,
png; ROS writes "rgb8; jpeg compressed bgr8", which is understood).
"""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from aislewise.errors import InputError
from aislewise.types import F64, U8, CameraModel
from perception.calibration import check_intrinsics

CHANNELS = {"rgb8": 3, "bgr8": 3, "mono8": 1}
COMPRESSED = ("jpeg", "png")

Data = bytes | bytearray | memoryview | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """Size of the model's image, and the largest raw image accepted."""

    width: int = 320
    height: int = 240
    max_pixels: int = 16_000_000
    max_bytes: int = 64_000_000

    def __post_init__(self) -> None:
        if not 16 <= self.width <= 4096 or not 16 <= self.height <= 4096:
            raise InputError("camera.width", f"{self.width} x {self.height}", "16 to 4096")
        if self.max_pixels < self.width * self.height or self.max_bytes < 1024:
            raise InputError("camera.max_pixels", "smaller than the model's image")


def prepare_image(
    data: Data,
    encoding: str,
    height: int,
    width: int,
    K: ArrayLike,
    *,
    step: int = 0,
    config: CameraConfig | None = None,
) -> tuple[U8, F64]:
    """Decodes, resizes and scales the intrinsics along: the model's image and its (3, 3) K.

    data: bytes, or a uint8 array (H, W, C), (H, W) or flat. height, width and step (bytes a row,
    0 = packed) describe raw bytes; compressed images and shaped arrays carry their own size.
    K: (3, 3) for the raw size, in pixels with (0, 0) the outer corner of the first pixel, as
    `aislewise.geometry.intrinsics` (cv's half-pixel shift is below what a resize resolves).
    Raises InputError naming the field: image.data, image.encoding, image.width, camera.K, ...
    """
    config = config or CameraConfig()
    rgb = decode(data, encoding, height, width, step, config)
    height, width = rgb.shape[:2]
    scaled = check_intrinsics(K, width, height)
    if (width, height) != (config.width, config.height):
        resized = Image.fromarray(rgb).resize(
            (config.width, config.height), Image.Resampling.BILINEAR, reducing_gap=2.0
        )
        rgb = np.asarray(resized)
        scaled[0] *= config.width / width
        scaled[1] *= config.height / height
    return rgb, scaled


def decode(
    data: Data, encoding: str, height: int, width: int, step: int, config: CameraConfig
) -> U8:
    """(H, W, 3) uint8 RGB of a raw or compressed image, after all size checks."""
    encoding = _encoding(encoding)
    if encoding in COMPRESSED:
        return _decompress(data, encoding, config)
    channels = CHANNELS[encoding]
    pixels = _pixels(data, channels, height, width, step, config)
    if channels == 1:
        return np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels[..., ::-1] if encoding == "bgr8" else pixels)


def _encoding(text: str) -> str:
    """Plain encoding name, also from ROS's compressed "bgr8; jpeg compressed bgr8"."""
    name = str(text).strip().lower()
    if name in CHANNELS:
        return name
    for part in name.replace("jpg", "jpeg").replace(";", " ").split():
        if part in COMPRESSED:
            return part
    raise InputError("image.encoding", f"{text!r:.60}", (*CHANNELS, *COMPRESSED))


def _pixels(
    data: Data, channels: int, height: int, width: int, step: int, config: CameraConfig
) -> U8:
    """(H, W, channels) view of uncompressed data."""
    if isinstance(data, np.ndarray):
        if data.dtype != np.uint8:
            raise InputError("image.data", f"dtype {data.dtype}", "uint8")
        array = data[..., None] if data.ndim == 2 and channels == 1 else data
        if array.ndim == 3:
            _check_size(array.shape[1], array.shape[0], config)
            if array.shape[2] != channels:
                raise InputError("image.data", f"{array.shape[2]} channels", channels)
            return array
        if array.ndim != 1:
            raise InputError("image.data", f"shape {array.shape}", f"(H, W, {channels})")
        flat = array
    else:
        flat = np.frombuffer(data, np.uint8)
    _check_size(width, height, config)
    row = width * channels
    step = step or row
    if step < row:
        raise InputError("image.step", f"{step} bytes", f"at least {row}")
    if flat.size != step * height:
        raise InputError("image.data", f"{flat.size} bytes", f"{step * height} expected")
    return flat.reshape(height, step)[:, :row].reshape(height, width, channels)


def _check_size(width: int, height: int, config: CameraConfig) -> None:
    if width <= 0 or height <= 0:
        raise InputError("image.width", f"{width} x {height}", "at least 1 x 1")
    if width * height > config.max_pixels:
        raise InputError("image.width", f"{width} x {height}", f"{config.max_pixels} pixels")


def _decompress(data: Data, encoding: str, config: CameraConfig) -> U8:
    blob = data.tobytes() if isinstance(data, np.ndarray) else bytes(data)
    if len(blob) > config.max_bytes:
        raise InputError("image.data", f"{len(blob)} bytes", config.max_bytes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(blob), formats=(encoding,)) as image:
                _check_size(*image.size, config)
                return np.asarray(image.convert("RGB"))
    except InputError:
        raise
    except Exception as error:  # pillow raises OSError, SyntaxError, ValueError, struct.error, ...
        raise InputError("image.data", f"not a readable {encoding}: {error}") from error


def field_of_view(camera: CameraModel) -> float:
    """Horizontal field of view, rad."""
    fx, cx = camera.K[0, 0], camera.K[0, 2]
    return math.atan(cx / fx) + math.atan((camera.width - cx) / fx)
