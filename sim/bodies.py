"""What stands and moves in the warehouse: shape, colour and material of every object class.

A body's own frame has x forward, y left, z up and its origin on the floor under the box centre.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from aislewise.types import F64, Colour, ObjectClass
from sim.mesh import EMPTY, F32, Material, Mesh, boxes, flat_polygon, join, limbs, quads

ROBOT_LENGTH_M, ROBOT_WIDTH_M, ROBOT_HEIGHT_M = 0.70, 0.50, 0.95
DECK_HEIGHT_M = 0.34
TOTE_SIZE_M = (0.60, 0.40, 0.30)
FORKLIFT_SIZE_M = (2.0, 1.1, 2.1)
PALLET_SIZE_M = (1.2, 0.8, 0.144)
MAX_LIFT_M = 1.5
"""Of a forklift's forks: the mast does not grow."""

PALETTE: dict[Colour, tuple[float, float, float]] = {
    Colour.RED: (0.55, 0.03, 0.03),
    Colour.BLUE: (0.02, 0.08, 0.50),
    Colour.GREEN: (0.03, 0.32, 0.06),
    Colour.YELLOW: (0.75, 0.58, 0.02),
    Colour.ORANGE: (0.75, 0.20, 0.01),
    Colour.WHITE: (0.80, 0.80, 0.80),
    Colour.GREY: (0.20, 0.20, 0.21),
    Colour.BROWN: (0.20, 0.09, 0.035),
}
"""Linear albedo of the named colours; each body varies around it."""

VEST_COLOURS = ((0.85, 0.28, 0.01), (0.70, 0.80, 0.03))
RUBBER_BLACK = (0.02, 0.02, 0.02)
WHITE_PAPER = (0.80, 0.80, 0.78)
STEEL = (0.30, 0.31, 0.33)
RAW_WOOD = (0.46, 0.31, 0.16)
CARTON = (0.36, 0.22, 0.11)


@dataclass(frozen=True, slots=True)
class Body:
    """A shape with its truth. mesh in the body frame; size (3,) m of its box; z_m: height of the box
    centre above the floor; attributes as aislewise.types.ATTRIBUTES; reflect: factor on the lidar
    reflectivity of this one body; outline: (N, 2) polygon for flat patches, body frame."""

    cls: ObjectClass
    mesh: Mesh
    size: tuple[float, float, float]
    colour: Colour | None = None
    attributes: dict[str, bool] = field(default_factory=dict)
    reflect: float = 1.0
    outline: F64 | None = None

    @property
    def z_m(self) -> float:
        return self.size[2] / 2.0


def shade(rng: np.random.Generator, colour: Colour, spread: float = 0.12) -> F32:
    """A shade of a named colour: common brightness and a little per channel."""
    base = np.array(PALETTE[colour])
    out = base * rng.uniform(1 - spread, 1 + spread, 3) * rng.uniform(0.75, 1.2) + 0.005
    return np.clip(out, 0.004, 0.92).astype(np.float32)


def any_colour(rng: np.random.Generator) -> Colour:
    return Colour(int(rng.integers(len(Colour))))


