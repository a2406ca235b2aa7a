"""Runs the charger plan: whose turn has come, who has enough and makes room, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from aislewise.clock import to_s
from aislewise.types import Decision
from planning.charging_roster import Roster
from planning.config import PlannerConfig
from planning.distance import UNREACHABLE, DistanceTables
from planning.fleet import Robot

FREE_FOR_S = 180.0
"""An idle robot takes a charger that nobody's turn begins at for so long."""
ENOUGH = 0.002
"""Of a battery: so near to its planned charge a robot has it."""
NO_GAIN = 0.01
"""Of a battery: who has come so near to its planned charge otherwise stays away."""
LAG_MEMORY, LONGEST_LAG_S = 0.1, 300.0


@dataclass(frozen=True)
class Called:
    """cells: the robots whose turn it is, on their chargers or to go there, and which; soon: chargers where one begins soon."""

    cells: dict[str, int]
    soon: set[int]
    decisions: list[Decision] = field(default_factory=list)


class Turns:
    """Time is the newest of the robots' reports."""

    def __init__(self, config: PlannerConfig, resolution_m: float) -> None:
        self.config, self._resolution_m = config, resolution_m
        self.roster = Roster(config)
        self._called: dict[str, float] = {}
        self._finishing: set[str] = set()
        self._now_s = 0.0

    def lowest(self, robot: str) -> float:
        """Under this battery a robot takes no more work: the reserve, the way to a charger, and what it uses until its turn while
        it stands."""
        turn, cell = self.roster.turns.get(robot), self.roster.rates.cell(robot)
        waits_s = max(0.0, turn.start_s - self._now_s) if turn is not None else 0.0
        return self.roster.reserve + self.config.charge_below / 20 + waits_s * cell.idle * cell.drain

    def call(
        self, robots: Sequence[Robot], laden: Collection[str], busy: Collection[str], cells: Sequence[int], tables: DistanceTables,
        low: Collection[str], chargers: Mapping[str, int],
    ) -> Called | None:  # fmt: skip
        """What the plan says now; None: chargers are not scarce. cells: of open chargers; low: who takes no work as yet;
        chargers: where robots are sent as yet."""
        self.roster.config = self.config
        now_s = max(to_s(r.info.heard_at_ns) for r in robots)
        self._now_s = now_s
        step_s = self._resolution_m / self.config.speed_mps
        standing = {r.id: r.cell for r in robots if chargers.get(r.id) == r.cell}
        self._learn(robots, busy, low, standing, chargers)
        turns = self.roster.turns
        sent = {r: turns[r].cell for r in self._called if r in turns and r not in standing}
        if not self.roster.renew(now_s, robots, standing, sent, busy, cells, tables, step_s):
            self._called = {}
            return None
        by_id = {r.id: r for r in robots}
        for name in [r for r, t in self.roster.turns.items() if r not in by_id or t.cell not in cells]:
            self.roster.done(name)
        turns = self.roster.turns
        self._called = {r: since for r, since in self._called.items() if r in turns}
        for name in standing:  # sent by the plain rule, before
            if name in low and name in turns:
                self._called.setdefault(name, now_s)
        decisions = self._leave(now_s, by_id, standing)
        self._begin(now_s, by_id, standing, busy, tables, step_s)
        self._note_lag(now_s, laden)
        soon = {t.cell for r, t in turns.items() if r not in standing and t.start_s - now_s < FREE_FOR_S}
        return Called({r: turns[r].cell for r in self._called}, soon, decisions)

    def reason(self, robot: str, battery: float) -> Decision:
        """Why it is sent to its charger now."""
        turn, waits_s = self.roster.turns[robot], self.roster.waits_s
        because = (
            f"battery at {battery:.0%}, its turn to charge up to {turn.level:.0%}: if all came when they are low, "
            f"they would wait {waits_s / 60:.0f} min for chargers; found by {self.roster.solver}"
        )
        return Decision(
            robot, "charge", because, {"battery": battery, "up to": turn.level, "waits otherwise, s": float(waits_s)}
        )

    def _learn(
        self,
        robots: Sequence[Robot],
        busy: Collection[str],
        low: Collection[str],
        standing: Mapping[str, int],
        chargers: Mapping[str, int],
    ) -> None:
        everyone = {r.id for r in robots}
        self.roster.rates.hear(
            {r.id: to_s(r.info.heard_at_ns) for r in robots}, {r.id: r.info.battery for r in robots},
            standing, everyone - set(low), everyone - set(busy) - set(chargers),
        )  # fmt: skip

    def _leave(self, now_s: float, by_id: Mapping[str, Robot], standing: Mapping[str, int]) -> list[Decision]:
        """Who has its planned charge makes room if somebody's turn has come; else it stays up to charge_to."""
        out, turns = [], self.roster.turns
        for name in sorted(r for r in self._called if r in standing):
            battery, turn = by_id[name].info.battery, turns[name]
            next_up = [
                r
                for r, t in turns.items()
                if r != name and t.cell == turn.cell and (r in self._called or t.start_s <= now_s)
            ]
            if battery < self.config.charge_to and not (battery >= turn.level - ENOUGH and next_up):
                continue
            del self._called[name]
            self.roster.done(name)
            if next_up:
                because = f"battery at {battery:.0%}, enough for {turn.stint_s / 60:.0f} min of work: now it is {next_up[0]}'s turn"
                out.append(Decision(name, "leave charger", because, {"battery": battery, "planned": turn.level}))
        return out

    def _begin(
        self, now_s: float, by_id: Mapping[str, Robot], standing: Mapping[str, int], busy: Collection[str], tables: DistanceTables,
        step_s: float,
    ) -> None:  # fmt: skip
        """Call the next one of each charger if it gets there by its turn, and by when the one that charges there has enough."""
        turns = self.roster.turns
        users = {turns[r].cell: by_id[r] for r in self._called if r in standing}
        settled = {turns[r].cell for r in self._called if r not in standing}
        for name in list(self.roster.order):
            turn = turns[name]
            if name in self._called or name in standing or turn.cell in settled:
                continue
            steps, battery = int(tables.to(turn.cell)[by_id[name].cell]), by_id[name].info.battery
            if steps >= UNREACHABLE or battery >= turn.level - NO_GAIN:
                if turn.start_s <= now_s:
                    self.roster.done(name)
                continue
            settled.add(turn.cell)
            lead_s = steps * step_s + (self.roster.lag_s if name in busy else 0.0)
            user = users.get(turn.cell)
            left_s = self.roster.charge_s(user.id, user.info.battery, turns[user.id].level) if user is not None else 0.0
            if max(turn.start_s - now_s, left_s) <= lead_s:
                self._called[name] = now_s

    def _note_lag(self, now_s: float, laden: Collection[str]) -> None:
        """How long after its call a robot that carried something has delivered it."""
        for name in sorted(self._finishing & self._called.keys()):
            if name not in laden:
                sample = min(LONGEST_LAG_S, now_s - self._called[name])
                self.roster.lag_s += LAG_MEMORY * (sample - self.roster.lag_s)
        self._finishing = {name for name in self._called if name in laden}
