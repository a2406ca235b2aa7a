"""The planning service's door: a ZeroMQ ROUTER in a thread of its own, over an OrderStore.

Nothing a client sends can crash or block it, and an order is acknowledged only after its commit.
The planner in the same process reads and moves the orders through the store.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import zmq
from msgspec import Raw

from aislewise.clock import Clock
from aislewise.errors import (
    AislewiseError,
    ConflictError,
    InputError,
    NotFoundError,
    UnsupportedError,
)
from aislewise.sitemap import SiteMap
from aislewise.types import Order, OrderRecord, OrderState
from planning import protocol as wire
from planning.orders import OrderValidator, check_id, same_order
from planning.store import OrderStore
from planning.why import WhyResult, answer
from planning.why_floor import Floor

log = logging.getLogger(__name__)

MAX_FRAME_BYTES = 16 * wire.MAX_REQUEST_BYTES
"""Above MAX_REQUEST_BYTES a request is refused with an error; above this the connection is cut."""
MAX_FRAMES = 16
REMEMBERED_INSTRUCTIONS = 1024
POLL_MS = 50

InstructionCallback = Callable[[str], str]
"""Takes a typed instruction, returns the id it runs under. Called in the service's thread: hand
over and return. May raise AislewiseError, which the client then gets."""

FloorCallback = Callable[[], Floor | None]
"""The floor as the planner left it last. Called in the service's thread."""


