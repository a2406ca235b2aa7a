"""The runs of a sweep on a Ray cluster: each in a process of its own on one of the nodes, watched over by an actor.

Nodes need Aislewise in the same version, and no file system in common with whoever sweeps: the scenario goes there and
what the run leaves comes back as bytes; its log comes while it runs. A node that is lost loses a try, not the run.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from aislewise import __version__
from aislewise.errors import InputError
from sim import sweep_process
from sim.sweep import RECORDING, RESULT, RUN_FILES, Job

CHUNK_BYTES = 32 << 20
MAX_FILE_BYTES = 4 << 30
"""A recording larger than this stays where it is, and is lost with the node's temporary files."""
TRIES = 3
WAIT_S = 0.5
"""How long an actor looks at its process before it answers: so often does a log come."""
END_S = 10.0
"""What an actor may take beyond the grace that its process has."""
CODE_FAILED = 127
"""Exit status of what could not be run (POSIX shells)."""
LOG = "log.txt"
PASSED_ON = ("POCKETROS", "AISLEWISE", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Request:
    """command: words; those in `replaced` are exchanged for the node's own: its Python ("python"), the run's folder
    ("run") or a path in it ("scenario/..."). files: by such a path. variables: of the environment of whoever sweeps.
    keep: names of the files that come back."""

    command: tuple[str, ...]
    replaced: dict[int, str]
    files: dict[str, bytes]
    variables: dict[str, str]
    version: str = __version__
    keep: tuple[str, ...] = RUN_FILES
    keep_recording: bool = False


class RemoteRun:
    """What an actor does on its node. No method raises for what is wrong with the run."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._folder = tempfile.TemporaryDirectory(prefix="aislewise_run_")
        self._run = Path(self._folder.name) / "run"
        self._process: sweep_process.Process | None = None

    def start(self) -> str:
        """Why it could not be started, or ""."""
        request, base = self._request, Path(self._folder.name)
        if request.version != __version__:
            return f"the node has Aislewise {__version__}, the sweep is of {request.version}"
        os.environ.pop("OMP_NUM_THREADS", None)  # Ray sets it; a run must be the same here and at home
        os.environ.update(request.variables)
        for folder in ("run", "scenario"):
            (base / folder).mkdir()
        for name, data in request.files.items():
            (base / name).write_bytes(data)
        command = list(request.command)
        for index, name in request.replaced.items():
            command[index] = sys.executable if name == "python" else str(base / name)
        try:
            self._process = sweep_process.Process(command, self._run / LOG)
        except OSError as error:
            return str(error)
        return ""

    def poll(self, offset: int) -> tuple[int | None, bytes]:
        """The exit status, or None after WAIT_S; and the log from `offset` on."""
        assert self._process is not None
        end = time.monotonic() + WAIT_S
        while (code := self._process.poll()) is None and time.monotonic() < end:
            time.sleep(0.02)
        return code, self.read(LOG, offset)

    def ask_to_end(self) -> None:
        if self._process is not None:
            self._process.ask_to_end()

    def end(self, dump: bool) -> None:
        if self._process is not None:
            self._process.end(dump)

    def files(self) -> dict[str, int]:
        """Sizes of what is to come back; the result last, for a run with a result is finished."""
        names = [n for n in self._request.keep if n not in (LOG, RESULT, RECORDING)]
        names += [RECORDING] if self._request.keep_recording or not self._passed() else []
        paths = [self._run / n for n in (*names, RESULT)]
        return {p.name: p.stat().st_size for p in paths if p.is_file()}

    def read(self, name: str, offset: int) -> bytes:
        with suppress(OSError), (self._run / name).open("rb") as file:
            file.seek(offset)
            return file.read(CHUNK_BYTES)
        return b""

    def close(self) -> None:
        self._folder.cleanup()

    def _passed(self) -> bool:
        """Recordings of passed runs are not wanted: nothing is to be found out from them."""
        return self._process is not None and self._process.poll() == 0


class RayRun:
    """A run as the sweep sees it: like sim.sweep_process.Process, but that it is elsewhere."""

    def __init__(self, ray: Any, actor_class: Any, request: Request, folder: Path) -> None:
        self._ray, self._actor_class, self._request = ray, actor_class, request
        self._folder, self._log = folder, folder / LOG
        self._log.write_bytes(b"")
        self._tries, self._code = 0, cast("int | None", None)
        self._begin()

    def _begin(self) -> None:
        self._tries += 1
        self._started, self._offset, self._began = False, 0, 0.0
        self._actor = self._actor_class.remote(self._request)
        self._pending = self._actor.start.remote()

    @property
    def age_s(self) -> float:
        """Since it was started; 0 while it waits for a node."""
        return time.monotonic() - self._began if self._began else 0.0

    def poll(self) -> int | None:
        if self._code is None and self._ray.wait([self._pending], timeout=0)[0]:
            with self._lost_nodes():
                self._hear(self._ray.get(self._pending))
        return self._code

    def _hear(self, answer: Any) -> None:
        if not self._started:
            if answer:
                self._fail(f"could not be started: {answer}")
                return
            self._started, self._began = True, time.monotonic()
        else:
            code, log = answer
            self._append(log)
            if code is not None:
                self._fetch()
                self._code = code
                return
        self._pending = self._actor.poll.remote(self._offset)

    def _append(self, log: bytes) -> None:
        self._offset += len(log)
        with self._log.open("ab") as file:
            file.write(log)

    def _fetch(self) -> None:
        while log := self._ray.get(self._actor.read.remote(LOG, self._offset)):
            self._append(log)
        for name, size in self._ray.get(self._actor.files.remote()).items():
            if size > MAX_FILE_BYTES:
                self._append(f"{name} of {size} bytes was not fetched (limit: {MAX_FILE_BYTES})\n".encode())
                continue
            draft = self._folder / (name + ".part")
            with draft.open("wb") as file:
                while file.tell() < size and (data := self._ray.get(self._actor.read.remote(name, file.tell()))):
                    file.write(data)
            os.replace(draft, self._folder / name)

    @contextmanager
    def _lost_nodes(self) -> Iterator[None]:
        """The loss of a node, or of the worker on it, is not the run's fault: it is tried again elsewhere."""
        errors = self._ray.exceptions
        try:
            yield
        except errors.RayTaskError as error:  # a fault of ours
            self._fail(f"could not be run: {error.cause!r}")
        except errors.RayError as error:
            why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            if self._tries < TRIES:
                self._append(f"lost with its node, and begun again: {why}\n".encode())
                self._begin()
            else:
                self._fail(f"lost {self._tries} times with its node: {why}")

    def _fail(self, why: str) -> None:
        self._append(f"{why}\n".encode())
        self._code = CODE_FAILED

    def ask_to_end(self) -> None:
        if self._started and self._code is None:
            self._actor.ask_to_end.remote()

    def end(self, dump: bool = False) -> None:
        """dump: it hung; what it leaves is then of use, too."""
        if self._actor is None:
            return
        errors = self._ray.exceptions
        with suppress(errors.RayError):
            if self._started:
                limit_s = sweep_process.GRACE_S + sweep_process.DUMP_S + WAIT_S + END_S
                self._ray.get(self._actor.end.remote(dump), timeout=limit_s)
                if dump:
                    self._fetch()
                self._ray.get(self._actor.close.remote(), timeout=END_S)
        with suppress(errors.RayError):
            self._ray.kill(self._actor)
        self._actor = None


class RayCluster:
    """A context manager: the cluster of RAY_ADDRESS, else one of this machine's cores for as long as it lasts."""

    def __init__(self, cores: int | None = None) -> None:
        """cores: of a cluster of this machine, instead of all."""
        try:
            import ray
            import ray.exceptions
        except ImportError as error:
            raise InputError("workers", f"ray is not installed ({error})", "pip install 'aislewise[ray]'") from error
        self._ray, self._cores = ray, cores

    def __enter__(self) -> RayCluster:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told of a sweep
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        where: dict[str, Any] = {"include_dashboard": False, "num_cpus": self._cores}
        if os.environ.get("RAY_ADDRESS"):
            where = {"address": "auto"}
        try:
            self._ray.init(log_to_driver=False, logging_level=logging.ERROR, **where)
        except (ConnectionError, RuntimeError, ValueError) as error:
            at = os.environ.get("RAY_ADDRESS", "this machine")
            raise InputError("workers", f"no Ray cluster at {at}: {error}", "a running one, or no RAY_ADDRESS") from error
        self._actor_class = self._ray.remote(num_cpus=1, max_restarts=0)(RemoteRun)
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()

    def start(self, job: Job, command: Sequence[str], keep_recording: bool) -> RayRun:
        """Raises OSError for a scenario that cannot be read."""
        return RayRun(self._ray, self._actor_class, request_of(job, command, keep_recording), job.folder)


def request_of(job: Job, command: Sequence[str], keep_recording: bool = False) -> Request:
    """The command with whatever is a path of this machine taken out of it, and the files that go along."""
    files, scenario = scenario_files(job.source)
    meanings = {str(job.folder): "run", sys.executable: "python", **({job.source: scenario} if files else {})}
    replaced = {k: meanings[word] for k, word in enumerate(command) if word in meanings}
    variables = {k: v for k, v in os.environ.items() if k.startswith(PASSED_ON)}
    return Request(tuple(command), replaced, files, variables, keep_recording=keep_recording)


def scenario_files(source: str) -> tuple[dict[str, bytes], str]:
    """(path on the node -> bytes, that of the scenario); none for a packaged scenario, which every node has. The CSV
    of an order stream goes along, under its bare name."""
    import yaml

    from sim.scenario import load_scenario

    path = Path(source)
    if not path.is_file():
        return {}, ""
    scenario, data = load_scenario(source), yaml.safe_load(path.read_text(encoding="utf-8"))
    files = {}
    if scenario.demand is not None and scenario.demand.csv:
        csv = Path(scenario.demand.csv)
        files[f"scenario/{csv.name}"] = csv.read_bytes()
        data["demand"]["csv"] = csv.name
    name = f"scenario/{path.name}"
    return {**files, name: yaml.safe_dump(data, sort_keys=False).encode()}, name
