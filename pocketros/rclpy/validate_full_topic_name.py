"""Checks of expanded topic and service names."""

from __future__ import annotations

from typing import Literal

from .validate_topic_name import _validate


def validate_full_topic_name(name: str, *, is_service: bool = False) -> Literal[True]:
    """True for a valid absolute, expanded name; else InvalidTopicNameException."""
    return _validate(name, "full topic", is_service)
