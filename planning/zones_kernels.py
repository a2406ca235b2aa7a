"""What a zone adds to multi-step PIBT (planning.lifelong_epibt), in numba; arrays are named as there.

Node numbers: the zone's own cells first, then its portals (the cell behind each gate out, where it is in sight no longer
than a step) and its thresholds (the cell before each gate in, from which a robot that is let in starts). `occ` has one more
row per robot: where it is when it has gone through a gate, in nobody's way.
  own       number of the zone's own cells
  aim (N,)  the portal that each robot may go through, -1 = none
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from planning.jit import kernel

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

IMPOSSIBLE = 1 << 30


@kernel
def restrict(
    route: I32, cost: I32, rank: I32, count: I32, steps: I32, at: I32, aim: I32, near: Bool, own: int, nodes: int
) -> None:
    """Drop the operations that a border forbids: through a gate that is not the robot's, through any gate in the first
    step (that takes a grant), on beyond a gate, and back to a threshold. Behind its gate a robot is put in its own row.
    near (nodes,): cells from which a border can be reached."""
    depth = steps.shape[1]
    for i in range(len(at)):
        if not near[at[i]]:
            continue
        n = 0
        for r in range(count[i]):
            k = rank[i, r]
            allowed, gone, moved = True, False, False
            for d in range(depth):
                moved |= steps[k, d] >= 0
                if gone:
                    if steps[k, d] >= 0:
                        allowed = False
                        break
                    route[i, k, d] = nodes + i
                elif route[i, k, d] >= own and moved:
                    if route[i, k, d] != aim[i] or d == 0:
                        allowed = False
                        break
                    gone = True
            if allowed:
                rank[i, n] = k
                n += 1
            else:
                cost[i, k] = IMPOSSIBLE
        count[i] = n


@kernel
def _clear(route: I32, occ: I32, at: I32, i: int, k: int) -> bool:
    """Whether i's operation k, with i not in `occ` after time 0, meets nobody and changes places with nobody."""
    came = at[i]
    for d in range(route.shape[2]):
        cell = route[i, k, d]
        if occ[cell, d + 1] >= 0:
            return False
        if cell != came:
            j = occ[cell, d]
            if j >= 0 and j != i and occ[came, d + 1] == j:
                return False
        came = cell
    return True


@kernel
def _put(route: I32, occ: I32, i: int, k: int, mark: int) -> None:
    for d in range(route.shape[2]):
        occ[route[i, k, d], d + 1] = mark


@kernel
def settle(route: I32, cost: I32, held: I32, at: I32, occ: I32) -> Any:
    """What all robots hold, into `occ`; who can no longer do it stops, then who would have driven into them, and
    so on until nobody meets anybody. Standing robots are in nobody else's way, so this ends. False: two in one cell."""
    occ[:] = -1
    for i in range(len(at)):
        if occ[at[i], 0] >= 0:
            return False
        occ[at[i], 0] = i
        if cost[i, held[i]] >= IMPOSSIBLE:
            held[i] = 0
    again = True
    while again:
        again = False
        occ[:, 1:] = -1
        for i in range(len(at)):
            if held[i] == 0:
                _put(route, occ, i, 0, i)
        for i in range(len(at)):
            if held[i] == 0:
                continue
            if _clear(route, occ, at, i, held[i]):
                _put(route, occ, i, held[i], i)
            else:
                held[i] = 0
                again = True
    return True


@kernel
def admit(route: I32, rank: I32, count: I32, held: I32, at: I32, occ: I32, i: int) -> Any:
    """Whether i, on a threshold, holds an operation that comes in at once; if it does not, it is given the best one that is
    in nobody's way, if there is one."""
    if route[i, held[i], 0] != at[i]:
        return True
    _put(route, occ, i, held[i], -1)
    for r in range(count[i]):
        k = rank[i, r]
        if route[i, k, 0] != at[i] and _clear(route, occ, at, i, k):
            held[i] = k
            _put(route, occ, i, k, i)
            return True
    _put(route, occ, i, held[i], i)
    return False


@kernel
def bind(route: I32, cost: I32, rank: I32, count: I32, held: I32, at: I32, occ: I32, i: int, granted: bool) -> None:
    """From now on i, on a threshold, comes in in the first step, or does not: other operations are dropped. Who is not
    let in stands on its threshold, where nobody else ever is; it may plan to come later, and push others for that."""
    n = 0
    for r in range(count[i]):
        k = rank[i, r]
        if (route[i, k, 0] != at[i]) == granted:
            rank[i, n] = k
            n += 1
        else:
            cost[i, k] = IMPOSSIBLE
    count[i] = n
    if not granted and route[i, held[i], 0] != at[i]:
        _put(route, occ, i, held[i], -1)
        held[i] = 0
        _put(route, occ, i, 0, i)


@kernel
def replace(route: I32, held: I32, occ: I32, i: int, k: int) -> None:
    """i holds operation k instead; the caller knows that it is in nobody's way."""
    _put(route, occ, i, held[i], -1)
    held[i] = k
    _put(route, occ, i, k, i)


@kernel
def choose(to_gate: I64, on: I64, gate: I32, near: int, wait: int, stick: int) -> None:
    """One robot after the other takes the gate with the least cost to it, beyond it, and for who waits there already: all
    at once they would all run from the longest queue to the same other one, and back.

    to_gate, on (N, G): cost to and beyond each gate; gate (N,): the one each has, -1 = none, brought up to date; robots
    nearer than `near` wait; each costs those behind it `wait`; another gate must save `stick`."""
    queue = np.zeros(to_gate.shape[1], np.int64)
    for i in range(len(gate)):
        if gate[i] >= 0 and to_gate[i, gate[i]] <= near:
            queue[gate[i]] += 1
    for i in range(len(gate)):
        had = gate[i]
        if had >= 0 and to_gate[i, had] <= near:
            queue[had] -= 1
        best = -1
        least = np.int64(0)
        for g in range(to_gate.shape[1]):
            cost = to_gate[i, g] + on[i, g] + queue[g] * wait - (stick if g == had else 0)
            if best < 0 or cost < least:
                best, least = g, cost
        gate[i] = best
        if to_gate[i, best] <= near:
            queue[best] += 1
