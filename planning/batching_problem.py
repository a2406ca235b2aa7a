"""Order batching as data: the problem, batches, a solution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from planning.batching_kernels import NONE

I64 = NDArray[np.int64]

FAR = 1 << 40  # of a way that cannot be driven
NO_DUE = NONE
MAX_ORDERS, MAX_PLACES = 5_000, 20_000


@dataclass(frozen=True, eq=False)
class Problem:
    """P places, place 0 the station; n orders; R kinds of load (units, grams, ...); m robots. Times in deciseconds.

    distance: (P, P) from row to column in any one unit, may be asymmetric, FAR where there is no way. visits: the places of
    each order. load: (n, R); capacity: (R,) of a robot. release: (n,) a tour with the order begins no earlier. due: (n,),
    NO_DUE for none; price: (n,) what a decisecond late costs in units of distance: priorities go in here. service: (n,) time
    to pick. setup: time of a batch at the station. pace: deciseconds for a unit of distance. ready: (m,) when each robot
    is free at the station."""

    distance: I64
    visits: tuple[tuple[int, ...], ...]
    load: I64
    capacity: I64
    release: I64
    due: I64
    price: I64
    service: I64
    ready: I64
    setup: int = 0
    pace: float = 0.0
    names: tuple[str, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        orders, places = len(self.visits), len(self.distance)
        if orders > MAX_ORDERS or places > MAX_PLACES:
            raise InputError("problem", f"{orders} orders, {places} places", f"{MAX_ORDERS} and {MAX_PLACES}")
        shapes: dict[str, tuple[int, ...]] = {"distance": (places, places), "load": (orders, len(self.capacity))}
        shapes |= dict.fromkeys(("release", "due", "price", "service"), (orders,))
        for field, shape in shapes.items():
            values = getattr(self, field)
            if values.shape != shape or values.dtype != np.int64:
                raise InputError(f"problem.{field}", f"{values.dtype} {values.shape}", f"int64 {shape}")
            if (values < 0).any():
                raise InputError(f"problem.{field}", "less than 0", "at least 0")
        if not places or not len(self.ready) or (self.ready < 0).any() or (self.capacity < 0).any():
            raise InputError("problem", "no station, no robot, or a ready time or capacity less than 0")
        if not 0 <= self.pace < 1e6 or self.setup < 0:
            raise InputError("problem.pace", f"{self.pace}, setup {self.setup}", "0 to 1e6, at least 0")
        for o, stops in enumerate(self.visits):
            if not stops or not all(0 < p < places for p in stops) or len(set(stops)) < len(stops):
                raise InputError(f"problem.visits[{o}]", f"{stops}", f"at least one place, each once, 1 to {places - 1}")
        if self.names and len(set(self.names)) != orders:
            raise InputError("problem.names", f"{len(set(self.names))} of them", f"{orders}, each once")

    @property
    def timed(self) -> bool:
        """Can an order be late at a price?"""
        return bool(((self.price > 0) & (self.due < NO_DUE)).any())

    def length(self, tour: Sequence[int]) -> int:
        """Of a tour from the station through these places and back."""
        return sum(int(self.distance[a, b]) for a, b in zip((0, *tour), (*tour, 0), strict=True))

    def takes(self, orders: Sequence[int], length: int) -> int:
        """Deciseconds of a batch of that tour length."""
        return int(self.setup + self.service[list(orders)].sum() + np.ceil(self.pace * length - 1e-6))


@dataclass(frozen=True, slots=True)
class Batch:
    """orders: numbers; tour: places in turn, without the station; start, end: of the tour, deciseconds."""

    orders: tuple[int, ...]
    tour: tuple[int, ...]
    length: int
    robot: int
    start: int
    end: int


@dataclass(frozen=True)
class Solution:
    """batches: by start. left_out: (order, reason) of those that no robot can bring. cost = distance + lateness priced.
    late: orders that come late; late_ds: by how much in all. strategy: what found it; first_cost: of the best simple rule;
    rounds: of ruin and recreate; columns: batches that CP-SAT had to choose from, the last time."""

    batches: tuple[Batch, ...]
    left_out: tuple[tuple[int, str], ...] = ()
    cost: int = 0
    distance: int = 0
    late: int = 0
    late_ds: int = 0
    strategy: str = ""
    first_cost: int = 0
    rounds: int = 0
    columns: int = 0


def left_out(problem: Problem) -> list[tuple[int, str]]:
    """(order, reason) of those that no robot can bring."""
    out = []
    for o, stops in enumerate(problem.visits):
        over = np.flatnonzero(problem.load[o] > problem.capacity)
        if len(over):
            out.append((o, f"load {int(over[0])} is {int(problem.load[o, over[0]])}, a robot carries {int(problem.capacity[over[0]])}"))
        elif (problem.distance[0, list(stops)] >= FAR).any() or (problem.distance[list(stops), 0] >= FAR).any():
            out.append((o, "no way from the station to a place and back"))
    return out
