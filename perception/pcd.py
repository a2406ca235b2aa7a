"""Point Cloud Library files (.pcd, version 0.7): ascii, binary and binary_compressed.

Format: https://pointclouds.org/documentation/tutorials/pcd_file_format.html. Read here rather than
with open3d because that drops intensity, takes a second to import and aborts on some broken files.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aislewise.errors import InputError
from aislewise.types import F32
from perception.pointcloud2 import INTENSITY_NAMES

MAX_POINTS = 5_000_000
MAX_POINT_BYTES = 4096
KINDS = {
    ("F", 4): "<f4", ("F", 8): "<f8", ("U", 1): "<u1", ("U", 2): "<u2", ("U", 4): "<u4", ("U", 8): "<u8",
    ("I", 1): "<i1", ("I", 2): "<i2", ("I", 4): "<i4", ("I", 8): "<i8",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Header:
    """names, kinds (numpy), counts: per field. encoding: ascii, binary or binary_compressed."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    counts: tuple[int, ...]
    points: int
    encoding: str

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes of each field of one point."""
        return tuple(np.dtype(k).itemsize * c for k, c in zip(self.kinds, self.counts))


def parse_pcd(blob: bytes) -> F32:
    """(N, 4) float32 x, y, z, intensity as stored (0 where the file has none), NaN points included.
    Raises InputError naming the header field or "pcd.data"."""
    header, body = _header(blob)
    read = {"ascii": _ascii, "binary": _binary, "binary_compressed": _compressed}[header.encoding]
    columns = read(header, body)
    out = np.zeros((header.points, 4), np.float32)
    intensity = next((n for n in INTENSITY_NAMES if n in header.names), None)
    for column, name in enumerate(("x", "y", "z", intensity)):
        if name is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                out[:, column] = columns[header.names.index(name)]
    return out


def _header(blob: bytes) -> tuple[Header, bytes]:
    entries: dict[str, list[str]] = {}
    position = 0
    while "DATA" not in entries:
        end = blob.find(b"\n", position, position + 65_536)
        if end < 0 or len(entries) > 32:
            raise InputError("pcd.header", "has no DATA line")
        words = blob[position:end].decode("ascii", "replace").split()
        position = end + 1
        if words and not words[0].startswith("#"):
            entries[words[0]] = words[1:]
    names = tuple(entries.get("FIELDS", ()))
    sizes, types = _ints(entries, "SIZE", len(names)), entries.get("TYPE", [])
    counts = _ints(entries, "COUNT", len(names)) if "COUNT" in entries else (1,) * len(names)
    if not 3 <= len(names) <= 64 or len(set(names) - {"_"}) + names.count("_") != len(names):
        raise InputError("pcd.FIELDS", f"{len(names)} fields, some twice perhaps", "3 to 64, each once")
    for axis in "xyz":
        if axis not in names:
            raise InputError("pcd.FIELDS", f"no {axis!r}")
    kinds = tuple(KINDS.get((t, s), "") for t, s in zip(types, sizes))
    if len(kinds) != len(names) or not all(kinds):
        raise InputError("pcd.TYPE", f"{types} with SIZE {list(sizes)}"[:100], "F, U, I of 1 to 8 bytes")
    points = _ints(entries, "POINTS", 1)[0] if "POINTS" in entries else 0
    if "POINTS" not in entries:
        points = _ints(entries, "WIDTH", 1)[0] * _ints(entries, "HEIGHT", 1)[0]
    encoding = (entries["DATA"] or [""])[0]
    if encoding not in ("ascii", "binary", "binary_compressed"):
        raise InputError("pcd.DATA", f"{encoding!r:.40}", "ascii, binary or binary_compressed")
    header = Header(names, kinds, counts, points, encoding)
    if points > MAX_POINTS:
        raise InputError("pcd.POINTS", f"{points}", MAX_POINTS)
    if min(counts) < 1 or sum(header.sizes) > MAX_POINT_BYTES:
        raise InputError("pcd.COUNT", f"{sum(header.sizes)} bytes a point", f"1 to {MAX_POINT_BYTES}")
    return header, blob[position:]


def _ints(entries: dict[str, list[str]], key: str, count: int) -> tuple[int, ...]:
    words = entries.get(key, [])
    if len(words) != count or not all(w.isdigit() and len(w) < 10 for w in words):
        raise InputError(f"pcd.{key}", f"{' '.join(words)[:40]!r}", f"{count} whole numbers")
    return tuple(int(w) for w in words)


def _ascii(header: Header, body: bytes) -> list[NDArray[np.float64]]:
    try:
        values = np.array(body.split(), np.float64)
    except ValueError as error:
        raise InputError("pcd.data", f"{error}"[:80]) from error
    width = sum(header.counts)
    if values.size != header.points * width:
        raise InputError("pcd.data", f"{values.size} numbers", f"{header.points * width} expected")
    table = values.reshape(header.points, width)
    starts = np.cumsum((0, *header.counts[:-1]))
    return [table[:, start] for start in starts]


def _binary(header: Header, body: bytes) -> list[NDArray[np.float64]]:
    step = sum(header.sizes)
    if len(body) < step * header.points:
        raise InputError("pcd.data", f"{len(body)} bytes", f"{step * header.points} expected")
    starts = np.cumsum((0, *header.sizes[:-1]))
    return [
        np.ndarray((header.points,), kind, body, offset=int(start), strides=(step,))
        for kind, start in zip(header.kinds, starts)
    ]


def _compressed(header: Header, body: bytes) -> list[NDArray[np.float64]]:
    """LZF over the fields one after another (all x, then all y, ...)."""
    total = sum(header.sizes) * header.points
    if len(body) < 8:
        raise InputError("pcd.data", f"{len(body)} bytes", "at least 8")
    packed, unpacked = struct.unpack_from("<II", body)
    if len(body) - 8 < packed or unpacked != total:
        raise InputError("pcd.data", f"{packed} packed, {unpacked} unpacked bytes", f"{total} expected")
    out = np.zeros(total, np.uint8)
    if _unlzf(np.frombuffer(body, np.uint8, packed, 8), out) != total:
        raise InputError("pcd.data", "LZF stream is broken")
    columns, start = [], 0
    for kind, count, size in zip(header.kinds, header.counts, header.sizes):
        part = out[start : start + size * header.points].view(kind)
        columns.append(part.reshape(header.points, count)[:, 0])
        start += size * header.points
    return columns


@njit(cache=True, nogil=True)
def _unlzf(source: NDArray[np.uint8], out: NDArray[np.uint8]) -> int:
    """Unpacks Marc Lehmann's LZF into `out`; returns the bytes written, -1 for a broken stream."""
    i = o = 0
    while i < source.size:
        control = int(source[i])
        i += 1
        if control < 32:  # a run of control + 1 literal bytes
            run = control + 1
            if i + run > source.size or o + run > out.size:
                return -1
            for _ in range(run):
                out[o] = source[i]
                i += 1
                o += 1
            continue
        length = control >> 5  # a copy of length + 2 bytes from further back
        if length == 7:
            if i >= source.size:
                return -1
            length += int(source[i])
            i += 1
        if i >= source.size:
            return -1
        back = o - ((control & 31) << 8) - int(source[i]) - 1
        i += 1
        if back < 0 or o + length + 2 > out.size:
            return -1
        for _ in range(length + 2):
            out[o] = out[back]
            o += 1
            back += 1
    return o
