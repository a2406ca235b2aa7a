"""Opening the SQLite file of the order store: ownership, integrity, schema version."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from aislewise.errors import AislewiseError

SCHEMA = """
CREATE TABLE orders (
    seq INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    robot TEXT NOT NULL,
    accepted_ns INTEGER NOT NULL,
    updated_ns INTEGER NOT NULL,
    lines_done INTEGER NOT NULL
);
CREATE INDEX orders_by_state ON orders (state, seq);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id TEXT NOT NULL,
    state TEXT NOT NULL,
    stamp_ns INTEGER NOT NULL,
    reason TEXT NOT NULL,
    robot TEXT NOT NULL
);
"""
PROGRESS = "ALTER TABLE orders ADD COLUMN progress BLOB NOT NULL DEFAULT '';"
REASONS = """
CREATE TABLE reasons (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    slot INTEGER NOT NULL,
    n INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (kind, subject, slot)
) WITHOUT ROWID;
"""
MIGRATIONS = (SCHEMA, PROGRESS, REASONS)
"""Script i takes a file from schema version i to i + 1. Append; never change what was released."""

MAGIC = b"SQLite format 3\0"
APPLICATION_ID = 0x4153_4C57
"""Stamped into the SQLite header ("ASLW"), so that another program's database is not touched."""


class StoreError(AislewiseError):
    """The store's file cannot be opened, read or written. Nothing was acknowledged."""

    code = "STORE"


def own(path: Path) -> int:
    """Takes the lock file beside `path`; the file descriptor holds it. Puts none beside a file that
    is no database."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            with path.open("rb") as file:
                if file.read(len(MAGIC)) not in (b"", MAGIC):
                    raise StoreError(f"{path.name}: not a database")
        fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(f"{path.name}: {error}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise StoreError(f"{path.name}: in use by another planning service") from error
    return fd


def connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    db.execute("PRAGMA synchronous = FULL")
    return db


def connect_read_only(path: Path) -> sqlite3.Connection:
    """A store's file of this release, also while a service owns it. Raises StoreError."""
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5.0)
        try:
            (owner,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if owner != APPLICATION_ID:
                raise StoreError(f"{path.name}: no store of orders")
            if version != len(MIGRATIONS):
                raise StoreError(f"{path.name}: schema version {version}; this release reads {len(MIGRATIONS)}")
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise StoreError(f"{path.name}: {error}") from error
    return db


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Checks the file before touching it, then brings it to WAL and to the present schema."""
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StoreError(f"{path.name}: damaged: {verdict}")
    (owner,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if owner != APPLICATION_ID and (owner, version, tables) != (0, 0, 0):
        raise StoreError(f"{path.name}: a database of another program")
    if not 0 <= version <= len(MIGRATIONS):
        raise StoreError(
            f"{path.name}: schema version {version}; this release reads up to {len(MIGRATIONS)}"
        )
    if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise StoreError(f"{path.name}: its file system cannot hold a write-ahead log")
    if version < len(MIGRATIONS):
        script = "".join(MIGRATIONS[version:])
        db.executescript(
            f"BEGIN IMMEDIATE; {script} PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {len(MIGRATIONS)}; COMMIT;"
        )
