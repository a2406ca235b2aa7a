"""One shift of work with few chargers: the plain rule (charge when low) beside the charger plan, by the planner's own Power.

    python -m benchmarks.charging [--fleets 20x3 50x6] [--charge-s 600 2400 5400] [--hours 8] [--seeds 1] [--robot FILE] [--json FILE]

Robots bring goods from pick faces to stations, one order at a time, and there is always one more; they drive cell by cell at
their speed and do not get in each other's way, so that what differs is who charges when. Batteries run down and fill up as
those of simulated robots (docs/robots.md): full drain on the move, `idle_share` of it while standing, constant current up to
`taper_from`, falling above; an empty robot stands until somebody has brought it to a charger. --robot: a scenario's
`robot:` block as YAML, in place of the usual one; --charge-s: from empty to full, each on its own.
Figures: share of the robots' time that they work; share that they wait, off work, without charging; orders an hour; lowest
battery; energy in hours of driving for each hundred orders; share of the chargers' time that they charge; battery left.
"""

from __future__ import annotations

import argparse
import json
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import yaml

from aislewise.clock import to_ns
from aislewise.sitemap import SiteMap
from aislewise.types import Pose2D, RobotInfo, RobotMode
from planning.config import PlannerConfig
from planning.distance import DistanceTables, neighbours
from planning.fleet import Robot
from planning.power import Power
from sim.robot_config import RobotConfig
from sim.warehouse import WarehouseConfig, generate

ASSIGN_S, SLICE_S, DWELL_S = 5.0, 10.0, 4.0
QUEUE_CELLS = 4
RESCUE_S = 900.0
"""From when a robot has run empty until it stands on a charger, or near one that is taken."""
ROBOT = {"battery_s": 4 * 3600.0, "taper_from": 0.8, "stops_when_empty": True}
FIGURES = ("work", "wait", "orders_per_h", "lowest", "energy_per_100", "chargers_used", "left")


@dataclass
class Walker:
    """job: what is left of its order, cells to go to in turn; dwells: seconds left there; slice_s: left of a charging slice."""

    robot: Robot
    cell: int
    battery: float
    rng: np.random.Generator
    job: deque[int] = field(default_factory=deque)
    laden: bool = False
    dwells: float = 0.0
    slice_s: float = 0.0
    empty_s: float = 0.0
    worked: int = 0
    waited: int = 0


