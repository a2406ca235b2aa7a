"""How fast whole shifts are simulated, planned and judged, at both fidelities, and what memory they take.

    python -m benchmarks.fleet_speed [--robots 10 100 1000] [--seconds 60] [--json F]
    python -m benchmarks.fleet_speed --soak 24 --robots 100

Each shift runs in a process of its own with everything the closed loop has: physics, sensors or their error model, the
network (at sensor fidelity), tracking, planner, planning service and its client. The first seconds are not counted: all
orders of the beginning arrive at once and kernels are compiled. --soak: one shift of so many simulated hours, its memory
every half hour.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIDES = {10: (30, 30), 100: (90, 60), 1000: (150, 100)}
"""Width and height of the hall, m, by robots: the density of large sites."""
WARM_S = 10.0


def scenario(robots: int, sensor: bool, duration_s: float, orders: int) -> Any:
    """A fulfilment hall with so many robots; orders come evenly until the end."""
    from sim.scenario import scenario_from

    width, height = SIDES.get(robots, SIDES[1000] if robots > 100 else SIDES[100] if robots > 10 else SIDES[10])
    docks = 64 if robots > 100 or (sensor and robots > 40) else 32 if robots > 10 else 8
    return scenario_from({
        "name": f"fleet_{robots}", "duration_s": duration_s, "robots": robots, "orders": orders, "release_s": duration_s,
        "people": max(2, robots // 80), "forklifts": 1, "slotting_m": 20.0, "demand": {"profile": "even"},
        "warehouse": {"layout": "fulfilment", "width": width, "height": height, "stations": 64 if robots > 100 else 16 if robots > 10 else 8, "chargers": docks, "parking": docks},
        **({} if sensor else {"fidelity": {"sensor": 0, "object_hz": 0.2, "state_hz": 1.0, "plan_s": 1.0}}),
    })  # fmt: skip


def run_one(robots: int, sensor: bool, seconds: float, soak_h: float) -> dict[str, Any]:
    """One shift in this process."""
    from cli.ros import activate

    activate()
    from sim.shift import Shift, peak_memory_mb

    warm_s = 1.0 if sensor and robots > 10 else WARM_S
    length_s = soak_h * 3600.0 if soak_h else warm_s + seconds
    orders = max(4, round(length_s * robots / 600.0))
    shift = Shift(scenario(robots, sensor, length_s, orders), Path(tempfile.mkdtemp()), record=False)
    marks: list[tuple[float, float, float]] = []
    every_s = 1800.0 if soak_h else warm_s

    def note(s: Any) -> None:
        t = s.world.now_ns / 1e9
        if not marks or t >= marks[-1][0] + every_s:
            marks.append((t, time.perf_counter(), resident_mb()))
            if soak_h:
                print(f"{t / 3600:5.1f} h  {marks[-1][2]:.0f} MB  {s.counts()[0]} orders final", file=sys.stderr, flush=True)

    note_from = [warm_s]

    def progress(s: Any) -> None:
        if s.world.now_ns / 1e9 >= note_from[0]:
            note(s)

    metrics = shift.run(progress)
    t0, wall0, _ = marks[0]
    wall_s = time.perf_counter() - wall0
    simulated_s = shift.world.now_ns / 1e9 - t0
    return {
        "robots": robots, "fidelity": "sensor" if sensor else "object", "simulated_s": round(simulated_s, 1),
        "realtime": round(simulated_s / wall_s, 3), "robot_s_per_wall_s": round(robots * simulated_s / wall_s, 1),
        "peak_mb": peak_memory_mb(shift.sim.workers), "collisions": metrics["collisions"],
        "plan_ms": metrics["plan_latency_ms"], "orders_done": metrics["orders_done"], "orders": metrics["orders_submitted"],
        "memory": [(round(t), round(mb, 1)) for t, _, mb in marks] if soak_h else [],
    }  # fmt: skip


def resident_mb() -> float:
    """Of this process, now (Linux)."""
    import os

    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--robots", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--seconds", type=float, default=60.0, help="simulated, after the first (default %(default)s)")
    parser.add_argument("--soak", type=float, default=0.0, metavar="HOURS", help="one long shift of object fidelity")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", choices=("sensor", "object"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(run_one(args.robots[0], args.one == "sensor", args.seconds, args.soak)))
        return 0
    rows = []
    for robots in args.robots:
        for kind in ("object",) if args.soak or robots > 100 else ("sensor", "object"):
            seconds = min(args.seconds, 4.0) if kind == "sensor" and robots > 10 else args.seconds
            rows.append(measured(robots, kind, seconds, args.soak))
            r = rows[-1]
            print(
                f"{robots:5d} robots, {kind:6s}: {r['realtime']:8.2f}x real time, {r['robot_s_per_wall_s']:8.0f} robot-seconds"
                f" a second, plan p50 {r['plan_ms']['p50']:.0f} ms, {r['peak_mb']:.0f} MB, {r['collisions']} collisions", flush=True,
            )  # fmt: skip
            if args.soak:
                print("memory, MB: " + ", ".join(f"{t / 3600:.1f} h {mb:.0f}" for t, mb in r["memory"]))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


def measured(robots: int, kind: str, seconds: float, soak_h: float) -> dict[str, Any]:
    """One shift in a process of its own."""
    words = ["--one", kind, "--robots", str(robots), "--seconds", str(seconds), "--soak", str(soak_h)]
    done = subprocess.run([sys.executable, "-m", "benchmarks.fleet_speed", *words], stdout=subprocess.PIPE, text=True, check=True)
    out: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return out


if __name__ == "__main__":
    raise SystemExit(main())
