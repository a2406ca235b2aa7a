"""The site map: a grid of cells, and the named places robots work at. Stored as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aislewise.errors import InputError, UnknownPlaceError
from aislewise.lanes import MAX_ZONES, Lanes, Zone, cells_of, zones_from_json
from aislewise.types import F64, U8

MAX_CELLS = 4_000_000
OPEN, CLOSED = 0, 1
PLACE_KINDS = ("station", "charger", "pick_face", "parking")


@dataclass(frozen=True, slots=True)
class Place:
    """A named place. cell: where the robot stands (row * width + col); yaw_rad: heading it takes there
    (towards the rack face, station or charger); (x_m, y_m): the thing itself in `map`."""

    id: str
    kind: str
    cell: int
    x_m: float
    y_m: float
    yaw_rad: float = 0.0


@dataclass(frozen=True)
class SiteMap:
    """cells: (H, W) uint8, OPEN or CLOSED; row 0 is the smallest y. (x_m, y_m): corner of cell (0, 0)
    in `map`. skus: SKU -> pick face id. lanes: directions, speeds and rights of cells, None = every open cell is left
    any way by anyone. zones: floor that is shut or slow at times."""

    name: str
    resolution_m: float
    x_m: float
    y_m: float
    cells: U8
    places: dict[str, Place]
    skus: dict[str, str] = field(default_factory=dict)
    lanes: Lanes | None = None
    zones: tuple[Zone, ...] = ()

    def __post_init__(self) -> None:
        if self.cells.ndim != 2 or self.cells.size == 0:
            raise InputError("cells", "must be a non-empty 2-D grid")
        if self.cells.size > MAX_CELLS:
            raise InputError("cells", f"{self.cells.size} cells", MAX_CELLS)
        if not (math.isfinite(self.resolution_m) and 0.05 <= self.resolution_m <= 10.0):
            raise InputError("resolution_m", f"{self.resolution_m}", "0.05 to 10 m")
        for place in self.places.values():
            where = f"places.{place.id}"
            if place.kind not in PLACE_KINDS:
                raise InputError(f"{where}.kind", f"{place.kind!r}", PLACE_KINDS)
            if not 0 <= place.cell < self.cells.size:
                raise InputError(f"{where}.cell", f"{place.cell}", f"0 to {self.cells.size - 1}")
            if not self.free.flat[place.cell]:
                raise InputError(f"{where}.cell", "lies in a closed cell")
        for sku, face in self.skus.items():
            if face not in self.places or self.places[face].kind != "pick_face":
                raise InputError(f"skus.{sku}", f"no pick face {face!r}")
        if self.lanes is not None:
            self.lanes.check((self.height, self.width))
        if len(self.zones) > MAX_ZONES:
            raise InputError("zones", f"{len(self.zones)}", MAX_ZONES)
        if len({zone.id for zone in self.zones}) < len(self.zones):
            raise InputError("zones", "two zones have the same id")

    @property
    def height(self) -> int:
        return int(self.cells.shape[0])

    @property
    def width(self) -> int:
        return int(self.cells.shape[1])

    @property
    def free(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(H, W) bool: True where a robot may stand."""
        return self.cells == OPEN

    def cell_at(self, x_m: float, y_m: float) -> int:
        """Cell holding a point of `map`; -1 outside."""
        col = math.floor((x_m - self.x_m) / self.resolution_m)
        row = math.floor((y_m - self.y_m) / self.resolution_m)
        if 0 <= row < self.height and 0 <= col < self.width:
            return row * self.width + col
        return -1

    def centre(self, cell: int) -> tuple[float, float]:
        """(x_m, y_m) of a cell's centre in `map`."""
        row, col = divmod(int(cell), self.width)
        return (
            self.x_m + (col + 0.5) * self.resolution_m,
            self.y_m + (row + 0.5) * self.resolution_m,
        )

    def centres(self) -> F64:
        """(H * W, 2) float64 centres of all cells in `map`."""
        rows, cols = np.divmod(np.arange(self.cells.size), self.width)
        return np.stack(
            [
                self.x_m + (cols + 0.5) * self.resolution_m,
                self.y_m + (rows + 0.5) * self.resolution_m,
            ],
            axis=1,
        )

    def of_kind(self, kind: str) -> list[Place]:
        return [p for p in self.places.values() if p.kind == kind]

    def place(self, place_id: str, field_name: str = "place", kind: str = "") -> Place:
        """The place of that id; UnknownPlaceError naming `field_name` when there is none."""
        place = self.places.get(place_id)
        if place is None or (kind and place.kind != kind):
            known = ", ".join(sorted(p.id for p in self.places.values() if not kind or p.kind == kind)[:8])
            raise UnknownPlaceError(field_name, f"no {kind or 'place'} {place_id!r}", f"known: {known} ...")
        return place

    def neighbours(self, cell: int) -> list[int]:
        """Open cells that touch `cell` by an edge."""
        row, col = divmod(int(cell), self.width)
        steps = ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1))
        free = self.free
        return [
            r * self.width + c
            for r, c in steps
            if 0 <= r < self.height and 0 <= c < self.width and free[r, c]
        ]

    def reachable_from(self, cell: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(H, W) bool: cells connected to `cell` by open cells."""
        from scipy.ndimage import label

        labels, _ = label(self.free)
        reach: np.ndarray[Any, np.dtype[np.bool_]] = labels == labels.flat[cell]
        return reach & self.free

    def zone_cells(self, zone: Zone) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(H, W) bool: the cells that a zone overlaps."""
        corners = [((x - self.x_m) / self.resolution_m, (y - self.y_m) / self.resolution_m) for x, y in zone.polygon]
        return cells_of(corners, (self.height, self.width))

    def kept_out(self, now_s: float, utc_offset_s: float = 0.0) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(H, W) bool: the cells of keep-out zones that hold now."""
        shut = np.zeros(self.cells.shape, np.bool_)
        for zone in self.zones:
            if zone.kind == "keep_out" and zone.holds(now_s, utc_offset_s):
                shut |= self.zone_cells(zone)
        return shut

    def speed_limits(self, now_s: float | None = None, utc_offset_s: float = 0.0) -> F64:
        """(H, W) float64 m/s: the least that lanes and, at `now_s`, slow zones allow; inf = no limit."""
        said = self.lanes.speed_mps if self.lanes is not None else None
        limits = np.full(self.cells.shape, np.inf) if said is None else said.spread(np.inf)
        for zone in self.zones if now_s is not None else ():
            if zone.kind == "slow" and zone.holds(now_s or 0.0, utc_offset_s):
                inside = self.zone_cells(zone)
                limits[inside] = np.minimum(limits[inside], zone.speed_mps)
        return limits

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {
            "name": self.name,
            "resolution_m": self.resolution_m,
            "origin": [self.x_m, self.y_m],
            "cells": ["".join(".#"[v] for v in row) for row in self.cells],
            "places": [
                {"id": p.id, "kind": p.kind, "cell": p.cell, "x_m": p.x_m, "y_m": p.y_m, "yaw_rad": p.yaw_rad}
                for p in self.places.values()
            ],
            "skus": self.skus,
        }
        if self.lanes is not None:
            out["lanes"] = self.lanes.to_json()
        if self.zones:
            out["zones"] = [zone.to_json() for zone in self.zones]
        return out

    @staticmethod
    def from_json(data: Any) -> SiteMap:
        """Reads what to_json wrote. Raises InputError naming the field."""
        if not isinstance(data, dict):
            raise InputError("site", "must be an object")
        for key in ("resolution_m", "cells", "places"):
            if key not in data:
                raise InputError(f"site.{key}", "is missing")
        rows = data["cells"]
        if (
            not isinstance(rows, list)
            or not rows
            or not all(isinstance(r, str) and len(r) == len(rows[0]) and set(r) <= {".", "#"} for r in rows)
        ):
            raise InputError("site.cells", "must be equally long strings of '.' and '#'")
        cells = np.array([[".#".index(c) for c in row] for row in rows], np.uint8)
        try:
            places = {
                str(p["id"]): Place(
                    str(p["id"]), str(p["kind"]), int(p["cell"]),
                    float(p["x_m"]), float(p["y_m"]), float(p.get("yaw_rad", 0.0)),
                )
                for p in data["places"]
            }
            origin = data.get("origin", [0.0, 0.0])
            return SiteMap(
                str(data.get("name", "site")), float(data["resolution_m"]),
                float(origin[0]), float(origin[1]), cells, places,
                {str(k): str(v) for k, v in dict(data.get("skus", {})).items()},
                Lanes.from_json(data["lanes"], cells.shape) if "lanes" in data else None,
                zones_from_json(data.get("zones", [])),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError("site", f"malformed: {error!r}") from error

    def save(self, path: Path | str) -> None:
        Path(path).write_text(json.dumps(self.to_json(), indent=1) + "\n")

    @staticmethod
    def load(path: Path | str) -> SiteMap:
        try:
            return SiteMap.from_json(json.loads(Path(path).read_text()))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise InputError("site", f"cannot read {Path(path).name}: {error}") from error
