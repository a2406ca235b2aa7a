"""`aislewise validate`: run scenario files in the closed loop and judge each by its gates."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def add(subparsers: Any) -> None:
    p = subparsers.add_parser("validate", help="run scenario files and judge them", description=__doc__)
    p.add_argument("scenario", nargs="+", help="scenario YAML files, or names of packaged scenarios")
    p.add_argument("--seed", type=int, default=None, help="instead of the scenario's own")
    p.add_argument("--out", type=Path, default=Path("out/validate"))
    p.add_argument("--json", metavar="FILE", help="write {ok, scenarios: [...]} there")
    p.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Several scenarios run one after the other, each in a fresh process: one cannot spoil the next."""
    from sim.scenario import load_scenario

    for name in args.scenario:
        load_scenario(name)  # a bad file is reported before an hour of simulation, not after
    results = [run_one(name, args) for name in args.scenario]
    ok = all(r["ok"] for r in results)
    if args.json:
        Path(args.json).write_text(json.dumps({"ok": ok, "scenarios": results}, indent=1, default=float) + "\n")
    print("PASS" if ok else "FAIL", f"({sum(r['ok'] for r in results)} of {len(results)} scenarios)")
    return 0 if ok else 1


def run_one(name: str, args: argparse.Namespace) -> dict[str, Any]:
    import dataclasses

    from sim.scenario import load_scenario

    if len(args.scenario) > 1:
        out = args.out / Path(name).stem
        out.mkdir(parents=True, exist_ok=True)
        result = out / "result.json"
        command = [sys.executable, "-m", "cli.main", "validate", name, "--out", str(args.out), "--json", str(result)]
        if args.seed is not None:
            command += ["--seed", str(args.seed)]
        result.unlink(missing_ok=True)
        code = subprocess.run(command, check=False).returncode
        if not result.exists():
            return {"name": name, "seed": args.seed, "ok": False, "gates": {}, "metrics": {}, "exit": code}
        return json.loads(result.read_text())["scenarios"][0]
    from cli.demo import run_shift

    scenario = load_scenario(name)
    if args.seed is not None:
        scenario = dataclasses.replace(scenario, seed=args.seed)
    metrics = run_shift(scenario, args.out / scenario.name)
    kept = {k: v for k, v in metrics.items() if k not in ("gates", "ok")}
    return {
        "name": scenario.name, "seed": scenario.seed, "ok": metrics["ok"], "gates": metrics["gates"], "metrics": kept,
    }
