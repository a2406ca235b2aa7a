"""Linear-time graph algorithms over tables of neighbours, for planning.graph_check.

Tables are (cells, 4) int32 as planning.lane_graph makes them, packed left and padded with -1. Labels are int32 with -1
for closed cells. All kernels keep explicit stacks: sites have millions of cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planning.distance import I32, Bool
from planning.jit import kernel

I64 = NDArray[np.int64]


@kernel
def blocks(nbr: I32, open_: Bool, part: I32, block: I32, cut: Bool, cyclic: Bool, narrow: Bool, apart: I64, most: I64, least: I64) -> int:
    """Biconnected components (Hopcroft and Tarjan 1973) of a graph whose edges go both ways; returns the number of parts.

    Written, all (cells,): part, the connected part of a cell; block, that of the edge to its parent in the search, -1
    for the first cell of a part; cut, does its part fall apart without it; cyclic, does it lie on a cycle; narrow,
    is it on an edge that lies on none; apart, most and least, the cells in all, in the largest and in the smallest of the
    pieces that hang on it alone, the piece of its parent excepted (least: as it was, if there are none)."""
    cells = len(nbr)
    depth, low = np.full(cells, -1, np.int32), np.zeros(cells, np.int32)
    size = np.ones(cells, np.int32)
    cursor = np.zeros(cells, np.int8)
    path, pending = np.empty(cells, np.int32), np.empty(cells, np.int32)
    parts, count = 0, 0
    for root in range(cells):
        if not open_[root] or depth[root] >= 0:
            continue
        top, waiting, children = 0, 0, 0
        path[0] = root
        depth[root] = low[root] = 0
        part[root] = parts
        while top >= 0:
            cell = path[top]
            other = nbr[cell, cursor[cell]] if cursor[cell] < 4 else -1
            cursor[cell] += 1
            if other >= 0 and depth[other] < 0:
                depth[other] = low[other] = depth[cell] + 1
                part[other] = parts
                top += 1
                path[top] = other
                pending[waiting] = other
                waiting += 1
            elif other >= 0:
                if top == 0 or other != path[top - 1]:
                    low[cell] = min(low[cell], depth[other])
            else:
                top -= 1
                if top < 0:
                    break
                parent = path[top]
                low[parent] = min(low[parent], low[cell])
                size[parent] += size[cell]
                if low[cell] <= depth[parent]:  # the edge to the parent is no bridge
                    cyclic[cell] = cyclic[parent] = True
                else:
                    narrow[cell] = narrow[parent] = True
                if low[cell] >= depth[parent]:
                    children += parent == root
                    cut[parent] |= parent != root
                    apart[parent] += size[cell]
                    most[parent] = max(most[parent], size[cell])
                    least[parent] = min(least[parent], size[cell])
                    while True:
                        waiting -= 1
                        block[pending[waiting]] = count
                        if pending[waiting] == cell:
                            break
                    count += 1
        cut[root] = children > 1
        parts += 1
    return parts


@kernel
def groups(nbr: I32, kind: I32, group: I32) -> int:
    """Connected groups of cells of one kind, kind >= 0; returns their number. Both (cells,); group is -1 elsewhere."""
    queue = np.empty(len(nbr), np.int32)
    count = 0
    for start in range(len(nbr)):
        if kind[start] < 0 or group[start] >= 0:
            continue
        group[start] = count
        queue[0] = start
        head, tail = 0, 1
        while head < tail:
            cell = queue[head]
            head += 1
            for k in range(4):
                other = nbr[cell, k]
                if other < 0:
                    break
                if group[other] < 0 and kind[other] == kind[cell]:
                    group[other] = count
                    queue[tail] = other
                    tail += 1
        count += 1
    return count


@kernel
def _number(succ: I32, label: I32, roots: I32, number: I32, vertex: I32, parent: I32) -> int:
    """Depth-first numbers of the cells of each root's part; returns how many there are."""
    cursor = np.zeros(len(succ), np.int8)
    path = np.empty(len(succ), np.int32)
    count = 0
    for root in roots:
        number[root] = count
        vertex[count], parent[count] = root, -1
        count += 1
        path[0] = root
        top = 0
        while top >= 0:
            cell = path[top]
            other = succ[cell, cursor[cell]] if cursor[cell] < 4 else -1
            cursor[cell] += 1
            if other < 0:
                top -= 1
            elif number[other] < 0 and label[other] == label[root]:
                number[other] = count
                vertex[count], parent[count] = other, number[cell]
                count += 1
                top += 1
                path[top] = other
    return count


@kernel
def _least(over: I32, best: I32, semi: I32, stack: I32, v: int) -> int:
    """Of v and those above it in its tree, the one of least semidominator; shortens the path (Tarjan's eval)."""
    if over[v] < 0:
        return v
    top, at = 0, v
    while over[over[at]] >= 0:
        stack[top] = at
        top += 1
        at = over[at]
    while top > 0:
        top -= 1
        at = stack[top]
        above = over[at]
        if semi[best[above]] < semi[best[at]]:
            best[at] = best[above]
        over[at] = over[above]
    return best[v]


