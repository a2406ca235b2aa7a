"""Kernels that shorten a joint plan: a few agents at a time are taken out and routed anew round the others.

Large neighbourhood search (Li et al., "Anytime multi-agent path finding via large neighborhood search", IJCAI
2021) with safe-interval path planning (Phillips and Likhachev, ICRA 2011). Cells are numbered 0 to C - 1 over
the free cells; steps run from 0 to T - 1, where T is a multiple of 64 and later than every arrival. Who is where
is kept as bits, 64 steps a word: for a floor of 6,000 cells they fit the second-level cache, and the next free
or taken step is found without a loop over steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.cpython.unsafe import numbers as bits
from numpy.typing import NDArray

from planning.distance import I32
from planning.jit import kernel

I16 = NDArray[np.int16]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
F64 = NDArray[np.float64]

SIZES = (2, 4, 8, 16, 32)
WAYS = 4
"""Of choosing who is routed anew: who is in a late agent's way, by place and time, by crossing, by lot."""
ARMS = WAYS * len(SIZES)
MOST = SIZES[-1]
NOISE = 64
"""Steps by which the order of agents in a repair departs from that of their ways."""
LEVEL = 4
"""One round in so many is kept even if it saves nothing: that leads away from where no single round does."""
FORGET = 0.005
"""How much of what a way to choose has brought is forgotten with each round of it."""
LEAST_SHARE = 0.01
"""Share of the rounds that every way to choose gets at least."""
ROUND_COST = 100
"""What choosing and undoing cost beside the search, in states looked at; and for each agent:"""
AGENT_COST = 20
CELL, TIME, END, PARENT, SAME_CELL, SAME_COST, DONE = 0, 1, 2, 3, 4, 5, 6
MOST_STATES = 400_000
"""Made in one round before it is given up: a tenth of a second."""
FAR = 32767
MISSING = 1 << 30
"""Steps that an agent without a path counts as."""
zeros_above: Any = bits.leading_zeros
zeros_below: Any = bits.trailing_zeros
ONE, ALL, NONE = np.uint64(1), np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0)


class Traffic(NamedTuple):
    """One joint plan of A agents and the scratch memory of its improvement.

    nbr (C, 4): neighbours, packed, -1 padded; pool (A, C): steps to each agent's goal; starts, goals (A,);
    owner (C,): whose goal a cell is, -1 nobody's; crossings: cells with three ways or more;
    path (A, T): cells up to the arrival, undefined after it; arrive (A,): step from which each stays;
    busy (C, T / 64): bit t % 64 of word t // 64 is set while somebody is there; occ (C, T): who, where busy
    and not at rest; node (., 8), head (C,), seen (C,), bucket (T + 1,): states of the search, open and closed,
    seen being the number of the search that last touched a cell; search (1,): that number;
    old (MOST, T), old_arrive (MOST,): paths to go back to; picked (A,): round in which an agent was last
    chosen; mark (C,): the same of a cell; queue (C,); rng (1,): random state; merit (ARMS, 2): steps
    saved and states made by each way to choose, fading; note: the round
    that was last kept as [number of agents, then for each: agent, arrival (-1 = no path), cells up to it], note_end (1,)."""

    nbr: I32
    pool: I16
    starts: I32
    goals: I32
    owner: I32
    crossings: I32
    path: I32
    arrive: I32
    busy: U64
    occ: I32
    node: I32
    head: I32
    seen: I64
    bucket: I32
    search: I64
    old: I32
    old_arrive: I32
    picked: I64
    mark: I64
    queue: I32
    rng: U64
    merit: F64
    note: I32
    note_end: I64