@dataclass(frozen=True, slots=True)
class Person:
    """Looks of one person; `mesh(phase)` poses it at a walking phase. holds: "carton" before the chest, "bow" of a
    trolley with both hands, or nothing; the box that is the truth is the person's own."""

    height_m: float
    girth: float
    vest: bool
    vest_colour: tuple[float, float, float]
    shirt: F32
    trousers: F32
    skin: F32
    hair: F32
    helmet: bool
    reflect: float
    holds: str = ""

    @staticmethod
    def random(rng: np.random.Generator, vest: bool | None = None) -> Person:
        shirt = rng.uniform(0.02, 0.6, 3)
        if shirt[0] > 0.4 and shirt[2] < 0.2:  # not the fluorescent hues of a vest
            shirt[2] = shirt[0] * 0.8
        return Person(
            height_m=float(rng.uniform(1.58, 1.92)),
            girth=float(rng.uniform(0.9, 1.15)),
            vest=bool(rng.random() < 0.5) if vest is None else vest,
            vest_colour=VEST_COLOURS[int(rng.integers(2))],
            shirt=shirt.astype(np.float32),
            trousers=(np.array([0.03, 0.04, 0.08]) + rng.uniform(0, 0.15, 3)).astype(np.float32),
            skin=(np.array([0.60, 0.38, 0.26]) * rng.uniform(0.25, 1.15)).astype(np.float32),
            hair=(np.array([0.10, 0.06, 0.03]) * rng.uniform(0.1, 3.0)).astype(np.float32),
            helmet=bool(rng.random() < 0.3),
            reflect=float(rng.uniform(0.6, 1.5)),
        )

    def mesh(self, phase_rad: float, stride: float = 1.0) -> Mesh:
        """phase: walking phase; stride 0 stands, 1 walks."""
        k, g = self.height_m / 1.75, self.girth
        swing = 0.24 * stride * math.sin(phase_rad) * k
        hip, shoulder, neck = 0.88 * k, 1.44 * k, 1.50 * k
        torso = np.array(self.vest_colour if self.vest else self.shirt, np.float32)
        foot = np.array([
            [swing, 0.10, 0.0], [-swing, -0.10, 0.0],  # legs
            [0, 0, hip - 0.04], [0, 0, 1.20 * k], [0, 0, shoulder],  # belly, chest, shoulders
            [-swing * 0.9 + 0.04, 0.27 * g, 0.82 * k], [swing * 0.9 + 0.04, -0.27 * g, 0.82 * k],
            [0.01, 0, neck - 0.02], [0.01, 0, neck + 0.13 * k],  # face, hair
            [swing + 0.05, 0.10, 0.0], [-swing + 0.05, -0.10, 0.0],  # shoes
        ])  # fmt: skip
        if self.holds:
            foot[5:7] = [[0.36, 0.19, 1.0 * k], [0.36, -0.19, 1.0 * k]]
        top = np.array([
            [0, 0.08, hip], [0, -0.08, hip],
            [0, 0, 1.20 * k], [0, 0, shoulder], [0, 0, neck],
            [0, 0.23 * g, shoulder], [0, -0.23 * g, shoulder],
            [0.01, 0, neck + 0.13 * k], [-0.01, 0, self.height_m],
            [swing + 0.03, 0.10, 0.09], [-swing + 0.03, -0.10, 0.09],
        ])  # fmt: skip
        r0 = np.array([
            [0.07, 0.07], [0.07, 0.07], [0.13, 0.17], [0.12, 0.16], [0.13, 0.20],
            [0.04, 0.04], [0.04, 0.04], [0.07, 0.06], [0.105, 0.085], [0.13, 0.05], [0.13, 0.05],
        ])  # fmt: skip
        r1 = np.array([
            [0.10, 0.09], [0.10, 0.09], [0.12, 0.16], [0.13, 0.20], [0.06, 0.07],
            [0.06, 0.06], [0.06, 0.06], [0.105, 0.085], [0.04, 0.04], [0.08, 0.045], [0.08, 0.045],
        ])  # fmt: skip
        r0[:9], r1[:9] = r0[:9] * g, r1[:9] * g
        crown = np.array([0.75, 0.75, 0.70]) if self.helmet else self.hair
        shoes = np.full(3, 0.02)
        colour = np.stack([
            self.trousers, self.trousers, torso, torso, torso, self.shirt, self.shirt,
            self.skin, crown, shoes, shoes,
        ])  # fmt: skip
        material = np.full(11, Material.CLOTH)
        material[7], material[8] = Material.SKIN, Material.PLASTIC if self.helmet else Material.CLOTH
        parts = [limbs(foot, top, r0, r1, colour, material)]
        if self.vest:
            z = np.array([1.02, 1.22]) * k
            zeros = np.zeros(2)
            ring = np.stack([zeros, zeros, z], 1)
            radius = np.array([[0.127, 0.168], [0.127, 0.168]]) * g
            parts.append(limbs(ring, ring + [0, 0, 0.05 * k], radius, radius, (0.75, 0.75, 0.72),
                               Material.STRIPE))  # fmt: skip
        if self.holds == "carton":
            parts.append(boxes([0.34, 0, 1.08 * k], [0.34, 0.36, 0.26], CARTON, Material.CARDBOARD, bottom=True))
        hands = foot[5:7] + [0, 0, -0.09]
        parts.append(limbs(hands, foot[5:7], [0.035, 0.03], [0.04, 0.04], self.skin, Material.SKIN, 6))
        return join(parts)

    def lying(self) -> Body:
        """On the back, arms by the side, the head towards -x."""
        mesh, girth = self.mesh(0.0, 0.0), 0.13 * self.girth
        x, y, z = mesh.vertices.T
        flat = np.stack([self.height_m / 2 - z, y, x + girth], axis=1).astype(np.float32)
        flat[:, 2] = np.maximum(flat[:, 2], 0.01)
        size = (self.height_m, 0.62 * self.girth, float(flat[:, 2].max()))
        return Body(ObjectClass.PERSON, replace(mesh, vertices=flat), size, None, {"vest": self.vest}, self.reflect)

    def body(self, phase_rad: float = 0.0, stride: float = 1.0) -> Body:
        size = (0.30 + 0.24 * stride, 0.62 * self.girth, self.height_m)
        return Body(ObjectClass.PERSON, self.mesh(phase_rad, stride), size, None,
                    {"vest": self.vest}, self.reflect)  # fmt: skip


