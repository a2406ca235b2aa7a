"""Action clients."""

from __future__ import annotations

import threading
import uuid
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from action_msgs.msg import GoalStatus
from unique_identifier_msgs.msg import UUID

from ..qos import QoSProfile, qos_profile_action_status_default, qos_profile_services_default
from ..task import Future
from ..type_support import check_is_valid_action_type
from ..waitable import NumberOfEntities

if TYPE_CHECKING:
    from ..callback_groups import CallbackGroup
    from ..node import Node

_FINAL = (GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_CANCELED, GoalStatus.STATUS_ABORTED)


class ClientGoalHandle:
    """The client's view of a goal that the server has answered to."""

    def __init__(self, action_client: ActionClient, goal_id: Any, goal_response: Any) -> None:
        self._action_client = action_client
        self._goal_id = goal_id
        self._goal_response = goal_response
        self._status = GoalStatus.STATUS_UNKNOWN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClientGoalHandle) and self._goal_id == other._goal_id

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"ClientGoalHandle <id={self._goal_id.uuid}, accepted={self.accepted}, status={self._status}>"
        )

    @property
    def goal_id(self) -> Any:
        return self._goal_id

    @property
    def stamp(self) -> Any:
        """When the server accepted the goal, by the server's clock."""
        return self._goal_response.stamp

    @property
    def accepted(self) -> bool:
        return bool(self._goal_response.accepted)

    @property
    def status(self) -> int:
        """Last status heard from the server, one of action_msgs/msg/GoalStatus."""
        return int(self._status)

    def cancel_goal(self) -> Any:
        """Ask to cancel and block until the answer; another thread must be spinning."""
        return _wait_for(self.cancel_goal_async())

    def cancel_goal_async(self) -> Future:
        return self._action_client._cancel_goal_async(self)

    def get_result(self) -> Any:
        """Block until the goal has ended; another thread must be spinning."""
        return _wait_for(self.get_result_async())

    def get_result_async(self) -> Future:
        return self._action_client._get_result_async(self)


