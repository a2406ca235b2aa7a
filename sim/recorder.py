"""Records a run as MCAP with CDR messages: read by Foxglove and by `ros2 bag`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mcap.writer import CompressionType, Writer

from aislewise import topics
from aislewise.node import PROFILES, AislewiseNode, message_class
from pocketros import cdr

# rosbag2 reads the offered QoS of each channel from its metadata, as YAML.
_QOS = {
    "sensor": "- history: 1\n  depth: 5\n  reliability: 2\n  durability: 2\n",
    "reliable": "- history: 1\n  depth: 10\n  reliability: 1\n  durability: 2\n",
    "transforms": "- history: 1\n  depth: 100\n  reliability: 1\n  durability: 2\n",
    "latched": "- history: 1\n  depth: 1\n  reliability: 1\n  durability: 1\n",
}
_QOS_TAIL = (
    "  deadline:\n    sec: 9223372036\n    nsec: 854775807\n"
    "  lifespan:\n    sec: 9223372036\n    nsec: 854775807\n"
    "  liveliness: 1\n"
    "  liveliness_lease_duration:\n    sec: 9223372036\n    nsec: 854775807\n"
    "  avoid_ros_namespace_conventions: false"
)

FLEET_TOPICS = (
    topics.TF, topics.TF_STATIC, topics.SITE_MAP, topics.INSTRUCTION_TEXT, topics.INSTRUCTION, topics.GROUNDED,
    topics.WORLD_STATE, topics.OCCUPANCY, topics.FLEET_PLAN, topics.DIAGNOSTICS,
)
ROBOT_TOPICS = (topics.ROBOT_STATE, topics.ROUTE, topics.DETECTIONS, topics.BATTERY)
SENSOR_TOPICS = (topics.IMAGE_RAW, topics.CAMERA_INFO_RAW, topics.POINTS_RAW)
OPTIONAL_TOPICS = (topics.DEPTH_RAW, topics.IMU_RAW)
"""Of the same robots, where the simulator publishes them."""


ABOUT = "aislewise"
"""Name of the metadata record that says what made the recording."""
ORDERS = "orders.json"
"""Name of the attachment with the orders: they came over ZeroMQ, no topic carries them."""


class Recorder(AislewiseNode):
    """Writes the fleet's topics, every robot's small topics, and the raw sensors of some robots, so that
    perception, fusion and planning can be looked at (and run again) from the file.

    sensor_robots: one robot's sensors are about 1 MB per simulated second; about: what made the recording."""

    def __init__(
        self, path: Path, robots: list[str], sensor_robots: Collection[str], about: Mapping[str, str], **kwargs: Any
    ) -> None:
        super().__init__("recorder", **kwargs)
        self._file = path.open("wb")
        self._writer = Writer(self._file, compression=CompressionType.ZSTD, chunk_size=4 << 20)
        self._writer.start(profile="ros2", library="aislewise")
        self._writer.add_metadata(ABOUT, dict(about))
        self._schemas: dict[str, int] = {}
        for topic in FLEET_TOPICS:
            self._record(topic, "")
        for robot in robots:
            more = tuple(t for t in OPTIONAL_TOPICS if self.count_publishers(f"/{robot}/{t.name}"))
            for topic in ROBOT_TOPICS + (SENSOR_TOPICS + more if robot in sensor_robots else ()):
                self._record(topic, f"/{robot}/")

    def _record(self, topic: topics.Topic, prefix: str) -> None:
        if topic.type not in self._schemas:
            self._schemas[topic.type] = self._writer.register_schema(
                name=topic.type, encoding="ros2msg", data=cdr.message_definition(topic.type).encode()
            )
        channel = self._writer.register_channel(
            topic=prefix + topic.name, message_encoding="cdr", schema_id=self._schemas[topic.type],
            metadata={"offered_qos_profiles": _QOS[topic.qos] + _QOS_TAIL},
        )

        def write(msg: Any) -> None:
            now = self.now_ns()
            self._writer.add_message(channel, log_time=now, publish_time=now, data=cdr.serialize(msg))

        self.create_subscription(message_class(topic.type), prefix + topic.name, write, PROFILES[topic.qos])

    def close(self, orders: bytes = b"") -> None:
        """Finish the file; without this it has no index. orders: JSON of those accepted (sim.recorded_orders)."""
        if orders:
            self._writer.add_attachment(0, 0, ORDERS, "application/json", orders)
        self._writer.finish()
        self._file.close()
