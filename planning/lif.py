"""The Layout Interchange Format of the VDMA (LIF 1.0.0, 2024; JSON): track layouts of driverless transport vehicles.

A layout has nodes, directed edges between them, and stations at nodes; nodes and edges list the vehicle types that may use
them, and what holds for each (https://github.com/Intralogistics-2X-LIF/Layout-Interchange-Format). An edge for some of
a layout's vehicle types only becomes cells for robots with that type among their skills. What a station is for is told
by the actions at its nodes (LIF 8.3.13.1): charging, pick, drop; one with neither is taken to be for parking."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from aislewise.errors import InputError
from aislewise.sitemap import PLACE_KINDS, SiteMap
from planning.lane_raster import (
    Edge,
    Node,
    Notes,
    Point,
    entry,
    graph_of_site,
    number,
    site_of_graph,
    text_of,
    write_text,
)

VERSION = "1.0.0"
KIND_OF = {"startcharging": "charger", "charge": "charger", "pick": "pick_face", "drop": "station"}
ACTIONS = {"charger": ("startCharging", "stopCharging"), "pick_face": ("pick",), "station": ("drop",), "parking": ()}
ROBOT = "robot"
"""Vehicle type, in what is written, of robots that have no name of their own."""
ROTATIONS = ("NONE", "CCW", "CW", "BOTH")
EDGE_FEATURES = {
    "vehicleOrientation": "which way a robot looks on a lane is left to the robot",
    "orientationType": "which way a robot looks on a lane is left to the robot",
    "rotationAtStartNodeAllowed": "robots are taken to turn where they like",
    "rotationAtEndNodeAllowed": "robots are taken to turn where they like",
    "maxRotationSpeed": "not modelled", "minHeight": "heights are not modelled", "maxHeight": "heights are not modelled",
    "loadRestriction": "lanes are open to robots with and without loads", "actions": "actions on lanes are not modelled",
    "reentryAllowed": "not modelled",
}  # fmt: skip
DEFAULTS = {"orientationType": "TANGENTIAL", "rotationAtStartNodeAllowed": "BOTH", "rotationAtEndNodeAllowed": "BOTH", "reentryAllowed": True}
MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What reading a list where an object belongs, or the like, ends in."""
CURVE_POINTS, MAX_CONTROL_POINTS, MAX_DEGREE = 32, 1000, 10


