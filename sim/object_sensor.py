"""What robots of object fidelity report: the claims that the network would make, drawn from its error model.

Everything is drawn by seed, robot and time, never by the order of calls. The fleet's own robots are not claimed: fusion
knows them by their reports and would drop the claims.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import ndtr

from aislewise.clock import to_s
from aislewise.geometry import wrap_angle
from aislewise.types import F64, Detection, DetectionFrame, Pose2D
from sim import error_model as em
from sim.error_model import ErrorModel
from sim.setup import stream

HALF_S = 0.5
"""Time between the looks that the model's memory was measured with."""
FORGET_S = 30.0
MOODS = 50_000  # kept before the old ones are forgotten
SENSORS = ("camera", "lidar")


class ObjectSensor:
    """The claims of one fleet. world: a SimWorld; only its truth, robots, site and scenario are read."""

    def __init__(self, world: Any, model: ErrorModel | None = None) -> None:
        self._world, self.model = world, model or em.packaged()
        rng = stream(world.scenario, "objects")
        self._ghost, self._ghost_xy = _haunted(self.model, world.site, rng)
        self._mood: dict[tuple[str, str], tuple[int, float, float]] = {}
        self._moods_most = MOODS
        self._examples = _Lookup(self.model.examples)

    def frames(self, robots: Sequence[str]) -> list[DetectionFrame]:
        """One frame each, of the world as it is now; none of a robot whose sensors are both out."""
        world = self._world
        poses = [world.true_pose(name) for name in robots]
        bodies = world.truth()
        eyes = np.array([[p.x_m, p.y_m] for p in poses])
        xy = np.array([[b.pose.x_m, b.pose.y_m] for b in bodies]).reshape(-1, 2)
        half = np.array([0.5 * min(b.size[0], b.size[1]) for b in bodies])
        clear, ghosts_clear = np.zeros((len(eyes), len(xy))), np.zeros((len(eyes), len(self._ghost_xy)))
        em.clearness(world.site.free, eyes, xy, half, clear)
        em.clearness(world.site.free, eyes, self._ghost_xy, np.full(len(self._ghost_xy), 0.3), ghosts_clear)
        out = []
        for k, (name, pose) in enumerate(zip(robots, poses, strict=True)):
            sensors, sighted = self._working(name)
            if not sensors:
                continue
            rng = stream(world.scenario, "objects", world.index(name) + 1, world.now_ns)
            found: list[Detection] = []
            if "lidar" in sensors:  # by the camera alone the network finds next to nothing: it claims nothing here
                found = self._bodies(name, pose, bodies, xy, clear[k], sighted, rng)
                found += self._ghosts(name, pose, ghosts_clear[k], rng) + self._once(rng)
            believed = world.robot_info(name).pose
            out.append(DetectionFrame(name, world.now_ns, believed, tuple(found), None, sensors))
        return out

    def _working(self, robot: str) -> tuple[tuple[str, ...], bool]:
        """(sensors that send something, whether the camera sees anything)."""
        faults, now = self._world.faults, self._world.now_ns
        sensors = tuple(s for s in SENSORS if not faults.has(f"{s} dropout", robot, now))
        return sensors, "camera" in sensors and not faults.has("light blackout", robot, now)

    # ---- what is there -----------------------------------------------------------------------------------------------

    def _bodies(
        self, robot: str, pose: Pose2D, bodies: Sequence[Any], xy: F64, clear: F64, sighted: bool,
        rng: np.random.Generator,
    ) -> list[Detection]:  # fmt: skip
        base, near = _around(pose, xy, clear)
        out = []
        for k in near.tolist():
            body, (x, y) = bodies[k], base[k]
            range_m = math.hypot(x, y)
            view = sighted and bool(em.in_view(np.array(math.atan2(y, x))))
            clear_bin, range_bin = int(np.digitize(clear[k], em.CLEAR)), int(np.digitize(range_m, em.RANGES_M))
            chance = float(self.model.found[body.cls, int(view), clear_bin, range_bin])
            mood, pick = self._draw(robot, body.id, float(self.model.memory[body.cls]), rng)
            if float(ndtr(mood)) >= chance:
                continue
            marked = next((int(v) for v in body.attributes.values()), -1)
            row = self._examples.row(int(body.cls), view, range_m, -1 if body.colour is None else int(body.colour), marked, pick)
            if row >= 0:
                out.append(self._claim(row, body, x, y, range_m, wrap_angle(body.pose.yaw_rad - pose.yaw_rad)))
        return out

    def _draw(self, robot: str, what: str, memory: float, rng: np.random.Generator) -> tuple[float, float]:
        """(standard normal, uniform), both near those of this robot's last look at the same thing."""
        fresh, pick = float(rng.standard_normal()), float(rng.random())
        now = self._world.now_ns
        known = self._mood.get((robot, what))
        if known is not None and now > known[0]:
            keep = memory ** (to_s(now - known[0]) / HALF_S)
            fresh = keep * known[1] + math.sqrt(1.0 - keep * keep) * fresh
            pick = known[2] if rng.random() < keep else pick
        self._mood[robot, what] = (now, fresh, pick)
        if len(self._mood) > self._moods_most:
            self._mood = {k: v for k, v in self._mood.items() if to_s(now - v[0]) < FORGET_S}
            self._moods_most = max(MOODS, 2 * len(self._mood))
        return fresh, pick

    def _claim(self, row: int, body: Any, x: float, y: float, range_m: float, yaw: float) -> Detection:
        e = self.model.examples
        ux, uy = (x / range_m, y / range_m) if range_m > 1e-6 else (1.0, 0.0)
        along, across = float(e.along[row]), float(e.across[row])
        position = np.array(
            [x + along * ux - across * uy, y + along * uy + across * ux, body.z_m + float(e.up[row])], np.float32
        )
        size = (np.asarray(body.size) * e.scale[row]).astype(np.float32)
        return self._detection(e, row, position, size, wrap_angle(yaw + float(e.turn[row])))

    # ---- what is not -------------------------------------------------------------------------------------------------

    def _ghosts(self, robot: str, pose: Pose2D, clear: F64, rng: np.random.Generator) -> list[Detection]:
        base, near = _around(pose, self._ghost_xy, clear)
        out = []
        for k in near[clear[near] > 0.5].tolist():
            ghost = int(self._ghost[k])
            cls = int(self.model.ghost_class[ghost])
            mood, pick = self._draw(robot, f"ghost {k}", float(self.model.memory[cls]), rng)
            if float(ndtr(mood)) >= self.model.ghost_rate[ghost]:
                continue
            first, end = self.model.ghost_first[ghost], self.model.ghost_first[ghost + 1]
            row = int(first + pick * (end - first))
            c = self.model.ghost_claims
            position = np.array([*base[k], c.up[row]], np.float32)
            out.append(self._detection(c, row, position, c.scale[row], float(c.turn[row])))
        return out

    def _once(self, rng: np.random.Generator) -> list[Detection]:
        c = self.model.false_claims
        count = int(rng.poisson(self.model.false_rate)) if len(c) else 0
        rows = rng.integers(0, max(1, len(c)), count)
        return [
            self._detection(c, row, np.array([c.along[row], c.across[row], c.up[row]], np.float32), c.scale[row], float(c.turn[row]))
            for row in rows.tolist()
        ]

    @staticmethod
    def _detection(c: em.Claims, row: int, position: em.F32, size: em.F32, yaw: float) -> Detection:
        length = float(np.linalg.norm(c.embedding[row])) or 1.0
        return Detection(
            c.class_probs[row], float(c.score[row]), position, np.maximum(size, 0.02).astype(np.float32), yaw,
            c.colour_probs[row], np.clip(c.attributes[row], 0.0, 1.0), c.embedding[row] / np.float32(length),
        )  # fmt: skip


