"""Maps of others become sites whose free cells are safe to drive on, and sites become maps that Nav2 reads."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from aislewise.errors import InputError
from aislewise.sitemap import SiteMap
from planning.mapfiles import coarsened, read_ros_map, site_of, unreachable, with_places, write_ros_map

GOOD = {
    "image": "m.png", "resolution": 0.5, "origin": [-1.0, 2.0, 0.0], "negate": 0,
    "occupied_thresh": 0.65, "free_thresh": 0.196,
}  # fmt: skip
FREE = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def ros_map(folder: Path, pixels: object, **said: object) -> Path:
    """A map.yaml with its image; pixels as in the file: row 0 on top."""
    Image.fromarray(np.asarray(pixels, np.uint8)).save(folder / "m.png")
    (folder / "map.yaml").write_text(yaml.safe_dump({**GOOD, **said}))
    return folder / "map.yaml"


@settings(max_examples=60, deadline=None)
@given(FREE, st.sampled_from([0.05, 0.1, 0.25, 0.3, 0.5, 1.0, 1.7]), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_an_exported_site_is_imported_with_the_same_free_cells(free: np.ndarray, size: float, x: float, y: float) -> None:
    site = site_of(free, size, x, y)
    with tempfile.TemporaryDirectory() as folder:
        write_ros_map(site, Path(folder) / "map.yaml")
        back = read_ros_map(Path(folder) / "map.yaml", size)
    assert (back.free == free).all()
    assert (back.resolution_m, back.x_m, back.y_m) == (size, x, y)


@settings(max_examples=100, deadline=None)
@given(FREE, st.sampled_from([0.05, 0.1, 0.3, 0.5]), st.sampled_from([0.05, 0.25, 0.5, 0.7, 1.0]))
def test_a_cell_is_free_only_if_every_pixel_under_it_is_there_and_free(free: np.ndarray, pixel: float, cell: float) -> None:
    cells = coarsened(free, pixel, cell)
    rng = np.random.default_rng(0)
    for row, col in np.argwhere(cells):
        spots = (np.array([row, col]) + rng.uniform(1e-4, 1 - 1e-4, (40, 2))) * cell / pixel
        at = np.floor(spots).astype(int)
        assert (at < free.shape).all() and free[at[:, 0], at[:, 1]].all()
    assert cells.shape[0] * cell >= free.shape[0] * pixel - 1e-6  # and nothing of the map is left out


def test_cells_of_whole_pixels_lose_nothing() -> None:
    free = np.ones((40, 60), bool)
    free[5, 7] = False
    cells = coarsened(free, 0.05, 0.5)
    assert cells.shape == (4, 6) and (~cells).sum() == 1 and not cells[0, 0]


def test_the_image_s_lowest_row_lies_at_the_origin(tmp_path: Path) -> None:
    site = read_ros_map(ros_map(tmp_path, [[0, 254, 254], [254, 254, 254]]), 0.5)
    assert site.free.tolist() == [[True, True, True], [False, True, True]]
    assert site.cell_at(-0.99, 2.01) == 0 and site.name == "map"


@pytest.mark.parametrize(
    ("said", "free"),
    [
        ({}, [254, 255]),
        ({"negate": 1}, [0, 20]),
        ({"free_thresh": 0.6}, [105, 205, 254, 255]),
        ({"mode": "scale"}, [254, 255]),
        ({"mode": "raw"}, [0, 19]),
        ({"mode": "raw", "free_thresh": 0.0}, [0]),
    ],
)  # fmt: skip
def test_pixels_are_free_where_map_server_says_so(tmp_path: Path, said: dict, free: list[int]) -> None:
    """205 is map_server's unknown, 105 lies between the thresholds."""
    values = [0, 20, 50, 105, 205, 254, 255]
    if said.get("mode") == "raw":
        values = [0, 19, 20, 100, 205]
    site = read_ros_map(ros_map(tmp_path, [values], **said), 0.5)
    assert [v for v, ok in zip(values, site.free[0], strict=True) if ok] == free


def test_opacity_is_read_as_map_server_reads_it(tmp_path: Path) -> None:
    """Averaged in as a fourth channel (trinary), unknown where not full (scale)."""
    pixels = [[[255, 255, 255, 255], [255, 255, 255, 0], [200, 200, 200, 255]]]
    for mode, free in (("trinary", [True, False, True]), ("scale", [True, False, False])):
        assert read_ros_map(ros_map(tmp_path, pixels, mode=mode), 0.5).free[0].tolist() == free, mode
    dark = [[[190, 190, 190, 255]]]
    assert read_ros_map(ros_map(tmp_path, dark), 0.5).free.all()  # (3 * 190 + 255) / 4 of 255 is free enough
    assert not read_ros_map(ros_map(tmp_path, dark, mode="scale"), 0.5).free.any()


