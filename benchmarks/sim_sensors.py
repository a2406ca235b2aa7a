"""What one simulated sensor frame costs on this machine, part by part, and how fast the data set is made.

    python -m benchmarks.sim_sensors [--repeats 20] [--json FILE]

A full frame is what one robot of the demo senses at one moment: the scene rebuilt, a lidar of 32 x 1024 rays, a camera
of 320 x 240 with shadows, mirror and noise, and the labels; in the 40 x 60 m hall, while it drives and turns. Parts and
frames per core are CPU time of one thread; two processes: elapsed, and CPU time of all, six robots a moment through the
RenderPool, each process building each moment's scene. All but that CPU time are the best of the repeats (of six times
as many for two processes): on a shared machine the others measure the neighbours. `with_*`: a full frame with that option of a scenario's `sensors:`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aislewise.geometry import matrix
from sim import sensors
from sim.dataset import generate
from sim.ego_motion import Twist
from sim.render import Moment, RenderPool, View, render_all
from sim.scenario import load_scenario
from sim.scene import Placed, Scene
from sim.sensor_models import CameraSetup, DepthSetup, ExposureSetup, GlareSetup, LidarSetup, SensorSetup
from sim.sensors import CameraConfig, LidarConfig
from sim.shading import TABLE, shade
from sim.world import SimWorld

MOVING = Twist(1.2, 0.4)
LENS = CameraSetup(distortion=(-0.2, 0.05, 0.001, 0.0))
GLARE = GlareSetup(sun=(60.0, 35.0), lamps=((6.0, 20.0, 3.0),))
EXPOSED = CameraSetup(exposure=ExposureSetup())
DENSE = LidarSetup(motion=True, returns="dual", dust_per_m=0.002)
FULL_CAMERA = replace(LENS, rolling_shutter_s=0.02, exposure=ExposureSetup(), glare=GLARE)
OPTIONS = {
    "lidar_motion": SensorSetup(LidarSetup(motion=True)),
    "lidar_dual_return": SensorSetup(LidarSetup(returns="dual")),
    "lidar_dust": SensorSetup(LidarSetup(dust_per_m=0.002)),
    "lidar_vlp16": SensorSetup(LidarSetup("vlp16")),
    "lidar_os1_64": SensorSetup(LidarSetup("os1_64")),
    "camera_distortion": SensorSetup(camera=LENS),
    "camera_rolling_shutter": SensorSetup(camera=CameraSetup(rolling_shutter_s=0.02)),
    "camera_exposure_blur": SensorSetup(camera=EXPOSED),
    "camera_glare": SensorSetup(camera=CameraSetup(glare=GLARE)),
    "camera_640x480": SensorSetup(camera=CameraSetup(640, 480)),
    "depth": SensorSetup(depth=DepthSetup()),
    "all_of_them": SensorSetup(DENSE, FULL_CAMERA, DepthSetup()),
}
"""all_of_them: of the simulator's own lidar and at 320 x 240."""


def best(call: Callable[[], Any], repeats: int, clock: Callable[[], float] = time.process_time) -> float:
    """Milliseconds."""
    call()  # compiled code and caches
    times = []
    for _ in range(repeats):
        start = clock()
        call()
        times.append((clock() - start) * 1e3)
    return round(min(times), 2)


