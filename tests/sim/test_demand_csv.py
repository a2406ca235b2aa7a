"""A warehouse's own order file: messy ones are read, wrong ones are refused with row and column."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.clock import to_s
from aislewise.errors import InputError
from planning.orders import OrderValidator
from sim.demand import make_demand
from sim.demand_profile import DemandConfig
from sim.order_stream import read_rows, to_orders
from sim.scenario import Scenario, load_scenario
from sim.warehouse import WarehouseConfig, generate

SITE = generate(WarehouseConfig(), np.random.default_rng(0)).site
EXAMPLE = Path(__file__).parents[2] / "examples" / "orders.csv"
CSV = DemandConfig(csv="x.csv")


def _rows(text: str, encoding: str = "utf-8") -> list[tuple[object, ...]]:
    return [
        (r.order_id, r.release_s, r.goods, r.quantity, r.station, r.due_s, r.priority, r.cancelled_s)
        for r in read_rows(text.encode(encoding), "f.csv")
    ]


PLAIN = "order_id,release,sku,quantity,station,due,priority\nA,0,X,1.5,S,60,1\nB,5,Y,2,T,,0\n"


def test_the_same_orders_in_every_mess() -> None:
    plain = _rows(PLAIN)
    assert plain[0] == ("A", 0.0, "X", 1.5, "S", 60.0, 1, None)
    mess = "\r\n Order No. ; Created-At ;ARTICLE; Qty ; Dock;Ship by;Prio;Clerk;\r\n\r\nA;0;X;1,5;S;60,0;High;Ann;\r\n;;;;;;;\r\n B ; 5 ;Y;2;T;;;Bob\r\n"
    assert _rows(mess) == plain
    assert _rows("\ufeff" + mess) == plain
    assert _rows(mess, "utf-16") == plain
    assert _rows(mess.replace(";", "\t")) == plain
    assert _rows(PLAIN.replace("X", "Größe 4"), "cp1252")[0][2] == "Größe 4"


def test_iso_times_know_their_offsets_and_are_utc_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")  # wherever the machine stands
    time.tzset()
    try:
        _check_offsets()
    finally:
        monkeypatch.undo()
        time.tzset()


def _check_offsets() -> None:
    rows = _rows("order,released,item\nA,2026-03-02T08:00:00+01:00,X\nB,2026-03-02 07:30:00,X\nC,2026-03-02T07:30:00Z,X\n")
    assert [r[1] - rows[0][1] for r in rows] == [0.0, 1800.0, 1800.0]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("order_id,release,sku\nA,0,X\nB,soon,X\n", r"f.csv:3.release.*'soon'"),
        ("order_id,release,sku\nA,0,X\nB,2026-03-02T08:00:00Z,X\n", r"f.csv:3.release.*same in the whole file"),
        ("order_id,release,sku\nA,,X\n", r"f.csv:2.release: is empty"),
        ("order_id,release,sku\nA,nan,X\n", r"f.csv:2.release"),
        ("order_id,release,sku\n,0,X\n", r"f.csv:2.order_id"),
        ("order_id,release,sku\nA,0,\n", r"f.csv:2.sku"),
        ("order_id,release,sku,Qty\n\nA,0,X,none\n", r"f.csv:3.Qty.*'none'"),
        ("order_id,release,sku,qty\nA,0,X,-1\n", r"f.csv:2.qty"),
        ("order_id,release,sku,priority\nA,0,X,soonish\n", r"f.csv:2.priority"),
        ("order_id,release,sku,priority\nA,0,X,1.5\n", r"f.csv:2.priority"),
        ("order_id,release,sku\nA,0,X,5\n", r"f.csv:2: has 4 fields"),
        ("order_id,release\nA,0\n", r"f.csv:header: has no column sku or location"),
        ("release,sku\n0,X\n", r"f.csv:header: has no column order_id"),
        ("order_id,release,sku,item\nA,0,X,Y\n", r"f.csv:header: 'item' and 'sku' both"),
        ("order_id,release,sku\n", r"f.csv: has no rows"),
        ("", r"f.csv: has no rows"),
        ("\0\0\0", r"f.csv: is no text"),
        ("order_id,release,sku\n" + "A" * 65 + ",0,X\n", r"f.csv:2.order_id"),
        ('order_id,release,sku\nA,0,"' + "x" * 200_000 + '"\n', r"f.csv:\d+: is no CSV"),
    ],
)
def test_what_is_wrong_is_named_by_row_and_column(text: str, where: str) -> None:
    with pytest.raises(InputError, match=where):
        read_rows(text.encode(), "f.csv")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet='order_id,lskuA0;\n"-:T. ', max_size=300).map(str.encode))
def test_any_bytes_are_rows_or_a_typed_error(data: bytes) -> None:
    try:
        rows = read_rows(b"order_id,release,sku\n" + data)
    except InputError:
        return
    assert rows


def test_rows_become_orders_of_the_site() -> None:
    face = SITE.of_kind("pick_face")[3].id
    sku = next(iter(SITE.skus))
    text = (
        "order_id,release,location,sku,qty,dock,due,cancelled\n"
        f"B,1100,{face},,25,station_2,1090,1200\nA,1000,,{sku},1,Dock 9,1300,\nA,1000,,Q-77,1,Dock 9,1400,\nC,1100,,Q-77,1,,,\n"
    )
    config = DemandConfig(csv="x", speedup=10.0, units_per_load=10.0)
    orders, cancels = to_orders(read_rows(text.encode()), SITE, config, 10)
    assert [o.order_id for o in orders] == ["A", "B", "C"]
    a, b, c = orders
    assert (to_s(a.release_ns), to_s(a.due_ns)) == (0.0, 30.0)
    assert (to_s(b.release_ns), to_s(b.due_ns)) == (10.0, 10.0)  # overdue when it came
    assert a.lines[0].sku == sku and a.lines[1].pick_from == c.lines[0].pick_from
    assert a.lines[0].deliver_to == a.lines[1].deliver_to
    assert (b.lines[0].pick_from, b.lines[0].deliver_to, b.lines[0].quantity) == (face, "station_2", 3)
    assert cancels == {"B": 20_100_000_000}
    check = OrderValidator(SITE)
    for order in orders:
        check(order)
    assert [o.order_id for o in to_orders(read_rows(text.encode()), SITE, config, 2)[0]] == ["A", "B"]


def test_unknown_goods_spread_over_the_faces_and_stay_where_they_are() -> None:
    text = "order_id,release,sku\n" + "".join(f"o{k},{k},art-{k}\n" for k in range(2000))
    orders, _ = to_orders(read_rows(text.encode()), SITE, CSV, 2000)
    faces = [o.lines[0].pick_from for o in orders]
    counts = np.array([faces.count(p.id) for p in SITE.of_kind("pick_face")])
    mean, free = counts.mean(), len(counts) - 1
    assert counts.sum() == 2000 and ((counts - mean) ** 2 / mean).sum() < free + 5 * np.sqrt(2 * free)  # chi-square
    # A name's place must be the same on every machine and in every version.
    assert faces[0] == SITE.of_kind("pick_face")[12127101848562205541 % len(counts)].id


@pytest.mark.parametrize(
    ("text", "config", "where"),
    [
        ("order_id,release,sku,qty\nA,0,X,50000\n", CSV, r"csv:2: a quantity of 50000 makes 50000 loads"),
        ("order_id,release,sku\nA,0,X\nB,1e11,X\n", CSV, r"csv:3: lies"),
        ("order_id,release,sku\n" + "A,0,X\n" * 65, CSV, r"csv:66: A has more lines"),
    ],
)
def test_what_the_site_cannot_take_is_named(text: str, config: DemandConfig, where: str) -> None:
    with pytest.raises(InputError, match=where):
        to_orders(read_rows(text.encode()), SITE, config, 100)


def test_the_example_is_a_day() -> None:
    scenario = Scenario(orders=1000, demand=DemandConfig(csv=str(EXAMPLE), speedup=60.0))
    demand = make_demand(scenario, SITE)
    assert len(demand.orders) == 120 and demand == make_demand(scenario, SITE)
    assert 600 < to_s(demand.orders[-1].release_ns) < 720 and demand.cancellations
    assert sum(len(o.lines) for o in demand.orders) == 155


def test_a_scenarios_file_lies_beside_it_and_must_not_change_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text(PLAIN)
    (tmp_path / "day.yaml").write_text("orders: 5\ndemand: {csv: day.csv, cancel_share: 1.0}\n")
    scenario = load_scenario(tmp_path / "day.yaml")
    demand = make_demand(scenario, SITE)
    assert [o.order_id for o in demand.orders] == ["A", "B"] == sorted(c.order_id for c in demand.cancellations)
    (tmp_path / "day.csv").write_text(PLAIN.replace("A,0", "A,1"))
    assert load_scenario(tmp_path / "day.yaml") != scenario  # other results, another fingerprint
    with pytest.raises(InputError, match=r"day.csv has changed"):
        make_demand(scenario, SITE)
    (tmp_path / "day.csv").unlink()
    with pytest.raises(InputError, match=r"demand.csv: cannot read"):
        load_scenario(tmp_path / "day.yaml")


def test_the_packaged_scenarios_have_their_streams() -> None:
    assert load_scenario("csv_orders").demand is not None
    assert load_scenario("cancellations").demand is not None
