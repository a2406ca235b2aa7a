"""Which robots charge, and where."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from aislewise.sitemap import SiteMap
from aislewise.types import Decision
from planning.assign import FORBIDDEN, match
from planning.config import PlannerConfig
from planning.distance import UNREACHABLE, DistanceTables
from planning.fleet import Robot

WORTH_IT = 0.1  # of a battery: an idle robot does not go to charge less


class Power:
    """A robot below charge_below takes no new work and charges up to charge_to, once it has delivered what
    it carries; one without work charges where a charger is free, and may be called away."""

    def __init__(self, site: SiteMap, config: PlannerConfig) -> None:
        self.config = config
        self._all = [p.cell for p in site.of_kind("charger")]
        self._low: set[str] = set()
        self.chargers: dict[str, int] = {}
        """Robot -> the charger's cell it is sent to; nobody else is."""

    def may_work(self, robot: Robot) -> bool:
        return robot.id not in self._low or not self._all

    def assign(
        self,
        robots: Sequence[Robot],
        laden: Collection[str],
        busy: Collection[str],
        tables: DistanceTables,
        shut: NDArray[np.bool_],
    ) -> list[Decision]:
        """Renew `chargers`. laden: have goods on board; busy: have anything to do. tables: distances on
        cells that are not `shut` (H * W,)."""
        config = self.config
        battery = {r.id: r.info.battery for r in robots}
        self._low = {r for r in battery if battery[r] < config.charge_below} | {
            r for r in self._low if battery.get(r, 1.0) < config.charge_to
        }
        idle = {
            r for r in battery
            if r not in busy and battery[r] < config.charge_to - (0.0 if r in self.chargers else WORTH_IT)
        }  # fmt: skip
        open_chargers = [c for c in self._all if not shut[c]]
        before, self.chargers = self.chargers, {}
        for group in (self._low - set(laden), idle - self._low):
            free = [c for c in open_chargers if c not in self.chargers.values()]
            kept = {r: before[r] for r in sorted(group) if before.get(r) in free}
            self.chargers.update(kept)
            free = [c for c in free if c not in kept.values()]
            rest = [r for r in robots if r.id in group and r.id not in kept]
            rest.sort(key=lambda r: (r.info.battery, r.id))
            self.chargers.update(_nearest(rest[: len(free)], free, tables))
        return [
            Decision(robot, "charge", f"battery at {battery[robot]:.0%}", {"battery": battery[robot]})
            for robot, cell in sorted(self.chargers.items())
            if before.get(robot) != cell
        ]


def _nearest(robots: Sequence[Robot], cells: Sequence[int], tables: DistanceTables) -> dict[str, int]:
    if not robots or not cells:
        return {}
    costs = np.full((len(robots), len(cells)), FORBIDDEN, np.int64)
    for k, cell in enumerate(cells):
        steps = tables.to(cell)
        for i, robot in enumerate(robots):
            if steps[robot.cell] < UNREACHABLE:
                costs[i, k] = steps[robot.cell]
    return {robots[i].id: cells[k] for i, k in match(costs)[0]}
