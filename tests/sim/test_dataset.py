"""Labelled frames must be repeatable, true to the sensors, rich, and survive the disk."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from aislewise.errors import InputError
from aislewise.geometry import inverse, transform_xy
from aislewise.types import ObjectClass, Pose2D
from sim.dataset import HALF_SIDE_M, Sample, generate, read_shards, write_shards


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(generate(11, 40))


def test_the_same_seed_gives_the_same_frames_from_any_start(samples: list[Sample]) -> None:
    again = next(generate(11, 1, start=7))
    assert np.array_equal(again.frame.points, samples[7].frame.points)
    assert np.array_equal(again.frame.image, samples[7].frame.image)
    assert not np.array_equal(next(generate(12, 1)).frame.image, samples[0].frame.image)


def test_frames_have_the_shapes_of_the_spine(samples: list[Sample]) -> None:
    for sample in samples:
        frame = sample.frame
        assert frame.image is not None and frame.image.shape == (240, 320, 3) and frame.image.dtype == np.uint8
        assert frame.points is not None and frame.points.dtype == np.float32 and frame.points.shape[1] == 4
        assert np.isfinite(frame.points).all()
        floor = frame.points[np.abs(frame.points[:, 2]) < 0.1, 2]
        assert len(floor) == 0 or abs(float(np.median(floor))) < 0.02


def test_labels_lie_where_the_lidar_has_points(samples: list[Sample]) -> None:
    for sample in samples:
        for o in sample.objects:
            assert np.abs(o.position[:2]).max() <= HALF_SIDE_M
            if o.lidar_points < 20 or o.cls == ObjectClass.WET_FLOOR:
                continue
            box = Pose2D(float(o.position[0]), float(o.position[1]), o.yaw)
            xy = transform_xy(inverse(box), sample.frame.points[:, :2].astype(np.float64))
            z = sample.frame.points[:, 2] - o.position[2]
            inside = (np.abs(xy) < o.size[:2] / 2 + 0.12).all(axis=1) & (np.abs(z) < o.size[2] / 2 + 0.15)
            assert inside.sum() >= 0.8 * o.lidar_points, (o.cls, o.lidar_points, inside.sum())


def test_every_class_colour_and_attribute_is_well_represented(samples: list[Sample]) -> None:
    objects = [o for s in samples for o in s.objects]
    classes = Counter(o.cls for o in objects)
    assert set(classes) == set(ObjectClass) and min(classes.values()) >= 15
    assert 5 <= len(objects) / len(samples) <= 20
    colours = Counter(o.colour for o in objects if o.cls == ObjectClass.TOTE)
    assert len(colours) == 8
    vests = [o.attributes["vest"] for o in objects if o.cls == ObjectClass.PERSON]
    loads = [o.attributes["loaded"] for o in objects if o.cls == ObjectClass.PALLET]
    assert 0.3 < np.mean(vests) < 0.7 and 0.3 < np.mean(loads) < 0.7


def test_a_wet_floor_is_only_claimed_where_the_camera_sees_it(samples: list[Sample]) -> None:
    for o in (o for s in samples for o in s.objects if o.cls == ObjectClass.WET_FLOOR):
        assert o.camera_pixels > 0 and o.position[0] > 0


def test_shards_give_back_what_was_written_and_resume(tmp_path: Path, samples: list[Sample]) -> None:
    files = write_shards(tmp_path, 11, 6)
    before = [f.stat().st_mtime_ns for f in files]
    assert write_shards(tmp_path, 11, 6) == files
    assert [f.stat().st_mtime_ns for f in files] == before
    back = list(read_shards(tmp_path))
    assert len(back) == 6
    for got, want in zip(back, samples, strict=False):
        assert np.array_equal(got.frame.image, want.frame.image)
        assert len(got.objects) == len(want.objects)
        near = (np.abs(want.frame.points[:, :2]) < HALF_SIDE_M + 0.8).all(axis=1)
        assert np.allclose(got.frame.points[:, :3], want.frame.points[near, :3], atol=6e-4)
        for a, b in zip(got.objects, want.objects, strict=True):
            assert (a.cls, a.colour, a.attributes) == (b.cls, b.colour, b.attributes)
            assert np.allclose(a.position, b.position) and a.lidar_points == b.lidar_points


def test_a_broken_shard_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset\.path"):
        list(read_shards(tmp_path))
    (tmp_path / "seed1_000000_5.npz").write_bytes(b"not a zip")
    with pytest.raises(InputError, match=r"dataset\.shard"):
        list(read_shards(tmp_path))
