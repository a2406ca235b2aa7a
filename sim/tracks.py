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


@dataclass(frozen=True)
class Tracks:
    """txy: (N, 3) time [s] and place in `map` [m] of all robots; robot: (N,) which; free: (H, W) cells to drive on;
    corner_m: of cell (0, 0). waits: (H, W) robot-seconds of waiting with work to do in each cell; series: by name (see
    sim.watch.Watch.series and sim.shift.Shift.series). Runs of earlier versions have neither."""

    txy: F64
    robot: np.ndarray[Any, np.dtype[np.int64]]
    free: np.ndarray[Any, np.dtype[np.bool_]]
    corner_m: F64
    resolution_m: float
    waits: F64 | None = None
    series: Mapping[str, F64] = field(default_factory=dict)

    def seconds_per_cell(self) -> F64:
        """(H, W) robot-seconds spent in each cell."""
        seconds = np.zeros(self.free.shape)
        if len(self.txy) < 2:
            return seconds
        order = np.lexsort((self.txy[:, 0], self.robot))
        t, robot = self.txy[order, 0], self.robot[order]
        stay = np.where(robot[1:] == robot[:-1], t[1:] - t[:-1], 0.0)
        column, row = ((self.txy[order[:-1], 1:] - self.corner_m) // self.resolution_m).astype(int).T
        inside = (row >= 0) & (row < seconds.shape[0]) & (column >= 0) & (column < seconds.shape[1])
        np.add.at(seconds, (row[inside], column[inside]), stay[inside])
        return seconds


def save_tracks(
    path: Path, site: SiteMap, tracks: Mapping[str, Sequence[tuple[float, float, float]]],
    waits: F64 | None = None, series: Mapping[str, F64] | None = None,
) -> None:  # fmt: skip
    """tracks: (t, x, y) by robot; the rest as in Tracks."""
    rows = [np.asarray(t, np.float64).reshape(-1, 3) for t in tracks.values()]
    np.savez_compressed(
        path, txy=np.vstack([np.zeros((0, 3)), *rows]), robot=np.repeat(np.arange(len(rows)), [len(r) for r in rows]),
        free=site.free, corner_m=np.array([site.x_m, site.y_m]), resolution_m=site.resolution_m,
        **({} if waits is None else {"waits": waits}),
        **{f"series.{name}": values for name, values in (series or {}).items()},
    )  # fmt: skip


def load_tracks(path: Path) -> Tracks | None:
    """None where there is no such file or it cannot be read: a report does without the picture."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        with np.load(path, allow_pickle=False) as data:
            series = {n.removeprefix("series."): data[n] for n in data.files if n.startswith("series.")}
            free, waits = data["free"], data["waits"] if "waits" in data.files else None
            if waits is not None and waits.shape != free.shape:
                raise ValueError("waits do not fit the site")
            return Tracks(data["txy"], data["robot"], free, data["corner_m"], float(data["resolution_m"]), waits, series)
    except (OSError, ValueError, KeyError, EOFError):
        return None
