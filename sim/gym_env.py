"""A warehouse to learn dispatching in: `gymnasium.make("aislewise/Warehouse-v0")` after `import aislewise.gym`.

Every few simulated seconds the agent says for each robot what to do next: go on, take one of the open orders, charge or
park. How it gets there is the planner's traffic layer's business (sim.gym_driver), and what happens on the way the
simulator's physics: no action leads to a collision, a bad one costs time. Sensors are not simulated.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from aislewise.clock import to_ns, to_s
from aislewise.errors import InputError
from aislewise.types import F32, U8, RobotInfo
from planning.config import PlannerConfig
from planning.distance import UNREACHABLE
from sim.demand import make_demand
from sim.demand_profile import DemandConfig
from sim.gym_driver import CHARGE, Act, Driver, Errand
from sim.gym_orders import OrderBook, Work
from sim.gym_view import draw
from sim.robots import RobotConfig
from sim.scenario import Scenario, load_scenario
from sim.warehouse import WarehouseConfig
from sim.world import SimWorld

PLAN_S, TICK_S = 0.5, 0.1
KEEP = 0
"""The action that changes nothing."""
ROBOT_COLUMNS = ("x", "y", "cos_yaw", "sin_yaw", "battery", "load", "has_order", "begun", "charging", "goal_x", "goal_y")
ORDER_COLUMNS = ("pick_x", "pick_y", "drop_x", "drop_y", "waiting", "has_due", "time_left", "priority", "stops")
MAP_KINDS = ("closed", "open", "pick_face", "station", "charger", "parking")
DEFAULT = Scenario(
    name="gym", robots=4, orders=40, people=0, forklifts=0, duration_s=1200.0, release_s=800.0, slotting_m=6.0,
    battery=(0.3, 0.9),
    warehouse=WarehouseConfig(width=20, height=20, blocks=1, aisles=(1, 2), stations=3, chargers=3, parking=4, bays=1),
    robot=RobotConfig(battery_s=1500.0, charge_s=300.0, taper_from=0.8, stops_when_empty=True),
    demand=DemandConfig(profile="two_peaks", zipf=0.8, due_s=(120.0, 300.0), rush_share=0.15, cancel_share=0.05),
)  # fmt: skip
"""Small enough to learn in, hard enough that the nearest order is not always the right one."""


@dataclass(frozen=True)
class Rewards:
    """delivered: for each order; waiting_per_min, late_per_min: taken off for each order and minute that it is open
    or under way, and beyond its due time."""

    delivered: float = 1.0
    waiting_per_min: float = 0.05
    late_per_min: float = 0.2


class WarehouseEnv(gymnasium.Env[dict[str, NDArray[Any]], NDArray[np.int64]]):
    """scenario: a Scenario, a packaged name or a file (seed and sensors aside); step_s: simulated time between two
    decisions; order_slots: open orders shown at once, the most urgent first; rewards: what counts.

    Action: MultiDiscrete, for each robot 0 = go on, 1 to order_slots = take the order in that slot, then charge at the
    nearest free charger, then leave that and park. What is not possible (`action_mask`) changes nothing; of robots that ask for the
    same order or charger the first has it. A robot may change its mind until it picks the first load.

    Observation: Dict of
    `robots` (R, 11), ROBOT_COLUMNS, and `orders` (order_slots, 9), ORDER_COLUMNS, zeros where there is none: places
    over the hall's width and height, times over the episode's length (time_left: below 0 is late), load over capacity,
    the rest 0 to 1; `map` (H, W) uint8, MAP_KINDS; `progress` (2,): share of the time gone, share of all orders ended;
    `action_mask` (R, order_slots + 3) int8.

    Terminated when all orders have ended, truncated when the scenario's time is up. The same seed of `reset` and the
    same actions give the same episode. info: `delivered`, `late`, `open`, `called_off` orders, `collisions`, `time_s`.
    """

    observation_space: spaces.Dict  # type: ignore[assignment]
    action_space: spaces.MultiDiscrete  # type: ignore[assignment]
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(
        self,
        scenario: Scenario | str = DEFAULT,
        step_s: float = 5.0,
        order_slots: int = 8,
        rewards: Rewards | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise InputError("render_mode", f"{render_mode!r}", self.metadata["render_modes"])
        if not (PLAN_S <= step_s <= 3600.0 and to_ns(step_s) % to_ns(PLAN_S) == 0):
            raise InputError("step_s", f"{step_s}", f"a multiple of {PLAN_S} s, up to 3600 s")
        if not 1 <= order_slots <= 1000:
            raise InputError("order_slots", f"{order_slots}", "1 to 1000")
        self.scenario = load_scenario(scenario) if isinstance(scenario, str) else scenario
        self.render_mode, self.step_s, self.slots = render_mode, step_s, order_slots
        self.rewards = rewards or Rewards()
        self.config = PlannerConfig(speed_mps=self.scenario.robot.speed_mps)
        robots, (height, width) = self.scenario.robots, (self.scenario.warehouse.height, self.scenario.warehouse.width)
        actions = order_slots + 3
        self.charge, self.park = order_slots + 1, order_slots + 2
        self.action_space = spaces.MultiDiscrete([actions] * robots)
        self.observation_space = spaces.Dict(
            {
                "robots": spaces.Box(-1.0, 1.0, (robots, len(ROBOT_COLUMNS)), np.float32),
                "orders": spaces.Box(-1.0, 1.0, (order_slots, len(ORDER_COLUMNS)), np.float32),
                "map": spaces.Box(0, len(MAP_KINDS) - 1, (height, width), np.uint8),
                "progress": spaces.Box(0.0, 1.0, (2,), np.float32),
                "action_mask": spaces.Box(0, 1, (robots, actions), np.int8),
            }
        )
        self.world: SimWorld | None = None
        self.driver: Driver
        self.book: OrderBook

    # --- gymnasium's interface ---------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        super().reset(seed=seed)
        scenario = dataclasses.replace(self.scenario, seed=int(self.np_random.integers(2**31)))
        self.world = SimWorld(scenario)
        self.driver = Driver(self.world, self.config, scenario.seed)
        config = self.config
        demand = make_demand(scenario, self.world.site)
        self.book = OrderBook(self.world.site, demand, config.capacity, config.pick_s, config.drop_s)
        self._all = max(1, len(demand.orders))
        self._charging: dict[str, int] = {}
        self._map = _map(self.world)
        self.book.advance(0)
        self._shown = self.book.open()[: self.slots]
        return self._observation(), self._info()

    def step(
        self, action: NDArray[np.int64]
    ) -> tuple[dict[str, NDArray[Any]], SupportsFloat, bool, bool, dict[str, Any]]:
        world = self._running()
        if not self.action_space.contains(np.asarray(action)):
            raise InputError("action", f"{action!r:.200}", f"{self.action_space}")
        for robot, choice in zip(world.robots, np.asarray(action).tolist(), strict=True):
            self._choose(robot, choice)
        reward = 0.0
        end_ns = world.now_ns + to_ns(self.step_s)
        while world.now_ns < end_ns and not self.book.over and not self._time_is_up:
            reward += self._advance(world)
        self._shown = self.book.open()[: self.slots]
        over = self.book.over
        return self._observation(), reward, over, not over and self._time_is_up, self._info()

    def render(self) -> U8 | None:  # type: ignore[override]
        """(H, W, 3) uint8: the hall from above, north up."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() without a render_mode; give render_mode='rgb_array' to make()")
            return None
        carries = {robot: self.book.of(robot) for robot in self._running().robots}
        return draw(self._running(), self.book.open(), carries, set(self._charging))

    def close(self) -> None:
        self.world = None

    # --- deciding ----------------------------------------------------------------------------------

    def _choose(self, robot: str, choice: int) -> None:
        if choice == KEEP or not self._possible(robot)[choice]:
            return
        self._charging.pop(robot, None)
        self.book.give_back(robot)
        if choice == self.charge:
            self._charging[robot] = self._charger(robot)
        elif choice != self.park:  # robots with nothing to do park by themselves
            self.book.take(self._shown[choice - 1], robot)

    def _possible(self, robot: str) -> NDArray[np.int8]:
        """(actions,) 1 where the choice would change something."""
        out = np.zeros(self.slots + 3, np.int8)
        out[KEEP] = 1
        work = self.book.of(robot)
        if self._running().robot_info(robot).problem or (work is not None and work.begun):
            return out
        for k, shown in enumerate(self._shown):
            out[1 + k] = shown.open
        out[self.charge] = robot not in self._charging and self._charger(robot) >= 0
        out[self.park] = robot in self._charging or work is not None
        return out

    def _charger(self, robot: str) -> int:
        """The nearest that nobody else is sent to; -1 if there is none."""
        world = self._running()
        taken = {cell for other, cell in self._charging.items() if other != robot}
        steps = self.driver.tables.to(self._cell(robot))
        free = [p.cell for p in world.site.of_kind("charger") if p.cell not in taken and steps[p.cell] < UNREACHABLE]
        return min(free, key=lambda cell: (int(steps[cell]), cell), default=-1)

    def _cell(self, robot: str) -> int:
        pose = self._running().true_pose(robot)
        return self._running().site.cell_at(pose.x_m, pose.y_m)

    # --- the world goes on -------------------------------------------------------------------------

    def _advance(self, world: SimWorld) -> float:
        """One period of the planner; what it earned."""
        delivered = self.book.settle(self.driver.hear(), world.now_ns)
        self.driver.drive({robot: self._errand(robot) for robot in world.robots})
        for robot in world.robots:
            work = self.book.of(robot)
            if work is not None and self.driver.handling(robot):
                work.begun = True
        for _ in range(round(PLAN_S / TICK_S)):
            world.step(TICK_S)
        self.book.advance(world.now_ns)
        rewards, minutes = self.rewards, PLAN_S / 60.0
        unfinished = self.book.unfinished()
        late = sum(0 < w.order.due_ns < world.now_ns for w in unfinished)
        cost = len(unfinished) * rewards.waiting_per_min + late * rewards.late_per_min
        return len(delivered) * rewards.delivered - cost * minutes

    def _errand(self, robot: str) -> Errand:
        work = self.book.of(robot)
        if work is not None:
            return self.book.errand(work)
        cell = self._charging.get(robot)
        if cell is None:
            return Errand()
        return Errand(cell, (Act("charge", f"charge:{robot}", self.config.charge_slice_s, CHARGE),))

    @property
    def _time_is_up(self) -> bool:
        return to_s(self._running().now_ns) >= self.scenario.duration_s

    def _running(self) -> SimWorld:
        if self.world is None:
            raise gymnasium.error.ResetNeeded("call reset() first")
        return self.world

    # --- what the agent sees -----------------------------------------------------------------------

    def _observation(self) -> dict[str, NDArray[Any]]:
        world = self._running()
        infos = [world.robot_info(robot) for robot in world.robots]
        orders = np.zeros((self.slots, len(ORDER_COLUMNS)), np.float32)
        for k, work in enumerate(self._shown):
            orders[k] = self._order_row(work)
        ended = sum(w.ended for w in self.book.works.values())
        progress = (to_s(world.now_ns) / self.scenario.duration_s, ended / self._all)
        return {
            "robots": np.stack([self._robot_row(info) for info in infos]),
            "orders": orders,
            "map": self._map.copy(),
            "progress": np.clip(np.array(progress, np.float32), 0.0, 1.0),
            "action_mask": np.stack([self._possible(info.id) for info in infos]),
        }

    def _robot_row(self, info: RobotInfo) -> F32:
        site, work = self._running().site, self.book.of(info.id)
        goal = self._errand(info.id).cell
        goal_xy = self._place(goal) if goal >= 0 else (0.0, 0.0)
        row = (
            info.pose.x_m / site.width, info.pose.y_m / site.height,
            np.cos(info.pose.yaw_rad), np.sin(info.pose.yaw_rad), info.battery, len(info.load) / self.config.capacity,
            work is not None, work is not None and work.begun, info.id in self._charging, *goal_xy,
        )  # fmt: skip
        return np.clip(np.array(row, np.float32), -1.0, 1.0)

    def _order_row(self, work: Work) -> F32:
        now_ns, order, whole = self._running().now_ns, work.order, self.scenario.duration_s
        first = next(s for s in work.stops if s.kind == "pick")
        last = next(s for s in work.stops if s.kind == "drop")
        left = to_s(order.due_ns - now_ns) / whole if order.due_ns else 0.0
        row = (
            *self._place(first.cell), *self._place(last.cell), to_s(now_ns - order.release_ns) / whole,
            order.due_ns > 0, left, order.priority / 10.0, len(work.stops) / 16.0,
        )  # fmt: skip
        return np.clip(np.array(row, np.float32), -1.0, 1.0)

    def _place(self, cell: int) -> tuple[float, float]:
        site = self._running().site
        return (cell % site.width + 0.5) / site.width, (cell // site.width + 0.5) / site.height

    def _info(self) -> dict[str, Any]:
        works = self.book.works.values()
        return {
            "delivered": sum(w.delivered for w in works),
            "late": sum(w.delivered and 0 < w.order.due_ns < w.ended_ns for w in works),
            "open": sum(not w.ended for w in works),
            "called_off": sum(w.called_off for w in works),
            "collisions": len(self._running().collisions),
            "time_s": to_s(self._running().now_ns),
        }


def _map(world: SimWorld) -> U8:
    out: U8 = world.site.free.astype(np.uint8)
    for place in world.site.places.values():
        out.flat[place.cell] = MAP_KINDS.index(place.kind)
    return out
