"""One-shot path finding on public warehouse maps: cost over the sum of shortest paths, a lower bound.

    python -m benchmarks.mapf [--data ../shared/data/mapf] [--threads 2] [--seed 1] [--only N] [--json FILE]

warehouse-10-20-10-2-1 with 200 and 500 agents in 20 s and 1,000 in 30 s, warehouse-20-40-10-2-2 with 1,000 in 30 s and
10,000 in 15 s. Starts and goals are drawn with --seed, no cell twice; every plan passes the independent checker.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cli.main import main as aislewise
from planning.distance import largest_component
from planning.movingai import read_map

ROWS = (
    ("warehouse-10-20-10-2-1", 200, 20.0),
    ("warehouse-10-20-10-2-1", 500, 20.0),
    ("warehouse-10-20-10-2-1", 1000, 30.0),
    ("warehouse-20-40-10-2-2", 1000, 30.0),
    ("warehouse-20-40-10-2-2", 10000, 15.0),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mapf"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1, help="of the starts and goals")
    parser.add_argument("--only", type=int, help="the row of that number, from 1")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results, codes = [], [0]
    with tempfile.TemporaryDirectory() as folder:
        for name, agents, limit in ROWS if args.only is None else ROWS[args.only - 1 : args.only]:
            grid = args.data / f"{name}.map"
            if not grid.is_file():
                print(f"no {grid}", file=sys.stderr)
                continue
            scenario, out = Path(folder) / "random.scen", Path(folder) / "result.json"
            scenario.write_text(draw(grid, agents, args.seed))
            command = ["bench", "mapf", grid, scenario, "-n", agents, "--time-limit", limit, "--threads", args.threads]
            codes.append(aislewise([str(part) for part in [*command, "--json", out]]))
            results.append({"map": name, "time_limit_s": limit, **json.loads(out.read_text())})
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    return max(codes)


def draw(grid: Path, agents: int, seed: int) -> str:
    """A movingai scenario of that many agents between random cells of the largest part of the map."""
    free = read_map(grid)
    height, width = free.shape
    cells = np.flatnonzero(largest_component(free).ravel()).tolist()
    lot = random.Random(seed)
    starts, goals = lot.sample(cells, agents), lot.sample(cells, agents)
    rows = [
        f"0\t{grid.name}\t{width}\t{height}\t{s % width}\t{s // width}\t{g % width}\t{g // width}\t0"
        for s, g in zip(starts, goals, strict=True)
    ]
    return "\n".join(["version 1", *rows]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
