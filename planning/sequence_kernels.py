"""Kernels for sequencing: cheapest insertion, regret insertion, ruin and recreate with annealing.

Nodes are those of planning.routing: vehicle v is node v, haul j is picked at V + 2 j and dropped at V + 2 j + 1. A group
is inserted haul by haul, in order, each drop behind the one before. Costs are integers, those of RoutingProblem.cost,
and what it costs to move a group to another vehicle.

Sources: ruin and recreate, Schrimpf et al. 2000 (J. Comput. Phys. 159); string removals and blinks, Christiaens & Vanden
Berghe 2020 (Transportation Science 54); regret insertion and relatedness, Ropke & Pisinger 2006 (Transportation Science 40).

All kernels are in this one file, as planning.jit asks. Constants that go to other kernels are written int(np.int64(1)):
for a plain 1 numba compiles all that gets it once more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planning.jit import kernel, lean_kernel

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
Bool = NDArray[np.bool_]

FAR = 10_000_000  # of planning.routing, which kernels cannot follow into another file
NONE = 1 << 60  # the cost of what cannot be done
BLINK = 0.01  # how often a vehicle is overlooked, so that recreating does not always end the same
LONGEST_STRING = 6.0
ROUNDING = 3  # ds that two legs may be shorter than the one between their ends


class Data(NamedTuple):
    """What does not change. V vehicles, H hauls, G groups, N = V + 2 H nodes."""

    leg: I32  # (N, N) ds from column to row: of planning.routing the transpose, so that ways to one node lie together
    size: I64  # (N, R) change of what is carried, by its loads, or by loads, grams and millilitres
    slope: I64  # (N,) cost of a ds after `bound`
    bound: I64  # (N,)
    ready: I64  # (V,)
    room: I64  # (V, R)
    carried: I64  # (V, R)
    battery: I64  # (V,)
    flat: I64  # (1,) cost of a ds beyond it
    first: I64  # (G + 1,) where each group's hauls begin in `hauls`
    hauls: I64  # (H,)
    has_pick: Bool  # (H,)
    group: I64  # (N,) of each node, -1 of vehicles
    allowed: Bool  # (G, V)
    home: I64  # (G,) vehicle that a group may have without paying, -1 any
    moving: I64  # (1,) cost of moving it to another


class State(NamedTuple):
    """Routes, L nodes at most each, and the best places that were found for groups outside them."""

    node: I64  # (V, L)
    stops: I64  # (V,)
    cost: I64  # (V,) of each route, moved groups not counted
    where: I64  # (G,) vehicle of each group, -1 none
    version: I64  # (V,) never the same for different content
    last: I64  # (1,) the last version given out
    seen: I64  # (G, V) version of the route whose insertion cost is in `price`
    price: I64  # (G, V)
    exact: Bool  # (G, V) whether it is just that, or at least that


class Scratch(NamedTuple):
    """Row V of the first three: a route being tried."""

    at: I64  # (V + 1, 2 + R, L + 1) time, cost and what is carried before each node of a route
    steep: I64  # (V + 1, L + 1) slopes of all that is late already, from each node to the end
    known: I64  # (V + 1) version of the route that the rows of a vehicle are of
    line: I64  # (L,) the route being tried


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
def _walk(data: Data, vehicle: int, line: I64, start: int, count: int, at: int, now: int, cost: int, most: int) -> int:
    """Cost of a route to its end when it is at node `at` at `now` before line[start]; NONE as soon as it is `most`."""
    for k in range(start, count):
        to = line[k]
        leg = data.leg[to, at]
        if leg >= FAR:
            return NONE
        now += leg
        cost += leg + data.slope[to] * max(0, now - data.bound[to])
        at = to
        if cost >= most:
            return NONE
    return cost + data.flat[0] * max(0, now - data.battery[vehicle])


@lean_kernel
def _write(target: I64, source: I64, count: int) -> None:
    """A loop, as slices that may overlap are copied by way of a new array, which lean kernels cannot make."""
    for i in range(count):
        target[i] = source[i]


@lean_kernel
def route_cost(data: Data, vehicle: int, line: I64, count: int) -> int:
    zero = int(np.int64(0))
    return _walk(data, vehicle, line, zero, count, vehicle, data.ready[vehicle], zero, int(np.int64(NONE)))


@lean_kernel
def _survey(data: Data, vehicle: int, line: I64, count: int, s: Scratch, row: int) -> None:
    """Fill the row of `at` and `steep` for a route."""
    time, cost, load, steep = s.at[row, 0], s.at[row, 1], s.at[row, 2:], s.steep[row]
    at = vehicle
    time[0], cost[0] = data.ready[vehicle], 0
    for r in range(len(load)):
        load[r, 0] = data.carried[vehicle, r]
    for k in range(count):
        to = line[k]
        leg = data.leg[to, at]
        time[k + 1] = time[k] + leg
        cost[k + 1] = cost[k] + leg + data.slope[to] * max(0, time[k + 1] - data.bound[to])
        for r in range(len(load)):
            load[r, k + 1] = load[r, k] + data.size[to, r]
        at = to
    steep[count] = data.flat[0] if time[count] >= data.battery[vehicle] else 0
    for k in range(count - 1, -1, -1):
        to = line[k]
        steep[k] = steep[k + 1] + (data.slope[to] if time[k + 1] >= data.bound[to] else 0)


@lean_kernel
def _over(data: Data, vehicle: int, at: I64, k: int, more: int, node: int) -> bool:
    """Whether what is carried before index k, and what is picked at node `more` as well, leaves no room for picking at `node`;
    `more` may be the vehicle: nothing is picked there."""
    for r in range(data.size.shape[1]):
        if data.size[node, r] > 0 and at[2 + r, k] + data.size[more, r] > data.room[vehicle, r]:
            return True
    return False


@lean_kernel
def _try_drop(
    data: Data, vehicle: int, line: I64, count: int, at: I64, steep: I64, drop: int, k: int, here: int, now: int, cost: int, best: int
) -> int:
    """Cost of the route when it drops at `drop` before line[k], coming from `here`; NONE unless less than `best`."""
    leg = data.leg[drop, here]
    if leg >= FAR:
        return NONE
    now += leg
    cost += leg + data.slope[drop] * max(0, now - data.bound[drop])
    if k == count:
        cost += data.flat[0] * max(0, now - data.battery[vehicle])
        return cost if cost < best else NONE
    on = data.leg[line[k], drop]
    delay = now + on - at[0, k + 1]
    before = line[k - 1] if k > 0 else vehicle
    # What is late already is later by the delay: no route behind costs less.
    least = cost + on - data.leg[line[k], before] + at[1, count] - at[1, k] + delay * steep[k]
    if on >= FAR or (delay >= 0 and least >= best):
        return NONE
    cost = _walk(data, vehicle, line, k, count, drop, now, cost, best)
    return cost if cost < best else NONE


@lean_kernel
def _best_place(
    data: Data, vehicle: int, line: I64, count: int, at: I64, steep: I64, haul: int, low: int, most: int
) -> tuple[int, int, int]:
    """(cost of the route with the haul in it, pick before index i, drop before index k of the route as it is); the drop not
    before index `low`. NONE if there is no place that costs less than `most`."""
    pick = len(data.ready) + 2 * haul
    drop = pick + 1
    best, best_i, best_k = most, -1, -1
    if not data.has_pick[haul]:
        for k in range(low, count + 1):
            here = line[k - 1] if k > 0 else vehicle
            cost = _try_drop(data, vehicle, line, count, at, steep, drop, k, here, at[0, k], at[1, k], best)
            if cost < best:
                best, best_i, best_k = cost, k, k
            if k < count and _over(data, vehicle, at, k + 1, vehicle, line[k]):
                break  # what is picked there has room only once this is off
        return (best, best_i, best_k) if best_i >= 0 else (NONE, -1, -1)
    direct = data.leg[drop, pick]
    for i in range(count + 1):
        here = line[i - 1] if i > 0 else vehicle
        leg = data.leg[pick, here]
        if at[1, i] >= best:
            break  # what comes before costs that much already
        if leg >= FAR or _over(data, vehicle, at, i, pick, pick):
            continue
        now = at[0, i] + leg
        cost = at[1, i] + leg + data.slope[pick] * max(0, now - data.bound[pick])
        # Nobody comes sooner by a detour, but for what rounding takes off: the rest costs no less than without.
        least = at[1, count] + cost - at[1, i] - leg + data.slope[drop] * max(0, now + direct - data.bound[drop])
        if least + (leg + direct) * (i == count) - ROUNDING * (steep[i] + 1) >= best:
            continue
        here = pick
        for k in range(i, count + 1):
            if k >= low:
                found = _try_drop(data, vehicle, line, count, at, steep, drop, k, here, now, cost, best)
                if found < best:
                    best, best_i, best_k = found, i, k
            if k == count:
                break
            to = line[k]
            leg = data.leg[to, here]
            if leg >= FAR or _over(data, vehicle, at, k + 1, pick, to):
                break
            now += leg
            cost += leg + data.slope[to] * max(0, now - data.bound[to])
            here = to
            if cost >= best:
                break
    return (best, best_i, best_k) if best_i >= 0 else (NONE, -1, -1)


@lean_kernel
def _put(line: I64, count: int, i: int, k: int, pick: int, drop: int) -> int:
    """Write a haul into a route, places as of _best_place; its new length. pick -1: it has none."""
    extra = 2 if pick >= 0 else 1
    for m in range(count - 1, k - 1, -1):
        line[m + extra] = line[m]
    line[k + extra - 1] = drop
    if pick >= 0:
        for m in range(k - 1, i - 1, -1):
            line[m + 1] = line[m]
        line[i] = pick
    return count + extra


@lean_kernel
def insert(data: Data, state: State, s: Scratch, g: int, v: int, most: int) -> tuple[int, int]:
    """Put group g into the route of v as cheaply as haul by haul can be: (cost of the route, its length), the route in
    s.line. Nothing else is changed. NONE if that is not less than `most`."""
    line, count, low, cost, row = s.line, state.stops[v], 0, 0, v
    hauls = data.first[g + 1] - data.first[g]
    if count + 2 * hauls > len(line):
        return NONE, 0
    if s.known[v] != state.version[v]:
        _survey(data, v, state.node[v], count, s, v)
        s.known[v] = state.version[v]
    _write(line, state.node[v], count)
    for h in range(hauls):
        haul = data.hauls[data.first[g] + h]
        if h > 0:
            row = len(data.ready)
            _survey(data, v, line, count, s, row)
        cost, i, k = _best_place(data, v, line, count, s.at[row], s.steep[row], haul, low, most)
        if i < 0:
            return NONE, 0
        pick = len(data.ready) + 2 * haul
        has_pick = data.has_pick[haul]
        count = _put(line, count, i, k, pick if has_pick else int(np.int64(-1)), pick + 1)
        low = k + (2 if has_pick else 1)  # behind this drop
    return cost, count


@lean_kernel
def price(data: Data, state: State, s: Scratch, g: int, v: int, most: int) -> int:
    """What it costs to have group g in the route of v, kept from the last time unless the route has changed since; where that
    is not less than `most`, any number that is neither and no more than it costs."""
    if not data.allowed[g, v]:
        return NONE
    if state.seen[g, v] == state.version[v] and (state.exact[g, v] or state.price[g, v] >= most):
        return int(state.price[g, v])
    moved = data.moving[0] if data.home[g] >= 0 and data.home[g] != v else 0
    limit = most if most >= NONE else most + state.cost[v] - moved
    cost, _ = insert(data, state, s, g, v, limit)
    exact = cost < NONE or most >= NONE
    if cost < NONE:
        cost += moved - state.cost[v]
    elif not exact:
        cost = most
    state.seen[g, v], state.price[g, v], state.exact[g, v] = state.version[v], cost, exact
    return int(cost)


@lean_kernel
def _renew(data: Data, state: State, v: int) -> None:
    state.cost[v] = route_cost(data, v, state.node[v], state.stops[v])
    state.last[0] += 1
    state.version[v] = state.last[0]


@lean_kernel
def join(data: Data, state: State, s: Scratch, g: int, v: int) -> bool:
    """Insert group g into the route of v; False if there is no place."""
    cost, count = insert(data, state, s, g, v, int(np.int64(NONE)))
    if cost >= NONE:
        return False
    _write(state.node[v], s.line, count)
    state.stops[v] = count
    state.where[g] = v
    _renew(data, state, v)
    return True


@lean_kernel
def leave(data: Data, state: State, g: int) -> None:
    """Take group g out of its route."""
    v = state.where[g]
    kept = 0
    for k in range(state.stops[v]):
        if data.group[state.node[v, k]] != g:
            state.node[v, kept] = state.node[v, k]
            kept += 1
    state.stops[v] = kept
    state.where[g] = -1
    _renew(data, state, v)


@lean_kernel
def load_routes(data: Data, state: State) -> None:
    """After `node`, `count` and `where` were written: everything else."""
    for v in range(len(state.stops)):
        _renew(data, state, v)


@lean_kernel
def _cheapest(data: Data, state: State, s: Scratch, g: int, rng: U64, blink: float, runner_up: int) -> tuple[int, int, int]:
    """(cost, vehicle, cost of the second best vehicle if `runner_up`) of inserting group g."""
    best, second, chosen = int(np.int64(NONE)), int(np.int64(NONE)), -1
    for v in range(len(state.stops)):
        if blink > 0 and uniform(rng) < blink:
            continue
        cost = price(data, state, s, g, v, second if runner_up > 0 else best)
        if cost < best:
            best, second, chosen = cost, best, v
        elif cost < second:
            second = cost
    return best, chosen, second


@kernel
def regret_insert(data: Data, state: State, s: Scratch, out: I64, outs: int, rng: U64) -> int:
    """Insert the groups out[:outs], each time the one that would lose most if it had to take its second best vehicle, those
    with one vehicle alone first. How many found no place: they are at the front of `out`."""
    best = np.empty(outs, np.int64)
    chosen = np.empty(outs, np.int64)
    regret = np.empty(outs, np.int64)
    for x in range(outs):
        best[x], chosen[x], second = _cheapest(data, state, s, out[x], rng, 0.0, outs - 1)
        regret[x] = second - best[x]
    left = outs
    while left > 0:
        pick = -1
        for x in range(left):
            if chosen[x] < 0:
                continue
            if pick < 0 or regret[x] > regret[pick] or (regret[x] == regret[pick] and best[x] < best[pick]):
                pick = x
        if pick < 0:
            return left
        g, v = out[pick], chosen[pick]
        join(data, state, s, g, v)
        left -= 1
        out[pick], best[pick], chosen[pick], regret[pick] = out[left], best[left], chosen[left], regret[left]
        for x in range(left):
            if data.allowed[out[x], v]:
                best[x], chosen[x], second = _cheapest(data, state, s, out[x], rng, 0.0, outs - 1)
                regret[x] = second - best[x]
    return left


@kernel
def nearest_groups(data: Data, near: I64) -> None:
    """near (G, K): the groups whose last stops are next to each group's, nearest first, itself first; -1 pads."""
    groups, most = near.shape
    vehicles = len(data.ready)
    far = np.empty(most, np.int64)
    for g in range(groups):
        a = vehicles + 2 * data.hauls[data.first[g]]
        a_pick = a if data.has_pick[data.hauls[data.first[g]]] else a + 1
        near[g, 0] = g
        count = 1
        far[0] = -1
        for other in range(groups):
            if other == g:
                continue
            b = vehicles + 2 * data.hauls[data.first[other]]
            b_pick = b if data.has_pick[data.hauls[data.first[other]]] else b + 1
            apart = min(
                min(data.leg[b_pick, a_pick], data.leg[b + 1, a + 1]), min(data.leg[b_pick, a + 1], data.leg[b + 1, a_pick])
            )
            if count == most and apart >= far[most - 1]:
                continue
            at = min(count, most - 1)
            while at > 1 and far[at - 1] > apart:
                far[at], near[g, at] = far[at - 1], near[g, at - 1]
                at -= 1
            far[at], near[g, at] = apart, other
            count = min(count + 1, most)
        near[g, count:] = -1


