"""Kernels for order batching: tours, batches on robots' timetables, ruin and recreate, a pool of batches met.

A tour is a row of places that begins and ends with the station, place 0. Lengths and costs are int64 in the problem's unit
of distance, times int64 deciseconds.

Sources: savings C&W(ii), de Koster, van der Poort & Wolters 1999 (Int. J. Production Research 37); ruin and recreate with
blinks, Christiaens & Vanden Berghe 2020 (Transportation Science 54); iterated local search for batches and the classes of
moves, Henn & Wäscher 2012 (EJOR 222); 2-opt and Or-opt, Or 1976.

All kernels are in this one file, as planning.jit asks. Constants that go to other kernels are written int(np.int64(1)):
for a plain 1 numba compiles all that gets it once more.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from planning.jit import kernel, lean_kernel

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

NONE = 1 << 60  # the cost of what cannot be done
BLINK = 0.02  # how often a batch goes unseen
RESETTLE = 0.3  # how often a round only looks for better turns of whole batches


class Data(NamedTuple):
    """What does not change. P places, n orders, R kinds of load, m robots."""

    dist: I64  # (P, P)
    first: I64  # (n + 1,) where the places of each order begin in `places`
    places: I32
    load: I64  # (n, R)
    capacity: I64  # (R,)
    release: I64  # (n,)
    due: I64  # (n,)
    price: I64  # (n,) of each decisecond late
    service: I64  # (n,) time to pick
    ready: I64  # (m,) when robots are at the station
    near: I32  # (n, n - 1) other orders, those that lie nearest first
    alone: I64  # (n,) length of a tour for one order
    key: U64  # (n,) by lot; a batch's key is their exclusive or
    pace: F64  # (1,) deciseconds for a unit of distance
    setup: I64  # (1,) deciseconds for a batch at the station
    timed: I64  # (1,) 1 where an order can be late at a price


class State(NamedTuple):
    """Batches. K rows, S places in a tour, M orders in a batch; rows in use come first."""

    tour: I32  # (K, S)
    size: I64  # (K,) places in the tour, the station twice
    member: I64  # (K, M)
    held: I64  # (K,) orders
    load: I64  # (K, R)
    length: I64  # (K,)
    opens: I64  # (K,) latest release
    work: I64  # (K,) service in all
    soonest: I64  # (K,) first due time
    version: I64  # (K,) never used twice for different content
    robot: I64  # (K,)
    start: I64  # (K,)
    late: I64  # (K,) cost of lateness
    where: I64  # (n,) row of each order, -1 none
    seq: I64  # (m, K) rows of each robot in turn
    turns: I64  # (m,) how many
    head: I64  # (2,) rows in use; the last version given out


class Scratch(NamedTuple):
    tour: I32  # (S,)
    mark: I64  # (P,)
    stamp: I64  # (1,)
    out: I64  # (n,) orders taken out
    rank: F64  # (n,)
    memo_version: I64  # (n, K) of the row for which memo_added holds
    memo_added: I64  # (n, K) length that an order adds to a row's tour
    rng: U64  # (1,)


class Pool(NamedTuple):
    """Batches met, each once, with the shortest tour seen. C columns."""

    slot: I64  # (power of two,) column + 1 by key, 0 free
    key: U64  # (C,)
    length: I64  # (C,)
    at: I64  # (C,) where members, then the tour begin in `store`
    held: I32  # (C,) orders
    size: I32  # (C,)
    store: I32
    head: I64  # (2,) columns; cells of `store` used


@lean_kernel
def uniform(rng: U64) -> float:
    """xorshift64*: in [0, 1), from and into rng[0] (never 0)."""
    x = rng[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[0] = x
    return float((x * np.uint64(2685821657736338717)) >> np.uint64(11)) / 9007199254740992.0


@lean_kernel
def below(rng: U64, count: int) -> int:
    return int(uniform(rng) * count)


@lean_kernel
def _write(target: NDArray[Any], source: NDArray[Any], count: int) -> None:
    """A loop, as slices that may overlap are copied by way of a new array, which lean kernels cannot make."""
    for i in range(count):
        target[i] = source[i]


@lean_kernel
def length_of(dist: I64, tour: I32, size: int) -> int:
    total = np.int64(0)
    for i in range(1, size):
        total += dist[tour[i - 1], tour[i]]
    return int(total)


@lean_kernel
def _reverse(tour: I32, i: int, j: int) -> None:
    while i < j:
        tour[i], tour[j] = tour[j], tour[i]
        i += 1
        j -= 1


@lean_kernel
def _two_opt(dist: I64, tour: I32, size: int) -> int:
    """Reverse stretches where that helps; what it saved. Both directions are summed: distances may be asymmetric."""
    saved = np.int64(0)
    for i in range(1, size - 2):
        a = tour[i - 1]
        ahead, back = np.int64(0), np.int64(0)
        for j in range(i + 1, size - 1):
            ahead += dist[tour[j - 1], tour[j]]
            back += dist[tour[j], tour[j - 1]]
            gain = dist[a, tour[i]] + ahead + dist[tour[j], tour[j + 1]] - dist[a, tour[j]] - back - dist[tour[i], tour[j + 1]]
            if gain > 0:
                _reverse(tour, i, j)
                ahead, back = back, ahead
                saved += gain
    return int(saved)


@lean_kernel
def _or_opt(dist: I64, tour: I32, size: int) -> int:
    """Move up to three places in a row elsewhere, turned round or not, where that helps; what it saved."""
    saved = np.int64(0)
    for width in range(1, 4):
        for i in range(1, size - width):
            e = i + width - 1
            before, s, t, after = tour[i - 1], tour[i], tour[e], tour[e + 1]
            free = dist[before, s] + dist[t, after] - dist[before, after]
            turned = np.int64(0)
            for x in range(i, e):
                turned += dist[tour[x + 1], tour[x]] - dist[tour[x], tour[x + 1]]
            best, at, flip = np.int64(0), -1, False
            for j in range(size - 1):
                if i - 1 <= j <= e:
                    continue
                u, v = tour[j], tour[j + 1]
                gain = free - dist[u, s] - dist[t, v] + dist[u, v]
                if gain > best:
                    best, at, flip = gain, j, False
                gain = free - dist[u, t] - dist[s, v] + dist[u, v] - turned
                if gain > best:
                    best, at, flip = gain, j, True
            if at < 0:
                continue
            saved += best
            if flip:
                _reverse(tour, i, e)
            # Turning the stretch and what lies between it and its new place, each and both, exchanges the two.
            low, high = (i, at) if at > e else (at + 1, e)
            middle = e if at > e else i - 1
            _reverse(tour, low, middle)
            _reverse(tour, middle + 1, high)
            _reverse(tour, low, high)
    return int(saved)


@lean_kernel
def shorten(dist: I64, tour: I32, size: int) -> int:
    """2-opt and Or-opt until neither helps; what they saved."""
    saved = np.int64(0)
    while True:
        gain = _or_opt(dist, tour, size) + _two_opt(dist, tour, size)
        if gain == 0:
            return int(saved)
        saved += gain


@kernel
def deepen(dist: I64, tour: I32, size: int, kicks: int, rng: U64) -> int:
    """Iterated: cut a tour into four, join them crosswise, shorten, keep if not longer. What it saved."""
    saved = np.int64(shorten(dist, tour, size))
    if size < 9:
        return int(saved)
    trial = np.empty(size, np.int32)
    length = length_of(dist, tour, size)
    for _ in range(kicks):
        i = 1 + below(rng, size - 5)
        j = i + 1 + below(rng, min(size - 4 - i, 12))
        k = j + 1 + below(rng, min(size - 2 - j, 12))
        _write(trial, tour, size)
        _reverse(trial, i, j - 1)
        _reverse(trial, j, k - 1)
        _reverse(trial, i, k - 1)
        shorten(dist, trial, size)
        now = length_of(dist, trial, size)
        if now <= length:
            saved += length - now
            length = now
            _write(tour, trial, size)
    return int(saved)


@lean_kernel
def put_places(data: Data, o: int, tour: I32, size: int) -> tuple[int, int]:
    """Put the places of order o that the tour lacks where they cost least, one after the other; (new size, added length)."""
    added = np.int64(0)
    for x in range(data.first[o], data.first[o + 1]):
        p = data.places[x]
        best, at = np.int64(NONE), 0
        for i in range(1, size):
            a, b = tour[i - 1], tour[i]
            if b == p:
                at = -1
                break
            more = data.dist[a, p] + data.dist[p, b] - data.dist[a, b]
            if more < best:
                best, at = more, i
        if at < 0:
            continue
        for i in range(size, at, -1):
            tour[i] = tour[i - 1]
        tour[at] = p
        size += 1
        added += best
    return size, int(added)


@kernel
def lengths_alone(data: Data, alone: I64, tour: I32, rng: U64) -> None:
    for o in range(len(alone)):
        tour[0] = tour[1] = 0
        size, _ = put_places(data, o, tour, int(np.int64(2)))
        deepen(data.dist, tour, size, int(np.int64(5)), rng)
        alone[o] = length_of(data.dist, tour, size)


@lean_kernel
def relatedness(data: Data, apart: F64) -> None:
    """(n, n): mean way from a place of one order to the nearest of the other, both ways."""
    n = len(data.alone)
    for a in range(n):
        for b in range(n):
            total = 0.0
            for x in range(data.first[a], data.first[a + 1]):
                least = np.int64(NONE)
                for y in range(data.first[b], data.first[b + 1]):
                    least = min(least, data.dist[data.places[x], data.places[y]])
                total += least
            share = total / max(1, data.first[a + 1] - data.first[a])
            apart[a, b] += share
            apart[b, a] += share


@lean_kernel
def lasts(data: Data, state: State, k: int, length: int) -> int:
    """Time that batch k takes with a tour of that length."""
    return int(data.setup[0] + state.work[k] + np.int64(math.ceil(data.pace[0] * length - 1e-6)))


@lean_kernel
def late_at(data: Data, state: State, k: int, end: int) -> int:
    """Cost of batch k being back at `end`."""
    if end <= state.soonest[k]:
        return 0
    total = np.int64(0)
    for x in range(state.held[k]):
        o = state.member[k, x]
        if end > data.due[o]:
            total += data.price[o] * (end - data.due[o])
    return int(total)


@lean_kernel
def retime(data: Data, state: State, r: int) -> None:
    clock = data.ready[r]
    for x in range(state.turns[r]):
        k = state.seq[r, x]
        state.start[k] = max(clock, state.opens[k])
        clock = state.start[k] + lasts(data, state, k, state.length[k])
        state.late[k] = late_at(data, state, k, clock)


@lean_kernel
def _turn_of(state: State, k: int) -> int:
    r, x = state.robot[k], 0
    while state.seq[r, x] != k:
        x += 1
    return x


@lean_kernel
def _shift(data: Data, state: State, r: int, x: int, clock: int) -> int:
    """What lateness costs more where the batches of robot r from turn x on begin no earlier than `clock`."""
    more = np.int64(0)
    for y in range(x, state.turns[r]):
        k = state.seq[r, y]
        begin = max(clock, state.opens[k])
        if begin == state.start[k]:
            break
        clock = begin + lasts(data, state, k, state.length[k])
        more += late_at(data, state, k, clock) - state.late[k]
    return int(more)


@lean_kernel
def late_with(data: Data, state: State, k: int, o: int, added: int) -> int:
    """What lateness costs more where order o joins batch k, whose tour grows by `added`."""
    r, x = state.robot[k], _turn_of(state, k)
    clock = data.ready[r]
    if x > 0:
        last = state.seq[r, x - 1]
        clock = state.start[last] + lasts(data, state, last, state.length[last])
    begin = max(clock, state.opens[k], data.release[o])
    end = begin + lasts(data, state, k, state.length[k] + added) + data.service[o]
    more = late_at(data, state, k, end) - state.late[k] + data.price[o] * max(0, end - data.due[o])
    return int(more + _shift(data, state, r, x + 1, end))


@lean_kernel
def best_turn(data: Data, state: State, k: int) -> tuple[int, int, int]:
    """(added cost of lateness, robot, turn) where batch k, which has no turn, costs least; the earliest of equals."""
    best, at, robot, soonest = np.int64(NONE), 0, 0, np.int64(NONE)
    takes = lasts(data, state, k, state.length[k])
    for r in range(len(data.ready)):
        clock = data.ready[r]
        for x in range(state.turns[r] + 1):
            begin = max(clock, state.opens[k])
            more = np.int64(late_at(data, state, k, begin + takes))
            if more <= best:
                more += _shift(data, state, r, x, begin + takes)
            if more < best or (more == best and begin < soonest):
                best, robot, at, soonest = more, r, x, begin
            if x < state.turns[r]:
                j = state.seq[r, x]
                clock = state.start[j] + lasts(data, state, j, state.length[j])
    return int(best), robot, at


@lean_kernel
def take_turn(data: Data, state: State, k: int, r: int, x: int) -> None:
    for y in range(state.turns[r], x, -1):
        state.seq[r, y] = state.seq[r, y - 1]
    state.seq[r, x] = k
    state.turns[r] += 1
    state.robot[k] = r
    retime(data, state, r)


@lean_kernel
def leave_turn(data: Data, state: State, k: int) -> None:
    r, x = state.robot[k], _turn_of(state, k)
    state.turns[r] -= 1
    for y in range(x, state.turns[r]):
        state.seq[r, y] = state.seq[r, y + 1]
    retime(data, state, r)


@lean_kernel
def _renew(state: State, k: int) -> None:
    state.head[1] += 1
    state.version[k] = state.head[1]


@lean_kernel
def _sum_up(data: Data, state: State, k: int) -> None:
    """opens, work and soonest of row k from its members."""
    state.opens[k], state.work[k], state.soonest[k] = 0, 0, NONE
    for x in range(state.held[k]):
        o = state.member[k, x]
        state.opens[k] = max(state.opens[k], data.release[o])
        state.work[k] += data.service[o]
        state.soonest[k] = min(state.soonest[k], data.due[o])


@lean_kernel
def join_row(data: Data, state: State, k: int, o: int) -> None:
    """Put order o into row k with its tour, but leave timetables alone."""
    size, _ = put_places(data, o, state.tour[k], state.size[k])
    state.size[k] = size
    shorten(data.dist, state.tour[k], size)
    state.length[k] = length_of(data.dist, state.tour[k], size)
    state.member[k, state.held[k]] = o
    state.held[k] += 1
    for c in range(len(data.capacity)):
        state.load[k, c] += data.load[o, c]
    _sum_up(data, state, k)
    state.where[o] = k
    _renew(state, k)


@lean_kernel
def set_tour(data: Data, state: State, k: int, tour: I32) -> None:
    """Give row k, which has no turn yet, this tour of its places if that is shorter."""
    length = length_of(data.dist, tour, len(tour))
    if length < state.length[k]:
        _write(state.tour[k], tour, len(tour))
        state.length[k] = length
        _renew(state, k)


@lean_kernel
def fresh_row(data: Data, state: State, o: int) -> int:
    """A row for order o behind those in use, which is not in use yet and has no turn."""
    k = state.head[0]
    state.tour[k, 0] = state.tour[k, 1] = 0
    state.size[k], state.held[k] = 2, 0
    for c in range(len(data.capacity)):
        state.load[k, c] = 0
    join_row(data, state, k, o)
    state.late[k] = 0
    return int(k)


@lean_kernel
def join(data: Data, state: State, k: int, o: int) -> None:
    join_row(data, state, k, o)
    if data.timed[0]:
        retime(data, state, state.robot[k])


@lean_kernel
def open_row(data: Data, state: State, o: int) -> int:
    """A batch of its own for order o, at its best turn."""
    k = fresh_row(data, state, o)
    state.head[0] += 1
    if data.timed[0]:
        _, r, x = best_turn(data, state, k)
        take_turn(data, state, k, r, x)
    return k


@lean_kernel
def _close_row(data: Data, state: State, k: int) -> None:
    """Give up the empty row k; the last row takes its number."""
    if data.timed[0]:
        leave_turn(data, state, k)
    last = state.head[0] - 1
    if k != last:
        _write(state.tour[k], state.tour[last], state.size[last])
        _write(state.member[k], state.member[last], state.held[last])
        _write(state.load[k], state.load[last], len(data.capacity))
        state.size[k], state.held[k], state.robot[k] = state.size[last], state.held[last], state.robot[last]
        state.length[k], state.opens[k], state.work[k] = state.length[last], state.opens[last], state.work[last]
        state.soonest[k], state.version[k] = state.soonest[last], state.version[last]
        state.start[k], state.late[k] = state.start[last], state.late[last]
        for x in range(state.held[k]):
            state.where[state.member[k, x]] = k
        if data.timed[0]:
            r = state.robot[k]
            for x in range(state.turns[r]):
                if state.seq[r, x] == last:
                    state.seq[r, x] = k
    state.version[last] = 0  # its content is gone: `copy` must not take it for the same
    state.head[0] = last


@lean_kernel
def leave(data: Data, state: State, scratch: Scratch, o: int) -> None:
    """Take order o out of its batch."""
    k = state.where[o]
    state.where[o] = -1
    kept = 0
    scratch.stamp[0] += 1
    for x in range(state.held[k]):
        other = state.member[k, x]
        if other != o:
            state.member[k, kept] = other
            kept += 1
            for y in range(data.first[other], data.first[other + 1]):
                scratch.mark[data.places[y]] = scratch.stamp[0]
    state.held[k] = kept
    if kept == 0:
        _close_row(data, state, k)
        return
    for c in range(len(data.capacity)):
        state.load[k, c] -= data.load[o, c]
    size = int(np.int64(1))
    for i in range(1, state.size[k]):
        p = state.tour[k, i]
        if p == 0 or scratch.mark[p] == scratch.stamp[0]:
            state.tour[k, size] = p
            size += 1
    state.size[k] = size
    shorten(data.dist, state.tour[k], size)
    state.length[k] = length_of(data.dist, state.tour[k], size)
    _sum_up(data, state, k)
    _renew(state, k)
    if data.timed[0]:
        retime(data, state, state.robot[k])


@lean_kernel
def fits(data: Data, state: State, k: int, o: int) -> bool:
    for c in range(len(data.capacity)):  # noqa: SIM110 - kernels know no generators
        if state.load[k, c] + data.load[o, c] > data.capacity[c]:
            return False
    return True


@lean_kernel
def added_by(data: Data, state: State, scratch: Scratch, k: int, o: int) -> int:
    """Length that order o adds to the tour of row k, put in without more ado; from the memo if the row has not changed."""
    if scratch.memo_version[o, k] != state.version[k]:
        size = state.size[k]
        _write(scratch.tour, state.tour[k], size)
        _, added = put_places(data, o, scratch.tour, size)
        scratch.memo_version[o, k], scratch.memo_added[o, k] = state.version[k], added
    return int(scratch.memo_added[o, k])


@lean_kernel
def settle(data: Data, state: State, scratch: Scratch, o: int, blink: float) -> None:
    """Put order o where it costs least: into a batch with room, or into one of its own."""
    best, at = np.int64(NONE), int(np.int64(-1))
    for k in range(state.head[0]):
        if not fits(data, state, k, o) or (blink > 0.0 and uniform(scratch.rng) < blink):
            continue
        added = added_by(data, state, scratch, k, o)
        more = np.int64(added)
        if more < best and data.timed[0]:
            more += late_with(data, state, k, o, added)
        if more < best:
            best, at = more, k
    if data.alone[o] < best:
        if not data.timed[0]:
            at = -1
        else:
            k = fresh_row(data, state, o)
            late, _, _ = best_turn(data, state, k)
            if state.length[k] + late < best:
                at = -1
    if at < 0:
        open_row(data, state, o)
    else:
        join(data, state, at, o)


@lean_kernel
def cost_of(data: Data, state: State) -> int:
    total = np.int64(0)
    for k in range(state.head[0]):
        total += state.length[k]
        if data.timed[0]:
            total += state.late[k]
    return int(total)


@lean_kernel
def copy(data: Data, source: State, target: State) -> None:
    """All but the count of versions, which never goes back: what the memo holds must stay told apart."""
    rows = source.head[0]
    for k in range(rows):
        size, count = source.size[k], source.held[k]
        if source.version[k] != target.version[k]:
            _write(target.tour[k], source.tour[k], size)
            _write(target.member[k], source.member[k], count)
            _write(target.load[k], source.load[k], len(data.capacity))
            target.size[k], target.held[k] = size, count
            target.length[k], target.opens[k] = source.length[k], source.opens[k]
            target.work[k], target.soonest[k] = source.work[k], source.soonest[k]
            target.version[k] = source.version[k]
    _write(target.where, source.where, len(source.where))
    target.head[0] = rows
    target.head[1] = max(source.head[1], target.head[1])
    if data.timed[0]:
        _write(target.robot, source.robot, rows)
        _write(target.start, source.start, rows)
        _write(target.late, source.late, rows)
        _write(target.turns, source.turns, len(source.turns))
        for r in range(len(source.turns)):
            _write(target.seq[r], source.seq[r], source.turns[r])


@lean_kernel
def note(data: Data, state: State, pool: Pool, k: int) -> None:
    """Keep batch k in the pool, with the shorter of the tours known; the batch gets that tour, too."""
    key = np.uint64(0)
    for x in range(state.held[k]):
        key ^= data.key[state.member[k, x]]
    mask = len(pool.slot) - 1
    at = np.int64(key & np.uint64(mask))
    size, count = state.size[k], state.held[k]
    while pool.slot[at] > 0:
        c = pool.slot[at] - 1
        if pool.key[c] == key and pool.held[c] == count and pool.size[c] == size:
            same = True
            begin = pool.at[c]
            for x in range(count):
                same = same and state.where[pool.store[begin + x]] == k
            if same:
                tour = pool.store[begin + count : begin + count + size]
                if pool.length[c] > state.length[k]:
                    _write(tour, state.tour[k], size)
                    pool.length[c] = state.length[k]
                elif pool.length[c] < state.length[k]:
                    _write(state.tour[k], tour, size)
                    state.length[k] = pool.length[c]
                    _renew(state, k)
                    if data.timed[0]:
                        retime(data, state, state.robot[k])
                return
        at = (at + 1) & mask
    c, begin = pool.head[0], pool.head[1]
    if c >= len(pool.key) or begin + count + size > len(pool.store):
        return
    pool.slot[at] = c + 1
    pool.key[c], pool.length[c], pool.at[c] = key, state.length[k], begin
    pool.held[c], pool.size[c] = count, size
    _write(pool.store[begin:], state.member[k], count)
    _write(pool.store[begin + count :], state.tour[k], size)
    pool.head[0], pool.head[1] = c + 1, begin + count + size


@lean_kernel
def _ruin(data: Data, state: State, scratch: Scratch, most: int) -> int:
    """Take out orders that lie near each other, whole batches of them or single ones; how many."""
    n, rng, outs = len(data.alone), scratch.rng, 0
    seed = below(rng, n)
    whole = uniform(rng) < 0.4
    want = 1 + below(rng, most)
    skip = 0.0 if whole else 0.5 * uniform(rng)
    for x in range(-1, n - 1):
        if outs >= want:
            break
        o = seed if x < 0 else int(data.near[seed, x])
        k = state.where[o]
        if k < 0 or (x >= 0 and uniform(rng) < skip):
            continue
        if not whole:
            scratch.out[outs] = o
            outs += 1
            leave(data, state, scratch, o)
            continue
        if outs and outs + state.held[k] > 2 * most:
            break
        while state.held[k] > 1:
            scratch.out[outs] = state.member[k, 0]
            leave(data, state, scratch, scratch.out[outs])
            outs += 1
        scratch.out[outs] = state.member[k, 0]
        leave(data, state, scratch, scratch.out[outs])
        outs += 1
    return outs


@lean_kernel
def _line_up(data: Data, scratch: Scratch, outs: int) -> None:
    """The order in which orders come back: by lot, large, far, or due first."""
    way = below(scratch.rng, 4 if data.timed[0] else 3)
    for x in range(outs):
        o = scratch.out[x]
        if way == 0:
            scratch.rank[x] = uniform(scratch.rng)
        elif way == 1:
            share = 0.0
            for c in range(len(data.capacity)):
                share = max(share, data.load[o, c] / max(1, data.capacity[c]))
            scratch.rank[x] = -share
        elif way == 2:
            scratch.rank[x] = -float(data.alone[o])
        else:
            scratch.rank[x] = float(data.due[o])
    for x in range(1, outs):
        o, rank = scratch.out[x], scratch.rank[x]
        y = x
        while y > 0 and scratch.rank[y - 1] > rank:
            scratch.out[y], scratch.rank[y] = scratch.out[y - 1], scratch.rank[y - 1]
            y -= 1
        scratch.out[y], scratch.rank[y] = o, rank


@lean_kernel
def resettle(data: Data, state: State, k: int) -> None:
    """Give batch k the turn that costs least."""
    leave_turn(data, state, k)
    _, r, x = best_turn(data, state, k)
    take_turn(data, state, k, r, x)


@lean_kernel
def anneal(data: Data, now: State, old: State, best: State, pool: Pool, scratch: Scratch, heat: float, rounds: int, most: int) -> int:
    """Rounds of ruin and recreate at that temperature, from and into `now`; the cost of `best`, which is renewed."""
    rng = scratch.rng
    copy(data, now, old)
    cost, least = cost_of(data, now), cost_of(data, best)
    for _ in range(rounds):
        before = now.head[1]
        if data.timed[0] and uniform(rng) < RESETTLE:
            for _ in range(1 + below(rng, int(np.int64(3)))):
                resettle(data, now, below(rng, now.head[0]))
        else:
            outs = _ruin(data, now, scratch, most)
            _line_up(data, scratch, outs)
            for x in range(outs):
                settle(data, now, scratch, scratch.out[x], BLINK)
            if data.timed[0]:
                for k in range(now.head[0]):
                    if now.version[k] > before and uniform(rng) < RESETTLE:
                        resettle(data, now, k)
        after = cost_of(data, now)
        if after < cost - heat * math.log(max(uniform(rng), 1e-12)):
            for k in range(now.head[0]):
                if now.version[k] > before:
                    note(data, now, pool, k)
            cost = cost_of(data, now)
            copy(data, now, old)
            if cost < least:
                least = cost
                copy(data, now, best)
        else:
            copy(data, old, now)
    return int(least)


@lean_kernel
def savings(data: Data, state: State, scratch: Scratch, value: I64) -> None:
    """Join the two batches whose joint tour saves most, as long as any do: C&W(ii), savings reckoned anew after each.

    state: every order alone; value: (K, K) scratch. Tours of pairs are put together member by member, then shortened."""
    rows = state.head[0]
    for a in range(rows):
        for b in range(a + 1, rows):
            value[a, b] = _saving(data, state, scratch, a, b)
    while True:
        best, at, to = np.int64(0), int(np.int64(-1)), int(np.int64(-1))
        for a in range(rows):
            for b in range(a + 1, rows):
                if value[a, b] > best:
                    best, at, to = value[a, b], a, b
        if at < 0:
            return
        while state.held[to] > 0:
            o = state.member[to, state.held[to] - 1]
            state.held[to] -= 1
            join_row(data, state, at, o)
        state.size[to] = 2
        for other in range(rows):
            a, b = min(at, other), max(at, other)
            if other != at and state.held[other] > 0 and other != to:
                value[a, b] = _saving(data, state, scratch, a, b)
            a, b = min(to, other), max(to, other)
            value[a, b] = 0


@lean_kernel
def _saving(data: Data, state: State, scratch: Scratch, a: int, b: int) -> int:
    """What one tour for rows a and b is shorter than two; 0 where they do not fit together."""
    for c in range(len(data.capacity)):
        if state.load[a, c] + state.load[b, c] > data.capacity[c]:
            return 0
    size = int(state.size[a])
    _write(scratch.tour, state.tour[a], size)
    for x in range(state.held[b]):
        size, _ = put_places(data, state.member[b, x], scratch.tour, size)
    shorten(data.dist, scratch.tour, size)
    return int(state.length[a] + state.length[b] - length_of(data.dist, scratch.tour, size))
