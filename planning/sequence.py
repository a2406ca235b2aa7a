"""The better answer: pickup and delivery with capacity by OR-Tools' routing search, warm-started.

PARALLEL_CHEAPEST_INSERTION and GUIDED_LOCAL_SEARCH with large neighbourhoods; effort is counted in
solutions and in checks of the search limit, so that a search repeats exactly, on any machine.
"""

from __future__ import annotations

import itertools
from typing import Any

from ortools.constraint_solver import pywrapcp, routing_enums_pb2
from ortools.util import optional_boolean_pb2

from planning.config import PlannerConfig
from planning.routing import FAR, FLAT_COST, LEFT_OUT_COST, Routes, RoutingProblem

_LARGE_NEIGHBOURHOODS = (
    "use_path_lns",
    "use_inactive_lns",
    "use_global_cheapest_insertion_close_nodes_lns",
    "use_global_cheapest_insertion_expensive_chain_lns",
)


def improve(problem: RoutingProblem, routes: Routes | None, config: PlannerConfig) -> Routes | None:
    """The best routes the search finds within the configured work, starting from `routes` or, if None,
    from nothing. None if it finds none. Its objective is problem.cost()."""
    if not problem.vehicles or not problem.hauls:
        return routes or ((),) * len(problem.vehicles)
    model = _Model(problem)
    parameters = _parameters(config)
    model.limit_work(config.work_limit)
    model.routing.CloseModelWithParameters(parameters)
    if routes is None:
        found = model.routing.SolveWithParameters(parameters)
    else:
        start = model.routing.ReadAssignmentFromRoutes(model.indices(routes), True)
        found = start and model.routing.SolveFromAssignmentWithParameters(start, parameters)
    return model.routes(found) if found else None


def _parameters(config: PlannerConfig) -> Any:
    parameters = pywrapcp.DefaultRoutingSearchParameters()
    parameters.first_solution_strategy = routing_enums_pb2.FirstSolutionStrategy.PARALLEL_CHEAPEST_INSERTION
    parameters.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    for name in _LARGE_NEIGHBOURHOODS:
        setattr(parameters.local_search_operators, name, optional_boolean_pb2.BOOL_TRUE)
    parameters.solution_limit = config.solution_limit
    if config.time_limit_s > 0:
        parameters.time_limit.FromMilliseconds(round(config.time_limit_s * 1000))
    return parameters


class _Model:
    """The problem in OR-Tools' words. Its nodes: vehicle starts, one end for all, then the stops that
    exist (a load on board has no pick)."""

    def __init__(self, problem: RoutingProblem) -> None:
        self.problem = problem
        vehicles = len(problem.vehicles)
        self.nodes = [*range(vehicles), -1]
        for j, haul in enumerate(problem.hauls):
            self.nodes += [problem.pick(j)] * (haul.pick_cell >= 0) + [problem.pick(j) + 1]
        self._at = {node: k for k, node in enumerate(self.nodes)}
        self.manager = pywrapcp.RoutingIndexManager(
            len(self.nodes), vehicles, list(range(vehicles)), [vehicles] * vehicles
        )
        self.routing = pywrapcp.RoutingModel(self.manager)
        self._time()
        self._capacity()
        for j in range(len(problem.hauls)):
            self._haul(j)
        for hauls in problem.groups().values():
            self._group(hauls)

    def limit_work(self, checks: int) -> None:
        """OR-Tools asks its limits once per branch and per few neighbours tried, so that the number of
        questions measures work also where few branches are taken."""
        asked = itertools.count(1)
        limit = self.routing.solver().CustomLimit(lambda: next(asked) > checks)
        self.routing.AddSearchMonitor(limit)

    def _time(self) -> None:
        end = len(self.problem.vehicles)
        legs = [
            [0 if end in (a, b) else int(self.problem.leg_ds[i, k]) for b, k in enumerate(self.nodes)]
            for a, i in enumerate(self.nodes)
        ]
        transit = self.routing.RegisterTransitMatrix(legs)
        self.routing.SetArcCostEvaluatorOfAllVehicles(transit)
        self.routing.AddDimension(transit, 0, FAR - 1, False, "time")
        self.time = self.routing.GetDimensionOrDie("time")
        for v, vehicle in enumerate(self.problem.vehicles):
            self.time.CumulVar(self.routing.Start(v)).SetValue(vehicle.ready_ds)
            self.time.SetCumulVarSoftUpperBound(self.routing.End(v), vehicle.battery_ds, FLAT_COST)

    def _capacity(self) -> None:
        for k, name in enumerate(("load", "mass", "volume")):
            amounts = [(haul.size, *haul.bulk)[k] for haul in self.problem.hauls]
            if k and not any(amounts):
                continue
            change = [0] * len(self.nodes)
            for j, amount in enumerate(amounts):
                for node, sign in ((self.problem.pick(j), 1), (self.problem.pick(j) + 1, -1)):
                    if node in self._at:
                        change[self._at[node]] = sign * amount
            transit = self.routing.RegisterUnaryTransitVector(change)
            rooms = [max(v.rooms[k], v.on_board[k]) for v in self.problem.vehicles]
            self.routing.AddDimensionWithVehicleCapacity(transit, 0, rooms, False, name)
            load = self.routing.GetDimensionOrDie(name)
            for v, vehicle in enumerate(self.problem.vehicles):
                load.CumulVar(self.routing.Start(v)).SetValue(vehicle.on_board[k])

    def _haul(self, j: int) -> None:
        haul, solver = self.problem.hauls[j], self.routing.solver()
        drop = self._index(self.problem.pick(j) + 1)
        stops = [(drop, True)]
        if haul.pick_cell >= 0:
            pick = self._index(self.problem.pick(j))
            stops.append((pick, False))
            self.routing.AddPickupAndDelivery(pick, drop)
            solver.Add(self.routing.VehicleVar(pick) == self.routing.VehicleVar(drop))
            solver.Add(self.time.CumulVar(pick) <= self.time.CumulVar(drop))
        for index, is_drop in stops:
            slope, bound = self.problem.soft_bound(j, is_drop)
            self.time.SetCumulVarSoftUpperBound(index, bound, slope)
            self.routing.AddDisjunction([index], LEFT_OUT_COST)
            self.routing.VehicleVar(index).SetValues([-1, *sorted(haul.vehicles)])

    def _group(self, hauls: list[int]) -> None:
        """One vehicle for all, drops in order."""
        solver = self.routing.solver()
        drops = [self._index(self.problem.pick(j) + 1) for j in hauls]
        for a, b in zip(drops, drops[1:], strict=False):
            solver.Add(self.routing.VehicleVar(a) == self.routing.VehicleVar(b))
            solver.Add(self.time.CumulVar(a) <= self.time.CumulVar(b))

    def _index(self, node: int) -> int:
        return int(self.manager.NodeToIndex(self._at[node]))

    def indices(self, routes: Routes) -> list[list[int]]:
        return [[self._index(node) for node in route] for route in routes]

    def routes(self, found: Any) -> Routes:
        out = []
        for v in range(len(self.problem.vehicles)):
            route, index = [], found.Value(self.routing.NextVar(self.routing.Start(v)))
            while not self.routing.IsEnd(index):
                route.append(self.nodes[self.manager.IndexToNode(index)])
                index = found.Value(self.routing.NextVar(index))
            out.append(tuple(route))
        return tuple(out)
