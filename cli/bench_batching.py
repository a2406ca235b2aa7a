"""`aislewise bench batching`: orders into tours of robots at least distance, beside simple rules and OR-Tools' routing.

Instances from a seed, or files written by --instances: aisles in blocks, demand by class. For each: first come first
served, earliest due first where there are due times, savings C&W(ii), OR-Tools' routing library, and ours; the last two get the same time each (CPU seconds for ours, wall
time for OR-Tools). OR-Tools groups orders as customers of a vehicle routing problem, as far apart as their places are in the
mean; its groups then get tours as good as ours. The lower bound is proven and reckoned after the clock has stopped; kernels
are compiled before it starts. Every plan is judged by the independent checker from the files as written.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

PEERS = ("first_come", "earliest_due", "savings", "or_tools")


def add(kinds: Any) -> None:
    p = kinds.add_parser("batching", help="orders into tours of robots, beside savings and OR-Tools", description=__doc__)
    p.add_argument("files", type=Path, nargs="*", metavar="FILE", help="instances as written by --instances, instead of a seed's")
    p.add_argument("--orders", type=int, nargs="+", default=[20, 60, 100])
    p.add_argument("--lines", type=int, nargs=2, default=[1, 8], metavar=("LEAST", "MOST"), help="of an order (default 1 8)")
    p.add_argument("--capacity", type=int, default=24, help="units that a robot carries (default 24)")
    p.add_argument("--robots", type=int, default=5)
    p.add_argument("--due", action="store_true", help="with due times; lateness has a price")
    p.add_argument("--seeds", type=int, default=1, help="instances of each size")
    p.add_argument("--cpu-limit", type=float, default=10.0, metavar="S", help="CPU seconds per instance (default 10)")
    p.add_argument("--bound-limit", type=float, default=10.0, metavar="S", help="seconds for the lower bound (default 10)")
    p.add_argument("--no-peer", action="store_true", help="without OR-Tools' routing")
    p.add_argument("--seed", type=int, default=0, help="of the search")
    p.add_argument("--instances", type=Path, metavar="DIR", help="instance files, DIR/NAME.json")
    p.add_argument("--solutions", type=Path, metavar="DIR", help="solution files, DIR/NAME.json")
    p.add_argument("--json", type=Path, metavar="FILE")
    p.set_defaults(func=batching)


def batching(args: argparse.Namespace) -> int:
    """Exit status 1 unless every plan passes the checker and none costs less than the bound."""
    from aislewise.errors import InputError
    from planning.batching import warm_up
    from planning.batching_bound import lower_bound
    from planning.batching_files import generate, read_instance

    for field, value in (("cpu-limit", args.cpu_limit), ("seeds", args.seeds)):
        if not value > 0:
            raise InputError(field, f"{value}", "more than 0")
    problems = [read_instance(file) for file in args.files] or [
        generate(n, seed=seed, lines=tuple(args.lines), capacity=args.capacity, robots=args.robots, due=args.due)
        for n in args.orders for seed in range(1, 1 + args.seeds)
    ]  # fmt: skip
    warm_up()
    lower_bound(generate(4, seed=0), clock=None, rounds=2)
    rows = []
    with tempfile.TemporaryDirectory() as passing:
        for problem in problems:
            rows.append(_one(problem, args, Path(passing)))
            print(_line(rows[-1]), flush=True)
    result = {"valid": all(r["valid"] for r in rows), "instances": len(rows), "cpu_limit_s": args.cpu_limit, "seed": args.seed}
    for name in (*(f"over_{peer}" for peer in PEERS), "over_bound"):
        values = [r[name] for r in rows if r.get(name)]
        result[name] = round(sum(values) / len(values), 4) if values else None
    for name, value in result.items():
        print(f"{name:22s} {value}")
    if args.json:
        args.json.write_text(json.dumps(result | {"rows": rows}, indent=1) + "\n")
    return 0 if result["valid"] else 1


def _one(problem: Any, args: argparse.Namespace, passing: Path) -> dict[str, Any]:
    from planning.batching import EARLIEST_DUE, FIRST_COME, SAVINGS, Effort, by_groups, by_rule, solve
    from planning.batching_bound import lower_bound
    from planning.batching_check import check_files
    from planning.batching_files import write_instance, write_solution
    from planning.batching_peer import or_tools_groups

    plans = {"first_come": by_rule(problem, FIRST_COME), "savings": by_rule(problem, SAVINGS)}
    if problem.timed:
        plans["earliest_due"] = by_rule(problem, EARLIEST_DUE)
    if not args.no_peer:
        groups = or_tools_groups(problem, args.cpu_limit)
        if groups is not None:
            plans["or_tools"] = by_groups(problem, groups, "OR-Tools routing")
    cpu, wall = time.process_time(), time.perf_counter()
    plans["ours"] = ours = solve(problem, Effort(args.cpu_limit), seed=args.seed)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    bound = lower_bound(problem, [b.orders for b in ours.batches], below=None if ours.left_out else ours.cost, seconds=args.bound_limit)
    folders = [args.instances or passing, args.solutions or passing]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    instance = folders[0] / f"{problem.name}.json"
    write_instance(instance, problem)
    row: dict[str, Any] = {"instance": problem.name, "valid": True}
    for name, plan in plans.items():
        file = folders[1] / f"{problem.name}{'' if name == 'ours' else '.' + name}.solution.json"
        write_solution(file, plan)
        verdict = check_files(instance, file)
        for fault in verdict.faults[:5]:
            print(f"{problem.name} {name}: {fault}")
        row["valid"] &= verdict.valid and verdict.cost >= bound.cost
        row[name] = {"cost": verdict.cost, "distance": verdict.distance, "late": verdict.late, "batches": verdict.batches}
    row |= {
        f"over_{name}": round(row["ours"]["cost"] / row[name]["cost"], 4) for name in PEERS if name in row
    }
    return row | {
        "bound": bound.cost, "bound_kind": bound.kind, "bound_closed": bound.closed, "strategy": ours.strategy, "rounds": ours.rounds,
        "over_bound": round(row["ours"]["cost"] / max(1, bound.cost), 4), "columns": ours.columns, "cpu_s": round(cpu, 2),
        "wall_s": round(wall, 2), "left_out": len(ours.left_out),
    }  # fmt: skip


def _line(row: dict[str, Any]) -> str:
    ours = row["ours"]
    over = ", ".join(f"{row['over_' + k]:.3f} of {k}" for k in PEERS if k in row)
    text = f"{row['instance']:24s} cost {ours['cost']} in {ours['batches']} batches, {ours['late']} late, by {row['strategy']}: {over}"
    text += f"; {row['over_bound']:.3f} of the bound ({row['bound_kind']}), {row['cpu_s']:.1f} s"
    return text if row["valid"] else text + "  NOT VALID"
