"""What stands still in a warehouse as meshes: shell, markings, racks, pods, doors, tables and cabinets."""

from __future__ import annotations

import math

import numpy as np

from aislewise.sitemap import Place
from aislewise.types import F64
from sim.bodies import CARTON, PALETTE, STEEL
from sim.layouts import Block, Plan, WarehouseConfig
from sim.mesh import Material, Mesh, boxes, join, limbs

RACK_INSET_M = 0.06
"""Gap between a rack and the edge of its cells."""
WALL_M = 0.30
SHELF_Z_M = (0.12, 1.25, 2.35)
RACK_HEIGHT_M = 3.3
WALL_HEIGHT_M = 6.0
POD_Z_M = (0.30, 0.78, 1.26, 1.74)
"""Shelves of a pod; the lowest leaves room for a carrier below."""
POD_HEIGHT_M = 2.2
YELLOW = (0.70, 0.52, 0.03)


def dress(floor: Plan, config: WarehouseConfig, rng: np.random.Generator) -> tuple[Mesh, list[tuple[float, ...]]]:
    """The standing scene, and x0, y0, x1, y1 of what stands in the dock lane's wall cells."""
    furniture, rects = _furniture(floor.docks, rng)
    parts = [_shell(floor), _markings(floor), _racks(floor.racks, config.fill, rng), furniture]
    if floor.pods:
        parts.append(_pods(floor.pods, config.fill, rng))
    if floor.lanes:
        parts.append(_lane_lines(floor.lanes))
    if config.layout == "cross_dock":
        parts.append(_doors([p for p in floor.docks if p.kind == "station"], rng))
    return join(parts), rects


def _shell(floor_plan: Plan) -> Mesh:
    w, h = float(floor_plan.width), float(floor_plan.height)
    z = WALL_HEIGHT_M / 2
    walls = boxes(
        [[w / 2, WALL_M / 2, z], [w / 2, h - WALL_M / 2, z], [WALL_M / 2, h / 2, z], [w - WALL_M / 2, h / 2, z]],
        [[w, WALL_M, 2 * z], [w, WALL_M, 2 * z], [WALL_M, h, 2 * z], [WALL_M, h, 2 * z]],
        (0.55, 0.56, 0.55), Material.WALL,
    )  # fmt: skip
    floor = boxes([w / 2, h / 2, -0.5], [w + 20, h + 20, 1.0], (0.27, 0.27, 0.26), Material.CONCRETE)
    return join([floor, walls])


def _markings(floor: Plan) -> Mesh:
    """Yellow lines between dock lane, ring road and racks; a bay in front of every dock."""
    w, h = float(floor.width), float(floor.height)
    t, z = 0.10, 0.003
    centre, size = [], []
    for inset in (2.0, 4.0):
        centre += [[w / 2, inset, 0], [w / 2, h - inset, 0], [inset, h / 2, 0], [w - inset, h / 2, 0]]
        size += [[w - 2 * inset, t, z], [w - 2 * inset, t, z], [t, h - 2 * inset, z], [t, h - 2 * inset, z]]
    colour = [[0.70, 0.52, 0.03]] * len(centre)
    tint = {"station": [0.05, 0.25, 0.6], "charger": [0.05, 0.5, 0.12], "parking": [0.6, 0.6, 0.6]}
    for place in floor.docks:
        row, col = divmod(place.cell, floor.width)
        for dx, dy, sx, sy in ((-0.46, 0, 0.06, 0.9), (0.46, 0, 0.06, 0.9), (0, -0.46, 0.9, 0.06), (0, 0.46, 0.9, 0.06)):
            centre.append([col + 0.5 + dx, row + 0.5 + dy, 0])
            size.append([sx, sy, z])
            colour.append(tint[place.kind])
    return boxes(centre, size, colour, Material.PAINT)


def _racks(racks: list[Block], fill: float, rng: np.random.Generator) -> Mesh:
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


