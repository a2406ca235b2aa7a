"""Clocks, simulated time and jumps."""

from __future__ import annotations

import math
import threading
import time as _time
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

from .clock_type import ClockType
from .duration import Duration
from .exceptions import NotInitializedException, WithoutHandle
from .time import Time
from .utilities import get_default_context

if TYPE_CHECKING:
    from .context import Context
    from .timer import Timer

__all__ = ["Clock", "ClockChange", "ClockType", "JumpHandle", "JumpThreshold", "ROSClock", "TimeJump"]


class ClockChange(IntEnum):
    ROS_TIME_NO_CHANGE = 1
    ROS_TIME_ACTIVATED = 2
    ROS_TIME_DEACTIVATED = 3
    SYSTEM_TIME_NO_CHANGE = 4


class JumpThreshold:
    """Which jumps of time a callback wants to hear of."""

    def __init__(
        self,
        *,
        min_forward: Duration | None,
        min_backward: Duration | None,
        on_clock_change: bool = True,
    ) -> None:
        if min_forward is not None and min_forward.nanoseconds <= 0:
            raise ValueError("min_forward must be a positive non-zero duration")
        if min_backward is not None and min_backward.nanoseconds >= 0:
            raise ValueError("min_backward must be a negative non-zero duration")
        if min_forward is None and min_backward is None and not on_clock_change:
            raise ValueError("At least one jump threshold must be enabled")
        self.min_forward = min_forward
        self.min_backward = min_backward
        self.on_clock_change = on_clock_change

    def is_crossed(self, jump: TimeJump) -> bool:
        if jump.clock_change in (ClockChange.ROS_TIME_ACTIVATED, ClockChange.ROS_TIME_DEACTIVATED):
            return self.on_clock_change
        if self.min_forward is not None and jump.delta >= self.min_forward:
            return True
        return self.min_backward is not None and jump.delta <= self.min_backward


class TimeJump:
    def __init__(self, clock_change: ClockChange, delta: Duration) -> None:
        self.clock_change = clock_change
        self.delta = delta


class JumpHandle:
    """A registered jump callback; `unregister()` or leaving the `with` block removes it."""

    def __init__(
        self,
        *,
        clock: Clock,
        threshold: JumpThreshold,
        pre_callback: Callable[[], None] | None,
        post_callback: Callable[[TimeJump], None] | None,
    ) -> None:
        if pre_callback is None and post_callback is None:
            raise ValueError("One of pre_callback or post_callback must be callable")
        for callback in (pre_callback, post_callback):
            if callback is not None and not callable(callback):
                raise ValueError("callbacks must be callable if given")
        self.threshold = threshold
        self.pre_callback = pre_callback
        self.post_callback = post_callback
        self._clock: Clock | None = clock
        clock._jump_handles.append(self)

    def unregister(self) -> None:
        if self._clock is not None:
            self._clock._jump_handles.remove(self)
            self._clock = None

    def __enter__(self) -> JumpHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.unregister()


class Clock(WithoutHandle):
    """System or steady time; `Clock(clock_type=ClockType.ROS_TIME)` makes a ROSClock."""

    def __new__(cls, *, clock_type: ClockType = ClockType.SYSTEM_TIME) -> Clock:
        if not isinstance(clock_type, ClockType):
            raise TypeError("Clock type must be a ClockType enum")
        made = ROSClock if clock_type is ClockType.ROS_TIME else cls
        return super().__new__(made)

    def __init__(self, *, clock_type: ClockType = ClockType.SYSTEM_TIME) -> None:
        self._clock_type = clock_type
        self._jump_handles: list[JumpHandle] = []
        self._timers: list[Timer] = []

    @property
    def clock_type(self) -> ClockType:
        return self._clock_type

    def __repr__(self) -> str:
        return f"Clock(clock_type={self._clock_type.name})"

    def _now_ns(self) -> int:
        if self._clock_type is ClockType.STEADY_TIME:
            return _time.monotonic_ns()
        return _time.time_ns()

    @property
    def _simulated(self) -> bool:
        return False

    def now(self) -> Time:
        return Time(nanoseconds=self._now_ns(), clock_type=self._clock_type)

    def create_jump_callback(
        self,
        threshold: JumpThreshold,
        *,
        pre_callback: Callable[[], None] | None = None,
        post_callback: Callable[[TimeJump], None] | None = None,
    ) -> JumpHandle:
        return JumpHandle(
            clock=self, threshold=threshold, pre_callback=pre_callback, post_callback=post_callback
        )

    def sleep_until(self, until: Time, context: Context | None = None) -> bool:
        """Sleep until `until`; False if the context was shut down or the source of time changed."""
        context = context or get_default_context()
        if not context.ok():
            raise NotInitializedException()
        if until.clock_type != self._clock_type:
            raise ValueError("until's clock type does not match this clock's type")
        wake = threading.Event()
        changed = False

        def on_jump(jump: TimeJump) -> None:
            nonlocal changed
            activity = (ClockChange.ROS_TIME_ACTIVATED, ClockChange.ROS_TIME_DEACTIVATED)
            changed = changed or jump.clock_change in activity
            if changed or self._now_ns() >= until.nanoseconds:
                wake.set()

        context.on_shutdown(wake.set)
        threshold = JumpThreshold(min_forward=Duration(nanoseconds=1), min_backward=None)
        with self.create_jump_callback(threshold, post_callback=on_jump):
            while context.ok() and not changed and (left := until.nanoseconds - self._now_ns()) > 0:
                wake.wait(None if self._simulated else left / 1e9)
                wake.clear()
        return context.ok() and not changed

    def sleep_for(self, rel_time: Duration, context: Context | None = None) -> bool:
        return self.sleep_until(self.now() + rel_time, context)

    def _reschedule(self) -> None:
        """A timer of this clock was added, removed, reset or has fired."""


