"""Fits the error model of object fidelity (sim/error_model.npz) to what the network claims in whole shifts.

    python -m tools.fit_error_model shift:101 crowded_people:101 layout_mixed:101 --keep out/frames

Each shift runs at sensor fidelity; every frame's detections are held against the true bodies of that instant. Frames
that are kept (--keep) need not be simulated again.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import pickle
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aislewise.geometry import inverse, transform_xy, wrap_angle
from aislewise.types import ATTRIBUTES, F64, Detection, DetectionFrame, ObjectClass, Pose2D
from cli.ros import activate
from fusion.evaluate import match
from sim import error_model as em

Frame = tuple[DetectionFrame, Pose2D, list[Any]]
SAME_M, NEAR_M, ROBOT_M, GHOST_M = 0.75, 0.5, 1.0, 0.7
"""A claim belongs to a body of its class this near, or to any this near; to a robot; to an earlier claim of nothing."""
MOST_EXAMPLES, LEAST_HITS = 60, 3
PRIOR = 4.0
"""So many looks of the next coarser bin are added to each bin's."""


def collect(name: str, seed: int, out: Path) -> list[Frame]:
    """Runs one shift: per frame the detections, the robot's true pose, and all true bodies in `map`."""
    from aislewise import messages, topics
    from aislewise.node import AislewiseNode
    from sim.scenario import load_scenario
    from sim.shift import Shift

    shift = Shift(dataclasses.replace(load_scenario(name), seed=seed), out, record=False)
    frames: list[tuple[DetectionFrame, Pose2D, list[Any]]] = []

    class Collector(AislewiseNode):
        def __init__(self) -> None:
            super().__init__("collector")
            for robot in shift.world.robots:
                self.listen(topics.DETECTIONS, self.on_detections, f"/{robot}/")

        def on_detections(self, msg: Any) -> None:
            frame = messages.from_detections_msg(msg)
            frame = dataclasses.replace(frame, local_grid=None)
            frames.append((frame, shift.world.true_pose(frame.robot), shift.world.truth()))

    node = Collector()
    shift.nodes.append(node)
    shift.executor.add_node(node)
    shift.run(lambda s: print(f"\r{name}:{seed}  t={s.world.now_ns / 1e9:.0f} s  {len(frames)} frames", end="", file=sys.stderr))
    print(file=sys.stderr)
    return frames


