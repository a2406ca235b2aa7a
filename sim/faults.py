"""Faults of a shift: one line of text each, and which of them are in force when.

    at 30s fault camera dropout robot=3 for 10s
    at 1min fault robot slow by 0.5 robot=1,2
    at 20s fault spill at=4.5,10.5
    at 40s fault planner kill for 5s

`robot=` names one robot, several or `all` (the default); without `for` a fault lasts to the end; `at=` is a
place in `map`, m (the default: one drawn by seed). The planner, its store and its clients are no robots: their
faults befall the one service. Everything is pure: the clock is passed in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from aislewise.clock import to_ns
from aislewise.errors import InputError

MAX_CHARS, MAX_FAULTS = 1000, 100
LONGEST_S = 1e6
_NUMBER = re.compile(r"(-?\d{1,15}(?:\.\d{1,20})?(?:e-?\d{1,3})?)([a-z]*)")
_UNITS = {"s": {"s": 1.0, "ms": 1e-3, "min": 60.0}, "deg": {"deg": 1.0}, "m": {"m": 1.0}, "": {"": 1.0}}
"""Spellings of each unit, and what they are of it. Times are in seconds."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What may be said of a fault. word: "by" or "to" before its amount, "" without one; unit of the amount, its
    limits, and what it is when left out (None: it must be given); place: it happens at a place, not to robots;
    process: it happens to the planning service; lasting: it may end; for_s: how long it lasts where nothing is said
    (None: to the end)."""

    word: str = ""
    unit: str = ""
    low: float = 0.0
    high: float = 0.0
    default: float | None = None
    place: bool = False
    process: bool = False
    lasting: bool = True
    for_s: float | None = None


_SENSOR = {
    "dropout": Kind(),
    "freeze": Kind(),
    "delay": Kind("by", "s", 0.0, 10.0),
    "skew": Kind("by", "s", -5.0, 5.0),
    "dirt": Kind("by", "", 0.01, 1.0, 0.3),
    "garbage": Kind("by", "", 0.01, 1.0, 1.0),
    "misalign": Kind("by", "deg", -45.0, 45.0),
}
SENSORS = ("camera", "lidar")
KINDS: dict[str, Kind] = {
    **{f"{sensor} {effect}": kind for sensor in SENSORS for effect, kind in _SENSOR.items()},
    "light blackout": Kind(),
    "robot stop": Kind(),
    "robot slow": Kind("by", "", 0.01, 0.95),
    "robot silent": Kind(),
    "robot lost": Kind("by", "m", 0.0, 50.0, 2.0),
    "battery drop": Kind("to", "", 0.0, 1.0, lasting=False),
    "aisle blocked": Kind(place=True),
    "person down": Kind(place=True),
    "spill": Kind(place=True),
    "network cut": Kind(),
    "network duplicate": Kind("by", "", 0.01, 1.0, 0.3),
    "network reorder": Kind("by", "", 0.01, 1.0, 0.3),
    "planner kill": Kind(process=True, for_s=5.0),
    "store full": Kind(process=True),
    "client cut": Kind(process=True),
}

PROBLEMS = {"robot stop": "emergency stop", "robot lost": "not localised"}
"""Faults in which a robot stands, and what it says is wrong with it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """kind: of KINDS; robots: numbers of those it befalls, () = all; for_s None: to the end; at: (x, y) m in `map`,
    None = drawn by seed."""

    kind: str
    at_s: float
    robots: tuple[int, ...] = ()
    amount: float | None = None
    for_s: float | None = None
    at: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        kind = KINDS.get(self.kind)
        if kind is None:
            raise InputError("kind", f"{self.kind!r}", sorted(KINDS))
        _within("at", self.at_s, 0.0, LONGEST_S)
        if (self.amount is None) != (not kind.word):
            raise InputError(kind.word or "by", f"{self.amount} for {self.kind}", "an amount" if kind.word else "none")
        if self.amount is not None:
            _within(kind.word, self.amount, kind.low, kind.high)
        if self.for_s is None:
            object.__setattr__(self, "for_s", kind.for_s)
        else:
            if not kind.lasting:
                raise InputError("for", f"{self.kind} does not last", "none")
            _within("for", self.for_s, 1e-3, LONGEST_S)
        if self.robots and (kind.place or kind.process):
            raise InputError("robot", f"{self.kind} befalls a {'place' if kind.place else 'process'}", "none")
        if len(set(self.robots)) != len(self.robots) or any(not 1 <= n <= 10_000 for n in self.robots):
            raise InputError("robot", f"{self.robots}", "different numbers from 1 to 10,000")
        if self.at is not None:
            if not kind.place:
                raise InputError("at=", f"{self.kind} befalls {'a process' if kind.process else 'robots'}", "none")
            for value in self.at:
                _within("at=", value, -1e4, 1e4)

    @property
    def subject(self) -> str:
        return self.kind.partition(" ")[0]

    @property
    def effect(self) -> str:
        return self.kind.partition(" ")[2]

    @property
    def place(self) -> bool:
        return KINDS[self.kind].place

    @property
    def process(self) -> bool:
        return KINDS[self.kind].process

    @property
    def until_s(self) -> float:
        return math.inf if self.for_s is None else self.at_s + self.for_s

    def befalls(self, robot: str) -> bool:
        """robot: "robot_3" has the number 3."""
        return not self.place and not self.process and (not self.robots or int(robot.rpartition("_")[2]) in self.robots)

    def in_force(self, now_ns: int) -> bool:
        return to_ns(self.at_s) <= now_ns and (self.for_s is None or now_ns < to_ns(self.at_s + self.for_s))

    def __str__(self) -> str:
        """The line that gives this fault."""
        kind = KINDS[self.kind]
        out = [f"at {_plain(self.at_s)}s fault {self.kind}"]
        if self.amount is not None:
            out.append(f"{kind.word} {_plain(self.amount)}{kind.unit}")
        if self.robots:
            out.append("robot=" + ",".join(map(str, self.robots)))
        if self.at is not None:
            out.append("at=" + ",".join(map(_plain, self.at)))
        if self.for_s is not None:
            out.append(f"for {_plain(self.for_s)}s")
        return " ".join(out)


