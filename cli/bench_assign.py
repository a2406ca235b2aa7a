"""`aislewise bench assign`: robots to orders at least cost, beside scipy and OR-Tools' min-cost flow.

Instances from a seed: `travel` puts robots and orders at random places of a hall of 150 x 100 m (driving time in
deciseconds along the aisles, and what a robot has to finish first), `uniform` draws every cost by itself. 5% of the pairs
are forbidden. Kernels are compiled before the clock starts. All three solve the same table in turn; the flow sees the
20 nearest orders of each robot alone, as a sparse solver must. Every answer is proven by the prices that come with it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NEAREST, REPEATS = 20, 5


def add(kinds: Any) -> None:
    p = kinds.add_parser("assign", help="robots to orders at least cost, beside scipy and min-cost flow", description=__doc__)
    p.add_argument("--robots", type=int, default=1000)
    p.add_argument("--orders", type=int, default=5000)
    p.add_argument("--seeds", type=int, default=3, help="instances of each kind")
    p.add_argument("--kinds", nargs="+", choices=("travel", "uniform"), default=["travel", "uniform"])
    p.add_argument("--json", type=Path, metavar="FILE")
    p.set_defaults(func=bench_assign)


def bench_assign(args: argparse.Namespace) -> int:
    """Exit status 1 unless every answer is proven and costs what scipy's does."""
    from aislewise.errors import InputError
    from planning.lap import assign

    for field, value, most in (("robots", args.robots, 20_000), ("orders", args.orders, 100_000), ("seeds", args.seeds, 1000)):
        if not 1 <= value <= most:
            raise InputError(field, f"{value}", f"1 to {most}")
    assign([[1, 2], [3, 4]])
    rows = [_one(kind, args.robots, args.orders, seed) for kind in args.kinds for seed in range(1, 1 + args.seeds)]
    for r in rows:
        print(
            f"{r['kind']:8s} seed {r['seed']}: {r['ms']:.1f} ms, scipy {r['scipy_ms']:.1f} ms, flow over {NEAREST} nearest {r['flow_ms']:.1f} ms"
            f" (cost {r['flow_cost_ratio']:.3f}), cost {r['cost']}, {'proven' if r['proven'] else 'NOT PROVEN'}", flush=True,
        )  # fmt: skip
    result = {
        "robots": args.robots, "orders": args.orders, "ms": round(_median([r["ms"] for r in rows]), 2),
        "over_scipy": round(_median([r["ms"] / r["scipy_ms"] for r in rows]), 3),
        "valid": all(r["proven"] and r["cost"] == r["scipy_cost"] for r in rows),
    }  # fmt: skip
    for name, value in result.items():
        print(f"{name:22s} {value}")
    if args.json:
        args.json.write_text(json.dumps(result | {"instances": rows}, indent=1) + "\n")
    return 0 if result["valid"] else 1


def _one(kind: str, robots: int, orders: int, seed: int) -> dict[str, Any]:
    from scipy.optimize import linear_sum_assignment

    from planning.lap import assign

    costs = _table(kind, robots, orders, seed)
    found, ms = _timed(lambda: assign(costs))
    (left, right), scipy_ms = _timed(lambda: linear_sum_assignment(costs))
    flow_cost, flow_ms = _timed(lambda: _flow(costs), repeats=1)
    cost = int(costs[left, right].sum())
    return {
        "kind": kind, "seed": seed, "ms": ms, "cost": found.cost, "proven": found.proven(costs), "scipy_ms": scipy_ms, "scipy_cost": cost,
        "flow_ms": flow_ms, "flow_cost_ratio": round(flow_cost / max(1, found.cost), 4),
    }  # fmt: skip


def _table(kind: str, robots: int, orders: int, seed: int) -> Any:
    import numpy as np

    from planning.lap import FORBIDDEN

    rng = np.random.default_rng(seed)
    if kind == "travel":
        here, there = (np.stack([rng.integers(0, 150, n), rng.integers(0, 100, n)], 1) for n in (robots, orders))
        steps = np.abs(here[:, None] - there[None]).sum(-1)
        costs = np.rint(10.0 * steps / 1.5).astype(np.int64) + rng.integers(0, 600, (robots, 1))
    else:
        costs = rng.integers(0, 10_000, (robots, orders))
    costs[rng.random(costs.shape) < 0.05] = FORBIDDEN
    return costs


def _flow(costs: Any) -> int:
    """Cost of OR-Tools' min-cost flow over each robot's nearest orders; who finds none there pays for a forbidden pair."""
    import numpy as np
    from ortools.graph.python import min_cost_flow

    from planning.lap import FORBIDDEN

    rows, cols = costs.shape
    near = np.argpartition(costs, min(NEAREST, cols) - 1, axis=1)[:, : min(NEAREST, cols)]
    left = np.repeat(np.arange(rows), near.shape[1])
    right = near.ravel()
    unit = costs[left, right]
    good = unit < FORBIDDEN
    left, right, unit = left[good], right[good], unit[good]
    source, sink, nobody = rows + cols, rows + cols + 1, rows + cols + 2
    flow = min_cost_flow.SimpleMinCostFlow()
    dear = int(unit.max(initial=0)) * 10 + 1
    orders = np.unique(right)
    for tail, head, room, price in (
        (np.full(rows, source), np.arange(rows), np.ones(rows, int), np.zeros(rows, int)),
        (left, rows + right, np.ones(len(left), int), unit),
        (np.arange(rows), np.full(rows, nobody), np.ones(rows, int), np.full(rows, dear)),
        (rows + orders, np.full(len(orders), sink), np.ones(len(orders), int), np.zeros(len(orders), int)),
        (np.array([nobody]), np.array([sink]), np.array([rows]), np.array([0])),
    ):
        flow.add_arcs_with_capacity_and_unit_cost(tail, head, room, price)
    flow.set_node_supply(source, rows)
    flow.set_node_supply(sink, -rows)
    if flow.solve() != flow.OPTIMAL:
        return 0
    return int(flow.optimal_cost())


def _timed(what: Callable[[], Any], repeats: int = REPEATS) -> tuple[Any, float]:
    """The answer and the median of the times, ms."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        out = what()
        times.append(1e3 * (time.perf_counter() - begin))
    return out, round(_median(times), 2)


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
