"""The server's view of one goal, and the states it passes through (rcl_action's goal_state_machine.c)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from action_msgs.msg import GoalStatus

from ..exceptions import RCLError

if TYPE_CHECKING:
    from .server import ActionServer


class GoalEvent(Enum):
    EXECUTE = 0
    CANCEL_GOAL = 1
    SUCCEED = 2
    ABORT = 3
    CANCELED = 4


_TRANSITIONS = {
    (GoalStatus.STATUS_ACCEPTED, GoalEvent.EXECUTE): GoalStatus.STATUS_EXECUTING,
    (GoalStatus.STATUS_ACCEPTED, GoalEvent.CANCEL_GOAL): GoalStatus.STATUS_CANCELING,
    (GoalStatus.STATUS_EXECUTING, GoalEvent.CANCEL_GOAL): GoalStatus.STATUS_CANCELING,
    (GoalStatus.STATUS_EXECUTING, GoalEvent.SUCCEED): GoalStatus.STATUS_SUCCEEDED,
    (GoalStatus.STATUS_EXECUTING, GoalEvent.ABORT): GoalStatus.STATUS_ABORTED,
    (GoalStatus.STATUS_CANCELING, GoalEvent.SUCCEED): GoalStatus.STATUS_SUCCEEDED,
    (GoalStatus.STATUS_CANCELING, GoalEvent.ABORT): GoalStatus.STATUS_ABORTED,
    (GoalStatus.STATUS_CANCELING, GoalEvent.CANCELED): GoalStatus.STATUS_CANCELED,
}
_CANCELABLE = (GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING)
_ACTIVE = (*_CANCELABLE, GoalStatus.STATUS_CANCELING)


class ServerGoalHandle:
    """Handed to the server's callbacks; they report feedback and the goal's end through it."""

    def __init__(self, action_server: ActionServer, goal_info: Any, goal_request: Any) -> None:
        self._action_server = action_server
        self._goal_info = goal_info
        self._goal_request = goal_request
        self._lock = threading.RLock()
        self._status = GoalStatus.STATUS_ACCEPTED

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ServerGoalHandle) and self.goal_id == other.goal_id

    __hash__ = None  # type: ignore[assignment]

    @property
    def request(self) -> Any:
        """The goal message."""
        return self._goal_request

    @property
    def goal_id(self) -> Any:
        return self._goal_info.goal_id

    @property
    def status(self) -> int:
        """One of action_msgs/msg/GoalStatus; UNKNOWN once the server has forgotten the goal."""
        return int(self._status)

    @property
    def is_active(self) -> bool:
        return self._status in _ACTIVE

    @property
    def is_cancel_requested(self) -> bool:
        return bool(self._status == GoalStatus.STATUS_CANCELING)

    @property
    def _is_cancelable(self) -> bool:
        return self._status in _CANCELABLE

    def execute(self, execute_callback: Callable[[ServerGoalHandle], Any] | None = None) -> None:
        """Have the goal executed by `execute_callback`, or by the server's."""
        if not self.is_cancel_requested:
            self._update_state(GoalEvent.EXECUTE)
        self._action_server.notify_execute(self, execute_callback)

    def publish_feedback(self, feedback: Any) -> None:
        """Report progress to whoever sent the goal. TypeError if it is no Feedback of the action."""
        action_type = self._action_server.action_type
        if not isinstance(feedback, action_type.Feedback):
            raise TypeError(f"expected {action_type.Feedback}, got {type(feedback)}")
        if self._status != GoalStatus.STATUS_UNKNOWN:
            self._action_server._publish_feedback(
                action_type.Impl.FeedbackMessage(goal_id=self.goal_id, feedback=feedback)
            )

    def succeed(self) -> None:
        self._update_state(GoalEvent.SUCCEED)

    def abort(self) -> None:
        self._update_state(GoalEvent.ABORT)

    def canceled(self) -> None:
        self._update_state(GoalEvent.CANCELED)

    def _update_state(self, event: GoalEvent) -> None:
        """RCLError if the goal's state does not allow the event; nothing for a forgotten goal."""
        with self._lock:
            if self._status == GoalStatus.STATUS_UNKNOWN:
                return
            following = _TRANSITIONS.get((self._status, event))
            if following is None:
                raise RCLError(
                    f"Failed to update goal state: goal in state {self._status} can not {event.name}"
                )
            self._status = following
            is_active = self.is_active
        self._action_server._publish_status()
        if not is_active:
            self._action_server.notify_goal_done()

    def destroy(self) -> None:
        self._status = GoalStatus.STATUS_UNKNOWN
