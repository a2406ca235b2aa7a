"""Open-RMF navigation graphs: the nav_graphs/*.yaml of rmf_building_map_tools, the .site.json of the site editor, and back.

A nav graph has levels, each with vertices [x, y, {name, is_charger, ...}] in metres and lanes [from, to, {speed_limit,
...}] that go one way (rmf_fleet_adapter, parse_graph.cpp). A site file has anchors, lanes between them that go both ways
unless their reverse is "Disable", and locations (rmf_site_format). What is done at places is not in them, so chargers,
dispensers, ingestors, parking spots and named points become chargers, pick faces, stations, parking and stations."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aislewise.errors import InputError
from aislewise.sitemap import SiteMap
from planning.lane_raster import Edge, Node, Notes, entry, graph_of_site, number, site_of_graph, text_of, write_text

VERTEX = {
    "is_passthrough_point": "robots may stop there as anywhere",
    "dock_name": "docking manoeuvres are not modelled",
    "lift": "lifts are not modelled: this level stands alone",
    "mutex": "robots share the lanes of a mutex group by the traffic layer's rules",
    "workcell_name": "not used", "spawn_robot_name": "not used", "spawn_robot_type": "not used",
    "human_goal_set_name": "not used", "is_cleaning_zone": "not used", "merge_radius": "not used",
}  # fmt: skip
LANE = {
    "door_name": "doors are taken to stand open",
    "orientation_constraint": "which way a robot looks on a lane is left to the robot",
    "dock_name": "docking manoeuvres are not modelled", "undock_name": "docking manoeuvres are not modelled",
    "mutex": "robots share the lanes of a mutex group by the traffic layer's rules",
    "demo_mock_floor_name": "lifts are not modelled", "demo_mock_lift_name": "lifts are not modelled",
    "graph_idx": "not used",
}  # fmt: skip
ROLES = ("is_charger", "pickup_dispenser", "dropoff_ingestor", "is_parking_spot", "is_holding_point")
KIND_OF = dict(zip(ROLES, ("charger", "pick_face", "station", "parking", "parking")))
TAGS = {"Charger": "is_charger", "ParkingSpot": "is_parking_spot", "HoldingPoint": "is_holding_point"}
MALFORMED = (AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError)
"""What reading a list where an object belongs, or the like, ends in."""
UNKNOWN = "not known, and not used"


def read_rmf(path: str | Path, resolution_m: float | None = None, level: str = "", graph: str = "") -> tuple[SiteMap, list[str]]:
    """(the site of one level of a nav graph or site file, a line for each thing that it could not take over)

    level, graph: names, needed where a file has several. Raises InputError naming the field."""
    data = _load(Path(path))
    notes = Notes()
    try:
        if "navigation" in data or "format_version" in data:
            name, vertices, lanes = _from_site_file(data, level, graph, notes)
        else:
            name, vertices, lanes = _from_nav_graph(data, level, notes)
        nodes = [_node(f"vertices[{k}]", vertex, notes) for k, vertex in enumerate(vertices)]
        edges: list[Edge] = []
        for k, lane in enumerate(lanes):
            edges += _edges(f"lanes[{k}]", lane, len(nodes), notes)
    except MALFORMED as error:
        raise InputError("map", f"malformed: {error}") from error
    return site_of_graph(name or Path(path).stem, nodes, edges, resolution_m, notes), notes.lines()


def write_rmf(site: SiteMap, path: str | Path, level: str = "L1") -> list[str]:
    """Writes a nav graph with a vertex for each free cell and a lane for each move; returns what it could not say."""
    import yaml

    notes = Notes()
    graph = graph_of_site(site, (), notes)
    vertices: list[list[Any]] = []
    for cell in graph.cells.tolist():
        x, y = site.centre(cell)
        said: dict[str, Any] = {"name": ""}
        place = graph.place.get(cell)
        if place is not None:
            said["name"] = place.id
            role = {"charger": "is_charger", "parking": "is_parking_spot"}.get(place.kind)
            if role:
                said[role] = True
            else:
                said["pickup_dispenser" if place.kind == "pick_face" else "dropoff_ingestor"] = place.id
        vertices.append([round(x, 6), round(y, 6), said])
    lanes = [
        [start, end, {"speed_limit": float(speed)} if speed < math.inf else {}]
        for (start, end), speed in zip(graph.moves.tolist(), graph.speed_mps.tolist())
    ]
    data = {"building_name": site.name, "doors": {}, "levels": {level: {"lanes": lanes, "vertices": vertices}}, "lifts": {}}
    write_text(path, yaml.dump(data, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), default_flow_style=None, sort_keys=True))
    return notes.lines()


def _load(path: Path) -> dict[str, Any]:
    """YAML or JSON; YAML by libyaml where it is there: graphs of cells are large."""
    import yaml

    text = text_of("map", path)
    try:
        if path.suffix == ".json":
            data = json.loads(text)
        else:
            data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (json.JSONDecodeError, yaml.YAMLError, RecursionError) as error:
        raise InputError("map", f"{path.name} is neither YAML nor JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(data, dict):
        raise InputError("map", "must be a mapping")
    return data


def _chosen(where: str, names: list[str], wanted: str) -> str:
    """The one of the names that is asked for; the only one if none is."""
    if wanted and wanted in names:
        return wanted
    if wanted or len(names) != 1:
        raise InputError(where, f"{wanted!r} of {len(names)}", f"one of {', '.join(names[:8]) or 'none'}")
    return names[0]


# ---- nav graphs --------------------------------------------------------------------------------------------


def _from_nav_graph(data: dict[str, Any], level: str, notes: Notes) -> tuple[str, list[Any], list[Any]]:
    levels = entry("", data, "levels", dict)
    if "coordinate_system" in data or any(isinstance(v, dict) and "measurements" in v for v in levels.values()):
        raise InputError("map", "a building map of the traffic editor", "the nav graph that building_map_generator makes of it")
    for name, said in levels.items():
        if not isinstance(said, dict):
            raise InputError(f"levels.{name}", f"{type(said).__name__}", "a mapping")
    filled = [str(name) for name, said in levels.items() if said.get("lanes")]
    chosen = _chosen("level", filled, level)
    for name in filled:
        if name != chosen:
            notes.add("other levels", name, "one level becomes a site")
    for name in data.get("lifts") or {}:
        notes.add("lifts", str(name), "not modelled: the level stands alone")
    for name in data.get("doors") or {}:
        notes.add("doors", str(name), "taken to stand open")
    for key in data:
        if key not in ("levels", "building_name", "lifts", "doors", "crs_name", "offset"):
            notes.add(f"{key!r}", "the file", UNKNOWN)
    for key in ("crs_name", "offset"):
        if data.get(key):
            notes.add(f"{key!r}", str(data[key]), "the site keeps the graph's own metres")
    said = next(v for k, v in levels.items() if str(k) == chosen)
    where = f"levels.{chosen}"
    return str(data.get("building_name") or ""), entry(where, said, "vertices", list), entry(where, said, "lanes", list)


def _node(where: str, vertex: Any, notes: Notes) -> Node:
    if not isinstance(vertex, list) or not 2 <= len(vertex) <= 3:
        raise InputError(where, f"{vertex!r:.60}", "[x, y, {name: ...}]")
    x, y = number(f"{where}[0]", vertex[0]), number(f"{where}[1]", vertex[1])
    said = vertex[2] if len(vertex) > 2 and vertex[2] is not None else {}
    if not isinstance(said, dict):
        raise InputError(f"{where}[2]", f"{type(said).__name__}", "a mapping")
    name = str(said.get("name") or "")
    roles = [role for role in ROLES if said.get(role)]
    _unused(where, name, {k: v for k, v in said.items() if k not in ("name", *ROLES)}, VERTEX, notes)
    kinds = list(dict.fromkeys(KIND_OF[role] for role in roles))
    if not kinds and name:
        kinds = ["station"]
        notes.add("named points", name, "no role is said: taken as stations")
    for kind in kinds[1:]:
        notes.add(f"{kinds[0]} that is also {kind}", name or where, f"one role a place: {kinds[0]}")
    place = name or str(next((said[r] for r in roles if isinstance(said[r], str)), "")) or f"{kinds[0]}_{where[9:-1]}" if kinds else ""
    if len(place) > 64:
        raise InputError(f"{where}.name", f"{len(place)} characters", 64)
    return Node(name or where, x, y, kinds[0] if kinds else "", place)


def _edges(where: str, lane: Any, count: int, notes: Notes) -> list[Edge]:
    if not isinstance(lane, list) or not 2 <= len(lane) <= 3:
        raise InputError(where, f"{lane!r:.60}", "[from, to, {...}]")
    for k in (0, 1):
        if isinstance(lane[k], bool) or not isinstance(lane[k], int) or not 0 <= lane[k] < count:
            raise InputError(f"{where}[{k}]", f"{lane[k]!r}", f"a vertex, 0 to {count - 1}")
    said = lane[2] if len(lane) > 2 and lane[2] is not None else {}
    if not isinstance(said, dict):
        raise InputError(f"{where}[2]", f"{type(said).__name__}", "a mapping")
    _unused(where, "", {k: v for k, v in said.items() if k not in ("speed_limit", "is_bidirectional")}, LANE, notes)
    limit = number(f"{where}.speed_limit", said.get("speed_limit") or 0.0, 0.0, 1000.0)
    both = said.get("is_bidirectional", False)
    if not isinstance(both, bool):
        raise InputError(f"{where}.is_bidirectional", f"{both!r}", "true or false")
    name = f"{where} {lane[0]} -> {lane[1]}"
    there = Edge(name, lane[0], lane[1], _speed(name, limit, notes))
    return [there, Edge(name, lane[1], lane[0], there.speed_mps)] if both else [there]


def _speed(where: str, limit: float, notes: Notes) -> float:
    """0 stands for no limit (parse_graph.cpp); faster than our sites can say is none either."""
    if limit > 20.0:
        notes.add("speed_limit above 20 m/s", where, "taken as no limit")
    return limit if 0.0 < limit <= 20.0 else math.inf


def _unused(where: str, name: str, said: Mapping[str, Any], meanings: Mapping[str, str], notes: Notes) -> None:
    for key, value in said.items():
        if value not in (None, False, "", []):
            notes.add(f"{key!r}", name or where, meanings.get(str(key), UNKNOWN))


# ---- site files --------------------------------------------------------------------------------------------


def _from_site_file(data: dict[str, Any], level: str, graph: str, notes: Notes) -> tuple[str, list[Any], list[Any]]:
    """The level's lanes and locations of one graph of a .site.json, as vertices and lanes of a nav graph."""
    guided = entry("navigation", entry("", data, "navigation", dict), "guided", dict)
    levels = entry("", data, "levels", dict)
    names = {key: str(said.get("properties", {}).get("name", key)) for key, said in levels.items()}
    graphs = {str(k): str(v.get("name", k)) for k, v in entry("navigation.guided", guided, "graphs", dict).items()}
    graph_key = next(k for k, v in graphs.items() if v == _chosen("graph", list(graphs.values()), graph))
    homes = {str(a): key for key, said in levels.items() for a in said.get("anchors", {})}
    lanes = {k: v for k, v in guided.get("lanes", {}).items() if _in_graph(v.get("graphs", "All"), graph_key)}
    used = {homes.get(str(a), "") for lane in lanes.values() for a in entry("lane", lane, "anchors", list)}
    wanted = _chosen("level", [names[key] for key in levels if key in used], level)
    chosen = next(key for key, name in names.items() if name == wanted and key in used)
    for key in data.get("lifts") or {}:
        notes.add("lifts", str(key), "not modelled: the level stands alone")
    for key in levels[chosen].get("doors") or {}:
        notes.add("doors", str(key), "taken to stand open")

    vertices: list[Any] = []
    index: dict[str, int] = {}
    for key, anchor in levels[chosen].get("anchors", {}).items():
        index[str(key)] = len(vertices)
        vertices.append([*_position(f"anchors.{key}", anchor), {}])
    for key, location in guided.get("locations", {}).items():
        at = index.get(str(location.get("anchor")))
        if at is not None and _in_graph(location.get("graphs", "All"), graph_key):
            vertices[at][2].update(_location(f"locations.{key}", location, notes))
    joined: list[Any] = []
    for key, lane in lanes.items():
        ends = [index.get(str(a)) for a in lane["anchors"]]
        if len(ends) != 2 or None in ends:
            notes.add("lanes to other levels", f"lanes.{key}", "lifts are not modelled")
            continue
        joined += _motions(f"lanes.{key}", ends, lane)
    keep = sorted({v for lane in joined for v in lane[:2]})  # anchors of walls and doors are none of ours
    renumbered = {old: new for new, old in enumerate(keep)}
    name = str(data.get("properties", {}).get("name", "site"))
    return name, [vertices[v] for v in keep], [[renumbered[a], renumbered[b], said] for a, b, said in joined]


