"""The planner's changes of orders on their way to the store: while it cannot be written they wait, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from aislewise.errors import StateError
from aislewise.types import OrderRecord, OrderState
from planning.reasons import Reason
from planning.sqlite import StoreError
from planning.store import OrderStore


@dataclass(frozen=True, slots=True)
class Change:
    """Arguments of OrderStore.transition."""

    order_id: str
    state: OrderState
    now_ns: int
    reason: str
    robot: str
    lines_done: int | None


Explain = Callable[[Change], Reason]
"""Says why, when a change is decided; it is kept in the same transaction as the change."""


class Journal:
    """What has happened on the floor is kept by `put` until it can be stored; what is only intended goes by `write`,
    which says when it cannot be. At most a few changes wait for each robot: nothing new is begun meanwhile."""

    def __init__(self, store: OrderStore, explain: Explain | None = None) -> None:
        self._store = store
        self._explain = explain
        self._waiting: deque[tuple[Change, Reason | None]] = deque()

    def __len__(self) -> int:
        """Changes that the store has yet to take."""
        return len(self._waiting)

    def put(
        self, order_id: str, state: OrderState, now_ns: int, reason: str = "", robot: str = "", lines_done: int | None = None
    ) -> None:
        """Stored now, or as soon as that is possible."""
        self._waiting.append(self._explained(Change(order_id, state, now_ns, reason, robot, lines_done)))
        self.flush()

    def write(self, order_id: str, state: OrderState, now_ns: int, reason: str = "", robot: str = "") -> OrderRecord:
        """Stored when this returns. Raises StoreError, and what the transition raises."""
        if not self.flush():
            raise StoreError(f"{len(self)} changes of orders wait to be stored")
        _, why = self._explained(Change(order_id, state, now_ns, reason, robot, None))
        return self._store.transition(order_id, state, now_ns, reason, robot, why=why)

    def flush(self) -> bool:
        """Store what waits; whether nothing does any more."""
        while self._waiting:
            change, why = self._waiting[0]
            try:
                self._store.transition(
                    change.order_id, change.state, change.now_ns, change.reason, change.robot, change.lines_done,
                    why,
                )
            except StoreError:
                return False
            except StateError:  # called off by a client before we were heard: dealt with as such
                if self._store.get(change.order_id).state is not OrderState.CANCELLING:
                    self._waiting.popleft()
                    raise
            self._waiting.popleft()
        return True

    def _explained(self, change: Change) -> tuple[Change, Reason | None]:
        return change, self._explain(change) if self._explain else None
