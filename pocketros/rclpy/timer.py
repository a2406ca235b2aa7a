"""Timers and rates. The schedule is rcl's: one catch-up after a stall, then in phase again."""

from __future__ import annotations

import inspect
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._entity import TIMER, Entity
from .exceptions import InvalidHandle, ROSInterruptException
from .time import Time

if TYPE_CHECKING:
    from .callback_groups import CallbackGroup
    from .clock import Clock
    from .context import Context


@dataclass(frozen=True, slots=True)
class TimerInfo:
    expected_call_time: Time
    actual_call_time: Time


class Timer(Entity):
    """Calls back once per period of its clock, for the first time after one period."""

    _kind = TIMER

    def __init__(
        self,
        callback: Callable[..., Any] | None,
        callback_group: CallbackGroup,
        timer_period_ns: int,
        clock: Clock,
        *,
        context: Context | None = None,
        autostart: bool = True,
    ) -> None:
        super().__init__(callback_group)
        if timer_period_ns < 0:
            raise ValueError("timer period must not be negative")
        self._period_ns = int(timer_period_ns)
        self._clock = clock
        self.callback = callback
        self._last_call_ns = clock._now_ns()
        self._next_call_ns: float = self._last_call_ns + self._period_ns if autostart else math.inf
        clock._timers.append(self)
        clock._reschedule()

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def callback(self) -> Callable[..., Any] | None:
        return self._callback

    @callback.setter
    def callback(self, value: Callable[..., Any] | None) -> None:
        self._callback = value
        self._wants_info = value is not None and _takes_info(value)

    @property
    def timer_period_ns(self) -> int:
        return self._period_ns

    @timer_period_ns.setter
    def timer_period_ns(self, value: int) -> None:
        self._period_ns = int(value)
        if not self.is_canceled():
            self.reset()

    def is_ready(self) -> bool:
        return self._is_due(self._clock._now_ns())

    def is_canceled(self) -> bool:
        return self._next_call_ns == math.inf

    def cancel(self) -> None:
        self._next_call_ns = math.inf
        self._clock._reschedule()

    def reset(self) -> None:
        """Start anew, also after cancel(): next call one period from now."""
        self._last_call_ns = self._clock._now_ns()
        self._next_call_ns = self._last_call_ns + self._period_ns
        self._clock._reschedule()
        if self._executor is not None:
            self._executor._timers_changed = True
            self._executor.wake()

    def time_since_last_call(self) -> int:
        return self._clock._now_ns() - self._last_call_ns

    def time_until_next_call(self) -> int | None:
        if self.is_canceled():
            return None
        return int(self._next_call_ns) - self._clock._now_ns()

    def destroy(self) -> None:
        if self._detach():
            self._next_call_ns = math.inf
            if self in self._clock._timers:
                self._clock._timers.remove(self)
            self._clock._reschedule()

    def _is_due(self, now_ns: int) -> bool:
        return now_ns >= self._next_call_ns

    def _attach(self, executor: Any, node_order: int) -> None:
        super()._attach(executor, node_order)
        if executor is not None:
            executor._timers_changed = True

    def _pending(self) -> bool:
        return self._is_due(self._clock._now_ns())

    def _run(self) -> Any:
        now = self._clock._now_ns()
        if not self._is_due(now):
            return None
        expected = int(self._next_call_ns)
        self._last_call_ns = now
        self._next_call_ns = _next_call(expected, self._period_ns, now)
        self._clock._reschedule()
        if self._callback is None:
            return None
        if not self._wants_info:
            return self._callback()
        kind = self._clock.clock_type
        return self._callback(
            TimerInfo(
                Time(nanoseconds=max(0, expected), clock_type=kind),
                Time(nanoseconds=now, clock_type=kind),
            )
        )

    # Jumps of ROS time (rcl/timer.c, _rcl_timer_time_jump).

    def _time_credit(self, now_ns: int) -> float:
        return self._next_call_ns - now_ns if now_ns else 0

    def _change_epoch(self, now_ns: int, credit: float) -> None:
        if self.is_canceled():
            return
        if now_ns and credit:
            self._next_call_ns = now_ns - credit + self._period_ns
            self._last_call_ns = int(now_ns - credit)
        else:
            self._last_call_ns, self._next_call_ns = now_ns, now_ns + self._period_ns

    def _jump_back(self, now_ns: int) -> None:
        if now_ns < self._last_call_ns and not self.is_canceled():
            self._last_call_ns, self._next_call_ns = now_ns, now_ns + self._period_ns


def _next_call(expected_ns: int, period_ns: int, now_ns: int) -> int:
    """Time of the call after one that was expected at `expected_ns` and made at `now_ns`."""
    if period_ns == 0:
        return now_ns
    following = expected_ns + period_ns
    if following < now_ns:
        following += (1 + (now_ns - following - 1) // period_ns) * period_ns
    return following


def _takes_info(callback: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.annotation in (TimerInfo, "TimerInfo") for p in parameters)


class Rate:
    """Sleeps out the rest of each period; needs another thread that spins the node."""

    def __init__(self, timer: Timer, *, context: Context) -> None:
        self._timer = timer
        self._context = context
        self._fired = threading.Event()
        self._lock = threading.Lock()
        self._sleepers = 0
        self._destroyed = False
        timer.callback = self._fired.set
        context.on_shutdown(self._fired.set)

    def sleep(self) -> None:
        """Block until the timer fires, or not at all if it has fired since the last sleep.

        ROSInterruptException on shutdown, InvalidHandle if the rate is destroyed.
        """
        self._check()
        with self._lock:
            self._sleepers += 1
        self._fired.wait()
        with self._lock:
            self._sleepers -= 1
            if not self._sleepers:
                self._fired.clear()
        self._check()

    def _check(self) -> None:
        if not self._context.ok():
            raise ROSInterruptException()
        if self._destroyed:
            raise InvalidHandle("rate was destroyed")

    def destroy(self) -> None:
        self._destroyed = True
        self._fired.set()