def parse_fault(text: str, where: str = "fault") -> Fault:
    """One line. Raises InputError naming where.FIELD and what it must be."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_CHARS:
        raise InputError(where, f"{text!r:.60}", f"a line of 1 to {MAX_CHARS} characters")
    try:
        return _read(text.split())
    except InputError as error:
        raise InputError(f"{where}.{error.field}", error.message, error.limit) from error


def _read(words: list[str]) -> Fault:
    if len(words) < 4 or words[0] != "at" or words[2] != "fault":
        raise InputError("at", f"{' '.join(words)!r:.60}", "at TIME fault KIND ...")
    name = next((n for n in (" ".join(words[3:5]), words[3]) if n in KINDS), "")
    if not name:
        raise InputError("kind", f"{' '.join(words[3:5])!r}", sorted(KINDS))
    kind, rest = KINDS[name], words[3 + len(name.split()) :]
    given = _parts(rest)
    if wrong := set(given) & {"by", "to"} - {kind.word}:
        raise InputError(min(wrong), f"does not go with {name}", kind.word or "none")
    amount = _quantity(kind.word, given[kind.word], kind.unit) if kind.word in given else kind.default
    for_s = _quantity("for", given["for"], "s") if "for" in given else None
    return Fault(
        name, _quantity("at", words[1], "s"), _robots(given.get("robot", "all")), amount, for_s, _place(given.get("at="))
    )


def _parts(words: list[str]) -> dict[str, str]:
    """by, to, for: the word after; robot, at=: what stands behind the equals sign."""
    out: dict[str, str] = {}
    left = iter(words)
    for word in left:
        if word in ("by", "to", "for"):
            name, value = word, next(left, "")
        elif word.startswith("robot="):
            name, value = "robot", word.removeprefix("robot=")
        elif word.startswith("at="):
            name, value = "at=", word.removeprefix("at=")
        else:
            raise InputError("word", f"{word!r:.60}", "by, to, for, robot= or at=")
        if name in out:
            raise InputError(name, "twice", "once")
        out[name] = value
    return out


def _quantity(field: str, text: str, unit: str) -> float:
    spellings = _UNITS[unit]
    match = _NUMBER.fullmatch(text)
    if match is None or match[2] not in spellings:
        raise InputError(field, f"{text!r:.60}", " or ".join(f"NUMBER{u}" for u in spellings))
    return float(match[1]) * spellings[match[2]]


def _robots(text: str) -> tuple[int, ...]:
    if text == "all":
        return ()
    if not re.fullmatch(r"\d{1,3}(,\d{1,3})*", text):
        raise InputError("robot", f"{text!r:.60}", "a number, numbers with commas between, or all")
    return tuple(int(n) for n in text.split(","))


def _place(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    x, comma, y = text.partition(",")
    if not comma:
        raise InputError("at=", f"{text!r:.60}", "X,Y in m")
    return _quantity("at=", x, ""), _quantity("at=", y, "")


def _within(field: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise InputError(field, f"{value}", f"{low:g} to {high:g}")


def _plain(value: float) -> str:
    """Shortest text that reads back as the same number."""
    return str(int(value)) if value == int(value) else repr(value)


class FaultSchedule:
    """What holds at a time, for whoever passes sensor frames, states and motion on."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)

    def active(self, subject: str, robot: str, now_ns: int) -> list[tuple[int, Fault]]:
        """With their place in the list."""
        return [
            (k, f) for k, f in enumerate(self.faults)
            if f.subject == subject and f.befalls(robot) and f.in_force(now_ns)
        ]  # fmt: skip

    def has(self, kind: str, robot: str, now_ns: int) -> bool:
        subject = kind.partition(" ")[0]
        return any(f.kind == kind for _, f in self.active(subject, robot, now_ns))

    def pace(self, robot: str, now_ns: int) -> float:
        """Share of its speed that the robot has left; 0: it stands."""
        pace = 1.0
        for _, fault in self.active("robot", robot, now_ns):
            if fault.kind in PROBLEMS:
                return 0.0
            if fault.kind == "robot slow":
                pace *= 1.0 - (fault.amount or 0.0)
        return pace

    def problem(self, robot: str, now_ns: int) -> str:
        """What the robot itself says is wrong with it."""
        return next((said for kind, said in PROBLEMS.items() if self.has(kind, robot, now_ns)), "")

    def lost(self, robot: str, now_ns: int) -> list[tuple[int, Fault, float]]:
        """Why the robot's localisation has lost its way: place in the list, fault, and for how long, s."""
        active = [(k, f) for k, f in self.active("robot", robot, now_ns) if f.kind == "robot lost"]
        return [(k, f, now_ns * 1e-9 - f.at_s) for k, f in active]

    def process(self, kind: str, now_ns: int) -> bool:
        """Whether that befalls the planning service now."""
        return any(f.kind == kind and f.in_force(now_ns) for f in self.faults)

    def battery(self, robot: str, charge: float, now_ns: int, next_ns: int) -> float:
        """What is left of a charge after the drops that fall between now and next."""
        for fault in self.faults:
            if fault.kind == "battery drop" and fault.befalls(robot) and now_ns <= to_ns(fault.at_s) < next_ns:
                charge = min(charge, fault.amount or 0.0)
        return charge

    def in_force_s(self, robots: Sequence[str], now_ns: int) -> dict[str, float]:
        """Per kind of fault that befalls robots or the service: how long it has been in force, added up over them, s."""
        out: dict[str, float] = {}
        for fault in self.faults:
            hit = 1 if fault.process else sum(fault.befalls(r) for r in robots)
            lasted_s = min(now_ns * 1e-9, fault.until_s) - fault.at_s
            if hit and KINDS[fault.kind].lasting and lasted_s > 0.0:
                out[fault.kind] = round(out.get(fault.kind, 0.0) + hit * lasted_s, 3)
        return out
