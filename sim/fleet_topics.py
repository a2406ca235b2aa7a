"""What robots of object fidelity say on ROS: their reports, and the claims that camera, lidar and network would make.

Each has its turn: reports and claims of a fleet are spread evenly over the time between two of one robot's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aislewise import messages, topics
from aislewise.node import AislewiseNode
from sim.object_sensor import ObjectSensor
from sim.world import SimWorld

LOOKS = 5


class FleetTopics:
    """on_route: takes their routes; send(robot, topic, publisher, message): puts one on their network."""

    def __init__(
        self, node: AislewiseNode, world: SimWorld, tick_s: float, on_route: Any, send: Callable[..., None]
    ) -> None:
        fidelity = world.scenario.fidelity
        assert world.fleet is not None and fidelity is not None
        self._world, self._names = world, world.fleet.names
        self._sensor = ObjectSensor(world)
        self._report_every = max(1, round(1.0 / (fidelity.state_hz * tick_s)))
        self._look_every = max(1, round(1.0 / (fidelity.object_hz * tick_s))) if fidelity.object_hz else 0
        self._send = send
        self._out = {}
        for name in self._names:
            node.listen(topics.ROUTE, on_route, f"/{name}/")
            self._out[name] = [node.advertise(t, f"/{name}/") for t in (topics.ROBOT_STATE, topics.DETECTIONS)]

    def publish(self, ticks: int) -> None:
        """Whoever's turn it is; at the first tick everybody reports, so that the whole fleet is known."""
        now = self._world.now_ns
        for name in self._names if ticks == 1 else self._turn(ticks, self._report_every):
            if not self._world.faults.has("robot silent", name, now):
                msg = messages.to_robot_msg(self._world.robot_info(name))
                self._send(name, topics.ROBOT_STATE, self._out[name][0], msg)
        looking = self._looking(ticks)
        for frame in self._sensor.frames(looking) if looking else ():
            msg = messages.to_detections_msg(frame)
            self._send(frame.robot, topics.DETECTIONS, self._out[frame.robot][1], msg)

    def _looking(self, ticks: int) -> tuple[str, ...]:
        """Who looks now: some of the fleet at every LOOKS-th tick, so that the world's truth is gathered less often."""
        if self._look_every < LOOKS:
            return self._turn(ticks, self._look_every) if self._look_every else ()
        return self._turn(ticks // LOOKS, self._look_every // LOOKS) if ticks % LOOKS == 0 else ()

    def _turn(self, ticks: int, every: int) -> tuple[str, ...]:
        return self._names[ticks % every :: every]
