"""The closed loop: a simulated shift from raw sensors to deliveries, in lock step with simulated time.

Composes every room in one process, the fleet manager in another. The simulated clock only moves when
every node is idle and every order due by then has been acknowledged, so that the same scenario and
seed give the same metrics, run after run, however long a solver or a process takes.
"""

from __future__ import annotations

import bisect
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from aislewise import __version__, messages, topics
from aislewise.clock import to_ns, to_s
from aislewise.errors import AislewiseError
from aislewise.node import AislewiseNode
from aislewise.types import F32, F64, U8, Detection, DetectionFrame, Order, OrderRecord, OrderState
from fusion.evaluate import by_range, detection_map
from fusion.fusion_node import FusionNode
from fusion.infer import Detector, PhraseEncoder
from fusion.world_node import WorldNode
from perception.camera_node import CameraNode
from perception.instruction_node import InstructionNode
from perception.lidar_node import LidarNode
from planning.orders import OrderEvent
from planning.planner_node import PlannerNode
from pocketros.testing import spin_until_idle
from sim.demand import make_demand
from sim.fault_figures import with_reactions
from sim.judge import judged, percentiles, shift_figures
from sim.manager import ANSWER_S, start_manager
from sim.process_faults import Killed, PlannerProcess
from sim.recorded_orders import encode_recorded
from sim.recorder import Recorder
from sim.scenario import Scenario
from sim.setup import stream
from sim.sim_node import SimNode
from sim.watch import MOST_ROWS, Trail, Travel, Watch

ACK_TIMEOUT_S = 60.0
OUTAGE_ANSWER_S = 1.0
"""The manager's patience with a request, wall time, where the service will be away."""
MOST_PLACES = 400_000
"""Of all robots' trails together."""
MOST_WAYPOINTS = 4096
"""Of one robot's way that the report draws: the latest."""
OBSERVE_EVERY = 5
"""Ticks between two looks at where everybody is."""

Progress = Callable[["Shift"], None]


class ShiftError(AislewiseError):
    """The run could not be carried on: a process of it died or stopped answering."""

    code = "SHIFT"


@dataclass(frozen=True)
class Snapshot:
    """One robot's camera and lidar with what the network made of them. points (N, 4) float32 in base_link."""

    t_s: float
    robot: str
    image: U8
    points: F32
    detections: tuple[Detection, ...]


@dataclass
class Observer:
    """What was seen and true along the way, for metrics and the report. tracks, bodies: (t, x, y) of robots and
    of what moves; routes: released waypoints by seq; blocked: cells that orders had to be planned round, and why;
    snapshot: the most eventful frame."""

    frames: list[tuple[DetectionFrame, list[Any]]] = field(default_factory=list)
    tracks: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    bodies: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    routes: dict[str, dict[int, tuple[float, float]]] = field(default_factory=dict)
    blocked: dict[int, str] = field(default_factory=dict)
    snapshot: Snapshot | None = None
    grounded: list[Any] = field(default_factory=list)


