"""What happens to the floor of a shift: events and faults that put things down, and take them away again."""

from __future__ import annotations

from collections.abc import Callable

from aislewise.clock import to_ns, to_s
from aislewise.types import Pose2D
from sim.scenario import Event, Scenario
from sim.setup import Thing, event_body, event_spots
from sim.warehouse import Warehouse

FAULT_EVENTS = {"aisle blocked": "blocked_aisle", "person down": "person_down", "spill": "wet_floor"}
"""Faults that befall a place happen as events."""


class Happenings:
    """Puts things where the scenario wants them, each when its time has come and its place is clear."""

    def __init__(self, scenario: Scenario, hall: Warehouse) -> None:
        self.scenario, self.hall = scenario, hall
        self.appeared_ns: dict[str, int] = {}
        self.faults_begun = 0
        events = (*scenario.events, *fault_events(scenario))
        self._pending: list[tuple[int, Event]] = sorted(enumerate(events), key=lambda e: e[1].at_s)
        self._until_s: dict[str, float] = {}

    def step(self, now_ns: int, things: dict[str, Thing], clear: Callable[[float, float, float], bool]) -> bool:
        """Whether things have come or gone. clear(x_m, y_m, radius_m): nobody is near that place."""
        gone = [name for name, until_s in self._until_s.items() if now_ns >= to_ns(until_s)]
        for name in gone:
            things.pop(name, None)
            del self._until_s[name]
        came = False
        for entry in list(self._pending):
            if to_s(now_ns) < entry[1].at_s:
                break
            if self._begin(*entry, now_ns, things, clear):
                self._pending.remove(entry)
                came = True
        return came or bool(gone)

    def _begin(
        self, index: int, event: Event, now_ns: int, things: dict[str, Thing],
        clear: Callable[[float, float, float], bool],
    ) -> bool:  # fmt: skip
        body = event_body(event, self.scenario, index)
        for x, y in event_spots(event, self.scenario, self.hall, index):
            if clear(x, y, max(body.size) / 2 + 1.5):
                name = event.id or f"{event.kind}_{index + 1}"
                things[name] = Thing(name, body, Pose2D(x, y, 0.0))
                self.appeared_ns[name] = now_ns
                self.faults_begun += index >= len(self.scenario.events)
                if event.until_s is not None:
                    self._until_s[name] = event.until_s
                return True
        return False


def fault_events(scenario: Scenario) -> list[Event]:
    """The scenario's faults that befall a place."""
    return [
        Event(FAULT_EVENTS[f.kind], f.at_s, f.at, until_s=None if f.for_s is None else f.until_s)
        for f in scenario.faults
        if f.place
    ]
