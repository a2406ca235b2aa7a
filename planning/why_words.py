"""Sentences for what planning.why_book writes down and planning.why_floor sees: plain English from a code and its facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from planning.why_floor import STANDS_NS

Facts = Mapping[str, Any]

VERBS = {"pick": "to pick", "drop": "to deliver", "charge": "to charge"}
NAMED = 3
"""Robots that are named of many."""
DOING = {"pick": "picks", "drop": "delivers", "charge": "charges"}


def seconds(value: float) -> str:
    """A time span as people say it: "12.4 s", "95 s", "12 min", "3.5 h"."""
    size = abs(value)
    if size < 120:
        return f"{value:.1f} s" if size < 20 else f"{value:.0f} s"
    return f"{value / 60:.0f} min" if size < 7200 else f"{value / 3600:.1f} h"


def since(stamp_ns: int, now_ns: int) -> str:
    return seconds(max(0, now_ns - stamp_ns) / 1e9)


def decided(code: str, facts: Facts, ago: str = "") -> str:
    """One decision, as it was written down (planning.reasons.Reason). ago: " 12 s ago", for a choice of robots."""
    robot, said = facts.get("robot", ""), str(facts.get("said", ""))
    match code:
        case "given":
            return f"{robot} got it{ago}{_choice(facts)}."
        case "moved":
            return f"It moved from {facts['from']} to {robot}{ago}, because {_left(facts)}{_choice(facts)}."
        case "planned":
            return f"It has its place among the work of {robot}."
        case "assigned":
            return f"{robot} set out for it."
        case "taken_up":
            return "It went back to the orders that wait for a robot."
        case "waits":
            return f"It waits: {waiting(said)}{seen(facts)}."
        case "begun":
            return f"{robot or 'A robot'} was sent the pick; from then on it was to bring it and no other."
        case "lines_done":
            return f"{facts['lines_done']} of {facts['lines']} lines were delivered."
        case "done" | "cancelled" | "failed" | "unroutable":
            return _ended(code, facts)
        case "told":
            return f"Sent {_task(facts)}{_then(facts)}."
        case "idle":
            return "It had no more work."
        case "stands":
            return " ".join(link(item, 0) for item in facts["chain"])
        case "turn_back":
            return f"Turned back: {said}."
        case "left_out":
            return f"Left out of the plan: {said}."
        case "charge":
            return f"Given a charger: {said}."
        case _:
            return f"{code.replace('_', ' ').capitalize()}{': ' + said if said else ''}."


def waiting(reason: str) -> str:
    """The planner's word on why nobody serves an order, without its code."""
    code, _, text = reason.partition(": ")
    if code == "ROBOT_LOST":
        return f"its robot was lost ({text})"
    if code == "BLOCKED":
        place, _, by = text.partition(" by ")
        return f"{place} is blocked by {by}" if by else text
    return text or reason


def seen(facts: Facts) -> str:
    by = facts.get("seen_by")
    return f", which {listed(by)} saw at {_xy(facts['seen_at'])}" if by else ""


def link(facts: Facts, now_ns: int) -> str:
    """One robot of a chain. now_ns: 0 leaves out for how long."""
    robot, other = facts["robot"], facts.get("for", "")
    code = facts["code"]
    if code == "ring":
        return f"{robot} is in the ring already: each waits for the next until the planner breaks it."
    long = now_ns - facts.get("since_ns", now_ns) >= STANDS_NS
    stands = f"{robot} has stood at {_xy(facts['at'])} for {since(facts['since_ns'], now_ns)}" if long else f"{robot} waits at {_xy(facts['at'])}"
    way = f" on its way {_task(facts)}" if facts.get("do") else " on its way to park"
    because = _why_it_stands(code, facts, other, now_ns)
    if because:
        return f"{stands}{way}: {because}."
    return _unhindered(code, facts, now_ns)


def _why_it_stands(code: str, facts: Facts, other: str, now_ns: int) -> str:
    there = f" at {_xy(facts['ahead_at'])}" if "ahead_at" in facts else ""
    match code:
        case "held":
            return f"{other} has the cell ahead{there}"
        case "passes":
            return f"{other} is to pass the cell ahead{there} first"
        case "shut":
            return f"the cell ahead{there} is shut by {facts['by']}{seen(facts)}"
        case "mover":
            return f"the cell ahead{there} is kept clear for {facts.get('by', 'somebody who moves')}{seen(facts)}"
        case "refused":
            return f"the checker refused the last plan, so nothing new was released ({facts['said']})"
        case "queues":
            return f"{other} was let to {facts['place']} before it" if other else f"it waits to be called to {facts['place']}"
        case "no_way":
            return "there is no way to where it is to go"
        case "settles":
            return "it is sent nothing new until it has come to rest where its last route ends"
        case "gives_way":
            return f"the plan lets others go first through the cell ahead{there}"
        case "stopped":
            return "its way is released, but it says that it has stopped (emergency stop or its own safety)"
    return ""