@dataclass
class Looks:
    """Everything that was looked at and claimed. finds: (class, view, clear, range, found) of each look at a body; pairs:
    found and expected now and half a second before; rows: columns of claims; nothing: claims without a body."""

    finds: list[tuple[int, int, int, int, bool]] = field(default_factory=list)
    pairs: list[tuple[int, bool, bool, tuple[int, int, int, int], tuple[int, int, int, int]]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    nothing: list[tuple[int, F64, dict[str, Any]]] = field(default_factory=list)
    frames: int = 0


def look(frames: Sequence[Frame], free: Any, shift: int, looks: Looks) -> None:
    """Adds one shift's frames. free: (H, W) open cells; shift: its number."""
    robots: dict[int, list[Pose2D]] = defaultdict(list)
    for frame, pose, _ in frames:
        robots[frame.stamp_ns].append(pose)
    last: dict[tuple[str, str], tuple[int, bool, tuple[int, int, int, int]]] = {}
    for frame, pose, bodies in frames:
        looks.frames += 1
        seen = [_Seen(b, pose) for b in bodies]
        seen = [s for s in seen if np.abs(s.position[:2]).max() <= em.REACH_M]
        mates = _mates(frame.detections, seen)
        clear = np.zeros((1, max(1, len(seen))))
        if seen:
            half = np.array([0.5 * min(s.body.size[0], s.body.size[1]) for s in seen])
            em.clearness(free, np.array([[pose.x_m, pose.y_m]]), np.array([[s.body.pose.x_m, s.body.pose.y_m] for s in seen]), half, clear)
        for k, s in enumerate(seen):
            place = (int(s.cls), int(s.in_view), int(np.digitize(clear[0, k], em.CLEAR)), int(np.digitize(s.range_m, em.RANGES_M)))
            found = k in mates
            looks.finds.append((*place, found))
            key = (frame.robot, s.body.id)
            if key in last and frame.stamp_ns - last[key][0] < 6e8:
                looks.pairs.append((int(s.cls), found, last[key][1], place, last[key][2]))
            last[key] = (frame.stamp_ns, found, place)
            if found:
                looks.rows.append(_example(frame.detections[mates[k]], s))
        used = set(mates.values())
        for k, d in enumerate(frame.detections):
            if k in used or d.cls is ObjectClass.ROBOT or d.score < 0.15:
                continue
            at = transform_xy(pose, np.array([d.position[:2]], np.float64))[0]
            if any(math.hypot(at[0] - r.x_m, at[1] - r.y_m) < ROBOT_M for r in robots[frame.stamp_ns]):
                continue  # a robot, or what it carries: fusion drops those by the robots' reports
            looks.nothing.append((shift, np.array([at[0], at[1]]), _nothing(d)))


class _Seen:
    """A true body in a robot's base_link."""

    def __init__(self, body: Any, pose: Pose2D) -> None:
        self.body, self.cls = body, body.cls
        xy = transform_xy(inverse(pose), np.array([[body.pose.x_m, body.pose.y_m]]))[0]
        self.position = np.array([xy[0], xy[1], body.z_m])
        self.yaw = wrap_angle(body.pose.yaw_rad - pose.yaw_rad)
        self.range_m = float(np.hypot(*xy))
        self.in_view = bool(em.in_view(np.array([math.atan2(xy[1], xy[0])]))[0])


def _mates(found: Sequence[Detection], seen: Sequence[_Seen]) -> dict[int, int]:
    """Body -> claim: of its class first, then of any."""
    pairs = {b: k for k, b in enumerate(match(found, seen, SAME_M)) if b >= 0}
    used = set(pairs.values())
    for k, d in sorted(enumerate(found), key=lambda kd: -kd[1].score):
        near = [(float(np.hypot(*(s.position[:2] - d.position[:2]))), b) for b, s in enumerate(seen) if b not in pairs]
        if k not in used and near and min(near)[0] <= NEAR_M:
            pairs[min(near)[1]] = k
            used.add(k)
    return pairs


def _beliefs(d: Detection) -> dict[str, Any]:
    return {
        "score": d.score, "class_probs": d.class_probs, "colour_probs": d.colour_probs, "attributes": d.attributes,
        "embedding": d.embedding,
    }  # fmt: skip


def _example(d: Detection, s: _Seen) -> dict[str, Any]:
    off = np.asarray(d.position, np.float64) - s.position
    ux, uy = s.position[:2] / max(s.range_m, 1e-6)
    kind = em.kind_of(np.array([int(s.cls)]), np.array([s.in_view]), np.array([s.range_m]))[0]
    marked = next((int(bool(s.body.attributes[a])) for a in ATTRIBUTES if a in s.body.attributes), -1)
    return {
        "kind": kind, "colour": em.NO_COLOUR if s.body.colour is None else int(s.body.colour), "marked": marked,
        "along": off[0] * ux + off[1] * uy, "across": off[1] * ux - off[0] * uy, "up": off[2],
        "scale": np.asarray(d.size) / np.asarray(s.body.size), "turn": wrap_angle(d.yaw_rad - s.yaw), **_beliefs(d),
    }  # fmt: skip


def _nothing(d: Detection) -> dict[str, Any]:
    x, y = float(d.position[0]), float(d.position[1])
    view = em.in_view(np.array([math.atan2(y, x)]))
    return {
        "kind": em.kind_of(np.array([int(d.cls)]), view, np.array([math.hypot(x, y)]))[0], "colour": em.NO_COLOUR,
        "marked": -1, "along": x, "across": y, "up": float(d.position[2]), "scale": d.size, "turn": d.yaw_rad, **_beliefs(d),
    }  # fmt: skip


def claims(rows: Sequence[dict[str, Any]]) -> em.Claims:
    empty = em.empty_claims()
    if not rows:
        return empty
    return em.Claims(
        **{f.name: np.array([r[f.name] for r in rows], getattr(empty, f.name).dtype) for f in dataclasses.fields(em.Claims)}
    )


def fit(looks: Looks, area_m2: F64, ghosts: list[tuple[int, bool, float, list[dict[str, Any]]]], once: list[dict[str, Any]], about: str) -> em.ErrorModel:
    """area_m2: (2,) of closed and open cells of all shifts together; ghosts: class, whether in an open cell, share of
    looks, claims of each; once: other claims."""
    rng = np.random.default_rng(1)
    found = _probabilities(looks.finds)
    by_key: dict[tuple[int, int, int], list[dict[str, Any]]] = defaultdict(list)
    for row in looks.rows:
        by_key[int(row["kind"]), row["colour"], row["marked"]].append(row)
    rows = []
    for key in sorted(by_key):
        some = by_key[key]
        rows += [some[int(k)] for k in np.sort(rng.permutation(len(some))[:MOST_EXAMPLES])]
    of_ghosts = [row for *_, some in ghosts for row in some]
    in_open = np.array([int(g[1]) for g in ghosts], np.int64)
    few = [once[int(k)] for k in np.sort(rng.permutation(len(once))[:500])]
    return em.ErrorModel(
        found, _memory(looks.pairs, found), claims(rows), np.bincount(in_open, minlength=2) / area_m2, in_open,
        np.array([g[0] for g in ghosts], np.int64), np.array([g[2] for g in ghosts]),
        np.cumsum([0, *(len(g[3]) for g in ghosts)]).astype(np.int64), claims(of_ghosts),
        len(once) / max(1, looks.frames), claims(few), about,
    )  # fmt: skip


def _probabilities(finds: Iterable[tuple[int, int, int, int, bool]]) -> F64:
    """(classes, 2, 3, 6) shares found; thin bins lean on those without clearness, and these on the class's."""
    shape = (em.CLASSES, 2, len(em.CLEAR) + 1, len(em.RANGES_M) + 1)
    hits, looks = np.zeros(shape), np.zeros(shape)
    for *place, found in finds:
        looks[tuple(place)] += 1
        hits[tuple(place)] += found
    whole = (hits.sum((1, 2, 3)) + 1.0) / (looks.sum((1, 2, 3)) + 2.0)
    coarse = (hits.sum(2) + PRIOR * whole[:, None, None]) / (looks.sum(2) + PRIOR)
    out: F64 = (hits + PRIOR * coarse[:, :, None]) / (looks + PRIOR)
    return out


def _memory(pairs: Iterable[tuple[int, bool, bool, Any, Any]], found: F64) -> F64:
    """(classes,) correlation of what the probabilities leave unexplained with that of half a second before."""
    now, before = [[] for _ in range(em.CLASSES)], [[] for _ in range(em.CLASSES)]
    for cls, a, b, pa, pb in pairs:
        p, q = found[pa], found[pb]
        now[cls].append((a - p) / math.sqrt(p * (1 - p)))
        before[cls].append((b - q) / math.sqrt(q * (1 - q)))
    out = np.array([float(np.mean(np.multiply(x, y))) if len(x) > 50 else np.nan for x, y in zip(now, before, strict=True)])
    out = np.where(np.isnan(out), np.nanmean(out), out)
    return np.clip(np.sin(0.5 * math.pi * np.clip(out, 0.0, 1.0)), 0.0, 0.98)  # of the latent normal, at p = 1/2


def haunt(nothing: Sequence[tuple[int, F64, dict[str, Any]]], frames: dict[int, Sequence[Frame]], free: dict[int, Any]) -> tuple[Any, Any]:
    """(ghosts, once): claims of nothing that come again in the same spot of the same shift, and the others."""
    spots: list[tuple[int, int, F64, list[dict[str, Any]]]] = []
    for shift, at, row in nothing:
        cls = int(row["kind"]) // 6
        near = [(float(np.hypot(*(s[2] - at))), k) for k, s in enumerate(spots) if s[0] == shift and s[1] == cls]
        if near and min(near)[0] < GHOST_M:
            spots[min(near)[1]][3].append(row)
        else:
            spots.append((shift, cls, at, [row]))
    ghosts, once = [], []
    for shift, cls, at, rows in spots:
        if len(rows) < LEAST_HITS:
            once += rows
            continue
        looks = 0
        for _, pose, _ in frames[shift]:
            base = transform_xy(inverse(pose), at[None])[0]
            if np.abs(base).max() > em.REACH_M:
                continue
            clear = np.zeros((1, 1))
            em.clearness(free[shift], np.array([[pose.x_m, pose.y_m]]), at[None], np.array([0.3]), clear)
            looks += clear[0, 0] > 0.5
        is_open = bool(free[shift][int(at[1]), int(at[0])])
        ghosts.append((cls, is_open, min(1.0, len(rows) / max(looks, len(rows))), rows[:: max(1, len(rows) // 12)][:12]))
    return ghosts, once


def hall(name: str, seed: int) -> Any:
    """The scenario's site map."""
    from sim.scenario import load_scenario
    from sim.setup import stream
    from sim.warehouse import generate

    scenario = dataclasses.replace(load_scenario(name), seed=seed)
    return generate(scenario.warehouse, stream(scenario, "goods")).site


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shifts", nargs="+", metavar="SCENARIO:SEED")
    parser.add_argument("--keep", type=Path, default=Path("out/frames"), help="folder for the frames")
    parser.add_argument("--out", type=Path, default=Path("sim/error_model.npz"))
    args = parser.parse_args()
    activate()
    args.keep.mkdir(parents=True, exist_ok=True)
    looks, frames, free, area = Looks(), {}, {}, np.zeros(2)
    for number, shift in enumerate(args.shifts):
        name, _, seed = shift.partition(":")
        kept = args.keep / f"{name}_{seed}.pickle"
        if not kept.exists():
            kept.write_bytes(pickle.dumps(collect(name, int(seed or 1), args.keep / "run")))
        frames[number] = pickle.loads(kept.read_bytes())
        site = hall(name, int(seed or 1))
        free[number] = site.free
        area += np.bincount(site.free.ravel(), minlength=2) * site.resolution_m**2
        look(frames[number], site.free, number, looks)
    ghosts, once = haunt(looks.nothing, frames, free)
    about = f"python -m tools.fit_error_model {' '.join(args.shifts)}: {looks.frames} frames, {len(looks.finds)} looks"
    model = fit(looks, area, ghosts, once, about)
    model.save(args.out)
    print(f"{about}; {len(model.examples)} examples, {len(ghosts)} ghosts, {model.false_rate:.3f} other false claims a frame")
    print(f"wrote {args.out}, {args.out.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
