"""Faults: one grammar that tells what is wrong with a line, and effects that hit what they should and nothing else."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from hypothesis import given
from hypothesis import strategies as st
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from aislewise import topics
from aislewise.errors import InputError
from aislewise.node import AislewiseNode
from aislewise.types import ObjectClass, RobotMode, Waypoint
from pocketros.testing import spin_until_idle
from sim.faults import KINDS, Fault, FaultSchedule, parse_fault
from sim.metrics import TIMING_KEYS
from sim.people import shortest_path
from sim.scenario import Scenario, load_scenario, scenario_from
from sim.sensor_faults import SensorFaults, shifted, turned
from sim.sensors import RawFrame
from sim.setup import stream
from sim.sim_node import SimNode
from sim.warehouse import WarehouseConfig
from sim.world import SimWorld

ROOT = Path(__file__).parent.parent.parent
PACKAGED = sorted((ROOT / "sim" / "scenarios").glob("*.yaml"))
SMALL = WarehouseConfig(width=20, height=26, blocks=1, stations=4, chargers=4, parking=2, bays=1)
SECOND = 1_000_000_000
AMOUNTS = {"s": "0.4s", "deg": "2deg", "m": "1.5m", "": "0.5"}


def lines(kind: str) -> str:
    """An ordinary line of that kind."""
    of = KINDS[kind]
    amount = f" {of.word} {AMOUNTS[of.unit]}" if of.word else ""
    where = " at=4.5,10.5" if of.place else "" if of.process else " robot=1,3"
    return f"at 30s fault {kind}{amount}{where}" + (" for 10s" if of.lasting else "")


# ---- the grammar -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_reads_back_as_it_was_written(kind: str) -> None:
    fault = parse_fault(lines(kind))
    assert (fault.kind, fault.at_s) == (kind, 30.0)
    assert fault.for_s == (10.0 if KINDS[kind].lasting else None)
    assert fault.place == KINDS[kind].place and fault.robots == (() if fault.place or fault.process else (1, 3))
    assert str(fault) == lines(kind) and parse_fault(str(fault)) == fault


def test_units_defaults_and_order_of_words() -> None:
    assert parse_fault("at 1.5min fault camera skew by -50ms") == Fault("camera skew", 90.0, (), -0.05)
    assert parse_fault("at 0s fault camera dirt robot=all").amount == KINDS["camera dirt"].default
    assert parse_fault("at 1s fault robot slow for 2s robot=2 by 0.5") == Fault("robot slow", 1.0, (2,), 0.5, 2.0)
    assert parse_fault("at 1s fault spill").at is None
    assert parse_fault("at 1s fault planner kill").for_s == 5.0 and parse_fault("at 1s fault store full").for_s is None


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("", "fault"),
        ("at 1s fault " + "x" * 1100, "fault"),
        ("camera dropout at 30s", "fault.at"),
        ("at 30 fault camera dropout", "fault.at"),
        ("at -3s fault camera dropout", "fault.at"),
        ("at nans fault camera dropout", "fault.at"),
        ("at 2000000s fault camera dropout", "fault.at"),
        ("at 30s fault camera explodes", "fault.kind"),
        ("at 30s fault camera delay", "fault.by"),
        ("at 30s fault camera delay by", "fault.by"),
        ("at 30s fault camera delay by 0.4", "fault.by"),
        ("at 30s fault camera delay by 11s", "fault.by"),
        ("at 30s fault camera dropout by 1", "fault.by"),
        ("at 30s fault camera delay to 1s", "fault.to"),
        ("at 30s fault lidar misalign by 90deg", "fault.by"),
        ("at 30s fault battery drop to 1.5", "fault.to"),
        ("at 30s fault battery drop to 0.5 for 3s", "fault.for"),
        ("at 30s fault robot slow by 1.0", "fault.by"),
        ("at 30s fault robot stop robot=one", "fault.robot"),
        ("at 30s fault robot stop robot=0", "fault.robot"),
        ("at 30s fault robot stop robot=2,2", "fault.robot"),
        ("at 30s fault robot stop for 0s", "fault.for"),
        ("at 30s fault robot stop for 1s for 2s", "fault.for"),
        ("at 30s fault robot stop at=1,2", "fault.at="),
        ("at 30s fault spill robot=1", "fault.robot"),
        ("at 30s fault spill at=1", "fault.at="),
        ("at 30s fault spill at=1,1e9", "fault.at="),
        ("at 30s fault spill please", "fault.word"),
        ("at 30s fault planner kill robot=1", "fault.robot"),
        ("at 30s fault store full at=1,2", "fault.at="),
        ("at 30s fault client cut by 0.5", "fault.by"),
        ("at 30s fault network duplicate by 2", "fault.by"),
        ("at 30s fault robot lost by 2", "fault.by"),
        ("at 30s fault robot lost by 60m", "fault.by"),
    ],
)
def test_an_error_names_the_field_and_its_limit(line: str, field: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_fault(line)
    assert caught.value.field == field and caught.value.limit is not None


def test_in_a_scenario_the_line_is_named_and_its_robots_must_exist() -> None:
    with pytest.raises(InputError, match=r"faults\[1\].kind"):
        scenario_from({"faults": ["at 1s fault robot stop", "at 1s fault robot melts"]})
    with pytest.raises(InputError, match=r"faults\[0\].robot"):
        scenario_from({"robots": 2, "faults": ["at 1s fault robot stop robot=3"]})
    with pytest.raises(InputError, match="faults"):
        scenario_from({"faults": ["at 1s fault robot stop"] * 101})
    with pytest.raises(InputError, match=r"faults\[0\]"):
        scenario_from({"faults": [{"kind": "robot stop"}]})
    with pytest.raises(InputError, match="description"):
        scenario_from({"description": "x" * 501})
    assert scenario_from({"duration_s": 5, "faults": ["at 40s fault robot stop"]}).last_event_s == 40.0


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    name = draw(st.sampled_from(sorted(KINDS)))
    kind = KINDS[name]
    amount = draw(st.floats(kind.low, kind.high)) if kind.word else None
    at = draw(st.none() | st.tuples(*[st.floats(-1e4, 1e4)] * 2)) if kind.place else None
    robots = () if kind.place or kind.process else tuple(draw(st.lists(st.integers(1, 200), max_size=5, unique=True)))
    lasts = draw(st.none() | st.floats(1e-3, 1e6)) if kind.lasting else None
    return Fault(name, draw(st.floats(0.0, 1e6)), robots, amount, lasts, at)


@given(faults())
def test_any_fault_reads_back_from_its_own_line(fault: Fault) -> None:
    assert parse_fault(str(fault)) == fault


@given(st.text(max_size=80) | st.lists(st.sampled_from(
    ["at", "30s", "fault", "camera", "dropout", "spill", "by", "0.4s", "robot=1", "robot=,", "at=1,2", "for", "to", "-"]
), max_size=12).map(" ".join))  # fmt: skip
def test_any_other_text_is_a_typed_error(text: str) -> None:
    try:
        fault = parse_fault(text)
    except InputError:
        return
    assert parse_fault(str(fault)) == fault


def test_a_fault_holds_from_its_begin_until_before_its_end() -> None:
    schedule = FaultSchedule([parse_fault("at 2s fault camera freeze robot=1 for 3s")])
    held = [t for t in range(8) if schedule.has("camera freeze", "robot_1", t * SECOND)]
    assert held == [2, 3, 4]
    assert not schedule.has("camera freeze", "robot_2", 3 * SECOND)
    assert not schedule.has("lidar freeze", "robot_1", 3 * SECOND)
    assert schedule.in_force_s(["robot_1", "robot_2"], 4 * SECOND) == {"camera freeze": 2.0}
    assert schedule.in_force_s(["robot_1", "robot_2"], 9 * SECOND) == {"camera freeze": 3.0}


# ---- sensors -----------------------------------------------------------------------------------------


def frame(t_s: float) -> RawFrame:
    """Another one at each time."""
    rng = np.random.default_rng(round(t_s * 1000))
    image = rng.integers(100, 256, (24, 32, 3)).astype(np.uint8)
    return RawFrame(round(t_s * SECOND), image, rng.uniform(-8, 8, (400, 4)).astype(np.float32))


def through(line: str, robot: str = "robot_1", seed: int = 1) -> list[tuple[float, str, float, Any]]:
    """(goes out at, sensor, stamp, data) of one robot's frames at 0, 1, 2 and 3 s."""
    scenario = Scenario(seed=seed)
    sensors = SensorFaults(
        FaultSchedule([parse_fault(line)]), ["robot_1", "robot_2"], lambda *more: stream(scenario, "faults", *more), 16.0
    )
    out = []
    for tenth in range(50):
        if tenth % 10 == 0 and tenth < 40:
            sensors.take(robot, frame(tenth / 10))
        now_s = tenth / 10
        out += [(now_s, r.sensor, r.stamp_ns / SECOND, r.data) for r in sensors.due(round(now_s * SECOND))]
    return out


