"""How fast and how faithful the tracker is, on synthetic tracks.

    python -m benchmarks.tracker [--json FILE]

Speed: one update with 120 tracks and 64 detections, against the same filter written as a plain loop
over tracks and pairs. Faithfulness: MOTA (Bernardin & Stiefelhagen 2008)
and IDF1 (Ristani et al. 2016) over 60 s of three robots driving among still goods and walking people,
with misses, false alarms, class confusion and localisation noise; a greedy nearest-neighbour tracker
without existence sees the same detections.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from aislewise.clock import to_ns
from aislewise.geometry import inverse, transform_xy
from aislewise.types import F64, Detection, DetectionFrame, GridMap, ObjectClass, Pose2D
from fusion.tracker import Tracker, TrackerConfig

CONFUSED = {ObjectClass.TOTE: ObjectClass.BOX, ObjectClass.BOX: ObjectClass.TOTE, ObjectClass.PALLET: ObjectClass.BOX,
            ObjectClass.PERSON: ObjectClass.PERSON}  # fmt: skip
SIZES = {ObjectClass.TOTE: (0.6, 0.4, 0.3), ObjectClass.BOX: (0.5, 0.4, 0.4), ObjectClass.PALLET: (1.2, 0.8, 0.5),
         ObjectClass.PERSON: (0.5, 0.6, 1.75)}  # fmt: skip
REACH_M = 10.0
MATCH_M = 0.75
Boxes = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Level:
    """How hard it is: chance to detect, false alarms a frame, noise of positions and of robots' poses."""

    detect: float
    false_alarms: float
    noise_m: float
    pose_m: float


LEVELS = {"easy": Level(0.9, 0.5, 0.06, 0.03), "hard": Level(0.55, 3.0, 0.12, 0.06)}


def claim(cls: ObjectClass, xy: F64, score: float, rng: np.random.Generator) -> Detection:
    named = CONFUSED[cls] if rng.random() < 0.15 else cls
    probs = np.full(7, 0.04, np.float32)
    probs[named] = 0.76
    size = np.array(SIZES[cls], np.float32)
    position = np.array([*xy, size[2] / 2], np.float32)
    return Detection(probs, score, position, size, 0.0, np.full(8, 0.125, np.float32), np.full(2, 0.5, np.float32),
                     np.full(32, 32**-0.5, np.float32))  # fmt: skip


class Scene:
    """30 x 30 m with still goods and people who walk between random goals; robots drive in circles."""

    def __init__(self, seed: int, goods: int = 40, people: int = 8) -> None:
        self.rng = np.random.default_rng(seed)
        kinds = (ObjectClass.TOTE, ObjectClass.BOX, ObjectClass.PALLET)
        grid = self.rng.permutation([(x, y) for x in range(1, 30, 2) for y in range(1, 30, 2)])
        self.cls = [kinds[k % 3] for k in range(goods)] + [ObjectClass.PERSON] * people
        self.xy = np.concatenate([grid[:goods] + self.rng.uniform(-0.3, 0.3, (goods, 2)),
                                  self.rng.uniform(2, 28, (people, 2))])  # fmt: skip
        self.goods, self.goal = goods, self.rng.uniform(2, 28, (people, 2))

    def step(self, dt_s: float) -> None:
        away = self.goal - self.xy[self.goods :]
        gap = np.linalg.norm(away, axis=1, keepdims=True)
        self.xy[self.goods :] += away / np.maximum(gap, 1e-6) * np.minimum(1.2 * dt_s, gap)
        there = gap[:, 0] < 0.2
        self.goal[there] = self.rng.uniform(2, 28, (int(there.sum()), 2))

    def frame(self, robot: int, t_s: float, level: Level) -> tuple[DetectionFrame, Boxes]:
        """What one robot claims to see, and which objects were within its reach."""
        angle = 0.1 * t_s + robot * 2.1
        true = Pose2D(15 + 8 * math.cos(angle), 15 + 8 * math.sin(angle), angle + math.pi / 2)
        drift = self.rng.normal(0, level.pose_m, 2)
        said = Pose2D(true.x_m + drift[0], true.y_m + drift[1], true.yaw_rad + self.rng.normal(0, 0.005))
        local = transform_xy(inverse(true), self.xy)
        near = np.flatnonzero(np.hypot(*local.T) < REACH_M)
        seen = [
            claim(self.cls[i], local[i] + self.rng.normal(0, level.noise_m, 2), float(self.rng.beta(5, 3)), self.rng)
            for i in near
            if self.rng.random() < level.detect
        ]
        for _ in range(self.rng.poisson(level.false_alarms)):
            cls = self.cls[self.rng.integers(len(self.cls))]
            seen.append(claim(cls, self.rng.uniform(-8, 8, 2), float(self.rng.beta(3, 4)), self.rng))
        cells = np.zeros((128, 128), np.int8)  # all was seen through, but for what stands there
        origin = np.array([said.x_m - 12.8, said.y_m - 12.8])
        column, row = np.floor((self.xy[near] - origin) / 0.2).astype(int).T
        cells[row, column] = 100
        grid = GridMap(cells, 0.2, *(float(v) for v in origin))
        places = {str(i): (float(self.xy[i, 0]), float(self.xy[i, 1])) for i in near}
        return DetectionFrame(f"robot_{robot}", to_ns(t_s), said, tuple(seen), grid, ("camera", "lidar")), places


