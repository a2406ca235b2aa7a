"""Costs to go over (cell, heading), one table per goal, computed when first asked for.

Only free cells are numbered: `Roads.number` maps a cell of the grid to its road number, -1 = closed. A state is
`number * 4 + heading`; headings 0 to 3 are +column, +row, -column, -row (east, south, west, north). Movers that do
not turn have one state per cell. Tables are uint16, so ten thousand goals on a floor of 40,000 cells take 3 GB.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aislewise.errors import InputError
from planning.distance import as_grid
from planning.jit import kernel

I32 = NDArray[np.int32]
U16 = NDArray[np.uint16]
Bool = NDArray[np.bool_]

FAR = 65535
"""In tables: no way, or farther than fits."""
UNIT = 4
"""Cost of one step where guidance has nothing to say; guidance is a few units more or less."""
MAX_STEP_COST = 255


class Roads:
    """The free cells of a grid, numbered, and where each heading leads from them.

    cells (F,): grid cells; number (H * W,): the inverse; ahead (F, 4): road number of the next cell, -1 = none."""

    def __init__(self, free: ArrayLike) -> None:
        grid = as_grid(free)
        self.height, self.width = grid.shape
        self.cells: I32 = np.flatnonzero(grid.ravel()).astype(np.int32)
        self.number: I32 = np.full(grid.size, -1, np.int32)
        self.number[self.cells] = np.arange(len(self.cells), dtype=np.int32)
        padded = np.full((self.height + 2, self.width + 2), -1, np.int32)
        padded[1:-1, 1:-1] = self.number.reshape(grid.shape)
        row, col = self.cells // self.width + 1, self.cells % self.width + 1
        self.ahead: I32 = np.ascontiguousarray(
            np.stack([padded[row, col + 1], padded[row + 1, col], padded[row, col - 1], padded[row - 1, col]], axis=1)
        )

    def __len__(self) -> int:
        return len(self.cells)

    def numbers(self, field: str, cells: ArrayLike) -> I32:
        """Road numbers of grid cells; -1 stays -1 (none). InputError when a cell is not free."""
        array = np.asarray(cells, np.int64).ravel()
        inside = (array >= 0) & (array < len(self.number))
        found = np.where(inside, self.number[np.where(inside, array, 0)], -1)
        bad = (found < 0) & (array != -1)
        if bad.any():
            raise InputError(field, f"cell {int(array[bad][0])} is not free")
        return found.astype(np.int32)


@kernel
def _fill(ahead: I32, price: I32, turn: int, turning: bool, goal: int, table: U16, entry_state: I32, entry_next: I32) -> None:
    """Cost from every state to `goal` with any heading, by Dial's buckets backwards from the goal."""
    headings = 4 if turning else 1
    table[:] = FAR
    ring = 256
    buckets = np.full(ring, -1, dtype=np.int32)
    entries = 0
    for h in range(headings):
        table[goal * headings + h] = 0
        entry_state[entries] = goal * headings + h
        entry_next[entries] = buckets[0]
        buckets[0] = entries
        entries += 1
    waiting, now, idle = entries, 0, -1
    while waiting > 0:
        slot = now % ring
        entry = buckets[slot]
        if entry < 0:
            now += 1
            continue
        buckets[slot] = entry_next[entry]
        state = entry_state[entry]
        entry_next[entry] = idle  # entries are used again: what waits at once is never much
        idle = entry
        waiting -= 1
        if table[state] != now:
            continue  # reached more cheaply since it was queued
        cell, heading = state // headings, state % headings
        for k in range(6):
            if k < 4:
                if turning and k != heading:
                    continue
                behind = ahead[cell, (k + 2) & 3]
                if behind < 0:
                    continue
                other = behind * headings + heading
                reached = now + price[behind, k]
            else:
                if not turning:
                    break
                other = cell * 4 + ((heading + (1 if k == 4 else 3)) & 3)
                reached = now + turn
            if reached < table[other] and reached < FAR:
                table[other] = reached
                if idle >= 0:
                    fresh = idle
                    idle = entry_next[idle]
                else:
                    fresh = entries
                    entries += 1
                entry_state[fresh] = other
                slot = reached % ring
                entry_next[fresh] = buckets[slot]
                buckets[slot] = fresh
                waiting += 1


class StateTables:
    """Tables to goals (road numbers), kept while there is room; the least recently used goes first.

    price (F, 4): cost of going forward from each cell at each heading, 1 to MAX_STEP_COST (None: UNIT each); turn:
    cost of a quarter turn. max_bytes is exceeded only by what one call asks for."""

    def __init__(self, roads: Roads, price: ArrayLike | None = None, turn: int = UNIT, *, turning: bool = True, max_bytes: int = 4 << 30) -> None:
        self.roads, self.turning, self.turn = roads, turning, turn
        self.headings = 4 if turning else 1
        states = len(roads) * self.headings
        rows = min(len(roads), max(1, max_bytes // max(1, 2 * states)))
        self.pool: U16 = np.empty((rows, states), np.uint16)  # takes memory only where it is written
        self._unused = list(range(rows - 1, -1, -1))
        self.slot: I32 = np.full(len(roads), -1, np.int32)
        self._used: OrderedDict[int, int] = OrderedDict()
        self._scratch = np.empty((2, 4 * states + 8), np.int32)
        self.price: I32 = np.empty((0, 4), np.int32)
        self.reprice(np.full((len(roads), 4), UNIT) if price is None else price)

    def reprice(self, price: ArrayLike) -> None:
        """Change the guidance; all tables are dropped if that differs from before."""
        array = np.ascontiguousarray(price, np.int32)
        if array.shape != (len(self.roads), 4):
            raise InputError("price", f"shape {array.shape}", f"({len(self.roads)}, 4)")
        if array.size and not 1 <= int(array.min()) <= int(array.max()) <= MAX_STEP_COST:
            raise InputError("price", f"{array.min()} to {array.max()}", f"1 to {MAX_STEP_COST}")
        if not np.array_equal(array, self.price):
            self.price = array
            self.slot[:] = -1
            self._unused += self._used.values()
            self._used.clear()

    def require(self, goals: Iterable[int], go_on: Callable[[int], bool] = lambda _: True) -> int:
        """Make the tables of `goals` (road numbers) in this order while go_on(tables made so far) says so, and
        return how many were made. `slot[goal]` is then the row of `pool`, -1 = not made."""
        wanted = [int(g) for g in dict.fromkeys(goals) if g >= 0]
        for goal in wanted:
            if goal in self._used:
                self._used.move_to_end(goal)
        made = 0
        for goal in wanted:
            if self.slot[goal] >= 0:
                continue
            if not go_on(made):
                break
            row = self._row(len(wanted))
            _fill(self.roads.ahead, self.price, self.turn, self.turning, goal, self.pool[row], self._scratch[0], self._scratch[1])
            self._used[goal] = row
            self.slot[goal] = row
            made += 1
        return made

    def _row(self, wanted: int) -> int:
        """A row to fill: an unused one, or that of the goal asked for longest ago."""
        if not self._unused and wanted > len(self.pool):
            grown = np.empty((wanted, self.pool.shape[1]), np.uint16)
            grown[: len(self.pool)] = self.pool
            self._unused = list(range(wanted - 1, len(self.pool) - 1, -1))
            self.pool = grown
        if self._unused:
            return self._unused.pop()
        goal, row = self._used.popitem(last=False)
        self.slot[goal] = -1
        return row
