"""`bag record`: what passes on topics, as it came over the wire, into a rosbag2 folder."""

from __future__ import annotations

import argparse
import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import qos_options, session
from .command import Commands
from .errors import Interrupted, VerbError
from .options import positive_float, positive_int
from .progress import Progress
from .session import Session, opened
from .types import raw_type, topics

PRESETS = ("none", "fastwrite", "zstd_fast", "zstd_small")
QUEUE = 100
"""Messages a topic may wait in; it does not take part in matching."""


def add(commands: Commands) -> None:
    p = commands.add("record", record, "record ROS data to a bag", lambda _: True)
    p.add_argument("topics_positional", nargs="*", metavar="TOPIC", help="topics to record")
    p.add_argument("--topics", nargs="+", default=[], metavar="TOPIC", help="topics to record")
    p.add_argument("--topic-types", nargs="+", default=[], metavar="TYPE", help="record topics of these types")
    p.add_argument(
        "-a", "--all", "--all-topics", action="store_true", dest="all", help="record all topics, hidden ones excepted"
    )
    p.add_argument("-e", "--regex", default="", help="record topics whose names contain this")
    p.add_argument("--exclude-regex", default="", metavar="REGEX", help="but not topics whose names contain this")
    p.add_argument("--exclude-topics", nargs="+", default=[], metavar="TOPIC", help="nor these topics")
    p.add_argument("--exclude-topic-types", nargs="+", default=[], metavar="TYPE", help="nor topics of these types")
    p.add_argument("--include-hidden-topics", action="store_true", help="hidden topics as well")
    p.add_argument("--include-unpublished-topics", action="store_true", help="topics without publisher as well")
    p.add_argument("--no-discovery", action="store_true", help="only topics present at the start")
    p.add_argument(
        "-p", "--polling-interval", type=positive_int, default=100, metavar="MS",
        help="look for new topics so often (default %(default)s)",
    )  # fmt: skip
    p.add_argument("-o", "--output", metavar="DIR", help="bag folder to create (default: named after the time)")
    p.add_argument("-s", "--storage", choices=("mcap",), default="mcap", help="storage format")
    p.add_argument(
        "--storage-preset-profile", choices=PRESETS, default="none", help="zstd_*: compress (default %(default)s)"
    )
    p.add_argument("--max-duration", type=positive_float, metavar="S", help="stop after so many seconds")
    p.add_argument("--custom-data", nargs="*", default=[], metavar="KEY=VALUE", help="stored in the bag's metadata")
    p.add_argument("--node-name", default="rosbag2_recorder", help="default %(default)s")
    p.add_argument("--use-sim-time", action="store_true", help="stamp messages with the time of /clock")
    p.add_argument("--spin-time", type=float, default=0.0, help=argparse.SUPPRESS)


def record(args: argparse.Namespace) -> None:
    path = Path(args.output or time.strftime("rosbag2_%Y_%m_%d-%H_%M_%S"))
    wanted = selection(args)
    if path.exists():
        raise VerbError(f"Output folder '{path}' already exists.", 2)
    tally = Tally()
    with (
        contextlib.suppress(Interrupted),  # the usual end
        opened(args, args.node_name) as s,
        bag_writer(path, args) as bag,
        Progress() as progress,
    ):
        recorder = Recorder(s, bag, args.include_unpublished_topics, tally)
        deadline = None if args.max_duration is None else time.monotonic() + args.max_duration
        s.node.get_logger().info("Recording...")
        if args.no_discovery:
            s.sleep(session.SPIN_TIME_S)
        while deadline is None or time.monotonic() < deadline:
            if not (args.no_discovery and tally.topics):
                recorder.subscribe(wanted)
            progress.show(str(tally))
            left = float("inf") if deadline is None else deadline - time.monotonic()
            s.sleep(min(args.polling_interval / 1000, left))
    print(f"Recording stopped: {tally} in {path}")


@dataclass(slots=True)
class Tally:
    """What has been written so far."""

    topics: set[str] = field(default_factory=set)
    count: int = 0
    size: int = 0

    def __str__(self) -> str:
        return f"{self.count} messages, {self.size / 1e6:.1f} MB on {len(self.topics)} topics"


Wanted = Callable[[str, str], bool]


