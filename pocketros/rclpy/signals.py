"""SIGINT and SIGTERM shut the initialised contexts down, as genuine rclpy does."""

from __future__ import annotations

import signal
import threading
import weakref
from enum import IntEnum
from types import FrameType
from typing import Any

from .context import Context


class SignalHandlerOptions(IntEnum):
    NO = 0
    SIGINT = 1
    SIGTERM = 2
    ALL = 3


_contexts: weakref.WeakSet[Context] = weakref.WeakSet()
_previous: dict[int, Any] = {}


def install_signal_handlers(options: SignalHandlerOptions = SignalHandlerOptions.ALL) -> None:
    """Install handlers; only Python's main thread can, elsewhere this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number, flag in ((signal.SIGINT, 1), (signal.SIGTERM, 2)):
        if options & flag and number not in _previous:
            _previous[number] = signal.signal(number, _handle)


def get_current_signal_handlers_options() -> SignalHandlerOptions:
    return SignalHandlerOptions(
        (signal.SIGINT in _previous) * SignalHandlerOptions.SIGINT
        + (signal.SIGTERM in _previous) * SignalHandlerOptions.SIGTERM
    )


def uninstall_signal_handlers() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for number in list(_previous):
        signal.signal(number, _previous.pop(number))


def track(context: Context) -> None:
    _contexts.add(context)


def _handle(number: int, frame: FrameType | None) -> None:
    for context in list(_contexts):
        context.try_shutdown()
    previous = _previous.get(number)
    if callable(previous):  # for SIGINT usually Python's own, which raises KeyboardInterrupt
        previous(number, frame)
