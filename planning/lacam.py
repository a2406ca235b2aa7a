"""LaCAM: a first joint plan for one-shot path finding, however crowded the floor (Okumura, "LaCAM: search-based
algorithm for quick multi-agent pathfinding", AAAI 2023; "Improving LaCAM for scalable eventually optimal
multi-agent pathfinding", IJCAI 2023).

A depth-first search over configurations (where everybody is). Each next configuration comes from PIBT with the swap
step, which moves all agents at once and nearly always forwards; where that leads to a configuration seen before, the
search comes back to it with one more agent told where to go. Every configuration is reached in the end, so the search
is complete: given time and memory it finds a plan if there is one.

Cells are numbered 0 to C - 1 over the free cells. The PIBT here is that of `planning.pibt` without what a
fleet at work needs beside it (agents without goals, closed cells, robots that turn): kernels cannot be shared between
files, see `planning.jit`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from planning.distance import I32
from planning.jit import kernel

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

COUNT, CURSOR, SWAP = 5, 6, 7
FRESH, MOVED, STUCK = 0, 1, 2
SEARCHING, FOUND, NO_ROOM, NO_WAY = 0, 1, 2, 3
UP, WHO, WHERE, DEEP, NEXT = 0, 1, 2, 3, 4
MAX_BYTES = 1 << 30
MAX_NODES = 1 << 19
SLICE = 20_000
"""Steps of single agents between two looks at the clock: some hundredths of a second."""
Tables = NDArray[np.int16]


class Search(NamedTuple):
    """nbr (C, 4): neighbours, packed, -1 padded; pool (A, C): cost to each agent's goal, 0 on it alone; goals (A,).
    conf, waited (M, A): cells of each node of the search, and steps since each agent was last on its goal; parent,
    first, last (M,): the node before, its next and last constraint; hashes (M,); table: node at each hash, -1 = none;
    con (., 5): constraints as a tree (UP: the one above, WHO, WHERE, DEEP: how many stand above it) and as each node's
    queue (NEXT); stack (M,): nodes to go on from; size (4,): nodes, constraints, height of the stack, goal node;
    now, nxt, occ_now, occ_nxt, work, trail: as in planning.pibt; rng (1,): random state."""

    nbr: I32
    pool: Any
    goals: I32
    conf: I32
    waited: I32
    parent: I32
    first: I32
    last: I32
    hashes: U64
    table: I32
    con: I32
    stack: I32
    size: I64
    now: I32
    nxt: I32
    occ_now: I32
    occ_nxt: I32
    work: I32
    trail: I32
    rng: U64


@kernel
def _random_bits(rng: U64) -> Any:
    """xorshift64* (Vigna 2016): 31 random bits."""
    x = rng[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[0] = x
    return np.int64((x * np.uint64(2685821657736338717)) >> np.uint64(33))


@kernel
def _ways_on(nbr: I32, pool: Any, occ_now: I32, came: int, at: int) -> tuple[int, int]:
    """(number of ways to go on from `at`, coming from `came`; the last of them). A dead end whose agent is at
    home there is no way on."""
    ways, onward = 0, -1
    for k in range(4):
        cell = nbr[at, k]
        if cell < 0:
            break
        if cell == came:
            continue
        agent = occ_now[cell]
        if agent >= 0 and nbr[cell, 1] < 0 and pool[agent, cell] == 0:
            continue
        ways += 1
        onward = cell
    return ways, onward


@kernel
def _swap_required(nbr: I32, pool: Any, occ_now: I32, pusher: int, puller: int, at: int, ahead: int) -> bool:
    """Would `pusher` at `at`, shoving `puller` at `ahead` before it, never find room to get past?"""
    dist = pool[pusher]
    while dist[ahead] < dist[at]:
        ways, onward = _ways_on(nbr, pool, occ_now, at, ahead)
        if ways >= 2:
            return False
        if ways == 0:
            break
        at, ahead = ahead, onward
    other = pool[puller]
    return other[at] < other[ahead] and (dist[at] == 0 or dist[ahead] < dist[at])


@kernel
def _swap_possible(nbr: I32, pool: Any, occ_now: I32, behind: int, at: int) -> bool:
    """Does retreating from `at`, away from `behind`, lead to a junction where two agents can pass?"""
    start = behind
    while at != start:
        ways, onward = _ways_on(nbr, pool, occ_now, behind, at)
        if ways >= 2:
            return True
        if ways == 0:
            return False
        behind, at = at, onward
    return False


@kernel
def _swap_partner(nbr: I32, pool: Any, now: I32, nxt: I32, occ_now: I32, i: int, first: int) -> int:
    """The agent that i must change places with before going on to `first`, or -1."""
    here = now[i]
    if first == here:
        return -1
    j = occ_now[first]
    if j >= 0 and nxt[j] < 0:
        if _swap_required(nbr, pool, occ_now, i, j, here, first) and _swap_possible(nbr, pool, occ_now, first, here):
            return j
    for k in range(4):  # i clears the way for a neighbour that has to pass it
        cell = nbr[here, k]
        if cell < 0:
            break
        j = occ_now[cell]
        if j < 0 or cell == first:
            continue
        if _swap_required(nbr, pool, occ_now, j, i, here, first) and _swap_possible(nbr, pool, occ_now, first, here):
            return j
    return -1


@kernel
def _prepare(nbr: I32, pool: Any, now: I32, nxt: I32, occ_now: I32, work: I32, rng: U64, i: int) -> None:
    """List i's candidates, best first: nearest to its goal, then unoccupied, then by lot."""
    here = now[i]
    keys = np.empty(5, dtype=np.int64)
    count = 0
    bits = _random_bits(rng)
    for k in range(-1, 4):
        cell = here if k < 0 else nbr[here, k]
        if cell < 0:
            break
        key = (np.int64(pool[i, cell]) << 7) | (np.int64(k >= 0 and occ_now[cell] >= 0) << 6) | (bits & 63)
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
    work[i, SWAP] = _swap_partner(nbr, pool, now, nxt, occ_now, i, work[i, 0])
    if work[i, SWAP] >= 0:
        for k in range(count // 2):
            work[i, k], work[i, count - 1 - k] = work[i, count - 1 - k], work[i, k]


@kernel
def _claim(work: I32, now: I32, nxt: I32, occ_now: I32, occ_nxt: I32, i: int) -> int:
    """Reserve i's next candidate that is still to be had. Returns the agent to push out of it, -1 if there
    is none, -2 if no candidate is left."""
    while work[i, CURSOR] < work[i, COUNT]:
        cell = work[i, work[i, CURSOR]]
        j = occ_now[cell]
        if occ_nxt[cell] < 0 and (j < 0 or j == i or nxt[j] != now[i]):
            occ_nxt[cell] = i
            nxt[i] = cell
            return j if j >= 0 and j != i and nxt[j] < 0 else -1
        work[i, CURSOR] += 1
    return -2


@kernel
def _decide(nbr: I32, pool: Any, now: I32, nxt: I32, occ_now: I32, occ_nxt: I32, work: I32, trail: I32, rng: U64, root: int) -> bool:
    """Fix the next cell of `root` and of all agents it pushes; False if root could do nothing but collide."""
    top, outcome = 0, FRESH
    trail[0] = root
    _prepare(nbr, pool, now, nxt, occ_now, work, rng, trail[0])
    while top >= 0:
        i = trail[top]
        if outcome == MOVED:
            j = work[i, SWAP]  # the first half of a swap is done: draw the partner into the cell that i leaves
            if j >= 0 and work[i, CURSOR] == 0 and nxt[j] < 0 and occ_nxt[now[i]] < 0:
                nxt[j] = now[i]
                occ_nxt[now[i]] = j
            top -= 1
            continue
        if outcome == STUCK:
            work[i, CURSOR] += 1
        pushed = _claim(work, now, nxt, occ_now, occ_nxt, i)
        if pushed >= 0:
            top += 1
            trail[top] = pushed
            _prepare(nbr, pool, now, nxt, occ_now, work, rng, pushed)
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
def _step(s: Search, order: I32, constraint: Any) -> bool:
    """Everyone's next cell into s.nxt, as `constraint` and those above it say; False if that cannot be done."""
    now, nxt, occ_now, occ_nxt = s.now, s.nxt, s.occ_now, s.occ_nxt
    for i in range(len(now)):
        occ_now[now[i]] = i
    nxt[:] = -1
    possible = True
    while constraint >= 0 and s.con[constraint, WHO] >= 0:
        i, cell = s.con[constraint, WHO], s.con[constraint, WHERE]
        j = occ_now[cell]
        if occ_nxt[cell] >= 0 or (j >= 0 and j != i and nxt[j] == now[i]):
            possible = False
            break
        nxt[i] = cell
        occ_nxt[cell] = i
        constraint = s.con[constraint, UP]
    if possible:
        for i in order:
            if nxt[i] < 0 and not _decide(s.nbr, s.pool, now, nxt, occ_now, occ_nxt, s.work, s.trail, s.rng, i):
                possible = False
                break
    for i in range(len(now)):
        occ_now[now[i]] = -1
        occ_nxt[now[i]] = -1
        if nxt[i] >= 0:
            occ_nxt[nxt[i]] = -1
    return possible


@kernel
def _hash(conf: I32) -> Any:
    total = np.uint64(0)
    for i in range(len(conf)):
        x = (np.uint64(i) << np.uint64(32)) | np.uint64(conf[i])
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)  # the finaliser of splitmix64
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        total += x ^ (x >> np.uint64(31))
    return total


