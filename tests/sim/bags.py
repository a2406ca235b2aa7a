"""Bags for tests: one small shift, and rewritten as others would have recorded it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sim.replay_bag import stamp_of

WALL_NS = 1_750_000_000_000_000_000
SCENARIO = {
    "name": "short", "seed": 5, "duration_s": 10, "robots": 2, "orders": 2, "people": 1, "forklifts": 0, "release_s": 1, "slotting_m": 5,
    "lidar_columns": 180,
    "warehouse": {
        "width": 20, "height": 18, "blocks": 1, "aisles": [1, 2], "stations": 2, "chargers": 2, "parking": 2, "bays": 1,
    },
    "items": [{"id": "tote_blue", "cls": "tote", "colour": "blue", "near": "charger_2", "offset_m": 2.0}],
    "instruction": {
        "text": "bring the blue tote near charger 2 to station 1", "at_s": 2, "target": "tote_blue",
        "destination": "station_1",
    },
    "gates": {"min_done_share": 0.0},
}  # fmt: skip

Keep = Callable[[str], bool]
Change = Callable[[str, bytes], bytes | None]


def rewrite(
    source: Path, out: Path, keep: Keep = lambda topic: True, change: Change = lambda topic, data: data,
    wall: bool = False, clock_hz: float = 0.0, storage: str = "mcap",
) -> Path:  # fmt: skip
    """A rosbag2 folder of the messages of `source`. change: None drops a message; wall: log times of a wall clock,
    a few ms after the messages; clock_hz: with /clock."""
    from rosbags.rosbag2 import Reader, StoragePlugin, Writer

    from pocketros import cdr

    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    with Reader(source) as reader, Writer(out, version=9, storage_plugin=plugin) as writer:
        channels: dict[str, Any] = {}

        def write(topic: str, kind: str, log_ns: int, data: bytes) -> None:
            if topic not in channels:
                channels[topic] = writer.add_connection(
                    topic, kind, msgdef=cdr.message_definition(kind), rihs01=cdr.type_hash(kind)
                )
            writer.write(channels[topic], log_ns, data)

        tick_ns, late = -1, 0
        for connection, log_ns, data in reader.messages():
            stamp_ns, late = log_ns, late + 1
            if wall:
                log_ns = WALL_NS + log_ns + late * 10_000 % 9_000_000
            if clock_hz and stamp_ns - tick_ns >= 1e9 / clock_hz:
                tick_ns = stamp_ns
                write("/clock", "rosgraph_msgs/msg/Clock", WALL_NS + stamp_ns, _clock(stamp_ns))
            changed = change(connection.topic, bytes(data)) if keep(connection.topic) else None
            if changed is not None:
                write(connection.topic, connection.msgtype, log_ns, changed)
    return out


def _clock(stamp_ns: int) -> bytes:
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    data = b"\0\1\0\0" + sec.to_bytes(4, "little") + nanosec.to_bytes(4, "little")
    assert stamp_of(data) == stamp_ns
    return data
