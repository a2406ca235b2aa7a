"""The files of the MovingAI benchmarks (Sturtevant 2012; MAPF scenarios: Stern et al. 2019).

Maps: the octile format, or plain rows of 0 (free) and 1 after two lines with height and width. Scenarios:
"version 1" with nine columns, or a count and then start_x start_y goal_x goal_y. x is the column, y the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError

I32 = NDArray[np.int32]
Bool = NDArray[np.bool_]

MAX_FILE_BYTES = 64 << 20
FREE, CLOSED = ".GS", "@OTW"


def read_map(path: str | Path) -> Bool:
    """(H, W) bool: True where an agent may stand. InputError on anything malformed."""
    lines = _lines("map", path)
    if lines and lines[0].split()[:1] == ["type"]:
        fields = dict(line.split(maxsplit=1) for line in lines[1:3] if len(line.split()) == 2)
        if len(lines) < 4 or lines[3].strip() != "map":
            raise InputError("map", "no line 'map'", "the fourth line")
        rows, closed = [line.rstrip() for line in lines[4:]], CLOSED
        height, width = _integer("map.height", fields.get("height")), _integer("map.width", fields.get("width"))
    else:
        rows, closed = ["".join(line.split()) for line in lines[2:]], "1"
        height = _integer("map.height", lines[0] if lines else None)
        width = _integer("map.width", lines[1] if len(lines) > 1 else None)
    known = set(closed) | (set("0") if closed == "1" else set(FREE))
    if len(rows) != height:
        raise InputError("map.height", f"{len(rows)} rows", height)
    for number, row in enumerate(rows):
        if len(row) != width:
            raise InputError(f"map.rows[{number}]", f"{len(row)} columns", width)
        if not set(row) <= known:
            raise InputError(f"map.rows[{number}]", f"unknown {sorted(set(row) - known)}", sorted(known))
    return np.array([[char not in closed for char in row] for row in rows], dtype=np.bool_)


def read_scenario(path: str | Path, free: Bool, count: int | None = None) -> tuple[I32, I32]:
    """(starts, goals), (N,) int32 cells each, of the first `count` agents on the map `free`.

    InputError when there are fewer, or when a start or goal is not a free cell or is used twice."""
    lines = _lines("scen", path)
    if count is not None and count < 1:
        raise InputError("count", f"{count}", "at least 1")
    rows = list(_scenario_rows(lines, count))
    if not rows or (count is not None and len(rows) < count):
        raise InputError("count", f"the scenario has {len(rows)} agents", count or 1)
    table = np.array(rows, dtype=np.int64)
    height, width = free.shape
    cells = []
    for field, x, y in (("start", table[:, 0], table[:, 1]), ("goal", table[:, 2], table[:, 3])):
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        good = inside & free[np.where(inside, y, 0), np.where(inside, x, 0)]
        if not good.all():
            agent = int(np.flatnonzero(~good)[0])
            raise InputError(f"scen[{agent}].{field}", f"({x[agent]}, {y[agent]}) is not a free cell")
        column = (y * width + x).astype(np.int32)
        if len(np.unique(column)) != len(column):
            raise InputError(f"scen.{field}", "two agents share a cell")
        cells.append(column)
    return cells[0], cells[1]


def write_paths(path: str | Path, paths: I32, width: int) -> None:
    """One line per agent: `x,y` per step, separated by spaces. paths: (T + 1, N) cells."""
    with open(path, "w", encoding="ascii") as file:
        for column in np.asarray(paths).T.tolist():
            file.write(" ".join(f"{cell % width},{cell // width}" for cell in column) + "\n")


def read_paths(path: str | Path, width: int) -> I32:
    """(T + 1, N) int32 cells from a file of `write_paths`."""
    columns = []
    for number, line in enumerate(_lines("paths", path)):
        try:
            pairs = [(int(x), int(y)) for x, y in (pair.split(",") for pair in line.split())]
        except ValueError:
            raise InputError(f"paths[{number}]", "not `x,y` pairs separated by spaces") from None
        if any(not 0 <= x < width for x, _ in pairs):
            raise InputError(f"paths[{number}]", "x is off the map", width - 1)
        columns.append([y * width + x for x, y in pairs])
    if not columns or len({len(column) for column in columns}) != 1:
        raise InputError("paths", "the lines are not equally long")
    return np.ascontiguousarray(np.array(columns, dtype=np.int32).T)


def _scenario_rows(lines: list[str], count: int | None) -> Iterator[list[int]]:
    columns = slice(4, 8) if lines and lines[0].startswith("version") else slice(0, 4)
    for number, line in enumerate(lines[1:] if count is None else lines[1 : count + 1]):
        values = line.split()[columns]
        try:
            row = [int(value) for value in values]
        except ValueError:
            raise InputError(f"scen[{number}]", f"not integers: {line[:60]!r}") from None
        if len(row) != 4:
            raise InputError(f"scen[{number}]", f"{len(row)} coordinates", 4)
        yield row


def _integer(field: str, text: str | None) -> int:
    try:
        value = int(text or "")
    except ValueError:
        raise InputError(field, f"{text!r} is not a whole number") from None
    if not 1 <= value <= 10_000:
        raise InputError(field, f"{value}", "1 to 10000")
    return value


def _lines(field: str, path: str | Path) -> list[str]:
    """The file's lines without empty ones at the end."""
    file = Path(path)
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise InputError(field, f"{file.stat().st_size} bytes", MAX_FILE_BYTES)
        text = file.read_text(encoding="ascii")
    except OSError as error:
        raise InputError(field, f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(field, f"{file} is not a text file") from None
    return text.rstrip().splitlines()
