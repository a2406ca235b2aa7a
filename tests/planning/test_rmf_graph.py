"""Open-RMF nav graphs and site files in, and nav graphs out: what lanes become, and that nothing is dropped in silence."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from aislewise.lanes import ANY_WAY, EAST, Lanes, Layer
from aislewise.sitemap import Place, SiteMap
from planning.lane_graph import leave_of, neighbours_of
from planning.rmf_graph import read_rmf, write_rmf

# As rmf_building_map_tools writes it (rmf_demos, office): lanes one way each, doors and lifts beside the levels.
GRAPH = """
building_name: office
doors:
  main_door: {endpoints: [[1.5, 0.0], [1.5, 1.0]], map: L1}
levels:
  L1:
    lanes:
    - [0, 1, {speed_limit: 0.0}]
    - [1, 0, {door_name: main_door, orientation_constraint: forward, speed_limit: 0.5}]
    - [1, 2, {dock_name: dock_a}]
    - [2, 3, {is_bidirectional: true, speed_limit: 0.8}]
    vertices:
    - [0.0, 0.0, {name: charger_1, is_charger: true, is_parking_spot: true, spawn_robot_name: tiny}]
    - [4.0, 0.0, {name: ''}]
    - [4.0, -3.0, {name: coke, pickup_dispenser: coke_dispenser}]
    - [7.5, -3.0, {name: lounge}]
lifts:
  Lift1: {dims: [2.0, 2.0], position: [9.0, 9.0, 0.0]}
