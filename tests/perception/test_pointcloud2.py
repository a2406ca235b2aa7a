"""PointCloud2 layouts: any order, offset, type, padding and endianness reads the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aislewise.errors import InputError
from perception.pointcloud2 import DATATYPES, XYZI, PointField, decode, encode, structured

POINTS = np.random.default_rng(1).normal(0, 10, (60, 4)).astype(np.float32)


def test_encode_then_decode_is_the_identity_without_a_copy() -> None:
    data, fields, step = encode(POINTS)
    back = decode(data, fields, len(POINTS), 1, step)
    assert np.array_equal(back, POINTS)
    assert np.shares_memory(back, POINTS)


@given(st.data())
def test_any_layout_reads_the_same(data: st.DataObject) -> None:
    names = data.draw(st.permutations(["x", "y", "z", "intensity", "ring", "t"]))
    order = data.draw(st.sampled_from("<>"))
    kinds = {n: data.draw(st.sampled_from([7, 8])) for n in "xyz"} | {"intensity": 7, "ring": 4, "t": 6}
    height = data.draw(st.sampled_from([1, 4, 60]))
    offset, fields = 0, []
    for name in names:
        offset += data.draw(st.integers(0, 3))
        fields.append(PointField(name, offset, kinds[name]))
        offset += np.dtype(DATATYPES[kinds[name]]).itemsize
    step = offset + data.draw(st.integers(0, 5))
    width = len(POINTS) // height
    row_step = width * step + data.draw(st.integers(0, 9))
    raw = np.zeros(row_step * height, np.uint8)
    dtype = np.dtype({
        "names": [f.name for f in fields], "formats": [order + DATATYPES[f.datatype] for f in fields],
        "offsets": [f.offset for f in fields], "itemsize": step,
    })  # fmt: skip
    view = np.ndarray((height, width), dtype, raw.data, strides=(row_step, step))
    for column, name in enumerate(("x", "y", "z", "intensity")):
        view[name] = POINTS[:, column].reshape(height, width)
    out = decode(raw.tobytes(), fields, width, height, step, row_step, is_bigendian=order == ">")
    assert np.array_equal(out, POINTS)


def test_integer_intensity_and_arrays_of_values_read() -> None:
    dtype = np.dtype([("normal", "<f4", 3), ("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("reflectivity", "<u2")])
    cloud = np.zeros(5, dtype)
    cloud["x"], cloud["reflectivity"] = np.arange(5), 700
    fields = [PointField("normal", 0, 7, 3)] + [PointField(n, 12 + 4 * i, 7) for i, n in enumerate("xyz")]
    out = decode(cloud.tobytes(), [*fields, PointField("reflectivity", 24, 4)], 5, 1, dtype.itemsize)
    assert np.array_equal(out[:, 0], np.arange(5))
    assert (out[:, 3] == 700).all()
    assert structured(cloud.tobytes(), fields, 5, 1, dtype.itemsize)["normal"].shape == (1, 5, 3)


def test_a_cloud_without_intensity_has_zeros_and_an_empty_one_no_points() -> None:
    data, _, _ = encode(POINTS)
    out = decode(data, XYZI[:3], len(POINTS), 1, 16)
    assert np.array_equal(out[:, :3], POINTS[:, :3])
    assert (out[:, 3] == 0).all()
    assert decode(b"", XYZI, 0, 1, 16).shape == (0, 4)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"data": b"123"}, "data"),
        ({"width": 10**9}, "data"),
        ({"width": -1}, "width"),
        ({"point_step": 0}, "point_step"),
        ({"row_step": 3}, "row_step"),
        ({"fields": []}, "fields"),
        ({"fields": XYZI[1:]}, "fields"),
        ({"fields": [*XYZI, PointField("q", 15, 7)]}, "fields[4].offset"),
        ({"fields": [*XYZI, PointField("q", -4, 7)]}, "fields[4].offset"),
        ({"fields": [*XYZI, PointField("q", 0, 9)]}, "fields[4].datatype"),
        ({"fields": [*XYZI, PointField("x", 0, 7)]}, "fields[4].name"),
        ({"fields": [*XYZI, PointField("q", 0, 7, 10**6)]}, "fields[4].offset"),
    ],
)
def test_malformed_layouts_are_refused_by_field(changes, field) -> None:
    good = {"data": POINTS.tobytes(), "fields": XYZI, "width": 60, "height": 1, "point_step": 16}
    with pytest.raises(InputError) as caught:
        decode(**(good | changes))
    assert caught.value.field == field


@given(
    st.binary(max_size=256), st.integers(-2, 20), st.integers(-2, 5), st.integers(-1, 40), st.integers(-1, 200),
    st.lists(st.builds(PointField, st.sampled_from("xyzi"), st.integers(-4, 40), st.integers(0, 9), st.integers(-1, 9)), max_size=6),
)  # fmt: skip
def test_no_layout_crashes(data, width, height, step, row_step, fields) -> None:
    try:
        out = decode(data, fields, width, height, step, row_step)
    except InputError:
        return
    assert out.shape == (width * height, 4)
