"""What an acknowledgement costs: orders per second and latency, durable and not.

    python -m benchmarks.service [--orders N] [--json FILE]

The service runs here, as in the planner; clients run in processes of their own, each waiting for one
acknowledgement before it sends the next order. SQLite (write-ahead log, fsync at every commit) is stated
beside the memory store of the same run: the difference is the price of durability on this disk. `fsync_ms`
is what the disk takes for a bare 4 KiB append and fsync; where it is far below a millisecond, the disk or
the file system does not wait for the medium.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from aislewise.clock import system_clock
from aislewise.sitemap import SiteMap
from aislewise.types import Order, OrderLine
from planning.client import PlanningClient
from planning.service import PlanningService
from planning.store import MemoryStore, OrderStore, SqliteStore

ROOT = Path(__file__).parent.parent
SITE = ROOT / "config" / "site.json"
CLIENTS = (1, 4)
BATCH = 256


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=2000, help="per measurement (default %(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--client", nargs=3, metavar=("ENDPOINT", "PREFIX", "N"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.client:
        endpoint, prefix, count = args.client
        json.dump(submit(endpoint, prefix, int(count)), sys.stdout)
        return 0
    result = measure(args.orders)
    report(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def measure(orders: int) -> dict[str, Any]:
    """Stores take turns within each setting, so that a slow moment of the machine meets both."""
    disk = ROOT / "out"  # temporary folders are often in memory, where fsync costs nothing
    disk.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=disk) as folder:
        result: dict[str, Any] = {"fsync_ms": fsync_ms(Path(folder)), "runs": []}
        for clients in CLIENTS:
            for name in ("memory", "sqlite"):
                path = Path(folder) / f"{clients}.sqlite"
                store: OrderStore = MemoryStore() if name == "memory" else SqliteStore(path)
                figures = run(store, clients, orders)
                store.close()
                result["runs"].append({"store": name, "clients": clients} | figures)
    for clients in CLIENTS:
        pair = {r["store"]: r["per_s"] for r in result["runs"] if r["clients"] == clients}
        result[f"sqlite_to_memory_{clients}"] = pair["sqlite"] / pair["memory"]
    return result


def run(store: OrderStore, clients: int, orders: int) -> dict[str, float]:
    """`orders` single submits over `clients` processes, then as many again in batches."""
    with PlanningService(
        store, SiteMap.load(SITE), system_clock, "tcp://127.0.0.1:*", max_open_orders=10 * orders
    ) as service:
        share = orders // clients
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.service", "--client", service.endpoint, f"c{i}", str(share)],
                cwd=ROOT, stdout=subprocess.PIPE,
            )
            for i in range(clients)
        ]  # fmt: skip
        spans = [json.loads(p.communicate()[0]) for p in processes]
        latency_ms = np.concatenate([span["latency_ms"] for span in spans])
        wall_s = max(s["ended_ns"] for s in spans) / 1e9 - min(s["began_ns"] for s in spans) / 1e9
        with PlanningClient(service.endpoint, timeout_s=60.0) as client:
            began = time.perf_counter()
            for start in range(0, orders, BATCH):
                client.submit_batch(make_orders("b", start, min(BATCH, orders - start)))
            batch_s = time.perf_counter() - began
        assert store.last_seq() == share * clients + orders, "an acknowledged order is missing"
    return {
        "per_s": share * clients / wall_s,
        "p50_ms": float(np.percentile(latency_ms, 50)),
        "p99_ms": float(np.percentile(latency_ms, 99)),
        "batch_per_s": orders / batch_s,
    }


def submit(endpoint: str, prefix: str, count: int) -> dict[str, Any]:
    """One client's work: the latency of each acknowledgement."""
    orders = make_orders(prefix, 0, count)
    latency_ms = []
    with PlanningClient(endpoint, timeout_s=60.0) as client:
        client.hello()
        began_ns = time.time_ns()
        for order in orders:
            sent = time.perf_counter()
            client.submit(order)
            latency_ms.append((time.perf_counter() - sent) * 1e3)
        return {"latency_ms": latency_ms, "began_ns": began_ns, "ended_ns": time.time_ns()}


def make_orders(prefix: str, start: int, count: int) -> list[Order]:
    """Orders as a warehouse sends them: two lines, SKUs and stations in turn."""
    site = SiteMap.load(SITE)
    skus, stations = sorted(site.skus), [p.id for p in site.of_kind("station")]

    def line(i: int) -> OrderLine:
        return OrderLine(stations[i % len(stations)], sku=skus[i % len(skus)])

    return [Order(f"{prefix}-{i}", (line(i), line(7 * i + 1))) for i in range(start, start + count)]


def fsync_ms(folder: Path, repeats: int = 200) -> float:
    """Median time of a 4 KiB append with fsync in `folder`."""
    times = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(repeats):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1e3)
    return float(np.median(times))


def report(result: dict[str, Any]) -> None:
    print(f"fsync of 4 KiB: {result['fsync_ms']:.3f} ms")
    print(f"{'store':8} {'clients':>7} {'orders/s':>9} {'p50 ms':>7} {'p99 ms':>7} {'batched/s':>10}")
    for r in result["runs"]:
        print(
            f"{r['store']:8} {r['clients']:7} {r['per_s']:9.0f} {r['p50_ms']:7.2f} {r['p99_ms']:7.2f}"
            f" {r['batch_per_s']:10.0f}"
        )
    for clients in CLIENTS:
        print(f"sqlite to memory with {clients} client(s): {result[f'sqlite_to_memory_{clients}']:.2f}")


if __name__ == "__main__":
    sys.exit(main())
