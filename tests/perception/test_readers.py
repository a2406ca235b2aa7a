"""Lidar files read as they were written; broken ones are typed errors."""

from __future__ import annotations

import contextlib
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError, UnsupportedError
from perception.pcd import parse_pcd
from perception.readers import read_sweep

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
POINTS = np.random.default_rng(2).normal(0, 5, (50, 4)).astype(np.float32)
POINTS[:, 3] = np.linspace(0, 1, 50)


def pcd(data: str, body: bytes, fields: str = "x y z intensity", **changes: str) -> bytes:
    count = len(fields.split())
    header = {
        "VERSION": "0.7", "FIELDS": fields, "SIZE": " ".join(["4"] * count), "TYPE": " ".join(["F"] * count),
        "COUNT": " ".join(["1"] * count), "WIDTH": "50", "HEIGHT": "1", "VIEWPOINT": "0 0 0 1 0 0 0",
        "POINTS": "50", "DATA": data,
    } | changes  # fmt: skip
    return "".join(f"{k} {v}\n" for k, v in header.items()).encode() + body


def lzf(raw: bytes) -> bytes:
    """A valid LZF stream: literals, and one copy for each run of 8 zero bytes already behind us."""
    out, i = bytearray(), 0
    while i < len(raw):
        if i >= 8 and raw[i - 8 : i] == raw[i : i + 8] and i + 8 <= len(raw):
            out += bytes([(6 << 5) | 0, 7])
            i += 8
        else:
            run = min(32, len(raw) - i, 8 - i % 8)
            out += bytes([run - 1]) + raw[i : i + run]
            i += run
    return struct.pack("<II", len(out), len(raw)) + bytes(out)


def test_kitti_bin_and_npz_read_back(tmp_path: Path) -> None:
    POINTS.tofile(tmp_path / "a.bin")
    np.savez(tmp_path / "a.npz", points=POINTS, stamp_ns=12345)
    np.savez_compressed(tmp_path / "b.npz", POINTS[:, :3].astype(np.float64))
    assert np.array_equal(read_sweep(tmp_path / "a.bin").points, POINTS)
    sweep = read_sweep(tmp_path / "a.npz")
    assert np.array_equal(sweep.points, POINTS)
    assert sweep.stamp_ns == 12345
    assert np.array_equal(read_sweep(tmp_path / "b.npz").points[:, :3], POINTS[:, :3])


def test_all_pcd_encodings_read_the_same() -> None:
    text = "\n".join(" ".join(repr(float(v)) for v in row) for row in POINTS).encode()
    assert np.array_equal(parse_pcd(pcd("ascii", text)), POINTS)
    assert np.array_equal(parse_pcd(pcd("binary", POINTS.tobytes())), POINTS)
    assert np.array_equal(parse_pcd(pcd("binary_compressed", lzf(POINTS.T.tobytes()))), POINTS)
    zeros = np.zeros_like(POINTS)
    assert np.array_equal(parse_pcd(pcd("binary_compressed", lzf(zeros.tobytes()))), zeros)


def test_pcd_fields_come_in_any_order_type_and_count() -> None:
    dtype = np.dtype([("rgb", "<u4"), ("z", "<f8"), ("normal", "<f4", 3), ("x", "<f4"), ("y", "<f4"), ("i", "u1")])
    cloud = np.zeros(50, dtype)
    cloud["x"], cloud["y"], cloud["z"] = POINTS[:, :3].T
    cloud["i"] = 200
    blob = pcd("binary", cloud.tobytes(), "rgb z normal x y i",
               SIZE="4 8 4 4 4 1", TYPE="U F F F F U", COUNT="1 1 3 1 1 1")  # fmt: skip
    out = parse_pcd(blob)
    assert np.allclose(out[:, :3], POINTS[:, :3])
    assert (out[:, 3] == 200).all()


def test_open3d_agrees_about_real_compressed_scans() -> None:
    files = sorted((DATA / "pcl").glob("*.pcd"))
    if not files:
        pytest.skip("public data is not here")
    o3d = pytest.importorskip("open3d")
    ours = parse_pcd(files[0].read_bytes())
    assert np.array_equal(ours[:, :3], np.asarray(o3d.io.read_point_cloud(str(files[0])).points, np.float32))


@pytest.mark.parametrize("scale", [1.0, 255.0, 65535.0])
def test_intensity_of_any_scale_ends_between_zero_and_one(tmp_path: Path, scale: float) -> None:
    scaled = POINTS.copy()
    scaled[:, 3] *= scale
    scaled.tofile(tmp_path / "a.bin")
    assert np.allclose(read_sweep(tmp_path / "a.bin").points[:, 3], POINTS[:, 3], atol=1e-6)


