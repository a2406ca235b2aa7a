"""Record, play and describe bags: rosbag2's folders with MCAP storage, which `ros2 bag` reads as well."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import yaml

from . import bag_play, bag_record
from .command import Commands
from .errors import VerbError

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
INDENT = " " * 19


def add(commands: Commands) -> None:
    bag_record.add(commands)
    bag_play.add(commands)
    p = commands.add("info", info, "print information about a bag")
    p.add_argument("bag_path", help="bag folder, .mcap or .db3 file")
    p.add_argument("-t", "--topic-name", action="store_true", help="only display topic names")


def info(args: argparse.Namespace) -> None:
    from rosbags.rosbag2 import ReaderError

    try:
        with bag_play.reader(args.bag_path) as bag:
            print("\n".join(c.topic for c in bag.connections) if args.topic_name else describe(bag))
    except ReaderError as error:
        raise VerbError(f"cannot read bag {args.bag_path}: {error}") from error


def describe(bag: Any) -> str:
    """The text of `ros2 bag info`."""
    storage, files = storage_files(Path(bag.path))
    rows = [row for c in bag.connections if (row := _topic_row(c))] or [""]
    events = [row for c in bag.connections if (row := _service_row(c))]
    hidden = sum(c.msgcount for c in bag.connections if _service_row(c))
    end_ns = bag.end_time - 1 if bag.message_count else bag.start_time  # rosbags' end is exclusive
    lines = [
        "",
        f"Files:             {f'{chr(10)}{INDENT}'.join(file.name for file in files)}",
        f"Bag size:          {size(sum(file.stat().st_size for file in files))}",
        f"Storage id:        {storage}",
        f"ROS Distro:        {bag.ros_distro or 'unknown'}",
        f"Duration:          {seconds(max(0, end_ns - bag.start_time))}s",
        f"Start:             {date(bag.start_time)}",
        f"End:               {date(end_ns)}",
        f"Messages:          {bag.message_count - hidden}",
        f"Topic information: {f'{chr(10)}{INDENT}'.join(rows)}",
        f"Service:           {len(events)}",
        f"Service information: {f'{chr(10)}{INDENT}  '.join(events)}",
    ]
    return "\n".join(lines)


def storage_files(path: Path) -> tuple[str, list[Path]]:
    """Storage identifier and files of a bag."""
    if path.is_file():
        return "sqlite3" if path.suffix == ".db3" else "mcap", [path]
    metadata = yaml.safe_load((path / "metadata.yaml").read_text(encoding="utf-8"))["rosbag2_bagfile_information"]
    return metadata["storage_identifier"], [path / name for name in metadata["relative_file_paths"]]


def _is_service_event(connection: Any) -> bool:
    topic, kind = connection.topic, connection.msgtype
    return topic.endswith("/_service_event") and "/srv/" in kind and kind.endswith("_Event")


def _topic_row(connection: Any) -> str:
    if _is_service_event(connection):
        return ""
    return (
        f"Topic: {connection.topic} | Type: {connection.msgtype} | Count: {connection.msgcount} | "
        f"Serialization Format: {connection.ext.serialization_format}"
    )


def _service_row(connection: Any) -> str:
    if not _is_service_event(connection):
        return ""
    return (
        f"Service: {connection.topic.removesuffix('/_service_event')} | "
        f"Type: {connection.msgtype.removesuffix('_Event')} | Event Count: {connection.msgcount} | "
        f"Serialization Format: {connection.ext.serialization_format}"
    )


def size(count: int) -> str:
    """Bytes for people: 512 B, 1.5 KiB."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.{min(unit, 1)}f} {UNITS[unit]}"


def seconds(ns: int) -> str:
    return f"{ns // 1_000_000_000}.{ns % 1_000_000_000:09d}"


def date(ns: int) -> str:
    """Local time and seconds since the epoch, as `ros2 bag info` shows both."""
    local = time.localtime(ns // 1_000_000_000)
    day = f"{time.strftime('%b', local)} {local.tm_mday:2d} {local.tm_year}"
    return f"{day} {time.strftime('%H:%M:%S', local)}.{ns % 1_000_000_000:09d} ({seconds(ns)})"