def untouched(sensor: str, t_s: float) -> Any:
    return frame(t_s).image if sensor == "camera" else frame(t_s).points


def test_without_a_fault_every_frame_goes_out_at_once_camera_first() -> None:
    for robot, line in (("robot_2", "at 0s fault camera dropout robot=1"), ("robot_1", "at 9s fault lidar garbage")):
        got = through(line, robot)
        assert [g[:3] for g in got] == [(t, s, t) for t in (0.0, 1.0, 2.0, 3.0) for s in ("camera", "lidar")]
        assert all(np.array_equal(data, untouched(sensor, t)) for t, sensor, _, data in got)


@pytest.mark.parametrize("sensor", ["camera", "lidar"])
@pytest.mark.parametrize("effect", ["dropout", "freeze", "delay by 0.4s", "skew by 50ms", "dirt", "garbage", "misalign by 10deg"])
def test_a_fault_touches_its_sensor_in_its_time_and_nothing_else(sensor: str, effect: str) -> None:
    got = through(f"at 1s fault {sensor} {effect} robot=1 for 2s")
    other = [g for g in got if g[1] != sensor]
    assert [g[0] for g in other] == [0.0, 1.0, 2.0, 3.0]
    mine = {g[0]: g for g in got if g[1] == sensor}
    for out_s, name, stamp_s, data in [*other, mine[0.0], mine[3.0]]:
        assert stamp_s == out_s and np.array_equal(data, untouched(name, out_s))
    hit = [g for t, g in mine.items() if 0.0 < t < 3.0]
    if effect == "dropout":
        assert hit == []
    elif effect.startswith("delay"):
        assert [(g[0], g[2]) for g in hit] == [(1.4, 1.0), (2.4, 2.0)]
        assert all(np.array_equal(g[3], untouched(sensor, g[2])) for g in hit)
    elif effect.startswith("skew"):
        assert [(g[0], g[2]) for g in hit] == [(1.0, 1.05), (2.0, 2.05)]
    else:
        assert [(g[0], g[2]) for g in hit] == [(1.0, 1.0), (2.0, 2.0)]
        assert not any(np.array_equal(g[3], untouched(sensor, g[0])) for g in hit)
    if effect == "freeze":
        assert all(np.array_equal(g[3], untouched(sensor, 0.0)) for g in hit)
    assert all(g[3].dtype == untouched(sensor, 0.0).dtype and g[3].shape[1:] == untouched(sensor, 0.0).shape[1:] for g in hit)


