"""Floor plans: which cells a layout closes, and where aisles, docks and pick faces lie. Knows no looks.

Every layout keeps today's frame: a dock lane along the walls (stations, chargers, parking) and a two-wide ring road
inside it. What differs is the field: racks, pods or floor lanes of pallets in blocks, and every lane between blocks is
open at both ends, so that the free cells are biconnected: nobody can be trapped behind a parked robot.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field

import numpy as np

from aislewise.errors import InputError
from aislewise.sitemap import Place

RING = 4
"""Cells of border, dock lane and ring road around the field."""
LAYOUTS = ("rack_aisle", "fulfilment", "cross_dock", "narrow_aisle", "mixed")
NOT_USED = {
    "rack_aisle": (), "fulfilment": ("blocks", "aisles", "cross", "bays"), "cross_dock": ("blocks", "aisles", "bays"),
    "narrow_aisle": ("blocks", "aisles"), "mixed": ("blocks", "bays"),
}  # fmt: skip
"""Fields that a layout sets by itself: they must be left alone."""
LEAST_CELLS = 20
"""Of each side of every layout but rack_aisle."""
POD_ROWS = 5
LANE = 2
"""Cells between two floor lanes of pallets."""


@dataclass(frozen=True, slots=True)
class WarehouseConfig:
    """Cells are 1 m. layout: rack_aisle; fulfilment (pods of 2 x 5 shelves between one-wide lanes both ways);
    cross_dock (dock doors on the two long walls, floor lanes of pallets); narrow_aisle (one-wide aisles, cross aisles
    at both ends and in the middle); mixed (racks, pods and pallets). blocks: rack blocks along y; aisles: widths in
    cells, repeated over the field; cross: width of a cross aisle; bays: rack ends left free as floor storage for
    pallets; face_step: cells between pick faces; fill: chance that a shelf cell or pallet slot holds goods."""

    width: int = 40
    height: int = 60
    blocks: int = 4
    aisles: tuple[int, ...] = (1, 1, 2)
    cross: int = 2
    stations: int = 6
    chargers: int = 8
    parking: int = 8
    bays: int = 4
    face_step: int = 4
    fill: float = 0.85
    layout: str = "rack_aisle"

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise InputError("warehouse.layout", f"{self.layout!r}", LAYOUTS)
        for name, low, high in (
            ("width", 14, 400), ("height", 14, 400), ("blocks", 1, 40), ("cross", 1, 4),
            ("stations", 1, 64), ("chargers", 1, 64), ("parking", 0, 64), ("bays", 0, 64), ("face_step", 1, 40),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise InputError(f"warehouse.{name}", f"{getattr(self, name)}", f"{low} to {high}")
        if not self.aisles or any(a not in (1, 2, 3) for a in self.aisles):
            raise InputError("warehouse.aisles", f"{self.aisles}", "widths of 1, 2 or 3 cells")
        if not 0.0 <= self.fill <= 1.0:
            raise InputError("warehouse.fill", f"{self.fill}", "0 to 1")
        if self.layout != "rack_aisle":
            self._check_layout()
            return
        rows = self.height - 2 * RING - (self.blocks - 1) * self.cross
        if rows < 2 * self.blocks:
            raise InputError("warehouse.blocks", f"{self.blocks} do not fit", f"{rows} rows of racks")

    def _check_layout(self) -> None:
        for name in ("width", "height"):
            if getattr(self, name) < LEAST_CELLS:
                raise InputError(f"warehouse.{name}", f"{getattr(self, name)}", f"at least {LEAST_CELLS} for {self.layout}")
        defaults = {f.name: f.default for f in dataclasses.fields(self)}
        for name in NOT_USED[self.layout]:
            if getattr(self, name) != defaults[name]:
                raise InputError(f"warehouse.{name}", f"{getattr(self, name)}", f"not with layout {self.layout}")


@dataclass(frozen=True, slots=True)
class Aisle:
    """cols and rows are half-open ranges; across: it runs along x."""

    number: int
    cols: tuple[int, int]
    rows: tuple[int, int]
    across: bool = False

    @property
    def width(self) -> int:
        low, high = self.rows if self.across else self.cols
        return high - low

    def line(self, site_width: int) -> list[int]:
        """Its cells along its lower edge, without two at each end."""
        if self.across:
            return [self.rows[0] * site_width + col for col in range(self.cols[0] + 2, self.cols[1] - 2)]
        return [row * site_width + self.cols[0] for row in range(self.rows[0] + 2, self.rows[1] - 2)]


Block = tuple[int, int, int, int]
"""(col, end, row, end) in cells."""


@dataclass
class Plan:
    """width, height: of the site in cells. lanes: pallet lanes, closed cells without racks."""

    width: int
    height: int
    racks: list[Block] = field(default_factory=list)
    pods: list[Block] = field(default_factory=list)
    lanes: list[Block] = field(default_factory=list)
    aisles: list[Aisle] = field(default_factory=list)
    faces: list[Place] = field(default_factory=list)
    docks: list[Place] = field(default_factory=list)

    def zone(self, blocks: list[Block], columns: list[tuple[int, int, bool]], rows: list[tuple[int, int]], step: int) -> None:
        """A field of blocks with the aisles between them, and pick faces on both sides of each aisle."""
        first = max((a.number for a in self.aisles), default=0) + 1
        blocks += [(c0, c1, r0, r1) for r0, r1 in rows for c0, c1, closed in columns if closed]
        lanes = [(c0, c1) for c0, c1, closed in columns if not closed]
        self.aisles += [Aisle(first + k, lane, row) for k, lane in enumerate(lanes) for row in rows]
        self.faces += _faces(self.width, lanes, rows, step, first)

    def turned(self) -> Plan:
        """With x and y exchanged."""

        def blocks(of: list[Block]) -> list[Block]:
            return [(r0, r1, c0, c1) for c0, c1, r0, r1 in of]

        def places(of: list[Place]) -> list[Place]:
            cells = [divmod(p.cell, self.width) for p in of]
            return [
                Place(p.id, p.kind, col * self.height + row, p.y_m, p.x_m, _mirrored(p.yaw_rad))
                for p, (row, col) in zip(of, cells, strict=True)
            ]

        aisles = [Aisle(a.number, a.rows, a.cols, not a.across) for a in self.aisles]
        return Plan(
            self.height, self.width, blocks(self.racks), blocks(self.pods), blocks(self.lanes), aisles,
            places(self.faces), places(self.docks),
        )  # fmt: skip


def _mirrored(yaw_rad: float) -> float:
    """The heading after x and y are exchanged; exact for the four directions of the grid."""
    dx, dy = round(math.cos(yaw_rad)), round(math.sin(yaw_rad))
    return math.atan2(float(dx), float(dy))


def plan(config: WarehouseConfig) -> Plan:
    """The floor plan of the configuration's layout."""
    w, h, step = config.width, config.height, config.face_step
    if config.layout == "cross_dock":
        return _cross_dock(config) if w >= h else _cross_dock(dataclasses.replace(config, width=h, height=w)).turned()
    out = Plan(w, h, docks=_docks(config))
    across, along = (RING, w - RING), (RING, h - RING)
    if config.layout == "rack_aisle":
        out.zone(out.racks, _columns(across, config.aisles), _blocks(along, config.blocks, config.cross), step)
    elif config.layout == "narrow_aisle":
        out.zone(out.racks, _columns(across, (1,)), _blocks(along, 2, config.cross), step)
    elif config.layout == "fulfilment":
        _pods(out, across, along, step)
    else:
        half = RING + (h - 2 * RING - config.cross) // 2
        north = half + config.cross
        pods_end = RING + (w - 2 * RING - config.cross) // 2
        out.zone(out.racks, _columns(across, config.aisles), [(RING, half)], step)
        _pods(out, (RING, pods_end), (north, h - RING), step)
        pallets = _columns((pods_end + config.cross, w - RING), (LANE,))
        out.zone(out.lanes, pallets, [(north, h - RING)], step)
    return out


