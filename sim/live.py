"""A shift whose nodes run elsewhere: in other processes, under ROS 2 or pocketros, or on robots' computers.

Here is the simulated warehouse, paced by the wall clock, the customer who orders, and the judge. The nodes
under test are met on the ROS graph, the planning service at its endpoint. Unlike in lock step the figures
depend on the machine: a fleet that is too slow for the pace shows it.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from aislewise import messages, topics
from aislewise.clock import to_s
from aislewise.errors import AislewiseError, InputError
from aislewise.node import AislewiseNode
from aislewise.types import GroundedInstruction, OrderRecord
from planning.client import PlanningClient
from sim.demand import make_demand
from sim.judge import judged, shift_figures
from sim.manager import start_manager
from sim.scenario import Scenario
from sim.sim_node import SimNode

POLL_S = 1.0
"""How often the orders are asked for, wall time."""

Progress = Callable[["LiveShift"], None]


class LiveError(AislewiseError):
    """The run could not start or be carried on; the message says what is missing."""

    code = "LIVE"


@dataclass(frozen=True)
class LiveConfig:
    """connect: endpoint of the planning service; rate: simulated over wall seconds; patience_s: wall time that
    the fleet's nodes may take to appear."""

    connect: str = "tcp://127.0.0.1:5570"
    rate: float = 1.0
    patience_s: float = 60.0


class LiveShift:
    """One run. `run()` returns the metrics."""

    def __init__(self, scenario: Scenario, config: LiveConfig) -> None:
        self.scenario, self.config = scenario, config
        for k, fault in enumerate(scenario.faults):
            if fault.process:  # somebody else's: the simulator has no hold on it
                raise InputError(f"faults[{k}].kind", f"{fault.kind} befalls a process that is not ours", "lock step")
        rclpy.init(args=[])
        self.sim = SimNode(scenario, parameter_overrides=[Parameter("rate", value=config.rate)])
        self.world = self.sim.world
        self.demand = make_demand(scenario, self.world.site)
        self.orders = self.demand.orders
        self.records: list[OrderRecord] = []
        self._grounded: list[GroundedInstruction] = []
        self._frames = 0
        self._observer = AislewiseNode("observer")
        self._observer.listen(topics.GROUNDED, self._on_grounded)
        for robot in self.world.robots:
            self._observer.listen(topics.DETECTIONS, self._on_detections, f"/{robot}/")
        self._executor = SingleThreadedExecutor()
        for node in (self.sim, self._observer):
            self._executor.add_node(node)
        self._client = PlanningClient(config.connect, timeout_s=5.0)
        self._manager: subprocess.Popen[bytes] | None = None
        self._next_poll_s = 0.0

    def _on_grounded(self, msg: Any) -> None:
        self._grounded.append(messages.from_grounded_msg(msg)[0])

    def _on_detections(self, msg: Any) -> None:
        self._frames += 1

    # --- running -----------------------------------------------------------------------------------

    def run(self, progress: Progress | None = None) -> dict[str, Any]:
        """To the end of the shift: all orders final, or the scenario's time is up."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                self._wait_for_fleet()
                self._acks_file = Path(folder) / "acknowledged"
                self._manager = start_manager(
                    self.config.connect, self.orders, Path(folder) / "orders.json", self.demand.cancellations, self._acks_file
                )
                started = time.perf_counter()
                while not self._finished():
                    self._executor.spin_once(timeout_sec=0.1)
                    if self._poll() and progress is not None:
                        progress(self)
                return self._metrics(time.perf_counter() - started)
            finally:
                self.close()

    def _wait_for_fleet(self) -> None:
        """Time stands still until somebody listens to every robot and the service answers."""
        self.sim.hold()
        end = time.monotonic() + self.config.patience_s
        missing = self._missing()
        while missing:
            if time.monotonic() > end:
                raise LiveError(f"not found within {self.config.patience_s:g} s: {', '.join(missing)}")
            self._executor.spin_once(timeout_sec=0.2)
            missing = self._missing()
        self.sim.go_on()

    def _missing(self) -> list[str]:
        found = []
        for robot in self.world.robots:
            if not self._observer.count_publishers(f"/{robot}/{topics.DETECTIONS.name}"):
                found.append(f"a fusion node of {robot}")
        if not self._observer.count_publishers(topics.WORLD_STATE.name):
            found.append("a world node")
        if not self._observer.count_subscribers(topics.INSTRUCTION_TEXT.name):
            found.append("an instruction node")
        if not found:
            try:
                self._client.hello()
            except AislewiseError as error:
                found.append(f"a planning service at {self.config.connect} ({error})")
        return found

    def _poll(self) -> bool:
        if time.monotonic() < self._next_poll_s:
            return False
        self._next_poll_s = time.monotonic() + POLL_S
        self.records = self._client.list(limit=1000)
        if self._manager is not None and self._manager.poll() not in (None, 0):
            raise LiveError(f"the fleet manager ended with {self._manager.returncode}")
        return True

    def _finished(self) -> bool:
        now_s = to_s(self.world.now_ns)
        if now_s >= self.scenario.duration_s:
            return True
        if now_s < self.scenario.last_event_s + 1.0:
            return False
        settled = self._grounded and self._grounded[-1].status.value != "not_found"
        waiting = self.scenario.instruction is not None and not settled
        known = {r.order.order_id for r in self.records}
        return (
            not waiting
            and all(o.order_id in known for o in self.orders)
            and all(r.state.final for r in self.records)
        )

    def close(self) -> None:
        if self._manager is not None:
            self._manager.kill()
            self._manager.wait()
        self._client.close()
        for node in (self.sim, self._observer):
            node.destroy_node()
        rclpy.try_shutdown()

    def _acks(self) -> list[str]:
        return self._acks_file.read_text().split() if self._acks_file.exists() else []

    # --- judging -----------------------------------------------------------------------------------

    def _metrics(self, wall_s: float) -> dict[str, Any]:
        sim_s = to_s(self.world.now_ns)
        out = shift_figures(self.scenario, self.world, self.orders, self.records, self._grounded, self.demand.cancellations, self._acks()) | {
            "frames": self.sim.frames_sent,
            "frames_fused": self._frames,
            "wall_s": round(wall_s, 2),
            "realtime_factor": round(sim_s / max(wall_s, 1e-9), 3),
        }
        return judged(out, self.scenario)
