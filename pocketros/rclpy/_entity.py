"""What an executor can run: the common base of timers, subscriptions, guards, clients, services."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from .exceptions import WithoutHandle

if TYPE_CHECKING:
    from .callback_groups import CallbackGroup

TASK, TIMER, SUBSCRIPTION, GUARD, CLIENT, SERVICE = range(6)
"""Order in which the ready entities of a node run within one round."""

_serial = itertools.count()


class Entity(WithoutHandle):
    """Something with a callback.

    Readiness is pushed, not polled: `_signal()` puts the entity into its executor's queue once;
    the executor later calls `_run()`, and `_signal()` again if work is `_pending()`.
    """

    _kind = TASK

    def __init__(self, callback_group: CallbackGroup) -> None:
        self.callback_group = callback_group
        self._executor: Any = None
        self._queued = False
        self._serial = next(_serial)
        self._key: tuple[int, int, int] = (0, self._kind, self._serial)
        self._destroyed = False
        callback_group.add_entity(self)

    def _signal(self) -> None:
        """Tell the executor, if any, that there is something to run. Callable from any thread."""
        if not self._queued:
            executor = self._executor
            if executor is not None:
                self._queued = True
                executor._enqueue(self)

    def _attach(self, executor: Any, node_order: int) -> None:
        """Belong to `executor` (None: to none) and report work that is waiting already."""
        self._executor = executor
        self._queued = False
        self._key = (node_order, self._kind, self._serial)
        if executor is not None and self._pending():
            self._signal()

    def _pending(self) -> bool:
        raise NotImplementedError

    def _run(self) -> Any:
        """Take one piece of work and call the callback; a coroutine result is run to its end."""
        raise NotImplementedError

    def _detach(self) -> bool:
        """Mark as destroyed; False if it was already."""
        if self._destroyed:
            return False
        self._destroyed = True
        self._executor = None
        return True
