"""List the nodes of a ROS graph and what they offer, with ros2's words."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from . import session
from .command import Commands
from .errors import VerbError
from .session import HIDDEN, Session, is_hidden, opened

NamesAndTypes = list[tuple[str, list[str]]]


def add(commands: Commands) -> None:
    p = commands.add("list", list_nodes, "output a list of available nodes")
    p.add_argument("-a", "--all", action="store_true", help="display all nodes, even hidden ones")
    p.add_argument("-c", "--count-nodes", action="store_true", help="only display the number of nodes")
    session.add_arguments(p)
    p = commands.add("info", info, "output information about a node")
    p.add_argument("node_name", help="such as /talker")
    p.add_argument("--include-hidden", action="store_true", help="hidden nodes, topics, services and actions as well")
    session.add_arguments(p)


def node_names(s: Session, hidden: bool = False) -> list[str]:
    """Full names of the nodes on the graph, sorted."""
    found = s.node.get_node_names_and_namespaces()
    return sorted(
        f"{namespace.rstrip('/')}/{name}" for name, namespace in found if hidden or not name.startswith(HIDDEN)
    )


def absolute(name: str) -> str:
    return name if name.startswith("/") else f"/{name}"


def list_nodes(args: argparse.Namespace) -> None:
    with opened(args) as s:
        names = node_names(s, args.all)
    if args.count_nodes:
        print(len(names))
        return
    if len(set(names)) < len(names):
        print(
            "WARNING: Be aware that there are nodes in the graph that share an exact name, "
            "which can have unintended side effects.",
            file=sys.stderr,
        )
    print(*names, sep="\n", end="\n" if names else "")


def info(args: argparse.Namespace) -> None:
    name = absolute(args.node_name)
    with opened(args) as s:
        count = node_names(s, args.include_hidden).count(name)
        if not count:
            raise VerbError(f"Unable to find node '{args.node_name}'")
        if count > 1:
            print(
                f'There are {count} nodes in the graph with the exact name "{name}". '
                "You are seeing information about only one of them.",
                file=sys.stderr,
            )
        print(name)
        for title, ends in _sections(s.node, name):
            print(f"  {title}:")
            shown = [(n, types) for n, types in ends if args.include_hidden or not is_hidden(n)]
            print(*(f"    {n}: {', '.join(types)}" for n, types in shown), sep="\n")


def _sections(node: Any, full_name: str) -> list[tuple[str, NamesAndTypes]]:
    namespace, _, name = full_name.rpartition("/")
    owner = (name, namespace or "/")
    servers = node.get_service_names_and_types_by_node(*owner)
    clients = node.get_client_names_and_types_by_node(*owner)
    return [
        ("Subscribers", node.get_subscriber_names_and_types_by_node(*owner)),
        ("Publishers", node.get_publisher_names_and_types_by_node(*owner)),
        ("Service Servers", servers),
        ("Service Clients", clients),
        ("Action Servers", _actions(servers)),
        ("Action Clients", _actions(clients)),
    ]


def _actions(services: NamesAndTypes) -> NamesAndTypes:
    """An action shows in the graph as the services and topics it is made of."""
    end, type_end = "/_action/send_goal", "_SendGoal"
    return [
        (name.removesuffix(end), [kind.removesuffix(type_end) for kind in types])
        for name, types in services
        if name.endswith(end)
    ]
