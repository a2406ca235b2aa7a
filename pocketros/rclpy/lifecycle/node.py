"""Lifecycle nodes: their transitions, their callbacks and the services that steer them."""

from __future__ import annotations

import traceback
from typing import Any

from lifecycle_msgs.msg import State, Transition, TransitionDescription, TransitionEvent
from lifecycle_msgs.srv import ChangeState, GetAvailableStates, GetAvailableTransitions, GetState

from ..callback_groups import CallbackGroup
from ..exceptions import RCLError
from ..node import Node
from .managed_entity import ManagedEntity
from .publisher import LifecyclePublisher
from .state_machine import LifecycleState, StateMachine, TransitionCallbackReturn, TransitionRow

_CALLBACKS = {
    State.TRANSITION_STATE_CONFIGURING: "on_configure",
    State.TRANSITION_STATE_CLEANINGUP: "on_cleanup",
    State.TRANSITION_STATE_SHUTTINGDOWN: "on_shutdown",
    State.TRANSITION_STATE_ACTIVATING: "on_activate",
    State.TRANSITION_STATE_DEACTIVATING: "on_deactivate",
    State.TRANSITION_STATE_ERRORPROCESSING: "on_error",
}


class LifecycleNodeMixin(ManagedEntity):
    """What LifecycleNode adds to Node; override the `on_...` callbacks and call super() in them."""

    def __init__(
        self,
        *,
        enable_communication_interface: bool = True,
        callback_group: CallbackGroup | None = None,
    ) -> None:
        """Call it after Node.__init__. Without the communication interface there are no services."""
        _require_bool(enable_communication_interface)
        node = self._node_of_mixin()
        self._managed_entities: dict[ManagedEntity, None] = {}  # in order of addition
        self._transition_event_publisher = node.create_publisher(
            TransitionEvent, "~/transition_event", 10
        )
        self._state_machine = StateMachine(self._announce_transition)
        if enable_communication_interface:
            self._create_lifecycle_services(node, callback_group)

    def _node_of_mixin(self) -> Node:
        assert isinstance(self, Node), "LifecycleNodeMixin is for classes that derive from Node too"
        return self

    def _create_lifecycle_services(self, node: Node, group: CallbackGroup | None) -> None:
        for name, kind, handler in (
            ("change_state", ChangeState, self._on_change_state),
            ("get_state", GetState, self._on_get_state),
            ("get_available_states", GetAvailableStates, self._on_get_available_states),
            ("get_available_transitions", GetAvailableTransitions, self._on_get_transitions),
            ("get_transition_graph", GetAvailableTransitions, self._on_get_transition_graph),
        ):
            service = node.create_service(kind, f"~/{name}", handler, callback_group=group)
            setattr(self, f"_service_{name}", service)

    # ------------------------------------------------------------------ transitions

    def trigger_configure(self) -> TransitionCallbackReturn:
        return self._change_state(Transition.TRANSITION_CONFIGURE)

    def trigger_cleanup(self) -> TransitionCallbackReturn:
        return self._change_state(Transition.TRANSITION_CLEANUP)

    def trigger_activate(self) -> TransitionCallbackReturn:
        return self._change_state(Transition.TRANSITION_ACTIVATE)

    def trigger_deactivate(self) -> TransitionCallbackReturn:
        return self._change_state(Transition.TRANSITION_DEACTIVATE)

    def trigger_shutdown(self) -> TransitionCallbackReturn:
        return self._change_state(self._state_machine.get_transition_by_label("shutdown"))

    def _change_state(self, transition_id: int) -> TransitionCallbackReturn:
        """Run one transition to its end; RCLError if the current state does not allow it.

        An ERROR is handed to on_error: SUCCESS there leads to unconfigured, else finalized.
        """
        machine = self._state_machine
        number, label = machine.current_state
        before = LifecycleState(label=label, state_id=number)
        machine.trigger_transition_by_id(transition_id)
        outcome = self._execute_callback(before)
        machine.trigger_transition_by_label(outcome.to_label())
        if outcome is TransitionCallbackReturn.ERROR:
            machine.trigger_transition_by_label(self._execute_callback(before).to_label())
        return outcome

    def _execute_callback(self, before: LifecycleState) -> TransitionCallbackReturn:
        """Call the current intermediate state's callback; whatever it raises counts as ERROR."""
        name = _CALLBACKS[self._state_machine.current_state[0]]
        try:
            return _checked(getattr(self, name)(before), name, self)
        except Exception:
            self._node_of_mixin().get_logger().error(f"{name}() failed:\n{traceback.format_exc()}")
            return TransitionCallbackReturn.ERROR

    def _announce_transition(self, row: TransitionRow) -> None:
        """Publish the states only: rcl leaves the event's time and transition empty."""
        self._transition_event_publisher.publish(
            TransitionEvent(
                start_state=State(id=row.start_id, label=row.start_label),
                goal_state=State(id=row.goal_id, label=row.goal_label),
            )
        )

    # ------------------------------------------------------------------ callbacks to override

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ask the managed entities in turn; the first that does not return SUCCESS decides."""
        return self._ask_entities("on_configure", state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._ask_entities("on_cleanup", state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._ask_entities("on_shutdown", state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._ask_entities("on_activate", state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._ask_entities("on_deactivate", state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._ask_entities("on_error", state)

    def _ask_entities(self, name: str, state: LifecycleState) -> TransitionCallbackReturn:
        for entity in tuple(self._managed_entities):
            answer = _checked(getattr(entity, name)(state), name, entity)
            if answer is not TransitionCallbackReturn.SUCCESS:
                return answer
        return TransitionCallbackReturn.SUCCESS

    # ------------------------------------------------------------------ managed entities

    def add_managed_entity(self, entity: ManagedEntity) -> None:
        if not isinstance(entity, ManagedEntity):
            raise TypeError("Expected a rclpy.lifecycle.ManagedEntity instance.")
        self._managed_entities[entity] = None

    def create_lifecycle_publisher(self, *args: Any, **kwargs: Any) -> LifecyclePublisher:
        """Like create_publisher; what is published while the node is not active is dropped."""
        if "publisher_class" in kwargs:
            raise TypeError("create_lifecycle_publisher() takes no argument 'publisher_class'")
        publisher = Node.create_publisher(
            self._node_of_mixin(), *args, publisher_class=LifecyclePublisher, **kwargs
        )
        assert isinstance(publisher, LifecyclePublisher)
        self.add_managed_entity(publisher)
        return publisher

    def destroy_lifecycle_publisher(self, publisher: LifecyclePublisher) -> bool:
        self._managed_entities.pop(publisher, None)
        return Node.destroy_publisher(self._node_of_mixin(), publisher)

    # ------------------------------------------------------------------ services

    def _on_change_state(self, request: Any, response: Any) -> Any:
        """A label, where given, counts rather than the number. Impossible: success is False."""
        transition = request.transition
        try:
            number = transition.id
            if transition.label:
                number = self._state_machine.get_transition_by_label(transition.label)
            outcome = self._change_state(number)
        except RCLError as error:
            self._node_of_mixin().get_logger().warning(str(error))
            outcome = TransitionCallbackReturn.FAILURE
        response.success = outcome is TransitionCallbackReturn.SUCCESS
        return response

    def _on_get_state(self, request: Any, response: Any) -> Any:
        response.current_state.id, response.current_state.label = self._state_machine.current_state
        return response

    def _on_get_available_states(self, request: Any, response: Any) -> Any:
        states = self._state_machine.available_states
        response.available_states = [State(id=number, label=label) for number, label in states]
        return response

    def _on_get_transitions(self, request: Any, response: Any) -> Any:
        rows = self._state_machine.available_transitions
        response.available_transitions = [_describe(row) for row in rows]
        return response

    def _on_get_transition_graph(self, request: Any, response: Any) -> Any:
        rows = self._state_machine.transition_graph
        response.available_transitions = [_describe(row) for row in rows]
        return response


class LifecycleNode(LifecycleNodeMixin, Node):
    """A managed node; the arguments are those of Node and of LifecycleNodeMixin."""

    def __init__(
        self, node_name: str, *, enable_communication_interface: bool = True, **kwargs: Any
    ) -> None:
        _require_bool(enable_communication_interface)
        Node.__init__(self, node_name, **kwargs)
        LifecycleNodeMixin.__init__(
            self, enable_communication_interface=enable_communication_interface
        )


def _require_bool(enable_communication_interface: Any) -> None:
    if not isinstance(enable_communication_interface, bool):
        raise TypeError("enable_communication_interface must be a bool")


def _checked(answer: Any, name: str, owner: object) -> TransitionCallbackReturn:
    if not isinstance(answer, TransitionCallbackReturn):
        raise TypeError(f"{name}() of {owner} must return a TransitionCallbackReturn, not {answer!r}")
    return answer


def _describe(row: TransitionRow) -> Any:
    return TransitionDescription(
        transition=Transition(id=row.transition_id, label=row.label),
        start_state=State(id=row.start_id, label=row.start_label),
        goal_state=State(id=row.goal_id, label=row.goal_label),
    )
