"""Site maps from other people's files, and back: ROS map_server maps (YAML with a PGM or PNG) and places as CSV.

Pixels are read as Nav2's map_server reads them (nav2_map_server, map_io.cpp). Nothing but what that says is free counts
as free, and a cell of ours is free only if all of it is: unknown floor and floor beyond the image are closed.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from aislewise.sitemap import CLOSED, MAX_CELLS, OPEN, PLACE_KINDS, Place, SiteMap
from aislewise.types import F64

Bool = NDArray[np.bool_]

MAX_YAML_BYTES, MAX_IMAGE_BYTES, MAX_PIXELS = 64 << 10, 64 << 20, 25_000_000
MAX_CSV_BYTES, MAX_PLACES = 4 << 20, 20_000
MODES = ("trinary", "scale", "raw")
COLUMNS = ("id", "kind", "x_m", "y_m", "yaw_deg")
EDGE = 1e-6
"""Share of a pixel by which rounding may put an edge on the wrong side of it."""
FREE_PIXEL, TAKEN_PIXEL = 254, 0


@dataclass(frozen=True, slots=True)
class RosMap:
    """What a map_server YAML says. (x_m, y_m): the lower left corner of the image in `map`."""

    image: Path
    resolution_m: float
    x_m: float
    y_m: float
    negate: bool
    occupied: float
    free: float
    mode: str


def site_of(free: Bool, resolution_m: float, x_m: float = 0.0, y_m: float = 0.0, name: str = "site") -> SiteMap:
    """A site without places. free: (H, W), row 0 at the smallest y."""
    return SiteMap(name, resolution_m, x_m, y_m, np.where(free, OPEN, CLOSED).astype(np.uint8), {})


# ---- ROS map_server ----------------------------------------------------------------------------------


def read_ros_map(path: str | Path, resolution_m: float = 1.0, name: str = "") -> SiteMap:
    """The map of a map_server YAML on cells of resolution_m. Raises InputError naming the field."""
    said = read_ros_yaml(path)
    if not 0.05 <= resolution_m <= 10.0:
        raise InputError("resolution_m", f"{resolution_m}", "0.05 to 10 m")
    free = coarsened(_free_pixels(said), said.resolution_m, resolution_m)
    return site_of(free, resolution_m, said.x_m, said.y_m, name or Path(path).stem)


def write_ros_map(site: SiteMap, path: str | Path) -> Path:
    """The YAML, and beside it the PGM that is returned: one pixel a cell, free or occupied. Places do not go with it."""
    import yaml

    target = Path(path)
    if target.suffix not in (".yaml", ".yml"):
        raise InputError("out", target.name, "a name that ends in .yaml")
    image = target.with_suffix(".pgm")
    pixels = np.where(site.free[::-1], FREE_PIXEL, TAKEN_PIXEL).astype(np.uint8)
    said = {
        "image": image.name, "mode": "trinary", "resolution": float(site.resolution_m),
        "origin": [float(site.x_m), float(site.y_m), 0.0], "negate": 0, "occupied_thresh": 0.65, "free_thresh": 0.25,
    }  # fmt: skip
    try:
        image.write_bytes(f"P5\n{site.width} {site.height}\n255\n".encode() + pixels.tobytes())
        target.write_text(yaml.safe_dump(said, sort_keys=False, default_flow_style=None), encoding="utf-8")
    except OSError as error:
        raise InputError("out", f"cannot write {target}: {error.strerror}") from None
    return image


def read_ros_yaml(path: str | Path) -> RosMap:
    import yaml

    file = Path(path)
    try:
        data = yaml.safe_load(_bytes("map", file, MAX_YAML_BYTES).decode())
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError("map", f"{file.name} is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(data, dict):
        raise InputError("map", "must be a mapping")
    for key in ("image", "resolution", "origin", "negate", "occupied_thresh", "free_thresh"):
        if key not in data:
            raise InputError(f"map.{key}", "is missing")
    if not isinstance(data["image"], str) or not data["image"]:
        raise InputError("map.image", f"{data['image']!r}", "a file name")
    origin, mode, negate = data["origin"], data.get("mode", "trinary"), data["negate"]
    if not isinstance(origin, list) or len(origin) != 3:
        raise InputError("map.origin", f"{origin!r}", "[x, y, yaw]")
    x, y, yaw = (_number(f"map.origin[{k}]", v, -1e6, 1e6) for k, v in enumerate(origin))
    if abs(yaw) > 1e-6:
        raise InputError("map.origin[2]", f"{yaw}: turned maps are not read", 0.0)
    if mode not in MODES:
        raise InputError("map.mode", f"{mode!r}", MODES)
    if negate not in (0, 1):
        raise InputError("map.negate", f"{negate!r}", "0 or 1")
    occupied = _number("map.occupied_thresh", data["occupied_thresh"], 0.0, 1.0)
    free = _number("map.free_thresh", data["free_thresh"], 0.0, 1.0)
    if mode != "raw" and free >= occupied:
        raise InputError("map.free_thresh", f"{free}", f"below occupied_thresh {occupied}")
    resolution = _number("map.resolution", data["resolution"], 0.001, 10.0)
    return RosMap(file.parent / data["image"], resolution, x, y, bool(negate), occupied, free, mode)


def _free_pixels(said: RosMap) -> Bool:
    """(H, W) bool, row 0 at the smallest y: what map_server publishes as 0. Raw maps publish the pixel itself as
    per cent: there, less than free_thresh of 100, or 0."""
    colour, alpha = _pixels(said.image)
    if said.mode == "raw":
        per_cent = np.round(colour.mean(axis=2) * 255)
        return ((per_cent == 0) | (per_cent < 100 * said.free))[::-1]
    if said.mode == "trinary" and alpha is not None:
        shade = (colour.sum(axis=2) + alpha) / (colour.shape[2] + 1)
    else:
        shade = colour.mean(axis=2)
    free: Bool = (shade if said.negate else 1.0 - shade) < said.free
    if said.mode == "scale" and alpha is not None:
        free &= alpha == 1.0
    return free[::-1]


def _pixels(path: Path) -> tuple[F64, F64 | None]:
    """(H, W, 1 or 3) colour and (H, W) opacity of an image, all in [0, 1]."""
    import io

    from PIL import Image

    blob = _bytes("map.image", path, MAX_IMAGE_BYTES)
    try:
        with Image.open(io.BytesIO(blob), formats=("PPM", "PNG", "BMP")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError("map.image", f"{image.width} x {image.height} pixels", MAX_PIXELS)
            if image.mode.startswith("I"):
                return np.asarray(image, np.float64)[..., None] / 65535, None
            clear = image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info
            data = np.asarray(image.convert("RGBA" if clear else "L" if image.mode in ("1", "L") else "RGB"), np.float64) / 255
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError("map.image", f"cannot read {path.name}: {error}") from None
    if data.ndim == 2:
        return data[..., None], None
    return data[..., :3], data[..., 3] if clear else None


def coarsened(free: Bool, pixel_m: float, cell_m: float) -> Bool:
    """Cells of cell_m over pixels of pixel_m, from their common corner: free only if every pixel that a cell touches
    is there and free."""
    counts = [max(1, math.ceil(n * pixel_m / cell_m - EDGE)) for n in free.shape]
    if counts[0] * counts[1] > MAX_CELLS:
        raise InputError("resolution_m", f"{cell_m} gives {counts[0] * counts[1]} cells", f"{MAX_CELLS} cells")
    taken = np.zeros((free.shape[0] + 1, free.shape[1] + 1), np.int64)
    taken[1:, 1:] = np.cumsum(np.cumsum(~free, axis=0, dtype=np.int64), axis=1)
    low, high, inside = [], [], []
    for count, size in zip(counts, free.shape, strict=True):
        edges = np.arange(count + 1) * (cell_m / pixel_m)
        first = np.floor(edges[:-1] + EDGE).astype(np.int64)
        end = np.ceil(edges[1:] - EDGE).astype(np.int64)
        low.append(np.minimum(first, size))
        high.append(np.minimum(end, size))
        inside.append(end <= size)
    (r0, c0), (r1, c1) = (np.ix_(*low), np.ix_(*high))
    inner: Bool = inside[0][:, None] & inside[1][None, :]
    clear: Bool = (taken[r1, c1] - taken[r0, c1] - taken[r1, c0] + taken[r0, c0]) == 0
    return clear & inner


# ---- places --------------------------------------------------------------------------------------------


def with_places(site: SiteMap, path: str | Path) -> SiteMap:
    """The site with the places of a CSV: id, kind (station, charger, pick_face, parking), x_m and y_m in `map` of where
    a robot stands there, yaw_deg of the heading it takes. What it works at is taken to be one cell ahead; a parking
    place is where it stands."""
    try:
        rows = list(csv.DictReader(_bytes("places", Path(path), MAX_CSV_BYTES).decode("utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError("places", f"not CSV: {error}") from None
    if len(rows) > MAX_PLACES:
        raise InputError("places", f"{len(rows)} rows", MAX_PLACES)
    places: dict[str, Place] = dict(site.places)
    for number, row in enumerate(rows):
        place = _place(site, f"places[{number}]", row)
        if place.id in places:
            raise InputError(f"places[{number}].id", f"{place.id!r} is there twice")
        places[place.id] = place
    return replace(site, places=places)


def _place(site: SiteMap, where: str, row: dict[str, Any]) -> Place:
    for column in COLUMNS:
        if not (row.get(column) or "").strip():
            raise InputError(f"{where}.{column}", "is missing", ", ".join(COLUMNS))
    name, kind = row["id"].strip(), row["kind"].strip()
    if len(name) > 64:
        raise InputError(f"{where}.id", f"{len(name)} characters", 64)
    if kind not in PLACE_KINDS:
        raise InputError(f"{where}.kind", f"{kind!r}", PLACE_KINDS)
    x, y = (_number(f"{where}.{k}", row[k], -1e6, 1e6) for k in ("x_m", "y_m"))
    yaw = math.radians(_number(f"{where}.yaw_deg", row["yaw_deg"], -360.0, 360.0))
    cell = site.cell_at(x, y)
    if cell < 0 or not site.free.flat[cell]:
        raise InputError(f"{where}.x_m", f"{name!r} at ({x:g}, {y:g}) is {'off the map' if cell < 0 else 'no free cell'}")
    ahead = 0.0 if kind == "parking" else site.resolution_m
    return Place(name, kind, cell, x + ahead * math.cos(yaw), y + ahead * math.sin(yaw), yaw)


def unreachable(site: SiteMap) -> list[str]:
    """What lies outside the largest connected piece of free floor, in words; empty if nothing does."""
    from scipy.ndimage import label

    pieces, count = label(site.free)
    if count == 0:
        return ["no cell is free"]
    sizes = np.bincount(pieces.ravel())[1:]
    main = int(sizes.argmax()) + 1
    out = [f"{p.kind} {p.id} cannot be reached" for p in site.places.values() if pieces.flat[p.cell] != main]
    if count > 1:
        cells = int(sizes.sum() - sizes.max())
        out.append(f"{cells} free cells in {count - 1} pieces cannot be reached from the other {int(sizes.max())}")
    return out


def _number(field: str, value: Any, low: float, high: float) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not low <= number <= high:
        raise InputError(field, f"{value!r}", f"{low:g} to {high:g}")
    return number


def _bytes(field: str, path: Path, most: int) -> bytes:
    try:
        if path.stat().st_size > most:
            raise InputError(field, f"{path.stat().st_size} bytes", most)
        return path.read_bytes()
    except OSError as error:
        raise InputError(field, f"cannot read {path}: {error.strerror}") from None
