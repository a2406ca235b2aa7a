"""Who brings what in which order, as plain numbers: the problem that assignment and sequencing share.

Times are integer deciseconds from now, since OR-Tools' routing takes integers only. Node numbers: vehicle
v starts at node v; load j is picked at node V + 2 j and dropped at node V + 2 j + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
Routes = tuple[tuple[int, ...], ...]
"""Per vehicle the nodes it visits, without its start."""

FAR = 10_000_000  # ds; of a leg that cannot be driven
LATE_COST = 20  # per ds late and unit of weight, against 1 per ds of waiting
FLAT_COST = 20  # per ds driven beyond what the battery holds
LEFT_OUT_COST = 10**10  # of leaving a load out


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A robot from where and when its present commitment ends. room: loads it can carry in all;
    carried: sizes of all that is on board, droppable or not; battery_ds: work left in its battery."""

    robot: str
    cell: int
    ready_ds: int
    room: int
    carried: int
    battery_ds: int


@dataclass(frozen=True, slots=True)
class Haul:
    """One load. group: loads with the same number go with one vehicle, dropped in order of listing.
    pick_cell -1: on board already. vehicles: who may carry it. due_ds -1: no due time."""

    load: int
    group: int
    pick_cell: int
    drop_cell: int
    size: int
    weight: int
    due_ds: int
    vehicles: frozenset[int]


@dataclass(frozen=True)
class RoutingProblem:
    """leg_ds: (N, N) int64, time of working at one node and driving to the next."""

    vehicles: tuple[Vehicle, ...]
    hauls: tuple[Haul, ...]
    leg_ds: I64

    def pick(self, haul: int) -> int:
        return len(self.vehicles) + 2 * haul

    def haul_of(self, node: int) -> tuple[int, bool]:
        """(haul, whether the node is its drop)."""
        haul, drop = divmod(node - len(self.vehicles), 2)
        return haul, bool(drop)

    def groups(self) -> dict[int, list[int]]:
        """Group -> its hauls, in order."""
        out: dict[int, list[int]] = {}
        for j, haul in enumerate(self.hauls):
            out.setdefault(haul.group, []).append(j)
        return out

    def stops(self, hauls: Sequence[int]) -> list[int]:
        """Their nodes, one load after the other; what is on board is only dropped."""
        out = []
        for j in hauls:
            pick = self.pick(j)
            out += [pick, pick + 1] if self.hauls[j].pick_cell >= 0 else [pick + 1]
        return out

    def cost(self, routes: Routes) -> int:
        """What the routing search minimises: driving, weighted time until each load is picked and
        dropped, lateness, and flat batteries; leaving a load out costs more than all else."""
        total, served = 0, set()
        for v, route in enumerate(routes):
            at, now = v, self.vehicles[v].ready_ds
            for node in route:
                leg = int(self.leg_ds[at, node])
                at, now, total = node, now + leg, total + leg
                j, drop = self.haul_of(node)
                total += self.node_cost(j, drop, now)
                served.add(node)
            total += FLAT_COST * max(0, now - self.vehicles[v].battery_ds)
        nodes = sum(1 if h.pick_cell < 0 else 2 for h in self.hauls)
        return total + LEFT_OUT_COST * (nodes - len(served))

    def node_cost(self, haul: int, drop: bool, at_ds: int) -> int:
        slope, bound = self.soft_bound(haul, drop)
        return slope * max(0, at_ds - bound)

    def soft_bound(self, haul: int, drop: bool) -> tuple[int, int]:
        """(cost per ds, from when on): a pick should be early, a drop in time or, if not due, early."""
        item = self.hauls[haul]
        if drop and item.due_ds >= 0:
            return LATE_COST * item.weight, item.due_ds
        return item.weight, 0

    def valid(self, routes: Routes) -> bool:
        """Every visit allowed, drops behind picks on one vehicle and in order, capacity kept."""
        seen: set[int] = set()
        for v, route in enumerate(routes):
            at, carried = v, self.vehicles[v].carried
            last_drop: dict[int, int] = {}
            for node in route:
                j, drop = self.haul_of(node)
                haul = self.hauls[j]
                if node in seen or v not in haul.vehicles or self.leg_ds[at, node] >= FAR:
                    return False
                if drop and haul.pick_cell >= 0 and node - 1 not in route[: route.index(node)]:
                    return False
                if drop and last_drop.get(haul.group, -1) > j:
                    return False
                carried += -haul.size if drop else haul.size
                if carried > self.vehicles[v].room and not drop:
                    return False
                if drop:
                    last_drop[haul.group] = j
                seen.add(node)
                at = node
        return all((self.pick(j) in seen) <= (self.pick(j) + 1 in seen) for j in range(len(self.hauls)))


def legs(node_cells: Sequence[int], service_ds: Sequence[int], between: I64) -> I64:
    """(N, N) leg times: service at the first node plus the drive. `between`: (N, N) drive times, FAR
    where there is no way."""
    out = np.asarray(between, np.int64) + np.asarray(service_ds, np.int64)[:, None]
    out[np.asarray(between) >= FAR] = FAR
    cells = np.asarray(node_cells)
    out[:, cells < 0] = FAR
    return out
