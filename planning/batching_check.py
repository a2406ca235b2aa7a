"""Checks batching plans from their files, with code of its own: plain Python, slow, sure. Of the solver it shares nothing."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Verdict:
    """cost = distance + lateness priced; faults: one sentence each, empty when the plan keeps every rule and says what it costs."""

    cost: int = 0
    distance: int = 0
    late: int = 0
    batches: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        return not self.faults


def check_files(instance: str | Path, solution: str | Path) -> Verdict:
    """Every order once or rightly left out, loads, tours through all places and no others, times, robots one batch at a time."""
    return check(json.loads(Path(instance).read_text()), json.loads(Path(solution).read_text()))


def check(task: dict[str, Any], plan: dict[str, Any]) -> Verdict:
    verdict = Verdict(batches=len(plan["batches"]))
    faults, times = verdict.faults, {}
    for order in range(len(task["visits"])):
        times[order] = sum(batch["orders"].count(order) for batch in plan["batches"])
    left_out = [item["order"] for item in plan["left_out"]]
    for order, count in times.items():
        if count + left_out.count(order) != 1:
            faults.append(f"order {order}: in {count} batches")
    for order in left_out:
        if all(a <= b for a, b in zip(task["load"][order], task["capacity"])):
            ways = [(0, p) for p in task["visits"][order]] + [(p, 0) for p in task["visits"][order]]
            if all(task["distance"][a][b] < 2**40 for a, b in ways):
                faults.append(f"order {order}: left out, though a robot can bring it")
    if any(not 0 <= order < len(task["visits"]) for batch in plan["batches"] for order in batch["orders"]):
        faults.append("an order that is not known")
        return verdict
    for number, batch in enumerate(plan["batches"]):
        _one(task, number, batch, verdict)
    _turns(task, plan["batches"], faults)
    verdict.cost += verdict.distance
    if (plan["cost"], plan["distance"]) != (verdict.cost, verdict.distance):
        faults.append(f"said to cost {plan['cost']} for {plan['distance']}, is {verdict.cost} for {verdict.distance}")
    return verdict


def _one(task: dict[str, Any], number: int, batch: dict[str, Any], verdict: Verdict) -> None:
    orders, faults = batch["orders"], verdict.faults
    if not orders:
        faults.append(f"batch {number}: empty")
    for kind, room in enumerate(task["capacity"]):
        load = sum(task["load"][order][kind] for order in orders)
        if load > room:
            faults.append(f"batch {number}: load {kind} is {load}, room for {room}")
    needed = {place for order in orders for place in task["visits"][order]}
    if sorted(batch["tour"]) != sorted(needed):
        faults.append(f"batch {number}: the tour does not go once to each of its places")
    at, driven = 0, 0
    for place in [*batch["tour"], 0]:
        driven += task["distance"][at][place]
        at = place
    if driven != batch["length"] or driven >= 2**40:
        faults.append(f"batch {number}: the tour is {driven} long, said to be {batch['length']}")
    verdict.distance += driven
    takes = task["setup"] + sum(task["service"][order] for order in orders) + math.ceil(task["pace"] * driven - 1e-6)
    if batch["end"] != batch["start"] + takes:
        faults.append(f"batch {number}: takes {batch['end'] - batch['start']} ds, should be {takes}")
    for order in orders:
        if batch["start"] < task["release"][order]:
            faults.append(f"batch {number}: begins before order {order} is released")
        due = task["due"][order]
        if due is not None and batch["end"] > due:
            verdict.late += 1
            verdict.cost += task["price"][order] * (batch["end"] - due)


def _turns(task: dict[str, Any], batches: list[dict[str, Any]], faults: list[str]) -> None:
    for robot in {batch["robot"] for batch in batches}:
        if not 0 <= robot < len(task["ready"]):
            faults.append(f"robot {robot}: not known")
            continue
        free = task["ready"][robot]
        for start, end in sorted((batch["start"], batch["end"]) for batch in batches if batch["robot"] == robot):
            if start < free:
                faults.append(f"robot {robot}: begins a batch at {start}, not free before {free}")
            free = end
