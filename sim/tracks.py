"""Where the robots of a run were, and how it went over time: kept beside its figures, drawn as maps and timelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aislewise.sitemap import SiteMap
from aislewise.types import F64

MAX_BYTES = 200_000_000
NOWHERE = np.zeros((0, 2))


@dataclass(frozen=True)
class Tracks:
    """txy: (N, 3) time [s] and place in `map` [m] of all robots; robot: (N,) which; free: (H, W) cells to drive on;
    corner_m: of cell (0, 0). waits: (K, 2) places of robots that waited with work to do, each for step_s; series: by
    name (see sim.watch.Watch.series and sim.shift.Shift.series). Runs of earlier versions have none of the latter."""

    txy: F64
    robot: np.ndarray[Any, np.dtype[np.int64]]
    free: np.ndarray[Any, np.dtype[np.bool_]]
    corner_m: F64
    resolution_m: float
    waits: F64 = field(default_factory=NOWHERE.copy)
    step_s: float = 0.0
    series: Mapping[str, F64] = field(default_factory=dict)

    def seconds_per_cell(self) -> F64:
        """(H, W) robot-seconds spent in each cell."""
        if len(self.txy) < 2:
            return np.zeros(self.free.shape)
        order = np.lexsort((self.txy[:, 0], self.robot))
        t, robot = self.txy[order, 0], self.robot[order]
        stay = np.where(robot[1:] == robot[:-1], t[1:] - t[:-1], 0.0)
        return self._sums(self.txy[order[:-1], 1:], stay)

    def waits_per_cell(self) -> F64:
        """(H, W) robot-seconds of waiting in each cell."""
        return self._sums(self.waits, np.full(len(self.waits), self.step_s))

    def _sums(self, xy: F64, seconds: F64) -> F64:
        out = np.zeros(self.free.shape)
        column, row = ((xy - self.corner_m) // self.resolution_m).astype(int).T
        inside = (row >= 0) & (row < out.shape[0]) & (column >= 0) & (column < out.shape[1])
        np.add.at(out, (row[inside], column[inside]), seconds[inside])
        return out


def save_tracks(
    path: Path, site: SiteMap, tracks: Mapping[str, Sequence[tuple[float, float, float]]], waits: F64 = NOWHERE,
    step_s: float = 0.0, series: Mapping[str, F64] | None = None,
) -> None:  # fmt: skip
    """tracks: (t, x, y) by robot; the rest as in Tracks."""
    rows = [np.asarray(t, np.float64).reshape(-1, 3) for t in tracks.values()]
    np.savez_compressed(
        path, txy=np.vstack([np.zeros((0, 3)), *rows]), robot=np.repeat(np.arange(len(rows)), [len(r) for r in rows]),
        free=site.free, corner_m=np.array([site.x_m, site.y_m]), resolution_m=site.resolution_m, waits=waits,
        step_s=step_s, **{f"series.{name}": values for name, values in (series or {}).items()},
    )  # fmt: skip


def load_tracks(path: Path) -> Tracks | None:
    """None where there is no such file or it cannot be read: a report does without the picture."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        with np.load(path, allow_pickle=False) as data:
            series = {n.removeprefix("series."): data[n] for n in data.files if n.startswith("series.")}
            waits, step_s = (data["waits"], float(data["step_s"])) if "waits" in data.files else (NOWHERE.copy(), 0.0)
            return Tracks(
                data["txy"], data["robot"], data["free"], data["corner_m"], float(data["resolution_m"]), waits, step_s, series
            )
    except (OSError, ValueError, KeyError, EOFError):
        return None
