"""A replay: perception, fusion and planning run again on a recorded bag, and what they give is kept beside what the bag
says they gave.

Only inputs are played: images, clouds, transforms, the robots' reports, words and orders. Our nodes work on them in
lock step with the recorded time, so that the same bag, seed and version give the same outputs, however fast the
machine is. Robots whose sensors were not recorded are seen with by the detections that were. Planning is open loop:
robots drove the recorded routes, whatever is planned now.
"""

from __future__ import annotations

import itertools
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock as ClockMsg

from aislewise import messages, topics
from aislewise.clock import to_ns, to_s
from aislewise.errors import AislewiseError
from aislewise.node import AislewiseNode, message_class
from aislewise.sitemap import SiteMap
from fusion.fusion_node import FusionNode
from fusion.infer import Detector, PhraseEncoder
from fusion.world_node import WorldNode
from perception.camera_node import CameraNode
from perception.instruction_node import InstructionNode
from perception.lidar_node import LidarNode
from planning.protocol import decode_orders
from pocketros import cdr
from pocketros.testing import spin_until_idle
from sim.recorded_orders import RecordedOrder, decode_recorded, from_plans
from sim.replay_bag import Bag, BagError, Recorded, stamp_of
from sim.replay_inputs import CAMERA, LIDAR, Inputs, Timeline, find_inputs, played
from sim.replay_outputs import FLEET_OUTPUTS, Outputs, read_plan
from sim.replay_planner import OpenLoopPlanner

TICK_NS = to_ns(0.1)
"""Time goes on in steps no longer than this: nodes' timers must find the moments between two messages."""
GAP_NS = to_ns(60.0)
"""A longer silence is leapt over."""
SENSORS = {
    topics.IMAGE_RAW.name: "camera", topics.IMAGE.name: "camera",
    topics.POINTS_RAW.name: "lidar", topics.POINTS.name: "lidar",
}  # fmt: skip
LATCHED = (topics.TF_STATIC, topics.SITE_MAP)
PLAYED_APART = (topics.CLOCK.name, *(t.name for t in LATCHED))
PERIOD_S = (0.05, 10.0)
"""What the period of world states and plans may be."""

Progress = Callable[[float, float, int], None]
"""(seconds done, seconds in all, messages played)"""


@dataclass(frozen=True, slots=True)
class ReplayConfig:
    """weights: ONNX file of the network, "" the packaged one; orders: a file of orders as `aislewise order submit`
    reads it, instead of those in the bag; seed: of the planner, instead of the recorded one."""

    weights: str = ""
    orders: Path | None = None
    seed: int | None = None


@dataclass
class Outcome:
    """recorded, replayed: the outputs of both; stamps: of the sensor messages that were played, by robot and sensor;
    clock: what told the time; orders: how many, and where from; fusion_ms, plan_ms: of this machine, per call;
    planner_restarts: how often the recorded robots did what the planner could not make sense of."""

    path: Path
    inputs: Inputs
    about: dict[str, str]
    recorded: Outputs
    replayed: Outputs
    stamps: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    site: SiteMap | None = None
    clock: str = ""
    orders: str = "none"
    seed: int = 0
    span_s: float = 0.0
    messages: int = 0
    wall_s: float = 0.0
    fusion_ms: list[float] = field(default_factory=list)
    plan_ms: list[float] = field(default_factory=list)
    planner_restarts: int = 0


def replay(path: Path, config: ReplayConfig, progress: Progress | None = None) -> Outcome:
    """Raises BagError for a bag that cannot be read or has nothing to replay."""
    with Bag(path) as bag:
        inputs = find_inputs(bag)
        recorded, orders, source = recorded_outputs(bag, inputs, config)
        seed = config.seed if config.seed is not None else _seed(bag)
        outcome = Outcome(path, inputs, bag.about, recorded, Outputs(), orders=source, seed=seed)
        started = time.perf_counter()
        run = Replay(bag, outcome, orders, config)
        try:
            run.play(progress)
        finally:
            run.close()
        outcome.wall_s = time.perf_counter() - started
        return outcome


def recorded_outputs(bag: Bag, inputs: Inputs, config: ReplayConfig) -> tuple[Outputs, list[RecordedOrder], str]:
    """What the bag says came out, and the orders that went in with where they are from."""
    names = {t.name: t for t in FLEET_OUTPUTS if bag.counts.get(t.name)}
    names |= {n: topics.DETECTIONS for r in inputs.sensing if bag.counts.get(n := r.prefix + topics.DETECTIONS.name)}
    for name, topic in names.items():
        bag.check(topic, name)
    out, plans = Outputs(), []
    for message in bag.messages(names):
        topic = names[message.topic]
        try:
            msg = cdr.deserialize(message.data, message_class(topic.type))
            out.take(topic, msg, message.log_ns)
            if topic is topics.FLEET_PLAN and not (config.orders or bag.orders):
                plans.append(read_plan(msg))
        except (AislewiseError, cdr.CdrError) as error:
            raise BagError(message.topic, f"a message that cannot be read: {error}") from error
    if config.orders is not None:
        orders = [RecordedOrder(o, o.release_ns) for o in decode_orders(config.orders.read_bytes())]
        return out, orders, f"{len(orders)} from {config.orders.name}"
    if bag.orders:
        orders = [_taken(o, out) for o in decode_recorded(bag.orders)]
        return out, orders, f"{len(orders)} attached to the bag"
    orders = from_plans(plans)
    return out, orders, f"{len(orders)} read off the recorded plans" if orders else "none"