def _haunted(model: ErrorModel, site: Any, rng: np.random.Generator) -> tuple[Any, F64]:
    """(ghosts of the model (K,), where they are (K, 2) in `map`): as many per area as the network sees."""
    kinds, places = [], []
    for is_open in (0, 1):
        cells, ghosts = np.flatnonzero(site.free.ravel() == is_open), np.flatnonzero(model.ghost_open == is_open)
        count = int(rng.poisson(model.ghosts_per_m2[is_open] * len(cells) * site.resolution_m**2)) if len(ghosts) else 0
        kinds.append(rng.choice(ghosts, count) if count else np.zeros(0, np.int64))
        spots = site.centres()[rng.choice(cells, count)] if count else np.zeros((0, 2))
        places.append(spots + rng.uniform(-0.5, 0.5, (count, 2)) * site.resolution_m)
    return np.concatenate(kinds), np.concatenate(places)


def _around(pose: Pose2D, xy: F64, clear: F64) -> tuple[F64, Any]:
    """((N, 2) in base_link, the rows within the square that the network looks at, and not wholly hidden)."""
    c, s = math.cos(pose.yaw_rad), math.sin(pose.yaw_rad)
    d = xy - (pose.x_m, pose.y_m)
    base = np.stack([c * d[:, 0] + s * d[:, 1], c * d[:, 1] - s * d[:, 0]], axis=1)
    near = np.flatnonzero((np.abs(base) <= em.REACH_M).all(axis=1))
    return base, near


class _Lookup:
    """Examples by what they are of; from coarse to fine, the finest that has any."""

    def __init__(self, examples: em.Claims) -> None:
        self._rows: dict[tuple[int, ...], list[int]] = {}
        for row in range(len(examples)):
            kind, colour, marked = (int(v[row]) for v in (examples.kind, examples.colour, examples.marked))
            for key in ((kind, colour, marked), (kind, colour), (kind,), (-1 - kind // 6, colour), (-1 - kind // 6,)):
                self._rows.setdefault(key, []).append(row)

    def row(self, cls: int, view: bool, range_m: float, colour: int, marked: int, pick: float) -> int:
        """An example's row, chosen by pick in [0, 1); -1 when there is none of the class."""
        kind = int(em.kind_of(np.array([cls]), np.array([view]), np.array([range_m]))[0])
        for key in ((kind, colour, marked), (kind, colour), (-1 - cls, colour), (kind,), (-1 - cls,)):
            if rows := self._rows.get(key):
                return rows[int(pick * len(rows))]
        return -1
