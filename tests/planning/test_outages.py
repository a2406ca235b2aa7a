"""A planner that dies and comes back, a store that cannot be written, robots that lose their way, lost routes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aislewise.clock import ManualClock, to_ns
from aislewise.errors import InputError, StateError
from aislewise.messages import Newest, to_stamp
from aislewise.types import OrderState, RobotMode
from planning.health import store_concern
from planning.journal import Journal
from planning.planner import Planner
from planning.service import RequestHandler
from planning.sqlite import StoreError
from planning.store import MemoryStore
from sim.process_faults import FragileStore

RELAXED = settings(
    max_examples=5, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def orders_of(make: Any, seed: int, count: int) -> list[Any]:
    """Of one or two lines, some of more than one load."""
    rng = np.random.default_rng(seed)
    faces = [p.id for p in make.site().of_kind("pick_face")]
    return [
        make.order(
            f"o{i}", *[(faces[rng.integers(len(faces))], f"station-{rng.integers(1, 3)}") for _ in range(rng.integers(1, 3))],
            quantity=int(rng.integers(1, 4)),
        )
        for i in range(count)
    ]  # fmt: skip


class Deliveries(Counter[str]):
    """Counts what the robots of a loop put down, by order."""

    def watch(self, floor: Any) -> None:
        complete = floor._complete

        def counted(walker: Any, waypoint: Any) -> None:
            order_id = waypoint.action_id.rpartition(":")[0]
            if waypoint.action == "drop" and order_id in walker.load:
                self[order_id] += 1
            complete(walker, waypoint)

        floor._complete = counted


def loads(order: Any, capacity: int = 2) -> int:
    return sum(-(-line.quantity // capacity) for line in order.lines)


@RELAXED
@given(seed=st.integers(0, 10_000), lives=st.lists(st.integers(2, 60), min_size=1, max_size=8), away=st.integers(0, 9))
def test_whenever_the_planner_dies_each_load_is_delivered_exactly_once(make: Any, seed: int, lives: list[int], away: int) -> None:
    """Robots go on with what they were sent: they pick, drop and arrive while nobody hears of it."""
    site, orders = make.site(), orders_of(make, seed, 4)
    loop = make.loop(site, [0, 5, site.cells.size - 1], orders, solution_limit=20, work_limit=3000)
    brought = Deliveries()
    brought.watch(loop.floor)
    for life in lives:
        loop.run(life)
        for _ in range(away):
            loop.floor.tick()
        loop.planner = Planner(site, loop.store, loop.config, seed)
    loop.run(4000)
    assert set(loop.states().values()) == {"DONE"}
    assert brought == {o.order_id: loads(o) for o in orders}
    assert loop.floor.violations == []


def fragile(make: Any, folder: Path, orders: list[Any], robots: int = 2) -> tuple[Any, FragileStore]:
    loop = make.loop(make.site(), range(0, 3 * robots, 3), [], solution_limit=20, work_limit=3000)
    store = FragileStore(folder / "o.db")
    store.submit_many(orders, 0)
    loop.store, loop.planner = store, Planner(loop.site, store, loop.config)
    return loop, store


def test_with_a_full_disk_what_is_on_board_is_brought_nothing_new_is_picked_and_all_is_written_later(
    make: Any, tmp_path: Path
) -> None:  # fmt: skip
    orders = orders_of(make, 3, 3)
    loop, store = fragile(make, tmp_path, orders)
    brought = Deliveries()
    brought.watch(loop.floor)
    loop.run(300, until=lambda: any(w.load for w in loop.floor.robots.values()))
    store.full = True
    before = {r.order.order_id: r for r in store.list()}
    begun = {i for i, r in before.items() if r.state is OrderState.RUNNING}
    loop.run(80, until=lambda: False)
    assert begun and {i for i, n in brought.items() if n} == begun and not any(w.load for w in loop.floor.robots.values())
    assert {r.order.order_id: r for r in store.list()} == before and "full" in store.trouble
    assert store_concern(store, "o.db").level.name == "ERROR"
    assert any(d.because == "the order store cannot be written" for plan in loop.plans for d in plan.decisions)
    store.full = False
    loop.run(3000)
    assert set(loop.states().values()) == {"DONE"} and loop.floor.violations == []
    assert brought == {o.order_id: loads(o) for o in orders}
    assert store.trouble == "" and store_concern(store, "o.db").level.name == "OK"
    store.close()


def test_a_full_disk_is_answered_with_a_typed_refusal_and_never_with_a_false_acknowledgement(make: Any, tmp_path: Path) -> None:
    store = FragileStore(tmp_path / "o.db")
    handler = RequestHandler(store, make.site(), ManualClock(5))
    ask = b'{"op":"submit","id":1,"order":{"order_id":"%s","lines":[{"deliver_to":"station-1","sku":"sku-0-0"}]}}'
    assert b'"ok":true' in handler.handle(ask % b"a")
    store.full = True
    answers = [handler.handle(ask % name) for name in (b"b", b"c", b"a")]
    assert [b'"STORE"' in a for a in answers] == [True, True, False] and b"disk is full" in answers[0]
    assert [r.order.order_id for r in store.list()] == ["a"]
    assert b'"status":"store: ' in handler.handle(b'{"op":"health"}')
    cancel = handler.handle(b'{"op":"cancel","order_id":"a"}')
    assert b'"STORE"' in cancel and store.get("a").state is OrderState.RECEIVED
    store.full = False
    assert b'"ok":true' in handler.handle(ask % b"b") and store.get("b").state is OrderState.RECEIVED
    assert b'"status":"ok"' in handler.handle(b'{"op":"health"}')
    store.close()


class Refusing(MemoryStore):
    """Takes no change while `shut`."""

    shut = False

    def transition(self, *args: Any, **kwargs: Any) -> Any:
        if self.shut:
            raise StoreError("shut")
        return super().transition(*args, **kwargs)


class Counting(Refusing):
    """Counts the changes that it is asked for."""

    asked = 0

    def transition(self, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        return super().transition(*args, **kwargs)


def test_an_order_that_goes_on_waiting_is_not_written_down_again(make: Any) -> None:
    loop = make.loop(make.site(), [0, 8], [], solution_limit=20, work_limit=3000)
    loop.store = loop.planner._ledger._store = loop.planner._ledger._journal._store = store = Counting()
    store.submit(replace(make.order("cold", ("face-2-1", "station-2")), capability="freezer"), loop.floor.now_ns)
    store.shut = True
    for _ in range(10):
        loop.step()
    assert store.asked > 1 and store.get("cold").reason == ""  # tried again until it is written
    store.shut, store.asked = False, 0
    for _ in range(60):
        loop.step()
    assert store.get("cold").reason.startswith("CAPABILITY") and store.asked == 1


def test_the_journal_keeps_the_order_of_changes_and_lets_nothing_overtake(make: Any) -> None:
    store = Refusing()
    store.submit(make.order("a", ("face-0-0", "station-1")), 0)
    journal = Journal(store)
    for state in (OrderState.PLANNED, OrderState.ASSIGNED):
        journal.write("a", state, 1)
    store.shut = True
    journal.put("a", OrderState.RUNNING, 2, robot="r1")
    journal.put("a", OrderState.DONE, 3)
    with pytest.raises(StoreError):
        journal.write("a", OrderState.RUNNING, 4)
    assert len(journal) == 2 and store.get("a").state is OrderState.ASSIGNED
    store.shut = False
    assert journal.flush() and len(journal) == 0
    assert [(e.state.value, e.stamp_ns) for e in store.events()][-2:] == [("RUNNING", 2), ("DONE", 3)]
    with pytest.raises(StateError):
        journal.put("a", OrderState.RUNNING, 5)
    assert len(journal) == 0


def test_a_lost_robot_is_left_out_its_orders_go_to_others_and_it_comes_back(make: Any) -> None:
    loop = make.loop(make.site(), [0, 8], [make.order("a", ("face-2-1", "station-2"))], solution_limit=20, work_limit=3000)
    loop.run(3, until=lambda: False)  # still in the wide cross aisle
    (first,) = {r.robot for r in loop.plans[-1].robots if r.tasks}
    infos = loop.floor.world

    def world(**known: Any) -> Any:
        out = infos(**known)
        robots = [
            type(r)(r.id, r.pose, r.battery, r.load, RobotMode.LOST, r.reached_seq, r.heard_at_ns, "not localised") if r.id == first else r
            for r in out.robots
        ]
        return type(out)(out.version, out.stamp_ns, out.objects, robots=tuple(robots))

    loop.floor.robots[first].silent, loop.floor.world = True, world  # it stands, and reports
    plan = [loop.step() for _ in range(8)][-1]
    assert any((d.subject, d.choice, d.because) == (first, "left out", "not localised") for d in plan.decisions)
    assert {r.robot for r in plan.robots if r.tasks} == {"r0", "r1"} - {first}
    loop.floor.robots[first].silent, loop.floor.world = False, infos
    loop.run(600)
    again = loop.step()
    assert set(loop.states().values()) == {"DONE"} and loop.floor.violations == []
    assert not any(d.choice == "left out" for d in again.decisions)


def test_a_planner_that_starts_while_a_robot_is_lost_keeps_its_cell_shut(make: Any) -> None:
    loop = make.loop(make.site(), [0], [])
    loop.floor.robots["r0"].silent = True
    infos = loop.floor.world()
    (r,) = infos.robots
    lost = type(r)(r.id, r.pose, r.battery, (), RobotMode.LOST, 0, 0, "not localised")
    loop.planner.step(type(infos)(1, 0, (), robots=(lost,)), 0)
    loop.planner.step(type(infos)(2, to_ns(1.0), (), robots=(lost,)), to_ns(1.0))
    assert list(loop.planner._fleet.wrecks().values()) == ["robot r0: not localised"]


def test_the_newest_message_counts_until_a_clock_begins_anew() -> None:
    newest = Newest(most_late_s=30.0)
    for stamp_s in (100.0, 100.0, 101.0):
        newest.check("r1", to_stamp(to_ns(stamp_s)))
    with pytest.raises(InputError, match=r"header\.stamp"):
        newest.check("r1", to_stamp(to_ns(100.5)))
    newest.check("r2", to_stamp(to_ns(100.5)))
    newest.check("r1", to_stamp(to_ns(2.0)))
    newest.check("r1", to_stamp(to_ns(3.0)))


def test_notes_outlive_a_restart_and_end_with_their_order(make: Any, tmp_path: Path) -> None:
    for kind in (MemoryStore, lambda: FragileStore(tmp_path / "o.db")):
        store: Any = kind()
        store.submit_many([make.order("a", ("face-0-0", "station-1")), make.order("b", ("face-0-0", "station-1"))], 0)
        store.note("a", b"first")
        store.note("a", b"second")
        store.note("b", b"over")
        store.transition("b", OrderState.UNROUTABLE, 1)
        with pytest.raises(StateError):
            store.transition("b", OrderState.RUNNING, 2)
        if isinstance(store, FragileStore):
            store.close()
            store = FragileStore(tmp_path / "o.db")
        assert store.notes() == {"a": b"second"}
        store.close()
