"""The command line verbs on an in-process graph: what they print, what they send, how they fail."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import pocketros

pocketros.activate(mode="always")

from geometry_msgs.msg import Point, PoseStamped, PoseWithCovariance
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSPresetProfiles,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from sensor_msgs.msg import Image, LaserScan, PointCloud2, PointField
from std_msgs.msg import Bool, Byte, ByteMultiArray, String, UInt8MultiArray
from std_srvs.srv import SetBool, Trigger

from pocketros import cdr
from pocketros.verbs import qos_options
from pocketros.verbs.errors import VerbError
from pocketros.verbs.from_yaml import fill
from pocketros.verbs.to_yaml import Style, as_dict, parse_field, select, to_csv, to_yaml
from pocketros.verbs.topic_rate import Bandwidth, Rate
from pocketros.verbs.types import raw_type


def until(condition: Callable[[], Any], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# ------------------------------------------------------------------ looking around


def test_topic_list_names_types_counts_and_hides_as_ros2_does(world: Any) -> None:
    node = world.node("talker")
    node.create_publisher(String, "chatter", 10)
    node.create_publisher(String, "_secret", 10)
    node.create_subscription(Bool, "ns/flag", print, 10)
    assert world.good("topic list").split() == ["/chatter", "/ns/flag", "/parameter_events", "/rosout"]
    assert "/chatter [std_msgs/msg/String]\n/ns/flag [std_msgs/msg/Bool]\n" in world.good("topic list -t")
    assert world.good("topic list -c") == "4\n"
    assert "/_secret" in world.good("topic list --include-hidden-topics").split()
    published, subscribed = world.good("topic list -v").split("\n\n")[:2]
    assert published.startswith("Published topics:\n * /chatter [std_msgs/msg/String] 1 publisher\n")
    assert " * /rosout [rcl_interfaces/msg/Log] 2 publishers" in published
    assert subscribed == "Subscribed topics:\n * /ns/flag [std_msgs/msg/Bool] 1 subscriber"


def test_topic_info_tells_both_ends_with_their_qos(world: Any) -> None:
    node = world.node("talker", namespace="/robot")
    node.create_publisher(String, "chatter", QoSProfile(depth=3, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    node.create_subscription(String, "chatter", print, qos_profile_sensor_data)
    assert world.good("topic info /robot/chatter") == (
        "Type: std_msgs/msg/String\nPublisher count: 1\nSubscription count: 1\n"
    )
    text = world.good("topic info /robot/chatter -v")
    publisher, subscription = text.split("Subscription count: 1\n\n")
    for line in (
        "Node name: talker", "Node namespace: /robot", "Endpoint type: PUBLISHER", "  Reliability: RELIABLE",
        "  History (Depth): KEEP_LAST (3)", "  Durability: TRANSIENT_LOCAL",
        "Topic type hash: RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18",
    ):  # fmt: skip
        assert line in publisher.splitlines()
    assert "Endpoint type: SUBSCRIPTION" in subscription and "  Reliability: BEST_EFFORT" in subscription
    assert world.run("topic info /absent") == (1, "", "Unknown topic '/absent'\n")


def test_topic_type_and_find_answer_by_status_as_well(world: Any) -> None:
    world.node("talker").create_publisher(String, "chatter", 10)
    assert world.good("topic type /chatter") == world.good("topic type chatter") == "std_msgs/msg/String\n"
    assert world.run("topic type /absent") == (1, "", "")
    assert world.good("topic find std_msgs/msg/String") == "/chatter\n"
    assert world.good("topic find std_msgs/msg/Bool -c") == "0\n"


def test_node_list_hides_the_observer_and_warns_of_twins(world: Any) -> None:
    world.node("b", namespace="/ns")
    world.node("a")
    assert world.good("node list") == "/a\n/ns/b\n"
    assert world.good("node list -a").startswith("/_ros2cli_")
    assert world.good("node list -c") == "2\n"
    world.node("a")
    status, out, err = world.run("node list")
    assert status == 0 and out == "/a\n/a\n/ns/b\n" and err.startswith("WARNING: Be aware that there are nodes")


def test_node_info_lists_what_a_node_offers_and_uses(world: Any) -> None:
    node = world.node("busy")
    node.create_publisher(String, "chatter", 10)
    node.create_subscription(Bool, "flag", print, 10)
    node.create_service(Trigger, "go", lambda request, response: response)
    node.create_client(SetBool, "light")
    lines = world.good("node info /busy").split("\n")
    assert lines[:3] == ["/busy", "  Subscribers:", "    /flag: std_msgs/msg/Bool"]
    assert "    /chatter: std_msgs/msg/String" in lines and "    /go: std_srvs/srv/Trigger" in lines
    end = lines.index("  Service Clients:")
    assert lines[end:] == [
        "  Service Clients:", "    /light: std_srvs/srv/SetBool", "  Action Servers:", "", "  Action Clients:", "", ""
    ]  # fmt: skip
    assert world.run("node info /nobody") == (1, "", "Unable to find node '/nobody'\n")


# ------------------------------------------------------------------ echo


def test_echo_prints_what_ros2_prints(world: Any) -> None:
    scan = LaserScan(ranges=[1.5, 0.1], range_max=1e-05)
    scan.header.frame_id = "läser"
    world.talk(world.node("talker"), "scan", scan)
    assert world.good("topic echo /scan --once") == (
        "header:\n  stamp:\n    sec: 0\n    nanosec: 0\n  frame_id: läser\nangle_min: 0.0\nangle_max: 0.0\n"
        "angle_increment: 0.0\ntime_increment: 0.0\nscan_time: 0.0\nrange_min: 0.0\nrange_max: 1.0e-05\n"
        "ranges:\n- 1.5\n- 0.10000000149011612\nintensities: []\n---\n"
    )


def test_echo_spares_the_terminal_a_large_cloud(world: Any) -> None:
    cloud = PointCloud2(height=1, width=100_000, point_step=20, fields=[PointField(name="x")], data=bytes(2_000_000))
    world.talk(world.node("talker"), "cloud", cloud, qos_profile_sensor_data)
    text = world.good("topic echo /cloud --once --no-arr")
    assert "fields: '<sequence type: sensor_msgs/msg/PointField, length: 1>'\n" in text
    assert "data: '<sequence type: uint8, length: 2000000>'\n" in text
    assert world.good("topic echo /cloud --once").count("\n- 0") == 128
    assert "data:\n- 0\n- 0\n- '...'\n" in world.good("topic echo /cloud --once -l 2")
    assert world.good("topic echo /cloud --once --csv -l 2 --no-str") == (
        "0,0,<string length: <0>>,1,100000,<string length: <1>>,0,0,0,False,20,0,0,0,...,False\n"
    )


def test_echo_picks_a_field_or_an_element(world: Any) -> None:
    pose = PoseStamped()
    pose.pose.position.x = 2.5
    world.talk(world.node("talker"), "pose", pose)
    assert world.good("topic echo /pose --once --field pose.position.x") == "2.5\n---\n"
    assert world.good("topic echo /pose --once --field pose.position --flow-style") == "x: 2.5\ny: 0.0\nz: 0.0\n---\n"
    status, _, err = world.run("topic echo /pose --once --field pose.colour")
    assert status == 2 and err == "Invalid field 'pose.colour': there are position, orientation\n"
    status, _, err = world.run("topic echo /pose --once --field ..")
    assert status == 2 and "Invalid field value" in err


def test_echo_keeps_back_what_the_filter_does_not_let_through(world: Any) -> None:
    node = world.node("talker")
    publisher, count = node.create_publisher(String, "chatter", 10), itertools.count()
    node.create_timer(0.005, lambda: publisher.publish(String(data=str(next(count)))))
    text = world.good("topic echo /chatter --once --filter 'int(m.data) % 7 == 3'")
    assert int(yaml.safe_load(text.removesuffix("---\n"))["data"]) % 7 == 3
    assert world.good("topic echo /chatter --filter False --timeout 0.2") == ""
    status, _, err = world.run("topic echo /chatter --once --filter 'm.data +'")
    assert status == 2 and "no Python expression" in err
    status, _, err = world.run("topic echo /chatter --once --filter m.nope")
    assert status == 1 and err.startswith("AttributeError") and "Traceback" not in err


def test_echo_hears_latched_messages_because_it_asks_for_what_is_offered(world: Any) -> None:
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    world.node("map").create_publisher(String, "map", latched).publish(String(data="once"))
    assert world.good("topic echo /map --once") == "data: once\n---\n"
    assert world.good("topic echo /map --timeout 0.2 --qos-durability volatile") == ""


def test_echo_raw_needs_no_definition_of_the_type(world: Any) -> None:
    node = world.node("talker")
    publisher = node.create_publisher(raw_type("strange_msgs/msg/Thing"), "thing", 10)
    node.create_timer(0.01, lambda: publisher._write(String(data="hi")))  # as bytes of another machine would come
    data = cdr.serialize(String(data="hi"))
    assert world.good("topic echo /thing --raw --once") == f"{data!r}\n---\n"
    assert "/thing [strange_msgs/msg/Thing]" in world.good("topic list -t")
    status, _, err = world.run("topic echo /thing --once")
    assert status == 1 and "strange_msgs/msg/Thing" in err


def test_echo_says_when_there_is_nothing_to_echo(world: Any) -> None:
    status, out, err = world.run("topic echo /absent")
    assert status == 1 and out == "WARNING: topic [/absent] does not appear to be published yet\n"
    assert err == "Could not determine the type for the passed topic\n"
    status, _, err = world.run("topic echo /absent std_msgs/msg/Strung")
    assert status == 1 and err == "The passed message type is invalid: unknown interface 'std_msgs/msg/Strung'\n"
    node = world.node("talker")
    node.create_publisher(String, "mixed", 10)
    node.create_publisher(Bool, "mixed", 10)
    status, _, err = world.run("topic echo /mixed")
    assert status == 1 and "more than one type: [std_msgs/msg/Bool, std_msgs/msg/String]" in err


def test_echo_with_info_shows_stamps_before_the_message(world: Any) -> None:
    world.talk(world.node("talker"), "chatter", String(data="x"))
    head, body, end = world.good("topic echo /chatter --once -i").split("---\n")
    info = yaml.safe_load(head)
    assert abs(info["received_timestamp"] - time.time_ns()) < 60e9 and body == "data: x\n" and not end


# ------------------------------------------------------------------ messages and text


def test_bytes_bools_and_bounded_arrays_read_as_ros2_writes_them() -> None:
    assert to_yaml(Byte(data=b"\x01"), Style()) == 'data: "\\x01"\n'
    assert as_dict(ByteMultiArray(data=[b"a", b"\xff"]), Style())["data"] == ["a", "\xff"]
    assert to_csv(Byte(data=b"\x01"), Style()) == "b'\\x01'"
    assert to_yaml(Bool(data=True), Style()) == "data: true\n"
    assert to_yaml(String(data="x" * 200), Style()) == f"data: {'x' * 128}...\n"
    assert to_yaml(String(data="x" * 200), Style(limit=None)) == f"data: {'x' * 200}\n"
    assert "covariance: <array type: double[36]>" in to_yaml(PoseWithCovariance(), Style(no_arr=True)).replace("'", "")


def test_a_field_that_is_no_message_prints_as_rclpy_holds_it() -> None:
    image = Image(data=b"\x01\x02")
    assert repr(select(image, parse_field("data"))) == "array('B', [1, 2])"
    assert select(image, parse_field("data[-1]")) == 2
    assert str(select(PoseWithCovariance(), parse_field("covariance"))).startswith("[0. 0. 0.")
    cloud = PointCloud2(fields=[PointField(name="x")])
    assert select(cloud, parse_field("fields[0].name")) == "x"
    with pytest.raises(VerbError, match=r"fields\[1\]': no such element"):
        select(cloud, parse_field("fields[1].name"))


numbers = st.floats(allow_nan=False, width=32)
# PyYAML prints a few control characters (U+0085) as they are and reads them back as blanks: so does ros2.
texts = st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp")), max_size=20)


@settings(max_examples=40, deadline=None)
@given(texts, st.lists(st.binary(min_size=1, max_size=1), max_size=4), st.lists(numbers, max_size=5))
def test_what_echo_prints_can_be_published_again(text: str, octets: list[bytes], floats: list[float]) -> None:
    scan = LaserScan(ranges=floats)
    scan.header.frame_id = text
    for message in (scan, UInt8MultiArray(data=b"".join(octets)), String(data=text)):
        again = type(message)()
        fill(again, yaml.safe_load(to_yaml(message, Style(limit=None))))
        assert again == message


@pytest.mark.parametrize(
    ("kind", "values", "reason"),
    [
        (Point, {"w": 1}, "'w': geometry_msgs/msg/Point has no such field, it has: x, y, z"),
        (Point, {"x": "far"}, "'x': 'far' is no float64"),
        (PoseStamped, {"pose": {"position": 3}}, "'pose.position': 3 is expected to be a dictionary but is a int"),
        (PoseStamped, {"header": {"stamp": {"sec": 1.5}}}, "'header.stamp.sec': 1.5 is no int32"),
        (PoseStamped, {"header": {"stamp": {"nanosec": -1}}}, "'header.stamp.nanosec'"),
        (PointCloud2, {"fields": [{}, {"offset": "x"}]}, r"'fields\[1\].offset': 'x' is no uint32"),
        (PointCloud2, {"data": [1, 300]}, "'data'"),
        (PointCloud2, {"data": 5}, "'data': 5 is expected to be a list of uint8"),
        (PoseWithCovariance, {"covariance": [1.0]}, "'covariance'.*36 elements"),
        (Bool, {"data": "maybe"}, "'data': 'maybe' is no bool"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(kind: Any, values: dict[str, Any], reason: str) -> None:
    with pytest.raises(VerbError, match=f"^Failed to populate field {reason}"):
        fill(kind(), values)


def test_values_take_the_fields_type_where_that_loses_nothing() -> None:
    point, text, octet = Point(), String(), Byte()
    fill(point, {"x": 1, "y": "1e-3", "z": None})
    fill(text, {"data": 5})
    fill(octet, {"data": 7})
    assert (point.x, point.y, point.z, text.data, octet.data) == (1.0, 0.001, 0.0, "5", b"\x07")


# ------------------------------------------------------------------ pub, hz, bw


def test_pub_waits_for_a_listener_and_sends_once(world: Any) -> None:
    heard = world.hear(world.node("listener"), "chatter", String)
    out = world.good("topic pub /chatter std_msgs/msg/String '{data: hello}' --once")
    assert out == "publisher: beginning loop\npublishing #1: std_msgs.msg.String(data='hello')\n\n"
    until(lambda: heard)
    assert [m.data for m in heard] == ["hello"]


def test_pub_repeats_with_the_current_time_in_auto_and_now(world: Any) -> None:
    heard = world.hear(world.node("listener"), "pose", PoseStamped)
    world.good("topic pub /pose geometry_msgs/PoseStamped '{header: auto, pose: {position: {x: 2}}}' -t 3 -r 50 -p 0")
    until(lambda: len(heard) == 3)
    # In process all of them are one object: what matters is that its stamp is that of the last.
    assert heard[0].pose.position.x == 2.0 and abs(heard[-1].header.stamp.sec - time.time()) < 60


def test_pub_gives_up_on_listeners_when_told_to(world: Any) -> None:
    status, out, err = world.run("topic pub /x std_msgs/msg/String -1 --max-wait-time-secs 0.2")
    assert status == 1 and out == "Waiting for at least 1 matching subscription(s)...\n"
    assert err == "Timed out waiting for subscribers: Expected 1 subscribers but only got 0 subscribers\n"


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        ("topic pub /x std_msgs/msg/String '[1]' -1", 2, "The passed value needs to be a dictionary in YAML format"),
        ("topic pub /x std_msgs/msg/String '{data: [' -1", 2, "The passed value is no valid YAML"),
        ("topic pub /x std_msgs/msg/String '{nope: 1}' -1", 2, "Failed to populate field 'nope'"),
        ("topic pub /x String -1", 1, "The passed message type is invalid"),
        ("topic pub '/x y' std_msgs/msg/String -1 -w 0", 1, "InvalidTopicNameException"),
        ("service call /x std_srvs/srv/Nothing", 1, "The passed service type is invalid"),
        ("service call /x std_msgs/msg/String", 1, "The passed service type is invalid"),
        ("bag info /no/such/bag", 2, "Bag path '/no/such/bag' does not exist!"),
        ("bag record", 2, "Need to specify at least one option"),
        ("param list --filter '['", 2, "no regular expression"),
    ],
)
def test_bad_input_is_told_on_stderr_without_a_traceback(world: Any, line: str, status: int, reason: str) -> None:
    got, out, err = world.run(line)
    assert (got, out) == (status, "") and reason in err.splitlines()[0] and "Traceback" not in err


def test_hz_reports_once_a_second_over_its_window() -> None:
    rate, reports = Rate(window=10), []
    for i in range(251):  # 100 Hz, every second interval 2 ms longer, the others shorter
        rate.add(1 + i * 10_000_000 + (i % 2) * 1_000_000)
        reports += filter(None, [rate.report()])
    assert len(reports) == 2
    assert reports[0] == "average rate: 100.000\n\tmin: 0.009s max: 0.011s std dev: 0.00100s window: 10"


def test_hz_begins_anew_when_simulated_time_does(capsys: pytest.CaptureFixture[str]) -> None:
    rate = Rate(window=10)
    for stamp in (1, 2, 1_500_000_000, 5, 10):
        rate.add(stamp)
    assert capsys.readouterr().out == "time has reset, resetting counters\n" and rate.report() == ""


def test_bw_counts_bytes_in_the_unit_that_fits() -> None:
    bandwidth = Bandwidth(window=2)
    assert bandwidth.report(1) == ""
    for stamp_s in (0, 1, 2):
        bandwidth.add(stamp_s * 10**9, 2_000_000)
    assert bandwidth.report(3 * 10**9) == (
        "2.00 MB/s from 2 messages\n\tMessage size mean: 2.00 MB min: 2.00 MB max: 2.00 MB"
    )


# ------------------------------------------------------------------ services and parameters


def test_services_are_listed_typed_and_called(world: Any) -> None:
    node = world.node("server")
    node.create_service(SetBool, "light", lambda request, _: SetBool.Response(success=request.data, message="lit"))
    assert "/light [std_srvs/srv/SetBool]\n" in world.good("service list -t")
    assert world.good("service type /light") == "std_srvs/srv/SetBool\n"
    assert world.good("service find std_srvs/srv/SetBool") == "/light\n"
    assert world.good("service info /light") == "Type: std_srvs/srv/SetBool\nClients count: 0\nServices count: 1\n"
    assert world.good("service call /light std_srvs/SetBool '{data: true}'") == (
        "requester: making request: std_srvs.srv.SetBool_Request(data=True)\n\n"
        "response:\nstd_srvs.srv.SetBool_Response(success=True, message='lit')\n\n"
    )
    assert world.run("service type /dark") == (1, "", "")


def test_parameters_are_read_set_and_dumped(world: Any) -> None:
    node = world.node("robot")
    node.declare_parameter("speed", 1.5)
    node.declare_parameter("arm.joints", [1, 2])
    listed = world.good("param list").splitlines()
    assert listed[0] == "/robot:" and {"  arm.joints", "  speed", "  use_sim_time"} <= set(listed)
    assert world.good("param list /robot --param-prefixes arm --param-type") == "  arm.joints (type: integer array)\n"
    assert world.good("param get robot speed") == "Double value is: 1.5\n"
    assert world.good("param get /robot arm.joints") == "Integer values are: [1, 2]\n"
    assert world.good("param set /robot speed 2.5") == "Set parameter successful\n"
    assert node.get_parameter("speed").value == 2.5
    status, _, err = world.run("param set /robot speed fast")
    assert status == 1 and err.startswith("Setting parameter failed: ")
    dumped = yaml.safe_load(world.good("param dump /robot"))["/robot"]["ros__parameters"]
    assert dumped["arm"] == {"joints": [1, 2]} and dumped["speed"] == 2.5 and dumped["use_sim_time"] is False
    assert world.good("param describe /robot speed") == "Parameter name: speed\n  Type: double\n  Constraints:\n"
    assert world.run("param get /robot absent") == (1, "", "Parameter not set\n")
    assert world.run("param get /nobody speed --timeout 0") == (1, "", "Node not found\n")


def test_a_dumped_file_is_a_parameter_file(world: Any, tmp_path: Any) -> None:
    node = world.node("robot")
    node.declare_parameter("arm.joints", [1, 2])
    file = tmp_path / "robot.yaml"
    file.write_text(world.good("param dump /robot"))
    again = world.node(
        "robot", cli_args=["--ros-args", "--params-file", str(file)],
        automatically_declare_parameters_from_overrides=True,
    )  # fmt: skip
    assert list(again.get_parameter("arm.joints").value) == [1, 2]


def test_the_qos_options_offer_what_rclpy_knows() -> None:
    assert set(qos_options.PROFILES) <= set(QoSPresetProfiles.short_keys())
    for choices, policy in (
        (qos_options.HISTORY, HistoryPolicy), (qos_options.RELIABILITY, ReliabilityPolicy),
        (qos_options.DURABILITY, DurabilityPolicy), (qos_options.LIVELINESS, LivelinessPolicy),
    ):  # fmt: skip
        assert set(choices) <= set(policy.short_keys())
