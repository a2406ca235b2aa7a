"""The RViz configuration fits the topics table: every topic exists, in its type and with a QoS that matches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from aislewise import topics

ROOT = Path(__file__).parent.parent.parent
SHOWS = {
    "Map": "nav_msgs/msg/OccupancyGrid", "MarkerArray": "visualization_msgs/msg/MarkerArray",
    "Path": "nav_msgs/msg/Path", "PointCloud2": "sensor_msgs/msg/PointCloud2", "Image": "sensor_msgs/msg/Image",
}  # fmt: skip


def displays(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        if entry["Class"] == "rviz_common/Group":
            yield from displays(entry["Displays"])
        else:
            yield entry


def config() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config" / "aislewise.rviz").read_text())


def test_every_display_shows_a_topic_of_the_table_in_its_type_and_a_matching_qos() -> None:
    table = {t.name: t for t in topics.TOPICS}
    shown = set()
    for display in displays(config()["Visualization Manager"]["Displays"]):
        package, kind = display["Class"].split("/")
        assert package == "rviz_default_plugins"
        if kind in ("Grid", "TF"):
            continue
        value = display["Topic"]["Value"]
        topic = table.get(value) or table[value.split("/", 2)[2]]
        assert topic.type == SHOWS[kind], value
        assert (display["Topic"]["Reliability Policy"] == "Best Effort") == (topic.qos == "sensor"), value
        assert (display["Topic"]["Durability Policy"] == "Transient Local") == (topic.qos == "latched"), value
        shown.add(topic.name)
    assert {"/site_map/grid", "/occupancy", "/world_markers", "route_path", "planned_path", "perception/points"} <= shown


def test_the_fixed_frame_is_map() -> None:
    assert config()["Visualization Manager"]["Global Options"]["Fixed Frame"] == "map"
