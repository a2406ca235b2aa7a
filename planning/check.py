"""The independent checker of plans: it shares no code with the planners it judges, and uses numpy only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAX_VIOLATIONS = 1000


@dataclass(frozen=True, slots=True)
class Violation:
    """kind: shape, start, goal, obstacle (a cell that is closed or off the map), jump (a move that is
    neither a wait nor to a cell that shares an edge), vertex (two in one cell), swap (two through one edge),
    following (into a cell that another is just leaving), rotation (round a closed ring in lockstep),
    held (one cell held by two robots), lane (out of a cell in a direction that it may not be left in), rights (into a
    cell that the robot may not enter).
    agents: indices or names; cell: where (-1 unknown); step: row of the plan, or place in the held cells."""

    kind: str
    agents: tuple[int | str, ...]
    cell: int
    step: int

    def __str__(self) -> str:
        who = " and ".join(str(a) for a in self.agents)
        return f"{self.kind}: {who} at cell {self.cell}, step {self.step}"


def check_paths(
    free: ArrayLike,
    starts: ArrayLike,
    goals: ArrayLike | None,
    paths: ArrayLike,
    *,
    allow_following: bool = True,
    allow_rotation: bool = True,
) -> list[Violation]:
    """What is wrong with a joint plan; empty if nothing is (at most MAX_VIOLATIONS are listed).

    free: (H, W) bool. starts, goals: (N,) cells; a goal -1 asks for nothing, None asks of nobody.
    paths: (T + 1, N) integer cells, row t = where everyone is at step t."""
    grid = np.asarray(free, dtype=bool)
    plan = np.asarray(paths)
    first = np.asarray(starts).ravel()
    wrong_shape = [Violation("shape", (), -1, 0)]
    if grid.ndim != 2 or plan.ndim != 2 or plan.shape[1] != len(first) or not len(plan):
        return wrong_shape
    if plan.size and not np.issubdtype(plan.dtype, np.integer):
        return wrong_shape
    found: list[Violation] = []
    for agent in np.flatnonzero(plan[0] != first).tolist():
        found.append(Violation("start", (agent,), int(plan[0, agent]), 0))
    if goals is not None:
        last = np.asarray(goals).ravel()
        if len(last) != len(first):
            return wrong_shape
        for agent in np.flatnonzero((plan[-1] != last) & (last != -1)).tolist():
            found.append(Violation("goal", (agent,), int(plan[-1, agent]), len(plan) - 1))
    found += _off_grid(grid, plan)
    for step in range(len(plan)):
        if len(found) >= MAX_VIOLATIONS:
            break
        found += _same_cell(plan[step], step)
        if step:
            found += _bad_moves(grid.shape[1], plan[step - 1], plan[step], step)
            found += _meetings(plan[step - 1], plan[step], step, allow_following, allow_rotation)
    return found[:MAX_VIOLATIONS]


def check_lanes(leave: ArrayLike, paths: ArrayLike) -> list[Violation]:
    """Moves of paths (T + 1, N) against one-way lanes. leave: (H, W) directions in which each cell may be left, a sum of
    1 east (column + 1), 2 north (row + 1), 4 west and 8 south."""
    ways = np.asarray(leave, dtype=np.int64)
    plan = np.asarray(paths, dtype=np.int64)
    width = ways.shape[1]
    step = plan[1:] - plan[:-1]
    needed = np.select([step == 0, step == 1, step == width, step == -1, step == -width], [0, 1, 2, 4, 8], 0)
    wrong = (ways.ravel()[plan[:-1]] & needed) != needed
    return [Violation("lane", (agent,), int(plan[at, agent]), at + 1) for at, agent in np.argwhere(wrong)[:MAX_VIOLATIONS].tolist()]


class Layer(Protocol):
    """As of aislewise.lanes: codes (H, W), 0 = nothing is said, k = values[k - 1]."""

    @property
    def codes(self) -> NDArray[np.uint8]: ...


class Names(Layer, Protocol):
    @property
    def values(self) -> Sequence[Collection[str]]: ...


class Widths(Layer, Protocol):
    @property
    def values(self) -> Sequence[int]: ...


def check_rights(
    only: Names | None,
    width_cells: Widths | None,
    skills: Mapping[str, Collection[str]],
    widths: Mapping[str, int],
    ways: Mapping[str, ArrayLike],
) -> list[Violation]:
    """Robots that enter cells where they may not be. ways: robot -> the cells it is in one after the other; as long as it has
    been in such cells from the first on, it is on its way out of where somebody put it.

    only: which skills, one of them, a robot must have; width_cells: how wide it may be (aislewise.lanes.Lanes). skills: robot
    -> names, none if not said; widths: robot -> cells, 1 if not said."""
    found: list[Violation] = []
    for robot, cells in ways.items():
        way = np.asarray(cells, dtype=np.int64).ravel()
        wrong = np.zeros(len(way), dtype=bool)
        if only is not None:
            mine = set(skills.get(robot, ()))
            wrong |= np.array([False, *(mine.isdisjoint(names) for names in only.values)])[only.codes.ravel()[way]]
        if width_cells is not None:
            most = np.array([np.inf, *width_cells.values])[width_cells.codes.ravel()[way]]
            wrong |= most < widths.get(robot, 1)
        leaving = np.logical_and.accumulate(wrong)
        found += [Violation("rights", (robot,), int(way[at]), at) for at in np.flatnonzero(wrong & ~leaving).tolist()]
        if len(found) >= MAX_VIOLATIONS:
            break
    return found[:MAX_VIOLATIONS]


def _off_grid(grid: NDArray[np.bool_], plan: NDArray[np.integer]) -> list[Violation]:
    inside = (plan >= 0) & (plan < grid.size)
    bad = ~(inside & grid.ravel()[np.where(inside, plan, 0)])
    places = np.argwhere(bad)[:MAX_VIOLATIONS].tolist()
    return [Violation("obstacle", (agent,), int(plan[step, agent]), step) for step, agent in places]


def _same_cell(here: NDArray[np.integer], step: int) -> list[Violation]:
    order = np.argsort(here, kind="stable")
    twins = np.flatnonzero(here[order][1:] == here[order][:-1])
    return [
        Violation("vertex", (int(order[k]), int(order[k + 1])), int(here[order[k]]), step) for k in twins
    ]


def _bad_moves(
    width: int, before: NDArray[np.integer], after: NDArray[np.integer], step: int
) -> list[Violation]:
    rows = np.abs(before // width - after // width)
    cols = np.abs(before % width - after % width)
    jumps = np.flatnonzero(rows + cols > 1).tolist()
    return [Violation("jump", (agent,), int(after[agent]), step) for agent in jumps]


def _meetings(
    before: NDArray[np.integer], after: NDArray[np.integer], step: int, following: bool, rotation: bool
) -> list[Violation]:
    """Conflicts between agents that enter cells which others leave in the same step."""
    moving = np.flatnonzero(before != after)
    agents = moving.tolist()
    was_in = dict(zip(before[moving].tolist(), agents, strict=True))
    ahead = {agent: was_in[cell] for agent, cell in zip(agents, after[moving].tolist(), strict=True) if cell in was_in}
    found = []
    for agent, leader in ahead.items():
        if after[leader] == before[agent]:
            if agent < leader:
                found.append(Violation("swap", (agent, leader), int(after[agent]), step))
        elif not following:
            found.append(Violation("following", (agent, leader), int(after[agent]), step))
    if not rotation:
        found += [
            Violation("rotation", tuple(ring), int(before[ring[0]]), step)
            for ring in _rings(ahead)
            if len(ring) > 2
        ]
    return found


def _rings(ahead: Mapping[int, int]) -> list[list[int]]:
    """The closed rings of a map from each agent to the one whose cell it enters."""
    rings, seen = [], set[int]()
    for start in ahead:
        trail: list[int] = []
        agent: int | None = start
        while agent is not None and agent not in seen:
            seen.add(agent)
            trail.append(agent)
            agent = ahead.get(agent)
        if agent in trail:
            rings.append(trail[trail.index(agent) :])
    return rings


def check_release(free: ArrayLike, held: Mapping[str, Sequence[int]]) -> list[Violation]:
    """What is wrong with the cells that robots hold: held[robot] is the cell it stands in, then those
    released to it, in driving order. Each must be free, next to the one before, and held by one robot."""
    grid = np.asarray(free, dtype=bool)
    width = grid.shape[1]
    is_free = grid.tobytes()
    owner: dict[int, str] = {}
    found = []
    for robot, cells in held.items():
        for place, cell in enumerate(cells):
            if not (0 <= cell < grid.size and is_free[cell]):
                found.append(Violation("obstacle", (robot,), int(cell), place))
            if place:
                previous = cells[place - 1]
                rows, cols = abs(cell // width - previous // width), abs(cell % width - previous % width)
                if rows + cols != 1:
                    found.append(Violation("jump", (robot,), int(cell), place))
            other = owner.setdefault(int(cell), robot)
            if other != robot:
                found.append(Violation("held", (other, robot), int(cell), place))
    return found
