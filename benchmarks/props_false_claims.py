"""What the network makes of props, for which it has no class: false claims with the packaged weights.

    python -m benchmarks.props_false_claims [--views 40] [--halls 6] [--json FILE]

Alone: one prop of each kind 1.5 to 6 m ahead on an empty floor, seen by camera and lidar; a claim within 1 m of it is
false ("nothing": the same places on the bare floor). In halls: the same views of the same small halls with and without props (and with nobody in them); claims within
1 m of a true object are left out, whatever their class.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from aislewise.geometry import transform_xy
from aislewise.types import Detection, Pose2D, SensorFrame
from fusion.infer import Detector
from sim import props
from sim.mesh import EMPTY, Material, Mesh, boxes, join
from sim.scenario import scenario_from
from sim.scene import Base, Scene
from sim.sensors import CameraConfig, LidarConfig, Lighting, capture, sweep
from sim.setup import walkable
from sim.world import SimWorld

LIDAR, CAMERA = LidarConfig(columns=720), CameraConfig()
NEAR_M = 1.0
THRESHOLDS = (0.3, 0.5)
"""The first is where the fusion node's claims begin."""
NOTHING = "nothing"
KINDS = [*props.SHAPES, NOTHING]
IN_HALL = {"cone": 4, "wet_sign": 3, "ladder": 3, "pallet_jack": 3, "trolley": 3, "hand_truck": 2, "roll_cage": 3, "drum": 3,
           "glass": 2, "wrap": 2, "heap": 4}  # fmt: skip


def frame_of(scene: Scene, pose: Pose2D, light: Lighting, rng: np.random.Generator) -> SensorFrame:
    points = sweep(scene, LIDAR, pose, rng).points.copy()
    points[:, :3] += LIDAR.T_base_lidar[:3, 3].astype(np.float32)
    return SensorFrame("bench", 0, pose, capture(scene, CAMERA, pose, light, rng).image, CAMERA.model, points)


def floor() -> Mesh:
    return join([
        boxes([0, 0, -0.5], [60, 60, 1.0], (0.27, 0.27, 0.26), Material.CONCRETE),
        boxes([9.0, 0, 3.0], [0.3, 40, 6.0], (0.55, 0.56, 0.55), Material.WALL),
    ])  # fmt: skip


def alone(detector: Detector, kind: str, views: int) -> list[list[Detection]]:
    """Per view the claims near the one prop, or near where it would be."""
    out = []
    for k in range(views):
        rng = np.random.default_rng([KINDS.index(kind), k])
        far, bearing = rng.uniform(1.5, 6.0), rng.uniform(-0.5, 0.5)
        at = far * np.array([math.cos(bearing), math.sin(bearing)])
        mesh = EMPTY if kind == NOTHING else props.build(kind, rng)
        mesh = mesh.moved(float(at[0]), float(at[1]), float(rng.uniform(-math.pi, math.pi)))
        found = detector.detect(frame_of(Scene(Base.of(join([floor(), mesh]))), Pose2D(0.0, 0.0, 0.0), Lighting.random(rng), rng))
        out.append([d for d in found if math.hypot(*(d.position[:2] - at)) < NEAR_M])
    return out


def in_halls(detector: Detector, halls: int, views: int) -> dict[str, list[list[Detection]]]:
    """Per view the claims near no true object, without and with props."""
    out: dict[str, list[list[Detection]]] = {"without": [], "with": []}
    for seed in range(1, halls + 1):
        for name, wanted in (("without", {}), ("with", IN_HALL)):
            world = SimWorld(scenario_from({
                "seed": seed, "robots": 1, "people": 0, "forklifts": 0, "orders": 0, "props": wanted,
                "warehouse": {"width": 20, "height": 20, "blocks": 1, "aisles": [1, 2], "stations": 3, "chargers": 4, "parking": 2, "bays": 1},
            }))  # fmt: skip
            world.drivers["robot_1"].pose = Pose2D(-50.0, -50.0, 0.0)  # out of sight: the views are its own
            scene, rng = world.scene(), np.random.default_rng(seed)
            truth = np.array([[t.pose.x_m, t.pose.y_m] for t in world.truth()]).reshape(-1, 2)
            cells = np.flatnonzero(walkable(world.hall).ravel())
            for _ in range(views):
                pose = Pose2D(*world.site.centre(int(rng.choice(cells))), float(rng.uniform(-math.pi, math.pi)))
                claims = detector.detect(frame_of(scene, pose, Lighting(), rng))
                at = transform_xy(pose, np.array([d.position[:2] for d in claims]).reshape(-1, 2))
                far = [np.hypot(*(truth - p).T).min(initial=np.inf) > NEAR_M for p in at]
                out[name].append([d for d, keep in zip(claims, far, strict=True) if keep])
    return out


def figures(per_view: Sequence[Sequence[Detection]]) -> dict[str, Any]:
    """Claims a frame, and of which classes those above the first threshold are."""
    claims = [d for view in per_view for d in view]
    counts = Counter(d.cls.name.lower() for d in claims if d.score >= THRESHOLDS[0])
    rates = {f"per_frame_{t:g}": round(sum(d.score >= t for d in claims) / len(per_view), 3) for t in THRESHOLDS}
    return rates | {"frames": len(per_view), "classes": dict(counts.most_common())}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", type=int, default=40)
    parser.add_argument("--halls", type=int, default=6)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    detector = Detector(threads=1)
    result = {kind: figures(alone(detector, kind, args.views)) for kind in KINDS}
    result |= {f"hall {name} props": figures(v) for name, v in in_halls(detector, args.halls, max(1, args.views // 4)).items()}
    print(f"{'':22s} frames  claims a frame >= {THRESHOLDS[0]:g}, {THRESHOLDS[1]:g}   taken for")
    for name, f in result.items():
        taken = ", ".join(f"{c} {n}" for c, n in f["classes"].items())
        print(f"{name:22s} {f['frames']:6d} {f['per_frame_0.3']:12.2f} {f['per_frame_0.5']:12.2f}          {taken}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
