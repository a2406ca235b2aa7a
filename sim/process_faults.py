"""Faults of the planning service in a shift: the planner is killed, the disk under its store is full, its clients
are cut off. The simulated clock goes on; whoever waits for an acknowledgement waits until one can come.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.parameter import Parameter

from aislewise.clock import to_ns, to_s
from aislewise.errors import AislewiseError, NotFoundError
from aislewise.types import OrderRecord
from planning.orders import OrderEvent
from planning.planner_node import PlannerNode
from planning.store import OrderStore, SqliteStore
from sim.client_link import ClientLink
from sim.faults import Fault, FaultSchedule

PAGES_MAX = 0xFFFF_FFFE
"""SQLite's own limit to the size of a file."""
COMMITS = 2
"""A planner is killed round one of its next so many commits, or WITHIN_S later where it does not write."""
WITHIN_S = 3.0


class Killed(BaseException):
    """Ends the planner where it stands, as SIGKILL does: nothing may catch it on the way."""


class FragileStore(SqliteStore):
    """A store whose disk can be full, and whose process can die round a commit.

    full: every change fails with SQLite's own SQLITE_FULL; fuse: commits of the planner's until Killed is raised,
    before (`torn`: the transaction is lost) or after it; -1: never."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        self.full, self.fuse, self.torn = False, -1, False
        self._thread = threading.get_ident()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        planning = self.fuse >= 0 and threading.get_ident() == self._thread
        with super()._transaction() as db:
            _limit(db, self.full)
            yield db
            if planning and self.fuse == 0 and self.torn:
                raise Killed
        if planning:
            if self.fuse == 0:
                raise Killed
            self.fuse -= 1

    def abandon(self) -> None:
        """Leave what a killed process leaves: database and log as they are now, without a checkpoint, and the lock
        free. Our connections keep the old files, which have no name any more: they can do the new ones no harm."""
        for suffix in ("", "-wal"):
            file = Path(f"{self.path}{suffix}")
            data = file.read_bytes()
            file.unlink()
            file.write_bytes(data)
        Path(f"{self.path}-shm").unlink()  # the next to open must read the log from its beginning
        os.close(self._lock_fd)

    def bury(self) -> None:
        """Close the connections of an abandoned store. To be called once its successor is closed: SQLite removes the
        log by its name."""
        self._reader.close()
        self._writer.close()


def _limit(db: sqlite3.Connection, full: bool) -> None:
    """With `full` no page can be added to the file; as what is asked for may fit into the last one, ask for one."""
    if full:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")
        for n in itertools.count():  # until SQLite refuses
            db.execute(f"CREATE TABLE ballast_{n} (x)")
    else:
        db.execute(f"PRAGMA max_page_count = {PAGES_MAX}")


class FragilePlanner(PlannerNode):
    """The planner node on a store that can fail."""

    def open_store(self) -> OrderStore:
        return FragileStore(self.settings.store)

    def tear_out(self) -> FragileStore:
        """The node vanishes from the graph and closes nothing; its store is left as it is on the disk."""
        store = self.store
        assert isinstance(store, FragileStore)
        if self.service is not None:
            self.service.stop()  # what is acknowledged from here on would be lost
        self.service = self.store = None
        self.destroy_node()
        store.abandon()
        return store


@dataclass
class Death:
    """One kill of the planner, simulated times in ns; -1: not yet."""

    fault: Fault
    killed_ns: int
    back_ns: int = -1
    first_plan_ns: int = -1


class PlannerProcess:
    """The planner of a shift, and what befalls it. `node` is the one that lives, None while there is none; `last` the
    one that lived last. The first is put on the executor by whoever made this, at its place among the nodes.
    clients_ns: the time that clients are told."""

    def __init__(
        self, schedule: FaultSchedule, parameters: Sequence[Parameter], executor: Any, settle: Callable[[], None],
        draw: Callable[..., np.random.Generator],
    ) -> None:  # fmt: skip
        """parameters: of the node, without `bind`; settle: runs all callbacks that are ready; draw(fault): its
        generator."""
        self._schedule, self._parameters, self._executor = schedule, list(parameters), executor
        self._settle, self._draw = settle, draw
        self._kills = [(k, f) for k, f in enumerate(schedule.faults) if f.kind == "planner kill"]
        self._fragile = any(f.subject in ("planner", "store") for f in schedule.faults)
        self._endpoint = "tcp://127.0.0.1:*"
        self._armed: tuple[Fault, int] | None = None
        self._dead: list[FragileStore] = []
        self._left: tuple[list[OrderRecord], list[OrderEvent]] = ([], [])
        self._link: ClientLink | None = None
        self._wants_link = any(f.kind == "client cut" for f in schedule.faults)
        self.deaths: list[Death] = []
        self.plan_ms: list[float] = []
        self.clients_ns = 0
        self.node: PlannerNode | None = self._born()
        self.last: PlannerNode = self.node

    # --- what others ask ---------------------------------------------------------------------------

    def start(self) -> str:
        """The endpoint for clients, once the service is up. Raises AislewiseError if it is not."""
        if self.node is None or self.node.service is None:
            raise AislewiseError("the planning service did not start")
        self._endpoint = self.node.service.endpoint
        if self._wants_link:
            self._link = ClientLink(self._endpoint)
            return self._link.endpoint
        return self._endpoint

    @property
    def faulty(self) -> bool:
        """Whether something will befall the service at all."""
        return self._fragile or self._wants_link

    @property
    def answers(self) -> bool:
        """Whether a client can have an order acknowledged now."""
        cut = self._link is not None and self._link.cut
        return self.node is not None and not cut and not (self._store is not None and self._store.full)

    def records(self) -> list[OrderRecord]:
        """Every accepted order; while there is no planner, as the last one left them."""
        if self.node is None or self.node.store is None:
            return self._left[0]
        return self.node.store.list(limit=100_000)

    def record(self, order_id: str) -> OrderRecord | None:
        """Of one order, if it is accepted; asked while there is a planner."""
        assert self.node is not None and self.node.store is not None
        try:
            return self.node.store.get(order_id)
        except NotFoundError:
            return None

    def counts(self) -> tuple[int, int]:
        """(final, accepted) orders; asked while there is a planner."""
        assert self.node is not None and self.node.store is not None
        accepted = self.node.store.count()
        return accepted - self.node.store.open_count(), accepted

    def events(self) -> list[OrderEvent]:
        if self.node is None or self.node.store is None:
            return self._left[1]
        return self.node.store.events()

    def all_plan_ms(self) -> list[float]:
        """Of every planner that has lived."""
        return self.plan_ms + (list(self.node.plan_ms) if self.node is not None else [])

    @property
    def _store(self) -> FragileStore | None:
        store = self.node.store if self.node is not None else None
        return store if isinstance(store, FragileStore) else None

    # --- what happens ------------------------------------------------------------------------------

    def apply(self, now_ns: int) -> None:
        """Before the clock moves on from now: begin and end what is due, so that clients whose way is open again are
        answered at a time that does not depend on their speed."""
        self._note_plan(now_ns)
        if self._link is not None:
            self._link.cut = self._schedule.process("client cut", now_ns)
        for index, fault in list(self._kills):
            if self.node is not None and self._armed is None and to_ns(fault.at_s) <= now_ns:
                self._kills.remove((index, fault))
                self._arm(index, fault, now_ns)
        if self._armed is not None and now_ns >= self._armed[1]:
            self.kill(now_ns)
        if self.node is None and now_ns >= self.deaths[-1].killed_ns + to_ns(self.deaths[-1].fault.for_s or 0.0):
            self.node = self.last = self._born()
            self._executor.add_node(self.node)
            self._settle()
            if self.node.service is None:
                raise AislewiseError("the planning service did not come back")
            self.deaths[-1].back_ns = now_ns
        if self._store is not None:
            self._store.full = self._schedule.process("store full", now_ns)

    def _arm(self, index: int, fault: Fault, now_ns: int) -> None:
        rng = self._draw(index)
        self._armed = fault, now_ns + to_ns(WITHIN_S)
        if self._store is not None:
            self._store.torn = bool(rng.random() < 0.5)
            self._store.fuse = int(rng.integers(0, COMMITS))

    def kill(self, now_ns: int) -> None:
        """The armed fault happens."""
        node, self.node = self.node, None
        assert isinstance(node, FragilePlanner) and node.store is not None and self._armed is not None
        self._left = node.store.list(limit=100_000), node.store.events()
        self.plan_ms += node.plan_ms
        self._executor.remove_node(node)
        self._dead.append(node.tear_out())
        self.deaths.append(Death(self._armed[0], now_ns))
        self._armed = None

    def _born(self) -> PlannerNode:
        kind = FragilePlanner if self._fragile else PlannerNode
        parameters = [Parameter("bind", value=self._endpoint), *self._parameters]
        return kind(clients_clock=lambda: self.clients_ns, parameter_overrides=parameters)

    def _note_plan(self, now_ns: int) -> None:
        if self.deaths and self.deaths[-1].first_plan_ns < 0 and self.node is not None and self.node.plan is not None:
            self.deaths[-1].first_plan_ns = self.node.plan.stamp_ns

    def close(self) -> None:
        if self._link is not None:
            self._link.stop()
        if self.node is not None:
            self.node.destroy_node()
        for store in self._dead:
            store.bury()
        self._dead.clear()

    def figures(self) -> list[dict[str, Any]]:
        """Of each kill: when, how long there was no planner, and how long after the kill there was a plan again."""
        return [
            {
                "killed_at_s": to_s(d.killed_ns),
                "back_after_s": to_s(d.back_ns - d.killed_ns) if d.back_ns >= 0 else None,
                "plan_after_s": to_s(d.first_plan_ns - d.killed_ns) if d.first_plan_ns >= 0 else None,
            }
            for d in self.deaths
        ]
