"""sensor_msgs/PointCloud2's byte layout <-> (N, 4) arrays. Plain values in and out, no ROS import.

Layout: http://docs.ros.org/en/api/sensor_msgs/html/msg/PointCloud2.html. A message gives
`decode(msg.data, [PointField(f.name, f.offset, f.datatype, f.count) for f in msg.fields], ...)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from aislewise.types import F32

DATATYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""sensor_msgs/PointField constants -> numpy."""

INTENSITY_NAMES = ("intensity", "intensities", "reflectivity", "i")
MAX_BYTES = 256_000_000
MAX_FIELDS = 64

Buffer = bytes | bytearray | memoryview | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PointField:
    """One channel: byte offset in a point, datatype as in sensor_msgs/PointField."""

    name: str
    offset: int
    datatype: int
    count: int = 1


XYZI = tuple(PointField(name, 4 * i, 7) for i, name in enumerate(("x", "y", "z", "intensity")))
"""The layout `encode` writes."""


def decode(
    data: Buffer,
    fields: Sequence[PointField],
    width: int,
    height: int,
    point_step: int,
    row_step: int = 0,
    is_bigendian: bool = False,
) -> F32:
    """(width * height, 4) float32 x, y, z, intensity (0 where the cloud has none), invalid points
    (NaN) included. A read-only view of `data` when its layout already is XYZI, else a copy.
    Raises InputError naming the field."""
    cloud = structured(data, fields, width, height, point_step, row_step, is_bigendian)
    names = cloud.dtype.names or ()
    for axis in "xyz":
        if axis not in names:
            raise InputError("fields", f"no {axis!r} among {', '.join(names)[:80]!r}")
    intensity = next((name for name in INTENSITY_NAMES if name in names), None)
    if intensity == "intensity" and point_step == 16 and not is_bigendian and _is_xyzi(fields):
        raw: F32 = cloud.view(np.float32) if cloud.flags.c_contiguous else cloud.copy().view(np.float32)
        return raw.reshape(-1, 4)
    out = np.zeros((width * height, 4), np.float32)
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, which is dropped later
        for column, name in enumerate(("x", "y", "z", intensity)):
            if name is not None:
                values = cloud[name].reshape(width * height, -1)
                out[:, column] = values[:, 0]
    return out


def encode(points: F32) -> tuple[memoryview, tuple[PointField, ...], int]:
    """(N, 4) float32 -> (data, fields, point_step); zero-copy for a contiguous array."""
    if points.ndim != 2 or points.shape[1] != 4:
        raise InputError("points", f"shape {points.shape}", "(N, 4)")
    packed = np.ascontiguousarray(points, dtype="<f4")
    return packed.reshape(-1).view(np.uint8).data, XYZI, 16


def structured(
    data: Buffer,
    fields: Sequence[PointField],
    width: int,
    height: int,
    point_step: int,
    row_step: int = 0,
    is_bigendian: bool = False,
) -> NDArray[np.void]:
    """(height, width) structured view of all channels, without a copy; padding is skipped."""
    flat = np.frombuffer(data, np.uint8) if not isinstance(data, np.ndarray) else data.reshape(-1)
    row_step = row_step or width * point_step
    _check_layout(flat, width, height, point_step, row_step)
    dtype = _dtype(fields, point_step, ">" if is_bigendian else "<")
    return np.ndarray((height, width), dtype, flat.data, strides=(row_step, point_step))


def _check_layout(flat: NDArray[np.uint8], width: int, height: int, point_step: int, row_step: int) -> None:
    if flat.dtype != np.uint8:
        raise InputError("data", f"dtype {flat.dtype}", "uint8")
    if width < 0 or height < 0:
        raise InputError("width", f"{width} x {height}", "0 or more")
    if not 1 <= point_step <= 65536:
        raise InputError("point_step", f"{point_step}", "1 to 65536")
    if row_step < width * point_step:
        raise InputError("row_step", f"{row_step}", f"at least {width * point_step}")
    if row_step * height > MAX_BYTES:
        raise InputError("data", f"{row_step * height} bytes", MAX_BYTES)
    if flat.size != row_step * height:
        raise InputError("data", f"{flat.size} bytes", f"{row_step * height} expected")


def _dtype(fields: Sequence[PointField], point_step: int, order: str) -> np.dtype[np.void]:
    if not 1 <= len(fields) <= MAX_FIELDS:
        raise InputError("fields", f"{len(fields)} fields", f"1 to {MAX_FIELDS}")
    names: list[str] = []
    formats: list[tuple[str, int]] = []
    for index, field in enumerate(fields):
        where = f"fields[{index}]"
        if field.datatype not in DATATYPES:
            raise InputError(f"{where}.datatype", f"{field.datatype}", "1 to 8")
        if field.name in names or not field.name:
            raise InputError(f"{where}.name", f"{field.name!r:.40} twice or empty")
        count = field.count or 1  # some drivers leave 0 for scalars
        kind = order + DATATYPES[field.datatype]
        if count < 0 or field.offset < 0:
            raise InputError(f"{where}.offset", f"{field.offset}, count {count}", "0 or more")
        if field.offset + np.dtype(kind).itemsize * count > point_step:
            raise InputError(f"{where}.offset", f"{field.offset}", f"inside {point_step} bytes")
        names.append(field.name)
        formats.append((kind, count))
    layout = {
        "names": names,
        "formats": [kind if count == 1 else (kind, (count,)) for kind, count in formats],
        "offsets": [field.offset for field in fields],
        "itemsize": point_step,
    }
    return np.dtype(layout)  # type: ignore[call-overload, no-any-return]


def _is_xyzi(fields: Sequence[PointField]) -> bool:
    """Whether x, y, z, intensity are float32 at 0, 4, 8, 12, whatever else overlaps them."""
    layout = {f.name: (f.offset, f.datatype, f.count or 1) for f in fields}
    return all(layout.get(f.name) == (f.offset, f.datatype, 1) for f in XYZI)
