"""The planner in a loop with robots that run only what is released to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from aislewise.types import KeepOut, ObjectClass, Order, OrderLine, TaskKind, Waypoint
from planning.ledger import ON_BOARD
from planning.planner import Planner, PlannerConfig
from planning.rehearsal import Rehearsal

RELAXED = settings(
    max_examples=8, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def random_loop(make: Any, seed: int, robots: int, orders: int, slow: int = 1, **options: Any) -> Any:
    rng = np.random.default_rng(seed)
    site = make.site()
    faces = [p.id for p in site.of_kind("pick_face")]
    stations = [p.id for p in site.of_kind("station")]
    submitted = [
        make.order(
            f"o{i}",
            *[(faces[rng.integers(len(faces))], stations[rng.integers(2)]) for _ in range(rng.integers(1, 3))],
            quantity=int(rng.integers(1, 4)), release_ns=int(rng.integers(0, 60)) * 10**9,
            priority=int(rng.integers(0, 3)),
        )
        for i in range(orders)
    ]  # fmt: skip
    starts = rng.choice(np.flatnonzero(site.free.ravel()), robots, replace=False)

    def pace(robot: str, waypoint: Waypoint) -> int:
        return int(rng.integers(1, slow + 1))

    return make.loop(site, starts, submitted, pace, seed, solution_limit=20, work_limit=3000, **options)


@RELAXED
@given(seed=st.integers(0, 10_000), robots=st.integers(1, 8), slow=st.sampled_from([1, 2, 4]))
def test_all_orders_are_delivered_and_no_two_robots_share_a_cell(make: Any, seed: int, robots: int, slow: int) -> None:
    loop = random_loop(make, seed, robots, 6, slow)
    loop.run(4000)
    assert set(loop.states().values()) == {"DONE"}
    assert loop.floor.violations == []


@settings(RELAXED, max_examples=4)
@given(seed=st.integers(0, 10_000))
def test_no_robot_ever_carries_more_than_it_may(make: Any, seed: int) -> None:
    rng, site = np.random.default_rng(seed), make.site()
    faces, stations = [p.id for p in site.of_kind("pick_face")], [p.id for p in site.of_kind("station")]
    orders = [
        make.order(f"o{i}", *[(faces[rng.integers(len(faces))], stations[rng.integers(2)]) for _ in range(2)], quantity=int(rng.integers(1, 4)))
        for i in range(6)
    ]  # fmt: skip
    orders = [
        replace(order, lines=tuple(
            replace(line, weight_kg=float(rng.uniform(0, 10)), volume_l=float(rng.uniform(0, 40))) for line in order.lines
        )) for order in orders
    ]  # fmt: skip
    loop = make.loop(site, [0, 4, 8], orders, capacity=4, payload_kg=15.0, volume_l=60.0, solution_limit=20, work_limit=3000)
    line_of = {f"{order.order_id}:{k}": line for order in orders for k, line in enumerate(order.lines)}
    most = np.zeros(3)
    for _ in range(4000):
        if not loop.store.open_count():
            break
        loop.step()
        for robot in loop.floor.robots:
            aboard = [load for load in loop.planner._ledger.loads.values() if load.robot == robot and load.state in ON_BOARD]
            lines = [(load.size, line_of[load.action_id]) for load in aboard]
            carried = [sum(n for n, _ in lines), sum(n * i.weight_kg for n, i in lines), sum(n * i.volume_l for n, i in lines)]
            most = np.maximum(most, carried)
    assert set(loop.states().values()) == {"DONE"}
    assert (most <= [4, 15.0, 60.0]).all() and most[0] > 1


def test_a_load_that_no_robot_can_carry_is_refused_with_the_limit(make: Any) -> None:
    heavy = make.order("a", ("face-2-1", "station-2"))
    heavy = replace(heavy, lines=(replace(heavy.lines[0], weight_kg=16.0),))
    loop = make.loop(make.site(), [0], [heavy, make.order("b", ("face-2-1", "station-2"))], payload_kg=15.0)
    loop.run(200)
    assert loop.states() == {"a": "UNROUTABLE", "b": "DONE"}
    assert loop.reasons()["a"] == "INVALID: lines[0].weight_kg: 16 (limit: at most 15: what a robot can carry)"


@RELAXED
@given(seed=st.integers(0, 10_000))
def test_batteries_never_run_empty_while_there_are_chargers(make: Any, seed: int) -> None:
    loop = random_loop(make, seed, 4, 8, battery_per_tick=0.004, range_s=200.0)
    lowest = 1.0
    for _ in range(4000):
        if not loop.store.open_count():
            break
        loop.step()
        lowest = min(lowest, *(r.battery for r in loop.floor.robots.values()))
    assert set(loop.states().values()) == {"DONE"}
    assert lowest > 0.0
    assert loop.floor.violations == []


def test_same_seed_gives_the_same_plans(make: Any) -> None:
    runs = []
    for _ in range(2):
        loop = random_loop(make, 5, 5, 6, 3)
        loop.run(400)
        runs.append([(p.robots, p.decisions, p.unroutable, p.solver) for p in loop.plans])
    assert runs[0] == runs[1]


def test_released_sequence_ids_rise_one_by_one_from_the_reached_one(make: Any) -> None:
    loop = random_loop(make, 2, 5, 5, 3)
    while loop.store.open_count() and loop.floor.ticks < 1000:
        reached = {r.id: r.reached_seq for r in loop.floor.robots.values()}
        for plan in loop.step().robots:
            seqs = [w.seq for w in plan.released]
            assert seqs == list(range(reached[plan.robot] + 1, reached[plan.robot] + 1 + len(seqs)))


def test_an_aisle_blocked_mid_run_is_driven_round(make: Any) -> None:
    site = make.site()
    loop = make.loop(site, [0, 2], [make.order("o", ("face-2-1", "station-1"))])
    loop.run(4)
    width = site.width
    loop.known["objects"] = (make.seen("pallet", ObjectClass.PALLET, site.centre(4 * width + 4)),)
    loop.run(200)
    assert loop.states() == {"o": "DONE"}
    assert all(4 * width + 4 not in track for track in loop.floor.tracks.values())
    assert loop.floor.violations == []


def carriers(loop: Any) -> dict[str, set[str]]:
    """Order -> the robots that ever had it in their plans."""
    out: dict[str, set[str]] = {}
    for plan in loop.plans:
        for robot in plan.robots:
            for task in robot.tasks:
                if task.order_id:
                    out.setdefault(task.order_id, set()).add(robot.robot)
    return out


@RELAXED
@given(seed=st.integers(0, 10_000), robots=st.integers(2, 6))
def test_without_replanning_every_order_stays_with_its_first_robot(make: Any, seed: int, robots: int) -> None:
    loop = random_loop(make, seed, robots, 6, 4, replanning=False)
    loop.run(4000)
    assert set(loop.states().values()) == {"DONE"} and loop.floor.violations == []
    assert all(len(names) == 1 for names in carriers(loop).values())


@pytest.mark.parametrize("replanning", [True, False])
def test_without_replanning_a_blocked_aisle_is_waited_for(make: Any, replanning: bool) -> None:
    site = make.site()
    loop = make.loop(site, [0, 2], [make.order("o", ("face-2-1", "station-1"))], replanning=replanning)
    loop.run(4)
    spot = 4 * site.width + 4
    loop.known["objects"] = (make.seen("pallet", ObjectClass.PALLET, site.centre(spot)),)
    loop.run(300)
    assert loop.states() == {"o": "DONE" if replanning else "ASSIGNED"}
    loop.known["objects"] = ()
    loop.run(300)
    assert loop.states() == {"o": "DONE"} and loop.floor.violations == []


def test_replanning_is_settled_when_the_planner_starts(make: Any) -> None:
    loop = make.loop(make.site(), [0], [], replanning=False)
    loop.planner.reconfigure(PlannerConfig(replanning=True, pick_s=9.0))
    assert not loop.planner.config.replanning and loop.planner.config.pick_s == 9.0
    assert not PlannerConfig.from_json({"replanning": False}).replanning
    for wrong in ({"replanning": 1}, {"pick_s": True}):
        with pytest.raises(InputError):
            PlannerConfig.from_json(wrong)


def test_an_order_behind_a_closure_waits_with_a_reason_and_goes_on_when_it_opens(make: Any) -> None:
    site = make.site()
    face = site.places["face-2-0"]
    x, y = site.centre(face.cell)
    ring = np.array([[x - 0.5, y - 0.5], [x + 0.5, y - 0.5], [x + 0.5, y + 0.5], [x - 0.5, y + 0.5]])
    loop = make.loop(site, [0, 2], [make.order("o", ("face-2-0", "station-1"))], unroutable_after_s=1000.0)
    loop.known["keep_outs"] = (KeepOut("k", ring, "spill"),)
    loop.run(50)
    assert loop.states() == {"o": "RECEIVED"}
    assert loop.reasons()["o"].startswith("BLOCKED: face-2-0 by keep-out k")
    assert "o" in loop.plans[-1].unroutable
    loop.known["keep_outs"] = ()
    loop.run(200)
    assert loop.states() == {"o": "DONE"}


def test_an_order_blocked_for_too_long_is_unroutable(make: Any) -> None:
    site = make.site()
    x, y = site.centre(site.places["face-2-0"].cell)
    ring = np.array([[x - 0.3, y - 0.3], [x + 0.3, y - 0.3], [x, y + 0.3]])
    loop = make.loop(site, [0], [make.order("o", ("face-2-0", "station-1"))], unroutable_after_s=20.0)
    loop.known["keep_outs"] = (KeepOut("k", ring, "spill"),)
    loop.run(200)
    assert loop.states() == {"o": "UNROUTABLE"}


def test_nobody_enters_a_keep_out_and_a_robot_caught_inside_leaves_it(make: Any) -> None:
    site = make.site()
    ring = np.array([[0.0, 0.0], [5.0, 0.0], [5.0, 2.0], [0.0, 2.0]])
    inside = {r * site.width + c for r in range(2) for c in range(5)}
    loop = make.loop(site, [0, 8 * site.width + 4], [make.order("o", ("face-1-0", "station-2"))])
    loop.known["keep_outs"] = (KeepOut("k", ring, "wet floor"),)
    loop.run(200)
    assert loop.states() == {"o": "DONE"}
    assert not inside & set(loop.floor.tracks["r1"])
    out = [cell not in inside for cell in loop.floor.tracks["r0"]]
    assert out[-1] and out == sorted(out)


def test_a_robot_on_its_way_into_a_fresh_keep_out_is_called_back(make: Any) -> None:
    site = make.site()
    loop = make.loop(site, [0], [make.order("o", ("face-0-1", "station-2"))], pace=lambda robot, waypoint: 3)
    loop.run(50, until=lambda: loop.floor.robots["r0"].cell == site.width)
    released = [w.cell for w in loop.plans[-1].robots[0].released if w.cell > 2 * site.width]
    assert released  # it was sent further
    wet = released[0]
    x, y = site.centre(wet)
    ring = np.array([[x - 0.4, y - 0.4], [x + 0.4, y - 0.4], [x + 0.4, y + 0.4], [x - 0.4, y + 0.4]])
    loop.known["keep_outs"] = (KeepOut("k", ring, "wet floor"),)
    loop.run(300)
    assert wet not in loop.floor.tracks["r0"] and loop.states() == {"o": "DONE"}
    assert loop.floor.violations == []


def test_robots_stop_for_a_person_and_go_on_afterwards(make: Any) -> None:
    site = make.site()
    loop = make.loop(site, [0], [make.order("o", ("face-0-1", "station-2"))])
    cell = 4 * site.width
    loop.known["objects"] = (make.seen("p", ObjectClass.PERSON, site.centre(cell)),)
    loop.run(6)
    assert cell not in loop.floor.tracks["r0"]
    loop.known["objects"] = ()
    loop.run(200)
    assert loop.states() == {"o": "DONE"}


def test_an_object_is_picked_from_beside_it(make: Any) -> None:
    site = make.site()
    x, y = site.centre(8 * site.width + 4)
    order = Order("o", (OrderLine("station-1", pick_at=(x, y), object_id="tote-1"),))
    loop = make.loop(site, [0], [order])
    loop.known["objects"] = (make.seen("tote-1", ObjectClass.TOTE, (x, y)),)
    loop.run(200)
    assert loop.states() == {"o": "DONE"}
    picks = [w for p in loop.plans for r in p.robots for w in r.released if w.action == "pick"]
    assert picks[0].object_id == "tote-1" and picks[0].action_id == "o:0"
    assert picks[0].cell in site.neighbours(site.cell_at(x, y))


def test_a_cancelled_order_stops_at_once_before_the_pick(make: Any) -> None:
    loop = make.loop(make.site(), [80], [make.order("o", ("face-2-1", "station-1"))])
    loop.run(3)
    loop.store.request_cancel("o", loop.floor.now_ns)
    loop.step()
    assert loop.states() == {"o": "CANCELLED"}
    loop.run(30, until=lambda: False)
    assert loop.floor.robots["r0"].load == []


def test_goods_of_a_cancelled_order_that_are_on_board_go_to_their_station(make: Any) -> None:
    loop = make.loop(make.site(), [0], [make.order("o", ("face-2-1", "station-1"), ("face-0-0", "station-2"))])
    loop.run(200, until=lambda: bool(loop.floor.robots["r0"].load))
    loop.store.request_cancel("o", loop.floor.now_ns)
    loop.run(200)
    assert loop.states() == {"o": "CANCELLED"}
    assert "1 load(s) already on board" in loop.reasons()["o"]
    assert loop.floor.robots["r0"].load == [] and loop.floor.violations == []


def test_orders_of_a_silent_robot_go_to_another_and_its_cells_stay_shut(make: Any) -> None:
    site = make.site()
    loop = make.loop(site, [0, 8], [make.order("o", ("face-0-1", "station-2"))])
    loop.run(2)
    assert loop.store.get("o").robot == "r0"
    lost = loop.floor.robots["r0"]
    lost.silent = True
    held = {lost.cell, *lost.cells}
    loop.run(300)
    assert loop.states() == {"o": "DONE"}
    assert loop.store.get("o").robot == "r1"
    assert not held & set(loop.floor.tracks["r1"][5:])
    assert loop.floor.violations == []


def test_without_replanning_nobody_takes_over_from_a_silent_robot(make: Any) -> None:
    loop = make.loop(make.site(), [0, 8], [make.order("o", ("face-0-1", "station-2"))], replanning=False)
    loop.run(2)
    (carrier,) = carriers(loop)["o"]
    loop.floor.robots[carrier].silent = True
    loop.run(200)
    assert loop.states() == {"o": "ASSIGNED"} and carriers(loop)["o"] == {carrier}
    loop.floor.robots[carrier].silent = False
    loop.run(200)
    assert loop.states() == {"o": "DONE"} and loop.floor.violations == []


def test_a_silent_robot_in_front_of_a_station_makes_orders_wait_with_a_reason(make: Any) -> None:
    site = make.site()
    loop = make.loop(site, [0, 8], [make.order("o", ("face-4-1", "station-1"))])
    loop.run(1, until=lambda: False)
    loop.floor.robots["r0"].silent = True
    loop.run(40)
    assert "BLOCKED: station-1 by silent robot r0" in loop.plans[-1].unroutable["o"]


def test_goods_on_board_of_a_lost_robot_are_given_up_in_the_end(make: Any) -> None:
    loop = make.loop(make.site(), [0, 8], [make.order("o", ("face-0-1", "station-2"))], lost_after_s=20.0)
    loop.run(100, until=lambda: any(r.load for r in loop.floor.robots.values()))
    next(r for r in loop.floor.robots.values() if r.load).silent = True
    loop.run(300)
    assert loop.states() == {"o": "FAILED"}
    assert loop.reasons()["o"].startswith("ROBOT_LOST")


def test_a_robot_that_comes_back_goes_on(make: Any) -> None:
    loop = make.loop(make.site(), [0], [make.order("o", ("face-0-1", "station-2"))])
    loop.run(100, until=lambda: bool(loop.floor.robots["r0"].load))
    loop.floor.robots["r0"].silent = True
    loop.run(20, until=lambda: False)
    loop.floor.robots["r0"].silent = False
    loop.run(200)
    assert loop.states() == {"o": "DONE"} and loop.floor.violations == []


def test_a_new_planner_takes_over_running_orders(make: Any) -> None:
    loop = make.loop(make.site(), [0, 8], [make.order(f"o{i}", ("face-0-1", "station-2"), ("face-4-0", "station-1")) for i in range(2)])
    loop.run(200, until=lambda: any(r.load for r in loop.floor.robots.values()))
    loop.run(7, until=lambda: False)
    loop.planner = Planner(loop.site, loop.store, loop.config, 1)
    loop.run(400)
    assert set(loop.states().values()) == {"DONE"}
    assert loop.floor.violations == [] and all(not r.load for r in loop.floor.robots.values())


def test_an_order_for_which_no_robot_has_the_capability_waits_then_is_unroutable(make: Any) -> None:
    orders = [
        make.order("cold", ("face-0-1", "station-2"), capability="cold"),
        make.order("fork", ("face-1-1", "station-2"), capability="fork"),
    ]
    loop = make.loop(make.site(), [0, 8], orders, capabilities="r1:fork,tow", unroutable_after_s=60.0)
    loop.run(400)
    assert loop.states() == {"cold": "UNROUTABLE", "fork": "DONE"}
    assert loop.store.get("fork").robot == "r1"


def test_without_any_solver_robots_still_get_an_answer(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("solver died")

    monkeypatch.setattr("planning.dispatch.improve", dead)
    monkeypatch.setattr("planning.dispatch.Search", dead)
    monkeypatch.setattr("planning.assign.lsa.SimpleLinearSumAssignment", dead)
    loop = random_loop(make, 1, 3, 4)
    loop.run(1000)
    assert set(loop.states().values()) == {"DONE"}
    assert {p.solver for p in loop.plans} <= {"greedy", "assignment"} and "greedy" in {p.solver for p in loop.plans}


def test_idle_robots_leave_stations_and_park(make: Any) -> None:
    site = make.site()
    loop = make.loop(site, [p.cell for p in site.of_kind("station")], [])
    loop.run(60, until=lambda: False)
    parkings = {p.cell for p in site.places.values() if p.kind in ("parking", "charger")}
    assert {r.cell for r in loop.floor.robots.values()} <= parkings


def test_decisions_say_why_and_etas_lie_ahead(make: Any) -> None:
    loop = make.loop(make.site(), [0, 8], [make.order("o", ("face-0-0", "station-1"))])
    plan = loop.step()
    decision = next(d for d in plan.decisions if d.subject == "o")
    assert decision.choice == "r0" and decision.numbers["r0 alone, s"] < decision.numbers["r1 alone, s"]
    mine = next(r for r in plan.robots if r.robot == "r0")
    assert [t.kind for t in mine.tasks] == [TaskKind.PICK, TaskKind.DROP]
    assert plan.stamp_ns < mine.eta_p50_ns < mine.eta_p90_ns


def test_a_robot_that_cannot_get_on_turns_back(make: Any) -> None:
    site = make.site()
    loop = make.loop(site, [0], [make.order("o", ("face-0-1", "station-2"))], stall_s=5.0)
    hidden = 3 * site.width  # in the aisle's mouth, where no sensor sees it

    def stuck(robot: str, waypoint: Waypoint) -> int:
        return 1000 if waypoint.cell == hidden else 1

    loop.floor.pace = stuck
    walker = loop.floor.robots["r0"]
    for _ in range(300):
        if not loop.store.open_count():
            break
        plan = loop.step()
        if any(d.choice == "turn back" for d in plan.decisions):
            walker.left, walker.waypoints = 0, []  # the robot reverses into the cell it came from
    assert loop.states() == {"o": "DONE"}
    assert hidden not in loop.floor.tracks["r0"]


def test_rehearsal_notices_two_robots_in_one_cell(make: Any) -> None:
    site = make.site()
    floor = Rehearsal(site, {"a": 0, "b": 1})
    x, y = site.centre(1)
    floor.robots["a"].waypoints = [Waypoint(1, x, y, 1)]
    floor.tick()
    assert floor.violations


def test_orders_of_a_robot_that_says_it_cannot_go_on_go_to_another_and_others_drive_round_it(make: Any) -> None:
    loop = make.loop(make.site(), [0, 8], [make.order("o", ("face-0-1", "station-2"))])
    loop.run(3, until=lambda: False)
    robot = loop.store.get("o").robot
    walker = loop.floor.robots[robot]
    cell = walker.cell
    assert any(w.cell != cell for w in walker.waypoints)
    walker.problem = "navigation aborted"
    plan = loop.step()
    mine = next(r for r in plan.robots if r.robot == robot)
    assert {w.cell for w in mine.released} <= {cell} and not mine.horizon  # taken back at once
    assert any(d.subject == robot and d.because == "navigation aborted" for d in plan.decisions)
    assert loop.planner.blocked_cells()[walker.cell] == f"robot {robot}: navigation aborted"
    loop.run(400)
    assert loop.states() == {"o": "DONE"} and loop.store.get("o").robot != robot
    assert not loop.floor.violations


def test_a_robot_whose_problem_is_over_is_sent_on(make: Any) -> None:
    loop = make.loop(make.site(), [0], [make.order("o", ("face-0-0", "station-1"))])
    loop.run(3, until=lambda: False)
    loop.floor.robots["r0"].problem = "navigation aborted"
    loop.run(60, until=lambda: False)
    assert loop.states() != {"o": "DONE"}
    loop.floor.robots["r0"].problem = ""
    loop.run(400)
    assert loop.states() == {"o": "DONE"}


def test_settings_change_between_two_steps(make: Any) -> None:
    loop = make.loop(make.site(), [0, 8], [make.order(f"o{k}", ("face-0-0", "station-1")) for k in range(4)])
    loop.run(5, until=lambda: False)
    loop.planner.reconfigure(PlannerConfig(lookahead=1, horizon=8, capacity=7))
    assert loop.planner.config.capacity == loop.config.capacity  # loads were cut by it
    loop.run(10, until=lambda: False)
    longest = 0
    for _ in range(40):
        longest = max(longest, *(len([w for w in r.released if not w.action]) for r in loop.step().robots))
    assert longest == 1
    loop.run(800)
    assert set(loop.states().values()) == {"DONE"}
