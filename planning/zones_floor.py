"""A generated warehouse for measuring: racks between one-wide aisles, stations along two sides, written as a problem."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError

RACK_ROWS, RACK_COLS = 2, 3
CROWD = 0.16
"""Robots per free cell: the busy end of what warehouses drive."""
TASKS_PER_ROBOT = 20
MAX_ROBOTS = 20_000
MARGIN = 4
"""Free columns on either side, between stations and racks."""


def warehouse(robots: int) -> NDArray[np.str_]:
    """(H, W) letters of a floor for so many robots, about two and a half times as wide as deep: `@` rack, `S` beside a
    rack (service), `E` station on the left and right edge, `.` other free cells."""
    if not 1 <= robots <= MAX_ROBOTS:
        raise InputError("robots", f"{robots}", f"1 to {MAX_ROBOTS}")
    cells = max(robots / CROWD, 60.0)
    blocks = cells / ((RACK_ROWS + 1) * (RACK_COLS + 1) - RACK_ROWS * RACK_COLS)
    # Blocks are 4 wide and 3 deep: 2.5 times as wide as deep.
    down = max(2, round((blocks / (2.5 * 3 / 4)) ** 0.5))
    along = max(3, round(blocks / down))
    height, width = 1 + down * (RACK_ROWS + 1), 1 + along * (RACK_COLS + 1) + 2 * MARGIN
    floor = np.full((height, width), ".")
    for row in range(1, height, RACK_ROWS + 1):
        for col in range(1 + MARGIN, width - MARGIN - RACK_COLS, RACK_COLS + 1):
            floor[row : row + RACK_ROWS, col : col + RACK_COLS] = "@"
    racks = np.pad(floor == "@", 1)
    beside = racks[1:-1, 2:] | racks[2:, 1:-1] | racks[1:-1, :-2] | racks[:-2, 1:-1]
    floor[beside & (floor == ".")] = "S"
    floor[1::3, [0, -1]] = "E"
    return floor


def write_warehouse(folder: Path, robots: int, seed: int = 0) -> Path:
    """The files of a problem with that floor; every task fetches beside a rack and brings to a station."""
    rng = np.random.default_rng(seed)
    floor = warehouse(robots)
    height, width = floor.shape
    letters = floor.ravel()
    tasks = TASKS_PER_ROBOT * robots
    fetch = rng.choice(np.flatnonzero(letters == "S"), tasks)
    bring = rng.choice(np.flatnonzero(letters == "E"), tasks)
    starts = rng.permutation(np.flatnonzero(letters != "@"))[:robots]
    rows = "\n".join("".join(row) for row in floor)
    (folder / "floor.map").write_text(f"type octile\nheight {height}\nwidth {width}\nmap\n{rows}\n")
    (folder / "robots.agents").write_text("\n".join(map(str, [robots, *starts.tolist()])) + "\n")
    lines = [f"{a},{b}" for a, b in zip(fetch.tolist(), bring.tolist(), strict=True)]
    (folder / "orders.tasks").write_text("\n".join([str(tasks), *lines]) + "\n")
    fields = {
        "mapFile": "floor.map",
        "agentFile": "robots.agents",
        "teamSize": robots,
        "taskFile": "orders.tasks",
        "numTasksReveal": 1.5,
        "version": "2024 LoRR",
    }
    problem = folder / f"warehouse-{robots}.json"
    problem.write_text(json.dumps(fields, indent=1) + "\n")
    return problem