def test_what_is_kept_for_the_report_shows_what_came_through() -> None:
    schedule = FaultSchedule([parse_fault("at 0s fault camera dropout"), parse_fault("at 0s fault lidar dropout")])
    seen = SensorFaults(schedule, ["robot_1"], lambda *more: np.random.default_rng(0), 16.0).take("robot_1", frame(1.0))
    assert not seen.image.any() and seen.points.shape == (0, 4) and seen.stamp_ns == SECOND


def test_dirt_stays_where_it_is_covers_its_share_and_differs_by_robot_and_seed() -> None:
    def dirt(robot: str = "robot_1", seed: int = 1) -> list[Any]:
        got = through("at 0s fault camera dirt by 0.4", robot, seed)
        return [np.abs(g[3].astype(int) - untouched("camera", g[0])).sum(axis=2) > 60 for g in got if g[1] == "camera"]

    first = dirt()
    assert all((a == first[0]).mean() > 0.9 for a in first)
    assert 0.3 < first[0].mean() < 0.7
    assert (dirt("robot_2")[0] != first[0]).mean() > 0.1 and (dirt(seed=2)[0] != first[0]).mean() > 0.1


def test_garbage_replaces_its_share_and_repeats_by_seed() -> None:
    got = [g[3] for g in through("at 0s fault lidar garbage by 0.25") if g[1] == "lidar"]
    changed = [(a != untouched("lidar", t)).any(axis=1).mean() for t, a in enumerate(got)]
    assert all(0.15 < share < 0.35 for share in changed)
    again = [g[3] for g in through("at 0s fault lidar garbage by 0.25") if g[1] == "lidar"]
    assert all(np.array_equal(a, b) for a, b in zip(got, again, strict=True))


