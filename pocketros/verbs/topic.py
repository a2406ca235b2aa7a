"""Look into the topics of a ROS graph and publish to them, with ros2's words."""

from __future__ import annotations

import argparse

from . import session, topic_echo, topic_pub, topic_rate
from .command import Commands
from .errors import VerbError
from .session import opened
from .types import topics


def add(commands: Commands) -> None:
    p = commands.add("list", list_topics, "output a list of available topics")
    p.add_argument("-t", "--show-types", action="store_true", help="additionally show the topic type")
    p.add_argument("-c", "--count-topics", action="store_true", help="only display the number of topics")
    p.add_argument("--include-hidden-topics", action="store_true", help="consider hidden topics as well")
    p.add_argument("-v", "--verbose", action="store_true", help="list full details about each topic")
    session.add_arguments(p)
    topic_echo.add(commands)
    topic_rate.add(commands)
    p = commands.add("info", info, "print information about a topic")
    p.add_argument("topic_name", help="such as /chatter")
    p.add_argument("-v", "--verbose", action="store_true", help="also nodes, type hashes, GIDs and QoS of all ends")
    session.add_arguments(p)
    p = commands.add("type", show_type, "print a topic's type")
    p.add_argument("topic_name", help="such as /chatter")
    session.add_arguments(p)
    p = commands.add("find", find, "output a list of available topics of a given type")
    p.add_argument("topic_type", help="such as std_msgs/msg/String")
    p.add_argument("-c", "--count-topics", action="store_true", help="only display the number of topics")
    p.add_argument("--include-hidden-topics", action="store_true", help="consider hidden topics as well")
    session.add_arguments(p)
    topic_pub.add(commands)


def list_topics(args: argparse.Namespace) -> None:
    with opened(args) as s:
        found = topics(s, args.include_hidden_topics)
        if args.count_topics:
            print(len(found))
        elif args.verbose:
            published = [(name, types, s.node.count_publishers(name)) for name, types in found]
            subscribed = [(name, types, s.node.count_subscribers(name)) for name, types in found]
            _print_details("Published", "publisher", published)
            _print_details("Subscribed", "subscriber", subscribed)
        else:
            for name, types in found:
                print(f"{name} [{', '.join(types)}]" if args.show_types else name)


def _print_details(title: str, noun: str, found: list[tuple[str, list[str], int]]) -> None:
    print(f"{title} topics:")
    for name, types, count in found:
        if count:
            print(f" * {name} [{', '.join(types)}] {count} {noun}{'s' if count > 1 else ''}")
    print()


def info(args: argparse.Namespace) -> None:
    end = "\n\n" if args.verbose else "\n"
    with opened(args) as s:
        name = s.node.resolve_topic_name(args.topic_name)
        types = dict(topics(s, hidden=True)).get(name)
        if types is None:
            raise VerbError(f"Unknown topic '{args.topic_name}'")
        print(f"Type: {types[0] if len(types) == 1 else types}", end=end)
        publishers = s.node.get_publishers_info_by_topic(name)
        subscriptions = s.node.get_subscriptions_info_by_topic(name)
        for noun, ends in (("Publisher", publishers), ("Subscription", subscriptions)):
            print(f"{noun} count: {len(ends)}", end=end)
            for item in ends if args.verbose else ():
                print(item, end=end)


def show_type(args: argparse.Namespace) -> int:
    with opened(args) as s:
        types = dict(topics(s, hidden=True)).get(s.node.resolve_topic_name(args.topic_name), [])
    print(*types, sep="\n", end="\n" if types else "")
    return 0 if types else 1


def find(args: argparse.Namespace) -> None:
    with opened(args) as s:
        names = [name for name, types in topics(s, args.include_hidden_topics) if args.topic_type in types]
    if args.count_topics:
        print(len(names))
    else:
        print(*names, sep="\n", end="\n" if names else "")
