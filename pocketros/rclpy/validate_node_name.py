"""Checks of node names."""

from __future__ import annotations

from typing import Literal

from pocketros import names

from .exceptions import InvalidNodeNameException


def validate_node_name(node_name: str) -> Literal[True]:
    if problem := names.find_name_error(node_name, "node"):
        raise InvalidNodeNameException(node_name, *problem)
    return True
