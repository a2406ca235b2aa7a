"""Where orders live. What a store has returned from is kept, also through kill -9 and power loss.

Both stores pass one contract test; PostgreSQL or another would pass the same.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from aislewise.errors import ConflictError, InputError, NotFoundError
from aislewise.types import Order, OrderRecord, OrderState
from planning.orders import MAX_ID_LEN, OPEN_STATES, OrderEvent, advance, cancelled
from planning.reasons import Kind, MemoryReasons, Reason, SqlReasons
from planning.sqlite import StoreError, connect, connect_read_only, own, prepare

Outcome = OrderRecord | ConflictError
"""What submit_many answers for one order."""

OrderEvents = list[OrderEvent]
Reasons = list[Reason]
Names = list[str]

COLUMNS = "body, state, reason, robot, accepted_ns, updated_ns, lines_done"


class OrderStore(Protocol):
    """Keeps orders and their history. Safe to use from several threads. Each change is atomic and
    durable when the method returns. All methods may raise StoreError."""

    trouble: str
    """Why the last change could not be written; "" when it could."""

    def submit(self, order: Order, now_ns: int) -> OrderRecord:
        """Accepts an order as RECEIVED. The same id with the same body gives the record it already
        has; with another body ConflictError."""

    def submit_many(self, orders: Sequence[Order], now_ns: int) -> list[Outcome]:
        """Like submit for each, durable together at the price of one."""

    def get(self, order_id: str) -> OrderRecord:
        """Raises NotFoundError."""

    def list(
        self,
        states: Collection[OrderState] | None = None,
        limit: int | None = None,
        after: str = "",
    ) -> list[OrderRecord]:
        """Up to `limit` orders (None: all) in the order of acceptance, from behind the order id `after` on
        (NotFoundError if there is none); only those in `states` if given."""

    def count(self) -> int:
        """How many orders there are."""

    def open_count(self) -> int:
        """How many orders are not final."""

    def transition(
        self,
        order_id: str,
        state: OrderState,
        now_ns: int,
        reason: str = "",
        robot: str = "",
        lines_done: int | None = None,
        why: Reason | None = None,
    ) -> OrderRecord:
        """Moves an order on: planning.orders.advance. NotFoundError, StateError, InputError. why: kept with the change, in
        the same transaction; forgotten if nothing changes."""

    def request_cancel(self, order_id: str, now_ns: int) -> OrderRecord:
        """Open orders become CANCELLING (idempotent). NotFoundError; StateError if final."""

    def note(self, order_id: str, progress: bytes) -> None:
        """Keeps the planner's own word on how far an order has got, in place of the last one. No event. NotFoundError."""

    def notes(self) -> dict[str, bytes]:
        """Of the orders that are not final, by id, where there is one."""

    def explain(self, reasons: Sequence[Reason]) -> None:
        """Keeps records of decisions that change no order's state. They survive the end of the process; loss of power
        may take those that no change of an order has followed yet: they are not worth an fsync each."""

    def reasons(self, kind: Kind, subject: str) -> Reasons:
        """What is kept of an order or a robot, oldest first: planning.reasons.RING."""

    def explained(self, kind: Kind) -> Names:
        """Ids of the orders or robots of which there are records, sorted."""

    def newest(self, limit: int) -> Names:
        """Ids of the orders accepted last, newest first."""

    def events(self, after_seq: int = 0, limit: int | None = None) -> OrderEvents:
        """Up to `limit` changes (None: all) with seq > after_seq, oldest first."""

    def last_seq(self) -> int:
        """seq of the newest event; 0 if none."""

    def close(self) -> None:
        """Idempotent."""


