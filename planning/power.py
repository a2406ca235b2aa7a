"""Which robots charge, and where."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aislewise.sitemap import SiteMap
from aislewise.types import Decision
from planning.assign import FORBIDDEN, match
from planning.charging_turns import Called, Turns
from planning.config import PlannerConfig
from planning.distance import UNREACHABLE, DistanceTables
from planning.fleet import Robot

WORTH_IT = 0.1  # of a battery: an idle robot does not go to charge less
MOST_PLANNED = 128
"""Robots of larger fleets charge by the plain rule."""


class Power:
    """A robot below charge_below takes no new work and charges up to charge_to, once it has delivered what
    it carries; one without work charges where a charger is free, and may be called away. Where robots would wait for each
    other that way, they charge by a plan instead (planning.charging): some early, some less than full, each in its turn."""

    def __init__(self, site: SiteMap, config: PlannerConfig, planned: bool = True) -> None:
        """planned: False keeps to the plain rule, to compare with."""
        self.config = config
        self._all = [p.cell for p in site.of_kind("charger")]
        self._low: set[str] = set()
        self._turns = Turns(config, site.resolution_m) if planned else None
        self.chargers: dict[str, int] = {}
        """Robot -> the charger's cell it is sent to; where robots take turns, the next one too may be on its way."""

    @property
    def solvers(self) -> dict[str, int]:
        """Who found the charger plans so far, and how many."""
        return dict(self._turns.roster.won) if self._turns is not None else {}

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
        open_chargers = [c for c in self._all if not shut[c]]
        if self._turns is not None and open_chargers and len(open_chargers) < len(robots) <= MOST_PLANNED:
            self._turns.config = self.config
            called = self._turns.call(robots, laden, busy, open_chargers, tables, self._low, self.chargers)
            if called is not None:
                return self._by_turns(self._turns, called, robots, laden, busy, open_chargers, tables)
        return self._by_level(robots, laden, busy, open_chargers, tables)

    # --- each for itself ---------------------------------------------------------------------------

    def _by_level(
        self,
        robots: Sequence[Robot],
        laden: Collection[str],
        busy: Collection[str],
        open_chargers: Sequence[int],
        tables: DistanceTables,
    ) -> list[Decision]:
        config = self.config
        battery = {r.id: r.info.battery for r in robots}
        self._low = {r for r in battery if battery[r] < config.charge_below} | {
            r for r in self._low if battery.get(r, 1.0) < config.charge_to
        }
        idle = {
            r for r in battery
            if r not in busy and battery[r] < config.charge_to - (0.0 if r in self.chargers else WORTH_IT)
        }  # fmt: skip
        before, self.chargers = self.chargers, {}
        for group in (self._low - set(laden), idle - self._low):
            self._nearest_free(robots, group, before, open_chargers, tables)
        return [
            Decision(robot, "charge", f"battery at {battery[robot]:.0%}", {"battery": battery[robot]})
            for robot, cell in sorted(self.chargers.items())
            if before.get(robot) != cell
        ]

    def _nearest_free(
        self,
        robots: Sequence[Robot],
        group: Collection[str],
        before: Mapping[str, int],
        open_chargers: Sequence[int],
        tables: DistanceTables,
    ) -> None:
        """Chargers that nobody is sent to, for robots of a group: who has one keeps it, then the lowest battery first."""
        free = [c for c in open_chargers if c not in self.chargers.values()]
        kept = {r: before[r] for r in sorted(group) if before.get(r) in free}
        self.chargers.update(kept)
        free = [c for c in free if c not in kept.values()]
        rest = [r for r in robots if r.id in group and r.id not in kept]
        rest.sort(key=lambda r: (r.info.battery, r.id))
        self.chargers.update(_nearest(rest[: len(free)], free, tables))

    # --- in turns ----------------------------------------------------------------------------------

    def _by_turns(
        self, turns: Turns, called: Called, robots: Sequence[Robot], laden: Collection[str], busy: Collection[str], open_chargers: Sequence[int],
        tables: DistanceTables,
    ) -> list[Decision]:  # fmt: skip
        """Who is called goes to its charger; what is left is for flat robots, then, for as long as nobody's turn comes, idle ones."""
        battery = {r.id: r.info.battery for r in robots}
        flat = {r for r in battery if r not in called.cells and battery[r] < turns.lowest(r)}
        self._low = set(called.cells) | flat
        before, self.chargers = self.chargers, {r: c for r, c in sorted(called.cells.items()) if r not in laden}
        full = self.config.charge_to
        idle = {
            r
            for r in battery
            if r not in busy and r not in self._low and battery[r] < full - (0.0 if r in before else WORTH_IT)
        }
        taken = set(called.cells.values())
        self._nearest_free(robots, flat - set(laden), before, [c for c in open_chargers if c not in taken], tables)
        self._nearest_free(robots, idle, before, [c for c in open_chargers if c not in taken | called.soon], tables)
        new = [r for r in sorted(self.chargers) if before.get(r) != self.chargers[r]]
        return called.decisions + [
            turns.reason(r, battery[r])
            if r in called.cells else Decision(r, "charge", f"battery at {battery[r]:.0%}", {"battery": battery[r]})
            for r in new
        ]  # fmt: skip


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