def _in_graph(said: Any, key: str) -> bool:
    if said == "All":
        return True
    if isinstance(said, dict) and len(said) == 1:
        rule, keys = next(iter(said.items()))
        if rule in ("Only", "AllExcept") and isinstance(keys, list):
            return (key in map(str, keys)) == (rule == "Only")
    raise InputError("graphs", f"{said!r:.60}", "All, Only or AllExcept")


def _position(where: str, anchor: Any) -> tuple[float, float]:
    """The point of an anchor in any of its spellings."""
    for kind in ("Translate2D", "CategorizedTranslate2D", "Pose3D"):
        if isinstance(anchor, dict) and kind in anchor:
            said = anchor[kind]
            if kind == "Pose3D":
                said = said.get("trans") if isinstance(said, dict) else None
            elif isinstance(said, dict):
                said = said.get("general", said.get("General"))
            if isinstance(said, list) and len(said) >= 2:
                return number(where, said[0]), number(where, said[1])
    raise InputError(where, f"{anchor!r:.60}", "Translate2D [x, y]")


def _location(where: str, location: dict[str, Any], notes: Notes) -> dict[str, Any]:
    said: dict[str, Any] = {"name": str(location.get("name", ""))}
    for tag in location.get("tags", []):
        if isinstance(tag, str) and tag in TAGS:
            said[TAGS[tag]] = True
        else:
            notes.add(f"tag {next(iter(tag)) if isinstance(tag, dict) and tag else tag}", said["name"] or where, "not used")
    if location.get("mutex"):
        said["mutex"] = location["mutex"]
    return said


def _motions(where: str, ends: list[Any], lane: dict[str, Any]) -> list[Any]:
    """One lane of a nav graph, or two: of a lane that may be driven in reverse, which is said by leaving it out."""
    reverse = lane.get("reverse", "Same")
    if reverse not in ("Same", "Disable") and not (isinstance(reverse, dict) and "Different" in reverse):
        raise InputError(f"{where}.reverse", f"{reverse!r:.60}", "Same, Disable or Different")
    motions = [lane.get("forward", {})]
    if reverse != "Disable":
        motions.append(motions[0] if reverse == "Same" else reverse["Different"])
    out = []
    for a, b, motion in zip(ends, ends[::-1], motions):
        if not isinstance(motion, dict):
            raise InputError(f"{where}.forward", f"{motion!r:.60}", "an object")
        said = dict(motion)
        dock = said.pop("dock", None)
        if dock:
            said["dock_name"] = dock.get("name") if isinstance(dock, dict) else dock
        out.append([a, b, said])
    return out
