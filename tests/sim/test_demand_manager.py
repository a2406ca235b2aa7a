"""The fleet manager submits and calls off over the wire, each at its time on the service's clock."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

from aislewise.errors import InputError
from aislewise.types import Order, OrderLine, OrderState
from planning.service import PlanningService
from planning.store import MemoryStore
from sim import manager
from sim.demand import Cancellation
from sim.warehouse import WarehouseConfig, generate

SITE = generate(WarehouseConfig(width=20, height=26, stations=4, chargers=4, parking=2), np.random.default_rng(0)).site
FACE = SITE.of_kind("pick_face")[0].id


def _order(name: str, release_ns: int) -> Order:
    return Order(name, (OrderLine("station_1", pick_from=FACE),), release_ns)


class _Floor:
    """A service whose clock the test moves, and a manager that works against it."""

    def __init__(self, errands: Path) -> None:
        self.store, self.now_ns = MemoryStore(), 0
        self.service = PlanningService(self.store, SITE, lambda: self.now_ns, "tcp://127.0.0.1:*").start()
        self.result: list[int] = []
        self.thread = threading.Thread(target=lambda: self.result.append(manager.run(self.service.endpoint, errands)))
        self.thread.start()

    def until(self, seq: int) -> None:
        """The store has that many events."""
        for _ in range(1000):
            if self.store.last_seq() >= seq:
                return
            threading.Event().wait(0.01)
        raise AssertionError(f"{self.store.last_seq()} events, not {seq}")

    def close(self) -> None:
        self.thread.join(10.0)
        self.service.stop()


def test_orders_are_submitted_and_called_off_at_their_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "errands.json"
    monkeypatch.setattr(manager.subprocess, "Popen", lambda *a, **k: None)  # only the file it would be given
    orders = [_order("a", 0), _order("b", 10), _order("c", 10)]
    calls = [Cancellation("a", 20), Cancellation("b", 20), Cancellation("c", 10)]
    manager.start_manager("tcp://nowhere:1", orders, file, calls)
    floor = _Floor(file)
    floor.until(1)
    assert [r.order.order_id for r in floor.store.list()] == ["a"]
    floor.now_ns = 10
    floor.until(4)
    assert floor.store.get("c").state is OrderState.CANCELLING  # in the instant of its own release, and after it
    for state in (OrderState.PLANNED, OrderState.ASSIGNED, OrderState.RUNNING, OrderState.DONE):
        floor.store.transition("a", state, 15)
    floor.now_ns = 20
    floor.close()
    assert floor.result == [0]  # a call that comes too late is no error of the manager
    assert floor.store.get("a").state is OrderState.DONE
    assert floor.store.get("b").state is OrderState.CANCELLING
    assert floor.store.get("b").updated_ns == 20


@pytest.mark.parametrize(
    ("line", "field"), [(b"{}", "at_ns"), (b'{"at_ns": 0, "order": {"order_id": "a"}}', "order.lines"), (b"{", "errand")]
)
def test_a_broken_file_is_a_typed_error(line: bytes, field: str, tmp_path: Path) -> None:
    file = tmp_path / "errands.json"
    file.write_bytes(line)
    with pytest.raises(InputError, match=field):
        manager.run("tcp://127.0.0.1:1", file)


def test_an_errand_must_say_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "errands.json"
    file.write_bytes(msgspec.json.encode({"at_ns": 0}))
    service = PlanningService(MemoryStore(), SITE, lambda: 0, "tcp://127.0.0.1:*")
    with service, pytest.raises(InputError, match="neither"):
        manager.run(service.endpoint, file)
