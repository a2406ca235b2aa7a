"""The trained network at work, on ONNX Runtime: frames -> detections, words -> meaning. No torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from aislewise.errors import InputError
from aislewise.types import F32, U8, CameraModel, Detection, SensorFrame
from fusion.grid import HEADS, IMAGE_HW, YAW_FOLD, BevConfig, head_centres, model_inputs
from fusion.phrases import decode as decode_text
from fusion.phrases import encode as encode_text

WEIGHTS = Path(__file__).parent / "weights"
INPUTS = ("image", "grid", "seen", "points", "cells", "present")
MAX_POINTS = 2_000_000
MAX_CANDIDATES = 512
MAX_OBJECTS = 96
APART_M = np.array([0.35, 0.9, 0.55, 0.3, 0.4, 0.3, 0.6])
"""Two centres of one class nearer than this (per ObjectClass) are one object seen twice."""
SAME_PLACE_M = 0.2
"""Centres nearer than this are one object whatever their classes."""


class Detector:
    """The multimodal network for one thread of callers; a missing sensor is a normal input."""

    def __init__(
        self, path: str | Path | None = None, threads: int = 1, score_threshold: float = 0.3
    ) -> None:
        """path: an ONNX file or a folder with detect.onnx; None: the packaged weights."""
        if not 0.0 < score_threshold < 1.0:
            raise InputError("score_threshold", f"{score_threshold}", "(0, 1)")
        self.score_threshold = score_threshold
        self._session = open_session(path, "detect.onnx", threads)
        meta = self._session.get_modelmeta().custom_metadata_map
        values = json.loads(meta["bev"]) if "bev" in meta else {}
        if "lift_heights_m" in values:
            values["lift_heights_m"] = tuple(values["lift_heights_m"])
        self.config = BevConfig(**values)

    @classmethod
    def default(cls) -> Detector:
        return cls()

    def detect(self, frame: SensorFrame) -> tuple[Detection, ...]:
        """Objects in base_link, best first. Empty when both sensors are missing.

        Raises InputError naming image, camera or points when one is present but malformed.
        """
        image, camera = check_image(frame.image, frame.camera)
        points = check_points(frame.points)
        if image is None and points is None:
            return ()
        inputs = model_inputs(image, camera, points, self.config)
        feed = dict(zip(INPUTS, inputs, strict=True))
        for name in ("image", "grid", "seen", "present"):
            feed[name] = feed[name][None]
        maps = self._session.run(None, feed)[0]
        return decode(maps, self.config, self.score_threshold)


class PhraseEncoder:
    """The network's text tower; fits `perception.language`'s Tagger."""

    def __init__(self, path: str | Path | None = None, threads: int = 1) -> None:
        self._session = open_session(path, "text.onnx", threads)

    def encode(self, text: str) -> tuple[F32, tuple[str, ...], F32]:
        """Intent probabilities, one tag per word, (32,) unit embedding of the text as a phrase."""
        ids = encode_text(text)
        if not ids.any():
            raise InputError("text", "holds no words", "at least one word")
        intent, tags, embedding = self._session.run(None, {"ids": ids[None]})
        return decode_text(text, intent[0], tags[0], embedding[0])


def open_session(path: str | Path | None, name: str, threads: int) -> ort.InferenceSession:
    """path: the file itself or the folder that holds `name`. Raises InputError("weights")."""
    if not 1 <= threads <= 64:
        raise InputError("threads", f"{threads}", "1 to 64")
    file = WEIGHTS if path is None else Path(path)
    file = file / name if file.is_dir() else file
    if not file.is_file():
        raise InputError("weights", f"{file} does not exist")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises many unrelated types for a broken file
        raise InputError("weights", f"{file} is no usable ONNX file: {error}") from error


def check_image(
    image: U8 | None, camera: CameraModel | None
) -> tuple[U8 | None, CameraModel | None]:
    """The image in the network's size with its camera, or (None, None)."""
    if image is None:
        return None, None
    if camera is None:
        raise InputError("camera", "missing for the image")
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise InputError("image", f"dtype {getattr(image, 'dtype', type(image).__name__)}", "uint8")
    if image.shape != (camera.height, camera.width, 3):
        raise InputError("image", f"shape {image.shape}", (camera.height, camera.width, 3))
    for name, array, shape in (("K", camera.K, (3, 3)), ("T_base_camera", camera.T_base_camera, (4, 4))):
        if np.shape(array) != shape or not np.isfinite(array).all():
            raise InputError(f"camera.{name}", f"shape {np.shape(array)}", f"finite {shape}")
    if image.shape[:2] != IMAGE_HW:
        # The sampling grid is in normalised coordinates, so the camera model stays as it is.
        from PIL import Image

        size = (IMAGE_HW[1], IMAGE_HW[0])
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    return image, camera