@kernel
def _draw(rng: U64, below: int) -> Any:
    """A number from 0 to below - 1: xorshift64* (Vigna 2016)."""
    x = rng[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[0] = x
    return np.int64((x * np.uint64(2685821657736338717)) >> np.uint64(33)) % below


@kernel
def _next_busy(busy: U64, cell: int, t: int) -> Any:
    """First t' >= t at which somebody is in `cell`; T if there is none."""
    words = busy.shape[1]
    k = t >> 6
    if k >= words:
        return 64 * words
    word = busy[cell, k] & (ALL << np.uint64(t & 63))
    while word == NONE:
        k += 1
        if k == words:
            return 64 * k
        word = busy[cell, k]
    return 64 * k + np.int64(zeros_below(word))


@kernel
def _next_free(busy: U64, cell: int, t: int) -> Any:
    """First t' >= t at which nobody is in `cell`; T if there is none."""
    words = busy.shape[1]
    k = t >> 6
    if k >= words:
        return 64 * words
    word = ~busy[cell, k] & (ALL << np.uint64(t & 63))
    while word == NONE:
        k += 1
        if k == words:
            return 64 * k
        word = ~busy[cell, k]
    return 64 * k + np.int64(zeros_below(word))


@kernel
def _free_for_good(busy: U64, cell: int) -> Any:
    """First step from which nobody is in `cell` any more."""
    for k in range(busy.shape[1] - 1, -1, -1):
        word = busy[cell, k]
        if word != NONE:
            return 64 * k + 64 - np.int64(zeros_above(word))
    return 0


@kernel
def _is_busy(busy: U64, cell: int, t: int) -> bool:
    return (busy[cell, t >> 6] >> np.uint64(t & 63)) & ONE != NONE


@kernel
def _who(w: Traffic, cell: int, t: int) -> int:
    """The agent in `cell` at step t, -1 if none."""
    if not _is_busy(w.busy, cell, t):
        return -1
    j = w.owner[cell]
    return j if j >= 0 and 0 <= w.arrive[j] <= t else w.occ[cell, t]


@kernel
def _place(path: I32, arrive: I32, busy: U64, occ: I32, i: int) -> None:
    """Enter the path of agent i into the reservations."""
    last = arrive[i]
    for t in range(last + 1):
        cell = path[i, t]
        busy[cell, t >> 6] |= ONE << np.uint64(t & 63)
        occ[cell, t] = i
    goal = path[i, last]
    busy[goal, last >> 6] |= ALL << np.uint64(last & 63)
    busy[goal, (last >> 6) + 1 :] = ALL


@kernel
def _lift(path: I32, arrive: I32, busy: U64, i: int) -> None:
    """Take the path of agent i out of the reservations."""
    last = arrive[i]
    for t in range(last):
        busy[path[i, t], t >> 6] &= ~(ONE << np.uint64(t & 63))
    goal = path[i, last]
    busy[goal, last >> 6] &= ~(ALL << np.uint64(last & 63))
    busy[goal, (last >> 6) + 1 :] = NONE


@kernel
def _push(node: I32, head: I32, seen: I64, bucket: I32, search: int, count: int, cell: int, t: int, end: int, parent: int, cost: Any) -> int:
    """Make state `count` unless its interval was reached as early before. Returns the new count."""
    first = -1
    if seen[cell] == search:
        first = head[cell]
        k = first
        while k >= 0:
            if node[k, END] == end:
                if node[k, TIME] <= t:
                    return count
                node[k, DONE] = 1  # reached earlier now
            k = node[k, SAME_CELL]
    seen[cell] = search
    head[cell] = count
    node[count, CELL] = cell
    node[count, TIME] = t
    node[count, END] = end
    node[count, PARENT] = parent
    node[count, SAME_CELL] = first
    node[count, SAME_COST] = bucket[cost]
    node[count, DONE] = 0
    bucket[cost] = count
    return count + 1


@kernel
def _search(nbr: I32, h: I16, busy: U64, occ: I32, path: I32, arrive: I32, node: I32, head: I32, seen: I64, bucket: I32, search: int, rng: U64, start: int, goal: int, limit: int) -> tuple[int, int]:
    """Earliest arrival by step `limit` at the latest. Returns (the state that arrives, -1 if there is none; states
    made). A state is a cell and an interval in which it is free, with the earliest step it can be reached at."""
    end_of_time = 64 * busy.shape[1] - 1
    limit = min(limit, end_of_time)
    floor = max(np.int64(h[start]), _free_for_good(busy, goal))
    if floor > limit:
        return -1, 1
    bucket[h[start] : limit + 1] = -1  # in order of step + way left, so that hardly a state is reached twice
    room = len(node) - 2 * end_of_time - 8
    count = _push(node, head, seen, bucket, search, 0, start, 0, _next_busy(busy, start, 0) - 1, -1, np.int64(h[start]))
    cost = np.int64(h[start])
    while cost <= limit and count < room:
        state = bucket[cost]
        if state < 0:
            cost += 1
            continue
        bucket[cost] = node[state, SAME_COST]
        if node[state, DONE] != 0:
            continue
        cell, t, end = node[state, CELL], node[state, TIME], node[state, END]
        if cell == goal and end == end_of_time:
            return state, count
        leave_by = min(end + 1, end_of_time)
        turn = _draw(rng, 4)
        for way in range(4):
            other = nbr[cell, (way + turn) & 3]
            if other < 0:
                continue
            left = np.int64(h[other])
            latest = min(leave_by, limit - left)
            at = _next_free(busy, other, t + 1)
            while at <= latest:
                until = _next_busy(busy, other, at + 1) - 1
                swap = False
                if at == end + 1 and _is_busy(busy, other, at - 1):
                    j = occ[other, at - 1]  # who leaves `other` as the interval here ends: does it come here?
                    swap = path[j, min(at, arrive[j])] == cell
                if not swap:
                    count = _push(node, head, seen, bucket, search, count, other, at, until, state, at + left)
                at = _next_free(busy, other, until + 2)
    return -1, count


@kernel
def _trace(node: I32, path: I32, i: int, k: int) -> None:
    """Write the path that ends in state k; who waits does so where it is until the next cell is free."""
    after = node[k, TIME] + 1
    while k >= 0:
        for t in range(node[k, TIME], after):
            path[i, t] = node[k, CELL]
        after = node[k, TIME]
        k = node[k, PARENT]


@kernel
def find_path(w: Traffic, i: int, limit: int) -> tuple[int, int]:
    """Shortest path of agent i round all that is reserved, into w.path and w.arrive, by step `limit` at the
    latest. Returns (arrival, -1 if there is none; states made)."""
    w.search[0] += 1
    state, count = _search(
        w.nbr, w.pool[i], w.busy, w.occ, w.path, w.arrive, w.node, w.head, w.seen, w.bucket, w.search[0], w.rng,
        w.starts[i], w.goals[i], limit,
    )
    if state < 0:
        return -1, count
    w.arrive[i] = w.node[state, TIME]
    _trace(w.node, w.path, i, state)
    return w.arrive[i], count


@kernel
def _add(picked: I64, chosen: I32, count: int, i: int, stamp: int) -> int:
    if i < 0 or count == len(chosen) or picked[i] == stamp:
        return count
    picked[i] = stamp
    chosen[count] = i
    return count + 1


@kernel
def _delayed(pool: I16, starts: I32, arrive: I32, rng: U64) -> int:
    """An agent, drawn in proportion to its delay; -1 if there is no delay."""
    total = 0
    for i in range(len(arrive)):
        total += arrive[i] - pool[i, starts[i]]
    if total == 0:
        return -1
    left = _draw(rng, total)
    for i in range(len(arrive)):
        left -= arrive[i] - pool[i, starts[i]]
        if left < 0:
            return i
    return -1


@kernel
def _in_the_way(w: Traffic, chosen: I32, size: int, stamp: int) -> int:
    """A delayed agent and those it meets on random walks that would have saved it time."""
    i = _delayed(w.pool, w.starts, w.arrive, w.rng)
    count = _add(w.picked, chosen[:size], 0, i, stamp)
    h, arrive = w.pool[i], w.arrive[i]
    for _ in range(4 * size):
        if count >= size:
            break
        t = _draw(w.rng, arrive)
        cell = w.path[i, t]
        while t + 1 < arrive and count < size:
            turn, onward = _draw(w.rng, 5), -1
            for way in range(5):
                k = (way + turn) % 5
                other = cell if k == 4 else w.nbr[cell, k]
                if other >= 0 and t + 1 + h[other] < arrive:
                    onward = other
                    break
            if onward < 0:
                break
            count = _add(w.picked, chosen[:size], count, _who(w, onward, t + 1), stamp)
            j = _who(w, onward, t)
            if j >= 0 and j != i and w.path[j, min(t + 1, w.arrive[j])] == cell:
                count = _add(w.picked, chosen[:size], count, j, stamp)
            cell = onward
            t += 1
    return count


@kernel
def _around(w: Traffic, chosen: I32, size: int, stamp: int, cell: int, t: Any, span: int) -> int:
    """Those who pass near `cell` within `span` steps of t, nearest cells first."""
    count, first, last = 0, 0, 1
    w.queue[0] = cell
    w.mark[cell] = stamp
    low, high = max(0, t - span), min(len(w.bucket) - 2, t + span)
    while first < last and count < size and first < 400:
        cell = w.queue[first]
        first += 1
        at = _next_busy(w.busy, cell, low)
        while at <= high and count < size:
            count = _add(w.picked, chosen[:size], count, _who(w, cell, at), stamp)
            at = _next_busy(w.busy, cell, at + 1)
        for k in range(4):
            other = w.nbr[cell, k]
            if other >= 0 and w.mark[other] != stamp:
                w.mark[other] = stamp
                w.queue[last] = other
                last += 1
    return count


@kernel
def _choose(w: Traffic, chosen: I32, way: int, size: int, stamp: int) -> int:
    """Fill `chosen` with at most `size` agents; returns how many."""
    if way == 0:
        return _in_the_way(w, chosen, size, stamp)
    if way == 2 and len(w.crossings):
        cell = w.crossings[_draw(w.rng, len(w.crossings))]
        return _around(w, chosen, size, stamp, cell, _draw(w.rng, w.arrive.max() + 1), 2 + size // 2)
    i = _delayed(w.pool, w.starts, w.arrive, w.rng)
    if way == 1:
        t = _draw(w.rng, w.arrive[i] + 1)
        return _around(w, chosen, size, stamp, w.path[i, t], t, 2 + size // 4)
    count = _add(w.picked, chosen, 0, i, stamp)
    while count < size:
        count = _add(w.picked, chosen, count, _draw(w.rng, len(w.arrive)), stamp)
    return count


@kernel
def _take_out(w: Traffic, chosen: I32, count: Any) -> None:
    """Take the first `count` of the chosen out of the plan, noting the paths they had."""
    for k in range(count):
        i = chosen[k]
        w.old_arrive[k] = w.arrive[i]
        if w.arrive[i] >= 0:
            _lift(w.path, w.arrive, w.busy, i)
            w.old[k, : w.arrive[i] + 1] = w.path[i, : w.arrive[i] + 1]
            w.arrive[i] = -1


@kernel
def _put_back(w: Traffic, chosen: I32, count: Any) -> None:
    """Undo `_take_out` and whatever paths the chosen were given since."""
    for k in range(count):
        if w.arrive[chosen[k]] >= 0:
            _lift(w.path, w.arrive, w.busy, chosen[k])
    for k in range(count):
        i = chosen[k]
        w.arrive[i] = w.old_arrive[k]
        if w.arrive[i] >= 0:
            w.path[i, : w.arrive[i] + 1] = w.old[k, : w.arrive[i] + 1]
            _place(w.path, w.arrive, w.busy, w.occ, i)


@kernel
def _renew(w: Traffic, chosen: I32, count: int, least: int) -> tuple[bool, int, int]:
    """Route the chosen agents anew, one after another in random order; go back unless that saves `least` steps.
    Returns (whether new paths were kept, steps saved, states made)."""
    before, rest, states = 0, 0, 0
    for k in range(count):
        j = k + _draw(w.rng, count - k)
        chosen[k], chosen[j] = chosen[j], chosen[k]
        i = chosen[k]
        before += w.arrive[i]
        rest += w.pool[i, w.starts[i]]
    if before == rest:  # nobody is late
        return False, 0, 0
    _take_out(w, chosen, count)
    now = 0
    for k in range(count):
        i = chosen[k]
        rest -= w.pool[i, w.starts[i]]
        arrival, looked = find_path(w, i, before - now - rest - least)
        states += looked
        if arrival < 0 or states > MOST_STATES:
            w.arrive[i] = -1
            _put_back(w, chosen, count)
            return False, 0, states
        now += arrival
        _place(w.path, w.arrive, w.busy, w.occ, i)
    return True, before - now, states


@kernel
def _note(w: Traffic, chosen: I32, count: int) -> None:
    """Write the round that was just kept into w.note."""
    w.note[0] = count
    at = 1
    for k in range(count):
        i = chosen[k]
        steps = w.arrive[i] + 1
        w.note[at], w.note[at + 1] = i, w.arrive[i]
        w.note[at + 2 : at + 2 + steps] = w.path[i, :steps]
        at += 2 + steps
    w.note_end[0] = at


@kernel
def _pick_arm(merit: F64, rng: U64, share: F64) -> int:
    """A way to choose, drawn by the square of the steps it saves for each state made."""
    saved, made = merit[:, 0].sum(), merit[:, 1].sum()
    prior = 0.02 * made + 1.0
    total = 0.0
    for arm in range(ARMS):
        rate = (merit[arm, 0] + prior * saved / (made + 1.0)) / (merit[arm, 1] + prior)
        share[arm] = rate * rate + 1e-18
        total += share[arm]
    mark = _draw(rng, 1 << 24) / (1 << 24) * total * (1.0 + ARMS * LEAST_SHARE)
    for arm in range(ARMS):
        mark -= share[arm] + total * LEAST_SHARE
        if mark < 0.0:
            return arm
    return ARMS - 1


@kernel
def improve(w: Traffic, stamp: int, states: int) -> tuple[int, int]:
    """Rounds of renewal until one is kept, which is then in w.note, or that many states were made. Returns
    (next stamp, states left, 0 or less if none did); w.merit learns which choice saves most for each state."""
    chosen, share = np.empty(MOST, dtype=np.int32), np.empty(ARMS, dtype=np.float64)
    w.note_end[0] = 0
    while states > 0 and w.note_end[0] == 0 and _delayed(w.pool, w.starts, w.arrive, w.rng) >= 0:
        arm = _pick_arm(w.merit, w.rng, share)
        size = min(SIZES[arm // WAYS], len(w.arrive))
        count = _choose(w, chosen, arm % WAYS, size, stamp)
        stamp += 1
        kept, gain, looked = _renew(w, chosen, count, 1 if _draw(w.rng, LEVEL) else 0)
        looked += ROUND_COST + AGENT_COST * count
        states -= looked
        if kept:
            _note(w, chosen, count)
        w.merit[arm, 0] = (1.0 - FORGET) * w.merit[arm, 0] + gain
        w.merit[arm, 1] = (1.0 - FORGET) * w.merit[arm, 1] + looked
    return stamp, states


@kernel
def plan_in_turn(w: Traffic, order: I32, limit: int) -> int:
    """Prioritised planning: a path round all paths placed before, for each agent in `order`; arrive is -1 for whom
    there is none. Returns how many there are of these."""
    missing = 0
    for i in order:
        arrival, _ = find_path(w, i, limit)
        if arrival < 0:
            w.arrive[i] = -1
            missing += 1
        else:
            _place(w.path, w.arrive, w.busy, w.occ, i)
    return missing


@kernel
def _blockers(w: Traffic, chosen: I32, size: int, stamp: int, i: int) -> int:
    """Agent i, that has no path, and those it would meet on a shortest way or near either end of it."""
    count = _add(w.picked, chosen[:size], 0, i, stamp)
    end_of_time = len(w.bucket) - 2
    way = _draw(w.rng, 4)
    if way == 0:
        return count + _around(w, chosen[count:], size - count, stamp, w.starts[i], np.int64(0), 2 + size)
    if way == 1:
        return count + _around(w, chosen[count:], size - count, stamp, w.goals[i], end_of_time - 1, size)
    if way == 2:
        t = w.pool[i, w.starts[i]] + _draw(w.rng, 4 * size)
        return count + _around(w, chosen[count:], size - count, stamp, w.goals[i], t, size)
    cell, t = w.starts[i], _draw(w.rng, 2 * size)
    h = w.pool[i]
    while cell != w.goals[i] and count < size:
        turn, onward = _draw(w.rng, 4), cell
        for k in range(4):
            other = w.nbr[cell, (k + turn) & 3]
            if other >= 0 and h[other] < h[cell]:
                onward = other
        cell = onward
        for at in range(t, min(t + 3, end_of_time)):
            count = _add(w.picked, chosen[:size], count, _who(w, cell, at), stamp)
        t = min(t + 1, end_of_time)
    return count


@kernel
def _repair_round(w: Traffic, chosen: I32, count: int, limit: int) -> tuple[bool, int]:
    """Plan the chosen anew, the first of them first, the others by length of way with some noise; go back where fewer
    than before find a path. Returns (whether the new paths were kept, states made)."""
    lacking, failed, states = 0, 0, 0
    key = np.empty(count, dtype=np.int64)
    for k in range(count):
        i = chosen[k]
        lacking += w.arrive[i] < 0
        rank = -1 if k == 0 else np.int64(w.pool[i, w.starts[i]]) + _draw(w.rng, NOISE)
        at = k
        while at > 0 and key[at - 1] > rank:
            key[at] = key[at - 1]
            chosen[at] = chosen[at - 1]
            at -= 1
        key[at] = rank
        chosen[at] = i
    _take_out(w, chosen, count)
    for k in range(count):
        arrival, looked = find_path(w, chosen[k], limit)
        states += looked
        if arrival >= 0:
            _place(w.path, w.arrive, w.busy, w.occ, chosen[k])
        else:
            failed += 1
        if failed > lacking or states > MOST_STATES:
            _put_back(w, chosen, count)
            return False, states
    return True, states


@kernel
def repair(w: Traffic, stamp: int, states: int, limit: int) -> tuple[int, int]:
    """Rounds that find paths for who has none, until one is kept, which is then in w.note, or that many states were
    made. A round is kept even if it only changes who has none. Returns (next stamp, states left)."""
    chosen = np.empty(MOST, dtype=np.int32)
    missing = np.flatnonzero(w.arrive < 0)
    w.note_end[0] = 0
    while states > 0 and w.note_end[0] == 0 and len(missing):
        size = min(SIZES[1 + _draw(w.rng, len(SIZES) - 1)], len(w.arrive))
        count = _blockers(w, chosen, size, stamp, missing[_draw(w.rng, len(missing))])
        stamp += 1
        kept, looked = _repair_round(w, chosen, count, limit)
        states -= looked + ROUND_COST + AGENT_COST * count
        if kept:
            _note(w, chosen, count)
    return stamp, states


@kernel
def _stands(w: Traffic, i: int) -> bool:
    """Is the path of agent i, not entered yet, clear of all that are?"""
    last = w.arrive[i]
    if _free_for_good(w.busy, w.path[i, last]) > last:
        return False
    for t in range(last + 1):
        cell = w.path[i, t]
        if _is_busy(w.busy, cell, t):
            return False
        if t > 0 and cell != w.path[i, t - 1]:
            j = _who(w, cell, t - 1)
            if j >= 0 and w.path[j, min(t, w.arrive[j])] == w.path[i, t - 1]:
                return False
    return True


@kernel
def take_back(w: Traffic) -> None:
    """Undo the round in w.note, the last that was kept."""
    count, at = np.int64(w.note[0]), 1
    chosen = np.empty(count, dtype=np.int32)
    for k in range(count):
        chosen[k] = w.note[at]
        at += 3 + w.note[at + 1]
    _put_back(w, chosen, count)


@kernel
def replay(w: Traffic, note: I32, slack: int) -> bool:
    """Take over a round from another plan if its paths fit this one and cost less than what they replace and
    `slack`, an agent without a path counting as MISSING steps. Returns whether they do."""
    count, at = np.int64(note[0]), 1
    chosen = np.empty(count, dtype=np.int32)
    before, now = 0, 0
    for k in range(count):
        chosen[k] = note[at]
        before += w.arrive[note[at]] if w.arrive[note[at]] >= 0 else MISSING
        now += note[at + 1] if note[at + 1] >= 0 else MISSING
        at += 3 + note[at + 1]
    if now >= before + slack:
        return False
    _take_out(w, chosen, count)
    at = 1
    for k in range(count):
        i, last = chosen[k], note[at + 1]
        if last >= 0:
            w.arrive[i] = last
            w.path[i, : last + 1] = note[at + 2 : at + 3 + last]
            if not _stands(w, i):
                w.arrive[i] = -1
                _put_back(w, chosen, count)
                return False
            _place(w.path, w.arrive, w.busy, w.occ, i)
        at += 3 + last
    return True


@kernel
def adopt(w: Traffic, path: I32, arrive: I32) -> None:
    """Change to the plan `path` (A, T), `arrive` (A,)."""
    changed = np.empty(len(arrive), dtype=np.bool_)
    for i in range(len(arrive)):
        steps = arrive[i] + 1
        changed[i] = arrive[i] != w.arrive[i] or (w.path[i, :steps] != path[i, :steps]).any()
        if changed[i] and w.arrive[i] >= 0:
            _lift(w.path, w.arrive, w.busy, i)
    for i in range(len(arrive)):
        if changed[i]:
            w.arrive[i] = arrive[i]
            w.path[i, : arrive[i] + 1] = path[i, : arrive[i] + 1]
            if arrive[i] >= 0:
                _place(w.path, w.arrive, w.busy, w.occ, i)


@kernel
def fill_tables(nbr: I32, goals: I32, pool: I16) -> None:
    """Steps from every cell to goals[k] into pool[k]; FAR where there is no way or none as short."""
    queue = np.empty(len(nbr), dtype=np.int32)
    for k in range(len(goals)):
        dist = pool[k]
        dist[:] = FAR
        dist[goals[k]] = 0
        queue[0] = goals[k]
        first, last = 0, 1
        while first < last:
            cell = queue[first]
            first += 1
            for way in range(4):
                other = nbr[cell, way]
                if other < 0:
                    break
                if dist[other] == FAR and dist[cell] < FAR - 1:
                    dist[other] = dist[cell] + 1
                    queue[last] = other
                    last += 1


@kernel
def fill_priced(nbr: I32, into: I32, goals: I32, pool: I16) -> None:
    """Cost from every cell to goals[k] into pool[k] by Dial's buckets, FAR where there is no way; into (C, 4): cost of
    the step from each neighbour into a cell, 1 to 255. No cost may come near FAR."""
    ring = 256
    buckets = np.full(ring, -1, dtype=np.int32)
    entry_cell, entry_next = np.empty(4 * len(nbr) + 1, np.int32), np.empty(4 * len(nbr) + 1, np.int32)
    for k in range(len(goals)):
        dist = pool[k]
        dist[:] = FAR
        dist[goals[k]] = 0
        entry_cell[0], entry_next[0], buckets[0] = goals[k], -1, 0
        entries, waiting, now = 1, 1, 0
        while waiting > 0:
            entry = buckets[now % ring]
            if entry < 0:
                now += 1
                continue
            buckets[now % ring] = entry_next[entry]
            waiting -= 1
            cell = entry_cell[entry]
            if dist[cell] != now:
                continue  # reached more cheaply since it was queued
            for way in range(4):
                other = nbr[cell, way]
                if other < 0:
                    break
                reached = now + into[cell, way]
                if reached < dist[other]:
                    dist[other] = reached
                    entry_cell[entries], entry_next[entries] = other, buckets[reached % ring]
                    buckets[reached % ring] = entries
                    entries += 1
                    waiting += 1