def _unhindered(code: str, facts: Facts, now_ns: int) -> str:
    robot, task = facts["robot"], _task(facts) if facts.get("do") else ""
    match code:
        case "acts":
            at = f" at {facts['place']}" if facts.get("place") else ""
            level = f" (battery at {facts['battery']:.0%})" if facts.get("do") == "charge" else ""
            return f"{robot} {DOING.get(facts.get('do', ''), 'acts')}{_of_order(facts)}{at}{level}."
        case "drives":
            return f"{robot} drives {task or 'to park'}; {_count(facts['ahead'], 'cell')} released to it."
        case "out":
            if "silent_since_ns" in facts:
                last = f" for {since(facts['silent_since_ns'], now_ns)}" if now_ns else ""
                return f"{robot} is left out of the plan: nothing was heard of it{last}."
            return f"{robot} is left out of the plan: {facts['problem']}."
        case "no_charger":
            holders = ", ".join(f"{place} by {robot}" for place, robot in facts["holders"].items())
            return f"{robot} has a battery at {facts['battery']:.0%} and waits for a charger: " + (f"taken are {holders}." if holders else "none can be reached.")
        case "parked":
            at = f"parks at {facts['place']}" if facts.get("place") else f"stands out of the way at {_xy(facts['at'])}"
            more = f", though {facts['orders_waiting']} orders wait for other reasons" if facts.get("orders_waiting") else ""
            return f"{robot} {at}: there is no work for it{more}."
    return f"{robot} is where it is to be {task}; its action is released with the next plan."


def _choice(facts: Facts) -> str:
    if "arrival_s" not in facts:
        return ""
    arrival, text = facts["arrival_s"], f": it was to be there in {seconds(facts['arrival_s'])}"
    near = [r for r in facts["rivals"] if r["alone_s"] < arrival]
    far = [r for r in facts["rivals"] if r["alone_s"] >= arrival]
    if far:
        text += "; " + " and ".join(f"{r['robot']} in {seconds(r['alone_s'])}" for r in far[:2]) + " at best"
    elif facts["could"] == 1:
        text += ", and no other robot could have it"
    if near:
        text += "; " + " and ".join(f"{r['robot']} is nearer ({seconds(r['alone_s'])}) but {_busy(r)}" for r in near[:2])
    return text


def _busy(rival: Facts) -> str:
    if "battery" in rival:
        return f"its battery is at {rival['battery']:.0%}"
    stops = rival["stops"]
    return f"has {_count(stops, 'other stop')} to make" if stops else "the plan as a whole costs less without it"


def _left(facts: Facts) -> str:
    because = facts["because"]
    if because == "silent":
        return f"nothing was heard of {facts['from']} any more"
    return "the plan as a whole costs less so" if because == "cheaper" else f"{facts['from']} could not go on ({because})"


def _ended(code: str, facts: Facts) -> str:
    said, robot = str(facts.get("said", "")), facts.get("robot", "")
    took = f" after {seconds(facts['took_s'])}" if "took_s" in facts else ""
    if code == "done":
        due = facts.get("late_s")
        lateness = "" if due is None else f", {seconds(abs(due))} {'late' if due > 0 else 'before it was due'}"
        return f"{robot or 'A robot'} delivered it{took}{lateness}."
    words = {"cancelled": "It was cancelled", "failed": "It failed", "unroutable": "It was given up"}[code]
    return f"{words}{took}{': ' + waiting(said) if said else ''}{seen(facts)}."


def _task(facts: Facts) -> str:
    to = {"pick": " from ", "drop": " to "}.get(facts["do"], " at ")
    return f"{VERBS.get(facts['do'], facts['do'])}{_of_order(facts)}{to + facts['place'] if facts.get('place') else ''}"


def _of_order(facts: Facts) -> str:
    return f" {facts['order']}" if facts.get("order") else ""


def _then(facts: Facts) -> str:
    count = facts.get("then", 0)
    return f", then {_count(count, 'more stop')}" if count else ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _xy(at: Sequence[float]) -> str:
    return f"({at[0]:g}, {at[1]:g})"


def listed(names: Sequence[str]) -> str:
    if len(names) > NAMED:
        names = [*names[: NAMED - 1], f"{len(names) - NAMED + 1} others"]
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)
