"""rclpy's behaviour as node files rely on it.

The file uses nothing but rclpy's public API, so that the same tests run on pocketros, in process and
over DDS, and on a genuine ROS 2 installation: `POCKETROS=never pytest tests/pocketros/test_contract.py`
takes the latter.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from builtin_interfaces.msg import Time as TimeMsg
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.callback_groups import (
    MutuallyExclusiveCallbackGroup,
    ReentrantCallbackGroup,
)
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    InvalidTopicNameException,
    ParameterAlreadyDeclaredException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from rclpy.executors import (
    ExternalShutdownException,
    MultiThreadedExecutor,
    SingleThreadedExecutor,
)
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.time import Time
from rosgraph_msgs.msg import Clock as ClockMsg
from std_msgs.msg import Int32, String
from std_srvs.srv import SetBool, Trigger

pytest_plugins = ["tests.pocketros.contract_kit"]

LATCHED = QoSProfile(depth=2, durability=DurabilityPolicy.TRANSIENT_LOCAL)
Make = Callable[..., Node]


class Ros:
    """A context, an executor and nodes, all cleaned up by the fixture."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.executor: Any = SingleThreadedExecutor()

    def node(self, name: str = "n", **options: Any) -> Node:
        node = Node(name, **options)
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def until(self, condition: Callable[[], Any], timeout_s: float = 5.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "condition not reached"
            self.executor.spin_once(timeout_sec=0.02)

    def settle(self) -> None:
        """Run what is ready, also over a transport that takes a while."""
        for _ in range(10):
            self.executor.spin_once(timeout_sec=0.01)


@pytest.fixture
def ros(transport: str) -> Iterator[Ros]:
    rclpy.init()
    kit = Ros()
    yield kit
    kit.executor.shutdown()
    for node in kit.nodes:
        node.destroy_node()
    rclpy.try_shutdown()


def tick(publisher: Any, seconds: float) -> None:
    ns = round(seconds * 1e9)
    publisher.publish(ClockMsg(clock=TimeMsg(sec=ns // 10**9, nanosec=ns % 10**9)))


# ---------------------------------------------------------------------------------- topics


def test_messages_arrive_in_order(ros: Ros) -> None:
    got: list[int] = []
    node = ros.node()
    node.create_subscription(Int32, "t", lambda m: got.append(m.data), 10)
    publisher = node.create_publisher(Int32, "t", 10)
    ros.until(lambda: publisher.get_subscription_count() == 1)
    for value in range(5):
        publisher.publish(Int32(data=value))
    ros.until(lambda: len(got) == 5)
    assert got == [0, 1, 2, 3, 4]


def test_keep_last_drops_the_oldest(ros: Ros) -> None:
    got: list[int] = []
    node = ros.node()
    node.create_subscription(Int32, "t", lambda m: got.append(m.data), 3)
    publisher = node.create_publisher(Int32, "t", 100)
    ros.until(lambda: publisher.get_subscription_count() == 1)
    for value in range(8):
        publisher.publish(Int32(data=value))
    time.sleep(0.05)
    ros.settle()
    assert got == [5, 6, 7]


def test_best_effort_publisher_does_not_match_a_reliable_subscription(ros: Ros) -> None:
    got: list[str] = []
    node = ros.node()
    node.create_subscription(String, "t", lambda m: got.append(m.data), 10)
    best_effort = node.create_publisher(String, "t", qos_profile_sensor_data)
    reliable = node.create_publisher(String, "t", QoSProfile(depth=5))
    ros.until(lambda: reliable.get_subscription_count() == 1)
    best_effort.publish(String(data="lost"))
    reliable.publish(String(data="heard"))
    ros.until(lambda: got)
    ros.settle()
    assert got == ["heard"] and best_effort.get_subscription_count() == 0


def test_reliable_publisher_matches_a_best_effort_subscription(ros: Ros) -> None:
    node = ros.node()
    node.create_subscription(String, "t", lambda m: None, qos_profile_sensor_data)
    publisher = node.create_publisher(String, "t", 10)
    ros.until(lambda: publisher.get_subscription_count() == 1)


def test_late_joiner_gets_the_last_messages_of_a_transient_local_publisher(ros: Ros) -> None:
    late: list[str] = []
    volatile: list[str] = []
    node = ros.node()
    publisher = node.create_publisher(String, "t", LATCHED)
    for word in "abc":
        publisher.publish(String(data=word))
    node.create_subscription(String, "t", lambda m: late.append(m.data), LATCHED)
    node.create_subscription(String, "t", lambda m: volatile.append(m.data), 10)
    ros.until(lambda: len(late) == 2)
    ros.settle()
    assert late == ["b", "c"] and volatile == []


def test_publish_refuses_another_type(ros: Ros) -> None:
    publisher = ros.node().create_publisher(String, "t", 10)
    with pytest.raises(TypeError):
        publisher.publish(Int32())
    with pytest.raises(TypeError):
        publisher.publish("text")


def test_serialized_messages_can_be_published_and_received(ros: Ros) -> None:
    raw: list[bytes] = []
    plain: list[str] = []
    node = ros.node()
    node.create_subscription(String, "t", raw.append, 10, raw=True)
    node.create_subscription(String, "t", lambda m: plain.append(m.data), 10)
    publisher = node.create_publisher(String, "t", 10)
    ros.until(lambda: publisher.get_subscription_count() == 2)
    publisher.publish(serialize_message(String(data="x")))
    ros.until(lambda: raw and plain)
    assert deserialize_message(raw[0], String) == String(data="x") and plain == ["x"]


def test_qos_is_mandatory(ros: Ros) -> None:
    node = ros.node()
    with pytest.raises(TypeError):
        node.create_publisher(String, "t")
    with pytest.raises(TypeError):
        node.create_subscription(String, "t", lambda m: None, "10")
    with pytest.raises(ValueError):
        node.create_publisher(String, "t", -1)


def test_sensor_data_profile_is_best_effort_depth_5() -> None:
    assert qos_profile_sensor_data.reliability == ReliabilityPolicy.BEST_EFFORT
    assert qos_profile_sensor_data.depth == 5


def test_destroyed_subscription_hears_nothing(ros: Ros) -> None:
    got: list[str] = []
    node = ros.node()
    subscription = node.create_subscription(String, "t", got.append, 10)
    publisher = node.create_publisher(String, "t", 10)
    ros.until(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(String(data="x"))
    assert node.destroy_subscription(subscription)
    ros.settle()
    assert got == [] and publisher.get_subscription_count() == 0


# ----------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "full"),
    [("t", "/ns/t"), ("/t", "/t"), ("~/t", "/ns/n/t"), ("{node}/t", "/ns/n/t"), ("~", "/ns/n")],
)
def test_names_are_expanded(ros: Ros, name: str, full: str) -> None:
    assert ros.node(namespace="/ns").create_publisher(String, name, 1).topic_name == full


@pytest.mark.parametrize("name", ["", "a b", "a//b", "1a", "a/", "{what}"])
def test_bad_topic_names_are_refused(ros: Ros, name: str) -> None:
    with pytest.raises((InvalidTopicNameException, ValueError)):
        ros.node().create_publisher(String, name, 1)


def test_node_names_and_namespace(ros: Ros) -> None:
    node = ros.node("robot", namespace="fleet")
    assert node.get_name() == "robot"
    assert node.get_namespace() == "/fleet"
    assert node.get_fully_qualified_name() == "/fleet/robot"


def test_command_line_remaps_renames_and_sets_parameters() -> None:
    context = rclpy.Context()
    args = ["--ros-args", "-r", "in:=/out", "-r", "__ns:=/b", "-r", "__node:=me", "-p", "k:=3"]
    rclpy.init(args=args, context=context)
    node = Node("n", context=context)
    try:
        assert node.get_fully_qualified_name() == "/b/me"
        assert node.create_publisher(String, "in", 1).topic_name == "/out"
        assert node.declare_parameter("k", 1).value == 3
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_parameter_files_are_read_with_wildcards(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "/**:\n  ros__parameters: {a: 1, deep: {b: 2.5}}\n"
        "/ns/n:\n  ros__parameters: {c: [u, v]}\n"
        "other:\n  ros__parameters: {a: 9}\n"
    )
    context = rclpy.Context()
    rclpy.init(args=["--ros-args", "--params-file", str(path)], context=context)
    node = Node("n", context=context, namespace="/ns")
    try:
        assert node.declare_parameter("a", 0).value == 1
        assert node.declare_parameter("deep.b", 0.0).value == 2.5
        assert list(node.declare_parameter("c", [""]).value) == ["u", "v"]
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_the_graph_shows_nodes_topics_and_counts(ros: Ros) -> None:
    node = ros.node("a", namespace="/g")
    node.create_publisher(String, "t", 1)
    ros.until(lambda: node.count_publishers("t") == 1)
    node.create_subscription(String, "t", lambda m: None, 1)
    ros.until(lambda: node.count_subscribers("/g/t") == 1)
    assert ("/g/t", ["std_msgs/msg/String"]) in node.get_topic_names_and_types()
    assert "a" in node.get_node_names()
    assert ("a", "/g") in node.get_node_names_and_namespaces()


# ------------------------------------------------------------------------------ parameters


def test_parameters_are_strictly_typed(ros: Ros) -> None:
    node = ros.node(parameter_overrides=[Parameter("speed", value=1)])
    with pytest.raises(InvalidParameterTypeException):
        node.declare_parameter("speed", 1.0)
    node.declare_parameter("gain", 1.0)
    result = node.set_parameters([Parameter("gain", value=2)])[0]
    assert not result.successful and node.get_parameter("gain").value == 1.0
    assert node.set_parameters([Parameter("gain", value=2.0)])[0].successful
    assert node.get_parameter("gain").value == 2.0


def test_overrides_win_over_defaults(ros: Ros) -> None:
    node = ros.node(parameter_overrides=[Parameter("k", value="given")])
    assert node.declare_parameter("k", "default").value == "given"
    assert node.declare_parameter("l", "default").value == "default"


def test_undeclared_parameters_are_refused(ros: Ros) -> None:
    node = ros.node()
    with pytest.raises(ParameterNotDeclaredException):
        node.get_parameter("nope")
    with pytest.raises(ParameterNotDeclaredException):
        node.set_parameters([Parameter("nope", value=1)])
    node.declare_parameter("twice", 1)
    with pytest.raises(ParameterAlreadyDeclaredException):
        node.declare_parameter("twice", 1)


def test_undeclared_parameters_are_allowed_where_asked_for(ros: Ros) -> None:
    node = ros.node(allow_undeclared_parameters=True)
    assert node.get_parameter("nope").value is None
    assert node.set_parameters([Parameter("new", value=1)])[0].successful
    assert node.get_parameter("new").value == 1


def test_a_parameter_declared_by_type_must_be_set_before_use(ros: Ros) -> None:
    node = ros.node()
    node.declare_parameter("k", Parameter.Type.INTEGER)
    with pytest.raises(ParameterUninitializedException):
        node.get_parameter("k")
    assert node.set_parameters([Parameter("k", value=4)])[0].successful
    assert node.get_parameter("k").value == 4


def test_ranges_are_enforced(ros: Ros) -> None:
    node = ros.node()
    whole = ParameterDescriptor(integer_range=[IntegerRange(from_value=0, to_value=10, step=5)])
    real = ParameterDescriptor(
        floating_point_range=[FloatingPointRange(from_value=0.0, to_value=1.0, step=0.0)]
    )
    node.declare_parameter("i", 5, whole)
    node.declare_parameter("f", 0.5, real)
    for name, value, fine in (("i", 10, True), ("i", 3, False), ("i", 11, False), ("f", 1.1, False)):
        assert node.set_parameters([Parameter(name, value=value)])[0].successful is fine
    with pytest.raises(InvalidParameterValueException):
        node.declare_parameter("j", 99, whole)


def test_read_only_parameters_keep_their_value(ros: Ros) -> None:
    node = ros.node()
    node.declare_parameter("k", 1, ParameterDescriptor(read_only=True))
    assert not node.set_parameters([Parameter("k", value=2)])[0].successful
    assert node.get_parameter("k").value == 1


def test_a_callback_may_refuse_new_values(ros: Ros) -> None:
    node = ros.node()
    node.declare_parameter("k", 1)

    def check(parameters: list[Parameter]) -> SetParametersResult:
        good = all(p.value >= 0 for p in parameters)
        return SetParametersResult(successful=good, reason="" if good else "negative")

    node.add_on_set_parameters_callback(check)
    result = node.set_parameters([Parameter("k", value=-1)])[0]
    assert not result.successful and result.reason == "negative"
    assert node.set_parameters([Parameter("k", value=3)])[0].successful
    with pytest.raises(InvalidParameterValueException):
        node.declare_parameter("m", -5)


def test_atomic_sets_are_all_or_none(ros: Ros) -> None:
    node = ros.node()
    node.declare_parameter("a", 1)
    node.declare_parameter("b", 1)
    values = [Parameter("a", value=2), Parameter("b", value="text")]
    assert not node.set_parameters_atomically(values).successful
    assert node.get_parameter("a").value == 1


def test_use_sim_time_is_declared(ros: Ros) -> None:
    assert ros.node().get_parameter("use_sim_time").value is False


def test_namespaced_declaration_and_prefix_reading(ros: Ros) -> None:
    node = ros.node()
    node.declare_parameters("pid", [("p", 1.0), ("i", 2.0)])
    assert {k: v.value for k, v in node.get_parameters_by_prefix("pid").items()} == {
        "p": 1.0, "i": 2.0,
    }  # fmt: skip


# ------------------------------------------------------------------------------------ time


def test_clock_types_do_not_mix(ros: Ros) -> None:
    ros_now, system_now = ros.node().get_clock().now(), Time(nanoseconds=5)
    assert ros_now.clock_type == ClockType.ROS_TIME
    assert system_now.clock_type == ClockType.SYSTEM_TIME
    for operation in (
        lambda: ros_now - system_now, lambda: ros_now == system_now, lambda: ros_now < system_now
    ):  # fmt: skip
        with pytest.raises(TypeError):
            operation()


def test_time_arithmetic_and_messages() -> None:
    time_point = Time(seconds=2, nanoseconds=5)
    assert (time_point + Duration(seconds=1)).nanoseconds == 3_000_000_005
    assert (time_point - Duration(nanoseconds=5)).nanoseconds == 2_000_000_000
    assert (time_point - Time(seconds=1)) == Duration(seconds=1, nanoseconds=5)
    assert time_point.seconds_nanoseconds() == (2, 5)
    assert Time.from_msg(time_point.to_msg(), clock_type=ClockType.SYSTEM_TIME) == time_point
    assert Time.from_msg(TimeMsg(sec=1)).clock_type == ClockType.ROS_TIME
    assert Duration.from_msg(Duration(seconds=-0.5).to_msg()) == Duration(seconds=-0.5)
    with pytest.raises(TypeError):
        time_point + time_point  # type: ignore[operator]
    with pytest.raises(ValueError):
        time_point - Duration(seconds=3)
    with pytest.raises(ValueError):
        Time(seconds=-1)
    with pytest.raises(OverflowError):
        Duration(seconds=1e10)


def test_steady_and_system_clocks_run() -> None:
    for kind in (ClockType.STEADY_TIME, ClockType.SYSTEM_TIME):
        clock = Clock(clock_type=kind)
        before = clock.now()
        assert clock.now() >= before and before.clock_type == kind


def sim_node(ros: Ros) -> tuple[Node, Any]:
    node = ros.node(parameter_overrides=[Parameter("use_sim_time", value=True)])
    publisher = node.create_publisher(ClockMsg, "/clock", 10)
    ros.until(lambda: publisher.get_subscription_count() >= 1)
    return node, publisher


def test_simulated_time_is_zero_before_the_first_clock_message(ros: Ros) -> None:
    node, publisher = sim_node(ros)
    assert node.get_clock().now().nanoseconds == 0
    tick(publisher, 12.5)
    ros.until(lambda: node.get_clock().now().nanoseconds == 12_500_000_000)


def test_simulated_timers_fire_after_one_period_and_once_after_a_stall(ros: Ros) -> None:
    node, publisher = sim_node(ros)
    tick(publisher, 10.0)
    ros.until(lambda: node.get_clock().now().nanoseconds == 10 * 10**9)
    fired: list[float] = []
    node.create_timer(1.0, lambda: fired.append(node.get_clock().now().nanoseconds / 1e9))

    def at(seconds: float, expected: list[float]) -> None:
        tick(publisher, seconds)
        ros.until(lambda: node.get_clock().now().nanoseconds == round(seconds * 1e9))
        ros.settle()
        assert fired == expected

    at(10.9, [])
    at(11.0, [11.0])
    at(11.9, [11.0])
    at(17.5, [11.0, 17.5])  # due at 12 and five times since: one catch-up
    at(17.9, [11.0, 17.5])
    at(18.0, [11.0, 17.5, 18.0])  # in phase again


def test_use_sim_time_can_be_switched_off(ros: Ros) -> None:
    node, publisher = sim_node(ros)
    tick(publisher, 1.0)
    ros.until(lambda: node.get_clock().now().nanoseconds == 10**9)
    node.set_parameters([Parameter("use_sim_time", value=False)])
    assert node.get_clock().now().nanoseconds > 10**18


def test_wall_timers_fire_cancel_and_reset(ros: Ros) -> None:
    fired: list[int] = []
    timer = ros.node().create_timer(0.01, lambda: fired.append(1))
    ros.until(lambda: len(fired) >= 2)
    timer.cancel()
    assert timer.is_canceled()
    count = len(fired)
    time.sleep(0.03)
    ros.settle()
    assert len(fired) == count
    timer.reset()
    ros.until(lambda: len(fired) > count)


# ------------------------------------------------------------------------------- executors


def test_spin_once_runs_one_callback(ros: Ros) -> None:
    got: list[int] = []
    node = ros.node()
    node.create_subscription(Int32, "t", lambda m: got.append(m.data), 10)
    publisher = node.create_publisher(Int32, "t", 10)
    ros.until(lambda: publisher.get_subscription_count() == 1)
    ros.settle()
    for value in range(3):
        publisher.publish(Int32(data=value))
    time.sleep(0.05)
    for count in (1, 2, 3):
        ros.executor.spin_once(timeout_sec=1.0)
        assert len(got) == count


def test_ready_callbacks_run_as_timer_subscription_guard_client_service(ros: Ros) -> None:
    order: list[str] = []
    node = ros.node(start_parameter_services=False)
    service = node.create_service(
        Trigger, "s", lambda request, response: order.append("service") or response
    )
    assert service.service_name == "/s"
    client = node.create_client(Trigger, "s")
    guard = node.create_guard_condition(lambda: order.append("guard"))
    node.create_subscription(Int32, "t", lambda m: order.append("subscription"), 10)
    publisher = node.create_publisher(Int32, "t", 10)
    ros.until(lambda: publisher.get_subscription_count() == 1 and client.service_is_ready())
    ros.settle()
    timer = node.create_timer(0.02, lambda: (order.append("timer"), timer.cancel()))
    client.call_async(Trigger.Request())
    publisher.publish(Int32())
    guard.trigger()
    time.sleep(0.1)
    ros.until(lambda: "service" in order)
    assert order == ["timer", "subscription", "guard", "service"]


def test_spin_until_future_complete_returns_the_reply(ros: Ros) -> None:
    def answer(request: Any, response: Any) -> Any:
        response.success, response.message = not request.data, "done"
        return response

    ros.node("server").create_service(SetBool, "s", answer)
    client = ros.node("client").create_client(SetBool, "s")
    ros.until(client.service_is_ready)
    future = client.call_async(SetBool.Request(data=False))
    ros.executor.spin_until_future_complete(future, timeout_sec=5.0)
    assert future.done() and future.result() == SetBool.Response(success=True, message="done")


def test_spin_until_future_complete_gives_up_in_time(ros: Ros) -> None:
    node = ros.node()
    client = node.create_client(Trigger, "nobody")
    assert not client.wait_for_service(timeout_sec=0.01)
    future = client.call_async(Trigger.Request())
    ros.executor.spin_until_future_complete(future, timeout_sec=0.05)
    assert not future.done()


def test_async_callbacks_may_await_services(ros: Ros) -> None:
    node = ros.node()
    group = ReentrantCallbackGroup()
    node.create_service(
        Trigger, "inner", lambda q, r: Trigger.Response(success=True), callback_group=group
    )
    inner = node.create_client(Trigger, "inner", callback_group=group)

    async def outer(request: Any, response: Any) -> Any:
        reply = await inner.call_async(Trigger.Request())
        response.success, response.message = reply.success, "through"
        return response

    node.create_service(Trigger, "outer", outer, callback_group=group)
    client = node.create_client(Trigger, "outer", callback_group=group)
    ros.until(lambda: client.service_is_ready() and inner.service_is_ready())
    future = client.call_async(Trigger.Request())
    ros.executor.spin_until_future_complete(future, timeout_sec=5.0)
    assert future.result().message == "through" and future.result().success


def test_synchronous_call_works_from_another_thread(ros: Ros) -> None:
    node = ros.node()
    node.create_service(Trigger, "s", lambda q, r: Trigger.Response(success=True))
    client = node.create_client(Trigger, "s")
    ros.until(client.service_is_ready)
    replies: list[Any] = []
    caller = threading.Thread(target=lambda: replies.append(client.call(Trigger.Request())))
    caller.start()
    ros.until(lambda: replies)
    caller.join(5.0)
    assert replies[0].success


def test_exceptions_in_callbacks_come_out_of_spin(ros: Ros) -> None:
    guard = ros.node().create_guard_condition(lambda: 1 / 0)
    guard.trigger()
    with pytest.raises(ZeroDivisionError):
        ros.until(lambda: False, timeout_s=1.0)


def test_create_task_runs_in_the_executor(ros: Ros) -> None:
    task = ros.executor.create_task(lambda value: value + 1, 1)
    ros.executor.spin_until_future_complete(task, timeout_sec=1.0)
    assert task.result() == 2


@pytest.mark.parametrize(
    ("make_group", "parallel"),
    [(MutuallyExclusiveCallbackGroup, False), (ReentrantCallbackGroup, True)],
)
def test_callback_groups_decide_what_runs_in_parallel(make_group: Any, parallel: bool) -> None:
    rclpy.init()
    node = Node("n")
    executor = MultiThreadedExecutor(num_threads=3)
    executor.add_node(node)
    group = make_group()
    together = threading.Barrier(2)
    met: list[bool] = []

    def work() -> None:
        try:
            together.wait(timeout=0.3)
            met.append(True)
        except threading.BrokenBarrierError:
            met.append(False)
            together.reset()

    guards = [node.create_guard_condition(work, callback_group=group) for _ in range(2)]
    for guard in guards:
        guard.trigger()
    deadline = time.monotonic() + 5.0
    while len(met) < 2 and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()
    assert met == [parallel, parallel]


def test_a_node_can_be_removed_from_an_executor(ros: Ros) -> None:
    fired: list[int] = []
    node = ros.node()
    guard = node.create_guard_condition(lambda: fired.append(1))
    ros.executor.remove_node(node)
    guard.trigger()
    ros.settle()
    assert not fired and node not in ros.executor.get_nodes()
    ros.executor.add_node(node)
    ros.until(lambda: fired)


# -------------------------------------------------------------------------- init, shutdown


def test_init_and_shutdown_twice_are_errors() -> None:
    rclpy.init()
    with pytest.raises(RuntimeError):
        rclpy.init()
    assert rclpy.ok()
    rclpy.shutdown()
    assert not rclpy.ok()
    with pytest.raises(RuntimeError):
        rclpy.shutdown()
    rclpy.try_shutdown()


def test_nodes_need_an_initialised_context() -> None:
    with pytest.raises(Exception, match="init"):
        Node("n")


def test_spin_returns_when_a_callback_shuts_down() -> None:
    rclpy.init()
    node = Node("n")
    node.create_timer(0.01, rclpy.shutdown)
    rclpy.spin(node)
    node.destroy_node()
    assert not rclpy.ok()


def test_a_waiting_spin_learns_of_shutdown_from_elsewhere() -> None:
    rclpy.init()
    node = Node("n")
    stopper = threading.Timer(0.05, rclpy.shutdown)
    stopper.start()
    with pytest.raises(ExternalShutdownException):
        rclpy.spin(node, executor=SingleThreadedExecutor())
    stopper.join()
    node.destroy_node()


def test_shutdown_ends_the_global_executor_without_an_exception() -> None:
    rclpy.init()
    node = Node("n")
    stopper = threading.Timer(0.05, rclpy.shutdown)
    stopper.start()
    rclpy.spin(node)
    stopper.join()
    node.destroy_node()
    assert not rclpy.ok()


def test_module_functions_spin_a_node_without_an_executor() -> None:
    rclpy.init()
    node = rclpy.create_node("n")
    hits: list[int] = []
    node.create_guard_condition(lambda: hits.append(1)).trigger()
    rclpy.spin_once(node, timeout_sec=1.0)
    assert hits
    node.destroy_node()
    rclpy.shutdown()


def test_on_shutdown_callbacks_run_once() -> None:
    rclpy.init()
    calls: list[int] = []
    rclpy.get_default_context().on_shutdown(lambda: calls.append(1))
    rclpy.shutdown()
    assert calls == [1]


# --------------------------------------------------------------------------------- logging


def test_logger_filters_and_levels(ros: Ros) -> None:
    log = ros.node("talk").get_logger()
    assert [log.info("once", once=True) for _ in range(3)] == [True, False, False]
    assert [log.warning("late", skip_first=True) for _ in range(3)] == [False, True, True]
    assert [log.error("rare", throttle_duration_sec=60.0) for _ in range(3)] == [True, False, False]
    assert not log.debug("below the level")
    with pytest.raises(TypeError):
        log.info("one %s only", "string")
    with pytest.raises(TypeError):
        log.info("x", unknown_option=True)
    assert not hasattr(log, "exception")
    assert log.get_child("part").name == "talk.part"
