"""The operations of multi-step PIBT: every way to spend the next few steps, once each.

A robot that turns in place loses steps before it gets anywhere, so a planner that looks one step ahead never sees
why it should turn. An operation is a whole sequence of steps instead (Yukhnevich and Andreychuk, "Enhancing PIBT
via multi-action operations", 2025). It is kept in a normal form: before each step forward come the turns and then
the waits, so no two operations lead through the same cells at the same times; steps after the last one forward
are open, and are spent on whichever turns look best then.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError

I32 = NDArray[np.int32]
MAX_DEPTH = 6
TIE_RANGE = 64
"""Ties between operations with the same end are broken by less than this, the unit of distance in costs."""

FORWARD, CLOCKWISE, COUNTER, WAIT, OPEN = 0, 1, 2, 3, 4
ACTION_LETTERS = "FRCW"
_TURNS = {0: (), 1: (CLOCKWISE,), 3: (COUNTER,), 2: (CLOCKWISE, CLOCKWISE)}


@dataclass(frozen=True, slots=True)
class Operations:
    """K operations of D steps; number 0 stays where it is.

    steps (K, D): where each step goes, as quarter turns clockwise from the heading at the start; -1 = stays in its
    cell. open (K,): steps after the last one forward. tie (K,): 0 to TIE_RANGE - 1, less for who moves earlier.
    first (K,): the first action; OPEN where it is free to turn. after (K,): the operation that is left when the
    first step is done, seen from the heading then. For robots that do not turn, headings are always 0 and `first`
    is FORWARD or WAIT."""

    steps: I32
    open: I32
    tie: I32
    first: I32
    after: I32

    @property
    def depth(self) -> int:
        return int(self.steps.shape[1])


def turning_operations(depth: int) -> Operations:
    """For robots that go forward, turn by a quarter, or wait: 2, 6, 17, 48, 136 or 385 for depths 1 to 6."""
    plans = _plans(_checked(depth))
    return _tables([_steps(plan) for plan in plans], plans)


def moving_operations(depth: int) -> Operations:
    """For movers that go to any of four neighbours or wait: 5 ** depth."""
    paths = [tuple(p) for p in product((-1, 0, 1, 2, 3), repeat=_checked(depth))]
    plans = [tuple(FORWARD if step >= 0 else WAIT for step in path) for path in paths]
    return _tables(paths, plans)


def _checked(depth: int) -> int:
    if not 1 <= depth <= MAX_DEPTH:
        raise InputError("depth", f"{depth}", f"1 to {MAX_DEPTH}")
    return depth


def _plans(length: int) -> list[tuple[int, ...]]:
    """All sequences of actions in normal form; the one that is all open comes first."""
    out: list[tuple[int, ...]] = [(OPEN,) * length]
    for turns in _TURNS.values():
        for waits in range(length - len(turns)):
            head = (*turns, *(WAIT,) * waits, FORWARD)
            out += [head + tail for tail in _plans(length - len(head))]
    return out


def _steps(plan: tuple[int, ...]) -> tuple[int, ...]:
    heading, out = 0, []
    for action in plan:
        heading = (heading + (action == CLOCKWISE) - (action == COUNTER)) % 4
        out.append(heading if action == FORWARD else -1)
    return tuple(out)


def _rest(path: tuple[int, ...], plan: tuple[int, ...]) -> tuple[int, ...]:
    """What is left of a path after its first step, seen from the heading then; nothing follows it."""
    turn = (plan[0] == CLOCKWISE) - (plan[0] == COUNTER) if OPEN in plan or plan[0] in (CLOCKWISE, COUNTER) else 0
    if plan[0] == FORWARD:
        turn = path[0]
    return (*(step if step < 0 else (step - turn) % 4 for step in path[1:]), -1)


def _tables(paths: list[tuple[int, ...]], plans: list[tuple[int, ...]]) -> Operations:
    depth = len(paths[0])
    turning = any(OPEN in plan or CLOCKWISE in plan for plan in plans)
    number = {path: k for k, path in enumerate(paths)}
    late = np.array([sum(d for d, step in enumerate(path) if step >= 0) + depth * path.count(-1) for path in paths])
    tie = (late - late.min()) * (TIE_RANGE - 1) // max(1, int(late.max() - late.min()))
    after = [number[_rest(path, plan) if turning else (*path[1:], -1)] for path, plan in zip(paths, plans, strict=True)]
    open_steps = [plan[::-1].index(FORWARD) if FORWARD in plan else depth for plan in plans] if turning else [0] * len(plans)
    return Operations(
        steps=np.array(paths, np.int32),
        open=np.array(open_steps, np.int32),
        tie=tie.astype(np.int32),
        first=np.array([plan[0] for plan in plans], np.int32),
        after=np.array(after, np.int32),
    )
