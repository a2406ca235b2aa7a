"""Context: what lies between init() and shutdown(), and the default one of a thread."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pocketros import arguments
from pocketros.bus import Bus
from pocketros.transports import open_bus

from .exceptions import NotInitializedException, WithoutHandle, arguments_error


class Context(WithoutHandle):
    """Life time of a set of nodes: command line arguments, ROS domain and shutdown callbacks."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._valid = False
        self._was_shut_down = False
        self._bus: Bus | None = None
        self._domain_id = 0
        self._on_shutdown: list[weakref.WeakMethod[Any] | Callable[[], None]] = []
        self._nodes: weakref.WeakSet[Any] = weakref.WeakSet()
        self.arguments = arguments.Arguments()

    def init(
        self,
        args: Sequence[str] | None = None,
        *,
        initialize_logging: bool = True,
        domain_id: int | None = None,
    ) -> None:
        """Start the context. `args` None means sys.argv, or the scope's arguments in a launch."""
        with self._lock:
            if self._valid:
                raise RuntimeError("Context.init() must only be called once")
            scope = _current_scope()
            if scope is not None:
                scope.contexts.add(self)
            if args is None:
                args = sys.argv[1:] if scope is None else scope.argv
            try:
                self.arguments = arguments.parse(args)
            except arguments.ArgumentError as error:
                raise arguments_error(error) from error
            if domain_id is None:
                domain_id = int(os.environ.get("ROS_DOMAIN_ID") or 0)
            elif domain_id < 0:
                raise RuntimeError("Domain id must be non-negative")
            self._bus = open_bus(domain_id)
            self._domain_id = domain_id
            self._valid = True
            self._was_shut_down = False
        if initialize_logging:
            from .logging import configure

            configure(self.arguments)

    @property
    def bus(self) -> Bus:
        if not self._valid or self._bus is None:
            raise NotInitializedException()
        return self._bus

    def get_domain_id(self) -> int:
        return self._domain_id

    def ok(self) -> bool:
        return self._valid

    def shutdown(self) -> None:
        """Shut down; RuntimeError when the context is not initialised (any more)."""
        if not self._shutdown():
            raise RuntimeError("Context must be initialized before it can be shutdown")

    def try_shutdown(self) -> None:
        self._shutdown()

    def _shutdown(self) -> bool:
        with self._lock:
            if not self._valid:
                return False
            self._valid = False
            self._was_shut_down = True
            callbacks, self._on_shutdown = self._on_shutdown, []
        for entry in callbacks:
            callback = entry() if isinstance(entry, weakref.WeakMethod) else entry
            if callback is not None:
                callback()
        if self._bus is not None:
            self._bus.wake_waiters()
            self._bus.release()
        return True

    def destroy(self) -> None:
        """Shut down if that was not done; the context may be initialised again."""
        self._shutdown()

    def on_shutdown(self, callback: Callable[[], None]) -> None:
        """Call `callback` once at shutdown. Bound methods are held weakly."""
        if not callable(callback):
            raise TypeError("callback should be a callable")
        held = weakref.WeakMethod(callback) if hasattr(callback, "__self__") else callback
        with self._lock:
            if not self._was_shut_down:
                self._on_shutdown = [
                    entry
                    for entry in self._on_shutdown
                    if not isinstance(entry, weakref.WeakMethod) or entry() is not None
                ]
                self._on_shutdown.append(held)
                return
        callback()

    def track_node(self, node: Any) -> None:
        self._nodes.add(node)

    def untrack_node(self, node: Any) -> None:
        self._nodes.discard(node)

    def __enter__(self) -> Context:
        self.init()
        return self

    def __exit__(self, *_: object) -> None:
        self.try_shutdown()


class Scope:
    """A default context with its own command line, for the threads of one launched executable."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.context = Context()
        self.contexts: weakref.WeakSet[Context] = weakref.WeakSet()
        self.argv = list(argv)
        self.executor: Any = None

    def forget_executor(self) -> None:
        """Let the next init() start with a new global executor."""
        self.executor = None


_process_scope = Scope([])
_local = threading.local()


def _current_scope() -> Scope | None:
    return getattr(_local, "scope", None)


def default_scope() -> Scope:
    return _current_scope() or _process_scope


@contextlib.contextmanager
def scoped(scope: Scope) -> Iterator[Scope]:
    """Make `scope` hold this thread's default context; executors' worker threads inherit it."""
    before = _current_scope()
    _local.scope = scope
    try:
        yield scope
    finally:
        _local.scope = before
