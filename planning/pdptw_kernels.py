"""Kernels for pickup and delivery with time windows: insertion, ejection search, ruin and recreate.

Nodes: 0 the depot, 1 + r the pickup and 1 + n + r the delivery of request r of n. A route is a row of nodes that
begins and ends with 0. Everything is float64 in the units of the problem.

Sources: guided ejection search, Nagata & Kobayashi 2010 (PPSN XI); slack induction by string removals with blinks,
Christiaens & Vanden Berghe 2020 (Transportation Science 54); relatedness removal, Ropke & Pisinger 2006.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planning.jit import kernel

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
Bool = NDArray[np.bool_]

NONE = 1e300  # the cost of what cannot be done
BLINK = 0.03  # how often a row is looked at carelessly


class Data(NamedTuple):
    """What does not change. N = 2n + 1 nodes, n requests."""

    time: F64  # (N, N) travel time
    dist: F64  # (N, N) cost of travel
    load: F64  # (N,) change of load, 0 at the depot
    early: F64  # (N,) service begins no earlier
    late: F64  # (N,) nor later
    service: F64  # (N,)
    capacity: F64  # (1,)
    apart: Bool  # (n, n) requests that no route can hold together
    near: I32  # (n, n) requests by distance from each, itself first


class State(NamedTuple):
    """Routes with what insertion asks of them. K rows, L columns."""

    node: I32  # (K, L)
    begin: F64  # (K, L) earliest begin of service
    until: F64  # (K, L) latest begin of service that keeps the rest of the route in time
    carry: F64  # (K, L) load when leaving
    size: I32  # (K,) nodes with both depots; 2 is an empty route
    cost: F64  # (K,)
    version: I64  # (K,) never used twice for different content
    where: I32  # (n,) row of each request, -1 none
    open: I64  # (2,) rows in use; the last version given out


class Memo(NamedTuple):
    """Best insertions found earlier, good as long as the route's version is the same."""

    version: I64  # (n, K)
    cost: F64  # (n, K)
    after: I32  # (n, K, 2)
    rng: U64  # (1,) unused chance, for calls that need none