@kernel
def _immediate(pred: I32, label: I32, number: I32, vertex: I32, parent: I32, count: int) -> I32:
    """Immediate dominators by number, -1 for roots (Lengauer and Tarjan 1979, simple version)."""
    semi, best = np.arange(count).astype(np.int32), np.arange(count).astype(np.int32)
    over, dom = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
    first, after = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
    stack = np.empty(count, np.int32)
    for w in range(count - 1, -1, -1):
        if parent[w] < 0:
            continue
        cell = vertex[w]
        for k in range(4):
            other = pred[cell, k]
            if other < 0:
                break
            if label[other] == label[cell]:
                u = _least(over, best, semi, stack, number[other])
                semi[w] = min(semi[w], semi[u])
        after[w] = first[semi[w]]
        first[semi[w]] = w
        above = parent[w]
        over[w] = above
        v = first[above]
        while v >= 0:
            u = _least(over, best, semi, stack, v)
            dom[v] = u if semi[u] < semi[v] else above
            v = after[v]
        first[above] = -1
    for w in range(count):
        if parent[w] >= 0 and dom[w] != semi[w]:
            dom[w] = dom[dom[w]]
    return dom


@kernel
def dominators(succ: I32, pred: I32, label: I32, roots: I32, behind: I32, begin: I32, bridge: I32) -> None:
    """What each cell alone leads to, from the root of its strongly connected part (label), one root a part.

    Written, all (cells,): behind, how many cells can be reached from the root through this one only, those whose begin is
    from its own to that plus behind; bridge, the cell before, if the only way from the root to this one is the move from
    there, else -1. Of a strongly connected part, the
    cells with behind > 0 here or with succ and pred exchanged, roots aside, are those without which it is none; the
    moves in bridge those without which it is none (Italiano, Laura and Santaroni 2012)."""
    cells = len(succ)
    number, vertex, parent = np.full(cells, -1, np.int32), np.empty(cells, np.int32), np.empty(cells, np.int32)
    count = _number(succ, label, roots, number, vertex, parent)
    dom = _immediate(pred, label, number, vertex, parent, count)
    size, start, free = np.ones(count, np.int32), np.zeros(count, np.int32), np.zeros(count, np.int32)
    for w in range(count - 1, -1, -1):
        if dom[w] >= 0:
            size[dom[w]] += size[w]
    at = 0
    for w in range(count):  # an interval for each subtree of the dominator tree
        if dom[w] < 0:
            start[w] = at
            at += size[w]
        else:
            start[w] = free[dom[w]]
            free[dom[w]] += size[w]
        free[w] = start[w] + 1
    for w in range(count):
        cell = vertex[w]
        behind[cell], begin[cell] = size[w] - 1, start[w]
        if dom[w] < 0:
            continue
        only = False
        for k in range(4):
            other = pred[cell, k]
            if other < 0:
                break
            if label[other] == label[cell] and number[other] == dom[w]:
                only = True
        for k in range(4):
            other = pred[cell, k]
            if other < 0:
                break
            v = number[other]
            if label[other] == label[cell] and v != dom[w]:
                only &= start[w] <= start[v] < start[w] + size[w]
        if only:
            bridge[cell] = vertex[dom[w]]


@kernel
def _under(start: I32, behind: I32, above: int, cell: int) -> bool:
    """Is `cell` reached through `above` only?"""
    return start[above] <= start[cell] <= start[above] + behind[above]


@kernel
def room(succ: I32, label: I32, root: int, ahead: I32, ahead_start: I32, back: I32, back_start: I32, size: int, budget: int) -> tuple[int, int]:
    """(the least number of cells that can be reached, in the strongly connected part 0 of `size` cells, from any cell v
    without the cell u before it, over all moves u -> v; cells u that were not looked at within `budget` visits)

    ahead and back: `behind` of `dominators` from `root` in either direction, with the intervals of their subtrees. What
    v cannot reach without u, if it can reach the root so, is what can be reached from the root through u only. Else, and
    from the root itself, v is searched from, no further than the least number so far."""
    stamp, queue = np.zeros(len(succ), np.int32), np.empty(len(succ), np.int32)
    least, mark, missed = size - 1, 0, 0
    for u in range(len(succ)):
        if label[u] != 0:
            continue
        ways, plain = 0, False
        for k in range(4):
            v = succ[u, k]
            if v >= 0 and label[v] == 0:
                ways += 1
                plain |= u != root and not _under(back_start, back, u, v) and not _under(ahead_start, ahead, u, v)
        if ways < 2:
            continue  # whoever comes back to u goes on to v again: v reaches all the same without
        if plain:
            least = min(least, size - 1 - ahead[u])
        if budget <= 0:
            missed += 1
            continue
        for k in range(4):
            v = succ[u, k]
            if v < 0 or label[v] != 0 or (plain and not _under(back_start, back, u, v)):
                continue
            mark += 1
            stamp[u] = stamp[v] = mark
            queue[0] = v
            head, tail = 0, 1
            while head < tail and tail < least and budget > 0:
                cell = queue[head]
                head += 1
                budget -= 1
                for m in range(4):
                    other = succ[cell, m]
                    if other < 0:
                        break
                    if stamp[other] != mark and label[other] == 0:
                        stamp[other] = mark
                        queue[tail] = other
                        tail += 1
            if head == tail:
                least = min(least, tail)
            elif tail < least:
                missed += 1
                break
    return least, missed
