"""Replays of one small recorded shift: as it is, as ROS 2 would have recorded it, damaged, and changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aislewise import topics
from aislewise.errors import StateError
from aislewise.node import message_class
from aislewise.types import Order, OrderLine
from cli.main import main
from planning.planner import Planner
from pocketros import cdr
from sim.recorded_orders import RecordedOrder, decode_recorded, encode_recorded, from_plans
from sim.replay import Outcome, ReplayConfig, replay
from sim.replay_bag import Bag, BagError, Recorded
from sim.replay_compare import RADIUS_M, ReplayLimits, compare, pair, replay_gates
from sim.replay_inputs import Inputs, Robot, Timeline, find_inputs
from sim.replay_outputs import read_plan
from tests.sim.bags import SCENARIO, rewrite

SEEN, UNSEEN = "robot_1", "robot_2"
"""The first robot's sensors are recorded, the second's are not."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sim.scenario import load_scenario
    from sim.shift import Shift

    folder = tmp_path_factory.mktemp("recorded")
    (folder / "short.yaml").write_text(json.dumps(SCENARIO))
    Shift(load_scenario(str(folder / "short.yaml")), folder).run()
    return folder / "run.mcap"


@pytest.fixture(scope="module")
def outcome(recording: Path) -> Outcome:
    return replay(recording, ReplayConfig())


def figures(outcome: Outcome) -> dict[str, Any]:
    return compare(outcome.recorded, outcome.replayed, outcome.stamps, outcome.site).figures


def passes(outcome: Outcome) -> bool:
    return all(g["ok"] for g in replay_gates(figures(outcome), ReplayLimits()).values())


# --- the same again ----------------------------------------------------------------------------------


def test_our_own_recording_gives_the_same_detections_to_the_last_bit(outcome: Outcome) -> None:
    recorded, replayed = outcome.recorded.frames, outcome.replayed.frames
    assert len(recorded) >= 20 and {f.robot for f in recorded} == {SEEN}
    assert [(f.stamp_ns, f.digest) for f in recorded] == [(f.stamp_ns, f.digest) for f in replayed]
    assert sum(len(f.classes) for f in recorded) > 0


def test_and_the_same_world_words_and_plans(outcome: Outcome) -> None:
    found = figures(outcome)
    assert found["detections"]["frames_identical"] == found["detections"]["frames"]
    assert found["world"]["f1"] == 1.0 and found["world"]["rmse_m"] == 0.0 and not found["world"]["states_missing"]
    assert found["occupancy"]["agreement"] == 1.0
    del found["plans"]["plans"]
    assert found["plans"] | {"orders": 0} == {
        "plans_missing": 0, "orders": 0, "tasks_equal": 1.0, "routes_equal": 1.0, "route_gap_m": 0.0,
    }  # fmt: skip
    assert found["plans"]["orders"] >= 2 and outcome.orders == "2 attached to the bag" and outcome.seed == 5
    assert passes(outcome)


def test_what_cannot_be_replayed_is_said(outcome: Outcome) -> None:
    assert outcome.inputs.gaps == [f"perception of {UNSEEN}: its camera and lidar were not recorded"]
    unseen = outcome.inputs.robots[UNSEEN]
    assert topics.DETECTIONS in unseen.played and not unseen.sensing
    assert topics.DETECTIONS not in outcome.inputs.robots[SEEN].played


# --- as others record --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "clock"),
    [({"clock_hz": 20.0}, "/clock"), ({}, "stamps"), ({"storage": "sqlite3", "clock_hz": 20.0}, "/clock")],
    ids=["clock", "no clock", "sqlite3"],
)
def test_a_bag_with_log_times_of_a_wall_clock_is_replayed_in_the_time_of_its_stamps(
    recording: Path, tmp_path: Path, options: dict[str, Any], clock: str
) -> None:
    again = replay(rewrite(recording, tmp_path / "bag", wall=True, **options), ReplayConfig(seed=5))
    assert again.clock == clock and again.orders.endswith("read off the recorded plans")
    assert 9.0 < again.span_s < 12.0
    found = figures(again)
    assert found["detections"]["f1"] > 0.99 and found["world"]["f1"] > 0.9 and passes(again)


def test_a_single_file_of_a_folder_will_do(recording: Path, tmp_path: Path) -> None:
    folder = rewrite(recording, tmp_path / "bag", keep=lambda t: "robot_1" in t or t in ("/tf", "/tf_static"))
    [file] = folder.glob("*.mcap")
    found = figures(replay(file, ReplayConfig()))
    assert set(found) == {"detections"} and found["detections"]["frames_identical"] == found["detections"]["frames"]


