"""The packaged network at work: it finds what is there, does without either sensor, and refuses garbage."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aislewise.errors import InputError
from aislewise.types import Pose2D, SensorFrame
from fusion.evaluate import detection_map
from fusion.infer import Detector, PhraseEncoder
from sim.dataset import Sample, generate


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(generate(seed=777, count=8))


def test_it_has_at_most_three_million_parameters() -> None:
    pytest.importorskip("torch")
    from fusion.model import AislewiseNet

    assert sum(p.numel() for p in AislewiseNet().parameters()) <= 3_000_000


def test_it_finds_most_of_what_is_there_on_worlds_it_never_saw(detector: Detector, samples: list[Sample]) -> None:
    found = [detector.detect(s.frame) for s in samples]
    assert detection_map(found, [s.objects for s in samples]) > 0.5
    assert detection_map(found, [s.objects for s in samples[1:] + samples[:1]]) < 0.2


@pytest.mark.parametrize("gone", ["image", "points"])
def test_a_missing_sensor_is_a_normal_frame(detector: Detector, samples: list[Sample], gone: str) -> None:
    found = [detector.detect(dataclasses.replace(s.frame, **{gone: None})) for s in samples]
    assert sum(map(len, found)) > 0
    assert all(np.isfinite(d.position).all() and np.isfinite(d.size).all() for f in found for d in f)


def test_no_sensor_at_all_finds_nothing(detector: Detector) -> None:
    assert detector.detect(SensorFrame("r", 0, Pose2D(0.0, 0.0, 0.0))) == ()


def test_points_that_are_not_finite_change_nothing(detector: Detector, samples: list[Sample]) -> None:
    frame = samples[0].frame
    garbage = np.full((500, 4), np.nan, np.float32)
    garbage[::2] = np.inf
    dirty = dataclasses.replace(frame, points=np.concatenate([frame.points, garbage]))
    clean, found = detector.detect(frame), detector.detect(dirty)
    assert [d.cls for d in found] == [d.cls for d in clean]
    assert np.allclose([d.position for d in found], [d.position for d in clean], atol=1e-4)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"image": np.zeros((10, 10, 3), np.uint8)}, "image"),
        ({"image": np.zeros((240, 320, 3), np.float32)}, "image"),
        ({"camera": None}, "camera"),
        ({"points": np.zeros((5, 3), np.float32)}, "points"),
        ({"points": np.zeros((5, 4), np.int32)}, "points"),
    ],
)
def test_a_malformed_sensor_names_its_field(
    detector: Detector, samples: list[Sample], change: dict[str, object], field: str
) -> None:
    with pytest.raises(InputError) as error:
        detector.detect(dataclasses.replace(samples[0].frame, **change))  # type: ignore[arg-type]
    assert error.value.field == field


def test_broken_weights_are_a_typed_error(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "detect.onnx").write_bytes(b"no network")
    with pytest.raises(InputError, match="weights"):
        Detector(tmp_path)


def test_words_of_one_meaning_lie_closer_than_those_of_another() -> None:
    encoder = PhraseEncoder()
    blue, azure, red = (encoder.encode(text)[2] for text in ("the blue tote", "blue tote", "the red pallet"))
    assert blue @ azure > blue @ red
