"""Why: what is told is what was decided, it outlives the planner, and nothing is decided otherwise for it."""

from __future__ import annotations

import dataclasses
import itertools
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aislewise.errors import NotFoundError
from aislewise.types import ObjectClass, TaskKind
from planning.planner import Planner
from planning.reasons import KEPT_ORDERS, RING, MemoryReasons, Reason
from planning.sqlite import MIGRATIONS, StoreError
from planning.store import MemoryStore, SqliteStore, StoreReader
from planning.why import WhyResult, answer


def asked(loop: Any, subject: str, history: bool = False) -> WhyResult:
    return answer(loop.store, loop.planner.floor, loop.floor.now_ns, subject, history)


def told(result: WhyResult) -> str:
    return " ".join(result.text)


@pytest.fixture
def loop(make: Any) -> Any:
    """Three robots, eight orders."""
    site = make.site()
    row = 9 * site.width
    orders = [make.order(f"o{k}", (f"face-{k % 5}-{k % 2}", f"station-{1 + k % 2}")) for k in range(8)]
    return make.loop(site, [row, row + 4, row + 6], orders)


def test_the_robot_named_is_the_one_that_has_the_order(loop: Any) -> None:
    for _ in range(60):
        plan = loop.step()
        at_work = {t.order_id: r.robot for r in plan.robots for t in r.tasks if t.kind is not TaskKind.CHARGE}
        for order_id, robot in at_work.items():
            if loop.states()[order_id] == "DONE":
                continue
            result = asked(loop, order_id)
            choice = [d for d in asked(loop, order_id, history=True).decisions if d.code in ("given", "moved")][-1]
            assert choice.facts["robot"] == robot and result.text[0].startswith((robot, "It moved from"))
            assert result.chain[0]["robot"] == robot
            assert result.state["eta_p50_ns"] <= result.state["eta_p90_ns"]
            assert robot == choice.facts["robot"] not in {rival["robot"] for rival in choice.facts["rivals"]}


def test_the_arrival_told_is_that_of_the_dispatch(loop: Any) -> None:
    plan = loop.step()
    choices = [d for d in plan.decisions if d.subject.startswith("o")]
    assert choices
    for choice in choices:
        (given,) = [d for d in asked(loop, choice.subject, history=True).decisions if d.code == "given"]
        assert given.facts["arrival_s"] == choice.numbers["arrival, s"]
        for rival in given.facts["rivals"]:
            assert rival["alone_s"] == choice.numbers[f"{rival['robot']} alone, s"]


def test_an_order_that_has_ended_says_how(loop: Any) -> None:
    loop.run(1000)
    assert set(loop.states().values()) == {"DONE"}
    for order_id in loop.states():
        result = asked(loop, order_id)
        end = asked(loop, order_id, history=True).decisions[-1]
        assert end.code == "done" and f"{end.facts['robot']} delivered it after" in told(result) and result.chain == []


def test_a_blocked_order_names_the_object_and_who_saw_it(make: Any) -> None:
    site = make.site()
    loop = make.loop(site, [9 * site.width], [make.order("o", ("face-2-0", "station-1"))])
    x, y = site.centre(site.places["face-2-0"].cell)
    loop.known = {"objects": (make.seen("p1", ObjectClass.PALLET, (x, y)),)}
    for _ in range(5):
        loop.step()
    result = asked(loop, "o")
    assert "face-2-0 is blocked by pallet p1, which r0 saw at" in told(result) and "given up" in told(result)
    assert result.state["seen_by"] == ["r0"] and result.state["waits"].startswith("BLOCKED")
    loop.run(1000)
    assert loop.states() == {"o": "UNROUTABLE"}
    assert "It was given up after" in told(asked(loop, "o")) and "pallet p1" in told(asked(loop, "o"))


def test_an_unknown_id_names_those_near_it(loop: Any) -> None:
    loop.step()
    with pytest.raises(NotFoundError, match=r"no order or robot 'o77'; near it are .*o7"):
        asked(loop, "o77")
    with pytest.raises(NotFoundError, match=r"robot 'z{64}'$"):
        asked(loop, "z" * 10_000)


