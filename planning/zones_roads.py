"""One zone's roads: its own cells, and behind and before them the far sides of its gates; and the way over all gates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from planning.lifelong_tables import FAR, UNIT, Roads
from planning.zones import ZoneMap

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]

NO_WAY = 1 << 28
"""Cost of a way that does not exist: so great that no sum of real ones reaches it, so small that sums of it fit."""


class ZoneRoads(Roads):
    """Nodes 0 to own - 1 are the zone's cells, then come the portals of its gates out and the thresholds of its gates in.

    out, into: numbers of those gates in the ZoneMap; portal, threshold: their nodes, in the same order; entry: the own
    cell to which each threshold leads. `number` knows own cells alone."""

    def __init__(self, zones: ZoneMap, zone: int) -> None:
        super().__init__(zones.label == zone)
        gates, self.own = zones.gates, len(self.cells)
        self.out: I32 = np.flatnonzero(gates.from_zone == zone).astype(np.int32)
        self.into: I32 = np.flatnonzero(gates.to_zone == zone).astype(np.int32)
        self.portal: I32 = (self.own + np.arange(len(self.out))).astype(np.int32)
        self.threshold: I32 = (self.own + len(self.out) + np.arange(len(self.into))).astype(np.int32)
        self.entry: I32 = self.number[gates.to_cell[self.into]]
        self.entry_heading: I32 = gates.heading[self.into]
        self.cells = np.concatenate([self.cells, gates.to_cell[self.out], gates.from_cell[self.into]]).astype(np.int32)
        ahead = np.full((len(self.cells), 4), -1, np.int32)
        ahead[: self.own] = self.ahead
        for near, far, heading in (
            (self.number[gates.from_cell[self.out]], self.portal, gates.heading[self.out]),
            (self.threshold, self.entry, self.entry_heading),
        ):
            # Both ways, because tables are made backwards; robots are kept to the gate's direction by `restrict`.
            ahead[near, heading], ahead[far, (heading + 2) % 4] = far, near
        self.ahead = ahead

    def prices(self, by_cell: I32) -> I32:
        """(nodes, 4) guidance of the whole floor, by_cell (H * W, 4), for these nodes."""
        price = by_cell[self.cells].copy()
        price[self.portal] = UNIT
        return price

    def near_border(self, depth: int) -> Bool:
        """(nodes,) whether a portal or threshold can be reached in `depth` steps."""
        near = np.zeros(len(self.cells), np.bool_)
        near[self.own :] = True
        for _ in range(depth):
            near |= ((self.ahead >= 0) & near[self.ahead]).any(axis=1)
        return near


class GateGraph:
    """Least cost from behind one gate to any goal, over all gates: the zones' own costs put together.

    hops: per zone (gates in, gates out), cost from behind one to behind the other; FAR = no way."""

    def __init__(self, zones: ZoneMap, hops: list[I32]) -> None:
        gates, self.zones = zones.gates, zones
        many = len(gates)
        self._into = [np.flatnonzero(gates.to_zone == z) for z in range(zones.zones)]
        out = [np.flatnonzero(gates.from_zone == z) for z in range(zones.zones)]
        cost = np.zeros((many, many))
        for z, table in enumerate(hops):
            cost[np.ix_(self._into[z], out[z])] = np.where(table < FAR, np.maximum(table, 1), 0)
        self._way: F64 = np.full((many, many), np.inf)
        if many:
            self._way = np.asarray(dijkstra(csr_array(cost)))

    def to_goals(self, zone: int, from_gates: I32) -> I32:
        """(goals, G) cost from behind every gate to goals in `zone`; from_gates: (goals, gates into it) cost from behind
        those. NO_WAY where there is none."""
        last = np.where(from_gates < FAR, from_gates, np.inf)
        ways = np.full((len(last), len(self._way)), np.inf)
        for k, gate in enumerate(self._into[zone]):
            np.minimum(ways, self._way[None, :, gate] + last[:, k, None], out=ways)
        return np.where(np.isfinite(ways), ways, NO_WAY).astype(np.int32)