def cpu_s(pids: list[int]) -> float:
    """CPU time so far of this process and of those, s."""
    ticks = 0
    for pid in pids:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(stat[11]) + int(stat[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


class Bench:
    """The demo's hall after five seconds, seen by all its robots."""

    def __init__(self, repeats: int) -> None:
        self.repeats = repeats
        self.world = world = SimWorld(load_scenario("shift"))
        for _ in range(50):
            world.step(0.1)
        standing = world._standing()
        self.placed = tuple(Placed(world._mesh(n, s), k + 1, s.body.reflect) for k, (n, s) in enumerate(standing.items()))
        self.things = tuple(standing.values())
        number = {name: k + 1 for k, name in enumerate(standing)}
        self.views = [View(world.true_pose(n), number[n], (1, number[n]), twist=MOVING) for n in world.drivers]

    def moment(self, setup: SensorSetup, number: int = 0) -> Moment:
        lidar, camera = LidarConfig.of(setup.lidar, 1024), CameraConfig.of(setup.camera, setup.depth)
        return Moment(number, self.world.now_ns, self.placed, self.things, lidar, camera, self.world.light)

    def frame(self, setup: SensorSetup) -> float:
        """A full frame of one robot in this process, ms."""
        moment = self.moment(setup)
        return best(lambda: list(render_all(self.world.base, moment, self.views[1:2])), self.repeats)

    def parts(self) -> dict[str, float]:
        world, rng, view, n = self.world, np.random.default_rng(0), self.views[1], self.repeats
        scene, lidar, camera = Scene(world.base, self.placed), LidarConfig(columns=1024), CameraConfig()
        T, light = matrix(view.pose), world.light.packed
        beams = sensors._rays(T, lidar.T_base_lidar, lidar.directions, lidar.min_range_m)
        pixels = sensors._rays(T, camera.model.T_base_camera, camera.directions, 0.08)
        hits = scene.cast(pixels)
        lit, radiance = sensors._lit(scene, pixels, hits, light), np.empty((len(pixels), 3), np.float32)
        return {
            "triangles": float(len(scene.colour)),
            "scene_build_ms": best(lambda: Scene(world.base, self.placed), n),
            "lidar_cast_ms": best(lambda: scene.cast(beams), n),
            "lidar_whole_ms": best(lambda: sensors.sweep(scene, lidar, view.pose, rng), n),
            "camera_cast_ms": best(lambda: scene.cast(pixels), n),
            "camera_shadows_ms": best(lambda: sensors._lit(scene, pixels, hits, light), n),
            "camera_shading_ms": best(
                lambda: shade(pixels, hits.t, hits.triangle, hits.normal, lit, scene.colour, scene.material, TABLE, light,
                              radiance), n),
            "camera_whole_ms": best(lambda: sensors.capture(scene, camera, view.pose, world.light, rng), n),
            "physics_step_100ms_ms": best(lambda: world.step(0.1), n),
        }  # fmt: skip

    def two_processes(self, setup: SensorSetup, repeats: int) -> tuple[float, float]:
        """Full frames per second of wall time; CPU time of a frame, of all processes together, ms (Linux)."""
        pool, number = RenderPool(self.world.base, workers=2), 0

        def moment() -> None:
            nonlocal number
            number += 1
            for _ in pool.render_all(self.moment(setup, number), self.views):
                pass

        try:
            moment()
            before = cpu_s(pool.pids)
            rate = len(self.views) * 1e3 / best(moment, repeats, time.perf_counter)
            spent = cpu_s(pool.pids) - before
            return round(rate, 1), round(1e3 * spent / (len(self.views) * (repeats + 1)), 2)
        finally:
            pool.close()


def measure(repeats: int) -> dict[str, float]:
    bench, everything = Bench(repeats), OPTIONS["all_of_them"]
    out = bench.parts()
    out["frame_ms"] = bench.frame(SensorSetup())
    out |= {f"with_{name}_ms": bench.frame(setup) for name, setup in OPTIONS.items()}
    per_frame = {"ray_cast": out["lidar_cast_ms"] + out["camera_cast_ms"] + out["camera_shadows_ms"],
                 "shading": out["camera_shading_ms"], "whole": out["frame_ms"]}  # fmt: skip
    out |= {f"{name}_per_s_per_core": round(1e3 / ms, 1) for name, ms in per_frame.items()}
    for name, setup in (("", SensorSetup()), ("_all_of_them", everything)):
        rate, cpu_ms = bench.two_processes(setup, 6 * repeats)
        out[f"frames_per_s_two_processes{name}"], out[f"cpu_ms_two_processes{name}"] = rate, cpu_ms
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
        print(f"{name:42s} {value:10.2f}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
