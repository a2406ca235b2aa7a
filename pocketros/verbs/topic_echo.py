"""`topic echo`: messages as text, as they come."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import yaml

from . import qos_options, session
from .command import Commands
from .errors import VerbError
from .options import positive_float, unsigned_int
from .session import Session, opened
from .to_yaml import TRUNCATE_LENGTH, Style, parse_field, select, to_csv, to_yaml
from .types import message_type, raw_type, topic_type


def add(commands: Commands) -> None:
    p = commands.add("echo", echo, "output messages from a topic", lambda a: not (a.once or a.timeout))
    p.add_argument("topic_name", help="such as /chatter")
    p.add_argument("message_type", nargs="?", help="such as std_msgs/msg/String (default: as the graph says)")
    qos_options.add_arguments(p, "subscribe", "sensor_data")
    p.add_argument("--csv", action="store_true", help="all fields separated by commas")
    p.add_argument("--field", help="only this field, such as pose.pose.position or ranges[0]")
    p.add_argument("-f", "--full-length", action="store_true", help="do not truncate arrays, bytes and strings")
    p.add_argument(
        "-l", "--truncate-length", type=unsigned_int, default=TRUNCATE_LENGTH, metavar="N",
        help="elements or characters printed of arrays, bytes and strings (default %(default)s)",
    )  # fmt: skip
    p.add_argument("--no-arr", action="store_true", help="don't print array fields of messages")
    p.add_argument("--no-str", action="store_true", help="don't print string fields of messages")
    p.add_argument("--flow-style", action="store_true", help="print collections in flow style")
    p.add_argument("--no-lost-messages", action="store_true", help="don't report when a message is lost")
    p.add_argument("--raw", action="store_true", help="echo the raw binary representation")
    p.add_argument("--filter", metavar="EXPR", help="Python expression of m (the message): print only where it holds")
    p.add_argument("--once", action="store_true", help="print the first message received and then exit")
    p.add_argument("--timeout", type=positive_float, metavar="S", help="end after so many seconds")
    p.add_argument("-i", "--include-message-info", action="store_true", help="show the associated message info")
    session.add_arguments(p)


def echo(args: argparse.Namespace) -> None:
    from rclpy.event_handler import SubscriptionEventCallbacks
    from rclpy.task import Future

    show = printer(args)
    done = Future()
    error: list[Exception] = []

    def receive(message: Any, info: dict[str, Any]) -> None:
        if done.done():
            return
        try:
            printed = show(message, info)
        except Exception as problem:  # raised here it would end in the executor
            error.append(problem)
        if error or (printed and args.once):
            done.set_result(True)

    with opened(args) as s:
        qos = request(s, args)
        kind = echoed_type(s, args)
        events = SubscriptionEventCallbacks(message_lost=None if args.no_lost_messages else report_lost)
        s.node.create_subscription(kind, args.topic_name, receive, qos, raw=args.raw, event_callbacks=events)
        s.spin(done, args.timeout)
    if error:
        raise error[0]


def report_lost(status: Any) -> None:
    print(
        f"A message was lost!!!\n\ttotal count change:{status.total_count_change}"
        f"\n\ttotal count: {status.total_count}", end="---\n",
    )  # fmt: skip


def request(s: Session, args: argparse.Namespace) -> Any:
    """The profile asked for, or what fits the publishers there are."""
    qos = qos_options.profile(args)
    if not qos_options.chosen(args):
        offers = [info.qos_profile for info in s.node.get_publishers_info_by_topic(args.topic_name)]
        for warning in qos_options.fit(qos, offers):
            print(warning)
        qos.depth = max(1, qos.depth)
    return qos


def echoed_type(s: Session, args: argparse.Namespace) -> Any:
    if args.message_type:
        return raw_type(args.message_type) if args.raw else message_type(args.message_type)
    name = topic_type(s, args.topic_name)
    return raw_type(name) if args.raw else message_type(name)


def printer(args: argparse.Namespace) -> Callable[[Any, dict[str, Any]], bool]:
    """Prints one message as the options say; False where the filter kept it back."""
    steps = parse_field(args.field) if args.field else []
    accept = expression(args.filter) if args.filter else None
    style = Style(None if args.full_length else args.truncate_length, args.no_arr, args.no_str, args.flow_style)

    def show(message: Any, info: dict[str, Any]) -> bool:
        chosen = select(message, steps) if steps else message
        if accept and not accept(chosen):
            return False
        if not hasattr(chosen, "_SPEC"):  # raw bytes, or a field that is no message
            if args.include_message_info:
                print(f"---Got new message, message info:---\n{info}\n---Message data:---")
            print(chosen, end="\n---\n")
        elif args.csv:
            head = [*map(str, info.values())] if args.include_message_info else []
            print(",".join([*head, to_csv(chosen, style)]))
        else:
            if args.include_message_info:
                print(yaml.dump(info), end="---\n")
            print(to_yaml(chosen, style), end="---\n")
        return True

    return show


def expression(text: str) -> Callable[[Any], Any]:
    """A Python expression of `m`, as the user of this process wrote it on the command line."""
    try:
        code = compile(text, "--filter", "eval")
    except SyntaxError as problem:
        raise VerbError(f"--filter: {text!r} is no Python expression: {problem.msg}", 2) from None
    return lambda m: eval(code, {"m": m})
