"""What robots do with goods: they take them out of racks or off the floor, and put them on stations' tables."""

from __future__ import annotations

import math
from collections.abc import Callable

from aislewise.sitemap import SiteMap
from aislewise.types import Colour, ObjectClass, Pose2D, Waypoint
from sim import bodies
from sim.bodies import TOTE_SIZE_M, Body
from sim.fleet import FleetRobot
from sim.metrics import Handled
from sim.robots import Carried, SimRobot
from sim.scenario import Scenario
from sim.setup import Thing, stream

PICK_REACH_M = 2.3
TABLE_Z_M = 0.76
TABLE_SLOTS = ((-0.38, 0.0), (0.38, 0.0), (-0.38, TOTE_SIZE_M[2]), (0.38, TOTE_SIZE_M[2]))


class Handling:
    """things: the world's, which goods leave and join; changed: called whenever they do."""

    def __init__(
        self, scenario: Scenario, site: SiteMap, things: dict[str, Thing], changed: Callable[[], None]
    ) -> None:
        self._scenario, self._site, self._things, self._changed = scenario, site, things, changed
        self._tables: dict[str, list[str]] = {}
        self.picks: list[Handled] = []
        self.deliveries: list[Handled] = []
        self.missed_picks: list[Handled] = []

    def complete(self, now_ns: int, robot: SimRobot | FleetRobot, waypoint: Waypoint) -> None:
        """The robot has carried out the waypoint's action."""
        if waypoint.action == "pick":
            self._pick(now_ns, robot, waypoint)
        elif waypoint.action == "drop":
            self._drop(now_ns, robot, waypoint)

    def _pick(self, now_ns: int, r: SimRobot | FleetRobot, waypoint: Waypoint) -> None:
        """With an object_id (the fleet's name for it, not ours): the nearest loose tote, if one is in
        reach. Else one load of the rack's goods."""
        order = waypoint.action_id.rpartition(":")[0] or waypoint.action_id
        place = self._place_at(waypoint.cell, "pick_face")
        if waypoint.object_id:
            thing = self._loose_tote(r.pose)
            if thing is None:
                self.missed_picks.append(Handled(now_ns, r.id, order, waypoint.object_id, place))
                return
            del self._things[thing.id]
            self._changed()
            colour, name = thing.body.colour or Colour.GREY, thing.id
            paint = thing.body.mesh.colour[0]
        else:
            rng = stream(self._scenario, "looks", 1, len(self.picks))
            colour, name = bodies.any_colour(rng), f"goods_{len(self.picks) + 1}"
            paint = bodies.shade(rng, colour)
        r.load.append(Carried(order, waypoint.action_id, name, colour, paint, self._weight_kg()))
        self.picks.append(Handled(now_ns, r.id, order, name, place))

    def _weight_kg(self) -> float:
        """Of the load that is just being picked."""
        low, high = self._scenario.robot.load_kg
        return float(stream(self._scenario, "wear", 1_000_000, len(self.picks)).uniform(low, high)) if high else 0.0

    def _loose_tote(self, pose: Pose2D) -> Thing | None:
        """On the floor, nearest first."""
        reach = {
            t.id: math.hypot(t.pose.x_m - pose.x_m, t.pose.y_m - pose.y_m)
            for t in self._things.values()
            if t.body.cls == ObjectClass.TOTE and t.z_m < 0.1
        }
        best = min(reach, key=lambda k: (reach[k], k), default="")
        return self._things[best] if best and reach[best] <= PICK_REACH_M else None

    def _drop(self, now_ns: int, r: SimRobot | FleetRobot, waypoint: Waypoint) -> None:
        """Puts the load of that action id on the station's table; the oldest there is taken away when
        the table is full."""
        station = self._place_at(waypoint.cell, "station")
        load = next((c for c in r.load if c.action_id == waypoint.action_id), None)
        if load is None:
            return
        r.load.remove(load)
        self.deliveries.append(Handled(now_ns, r.id, load.order_id, load.object_id, station))
        if not station:
            return
        table = self._tables.setdefault(station, [])
        if len(table) == len(TABLE_SLOTS):
            for name in table:
                self._things.pop(name, None)
            table.clear()
        dx, dz = TABLE_SLOTS[len(table)]
        at = self._site.places[station]
        body = Body(ObjectClass.TOTE, bodies.tote_mesh(load.paint, self._scenario.labels), TOTE_SIZE_M, load.colour)
        name = load.object_id
        aside = abs(math.cos(at.yaw_rad)) > 0.5  # a table at the west or east wall stands along y
        pose = Pose2D(at.x_m, at.y_m + dx, math.pi / 2) if aside else Pose2D(at.x_m + dx, at.y_m, 0.0)
        self._things[name] = Thing(name, body, pose, TABLE_Z_M + dz)
        table.append(name)
        self._changed()

    def _place_at(self, cell: int, kind: str) -> str:
        return next((p.id for p in self._site.of_kind(kind) if p.cell == cell), "")
