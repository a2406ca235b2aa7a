"""The wire of the planning service, version 1: one request message in, one reply message out.

A message is one frame, JSON or msgpack of the same structures; the reply comes in the encoding of
the request. docs/planning-service.md is written for those who integrate without this package.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from aislewise.errors import (
    AislewiseError,
    ConflictError,
    InputError,
    NotFoundError,
    StateError,
    UnknownPlaceError,
    UnreachableError,
    UnsupportedError,
)
from aislewise.types import Order, OrderLine, OrderRecord, OrderState
from planning.orders import MAX_ID_LEN, MAX_LINES, MAX_QUANTITY, OrderEvent
from planning.sqlite import StoreError

VERSION = 1
DEFAULT_ENDPOINT = "tcp://127.0.0.1:5570"
MAX_REQUEST_BYTES = 1 << 20
MAX_BATCH = 256
MAX_OPEN_ORDERS = 10_000
MAX_LIST = 1000
MAX_TEXT_LEN = 1000
LIMITS = {
    "request_bytes": MAX_REQUEST_BYTES,
    "batch": MAX_BATCH,
    "open_orders": MAX_OPEN_ORDERS,
    "list": MAX_LIST,
    "text_len": MAX_TEXT_LEN,
    "id_len": MAX_ID_LEN,
    "lines": MAX_LINES,
    "quantity": MAX_QUANTITY,
}

Encoding = Literal["json", "msgpack"]
T = TypeVar("T")
Id = Annotated[str, Meta(max_length=MAX_ID_LEN)] | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""A request's id: the client's own, echoed in the reply."""
Count = Annotated[int, Meta(ge=1, le=MAX_LIST)]
Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class RetryLaterError(InputError):
    """The service holds as many open orders as it may; nothing was accepted, try again later."""

    code = "RETRY_LATER"


class UnavailableError(AislewiseError):
    """No answer from the service in time. A submitted order may or may not have been accepted:
    submit it again, which is safe."""

    code = "UNAVAILABLE"


class RemoteError(AislewiseError):
    """An error of the service whose code this client does not know; `code` is the service's."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


# --- requests ---------------------------------------------------------------------------------


class LineBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """aislewise.types.OrderLine on the wire; misspelt fields are refused."""

    deliver_to: str
    pick_from: str = ""
    sku: str = ""
    quantity: int = 1
    pick_at: tuple[float, float] | None = None
    object_id: str = ""
    weight_kg: float = 0.0
    volume_l: float = 0.0


class OrderBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """aislewise.types.Order on the wire; misspelt fields are refused."""

    order_id: str
    lines: tuple[LineBody, ...]
    release_ns: int = 0
    due_ns: int = 0
    priority: int = 0
    capability: str = ""

    def to_order(self) -> Order:
        lines = tuple(OrderLine(**msgspec.structs.asdict(line)) for line in self.lines)
        return Order(**(msgspec.structs.asdict(self) | {"lines": lines}))


class OrdersFile(Struct, forbid_unknown_fields=True):
    """What `aislewise order submit` reads."""

    orders: list[OrderBody]


class Request(Struct, tag_field="op", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What every request may carry: `v`, the protocol's version, and the client's `id` for it."""

    v: int = VERSION
    id: Id | None = None


class Submit(Request, tag="submit"):
    order: Raw


class SubmitBatch(Request, tag="submit_batch"):
    """Each order is judged alone; those accepted are durable together before the reply."""

    orders: list[Raw]


class Status(Request, tag="status"):
    order_id: str


class Cancel(Request, tag="cancel"):
    order_id: str


class ListOrders(Request, tag="list"):
    states: tuple[OrderState, ...] | None = None
    limit: Count = 100
    after: str = ""


class Events(Request, tag="events"):
    after_seq: Seq = 0
    limit: Count = 100


class Instruct(Request, tag="instruct"):
    """instruction_id: the client's own; repeating it with the same text is no new instruction."""

    text: str
    instruction_id: str = ""


class Why(Request, tag="why"):
    """subject: id of an order or a robot; history: all decisions that are kept, not the last few."""

    subject: str
    history: bool = False


class Time(Request, tag="time"):
    pass


class Health(Request, tag="health"):
    pass


class Hello(Request, tag="hello"):
    pass


OPS: dict[str, type[Request]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        Submit,
        SubmitBatch,
        Status,
        Cancel,
        ListOrders,
        Events,
        Instruct,
        Why,
        Time,
        Health,
        Hello,
    )
}


# --- replies ----------------------------------------------------------------------------------


class ErrorBody(Struct, omit_defaults=True):
    """code: stable, for programs. field: dotted path in the request. limit: what is allowed."""

    code: str
    message: str
    field: str = ""
    limit: Any = None


class Reply(Struct, omit_defaults=True):
    """`id` echoes the request's (null when it could not be read). Has a result or an error."""

    ok: bool
    id: Id | None
    v: int = VERSION
    result: Any = UNSET
    error: ErrorBody | UnsetType = UNSET


class BatchItem(Struct, omit_defaults=True):
    ok: bool
    record: OrderRecord | UnsetType = UNSET
    error: ErrorBody | UnsetType = UNSET


class BatchResult(Struct):
    results: list[BatchItem]


class ListResult(Struct):
    orders: list[OrderRecord]


