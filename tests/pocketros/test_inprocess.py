"""What pocketros promises beyond rclpy: determinism, no copies, lock-step spinning, threads."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pocketros

pocketros.activate(mode="always")

import rclpy
from builtin_interfaces.msg import Time as TimeMsg
from rcl_interfaces.msg import Log, ParameterEvent
from rcl_interfaces.srv import GetParameters, ListParameters, SetParameters
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import ClockChange, JumpThreshold
from rclpy.duration import Duration
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.exceptions import RCLError, UnknownROSArgsError, UnsupportedFeatureError
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import LivelinessPolicy, QoSPolicyKind, QoSProfile, qos_profile_sensor_data
from rclpy.service_introspection import ServiceIntrospectionState
from rclpy.task import Future
from rclpy.wait_for_message import wait_for_message
from rclpy.waitable import Waitable
from rosgraph_msgs.msg import Clock as ClockMsg
from std_msgs.msg import Int32, String
from std_srvs.srv import Trigger

from pocketros import arguments, names
from pocketros.arguments import ArgumentError
from pocketros.testing import LivelockError, spin_until_idle

ROOT = Path(__file__).resolve().parents[2]


class Ros:
    def __init__(self) -> None:
        self.executor = SingleThreadedExecutor()
        self.nodes: list[Node] = []

    def node(self, name: str = "n", **options: Any) -> Node:
        self.nodes.append(Node(name, **options))
        self.executor.add_node(self.nodes[-1])
        return self.nodes[-1]

    def idle(self) -> int:
        return spin_until_idle(self.executor)


@pytest.fixture
def ros() -> Iterator[Ros]:
    rclpy.init(args=[])
    kit = Ros()
    yield kit
    kit.executor.shutdown()
    for node in kit.nodes:
        node.destroy_node()
    rclpy.try_shutdown()


def clock_message(ns: int) -> ClockMsg:
    return ClockMsg(clock=TimeMsg(sec=ns // 10**9, nanosec=ns % 10**9))


# ------------------------------------------------------------------------------ lock step


def test_spin_until_idle_runs_chains_to_their_end_and_counts(ros: Ros) -> None:
    node = ros.node()
    publisher = node.create_publisher(Int32, "t", 10)

    def count_down(message: Int32) -> None:
        if message.data:
            publisher.publish(Int32(data=message.data - 1))

    node.create_subscription(Int32, "t", count_down, 10)
    publisher.publish(Int32(data=5))
    assert ros.idle() == 6 and ros.idle() == 0


def test_spin_until_idle_reports_a_livelock_and_can_go_on(ros: Ros) -> None:
    node = ros.node()
    guard = node.create_guard_condition(lambda: guard.trigger())
    guard.trigger()
    for _ in range(2):
        with pytest.raises(LivelockError):
            spin_until_idle(ros.executor, max_callbacks=50)


def test_spin_until_idle_never_waits_for_wall_timers(ros: Ros) -> None:
    fired: list[int] = []
    ros.node().create_timer(3600.0, lambda: fired.append(1))
    assert ros.idle() == 0 and not fired


def test_the_same_messages_run_the_same_callbacks_in_the_same_order() -> None:
    def run() -> list[str]:
        rclpy.init(args=["--ros-args", "-p", "use_sim_time:=true"])
        kit, order = Ros(), []
        for i in range(5):
            node = kit.node(f"n{i}")
            relay = node.create_publisher(Int32, f"t{(i + 2) % 5}", 10)

            def on_number(m: Int32, i: int = i, relay: Any = relay) -> None:
                order.append(f"sub{i}:{m.data}")
                if m.data:
                    relay.publish(Int32(data=m.data - 1))

            node.create_subscription(Int32, f"t{i}", on_number, 10)
            node.create_timer(0.1 * (i + 1), lambda i=i: order.append(f"timer{i}"))
        clock = kit.nodes[0].create_publisher(ClockMsg, "/clock", 1)
        start = kit.nodes[4].create_publisher(Int32, "t3", 10)
        for step in range(1, 20):
            start.publish(Int32(data=step % 4))
            clock.publish(clock_message(step * 50_000_000))
            kit.idle()
        for node in kit.nodes:
            node.destroy_node()
        rclpy.shutdown()
        return order

    first = run()
    assert len(first) > 50 and first == run()


def test_ready_nodes_run_in_the_order_they_were_added(ros: Ros) -> None:
    order: list[str] = []
    for name in ("b", "a", "c"):
        node = ros.node(name)
        node.create_subscription(Int32, "t", lambda m, name=name: order.append(f"s{name}"), 10)
        node.create_guard_condition(lambda name=name: order.append(f"g{name}")).trigger()
    publisher = ros.nodes[2].create_publisher(Int32, "t", 10)
    publisher.publish(Int32())
    publisher.publish(Int32())
    ros.idle()
    first_round = ["sb", "gb", "sa", "ga", "sc", "gc"]
    assert order == [*first_round, "sb", "sa", "sc"], "one callback of an entity per round"


def test_all_clocks_move_the_moment_clock_is_published(ros: Ros) -> None:
    override = [Parameter("use_sim_time", value=True)]
    nodes = [ros.node(f"n{i}", parameter_overrides=override) for i in range(3)]
    nodes[0].create_publisher(ClockMsg, "/clock", 1).publish(clock_message(7))
    assert [n.get_clock().now().nanoseconds for n in nodes] == [7, 7, 7]


def test_time_going_back_restarts_timers_and_tells_jump_callbacks(ros: Ros) -> None:
    node = ros.node(parameter_overrides=[Parameter("use_sim_time", value=True)])
    publisher = node.create_publisher(ClockMsg, "/clock", 1)
    fired: list[int] = []
    jumps: list[tuple[ClockChange, int]] = []
    publisher.publish(clock_message(100 * 10**9))
    node.create_timer(1.0, lambda: fired.append(node.get_clock().now().nanoseconds // 10**9))
    threshold = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-1.0))
    node.get_clock().create_jump_callback(
        threshold, post_callback=lambda j: jumps.append((j.clock_change, j.delta.nanoseconds))
    )
    for second in (101, 50, 51, 52):
        publisher.publish(clock_message(second * 10**9))
        ros.idle()
    assert fired == [101, 51, 52]
    assert jumps == [(ClockChange.ROS_TIME_NO_CHANGE, -51 * 10**9)]


# --------------------------------------------------------------------------------- topics


def test_every_subscriber_receives_the_published_object(ros: Ros) -> None:
    got: list[Any] = []
    node = ros.node()
    for _ in range(2):
        node.create_subscription(String, "t", got.append, 10)
    message = String(data="x")
    node.create_publisher(String, "t", 10).publish(message)
    ros.idle()
    assert len(got) == 2 and all(m is message for m in got)


def test_types_that_differ_are_counted_and_never_delivered(ros: Ros) -> None:
    got: list[Any] = []
    mismatches: list[int] = []
    node = ros.node()
    events = SubscriptionEventCallbacks(incompatible_type=lambda i: mismatches.append(i.total_count))
    subscription = node.create_subscription(Int32, "t", got.append, 10, event_callbacks=events)
    publisher = node.create_publisher(String, "t", 10)
    publisher.publish(String())
    ros.idle()
    assert got == [] and mismatches == [1] and subscription.get_publisher_count() == 0


def test_qos_events_tell_the_policy_and_matches(ros: Ros) -> None:
    policies: list[str] = []
    matches: list[tuple[int, int]] = []
    node = ros.node()
    events = PublisherEventCallbacks(
        incompatible_qos=lambda i: policies.append(i.last_policy_kind),
        matched=lambda i: matches.append((i.total_count, i.current_count)),
    )
    node.create_publisher(String, "t", qos_profile_sensor_data, event_callbacks=events)
    node.create_subscription(String, "t", lambda m: None, 10)
    good = node.create_subscription(String, "t", lambda m: None, qos_profile_sensor_data)
    node.destroy_subscription(good)
    ros.idle()
    assert policies == [QoSPolicyKind.RELIABILITY] and matches == [(1, 1), (1, 0)]


def test_an_incompatible_peer_is_warned_about(
    ros: Ros, capsys: pytest.CaptureFixture[str]
) -> None:
    node = ros.node()
    node.create_publisher(String, "t", qos_profile_sensor_data)
    node.create_subscription(String, "t", lambda m: None, 10)
    assert "Last incompatible policy: RELIABILITY" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("offered", "requested", "match"),
    [
        ({}, {"deadline": Duration(seconds=1)}, False),
        ({"deadline": Duration(seconds=1)}, {"deadline": Duration(seconds=2)}, True),
        ({"deadline": Duration(seconds=2)}, {"deadline": Duration(seconds=1)}, False),
        ({}, {"liveliness": LivelinessPolicy.MANUAL_BY_TOPIC}, False),
        ({"liveliness": LivelinessPolicy.MANUAL_BY_TOPIC}, {}, True),
        ({}, {"liveliness_lease_duration": Duration(seconds=1)}, False),
    ],
)
def test_other_policies_match_as_in_dds(
    ros: Ros, offered: dict[str, Any], requested: dict[str, Any], match: bool
) -> None:
    node = ros.node()
    publisher = node.create_publisher(String, "t", QoSProfile(depth=1, **offered))
    node.create_subscription(String, "t", lambda m: None, QoSProfile(depth=1, **requested))
    assert bool(publisher.get_subscription_count()) is match


def test_callbacks_with_two_parameters_get_the_message_info(ros: Ros) -> None:
    infos: list[dict[str, int]] = []
    node = ros.node()
    node.create_subscription(String, "t", lambda m, info: infos.append(info), 10)
    node.create_publisher(String, "t", 10).publish(String())
    ros.idle()
    assert infos[0]["source_timestamp"] > 10**18


def test_what_is_not_offered_is_refused_loudly(ros: Ros) -> None:
    node = ros.node()
    with pytest.raises(UnsupportedFeatureError):
        node.create_subscription(String, "t", lambda m: None, 1, content_filter_options=object())
    with pytest.raises(UnsupportedFeatureError):
        SubscriptionEventCallbacks(deadline=lambda i: None)
    for thing in (node, node.create_publisher(String, "t", 1), node.get_clock(), node.context):
        with pytest.raises(NotImplementedError, match="handle"):
            thing.handle  # noqa: B018
        assert not hasattr(thing, "handle")
    with pytest.raises(NotImplementedError, match="Waitable"):
        Waitable(node.default_callback_group)
    with pytest.raises(NotImplementedError, match="WaitSet"):
        rclpy_implementation.WaitSet  # noqa: B018
    client = node.create_client(Trigger, "s")
    with pytest.raises(NotImplementedError, match="introspection"):
        client.configure_introspection(node.get_clock(), QoSProfile(depth=1), ServiceIntrospectionState.METADATA)


def test_messages_from_many_threads_all_arrive(ros: Ros) -> None:
    got: list[int] = []
    node = ros.node()
    node.create_subscription(Int32, "t", lambda m: got.append(m.data), QoSProfile(history=2))
    publisher = node.create_publisher(Int32, "t", 10)

    def work(start: int) -> None:
        for value in range(start, start + 2000):
            publisher.publish(Int32(data=value))

    threads = [threading.Thread(target=work, args=(k * 2000,)) for k in range(4)]
    for thread in threads:
        thread.start()
    while any(t.is_alive() for t in threads):
        ros.executor.spin_once(timeout_sec=0.01)
    ros.idle()
    assert sorted(got) == list(range(8000))


def test_a_waiting_spin_is_woken_by_other_threads(ros: Ros) -> None:
    got: list[Any] = []
    node = ros.node()
    node.create_subscription(String, "t", got.append, 10)
    publisher = node.create_publisher(String, "t", 10)
    for count in range(1, 50):
        threading.Timer(0.001, lambda: publisher.publish(String())).start()
        ros.executor.spin_once(timeout_sec=10.0)
        assert len(got) == count


def test_wait_for_message_needs_no_spinning(ros: Ros) -> None:
    node = ros.node()
    publisher = node.create_publisher(String, "t", 10)
    threading.Timer(0.05, lambda: publisher.publish(String(data="x"))).start()
    assert wait_for_message(String, node, "t", time_to_wait=5.0) == (True, String(data="x"))
    assert wait_for_message(String, node, "t", time_to_wait=0.01) == (False, None)


# ------------------------------------------------------------------- services, coroutines


def test_requests_made_before_there_is_a_server_stay_unanswered(ros: Ros) -> None:
    node = ros.node()
    client = node.create_client(Trigger, "s")
    future = client.call_async(Trigger.Request())
    node.create_service(Trigger, "s", lambda q, r: r)
    ros.idle()
    assert not future.done()
    assert node.destroy_client(client) and future.cancelled()


def test_a_service_must_return_its_response_type(ros: Ros) -> None:
    node = ros.node()
    node.create_service(Trigger, "s", lambda q, r: None)
    node.create_client(Trigger, "s").call_async(Trigger.Request())
    with pytest.raises(TypeError, match="must return"):
        ros.idle()


def test_a_suspended_coroutine_occupies_its_mutually_exclusive_group(ros: Ros) -> None:
    order: list[str] = []
    node = ros.node()
    gate = Future(executor=ros.executor)

    async def slow() -> None:
        order.append("begin")
        await gate
        order.append("end")

    first = node.create_guard_condition(slow)
    second = node.create_guard_condition(lambda: order.append("same group"))
    third = node.create_guard_condition(lambda: order.append("other"), ReentrantCallbackGroup())
    for guard in (first, second, third):
        guard.trigger()
    ros.idle()
    assert order == ["begin", "other"]
    gate.set_result(None)
    ros.idle()
    assert order == ["begin", "other", "end", "same group"]


def test_a_coroutine_may_only_await_futures(ros: Ros) -> None:
    import asyncio

    async def wrong() -> None:
        await asyncio.sleep(1)

    ros.node().create_guard_condition(wrong).trigger()
    with pytest.raises(RuntimeError):
        ros.idle()


def test_a_multi_threaded_executor_serves_nested_synchronous_calls() -> None:
    rclpy.init(args=[])
    executor = MultiThreadedExecutor(num_threads=3)
    with Node("n") as node:
        executor.add_node(node)
        group = ReentrantCallbackGroup()
        node.create_service(Trigger, "inner", lambda q, r: Trigger.Response(message="in"), callback_group=group)
        inner = node.create_client(Trigger, "inner", callback_group=group)

        def outer(request: Any, response: Any) -> Any:
            response.message = inner.call(Trigger.Request()).message
            return response

        node.create_service(Trigger, "outer", outer, callback_group=group)
        future = node.create_client(Trigger, "outer", callback_group=group).call_async(Trigger.Request())
        executor.spin_until_future_complete(future, timeout_sec=10.0)
        assert future.done() and future.result().message == "in"
        assert executor.shutdown(timeout_sec=5.0)
    rclpy.shutdown()


# ---------------------------------------------------------------------- nodes' own services


def test_other_nodes_can_read_and_set_parameters(ros: Ros) -> None:
    node = ros.node("target", namespace="/r")
    node.declare_parameter("speed", 1.5)
    other = ros.node("other")

    def call(kind: Any, name: str, **fields: Any) -> Any:
        future = other.create_client(kind, f"/r/target/{name}").call_async(kind.Request(**fields))
        ros.idle()
        return future.result()

    assert call(GetParameters, "get_parameters", names=["speed"]).values[0].double_value == 1.5
    wanted = [Parameter("speed", value=2.5), Parameter("nope", value=1), Parameter("speed", value=1)]
    results = call(
        SetParameters, "set_parameters", parameters=[p.to_parameter_msg() for p in wanted]
    ).results
    assert [r.successful for r in results] == [True, False, False]
    assert node.get_parameter("speed").value == 2.5
    assert "speed" in call(ListParameters, "list_parameters").result.names


def test_parameter_events_and_logs_are_published_where_somebody_listens(ros: Ros) -> None:
    events: list[ParameterEvent] = []
    logs: list[Log] = []
    node = ros.node("talker")
    node.create_subscription(ParameterEvent, "/parameter_events", events.append, 10)
    node.create_subscription(Log, "/rosout", logs.append, 10)
    node.declare_parameter("k", 3)
    node.get_logger().warning("careful")
    ros.idle()
    assert [p.name for p in events[0].new_parameters] == ["k"] and events[0].node == "/talker"
    assert (logs[0].name, logs[0].msg, logs[0].level) == ("talker", "careful", Log.WARN)
    assert logs[0].file == __file__


# ------------------------------------------------------------------------ names, arguments


@given(st.text(max_size=12), st.sampled_from(["/", "/a", "/a/b"]))
def test_a_name_that_is_valid_expands_to_a_valid_absolute_name(name: str, namespace: str) -> None:
    if names.find_name_error(name, "topic") is None:
        full = names.expand(name, "node", namespace)
        assert full.startswith("/") and names.find_name_error(full, "topic") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("1.0", 1.0), ("1e-3", 0.001), ("true", True), ("off", False), ("a b", "a b"),
     ("'1'", "1"), ("[1, 2]", [1, 2]), ("[a, b]", ["a", "b"]), ("2026-01-01", "2026-01-01"),
     ("12:30", "12:30"), ("0x10", 16), ("-.inf", float("-inf")), ("", "")],
)  # fmt: skip
def test_parameter_values_are_typed_as_rcl_types_them(text: str, value: Any) -> None:
    parsed = arguments.parse_value(text)
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize("text", ["[1, a]", "{a: 1}", "[[1]]", "[1"])
def test_values_no_parameter_can_hold_are_refused(text: str) -> None:
    with pytest.raises(ArgumentError):
        arguments.parse_value(text)


@pytest.mark.parametrize(
    "argv",
    [["-r", "nothing"], ["-p", "x"], ["--params-file", "/none.yaml"], ["--what"], ["-r"],
     ["-r", "__node:=a b"], ["-r", "a:=b c"], ["--log-level", "loud"]],
)  # fmt: skip
def test_bad_arguments_are_errors(argv: list[str]) -> None:
    with pytest.raises((UnknownROSArgsError, RCLError)):
        rclpy.init(args=["--ros-args", *argv], context=rclpy.Context())


def test_rules_for_one_node_leave_others_alone(ros: Ros) -> None:
    cli = ["--ros-args", "-r", "n:in:=out", "-p", "m:k:=1", "-p", "n:k:=2"]
    node = ros.node("n", cli_args=cli)
    other = ros.node("x", cli_args=cli)
    assert node.resolve_topic_name("in") == "/out" and other.resolve_topic_name("in") == "/in"
    assert node.declare_parameter("k", 0).value == 2 and other.declare_parameter("k", 0).value == 0


def test_arguments_outside_ros_args_are_kept() -> None:
    argv = ["prog", "-v", "--ros-args", "-r", "a:=b", "--", "rest"]
    assert rclpy.utilities.remove_ros_args(argv) == ["prog", "-v", "rest"]


# -------------------------------------------------------------------------------- signals


@pytest.mark.parametrize(
    ("number", "ends"),
    [
        (signal.SIGINT, {"KeyboardInterrupt"}),
        (signal.SIGTERM, {"ExternalShutdownException", "returned"}),  # while waiting, in a callback
    ],
)
def test_signals_shut_the_context_down(number: signal.Signals, ends: set[str]) -> None:
    script = textwrap.dedent("""
        import signal  # a shell's background jobs start with SIGINT ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)
        import pocketros; pocketros.activate(mode="always")
        import rclpy
        from rclpy.node import Node
        rclpy.init()
        node = Node("n")
        timer = node.create_timer(0.01, lambda: (print("ready", flush=True), timer.cancel()))
        try:
            rclpy.spin(node)
            print("returned", rclpy.ok())
        except BaseException as error:
            print(type(error).__name__, rclpy.ok())
        """)
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(number)
    how, ok = process.communicate(timeout=20)[0].split()
    assert how in ends and ok == "False"
