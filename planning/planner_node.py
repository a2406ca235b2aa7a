"""Planner node: world state and orders in, released routes out. Hosts the ZeroMQ planning service."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from aislewise_msgs.msg import FleetPlan
from aislewise_msgs.srv import CancelOrder, OrderStatus, SubmitOrder
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from std_msgs.msg import String

from aislewise import messages, topics
from aislewise.clock import Clock, to_ns
from aislewise.diagnostics import Concern, Timing
from aislewise.errors import AislewiseError
from aislewise.managed import ManagedNode, transition
from aislewise.node import AislewiseNode, run
from aislewise.settings import check, setting
from aislewise.sitemap import SiteMap
from aislewise.types import GroundingStatus, Order, OrderLine, Plan, RobotPlan, WorldState
from planning.health import planner_concerns, service_concern, store_concern
from planning.planner import Planner, PlannerConfig
from planning.protocol import decode_order
from planning.route_view import RouteView
from planning.service import PlanningService, RequestHandler
from planning.sqlite import StoreError
from planning.store import MemoryStore, OrderStore, SqliteStore


@dataclass(frozen=True)
class PlannerNodeConfig:
    """Parameters of the planner node, beside those of the planner itself."""

    site: str = setting("", "site map file; empty: from /site_map", live=False)
    store: str = setting("", "SQLite file of the orders; empty: in memory, orders are lost on exit", live=False)
    bind: str = setting("tcp://127.0.0.1:5570", "ZeroMQ endpoint of the planning service; empty: none", live=False)
    period_s: float = setting(0.5, "between two plans, s", low=0.05, high=10.0)
    resend_s: float = setting(
        5.0, "a route that a robot has not got on with for so long is sent again: it may not have arrived, s",
        low=0.5, high=600.0,
    )
    seed: int = setting(0, "of every solver", low=0, high=2**31 - 1, live=False)

    def __post_init__(self) -> None:
        check(self)


class PlannerNode(ManagedNode):
    """Plans every `period_s`; robots run only what is released to them. While it is not active nothing is released,
    orders are still accepted and kept."""

    def __init__(self, clients_clock: Clock | None = None, **kwargs: Any) -> None:
        """clients_clock: the time that the planning service tells and stamps orders with, if not the node's own."""
        super().__init__("planner", **kwargs)
        self._clients_clock = clients_clock or self.now_ns
        self.settings = self.config(PlannerNodeConfig, self.on_settings)
        self.planner_config = self.config(PlannerConfig, self.on_planner_config)
        self.store: OrderStore | None = None
        self.planner: Planner | None = None
        self.service: PlanningService | None = None
        self.plan: Plan | None = None
        self.plan_ms: deque[float] = deque(maxlen=100_000)
        self._step = Timing()
        self._world: WorldState | None = None
        self._world_ns = 0
        self._checked_ns = -1
        self._timer: Any = None
        # Not a lifecycle publisher: an instruction that the service has accepted goes out, active or not.
        self._instruction = AislewiseNode.advertise(self, topics.INSTRUCTION_TEXT)
        self.autostart()

    # --- lifecycle ---------------------------------------------------------------------------------

    @transition
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        if self.store is None:  # it stays open through cleanup: orders in memory would be lost
            self.store = self.open_store()
        self._sent: dict[str, tuple[tuple[int, ...], int]] = {}
        self._unkept: list[Order] = []
        self._routes: dict[str, Any] = {}
        self._view = RouteView(self)
        self._fleet_plan = self.advertise(topics.FLEET_PLAN)
        self.with_site(self.settings.site, self.start)
        return super().on_configure(state)

    def open_store(self) -> OrderStore:
        return SqliteStore(self.settings.store) if self.settings.store else MemoryStore()

    def start(self, site: SiteMap) -> None:
        """Everything that needs to know the site."""
        assert self.store is not None
        self.planner = planner = Planner(site, self.store, self.planner_config, self.settings.seed)
        self.handler = RequestHandler(self.store, site, self.now_ns)
        if self.settings.bind:
            self.service = PlanningService(
                self.store, site, self._clients_clock, self.settings.bind, on_instruction=self.on_instruction,
                floor=lambda: planner.floor,
            )
            self.service.start()
            self.get_logger().info(f"planning service at {self.service.endpoint}")
        self.listen(topics.WORLD_STATE, self.on_world)
        self.listen(topics.GROUNDED, self.on_grounded)
        self.serve(SubmitOrder, topics.SUBMIT_ORDER, self.on_submit)
        self.serve(OrderStatus, topics.ORDER_STATUS, self.on_status)
        self.serve(CancelOrder, topics.CANCEL_ORDER, self.on_cancel)
        self._timer = self.every(self.settings.period_s, self.on_timer)

    @transition
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._world = None  # plans rest on what is heard from now on
        return super().on_activate(state)

    def give_back(self) -> None:
        if self.service is not None:
            self.service.stop()
        self.service = self.planner = None
        super().give_back()

    @transition
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        outcome = super().on_shutdown(state)
        self.close_store()
        return outcome

    def close_store(self) -> None:
        if self.store is not None:
            self.store.close()

    def destroy_node(self) -> None:
        super().destroy_node()
        self.close_store()

    def on_settings(self, settings: PlannerNodeConfig) -> None:
        self.settings = settings
        self.retime(self._timer, settings.period_s)

    def on_planner_config(self, config: PlannerConfig) -> None:
        self.planner_config = config
        if self.planner is not None:
            self.planner.reconfigure(config)

    # --- planning ----------------------------------------------------------------------------------

    def on_world(self, msg: Any) -> None:
        """What is new is planned with at once: waiting for a timer would release by a world half a period old."""
        self._world, self._world_ns = messages.from_world_msg(msg), self.now_ns()
        self._step_if_due(0.9)

    def on_timer(self) -> None:
        """World states that fail to come do not stop the planner; nor do robots that contradict their orders."""
        self._keep_orders()
        try:
            self._step_if_due(1.5)
        except AislewiseError as error:
            self.refuse(topics.WORLD_STATE.name, error)

    def _step_if_due(self, periods: float) -> None:
        if self._world is None or self.planner is None or not self.is_active:
            return
        if self.plan is not None and 0 <= self.now_ns() - self.plan.stamp_ns < periods * to_ns(self.settings.period_s):
            return
        started = time.perf_counter()
        try:
            self.plan = self.planner.step(self._world, self.now_ns())
        except StoreError as error:  # the robots go on with what they have
            self.counts["plans.failed"] += 1
            self.get_logger().error(f"no plan: {error}", throttle_duration_sec=5.0)
            return
        ms = (time.perf_counter() - started) * 1e3
        self.plan_ms.append(ms)
        self._step.add(ms)
        self.publish(self.plan)

    def publish(self, plan: Plan) -> None:
        """Routes go out when they change, and again when nothing comes of them; the plan as a whole always."""
        assert self.planner is not None
        for robot_plan in plan.robots:
            seqs = tuple(w.seq for w in robot_plan.released)
            before, sent_ns = self._sent.get(robot_plan.robot, (None, 0))
            unheeded = bool(seqs) and plan.stamp_ns - sent_ns >= to_ns(self.settings.resend_s)
            if before != seqs or unheeded:
                self._sent[robot_plan.robot] = seqs, plan.stamp_ns
                self._publish_route(robot_plan, plan)
        self._fleet_plan.publish(
            FleetPlan(
                header=messages.header(plan.stamp_ns, "map"), version=plan.version,
                world_version=plan.world_version, plan_json=msgspec.json.encode(plan).decode(),
            )
        )
        self._view.publish(plan, self.planner.site)

    def _publish_route(self, robot_plan: RobotPlan, plan: Plan) -> None:
        if robot_plan.robot not in self._routes:
            self._routes[robot_plan.robot] = self.advertise(topics.ROUTE, f"/{robot_plan.robot}/")
        self._routes[robot_plan.robot].publish(messages.to_route_msg(robot_plan, plan.version, plan.stamp_ns))

    # --- instructions ------------------------------------------------------------------------------

    def on_instruction(self, text: str) -> str:
        """An instruction typed into the planning service joins the ROS topic."""
        self._instruction.publish(String(data=text))
        return "published"

    def on_grounded(self, msg: Any) -> None:
        """A grounded "bring" becomes an order like any other; its id is derived from the stamp, so
        that a repeated message is the same order."""
        grounded, target_xy = messages.from_grounded_msg(msg)
        if grounded.status is not GroundingStatus.GROUNDED or grounded.instruction.intent != "bring":
            return
        order = Order(
            f"instruction-{messages.from_stamp(msg.header.stamp)}",
            (OrderLine(grounded.destination, pick_at=target_xy, object_id=grounded.target_id),),
            release_ns=self.now_ns(), priority=1,
        )
        self._unkept.append(order)
        self._keep_orders()

    def _keep_orders(self) -> None:
        """Nobody would repeat an instruction's order: while the store cannot be written it is kept here."""
        while self._unkept:
            try:
                self.handler.accept(self._unkept[0])
            except StoreError as error:
                self.get_logger().error(f"order not stored yet: {error}", throttle_duration_sec=5.0)
                return
            except AislewiseError as error:
                self.refuse(topics.GROUNDED.name, error)
            self._unkept.pop(0)

    # --- services ----------------------------------------------------------------------------------

    def on_submit(self, request: Any, response: Any) -> Any:
        try:
            record = self.handler.accept(decode_order(request.order_json.encode()))
            response.accepted, response.state = True, record.state.value
        except AislewiseError as error:
            response.code, response.message = error.code, str(error)
        return response

    def on_status(self, request: Any, response: Any) -> Any:
        assert self.store is not None
        try:
            record = self.store.get(request.order_id)
            response.found, response.state = True, record.state.value
            response.reason, response.robot = record.reason, record.robot
        except AislewiseError as error:
            response.reason = str(error)
        return response

    def on_cancel(self, request: Any, response: Any) -> Any:
        assert self.store is not None
        try:
            self.store.request_cancel(request.order_id, self.now_ns())
            response.accepted = True
        except AislewiseError as error:
            response.code, response.message = error.code, str(error)
        return response

    # --- diagnostics -------------------------------------------------------------------------------

    def concerns(self, now_ns: int) -> Iterable[Concern]:
        yield from super().concerns(now_ns)
        yield store_concern(self.store, self.settings.store)
        yield service_concern(self.service, self.settings.bind)
        if self.is_active:
            yield from planner_concerns(self.planner, self.plan, self._step, self.settings.period_s)


def main(args: list[str] | None = None) -> int:
    return run(PlannerNode, args)
