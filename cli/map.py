"""`aislewise map`: site maps from public and ROS map files, to ROS map files, and as pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aislewise.sitemap import SiteMap

PLACES = """places.csv has a line of column names and then a place a line:
  id       its name, such as station_1
  kind     station, charger, pick_face or parking
  x_m y_m  where a robot stands there, metres in `map`; a free cell
  yaw_deg  the heading it takes there, degrees from the x axis; what it works at is one cell ahead

A .map (MovingAI) has its first row at the greatest y, as it looks in an editor, and cells of --resolution.
A map.yaml (map_server) is resampled to --resolution: a cell is free only if all of it is."""


def add(subparsers: Any) -> None:
    p = subparsers.add_parser("map", help="import, export and show site maps", description=__doc__)
    verbs = p.add_subparsers(dest="action", metavar="ACTION", required=True)
    get = verbs.add_parser(
        "import", help="a site map from a .map (MovingAI) or map.yaml (map_server)", epilog=PLACES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    get.add_argument("file", metavar="FILE", help="a .map, or the .yaml of a map_server map")
    get.add_argument("--out", default="site.json", metavar="FILE", help="default %(default)s")
    get.add_argument("--resolution", type=float, default=1.0, metavar="M", help="of our cells, m (default %(default)s)")
    get.add_argument("--places", metavar="CSV", help="stations, chargers, parking and pick faces: see below")
    get.set_defaults(func=run_import)
    put = verbs.add_parser("export", help="a map.yaml and .pgm that Nav2's map_server reads")
    put.add_argument("site", metavar="SITE.json")
    put.add_argument("--out", default="map.yaml", metavar="FILE", help="default %(default)s; the .pgm goes beside it")
    put.set_defaults(func=run_export)
    show = verbs.add_parser("show", help="a picture with the places labelled")
    show.add_argument("site", metavar="SITE.json")
    show.add_argument("--out", default="map.png", metavar="FILE", help="default %(default)s")
    show.set_defaults(func=run_show)


def run_import(args: argparse.Namespace) -> int:
    from aislewise.errors import InputError
    from planning.mapfiles import read_ros_map, site_of, unreachable, with_places
    from planning.movingai import read_map

    suffix = Path(args.file).suffix
    if suffix == ".map":
        site = site_of(read_map(args.file)[::-1], args.resolution, name=Path(args.file).stem)
    elif suffix in (".yaml", ".yml"):
        site = read_ros_map(args.file, args.resolution)
    else:
        raise InputError("file", Path(args.file).name, ".map, .yaml or .yml")
    if args.places:
        site = with_places(site, args.places)
    lost = unreachable(site)
    for text in lost[:20]:
        print(f"warning: {text}", file=sys.stderr)
    if len(lost) > 20:
        print(f"warning: and {len(lost) - 20} more", file=sys.stderr)
    try:
        site.save(args.out)
    except OSError as error:
        raise InputError("out", f"cannot write {args.out}: {error.strerror}") from None
    print(f"{args.out}: {_summary(site)}")
    return 0


def run_export(args: argparse.Namespace) -> int:
    from aislewise.sitemap import SiteMap
    from planning.mapfiles import write_ros_map

    site = SiteMap.load(args.site)
    image = write_ros_map(site, args.out)
    print(f"{args.out}, {image}: {_summary(site)}")
    return 0


def run_show(args: argparse.Namespace) -> int:
    from aislewise.sitemap import SiteMap
    from planning.site_picture import draw_site

    site = SiteMap.load(args.site)
    draw_site(site, args.out)
    print(f"{args.out}: {_summary(site)}")
    return 0


def _summary(site: SiteMap) -> str:
    free = int(site.free.sum())
    return f"{site.width} x {site.height} cells of {site.resolution_m:g} m, {free} free, {len(site.places)} places"
