"""A fleet manager in a process of its own: submits a shift's orders over ZeroMQ as they become due, and calls
off those that its customers no longer want.

It knows the planning service and nothing else, as a customer's software would.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from aislewise.errors import InputError, StateError
from aislewise.types import Order
from planning.client import PlanningClient
from planning.protocol import OrderBody, decode

if TYPE_CHECKING:
    from sim.demand import Cancellation

POLL_S = 0.02
"""How often the service's clock is asked for; oftener would cost the service more than it gains."""


class Errand(msgspec.Struct):
    """One thing to do at `at_ns`: submit `order`, or call off the one named `cancel`."""

    at_ns: int
    order: OrderBody | None = None
    cancel: str = ""


def start_manager(
    endpoint: str, orders: Sequence[Order], file: Path, cancellations: Sequence[Cancellation] = ()
) -> subprocess.Popen[bytes]:
    """The process; `file` carries its errands to it and is needed until it has read them."""
    errands: list[dict[str, Any]] = [{"at_ns": order.release_ns, "order": order} for order in orders]
    errands += [{"at_ns": c.at_ns, "cancel": c.order_id} for c in cancellations]
    file.write_bytes(b"\n".join(msgspec.json.encode(errand) for errand in errands))
    command = [sys.executable, "-m", "sim.manager", "--connect", endpoint, "--orders", str(file)]
    return subprocess.Popen(command, cwd=Path(__file__).parent.parent)


def run(endpoint: str, orders_file: Path) -> int:
    """Do each errand when the service's clock has reached its time; every order is acknowledged."""
    errands = [decode(line, Errand, "json", "errand") for line in orders_file.read_bytes().splitlines()]
    with PlanningClient(endpoint, timeout_s=30.0) as client:
        for errand in sorted(errands, key=_by_time):
            while client.now_ns() < errand.at_ns:
                time.sleep(POLL_S)
            _do(client, errand)
    return 0


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
    args = parser.parse_args()
    return run(args.connect, args.orders)


if __name__ == "__main__":
    sys.exit(main())
