"""`topic hz`, `bw` and `delay`: what passes on a topic, measured over a window of messages."""

from __future__ import annotations

import argparse
import math
from collections import deque
from collections.abc import Sequence
from typing import Any

from . import session
from .command import Commands
from .errors import VerbError
from .options import positive_int
from .session import opened
from .topic_echo import expression
from .types import message_type, raw_type, topic_type

SECOND_NS = 1_000_000_000
HZ_WINDOW = 10_000
BW_WINDOW = 100


def add(commands: Commands) -> None:
    for name, func, text, window in (
        ("hz", hz, "print the average publishing rate", HZ_WINDOW),
        ("bw", bw, "display the bandwidth used by a topic", BW_WINDOW),
        ("delay", delay, "display the delay of a topic from the stamp in its header", HZ_WINDOW),
    ):
        p = commands.add(name, func, text, lambda _: True)
        p.add_argument("topic_name", help="such as /chatter")
        p.add_argument(
            "-w", "--window", type=positive_int, default=window, metavar="N",
            help="messages to average over (default %(default)s)",
        )  # fmt: skip
        if name == "hz":
            p.add_argument("--filter", metavar="EXPR", help="count only messages m for which this expression holds")
            p.add_argument("--wall-time", action="store_true", help="measure in wall time, not in ROS time")
        session.add_arguments(p)


def hz(args: argparse.Namespace) -> None:
    from rclpy.clock import Clock

    accept = expression(args.filter) if args.filter else None
    with opened(args) as s:
        rate = Rate(args.window)
        clock = Clock() if args.wall_time else s.node.get_clock()

        def receive(message: Any) -> None:
            if accept is None or accept(message):
                rate.add(clock.now().nanoseconds)
                if text := rate.report():
                    print(text)

        _measure(s, args.topic_name, receive, raw=accept is None)


def bw(args: argparse.Namespace) -> None:
    with opened(args) as s:
        clock = s.node.get_clock()
        bandwidth = Bandwidth(args.window)

        def report() -> None:
            if text := bandwidth.report(clock.now().nanoseconds):
                print(text)

        def start() -> None:
            print(f"Subscribed to [{args.topic_name}]")
            s.node.create_timer(1.0, report)

        _measure(s, args.topic_name, lambda data: bandwidth.add(clock.now().nanoseconds, len(data)), start=start)


def delay(args: argparse.Namespace) -> None:
    with opened(args) as s:
        clock = s.node.get_clock()
        delays: deque[int] = deque(maxlen=args.window)
        news: list[int] = []

        def receive(message: Any) -> None:
            if not hasattr(message, "header"):
                raise VerbError("msg does not have header")
            stamp = message.header.stamp
            delays.append(clock.now().nanoseconds - stamp.sec * SECOND_NS - stamp.nanosec)
            news.append(1)

        def report() -> None:
            if delays and news:
                print(_statistics("average delay", sum(delays) / len(delays) * 1e-9, delays))
            elif delays:
                print("no new messages")
            news.clear()

        _measure(s, args.topic_name, receive, raw=False, start=lambda: s.node.create_timer(1.0, report))


def _measure(s: Any, topic: str, receive: Any, *, raw: bool = True, start: Any = lambda: None) -> None:
    """Subscribe as soon as the topic is there and run until Ctrl-C."""
    from rclpy.qos import qos_profile_sensor_data

    name = topic_type(s, topic, wait=True)
    kind = raw_type(name) if raw else message_type(name)
    s.node.create_subscription(kind, topic, receive, qos_profile_sensor_data, raw=raw)
    start()
    s.spin()


class Rate:
    """Intervals between messages; reports at most once a second of the clock that stamped them."""

    def __init__(self, window: int) -> None:
        self._intervals: deque[int] = deque(maxlen=window)
        self._last = -1
        self._reported = -1

    def add(self, now_ns: int) -> None:
        if now_ns < self._last or not now_ns:  # simulated time began anew, or has not begun
            if self._intervals:
                print("time has reset, resetting counters")
            self._intervals.clear()
            self._last = self._reported = -1
        if not now_ns:
            return
        if self._last >= 0:
            self._intervals.append(now_ns - self._last)
        else:
            self._reported = now_ns
        self._last = now_ns

    def report(self) -> str:
        """Empty where there is nothing new to say yet."""
        if not self._intervals or self._last - self._reported < SECOND_NS:
            return ""
        self._reported = self._last
        mean_ns = sum(self._intervals) / len(self._intervals)
        return _statistics("average rate", SECOND_NS / mean_ns if mean_ns else 0.0, self._intervals)


def _statistics(title: str, value: float, spans_ns: Sequence[int] | deque[int]) -> str:
    mean = sum(spans_ns) / len(spans_ns)
    deviation = math.sqrt(sum((span - mean) ** 2 for span in spans_ns) / len(spans_ns))
    return (
        f"{title}: {value:.3f}\n\tmin: {min(spans_ns) * 1e-9:.3f}s max: {max(spans_ns) * 1e-9:.3f}s "
        f"std dev: {deviation * 1e-9:.5f}s window: {len(spans_ns)}"
    )


class Bandwidth:
    """Sizes of the last messages and when they came."""

    def __init__(self, window: int) -> None:
        self._seen: deque[tuple[int, int]] = deque(maxlen=window)

    def add(self, now_ns: int, size: int) -> None:
        self._seen.append((now_ns, size))

    def report(self, now_ns: int) -> str:
        """Empty before there are two messages."""
        if len(self._seen) < 2:
            return ""
        if now_ns <= self._seen[0][0]:
            self._seen.clear()
            return "WARNING: time is reset!"
        sizes = [size for _, size in self._seen]
        per_s = sum(sizes) / ((now_ns - self._seen[0][0]) * 1e-9)
        scale, unit, digits = (1, "B", 0) if per_s < 1e3 else (1e3, "KB", 2) if per_s < 1e6 else (1e6, "MB", 2)
        rate, mean, least, most = (
            f"{value / scale:.{digits}f} {unit}" for value in (per_s, sum(sizes) / len(sizes), min(sizes), max(sizes))
        )
        return f"{rate}/s from {len(sizes)} messages\n\tMessage size mean: {mean} min: {least} max: {most}"
