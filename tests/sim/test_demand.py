"""Order streams follow from the seed alone, have the shape that was asked for, and leave the plain stream as it was."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.clock import to_s
from aislewise.errors import InputError
from aislewise.types import Order, OrderLine, OrderRecord, OrderState
from planning.orders import OrderValidator
from sim.demand import Cancellation, make_demand, make_orders, plain_orders
from sim.demand_profile import PROFILES, DemandConfig, off_plans_s
from sim.judge import demand_figures, gates
from sim.scenario import Scenario, scenario_from
from sim.warehouse import WarehouseConfig, generate

SITE = generate(WarehouseConfig(), np.random.default_rng(0)).site


def _orders(seed: int = 1, orders: int = 200, release_s: float = 3600.0, **demand: Any) -> list[Order]:
    return make_orders(Scenario(seed=seed, orders=orders, release_s=release_s, demand=DemandConfig(**demand)), SITE)


def test_without_a_demand_the_stream_is_the_plain_one() -> None:
    scenario = Scenario(seed=1)
    assert make_demand(scenario, SITE).orders == tuple(plain_orders(scenario, SITE))
    assert make_demand(scenario, SITE).cancellations == ()
    text = repr(make_orders(scenario, SITE))  # the stream of released figures: it must not move
    text = text.replace(", weight_kg=0.0, volume_l=0.0", "")  # which orders said nothing of then
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "28df279ed5de1229"


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**62), orders=st.integers(0, 60), profile=st.sampled_from(sorted(PROFILES)),
    zipf=st.floats(0, 3), slotted=st.booleans(), share=st.floats(0, 1),
)  # fmt: skip
def test_every_stream_repeats_and_passes_the_planning_service(
    seed: int, orders: int, profile: str, zipf: float, slotted: bool, share: float
) -> None:
    config = DemandConfig(
        profile=profile, zipf=zipf, slotted=slotted, waiting_share=share, rush_share=share, cancel_share=share
    )
    scenario = Scenario(seed=seed, orders=orders, release_s=300.0, demand=config)
    demand = make_demand(scenario, SITE)
    assert demand == make_demand(scenario, SITE)
    assert len(demand.orders) == orders
    check = OrderValidator(SITE)
    for order in demand.orders:
        check(order)
        assert 0 <= to_s(order.release_ns) <= 300.0
    assert [o.release_ns for o in demand.orders] == sorted(o.release_ns for o in demand.orders)
    release = {o.order_id: o.release_ns for o in demand.orders}
    for c in demand.cancellations:
        assert c.at_ns > release[c.order_id]


def test_arrivals_follow_the_weights() -> None:
    """Counts of a multinomial: within five standard deviations of what the weights say."""
    weights = (1.0, 0.0, 4.0, 2.0, 3.0)
    at = np.array([to_s(o.release_ns) for o in _orders(orders=4000, release_s=5000.0, weights=weights)])
    counts, _ = np.histogram(at, bins=5, range=(0.0, 5000.0))
    share = np.array(weights) / sum(weights)
    assert (abs(counts - 4000 * share) <= 5 * np.sqrt(4000 * share * (1 - share)) + 2).all()


def test_a_share_waits_when_the_shift_begins() -> None:
    assert sum(o.release_ns == 0 for o in _orders(waiting_share=0.3)) == 60


def test_popularity_is_zipfs_and_slotted_goods_lie_near() -> None:
    def counts(**demand: Any) -> tuple[np.ndarray, np.ndarray]:
        faces = SITE.of_kind("pick_face")
        stations = np.array([[p.x_m, p.y_m] for p in SITE.of_kind("station")])
        near = np.array([np.abs(stations - (p.x_m, p.y_m)).sum(axis=1).min() for p in faces])
        number = {p.id: k for k, p in enumerate(faces)}
        out = np.zeros(len(faces))
        for order in _orders(orders=3000, two_line_share=0.0, zipf=1.0, **demand):
            line = order.lines[0]
            out[number[line.pick_from or SITE.skus[line.sku]]] += 1
        return out[np.argsort(near, kind="stable")], np.arange(1, len(faces) + 1)

    slotted, rank = counts()
    expected = 3000 / rank / (1 / rank).sum()
    assert (abs(slotted - expected)[:10] <= 5 * np.sqrt(expected[:10])).all()
    anywhere, _ = counts(slotted=False)
    top = expected[0]
    assert abs(np.sort(anywhere)[-1] - top) <= 5 * np.sqrt(top)
    assert abs(anywhere[0] - top) > 5 * np.sqrt(top)


def test_rush_orders_are_short_and_first_and_change_no_others() -> None:
    calm, rushed = _orders(), _orders(rush_share=0.2)
    rush = {o.order_id for o in rushed if o.priority == 5}
    assert 20 <= len(rush) <= 60
    for a, b in zip(calm, rushed, strict=True):
        assert (a.lines, a.release_ns) == (b.lines, b.release_ns)
        if b.order_id in rush:
            assert 60.0 <= to_s(b.due_ns - b.release_ns) <= 120.0
        else:
            assert a == b


def test_cancellations_keep_to_their_range_and_off_the_instants_of_plans() -> None:
    scenario = Scenario(orders=300, release_s=600.0, demand=DemandConfig(cancel_share=0.5, cancel_after_s=(10.0, 20.0)))
    demand = make_demand(scenario, SITE)
    assert 110 <= len(demand.cancellations) <= 190
    release = {o.order_id: o.release_ns for o in demand.orders}
    for c in demand.cancellations:
        assert 9.9 <= to_s(c.at_ns - release[c.order_id]) <= 20.2
        assert c.at_ns % 500_000_000 and c.at_ns % 100_000_000 == 0


@given(st.floats(0, 1e6))
def test_off_plans_is_near(at_s: float) -> None:
    out = off_plans_s(at_s)
    assert abs(out - at_s) <= 0.1501 + 1e-9 and round(out * 10) % 5


@pytest.mark.parametrize(
    ("demand", "field"),
    [
        ({"profile": "weekend"}, "demand.profile"),
        ({"weights": [0, 0]}, "demand.weights"),
        ({"weights": [1, -1]}, r"demand.weights\[1\]"),
        ({"zipf": 9}, "demand.zipf"),
        ({"cancel_share": 1.5}, "demand.cancel_share"),
        ({"due_s": [10, 5]}, "demand.due_s"),
        ({"due_s": [10]}, "demand.due_s"),
        ({"speedup": 2}, "demand.speedup"),
        ({"csv": "a.csv", "zipf": 1}, "demand.zipf"),
        ({"csv": "a.csv", "speedup": 0}, "demand.speedup"),
        ({"peaks": 2}, "demand.peaks"),
    ],
)
def test_a_bad_demand_names_its_field(demand: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=field):
        scenario_from({"demand": demand})


# --- judging -----------------------------------------------------------------------------------


def _record(order: Order, state: OrderState, at_s: float, lines_done: int = 0) -> OrderRecord:
    return OrderRecord(order, state, updated_ns=round(at_s * 1e9), lines_done=lines_done)


def test_lateness_and_cancellations_are_told_apart() -> None:
    lines = (OrderLine("station_1", pick_from="F01-01-R"),)
    orders = [Order(f"o{k}", lines, 0, due_ns=100 * 10**9, priority=5 * (k == 1)) for k in range(6)]
    records = [
        _record(orders[0], OrderState.DONE, 80.0),  # early
        _record(orders[1], OrderState.DONE, 130.0),  # late
        _record(orders[2], OrderState.CANCELLED, 150.0),  # called off in time
        _record(orders[3], OrderState.CANCELLED, 150.0, lines_done=1),  # with the goods on board
        _record(orders[4], OrderState.DONE, 90.0),  # called off too late
        _record(orders[5], OrderState.RUNNING, 40.0),  # overdue and not there
    ]
    asked = [Cancellation(f"o{k}", 50 * 10**9) for k in (2, 3, 4)] + [Cancellation("o5", 900 * 10**9)]
    scenario = Scenario(orders=6, demand=DemandConfig(rush_share=0.1))
    out = demand_figures(scenario, orders, {r.order.order_id: r for r in records}, asked, 200 * 10**9)
    assert (out["cancel_asked"], out["cancelled"], out["cancelled_on_board"], out["cancel_too_late"]) == (3, 2, 1, 1)
    assert out["due_orders"] == 4 and out["late_share"] == 0.5
    assert out["lateness_s"] == {"p50": -10.0, "p95": 26.0}
    assert (out["rush_orders"], out["rush_late"]) == (1, 1)


@pytest.mark.parametrize(("done", "cancelled", "late", "passed"), [
    (6, 2, 0.1, True), (5, 2, 0.1, False), (8, 0, 0.1, True), (6, 2, 0.3, False),
])  # fmt: skip
def test_what_was_called_off_need_not_be_done(done: int, cancelled: int, late: float, passed: bool) -> None:
    scenario = scenario_from({"orders": 8, "demand": {}, "gates": {"min_done_share": 1.0, "max_late_share": 0.2}})
    metrics = {
        "orders_submitted": 8, "orders_final": 8, "orders_done": done, "collisions": 0, "instruction": {"done": True},
        "demand": {"orders": 8, "cancelled": cancelled, "late_share": late},
    }  # fmt: skip
    assert all(g["ok"] for g in gates(metrics, scenario).values()) is passed


def test_a_late_gate_works_without_a_demand() -> None:
    orders = [Order("o", (OrderLine("station_1", pick_from="F01-01-R"),), 0, due_ns=10**9)]
    scenario = dataclasses.replace(Scenario(), orders=1)
    out = demand_figures(scenario, orders, {}, [], 5 * 10**9)
    assert out["late_share"] == 1.0 and out["lateness_s"] == {"p50": 0.0, "p95": 0.0}