class Shift:
    """One run. `run()` returns the metrics; the files land in `out`."""

    def __init__(self, scenario: Scenario, out: Path, record: bool = True, all_sensors: bool = False) -> None:
        """all_sensors: record every robot's, not the first one's alone."""
        self.scenario, self.out = scenario, out
        out.mkdir(parents=True, exist_ok=True)
        for stale in ("orders.sqlite", "orders.sqlite-wal", "orders.sqlite-shm"):
            (out / stale).unlink(missing_ok=True)
        rclpy.init(args=["--ros-args", "-p", "use_sim_time:=true"])
        self.executor = SingleThreadedExecutor()
        self.observer = Observer()
        self.sim = SimNode(scenario, lockstep=True)
        self.world = self.sim.world
        self.watch = Watch(self.world.site, list(self.world.robots), OBSERVE_EVERY * self.sim.settings.tick_s)
        self.travel = Travel()
        self.demand = make_demand(scenario, self.world.site)
        self.orders: list[Order] = list(self.demand.orders)
        self._due_ns = sorted(
            [(o.release_ns, o.order_id, False) for o in self.orders]
            + [(c.at_ns, c.order_id, True) for c in self.demand.cancellations]
        )
        self._build_nodes(record, all_sensors)
        self.manager: subprocess.Popen[bytes] | None = None
        self.wall_s = 0.0
        self._acknowledged = 0
        self._history: tuple[list[OrderRecord], list[OrderEvent]] | None = None

    # --- building ----------------------------------------------------------------------------------

    def _build_nodes(self, record: bool, all_sensors: bool) -> None:
        robots, drivers = list(self.world.robots), list(self.world.drivers)
        detector = Detector(threads=2) if drivers else None
        self.fusion = [FusionNode(detector, namespace=f"/{r}") for r in drivers]
        without = self.scenario.ablate
        senses = [kind for part, kind in (("camera", CameraNode), ("lidar", LidarNode)) if part != without]
        self.perception = [kind(namespace=f"/{r}") for r in drivers for kind in senses]
        words = [] if without == "words" else [InstructionNode(PhraseEncoder())]
        pace = self._pace()
        self.world_node = WorldNode(parameter_overrides=[Parameter("tracking", value=without != "tracking"), *pace])
        self.process = PlannerProcess(
            self.world.faults,
            [
                *pace,
                Parameter("replanning", value=without != "replanning"),
                Parameter("store", value=str(self.out / "orders.sqlite")),
                Parameter("seed", value=self.scenario.seed),
            ],
            self.executor, self._settle, lambda *more: stream(self.scenario, "faults", *more),
        )  # fmt: skip
        self.recorder: Recorder | None = None
        if record:
            about = {"version": __version__, "scenario": self.scenario.name, "seed": str(self.scenario.seed)}
            self.recorder = Recorder(self.out / "run.mcap", robots, drivers if all_sensors else drivers[:1], about)
        self.listener = _Listener(self)
        nodes: list[Any] = [
            self.sim, *self.perception, *self.fusion, *words, self.world_node, self.planner, self.listener,
        ]
        if self.recorder is not None:
            nodes.append(self.recorder)
        for node in nodes:
            self.executor.add_node(node)
        self.nodes = [node for node in nodes if node is not self.planner]
        spin_until_idle(self.executor)
        self._endpoint = self.process.start()

    def _pace(self) -> list[Parameter]:
        """How often a fleet of object fidelity is planned for; else the nodes' own settings stand."""
        fidelity = self.scenario.fidelity
        return [Parameter("period_s", value=fidelity.plan_s)] if fidelity else []

    def _start_manager(self) -> None:
        """The fleet manager is a customer's process: it gets an endpoint and its orders, nothing else."""
        handle, name = tempfile.mkstemp(suffix=".json")
        os.close(handle)
        self._orders_file = Path(name)
        self._acks_file = self._orders_file.with_suffix(".acknowledged")
        answer_s = OUTAGE_ANSWER_S if self.process.faulty else ANSWER_S
        self.manager = start_manager(
            self._endpoint, self.orders, self._orders_file, self.demand.cancellations, self._acks_file, answer_s
        )

    # --- running -----------------------------------------------------------------------------------

    def run(self, progress: Progress | None = None) -> dict[str, Any]:
        """Run to the end of the shift: all orders final, or the scenario's time is up."""
        started = time.perf_counter()
        try:
            self._start_manager()
            while not self.finished():
                self.process.apply(self.world.now_ns)
                self._wait_for_orders()
                self._tick()
                if not rclpy.ok():  # SIGTERM has shut ROS down; nothing would move any more
                    raise KeyboardInterrupt
                self._observe()
                if progress is not None and self.sim.ticks % 10 == 0:
                    progress(self)
            self.wall_s = time.perf_counter() - started
            return self.metrics()
        finally:
            self.close()

    def _settle(self) -> None:
        """What came meanwhile finds its place before time goes on."""
        self.sim.tell_time()
        spin_until_idle(self.executor)

    def _tick(self) -> None:
        """Simulated time moves on, and everybody does what there is to do."""
        try:
            self.sim.tick()
            spin_until_idle(self.executor)
        except Killed:  # the planner alone: the others go on
            self.process.kill(self.world.now_ns)
            spin_until_idle(self.executor)

    def finished(self) -> bool:
        now_s = to_s(self.world.now_ns)
        if now_s >= self.scenario.duration_s:
            return True
        if now_s < self.scenario.last_event_s + 1.0 or self.process.node is None:
            return False
        if self._acknowledged < len(self._due_ns) or self.world_node.pending_instructions:
            return False
        final, accepted = self.process.counts()
        return final == accepted

    def records(self) -> list[OrderRecord]:
        """Every accepted order, the instructions' among them."""
        return self._history[0] if self._history is not None else self.process.records()

    def counts(self) -> tuple[int, int]:
        """(final, accepted) orders, for those who watch: of a long shift there are many to go through."""
        if self._history is None and self.process.node is not None:
            return self.process.counts()
        records = self.records()
        return sum(r.state.final for r in records), len(records)

    def order_events(self) -> list[OrderEvent]:
        """Every change of every order, oldest first."""
        return self._history[1] if self._history is not None else self.process.events()

    @property
    def planner(self) -> PlannerNode:
        """The one that lives, or lived last."""
        return self.process.last

    def _wait_for_orders(self) -> None:
        """Hold the clock until every order released by now has been acknowledged, and every cancellation; while none
        can be, it goes on, and they wait for when one can. Only here does the fleet manager learn how late it is: were
        it told during a tick, it would depend on its speed whether an order is in the plan of that very tick."""
        self.process.clients_ns = self.world.now_ns
        if not self.process.answers:
            return
        due = bisect.bisect_right(self._due_ns, self.world.now_ns, key=lambda d: d[0])
        if due == self._acknowledged:
            return
        deadline = time.monotonic() + ACK_TIMEOUT_S
        while True:
            if all(self._taken_in(*what) for _, *what in self._due_ns[self._acknowledged : due]):
                self._acknowledged = due
                return
            if self.manager is not None and self.manager.poll() not in (None, 0):
                raise ShiftError(f"the fleet manager ended with {self.manager.returncode}")
            if time.monotonic() > deadline:
                raise ShiftError(f"no acknowledgement within {ACK_TIMEOUT_S} s")
            time.sleep(0.001)

    def _taken_in(self, order_id: str, called_off: bool) -> bool:
        """The order is known; if it is called off, that has been taken up, too."""
        record = self.process.record(order_id)
        if called_off:
            return record is None or record.state.final or record.state is OrderState.CANCELLING
        return record is not None

    def close(self) -> None:
        if self.manager is not None:
            try:
                self.manager.wait(timeout=5.0)
            except subprocess.TimeoutExpired:
                self.manager.kill()
            for file in (self._orders_file, self._acks_file):
                file.unlink(missing_ok=True)
        if self._history is None:  # the planner closes its store
            self._history = self.records(), self.order_events()
        if self.recorder is not None:
            self.recorder.close(encode_recorded(*self._history))
        for node in self.nodes:
            node.destroy_node()
        self.process.close()
        rclpy.try_shutdown()

    # --- observing ---------------------------------------------------------------------------------

    def _observe(self) -> None:
        if self.sim.ticks % OBSERVE_EVERY:
            return
        blocked = {} if self.planner.planner is None else self.planner.planner.blocked_cells()
        self.observer.blocked.update(blocked)
        t, truth = to_s(self.world.now_ns), self.world.truth()
        poses = {name: self.world.true_pose(name) for name in self.world.robots}
        for name, pose in poses.items():
            self.observer.tracks.setdefault(name, self._trail()).append((t, pose.x_m, pose.y_m))
        for body in truth:
            if body.moving:
                self.observer.bodies.setdefault(body.id, self._trail()).append((t, body.pose.x_m, body.pose.y_m))
        self.travel.sample(self.world.robots.values())
        plan = self.planner.plan
        self.watch.sample(
            t, {name: r.mode for name, r in self.world.robots.items()}, {n: (p.x_m, p.y_m) for n, p in poses.items()},
            {r.robot for r in plan.robots if r.tasks} if plan is not None else set(), blocked,
            [(b.pose.x_m, b.pose.y_m, 0.5 * max(b.size[:2])) for b in truth],
        )  # fmt: skip

    def _trail(self) -> Trail:
        """Short enough for all robots' to fit into memory."""
        return Trail(min(MOST_ROWS, max(100, MOST_PLACES // len(self.world.robots))))

    def series(self) -> dict[str, F64]:
        """How the shift went over time, by name (see Watch.series); `orders_done_s`: when each order was; `frames`
        (N, 4): when each frame was taken, the number of its detections, and whether camera and lidar took part."""
        done = [to_s(e.stamp_ns) for e in self.order_events() if e.state is OrderState.DONE]
        frames = [
            (to_s(f.stamp_ns), len(f.detections), "camera" in f.sensors, "lidar" in f.sensors) for f, _ in self.observer.frames
        ]
        table = np.array(frames, np.float64).reshape(-1, 4)
        return self.watch.series() | {"orders_done_s": np.array(done, np.float64), "frames": table}

    # --- judging -----------------------------------------------------------------------------------

    def metrics(self) -> dict[str, Any]:
        """The figures of metrics.json; docs/metrics.md says what each means."""
        observer, sim_s = self.observer, to_s(self.world.now_ns)
        fusion_ms = np.concatenate([np.zeros(0), *(np.asarray(n.fusion_ms) for n in self.fusion)])
        out = shift_figures(
            self.scenario, self.world, self.orders, self.records(), observer.grounded, self.demand.cancellations,
            self._acks_file.read_text().split() if self._acks_file.exists() else (),
        ) | {
            "frames": len(fusion_ms),
            "sensor_hz": 1.0 / (self.sim.settings.tick_s * self.sim.settings.sense_every),
            "detection_map": detection_map([d for d, _ in observer.frames], [t for _, t in observer.frames]),
            "detection_by_range": by_range([d for d, _ in observer.frames], [t for _, t in observer.frames]),
            "waited_s": round(self.watch.waited_s, 1),
            "empty_share": round(self.travel.empty_share, 4),
            "energy_h": round(self.travel.energy_h, 4),
            "false_blocked_s": round(self.watch.false_blocked_s, 1),
            "wall_s": round(self.wall_s, 2),
            "realtime_factor": round(sim_s / max(self.wall_s, 1e-9), 3),
            "fusion_latency_ms": percentiles(fusion_ms),
            "plan_latency_ms": percentiles(self.process.all_plan_ms()),
            "peak_memory_mb": peak_memory_mb(self.sim.workers),
        }
        if "faults" in out:
            out["faults"] = with_reactions(out["faults"], observer.tracks, self.process.figures())
        return judged(out, self.scenario)


class _Listener(AislewiseNode):
    """Keeps what the metrics and the report need from the topics."""

    def __init__(self, shift: Shift) -> None:
        super().__init__("observer")
        self.shift = shift
        self._interest = -1e9
        for robot in shift.world.drivers:
            self.listen(topics.DETECTIONS, self.on_detections, f"/{robot}/")
        for robot in shift.world.robots:
            self.listen(topics.ROUTE, self.on_route, f"/{robot}/")
        self.listen(topics.GROUNDED, self.on_grounded)

    def on_detections(self, msg: Any) -> None:
        frame = messages.from_detections_msg(msg)
        truth = self.shift.world.visible(frame.robot, frame.stamp_ns)
        self.shift.observer.frames.append((frame, truth))
        self._look_at(frame)

    def on_route(self, msg: Any) -> None:
        robot, _, waypoints = messages.from_route_msg(msg)
        route = self.shift.observer.routes.setdefault(robot, {})
        route.update({w.seq: (w.x_m, w.y_m) for w in waypoints})
        if len(route) > 2 * MOST_WAYPOINTS:
            for seq in sorted(route)[:-MOST_WAYPOINTS]:
                del route[seq]

    def _look_at(self, frame: DetectionFrame) -> None:
        """Keep the sensors of the frame that shows the most: kinds of things before the camera, surely seen, and
        few doubtful claims beside them."""
        ahead = [d for d in frame.detections if 0.5 < d.position[0] < 9.0 and abs(d.position[1]) < 0.8 * d.position[0]]
        interest = sum(max((d.score for d in ahead if d.cls is cls), default=0.0) for cls in {d.cls for d in ahead})
        interest -= sum(d.score < 0.6 for d in frame.detections)
        if interest <= self._interest:
            return
        raw = next((f for name, f in reversed(self.shift.sim.frames) if name == frame.robot), None)
        if raw is None or raw.stamp_ns != frame.stamp_ns:
            return
        self._interest = interest
        T = self.shift.world.T_base_lidar
        points = raw.points.copy()
        points[:, :3] = points[:, :3] @ T[:3, :3].T + T[:3, 3]
        self.shift.observer.snapshot = Snapshot(
            to_s(frame.stamp_ns), frame.robot, raw.image, points, tuple(frame.detections)
        )

    def on_grounded(self, msg: Any) -> None:
        self.shift.observer.grounded.append(messages.from_grounded_msg(msg)[0])


def peak_memory_mb(workers: Sequence[int] = ()) -> float:
    """Of this process and of the workers (process ids, Linux only), each at its own peak."""
    import resource

    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for pid in workers:
        status = Path(f"/proc/{pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        peak_kb += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return round(peak_kb / 1024.0, 1)


def write_metrics(metrics: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(metrics, indent=1, default=float) + "\n")


__all__ = ["Shift", "ShiftError", "to_ns", "write_metrics"]
