"""The wire: what is read, what is refused, and how errors name the field."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from aislewise.sitemap import SiteMap
from aislewise.types import Order, OrderLine, OrderRecord
from planning import protocol as wire
from planning.orders import check_order
from planning.sqlite import StoreError

ROOT = Path(__file__).parents[2]
ENCODINGS: list[wire.Encoding] = ["json", "msgpack"]
ids = st.text(min_size=1, max_size=12)
lines = st.builds(
    OrderLine, ids, ids, ids, st.integers(1, 9),
    st.none() | st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2), ids,
)  # fmt: skip
orders = st.builds(
    Order, ids, st.lists(lines, max_size=3).map(tuple), st.integers(0, 2**62), st.integers(0, 2**62),
    st.integers(-9, 9), ids,
)  # fmt: skip


@given(orders, st.sampled_from(ENCODINGS))
def test_orders_survive_the_wire(order: Order, encoding: wire.Encoding) -> None:
    raw = wire.encode(order, encoding)
    assert wire.encoding_of(raw) == encoding
    assert wire.decode_order(raw, encoding) == order


@given(st.lists(orders, max_size=3))
def test_order_files_survive(listed: list[Order]) -> None:
    assert wire.decode_orders(wire.encode_orders(listed)) == listed
    assert wire.decode_orders(wire.encode(listed, "json")) == listed
    for order in listed:
        assert wire.decode_orders(wire.encode(order, "json")) == [order]


@pytest.mark.parametrize(("body", "kind"), [(wire.OrderBody, Order), (wire.LineBody, OrderLine)])
def test_the_wire_has_the_fields_and_defaults_of_the_types(body: Any, kind: Any) -> None:
    ours = {f.name: f.default for f in msgspec.structs.fields(body)}
    theirs = {f.name: f.default for f in dataclasses.fields(kind)}
    ours = {k: dataclasses.MISSING if v is msgspec.NODEFAULT else v for k, v in ours.items()}
    assert ours == theirs


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"op": "submit"}, "order"),
        ({"op": "status", "order_id": "a", "ordr": 1}, "ordr"),
        ({"op": "status", "order_id": 7}, "order_id"),
        ({"op": "list", "states": ["RECEIVED", "GONE"]}, "states[1]"),
        ({"op": "list", "limit": 0}, "limit"),
        ({"op": "list", "limit": wire.MAX_LIST + 1}, "limit"),
        ({"op": "events", "after_seq": -1}, "after_seq"),
        ({"op": "events", "after_seq": 2**63}, "after_seq"),
        ({"op": "instruct", "text": None}, "text"),
        ({"op": "fly"}, "op"),
        ({}, "op"),
        ({"op": ["submit"]}, "op"),
        ({"op": "time", "id": "x" * 65}, "id"),
        ({"op": "time", "id": 1.5}, "id"),
        ({"op": "time", "v": "1"}, "v"),
        ([1, 2], "request"),
        (None, "request"),
    ],
)
def test_a_wrong_request_is_refused_with_the_field_named(
    request_: Any, field: str, encoding: wire.Encoding
) -> None:
    raw = msgspec.json.encode(request_) if encoding == "json" else msgspec.msgpack.encode(request_)
    with pytest.raises(InputError) as caught:
        wire.decode_request(raw, wire.decode(raw, wire.Envelope, encoding), encoding)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"order_id": "a", "lines": [{"deliver_to": "s"}, {"delivr_to": "s"}]}', "lines[1].delivr_to"),
        ('{"order_id": "a", "lines": [{"sku": "s"}]}', "lines[0].deliver_to"),
        ('{"order_id": "a", "lines": [{"deliver_to": "s", "quantity": "2"}]}', "lines[0].quantity"),
        ('{"order_id": "a", "lines": [{"deliver_to": "s", "pick_at": [1]}]}', "lines[0].pick_at"),
        ('{"order_id": "a", "lines": [{"deliver_to": "s", "quantity": 1e400}]}', "lines[0].quantity"),
        ('{"order_id": "a", "lines": []} {', "order"),
        ('{"order_id": "\\ud800", "lines": []}', "order"),
        ("[" * 100_000, "order"),
        ("", "order"),
    ],
)
def test_a_wrong_order_body_is_refused_with_the_field_named(text: str, field: str) -> None:
    with pytest.raises(InputError) as caught:
        wire.decode_order(text.encode())
    assert caught.value.field == field


def test_an_order_file_with_other_fields_is_refused() -> None:
    for text in (b'{"orders": [], "sites": 1}', b'{"order": []}', b"7", b"", b'{"orders": {}}'):
        with pytest.raises(InputError):
            wire.decode_orders(text)


def test_another_protocol_version_is_refused() -> None:
    raw = b'{"op": "time", "v": 2}'
    with pytest.raises(UnsupportedError, match="version 2"):
        wire.decode_request(raw, wire.decode(raw, wire.Envelope, "json"), "json")


@pytest.mark.parametrize(
    "error",
    [
        InputError("lines[0].quantity", "0", "1 to 9"),
        UnknownPlaceError("lines[0].sku", "no SKU 'x'"),
        UnreachableError("lines[0].deliver_to", "no way"),
        wire.RetryLaterError("order", "too many open orders", 7),
        ConflictError("order a exists"),
        NotFoundError("no order 'a'"),
        StateError("order a is DONE, which is final"),
        UnsupportedError("no instructions"),
        StoreError("o.db: disk I/O error"),
    ],
)
def test_a_client_raises_what_the_service_raised(error: AislewiseError) -> None:
    body = msgspec.json.decode(wire.encode(wire.error_body(error), "json"), type=wire.ErrorBody)
    again = wire.typed_error(body)
    assert (type(again), str(again), again.code) == (type(error), str(error), error.code)


def test_an_error_code_of_the_future_is_still_a_typed_error() -> None:
    error = wire.typed_error(wire.ErrorBody("ON_FIRE", "the shelf burns"))
    assert isinstance(error, AislewiseError)
    assert (error.code, str(error)) == ("ON_FIRE", "the shelf burns")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_typed_error(raw: bytes) -> None:
    encoding = wire.encoding_of(raw)
    with contextlib.suppress(AislewiseError):
        wire.decode_request(raw, wire.decode(raw, wire.Envelope, encoding), encoding)


def test_the_integrators_page_names_every_operation_error_and_limit() -> None:
    page = (ROOT / "docs" / "planning-service.md").read_text()
    codes = [*wire._FIELD_ERRORS, *wire._PLAIN_ERRORS, "INTERNAL"]
    for name in [*wire.OPS, *codes, *(f.name for f in dataclasses.fields(Order))]:
        assert f"`{name}`" in page, name
    for name, limit in wire.LIMITS.items():
        assert f"`{name}` {limit}" in page, name


def test_the_examples_of_the_integrators_page_are_what_the_service_reads_and_writes() -> None:
    page = (ROOT / "docs" / "planning-service.md").read_text()
    request, accepted, refused = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    submit = wire.decode(request.encode(), wire.Submit, "json")
    sent = wire.decode_order(submit.order)
    site = SiteMap.load(ROOT / "config" / "site.json")
    record = msgspec.json.decode(json.dumps(json.loads(accepted)["result"]), type=OrderRecord)
    assert record.order == check_order(sent, site)
    assert json.loads(accepted)["result"] == json.loads(wire.encode(record, "json"))
    error = msgspec.json.decode(json.dumps(json.loads(refused)["error"]), type=wire.ErrorBody)
    assert isinstance(wire.typed_error(error), UnknownPlaceError)


def test_the_example_orders_fit_the_installed_site() -> None:
    site = SiteMap.load(ROOT / "config" / "site.json")
    listed = wire.decode_orders((ROOT / "examples" / "orders.json").read_bytes())
    assert listed
    for order in listed:
        check_order(order, site)
