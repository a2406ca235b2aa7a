"""A validation sweep: every scenario with every seed, each run in a process of its own, several at once.

A run leaves its result in a file of its own, written in one step, so that a sweep that was killed goes on where it
was. What a run does is none of this file's business: it gets a command and reads the result.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aislewise import __version__
from aislewise.errors import InputError
from sim.ablation import MARK
from sim.scenario import Scenario, load_scenario
from sim.sweep_process import Process

RESULT, RECORDING = "result.json", "run.mcap"
RUN_FILES = (
    RESULT, RECORDING, "log.txt", "metrics.json", "report.html", "tracks.npz", "top_view.png", "seen.png",
)  # fmt: skip
"""What a run may leave in its folder; an earlier run's are removed before it starts."""
MAX_SEEDS, MAX_WORKERS = 10_000, 256
POLL_S = 0.05

Result = dict[str, Any]
"""{name, seed, ok, gates, metrics, folder, fingerprint}; error: why there is no judgement (crash, time limit); ablate:
what the run went without."""


@dataclass(frozen=True)
class Job:
    """One run. source: file or packaged name; folder: where its files go; key: that below the sweep's folder;
    limit_s: wall time after which it counts as hung; ablate: what it goes without."""

    name: str
    seed: int
    source: str
    folder: Path
    key: str
    fingerprint: str
    limit_s: float
    ablate: str = ""


class Running(Protocol):
    """A run under way: a process here, or one on another machine."""

    @property
    def age_s(self) -> float:
        """Since it was started; 0 while it waits for a place."""

    def poll(self) -> int | None:
        """The exit status, minus the signal that killed it, or None while it runs. After that the run's files lie in
        its job's folder."""

    def ask_to_end(self) -> None: ...

    def end(self, dump: bool = False) -> None:
        """End it and all it has started. dump: have it write down where it hangs."""


Start = Callable[[Job, list[str], bool], Running]
"""Starts a job's command; the last says that the recording is wanted of a passed run, too. OSError if it cannot."""


def start_process(job: Job, command: list[str], keep_recording: bool) -> Running:
    return Process(command, job.folder / "log.txt")


class Watcher(Protocol):
    """Told how a sweep gets on."""

    def ended(self, job: Job, result: Result, earlier: bool) -> None:
        """earlier: the result of a run that had been finished before."""

    def running(self, jobs: Sequence[tuple[Job, float]]) -> None:
        """The runs under way, each with the seconds it has taken; called some times a second."""


class Stopped(Exception):
    """A signal ended the sweep; the results of finished runs stay."""

    def __init__(self, number: int, done: int) -> None:
        super().__init__(f"signal {number}")
        self.number, self.done = number, done


def plan(
    sources: Sequence[str], seeds: int, first_seed: int | None, out: Path, limit_s: float | None = None,
    ablations: Sequence[str] = (),
) -> list[Job]:  # fmt: skip
    """The runs of a sweep: each scenario as it is, then without each of the ablations. Raises InputError for anything
    that is wrong with a scenario, before any simulation."""
    if not 1 <= seeds <= MAX_SEEDS:
        raise InputError("seeds", f"{seeds}", f"1 to {MAX_SEEDS}")
    if limit_s is not None and not 0.0 < limit_s <= 1e7:
        raise InputError("time-limit", f"{limit_s}", "more than 0 s, at most 1e7 s")
    jobs: list[Job] = []
    for source in sources:
        scenario = load_scenario(source)
        check_name(scenario.name)
        if any(j.name == scenario.name for j in jobs):
            raise InputError("scenario", f"two of the files are named {scenario.name!r}: their runs would mix")
        first = scenario.seed if first_seed is None else first_seed
        for part in ("", *ablations):
            for seed in range(first, first + seeds):
                one = variant(scenario, seed, part)
                key = f"{one.name}/seed_{seed}"
                limit = limit_s or default_limit_s(one)
                jobs.append(Job(one.name, seed, source, out / key, key, fingerprint(one), limit, part))
    return jobs


def variant(scenario: Scenario, seed: int, ablate: str = "") -> Scenario:
    """The scenario with another seed, and with one part of the stack left out."""
    one = dataclasses.replace(scenario, seed=seed)
    if not ablate:
        return one
    if one.ablate:
        raise InputError("ablate", f"{ablate!r}: {one.name} goes without {one.ablate} already", "one at a time")
    return dataclasses.replace(one, name=one.name + MARK + ablate, ablate=ablate)


def check_name(name: str) -> None:
    """A scenario's name becomes a folder's."""
    if not name or name.startswith(".") or any(c in name for c in "/\\\0") or len(name) > 100:
        raise InputError("scenario.name", f"{name!r}", "1 to 100 characters, no slash, no dot in front")


def fingerprint(scenario: Scenario) -> str:
    """Of all that a run follows from: the scenario with its seed, and the version of this package. Of a file it names
    the content counts, not where it lies."""
    if scenario.demand is not None and scenario.demand.csv_sha256:
        demand = dataclasses.replace(scenario.demand, csv=Path(scenario.demand.csv).name)
        scenario = dataclasses.replace(scenario, demand=demand)
    text = json.dumps(dataclasses.asdict(scenario), sort_keys=True, default=str)
    return hashlib.sha256(f"{__version__}\n{text}".encode()).hexdigest()[:32]


