"""The planner node: orders and routes through its lifecycle, live settings, diagnostics, what it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from aislewise import messages, topics, visual
from aislewise.clock import to_ns
from aislewise.errors import NotFoundError, StateError
from aislewise.node import AislewiseNode
from aislewise.types import GroundedInstruction, GroundingStatus, Instruction, OrderState
from planning.client import PlanningClient
from planning.planner_node import PlannerNode
from planning.rehearsal import Rehearsal
from planning.sqlite import StoreError
from planning.store import SqliteStore
from pocketros.testing import spin_until_idle


class Floor:
    """A planner node in simulated time, and robots that run what it releases."""

    def __init__(self, make: Any, folder: Path, **parameters: Any) -> None:
        rclpy.init(args=["--ros-args", "-p", "use_sim_time:=true"])
        self.site = make.site()
        file = folder / "site.json"
        self.site.save(file)
        values = {"site": str(file), "bind": "tcp://127.0.0.1:*", "store": str(folder / "orders.sqlite")} | parameters
        self.node = PlannerNode(parameter_overrides=[Parameter(k, value=v) for k, v in values.items()])
        self.bench = AislewiseNode("bench")
        self.floor = Rehearsal(self.site, {"r0": 0, "r1": 8})
        self.clock = self.bench.advertise(topics.CLOCK)
        self.world = self.bench.advertise(topics.WORLD_STATE)
        self.routes: list[Any] = []
        self.got: dict[str, list[Any]] = {}
        for robot in self.floor.robots:
            self.bench.listen(topics.ROUTE, self.routes.append, f"/{robot}/")
        self.executor = SingleThreadedExecutor()
        for node in (self.node, self.bench):
            self.executor.add_node(node)
        self.blind = False

    def hear(self, topic: topics.Topic, prefix: str = "") -> list[Any]:
        got = self.got.setdefault(prefix + topic.name, [])
        self.bench.listen(topic, got.append, prefix)
        return got

    def run(self, ticks: int, until: Callable[[], bool] = lambda: False) -> None:
        for _ in range(ticks):
            if until():
                return
            if not self.blind:
                self.world.publish(messages.to_world_msg(self.floor.world()))
            self.clock.publish(Clock(clock=messages.to_stamp(self.floor.now_ns)))
            spin_until_idle(self.executor)
            if self.node.plan is not None:
                self.floor.obey(self.node.plan)
            self.floor.tick()

    def status(self, concern: str) -> Any:
        reports = self.got[topics.DIAGNOSTICS.name]
        return next(s for m in reversed(reports) for s in m.status if s.name == f"/planner: {concern}")

    def close(self) -> None:
        for node in (self.node, self.bench):
            node.destroy_node()
        rclpy.try_shutdown()


@pytest.fixture
def floor(make: Any, tmp_path: Path) -> Iterator[Floor]:
    out = Floor(make, tmp_path)
    yield out
    out.close()


def submit(floor: Floor, make: Any, name: str = "o") -> None:
    assert floor.node.service is not None
    with PlanningClient(floor.node.service.endpoint) as client:
        client.submit(make.order(name, ("face-0-0", "station-1")))


def done(floor: Floor) -> bool:
    return all(r.state is OrderState.DONE for r in floor.node.store.list())


def test_orders_come_over_zeromq_and_are_carried_out(floor: Floor, make: Any) -> None:
    submit(floor, make)
    floor.run(400, lambda: done(floor))
    assert done(floor) and floor.routes and not floor.floor.violations


def test_why_is_answered_from_the_plan_in_force(floor: Floor, make: Any) -> None:
    submit(floor, make)
    floor.run(10)
    assert floor.node.service is not None and floor.node.plan is not None
    at_work = {t.order_id: r.robot for r in floor.node.plan.robots for t in r.tasks}
    with PlanningClient(floor.node.service.endpoint) as client:
        order, robot = client.why("o", history=True), client.why(at_work["o"])
        with pytest.raises(NotFoundError, match="near it are o"):
            client.why("oo")
    assert order.live and order.chain[0]["robot"] == at_work["o"] == robot.id
    assert "given" in {d.code for d in order.decisions} and robot.state["tasks"][0]["order"] == "o"


def test_while_inactive_nothing_is_released_and_orders_are_still_accepted(floor: Floor, make: Any) -> None:
    submit(floor, make, "first")
    floor.run(5)
    floor.node.trigger_deactivate()
    sent, version = len(floor.routes), floor.node.plan.version
    submit(floor, make, "second")
    floor.run(30)
    assert len(floor.routes) == sent and floor.node.plan.version == version
    assert not any(w.waypoints for w in floor.floor.robots.values())  # they have run what they had, and stand
    assert [r.order.order_id for r in floor.node.store.list()] == ["first", "second"]
    floor.node.trigger_activate()
    floor.run(600, lambda: done(floor))
    assert done(floor) and not floor.floor.violations


def test_cleanup_and_configure_lose_no_order(floor: Floor, make: Any) -> None:
    submit(floor, make)
    floor.run(8)
    for step in ("deactivate", "cleanup", "configure", "activate"):
        getattr(floor.node, f"trigger_{step}")()
    floor.run(600, lambda: done(floor))
    assert done(floor)


def test_orders_in_memory_outlive_cleanup(make: Any, tmp_path: Path) -> None:
    floor = Floor(make, tmp_path, store="")
    try:
        submit(floor, make)
        for step in ("deactivate", "cleanup", "configure", "activate"):
            getattr(floor.node, f"trigger_{step}")()
        floor.run(600, lambda: done(floor))
        assert [r.state for r in floor.node.store.list()] == [OrderState.DONE]
    finally:
        floor.close()


def test_a_destroyed_node_leaves_its_store_to_the_next_one(make: Any, tmp_path: Path) -> None:
    floor = Floor(make, tmp_path)
    store = floor.node.store
    floor.close()
    with pytest.raises(StoreError, match="closed"):
        store.open_count()
    again = SqliteStore(str(tmp_path / "orders.sqlite"))
    assert again.list() == []
    again.close()


def test_an_instruction_accepted_while_inactive_goes_out(floor: Floor) -> None:
    words = floor.hear(topics.INSTRUCTION_TEXT)
    floor.node.trigger_deactivate()
    with PlanningClient(floor.node.service.endpoint) as client:
        client.instruct("bring it")
    floor.run(1)
    assert [w.data for w in words] == ["bring it"]


def test_limits_of_the_planner_change_live_and_unsafe_ones_do_not(floor: Floor, make: Any) -> None:
    node = floor.node
    submit(floor, make)
    floor.run(3)
    assert node.set_parameters([Parameter("lookahead", value=1), Parameter("margin_m", value=0.5)])[0].successful
    assert node.planner.config.lookahead == 1 and node.planner.config.margin_m == 0.5
    floor.run(10)
    floor.run(20)
    assert all(len([w for w in r.released if not w.action]) <= 1 for r in node.plan.robots)
    too_far = node.set_parameters([Parameter("lookahead", value=40)])[0]
    assert not too_far.successful and "lookahead" in too_far.reason and "horizon 20" in too_far.reason
    assert not node.set_parameters([Parameter("capacity", value=5)])[0].successful


def test_the_period_changes_live(floor: Floor) -> None:
    floor.run(3)
    floor.node.set_parameters([Parameter("period_s", value=5.0)])
    before, start = floor.node.plan.version, floor.floor.now_ns
    floor.run(40)
    assert floor.node.plan.version - before == (floor.floor.now_ns - start) // to_ns(5.0)


def test_a_plan_is_made_with_the_world_state_of_now(floor: Floor) -> None:
    floor.run(5)
    for _ in range(6):
        floor.run(1)
        assert floor.node.plan.stamp_ns == floor.node._world.stamp_ns  # not with the one before


def test_without_world_states_it_goes_on_planning(floor: Floor) -> None:
    floor.run(5)
    floor.blind = True
    version = floor.node.plan.version
    floor.run(12)
    assert floor.node.plan.version > version + 2


def test_robots_that_contradict_their_orders_do_not_end_the_node(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a world state that has just come or, when none comes any more, on the timer."""
    floor.run(5)
    assert floor.node.planner is not None

    def step(*_: Any) -> Any:
        raise StateError("an order cannot go from PLANNED to RUNNING")

    with monkeypatch.context() as patch:
        patch.setattr(floor.node.planner, "step", step)
        floor.run(10)
        floor.blind = True
        floor.run(20)
    before = floor.node.plan
    floor.blind = False
    floor.run(5)
    assert floor.node.plan is not before