class Hall:
    def __init__(self, robots: int, chargers: int, config: RobotConfig, seed: int, planned: bool) -> None:
        self.config, self.rng = config, np.random.default_rng(seed)
        warehouse = WarehouseConfig(layout="fulfilment", width=40, height=40, stations=8, chargers=chargers, parking=12)
        self.site: SiteMap = generate(warehouse, np.random.default_rng(seed)).site
        self.tables, self.nbr = DistanceTables(self.site.free), neighbours(self.site.free)
        self.power = Power(self.site, PlannerConfig(range_s=config.battery_s, speed_mps=config.speed_mps), planned)
        self.tick_s = self.site.resolution_m / config.speed_mps
        self.faces = [p.cell for p in self.site.of_kind("pick_face")]
        self.stations = [p.cell for p in self.site.of_kind("station")]
        self.chargers = [p.cell for p in self.site.of_kind("charger")]
        starts = self.rng.choice(np.flatnonzero(self.site.free.ravel()), robots, replace=False)
        batteries = self.rng.uniform(0.55, 0.95, robots)
        self.walkers: list[Walker] = []
        for k, (cell, battery) in enumerate(zip(starts.tolist(), batteries.tolist(), strict=True)):
            info = RobotInfo(f"robot_{k + 1}", Pose2D(*self.site.centre(cell)), battery, (), RobotMode.IDLE, 0, 0)
            self.walkers.append(
                Walker(Robot(info.id, info, cell, 1, 0, 0), cell, battery, np.random.default_rng((seed, k)))
            )
        self.orders = self.ticks = self.charging = self.ran_empty = 0
        self.energy, self.lowest, self.cpu_s, self.longest_s = 0.0, 1.0, 0.0, 0.0

    def run(self, hours: float) -> dict[str, Any]:
        every = max(1, round(ASSIGN_S / self.tick_s))
        for tick in range(int(hours * 3600 / self.tick_s)):
            self.ticks = tick
            if self.ticks % every == 0:
                self._assign()
            for walker in self.walkers:
                self._step(walker)
        ticks, robots = max(1, self.ticks + 1), len(self.walkers)
        return {
            "work": sum(w.worked for w in self.walkers) / (ticks * robots),
            "wait": sum(w.waited for w in self.walkers) / (ticks * robots),
            "orders_per_h": self.orders / hours, "lowest": self.lowest,
            "energy_per_100": self.energy * self.config.battery_s / 36.0 / max(1, self.orders),
            "chargers_used": self.charging / (ticks * len(self.chargers)),
            "left": sum(w.battery for w in self.walkers) / robots, "ran_empty": self.ran_empty,
            "cpu_s": self.cpu_s, "longest_s": self.longest_s, "solvers": self.power.solvers,
        }  # fmt: skip

    def _assign(self) -> None:
        now_ns = to_ns(self.ticks * self.tick_s)
        for w in self.walkers:
            w.robot.cell = w.cell
            w.robot.info = replace(w.robot.info, battery=w.battery, heard_at_ns=now_ns)
        robots = [w.robot for w in self.walkers if not w.empty_s]
        began = process_time()
        shut = np.zeros(self.site.cells.size, np.bool_)
        self.power.assign(
            robots,
            {w.robot.id for w in self.walkers if w.laden},
            {w.robot.id for w in self.walkers if w.job},
            self.tables,
            shut,
        )
        took = process_time() - began
        self.cpu_s, self.longest_s = self.cpu_s + took, max(self.longest_s, took)
        for w in self.walkers:
            if w.job and not w.laden and not self.power.may_work(w.robot):
                w.job.clear()  # back to the orders that wait
            self._give(w)

    def _give(self, w: Walker) -> None:
        if not w.job and not w.empty_s and w.slice_s <= 0.0 and self.power.may_work(w.robot):
            face, station = w.rng.choice(self.faces), w.rng.choice(self.stations)
            w.job.extend((int(face), int(station)))

    def _step(self, w: Walker) -> None:
        share = self.config.idle_share
        charger = self.power.chargers.get(w.robot.id, -1)
        if w.battery <= 0.0 and w.cell != charger and not w.empty_s:
            self.ran_empty += 1
            w.empty_s = RESCUE_S
        if w.empty_s:
            w.empty_s = max(0.0, w.empty_s - self.tick_s)
            w.waited += 1
            if not w.empty_s:
                w.battery, w.laden = 0.02, False
                w.job.clear()
        elif w.slice_s > 0.0 or (not w.job and w.cell == charger and self._free(charger, w)):
            w.slice_s = (w.slice_s if w.slice_s > 0.0 else SLICE_S) - self.tick_s
            w.battery = self.config.charged(w.battery, self.tick_s)
            self.charging += 1
            return
        elif w.job:
            w.worked += 1
            share = self._work(w)
        elif charger >= 0 and w.cell != charger:
            near = self.tables.to(charger)[w.cell] <= QUEUE_CELLS
            if near and not self._free(charger, w):
                w.waited += 1
            else:
                self._go(w, charger)
                share = 1.0
        else:
            w.waited += 1
        used = share * self.tick_s / self.config.battery_s
        self.energy += min(used, w.battery)
        w.battery = max(0.0, w.battery - used)
        self.lowest = min(self.lowest, w.battery)

    def _free(self, charger: int, me: Walker) -> bool:
        return not any(w is not me and w.cell == charger for w in self.walkers)

    def _work(self, w: Walker) -> float:
        if w.cell != w.job[0]:
            self._go(w, w.job[0])
            return 1.0
        w.dwells += self.tick_s
        if w.dwells >= DWELL_S:
            w.dwells = 0.0
            w.job.popleft()
            w.laden = bool(w.job)
            if not w.job:
                self.orders += 1
                self._give(w)
        return self.config.idle_share

    def _go(self, w: Walker, goal: int) -> None:
        steps = self.tables.to(goal)
        w.cell = min((c for c in self.nbr[w.cell].tolist() if c >= 0), key=lambda c: int(steps[c]))


def compare(robots: int, chargers: int, config: RobotConfig, seed: int, hours: float) -> dict[str, Any]:
    out: dict[str, Any] = {
        "robots": robots,
        "chargers": chargers,
        "charge_s": config.charge_s,
        "seed": seed,
        "hours": hours,
    }
    for name, planned in (("rule", False), ("plan", True)):
        out[name] = Hall(robots, chargers, config, seed, planned).run(hours)
    out["ratio"] = {k: round(out["plan"][k] / out["rule"][k], 3) if out["rule"][k] else None for k in FIGURES}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fleets", nargs="+", default=["20x3", "50x6"], help="robots x chargers")
    parser.add_argument("--charge-s", nargs="+", type=float, default=[600.0, 2400.0, 5400.0])
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--robot", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    block = yaml.safe_load(options.robot.read_text(encoding="utf-8")) if options.robot else ROBOT
    block = block.get("robot", block)
    rows = []
    print(
        "| robots / chargers | full charge, s | | working | waiting | orders/h | lowest battery | h of driving per 100 orders | chargers used | battery left | ran empty |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for fleet in options.fleets:
        robots, chargers = (int(n) for n in fleet.split("x"))
        for charge_s in [block["charge_s"]] if "charge_s" in block else options.charge_s:
            for seed in range(1, options.seeds + 1):
                row = compare(robots, chargers, RobotConfig(**(block | {"charge_s": charge_s})), seed, options.hours)
                rows.append(row)
                for name in ("rule", "plan"):
                    _print(row, name)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _print(row: dict[str, Any], name: str) -> None:
    r, q = row[name], row["ratio"]
    orders = f"{r['orders_per_h']:.0f}" + (f" (x{q['orders_per_h']:.3f})" if name == "plan" else "")
    head = f"| {row['robots']} / {row['chargers']} | {row['charge_s']:g} | {name} |"
    print(
        f"{head} {r['work']:.1%} | {r['wait']:.1%} | {orders} | {r['lowest']:.0%} | {r['energy_per_100']:.2f} | "
        f"{r['chargers_used']:.0%} | {r['left']:.0%} | {r['ran_empty']} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