def test_plans_are_the_same_without_the_book(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def plans() -> list[bytes]:
        site = make.site()
        row = 9 * site.width
        orders = [make.order(f"o{k}", (f"face-{k % 5}-{k % 2}", f"station-{1 + k % 2}")) for k in range(8)]
        loop = make.loop(site, [row, row + 4, row + 6], orders)
        loop.run(300)
        return [msgspec.json.encode(plan) for plan in loop.plans]

    with_book = plans()
    for name in ("_dispatched", "_floor"):
        monkeypatch.setattr(f"planning.why_book.Book.{name}", None)
    assert plans() == with_book


def test_decisions_outlive_the_planner_and_are_read_without_one(make: Any, tmp_path: Path) -> None:
    site = make.site()
    path = tmp_path / "o.db"
    with closing(SqliteStore(path)) as store:
        loop = make.loop(site, [9 * site.width], [])
        store.submit(make.order("o", ("face-2-0", "station-1")), 0)
        loop.store, loop.planner = store, Planner(site, store)
        loop.run(200)
        before = asked(loop, "o", history=True)
        with StoreReader(path) as reader:  # while the service owns it
            assert answer(reader, None, 1, "o", True).decisions == before.decisions
    assert before.decisions[-1].code == "done"
    with StoreReader(path) as reader:
        again = answer(reader, None, reader.last_ns(), "o", history=True)
        assert again.decisions == before.decisions and again.text == before.text and not again.live
        assert next(d.code for d in answer(reader, None, 1, "r0").decisions) == "told"
        with pytest.raises(NotFoundError):
            answer(reader, None, 1, "nobody")
    with closing(SqliteStore(path)) as store:
        assert answer(store, Planner(site, store).floor, 1, "o", history=True).decisions == before.decisions


def test_other_files_are_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"no database" * 1000)
    with closing(sqlite3.connect(tmp_path / "another")) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        db.execute("CREATE TABLE orders (order_id)")
    for name in ("text", "missing", "another"):
        with pytest.raises(StoreError, match=name):
            StoreReader(tmp_path / name)
    assert {p.name for p in tmp_path.iterdir()} == {"text", "another"}


class TestKept:
    @pytest.mark.parametrize("kind", ["memory", "sqlite"])
    def test_the_newest_of_each_subject(self, kind: str, tmp_path: Path) -> None:
        store: Any = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "o.db")
        for batch in range(5):
            store.explain([Reason("robot", name, k, "idle", {"k": k}) for k in range(batch * 40, batch * 40 + 40) for name in "ab"])
        for name in "ab":
            assert [r.stamp_ns for r in store.reasons("robot", name)] == list(range(200 - RING["robot"], 200))
        assert store.explained("robot") == ["a", "b"] and store.reasons("order", "a") == []
        store.close()

    def test_of_ended_orders_the_oldest_go_first(self, make: Any) -> None:
        assert KEPT_ORDERS >= 1000
        store, reasons = MemoryStore(), MemoryReasons(kept=20)
        for k in range(30):
            store.submit(make.order(f"o{k}", ("face-0-0", "station-1")), k)
            if k % 2:
                store.request_cancel(f"o{k}", k)
                store.transition(f"o{k}", store.get(f"o{k}").state.CANCELLED, k)
            reasons.add([Reason("order", f"o{k}", k, "waits")], store._records)
        left = reasons.subjects("order")
        assert len(left) == 20 and {f"o{k}" for k in range(0, 30, 2)} <= set(left) and "o29" in left


def test_a_store_that_takes_no_reasons_still_takes_orders(loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(MemoryStore, "explain", full)
    for _ in range(10):
        loop.step()
    assert asked(loop, "o0").text and asked(loop, "r0").decisions == []
    monkeypatch.undo()
    loop.step()
    assert asked(loop, "r0", history=True).decisions[0].stamp_ns == 0, "what waited is written once that is possible"
    loop.run(1000)
    assert set(loop.states().values()) == {"DONE"}


def test_a_reason_that_cannot_be_kept_holds_no_order_up(make: Any, tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "o.db")) as store:
        order = make.order("o", ("face-0-0", "station-1"))
        state = store.submit(order, 0).state.PLANNED
        store._writer.execute("DROP TABLE reasons")
        assert store.transition("o", state, 1, why=Reason("order", "o", 1, "given")).state is state
        assert store.get("o").state is state and store.trouble == ""


