"""Lifecycle nodes: which transitions are possible, who is asked, and what other nodes see of it.

Only rclpy's public API is used, so that the tests hold for a genuine installation too; pocketros runs
them in process and over DDS.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from lifecycle_msgs.msg import State, Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState, GetAvailableStates, GetAvailableTransitions, GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import (
    LifecycleNode,
    LifecycleState,
    ManagedEntity,
    SimpleManagedEntity,
    TransitionCallbackReturn,
)
from rclpy.node import Node
from std_msgs.msg import String

pytest_plugins = ["tests.pocketros.contract_kit"]

SUCCESS, FAILURE, ERROR = (getattr(TransitionCallbackReturn, n) for n in ("SUCCESS", "FAILURE", "ERROR"))
_numbers = itertools.count()


class Kit:
    """A lifecycle node, a node that watches it, and an executor that spins both.

    The name is new each time: genuine lifecycle nodes stay in the graph for a while.
    """

    def __init__(self) -> None:
        self.name = f"n{next(_numbers)}"
        self.executor = SingleThreadedExecutor()
        self.watcher = Node("watcher")
        self.executor.add_node(self.watcher)
        self.nodes: list[Any] = [self.watcher]

    def node(self, kind: type = LifecycleNode, **options: Any) -> Any:
        node = kind(self.name, **options)
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "condition not reached"
            self.executor.spin_once(timeout_sec=0.02)

    def call(self, kind: Any, name: str, request: Any = None) -> Any:
        client = self.watcher.create_client(kind, f"/{self.name}/{name}")
        assert client.wait_for_service(timeout_sec=5)
        future = client.call_async(request or kind.Request())
        self.until(future.done)
        self.watcher.destroy_client(client)
        return future.result()

    def state(self) -> str:
        return str(self.call(GetState, "get_state").current_state.label)

    def change(self, number: int = 0, label: str = "") -> bool:
        request = ChangeState.Request(transition=Transition(id=number, label=label))
        return bool(self.call(ChangeState, "change_state", request).success)


@pytest.fixture
def kit(transport: str) -> Iterator[Kit]:
    rclpy.init()
    made = Kit()
    yield made
    made.executor.shutdown()
    for node in made.nodes:
        node.destroy_node()
    rclpy.try_shutdown()


def test_a_node_goes_round_its_states(kit: Kit) -> None:
    node = kit.node()
    seen = [kit.state()]
    for step in ("configure", "activate", "deactivate", "cleanup", "configure", "activate", "shutdown"):
        assert getattr(node, f"trigger_{step}")() == SUCCESS
        seen.append(kit.state())
    assert seen == [
        "unconfigured", "inactive", "active", "inactive", "unconfigured", "inactive", "active", "finalized"
    ]  # fmt: skip


@pytest.mark.parametrize("steps", [[], ["configure"], ["configure", "activate"]])
def test_shutdown_is_possible_from_each_primary_state_but_once(kit: Kit, steps: list[str]) -> None:
    node = kit.node()
    for step in steps:
        getattr(node, f"trigger_{step}")()
    assert node.trigger_shutdown() == SUCCESS
    assert kit.state() == "finalized"
    with pytest.raises(RuntimeError):
        node.trigger_shutdown()


@pytest.mark.parametrize("step", ["activate", "deactivate", "cleanup"])
def test_an_impossible_transition_is_refused_and_changes_nothing(kit: Kit, step: str) -> None:
    node = kit.node()
    with pytest.raises(RuntimeError):
        getattr(node, f"trigger_{step}")()
    assert kit.state() == "unconfigured"


class Reluctant(LifecycleNode):  # type: ignore[misc]
    """Answers as told, and notes the state each transition came from."""

    answers: dict[str, Any] = {}

    def __init__(self, name: str, **options: Any) -> None:
        self.heard: list[tuple[str, str]] = []
        super().__init__(name, **options)

    def _answer(self, name: str, state: LifecycleState) -> Any:
        self.heard.append((name, state.label))
        answer = self.answers.get(name, SUCCESS)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def on_configure(self, state: LifecycleState) -> Any:
        return self._answer("configure", state)

    def on_activate(self, state: LifecycleState) -> Any:
        return self._answer("activate", state)

    def on_shutdown(self, state: LifecycleState) -> Any:
        return self._answer("shutdown", state)

    def on_error(self, state: LifecycleState) -> Any:
        return self._answer("error", state)


@pytest.mark.parametrize(
    ("answers", "outcome", "state"),
    [
        ({"configure": FAILURE}, FAILURE, "unconfigured"),
        ({"configure": ERROR}, ERROR, "unconfigured"),
        ({"configure": ValueError("no camera")}, ERROR, "unconfigured"),
        ({"configure": ERROR, "error": FAILURE}, ERROR, "finalized"),
        ({"configure": ERROR, "error": ERROR}, ERROR, "finalized"),
        ({"configure": ERROR, "error": ValueError("worse")}, ERROR, "finalized"),
    ],
)
def test_what_a_failed_configuration_leads_to(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], outcome: Any, state: str
) -> None:
    monkeypatch.setattr(Reluctant, "answers", answers)
    node = kit.node(Reluctant)
    assert node.trigger_configure() == outcome
    assert kit.state() == state


def test_a_failed_activation_stays_inactive_and_a_failed_shutdown_ends_all_the_same(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reluctant, "answers", {"activate": FAILURE, "shutdown": FAILURE})
    node = kit.node(Reluctant)
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == FAILURE
    assert kit.state() == "inactive"
    assert node.trigger_shutdown() == FAILURE
    assert kit.state() == "finalized"


def test_callbacks_are_told_the_state_the_node_came_from(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reluctant, "answers", {"activate": ERROR})
    node = kit.node(Reluctant)
    node.trigger_configure()
    node.trigger_activate()
    assert node.heard == [("configure", "unconfigured"), ("activate", "inactive"), ("error", "inactive")]


def test_managed_entities_follow_their_node_and_the_first_refusal_counts(kit: Kit) -> None:
    class Refuses(ManagedEntity):  # type: ignore[misc]
        def on_activate(self, state: LifecycleState) -> Any:
            return FAILURE

    node = kit.node()
    plain = SimpleManagedEntity()
    node.add_managed_entity(plain)
    node.trigger_configure()
    assert not plain.is_activated
    node.trigger_activate()
    assert plain.is_activated
    node.trigger_deactivate()
    assert not plain.is_activated
    node.add_managed_entity(Refuses())
    assert node.trigger_activate() == FAILURE
    with pytest.raises(TypeError):
        node.add_managed_entity(object())


def test_when_enabled_guards_methods(kit: Kit) -> None:
    calls: list[str] = []

    class Pump(SimpleManagedEntity):  # type: ignore[misc]
        @SimpleManagedEntity.when_enabled
        def run(self) -> None:
            calls.append("run")

        @SimpleManagedEntity.when_enabled(when_not_enabled=lambda: calls.append("off"))
        def stop(self) -> None:
            calls.append("stop")

    node, pump = kit.node(), Pump()
    node.add_managed_entity(pump)
    pump.run()
    pump.stop()
    node.trigger_configure()
    node.trigger_activate()
    pump.run()
    pump.stop()
    assert calls == ["off", "run", "stop"]


def test_a_lifecycle_publisher_is_silent_unless_active(kit: Kit) -> None:
    node, heard = kit.node(), []
    publisher = node.create_lifecycle_publisher(String, "talk", 10)
    kit.watcher.create_subscription(String, "talk", lambda m: heard.append(m.data), 10)
    kit.until(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(String(data="too early"))
    node.trigger_configure()
    node.trigger_activate()
    assert publisher.is_activated
    publisher.publish(String(data="on"))
    node.trigger_deactivate()
    publisher.publish(String(data="too late"))
    node.trigger_activate()
    publisher.publish(String(data="again"))
    kit.until(lambda: len(heard) == 2)
    assert heard == ["on", "again"]
    assert node.destroy_lifecycle_publisher(publisher)
    assert node.trigger_deactivate() == SUCCESS


def test_other_nodes_change_the_state_by_number_or_label(kit: Kit) -> None:
    kit.node()
    assert kit.change(Transition.TRANSITION_CONFIGURE)
    assert kit.state() == "inactive"
    assert kit.change(label="activate")
    assert kit.state() == "active"
    assert kit.change(Transition.TRANSITION_CONFIGURE, label="shutdown"), "the label counts"
    assert kit.state() == "finalized"


def test_a_refused_change_is_answered_with_no_success(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reluctant, "answers", {"configure": FAILURE})
    kit.node(Reluctant)
    assert not kit.change(label="activate"), "not possible from here"
    assert not kit.change(label="configure"), "the node said no"
    assert kit.state() == "unconfigured"


def test_other_nodes_can_ask_for_states_and_transitions(kit: Kit) -> None:
    node = kit.node()
    states = kit.call(GetAvailableStates, "get_available_states").available_states
    assert [(s.id, s.label) for s in states] == [
        (0, "unknown"), (1, "unconfigured"), (2, "inactive"), (3, "active"), (4, "finalized"),
        (10, "configuring"), (11, "cleaningup"), (12, "shuttingdown"), (13, "activating"),
        (14, "deactivating"), (15, "errorprocessing"),
    ]  # fmt: skip
    node.trigger_configure()
    now = kit.call(GetAvailableTransitions, "get_available_transitions").available_transitions
    assert [(t.transition.id, t.transition.label, t.goal_state.label) for t in now] == [
        (2, "cleanup", "cleaningup"), (3, "activate", "activating"), (6, "shutdown", "shuttingdown")
    ]  # fmt: skip
    graph = kit.call(GetAvailableTransitions, "get_transition_graph").available_transitions
    assert [t.transition.id for t in graph] == [
        1, 10, 11, 12, 2, 20, 21, 22, 3, 30, 31, 32, 4, 40, 41, 42, 5, 6, 7, 50, 51, 52, 60, 61, 62
    ]  # fmt: skip


def test_every_transition_is_announced(kit: Kit) -> None:
    events: list[tuple[str, str]] = []
    node = kit.node()

    def note(event: Any) -> None:
        events.append((event.start_state.label, event.goal_state.label))

    subscription = kit.watcher.create_subscription(TransitionEvent, f"/{kit.name}/transition_event", note, 10)
    kit.until(lambda: subscription.get_publisher_count() == 1)
    for _ in range(10):  # let the publisher find the subscription too
        kit.executor.spin_once(timeout_sec=0.02)
    node.trigger_configure()
    kit.until(lambda: len(events) == 2)
    assert events == [("unconfigured", "configuring"), ("configuring", "inactive")]


def test_without_the_communication_interface_there_are_no_services(kit: Kit) -> None:
    node = kit.node(enable_communication_interface=False)
    assert node.trigger_configure() == SUCCESS
    kit.until(lambda: f"/{kit.name}/get_parameters" in dict(node.get_service_names_and_types()))
    services = dict(node.get_service_names_and_types_by_node(kit.name, "/"))
    assert not [name for name, types in services.items() if types[0].startswith("lifecycle_msgs")]
    with pytest.raises(TypeError):
        kit.node(enable_communication_interface="asd")


def test_the_constants_name_states_and_transitions() -> None:
    assert (State.PRIMARY_STATE_ACTIVE, State.TRANSITION_STATE_ERRORPROCESSING) == (3, 15)
    assert TransitionCallbackReturn.ERROR.to_label() == "transition_error"
