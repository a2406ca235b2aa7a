"""PIBT, one step for all agents: priority inheritance with backtracking (Okumura et al., AIJ 310, 2022) and
the swap step for one-wide aisles (Okumura, "Improving LaCAM for scalable eventually optimal MAPF", 2023).

Array names used throughout, for A agents on C cells:
  nbr (C, 4)           cells that each may be left to, packed, -1 padded (planning.distance, planning.lane_graph)
  pool (K, C), slots (A,)  distance tables; agent i uses pool[slots[i]], slot -1 means it has no goal
  depth (C,)           how deep a cell lies in a dead end: an agent without a goal, when pushed, goes where
                       this is least
  straight (A,)        the cell straight ahead of each agent, -1 = none or it does not matter: robots that turn
                       in place lose time at every corner
  fixed (A,), blocked (C,) agents that do not move; cells that nobody may enter (leaving is allowed)
  now, nxt (A,)        current and next cells; nxt -1 = undecided
  occ_now, occ_nxt (C,)    which agent is, or will be, in a cell; -1 = nobody; all -1 between steps
  work (A, 8), stack (A,)  scratch: candidates 0-4, their number, cursor, the agent to pull in a swap
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from planning.distance import I32, Bool
from planning.jit import kernel

U64 = NDArray[np.uint64]
PRIORITY_BITS = 20
COUNT, CURSOR, SWAP = 5, 6, 7
FRESH, MOVED, STUCK = 0, 1, 2


@kernel
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


@kernel
def _ways_on(nbr: I32, pool: I32, slots: I32, fixed: Bool, blocked: Bool, occ_now: I32, came: int, at: int) -> tuple[int, int]:
    """(number of ways to go on from `at`, coming from `came`; the last of them). A cell that is blocked,
    or a dead end whose agent is at home there, is no way on."""
    ways, onward = 0, -1
    for k in range(4):
        cell = nbr[at, k]
        if cell < 0:
            break
        if cell == came or blocked[cell]:
            continue
        agent = occ_now[cell]
        if agent >= 0:
            at_home = nbr[cell, 1] < 0 and slots[agent] >= 0 and pool[slots[agent], cell] == 0
            if fixed[agent] or at_home:
                continue
        ways += 1
        onward = cell
    return ways, onward


@kernel
def _swap_required(nbr: I32, pool: I32, slots: I32, fixed: Bool, blocked: Bool, occ_now: I32, pusher: int, puller: int, at: int, ahead: int) -> bool:
    """Would `pusher` at `at`, shoving `puller` at `ahead` before it, never find room to get past?"""
    if slots[pusher] < 0:
        return False
    dist = pool[slots[pusher]]
    dead_end = False
    while dist[ahead] < dist[at]:
        ways, onward = _ways_on(nbr, pool, slots, fixed, blocked, occ_now, at, ahead)
        if ways >= 2:
            return False
        if ways == 0:
            dead_end = True
            break
        at, ahead = ahead, onward
    if slots[puller] < 0:
        return dead_end
    other = pool[slots[puller]]
    return other[at] < other[ahead] and (dist[at] == 0 or dist[ahead] < dist[at])


@kernel
def _swap_possible(nbr: I32, pool: I32, slots: I32, fixed: Bool, blocked: Bool, occ_now: I32, behind: int, at: int) -> bool:
    """Does retreating from `at`, away from `behind`, lead to a junction where two agents can pass?"""
    start = behind
    while at != start:
        ways, onward = _ways_on(nbr, pool, slots, fixed, blocked, occ_now, behind, at)
        if ways >= 2:
            return True
        if ways == 0:
            return False
        behind, at = at, onward
    return False


@kernel
def _leads(nbr: I32, cell: int, to: int) -> bool:
    """May `cell` be left to `to`? Not against a one-way lane."""
    return bool(nbr[cell, 0] == to or nbr[cell, 1] == to or nbr[cell, 2] == to or nbr[cell, 3] == to)


@kernel
def _swap_partner(nbr: I32, pool: I32, slots: I32, fixed: Bool, blocked: Bool, now: I32, nxt: I32, occ_now: I32, i: int, first: int) -> int:
    """The agent that i must change places with before going on to `first`, or -1. It will be drawn into the cell of i, so
    that it must be allowed to come there; along a one-way lane nobody comes the other way."""
    here = now[i]
    if first == here or slots[i] < 0:
        return -1
    j = occ_now[first]
    if j >= 0 and nxt[j] < 0 and _leads(nbr, first, here):
        if _swap_required(nbr, pool, slots, fixed, blocked, occ_now, i, j, here, first) and _swap_possible(
            nbr, pool, slots, fixed, blocked, occ_now, first, here
        ):
            return j
    for k in range(4):  # i clears the way for a neighbour that has to pass it
        cell = nbr[here, k]
        if cell < 0:
            break
        j = occ_now[cell]
        if j < 0 or cell == first or not _leads(nbr, cell, here):
            continue
        if _swap_required(nbr, pool, slots, fixed, blocked, occ_now, j, i, here, first) and _swap_possible(
            nbr, pool, slots, fixed, blocked, occ_now, first, here
        ):
            return j
    return -1


@kernel
def _prepare(nbr: I32, pool: I32, slots: I32, depth: I32, straight: I32, fixed: Bool, blocked: Bool, now: I32, nxt: I32, occ_now: I32, work: I32, rng: U64, i: int, pushed: bool, swap: bool) -> None:
    """List i's candidates, best first: nearest to its goal, then unoccupied, then straight on, then by lot."""
    here = now[i]
    keys = np.empty(5, dtype=np.int64)
    count = 0
    bits = random_bits(rng)
    for k in range(-1, 4):
        cell = here if k < 0 else nbr[here, k]
        if cell < 0:
            break
        if k >= 0 and blocked[cell]:
            continue
        if slots[i] >= 0:
            far = np.int64(pool[slots[i], cell])
        elif pushed:
            far = np.int64(depth[cell])
        else:
            far = np.int64(k >= 0)
        taken, turn = np.int64(k >= 0 and occ_now[cell] >= 0), np.int64(k >= 0 and cell != straight[i])
        key = (far << 8) | (taken << 7) | (turn << 6) | (bits & 63)
        bits >>= 6
        at = count
        while at > 0 and keys[at - 1] > key:
            keys[at] = keys[at - 1]
            work[i, at] = work[i, at - 1]
            at -= 1
        keys[at] = key
        work[i, at] = cell
        count += 1
    work[i, COUNT] = count
    work[i, CURSOR] = 0
    work[i, SWAP] = -1
    if swap:
        work[i, SWAP] = _swap_partner(nbr, pool, slots, fixed, blocked, now, nxt, occ_now, i, work[i, 0])
    if work[i, SWAP] >= 0:
        for k in range(count // 2):
            work[i, k], work[i, count - 1 - k] = work[i, count - 1 - k], work[i, k]


@kernel
def _closes_cycle(now: I32, nxt: I32, occ_now: I32, i: int, target: int) -> bool:
    """If i moved to `target`, would it and those ahead of it all wait for one another to leave?"""
    j = occ_now[target]
    while j >= 0 and nxt[j] >= 0 and nxt[j] != now[j]:
        if j == i:
            return True
        j = occ_now[nxt[j]]
    return j == i


@kernel
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


@kernel
def _pull(blocked: Bool, work: I32, now: I32, nxt: I32, occ_now: I32, occ_nxt: I32, rotate: bool, i: int) -> None:
    """After i moved away as the first half of a swap, draw its partner into the cell it leaves."""
    j = work[i, SWAP]
    if work[i, CURSOR] > 0 or j < 0 or nxt[j] >= 0 or occ_nxt[now[i]] >= 0 or blocked[now[i]]:
        return
    if rotate or not _closes_cycle(now, nxt, occ_now, j, now[i]):
        nxt[j] = now[i]
        occ_nxt[now[i]] = j


@kernel
def _decide(nbr: I32, pool: I32, slots: I32, depth: I32, straight: I32, fixed: Bool, blocked: Bool, rotate: bool, now: I32, nxt: I32, occ_now: I32, occ_nxt: I32, work: I32, stack: I32, rng: U64, root: int, swap: bool) -> bool:
    """Fix the next cell of `root` and of all agents it pushes; False if root could do nothing but collide."""
    top, outcome = 0, FRESH
    stack[0] = root
    _prepare(nbr, pool, slots, depth, straight, fixed, blocked, now, nxt, occ_now, work, rng, root, False, swap)
    while top >= 0:
        i = stack[top]
        if outcome == MOVED:
            _pull(blocked, work, now, nxt, occ_now, occ_nxt, rotate, i)
            top -= 1
            continue
        if outcome == STUCK:
            work[i, CURSOR] += 1
        pushed = _claim(work, now, nxt, occ_now, occ_nxt, rotate, i)
        if pushed >= 0:
            top += 1
            stack[top] = pushed
            _prepare(nbr, pool, slots, depth, straight, fixed, blocked, now, nxt, occ_now, work, rng, pushed, True, swap)
            outcome = FRESH
        elif pushed == -1:
            outcome = MOVED
        else:
            nxt[i] = now[i]
            occ_nxt[now[i]] = i
            outcome = STUCK
            top -= 1
    return outcome == MOVED


@kernel
def pibt_step(nbr: I32, pool: I32, slots: I32, depth: I32, straight: I32, fixed: Bool, blocked: Bool, rotate: bool, order: I32, now: I32, nxt: I32, occ_now: I32, occ_nxt: I32, work: I32, stack: I32, rng: U64, plain: int = -1) -> bool:
    """Decide every nxt[i] that is still -1, agents earlier in `order` first. Entries already set are kept
    (the constraints of LaCAM); False if they leave some agent no cell.

    plain: an agent decided without swaps, -1 = none. First in `order` and on a biconnected graph, it is sure
    to get one step nearer its goal; the swap step forgoes that promise for what it does in practice.
    rotate: may agents move round in a closed ring? Only where they really move in lockstep: of a plan
    without rings each move can wait until the cell it enters has been left."""
    for i in range(len(now)):
        occ_now[now[i]] = i
        if nxt[i] < 0 and fixed[i]:
            nxt[i] = now[i]
        if nxt[i] >= 0:
            occ_nxt[nxt[i]] = i
    possible = True
    for i in order:
        if nxt[i] < 0 and not _decide(
            nbr, pool, slots, depth, straight, fixed, blocked, rotate, now, nxt, occ_now, occ_nxt, work, stack, rng, i,
            i != plain,
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
def pibt_run(nbr: I32, pool: I32, slots: I32, depth: I32, heading: I32, turning: bool, fixed: Bool, dwell: Bool, blocked: Bool, rotate: bool, urgency: NDArray[np.int64], waited: NDArray[np.int64], patience: int, paths: I32, rng: U64) -> None:
    """PIBT from paths[0] through all later rows of `paths` (horizon + 1, agents). `waited`: steps since
    each agent was last on its goal, counted on. turning: whether corners cost anything; then `heading`
    holds each agent's last move as a difference of cells, 0 = unknown, kept up to date."""
    agents = paths.shape[1]
    occ_now = np.full(len(nbr), -1, dtype=np.int32)
    occ_nxt = np.full(len(nbr), -1, dtype=np.int32)
    work = np.empty((agents, 8), dtype=np.int32)
    stack = np.empty(agents, dtype=np.int32)
    held = fixed.copy()
    key = np.empty(agents, dtype=np.int64)
    straight = np.full(agents, -1, dtype=np.int32)
    for step in range(len(paths) - 1):
        now, nxt = paths[step], paths[step + 1]
        for i in range(agents):
            straight[i] = now[i] + heading[i] if turning and heading[i] else -1
            arrived = slots[i] >= 0 and pool[slots[i], now[i]] == 0
            held[i] |= arrived and dwell[i]
            key[i] = i
            if arrived or slots[i] < 0:
                waited[i] = 0
            else:
                key[i] -= (urgency[i] << (2 * PRIORITY_BITS)) + (waited[i] << PRIORITY_BITS)
                waited[i] += 1
        order = np.argsort(key, kind="mergesort").astype(np.int32)
        nxt[:] = -1
        plain = -1
        if agents > 0 and _without_swaps(waited[order[0]], patience):
            plain = order[0]
        pibt_step(
            nbr, pool, slots, depth, straight, held, blocked, rotate, order, now, nxt, occ_now, occ_nxt, work, stack,
            rng, plain,
        )
        for i in range(agents):
            if turning and nxt[i] != now[i]:
                heading[i] = nxt[i] - now[i]
