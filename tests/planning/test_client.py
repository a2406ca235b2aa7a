"""The client: typed errors, safe repeats; and the service as a process that is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from aislewise.clock import ManualClock
from aislewise.errors import (
    AislewiseError,
    ConflictError,
    InputError,
    NotFoundError,
    StateError,
    UnknownPlaceError,
    UnsupportedError,
)
from aislewise.types import Order, OrderLine, OrderRecord, OrderState
from planning import protocol as wire
from planning.client import PlanningClient
from planning.service import PlanningService, RequestHandler
from planning.store import MemoryStore, SqliteStore

ROOT = Path(__file__).parents[2]
S = OrderState


def order(order_id: str, **fields: Any) -> Order:
    return Order(order_id, (OrderLine("station-1", sku="sku-0-0"),), **fields)


@pytest.fixture
def service(make: Any) -> Iterator[PlanningService]:
    with PlanningService(
        MemoryStore(), make.site(), ManualClock(1000), "tcp://127.0.0.1:*", lambda text: f"id of {text}"
    ) as running:
        yield running


@pytest.fixture(params=["json", "msgpack"])
def client(service: PlanningService, request: pytest.FixtureRequest) -> Iterator[PlanningClient]:
    with PlanningClient(service.endpoint, timeout_s=20.0, encoding=request.param) as made:
        yield made


class TestCalls:
    def test_every_call_has_its_typed_answer(self, client: PlanningClient) -> None:
        record = client.submit(order("a", priority=2))
        assert record.state is S.RECEIVED
        assert record.order.lines[0].pick_from == "face-0-0"
        assert client.status("a") == client.submit(order("a", priority=2)) == record
        assert client.cancel("a").state is S.CANCELLING
        assert [r.order.order_id for r in client.list([S.CANCELLING])] == ["a"]
        assert client.list([S.RECEIVED]) == []
        events = client.events()
        assert [e.state for e in events.events] == [S.RECEIVED, S.CANCELLING]
        assert events.last_seq == client.health().last_seq == 2
        assert client.now_ns() == 1000
        assert client.hello().version == wire.VERSION
        assert client.instruct("go") == "id of go"

    def test_errors_are_those_that_the_service_raised(self, client: PlanningClient) -> None:
        client.submit(order("a"))
        with pytest.raises(ConflictError):
            client.submit(order("a", priority=1))
        with pytest.raises(NotFoundError):
            client.status("b")
        with pytest.raises(UnknownPlaceError) as caught:
            client.submit(Order("b", (OrderLine("station-1", sku="none"),)))
        assert caught.value.field == "lines[0].sku"
        with pytest.raises(InputError) as wrong:
            client.list(limit=0)
        assert wrong.value.field == "limit"

    def test_a_batch_of_any_size_is_answered_order_by_order(self, client: PlanningClient) -> None:
        many = [order(f"o{i}") for i in range(wire.MAX_BATCH + 3)]
        bad = Order("bad", (OrderLine("none", sku="sku-0-0"),))
        answers = client.submit_batch([*many, bad])
        assert [a.order.order_id for a in answers[:-1] if isinstance(a, OrderRecord)] == [
            o.order_id for o in many
        ]
        assert isinstance(answers[-1], UnknownPlaceError)
        assert client.submit_batch([]) == []

    def test_a_batch_is_split_before_it_is_too_large(self, client: PlanningClient) -> None:
        line = OrderLine("station-1", sku="sku-0-0", object_id="o" * 64)
        large = [Order(f"o{i}", (line,) * 64) for i in range(120)]
        assert sum(len(wire.encode(o, "msgpack")) for o in large) > wire.MAX_REQUEST_BYTES
        assert all(isinstance(a, OrderRecord) for a in client.submit_batch(large))

    def test_wrong_settings_are_refused(self) -> None:
        for wrong in ({"timeout_s": 0.0}, {"timeout_s": float("nan")}, {"retries": -1}):
            with pytest.raises(InputError):
                PlanningClient(**wrong)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="endpoint"), PlanningClient("tcp:/nowhere") as client:
            client.now_ns()


class TestRepeats:
    def test_silence_is_a_typed_error_after_the_last_try(self) -> None:
        with PlanningClient("tcp://127.0.0.1:9", timeout_s=0.02, retries=2) as client:
            with pytest.raises(wire.UnavailableError, match="3 tries"):
                client.now_ns()
            with pytest.raises(wire.UnavailableError):
                client.submit(order("a"))

    def test_lost_requests_and_lost_answers_are_repeated_with_one_effect(self, make: Any) -> None:
        """A service behind a line that drops every other request and every other answer."""
        heard: list[str] = []
        store = MemoryStore()
        handler = RequestHandler(
            store, make.site(), ManualClock(), lambda text: heard.append(text) or f"i{len(heard)}"
        )
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        router = context.socket(zmq.ROUTER)
        port = router.bind_to_random_port("tcp://127.0.0.1")
        stop = threading.Event()

        def lossy_line() -> None:
            turn = 0
            while not stop.is_set():
                if router.poll(20):
                    *path, raw = router.recv_multipart()
                    turn += 1
                    answer = handler.handle(raw) if turn % 3 != 1 else None
                    if answer is not None and turn % 3 == 0:
                        router.send_multipart([*path, answer])
            router.close(linger=0)

        thread = threading.Thread(target=lossy_line)
        thread.start()
        try:
            with PlanningClient(f"tcp://127.0.0.1:{port}", timeout_s=0.3, retries=20) as client:
                for name in ("a", "b"):
                    assert client.submit(order(name)).order.order_id == name
                assert client.cancel("a").state is S.CANCELLING
                assert client.instruct("go") == "i1"
        finally:
            stop.set()
            thread.join()
            context.term()
        assert heard == ["go"]
        assert [(e.order_id, e.state) for e in store.events()] == [
            ("a", S.RECEIVED), ("b", S.RECEIVED), ("a", S.CANCELLING),
        ]  # fmt: skip

    def test_a_client_goes_on_after_the_service_was_away(self, make: Any, tmp_path: Path) -> None:
        store, site = SqliteStore(tmp_path / "o.db"), make.site()
        first = PlanningService(store, site, ManualClock(), "tcp://127.0.0.1:*").start()
        with PlanningClient(first.endpoint, timeout_s=0.3, retries=0) as client:
            client.submit(order("a"))
            first.stop()
            with pytest.raises(wire.UnavailableError):
                client.submit(order("b"))
            with PlanningService(store, site, ManualClock(), first.endpoint):
                patient = PlanningClient(first.endpoint, timeout_s=5.0)
                assert patient.submit(order("b")).state is S.RECEIVED
                assert len(patient.list()) == 2
                patient.close()
        store.close()


class Served:
    """`aislewise serve` in a process of its own, on a store that outlives it."""

    def __init__(self, folder: Path, site: Any) -> None:
        self.store, self._ready, self._site = folder / "o.db", folder / "ready.json", folder / "site.json"
        site.save(self._site)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, bind: str = "tcp://127.0.0.1:*") -> str:
        self._ready.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "serve", "--bind", bind, "--store", str(self.store),
             "--site", str(self._site), "--json", str(self._ready)],
            cwd=ROOT, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        while not self._ready.exists():
            assert self.process.poll() is None, "serve ended early"
            time.sleep(0.01)
        endpoint: str = json.loads(self._ready.read_text())["endpoint"]
        return endpoint

    def end(self, number: int) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


@pytest.fixture
def served(tmp_path: Path, make: Any) -> Iterator[Served]:
    made = Served(tmp_path, make.site())
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


class TestProcess:
    def test_kill_9_loses_no_acknowledged_order(self, served: Served) -> None:
        """Three clients submit without pause; the service is killed amid them, three times."""
        rng = random.Random(11)
        acked: dict[str, OrderRecord] = {}
        sent: dict[str, Order] = {}
        for life in range(3):
            endpoint = served.start()
            threads = [
                threading.Thread(target=hammer, args=(endpoint, f"{life}-{t}", sent, acked)) for t in range(3)
            ]
            for thread in threads:
                thread.start()
            target = len(acked) + rng.randrange(20, 120)
            while len(acked) < target:
                time.sleep(0.001)
            time.sleep(rng.uniform(0.0, 0.01))
            assert served.end(signal.SIGKILL) == -signal.SIGKILL
            for thread in threads:
                thread.join()
        with PlanningClient(served.start(), timeout_s=20.0) as client:
            stored = {r.order.order_id: r for r in pages(client)}
            assert not acked.keys() - stored.keys()
            assert all(stored[i] == record for i, record in acked.items())
            assert stored.keys() <= sent.keys()
            answers = client.submit_batch(list(sent.values()))
            assert not [a for a in answers if isinstance(a, AislewiseError)]
            again = {r.order.order_id: r for r in pages(client)}
            assert again.keys() == sent.keys()
            assert all(again[i] == record for i, record in stored.items())
            events = [e for e in all_events(client) if e.state is S.RECEIVED]
            assert sorted(e.order_id for e in events) == sorted(sent)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_the_service_cleanly(self, served: Served, number: int) -> None:
        with PlanningClient(served.start(), timeout_s=20.0) as client:
            client.submit(order("a"))
            with pytest.raises(UnsupportedError):
                client.instruct("go")
        assert served.end(number) == 0
        assert not [f for f in os.listdir(served.store.parent) if f.endswith("-wal")]
        store = SqliteStore(served.store)
        assert store.get("a").state is S.RECEIVED
        store.close()


def hammer(endpoint: str, prefix: str, sent: dict[str, Order], acked: dict[str, OrderRecord]) -> None:
    """Submit orders one after the other until the service is gone."""
    with PlanningClient(endpoint, timeout_s=1.0, retries=0) as client:
        for i in range(100_000):
            sent[f"{prefix}-{i}"] = request = order(f"{prefix}-{i}")
            try:
                acked[request.order_id] = client.submit(request)
            except wire.UnavailableError:
                return


def pages(client: PlanningClient) -> Iterator[OrderRecord]:
    after = ""
    while page := client.list(limit=100, after=after):
        yield from page
        after = page[-1].order.order_id


def all_events(client: PlanningClient) -> Iterator[Any]:
    seq = 0
    while page := client.events(seq, 500).events:
        yield from page
        seq = page[-1].seq


def test_final_orders_cannot_be_cancelled_through_the_client(service: PlanningService) -> None:
    with PlanningClient(service.endpoint, timeout_s=20.0) as client:
        client.submit(order("a"))
        service.handler._store.transition("a", S.UNROUTABLE, 2, "UNREACHABLE: shut")
        with pytest.raises(StateError):
            client.cancel("a")
