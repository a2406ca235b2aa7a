"""Actions: goals are accepted, executed, reported on, cancelled and forgotten.

Only rclpy's public API is used, so that the tests hold for a genuine installation too; pocketros runs
them in process and over DDS.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from action_msgs.msg import GoalStatus
from action_msgs.srv import CancelGoal
from nav2_msgs.action import NavigateToPose
from rclpy.action import (
    ActionClient,
    ActionServer,
    CancelResponse,
    GoalResponse,
    get_action_client_names_and_types_by_node,
    get_action_names_and_types,
    get_action_server_names_and_types_by_node,
)
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import String
from unique_identifier_msgs.msg import UUID

pytest_plugins = ["tests.pocketros.contract_kit"]

TYPE = "nav2_msgs/action/NavigateToPose"


class Kit:
    """A node with a server, one with a client, and an executor that spins both."""

    def __init__(self, executor: Any) -> None:
        self.executor = executor
        self.server_node, self.client_node = Node("server_node"), Node("client_node")
        for node in (self.server_node, self.client_node):
            executor.add_node(node)
        self.made: list[Any] = []

    def server(self, execute: Callable[[Any], Any], **options: Any) -> Any:
        self.made.append(ActionServer(self.server_node, NavigateToPose, "go", execute, **options))
        return self.made[-1]

    def client(self) -> Any:
        self.made.append(ActionClient(self.client_node, NavigateToPose, "go"))
        assert self.made[-1].wait_for_server(timeout_sec=5)
        return self.made[-1]

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "condition not reached"
            self.executor.spin_once(timeout_sec=0.02)

    def result(self, future: Any) -> Any:
        self.until(future.done)
        return future.result()

    def send(self, client: Any, tree: str = "", **options: Any) -> Any:
        """Handle of a goal; `tree` is its text."""
        return self.result(client.send_goal_async(NavigateToPose.Goal(behavior_tree=tree), **options))


def _kit(executor: Any) -> Iterator[Kit]:
    rclpy.init()
    kit = Kit(executor())
    yield kit
    kit.executor.shutdown()
    for made in kit.made:
        made.destroy()
    for node in (kit.server_node, kit.client_node):
        node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def kit(transport: str) -> Iterator[Kit]:
    yield from _kit(SingleThreadedExecutor)


@pytest.fixture
def threads(transport: str) -> Iterator[Kit]:
    """With an executor of four threads."""
    yield from _kit(lambda: MultiThreadedExecutor(num_threads=4))


def arrive(handle: Any) -> Any:
    handle.succeed()
    return NavigateToPose.Result(error_msg=f"arrived {handle.request.behavior_tree}")


def test_a_goal_is_executed_and_its_result_comes_back(kit: Kit) -> None:
    kit.server(arrive)
    handle = kit.send(kit.client(), "a")
    assert handle.accepted
    answer = kit.result(handle.get_result_async())
    assert (answer.status, answer.result.error_msg) == (GoalStatus.STATUS_SUCCEEDED, "arrived a")


def test_feedback_reaches_the_goal_it_is_about_in_order(kit: Kit) -> None:
    def execute(handle: Any) -> Any:
        for distance in (2.0, 1.0, 0.0):
            handle.publish_feedback(NavigateToPose.Feedback(distance_remaining=distance))
        return arrive(handle)

    kit.server(execute)
    heard: list[float] = []
    others: list[Any] = []
    client = kit.client()
    kit.send(client, feedback_callback=lambda m: heard.append(m.feedback.distance_remaining))
    kit.until(lambda: len(heard) == 3)
    kit.send(client, feedback_callback=others.append)
    kit.until(lambda: len(others) == 3)
    assert heard == [2.0, 1.0, 0.0]


def test_a_rejected_goal_is_never_executed(kit: Kit) -> None:
    executed: list[Any] = []
    kit.server(executed.append, goal_callback=lambda goal: GoalResponse.REJECT)
    handle = kit.send(kit.client())
    assert not handle.accepted
    answer = kit.result(handle.get_result_async())
    assert answer.status == GoalStatus.STATUS_UNKNOWN and not executed


def test_the_goal_callback_sees_the_goal(kit: Kit) -> None:
    def judge(goal: Any) -> GoalResponse:
        return GoalResponse.ACCEPT if goal.behavior_tree == "good" else GoalResponse.REJECT

    kit.server(arrive, goal_callback=judge)
    client = kit.client()
    assert [kit.send(client, tree).accepted for tree in ("good", "bad")] == [True, False]


def test_two_goals_of_one_id_are_one_too_many(kit: Kit) -> None:
    kit.server(arrive)
    client, goal_id = kit.client(), UUID(uuid=list(uuid.uuid4().bytes))
    first = kit.send(client, goal_uuid=goal_id)
    assert first.accepted and not kit.send(client, goal_uuid=goal_id).accepted


@pytest.mark.parametrize(
    ("execute", "status"),
    [
        (lambda handle: NavigateToPose.Result(), GoalStatus.STATUS_ABORTED),
        (lambda handle: handle.abort() or NavigateToPose.Result(), GoalStatus.STATUS_ABORTED),
        (lambda handle: 1 / 0, GoalStatus.STATUS_ABORTED),
        (lambda handle: handle.succeed() or NavigateToPose.Result(), GoalStatus.STATUS_SUCCEEDED),
    ],
)
def test_every_execution_ends_with_a_result(kit: Kit, execute: Any, status: int) -> None:
    kit.server(execute)
    handle = kit.send(kit.client())
    assert kit.result(handle.get_result_async()).status == status


def test_executions_may_be_coroutines_that_wait_for_the_world(kit: Kit) -> None:
    opened = rclpy.task.Future()

    async def execute(handle: Any) -> Any:
        await opened
        return arrive(handle)

    kit.server(execute)
    result = kit.send(kit.client(), "door").get_result_async()
    kit.client_node.create_subscription(String, "door", lambda m: opened.set_result(True), 10)
    publisher = kit.server_node.create_publisher(String, "door", 10)
    kit.until(lambda: publisher.get_subscription_count())
    assert not result.done()
    publisher.publish(String())
    assert kit.result(result).status == GoalStatus.STATUS_SUCCEEDED


def test_a_running_goal_can_be_cancelled(threads: Kit) -> None:
    started = threading.Event()

    def execute(handle: Any) -> Any:
        started.set()
        while not handle.is_cancel_requested:
            time.sleep(0.005)
        handle.canceled()
        return NavigateToPose.Result(error_msg="stopped")

    threads.server(
        execute, cancel_callback=lambda h: CancelResponse.ACCEPT, callback_group=ReentrantCallbackGroup()
    )
    handle = threads.send(threads.client())
    threads.until(started.is_set)
    answer = threads.result(handle.cancel_goal_async())
    assert [g.goal_id for g in answer.goals_canceling] == [handle.goal_id]
    result = threads.result(handle.get_result_async())
    assert (result.status, result.result.error_msg) == (GoalStatus.STATUS_CANCELED, "stopped")
    again = threads.result(handle.cancel_goal_async())
    assert again.return_code == CancelGoal.Response.ERROR_GOAL_TERMINATED


def test_cancelling_is_refused_unless_the_server_agrees(kit: Kit) -> None:
    kit.server(arrive, handle_accepted_callback=lambda handle: None)
    handle = kit.send(kit.client())
    answer = kit.result(handle.cancel_goal_async())
    assert list(answer.goals_canceling) == []


def test_a_goal_that_was_put_off_can_be_cancelled_and_executed_later(kit: Kit) -> None:
    kept: list[Any] = []
    seen: list[bool] = []

    def execute(handle: Any) -> Any:
        seen.append(handle.is_cancel_requested)
        handle.canceled()
        return NavigateToPose.Result()

    kit.server(
        execute, handle_accepted_callback=kept.append, cancel_callback=lambda h: CancelResponse.ACCEPT
    )
    handle = kit.send(kit.client())
    assert kept[0].status == GoalStatus.STATUS_ACCEPTED
    assert len(kit.result(handle.cancel_goal_async()).goals_canceling) == 1
    kept[0].execute()
    assert kit.result(handle.get_result_async()).status == GoalStatus.STATUS_CANCELED
    assert seen == [True]


def test_an_illegal_step_is_an_error_and_changes_nothing(kit: Kit) -> None:
    kept: list[Any] = []
    kit.server(arrive, handle_accepted_callback=kept.append)
    kit.send(kit.client())
    with pytest.raises(RuntimeError):
        kept[0].succeed()
    assert kept[0].is_active and kept[0].status == GoalStatus.STATUS_ACCEPTED


def test_an_empty_cancel_request_means_all_goals(kit: Kit) -> None:
    kit.server(arrive, handle_accepted_callback=lambda h: None, cancel_callback=lambda h: CancelResponse.ACCEPT)
    client = kit.client()
    for _ in range(3):
        kit.send(client)
    service = kit.client_node.create_client(CancelGoal, "go/_action/cancel_goal")
    assert service.wait_for_service(timeout_sec=5)
    assert len(kit.result(service.call_async(CancelGoal.Request())).goals_canceling) == 3
    unknown = CancelGoal.Request()
    unknown.goal_info.goal_id = UUID(uuid=[7] * 16)
    answer = kit.result(service.call_async(unknown))
    assert answer.return_code == CancelGoal.Response.ERROR_UNKNOWN_GOAL_ID


def test_the_client_hears_of_the_goals_status(kit: Kit) -> None:
    kept: list[Any] = []
    kit.server(arrive, handle_accepted_callback=kept.append)
    handle = kit.send(kit.client())
    kept[0].execute()
    kit.until(lambda: handle.status == GoalStatus.STATUS_SUCCEEDED)


def test_an_ended_goal_is_forgotten_after_its_time(kit: Kit) -> None:
    kit.server(arrive, result_timeout=0.2)
    handle = kit.send(kit.client())
    assert kit.result(handle.get_result_async()).status == GoalStatus.STATUS_SUCCEEDED

    def is_forgotten() -> bool:
        return bool(kit.result(handle.get_result_async()).status == GoalStatus.STATUS_UNKNOWN)

    kit.until(is_forgotten)


def test_blocking_calls_work_beside_a_spinning_thread(threads: Kit) -> None:
    threads.server(arrive)
    client = threads.client()
    thread = threading.Thread(target=threads.executor.spin, daemon=True)
    thread.start()
    answer = client.send_goal(NavigateToPose.Goal(behavior_tree="b"))
    assert answer.result.error_msg == "arrived b"
    threads.executor.shutdown()
    thread.join(10)


def test_a_client_without_a_server_says_so(kit: Kit) -> None:
    client = ActionClient(kit.client_node, NavigateToPose, "nowhere")
    assert not client.server_is_ready()
    assert not client.wait_for_server(timeout_sec=0.05)
    future = client.send_goal_async(NavigateToPose.Goal())
    for _ in range(5):
        kit.executor.spin_once(timeout_sec=0.01)
    assert not future.done()
    client.destroy()


def test_things_of_the_wrong_type_are_refused(kit: Kit) -> None:
    kit.server(arrive)
    client = kit.client()
    with pytest.raises(TypeError):
        client.send_goal_async(NavigateToPose.Result())
    with pytest.raises(TypeError):
        kit.server("not callable")  # type: ignore[arg-type]


def test_actions_show_in_the_graph(kit: Kit) -> None:
    kit.server(arrive)
    kit.client()
    expected = [("/go", [TYPE])]
    node = kit.client_node
    kit.until(lambda: expected[0] in get_action_names_and_types(node))
    kit.until(lambda: get_action_server_names_and_types_by_node(node, "server_node", "/") == expected)
    kit.until(lambda: get_action_client_names_and_types_by_node(node, "client_node", "/") == expected)
    assert get_action_server_names_and_types_by_node(node, "client_node", "/") == []


def test_an_action_is_ordinary_services_and_topics_under_hidden_names(kit: Kit) -> None:
    kit.server(arrive)
    node = kit.server_node
    hidden = [f"/go/_action/{name}" for name in ("send_goal", "get_result", "cancel_goal", "feedback", "status")]

    def found() -> dict[str, list[str]]:
        services = node.get_service_names_and_types_by_node("server_node", "/")
        return dict([*services, *node.get_publisher_names_and_types_by_node("server_node", "/")])

    kit.until(lambda: set(hidden) <= found().keys())
    services = topics = found()
    assert services["/go/_action/send_goal"] == [f"{TYPE}_SendGoal"]
    assert services["/go/_action/get_result"] == [f"{TYPE}_GetResult"]
    assert services["/go/_action/cancel_goal"] == ["action_msgs/srv/CancelGoal"]
    assert topics["/go/_action/feedback"] == [f"{TYPE}_FeedbackMessage"]
    assert topics["/go/_action/status"] == ["action_msgs/msg/GoalStatusArray"]


def test_a_goal_is_the_same_after_the_wire() -> None:
    request = NavigateToPose.Impl.SendGoalService.Request()
    request.goal_id.uuid = list(range(16))
    request.goal.pose.pose.position.x = 1.5
    data = serialize_message(request)
    assert bytes(data[4:20]) == bytes(range(16))
    back = deserialize_message(data, NavigateToPose.Impl.SendGoalService.Request)
    assert back == request