class Nearest:
    """The peer: each detection joins the nearest track within a metre or starts one; no filter, no
    existence; a track ends 2 s after its last detection."""

    def __init__(self) -> None:
        self.tracks: dict[str, tuple[float, float, int, int]] = {}
        self._count = 0

    def update(self, frame: DetectionFrame) -> None:
        self.tracks = {k: v for k, v in self.tracks.items() if frame.stamp_ns - v[2] <= to_ns(2.0)}
        for d in frame.detections:
            x, y = transform_xy(frame.T_map_base, d.position[None, :2].astype(float))[0]
            gaps = {k: math.hypot(v[0] - x, v[1] - y) for k, v in self.tracks.items()}
            best = min(gaps, key=lambda k: gaps[k], default="")
            if not best or gaps[best] > 1.0:
                self._count += 1
                best = str(self._count)
            self.tracks[best] = (x, y, frame.stamp_ns, self.tracks.get(best, (0, 0, 0, 0))[3] + 1)

    def boxes(self) -> Boxes:
        return {k: (v[0], v[1]) for k, v in self.tracks.items() if v[3] > 1}


def score(pairs: list[tuple[Boxes, Boxes]]) -> dict[str, float]:
    """MOTA, IDF1 and identity switches over (truth, claimed) per instant."""
    misses = false = switches = total = claims = 0
    partner: dict[str, str] = {}
    together: dict[tuple[str, str], int] = {}
    for truth, said in pairs:
        ids, names = list(truth), list(said)
        total, claims = total + len(ids), claims + len(names)
        gap = np.full((len(ids), len(names)), 1e3)
        for i, t in enumerate(ids):
            for j, s in enumerate(names):
                d = math.dist(truth[t], said[s])
                if d < MATCH_M:
                    gap[i, j] = d - (1.0 if partner.get(t) == s else 0.0)  # a pair that holds stays
                    together[t, s] = together.get((t, s), 0) + 1
        matched = [(i, j) for i, j in zip(*linear_sum_assignment(gap)) if gap[i, j] < 1e3] if gap.size else []
        for i, j in matched:
            switches += partner.get(ids[i], names[j]) != names[j]
            partner[ids[i]] = names[j]
        misses, false = misses + len(ids) - len(matched), false + len(names) - len(matched)
    rows, columns = sorted({t for t, _ in together}), sorted({s for _, s in together})
    share = np.array([[together.get((t, s), 0) for s in columns] for t in rows])
    identity = int(share[linear_sum_assignment(-share)].sum()) if share.size else 0
    return {"mota": 1.0 - (misses + false + switches) / total, "idf1": 2.0 * identity / (total + claims),
            "misses": misses / total, "false": false / total, "switches": float(switches)}  # fmt: skip


def faithful(level: Level, seed: int) -> dict[str, dict[str, float]]:
    """Both trackers over the same 60 s. Objects count from the first time a robot came near them, goods
    for good, people while a robot has been near them within the last second."""
    scene, ours, peer = Scene(seed), Tracker(), Nearest()
    seen_at: dict[str, float] = {}
    logs: dict[str, list[tuple[Boxes, Boxes]]] = {"ours": [], "nearest": []}
    for tick in range(120):
        t_s = 0.5 * tick
        for robot in range(3):
            frame, places = scene.frame(robot, t_s, level)
            seen_at.update(dict.fromkeys(places, t_s))
            ours.update(frame)
            peer.update(frame)
        fresh = {k: t for k, t in seen_at.items() if int(k) < scene.goods or t_s - t <= 1.0}
        truth = {k: (float(scene.xy[int(k), 0]), float(scene.xy[int(k), 1])) for k in fresh}
        now = {o.id: (float(o.position[0]), float(o.position[1])) for o in ours.objects()}
        logs["ours"].append((truth, now))
        logs["nearest"].append((truth, peer.boxes()))
        scene.step(0.5)
    return {name: score(log) for name, log in logs.items()}


