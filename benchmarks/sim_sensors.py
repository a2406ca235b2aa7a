"""What one simulated sensor frame costs on this machine, part by part, and how fast the data set is made.

    python benchmarks/sim_sensors.py [--repeats 20] [--json FILE]

CPU time of one thread (`_wall_`: elapsed, two threads), medians over the repeats. The frame is that of the demo: 40 x 60 m
site, lidar of 32 x 720 rays and of 32 x 1024, camera 320 x 240 with shadows, mirror and noise.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from sim.dataset import generate
from sim.render import RenderPool
from sim.scenario import load_scenario
from sim.scene import Placed, Scene
from sim.sensors import LidarConfig, capture, sweep
from sim.world import SimWorld


def median_ms(call: Callable[[], Any], repeats: int, clock: Callable[[], float] = time.process_time) -> float:
    call()  # compiled code and caches
    times = []
    for _ in range(repeats):
        start = clock()
        call()
        times.append((clock() - start) * 1e3)
    return round(float(np.median(times)), 2)


def measure(repeats: int) -> dict[str, float]:
    world = SimWorld(load_scenario("shift"))
    for _ in range(50):
        world.step(0.1)
    robots = list(world.robots)
    standing = world._standing()
    placed = [Placed(world._mesh(n, s), k + 1, s.body.reflect) for k, (n, s) in enumerate(standing.items())]
    scene, pose = Scene(world.base, placed), world.true_pose(robots[1])
    wide = LidarConfig(columns=1024)
    rng = np.random.default_rng(0)
    pool = RenderPool(world.base, workers=2)
    try:
        world.sense(robots, pool)  # the workers start
        out = {
            "triangles": float(len(scene.colour)),
            "scene_build_ms": median_ms(lambda: Scene(world.base, placed), repeats),
            "lidar_32x720_ms": median_ms(lambda: sweep(scene, world.lidar, pose, rng), repeats),
            "lidar_32x1024_ms": median_ms(lambda: sweep(scene, wide, pose, rng), repeats),
            "camera_320x240_ms": median_ms(lambda: capture(scene, world.camera_config, pose, world.light, rng), repeats),
            "six_robots_ms": median_ms(lambda: world.sense(robots), repeats),
            "six_robots_two_workers_wall_ms": median_ms(lambda: world.sense(robots, pool), repeats, time.perf_counter),
            "physics_step_100ms_ms": median_ms(lambda: world.step(0.1), repeats),
        }
    finally:
        pool.close()
    frames = max(10, 2 * repeats)
    start = time.process_time()
    count = sum(1 for _ in generate(123, frames))
    out["dataset_frame_ms"] = round((time.process_time() - start) / count * 1e3, 2)
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result = measure(args.repeats)
    for name, value in result.items():
        print(f"{name:28s} {value:10.2f}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
