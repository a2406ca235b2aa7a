"""Why is this order where it is, why does this robot stand? The answer from the store's records and the floor as it is."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct, field

from aislewise.errors import NotFoundError
from aislewise.types import OrderRecord, OrderState
from planning.orders import MAX_ID_LEN
from planning.reasons import Kind, Reason, latest
from planning.why_floor import AT_EASE, Floor, chain, sighting
from planning.why_words import decided, link, listed, seconds, seen, since, waiting

SHOWN = 5
"""Decisions that are told when the whole history is not asked for."""
NEAR_AMONG, NEAR_SHOWN = 1000, 3
CUT_OFF = ("is shut", "is cut off")
NOT_TOLD = frozenset({"planned", "assigned", "taken_up", "waits"})
"""Codes of an order's records that say nothing beyond its present state, unless the history is asked for."""


class Asked(Protocol):
    """What of an OrderStore is asked: also one that is only read."""

    def get(self, order_id: str) -> OrderRecord: ...
    def reasons(self, kind: Kind, subject: str) -> list[Reason]: ...
    def explained(self, kind: Kind) -> list[str]: ...
    def newest(self, limit: int) -> list[str]: ...


class UnknownSubjectError(NotFoundError):
    """Neither an order nor a robot."""

    field = "subject"


class Decided(Struct):
    """One decision. facts: what it rested on, keys by code (docs/planning-service.md)."""

    stamp_ns: int
    code: str
    text: str
    facts: dict[str, Any]


class WhyResult(Struct):
    """kind, id: of what was asked; text: the answer, sentence by sentence; live: whether the planner's present view is in it,
    else only what is stored; state: present facts; chain: a robot, and whom it waits for up to the root; decisions: oldest
    first."""

    kind: Literal["order", "robot"]
    id: str
    now_ns: int
    live: bool
    text: list[str]
    state: dict[str, Any] = field(default_factory=dict)
    chain: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[Decided] = field(default_factory=list)


def answer(store: Asked, floor: Floor | None, now_ns: int, subject: str, history: bool = False) -> WhyResult:
    """Raises NotFoundError, naming near ids, and StoreError."""
    name = subject[: MAX_ID_LEN + 1]
    try:
        record = store.get(name)
    except NotFoundError:
        record = None
    if record is not None:
        reasons = store.reasons("order", name)
        return _order(record, reasons, floor, now_ns, history)
    reasons = store.reasons("robot", name)
    if reasons or (floor is not None and name in floor.bodies):
        return _robot(name, reasons, floor, now_ns, history)
    robots = {*store.explained("robot"), *(floor.bodies if floor is not None else ())}
    near = difflib.get_close_matches(name, [*store.newest(NEAR_AMONG), *sorted(robots)], NEAR_SHOWN)
    hint = f"; near it are {', '.join(near)}" if near else ""
    raise UnknownSubjectError(f"no order or robot {name[:MAX_ID_LEN]!r}{hint}")


# --- orders -----------------------------------------------------------------------------------


def _order(record: OrderRecord, reasons: Sequence[Reason], floor: Floor | None, now_ns: int, history: bool) -> WhyResult:
    order_id = record.order.order_id
    state: dict[str, Any] = {"state": record.state.value, "robot": record.robot, "reason": record.reason}
    links: list[dict[str, Any]] = []
    if record.state.final:
        text = _ended(record, reasons)
    else:
        text, links = _open(record, reasons, floor, now_ns, state)
    told = [r for r in reasons if r.code not in NOT_TOLD and r is not latest(reasons, ("given", "moved"))]
    told = [r for r in told if not (record.state.final and r.facts.get("state") == record.state.value)]
    return WhyResult(
        "order", order_id, now_ns, floor is not None, text, state, links, _decided(reasons if history else told[-SHOWN:])
    )


def _ended(record: OrderRecord, reasons: Sequence[Reason]) -> list[str]:
    end = latest(reasons, (record.state.value.lower(),))
    choice = latest(reasons, ("given", "moved"))
    who = [decided(choice.code, choice.facts)] if choice and record.state is OrderState.DONE else []
    if end is not None:
        return [decided(end.code, end.facts), *who]
    reason = f": {waiting(record.reason)}" if record.reason else ""
    return [f"It ended as {record.state.value}{reason}.", *who]


