"""Checks of parameter names."""

from __future__ import annotations

from typing import Literal

from .exceptions import InvalidParameterException


def validate_parameter_name(name: str) -> Literal[True]:
    """True for any name but the empty one, as in rclpy."""
    if not name:
        raise InvalidParameterException(name)
    return True
