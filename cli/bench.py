"""`aislewise bench`: figures on public benchmarks, with solutions as files so that anyone can check them."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from cli import bench_assign, bench_batching, bench_lifelong, bench_pdptw, bench_replan, bench_zones


def add(subparsers: Any) -> None:
    p = subparsers.add_parser("bench", help="measure against public benchmarks", description=__doc__)
    kinds = p.add_subparsers(dest="bench", metavar="BENCH", required=True)
    p = kinds.add_parser(
        "mapf", help="multi-agent path finding on a movingai map and scenario",
        description="The least sum of arrival times to be had in the time, distance tables included. Kernels are compiled "
        "before the clock starts.",
    )  # fmt: skip
    p.add_argument("map", type=Path)
    p.add_argument("scen", type=Path)
    p.add_argument("-n", type=int, default=None, dest="agents", help="first N agents of the scenario")
    p.add_argument("--time-limit", type=float, default=10.0, metavar="S", help="wall time (default 10)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=2, help="that plan at once (default 2)")
    p.add_argument("--paths", type=Path, metavar="OUT", help="one line per agent: x,y per step")
    p.add_argument("--json", metavar="FILE")
    p.set_defaults(func=mapf)
    bench_assign.add(kinds)
    bench_batching.add(kinds)
    bench_lifelong.add(kinds)
    bench_pdptw.add(kinds)
    bench_replan.add(kinds)
    bench_zones.add(kinds)


def mapf(args: argparse.Namespace) -> int:
    """Exit status 1 unless the plan is complete and the independent checker finds nothing wrong."""
    from planning.check import check_paths
    from planning.mapf import solve, warm_up
    from planning.movingai import read_map, read_scenario, write_paths

    free = read_map(args.map)
    starts, goals = read_scenario(args.scen, free, args.agents)
    warm_up()
    wall, cpu = time.perf_counter(), time.process_time()
    found = solve(free, starts, goals, time_limit_s=args.time_limit, seed=args.seed, threads=args.threads)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    violations = check_paths(free, starts, goals if found.solved else None, found.paths)
    result = {
        "agents": len(starts), "solved": found.solved, "cost": found.cost,
        "sum_of_shortest_paths": found.lower_bound,
        "ratio": round(found.cost / max(found.lower_bound, 1), 4) if found.solved else None,
        "makespan": found.makespan, "strategy": found.strategy, "tries": found.rounds, "cpu_s": round(cpu, 3),
        "wall_s": round(wall, 3), "valid": found.solved and not violations,
    }  # fmt: skip
    for name, value in result.items():
        print(f"{name:22s} {value}")
    for violation in violations[:10]:
        print(violation)
    if args.paths:
        write_paths(args.paths, found.paths, free.shape[1])
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["valid"] else 1