@pytest.mark.parametrize(
    ("blob", "field"),
    [
        (b"", "pcd.header"),
        (b"\n" * 100_000, "pcd.header"),
        (pcd("binary", b""), "pcd.data"),
        (pcd("ascii", b"1 2 three 4"), "pcd.data"),
        (pcd("ascii", b"1 2 3 4"), "pcd.data"),
        (pcd("zip", b""), "pcd.DATA"),
        (pcd("", b""), "pcd.DATA"),
        (pcd("binary", b"", POINTS="99999999"), "pcd.POINTS"),
        (pcd("binary", b"", POINTS="-5"), "pcd.POINTS"),
        (pcd("binary", b"", "a b c"), "pcd.FIELDS"),
        (pcd("binary", b"", "x y z x"), "pcd.FIELDS"),
        (pcd("binary", b"", TYPE="F F Q F"), "pcd.TYPE"),
        (pcd("binary", b"", COUNT="1 1 1 99999"), "pcd.COUNT"),
        (pcd("binary", b"", SIZE="4 4"), "pcd.SIZE"),
        (pcd("binary_compressed", b"123"), "pcd.data"),
        (pcd("binary_compressed", struct.pack("<II", 4, 800) + b"\xff\xff\xff\xff"), "pcd.data"),
        (pcd("binary_compressed", struct.pack("<II", 4, 2**31) + b"1234"), "pcd.data"),
    ],
)
def test_broken_pcd_files_are_refused_by_field(blob: bytes, field: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_pcd(blob)
    assert caught.value.field == field


@given(st.binary(max_size=900))
def test_no_lzf_stream_crashes(body: bytes) -> None:
    blob = pcd("binary_compressed", struct.pack("<II", len(body), 800) + body)
    try:
        assert parse_pcd(blob).shape == (50, 4)
    except InputError as error:
        assert error.field == "pcd.data"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=300), st.sampled_from([".bin", ".pcd", ".npz", ".pcap"]))
def test_no_file_crashes_the_reader(tmp_path: Path, blob: bytes, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(blob)
    (tmp_path / "a.json").write_text("{}")
    with contextlib.suppress(InputError, UnsupportedError):
        assert read_sweep(path).points.shape[1] == 4


def test_what_is_no_lidar_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1 2 3")
    np.savez(tmp_path / "shape.npz", points=np.zeros((3, 7)))
    np.savez(tmp_path / "objects.npz", points=np.array([{}], object))
    np.savez(tmp_path / "two.npz", a=POINTS, b=POINTS)
    POINTS.tofile(tmp_path / "good.bin")
    for name in ("a.txt", "missing.bin", "shape.npz", "objects.npz", "two.npz"):
        with pytest.raises(InputError, match="points"):
            read_sweep(tmp_path / name)
    with pytest.raises(InputError, match="sweep"):
        read_sweep(tmp_path / "good.bin", index=1)


def ouster_files() -> tuple[Path, Path]:
    pytest.importorskip("ouster.sdk")
    pcap, meta = (DATA / "ouster" / f"OS-1-32-G_v2.1.1_1024x10.{kind}" for kind in ("pcap", "json"))
    if not pcap.exists():
        pytest.skip("public data is not here")
    return pcap, meta


def test_a_real_ouster_sweep_reads_in_the_sensors_frame() -> None:
    sweep = read_sweep(*ouster_files())
    assert 20_000 < len(sweep.points) <= 32 * 1024
    assert np.isfinite(sweep.points).all()
    assert sweep.stamp_ns > 0
    assert sweep.points[:, 3].max() <= 1.0
    assert -6.0 < np.quantile(sweep.points[:, 2], 0.01) < 0.0


def test_an_ouster_recording_has_only_so_many_sweeps_and_needs_its_metadata(tmp_path: Path) -> None:
    pcap, meta = ouster_files()
    with pytest.raises(InputError, match="sweep"):
        read_sweep(pcap, meta, index=50)
    with pytest.raises(InputError, match="meta"):
        read_sweep(pcap, tmp_path / "missing.json")


def test_without_the_ouster_sdk_the_error_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a.pcap").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "ouster.sdk", None)
    with pytest.raises(UnsupportedError, match="ouster-sdk"):
        read_sweep(tmp_path / "a.pcap")