class RequestHandler:
    """One request in, one reply out; knows no sockets. Safe to call from several threads."""

    def __init__(
        self,
        store: OrderStore,
        site: SiteMap,
        clock: Clock,
        on_instruction: InstructionCallback | None = None,
        max_open_orders: int = wire.MAX_OPEN_ORDERS,
        floor: FloorCallback = lambda: None,
    ) -> None:
        self._store, self._site, self._clock, self._floor = store, site, clock, floor
        self._validate = OrderValidator(site)
        self._on_instruction = on_instruction
        self._max_open_orders = max_open_orders
        self._instructions: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._lock = threading.Lock()
        self._requests = self._refused = 0
        self._ops: dict[type[wire.Request], Callable[[Any, wire.Encoding], Any]] = {
            wire.Submit: self._submit,
            wire.SubmitBatch: self._submit_batch,
            wire.Status: lambda request, _: store.get(request.order_id),
            wire.Cancel: self._cancel,
            wire.ListOrders: self._list,
            wire.Events: self._events,
            wire.Instruct: self._instruct,
            wire.Why: self._why,
            wire.Time: lambda *_: wire.TimeResult(clock()),
            wire.Health: self._health,
            wire.Hello: self._hello,
        }

    def handle(self, raw: bytes) -> bytes:
        """Never raises: whatever is wrong is in the reply."""
        encoding = wire.encoding_of(raw)
        envelope = wire.Envelope()
        self._requests += 1
        try:
            if len(raw) > wire.MAX_REQUEST_BYTES:
                raise InputError("request", f"has {len(raw)} bytes", wire.MAX_REQUEST_BYTES)
            envelope = wire.decode(raw, wire.Envelope, encoding)
            request = wire.decode_request(raw, envelope, encoding)
            result = self._ops[type(request)](request, encoding)
            return wire.encode(wire.Reply(True, envelope.id, result=result), encoding)
        except AislewiseError as error:
            self._refused += 1
            return refusal(error, encoding, envelope.id)
        except Exception:  # a fault of ours must cost one reply, not the service
            self._refused += 1
            log.exception("request failed")
            body = wire.ErrorBody("INTERNAL", "the service failed on this request; see its log")
            return wire.encode(wire.Reply(False, envelope.id, error=body), encoding)

    def accept(self, order: Order) -> OrderRecord:
        """Validates and stores one order. Raises what the wire's errors stand for."""
        outcome = self._accept([order])[0]
        if isinstance(outcome, AislewiseError):
            raise outcome
        return outcome

    def _accept(
        self, orders: Sequence[Order | AislewiseError]
    ) -> list[OrderRecord | AislewiseError]:
        """Answers each order; those new and valid are committed together. Errors pass through."""
        room = self._max_open_orders - self._store.open_count()
        answers: list[OrderRecord | AislewiseError | None] = []
        fresh: list[Order] = []
        for order in orders:
            answer: OrderRecord | AislewiseError | None
            try:
                answer = order if isinstance(order, AislewiseError) else self._known(order)
                if answer is None and not isinstance(order, AislewiseError):
                    valid = self._validate(order)
                    if len(fresh) >= room:
                        limit = self._max_open_orders
                        raise wire.RetryLaterError("order", "too many open orders", limit)
                    fresh.append(valid)
            except AislewiseError as error:
                answer = error
            answers.append(answer)
        stored = iter(self._store.submit_many(fresh, self._clock()) if fresh else ())
        return [next(stored) if answer is None else answer for answer in answers]

    def _known(self, order: Order) -> OrderRecord | None:
        """The record of an order sent before. Judged as it was sent, so that a repeated request
        gets the same answer even after the site map has changed."""
        try:
            record = self._store.get(order.order_id)
        except NotFoundError:
            return None
        if not same_order(record.order, order):
            raise ConflictError(f"order {order.order_id} exists with a different body")
        return record

    def _submit(self, request: wire.Submit, encoding: wire.Encoding) -> OrderRecord:
        return self.accept(wire.decode_order(request.order, encoding))

    def _submit_batch(self, request: wire.SubmitBatch, encoding: wire.Encoding) -> Any:
        if not 1 <= len(request.orders) <= wire.MAX_BATCH:
            count = len(request.orders)
            raise InputError("orders", f"has {count} entries", f"1 to {wire.MAX_BATCH}")
        answers = self._accept([_decoded(order, encoding) for order in request.orders])
        return wire.BatchResult([_batch_item(answer) for answer in answers])

    def _cancel(self, request: wire.Cancel, _: wire.Encoding) -> OrderRecord:
        record = self._store.get(request.order_id)
        if record.state is OrderState.CANCELLED:
            return record  # a repeated request, whose first answer was lost
        return self._store.request_cancel(request.order_id, self._clock())

    def _list(self, request: wire.ListOrders, _: wire.Encoding) -> wire.ListResult:
        return wire.ListResult(self._store.list(request.states, request.limit, request.after))

    def _events(self, request: wire.Events, _: wire.Encoding) -> wire.EventsResult:
        events = self._store.events(request.after_seq, request.limit)
        return wire.EventsResult(events, self._store.last_seq())

    def _instruct(self, request: wire.Instruct, _: wire.Encoding) -> wire.InstructResult:
        if self._on_instruction is None:
            raise UnsupportedError("this service takes no instructions: no robots are attached")
        if not 1 <= len(request.text) <= wire.MAX_TEXT_LEN:
            raise InputError(
                "text", f"has {len(request.text)} characters", f"1 to {wire.MAX_TEXT_LEN}"
            )
        if request.instruction_id:
            check_id(request.instruction_id, "instruction_id")
        key = request.instruction_id or uuid.uuid4().hex
        with self._lock:
            if key not in self._instructions:
                self._instructions[key] = (request.text, self._on_instruction(request.text))
                if len(self._instructions) > REMEMBERED_INSTRUCTIONS:
                    self._instructions.popitem(last=False)
            text, answer = self._instructions[key]
        if text != request.text:
            raise ConflictError(f"instruction {key} was given before with a different text")
        return wire.InstructResult(answer)

    def _why(self, request: wire.Why, _: wire.Encoding) -> WhyResult:
        return answer(self._store, self._floor(), self._clock(), request.subject, request.history)

    def _health(self, *_: Any) -> wire.HealthResult:
        return wire.HealthResult(
            status=f"store: {self._store.trouble}" if self._store.trouble else "ok",
            now_ns=self._clock(),
            open_orders=self._store.open_count(),
            last_seq=self._store.last_seq(),
            requests=self._requests,
            refused=self._refused,
        )

    def _hello(self, *_: Any) -> wire.HelloResult:
        limits = wire.LIMITS | {"open_orders": self._max_open_orders}
        return wire.HelloResult(
            "aislewise-planning", wire.VERSION, self._site.name, sorted(wire.OPS), limits
        )


