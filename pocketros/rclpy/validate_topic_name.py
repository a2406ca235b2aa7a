"""Checks of topic and service names."""

from __future__ import annotations

from typing import Literal

from pocketros import names

from .exceptions import InvalidServiceNameException, InvalidTopicNameException

TOPIC_SEPARATOR_STRING = "/"


def validate_topic_name(name: str, *, is_service: bool = False) -> Literal[True]:
    """True for a valid relative, private or absolute name; else InvalidTopicNameException.

    Repeated slashes are let through, as in rclpy: they are found when the name is expanded.
    """
    while "//" in name[1:]:
        name = name[0] + name[1:].replace("//", "/")
    return _validate(name, "topic", is_service)


def _validate(name: str, kind: str, is_service: bool) -> Literal[True]:
    if problem := names.find_name_error(name, kind):
        raise (InvalidServiceNameException if is_service else InvalidTopicNameException)(name, *problem)
    return True
