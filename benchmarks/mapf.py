"""One-shot path finding on a public warehouse map: cost over the sum of shortest paths, a lower bound.

    python -m benchmarks.mapf [--data ../shared/data/mapf] [--time-limit 10] [--json FILE]

warehouse-10-20-10-2-1 with 50, 200 and 500 agents of its first random scenario; every plan passes the
independent checker.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cli.main import main as aislewise

NAME = "warehouse-10-20-10-2-1"
AGENTS = (50, 200, 500)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mapf"))
    parser.add_argument("--time-limit", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    grid, scenario = args.data / f"{NAME}.map", args.data / f"{NAME}-random-1.scen"
    if not scenario.is_file():
        print(f"no {scenario}", file=sys.stderr)
        return 0
    results, codes = [], []
    with tempfile.TemporaryDirectory() as folder:
        for agents in AGENTS:
            out = Path(folder) / "result.json"
            command = ["bench", "mapf", grid, scenario, "-n", agents, "--time-limit", args.time_limit, "--json", out]
            codes.append(aislewise([str(part) for part in command]))
            results.append(json.loads(out.read_text()))
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
