"""What a node offers to others by itself: parameters, logger levels, types, its place in the graph.

Only rclpy's public API is used, so that the tests hold for a genuine installation too.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rcl_interfaces.msg import LoggerLevel, ParameterDescriptor, SetParametersResult
from rcl_interfaces.srv import GetLoggerLevels, SetLoggerLevels
from rclpy.duration import Infinite
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.exceptions import (
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidServiceNameException,
    InvalidTopicNameException,
)
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.parameter_event_handler import ParameterEventHandler
from rclpy.qos import (
    HistoryPolicy,
    LivelinessPolicy,
    QoSCompatibility,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_profile_sensor_data,
    qos_profile_system_default,
)
from rclpy.qos_overriding_options import InvalidQosOverridesError, QoSOverridingOptions
from rclpy.topic_endpoint_info import TopicEndpointTypeEnum
from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden
from rclpy.type_support import check_is_valid_msg_type, check_is_valid_srv_type
from rclpy.validate_full_topic_name import validate_full_topic_name
from rclpy.validate_namespace import validate_namespace
from rclpy.validate_node_name import validate_node_name
from rclpy.validate_topic_name import validate_topic_name
from std_msgs.msg import String
from std_srvs.srv import Trigger
from type_description_interfaces.msg import FieldType
from type_description_interfaces.srv import GetTypeDescription

pytest_plugins = ["tests.pocketros.contract_kit"]


class Kit:
    def __init__(self) -> None:
        self.executor = SingleThreadedExecutor()
        self.nodes: list[Node] = []

    def node(self, name: str, **options: Any) -> Node:
        self.nodes.append(Node(name, **options))
        self.executor.add_node(self.nodes[-1])
        return self.nodes[-1]

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "condition not reached"
            self.executor.spin_once(timeout_sec=0.02)

    def result(self, future: Any) -> Any:
        self.until(future.done)
        return future.result()

    def call(self, node: Node, kind: Any, name: str, request: Any) -> Any:
        client = node.create_client(kind, name)
        assert client.wait_for_service(timeout_sec=5)
        return self.result(client.call_async(request))


@pytest.fixture
def kit(transport: str) -> Iterator[Kit]:
    rclpy.init()
    made = Kit()
    yield made
    made.executor.shutdown()
    for node in made.nodes:
        node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def remote(kit: Kit) -> Any:
    """Client of the parameters of a node that has `speed` 1.5, `name` "a" and a free `any`."""
    far = kit.node("far")
    far.declare_parameters("", [("speed", 1.5), ("name", "a"), ("arm.length", 2)])
    far.declare_parameter("any", 1, ParameterDescriptor(dynamic_typing=True))
    client = AsyncParameterClient(kit.node("near"), "/far")
    assert client.wait_for_services(timeout_sec=5)
    return client


# ---------------------------------------------------------------------------------- parameters


def test_a_client_reads_values_types_and_descriptions(kit: Kit, remote: Any) -> None:
    values = kit.result(remote.get_parameters(["speed", "name"])).values
    assert (values[0].double_value, values[1].string_value) == (1.5, "a")
    kinds = kit.result(remote.get_parameter_types(["speed", "arm.length"])).types
    assert list(kinds) == [Parameter.Type.DOUBLE.value, Parameter.Type.INTEGER.value]
    described = kit.result(remote.describe_parameters(["speed"])).descriptors
    assert described[0].name == "speed"
    assert list(kit.result(remote.get_parameters(["unknown"])).values) == []


def test_a_client_lists_by_prefix_and_depth(kit: Kit, remote: Any) -> None:
    listed = kit.result(remote.list_parameters(["arm"])).result
    assert list(listed.names) == ["arm.length"] and list(listed.prefixes) == ["arm"]
    assert "arm.length" not in kit.result(remote.list_parameters(depth=1)).result.names


def test_a_client_sets_one_by_one_or_all_or_none(kit: Kit, remote: Any) -> None:
    good, bad = Parameter("speed", value=2.5), Parameter("name", value=3)
    both = kit.result(remote.set_parameters([good, bad.to_parameter_msg()])).results
    assert [r.successful for r in both] == [True, False]
    faster = Parameter("speed", value=3.5)
    assert not kit.result(remote.set_parameters_atomically([faster, bad])).result.successful
    assert kit.result(remote.get_parameters(["speed"])).values[0].double_value == 2.5


def test_a_client_deletes_dynamically_typed_parameters_only(kit: Kit, remote: Any) -> None:
    results = kit.result(remote.delete_parameters(["any", "speed"])).results
    assert [r.successful for r in results] == [True, False]


def test_a_client_loads_files_and_calls_back(kit: Kit, remote: Any, tmp_path: Path) -> None:
    path = tmp_path / "far.yaml"
    path.write_text("/far:\n  ros__parameters:\n    speed: 4.5\n")
    heard: list[Any] = []
    kit.result(remote.load_parameter_file(str(path), callback=heard.append))
    kit.until(lambda: heard)
    assert kit.result(remote.get_parameters(["speed"])).values[0].double_value == 4.5


def test_a_client_without_a_node_is_not_ready(kit: Kit) -> None:
    client = AsyncParameterClient(kit.node("near"), "/nobody")
    assert not client.services_are_ready() and not client.wait_for_services(timeout_sec=0.05)


def test_changes_of_parameters_are_told_newest_callback_first(kit: Kit, remote: Any) -> None:
    handler = ParameterEventHandler(kit.node("listener", namespace="/a"))
    heard: list[Any] = []
    handler.add_parameter_callback("speed", "/far", lambda p: heard.append(("old", p.value.double_value)))
    new = handler.add_parameter_callback("speed", "/far", lambda p: heard.append(("new", p.value.double_value)))
    handler.add_parameter_callback("speed", "far", lambda p: heard.append(("of /a/far", 0)))
    everything = handler.add_parameter_event_callback(lambda event: heard.append(event.node))
    kit.until(lambda: kit.nodes[0].count_subscribers("/parameter_events"))
    kit.result(remote.set_parameters([Parameter("speed", value=2.5)]))
    kit.until(lambda: "/far" in heard)
    assert heard == [("new", 2.5), ("old", 2.5), "/far"]
    handler.remove_parameter_callback(new)
    handler.remove_parameter_event_callback(everything)
    with pytest.raises(RuntimeError):
        handler.remove_parameter_callback(new)
    kit.result(remote.set_parameters([Parameter("speed", value=3.5)]))
    kit.until(lambda: len(heard) == 4)
    assert heard[-1] == ("old", 3.5)
    handler.destroy()


# ---------------------------------------------------------------------------------- QoS


def test_parameters_override_the_policies_they_may(kit: Kit) -> None:
    node = kit.node(
        "n",
        parameter_overrides=[
            Parameter("qos_overrides./t.publisher.depth", value=7),
            Parameter("qos_overrides./t.publisher.reliability", value="best_effort"),
            Parameter("qos_overrides./t.subscription_x.depth", value=3),
        ],
    )
    options = QoSOverridingOptions.with_default_policies()
    asked = QoSProfile(depth=1)
    node.create_publisher(String, "t", asked, qos_overriding_options=options)
    kit.until(lambda: node.get_publishers_info_by_topic("t"))
    assert node.get_publishers_info_by_topic("t")[0].qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert node.get_parameter("qos_overrides./t.publisher.depth").value == 7
    assert node.get_parameter("qos_overrides./t.publisher.history").value == "keep_last"
    other = QoSOverridingOptions([QoSPolicyKind.DEPTH, QoSPolicyKind.LIFESPAN], entity_id="x")
    node.create_subscription(String, "t", lambda m: None, 1, qos_overriding_options=other)
    assert node.get_parameter("qos_overrides./t.subscription_x.depth").value == 3
    assert not node.has_parameter("qos_overrides./t.subscription_x.lifespan")
    refused = Parameter("qos_overrides./t.publisher.depth", value=9)
    assert not node.set_parameters([refused])[0].successful, "read-only"


def test_a_callback_may_refuse_overridden_policies(kit: Kit) -> None:
    def refuse(qos: QoSProfile) -> Any:
        return SetParametersResult(successful=False, reason=f"depth {qos.depth} is not enough")

    options = QoSOverridingOptions.with_default_policies(callback=refuse)
    with pytest.raises(InvalidQosOverridesError, match="depth 1 is not enough"):
        kit.node("n").create_publisher(String, "t", 1, qos_overriding_options=options)


def test_compatibility_of_profiles_can_be_asked() -> None:
    reliable = QoSProfile(depth=1, liveliness=LivelinessPolicy.AUTOMATIC)
    assert qos_check_compatible(reliable, reliable) == (QoSCompatibility.OK, "")
    verdict, reason = qos_check_compatible(qos_profile_sensor_data, reliable)
    assert verdict == QoSCompatibility.ERROR and reason
    assert qos_check_compatible(qos_profile_system_default, reliable)[0] == QoSCompatibility.WARNING


def test_events_come_through_the_executor(kit: Kit) -> None:
    node = kit.node("n")
    heard: list[Any] = []
    policies: list[QoSPolicyKind] = []
    events = PublisherEventCallbacks(
        matched=lambda info: heard.append((info.current_count, info.current_count_change)),
        incompatible_qos=lambda info: policies.append(QoSPolicyKind(info.last_policy_kind)),
    )
    node.create_publisher(String, "t", qos_profile_sensor_data, event_callbacks=events)
    good = node.create_subscription(String, "t", lambda m: None, qos_profile_sensor_data)
    time.sleep(0.05)
    assert heard == [], "nobody has been spinning"
    kit.until(lambda: heard == [(1, 1)])
    node.destroy_subscription(good)
    kit.until(lambda: heard == [(1, 1), (0, -1)])
    quiet = SubscriptionEventCallbacks(use_default_callbacks=False)
    node.create_subscription(String, "t", lambda m: None, 10, event_callbacks=quiet)
    kit.until(lambda: policies == [QoSPolicyKind.RELIABILITY])


# ---------------------------------------------------------------------------------- other services


def test_logger_levels_can_be_set_from_outside(kit: Kit) -> None:
    node = kit.node("n", enable_logger_service=True)
    wanted = [LoggerLevel(name="some.logger", level=10), LoggerLevel(name="some.logger", level=11)]
    answer = kit.call(node, SetLoggerLevels, "/n/set_logger_levels", SetLoggerLevels.Request(levels=wanted))
    assert [r.successful for r in answer.results] == [True, False]
    request = GetLoggerLevels.Request(names=["some.logger", "other.logger"])
    levels = kit.call(node, GetLoggerLevels, "/n/get_logger_levels", request).levels
    assert [level.level for level in levels] == [10, 0]


def test_a_node_describes_the_types_it_uses(kit: Kit) -> None:
    node = kit.node("n")
    node.create_publisher(String, "t", 1)
    kit.until(lambda: node.get_publishers_info_by_topic("t"))
    known = str(node.get_publishers_info_by_topic("t")[0].topic_type_hash)
    request = GetTypeDescription.Request(type_name="std_msgs/msg/String", type_hash=known)
    answer = kit.call(node, GetTypeDescription, "/n/get_type_description", request)
    assert answer.successful and len(answer.type_sources) >= 1
    field = answer.type_description.type_description.fields[0]
    assert (field.name, field.type.type_id) == ("data", FieldType.FIELD_TYPE_STRING)
    unknown = GetTypeDescription.Request(type_name="none_msgs/msg/None", type_hash=f"RIHS01_{'0' * 64}")
    assert not kit.call(node, GetTypeDescription, "/n/get_type_description", unknown).successful


def test_the_type_description_service_can_be_switched_off(kit: Kit) -> None:
    off = Parameter("start_type_description_service", value=False)
    node = kit.node("quiet", parameter_overrides=[off])

    def services() -> dict[str, list[str]]:
        return dict(node.get_service_names_and_types_by_node("quiet", "/"))

    kit.until(lambda: "/quiet/get_parameters" in services())
    assert "/quiet/get_type_description" not in services()


def test_the_graph_tells_all_about_endpoints(kit: Kit) -> None:
    node = kit.node("n", namespace="/a")
    node.create_publisher(String, "t", qos_profile_sensor_data)
    kit.until(lambda: node.get_publishers_info_by_topic("t"))
    info = node.get_publishers_info_by_topic("t")[0]
    assert (info.node_name, info.node_namespace, info.topic_type) == ("n", "/a", "std_msgs/msg/String")
    assert info.endpoint_type == TopicEndpointTypeEnum.PUBLISHER
    assert str(info.topic_type_hash).startswith("RIHS01_")
    assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert (info.qos_profile.deadline, info.qos_profile.liveliness) == (Infinite, LivelinessPolicy.AUTOMATIC)
    assert "Topic type: std_msgs/msg/String" in str(info)
    with pytest.raises(ValueError, match="is invalid"):
        node.count_publishers("42")
    with pytest.raises(RuntimeError):
        node.get_publisher_names_and_types_by_node("nobody", "/")


def test_a_node_that_cannot_be_made_leaves_nothing_in_the_graph(kit: Kit) -> None:
    node = kit.node("n")
    with pytest.raises(Exception, match="use_sim_time"):
        kit.node("broken", parameter_overrides=[Parameter("use_sim_time", value="yes")])
    kit.until(lambda: "broken" not in node.get_node_names())
    assert "/broken/get_parameters" not in dict(node.get_service_names_and_types())


# ---------------------------------------------------------------------------------- plain functions


@pytest.mark.parametrize(
    ("check", "good", "bad", "error"),
    [
        (validate_node_name, "a_1", "a-1", InvalidNodeNameException),
        (validate_namespace, "/a/b", "a", InvalidNamespaceException),
        (validate_topic_name, "~/a/{node}", "a/1", InvalidTopicNameException),
        (validate_full_topic_name, "/a/b", "/a//b", InvalidTopicNameException),
        (validate_full_topic_name, "/a/b", "~/a", InvalidTopicNameException),
        (validate_full_topic_name, "/a", "/a/{node}", InvalidTopicNameException),
    ],
)
def test_names_are_checked(check: Any, good: str, bad: str, error: type[Exception]) -> None:
    assert check(good) is True
    with pytest.raises(error):
        check(bad)


def test_names_of_services_are_checked_as_such() -> None:
    with pytest.raises(InvalidServiceNameException):
        validate_topic_name("a/1", is_service=True)


def test_a_leading_underscore_hides() -> None:
    assert topic_or_service_is_hidden("/a/_action/status")
    assert not topic_or_service_is_hidden("/a/b_c")


def test_kinds_of_interfaces_are_told_apart() -> None:
    check_is_valid_msg_type(String)
    check_is_valid_srv_type(Trigger)
    with pytest.raises(RuntimeError):
        check_is_valid_msg_type(Trigger)
    with pytest.raises(RuntimeError):
        check_is_valid_srv_type(String)
    with pytest.raises(AttributeError):
        check_is_valid_msg_type(object())


def test_a_depth_of_zero_is_warned_about() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=0)
    assert [w.category for w in caught] == [UserWarning]