@kernel
def uniform(rng: U64) -> float:
    """xorshift64*: in [0, 1), from and into rng[0] (never 0)."""
    x = rng[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[0] = x
    return float((x * np.uint64(2685821657736338717)) >> np.uint64(11)) / 9007199254740992.0


@kernel
def below(rng: U64, count: int) -> int:
    return int(uniform(rng) * count)


@kernel
def timetable(data: Data, node: I32, size: int, begin: F64, until: F64, carry: F64) -> bool:
    """Fill begin, until and carry of one route; False if it breaks a window or the capacity."""
    good = True
    begin[0], carry[0] = data.early[0], 0.0
    for i in range(1, size):
        a, b = node[i - 1], node[i]
        begin[i] = max(data.early[b], begin[i - 1] + data.service[a] + data.time[a, b])
        carry[i] = carry[i - 1] + data.load[b]
        good = good and begin[i] <= data.late[b] and carry[i] <= data.capacity[0]
    until[size - 1] = data.late[0]
    for i in range(size - 2, -1, -1):
        a, b = node[i], node[i + 1]
        until[i] = min(data.late[a], until[i + 1] - data.time[a, b] - data.service[a])
    return good


@kernel
def length(data: Data, node: I32, size: int) -> float:
    total = 0.0
    for i in range(1, size):
        total += data.dist[node[i - 1], node[i]]
    return total


@kernel
def refresh(data: Data, state: State, k: int) -> None:
    timetable(data, state.node[k], state.size[k], state.begin[k], state.until[k], state.carry[k])
    state.cost[k] = length(data, state.node[k], state.size[k])
    state.open[1] += 1
    state.version[k] = state.open[1]


@kernel
def place(
    data: Data, node: I32, size: int, begin: F64, until: F64, carry: F64, r: int, blink: float, rng: U64
) -> tuple[float, int, int]:
    """Cheapest places for request r: (added distance, pickup after index i, delivery after index j of the route as
    it is); NONE if there is none. Quadratic, cut short where time or load has run out. blink: how often a place goes
    unseen, at each end of the haul."""
    n = len(data.apart)
    p, d = 1 + r, 1 + n + r
    time, dist, service, late, early = data.time, data.dist, data.service, data.late, data.early
    room = data.capacity[0] - data.load[p]
    best, best_i, best_j = NONE, -1, -1
    for i in range(size - 1):
        a = node[i]
        leave = begin[i] + service[a]
        if leave > late[p]:
            break
        if carry[i] > room or (blink > 0.0 and uniform(rng) < blink):
            continue
        b = node[i + 1]
        at_p = max(early[p], leave + time[a, p])
        if at_p > late[p]:
            continue
        detour = dist[a, p] - dist[a, b]
        at, last, running = at_p, p, dist[a, p]
        # The delivery at once, then after one more node of the route at a time.
        for j in range(i, size - 1):
            b = node[j + 1]
            leave = at + service[last]
            if leave > late[d]:
                break
            at_d = max(early[d], leave + time[last, d])
            seen = blink == 0.0 or uniform(rng) >= blink
            if seen and at_d <= late[d] and at_d + service[d] + time[d, b] <= until[j + 1]:
                if j == i:
                    added = detour + dist[p, d] + dist[d, b]
                else:
                    added = running + dist[last, d] + dist[d, b] - dist[last, b]
                if added < best:
                    best, best_i, best_j = added, i, j
            if j == size - 2:
                break
            at = max(early[b], leave + time[last, b])
            if at > until[j + 1] or carry[j + 1] > room:
                break
            if j == i:
                running = detour + dist[p, b]
            last = b
    return best, best_i, best_j


@kernel
def best_place(data: Data, state: State, memo: Memo, r: int, k: int) -> float:
    """Cost of the best places for r in row k, from the memo if the row has not changed."""
    if memo.version[r, k] != state.version[k]:
        cost, i, j = NONE, -1, -1
        fits = True
        for x in range(1, state.size[k] - 1):
            v = state.node[k, x] - 1
            if v < len(data.apart) and data.apart[r, v]:
                fits = False
                break
        if fits:
            cost, i, j = place(
                data, state.node[k], state.size[k], state.begin[k], state.until[k], state.carry[k], r, 0.0, memo.rng
            )
        memo.version[r, k], memo.cost[r, k] = state.version[k], cost
        memo.after[r, k, 0], memo.after[r, k, 1] = i, j
    return float(memo.cost[r, k])


@kernel
def insert(data: Data, state: State, r: int, k: int, i: int, j: int) -> None:
    """Put r into row k, its pickup after index i and its delivery after index j."""
    node, size = state.node[k], state.size[k]
    for x in range(size - 1, j, -1):
        node[x + 2] = node[x]
    node[j + 2] = 1 + len(data.apart) + r
    for x in range(j, i, -1):
        node[x + 1] = node[x]
    node[i + 1] = 1 + r
    state.size[k] = size + 2
    state.where[r] = k
    refresh(data, state, k)


@kernel
def sift(data: Data, state: State, k: int) -> None:
    """Take out of row k what `where` no longer places there."""
    n, kept = len(data.apart), 1
    node = state.node[k]
    for x in range(1, state.size[k]):
        v = node[x]
        if v == 0 or state.where[(v - 1) % n] == k:
            node[kept] = v
            kept += 1
    state.size[k] = kept
    refresh(data, state, k)


@kernel
def load_routes(data: Data, state: State, node: I32, size: I32) -> None:
    """Set the rows of `state` to the given ones."""
    state.where[:] = -1
    state.open[0] = len(size)
    n = len(data.apart)
    for k in range(len(size)):
        state.size[k] = size[k]
        for x in range(size[k]):
            v = node[k, x]
            state.node[k, x] = v
            if v > 0:
                state.where[(v - 1) % n] = k
        refresh(data, state, k)


@kernel
def drop_row(data: Data, state: State, k: int) -> None:
    """Close row k; the last row moves into its place. Its requests are in no route then."""
    last = state.open[0] - 1
    n = len(data.apart)
    for x in range(1, state.size[k] - 1):
        state.where[(state.node[k, x] - 1) % n] = -1
    if k != last:
        state.size[k] = state.size[last]
        for x in range(state.size[last]):
            v = state.node[last, x]
            state.node[k, x] = v
            if v > 0:
                state.where[(v - 1) % n] = k
        refresh(data, state, k)
    state.open[0] = last


@kernel
def construct(data: Data, state: State, memo: Memo, absent: I32) -> None:
    """Put each request of `absent`, in that order, where it adds least; into a new row where no row takes it."""
    for r in absent:
        best, row = NONE, -1
        for k in range(state.open[0]):
            cost = best_place(data, state, memo, r, k)
            if cost < best:
                best, row = cost, k
        if row < 0:
            row = state.open[0]
            state.open[0] += 1
            state.size[row] = 2
            state.node[row, 0], state.node[row, 1] = 0, 0
            refresh(data, state, row)
            insert(data, state, r, row, 0, 0)
        else:
            insert(data, state, r, row, memo.after[r, row, 0], memo.after[r, row, 1])


# Fewer routes: guided ejection search.


@kernel
def squeeze(
    data: Data, state: State, memo: Memo, pool: I32, pooled: I64, penalty: F64, rng: U64, steps: int, shakes: int
) -> int:
    """Bring the requests of the pool (a stack, pooled[0] of them) back into the open rows: into a row that takes
    them, or in exchange for one or two whose penalties are least. Steps left over: above 0 when all are in."""
    while pooled[0] > 0 and steps > 0:
        steps -= 1
        r = pool[pooled[0] - 1]
        row, ways = -1, 0
        for k in range(state.open[0]):
            if best_place(data, state, memo, r, k) < NONE:
                ways += 1
                if below(rng, ways) == 0:
                    row = k
        if row >= 0:
            pooled[0] -= 1
            insert(data, state, r, row, memo.after[r, row, 0], memo.after[r, row, 1])
            continue
        penalty[r] += 1.0
        _eject(data, state, pool, pooled, penalty, rng)
        _shake(data, state, rng, shakes)
    return max(steps, 1) if pooled[0] == 0 else 0


@kernel
def _eject(data: Data, state: State, pool: I32, pooled: I64, penalty: F64, rng: U64) -> None:
    """Insert the top of the pool in exchange for at most two requests of one row, of least sum of penalties."""
    n = len(data.apart)
    r = pool[pooled[0] - 1]
    wide = state.node.shape[1]
    node, members = np.empty(wide, np.int32), np.empty(n, np.int32)
    begin, until, carry = np.empty(wide), np.empty(wide), np.empty(wide)
    best, ties = NONE, 0
    row, out_a, out_b, best_i, best_j = -1, -1, -1, -1, -1
    for k in range(state.open[0]):
        count, foes = 0, 0
        for x in range(1, state.size[k] - 1):
            v = state.node[k, x] - 1
            if v < n:
                members[count] = v
                count += 1
                foes += data.apart[r, v]
        if foes > 2:
            continue
        for x in range(count):
            a = members[x]
            if penalty[a] > best:
                continue
            for y in range(x, count):
                b = members[y]
                total = penalty[a] + (penalty[b] if y > x else 0.0)
                if total > best:
                    continue
                if foes > 0 and foes != data.apart[r, a] + (y > x and data.apart[r, b]):
                    continue
                if total == best and below(rng, ties + 1) != 0:
                    ties += 1
                    continue
                size = 1
                node[0] = 0
                for z in range(1, state.size[k]):
                    v = state.node[k, z]
                    if v == 0 or ((v - 1) % n != a and (v - 1) % n != b):
                        node[size] = v
                        size += 1
                timetable(data, node, size, begin, until, carry)
                cost, i, j = place(data, node, size, begin, until, carry, r, 0.0, rng)
                if cost < NONE:
                    ties = 1 if total < best else ties + 1
                    best, row, out_a, out_b, best_i, best_j = total, k, a, b, i, j
    if row < 0:
        return
    pooled[0] -= 1
    state.where[out_a], state.where[out_b] = -1, -1
    sift(data, state, row)
    insert(data, state, r, row, best_i, best_j)
    pool[pooled[0]] = out_a
    pooled[0] += 1
    if out_b != out_a:
        pool[pooled[0]] = out_b
        pooled[0] += 1


@kernel
def _without(data: Data, state: State, k: int, r: int, node: I32, begin: F64, until: F64, carry: F64) -> int:
    """Row k without r, into the given arrays; its size."""
    n, size = len(data.apart), 0
    for x in range(state.size[k]):
        v = state.node[k, x]
        if v == 0 or (v - 1) % n != r:
            node[size] = v
            size += 1
    timetable(data, node, size, begin, until, carry)
    return size


@kernel
def _shake(data: Data, state: State, rng: U64, tries: int) -> None:
    """Random moves of one request to another row, or exchanges of two, that keep every rule."""
    n = len(data.apart)
    wide = state.node.shape[1]
    node, begin, until, carry = np.empty(wide, np.int32), np.empty(wide), np.empty(wide), np.empty(wide)
    for _ in range(tries):
        r = below(rng, n)
        k = state.where[r]
        if k < 0:
            continue
        s = data.near[r, below(rng, min(n, 40))] if uniform(rng) < 0.7 else below(rng, n)
        m = state.where[s]
        if m < 0 or m == k:
            continue
        if uniform(rng) < 0.5:
            cost, i, j = place(data, state.node[m], state.size[m], state.begin[m], state.until[m], state.carry[m], r, 0.0, rng)
            if cost < NONE:
                state.where[r] = -1
                sift(data, state, k)
                insert(data, state, r, m, i, j)
            continue
        size = _without(data, state, m, s, node, begin, until, carry)
        cost, i, j = place(data, node, size, begin, until, carry, r, 0.0, rng)
        if cost >= NONE:
            continue
        size = _without(data, state, k, r, node, begin, until, carry)
        cost, i2, j2 = place(data, node, size, begin, until, carry, s, 0.0, rng)
        if cost >= NONE:
            continue
        state.where[r], state.where[s] = -1, -1
        sift(data, state, k)
        sift(data, state, m)
        insert(data, state, r, m, i, j)
        insert(data, state, s, k, i2, j2)


# Shorter routes: ruin and recreate.


@kernel
def anneal(
    data: Data, state: State, old: State, best: State, memo: Memo, out: I32, outs: I64, fine: float, heat: float,
    rng: U64, rounds: int, remove: float,
) -> float:
    """Rounds of ruin and recreate at one temperature; the distance of `best`, which holds the shortest seen that
    leaves nothing out.

    out: the requests in no route, outs[0] of them; each costs `fine`. old: scratch of the same shape, for the rows a
    round touched."""
    n = len(data.apart)
    total, least = 0.0, 0.0
    for k in range(state.open[0]):
        total += state.cost[k]
    for k in range(best.open[0]):
        least += best.cost[k]
    if best.open[0] > state.open[0]:
        least = NONE
    absent, was, home, key = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n)
    touched = np.zeros(state.node.shape[0], np.bool_)
    for _ in range(rounds):
        count = _ruin(data, state, rng, remove, absent)
        _take_out(data, state, old, absent, count, was, home, touched)
        absent[count : count + outs[0]] = out[: outs[0]]
        lost = _recreate(data, state, old, memo, rng, absent, count + outs[0], outs[0] + 1, touched, key)
        gain = fine * (outs[0] - lost)
        for k in range(state.open[0]):
            if touched[k]:
                gain += old.cost[k] - state.cost[k]
        if lost <= outs[0] + 1 and -gain < -heat * np.log(max(uniform(rng), 1e-300)):
            total -= gain - fine * (outs[0] - lost)
            outs[0] = lost
            out[:lost] = absent[:lost]
            if lost == 0:
                for k in range(state.open[0] - 1, -1, -1):
                    if state.size[k] == 2:
                        drop_row(data, state, k)
                        least = NONE
                if total < least - 1e-7:
                    least = total
                    best.open[0] = state.open[0]
                    for k in range(state.open[0]):
                        _keep(state, best, k)
                    best.where[:] = state.where
        else:
            for k in range(state.open[0]):
                if touched[k]:
                    _keep(old, state, k)
            for x in range(count):
                state.where[was[x]] = home[x]
            for x in range(outs[0]):
                state.where[out[x]] = -1
    return least


