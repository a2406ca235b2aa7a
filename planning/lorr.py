"""League of Robot Runners problems (2024 format) in, and results out as the start kit writes them.

A problem is a JSON file that names a map, the robots' start cells and the tasks; a task is an ordered list of
errands (cells). Robots start facing east. Always `int(numTasksReveal * teamSize)` unfinished tasks are known; a task
may be handed to another robot until its first errand is done.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

MAX_FILE_BYTES = 256 << 20
MAX_CELLS = 1 << 24
CLOSED = "@T"


@dataclass(frozen=True, slots=True)
class Problem:
    """free (H, W); starts (N,) cells; errands: all tasks' cells one after the other, task k's from offsets[k] to
    offsets[k + 1]; revealed: unfinished tasks known at any time; stations: cells marked E (emitters) or S (service)
    on the map, E first."""

    name: str
    free: Bool
    starts: I32
    errands: I32
    offsets: I64
    revealed: int
    stations: I32

    @property
    def robots(self) -> int:
        return len(self.starts)

    @property
    def tasks(self) -> int:
        return len(self.offsets) - 1


def read_problem(path: str | Path) -> Problem:
    """InputError, naming the field, on anything malformed."""
    path = Path(path)
    try:
        fields = json.loads(_text("problem", path))
    except ValueError as error:
        raise InputError("problem", f"{path} is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InputError("problem", "not an object")
    team = _number(fields, "teamSize", 1, MAX_CELLS)
    reveal = _number(fields, "numTasksReveal", 1, 1000, default=1.0)
    letters = _map(path.parent / _name(fields, "mapFile"))
    free = ~np.isin(letters, list(CLOSED))
    starts = _starts(path.parent / _name(fields, "agentFile"), int(team), free)
    errands, offsets = _tasks(path.parent / _name(fields, "taskFile"), free)
    stations = np.concatenate([np.flatnonzero((letters == kind).ravel()) for kind in "ES"]).astype(np.int32)
    # The start kit multiplies in single precision.
    revealed = int(np.float32(reveal) * np.float32(int(team)))
    return Problem(path.stem, free, starts, errands, offsets, max(1, revealed), stations)


def _text(field: str, path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(field, f"{path.stat().st_size} bytes", MAX_FILE_BYTES)
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(field, f"cannot read {path}: {error}") from None


def _name(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value:
        raise InputError(key, f"{value!r}", "a file name")
    return value


def _number(fields: dict[str, Any], key: str, least: float, most: float, default: float | None = None) -> float:
    value = fields.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise InputError(key, f"{value!r}", f"{least} to {most}")
    return value


def _map(path: Path) -> NDArray[np.str_]:
    """(H, W) one-letter strings."""
    lines = _text("mapFile", path).splitlines()
    head = [line.split() for line in lines[:4]]
    if len(head) < 4 or head[0][:1] != ["type"] or head[3] != ["map"] or [h[0] for h in head[1:3]] != ["height", "width"]:
        raise InputError("mapFile", "no octile header", "type, height, width, map")
    try:
        height, width = int(head[1][1]), int(head[2][1])
    except (ValueError, IndexError):
        raise InputError("mapFile", "height or width is no number") from None
    rows = [line.rstrip("\r\n") for line in lines[4 : 4 + height]]
    if not 1 <= height * width <= MAX_CELLS or len(rows) < height or any(len(row) != width for row in rows):
        raise InputError("mapFile", "rows do not match", f"{height} rows of {width}, {MAX_CELLS} cells")
    return np.array([list(row) for row in rows])


def _lines(field: str, path: Path) -> list[str]:
    """The lines after the count, as many as it says."""
    lines = [line for line in _text(field, path).splitlines() if line.strip() and not line.startswith("#")]
    try:
        count = int(lines[0])
    except (ValueError, IndexError):
        raise InputError(field, "the first line is no count") from None
    if count < 1 or len(lines) < count + 1:
        raise InputError(field, f"{len(lines) - 1} lines", f"{count}, as its first line says")
    return lines[1 : count + 1]


def _cells(field: str, text: list[str], free: Bool) -> I32:
    try:
        cells = np.array(text, dtype=np.int64)
    except ValueError:
        raise InputError(field, "not whole numbers") from None
    inside = (cells >= 0) & (cells < free.size)
    good = inside & free.ravel()[np.where(inside, cells, 0)]
    if not good.all():
        raise InputError(field, f"cell {int(cells[~good][0])} is not free")
    return cells.astype(np.int32)


def _starts(path: Path, team: int, free: Bool) -> I32:
    lines = _lines("agentFile", path)
    if len(lines) < team:
        raise InputError("teamSize", f"{team}", f"at most {len(lines)}, the start cells")
    cells = _cells("agentFile", lines[:team], free)
    if len(np.unique(cells)) != team:
        raise InputError("agentFile", "two robots in one cell")
    return cells


def _tasks(path: Path, free: Bool) -> tuple[I32, I64]:
    parts = [line.split(",") for line in _lines("taskFile", path)]
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return _cells("taskFile", [cell for part in parts for cell in part], free), offsets
