"""What a node says of itself on /diagnostics: one concern each, with a level, words and figures. Knows no ROS."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum

from aislewise.clock import to_ns, to_s
from aislewise.topics import Topic

WINDOW_S = 10.0
"""Rates are judged over this long, and a refusal is a warning for this long."""
SLOW = 0.5
"""Below this share of the table's rate a topic is a warning."""


class Level(IntEnum):
    """As in diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True, slots=True)
class Concern:
    """One line of /diagnostics."""

    name: str
    level: Level = Level.OK
    message: str = "ok"
    values: dict[str, str] = field(default_factory=dict)


class Timing:
    """The last durations of something, in ms."""

    def __init__(self, size: int = 200) -> None:
        self._ms: deque[float] = deque(maxlen=size)
        self.count = 0

    def add(self, ms: float) -> None:
        self._ms.append(ms)
        self.count += 1

    def values(self, prefix: str = "") -> dict[str, str]:
        """p50, p99 and the largest; empty when nothing was measured."""
        if not self._ms:
            return {}
        ordered = sorted(self._ms)
        last = len(ordered) - 1
        marks = (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
        return {f"{prefix}{name} ms": f"{ordered[round(share * last)]:.2f}" for name, share in marks}


class InputWatch:
    """One subscribed topic: how often it comes, how long it has been silent, what was refused of it."""

    def __init__(self, topic: Topic, name: str, since_ns: int) -> None:
        self.topic, self.name = topic, name
        self.timing = Timing()
        self.refused = self.lost = 0
        self._since_ns = since_ns
        self._arrivals: deque[int] = deque(maxlen=256)
        self._refused_ns = -1
        self._why = ""

    def restart(self, now_ns: int) -> None:
        """Silence before now does not count: the node did not listen."""
        self._since_ns = now_ns
        self._arrivals.clear()

    def heard(self, now_ns: int) -> None:
        if self._arrivals and now_ns < self._arrivals[-1]:  # simulated time was set back
            self.restart(now_ns)
        self._arrivals.append(now_ns)

    def used(self, ms: float) -> None:
        self.timing.add(ms)

    def refuse(self, now_ns: int, why: str) -> None:
        self.refused, self._refused_ns, self._why = self.refused + 1, now_ns, why

    def lose(self, count: int) -> None:
        """Messages that the middleware lost, or that were no messages of this type."""
        self.lost += count

    def rate_hz(self, now_ns: int) -> float:
        """Over the last WINDOW_S, or as much of it as there is."""
        recent = [t for t in self._arrivals if now_ns - t <= to_ns(WINDOW_S)]
        if len(recent) < 2 or recent[-1] == recent[0]:
            return 0.0
        return (len(recent) - 1) / to_s(recent[-1] - recent[0])

    def concern(self, now_ns: int) -> Concern:
        topic = self.topic
        silent_s = to_s(now_ns - (self._arrivals[-1] if self._arrivals else self._since_ns))
        rate = self.rate_hz(now_ns)
        values = {"messages": str(self.timing.count), "refused": str(self.refused), "silent s": f"{silent_s:.2f}"}
        values |= {"lost": str(self.lost)} if self.lost else {}
        values |= {"rate Hz": f"{rate:.2f}", "expected Hz": f"{topic.rate_hz:g}"} if topic.rate_hz else {}
        values |= self.timing.values()
        if self._why:
            values["last refusal"] = self._why
        level, message = self._judge(now_ns, silent_s, rate)
        return Concern(f"input {self.name}", level, message, values)

    def _judge(self, now_ns: int, silent_s: float, rate: float) -> tuple[Level, str]:
        topic = self.topic
        if topic.stale_s and silent_s > topic.stale_s:
            if not self._arrivals:
                return Level.STALE, "nothing received"
            return Level.ERROR, f"silent for {silent_s:.1f} s, stale after {topic.stale_s:g} s"
        if self._refused_ns >= 0 and now_ns - self._refused_ns <= to_ns(WINDOW_S):
            return Level.WARN, f"refused: {self._why}"
        settled = self._arrivals and to_s(now_ns - self._arrivals[0]) * topic.rate_hz >= 5.0
        if settled and rate < SLOW * topic.rate_hz:
            return Level.WARN, f"{rate:.2f} Hz instead of {topic.rate_hz:g} Hz"
        return Level.OK, "ok"
