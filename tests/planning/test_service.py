"""The service: answers every request, acknowledges after the commit, and survives its clients."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import zmq

from aislewise.clock import ManualClock
from aislewise.errors import InputError, UnreachableError
from aislewise.types import Order, OrderLine, OrderRecord, OrderState
from planning import protocol as wire
from planning.service import (
    MAX_FRAME_BYTES,
    PlanningService,
    RequestHandler,
    split_envelope,
)
from planning.sqlite import StoreError
from planning.store import MemoryStore

FREE_PORT = "tcp://127.0.0.1:*"
LINE = {"sku": "sku-0-0", "deliver_to": "station-1"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def handler(make: Any, store: MemoryStore, clock: ManualClock) -> RequestHandler:
    return RequestHandler(store, make.site(), clock, max_open_orders=5)


@pytest.fixture
def ask(handler: RequestHandler) -> Callable[..., Any]:
    """Sends one JSON request without a socket; the reply as plain data."""
    return lambda **request: json.loads(handler.handle(json.dumps(request).encode()))


@pytest.fixture
def service(make: Any, store: MemoryStore, clock: ManualClock) -> Iterator[PlanningService]:
    with PlanningService(store, make.site(), clock, FREE_PORT) as running:
        yield running


@pytest.fixture
def dealer(service: PlanningService) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, 20_000)
        socket.connect(service.endpoint)
        yield socket


def order(order_id: str, **fields: Any) -> dict[str, Any]:
    return {"order_id": order_id, "lines": [LINE], **fields}


class TestRequests:
    def test_an_order_is_stored_before_it_is_acknowledged(
        self, ask: Any, store: MemoryStore
    ) -> None:
        reply = ask(op="submit", id=7, order=order("a"))
        assert (reply["ok"], reply["id"], reply["result"]["state"]) == (True, 7, "RECEIVED")
        line = OrderLine("station-1", "face-0-0", "sku-0-0")
        assert store.get("a").order == Order("a", (line,))
        assert store.get("a").accepted_ns == 1000

    def test_a_store_that_fails_acknowledges_nothing(self, make: Any, clock: ManualClock) -> None:
        class Full(MemoryStore):
            def submit_many(self, *_: Any) -> Any:
                raise StoreError("orders.db: database or disk is full")

        handler = RequestHandler(Full(), make.site(), clock)
        reply = json.loads(handler.handle(json.dumps({"op": "submit", "order": order("a")}).encode()))
        assert (reply["ok"], reply["error"]["code"]) == (False, "STORE")

    def test_a_fault_of_ours_is_answered_and_the_next_request_served(
        self, handler: RequestHandler, ask: Any, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(store, "open_count", lambda: 1 // 0)
            reply = ask(op="submit", id="r", order=order("a"))
        assert (reply["id"], reply["error"]["code"]) == ("r", "INTERNAL")
        assert ask(op="submit", order=order("a"))["ok"]

    def test_repeating_a_request_gives_the_same_answer_and_a_change_is_a_conflict(
        self, ask: Any, store: MemoryStore, clock: ManualClock
    ) -> None:
        first = ask(op="submit", order=order("a"))
        clock.advance(5.0)
        assert ask(op="submit", order=order("a")) == first
        error = ask(op="submit", order=order("a", priority=1))["error"]
        assert (error["code"], error["field"]) == ("CONFLICT", "order_id")
        assert len(store.events()) == 1

    def test_a_repeat_is_recognised_after_the_site_has_lost_the_sku(
        self, make: Any, store: MemoryStore, clock: ManualClock, ask: Any
    ) -> None:
        first = ask(op="submit", order=order("a"))
        site = make.site()
        site.skus.clear()
        handler = RequestHandler(store, site, clock)
        again = handler.handle(json.dumps({"op": "submit", "order": order("a")}).encode())
        assert json.loads(again) == first

    @pytest.mark.parametrize(
        ("change", "code", "field"),
        [
            ({"sku": "none"}, "UNKNOWN", "lines[0].sku"),
            ({"deliver_to": "none"}, "UNKNOWN", "lines[0].deliver_to"),
            ({"quantity": 0}, "INVALID", "lines[0].quantity"),
            ({"quantty": 1}, "INVALID", "lines[0].quantty"),
        ],
    )
    def test_a_wrong_order_names_the_field(
        self, ask: Any, store: MemoryStore, change: dict[str, Any], code: str, field: str
    ) -> None:
        error = ask(op="submit", order={"order_id": "a", "lines": [LINE | change]})["error"]
        assert (error["code"], error["field"]) == (code, field)
        assert store.list() == []

    def test_an_unreachable_station_is_named(self, make: Any, store: MemoryStore) -> None:
        site = make.site()
        site.cells[1, 0] = site.cells[0, 1] = 1
        handler = RequestHandler(store, site, ManualClock())
        body = json.dumps({"op": "submit", "order": order("a")}).encode()
        error = json.loads(handler.handle(body))["error"]
        assert (error["code"], error["field"]) == ("UNREACHABLE", "lines[0].deliver_to")
        with pytest.raises(UnreachableError):
            handler.accept(Order("a", (OrderLine("station-1", sku="sku-0-0"),)))

    def test_a_batch_is_judged_order_by_order(self, ask: Any, store: MemoryStore) -> None:
        orders = [order("a"), {"order_id": "b"}, order("c", lines=[]), 7, order("a"), order("d")]
        results = ask(op="submit_batch", orders=orders)["result"]["results"]
        assert [r["ok"] for r in results] == [True, False, False, False, True, True]
        assert [r["error"]["field"] for r in results if not r["ok"]] == ["lines", "lines", "order"]
        assert [r.order.order_id for r in store.list()] == ["a", "d"]
        for wrong in ([], [order(f"o{i}") for i in range(wire.MAX_BATCH + 1)]):
            assert ask(op="submit_batch", orders=wrong)["error"]["field"] == "orders"

    def test_orders_beyond_the_limit_are_told_to_come_back(
        self, ask: Any, store: MemoryStore, clock: ManualClock
    ) -> None:
        results = ask(op="submit_batch", orders=[order(f"o{i}") for i in range(7)])["result"]["results"]
        assert [r["ok"] for r in results] == [True] * 5 + [False] * 2
        error = ask(op="submit", order=order("late"))["error"]
        assert (error["code"], error["limit"]) == ("RETRY_LATER", 5)
        assert ask(op="submit", order=order("o0"))["ok"], "a repeat is no new order"
        store.transition("o0", OrderState.UNROUTABLE, clock())
        assert ask(op="submit", order=order("late"))["ok"]

    def test_status_cancel_and_list(self, ask: Any, store: MemoryStore, clock: ManualClock) -> None:
        for name in "abc":
            ask(op="submit", order=order(name))
        assert ask(op="status", order_id="b")["result"]["order"]["order_id"] == "b"
        assert ask(op="status", order_id="x")["error"]["code"] == "NOT_FOUND"
        assert ask(op="cancel", order_id="b")["result"]["state"] == "CANCELLING"
        page = ask(op="list", states=["RECEIVED"], after="a", limit=1)["result"]["orders"]
        assert [r["order"]["order_id"] for r in page] == ["c"]
        store.transition("b", OrderState.CANCELLED, clock())
        assert ask(op="cancel", order_id="b")["result"]["state"] == "CANCELLED", "a lost answer"
        store.transition("c", OrderState.FAILED, clock(), "ROBOT_LOST: r1")
        error = ask(op="cancel", order_id="c")["error"]
        assert (error["code"], error["field"]) == ("BAD_STATE", "order_id")

    def test_events_are_read_from_where_the_client_stands(self, ask: Any) -> None:
        for name in "abc":
            ask(op="submit", order=order(name))
        result = ask(op="events", after_seq=1, limit=1)["result"]
        assert [e["order_id"] for e in result["events"]] == ["b"]
        assert result["last_seq"] == 3

    def test_hello_time_and_health(self, ask: Any, clock: ManualClock) -> None:
        hello = ask(op="hello", v=1)["result"]
        assert hello["version"] == wire.VERSION
        assert hello["ops"] == sorted(wire.OPS)
        assert hello["limits"]["open_orders"] == 5
        clock.advance(1.0)
        assert ask(op="time")["result"] == {"now_ns": 1_000_001_000}
        ask(op="nonsense")
        health = ask(op="health")["result"]
        assert (health["status"], health["open_orders"], health["refused"]) == ("ok", 0, 1)

    def test_the_reply_comes_in_the_encoding_of_the_request(self, handler: RequestHandler) -> None:
        reply = msgspec.msgpack.decode(handler.handle(msgspec.msgpack.encode({"op": "time", "id": "q"})))
        assert (reply["ok"], reply["id"]) == (True, "q")

    @pytest.mark.parametrize("size", [wire.MAX_REQUEST_BYTES + 1, 4 * wire.MAX_REQUEST_BYTES])
    def test_an_oversized_request_is_refused_unread(self, handler: RequestHandler, size: int) -> None:
        error = json.loads(handler.handle(b" " * size))["error"]
        assert (error["code"], error["limit"]) == ("INVALID", wire.MAX_REQUEST_BYTES)


class TestInstructions:
    @pytest.fixture
    def said(self) -> list[str]:
        return []

    @pytest.fixture
    def ask(self, make: Any, said: list[str]) -> Callable[..., Any]:
        def hear(text: str) -> str:
            if "forbidden" in text:
                raise InputError("text", "is forbidden")
            said.append(text)
            return f"i{len(said)}"

        handler = RequestHandler(MemoryStore(), make.site(), ManualClock(), hear)
        return lambda **request: json.loads(handler.handle(json.dumps(request).encode()))

    def test_an_instruction_is_handed_over_once(self, ask: Any, said: list[str]) -> None:
        first = ask(op="instruct", text="bring the blue tote", instruction_id="k")
        assert first["result"]["instruction_id"] == "i1"
        assert ask(op="instruct", text="bring the blue tote", instruction_id="k") == first
        assert ask(op="instruct", text="other", instruction_id="k")["error"]["code"] == "CONFLICT"
        assert ask(op="instruct", text="bring the blue tote")["result"]["instruction_id"] == "i2"
        assert said == ["bring the blue tote"] * 2

    def test_a_refused_instruction_may_be_tried_again(self, ask: Any, said: list[str]) -> None:
        assert ask(op="instruct", text="forbidden", instruction_id="k")["error"]["field"] == "text"
        assert ask(op="instruct", text="go", instruction_id="k")["ok"]
        for wrong in ("", "x" * (wire.MAX_TEXT_LEN + 1)):
            assert ask(op="instruct", text=wrong)["error"]["field"] == "text"

    def test_a_service_without_robots_says_that_it_takes_none(self, make: Any) -> None:
        handler = RequestHandler(MemoryStore(), make.site(), ManualClock())
        error = json.loads(handler.handle(b'{"op": "instruct", "text": "go"}'))["error"]
        assert error["code"] == "UNSUPPORTED"


class TestSocket:
    def test_req_and_dealer_with_and_without_delimiter_are_served(
        self, service: PlanningService, dealer: zmq.Socket[bytes]
    ) -> None:
        with zmq.Context() as context, context.socket(zmq.REQ) as req:
            req.setsockopt(zmq.LINGER, 0)
            req.connect(service.endpoint)
            req.send(b'{"op": "time", "id": 1}')
            assert req.poll(20_000)
            assert json.loads(req.recv())["id"] == 1
        dealer.send(b'{"op": "time", "id": 2}')
        assert [json.loads(f)["id"] for f in dealer.recv_multipart()] == [2]
        dealer.send_multipart([b"proxy", b"", b'{"op": "time", "id": 3}'])
        frames = dealer.recv_multipart()
        assert frames[:2] == [b"proxy", b""]
        assert json.loads(frames[2])["id"] == 3

    def test_a_dealer_may_send_many_requests_before_it_reads(self, dealer: zmq.Socket[bytes]) -> None:
        for i in range(300):
            dealer.send(json.dumps({"op": "submit", "id": i, "order": order(f"o{i}")}).encode())
        replies = [json.loads(dealer.recv()) for _ in range(300)]
        assert [r["id"] for r in replies] == list(range(300))
        assert all(r["ok"] for r in replies)

    @pytest.mark.parametrize(
        "frames",
        [[b"a", b"b"], [b'{"op": "time"}', b"more"], [b""], [b"", b""], [b"", b"x", b"y"], [b"z"] * 40, [b"{}", b""]]
    )
    def test_other_framings_are_answered_with_an_error(
        self, dealer: zmq.Socket[bytes], frames: list[bytes]
    ) -> None:
        dealer.send_multipart(frames)
        reply = json.loads(dealer.recv_multipart()[-1])
        assert (reply["ok"], reply["error"]["field"]) == (False, "request")

    def test_a_huge_frame_costs_its_sender_the_connection_and_nobody_else(
        self, service: PlanningService, dealer: zmq.Socket[bytes]
    ) -> None:
        with zmq.Context() as context, context.socket(zmq.DEALER) as rude:
            rude.setsockopt(zmq.LINGER, 0)
            rude.connect(service.endpoint)
            rude.send(b" " * (MAX_FRAME_BYTES + 1))
            dealer.send(b'{"op": "time"}')
            assert json.loads(dealer.recv())["ok"]
            assert not rude.poll(100)

    def test_no_payload_can_stop_the_service(
        self, service: PlanningService, store: MemoryStore, dealer: zmq.Socket[bytes]
    ) -> None:
        """Thousands of random, mutated and multi-frame messages: each gets exactly one reply."""
        rng = random.Random(7)
        count = 4000
        for start in range(0, count, 200):
            for _ in range(200):
                dealer.send_multipart(hostile(rng))
            for _ in range(200):
                frames = dealer.recv_multipart()
                raw = frames[-1]
                decode = msgspec.json.decode if raw[:1] == b"{" else msgspec.msgpack.decode
                reply = decode(raw)
                assert reply["ok"] in (True, False), start
                assert reply["ok"] or reply["error"]["code"] in ERROR_CODES, reply
        dealer.send(b'{"op": "health", "id": "end"}')
        health = json.loads(dealer.recv())
        assert (health["id"], health["result"]["status"]) == ("end", "ok")
        for record in store.list():
            assert isinstance(record, OrderRecord)

    def test_clients_that_leave_without_reading_harm_nobody(self, service: PlanningService) -> None:
        with zmq.Context() as context:
            for i in range(30):
                with context.socket(zmq.DEALER) as socket:
                    socket.setsockopt(zmq.LINGER, 50)
                    socket.connect(service.endpoint)
                    for _ in range(20):
                        socket.send(json.dumps({"op": "list", "id": i}).encode())
            with context.socket(zmq.REQ) as req:
                req.connect(service.endpoint)
                req.send(b'{"op": "health"}')
                assert req.poll(20_000)

    def test_the_endpoint_is_freed_by_stop_and_refused_while_taken(
        self, make: Any, service: PlanningService
    ) -> None:
        other = PlanningService(MemoryStore(), make.site(), ManualClock(), service.endpoint)
        with pytest.raises(InputError, match="bind"):
            other.start()
        service.stop()
        service.stop()
        with other:
            assert other.endpoint == service.endpoint
        with pytest.raises(InputError, match="bind"):
            PlanningService(MemoryStore(), make.site(), ManualClock(), "carrier://pigeon").start()
        assert not [t for t in threading.enumerate() if t.name == "planning-service"]


ERROR_CODES = {"INVALID", "UNKNOWN", "UNREACHABLE", "CONFLICT", "NOT_FOUND", "BAD_STATE", "UNSUPPORTED"}


def hostile(rng: random.Random) -> list[bytes]:
    """A message that a broken or malicious client might send."""
    valid: list[Any] = [
        {"op": "submit", "id": "x", "order": order(f"o{rng.randrange(20)}")},
        {"op": "submit_batch", "orders": [order("p"), order("q", priority=1)]},
        {"op": "list", "states": ["RECEIVED"], "limit": 3},
        {"op": "cancel", "order_id": f"o{rng.randrange(20)}"},
        {"op": "events", "after_seq": rng.choice([0, 2**63 - 1, 2**64 - 1])},
        {"op": "instruct", "text": "go"},
    ]
    message = rng.choice(valid)
    encode = rng.choice([msgspec.json.encode, msgspec.msgpack.encode])
    kind = rng.randrange(6)
    if kind == 0:
        return [rng.randbytes(rng.randrange(1, 300))]
    if kind == 1:
        return [rng.randbytes(rng.randrange(30)) for _ in range(rng.randrange(1, 40))] or [b"x"]
    if kind == 2:
        key = rng.choice(list(message))
        strange: list[Any] = [None, -1, 2**64 - 1, 1e308, "", "\0", "x" * 5000, [], {}, [[]] * 50, True, [message]]
        return [encode(message | {key: rng.choice(strange)})]
    if kind == 3:
        return [rng.choice([b"[", b'{"a":', b"\x91", b"\x81\xa1a"]) * rng.randrange(1, 20_000)]
    raw = bytearray(encode(message))
    if kind == 4:
        for _ in range(rng.randrange(1, 6)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
    else:
        del raw[rng.randrange(len(raw)) :]
    return [bytes(raw)]


def test_the_return_path_ends_at_the_first_empty_frame() -> None:
    assert split_envelope([b"id", b"q"]) == ([b"id"], [b"q"])
    assert split_envelope([b"id", b"", b"q"]) == ([b"id", b""], [b"q"])
    assert split_envelope([b"id", b"p", b"", b"q"]) == ([b"id", b"p", b""], [b"q"])
    assert split_envelope([b"id"]) == ([b"id"], [])
    assert split_envelope([b"", b"q"]) == ([b""], [b"q"])