@kernel
def _look_up(s: Search, conf: I32, code: Any) -> tuple[int, Any]:
    """(node of that configuration, -1 if it is new; its place in the table)."""
    mask = len(s.table) - 1
    at = np.int64(code & np.uint64(mask))
    while s.table[at] >= 0:
        node = s.table[at]
        if s.hashes[node] == code and (s.conf[node] == conf).all():
            return node, at
        at = (at + 1) & mask
    return -1, at


@kernel
def _add_constraint(s: Search, node: Any, up: Any, who: Any, where: Any) -> None:
    new = s.size[1]
    s.size[1] += 1
    s.con[new, UP], s.con[new, WHO], s.con[new, WHERE], s.con[new, NEXT] = up, who, where, -1
    s.con[new, DEEP] = 0 if up < 0 else s.con[up, DEEP] + 1
    if s.first[node] < 0:
        s.first[node] = new
    else:
        s.con[s.last[node], NEXT] = new
    s.last[node] = new


@kernel
def add_node(s: Search, conf: I32, parent: Any) -> int:
    """The node of a configuration, made if there is none, put on top of the stack."""
    code = _hash(conf)
    node, at = _look_up(s, conf, code)
    if node < 0:
        node = s.size[0]
        s.size[0] += 1
        s.table[at] = node
        s.hashes[node] = code
        s.conf[node] = conf
        s.parent[node] = parent
        s.first[node] = -1
        at_home = True
        for i in range(len(conf)):
            home = conf[i] == s.goals[i]
            at_home &= home
            s.waited[node, i] = 0 if home else (s.waited[parent, i] + 1 if parent >= 0 else 0)
        _add_constraint(s, node, np.int64(-1), np.int64(-1), np.int64(-1))
        if at_home:
            s.size[3] = node
    s.stack[s.size[2]] = node
    s.size[2] += 1
    return node


