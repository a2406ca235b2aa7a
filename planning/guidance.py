"""Guidance: what going each way along each lane should cost, so that robots keep to one side without being told.

Two robots that meet head-on in a one-wide aisle cost everybody behind them minutes; a fleet that drives along
neighbouring aisles in opposite directions hardly ever meets. `lane_prices` makes the way against a lane dearer
(Chen et al., "Traffic flow optimisation for lifelong multi-agent path finding", 2024; Zhang et al., "Guidance graph
optimization", 2024, learn such costs; here they follow from the map alone). `Flow` learns from traffic as it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from planning.distance import as_grid
from planning.lifelong_tables import MAX_STEP_COST, UNIT, Roads

I32 = NDArray[np.int32]
Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]

LONG_LANE = 24
"""Cells in a straight line from which a lane is given a direction: shorter ones are left as soon as entered."""
AGAINST = 2 * UNIT
"""Added to the cost of a step against the lane."""
EAST, SOUTH, WEST, NORTH = range(4)


def lane_prices(free: ArrayLike, *, shortest: int = LONG_LANE, against: int = AGAINST) -> I32:
    """(F, 4) cost of going forward from each road cell at each heading: UNIT, and `against` more in the direction that
    its lane does not have. Neighbouring parallel lanes have opposite directions."""
    grid = as_grid(free)
    roads = Roads(grid)
    price = np.full((len(roads), 4), UNIT, np.int32)
    for axis, (along, back) in enumerate(((EAST, WEST), (SOUTH, NORTH))):
        turned = grid if axis == 0 else grid.T
        signs = lane_signs(np.ascontiguousarray(turned), shortest)
        sign = (signs if axis == 0 else signs.T).ravel()[roads.cells]
        price[sign > 0, back] += against
        price[sign < 0, along] += against
    return np.minimum(price, MAX_STEP_COST)


def lane_signs(free: Bool, shortest: int) -> NDArray[np.int8]:
    """(H, W) int8: +1 where the lane along the row goes right, -1 left, 0 where there is no long lane.

    A lane is a straight run of cells in a row. Down each column the lanes that cross it alternate; where columns
    disagree (the count is off by one beside a block of racks), the majority of a lane's cells has it."""
    lane, length = _runs(free)
    long = free & (length >= shortest)
    votes = np.where(np.cumsum(long, axis=0) % 2 == 1, 1, -1) * long
    total = np.zeros(lane.max() + 1 if lane.size else 1, np.int64)
    np.add.at(total, lane[long], votes[long])
    sign = np.where(total >= 0, 1, -1)
    out: NDArray[np.int8] = np.where(long, sign[lane], 0).astype(np.int8)
    return out


def _runs(free: Bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(H, W): number of the run of free cells in its row that each cell belongs to, and that run's length."""
    begins = free.copy()
    begins[:, 1:] &= ~free[:, :-1]
    number = np.cumsum(begins.ravel()).reshape(free.shape) - 1
    number[~free] = 0
    counts = np.bincount(number[free], minlength=max(1, int(number.max(initial=0)) + 1))
    return number, np.where(free, counts[number], 0)


class Flow:
    """Learns prices from the fleet's own moves: a step against the stream of the last while, or into a cell where
    robots stand, is dearer. Deterministic; `observe` every step, `prices` now and then (tables are then made anew).

    memory: steps after which traffic counts half."""

    def __init__(self, roads: Roads, *, base: I32 | None = None, memory: float = 200.0) -> None:
        self._roads = roads
        self._base = np.full((len(roads), 4), UNIT, np.int32) if base is None else base
        self._moves: F64 = np.zeros((len(roads), 4))
        self._waits: F64 = np.zeros(len(roads))
        self._keep = 0.5 ** (1.0 / memory)

    def observe(self, came: ArrayLike, went: ArrayLike) -> None:
        """came, went: (N,) road numbers before and after a step."""
        before, after = np.asarray(came, np.int64), np.asarray(went, np.int64)
        self._moves *= self._keep
        self._waits *= self._keep
        stood = before == after
        np.add.at(self._waits, before[stood], 1.0)
        heading = (self._roads.ahead[before] == after[:, None]).argmax(axis=1)
        np.add.at(self._moves, (before[~stood], heading[~stood]), 1.0)

    def prices(self, against: float = AGAINST, standing: float = UNIT) -> I32:
        """(F, 4): the base, plus up to `against` by the share of traffic that comes the other way, plus up to `standing`
        by the share of time that robots stand in the cell ahead."""
        ahead = self._roads.ahead
        there = np.maximum(ahead, 0)
        opposite = np.stack([self._moves[there[:, h], (h + 2) % 4] for h in range(4)], axis=1)
        share = (opposite - self._moves) / (opposite + self._moves + 4.0)
        most = 1.0 / (1.0 - self._keep)
        crowd = np.minimum(1.0, 2.0 * self._waits[there] / most)
        extra = np.where(ahead >= 0, np.clip(share, 0.0, 1.0) * against + crowd * standing, 0.0)
        return np.clip(self._base + np.rint(extra).astype(np.int32), 1, MAX_STEP_COST).astype(np.int32)
