"""`topic pub`: publish a message given as YAML, once or again and again."""

from __future__ import annotations

import argparse
import sys

from . import qos_options, session
from .command import Commands
from .errors import VerbError
from .from_yaml import fill, parse
from .options import positive_float, unsigned_float, unsigned_int
from .session import Session, opened
from .types import message_type


def add(commands: Commands) -> None:
    p = commands.add("pub", pub, "publish a message to a topic", lambda a: not (a.once or a.times))
    p.add_argument("topic_name", help="such as /chatter")
    p.add_argument("message_type", help="such as std_msgs/msg/String")
    values = p.add_mutually_exclusive_group()
    values.add_argument(
        "values", nargs="?", default="{}", metavar="YAML",
        help="fields to set, such as '{data: hello}'; a Header may be auto, a Time now",
    )  # fmt: skip
    values.add_argument("--stdin", action="store_true", help="read the values from standard input")
    p.add_argument(
        "-r", "--rate", type=positive_float, default=1.0, metavar="HZ", help="publishing rate (default %(default)s)"
    )
    p.add_argument(
        "-p", "--print", type=int, default=1, metavar="N", help="only print every N-th message (default %(default)s)"
    )
    count = p.add_mutually_exclusive_group()
    count.add_argument("-1", "--once", action="store_true", help="publish one message and exit")
    count.add_argument("-t", "--times", type=unsigned_int, default=0, metavar="N", help="publish so often, then exit")
    p.add_argument(
        "-w", "--wait-matching-subscriptions", type=unsigned_int, metavar="N",
        help="wait for so many subscriptions (default: 1 with --once or --times, else 0)",
    )  # fmt: skip
    p.add_argument("--max-wait-time-secs", type=positive_float, metavar="S", help="wait no longer for them")
    p.add_argument(
        "--keep-alive", type=unsigned_float, default=0.1, metavar="S",
        help="stay so long after the last message (default %(default)s)",
    )  # fmt: skip
    p.add_argument("-n", "--node-name", help="name of the publishing node")
    qos_options.add_arguments(p, "publish", "default")
    session.add_arguments(p)


def pub(args: argparse.Namespace) -> None:
    times = 1 if args.once else args.times
    wanted = args.wait_matching_subscriptions
    wanted = int(times > 0) if wanted is None else wanted
    if not wanted and args.max_wait_time_secs:
        raise VerbError(
            "--max-wait-time-secs only makes sense with --wait-matching-subscriptions, --once or --times", 2
        )
    kind = message_type(args.message_type)
    message = kind()
    stamps = fill(message, parse(sys.stdin.read() if args.stdin else args.values))
    with opened(args, args.node_name) as s:
        publisher = s.node.create_publisher(kind, args.topic_name, qos_options.profile(args))
        wait_for_subscriptions(s, publisher, wanted, args.max_wait_time_secs)
        print("publisher: beginning loop")
        publish(s, publisher, message, stamps, times, args)


def wait_for_subscriptions(s: Session, publisher: object, wanted: int, timeout_s: float | None) -> None:
    waited_s = 0.0
    count = publisher.get_subscription_count  # type: ignore[attr-defined]
    while count() < wanted:
        print(f"Waiting for at least {wanted} matching subscription(s)...")
        step_s = 1.0 if timeout_s is None else min(1.0, timeout_s - waited_s)
        if not s.wait(lambda: count() >= wanted, step_s):
            waited_s += step_s
            if timeout_s is not None and waited_s >= timeout_s:
                raise VerbError(
                    f"Timed out waiting for subscribers: Expected {wanted} subscribers "
                    f"but only got {count()} subscribers"
                )


def publish(s: Session, publisher: object, message: object, stamps: list, times: int, args: argparse.Namespace) -> None:
    """Publish at once, then at the rate asked for, `times` times in all (0: until interrupted)."""
    from rclpy.task import Future

    done = Future()
    count = 0

    def send() -> None:
        nonlocal count
        if done.done():
            return
        now = s.node.get_clock().now().to_msg()
        for stamp in stamps:
            stamp(now)
        count += 1
        if args.print and count % args.print == 0:
            print(f"publishing #{count}: {message!r}\n")
        publisher.publish(message)  # type: ignore[attr-defined]
        if count == times:
            done.set_result(True)

    send()
    s.node.create_timer(1.0 / args.rate, send)
    s.spin(done)
    s.sleep(args.keep_alive)  # what was sent must reach the wire
