"""`aislewise bench zones`: one problem played twice, by a process per zone and by one planner, and what the zones cost.

Both give tasks by the same rule, look as many steps ahead and refine by the same number of tries in all; both outputs are
checked as one plan by the same independent checker, which knows nothing of zones. Kernels are compiled, or loaded, first.
Times are of processor time, as a step costs where every process has a core of its own."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any


def add(kinds: Any) -> None:
    p = kinds.add_parser("zones", help="a process per zone of a large site, beside one planner", description=__doc__)
    p.add_argument(
        "problem", type=Path, nargs="?", help="League problem JSON (2024 format); default: a generated warehouse"
    )
    p.add_argument("--robots", type=int, default=2000, metavar="N", help="in the generated warehouse (default 2000)")
    p.add_argument("--zones", type=int, default=4, metavar="K", help="(default 4)")
    p.add_argument("--steps", type=int, default=500, metavar="N", help="(default 500)")
    p.add_argument(
        "--rounds", type=int, default=None, metavar="R", help="refine by so many tries a step (default: one a robot)"
    )
    p.add_argument("--depth", type=int, default=None, metavar="D", help="steps per operation (default: by fleet size)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", type=Path, metavar="FILE", help="the zones' merged result in the start kit's output format")
    p.add_argument("--json", type=Path, metavar="FILE")
    p.set_defaults(func=zones)


def zones(args: argparse.Namespace) -> int:
    """Exit status 1 unless the independent checker finds nothing wrong with either output."""
    import tempfile

    from aislewise.errors import InputError
    from planning.zones_floor import write_warehouse

    for name, least in (("steps", 1), ("zones", 1), ("robots", 1)):
        if getattr(args, name) < least:
            raise InputError(name, f"{getattr(args, name)}", f"at least {least}")
    with tempfile.TemporaryDirectory() as folder:
        path = args.problem or write_warehouse(Path(folder), args.robots, args.seed)
        result = _compare(path, args, Path(folder))
    for name, value in result.items():
        if isinstance(value, list):
            print(name)
            for row in value:
                print("   ", "  ".join(f"{k} {v}" for k, v in row.items()))
        else:
            print(f"{name:26s} {value}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["valid"] and result["one_planner_valid"] else 1


def _compare(path: Path, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from planning.lorr import read_problem
    from planning.lorr_run import Pace, Runner, percentile_ms, warm_up
    from planning.zones import cut
    from planning.zones_run import ZonedRunner

    problem = read_problem(path)
    layout = cut(problem.free, args.zones)
    pace = Pace(rounds=args.rounds if args.rounds is not None else problem.robots, clock=None)
    warm_up()
    deep = args.depth or _depth(problem.robots)
    one = Runner(problem, pace, depth=deep, seed=args.seed)
    alone = _play(one, args.steps, "one planner")
    with ZonedRunner(problem, layout, pace, depth=deep, seed=args.seed) as runner:
        runner.connect()
        whole = _play(runner, args.steps, f"{args.zones} zones")
    finished, valid = _judge(path, runner, args.out or folder / "zones.json")
    finished_alone, valid_alone = _judge(path, one, folder / "one.json")
    gates = layout.gates
    busy = list(zip(*runner.busy, strict=True))
    rows = [
        {
            "zone": z, "cells": layout.cells_of(z), "gates_in": int((gates.to_zone == z).sum()),
            "gates_out": int((gates.from_zone == z).sum()), "p50_ms": percentile_ms(list(busy[z]), 50),
            "p99_ms": percentile_ms(list(busy[z]), 99), "waits": int(runner.waits[gates.to_zone == z].sum()),
        }
        for z in range(layout.zones)
    ]  # fmt: skip
    return {
        "problem": path.stem, "robots": problem.robots, "zones": layout.zones, "steps": args.steps,
        "tasks": finished, "one_planner_tasks": finished_alone,
        "throughput_loss": round(1.0 - finished / finished_alone, 4) if finished_alone else None,
        "valid": valid, "one_planner_valid": valid_alone, "crossings": int(runner.crossings.sum()),
        "waits_at_gates": int(runner.waits.sum()),
        "waits_per_crossing": round(float(runner.waits.sum() / max(1, runner.crossings.sum())), 3),
        "slowest_zone_p50_ms": percentile_ms([max(row) for row in runner.busy], 50),
        "slowest_zone_p99_ms": percentile_ms([max(row) for row in runner.busy], 99),
        "merging_p50_ms": percentile_ms(whole, 50), "merging_p99_ms": percentile_ms(whole, 99),
        "one_planner_p50_ms": percentile_ms(alone, 50), "one_planner_p99_ms": percentile_ms(alone, 99),
        "depth": deep, "rounds": pace.rounds, "seed": args.seed, "restarts": len(runner.deaths), "per_zone": rows,
    }  # fmt: skip


def _depth(robots: int) -> int:
    """What one planner would choose for so many robots; at least 2, which gates need."""
    from planning.lifelong import _deepest

    return max(2, _deepest(robots, True).depth)


def _play(runner: Any, steps: int, name: str) -> list[float]:
    """Seconds of this process's time per step; with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    seconds = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(name, total=steps)
        while runner.league.step < steps:
            begin = time.thread_time()
            runner.step()
            seconds.append(time.thread_time() - begin)
            progress.update(bar, completed=runner.league.step, description=f"{name}: {runner.league.finished} tasks")
    return seconds


def _judge(path: Path, runner: Any, out: Path) -> tuple[int, bool]:
    """Tasks finished, and whether a stranger finds nothing wrong with the output."""
    from planning.lorr_check import check_output

    runner.league.write(out)
    verdict = check_output(path, out)
    for fault in verdict.faults[:10]:
        print(fault)
    return verdict.tasks, verdict.valid and verdict.tasks == runner.league.finished
