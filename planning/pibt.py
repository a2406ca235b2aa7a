"""PIBT, one step for all agents: priority inheritance with backtracking (Okumura et al., AIJ 310, 2022) and
the swap step for one-wide aisles (Okumura, "Improving LaCAM for scalable eventually optimal MAPF", 2023).

Array names used throughout, for A agents on C cells:
  nbr (K * C, 4)       cells that each may be left to, packed, -1 padded (planning.distance, planning.lane_graph), on K
                       floors: those that robots of K classes may drive on, one after the other (planning.rights)
  own (A,)             the first row of each agent's floor in nbr and depth, a multiple of C
  pool (K, C), slots (A,)  distance tables; agent i uses pool[slots[i]], slot -1 means it has no goal
  depth (K * C,)       how deep a cell lies in a dead end: an agent without a goal, when pushed, goes where
                       this is least
  straight (A,)        the cell straight ahead of each agent, -1 = none or it does not matter: robots that turn
                       in place lose time at every corner
  fixed (A,), blocked (C,) agents that do not move; cells that nobody may enter (leaving is allowed)
  now, nxt (A,)        current and next cells; nxt -1 = undecided
  occ_now, occ_nxt (C,)    which agent is, or will be, in a cell; -1 = nobody; all -1 between steps
  work (A, 8), stack (A,)  scratch: candidates 0-4, their number, cursor, the agent to pull in a swap
  keys (A, 5)          how good each agent's own cell (0) and its neighbours (1-4, as in nbr) are, least first; see `_key`
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from planning.distance import I32, Bool
from planning.jit import kernel, lean_kernel

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
PRIORITY_BITS = 20
COUNT, CURSOR, SWAP = 5, 6, 7
FAR, TAKEN, TURN, LOT = 11, 10, 9, 3  # where in a key these begin, from the lowest bit; below is the number of the cell
NO_CELL = 1 << 62  # as a key: behind all others
DIGIT = 11  # bits that are sorted by at once
FRESH, MOVED, STUCK = 0, 1, 2


@lean_kernel
def random_bits(rng: U64) -> Any:
    """xorshift64* (Vigna 2016) on the one-element state `rng`: 31 random bits."""
    x = rng[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[0] = x
    return np.int64((x * np.uint64(2685821657736338717)) >> np.uint64(33))


def seed_state(seed: int) -> U64:
    """Random state for `random_bits` from any integer."""
    mixed: U64 = np.random.SeedSequence(seed & (2**63 - 1)).generate_state(1, np.uint64).astype(np.uint64)
    return mixed | np.uint64(1)


@lean_kernel
def _ways_on(nbr: I32, own: I32, pool: I32, slots: I32, fixed: Bool, blocked: Bool, occ_now: I32, who: int, came: int, at: int) -> tuple[int, int]:
    """(number of ways for `who` to go on from `at`, coming from `came`, 2 standing for more; one of them). A cell that is
    blocked, or a dead end whose agent is at home there, is no way on."""
    ways, onward = 0, -1
    row = own[who] + at
    for k in range(4):
        cell = nbr[row, k]
        if cell < 0 or ways == 2:
            break
        if cell == came or blocked[cell]:
            continue
        agent = occ_now[cell]
        if agent >= 0:
            at_home = nbr[own[agent] + cell, 1] < 0 and slots[agent] >= 0 and pool[slots[agent], cell] == 0
            if fixed[agent] or at_home:
                continue
        ways += 1
        onward = cell
    return ways, onward


@lean_kernel
def _ways_for_two(nbr: I32, own: I32, pool: I32, slots: I32, fixed: Bool, blocked: Bool, occ_now: I32, leader: int, follower: int, came: int, at: int) -> tuple[int, int]:
    """As `_ways_on` for `leader` with `follower` behind it; 2 also where the one way of each is not the same."""
    ways, onward = _ways_on(nbr, own, pool, slots, fixed, blocked, occ_now, leader, came, at)
    if ways == 1 and own[leader] != own[follower]:
        behind, other = _ways_on(nbr, own, pool, slots, fixed, blocked, occ_now, follower, came, at)
        if behind == 2 or (behind == 1 and other != onward):
            ways = 2
    return ways, onward


@lean_kernel
def _swap_required(nbr: I32, own: I32, pool: I32, slots: I32, fixed: Bool, blocked: Bool, occ_now: I32, pusher: int, puller: int, at: int, ahead: int) -> bool:
    """Would `pusher` at `at`, shoving `puller` at `ahead` before it, never find room to get past?"""
    row = slots[pusher]
    if row < 0:
        return False
    dead_end = False
    while pool[row, ahead] < pool[row, at]:
        ways, onward = _ways_for_two(nbr, own, pool, slots, fixed, blocked, occ_now, puller, pusher, at, ahead)
        if ways >= 2:
            return False
        if ways == 0:
            dead_end = True
            break
        at, ahead = ahead, onward
    other = slots[puller]
    if other < 0:
        return dead_end
    return pool[other, at] < pool[other, ahead] and (pool[row, at] == 0 or pool[row, ahead] < pool[row, at])


@lean_kernel
def _swap_possible(nbr: I32, own: I32, pool: I32, slots: I32, fixed: Bool, blocked: Bool, occ_now: I32, i: int, j: int, behind: int, at: int) -> bool:
    """Does a retreat of i from `at`, away from `behind`, with j after it, lead to a junction where the two can pass?"""
    start = behind
    while at != start:
        ways, onward = _ways_for_two(nbr, own, pool, slots, fixed, blocked, occ_now, i, j, behind, at)
        if own[i] != own[j] and _ways_on(nbr, own, pool, slots, fixed, blocked, occ_now, j, behind, at)[0] == 0:
            return False
        if ways >= 2:
            return True
        if ways == 0:
            return False
        behind, at = at, onward
    return False


@lean_kernel
def _leads(nbr: I32, row: int, to: int) -> bool:
    """May the cell of this row be left to `to`? Not against a one-way lane, nor where its agent may not enter."""
    return bool(nbr[row, 0] == to or nbr[row, 1] == to or nbr[row, 2] == to or nbr[row, 3] == to)


@lean_kernel
def _swap_partner(nbr: I32, own: I32, pool: I32, slots: I32, fixed: Bool, blocked: Bool, now: I32, nxt: I32, occ_now: I32, i: int, first: int) -> int:
    """The agent that i must change places with before going on to `first`, its best cell, or -1. It will be drawn into
    the cell of i, so that it must be allowed to come there; along a one-way lane nobody comes the other way."""
    here = now[i]
    row = own[i] + here
    met = False
    for k in range(4):
        met |= nbr[row, k] >= 0 and occ_now[nbr[row, k]] >= 0
    if not met:
        return -1
    # Where two ways lead on from `first` nobody needs to swap with i or past it: who comes nearer by going there finds
    # room, and as nothing is nearer to i's goal than `first`, i gives way to nobody. Most of the floor is like that. Where
    # robots have floors of their own, both ways may be shut to who is there.
    ways, _ = _ways_on(nbr, own, pool, slots, fixed, blocked, occ_now, i, here, first)
    if ways >= 2 and pool[slots[i], here] > 0 and len(nbr) == len(occ_now):
        return -1
    j = occ_now[first]
    if j >= 0 and nxt[j] < 0 and _leads(nbr, own[j] + first, here):
        if _swap_required(nbr, own, pool, slots, fixed, blocked, occ_now, i, j, here, first) and _swap_possible(
            nbr, own, pool, slots, fixed, blocked, occ_now, i, j, first, here
        ):
            return j
    for k in range(4):  # i clears the way for a neighbour that has to pass it
        cell = nbr[row, k]
        if cell < 0:
            break
        j = occ_now[cell]
        if j < 0 or cell == first or not _leads(nbr, own[j] + cell, here):
            continue
        if _swap_required(nbr, own, pool, slots, fixed, blocked, occ_now, j, i, here, first) and _swap_possible(
            nbr, own, pool, slots, fixed, blocked, occ_now, i, j, first, here
        ):
            return j
    return -1


@lean_kernel
def _key(far: int, taken: bool, turn: bool, number: int) -> int:
    """Of two cells the better has the smaller key: nearest to the goal, then unoccupied, then straight on, then by lot
    (bits that `_prepare` adds), then as listed."""
    return int((np.int64(far) << FAR) | (np.int64(taken) << TAKEN) | (np.int64(turn) << TURN) | np.int64(number))


@lean_kernel
def _survey(nbr: I32, own: I32, pool: I32, slots: I32, straight: I32, blocked: Bool, now: I32, occ_now: I32, keys: I64) -> None:
    """The keys of all agents. Reading thousands of tables is mostly waiting for memory; without branches, and before
    anyone decides, many of these reads are under way at once."""
    for i in range(len(now)):
        here = now[i]
        at = own[i] + here
        row = max(slots[i], 0)
        idle = slots[i] < 0
        keys[i, 0] = _key(0 if idle else pool[row, here], False, False, 0)
        for k in range(4):
            cell = nbr[at, k]
            inside = cell if cell >= 0 else here
            far = 1 if idle else pool[row, inside]
            key = _key(far, occ_now[inside] >= 0, inside != straight[i], k + 1)
            keys[i, k + 1] = NO_CELL if cell < 0 or blocked[inside] else key


@lean_kernel
def _off_the_way(nbr: I32, own: I32, depth: I32, now: I32, keys: I64, i: int) -> None:
    """Have i, which has no goal and is pushed, prefer what lies less deep in a dead end."""
    below = (np.int64(1) << FAR) - 1
    row = own[i] + now[i]
    keys[i, 0] = (np.int64(depth[row]) << FAR) | (keys[i, 0] & below)
    for k in range(4):
        if keys[i, k + 1] != NO_CELL:
            keys[i, k + 1] = (np.int64(depth[own[i] + nbr[row, k]]) << FAR) | (keys[i, k + 1] & below)


@lean_kernel
def _lots(keys: I64, bits: int, i: int) -> None:
    """Six random bits for each cell that i may go to."""
    for k in range(5):
        there = keys[i, k] != NO_CELL
        keys[i, k] |= (bits & 63) << LOT if there else 0
        bits = bits >> 6 if there else bits


@lean_kernel
def _sorted(a: int, b: int, c: int, d: int, e: int) -> tuple[int, int, int, int, int]:
    """By nine comparisons without a branch: which way they go is chance, so that guesses would fail."""
    a, b = min(a, b), max(a, b)
    d, e = min(d, e), max(d, e)
    c, e = min(c, e), max(c, e)
    c, d = min(c, d), max(c, d)
    a, d = min(a, d), max(a, d)
    a, c = min(a, c), max(a, c)
    b, e = min(b, e), max(b, e)
    b, d = min(b, d), max(b, d)
    b, c = min(b, c), max(b, c)
    return a, b, c, d, e


@lean_kernel
def _prepare(nbr: I32, own: I32, pool: I32, slots: I32, depth: I32, fixed: Bool, blocked: Bool, now: I32, nxt: I32, occ_now: I32, work: I32, keys: I64, rng: U64, i: int, pushed: bool, swap: bool) -> None:
    """List i's candidates, best first."""
    here = now[i]
    if pushed and slots[i] < 0:
        _off_the_way(nbr, own, depth, now, keys, i)
    _lots(keys, random_bits(rng), i)
    best = _sorted(keys[i, 0], keys[i, 1], keys[i, 2], keys[i, 3], keys[i, 4])
    count = 0
    for key in best:
        number = key & 7
        work[i, count] = here if number == 0 else nbr[own[i] + here, number - 1]
        count += key != NO_CELL
    work[i, COUNT] = count
    work[i, CURSOR] = 0
    work[i, SWAP] = -1
    if swap and slots[i] >= 0 and work[i, 0] != here:
        work[i, SWAP] = _swap_partner(nbr, own, pool, slots, fixed, blocked, now, nxt, occ_now, i, work[i, 0])
    if work[i, SWAP] >= 0:
        for k in range(count // 2):
            work[i, k], work[i, count - 1 - k] = work[i, count - 1 - k], work[i, k]


@lean_kernel
def _closes_cycle(now: I32, nxt: I32, occ_now: I32, i: int, target: int) -> bool:
    """If i moved to `target`, would it and those ahead of it all wait for one another to leave?"""
    j = occ_now[target]
    while j >= 0 and nxt[j] >= 0 and nxt[j] != now[j]:
        if j == i:
            return True
        j = occ_now[nxt[j]]
    return j == i


@lean_kernel
def _claim(work: I32, now: I32, nxt: I32, occ_now: I32, occ_nxt: I32, rotate: bool, i: int) -> int:
    """Reserve i's next candidate that is still to be had. Returns the agent to push out of it, -1 if there
    is none, -2 if no candidate is left."""
    while work[i, CURSOR] < work[i, COUNT]:
        cell = work[i, work[i, CURSOR]]
        j = occ_now[cell]
        free = occ_nxt[cell] < 0
        if free and j >= 0 and j != i:
            free = nxt[j] != now[i] and (rotate or not _closes_cycle(now, nxt, occ_now, i, cell))
        if free:
            occ_nxt[cell] = i
            nxt[i] = cell
            return j if j >= 0 and j != i and nxt[j] < 0 else -1
        work[i, CURSOR] += 1
    return -2


@lean_kernel
def _pull(blocked: Bool, work: I32, now: I32, nxt: I32, occ_now: I32, occ_nxt: I32, rotate: bool, i: int) -> None:
    """After i moved away as the first half of a swap, draw its partner into the cell it leaves."""
    j = work[i, SWAP]
    if work[i, CURSOR] > 0 or j < 0 or nxt[j] >= 0 or occ_nxt[now[i]] >= 0 or blocked[now[i]]:
        return
    if rotate or not _closes_cycle(now, nxt, occ_now, j, now[i]):
        nxt[j] = now[i]
        occ_nxt[now[i]] = j


@lean_kernel
def _decide(nbr: I32, own: I32, pool: I32, slots: I32, depth: I32, fixed: Bool, blocked: Bool, rotate: bool, now: I32, nxt: I32, occ_now: I32, occ_nxt: I32, work: I32, keys: I64, stack: I32, rng: U64, root: int, swap: bool) -> bool:
    """Fix the next cell of `root` and of all agents it pushes; False if root could do nothing but collide."""
    top, outcome = 0, FRESH
    stack[0] = root
    while top >= 0:
        i = stack[top]
        if outcome == MOVED:
            _pull(blocked, work, now, nxt, occ_now, occ_nxt, rotate, i)
            top -= 1
            continue
        if outcome == FRESH:
            _prepare(nbr, own, pool, slots, depth, fixed, blocked, now, nxt, occ_now, work, keys, rng, i, top > 0, swap)
        else:
            work[i, CURSOR] += 1
        pushed = _claim(work, now, nxt, occ_now, occ_nxt, rotate, i)
        if pushed >= 0:
            top += 1
            stack[top] = pushed
            outcome = FRESH
        elif pushed == -1:
            outcome = MOVED
        else:
            nxt[i] = now[i]
            occ_nxt[now[i]] = i
            outcome = STUCK
            top -= 1
    return outcome == MOVED


@lean_kernel
def _decide_all(nbr: I32, own: I32, pool: I32, slots: I32, depth: I32, fixed: Bool, blocked: Bool, rotate: bool, order: I32, now: I32, nxt: I32, occ_now: I32, occ_nxt: I32, work: I32, keys: I64, stack: I32, rng: U64, plain: int) -> bool:
    """`pibt_step` from where occ_now and keys are known; leaves occ_now and occ_nxt empty."""
    for i in range(len(now)):
        if nxt[i] < 0 and fixed[i]:
            nxt[i] = now[i]
        if nxt[i] >= 0:
            occ_nxt[nxt[i]] = i
    possible = True
    for i in order:
        if nxt[i] < 0 and not _decide(
            nbr, own, pool, slots, depth, fixed, blocked, rotate, now, nxt, occ_now, occ_nxt, work, keys, stack, rng, i, i != plain
        ):
            possible = False
            break
    for i in range(len(now)):
        occ_now[now[i]] = -1
        occ_nxt[now[i]] = -1
        if nxt[i] >= 0:
            occ_nxt[nxt[i]] = -1
    return possible


@kernel
def pibt_step(nbr: I32, pool: I32, slots: I32, depth: I32, straight: I32, fixed: Bool, blocked: Bool, rotate: bool, order: I32, now: I32, nxt: I32, occ_now: I32, occ_nxt: I32, work: I32, stack: I32, rng: U64, plain: int = -1) -> bool:
    """Decide every nxt[i] that is still -1, agents earlier in `order` first; all drive on one floor. Entries already set are kept
    (the constraints of LaCAM); False if they leave some agent no cell.

    plain: an agent decided without swaps, -1 = none. First in `order` and on a biconnected graph, it is sure
    to get one step nearer its goal; the swap step forgoes that promise for what it does in practice.
    rotate: may agents move round in a closed ring? Only where they really move in lockstep: of a plan
    without rings each move can wait until the cell it enters has been left."""
    keys = np.empty((len(now), 5), dtype=np.int64)
    own = np.zeros(len(now), dtype=np.int32)
    for i in range(len(now)):
        occ_now[now[i]] = i
    _survey(nbr, own, pool, slots, straight, blocked, now, occ_now, keys)
    return _decide_all(
        nbr, own, pool, slots, depth, fixed, blocked, rotate, order, now, nxt, occ_now, occ_nxt, work, keys, stack, rng, plain
    )


@kernel
def _by_rank(rank: I64, order: I32, spare: I32) -> None:
    """Agents into `order`, highest rank (>= 0) first, of equal ones the lower number: a radix sort, because ranks are
    small numbers and there are many of them."""
    highest, lowest = np.int64(0), NO_CELL
    for i in range(len(rank)):
        highest, lowest = max(highest, rank[i]), min(lowest, rank[i])
        order[i] = i
    shift = 0
    start = np.empty((1 << DIGIT) + 1, dtype=np.int32)
    while (highest - lowest) >> shift > 0:
        start[:] = 0
        for i in range(len(rank)):
            start[(((highest - rank[i]) >> shift) & ((1 << DIGIT) - 1)) + 1] += 1
        for digit in range(1 << DIGIT):
            start[digit + 1] += start[digit]
        for i in order:
            digit = ((highest - rank[i]) >> shift) & ((1 << DIGIT) - 1)
            spare[start[digit]] = i
            start[digit] += 1
        order[:] = spare
        shift += DIGIT


@lean_kernel
def _without_swaps(waited: int, patience: int) -> bool:
    """Swaps rarely fall into an endless dance. Who has waited for `patience` goes without them, for twice
    as long, then with them again for twice as long as that, and so on: on one of these turns it arrives."""
    phase = 0
    while waited >= patience:
        waited -= patience
        patience *= 2
        phase += 1
    return phase % 2 == 1


@kernel
def pibt_run(nbr: I32, pool: I32, slots: I32, depth: I32, heading: I32, turning: bool, fixed: Bool, dwell: Bool, blocked: Bool, rotate: bool, urgency: NDArray[np.int64], waited: NDArray[np.int64], patience: int, paths: I32, rng: U64, own: I32) -> None:
    """PIBT from paths[0] through all later rows of `paths` (horizon + 1, agents). `waited`: steps since
    each agent was last on its goal, counted on. turning: whether corners cost anything; then `heading`
    holds each agent's last move as a difference of cells, 0 = unknown, kept up to date."""
    agents = paths.shape[1]
    occ_now = np.full(len(blocked), -1, dtype=np.int32)
    occ_nxt = np.full(len(blocked), -1, dtype=np.int32)
    work = np.empty((agents, 8), dtype=np.int32)
    keys = np.empty((agents, 5), dtype=np.int64)
    stack = np.empty(agents, dtype=np.int32)
    order = np.empty(agents, dtype=np.int32)
    rank = np.empty(agents, dtype=np.int64)
    held = fixed.copy()
    straight = np.full(agents, -1, dtype=np.int32)
    for step in range(len(paths) - 1):
        now, nxt = paths[step], paths[step + 1]
        for i in range(agents):
            straight[i] = now[i] + heading[i] if turning and heading[i] else -1
            occ_now[now[i]] = i
        _survey(nbr, own, pool, slots, straight, blocked, now, occ_now, keys)
        for i in range(agents):
            arrived = slots[i] >= 0 and keys[i, 0] >> FAR == 0
            held[i] |= arrived and dwell[i]
            if arrived or slots[i] < 0:
                rank[i] = waited[i] = 0
            else:
                rank[i] = (urgency[i] << PRIORITY_BITS) + waited[i]
                waited[i] += 1
        _by_rank(rank, order, stack)
        nxt[:] = -1
        plain = -1
        if agents > 0 and _without_swaps(waited[order[0]], patience):
            plain = order[0]
        _decide_all(
            nbr, own, pool, slots, depth, held, blocked, rotate, order, now, nxt, occ_now, occ_nxt, work, keys, stack, rng, plain
        )
        for i in range(agents):
            if turning and nxt[i] != now[i]:
                heading[i] = nxt[i] - now[i]
