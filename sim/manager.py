"""A fleet manager in a process of its own: submits a shift's orders over ZeroMQ as they become due.

It knows the planning service and nothing else, as a customer's software would.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from aislewise.types import Order
from planning.client import PlanningClient
from planning.protocol import decode_order

POLL_S = 0.02
"""How often the service's clock is asked for; oftener would cost the service more than it gains."""


def start_manager(endpoint: str, orders: Sequence[Order], file: Path) -> subprocess.Popen[bytes]:
    """The process; `file` carries the orders to it and is needed until it has read them."""
    file.write_bytes(b"\n".join(msgspec.json.encode(order) for order in orders))
    command = [sys.executable, "-m", "sim.manager", "--connect", endpoint, "--orders", str(file)]
    return subprocess.Popen(command, cwd=Path(__file__).parent.parent)


def run(endpoint: str, orders_file: Path) -> int:
    """Submit each order when the service's clock has reached its release; every one is acknowledged."""
    orders = [decode_order(line) for line in orders_file.read_bytes().splitlines()]
    with PlanningClient(endpoint, timeout_s=30.0) as client:
        for order in sorted(orders, key=lambda o: (o.release_ns, o.order_id)):
            while client.now_ns() < order.release_ns:
                time.sleep(POLL_S)
            client.submit(order)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connect", required=True)
    parser.add_argument("--orders", required=True, type=Path)
    args = parser.parse_args()
    return run(args.connect, args.orders)


if __name__ == "__main__":
    sys.exit(main())
