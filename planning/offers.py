"""Which orders can be served now, by whom and from where, and why the others wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planning.distance import UNREACHABLE, DistanceTables
from planning.ledger import Job, Load, LoadState
from planning.rights import Floors
from planning.rights_offers import Permits
from planning.routing import Haul

MANY_VEHICLES = 64
OPEN = (LoadState.WAITING, LoadState.COMMITTED, LoadState.ABOARD)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A robot that may be given work. takes_work: new orders too, not only what it has begun; floor: the one it may drive on
    (planning.rights)."""

    robot: str
    cell: int
    ready_s: float
    battery: float
    takes_work: bool
    abilities: frozenset[str]
    floor: int = 0


class Orders(NamedTuple):
    """hauls: of each order that some robot can serve. waiting: why the others wait, and whether because they cannot be
    reached. carried: loads, grams and millilitres that robots have on board, or will have once what is released to them is done."""

    hauls: dict[str, list[Haul]]
    waiting: dict[str, tuple[str, bool]]
    carried: dict[str, tuple[int, int, int]]


class Offers:
    """Answers of one dispatch. They are few and often the same: each is worked out once."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        tables: DistanceTables,
        standing: NDArray[np.bool_],
        why: Callable[[int], str],
        floors: Floors | None = None,
    ) -> None:
        """tables: distances on cells that are not `standing` (H * W,) blocked; why(cell): what blocks it. floors: where robots
        of each class may drive, None = all everywhere."""
        self._reach = _Reach(candidates)
        self._permits: Permits | None = None
        if floors is not None and floors.apart:
            self._permits = Permits(candidates, floors, tables, standing, why, self._reach.able, self._reach.skilled)
        self._tables, self._standing, self._why = tables, standing, why
        self._drops: dict[int, bytes] = {}
        self._answers: dict[tuple[int, str, str], tuple[frozenset[int], str]] = {}

    def __call__(self, jobs: Mapping[str, Job], weight_due: Callable[[Job], tuple[int, int]]) -> Orders:
        """weight_due: weight and due time, ds from now, of an order's hauls."""
        hauls: dict[str, list[Haul]] = {}
        waiting: dict[str, tuple[str, bool]] = {}
        carried: dict[str, tuple[int, int, int]] = {}
        for number, (order_id, job) in enumerate(jobs.items()):
            mine, reason = [], ""
            weight, due = weight_due(job)
            for load in job.loads:
                if load.state in OPEN:
                    if load.state is not LoadState.WAITING:
                        loads, grams, millilitres = carried.get(load.robot, (0, 0, 0))
                        carried[load.robot] = loads + load.size, grams + load.bulk[0], millilitres + load.bulk[1]
                    haul, cause = self._haul(number, job, load, weight, due)
                    reason = reason or cause
                    mine += [haul] if haul else []
            if reason:
                waiting[order_id] = (reason, not reason.startswith("NO_ROBOT:"))
                mine = [haul for haul in mine if haul.pick_cell < 0]  # begun as a whole or not; what is on board goes on
            if len(mine) > 1:
                both = frozenset.intersection(*(haul.vehicles for haul in mine))
                if self._permits is not None and not both:
                    waiting[order_id] = self._permits.of_all([load for load in job.loads if load.state in OPEN]), True
                    mine = [haul for haul in mine if haul.pick_cell < 0]
                else:
                    mine = [haul._replace(vehicles=both) for haul in mine]
            if mine:
                hauls[order_id] = mine
        return Orders(hauls, waiting, carried)

    def _haul(self, group: int, job: Job, load: Load, weight: int, due: int) -> tuple[Haul | None, str]:
        drop = load.drop_cell
        if self._standing[drop]:
            return None, f"BLOCKED: {load.drop_place} by {self._why(drop)}"
        key = (drop, load.robot or job.robot, job.order.capability)
        if self._permits is not None:
            able = self._reach.able(*key[1:])
            near, pick, reason = self._permits(load, *key[1:]) if able else (able, -1, self._nobody(key[2]))
            return (None, reason) if reason else (Haul(load.id, group, pick, drop, load.size, weight, due, near, load.bulk), "")
        near, reason = self._answers.get(key) or self._who(load, *key)
        if reason:
            return None, reason
        pick = -1
        if load.state is LoadState.WAITING:
            open_to_drop = self._drops[drop]
            pick = next((cell for cell in load.pick_cells if open_to_drop[cell]), -1)
            if pick < 0:
                cell = load.pick_cells[0]
                cause = f"by {self._why(cell)}" if self._standing[cell] else "is cut off"
                return None, f"BLOCKED: {load.pick_place or 'the object'} {cause}"
        return Haul(load.id, group, pick, drop, load.size, weight, due, near, load.bulk), ""

    def _who(self, load: Load, drop: int, owner: str, need: str) -> tuple[frozenset[int], str]:
        """Who may bring a load there, or why nobody."""
        if drop not in self._drops:
            self._drops[drop] = (self._tables.to(drop) < UNREACHABLE).tobytes()
        able = self._reach.able(owner, need)
        near = self._reach.near(able, self._drops[drop])
        reason = ""
        if not able:
            reason = self._nobody(need)
        elif not near:
            reason = f"BLOCKED: the way to {load.drop_place} is shut"
        self._answers[drop, owner, need] = near, reason
        return near, reason

    def _nobody(self, need: str) -> str:
        unknown = need and not self._reach.known(need)
        return f"CAPABILITY: no robot can {need!r}" if unknown else "NO_ROBOT: none is ready for work"