class ROSClock(Clock):
    """The clock of nodes: system time, or what is set from /clock while ROS time is active."""

    def __init__(self, *, clock_type: ClockType = ClockType.ROS_TIME) -> None:
        super().__init__(clock_type=ClockType.ROS_TIME)
        self._time_lock = threading.RLock()
        self._override_ns = 0
        self._active = False
        self._next_due_ns: float = math.inf

    @property
    def ros_time_is_active(self) -> bool:
        return self._active

    @property
    def _simulated(self) -> bool:
        return self._active

    def _now_ns(self) -> int:
        return self._override_ns if self._active else _time.time_ns()

    def _set_ros_time_is_active(self, enabled: bool) -> None:
        with self._time_lock:
            if enabled == self._active:
                return
            change = ClockChange.ROS_TIME_ACTIVATED if enabled else ClockChange.ROS_TIME_DEACTIVATED
            before = self._now_ns()
            credits = [timer._time_credit(before) for timer in self._timers]
            handles = self._begin_jump(TimeJump(change, Duration()))
            self._active = enabled
            now = self._now_ns()
            for timer, credit in zip(self._timers, credits, strict=True):
                timer._change_epoch(now, credit)
            self._end_jump(handles, TimeJump(change, Duration(nanoseconds=now - before)))
            self._reschedule()

    def set_ros_time_override(self, time: Time) -> None:
        """Set what now() returns while ROS time is active, and wake the timers that are due."""
        if not isinstance(time, Time):
            raise TypeError(f"Time must be specified as rclpy.time.Time. Received type: {type(time)}")
        self._override(time.nanoseconds)

    def _override(self, now_ns: int) -> None:
        with self._time_lock:
            delta = now_ns - self._override_ns
            if not self._active or not delta:
                self._override_ns = now_ns
                return
            if self._jump_handles:
                jump = TimeJump(ClockChange.ROS_TIME_NO_CHANGE, Duration(nanoseconds=delta))
                handles = self._begin_jump(jump)
                self._override_ns = now_ns
                self._end_jump(handles, jump)
            else:
                self._override_ns = now_ns
            if delta < 0:
                for timer in self._timers:
                    timer._jump_back(now_ns)
                self._reschedule()
            elif now_ns >= self._next_due_ns:
                for timer in tuple(self._timers):
                    if timer._is_due(now_ns):
                        timer._signal()

    def _begin_jump(self, jump: TimeJump) -> list[JumpHandle]:
        handles = [h for h in self._jump_handles if h.threshold.is_crossed(jump)]
        for handle in handles:
            if handle.pre_callback:
                handle.pre_callback()
        return handles

    def _end_jump(self, handles: list[JumpHandle], jump: TimeJump) -> None:
        for handle in handles:
            if handle.post_callback:
                handle.post_callback(jump)

    def _reschedule(self) -> None:
        with self._time_lock:
            self._next_due_ns = min((t._next_call_ns for t in self._timers), default=math.inf)
            for timer in self._timers:
                if timer._executor is not None:
                    timer._executor._timers_changed = True
