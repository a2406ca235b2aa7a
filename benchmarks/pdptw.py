"""Pickup and delivery with time windows: vehicles and distance over the best known, beside plain OR-Tools.

    python -m benchmarks.pdptw [--data ../shared/data/lilim_pdptw] [--cpu-limit 10] [--no-peer] [--json FILE]

Five Li & Lim instances of 100 tasks. The peer is OR-Tools' routing library with guided local search and its default
neighbourhoods, for the same time, with a fixed cost per vehicle that outweighs any distance. Every solution of ours
passes the independent checker, and so must the peer's.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cli.main import main as aislewise
from planning.pdptw import Problem
from planning.pdptw_check import check_routes
from planning.pdptw_files import read_problem

NAMES = ("lr101", "lc103", "lrc103", "lr204", "lrc207")
SCALE = 10_000  # OR-Tools counts in whole numbers
FIXED = 10**9  # cost of a vehicle, above any distance


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/lilim_pdptw"))
    parser.add_argument("--cpu-limit", type=float, default=10.0)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    files = [args.data / f"{name}.txt" for name in NAMES]
    if not all(file.is_file() for file in files):
        print(f"no {args.data}", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        code = aislewise([str(part) for part in ("bench", "pdptw", *files, "--cpu-limit", args.cpu_limit, "--json", out)])
        result = json.loads(out.read_text())
    if not args.no_peer:
        for file, row in zip(files, result["instances"], strict=True):
            verdict = check_routes(file, plain_or_tools(read_problem(file), args.cpu_limit))
            row |= {"peer_vehicles": verdict.vehicles, "peer_distance": round(verdict.distance, 4), "peer_valid": verdict.valid}
            ratio = row["vehicles"] / max(verdict.vehicles, 1)
            print(f"{row['instance']:14s} OR-Tools {verdict.vehicles} vehicles {verdict.distance:.2f}, ours over it {ratio:.3f}")
            code |= not verdict.valid
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return int(code)


def plain_or_tools(problem: Problem, seconds: float) -> list[list[int]]:
    """Routes by OR-Tools' routing library; empty if it finds none."""
    from ortools.constraint_solver import pywrapcp, routing_enums_pb2

    nodes, fleet = len(problem.demand), problem.vehicles or len(problem.pairs)
    manager = pywrapcp.RoutingIndexManager(nodes, fleet, 0)
    routing = pywrapcp.RoutingModel(manager)
    legs = (problem.distance * SCALE).round().astype(int).tolist()
    # Times up and windows inwards, so that what is in time here is so for the checker.
    times = (((problem.travel + problem.service[:, None]) * SCALE).round().astype(int) + 1).tolist()
    routing.SetArcCostEvaluatorOfAllVehicles(routing.RegisterTransitMatrix(legs))
    routing.SetFixedCostOfAllVehicles(FIXED)
    horizon = int(problem.latest[0] * SCALE)
    routing.AddDimension(routing.RegisterTransitMatrix(times), horizon, horizon, False, "time")
    routing.AddDimension(
        routing.RegisterUnaryTransitVector(problem.demand.astype(int).tolist()), 0, int(problem.capacity), True, "load"
    )
    time, solver = routing.GetDimensionOrDie("time"), routing.solver()
    for node in range(1, nodes):
        window = (math.ceil(problem.earliest[node] * SCALE), int(problem.latest[node] * SCALE))
        time.CumulVar(manager.NodeToIndex(node)).SetRange(*window)
    for pair in problem.pairs.tolist():
        p, d = (manager.NodeToIndex(node) for node in pair)
        routing.AddPickupAndDelivery(p, d)
        solver.Add(routing.VehicleVar(p) == routing.VehicleVar(d))
        solver.Add(time.CumulVar(p) <= time.CumulVar(d))
    parameters = pywrapcp.DefaultRoutingSearchParameters()
    parameters.first_solution_strategy = routing_enums_pb2.FirstSolutionStrategy.PARALLEL_CHEAPEST_INSERTION
    parameters.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    parameters.time_limit.FromMilliseconds(round(seconds * 1000))
    found: Any = routing.SolveWithParameters(parameters)
    routes = []
    for vehicle in range(fleet if found else 0):
        route, index = [], found.Value(routing.NextVar(routing.Start(vehicle)))
        while not routing.IsEnd(index):
            route.append(manager.IndexToNode(index))
            index = found.Value(routing.NextVar(index))
        if route:
            routes.append(route)
    return routes


if __name__ == "__main__":
    sys.exit(main())