def _pods(pods: list[Block], fill: float, rng: np.random.Generator) -> Mesh:
    """One shelf a cell, as a robot would carry it: four legs, shelves, bins open to two sides."""
    at = np.array([(c + 0.5, r + 0.5) for c0, c1, r0, r1 in pods for c in range(c0, c1) for r in range(r0, r1)])
    n = len(at)
    legs = np.concatenate([at + (dx, dy) for dx in (-0.40, 0.40) for dy in (-0.42, 0.42)])
    frame = shade_of(rng, ((0.70, 0.52, 0.05), (0.75, 0.30, 0.03), (0.55, 0.57, 0.58)))
    shelves = np.concatenate([np.column_stack([at, np.full(n, z)]) for z in (*POD_Z_M, POD_HEIGHT_M)])
    slots = np.concatenate([
        np.column_stack([at + (0.0, dy), np.full(n, z + 0.02)]) for z in POD_Z_M for dy in (-0.21, 0.21)
    ])  # fmt: skip
    slots = slots[rng.random(len(slots)) < fill]
    size = rng.uniform([0.70, 0.30, 0.16], [0.80, 0.39, 0.40], (len(slots), 3))
    plastic = rng.random(len(slots)) < 0.5
    palette = np.array(list(PALETTE.values()))[rng.integers(len(PALETTE), size=len(slots))]
    colour = np.where(plastic[:, None], palette, np.array(CARTON)) * rng.uniform(0.6, 1.25, (len(slots), 1))
    return join([
        boxes(np.column_stack([legs, np.full(len(legs), POD_HEIGHT_M / 2)]), [0.05, 0.05, POD_HEIGHT_M], frame, Material.METAL),
        boxes(shelves, [0.85, 0.89, 0.04], np.array(frame) * 0.8, Material.METAL, bottom=True),
        boxes(slots + np.column_stack([np.zeros((len(slots), 2)), size[:, 2] / 2]), size, np.clip(colour, 0.01, 0.9),
              np.where(plastic, Material.PLASTIC, Material.CARDBOARD)),
    ])  # fmt: skip


def _lane_lines(lanes: list[Block]) -> Mesh:
    """The outline of each floor lane."""
    t, g, centre, size = 0.10, 0.12, [], []
    for c0, c1, r0, r1 in lanes:
        x, y, w, h = (c0 + c1) / 2, (r0 + r1) / 2, c1 - c0 - 2 * g, r1 - r0 - 2 * g
        centre += [[x, r0 + g, 0], [x, r1 - g, 0], [c0 + g, y, 0], [c1 - g, y, 0]]
        size += [[w, t, 0.003], [w, t, 0.003], [t, h, 0.003], [t, h, 0.003]]
    return boxes(centre, size, YELLOW, Material.PAINT)


def _doors(stations: list[Place], rng: np.random.Generator) -> Mesh:
    """A roller door in the wall behind each station, with a dark frame, rubber bumpers and a lamp above."""
    parts = []
    leaf = np.array(shade_of(rng, ((0.62, 0.63, 0.64), (0.30, 0.42, 0.55), (0.60, 0.60, 0.52))))
    slats = np.arange(8)
    tone = np.where(slats % 2 == 0, 1.0, 0.8)[:, None] * leaf
    dark, lamp = (0.06, 0.06, 0.07), (0.05, 0.9, 0.15)
    for place in stations:
        door = boxes(  # x out of the wall's face towards the hall, y along it
            np.column_stack([np.full(8, 0.02), np.zeros(8), slats * 0.42 + 0.21]), [0.04, 2.5, 0.42], tone, Material.METAL
        )
        frame = boxes(
            [[0.03, -1.32, 1.75], [0.03, 1.32, 1.75], [0.03, 0, 3.46], [0.08, -1.32, 0.45], [0.08, 1.32, 0.45], [0.05, 0, 3.85]],
            [[0.06, 0.14, 3.5], [0.06, 0.14, 3.5], [0.06, 2.78, 0.2], [0.12, 0.2, 0.5], [0.12, 0.2, 0.5], [0.08, 0.3, 0.2]],
            [YELLOW, YELLOW, dark, dark, dark, lamp],
            [Material.PAINT, Material.PAINT, Material.PAINT, Material.RUBBER, Material.RUBBER, Material.LAMP],
        )  # fmt: skip
        back = 0.6 - WALL_M
        x, y = place.x_m + back * math.cos(place.yaw_rad), place.y_m + back * math.sin(place.yaw_rad)
        parts.append(join([door, frame]).moved(x, y, place.yaw_rad + math.pi))
    return join(parts)


