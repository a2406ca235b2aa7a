"""What bad peers do to one of our nodes over DDS: nothing, but it is on /diagnostics."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("cyclonedds")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Int32, String

from aislewise import topics
from aislewise.diagnostics import Level
from aislewise.node import AislewiseNode


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Iterator[SingleThreadedExecutor]:
    monkeypatch.setenv("POCKETROS_TRANSPORT", "dds")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    rclpy.init()
    executor = SingleThreadedExecutor()
    yield executor
    nodes = executor.get_nodes()
    executor.shutdown()
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()


def test_payloads_that_are_no_messages_are_dropped_and_counted(executor: SingleThreadedExecutor) -> None:
    node, peer, heard = AislewiseNode("worker"), Node("peer"), []
    for one in (node, peer):
        executor.add_node(one)
    node.listen(topics.INSTRUCTION_TEXT, lambda msg: heard.append(msg.data))
    publisher = peer.create_publisher(String, topics.INSTRUCTION_TEXT.name, 10)
    while not publisher.get_subscription_count():
        time.sleep(0.01)
    for payload in (b"\0\1\0\0\xff\xff\xff\xff", b"\0\1\0\0\3\0\0\0\xff\xfe\0\0"):
        publisher.publish(payload)
    publisher.publish(String(data="bring the blue tote"))
    end = time.monotonic() + 20.0
    while not heard and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    assert heard == ["bring the blue tote"]
    concern = node.inputs[topics.INSTRUCTION_TEXT.name].concern(node.now_ns())
    assert concern.values["lost"] == "2" and concern.values["messages"] == "1"


def test_a_foreign_type_under_our_topic_name_is_a_warning(executor: SingleThreadedExecutor) -> None:
    node, peer = AislewiseNode("worker"), Node("peer")
    for one in (node, peer):
        executor.add_node(one)
    node.listen(topics.INSTRUCTION_TEXT, lambda msg: pytest.fail("delivered"))
    peer.create_publisher(Int32, topics.INSTRUCTION_TEXT.name, 10).publish(Int32(data=1))
    watch = node.inputs[topics.INSTRUCTION_TEXT.name]
    end = time.monotonic() + 20.0
    while not watch.refused and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    concern = watch.concern(node.now_ns())
    assert concern.level is Level.WARN and "another type than std_msgs/msg/String" in concern.message
