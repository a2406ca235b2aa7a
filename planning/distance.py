"""Distances on the traffic grid, and what its shape allows.

The grid is a bool array `free` (H, W); a cell is the int `row * W + col`; moves go to the four cells that
share an edge. All tables are int32 over the H * W cells, so that kernels need one signature each.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aislewise.errors import InputError
from planning.jit import kernel

I32 = NDArray[np.int32]
Bool = NDArray[np.bool_]

UNREACHABLE = 1 << 28  # in tables: larger than any real distance, and safe to add to
MAX_COST = 255  # of entering one cell
MUCH, BEHIND = 8, 16  # part of all cells, and number of changes, beyond which tables are computed anew


def neighbours(free: Bool) -> I32:
    """(H * W, 4) int32: the free cells next to each free cell, packed left and padded with -1."""
    free = as_grid(free)
    height, width = free.shape
    cells = np.arange(free.size, dtype=np.int32).reshape(height, width)
    table = np.full((4, height, width), -1, dtype=np.int32)
    table[0, :, :-1] = np.where(free[:, 1:], cells[:, 1:], -1)
    table[1, :-1] = np.where(free[1:], cells[1:], -1)
    table[2, :, 1:] = np.where(free[:, :-1], cells[:, :-1], -1)
    table[3, 1:] = np.where(free[:-1], cells[:-1], -1)
    table[:, ~free] = -1
    flat = table.reshape(4, -1).T
    order = np.argsort(flat < 0, axis=1, kind="stable")
    return np.ascontiguousarray(np.take_along_axis(flat, order, axis=1))


def as_grid(free: ArrayLike) -> Bool:
    """A map as a contiguous (H, W) bool array; InputError when it is not a non-empty 2-D grid."""
    grid = np.ascontiguousarray(free, dtype=np.bool_)
    if grid.ndim != 2 or grid.size == 0:
        raise InputError("free", f"shape {grid.shape}", "a non-empty 2-D grid")
    return grid


@kernel
def bfs(nbr: I32, goal: int, dist: I32, queue: I32) -> None:
    """Steps from every cell to `goal` into `dist` (cells,); `queue` (cells,) is scratch."""
    dist[:] = UNREACHABLE
    dist[goal] = 0
    queue[0] = goal
    head, tail = 0, 1
    while head < tail:
        cell = queue[head]
        head += 1
        for k in range(4):
            other = nbr[cell, k]
            if other < 0:
                break
            if dist[other] == UNREACHABLE:
                dist[other] = dist[cell] + 1
                queue[tail] = other
                tail += 1


@kernel
def dijkstra(nbr: I32, cost: I32, goal: int, dist: I32) -> None:
    """Cost of going from every cell to `goal` into `dist` (cells,): the sum of `cost` (1 to MAX_COST) over
    the cells on the way, with the first and without the goal. So the best neighbour to go to is the one with
    the least `dist`. Dial's buckets, which suit small integers."""
    dist[:] = UNREACHABLE
    dist[goal] = 0
    buckets = np.full(MAX_COST + 1, -1, dtype=np.int32)
    entry_cell = np.empty(4 * len(dist) + 1, dtype=np.int32)
    entry_next = np.empty(4 * len(dist) + 1, dtype=np.int32)
    entry_cell[0], entry_next[0], buckets[0] = goal, -1, 0
    entries, waiting, now = 1, 1, 0
    while waiting > 0:
        entry = buckets[now % (MAX_COST + 1)]
        if entry < 0:
            now += 1
            continue
        buckets[now % (MAX_COST + 1)] = entry_next[entry]
        waiting -= 1
        cell = entry_cell[entry]
        if dist[cell] != now:
            continue  # reached more cheaply since it was queued
        for k in range(4):
            other = nbr[cell, k]
            if other < 0:
                break
            reached = now + cost[other]
            if reached < dist[other]:
                dist[other] = reached
                entry_cell[entries] = other
                bucket = reached % (MAX_COST + 1)
                entry_next[entries] = buckets[bucket]
                buckets[bucket] = entries
                entries += 1
                waiting += 1