def plain_update(mean: F64, cov: F64, xy: F64, R: F64, dt_s: float, gate: float) -> tuple[F64, F64]:
    """The position filter alone as one would write it first: loops over tracks and over pairs."""
    F = np.eye(4)
    F[0, 2] = F[1, 3] = dt_s
    Q = np.eye(4) * 1e-3
    H = np.eye(2, 4)
    mean, cov = mean.copy(), cov.copy()
    for i in range(len(mean)):
        mean[i], cov[i] = F @ mean[i], F @ cov[i] @ F.T + Q
    cost = np.full((len(mean), len(xy)), 1e6)
    for i in range(len(mean)):
        for j in range(len(xy)):
            S = H @ cov[i] @ H.T + R[j]
            d = xy[j] - mean[i, :2]
            d2 = float(d @ np.linalg.inv(S) @ d)
            if d2 < gate:
                cost[i, j] = d2 + math.log(np.linalg.det(S))
    for i, j in zip(*linear_sum_assignment(cost)):
        if cost[i, j] < 1e6:
            S = H @ cov[i] @ H.T + R[j]
            K = cov[i] @ H.T @ np.linalg.inv(S)
            mean[i] += K @ (xy[j] - mean[i, :2])
            cov[i] -= K @ H @ cov[i]
    return mean, cov


def speed(rounds: int = 40) -> dict[str, float]:
    """Median times of a whole update of ours and of the plain position filter, alternating."""
    rng = np.random.default_rng(0)
    spots = rng.permutation([(x, y) for x in range(-10, 11, 2) for y in range(-10, 11)])[:120] + 0.5
    tracker = Tracker(TrackerConfig())
    grid = GridMap(np.full((128, 128), -1, np.int8), 0.2, -12.8, -12.8)

    def frame(t_s: float, chosen: F64) -> DetectionFrame:
        seen = tuple(claim(ObjectClass.TOTE, s + rng.normal(0, 0.05, 2), 0.8, rng) for s in chosen)
        return DetectionFrame("robot_1", to_ns(t_s), Pose2D(0, 0), seen, grid, ("camera", "lidar"))

    for k in range(4):
        tracker.update(frame(0.1 * k, spots))
    ours, plain = [], []
    for k in range(rounds):
        chosen = rng.permutation(spots)[:64]
        now = frame(0.5 + 0.1 * k, chosen)
        mean, cov = tracker.tracks.mean.copy(), tracker.tracks.cov.copy()
        started = time.perf_counter()
        tracker.update(now)
        ours.append(time.perf_counter() - started)
        R = np.repeat(np.eye(2)[None] * 0.02, 64, axis=0)
        started = time.perf_counter()
        plain_update(mean, cov, chosen, R, 0.1, 11.8)
        plain.append(time.perf_counter() - started)
    return {"tracks": float(len(tracker.tracks)), "detections": 64.0, "ours_ms": float(np.median(ours)) * 1e3,
            "plain_ms": float(np.median(plain)) * 1e3, "ratio": float(np.median(plain) / np.median(ours))}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    timing = speed()
    print(f"{timing['tracks']:.0f} tracks x {timing['detections']:.0f} detections: whole update {timing['ours_ms']:.2f} ms, "
          f"plain position filter {timing['plain_ms']:.1f} ms, ratio {timing['ratio']:.0f}")  # fmt: skip
    result: dict[str, object] = {"speed": timing}
    for name, level in LEVELS.items():
        runs = [faithful(level, seed) for seed in range(args.seeds)]
        result[name] = {
            who: {key: float(np.mean([r[who][key] for r in runs])) for key in runs[0][who]} for who in runs[0]
        }
        for who, figures in result[name].items():  # type: ignore[attr-defined]
            print(f"{name:5} {who:8} " + "  ".join(f"{key} {value:.3f}" for key, value in figures.items()))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