def read_lif(path: str | Path, resolution_m: float | None = None, layout: str = "", vehicle: str = "") -> tuple[SiteMap, list[str]]:
    """(the site of one layout, a line for each thing that it could not take over)

    layout: its layoutId, needed where a file has several. vehicle: take only what this vehicle type may use. Raises
    InputError naming the field."""
    notes = Notes()
    try:
        data = json.loads(text_of("map", path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError("map", f"{Path(path).name} is not JSON: {error}") from None
    try:
        name, nodes, edges = _read(data, layout, vehicle, notes)
    except MALFORMED as error:
        raise InputError("map", f"malformed: {error}") from error
    return site_of_graph(name, nodes, edges, resolution_m, notes), notes.lines()


def _read(data: Any, layout: str, vehicle: str, notes: Notes) -> tuple[str, list[Node], list[Edge]]:
    meta = entry("", data, "metaInformation", dict)
    version = entry("metaInformation", meta, "lifVersion", str)
    if version.partition(".")[0] not in ("0", "1"):
        notes.add("lifVersion", version, f"read as {VERSION}")
    where, said = _layout(entry("", data, "layouts", list), layout, notes)
    types = _types(where, said, vehicle)
    nodes, index = _nodes(where, said, types, vehicle, notes)
    nodes = _with_stations(where, said, nodes, index, notes)
    edges = _edges(where, said, index, types, vehicle, notes)
    name = str(said.get("layoutName") or meta.get("projectIdentification") or said["layoutId"])
    return name, nodes, edges


def write_lif(site: SiteMap, path: str | Path, stamp: str, creator: str = "Aislewise") -> list[str]:
    """Writes a layout with a node for each free cell and an edge for each move; returns what it could not say. stamp:
    the time of writing, ISO 8601 in UTC."""
    notes = Notes()
    graph = graph_of_site(site, ("only", "heading"), notes)
    types = sorted({ROBOT}.union(*graph.only))  # robots that have none of the names of reserved cells are one type
    names = [f"n{cell // site.width}_{cell % site.width}" for cell in graph.cells.tolist()]
    nodes, stations, rights = [], [], [sorted(only) or types for only in graph.only]
    for cell, name, allowed in zip(graph.cells.tolist(), names, rights):
        x, y = site.centre(cell)
        place = graph.place.get(cell)
        said: dict[str, Any] = {}
        if place is not None:
            said["theta"] = math.remainder(place.yaw_rad, math.tau)
            said["actions"] = [{"actionType": a, "requirementType": "CONDITIONAL", "blockingType": "HARD"} for a in ACTIONS[place.kind]]
            stations.append({
                "stationId": place.id, "interactionNodeIds": [name], "stationDescription": place.kind,
                "stationPosition": {"x": place.x_m, "y": place.y_m, "theta": said["theta"]},
            })  # fmt: skip
        nodes.append({
            "nodeId": name, "mapId": site.name, "nodePosition": {"x": round(x, 6), "y": round(y, 6)},
            "vehicleTypeNodeProperties": [{"vehicleTypeId": t, **said} for t in allowed],
        })  # fmt: skip
    edges = []
    for (start, end), speed in zip(graph.moves.tolist(), graph.speed_mps.tolist()):
        shared = [t for t in rights[start] if t in rights[end]]
        if not shared:
            notes.add("moves between cells for different robots", f"{names[start]}-{names[end]}", "no robot may make them: left out")
            continue
        limit = {"maxSpeed": speed} if speed < math.inf else {}
        edges.append({
            "edgeId": f"{names[start]}-{names[end]}", "startNodeId": names[start], "endNodeId": names[end],
            "vehicleTypeEdgeProperties": [{"vehicleTypeId": t, "rotationAllowed": True, **limit} for t in shared],
        })  # fmt: skip
    meta = {"projectIdentification": site.name, "creator": creator, "exportTimestamp": stamp, "lifVersion": VERSION}
    layout = {"layoutId": site.name, "layoutName": site.name, "layoutVersion": "1", "nodes": nodes, "edges": edges, "stations": stations}
    write_text(path, json.dumps({"metaInformation": meta, "layouts": [layout]}, indent=1) + "\n")
    return notes.lines()


def _layout(layouts: list[Any], wanted: str, notes: Notes) -> tuple[str, dict[str, Any]]:
    names = [str(entry(f"layouts[{k}]", said, "layoutId", str)) for k, said in enumerate(layouts)]
    if (wanted and wanted not in names) or (not wanted and len(names) != 1):
        raise InputError("layout", f"{wanted!r} of {len(names)}", f"one of {', '.join(names[:8]) or 'none'}")
    number_ = names.index(wanted) if wanted else 0
    for k, name in enumerate(names):
        if k != number_:
            notes.add("other layouts", name, "one layout becomes a site")
    where = f"layouts[{number_}]"
    said = {"stations": [], **layouts[number_]}
    if "stations" not in layouts[number_]:
        notes.add("no stations", where, "the format asks for them, if only for an empty list")
    for key in ("nodes", "edges", "stations"):
        entry(where, said, key, list)
    return where, said


def _properties(where: str, item: Any, key: str) -> dict[str, dict[str, Any]]:
    """What an item says, by vehicle type."""
    out: dict[str, dict[str, Any]] = {}
    for k, said in enumerate(entry(where, item, key, list)):
        name = entry(f"{where}.{key}[{k}]", said, "vehicleTypeId", str)
        if name in out:
            raise InputError(f"{where}.{key}[{k}].vehicleTypeId", f"{name!r} is there twice")
        if not 1 <= len(name) <= 64:
            raise InputError(f"{where}.{key}[{k}].vehicleTypeId", f"{len(name)} characters", "1 to 64")
        out[name] = said
    if not out:
        raise InputError(f"{where}.{key}", "is empty")
    return out


def _types(where: str, said: dict[str, Any], vehicle: str) -> frozenset[str]:
    types: set[str] = set()
    for items, key in (("nodes", "vehicleTypeNodeProperties"), ("edges", "vehicleTypeEdgeProperties")):
        for k, item in enumerate(said[items]):
            types |= _properties(f"{where}.{items}[{k}]", item, key).keys()
    if vehicle and vehicle not in types:
        raise InputError("vehicle", f"no type {vehicle!r}", f"one of {', '.join(sorted(types)[:8])}")
    return frozenset(types)


def _nodes(
    where: str, said: dict[str, Any], types: frozenset[str], vehicle: str, notes: Notes
) -> tuple[list[Node], dict[str, int]]:
    """Nodes without places; kind and yaw are kept in `kind` and `yaw_rad` for the stations there."""
    nodes: list[Node] = []
    index: dict[str, int] = {}
    for k, node in enumerate(said["nodes"]):
        at = f"{where}.nodes[{k}]"
        name = entry(at, node, "nodeId", str)
        if name in index:
            raise InputError(f"{at}.nodeId", f"{name!r} is there twice")
        position = entry(at, node, "nodePosition", dict)
        x, y = (number(f"{at}.nodePosition.{v}", position.get(v)) for v in "xy")
        by_type = _properties(at, node, "vehicleTypeNodeProperties")
        if vehicle and vehicle not in by_type:
            continue
        kept = [by_type[vehicle]] if vehicle else list(by_type.values())
        yaws = [number(f"{at}.theta", p["theta"], -math.pi - 1e-6, math.pi + 1e-6) for p in kept if p.get("theta") is not None]
        if len(set(yaws)) > 1:
            notes.add("theta that differs between vehicle types", name, "the first is taken")
        kinds = []
        for said_of_type in kept:
            for n, action in enumerate(said_of_type.get("actions") or []):
                kind = entry(f"{at}.actions[{n}]", action, "actionType", str)
                if kind.lower() in KIND_OF:
                    kinds.append(KIND_OF[kind.lower()])
                elif kind.lower() != "stopcharging":
                    notes.add(f"action {kind!r}", name, "not modelled")
        kinds = list(dict.fromkeys(kinds))
        kind_ = "station" if {"station", "pick_face"} <= set(kinds) else kinds[0] if kinds else "parking"
        index[name] = len(nodes)
        only = frozenset() if vehicle or by_type.keys() == types else frozenset(by_type)
        nodes.append(Node(name, x, y, kind_, "", yaws[0] if yaws else None, only=only))
    return nodes, index


def _with_stations(where: str, said: dict[str, Any], nodes: list[Node], index: dict[str, int], notes: Notes) -> list[Node]:
    """The nodes, those of stations with their places."""
    placed: dict[int, Node] = {}
    for k, station in enumerate(said["stations"]):
        at = f"{where}.stations[{k}]"
        name, spots = entry(at, station, "stationId", str), entry(at, station, "interactionNodeIds", list)
        if not spots:
            raise InputError(f"{at}.interactionNodeIds", "is empty")
        thing: Point | None = None
        position = station.get("stationPosition")
        if position is not None:
            thing = (number(f"{at}.stationPosition.x", position.get("x")), number(f"{at}.stationPosition.y", position.get("y")))
        for n, spot in enumerate(spots):
            if spot not in index:
                notes.add("stations at nodes that are not read", f"{name} at {spot}", "left out")
                continue
            node = nodes[index[spot]]
            if index[spot] in placed:
                notes.add("stations that share a node", f"{placed[index[spot]].place} and {name}", "the first is taken")
                continue
            described = station.get("stationDescription")
            kind = described if described in PLACE_KINDS else node.kind
            place = name if len(spots) == 1 else f"{name}/{spot}"
            if not 1 <= len(place) <= 64:
                raise InputError(f"{at}.stationId", f"{len(place)} characters", "1 to 64")
            placed[index[spot]] = Node(node.name, node.x_m, node.y_m, str(kind), place, node.yaw_rad, thing, node.only)
            if n == 0 and station.get("stationHeight") not in (None, 0, 0.0, "0", "0.0"):
                notes.add("stationHeight", name, "heights are not modelled")
    return [placed.get(k, Node(n.name, n.x_m, n.y_m, only=n.only)) for k, n in enumerate(nodes)]


def _edges(
    where: str, said: dict[str, Any], index: dict[str, int], types: frozenset[str], vehicle: str, notes: Notes
) -> list[Edge]:
    edges: list[Edge] = []
    seen: set[str] = set()
    known = {entry(f"{where}.nodes", node, "nodeId", str) for node in said["nodes"]}
    for k, edge in enumerate(said["edges"]):
        at = f"{where}.edges[{k}]"
        name, start, end = (entry(at, edge, key, str) for key in ("edgeId", "startNodeId", "endNodeId"))
        if name in seen:
            raise InputError(f"{at}.edgeId", f"{name!r} is there twice")
        seen.add(name)
        if start not in known:
            raise InputError(f"{at}.startNodeId", f"no node {start!r}")
        by_type = _properties(at, edge, "vehicleTypeEdgeProperties")
        if end not in known:
            notes.add("edges to other layouts", name, "left out: one layout becomes a site")
            continue
        if vehicle and vehicle not in by_type:
            continue
        if start not in index or end not in index:
            raise InputError(f"{at}.vehicleTypeEdgeProperties", f"{vehicle!r} may use neither of its nodes", "edge and nodes")
        kept = [by_type[vehicle]] if vehicle else list(by_type.values())
        for p in kept:
            _note_features(at, name, p, notes)
        speeds = {_speed(f"{at}.maxSpeed", p, name, notes) for p in kept}
        if len(speeds) > 1:
            notes.add("maxSpeed that differs between vehicle types", name, "the least is taken")
        only = frozenset() if vehicle or by_type.keys() == types else frozenset(by_type)
        curves = [p["trajectory"] for p in kept if p.get("trajectory") is not None]
        if any(curve != curves[0] for curve in curves):
            notes.add("trajectories that differ between vehicle types", name, "the first is taken")
        via = _curve(f"{at}.trajectory", curves[0]) if curves else ()
        edges.append(Edge(name, index[start], index[end], min(speeds), only, via))
    return edges


def _speed(where: str, said: dict[str, Any], name: str, notes: Notes) -> float:
    if said.get("maxSpeed") is None:
        return math.inf
    speed = number(where, said["maxSpeed"], 0.0, 1000.0)
    if speed == 0.0:
        raise InputError(where, "0", "above 0 m/s")
    if speed > 20.0:
        notes.add("maxSpeed above 20 m/s", name, "taken as no limit")
        return math.inf
    return speed


def _note_features(where: str, name: str, said: dict[str, Any], notes: Notes) -> None:
    if not isinstance(said.get("rotationAllowed"), bool):
        raise InputError(f"{where}.rotationAllowed", f"{said.get('rotationAllowed')!r}", "true or false")
    for key in ("rotationAtStartNodeAllowed", "rotationAtEndNodeAllowed"):
        if said.get(key, "BOTH") not in ROTATIONS:
            raise InputError(f"{where}.{key}", f"{said[key]!r}", ROTATIONS)
    for key, meaning in EDGE_FEATURES.items():
        if said.get(key) not in (None, [], DEFAULTS.get(key)):
            notes.add(key, name, meaning)


def _curve(where: str, said: Any) -> tuple[Point, ...]:
    """Points on a NURBS between its ends: a B-spline of the weighted points, divided by that of the weights."""
    from scipy.interpolate import BSpline

    knots, points = entry(where, said, "knotVector", list), entry(where, said, "controlPoints", list)
    degree = int(number(f"{where}.degree", said.get("degree", 1), 1, MAX_DEGREE))
    if not degree < len(points) <= MAX_CONTROL_POINTS:
        raise InputError(f"{where}.controlPoints", f"{len(points)}", f"{degree + 1} to {MAX_CONTROL_POINTS}")
    if len(knots) != len(points) + degree + 1:
        raise InputError(f"{where}.knotVector", f"{len(knots)} knots", f"{len(points) + degree + 1}")
    t = np.array([number(f"{where}.knotVector", v, 0.0, 1.0) for v in knots])
    if (np.diff(t) < 0).any() or t[degree] >= t[-degree - 1]:
        raise InputError(f"{where}.knotVector", "is not ascending", "0 to 1")
    rows = []
    for k, point in enumerate(points):
        at = f"{where}.controlPoints[{k}]"
        x, y = (number(f"{at}.{v}", point.get(v) if isinstance(point, dict) else None) for v in "xy")
        weight = number(f"{at}.weight", point.get("weight", 1.0), 1e-6, 1e6)
        rows.append((x * weight, y * weight, weight))
    steps = np.linspace(t[degree], t[-degree - 1], CURVE_POINTS + 2)[1:-1]
    curve = BSpline(t, np.array(rows), degree)(steps)
    return tuple((float(x / w), float(y / w)) for x, y, w in curve)
