"""A graph in this process, and the command line verbs beside it."""

from __future__ import annotations

import contextlib
import itertools
import shlex
import threading
from collections.abc import Iterator
from typing import Any

import pytest

_domains = itertools.count(100)


class World:
    """Nodes that spin in a thread, and a way to run verbs beside them."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self._capsys = capsys
        self.context = rclpy.Context()
        rclpy.init(args=[], context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.thread = threading.Thread(target=self._spin)

    def node(self, name: str, **options: Any) -> Any:
        from rclpy.node import Node

        node = Node(name, context=self.context, **options)
        self.executor.add_node(node)
        if not self.thread.is_alive():
            self.thread.start()
        return node

    def talk(self, node: Any, topic: str, message: Any, qos: Any = 10) -> None:
        publisher = node.create_publisher(type(message), topic, qos)
        node.create_timer(0.01, lambda: publisher.publish(message))

    def hear(self, node: Any, topic: str, kind: Any, qos: Any = 10, raw: bool = False) -> list[Any]:
        heard: list[Any] = []
        node.create_subscription(kind, topic, heard.append, qos, raw=raw)
        return heard

    def run(self, line: str) -> tuple[int, str, str]:
        """Exit status, stdout and stderr of `python -m pocketros LINE`."""
        from pocketros.verbs import command

        spin = [] if line.startswith(("bag record", "bag info")) else ["--spin-time", "0"]
        self._capsys.readouterr()
        status = command.main([*shlex.split(line), *spin])
        out, err = self._capsys.readouterr()
        return status, out, err

    def good(self, line: str) -> str:
        status, out, err = self.run(line)
        assert status == 0, err
        return out

    def _spin(self) -> None:
        from rclpy.executors import ExternalShutdownException

        with contextlib.suppress(ExternalShutdownException):
            self.executor.spin()

    def close(self) -> None:
        self.context.try_shutdown()
        if self.thread.is_alive():
            self.thread.join()


@pytest.fixture
def make_world() -> type[World]:
    return World


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """For test files that have called `pocketros.activate`."""
    monkeypatch.setenv("POCKETROS_TRANSPORT", "inprocess")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(next(_domains)))
    made = World(capsys)
    yield made
    made.close()
