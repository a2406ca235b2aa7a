"""A recorded bag as a replay reads it: genuine rosbag2 folders, single .mcap or .db3 files, and our own recordings."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from aislewise import topics
from aislewise.clock import NS_PER_S
from aislewise.errors import InputError
from pocketros import cdr
from sim.recorder import ABOUT, ORDERS

MAX_MESSAGE_BYTES = 256 << 20
STAMP = struct.Struct("<iI")


class BagError(InputError):
    """A bag that cannot be read, or that is not what a replay needs. field: the bag, or a topic in it."""

    code = "BAG"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message. data: CDR with its encapsulation header."""

    topic: str
    log_ns: int
    data: bytes


class Bag:
    """A context manager. types: ROS type by topic; counts: messages by topic; about: what our recorder wrote of the
    run (version, scenario, seed), empty for others' bags; orders: the attachment of our recorder, or b""."""

    def __init__(self, path: Path) -> None:
        from rosbags.rosbag2 import Reader

        self.path = path
        self.types: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.about: dict[str, str] = {}
        self.orders = b""
        try:
            self._reader = Reader(path)
        except Exception as error:  # see _unreadable
            raise self._unreadable(error) from error

    def __enter__(self) -> Bag:
        try:
            self._reader.open()
        except Exception as error:
            raise self._unreadable(error) from error
        for connection in self._reader.connections:
            known = self.types.setdefault(connection.topic, connection.msgtype)
            if known != connection.msgtype:
                self._reader.close()
                raise BagError(connection.topic, f"has two types, {known} and {connection.msgtype}")
            self.counts[connection.topic] = self.counts.get(connection.topic, 0) + connection.msgcount
        self._read_extras()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._reader.close()

    @property
    def span_ns(self) -> tuple[int, int]:
        """Log times of the first and the last message; (0, 0) when there is none."""
        if not any(self.counts.values()):
            return 0, 0
        return int(self._reader.start_time), int(self._reader.end_time) - 1

    def check(self, topic: topics.Topic, name: str) -> None:
        """BagError unless the topic's messages have our type, as we define it: CDR read by another definition gives
        nonsense without an error."""
        if self.types[name] != topic.type:
            raise BagError(name, f"is of type {self.types[name]}", topic.type)
        ours = cdr.type_hash(topic.type)
        theirs = next((h for c in self._reader.connections if c.topic == name and (h := _hash(c))), "")
        if ours and theirs and ours != theirs:
            raise BagError(name, f"was recorded with another definition of {topic.type} ({theirs})", ours)

    def messages(self, names: Iterable[str]) -> Iterator[Recorded]:
        """In the order of their log times; those of the same time as they stand in the file."""
        wanted = set(names)
        connections = [c for c in self._reader.connections if c.topic in wanted]
        if not connections:
            return
        source = iter(self._reader.messages(connections))
        while True:
            try:
                connection, log_ns, data = next(source)
            except StopIteration:
                return
            except Exception as error:
                raise self._unreadable(error) from error
            if len(data) > MAX_MESSAGE_BYTES:
                raise BagError(connection.topic, f"a message of {len(data)} bytes", MAX_MESSAGE_BYTES)
            yield Recorded(connection.topic, int(log_ns), bytes(data))

    def _read_extras(self) -> None:
        """What our recorder adds to an MCAP file; rosbags does not look at it."""
        from mcap.reader import make_reader

        for file in [self.path] if self.path.is_file() else sorted(self.path.glob("*.mcap")):
            if file.suffix != ".mcap":
                continue
            with file.open("rb") as stream, suppress(Exception):  # whatever else it is, rosbags could read it
                reader = make_reader(stream)
                for metadata in reader.iter_metadata():
                    if metadata.name == ABOUT:
                        self.about.update(metadata.metadata)
                for attachment in reader.iter_attachments():
                    if attachment.name == ORDERS:
                        self.orders = attachment.data

    def _unreadable(self, error: Exception) -> BagError:
        """A damaged file makes the readers fail in any way there is, from EOFError to KeyError."""
        why = f"{self.path} cannot be read as a bag: {str(error).rstrip('.') or type(error).__name__}"
        return BagError("replay", why, "a whole rosbag2 folder, .mcap or .db3 (`mcap recover` mends cut files)")


def _hash(connection: Any) -> str:
    """RIHS01 hash (REP-2016) of the definition that came with a connection; "" where none did."""
    if str(connection.digest).startswith("RIHS01_"):
        return str(connection.digest)
    from rosbags.interfaces import MessageDefinitionFormat
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    if connection.msgdef.format != MessageDefinitionFormat.MSG:
        return ""
    store = get_typestore(Stores.EMPTY)
    try:
        store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        return str(store.hash_rihs01(connection.msgtype))
    except Exception:  # a definition that cannot be parsed says nothing
        return ""


def stamp_of(data: bytes) -> int:
    """header.stamp in ns of a little-endian CDR message that begins with a std_msgs/Header."""
    if len(data) < 12 or data[:2] != b"\0\1":
        raise BagError("replay", "a message without little-endian CDR encapsulation and header")
    sec, nanosec = STAMP.unpack_from(data, 4)
    return int(sec) * NS_PER_S + int(nanosec)
