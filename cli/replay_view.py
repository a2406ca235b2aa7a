"""`aislewise validate --replay BAG`: our nodes run again on a recorded bag, judged by what the bag says they gave."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.replay import Outcome
    from sim.replay_compare import Comparison


def add_arguments(p: Any) -> None:
    group = p.add_argument_group("replay of a bag, instead of scenarios")
    group.add_argument("--replay", type=Path, metavar="BAG",
                       help="a run.mcap of ours, or a bag of ROS 2: its folder, .mcap or .db3")  # fmt: skip
    group.add_argument("--weights", default="", metavar="FILE", help="ONNX file of the network (default: the packaged one)")
    group.add_argument("--orders", type=Path, metavar="FILE", help="orders for the planner (default: those in the bag)")
    group.add_argument("--min-f1", type=float, default=0.95, metavar="F1", help="of detections (default %(default)s)")
    group.add_argument("--min-world-f1", type=float, default=0.9, metavar="F1",
                       help="of objects in the world (default %(default)s)")  # fmt: skip
    group.add_argument("--max-world-rmse", type=float, default=0.2, metavar="M",
                       help="of the positions of paired objects (default %(default)s)")  # fmt: skip


def run_replay(args: argparse.Namespace) -> int:
    from cli.ros import activate

    activate("always")  # lock step needs the in-process executor, also where ROS 2 is installed
    from aislewise.errors import InputError
    from sim.junit import write_junit
    from sim.replay import ReplayConfig
    from sim.replay_compare import ReplayLimits, compare, replay_gates
    from sim.replay_report import write_replay_report
    from sim.sweep import write_json

    limits = ReplayLimits(args.min_f1, args.min_world_f1, args.max_world_rmse)
    for name in ("orders", "weights"):
        if getattr(args, name) and not Path(getattr(args, name)).is_file():
            raise InputError(name, f"there is no file {getattr(args, name)}")
    for stale in ("results.json", "junit.xml", "report.html", "replay.png", "world.png"):
        (args.out / stale).unlink(missing_ok=True)
    outcome = play(args.replay, ReplayConfig(args.weights, args.orders, args.seed))
    comparison = compare(outcome.recorded, outcome.replayed, outcome.stamps, outcome.site)
    gates = replay_gates(comparison.figures, limits)
    result: dict[str, Any] = {
        "name": f"replay {args.replay.name}", "seed": outcome.seed, "ok": all(g["ok"] for g in gates.values()),
        "gates": gates, "metrics": metrics(outcome, comparison), "folder": ".",
    }  # fmt: skip
    args.out.mkdir(parents=True, exist_ok=True)
    answer = {"ok": result["ok"], "scenarios": [result]}
    write_json(args.out / "results.json", answer)
    write_replay_report(result, outcome, comparison, args.out / "report.html")
    write_junit([result], args.out)
    if args.json:
        Path(args.json).write_text(json.dumps(answer, indent=1, default=float) + "\n")
    print_summary(result, args.out)
    return 0 if result["ok"] else 1


def play(path: Path, config: Any) -> Outcome:
    """With progress: on a terminal a bar, in a log a line each quarter."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from sim.replay import replay

    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn())
    quarter = 0
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"replay {path.name}", total=None, state="reading")

        def progress(done_s: float, total_s: float, messages: int) -> None:
            nonlocal quarter
            state = f"{done_s:.0f} of {total_s:.0f} s, {messages} messages"
            bar.update(task, total=total_s, completed=done_s, state=state)
            if not console.is_terminal and total_s > 0 and done_s >= (quarter + 1) * total_s / 4:
                quarter = int(4 * done_s / total_s)
                print(state, flush=True)

        return replay(path, config, progress)


def metrics(outcome: Outcome, comparison: Comparison) -> dict[str, Any]:
    """What results.json holds of a replay; docs/metrics.md says what each means."""
    from sim.replay_compare import latencies

    inputs = outcome.inputs
    return {
        **comparison.figures,
        **latencies(outcome.recorded, outcome.fusion_ms, outcome.plan_ms, outcome.clock != "stamps"),
        "robots": len(inputs.robots), "robots_sensing": [r.name for r in inputs.sensing], "not_replayed": inputs.gaps,
        "clock": outcome.clock, "orders": outcome.orders, "planner_restarts": outcome.planner_restarts,
        "recorded_version": outcome.about.get("version", "unknown"),
        "messages": outcome.messages, "sim_s": round(outcome.span_s, 3), "wall_s": round(outcome.wall_s, 2),
    }  # fmt: skip


def print_summary(result: dict[str, Any], out: Path) -> None:
    from sim.sweep import shown

    m = result["metrics"]
    print(f"{m['messages']} messages, {m['sim_s']:.0f} s, time from {m['clock']}, orders: {m['orders']}")
    for gap in m["not_replayed"]:
        print(f"not replayed: {gap}")
    if "detections" in m:
        d = m["detections"]
        print(f"detections: {d['frames']} frames, {d['frames_identical']} identical, precision {d['precision']:.4f}, "
              f"recall {d['recall']:.4f}, {d['mean_m']:.3f} m apart")  # fmt: skip
    if "world" in m:
        w = m["world"]
        print(f"world: {w['states']} states, F1 {w['f1']:.4f}, RMSE {w['rmse_m']:.3f} m, "
              f"{w['count_difference_mean']:+.2f} objects")  # fmt: skip
    if "occupancy" in m:
        print(f"occupancy: {m['occupancy']['agreement']:.4f} of the known cells agree")
    if "instructions" in m:
        print(f"instructions: {m['instructions']['equal']} of {m['instructions']['recorded']} equal")
    if "plans" in m:
        p = m["plans"]
        print(f"plans (open loop): {p['plans']} plans, tasks equal {p['tasks_equal']:.4f}, routes equal "
              f"{p['routes_equal']:.4f}, {p['route_gap_m']:.2f} m apart, {m['planner_restarts']} restarts")  # fmt: skip
    for name, gate in result["gates"].items():
        print(f"gate {name}: {'pass' if gate['ok'] else 'FAIL'}  {shown(gate['value'])} (limit {shown(gate['limit'])})")
    print("PASS" if result["ok"] else "FAIL", f"see {out}")
