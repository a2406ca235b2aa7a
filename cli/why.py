"""`aislewise why`: in plain sentences, why an order has its robot or waits, and why a robot does what it does or stands.

Asks a running planning service, or with --store the file of one, where only what was written down is told."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planning.why import WhyResult

DEFAULT_CONNECT = "tcp://127.0.0.1:5570"
EPOCH_NS = 10**17
"""Stamps above are times of day (1973 and later); below, seconds of a simulation."""


def add(subparsers: Any) -> None:
    p = subparsers.add_parser("why", help="say why an order or a robot is where it is", description=__doc__)
    p.add_argument("subject", metavar="ORDER|ROBOT", help="the id of either")
    p.add_argument("--history", action="store_true", help="all decisions that are kept, with their times")
    p.add_argument(
        "--connect", "--endpoint", default=DEFAULT_CONNECT, metavar="ENDPOINT", help="the service's (default %(default)s)"
    )
    p.add_argument("--timeout", type=float, default=2.0, metavar="S", help="per try (default %(default)s)")
    p.add_argument("--retries", type=int, default=3, metavar="N", help="default %(default)s")
    p.add_argument("--store", metavar="FILE", help="ask this file of orders, not a service")
    p.add_argument("--json", metavar="FILE", help="write the answer there as well")
    p.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    result = from_file(args) if args.store else from_service(args)
    print(*result.text, sep="\n")
    if result.decisions:
        print("\nAll that is kept:" if args.history else "\nBefore:")
        for item in result.decisions:
            print(f"  {when(item.stamp_ns, result.now_ns)}  {item.text}")
    if args.json:
        from planning.protocol import encode

        Path(args.json).write_bytes(encode({"ok": True, "why": result}, "json") + b"\n")
    return 0


def from_service(args: argparse.Namespace) -> WhyResult:
    from planning.client import PlanningClient

    with PlanningClient(args.connect, args.timeout, args.retries) as client:
        return client.why(args.subject, args.history)


def from_file(args: argparse.Namespace) -> WhyResult:
    """Without a planner, the present is when an order changed last."""
    from planning.store import StoreReader
    from planning.why import answer

    with StoreReader(args.store) as store:
        return answer(store, None, store.last_ns(), args.subject, args.history)


def when(stamp_ns: int, now_ns: int) -> str:
    from planning.why_words import since

    if stamp_ns >= EPOCH_NS:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(stamp_ns / 1e9))
    else:
        at = f"t={stamp_ns / 1e9:.1f} s"
    return f"{at} ({since(stamp_ns, now_ns)} ago)" if stamp_ns <= now_ns else at