@kernel
def _take_out(
    data: Data, state: State, old: State, absent: I32, count: int, was: I32, home: I32, touched: Bool
) -> None:
    """Take the first `count` of absent out of their rows; what the rows and places were goes to old, was and home."""
    touched[:] = False
    for x in range(count):
        was[x], home[x] = absent[x], state.where[absent[x]]
        if not touched[home[x]]:
            touched[home[x]] = True
            _keep(state, old, home[x])
        state.where[was[x]] = -1
    for k in range(state.open[0]):
        if touched[k]:
            sift(data, state, k)


@kernel
def _keep(source: State, target: State, k: int) -> None:
    size = source.size[k]
    target.size[k], target.cost[k], target.version[k] = size, source.cost[k], source.version[k]
    for x in range(size):
        target.node[k, x] = source.node[k, x]
        target.begin[k, x] = source.begin[k, x]
        target.until[k, x] = source.until[k, x]
        target.carry[k, x] = source.carry[k, x]


@kernel
def _ruin(data: Data, state: State, rng: U64, remove: float, absent: I32) -> int:
    """Choose requests to take out: strings of neighbouring routes, mostly; or near ones; or any. Their number."""
    n = len(data.apart)
    chosen = np.zeros(n, np.bool_)
    count, tries = 0, 0
    kind = uniform(rng)
    seed = below(rng, n)
    if kind < 0.15:
        goal = min(n, 1 + below(rng, int(2 * remove)))
        while count < goal and tries < 20 * goal:  # Ropke & Pisinger: the y-th power of a random number picks from the nearest
            tries += 1
            v = data.near[seed, int(uniform(rng) ** 4 * n)]
            if not chosen[v] and state.where[v] >= 0:
                chosen[v] = True
                absent[count] = v
                count += 1
                seed = absent[below(rng, count)]
        return count
    if kind < 0.2:
        goal = min(n, 1 + below(rng, int(1.5 * remove)))
        while count < goal and tries < 20 * goal:
            tries += 1
            v = below(rng, n)
            if not chosen[v] and state.where[v] >= 0:
                chosen[v] = True
                absent[count] = v
                count += 1
        return count
    mean = 2.0 * n / max(state.open[0], 1)  # nodes per route
    longest = min(10.0, mean)
    strings = 4.0 * remove / (1.0 + longest) - 1.0
    strings_wanted = int(uniform(rng) * max(strings, 1.0) + 1.0)
    ruined = np.zeros(state.node.shape[0], np.bool_)
    done = 0
    for x in range(n):
        v = data.near[seed, x]
        k = state.where[v]
        if k < 0 or ruined[k] or chosen[v]:
            continue
        ruined[k] = True
        done += 1
        inner = state.size[k] - 2
        span = 1 + int(uniform(rng) * min(longest, inner))
        want = 1 + v + (n if uniform(rng) < 0.5 else 0)
        at = 1
        while state.node[k, at] != want:
            at += 1
        first = max(1, at - span + 1)
        first += below(rng, min(at, inner - span + 1) - first + 1)
        skip_at, skip = -1, 0
        if uniform(rng) < 0.5 and span > 1 and inner > span:  # split string: some in the middle stay
            skip = 1
            while span + skip < inner and uniform(rng) > 0.1 and skip < 10:
                skip += 1
            first = max(1, min(first, inner - span - skip + 1))
            skip_at = first + 1 + below(rng, span - 1)
        for y in range(first, min(first + span + skip, inner + 1)):
            if skip_at <= y < skip_at + skip:
                continue
            w = (state.node[k, y] - 1) % n
            if not chosen[w]:
                chosen[w] = True
                absent[count] = w
                count += 1
        if done >= strings_wanted:
            break
    return count


