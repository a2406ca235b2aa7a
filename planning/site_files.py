"""Lanes and zones for a site from small files of one's own, and sites as MovingAI maps."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from aislewise.errors import InputError
from aislewise.lanes import ANY_WAY, KEYS, STEPS, Lanes, Layer, zones_from_json
from aislewise.sitemap import SiteMap
from aislewise.types import U8
from planning.lane_raster import number, text_of, write_text

MAX_ROWS = 20_000
ENDS = ("x1_m", "y1_m", "x2_m", "y2_m")
OPTIONS = ("one_way", "speed_mps", "only", "width_cells")
YES, NO = ("yes", "true", "1"), ("", "no", "false", "0")


@dataclass(frozen=True, slots=True)
class _Run:
    """A straight run of cells from end to end, and the direction (number in STEPS) in which it goes."""

    cells: tuple[int, ...]
    way: int


def with_lanes(site: SiteMap, path: str | Path) -> SiteMap:
    """The site with the lanes of a CSV: x1_m, y1_m, x2_m and y2_m in `map` of the centre line of a straight run of free
    cells, and any of: one_way (yes: between its cells one drives from the first end to the second only; crossing stays as it
    was), speed_mps, only (names between |, one of which a robot must have among its skills), width_cells. Later rows
    over earlier. To make an aisle one-way, let the run begin and end in the cross aisles; say limits and rights in a run of
    the aisle alone, or they hold for the cross aisles' cells as well. Raises InputError."""
    try:
        rows = list(csv.DictReader(text_of("lanes", path).splitlines()))
    except csv.Error as error:
        raise InputError("lanes", f"not CSV: {error}") from None
    if len(rows) > MAX_ROWS:
        raise InputError("lanes", f"{len(rows)} rows", MAX_ROWS)
    old = site.lanes or Lanes()
    leave = np.full(site.cells.shape, ANY_WAY, np.uint8) if old.leave is None else old.leave.copy()
    speed, only, width = (_Painted(site, layer) for layer in (old.speed_mps, old.only, old.width_cells))
    for k, row in enumerate(rows):
        where = f"lanes[{k}]"
        unknown = [key for key in row if key not in ENDS + OPTIONS]
        if unknown:
            raise InputError(f"{where}.{unknown[0]}", "is not known", ", ".join(ENDS + OPTIONS))
        said = {key: (row.get(key) or "").strip() for key in ENDS + OPTIONS}
        run = _run(site, where, said)
        if said["one_way"].lower() in YES:
            leave.flat[list(run.cells[1:])] &= np.uint8(ANY_WAY ^ (1 << (run.way + 2) % 4))
        elif said["one_way"].lower() not in NO:
            raise InputError(f"{where}.one_way", f"{said['one_way']!r}", "yes or no")
        if said["speed_mps"]:
            speed.paint(where, run, _number(f"{where}.speed_mps", said["speed_mps"]))
        if said["only"]:
            only.paint(where, run, frozenset(name.strip() for name in said["only"].split("|")))
        if said["width_cells"]:
            width.paint(where, run, int(_number(f"{where}.width_cells", said["width_cells"])))
    ways = leave if (leave != ANY_WAY).any() else None
    return replace(site, lanes=Lanes(ways, speed.layer(), only.layer(), width.layer()))


def with_zones(site: SiteMap, path: str | Path) -> SiteMap:
    """The site with the zones of a JSON file, a list as under "zones" in a site map, added to its own."""
    try:
        data = json.loads(text_of("zones", path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError("zones", f"{Path(path).name} is not JSON: {error}") from None
    return replace(site, zones=(*site.zones, *zones_from_json(data)))


def write_movingai(site: SiteMap, path: str | Path) -> None:
    """The free cells as a MovingAI map, its first row at the greatest y as `aislewise map import` reads it."""
    rows = ["".join(".@"[v] for v in row) for row in (~site.free[::-1]).astype(int).tolist()]
    write_text(path, "\n".join(["type octile", f"height {site.height}", f"width {site.width}", "map", *rows, ""]))


class _Painted:
    """A layer under change."""

    def __init__(self, site: SiteMap, layer: Layer[Any] | None) -> None:
        self._codes: U8 = np.zeros(site.cells.shape, np.uint8) if layer is None else layer.codes.copy()
        self._values: list[Any] = [] if layer is None else list(layer.values)

    def paint(self, where: str, run: _Run, value: Any) -> None:
        if value not in self._values:
            if len(self._values) == len(KEYS):
                raise InputError(where, f"more than {len(KEYS)} different values", len(KEYS))
            self._values.append(value)
        self._codes.flat[list(run.cells)] = self._values.index(value) + 1

    def layer(self) -> Layer[Any] | None:
        return Layer(self._codes, tuple(self._values)) if self._codes.any() else None


def _number(where: str, text: str) -> float:
    try:
        return number(where, float(text))
    except ValueError:
        raise InputError(where, f"{text!r}", "a number") from None


def _run(site: SiteMap, where: str, said: dict[str, str]) -> _Run:
    x1, y1, x2, y2 = (_number(f"{where}.{key}", said[key]) for key in ENDS)
    first, last = site.cell_at(x1, y1), site.cell_at(x2, y2)
    for cell, key in ((first, "x1_m"), (last, "x2_m")):
        if cell < 0:
            raise InputError(f"{where}.{key}", "is off the map")
    (r1, c1), (r2, c2) = divmod(first, site.width), divmod(last, site.width)
    if (r1 == r2) == (c1 == c2):
        raise InputError(where, "runs neither along a row nor along a column of cells", "two ends in one row or column")
    step = (int(np.sign(r2 - r1)), int(np.sign(c2 - c1)))
    cells = tuple((r1 + k * step[0]) * site.width + c1 + k * step[1] for k in range(abs(r2 - r1) + abs(c2 - c1) + 1))
    for cell in cells:
        if not site.free.flat[cell]:
            x, y = site.centre(cell)
            raise InputError(where, f"({x:g}, {y:g}) is no free cell")
    return _Run(cells, STEPS.index(step))
