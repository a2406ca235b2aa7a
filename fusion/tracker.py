"""Multi-object tracking in `map` over the detections of all robots.

Kalman filters in one batch, Mahalanobis gating and the Hungarian method for association, Bayes for
class, colour and attributes, an existence probability that knows where a frame looked (Bernoulli
filter, Ristic et al. 2013), merging of duplicates. Deterministic: ids follow the order of frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from aislewise.clock import NS_PER_S, to_s
from aislewise.errors import InputError
from aislewise.geometry import transform_xy
from aislewise.types import ATTRIBUTES, EMBEDDING_SIZE, F64, DetectionFrame, ObjectClass, Pose2D, WorldObject
from fusion import tracks as tk
from fusion.tracks import Mask, Measurements, Tracks
from fusion.visibility import ViewConfig, detection_probability, in_base, in_camera_view

GOODS = (ObjectClass.PALLET, ObjectClass.TOTE, ObjectClass.BOX)
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """min_score: weaker detections are not used at all; birth_score: enough for a new track.
    confirm, publish, forget: existence probabilities at which a track gets its id, is shown, is deleted.
    birth_odds: log-odds of a new claim at the neutral score; score_slope: log-likelihood ratio per unit of
    score above the class's entry in neutral_scores, within score_bounds (fitted to scores of true and false
    claims in the simulated warehouse: shadows on the floor look wet, so that claim has to be surer).
    gate: squared Mahalanobis distance (11.8: 99.7% of two dimensions). noise_m and noise_per_m: lidar
    position noise, growing with range; camera_per_m: range noise when only a camera took part."""

    min_score: float = 0.15
    birth_score: float = 0.3
    confirm: float = 0.7
    confirm_hits: int = 2
    publish: float = 0.3
    forget: float = 0.08
    birth_odds: float = -1.5
    neutral_scores: tuple[float, ...] = (0.44, 0.44, 0.44, 0.44, 0.44, 0.44, 0.60)
    score_slope: float = 12.0
    score_bounds: tuple[float, float] = (-1.0, 3.0)
    tentative_s: float = 2.0
    lost_std_m: float = 4.0
    gate: float = 11.8
    min_affinity: float = 0.1
    noise_m: float = 0.12
    noise_per_m: float = 0.012
    camera_per_m: float = 0.08
    robot_radius_m: float = 1.0
    carried_radius_m: float = 0.35
    merge_m: float = 0.3
    max_tracks: int = 512
    max_lag_s: float = 2.0
    view: ViewConfig = field(default_factory=ViewConfig)

    def __post_init__(self) -> None:
        for name in ("min_score", "birth_score", "confirm", "publish", "forget", "min_affinity"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"tracker.{name}", f"{getattr(self, name)}", "0 to 1")
        for name in ("tentative_s", "lost_std_m", "gate", "noise_m", "max_lag_s"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0.0):
                raise InputError(f"tracker.{name}", f"{getattr(self, name)}", "above 0")
        if len(self.neutral_scores) != len(ObjectClass):
            raise InputError("tracker.neutral_scores", f"{len(self.neutral_scores)} scores", len(ObjectClass))
        if self.max_tracks < 1 or self.confirm_hits < 1:
            raise InputError("tracker.max_tracks", f"{self.max_tracks}", "1 or more")


class Tracker:
    """`update` with each DetectionFrame as it comes, `objects(now_ns)` for the tracked world."""

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self.config = config or TrackerConfig()
        self.tracks = Tracks.empty()
        self.rejected = 0  # detections that were not finite, frames that came too late
        self._stamp_ns: int | None = None
        self._births = 0
        self._serial = 0

    def update(self, frame: DetectionFrame, robots: Sequence[Pose2D] | F64 = ()) -> None:
        """Takes in one frame. robots: present poses of all fleet members, or places (N, 2), in `map`; they are
        known through their own reports and never become objects."""
        lag_s = self._advance(frame.stamp_ns)
        if lag_s > self.config.max_lag_s:
            self.rejected += 1
            return
        own = (frame.T_map_base.x_m, frame.T_map_base.y_m)
        places = robots if isinstance(robots, np.ndarray) else np.array([(p.x_m, p.y_m) for p in robots]).reshape(-1, 2)
        fleet = np.vstack([own, places])
        seen = self._without_fleet(self._measure(frame, lag_s), fleet)
        rows, columns = self._associate(seen)
        matched = seen.take(columns)
        tk.correct(self.tracks, rows, matched, frame.stamp_ns, frame.robot)
        tk.look(self.tracks, rows, matched.offset, self._score_evidence(matched))
        self._miss(frame, rows)
        fresh = np.setdiff1d(np.arange(len(seen)), columns)
        self._give_birth(frame, seen.take(fresh[seen.score[fresh] >= self.config.birth_score]))
        self._merge(rows)
        self._confirm()
        self._bury(fleet)

    def objects(self, now_ns: int | None = None) -> tuple[WorldObject, ...]:
        """Confirmed objects in order of their ids; moving ones carried on to now_ns (at most 1 s)."""
        t = self.tracks
        present = np.flatnonzero((t.serial > 0) & (t.existence >= self.config.publish))
        ahead_s = 0.0
        if now_ns is not None and self._stamp_ns is not None:
            ahead_s = min(max(to_s(now_ns - self._stamp_ns), 0.0), 1.0)
        return tuple(self._object(int(i), ahead_s) for i in present[np.argsort(t.serial[present])])

    def movers(self, classes: Sequence[ObjectClass], now_ns: int) -> tuple[F64, F64]:
        """((N, 2) places, (N, 3) sizes) of the confirmed objects of these classes, as `objects` has them."""
        t = self.tracks
        rows = np.flatnonzero((t.serial > 0) & (t.existence >= self.config.publish) & np.isin(t.cls, classes))
        rows = rows[np.argsort(t.serial[rows])]
        ahead_s = 0.0 if self._stamp_ns is None else min(max(to_s(now_ns - self._stamp_ns), 0.0), 1.0)
        return t.mean[rows, :2] + ahead_s * t.mean[rows, 2:], t.size[rows]

    def _advance(self, stamp_ns: int) -> float:
        """Predicts to the frame's stamp; returns by how much the frame is older than the last."""
        if self._stamp_ns is None:
            self._stamp_ns = stamp_ns
        dt_s = to_s(stamp_ns - self._stamp_ns)
        if dt_s > 0.0:
            if len(self.tracks):
                tk.predict(self.tracks, dt_s, stamp_ns)
            self._stamp_ns = stamp_ns
        return max(-dt_s, 0.0)

    def _measure(self, frame: DetectionFrame, lag_s: float) -> Measurements:
        """Detections as rows in `map` with their noise; unusable and doubled ones left out."""
        config, pose = self.config, frame.T_map_base
        used = [d for d in frame.detections if _usable(d.position, d.size, d.yaw_rad, d.score)]
        self.rejected += len(frame.detections) - len(used)
        used = [d for d in used if d.score >= config.min_score]
        base = np.array([d.position for d in used], np.float64).reshape(-1, 3)
        distance = np.hypot(base[:, 0], base[:, 1])
        score = np.array([d.score for d in used])
        along = across = config.noise_m + config.noise_per_m * distance
        if "lidar" not in frame.sensors:
            along = config.noise_m + config.camera_per_m * distance
        blur = 1.0 / np.clip(score, 0.25, 1.0)
        heading = np.arctan2(base[:, 1], base[:, 0]) + pose.yaw_rad
        R = _noise(along**2 * blur + lag_s**2, across**2 * blur + lag_s**2, heading)
        camera = "camera" in frame.sensors
        seen = Measurements(
            transform_xy(pose, base[:, :2]), base[:, 2], R,
            np.array([d.yaw_rad for d in used]) + pose.yaw_rad,
            np.array([d.size for d in used], np.float64).reshape(-1, 3), score,
            _distributions([d.class_probs for d in used], tk.CLASSES),
            _distributions([d.colour_probs for d in used], tk.COLOURS),
            np.clip(_table([d.attributes for d in used], len(ATTRIBUTES), 0.5), 0.0, 1.0),
            _table([d.embedding for d in used], EMBEDDING_SIZE, 0.0),
            in_camera_view(base[:, :2], config.view) & camera, base[:, :2],
        )  # fmt: skip
        return seen.take(_strongest(seen))

    def _without_fleet(self, seen: Measurements, fleet: F64) -> Measurements:
        """Drops fleet members, and goods so near to one that they are its load."""
        cls = np.argmax(seen.class_probs, axis=1)
        gap = np.linalg.norm(seen.xy[:, None] - fleet[None], axis=2).min(axis=1)
        robot = (cls == ObjectClass.ROBOT) & (gap < self.config.robot_radius_m)
        load = np.isin(cls, GOODS) & (gap < self.config.carried_radius_m)
        return seen.take(np.flatnonzero(~robot & ~load))

    def _associate(self, seen: Measurements) -> tuple[Rows, Rows]:
        """Matched rows of tracks and measurements, at the least total cost."""
        if not len(self.tracks) or not len(seen):
            return np.empty(0, np.intp), np.empty(0, np.intp)
        cost = tk.association_cost(self.tracks, seen, self.config.gate, self.config.min_affinity)
        possible = np.isfinite(cost)
        # Beyond any sum of real costs: as many pairs as possible, and of those the likeliest.
        cost[~possible] = 1e6
        rows, columns = linear_sum_assignment(cost)
        real = possible[rows, columns]
        return rows[real], columns[real]

    def _score_evidence(self, seen: Measurements) -> F64:
        """Log-likelihood ratio, object against false alarm, of these claims."""
        neutral = np.array(self.config.neutral_scores)[np.argmax(seen.class_probs, axis=1)]
        ratio = self.config.score_slope * (seen.score - neutral)
        return np.clip(ratio, *self.config.score_bounds)

    def _miss(self, frame: DetectionFrame, matched: Rows) -> None:
        t = self.tracks
        missed = np.setdiff1d(np.arange(len(t)), matched)
        if not len(missed):
            return
        offset = in_base(t.mean[missed, :2], frame.T_map_base)
        chance = detection_probability(
            t.mean[missed, :2], offset, t.z[missed], t.size[missed], t.yaw[missed], t.cls[missed],
            frame, self.config.view,
        )  # fmt: skip
        looked = chance > 0.0
        sure = chance[looked] >= self.config.view.p_floor
        tk.look(t, missed[looked], offset[looked], np.log1p(-chance[looked]), sure)

    def _give_birth(self, frame: DetectionFrame, seen: Measurements) -> None:
        room = self.config.max_tracks - len(self.tracks)
        if len(seen) > room:
            seen = seen.take(np.sort(np.argsort(-seen.score, kind="stable")[:room]))
        if len(seen):
            odds = self.config.birth_odds + self._score_evidence(seen)
            self.tracks.born(seen, odds, frame.stamp_ns, frame.robot, self._births)
            self._births += len(seen)

    def _merge(self, matched: Rows) -> None:
        """Joins tracks of one thing. Two that were both seen in this frame are two things."""
        t = self.tracks
        if len(t) < 2:
            return
        apart = np.full(len(t), True)
        apart[matched] = False
        group = np.argmax(np.exp(t.class_log) @ tk.GROUPS, axis=1)
        reach = np.minimum(0.5 * t.size[:, :2].min(axis=1), self.config.merge_m)
        close = cKDTree(t.mean[:, :2]).query_pairs(self.config.merge_m, output_type="ndarray")
        i, j = close[np.lexsort((close[:, 1], close[:, 0]))].T
        d = t.mean[i, :2] - t.mean[j, :2]
        near = (d * d).sum(axis=1) < np.minimum(reach[i], reach[j]) ** 2
        near &= (group[i] == group[j]) & (apart[i] | apart[j])
        pairs = zip(i[near].tolist(), j[near].tolist(), strict=True)
        gone = np.zeros(len(t), bool)
        for i, j in pairs:
            if gone[i] or gone[j]:
                continue
            senior, junior = sorted((i, j), key=self._seniority)
            tk.absorb(t, senior, junior)
            gone[junior] = True
        if gone.any():
            t.keep(~gone)

    def _seniority(self, row: int) -> tuple[bool, int, int]:
        t = self.tracks
        return (t.serial[row] == 0, int(t.serial[row]), int(t.birth[row]))

    def _confirm(self) -> None:
        t = self.tracks
        ready = (t.serial == 0) & (t.hits >= self.config.confirm_hits)
        ready &= t.existence >= self.config.confirm
        for row in np.flatnonzero(ready):
            self._serial += 1
            t.serial[row] = self._serial

    def _bury(self, fleet: F64) -> None:
        t, config = self.tracks, self.config
        if not len(t):
            return
        assert self._stamp_ns is not None
        silent_s = (self._stamp_ns - t.last_ns) / NS_PER_S
        spread = np.sqrt(t.cov[:, 0, 0] + t.cov[:, 1, 1])
        cls = t.cls
        robots = np.flatnonzero(cls == ObjectClass.ROBOT)
        gap = np.linalg.norm(t.mean[robots, None, :2] - fleet[None], axis=2).min(axis=1)
        dead: Mask = t.existence < np.where(t.serial > 0, config.forget, 0.5 * config.forget)
        dead |= (t.serial == 0) & (silent_s > config.tentative_s)
        dead |= ~tk.STILL[cls] & (spread > config.lost_std_m)
        dead[robots[gap < config.robot_radius_m]] = True
        if dead.any():
            t.keep(~dead)

    def _object(self, row: int, ahead_s: float) -> WorldObject:
        t = self.tracks
        velocity = t.mean[row, 2:].copy()
        x, y = t.mean[row, :2] + ahead_s * velocity
        return WorldObject(
            id=f"obj-{t.serial[row]:04d}",
            class_probs=np.exp(t.class_log[row]).astype(np.float32),
            colour_probs=np.exp(t.colour_log[row]).astype(np.float32),
            attributes=(1.0 / (1.0 + np.exp(-t.attribute_odds[row]))).astype(np.float32),
            position=np.array([x, y, t.z[row]]),
            yaw_rad=float(t.yaw[row]),
            size=t.size[row].copy(),
            velocity=velocity,
            covariance=t.cov[row].copy(),
            existence=float(t.existence[row]),
            embedding=tk.unit(t.embedding[row]),
            first_seen_ns=int(t.first_ns[row]),
            last_seen_ns=int(t.last_ns[row]),
            seen_by=tuple(sorted(t.seen_by[row])),
        )