@kernel
def search(s: Search, iterations: int) -> int:
    """Go on with the search for that many iterations. Returns SEARCHING, FOUND, NO_ROOM (out of memory) or NO_WAY."""
    agents = len(s.goals)
    key = np.empty(agents, dtype=np.int64)
    for _ in range(iterations):
        if s.size[3] >= 0:
            return FOUND
        if s.size[2] == 0:
            return NO_WAY
        if s.size[0] == len(s.conf) or s.size[1] + 8 > len(s.con) or s.size[2] == len(s.stack):
            return NO_ROOM
        node = np.int64(s.stack[s.size[2] - 1])
        constraint = np.int64(s.first[node])
        if constraint < 0:
            s.size[2] -= 1
            continue
        s.first[node] = s.con[constraint, NEXT]
        s.now[:] = s.conf[node]
        for i in range(agents):
            key[i] = -((np.int64(s.waited[node, i]) << 40) + (np.int64(s.pool[i, s.conf[0, i]]) << 20)) + i
        order = np.argsort(key, kind="mergesort").astype(np.int32)
        deep = s.con[constraint, DEEP]
        if deep < agents:
            i, turn = order[deep], _random_bits(s.rng) % 5
            for k in range(5):
                way = (k + turn) % 5
                cell = s.now[i] if way == 4 else s.nbr[s.now[i], way]
                if cell >= 0:
                    _add_constraint(s, node, constraint, np.int64(i), np.int64(cell))
        if _step(s, order, constraint):
            add_node(s, s.nxt, node)
    return SEARCHING


