"""`aislewise map`: other people's maps in, sites, ROS maps and pictures out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aislewise.sitemap import SiteMap
from cli.main import main

ROOT = Path(__file__).parent.parent.parent
MAPS = ROOT.parent / "shared" / "data" / "mapf"
SMALL = "type octile\nheight 2\nwidth 4\nmap\n..@.\n...@\n"


def run(*arguments: object) -> int:
    return main(["map", *map(str, arguments)])


def test_a_movingai_map_becomes_a_site_that_looks_as_in_an_editor(tmp_path: Path) -> None:
    (tmp_path / "hall.map").write_text(SMALL)
    assert run("import", tmp_path / "hall.map", "--out", tmp_path / "s.json", "--resolution", 0.5) == 0
    site = SiteMap.load(tmp_path / "s.json")
    assert site.free[::-1].tolist() == [[True, True, False, True], [True, True, True, False]]
    assert (site.name, site.resolution_m) == ("hall", 0.5)


def test_places_are_added_and_what_is_unreachable_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hall.map").write_text(SMALL)
    (tmp_path / "p.csv").write_text("id,kind,x_m,y_m,yaw_deg\ndock,charger,3.5,1.5,0\nout,station,0.5,0.5,180\n")
    assert run("import", tmp_path / "hall.map", "--places", tmp_path / "p.csv", "--out", tmp_path / "s.json") == 0
    said = capsys.readouterr()
    assert "charger dock cannot be reached" in said.err and "out" not in said.err.replace("cannot", "")
    assert "2 places" in said.out
    assert set(SiteMap.load(tmp_path / "s.json").places) == {"dock", "out"}


def test_a_site_goes_to_ros_and_comes_back(tmp_path: Path) -> None:
    assert run("export", ROOT / "config" / "site.json", "--out", tmp_path / "map.yaml") == 0
    assert run("import", tmp_path / "map.yaml", "--out", tmp_path / "back.json") == 0
    site, back = SiteMap.load(ROOT / "config" / "site.json"), SiteMap.load(tmp_path / "back.json")
    assert (site.free == back.free).all() and (site.x_m, site.y_m) == (back.x_m, back.y_m)


def test_the_picture_shows_the_site_and_grows_with_it(tmp_path: Path) -> None:
    (tmp_path / "hall.map").write_text(SMALL)
    run("import", tmp_path / "hall.map", "--out", tmp_path / "s.json")
    sizes = []
    for source in (tmp_path / "s.json", ROOT / "config" / "site.json"):
        assert run("show", source, "--out", tmp_path / "map.png") == 0
        with Image.open(tmp_path / "map.png") as image:
            sizes.append(image.size)
            assert np.asarray(image.convert("L")).std() > 10
    assert sizes[1][1] > 2 * sizes[0][1]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["import", "x.png"], "file"), (["import", "absent.map"], "map"), (["import", "absent.yaml"], "map"),
        (["export", "absent.json"], "site"), (["show", "absent.json"], "site"),
        (["export", ROOT / "config" / "site.json", "--out", "map.png"], "out"),
        (["show", ROOT / "config" / "site.json", "--out", "no/such/folder.png"], "out"),
        (["import", "small.map", "--resolution", "0"], "resolution_m"), (["import", "small.map", "--places", "no.csv"], "places"),
        (["import", "small.map", "--out", "no/such/site.json"], "out"),
    ],
)  # fmt: skip
def test_bad_input_ends_with_status_2_and_names_the_field(
    arguments: list[object], field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.map").write_text(SMALL)
    assert run(*arguments) == 2
    assert f"aislewise: {field}" in capsys.readouterr().err


@pytest.mark.skipif(not MAPS.is_dir(), reason="shared data are not at hand")
@pytest.mark.parametrize("name", ["warehouse-10-20-10-2-1", "warehouse-20-40-10-2-2"])
def test_public_maps_are_imported(name: str, tmp_path: Path) -> None:
    source = next(MAPS.rglob(f"{name}.map"))
    assert run("import", source, "--out", tmp_path / "s.json") == 0
    site = SiteMap.load(tmp_path / "s.json")
    assert int(site.free.sum()) == sum(line.count(".") for line in source.read_text().splitlines()[4:])
