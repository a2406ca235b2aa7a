"""Executors: run the callbacks of nodes in one or several threads.

Work is pushed: an entity with something to do puts itself into the executor's queue. The queue is
emptied in rounds; within a round entities run in rclpy's order (nodes as added; in a node timers,
subscriptions, guards, clients, services), one callback each, and what becomes ready meanwhile
waits for the next round. Tasks have a round to themselves first, so that what they cause takes its
place in the order with what was ready before; the round after that is for all. The order is thus the same in every run that receives the same messages
in the same order.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import operator
import os
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from pocketros.wakeup import Wakeup

from . import context as _context
from .context import Context
from .exceptions import UnsupportedFeatureError
from .task import Future, Task
from .utilities import get_default_context

if TYPE_CHECKING:
    from .node import Node

_KEY = operator.attrgetter("_key")


def _is_task(entity: Any) -> bool:
    return bool(entity._key[0] < 0)


class TimeoutException(Exception):
    """No callback became ready in time."""


class ShutdownException(Exception):
    """The executor was shut down while waiting."""


class ExternalShutdownException(Exception):
    """The context was shut down while waiting."""


class ConditionReachedException(Exception):
    """The awaited future is done."""


async def await_or_execute(callback: Callable[..., Any], *args: Any) -> Any:
    """Result of a callback, plain or `async def`."""
    result = callback(*args)
    return await result if inspect.isawaitable(result) else result


class Executor:
    """Base of the executors: the queue, waiting and the life of nodes."""

    def __init__(self, *, context: Context | None = None) -> None:
        self._context = context or get_default_context()
        self._nodes: list[Node] = []
        self._node_count = 0
        self._incoming: deque[Any] = deque()
        self._round: list[Any] = []
        self._tasks_alone = False
        self._blocked: deque[Any] = deque()
        self._wall_timers: tuple[Any, ...] = ()
        self._timers_changed = False
        self._event = Wakeup()
        self._sleeping = False
        self._is_shutdown = False
        self._nodes_lock = threading.RLock()
        self._context.on_shutdown(self.wake)

    @property
    def context(self) -> Context:
        return self._context

    # ------------------------------------------------------------------ nodes and tasks

    def add_node(self, node: Node) -> bool:
        """Serve a node's callbacks; takes it from the executor it is in. False if already here."""
        with self._nodes_lock:
            if node in self._nodes:
                return False
            if node._executor is not None:
                node._executor.remove_node(node)
            self._nodes.append(node)
            node._executor = self
            node._order = self._node_count
            self._node_count += 1
            for entity in node._entities():
                entity._attach(self, node._order)
        self.wake()
        return True

    def remove_node(self, node: Node) -> None:
        with self._nodes_lock:
            if node not in self._nodes:
                return
            self._nodes.remove(node)
            node._executor = None
            for entity in node._entities():
                entity._attach(None, 0)
            self._timers_changed = True
        self.wake()

    def get_nodes(self) -> list[Node]:
        return list(self._nodes)

    def create_task(self, callback: Any, *args: Any, **kwargs: Any) -> Task:
        """Run a function, coroutine function or coroutine in this executor."""
        task = Task(callback, args, kwargs, executor=self)
        task._signal()
        return task

    def wait_for_ready_callbacks(self, *_: Any, **__: Any) -> Any:
        raise UnsupportedFeatureError("pocketros has no wait sets, thus no wait_for_ready_callbacks")

    def wake(self) -> None:
        """Let a waiting spin look again."""
        self._event.set()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Stop spinning and let go of all nodes."""
        self._is_shutdown = True
        for node in self.get_nodes():
            self.remove_node(node)
        self.wake()
        return True

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    # ------------------------------------------------------------------ spinning

    def spin(self) -> None:
        """Run callbacks until the executor or the context is shut down."""
        while self._context.ok() and not self._is_shutdown:
            self.spin_once()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Run one callback; wait for one up to `timeout_sec` (None: for ever).

        ExternalShutdownException when the context is or gets shut down while waiting.
        """
        self._spin_once(timeout_sec, None)

    def spin_until_future_complete(self, future: Future, timeout_sec: float | None = None) -> None:
        """Run callbacks until `future` is done, time is up, or the context is shut down."""
        deadline = None if timeout_sec is None or timeout_sec < 0 else time.monotonic() + timeout_sec
        future._when_done(self.wake)
        while self._context.ok() and not self._is_shutdown:
            if future.done() or future.cancelled():
                return
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left < 0:
                return
            self.spin_once_until_future_complete(future, left)

    def spin_once_until_future_complete(
        self, future: Future, timeout_sec: float | None = None
    ) -> None:
        future._when_done(self.wake)
        self._spin_once(timeout_sec, lambda: future.done() or future.cancelled())

    def _spin_once(self, timeout_sec: float | None, condition: Callable[[], bool] | None) -> None:
        try:
            entity = self._wait(timeout_sec, condition)
        except (TimeoutException, ShutdownException, ConditionReachedException):
            return
        self._execute(entity)

    # ------------------------------------------------------------------ the queue

    def _enqueue(self, entity: Any) -> None:
        self._incoming.append(entity)
        if self._sleeping:
            self._event.set()

    def _pop(self) -> Any:
        """The next entity to run, its callback group already occupied; None if none is ready."""
        while True:
            current = self._round
            while current:
                entity = current.pop()
                if entity._executor is not self:
                    continue  # destroyed, or its node went to another executor
                group = entity.callback_group
                if group is None or group.beginning_execution(entity):
                    return entity
                self._blocked.append(entity)
            if not self._start_round():
                return None

    def _start_round(self) -> bool:
        if self._timers_changed:
            self._collect_wall_timers()
        for timer in self._wall_timers:
            if timer.is_ready():
                timer._signal()
        incoming = self._incoming
        if not incoming:
            return False
        batch = [incoming.popleft() for _ in range(len(incoming))]
        tasks_alone = False
        if len(batch) > 1:
            batch.sort(key=_KEY, reverse=True)
            if not self._tasks_alone and _is_task(batch[-1]) and not _is_task(batch[0]):
                tasks_alone = True
                incoming.extendleft(entity for entity in batch if not _is_task(entity))
                batch = [entity for entity in batch if _is_task(entity)]
        self._tasks_alone = tasks_alone
        self._round = batch
        return True

    def _collect_wall_timers(self) -> None:
        """Timers on simulated clocks announce themselves; only the others must be watched."""
        self._timers_changed = False
        with self._nodes_lock:
            timers = [timer for node in self._nodes for timer in node.timers]
        self._wall_timers = tuple(t for t in timers if not t._clock._simulated and not t.is_canceled())

    def _execute(self, entity: Any) -> None:
        """Run one callback of an entity that `_pop` returned."""
        entity._queued = False
        result = None
        try:
            result = entity._run()
        finally:
            if result.__class__ is not CoroutineType:
                self._release(entity)
        if result.__class__ is CoroutineType:
            task = Task(result, executor=self, on_end=lambda: self._release(entity))
            task()
            if task.exception() is not None:
                raise task.exception()  # type: ignore[misc]

    def _release(self, entity: Any) -> None:
        group = entity.callback_group
        if group is not None:
            group.ending_execution(entity)
        if entity._executor is self and entity._pending():
            entity._signal()
        while self._blocked:
            self._enqueue(self._blocked.popleft())

    # ------------------------------------------------------------------ waiting

    def _wait(self, timeout_sec: float | None, condition: Callable[[], bool] | None) -> Any:
        deadline = math.inf
        if timeout_sec is not None and timeout_sec >= 0:
            deadline = time.monotonic() + timeout_sec
        while True:
            if condition is not None and condition():
                raise ConditionReachedException()
            if self._is_shutdown:
                raise ShutdownException()
            if not self._context.ok():
                raise ExternalShutdownException()
            if (entity := self._pop()) is not None:
                return entity
            self._event.clear()
            self._sleeping = True
            try:
                if self._has_news() or self._must_return(condition):
                    continue
                now = time.monotonic()
                if now >= deadline:
                    raise TimeoutException()
                left = min(deadline - now, self._until_next_timer_s())
                self._event.wait(None if left == math.inf else max(0.0, min(left, 86400.0)))
            finally:
                self._sleeping = False

    def _has_news(self) -> bool:
        """True if `_pop` may find more than when it last found nothing."""
        return bool(self._incoming) or self._timers_changed

    def _must_return(self, condition: Callable[[], bool] | None) -> bool:
        return self._is_shutdown or not self._context.ok() or bool(condition and condition())

    def _until_next_timer_s(self) -> float:
        left = [t.time_until_next_call() for t in self._wall_timers if not t._queued]
        return min((ns for ns in left if ns is not None), default=math.inf) / 1e9