def start(nbr: I32, pool: Tables, starts: I32, goals: I32, rng: U64) -> Search:
    """A search that has not begun. nbr: (C, 4); pool: (A, C) integers; starts, goals: (A,) cells."""
    agents, cells = len(goals), len(nbr)
    nodes = int(min(MAX_NODES, max(64, MAX_BYTES // (8 * agents + 64))))
    state = Search(
        nbr=nbr, pool=pool, goals=goals, conf=np.empty((nodes, agents), np.int32),
        waited=np.empty((nodes, agents), np.int32), parent=np.empty(nodes, np.int32), first=np.empty(nodes, np.int32),
        last=np.empty(nodes, np.int32), hashes=np.empty(nodes, np.uint64),
        table=np.full(1 << (2 * nodes).bit_length(), -1, np.int32), con=np.empty((8 * nodes + 64, 5), np.int32),
        stack=np.empty(4 * nodes + 4, np.int32), size=np.array([0, 0, 0, -1], np.int64),
        now=np.empty(agents, np.int32), nxt=np.empty(agents, np.int32), occ_now=np.full(cells, -1, np.int32),
        occ_nxt=np.full(cells, -1, np.int32), work=np.empty((agents, 8), np.int32),
        trail=np.empty(agents + 1, np.int32), rng=rng,
    )  # fmt: skip
    add_node(state, starts, -1)
    return state


def plan(
    nbr: I32, guided: Tables, plain: Tables, steps: int, starts: I32, goals: I32, rng: U64, go_on: Callable[[], bool]
) -> I32 | None:
    """(T + 1, A) cells from starts to goals; None where `go_on` ended the search, memory ran out or there is no way.

    guided, plain: (A, C) tables of the same type. The first `steps` go by the guided tables, which keep traffic
    flowing but may make those dance for ever who are left when the others have arrived; the rest by the plain ones."""
    begun, state = _run(start(nbr, guided, starts, goals, rng), steps, go_on)
    if state == SEARCHING:
        rest, state = _run(start(nbr, plain, begun[-1], goals, rng), MAX_NODES, go_on)
        begun = np.concatenate([begun, rest[1:]])
    return begun if state == FOUND else None


def _run(state: Search, nodes: int, go_on: Callable[[], bool]) -> tuple[I32, int]:
    """(cells from the first configuration to the last, (T + 1, A); how the search stands) after that many nodes."""
    slice_ = max(1, SLICE // max(1, len(state.goals)))
    status = SEARCHING
    while status == SEARCHING and state.size[0] < nodes and go_on():
        status = search(state, slice_)
    chain = [int(state.size[3]) if status == FOUND else int(state.size[0]) - 1]
    while state.parent[chain[-1]] >= 0:
        chain.append(int(state.parent[chain[-1]]))
    cells: I32 = state.conf[chain[::-1]]
    return cells, status
