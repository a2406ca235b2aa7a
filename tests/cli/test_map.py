"""`aislewise map`: other people's maps in, sites, ROS maps and pictures out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aislewise.sitemap import SiteMap
from cli.main import main
from planning.graph_check import check_graph
from planning.lane_graph import leave_of, neighbours_of

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
        (["import", "x.png"], "file"), (["import", "absent.json"], "map"), (["check", "absent.json"], "site"), (["import", "small.map", "--zones", "no.json"], "zones"),
        (["import", "small.map", "--lanes", "no.csv"], "lanes"), (["import", ROOT / "config" / "site.json"], "file"), (["import", "small.map", "--format", "lif"], "map"),
        (["import", "absent.map"], "map"), (["import", "absent.yaml"], "map"),
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


def aisles(folder: Path) -> Path:
    """Two aisles between two cross aisles, driven one way each, and a nook at the right."""
    rows = [".......", ".@.@.@@", ".@.@...", ".@.@.@@", "......."]
    (folder / "hall.map").write_text("type octile\nheight 5\nwidth 7\nmap\n" + "\n".join(rows) + "\n")
    (folder / "places.csv").write_text("id,kind,x_m,y_m,yaw_deg\nface,pick_face,6.5,2.5,0\ndock,charger,0.5,2.5,180\n")
    (folder / "lanes.csv").write_text(
        "x1_m,y1_m,x2_m,y2_m,one_way,speed_mps,only\n0.5,0.5,0.5,4.5,yes,,\n2.5,4.5,2.5,0.5,yes,,\n2.5,3.5,2.5,1.5,,0.5,forklift|tug\n"
    )
    zone = {"id": "night", "kind": "keep_out", "polygon": [[4, 4], [7, 4], [7, 5], [4, 5]], "from_s": 100, "to_s": 200}
    (folder / "zones.json").write_text(json.dumps([zone]))
    out = folder / "site.json"
    assert run("import", folder / "hall.map", "--places", folder / "places.csv", "--lanes", folder / "lanes.csv",
               "--zones", folder / "zones.json", "--out", out) == 0  # fmt: skip
    return out


def test_lanes_and_zones_come_with_a_map_and_hold(tmp_path: Path) -> None:
    site = SiteMap.load(aisles(tmp_path))
    nbr = neighbours_of(site.free, leave_of(site)).tolist()
    up, down = site.cell_at(0.5, 2.5), site.cell_at(2.5, 2.5)
    assert {c for c in nbr[up] if c >= 0} == {up + 7} and {c for c in nbr[down] if c >= 0} == {down - 7}
    assert up + 7 not in {c for c in nbr[up + 14] if c >= 0}  # nobody goes in at its end
    assert up - 14 + 1 in nbr[up - 14]  # crossing its mouth is as it was
    assert site.speed_limits().flat[down] == 0.5 and site.lanes is not None and site.lanes.only is not None
    assert site.lanes.only.values == (frozenset({"forklift", "tug"}),)
    assert site.kept_out(150.0).sum() == 3 and not site.kept_out(99.0).any()


def test_a_check_names_dead_ends_and_fails_where_places_are_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = aisles(tmp_path)
    assert run("check", site, "--json", tmp_path / "r.json", "--picture", tmp_path / "p.png") == 0
    said = capsys.readouterr().out
    assert "warning: a dead end of 2 cells opens at (4.5, 2.5) m" in said and "there: face" in said
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["sound"] and report["one_way"] == 8 and report["findings"]
    with Image.open(tmp_path / "p.png") as marked:
        assert np.asarray(marked.convert("RGB")).reshape(-1, 3).tolist().count([8, 81, 156]) > 50  # arrows
    run("show", site, "--out", tmp_path / "q.png")
    assert (tmp_path / "p.png").read_bytes() != (tmp_path / "q.png").read_bytes()
    capsys.readouterr()
    assert run("check", site, "--skills", "", "--json", tmp_path / "none.json") == 0
    assert json.loads((tmp_path / "none.json").read_text())["free"] == report["free"] - 3
    assert run("check", site, "--skills", "tug", "--json", tmp_path / "tug.json") == 0
    assert json.loads((tmp_path / "tug.json").read_text()) == report
    assert run("check", site, "--at", "150") == 0 and run("check", site, "--width", "2") == 1
    assert "cell is closed" in capsys.readouterr().out


def test_a_lane_that_traps_robots_fails_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aisles(tmp_path)
    (tmp_path / "lanes.csv").write_text("x1_m,y1_m,x2_m,y2_m,one_way\n4.5,2.5,6.5,2.5,yes\n")
    run("import", tmp_path / "hall.map", "--places", tmp_path / "places.csv", "--lanes", tmp_path / "lanes.csv", "--out", tmp_path / "s.json")
    assert run("check", tmp_path / "s.json") == 1
    said = capsys.readouterr().out
    assert "error: dock cannot be reached from any other place" in said and "can be entered but not left" in said


@pytest.mark.parametrize("name", ["g.yaml --format rmf", "l.json", "m.map"])
def test_a_site_goes_out_and_comes_back_in_the_formats_of_the_field(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = aisles(tmp_path)
    file, *options = name.split()
    assert run("export", site, "--out", tmp_path / file, *options) == 0
    assert "warning: zones (hall): the format has no room for them" in capsys.readouterr().err
    assert run("import", tmp_path / file, "--out", tmp_path / "back.json") == 0
    back, old = SiteMap.load(tmp_path / "back.json"), SiteMap.load(site)
    assert int(back.free.sum()) == int(old.free.sum())
    if file != "m.map":
        assert {p.id: p.kind for p in back.places.values()} == {p.id: p.kind for p in old.places.values()}
        assert check_graph(back).one_way == check_graph(old).one_way == 8


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("0.5,0.5,2.5,2.5,yes,,", r"lanes[0]"), ("1.5,0.5,1.5,2.5,yes,,", r"lanes[0]"), ("0.5,0.5,0.5,99,yes,,", r"lanes[0].x2_m"),
        ("0.5,0.5,0.5,4.5,maybe,,", r"lanes[0].one_way"), ("x,0.5,0.5,4.5,yes,,", r"lanes[0].x1_m"), ("0.5,0.5,0.5,4.5,,99,", "lanes.speed_mps"),
    ],
)  # fmt: skip
def test_bad_lanes_end_with_status_2_and_name_the_field(row: str, field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aisles(tmp_path)
    (tmp_path / "lanes.csv").write_text("x1_m,y1_m,x2_m,y2_m,one_way,speed_mps,only\n" + row + "\n")
    assert run("import", tmp_path / "hall.map", "--lanes", tmp_path / "lanes.csv", "--out", tmp_path / "s.json") == 2
    assert f"aislewise: {field}" in capsys.readouterr().err
