"""Pytest plugin of tools/rclpy_tests.py: pocketros instead of rclpy, outcomes as lines of JSON."""

from __future__ import annotations

import json
import os
from typing import Any

import pocketros

pocketros.activate([os.environ["RCLPY_TESTS_INTERFACES"]], mode="always")


def pytest_configure(config: Any) -> None:
    _lend_handles()
    helpers = os.environ["RCLPY_TESTS_HELPERS"]  # test_msgs has plain Python modules as well
    if helpers:
        import test_msgs

        test_msgs.__path__.append(helpers)  # type: ignore[attr-defined]


class Handle:
    """Stands in for a C handle: can be entered and let go of, and that is all."""

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def destroy_when_not_in_use(self) -> None:
        pass


def _lend_handles() -> None:
    from rclpy.client import Client
    from rclpy.context import Context
    from rclpy.node import Node
    from rclpy.publisher import Publisher
    from rclpy.service import Service
    from rclpy.subscription import Subscription
    from rclpy.timer import Timer

    for cls in (Client, Context, Node, Publisher, Service, Subscription, Timer):
        cls.handle = property(lambda _: Handle())  # type: ignore[attr-defined]


def pytest_runtest_logreport(report: Any) -> None:
    """One line per phase of a test: its function (without parameters) and what came of it."""
    line = {"function": report.nodeid.partition("::")[2].partition("[")[0], "outcome": report.outcome}
    if report.failed:
        line["message"] = getattr(getattr(report.longrepr, "reprcrash", None), "message", "")[:200]
    if report.when == "call" or not report.passed:
        with open(os.environ["RCLPY_TESTS_REPORT"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
