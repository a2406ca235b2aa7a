"""Tours of few places exactly, and what any tour must at least be.

`shortest_tour`: dynamic programming over subsets (Held & Karp 1962, J. SIAM 10). `tour_bound`: the least 1-tree under
multipliers (Held & Karp 1970, Operations Research 18), which no tour undercuts. `price_out`: batches that cost less than
duals say, by branch and bound (cf. Muter & Oncan 2015, IIE Transactions 47; Wahlen & Gschwind 2023, Transportation Science).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planning.jit import kernel, lean_kernel

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

EXACT_PLACES = 11  # beside the station: 2^11 x 11 sums
ASCENTS = 40  # of the multipliers


def shortest_tour(distance: I64, tour: I32) -> I32 | None:
    """The shortest tour through the places of `tour` (S,), which begins and ends with the station 0; None for more than
    EXACT_PLACES beside it."""
    if len(tour) > EXACT_PLACES + 2:
        return None
    if len(tour) < 5 and (distance == distance.T).all():
        return tour.copy()
    return best_tour(distance, np.ascontiguousarray(tour[1:-1], np.int32))


@kernel
def best_tour(dist: I64, places: I32) -> I32:
    """(n + 2,) shortest tour from 0 through `places` (n,) and back."""
    n = len(places)
    out = np.zeros(n + 2, np.int32)
    if n == 0:
        return out
    least, came = _subsets(dist, places)
    full = (1 << n) - 1
    best, last = np.int64(1 << 60), 0
    for j in range(n):
        total = least[full, j] + dist[places[j], 0]
        if total < best:
            best, last = total, j
    held = full
    for x in range(n, 0, -1):
        out[x] = places[last]
        before = came[held, last]
        held ^= 1 << last
        last = before
    return out


@kernel
def best_length(dist: I64, places: I32) -> int:
    n = len(places)
    if n == 0:
        return 0
    least, _ = _subsets(dist, places)
    best = np.int64(1 << 60)
    for j in range(n):
        best = min(best, least[(1 << n) - 1, j] + dist[places[j], 0])
    return int(best)


@kernel
def _subsets(dist: I64, places: I32) -> tuple[I64, I32]:
    """(2^n, n): the shortest way from 0 through the places of each subset to each of them, and which comes before it."""
    n = len(places)
    least = np.full((1 << n, n), 1 << 60, np.int64)
    came = np.zeros((1 << n, n), np.int32)
    for j in range(n):
        least[1 << j, j] = dist[0, places[j]]
    for held in range(1, 1 << n):
        for j in range(n):
            so_far = least[held, j]
            if so_far >= 1 << 60:
                continue
            for k in range(n):
                if held >> k & 1:
                    continue
                reached = so_far + dist[places[j], places[k]]
                if reached < least[held | 1 << k, k]:
                    least[held | 1 << k, k] = reached
                    came[held | 1 << k, k] = j
    return least, came


@kernel
def tour_bound(dist: I64, places: I32, count: int, target: float, step: int) -> int:
    """What any tour from 0 through the first `count` places and back is at least; stops where that reaches `target`.

    dist must be symmetric; `step`: all distances are multiples of it."""
    if count == 0:
        return 0
    if count == 1:
        return int(dist[0, places[0]] * 2)
    worth = np.zeros(count)  # multiplier of each place; the station needs none
    key, root, degree = np.empty(count), np.empty(count, np.int32), np.empty(count, np.int32)
    best, pace = 0.0, 0.0
    for round_ in range(ASCENTS):
        total = _one_tree(dist, places, count, worth, key, root, degree)
        best = max(best, total)
        wrong = 0
        for i in range(count):
            wrong += (degree[i] - 2) ** 2
        if wrong == 0 or best >= target:
            break
        if round_ == 0:
            pace = 0.1 * total / count
        for i in range(count):
            worth[i] += pace * (degree[i] - 2)
        pace *= 0.93
    return int(np.ceil((best - 1e-6) / step)) * step


@lean_kernel
def _one_tree(dist: I64, places: I32, count: int, worth: F64, key: F64, root: I32, degree: I32) -> float:
    """Length of the least 1-tree: a tree over the places, and the two cheapest ways to the station. Fills `degree`."""
    total, at = 0.0, 0
    for i in range(count):
        key[i], root[i], degree[i] = 1e300, -1, 0
        total -= 2.0 * worth[i]
    for x in range(count):  # Prim; joined places have a key below any
        if x > 0:
            at, least = -1, 1e300
            for i in range(count):
                if key[i] > -1e299 and key[i] < least:
                    at, least = i, key[i]
            total += least
            degree[at] += 1
            degree[root[at]] += 1
        key[at] = -1e300
        for i in range(count):
            if key[i] > -1e299:
                way = dist[places[at], places[i]] + worth[at] + worth[i]
                if way < key[i]:
                    key[i], root[i] = way, at
    first, second, one, two = 1e300, 1e300, -1, -1
    for i in range(count):
        way = dist[0, places[i]] + worth[i]
        if way < first:
            second, two = first, one
            first, one = way, i
        elif way < second:
            second, two = way, i
    degree[one] += 1
    degree[two] += 1
    return total + first + second


class Orders(NamedTuple):
    """What the bound asks of orders: n of them, R kinds of load."""

    dist: I64  # (P, P) symmetric, shortest ways
    first: I64  # (n + 1,) where each order's places begin in `places`
    places: I32
    load: I64  # (n, R)
    capacity: I64  # (R,)
    release: I64  # (n,)
    due: I64  # (n,)
    price: I64  # (n,)
    service: I64  # (n,)
    key: U64  # (n,)
    alone: I64  # (n,) what a batch with the order costs at least
    pace: F64  # (1,)
    fixed: I64  # (3,) setup, earliest start, step of all distances


class Known(NamedTuple):
    """Bounds of tours by the key of their batch."""

    key: U64  # (power of two,), 0 free
    bound: I64
    exact: I64  # 1 where it is the shortest tour
    used: I64  # (1,)


@lean_kernel
def _gather(orders: Orders, o: int, stops: I32, count: int) -> int:
    """Add the places of order o that are not among the first `count` stops."""
    for x in range(orders.first[o], orders.first[o + 1]):
        p, new = orders.places[x], True
        for y in range(count):
            if stops[y] == p:
                new = False
                break
        if new:
            stops[count] = p
            count += 1
    return count


@lean_kernel
def _late(orders: Orders, member: I32, count: int, length: int) -> int:
    """What lateness costs at least for a batch of these orders with a tour of that length."""
    begin, work = orders.fixed[1], orders.fixed[0]
    for x in range(count):
        begin = max(begin, orders.release[member[x]])
        work += orders.service[member[x]]
    end = begin + work + np.int64(np.ceil(orders.pace[0] * length - 1e-6))
    total = np.int64(0)
    for x in range(count):
        total += orders.price[member[x]] * max(0, end - orders.due[member[x]])
    return int(total)


@kernel
def tour_at_least(orders: Orders, known: Known, key: np.uint64, stops: I32, count: int, exact: bool) -> int:
    """A bound of the tour through these stops, kept by key; the shortest tour itself if asked for and quick to find."""
    mask = len(known.key) - 1
    at = np.int64(key & np.uint64(mask))
    while known.key[at] != 0 and known.key[at] != key:
        at = (at + 1) & mask
    if known.key[at] == key:
        if not exact or known.exact[at] or count > EXACT_PLACES:
            return int(known.bound[at])
        known.bound[at], known.exact[at] = best_length(orders.dist, stops[:count]), 1
        return int(known.bound[at])
    if exact and count <= EXACT_PLACES:
        bound = best_length(orders.dist, stops[:count])
    else:
        bound = tour_bound(orders.dist, stops, count, 1e300, orders.fixed[2])
    if known.used[0] < len(known.key) // 2:
        known.used[0] += 1
        known.key[at], known.bound[at], known.exact[at] = key, bound, 1 if exact and count <= EXACT_PLACES else 0
    return int(bound)


@kernel
def batch_at_least(orders: Orders, known: Known, member: I32, stops: I32) -> int:
    """What a batch of these orders costs at least. stops: scratch."""
    count, key = int(np.int64(0)), np.uint64(0)
    for o in member:
        count = _gather(orders, o, stops, count)
        key ^= orders.key[o]
    length = tour_at_least(orders, known, key, stops, count, bool(np.bool_(True)))
    return length + _late(orders, member, len(member), length)


@lean_kernel
def _more_worth(orders: Orders, worth: F64, dense: I32, rank: I32, room: I64, after: int) -> float:
    """The most that orders ranked behind `after` can add to a batch with that room: a fractional knapsack by each kind of
    load (dense (R, n): orders by worth for it), the least of them."""
    least = 1e300
    for r in range(len(room)):
        left, total = float(room[r]), 0.0
        for x in range(dense.shape[1]):
            o = dense[r, x]
            if rank[o] <= after or worth[o] <= 0.0 or orders.load[o, r] > room[r]:
                continue
            if orders.load[o, r] <= left:
                left -= orders.load[o, r]
                total += worth[o]
            else:
                total += worth[o] * left / orders.load[o, r]
                break
        least = min(least, total)
    return least


@kernel
def price_out(
    orders: Orders, known: Known, worth: F64, slack: float, line: I32, rank: I32, dense: I32, nodes: int, per_root: int,
    member: I32, count: I32, cost: I64,
) -> tuple[int, float, bool]:  # fmt: skip
    """Batches that cost less than their orders are worth and `slack`: (how many, theta, whether all were looked at).

    No batch costs less than theta times what its orders are worth, theta at most 1 (for slack 0). Orders are added in the order of `line`
    (rank: its inverse), depth first; a branch ends where its tour so far, which more orders never shorten, costs what all
    that can be added is worth. After `per_root` finds under a first order the next one has its turn; `nodes`: bounds reckoned
    at most. member (C, depth), count (C,), cost (C,): written."""
    n, depth_max = len(line), member.shape[1]
    stops = np.empty((depth_max + 1, len(orders.places) + 1), np.int32)
    stop_count, nxt = np.zeros(depth_max + 2, np.int64), np.zeros(depth_max + 2, np.int64)
    room = np.empty((depth_max + 2, len(orders.capacity)), np.int64)
    value, least, keys = np.zeros(depth_max + 2), np.zeros(depth_max + 2, np.int64), np.zeros(depth_max + 2, np.uint64)
    chosen = np.empty(depth_max + 1, np.int32)
    room[0] = orders.capacity
    found, theta, done, here, seen = 0, 1.0, True, 0, 0
    depth = 0
    while depth >= 0:
        if depth == 0:
            here = 0
        i = nxt[depth]
        if i >= n:
            depth -= 1
            continue
        if depth > 0 and (here >= per_root or found >= len(count) or seen >= nodes):  # give up what is left below this first order
            done = False
            for d in range(1, depth + 1):
                most = value[d] + _more_worth(orders, worth, dense, rank, room[d], nxt[d] - 1)
                if nxt[d] < n and most > 0.0:
                    theta = min(theta, least[d] / most)
            depth = 0
            continue
        nxt[depth] = i + 1
        o = line[i]
        fit = True
        for r in range(len(orders.capacity)):
            room[depth + 1, r] = room[depth, r] - orders.load[o, r]
            fit = fit and room[depth + 1, r] >= 0
        if not fit:
            continue
        here_worth = value[depth] + worth[o]
        more = _more_worth(orders, worth, dense, rank, room[depth + 1], i)
        quick = max(least[depth], orders.alone[o])
        if quick >= here_worth + more + slack:
            continue
        if depth == 0 and (found >= len(count) or seen >= nodes):
            done = False
            theta = min(theta, quick / max(here_worth + more, 1e-9))
            continue
        seen += 1
        stops[depth + 1] = stops[depth]
        size = _gather(orders, o, stops[depth + 1], stop_count[depth])
        key = keys[depth] ^ orders.key[o]
        chosen[depth] = o
        tour = tour_at_least(orders, known, key, stops[depth + 1], size, bool(np.bool_(False)))
        bound = max(quick, tour + _late(orders, chosen, depth + 1, tour))
        if bound < here_worth + slack - 1e-6:
            tour = tour_at_least(orders, known, key, stops[depth + 1], size, bool(np.bool_(True)))
            bound = max(bound, tour + _late(orders, chosen, depth + 1, tour))
        if bound < here_worth + slack - 1e-6:
            theta = min(theta, bound / max(here_worth, 1e-9))
            member[found, : depth + 1] = chosen[: depth + 1]
            count[found], cost[found] = depth + 1, bound
            found += 1
            here += 1
        if (more > 0.0 or slack > 0.0) and bound < here_worth + more + slack and depth + 1 < depth_max:
            depth += 1
            nxt[depth], value[depth], least[depth] = i + 1, here_worth, bound
            stop_count[depth], keys[depth] = size, key
    return found, theta, done
