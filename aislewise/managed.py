"""Managed nodes: ROS 2 lifecycle nodes with our conventions.

configure reads files and opens what is needed, activate starts the work, deactivate stops it, cleanup gives
everything back. What a node subscribes, publishes and times between configure and cleanup is tracked here.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from aislewise.clock import to_ns
from aislewise.diagnostics import Concern, Level
from aislewise.errors import AislewiseError, StateError
from aislewise.node import PROFILES, AislewiseNode, message_class
from aislewise.settings import setting
from aislewise.topics import Topic

Transition = Callable[[Any, LifecycleState], TransitionCallbackReturn]


@dataclass(frozen=True)
class ManagedConfig:
    """ROS 2's YAML launch files have no lifecycle_node, so nodes are able to start themselves."""

    autostart: bool = setting(
        True, "configure and activate at start; false leaves that to a lifecycle manager", live=False
    )


def transition(callback: Transition) -> Transition:
    """Wraps an `on_...` callback: an AislewiseError refuses the transition, other errors go to on_error; both are
    logged, which rclpy does not do."""

    @functools.wraps(callback)
    def guarded(self: ManagedNode, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return callback(self, state)
        except AislewiseError as error:
            self.failure = error
            self.get_logger().error(f"{callback.__name__}: {error}")
            if callback.__name__ == "on_configure":
                self.give_back()
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self.get_logger().error(f"{callback.__name__} failed:\n{traceback.format_exc()}")
            return TransitionCallbackReturn.ERROR

    return guarded


class ManagedNode(AislewiseNode, LifecycleNode):
    """Override on_configure, on_activate, on_deactivate with @transition and `return super()....(state)`; override
    `give_back` for what cleanup must close. Call `autostart()` last in `__init__`."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.is_active = False
        self.failure: AislewiseError | None = None
        self._tracked: list[tuple[Callable[[Any], Any], Any]] = []
        self._periodic: list[Any] = []
        self._managed = self.config(ManagedConfig)

    def autostart(self) -> None:
        """Configure and activate, if the parameter says so; raises why that was not possible."""
        if not self._managed.autostart:
            return
        for step in (self.trigger_configure, self.trigger_activate):
            if step() != TransitionCallbackReturn.SUCCESS:
                raise self.failure or StateError(f"{self.get_fully_qualified_name()} did not start; see its log")

    # --- what lives from configure to cleanup ------------------------------------------------------

    def advertise(self, topic: Topic, prefix: str = "") -> Any:
        """A lifecycle publisher: silent unless the node is active."""
        publisher = self.create_lifecycle_publisher(
            message_class(topic.type), prefix + topic.name, PROFILES[topic.qos]
        )
        if self.is_active:  # others are activated with the node
            publisher.on_activate(LifecycleState(label="active", state_id=3))
        self._tracked.append((self.destroy_lifecycle_publisher, publisher))
        return publisher

    def listen(self, topic: Topic, callback: Callable[[Any], None], prefix: str = "") -> Any:
        subscription = super().listen(topic, callback, prefix)
        self._tracked.append((self.destroy_subscription, subscription))
        return subscription

    def every(self, period_s: float, callback: Callable[[], None]) -> Any:
        """A timer that runs while the node is active."""
        timer = super().every(period_s, callback)
        if not self.is_active:
            timer.cancel()
        self._tracked.append((self.destroy_timer, timer))
        self._periodic.append(timer)
        return timer

    def retime(self, timer: Any, period_s: float) -> None:
        """Another period for a timer of `every`; None or one that is gone is left alone."""
        if timer in self._periodic and timer.timer_period_ns != to_ns(period_s):
            timer.timer_period_ns = to_ns(period_s)

    def serve(self, srv_type: Any, name: str, callback: Callable[[Any, Any], Any]) -> Any:
        """A service that answers from configure to cleanup, active or not."""
        service = self.create_service(srv_type, name, callback)
        self._tracked.append((self.destroy_service, service))
        return service

    def listens_to(self, topic: Topic) -> bool:
        """While inactive, only latched topics: they are not sent again."""
        return self.is_active or topic.qos == "latched"

    def give_back(self) -> None:
        """Destroy and close what configure made; may be called twice."""
        self.is_active = False
        tracked, self._tracked, self._periodic = self._tracked, [], []
        for destroy, entity in reversed(tracked):
            destroy(entity)
        self.inputs.clear()

    # --- transitions -------------------------------------------------------------------------------

    @transition
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        outcome = super().on_activate(state)
        self.is_active = True
        for watch in self.inputs.values():
            watch.restart(self.now_ns())
        for timer in self._periodic:
            timer.reset()
        return outcome

    @transition
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.is_active = False
        for timer in self._periodic:
            timer.cancel()
        return super().on_deactivate(state)

    @transition
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.give_back()
        return super().on_cleanup(state)

    @transition
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.give_back()
        return super().on_shutdown(state)

    @transition
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured, from where it can be configured again."""
        self.give_back()
        return super().on_error(state)

    def concerns(self, now_ns: int) -> Iterable[Concern]:
        if self.is_active:
            return (Concern("lifecycle", message="active"),)
        return (Concern("lifecycle", Level.WARN, "not active"),)

    def destroy_node(self) -> None:
        self.give_back()
        super().destroy_node()
