"""Checks solutions of pickup and delivery problems from their files, with code of its own: plain Python, slow, sure.

Of the solver it shares nothing, not even the reader: an error there must show here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Verdict:
    """faults: one sentence each, empty when the solution keeps every rule."""

    vehicles: int = 0
    distance: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        return not self.faults


@dataclass
class _Stop:
    """A node as the file has it; pickup and delivery: the sibling's number, 0 for none."""

    x: float
    y: float
    demand: float
    opens: float
    closes: float
    service: float
    pickup: int
    delivery: int


def _stop(row: list[str]) -> _Stop:
    x, y, demand, opens, closes, service = map(float, row[1:7])
    return _Stop(x, y, demand, opens, closes, service, int(row[7]), int(row[8]))


class _Instance:
    """One file of either format."""

    def __init__(self, path: Path) -> None:
        rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
        self.minutes: list[list[float]] | None = None
        self.fleet: float = math.inf
        if rows[0][0].startswith("NAME"):
            words = [row[0] for row in rows]
            nodes, edges = words.index("NODES"), words.index("EDGES")
            self.capacity = next(float(row[1]) for row in rows if row[0] == "CAPACITY:")
            table = rows[nodes + 1 : edges]
            self.minutes = [[float(part) for part in row] for row in rows[edges + 1 : edges + 1 + len(table)]]
        else:
            self.fleet, self.capacity = float(rows[0][0]), float(rows[0][1])
            table = rows[1:]
        self.stops = [_stop(row) for row in table]

    def way(self, a: int, b: int) -> float:
        if self.minutes is not None:
            return self.minutes[a][b]
        return math.dist((self.stops[a].x, self.stops[a].y), (self.stops[b].x, self.stops[b].y))


def check_files(instance: str | Path, solution: str | Path) -> Verdict:
    """Judge a solution file (SINTEF format) against an instance file."""
    return check_routes(instance, _routes(Path(solution)))


def _routes(path: Path) -> list[list[int]]:
    """What follows the colon of each line that begins with `Route`."""
    lines = path.read_text().splitlines()
    return [[int(part) for part in line.split(":", 1)[1].split()] for line in lines if line.startswith("Route")]


def check_routes(instance: str | Path, routes: list[list[int]]) -> Verdict:
    """Judge routes, node numbers without the depot: every node once, pickup before delivery in one route, windows
    (up to a millionth for rounding), load, fleet."""
    data = _Instance(Path(instance))
    verdict = Verdict(vehicles=len(routes))
    visits: dict[int, int] = {}
    for number, route in enumerate(routes, start=1):
        for stop in route:
            visits[stop] = visits.get(stop, 0) + 1
            if not 0 < stop < len(data.stops):
                verdict.faults.append(f"route {number}: no task {stop}")
        if not route:
            verdict.faults.append(f"route {number}: empty")
    if verdict.faults:
        return verdict
    for stop in range(1, len(data.stops)):
        if visits.get(stop, 0) != 1:
            verdict.faults.append(f"task {stop}: visited {visits.get(stop, 0)} times")
    if len(routes) > data.fleet:
        verdict.faults.append(f"{len(routes)} routes for {data.fleet:g} vehicles")
    for number, route in enumerate(routes, start=1):
        verdict.distance += _drive(data, number, route, verdict.faults)
    return verdict


def _drive(data: _Instance, number: int, route: list[int], faults: list[str]) -> float:
    """Follow one route by the clock; its length."""
    depot = data.stops[0]
    clock, at, load, driven = depot.opens + depot.service, 0, 0.0, 0.0
    aboard: set[int] = set()
    for stop in route:
        task = data.stops[stop]
        driven += data.way(at, stop)
        clock = max(clock + data.way(at, stop), task.opens)
        if clock > task.closes + 1e-6:
            faults.append(f"route {number}: task {stop} begins at {clock:g}, closed since {task.closes:g}")
        clock += task.service
        load += task.demand
        if load > data.capacity + 1e-9:
            faults.append(f"route {number}: {load:g} aboard after task {stop}, room for {data.capacity:g}")
        if task.pickup == 0:
            aboard.add(stop)
        elif task.pickup in aboard:
            aboard.remove(task.pickup)
        else:
            faults.append(f"route {number}: task {stop} delivers what is not aboard")
        at = stop
    driven += data.way(at, 0)
    if clock + data.way(at, 0) > depot.closes + 1e-6:
        faults.append(f"route {number}: back at {clock + data.way(at, 0):g}, depot closed since {depot.closes:g}")
    faults.extend(f"route {number}: task {stop} is never delivered" for stop in sorted(aboard))
    return driven
