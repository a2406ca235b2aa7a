"""What it is worth that nobody keeps a turn behind a robot that is late, where robots stop at random.

    python -m benchmarks.passing_order [--robots 20 100 400] [--stop 0 0.02] [--seeds 3] [--seconds 240] [--json FILE]

The product's planner with and without it (planning.fleet, LATE_S) in a generated warehouse: orders without end (half as many
again as robots are always open), and robots that run what is released to them, one cell a tick (planning.rehearsal). After each
move a robot stands still, with the probability `stop`, for 5 to 30 s, as behind a person; the planner does not know that nor for
how long. Both runs of a row have the same hall and starts, and each robot its own sequence of stops.

delivered: loads put down; waiting: share of the time of robots with work that they stand because they may not drive; kept:
robots that wait behind others for cells committed to them, a tick, and `unheld`, the share of them whose cell nobody holds yet:
only there could two robots change places in a queue; conflicts: two robots in one cell; step_ms: median of a planner step.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from aislewise.sitemap import SiteMap
from aislewise.types import Order, OrderLine, Plan, TaskKind, Waypoint
from planning.execute import ReleaseGraph
from planning.fleet import LATE_S
from planning.planner import Planner, PlannerConfig
from planning.rehearsal import Rehearsal, Walker
from planning.store import MemoryStore
from sim.layouts import WarehouseConfig
from sim.warehouse import generate

HALLS = {20: (40, 40, 8, 8), 100: (90, 60, 16, 32), 400: (110, 90, 32, 64)}
"""Width and height of the hall (m), stations, chargers and as many parking places, by robots."""
NEVER_S = 1e6
STOP_S = (5.0, 30.0)
PICK_S = 4.0
SPEED_MPS = 1.5


class Floor(Rehearsal):
    """Robots that stop at random, each by a sequence of its own: others' decisions change nobody's luck."""

    def __init__(self, site: SiteMap, starts: dict[str, int], stop: float, seed: int) -> None:
        super().__init__(site, starts, SPEED_MPS)
        self._luck = {robot: np.random.default_rng([seed, k]) for k, robot in enumerate(starts)}
        self._stop = stop
        self.stands = dict.fromkeys(starts, 0)
        self.delivered, self.busy, self.waited, self.conflicts = 0, 0, 0, 0
        self.working: set[str] = set()

    def _run(self, walker: Walker) -> None:
        if self.stands[walker.id] > 0 and walker.present is None:
            self.stands[walker.id] -= 1
            return
        super()._run(walker)

    def obey(self, plan: Plan) -> None:
        super().obey(plan)
        self.working = {r.robot for r in plan.robots if any(t.kind is not TaskKind.CHARGE for t in r.tasks)}

    def tick(self) -> None:
        drive = {
            w.id: w.waypoints[0].cell if w.waypoints and not self.stands[w.id] else w.cell for w in self.robots.values()
        }
        taken = Counter(cell for w in self.robots.values() for cell in {w.cell, drive[w.id]})
        self.conflicts += sum(most > 1 for most in taken.values())
        for robot in self.working:
            self.busy += 1
            self.waited += not self.robots[robot].waypoints and not self.stands[robot]
        super().tick()

    def _complete(self, walker: Walker, waypoint: Waypoint) -> None:
        super()._complete(walker, waypoint)
        self.delivered += waypoint.action == TaskKind.DROP.value
        luck = self._luck[walker.id]
        if luck.random() < self._stop:
            self.stands[walker.id] = round(luck.uniform(*STOP_S) / self.tick_s)

    def _check(self) -> None:
        """Done once a tick, in `tick`: after every move it would be quadratic in the fleet."""


def _turns(graph: ReleaseGraph) -> Iterator[bool]:
    """Of each robot that waits for its turn in a cell: whether the first in turn holds the cell."""
    for robot in graph.robots:
        held, cells = graph.held(robot), graph.committed(robot)
        if len(cells) > len(held) and (first := graph.head(cells[len(held)])) != robot:
            yield cells[len(held)] in graph.held(first)


def run(robots: int, stop: float, seed: int, ticks: int) -> dict[str, Any]:
    """One shift."""
    width, height, stations, chargers = HALLS[robots]
    config = WarehouseConfig(
        width=width, height=height, layout="fulfilment", stations=stations, chargers=chargers, parking=chargers
    )
    site = generate(config, np.random.default_rng(1)).site
    rng = np.random.default_rng(seed)
    cells = rng.choice(np.flatnonzero(site.free.ravel()), robots, replace=False).tolist()
    floor = Floor(site, {f"robot_{k + 1}": cell for k, cell in enumerate(cells)}, stop, seed)
    store = MemoryStore()
    planner = Planner(site, store, PlannerConfig(pick_s=PICK_S, drop_s=PICK_S), seed)
    faces, goals = site.of_kind("pick_face"), site.of_kind("station")
    graph = planner._fleet.graph
    step_s, number, kept, unheld = [], 0, 0, 0
    for _ in range(ticks):
        while store.open_count() < 3 * robots // 2:
            line = OrderLine(goals[rng.integers(len(goals))].id, pick_from=faces[rng.integers(len(faces))].id)
            store.submit(Order(f"o{number}", (line,)), floor.now_ns)
            number += 1
        begin = time.perf_counter()
        plan = planner.step(floor.world(), floor.now_ns)
        step_s.append(time.perf_counter() - begin)
        turns = list(_turns(graph))
        kept, unheld = kept + len(turns), unheld + turns.count(False)
        floor.obey(plan)
        floor.tick()
    return {
        "delivered": floor.delivered, "waiting": round(floor.waited / max(1, floor.busy), 4), "kept": round(kept / ticks, 2),
        "unheld": round(unheld / max(1, kept), 4), "conflicts": floor.conflicts + len(floor.violations),
        "step_ms": round(1e3 * float(np.median(step_s)), 2),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--robots", type=int, nargs="+", choices=tuple(HALLS), default=list(HALLS))
    parser.add_argument("--stop", type=float, nargs="+", default=[0.0, 0.02])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=240.0, help="simulated (default %(default)s)")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    for robots, stop, seed in itertools.product(args.robots, args.stop, range(1, 1 + args.seeds)):
        row: dict[str, Any] = {"robots": robots, "stop": stop, "seed": seed}
        for name, late_s in (("kept_turns", NEVER_S), ("late_last", LATE_S)):
            with mock.patch("planning.fleet.LATE_S", late_s):
                row[name] = run(robots, stop, seed, round(args.seconds * SPEED_MPS))
            f = row[name]
            print(
                f"{robots:4d} robots, stop {stop:.3f}, seed {seed}, {name:10s}: {f['delivered']:4d} delivered, waiting {f['waiting']:6.1%}, "
                f"{f['kept']:6.2f} in turn, {f['unheld']:5.1%} of them unheld, {f['conflicts']} conflicts, step {f['step_ms']:6.2f} ms", flush=True,
            )  # fmt: skip
        rows.append(row)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
