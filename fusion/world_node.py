"""World node: every robot's detections and reports in, one tracked world state out; grounds instructions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from aislewise import messages, topics, visual
from aislewise.clock import to_ns
from aislewise.diagnostics import Concern, Level
from aislewise.errors import AislewiseError
from aislewise.managed import ManagedNode, transition
from aislewise.node import run
from aislewise.settings import check, setting
from aislewise.sitemap import SiteMap
from aislewise.types import GroundedInstruction, GroundingStatus, Instruction, WorldState
from fusion.grounding import ground
from fusion.world import WorldConfig, WorldModel


@dataclass(frozen=True)
class WorldNodeConfig:
    """Parameters of the world node."""

    site: str = setting("", "site map file; empty: from /site_map", live=False)
    period_s: float = setting(0.5, "between two world states, s", low=0.05, high=10.0)
    occupancy_period_s: float = setting(5.0, "between two occupancy grids, s", low=0.1, high=600.0)
    patience_s: float = setting(
        60.0, "how long an instruction whose object is not seen yet is tried again, s", low=0.0, high=86_400.0
    )
    tracking: bool = setting(
        True, "false: objects are what each robot's last frame shows, none is followed over time: shows what tracking is worth", live=False
    )
    avoid_margin_m: float = setting(0.5, "kept round objects that an instruction says to avoid, m", low=0.0, high=20.0)

    def __post_init__(self) -> None:
        check(self)


class WorldNode(ManagedNode):
    """Robots are found by their topics: whoever publishes <robot>/robot_state is in the fleet."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("world", **kwargs)
        self.settings = self.config(WorldNodeConfig, self.on_settings)
        self.last_state: WorldState | None = None
        self.world: WorldModel | None = None
        self._pending: list[tuple[int, Instruction]] = []
        self._robots: set[str] = set()
        self._state_timer: Any = None
        self._occupancy_timer: Any = None
        self.autostart()

    @property
    def pending_instructions(self) -> int:
        """Instructions still waiting for their object to be seen."""
        return len(self._pending)

    # --- lifecycle ---------------------------------------------------------------------------------

    @transition
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._world_pub = self.advertise(topics.WORLD_STATE)
        self._objects_pub = self.advertise(topics.WORLD_OBJECTS)
        self._markers_pub = self.advertise(topics.WORLD_MARKERS)
        self._book = visual.MarkerBook()
        self._site_pub = self.advertise(topics.SITE_GRID)
        self._occupancy_pub = self.advertise(topics.OCCUPANCY)
        self._grounded_pub = self.advertise(topics.GROUNDED)
        self.with_site(self.settings.site, self.start)
        return super().on_configure(state)

    def start(self, site: SiteMap) -> None:
        """Everything that needs to know the site."""
        self.site = site
        self.world, self.last_state = WorldModel(site, WorldConfig(tracking=self.settings.tracking)), None
        self.listen(topics.INSTRUCTION, self.on_instruction)
        self.find_robots()
        self.every(1.0, self.find_robots)
        self._state_timer = self.every(self.settings.period_s, self.on_timer)
        self._occupancy_timer = self.every(self.settings.occupancy_period_s, self.on_occupancy_timer)

    @transition
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._site_shown = False
        return super().on_activate(state)

    def give_back(self) -> None:
        self.world = None
        self._robots.clear()
        super().give_back()

    def on_settings(self, settings: WorldNodeConfig) -> None:
        self.settings = settings
        self.retime(self._state_timer, settings.period_s)
        self.retime(self._occupancy_timer, settings.occupancy_period_s)

    def listens_to(self, topic: topics.Topic) -> bool:
        """An instruction that is given while we are not active is not lost: it waits for the next state."""
        return super().listens_to(topic) or topic is topics.INSTRUCTION

    # --- inputs ------------------------------------------------------------------------------------

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
        assert self.world is not None
        self.world.robot(messages.from_robot_msg(msg))

    def on_detections(self, msg: Any) -> None:
        assert self.world is not None
        self.world.update(messages.from_detections_msg(msg))

    def on_instruction(self, msg: Any) -> None:
        """What is to be avoided is avoided from now on; the rest is grounded at the next state."""
        assert self.world is not None
        instruction = messages.from_instruction_msg(msg)
        for phrase in instruction.avoid:
            try:
                self.world.avoid(phrase, margin_m=self.settings.avoid_margin_m)
            except AislewiseError as error:
                self.refuse(topics.INSTRUCTION.name, error)
        self._pending.append((self.now_ns(), instruction))

    # --- outputs -----------------------------------------------------------------------------------

    def on_timer(self) -> None:
        assert self.world is not None
        self.last_state = self.world.state(self.now_ns())
        for heard_ns, instruction in list(self._pending):
            self.try_to_ground(heard_ns, instruction, self.last_state)
        self._world_pub.publish(messages.to_world_msg(self.last_state))
        if self._objects_pub.get_subscription_count():
            self._objects_pub.publish(visual.to_objects_3d_msg(self.last_state))
        if self._markers_pub.get_subscription_count():
            signs = visual.world_signs(self.last_state)
            self._markers_pub.publish(self._book.write(signs, self.last_state.stamp_ns))

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
            if not self._site_shown:  # it is latched and does not change
                self._site_pub.publish(visual.to_site_grid_msg(self.site, self.last_state.stamp_ns))
                self._site_shown = True
            self._occupancy_pub.publish(messages.to_grid_msg(self.last_state.occupancy, self.last_state.stamp_ns))

    # --- diagnostics -------------------------------------------------------------------------------

    def concerns(self, now_ns: int) -> Iterable[Concern]:
        if not self.is_active:
            return super().concerns(now_ns)
        return (*super().concerns(now_ns), self._world_concern(now_ns))

    def _world_concern(self, now_ns: int) -> Concern:
        """Which robots and sensors the world state rests on."""
        if self.world is None:
            return Concern("world", Level.STALE, f"waiting for {topics.SITE_MAP.name}")
        state = self.last_state
        if state is None:
            return Concern("world", Level.STALE, "no state published yet")
        lost = [name for name, health in sorted(state.sensor_health.items()) if health != "ok"]
        values = {
            "version": str(state.version), "objects": str(len(state.objects)), "robots": str(len(state.robots)),
            "keep-outs": str(len(state.keep_outs)), "pending instructions": str(len(self._pending)),
            "not heard of": ", ".join(lost),
        }
        if not state.robots:
            return Concern("world", Level.WARN, "no robot is heard of", values)
        if lost:
            return Concern("world", Level.WARN, f"not heard of: {', '.join(lost)}", values)
        return Concern("world", values=values)


def main(args: list[str] | None = None) -> int:
    return run(WorldNode, args)