@lean_kernel
def _remember(state: State, v: int, kept: I64, touched: I64, backup: I64, held: I64) -> None:
    """Note the route of v as it is, once a round."""
    if touched[v + 1] == 0:
        touched[0] += 1
        touched[v + 1] = touched[0]
        kept[touched[0] - 1] = v
        held[v, 0], held[v, 1], held[v, 2] = state.stops[v], state.cost[v], state.version[v]
        _write(backup[v], state.node[v], state.stops[v])


@lean_kernel
def _take(data: Data, state: State, g: int, out: I64, outs: int, kept: I64, touched: I64, backup: I64, held: I64) -> int:
    """Take g out; the new number of groups that are out."""
    v = state.where[g]
    _remember(state, v, kept, touched, backup, held)
    leave(data, state, g)
    out[outs] = g
    return outs + 1


@lean_kernel
def _ruin(data: Data, state: State, near: I64, out: I64, most: int, rng: U64, kept: I64, touched: I64, backup: I64, held: I64) -> int:
    """Take up to `most` groups out: strings of routes near a group, or single groups near it, or some by lot."""
    groups = len(state.where)
    way = uniform(rng)
    seed = below(rng, groups)
    outs = 0
    if way < 0.15:
        for _ in range(most):
            g = below(rng, groups)
            if state.where[g] >= 0:
                outs = _take(data, state, g, out, outs, kept, touched, backup, held)
        return outs
    for k in range(near.shape[1]):
        g = near[seed, k]
        if g < 0 or outs >= most:
            break
        if state.where[g] < 0 or uniform(rng) < 0.2:
            continue
        if way < 0.5:
            outs = _take(data, state, g, out, outs, kept, touched, backup, held)
            continue
        v = state.where[g]
        if touched[v + 1] > 0:
            continue
        length = 1 + below(rng, int(min(LONGEST_STRING, float(most - outs))))
        begin = 0
        for x in range(state.stops[v]):
            if data.group[state.node[v, x]] == g:
                begin = x
                break
        begin = max(0, begin - below(rng, 2 * length))
        while length > 0 and outs < most and begin < state.stops[v]:
            outs = _take(data, state, data.group[state.node[v, begin]], out, outs, kept, touched, backup, held)
            length -= 1
    return outs