@kernel
def _fill(sources: I32, cost: I32, goals: I32, slots: I32, pool: I32) -> None:
    """Write the table of goals[k] into pool[slots[k]]; an empty `cost` means one per step. sources: (cells, 4)
    from where each cell is entered."""
    queue = np.empty(pool.shape[1], dtype=np.int32)
    for k in range(len(goals)):
        if len(cost) == 0:
            bfs(sources, goals[k], pool[slots[k]], queue)
        else:
            dijkstra(sources, cost, goals[k], pool[slots[k]])


@kernel
def _push(heap: NDArray[np.int64], size: int, key: int) -> int:
    at = size
    while at > 0 and heap[(at - 1) // 2] > key:
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at] = key
    return size + 1


@kernel
def _pop(heap: NDArray[np.int64], size: int) -> int:
    """Take the least key, heap[0], out; the new size."""
    size -= 1
    key, at = heap[size], 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = key
    return size


@kernel
def _repair(nbr: I32, sources: I32, cost: I32, changed: I32, goals: I32, slots: I32, pool: I32) -> None:
    """Bring the tables of `goals` up to date after the ways out of the cells `changed` have changed.

    Ramalingam and Reps (J. Algorithms 21, 1996): first what has lost every neighbour that explains its distance, then
    distances of these, and of what got nearer, from the rim inwards."""
    cells = pool.shape[1]
    lost = np.zeros(cells, dtype=np.bool_)
    stack = np.empty(cells, dtype=np.int32)
    asked = np.zeros(cells, dtype=np.bool_)
    gone = np.empty(cells, dtype=np.int32)
    heap = np.empty(5 * cells + 1, dtype=np.int64)
    for g in range(len(goals)):
        dist, goal = pool[slots[g]], goals[g]
        top, count = 0, 0
        for cell in changed:
            if dist[cell] < UNREACHABLE and cell != goal:
                stack[top] = cell
                asked[cell] = True
                top += 1
        while top > 0:
            top -= 1
            cell = stack[top]
            asked[cell] = False
            if lost[cell]:
                continue
            step = cost[cell] if len(cost) else 1
            held = False
            for k in range(4):
                other = nbr[cell, k]
                if other < 0:
                    break
                if not lost[other] and dist[other] + step == dist[cell]:
                    held = True
                    break
            if held:
                continue
            lost[cell] = True
            gone[count] = cell
            count += 1
            for k in range(4):
                other = sources[cell, k]
                if other < 0:
                    break
                rise = cost[other] if len(cost) else 1
                if other != goal and not lost[other] and not asked[other] and dist[other] == dist[cell] + rise:
                    stack[top] = other
                    asked[other] = True
                    top += 1
        for x in range(count):
            dist[gone[x]] = UNREACHABLE
            lost[gone[x]] = False
        size = 0
        for x in range(count + len(changed)):
            cell = gone[x] if x < count else changed[x - count]
            if cell == goal:
                continue
            least = dist[cell]
            for k in range(4):
                other = nbr[cell, k]
                if other < 0:
                    break
                if dist[other] < UNREACHABLE:
                    least = min(least, dist[other] + (cost[cell] if len(cost) else 1))
            if least < dist[cell]:
                dist[cell] = least
                size = _push(heap, size, (np.int64(least) << 32) | cell)
        while size > 0:
            key = heap[0]
            size = _pop(heap, size)
            cell = key & 0xFFFFFFFF
            now = key >> 32
            if dist[cell] != now:
                continue
            for k in range(4):
                other = sources[cell, k]
                if other < 0:
                    break
                reached = now + (cost[other] if len(cost) else 1)
                if reached < dist[other]:
                    dist[other] = reached
                    size = _push(heap, size, (np.int64(reached) << 32) | other)


