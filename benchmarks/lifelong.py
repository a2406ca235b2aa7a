"""Lifelong traffic: League of Robot Runners problems, and how long one plain step for a large fleet takes.

    python -m benchmarks.lifelong [--data ../shared/data] [--time-per-step 0.2] [--share 0.25] [--json FILE]

The League's RANDOM-01, -02 and -04 and WAREHOUSE, the first `share` of their steps (1 = all, as the records were
measured, at 1 s a step), each judged by the independent checker. Then one step of plain PIBT for 1,000 and 10,000
movers that do not turn, on the movingai map warehouse-20-40-10-2-2, distance tables at hand, one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cli.main import main as aislewise

PROBLEMS = {
    "main_random.domain/RANDOM-01": 600, "main_random.domain/RANDOM-02": 600, "main_random.domain/RANDOM-04": 1000,
    "main_warehouse.domain/WAREHOUSE": 5000,
}  # fmt: skip
MAP = "mapf/warehouse-20-40-10-2-2.map"
FLEETS = (1_000, 10_000)
GOALS = 500
"""Different goals in the traffic step; their tables are made beforehand."""


def league(data: Path, share: float, time_per_step: float) -> list[dict[str, Any]]:
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name, steps in PROBLEMS.items():
            problem, out = data / "lorr2024" / f"{name}.json", Path(folder) / "result.json"
            if not problem.is_file():
                print(f"no {problem}", file=sys.stderr)
                continue
            played = max(1, int(steps * share))
            command = ["bench", "lifelong", problem, "--steps", played, "--time-per-step", time_per_step, "--json", out]
            aislewise([str(part) for part in command])
            results.append({"problem": problem.stem, **json.loads(out.read_text())})
    return results


def traffic_step(data: Path, robots: int, steps: int = 300) -> dict[str, Any]:
    """Milliseconds a step; a mover on its goal gets another, whose table is there."""
    from planning.lifelong_step import PlainTraffic
    from planning.lifelong_tables import Roads, StateTables
    from planning.movingai import read_map

    rng = np.random.default_rng(0)
    roads = Roads(read_map(data / MAP))
    goals = rng.permutation(len(roads))[:GOALS].astype(np.int32)
    tables = StateTables(roads, turning=False)
    tables.require(goals.tolist())
    now = rng.permutation(len(roads))[:robots].astype(np.int32)
    aim = goals[rng.integers(0, GOALS, robots)]
    traffic = PlainTraffic(tables, robots)
    seconds, done = [], 0
    for _ in range(steps + 5):
        there = aim == now
        done += int(there.sum())
        aim[there] = goals[rng.integers(0, GOALS, int(there.sum()))]
        begin = time.perf_counter()
        now = traffic.step(now, aim)
        seconds.append(time.perf_counter() - begin)
    p50, p99 = np.percentile(np.array(seconds[5:]) * 1e3, (50, 99))
    return {"robots": robots, "p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "goals_a_step": round(done / steps, 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--time-per-step", type=float, default=0.2)
    parser.add_argument("--share", type=float, default=0.25)
    parser.add_argument("--only", choices=("league", "step"), default=None)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results: dict[str, Any] = {}
    if args.only != "step":
        results["league"] = league(args.data, args.share, args.time_per_step)
    if args.only != "league" and (args.data / MAP).is_file():
        results["step"] = [traffic_step(args.data, robots) for robots in FLEETS]
        for row in results["step"]:
            print(row)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0 if all(row["valid"] for row in results.get("league", [])) else 1


if __name__ == "__main__":
    sys.exit(main())