def _furniture(docks: list[Place], rng: np.random.Generator) -> tuple[Mesh, list[tuple[float, ...]]]:
    """Tables with a sign and a screen at the stations, cabinets with a light at the chargers."""
    parts: list[Mesh] = []
    rects: list[tuple[float, ...]] = []
    for place in docks:
        x, y = place.x_m, place.y_m
        if place.kind == "station":
            parts.append(_table(place))
            dx, dy = (0.3, 0.8) if sideways(place) else (0.8, 0.3)
            rects.append((x - dx, y - dy, x + dx, y + dy))
        elif place.kind == "charger":
            light = (0.05, 0.9, 0.15) if rng.random() < 0.7 else (0.9, 0.1, 0.05)
            parts.append(_cabinet(place, light))
            parts.append(limbs([x, y, 1.2], [x, y, 1.35], [0.05, 0.05], [0.05, 0.05], light, Material.LAMP))
            rects.append((x - 0.25, y - 0.2, x + 0.25, y + 0.22) if not sideways(place) else (x - 0.2, y - 0.25, x + 0.22, y + 0.25))
    return join(parts), rects


LAMP_COLOURS = {"free": (0.05, 0.9, 0.15), "charging": (0.95, 0.45, 0.02), "taken": (0.10, 0.25, 0.95)}


def charger_lamp(place: Place, state: str) -> Mesh:
    """What shows a charger's state, put over the cabinet's own lamps: a column of light and a strip. Cabinets have
    these since the first hall, and theirs show nothing."""
    side, colour = _inward(place), LAMP_COLOURS[state]
    dx, dy = (side, 0.0) if sideways(place) else (0.0, side)
    strip = [0.03, 0.32, 0.08] if sideways(place) else [0.32, 0.03, 0.08]
    x, y = place.x_m, place.y_m
    return join([
        limbs([x, y, 1.2], [x, y, 1.48], [0.075, 0.075], [0.075, 0.075], colour, Material.LAMP, 10),
        boxes([x + 0.18 * dx, y + 0.18 * dy, 1.05], strip, colour, Material.LAMP, bottom=True),
    ])  # fmt: skip


def sideways(place: Place) -> bool:
    """At the west or east wall."""
    return abs(math.cos(place.yaw_rad)) > 0.5


def _table(place: Place) -> Mesh:
    wall = math.copysign(1.0, math.cos(place.yaw_rad) if sideways(place) else math.sin(place.yaw_rad))
    at = np.array([[0, 0, 0.73], [-0.7, 0, 0.35], [0.7, 0, 0.35], [0, 0.25 * wall, 2.4], [0.45, 0.2 * wall, 1.1]])
    size = np.array([[1.6, 0.6, 0.06], [0.06, 0.5, 0.7], [0.06, 0.5, 0.7], [1.2, 0.04, 0.5], [0.4, 0.04, 0.28]])
    order = [1, 0, 2] if sideways(place) else [0, 1, 2]
    return boxes(
        at[:, order] + [place.x_m, place.y_m, 0.0], size[:, order],
        [(0.35, 0.35, 0.36), STEEL, STEEL, (0.05, 0.25, 0.6), (0.15, 0.3, 0.5)],
        [Material.METAL, Material.METAL, Material.METAL, Material.PAINT, Material.LAMP], bottom=True,
    )  # fmt: skip


def _inward(place: Place) -> float:
    """Sign of the direction from its wall into the hall, along x or y."""
    return -math.copysign(1.0, math.cos(place.yaw_rad) if sideways(place) else math.sin(place.yaw_rad))


def _cabinet(place: Place, light: tuple[float, float, float]) -> Mesh:
    inward = _inward(place)
    at = np.array([[0, 0, 0.6], [0.19 * inward, 0, 0.25], [0.18 * inward, 0, 1.05]])
    size = np.array([[0.36, 0.5, 1.2], [0.04, 0.35, 0.12], [0.02, 0.3, 0.06]])
    order = [0, 1, 2] if sideways(place) else [1, 0, 2]
    return boxes(
        at[:, order] + [place.x_m, place.y_m, 0.0], size[:, order],
        [(0.65, 0.65, 0.66), (0.05, 0.05, 0.05), light], [Material.METAL, Material.RUBBER, Material.LAMP],
    )  # fmt: skip
