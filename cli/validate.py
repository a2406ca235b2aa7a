"""`aislewise validate`: run scenario files in the closed loop and judge each by its gates.

One scenario runs here and now. Several scenarios, or several seeds (`--seeds`), are a sweep: each run in a process of
its own, `--workers` at once. A sweep that was broken off goes on where it was. With `--ablate` each scenario also runs
without parts of the stack, and must get worse for each: else it is too easy. In --out are then results.json,
junit.xml (for CI systems), report.html, and a folder per scenario and seed. With `--replay` no world is simulated:
the nodes run again on a recorded bag and are judged by the outputs in it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.sweep import Job, Start

RAY = "ray"


def add(subparsers: Any) -> None:
    from cli.replay_view import add_arguments

    p = subparsers.add_parser("validate", help="run scenario files and judge them", description=__doc__)
    p.add_argument("scenario", nargs="*", help="scenario YAML files, or names of packaged scenarios")
    p.add_argument("--seed", type=int, default=None, help="the first seed, instead of the scenario's own")
    p.add_argument("--out", type=Path, default=Path("out/validate"), help="folder for results (default %(default)s)")
    p.add_argument("--json", metavar="FILE", help="write {ok, scenarios: [...]} there as well")
    p.add_argument("--record-sensors", choices=("one", "all"), default="one",
                   help="raw sensors in the recording: of the first robot, or of every one (about 1 MB/s each)")  # fmt: skip
    sweep = p.add_argument_group("sweeps")
    sweep.add_argument("--seeds", type=int, metavar="N", help="run each scenario with N seeds: the first, +1, +2...")
    sweep.add_argument("--workers", type=workers, default=1, metavar="N",
                       help="runs at once, about 1 GB each (default 1); `ray`: as many as a Ray cluster has cores, that of "
                       "RAY_ADDRESS or one of this machine")  # fmt: skip
    sweep.add_argument("--fresh", action="store_true", help="run again what is finished")
    sweep.add_argument("--keep-recordings", action="store_true", help="of passed runs too (else of failed ones)")
    sweep.add_argument("--time-limit", type=float, metavar="S",
                       help="wall seconds after which a run counts as hung (default: by the scenario, generous)")  # fmt: skip
    sweep.add_argument("--ablate", type=str, metavar="PART,...",
                       help="also run without camera, lidar, words, tracking or replanning, or `all`: one run for each")  # fmt: skip
    live = p.add_argument_group("nodes that run elsewhere (ROS 2, or pocketros over DDS)")
    live.add_argument("--live", action="store_true", help="simulate and judge here, meet the nodes on the ROS graph")
    live.add_argument("--connect", default="tcp://127.0.0.1:5570", help="their planning service (default %(default)s)")
    live.add_argument("--patience", type=float, default=60.0, help="seconds they may take to appear")
    live.add_argument("--rate", type=float, default=1.0, help="simulated over wall seconds (default %(default)s)")
    add_arguments(p)
    p.add_argument("--into", type=Path, help=argparse.SUPPRESS)  # a run of a sweep: its own folder
    p.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from aislewise.errors import InputError
    from sim.ablation import parse_ablations
    from sim.sweep import Stopped, plan

    if (args.replay is None) == (not args.scenario):
        raise InputError("scenario", "give scenarios, or --replay and no scenario")
    if args.replay is not None:
        from cli.replay_view import run_replay

        return run_replay(args)
    if not 0.01 <= args.rate <= 100.0:
        raise InputError("rate", f"{args.rate}", "[0.01, 100]")
    if args.live and args.workers != 1:
        raise InputError("workers", f"{args.workers} with --live: there is one fleet to meet", "1")
    parts = parse_ablations(args.ablate) if args.ablate is not None else ()
    if args.live and parts:
        raise InputError("ablate", "nodes that run elsewhere cannot be left out from here", "no --live")
    jobs = plan(args.scenario, 1 if args.seeds is None else args.seeds, args.seed, args.out, args.time_limit, parts)
    if args.into is not None:
        return run_into(jobs[-1], args)
    for stale in ("results.json", "junit.xml", "report.html"):
        (args.out / stale).unlink(missing_ok=True)
    if len(jobs) == 1 and args.seeds is None and args.workers != RAY:
        folder = args.out / jobs[0].name
        results = [{**run_one(jobs[0], folder, args), "folder": jobs[0].name}]
    else:
        try:
            results = run_sweep(jobs, args)
        except Stopped as stop:
            print(f"stopped: {stop.done} of {len(jobs)} runs are finished; the same command goes on", file=sys.stderr)
            return 128 + stop.number
    return finish(results, args)


def run_one(job: Job, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """In this process."""
    from aislewise.errors import InputError
    from sim.scenario import load_scenario
    from sim.sweep import variant

    scenario = variant(load_scenario(job.source), job.seed, job.ablate)
    if args.live and scenario.ablate:
        raise InputError("ablate", "nodes that run elsewhere cannot be left out from here", "no --live")
    if args.live:
        metrics = run_live(scenario, folder, args)
    else:
        from cli.demo import run_shift

        metrics = run_shift(scenario, folder, all_sensors=args.record_sensors == "all")
    kept = {k: v for k, v in metrics.items() if k not in ("gates", "ok")}
    return {
        "name": scenario.name, "seed": scenario.seed, "ok": metrics["ok"], "gates": metrics["gates"], "metrics": kept,
    }


def run_into(job: Job, args: argparse.Namespace) -> int:
    """What a sweep starts: one run, whose result lies in its folder when it is complete. Of a run that goes without a
    part the figures count, not the gates."""
    from sim.sweep import save_result
    from sim.sweep_process import follow_sweep

    follow_sweep()
    result = run_one(job, args.into, args)
    if job.ablate:
        result |= {"ok": True, "gates": {}, "ablate": job.ablate}
    save_result(args.into, {**result, "fingerprint": job.fingerprint})
    return 0 if result["ok"] else 1


def workers(text: str) -> int | str:
    """For argparse: a number, or RAY."""
    return RAY if text == RAY else int(text)


@contextmanager
def starter(args: argparse.Namespace) -> Iterator[Start]:
    """What starts the runs of a sweep: processes here, or on a Ray cluster."""
    from sim.sweep import start_process

    if args.workers != RAY:
        yield start_process
        return
    from sim.sweep_ray import RayCluster

    with RayCluster() as cluster:
        yield cluster.start


def run_sweep(jobs: list[Job], args: argparse.Namespace) -> list[dict[str, Any]]:
    """The results in the order of the jobs, those of ablations folded into those of the full runs."""
    from cli.sweep_view import View
    from sim.ablation import fold
    from sim.sweep import MAX_WORKERS, Sweep
    from sim.sweep_report import write_sweep_report

    def command(job: Job) -> list[str]:
        words = [sys.executable, "-m", "cli.main", "validate", job.source, "--seed", str(job.seed)]
        words += ["--into", str(job.folder), "--connect", args.connect, "--rate", str(args.rate)]
        words += ["--record-sensors", args.record_sensors]
        words += ["--ablate", job.ablate] if job.ablate else []
        return [*words, "--patience", str(args.patience), *(["--live"] if args.live else [])]

    with View(len(jobs)) as view, starter(args) as start:
        sweep = Sweep(jobs, command, MAX_WORKERS if args.workers == RAY else args.workers, view, args.keep_recordings, start)
        results = fold(sweep.run(fresh=args.fresh or args.live))  # what runs elsewhere may have changed
    write_sweep_report(results, args.out)
    return results


def finish(results: list[dict[str, Any]], args: argparse.Namespace) -> int:
    """Write what programs read, and say how it went."""
    from sim.junit import write_junit
    from sim.sweep import write_json

    ok = all(r["ok"] for r in results)
    shown = [{k: v for k, v in r.items() if k != "fingerprint"} for r in results]
    write_json(args.out / "results.json", {"ok": ok, "scenarios": shown})
    write_junit(results, args.out)
    if args.json:
        Path(args.json).write_text(json.dumps({"ok": ok, "scenarios": shown}, indent=1, default=float) + "\n")
    print("PASS" if ok else "FAIL", f"({sum(r['ok'] for r in results)} of {len(results)} runs); see {args.out}")
    return 0 if ok else 1


def run_live(scenario: Any, out: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The genuine rclpy where it is installed, else pocketros over DDS: nodes in one process need no --live."""
    import os

    from aislewise.clock import to_s
    from cli.ros import activate

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
    out.mkdir(parents=True, exist_ok=True)
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1, default=float) + "\n")
    for name, gate in metrics["gates"].items():
        print(f"gate {name}: {'pass' if gate['ok'] else 'FAIL'}  {gate['value']} (limit {gate['limit']})")
    return metrics
