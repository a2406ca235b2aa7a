"""How a shift went over time: who moved, worked and waited, and what the planner took to be blocked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from aislewise.sitemap import SiteMap
from aislewise.types import F64, RobotMode

NEAR_M = 1.5
"""A cell is blocked for a reason when its centre is within this of something's edge: half a cell, and the room that is
kept round people, vehicles and wet floors."""
DOING = ("moving", "working", "charging", "waiting", "idle")
"""What a robot does at a time. waiting: it has work, and neither drives nor handles goods."""
_OF_MODE = {RobotMode.MOVING: "moving", RobotMode.ACTING: "working", RobotMode.CHARGING: "charging"}


class Watch:
    """`sample` at even times; `series` and `waits` are what a report draws."""

    def __init__(self, site: SiteMap, robots: Sequence[str], step_s: float) -> None:
        self._centres, self._robots, self.step_s = site.centres(), list(robots), step_s
        self._rows: list[tuple[float, ...]] = []
        self._waits: list[tuple[float, float]] = []
        self.false_blocked_s = 0.0

    @property
    def waited_s(self) -> float:
        """Robot-seconds of waiting with work to do."""
        return self.step_s * len(self._waits)

    @property
    def waits(self) -> F64:
        """(N, 2) where, m in `map`: each row stands for one sample of one robot that waited."""
        return np.array(self._waits, np.float64).reshape(-1, 2)

    def sample(
        self, t_s: float, modes: Mapping[str, RobotMode], places: Mapping[str, tuple[float, float]],
        busy: Collection[str], blocked: Iterable[int], bodies: Sequence[tuple[float, float, float]],
    ) -> None:  # fmt: skip
        """modes, places: of every robot; busy: those with work; blocked: cells that the planner leads round; bodies:
        (x, y, half of its size), m, of all that truly stands or drives there beside robots."""
        doing = {name: what(modes[name], name in busy) for name in self._robots}
        self._waits += [places[name] for name, does in doing.items() if does == "waiting"]
        cells = np.fromiter(blocked, np.int64)
        false = int((~self._explained(cells, [*bodies, *((x, y, 0.5) for x, y in places.values())])).sum())
        self.false_blocked_s += self.step_s * false
        counts = [list(doing.values()).count(word) for word in DOING]
        self._rows.append((t_s, *counts, len(cells), false))

    def _explained(self, cells: np.ndarray[Any, np.dtype[np.int64]], bodies: Sequence[tuple[float, float, float]]) -> Any:
        """(N,) bool: something is there."""
        if not len(cells) or not bodies:
            return np.zeros(len(cells), np.bool_)
        at = np.array(bodies)
        gap = np.hypot(*(self._centres[cells][:, None] - at[None, :, :2]).transpose(2, 0, 1)) - at[None, :, 2]
        return (gap <= NEAR_M).any(axis=1)

    def series(self) -> dict[str, F64]:
        """t_s, and at each the number of robots doing each of DOING, of blocked cells, and of those for no reason."""
        table = np.array(self._rows, np.float64).reshape(-1, 3 + len(DOING))
        return dict(zip(("t_s", *DOING, "blocked", "false_blocked"), table.T, strict=True))


def what(mode: RobotMode, busy: bool) -> str:
    return _OF_MODE.get(mode, "waiting" if busy or mode is RobotMode.STOPPED else "idle")
