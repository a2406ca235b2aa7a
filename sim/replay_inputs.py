"""What of a bag a replay plays, in which order and at which time; and what it cannot replay, and why."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from aislewise import topics
from aislewise.clock import to_ns
from aislewise.topics import Topic
from sim.replay_bag import Bag, BagError, Recorded, stamp_of

CAMERA, LIDAR = (topics.CAMERA_INFO_RAW, topics.IMAGE_RAW), (topics.POINTS_RAW,)
CAMERA_READY, LIDAR_READY = (topics.CAMERA_INFO, topics.IMAGE), (topics.POINTS,)
ROBOT_TOPICS = (
    topics.ROBOT_STATE, *CAMERA, *LIDAR, *CAMERA_READY, *LIDAR_READY, topics.DETECTIONS,
)  # fmt: skip
"""In the order in which messages of one robot and the same log time are played: an image needs its calibration."""
FLEET_FIRST = (topics.CLOCK, topics.TF_STATIC, topics.SITE_MAP, topics.TF)
WORDS = (topics.INSTRUCTION_TEXT, topics.INSTRUCTION)
STAMPED = (topics.ROBOT_STATE, topics.IMAGE_RAW, topics.POINTS_RAW, topics.IMAGE, topics.POINTS, topics.DETECTIONS)
CLOCKS_DIFFER_S = 5.0
"""Log times farther than this from the stamps are those of another clock."""
LEAP_S = 10.0
"""A stamp that is farther ahead than time has gone on is a wrong one."""


@dataclass(frozen=True, slots=True)
class Robot:
    """prefix: of its topics ("/robot_1/"); played: its topics that are played; raw: its images and clouds are as they
    came from the sensors; sensing: its detections are made anew, else those recorded are played."""

    name: str
    prefix: str
    played: tuple[Topic, ...]
    raw: tuple[Topic, ...] = ()
    sensing: bool = False


@dataclass
class Inputs:
    """robots by name; fleet: topics played beside theirs; words: the instruction topic that is played; gaps: in
    words, what is not replayed, and why."""

    robots: dict[str, Robot] = field(default_factory=dict)
    fleet: tuple[Topic, ...] = ()
    words: Topic | None = None
    gaps: list[str] = field(default_factory=list)
    order: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def topics(self) -> Iterator[tuple[Topic, str]]:
        """Every topic that is played, with its full name."""
        for topic in self.fleet:
            yield topic, topic.name
        for robot in self.robots.values():
            for topic in robot.played:
                yield topic, robot.prefix + topic.name
        if self.words is not None:
            yield self.words, self.words.name

    @property
    def sensing(self) -> list[Robot]:
        return [r for r in self.robots.values() if r.sensing]


def find_inputs(bag: Bag) -> Inputs:
    """Raises BagError when there is nothing that our nodes could work on, naming what is missing."""
    out = Inputs(fleet=tuple(t for t in FLEET_FIRST if bag.counts.get(t.name)))
    out.words = next((t for t in WORDS if bag.counts.get(t.name)), None)
    posed = {topics.TF, topics.TF_STATIC} <= set(out.fleet)
    for prefix in sorted(_prefixes(bag), key=_natural):
        robot = _robot(bag, prefix, posed, out.gaps)
        out.robots[robot.name] = robot
    site = topics.SITE_MAP in out.fleet
    if not site:
        out.gaps.append(f"world, occupancy, instructions and plans: {topics.SITE_MAP.name} is not in the bag")
    seen = any(topics.DETECTIONS in r.played for r in out.robots.values())
    if not (out.sensing or (site and seen)):
        raise BagError("replay", f"{bag.path} has nothing to replay: {_missing(bag, out)}")
    for topic, name in out.topics:
        bag.check(topic, name)
    out.order = _order(out)
    return out


def _prefixes(bag: Bag) -> set[str]:
    return {
        name.removesuffix(topic.name)
        for topic in ROBOT_TOPICS
        for name, count in bag.counts.items()
        if count and name.endswith("/" + topic.name) and bag.types[name] == topic.type
    }


def _robot(bag: Bag, prefix: str, posed: bool, gaps: list[str]) -> Robot:
    """The raw sensors where they were recorded, else what the camera and lidar nodes made of them."""
    name = prefix.strip("/")

    def recorded(wanted: Iterable[Topic]) -> bool:
        return all(bag.counts.get(prefix + t.name) for t in wanted)

    raw = tuple(t for group in (CAMERA, LIDAR) if recorded(group) for t in group)
    ready = [g for g, first in ((CAMERA_READY, CAMERA), (LIDAR_READY, LIDAR)) if recorded(g) and not recorded(first)]
    sensors = (*raw, *(t for group in ready for t in group))
    sensing = bool(sensors) and posed
    played = [topics.ROBOT_STATE, *(sensors if sensing else (topics.DETECTIONS,))]
    here = tuple(t for t in played if recorded((t,)))
    who = name or "the robot"
    if not sensors:
        gaps.append(f"perception of {who}: its camera and lidar were not recorded")
    elif not posed:
        gaps.append(f"perception of {who}: {topics.TF.name} or {topics.TF_STATIC.name} is not in the bag")
    elif not (recorded(CAMERA) or recorded(CAMERA_READY)):
        gaps.append(f"camera of {who}: not recorded")
    elif not (recorded(LIDAR) or recorded(LIDAR_READY)):
        gaps.append(f"lidar of {who}: not recorded")
    return Robot(name, prefix, here, raw if sensing else (), sensing)


def _missing(bag: Bag, inputs: Inputs) -> str:
    """The topics that would have to be there."""
    if not any(bag.counts.values()):
        return "it is empty"
    absent = [t.name for t in (topics.TF, topics.TF_STATIC) if not bag.counts.get(t.name)]
    whole = [all(bag.counts.get(r.prefix + t.name) for t in g) for r in inputs.robots.values() for g in (CAMERA, LIDAR)]
    if not any(whole):
        absent.append(f"<robot>/{topics.IMAGE_RAW.name} with {topics.CAMERA_INFO_RAW.name.rpartition('/')[2]}")
        absent.append(f"<robot>/{topics.POINTS_RAW.name}")
    return f"it lacks {', '.join(absent)}"


def _natural(text: str) -> list[tuple[int, int | str]]:
    """robot_2 before robot_10."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", text)]