class ActionClient:
    """Sends goals to an action server, follows and cancels them."""

    def __init__(
        self,
        node: Node,
        action_type: Any,
        action_name: str,
        *,
        callback_group: CallbackGroup | None = None,
        goal_service_qos_profile: QoSProfile = qos_profile_services_default,
        result_service_qos_profile: QoSProfile = qos_profile_services_default,
        cancel_service_qos_profile: QoSProfile = qos_profile_services_default,
        feedback_sub_qos_profile: QoSProfile = QoSProfile(depth=10),  # noqa: B008
        status_sub_qos_profile: QoSProfile = qos_profile_action_status_default,
    ) -> None:
        check_is_valid_action_type(action_type)
        self._node = node
        self._action_type = action_type
        self._lock = threading.Lock()
        self._goal_handles: dict[bytes, weakref.ref[ClientGoalHandle]] = {}
        self._feedback_callbacks: dict[bytes, Callable[[Any], Any]] = {}
        base, impl = f"{node.resolve_topic_name(action_name)}/_action", action_type.Impl
        self._goal_client, self._result_client, self._cancel_client = (
            node.create_client(kind, f"{base}/{name}", qos_profile=qos, callback_group=callback_group)
            for name, kind, qos in (
                ("send_goal", impl.SendGoalService, goal_service_qos_profile),
                ("get_result", impl.GetResultService, result_service_qos_profile),
                ("cancel_goal", impl.CancelGoalService, cancel_service_qos_profile),
            )
        )
        self._feedback_subscription, self._status_subscription = (
            node.create_subscription(kind, f"{base}/{name}", handle, qos, callback_group=callback_group)
            for name, kind, handle, qos in (
                ("feedback", impl.FeedbackMessage, self._on_feedback, feedback_sub_qos_profile),
                ("status", impl.GoalStatusMessage, self._on_status, status_sub_qos_profile),
            )
        )

    # ------------------------------------------------------------------ the server

    def server_is_ready(self) -> bool:
        """True if a server offers all three services and both topics."""
        clients = (self._goal_client, self._result_client, self._cancel_client)
        topics = (self._feedback_subscription, self._status_subscription)
        return all(client.service_is_ready() for client in clients) and all(
            topic.get_publisher_count() for topic in topics
        )

    def wait_for_server(self, timeout_sec: float | None = None) -> bool:
        """Block until a server is there; False when time is up or the context was shut down."""
        context = self._node.context

        def ready() -> bool:
            return self.server_is_ready() or not context.ok()

        context.bus.wait_for_change(ready, None if timeout_sec is None else max(0.0, timeout_sec))
        return self.server_is_ready()

    # ------------------------------------------------------------------ goals

    def send_goal(self, goal: Any, **kwargs: Any) -> Any:
        """Send a goal and block until its result is there; another thread must be spinning."""
        handle = _wait_for(self.send_goal_async(goal, **kwargs))
        return handle.get_result()

    def send_goal_async(
        self,
        goal: Any,
        feedback_callback: Callable[[Any], Any] | None = None,
        goal_uuid: Any = None,
    ) -> Future:
        """Send a goal; the future's result is a ClientGoalHandle once the server has answered.

        `feedback_callback` receives the action's FeedbackMessage. TypeError if `goal` is none.
        """
        if not isinstance(goal, self._action_type.Goal):
            raise TypeError(f"expected {self._action_type.Goal}, got {type(goal)}")
        goal_id = UUID(uuid=list(uuid.uuid4().bytes)) if goal_uuid is None else goal_uuid
        if feedback_callback is not None:
            self._feedback_callbacks[bytes(goal_id.uuid)] = feedback_callback
        request = self._action_type.Impl.SendGoalService.Request(goal_id=goal_id, goal=goal)
        return _then(
            self._goal_client.call_async(request), lambda answer: self._on_answer(goal_id, answer)
        )

    def _on_answer(self, goal_id: Any, answer: Any) -> ClientGoalHandle:
        handle, key = ClientGoalHandle(self, goal_id, answer), bytes(goal_id.uuid)
        if not handle.accepted:
            self._feedback_callbacks.pop(key, None)
            return handle
        with self._lock:
            known = self._goal_handles.get(key)
            if known is not None and known() is not None:
                raise RuntimeError(f"Two goals were accepted with the same ID ({handle})")
            self._goal_handles[key] = weakref.ref(handle)
        return handle

    def _cancel_goal_async(self, goal_handle: ClientGoalHandle) -> Future:
        request = self._action_type.Impl.CancelGoalService.Request()
        request.goal_info.goal_id = goal_handle.goal_id
        return self._cancel_client.call_async(request)

    def _get_result_async(self, goal_handle: ClientGoalHandle) -> Future:
        request = self._action_type.Impl.GetResultService.Request(goal_id=goal_handle.goal_id)
        key = bytes(goal_handle.goal_id.uuid)

        def on_result(response: Any) -> Any:
            self._feedback_callbacks.pop(key, None)  # after its result a goal has nothing to report
            return response

        return _then(self._result_client.call_async(request), on_result)

    def _on_feedback(self, message: Any) -> Any:
        callback = self._feedback_callbacks.get(bytes(message.goal_id.uuid))
        return callback(message) if callback is not None else None

    def _on_status(self, message: Any) -> None:
        with self._lock:
            for entry in message.status_list:
                key = bytes(entry.goal_info.goal_id.uuid)
                known = self._goal_handles.get(key)
                if known is None:
                    continue
                handle = known()
                if handle is not None:
                    handle._status = entry.status
                if handle is None or entry.status in _FINAL:
                    del self._goal_handles[key]

    # ------------------------------------------------------------------ life

    def get_num_entities(self) -> NumberOfEntities:
        return NumberOfEntities(num_subscriptions=2, num_clients=3)

    def destroy(self) -> None:
        for client in (self._goal_client, self._result_client, self._cancel_client):
            self._node.destroy_client(client)
        for subscription in (self._feedback_subscription, self._status_subscription):
            self._node.destroy_subscription(subscription)

    def __enter__(self) -> ActionClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()


def _then(source: Future, convert: Callable[[Any], Any]) -> Future:
    """A future of `convert(result of source)`; fails or is cancelled along with `source`."""
    future = Future(executor=source._executor)

    def pass_on() -> None:
        if source.cancelled():
            future.cancel()
            return
        future._set_executor(source._executor)
        try:
            result = convert(source.result())
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    source._when_done(pass_on)
    return future


def _wait_for(future: Future) -> Any:
    done = threading.Event()
    future._when_done(done.set)
    done.wait()
    return future.result()
