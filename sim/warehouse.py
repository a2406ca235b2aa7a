"""Generates a warehouse: the site map that robots drive by, and the meshes that sensors see.

A dock lane along the walls (stations, chargers, parking), a two-wide ring road inside it, and a field
of racks cut by two-wide cross aisles. Every aisle is open at both ends and the dock lane touches the
ring road all along, so the free cells are biconnected: nobody can be trapped behind a parked robot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aislewise.errors import InputError
from aislewise.sitemap import CLOSED, OPEN, Place, SiteMap
from aislewise.types import F64
from sim.bodies import CARTON, PALETTE, STEEL
from sim.mesh import Material, Mesh, boxes, join, limbs

RING = 4
"""Cells of border, dock lane and ring road around the rack field."""
BAY = 2
"""Rows of floor storage at the end of a rack."""
RACK_INSET_M = 0.06
"""Gap between a rack and the edge of its cells."""
WALL_M = 0.30
SHELF_Z_M = (0.12, 1.25, 2.35)
RACK_HEIGHT_M = 3.3
WALL_HEIGHT_M = 6.0


@dataclass(frozen=True, slots=True)
class WarehouseConfig:
    """Cells are 1 m. blocks: rack blocks along y; aisles: widths in cells, repeated over the field;
    cross: width of a cross aisle; bays: rack ends left
    free as floor storage for pallets; face_step: cells between pick faces; fill: chance that a shelf cell
    holds goods."""

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

    def __post_init__(self) -> None:
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
        rows = self.height - 2 * RING - (self.blocks - 1) * self.cross
        if rows < 2 * self.blocks:
            raise InputError("warehouse.blocks", f"{self.blocks} do not fit", f"{rows} rows of racks")


@dataclass(frozen=True)
class Warehouse:
    """site: the map; mesh: everything that stands still; obstacles: (M, 4) float64 x0, y0, x1, y1 of
    racks, walls, tables and cabinets in `map`; aisles: the cells of each aisle piece between two cross
    aisles; bays: centres of the floor storage, in closed cells; racks: (col, end, row, end) in cells."""

    site: SiteMap
    mesh: Mesh
    obstacles: F64
    aisles: tuple[Aisle, ...]
    bays: tuple[tuple[float, float], ...]
    racks: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Aisle:
    """cols and rows are half-open ranges."""

    number: int
    cols: tuple[int, int]
    rows: tuple[int, int]

    @property
    def width(self) -> int:
        return self.cols[1] - self.cols[0]


def generate(config: WarehouseConfig, rng: np.random.Generator) -> Warehouse:
    """The warehouse of that configuration; goods and their colours are drawn from rng."""
    columns = _columns(config)
    rows = _blocks(config)
    cells = np.full((config.height, config.width), OPEN, np.uint8)
    cells[0], cells[-1], cells[:, 0], cells[:, -1] = CLOSED, CLOSED, CLOSED, CLOSED
    racks = [(c0, c1, r0, r1) for r0, r1 in rows for c0, c1, rack in columns if rack]
    for c0, c1, r0, r1 in racks:
        cells[r0:r1, c0:c1] = CLOSED
    bays = _bays(racks, config.bays, rng)
    racks = [(c0, c1, r0, r1 - BAY * ((c0, r1) in bays)) for c0, c1, r0, r1 in racks]
    lanes = [(c0, c1) for c0, c1, rack in columns if not rack]
    aisles = tuple(Aisle(k + 1, lane, block) for k, lane in enumerate(lanes) for block in rows)
    docks = _docks(config)
    faces = _faces(config, lanes, rows)
    places = {p.id: p for p in docks + faces}
    skus = {f"SKU-{k + 1:04d}": p.id for k, p in enumerate(faces)}
    site = SiteMap("warehouse", 1.0, 0.0, 0.0, cells, places, skus)
    furniture, rects = _furniture(docks, rng)
    mesh = join([_shell(config), _markings(config, docks), _racks(racks, config.fill, rng), furniture])
    return Warehouse(site, mesh, _obstacles(config, racks, rects), aisles, tuple((c + 1.0, r - BAY / 2) for c, r in bays), tuple(racks))


def _columns(config: WarehouseConfig) -> list[tuple[int, int, bool]]:
    """(first, end, is rack) across the field; racks are two deep; what is left over widens the ring."""
    col, end, k = RING, config.width - RING, 0
    out = [(col, col + 2, True)]
    col += 2
    while col + config.aisles[k % len(config.aisles)] + 2 <= end:
        width = config.aisles[k % len(config.aisles)]
        out += [(col, col + width, False), (col + width, col + width + 2, True)]
        col, k = col + width + 2, k + 1
    return out


def _blocks(config: WarehouseConfig) -> list[tuple[int, int]]:
    edges = np.linspace(RING, config.height - RING + config.cross, config.blocks + 1).round().astype(int)
    return [(int(a), int(b) - config.cross) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def _bays(racks: list[tuple[int, int, int, int]], count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """(first column, end row) of the racks whose far end is floor storage."""
    long = [(c0, r1) for c0, _, r0, r1 in racks if r1 - r0 >= 3 * BAY]
    chosen = rng.permutation(len(long))[:count]
    return [long[int(k)] for k in sorted(chosen)]


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


def _faces(config: WarehouseConfig, lanes: list[tuple[int, int]], rows: list[tuple[int, int]]) -> list[Place]:
    """Pick faces F<aisle>-<slot>-<L|R> on both sides of each aisle."""
    out = []
    for k, (c0, c1) in enumerate(lanes):
        slots = [r for r0, r1 in rows for r in range(r0 + 1, r1 - 1, config.face_step)]
        for s, row in enumerate(slots):
            for side, col, x, yaw in (("L", c0, c0 - 0.5, math.pi), ("R", c1 - 1, c1 + 0.5, 0.0)):
                name = f"F{k + 1:02d}-{s + 1:02d}-{side}"
                out.append(Place(name, "pick_face", row * config.width + col, x, row + 0.5, yaw))
    return out


def _shell(config: WarehouseConfig) -> Mesh:
    w, h = float(config.width), float(config.height)
    z = WALL_HEIGHT_M / 2
    walls = boxes(
        [[w / 2, WALL_M / 2, z], [w / 2, h - WALL_M / 2, z], [WALL_M / 2, h / 2, z], [w - WALL_M / 2, h / 2, z]],
        [[w, WALL_M, 2 * z], [w, WALL_M, 2 * z], [WALL_M, h, 2 * z], [WALL_M, h, 2 * z]],
        (0.55, 0.56, 0.55), Material.WALL,
    )  # fmt: skip
    floor = boxes([w / 2, h / 2, -0.5], [w + 20, h + 20, 1.0], (0.27, 0.27, 0.26), Material.CONCRETE)
    return join([floor, walls])


def _markings(config: WarehouseConfig, docks: list[Place]) -> Mesh:
    """Yellow lines between dock lane, ring road and racks; a bay in front of every dock."""
    w, h = float(config.width), float(config.height)
    t, z = 0.10, 0.003
    centre, size = [], []
    for inset in (2.0, 4.0):
        centre += [[w / 2, inset, 0], [w / 2, h - inset, 0], [inset, h / 2, 0], [w - inset, h / 2, 0]]
        size += [[w - 2 * inset, t, z], [w - 2 * inset, t, z], [t, h - 2 * inset, z], [t, h - 2 * inset, z]]
    colour = [[0.70, 0.52, 0.03]] * len(centre)
    tint = {"station": [0.05, 0.25, 0.6], "charger": [0.05, 0.5, 0.12], "parking": [0.6, 0.6, 0.6]}
    for place in docks:
        row, col = divmod(place.cell, config.width)
        for dx, dy, sx, sy in ((-0.46, 0, 0.06, 0.9), (0.46, 0, 0.06, 0.9), (0, -0.46, 0.9, 0.06), (0, 0.46, 0.9, 0.06)):
            centre.append([col + 0.5 + dx, row + 0.5 + dy, 0])
            size.append([sx, sy, z])
            colour.append(tint[place.kind])
    return boxes(centre, size, colour, Material.PAINT)


def _racks(racks: list[tuple[int, int, int, int]], fill: float, rng: np.random.Generator) -> Mesh:
    """Uprights, beams and shelves in one batch each, and goods of random size and colour."""
    post, shelf, goods = [], [], []
    for c0, c1, r0, r1 in racks:
        x0, x1 = c0 + RACK_INSET_M, c1 - RACK_INSET_M
        y0, y1 = r0 + RACK_INSET_M, r1 - RACK_INSET_M
        bays = max(2, round((r1 - r0) / 2.5) + 1)
        post += [(x, y) for x in (x0 + 0.05, x1 - 0.05) for y in np.linspace(y0 + 0.05, y1 - 0.05, bays)]
        shelf += [((x0 + x1) / 2, (y0 + y1) / 2, z, x1 - x0, y1 - y0) for z in SHELF_Z_M]
        goods += [(c + 0.5, r + 0.5, z) for z in SHELF_Z_M for c in range(c0, c1) for r in range(r0, r1)]
    if not racks:
        return join([])
    posts = np.array(post)
    frame = shade_of(rng, ((0.02, 0.08, 0.35), (0.10, 0.11, 0.12), (0.03, 0.20, 0.10)))
    beam = shade_of(rng, ((0.70, 0.18, 0.01), (0.55, 0.40, 0.03), (0.30, 0.31, 0.33)))
    s = np.array(shelf)
    face = [boxes(np.stack([s[:, 0] + k * (s[:, 3] / 2 - 0.02), s[:, 1], s[:, 2] - 0.04], 1),
                  np.stack([np.full(len(s), 0.04), s[:, 4], np.full(len(s), 0.12)], 1),
                  beam, Material.METAL) for k in (-1, 1)]  # fmt: skip
    return join([
        boxes(np.concatenate([posts, np.full((len(posts), 1), RACK_HEIGHT_M / 2)], 1),
              [0.09, 0.09, RACK_HEIGHT_M], frame, Material.METAL),
        boxes(s[:, :3] - [0, 0, 0.015], np.stack([s[:, 3], s[:, 4], np.full(len(s), 0.03)], 1),
              (0.22, 0.22, 0.22), Material.METAL, bottom=True),
        *face, _goods(np.array(goods), fill, rng),
    ])  # fmt: skip


def shade_of(rng: np.random.Generator, colours: tuple[tuple[float, float, float], ...]) -> tuple[float, ...]:
    return colours[int(rng.integers(len(colours)))]


def _goods(slots: F64, fill: float, rng: np.random.Generator) -> Mesh:
    """One load per shelf cell: cartons, and bins in the palette's colours."""
    at = slots[rng.random(len(slots)) < fill]
    n = len(at)
    size = rng.uniform([0.45, 0.50, 0.35], [0.84, 0.94, 0.92], (n, 3))
    jitter = rng.uniform(-0.5, 0.5, (n, 2)) * (np.array([0.86, 0.96]) - size[:, :2])
    centre = np.stack([at[:, 0] + jitter[:, 0], at[:, 1] + jitter[:, 1], at[:, 2] + size[:, 2] / 2], 1)
    carton = rng.random(n) < 0.6
    palette = np.array(list(PALETTE.values()))[rng.integers(len(PALETTE), size=n)]
    colour = np.where(carton[:, None], np.array(CARTON), palette) * rng.uniform(0.55, 1.3, (n, 1))
    material = np.where(carton, Material.CARDBOARD, Material.PLASTIC)
    return boxes(centre, size, np.clip(colour, 0.01, 0.9), material)