def _open(
    record: OrderRecord, reasons: Sequence[Reason], floor: Floor | None, now_ns: int, state: dict[str, Any]
) -> tuple[list[str], list[dict[str, Any]]]:
    order = record.order
    choice = latest(reasons, ("given", "moved"))
    robot = record.robot or (floor.robot_of(order.order_id) if floor else "")
    text = []
    if record.state is OrderState.CANCELLING:
        text.append(f"It was called off; what {robot or 'a robot'} has on board already is still delivered.")
    if floor is not None and order.order_id in floor.waits:
        reason = floor.waits[order.order_id][0]
        text += _waits(order.order_id, reason, floor, now_ns, state)
        robot = ""
    elif order.release_ns > now_ns and not robot:
        text.append(f"It waits for its release in {seconds((order.release_ns - now_ns) / 1e9)}.")
    elif not robot and choice is None:
        text.append("It is accepted and not planned yet: " + ("the next plan takes it in." if floor else "no planner runs here now."))
    elif choice is not None and choice.facts.get("robot") == (robot or choice.facts.get("robot")):
        text.append(decided(choice.code, choice.facts, f" {since(choice.stamp_ns, now_ns)} ago"))
    elif robot:
        text.append(f"{robot} has it.")
    links: list[dict[str, Any]] = []
    if floor is not None and robot in floor.bodies:
        links = chain(floor, robot)
        text += _progress(order.order_id, robot, floor, now_ns, state)
        text += [link(item, now_ns) for item in links]
    if order.due_ns:
        state["due_ns"] = order.due_ns
        text.append(_due(order.due_ns, state.get("eta_p50_ns", 0), now_ns))
    return text, links


def _waits(order_id: str, reason: str, floor: Floor, now_ns: int, state: dict[str, Any]) -> list[str]:
    facts = sighting(floor.objects, reason)
    since_ns = floor.since_ns.get(order_id, floor.stamp_ns)
    state |= {"waits": reason, "waits_since_ns": since_ns} | facts
    text = [f"It has waited for {since(since_ns, now_ns)}: {waiting(reason)}{seen(facts)}."]
    if reason.startswith("NO_ROBOT") and (unfit := floor.unfit()):
        state["unfit"] = unfit
        text.append(f"No new work is taken by {listed([f'{robot} ({why})' for robot, why in unfit.items()])}.")
    if reason.endswith(CUT_OFF) and (walls := floor.walls(reason)):
        state["walls"] = walls
        text.append(f"In the way there: {listed([by + seen(sighting(floor.objects, by)) for by in walls])}.")
    if floor.waits[order_id][1]:
        text.append(f"It is given up when that has lasted for {seconds(floor.given_up_s)}.")
    return text


def _progress(order_id: str, robot: str, floor: Floor, now_ns: int, state: dict[str, Any]) -> list[str]:
    tasks = floor.bodies[robot].plan.tasks
    ahead = list(dict.fromkeys(t.order_id for t in tasks if t.order_id))
    ahead = ahead[: ahead.index(order_id)] if order_id in ahead else []
    state["ahead"] = ahead
    text = [f"Before it {robot} serves {', '.join(ahead)}."] if ahead else []
    eta = floor.eta_ns(order_id)
    if eta is not None:
        state |= {"eta_p50_ns": eta[0], "eta_p90_ns": eta[1]}
        p50, p90 = (seconds(max(0, at - now_ns) / 1e9) for at in eta)
        text.append(f"It is to be delivered in {p50} (in nine of ten cases within {p90}).")
    return text


def _due(due_ns: int, eta_ns: int, now_ns: int) -> str:
    left_s, late_s = (due_ns - now_ns) / 1e9, (eta_ns - due_ns) / 1e9
    due = f"It is due in {seconds(left_s)}" if left_s >= 0 else f"It was due {seconds(-left_s)} ago"
    return f"{due}: it will be {seconds(late_s)} late." if late_s > 0 else f"{due}."


# --- robots -----------------------------------------------------------------------------------


def _robot(name: str, reasons: Sequence[Reason], floor: Floor | None, now_ns: int, history: bool) -> WhyResult:
    body = floor.bodies.get(name) if floor is not None else None
    told = _decided(reasons if history else reasons[-SHOWN:])
    if floor is None or body is None:
        known = "It is not on the floor now" if floor is not None else "No planner tells what it does now"
        text = [f"{known}; this is what was written down of it."]
        return WhyResult("robot", name, now_ns, floor is not None, text, decisions=told)
    links = chain(floor, name)
    if links[0]["code"] in AT_EASE and links[0]["code"] != "stopped":
        links = links[:1]
    text = [link(item, now_ns) for item in links]
    tasks = [{"do": t.kind.value, "order": t.order_id, "place": t.place} for t in body.plan.tasks]
    orders = list(dict.fromkeys(t.order_id for t in body.plan.tasks if t.order_id))
    if orders[1:]:
        text.append(f"After {orders[0]} it serves {', '.join(orders[1:])}.")
    state = {"tasks": tasks, "battery": body.info.battery, "mode": body.info.mode.value, "problem": body.info.problem}
    return WhyResult("robot", name, now_ns, True, text, state, links, told)


def _decided(reasons: Sequence[Reason]) -> list[Decided]:
    return [Decided(r.stamp_ns, r.code, decided(r.code, r.facts), r.facts) for r in reasons]
