"""Why an order went to the robot it went to: the times and costs that one dispatch compared, read off its own problem.

Costs are those of `RoutingProblem.cost`: a decisecond of driving costs 1, one of waiting or lateness as much as the order's
priority and age make of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from planning.routing import FAR, FLAT_COST, Routes, RoutingProblem

DS = 10  # deciseconds in a second
RIVALS = 3
"""Other robots whose cost is worked out: those that could be there first."""
NAMED = 4
"""Orders before, and nearer robots that may not take it, that are named."""


@dataclass(frozen=True)
class Grounds:
    """What one dispatch decided on. orders: order id by number of group; before: what was left of the routes in force."""

    problem: RoutingProblem
    routes: Routes
    before: Routes
    orders: tuple[str, ...]


class Choices:
    """Answers for the orders of one dispatch."""

    def __init__(self, grounds: Grounds) -> None:
        problem = grounds.problem
        self._problem, self._routes, self._before, self._orders = problem, grounds.routes, grounds.before, grounds.orders
        self._hauls = {grounds.orders[group]: hauls for group, hauls in problem.groups().items()}
        self._at = {node: (v, k) for v, route in enumerate(grounds.routes) for k, node in enumerate(route)}
        self._number = {vehicle.robot: v for v, vehicle in enumerate(problem.vehicles)}
        self._ready = np.array([v.ready_ds for v in problem.vehicles], np.int64)
        self._times = [arrivals(problem, v, route) for v, route in enumerate(grounds.routes)]
        ends = [times[-1] if times else int(self._ready[v]) for v, times in enumerate(self._times)]
        self._end = np.array([route[-1] if route else v for v, route in enumerate(grounds.routes)], np.int64)
        self._end_ds = np.array(ends, np.int64)

    def __contains__(self, order_id: object) -> bool:
        return order_id in self._hauls and self._first(str(order_id)) in self._at

    def arrivals_s(self) -> dict[str, float]:
        """Order -> when its robot is at its first stop, s from now."""
        out = {}
        for order_id in self._hauls:
            if order_id in self:
                v, k = self._at[self._first(order_id)]
                out[order_id] = self._times[v][k] / DS
        return out

    def facts(self, order_id: str, rivals: bool = True) -> dict[str, Any]:
        """robot, arrival_s: who is there when; stops_before, orders_before: what it does first; alone_s: when it would be
        there if it had nothing else to do; nearest: who would then be there first of those that may take the order, of
        whom there are `could`; nearer: who would be there sooner still but may not; rival: who else could take it behind
        its other work at the least cost: how much later, how much dearer."""
        problem, first = self._problem, self._first(order_id)
        v, k = self._at[first]
        route, item = self._routes[v], problem.hauls[self._hauls[order_id][0]]
        before = dict.fromkeys(self._order_of(node) for node in route[:k])
        alone = self._ready + problem.leg_ds[: len(problem.vehicles), first]
        may = np.zeros(len(alone), np.bool_)
        may[list(item.vehicles)] = True
        there = problem.leg_ds[: len(problem.vehicles), first] < FAR
        nearest = int(np.argmin(np.where(may & there, alone, FAR)))
        barred = np.flatnonzero(~may & there & (alone < alone[v]))
        barred = barred[np.argsort(alone[barred], kind="stable")][:NAMED]
        facts: dict[str, Any] = {
            "robot": problem.vehicles[v].robot, "arrival_s": self._times[v][k] / DS, "stops_before": k,
            "orders_before": [o for o in before if o != order_id][:NAMED], "alone_s": int(alone[v]) / DS,
            "nearest": {"robot": problem.vehicles[nearest].robot, "alone_s": int(alone[nearest]) / DS},
            "could": int((may & there).sum()),
            "nearer": [{"robot": problem.vehicles[u].robot, "alone_s": int(alone[u]) / DS} for u in barred.tolist()],
        }  # fmt: skip
        rival = self._rival(order_id, v, may & there) if rivals else None
        return facts | ({"rival": rival} if rival else {})

    def back(self, order_id: str, robot: str) -> dict[str, Any] | None:
        """What it would mean to give the order back to a robot that had it, at the best place among what that has to do now:
        later_s, dearer. None: it has no place for it, or may not take it."""
        u, (v, k) = self._number.get(robot, -1), self._at[self._first(order_id)]
        stops = self._problem.stops(self._hauls[order_id])
        if u < 0 or u == v or u not in self._problem.hauls[self._hauls[order_id][0]].vehicles:
            return None
        rest = self._routes[u]
        places = [rest[:p] + tuple(stops) + rest[p:] for p in range(len(rest) + 1)]
        found = [(self._dearer(v, stops, u, route), p) for p, route in enumerate(places) if fits(self._problem, u, route)]
        found = [(cost, p) for cost, p in found if cost < FAR]
        if not found:
            return None
        cost, p = min(found)
        return {"later_s": (arrivals(self._problem, u, places[p])[p] - self._times[v][k]) / DS, "dearer": cost}

    def may(self, order_id: str, robot: str) -> bool:
        """Whether the robot was one of those that could have the order."""
        u = self._number.get(robot, -1)
        return u in self._problem.hauls[self._hauls[order_id][0]].vehicles

    def knows(self, robot: str) -> bool:
        """Whether work was planned for the robot at all in this dispatch."""
        return robot in self._number

    def before_s(self, order_id: str, robot: str) -> float | None:
        """When the robot was to be at the order's first stop by what was left of the routes in force."""
        u, first = self._number.get(robot, -1), self._first(order_id)
        if u < 0 or first not in self._before[u]:
            return None
        return arrivals(self._problem, u, self._before[u])[self._before[u].index(first)] / DS

    def _first(self, order_id: str) -> int:
        return self._problem.stops(self._hauls[order_id])[0]

    def _order_of(self, node: int) -> str:
        return self._orders[self._problem.hauls[self._problem.haul_of(node)[0]].group]

    def _rival(self, order_id: str, v: int, may: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> dict[str, Any] | None:
        stops = self._problem.stops(self._hauls[order_id])
        reach = self._end_ds + self._problem.leg_ds[self._end, stops[0]]
        good = np.flatnonzero(may & (reach < FAR) & (np.arange(len(may)) != v))
        good = good[np.argsort(reach[good], kind="stable")][:RIVALS]
        found = []
        for u in good.tolist():
            route = self._routes[u] + tuple(stops)
            if fits(self._problem, u, route):
                found.append((self._dearer(v, stops, u, route), int(reach[u]), u))
        if not found:
            return None
        cost, at_ds, u = min(found)
        return {
            "robot": self._problem.vehicles[u].robot, "dearer": cost,
            "later_s": (at_ds - self._times[v][self._at[stops[0]][1]]) / DS,
        }  # fmt: skip

    def _dearer(self, v: int, stops: Sequence[int], u: int, route: Sequence[int]) -> int:
        """What the plan as a whole would cost more if v did without the stops and u drove `route`."""
        gone = set(stops)
        without = [node for node in self._routes[v] if node not in gone]
        now = route_cost(self._problem, v, self._routes[v]) + route_cost(self._problem, u, self._routes[u])
        return route_cost(self._problem, v, without) + route_cost(self._problem, u, route) - now


def arrivals(problem: RoutingProblem, vehicle: int, route: Sequence[int]) -> list[int]:
    """When the vehicle is at each stop of its route, ds from now."""
    out, at, now = [], vehicle, problem.vehicles[vehicle].ready_ds
    for node in route:
        now += int(problem.leg_ds[at, node])
        out.append(now)
        at = node
    return out


def route_cost(problem: RoutingProblem, vehicle: int, route: Sequence[int]) -> int:
    """The vehicle's part of RoutingProblem.cost."""
    times = arrivals(problem, vehicle, route)
    ready = problem.vehicles[vehicle].ready_ds
    end = times[-1] if times else ready
    waits = sum(problem.node_cost(*problem.haul_of(node), at) for node, at in zip(route, times, strict=True))
    return end - ready + waits + FLAT_COST * max(0, end - problem.vehicles[vehicle].battery_ds)


def fits(problem: RoutingProblem, vehicle: int, route: Sequence[int]) -> bool:
    """Whether what is on board never exceeds the vehicle's room."""
    carried, room = problem.vehicles[vehicle].carried, problem.vehicles[vehicle].room
    for node in route:
        j, drop = problem.haul_of(node)
        carried += -problem.hauls[j].size if drop else problem.hauls[j].size
        if carried > room and not drop:
            return False
    return True
