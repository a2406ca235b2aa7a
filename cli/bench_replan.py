"""`aislewise bench replan`: how soon there is a plan again after a change, and how good it is.

A fulfilment hall of 90 x 60 m, robots at random cells, each order one line from a random pick face to a random station, most
with a due time. A second passes between two changes, in which robots drive, pick and drop. In turn an order comes, one is
cancelled, a cell is closed (later one opens again) and a robot is lost (later one comes back). Measured is from the change to
the new plan of the whole fleet: the plan in force mended. Then the planner's search goes on from there, as long as in the
product. The peer gets the same problem and the same plan in force, with what is new appended by assignment: OR-Tools' routing
library, warm, asked for its first answer, and, every so many changes, for the best within the time limit; our own search gets the
same time then. Kernels are compiled before the clock starts; collector and modules as in the planner's process.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any


def add(kinds: Any) -> None:
    p = kinds.add_parser("replan", help="a new plan after one change", description=__doc__)
    p.add_argument("--robots", type=int, default=100)
    p.add_argument("--orders", type=int, default=500)
    p.add_argument("--changes", type=int, default=200)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--peer-every", type=int, default=20, metavar="N", help="changes between two that the peer gets; 0 for none")
    p.add_argument("--peer-limit", type=float, default=5.0, metavar="S", help="CPU seconds of both searches (default 5)")
    p.add_argument("--plans", type=Path, metavar="FILE", help="every change and its plans, a JSON object a line")
    p.add_argument("--json", type=Path, metavar="F")
    p.set_defaults(func=bench_replan)


def bench_replan(args: argparse.Namespace) -> int:
    """Exit status 1 unless the checker finds nothing wrong with any plan."""
    import tempfile

    import numpy as np
    from rich.progress import track

    from aislewise.collector import settle
    from aislewise.errors import InputError
    from planning.replan import Floor
    from planning.replan_check import check
    from planning.replan_file import PlansFile
    from planning.sequence_lns import warm_up
    from sim.layouts import WarehouseConfig
    from sim.warehouse import generate

    limits = (("robots", 2, 200), ("orders", 8, 5000), ("changes", 1, 100_000), ("peer_every", 0, 100_000))
    for field, low, high in limits:
        if not low <= getattr(args, field) <= high:
            raise InputError(field, f"{getattr(args, field)}", f"{low} to {high}")
    warm_up()
    hall = WarehouseConfig(width=90, height=60, layout="fulfilment", stations=16, chargers=32, parking=32)
    floor = Floor(generate(hall, np.random.default_rng(args.seed)).site, args.robots, args.orders, args.seed)
    floor.change()
    for _ in range(5):
        floor.search()
    settle()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as passing:
        file = args.plans or Path(passing) / "plans.jsonl"
        with PlansFile(file, floor) as plans:
            for k in track(range(args.changes), "changes"):
                floor.go_on()
                before = dict(floor.in_force)
                first = floor.change()
                better = floor.search()
                plans.write(first, better, before)
                row = {"kind": first.kind, "ms": first.seconds * 1e3, "cpu_ms": first.cpu_s * 1e3, "search_ms": better.seconds * 1e3}
                if args.peer_every and k % args.peer_every == args.peer_every - 1:
                    row |= _beside_peer(floor, first, args.peer_limit)
                rows.append(row)
        verdict = check(file)
    for fault in verdict.faults[:10]:
        print(fault)
    result = _result(rows) | {
        "better_over_first": round(verdict.better / max(1, verdict.first), 4), "checked": verdict.changes, "valid": not verdict.faults,
    }  # fmt: skip
    for name, value in result.items():
        print(f"{name:22s} {value}")
    if args.json:
        args.json.write_text(json.dumps({"robots": args.robots, "orders": args.orders, "seed": args.seed} | result | {"rows": rows}, indent=1) + "\n")
    return 0 if result["valid"] else 1


def _result(rows: list[dict[str, Any]]) -> dict[str, Any]:
    import numpy as np

    def spread(items: list[dict[str, Any]], key: str) -> dict[str, float]:
        values = [row[key] for row in items if key in row]
        return {f"p{q}": round(float(np.percentile(values, q)), 2) for q in (50, 99)} | {"max": round(max(values), 2)}

    out: dict[str, Any] = {"ms": spread(rows, "ms"), "cpu_ms": spread(rows, "cpu_ms")}
    for kind in dict.fromkeys(row["kind"] for row in rows):
        out[kind] = spread([row for row in rows if row["kind"] == kind], "ms")
    out["search_ms"] = spread(rows, "search_ms")
    peer = [row for row in rows if "peer_first_ms" in row]
    if peer:
        out["peer_first_ms"] = spread(peer, "peer_first_ms")
        for name in ("first_over_peer_first", "searched_over_peer"):
            out[name] = round(float(np.mean([row[name] for row in peer])), 4)
    return out


def _beside_peer(floor: Any, first: Any, limit_s: float) -> dict[str, float]:
    """The peer's first answer and its best, and what our plans cost beside them."""
    from dataclasses import replace

    from planning.assign import complete
    from planning.sequence import improve
    from planning.sequence_lns import Search

    problem, config = first.problem, floor.config
    begun = time.perf_counter()
    start, _ = complete(problem, first.before)
    found = improve(problem, start, replace(config, solution_limit=1, work_limit=10**9)) or start
    ms = (time.perf_counter() - begun) * 1e3
    best = improve(problem, start, replace(config, solution_limit=10**7, work_limit=10**9, time_limit_s=limit_s)) or start
    search = Search(problem, first.before)
    search.mend()
    begun = time.process_time()
    while time.process_time() - begun < limit_s:
        search.improve(500)
    ours = problem.cost(search.routes)
    return {
        "peer_first_ms": ms, "first_over_peer_first": problem.cost(first.routes) / problem.cost(found),
        "searched_over_peer": ours / problem.cost(best),
    }  # fmt: skip
