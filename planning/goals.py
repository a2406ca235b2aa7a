"""Where each robot drives next: to its task, to wait for a place that is taken, or out of the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aislewise.sitemap import SiteMap
from planning.distance import UNREACHABLE, DistanceTables, neighbours

Bool = NDArray[np.bool_]
WORKING, QUEUEING, IDLE = 2, 1, 0  # urgency in traffic
PARKING_KINDS = ("parking", "charger")
FAR_AWAY = 1 << 31  # more than any distance
MANY_WAITING, CALLED = 50, 2
CALL_GAPS = 6
"""Queue gaps from a taken place within which the robots of a crowd wait for it; who is further off drives on."""
CLEAR = 7
"""Steps from a station that an idle crowd keeps clear: whoever has work would have to push its way through."""


@dataclass(frozen=True, slots=True)
class Mover:
    """A robot to be given a goal. task_cell: where its next stop is, -1 = it has nothing to do;
    stays: it acts there now; floor: the one that it drives on (planning.rights)."""

    robot: str
    cell: int
    task_cell: int
    stays: bool
    floor: int = 0


@dataclass(frozen=True, slots=True)
class Goal:
    cell: int
    urgency: int
    dwells: bool


class Goals:
    """Remembers who was let to which place and who parks where, so that goals do not flutter."""

    def __init__(self, site: SiteMap, tables: DistanceTables, queue_gap: int) -> None:
        """tables: distances on each floor on which robots drive."""
        self._tables, self._gap = tables, queue_gap
        self._holder: dict[int, str] = {}
        self._parked: dict[str, int] = {}
        self._parkings = [p.cell for kind in PARKING_KINDS for p in site.of_kind(kind)]
        nbr = neighbours(site.free)
        self._before_stations = _around([p.cell for p in site.of_kind("station")], nbr, CLEAR)
        ways = (nbr >= 0).sum(1)
        taken = np.zeros(site.cells.size, np.bool_)
        taken[[p.cell for p in site.places.values()]] = True
        beside_place = np.zeros_like(taken)
        beside_place[nbr[taken][nbr[taken] >= 0]] = True
        # Where a robot can wait with room left to pass, and in front of no place.
        self._roomy = np.flatnonzero(site.free.ravel() & (ways >= 3) & ~taken & ~beside_place)
        if not len(self._roomy):
            self._roomy = np.flatnonzero(site.free.ravel() & ~taken)

    def __call__(self, movers: Sequence[Mover], shut: Bool, wanted: frozenset[int]) -> dict[str, Goal]:
        """shut: (H * W,) cells that cannot be entered now; wanted: chargers that others are sent to."""
        out: dict[str, Goal] = {}
        contested: dict[int, list[Mover]] = {}
        for mover in movers:
            if mover.task_cell >= 0:
                contested.setdefault(mover.task_cell, []).append(mover)
        queue: list[Mover] = []
        for cell, rivals in contested.items():
            first = self._first(cell, rivals)
            self._holder[cell] = first.robot
            out[first.robot] = Goal(cell, WORKING, True)
            queue += [mover for mover in rivals if mover.robot != first.robot]
        self._holder = {cell: self._holder[cell] for cell in contested}
        taken = set(contested) | set(wanted)
        lines: dict[tuple[int, int], Iterator[int]] = {}  # by place and floor
        in_line: Counter[int] = Counter()
        if len(queue) > MANY_WAITING:
            queue.sort(key=lambda m: (m.task_cell, self._steps(m), m.robot))
            lines = {(cell, floor): self._line(cell, floor, shut) for cell, floor in {(m.task_cell, m.floor) for m in queue}}
        for mover in queue:
            self._parked.pop(mover.robot, None)
            if lines:
                if self._steps(mover) > CALL_GAPS * self._gap:
                    out[mover.robot] = Goal(mover.task_cell, WORKING, False)
                    continue
                in_line[mover.task_cell] += 1
                if in_line[mover.task_cell] > CALLED:
                    out[mover.robot] = Goal(mover.cell, IDLE, False)
                    continue
                spot = next((c for c in lines[mover.task_cell, mover.floor] if c not in taken), mover.cell)
            else:
                spot = self._waiting_spot(mover, taken, shut)
            taken.add(spot)
            out[mover.robot] = Goal(spot, QUEUEING, False)
        idle = [mover for mover in movers if mover.task_cell < 0]
        out.update(self._park(idle, taken, shut, {mover.cell for mover in movers}))
        return out

    def _first(self, cell: int, rivals: Sequence[Mover]) -> Mover:
        """Who acts there already, else the nearest; who was let there before has a head start."""
        held_by = self._holder.get(cell)
        return min(rivals, key=lambda m: (not m.stays, self._steps(m) - self._gap * (m.robot == held_by), m.robot))

    def _steps(self, mover: Mover) -> int:
        """From where it is to its task."""
        return int(self._tables.to(mover.task_cell, mover.floor)[mover.cell])

    def _waiting_spot(self, mover: Mover, taken: set[int], shut: Bool) -> int:
        """A roomy cell on the way to the place waited for, as near to it as leaves room (near the robot
        if it waits for none); where it is, if nothing else is left."""
        here = self._tables.to(mover.cell, mover.floor)[self._roomy].astype(np.int64)
        good = (here < UNREACHABLE) & ~shut[self._roomy]
        cost, away = here, np.zeros_like(here)
        if mover.task_cell >= 0:
            away = self._tables.to(mover.task_cell, mover.floor)[self._roomy].astype(np.int64)
            good &= (away >= self._gap) & (away < UNREACHABLE)
            cost = here + away
        order = np.where(good, cost * FAR_AWAY + away, np.iinfo(np.int64).max)
        while order[k := int(np.argmin(order))] < np.iinfo(np.int64).max:
            if int(self._roomy[k]) not in taken:
                return int(self._roomy[k])
            order[k] = np.iinfo(np.int64).max
        return mover.cell

    def _line(self, place: int, floor: int, shut: Bool) -> Iterator[int]:
        """Roomy cells in the order of their distance from a place, where a crowd waits for it: looking for each
        robot's own best spot would cost a distance table for every cell that one of them stands in."""
        away = self._tables.to(place, floor)[self._roomy]
        good = np.flatnonzero((away >= self._gap) & (away < UNREACHABLE) & ~shut[self._roomy])
        return iter(self._roomy[good[np.argsort(away[good], kind="stable")]].tolist())

    def _aside(self, mover: Mover, used: set[int], shut: Bool) -> int:
        """The nearest cell to go to from before a station, -1 if there is none."""
        nbr = self._tables.neighbours_on(mover.floor)
        seen, front = {mover.cell}, [mover.cell]
        while front:
            reached = []
            for here in front:
                for other in nbr[here].tolist():
                    if other < 0 or other in seen or shut[other]:
                        continue
                    if other not in used and not self._before_stations[other]:
                        return other
                    seen.add(other)
                    reached.append(other)
            front = reached
        return -1

    def _nearest(self, mover: Mover, spots: Sequence[int]) -> int:
        """The spot that is nearest to a robot, -1 if none can be reached. Without spots no table is made: crowds are asked
        about one by one long after the last parking place is taken."""
        if not spots:
            return -1
        steps = self._tables.to(mover.cell, mover.floor)
        return min((c for c in spots if steps[c] < UNREACHABLE), key=lambda c: (int(steps[c]), c), default=-1)

    def _park(self, idle: Sequence[Mover], taken: set[int], shut: Bool, stood_in: set[int]) -> dict[str, Goal]:
        """Each idle robot to the nearest free parking place, or to where it is in nobody's way. stood_in: cells of robots."""
        self._parked = {
            m.robot: self._parked[m.robot] for m in idle
            if m.robot in self._parked and self._parked[m.robot] not in taken
            and not shut[self._parked[m.robot]]
        }  # fmt: skip
        out: dict[str, Goal] = {}
        used = taken | set(self._parked.values())
        open_spots = [c for c in self._parkings if not shut[c]]
        for mover in sorted(idle, key=lambda m: m.robot):
            spot = self._parked.get(mover.robot)
            if spot is None:
                open_spots = [c for c in open_spots if c not in used]
                spot = self._nearest(mover, open_spots)
                if spot < 0 and len(idle) > MANY_WAITING:  # a crowd stays where it is, but not before stations
                    spot = self._aside(mover, used | stood_in, shut) if self._before_stations[mover.cell] else -1
                    used.add(spot)
                    out[mover.robot] = Goal(mover.cell if spot < 0 else spot, IDLE, False)
                    continue
                if spot < 0:
                    spot = self._waiting_spot(mover, used, shut)
                used.add(spot)
                self._parked[mover.robot] = spot
            out[mover.robot] = Goal(spot, IDLE, False)
        return out


def _around(cells: Sequence[int], nbr: NDArray[np.int32], steps: int) -> Bool:
    """(C,) bool: less than so many steps from one of the cells."""
    near = np.zeros(len(nbr), np.bool_)
    front = np.array(cells, np.int64)
    for _ in range(steps):
        near[front] = True
        reached = nbr[front].ravel()
        front = np.unique(reached[reached >= 0])
        front = front[~near[front]]
    return near


def exits(cells: Mapping[str, int], forbidden: Bool, open_cells: Bool, nbr: NDArray[np.int32]) -> set[int]:
    """Cells of a shortest way out for every robot that stands in a keep-out, so that it may leave."""
    out: set[int] = set()
    for start in cells.values():
        if not forbidden[start]:
            continue
        came = {start: -1}
        front = [start]
        end = -1
        while front and end < 0:
            reached = []
            for cell in front:
                for other in nbr[cell].tolist():
                    if other < 0 or other in came or not (forbidden[other] or open_cells[other]):
                        continue
                    came[other] = cell
                    reached.append(other)
                    if open_cells[other] and end < 0:
                        end = other
            front = reached
        while end >= 0:
            if forbidden[end]:
                out.add(end)
            end = came[end]
    return out
