"""Runs a launch plan within this process: every node's executable in a thread, on one bus.

Each executable's `main` runs with a default rclpy context of its own, which carries the name,
namespace, remappings and parameters the launch file gives it. Environment variables are the
process's: two nodes that need different values of one cannot be launched together.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import inspect
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from ._activate import activate, active
from .launch_file import load
from .launch_plan import (
    LaunchError,
    LaunchPlan,
    LogStep,
    NodeStep,
    ProcessStep,
    Resolver,
    ShutdownStep,
    Step,
)
from .wakeup import Wakeup

__all__ = ["LaunchError", "LaunchPlan", "Launcher", "default_resolver", "load", "run"]

STOP_TIMEOUT_S = 1.0
"""What nodes and processes are given to end by themselves after a signal."""


def default_resolver(package: str, executable: str) -> Callable[..., Any]:
    """The function behind a console script of an installed Python distribution."""
    scripts = importlib.metadata.entry_points(group="console_scripts")
    for script in scripts:
        owner = script.dist.name if script.dist else ""
        if script.name == executable and _normal(owner) == _normal(package):
            return script.load()  # type: ignore[no-any-return]
    raise LaunchError(
        f"no console script {executable!r} in a distribution named {package!r}: is it installed?"
    )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def run(plan: LaunchPlan, resolver: Resolver | None = None) -> int:
    """Run a plan until all its nodes have ended, a shutdown step, SIGINT or SIGTERM.

    Returns 0, or 1 if a node or process failed or could not be stopped.
    """
    return Launcher(plan, resolver or default_resolver).run()


class _NodeRun:
    """One executable in its thread."""

    def __init__(self, step: NodeStep, main: Callable[..., Any], on_end: Callable[[], None]) -> None:
        from rclpy.context import Scope

        self.step = step
        self.failed = False
        self.ended = False
        self._main = main
        self._on_end = on_end
        self._scope = Scope(step.argv)
        self._thread = threading.Thread(target=self._run, name=step.label, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        for context in list(self._scope.contexts):
            context.try_shutdown()

    def kill(self) -> None:
        """A thread cannot be killed; being a daemon it ends with the process."""

    def join(self, timeout_s: float) -> bool:
        self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()

    def _run(self) -> None:
        from rclpy.context import scoped
        from rclpy.executors import ExternalShutdownException

        with scoped(self._scope):
            try:
                result = _call_main(self._main, list(self.step.argv))
                self.failed = isinstance(result, int) and result != 0
            except (KeyboardInterrupt, ExternalShutdownException):
                pass
            except SystemExit as end:
                self.failed = end.code not in (None, 0)
            except BaseException:
                self.failed = True
                _say("ERROR", self.step.label, f"main() raised\n{traceback.format_exc().rstrip()}")
            finally:
                self.stop()
                self.ended = True
                self._on_end()


def _call_main(main: Callable[..., Any], argv: list[str]) -> Any:
    """Call `main(args)`, or `main()` where it takes none (rclpy.init() then finds the arguments)."""
    try:
        inspect.signature(main).bind(argv)
    except TypeError:
        return main()
    return main(argv)


class _ProcessRun:
    """One command in a process of its own, watched by a thread."""

    def __init__(self, step: ProcessStep, on_end: Callable[[], None]) -> None:
        self.step = step
        self.failed = False
        self.ended = False
        self._stopping = False
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = subprocess.Popen(
                step.command, cwd=step.cwd or None, env={**os.environ, **dict(step.env)},
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self.failed = True
            _say("ERROR", step.label, f"cannot be started: {error}")
        self._thread = threading.Thread(target=self._watch, args=(on_end,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def join(self, timeout_s: float) -> bool:
        self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _watch(self, on_end: Callable[[], None]) -> None:
        if self._process is not None:
            code = self._process.wait()
            self.failed = code != 0 and not self._stopping
            if self.failed:
                _say("ERROR", self.step.label, f"process has died, exit code {code}")
        self.ended = True
        on_end()


class Launcher:
    """The running launch: `run()` blocks, `stop()` ends it from anywhere."""

    def __init__(self, plan: LaunchPlan, resolver: Resolver = default_resolver) -> None:
        if (active() or activate()) != "pocketros":
            raise LaunchError("the genuine rclpy is active: use `ros2 launch` for this file")
        self.plan = plan
        self._resolver = resolver
        self._changed = Wakeup()
        self._stop_reason: str | None = None
        self._runs: list[_NodeRun | _ProcessRun] = []
        self._failed = False

    def stop(self, reason: str = "stop()") -> None:
        self._stop_reason = self._stop_reason or reason
        self._changed.set()

    def run(self) -> int:
        mains = {
            (n.package, n.executable): self._resolver(n.package, n.executable)
            for n in self.plan.nodes
        }
        started = time.monotonic()
        queue: list[tuple[float, Step]] = [(started + s.delay_s, s) for s in self.plan.steps]
        with _environment(self.plan), self._signals():
            while self._stop_reason is None and (queue or self._runs):
                queue = self._start_due(queue, mains)
                queue += self._reap()
                if self._stop_reason is None and (queue or self._runs):
                    due = min((when for when, _ in queue), default=None)
                    self._changed.wait(None if due is None else max(0.0, due - time.monotonic()))
            self._stop_all()
        return int(self._failed)

    def _start_due(
        self, queue: list[tuple[float, Step]], mains: dict[tuple[str, str], Callable[..., Any]]
    ) -> list[tuple[float, Step]]:
        now = time.monotonic()
        for when, step in queue:
            if when > now or self._stop_reason is not None:
                continue
            if isinstance(step, NodeStep):
                main = mains[step.package, step.executable]
                self._runs.append(_NodeRun(step, main, self._changed.set))
            elif isinstance(step, ProcessStep):
                self._runs.append(_ProcessRun(step, self._changed.set))
            elif isinstance(step, LogStep):
                _say("INFO", "launch", step.message)
            elif isinstance(step, ShutdownStep):
                self.stop(step.reason or "shutdown")
        return [(when, step) for when, step in queue if when > now]

    def _reap(self) -> list[tuple[float, Step]]:
        """Forget what has ended; returns what is to be started again."""
        ended = [r for r in self._runs if r.ended]
        self._runs = [r for r in self._runs if r not in ended]
        again: list[tuple[float, Step]] = []
        for item in ended:
            step = item.step
            if step.respawn and self._stop_reason is None:
                _say("INFO", "launch", f"{step.label} has ended and is started again")
                again.append((time.monotonic() + step.respawn_delay_s, step))
            else:
                self._failed |= item.failed
        return again

    def _stop_all(self) -> None:
        for item in self._runs:
            item.stop()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for item in self._runs:
            if not item.join(deadline - time.monotonic()):
                _say("ERROR", item.step.label, f"did not stop within {STOP_TIMEOUT_S} s")
                item.kill()
                self._failed = True
            self._failed |= item.failed

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM for the time of the run (Python's main thread only)."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(number: int, _: Any) -> None:
            self.stop(signal.Signals(number).name)

        before = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _environment(plan: LaunchPlan) -> Iterator[None]:
    """Set what the plan's nodes need in this process's environment, and undo it afterwards."""
    wanted: dict[str, str] = {}
    for node in plan.nodes:
        for name, value in node.env:
            if wanted.setdefault(name, value) != value:
                raise LaunchError(
                    f"{node.where}: nodes of one process cannot have different values of "
                    f"environment variable {name!r}"
                )
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = old


def _say(level: str, name: str, text: str) -> None:
    sys.stderr.write(f"[{level}] [{name}]: {text}\n")
