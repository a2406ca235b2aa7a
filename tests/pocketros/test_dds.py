"""pocketros over DDS: what a peer in another process sees, and what bad peers can do (nothing)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pocketros

pocketros.activate(mode="always")
pytest.importorskip("cyclonedds")

import rclpy
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Int32, String
from std_srvs.srv import Trigger

from pocketros import cdr
from pocketros.bus import Endpoint, NodeName, TransportError
from pocketros.dds import config, naming, raw
from pocketros.dds.bus import DdsBus, open_domain
from pocketros.messages import message_class

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
ROOT = Path(__file__).parents[2]
DOMAIN = 1 + os.getpid() % 100


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setenv("POCKETROS_TRANSPORT", "dds")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(DOMAIN))
    rclpy.init()
    made = Node("here")
    yield made
    made.destroy_node()
    rclpy.try_shutdown()


def until(node: Node, condition: Callable[[], Any], timeout_s: float = 20.0) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "condition not reached"
        executor.spin_once(timeout_sec=0.02)
    executor.shutdown()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a node of the given body in a process of its own; `node`, `rclpy` and messages are at hand."""
    started: list[subprocess.Popen[str]] = []

    def start(body: str) -> subprocess.Popen[str]:
        script = tmp_path / f"peer{len(started)}.py"
        script.write_text(PEER.replace("BODY", body))
        environment = os.environ | {
            "POCKETROS_TRANSPORT": "dds", "ROS_DOMAIN_ID": str(DOMAIN), "PYTHONPATH": str(ROOT)
        }
        started.append(subprocess.Popen([sys.executable, str(script)], env=environment, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


PEER = '''
import pocketros; pocketros.activate(mode="always")
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import *
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String
from std_srvs.srv import Trigger
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
rclpy.init()
node = Node("there", namespace="/far")
BODY
try:
    rclpy.spin(node)
except (KeyboardInterrupt, ExternalShutdownException):
    pass
'''


# ---------------------------------------------------------------------------------- two processes


def test_a_late_subscriber_in_another_process_gets_the_latched_message(node: Node, other: Any) -> None:
    other('p = node.create_publisher(String, "/word", LATCHED); p.publish(String(data="early"))')
    until(node, lambda: node.count_publishers("/word"))
    got: list[str] = []
    node.create_subscription(String, "/word", lambda m: got.append(m.data), LATCHED)
    until(node, lambda: got == ["early"])


def test_a_service_answers_across_processes(node: Node, other: Any) -> None:
    other(
        'node.create_service(Trigger, "/poke", lambda q, r: Trigger.Response(success=True, message="ouch"))'
    )
    client = node.create_client(Trigger, "/poke")
    assert client.wait_for_service(20.0)
    for _ in range(5):
        future = client.call_async(Trigger.Request())
        until(node, future.done)
        assert future.result() == Trigger.Response(success=True, message="ouch")


def test_a_two_megabyte_cloud_arrives_as_it_was_sent(node: Node, other: Any) -> None:
    other(
        'back = node.create_publisher(PointCloud2, "/back", LATCHED)\n'
        'node.create_subscription(PointCloud2, "/cloud", back.publish, LATCHED)'
    )
    data = np.random.default_rng(3).integers(0, 256, 2_000_001, np.uint8)
    cloud = PointCloud2(height=1, width=125_000, point_step=16, row_step=2_000_000, data=data)
    got: list[PointCloud2] = []
    node.create_subscription(PointCloud2, "/back", got.append, LATCHED)
    node.create_publisher(PointCloud2, "/cloud", LATCHED).publish(cloud)
    until(node, lambda: got)
    assert np.array_equal(np.asarray(got[0].data), data) and got[0].width == 125_000


def test_the_graph_shows_the_other_processs_node_until_it_is_told_to_stop(node: Node, other: Any) -> None:
    process = other('node.create_subscription(String, "/word", print, qos_profile_sensor_data)')
    until(node, lambda: ("there", "/far") in node.get_node_names_and_namespaces())
    until(node, lambda: node.get_subscriptions_info_by_topic("/word"))
    info = node.get_subscriptions_info_by_topic("/word")[0]
    assert (info.node_name, info.node_namespace, info.topic_type) == ("there", "/far", "std_msgs/msg/String")
    assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert (info.qos_profile.history, info.qos_profile.depth) == (HistoryPolicy.KEEP_LAST, 5)
    assert ("/far/there/get_parameters", ["rcl_interfaces/srv/GetParameters"]) in (
        node.get_service_names_and_types_by_node("there", "/far")
    )
    process.send_signal(signal.SIGTERM)
    until(node, lambda: ("there", "/far") not in node.get_node_names_and_namespaces())
    assert process.wait(20) == 0


def test_a_killed_peer_leaves_the_others_at_work(node: Node, other: Any) -> None:
    process = other('node.create_subscription(String, "/word", print, 10)')
    publisher = node.create_publisher(String, "/word", 10)
    until(node, lambda: publisher.get_subscription_count() == 1)
    process.kill()
    got: list[str] = []
    node.create_subscription(String, "/word", lambda m: got.append(m.data), 10)
    until(node, lambda: publisher.get_subscription_count() == 2)
    publisher.publish(String(data="still here"))
    until(node, lambda: got == ["still here"])


# ---------------------------------------------------------------------------------- bad peers


def test_malformed_payloads_are_dropped_and_counted_and_good_ones_still_arrive(node: Node) -> None:
    got: list[int] = []
    lost: list[int] = []
    node.create_subscription(
        String, "/word", lambda m: got.append(int(m.data)), 10,
        event_callbacks=SubscriptionEventCallbacks(message_lost=lambda info: lost.append(info.total_count)),
    )  # fmt: skip
    publisher = node.create_publisher(String, "/word", 10)
    until(node, lambda: publisher.get_subscription_count())
    bad = [b"\0\1\0\0\xff\xff\xff\xff", b"\0\7\0\0abcd", b"\0\1\0\0\3\0\0\0\xff\xfe\0\0"]
    for number, payload in enumerate(bad):
        publisher.publish(payload)
        publisher.publish(String(data=str(number)))
        until(node, lambda: got[-1:] == [number])
    assert got == list(range(len(bad)))
    assert lost == list(range(1, len(bad) + 1))
    with pytest.raises(cdr.CdrError, match="4 bytes are no message"):
        publisher.publish(b"\0\1\0\0")


def test_a_foreign_type_under_our_topic_name_is_reported_and_not_delivered(node: Node) -> None:
    mismatches: list[str] = []
    bus: Any = node.context.bus
    endpoint = Endpoint("subscription", "/word", "std_msgs/msg/Int32", QoSProfile(depth=1), NodeName("x", "/"))
    endpoint.deliver, endpoint.on_mismatch = (lambda m: pytest.fail("delivered")), mismatches.append
    reader = bus.create_reader(endpoint)
    node.create_publisher(String, "/word", 1).publish(String(data="hello"))
    until(node, lambda: mismatches)
    assert mismatches == ["TYPE"] and reader.matched == 0
    reader.close()


def test_best_effort_does_not_match_reliable_and_both_hear_why(node: Node) -> None:
    seen: list[str] = []
    for kind, qos in (("publisher", qos_profile_sensor_data), ("subscription", QoSProfile(depth=1))):
        endpoint = Endpoint(kind, "/word", "std_msgs/msg/String", qos, NodeName("x", "/"))
        endpoint.deliver, endpoint.on_mismatch = print, lambda reason, kind=kind: seen.append(f"{kind} {reason}")
        bus: Any = node.context.bus
        (bus.create_writer if kind == "publisher" else bus.create_reader)(endpoint)
    until(node, lambda: len(seen) == 2)
    assert sorted(seen) == ["publisher RELIABILITY", "subscription RELIABILITY"]


def test_a_message_over_the_limit_is_refused_by_the_sender_and_dropped_by_the_receiver(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus: Any = node.context.bus
    got: list[Any] = []
    subscription = node.create_subscription(String, "/word", got.append, 10)
    publisher = node.create_publisher(String, "/word", 10)
    until(node, lambda: publisher.get_subscription_count())
    monkeypatch.setattr(bus, "max_bytes", 1024)
    with pytest.raises(TransportError, match="limit of 1024"):
        publisher.publish(String(data="x" * 2000))
    raw.write(publisher._writer._writer, cdr.serialize(String(data="x" * 2000)))  # by a sender with another limit
    publisher.publish(String(data="small"))
    until(node, lambda: got)
    assert [m.data for m in got] == ["small"] and subscription._endpoint.lost == {"TOO_LARGE": 1}


FUZZED = (
    "std_msgs/msg/String", "sensor_msgs/msg/Image", "sensor_msgs/msg/PointCloud2", "tf2_msgs/msg/TFMessage",
    "diagnostic_msgs/msg/DiagnosticArray", "nav_msgs/msg/OccupancyGrid", "visualization_msgs/msg/MarkerArray",
    "rcl_interfaces/srv/SetParameters_Request", "rmw_dds_common/msg/ParticipantEntitiesInfo",
    "vision_msgs/msg/Detection3DArray",
)  # fmt: skip


def mutations(rng: random.Random, valid: bytes) -> Iterator[bytes]:
    """Cut, grown, with wild lengths, with flipped bits, and pure noise."""
    while True:
        data = bytearray(valid)
        kind = rng.randrange(5)
        if kind == 0:
            del data[rng.randrange(len(data) + 1) :]
        elif kind == 1:
            data += rng.randbytes(rng.randrange(64))
        elif kind == 2 and len(data) > 8:
            at = rng.randrange(4, len(data) - 3, 4) if len(data) > 11 else 4
            data[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", rng.randbytes(4)))
        elif kind == 3:
            for _ in range(rng.randrange(1, 8)):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        else:
            data = bytearray(b"\0\1\0\0" + rng.randbytes(rng.randrange(256)))
        yield bytes(data)


def test_a_hundred_thousand_broken_payloads_give_a_message_or_a_cdr_error(request: Any) -> None:
    rng = random.Random(7)
    refused = 0
    for name in FUZZED:
        cls = message_class(name)
        source = mutations(rng, cdr.serialize(populated(cls, rng)))
        for _ in range(100_000 // len(FUZZED)):
            try:
                message = cdr.deserialize(next(source), cls)
            except cdr.CdrError:
                refused += 1
            else:
                assert isinstance(message, cls)
    assert 10_000 < refused < 100_000


def populated(cls: Any, rng: random.Random) -> Any:
    """A message whose sequences have elements, so that lengths lie in the middle of the data."""
    message = cls()
    for name, kind in cls.get_fields_and_field_types().items():
        if kind.startswith("sequence<") and "/" in kind:
            part = message_class(kind[9:].split(">")[0].split(",")[0].replace("/", "/msg/"))
            setattr(message, name, [populated(part, rng) for _ in range(2)])
        elif kind in ("sequence<uint8>", "sequence<int8>"):
            setattr(message, name, [1] * 24)
        elif kind == "string":
            setattr(message, name, "word" * rng.randrange(3))
    return message


@pytest.mark.slow
def test_a_hundred_thousand_broken_payloads_on_the_wire_stop_nobody(node: Node) -> None:
    got: list[str] = []
    subscription = node.create_subscription(String, "/word", lambda m: got.append(m.data), 10)
    publisher = node.create_publisher(String, "/word", 10)
    until(node, lambda: publisher.get_subscription_count())
    source = mutations(random.Random(8), cdr.serialize(String(data="a word of some length")))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    for _ in range(100_000):
        if len(payload := next(source)) > 4:
            publisher.publish(payload)
        executor.spin_once(timeout_sec=0)
    publisher.publish(String(data="the end"))
    executor.shutdown()
    until(node, lambda: got[-1:] == ["the end"])
    assert subscription._endpoint.lost["MALFORMED"] > 1000


# ---------------------------------------------------------------------------------- names and settings


@pytest.mark.parametrize(
    ("ros", "prefix", "dds"),
    [("/a/b", "rt", "rt/a/b"), ("/add", "rq", "rq/addRequest"), ("/add", "rr", "rr/addReply")],
)
def test_names_go_to_dds_and_back(ros: str, prefix: str, dds: str) -> None:
    assert naming.dds_topic(ros, prefix) == dds
    assert naming.ros_topic(dds) == (prefix, ros)


def test_types_go_to_dds_and_back_and_foreign_ones_stay() -> None:
    for name in ("std_msgs/msg/String", "std_srvs/srv/Trigger_Request", "a/action/B_SendGoal_Response"):
        assert naming.ros_type(naming.dds_type(name)) == name
    assert naming.dds_type("std_msgs/msg/String") == "std_msgs::msg::dds_::String_"
    assert naming.ros_type("Shape::Type") == "Shape::Type"


def test_without_being_asked_nothing_leaves_the_machine() -> None:
    text = config.cyclone_config({})
    assert 'NetworkInterface address="127.0.0.1"' in text and "<AllowMulticast>false" in text
    assert "NetworkInterface" not in config.cyclone_config({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"})


def test_peers_and_cyclones_own_settings_are_taken_over() -> None:
    text = config.cyclone_config({"ROS_STATIC_PEERS": "10.0.0.2; 10.0.0.3", "CYCLONEDDS_URI": "file:///x.xml"})
    assert '<Peer address="10.0.0.2"/><Peer address="10.0.0.3"/>' in text and text.endswith(",file:///x.xml")


def test_cyclones_own_configuration_may_choose_the_interface(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = '<General><Interfaces><NetworkInterface name="lo"/></Interfaces></General>'
    monkeypatch.setenv("CYCLONEDDS_URI", chosen)
    bus = open_domain(DOMAIN)
    bus.release()
    bus.join(20.0)


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(config.DiscoveryError, match=r"ROS_AUTOMATIC_DISCOVERY_RANGE.*NEARBY"):
        config.cyclone_config({"ROS_AUTOMATIC_DISCOVERY_RANGE": "nearby"})


def test_type_hashes_are_those_of_ros(node: Node) -> None:
    node.create_publisher(String, "/word", 1)
    (endpoint,) = node.context.bus.endpoints("publisher", "/word")
    # rosidl_generator_type_description of Jazzy's std_msgs.
    assert endpoint.type_hash == "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18"


def test_a_domain_can_be_left_and_entered_again() -> None:
    for _ in range(2):
        bus = open_domain(DOMAIN)
        assert isinstance(bus, DdsBus)
        again = open_domain(DOMAIN)
        assert again is bus
        bus.release()
        assert not bus.closed
        bus.release()
        bus.join(20.0)
        assert bus.closed


def test_a_service_of_another_process_and_a_full_parameter_service_work_together(node: Node, other: Any) -> None:
    from rcl_interfaces.srv import GetParameters

    other('node.declare_parameter("speed", 1.5)')
    client = node.create_client(GetParameters, "/far/there/get_parameters")
    assert client.wait_for_service(20.0)
    future = client.call_async(GetParameters.Request(names=["speed"]))
    until(node, future.done)
    assert future.result().values[0].double_value == 1.5


def test_a_destroyed_subscription_hears_nothing_and_is_no_longer_counted(node: Node) -> None:
    got: list[int] = []
    subscription = node.create_subscription(Int32, "/n", lambda m: got.append(m.data), 10)
    publisher = node.create_publisher(Int32, "/n", 10)
    until(node, lambda: publisher.get_subscription_count())
    node.destroy_subscription(subscription)
    publisher.publish(Int32(data=1))
    until(node, lambda: not publisher.get_subscription_count())
    assert got == []