def _pods(out: Plan, across: tuple[int, int], along: tuple[int, int], step: int) -> None:
    """Pods two wide and five long; the lanes between their rows are one wide too."""
    columns, rows = _columns(across, (1,)), _tiles(along, POD_ROWS, 1)
    first, end = columns[0][0], columns[-1][1]
    out.zone(out.pods, columns, rows, step)
    number = max((a.number for a in out.aisles), default=0)
    out.aisles += [
        Aisle(number + k + 1, (first, end), (low[1], high[0]), across=True)
        for k, (low, high) in enumerate(zip(rows, rows[1:], strict=False))
    ]


def _cross_dock(config: WarehouseConfig) -> Plan:
    """For sites at least as wide as high: a floor lane of pallets runs from each dock side to the middle."""
    out = Plan(config.width, config.height, docks=_docks(config))
    rows = _blocks((RING, config.height - RING), 2, config.cross)
    out.zone(out.lanes, _columns((RING, config.width - RING), (LANE,)), rows, config.face_step)
    return out


def _tiles(span: tuple[int, int], size: int, gap: int) -> list[tuple[int, int]]:
    """As many of that size as fit, in the middle; one shorter one where none fits."""
    length = span[1] - span[0]
    if length < size:
        return [span]
    count = (length + gap) // (size + gap)
    start = span[0] + (length - count * (size + gap) + gap) // 2
    return [(start + k * (size + gap), start + k * (size + gap) + size) for k in range(count)]


