"""OR-Tools' routing library on order batching, for comparison: orders as the customers of a capacitated routing problem."""

from __future__ import annotations

from typing import Any

import numpy as np

from planning.batching_kernels import relatedness
from planning.batching_problem import Problem
from planning.batching_search import Effort, Search


def or_tools_groups(problem: Problem, seconds: float) -> list[list[int]] | None:
    """Groups of orders by guided local search in that much wall time; None if it finds none. Two orders are as far apart as
    the mean way from a place of one to the nearest of the other; the station is half an order's own tour away, less what
    lies within it."""
    from ortools.constraint_solver import pywrapcp, routing_enums_pb2

    search = Search(problem, Effort(clock=None, rounds=0), 0)
    data, n = search.data, len(search.orders)
    apart = np.zeros((n, n))
    relatedness(data, apart)
    legs = np.zeros((n + 1, n + 1), np.int64)
    legs[1:, 1:] = np.rint(apart / 2.0)
    legs[0, 1:] = legs[1:, 0] = data.alone // 2
    np.fill_diagonal(legs, 0)
    manager = pywrapcp.RoutingIndexManager(n + 1, n, 0)
    routing = pywrapcp.RoutingModel(manager)
    routing.SetArcCostEvaluatorOfAllVehicles(routing.RegisterTransitMatrix(legs.tolist()))
    for kind, room in enumerate(data.capacity.tolist()):
        loads = routing.RegisterUnaryTransitVector([0, *data.load[:, kind].tolist()])
        routing.AddDimensionWithVehicleCapacity(loads, 0, [room] * n, True, f"load {kind}")
    parameters: Any = pywrapcp.DefaultRoutingSearchParameters()
    parameters.first_solution_strategy = routing_enums_pb2.FirstSolutionStrategy.SAVINGS
    parameters.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    parameters.time_limit.FromMilliseconds(round(1000 * seconds))
    found = routing.SolveWithParameters(parameters)
    if not found:
        return None
    groups = []
    for vehicle in range(n):
        group, index = [], found.Value(routing.NextVar(routing.Start(vehicle)))
        while not routing.IsEnd(index):
            group.append(int(search.orders[manager.IndexToNode(index) - 1]))
            index = found.Value(routing.NextVar(index))
        if group:
            groups.append(group)
    return groups
