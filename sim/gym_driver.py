"""Takes simulated robots to cells without collisions: the planner's traffic and execution layers, and nothing of its
dispatching. Who goes where, and what for, is the caller's to decide.

The same parts in the same order as planning.planner.Planner: blocked cells, goals, joint paths (PIBT), the
independent checker, and the release graph, which lets a robot enter a cell only when it is its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from aislewise.errors import AislewiseError
from aislewise.types import ATTRIBUTES, EMBEDDING_SIZE, F64, Colour, ObjectClass, Pose2D, WorldObject, WorldState
from planning.check import check_paths, check_release
from planning.config import PlannerConfig
from planning.distance import DistanceTables
from planning.fleet import Fleet, Robot
from planning.goals import Goal, Goals, Mover
from planning.obstacles import Bool, Obstacles
from planning.traffic import TrafficPlanner
from sim.bodies import Body
from sim.world import SimWorld

CHARGE = -1
"""Number of a charging slice among finished acts."""
IDLE = -1
"""Target of a robot that has nothing to do: it parks."""
FLOOR_M = 0.5
"""What stands higher (on tables) is in nobody's way."""
NO_SPEED: F64 = np.zeros(2)
CERTAIN: F64 = np.eye(4) * 1e-4


class DriverError(AislewiseError):
    """The checker refused what the traffic layer planned: a mistake of ours."""

    code = "DRIVER"


@dataclass(frozen=True, slots=True)
class Act:
    """What a robot shall do where it is sent. kind: pick, drop or charge; number: the caller's, told back when it is
    done, or CHARGE."""

    kind: str
    action_id: str
    dwell_s: float
    number: int


@dataclass(frozen=True, slots=True)
class Errand:
    """cell: where to, IDLE = nowhere; acts: what to do there."""

    cell: int = IDLE
    acts: tuple[Act, ...] = ()


class Driver:
    """Drives all robots of one world. Robots see people and things by the simulator's truth."""

    def __init__(self, world: SimWorld, config: PlannerConfig, seed: int) -> None:
        self._world = world
        self._fleet = Fleet(world.site, config)
        self._obstacles = Obstacles(world.site, config)
        self._traffic = TrafficPlanner(world.site.free, seed)
        self.tables = DistanceTables(world.site.free)
        self._goals = Goals(world.site, self.tables, config.queue_gap)
        self._sent: dict[str, tuple[int, ...]] = {}
        self._version = 0
        self._state = self._look()

    def hear(self) -> list[int]:
        """Take in where everyone is. Returns the numbers of the acts that were done since the last call; the next
        errands must know of them."""
        self._state = self._look()
        done, _, _ = self._fleet.hear(self._state.robots, self._world.now_ns)
        return [d.load for d in done if d.load != CHARGE]

    def drive(self, errands: Mapping[str, Errand]) -> None:
        """Plan and send routes. Acts that robots were told of and could not begin are sent again."""
        now_ns = self._world.now_ns
        blocked = self._obstacles.update(self._state, now_ns).with_wrecks(self._fleet.wrecks())
        shut = blocked.any
        self._fleet.take_back(shut, now_ns)
        self._fleet.unstick(now_ns)
        shut |= self._fleet.shut(shut.size)
        goals = self._aim(errands, shut)
        self._release(goals, shut, now_ns)
        self._act(errands, goals, now_ns)
        self._send()

    def handling(self, robot: str) -> bool:
        """A pick or drop is released to it and not done: it will not be called away from it."""
        known = self._fleet.robots.get(robot)
        return known is not None and any(number != CHARGE for number in known.loads.values())

    def _look(self) -> WorldState:
        self._version += 1
        robots = tuple(self._world.robot_info(r) for r in self._world.robots)
        return WorldState(self._version, self._world.now_ns, tuple(self._seen()), robots)

    def _seen(self) -> Iterator[WorldObject]:
        """What is on the floor as a tracker that makes no mistakes would have it. Not by `truth()`: that makes the
        mesh of every body, for sensors that nobody has here."""
        world = self._world
        for thing in world.things.values():
            if thing.z_m < FLOOR_M:
                yield _object(thing.id, thing.body, thing.pose, NO_SPEED, world.now_ns)
        for person in world.people.values():
            yield _object(person.id, person.body, person.pose, person.velocity, world.now_ns)
        if (truck := world.forklift) is not None:
            yield _object(truck.id, truck.body, truck.pose, truck.velocity, world.now_ns)

    def _aim(self, errands: Mapping[str, Errand], shut: Bool) -> dict[str, Goal]:
        movers, chargers = [], set()
        for robot in self._fleet.robots.values():
            if not robot.able:
                continue
            end, errand = self._fleet.graph.end_cell(robot.id), errands.get(robot.id, Errand())
            movers.append(Mover(robot.id, end, end if robot.acting else errand.cell, robot.acting))
            if any(act.number == CHARGE for act in errand.acts):
                chargers.add(errand.cell)
        return self._goals(movers, shut, frozenset(chargers))

    def _release(self, goals: Mapping[str, Goal], shut: Bool, now_ns: int) -> None:
        graph = self._fleet.graph
        names, starts, paths = self._fleet.joint_paths(self._traffic, goals, shut, now_ns)
        released = graph.extend(names, paths, shut)
        free = self._world.site.free
        wrong = check_paths(free, starts, None, paths, allow_rotation=False)
        wrong += check_release(free, {name: graph.held(name) for name in names})
        if wrong:
            raise DriverError(str(wrong[0]))
        self._fleet.send_cells(released)

    def _act(self, errands: Mapping[str, Errand], goals: Mapping[str, Goal], now_ns: int) -> None:
        """Release what is to be done to robots whose released way ends where it is done."""
        for robot in self._fleet.robots.values():
            errand, goal = errands.get(robot.id, Errand()), goals.get(robot.id)
            if goal is None or not goal.dwells or goal.cell != errand.cell or not self._may_act(robot, goal, now_ns):
                continue
            for act in errand.acts:
                self._fleet.send_action(robot, act.kind, act.action_id, act.dwell_s, act.number)

    def _may_act(self, robot: Robot, goal: Goal, now_ns: int) -> bool:
        there = self._fleet.graph.end_cell(robot.id) == goal.cell and self._fleet.all_released(robot)
        return there and not robot.acting and not self._fleet.settling(robot, now_ns)

    def _send(self) -> None:
        """To the robots whose route has changed."""
        for robot in self._fleet.robots.values():
            seqs = tuple(w.seq for w in robot.pending)
            if self._sent.get(robot.id) != seqs:
                self._sent[robot.id] = seqs
                self._world.set_route(robot.id, seqs[0] if seqs else -1, list(robot.pending))


def _object(name: str, body: Body, pose: Pose2D, velocity: F64, now_ns: int) -> WorldObject:
    classes, colours = np.zeros(len(ObjectClass), np.float32), np.zeros(len(Colour), np.float32)
    classes[body.cls] = 1.0
    if body.colour is not None:
        colours[body.colour] = 1.0
    return WorldObject(
        name, classes, colours, np.zeros(len(ATTRIBUTES), np.float32), np.array([pose.x_m, pose.y_m, body.z_m]),
        pose.yaw_rad, np.asarray(body.size, np.float64), velocity, CERTAIN, 1.0, np.zeros(EMBEDDING_SIZE, np.float32),
        0, now_ns, ("truth",),
    )  # fmt: skip