def _usable(position: NDArray[np.float32], size: NDArray[np.float32], yaw_rad: float, score: float) -> bool:
    numbers = (*position, *size, yaw_rad, score)
    return all(map(math.isfinite, numbers)) and min(size) > 0.0 and 0.0 <= score <= 1.0


def _noise(along: F64, across: F64, heading: F64) -> F64:
    """(M, 2, 2) covariances with these variances along and across the line of sight."""
    c, s = np.cos(heading), np.sin(heading)
    R = np.empty((len(heading), 2, 2))
    R[:, 0, 0] = c * c * along + s * s * across
    R[:, 1, 1] = s * s * along + c * c * across
    R[:, 0, 1] = R[:, 1, 0] = c * s * (along - across)
    return R


def _table(rows: list[NDArray[np.float32]], width: int, fill: float) -> F64:
    table = np.array(rows, np.float64).reshape(-1, width)
    return np.where(np.isfinite(table), table, fill)


def _distributions(rows: list[NDArray[np.float32]], width: int) -> F64:
    """Rows that sum to one; a row of zeros becomes flat."""
    table = np.clip(_table(rows, width, 0.0), 0.0, 1.0) + 1e-6
    return table / table.sum(axis=1, keepdims=True)


def _strongest(seen: Measurements) -> Rows:
    """Rows left when, of overlapping detections of one group, only the best score stays."""
    if len(seen) < 2:
        return np.arange(len(seen))
    d = seen.xy[:, None] - seen.xy[None]
    reach = 0.4 * seen.size[:, :2].min(axis=1)
    group = np.argmax(seen.class_probs @ tk.GROUPS, axis=1)
    near = (d * d).sum(axis=2) < np.minimum(reach[:, None], reach[None]) ** 2
    near &= group[:, None] == group[None]
    kept = np.ones(len(seen), bool)
    for i, j in np.argwhere(np.triu(near, 1)):
        if kept[i] and kept[j]:
            kept[j if seen.score[i] >= seen.score[j] else i] = False
    return np.flatnonzero(kept)
