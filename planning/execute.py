"""Execution: which cells of the joint plan may each robot enter now?

An action dependency graph (Hönig et al., "Persistent and robust execution of MAPF schedules in warehouses",
RA-L 2019), kept per cell: every cell has a queue of the robots that pass it, in the order of the plan. The
head of the queue holds the cell; a robot is released into a cell when it heads the queue and holds all
cells on its way there. How fast anyone drives never matters, only who goes first, and as the plan is made
of joint steps without closed rings, somebody can always go: late robots cause waiting, not collisions.

The order in a queue is never changed: with turns given out a few cells ahead, nearly all who wait do so for a cell that is
held already, and that cannot be given to another. Instead turns are taken back and planned anew (planning.fleet).
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aislewise.errors import ConflictError, InputError, NotFoundError


@dataclass(slots=True, eq=False)
class _Visit:
    """One passage of one robot through one cell."""

    robot: str
    cell: int


@dataclass(slots=True)
class _Track:
    """One robot's visits: the cell where it stands, then those it will pass; the first `held` are its own.

    Their cells are asked for several times a tick, and most robots get none and lose none: they are kept until `changed`."""

    visits: deque[_Visit]
    held: int = 1
    _cells: tuple[int, ...] | None = None
    _own: tuple[int, ...] | None = None

    def changed(self) -> None:
        self._cells = self._own = None

    def cells(self) -> tuple[int, ...]:
        if self._cells is None:
            self._cells = tuple([visit.cell for visit in self.visits])
        return self._cells

    def own(self) -> tuple[int, ...]:
        if self._own is None:
            self._own = self.cells()[: self.held]
        return self._own


@dataclass
class ReleaseGraph:
    """Cells committed and released to robots on the grid `free` (H, W) bool.

    lookahead: at most so many cells beyond the one a robot stands in are committed to it.

    One tick of the fleet: `left_behind` for every robot that has moved; `retract` what has become blocked;
    plan from every `end_cell`; `extend` with that plan; drive what `held` says."""

    free: NDArray[np.bool_]
    lookahead: int = field(default=3, kw_only=True)

    def __post_init__(self) -> None:
        if self.lookahead < 1:
            raise InputError("lookahead", f"{self.lookahead}", "at least 1")
        self._open = np.asarray(self.free, dtype=np.bool_).ravel()
        self._tracks: dict[str, _Track] = {}
        self._queues: dict[int, deque[_Visit]] = {}

    @property
    def robots(self) -> tuple[str, ...]:
        return tuple(self._tracks)

    def reset_robot(self, robot: str, cell: int) -> None:
        """The robot stands in `cell` and has nothing else: new, or found again after a fault.

        What others were to pass after it is taken back from them. InputError if the cell is not free,
        ConflictError if another robot holds it."""
        cell = int(cell)
        if not (0 <= cell < self._open.size and self._open[cell]):
            raise InputError("cell", f"{cell} is not free")
        queue = self._queues.get(cell)
        head = queue[0] if queue else None
        if head and head.robot != robot and head in self._held_visits(head.robot):
            raise ConflictError(f"cell {cell} is held by {head.robot}")
        if robot in self._tracks:
            self.remove_robot(robot)
        for visit in list(self._queues.get(cell, ())):
            track = self._tracks[visit.robot]
            if visit in track.visits:  # not yet cut with an earlier one
                self._shorten(visit.robot, track.visits.index(visit))
        self._tracks[robot] = _Track(deque([self._enqueue(robot, cell)]))

    def remove_robot(self, robot: str) -> None:
        """Forget the robot and free all its cells (it has left the floor)."""
        for visit in self._track(robot).visits:
            self._dequeue(visit)
        del self._tracks[robot]

    def held(self, robot: str) -> tuple[int, ...]:
        """The cell it stands in and those released ahead of it, in driving order."""
        return self._track(robot).own()

    def committed(self, robot: str) -> tuple[int, ...]:
        """All its cells: those it holds, then those planned behind robots that pass first."""
        return self._track(robot).cells()

    def end_cell(self, robot: str) -> int:
        """Where it will stop if nothing is added: the planner's start. No two robots share one."""
        return self._track(robot).visits[-1].cell

    def head(self, cell: int) -> str:
        """Who is to pass the cell first; "" if nobody is to."""
        queue = self._queues.get(cell)
        return queue[0].robot if queue else ""

    def left_behind(self, robot: str, reached_cells: int) -> None:
        """The robot now stands in the `reached_cells`-th cell released to it; those before are free."""
        track = self._track(robot)
        if not 0 <= reached_cells < track.held:
            raise InputError("reached_cells", f"{reached_cells}", f"0 to {track.held - 1}")
        for _ in range(reached_cells):
            self._dequeue(track.visits.popleft())
        track.held -= reached_cells
        track.changed()

    def withdraw(self, robot: str, keep: int) -> None:
        """Take back all cells beyond the first `keep` ahead of it, which the robot has confirmed not to
        have entered, and what others were to pass after it."""
        if keep < 0:
            raise InputError("keep", f"{keep}", "at least 0")
        self._shorten(robot, min(len(self._track(robot).visits), 1 + keep))

    def retract(self, blocked: ArrayLike) -> list[str]:
        """Take back cells that are committed but not yet released and are `blocked` (H * W,) bool, and all
        that depends on them. Returns the robots that lost cells."""
        shut = self._flags(blocked)
        before = {robot: len(track.visits) for robot, track in self._tracks.items()}
        for robot, track in self._tracks.items():
            if len(track.visits) == track.held:
                continue
            pending = list(track.visits)[track.held :]
            for place, visit in enumerate(pending, start=track.held):
                if shut[visit.cell]:
                    self._shorten(robot, place)
                    break
        return [robot for robot, track in self._tracks.items() if len(track.visits) < before[robot]]

    def extend(self, robots: Sequence[str], paths: ArrayLike, blocked: ArrayLike) -> dict[str, list[int]]:
        """Commit as much of a plan as `lookahead` allows, then release what is safe.

        robots: one name per column of paths (T + 1, N), which start at the robots' end cells (a column that
        does not is left out, and so is whoever would follow it). blocked: (H * W,) bool, never entered.
        Returns the newly released cells by robot, in driving order."""
        plan = np.asarray(paths, dtype=np.int64)
        if plan.ndim != 2 or plan.shape[1] != len(robots):
            raise InputError("paths", f"shape {plan.shape}", f"(steps, {len(robots)})")
        if plan.size and (plan.min() < 0 or plan.max() >= self._open.size or not self._open[plan].all()):
            raise InputError("paths", "a cell is not free")
        shut = self._flags(blocked)
        self._commit(robots, plan, shut)
        return self._release(shut)

    def _commit(self, robots: Sequence[str], plan: NDArray[np.int64], shut: NDArray[np.bool_]) -> None:
        """Append the plan's moves, step by step. A robot commits nothing more after its first move that has
        to be refused, nor does anyone who would enter the cell it then stays in: what is committed is always
        a sequence of joint steps from which the next plan can start."""
        standing = {self.end_cell(robot) for robot in self._tracks}
        first = plan[0].tolist() if len(plan) else []
        going = {r for r, cell in zip(robots, first, strict=False) if self.end_cell(r) == cell}
        for before, after in itertools.pairwise(plan):
            wants: dict[int, str] = {}
            moving = np.flatnonzero(after != before)
            for k, cell, closed in zip(moving.tolist(), after[moving].tolist(), shut[after[moving]].tolist(), strict=True):
                robot = robots[k]
                if robot not in going:
                    continue
                if closed or cell in wants or len(self._tracks[robot].visits) > self.lookahead:
                    going.discard(robot)
                else:
                    wants[cell] = robot
            ready = [cell for cell in wants if cell not in standing]
            while ready:  # leaders first: each move makes room for the one that follows
                cell = ready.pop()
                robot = wants.pop(cell)
                left = self.end_cell(robot)
                self._tracks[robot].visits.append(self._enqueue(robot, cell))
                self._tracks[robot].changed()
                standing.discard(left)
                standing.add(cell)
                if left in wants:
                    ready.append(left)
            going.difference_update(wants.values())

    def _release(self, shut: NDArray[np.bool_]) -> dict[str, list[int]]:
        released: dict[str, list[int]] = {}
        for robot, track in self._tracks.items():
            if len(track.visits) == track.held:
                continue
            for visit in list(track.visits)[track.held :]:
                if self._queues[visit.cell][0] is not visit or shut[visit.cell]:
                    break
                track.held += 1
                track.changed()
                released.setdefault(robot, []).append(visit.cell)
        return released

    def _shorten(self, robot: str, length: int) -> None:
        """Keep the robot's first `length` visits. Whoever was to pass its new last cell after it now has to
        stop before that, and so on."""
        pending = [(robot, length)]
        while pending:
            name, length = pending.pop()
            track = self._tracks[name]
            while len(track.visits) > length:
                self._dequeue(track.visits.pop())
            track.held = min(track.held, length)
            track.changed()
            last = track.visits[-1]
            queue = self._queues[last.cell]
            for visit in list(queue)[queue.index(last) + 1 :]:
                pending.append((visit.robot, self._tracks[visit.robot].visits.index(visit)))

    def _enqueue(self, robot: str, cell: int) -> _Visit:
        visit = _Visit(robot, cell)
        self._queues.setdefault(cell, deque()).append(visit)
        return visit

    def _dequeue(self, visit: _Visit) -> None:
        queue = self._queues[visit.cell]
        queue.remove(visit)
        if not queue:
            del self._queues[visit.cell]

    def _held_visits(self, robot: str) -> list[_Visit]:
        track = self._track(robot)
        return list(track.visits)[: track.held]

    def _flags(self, blocked: ArrayLike) -> NDArray[np.bool_]:
        flags = np.asarray(blocked, dtype=np.bool_).ravel()
        if flags.size != self._open.size:
            raise InputError("blocked", f"{flags.size} cells", f"{self._open.size} cells")
        return flags

    def _track(self, robot: str) -> _Track:
        track = self._tracks.get(robot)
        if track is None:
            raise NotFoundError(f"no robot {robot!r} on the floor")
        return track
