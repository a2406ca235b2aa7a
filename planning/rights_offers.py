"""Who may bring what where robots have floors of their own, and how long each drives on its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from planning.distance import I32, UNREACHABLE, Bool, DistanceTables
from planning.ledger import Load, LoadState
from planning.rights import Floors
from planning.routing import FAR, drive_legs

if TYPE_CHECKING:
    from planning.offers import Candidate

Vehicles = frozenset[int]


class Permits:
    """Answers of one dispatch, each worked out once."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        floors: Floors,
        tables: DistanceTables,
        standing: NDArray[np.bool_],
        why: Callable[[int], str],
        able: Callable[[str, str], Vehicles],
        skilled: Callable[[str, str], Vehicles],
    ) -> None:
        """tables: distances on each floor, on cells that are not `standing` (H * W,) blocked; why(cell): what blocks it. able,
        skilled: of an order's owner and need, who might take it, without and with those who take no new work now."""
        self._able, self._skilled = able, skilled
        self._floors, self._tables, self._standing, self._why = floors, tables, standing, why
        self._cells = np.array([c.cell for c in candidates], np.int64)
        self._floor_of = np.array([c.floor for c in candidates], np.int64)
        self._present = np.unique(self._floor_of).tolist()
        self._fits: dict[int, Vehicles] = {}
        self._answers: dict[tuple[int, tuple[int, ...], str, str], tuple[Vehicles, tuple[Vehicles, int, str]]] = {}
        self._ever: dict[int, Vehicles] = {}
        self._now: dict[int, Vehicles] = {}
        self._reached: dict[tuple[int, int], Bool] = {}

    def __call__(self, load: Load, owner: str, need: str) -> tuple[Vehicles, int, str]:
        """(who can bring the load now, the cell where it is picked or -1 if it is on board, why nobody can). owner: who has
        the order already; need: what it takes. Somebody is able to."""
        picks = load.pick_cells if load.state is LoadState.WAITING else (-1,)
        key = (load.drop_cell, picks, owner, need)
        if key not in self._answers:
            self._answers[key] = self._fit(load, picks, owner, need), self._answer(load, picks, owner, need)
        self._fits[load.id], answer = self._answers[key]
        return answer

    def _fit(self, load: Load, picks: Sequence[int], owner: str, need: str) -> Vehicles:
        return self._able(owner, need) & self._may(load.drop_cell, picks)

    def _answer(self, load: Load, picks: Sequence[int], owner: str, need: str) -> tuple[Vehicles, int, str]:
        drop, able = load.drop_cell, self._able(owner, need)
        if not self._fit(load, picks, owner, need):
            if self._skilled(owner, need) & self._may(drop, picks):
                return Vehicles(), -1, f"NO_ROBOT: none that may enter the way to {load.drop_place} is ready for work"
            place = load.pick_place or "the object" if able & self._may(drop, (-1,)) else load.drop_place
            return Vehicles(), -1, f"RIGHTS: no robot that may enter the way to {place}"
        for pick in picks:
            near = able & self._can(drop, pick)
            if near:
                return near, pick, ""
        cell = next(pick for pick in picks if able & self._may(drop, (pick,)))
        if cell < 0 or not able & self._can(drop, -1):
            return Vehicles(), -1, f"BLOCKED: the way to {load.drop_place} is shut"
        cause = f"by {self._why(cell)}" if self._standing[cell] else "is cut off"
        return Vehicles(), -1, f"BLOCKED: {load.pick_place or 'the object'} {cause}"

    def of_all(self, loads: Collection[Load]) -> str:
        """Why no robot can bring all of these, though some robot can bring each."""
        if Vehicles.intersection(*(self._fits[load.id] for load in loads)):
            return "BLOCKED: the ways to its places are shut to the robots that may enter all of them"
        return "RIGHTS: no robot that may enter the ways to all of its places"

    def _may(self, drop: int, picks: Collection[int]) -> Vehicles:
        """Who could go to the drop and, but for -1, to one of the picks, if nothing stood in the way."""
        if drop not in self._ever:
            self._ever[drop] = self._where(
                lambda floor: self._floors.part(floor) == self._floors.part(floor)[drop], drop
            )
        good = [f for f in self._present if any(pick < 0 or self._floors.joined(f, pick, drop) for pick in picks)]
        return self._ever[drop] & self._on(good)

    def _can(self, drop: int, pick: int) -> Vehicles:
        """Who can go to the drop and to the pick (-1: to the drop alone) as things stand."""
        if drop not in self._now:
            self._now[drop] = self._where(lambda floor: self._open(drop, floor), drop)
        good = [
            f for f in self._present if pick < 0 or (self._floors.joined(f, pick, drop) and self._open(drop, f)[pick])
        ]  # fmt: skip
        return self._now[drop] & self._on(good)

    def _open(self, drop: int, floor: int) -> Bool:
        if (drop, floor) not in self._reached:
            self._reached[drop, floor] = self._tables.to(drop, floor) < UNREACHABLE
        return self._reached[drop, floor]

    def _where(self, good: Callable[[int], Bool], drop: int) -> Vehicles:
        """Who stands where good(floor) (H * W,) holds, of those who may be at the drop."""
        out: list[int] = []
        for floor in self._present:
            if self._floors.part(floor)[drop] >= 0:
                out += np.flatnonzero((self._floor_of == floor) & good(floor)[self._cells]).tolist()
        return Vehicles(out)

    def _on(self, floors: Collection[int]) -> Vehicles:
        return Vehicles(np.flatnonzero(np.isin(self._floor_of, [*floors])).tolist())


def own_legs(
    floor_of: Sequence[int], cells: Sequence[int], service_ds: Sequence[int], tables: DistanceTables, ds_per_cell: float
) -> I32:
    """As planning.routing.drive_legs, first the vehicles, then stops. floor_of: of each vehicle, on which it drives from where
    it is. Between stops, whoever will drive there, it is the least that one of these classes needs."""
    first = len(floor_of)
    goals = [-1] * first + [*cells[first:]]
    if len({*floor_of}) <= 1:  # as on most sites
        return drive_legs(cells, service_ds, *tables.rows(goals, next(iter(floor_of), 0)), ds_per_cell)
    own = np.array(floor_of, np.int64)
    rows: I32 = np.empty((first, len(cells)), np.int32)
    out: I32 = np.full((len(cells), len(cells)), FAR, np.int32)
    for floor in sorted({*floor_of}):
        legs = drive_legs(cells, service_ds, *tables.rows(goals, floor), ds_per_cell)
        rows[own == floor] = legs[:first][own == floor]
        np.minimum(out, legs, out=out)
    out[:first] = rows
    return out
