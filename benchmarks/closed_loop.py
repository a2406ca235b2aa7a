"""One shift under three planners: ours, greedy dispatch on shortest paths, and OR-Tools routing with PIBT alone.

    python -m benchmarks.closed_loop [--fleets small large] [--seeds 2] [--json FILE]

The same hall, robots and orders for each; robots drive with their real dynamics (sim.fleet) and report themselves truly, nobody
walks about: what differs is who plans. Greedy: a robot without work takes the nearest order, drives the shortest path,
knows nothing of others, stops while the next cell is taken, and after five seconds looks for a way round them. OR-Tools and PIBT: this planner without its own
insertion and search (new orders are assigned, the routing library looks for better where there are at most 40 loads), and without
what it does for fleets of more than 40 robots (one-way aisles, planned moves dropped, crowds called in turn).
Figures: orders done, when the last was, orders an hour until then (or until the end), time from release to delivery, share
that was late, share of a busy robot's time that it stood waiting, share of the way driven empty, and energy in hours of
driving at full drain, for each order done.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from aislewise.clock import to_s
from aislewise.types import Order, RobotInfo, RobotMode, TaskKind, Waypoint, WorldState
from planning.distance import UNREACHABLE, DistanceTables
from planning.planner import Planner, PlannerConfig
from planning.store import MemoryStore
from sim.demand import make_demand
from sim.scenario import Scenario, scenario_from
from sim.watch import Travel
from sim.world import SimWorld

FLEETS: dict[str, dict[str, Any]] = {
    "small": {"robots": 20, "orders": 80, "release_s": 240, "duration_s": 1200,
              "warehouse": {"layout": "fulfilment", "width": 40, "height": 40, "stations": 8, "chargers": 8, "parking": 12}},
    "large": {"robots": 100, "orders": 200, "release_s": 60, "duration_s": 1200,
              "warehouse": {"layout": "fulfilment", "width": 90, "height": 60, "stations": 16, "chargers": 32, "parking": 32}},
}  # fmt: skip
PLANNERS = ("aislewise", "greedy", "ortools_pibt")
PLAN_S, TICK_S, PICK_S = 0.5, 0.1, 4.0
NEVER = 10**9
LARGE = ("planning.planner.LARGE_FLEET", "planning.goals.MANY_WAITING")
"""Sizes from which the planner treats fleets as large."""
OWN_SEARCH = "planning.dispatch.Search"


class Ours:
    """The planner, called twice a second."""

    def __init__(self, world: SimWorld, seed: int) -> None:
        self.store, self._version = MemoryStore(), 0
        self._planner = Planner(world.site, self.store, PlannerConfig(pick_s=PICK_S, drop_s=PICK_S), seed)

    def take(self, order: Order, now_ns: int) -> None:
        self.store.submit(order, now_ns)

    def open(self) -> int:
        return self.store.open_count()

    def routes(self, infos: tuple[RobotInfo, ...], now_ns: int) -> dict[str, tuple[tuple[Waypoint, ...], bool]]:
        """Robot -> (what it shall run, whether it has work)."""
        self._version += 1
        plan = self._planner.step(WorldState(self._version, now_ns, (), infos), now_ns)
        return {r.robot: (r.released, any(t.kind is not TaskKind.CHARGE for t in r.tasks)) for r in plan.robots}


class Greedy:
    """Nearest order first, shortest paths, and waiting for whoever is in the way; after five seconds, a way round."""

    AHEAD, PATIENCE = 3, 10  # cells taken at once; plans

    def __init__(self, world: SimWorld) -> None:
        self._site = world.site
        self._tables = DistanceTables(self._site.free)
        self._waiting: dict[str, Order] = {}
        self._stops: dict[str, list[tuple[str, int, str]]] = {}  # (action, cell, action id)
        self._cell: dict[str, int] = {}
        self._sent: dict[str, list[Waypoint]] = {}
        self._seq: dict[str, int] = {}
        self._stood: Counter[str] = Counter()

    def take(self, order: Order, now_ns: int) -> None:
        self._waiting[order.order_id] = order

    def open(self) -> int:
        return len(self._waiting) + sum(bool(stops) for stops in self._stops.values())

    def routes(self, infos: tuple[RobotInfo, ...], now_ns: int) -> dict[str, tuple[tuple[Waypoint, ...], bool]]:
        for info in infos:
            self._hear(info)
        for info in infos:
            if not self._stops.get(info.id) and self._waiting:
                self._assign(info.id)
        for info in infos:
            self._extend(info.id)
        return {info.id: (tuple(self._sent[info.id]), bool(self._stops.get(info.id))) for info in infos}

    def _hear(self, info: RobotInfo) -> None:
        self._cell.setdefault(info.id, self._site.cell_at(info.pose.x_m, info.pose.y_m))
        self._seq.setdefault(info.id, info.reached_seq + 1)
        sent = self._sent.setdefault(info.id, [])
        self._stood[info.id] += 1
        while sent and info.reached_seq >= sent[0].seq:
            waypoint = sent.pop(0)
            self._cell[info.id], self._stood[info.id] = waypoint.cell, 0
            if waypoint.action:
                self._stops[info.id].pop(0)

    def _assign(self, robot: str) -> None:
        steps = self._tables.to(self._cell[robot])
        order_id = min(self._waiting, key=lambda o: (int(steps[self._places(self._waiting[o])[0][1]]), o))
        self._stops[robot] = self._places(self._waiting.pop(order_id))

    def _places(self, order: Order) -> list[tuple[str, int, str]]:
        out = []
        for k, line in enumerate(order.lines):
            face = line.pick_from or self._site.skus[line.sku]
            out += [(action, self._site.places[place].cell, f"{order.order_id}:{k}")
                    for action, place in (("pick", face), ("drop", line.deliver_to))]  # fmt: skip
        return out

    def _extend(self, robot: str) -> None:
        sent, stops = self._sent[robot], self._stops.get(robot)
        if not stops or (sent and sent[-1].action):
            return
        action, goal, action_id = stops[0]
        others = {c for r, c in self._cell.items() if r != robot} | {w.cell for r, way in self._sent.items() if r != robot for w in way}
        steps = self._tables.to(goal)
        if not sent and self._stood[robot] > self.PATIENCE and goal not in others:
            free = self._site.free.copy()
            free.flat[list(others)] = False
            steps = DistanceTables(free).to(goal)
        while len(sent) < self.AHEAD:
            here = sent[-1].cell if sent else self._cell[robot]
            if here == goal:
                self._send(robot, here, action, action_id)
                return
            ahead = min((int(c) for c in self._tables.nbr[here] if c >= 0), key=lambda c: (int(steps[c]), c))
            if ahead in others or steps[ahead] >= UNREACHABLE:
                return
            self._send(robot, ahead)

    def _send(self, robot: str, cell: int, action: str = "", action_id: str = "") -> None:
        x, y = self._site.centre(cell)
        self._sent[robot].append(Waypoint(self._seq[robot], x, y, cell, action, action_id, PICK_S if action else 0.0))
        self._seq[robot] += 1


def scenario(fleet: str, seed: int) -> Scenario:
    return scenario_from({
        "name": f"{fleet}_{seed}", "seed": seed, "people": 0, "forklifts": 0, "slotting_m": 20.0, "demand": {"profile": "even"},
        "fidelity": {"sensor": 0}, **FLEETS[fleet],
    })  # fmt: skip


def run(name: str, fleet: str, seed: int) -> dict[str, Any]:
    """One shift, until all is delivered or its time is over."""
    world = SimWorld(scenario(fleet, seed))
    orders = sorted(make_demand(world.scenario, world.site).orders, key=lambda o: (o.release_ns, o.order_id))
    planner = Greedy(world) if name == "greedy" else Ours(world, seed)
    sent: dict[str, tuple[int, ...]] = {}
    travel, waited, busy_s = Travel(), 0.0, 0.0
    coming = iter(orders)
    order = next(coming, None)
    while to_s(world.now_ns) < world.scenario.duration_s and (order is not None or planner.open()):
        while order is not None and order.release_ns <= world.now_ns:
            planner.take(order, world.now_ns)
            order = next(coming, None)
        infos = tuple(world.robot_info(r) for r in world.robots)
        routes = planner.routes(infos, world.now_ns)
        for info in infos:
            way, _ = routes.get(info.id, ((), False))
            seqs = tuple(w.seq for w in way)
            if sent.get(info.id) != seqs:
                sent[info.id] = seqs
                world.set_route(info.id, way[0].seq if way else -1, way)
        before = {r.id: r.distance_m for r in world.robots.values()}
        travel.sample(world.robots.values())
        for _ in range(round(PLAN_S / TICK_S)):
            world.step(TICK_S)
        for info in infos:
            if routes.get(info.id, ((), False))[1] and info.mode not in (RobotMode.ACTING, RobotMode.CHARGING):
                busy_s += PLAN_S
                waited += PLAN_S * (world.robots[info.id].distance_m - before[info.id] < 0.05)
    travel.sample(world.robots.values())
    return figures(world, orders, waited / max(busy_s, 1e-9), travel.empty_share, travel.energy_h)


def figures(world: SimWorld, orders: list[Order], waiting: float, empty: float, energy_h: float) -> dict[str, Any]:
    """Of orders whose lines have all been put down."""
    lines = {o.order_id: len(o.lines) for o in orders}
    drops: dict[str, list[int]] = {}
    for item in world.deliveries:
        drops.setdefault(item.order_id, []).append(item.stamp_ns)
    ended = {o: max(times) for o, times in drops.items() if len(times) >= lines.get(o, NEVER)}
    took = [to_s(ended[o.order_id] - o.release_ns) for o in orders if o.order_id in ended]
    due = [o for o in orders if o.due_ns]
    late = sum(ended.get(o.order_id, NEVER * 10**9) > o.due_ns for o in due)
    end_s = to_s(max(ended.values())) if len(ended) == len(orders) else to_s(world.now_ns)
    return {
        "done": len(ended), "orders": len(orders), "end_s": round(end_s, 1), "per_hour": round(3600.0 * len(ended) / end_s, 1),
        "order_s": {"mean": round(float(np.mean(took)), 1) if took else 0.0, "p95": round(float(np.percentile(took, 95)), 1) if took else 0.0},
        "late": round(late / len(due), 3) if due else 0.0, "waiting": round(waiting, 3), "empty": round(empty, 3),
        "energy_per_order_h": round(energy_h / max(1, len(ended)), 4), "collisions": len(world.collisions),
    }  # fmt: skip


def measured(name: str, fleet: str, seed: int) -> dict[str, Any]:
    """One shift in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.closed_loop", "--one", name, fleet, str(seed)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    out: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fleets", nargs="+", choices=tuple(FLEETS), default=list(FLEETS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        with ExitStack() as patches:
            for module in LARGE if args.one[0] == "ortools_pibt" else ():
                patches.enter_context(mock.patch(module, NEVER))
            if args.one[0] == "ortools_pibt":
                patches.enter_context(mock.patch(OWN_SEARCH, side_effect=RuntimeError("not asked")))
            print(json.dumps(run(args.one[0], args.one[1], int(args.one[2]))))
        return 0
    rows = []
    for fleet in args.fleets:
        for name in PLANNERS:
            for seed in range(1, 1 + args.seeds):
                f = measured(name, fleet, seed)
                rows.append({"fleet": fleet, "planner": name, "seed": seed, **f})
                print(
                    f"{fleet:6s} {name:12s} seed {seed}: {f['done']:3d}/{f['orders']} by {f['end_s']:6.1f} s, {f['per_hour']:6.1f} an hour, order "
                    f"{f['order_s']['mean']:5.1f} s (p95 {f['order_s']['p95']:5.1f}), late {f['late']:.0%}, waiting {f['waiting']:.0%}, "
                    f"empty {f['empty']:.0%}, energy {f['energy_per_order_h']:.3f} h, {f['collisions']} collisions", flush=True,
                )  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
