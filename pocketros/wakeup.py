"""A wake-up call that signal handlers may make too."""

from __future__ import annotations

import queue


class Wakeup:
    """Like threading.Event, but `set()` never blocks on a lock that the interrupted thread holds.

    Event.set() called from a signal handler can deadlock if the signal came while the same thread
    was inside Event.wait(); SimpleQueue.put() is documented to be reentrant.
    """

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        if self._calls.empty():
            self._calls.put(None)

    def clear(self) -> None:
        try:
            while True:
                self._calls.get_nowait()
        except queue.Empty:
            pass

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until called; False when time is up. Takes the call with it, as clear() would."""
        try:
            self._calls.get(timeout=timeout_s)
        except queue.Empty:
            return False
        return True
