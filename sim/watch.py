"""How a shift went over time: who moved, worked and waited, and what the planner took to be blocked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from aislewise.sitemap import SiteMap
from aislewise.types import F64, RobotMode
from sim.robot_config import RobotConfig


class RobotLike(Protocol):
    """What is read of a robot. battery: 0 to 1; load: what is on board; config.battery_s: driving time of a full battery."""

    @property
    def id(self) -> str: ...
    @property
    def distance_m(self) -> float: ...
    @property
    def battery(self) -> float: ...
    @property
    def load(self) -> Sequence[object]: ...
    @property
    def config(self) -> RobotConfig: ...


NEAR_M = 1.5
"""A cell is blocked for a reason when its centre is within this of something's edge: half a cell, and the room that is
kept round people, vehicles and wet floors."""
DOING = ("moving", "working", "charging", "waiting", "idle")
"""What a robot does at a time. waiting: it has work, and neither drives nor handles goods."""
_OF_MODE = {RobotMode.MOVING: "moving", RobotMode.ACTING: "working", RobotMode.CHARGING: "charging"}


MOST_ROWS = 4096
"""A longer shift is kept more coarsely: memory must not grow with its length."""


class Trail(list[tuple[float, float, float]]):
    """Where somebody was: (t_s, x_m, y_m), evenly thinned out so that never more than `most` are kept."""

    def __init__(self, most: int = MOST_ROWS) -> None:
        super().__init__()
        self._most, self._every, self._seen = max(2, most), 1, 0

    def append(self, place: tuple[float, float, float]) -> None:
        if self._seen % self._every == 0:
            super().append(place)
        self._seen += 1
        if len(self) >= self._most:
            del self[1::2]
            self._every *= 2


class Travel:
    """How far robots drove in all and with nothing on board, and the energy that went: in hours of driving at full drain."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, float, bool]] = {}
        self.driven_m = self.empty_m = self.energy_h = 0.0

    def sample(self, robots: Iterable[RobotLike]) -> None:
        """Often: between two times a robot is taken to carry what it did at the first."""
        for robot in robots:
            laden = bool(robot.load)
            before_m, before, was_laden = self._last.get(robot.id, (robot.distance_m, robot.battery, laden))
            gone = robot.distance_m - before_m
            self.driven_m += gone
            self.empty_m += gone if not was_laden else 0.0
            self.energy_h += max(0.0, before - robot.battery) * robot.config.battery_s / 3600.0
            self._last[robot.id] = (robot.distance_m, robot.battery, laden)

    @property
    def empty_share(self) -> float:
        return self.empty_m / self.driven_m if self.driven_m > 0.0 else 0.0


class Watch:
    """`sample` at even times, step_s apart; `series` and `waits` are what a report draws. waits: (H, W) robot-seconds
    of waiting with work to do in each cell of the site."""

    def __init__(self, site: SiteMap, robots: Sequence[str], step_s: float) -> None:
        self._site, self._centres = site, site.centres()
        self._robots, self._step_s = list(robots), step_s
        self._rows: list[F64] = []
        self._part: list[F64] = []
        self._per_row = 1
        self.waits = np.zeros(site.cells.shape)
        self.waited_s = self.false_blocked_s = 0.0

    def sample(
        self, t_s: float, modes: Mapping[str, RobotMode], places: Mapping[str, tuple[float, float]],
        busy: Collection[str], blocked: Iterable[int], bodies: Sequence[tuple[float, float, float]],
    ) -> None:  # fmt: skip
        """modes, places: of every robot; busy: those with work; blocked: cells that the planner leads round; bodies:
        (x, y, half of its size), m, of all that truly stands or drives there beside robots."""
        doing = {name: what(modes[name], name in busy) for name in self._robots}
        for name in (name for name, does in doing.items() if does == "waiting"):
            self.waited_s += self._step_s
            if (cell := self._site.cell_at(*places[name])) >= 0:
                self.waits.flat[cell] += self._step_s
        cells = np.fromiter(blocked, np.int64)
        false = int((~self._explained(cells, [*bodies, *((x, y, 0.5) for x, y in places.values())])).sum())
        self.false_blocked_s += self._step_s * false
        counts = [list(doing.values()).count(word) for word in DOING]
        self._keep(np.array([t_s, *counts, len(cells), false], np.float64))

    def _keep(self, row: F64) -> None:
        """A row stands for `_per_row` samples: the time of the first, the mean of the rest."""
        self._part.append(row)
        if len(self._part) == self._per_row:
            self._rows.append(_together(self._part))
            self._part = []
        if len(self._rows) == MOST_ROWS:
            self._rows = [_together(self._rows[k : k + 2]) for k in range(0, MOST_ROWS, 2)]
            self._per_row *= 2

    def _explained(self, cells: np.ndarray[Any, np.dtype[np.int64]], bodies: Sequence[tuple[float, float, float]]) -> Any:
        """(N,) bool: something is there."""
        if not len(cells) or not bodies:
            return np.zeros(len(cells), np.bool_)
        at = np.array(bodies)
        gap = np.hypot(*(self._centres[cells][:, None] - at[None, :, :2]).transpose(2, 0, 1)) - at[None, :, 2]
        return (gap <= NEAR_M).any(axis=1)

    def series(self) -> dict[str, F64]:
        """t_s, and from then on the number of robots doing each of DOING, of blocked cells, and of those for no reason;
        in a shift of more than MOST_ROWS samples means over some."""
        table = np.array(self._rows, np.float64).reshape(-1, 3 + len(DOING))
        return dict(zip(("t_s", *DOING, "blocked", "false_blocked"), table.T, strict=True))


def _together(rows: Sequence[F64]) -> F64:
    out = np.mean(rows, axis=0)
    out[0] = rows[0][0]
    return out


def what(mode: RobotMode, busy: bool) -> str:
    return _OF_MODE.get(mode, "waiting" if busy or mode is RobotMode.STOPPED else "idle")
