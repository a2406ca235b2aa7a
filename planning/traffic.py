"""Traffic of the fleet, planned over and over: where does every robot go in the next few steps?"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aislewise.errors import InputError
from aislewise.types import U8
from planning.distance import I32, MAX_COST, UNREACHABLE, Bool, DistanceTables, as_grid, connectivity, neighbours
from planning.pibt import PRIORITY_BITS, pibt_run, seed_state
from planning.rights import Floors

BLOCKED_COST = 8  # steps of detour worth taking at once round a blocked cell


class TrafficPlanner:
    """Collision-free steps for a fleet, re-planned at every call; remembers who has waited for how long, so
    that everyone gets its turn, and how long cells have been blocked, so that a person is waited for and a
    pallet left behind is driven round.

    Where the free cells are biconnected and at least one is empty, every robot reaches its goal; the swap
    step extends this to most one-wide dead ends (`distance.connectivity` names them). With one-way lanes the same holds
    where each move lies on a cycle of at least three cells (planning.graph_check)."""

    def __init__(self, free: Bool, seed: int = 0, *, allow_rotation: bool = False, table_bytes: int = 64 << 20) -> None:
        self._free = as_grid(free)
        self._tables = DistanceTables(self._free, max_bytes=table_bytes)
        self._leave: U8 | None = None
        self._floors = self._everywhere = Floors(self._free)
        self._rotate = allow_rotation
        self._rng = seed_state(seed)
        self._names: list[Hashable] = []
        self._waited: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._blocked_for: NDArray[np.int64] = np.zeros(self._free.size, dtype=np.int64)
        self._depth = _dead_end_depth(self._free)

    def plan(
        self,
        starts: ArrayLike,
        goals: ArrayLike,
        priorities: ArrayLike | None = None,
        fixed: ArrayLike | None = None,
        blocked: ArrayLike | None = None,
        horizon: int = 8,
        *,
        dwell: ArrayLike | None = None,
        costs: ArrayLike | None = None,
        names: Sequence[Hashable] | None = None,
        headings: ArrayLike | None = None,
        detours: bool = True,
        leave: U8 | None = None,
        floors: Floors | None = None,
        floor_of: ArrayLike | None = None,
    ) -> I32:
        """Paths (horizon + 1, N) int32 of cells, row 0 = starts; each step is a safe joint move.

        starts: (N,) distinct free cells. goals: (N,) cells, -1 = none: the robot stays unless pushed.
        priorities: (N,) ints >= 0; higher goes first, then who has waited longest. fixed: (N,) bool, robots
        that do not move and are not pushed. dwell: (N,) bool, robots that become fixed once on their goal.
        blocked: (H * W,) bool, cells nobody enters now. costs: (H * W,) ints 1 to MAX_COST of crossing
        each cell (wet floor, congestion). names: identity of each robot between calls, if the number of
        robots may change. headings: (N,) where each robot looks, as the difference to the cell ahead, 0 =
        unknown: of ways as short, robots take the one with fewer corners; None: corners do not matter. detours: routes
        lead round blocked cells; else they are waited for, however long. leave: (H, W) directions in which cells may be
        left (aislewise.lanes), None = any. floors: where robots of each class may drive, None = all everywhere; floor_of: (N,)
        the class of each, None = 0 for all. Nobody enters a cell outside its floor, pushed or not. Raises InputError."""
        if horizon < 1:
            raise InputError("horizon", f"{horizon}", "at least 1")
        now = self._cells("starts", starts)
        count = len(now)
        if np.count_nonzero(np.bincount(now)) != count:
            raise InputError("starts", "two robots in one cell")
        targets = self._cells("goals", goals, count, none=True)
        shut = _flags("blocked", blocked, self._free.size)
        keys: list[Hashable] = list(names if names is not None else range(count))
        urgency = np.zeros(count, np.int64) if priorities is None else np.asarray(priorities, np.int64)
        if len(keys) != count or len(urgency) != count:
            raise InputError("names" if len(keys) != count else "priorities", "wrong length", count)
        if names is not None and keys != self._names and len(set(keys)) != count:
            raise InputError("names", "two robots of one name")

        self._redirect(leave, self._everywhere if floors is None else floors)
        classes = self._classes(floor_of, count)
        self._tables.reprice(self._prices(shut if detours else np.zeros_like(shut), costs))
        pool, slots = self._rows(now, targets, classes)
        paths = np.empty((horizon + 1, count), dtype=np.int32)
        paths[0] = now
        limit = (1 << PRIORITY_BITS) - 1
        pibt_run(
            self._tables.nbr, pool, slots, self._depth, self._headings(headings, count), headings is not None,
            _flags("fixed", fixed, count), _flags("dwell", dwell, count), shut, self._rotate,
            np.clip(urgency, 0, limit), self._wait(keys, now, targets), sum(self._free.shape), paths, self._rng,
            (classes * self._free.size).astype(np.int32),
        )  # fmt: skip
        return paths

    def _redirect(self, leave: U8 | None, floors: Floors) -> None:
        same = leave is self._leave or (leave is not None and self._leave is not None and np.array_equal(leave, self._leave))
        if same and floors is self._floors:
            return
        if floors is not self._floors:
            self._depth = np.concatenate([_dead_end_depth(may) for may in floors.may])
        self._leave, self._floors = leave, floors
        self._tables.redirect(floors.neighbours(self._free, leave), floors.sources(self._free, leave))

    def _rows(self, now: I32, targets: I32, classes: NDArray[np.int64]) -> tuple[I32, I32]:
        """(pool, slots) as of DistanceTables.rows; -1 also where there is no way to the goal. Robots by the thousand share
        goals: each is looked up once."""
        keys, which = np.unique(np.where(targets < 0, -1, targets + classes * self._free.size), return_inverse=True)
        pool, slots = self._tables.rows(np.where(keys < 0, -1, keys % self._free.size), keys // self._free.size)
        slots = slots[which]
        aiming = np.flatnonzero(slots >= 0)
        slots[aiming[pool[slots[aiming], now[aiming]] >= UNREACHABLE]] = -1
        return pool, slots

    def _classes(self, floor_of: ArrayLike | None, count: int) -> NDArray[np.int64]:
        classes = np.zeros(count, np.int64) if floor_of is None else np.array(floor_of, np.int64).ravel()
        if len(classes) != count:
            raise InputError("floor_of", f"{len(classes)} classes", count)
        if count and not 0 <= classes.min() <= classes.max() < len(self._floors):
            raise InputError("floor_of", f"{classes.min()} to {classes.max()}", f"0 to {len(self._floors) - 1}")
        return classes

    def _wait(self, keys: list[Hashable], now: I32, targets: I32) -> NDArray[np.int64]:
        """Calls since each robot last stood on its goal, this one included."""
        if keys != self._names:
            before = dict(zip(self._names, self._waited.tolist(), strict=True))
            self._waited = np.array([before.get(key, 0) for key in keys], dtype=np.int64)
            self._names = keys
        self._waited = np.where((now == targets) | (targets < 0), 0, self._waited + 1)
        return np.minimum(self._waited, (1 << (PRIORITY_BITS - 1)) - 1)

    def _prices(self, blocked: Bool, costs: ArrayLike | None) -> NDArray[np.int64] | None:
        """Cost of crossing each cell. That of a blocked one doubles with the time it has been blocked."""
        if not blocked.any():
            self._blocked_for[:] = 0
            return None if costs is None else np.array(costs, np.int64).ravel()
        self._blocked_for = np.where(blocked, self._blocked_for + 1, 0)
        base = np.ones(self._free.size, np.int64) if costs is None else np.asarray(costs, np.int64).ravel()
        patience = BLOCKED_COST << np.minimum(np.log2(np.maximum(self._blocked_for, 1)).astype(np.int64), 5)
        return np.where(blocked, np.minimum(base + patience, MAX_COST), base)

    def _cells(self, field: str, cells: ArrayLike, count: int | None = None, none: bool = False) -> I32:
        array = np.asarray(cells, dtype=np.int64).ravel()
        if count is not None and len(array) != count:
            raise InputError(field, f"{len(array)} cells", count)
        inside = (array >= 0) & (array < self._free.size)
        good = inside & self._free.ravel()[np.where(inside, array, 0)]
        if none:
            good |= array == -1
        if not good.all():
            raise InputError(field, f"cell {int(array[~good][0])} is not free")
        return array.astype(np.int32)

    def _headings(self, headings: ArrayLike | None, count: int) -> I32:
        steps = np.zeros(count, np.int64) if headings is None else np.array(headings, np.int64).ravel()
        if len(steps) != count:
            raise InputError("headings", f"{len(steps)} steps", count)
        return steps.astype(np.int32)


def _dead_end_depth(free: Bool) -> I32:
    """(H * W,) int32: steps from each cell to the nearest that lies on a cycle; 0 if there is none."""
    depth, nbr = np.zeros(free.size, dtype=np.int32), neighbours(free)
    for spur in connectivity(free).dead_ends:
        inside, front, level = set(spur.cells), list(spur.mouths), 0
        while front:
            level += 1
            front = [int(c) for cell in front for c in nbr[cell] if int(c) in inside]
            inside.difference_update(front)
            depth[front] = level
    return depth


def _flags(field: str, flags: ArrayLike | None, count: int) -> Bool:
    if flags is None:
        return np.zeros(count, dtype=np.bool_)
    array = np.ascontiguousarray(flags, dtype=np.bool_).ravel()
    if array.size != count:
        raise InputError(field, f"{array.size} flags", count)
    return array
