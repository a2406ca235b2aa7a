"""Every executable ends cleanly on SIGINT and SIGTERM: exit status 0, no traceback, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aislewise.sitemap import SiteMap
from planning.planner import Planner, PlannerConfig
from planning.rehearsal import Rehearsal
from planning.store import MemoryStore, SqliteStore

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 60.0
"""Shared machines may stall; how fast it is in fact is measured by hand."""
RUNNER = """
import sys
from cli.ros import activate
activate("always")
from rclpy.executors import Executor, MultiThreadedExecutor, SingleThreadedExecutor
for kind in (SingleThreadedExecutor, MultiThreadedExecutor):
    def spin(self, spin=kind.spin):
        print("up", flush=True)
        spin(self)
    kind.spin = spin
"""
NODES = {
    "camera_node": "perception.camera_node", "lidar_node": "perception.lidar_node",
    "instruction_node": "cli.instruction", "fusion_node": "fusion.fusion_node", "world_node": "fusion.world_node",
    "planner_node": "planning.planner_node", "nav2_adapter": "planning.nav2_node", "robots": "cli.robots",
    "sim_node": "sim.sim_node",
}  # fmt: skip
ARGUMENTS = {
    "planner_node": ["-p", "store:=orders.sqlite", "-p", "bind:=tcp://127.0.0.1:*", "-p", f"site:={ROOT}/config/site.json"],
    "nav2_adapter": ["-r", "__ns:=/robot_1"],
    "sim_node": ["-p", "robots:=1", "-p", "workers:=1"],
}


class Process:
    """A Python process whose output is kept."""

    def __init__(self, code: str, folder: Path, *args: str) -> None:
        self.log = folder / "log.txt"
        self._file = self.log.open("w")
        self.popen = subprocess.Popen(
            [sys.executable, "-c", code, *args], cwd=folder, stdout=self._file, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "POCKETROS": "always"}, start_new_session=True,
        )  # fmt: skip

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while words not in self.log.read_text():
            assert self.popen.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def end(self, number: int | None = None, group: bool = False) -> int:
        """Send a signal, wait, and return the exit status."""
        if number is not None:
            (os.killpg if group else os.kill)(self.popen.pid, number)
        return self.popen.wait(PATIENCE_S)

    def close(self) -> None:
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()
        self._file.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator:
    made: list[Process] = []

    def run(code: str, *args: str) -> Process:
        made.append(Process(code, tmp_path, *args))
        return made[-1]

    yield run
    for process in made:
        process.close()


def children(pid: int) -> list[int]:
    """Processes whose parent is pid."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(p) for p in found.stdout.split()]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for_end(pids: list[int]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while left := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("name", NODES)
def test_an_executable_ends_with_status_0_and_without_a_traceback(start, name: str, number: int) -> None:
    code = f"{RUNNER}\nfrom {NODES[name]} import main\nsys.exit(main(['--ros-args', *sys.argv[1:]]))"
    process = start(code, *ARGUMENTS.get(name, ["-p", "use_sim_time:=false"]))
    process.wait_for("up")
    assert process.end(number) == 0, process.log.read_text()
    assert "Traceback" not in process.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("name", ["planner_node", "robots"])
def test_signals_that_come_again_and_again_change_nothing(start, name: str, number: int) -> None:
    """Under `ros2 launch` a Ctrl-C comes twice, and the second one may meet the interpreter at its end."""
    code = f"{RUNNER}\nfrom {NODES[name]} import main\nsys.exit(main(['--ros-args', *sys.argv[1:]]))"
    process = start(code, *ARGUMENTS.get(name, ["-p", "use_sim_time:=false"]))
    process.wait_for("up")
    time.sleep(0.5)
    process.popen.send_signal(number)
    while process.popen.poll() is None:
        time.sleep(0.005)
        process.popen.send_signal(number)
    assert process.end() == 0, process.log.read_text()
    assert "Traceback" not in process.log.read_text()


