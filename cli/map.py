"""`aislewise map`: site maps from other systems' files, to their files, checked, and as pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aislewise.sitemap import SiteMap

PLACES = """formats:
  movingai   a .map: its first row is at the greatest y, as it looks in an editor; cells of --resolution
  occupancy  the .yaml of a ROS map_server map, resampled to --resolution: a cell is free only if all of it is
  rmf        an Open-RMF nav graph (.yaml) or site (.site.json): its lanes become cells, one-way where they are
  lif        a VDMA Layout Interchange Format layout (.json), likewise
What a format says that a site cannot hold is listed as a warning.

places.csv has a line of column names and then a place a line:
  id       its name, such as station_1
  kind     station, charger, pick_face or parking
  x_m y_m  where a robot stands there, metres in `map`; a free cell
  yaw_deg  the heading it takes there, degrees from the x axis; what it works at is one cell ahead

lanes.csv likewise, a straight run of cells a line (docs/traffic.md):
  x1_m y1_m x2_m y2_m  its ends, metres in `map`
  one_way              yes: from the first end to the second only
  speed_mps            the most that robots drive there
  only                 skills, between |, one of which a robot needs there
  width_cells          the widest robot that may be there, cells

zones.json is a list as under "zones" in a site map (docs/traffic.md)."""
IN_FORMATS = ("auto", "movingai", "occupancy", "rmf", "lif")
SUFFIXES = {".map": "movingai", ".yaml": "occupancy", ".yml": "occupancy", ".json": "lif"}
MAX_SNIFF_BYTES = 64 << 20


def add(subparsers: Any) -> None:
    p = subparsers.add_parser("map", help="import, export, check and show site maps", description=__doc__)
    verbs = p.add_subparsers(dest="action", metavar="ACTION", required=True)
    get = verbs.add_parser(
        "import", help="a site map from a MovingAI, map_server, Open-RMF or LIF file", epilog=PLACES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    get.add_argument("file", metavar="FILE")
    get.add_argument("--format", choices=IN_FORMATS, default="auto", help="default %(default)s: by name and contents")
    get.add_argument("--out", default="site.json", metavar="FILE", help="default %(default)s")
    get.add_argument("--resolution", type=float, metavar="M", help="of our cells, m (default 1.0; rmf and lif: what fits the nodes)")
    get.add_argument("--level", default="", metavar="NAME", help="rmf: the level, lif: the layoutId, where there are several")
    get.add_argument("--graph", default="", metavar="NAME", help="rmf: the graph of a site file, where there are several")
    get.add_argument("--vehicle", default="", metavar="TYPE", help="lif: only what this vehicle type may use")
    get.add_argument("--places", metavar="CSV", help="stations, chargers, parking and pick faces: see below")
    get.add_argument("--lanes", metavar="CSV", help="one-way lanes, speed limits and who may drive where: see below")
    get.add_argument("--zones", metavar="JSON", help="keep-out and slow zones: see below")
    get.set_defaults(func=run_import)
    put = verbs.add_parser("export", help="a file for ROS map_server, Open-RMF, LIF or MovingAI")
    put.add_argument("site", metavar="SITE.json")
    put.add_argument("--format", choices=IN_FORMATS, default="auto", help="default %(default)s: .yaml occupancy, .json lif, .map movingai")
    put.add_argument("--out", default="map.yaml", metavar="FILE", help="default %(default)s; of a map_server map, the .pgm goes beside it")
    put.set_defaults(func=run_export)
    check = verbs.add_parser("check", help="what traffic can promise there, and dead ends, traps and necks; status 1 if places are lost")
    check.add_argument("site", metavar="SITE.json")
    check.add_argument("--at", type=float, metavar="S", help="with the zones that hold at this moment (docs/traffic.md); default: none")
    check.add_argument("--skills", metavar="A,B", help="for robots with these skills, '' = none; default: with all that lanes ask for")
    check.add_argument("--width", type=int, default=1, metavar="N", help="for robots N cells long and wide (default %(default)s)")
    check.add_argument("--json", metavar="FILE", help="write the report there")
    check.add_argument("--picture", metavar="PNG", help="draw what was found there")
    check.set_defaults(func=run_check)
    show = verbs.add_parser("show", help="a picture with places, lanes and zones")
    show.add_argument("site", metavar="SITE.json")
    show.add_argument("--out", default="map.png", metavar="FILE", help="default %(default)s")
    show.set_defaults(func=run_show)


def run_import(args: argparse.Namespace) -> int:
    from aislewise.errors import InputError
    from planning.mapfiles import unreachable, with_places
    from planning.site_files import with_lanes, with_zones

    site, notes = _read(args)
    if args.places:
        site = with_places(site, args.places)
    if args.lanes:
        site = with_lanes(site, args.lanes)
    if args.zones:
        site = with_zones(site, args.zones)
    _warn(notes + unreachable(site))
    try:
        site.save(args.out)
    except OSError as error:
        raise InputError("out", f"cannot write {args.out}: {error.strerror}") from None
    print(f"{args.out}: {_summary(site)}")
    return 0


def _read(args: argparse.Namespace) -> tuple[SiteMap, list[str]]:
    """(the site of the file, what of it is lost)"""
    from planning.lif import read_lif
    from planning.mapfiles import read_ros_map, site_of
    from planning.movingai import read_map
    from planning.rmf_graph import read_rmf

    kind = _format_of(Path(args.file)) if args.format == "auto" else args.format
    cell_m = 1.0 if args.resolution is None else args.resolution
    if kind == "movingai":
        return site_of(read_map(args.file)[::-1], cell_m, name=Path(args.file).stem), []
    if kind == "occupancy":
        return read_ros_map(args.file, cell_m), []
    if kind == "rmf":
        return read_rmf(args.file, args.resolution, args.level, args.graph)
    return read_lif(args.file, args.resolution, args.level, args.vehicle)


def _format_of(path: Path) -> str:
    """By the name, and where that is not enough by the words that only one of the formats has."""
    from aislewise.errors import InputError

    kind = SUFFIXES.get(path.suffix, "")
    if not kind:
        raise InputError("file", path.name, "a name that ends in .map, .yaml, .yml or .json, or a --format")
    if kind == "movingai" or not path.is_file() or path.stat().st_size > MAX_SNIFF_BYTES:
        return kind
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix == ".json":
        if '"cells"' in text and '"layouts"' not in text:
            raise InputError("file", path.name, "not a site map already: nothing to import")
        return "rmf" if '"navigation"' in text and '"layouts"' not in text else "lif"
    return "rmf" if any(line.startswith("levels:") for line in text.splitlines()) else "occupancy"


def run_export(args: argparse.Namespace) -> int:
    import datetime

    from aislewise.errors import InputError
    from aislewise.sitemap import SiteMap
    from planning.lane_raster import Notes, tell_lost
    from planning.lif import write_lif
    from planning.mapfiles import write_ros_map
    from planning.rmf_graph import write_rmf
    from planning.site_files import write_movingai

    site, out = SiteMap.load(args.site), args.out
    kind = SUFFIXES.get(Path(out).suffix, "") if args.format == "auto" else args.format
    if not kind:
        raise InputError("out", Path(out).name, "a name that ends in .yaml, .json or .map, or a --format")
    notes, written = Notes(), str(out)
    if kind == "rmf":
        lost = write_rmf(site, out)
    elif kind == "lif":
        now = datetime.datetime.now(datetime.UTC)
        lost = write_lif(site, out, now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 10000:02d}Z")
    else:
        tell_lost(site, set(), notes)
        lost = notes.lines()
        if kind == "movingai":
            write_movingai(site, out)
        else:
            written = f"{out}, {write_ros_map(site, out)}"
    _warn(lost)
    print(f"{written}: {_summary(site)}")
    return 0


def run_check(args: argparse.Namespace) -> int:
    import json

    from aislewise.sitemap import SiteMap
    from planning.graph_check import check_graph
    from planning.lane_graph import open_to
    from planning.lane_raster import write_text
    from planning.site_picture import draw_site

    site = SiteMap.load(args.site)
    skills = None if args.skills is None else [name.strip() for name in args.skills.split(",") if name.strip()]
    closed = ~open_to(site, skills, args.width)
    if args.at is not None:
        closed |= site.kept_out(args.at)
    report = check_graph(site, closed)
    print(f"{args.site}: {_summary(site)}")
    print(f"connected parts: {len(report.parts)}, blocks without necks: {report.blocks}, one-way moves: {report.one_way}, "
          f"cells without a way round: {len(report.cut_cells)}")  # fmt: skip
    print(report.promise())
    for finding in report.findings:
        print(f"{finding.severity}: {finding.text}")
    if report.left_out:
        print(f"and {report.left_out} more")
    if args.json:
        write_text(args.json, json.dumps(report.to_json(), indent=1) + "\n")
    if args.picture:
        draw_site(site, args.picture, report.findings)
    return 0 if report.sound else 1


def run_show(args: argparse.Namespace) -> int:
    from aislewise.sitemap import SiteMap
    from planning.site_picture import draw_site

    site = SiteMap.load(args.site)
    draw_site(site, args.out)
    print(f"{args.out}: {_summary(site)}")
    return 0


def _warn(lines: Iterable[str]) -> None:
    listed = list(lines)
    for text in listed[:20]:
        print(f"warning: {text}", file=sys.stderr)
    if len(listed) > 20:
        print(f"warning: and {len(listed) - 20} more", file=sys.stderr)


def _summary(site: SiteMap) -> str:
    free = int(site.free.sum())
    return f"{site.width} x {site.height} cells of {site.resolution_m:g} m, {free} free, {len(site.places)} places"
