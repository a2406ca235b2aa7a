"""What stands about in a warehouse and is of no class that the model knows: cones, ladders, trolleys, glass, wrap.

A robot must neither run into them nor take them for something else, so they stand in every sensor and in nobody's
truth. A shape's own frame has x forward, y left, z up and its origin on the floor in the middle of its outline.
Cartons that fell are of class BOX and no props (sim.bodies.cartons).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import ConvexHull

from aislewise.errors import InputError
from aislewise.types import F64
from sim.bodies import PALETTE, RAW_WOOD, RUBBER_BLACK, STEEL
from sim.mesh import Material, Mesh, boxes, hull, join, limbs, quads, tubes

MAX_OF_A_KIND = 60
SIGNAL_ORANGE, WHITE, SIGNAL_YELLOW = (0.80, 0.16, 0.01), (0.80, 0.80, 0.78), (0.78, 0.55, 0.01)
ALUMINIUM = (0.50, 0.51, 0.53)
GLASS_SHARE, FILM_SHARE = 0.08, 0.35
"""Of a sheet's area that throws light back. Glass: what two faces of float glass reflect at normal incidence (Fresnel,
n = 1.52)."""
PAINTS = ((0.60, 0.03, 0.02), (0.75, 0.45, 0.01), (0.02, 0.10, 0.40), (0.10, 0.11, 0.12))


@dataclass(frozen=True, slots=True)
class Props:
    """How many of each kind stand about. wrap: film that hangs loose at a rack's end; heap: sacks, boards and
    crushed film; glass: a framed pane on feet, with marks at eye height."""

    cone: int = 0
    wet_sign: int = 0
    ladder: int = 0
    pallet_jack: int = 0
    trolley: int = 0
    hand_truck: int = 0
    roll_cage: int = 0
    drum: int = 0
    glass: int = 0
    wrap: int = 0
    heap: int = 0

    def __post_init__(self) -> None:
        for name, count in self.counts.items():
            if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_OF_A_KIND:
                raise InputError(f"props.{name}", f"{count!r}", f"0 to {MAX_OF_A_KIND}")

    @property
    def counts(self) -> dict[str, int]:
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class Prop:
    """One that stands somewhere. mesh: in `map`; outline: (N, 2) convex, in `map`."""

    id: str
    kind: str
    mesh: Mesh
    outline: F64


def outline_of(mesh: Mesh) -> F64:
    """(N, 2) convex outline of a mesh seen from above, counter-clockwise."""
    xy = mesh.vertices[:, :2].astype(np.float64)
    out: F64 = xy[ConvexHull(xy).vertices]
    return out


def build(kind: str, rng: np.random.Generator) -> Mesh:
    """One of that kind, its outline's box about the origin."""
    mesh = SHAPES[kind](rng)
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    return mesh.moved(-float(low[0] + high[0]) / 2, -float(low[1] + high[1]) / 2)


def cone(rng: np.random.Generator) -> Mesh:
    """Traffic cone of 0.45 to 0.75 m with reflecting sleeves (EN 13422)."""
    h = float(rng.uniform(0.45, 0.75))
    cuts = np.array([0.03, 0.30, 0.48, 0.62, 0.76, 1.0]) * h
    cuts[0] = 0.03
    radius = np.interp(cuts, [0.0, h], [0.19 * h / 0.6, 0.025])
    at = np.stack([np.zeros((6,)), np.zeros((6,)), cuts], 1)
    rings = limbs(
        at[:-1], at[1:], np.repeat(radius[:-1, None], 2, 1), np.repeat(radius[1:, None], 2, 1),
        [SIGNAL_ORANGE, WHITE, SIGNAL_ORANGE, WHITE, SIGNAL_ORANGE], Material.PLASTIC, 12,
    )  # fmt: skip
    side = 0.55 * h
    foot = boxes([0, 0, 0.015], [side, side, 0.03], RUBBER_BLACK if rng.random() < 0.5 else SIGNAL_ORANGE, Material.RUBBER)
    return join([foot, rings])


