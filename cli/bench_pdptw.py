"""`aislewise bench pdptw`: pickup and delivery with time windows, each file under a limit of CPU time.

Li & Lim and Sartori & Buriol files. Kernels are compiled, or loaded, before the clock starts (compile_s). Reading,
searching and writing are one thread; the limit covers the search. Every solution is judged by the independent checker
from the files as written. Best known values are taken from beside the files (best_known/, bks.dat) where there are
any.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any


def add(kinds: Any) -> None:
    p = kinds.add_parser("pdptw", help="pickup and delivery with time windows: fewest vehicles, then distance", description=__doc__)
    p.add_argument("files", type=Path, nargs="+", metavar="FILE", help="instances (Li & Lim, Sartori & Buriol)")
    p.add_argument("--cpu-limit", type=float, default=10.0, metavar="S", help="CPU seconds per instance")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--solutions", type=Path, metavar="DIR", help="solution files in the SINTEF format, DIR/NAME.txt")
    p.add_argument("--json", type=Path, metavar="FILE")
    p.set_defaults(func=pdptw)


def pdptw(args: argparse.Namespace) -> int:
    """Exit status 1 unless every solution passes the checker."""
    from aislewise.errors import InputError
    from planning.pdptw import warm_up
    from planning.pdptw_files import best_known, read_problem

    if not args.cpu_limit > 0:
        raise InputError("cpu-limit", f"{args.cpu_limit}", "more than 0")
    names = [file.stem for file in args.files]
    if len(set(names)) < len(names):
        raise InputError("files", "two have the same name, and so would their solutions")
    problems = [read_problem(file) for file in args.files]
    known = best_known(args.files)
    begin = time.perf_counter()
    warm_up()
    compile_s = round(time.perf_counter() - begin, 2)
    rows = []
    with tempfile.TemporaryDirectory() as passing:
        folder = args.solutions or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        for file, problem in zip(args.files, problems, strict=True):
            rows.append(_one(file, problem, folder, known.get(file.stem), args))
            print(_line(rows[-1]), flush=True)
    result = _summary(rows) | {"cpu_limit_s": args.cpu_limit, "seed": args.seed, "compile_s": compile_s}
    for name, value in result.items():
        print(f"{name:22s} {value}")
    if args.json:
        args.json.write_text(json.dumps(result | {"instances": rows}, indent=1) + "\n")
    return 0 if result["valid"] else 1


def _one(file: Path, problem: Any, folder: Path, best: Any, args: argparse.Namespace) -> dict[str, Any]:
    from planning.pdptw import Effort, solve
    from planning.pdptw_check import check_files
    from planning.pdptw_files import write_solution

    cpu, wall = time.process_time(), time.perf_counter()
    found = solve(problem, Effort(args.cpu_limit), seed=args.seed)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    out = folder / f"{file.stem}.txt"
    write_solution(out, file.stem, found.routes)
    verdict = check_files(file, out)
    for fault in verdict.faults[:10]:
        print(f"{file.stem}: {fault}")
    row: dict[str, Any] = {
        "instance": file.stem, "vehicles": verdict.vehicles, "distance": round(verdict.distance, 4),
        "valid": verdict.valid, "cpu_s": round(cpu, 3), "wall_s": round(wall, 3), "rounds": found.rounds,
        "left_out": list(found.left_out),
    }  # fmt: skip
    if best is not None:
        row |= {"best_vehicles": best.vehicles, "best_distance": best.distance}
        row["vehicles_over_best"] = verdict.vehicles - best.vehicles
        if verdict.vehicles == best.vehicles:
            row["distance_gap"] = round(verdict.distance / best.distance - 1, 6)
    return row


def _line(row: dict[str, Any]) -> str:
    text = f"{row['instance']:14s} {row['vehicles']:4d} vehicles {row['distance']:12.2f}  {row['cpu_s']:7.2f} s"
    if "best_vehicles" in row:
        text += f"   best known {row['best_vehicles']:4d} {row['best_distance']:12.2f}"
    if "distance_gap" in row:
        text += f"  {100 * row['distance_gap']:+.2f}%"
    return text if row["valid"] else text + "  NOT VALID"


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """distance_gap: mean and largest over the instances with as many vehicles as the best known."""
    over = [row["vehicles_over_best"] for row in rows if "vehicles_over_best" in row]
    gaps = [row["distance_gap"] for row in rows if "distance_gap" in row]
    return {
        "valid": all(row["valid"] for row in rows), "files": len(rows), "with_best_known": len(over),
        "vehicles_over_best": round(sum(over) / len(over), 4) if over else None,
        "distance_gap": round(sum(gaps) / len(gaps), 6) if gaps else None,
        "distance_gap_largest": max(gaps, default=None), "same_vehicles": len(gaps),
    }  # fmt: skip