def refusal(error: AislewiseError, encoding: wire.Encoding, request_id: Any = None) -> bytes:
    return wire.encode(wire.Reply(False, request_id, error=wire.error_body(error)), encoding)


def _decoded(raw: Raw, encoding: wire.Encoding) -> Order | AislewiseError:
    try:
        return wire.decode_order(raw, encoding)
    except AislewiseError as error:
        return error


def _batch_item(answer: OrderRecord | AislewiseError) -> wire.BatchItem:
    if isinstance(answer, AislewiseError):
        return wire.BatchItem(False, error=wire.error_body(answer))
    return wire.BatchItem(True, record=answer)


class PlanningService:
    """Serves a RequestHandler on a ROUTER socket from start() to stop(); a context manager.

    `bind` may end in `:*` for a free port; `endpoint` then has the real one. Both REQ and DEALER
    clients are served, with or without proxies between. Beyond loopback, bind only in networks
    whose members you trust: the protocol has no authentication of its own.
    """

    def __init__(
        self,
        store: OrderStore,
        site: SiteMap,
        clock: Clock,
        bind: str = wire.DEFAULT_ENDPOINT,
        on_instruction: InstructionCallback | None = None,
        max_open_orders: int = wire.MAX_OPEN_ORDERS,
        floor: FloorCallback = lambda: None,
    ) -> None:
        self.handler = RequestHandler(store, site, clock, on_instruction, max_open_orders, floor)
        self.endpoint = bind
        self._bind = bind
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> PlanningService:
        """Binds in the caller's thread, so that a wrong or taken address is the caller's error."""
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        router = context.socket(zmq.ROUTER)
        router.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        router.setsockopt(zmq.LINGER, 200)
        try:
            router.bind(self._bind)
        except zmq.ZMQError as error:
            context.destroy(linger=0)
            raise InputError("bind", f"{self._bind}: {error}") from error
        self.endpoint = router.getsockopt_string(zmq.LAST_ENDPOINT)
        self._stopping.clear()
        self._thread = threading.Thread(
            target=self._serve, args=(context, router), name="planning-service", daemon=True
        )
        self._thread.start()
        return self

    @property
    def alive(self) -> bool:
        """Whether requests are answered."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """Answers the request in hand, closes the socket; idempotent."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> PlanningService:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _serve(self, context: zmq.Context[zmq.Socket[bytes]], router: zmq.Socket[bytes]) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    if router.poll(POLL_MS):
                        self._answer(router, router.recv_multipart(zmq.NOBLOCK))
                except zmq.Again:
                    pass
                except zmq.ZMQError:
                    log.exception("reply not sent")
        finally:
            router.close()
            context.term()

    def _answer(self, router: zmq.Socket[bytes], frames: list[bytes]) -> None:
        envelope, body = split_envelope(frames)
        if len(body) == 1:
            reply = self.handler.handle(body[0])
        else:
            encoding = wire.encoding_of(body[0]) if body else "json"
            error = InputError("request", f"has {len(body)} frames", "1 frame")
            reply = refusal(error, encoding)
        # ROUTER never blocks on a peer that is gone or does not read: it drops that peer's reply.
        router.send_multipart([*envelope, reply], zmq.NOBLOCK)


def split_envelope(frames: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """(return path, body). REQ clients and proxies end the path with an empty frame; plain DEALER
    clients have only the identity that the ROUTER put in front."""
    head = frames[:MAX_FRAMES]
    cut = head.index(b"", 1) + 1 if b"" in head[1:] else 1
    return frames[:cut], frames[cut:]