def test_camera_and_lidar_misalign_to_the_same_side() -> None:
    """Turned left, both see what is straight ahead to their right."""
    assert turned(np.array([[5.0, 0.0, 0.0, 1.0]], np.float32), -0.1)[0, 1] < 0.0
    image = np.zeros((1, 9, 3), np.uint8)
    image[0, 4] = 255
    assert shifted(image, 2)[0, :, 0].argmax() == 6
    got = through("at 0s fault lidar misalign by 10deg")
    points = next(g[3] for g in got if g[1] == "lidar")
    before = untouched("lidar", 0.0)
    angle = np.arctan2(points[:, 1], points[:, 0]) - np.arctan2(before[:, 1], before[:, 0])
    assert np.allclose((np.degrees(angle) + 180) % 360 - 180, -10.0, atol=1e-3)


# ---- the world ---------------------------------------------------------------------------------------


def world(*faults: str, **changes: Any) -> SimWorld:
    base = Scenario(warehouse=SMALL, robots=2, people=0, forklifts=0, lidar_columns=90, battery=(0.8, 0.8))
    return SimWorld(dataclasses.replace(base, faults=tuple(map(parse_fault, faults)), **changes))


def send(of: SimWorld, robot: str, place: str) -> None:
    pose, goal = of.true_pose(robot), of.site.places[place].cell
    path = shortest_path(of.site.free, of.site.cell_at(pose.x_m, pose.y_m), goal)
    of.set_route(robot, 0, [Waypoint(k, *of.site.centre(c), c) for k, c in enumerate(path[1:])])


def driven(of: SimWorld, seconds: float, robot: str = "robot_1") -> float:
    before = of.robots[robot].distance_m
    for _ in range(round(seconds * 10)):
        of.step(0.1)
    return of.robots[robot].distance_m - before


def test_a_stopped_robot_stands_says_so_and_goes_on_after() -> None:
    w = world("at 5s fault robot stop robot=1 for 4s")
    send(w, "robot_1", "station_2")
    assert driven(w, 4.9) > 1.0 and w.robot_info("robot_1").problem == ""
    assert driven(w, 1.1) < 1.0
    assert driven(w, 2.8) == 0.0
    assert w.robot_info("robot_1").mode is RobotMode.STOPPED and w.robot_info("robot_1").problem == "emergency stop"
    assert w.robot_info("robot_2").problem == "" and w.robot_info("robot_2").mode is not RobotMode.STOPPED
    assert driven(w, 4.0) > 1.0 and w.robot_info("robot_1").problem == ""
    assert w.robots["robot_1"].stops == 1


def test_a_stop_interrupts_an_action() -> None:
    w = world("at 1s fault robot stop for 5s")
    cell = w.site.cell_at(w.true_pose("robot_1").x_m, w.true_pose("robot_1").y_m)
    w.set_route("robot_1", 0, [Waypoint(0, *w.site.centre(cell), cell, "drop", "a:1", 3.0)])
    driven(w, 5.0)
    assert w.robots["robot_1"].reached_seq == -1
    driven(w, 4.0)
    assert w.robots["robot_1"].reached_seq == 0


def test_a_slow_robot_has_that_share_less_speed_and_no_other_has() -> None:
    w = world("at 0s fault robot slow by 0.5 robot=1 for 8s")
    send(w, "robot_1", "station_1")
    top = 0.0
    for _ in range(80):
        w.step(0.1)
        top = max(top, w.robots["robot_1"].speed_mps)
    assert top == pytest.approx(0.5 * w.scenario.robot.speed_mps)
    assert w.faults.pace("robot_1", 9 * SECOND) == w.faults.pace("robot_2", 4 * SECOND) == 1.0


