"""`aislewise plan`: site map, robots and orders in, a checked plan out.

The plan is rehearsed to its end by ideal robots that run only what is released to them; what is printed
is what they did. Exit status 1 when an order was not delivered or a check failed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(subparsers: Any) -> None:
    p = subparsers.add_parser("plan", help="site map, robots and orders in, checked plan out", description=__doc__)
    p.add_argument("problem", metavar="PROBLEM.json", help="see planning/problem.py and examples/problem.json")
    p.add_argument("--max-steps", type=int, default=20_000, metavar="N", help="give up after (default %(default)s)")
    p.add_argument("--json", metavar="FILE", help="write the plan there")
    p.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from aislewise.errors import InputError
    from planning.problem import Problem, dumps, solve

    if args.max_steps < 1:
        raise InputError("max-steps", f"{args.max_steps}", "at least 1")
    solution = solve(Problem.load(args.problem), args.max_steps)
    show(solution)
    if args.json:
        Path(args.json).write_text(dumps(solution), encoding="utf-8")
    return 0 if solution["ok"] else 1


def show(solution: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    orders = Table("order", "state", "robot", "done at, s", "reason", title="Orders")
    for order_id, row in solution["orders"].items():
        done = "" if row["done_s"] is None else f"{row['done_s']:.1f}"
        orders.add_row(order_id, row["state"], row["robot"], done, row["reason"])
    console.print(orders)
    robots = Table("robot", "cells driven", "stops", title="Robots")
    for robot, row in solution["robots"].items():
        stops = "  ".join(f"{t['start_s']:.0f} s {t['kind']} {t['id']}" for t in row["tasks"])
        robots.add_row(robot, str(len(row["path"]) - 1), stops)
    console.print(robots)
    seconds = solution["makespan_steps"] * solution["step_s"]
    verdict = "no violations" if not solution["violations"] else f"{len(solution['violations'])} VIOLATIONS"
    console.print(f"{solution['makespan_steps']} steps ({seconds:.0f} s), {verdict}, sequenced by {solution['solver']}")
    for text in solution["violations"][:10]:
        console.print(f"  {text}")
