"""Lidar sweeps from files: KITTI .bin, .pcd, .npz, Ouster .pcap with its metadata json."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError, UnsupportedError
from aislewise.types import F32
from perception.pcd import MAX_POINTS, parse_pcd

MAX_BYTES = 1_000_000_000
MAX_META_BYTES = 1_000_000
FORMATS = (".bin", ".pcd", ".npz", ".pcap")


@dataclass(frozen=True, slots=True)
class Sweep:
    """points: (N, 4) float32 x, y, z in the lidar's frame (x forward, m) and intensity in [0, 1];
    points that are no returns are NaN or left out. stamp_ns: the sensor's own time, 0 if unsaid."""

    points: F32
    stamp_ns: int = 0


def read_sweep(path: Path | str, meta: Path | str | None = None, index: int = 0) -> Sweep:
    """Reads sweep number `index` of a file; only .pcap holds more than one.

    meta: the Ouster sensor's metadata json; without it, the json beside the .pcap of the same name.
    Raises InputError naming "points", "meta" or a header field; UnsupportedError where the optional
    reader of a format is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InputError("points", f"{path.name!r:.60}", f"one of {', '.join(FORMATS)}")
    if not path.is_file():
        raise InputError("points", f"no file {path.name!r:.60}")
    if path.stat().st_size > MAX_BYTES:
        raise InputError("points", f"{path.stat().st_size} bytes", MAX_BYTES)
    if suffix == ".pcap":
        return _ouster(path, None if meta is None else Path(meta), index)
    if index != 0:
        raise InputError("sweep", f"{index}, but {path.name!r:.60} holds one", 0)
    try:
        if suffix == ".npz":
            return _npz(path)
        blob = path.read_bytes()
    except OSError as error:
        raise InputError("points", f"cannot read {path.name}: {error}") from error
    if suffix == ".bin":
        return Sweep(_kitti(blob))
    points = parse_pcd(blob)
    return Sweep(_with_unit_intensity(points))


def _kitti(blob: bytes) -> F32:
    """Rows of four float32: x forward, y left, z up, reflectance in [0, 1] (Geiger et al. 2012)."""
    if len(blob) % 16 or len(blob) // 16 > MAX_POINTS:
        raise InputError("points", f"{len(blob)} bytes", f"rows of 16 bytes, {MAX_POINTS} at most")
    return _with_unit_intensity(np.frombuffer(blob, "<f4").reshape(-1, 4).copy())


def _npz(path: Path) -> Sweep:
    """Array "points" (or the only one) of shape (N, 3) or (N, 4); optional integer "stamp_ns"."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_POINTS * 32:
            raise InputError("points", f"{size} bytes unpacked", MAX_POINTS * 32)
        with np.load(path, allow_pickle=False) as arrays:
            names = [n for n in arrays.files if n != "stamp_ns"]
            if "points" not in names and len(names) != 1:
                raise InputError("points", f"arrays {', '.join(names)[:80]!r}", 'one named "points"')
            points = arrays["points" if "points" in names else names[0]]
            stamp_ns = int(arrays["stamp_ns"]) if "stamp_ns" in arrays.files else 0
    except (ValueError, TypeError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise InputError("points", f"no readable .npz: {error}"[:120]) from error
    return Sweep(_rows(points), stamp_ns)


def _rows(points: NDArray[np.generic]) -> F32:
    if points.ndim != 2 or points.shape[1] not in (3, 4) or not np.issubdtype(points.dtype, np.floating):
        raise InputError("points", f"{points.dtype} of shape {points.shape}", "floats, (N, 3) or (N, 4)")
    if len(points) > MAX_POINTS:
        raise InputError("points", f"{len(points)} points", MAX_POINTS)
    out = np.zeros((len(points), 4), np.float32)
    with np.errstate(over="ignore"):
        out[:, : points.shape[1]] = points
    return _with_unit_intensity(out)


def _with_unit_intensity(points: F32) -> F32:
    """Files state intensity in [0, 1], 0 to 255 or 16 bits, and do not say which. The 99th percentile
    tells, in spite of a few retro-reflectors beyond the nominal range."""
    raw = np.nan_to_num(points[:, 3], nan=0.0, posinf=0.0, neginf=0.0)
    if len(raw):
        high = float(np.quantile(raw, 0.99))
        scale = 1.0 if high <= 1.0 else 255.0 if high <= 255.0 else 65535.0
        points[:, 3] = np.clip(raw / np.float32(scale), 0.0, 1.0)
    return points


def _ouster(path: Path, meta: Path | None, index: int) -> Sweep:
    """Packets of an Ouster sensor, decoded by the vendor's own SDK (BSD-3)."""
    try:
        from ouster.sdk import core, open_source  # type: ignore[attr-defined]
    except ImportError as error:
        raise UnsupportedError("Ouster .pcap files need the package ouster-sdk: pip install ouster-sdk") from error
    meta = meta or path.with_suffix(".json")
    if not meta.is_file():
        raise InputError("meta", f"no file {meta.name!r:.60}: name the sensor's metadata json")
    if meta.stat().st_size > MAX_META_BYTES:
        raise InputError("meta", f"{meta.stat().st_size} bytes", MAX_META_BYTES)
    if index < 0:
        raise InputError("sweep", f"{index}", "0 or more")
    try:
        source = open_source(str(path), meta=[str(meta)])
        found = 0
        for frames in source:
            scan = next((s for s in frames if s is not None), None)
            if scan is None:
                continue
            if found == index:
                return _ouster_sweep(scan, core.XYZLut(scan.sensor_info, use_extrinsics=False))  # type: ignore[attr-defined]
            found += 1
    except Exception as error:  # the SDK raises RuntimeError, ValueError and others for bad files
        raise InputError("points", f"no readable Ouster recording: {error}"[:200]) from error
    raise InputError("sweep", f"{index}", f"0 to {found - 1}" if found else "no complete sweep in the file")


def _ouster_sweep(scan: Any, lut: Any) -> Sweep:
    xyz = np.asarray(lut(scan), np.float32).reshape(-1, 3)
    reflectivity = np.asarray(scan.field("REFLECTIVITY"), np.float32).reshape(-1)
    hit = np.asarray(scan.field("RANGE")).reshape(-1) > 0
    points = np.column_stack([xyz[hit], np.clip(reflectivity[hit] / 255.0, 0.0, 1.0)])
    stamps = np.asarray(scan.timestamp)
    return Sweep(points.astype(np.float32), int(stamps[stamps > 0].min(initial=np.iinfo(np.int64).max)))
