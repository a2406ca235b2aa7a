"""An independent judge of League of Robot Runners results: reads the output file and the problem's own files, plays
the recorded actions, and counts. It shares no code with the planner, the simulator or their readers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_FAULTS = 50
HEADINGS = ((0, 1), (1, 0), (0, -1), (-1, 0))
LETTER = {"E": 0, "S": 1, "W": 2, "N": 3}


@dataclass(frozen=True, slots=True)
class Verdict:
    """tasks: finished, as counted here; steps: played; faults: what is wrong, at most MOST_FAULTS."""

    tasks: int
    steps: int
    faults: tuple[str, ...]

    @property
    def valid(self) -> bool:
        return not self.faults


def check_output(problem: str | Path, output: str | Path) -> Verdict:
    """Every move legal, nobody in the same cell or changing places, every errand done by its robot in order, no task
    taken from a robot that had begun it, no more tasks known than agreed, and as many finished as claimed."""
    problem = Path(problem)
    world = json.loads(problem.read_text())
    result = json.loads(Path(output).read_text())
    return _Judge(problem.parent, world, result).verdict()


def _numbers(path: Path) -> list[list[int]]:
    """The lines of an agents or tasks file after comments and the count."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    return [[int(part) for part in line.split(",")] for line in lines[1 : int(lines[0]) + 1]]


