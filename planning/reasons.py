"""Why things were decided: one record per decision, kept beside the orders, a bounded number of them.

A record holds the facts that the decision rested on, not a text: `planning.why_words` makes sentences of them.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from aislewise.types import OrderRecord, OrderState

Kind = Literal["order", "robot"]
RING: Mapping[Kind, int] = {"order": 64, "robot": 64}
"""Records kept of one order or robot; the newest replace the oldest."""
KEPT_ORDERS = 20_000
"""Orders of which records are kept. Beyond that, those of the orders that have ended go, the oldest first."""
DROPPED_AT_ONCE = 20  # a KEPT_ORDERS-th part goes at a time, so that looking for the oldest is rare

FINAL = tuple(state.value for state in OrderState if state.final)


@dataclass(frozen=True, slots=True)
class Reason:
    """One decision on one order or robot. code: what was decided (planning.why_words has one sentence for each);
    facts: what it rested on, JSON types only; an order's change of state has it as facts["state"]."""

    kind: Kind
    subject: str
    stamp_ns: int
    code: str
    facts: dict[str, Any] = field(default_factory=dict)


class MemoryReasons:
    """Records in memory. Not safe to use from several threads: the store locks."""

    def __init__(self, kept: int = KEPT_ORDERS) -> None:
        self._kept = kept
        self._rings: dict[tuple[Kind, str], deque[Reason]] = {}
        self._orders = 0

    def add(self, reasons: Iterable[Reason], records: Mapping[str, OrderRecord]) -> None:
        """records: of all orders, in the order of acceptance: which may be forgotten."""
        for reason in reasons:
            key = reason.kind, reason.subject
            if key not in self._rings:
                self._rings[key] = deque(maxlen=RING[reason.kind])
                self._orders += reason.kind == "order"
            self._rings[key].append(reason)
        if self._orders > self._kept:
            ended = (i for i, r in records.items() if r.state.final and ("order", i) in self._rings)
            for order_id in [*itertools.islice(ended, self._kept // DROPPED_AT_ONCE or 1)]:
                del self._rings["order", order_id]
                self._orders -= 1

    def of(self, kind: Kind, subject: str) -> list[Reason]:
        return list(self._rings.get((kind, subject), ()))

    def subjects(self, kind: Kind) -> list[str]:
        return sorted(name for k, name in self._rings if k == kind)


class SqlReasons:
    """Records in the table `reasons` of the orders' database. Each takes the place of the one that was written a whole
    ring before, so that nothing has to be deleted. Not safe to use from several threads: the store locks."""

    def __init__(self, kept: int = KEPT_ORDERS) -> None:
        self._kept = kept
        self._orders = -1
        self._dropped_seq = 0

    def add(self, db: sqlite3.Connection, reasons: Iterable[Reason]) -> None:
        """Within a transaction of the caller's."""
        if self._orders < 0:
            self._orders = self._count(db)
        for reason in reasons:
            key = reason.kind, reason.subject
            (n,) = db.execute(
                "SELECT coalesce(max(n), -1) + 1 FROM reasons WHERE kind = ? AND subject = ?", key
            ).fetchone()
            body = msgspec.json.encode((reason.stamp_ns, reason.code, reason.facts))
            db.execute(
                "INSERT OR REPLACE INTO reasons (kind, subject, slot, n, body) VALUES (?, ?, ?, ?, ?)",
                (*key, n % RING[reason.kind], n, body),
            )
            self._orders += n == 0 and reason.kind == "order"
        if self._orders > self._kept:
            self._drop(db)

    def recount(self) -> None:
        """A transaction was undone: what was counted in it is not there."""
        self._orders = -1

    def of(self, db: sqlite3.Connection, kind: Kind, subject: str) -> list[Reason]:
        rows = db.execute("SELECT body FROM reasons WHERE kind = ? AND subject = ? ORDER BY n", (kind, subject))
        return [Reason(kind, subject, *msgspec.json.decode(body, type=tuple[int, str, dict[str, Any]])) for (body,) in rows]

    def subjects(self, db: sqlite3.Connection, kind: Kind) -> list[str]:
        rows = db.execute("SELECT DISTINCT subject FROM reasons WHERE kind = ? ORDER BY subject", (kind,))
        return [name for (name,) in rows]

    @staticmethod
    def _count(db: sqlite3.Connection) -> int:
        return int(db.execute("SELECT count(DISTINCT subject) FROM reasons WHERE kind = 'order'").fetchone()[0])

    def _drop(self, db: sqlite3.Connection) -> None:
        marks = ",".join("?" * len(FINAL))
        rows = db.execute(
            f"SELECT seq, order_id FROM orders WHERE seq > ? AND state IN ({marks})"
            " AND EXISTS (SELECT 1 FROM reasons WHERE kind = 'order' AND subject = order_id) ORDER BY seq LIMIT ?",
            (self._dropped_seq, *FINAL, self._kept // DROPPED_AT_ONCE or 1),
        ).fetchall()
        db.executemany("DELETE FROM reasons WHERE kind = 'order' AND subject = ?", [(name,) for _, name in rows])
        self._orders -= len(rows)
        # The next search begins here, but not behind an order that is open still and will end one day.
        (oldest_open,) = db.execute(f"SELECT min(seq) FROM orders WHERE state NOT IN ({marks})", FINAL).fetchone()
        last = rows[-1][0] if rows else self._dropped_seq
        self._dropped_seq = last if oldest_open is None else min(last, oldest_open - 1)


def latest(reasons: Sequence[Reason], codes: Collection[str]) -> Reason | None:
    """The newest record with one of the codes."""
    return next((r for r in reversed(reasons) if r.code in codes), None)