class SingleThreadedExecutor(Executor):
    """Runs callbacks in the thread that spins."""


class MultiThreadedExecutor(Executor):
    """Runs callbacks in a pool of threads, as far as their callback groups allow.

    An exception in a callback is raised by the next spin.
    """

    def __init__(self, num_threads: int | None = None, *, context: Context | None = None) -> None:
        super().__init__(context=context)
        self._num_threads = num_threads or _available_cores()
        if self._num_threads == 1:
            warnings.warn(
                "MultiThreadedExecutor is used with a single thread. Use the SingleThreadedExecutor instead.",
                stacklevel=2,
            )
        scope = _context._current_scope()
        self._executor = ThreadPoolExecutor(
            self._num_threads, "executor", initializer=_inherit_scope, initargs=(scope,)
        )
        self._running = 0
        self._errors: deque[BaseException] = deque()
        self._queue_lock = threading.RLock()

    def _pop(self) -> Any:
        with self._queue_lock:
            if self._errors or self._running >= self._num_threads:
                return None
            entity = super()._pop()
            self._running += entity is not None
            return entity

    def _has_news(self) -> bool:
        return self._running < self._num_threads and super()._has_news()

    def _until_next_timer_s(self) -> float:
        return super()._until_next_timer_s() if self._running < self._num_threads else math.inf

    def _must_return(self, condition: Callable[[], bool] | None) -> bool:
        return bool(self._errors) or super()._must_return(condition)

    def _spin_once(self, timeout_sec: float | None, condition: Callable[[], bool] | None) -> None:
        def stop() -> bool:
            return bool(self._errors) or bool(condition and condition())

        with contextlib.suppress(
            TimeoutException, ShutdownException, ConditionReachedException, ExternalShutdownException
        ):
            entity = self._wait(timeout_sec, stop)
            self._executor.submit(self._run_in_pool, entity)
        if self._errors:
            raise self._errors.popleft()

    def _run_in_pool(self, entity: Any) -> None:
        try:
            self._execute(entity)
        except BaseException as error:
            self._errors.append(error)
        finally:
            with self._queue_lock:
                self._running -= 1
            self.wake()

    def _release(self, entity: Any) -> None:
        with self._queue_lock:
            super()._release(entity)

    def shutdown(self, timeout_sec: float | None = None, *, wait_for_threads: bool = True) -> bool:
        """Stop; False if callbacks are still running after `timeout_sec`."""
        super().shutdown(timeout_sec)
        self._executor.shutdown(wait=False, cancel_futures=True)
        deadline = math.inf if timeout_sec is None else time.monotonic() + timeout_sec
        inside = threading.current_thread().name.startswith("executor")
        while wait_for_threads and not inside and self._running and time.monotonic() < deadline:
            self._event.wait(0.01)
        return not self._running


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 2


def _inherit_scope(scope: Any) -> None:
    _context._local.scope = scope
