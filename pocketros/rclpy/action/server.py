"""Action servers."""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from action_msgs.msg import GoalInfo, GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal

from ..constants import S_TO_NS
from ..exceptions import RCLError
from ..executors import await_or_execute
from ..qos import QoSProfile, qos_profile_action_status_default, qos_profile_services_default
from ..task import Future
from ..type_support import check_is_valid_action_type
from ..waitable import NumberOfEntities
from .server_goal import GoalEvent, ServerGoalHandle

if TYPE_CHECKING:
    from ..callback_groups import CallbackGroup
    from ..node import Node

Send = Callable[[Any], None]


class GoalResponse(Enum):
    REJECT = 1
    ACCEPT = 2


class CancelResponse(Enum):
    REJECT = 1
    ACCEPT = 2


def default_handle_accepted_callback(goal_handle: ServerGoalHandle) -> None:
    """Execute the goal at once."""
    goal_handle.execute()


def default_goal_callback(goal_request: Any) -> GoalResponse:
    """Accept all goals."""
    return GoalResponse.ACCEPT


def default_cancel_callback(cancel_request: Any) -> CancelResponse:
    """No cancellations."""
    return CancelResponse.REJECT


class ActionServer:
    """Accepts goals and executes them with `execute_callback(goal_handle) -> Result`.

    Executions are tasks of the executor, outside all callback groups. In a single-threaded
    executor nothing else runs meanwhile, a request to cancel neither, unless the callback is an
    `async def` that awaits.
    """

    def __init__(
        self,
        node: Node,
        action_type: Any,
        action_name: str,
        execute_callback: Callable[[ServerGoalHandle], Any],
        *,
        callback_group: CallbackGroup | None = None,
        goal_callback: Callable[[Any], Any] | None = default_goal_callback,
        handle_accepted_callback: Callable[[ServerGoalHandle], Any] | None = default_handle_accepted_callback,
        cancel_callback: Callable[[ServerGoalHandle], Any] | None = default_cancel_callback,
        goal_service_qos_profile: QoSProfile = qos_profile_services_default,
        result_service_qos_profile: QoSProfile = qos_profile_services_default,
        cancel_service_qos_profile: QoSProfile = qos_profile_services_default,
        feedback_pub_qos_profile: QoSProfile = QoSProfile(depth=10),  # noqa: B008
        status_pub_qos_profile: QoSProfile = qos_profile_action_status_default,
        result_timeout: float = 900,
    ) -> None:
        """`result_timeout`: seconds from acceptance after which an ended goal is forgotten."""
        self.register_handle_accepted_callback(handle_accepted_callback)
        self.register_goal_callback(goal_callback)
        self.register_cancel_callback(cancel_callback)
        self.register_execute_callback(execute_callback)
        check_is_valid_action_type(action_type)
        self._node = node
        self._action_type = action_type
        self._logger = node.get_logger().get_child("action_server")
        self._lock = threading.RLock()
        self._goal_handles: dict[bytes, ServerGoalHandle] = {}
        self._result_futures: dict[bytes, Future] = {}
        self._unscheduled: deque[tuple[Any, ServerGoalHandle]] = deque()
        self._result_timeout_ns = int(result_timeout * S_TO_NS)
        base, impl = f"{node.resolve_topic_name(action_name)}/_action", action_type.Impl
        group = callback_group or node.default_callback_group
        self._services = [
            node._create_deferred_service(kind, f"{base}/{name}", handle, qos, group)
            for name, kind, handle, qos in (
                ("send_goal", impl.SendGoalService, self._on_goal, goal_service_qos_profile),
                ("cancel_goal", impl.CancelGoalService, self._on_cancel, cancel_service_qos_profile),
                ("get_result", impl.GetResultService, self._on_get_result, result_service_qos_profile),
            )
        ]
        self._feedback_publisher, self._status_publisher = (
            node.create_publisher(kind, f"{base}/{name}", qos)
            for name, kind, qos in (
                ("feedback", impl.FeedbackMessage, feedback_pub_qos_profile),
                ("status", impl.GoalStatusMessage, status_pub_qos_profile),
            )
        )
        self._expire_timer = node.create_timer(1.0, self._expire_goals, group, autostart=False)
        self._schedule_guard = node.create_guard_condition(self._schedule, group)

    @property
    def action_type(self) -> Any:
        return self._action_type

    # ------------------------------------------------------------------ callbacks

    def register_handle_accepted_callback(self, handle_accepted_callback: Any) -> None:
        """Called with the handle of each accepted goal; None: execute it at once."""
        self._handle_accepted_callback = handle_accepted_callback or default_handle_accepted_callback

    def register_goal_callback(self, goal_callback: Any) -> None:
        """Called with each goal, returns a GoalResponse; None: accept all."""
        self._goal_callback = goal_callback or default_goal_callback

    def register_cancel_callback(self, cancel_callback: Any) -> None:
        """Called with the handle of a goal to cancel, returns a CancelResponse; None: refuse."""
        self._cancel_callback = cancel_callback or default_cancel_callback

    def register_execute_callback(self, execute_callback: Any) -> None:
        """Called with the goal handle, plain or `async def`; returns the action's Result."""
        if not callable(execute_callback):
            raise TypeError("Failed to register goal execution callback: not callable")
        self._execute_callback = execute_callback

    # ------------------------------------------------------------------ accepting and executing

    async def _on_goal(self, request: Any, send: Send) -> None:
        key = bytes(request.goal_id.uuid)
        accepted = key not in self._goal_handles and await self._ask_goal_callback(request.goal)
        info = GoalInfo(goal_id=request.goal_id)
        if accepted:
            info.stamp = self._node.get_clock().now().to_msg()
            handle = ServerGoalHandle(self, info, request.goal)
            with self._lock:
                accepted = key not in self._goal_handles  # a twin may have come in meanwhile
                if accepted:
                    self._goal_handles[key] = handle
                    self._result_futures[key] = Future()
        send(self._action_type.Impl.SendGoalService.Response(accepted=accepted, stamp=info.stamp))
        if accepted:
            await await_or_execute(self._handle_accepted_callback, handle)

    async def _ask_goal_callback(self, goal: Any) -> bool:
        answer = await await_or_execute(self._goal_callback, goal)
        if not isinstance(answer, GoalResponse):
            self._logger.warning("Goal request callback did not return a GoalResponse type. Rejecting goal.")
        return answer is GoalResponse.ACCEPT

    def notify_execute(self, goal_handle: ServerGoalHandle, execute_callback: Any) -> None:
        """Have the executor run the goal; while the node has none, wait until it gets one."""
        self._unscheduled.append((execute_callback or self._execute_callback, goal_handle))
        if self._node.executor is None:
            self._schedule_guard.trigger()
        else:
            self._schedule()

    def _schedule(self) -> None:
        while self._unscheduled:
            self._node.executor.create_task(self._execute_goal, *self._unscheduled.popleft())

    async def _execute_goal(self, execute_callback: Any, goal_handle: ServerGoalHandle) -> None:
        goal_id = goal_handle.goal_id.uuid
        try:
            result = await await_or_execute(execute_callback, goal_handle)
        except Exception:
            result = self._action_type.Result()  # the client must get an answer all the same
            self._logger.error(f"Error raised in execute callback:\n{traceback.format_exc()}")
        if goal_handle.is_active:
            self._logger.warning(f"Goal state not set, assuming aborted. Goal ID: {goal_id}")
            goal_handle.abort()
        response = self._action_type.Impl.GetResultService.Response(
            status=goal_handle.status, result=result
        )
        with self._lock:
            future = self._result_futures.get(bytes(goal_id))
        if future is not None:
            future.set_result(response)

    # ------------------------------------------------------------------ cancelling and results

    async def _on_cancel(self, request: Any, send: Send) -> None:
        response = CancelGoal.Response()
        response.return_code, candidates = self._find_goals_to_cancel(request.goal_info)
        for handle in candidates:
            if await await_or_execute(self._cancel_callback, handle) is not CancelResponse.ACCEPT:
                continue
            try:
                handle._update_state(GoalEvent.CANCEL_GOAL)
            except RCLError as error:  # it has ended in the meantime
                self._logger.debug(f"Failed to cancel goal in cancel callback: {error}")
            else:
                response.goals_canceling.append(handle._goal_info)
        send(response)

    def _find_goals_to_cancel(self, wanted: Any) -> tuple[int, list[ServerGoalHandle]]:
        """(return code, goals) meant by a request, as rcl_action reads it.

        An id alone: that goal. No id, no time: all. A time: all accepted up to then, and the id's.
        """
        key, until_ns = bytes(wanted.goal_id.uuid), _stamp_ns(wanted.stamp)
        with self._lock:
            handles = list(self._goal_handles.values())
            named = self._goal_handles.get(key)
        if any(key) and not until_ns:
            if named is None:
                return CancelGoal.Response.ERROR_UNKNOWN_GOAL_ID, []
            if not named._is_cancelable:
                return CancelGoal.Response.ERROR_GOAL_TERMINATED, []
            return CancelGoal.Response.ERROR_NONE, [named]
        found = [
            handle
            for handle in handles
            if handle._is_cancelable
            and (not until_ns or _stamp_ns(handle._goal_info.stamp) <= until_ns or handle is named)
        ]
        return CancelGoal.Response.ERROR_NONE, found

    def _on_get_result(self, request: Any, send: Send) -> None:
        with self._lock:
            future = self._result_futures.get(bytes(request.goal_id.uuid))
        if future is None:
            unknown = GoalStatus.STATUS_UNKNOWN
            send(self._action_type.Impl.GetResultService.Response(status=unknown))
            return
        future.add_done_callback(lambda done: send(done.result()) if done.done() else None)

    # ------------------------------------------------------------------ reports and expiry

    def _publish_feedback(self, message: Any) -> None:
        self._feedback_publisher.publish(message)

    def _publish_status(self) -> None:
        with self._lock:
            handles = list(self._goal_handles.values())
        entries = [GoalStatus(goal_info=h._goal_info, status=h.status) for h in handles]
        self._status_publisher.publish(GoalStatusArray(status_list=entries))

    def notify_goal_done(self) -> None:
        """Have the timer fire when the next ended goal is to be forgotten."""
        with self._lock:
            due = [self._expiry_ns(h) for h in self._goal_handles.values() if not h.is_active]
        if due:
            now_ns = self._node.get_clock().now().nanoseconds
            self._expire_timer._period_ns = max(0, min(due) - now_ns)
            self._expire_timer.reset()
        else:
            self._expire_timer.cancel()

    def _expiry_ns(self, handle: ServerGoalHandle) -> int:
        return _stamp_ns(handle._goal_info.stamp) + self._result_timeout_ns

    def _expire_goals(self) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        with self._lock:
            for key, handle in list(self._goal_handles.items()):
                if not handle.is_active and self._expiry_ns(handle) <= now_ns:
                    handle.destroy()
                    del self._goal_handles[key], self._result_futures[key]
        self.notify_goal_done()

    # ------------------------------------------------------------------ life

    def get_num_entities(self) -> NumberOfEntities:
        return NumberOfEntities(num_timers=1, num_services=3)

    def destroy(self) -> None:
        for handle in self._goal_handles.values():
            handle.destroy()
        for service in self._services:
            self._node.destroy_service(service)
        for publisher in (self._feedback_publisher, self._status_publisher):
            self._node.destroy_publisher(publisher)
        self._node.destroy_timer(self._expire_timer)
        self._node.destroy_guard_condition(self._schedule_guard)

    def __enter__(self) -> ActionServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()


def _stamp_ns(stamp: Any) -> int:
    return int(stamp.sec) * S_TO_NS + int(stamp.nanosec)
