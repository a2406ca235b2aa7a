"""What the contract tests share: the runtime, its transports, and a graph that no other run is on.

They use rclpy's public API alone and run on a genuine installation too, where conftest.py is left out; hence a module.
"""

from __future__ import annotations

import os

import pytest

import pocketros

RUNTIME = pocketros.activate(mode=os.environ.get("POCKETROS", "always"))
TRANSPORTS = ("inprocess", "dds") if RUNTIME == "pocketros" else ("rmw",)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The transport that contexts made in this test will use."""
    if request.param == "dds":
        pytest.importorskip("cyclonedds")
    monkeypatch.setenv("POCKETROS_TRANSPORT", request.param)
    monkeypatch.setenv("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))  # not to meet other runs
    return str(request.param)
