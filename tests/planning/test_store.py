"""The contract of every OrderStore, and what SQLite's file must survive."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aislewise.errors import AislewiseError, ConflictError, InputError, NotFoundError, StateError
from aislewise.types import Order, OrderLine, OrderState
from planning.sqlite import MIGRATIONS, StoreError
from planning.store import MemoryStore, OrderStore, SqliteStore

S = OrderState
LINES = (OrderLine("s1", pick_from="f1"), OrderLine("s1", pick_at=(1.5, -2.25), object_id="tote-1"))


def order(order_id: str, **fields: int) -> Order:
    return Order(order_id, LINES, **fields)


def contents(store: OrderStore) -> tuple[object, ...]:
    return store.list(), store.events(), store.last_seq(), store.open_count(), store.count()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OrderStore]:
    made: OrderStore = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "o.db")
    yield made
    made.close()


class TestContract:
    def test_an_accepted_order_is_received_and_found(self, store: OrderStore) -> None:
        record = store.submit(order("a", due_ns=9, priority=-3), 5)
        assert (record.state, record.accepted_ns, record.updated_ns) == (S.RECEIVED, 5, 5)
        assert store.get("a") == record
        assert record.order == order("a", due_ns=9, priority=-3)

    def test_the_same_order_again_is_the_same_record_whatever_became_of_it(
        self, store: OrderStore
    ) -> None:
        store.submit(order("a"), 5)
        planned = store.transition("a", S.PLANNED, 6)
        assert store.submit(order("a"), 7) == planned
        assert len(store.events()) == 2

    def test_another_body_under_the_same_id_is_a_conflict(self, store: OrderStore) -> None:
        first = store.submit(order("a"), 5)
        with pytest.raises(ConflictError):
            store.submit(order("a", priority=1), 6)
        assert store.get("a") == first

    def test_a_batch_answers_each_order_in_place(self, store: OrderStore) -> None:
        store.submit(order("b"), 1)
        first, conflict, repeated = store.submit_many(
            [order("a"), order("b", priority=1), order("a")], 2
        )
        assert first == repeated == store.get("a")
        assert isinstance(conflict, ConflictError)
        assert len(store.list()) == 2

    def test_unknown_orders_are_not_found(self, store: OrderStore) -> None:
        for call in (
            lambda: store.get("x"),
            lambda: store.transition("x", S.PLANNED, 1),
            lambda: store.request_cancel("x", 1),
            lambda: store.list(after="x"),
        ):
            with pytest.raises(NotFoundError):
                call()

    def test_a_forbidden_transition_changes_nothing(self, store: OrderStore) -> None:
        store.submit(order("a"), 1)
        before = contents(store)
        with pytest.raises(StateError):
            store.transition("a", S.DONE, 2)
        with pytest.raises(InputError):
            store.transition("a", S.PLANNED, 2, lines_done=9)
        assert contents(store) == before

    def test_a_robot_lost_sends_the_order_back(self, store: OrderStore) -> None:
        store.submit(order("a"), 1)
        store.transition("a", S.PLANNED, 2)
        store.transition("a", S.ASSIGNED, 3, robot="r1")
        back = store.transition("a", S.RECEIVED, 4, "ROBOT_LOST: r1")
        assert (back.state, back.robot, back.reason) == (S.RECEIVED, "", "ROBOT_LOST: r1")

    def test_every_change_is_one_event_and_no_change_is_none(self, store: OrderStore) -> None:
        store.submit(order("a"), 1)
        for now, state in enumerate((S.PLANNED, S.ASSIGNED, S.RUNNING), start=2):
            store.transition("a", state, now, robot="r1")
        store.transition("a", S.RUNNING, 9, robot="r1")
        store.transition("a", S.RUNNING, 10, lines_done=1)
        store.transition("a", S.DONE, 11)
        events = store.events()
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        assert [(e.state, e.stamp_ns, e.robot) for e in events] == [
            (S.RECEIVED, 1, ""), (S.PLANNED, 2, ""), (S.ASSIGNED, 3, "r1"), (S.RUNNING, 4, "r1"),
            (S.RUNNING, 10, "r1"), (S.DONE, 11, "r1"),
        ]  # fmt: skip
        assert store.last_seq() == 6
        assert store.events(after_seq=4, limit=1) == events[4:5]
        assert store.events(after_seq=6) == []

    def test_cancelling_is_idempotent_and_final_is_final(self, store: OrderStore) -> None:
        store.submit(order("a"), 1)
        cancelling = store.request_cancel("a", 2)
        assert cancelling.state is S.CANCELLING
        assert store.request_cancel("a", 3) == cancelling
        store.transition("a", S.CANCELLED, 4, "CANCELLED: not begun")
        with pytest.raises(StateError):
            store.request_cancel("a", 5)
        with pytest.raises(StateError):
            store.transition("a", S.CANCELLED, 5)

    def test_lists_come_in_order_of_acceptance_by_state_and_by_page(self, store: OrderStore) -> None:
        names = ["z", "m", "a", "q", "b"]
        for now, name in enumerate(names):
            store.submit(order(name), now)
        store.transition("a", S.PLANNED, 9)
        assert [r.order.order_id for r in store.list()] == names
        assert [r.order.order_id for r in store.list([S.PLANNED])] == ["a"]
        assert store.list([]) == []
        pages, after = [], ""
        while page := store.list(limit=2, after=after):
            pages.append([r.order.order_id for r in page])
            after = page[-1].order.order_id
        assert pages == [["z", "m"], ["a", "q"], ["b"]]
        for wrong in (0, -1):
            with pytest.raises(InputError):
                store.list(limit=wrong)

    def test_open_orders_are_counted(self, store: OrderStore) -> None:
        for name in "abc":
            store.submit(order(name), 1)
        store.transition("a", S.UNROUTABLE, 2, "UNREACHABLE: face")
        store.request_cancel("b", 2)
        assert store.open_count() == 2

    def test_threads_lose_no_order_and_see_no_half_change(self, store: OrderStore) -> None:
        failures: list[Exception] = []

        def work(thread: int) -> None:
            try:
                for i in range(12):
                    name = f"{thread}-{i}"
                    store.submit(order(name), 1)
                    store.submit(order("shared"), 1)
                    store.transition(name, S.PLANNED, 2)
                    assert store.get(name).state is S.PLANNED
                    assert len(store.list()) <= store.last_seq()
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert len(store.list()) == 4 * 12 + 1
        assert [e.seq for e in store.events()] == list(range(1, 2 * 4 * 12 + 2))


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["submit", "move", "cancel"]),
        st.sampled_from("ab"),
        st.sampled_from(list(S)),
        st.sampled_from([None, 0, 1, 2]),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
def test_both_stores_answer_every_sequence_of_calls_alike(
    operations: list[tuple[str, str, OrderState, int | None]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("twins") / "o.db"
    sqlite, memory = SqliteStore(path), MemoryStore()

    def outcome(call: Callable[[], object]) -> object:
        try:
            return call()
        except AislewiseError as error:
            return type(error), str(error)

    def call(store: OrderStore, verb: str, name: str, state: OrderState, lines: int | None, now: int) -> object:
        if verb == "submit":
            return store.submit(order(name, priority=lines or 0), now)
        if verb == "cancel":
            return store.request_cancel(name, now)
        return store.transition(name, state, now, "why", "r1", lines)

    for now, (verb, name, state, lines) in enumerate(operations):
        answers = [outcome(lambda s=s: call(s, verb, name, state, lines, now)) for s in (sqlite, memory)]  # type: ignore[misc]
        assert answers[0] == answers[1]
    assert contents(sqlite) == contents(memory)
    sqlite.close()
    again = SqliteStore(path)
    assert contents(again) == contents(memory)
    again.close()


class TestSqliteFile:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "deep" / "er" / "o.db"
        store = SqliteStore(path)
        for i in range(50):
            store.submit(order(f"o{i}"), i)
        store.close()
        return path

    def test_commits_are_synced_to_the_write_ahead_log(self, path: Path) -> None:
        store = SqliteStore(path)
        assert store._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store._writer.execute("PRAGMA synchronous").fetchone() == (2,)
        store.close()

    def test_a_file_in_use_is_refused_until_it_is_closed(self, path: Path) -> None:
        first = SqliteStore(path)
        with pytest.raises(StoreError, match="in use"):
            SqliteStore(path)
        first.close()
        first.close()
        SqliteStore(path).close()

    def test_a_closed_store_says_so(self, path: Path) -> None:
        store = SqliteStore(path)
        store.close()
        for call in (store.list, store.last_seq, lambda: store.submit(order("x"), 1)):
            with pytest.raises(StoreError, match="closed"):
                call()

    @pytest.mark.parametrize("damage", ["garbage", "torn page", "text"])
    def test_a_damaged_file_is_a_typed_error_and_is_left_alone(self, path: Path, damage: str) -> None:
        data = bytearray(path.read_bytes())
        if damage == "garbage":
            data[100:] = bytes(i % 251 for i in range(len(data) - 100))
        elif damage == "torn page":
            data[4096 + 8 : 4096 + 2000] = b"\xff" * 1992
        else:
            data = bytearray(b"orders: none\n" * 400)
        path.write_bytes(data)
        with pytest.raises(StoreError, match=r"o\.db"):
            SqliteStore(path)
        assert path.read_bytes() == data

    def test_a_newer_schema_is_refused(self, path: Path) -> None:
        with sqlite3.connect(path) as db:
            db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        db.close()
        with pytest.raises(StoreError, match=f"schema version {len(MIGRATIONS) + 1}"):
            SqliteStore(path)

    def test_another_programs_database_is_not_touched(self, tmp_path: Path) -> None:
        path = tmp_path / "theirs.db"
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE orders (id)")
        db.close()
        before = path.read_bytes()
        with pytest.raises(StoreError, match="another program"):
            SqliteStore(path)
        assert path.read_bytes() == before

    def test_a_path_that_cannot_be_opened_is_a_typed_error(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError):
            SqliteStore(tmp_path)
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError):
            SqliteStore(tmp_path / "file" / "o.db")

    def test_damage_met_later_is_a_typed_error_and_a_failed_change_is_undone(
        self, path: Path
    ) -> None:
        store = SqliteStore(path)
        store._writer.execute("DROP TABLE events")
        with pytest.raises(StoreError):
            store.submit(order("x"), 1)
        with pytest.raises(NotFoundError):
            store.get("x")
        store._writer.execute("UPDATE orders SET body = '{' WHERE order_id = 'o7'")
        with pytest.raises(StoreError):
            store.get("o7")
        assert store.get("o8").order.order_id == "o8"
        store.close()

    def test_a_failed_migration_leaves_the_old_version(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken = (*MIGRATIONS, "CREATE TABLE extra (x); CREATE TABLE orders (again);")
        monkeypatch.setattr("planning.sqlite.MIGRATIONS", broken)
        with pytest.raises(StoreError, match="already exists"):
            SqliteStore(path)
        grown = (*MIGRATIONS, "ALTER TABLE orders ADD COLUMN note TEXT NOT NULL DEFAULT '';")
        monkeypatch.setattr("planning.sqlite.MIGRATIONS", grown)
        store = SqliteStore(path)
        assert len(store.list()) == 50
        store.close()
