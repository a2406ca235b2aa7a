"""`aislewise demo`: one warehouse shift, from raw sensors and words to delivered picks."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aislewise.clock import to_s

if TYPE_CHECKING:
    from sim.shift import Shift


def add(subparsers: Any) -> None:
    p = subparsers.add_parser("demo", help="run one simulated warehouse shift", description=__doc__)
    p.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for metrics, report and recording")
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--robots", type=int, default=None)
    p.add_argument("--orders", type=int, default=None)
    p.add_argument("--json", metavar="FILE", help="write the metrics there as well")
    p.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from sim.scenario import load_scenario

    changes = {k: v for k in ("seed", "robots", "orders") if (v := getattr(args, k)) is not None}
    scenario = dataclasses.replace(load_scenario("shift"), **changes)
    metrics = run_shift(scenario, args.out)
    if args.json:
        Path(args.json).write_text(json.dumps(metrics, indent=1, default=float) + "\n")
    return 0 if metrics["ok"] else 1


def run_shift(scenario: Any, out: Path, report: bool = True, all_sensors: bool = False) -> dict[str, Any]:
    """Run a scenario with progress on the terminal; metrics, report and recording land in `out`."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from cli.ros import activate

    activate("always")  # lock step needs the in-process executor, also where ROS 2 is installed
    from sim.report import write_report
    from sim.shift import Shift, write_metrics
    from sim.tracks import save_tracks

    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"shift {scenario.name}", total=scenario.duration_s, state="starting")
        shift = Shift(scenario, out, all_sensors=all_sensors)

        def progress(shift: Shift) -> None:
            bar.update(task, completed=to_s(shift.world.now_ns), state=state_line(shift))
            if not console.is_terminal and shift.sim.ticks % 300 == 0:  # a log gets a line each half minute
                print(state_line(shift), flush=True)

        metrics = shift.run(progress)
    write_metrics(metrics, out / "metrics.json")
    save_tracks(out / "tracks.npz", shift.world.site, shift.observer.tracks, shift.watch.waits, shift.series())
    if report:
        write_report(shift, metrics, out / "report.html")
    print_summary(metrics, out, console)
    return metrics


def state_line(shift: Shift) -> str:
    final, known = shift.counts()
    return (
        f"t={to_s(shift.world.now_ns):5.0f} s  orders {final}/{known}  "
        f"collisions {len(shift.world.collisions)}"
    )


def print_summary(metrics: dict[str, Any], out: Path, console: Any) -> None:
    """The table a person reads at the end."""
    from rich.table import Table

    table = Table(title=f"shift {metrics['scenario']}, seed {metrics['seed']}", show_header=False)
    rows = {
        "orders done / final / submitted": f"{metrics['orders_done']} / {metrics['orders_final']} / {metrics['orders_submitted']}",
        "collisions": metrics["collisions"],
        "instruction": f"{metrics['instruction']['status']}, done: {metrics['instruction']['done']}",
        "picks per hour": metrics["picks_per_hour"],
        "order time p50 / p99": f"{metrics['order_time_s']['p50']} / {metrics['order_time_s']['p99']} s",
        "detection mAP in the loop": f"{metrics['detection_map']:.3f}" if metrics["frames"] else "no sensors simulated",
        "fusion latency p50 / p99": f"{metrics['fusion_latency_ms']['p50']} / {metrics['fusion_latency_ms']['p99']} ms",
        "plan latency p50 / p99": f"{metrics['plan_latency_ms']['p50']} / {metrics['plan_latency_ms']['p99']} ms",
        "simulated / wall time": f"{metrics['sim_s']} / {metrics['wall_s']} s ({metrics['realtime_factor']}x)",
        "peak memory": f"{metrics['peak_memory_mb']} MB",
        "sensors": f"{metrics['sensor_hz']} Hz per robot, {metrics['frames']} frames",
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    for name, gate in metrics["gates"].items():
        verdict = "[green]pass[/]" if gate["ok"] else "[red]FAIL[/]"
        table.add_row(f"gate {name}", f"{verdict}  {gate['value']} (limit {gate['limit']})")
    console.print(table)
    console.print(f"metrics.json, report.html and run.mcap are in {out}")
