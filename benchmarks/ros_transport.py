"""Round trip, throughput, losses and CPU of the transports, side by side in one run.

    python -m benchmarks.ros_transport [--seconds S] [--only NAME ...] [--ros-python PATH] [--json FILE]

Runtimes: pocketros in process and over DDS; the genuine rclpy, where `--ros-python` (default: this
interpreter) can import it, with the environment that was sourced; the PyPI package rosless, where it is
installed (topics only). Each pair but the in-process one is two processes on this machine. Runtimes take
turns within each message kind, so that a slow moment of the machine meets all of them.

- round trip: one message at a time out and back; half of the distribution's value is one way.
- throughput: reliable, as fast as the publisher can, until the receiver has counted all.
- 30 Hz: best effort (sensor data) for a few seconds; what arrived of what was sent.
- cpu: processor time of both processes per message of the round trip, start-up not counted.

Peers talk over the loopback interface where their settings allow it (ROS_AUTOMATIC_DISCOVERY_RANGE);
rosless always asks the network by multicast.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
KINDS = ("string", "image_1mb", "cloud_2mb")
RUNTIMES = ("inprocess", "dds", "rclpy", "rosless")
BASE = "rclpy"  # ratios are to this one where it is there, else to dds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="per measurement (default %(default)s)")
    parser.add_argument("--only", nargs="+", choices=RUNTIMES, default=list(RUNTIMES))
    parser.add_argument("--ros-python", default=sys.executable, help="interpreter that imports rclpy")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    runtimes = [name for name in args.only if available(name, args.ros_python)]
    result: dict[str, Any] = {"runtimes": runtimes, "runs": []}
    for kind in KINDS:
        for name in runtimes:
            figures = run(name, kind, args.seconds, args.ros_python)
            result["runs"].append({"runtime": name, "kind": kind} | figures)
            print(line(result["runs"][-1]), flush=True)
    result["ratios"] = ratios(result["runs"])
    for text, ratio in result["ratios"].items():
        print(f"{text}: {ratio:.2f}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def available(name: str, ros_python: str) -> bool:
    if name == "rosless":
        return importlib.util.find_spec("rosless") is not None
    if name == "dds":
        return importlib.util.find_spec("cyclonedds") is not None
    if name == "rclpy":
        return subprocess.run([ros_python, "-c", "import rclpy"], capture_output=True, check=False).returncode == 0
    return True


def run(name: str, kind: str, seconds: float, ros_python: str) -> dict[str, Any]:
    """One runtime, one kind of message: the process that measures prints its figures as JSON."""
    python = ros_python if name == "rclpy" else sys.executable
    environment = os.environ | {
        "POCKETROS": "never" if name == "rclpy" else "always",
        "POCKETROS_TRANSPORT": "inprocess" if name == "inprocess" else "dds",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", "")))),
    }
    script = [python, str(Path(__file__).with_name("_ros_transport_peer.py"))]
    echo = None
    if name != "inprocess":
        echo = subprocess.Popen([*script, "echo", name, kind, "0"], env=environment)
    try:
        pid = echo.pid if echo else os.getpid()
        done = subprocess.run(
            [*script, "ping", name, kind, str(seconds), str(pid)], env=environment, capture_output=True,
            text=True, timeout=60 + 10 * seconds, check=False,
        )
        if done.returncode:
            raise SystemExit(f"{name} {kind}: {done.stderr.strip()[-2000:]}")
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))
    finally:
        if echo is not None:
            echo.terminate()
            echo.wait(10)
        time.sleep(0.2)


def line(run: dict[str, Any]) -> str:
    return (
        f"{run['kind']:10} {run['runtime']:10} round trip {run['rtt_p50_ms']:7.3f} / {run['rtt_p99_ms']:7.3f} ms  "
        f"{run['messages_per_s']:8.0f} msg/s {run['megabytes_per_s']:7.0f} MB/s  30 Hz {run['at_30hz']}  "
        f"cpu {run['cpu_ms_per_message']:.3f} ms/msg"
    )


def ratios(runs: list[dict[str, Any]]) -> dict[str, float]:
    names = {run["runtime"] for run in runs}
    base = BASE if BASE in names else "dds"
    table = {(run["runtime"], run["kind"]): run for run in runs}
    found: dict[str, float] = {}
    for (name, kind), one in table.items():
        other = table.get((base, kind))
        if other is not None and name != base:
            for key in ("rtt_p50_ms", "rtt_p99_ms", "messages_per_s", "cpu_ms_per_message"):
                found[f"{kind} {key} {name}/{base}"] = one[key] / other[key]
    return found


if __name__ == "__main__":
    sys.exit(main())
