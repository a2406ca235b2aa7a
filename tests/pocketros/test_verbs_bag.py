"""Bags: recorded and played in process, read by others' readers; and how long-running verbs end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import pocketros

pocketros.activate(mode="always")

from mcap.reader import make_reader
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, Temperature
from std_msgs.msg import String

from pocketros import cdr
from pocketros.verbs import bag as bag_verb
from pocketros.verbs.bag_qos import offered, to_publish
from pocketros.verbs.types import raw_type

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
ROOT = Path(__file__).resolve().parents[2]


def until(condition: Callable[[], Any], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def recorded(world: Any, tmp_path: Path) -> Path:
    """Half a second of a camera, a chatter and a latched map."""
    node = world.node("robot")
    world.talk(node, "chatter", String(data="hello"))
    world.talk(node, "image", Image(height=2, width=3, step=9, data=bytes(range(18))), qos_profile_sensor_data)
    node.create_publisher(String, "map", LATCHED).publish(String(data="once"))
    path = tmp_path / "bag"
    out = world.good(f"bag record -a --exclude-topics /rosout /parameter_events -o {path} --max-duration 0.8")
    assert out.startswith("Recording stopped: ") and "on 3 topics" in out
    world.executor.remove_node(node)
    node.destroy_node()
    return path


def test_a_recording_is_a_rosbag2_folder_with_types_hashes_and_qos(recorded: Path) -> None:
    assert sorted(file.name for file in recorded.iterdir()) == ["bag.mcap", "metadata.yaml"]
    metadata = yaml.safe_load((recorded / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert metadata["version"] == 9 and metadata["storage_identifier"] == "mcap"
    topics = {t["topic_metadata"]["name"]: t for t in metadata["topics_with_message_count"]}
    assert set(topics) == {"/chatter", "/image", "/map"} and topics["/map"]["message_count"] == 1
    assert topics["/chatter"]["topic_metadata"]["type_description_hash"] == cdr.type_hash("std_msgs/msg/String")
    offers = {name: t["topic_metadata"]["offered_qos_profiles"][0] for name, t in topics.items()}
    assert (offers["/map"]["durability"], offers["/map"]["depth"]) == ("transient_local", 1)
    assert offers["/image"]["reliability"] == "best_effort"
    assert offers["/map"]["deadline"] == {"sec": 9223372036, "nsec": 854775807}


def test_a_recording_is_read_by_mcaps_own_reader(recorded: Path) -> None:
    with (recorded / "bag.mcap").open("rb") as file:
        rows = list(make_reader(file).iter_messages())
        channels = {c.topic: c for _, c, _ in rows}
    schemas = {channel.topic: schema for schema, channel, _ in rows}
    assert schemas["/image"].encoding == "ros2msg" and "MSG: std_msgs/Header" in schemas["/image"].data.decode()
    assert yaml.safe_load(channels["/map"].metadata["offered_qos_profiles"])[0]["durability"] == "transient_local"
    image = next(m.data for _, c, m in rows if c.topic == "/image")
    assert bytes(cdr.deserialize(image, Image).data) == bytes(range(18))
    stamps = [m.log_time for _, _, m in rows]
    assert stamps == sorted(stamps) and abs(stamps[-1] - time.time_ns()) < 60e9


def test_playing_gives_back_the_same_bytes_with_the_qos_recorded(world: Any, recorded: Path) -> None:
    with Reader(recorded) as bag:
        sent = [bytes(data) for c, _, data in bag.messages() if c.topic == "/chatter"]
    node = world.node("listener")
    heard = world.hear(node, "chatter", String, raw=True, qos=100)
    latched = world.hear(node, "map", String, LATCHED)
    world.good(f"bag play {recorded} -r 4")
    until(lambda: len(heard) == len(sent))
    assert heard == sent and [m.data for m in latched] == ["once"]


def test_play_keeps_the_distances_in_time_at_the_rate_asked_for(world: Any, recorded: Path) -> None:
    with Reader(recorded) as bag:
        length_s = (bag.end_time - bag.start_time) / 1e9
    for rate, offset_s in ((2.5, 0.0), (1.0, 0.4)):
        started = time.monotonic()
        world.good(f"bag play {recorded} -r {rate} --start-offset {offset_s}")
        assert time.monotonic() - started >= (length_s - offset_s) / rate - 0.01


def test_play_chooses_renames_and_gives_the_time(world: Any, recorded: Path) -> None:
    node = world.node("listener")
    old, new = world.hear(node, "chatter", String), world.hear(node, "said", String, 100)
    image = world.hear(node, "image", Image, qos_profile_sensor_data)
    clock = world.hear(node, "clock", Clock, 1000)
    world.good(f"bag play {recorded} -r 5 --topics /chatter --remap /chatter:=/said --clock 100")
    until(lambda: new)
    assert not old and not image and len(clock) > 5
    stamps = [c.clock.sec * 10**9 + c.clock.nanosec for c in clock]
    with Reader(recorded) as bag:
        assert bag.start_time == stamps[0] and stamps == sorted(stamps) and stamps[-1] <= bag.end_time
    status, _, err = world.run(f"bag play {recorded} --topics /nope")
    assert status == 1 and "nothing to play" in err
    status, _, err = world.run(f"bag play {recorded} --remap nonsense")
    assert status == 2 and err == "--remap: 'nonsense' is not of the form old:=new\n"


def test_types_nobody_knows_here_come_with_the_bag(world: Any, tmp_path: Path) -> None:
    name = "elsewhere_msgs/msg/Reading"
    text = f"std_msgs/Header header\nfloat64 value\nfloat64 spare\n{'=' * 80}\nMSG: std_msgs/Header\nstring frame_id\n"
    data = cdr.serialize(Temperature(temperature=21.5))
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        bag.write(bag.add_connection("/reading", name, msgdef=text, rihs01="RIHS01_0"), 1, data)
    heard = world.hear(world.node("listener"), "reading", raw_type(name))
    world.good(f"bag play {tmp_path / 'bag'}")
    until(lambda: heard)
    assert type(heard[0]).__name__ == "Reading" and heard[0].value == 21.5
    assert hasattr(heard[0].header, "stamp")  # a type known here stays as it is


def test_record_takes_topics_as_they_appear_and_nothing_else(world: Any, tmp_path: Path) -> None:
    node = world.node("late")
    publishers: list[Any] = []

    def appear() -> None:
        if not publishers:
            publishers.extend(node.create_publisher(String, name, 10) for name in ("camera_text", "other", "_hidden"))
        for publisher in publishers:
            publisher.publish(String(data="x"))

    node.create_timer(0.15, appear)
    world.good(f"bag record -e camera --exclude-regex depth -o {tmp_path / 'bag'} -p 20 --max-duration 1.5")
    with Reader(tmp_path / "bag") as bag:
        assert {c.topic: c.msgcount > 0 for c in bag.connections} == {"/camera_text": True}


def test_record_never_overwrites(world: Any, tmp_path: Path) -> None:
    status, _, err = world.run(f"bag record -a -o {tmp_path}")
    assert (status, err) == (2, f"Output folder '{tmp_path}' already exists.\n")


def test_zstd_shrinks_the_file(world: Any, tmp_path: Path) -> None:
    world.talk(world.node("camera"), "image", Image(data=bytes(100_000)), qos_profile_sensor_data)
    world.good(f"bag record /image -o {tmp_path / 'bag'} --max-duration 0.3 --storage-preset-profile zstd_fast")
    assert (tmp_path / "bag" / "bag.mcap").stat().st_size < 50_000
    assert "Topic: /image | Type: sensor_msgs/msg/Image" in world.good(f"bag info {tmp_path / 'bag'}")


def test_info_reads_as_ros2_bag_info(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        first = bag.add_connection("/a", "std_msgs/msg/String", msgdef="string data\n", rihs01="RIHS01_0")
        bag.add_connection("/b", "std_msgs/msg/Bool", msgdef="bool data\n", rihs01="RIHS01_0")
        bag.write(first, 1_700_000_000_000_000_005, b"\0\1\0\0")
        bag.write(first, 1_700_000_001_500_000_005, b"\0\1\0\0")
    size = bag_verb.size((tmp_path / "bag" / "bag.mcap").stat().st_size)
    assert world.good(f"bag info {tmp_path / 'bag'}") == (
        f"\nFiles:             bag.mcap\nBag size:          {size}\nStorage id:        mcap\n"
        "ROS Distro:        rosbags\nDuration:          1.500000000s\n"
        "Start:             Nov 14 2023 22:13:20.000000005 (1700000000.000000005)\n"
        "End:               Nov 14 2023 22:13:21.500000005 (1700000001.500000005)\n"
        "Messages:          2\n"
        "Topic information: Topic: /a | Type: std_msgs/msg/String | Count: 2 | Serialization Format: cdr\n"
        "                   Topic: /b | Type: std_msgs/msg/Bool | Count: 0 | Serialization Format: cdr\n"
        "Service:           0\nService information: \n"
    )
    assert world.good(f"bag info -t {tmp_path / 'bag'}") == "/a\n/b\n"


def test_info_of_an_empty_recording_says_so(world: Any, tmp_path: Path) -> None:
    world.good(f"bag record /nobody -o {tmp_path / 'bag'} --max-duration 0.1")
    text = world.good(f"bag info {tmp_path / 'bag'}")
    assert "Duration:          0.000000000s\n" in text and "Messages:          0\nTopic information: \n" in text


@pytest.mark.parametrize("name", ["bag.mcap", "bag.txt"])
def test_a_damaged_bag_is_named(world: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x89MCAP0\r\nnonsense" * 10)
    for verb in ("info", "play"):
        status, out, err = world.run(f"bag {verb} {tmp_path / name}")
        assert status == 1 and not out and err.startswith("cannot read bag") and name in err


def test_qos_survives_the_bag_and_mixed_offers_fall_back_to_the_default() -> None:
    profile = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT, durability=DurabilityPolicy.VOLATILE)
    again, warning = to_publish("/x", [offered(profile)])
    assert (again.reliability, again.durability, again.depth) == (profile.reliability, profile.durability, 20)
    assert not warning
    default, warning = to_publish("/x", [offered(profile), offered(LATCHED)])
    assert default == QoSProfile(depth=10) and "/x" in warning


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 0)])
def test_a_recording_ended_by_a_signal_is_whole(tmp_path: Path, number: int, status: int) -> None:
    process = start("bag", "record", "-a", "-o", str(tmp_path / "bag"))
    until(lambda: (tmp_path / "bag").is_dir(), 60)
    assert ended(process, number) == (status, "")
    with Reader(tmp_path / "bag") as bag:
        assert bag.message_count == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="sees in /proc when a process is ready")
@pytest.mark.parametrize(
    ("line", "number", "status"),
    [
        ("topic hz /absent", signal.SIGINT, 0),
        ("topic echo /x std_msgs/msg/String", signal.SIGTERM, 0),
        ("topic pub /x std_msgs/msg/String", signal.SIGINT, 0),
        ("topic echo /x std_msgs/msg/String --once", signal.SIGINT, 130),
        ("service call /absent std_srvs/srv/Trigger", signal.SIGTERM, 143),
    ],
)
def test_ctrl_c_ends_a_verb_cleanly(line: str, number: int, status: int) -> None:
    process = start(*line.split(), "--spin-time", "0.1")
    until(lambda: minds_signals(process.pid), 60)
    process.send_signal(number)  # `timeout` and shells often signal twice
    assert ended(process, number) == (status, "")


def test_without_cyclonedds_the_verbs_say_what_to_install() -> None:
    code = (
        "import importlib.util, sys; found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'cyclonedds' else found(name, *a)\n"
        "from pocketros.verbs.command import main; sys.exit(main(['topic', 'list']))"
    )
    environment = {k: v for k, v in os.environ.items() if k != "POCKETROS_TRANSPORT"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "pip install 'aislewise[dds]'" in done.stderr and "Traceback" not in done.stderr


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"POCKETROS_TRANSPORT": "inprocess", "RCUTILS_LOGGING_SEVERITY_THRESHOLD": "ERROR"}
    return subprocess.Popen(
        [sys.executable, "-m", "pocketros", *arguments], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def minds_signals(pid: int) -> bool:
    """Whether a process has come to where it handles SIGTERM."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def ended(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    """Exit status and what is wrong on stderr (log lines are not)."""
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, "".join(line for line in err.splitlines(True) if not line.startswith("[INFO]"))