def forklift(rng: np.random.Generator, colour: Colour, lift_m: float = 0.08, loaded: bool = False) -> Body:
    """Counterbalance truck with its forks lift_m above the floor, with something on them or not."""
    mesh = forklift_mesh(shade(rng, colour), lift_m)
    body = Body(ObjectClass.FORKLIFT, mesh, FORKLIFT_SIZE_M, colour, {}, float(rng.uniform(0.7, 1.4)))
    return with_forks(body, lift_m, half_pallet(rng) if loaded else None)


def with_forks(truck: Body, lift_m: float, load: Mesh | None = None) -> Body:
    """The same truck with its forks lift_m above the floor (at most MAX_LIFT_M) and that on them. Its box grows upwards
    only: a load of half_pallet's size stays within the outline."""
    mesh = join([forklift_mesh(truck.mesh.colour[0], lift_m), EMPTY if load is None else load.moved(0.0, 0.0, 0.0, lift_m + 0.03)])
    length, width, height = FORKLIFT_SIZE_M
    top = height if load is None else max(height, lift_m + 0.03 + float(load.vertices[:, 2].max()))
    return replace(truck, mesh=mesh, size=(length, width, top))


def half_pallet(rng: np.random.Generator) -> Mesh:
    """A half pallet (0.8 x 0.6 m, DIN 15146-4) of cartons as it lies on a truck's forks, in the truck's frame."""
    layers, step = int(rng.integers(1, 4)), float(rng.uniform(0.18, 0.26))
    planks = boxes([[0.75, y, 0.11] for y in (-0.33, -0.11, 0.11, 0.33)], [0.50, 0.16, 0.02], RAW_WOOD, Material.WOOD, bottom=True)
    feet = boxes([[0.75, y, 0.05] for y in (-0.36, 0.0, 0.36)], [0.50, 0.08, 0.10], np.array(RAW_WOOD) * 0.85, Material.WOOD)
    at = [[0.75, y, 0.12 + (k + 0.5) * step] for k in range(layers) for y in (-0.19, 0.19)]
    tint = np.array(CARTON) * rng.uniform(0.7, 1.3, (len(at), 1))
    return join([planks, feet, boxes(at, [0.48, 0.36, step * 0.97], tint, Material.CARDBOARD)])


def forklift_mesh(paint: ArrayLike, lift_m: float) -> Mesh:
    """Body, cage, seat, mast, forks."""
    dark = (0.03, 0.03, 0.03)
    grey = np.array([0.08, 0.08, 0.08])
    solid = boxes(
        [[-0.45, 0, 0.55], [-0.78, 0, 0.75], [0.05, 0, 0.42], [-0.25, 0, 0.95], [-0.42, 0, 1.20],
         [-0.25, 0, 2.07], [0.22, 0, 0.80]],
        [[1.05, 1.04, 0.60], [0.40, 1.0, 0.55], [0.55, 0.96, 0.35], [0.45, 0.5, 0.10],
         [0.10, 0.5, 0.45], [1.05, 0.95, 0.06], [0.10, 0.35, 0.40]],
        np.array([paint, paint, paint, dark, dark, grey, dark]),
        [Material.METAL] * 3 + [Material.RUBBER] * 2 + [Material.METAL] * 2, bottom=True,
    )  # fmt: skip
    posts = boxes(
        [[x, y, 1.45] for x in (-0.72, 0.22) for y in (-0.43, 0.43)], [0.06, 0.06, 1.25], grey, Material.METAL,
    )  # fmt: skip
    mast = boxes(
        [[0.40, 0.30, 1.05], [0.40, -0.30, 1.05], [0.40, 0, 2.05], [0.40, 0, 1.1], [0.47, 0, 0.35 + lift_m]],
        [[0.10, 0.09, 2.1], [0.10, 0.09, 2.1], [0.08, 0.6, 0.08], [0.08, 0.6, 0.06], [0.05, 0.9, 0.42]],
        STEEL, Material.METAL,
    )  # fmt: skip
    forks = boxes([[0.74, 0.24, lift_m], [0.74, -0.24, lift_m]], [0.52, 0.12, 0.05], STEEL,
                  Material.METAL, bottom=True)  # fmt: skip
    wheels = boxes([[x, y, 0.22] for x in (-0.62, 0.20) for y in (-0.44, 0.44)],
                   [0.44, 0.20, 0.44], RUBBER_BLACK, Material.RUBBER)  # fmt: skip
    beacon = limbs([-0.6, 0, 2.10], [-0.6, 0, 2.22], [0.05, 0.05], [0.05, 0.05], (0.9, 0.4, 0.02), Material.LAMP)
    return join([solid, posts, mast, forks, wheels, beacon])


