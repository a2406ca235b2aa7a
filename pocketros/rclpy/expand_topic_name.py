"""Expansion of topic names outside a node."""

from __future__ import annotations

from pocketros import names

from .exceptions import (
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidTopicNameException,
)


def expand_topic_name(topic_name: str, node_name: str, node_namespace: str) -> str:
    """Absolute form of a topic name as seen by a node; ValueError if one is invalid."""
    for value, kind, error in (
        (topic_name, "topic", InvalidTopicNameException),
        (node_name, "node", InvalidNodeNameException),
        (node_namespace, "namespace", InvalidNamespaceException),
    ):
        if problem := names.find_name_error(value, kind):
            raise error(value, *problem)
    return names.expand(topic_name, node_name, node_namespace)