class _Reach:
    """Which vehicles may serve what."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        self._cells = np.array([c.cell for c in candidates], np.int64)
        self._number = {c.robot: v for v, c in enumerate(candidates)}
        self._able: dict[str, frozenset[int]] = {}

    def able(self, owner: str, need: str) -> frozenset[int]:
        """The owner alone if a robot has the order already; else who takes work and has the ability."""
        if owner:
            return frozenset({self._number[owner]} if owner in self._number else ())
        if need not in self._able:
            self._able[need] = frozenset(
                v for v, c in enumerate(self._candidates) if c.takes_work and (not need or need in c.abilities)
            )
        return self._able[need]

    def skilled(self, owner: str, need: str) -> frozenset[int]:
        """As `able`, with those who take no new work."""
        if owner:
            return self.able(owner, need)
        return frozenset(v for v, c in enumerate(self._candidates) if not need or need in c.abilities)

    def known(self, need: str) -> bool:
        return any(need in c.abilities for c in self._candidates)

    def near(self, able: frozenset[int], open_to_drop: bytes) -> frozenset[int]:
        """Those of them from which there is a way; `able` itself if that is all of them."""
        if len(able) < MANY_VEHICLES:
            off = [v for v in able if not open_to_drop[self._candidates[v].cell]]
        else:
            off = np.flatnonzero(~np.frombuffer(open_to_drop, np.bool_)[self._cells]).tolist()
        return able.difference(off) if off else able


def renumbered(
    orders: Mapping[str, list[Haul]], before: Sequence[Candidate], after: Iterable[Candidate]
) -> dict[str, list[Haul]]:
    """The hauls with the vehicle numbers of `after`, a part of `before`; orders that none of them may carry left out."""
    number = {c.robot: v for v, c in enumerate(after)}
    new = {v: number[c.robot] for v, c in enumerate(before) if c.robot in number}
    seen: dict[frozenset[int], frozenset[int]] = {}
    out: dict[str, list[Haul]] = {}
    for order_id, hauls in orders.items():
        for haul in hauls:
            if haul.vehicles not in seen:
                seen[haul.vehicles] = frozenset(new[v] for v in haul.vehicles if v in new)
            if seen[haul.vehicles]:
                out.setdefault(order_id, []).append(haul._replace(vehicles=seen[haul.vehicles]))
    return out
