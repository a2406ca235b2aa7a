"""Rigs, clocks and inertial units: drawn per robot from the seed, and as noisy as they say."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import rclpy
from mcap.reader import make_reader
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from aislewise import topics
from aislewise.node import AislewiseNode
from pocketros.testing import spin_until_idle
from sim.ego_motion import STILL, Twist
from sim.imu import GRAVITY_MPS2, Imu
from sim.recorder import Recorder
from sim.render import RenderPool
from sim.rigs import SensorClock
from sim.scenario import load_scenario, scenario_from
from sim.sensor_models import ImuSetup, SensorSetup
from sim.sim_node import SimNode
from sim.suite import SensorSuite
from sim.world import SimWorld

SECOND = 1_000_000_000
EVERYTHING = {
    "lidar": {"model": "vlp16", "columns": 360, "motion": True, "returns": "dual", "dust_per_m": 0.01},
    "camera": {
        "distortion": [-0.2, 0.05, 0.001, 0.0], "rolling_shutter_s": 0.02, "exposure": {},
        "glare": {"lamps": [[10.0, 10.0, 2.5]]}, "timing": {"latency_s": 0.2, "offset_s": 0.05},
    },
    "depth": {}, "imu": {}, "calibration": {"camera_deg": 1.0, "lidar_m": 0.02},
}  # fmt: skip


def _suite(seed: int, **sensors: object) -> SensorSuite:
    setup = scenario_from({"sensors": sensors}).sensors
    return SensorSuite(setup, 360, ["a", "b"], lambda *more: np.random.default_rng([seed, *more]))


# ---- clocks and mounts -------------------------------------------------------------------------------


def test_readings_leave_late_and_never_before_their_latency() -> None:
    timing = {"latency_s": 0.1, "jitter_s": 0.05, "offset_s": 0.03, "drift_ppm": 100.0}
    suite = _suite(1, camera={"timing": timing})
    late = [suite.timing("a", "camera", k * SECOND)[0] - k * SECOND for k in range(300)]
    assert 0.08 * SECOND <= min(late) <= 0.125 * SECOND
    assert np.mean(late) - min(late) == pytest.approx(0.05 * math.sqrt(2 / math.pi) * SECOND, rel=0.2)
    assert suite.timing("a", "lidar", 5 * SECOND) == (5 * SECOND, 5 * SECOND)
    assert suite.timing("a", "camera", 7 * SECOND) == suite.timing("a", "camera", 7 * SECOND)


def test_a_clock_that_drifts_is_off_by_its_offset_and_ever_more() -> None:
    clock = SensorClock(offset_s=0.02, drift=1e-4)
    off = [clock.timing(k * SECOND, np.random.default_rng(0))[1] - k * SECOND for k in (0, 100, 200)]
    assert off == [20_000_000, 30_000_000, 40_000_000]


def test_every_robot_and_seed_has_its_own_rig_and_always_the_same() -> None:
    sensors = {"calibration": {"camera_deg": 1.0, "camera_m": 0.01}, "lidar": {"timing": {"latency_s": 0.1}}}
    one, again, other = _suite(1, **sensors), _suite(1, **sensors), _suite(2, **sensors)
    errors = [s.rigs[r].mounts.camera for s, r in ((one, "a"), (again, "a"), (one, "b"), (other, "a"))]
    assert np.array_equal(errors[0], errors[1])  # type: ignore[arg-type]
    assert not np.allclose(errors[0], errors[2]) and not np.allclose(errors[0], errors[3])  # type: ignore[arg-type]
    assert one.rigs["a"].mounts.lidar is None
    assert one.rigs["a"].clocks["lidar"] != one.rigs["b"].clocks["lidar"]


def test_mounts_are_wrong_by_as_much_as_is_stated() -> None:
    turns = []
    for seed in range(150):
        error = _suite(seed, calibration={"camera_deg": 2.0}).rigs["a"].mounts.camera
        assert error is not None and np.allclose(error[:3, :3] @ error[:3, :3].T, np.eye(3))
        turns.append(math.degrees(math.acos(min(1.0, (np.trace(error[:3, :3]) - 1) / 2))))
    assert np.sqrt(np.mean(np.square(turns))) == pytest.approx(2.0 * math.sqrt(3), rel=0.15)


# ---- the inertial unit -------------------------------------------------------------------------------


def _samples(setup: ImuSetup, twist: Twist, count: int, dt_s: float, seed: int = 0) -> np.ndarray:
    imu = Imu(setup, np.random.default_rng(seed))
    imu.step(twist, dt_s)
    return np.array([np.concatenate(imu.step(twist, dt_s)) for _ in range(count)])


def test_white_noise_has_the_density_that_an_allan_plot_would_show() -> None:
    setup = ImuSetup(gyro_walk=0.0, accel_walk=0.0, gyro_bias_radps=0.0, accel_bias_mps2=0.0)
    for dt_s in (0.01, 0.1):
        spread = _samples(setup, STILL, 4000, dt_s).std(axis=0) * math.sqrt(dt_s)
        assert spread[:3] == pytest.approx(setup.gyro_noise, rel=0.05)
        assert spread[3:] == pytest.approx(setup.accel_noise, rel=0.05)


def test_the_bias_walks_as_the_root_of_time() -> None:
    setup = ImuSetup(gyro_noise=0.0, accel_noise=0.0, gyro_bias_radps=0.0, accel_bias_mps2=0.0)
    gone = np.concatenate([np.diff(_samples(setup, STILL, 101, 0.1, seed)[[0, 100]], axis=0) for seed in range(150)])
    root = math.sqrt(100 * 0.1)
    assert gone[:, :3].std() == pytest.approx(setup.gyro_walk * root, rel=0.1)
    assert gone[:, 3:].std() == pytest.approx(setup.accel_walk * root, rel=0.1)


def test_it_feels_gravity_turns_and_the_way_round_a_bend() -> None:
    perfect = ImuSetup(*[0.0] * 6)
    at_rest = _samples(perfect, STILL, 1, 0.1)[0]
    assert at_rest == pytest.approx([0, 0, 0, 0, 0, GRAVITY_MPS2])
    assert _samples(perfect, Twist(1.5, 0.8), 1, 0.1)[0] == pytest.approx([0, 0, 0.8, 0, 1.2, GRAVITY_MPS2])
    imu = Imu(perfect, np.random.default_rng(0))
    assert imu.step(Twist(0.1, 0.0), 0.1)[1][0] == pytest.approx(1.0)


# ---- in the world and on the graph -------------------------------------------------------------------


def _world() -> SimWorld:
    scenario = load_scenario("blackout")
    return SimWorld(dataclasses.replace(scenario, sensors=scenario_from({"sensors": EVERYTHING}).sensors, faults=()))


def test_the_exposure_of_the_next_picture_follows_from_the_last() -> None:
    world = _world()
    first = world.sense(["robot_1"])["robot_1"]
    levels = [world.suite.level("robot_1")]
    for _ in range(3):
        world.step(0.5)
        frame = world.sense(["robot_1"])["robot_1"]
        levels.append(world.suite.level("robot_1"))
    target = world.camera_config.exposure.target  # type: ignore[union-attr]
    assert abs(math.log(frame.brightness / target)) < abs(math.log(first.brightness / target))
    assert len(set(levels)) > 1 and world.suite.level("robot_2") == 1.0


@pytest.mark.slow
def test_frames_with_every_option_are_the_same_from_other_processes() -> None:
    alone, pooled = _world(), _world()
    pool = RenderPool(pooled.base, workers=2)
    try:
        for _ in range(3):
            alone.step(0.5)
            pooled.step(0.5)
            a, b = alone.sense(["robot_1", "robot_2"]), pooled.sense(["robot_1", "robot_2"], pool)
            for name in a:
                assert np.array_equal(a[name].image, b[name].image)
                assert np.array_equal(a[name].points, b[name].points)
                assert np.array_equal(a[name].depth, b[name].depth, equal_nan=True)
    finally:
        pool.close()


def test_what_a_scenario_asks_for_is_on_the_graph_late_and_with_its_lens_and_in_the_recording(tmp_path: Path) -> None:
    scenario = dataclasses.replace(load_scenario("blackout"), sensors=scenario_from({"sensors": EVERYTHING}).sensors)
    rclpy.init(args=[])
    sim = SimNode(scenario, lockstep=True, parameter_overrides=[Parameter("workers", value=0)])
    got: dict[str, list[tuple[int, object]]] = {}
    recorder = Recorder(tmp_path / "run.mcap", ["robot_1", "robot_2"], ["robot_1"], {})
    listener = AislewiseNode("listener")
    for topic in (topics.DEPTH_RAW, topics.IMU_RAW, topics.CAMERA_INFO_RAW, topics.IMAGE_RAW, topics.POINTS_RAW):
        listener.listen(
            topic, lambda msg, name=topic.name: got.setdefault(name, []).append((sim.world.now_ns, msg)), "/robot_1/"
        )
    executor = SingleThreadedExecutor()
    executor.add_node(sim)
    executor.add_node(listener)
    executor.add_node(recorder)
    try:
        for _ in range(9):
            sim.tick()
            spin_until_idle(executor)
    finally:
        recorder.close()
        recorder.destroy_node()
        listener.destroy_node()
        sim.destroy_node()
        rclpy.try_shutdown()
    assert len(got[topics.IMU_RAW.name]) == 9
    at_ns, depth = got[topics.DEPTH_RAW.name][0]
    assert (depth.encoding, depth.step, at_ns) == ("32FC1", 4 * 320, SECOND // 2)  # type: ignore[attr-defined]
    values = np.frombuffer(bytes(depth.data), np.float32)  # type: ignore[attr-defined]
    assert values.size == 320 * 240 and 0.4 < float(np.nanmin(values[np.isfinite(values)])) < 5.1
    imu = got[topics.IMU_RAW.name][0][1]
    assert imu.linear_acceleration.z == pytest.approx(GRAVITY_MPS2, abs=0.2)  # type: ignore[attr-defined]
    assert imu.orientation_covariance[0] == -1.0  # type: ignore[attr-defined]
    at_ns, info = got[topics.CAMERA_INFO_RAW.name][0]
    assert list(info.d) == [-0.2, 0.05, 0.001, 0.0, 0.0] and info.distortion_model == "plumb_bob"  # type: ignore[attr-defined]
    assert 0.66 * SECOND <= at_ns <= 0.8 * SECOND
    assert got[topics.POINTS_RAW.name][0][0] == SECOND // 2
    with (tmp_path / "run.mcap").open("rb") as file:
        counts = Counter(channel.topic for _, channel, _ in make_reader(file).iter_messages())
    assert counts[f"/robot_1/{topics.IMU_RAW.name}"] == 9 and counts[f"/robot_1/{topics.DEPTH_RAW.name}"] == 1
    assert f"/robot_2/{topics.IMU_RAW.name}" not in counts


def test_a_scenario_that_asks_for_nothing_has_no_further_topics(tmp_path: Path) -> None:
    assert SensorSetup().depth is None and SensorSetup().imu is None
    sim = None
    rclpy.init(args=[])
    try:
        sim = SimNode(load_scenario("blackout"), lockstep=True, parameter_overrides=[Parameter("workers", value=0)])
        recorder = Recorder(tmp_path / "run.mcap", ["robot_1"], ["robot_1"], {})
        recorder.close()
        recorder.destroy_node()
        with (tmp_path / "run.mcap").open("rb") as file:
            summary = make_reader(file).get_summary()
        assert summary is not None and not any("imu" in c.topic or "depth" in c.topic for c in summary.channels.values())
        assert not sim.count_publishers(f"/robot_1/{topics.IMU_RAW.name}")
        assert not sim.count_publishers(f"/robot_1/{topics.DEPTH_RAW.name}")
        assert sim.count_publishers(f"/robot_1/{topics.POINTS_RAW.name}") == 1
    finally:
        if sim is not None:
            sim.destroy_node()
        rclpy.try_shutdown()
