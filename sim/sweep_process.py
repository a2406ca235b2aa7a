"""A process of a sweep: its whole group ends with it, and it ends with the sweep."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

GRACE_S = 10.0
"""What a process may take to close its recording."""
DUMP_S = 1.0
_SWEEP = "AISLEWISE_SWEEP_PID"


class Process:
    """Runs in a session of its own: a Ctrl-C in the terminal is the sweep's to handle, and what the process has
    started can be ended as one group. Output goes to `log`."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        environment = {**os.environ, _SWEEP: str(os.getpid()), "PYTHONUNBUFFERED": "1"}
        with log.open("wb") as file:
            self._popen = subprocess.Popen(
                list(command), stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=environment,
                start_new_session=True,
            )  # fmt: skip
        self._began = time.monotonic()

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._began

    def poll(self) -> int | None:
        """The exit status, minus the signal that killed it, or None while it runs."""
        return self._popen.poll()

    def ask_to_end(self) -> None:
        self._signal_group(signal.SIGTERM)

    def end(self, dump: bool = False) -> None:
        """End it and all it has started: asked first, then killed. dump: have it write down where it hangs."""
        if self._popen.poll() is None:
            if dump:
                self._dump()
            self.ask_to_end()
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(GRACE_S)
        self._signal_group(signal.SIGKILL)
        self._popen.wait()

    def _dump(self) -> None:
        self._popen.send_signal(signal.SIGUSR1)
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(DUMP_S)

    def _signal_group(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS says EPERM where only zombies are left
            os.killpg(self._popen.pid, number)


def follow_sweep() -> None:
    """To be called in the process. SIGUSR1 writes every thread's stack to the log, SIGTERM ends it like Ctrl-C (the
    recording gets its index), and when the sweep is killed, nothing is left running that would write its files."""
    parent = int(os.environ.pop(_SWEEP, "0"))
    if not parent:
        return
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
