"""`aislewise bench lifelong`: a League of Robot Runners problem, played step by step under a time limit.

Kernels are compiled, or loaded, before the clock starts, and up to 20 s go to tables for the map (the League allows
30 minutes); both are reported (compile_s, prepare_s)."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any


def add(kinds: Any) -> None:
    p = kinds.add_parser("lifelong", help="League of Robot Runners problem: tasks without end for robots that turn", description=__doc__)
    p.add_argument("problem", type=Path, help="problem JSON (2024 format)")
    p.add_argument("--steps", type=int, default=1000, metavar="N")
    p.add_argument("--time-per-step", type=float, default=1.0, metavar="S",
                   help="wall time to decide one step; all robots wait for the steps that a late answer misses")  # fmt: skip
    p.add_argument("--rounds", type=int, default=None, metavar="R",
                   help="refine by so many tries a step instead of by time: the same run every time")  # fmt: skip
    p.add_argument("--depth", type=int, default=None, metavar="D", help="steps per operation (default: by fleet size)")
    p.add_argument("--no-guidance", action="store_true", help="lanes without preferred directions")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", type=Path, metavar="FILE", help="result in the start kit's output format")
    p.add_argument("--json", type=Path, metavar="FILE")
    p.set_defaults(func=lifelong)


def lifelong(args: argparse.Namespace) -> int:
    """Exit status 1 unless the independent checker finds nothing wrong with the output."""
    from aislewise.errors import InputError
    from planning.lorr import read_problem
    from planning.lorr_run import Pace, Runner, percentile_ms, warm_up

    if args.steps < 1:
        raise InputError("steps", f"{args.steps}", "at least 1")
    if not args.time_per_step > 0:
        raise InputError("time-per-step", f"{args.time_per_step}", "more than 0")
    problem = read_problem(args.problem)
    pace = Pace(args.time_per_step) if args.rounds is None else Pace(rounds=args.rounds, clock=None)
    compiled = time.perf_counter()
    warm_up()
    prepared = time.perf_counter()
    runner = Runner(problem, pace, depth=args.depth, guided=not args.no_guidance, seed=args.seed)
    tables = runner.prepare()
    begin = time.perf_counter()
    seconds = _play(runner, args.steps)
    result = {
        "tasks": runner.league.finished, "steps": runner.league.step, "valid": False,
        "ms_per_step": {"p50": percentile_ms(seconds, 50), "p99": percentile_ms(seconds, 99)},
        "ms_per_step_max": percentile_ms(seconds, 100), "tasks_per_step": round(runner.league.finished / runner.league.step, 3),
        "missed_steps": len(runner.league.record.missed),
        "robots": problem.robots, "planner": type(runner.planner).__name__, "tables_before_start": tables,
        "prepare_s": round(begin - prepared, 2), "compile_s": round(prepared - compiled, 2),
        "seed": args.seed, "steps_without_table": runner.starved,
    }  # fmt: skip
    result["valid"] = _judge(runner, args)
    for name, value in result.items():
        print(f"{name:22s} {value}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["valid"] else 1


def _play(runner: Any, steps: int) -> list[float]:
    """Seconds per step; with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    seconds = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("0 tasks", total=steps)
        while runner.league.step < steps:
            begin = time.perf_counter()
            took = runner.step()
            seconds.append(took or time.perf_counter() - begin)
            progress.update(bar, completed=runner.league.step, description=f"{runner.league.finished} tasks")
    return seconds


def _judge(runner: Any, args: argparse.Namespace) -> bool:
    """Write the output, to a passing file if none was asked for, and have it checked as a stranger would."""
    import tempfile

    from planning.lorr_check import check_output

    with tempfile.TemporaryDirectory() as folder:
        out = args.out or Path(folder) / "out.json"
        runner.league.write(out)
        verdict = check_output(args.problem, out)
    for fault in verdict.faults[:10]:
        print(fault)
    return verdict.valid and verdict.tasks == runner.league.finished