def test_a_battery_drops_once_and_only_down() -> None:
    w = world("at 2s fault battery drop to 0.1 robot=1", "at 2s fault battery drop to 0.9 robot=2")
    driven(w, 1.9)
    assert w.robots["robot_1"].battery > 0.79
    driven(w, 0.2)
    assert w.robots["robot_1"].battery == pytest.approx(0.1, abs=1e-3) and 0.79 < w.robots["robot_2"].battery < 0.81
    w.robots["robot_1"].battery = 0.5
    driven(w, 2.0)
    assert w.robots["robot_1"].battery > 0.49
    assert w.faults_begun() == 2


def test_a_blackout_darkens_the_camera_it_is_meant_for_and_no_lidar() -> None:
    w = world("at 0s fault light blackout robot=1 for 1s")
    lit = world()
    dark, plain = w.sense(["robot_1", "robot_2"]), lit.sense(["robot_1", "robot_2"])
    assert dark["robot_1"].image.mean() < 0.2 * plain["robot_1"].image.mean()
    assert np.array_equal(dark["robot_2"].image, plain["robot_2"].image)
    assert all(np.array_equal(dark[r].points, plain[r].points) for r in w.robots)
    driven(w, 1.0)
    driven(lit, 1.0)
    assert np.array_equal(w.sense(["robot_1"])["robot_1"].image, lit.sense(["robot_1"])["robot_1"].image)


@pytest.mark.parametrize(
    ("kind", "cls", "solid"),
    [("aisle blocked", ObjectClass.BOX, True), ("person down", ObjectClass.PERSON, True), ("spill", ObjectClass.WET_FLOOR, False)],
)
def test_things_lie_where_they_should_and_are_gone_after(kind: str, cls: ObjectClass, solid: bool) -> None:
    w = world(f"at 1s fault {kind} at=2.5,13.5 for 2s", f"at 1s fault {kind}")
    free = w.site.cell_at(2.5, 13.5)

    def there() -> list[Any]:
        driven(w, 1.0)
        return [t for t in w.truth() if t.cls == cls]

    driven(w, 0.5)
    assert w.faults_begun() == 0
    named, drawn = sorted(there(), key=lambda t: t.id)
    assert w.faults_begun() == 2
    assert (named.pose.x_m, named.pose.y_m) == (2.5, 13.5) and w.site.free.flat[w.site.cell_at(drawn.pose.x_m, drawn.pose.y_m)]
    assert (named.id in w._solid) == solid and w._taken.flat[free]
    there()
    assert [t.id for t in there()] == [drawn.id]
    assert named.id not in w._solid and not w._taken.flat[free]


def test_somebody_who_lies_is_as_long_as_tall_and_flat() -> None:
    w = world("at 0s fault person down at=2.5,13.5")
    driven(w, 0.1)
    person = next(t for t in w.truth() if t.cls == ObjectClass.PERSON)
    assert person.size[0] > 1.5 and person.size[2] < 0.6
    mesh = w.things[person.id].body.mesh
    assert np.ptp(mesh.vertices, axis=0) == pytest.approx(person.size, abs=0.15)
    assert mesh.vertices[:, 2].min() >= 0.0


def test_the_same_faults_and_seed_give_the_same_world_and_none_change_nothing() -> None:
    def run(*lines: str) -> Any:
        w = world(*lines, people=2)
        send(w, "robot_1", "station_2")
        driven(w, 6.0)
        frames = w.sense(["robot_1"])["robot_1"]
        return [w.robot_info(r) for r in w.robots], [t.pose for t in w.truth()], frames.image.tobytes()

    lines = ("at 1s fault spill", "at 2s fault robot slow by 0.5 robot=1 for 2s", "at 1s fault aisle blocked")
    assert run(*lines) == run(*lines)
    assert run("at 900s fault robot stop") == run()