class MemoryStore:
    """Orders in memory, for tests and for shifts that need no restart."""

    trouble = ""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, OrderRecord] = {}
        self._events: list[OrderEvent] = []
        self._notes: dict[str, bytes] = {}
        self._reasons = MemoryReasons()

    def submit(self, order: Order, now_ns: int) -> OrderRecord:
        return _raised(self.submit_many([order], now_ns)[0])

    def submit_many(self, orders: Sequence[Order], now_ns: int) -> list[Outcome]:
        with self._lock:
            return [self._submit(order, now_ns) for order in orders]

    def _submit(self, order: Order, now_ns: int) -> Outcome:
        known = self._records.get(order.order_id)
        if known is not None:
            return _repeated(known, order)
        return self._keep(_accepted(order, now_ns))

    def get(self, order_id: str) -> OrderRecord:
        with self._lock:
            return self._get(order_id)

    def _get(self, order_id: str) -> OrderRecord:
        if order_id not in self._records:
            raise _not_found(order_id)
        return self._records[order_id]

    def list(
        self,
        states: Collection[OrderState] | None = None,
        limit: int | None = None,
        after: str = "",
    ) -> list[OrderRecord]:
        _check_limit(limit)
        with self._lock:
            records: Iterator[OrderRecord] = iter(self._records.values())
            if after:
                self._get(after)
                records = itertools.dropwhile(lambda r: r.order.order_id != after, records)
                next(records)
            wanted = (r for r in records if states is None or r.state in states)
            return [*itertools.islice(wanted, limit)]

    def count(self) -> int:
        with self._lock:
            return len(self._records)

    def open_count(self) -> int:
        with self._lock:
            return sum(not r.state.final for r in self._records.values())

    def transition(
        self,
        order_id: str,
        state: OrderState,
        now_ns: int,
        reason: str = "",
        robot: str = "",
        lines_done: int | None = None,
        why: Reason | None = None,
    ) -> OrderRecord:
        with self._lock:
            old = self._get(order_id)
            new = self._keep(advance(old, state, now_ns, reason, robot, lines_done), old)
            if why is not None and new is not old:
                self._reasons.add([why], self._records)
            return new

    def request_cancel(self, order_id: str, now_ns: int) -> OrderRecord:
        with self._lock:
            old = self._get(order_id)
            return self._keep(cancelled(old, now_ns), old)

    def note(self, order_id: str, progress: bytes) -> None:
        with self._lock:
            self._get(order_id)
            self._notes[order_id] = progress

    def notes(self) -> dict[str, bytes]:
        with self._lock:
            return {i: note for i, note in self._notes.items() if note and not self._records[i].state.final}

    def explain(self, reasons: Sequence[Reason]) -> None:
        with self._lock:
            self._reasons.add(reasons, self._records)

    def reasons(self, kind: Kind, subject: str) -> Reasons:
        with self._lock:
            return self._reasons.of(kind, subject)

    def explained(self, kind: Kind) -> Names:
        with self._lock:
            return self._reasons.subjects(kind)

    def newest(self, limit: int) -> Names:
        with self._lock:
            return [*itertools.islice(reversed(self._records), limit)]

    def events(self, after_seq: int = 0, limit: int | None = None) -> OrderEvents:
        _check_limit(limit)
        with self._lock:
            start = max(after_seq, 0)
            return self._events[start : None if limit is None else start + limit]

    def last_seq(self) -> int:
        with self._lock:
            return len(self._events)

    def close(self) -> None:
        pass

    def _keep(self, new: OrderRecord, old: OrderRecord | None = None) -> OrderRecord:
        if new is not old:
            self._records[new.order.order_id] = new
            self._events.append(_event(len(self._events) + 1, new))
        return new


