"""The first answer: orders to robots by linear assignment, appended to what each has to do already.

Always answers, in time that grows with robots times orders; also the answer when the routing search
finds none. Where OR-Tools' solver fails, pairs are taken greedily, cheapest first.
"""

from __future__ import annotations

import numpy as np
from ortools.graph.python import linear_sum_assignment as lsa

from planning.routing import FAR, FLAT_COST, I64, LATE_COST, Routes, RoutingProblem

FORBIDDEN = 10**12


def match(costs: I64) -> tuple[list[tuple[int, int]], str]:
    """Cheapest pairing of rows and columns of `costs` (R, C); entries >= FORBIDDEN are not paired.
    Returns the pairs and which solver answered: "assignment" or "greedy"."""
    rows, cols = costs.shape
    size = max(rows, cols)
    padded = np.full((size, size), FORBIDDEN, np.int64)
    padded[:rows, :cols] = np.minimum(costs, FORBIDDEN)
    left, right = np.divmod(np.arange(size * size), size)
    try:
        solver = lsa.SimpleLinearSumAssignment()
        solver.add_arcs_with_cost(left, right, padded.ravel())
        if solver.solve() == solver.OPTIMAL:
            mates = [solver.right_mate(r) for r in range(rows)]
            pairs = [(r, c) for r, c in enumerate(mates) if c < cols and costs[r, c] < FORBIDDEN]
            return pairs, "assignment"
    except Exception:  # whatever the native solver throws, robots need an answer
        pass
    return greedy_pairs(costs), "greedy"


def greedy_pairs(costs: I64) -> list[tuple[int, int]]:
    """Pairs in order of cost; ties in order of row, then column."""
    pairs: list[tuple[int, int]] = []
    rows, cols = set(range(costs.shape[0])), set(range(costs.shape[1]))
    for flat in np.argsort(costs, axis=None, kind="stable").tolist():
        r, c = divmod(flat, costs.shape[1])
        if costs[r, c] >= FORBIDDEN:
            break
        if r in rows and c in cols:
            pairs.append((r, c))
            rows.discard(r)
            cols.discard(c)
    return pairs


def complete(problem: RoutingProblem, routes: Routes) -> tuple[Routes, str]:
    """`routes` with every group of loads that is not in them appended to some vehicle's route, the most
    urgent first, as many at a time as there are vehicles."""
    out = [list(route) for route in routes]
    served = {node for route in out for node in route}
    rest = [hauls for hauls in problem.groups().values() if problem.pick(hauls[0]) + 1 not in served]
    rest.sort(key=lambda hauls: _urgency(problem, hauls[0]))
    answered = "assignment"
    while rest:
        batch, rest = rest[: len(out)], rest[len(out) :]
        pairs, solver = match(np.array([_append_costs(problem, out, hauls) for hauls in batch]))
        answered = solver if solver == "greedy" else answered
        if not pairs:
            continue  # nobody may carry these
        for g, v in pairs:
            out[v] += problem.stops(batch[g])
        paired = {g for g, _ in pairs}
        rest = [hauls for g, hauls in enumerate(batch) if g not in paired] + rest
    return tuple(tuple(route) for route in out), answered


def _urgency(problem: RoutingProblem, haul: int) -> tuple[int, int, int]:
    item = problem.hauls[haul]
    return (-item.weight, item.due_ds if item.due_ds >= 0 else FAR, haul)


def _append_costs(problem: RoutingProblem, routes: list[list[int]], hauls: list[int]) -> I64:
    """(V,) cost of appending a group to each vehicle's route."""
    chain = problem.stops(hauls)
    inner = _length(problem, chain)
    item = problem.hauls[hauls[0]]
    largest = max((problem.hauls[j].size for j in hauls if problem.hauls[j].pick_cell >= 0), default=0)
    costs = np.full(len(routes), FORBIDDEN, np.int64)
    for v in sorted(item.vehicles):
        vehicle = problem.vehicles[v]
        at_end = vehicle.carried + sum(
            -problem.hauls[j].size if drop else problem.hauls[j].size
            for j, drop in map(problem.haul_of, [*routes[v], *chain])
        )
        first = int(problem.leg_ds[routes[v][-1] if routes[v] else v, chain[0]])
        if first + inner >= FAR or at_end + largest > vehicle.room:
            continue
        start = vehicle.ready_ds + _length(problem, [v, *routes[v]]) + first
        end = start + inner
        late = max(0, end - item.due_ds) if item.due_ds >= 0 else 0
        costs[v] = (
            first + item.weight * (start + end) + LATE_COST * item.weight * late
            + FLAT_COST * max(0, end - vehicle.battery_ds)
        )  # fmt: skip
    return costs


def _length(problem: RoutingProblem, nodes: list[int]) -> int:
    return int(sum(problem.leg_ds[a, b] for a, b in zip(nodes, nodes[1:], strict=False)))
