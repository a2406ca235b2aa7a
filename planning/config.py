"""Every number the planner can be tuned by. ROS parameters take their defaults from here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from aislewise.errors import InputError
from aislewise.lanes import MAX_WIDTH_CELLS
from aislewise.settings import check, setting


@dataclass(frozen=True)
class PlannerConfig:
    """Raises InputError naming the field when a value is out of its limits."""

    # Robots
    speed_mps: float = setting(1.5, "driving speed that plans count on, m/s", low=0.05, high=5.0)
    capacity: int = setting(2, "loads on board at once", low=1, high=16, live=False)
    payload_kg: float = setting(0.0, "mass on board at once, kg; 0 = no limit", low=0.0, high=1e6, live=False)
    volume_l: float = setting(0.0, "volume on board at once, l; 0 = no limit", low=0.0, high=1e7, live=False)
    pick_s: float = setting(4.0, "dwell of one pick, s", low=0.0, high=600.0)
    drop_s: float = setting(4.0, "dwell of one drop, s", low=0.0, high=600.0)
    charge_below: float = setting(0.3, "a robot charges when its battery (0 to 1) falls under this", low=0.0, high=0.9)
    charge_to: float = setting(0.8, "and until its battery is here", low=0.05, high=1.0)
    charge_slice_s: float = setting(
        10.0, "charging goes in slices, so that a robot that charges for want of work can be called away, s", low=1.0, high=3600.0
    )
    range_s: float = setting(4 * 3600.0, "work in a full battery, s", low=60.0, high=1e6)
    capabilities: str = setting("", 'what robots are able to do: "robot_1:fork,cold robot_2:fork"')
    widths: str = setting("", 'how wide robots are, cells, 1 if not said: "robot_1:2 robot_2:3"')
    # Traffic
    horizon: int = setting(20, "steps looked ahead by the traffic planner", low=1, high=256)
    lookahead: int = setting(3, "cells released to a robot at once", low=1, high=256)
    queue_gap: int = setting(4, "cells that robots wait away from a taken place", low=1, high=50, live=False)
    # Trouble
    robot_timeout_s: float = setting(
        5.0, "a robot silent for longer is out of planning, its cells stay shut, s", low=0.5, high=3600.0
    )
    lost_after_s: float = setting(60.0, "a robot silent for longer has lost its loads, s", low=1.0, high=86400.0)
    settle_s: float = setting(1.5, "time a robot is given to obey a withdrawal, s", low=0.0, high=60.0)
    stall_s: float = setting(
        15.0, "without progress for longer the cell ahead counts as blocked for as long, s", low=1.0, high=3600.0
    )
    unroutable_after_s: float = setting(300.0, "an order blocked for longer is given up, s", low=1.0, high=86400.0)
    # World
    existence_min: float = setting(0.5, "objects less probable than this are not in the way", low=0.0, high=1.0)
    static_below_mps: float = setting(0.2, "slower objects count as standing, m/s", low=0.0, high=5.0)
    predict_s: float = setting(2.0, "room kept before moving objects: so far ahead, s", low=0.0, high=10.0)
    margin_m: float = setting(0.3, "room kept round moving objects, m", low=0.0, high=5.0)
    persist_s: float = setting(1.5, "a cell occupied for longer is blocked, s", low=0.0, high=60.0)
    linger_s: float = setting(
        6.0, "a mover in a cell, or what juts out of a rack into it, for longer counts as standing, s", low=0.0, high=600.0
    )
    object_memory_s: float = setting(300.0, "an object not seen for longer no longer blocks, s", low=1.0, high=86400.0)
    # Search
    replan_period_s: float = setting(10.0, "between re-sequencings when nothing has changed, s", low=0.0, high=3600.0)
    replan_min_s: float = setting(1.0, "between re-sequencings at least, s", low=0.0, high=3600.0)
    replanning: bool = setting(
        True, "false: an order stays with its first robot, and what blocks the way is waited for: shows what re-planning is worth", live=False
    )
    stickiness_s: float = setting(
        10.0, "gain that moving an order to another robot must bring, s", low=0.0, high=3600.0
    )
    search_rounds: int = setting(300, "rounds of ruin and recreate after each change", low=0, high=1_000_000)
    sequence_loads: int = setting(40, "most loads given to OR-Tools routing as well", low=0, high=400)
    solution_limit: int = setting(100, "solutions of one search", low=1, high=10_000_000)
    work_limit: int = setting(8_000, "limit checks of one search", low=1, high=1_000_000_000)
    time_limit_s: float = setting(
        0.0, "outer limit of one search on robots, s; 0 = none, as in simulation, where results must repeat", low=0.0, high=600.0
    )

    def __post_init__(self) -> None:
        check(self)
        if not 1 <= self.lookahead <= self.horizon:
            raise InputError("lookahead", f"{self.lookahead}", f"1 to horizon {self.horizon}")
        if self.charge_to < self.charge_below:
            raise InputError("charge_to", f"{self.charge_to}", f"at least charge_below {self.charge_below}")
        self.abilities()
        self.widths_cells()

    def abilities(self) -> dict[str, frozenset[str]]:
        """Robot id -> what it is able to do."""
        out = {}
        for item in self.capabilities.split():
            robot, colon, names = item.partition(":")
            if not (robot and colon and names):
                raise InputError("capabilities", f"{item!r}", "robot:ability,ability ...")
            out[robot] = frozenset(names.split(","))
        return out

    def widths_cells(self) -> dict[str, int]:
        """Robot id -> how many cells wide it is."""
        out = {}
        for item in self.widths.split():
            robot, _, cells = item.partition(":")
            if not (robot and cells in map(str, range(1, MAX_WIDTH_CELLS + 1))):
                raise InputError("widths", f"{item!r}", f"robot:cells ..., 1 to {MAX_WIDTH_CELLS}")
            out[robot] = int(cells)
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
            wanted = {"bool": (bool,), "int": (int,), "float": (int, float), "str": (str,)}[str(kinds[name])]
            if (isinstance(value, bool) and wanted != (bool,)) or not isinstance(value, wanted):
                raise InputError(f"config.{name}", f"{value!r}", f"must be {kinds[name]}")
        return PlannerConfig(**data)