def test_frames_whose_sensors_the_recorder_missed_are_not_held_against_the_replay(recording: Path, tmp_path: Path) -> None:
    count = {"camera": 0}

    def change(topic: str, data: bytes) -> bytes | None:
        if topic.endswith(topics.IMAGE_RAW.name):
            count["camera"] += 1
            return data if count["camera"] % 4 else None
        return data

    found = figures(replay(rewrite(recording, tmp_path / "bag", change=change), ReplayConfig()))["detections"]
    assert found["frames_without_sensors_in_bag"] == count["camera"] // 4
    assert found["frames_missing"] == 0 and found["f1"] > 0.99


# --- what must fail ----------------------------------------------------------------------------------


def moved(topic: str, data: bytes) -> bytes:
    """Detections a metre off."""
    if not topic.endswith(f"{SEEN}/{topics.DETECTIONS.name}"):
        return data
    msg = cdr.deserialize(data, message_class(topics.DETECTIONS.type))
    for d in msg.detections:
        d.position.x += 1.0
    return cdr.serialize(msg)


def test_other_detections_than_recorded_fail_and_the_command_says_so(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, out = rewrite(recording, tmp_path / "bag", change=moved), tmp_path / "out"
    assert main(["validate", "--replay", str(bag), "--out", str(out), "--json", str(tmp_path / "copy.json")]) == 1
    answer = json.loads((out / "results.json").read_text())
    assert answer == json.loads((tmp_path / "copy.json").read_text()) and not answer["ok"]
    [run] = answer["scenarios"]
    assert not run["gates"]["replay_detections_f1"]["ok"] and run["gates"]["replay_world_rmse_m"]["ok"]
    assert run["metrics"]["detections"]["frames_identical"] < run["metrics"]["detections"]["frames"]
    said = capsys.readouterr().out
    assert "gate replay_detections_f1: FAIL" in said and f"not replayed: perception of {UNSEEN}" in said
    assert len(list(ElementTree.parse(out / "junit.xml").getroot().iter("failure"))) == 1
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2 and UNSEEN in page


def test_no_answer_is_no_agreement(outcome: Outcome) -> None:
    """A fusion node that says nothing must not pass for want of a comparison."""
    mute = replace(outcome, replayed=type(outcome.replayed)())
    found = figures(mute)
    assert found["detections"]["f1"] == 0.0 and found["world"]["f1"] == 0.0 and not passes(mute)


@pytest.mark.parametrize(
    ("lost", "named"),
    [({"/tf"}, "/tf"), ({"/tf_static"}, "/tf_static"), ({"/robot_1/lidar/points", "/robot_1/camera/image_raw"}, "lidar/points")],
)
def test_a_bag_that_lacks_what_perception_needs_is_refused_by_the_name_of_the_topic(
    recording: Path, tmp_path: Path, lost: set[str], named: str
) -> None:
    gone = lost | {"/site_map"}
    with pytest.raises(BagError, match=named), Bag(rewrite(recording, tmp_path / "bag", keep=lambda t: t not in gone)) as bag:
        find_inputs(bag)


def test_a_bag_without_recorded_outputs_has_nothing_to_compare(recording: Path, tmp_path: Path) -> None:
    inputs = ("/tf", "/tf_static", "/robot_1/lidar/points")
    bag = rewrite(recording, tmp_path / "bag", keep=lambda t: t in inputs)
    assert main(["validate", "--replay", str(bag), "--out", str(tmp_path / "out"), "--json", str(tmp_path / "e.json")]) == 2
    assert "detections" in json.loads((tmp_path / "e.json").read_text())["error"]["message"]
    assert not (tmp_path / "out" / "results.json").exists()


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "absent", "garbled"])
def test_a_damaged_bag_is_an_error_that_names_it(recording: Path, tmp_path: Path, damage: str) -> None:
    path, whole = tmp_path / "run.mcap", recording.read_bytes()
    half = len(whole) // 2
    garbled = whole[:half] + bytes(b ^ 0x55 for b in whole[half : half + 4096]) + whole[half + 4096 :]
    content = {"cut": whole[:half], "empty": b"", "text": b"name: shift\n", "garbled": garbled}
    if damage in content:
        path.write_bytes(content[damage])
    with pytest.raises(BagError, match=r"run\.mcap"):
        replay(path, ReplayConfig())


def test_messages_of_another_definition_are_refused(recording: Path, tmp_path: Path) -> None:
    from rosbags.rosbag2 import StoragePlugin, Writer

    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        kind = topics.DETECTIONS.type
        c = writer.add_connection("/robot_1/detections", kind, msgdef="string robot\n", rihs01="RIHS01_" + "0" * 64)
        writer.write(c, 1, b"\0\1\0\0\1\0\0\0\0")
    with Bag(tmp_path / "bag") as bag, pytest.raises(BagError, match="another definition"):
        bag.check(topics.DETECTIONS, "/robot_1/detections")