@kernel
def _order(data: Data, rng: U64, absent: I32, count: int, key: F64) -> None:
    """Sort the absent by a rule drawn by chance: any, far first, near first, tight windows first, long hauls first."""
    n = len(data.apart)
    rule = below(rng, 8)
    for x in range(count):
        r = absent[x]
        p, d = 1 + r, 1 + n + r
        if rule < 4:
            key[x] = uniform(rng)
        elif rule == 4:
            key[x] = -data.dist[0, p] - data.dist[0, d]
        elif rule == 5:
            key[x] = data.dist[0, p] + data.dist[0, d]
        elif rule == 6:
            key[x] = data.late[p] - data.early[p] + data.late[d] - data.early[d]
        else:
            key[x] = -data.dist[p, d]
    for x in range(1, count):
        r, value = absent[x], key[x]
        y = x - 1
        while y >= 0 and key[y] > value:
            key[y + 1], absent[y + 1] = key[y], absent[y]
            y -= 1
        key[y + 1], absent[y + 1] = value, r


@kernel
def _recreate(
    data: Data, state: State, old: State, memo: Memo, rng: U64, absent: I32, count: int, most_lost: int,
    touched: Bool, key: F64,
) -> int:
    """Insert the absent, each where it adds least with rare blinks, or by greatest regret. How many found no place:
    they come first in absent. Gives up when they are more than most_lost."""
    regret = uniform(rng) < 0.1
    _order(data, rng, absent, count, key)
    left, lost = count, 0
    while left > lost:
        pick, row, most, at_i, at_j = -1, -1, -NONE, -1, -1
        for x in range(left - 1, lost - 1, -1):
            r = absent[x]
            first, second, k1, i1, j1 = NONE, NONE, -1, -1, -1
            for k in range(state.open[0]):
                if not regret and uniform(rng) < BLINK:
                    cost, i, j = place(
                        data, state.node[k], state.size[k], state.begin[k], state.until[k], state.carry[k], r, 0.3, rng
                    )
                else:
                    cost = best_place(data, state, memo, r, k)
                    i, j = memo.after[r, k, 0], memo.after[r, k, 1]
                if cost < first:
                    first, second, k1, i1, j1 = cost, first, k, i, j
                elif cost < second:
                    second = cost
            if k1 >= 0 and second - first > most:
                pick, row, most, at_i, at_j = x, k1, second - first, i1, j1
            if not regret:
                break
        if pick < 0:
            if regret:
                return left
            absent[left - 1], absent[lost] = absent[lost], absent[left - 1]
            lost += 1
            if lost > most_lost:
                return left
            continue
        r = absent[pick]
        for x in range(pick, left - 1):
            absent[x] = absent[x + 1]
        left -= 1
        if not touched[row]:
            touched[row] = True
            _keep(state, old, row)
        insert(data, state, r, row, at_i, at_j)
    return lost