def check_points(points: F32 | None) -> F32 | None:
    if points is None:
        return None
    if not isinstance(points, np.ndarray) or points.ndim != 2 or points.shape[1] != 4:
        raise InputError("points", f"shape {np.shape(points)}", "(N, 4)")
    if not np.issubdtype(points.dtype, np.floating):
        raise InputError("points", f"dtype {points.dtype}", "float32")
    if len(points) > MAX_POINTS:
        raise InputError("points", f"{len(points)} points", MAX_POINTS)
    return points


def decode(maps: F32, config: BevConfig, threshold: float) -> tuple[Detection, ...]:
    """Output maps (57, h, w) with heat as probabilities -> detections, best first.

    Every cell above the threshold claims an object at its own decoded centre; claims at one place
    are reduced to the best (greedy, as in CenterPoint's circle NMS).
    """
    heat = maps[: HEADS["heat"]]
    score, cls = heat.max(axis=0), heat.argmax(axis=0)
    rows, columns = np.nonzero(score > threshold)
    order = np.argsort(-score[rows, columns], kind="stable")[:MAX_CANDIDATES]
    rows, columns = rows[order], columns[order]
    parts = split(maps[:, rows, columns].T)
    axis = head_centres(config)
    xy = np.stack([axis[columns], axis[rows]], axis=1) + parts["offset"] * config.head_cell_m
    keep = suppress(xy, cls[rows, columns])
    return tuple(_detection(xy[i], {k: v[i] for k, v in parts.items()}) for i in keep)


def split(values: F32) -> dict[str, F32]:
    """(M, 57) channels by the names of HEADS."""
    ends = np.cumsum(list(HEADS.values()))[:-1]
    return dict(zip(HEADS, np.split(values, ends, axis=1), strict=True))


def suppress(xy: F32, cls: Sequence[int] | np.ndarray) -> list[int]:
    """Indices that stay, best first. xy: (M, 2), cls: (M,), both sorted by falling score."""
    cls = np.asarray(cls)
    alive = np.ones(len(xy), bool)
    keep: list[int] = []
    for i in range(len(xy)):
        if not alive[i]:
            continue
        keep.append(i)
        if len(keep) == MAX_OBJECTS:
            break
        distance = np.hypot(*(xy - xy[i]).T)
        alive &= distance > np.where(cls == cls[i], APART_M[cls[i]], SAME_PLACE_M)
    return keep


def _detection(xy: F32, part: dict[str, F32]) -> Detection:
    heat = part["heat"]
    cls = int(heat.argmax())
    yaw = float(np.arctan2(part["yaw"][0], part["yaw"][1])) / int(YAW_FOLD[cls])
    colour = np.exp(part["colour"] - part["colour"].max())
    return Detection(
        class_probs=(heat / heat.sum()).astype(np.float32),
        score=float(heat[cls]),
        position=np.array([xy[0], xy[1], part["z"][0]], np.float32),
        size=np.exp(np.clip(part["size"], -4.0, 2.5)).astype(np.float32),
        yaw_rad=yaw,
        colour_probs=(colour / colour.sum()).astype(np.float32),
        attributes=(1.0 / (1.0 + np.exp(-part["attributes"]))).astype(np.float32),
        embedding=part["embedding"].astype(np.float32),
    )


