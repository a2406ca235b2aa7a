"""Files of pickup and delivery problems: Li & Lim, Sartori & Buriol, and solutions as SINTEF publishes them.

Li & Lim 2001: a line `vehicles capacity speed`, then a row per node `task x y demand earliest latest service pickup
delivery`; times and distances are Euclidean. Sartori & Buriol 2020: a header, NODES, EDGES with whole minutes of
travel, which are the cost as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from planning.pdptw import Problem, Routes

F64 = NDArray[np.float64]
MAX_FILE_BYTES = 256 << 20
COLUMNS = 9  # of a node, in both formats


def read_problem(path: str | Path) -> Problem:
    """A problem of either format, told by its first line. InputError on anything malformed."""
    lines = _lines(path)
    name = Path(path).stem
    if lines and lines[0].startswith("NAME"):
        return _sartori_buriol(lines, name)
    return _li_lim(lines, name)


def _lines(path: str | Path) -> list[str]:
    path = Path(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError("file", f"{path.name} is too large", MAX_FILE_BYTES)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("file", f"cannot read {path}: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _numbers(field: str, line: str, count: int) -> list[float]:
    try:
        values = [float(part) for part in line.split()]
    except ValueError as error:
        raise InputError(field, str(error), "numbers") from None
    if len(values) != count:
        raise InputError(field, f"{len(values)} columns", count)
    if not np.isfinite(values).all():
        raise InputError(field, "not a finite number")
    return values


def _li_lim(lines: list[str], name: str) -> Problem:
    if len(lines) < 2:
        raise InputError("file", f"{len(lines)} lines", "a line of three numbers, then nodes")
    vehicles, capacity, _speed = _numbers("file.header", lines[0], 3)
    table = _nodes(lines[1:])
    between = np.hypot(*(table[:, None, c] - table[None, :, c] for c in (1, 2)))
    return _problem(table, between, capacity, int(vehicles), name)


def _sartori_buriol(lines: list[str], name: str) -> Problem:
    if "NODES" not in lines or "EDGES" not in lines:
        raise InputError("file", "no line NODES or no line EDGES")
    nodes, edges = lines.index("NODES"), lines.index("EDGES")
    header = dict(line.split(":", 1) for line in lines[:nodes] if ":" in line)
    (size,) = _numbers("file.SIZE", header.get("SIZE", ""), 1)
    (capacity,) = _numbers("file.CAPACITY", header.get("CAPACITY", ""), 1)
    table = _nodes(lines[nodes + 1 : edges])
    if len(table) != size:
        raise InputError("file.NODES", f"{len(table)} nodes", int(size))
    rows = lines[edges + 1 : edges + 1 + len(table)]
    if len(rows) != len(table):
        raise InputError("file.EDGES", f"{len(rows)} rows", len(table))
    between = np.array([_numbers(f"file.EDGES[{k}]", row, len(table)) for k, row in enumerate(rows)])
    return _problem(table, between, capacity, None, name)


def _nodes(lines: list[str]) -> F64:
    table = np.array([_numbers(f"file.nodes[{k}]", line, COLUMNS) for k, line in enumerate(lines)])
    if len(table) < 1 or (table[:, 0] != np.arange(len(table))).any():
        raise InputError("file.nodes", "not numbered 0, 1, 2 and so on")
    return table


def _problem(table: F64, between: F64, capacity: float, vehicles: int | None, name: str) -> Problem:
    sibling = table[:, 7:9].astype(np.int64)
    pickups = np.flatnonzero((sibling[:, 0] == 0) & (np.arange(len(table)) > 0))
    pairs = np.stack([pickups, sibling[pickups, 1]], axis=1)
    for p, d in pairs.tolist():
        if not 0 < d < len(table) or sibling[d, 0] != p or sibling[d, 1] != 0:
            raise InputError(f"file.nodes[{p}]", f"its delivery {d} does not name it as its pickup")
    demand, earliest, latest, service = (np.ascontiguousarray(table[:, c]) for c in (3, 4, 5, 6))
    return Problem(between, between, demand, earliest, latest, service, pairs, capacity, vehicles, name)


@dataclass(frozen=True)
class Best:
    """The best known of an instance."""

    vehicles: int
    distance: float


def write_solution(path: str | Path, name: str, routes: Routes, authors: str = "Aislewise") -> None:
    """In the SINTEF format: four lines of who and what, `Solution`, then one line per route."""
    head = [f"Instance name : {name}", f"Authors       : {authors}", "Date          : -", "Reference     : -", "Solution"]
    rows = [f"Route {k} : {' '.join(map(str, route))}" for k, route in enumerate(routes, start=1)]
    Path(path).write_text("\n".join(head + rows) + "\n", encoding="ascii")


def best_known(files: Iterable[Path]) -> dict[str, Best]:
    """By name of instance, from what lies beside the files: best_known/NAME.VEHICLES_DISTANCE.txt, or a bks.dat with
    lines `instance;size;vehicles;cost;reference;date`."""
    found: dict[str, Best] = {}
    for folder in {file.parent for file in files}:
        for path in sorted((folder / "best_known").glob("*.txt")):
            match = re.fullmatch(r"(.+?)\.(\d+)_(\d+(?:\.\d+)?)", path.stem)
            if match:
                found[match[1]] = Best(int(match[2]), float(match[3]))
        if (folder / "bks.dat").is_file():
            for line in _lines(folder / "bks.dat")[1:]:
                parts = line.split(";")
                if len(parts) >= 4 and parts[2].isdigit():
                    found[parts[0]] = Best(int(parts[2]), _numbers("bks.dat", parts[3], 1)[0])
    return found
