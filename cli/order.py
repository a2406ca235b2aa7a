"""`aislewise order`: what a fleet manager does, from the command line."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aislewise.types import OrderRecord
    from planning.client import PlanningClient
    from planning.orders import OrderEvent

DEFAULT_CONNECT = "tcp://127.0.0.1:5570"
POLL_S = 0.2

Verb = Callable[["PlanningClient", argparse.Namespace], int]


def add(subparsers: Any) -> None:
    p = subparsers.add_parser("order", help="submit, cancel, list and watch orders", description=__doc__)
    verbs = p.add_subparsers(dest="order_verb", metavar="VERB", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--connect", default=DEFAULT_CONNECT, metavar="ENDPOINT", help="default %(default)s")
    common.add_argument("--timeout", type=float, default=2.0, metavar="S", help="per try (default %(default)s)")
    common.add_argument("--retries", type=int, default=3, metavar="N", help="default %(default)s")
    common.add_argument("--json", metavar="FILE", help="write the result there")

    def verb(name: str, func: Verb, text: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = verbs.add_parser(name, parents=[common], help=text, description=text)
        sub.set_defaults(func=lambda args: connected(func, args))
        return sub

    sub = verb("submit", submit, "submit orders; repeating it is safe")
    sub.add_argument("file", help='JSON: an order, a list of orders or {"orders": [...]}; - reads stdin')
    verb("status", status, "show one order").add_argument("id")
    verb("cancel", cancel, "ask for an order to be cancelled").add_argument("id")
    sub = verb("list", list_orders, "list orders in the order of acceptance")
    sub.add_argument("--state", action="append", metavar="STATE", help="only these; may be repeated")
    sub = verb("watch", watch, "print what happens to orders, until the named ones are final or Ctrl-C")
    sub.add_argument("ids", nargs="*", metavar="ID", help="orders to watch to their end (default: all, from now on)")


def connected(func: Verb, args: argparse.Namespace) -> int:
    from planning.client import PlanningClient

    with PlanningClient(args.connect, args.timeout, args.retries) as client:
        return func(client, args)


def submit(client: PlanningClient, args: argparse.Namespace) -> int:
    """Exit status 1 when any order was refused."""
    from aislewise.errors import AislewiseError, InputError
    from planning.protocol import decode_orders, error_body

    orders = decode_orders(read(args.file))
    if not orders:
        raise InputError("orders", "the file holds none")
    items: list[dict[str, Any]] = []
    for order, answer in zip(orders, client.submit_batch(orders), strict=True):
        if isinstance(answer, AislewiseError):
            print(f"{order.order_id}  refused  {answer.code}  {answer}")
            items.append({"order_id": order.order_id, "ok": False, "error": error_body(answer)})
        else:
            print(line(answer))
            items.append({"order_id": order.order_id, "ok": True, "record": answer})
    ok = all(item["ok"] for item in items)
    write_json(args.json, {"ok": ok, "results": items})
    return 0 if ok else 1


def status(client: PlanningClient, args: argparse.Namespace) -> int:
    return show(client.status(args.id), args)


def cancel(client: PlanningClient, args: argparse.Namespace) -> int:
    return show(client.cancel(args.id), args)


def list_orders(client: PlanningClient, args: argparse.Namespace) -> int:
    """All pages."""
    from aislewise.errors import InputError
    from aislewise.types import OrderState
    from planning.protocol import MAX_LIST

    known = [state.value for state in OrderState]
    if wrong := [name for name in args.state or () if name not in known]:
        raise InputError("--state", repr(wrong[0]), known)
    states = [OrderState(name) for name in args.state] if args.state else None
    records: list[OrderRecord] = []
    while page := client.list(states, MAX_LIST, records[-1].order.order_id if records else ""):
        records += page
        print(*map(line, page), sep="\n")
    write_json(args.json, {"ok": True, "orders": records})
    return 0


def watch(client: PlanningClient, args: argparse.Namespace) -> int:
    """Named orders: their whole history, to the end; exit status 1 if one ended otherwise than DONE.
    None named: what happens from now on, until Ctrl-C."""
    from aislewise.types import OrderState
    from planning.protocol import MAX_LIST

    ends = {order_id: client.status(order_id).state for order_id in args.ids}
    seq = 0 if args.ids else client.health().last_seq
    seen: list[OrderEvent] = []
    try:
        while True:
            # Asked before the events, so that an order's last event is printed before we end.
            ends = {i: s if s.final else client.status(i).state for i, s in ends.items()}
            while events := client.events(seq, MAX_LIST).events:
                seq = events[-1].seq
                news = [e for e in events if not args.ids or e.order_id in ends]
                seen += news
                for event in news:
                    print(f"{event.stamp_ns * 1e-9:.3f}  {row(event.order_id, event)}", flush=True)
            if args.ids and all(state.final for state in ends.values()):
                break
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        write_json(args.json, {"ok": not args.ids, "events": seen})
        return 130 if args.ids else 0
    ok = all(state is OrderState.DONE for state in ends.values())
    write_json(args.json, {"ok": ok, "events": seen})
    return 0 if ok else 1


def show(record: OrderRecord, args: argparse.Namespace) -> int:
    print(line(record))
    write_json(args.json, {"ok": True, "record": record})
    return 0


def line(record: OrderRecord) -> str:
    return f"{row(record.order.order_id, record)}  {record.lines_done}/{len(record.order.lines)} lines"


def row(order_id: str, what: OrderRecord | OrderEvent) -> str:
    return "  ".join(part for part in (order_id, what.state.value, what.robot, what.reason) if part)


def read(file: str) -> bytes:
    from aislewise.errors import InputError

    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise InputError("file", f"cannot read {file}: {error.strerror}") from error


def write_json(file: str | None, result: dict[str, Any]) -> None:
    from planning.protocol import encode

    if file:
        Path(file).write_bytes(encode(result, "json") + b"\n")