def _panel(corners: F64, thick: float, colour: ArrayLike, material: Material) -> Mesh:
    """A plate with four corners (4, 3) on its front, thick along -x."""
    return hull(np.concatenate([corners, corners - [thick, 0, 0]]), colour, material)


def wet_sign(rng: np.random.Generator) -> Mesh:
    """The yellow A of plastic, with a warning triangle and lines of print on both sides."""
    h, w, spread = float(rng.uniform(0.58, 0.70)), 0.29, float(rng.uniform(0.17, 0.24))
    parts: list[Mesh] = []
    for side in (1.0, -1.0):
        def at(y: float, z: float, lift: float = 0.0, side: float = side) -> list[float]:
            """A point of the slanted face."""
            return [side * (spread * (1 - z / h) + 0.012 + lift), y, z]

        face = np.array([at(-w / 2, 0.0), at(w / 2, 0.0), at(w / 2 * 0.8, h), at(-w / 2 * 0.8, h)])
        parts.append(_panel(face, 0.012 * side, SIGNAL_YELLOW, Material.PLASTIC))
        red = [at(-0.09, 0.34, 0.004), at(0.09, 0.34, 0.004), at(0.006, 0.50, 0.004), at(-0.006, 0.50, 0.004)]
        ink = [[at(-0.10, z, 0.004), at(0.10, z, 0.004), at(0.10, z + 0.03, 0.004), at(-0.10, z + 0.03, 0.004)] for z in (0.14, 0.21, 0.28)]
        mark = [at(-0.02, 0.36, 0.008), at(0.02, 0.36, 0.008), at(0.012, 0.45, 0.008), at(-0.012, 0.45, 0.008)]
        parts.append(quads([red, *ink, mark], [(0.60, 0.02, 0.02)] + [RUBBER_BLACK] * 4, Material.PLASTIC))
    return join(parts)


def ladder(rng: np.random.Generator) -> Mesh:
    """Step ladder, open: stiles and treads in front, two struts behind."""
    steps = int(rng.integers(4, 8))
    h, depth, w = 0.25 * steps + 0.05, 0.10 * steps + 0.35, 0.42 + 0.02 * steps
    front, back = depth / 2, -depth / 2
    y = np.array([-w / 2, w / 2])
    feet = [[front, v, 0.0] for v in y] + [[back, v, 0.0] for v in y]
    tops = [[0.08, v * 0.72, h] for v in y] + [[-0.04, v * 0.72, h] for v in y]
    stiles = tubes(feet, tops, 0.024, ALUMINIUM, Material.METAL)
    k = np.arange(1, steps) / steps
    treads = boxes(
        np.stack([front + (0.08 - front) * k - 0.02, 0 * k, h * k], 1),
        np.stack([np.full(steps - 1, 0.09), w * (1 - 0.28 * k), np.full(steps - 1, 0.028)], 1),
        (0.40, 0.41, 0.43), Material.METAL, bottom=True,
    )  # fmt: skip
    struts = tubes([[back * 0.55, y[0] * 0.85, h * 0.45]], [[back * 0.55, y[1] * 0.85, h * 0.45]], 0.012, ALUMINIUM, Material.METAL)
    paint = PAINTS[int(rng.integers(3))]
    top = boxes([0.02, 0, h], [0.26, w * 0.78, 0.04], paint, Material.PLASTIC, bottom=True)
    caps = boxes(np.array(feet) + [0, 0, 0.03], [0.06, 0.06, 0.06], RUBBER_BLACK, Material.RUBBER)
    return join([stiles, treads, struts, top, caps])


