"""What an order must satisfy, and the states it may pass through.

Pure functions on the types of the spine: the stores only keep what these return, so every store
has the same rules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aislewise.errors import InputError, StateError, UnknownPlaceError, UnreachableError
from aislewise.sitemap import SiteMap
from aislewise.types import Order, OrderLine, OrderRecord, OrderState

MAX_ID_LEN = 64
MAX_LINES = 64
MAX_QUANTITY = 1000
MAX_WEIGHT_KG, MAX_VOLUME_L = 100_000.0, 1_000_000.0  # of one load
MAX_PRIORITY = 1000
MAX_STAMP_NS = 2**62
PICK_REACH_CELLS = 2.0
"""A robot serves an object (`pick_at`) from an open cell at most this far, centre to object."""

S = OrderState
TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    S.RECEIVED: frozenset({S.PLANNED, S.CANCELLING, S.FAILED, S.UNROUTABLE}),
    # A plan may be withdrawn, and an assigned robot lost, before the first load is picked up.
    S.PLANNED: frozenset({S.RECEIVED, S.ASSIGNED, S.CANCELLING, S.FAILED, S.UNROUTABLE}),
    S.ASSIGNED: frozenset({S.RECEIVED, S.PLANNED, S.RUNNING, S.CANCELLING, S.FAILED, S.UNROUTABLE}),
    S.RUNNING: frozenset({S.DONE, S.CANCELLING, S.FAILED}),
    # DONE: the robot delivered before the cancellation reached it.
    S.CANCELLING: frozenset({S.CANCELLED, S.DONE, S.FAILED}),
    S.DONE: frozenset(),
    S.CANCELLED: frozenset(),
    S.FAILED: frozenset(),
    S.UNROUTABLE: frozenset(),
}
"""From each state, the states an order may go to. Final states lead nowhere."""

OPEN_STATES = tuple(state for state in OrderState if not state.final)


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One change of one order. seq counts the changes in the store."""

    seq: int
    order_id: str
    state: OrderState
    stamp_ns: int
    reason: str = ""
    robot: str = ""


def advance(
    record: OrderRecord,
    state: OrderState,
    now_ns: int,
    reason: str = "",
    robot: str = "",
    lines_done: int | None = None,
) -> OrderRecord:
    """The record after a transition; `record` itself when nothing changes.

    Empty `reason` and `robot` and None `lines_done` keep what is there, but a reason belongs to the
    state it was given for, and an order that waits (RECEIVED, PLANNED) has no robot. DONE completes
    all lines. Raises StateError (table above) and InputError (lines_done out of range or less).
    """
    order = record.order
    was = record.state
    if was.final:
        raise StateError(f"order {order.order_id} is {was.value}, which is final")
    moved = state is not was
    if moved and state not in TRANSITIONS[was]:
        raise StateError(f"order {order.order_id} cannot go from {was.value} to {state.value}")
    done = record.lines_done if lines_done is None else lines_done
    if state is OrderState.DONE and lines_done is None:
        done = len(order.lines)
    lowest = len(order.lines) if state is OrderState.DONE else record.lines_done
    if not lowest <= done <= len(order.lines):
        raise InputError("lines_done", f"{done}", f"{lowest} to {len(order.lines)}")
    waits = state in (OrderState.RECEIVED, OrderState.PLANNED)
    changed = replace(
        record,
        state=state,
        reason=reason or ("" if moved else record.reason),
        robot="" if waits else (robot or record.robot),
        lines_done=done,
    )
    return record if changed == record else replace(changed, updated_ns=now_ns)


def cancelled(record: OrderRecord, now_ns: int) -> OrderRecord:
    """The record after a cancellation request; repeating the request changes nothing.

    Raises StateError when the order is final.
    """
    return advance(record, OrderState.CANCELLING, now_ns)


def same_order(stored: Order, sent: Order) -> bool:
    """Whether `sent` repeats the request that became `stored`, whose SKUs are resolved already."""
    if len(stored.lines) != len(sent.lines):
        return False
    lines = tuple(
        replace(line, pick_from=kept.pick_from) if line.sku and not line.pick_from else line
        for kept, line in zip(stored.lines, sent.lines, strict=True)
    )
    return replace(sent, lines=lines) == stored


def check_id(value: Any, field: str) -> None:
    """An id is 1 to MAX_ID_LEN printable characters without spaces at its ends; else InputError."""
    if not isinstance(value, str):
        raise InputError(field, "must be a string")
    if not 0 < len(value) <= MAX_ID_LEN:
        raise InputError(field, f"has {len(value)} characters", f"1 to {MAX_ID_LEN}")
    if not value.isprintable() or value != value.strip():
        raise InputError(field, "has control characters or spaces at its ends")


def check_shape(order: Order) -> None:
    """Checks all that needs no site map. Raises InputError naming the field."""
    check_id(order.order_id, "order_id")
    if not 1 <= len(order.lines) <= MAX_LINES:
        raise InputError("lines", f"has {len(order.lines)} entries", f"1 to {MAX_LINES}")
    _check_int(order.release_ns, "release_ns", 0, MAX_STAMP_NS)
    _check_int(order.due_ns, "due_ns", 0, MAX_STAMP_NS)
    if order.due_ns and order.due_ns < order.release_ns:
        raise InputError("due_ns", f"{order.due_ns} lies before release_ns {order.release_ns}")
    _check_int(order.priority, "priority", -MAX_PRIORITY, MAX_PRIORITY)
    if order.capability:
        check_id(order.capability, "capability")
    for i, line in enumerate(order.lines):
        _check_line(line, f"lines[{i}]")


