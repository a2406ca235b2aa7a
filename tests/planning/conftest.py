"""A small site with one-wide aisles, and the loop of planner and obedient robots on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from aislewise.sitemap import Place, SiteMap
from aislewise.types import ObjectClass, Order, OrderLine, WorldObject
from planning.config import PlannerConfig
from planning.planner import Planner
from planning.rehearsal import Pace, Rehearsal, ideal
from planning.routing import FAR, I64
from planning.store import MemoryStore


def build_site(racks: int = 4, depth: int = 6, parkings: int = 2) -> SiteMap:
    """Racks one cell wide between aisles one cell wide; cross aisles two wide at both ends."""
    width, height = 2 * racks + 1, depth + 4
    cells = np.zeros((height, width), np.uint8)
    cells[2 : 2 + depth, 1::2] = 1
    places: dict[str, Place] = {}

    def put(name: str, kind: str, row: int, col: int) -> None:
        places[name] = Place(name, kind, row * width + col, col + 0.5, row + 0.5)

    for aisle in range(racks + 1):
        for k, row in enumerate((3, depth)):
            put(f"face-{aisle}-{k}", "pick_face", row, 2 * aisle)
    put("station-1", "station", 0, 0)
    put("station-2", "station", 0, width - 1)
    put("charger-1", "charger", height - 1, 0)
    put("charger-2", "charger", height - 1, width - 1)
    for k in range(parkings):
        put(f"parking-{k}", "parking", height - 1, 2 + 2 * k)
    skus = {name.replace("face", "sku"): name for name in places if name.startswith("face")}
    return SiteMap("test", 1.0, 0.0, 0.0, cells, places, skus)


def build_order(order_id: str, *lines: tuple[str, str], quantity: int = 1, **fields: Any) -> Order:
    return Order(order_id, tuple(OrderLine(to, pick_from=face, quantity=quantity) for face, to in lines), **fields)


def build_object(name: str, cls: ObjectClass, xy: Sequence[float], velocity: Sequence[float] = (0.0, 0.0)) -> WorldObject:
    probabilities = np.full(len(ObjectClass), 0.01, np.float32)
    probabilities[cls] = 0.94
    size = {ObjectClass.PERSON: (0.5, 0.5, 1.8), ObjectClass.PALLET: (0.9, 0.8, 1.0)}.get(cls, (0.5, 0.4, 0.3))
    return WorldObject(
        name, probabilities, np.full(8, 0.125, np.float32), np.zeros(2, np.float32), np.array([*xy, 0.5]), 0.0,
        np.array(size), np.array(velocity, np.float64), np.eye(4) * 0.01, 0.95, np.zeros(32, np.float32), 0,
        10**15, ("r0",),
    )  # fmt: skip


class Loop:
    """A planner and robots that obey it; `run` until all orders are final."""

    def __init__(
        self, site: SiteMap, starts: Sequence[int], orders: Sequence[Order], pace: Pace = ideal, seed: int = 0,
        battery_per_tick: float = 0.0, **config: Any,
    ) -> None:  # fmt: skip
        self.site, self.store = site, MemoryStore()
        for order in orders:
            self.store.submit(order, 0)
        self.config = PlannerConfig(**config)
        self.planner = Planner(site, self.store, self.config, seed)
        self.floor = Rehearsal(
            site, {f"r{i}": int(c) for i, c in enumerate(starts)}, pace=pace, battery_per_tick=battery_per_tick
        )
        self.known: dict[str, Any] = {}
        self.plans: list[Any] = []

    def step(self) -> Any:
        plan = self.planner.step(self.floor.world(**self.known), self.floor.now_ns)
        self.plans.append(plan)
        self.floor.obey(plan)
        self.floor.tick()
        return plan

    def run(self, ticks: int, until: Callable[[], bool] | None = None) -> int:
        """Steps until all orders are final (or `until` holds); at most `ticks`."""
        for _ in range(ticks):
            if (until or (lambda: not self.store.open_count()))():
                break
            self.step()
        return self.floor.ticks

    def states(self) -> dict[str, str]:
        return {r.order.order_id: r.state.value for r in self.store.list(limit=1000)}

    def reasons(self) -> dict[str, str]:
        return {r.order.order_id: r.reason for r in self.store.list(limit=1000)}


@pytest.fixture
def make() -> Any:
    """Namespace of the builders above."""

    class Make:
        site = staticmethod(build_site)
        order = staticmethod(build_order)
        seen = staticmethod(build_object)
        loop = Loop

    return Make


def legs(node_cells: Sequence[int], service_ds: Sequence[int], between: I64) -> I64:
    """(N, N) leg times: service at the first node plus the drive. `between`: (N, N) drive times, FAR
    where there is no way."""
    out = np.asarray(between, np.int64) + np.asarray(service_ds, np.int64)[:, None]
    out[np.asarray(between) >= FAR] = FAR
    cells = np.asarray(node_cells)
    out[:, cells < 0] = FAR
    return out