def _furniture(docks: list[Place], rng: np.random.Generator) -> tuple[Mesh, list[tuple[float, ...]]]:
    """Tables with a sign and a screen at the stations, cabinets with a light at the chargers."""
    parts: list[Mesh] = []
    rects: list[tuple[float, ...]] = []
    for place in docks:
        x, y = place.x_m, place.y_m
        if place.kind == "station":
            wall = math.copysign(1.0, math.sin(place.yaw_rad))
            table = boxes(
                [[x, y, 0.73], [x - 0.7, y, 0.35], [x + 0.7, y, 0.35], [x, y + 0.25 * wall, 2.4], [x + 0.45, y + 0.2 * wall, 1.1]],
                [[1.6, 0.6, 0.06], [0.06, 0.5, 0.7], [0.06, 0.5, 0.7], [1.2, 0.04, 0.5], [0.4, 0.04, 0.28]],
                [(0.35, 0.35, 0.36), STEEL, STEEL, (0.05, 0.25, 0.6), (0.15, 0.3, 0.5)],
                [Material.METAL, Material.METAL, Material.METAL, Material.PAINT, Material.LAMP], bottom=True,
            )  # fmt: skip
            parts.append(table)
            rects.append((x - 0.8, y - 0.3, x + 0.8, y + 0.3))
        elif place.kind == "charger":
            inward = -math.copysign(1.0, math.cos(place.yaw_rad))
            light = (0.05, 0.9, 0.15) if rng.random() < 0.7 else (0.9, 0.1, 0.05)
            parts.append(boxes(
                [[x, y, 0.6], [x + 0.19 * inward, y, 0.25], [x + 0.18 * inward, y, 1.05]],
                [[0.36, 0.5, 1.2], [0.04, 0.35, 0.12], [0.02, 0.3, 0.06]],
                [(0.65, 0.65, 0.66), (0.05, 0.05, 0.05), light],
                [Material.METAL, Material.RUBBER, Material.LAMP],
            ))  # fmt: skip
            parts.append(limbs([x, y, 1.2], [x, y, 1.35], [0.05, 0.05], [0.05, 0.05], light, Material.LAMP))
            rects.append((x - 0.2, y - 0.25, x + 0.22, y + 0.25))
    return join(parts), rects


def _obstacles(config: WarehouseConfig, racks: list[tuple[int, int, int, int]],
               furniture: list[tuple[float, ...]]) -> F64:  # fmt: skip
    w, h, g = float(config.width), float(config.height), RACK_INSET_M
    rects: list[tuple[float, ...]] = [(0, 0, w, WALL_M), (0, h - WALL_M, w, h), (0, 0, WALL_M, h), (w - WALL_M, 0, w, h)]
    rects += [(c0 + g, r0 + g, c1 - g, r1 - g) for c0, c1, r0, r1 in racks]
    return np.array(rects + furniture, np.float64)
