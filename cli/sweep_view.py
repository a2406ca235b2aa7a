"""What a person sees of a validation sweep: a line for each finished run, and on a terminal what is running."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from sim.sweep import Job, Result, failed_gates, tail


class View:
    """A context manager; the sweep tells it how it gets on."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.console = Console()
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self._all = self._bar.add_task("sweep", total=total, state=f"0 of {total}")
        self._tasks: dict[str, Any] = {}
        self._total, self._done, self._failed, self._earlier = total, 0, 0, 0

    def __enter__(self) -> View:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def ended(self, job: Job, result: Result, earlier: bool) -> None:
        self._done += 1
        self._failed += not result["ok"]
        if earlier and not self._earlier:
            self._line("runs that were finished before are not run again (--fresh runs them)")
        self._earlier += earlier
        took = "before" if earlier else f"{result['metrics'].get('wall_s', '-')} s"
        verdict = "DONE" if job.ablate and result["ok"] else "PASS" if result["ok"] else "FAIL"
        reasons = [result["error"]] if "error" in result else failed_gates(result)
        why = f": {', '.join(reasons)}" if reasons else ""
        self._line(f"[{self._done}/{self._total}] {verdict} {job.name} seed {job.seed} ({took}){why}")
        state = f"{self._done} of {self._total}" + (f", {self._failed} failed" if self._failed else "")
        self._bar.update(self._all, completed=self._done, state=state)

    def running(self, jobs: Sequence[tuple[Job, float]]) -> None:
        if self._bar.disable:
            return
        keys = {job.key for job, _ in jobs}
        for key in [k for k in self._tasks if k not in keys]:
            self._bar.remove_task(self._tasks.pop(key))
        for job, _ in jobs:
            if job.key not in self._tasks:
                self._tasks[job.key] = self._bar.add_task(f"{job.name} seed {job.seed}", total=None, state="starting")
            lines = tail(job.folder / "log.txt", 400).splitlines()
            states = [line.strip() for line in lines if line.startswith("t=")]
            if states:
                self._bar.update(self._tasks[job.key], state=states[-1][:60])

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