def pallet(rng: np.random.Generator, loaded: bool) -> Body:
    """EUR pallet of slats and blocks, empty or with wrapped cartons on it."""
    wood = np.array(RAW_WOOD) * rng.uniform(0.6, 1.2)
    length, width, deck = PALLET_SIZE_M
    top_y = np.linspace(-0.35, 0.35, 5)
    slats = boxes(np.stack([np.zeros(5), top_y, np.full(5, deck - 0.011)], 1), [length, 0.11, 0.022],
                  wood * rng.uniform(0.85, 1.15, (5, 1)), Material.WOOD, bottom=True)  # fmt: skip
    blocks = boxes([[x, y, 0.061] for x in (-0.53, 0, 0.53) for y in (-0.34, 0, 0.34)],
                   [0.14, 0.11, 0.122], wood * 0.9, Material.WOOD)  # fmt: skip
    parts, height = [slats, blocks], deck
    if loaded:
        layers = int(rng.integers(1, 5))
        step = float(rng.uniform(0.20, 0.32))
        tint = np.array(CARTON) * rng.uniform(0.7, 1.4) if rng.random() < 0.6 else rng.uniform(0.05, 0.7, 3)
        for layer in range(layers):
            nx, ny = int(rng.integers(2, 4)), 2
            gx, gy = np.meshgrid((np.arange(nx) + 0.5) / nx - 0.5, (np.arange(ny) + 0.5) / ny - 0.5)
            z = np.full(nx * ny, deck + (layer + 0.5) * step)
            keep = np.ones(nx * ny, bool)
            if layer == layers - 1 and layer > 0:
                keep[: int(rng.integers(0, nx * ny - 1))] = False
            centre = np.stack([gx.ravel() * length * 0.97, gy.ravel() * width * 0.97, z], 1)[keep]
            parts.append(boxes(centre, [length * 0.95 / nx, width * 0.94 / ny, step * 0.98],
                               tint * rng.uniform(0.85, 1.15, (keep.sum(), 1)), Material.CARDBOARD))  # fmt: skip
        height = deck + layers * step
    return Body(ObjectClass.PALLET, join(parts), (length, width, height), None,
                {"loaded": loaded}, float(rng.uniform(0.7, 1.4)))  # fmt: skip


def tote_mesh(paint: F32, label: bool = False) -> Mesh:
    """Open plastic crate with rim and a darker inside; with a printed label on each side or none."""
    length, width, height = TOTE_SIZE_M
    t = 0.03
    walls = boxes(
        [[0, width / 2 - t / 2, height / 2], [0, -width / 2 + t / 2, height / 2],
         [length / 2 - t / 2, 0, height / 2], [-length / 2 + t / 2, 0, height / 2], [0, 0, 0.10]],
        [[length - 0.04, t, height], [length - 0.04, t, height], [t, width - 0.04, height],
         [t, width - 0.04, height], [length - 2 * t, width - 2 * t, 0.05]],
        [paint, paint, paint, paint, paint * 0.6], Material.PLASTIC,
    )  # fmt: skip
    rim = boxes(
        [[0, width / 2 - 0.02, height - 0.02], [0, -width / 2 + 0.02, height - 0.02],
         [length / 2 - 0.02, 0, height - 0.02], [-length / 2 + 0.02, 0, height - 0.02]],
        [[length, 0.04, 0.04], [length, 0.04, 0.04], [0.04, width, 0.04], [0.04, width, 0.04]],
        paint * 0.85, Material.PLASTIC, bottom=True,
    )  # fmt: skip
    return join([walls, rim, _labels(paint)] if label else [walls, rim])


