"""The simulated warehouse: robots, people, a forklift, objects and events, stepped in simulated time, and
the sensors' view of it. Everything follows from the scenario's seed and the routes it is given."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aislewise.clock import to_ns, to_s
from aislewise.errors import InputError, NotFoundError
from aislewise.geometry import rectangle
from aislewise.types import F64, CameraModel, Colour, ObjectClass, Pose2D, RobotInfo, RobotMode, Waypoint
from sim import bodies
from sim.bodies import ROBOT_LENGTH_M, ROBOT_WIDTH_M, Body
from sim.ego_motion import Twist
from sim.errands import Cart
from sim.faults import FaultSchedule
from sim.fittings import charger_lamp
from sim.fleet import FleetRobot, Others, RobotFleet
from sim.geometry2d import convex_overlap, disc, gap_in_corridor
from sim.handling import Handling
from sim.happenings import Happenings
from sim.localisation import Localisation
from sim.mesh import Mesh, join
from sim.metrics import Collision, Handled, Referee
from sim.people import PERSON_RADIUS_M, Vehicle
from sim.render import Moment, RenderPool, Seen, View, render_all
from sim.robots import SimRobot
from sim.scenario import Scenario
from sim.scene import Base, Placed, Scene
from sim.sensors import DARK, Lighting, RawFrame
from sim.setup import (
    GENERATORS,
    place_fleet,
    place_forklift,
    place_items,
    place_people,
    place_robots,
    stand_props,
    stream,
)
from sim.suite import SensorSuite
from sim.truth import Standing, TruthObject
from sim.warehouse import generate

SUBSTEP_S = 0.05
SCANNER_M = 3.0
WATCHED_M = 8.0
"""People and forklifts look out for vehicles within."""
SIGHT_M = 30.0
"""Sensors see robots of the fleet within."""
AT_CHARGER_M = 1.3
"""From the middle of a charger's cabinet to a robot in its dock."""
FRAMES_KEPT = 8
"""Of each robot, what was to be seen in them: sensors may be late."""


@dataclass(frozen=True, slots=True)
class TruthBody:
    """One true object in `map`. z_m: height of the box centre; velocity (2,) m/s; moving: it can."""

    id: str
    cls: ObjectClass
    colour: Colour | None
    attributes: dict[str, bool]
    pose: Pose2D
    z_m: float
    size: tuple[float, float, float]
    velocity: F64
    moving: bool


