"""Futures, and tasks that step coroutines inside an executor."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Generator
from typing import Any

from ._entity import TASK


class Future:
    """A result that arrives later; `await` it in callbacks, or spin until it is done."""

    def __init__(self, *, executor: Any = None) -> None:
        self._done = False
        self._cancelled = False
        self._result: Any = None
        self._exception: BaseException | None = None
        self._callbacks: list[Callable[[Future], Any]] = []
        self._lock = threading.Lock()
        self._executor = executor

    def __await__(self) -> Generator[Future, None, Any]:
        while not (self._done or self._cancelled):
            yield self
        return self.result()

    def cancel(self) -> None:
        with self._lock:
            if self._done or self._cancelled:
                return
            self._cancelled = True
        self._announce()

    def cancelled(self) -> bool:
        return self._cancelled

    def done(self) -> bool:
        return self._done

    def result(self) -> Any:
        """The result, or None before it is there. Raises the exception that was set."""
        if self._exception is not None:
            raise self._exception
        return self._result

    def exception(self) -> BaseException | None:
        return self._exception

    def set_result(self, result: Any) -> None:
        with self._lock:
            self._result = result
            self._done = True
            self._cancelled = False
        self._announce()

    def set_exception(self, exception: BaseException) -> None:
        with self._lock:
            self._exception = exception
            self._done = True
            self._cancelled = False
        self._announce()

    def add_done_callback(self, callback: Callable[[Future], Any]) -> None:
        """Call `callback(self)` once done: in the executor where there is one, else at once."""
        with self._lock:
            if not (self._done or self._cancelled):
                self._callbacks.append(callback)
                return
        self._dispatch(callback)

    def remove_done_callback(self, callback: Callable[[Future], Any]) -> bool:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)
                return True
        return False

    def _when_done(self, callback: Callable[[], Any]) -> None:
        """Like add_done_callback, but called at once by whoever completes the future."""
        with self._lock:
            if not (self._done or self._cancelled):
                self._callbacks.append(_Immediate(callback))
                return
        callback()

    def _announce(self) -> None:
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            self._dispatch(callback)

    def _dispatch(self, callback: Callable[[Future], Any]) -> None:
        if self._executor is None or isinstance(callback, _Immediate):
            callback(self)
        else:
            self._executor.create_task(callback, self)

    def _set_executor(self, executor: Any) -> None:
        self._executor = executor


class _Immediate:
    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], Any]) -> None:
        self._callback = callback

    def __call__(self, _: Future) -> None:
        self._callback()


class Task(Future):
    """A function call or coroutine run by an executor, stepwise where it awaits futures.

    It queues itself like an entity of kind TASK; `on_end` is called once when it is finished.
    """

    _key = (-1, TASK, 0)
    callback_group = None

    def __init__(
        self,
        handler: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        executor: Any = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(executor=executor)
        self._handler = handler
        self._args, self._kwargs = args, kwargs or {}
        self._on_end = on_end
        self._queued = False
        self._executing = False

    def executing(self) -> bool:
        return self._executing

    def _signal(self) -> None:
        if not self._queued and self._executor is not None:
            self._queued = True
            self._executor._enqueue(self)

    def _run(self) -> None:
        self()
        if self._exception is not None:
            raise self._exception

    def _pending(self) -> bool:
        return False

    def __call__(self) -> None:
        """Run, or run on, until done or until a future is awaited that is not."""
        if self._done or self._cancelled or self._executing:
            return
        self._executing = True
        try:
            if not inspect.iscoroutine(self._handler):
                result = self._handler(*self._args, **self._kwargs)
                if not inspect.iscoroutine(result):
                    self._finish(result, None)
                    return
                self._handler = result
            awaited = self._handler.send(None)
        except StopIteration as stop:
            self._finish(stop.value, None)
        except Exception as error:
            self._finish(None, error)
        else:
            self._executing = False
            if awaited is None:
                self._signal()
            elif isinstance(awaited, Future):
                awaited._when_done(self._signal)
            else:
                self._finish(None, RuntimeError(f"callbacks can await futures only, not {awaited!r}"))
        finally:
            self._executing = False

    def _finish(self, result: Any, error: Exception | None) -> None:
        if self._on_end is not None:
            self._on_end()
        if error is None:
            self.set_result(result)
        else:
            self.set_exception(error)
