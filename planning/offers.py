"""Which orders can be served now, by whom and from where, and why the others wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from planning.distance import UNREACHABLE, DistanceTables
from planning.ledger import Job, Load, LoadState
from planning.routing import Haul

MANY_VEHICLES = 64
OPEN = (LoadState.WAITING, LoadState.COMMITTED, LoadState.ABOARD)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A robot that may be given work. takes_work: new orders too, not only what it has begun."""

    robot: str
    cell: int
    ready_s: float
    battery: float
    takes_work: bool
    abilities: frozenset[str]


class Orders(NamedTuple):
    """hauls: of each order that some robot can serve. waiting: why the others wait, and whether because they cannot be
    reached. carried: what robots have on board, or will have once what is released to them is done."""

    hauls: dict[str, list[Haul]]
    waiting: dict[str, tuple[str, bool]]
    carried: dict[str, int]


class Offers:
    """Answers of one dispatch. They are few and often the same: each is worked out once."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        tables: DistanceTables,
        standing: NDArray[np.bool_],
        why: Callable[[int], str],
    ) -> None:
        """tables: distances on cells that are not `standing` (H * W,) blocked; why(cell): what blocks it."""
        self._reach = _Reach(candidates)
        self._tables, self._standing, self._why = tables, standing, why
        self._drops: dict[int, bytes] = {}
        self._near: dict[tuple[int, frozenset[int]], frozenset[int]] = {}

    def __call__(self, jobs: Mapping[str, Job], weight_due: Callable[[Job], tuple[int, int]]) -> Orders:
        """weight_due: weight and due time, ds from now, of an order's hauls."""
        hauls: dict[str, list[Haul]] = {}
        waiting: dict[str, tuple[str, bool]] = {}
        carried: dict[str, int] = {}
        for number, (order_id, job) in enumerate(jobs.items()):
            mine, reason = [], ""
            weight, due = weight_due(job)
            for load in job.loads:
                if load.state in OPEN:
                    if load.state is not LoadState.WAITING:
                        carried[load.robot] = carried.get(load.robot, 0) + load.size
                    haul, cause = self._haul(number, job, load, weight, due)
                    reason = reason or cause
                    mine += [haul] if haul else []
            if reason:
                waiting[order_id] = (reason, not reason.startswith("NO_ROBOT:"))
                mine = [haul for haul in mine if haul.pick_cell < 0]  # begun as a whole or not; what is on board goes on
            if len(mine) > 1:
                both = frozenset.intersection(*(haul.vehicles for haul in mine))
                mine = [haul._replace(vehicles=both) for haul in mine]
            if mine:
                hauls[order_id] = mine
        return Orders(hauls, waiting, carried)

    def _haul(self, group: int, job: Job, load: Load, weight: int, due: int) -> tuple[Haul | None, str]:
        drop = load.drop_cell
        if drop not in self._drops:
            shut = self._standing
            self._drops[drop] = b"" if shut[drop] else ((self._tables.to(drop) < UNREACHABLE) & ~shut).tobytes()
        open_to_drop = self._drops[drop]
        if not open_to_drop:
            return None, f"BLOCKED: {load.drop_place} by {self._why(drop)}"
        aboard = load.state is not LoadState.WAITING
        able = self._reach.able(load.robot or job.robot, job.order.capability)
        if not able:
            if job.order.capability and not self._reach.known(job.order.capability):
                return None, f"CAPABILITY: no robot can {job.order.capability!r}"
            return None, "NO_ROBOT: none is ready for work"
        if (drop, able) not in self._near:
            self._near[drop, able] = self._reach.near(able, self._tables.to(drop))
        near = self._near[drop, able]
        if not near:
            return None, f"BLOCKED: the way to {load.drop_place} is shut"
        pick = -1
        if not aboard:
            pick = next((cell for cell in load.pick_cells if open_to_drop[cell]), -1)
            if pick < 0:
                cell = load.pick_cells[0]
                cause = f"by {self._why(cell)}" if self._standing[cell] else "is cut off"
                return None, f"BLOCKED: {load.pick_place or 'the object'} {cause}"
        return Haul(load.id, group, pick, drop, load.size, weight, due, near), ""


class _Reach:
    """Which vehicles may serve what."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        self._cells = np.array([c.cell for c in candidates], np.int64)
        self._number = {c.robot: v for v, c in enumerate(candidates)}
        self._able: dict[tuple[str, str], frozenset[int]] = {}

    def able(self, owner: str, need: str) -> frozenset[int]:
        """The owner alone if a robot has the order already; else who takes work and has the ability."""
        key = (owner, "" if owner else need)
        if key not in self._able:
            if owner:
                able = frozenset({self._number[owner]} if owner in self._number else ())
            else:
                able = frozenset(v for v, c in enumerate(self._candidates) if c.takes_work and (not need or need in c.abilities))
            self._able[key] = able
        return self._able[key]

    def known(self, need: str) -> bool:
        return any(need in c.abilities for c in self._candidates)

    def near(self, able: frozenset[int], to_drop: NDArray[Any]) -> frozenset[int]:
        """Those of them from which there is a way."""
        if len(able) == 1:
            (v,) = able
            return able if to_drop[self._cells[v]] < UNREACHABLE else frozenset()
        if len(able) < MANY_VEHICLES:
            return frozenset(v for v in able if to_drop[self._cells[v]] < UNREACHABLE)
        off = np.flatnonzero(to_drop[self._cells] >= UNREACHABLE)
        return able.difference(off.tolist()) if len(off) else able


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
