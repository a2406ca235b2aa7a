"""The orders of a recording. They come over ZeroMQ, so no topic has them: our recorder attaches them to the file, and
for a bag without the attachment they are read off the plans it holds, as far as plans tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from aislewise.errors import InputError
from aislewise.types import Order, OrderLine, OrderRecord, OrderState, Plan, TaskKind

MAX_BYTES = 256 << 20
FROM_INSTRUCTION = "instruction-"
"""The planner makes these itself, of a grounded instruction; a replay has it make them again."""


class Event(Protocol):
    """planning.orders.OrderEvent, as far as it is needed here."""

    order_id: str
    state: OrderState
    stamp_ns: int


@dataclass(frozen=True, slots=True)
class RecordedOrder:
    """An order as the planning service took it in. cancelled_ns: when its end was asked for, -1 = never."""

    order: Order
    accepted_ns: int
    cancelled_ns: int = -1


def encode_recorded(records: Iterable[OrderRecord], events: Iterable[Event]) -> bytes:
    """JSON for `decode_recorded`."""
    cancelled = {e.order_id: e.stamp_ns for e in events if e.state is OrderState.CANCELLING}
    return msgspec.json.encode([
        RecordedOrder(r.order, r.accepted_ns, cancelled.get(r.order.order_id, -1))
        for r in records
        if not r.order.order_id.startswith(FROM_INSTRUCTION)
    ])  # fmt: skip


def decode_recorded(data: bytes) -> list[RecordedOrder]:
    """Raises InputError."""
    if len(data) > MAX_BYTES:
        raise InputError("orders.json", f"{len(data)} bytes", MAX_BYTES)
    try:
        return msgspec.json.decode(data, type=list[RecordedOrder])
    except msgspec.MsgspecError as error:
        raise InputError("orders.json", str(error)) from error


def from_plans(plans: Sequence[Plan]) -> list[RecordedOrder]:
    """Orders whose every line is seen to be picked and delivered in a plan, in the order of their coming. What plans
    do not say (due time, priority, capability) is left at its default; an order counts as accepted when the plan
    before the one it first stands in was made."""
    out: dict[str, RecordedOrder] = {}
    before_ns = 0
    for plan in plans:
        for order_id, lines in _lines(plan).items():
            known = out.get(order_id)
            if known is None or len(lines) > len(known.order.lines):
                since = before_ns if known is None else known.accepted_ns
                out[order_id] = RecordedOrder(Order(order_id, lines, release_ns=since), since)
        before_ns = plan.stamp_ns
    return list(out.values())


def _lines(plan: Plan) -> dict[str, tuple[OrderLine, ...]]:
    picks: dict[tuple[str, int], str] = {}
    drops: dict[tuple[str, int], str] = {}
    loads: Counter[tuple[str, int]] = Counter()
    for task in (task for robot in plan.robots for task in robot.tasks):
        key = (task.order_id, task.line)
        if not task.place or not task.order_id or task.order_id.startswith(FROM_INSTRUCTION):
            continue
        if task.kind is TaskKind.PICK:
            picks[key] = task.place
            loads[key] += 1
        elif task.kind is TaskKind.DROP:
            drops[key] = task.place
    out: dict[str, tuple[OrderLine, ...]] = {}
    for order_id, line in sorted(picks.keys() & drops.keys()):
        one = OrderLine(drops[order_id, line], picks[order_id, line], quantity=loads[order_id, line])
        out[order_id] = (*out.get(order_id, ()), one)
    return out
