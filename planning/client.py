"""A fleet manager's side of the planning service: blocking calls, typed errors, safe repeats."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from types import TracebackType
from typing import TypeVar

import msgspec
import zmq

from aislewise.errors import AislewiseError, InputError
from aislewise.types import Order, OrderRecord, OrderState
from planning import protocol as wire
from planning.why import WhyResult

T = TypeVar("T")


class PlanningClient:
    """Talks to a planning service. One thread at a time; a context manager.

    When no answer comes within timeout_s the socket is opened anew and the same request sent again,
    up to `retries` times: every request is idempotent, so an order submitted twice is one order.
    Calls raise the errors of aislewise.errors as the service answered them, and UnavailableError
    when it does not answer.
    """

    def __init__(
        self,
        endpoint: str = wire.DEFAULT_ENDPOINT,
        timeout_s: float = 2.0,
        retries: int = 3,
        encoding: wire.Encoding = "json",
    ) -> None:
        if not 0.0 < timeout_s <= 3600.0:
            raise InputError("timeout_s", f"{timeout_s}", "above 0, up to 3600")
        if retries < 0:
            raise InputError("retries", f"{retries}", "at least 0")
        self.endpoint, self._retries, self._encoding = endpoint, retries, encoding
        self._timeout_ms = max(1, round(timeout_s * 1000))
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None

    def hello(self) -> wire.HelloResult:
        return self.request(wire.Hello(), wire.HelloResult)

    def health(self) -> wire.HealthResult:
        return self.request(wire.Health(), wire.HealthResult)

    def now_ns(self) -> int:
        """The service's clock, ns (simulated or ROS time)."""
        return self.request(wire.Time(), wire.TimeResult).now_ns

    def submit(self, order: Order) -> OrderRecord:
        """Returns once the order is stored durably."""
        return self.request(wire.Submit(order=self._raw(order)), OrderRecord)

    def submit_batch(self, orders: Sequence[Order]) -> list[OrderRecord | AislewiseError]:
        """One answer per order, errors returned in their place. Any number of orders: they travel in
        as many requests as the limits ask for."""
        answers: list[OrderRecord | AislewiseError] = []
        for chunk in _chunks([self._raw(order) for order in orders]):
            result = self.request(wire.SubmitBatch(orders=chunk), wire.BatchResult)
            answers += [_answer(item) for item in result.results]
        return answers

    def status(self, order_id: str) -> OrderRecord:
        return self.request(wire.Status(order_id=order_id), OrderRecord)

    def cancel(self, order_id: str) -> OrderRecord:
        """Asks for it; CANCELLED follows when the robot has let go."""
        return self.request(wire.Cancel(order_id=order_id), OrderRecord)

    def list(
        self, states: Collection[OrderState] | None = None, limit: int = 100, after: str = ""
    ) -> list[OrderRecord]:
        """In the order of acceptance; `after`: the last order id of the page before."""
        wanted = None if states is None else tuple(states)
        request = wire.ListOrders(states=wanted, limit=limit, after=after)
        return self.request(request, wire.ListResult).orders

    def events(self, after_seq: int = 0, limit: int = 100) -> wire.EventsResult:
        return self.request(wire.Events(after_seq=after_seq, limit=limit), wire.EventsResult)

    def instruct(self, text: str, instruction_id: str = "") -> str:
        """Hands over a typed instruction; returns the id it runs under."""
        request = wire.Instruct(text=text, instruction_id=instruction_id or uuid.uuid4().hex)
        return self.request(request, wire.InstructResult).instruction_id

    def why(self, subject: str, history: bool = False) -> WhyResult:
        """Why an order or a robot is where it is. NotFoundError names near ids."""
        return self.request(wire.Why(subject=subject, history=history), WhyResult)

    def request(self, request: wire.Request, kind: type[T]) -> T:
        """Sends any request and decodes its result as `kind`."""
        request.id = uuid.uuid4().hex
        reply = wire.decode(self._exchange(request), _RawReply, self._encoding, "reply")
        if reply.error is not None:
            raise wire.typed_error(reply.error)
        return wire.decode(reply.result, kind, self._encoding, "reply")

    def close(self) -> None:
        self._context.destroy(linger=0)
        self._socket = None

    def __enter__(self) -> PlanningClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _exchange(self, request: wire.Request) -> bytes:
        message = wire.encode(request, self._encoding)
        for _ in range(self._retries + 1):
            socket = self._socket or self._open()
            socket.send(message)
            if socket.poll(self._timeout_ms):
                return socket.recv()
            socket.close(linger=0)  # a late answer must not be taken for the next request's
            self._socket = None
        tries = f"{self._retries + 1} tries of {self._timeout_ms} ms"
        raise wire.UnavailableError(f"no answer from {self.endpoint} in {tries}")

    def _open(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.REQ)
        try:
            socket.connect(self.endpoint)
        except zmq.ZMQError as error:
            socket.close(linger=0)
            raise InputError("endpoint", f"{self.endpoint}: {error}") from error
        self._socket = socket
        return socket

    def _raw(self, order: Order) -> msgspec.Raw:
        return msgspec.Raw(wire.encode(order, self._encoding))


def _chunks(bodies: Sequence[msgspec.Raw]) -> Iterator[list[msgspec.Raw]]:
    """In order, at most MAX_BATCH each and small enough for one request."""
    chunk: list[msgspec.Raw] = []
    size, room = 0, wire.MAX_REQUEST_BYTES - 1024
    for body in bodies:
        length = len(bytes(body)) + 1
        if chunk and (len(chunk) == wire.MAX_BATCH or size + length > room):
            yield chunk
            chunk, size = [], 0
        chunk.append(body)
        size += length
    if chunk:
        yield chunk


def _answer(item: wire.BatchItem) -> OrderRecord | AislewiseError:
    if isinstance(item.record, OrderRecord):
        return item.record
    if isinstance(item.error, wire.ErrorBody):
        return wire.typed_error(item.error)
    raise InputError("reply", "has neither a record nor an error")


class _RawReply(msgspec.Struct):
    ok: bool
    id: wire.Id | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: wire.ErrorBody | None = None
