"""Small shifts whose nodes are processes of their own: over DDS, and mixed with a genuine ROS 2 where there is one.

The mixed runs need a sourced ROS 2 with this package in its workspace: `pytest -m slow tests/sim/test_live.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sim.test_shift import SMALL

pytest.importorskip("cyclonedds")

ROOT = Path(__file__).parent.parent.parent
SIM_TIME = ["--ros-args", "-p", "use_sim_time:=true"]


def ros_prefix() -> str:
    """Where the genuine ROS 2 has this package; empty without one."""
    if shutil.which("ros2") is None:
        return ""
    found = subprocess.run(["ros2", "pkg", "prefix", "aislewise"], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else ""


class Site:
    """Processes on one ROS domain; `runtime` is "pocketros" or "rclpy"."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        (folder / "small.yaml").write_text(SMALL)

    def command(self, runtime: str, name: str) -> tuple[list[str], dict[str, str]]:
        environment = os.environ | {
            "ROS_DOMAIN_ID": str(1 + os.getpid() % 100), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        if runtime == "rclpy":
            return [f"{ros_prefix()}/lib/aislewise/{name}"], environment | {"POCKETROS": "never"}
        environment |= {"POCKETROS": "always", "POCKETROS_TRANSPORT": "dds", "PYTHONPATH": str(ROOT)}
        start = f"import sys; from cli import main, nodes; sys.exit(getattr(nodes, {name!r}, main.main)())"
        return [sys.executable, "-c", start], environment

    def start(self, runtime: str, name: str, *arguments: str) -> None:
        command, environment = self.command(runtime, name)
        self._running.append(
            subprocess.Popen([*command, *SIM_TIME, *arguments], env=environment, cwd=self._folder)
        )

    def validate(self, runtime: str) -> tuple[int, dict]:
        command, environment = self.command(runtime, "aislewise")
        arguments = ["small.yaml", "--live", "--connect", self.endpoint, "--json", "result.json"]
        code = subprocess.run(
            [*command, "validate", *arguments], env=environment, cwd=self._folder, timeout=400, check=False
        ).returncode
        return code, json.loads((self._folder / "result.json").read_text())["scenarios"][0]

    def stop(self) -> list[int]:
        for process in self._running:
            process.send_signal(signal.SIGINT)
        codes = [process.wait(30) for process in self._running]
        self._running.clear()
        return codes

    def kill(self) -> None:
        for process in self._running:
            process.kill()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.kill()


MIXES = [("pocketros", "pocketros"), ("pocketros", "rclpy"), ("rclpy", "pocketros"), ("rclpy", "rclpy")]


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize(("fleet", "robots"), MIXES)
def test_the_shift_passes_its_gates_whatever_the_nodes_run_on(site: Site, fleet: str, robots: str) -> None:
    if "rclpy" in (fleet, robots) and not ros_prefix():
        pytest.skip("no sourced ROS 2 with this package")
    site.start(fleet, "instruction_node", "-r", "__node:=instruction")
    site.start(fleet, "world_node", "-r", "__node:=world")
    site.start(fleet, "planner_node", "-r", "__node:=planner", "-p", f"bind:={site.endpoint}")
    site.start(robots, "robots", "-p", "robots:=2")
    code, shift = site.validate(fleet)
    assert code == 0 and shift["ok"], shift
    assert shift["metrics"]["orders_done"] == 2 and shift["metrics"]["collisions"] == 0
    assert shift["metrics"]["frames_fused"] > 0
    assert site.stop() == [0, 0, 0, 0]


def test_without_a_fleet_the_run_says_what_it_misses(site: Site) -> None:
    command, environment = site.command("pocketros", "aislewise")
    run = subprocess.run(
        [*command, "validate", "small.yaml", "--live", "--patience", "1", "--connect", site.endpoint],
        env=environment, cwd=site._folder, timeout=120, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 2
    assert "a fusion node of robot_1" in run.stderr and "a world node" in run.stderr