def test_ctrl_c_in_a_terminal_ends_the_simulator_and_those_who_render_for_it(start) -> None:
    """The terminal's signal reaches the whole process group."""
    code = f"{RUNNER}\nfrom sim.sim_node import main\nsys.exit(main(['--ros-args', *sys.argv[1:]]))"
    process = start(code, *ARGUMENTS["sim_node"])
    process.wait_for("up")
    workers = children(process.popen.pid)
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGINT)
    time.sleep(1.0)
    assert all(alive(pid) for pid in workers)  # it is not theirs to decide
    assert process.end(signal.SIGINT, group=True) == 0, process.log.read_text()
    wait_for_end(workers)
    assert "Traceback" not in process.log.read_text()


def test_workers_do_not_outlive_a_simulator_that_is_killed(start) -> None:
    code = f"{RUNNER}\nfrom sim.sim_node import main\nsys.exit(main(['--ros-args', *sys.argv[1:]]))"
    process = start(code, *ARGUMENTS["sim_node"])
    process.wait_for("up")
    workers = children(process.popen.pid)
    process.end(signal.SIGKILL)
    wait_for_end(workers)


def test_the_planner_closes_its_store_so_that_the_next_one_can_open_it(start, tmp_path: Path) -> None:
    code = f"{RUNNER}\nfrom planning.planner_node import main\nsys.exit(main(['--ros-args', *sys.argv[1:]]))"
    process = start(code, *ARGUMENTS["planner_node"])
    process.wait_for("planning service at")
    process.wait_for("up")
    assert process.end(signal.SIGTERM) == 0
    assert not (tmp_path / "orders.sqlite-wal").exists()  # SQLite removes it when the last connection is closed
    store = SqliteStore(str(tmp_path / "orders.sqlite"))
    assert store.open_count() == 0
    store.close()


def test_a_signal_while_starting_is_no_error(start) -> None:
    code = """
import os, signal, sys
from cli.ros import activate
activate("always")
from aislewise.node import AislewiseNode, run

def make():
    os.kill(os.getpid(), signal.SIGTERM)
    return AislewiseNode("late")

sys.exit(run(make, []))
"""
    process = start(code)
    assert process.end() == 0, process.log.read_text()
    assert "Traceback" not in process.log.read_text()


def test_a_node_that_cannot_start_says_why_and_fails(start) -> None:
    code = f"{RUNNER}\nfrom fusion.fusion_node import main\nsys.exit(main(['--ros-args', *sys.argv[1:]]))"
    process = start(code, "-p", "weights:=/nowhere.onnx")
    assert process.end() == 1
    text = process.log.read_text()
    assert "cannot start: weights" in text and "Traceback" not in text


def test_a_callback_that_fails_ends_the_process_and_is_reported(start) -> None:
    code = """
import sys
from cli.ros import activate
activate("always")
from aislewise.node import AislewiseNode, run

def make():
    node = AislewiseNode("faulty")
    node.create_timer(0.01, lambda: 1 / 0)
    return node

sys.exit(run(make, []))
"""
    process = start(code)
    assert process.end() == 1
    text = process.log.read_text()
    assert "[faulty]: ends: ZeroDivisionError" in text and "Traceback" in text


@pytest.fixture(scope="module")
def compiled() -> None:
    """The planner's kernels lie in numba's cache. Where they never ran they are compiled in the first step, which
    takes seconds that no signal can cut short."""
    site = SiteMap.load(ROOT / "config" / "site.json")
    planner = Planner(site, MemoryStore(), PlannerConfig(), 0)
    cells = [place.cell for place in site.of_kind("parking")]
    for starts in ({}, {"robot_1": cells[0], "robot_2": cells[1]}):
        floor = Rehearsal(site, starts)
        for _ in range(3):
            floor.obey(planner.step(floor.world(), floor.now_ns))
            floor.tick()


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_launch_ends_with_all_its_nodes(start, number: int) -> None:
    code = "import sys\nfrom cli.main import main\nsys.exit(main(sys.argv[1:]))"
    process = start(code, "launch", "fleet", "bind:=tcp://127.0.0.1:*", "robots:=2")
    process.wait_for("planning service at")
    time.sleep(1.0)  # the robots' networks load beside it; wherever they are, they end
    assert process.end(number) == 0, process.log.read_text()
    assert "Traceback" not in process.log.read_text()