@kernel
def _recreate(data: Data, state: State, s: Scratch, out: I64, outs: int, rng: U64, kept: I64, touched: I64, backup: I64, held: I64) -> bool:
    """Insert out[:outs], the order by lot: as they are, dearest first, or by regret. False if one finds no place."""
    key = np.empty(outs, np.int64)
    way = uniform(rng)
    for x in range(outs):
        drop = len(data.ready) + 2 * data.hauls[data.first[out[x] + 1] - 1] + 1
        if way < 0.3:
            key[x] = below(rng, int(np.int64(1 << 30)))
        elif way < 0.6:
            key[x] = -data.slope[drop] * (1 << 20) + below(rng, int(np.int64(1 << 10)))
        else:
            key[x] = data.bound[drop] if data.bound[drop] > 0 else below(rng, int(np.int64(1 << 14)))
    order = np.argsort(key, kind="mergesort")
    for x in range(outs):
        g = out[order[x]]
        _, v, _ = _cheapest(data, state, s, g, rng, BLINK, int(np.int64(0)))
        if v < 0:
            _, v, _ = _cheapest(data, state, s, g, rng, 0.0, int(np.int64(0)))
        if v < 0:
            return False
        _remember(state, v, kept, touched, backup, held)
        if not join(data, state, s, g, v):
            return False
    return True