class _Judge:
    def __init__(self, folder: Path, world: dict[str, Any], result: dict[str, Any]) -> None:
        self.faults: list[str] = []
        self.result = result
        rows = (folder / world["mapFile"]).read_text().splitlines()[4:]
        self.open = {(y, x) for y, row in enumerate(rows) for x, letter in enumerate(row) if letter not in "@T"}
        width = len(rows[0])
        self.team = int(world["teamSize"])
        starts = [row[0] for row in _numbers(folder / world["agentFile"])][: self.team]
        self.starts = [divmod(cell, width) for cell in starts]
        self.tasks = [[divmod(cell, width) for cell in row] for row in _numbers(folder / world["taskFile"])]
        self.known_at_once = int(float(world.get("numTasksReveal", 1)) * self.team + 1e-6)

    def fault(self, text: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(text)

    def verdict(self) -> Verdict:
        self._starts_and_tasks()
        places = self._play()
        steps = len(places) - 1
        done = self._errands(places)
        if done != self.result.get("numTaskFinished"):
            self.fault(f"{self.result.get('numTaskFinished')} tasks claimed, {done} finished")
        for key in ("errors", "scheduleErrors"):
            if self.result.get(key):
                self.fault(f"{key} were recorded: {self.result[key][0]}")
        return Verdict(done, steps, tuple(self.faults))

    def _starts_and_tasks(self) -> None:
        start = [(y, x) for y, x, _ in self.result["start"]]
        if self.result["teamSize"] != self.team or start != self.starts:
            self.fault("robots do not start where the problem says")
        if any(letter != "E" for *_, letter in self.result["start"]):
            self.fault("robots do not start facing east")
        for number, (ident, _, flat) in enumerate(self.result["tasks"]):
            cells = list(zip(flat[::2], flat[1::2], strict=True))
            if ident != number or cells != self.tasks[number % len(self.tasks)]:
                self.fault(f"task {ident} is not task {number} of the problem")

    def _play(self) -> list[list[tuple[int, int]]]:
        """Where every robot is at every step."""
        letters = [path.split(",") if path else [] for path in self.result["actualPaths"]]
        if len(letters) != self.team or len({len(path) for path in letters}) != 1:
            self.fault("paths missing or of different lengths")
            return [self.starts]
        now = list(self.starts)
        heading = [LETTER[letter] for *_, letter in self.result["start"]]
        places = [list(now)]
        for step in range(len(letters[0])):
            before = list(now)
            for robot, path in enumerate(letters):
                action = path[step]
                if action == "F":
                    dy, dx = HEADINGS[heading[robot]]
                    now[robot] = (before[robot][0] + dy, before[robot][1] + dx)
                    if now[robot] not in self.open:
                        self.fault(f"step {step + 1}: robot {robot} drives into {now[robot]}")
                elif action in "RC":
                    heading[robot] = (heading[robot] + (1 if action == "R" else 3)) % 4
                elif action not in "WT":
                    self.fault(f"step {step + 1}: robot {robot} does {action!r}")
            self._collisions(step + 1, before, now)
            places.append(list(now))
        return places

    def _collisions(self, step: int, before: list[tuple[int, int]], now: list[tuple[int, int]]) -> None:
        there: dict[tuple[int, int], int] = {}
        for robot, cell in enumerate(now):
            if cell in there:
                self.fault(f"step {step}: robots {there[cell]} and {robot} in {cell}")
            there[cell] = robot
        for robot, cell in enumerate(before):
            other = there.get(cell)
            if other is not None and other != robot and before[other] == now[robot]:
                self.fault(f"step {step}: robots {robot} and {other} change places")

    def _schedules(self, steps: int) -> dict[int, list[tuple[int, int]]]:
        """Per step from which they hold: (robot, task)."""
        changes: dict[int, list[tuple[int, int]]] = {}
        for robot, text in enumerate(self.result["actualSchedule"]):
            for part in filter(None, text.split(",")):
                step, task = part.split(":")
                changes.setdefault(int(step), []).append((robot, int(task)))
                if int(step) > steps:
                    self.fault(f"schedule of robot {robot} changes after the end")
        return changes

    def _errands(self, places: list[list[tuple[int, int]]]) -> int:
        """Replays schedule and errands from the places alone; compares with the recorded events."""
        changes = self._schedules(len(places) - 1)
        recorded: dict[int, set[tuple[int, int, int]]] = {}
        for step, robot, task, count in self.result["events"]:
            recorded.setdefault(step, set()).add((robot, task, count))
        missed = {step for step, letter in enumerate(self.result["plannerPaths"][0].split(","), 1) if letter == "T"}
        holds, progress, finished = [-1] * self.team, [0] * len(self.result["tasks"]), {0: 0}
        for step in range(1, len(places)):
            if step in missed:  # nothing but waiting happens then, to anybody
                if places[step] != places[step - 1] or step in recorded or step in changes:
                    self.fault(f"step {step}: was missed, and yet something happened")
                continue
            self._hand_out(step, changes.get(step, []), holds, progress)
            seen = set()
            for robot, task in enumerate(holds):
                errands = self.tasks[task % len(self.tasks)]
                if not 0 <= task < len(progress) or progress[task] >= len(errands):
                    continue
                if places[step][robot] == errands[progress[task]]:
                    progress[task] += 1
                    seen.add((robot, task, progress[task]))
                    if progress[task] == len(errands):
                        finished[step] = finished.get(step, 0) + 1
                        holds[robot] = -1
            if seen != recorded.get(step, set()):
                self.fault(f"step {step}: recorded errands differ: {sorted(seen ^ recorded.get(step, set()))[:3]}")
        self._revealed(finished, len(places))
        return sum(finished.values())

    def _hand_out(self, step: int, changes: list[tuple[int, int]], holds: list[int], progress: list[int]) -> None:
        """Each change of the schedule must be allowed; `holds` is brought up to date."""
        for robot, task in changes:
            held = holds[robot]
            if held >= 0 and held != task and 0 <= held < len(progress) and progress[held] > 0:
                self.fault(f"step {step}: task {held}, begun by robot {robot}, is taken from it")
            if task >= 0:
                there = task < len(progress) and self.result["tasks"][task][1] < step
                if not there or progress[task] >= len(self.tasks[task % len(self.tasks)]):
                    self.fault(f"step {step}: robot {robot} is given task {task}, which is not there")
            holds[robot] = task
        given = [task for task in holds if task >= 0]
        if changes and len(set(given)) != len(given):
            self.fault(f"step {step}: a task is given to two robots")

    def _revealed(self, finished: dict[int, int], steps: int) -> None:
        """Never more unfinished tasks known than agreed."""
        fresh: dict[int, int] = {}
        for row in self.result["tasks"]:
            fresh[row[1]] = fresh.get(row[1], 0) + 1
        unfinished = 0
        for step in range(steps):
            unfinished += fresh.get(step, 0) - finished.get(step, 0)
            if unfinished > self.known_at_once:
                self.fault(f"step {step}: {unfinished} tasks are known, {self.known_at_once} agreed")
                return