def pallet_jack(rng: np.random.Generator) -> Mesh:
    """Hand pallet truck: two forks of 1.15 m with tapered tips, pump, tiller with a loop, steered wheels."""
    paint = PAINTS[int(rng.integers(len(PAINTS)))]
    lift, lean = float(rng.uniform(0.085, 0.19)), float(rng.uniform(0.05, 0.45))
    forks = []
    for y in (-0.19, 0.19):
        near = [[-0.55, y + s, lift - d] for s in (-0.08, 0.08) for d in (0.0, 0.06)]
        far = [[0.45, y + s, lift - d] for s in (-0.08, 0.08) for d in (0.0, 0.05)]
        tip = [[0.60, y + s, lift - 0.03] for s in (-0.045, 0.045)]
        forks.append(hull(near + far + tip, paint, Material.METAL))
    bridge = boxes([[-0.57, 0, lift + 0.06], [-0.62, 0, 0.34]], [[0.10, 0.54, 0.22], [0.12, 0.26, 0.34]], paint, Material.METAL)
    pump = tubes([[-0.68, 0, 0.16]], [[-0.68, 0, 0.52]], 0.055, (0.05, 0.05, 0.06), Material.METAL, 10)
    foot, grip = np.array([-0.70, 0, 0.45]), np.array([-0.74 - lean, 0, 1.18 - 0.3 * lean])
    along = (grip - foot) / np.linalg.norm(grip - foot)
    bow = [grip - 0.12 * along, grip - 0.12 * along, grip + [0, 0.11, 0], grip + [0, -0.11, 0], grip + [0, -0.11, 0]]
    loop = [bow[0] + [0, 0.11, 0], bow[0] - [0, 0.11, 0], bow[0] + [0, 0.11, 0], bow[0] - [0, 0.11, 0], grip + [0, 0.11, 0]]
    tiller = join([
        tubes([foot], [bow[0]], 0.019, paint, Material.METAL),
        tubes(bow, loop, 0.017, RUBBER_BLACK, Material.RUBBER),
    ])  # fmt: skip
    wheels = tubes(
        [[-0.68, s * 0.07 - 0.025, 0.09] for s in (-1, 1)] + [[0.38, y - 0.05, 0.035] for y in (-0.19, 0.19)],
        [[-0.68, s * 0.07 + 0.025, 0.09] for s in (-1, 1)] + [[0.38, y + 0.05, 0.035] for y in (-0.19, 0.19)],
        [[0.09, 0.09]] * 2 + [[0.035, 0.035]] * 2, RUBBER_BLACK, Material.RUBBER, 12,
    )  # fmt: skip
    return join([*forks, bridge, pump, tiller, wheels])


def castors(xy: F64, height: float) -> Mesh:
    """Wheels with their forks under the points (N, 2)."""
    n, r = len(xy), 0.42 * height
    axle = np.column_stack([xy, np.full(n, r)])
    tread = tubes(axle - [0, 0.018, 0], axle + [0, 0.018, 0], r, RUBBER_BLACK, Material.RUBBER, 10)
    stems = tubes(axle + [0, 0, 0.3 * r], np.column_stack([xy, np.full(n, height)]), 0.016, STEEL, Material.METAL)
    return join([tread, stems])