class EventsResult(Struct):
    """last_seq: seq of the newest event in the store, not only of those returned."""

    events: list[OrderEvent]
    last_seq: int


class InstructResult(Struct):
    instruction_id: str


class TimeResult(Struct):
    now_ns: int


class HealthResult(Struct):
    status: str
    now_ns: int
    open_orders: int
    last_seq: int
    requests: int
    refused: int


class HelloResult(Struct):
    service: str
    version: int
    site: str
    ops: list[str]
    limits: dict[str, int]


# --- bytes ------------------------------------------------------------------------------------


class Envelope(Struct):
    """Read first, leniently: enough to answer a request that is otherwise wrong."""

    op: str = ""
    v: int = VERSION
    id: Id | None = None


def encoding_of(raw: bytes) -> Encoding:
    """A msgpack map begins with 0x80 to 0x8f, 0xde or 0xdf; no JSON text does."""
    first = raw[:1]
    return "msgpack" if b"\x80" <= first <= b"\x8f" or first in (b"\xde", b"\xdf") else "json"


@functools.cache
def _decoder(kind: Any, encoding: Encoding) -> Any:
    return (msgspec.json if encoding == "json" else msgspec.msgpack).Decoder(kind)


def encode(message: Any, encoding: Encoding) -> bytes:
    if encoding == "json":
        return msgspec.json.encode(message, enc_hook=str)
    return msgspec.msgpack.encode(message, enc_hook=str)


def decode(raw: bytes | Raw, kind: type[T], encoding: Encoding, where: str = "request") -> T:
    """Raises InputError naming the offending field; `where` names the whole."""
    try:
        key: Any = kind
        result: T = _decoder(key, encoding).decode(raw)
        return result
    except msgspec.ValidationError as error:
        field, message = _locate(str(error))
        raise InputError(field or where, message) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(where, f"malformed {encoding}: {error}") from None
    except RecursionError:
        raise InputError(where, "is nested too deeply") from None


def decode_request(raw: bytes, envelope: Envelope, encoding: Encoding) -> Request:
    """Raises InputError (unknown op, unknown or wrong field), UnsupportedError (version)."""
    if envelope.v != VERSION:
        raise UnsupportedError(f"protocol version {envelope.v}; this service speaks {VERSION}")
    if envelope.op not in OPS:
        raise InputError("op", f"unknown operation {envelope.op[:MAX_ID_LEN]!r}", sorted(OPS))
    return decode(raw, OPS[envelope.op], encoding)


def decode_order(raw: bytes | Raw, encoding: Encoding = "json") -> Order:
    """An order as a client sent it, checked for its types only. Raises InputError."""
    return decode(raw, OrderBody, encoding, "order").to_order()


def decode_orders(raw: bytes) -> list[Order]:
    """Orders from a JSON file: one order, a list, or {"orders": [...]}. Raises InputError."""
    if raw.lstrip()[:1] == b"[":
        bodies = decode(raw, list[OrderBody], "json", "orders")
    elif "order_id" in decode(raw, dict[str, Raw], "json", "orders"):
        bodies = [decode(raw, OrderBody, "json", "order")]
    else:
        bodies = decode(raw, OrdersFile, "json", "orders").orders
    return [body.to_order() for body in bodies]


def encode_orders(orders: Sequence[Order]) -> bytes:
    """A file for decode_orders."""
    return msgspec.json.format(encode({"orders": list(orders)}, "json"), indent=1) + b"\n"


_PATH = re.compile(r" - at `(?:key in `)?\$\.?(.*?)`$", re.DOTALL)
_NAMED = re.compile(r"(unknown|missing required) field `(.*)`$", re.DOTALL)


def _locate(text: str) -> tuple[str, str]:
    """(dotted field, message) of a msgspec error: "Expected ... - at `$.lines[0].sku`"."""
    path = _PATH.search(text)
    field, message = (path[1], text[: path.start()]) if path else ("", text)
    named = _NAMED.search(message)
    if named:
        name = named[2][:MAX_ID_LEN]
        field = f"{field}.{name}" if field else name
        message = "is not a known field" if named[1] == "unknown" else "is missing"
    return field, message[:200]


# --- errors -----------------------------------------------------------------------------------

_FIELD_ERRORS = {
    kind.code: kind for kind in (InputError, UnknownPlaceError, UnreachableError, RetryLaterError)
}
_PLAIN_ERRORS: dict[str, type[AislewiseError]] = {
    kind.code: kind
    for kind in (ConflictError, NotFoundError, StateError, UnsupportedError, StoreError)
}
_FIELD_OF = {"CONFLICT": "order_id", "NOT_FOUND": "order_id", "BAD_STATE": "order_id"}


def error_body(error: AislewiseError) -> ErrorBody:
    if isinstance(error, InputError):
        return ErrorBody(error.code, error.message, error.field, error.limit)
    return ErrorBody(error.code, str(error), getattr(error, "field", _FIELD_OF.get(error.code, "")))


def typed_error(body: ErrorBody) -> AislewiseError:
    """The exception that a client raises for an error it was answered."""
    if body.code in _FIELD_ERRORS:
        return _FIELD_ERRORS[body.code](body.field, body.message, body.limit)
    if body.code in _PLAIN_ERRORS:
        return _PLAIN_ERRORS[body.code](body.message)
    return RemoteError(body.code, body.message)