def test_a_pgm_of_sixteen_bits_is_read(tmp_path: Path) -> None:
    (tmp_path / "m.pgm").write_bytes(b"P5\n2 1\n65535\n" + np.array([65000, 100], ">u2").tobytes())
    (tmp_path / "map.yaml").write_text(yaml.safe_dump({**GOOD, "image": "m.pgm"}))
    assert read_ros_map(tmp_path / "map.yaml", 0.5).free.tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("resolution", 0), ("resolution", "fine"), ("resolution", float("nan")), ("origin", [0, 0]), ("origin", [0, 0, 0.3]),
        ("negate", 2), ("occupied_thresh", 1.5), ("free_thresh", 0.9), ("mode", "grey"), ("image", 7), ("image", "no.pgm"),
        ("image", "map.yaml"), ("resolution", None),
    ],
)  # fmt: skip
def test_a_bad_map_names_its_field(tmp_path: Path, field: str, value: object) -> None:
    path = ros_map(tmp_path, [[254]], **{field: value})
    with pytest.raises(InputError) as error:
        read_ros_map(path)
    assert error.value.field.startswith(f"map.{field}")


def test_what_is_no_map_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ros_map(tmp_path, np.full((4, 5), 254))
    monkeypatch.setattr("planning.mapfiles.MAX_PIXELS", 19)
    with pytest.raises(InputError, match=r"map\.image.*19"):
        read_ros_map(path)
    monkeypatch.undo()
    monkeypatch.setattr("planning.mapfiles.MAX_CELLS", 3)
    with pytest.raises(InputError, match=r"resolution_m.*3 cells"):
        read_ros_map(path, 0.5)
    (tmp_path / "big.yaml").write_text("a: " + "b" * 70_000)
    for name, text in (("list.yaml", "[1]"), ("bad.yaml", "a: ["), ("big.yaml", None), ("absent.yaml", None)):
        if text:
            (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match="map"):
            read_ros_map(tmp_path / name)


# ---- places ------------------------------------------------------------------------------------------


def hall() -> SiteMap:
    free = np.ones((3, 6), bool)
    free[:, 3] = False  # a wall cuts it in two
    return site_of(free, 1.0, 10.0, 0.0)


def places(folder: Path, *rows: str) -> Path:
    (folder / "places.csv").write_text("\n".join(["id,kind,x_m,y_m,yaw_deg", *rows]))
    return folder / "places.csv"


def test_a_robot_stands_where_the_csv_says_and_works_one_cell_ahead(tmp_path: Path) -> None:
    site = with_places(hall(), places(tmp_path, "face 1,pick_face,10.5,1.5,90", "p,parking,11.5,0.5,0"))
    face, parking = site.places["face 1"], site.places["p"]
    assert (face.cell, face.kind) == (6, "pick_face") and np.allclose((face.x_m, face.y_m), (10.5, 2.5))
    assert np.isclose(face.yaw_rad, np.pi / 2) and (parking.x_m, parking.y_m) == (11.5, 0.5)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("a,shelf,10.5,0.5,0", "kind"), ("a,station,13.5,0.5,0", "x_m"), ("a,station,9.5,0.5,0", "x_m"),
        ("a,station,ten,0.5,0", "x_m"), ("a,station,10.5,,0", "y_m"), ("a,station,10.5,0.5,nan", "yaw_deg"),
        (",station,10.5,0.5,0", "id"), ("first,station,11.5,0.5,0", "id"), ("a,station,10.5,0.5", "yaw_deg"),
    ],
)  # fmt: skip
def test_a_bad_place_names_its_row_and_column(tmp_path: Path, row: str, field: str) -> None:
    with pytest.raises(InputError) as error:
        with_places(hall(), places(tmp_path, "first,station,10.5,0.5,0", row))
    assert error.value.field == f"places[1].{field}"


def test_what_nobody_can_reach_is_named(tmp_path: Path) -> None:
    site = with_places(hall(), places(tmp_path, "near,station,10.5,0.5,0", "far,charger,14.5,0.5,0"))
    lost = unreachable(site)
    assert any("far" in text for text in lost) and not any("near" in text for text in lost)
    assert any("6 free cells" in text for text in lost)
    assert unreachable(site_of(np.ones((2, 2), bool), 1.0)) == []
