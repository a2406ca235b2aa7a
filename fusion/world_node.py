"""World node: every robot's detections and reports in, one tracked world state out; grounds instructions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aislewise import messages, topics
from aislewise.clock import to_ns
from aislewise.errors import AislewiseError
from aislewise.node import AislewiseNode, run
from aislewise.sitemap import SiteMap
from aislewise.types import GroundedInstruction, GroundingStatus, Instruction, WorldState
from fusion.grounding import ground
from fusion.world import WorldModel


@dataclass(frozen=True)
class WorldNodeConfig:
    """site: site map file, empty = from /site_map; period_s between states; patience_s: how long an
    instruction whose object is not seen yet is tried again; avoid_margin_m around avoided objects."""

    site: str = ""
    period_s: float = 0.5
    occupancy_period_s: float = 5.0
    patience_s: float = 60.0
    avoid_margin_m: float = 0.5


class WorldNode(AislewiseNode):
    """Robots are found by their topics: whoever publishes <robot>/robot_state is in the fleet."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("world", **kwargs)
        self.settings = self.config(WorldNodeConfig)
        self.last_state: WorldState | None = None
        self._pending: list[tuple[int, Instruction]] = []
        self._robots: set[str] = set()
        self._world_pub = self.advertise(topics.WORLD_STATE)
        self._occupancy_pub = self.advertise(topics.OCCUPANCY)
        self._grounded_pub = self.advertise(topics.GROUNDED)
        self.with_site(self.settings.site, self.start)

    @property
    def pending_instructions(self) -> int:
        """Instructions still waiting for their object to be seen."""
        return len(self._pending)

    def start(self, site: SiteMap) -> None:
        self.site = site
        self.world = WorldModel(site)
        self.listen(topics.INSTRUCTION, self.on_instruction)
        self.find_robots()
        self.create_timer(1.0, self.find_robots)
        self.create_timer(self.settings.period_s, self.on_timer)
        self.create_timer(self.settings.occupancy_period_s, self.on_occupancy_timer)

    def find_robots(self) -> None:
        """Listen to every robot that has appeared."""
        suffix = "/" + topics.ROBOT_STATE.name
        for name, _ in sorted(self.get_topic_names_and_types()):
            robot = name.removesuffix(suffix).strip("/")
            if name.endswith(suffix) and robot not in self._robots:
                self._robots.add(robot)
                self.listen(topics.ROBOT_STATE, self.on_robot, f"/{robot}/")
                self.listen(topics.DETECTIONS, self.on_detections, f"/{robot}/")

    def on_robot(self, msg: Any) -> None:
        self.world.robot(messages.from_robot_msg(msg))

    def on_detections(self, msg: Any) -> None:
        self.world.update(messages.from_detections_msg(msg))

    def on_instruction(self, msg: Any) -> None:
        """What is to be avoided is avoided from now on; the rest is grounded at the next state."""
        instruction = messages.from_instruction_msg(msg)
        for phrase in instruction.avoid:
            try:
                self.world.avoid(phrase, margin_m=self.settings.avoid_margin_m)
            except AislewiseError as error:
                self.refuse(topics.INSTRUCTION.name, error)
        self._pending.append((self.now_ns(), instruction))

    def on_timer(self) -> None:
        self.last_state = self.world.state(self.now_ns())
        for heard_ns, instruction in list(self._pending):
            self.try_to_ground(heard_ns, instruction, self.last_state)
        self._world_pub.publish(messages.to_world_msg(self.last_state))

    def try_to_ground(self, heard_ns: int, instruction: Instruction, state: WorldState) -> None:
        """Publish the outcome; an object not seen yet is waited for, everything else is answered."""
        grounded = ground(instruction, state, self.site)
        waited_ns = state.stamp_ns - heard_ns
        if grounded.status is GroundingStatus.NOT_FOUND and waited_ns < to_ns(self.settings.patience_s):
            return
        self._pending.remove((heard_ns, instruction))
        self._grounded_pub.publish(
            messages.to_grounded_msg(grounded, self.position_of(grounded, state), state.stamp_ns)
        )
        self.get_logger().info(f"{instruction.text!r}: {grounded.status.value} {grounded.question}")

    @staticmethod
    def position_of(grounded: GroundedInstruction, state: WorldState) -> tuple[float, float] | None:
        found = next((o for o in state.objects if o.id == grounded.target_id), None)
        return None if found is None else (float(found.position[0]), float(found.position[1]))

    def on_occupancy_timer(self) -> None:
        if self.last_state is not None:
            self._occupancy_pub.publish(messages.to_grid_msg(self.last_state.occupancy, self.last_state.stamp_ns))


def main(args: list[str] | None = None) -> int:
    return run(WorldNode, args)