def sacks(rng: np.random.Generator, count: int, room: tuple[float, float], z_m: float = 0.0) -> Mesh:
    """Filled sacks thrown on top of each other: irregular, rounded, flattened where they meet the sides of the room,
    length and width, m, that they have."""
    parts, side = [], np.array(room) / 2
    for k in range(count):
        half = np.array([rng.uniform(0.22, 0.34), rng.uniform(0.14, 0.22), rng.uniform(0.07, 0.12)])
        points = rng.standard_normal((26, 3))
        points = np.sign(points) * np.abs(points / np.linalg.norm(points, axis=1, keepdims=True)) ** 0.6 * half
        tint = np.array(((0.55, 0.50, 0.40), (0.62, 0.60, 0.55), (0.30, 0.22, 0.13))[int(rng.integers(3))]) * rng.uniform(0.7, 1.1)
        yaw, at = float(rng.uniform(-math.pi, math.pi)), rng.uniform(-0.3, 0.3, 2) * side
        turn = np.array([[math.cos(yaw), math.sin(yaw)], [-math.sin(yaw), math.cos(yaw)]])
        points[:, :2] = np.clip(points[:, :2] @ turn + at, -side, side)
        points[:, 2] = np.maximum(points[:, 2], -0.8 * half[2]) + z_m + 0.8 * half[2] + 0.13 * (k // 2)
        parts.append(hull(points, tint, Material.CLOTH))
    return join(parts)


def trolley(rng: np.random.Generator) -> Mesh:
    """Platform trolley with a bow to push it by, empty or with sacks on."""
    length, w, deck = float(rng.uniform(0.80, 1.00)), float(rng.uniform(0.50, 0.60)), 0.20
    x, y = length / 2 - 0.04, w / 2 - 0.04
    paint = PAINTS[int(rng.integers(len(PAINTS)))]
    plate = boxes([0, 0, deck], [length, w, 0.035], np.array(RAW_WOOD) * rng.uniform(0.5, 1.0), Material.WOOD, bottom=True)
    edge = boxes([[0, w / 2, deck], [0, -w / 2, deck], [length / 2, 0, deck], [-length / 2, 0, deck]],
                 [[length, 0.02, 0.05], [length, 0.02, 0.05], [0.02, w, 0.05], [0.02, w, 0.05]], paint, Material.METAL, bottom=True)  # fmt: skip
    bow = tubes([[-x, y, deck], [-x, -y, deck], [-x, y, 0.95], [-x, y, 0.58]], [[-x, y, 0.95], [-x, -y, 0.95], [-x, -y, 0.95], [-x, -y, 0.58]],
                0.017, paint, Material.METAL)  # fmt: skip
    load = sacks(rng, int(rng.integers(0, 4)), (length, w), deck + 0.02)
    corners = np.array([[sx * (x - 0.06), sy * (y - 0.04)] for sx in (-1, 1) for sy in (-1, 1)])
    return join([plate, edge, bow, castors(corners, deck - 0.02), load])


def hand_truck(rng: np.random.Generator) -> Mesh:
    """Sack barrow, upright on its toe plate."""
    paint = PAINTS[int(rng.integers(len(PAINTS)))]
    h = float(rng.uniform(1.05, 1.25))
    side = [[0, -0.19, 0.03], [0, 0.19, 0.03], [0, -0.19, h], [0, 0.19, h]]
    end = [[0, -0.19, h], [0, 0.19, h], [-0.14, -0.22, h + 0.05], [-0.14, 0.22, h + 0.05]]
    rungs = [[0, -0.19, z] for z in (0.25, 0.55, 0.85, h)]
    frame = tubes(side + rungs, end + [[0, 0.19, r[2]] for r in rungs], 0.016, paint, Material.METAL)
    grips = tubes(end[2:], [[-0.24, -0.22, h + 0.05], [-0.24, 0.22, h + 0.05]], 0.019, RUBBER_BLACK, Material.RUBBER)
    plate = boxes([0.12, 0, 0.012], [0.24, 0.42, 0.014], STEEL, Material.METAL)
    wheels = tubes([[-0.12, s * 0.22 - 0.035, 0.13] for s in (-1, 1)], [[-0.12, s * 0.22 + 0.035, 0.13] for s in (-1, 1)],
                   0.13, RUBBER_BLACK, Material.RUBBER, 14)  # fmt: skip
    hubs = tubes([[-0.12, s * 0.22 - 0.037, 0.13] for s in (-1, 1)], [[-0.12, s * 0.22 + 0.037, 0.13] for s in (-1, 1)],
                 0.06, WHITE, Material.METAL, 10)  # fmt: skip
    axle = tubes([[-0.12, -0.19, 0.13], [-0.12, -0.15, 0.13], [-0.12, 0.15, 0.13]], [[-0.12, 0.19, 0.13], [0, -0.19, 0.45], [0, 0.19, 0.45]],
                 0.012, STEEL, Material.METAL)  # fmt: skip
    return join([frame, grips, plate, wheels, hubs, axle])


def roll_cage(rng: np.random.Generator) -> Mesh:
    """Roll container of bars, open in front; with a few bags in it or none."""
    length, w, h, deck = 0.80, 0.60, float(rng.uniform(1.55, 1.75)), 0.19
    x, y = length / 2 - 0.02, w / 2 - 0.02
    posts = [[sx * x, sy * y, deck] for sx in (-1, 1) for sy in (-1, 1)]
    bars = [[-x, v, deck] for v in np.linspace(-y, y, 6)[1:-1]]
    bars += [[v, sy * y, deck] for sy in (-1, 1) for v in np.linspace(-x, x, 7)[1:-1]]
    levels = np.linspace(deck, h, 4)
    rails = [([-x, sy * y, z], [x, sy * y, z]) for sy in (-1, 1) for z in levels] + [([-x, -y, z], [-x, y, z]) for z in levels]
    cage = join([
        tubes(posts, [[*p[:2], h] for p in posts], 0.016, ALUMINIUM, Material.METAL),
        tubes(bars, [[*p[:2], h] for p in bars], 0.007, ALUMINIUM, Material.METAL, 4),
        tubes([a for a, _ in rails], [b for _, b in rails], 0.010, ALUMINIUM, Material.METAL, 4),
    ])  # fmt: skip
    floor = boxes([0, 0, deck], [length, w, 0.03], (0.10, 0.11, 0.12), Material.PLASTIC, bottom=True)
    load = sacks(rng, int(rng.integers(0, 7)), (length - 0.05, w - 0.05), deck + 0.02)
    return join([cage, floor, castors(np.array(posts)[:, :2] * 0.88, deck), load])


def drum(rng: np.random.Generator) -> Mesh:
    """Steel drum of 200 l: 0.585 m across, 0.88 m high, with two rolling hoops and a lid rim (ISO 15750)."""
    paint = np.array(list(PALETTE.values())[int(rng.integers(len(PALETTE)))]) * rng.uniform(0.7, 1.1)
    z = [0.0, 0.29, 0.31, 0.57, 0.59, 0.86, 0.86]
    top = [0.29, 0.31, 0.57, 0.59, 0.86, 0.88, 0.865]
    r = np.array([0.283, 0.2925, 0.283, 0.2925, 0.283, 0.2925, 0.27])[:, None].repeat(2, 1)
    tint = np.array([paint] * 6 + [np.array(STEEL)])
    at = np.zeros((7, 2))
    body = limbs(np.column_stack([at, z]), np.column_stack([at, top]), r, r, tint, Material.METAL, 20)
    bung = limbs([0.17, 0.05, 0.86], [0.17, 0.05, 0.90], [0.03, 0.03], [0.03, 0.03], STEEL, Material.METAL)
    return join([body, bung])


def sheet(centre: F64, share: float, colour: ArrayLike, material: Material, rng: np.random.Generator) -> Mesh:
    """A see-through sheet as the streaks of it that throw light back: that share of its cells, drawn at random; rays
    go through the rest. (Screen-door transparency, which needs nothing of a renderer; Enderton et al., I3D 2010.)
    centre: (U, V, 3) m, the grid of its cells' corners."""
    corners = np.stack([centre[:-1, :-1], centre[1:, :-1], centre[1:, 1:], centre[:-1, 1:]], axis=2).reshape(-1, 4, 3)
    return quads(corners[rng.random(len(corners)) < share], colour, material)


def glass(rng: np.random.Generator) -> Mesh:
    """A pane in a slender frame on feet, with two rows of marks so that people see it (as DIN 18040-1 asks)."""
    w, h, low = float(rng.uniform(0.9, 1.5)), 2.0, 0.08
    y, z = np.linspace(-w / 2, w / 2, round(w / 0.015) + 1), np.linspace(low, h, 48)
    at = np.zeros((len(y), len(z), 3))
    at[..., 1], at[..., 2] = y[:, None], z[None]
    pane = sheet(at, GLASS_SHARE, (0.55, 0.66, 0.66), Material.GLASS, rng)
    frame = boxes(
        [[0, -w / 2, h / 2], [0, w / 2, h / 2], [0, 0, h], [0, 0, low]],
        [[0.04, 0.035, h], [0.04, 0.035, h], [0.04, w, 0.035], [0.04, w, 0.035]], ALUMINIUM, Material.METAL, bottom=True,
    )  # fmt: skip
    feet = boxes([[0, s * w / 2, 0.02] for s in (-1, 1)], [0.40, 0.06, 0.04], STEEL, Material.METAL)
    n = max(4, round(w / 0.15))
    spots = np.array([(v, z) for z in (0.90, 1.45) for v in (np.arange(n) + 0.5) / n * w - w / 2])
    corner = np.array([[0, -0.035, -0.035], [0, 0.035, -0.035], [0, 0.035, 0.035], [0, -0.035, 0.035]])
    marks = quads(np.column_stack([np.zeros(2 * n), spots])[:, None] + corner, WHITE if rng.random() < 0.6 else (0.02, 0.10, 0.40),
                  Material.PAINT)  # fmt: skip
    return join([pane, frame, feet, marks])


def wrap(rng: np.random.Generator) -> Mesh:
    """Stretch film torn off a load: it hangs in folds from 2.3 m down, ragged at its lower edge."""
    w, top = float(rng.uniform(0.6, 1.1)), 2.3
    y = np.linspace(-w / 2, w / 2, round(w / 0.02) + 1)
    end = rng.uniform(0.15, 0.7) + 0.12 * np.sin(y * rng.uniform(4, 9) + rng.uniform(0, 6))
    z = end[:, None] + (top - end)[:, None] * np.linspace(0, 1, 40)[None]
    fold = 0.009 * np.sin(y * 22 + rng.uniform(0, 6)) + 0.006 * np.sin(y * 9.0)
    at = np.stack([np.broadcast_to(fold[:, None], z.shape), np.broadcast_to(y[:, None], z.shape), z], axis=-1)
    film = sheet(at, FILM_SHARE, (0.74, 0.78, 0.80), Material.FILM, rng)
    return join([film, tubes([[0, -w / 2, top]], [[0, w / 2, top]], 0.012, (0.65, 0.68, 0.70), Material.PLASTIC)])


def heap(rng: np.random.Generator) -> Mesh:
    """What nobody cleared away: sacks, broken boards leaning on them, a ball of crushed film."""
    parts = [sacks(rng, int(rng.integers(2, 8)), (0.9, 0.58))]
    for _ in range(int(rng.integers(1, 4))):
        length, yaw, tilt = rng.uniform(0.4, 0.8), rng.uniform(-0.35, 0.35), rng.uniform(0.0, 0.6)
        end = np.array([math.cos(yaw) * math.cos(tilt), math.sin(yaw) * math.cos(tilt), math.sin(tilt)]) * length
        side = np.array([-math.sin(yaw), math.cos(yaw), 0.0]) * 0.05
        foot = np.array([*rng.uniform(-0.1, 0.1, 2) - end[:2] / 2, 0.0])
        board = np.array([foot + a * end + b * side + [0, 0, c] for a in (0, 1) for b in (-1, 1) for c in (0.0, 0.02)])
        parts.append(hull(board, np.array(RAW_WOOD) * rng.uniform(0.6, 1.1), Material.WOOD))
    ball = rng.standard_normal((18, 3))
    ball = ball / np.linalg.norm(ball, axis=1, keepdims=True) * rng.uniform(0.10, 0.17, (18, 1)) + [*rng.uniform(-0.13, 0.13, 2), 0.15]
    ball[:, 2] = np.maximum(ball[:, 2], 0.0)
    parts.append(hull(ball, (0.60, 0.64, 0.66), Material.FILM))
    return join(parts)


SHAPES: dict[str, Callable[[np.random.Generator], Mesh]] = {
    "cone": cone, "wet_sign": wet_sign, "ladder": ladder, "pallet_jack": pallet_jack, "trolley": trolley,
    "hand_truck": hand_truck, "roll_cage": roll_cage, "drum": drum, "glass": glass, "wrap": wrap, "heap": heap,
}  # fmt: skip
"""By their names in Props."""