def default_limit_s(scenario: Scenario) -> float:
    """Generous: six times what a loaded laptop takes. A run must not fail because others share the machine."""
    return 300.0 + scenario.duration_s * (6 + scenario.robots)


def save_result(folder: Path, result: Result) -> None:
    write_json(folder / RESULT, result)


def write_json(path: Path, data: Any) -> None:
    """Whole or not at all: a kill between the two leaves the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(data, indent=1, default=float) + "\n", encoding="utf-8")
    os.replace(draft, path)


def load_result(job: Job) -> Result | None:
    """The result that lies in the job's folder, if it is of this very job."""
    try:
        result = json.loads((job.folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    good = isinstance(result, dict) and {"name", "seed", "ok", "gates", "metrics"} <= set(result)
    return result if good and result.get("fingerprint") == job.fingerprint else None


class Sweep:
    """command: the process that runs a job and leaves its result.json; start: where it runs. `run()` returns the
    results in the order of the jobs."""

    def __init__(
        self, jobs: Sequence[Job], command: Callable[[Job], list[str]], workers: int = 1,
        watcher: Watcher | None = None, keep_recordings: bool = False, start: Start = start_process,
    ) -> None:  # fmt: skip
        if not 1 <= workers <= MAX_WORKERS:
            raise InputError("workers", f"{workers}", f"1 to {MAX_WORKERS}")
        self.jobs, self.command, self.workers = list(jobs), command, workers
        self.watcher, self.keep_recordings, self.start = watcher, keep_recordings, start
        self.results: dict[str, Result] = {}
        self._processes: dict[str, tuple[Job, Running]] = {}
        self._signal = 0

    def run(self, fresh: bool = False) -> list[Result]:
        """Raises Stopped on SIGINT and SIGTERM, with no process left behind. fresh: run finished runs again."""
        waiting = deque(self.jobs if fresh else self._take_over())
        with self._signals():
            try:
                while waiting or self._processes:
                    if self._signal:
                        raise Stopped(self._signal, len(self.results))
                    while waiting and len(self._processes) < self.workers:
                        self._start(waiting.popleft())
                    self._collect()
                    self._tell()
                    time.sleep(POLL_S)
            finally:
                for _, process in self._processes.values():
                    process.ask_to_end()
                for _, process in self._processes.values():
                    process.end()
        return [self.results[j.key] for j in self.jobs]

    def _take_over(self) -> list[Job]:
        """Keep what is finished; the rest is to be run. A run that crashed or hung may fare better now."""
        for job in self.jobs:
            result = load_result(job)
            if result is not None and "error" not in result:
                self._finish(job, result, earlier=True)
        return [j for j in self.jobs if j.key not in self.results]

    def _start(self, job: Job) -> None:
        job.folder.mkdir(parents=True, exist_ok=True)
        for name in RUN_FILES:
            (job.folder / name).unlink(missing_ok=True)
        try:
            self._processes[job.key] = job, self.start(job, self.command(job), self.keep_recordings)
        except OSError as error:
            self._fail(job, f"could not be started: {error}")

    def _collect(self) -> None:
        for key, (job, process) in list(self._processes.items()):
            code = process.poll()
            if code is None and process.age_s <= job.limit_s:
                continue
            process.end(dump=code is None)
            del self._processes[key]
            result = load_result(job)
            if code is None:
                self._fail(job, f"hung: no result within {job.limit_s:.0f} s", process.age_s)
            elif result is None or code != (0 if result["ok"] else 1):
                how = f"signal {-code}" if code < 0 else f"exit status {code}"
                self._fail(job, f"crashed: {how}{last_words(job.folder / 'log.txt')}", process.age_s)
            else:
                self._finish(job, result)

    def _fail(self, job: Job, why: str, wall_s: float = 0.0) -> None:
        failed = {
            "name": job.name, "seed": job.seed, "ok": False, "gates": {}, "metrics": {"wall_s": round(wall_s, 2)},
            "error": why, "fingerprint": job.fingerprint, **({"ablate": job.ablate} if job.ablate else {}),
        }  # fmt: skip
        save_result(job.folder, failed)
        self._finish(job, failed)

    def _finish(self, job: Job, result: Result, earlier: bool = False) -> None:
        self.results[job.key] = {**result, "folder": job.key}
        if result["ok"] and not self.keep_recordings:
            (job.folder / RECORDING).unlink(missing_ok=True)
        if self.watcher is not None:
            self.watcher.ended(job, result, earlier)

    def _tell(self) -> None:
        if self.watcher is not None:
            ages = [(job, process.age_s) for job, process in self._processes.values()]
            self.watcher.running([(job, age_s) for job, age_s in ages if age_s > 0.0])

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """A signal only sets a flag: it cannot come between a start and its being noted."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: Any) -> None:
            self._signal = self._signal or number

        before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def failed_gates(result: Result) -> list[str]:
    """In words, with value and limit."""
    return [f"{n}: {shown(g['value'])} (limit {shown(g['limit'])})" for n, g in result["gates"].items() if not g["ok"]]


def shown(value: Any) -> str:
    """A gate's value or limit as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def last_words(log: Path) -> str:
    """The last line of a log, to say at a glance what happened."""
    lines = [line.strip() for line in tail(log).splitlines() if line.strip()]
    return f": {lines[-1][:300]}" if lines else ""


def tail(log: Path, size: int = 4000) -> str:
    """The end of a log that may be large or absent."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - size))
            return file.read(size).decode("utf-8", "replace")
    except OSError:
        return ""
