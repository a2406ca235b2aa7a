"""What an order must satisfy before it is accepted, and how it may change afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aislewise.errors import InputError, StateError, UnknownPlaceError, UnreachableError
from aislewise.sitemap import Place, SiteMap
from aislewise.types import Order, OrderLine, OrderRecord, OrderState
from planning.orders import (
    MAX_ID_LEN,
    MAX_LINES,
    MAX_QUANTITY,
    OPEN_STATES,
    TRANSITIONS,
    advance,
    cancelled,
    check_order,
    same_order,
)

LINE = OrderLine("station", pick_from="face")
ORDER = Order("o-1", (LINE, LINE))
FINAL = [state for state in OrderState if state.final]


@pytest.fixture
def site() -> SiteMap:
    """4 x 9 cells; a wall at column 6 cuts off `island` and `far`, column 8 has a dock of its own."""
    cells = np.zeros((4, 9), np.uint8)
    cells[:, 6] = 1
    places = {
        name: Place(name, kind, cell, 0.0, 0.0)
        for name, kind, cell in [
            ("station", "station", 0), ("charger", "charger", 1), ("face", "pick_face", 20),
            ("island", "pick_face", 8), ("far", "station", 17),
        ]
    }  # fmt: skip
    skus = {"sku": "face", "sku-island": "island"}
    return SiteMap("two halves", 1.0, 0.0, 0.0, cells, places, skus)


def record(state: OrderState, lines_done: int = 0) -> OrderRecord:
    return OrderRecord(ORDER, state, robot="r1", accepted_ns=1, updated_ns=1, lines_done=lines_done)


def with_line(**changes: Any) -> Order:
    return replace(ORDER, lines=(LINE, replace(LINE, **changes)))


def test_a_sku_resolves_to_its_pick_face_and_resolving_again_changes_nothing(site: SiteMap) -> None:
    order = check_order(Order("o", (OrderLine("station", sku="sku"),)), site)
    assert order.lines[0].pick_from == "face"
    assert check_order(order, site) == order


@pytest.mark.parametrize(
    ("order", "error", "field"),
    [
        (with_line(pick_from="", sku="none"), UnknownPlaceError, "lines[1].sku"),
        (with_line(pick_from="none"), UnknownPlaceError, "lines[1].pick_from"),
        (with_line(pick_from="station"), UnknownPlaceError, "lines[1].pick_from"),
        (with_line(deliver_to="none"), UnknownPlaceError, "lines[1].deliver_to"),
        (with_line(deliver_to="face"), UnknownPlaceError, "lines[1].deliver_to"),
        (with_line(pick_from="island"), UnreachableError, "lines[1].pick_from"),
        (with_line(pick_from="", sku="sku-island"), UnreachableError, "lines[1].sku"),
        (with_line(deliver_to="far"), UnreachableError, "lines[1].deliver_to"),
        (with_line(pick_from="", pick_at=(99.0, 1.0)), UnreachableError, "lines[1].pick_at"),
        (with_line(pick_from="", pick_at=(8.5, 3.5)), UnreachableError, "lines[1].pick_at"),
        (with_line(pick_from="", pick_at=(float("nan"), 1.0)), InputError, "lines[1].pick_at"),
        (with_line(pick_at=(1.5, 1.5)), InputError, "lines[1].pick_at"),
        (with_line(pick_from=""), InputError, "lines[1]"),
        (with_line(sku="sku-island"), InputError, "lines[1].pick_from"),
        (with_line(quantity=0), InputError, "lines[1].quantity"),
        (with_line(quantity=MAX_QUANTITY + 1), InputError, "lines[1].quantity"),
        (with_line(quantity=True), InputError, "lines[1].quantity"),
        (with_line(deliver_to="x" * (MAX_ID_LEN + 1)), InputError, "lines[1].deliver_to"),
        (replace(ORDER, order_id=""), InputError, "order_id"),
        (replace(ORDER, order_id="a\nb"), InputError, "order_id"),
        (replace(ORDER, order_id=" a"), InputError, "order_id"),
        (replace(ORDER, order_id="x" * (MAX_ID_LEN + 1)), InputError, "order_id"),
        (replace(ORDER, lines=()), InputError, "lines"),
        (replace(ORDER, lines=(LINE,) * (MAX_LINES + 1)), InputError, "lines"),
        (replace(ORDER, release_ns=-1), InputError, "release_ns"),
        (replace(ORDER, release_ns=10, due_ns=9), InputError, "due_ns"),
        (replace(ORDER, due_ns=10**40), InputError, "due_ns"),
        (replace(ORDER, priority=10**6), InputError, "priority"),
        (replace(ORDER, capability="\0"), InputError, "capability"),
    ],
)
def test_a_wrong_order_is_refused_with_the_field_named(
    site: SiteMap, order: Order, error: type[InputError], field: str
) -> None:
    with pytest.raises(error) as caught:
        check_order(order, site)
    assert caught.value.field == field
    assert type(caught.value) is error


def test_stops_in_two_halves_of_the_site_are_refused_even_if_each_half_has_robots(
    site: SiteMap,
) -> None:
    both = replace(site, places=site.places | {"c2": Place("c2", "charger", 26, 0.0, 0.0)})
    check_order(Order("o", (OrderLine("far", pick_from="island"),)), both)
    with pytest.raises(UnreachableError) as caught:
        check_order(Order("o", (OrderLine("far", pick_from="face"),)), both)
    assert caught.value.field == "lines[0].deliver_to"


def test_an_object_in_a_closed_cell_is_served_from_beside(site: SiteMap) -> None:
    order = Order("o", (OrderLine("station", pick_at=(6.2, 1.5), object_id="tote-7"),))
    assert check_order(order, site) == order


def test_final_states_lead_nowhere_and_all_others_can_end() -> None:
    assert set(TRANSITIONS) == set(OrderState)
    for state in OrderState:
        assert bool(TRANSITIONS[state]) is not state.final
    for state in OPEN_STATES:
        assert OrderState.FAILED in TRANSITIONS[state]


@pytest.mark.parametrize("state", list(OrderState))
@pytest.mark.parametrize("target", list(OrderState))
def test_exactly_the_transitions_of_the_table_are_allowed(
    state: OrderState, target: OrderState
) -> None:
    before = record(state)
    if target in TRANSITIONS[state] or (state is target and not state.final):
        assert advance(before, target, 2).state is target
    else:
        with pytest.raises(StateError):
            advance(before, target, 2)


def test_waiting_orders_have_no_robot_and_a_reason_ends_with_its_state() -> None:
    assigned = advance(record(OrderState.PLANNED), OrderState.ASSIGNED, 2, "NEAREST", "r2")
    assert (assigned.robot, assigned.reason, assigned.updated_ns) == ("r2", "NEAREST", 2)
    running = advance(assigned, OrderState.RUNNING, 3)
    assert (running.robot, running.reason) == ("r2", "")
    lost = advance(assigned, OrderState.RECEIVED, 4, "ROBOT_LOST: r2")
    assert (lost.robot, lost.reason) == ("", "ROBOT_LOST: r2")


def test_an_update_that_changes_nothing_is_the_same_record() -> None:
    before = record(OrderState.RUNNING, 1)
    assert advance(before, OrderState.RUNNING, 99, robot="r1", lines_done=1) is before
    assert cancelled(cancelled(before, 2), 3).updated_ns == 2


def test_lines_done_only_grow_and_done_means_all_of_them() -> None:
    running = record(OrderState.RUNNING, 1)
    assert advance(running, OrderState.DONE, 2).lines_done == 2
    for wrong in (0, 3, -1):
        with pytest.raises(InputError, match="lines_done"):
            advance(running, OrderState.RUNNING, 2, lines_done=wrong)
    with pytest.raises(InputError, match="lines_done"):
        advance(running, OrderState.DONE, 2, lines_done=1)


@pytest.mark.parametrize("state", FINAL)
def test_final_orders_cannot_be_cancelled(state: OrderState) -> None:
    with pytest.raises(StateError):
        cancelled(record(state), 2)


def test_a_request_repeated_after_a_sku_has_moved_is_still_the_same_request(site: SiteMap) -> None:
    sent = Order("o", (OrderLine("station", sku="sku", quantity=2),))
    stored = check_order(sent, site)
    assert same_order(stored, sent) and same_order(stored, stored)
    other: Callable[..., Order] = lambda **c: replace(sent, lines=(replace(sent.lines[0], **c),))  # noqa: E731
    assert not same_order(stored, other(quantity=3))
    assert not same_order(stored, other(pick_from="island"))
    assert not same_order(stored, replace(sent, lines=sent.lines * 2))
    assert not same_order(stored, replace(sent, priority=1))


@given(
    st.lists(st.tuples(st.sampled_from(list(OrderState)), st.integers(0, 2)), max_size=12),
)
def test_no_walk_leaves_a_final_state_or_loses_lines(walk: list[tuple[OrderState, int]]) -> None:
    now = record(OrderState.RECEIVED)
    for step, (state, lines) in enumerate(walk):
        before = now
        try:
            now = advance(now, state, step, lines_done=lines)
        except (StateError, InputError):
            continue
        assert not before.state.final
        assert now.lines_done >= before.lines_done