def _labels(paint: F32) -> Mesh:
    """White paper with bars and a coloured band. What is printed follows from the paint alone: a tote keeps its label
    wherever it is carried."""
    rng = np.random.default_rng(np.frombuffer(np.asarray(paint, np.float32).tobytes(), np.uint32).tolist())
    edges = np.cumsum(rng.uniform(0.006, 0.016, 14))
    edges = 0.18 * (edges / edges[-1] - 0.5)
    rects = [(-0.11, 0.11, 0.06, 0.22, WHITE_PAPER), (-0.11, 0.11, 0.19, 0.22, PALETTE[any_colour(rng)])]
    rects += [(float(a), float(b), 0.09, 0.17, RUBBER_BLACK) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    length, width, _ = TOTE_SIZE_M
    flat = np.array([[[a, low], [b, low], [b, high], [a, high]] for a, b, low, high, _ in rects])
    out = 0.0015 * np.minimum(np.arange(len(rects)) + 1, 2)[:, None]  # print lies on the paper, paper on the wall
    sides = []
    for sign in (1.0, -1.0):
        far = np.broadcast_to(sign * (width / 2 + out), flat.shape[:2])
        end = np.broadcast_to(sign * (length / 2 + out), flat.shape[:2])
        sides += [np.stack([flat[..., 0], far, flat[..., 1]], -1), np.stack([end, flat[..., 0], flat[..., 1]], -1)]
    return quads(np.concatenate(sides), [c for *_, c in rects] * 4, Material.PLASTIC)


def tote(rng: np.random.Generator, colour: Colour, label: bool = False) -> Body:
    return Body(ObjectClass.TOTE, tote_mesh(shade(rng, colour), label), TOTE_SIZE_M, colour, {},
                float(rng.uniform(0.6, 1.5)))  # fmt: skip


def robot(rng: np.random.Generator, colour: Colour) -> Body:
    """AMR: drive unit with bumper, load deck, sensor mast at the front (lidar under its cap)."""
    return Body(ObjectClass.ROBOT, robot_mesh(shade(rng, colour)),
                (ROBOT_LENGTH_M, ROBOT_WIDTH_M, ROBOT_HEIGHT_M), colour, {},
                float(rng.uniform(0.7, 1.4)))  # fmt: skip


def robot_mesh(paint: F32, carried: Sequence[F32] = (), label: bool = False) -> Mesh:
    """carried: paints of the totes stacked on the deck, with printed labels or without."""
    dark = (0.03, 0.03, 0.035)
    solid = boxes(
        [[0, 0, 0.19], [0, 0, 0.07], [-0.06, 0, DECK_HEIGHT_M - 0.015], [0.24, 0, 0.58], [0.34, 0, 0.22]],
        [[0.66, 0.48, 0.22], [0.70, 0.50, 0.08], [0.56, 0.46, 0.03], [0.07, 0.12, 0.50], [0.02, 0.30, 0.05]],
        np.array([paint, dark, STEEL, dark, (0.05, 0.6, 0.9)]),
        [Material.PLASTIC, Material.RUBBER, Material.METAL, Material.METAL, Material.LAMP],
    )  # fmt: skip
    puck = limbs([[0.22, 0, 0.83], [0.22, 0, 0.92]], [[0.22, 0, 0.92], [0.22, 0, ROBOT_HEIGHT_M]],
                 [[0.06, 0.06], [0.055, 0.055]], [[0.06, 0.06], [0.02, 0.02]],
                 [dark, STEEL], [Material.PLASTIC, Material.METAL])  # fmt: skip
    parts = [solid, puck]
    for k, tint in enumerate(carried):
        parts.append(tote_mesh(tint, label).moved(-0.10, 0.0, 0.0, DECK_HEIGHT_M + k * TOTE_SIZE_M[2]))
    return join(parts)


def cartons(rng: np.random.Generator, count: int | None = None) -> Body:
    """Brown cartons that fell: one, or a few leaning together. The box truth holds them all."""
    n = int(rng.integers(1, 4)) if count is None else count
    sizes = rng.uniform([0.30, 0.25, 0.20], [0.65, 0.50, 0.50], (n, 3))
    centres = np.zeros((n, 3))
    for i in range(1, n):
        angle = rng.uniform(0, 2 * math.pi)
        reach = 0.30 * (sizes[i, 0] + sizes[0, 0])
        centres[i, :2] = reach * math.cos(angle), reach * math.sin(angle)
    if n == 3:
        centres[2, :2] = centres[0, :2] + rng.uniform(-0.05, 0.05, 2)
        centres[2, 2] = sizes[0, 2]
    centres[:, 2] += sizes[:, 2] / 2
    tint = np.array(CARTON) * rng.uniform(0.65, 1.25, (n, 1))
    mesh = boxes(centres, sizes, tint, Material.CARDBOARD, rng.uniform(-0.5, 0.5, n))
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    middle = (low + high) / 2
    mesh = mesh.moved(-float(middle[0]), -float(middle[1]))
    size = (float(high[0] - low[0]), float(high[1] - low[1]), float(high[2]))
    return Body(ObjectClass.BOX, mesh, size, Colour.BROWN, {}, float(rng.uniform(0.7, 1.4)))


def wet_floor(rng: np.random.Generator, radius_m: float | None = None) -> Body:
    """A puddle: an irregular patch on the floor. Only a camera can tell it."""
    n = 18
    r = float(rng.uniform(0.5, 1.2)) if radius_m is None else radius_m
    angle = np.arange(n) * (2 * math.pi / n)
    wave = sum(rng.uniform(0, 0.16) * np.sin(k * angle + rng.uniform(0, 6.3)) for k in (1, 2, 3, 5))
    reach = r * np.clip(1.0 + wave, 0.45, 1.5)
    outline = np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1)
    outline[:, 1] *= rng.uniform(0.6, 1.0)
    outline -= (outline.min(axis=0) + outline.max(axis=0)) / 2
    span = outline.max(axis=0) - outline.min(axis=0)
    mesh = flat_polygon(outline, 0.004, (0.09, 0.095, 0.10), Material.WET)
    return Body(ObjectClass.WET_FLOOR, mesh, (float(span[0]), float(span[1]), 0.02), None, {},
                1.0, outline)  # fmt: skip


