"""The environment keeps Gymnasium's contract, repeats, and no policy can make robots collide."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv
from hypothesis import given
from hypothesis import strategies as st

import aislewise.gym  # noqa: F401 - registers the environment
from aislewise.clock import to_ns
from aislewise.errors import InputError
from aislewise.sitemap import SiteMap
from aislewise.types import Order, OrderLine
from sim.demand import Cancellation, Demand
from sim.demand_profile import DemandConfig
from sim.gym_env import DEFAULT, KEEP, MAP_KINDS, Rewards, WarehouseEnv
from sim.gym_orders import OrderBook
from sim.robots import RobotConfig
from sim.scenario import Scenario
from sim.warehouse import generate

NAME = "aislewise/Warehouse-v0"
SMALL = dataclasses.replace(DEFAULT, robots=3, orders=5, release_s=20.0, duration_s=240.0, demand=DemandConfig(waiting_share=1.0))
SITE: SiteMap = generate(DEFAULT.warehouse, np.random.default_rng(0)).site
HAS_ORDER, BEGUN, CHARGING, BATTERY = 6, 7, 8, 4


def _make(scenario: Scenario = SMALL, **kwargs: Any) -> WarehouseEnv:
    env = gymnasium.make(NAME, scenario=scenario, disable_env_checker=True, **kwargs).unwrapped
    assert isinstance(env, WarehouseEnv)
    return env


def _greedy(seen: dict[str, Any]) -> np.ndarray:
    """Free robots take the open orders by their place in the list."""
    slots = len(seen["orders"])
    actions, free = np.zeros(len(seen["robots"]), np.int64), list(range(1, slots + 1))
    for k, (robot, mask) in enumerate(zip(seen["robots"], seen["action_mask"], strict=True)):
        choice = next((s for s in free if mask[s]), KEEP)
        if not robot[HAS_ORDER] and choice:
            actions[k] = choice
            free.remove(choice)
    return actions


def _episode(env: WarehouseEnv, seed: int | None, policy: Any) -> tuple[list[Any], dict[str, Any]]:
    seen, info = env.reset(seed=seed)
    rows, over = [], False
    while not over:
        assert env.observation_space.contains(seen)
        seen, reward, terminated, truncated, info = env.step(policy(seen))
        rows.append((float(reward), terminated, truncated, {k: v.tobytes() for k, v in seen.items()}))
        over = terminated or truncated
    return rows, info


def _random(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return lambda seen: np.array([rng.integers(len(mask)) for mask in seen["action_mask"]])


def test_gymnasiums_checker_has_nothing_to_say() -> None:
    env = gymnasium.make(NAME, scenario=SMALL, render_mode="rgb_array").unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)


def test_the_import_alone_makes_it_known() -> None:
    code = f"import gymnasium, sys; import aislewise.gym; assert 'sim' not in sys.modules; gymnasium.spec('{NAME}')"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_same_seed_and_actions_give_the_same_episode() -> None:
    short = dataclasses.replace(SMALL, duration_s=50.0)
    env = _make(short)
    first, _ = _episode(env, 7, _random(1))
    again, _ = _episode(_make(short), 7, _random(1))
    assert first == again
    assert first != _episode(env, 8, _random(1))[0]
    env.reset(seed=7)
    assert _episode(env, None, _random(1))[0] != first  # goes on from the seed, to another day


def test_a_plain_policy_brings_everything_and_touches_nothing() -> None:
    env = _make()
    rows, info = _episode(env, 3, _greedy)
    assert rows[-1][1] and not rows[-1][2]
    assert (info["delivered"], info["open"], info["collisions"]) == (5, 0, 0)
    assert env.world is not None
    lines = sum(len(w.order.lines) for w in env.book.works.values())
    assert len(env.world.deliveries) == lines and not env.world.missed_picks
    for work in env.book.works.values():  # at the station that was asked for, and by the simulator's truth
        places = sorted(d.place for d in env.world.deliveries if d.order_id == work.order.order_id)
        assert places == sorted(line.deliver_to for line in work.order.lines)


def test_no_actions_lead_to_a_collision_even_among_people() -> None:
    crowd = dataclasses.replace(SMALL, robots=5, people=3, forklifts=1, duration_s=80.0)
    _, info = _episode(_make(crowd), 5, _random(2))
    assert info["collisions"] == 0


def test_what_the_mask_forbids_changes_nothing() -> None:
    a, b = _make(), _make()
    seen, _ = a.reset(seed=2)
    b.reset(seed=2)
    rng = np.random.default_rng(0)
    for step in range(12):
        wish = _greedy(seen) if step % 3 == 0 else rng.integers(0, seen["action_mask"].shape[1], len(seen["robots"]))
        masked = np.where(seen["action_mask"][np.arange(len(wish)), wish] > 0, wish, KEEP)
        one, other = a.step(wish), b.step(masked)
        assert one[1] == other[1] and {k: v.tobytes() for k, v in one[0].items()} == {k: v.tobytes() for k, v in other[0].items()}
        seen = one[0]


def test_of_two_robots_the_first_has_the_order_and_may_change_its_mind_until_it_picks() -> None:
    env = _make()
    env.reset(seed=3)
    seen = env.step(np.array([1, 1, KEEP]))[0]
    assert seen["robots"][:, HAS_ORDER].tolist() == [1.0, 0.0, 0.0]
    had = env.book.of("robot_1")
    seen = env.step(np.array([1, KEEP, KEEP]))[0]
    assert env.book.of("robot_1") is not had and had is not None and had.open
    while not seen["robots"][0, BEGUN]:
        seen = env.step(np.zeros(3, np.int64))[0]
    assert seen["action_mask"][0].tolist() == [1] + [0] * (env.slots + 2)
    held = env.book.of("robot_1")
    env.step(np.array([2, KEEP, KEEP]))
    assert env.book.of("robot_1") is held


def test_robots_charge_at_chargers_of_their_own() -> None:
    env = _make(dataclasses.replace(SMALL, robots=5, battery=(0.3, 0.4)))  # and three chargers
    seen, _ = env.reset(seed=1)
    before = seen["robots"][:, BATTERY].copy()
    seen = env.step(np.full(5, env.charge))[0]
    assert seen["robots"][:, CHARGING].tolist() == [1.0, 1.0, 1.0, 0.0, 0.0] and len(set(env._charging.values())) == 3
    for _ in range(20):
        seen = env.step(np.zeros(5, np.int64))[0]
    assert (seen["robots"][:3, BATTERY] > before[:3] + 0.05).all() and (seen["robots"][3:, BATTERY] < before[3:]).all()
    seen = env.step(np.array([env.park, 1, KEEP, KEEP, KEEP]))[0]
    assert seen["robots"][:, CHARGING].tolist() == [0.0, 0.0, 1.0, 0.0, 0.0] and seen["robots"][1, HAS_ORDER] == 1.0


def test_a_robot_without_charge_takes_no_orders() -> None:
    robot = dataclasses.replace(DEFAULT.robot, battery_s=40.0, idle_share=1.0)
    env = _make(dataclasses.replace(SMALL, battery=(0.05, 0.1), robot=robot))
    env.reset(seed=1)
    for _ in range(2):
        seen = env.step(np.zeros(3, np.int64))[0]
    assert (seen["robots"][:, BATTERY] == 0.0).all()
    assert seen["action_mask"].tolist() == [[1] + [0] * (env.slots + 2)] * 3


def test_doing_nothing_costs_what_the_orders_wait() -> None:
    rewards = Rewards(delivered=1.0, waiting_per_min=0.5, late_per_min=2.0)
    scenario = dataclasses.replace(SMALL, demand=DemandConfig(waiting_share=1.0, due_share=1.0, due_s=(100.0, 100.0)))
    rows, info = _episode(_make(scenario, rewards=rewards), 1, lambda seen: np.zeros(3, np.int64))
    assert rows[-1][2] and not rows[-1][1] and info["open"] == 5
    assert info["time_s"] == 240.0
    assert sum(r[0] for r in rows) == pytest.approx(-5 * (4.0 * 0.5 + 140.0 / 60.0 * 2.0), abs=5 * 2.0 / 60.0)


def test_each_delivery_is_rewarded_once() -> None:
    rows, _ = _episode(_make(rewards=Rewards(1.0, 0.0, 0.0)), 3, _greedy)
    assert sum(r[0] for r in rows) == 5.0 and {r[0] for r in rows} <= {0.0, 1.0, 2.0, 3.0}


def test_the_map_says_where_things_are() -> None:
    env = _make()
    seen, _ = env.reset(seed=1)
    assert env.world is not None
    for place in env.world.site.places.values():
        assert MAP_KINDS[seen["map"].flat[place.cell]] == place.kind
    assert ((seen["map"] == 0) == ~env.world.site.free).all()


def test_the_picture_shows_robots_that_move() -> None:
    env = _make(render_mode="rgb_array")
    env.reset(seed=3)
    before = env.render()
    assert before is not None and before.shape == (720, 720, 3) and before.dtype == np.uint8
    env.step(np.array([1, 2, 3]))
    after = env.render()
    assert after is not None and 0.0005 < (before != after).any(axis=2).mean() < 0.1


def test_environments_run_side_by_side_in_processes() -> None:
    short = dataclasses.replace(SMALL, duration_s=20.0)
    venv = AsyncVectorEnv([lambda: gymnasium.make(f"aislewise.gym:{NAME}", scenario=short)] * 2, context="spawn")
    try:
        seen, _ = venv.reset(seed=[1, 2])
        assert seen["robots"].shape == (2, 3, 11) and not np.array_equal(seen["orders"][0], seen["orders"][1])
        for _ in range(6):  # past the end of an episode
            seen, reward, _, _, _ = venv.step(venv.action_space.sample())
            assert reward.shape == (2,)
        alone = _make(short)
        assert np.array_equal(alone.reset(seed=1)[0]["robots"], venv.reset(seed=[1, 2])[0]["robots"][0])
    finally:
        venv.close()


@pytest.mark.parametrize(
    ("kwargs", "field"),
    [({"step_s": 0.3}, "step_s"), ({"step_s": 0.0}, "step_s"), ({"order_slots": 0}, "order_slots"), ({"scenario": "no_such"}, "scenario")],
)
def test_wrong_arguments_are_named(kwargs: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=field):
        WarehouseEnv(**kwargs)


def test_wrong_calls_are_named() -> None:
    env = WarehouseEnv(SMALL)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(3, np.int64))
    with pytest.raises(InputError, match="render_mode"):
        WarehouseEnv(SMALL, render_mode="human")
    env.reset(seed=1)
    with pytest.raises(InputError, match="action"):
        env.step(np.array([99, 0, 0]))


# --- the book of orders ------------------------------------------------------------------------


def _book(orders: list[Order], cancels: tuple[Cancellation, ...] = (), capacity: int = 2) -> OrderBook:
    return OrderBook(SITE, Demand(tuple(orders), cancels), capacity, 4.0, 4.0)


def _order(name: str, quantities: list[int], release_s: float = 0.0, **more: Any) -> Order:
    faces = SITE.of_kind("pick_face")
    lines = tuple(OrderLine("station_1", pick_from=faces[k].id, quantity=q) for k, q in enumerate(quantities))
    return Order(name, lines, to_ns(release_s), **more)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 4))
def test_every_load_is_picked_once_and_dropped_once_and_they_fit(quantities: list[int], capacity: int) -> None:
    book = _book([_order("a", quantities)], capacity=capacity)
    book.advance(0)
    work = book.open()[0]
    book.take(work, "r")
    aboard, picked = 0, 0
    while not work.ended:
        errand = book.errand(work)
        assert len({act.kind for act in errand.acts}) >= 1 and all(a.number >= 0 for a in errand.acts)
        for act in errand.acts:
            aboard += 1 if act.kind == "pick" else -1
            picked += act.kind == "pick"
            assert 0 <= aboard <= capacity
        book.settle([act.number for act in errand.acts], 1)
    assert aboard == 0 and picked == sum(quantities) and book.over and work.delivered


def test_calling_off_ends_what_has_not_begun() -> None:
    orders = [_order("a", [1]), _order("b", [1]), _order("c", [1], release_s=5.0)]
    calls = tuple(Cancellation(o.order_id, to_ns(10.0)) for o in orders)
    book = _book(orders, calls)
    book.advance(0)
    a, b = book.works["a"], book.works["b"]
    book.take(a, "r1")
    book.take(b, "r2")
    book.settle([book.errand(a).acts[0].number], to_ns(6.0))
    book.advance(to_ns(10.0))
    assert not a.ended and b.called_off and book.works["c"].called_off and not b.delivered
    assert book.of("r2") is None and book.of("r1") is a and not book.open()
    book.settle([act.number for act in book.errand(a).acts], to_ns(20.0))
    assert book.over and a.delivered


def test_the_most_urgent_come_first() -> None:
    book = _book([_order("late", [1]), _order("due", [1], due_ns=to_ns(50.0)), _order("rush", [1], priority=5)])
    book.advance(0)
    assert [w.order.order_id for w in book.open()] == ["rush", "due", "late"]


def test_the_default_has_no_sensors_to_pay_for() -> None:
    assert DEFAULT.demand is not None and DEFAULT.robot != RobotConfig()
    code = "import gymnasium, sys, aislewise.gym; gymnasium.make('aislewise/Warehouse-v0').reset(seed=0); assert 'open3d' not in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
