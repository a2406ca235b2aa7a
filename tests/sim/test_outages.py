"""Faults of processes and networks: what is drawn, what is lost, and whole shifts that bear them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.parameter import Parameter

from aislewise import messages
from aislewise.clock import ManualClock, to_ns
from aislewise.errors import InputError
from aislewise.types import Order, OrderLine, RobotMode, RobotPlan, Waypoint
from planning.client import PlanningClient
from planning.config import PlannerConfig
from planning.protocol import UnavailableError
from planning.service import PlanningService
from planning.sqlite import StoreError
from planning.store import MemoryStore, SqliteStore
from sim.client_link import ClientLink
from sim.fault_figures import CAPACITY, duplicate_deliveries, lost_orders, with_reactions
from sim.faults import FaultSchedule, parse_fault
from sim.live import LiveConfig, LiveShift
from sim.metrics import TIMING_KEYS, Handled
from sim.network_faults import MOST_LATE_S, RobotNetwork
from sim.process_faults import FragileStore, Killed
from sim.scenario import Scenario, scenario_from
from sim.shift import Shift
from sim.sim_node import SimNode
from sim.world import SimWorld

HALL: dict[str, Any] = {
    "seed": 3, "duration_s": 300, "robots": 3, "orders": 6, "people": 0, "forklifts": 0, "release_s": 40, "slotting_m": 5,
    "fidelity": {"sensor": 0, "state_hz": 5.0, "plan_s": 0.5},
    "warehouse": {
        "width": 20, "height": 20, "blocks": 1, "aisles": [1, 2], "stations": 3, "chargers": 4, "parking": 2, "bays": 1,
    },
}  # fmt: skip
"""No camera is rendered: the robots are of object fidelity."""


def order(order_id: str) -> Order:
    return Order(order_id, (OrderLine("station_1", pick_from="face"),))


# ---- the store of a planner that is killed -------------------------------------------------------------


def test_what_a_killed_planner_had_committed_is_there_and_what_it_had_not_is_not(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    first = FragileStore(path)
    first.submit(order("kept"), 1)
    with pytest.raises(StoreError, match="in use"):
        SqliteStore(path)
    first.fuse, first.torn = 0, True
    with pytest.raises(Killed):
        first.submit(order("torn"), 2)
    first.torn = False
    with pytest.raises(Killed):
        first.submit(order("committed"), 3)  # and nobody was told
    first.fuse = -1
    assert (tmp_path / "o.db-wal").stat().st_size > 0  # it has not been tidied up
    first.abandon()
    second = SqliteStore(path)
    assert [r.order.order_id for r in second.list()] == ["kept", "committed"]
    first.submit(order("ghost"), 4)  # whatever still writes there harms nobody
    second.submit(order("next"), 5)
    assert [r.order.order_id for r in second.list()] == ["kept", "committed", "next"]
    second.close()
    first.bury()
    third = SqliteStore(path)
    assert [r.order.order_id for r in third.list()] == ["kept", "committed", "next"]
    third.close()


def test_the_fuse_counts_the_planners_commits_alone(tmp_path: Path) -> None:
    import threading

    store = FragileStore(tmp_path / "o.db")
    store.fuse = 1
    client = threading.Thread(target=lambda: [store.submit(order(f"c{k}"), 1) for k in range(3)])
    client.start()
    client.join()
    store.submit(order("a"), 2)
    with pytest.raises(Killed):
        store.submit(order("b"), 3)
    assert len(store.list()) == 5
    store.close()


# ---- the wire of a client -----------------------------------------------------------------------------


@pytest.fixture
def site() -> Any:
    return SimWorld(scenario_from(HALL)).site


def test_a_cut_wire_loses_requests_and_a_client_that_asks_again_gets_one_order(site: Any) -> None:
    face, station = site.of_kind("pick_face")[0].id, site.of_kind("station")[0].id
    wanted = Order("a", (OrderLine(station, pick_from=face),))
    store = MemoryStore()
    with PlanningService(store, site, ManualClock(7), "tcp://127.0.0.1:*") as service:
        link = ClientLink(service.endpoint)
        with PlanningClient(link.endpoint, timeout_s=20.0) as client:
            assert client.now_ns() == 7
        link.cut = True
        with PlanningClient(link.endpoint, timeout_s=0.1, retries=1) as client:
            with pytest.raises(UnavailableError):
                client.submit(wanted)
            assert store.list() == []
            link.cut = False
        with PlanningClient(link.endpoint, timeout_s=20.0) as client:
            assert client.submit(wanted) == client.submit(wanted) == store.get("a")
        link.stop()
    assert len(store.events()) == 1


# ---- the network of a robot ---------------------------------------------------------------------------


def carried(line: str, seed: int = 0, robot: str = "robot_1", topic: str = "route") -> list[tuple[float, int]]:
    """(when, number) of messages sent every 0.2 s for 20 s, as they arrive."""
    now = [0]
    network = RobotNetwork(
        FaultSchedule([parse_fault(line)]), ["robot_1", "robot_2"], lambda *more: np.random.default_rng([seed, *more])
    )
    got: list[tuple[float, int]] = []
    for k in range(130):
        now[0] = to_ns(0.2 * k)
        network.due(now[0])
        if k < 100:
            network.carry(robot, topic, now[0], lambda k=k: got.append((round(now[0] * 1e-9, 1), k)))  # type: ignore[misc]
    return got


def plain() -> list[tuple[float, int]]:
    return [(round(0.2 * k, 1), k) for k in range(100)]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), share=st.floats(0.01, 1.0))
def test_doubled_messages_come_once_or_twice_the_second_time_a_little_later(seed: int, share: float) -> None:
    got = carried(f"at 5s fault network duplicate by {share} robot=1 for 10s", seed)
    firsts = {number: at for at, number in reversed(got)}
    assert sorted((at, number) for number, at in firsts.items()) == plain()
    extra = sorted(set(range(len(got))) - {got.index((at, n)) for n, at in firsts.items()})
    assert all(5.0 <= 0.2 * got[k][1] < 15.0 and got[k][0] - 0.2 * got[k][1] <= MOST_LATE_S + 0.2 for k in extra)
    assert len(extra) == len({got[k][1] for k in extra})


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), share=st.floats(0.01, 1.0))
def test_reordered_messages_all_come_once_each_at_most_behind_the_next_and_in_time(seed: int, share: float) -> None:
    got = carried(f"at 5s fault network reorder by {share} robot=1 for 10s", seed)
    numbers = [n for _, n in got]
    assert sorted(numbers) == list(range(100))
    assert all(abs(numbers.index(n) - n) <= 1 for n in numbers)
    assert all(at - 0.2 * n <= MOST_LATE_S + 0.2 for at, n in got)


def test_shares_are_met_and_draws_repeat_by_seed_robot_and_topic() -> None:
    line = "at 0s fault network duplicate by 0.5"
    assert 30 < len(carried(line)) - 100 < 70
    assert carried(line) == carried(line) != carried(line, seed=1)
    assert carried(line) != carried(line, robot="robot_2") and carried(line) != carried(line, topic="odom")
    swapped = [n for _, n in carried("at 0s fault network reorder by 0.5")]
    assert swapped != sorted(swapped)


def test_a_cut_takes_all_there_is_of_its_robot_in_its_time() -> None:
    line = "at 5s fault network cut robot=1 for 10s"
    assert carried(line) == [m for m in plain() if not 5.0 <= m[0] < 15.0]
    assert carried(line, robot="robot_2") == carried("at 99s fault network cut") == plain()


# ---- a robot that is lost -----------------------------------------------------------------------------


def test_a_lost_robot_stands_says_so_slides_off_in_its_reports_alone_and_finds_itself() -> None:
    world = SimWorld(Scenario(robots=2, people=0, forklifts=0, lidar_columns=90, faults=(
        parse_fault("at 1s fault robot lost by 4m robot=1 for 9s"),)))  # fmt: skip
    gaps = []
    for _ in range(120):
        world.step(0.1)
        true, info = world.true_pose("robot_1"), world.robot_info("robot_1")
        gaps.append(np.hypot(info.pose.x_m - true.x_m, info.pose.y_m - true.y_m))
        lost = 1.0 <= world.now_ns * 1e-9 < 10.0
        assert (info.mode is RobotMode.LOST) == lost and info.problem == ("not localised" if lost else "")
    assert max(gaps[:9]) < 0.1 and gaps[80] == pytest.approx(4.0, abs=0.1) and max(gaps[101:]) < 0.1
    assert world.robots["robot_1"].distance_m == 0.0 and world.robot_info("robot_2").mode is not RobotMode.LOST


# ---- figures ------------------------------------------------------------------------------------------


def test_lost_and_doubled_orders_are_counted() -> None:
    assert PlannerConfig().capacity == CAPACITY
    assert lost_orders(["a", "b", "a"], {"a", "c"}) == 1 and lost_orders([], {}) == 0
    orders = [Order("a", (OrderLine("s", pick_from="f", quantity=3),)), Order("b", (OrderLine("s", pick_from="f"),))]
    handed = [Handled(1, "r", o, "tote", "s") for o in ("a", "a", "b", "b", "b")] + [Handled(1, "r", "b", "tote", "")]
    assert duplicate_deliveries(orders, handed) == 2


def test_a_reaction_is_how_long_after_its_end_a_robot_had_moved_on() -> None:
    tracks = {"robot_1": [(t / 2, max(0.0, t / 2 - 8.0), 0.0) for t in range(40)], "robot_2": [(t / 2, t, 0.0) for t in range(40)]}
    faults = [
        {"kind": "robot stop", "robots": ["robot_1"], "until_s": 6.0}, {"kind": "planner kill", "robots": [], "until_s": 6.0},
        {"kind": "robot stop", "robots": ["robot_1"], "until_s": None},
    ]  # fmt: skip
    first, second, third = with_reactions(faults, tracks, [{"plan_after_s": 4.0}])
    assert (first["moving_again_s"], second["moving_again_s"], third["moving_again_s"]) == (2.5, 0.5, None)
    assert second["plan_after_s"] == 4.0 and "plan_after_s" not in first


# ---- whole shifts -------------------------------------------------------------------------------------


def run(folder: Path, *faults: str, **changes: Any) -> tuple[dict[str, Any], Shift]:
    shift = Shift(scenario_from(HALL | {"faults": list(faults)} | changes), folder, record=False)
    return shift.run(), shift


def unhurt(metrics: dict[str, Any]) -> bool:
    done = metrics["orders_done"] == metrics["orders_submitted"] == HALL["orders"]
    return bool(metrics["ok"] and done and metrics["lost_orders"] == metrics["duplicate_deliveries"] == metrics["collisions"] == 0)


MIXED = (
    "at 12s fault planner kill for 4s", "at 20s fault store full for 8s", "at 24s fault client cut for 6s",
    "at 36s fault planner kill for 2s", "at 36s fault network duplicate by 0.3", "at 36s fault network reorder by 0.3",
)  # fmt: skip


def test_a_shift_bears_a_killed_planner_a_full_disk_a_cut_client_and_a_bad_network(tmp_path: Path) -> None:
    metrics, shift = run(tmp_path, *MIXED)
    assert unhurt(metrics)
    first, second = (f for f in metrics["faults"] if f["kind"] == "planner kill")
    assert 12.0 <= first["killed_at_s"] <= 15.1 and 4.0 <= first["back_after_s"] < first["plan_after_s"] <= 5.1
    assert second["plan_after_s"] is not None
    accepted = {r.order.order_id: r.accepted_ns for r in shift.records()}
    late = [o for o in shift.orders if to_ns(20.1) < o.release_ns < to_ns(30.0)]
    assert late and all(accepted[o.order_id] >= to_ns(30.0) for o in late)  # refused, or unheard, until there was a way
    assert shift.sim.network.doubled > 20 and shift.sim.network.overtaken > 20


def test_clients_learn_the_time_between_ticks_so_that_no_order_slips_into_the_plan_of_one(tmp_path: Path) -> None:
    shift = Shift(scenario_from(HALL | {"name": "s", "duration_s": 5, "orders": 1}), tmp_path, record=False)
    told: list[tuple[int, int]] = []
    tick = shift.sim.tick

    def ticked() -> None:
        tick()
        told.append((client.now_ns(), shift.world.now_ns))

    shift.sim.tick = ticked  # type: ignore[method-assign]
    with PlanningClient(shift.process.start(), timeout_s=5.0) as client:
        shift.run()
    assert [before for before, _ in told[1:]] == [now for _, now in told[:-1]]


@pytest.mark.slow
def test_a_shift_with_outages_repeats_exactly(tmp_path: Path) -> None:
    first, second = (
        {k: v for k, v in run(tmp_path / name, *MIXED)[0].items() if k not in TIMING_KEYS} for name in ("a", "b")
    )
    assert first == second


@pytest.mark.slow
@pytest.mark.parametrize("offset_s", range(0, 9, 2))
def test_however_often_the_planner_is_killed_nothing_is_lost_or_doubled(tmp_path: Path, offset_s: int) -> None:
    metrics, _ = run(tmp_path, *[f"at {t + offset_s}s fault planner kill for 2s" for t in range(10, 150, 9)], duration_s=500)
    assert unhurt(metrics)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["network cut robot=1 for 15s", "network cut for 8s", "network reorder by 0.8",
                                   "robot lost robot=1,2 for 20s", "client cut for 20s", "store full for 25s"])  # fmt: skip
def test_a_shift_bears_each_fault_alone(tmp_path: Path, fault: str) -> None:
    assert unhurt(run(tmp_path, f"at 15s fault {fault}")[0])


def test_a_live_run_refuses_what_befalls_processes_that_are_not_its_own() -> None:
    with pytest.raises(InputError, match=r"faults\[0\]\.kind"):
        LiveShift(scenario_from(HALL | {"faults": ["at 5s fault planner kill"]}), LiveConfig())




def test_a_route_that_a_newer_one_has_overtaken_is_refused() -> None:
    """Obeyed, it would lead a robot on into cells that were taken back from it."""
    rclpy.init()
    sim = SimNode(scenario_from(HALL), lockstep=True, parameter_overrides=[Parameter("workers", value=0)])
    try:
        at = sim.world.true_pose("robot_1")
        cell = sim.world.site.cell_at(at.x_m, at.y_m)
        wait = Waypoint(0, *sim.world.site.centre(cell), cell, "charge", "charge:robot_1", 5.0)

        def route(stamp_s: float, *waypoints: Waypoint) -> Any:
            return messages.to_route_msg(RobotPlan("robot_1", (), waypoints, (), 0, 0), 1, to_ns(stamp_s))

        sim.on_route(route(1.0))
        sim.on_route(route(0.5, wait))
        assert sim.counts["/robot_1/route.refused"] == 1
        sim.world.step(0.1)
        assert sim.world.robots["robot_1"].mode is RobotMode.IDLE
        sim.on_route(route(1.5, wait))
        sim.world.step(0.1)
        assert sim.world.robots["robot_1"].mode is RobotMode.CHARGING
    finally:
        sim.destroy_node()
        rclpy.try_shutdown()
