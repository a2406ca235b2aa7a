"""Who brings what in which order, as plain numbers: the problem that assignment and sequencing share.

Times are integer deciseconds from now, since OR-Tools' routing takes integers only. Node numbers: vehicle
v starts at node v; load j is picked at node V + 2 j and dropped at node V + 2 j + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planning.distance import UNREACHABLE
from planning.jit import kernel

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Routes = tuple[tuple[int, ...], ...]
"""Per vehicle the nodes it visits, without its start."""

FAR = 10_000_000  # ds; of a leg that cannot be driven
LATE_COST = 20  # per ds late and unit of weight, against 1 per ds of waiting
FLAT_COST = 20  # per ds driven beyond what the battery holds
LEFT_OUT_COST = 10**10  # of leaving a load out

Bulk = tuple[int, int]
"""Grams and millilitres."""
NO_BULK: Bulk = (0, 0)
NO_LIMIT = 1 << 40
NO_BULK_LIMIT: Bulk = (NO_LIMIT, NO_LIMIT)


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A robot from where and when its present commitment ends. room: loads it can carry in all;
    carried: sizes of all that is on board, droppable or not; battery_ds: work left in its battery. room_bulk,
    carried_bulk: the same of mass and volume."""

    robot: str
    cell: int
    ready_ds: int
    room: int
    carried: int
    battery_ds: int
    room_bulk: Bulk = NO_BULK_LIMIT
    carried_bulk: Bulk = NO_BULK

    @property
    def rooms(self) -> tuple[int, ...]:
        """Loads, grams, millilitres."""
        return (self.room, *self.room_bulk)

    @property
    def on_board(self) -> tuple[int, ...]:
        """Loads, grams, millilitres."""
        return (self.carried, *self.carried_bulk)


class Haul(NamedTuple):
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
    bulk: Bulk = NO_BULK


@dataclass(frozen=True)
class RoutingProblem:
    """leg_ds: (N, N) int32 or int64, time of working at one node and driving to the next."""

    vehicles: tuple[Vehicle, ...]
    hauls: tuple[Haul, ...]
    leg_ds: I32 | I64

    def pick(self, haul: int) -> int:
        return len(self.vehicles) + 2 * haul

    def haul_of(self, node: int) -> tuple[int, bool]:
        """(haul, whether the node is its drop)."""
        haul, drop = divmod(node - len(self.vehicles), 2)
        return haul, bool(drop)

    def group_of(self, node: int) -> int:
        return self.hauls[(node - len(self.vehicles)) >> 1].group

    def groups(self) -> dict[int, list[int]]:
        """Group -> its hauls, in order; not to be changed."""
        return self._groups

    @cached_property
    def _groups(self) -> dict[int, list[int]]:
        out: dict[int, list[int]] = {}
        for j, haul in enumerate(self.hauls):
            out.setdefault(haul.group, []).append(j)
        return out

    def nodes(self, haul: int) -> tuple[int, ...]:
        """Its nodes; what is on board is only dropped."""
        pick = len(self.vehicles) + 2 * haul
        return (pick, pick + 1) if self.hauls[haul].pick_cell >= 0 else (pick + 1,)

    def stops(self, hauls: Sequence[int]) -> list[int]:
        """Their nodes, one load after the other."""
        return [node for j in hauls for node in self.nodes(j)]

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

    def passable(self, vehicle: int, route: Sequence[int]) -> tuple[int, ...]:
        """A route without the groups that keep it from being valid: a stop to which there is no way any more, which another
        vehicle must serve now, for which there is no room, or that comes out of turn."""
        gone: set[int] = set()
        while True:
            kept = tuple(n for n in route if self.hauls[self.haul_of(n)[0]].group not in gone)
            at, carried, wrong = vehicle, list(self.vehicles[vehicle].on_board), -1
            picked: set[int] = set()
            last_drop: dict[int, int] = {}
            for node in kept:
                j, drop = self.haul_of(node)
                haul = self.hauls[j]
                full = not self.put(carried, haul, drop, self.vehicles[vehicle])
                early = drop and ((haul.pick_cell >= 0 and j not in picked) or last_drop.get(haul.group, -1) > j)
                if full or early or vehicle not in haul.vehicles or self.leg_ds[at, node] >= FAR:
                    wrong = haul.group
                    break
                picked.add(j)
                if drop:
                    last_drop[haul.group] = j
                at = node
            if wrong < 0:
                return kept
            gone.add(wrong)

    @staticmethod
    def put(carried: list[int], haul: Haul, drop: int, vehicle: Vehicle) -> bool:
        """Put a load on board or take it off; False if there was no room for it."""
        fits = True
        for k, amount in enumerate((haul.size, *haul.bulk)):
            carried[k] += -amount if drop else amount
            fits &= bool(drop) or amount == 0 or carried[k] <= vehicle.rooms[k]
        return fits

    def valid(self, routes: Routes) -> bool:
        """Every visit allowed, drops behind picks on one vehicle and in order, capacity kept."""
        seen: set[int] = set()
        first, hauls, bulky = len(self.vehicles), self.hauls, any(haul.bulk != NO_BULK for haul in self.hauls)
        for v, route in enumerate(routes):
            vehicle, carried, mine, last_drop = self.vehicles[v], list(self.vehicles[v].on_board), set(), dict[int, int]()
            for node in route:
                j = (node - first) >> 1
                haul, drop = hauls[j], (node - first) & 1
                if node in mine or v not in haul.vehicles:
                    return False
                if drop:
                    if (haul.pick_cell >= 0 and node - 1 not in mine) or last_drop.get(haul.group, -1) > j:
                        return False
                    last_drop[haul.group] = j
                if bulky:
                    if not self.put(carried, haul, drop, vehicle):
                        return False
                else:  # the same, as most sites count loads alone
                    carried[0] += -haul.size if drop else haul.size
                    if carried[0] > vehicle.room and not drop:
                        return False
                mine.add(node)
            if any(node & 1 == first & 1 and node + 1 not in mine for node in mine) or not seen.isdisjoint(mine):
                return False
            seen |= mine
        at = [node for v, route in enumerate(routes) if route for node in (v, *route[:-1])]
        to = [node for route in routes for node in route]
        return bool((self.leg_ds[at, to] < FAR).all()) if to else True


def drive_legs(node_cells: Sequence[int], service_ds: Sequence[int], pool: I32, slots: I32, ds_per_cell: float) -> I32:
    """(N, N) leg times: service at the first node plus the drive, from the tables pool[slots[k]] of distances to each node; FAR
    where there is no way, slot -1: nobody drives there."""
    cells, service = np.array(node_cells, np.int32), np.array(service_ds, np.int32)
    out = np.empty((len(cells), len(cells)), np.int32)
    _drive_legs(cells, service, pool, slots, ds_per_cell, out)
    return out.T


@kernel
def _drive_legs(cells: I32, service: I32, pool: I32, slots: I32, ds_per_cell: float, out: I32) -> None:
    """out: by goal, then by start, since all starts read the table of one goal."""
    row_of = np.full(len(pool), -1, np.int32)
    for to in range(len(cells)):
        slot = slots[to]
        if slot < 0:
            out[to, :] = FAR
            continue
        if row_of[slot] >= 0:
            out[to, :] = out[row_of[slot]]
            continue
        row_of[slot] = to
        for at in range(len(cells)):
            steps = pool[slot, cells[at]] if cells[at] >= 0 else UNREACHABLE
            out[to, at] = FAR if steps >= UNREACHABLE else service[at] + np.int32(steps * ds_per_cell + 0.5)