@lean_kernel
def total(data: Data, state: State) -> int:
    """Cost of all routes with what moved groups cost."""
    out = 0
    for v in range(len(state.cost)):
        out += state.cost[v]
    for g in range(len(state.where)):
        if data.home[g] >= 0 and state.where[g] >= 0 and state.where[g] != data.home[g]:
            out += data.moving[0]
    return out


@lean_kernel
def _undo(data: Data, state: State, kept: I64, touched: I64, backup: I64, held: I64) -> None:
    for x in range(touched[0]):
        v = kept[x]
        for k in range(state.stops[v]):
            state.where[data.group[state.node[v, k]]] = -1
    for x in range(touched[0]):
        v = kept[x]
        state.stops[v], state.cost[v], state.version[v] = held[v, 0], held[v, 1], held[v, 2]
        _write(state.node[v], backup[v], state.stops[v])
        for k in range(state.stops[v]):
            state.where[data.group[state.node[v, k]]] = v


@kernel
def anneal(data: Data, state: State, s: Scratch, near: I64, best: I64, best_count: I64, price_best: int, hot: float, cold: float, rounds: int, most: int, rng: U64) -> int:
    """Rounds of ruin and recreate from temperature `hot` to `cold`. The best routes go into `best` (V, L) and `best_count`
    where they cost less than `price_best`; returns what they cost."""
    vehicles = len(state.stops)
    groups = len(state.where)
    out, kept = np.empty(groups, np.int64), np.empty(vehicles, np.int64)
    touched = np.zeros(vehicles + 1, np.int64)
    backup, held = np.empty_like(state.node), np.empty((vehicles, 3), np.int64)
    now = total(data, state)
    for r in range(rounds):
        heat = hot * (cold / hot) ** (r / rounds)
        outs = _ruin(data, state, near, out, 1 + below(rng, min(most, groups)), rng, kept, touched, backup, held)
        good = _recreate(data, state, s, out, outs, rng, kept, touched, backup, held)
        then = total(data, state) if good else NONE
        if good and then < now - heat * np.log(max(1e-12, uniform(rng))):
            now = then
            if now < price_best:
                price_best = now
                for v in range(vehicles):
                    best_count[v] = state.stops[v]
                    _write(best[v], state.node[v], state.stops[v])
        else:
            _undo(data, state, kept, touched, backup, held)
        for x in range(touched[0]):
            touched[kept[x] + 1] = 0
        touched[0] = 0
    return price_best