def test_a_chain_leads_to_its_root(make: Any) -> None:
    """Robots go the same way down an aisle one wide, and the first hardly moves."""
    site = make.site(depth=10)
    col, starts = 4, [5, 8, 10]
    loop = make.loop(
        site, [row * site.width + col for row in starts], [make.order(f"o{k}", ("face-2-0", "station-1")) for k in range(3)]
    )
    loop.floor.pace = lambda robot, waypoint: 1000 if robot == "r0" else 1
    held: set[str] = set()
    for _ in range(20):
        loop.step()
        floor = loop.planner.floor
        held = {link["robot"] for name in floor.bodies for link in asked(loop, name).chain if link["code"] == "held"}
        if held:
            break
    assert held and "r0" not in held
    for name, body in floor.bodies.items():
        links = asked(loop, name).chain
        assert links[0]["robot"] == name and links[0]["at"] == site.centre(body.cell)
        for link, after in itertools.pairwise(links):
            assert link["for"] == after["robot"]
            if link["code"] == "held":
                ahead = site.cell_at(*link["ahead_at"])
                assert ahead in loop.planner._fleet.graph.held(link["for"])
        assert "for" not in links[-1]


def test_a_way_that_is_shut_names_what_shuts_it(make: Any) -> None:
    site = make.site()
    loop = make.loop(site, [9 * site.width], [make.order("o", ("face-2-0", "station-1"))])
    ends = [(4.5, 2.5), (4.5, 7.5)]  # of the aisle, beyond both its faces
    loop.known = {"objects": tuple(make.seen(f"p{k}", ObjectClass.PALLET, xy) for k, xy in enumerate([*ends, (8.5, 4.5)]))}
    for _ in range(3):
        loop.step()
    result = asked(loop, "o")
    assert result.state["walls"] == ["pallet p0", "pallet p1"], "and not the pallet in another aisle"
    assert "In the way there: pallet p0, which r0 saw at (4.5, 2.5) and pallet p1" in told(result)


def test_robots_that_take_no_work_are_named(make: Any) -> None:
    site = make.site()
    loop = make.loop(site, [9 * site.width], [make.order("o", ("face-2-0", "station-1"))])
    loop.floor.robots["r0"].battery = 0.05
    loop.step()
    assert "No new work is taken by r0 (battery at 5%)" in told(asked(loop, "o"))


def test_it_may_be_asked_while_the_planner_steps(loop: Any) -> None:
    loop.step()
    failed: list[BaseException] = []
    done = threading.Event()

    def ask() -> None:
        try:
            while not done.wait(0.001):
                for subject in ("o0", "o5", "r0", "r1", "r2"):
                    assert asked(loop, subject).text
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    loop.run(30)
    done.set()
    thread.join()
    assert not failed


@pytest.mark.parametrize("there", ["r0", "r1"])
def test_of_two_robots_for_one_charger_the_one_that_stands_there_is_named(loop: Any, there: str) -> None:
    loop.step()
    floor, site = loop.planner.floor, loop.site
    cell = site.places["charger-1"].cell
    bodies = dict(floor.bodies) | {"r2": floor.bodies["r2"]._replace(low=True, settles=False, plan=dataclasses.replace(floor.bodies["r2"].plan, tasks=()))}
    bodies[there] = bodies[there]._replace(cell=cell)
    other = "r0" if there == "r1" else "r1"
    bodies[other] = bodies[other]._replace(cell=cell + 2)
    crowded = dataclasses.replace(floor, bodies=bodies, chargers={"r0": cell, "r1": cell})
    result = answer(loop.store, crowded, loop.floor.now_ns, "r2", False)
    assert result.chain[0]["code"] == "no_charger" and result.chain[0]["holders"] == {"charger-1": there}
