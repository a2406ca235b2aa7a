"""Checks of topic and service names."""

from __future__ import annotations

from typing import Literal

from pocketros import names

from .exceptions import InvalidServiceNameException, InvalidTopicNameException

TOPIC_SEPARATOR_STRING = "/"


def validate_topic_name(name: str, *, is_service: bool = False) -> Literal[True]:
    """True for a valid relative, private or absolute name; else InvalidTopicNameException."""
    return _validate(name, "topic", is_service)


def _validate(name: str, kind: str, is_service: bool) -> Literal[True]:
    if problem := names.find_name_error(name, kind):
        raise (InvalidServiceNameException if is_service else InvalidTopicNameException)(name, *problem)
    return True
