"""How well robots of object fidelity stand in for robots with sensors: the same shifts at both fidelities.

    python -m benchmarks.fidelity [SCENARIO:SEED ...] [--json F]

The error model was fitted to other seeds than these. A shift is chaotic: one look more or less sends robots another way,
so the figures of single shifts differ; over several they should agree.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

DEFAULT = ("shift:1", "crowded_people:1", "layout_mixed:1", "rush_hour:1")
FIGURES = ("orders_done", "sim_s", "order_time_p50_s", "waited_s", "false_blocked_s", "distance_m", "wall_s")


def run_one(name: str, seed: int, kind: str) -> dict[str, float]:
    """One shift in this process."""
    from cli.ros import activate

    activate()
    from sim.scenario import Fidelity, load_scenario
    from sim.shift import Shift

    scenario = dataclasses.replace(load_scenario(name), seed=seed)
    if kind == "object":
        scenario = dataclasses.replace(scenario, fidelity=Fidelity(sensor=0, object_hz=2.0, state_hz=5.0, plan_s=0.5))
    metrics = Shift(scenario, Path(tempfile.mkdtemp()), record=False).run()
    metrics["order_time_p50_s"] = metrics["order_time_s"]["p50"]
    return {figure: float(metrics[figure]) for figure in FIGURES}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shifts", nargs="*", default=DEFAULT, metavar="SCENARIO:SEED")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", choices=("sensor", "object"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        name, _, seed = args.shifts[0].partition(":")
        print(json.dumps(run_one(name, int(seed or 1), args.one)))
        return 0
    rows: dict[str, dict[str, dict[str, float]]] = {}
    print(f"{'shift':22s} {'fidelity':8s}" + "".join(f"{f:>18s}" for f in FIGURES))
    for shift in args.shifts:
        rows[shift] = {}
        for kind in ("sensor", "object"):
            rows[shift][kind] = r = measured(shift, kind)
            print(f"{shift:22s} {kind:8s}" + "".join(f"{r[f]:18.1f}" for f in FIGURES), flush=True)
    ratios = {f: [r["object"][f] / r["sensor"][f] for r in rows.values() if r["sensor"][f] > 0] for f in FIGURES}
    means = {f: float(np.exp(np.mean(np.log(np.maximum(v, 1e-9))))) for f, v in ratios.items() if v}
    print(f"{'object over sensor':31s}" + "".join(f"{means[f]:18.2f}" if f in means else f"{'':18s}" for f in FIGURES))
    if args.json:
        args.json.write_text(json.dumps({"shifts": rows, "ratios": means}, indent=1) + "\n")
    return 0


def measured(shift: str, kind: str) -> dict[str, Any]:
    """One shift in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.fidelity", shift, "--one", kind]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    out: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return out


if __name__ == "__main__":
    raise SystemExit(main())