def _order(inputs: Inputs) -> dict[str, tuple[int, int]]:
    """A key per topic for messages of the same log time. All that a lock-step run publishes in a tick has one log
    time: reports come before anything is seen, and robots see one after the other."""
    out = {t.name: (0, k) for k, t in enumerate(FLEET_FIRST)}
    for number, robot in enumerate(inputs.robots.values()):
        for k, topic in enumerate(ROBOT_TOPICS):
            reports = topic is topics.ROBOT_STATE
            out[robot.prefix + topic.name] = (1, number) if reports else (2, number * len(ROBOT_TOPICS) + k)
    return out | {t.name: (3, k) for k, t in enumerate(WORDS)}


def played(bag: Bag, inputs: Inputs) -> Iterator[Recorded]:
    """The messages to be played, in order."""
    for _, group in itertools.groupby(bag.messages(name for _, name in inputs.topics), key=lambda m: m.log_ns):
        yield from sorted(group, key=lambda m: inputs.order[m.topic])


class Timeline:
    """ROS time at each message: that of /clock where it was recorded, else the log times, else (they are of another
    clock than the stamps: simulated time recorded without /clock) the newest stamp so far."""

    def __init__(self, inputs: Inputs, delays_s: Iterable[float]) -> None:
        """delays_s: from the stamps of recorded outputs to their log times."""
        self.kind = "log times"
        off_s = np.array(list(delays_s), np.float64)
        if topics.CLOCK in inputs.fleet:
            self.kind = "/clock"
        elif off_s.size and abs(float(np.median(off_s))) > CLOCKS_DIFFER_S:
            self.kind = "stamps"
        self._stamped = {
            r.prefix + t.name for r in inputs.robots.values() for t in r.played if t in STAMPED
        }  # fmt: skip
        self._now_ns = -1
        self._log_ns = 0

    def at(self, message: Recorded) -> int:
        """ROS time in ns, -1 before it is known; never goes back."""
        if self.kind == "log times":
            self._now_ns = max(self._now_ns, message.log_ns)
        elif self.kind == "/clock":
            if message.topic == topics.CLOCK.name:
                self._now_ns = max(self._now_ns, stamp_of(message.data))  # the message is a stamp alone
        elif message.topic in self._stamped:
            stamp_ns = stamp_of(message.data)
            if self._now_ns < 0 or stamp_ns - self._now_ns <= message.log_ns - self._log_ns + to_ns(LEAP_S):
                self._now_ns, self._log_ns = max(self._now_ns, stamp_ns), message.log_ns
        return self._now_ns
