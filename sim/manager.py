"""A fleet manager in a process of its own: submits a shift's orders over ZeroMQ as they become due, and calls
off those that its customers no longer want.

It knows the planning service and nothing else, as a customer's software would.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import msgspec

from aislewise.errors import InputError, StateError
from aislewise.types import Order
from planning.client import PlanningClient
from planning.protocol import OrderBody, RetryLaterError, UnavailableError, decode
from planning.sqlite import StoreError

if TYPE_CHECKING:
    from sim.demand import Cancellation

POLL_S = 0.02
"""How often the service's clock is asked for; oftener would cost the service more than it gains."""
ANSWER_S = 5.0
"""A request without an answer for so long is sent again, which is safe."""
PATIENCE_S = 600.0
"""A service that does not answer, or cannot accept, for so long is given up."""
AGAIN_S = 0.05

T = TypeVar("T")


class Errand(msgspec.Struct):
    """One thing to do at `at_ns`: submit `order`, or call off the one named `cancel`."""

    at_ns: int
    order: OrderBody | None = None
    cancel: str = ""


def start_manager(
    endpoint: str, orders: Sequence[Order], file: Path, cancellations: Sequence[Cancellation] = (),
    acknowledged: Path | None = None, answer_s: float = ANSWER_S,
) -> subprocess.Popen[bytes]:  # fmt: skip
    """The process; `file` carries its errands to it and is needed until it has read them. acknowledged: where it
    writes the id of each order that the service has acknowledged, a line each; answer_s: see ANSWER_S."""
    errands: list[dict[str, Any]] = [{"at_ns": order.release_ns, "order": order} for order in orders]
    errands += [{"at_ns": c.at_ns, "cancel": c.order_id} for c in cancellations]
    file.write_bytes(b"\n".join(msgspec.json.encode(errand) for errand in errands))
    command = [sys.executable, "-m", "sim.manager", "--connect", endpoint, "--orders", str(file)]
    command += ["--answer-s", str(answer_s)] + ([] if acknowledged is None else ["--acknowledged", str(acknowledged)])
    return subprocess.Popen(command, cwd=Path(__file__).parent.parent)


def run(endpoint: str, orders_file: Path, acknowledged: Path | None = None, answer_s: float = ANSWER_S) -> int:
    """Do each errand when the service's clock has reached its time; every order is acknowledged. A service that is
    away, or cannot accept just now, is asked again."""
    errands = [decode(line, Errand, "json", "errand") for line in orders_file.read_bytes().splitlines()]
    with PlanningClient(endpoint, timeout_s=answer_s, retries=0) as client, _ledger(acknowledged) as ledger:
        for errand in sorted(errands, key=_by_time):
            while _patiently(client.now_ns) < errand.at_ns:
                time.sleep(POLL_S)
            _patiently(partial(_do, client, errand))
            if ledger is not None and errand.order is not None:
                print(errand.order.order_id, file=ledger, flush=True)
    return 0


def _ledger(file: Path | None) -> AbstractContextManager[TextIO | None]:
    return nullcontext() if file is None else file.open("a", encoding="utf-8")


def _patiently(ask: Callable[[], T]) -> T:
    """The answer, asked for again and again. Whether a request that was not answered has been carried out nobody
    knows: each may be repeated."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask()
        except (UnavailableError, StoreError, RetryLaterError):
            if time.monotonic() > end:
                raise
            time.sleep(AGAIN_S)


def _by_time(errand: Errand) -> tuple[int, bool, str]:
    """An order goes in before it is called off."""
    return errand.at_ns, errand.order is None, errand.order.order_id if errand.order is not None else errand.cancel


def _do(client: PlanningClient, errand: Errand) -> None:
    if errand.order is not None:
        client.submit(errand.order.to_order())
        return
    if not errand.cancel:
        raise InputError("errand", "has neither an order nor a cancellation")
    with suppress(StateError):  # it was delivered meanwhile: the customer is told so, and keeps it
        client.cancel(errand.cancel)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connect", required=True)
    parser.add_argument("--orders", required=True, type=Path)
    parser.add_argument("--acknowledged", type=Path)
    parser.add_argument("--answer-s", type=float, default=ANSWER_S)
    args = parser.parse_args()
    return run(args.connect, args.orders, args.acknowledged, args.answer_s)


if __name__ == "__main__":
    sys.exit(main())
