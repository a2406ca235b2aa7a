"""The names of rclpy's C extension that have a meaning without C.

Programs written for rclpy catch `rclpy_implementation.RCLError` and its kin, which rclpy publishes
nowhere else. Everything else here is about C handles, which pocketros does not have.
"""

from __future__ import annotations

from typing import Any

from ..exceptions import (
    InvalidHandle,
    NodeNameNonExistentError,
    RCLError,
    RCLInvalidROSArgsError,
    UnknownROSArgsError,
    UnsupportedFeatureError,
)
from ..lifecycle.state_machine import TransitionCallbackReturn


class _Implementation:
    InvalidHandle = InvalidHandle
    NodeNameNonExistentError = NodeNameNonExistentError
    RCLError = RCLError
    RCLInvalidROSArgsError = RCLInvalidROSArgsError
    TransitionCallbackReturnType = TransitionCallbackReturn
    UnknownROSArgsError = UnknownROSArgsError

    def __getattr__(self, name: str) -> Any:
        raise UnsupportedFeatureError(f"pocketros has no C extension: rclpy_implementation.{name}")


rclpy_implementation = _Implementation()
