"""The file of `aislewise bench replan`, of the form that planning.replan_check tells."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from planning.dispatch import DS, Stop
from planning.ledger import LoadState
from planning.replan import STRETCH, Answer, Floor
from planning.routing import FLAT_COST, LATE_COST


class PlansFile:
    """A context manager: the file is closed when it is left."""

    def __init__(self, file: Path, floor: Floor) -> None:
        self._floor = floor
        site, config = floor.site, floor.config
        self._out = file.open("w")
        self._line({
            "grid": ["".join(".#"[int(not free)] for free in row) for row in site.free],
            "ds_per_cell": DS * site.resolution_m / config.speed_mps * STRETCH[0],
            "pick_ds": round(config.pick_s * DS), "drop_ds": round(config.drop_s * DS), "capacity": config.capacity,
            "moving": round(config.stickiness_s * DS * 4), "late_cost": LATE_COST, "flat_cost": FLAT_COST,
            "battery_ds": round((1 - config.charge_below / 2) * config.range_s * DS),
        })  # fmt: skip

    def __enter__(self) -> PlansFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._out.close()

    def write(self, first: Answer, better: Answer, in_force: Mapping[str, Sequence[Stop]]) -> None:
        """A change that was just answered, and what was found after it. in_force: the plan before."""
        floor, carried = self._floor, dict[str, int]()
        hauls = {haul.load: haul for haul in first.problem.hauls}
        orders: dict[str, Any] = {}
        for order_id, job in floor.jobs.items():
            for load in job.loads:
                if load.state is LoadState.ABOARD:
                    carried[load.robot] = carried.get(load.robot, 0) + load.size
            weight, due = next(((hauls[i.id].weight, hauls[i.id].due_ds) for i in job.loads if i.id in hauls), (0, -1))
            loads = [[i.id, list(i.pick_cells), i.drop_cell, i.size, i.state is LoadState.ABOARD] for i in job.loads]
            orders[order_id] = [weight, due, job.robot, loads]
        self._line({
            "kind": first.kind, "closed": floor.closed,
            "robots": {c.robot: [c.cell, carried.get(c.robot, 0)] for c in floor.candidates()}, "orders": orders,
            "in_force": _plain(in_force), "first": _plain(first.plan.sequences), "better": _plain(better.plan.sequences),
            "waiting": {order_id: why for order_id, (why, _) in first.plan.waiting.items()},
        })  # fmt: skip

    def _line(self, value: Any) -> None:
        self._out.write(json.dumps(value) + "\n")


def _plain(sequences: Mapping[str, Sequence[Stop]]) -> dict[str, list[list[Any]]]:
    return {robot: [[stop.load, stop.kind.value] for stop in stops] for robot, stops in sequences.items()}