def _columns(span: tuple[int, int], aisles: tuple[int, ...]) -> list[tuple[int, int, bool]]:
    """(first, end, is closed) across the field; blocks are two deep; what is left over widens the ring."""
    col, end = span
    out, k = [(col, col + 2, True)], 0
    col += 2
    while col + aisles[k % len(aisles)] + 2 <= end:
        width = aisles[k % len(aisles)]
        out += [(col, col + width, False), (col + width, col + width + 2, True)]
        col, k = col + width + 2, k + 1
    return out


def _blocks(span: tuple[int, int], count: int, cross: int) -> list[tuple[int, int]]:
    edges = np.linspace(span[0], span[1] + cross, count + 1).round().astype(int)
    return [(int(a), int(b) - cross) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def _spread(count: int, low: int, high: int) -> list[int]:
    """count cells spread evenly over low..high-1."""
    return [int(v) for v in np.linspace(low, high - 1, count + 2).round()[1:-1]]


def _docks(config: WarehouseConfig) -> list[Place]:
    """Stations on the south and north walls, chargers on the west and east, parking between stations."""
    w, h = config.width, config.height
    out: list[Place] = []

    def south_north(kind: str, count: int, shift: int) -> None:
        for side, n in ((0, (count + 1) // 2), (1, count // 2)):
            row, y, yaw = (1, 0.6, -math.pi / 2) if side == 0 else (h - 2, h - 0.6, math.pi / 2)
            for col in _spread(n, 2, w - 2):
                number = sum(p.kind == kind for p in out) + 1
                col = min(col + shift, w - 2)
                out.append(Place(f"{kind}_{number}", kind, row * w + col, col + 0.5, y, yaw))

    south_north("station", config.stations, 0)
    for side, n in ((0, (config.chargers + 1) // 2), (1, config.chargers // 2)):
        col, x, yaw = (1, 0.5, math.pi) if side == 0 else (w - 2, w - 0.5, 0.0)
        for row in _spread(n, 3, h - 3):
            number = sum(p.kind == "charger" for p in out) + 1
            out.append(Place(f"charger_{number}", "charger", row * w + col, x, row + 0.5, yaw))
    south_north("parking", config.parking, 3)
    taken: set[int] = set()
    unique = []
    for place in out:  # small sites: what falls on a cell already used is left out
        if place.cell not in taken:
            taken.add(place.cell)
            unique.append(place)
    return unique


def _faces(width: int, lanes: list[tuple[int, int]], rows: list[tuple[int, int]], step: int, first: int) -> list[Place]:
    """Pick faces F<aisle>-<slot>-<L|R> on both sides of each aisle."""
    out = []
    for k, (c0, c1) in enumerate(lanes):
        slots = [r for r0, r1 in rows for r in range(r0 + 1, r1 - 1, step)]
        for s, row in enumerate(slots):
            for side, col, x, yaw in (("L", c0, c0 - 0.5, math.pi), ("R", c1 - 1, c1 + 0.5, 0.0)):
                name = f"F{k + first:02d}-{s + 1:02d}-{side}"
                out.append(Place(name, "pick_face", row * width + col, x, row + 0.5, yaw))
    return out
