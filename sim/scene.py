"""What the sensors cast rays into: one triangle scene (Embree, through open3d) with what each triangle
looks like. Built once per tick and shared by all robots' sensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aislewise.types import F32
from sim.mesh import Mesh

NO_INSTANCE = -1
MISS = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Placed:
    """A body in `map`. instance: number that the sensors report for it; reflect: its factor on the
    lidar reflectivity."""

    mesh: Mesh
    instance: int
    reflect: float = 1.0


@dataclass(frozen=True, slots=True)
class Hits:
    """First hits of N rays. t: (N,) float32 m, inf for a miss; triangle: (N,) uint32, MISS for none;
    normal: (N, 3) float32 unit, not oriented."""

    t: F32
    triangle: NDArray[np.uint32]
    normal: F32


@dataclass(frozen=True, slots=True)
class Base:
    """The part of a scene that stands still, with its per-triangle lidar factors (drawn from colour, so
    that two cartons do not answer alike)."""

    mesh: Mesh
    reflect: F32

    @staticmethod
    def of(mesh: Mesh) -> Base:
        wave = np.sin(mesh.colour @ np.array([127.1, 311.7, 74.7], np.float32)) * 43.7585
        return Base(mesh, (0.7 + 0.6 * (wave - np.floor(wave))).astype(np.float32))


class Scene:
    """Ray casts are thread-safe and use one thread each."""

    def __init__(self, base: Base, bodies: Sequence[Placed] = ()) -> None:
        import open3d as o3d

        meshes = [base.mesh, *(b.mesh for b in bodies)]
        counts = [m.size for m in meshes]
        offsets = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
        vertices = np.concatenate([m.vertices for m in meshes])
        triangles = np.concatenate(
            [m.triangles + np.uint32(o) for m, o in zip(meshes, offsets, strict=True)]
        )
        self.colour = np.concatenate([m.colour for m in meshes])
        self.material = np.concatenate([m.material for m in meshes])
        self.instance = np.repeat(
            np.array([NO_INSTANCE, *(b.instance for b in bodies)], np.int32), counts
        )
        factors = np.array([b.reflect for b in bodies], np.float32)
        self.reflect = np.concatenate([base.reflect, np.repeat(factors, counts[1:])])
        self._tensor = o3d.core.Tensor.from_numpy
        self._caster: Any = o3d.t.geometry.RaycastingScene(nthreads=1)
        self._caster.add_triangles(self._tensor(vertices), self._tensor(triangles))
        self._caster.cast_rays(self._tensor(np.zeros((1, 6), np.float32)), nthreads=1)  # builds the tree

    def cast(self, rays: F32) -> Hits:
        """rays: (N, 6) float32 origin and unit direction in `map`."""
        answer = self._caster.cast_rays(self._tensor(rays), nthreads=1)
        return Hits(
            answer["t_hit"].numpy(),
            answer["primitive_ids"].numpy(),
            answer["primitive_normals"].numpy(),
        )

    def instance_of(self, triangle: NDArray[np.uint32]) -> NDArray[np.int32]:
        """(N,) of hit triangles; NO_INSTANCE for a miss."""
        out = np.full(len(triangle), NO_INSTANCE, np.int32)
        hit = triangle != MISS
        out[hit] = self.instance[triangle[hit]]
        return out

    def occluded(self, rays: F32) -> NDArray[np.bool_]:
        """(N,) bool: something lies on the ray."""
        blocked: NDArray[np.bool_] = self._caster.test_occlusions(
            self._tensor(rays), nthreads=1
        ).numpy()
        return blocked