class SimWorld:
    """One shift's world. Not thread-safe."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.now_ns = 0
        self.hall = generate(scenario.warehouse, stream(scenario, "goods"))
        self.site = self.hall.site
        self.drivers = place_robots(scenario, self.hall)
        self.fleet = place_fleet(scenario, self.hall)
        self.robots: dict[str, SimRobot | FleetRobot] = {**self.drivers, **(self.fleet.robots if self.fleet else {})}
        self.forklift = place_forklift(scenario, self.hall)
        vehicles = [r.pose for r in self.robots.values()] + ([self.forklift.pose] if self.forklift else [])
        self.people = place_people(scenario, self.hall, vehicles)
        self.things = place_items(scenario, self.hall)
        self.props = stand_props(scenario, self.hall, list(self.things.values()))
        self.suite = SensorSuite(
            scenario.sensors, scenario.lidar_columns, list(self.drivers), lambda *more: stream(scenario, "sensors", *more)
        )
        self.lidar, self.camera_config = self.suite.lidar, self.suite.camera
        self.light = Lighting()
        self.referee = Referee()
        self._handling = Handling(scenario, self.site, self.things, self._refresh)
        self.base = Base.of(join([self.hall.mesh, *(p.mesh for p in self.props.values())]))
        self.faults = FaultSchedule(scenario.faults)
        self._happenings = Happenings(scenario, self.hall)
        self._said = False
        self._frame = 0
        self._sub_s = SUBSTEP_S
        self._seen: dict[str, deque[tuple[int, tuple[TruthObject, ...]]]] = {}
        self._index = {name: k for k, name in enumerate(self.robots)}
        self._localisation = Localisation(scenario, self._index, len(self.drivers))
        self._meshes: dict[str, tuple[Pose2D, Mesh]] = {}
        self._taken = np.zeros(self.site.cells.shape, bool)
        self._solid: dict[str, F64] = {}
        self._refresh()

    # ---- what others ask ---------------------------------------------------------------------------

    @property
    def collisions(self) -> list[Collision]:
        return self.referee.collisions

    @property
    def picks(self) -> list[Handled]:
        return self._handling.picks

    @property
    def deliveries(self) -> list[Handled]:
        return self._handling.deliveries

    @property
    def missed_picks(self) -> list[Handled]:
        """Picks of a loose object that was not there."""
        return self._handling.missed_picks

    @property
    def T_base_lidar(self) -> F64:
        return self.lidar.T_base_lidar

    @property
    def camera(self) -> CameraModel:
        return self.camera_config.model

    def true_pose(self, robot: str) -> Pose2D:
        return self._robot(robot).pose

    def odometry(self, robot: str) -> Pose2D:
        """Drifting pose in the robot's `odom` frame, which starts where the robot starts. Of drivers only: those of
        object fidelity have no wheels that could slip."""
        return self.drivers[robot].odom

    def robot_info(self, robot: str) -> RobotInfo:
        """What the robot reports: its pose as localisation has it, the same whenever asked at one time."""
        r, lost = self._robot(robot), self.faults.lost(robot, self.now_ns)
        pose = self._localisation.pose(robot, r.pose, self.now_ns, lost)
        mode = RobotMode.LOST if lost else r.mode
        load = tuple(c.order_id for c in r.load)
        problem = self.faults.problem(robot, self.now_ns) or (r.problem if isinstance(r, SimRobot) else "")
        return RobotInfo(r.id, pose, r.battery, load, mode, r.reached_seq, self.now_ns, problem)

    def index(self, robot: str) -> int:
        """Its place among all robots, from 0."""
        self._robot(robot)
        return self._index[robot]

    def truth(self) -> list[TruthBody]:
        """Everything that is no robot, where it truly is."""
        return [
            TruthBody(
                name, s.body.cls, s.body.colour, dict(s.body.attributes), s.pose, s.z_m + s.body.z_m, s.body.size,
                s.velocity, s.body.cls in (ObjectClass.PERSON, ObjectClass.FORKLIFT),
            )
            for name, s in self._labelled().items()
        ]  # fmt: skip

    def twist(self, robot: str) -> Twist:
        """How a robot that has sensors moves at the moment."""
        return self.suite.twist(robot, self._robot(robot).pose, self._sub_s)

    def visible(self, robot: str, stamp_ns: int | None = None) -> tuple[TruthObject, ...]:
        """What was truly there to be seen in the robot's last frame, or in that of its last few which is nearest to
        stamp_ns (a late sensor's is not the last), in its base_link then."""
        self._robot(robot)
        frames = self._seen.get(robot)
        if not frames:
            return ()
        return frames[-1][1] if stamp_ns is None else min(frames, key=lambda f: abs(f[0] - stamp_ns))[1]

    def due_instructions(self) -> list[str]:
        """Texts to be said by now, each given out once."""
        wanted = self.scenario.instruction
        if wanted is None or self._said or to_s(self.now_ns) < wanted.at_s:
            return []
        self._said = True
        return [wanted.text]

    def keep_out_entries(self) -> int:
        """How often a robot drove into a wet floor that it had been told to keep off."""
        return len(self.referee.entries)

    def breakdowns(self) -> int:
        """How often robots have broken down by chance (RobotConfig.mtbf_s)."""
        return sum(r.wear.breakdowns for r in self.robots.values() if isinstance(r, SimRobot) and r.wear is not None)

    def faults_begun(self) -> int:
        """How many of the scenario's faults have come about."""
        befell = sum(not f.place and to_ns(f.at_s) <= self.now_ns for f in self.faults.faults)
        return befell + self._happenings.faults_begun

    # ---- what others do ----------------------------------------------------------------------------

    def set_route(self, robot: str, first_seq: int, waypoints: Sequence[Waypoint]) -> None:
        """Replaces every waypoint from first_seq on that has not been started (see SimRobot.set_route)."""
        for k, w in enumerate(waypoints):
            if not (0 <= w.cell < self.site.cells.size and self.site.free.flat[w.cell]):
                raise InputError(f"waypoints[{k}].cell", f"{w.cell} is not free")
        self._robot(robot).set_route(first_seq, waypoints)

    def step(self, dt_s: float) -> None:
        """Physics for dt_s, in substeps; events and contacts are looked at in each."""
        if not 0.0 < dt_s <= 10.0:
            raise InputError("dt_s", f"{dt_s}", "0 to 10 s")
        end_ns = self.now_ns + to_ns(dt_s)
        while self.now_ns < end_ns:
            sub_ns = min(to_ns(SUBSTEP_S), end_ns - self.now_ns)
            self._sub_s = to_s(sub_ns)
            self._substep(self._sub_s)
            self.now_ns += sub_ns
            if self._happenings.step(self.now_ns, self.things, self._nobody_near):
                self._refresh()
            self._judge(self._sub_s)

    def sense(self, robots: Sequence[str], pool: RenderPool | None = None) -> dict[str, RawFrame]:
        """One synchronous frame per robot."""
        return dict(self.sensing(robots, pool))

    def sensing(self, robots: Sequence[str], pool: RenderPool | None = None) -> Iterator[tuple[str, RawFrame]]:
        """One synchronous frame per robot, of the world as it is now, each as soon as it is ready, in the order
        asked for; with a pool they are rendered in parallel, to the same result."""
        if not robots:
            return iter(())
        standing = self._standing([self._robot(name).pose for name in robots])
        number = {name: k + 1 for k, name in enumerate(standing)}
        placed = self._placed(standing)
        self._frame += 1
        moment = Moment(
            self._frame, self.now_ns, placed, tuple(standing.values()), self.lidar, self.camera_config, self.light
        )
        noise = (self.scenario.seed, GENERATORS["noise"])
        views = [
            View(
                self._robot(name).pose, number[name], (*noise, 10_000 + self._index[name], self._frame), self._light(name),
                self.twist(name), self.suite.rigs[name].mounts, self.suite.level(name),
            )
            for name in robots
        ]  # fmt: skip
        frames = render_all(self.base, moment, views) if pool is None else pool.render_all(moment, views)
        return self._seen_one_by_one(robots, frames)

    def scene(self) -> Scene:
        """All that sensors can see, as it stands now; thing k of truth and robots is instance k + 1."""
        return Scene(self.base, self._placed(self._standing([r.pose for r in self.drivers.values()])))

    def _placed(self, standing: dict[str, Standing]) -> tuple[Placed, ...]:
        """The bodies as instances from 1 on; behind them what is of no class: trolleys that are led, lamps."""
        out = [Placed(self._mesh(name, s), k + 1, s.body.reflect) for k, (name, s) in enumerate(standing.items())]
        more = [cart.placed for cart in self._carts()]
        if self.scenario.lights:
            more += [charger_lamp(p, self._charger_state(p.x_m, p.y_m)) for p in self.site.of_kind("charger")]
        return (*out, *(Placed(mesh, len(out) + k + 1) for k, mesh in enumerate(more)))

    def _carts(self) -> list[Cart]:
        return [p.errands.cart for p in self.people.values() if p.errands and p.errands.cart]

    def _charger_state(self, x_m: float, y_m: float) -> str:
        """What its lamp shows."""
        here = [r for r in self.robots.values() if math.hypot(r.pose.x_m - x_m, r.pose.y_m - y_m) < AT_CHARGER_M]
        if not here:
            return "free"
        return "charging" if any(r.mode is RobotMode.CHARGING for r in here) else "taken"

    def _light(self, robot: str) -> Lighting | None:
        return DARK if self.faults.has("light blackout", robot, self.now_ns) else None

    def _seen_one_by_one(
        self, robots: Sequence[str], frames: Iterator[Seen]
    ) -> Iterator[tuple[str, RawFrame]]:
        for name, (frame, seen) in zip(robots, frames, strict=True):
            self._seen.setdefault(name, deque(maxlen=FRAMES_KEPT)).append((frame.stamp_ns, seen))
            self.suite.metered(name, frame)
            yield name, frame

    # ---- the safety scanner (sim.robots.Surroundings) ------------------------------------------------

    def gap_ahead(self, robot: str, pose: Pose2D, backwards: bool) -> float:
        view = replace(pose, yaw_rad=pose.yaw_rad + math.pi) if backwards else pose
        best = SCANNER_M
        for name, outline in self._outlines.items():
            if name == robot:
                continue
            c = self._centres[name]
            if abs(c[0] - pose.x_m) + abs(c[1] - pose.y_m) < SCANNER_M + 2.5:
                side = 0.02 if name in self.robots else 0.06
                best = min(best, gap_in_corridor(outline, view, ROBOT_WIDTH_M / 2 + side) - ROBOT_LENGTH_M / 2)
        return min(best, self.fleet.gap_ahead(view)) if self.fleet else best

    def may_turn(self, robot: str, pose: Pose2D) -> bool:
        mine = rectangle(pose, ROBOT_LENGTH_M + 0.02, ROBOT_WIDTH_M + 0.02)
        for name, outline in self._outlines.items():
            c = self._centres[name]
            near = abs(c[0] - pose.x_m) + abs(c[1] - pose.y_m) < 3.0
            if name != robot and near and convex_overlap(mine, outline):
                return False
        return self.fleet is None or self.fleet.may_turn(pose)

    # ---- one substep ---------------------------------------------------------------------------------

    def _substep(self, dt_s: float) -> None:
        self.suite.remember({r.id: r.pose for r in self.drivers.values()})
        walkers = list(self.people.values())
        truck = [self.forklift.vehicle()] if self.forklift else []
        vehicles = [
            Vehicle(r.id, r.pose, ROBOT_LENGTH_M / 2, ROBOT_WIDTH_M / 2, r.brake_m) for r in self.drivers.values()
        ]
        if self.fleet:
            about = [p.pose for p in walkers] + ([self.forklift.pose] if self.forklift else [])
            vehicles += self.fleet.vehicles(about, WATCHED_M)
        for person in walkers:
            person.step(dt_s, vehicles + truck, self._taken)
        people = {p.id: disc(p.pose.x_m, p.pose.y_m, PERSON_RADIUS_M) for p in walkers}
        people.update({c.id: c.outline for c in self._carts()})
        if self.forklift:
            self.forklift.step(dt_s, vehicles, [*people.values(), *self._solid.values()])
        movers = {**people, **{v.id: v.outline() for v in truck}}
        self._outlines = {**self._solid, **movers}
        self._outlines.update({r.id: self._footprint(r.pose) for r in self.drivers.values()})
        self._centres = {name: outline.mean(axis=0) for name, outline in self._outlines.items()}
        for robot in self.drivers.values():
            self._suffer(robot, dt_s)
            done = robot.step(dt_s, self)
            self._outlines[robot.id] = self._footprint(robot.pose)
            self._centres[robot.id] = (robot.pose.x_m, robot.pose.y_m)
            if done is not None:
                self._handling.complete(self.now_ns, robot, done)
        if self.fleet:
            self._fleet_step(dt_s, self.fleet, movers)

    def _suffer(self, robot: SimRobot | FleetRobot, dt_s: float) -> None:
        """What faults do to a robot's body."""
        robot.pace = self.faults.pace(robot.id, self.now_ns)
        robot.battery = self.faults.battery(robot.id, robot.battery, self.now_ns, self.now_ns + to_ns(dt_s))

    def _fleet_step(self, dt_s: float, fleet: RobotFleet, movers: dict[str, F64]) -> None:
        if self.faults.faults:
            for robot in fleet.robots.values():
                self._suffer(robot, dt_s)
        others = movers | {name: self._outlines[name] for name in self.drivers}
        for name, waypoint in fleet.step(dt_s, self._solid_others.and_(Others.of(others, set(self.drivers)))):
            self._handling.complete(self.now_ns, fleet.robots[name], waypoint)

    @staticmethod
    def _footprint(pose: Pose2D) -> F64:
        return rectangle(pose, ROBOT_LENGTH_M, ROBOT_WIDTH_M)

    def _judge(self, dt_s: float) -> None:
        robots = {r.id: self._footprint(r.pose) for r in self.drivers.values()}
        others = dict(self._solid)
        others.update({p.id: disc(p.pose.x_m, p.pose.y_m, PERSON_RADIUS_M) for p in self.people.values()})
        others.update({c.id: c.outline for c in self._carts()})
        if self.forklift:
            others[self.forklift.id] = replace(self.forklift.vehicle(), stop_m=0.0).outline()
        self.referee.contacts(self.now_ns, robots, others, self.hall.obstacles, self._fleet_contacts(others | robots))
        patches = {t.id: t.outline for t in self.things.values() if t.flat}
        if patches:
            robots |= self._fleet_near(list(patches.values()))
            self.referee.keep_outs(self.now_ns, dt_s, robots, patches, [p for p in patches if self._told(p)])

    def _fleet_contacts(self, others: dict[str, F64]) -> dict[tuple[str, str], tuple[float, float]]:
        """Pairs in contact of which one is of the fleet, and where. others: outlines of all else that moves or stands."""
        if not self.fleet:
            return {}
        at = self.fleet.state
        return {(a, b): tuple(at[self._index[a] - len(self.drivers), :2].tolist()) for a, b in self.fleet.contacts(Others.of(others, set()))}

    def _fleet_near(self, outlines: Sequence[F64]) -> dict[str, F64]:
        """Footprints of those of the fleet that may touch an outline."""
        if not self.fleet:
            return {}
        spots = [(*outline.mean(axis=0), float(np.ptp(outline, axis=0).max())) for outline in outlines]
        rows = {int(row) for x, y, reach in spots for row in self.fleet.near(x, y, reach + 1.0)}
        names = [self.fleet.names[row] for row in sorted(rows)]
        return {name: self._footprint(self.fleet.robots[name].pose) for name in names}

    def _told(self, patch: str) -> bool:
        wanted = self.scenario.instruction
        if wanted is None or not wanted.keep_out:
            return False
        since = max(to_ns(wanted.at_s), self._happenings.appeared_ns.get(patch, 0))
        return self.now_ns >= since + to_ns(wanted.grace_s)

    def _nobody_near(self, x_m: float, y_m: float, radius_m: float) -> bool:
        movers = [m.pose for m in (*self.drivers.values(), *self.people.values(), *self._carts())]
        if self.forklift:
            movers.append(self.forklift.pose)
        if self.fleet and len(self.fleet.near(x_m, y_m, radius_m)):
            return False
        return all(math.hypot(p.x_m - x_m, p.y_m - y_m) > radius_m for p in movers)

    # ---- bodies --------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """After things have come or gone: what is solid on the floor, and cells that people avoid."""
        self._solid = {t.id: t.outline for t in self.things.values() if not t.flat and t.z_m < 0.5}
        self._solid.update({p.id: p.outline for p in self.props.values()})
        self._solid_others = Others.of(self._solid, set())
        self._taken = np.zeros(self.site.cells.shape, bool)
        for thing in self.things.values():
            for x, y in (*thing.outline, (thing.pose.x_m, thing.pose.y_m)):
                if (cell := self.site.cell_at(float(x), float(y))) >= 0:
                    self._taken.flat[cell] = True

    def _labelled(self) -> dict[str, Standing]:
        """All bodies but robots by id, in a fixed order."""
        out = {t.id: Standing(t.body, t.pose, t.z_m) for t in self.things.values()}
        for p in self.people.values():
            out[p.id] = Standing(p.body, p.pose, 0.0, p.velocity)
        if self.forklift:
            out[self.forklift.id] = Standing(self.forklift.body, self.forklift.pose, 0.0, self.forklift.velocity)
        return out

    def _standing(self, seen_from: Sequence[Pose2D] = ()) -> dict[str, Standing]:
        """All bodies by id, in a fixed order; those of the fleet only where they can be seen from."""
        out = self._labelled()
        rows = [self.fleet.near(p.x_m, p.y_m, SIGHT_M).tolist() for p in seen_from] if self.fleet else []
        close = [self.fleet.robots[self.fleet.names[row]] for row in sorted({r for some in rows for r in some})] if self.fleet else []
        for r in (*self.drivers.values(), *close):
            mesh = bodies.robot_mesh(r.paint, [c.paint for c in r.load], self.scenario.labels)
            size = (ROBOT_LENGTH_M, ROBOT_WIDTH_M, bodies.ROBOT_HEIGHT_M)
            out[r.id] = Standing(Body(ObjectClass.ROBOT, mesh, size, r.colour), r.pose, 0.0, r.velocity)
        return out

    def _mesh(self, name: str, s: Standing) -> Mesh:
        """In `map`; kept for what does not move."""
        if name not in self.things:
            return s.body.mesh.moved(s.pose.x_m, s.pose.y_m, s.pose.yaw_rad, s.z_m)
        if name not in self._meshes or self._meshes[name][0] != s.pose:
            self._meshes[name] = (s.pose, s.body.mesh.moved(s.pose.x_m, s.pose.y_m, s.pose.yaw_rad, s.z_m))
        return self._meshes[name][1]

    def _robot(self, name: str) -> SimRobot | FleetRobot:
        robot = self.robots.get(name)
        if robot is None:
            raise NotFoundError(f"no robot {name!r}")
        return robot

