"""Large fleets: only who is without work is planned for, and the answers stay whole."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from aislewise.types import Order, OrderLine, Plan, TaskKind
from planning import assign, dispatch, offers
from planning.assign import FORBIDDEN, match
from planning.distance import DistanceTables
from planning.goals import CALL_GAPS, CLEAR, MANY_WAITING, WORKING, Goals, Mover
from planning.planner import Planner, PlannerConfig
from planning.problem import Rehearsal
from planning.store import MemoryStore
from sim.layouts import WarehouseConfig
from sim.warehouse import generate

ROBOTS = 50
SITE = generate(
    WarehouseConfig(width=40, height=40, layout="fulfilment", stations=8, chargers=8, parking=8), np.random.default_rng(1)
).site


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty robots are treated as hundreds are."""
    monkeypatch.setattr(dispatch, "SEARCHED_FLEET", ROBOTS - 10)
    monkeypatch.setattr(offers, "MANY_VEHICLES", 8)


def fleet(orders: int, seed: int = 1) -> tuple[Planner, MemoryStore, Rehearsal]:
    rng = np.random.default_rng(seed)
    cells = rng.choice(np.flatnonzero(SITE.free.ravel()), ROBOTS, replace=False)
    store = MemoryStore()
    faces, stations = SITE.of_kind("pick_face"), SITE.of_kind("station")
    for k in range(orders):
        line = OrderLine(stations[rng.integers(len(stations))].id, pick_from=faces[rng.integers(len(faces))].id)
        store.submit(Order(f"o{k}", (line,)), 0)
    floor = Rehearsal(SITE, {f"robot_{k + 1}": int(c) for k, c in enumerate(cells)}, 1.5)
    return Planner(SITE, store, PlannerConfig(), seed), store, floor


def picks(plan: Plan) -> dict[str, str]:
    """Order -> robot that is to pick it."""
    return {t.order_id: r.robot for r in plan.robots for t in r.tasks if t.kind is TaskKind.PICK}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_large_fleet_delivers_every_order_once_and_meets_nobody(seed: int) -> None:
    planner, store, floor = fleet(120, seed)
    while store.open_count() and floor.ticks < 3000:
        floor.obey(planner.step(floor.world(), floor.now_ns))
        floor.tick()
    assert store.open_count() == 0
    assert {r.state.value for r in store.list()} == {"DONE"}
    assert floor.violations == []


def test_who_has_work_keeps_it_when_new_orders_come() -> None:
    planner, store, floor = fleet(30)
    first = picks(planner.step(floor.world(), floor.now_ns))
    assert len(first) == 30
    for _ in range(4):
        floor.tick()
        plan = planner.step(floor.world(), floor.now_ns)
    store.submit(Order("late", (OrderLine("station_1", pick_from=SITE.of_kind("pick_face")[0].id),)), floor.now_ns)
    for _ in range(4):
        floor.tick()
        plan = planner.step(floor.world(), floor.now_ns)
    after = picks(plan)
    assert "late" in after and after["late"] not in first.values()
    assert {o: r for o, r in after.items() if o in first} == {o: first[o] for o in after if o in first}


def test_no_order_waits_behind_another_while_robots_are_idle() -> None:
    planner, store, floor = fleet(3 * ROBOTS)
    few_since, looked = 0, 0
    while store.open_count():
        plan = planner.step(floor.world(), floor.now_ns)
        floor.obey(plan)
        floor.tick()
        few_since = few_since or (floor.ticks if store.open_count() < ROBOTS // 2 else 0)
        if few_since and floor.ticks > few_since + 10:  # the next dispatch has been
            looked += 1
            unbegun = Counter(picks(plan).values())
            assert max(unbegun.values(), default=0) <= 1, unbegun.most_common(3)
    assert looked > 10


def test_orders_beyond_what_robots_can_take_say_that_they_wait() -> None:
    planner, _, floor = fleet(7 * ROBOTS)
    plan = planner.step(floor.world(), floor.now_ns)
    waiting = planner.waiting()
    assert waiting and set(waiting) | set(picks(plan)) == {f"o{k}" for k in range(7 * ROBOTS)}
    assert all(reason.startswith("QUEUED") for reason in waiting.values())


def test_leaving_out_columns_that_cannot_be_needed_changes_no_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        rows, cols = int(rng.integers(1, 6)), int(rng.integers(assign.MANY + 1, 200))
        costs = rng.integers(0, 10_000, (rows, cols))
        costs[rng.random(costs.shape) < 0.3] = FORBIDDEN
        few, _ = match(costs)
        with monkeypatch.context() as patch:
            patch.setattr(assign, "MANY", 10**9)
            whole, _ = match(costs)
        assert len(few) == len(whole)
        assert sum(int(costs[r, c]) for r, c in few) == sum(int(costs[r, c]) for r, c in whole)


def test_a_crowd_waits_in_line_and_only_the_first_are_called() -> None:
    tables = DistanceTables(SITE.free)
    goals = Goals(SITE, tables, queue_gap=4)
    station = SITE.of_kind("station")[0].cell
    cells = np.flatnonzero(SITE.free.ravel())[:: max(1, int(SITE.free.sum()) // (MANY_WAITING + 20))]
    movers = [Mover(f"r{k}", int(c), station, False) for k, c in enumerate(cells) if c != station]
    out = goals(movers, np.zeros(SITE.cells.size, np.bool_), frozenset())
    assert sum(g.dwells for g in out.values()) == 1
    away = tables.to(station)
    far = [m.robot for m in movers if away[m.cell] > CALL_GAPS * 4 and not out[m.robot].dwells]
    near = [m for m in movers if m.robot not in far]
    assert far and all(out[r].cell == station and out[r].urgency == WORKING for r in far)  # the line is not in sight yet
    called = [g.cell for m in near if (g := out[m.robot]).cell not in (m.cell, station)]
    assert 0 < len(called) <= 3 and all(away[c] >= 4 for c in called)
    assert len({out[m.robot].cell for m in near}) == len(near)


def test_idle_robots_of_a_crowd_stay_where_they_are_but_not_before_a_station() -> None:
    tables = DistanceTables(SITE.free)
    goals = Goals(SITE, tables, queue_gap=4)
    away = np.min([tables.to(p.cell).copy() for p in SITE.of_kind("station")], axis=0)
    cells = np.flatnonzero(SITE.free.ravel())[:: max(1, int(SITE.free.sum()) // (MANY_WAITING + 60))]
    movers = [Mover(f"r{k}", int(c), -1, False) for k, c in enumerate(cells)]
    out = goals(movers, np.zeros(SITE.cells.size, np.bool_), frozenset())
    parking = {p.cell for kind in ("parking", "charger") for p in SITE.of_kind(kind)}
    before = [m for m in movers if away[m.cell] < CLEAR and out[m.robot].cell not in parking]
    aside = [out[m.robot].cell for m in before]
    assert aside and all(away[c] >= CLEAR for c in aside) and len(set(aside)) == len(aside)
    assert not set(aside) & {m.cell for m in movers}
    assert all(out[m.robot].cell in parking | {m.cell} for m in movers if away[m.cell] >= CLEAR)