def heard(*lines: str) -> dict[tuple[int, str], list[int]]:
    """At which ticks of 0.1 s the messages of two robots came, by robot and topic, over four seconds."""
    rclpy.init()
    few = [Parameter("workers", value=0), Parameter("sense_every", value=10)]
    sim = SimNode(world(*lines).scenario, lockstep=True, parameter_overrides=few)
    ear = AislewiseNode("ear")
    out: dict[tuple[int, str], list[int]] = {}
    for robot in (1, 2):
        for topic in (topics.ROBOT_STATE, topics.ODOM, topics.IMAGE_RAW, topics.POINTS_RAW):
            times = out[robot, topic.name] = []
            ear.listen(topic, lambda _, times=times: times.append(sim.ticks), f"/robot_{robot}/")
    executor = SingleThreadedExecutor()
    executor.add_node(sim)
    executor.add_node(ear)
    try:
        for _ in range(40):
            sim.tick()
            spin_until_idle(executor)
    finally:
        sim.destroy_node()
        ear.destroy_node()
        rclpy.try_shutdown()
    return {key: sorted(set(times)) for key, times in out.items()}


def test_on_the_topics_only_what_a_fault_befalls_is_missing_or_late() -> None:
    ticks = heard(
        "at 1s fault robot silent robot=1 for 2s", "at 2s fault camera dropout robot=2 for 1s",
        "at 2s fault lidar delay by 0.4s robot=2 for 1s",
    )  # fmt: skip
    every, sensed = list(range(2, 41, 2)), [10, 20, 30, 40]
    assert ticks[1, topics.ROBOT_STATE.name] == [t for t in every if not 10 <= t < 30]
    assert ticks[2, topics.ROBOT_STATE.name] == ticks[1, topics.ODOM.name] == ticks[2, topics.ODOM.name] == every
    assert ticks[1, topics.IMAGE_RAW.name] == ticks[1, topics.POINTS_RAW.name] == sensed
    assert ticks[2, topics.IMAGE_RAW.name] == [10, 30, 40]
    assert ticks[2, topics.POINTS_RAW.name] == [10, 24, 30, 40]


# ---- the library -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PACKAGED, ids=lambda p: p.stem)
def test_every_packaged_scenario_has_a_name_a_reason_and_gates(path: Path) -> None:
    scenario = load_scenario(path.stem)
    assert scenario.name == path.stem
    assert len(scenario.description) >= 40
    assert scenario.gates.max_collisions == 0 and scenario.gates.min_done_share >= 0.75
    assert all(f.at_s < scenario.duration_s for f in scenario.faults)
    SimWorld(dataclasses.replace(scenario, lidar_columns=8))


def test_there_is_a_scenario_for_each_group_of_faults() -> None:
    scenarios = [load_scenario(p) for p in PACKAGED]
    assert len(scenarios) >= 12
    subjects = {f.subject for s in scenarios for f in s.faults}
    assert subjects == {f.partition(" ")[0] for f in KINDS}


TROUBLE = """
name: trouble
seed: 5
duration_s: 45
robots: 2
orders: 2
people: 1
forklifts: 0
release_s: 2
lidar_columns: 360
warehouse: {width: 20, height: 18, blocks: 1, aisles: [1, 2], stations: 2, chargers: 2, parking: 2, bays: 1}
faults:
  - at 2s fault camera dirt robot=1
  - at 4s fault lidar garbage by 0.2 robot=2 for 10s
  - at 6s fault camera delay by 0.4s robot=2
  - at 8s fault aisle blocked
  - at 10s fault light blackout for 10s
  - at 12s fault robot silent robot=1 for 8s
  - at 15s fault camera freeze robot=1 for 5s
  - at 20s fault robot stop robot=2 for 5s
  - at 25s fault battery drop to 0.1 robot=1
  - at 30s fault lidar dropout
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_shift_with_faults_repeats_exactly(tmp_path: Path) -> None:
    def run(name: str) -> dict[str, Any]:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "trouble.yaml").write_text(TROUBLE)
        command = [sys.executable, "-m", "cli.main", "validate", str(folder / "trouble.yaml"), "--out", str(folder)]
        subprocess.run([*command, "--json", str(folder / "out.json")], cwd=ROOT, timeout=400, check=False)
        metrics = json.loads((folder / "out.json").read_text())["scenarios"][0]["metrics"]
        return {k: v for k, v in metrics.items() if k not in TIMING_KEYS}

    first = run("first")
    assert first["fault_totals"]["begun"] == 10 and len(first["faults"]) == 10 and first["frames"] > 100
    assert run("second") == first