def test_diagnostics_say_how_it_plans_and_what_is_wrong(floor: Floor, make: Any) -> None:
    floor.hear(topics.DIAGNOSTICS)
    submit(floor, make)
    floor.run(10)
    plan = {v.key: v.value for v in floor.status("planner").values}
    assert floor.status("planner").level == DiagnosticStatus.OK and "plan p50 ms" in plan and plan["robots"] == "2"
    assert floor.status("checker").level == DiagnosticStatus.OK
    assert {v.key for v in floor.status("store").values} >= {"file", "open orders"}
    assert floor.status("service").level == DiagnosticStatus.OK
    assert any(v.key in ("ASSIGNED", "RUNNING") for v in floor.status("orders").values)
    floor.blind = True
    floor.run(12)
    assert floor.status("input /world_state").level == DiagnosticStatus.ERROR
    floor.node.trigger_deactivate()
    floor.node.store.close()
    floor.run(3)
    assert floor.status("store").level == DiagnosticStatus.ERROR


def test_a_robot_with_a_problem_is_reported(floor: Floor) -> None:
    floor.hear(topics.DIAGNOSTICS)
    floor.run(4)
    floor.floor.robots["r1"].problem = "motor hot"
    floor.run(6)
    assert floor.status("planner").level == DiagnosticStatus.WARN
    assert floor.status("planner").message == "left out: r1: motor hot"


