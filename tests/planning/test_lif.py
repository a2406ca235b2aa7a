"""VDMA layouts in and out: what nodes, edges and stations become, and that nothing is dropped in silence."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from aislewise.lanes import ANY_WAY, EAST, Lanes, Layer, Zone
from aislewise.sitemap import Place, SiteMap
from planning.lane_graph import leave_of, neighbours_of
from planning.lif import read_lif, write_lif


def node(name: str, x: float, y: float, *types: str, **said: Any) -> dict[str, Any]:
    by_type = [{"vehicleTypeId": t, **said} for t in types or ("A", "B")]
    return {"nodeId": name, "nodePosition": {"x": x, "y": y}, "vehicleTypeNodeProperties": by_type}


def edge(start: str, end: str, *types: str, **said: Any) -> dict[str, Any]:
    by_type = [{"vehicleTypeId": t, "rotationAllowed": True, **said} for t in types or ("A", "B")]
    return {"edgeId": f"{start}-{end}", "startNodeId": start, "endNodeId": end, "vehicleTypeEdgeProperties": by_type}


def action(kind: str) -> dict[str, Any]:
    return {"actionType": kind, "requirementType": "CONDITIONAL", "blockingType": "HARD"}


LAYOUT: dict[str, Any] = {
    "metaInformation": {
        "projectIdentification": "hall", "creator": "x", "exportTimestamp": "2024-03-01T10:00:00.00Z", "lifVersion": "1.0.0",
    },
    "layouts": [{
        "layoutId": "ground", "layoutVersion": "1",
        "nodes": [
            node("n1", 0, 0, actions=[action("startCharging"), action("stopCharging")]), node("n2", 3, 0),
            node("n3", 3, 2, theta=1.5, actions=[action("pick")]), node("n4", 5, 0, "A", actions=[action("drop"), action("sing")]),
        ],
        "edges": [
            edge("n1", "n2"), edge("n2", "n1", maxSpeed=0.5), edge("n2", "n3", loadRestriction={"unloaded": True, "loaded": False}),
            edge("n2", "n4", "A"),
        ],
        "stations": [
            {"stationId": "dock", "interactionNodeIds": ["n1"]},
            {"stationId": "rack", "interactionNodeIds": ["n3"], "stationPosition": {"x": 3.0, "y": 3.0}, "stationHeight": 1.5},
            {"stationId": "out", "interactionNodeIds": ["n4", "n2"]},
        ],
    }],
}  # fmt: skip


def read(tmp_path: Path, data: Any, **options: Any) -> tuple[SiteMap, list[str]]:
    (tmp_path / "l.json").write_text(data if isinstance(data, str) else json.dumps(data))
    return read_lif(tmp_path / "l.json", **options)


def moves(site: SiteMap) -> set[tuple[tuple[float, float], tuple[float, float]]]:
    at = [(round(x, 3) + 0.0, round(y, 3) + 0.0) for x, y in site.centres().tolist()]
    table = neighbours_of(site.free, leave_of(site))
    return {(at[c], at[d]) for c, row in enumerate(table.tolist()) for d in row if d >= 0}


def rights(site: SiteMap, x: float, y: float) -> set[str]:
    layer = site.lanes.only if site.lanes is not None else None
    code = 0 if layer is None else int(layer.codes.flat[site.cell_at(x, y)])
    return set(layer.values[code - 1]) if layer is not None and code else set()


def test_a_layout_becomes_cells_with_its_lanes_stations_rights_and_limits(tmp_path: Path) -> None:
    site, notes = read(tmp_path, LAYOUT)
    there = {((float(x), 0.0), (x + 1.0, 0.0)) for x in range(3)}
    on = {((3.0, float(y)), (3.0, y + 1.0)) for y in range(2)} | {((float(x), 0.0), (x + 1.0, 0.0)) for x in (3, 4)}
    assert site.resolution_m == 1.0 and moves(site) == there | {m[::-1] for m in there} | on
    assert {p.id: p.kind for p in site.places.values()} == {"dock": "charger", "rack": "pick_face", "out/n4": "station", "out/n2": "parking"}
    rack = site.places["rack"]
    assert (rack.x_m, rack.y_m, rack.yaw_rad, site.centre(rack.cell)) == (3.0, 3.0, 1.5, (3.0, 2.0))
    assert rights(site, 4, 0) == rights(site, 5, 0) == {"A"} and rights(site, 3, 0) == rights(site, 1, 0) == set()
    assert site.speed_limits().flat[site.cell_at(1, 0)] == 0.5 and site.speed_limits().flat[site.cell_at(3, 1)] == math.inf
    assert sorted(line.split(" (")[0] for line in notes) == ["action 'sing'", "loadRestriction", "stationHeight"]


def test_the_layout_of_one_vehicle_type_has_only_what_it_may_use(tmp_path: Path) -> None:
    site, _ = read(tmp_path, LAYOUT, vehicle="B")
    assert site.cell_at(5, 0) < 0 or not site.free.flat[site.cell_at(5, 0)]
    assert site.lanes is not None and site.lanes.only is None and set(site.places) == {"dock", "rack", "out/n2"}
    with pytest.raises(InputError, match="vehicle: no type 'C'"):
        read(tmp_path, LAYOUT, vehicle="C")


def test_one_of_several_layouts_must_be_asked_for_and_edges_between_them_are_told_of(tmp_path: Path) -> None:
    data = copy.deepcopy(LAYOUT)
    upper = {"layoutId": "upper", "layoutVersion": "1", "nodes": [node("u1", 0, 0), node("u2", 2, 0)], "edges": [edge("u1", "u2")], "stations": []}
    data["layouts"].append(upper)
    data["layouts"][0]["edges"].append(edge("n1", "u1"))
    with pytest.raises(InputError, match="layout: '' of 2"):
        read(tmp_path, data)
    site, notes = read(tmp_path, data, layout="ground")
    assert {"other layouts", "edges to other layouts"} <= {line.split(" (")[0] for line in notes}
    assert int(read(tmp_path, data, layout="upper")[0].free.sum()) == 3 < int(site.free.sum())


def test_a_quarter_circle_of_a_trajectory_is_followed(tmp_path: Path) -> None:
    """A rational curve of degree 2, whose every point is 10 m from the origin; as a plain B-spline it is not."""
    arc = {
        "degree": 2, "knotVector": [0, 0, 0, 1, 1, 1],
        "controlPoints": [{"x": 10, "y": 0}, {"x": 10, "y": 10, "weight": math.sqrt(0.5)}, {"x": 0, "y": 10}],
    }  # fmt: skip
    data = copy.deepcopy(LAYOUT)
    data["layouts"][0].update(nodes=[node("a", 10, 0), node("b", 0, 10)], edges=[edge("a", "b", trajectory=arc)], stations=[])
    site, notes = read(tmp_path, data, resolution_m=0.25)
    off = [math.hypot(*site.centre(c)) - 10 for c in np.flatnonzero(site.free).tolist()]
    assert notes == [] and max(map(abs, off)) < 0.25 and len(off) > 70


def random_site(seed: int) -> SiteMap:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(2, 6)), int(rng.integers(2, 6)))
    cells = (rng.random(shape) < 0.25).astype(np.uint8)
    cells[0, :2] = 0
    leave = np.full(shape, ANY_WAY, np.uint8) & ~np.where(rng.random(shape) < 0.4, 1 << rng.integers(0, 4, shape), 0).astype(np.uint8)
    leave[0, 0] |= EAST
    speeds = Layer(rng.integers(0, 3, shape).astype(np.uint8), (0.35, 1.2))
    only = Layer(rng.integers(0, 3, shape).astype(np.uint8), (frozenset({"fork", "lift"}), frozenset({"fork"})))
    only.codes[0, 0] = 0  # a layout in which each cell asks for a name looks as if its fleet had no other robots
    lanes = Lanes(leave, speeds, only)
    site = SiteMap("s", float(rng.choice([0.25, 0.6, 1.0])), float(rng.normal()), float(rng.normal()), cells, {}, {}, lanes)
    chosen = rng.permutation(np.flatnonzero(site.free))[:4].tolist()
    kinds = ("charger", "pick_face", "station", "parking")
    places = {k: Place(k, k, c, *rng.normal(size=2).tolist(), float(rng.uniform(-3, 3))) for k, c in zip(kinds, chosen)}
    return replace(site, places=places)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6))
def test_a_site_comes_back_from_a_layout(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    site = random_site(seed)
    file = tmp_path_factory.mktemp("lif") / "l.json"
    assert write_lif(site, file, "2024-03-01T10:00:00.00Z") == []
    back, notes = read_lif(file)
    assert notes == [] and back.resolution_m == pytest.approx(site.resolution_m)
    same = {c: back.cell_at(*site.centre(c)) for c in np.flatnonzero(site.free).tolist()}
    assert sorted(same.values()) == np.flatnonzero(back.free).tolist()
    mine, theirs = (neighbours_of(s.free, leave_of(s)) for s in (site, back))
    for cell, other in same.items():
        assert {same[c] for c in mine[cell].tolist() if c >= 0} == {c for c in theirs[other].tolist() if c >= 0}
        assert rights(site, *site.centre(cell)) == rights(back, *site.centre(cell))
        if mine[cell, 0] >= 0:
            assert site.speed_limits().flat[cell] == back.speed_limits().flat[other]
    for place in site.places.values():
        theirs_ = back.places[place.id]
        assert (theirs_.kind, theirs_.cell, theirs_.x_m, theirs_.y_m) == (place.kind, same[place.cell], place.x_m, place.y_m)
        assert theirs_.yaw_rad == pytest.approx(place.yaw_rad)


def test_what_a_layout_has_no_room_for_is_told(tmp_path: Path) -> None:
    site = SiteMap("s", 1.0, 0.0, 0.0, np.zeros((1, 3), np.uint8), {"f": Place("f", "pick_face", 0, 0, 0)}, {"sku": "f"})
    names = Layer(np.array([[1, 2, 2]], np.uint8), (frozenset({"a"}), frozenset({"b"})))
    lanes = Lanes(only=names, width_cells=Layer(np.ones((1, 3), np.uint8), (1,)))
    zone = Zone("z", "keep_out", ((0, 0), (1, 0), (1, 1)))
    lines = write_lif(replace(site, lanes=lanes, zones=(zone,)), tmp_path / "l.json", "2024-03-01T10:00:00.00Z")
    assert [line.split(" (")[0] for line in lines] == ["clear widths", "zones", "SKUs", "moves between cells for different robots"]


def changed(path: tuple[Any, ...], value: Any) -> Any:
    data = copy.deepcopy(LAYOUT)
    at: Any = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return data


L = ("layouts", 0)
PROPERTIES = (*L, "edges", 0, "vehicleTypeEdgeProperties")
BAD: list[tuple[Any, str]] = [
    ("{", "map"), ([], "metaInformation"), (changed(("metaInformation", "lifVersion"), 1), "metaInformation.lifVersion"), (changed(("layouts",), []), "layout"),
    (changed((*L, "nodes"), {}), r"layouts\[0\].nodes"), (changed((*L, "nodes", 0, "nodePosition"), {"x": 1}), r"layouts\[0\].nodes\[0\].nodePosition.y"),
    (changed((*L, "nodes", 1, "nodeId"), "n1"), r"layouts\[0\].nodes\[1\].nodeId"),
    (changed((*L, "nodes", 1, "vehicleTypeNodeProperties"), []), r"layouts\[0\].nodes\[1\].vehicleTypeNodeProperties"),
    (changed((*L, "edges", 1, "edgeId"), "n1-n2"), r"layouts\[0\].edges\[1\].edgeId"), (changed((*L, "edges", 1, "startNodeId"), "no"), r"layouts\[0\].edges\[1\].start"),
    (changed(PROPERTIES, [{"vehicleTypeId": "A"}]), r"layouts\[0\].edges\[0\].rotationAllowed"),
    (changed(PROPERTIES, [{"vehicleTypeId": "A", "rotationAllowed": True}] * 2), r"layouts\[0\].edges\[0\].vehicleTypeEdgeProperties\[1\]"),
    (changed((*PROPERTIES, 0, "maxSpeed"), 0), r"layouts\[0\].edges\[0\].maxSpeed"),
    (changed((*PROPERTIES, 0, "rotationAtEndNodeAllowed"), "LEFT"), r"layouts\[0\].edges\[0\].rotationAtEndNodeAllowed"),
    (changed((*PROPERTIES, 0, "trajectory"), {"knotVector": [0, 1], "controlPoints": [{"x": 0, "y": 0}] * 2}), r"layouts\[0\].edges\[0\].trajectory.knotVector"),
    (changed((*PROPERTIES, 0, "trajectory"), {"knotVector": [0, 1, 0, 1], "controlPoints": [{"x": 0, "y": 0}] * 2}), r"layouts\[0\].edges\[0\].trajectory.knotVector"),
    (changed((*L, "stations", 0, "interactionNodeIds"), []), r"layouts\[0\].stations\[0\].interactionNodeIds"),
    (changed((*L, "stations", 0, "stationId"), "x" * 65), r"layouts\[0\].stations\[0\].stationId"), (changed((*L, "stations", 1, "stationId"), "dock"), "places"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "field"), BAD)
def test_malformed_layouts_are_refused_by_name(data: Any, field: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^{field}"):
        read(tmp_path, data)


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 10**6))
def test_whatever_is_spoiled_in_a_file_it_is_read_or_refused_with_a_field(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data, spots = copy.deepcopy(LAYOUT), []

    def walk(at: Any) -> None:
        for key in list(at) if isinstance(at, dict) else range(len(at)):
            spots.append((at, key))
            if isinstance(at[key], (dict, list)):
                walk(at[key])

    walk(data)
    at, key = spots[rng.integers(len(spots))]
    at[key] = [None, True, -1, 1e300, math.nan, "", "x", [], {}, [1], {"a": 1}, [[]], 0][rng.integers(13)]
    try:
        site, _ = read(tmp_path_factory.getbasetemp(), data)
    except InputError as error:
        assert error.field
    else:
        assert site.free.any()


def test_stations_may_be_left_out_as_in_the_standard_s_own_examples(tmp_path: Path) -> None:
    data = copy.deepcopy(LAYOUT)
    del data["layouts"][0]["stations"]
    site, notes = read(tmp_path, data)
    assert not site.places and any(line.startswith("no stations") for line in notes)
