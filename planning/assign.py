"""The first answer: orders to robots by linear assignment, appended to what each has to do already.

Always answers, in time that grows with robots times orders; also the answer when the routing search
finds none. Where OR-Tools' solver fails, pairs are taken greedily, cheapest first.
"""

from __future__ import annotations

import numpy as np
from ortools.graph.python import linear_sum_assignment as lsa

from planning import lap
from planning.routing import FAR, FLAT_COST, I64, LATE_COST, Routes, RoutingProblem

FORBIDDEN = 10**12
MANY = 64


def match(costs: I64) -> tuple[list[tuple[int, int]], str]:
    """Cheapest pairing of rows and columns of `costs` (R, C); entries >= FORBIDDEN are not paired.
    Returns the pairs and which solver answered: "assignment" or "greedy"."""
    rows, cols = costs.shape
    if cols > MANY and rows * rows < cols:  # of a row's columns only its `rows` cheapest can be needed
        near = np.unique(np.argpartition(costs, rows - 1, axis=1)[:, :rows])
        pairs, solver_name = match(costs[:, near])
        return [(r, int(near[c])) for r, c in pairs], solver_name
    if min(rows, cols) > MANY and int(costs[costs < FORBIDDEN].max(initial=0)) < lap.FORBIDDEN // 1000:
        column = lap.assign(costs).column
        return [(r, int(c)) for r, c in enumerate(column) if c >= 0], "assignment"
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
    ends = _Ends(problem, out)
    answered = "assignment"
    while rest:
        batch, rest = rest[: len(out)], rest[len(out) :]
        pairs, solver = match(np.array([ends.append_costs(hauls) for hauls in batch]))
        answered = solver if solver == "greedy" else answered
        if not pairs:
            continue  # nobody may carry these
        for g, v in pairs:
            out[v] += problem.stops(batch[g])
            ends.read(v, out[v])
        paired = {g for g, _ in pairs}
        rest = [hauls for g, hauls in enumerate(batch) if g not in paired] + rest
    return tuple(tuple(route) for route in out), answered


def _urgency(problem: RoutingProblem, haul: int) -> tuple[int, int, int]:
    item = problem.hauls[haul]
    return (-item.weight, item.due_ds if item.due_ds >= 0 else FAR, haul)


class _Ends:
    """Where, when and with what on board each vehicle's route ends, (V,) each: all that appending needs."""

    def __init__(self, problem: RoutingProblem, routes: list[list[int]]) -> None:
        self._problem = problem
        count = len(problem.vehicles)
        self._room = np.array([v.rooms for v in problem.vehicles], np.int64).reshape(-1, 3)
        self._amounts = np.array([(h.size, *h.bulk) for h in problem.hauls], np.int64).reshape(-1, 3)
        self._battery = np.array([v.battery_ds for v in problem.vehicles], np.int64)
        self._node, self._time = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._carried = np.zeros((count, 3), np.int64)
        for v, route in enumerate(routes):
            self.read(v, route)

    def read(self, v: int, route: list[int]) -> None:
        """Vehicle v has this route now."""
        vehicle = self._problem.vehicles[v]
        self._node[v] = route[-1] if route else v
        self._time[v] = vehicle.ready_ds + _length(self._problem, [v, *route])
        self._carried[v] = vehicle.on_board + self._change(route)

    def _change(self, nodes: list[int]) -> I64:
        """(3,) of loads, grams and millilitres on board."""
        out = np.zeros(3, np.int64)
        for j, drop in map(self._problem.haul_of, nodes):
            out += -self._amounts[j] if drop else self._amounts[j]
        return out

    def append_costs(self, hauls: list[int]) -> I64:
        """(V,) cost of appending a group to each vehicle's route."""
        problem = self._problem
        chain, item = problem.stops(hauls), problem.hauls[hauls[0]]
        inner = _length(problem, chain)
        picked = [j for j in hauls if problem.hauls[j].pick_cell >= 0]
        largest = self._amounts[picked].max(axis=0, initial=0)
        first = problem.leg_ds[self._node, chain[0]]
        start = self._time + first
        end = start + inner
        late = np.maximum(0, end - item.due_ds) if item.due_ds >= 0 else 0
        costs: I64 = (
            first + item.weight * (start + end) + LATE_COST * item.weight * late
            + FLAT_COST * np.maximum(0, end - self._battery)
        )  # fmt: skip
        may = np.zeros(len(costs), np.bool_)
        may[list(item.vehicles)] = True
        may &= (first + inner < FAR) & (self._carried + self._change(chain) + largest <= self._room).all(axis=1)
        costs[~may] = FORBIDDEN
        return costs


def _length(problem: RoutingProblem, nodes: list[int]) -> int:
    return int(sum(problem.leg_ds[a, b] for a, b in zip(nodes, nodes[1:], strict=False)))
