"""`bag play`: a bag's messages onto their topics again, at the times and with the QoS they were recorded with."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pocketros.definitions import DefinitionError
from pocketros.messages import message_class, registry

from . import session
from .command import Commands
from .errors import Interrupted, VerbError
from .options import positive_float, unsigned_float
from .progress import Progress
from .session import Session, opened
from .types import raw_type

SECOND_NS = 1_000_000_000
CLOCK_TYPE = "rosgraph_msgs/msg/Clock"
ACK_TIMEOUT_S = 1.0


def add(commands: Commands) -> None:
    p = commands.add("play", play, "play back ROS data from a bag", lambda a: a.loop)
    p.add_argument("bag_path", help="bag folder, .mcap or .db3 file")
    p.add_argument("-r", "--rate", type=positive_float, default=1.0, help="how fast to play (default %(default)s)")
    p.add_argument("-l", "--loop", action="store_true", help="begin again at the end, until Ctrl-C")
    p.add_argument(
        "--clock", type=positive_float, nargs="?", const=40.0, default=0.0, metavar="HZ",
        help="publish the bag's time on /clock at this rate (%(const)s)",
    )  # fmt: skip
    p.add_argument("--topics", nargs="+", default=[], metavar="TOPIC", help="play these topics only")
    p.add_argument("-e", "--regex", default="", help="play topics whose names contain this")
    p.add_argument("-x", "--exclude-regex", default="", metavar="REGEX", help="but not topics of such names")
    p.add_argument("--exclude-topics", nargs="+", default=[], metavar="TOPIC", help="nor these topics")
    p.add_argument("-m", "--remap", nargs="+", default=[], metavar="OLD:=NEW", help="play topics under other names")
    p.add_argument("-d", "--delay", type=unsigned_float, default=0.0, metavar="S", help="wait before (each) play")
    p.add_argument("--start-offset", type=unsigned_float, default=0.0, metavar="S", help="begin so far into the bag")
    p.add_argument("--playback-duration", type=float, default=-1.0, metavar="S", help="play so much (default: all)")
    session.add_arguments(p)


def reader(path: str) -> Any:
    """rosbags' reader of a bag, not yet opened."""
    from rosbags.rosbag2 import Reader, ReaderError

    if not Path(path).exists():
        raise VerbError(f"Bag path '{path}' does not exist!", 2)
    try:
        return Reader(Path(path))
    except ReaderError as error:
        raise VerbError(f"cannot read bag {path}: {error}") from error


def play(args: argparse.Namespace) -> None:
    from rosbags.rosbag2 import ReaderError

    try:
        with reader(args.bag_path) as bag:
            connections = [c for c in bag.connections if selected(args, c.topic)]
            if not connections:
                raise VerbError(f"nothing to play: {args.bag_path} has none of the topics asked for")
            learn_types(connections)
            with opened(args, f"rosbag2_player_{os.getpid()}") as s, Progress() as progress:
                Player(s, bag, connections, args, progress).play()
    except ReaderError as error:
        raise VerbError(f"cannot read bag {args.bag_path}: {error}") from error


def selected(args: argparse.Namespace, topic: str) -> bool:
    try:
        excluded = topic in args.exclude_topics or (args.exclude_regex and re.search(args.exclude_regex, topic))
        if excluded or (args.clock and topic == "/clock"):
            return False
        if not (args.topics or args.regex):
            return True
        return topic in args.topics or bool(args.regex and re.search(args.regex, topic))
    except re.error as error:
        raise VerbError(f"no regular expression: {error}", 2) from None


def learn_types(connections: list[Any]) -> None:
    """Types this process does not know are taken from the definitions that came with the bag."""
    for connection in connections:
        try:
            message_class(connection.msgtype)
        except DefinitionError:
            if connection.msgdef.format.name == "MSG":
                with contextlib.suppress(DefinitionError):  # raw CDR is then played all the same
                    registry.add_definition(connection.msgtype, connection.msgdef.data)


class Player:
    """Publishes a bag's messages in the order and at the distances in time in which they were recorded."""

    def __init__(
        self, s: Session, bag: Any, connections: list[Any], args: argparse.Namespace, progress: Progress
    ) -> None:
        self._session = s
        self._bag = bag
        self._connections = connections
        self._args = args
        self._progress = progress
        self._start_ns = bag.start_time + int(args.start_offset * SECOND_NS)
        length_ns = int(args.playback_duration * SECOND_NS)
        self._stop_ns = None if length_ns < 0 else self._start_ns + length_ns + 1
        self._end_ns = min(bag.end_time, self._stop_ns or bag.end_time)
        self._publishers = {c.id: self._publisher(c) for c in connections}
        self._clock = s.node.create_publisher(message_class(CLOCK_TYPE), "/clock", 10) if args.clock else None
        self._played = 0

    def _publisher(self, connection: Any) -> Any:
        from .bag_qos import to_publish

        profile, warning = to_publish(connection.topic, connection.ext.offered_qos_profiles)
        if warning:
            self._session.node.get_logger().warning(warning)
        name = dict(_remaps(self._args.remap)).get(connection.topic, connection.topic)
        return self._session.node.create_publisher(raw_type(connection.msgtype), name, profile)

    def play(self) -> None:
        self._session.sleep(self._args.spin_time)  # volatile messages reach those who have found us
        while True:
            self._session.sleep(self._args.delay)
            self._play_once()
            if not self._args.loop:
                break
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(_seconds(ACK_TIMEOUT_S))
        self._progress.show(self._status(self._end_ns), now=True)

    def _play_once(self) -> None:
        wall_start = time.monotonic()
        tick_ns = self._start_ns
        for connection, stamp_ns, data in self._messages():
            while self._clock and tick_ns <= stamp_ns:
                self._sleep_until(wall_start, tick_ns)
                self._clock.publish(_clock_message(tick_ns))
                tick_ns += int(SECOND_NS * self._args.rate / self._args.clock)
            self._sleep_until(wall_start, stamp_ns)
            self._publishers[connection.id].publish(bytes(data))
            self._played += 1
            self._progress.show(self._status(stamp_ns))

    def _messages(self) -> Iterator[tuple[Any, int, bytes]]:
        return iter(self._bag.messages(self._connections, start=self._start_ns, stop=self._stop_ns))

    def _sleep_until(self, wall_start: float, stamp_ns: int) -> None:
        due = wall_start + (stamp_ns - self._start_ns) / SECOND_NS / self._args.rate
        left = due - time.monotonic()
        if left > 0:
            self._session.sleep(left)
        elif not self._session.ok():
            raise Interrupted

    def _status(self, stamp_ns: int) -> str:
        done, total = ((t - self._start_ns) / SECOND_NS for t in (stamp_ns, self._end_ns))
        return f"{self._played} messages, {done:.1f} of {total:.1f} s"


def _remaps(rules: list[str]) -> Iterator[tuple[str, str]]:
    for rule in rules:
        old, found, new = rule.partition(":=")
        if not (found and old and new):
            raise VerbError(f"--remap: {rule!r} is not of the form old:=new", 2)
        yield old if old.startswith("/") else f"/{old}", new


def _seconds(seconds: float) -> Any:
    from rclpy.duration import Duration

    return Duration(seconds=seconds)


def _clock_message(stamp_ns: int) -> Any:
    message = message_class(CLOCK_TYPE)()
    message.clock.sec, message.clock.nanosec = divmod(stamp_ns, SECOND_NS)
    return message
