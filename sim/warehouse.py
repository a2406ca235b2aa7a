"""Generates a warehouse: the site map that robots drive by, and the meshes that sensors see.

The floor plan is made in sim/layouts.py, what stands on it in sim/fittings.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aislewise.sitemap import CLOSED, OPEN, SiteMap
from aislewise.types import F64
from sim.fittings import RACK_INSET_M, WALL_M, dress
from sim.layouts import Aisle, Block, Plan, WarehouseConfig, plan
from sim.mesh import Mesh

__all__ = ["WALL_M", "Aisle", "Warehouse", "WarehouseConfig", "generate"]

BAY = 2
"""Rows of floor storage at the end of a rack."""
PITCH_M = 1.6
"""From one pallet to the next in a floor lane."""
MAX_PALLETS = 120
"""In floor lanes. Each is a body of its own, seen, tracked and judged at every tick: a large hall is emptier."""


@dataclass(frozen=True)
class Warehouse:
    """site: the map; mesh: everything that stands still; obstacles: (M, 4) float64 x0, y0, x1, y1 of
    racks, pods, walls, tables and cabinets in `map`; aisles: the cells of each aisle piece between two cross
    aisles; bays: centres of pallets on the floor, in closed cells; racks, pods: (col, end, row, end) in cells;
    empties: every so many pallets one is empty."""

    site: SiteMap
    mesh: Mesh
    obstacles: F64
    aisles: tuple[Aisle, ...]
    bays: tuple[tuple[float, float], ...]
    racks: tuple[Block, ...]
    pods: tuple[Block, ...] = ()
    empties: int = 2


def generate(config: WarehouseConfig, rng: np.random.Generator) -> Warehouse:
    """The warehouse of that configuration; goods and their colours are drawn from rng."""
    floor = plan(config)
    cells = np.full((config.height, config.width), OPEN, np.uint8)
    cells[0], cells[-1], cells[:, 0], cells[:, -1] = CLOSED, CLOSED, CLOSED, CLOSED
    for c0, c1, r0, r1 in floor.racks + floor.pods + floor.lanes:
        cells[r0:r1, c0:c1] = CLOSED
    if config.layout in ("rack_aisle", "narrow_aisle"):
        ends = _bays(floor.racks, config.bays, rng)
        floor.racks = [(c0, c1, r0, r1 - BAY * ((c0, r1) in ends)) for c0, c1, r0, r1 in floor.racks]
        bays = [(c + 1.0, r - BAY / 2) for c, r in ends]
    else:
        bays = _pallets(floor.lanes, config.fill, rng)
    places = {p.id: p for p in floor.docks + floor.faces}
    skus = {f"SKU-{k + 1:04d}": p.id for k, p in enumerate(floor.faces)}
    site = SiteMap("warehouse", 1.0, 0.0, 0.0, cells, places, skus)
    mesh, furniture = dress(floor, config, rng)
    return Warehouse(
        site, mesh, _obstacles(floor, furniture), tuple(floor.aisles), tuple(bays), tuple(floor.racks), tuple(floor.pods),
        6 if floor.lanes else 2,
    )  # fmt: skip


def _bays(racks: list[tuple[int, int, int, int]], count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """(first column, end row) of the racks whose far end is floor storage."""
    long = [(c0, r1) for c0, _, r0, r1 in racks if r1 - r0 >= 3 * BAY]
    chosen = rng.permutation(len(long))[:count]
    return [long[int(k)] for k in sorted(chosen)]


def _pallets(lanes: list[Block], fill: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Centres of the pallets in floor lanes: each lane is filled from its first end on, some more, some less."""
    out: list[tuple[float, float]] = []
    for k in rng.permutation(len(lanes)):
        c0, c1, r0, r1 = lanes[int(k)]
        length = max(c1 - c0, r1 - r0)
        slots = int((length - 2.0) / PITCH_M) + 1
        count = min(round(slots * min(1.0, fill * float(rng.uniform(0.4, 1.4)))), MAX_PALLETS - len(out))
        for i in range(count):
            along = 1.0 + i * PITCH_M
            out.append((c0 + along, (r0 + r1) / 2) if c1 - c0 > r1 - r0 else ((c0 + c1) / 2, r0 + along))
    return out


def _obstacles(floor: Plan, furniture: list[tuple[float, ...]]) -> F64:
    w, h, g = float(floor.width), float(floor.height), RACK_INSET_M
    rects: list[tuple[float, ...]] = [(0, 0, w, WALL_M), (0, h - WALL_M, w, h), (0, 0, WALL_M, h), (w - WALL_M, 0, w, h)]
    rects += [(c0 + g, r0 + g, c1 - g, r1 - g) for c0, c1, r0, r1 in floor.racks + floor.pods]
    return np.array(rects + furniture, np.float64)
