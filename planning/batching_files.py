"""Batching instances: from a seed, as files, and plans as files.

Instances follow the literature (Henn & Wäscher 2012; Valle, Beasley & da Cunha 2017): aisles with racks on both sides and
cross aisles between blocks, the station in the middle of the front; a tenth of the places in the aisles nearest to it take
half of the demand, a further three tenths a third. Ways are those of robots on the grid, cells of a metre, in centimetres.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from aislewise.errors import InputError
from planning.batching_problem import NO_DUE, Problem, Solution
from planning.distance import DistanceTables

CELL_CM, PACE = 100, 10 / 150  # a cell; deciseconds for a centimetre at 1.5 m/s
PICK_DS, SETUP_DS = 60, 200  # of each line; of each batch at the station
CLASSES = ((0.1, 0.52), (0.4, 0.88), (1.0, 1.0))  # share of the places up to, and of the demand
MAX_FILE = 512 << 20
ARRAYS = ("distance", "load", "capacity", "release", "due", "price", "service", "ready")


def generate(
    orders: int, *, seed: int, lines: tuple[int, int] = (1, 8), capacity: int = 24, robots: int = 5, aisles: int = 10, depth: int = 15,
    blocks: int = 2, due: bool = False,
) -> Problem:  # fmt: skip
    """Orders of so many lines (least, most), one unit each, at places drawn by class; robots carry `capacity` units. due: orders
    have due times that a fleet working without a pause could just about keep, and prices of 1 to 3 cm a decisecond."""
    for field, value, low, high in (
        ("orders", orders, 1, 5000), ("lines", lines[0], 1, lines[1]), ("capacity", capacity, lines[1], 10_000), ("robots", robots, 1, 1000),
        ("aisles", aisles, 1, 200), ("depth", depth, 1, 500), ("blocks", blocks, 1, 20),
    ):  # fmt: skip
        if not low <= value <= high:
            raise InputError(field, f"{value}", f"{low} to {high}")
    if lines[1] > aisles * depth * blocks:
        raise InputError("lines", f"{lines[1]}", f"the {aisles * depth * blocks} places there are")
    rng = np.random.default_rng(seed)
    free, station, faces = _floor(aisles, depth, blocks)
    tables = DistanceTables(free, max_bytes=512 << 20)
    faces = faces[np.argsort(tables.to(station)[faces], kind="stable")]
    shares = np.diff([0, *(round(part * len(faces)) for part, _ in CLASSES)])
    demand = np.diff([0.0, *(part for _, part in CLASSES)])
    chance = np.repeat(demand / np.maximum(shares, 1), shares)
    visits = [
        rng.choice(len(faces), int(rng.integers(lines[0], lines[1] + 1)), replace=False, p=chance / chance.sum()) for _ in range(orders)
    ]
    used = np.unique(np.concatenate(visits))
    cells = np.concatenate([[station], faces[used]])
    distance = np.stack([tables.to(int(goal))[cells] for goal in cells], axis=1).astype(np.int64) * CELL_CM
    at = {int(face): k + 1 for k, face in enumerate(used)}
    units = np.array([len(v) for v in visits], np.int64)
    service = units * PICK_DS
    horizon = (service.sum() + units.sum() / capacity * (SETUP_DS + 2.0 * PACE * distance[0].max())) / robots
    late = rng.integers(int(0.3 * horizon), int(1.2 * horizon) + 1, orders) if due else np.full(orders, NO_DUE)
    price = rng.integers(1, 4, orders) if due else np.zeros(orders, np.int64)
    return Problem(
        distance, tuple(tuple(sorted(at[int(f)] for f in v)) for v in visits), units[:, None], np.array([capacity], np.int64),
        np.zeros(orders, np.int64), late.astype(np.int64), price.astype(np.int64), service, np.zeros(robots, np.int64), SETUP_DS, PACE,
        tuple(f"order_{k}" for k in range(orders)), f"n{orders}_l{lines[0]}-{lines[1]}_c{capacity}{'_due' if due else ''}_s{seed}",
    )  # fmt: skip


def _floor(aisles: int, depth: int, blocks: int) -> tuple[Any, int, Any]:
    """(free (H, W), cell of the station, cells where robots stand to pick): racks on both sides of every aisle, a cross aisle
    two cells wide before, between and behind the blocks."""
    free = np.zeros((blocks * (depth + 2) + 2, 3 * aisles), np.bool_)
    free[:, 1::3] = True
    cross = np.arange(len(free)) % (depth + 2) < 2
    free[cross] = True
    faces = np.zeros_like(free)
    faces[:, 1::3] = True
    faces[cross] = False
    return free, free.shape[1] // 2, np.flatnonzero(faces)


def write_instance(path: Path, problem: Problem) -> None:
    data: dict[str, Any] = {field: getattr(problem, field).tolist() for field in ARRAYS}
    data["due"] = [d if d < NO_DUE else None for d in data["due"]]
    data |= {"visits": problem.visits, "setup": problem.setup, "pace": problem.pace, "names": problem.names, "name": problem.name}
    path.write_text(json.dumps(data) + "\n")


def read_instance(path: Path) -> Problem:
    """Raises InputError."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise InputError(str(path), f"{path.stat().st_size} bytes", MAX_FILE)
        data = json.loads(path.read_text())
        data["due"] = [NO_DUE if d is None else d for d in data["due"]]
        arrays = {field: np.array(data[field], np.int64) for field in ARRAYS}
        arrays["load"] = arrays["load"].reshape(len(data["visits"]), len(data["capacity"]))
        return Problem(
            **arrays, visits=tuple(tuple(v) for v in data["visits"]), setup=int(data["setup"]), pace=float(data["pace"]),
            names=tuple(data["names"]), name=str(data["name"]),
        )  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(str(path), f"no batching instance: {error!r}") from None


def write_solution(path: Path, found: Solution) -> None:
    batches = [
        {"orders": b.orders, "tour": b.tour, "length": b.length, "robot": b.robot, "start": b.start, "end": b.end} for b in found.batches
    ]
    left_out = [{"order": o, "reason": reason} for o, reason in found.left_out]
    path.write_text(json.dumps({"batches": batches, "left_out": left_out, "cost": found.cost, "distance": found.distance}) + "\n")
