"""Planner node: world state and orders in, released routes out. Hosts the ZeroMQ planning service."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec
from aislewise_msgs.msg import FleetPlan
from aislewise_msgs.srv import CancelOrder, OrderStatus, SubmitOrder
from std_msgs.msg import String

from aislewise import messages, topics
from aislewise.errors import AislewiseError
from aislewise.node import AislewiseNode, run
from aislewise.sitemap import SiteMap
from aislewise.types import GroundingStatus, Order, OrderLine, Plan, WorldState
from planning.planner import Planner, PlannerConfig
from planning.protocol import decode_order
from planning.service import PlanningService, RequestHandler
from planning.store import MemoryStore, OrderStore, SqliteStore


@dataclass(frozen=True)
class PlannerNodeConfig:
    """site: site map file, empty = from /site_map; store: SQLite file, empty = in memory (orders are lost on exit);
    bind: ZeroMQ endpoint, empty = no service; seed: of every solver."""

    site: str = ""
    store: str = ""
    bind: str = "tcp://127.0.0.1:5570"
    period_s: float = 0.5
    seed: int = 0


class PlannerNode(AislewiseNode):
    """Plans every `period_s`; robots run only what is released to them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("planner", **kwargs)
        self.settings = self.config(PlannerNodeConfig)
        self.planner_config = self.config(PlannerConfig)
        self.store: OrderStore = SqliteStore(self.settings.store) if self.settings.store else MemoryStore()
        self.planner: Planner | None = None
        self.service: PlanningService | None = None
        self.plan: Plan | None = None
        self.plan_ms: deque[float] = deque(maxlen=100_000)
        self._world: WorldState | None = None
        self._sent: dict[str, tuple[int, ...]] = {}
        self._routes: dict[str, Any] = {}
        self._fleet_plan = self.advertise(topics.FLEET_PLAN)
        self._instruction = self.advertise(topics.INSTRUCTION_TEXT)
        self.with_site(self.settings.site, self.start)

    def start(self, site: SiteMap) -> None:
        """Everything that needs to know the site."""
        self.planner = Planner(site, self.store, self.planner_config, self.settings.seed)
        self.handler = RequestHandler(self.store, site, self.now_ns)
        if self.settings.bind:
            self.service = PlanningService(
                self.store, site, self.now_ns, self.settings.bind, on_instruction=self.on_instruction
            )
            self.service.start()
            self.get_logger().info(f"planning service at {self.service.endpoint}")
        self.listen(topics.WORLD_STATE, self.on_world)
        self.listen(topics.GROUNDED, self.on_grounded)
        self.create_service(SubmitOrder, topics.SUBMIT_ORDER, self.on_submit)
        self.create_service(OrderStatus, topics.ORDER_STATUS, self.on_status)
        self.create_service(CancelOrder, topics.CANCEL_ORDER, self.on_cancel)
        self.create_timer(self.settings.period_s, self.on_timer)

    def on_world(self, msg: Any) -> None:
        self._world = messages.from_world_msg(msg)

    def on_timer(self) -> None:
        if self._world is None or self.planner is None:
            return
        started = time.perf_counter()
        self.plan = self.planner.step(self._world, self.now_ns())
        self.plan_ms.append((time.perf_counter() - started) * 1e3)
        self.publish(self.plan)

    def publish(self, plan: Plan) -> None:
        """Routes go out when they change; the plan as a whole always."""
        for robot_plan in plan.robots:
            seqs = tuple(w.seq for w in robot_plan.released)
            if self._sent.get(robot_plan.robot) == seqs:
                continue
            self._sent[robot_plan.robot] = seqs
            if robot_plan.robot not in self._routes:
                self._routes[robot_plan.robot] = self.advertise(topics.ROUTE, f"/{robot_plan.robot}/")
            self._routes[robot_plan.robot].publish(
                messages.to_route_msg(robot_plan, plan.version, plan.stamp_ns)
            )
        self._fleet_plan.publish(
            FleetPlan(
                header=messages.header(plan.stamp_ns, "map"), version=plan.version,
                world_version=plan.world_version, plan_json=msgspec.json.encode(plan).decode(),
            )
        )

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
        self.handler.accept(order)

    # --- services ----------------------------------------------------------------------------------

    def on_submit(self, request: Any, response: Any) -> Any:
        try:
            record = self.handler.accept(decode_order(request.order_json.encode()))
            response.accepted, response.state = True, record.state.value
        except AislewiseError as error:
            response.code, response.message = error.code, str(error)
        return response

    def on_status(self, request: Any, response: Any) -> Any:
        try:
            record = self.store.get(request.order_id)
            response.found, response.state = True, record.state.value
            response.reason, response.robot = record.reason, record.robot
        except AislewiseError as error:
            response.reason = str(error)
        return response

    def on_cancel(self, request: Any, response: Any) -> Any:
        try:
            self.store.request_cancel(request.order_id, self.now_ns())
            response.accepted = True
        except AislewiseError as error:
            response.code, response.message = error.code, str(error)
        return response

    def destroy_node(self) -> None:
        if self.service is not None:
            self.service.stop()
        super().destroy_node()


def main(args: list[str] | None = None) -> int:
    return run(PlannerNode, args)