def _check_line(line: OrderLine, where: str) -> None:
    check_id(line.deliver_to, f"{where}.deliver_to")
    _check_int(line.quantity, f"{where}.quantity", 1, MAX_QUANTITY)
    for name, most in (("weight_kg", MAX_WEIGHT_KG), ("volume_l", MAX_VOLUME_L)):
        value = getattr(line, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= most:
            raise InputError(f"{where}.{name}", f"{value!r}", f"0 to {most:g}")
    for name in ("pick_from", "sku", "object_id"):
        if getattr(line, name):
            check_id(getattr(line, name), f"{where}.{name}")
    if line.pick_at is not None:
        if line.pick_from or line.sku:
            raise InputError(f"{where}.pick_at", "excludes pick_from and sku")
        if len(line.pick_at) != 2 or not all(math.isfinite(v) for v in line.pick_at):
            raise InputError(f"{where}.pick_at", "must be two finite numbers", "x_m, y_m in map")
    elif not line.pick_from and not line.sku:
        raise InputError(where, "needs a pick_from, a sku or a pick_at")


def _check_int(value: Any, field: str, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(field, "must be an integer")
    if not low <= value <= high:
        raise InputError(field, f"{value:.6g}", f"{low} to {high}")


class OrderValidator:
    """Validates orders against one site map; works out once what its robots can reach.

    Robots are at home in chargers and parkings. An order is accepted when all its stops lie in one
    connected region that holds a home, since one robot carries the whole order.
    """

    def __init__(self, site: SiteMap) -> None:
        self.site = site
        self._regions: list[np.ndarray[Any, np.dtype[np.bool_]]] = []
        for home in site.of_kind("charger") + site.of_kind("parking"):
            if not any(region.flat[home.cell] for region in self._regions):
                self._regions.append(site.reachable_from(home.cell))

    def __call__(self, order: Order) -> Order:
        """The order with each sku resolved to its pick face (idempotent).

        Raises InputError, UnknownPlaceError or UnreachableError, each naming the field.
        """
        check_shape(order)
        regions = self._regions
        lines: list[OrderLine] = []
        for i, line in enumerate(order.lines):
            line = self._resolve(line, f"lines[{i}]")
            for field, cells in self._stops(line, f"lines[{i}]"):
                regions = [r for r in regions if any(r.flat[cell] for cell in cells)]
                if not regions:
                    raise UnreachableError(field, "no robot can serve it and the stops before it")
            lines.append(line)
        return replace(order, lines=tuple(lines))

    def _resolve(self, line: OrderLine, where: str) -> OrderLine:
        if not line.sku:
            return line
        face = self.site.skus.get(line.sku)
        if face is None:
            raise UnknownPlaceError(f"{where}.sku", f"no SKU {line.sku!r}")
        if line.pick_from and line.pick_from != face:
            raise InputError(f"{where}.pick_from", f"SKU {line.sku!r} lies in another face", face)
        return replace(line, pick_from=face)

    def _stops(self, line: OrderLine, where: str) -> list[tuple[str, list[int]]]:
        """(field, cells a robot may stand in to serve it) of a resolved line."""
        station = self.site.place(line.deliver_to, f"{where}.deliver_to", "station")
        if line.pick_at is None:
            field = f"{where}.{'sku' if line.sku else 'pick_from'}"
            pick = [self.site.place(line.pick_from, field, "pick_face").cell]
        else:
            field = f"{where}.pick_at"
            pick = _cells_near(self.site, *line.pick_at)
            if not pick:
                raise UnreachableError(field, "no open cell nearby", f"{PICK_REACH_CELLS} cells")
        return [(field, pick), (f"{where}.deliver_to", [station.cell])]


def _cells_near(site: SiteMap, x_m: float, y_m: float) -> list[int]:
    """Open cells from which a robot serves an object at (x_m, y_m), which may itself be closed."""
    fx, fy = (x_m - site.x_m) / site.resolution_m, (y_m - site.y_m) / site.resolution_m
    if not (0 <= fx < site.width and 0 <= fy < site.height):
        return []
    own, free, reach = site.cell_at(x_m, y_m), site.free.ravel(), math.ceil(PICK_REACH_CELLS)
    rows = range(max(int(fy) - reach, 0), min(int(fy) + reach + 1, site.height))
    cols = range(max(int(fx) - reach, 0), min(int(fx) + reach + 1, site.width))
    near = [
        row * site.width + col
        for row in rows
        for col in cols
        if math.hypot(col + 0.5 - fx, row + 0.5 - fy) <= PICK_REACH_CELLS
    ]
    return [cell for cell in near if free[cell] and cell != own]


def check_order(order: Order, site: SiteMap) -> Order:
    """One-shot OrderValidator(site)(order)."""
    return OrderValidator(site)(order)