def clutter(rng: np.random.Generator) -> tuple[Mesh, float]:
    """Something that has no class: a bin, a ladder, a pipe rack, a sack, a heap. Returns the mesh and
    the radius of its footprint, m."""
    kind = int(rng.integers(5))
    tint = rng.uniform(0.03, 0.7, 3)
    if kind == 0:  # bollard, drum or bin
        r, h = rng.uniform(0.08, 0.35), rng.uniform(0.4, 1.3)
        mesh = limbs([0, 0, 0], [0, 0, h], [r, r], [r * rng.uniform(0.5, 1.2)] * 2, tint, Material.PLASTIC, 10)
    elif kind == 1:  # leaning ladder
        h = rng.uniform(1.2, 2.6)
        feet = np.array([[0, -0.2, 0], [0, 0.2, 0]])
        mesh = limbs(feet, feet + [0.4, 0, h], [0.03, 0.03], [0.03, 0.03], tint, Material.METAL, 5)
        z = np.arange(0.3, h, 0.3)
        rungs = boxes(np.stack([0.4 * z / h, 0 * z, z], 1), [0.03, 0.4, 0.03], tint, Material.METAL)
        mesh, r = join([mesh, rungs]), 0.5
    elif kind == 2:  # cage trolley
        w, h = rng.uniform(0.4, 0.7), rng.uniform(0.8, 1.8)
        posts = boxes([[x, y, h / 2] for x in (-w / 2, w / 2) for y in (-w / 2, w / 2)],
                      [0.04, 0.04, h], tint, Material.METAL)  # fmt: skip
        shelves = boxes([[0, 0, k * h / 3 + 0.1] for k in range(3)], [w, w, 0.03], tint, Material.METAL, bottom=True)
        mesh, r = join([posts, shelves]), w * 0.75
    else:  # sack or heap: a few random frusta
        n = int(rng.integers(2, 6))
        foot = np.concatenate([rng.uniform(-0.3, 0.3, (n, 2)), np.zeros((n, 1))], 1)
        top = foot + np.concatenate([rng.uniform(-0.2, 0.2, (n, 2)), rng.uniform(0.15, 1.1, (n, 1))], 1)
        mesh = limbs(foot, top, rng.uniform(0.08, 0.35, (n, 2)), rng.uniform(0.02, 0.3, (n, 2)),
                     np.clip(tint * rng.uniform(0.6, 1.4, (n, 1)), 0, 0.9), Material.CLOTH, 7)  # fmt: skip
        r = 0.6
    return mesh, float(r)