class SqliteStore:
    """Orders in one SQLite file: WAL, fsync on every commit, one transaction per change.

    One process owns the file (a lock beside it, released by the system when the process dies): two
    planners on one store would send two robots for one order. Raises StoreError when the file is
    damaged, not ours, of another version or in use.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.trouble = ""
        self._closed = False
        self._reasons = SqlReasons()
        self._lock_fd = own(self.path)
        # Reads have a connection of their own, so that they do not wait for another thread's fsync.
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        with ExitStack() as undo:
            undo.callback(os.close, self._lock_fd)
            try:
                self._writer = undo.enter_context(closing(connect(self.path)))
                prepare(self._writer, self.path)
                self._reader = undo.enter_context(closing(connect(self.path)))
            except sqlite3.Error as error:
                raise StoreError(f"{self.path.name}: {error}") from error
            undo.pop_all()

    def submit(self, order: Order, now_ns: int) -> OrderRecord:
        return _raised(self.submit_many([order], now_ns)[0])

    def submit_many(self, orders: Sequence[Order], now_ns: int) -> list[Outcome]:
        with self._transaction() as db:
            return [self._submit(db, order, now_ns) for order in orders]

    def _submit(self, db: sqlite3.Connection, order: Order, now_ns: int) -> Outcome:
        known = self._find(db, order.order_id)
        if known is not None:
            return _repeated(known, order)
        record = _accepted(order, now_ns)
        db.execute(
            f"INSERT INTO orders (order_id, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (order.order_id, msgspec.json.encode(order), *_columns(record)),
        )
        _log(db, record)
        return record

    def get(self, order_id: str) -> OrderRecord:
        with self._reading() as db:
            return self._get(db, order_id)

    def list(
        self,
        states: Collection[OrderState] | None = None,
        limit: int | None = None,
        after: str = "",
    ) -> list[OrderRecord]:
        _check_limit(limit)
        wanted = tuple(OrderState) if states is None else tuple(states)
        marks = ",".join("?" * len(wanted))
        with self._reading() as db:
            row = db.execute("SELECT seq FROM orders WHERE order_id = ?", (after,)).fetchone()
            if after and row is None:
                raise _not_found(after)
            rows = db.execute(
                f"SELECT {COLUMNS} FROM orders WHERE seq > ? AND state IN ({marks})"
                " ORDER BY seq LIMIT ?",
                (row[0] if row else 0, *(s.value for s in wanted), limit or -1),
            ).fetchall()
            return [_record(row) for row in rows]

    def count(self) -> int:
        with self._reading() as db:
            return int(db.execute("SELECT count(*) FROM orders").fetchone()[0])

    def open_count(self) -> int:
        marks = ",".join("?" * len(OPEN_STATES))
        query = f"SELECT count(*) FROM orders WHERE state IN ({marks})"
        with self._reading() as db:
            return int(db.execute(query, [s.value for s in OPEN_STATES]).fetchone()[0])

    def transition(
        self,
        order_id: str,
        state: OrderState,
        now_ns: int,
        reason: str = "",
        robot: str = "",
        lines_done: int | None = None,
        why: Reason | None = None,
    ) -> OrderRecord:
        try:
            return self._transition(order_id, state, now_ns, reason, robot, lines_done, why)
        except StoreError:
            if why is None:
                raise
        # The disk may have room for the order and not for the reason: an order is not held up for that.
        return self._transition(order_id, state, now_ns, reason, robot, lines_done, None)

    def _transition(
        self, order_id: str, state: OrderState, now_ns: int, reason: str, robot: str, lines_done: int | None, why: Reason | None
    ) -> OrderRecord:
        with self._transaction() as db:
            old = self._get(db, order_id)
            new = self._keep(db, advance(old, state, now_ns, reason, robot, lines_done), old)
            if why is not None and new is not old:
                self._reasons.add(db, [why])
            return new

    def request_cancel(self, order_id: str, now_ns: int) -> OrderRecord:
        with self._transaction() as db:
            old = self._get(db, order_id)
            return self._keep(db, cancelled(old, now_ns), old)

    def note(self, order_id: str, progress: bytes) -> None:
        with self._transaction() as db:
            if not db.execute("UPDATE orders SET progress = ? WHERE order_id = ?", (progress, order_id)).rowcount:
                raise _not_found(order_id)

    def notes(self) -> dict[str, bytes]:
        marks = ",".join("?" * len(OPEN_STATES))
        query = f"SELECT order_id, progress FROM orders WHERE state IN ({marks}) AND progress != ''"
        with self._reading() as db:
            return {order_id: bytes(note) for order_id, note in db.execute(query, [s.value for s in OPEN_STATES])}

    def explain(self, reasons: Sequence[Reason]) -> None:
        with self._write_lock, self._typed_errors():
            try:
                self._writer.execute("PRAGMA synchronous = NORMAL")  # to the log, without an fsync
                self._writer.execute("BEGIN IMMEDIATE")
                self._reasons.add(self._writer, reasons)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                self._reasons.recount()
                raise
            finally:
                self._writer.execute("PRAGMA synchronous = FULL")

    def reasons(self, kind: Kind, subject: str) -> Reasons:
        with self._reading() as db:
            return self._reasons.of(db, kind, subject)

    def explained(self, kind: Kind) -> Names:
        with self._reading() as db:
            return self._reasons.subjects(db, kind)

    def newest(self, limit: int) -> Names:
        with self._reading() as db:
            return [name for (name,) in db.execute("SELECT order_id FROM orders ORDER BY seq DESC LIMIT ?", (limit,))]

    def events(self, after_seq: int = 0, limit: int | None = None) -> OrderEvents:
        _check_limit(limit)
        with self._reading() as db:
            rows = db.execute(
                "SELECT seq, order_id, state, stamp_ns, reason, robot FROM events"
                " WHERE seq > ? ORDER BY seq LIMIT ?",
                (after_seq, limit or -1),
            ).fetchall()
        return [OrderEvent(seq, oid, OrderState(state), *rest) for seq, oid, state, *rest in rows]

    def last_seq(self) -> int:
        with self._reading() as db:
            return int(db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def close(self) -> None:
        with self._write_lock, self._read_lock:
            if not self._closed:
                self._closed = True
                self._reader.close()
                self._writer.close()
                os.close(self._lock_fd)

    def _find(self, db: sqlite3.Connection, order_id: str) -> OrderRecord | None:
        row = db.execute(f"SELECT {COLUMNS} FROM orders WHERE order_id = ?", (order_id,)).fetchone()
        return _record(row) if row else None

    def _get(self, db: sqlite3.Connection, order_id: str) -> OrderRecord:
        record = self._find(db, order_id)
        if record is None:
            raise _not_found(order_id)
        return record

    def _keep(self, db: sqlite3.Connection, new: OrderRecord, old: OrderRecord) -> OrderRecord:
        if new is not old:
            db.execute(
                "UPDATE orders SET state = ?, reason = ?, robot = ?, accepted_ns = ?,"
                " updated_ns = ?, lines_done = ? WHERE order_id = ?",
                (*_columns(new), new.order.order_id),
            )
            _log(db, new)
        return new

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Commits (with fsync) on leaving, rolls back on any error."""
        with self._write_lock, self._typed_errors():
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
                self.trouble = ""
            except BaseException as error:
                if isinstance(error, sqlite3.Error):
                    self.trouble = str(error)
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                self._reasons.recount()
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._read_lock, self._typed_errors():
            yield self._reader

    @contextmanager
    def _typed_errors(self) -> Iterator[None]:
        if self._closed:
            raise StoreError(f"{self.path.name}: the store is closed")
        with _typed_errors(self.path):
            yield


