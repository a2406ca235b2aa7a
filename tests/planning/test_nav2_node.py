"""The Nav2 adapter between the planner and a small simulated Nav2: orders are delivered, trouble is reported."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from geometry_msgs.msg import TransformStamped
from nav2_msgs.action import NavigateThroughPoses
from nav2_msgs.msg import SpeedLimit
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from rosgraph_msgs.msg import Clock
from tf2_msgs.msg import TFMessage

from aislewise import messages, topics
from aislewise.clock import to_ns
from aislewise.node import AislewiseNode
from aislewise.types import OrderState, RobotMode, RobotPlan, Waypoint, WorldState
from planning.nav2_node import Nav2Adapter
from planning.planner_node import PlannerNode
from pocketros.testing import spin_until_idle

TICK_S = 0.1


class SmallNav2(Node):
    """A robot that drives straight from pose to pose, as Nav2's action server tells it; a new goal preempts."""

    def __init__(self, robot: str, x: float, y: float, speed_mps: float = 1.0) -> None:
        super().__init__("bt_navigator", namespace=f"/{robot}")
        self.robot, self.x, self.y, self.speed = robot, x, y, speed_mps
        self.fails = self.rejects = False
        self.goals: list[list[tuple[float, float]]] = []
        self.track: list[tuple[float, float]] = [(x, y)]
        self._ahead: list[tuple[float, float]] = []
        self._current: tuple[Any, Future] | None = None
        self._tf = self.create_publisher(TFMessage, "/tf", 10)
        self.limit = 0.0
        self.speeds: list[tuple[float, float]] = []
        self.create_subscription(SpeedLimit, "speed_limit", self.on_limit, 10)
        self.server = ActionServer(
            self, NavigateThroughPoses, "navigate_through_poses", self.execute,
            goal_callback=lambda _: GoalResponse.REJECT if self.rejects else GoalResponse.ACCEPT,
            handle_accepted_callback=self.accept, cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    @property
    def busy(self) -> bool:
        return self._current is not None

    def on_limit(self, msg: Any) -> None:
        assert not msg.percentage
        self.limit = msg.speed_limit

    def accept(self, handle: Any) -> None:
        self.end("aborted")  # preempted
        self._ahead = [(p.pose.position.x, p.pose.position.y) for p in handle.request.poses]
        self.goals.append(list(self._ahead))
        self._current = handle, Future()
        handle.execute()

    async def execute(self, handle: Any) -> Any:
        assert self._current is not None
        outcome = await self._current[1]
        {"succeeded": handle.succeed, "canceled": handle.canceled, "aborted": handle.abort}[outcome]()
        return NavigateThroughPoses.Result(error_code=0 if outcome == "succeeded" else 105, error_msg="no way")

    def end(self, outcome: str) -> None:
        if self._current is not None:
            self._current[1].set_result(outcome)
        self._current, self._ahead = None, []

    def tick(self, stamp_ns: int) -> None:
        if self._current is not None:
            if self._current[0].is_cancel_requested:
                self.end("canceled")
            elif self.fails:
                self.end("aborted")
            else:
                self._drive()
        links = [
            TransformStamped(header=messages.header(stamp_ns, a), child_frame_id=b)
            for a, b in (("map", f"{self.robot}/odom"), (f"{self.robot}/odom", f"{self.robot}/base_link"))
        ]
        links[0].transform.translation.x, links[0].transform.translation.y = self.x, self.y
        self._tf.publish(TFMessage(transforms=links))

    def _drive(self) -> None:
        assert self._current is not None
        speed = min(self.speed, self.limit or self.speed)
        left = speed * TICK_S
        self.speeds.append((self.x, speed))
        while self._ahead and left > 0:
            dx, dy = self._ahead[0][0] - self.x, self._ahead[0][1] - self.y
            length = math.hypot(dx, dy)
            step = min(left, length)
            if length > 0:
                self.x, self.y = self.x + dx / length * step, self.y + dy / length * step
            left -= max(step, 1e-6)
            if step == length:
                self._ahead.pop(0)
        self.track.append((self.x, self.y))
        feedback = NavigateThroughPoses.Feedback()
        feedback.current_pose.header.frame_id = "map"
        feedback.current_pose.pose.position.x, feedback.current_pose.pose.position.y = self.x, self.y
        passed = [p for p in self._ahead[:-1] if math.hypot(p[0] - self.x, p[1] - self.y) < 0.7]
        feedback.number_of_poses_remaining = max(0, len(self._ahead) - len(passed))
        self._current[0].publish_feedback(feedback)
        if not self._ahead:
            self.end("succeeded")

    def destroy_node(self) -> None:
        self.server.destroy()
        super().destroy_node()


class Bench(AislewiseNode):
    """Stands in for the world node: robots' reports in, world states out."""

    def __init__(self, robots: list[str]) -> None:
        super().__init__("bench")
        self.reports: dict[str, Any] = {}
        self.clock = self.advertise(topics.CLOCK)
        self.world = self.advertise(topics.WORLD_STATE)
        self.routes = {r: self.advertise(topics.ROUTE, f"/{r}/") for r in robots}
        self.version = 0
        for robot in robots:
            self.listen(topics.ROBOT_STATE, self.on_report, f"/{robot}/")

    def on_report(self, msg: Any) -> None:
        info = messages.from_robot_msg(msg)
        self.reports[info.id] = info

    def show(self, now_ns: int) -> None:
        self.version += 1
        state = WorldState(self.version, now_ns, (), tuple(self.reports[k] for k in sorted(self.reports)))
        self.world.publish(messages.to_world_msg(state))


class Floor:
    """Adapters, small Nav2s and, if asked for, a planner; in simulated time."""

    def __init__(self, starts: dict[str, tuple[float, float]], planner: Callable[[], PlannerNode] | None = None) -> None:
        rclpy.init(args=["--ros-args", "-p", "use_sim_time:=true"])
        self.executor = SingleThreadedExecutor()
        self.bench = Bench(list(starts))
        self.nav2 = {r: SmallNav2(r, *at) for r, at in starts.items()}
        self.adapters = {r: Nav2Adapter(namespace=f"/{r}") for r in starts}
        self.planner = planner() if planner else None
        self.nodes = [self.bench, *self.nav2.values(), *self.adapters.values()]
        self.nodes += [self.planner] if self.planner else []
        for node in self.nodes:
            self.executor.add_node(node)
        self.now_s = 0.0

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        for k in range(round(seconds / TICK_S)):
            if until():
                return
            self.now_s += TICK_S
            now_ns = to_ns(self.now_s)
            self.bench.clock.publish(Clock(clock=messages.to_stamp(now_ns)))
            for nav2 in self.nav2.values():
                nav2.tick(now_ns)
            if k % 5 == 0:
                self.bench.show(now_ns)
            spin_until_idle(self.executor)

    def release(self, robot: str, *waypoints: Waypoint, first: int | None = None) -> None:
        msg = messages.to_route_msg(RobotPlan(robot, (), waypoints), 1, to_ns(self.now_s))
        msg.first_seq = msg.first_seq if first is None else first
        self.bench.routes[robot].publish(msg)

    def close(self) -> None:
        for node in self.nodes:
            node.destroy_node()
        rclpy.try_shutdown()


@pytest.fixture
def floor() -> Iterator[Floor]:
    out = Floor({"r0": (0.0, 0.0)})
    yield out
    out.close()


def move(seq: int, x: float) -> Waypoint:
    return Waypoint(seq, x, 0.0, seq)


def test_released_cells_are_driven_reported_one_by_one_and_never_exceeded(floor: Floor) -> None:
    floor.run(1.0)
    floor.release("r0", *(move(k, float(k + 1)) for k in range(3)))
    seen: list[int] = []

    def watch() -> bool:
        seen.append(floor.bench.reports["r0"].reached_seq)
        return seen[-1] == 2

    floor.run(20.0, watch)
    assert sorted(set(seen)) == [-1, 0, 1, 2] and seen == sorted(seen)
    floor.run(2.0)
    assert floor.nav2["r0"].x == pytest.approx(3.0) and max(x for x, _ in floor.nav2["r0"].track) <= 3.0 + 1e-9
    assert floor.bench.reports["r0"].mode is RobotMode.IDLE


def test_nav2_is_told_how_fast_it_may_drive_and_when_that_is_over(floor: Floor) -> None:
    floor.run(1.0)
    floor.release("r0", *(Waypoint(k, float(k + 1), 0.0, k, max_speed_mps=0.4 if 2 <= k < 4 else 0.0) for k in range(8)))
    floor.run(30.0, lambda: bool(floor.bench.reports) and floor.bench.reports["r0"].reached_seq == 7)
    nav2 = floor.nav2["r0"]
    assert nav2.x == pytest.approx(8.0) and nav2.limit == 0.0
    reached_m = floor.adapters["r0"].follower.config.reached_m  # so near to a cell's centre the robot has got there
    inside = [speed for x, speed in nav2.speeds if 2.0 < x < 4.0 - reached_m]
    assert inside and max(inside) == pytest.approx(0.4)
    assert max(speed for x, speed in nav2.speeds if x < 0.9) == max(speed for x, speed in nav2.speeds if x > 5.5) == nav2.speed > 0.4


def test_more_cells_preempt_the_goal_and_the_robot_does_not_stop_between(floor: Floor) -> None:
    floor.run(1.0)
    floor.release("r0", move(0, 1.0), move(1, 2.0))
    floor.run(1.5)
    floor.release("r0", move(1, 2.0), move(2, 3.0), first=1)
    floor.run(1.8)
    assert floor.bench.reports["r0"].mode is RobotMode.MOVING and 2.2 < floor.nav2["r0"].x < 3.5
    assert [len(g) for g in floor.nav2["r0"].goals] == [2, 2]
    floor.run(3.0)
    assert floor.bench.reports["r0"].reached_seq == 2


def test_a_withdrawn_way_is_driven_no_further(floor: Floor) -> None:
    floor.run(1.0)
    floor.release("r0", *(move(k, float(k + 1)) for k in range(5)))
    floor.run(1.8)
    assert 1.2 < floor.nav2["r0"].x < 1.9
    floor.release("r0", first=-1)
    floor.run(5.0)
    assert floor.nav2["r0"].x in (pytest.approx(1.0), pytest.approx(2.0))


def test_a_way_withdrawn_before_it_is_begun_cancels_the_goal(floor: Floor) -> None:
    floor.nav2["r0"].speed = 0.0
    floor.run(1.0)
    floor.release("r0", move(0, 1.0))
    floor.run(0.5)
    assert floor.nav2["r0"].busy
    floor.release("r0", first=-1)
    floor.run(1.0)
    info = floor.bench.reports["r0"]
    assert not floor.nav2["r0"].busy and info.mode is RobotMode.IDLE and info.problem == ""


def test_an_aborted_goal_is_reported_and_tried_again(floor: Floor) -> None:
    floor.nav2["r0"].fails = True
    floor.run(1.0)
    floor.release("r0", move(0, 1.0))
    floor.run(1.0)
    info = floor.bench.reports["r0"]
    assert info.problem == "Nav2 aborts: error 105 no way" and info.mode is RobotMode.STOPPED
    floor.nav2["r0"].fails = False
    floor.run(6.0)
    info = floor.bench.reports["r0"]
    assert info.problem == "" and info.reached_seq == 0


def test_a_rejected_goal_and_a_missing_nav2_are_reported(floor: Floor) -> None:
    floor.nav2["r0"].rejects = True
    floor.run(1.0)
    floor.release("r0", move(0, 1.0))
    floor.run(1.0)
    assert floor.bench.reports["r0"].problem == "Nav2 rejects the goal"
    floor.nav2["r0"].server.destroy()
    floor.run(5.0)
    assert floor.bench.reports["r0"].problem == "/r0/navigate_through_poses is not there"


def test_a_robot_without_poses_is_lost(floor: Floor) -> None:
    floor.run(1.0)
    floor.nav2["r0"].tick = lambda _: None  # type: ignore[method-assign]
    floor.run(3.0)
    assert floor.bench.reports["r0"].mode is RobotMode.LOST


def test_orders_are_delivered_through_nav2_and_a_failing_robots_order_goes_to_another(make: Any, tmp_path: Path) -> None:
    site = make.site()
    file = tmp_path / "site.json"
    site.save(file)

    def planner() -> PlannerNode:
        return PlannerNode(parameter_overrides=[Parameter("site", value=str(file)), Parameter("bind", value="")])

    floor = Floor({"r0": site.centre(0), "r1": site.centre(8)}, planner)
    try:
        store = floor.planner.store  # type: ignore[union-attr]
        store.submit(make.order("o", ("face-0-1", "station-2")), 0)
        floor.run(6.0, lambda: bool(store.get("o").robot))
        first = store.get("o").robot
        floor.nav2[first].fails = True
        floor.run(200.0, lambda: store.get("o").state.final)
        assert store.get("o").state is OrderState.DONE and store.get("o").robot != first
        cells = [site.cell_at(x, y) for nav2 in floor.nav2.values() for x, y in nav2.track]
        assert all(site.free.flat[c] for c in cells)
    finally:
        floor.close()