class DistanceTables:
    """Distances to goals, computed when first asked for and kept while there is room (least recently used
    goes first). `costs`: (H * W,) ints from 1 to MAX_COST of crossing each cell, None for one each: a
    distance is the sum over the cells on the way, with the first and without the goal. Cells are left any way,
    or as `redirect` says. Where a few cells close or open, tables are repaired instead of computed anew.

    `nbr` (K * H * W, 4) may hold several floors, one after the other (planning.rights): the same cells, but other ways
    between them. A goal has a table on each."""

    def __init__(self, free: Bool, costs: ArrayLike | None = None, max_bytes: int = 64 << 20) -> None:
        free = as_grid(free)
        self.nbr = self._sources = neighbours(free)
        self._free = free.ravel()
        self._capacity = max(1, max_bytes // (4 * free.size))
        self._pool: I32 = np.empty((0, free.size), dtype=np.int32)
        self._slot_of: OrderedDict[int, int] = OrderedDict()  # by floor * cells + goal
        self._unused: list[int] = []
        self._cost = np.empty(0, dtype=np.int32)
        self._changes: deque[I32] = deque(maxlen=BEHIND)  # cells whose ways out changed, the last times
        self._changed = 0  # times in all
        self._seen: dict[int, int] = {}  # slot -> how many of them its table knows
        if costs is not None:
            self.reprice(costs)

    def reprice(self, costs: ArrayLike | None) -> None:
        """Change what crossing each cell costs; tables are dropped if that differs from before."""
        cost = np.empty(0, dtype=np.int32)
        if costs is not None:
            cost = np.ascontiguousarray(costs, dtype=np.int32).ravel()
            if cost.size != self._free.size:
                raise InputError("costs", f"{cost.size} cells", f"{self._free.size} cells")
            if cost.min() < 1 or cost.max() > MAX_COST:
                raise InputError("costs", f"{cost.min()} to {cost.max()}", f"1 to {MAX_COST}")
            if cost.max() == 1:
                cost = np.empty(0, dtype=np.int32)
        if not np.array_equal(cost, self._cost):
            self._cost = cost
            self._drop()

    def redirect(self, nbr: I32, sources: I32) -> None:
        """Change where cells may be left to (`nbr`) and entered from (`sources`), both as of planning.lane_graph for
        the same free cells, on one floor or several; tables are dropped if that differs from before."""
        if not np.array_equal(nbr, self.nbr) or not np.array_equal(sources, self._sources):
            self.nbr, self._sources = nbr, sources
            self._drop()

    def reshape(self, free: Bool, nbr: I32, sources: I32) -> None:
        """Other free cells, and the ways between them as for `redirect`. Tables of goals that are closed are dropped; the
        others are repaired when they are asked for next."""
        free = as_grid(free)
        if free.size != self._free.size:
            raise InputError("free", f"{free.size} cells", f"{self._free.size} cells")
        same = nbr.shape == self.nbr.shape
        changed = np.flatnonzero((nbr != self.nbr).any(axis=1)).astype(np.int32) if same else np.arange(len(nbr), dtype=np.int32)
        self._free, self.nbr, self._sources = free.ravel(), nbr, sources
        if not len(changed):
            return
        for key in [k for k in self._slot_of if not self._free[k % free.size]]:
            self._unused.append(self._slot_of.pop(key))
        if not same or len(changed) > len(nbr) // MUCH:
            self._drop()
            return
        self._changes.append(changed)
        self._changed += 1

    def _drop(self) -> None:
        self._unused += self._slot_of.values()
        self._slot_of.clear()
        self._changes.clear()

    def _refresh(self, keys: Sequence[int]) -> None:
        """Repair these tables, all of which are kept, as far as they are behind."""
        late: dict[tuple[int, int], list[int]] = {}
        for key in keys:
            behind = self._changed - self._seen[self._slot_of[key]]
            if behind:
                late.setdefault((behind, key // self._free.size), []).append(key)
        for (behind, floor), group in late.items():
            slots = np.array([self._slot_of[k] for k in group], np.int32)
            if behind > len(self._changes):
                self._compute(group, slots)
            else:
                first = floor * self._free.size
                changed = np.unique(np.concatenate(list(self._changes)[-behind:])) - first
                changed = changed[(changed >= 0) & (changed < self._free.size)]
                goals = np.array(group, np.int32) - first
                _repair(self._of(self.nbr, floor), self._of(self._sources, floor), self._cost, changed, goals, slots, self._pool)
            self._seen.update(dict.fromkeys(slots.tolist(), self._changed))

    def _compute(self, keys: Sequence[int], slots: I32) -> None:
        floors, goals = np.divmod(np.array(keys, np.int64), self._free.size)
        for floor in np.unique(floors).tolist():
            here = floors == floor
            _fill(self._of(self._sources, floor), self._cost, goals[here].astype(np.int32), slots[here], self._pool)

    def neighbours_on(self, floor: int) -> I32:
        """(H * W, 4) int32: one floor's part of `nbr`."""
        return self._of(self.nbr, floor)

    def _of(self, table: I32, floor: int) -> I32:
        """One floor's part of `nbr` or `_sources`."""
        return table[floor * self._free.size : (floor + 1) * self._free.size]

    def to(self, goal: int, floor: int = 0) -> I32:
        """(H * W,) int32 distances to `goal`; read it before asking for others."""
        key = int(goal) + floor * self._free.size
        slot = self._slot_of.get(key)
        if slot is None:
            pool, slots = self.rows(np.array([goal]), floor)
            return cast(I32, pool[slots[0]])
        self._slot_of.move_to_end(key)
        if self._changes:
            self._refresh([key])
        return cast(I32, self._pool[slot])

    def rows(self, goals: ArrayLike, floors: ArrayLike = 0) -> tuple[I32, I32]:
        """(pool, slots): pool[slots[k]] is the table of goals[k]; slot -1 for goal -1 (no goal). floors: of each goal, or
        one for all.

        Both stay valid until the next call. InputError when a goal is not a free cell."""
        goals = np.asarray(goals, dtype=np.int64).ravel()
        good = (goals >= 0) & (goals < self._free.size)
        good &= self._free[np.where(good, goals, 0)]
        if not (good | (goals == -1)).all():
            raise InputError("goals", f"cell {int(goals[~good & (goals != -1)][0])} is not free")
        keys = np.where(good, goals + np.asarray(floors, np.int64) * self._free.size, -1).tolist()
        wanted = [k for k in dict.fromkeys(keys) if k != -1]
        for key in wanted:
            if key in self._slot_of:
                self._slot_of.move_to_end(key)
        missing = [k for k in wanted if k not in self._slot_of]
        if self._changes:
            self._refresh([k for k in wanted if k in self._slot_of])
        if missing:
            new = np.array(self._make_room(missing, len(wanted)), dtype=np.int32)
            self._compute(missing, new)
            self._seen.update(dict.fromkeys(new.tolist(), self._changed))
        slot_of = self._slot_of
        return self._pool, np.array([slot_of[k] if k != -1 else -1 for k in keys], dtype=np.int32)

    def _make_room(self, missing: Sequence[int], wanted: int) -> list[int]:
        """A slot for each missing table: unused ones, then a larger pool, then the oldest."""
        capacity = max(self._capacity, wanted)
        need = min(capacity, len(self._slot_of) + len(missing))
        if need > len(self._pool):
            grown = np.empty((min(capacity, max(need, 2 * len(self._pool))), self._free.size), np.int32)
            grown[: len(self._pool)] = self._pool
            self._unused += range(len(self._pool), len(grown))
            self._pool = grown
        slots = []
        for key in missing:
            slot = self._unused.pop() if self._unused else self._slot_of.popitem(last=False)[1]
            self._slot_of[key] = slot
            slots.append(slot)
        return slots


@kernel
def _blocks(nbr: I32, component: I32, cut: Bool, cyclic: Bool) -> int:
    """Hopcroft and Tarjan (1973) on every component: labels, cut vertices, and whether a cell lies on a
    cycle. Returns the number of components; cells without neighbours are one each if marked -2."""
    cells = len(nbr)
    depth = np.full(cells, -1, dtype=np.int32)
    low = np.zeros(cells, dtype=np.int32)
    cursor = np.zeros(cells, dtype=np.int32)
    path = np.empty(cells, dtype=np.int32)
    components = 0
    for root in range(cells):
        if component[root] != -2:
            continue
        top, root_children = 0, 0
        path[0] = root
        depth[root] = low[root] = 0
        component[root] = components
        while top >= 0:
            cell = path[top]
            other = nbr[cell, cursor[cell]] if cursor[cell] < 4 else -1
            cursor[cell] += 1
            if other >= 0 and depth[other] < 0:
                depth[other] = low[other] = depth[cell] + 1
                component[other] = components
                top += 1
                path[top] = other
            elif other >= 0:
                if top == 0 or other != path[top - 1]:
                    low[cell] = min(low[cell], depth[other])
            else:
                top -= 1
                if top < 0:
                    break
                parent = path[top]
                low[parent] = min(low[parent], low[cell])
                if low[cell] >= depth[parent]:
                    root_children += parent == root
                    cut[parent] |= parent != root
                if low[cell] <= depth[parent]:  # the edge to the parent is no bridge
                    cyclic[cell] = cyclic[parent] = True
        cut[root] = root_children > 1
        components += 1
    return components


@dataclass(frozen=True, slots=True)
class Spur:
    """Connected cells that lie on no cycle: two robots that meet head-on inside cannot pass.

    kind: "dead_end" (at most one mouth) or "corridor" (joins several parts of the map);
    mouths: the cells on cycles that it touches; cells: its own."""

    kind: str
    mouths: tuple[int, ...]
    cells: tuple[int, ...]


@dataclass(frozen=True)
class Connectivity:
    """What the grid promises. components: sizes, largest first; label: (H * W,) int32 component of each
    cell in that order, -1 closed; cut_cells: cells whose closure splits their component; spurs.

    PIBT reaches every goal when the component is biconnected (Okumura et al. 2022, theorem 1), that is
    when it has no cut cells."""

    components: tuple[int, ...]
    label: I32
    cut_cells: tuple[int, ...]
    spurs: tuple[Spur, ...]

    @property
    def biconnected(self) -> bool:
        return len(self.components) == 1 and not self.cut_cells and not self.spurs

    @property
    def dead_ends(self) -> tuple[Spur, ...]:
        return tuple(s for s in self.spurs if s.kind == "dead_end")


def connectivity(free: Bool) -> Connectivity:
    """Components, cut cells and spurs of the grid."""
    free = as_grid(free)
    nbr = neighbours(free)
    raw = np.where(free.ravel(), -2, -1).astype(np.int32)
    cut, cyclic = np.zeros(free.size, dtype=np.bool_), np.zeros(free.size, dtype=np.bool_)
    count = _blocks(nbr, raw, cut, cyclic)
    sizes = np.bincount(raw[raw >= 0], minlength=count)
    order = np.argsort(-sizes, kind="stable")
    rank = np.empty(count + 1, dtype=np.int32)
    rank[order], rank[-1] = np.arange(count), -1
    return Connectivity(
        components=tuple(int(n) for n in sizes[order]),
        label=rank[raw],
        cut_cells=tuple(int(c) for c in np.flatnonzero(cut)),
        spurs=_spurs(free, nbr, cyclic),
    )


def _spurs(free: Bool, nbr: I32, cyclic: Bool) -> tuple[Spur, ...]:
    from scipy.ndimage import label  # here, because scipy.ndimage is slow to import

    groups, count = label(free & ~cyclic.reshape(free.shape))
    spurs = []
    cells = np.flatnonzero(groups)
    by_group: list[list[int]] = [[] for _ in range(count)]
    for cell in cells.tolist():
        by_group[groups.flat[cell] - 1].append(cell)
    for group in by_group:
        around = {int(c) for cell in group for c in nbr[cell] if c >= 0 and cyclic[c]}
        kind = "dead_end" if len(around) <= 1 else "corridor"
        spurs.append(Spur(kind, tuple(sorted(around)), tuple(group)))
    return tuple(spurs)


def largest_component(free: Bool) -> Bool:
    """(H, W) bool: the largest connected part of `free` (all False when nothing is free)."""
    free = as_grid(free)
    label: NDArray[Any] = connectivity(free).label.reshape(free.shape)
    return free & (label == 0)