def selection(args: argparse.Namespace) -> Wanted:
    """Whether a topic (name, type) is to be recorded."""
    names = {name if name.startswith("/") else f"/{name}" for name in [*args.topics, *args.topics_positional]}
    if not (args.all or names or args.regex or args.topic_types):
        raise VerbError("Need to specify at least one option out of --all, --topics, --topic-types or --regex", 2)
    try:
        regex, exclude = re.compile(args.regex), re.compile(args.exclude_regex)
    except re.error as error:
        raise VerbError(f"no regular expression: {error}", 2) from None
    excluded = {name if name.startswith("/") else f"/{name}" for name in args.exclude_topics}

    def wanted(name: str, kind: str) -> bool:
        if name in excluded or kind in args.exclude_topic_types or (args.exclude_regex and exclude.search(name)):
            return False
        if name in names:
            return True
        if session.is_hidden(name) and not args.include_hidden_topics:
            return False
        return bool(args.all or kind in args.topic_types or (args.regex and regex.search(name)))

    return wanted


@contextlib.contextmanager
def bag_writer(path: Path, args: argparse.Namespace) -> Iterator[Any]:
    """A rosbag2 folder that is finished whatever ends the recording: without index it is of no use."""
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
    if args.storage_preset_profile.startswith("zstd"):
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    for pair in args.custom_data:
        key, _, value = pair.partition("=")
        writer.set_custom_data(key, value)
    writer.open()
    try:
        yield writer
    finally:
        writer.close()


class Recorder:
    """Subscribes to what is wanted as it appears and writes what arrives."""

    def __init__(self, s: Session, bag: Any, unpublished: bool, tally: Tally) -> None:
        self._tally = tally
        self._session = s
        self._bag = bag
        self._unpublished = unpublished
        self._refused: set[str] = set()

    def subscribe(self, wanted: Wanted) -> None:
        node = self._session.node
        for name, types in topics(self._session, hidden=True):
            if name in self._tally.topics or name in self._refused or not any(wanted(name, kind) for kind in types):
                continue
            others = [i for i in node.get_publishers_info_by_topic(name) if not self._is_own(i)]
            if others or self._unpublished:
                self._subscribe(name, types, others)

    def _is_own(self, info: Any) -> bool:
        """This node's own /rosout and /parameter_events are nothing to record."""
        node = self._session.node
        return bool((info.node_name, info.node_namespace) == (node.get_name(), node.get_namespace()))

    def _subscribe(self, name: str, types: list[str], publishers: list[Any]) -> None:
        from rclpy.qos import QoSProfile

        from pocketros import cdr
        from pocketros.definitions import DefinitionError

        from .bag_qos import offered

        log = self._session.node.get_logger()
        if len(types) > 1:
            self._refused.add(name)
            log.warning(f"Topic '{name}' has more than one type: {', '.join(types)}; it is not recorded")
            return
        try:
            definition = cdr.message_definition(types[0])
        except DefinitionError as error:
            definition = ""
            log.warning(f"Topic '{name}': {error}; it is recorded without the definition of its messages")
        announced = [str(getattr(info, "topic_type_hash", "") or "") for info in publishers]
        connection = self._bag.add_connection(
            name, types[0], msgdef=definition,
            rihs01=cdr.type_hash(types[0]) or next((h for h in announced if h.startswith("RIHS01_")), "unknown"),
            offered_qos_profiles=[offered(info.qos_profile) for info in publishers],
        )  # fmt: skip
        qos = QoSProfile(depth=QUEUE)
        for warning in qos_options.fit(qos, [info.qos_profile for info in publishers]):
            log.warning(f"{name}: {warning}")
        self._tally.topics.add(name)
        self._session.node.create_subscription(raw_type(types[0]), name, self._writer(connection), qos, raw=True)
        log.info(f"Subscribed to topic '{name}'")

    def _writer(self, connection: Any) -> Callable[[bytes], None]:
        clock = self._session.node.get_clock()

        def write(data: bytes) -> None:
            if now := clock.now().nanoseconds:  # simulated time that has not begun: nothing to stamp with
                self._bag.write(connection, now, data)
                self._tally.count += 1
                self._tally.size += len(data)

        return write
