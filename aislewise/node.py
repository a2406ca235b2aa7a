"""What all our nodes share: parameters from config dataclasses, topics from the table, guarded callbacks.

A message that cannot be used is dropped, counted and said so on /diagnostics; it never ends the node.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, TypeVar, get_type_hints

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from aislewise.errors import AislewiseError, InputError
from aislewise.sitemap import SiteMap
from aislewise.topics import DIAGNOSTICS, SITE_MAP, Qos, Topic

C = TypeVar("C")

PROFILES: dict[Qos, QoSProfile] = {
    "sensor": QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT),
    "reliable": QoSProfile(depth=10),
    "latched": QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
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
        self.latency_ms: deque[float] = deque(maxlen=10_000)
        self._last_problem = ""
        self._diagnostics = self.advertise(DIAGNOSTICS)
        self.create_timer(1.0, self._publish_diagnostics)

    def config(self, cls: type[C], **overrides: Any) -> C:
        """Declare one parameter per simple field of a config dataclass, its default the default."""
        hints = get_type_hints(cls)
        values: dict[str, Any] = {}
        for f in dataclasses.fields(cls):  # type: ignore[arg-type]
            if hints[f.name] in (bool, int, float, str):
                default = overrides.pop(f.name, f.default)
                values[f.name] = self.declare_parameter(f.name, default).value
        return cls(**values, **overrides)

    def advertise(self, topic: Topic, prefix: str = "") -> Any:
        return self.create_publisher(message_class(topic.type), prefix + topic.name, PROFILES[topic.qos])

    def listen(self, topic: Topic, callback: Callable[[Any], None], prefix: str = "") -> Any:
        """Subscribe; `callback` may raise AislewiseError to refuse a message."""

        def guarded(msg: Any) -> None:
            started = time.perf_counter()
            try:
                callback(msg)
            except AislewiseError as error:
                self.refuse(topic.name, error)
            else:
                self.counts[f"{topic.name}.used"] += 1
                self.latency_ms.append((time.perf_counter() - started) * 1e3)

        return self.create_subscription(
            message_class(topic.type), prefix + topic.name, guarded, PROFILES[topic.qos]
        )

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
        """Count and report an input that was dropped."""
        self.counts[f"{name}.refused"] += 1
        self._last_problem = f"{name}: {error}"
        self.get_logger().warning(self._last_problem, throttle_duration_sec=5.0)

    def now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _publish_diagnostics(self) -> None:
        if not self.counts:
            return
        refused = any(n.endswith(".refused") for n in self.counts)
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN if refused else DiagnosticStatus.OK,
            name=self.get_fully_qualified_name(), hardware_id=self.get_namespace(),
            message=self._last_problem or "working",
            values=[KeyValue(key=k, value=str(v)) for k, v in sorted(self.counts.items())],
        )
        msg = DiagnosticArray(status=[status])
        msg.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(msg)


def run(make: Callable[[], Node], args: list[str] | None = None) -> int:
    """The body of every node's main(): init, spin, shut down cleanly on SIGINT or SIGTERM."""
    rclpy.init(args=args)
    node = make()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
