"""The League of Robot Runners' rules (start kit 2.1): moves, tasks, and what is recorded of them.

A step: a schedule (task per robot) and an action per robot are proposed; all robots move, or none if any action is
illegal or two collide; then the schedule takes effect if it is legal, and each robot that stands on the next
errand of its task has done it, one errand a step; then tasks are revealed until as many as agreed are unfinished.
For every whole time limit that an answer is late, all robots wait for a step in which nothing else happens.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planning.lifelong_ops import ACTION_LETTERS, CLOCKWISE, COUNTER, FORWARD
from planning.lorr import I32, I64, Problem

EAST, SOUTH, WEST, NORTH = 0, 1, 2, 3
NO_TASK = -1


@dataclass(slots=True)
class Record:
    """All that the output file says. actions: one (N,) uint8 row per step; events: (step, robot, task, errands done);
    schedule: per robot "step:task" at each change; revealed_at: step per task id; missed: steps that passed without an answer."""

    actions: list[NDArray[np.uint8]] = field(default_factory=list)
    events: list[tuple[int, int, int, int]] = field(default_factory=list)
    schedule: list[list[str]] = field(default_factory=list)
    revealed_at: list[int] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    planner_times: list[float] = field(default_factory=list)
    errors: list[tuple[int, int, int, str]] = field(default_factory=list)
    schedule_errors: list[tuple[int, int, int, int, str]] = field(default_factory=list)


class League:
    """The world of one problem. cell, heading (N,): the robots; assigned (N,): task id or NO_TASK; done: errands
    done per revealed task id; task ids count up for ever, task k of the file is had by k modulo their number."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.step, self.finished = 0, 0
        self.cell: I32 = problem.starts.copy()
        self.heading: I32 = np.zeros(problem.robots, np.int32)
        self.assigned: I64 = np.full(problem.robots, NO_TASK, np.int64)
        self.record = Record(schedule=[[] for _ in range(problem.robots)])
        self._noted: I64 = np.full(problem.robots, -2, np.int64)
        self.pool: I64 = np.empty(0, np.int64)
        self.done: I32 = np.zeros(0, np.int32)
        self._reveal()

    def errands_of(self, task: I64) -> tuple[I64, I64]:
        """(index into `problem.errands` of the first errand, number of errands) of each task id."""
        k = task % self.problem.tasks
        return self.problem.offsets[k], self.problem.offsets[k + 1] - self.problem.offsets[k]

    def advance(self, actions: I32, schedule: I64, planner_s: float = 0.0) -> None:
        self._move(np.asarray(actions, np.int32))
        self.record.planner_times.append(planner_s)
        self.step += 1
        self._schedule(np.asarray(schedule, np.int64))
        self._check_errands()
        self._reveal()

    def stand(self) -> None:
        """A step missed: the answer was late."""
        self.record.missed.append(self.step)
        self.record.actions.append(np.full(self.problem.robots, ACTION_LETTERS.index("W"), np.uint8))
        self.step += 1

    def _move(self, actions: I32) -> None:
        width = self.problem.free.shape[1]
        forward = actions == FORWARD
        row = self.cell // width + forward * ((self.heading == SOUTH).astype(np.int32) - (self.heading == NORTH))
        col = self.cell % width + forward * ((self.heading == EAST).astype(np.int32) - (self.heading == WEST))
        problem = self._illegal(actions, row, col)
        if problem is not None:
            self.record.errors.append(problem)
            actions = np.full_like(actions, ACTION_LETTERS.index("W"))
        else:
            self.cell = (row * width + col).astype(np.int32)
            self.heading = (self.heading + (actions == CLOCKWISE) - (actions == COUNTER)).astype(np.int32) % 4
        self.record.actions.append(actions.astype(np.uint8))

    def _illegal(self, actions: I32, row: I32, col: I32) -> tuple[int, int, int, str] | None:
        """(robot, other robot or -1, step, what) of the first action that is not allowed."""
        height, width = self.problem.free.shape
        when = self.step + 1
        if len(actions) != self.problem.robots or ((actions < 0) | (actions > 3)).any():
            return -1, -1, when, "incorrect vector size"
        outside = (row < 0) | (row >= height) | (col < 0) | (col >= width)
        bad = outside | ~self.problem.free[np.where(outside, 0, row), np.where(outside, 0, col)]
        if bad.any():
            return int(np.argmax(bad)), -1, when, "unallowed move"
        target = row.astype(np.int64) * width + col
        first = np.full(height * width, -1, np.int64)
        first[target[::-1]] = np.arange(len(target))[::-1]
        same = first[target] != np.arange(len(target))
        if same.any():
            robot = int(np.argmax(same))
            return robot, int(first[target[robot]]), when, "vertex conflict"
        here = np.full(height * width, -1, np.int64)
        here[self.cell] = np.arange(len(self.cell))
        other = here[target]
        swap = (other >= 0) & (target != self.cell) & (target[np.maximum(other, 0)] == self.cell)
        if swap.any():
            robot = int(np.argmax(swap))
            return robot, int(other[robot]), when, "edge conflict"
        return None

    def _schedule(self, schedule: I64) -> None:
        fault = self._unfit(schedule)
        if fault is not None:
            self.record.schedule_errors.append(fault)
        else:
            self.assigned = schedule.copy()
        for robot in np.flatnonzero(self.assigned != self._noted).tolist():
            self.record.schedule[robot].append(f"{self.step}:{int(self.assigned[robot])}")
        self._noted = self.assigned.copy()

    def _unfit(self, schedule: I64) -> tuple[int, int, int, int, str] | None:
        when = self.step
        if len(schedule) != len(self.assigned):
            return -1, -1, -1, when, "Invalid schedule size"
        given = schedule[schedule >= 0]
        if not np.isin(given, self.pool).all() or (schedule < NO_TASK).any():
            return -1, -1, -1, when, "task already finished"
        if len(np.unique(given)) != len(given):
            return -1, -1, -1, when, "task is already assigned by the second agent at the same time"
        opened = (self.assigned >= 0) & (self.done[np.maximum(self.assigned, 0)] > 0)
        changed = opened & (schedule != self.assigned)
        if changed.any():
            robot = int(np.argmax(changed))
            return int(self.assigned[robot]), robot, -1, when, "task is already opened by the second agent"
        return None

    def _check_errands(self) -> None:
        busy = np.flatnonzero(self.assigned >= 0)
        task = self.assigned[busy]
        start, count = self.errands_of(task)
        there = self.cell[busy] == self.problem.errands[start + self.done[task]]
        self.done[task[there]] += 1
        for robot, number in zip(busy[there].tolist(), task[there].tolist(), strict=True):
            self.record.events.append((self.step, robot, number, int(self.done[number])))
        over = there & (self.done[task] == count)
        self.assigned[busy[over]] = NO_TASK
        self.pool = np.setdiff1d(self.pool, task[over], assume_unique=True)
        self.finished += int(over.sum())

    def _reveal(self) -> None:
        fresh = np.arange(len(self.done), len(self.done) + self.problem.revealed - len(self.pool))
        self.done = np.concatenate([self.done, np.zeros(len(fresh), np.int32)])
        self.pool = np.concatenate([self.pool, fresh])
        self.record.revealed_at += [self.step] * len(fresh)

    def output(self) -> dict[str, object]:
        """What the start kit's `saveResults` writes at full detail."""
        record, width = self.record, self.problem.free.shape[1]
        letters = np.frombuffer(ACTION_LETTERS.encode(), np.uint8)
        acts = letters[np.array(record.actions, np.uint8).reshape(-1, self.problem.robots)].T
        paths = [",".join(row.tobytes().decode()) for row in np.ascontiguousarray(acts)]
        planned = acts.copy()
        planned[:, record.missed] = ord("T")
        plans = [",".join(row.tobytes().decode()) for row in np.ascontiguousarray(planned)]
        ids = np.arange(len(self.done), dtype=np.int64)
        start, count = self.errands_of(ids)
        tasks = []
        for number, (first, many) in enumerate(zip(start.tolist(), count.tolist(), strict=True)):
            cells = self.problem.errands[first : first + many]
            places = np.stack([cells // width, cells % width], axis=1).ravel().tolist()
            tasks.append([number, record.revealed_at[number], places])
        schedule = [",".join(changes) for changes in record.schedule]
        return {
            "actionModel": "MAPF_T", "version": "2024 LoRR", "teamSize": self.problem.robots,
            "numTaskFinished": self.finished, "sumOfCost": self.step * self.problem.robots, "makespan": self.step,
            "numPlannerErrors": len(record.errors), "numScheduleErrors": len(record.schedule_errors),
            "numEntryTimeouts": len(record.missed),
            "start": [[int(c) // width, int(c) % width, "E"] for c in self.problem.starts],
            "actualPaths": paths, "plannerPaths": plans, "plannerTimes": record.planner_times,
            "errors": [list(e) for e in record.errors], "actualSchedule": schedule, "plannerSchedule": schedule,
            "scheduleErrors": [list(e) for e in record.schedule_errors], "events": [list(e) for e in record.events],
            "tasks": tasks,
        }  # fmt: skip

    def write(self, path: str | Path) -> None:
        Path(path).write_text(json.dumps(self.output(), separators=(",", ":")))
