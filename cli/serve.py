"""`aislewise serve`: the planning service alone. It accepts orders and keeps them; robots are not driven."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEFAULT_BIND = "tcp://127.0.0.1:5570"
DEFAULT_STORE = "out/orders.sqlite"


def add(subparsers: Any) -> None:
    p = subparsers.add_parser("serve", help="run the planning service", description=__doc__)
    p.add_argument(
        "--bind", default=DEFAULT_BIND, metavar="ENDPOINT",
        help="ZeroMQ endpoint; tcp://127.0.0.1:* takes a free port (default %(default)s)",
    )
    p.add_argument(
        "--store", default=DEFAULT_STORE, metavar="FILE",
        help="SQLite file that keeps the orders, or :memory: (default %(default)s)",
    )
    p.add_argument("--site", metavar="FILE", help="site map (default: config/site.json as installed)")
    p.add_argument("--json", metavar="FILE", help="once serving, write endpoint, store, site and pid there")
    p.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM."""
    from aislewise.clock import system_clock
    from planning.service import PlanningService
    from planning.store import MemoryStore, OrderStore, SqliteStore

    site = load_site(args.site)
    store: OrderStore = MemoryStore() if args.store == ":memory:" else SqliteStore(args.store)
    try:
        with until_signalled() as stop, PlanningService(store, site, system_clock, args.bind) as service:
            if args.json:
                write_ready(Path(args.json), service.endpoint, args.store, site.name)
            print(f"planning service at {service.endpoint}, site {site.name}, orders in {args.store}", flush=True)
            stop.wait()
    finally:
        store.close()
    return 0


@contextmanager
def until_signalled() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def load_site(path: str | None) -> Any:
    """The site map named, or the one that is installed. Raises InputError."""
    from aislewise.errors import InputError
    from aislewise.resources import share_dir
    from aislewise.sitemap import SiteMap

    file = Path(path) if path else share_dir() / "config" / "site.json"
    if not path and not file.exists():
        raise InputError("--site", "is needed: no default site map is installed")
    return SiteMap.load(file)


def write_ready(path: Path, endpoint: str, store: str, site: str) -> None:
    """Appears whole or not at all, so that a waiting script never reads half of it."""
    import json

    ready = {"ok": True, "endpoint": endpoint, "store": store, "site": site, "pid": os.getpid()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(ready, indent=1) + "\n")
    part.replace(path)