class StoreReader:
    """What is asked of a store's file to say why, whether or not a service owns it now; it changes nothing. A context
    manager. Raises StoreError like SqliteStore."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._db = connect_read_only(self.path)

    def get(self, order_id: str) -> OrderRecord:
        rows = self._rows(f"SELECT {COLUMNS} FROM orders WHERE order_id = ?", order_id)
        if not rows:
            raise _not_found(order_id)
        return _record(rows[0])

    def newest(self, limit: int) -> Names:
        return [name for (name,) in self._rows("SELECT order_id FROM orders ORDER BY seq DESC LIMIT ?", limit)]

    def reasons(self, kind: Kind, subject: str) -> Reasons:
        with _typed_errors(self.path):
            return SqlReasons().of(self._db, kind, subject)

    def explained(self, kind: Kind) -> Names:
        with _typed_errors(self.path):
            return SqlReasons().subjects(self._db, kind)

    def last_ns(self) -> int:
        """When an order changed last, 0 if none ever did: as late as the file is known to reach."""
        return int(self._rows("SELECT coalesce(max(updated_ns), 0) FROM orders")[0][0])

    def __enter__(self) -> StoreReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with _typed_errors(self.path):
            return self._db.execute(query, values).fetchall()


@contextmanager
def _typed_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, msgspec.DecodeError) as error:
        raise StoreError(f"{path.name}: {error}") from error


def _columns(record: OrderRecord) -> tuple[Any, ...]:
    return (
        record.state.value,
        record.reason,
        record.robot,
        int(record.accepted_ns),
        int(record.updated_ns),
        int(record.lines_done),
    )


def _record(row: Sequence[Any]) -> OrderRecord:
    body, state, *rest = row
    return OrderRecord(msgspec.json.decode(body, type=Order), OrderState(state), *rest)


def _event(seq: int, record: OrderRecord) -> OrderEvent:
    order_id = record.order.order_id
    return OrderEvent(seq, order_id, record.state, record.updated_ns, record.reason, record.robot)


def _log(db: sqlite3.Connection, record: OrderRecord) -> None:
    event = _event(0, record)
    db.execute(
        "INSERT INTO events (order_id, state, stamp_ns, reason, robot) VALUES (?, ?, ?, ?, ?)",
        (event.order_id, event.state.value, int(event.stamp_ns), event.reason, event.robot),
    )


def _accepted(order: Order, now_ns: int) -> OrderRecord:
    return OrderRecord(order, OrderState.RECEIVED, accepted_ns=now_ns, updated_ns=now_ns)


def _repeated(known: OrderRecord, order: Order) -> Outcome:
    if known.order == order:
        return known
    return ConflictError(f"order {order.order_id} exists with a different body")


def _raised(outcome: Outcome) -> OrderRecord:
    if isinstance(outcome, ConflictError):
        raise outcome
    return outcome


def _not_found(order_id: str) -> NotFoundError:
    return NotFoundError(f"no order {order_id[:MAX_ID_LEN]!r}")


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise InputError("limit", f"{limit}", "at least 1")
