"""Every number the planner can be tuned by. ROS parameters take their defaults from here."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from aislewise.errors import InputError

_LIMITS: dict[str, tuple[float, float]] = {
    "speed_mps": (0.05, 5.0),
    "capacity": (1, 16),
    "pick_s": (0.0, 600.0),
    "drop_s": (0.0, 600.0),
    "charge_below": (0.0, 0.9),
    "charge_to": (0.05, 1.0),
    "charge_slice_s": (1.0, 3600.0),
    "range_s": (60.0, 1e6),
    "horizon": (1, 256),
    "robot_timeout_s": (0.5, 3600.0),
    "lost_after_s": (1.0, 86400.0),
    "settle_s": (0.0, 60.0),
    "stall_s": (1.0, 3600.0),
    "replan_period_s": (0.0, 3600.0),
    "replan_min_s": (0.0, 3600.0),
    "unroutable_after_s": (1.0, 86400.0),
    "stickiness_s": (0.0, 3600.0),
    "existence_min": (0.0, 1.0),
    "static_below_mps": (0.0, 5.0),
    "predict_s": (0.0, 10.0),
    "margin_m": (0.0, 5.0),
    "persist_s": (0.0, 60.0),
    "linger_s": (0.0, 600.0),
    "object_memory_s": (1.0, 86400.0),
    "queue_gap": (1, 50),
    "sequence_loads": (0, 400),
    "solution_limit": (1, 10_000_000),
    "work_limit": (1, 1_000_000_000),
    "time_limit_s": (0.0, 600.0),
}


@dataclass(frozen=True)
class PlannerConfig:
    """Raises InputError naming the field when a value is out of its limits.

    Robots: speed_mps; capacity: loads on board at once; pick_s, drop_s: dwell of one action;
    charge_below: charge when the battery falls under it, charge_to: until it is here, in slices of
    charge_slice_s so that a robot that charges for want of work can be called away; range_s: seconds of
    work in a full battery; capabilities: "robot_1:fork,cold robot_2:fork".
    Traffic: horizon: steps looked ahead; lookahead: cells released at once; queue_gap: cells that robots
    wait away from a taken place.
    Trouble: robot_timeout_s: silent for longer = out of planning, its cells stay shut; lost_after_s: then
    its loads are given up; settle_s: time a robot is given to obey a withdrawal; stall_s: without
    progress for longer = the cell ahead counts as blocked for as long; unroutable_after_s: an order
    blocked for longer is given up.
    World: existence_min; static_below_mps: slower objects count as standing; predict_s and margin_m: room
    kept before moving ones; persist_s: occupied for longer = blocked; linger_s: moving obstacle in a cell,
    or one that juts out of a rack into it, for longer = standing; object_memory_s: an object not seen for
    longer no longer blocks.
    Search: replan_period_s between re-sequencings, replan_min_s at least; stickiness_s: gain that moving
    an order to another robot must bring; sequence_loads: most loads given to OR-Tools routing, more are
    assigned only; solution_limit, work_limit: solutions and limit checks of one search; time_limit_s: outer limit on robots,
    0 = none, as in simulation, where results must repeat.
    """

    speed_mps: float = 1.5
    capacity: int = 2
    pick_s: float = 4.0
    drop_s: float = 4.0
    charge_below: float = 0.3
    charge_to: float = 0.8
    charge_slice_s: float = 10.0
    range_s: float = 4 * 3600.0
    capabilities: str = ""
    horizon: int = 20
    lookahead: int = 3
    queue_gap: int = 4
    robot_timeout_s: float = 5.0
    lost_after_s: float = 60.0
    settle_s: float = 1.5
    stall_s: float = 15.0
    unroutable_after_s: float = 300.0
    existence_min: float = 0.5
    static_below_mps: float = 0.2
    predict_s: float = 2.0
    margin_m: float = 0.3
    persist_s: float = 1.5
    linger_s: float = 6.0
    object_memory_s: float = 300.0
    replan_period_s: float = 10.0
    replan_min_s: float = 1.0
    stickiness_s: float = 10.0
    sequence_loads: int = 40
    solution_limit: int = 100
    work_limit: int = 8_000
    time_limit_s: float = 0.0

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not math.isfinite(value) or not low <= value <= high:
                raise InputError(name, f"{value}", f"{low} to {high}")
        if not 1 <= self.lookahead <= self.horizon:
            raise InputError("lookahead", f"{self.lookahead}", f"1 to horizon {self.horizon}")
        if self.charge_to < self.charge_below:
            raise InputError("charge_to", f"{self.charge_to}", f"at least charge_below {self.charge_below}")
        self.abilities()

    def abilities(self) -> dict[str, frozenset[str]]:
        """Robot id -> what it is able to do."""
        out = {}
        for item in self.capabilities.split():
            robot, colon, names = item.partition(":")
            if not (robot and colon and names):
                raise InputError("capabilities", f"{item!r}", "robot:ability,ability ...")
            out[robot] = frozenset(names.split(","))
        return out

    @staticmethod
    def from_json(data: object) -> PlannerConfig:
        """From a JSON object; InputError names the unknown or mistyped field."""
        if not isinstance(data, dict):
            raise InputError("config", "must be an object")
        kinds = {f.name: f.type for f in dataclasses.fields(PlannerConfig)}
        for name, value in data.items():
            if name not in kinds:
                raise InputError(f"config.{name}", "no such setting")
            wanted = {"int": (int,), "float": (int, float), "str": (str,)}[str(kinds[name])]
            if isinstance(value, bool) or not isinstance(value, wanted):
                raise InputError(f"config.{name}", f"{value!r}", f"must be {kinds[name]}")
        return PlannerConfig(**data)
