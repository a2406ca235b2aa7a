"""A stand-in for the runs of a sweep, for tests of scheduling, resuming and reports without any simulation."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from sim.sweep import Job, Result, Start, Sweep, plan, start_process

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 60.0

# A run in place of the simulation. What it is to do stands in plan.json beside the sweep's folder.
RUNNER = """
import json, os, signal, subprocess, sys, time
from pathlib import Path

folder, name, seed, fingerprint = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
base = Path(sys.argv[5])
act = json.loads((base / "plan.json").read_text()).get(f"{name}/{seed}", "pass")
with (base / "begun.txt").open("a") as file:
    file.write(f"{name}/{seed} {os.getpid()}\\n")
print("t=   1 s  orders 0/2", flush=True)
if act == "crash":
    sys.exit("RuntimeError: out of paper")
if act == "kill":
    os.kill(os.getpid(), signal.SIGSEGV)
if act in ("hang", "deaf"):
    if act == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the child inherits it
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    (base / f"child_{name}_{seed}.txt").write_text(str(child.pid))
    time.sleep(300)
if act == "follow":
    from sim.sweep_process import follow_sweep
    follow_sweep()
    (base / "following.txt").write_text(str(os.getpid()))
    time.sleep(300)
if act == "slow":
    time.sleep(0.5)
ok = act != "fail"
(folder / "run.mcap").write_bytes(b"recording")
(folder / "report.html").write_text("page")
result = {
    "name": name, "seed": seed, "ok": ok, "gates": {"orders_done": {"value": 2 if ok else 1, "limit": 2, "ok": ok}},
    "metrics": {"wall_s": 1.5, "picks_per_hour": 100.0 + seed}, "fingerprint": fingerprint,
}
(folder / "result.json").write_text(json.dumps(result))
sys.exit({"pass": 0, "slow": 0, "fail": 1, "late": 3}[act])
"""


class Bench:
    """A folder with scenarios and the stand-in; `begun` lists the runs that were really started."""

    def __init__(self, folder: Path, prepare: bool = True, start: Start = start_process) -> None:
        self.folder, self.out, self.start = folder, folder / "out", start
        if not prepare:
            return
        (folder / "runner.py").write_text(RUNNER)
        self.act({})

    def act(self, acts: dict[str, str]) -> None:
        (self.folder / "plan.json").write_text(json.dumps(acts))

    def scenario(self, name: str, **fields: Any) -> str:
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps({"name": name, **fields}))
        return str(path)

    def jobs(self, *names: str, seeds: int = 2, limit_s: float = PATIENCE_S, **fields: Any) -> list[Job]:
        return plan([self.scenario(n, **fields) for n in names], seeds, None, self.out, limit_s)

    def command(self, job: Job) -> list[str]:
        arguments = [str(job.folder), job.name, str(job.seed), job.fingerprint, str(self.folder)]
        return [sys.executable, str(self.folder / "runner.py"), *arguments]

    def run(self, jobs: list[Job], fresh: bool = False, **options: Any) -> list[Result]:
        return Sweep(jobs, self.command, **{"start": self.start, **options}).run(fresh)

    @property
    def begun(self) -> list[str]:
        path = self.folder / "begun.txt"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def wait_until(what: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)