"""


def read(tmp_path: Path, text: str, name: str = "0.yaml", **options: Any) -> tuple[SiteMap, list[str]]:
    (tmp_path / name).write_text(text)
    return read_rmf(tmp_path / name, **options)


def moves(site: SiteMap) -> set[tuple[tuple[float, float], tuple[float, float]]]:
    """Pairs of centres, to the mm."""
    at = [(round(x, 3) + 0.0, round(y, 3) + 0.0) for x, y in site.centres().tolist()]
    table = neighbours_of(site.free, leave_of(site))
    return {(at[c], at[d]) for c, row in enumerate(table.tolist()) for d in row if d >= 0}


def test_a_nav_graph_becomes_cells_with_its_lanes_places_and_limits(tmp_path: Path) -> None:
    site, _ = read(tmp_path, GRAPH)
    assert (site.name, site.resolution_m) == ("office", 1.0)
    assert {p.id: (p.kind, site.centre(p.cell)) for p in site.places.values()} == {
        "charger_1": ("charger", (0.0, 0.0)), "coke": ("pick_face", (4.0, -3.0)), "lounge": ("station", (8.0, -3.0)),
    }  # fmt: skip
    there = {((float(x), 0.0), (x + 1.0, 0.0)) for x in range(4)}
    down = {((4.0, -float(y)), (4.0, -y - 1.0)) for y in range(3)}
    on = {((4.0 + x, -3.0), (5.0 + x, -3.0)) for x in range(4)}
    assert moves(site) == there | {m[::-1] for m in there} | down | on | {m[::-1] for m in on}
    limits = {site.centre(c): float(v) for c, v in enumerate(site.speed_limits().flat) if site.free.flat[c]}
    assert limits[(2.0, 0.0)] == 0.5 and limits[(0.0, 0.0)] == math.inf and limits[(6.0, -3.0)] == 0.8
    assert limits[(4.0, -3.0)] == 0.8 and limits[(4.0, -1.0)] == math.inf


def test_each_feature_that_is_not_modelled_is_listed_by_name(tmp_path: Path) -> None:
    _, notes = read(tmp_path, GRAPH)
    for words in ("lifts (Lift1)", "doors (main_door)", "'door_name'", "'orientation_constraint'", "'dock_name'", "'spawn_robot_name'",
                  "named points (lounge)", "charger that is also parking (charger_1)"):  # fmt: skip
        assert sum(words in line for line in notes) == 1, words
    assert len(notes) == 8
    _, more = read(tmp_path, GRAPH.replace("{name: ''}", "{name: '', is_teapot: true, is_cleaning_zone: false}"))
    assert [line for line in more if line not in notes] == ["'is_teapot' (vertices[1]): not known, and not used"]


def test_slanting_lanes_are_chains_of_cells_that_touch_by_edges_the_same_both_ways(tmp_path: Path) -> None:
    graph = {"levels": {"L1": {"vertices": [[0.3, 0.1, {}], [5.2, 3.9, {}]], "lanes": [[0, 1, {}], [1, 0, {}]]}}}
    site, notes = read(tmp_path, yaml.safe_dump(graph))
    assert site.lanes is None and notes == [] and site.name == "0"
    assert int(site.free.sum()) == 1 + 5 + 4  # one cell for each border crossed
    assert site.reachable_from(site.cell_at(0.3, 0.1)).sum() == 10


def test_parallel_lanes_that_are_not_joined_stay_apart(tmp_path: Path) -> None:
    vertices = [[0, 0, {}], [5, 0, {}], [0, 1, {}], [5, 1, {}]]
    graph = {"levels": {"L1": {"vertices": vertices, "lanes": [[0, 1, {}], [1, 0, {}], [3, 2, {}]]}}}
    site, _ = read(tmp_path, yaml.safe_dump(graph))
    assert int(site.free.sum()) == 12
    assert all(a[1] == b[1] for a, b in moves(site)) and len(moves(site)) == 15


def test_lanes_nearer_than_a_cell_get_smaller_cells_and_crossings_are_told_of(tmp_path: Path) -> None:
    near = {"levels": {"L1": {"vertices": [[0, 0, {}], [5, 0, {}], [1.5, 0.4, {}], [6.5, 0.4, {}]], "lanes": [[0, 1, {}], [2, 3, {}]]}}}
    site, notes = read(tmp_path, yaml.safe_dump(near))
    assert site.resolution_m < 1.0 and notes == []
    cross = {"levels": {"L1": {"vertices": [[0, 0, {}], [6, 0, {}], [3, -3, {}], [3, 3, {}]], "lanes": [[0, 1, {}], [2, 3, {}]]}}}
    _, notes = read(tmp_path, yaml.safe_dump(cross))
    assert len(notes) == 1 and "lanes share cells (lanes[0] 0 -> 1 and lanes[1] 2 -> 3 at (3, 0) m)" in notes[0]


# As the site editor writes it (rmf_site, office.site.json): reverse lanes and graphs left out where they are the usual.
SITE_FILE: dict[str, Any] = {
    "format_version": "0.1", "properties": {"name": "building"},
    "levels": {"1": {"properties": {"name": "L1", "elevation": 0.0}, "doors": {"9": {}}, "anchors": {
        "41": {"Translate2D": [0.0, 0.0]}, "42": {"Translate2D": [3.0, 0.0]}, "44": {"Translate2D": [3.0, 2.0]},
        "50": {"Translate2D": [99.0, 99.0]}}}},
    "navigation": {"guided": {
        "graphs": {"201": {"name": "0"}, "202": {"name": "1"}}, "ranking": [201],
        "lanes": {
            "1": {"anchors": [41, 42], "graphs": {"Only": [201]}},
            "2": {"anchors": [42, 44], "forward": {"speed_limit": 0.5, "dock": {"name": "d"}}, "reverse": "Disable", "graphs": "All"},
            "3": {"anchors": [41, 44], "graphs": {"AllExcept": [201]}}},
        "locations": {
            "45": {"anchor": 44, "tags": ["Charger", "ParkingSpot"], "name": "dock", "graphs": "All"},
            "48": {"anchor": 41, "tags": ["HoldingPoint", {"Workcell": {}}], "name": "pantry", "graphs": "All"}}}},
}  # fmt: skip


def test_a_site_file_gives_the_lanes_of_the_graph_asked_for(tmp_path: Path) -> None:
    site, notes = read(tmp_path, json.dumps(SITE_FILE), "office.site.json", graph="0")
    there = {((float(x), 0.0), (x + 1.0, 0.0)) for x in range(3)}
    assert moves(site) == there | {m[::-1] for m in there} | {((3.0, float(y)), (3.0, y + 1.0)) for y in range(2)}
    assert {p.id: p.kind for p in site.places.values()} == {"dock": "charger", "pantry": "parking"}
    assert site.speed_limits().min() == 0.5
    assert {line.split(" (")[0] for line in notes} == {"doors", "'dock_name'", "charger that is also parking", "tag Workcell"}
    with pytest.raises(InputError, match="graph: '' of 2"):
        read(tmp_path, json.dumps(SITE_FILE), "office.site.json")


def random_site(seed: int) -> SiteMap:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(2, 6)), int(rng.integers(2, 6)))
    cells = (rng.random(shape) < 0.25).astype(np.uint8)
    cells[0, :2] = 0
    leave = np.full(shape, ANY_WAY, np.uint8) & ~np.where(rng.random(shape) < 0.4, 1 << rng.integers(0, 4, shape), 0).astype(np.uint8)
    leave[0, 0] |= EAST
    speeds = Layer(rng.integers(0, 3, shape).astype(np.uint8), (0.35, 1.2))
    site = SiteMap("s", float(rng.choice([0.25, 0.6, 1.0])), float(rng.normal()), float(rng.normal()), cells, {}, {}, Lanes(leave, speeds))
    chosen = rng.permutation(np.flatnonzero(site.free))[:4].tolist()
    kinds = ("charger", "pick_face", "station", "parking")
    places = {k: Place(k, k, c, *site.centre(c), 0.0) for k, c in zip(kinds, chosen)}
    return replace(site, places=places)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6))
def test_a_site_comes_back_from_a_nav_graph(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    site = random_site(seed)
    file = tmp_path_factory.mktemp("rmf") / "0.yaml"
    assert write_rmf(site, file) == []
    back, notes = read_rmf(file)
    assert notes == [] and back.resolution_m == pytest.approx(site.resolution_m)
    same = {c: back.cell_at(*site.centre(c)) for c in np.flatnonzero(site.free).tolist()}
    assert sorted(same.values()) == np.flatnonzero(back.free).tolist()
    mine, theirs = (neighbours_of(s.free, leave_of(s)) for s in (site, back))
    for cell, other in same.items():
        assert {same[c] for c in mine[cell].tolist() if c >= 0} == {c for c in theirs[other].tolist() if c >= 0}
        if mine[cell, 0] >= 0:
            assert site.speed_limits().flat[cell] == back.speed_limits().flat[other]
    assert {p.id: (p.kind, same[p.cell]) for p in site.places.values()} == {p.id: (p.kind, p.cell) for p in back.places.values()}


def test_what_a_nav_graph_has_no_room_for_is_told(tmp_path: Path) -> None:
    site = SiteMap("s", 1.0, 0.0, 0.0, np.zeros((1, 2), np.uint8), {"f": Place("f", "pick_face", 0, 0, 0, 1.0)}, {"sku": "f"})
    only = Layer(np.ones((1, 2), np.uint8), (frozenset({"forklift"}),))
    lines = write_rmf(replace(site, lanes=Lanes(only=only)), tmp_path / "0.yaml")
    assert [line.split(" (")[0] for line in lines] == ["lanes for some robots only", "headings at places", "SKUs"]


def changed(path: tuple[Any, ...], value: Any) -> str:
    data = yaml.safe_load(GRAPH)
    at = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return yaml.safe_dump(data)


LEVEL = ("levels", "L1")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("- 1", "map"), ("a: [", "map"), ("a: 1", "levels"), (changed(("levels",), [1]), "levels"),
        (changed(("levels", "L2"), {"vertices": [[0, 0, {}], [1, 0, {}]], "lanes": [[0, 1, {}]]}), "level"),
        (changed(("coordinate_system",), "reference_image"), "map: a building map"),
        (changed((*LEVEL, "vertices", 0), [1]), r"vertices\[0\]"), (changed((*LEVEL, "vertices", 0, 0), "x"), r"vertices\[0\]\[0\]"),
        (changed((*LEVEL, "vertices", 0, 0), math.nan), r"vertices\[0\]\[0\]"), (changed((*LEVEL, "vertices", 0, 2), 3), r"vertices\[0\]\[2\]"),
        (changed((*LEVEL, "vertices", 1, 2), {"name": "coke"}), "places"), (changed((*LEVEL, "vertices", 1, 2), {"name": "x" * 65}), r"vertices\[1\].name"),
        (changed((*LEVEL, "lanes", 0, 1), 9), r"lanes\[0\]\[1\]"), (changed((*LEVEL, "lanes", 0, 1), True), r"lanes\[0\]\[1\]"),
        (changed((*LEVEL, "lanes", 0, 2), {"speed_limit": -1}), r"lanes\[0\].speed_limit"), (changed((*LEVEL, "lanes", 3, 2), {"is_bidirectional": 2}), r"lanes\[3\].is"),
        (changed((*LEVEL, "vertices", 1), [0.001, 0.02, {}]), "nodes"),
    ],
)  # fmt: skip
def test_malformed_graphs_are_refused_by_name(text: str, field: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^{field}"):
        read(tmp_path, text)


def test_cells_too_large_for_the_nodes_or_too_many_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"resolution_m: .* share a cell of 9 m"):
        read(tmp_path, GRAPH, resolution_m=9.0)
    with pytest.raises(InputError, match="resolution_m"):
        read(tmp_path, GRAPH, resolution_m=0.01)
    with pytest.raises(InputError, match=r"resolution_m: .* gives"):
        read(tmp_path, changed((*LEVEL, "vertices", 3), [5000.0, 5000.0, {}]), resolution_m=0.5)
    with pytest.raises(InputError, match=r"site: .* free cells"):
        write_rmf(SiteMap("s", 1.0, 0.0, 0.0, np.zeros((500, 500), np.uint8), {}), tmp_path / "0.yaml")


def spoiled(data: Any, seed: int) -> Any:
    """The data with one of its values, anywhere, replaced or taken out."""
    rng = np.random.default_rng(seed)
    data = json.loads(json.dumps(data))
    spots: list[tuple[Any, Any]] = []

    def walk(at: Any) -> None:
        for key in list(at) if isinstance(at, dict) else range(len(at)):
            spots.append((at, key))
            if isinstance(at[key], (dict, list)):
                walk(at[key])

    walk(data)
    at, key = spots[rng.integers(len(spots))]
    values = [None, True, -1, 1e300, math.nan, "", "x", [], {}, [1], {"a": 1}, [[]], 0]
    choice = int(rng.integers(len(values) + 1))
    if choice == len(values):
        del at[key]
    else:
        at[key] = values[choice]
    return data


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_whatever_is_spoiled_in_a_file_it_is_read_or_refused_with_a_field(
    tmp_path_factory: pytest.TempPathFactory, seed: int, nav: bool
) -> None:
    file = tmp_path_factory.getbasetemp() / ("spoiled.yaml" if nav else "spoiled.site.json")
    file.write_text(json.dumps(spoiled(yaml.safe_load(GRAPH) if nav else SITE_FILE, seed)))
    try:
        site, _ = read_rmf(file, graph="" if nav else "0")
    except InputError as error:
        assert error.field
    else:
        assert site.free.any()
