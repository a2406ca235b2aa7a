"""Checks of namespaces."""

from __future__ import annotations

from typing import Literal

from pocketros import names

from .exceptions import InvalidNamespaceException


def validate_namespace(namespace: str) -> Literal[True]:
    """True for an absolute namespace; a Node itself also takes relative and empty ones."""
    if problem := names.find_name_error(namespace, "namespace"):
        raise InvalidNamespaceException(namespace, *problem)
    return True
