"""Guard conditions: a callback that any thread can trigger."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._entity import GUARD, Entity

if TYPE_CHECKING:
    from .callback_groups import CallbackGroup


class GuardCondition(Entity):
    _kind = GUARD

    def __init__(
        self, callback: Callable[[], Any] | None, callback_group: CallbackGroup, context: Any = None
    ) -> None:
        super().__init__(callback_group)
        self.callback = callback
        self._triggered = False

    def trigger(self) -> None:
        self._triggered = True
        self._signal()

    def destroy(self) -> None:
        self._detach()

    def _pending(self) -> bool:
        return self._triggered

    def _run(self) -> Any:
        if not self._triggered:
            return None
        self._triggered = False
        return self.callback() if self.callback else None
