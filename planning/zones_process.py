"""A zone as a process of its own, spoken to over a pipe; and the same without a process, for tests and small floors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import AislewiseError, InputError
from planning.zones import ZoneMap
from planning.zones_plan import ZonePlanner

I32 = NDArray[np.int32]

ANSWER_S = 120.0
"""Without an answer for so long a zone's process counts as dead: making all tables takes its time."""
THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class ZoneDiedError(AislewiseError):
    """A zone's process ended or went silent."""

    code = "ZONE_DIED"

    def __init__(self, zone: int, message: str) -> None:
        self.zone = zone
        super().__init__(f"zone {zone}: {message}")


@dataclass(frozen=True, slots=True)
class ZoneSpec:
    """All that a zone needs to begin. by_cell (H * W, 4): guidance; robots: of the whole site."""

    zones: ZoneMap
    zone: int
    by_cell: I32
    robots: int
    depth: int
    seed: int = 0

    def planner(self) -> ZonePlanner:
        return ZonePlanner(
            self.zones, self.zone, self.by_cell, self.robots, depth=self.depth, seed=self.seed + self.zone
        )


@dataclass(frozen=True, slots=True)
class _Fault:
    """What was raised in a zone's process, on its way here; field: "" for anything but an InputError."""

    field: str
    message: str
    limit: object = None

    def error(self, zone: int) -> AislewiseError:
        if self.field:
            return InputError(self.field, self.message, self.limit)
        return AislewiseError(f"zone {zone}: {self.message}")


class Zone(Protocol):
    """Calls of a ZonePlanner's methods by name: `ask`, then `answer` for the result, one after the other.

    busy_s: processor time of all calls so far. ZoneDiedError when it cannot answer any more; `start` begins anew."""

    busy_s: float

    def start(self) -> None: ...
    def ask(self, method: str, *args: Any) -> None: ...
    def answer(self) -> Any: ...
    def stop(self) -> None: ...


class LocalZone:
    """In this process."""

    def __init__(self, spec: ZoneSpec) -> None:
        self._spec, self.busy_s = spec, 0.0
        self.start()

    def start(self) -> None:
        self.planner, self._result = self._spec.planner(), None

    def ask(self, method: str, *args: Any) -> None:
        begin = time.thread_time()
        self._result = getattr(self.planner, method)(*args)
        self.busy_s += time.thread_time() - begin

    def answer(self) -> Any:
        return self._result

    def stop(self) -> None:
        pass


class ProcessZone:
    """In a process of its own, with one thread, that ends with this one."""

    def __init__(self, spec: ZoneSpec, answer_s: float = ANSWER_S) -> None:
        self._spec, self._answer_s, self.busy_s = spec, answer_s, 0.0
        self._number = 0
        self.start()

    def start(self) -> None:
        self._pipe, far = Pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "planning.zones_process", str(far.fileno())],
            pass_fds=[far.fileno()], env={**os.environ, **dict.fromkeys(THREADS, "1")}, cwd=Path(__file__).parent.parent,
        )  # fmt: skip
        far.close()
        self._pipe.send(self._spec)

    def ask(self, method: str, *args: Any) -> None:
        self._number += 1
        try:
            self._pipe.send((self._number, method, args))
        except OSError as error:
            raise self._died(f"its process took no message ({error})") from None

    def answer(self) -> Any:
        """Answers to questions asked before the last one, which nobody waited for, are passed over."""
        while True:
            try:
                if not self._pipe.poll(self._answer_s):
                    raise self._died(f"its process gave no answer in {self._answer_s:g} s")
                number, result, busy = self._pipe.recv()
            except (EOFError, OSError):
                raise self._died("its process ended") from None
            self.busy_s += busy
            if number == self._number:
                if isinstance(result, _Fault):
                    raise result.error(self._spec.zone)
                return result

    def stop(self) -> None:
        """The process ends when its pipe does."""
        self._pipe.close()
        try:
            self.process.wait(5.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _died(self, message: str) -> ZoneDiedError:
        self.process.kill()
        return ZoneDiedError(self._spec.zone, f"{message} (exit status {self.process.wait()})")


def _serve(pipe: Connection) -> None:
    """Answer calls until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the zones end when their pipes do
    spec: ZoneSpec = pipe.recv()
    planner = spec.planner()
    while True:
        try:
            number, method, args = pipe.recv()
        except (EOFError, OSError):
            return
        begin = time.process_time()
        call: Callable[..., Any] = getattr(planner, method)
        try:
            result: Any = call(*args)
        except InputError as error:
            result = _Fault(error.field, error.message, error.limit)
        except Exception:
            result = _Fault("", traceback.format_exc())
        try:
            pipe.send((number, result, time.process_time() - begin))
        except OSError:
            return


if __name__ == "__main__":
    # Run as a module this file has another name than the one under which its classes were pickled.
    from planning import zones_process

    zones_process._serve(Connection(int(sys.argv[1])))
