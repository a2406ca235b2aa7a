"""What all our nodes share: parameters from config dataclasses, topics from the table, guarded callbacks, diagnostics.

A message that cannot be used is dropped, counted and said so on /diagnostics; it never ends the node.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from aislewise.diagnostics import Concern, InputWatch, Level, Timing
from aislewise.errors import AislewiseError, InputError
from aislewise.running import run
from aislewise.settings import Setting, settings_of
from aislewise.sitemap import SiteMap
from aislewise.topics import DIAGNOSTICS, SITE_MAP, Qos, Topic

__all__ = ["PROFILES", "AislewiseNode", "message_class", "run"]

C = TypeVar("C")

PROFILES: dict[Qos, QoSProfile] = {
    "sensor": QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT),
    "reliable": QoSProfile(depth=10),
    "transforms": QoSProfile(depth=100),
    "latched": QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
}
LEVELS = {
    Level.OK: DiagnosticStatus.OK, Level.WARN: DiagnosticStatus.WARN,
    Level.ERROR: DiagnosticStatus.ERROR, Level.STALE: DiagnosticStatus.STALE,
}


def message_class(type_name: str) -> Any:
    """"std_msgs/msg/String" -> the class, from whichever ROS is active."""
    package, kind, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), name)


class AislewiseNode(Node):
    """A ROS 2 node with our conventions."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.counts: Counter[str] = Counter()
        self.timing = Timing()
        self.inputs: dict[str, InputWatch] = {}
        self._configs: list[tuple[Any, Callable[[Any], None] | None]] = []
        self._diagnostics = AislewiseNode.advertise(self, DIAGNOSTICS)
        self.create_timer(1.0, self._publish_diagnostics)
        self.add_on_set_parameters_callback(self._judge_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)

    # --- parameters --------------------------------------------------------------------------------

    def config(self, cls: type[C], apply: Callable[[C], None] | None = None, **fixed: Any) -> C:
        """Declare one parameter per simple field of a config dataclass, its default the default.

        apply: takes the new config after a change at run time; without it every parameter is read-only.
        fixed: fields that are no parameters here."""
        for name, (kind, default, about) in settings_of(cls).items():
            if name not in fixed:
                self.declare_parameter(name, default, describe(about, kind, apply is not None))
        names = [n for n in settings_of(cls) if n not in fixed]
        config = cls(**{n: self.get_parameter(n).value for n in names}, **fixed)
        self._configs.append((config, apply))
        return config

    def _changed(self, config: Any, parameters: Iterable[Any]) -> Any:
        """The config with the parameters' values; InputError if it does not accept them."""
        names = settings_of(type(config))
        return dataclasses.replace(config, **{p.name: p.value for p in parameters if p.name in names})

    def _judge_parameters(self, parameters: list[Any]) -> Any:
        try:
            for config, _ in self._configs:
                self._changed(config, parameters)
        except InputError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self, parameters: list[Any]) -> None:
        for k, (config, apply) in enumerate(self._configs):
            new = self._changed(config, parameters)
            if new != config and apply is not None:
                self._configs[k] = (new, apply)
                apply(new)

    # --- topics and timers -------------------------------------------------------------------------

    def advertise(self, topic: Topic, prefix: str = "") -> Any:
        return self.create_publisher(message_class(topic.type), prefix + topic.name, PROFILES[topic.qos])

    def listen(self, topic: Topic, callback: Callable[[Any], None], prefix: str = "") -> Any:
        """Subscribe; `callback` may raise AislewiseError to refuse a message."""
        name = prefix + topic.name
        watch = self.inputs[name] = InputWatch(topic, name, self.now_ns())

        def guarded(msg: Any) -> None:
            if not self.listens_to(topic):
                return
            watch.heard(self.now_ns())
            started = time.perf_counter()
            try:
                callback(msg)
            except AislewiseError as error:
                self.refuse(name, error)
            else:
                watch.used((time.perf_counter() - started) * 1e3)
            self.timing.add((time.perf_counter() - started) * 1e3)

        events = SubscriptionEventCallbacks(
            message_lost=lambda info: watch.lose(info.total_count_change),
            incompatible_type=lambda info: watch.refuse(self.now_ns(), f"somebody publishes another type than {topic.type}"),
        )
        return self.create_subscription(
            message_class(topic.type), name, guarded, PROFILES[topic.qos], event_callbacks=events
        )

    def listens_to(self, topic: Topic) -> bool:
        """Whether messages of that topic are wanted now."""
        return True

    def every(self, period_s: float, callback: Callable[[], None]) -> Any:
        """A timer on the node's clock whose callback is timed."""

        def timed() -> None:
            started = time.perf_counter()
            callback()
            self.timing.add((time.perf_counter() - started) * 1e3)

        return self.create_timer(period_s, timed)

    def with_site(self, path: str, use: Callable[[SiteMap], None]) -> None:
        """Call `use` once with the site map: from a file, or from /site_map where `path` is empty."""
        if path:
            use(SiteMap.load(path))
            return
        seen: list[str] = []

        def on_site(msg: Any) -> None:
            if seen:
                return
            try:
                site = SiteMap.from_json(json.loads(msg.data))
            except ValueError as error:
                raise InputError("site_map", f"not JSON: {error}") from error
            seen.append(site.name)
            use(site)

        self.listen(SITE_MAP, on_site)

    def refuse(self, name: str, error: AislewiseError) -> None:
        """Count and report an input that was dropped. name: of the topic, with its prefix."""
        self.counts[f"{name}.refused"] += 1
        if name in self.inputs:
            self.inputs[name].refuse(self.now_ns(), str(error))
        self.get_logger().warning(f"{name}: {error}", throttle_duration_sec=5.0)

    def now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    # --- diagnostics -------------------------------------------------------------------------------

    def concerns(self, now_ns: int) -> Iterable[Concern]:
        """What this node has to say beside its inputs and callbacks."""
        return ()

    def _publish_diagnostics(self) -> None:
        if not self._diagnostics.get_subscription_count():
            return
        now_ns = self.now_ns()
        counts = {name: str(value) for name, value in sorted(self.counts.items())}
        found = [Concern("callbacks", values={"count": str(self.timing.count)} | self.timing.values() | counts)]
        found += self.concerns(now_ns)
        found += [watch.concern(now_ns) for watch in self.inputs.values() if self.listens_to(watch.topic)]
        msg = DiagnosticArray(status=[self._status(concern) for concern in found])
        msg.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(msg)

    def _status(self, concern: Concern) -> Any:
        return DiagnosticStatus(
            level=LEVELS[concern.level], name=f"{self.get_fully_qualified_name()}: {concern.name}",
            message=concern.message, hardware_id=self.get_namespace().strip("/") or "fleet",
            values=[KeyValue(key=k, value=v) for k, v in concern.values.items()],
        )


def describe(about: Setting, kind: type, changeable: bool) -> Any:
    """The ROS descriptor of a config field."""
    out = ParameterDescriptor(description=about.about, read_only=not (changeable and about.live))
    if about.low is not None and about.high is not None:
        if kind is int:
            out.integer_range = [IntegerRange(from_value=int(about.low), to_value=int(about.high), step=1)]
        elif kind is float:
            out.floating_point_range = [FloatingPointRange(from_value=float(about.low), to_value=float(about.high))]
    return out
