"""Which actions there are, seen by their feedback topics, as rcl_action does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..node import Node

NamesAndTypes = list[tuple[str, list[str]]]
_TOPIC_END, _TYPE_END = "/_action/feedback", "_FeedbackMessage"


def get_action_names_and_types(node: Node) -> NamesAndTypes:
    """(name, types) of all actions that have a server or a client."""
    return _actions(node.get_topic_names_and_types())


def get_action_client_names_and_types_by_node(
    node: Node, remote_node_name: str, remote_node_namespace: str
) -> NamesAndTypes:
    return _actions(node.get_subscriber_names_and_types_by_node(remote_node_name, remote_node_namespace))


def get_action_server_names_and_types_by_node(
    node: Node, remote_node_name: str, remote_node_namespace: str
) -> NamesAndTypes:
    return _actions(node.get_publisher_names_and_types_by_node(remote_node_name, remote_node_namespace))


def _actions(topics: NamesAndTypes) -> NamesAndTypes:
    return [
        (name.removesuffix(_TOPIC_END), [kind.removesuffix(_TYPE_END) for kind in types])
        for name, types in topics
        if name.endswith(_TOPIC_END)
    ]
