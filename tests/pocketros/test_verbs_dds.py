"""The verbs as processes of their own, on a graph they reach over DDS."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pocketros

pocketros.activate(mode="always")
pytest.importorskip("cyclonedds")

from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String
from std_srvs.srv import SetBool

from pocketros import cdr
from pocketros.verbs.types import raw_type

ROOT = Path(__file__).resolve().parents[2]
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture
def dds_world(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Any]:
    monkeypatch.setenv("POCKETROS_TRANSPORT", "dds")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(50 + os.getpid() % 50))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    made = request.getfixturevalue("make_world")(capsys)
    yield made
    made.close()


def start(line: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if k != "POCKETROS_TRANSPORT"}  # DDS is the default
    return subprocess.Popen(
        [sys.executable, "-m", "pocketros", *shlex.split(line)], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def outputs(*lines: str) -> list[str]:
    """What the commands print, run beside each other."""
    found = []
    for line, process in [(line, start(line)) for line in lines]:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, f"{line}: {err}"
        found.append(out)
    return found


def until(condition: Callable[[], Any], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_graph_of_another_process_is_seen_and_heard(dds_world: Any) -> None:
    node = dds_world.node("talker")
    node.create_publisher(String, "map", LATCHED).publish(String(data="once"))
    cloud = PointCloud2(width=100_000, height=1, point_step=20, data=bytes(2_000_000))
    large = node.create_publisher(PointCloud2, "cloud", qos_profile_sensor_data)
    node.create_timer(0.2, lambda: large.publish(cloud))
    strange = node.create_publisher(raw_type("strange_msgs/msg/Thing"), "thing", 10)
    node.create_timer(0.1, lambda: strange.publish(cdr.serialize(String(data="abc"))))
    topics, nodes, latched, clouds, raw = outputs(
        "topic list -t --spin-time 2", "node list --spin-time 2", "topic echo /map --once --spin-time 2",
        "topic echo /cloud --once --no-arr --spin-time 2", "topic echo /thing --once --raw --spin-time 2",
    )  # fmt: skip
    assert {"/cloud [sensor_msgs/msg/PointCloud2]", "/thing [strange_msgs/msg/Thing]"} <= set(topics.splitlines())
    assert nodes == "/talker\n" and latched == "data: once\n---\n"
    assert "data: '<sequence type: uint8, length: 2000000>'" in clouds
    assert raw == f"{cdr.serialize(String(data='abc'))!r}\n---\n"


def test_another_process_is_told_asked_and_set(dds_world: Any) -> None:
    node = dds_world.node("robot")
    node.declare_parameter("gains", [1.0, 2.5])
    node.create_service(SetBool, "light", lambda request, _: SetBool.Response(success=request.data, message="lit"))
    heard = dds_world.hear(node, "order", String)
    _, called, got, dumped = outputs(
        "topic pub /order std_msgs/msg/String '{data: go}' --once",
        "service call /light std_srvs/srv/SetBool '{data: true}'",
        "param get /robot gains --timeout 20", "param dump /robot --timeout 20",
    )  # fmt: skip
    until(lambda: heard)
    assert [m.data for m in heard] == ["go"]
    assert called.endswith("response:\nstd_srvs.srv.SetBool_Response(success=True, message='lit')\n\n")
    assert got == "Double values are: [1.0, 2.5]\n" and "    gains:\n    - 1.0\n    - 2.5\n" in dumped


def test_what_one_process_records_another_plays_to_a_third(dds_world: Any, tmp_path: Path) -> None:
    node = dds_world.node("robot")
    dds_world.talk(node, "chatter", String(data="hello"))
    node.create_publisher(String, "map", LATCHED).publish(String(data="once"))
    recording = start(f"bag record /chatter /map -o {tmp_path / 'bag'}")
    until(lambda: node.count_subscribers("/chatter") and node.count_subscribers("/map"))
    time.sleep(1.0)
    recording.send_signal(signal.SIGINT)
    out, err = recording.communicate(timeout=60)
    assert recording.returncode == 0 and "on 2 topics" in out, err
    dds_world.executor.remove_node(node)
    node.destroy_node()
    with Reader(tmp_path / "bag") as bag:
        counts = {c.topic: c.msgcount for c in bag.connections}
        assert counts["/map"] == 1 and counts["/chatter"] > 10
    listener = dds_world.node("listener")
    heard = dds_world.hear(listener, "chatter", String, qos=1000, raw=True)
    latched = dds_world.hear(listener, "map", String, LATCHED)
    outputs(f"bag play {tmp_path / 'bag'} -r 2 --spin-time 3")
    until(lambda: len(heard) == counts["/chatter"] and latched)
    assert {cdr.deserialize(data, String).data for data in heard} == {"hello"} and latched[0].data == "once"
