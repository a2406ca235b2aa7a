"""How long one step of the product's traffic takes: PIBT with the swap step, robots that turn, priorities by waiting.

    python -m benchmarks.traffic_step [--robots 1000 10000] [--goals 500] [--steps 300] [--map MAP] [--json FILE]

On a movingai map (by default warehouse-20-40-10-2-2), starts and goals at random, a robot on its goal gets another;
distance tables at hand; one core. Three times in one run, in milliseconds a step:

- step: the compiled step alone (planning.pibt), goals new at every step;
- plan: TrafficPlanner.plan with a horizon of one step, with all that Python does around it; where the planner looks 20
  steps ahead, that is done once for all of them;
- plain: planning.lifelong_step, which has neither swaps nor turns nor blocked cells nor lanes.

`hash` is of all cells that the step led to: it is the same as long as the decisions are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from planning.distance import I32, Bool, DistanceTables
from planning.movingai import read_map
from planning.pibt import pibt_run, seed_state
from planning.traffic import TrafficPlanner

MAP = Path("../shared/data/mapf/warehouse-20-40-10-2-2.map")
WARM_STEPS = 5
GIB = 1 << 30


class Errands:
    """Robots with random goals; who is on its goal gets another. The same seed gives the same errands."""

    def __init__(self, free: Bool, robots: int, goals: int, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        cells = np.flatnonzero(free.ravel()).astype(np.int32)
        self.goals: I32 = self._rng.permutation(cells)[:goals]
        self.now: I32 = self._rng.permutation(cells)[:robots]
        self.aim: I32 = self.goals[self._rng.integers(0, goals, robots)]
        self.done = 0

    def renew(self) -> None:
        there = np.flatnonzero(self.aim == self.now)
        self.done += len(there)
        self.aim[there] = self.goals[self._rng.integers(0, len(self.goals), len(there))]


def step_alone(free: Bool, robots: int, goals: int, steps: int) -> dict[str, Any]:
    """The compiled step, called with arrays that are there."""
    errands = Errands(free, robots, goals)
    tables = DistanceTables(free, max_bytes=4 * GIB)
    pool, slots = tables.rows(errands.goals)
    slot_of: I32 = np.full(free.size, -1, np.int32)
    slot_of[errands.goals] = slots
    depth: I32 = np.zeros(free.size, np.int32)
    heading: I32 = np.zeros(robots, np.int32)
    no_robot, no_cell = np.zeros(robots, np.bool_), np.zeros(free.size, np.bool_)
    urgency, waited = np.zeros(robots, np.int64), np.zeros(robots, np.int64)
    paths: I32 = np.empty((2, robots), np.int32)
    own: I32 = np.zeros(robots, np.int32)
    rng, seconds, digest = seed_state(0), [], hashlib.sha256()
    for _ in range(WARM_STEPS + steps):
        errands.renew()
        paths[0] = errands.now
        rows = slot_of[errands.aim]
        begin = time.perf_counter()
        pibt_run(
            tables.nbr, pool, rows, depth, heading, True, no_robot, no_robot, no_cell, False, urgency, waited,
            sum(free.shape), paths, rng, own,
        )  # fmt: skip
        seconds.append(time.perf_counter() - begin)
        errands.now = paths[1].copy()
        digest.update(errands.now.tobytes())
    return {"step": _times(seconds), "goals_a_step": round(errands.done / (WARM_STEPS + steps), 2), "hash": digest.hexdigest()[:16]}


def plan_of_one_step(free: Bool, robots: int, goals: int, steps: int) -> dict[str, Any]:
    """TrafficPlanner.plan as the planner calls it, for one step."""
    errands = Errands(free, robots, goals)
    planner = TrafficPlanner(free, table_bytes=4 * GIB)
    planner.plan(errands.goals, errands.goals, horizon=1)  # makes the tables
    names = [f"robot_{n}" for n in range(robots)]
    heading: I32 = np.zeros(robots, np.int32)
    seconds = []
    for _ in range(WARM_STEPS + steps):
        errands.renew()
        begin = time.perf_counter()
        paths = planner.plan(errands.now, errands.aim, horizon=1, names=names, headings=heading)
        seconds.append(time.perf_counter() - begin)
        moved = paths[1] - paths[0]
        heading = np.where(moved != 0, moved, heading)
        errands.now = paths[1].copy()
    return {"plan": _times(seconds)}


def plain_step(free: Bool, robots: int, goals: int, steps: int) -> dict[str, Any]:
    from planning.lifelong_step import PlainTraffic
    from planning.lifelong_tables import Roads, StateTables

    errands = Errands(free, robots, goals)
    roads = Roads(free)
    tables = StateTables(roads, turning=False)
    tables.require(roads.number[errands.goals].tolist())
    traffic = PlainTraffic(tables, robots)
    seconds = []
    for _ in range(WARM_STEPS + steps):
        errands.renew()
        now, aim = roads.number[errands.now], roads.number[errands.aim]
        begin = time.perf_counter()
        now = traffic.step(now, aim)
        seconds.append(time.perf_counter() - begin)
        errands.now = roads.cells[now]
    return {"plain": _times(seconds)}


def _times(seconds: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(np.array(seconds[WARM_STEPS:]) * 1e3, (50, 99))
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--map", type=Path, default=MAP)
    parser.add_argument("--robots", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--goals", type=int, default=500, help="different goals; each has a table (default %(default)s)")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not args.map.is_file():
        print(f"no {args.map}", file=sys.stderr)
        return 0
    free = read_map(args.map)
    rows = []
    for robots in args.robots:
        row: dict[str, Any] = {"map": args.map.stem, "robots": robots, "goals": args.goals, "steps": args.steps}
        for measure in (step_alone, plan_of_one_step, plain_step):
            row |= measure(free, robots, args.goals, args.steps)
        row["times_plain"] = round(row["step"]["p50_ms"] / row["plain"]["p50_ms"], 2)
        rows.append(row)
        print(row, flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
