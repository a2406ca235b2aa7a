"""Faults of the network between a robot and the rest: messages that are lost, come twice, or in another order."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from zlib import crc32

import numpy as np

from aislewise.clock import to_ns
from sim.faults import FaultSchedule

MOST_LATE_S = 1.0
"""A message that is held back, or the second copy of one, comes at most so much later."""

Draw = Callable[..., np.random.Generator]
"""(fault, robot, channel) -> generator: the same for the same scenario and seed."""
Deliver = Callable[[], None]
Channel = tuple[str, str]
"""Robot and name of the topic: what goes either way on it keeps its order, unless a fault changes that."""


class RobotNetwork:
    """`carry` each message of a robot, either way, and call `due` as time goes on. Without a fault in force every
    message is delivered at once and nothing is drawn."""

    def __init__(self, schedule: FaultSchedule, robots: Sequence[str], draw: Draw) -> None:
        self._schedule, self._draw = schedule, draw
        self._index = {name: k for k, name in enumerate(robots)}
        self._faulty = any(f.subject == "network" for f in schedule.faults)
        self._dice: dict[tuple[int, Channel], np.random.Generator] = {}
        self._held: dict[Channel, Deliver] = {}
        self._late: list[tuple[int, int, Channel, Deliver | None]] = []
        self._number = 0
        self.lost = self.doubled = self.overtaken = 0

    def carry(self, robot: str, topic: str, now_ns: int, deliver: Deliver) -> None:
        """deliver: hands the message over; it may be called later, twice or never."""
        if not self._faulty or robot not in self._index:
            deliver()
            return
        faults = self._schedule.active("network", robot, now_ns)
        channel = robot, topic
        if any(f.effect == "cut" for _, f in faults):
            self._held.pop(channel, None)
            self.lost += 1
            return
        copies = holds = False
        for index, fault in faults:
            hit = self._die(index, channel).random() < (fault.amount or 0.0)
            copies |= hit and fault.effect == "duplicate"
            holds |= hit and fault.effect == "reorder"
        waiting = self._held.pop(channel, None)
        if holds and waiting is None:
            self._held[channel] = deliver
            self._later(now_ns + to_ns(MOST_LATE_S), channel, None)
        else:
            deliver()
        if waiting is not None:  # this one has overtaken it
            self.overtaken += 1
            waiting()
        if copies:
            self.doubled += 1
            delay_s = self._die(-1, channel).uniform(0.0, MOST_LATE_S)
            self._later(now_ns + to_ns(delay_s), channel, deliver)

    def due(self, now_ns: int) -> None:
        """Deliver what has been held back for long enough."""
        while self._late and self._late[0][0] <= now_ns:
            _, _, (robot, topic), deliver = heapq.heappop(self._late)
            if deliver is None:
                deliver = self._held.pop((robot, topic), None)
            if deliver is not None and not self._schedule.has("network cut", robot, now_ns):
                deliver()

    def _later(self, at_ns: int, channel: Channel, deliver: Deliver | None) -> None:
        """deliver None: whatever is then held back on the channel."""
        self._number += 1
        heapq.heappush(self._late, (at_ns, self._number, channel, deliver))

    def _die(self, fault: int, channel: Channel) -> np.random.Generator:
        """fault -1: for the delays of copies."""
        key = fault, channel
        if key not in self._dice:
            robot, topic = channel
            count = len(self._schedule.faults)
            self._dice[key] = self._draw(count + 1 + fault, 1_000_000 + self._index[robot], crc32(topic.encode()))
        return self._dice[key]