def test_routes_are_shown_only_to_those_who_look(floor: Floor, make: Any) -> None:
    submit(floor, make)
    paths, markers = floor.hear(topics.ROUTE_PATH, "/r0/"), floor.hear(topics.WORLD_MARKERS)
    planned = floor.hear(topics.PLANNED_PATH, "/r0/")
    floor.run(8)
    released = next(r for r in floor.node.plan.robots if r.robot == "r0").released
    assert visual.from_path_msg(paths[-1]) == [(w.x_m, w.y_m) for w in released]
    assert visual.from_path_msg(planned[-1])[:1] == visual.from_path_msg(paths[-1])[-1:]
    assert {m.ns for m in markers[-1].markers} <= {"routes", "routes_planned"} and markers[-1].markers
    floor.got.clear()
    shown: list[Any] = []
    view = floor.node._view
    view._node = None  # would fail if anything new were advertised or drawn
    floor.bench.destroy_node()
    view._book.write = lambda *_: shown.append(1)  # type: ignore[method-assign]
    view.publish(floor.node.plan, floor.site)
    assert not shown


def test_a_route_that_nothing_comes_of_is_sent_again(floor: Floor, make: Any) -> None:
    floor.node.set_parameters([Parameter("resend_s", value=2.0)])
    floor.run(5)
    floor.floor.obey = lambda plan: None  # type: ignore[method-assign]  # nothing gets through
    submit(floor, make)
    floor.routes.clear()
    floor.run(14)
    stamps: dict[Any, list[int]] = {}
    for route in floor.routes:
        if route.waypoints:
            seqs = tuple(w.seq for w in route.waypoints)
            stamps.setdefault((route.robot, seqs), []).append(messages.from_stamp(route.header.stamp))
    longest = max(stamps.values(), key=len)
    assert len(longest) >= 4
    assert all(to_ns(2.0) <= b - a <= to_ns(3.0) for a, b in zip(longest, longest[1:], strict=False))


def test_a_store_that_fails_ends_no_plan_and_loses_no_order_of_an_instruction(
    floor: Floor, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    submit(floor, make, "first")
    floor.run(6)

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise StoreError("database or disk is full")

    grounded = GroundedInstruction(
        Instruction("bring it", "bring", 1.0), GroundingStatus.GROUNDED, target_id="tote", destination="station-2"
    )
    publisher = floor.bench.advertise(topics.GROUNDED)
    version = floor.node.plan.version
    with monkeypatch.context() as patch:
        for name in ("transition", "submit_many", "events"):
            patch.setattr(floor.node.store, name, refuse)
        publisher.publish(messages.to_grounded_msg(grounded, (2.5, 2.5), floor.floor.now_ns))
        floor.run(8)
        assert floor.node.plan.version > version + 2
        assert any(d.subject == "orders" and "full" in d.because for d in floor.node.plan.decisions)
        assert [r.order.order_id for r in floor.node.store.list()] == ["first"]
    floor.run(900, lambda: len(floor.node.store.list()) == 2 and done(floor))
    assert len(floor.node.store.list()) == 2 and done(floor) and not floor.floor.violations
