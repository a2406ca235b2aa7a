"""Triangle meshes made of batches of boxes and limbs, coloured per triangle.

Everything is built in vectorised batches: a warehouse is a few thousand boxes, and the moving part
of the scene is rebuilt at every tick.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import ConvexHull

F32 = NDArray[np.float32]


class Material(IntEnum):
    """How a surface answers light. Indexes the columns of MATERIALS and the textures of the camera."""

    CONCRETE = 0
    PAINT = 1
    METAL = 2
    CARDBOARD = 3
    WOOD = 4
    PLASTIC = 5
    CLOTH = 6
    SKIN = 7
    STRIPE = 8
    RUBBER = 9
    WET = 10
    LAMP = 11
    WALL = 12
    GLASS = 13
    FILM = 14


MATERIALS: dict[Material, tuple[float, float, float]] = {
    # lidar reflectivity at normal incidence, chance of a dropout, specular gloss for the camera.
    # STRIPE equals CLOTH for the lidar on purpose: a vest must be told by the camera.
    Material.CONCRETE: (0.30, 0.01, 0.02),
    Material.PAINT: (0.45, 0.01, 0.05),
    Material.METAL: (0.40, 0.05, 0.25),
    Material.CARDBOARD: (0.40, 0.01, 0.02),
    Material.WOOD: (0.38, 0.01, 0.02),
    Material.PLASTIC: (0.35, 0.02, 0.15),
    Material.CLOTH: (0.33, 0.02, 0.00),
    Material.SKIN: (0.35, 0.02, 0.03),
    Material.STRIPE: (0.33, 0.02, 0.10),
    Material.RUBBER: (0.10, 0.06, 0.03),
    Material.WET: (0.16, 0.35, 0.60),
    Material.LAMP: (0.30, 0.02, 0.00),
    Material.WALL: (0.45, 0.01, 0.02),
    # only the little of them that throws light back: what lets it through is no triangle (sim.props.sheet)
    Material.GLASS: (0.06, 0.70, 0.90),
    Material.FILM: (0.12, 0.45, 0.50),
}
"""Chosen to give the spread an automotive 905 nm lidar shows indoors; not measured on one device."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """vertices (V, 3) float32 m; triangles (T, 3) uint32; colour (T, 3) float32 linear albedo in
    [0, 1]; material (T,) uint8."""

    vertices: F32
    triangles: NDArray[np.uint32]
    colour: F32
    material: NDArray[np.uint8]

    @property
    def size(self) -> int:
        return len(self.triangles)

    def moved(self, x_m: float, y_m: float, yaw_rad: float = 0.0, z_m: float = 0.0) -> Mesh:
        """The mesh in the parent frame: turned about z, then shifted."""
        c, s = math.cos(yaw_rad), math.sin(yaw_rad)
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32)
        vertices = self.vertices @ turn + np.array([x_m, y_m, z_m], np.float32)
        return Mesh(vertices, self.triangles, self.colour, self.material)


EMPTY = Mesh(
    np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint32),
    np.zeros((0, 3), np.float32), np.zeros(0, np.uint8),
)  # fmt: skip


def join(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of several, in order."""
    if not meshes:
        return EMPTY
    offsets = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.triangles + np.uint32(o) for m, o in zip(meshes, offsets, strict=True)]),
        np.concatenate([m.colour for m in meshes]),
        np.concatenate([m.material for m in meshes]),
    )


def _assemble(vertices: Any, faces: Any, colour: ArrayLike, material: ArrayLike) -> Mesh:
    """vertices (N, V, 3), faces (F, 3) shared; colour (N, 3) or (3,); material (N,) or scalar."""
    n, per = vertices.shape[:2]
    triangles = faces[None] + (per * np.arange(n))[:, None, None]
    return Mesh(
        vertices.reshape(-1, 3).astype(np.float32),
        triangles.reshape(-1, 3).astype(np.uint32),
        np.repeat(np.broadcast_to(np.asarray(colour, np.float32), (n, 3)), len(faces), axis=0),
        np.repeat(np.broadcast_to(np.asarray(material, np.uint8), (n,)), len(faces)),
    )


_CUBE = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_CUBE_FACES = np.array(
    [[1, 5, 7], [1, 7, 3], [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5],
     [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4]]
)  # fmt: skip
_CUBE_NO_BOTTOM = _CUBE_FACES[:10]