@pytest.mark.parametrize(
    "arguments", [[], ["--replay", "x", "shift"], ["--replay", "x", "--min-f1", "nan"], ["--replay", "x", "--orders", "/nowhere"]]
)
def test_what_is_wrong_with_the_command_is_bad_input(arguments: list[str], tmp_path: Path) -> None:
    assert main(["validate", *arguments, "--out", str(tmp_path / "out")]) == 2


def test_robots_that_a_planner_makes_no_sense_of_cost_a_plan_and_not_the_replay(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, step = [], Planner.step

    def stumbling(self: Planner, world: Any, now_ns: int) -> Any:
        calls.append(now_ns)
        if len(calls) == 5:
            raise StateError("order order-001 cannot go from PLANNED to DONE")
        return step(self, world, now_ns)

    monkeypatch.setattr(Planner, "step", stumbling)
    again = replay(recording, ReplayConfig())
    found = figures(again)
    assert again.planner_restarts == 1 and len(calls) >= 15
    assert found["plans"]["plans_missing"] <= 1 and found["plans"]["plans"] >= 15 and found["detections"]["f1"] == 1.0


# --- parts -------------------------------------------------------------------------------------------

things = st.lists(st.tuples(st.integers(0, 2), st.floats(-3, 3), st.floats(-3, 3)), max_size=12)


def arrays(items: list[tuple[int, float, float]]) -> tuple[Any, Any]:
    return np.array([c for c, _, _ in items], np.int64), np.array([(x, y) for _, x, y in items]).reshape(-1, 2)


@given(things, things)
def test_pairs_are_one_to_one_of_one_class_and_near(a: list[Any], b: list[Any]) -> None:
    found, wanted = arrays(a), arrays(b)
    i, j, gap = pair(found, wanted)
    assert len(set(i.tolist())) == len(set(j.tolist())) == len(gap) and (gap <= RADIUS_M).all()
    assert (found[0][i] == wanted[0][j]).all()
    assert np.allclose(np.hypot(*(found[1][i] - wanted[1][j]).T), gap)
    assert len(pair(wanted, found)[2]) == len(gap)


@given(things)
def test_everything_is_paired_with_itself(a: list[Any]) -> None:
    _, _, gap = pair(arrays(a), arrays(a))
    assert len(gap) == len(a) and not gap.any()


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 10**6)), max_size=40), st.booleans())
def test_time_never_goes_back_and_one_wrong_stamp_does_not_set_it(steps: list[tuple[int, int]], own: bool) -> None:
    inputs = Inputs({"r": Robot("r", "/r/", (topics.ROBOT_STATE,))})
    timeline = Timeline(inputs, [0.0 if own else 1e6])
    assert timeline.kind == ("log times" if own else "stamps")
    last = -1
    for log_s, stamp_s in sorted(steps):
        data = b"\0\1\0\0" + stamp_s.to_bytes(4, "little") + bytes(4)
        now = timeline.at(Recorded("/r/robot_state", log_s * 10**9, data))
        assert now >= last and (last < 0 or now - last <= 71 * 10**9 or own)
        last = now


def test_orders_read_off_plans_are_those_that_were_given(recording: Path) -> None:
    with Bag(recording) as bag:
        given_ = decode_recorded(bag.orders)
        kind = message_class(topics.FLEET_PLAN.type)
        plans = [read_plan(cdr.deserialize(m.data, kind)) for m in bag.messages(["/fleet_plan"])]
    found = {o.order.order_id: [(x.pick_from, x.deliver_to) for x in o.order.lines] for o in from_plans(plans)}
    assert found and not any(name.startswith("instruction-") for name in found)
    for recorded in given_:
        lines = recorded.order.lines
        if all(x.pick_from for x in lines):
            assert found[recorded.order.order_id] == [(x.pick_from, x.deliver_to) for x in lines]


def test_attached_orders_come_back_as_they_were() -> None:
    from aislewise.types import OrderRecord, OrderState
    from planning.orders import OrderEvent

    order = Order("a", (OrderLine("station_1", sku="x", quantity=2, pick_at=None),), release_ns=5, due_ns=9, priority=3)
    mine = Order("instruction-7", (OrderLine("station_1", pick_at=(1.0, 2.0), object_id="o"),))
    records = [OrderRecord(o, OrderState.CANCELLED, accepted_ns=6) for o in (order, mine)]
    data = encode_recorded(records, [OrderEvent(1, "a", OrderState.CANCELLING, 8)])
    assert decode_recorded(data) == [RecordedOrder(order, 6, 8)]
