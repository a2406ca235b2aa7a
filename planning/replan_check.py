"""Checks plans of `aislewise bench replan` from their file, with code of its own: plain Python and scipy, nothing of the planner.

One JSON object a line. The first: grid (rows of '.' and '#'), ds_per_cell (with all stretch), pick_ds, drop_ds, capacity,
moving (what it costs to move an order), late_cost, flat_cost, battery_ds. Each other one is a change: closed (cells), robots
{id: [cell, carried]}, orders {id: [weight, due_ds, owner, [[load, pick cells, drop cell, size, aboard], ...]]}, in_force, first
and better: {robot: [[load, "pick" or "drop"], ...]}, and waiting {order: why}.

What must hold: first and better are whole (each order with one robot or waiting with a reason, each load picked, then dropped,
once), keep capacities and drive nowhere that is shut; the plan in force is kept in `first` as far as it can still be done, with
every robot in its order; better costs no more than first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

Sequences = Mapping[str, Sequence[Sequence[Any]]]


@dataclass
class Verdict:
    """faults: what is wrong, with the number of the change. first, better: what the plans cost in all."""

    changes: int = 0
    faults: list[str] = field(default_factory=list)
    first: int = 0
    better: int = 0


def check(file: Path, every: int = 1) -> Verdict:
    """Check every so many changes of a file."""
    out = Verdict()
    with file.open() as lines:
        head = json.loads(next(lines))
        steps = _Steps(head["grid"])
        for k, line in enumerate(lines):
            if k % every == 0:
                change = json.loads(line)
                faults, first, better = _Change(head, change, steps.on(change["closed"])).verdict()
                out.faults += [f"change {k} ({change['kind']}): {fault}" for fault in faults]
                out.changes, out.first, out.better = out.changes + 1, out.first + first, out.better + better
    return out


class _Steps:
    """Steps between cells of a grid with some of them closed."""

    def __init__(self, grid: Sequence[str]) -> None:
        self._free = np.array([[c == "." for c in row] for row in grid])
        self._closed: list[int] | None = None
        self._rows: dict[int, NDArray[np.float64]] = {}
        self._graph: Any = None

    def on(self, closed: list[int]) -> _Steps:
        if closed != self._closed:
            free = self._free.copy()
            free.flat[closed] = False
            at = np.arange(free.size).reshape(free.shape)
            across, down = free[:, :-1] & free[:, 1:], free[:-1] & free[1:]
            a, b = np.concatenate([at[:, :-1][across], at[:-1][down]]), np.concatenate([at[:, 1:][across], at[1:][down]])
            self._graph = csr_matrix((np.ones(2 * len(a)), (np.concatenate([a, b]), np.concatenate([b, a]))), (free.size, free.size))
            self._closed, self._rows = list(closed), {}
        return self

    def between(self, start: int, goal: int) -> float:
        if goal not in self._rows:
            self._rows[goal] = dijkstra(self._graph, indices=goal, unweighted=True)
        return float(self._rows[goal][start])


class _Change:
    def __init__(self, head: Mapping[str, Any], change: Mapping[str, Any], steps: _Steps) -> None:
        self._head, self._change, self._steps = head, change, steps
        self._loads = {
            load: (order, picks, drop, size, aboard)
            for order, (_, _, _, loads) in change["orders"].items() for load, picks, drop, size, aboard in loads
        }  # fmt: skip

    def verdict(self) -> tuple[list[str], int, int]:
        faults = [f"{name}: {fault}" for name in ("first", "better") for fault in self._faults(self._change[name])]
        faults += self._kept()
        if faults:
            return faults, 0, 0
        costs = [self._cost(self._change[name]) for name in ("first", "better")]
        if costs[1] > costs[0]:
            faults.append(f"better costs {costs[1]}, first {costs[0]}")
        return faults, costs[0], costs[1]

    def _faults(self, plan: Sequences) -> list[str]:
        out: list[str] = []
        carrier: dict[str, str] = {}
        done: set[tuple[int, str]] = set()
        for robot, stops in plan.items():
            if robot not in self._change["robots"]:
                out.append(f"{robot} is not there")
                continue
            here, carried = self._change["robots"][robot]
            for load, what in stops:
                if load not in self._loads:
                    out.append(f"{robot}: load {load} is of no order")
                    continue
                order, picks, drop, size, aboard = self._loads[load]
                owner = self._change["orders"][order][2]
                if carrier.setdefault(order, robot) != robot or owner not in ("", robot):
                    out.append(f"{order} goes with two robots")
                if (load, what) in done or ((what == "pick") == aboard and (load, "pick") not in done):
                    out.append(f"load {load}: {what} out of turn")
                done.add((load, what))
                carried += size if what == "pick" else -size
                if what == "pick" and carried > self._head["capacity"]:
                    out.append(f"{robot} carries {carried}")
                goal = drop if what == "drop" else picks[0]
                if not np.isfinite(self._steps.between(here, goal)):
                    out.append(f"{robot}: no way from {here} to {goal}")
                here = goal
        for load, (order, *_) in self._loads.items():
            if (load, "drop") not in done and order not in self._change["waiting"]:
                out.append(f"{order} is left out without a reason")
        return out

    def _kept(self) -> list[str]:
        """Every robot does what it was to do, as far as that is still to be done, in the same order."""
        out = []
        for robot, stops in self._change["in_force"].items():
            mine = [tuple(stop) for stop in self._change["first"].get(robot, ())]
            still = [tuple(s) for s in stops if s[0] in self._loads and self._loads[s[0]][0] not in self._change["waiting"]]
            if robot in self._change["robots"] and [s for s in mine if s in still] != still:
                out.append(f"{robot} loses or swaps what it was to do")
        return out

    def _cost(self, plan: Sequences) -> int:
        """Driving, weighted time until each pick and drop, lateness, and drops by another robot than in the plan in force."""
        head, total = self._head, 0
        had = {self._loads[load][0]: robot for robot, stops in self._change["in_force"].items() for load, _ in stops if load in self._loads}
        for robot, stops in plan.items():
            here, now, service = self._change["robots"][robot][0], 0, 0
            orders = set()
            for load, what in stops:
                order, picks, drop, _, _ = self._loads[load]
                weight, due, _, _ = self._change["orders"][order]
                goal = drop if what == "drop" else picks[0]
                leg = service + int(self._steps.between(here, goal) * head["ds_per_cell"] + 0.5)
                here, now, total = goal, now + leg, total + leg
                late = what == "drop" and due >= 0
                total += head["late_cost"] * weight * max(0, now - due) if late else weight * now
                service = head[f"{what}_ds"]
                orders.add(order)
            total += head["flat_cost"] * max(0, now - head["battery_ds"])
            total += head["moving"] * sum(had.get(order) != robot for order in orders)
        return total