def _taken(order: RecordedOrder, recorded: Outputs) -> RecordedOrder:
    """An order that was accepted at the very time of a plan, by a service in a thread of its own: it came before the
    plan if the plan has it."""
    if any(p.stamp_ns == order.accepted_ns and any(k[0] == order.order.order_id for k in p.tasks) for p in recorded.plans):
        return replace(order, accepted_ns=order.accepted_ns - 1)
    return order


def _seed(bag: Bag) -> int:
    seed = bag.about.get("seed", "0")
    return int(seed) if seed.isdigit() and int(seed) < 2**31 else 0


class Replay:
    """Plays a bag to our nodes. `play()` fills the outcome."""

    def __init__(self, bag: Bag, outcome: Outcome, orders: Sequence[RecordedOrder], config: ReplayConfig) -> None:
        self.bag, self.outcome = bag, outcome
        self._accept = deque(sorted(orders, key=lambda o: o.accepted_ns))
        self._cancel = deque(sorted((o for o in orders if o.cancelled_ns >= 0), key=lambda o: o.cancelled_ns))
        self._now_ns = self._began_ns = 0
        self._period_ns = _period_ns(outcome.recorded)
        rclpy.init(args=["--ros-args", "-p", "use_sim_time:=true"])
        self.executor = SingleThreadedExecutor()
        self._sensors = {
            robot.prefix + topic.name: (robot.name, SENSORS[topic.name])
            for robot in outcome.inputs.sensing
            for topic in robot.played
            if topic.name in SENSORS
        }
        self._build_player()
        self._build_nodes(config)

    # --- building ----------------------------------------------------------------------------------

    def _build_player(self) -> None:
        """Publishers for what is played; a subscription for each output."""
        self.player = AislewiseNode("replay")
        self.executor.add_node(self.player)
        self._clock = self.player.advertise(topics.CLOCK)
        self._publishers = {
            name: self.player.advertise(topic, name.removesuffix(topic.name))
            for topic, name in self.outcome.inputs.topics
            if topic is not topics.CLOCK
        }

    def _build_nodes(self, config: ReplayConfig) -> None:
        inputs = self.outcome.inputs
        detector = Detector(config.weights or None, threads=2) if inputs.sensing else None
        self.fusion: list[FusionNode] = []
        nodes: list[Any] = []
        for robot in inputs.sensing:
            namespace = robot.prefix.rstrip("/") or "/"
            nodes += [CameraNode(namespace=namespace)] if set(CAMERA) <= set(robot.raw) else []
            nodes += [LidarNode(namespace=namespace)] if set(LIDAR) <= set(robot.raw) else []
            self.fusion.append(FusionNode(detector, namespace=namespace))
        nodes += self.fusion
        if inputs.words is topics.INSTRUCTION_TEXT:
            nodes.append(InstructionNode(PhraseEncoder()))
        period = [Parameter("period_s", value=to_s(self._period_ns))]
        self.planner = OpenLoopPlanner(
            parameter_overrides=[*period, Parameter("bind", value=""), Parameter("seed", value=self.outcome.seed)]
        )
        self.nodes = [*nodes, WorldNode(parameter_overrides=period), self.planner]
        for node in self.nodes:
            self.executor.add_node(node)
        for topic in FLEET_OUTPUTS:
            self._listen(topic, "")
        for robot in inputs.sensing:
            self._listen(topics.DETECTIONS, robot.prefix)
        spin_until_idle(self.executor)

    def _listen(self, topic: topics.Topic, prefix: str) -> None:
        self.player.listen(topic, lambda msg: self.outcome.replayed.take(topic, msg, self._now_ns), prefix)

    # --- playing -----------------------------------------------------------------------------------

    def play(self, progress: Progress | None = None) -> None:
        delays = self.outcome.recorded.delays_s
        timeline = Timeline(self.outcome.inputs, (d for values in delays.values() for d in values))
        self.outcome.clock = timeline.kind
        first_ns, last_ns = self.bag.span_ns
        total_s, begun = to_s(last_ns - first_ns), False
        early: list[Recorded] = []
        for message in played(self.bag, self.outcome.inputs):
            now_ns = timeline.at(message)
            if now_ns < 0:
                early.append(message)
                continue
            if not begun:
                begun = True
                self._begin(now_ns, early)
            self._advance(now_ns)
            self._feed(message)
            self.outcome.messages += 1
            if progress is not None and self.outcome.messages % 50 == 0:
                progress(to_s(message.log_ns - first_ns), total_s, self.outcome.messages)
        if begun:
            self._advance(self._now_ns + self._period_ns)
        self.outcome.span_s = to_s(self._now_ns - self._began_ns) if begun else 0.0
        self.outcome.fusion_ms = [ms for node in self.fusion for ms in node.fusion_ms]
        self.outcome.plan_ms = list(self.planner.plan_ms)
        self.outcome.planner_restarts = self.planner.restarts

    def _begin(self, first_ns: int, early: Sequence[Recorded]) -> None:
        """World states come at the moments at which the recorded ones did. Site map and mounts are latched: who
        recorded them had them from the start, whenever they were written down. So it is with calibrations: a recorder
        that comes into a running system may write the first image down before its camera_info."""
        worlds = self.outcome.recorded.worlds
        start_ns = first_ns
        if worlds:
            start_ns = max(0, first_ns - (first_ns - worlds[0].stamp_ns) % self._period_ns)
        self._began_ns = start_ns
        self._set_clock(start_ns)
        for topic in LATCHED:
            for message in self.bag.messages([topic.name]):
                self._publish(message)
        infos = [n for t, n in self.outcome.inputs.topics if t in (topics.CAMERA_INFO_RAW, topics.CAMERA_INFO)]
        for message in (m for name in infos for m in itertools.islice(self.bag.messages([name]), 1)):
            self._publish(message)
        spin_until_idle(self.executor)
        for message in early:
            self._feed(message)

    def _advance(self, until_ns: int) -> None:
        if until_ns - self._now_ns > GAP_NS:
            self._take_orders(self._now_ns)
            self._set_clock(until_ns)
        while self._now_ns < until_ns:
            self._take_orders(self._now_ns)
            self._set_clock(min(until_ns, (self._now_ns // TICK_NS + 1) * TICK_NS))

    def _set_clock(self, now_ns: int) -> None:
        self._now_ns = now_ns
        self._clock.publish(ClockMsg(clock=messages.to_stamp(now_ns)))
        self._take_orders(now_ns - 1)
        spin_until_idle(self.executor)
        if not rclpy.ok():  # a signal has shut ROS down; nothing would move any more
            raise KeyboardInterrupt

    def _feed(self, message: Recorded) -> None:
        """One message, and all that follows from it."""
        if message.topic in PLAYED_APART:
            return
        if message.topic in self._sensors:
            robot, sensor = self._sensors[message.topic]
            self.outcome.stamps.setdefault(robot, {}).setdefault(sensor, []).append(stamp_of(message.data))
        self._publish(message)
        spin_until_idle(self.executor)

    def _publish(self, message: Recorded) -> None:
        try:
            self._publishers[message.topic].publish(message.data)
        except cdr.CdrError as error:
            raise BagError(message.topic, f"a message that cannot be read: {error}") from error
        if message.topic == topics.SITE_MAP.name and self.outcome.site is None:
            text = cdr.deserialize(message.data, message_class(topics.SITE_MAP.type)).data
            try:
                self.outcome.site = SiteMap.from_json(json.loads(text))
            except ValueError as error:
                raise BagError(message.topic, f"not JSON: {error}") from error

    def _take_orders(self, until_ns: int) -> None:
        """Those accepted, and cancellations asked for, up to then."""
        store = self.planner.store
        if self.planner.planner is None or store is None:
            return
        while self._accept and self._accept[0].accepted_ns <= until_ns:
            self._try(lambda: self.planner.handler.accept(self._accept.popleft().order))
        while self._cancel and self._cancel[0].cancelled_ns <= until_ns:
            self._try(lambda: store.request_cancel(self._cancel.popleft().order.order_id, self._now_ns))

    def _try(self, act: Callable[[], Any]) -> None:
        """What this version of the planner refuses shows in the comparison of the plans."""
        try:
            act()
        except AislewiseError as error:
            self.player.get_logger().warning(f"order: {error}")

    def close(self) -> None:
        for node in (self.player, *self.nodes):
            node.destroy_node()
        rclpy.try_shutdown()


def _period_ns(recorded: Outputs) -> int:
    """Between two world states as they were recorded; the nodes' own where there are too few to tell."""
    stamps = np.array([w.stamp_ns for w in recorded.worlds], np.int64)
    if len(stamps) < 4:
        return to_ns(0.5)
    low, high = PERIOD_S
    return to_ns(min(max(round(float(np.median(np.diff(stamps))) / 1e9, 3), low), high))