def boxes(
    centres: ArrayLike, sizes: ArrayLike, colour: ArrayLike, material: ArrayLike,
    yaw_rad: ArrayLike = 0.0, bottom: bool = False,
) -> Mesh:  # fmt: skip
    """N boxes. centres (N, 3) or (3,), sizes (N, 3) or (3,) m, yaw about z. Nothing sees the bottom of
    most boxes, so it is left out unless asked for."""
    centre = np.atleast_2d(np.asarray(centres, np.float64))
    local = _CUBE[None] * np.broadcast_to(np.asarray(sizes, np.float64), centre.shape)[:, None]
    yaw = np.broadcast_to(np.asarray(yaw_rad, np.float64), (len(centre),))
    if yaw.any():
        c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
        x, y = local[..., 0].copy(), local[..., 1].copy()
        local[..., 0], local[..., 1] = c * x - s * y, s * x + c * y
    faces = _CUBE_FACES if bottom else _CUBE_NO_BOTTOM
    return _assemble(local + centre[:, None], faces, colour, material)


def limbs(
    foot: ArrayLike, top: ArrayLike, foot_radius: ArrayLike, top_radius: ArrayLike,
    colour: ArrayLike, material: ArrayLike, sides: int = 8,
) -> Mesh:  # fmt: skip
    """N sheared elliptic frusta with horizontal rings, from foot (N, 3) to top (N, 3). Radii are
    (N, 2) along x and y."""
    p0 = np.atleast_2d(np.asarray(foot, np.float64))
    p1 = np.broadcast_to(np.asarray(top, np.float64), p0.shape)
    n = len(p0)
    angle = np.arange(sides) * (2 * math.pi / sides)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    vertices = np.empty((n, 2 * sides + 2, 3))
    for k, (p, radius) in enumerate(((p0, foot_radius), (p1, top_radius))):
        r = np.broadcast_to(np.asarray(radius, np.float64), (n, 2))
        part = vertices[:, k * sides : (k + 1) * sides]
        part[..., :2] = p[:, None, :2] + ring[None] * r[:, None]
        part[..., 2] = p[:, None, 2]
    vertices[:, -2], vertices[:, -1] = p0, p1
    return _assemble(vertices, _drum(sides), colour, material)


def _drum(sides: int) -> NDArray[np.int64]:
    """Faces of two rings of vertices and the centres of both."""
    i = np.arange(sides)
    j = (i + 1) % sides
    return np.concatenate([
        np.stack([i, j, j + sides], 1), np.stack([i, j + sides, i + sides], 1),
        np.stack([j, i, np.full(sides, 2 * sides)], 1),
        np.stack([i + sides, j + sides, np.full(sides, 2 * sides + 1)], 1),
    ])  # fmt: skip


def tubes(
    start: ArrayLike, end: ArrayLike, radius: ArrayLike, colour: ArrayLike, material: ArrayLike, sides: int = 6,
) -> Mesh:  # fmt: skip
    """N round bars or cones of any direction, from start (N, 3) to end (N, 3), closed at both ends. radius: (N, 2) m
    at start and end, or one for all."""
    p0 = np.atleast_2d(np.asarray(start, np.float64))
    p1 = np.broadcast_to(np.asarray(end, np.float64), p0.shape)
    n = len(p0)
    r = np.broadcast_to(np.asarray(radius, np.float64), (n, 2))
    axis = (p1 - p0) / np.linalg.norm(p1 - p0, axis=1, keepdims=True)
    helper = np.where(np.abs(axis[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    u = np.cross(axis, helper)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.cross(axis, u)
    angle = np.arange(sides) * (2 * math.pi / sides)
    ring = u[:, None] * np.cos(angle)[:, None] + v[:, None] * np.sin(angle)[:, None]
    vertices = np.concatenate(
        [p0[:, None] + r[:, :1, None] * ring, p1[:, None] + r[:, 1:, None] * ring, p0[:, None], p1[:, None]], axis=1
    )
    return _assemble(vertices, _drum(sides), colour, material)


def quads(corners: ArrayLike, colour: ArrayLike, material: ArrayLike) -> Mesh:
    """N flat four-sided faces, seen from both sides. corners: (N, 4, 3) m, in order round each."""
    return _assemble(np.asarray(corners, np.float64), np.array([[0, 1, 2], [0, 2, 3]]), colour, material)


def hull(points: ArrayLike, colour: ArrayLike, material: ArrayLike) -> Mesh:
    """The convex hull of points (N, 3), N >= 4 and not in one plane."""
    at = np.asarray(points, np.float64)
    return _assemble(at[None], ConvexHull(at).simplices, colour, material)


def flat_polygon(outline: ArrayLike, z_m: float, colour: ArrayLike, material: ArrayLike) -> Mesh:
    """A star-shaped polygon (N, 2) as a fan about its centroid, lying at z_m."""
    xy = np.asarray(outline, np.float64)
    n = len(xy)
    vertices = np.full((1, n + 1, 3), z_m)
    vertices[0, :n, :2], vertices[0, n, :2] = xy, xy.mean(axis=0)
    i = np.arange(n)
    return _assemble(vertices, np.stack([i, (i + 1) % n, np.full(n, n)], 1), colour, material)
