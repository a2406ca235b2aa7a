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
    live = p.add_argument_group("nodes that run elsewhere (ROS 2, or pocketros over DDS)")
    live.add_argument("--live", action="store_true", help="simulate and judge here, meet the nodes on the ROS graph")
    live.add_argument("--connect", default="tcp://127.0.0.1:5570", help="their planning service (default %(default)s)")
    live.add_argument("--patience", type=float, default=60.0, help="seconds they may take to appear")
    live.add_argument("--rate", type=float, default=1.0, help="simulated over wall seconds (default %(default)s)")
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
        command += ["--connect", args.connect, "--rate", str(args.rate), "--patience", str(args.patience), *(["--live"] if args.live else [])]
        if args.seed is not None:
            command += ["--seed", str(args.seed)]
        result.unlink(missing_ok=True)
        code = subprocess.run(command, check=False).returncode
        if not result.exists():
            return {"name": name, "seed": args.seed, "ok": False, "gates": {}, "metrics": {}, "exit": code}
        return json.loads(result.read_text())["scenarios"][0]
    scenario = load_scenario(name)
    if args.seed is not None:
        scenario = dataclasses.replace(scenario, seed=args.seed)
    if args.live:
        metrics = run_live(scenario, args)
    else:
        from cli.demo import run_shift

        metrics = run_shift(scenario, args.out / scenario.name)
    kept = {k: v for k, v in metrics.items() if k not in ("gates", "ok")}
    return {
        "name": scenario.name, "seed": scenario.seed, "ok": metrics["ok"], "gates": metrics["gates"], "metrics": kept,
    }


def run_live(scenario: Any, args: argparse.Namespace) -> dict[str, Any]:
    """The genuine rclpy where it is installed, else pocketros over DDS: nodes in one process need no --live."""
    import os

    from aislewise.clock import to_s
    from aislewise.errors import InputError
    from cli.ros import activate

    if not 0.01 <= args.rate <= 100.0:
        raise InputError("rate", f"{args.rate}", "[0.01, 100]")
    if activate() == "pocketros":
        os.environ.setdefault("POCKETROS_TRANSPORT", "dds")
    from sim.live import LiveConfig, LiveShift

    lines = 0

    def progress(shift: LiveShift) -> None:
        nonlocal lines
        lines += 1
        if lines % 10 and not sys.stdout.isatty():  # a log gets a line each ten seconds
            return
        done = sum(r.state.final for r in shift.records)
        print(
            f"t={to_s(shift.world.now_ns):5.0f} s  orders {done}/{len(shift.records)}  "
            f"collisions {len(shift.world.collisions)}", end="\r" if sys.stdout.isatty() else "\n", flush=True,
        )  # fmt: skip

    metrics = LiveShift(scenario, LiveConfig(args.connect, args.rate, args.patience)).run(progress)
    out = args.out / scenario.name
    out.mkdir(parents=True, exist_ok=True)
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1, default=float) + "\n")
    for name, gate in metrics["gates"].items():
        print(f"gate {name}: {'pass' if gate['ok'] else 'FAIL'}  {gate['value']} (limit {gate['limit']})")
    return metrics
