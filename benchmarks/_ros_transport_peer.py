"""One side of benchmarks.ros_transport: `echo` answers, `ping` measures. Run by it, not by hand."""

from __future__ import annotations

import array
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil

SIZES = {"string": 0, "image_1mb": 640 * 546 * 3, "cloud_2mb": 131_072 * 16}
TYPES = {
    "string": "std_msgs/msg/String", "image_1mb": "sensor_msgs/msg/Image",
    "cloud_2mb": "sensor_msgs/msg/PointCloud2",
}  # fmt: skip
WARM_UP = 20
BURST = {"string": 2000, "image_1mb": 100, "cloud_2mb": 60}


class RclpyLink:
    """Publishers and subscriptions through rclpy's API: pocketros or the genuine one."""

    def __init__(self, role: str, kind: str) -> None:
        import pocketros

        pocketros.activate()
        import importlib

        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node
        from rclpy.qos import QoSProfile, ReliabilityPolicy

        package, _, name = TYPES[kind].split("/")
        self._type = getattr(importlib.import_module(f"{package}.msg"), name)
        rclpy.init(args=[])
        self._rclpy = rclpy
        self._node = Node(f"bench_{role}")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._qos = {
            True: QoSProfile(depth=3000), False: QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        }  # fmt: skip

    def subscribe(self, topic: str, callback: Callable[[Any], None], reliable: bool = True) -> None:
        self._node.create_subscription(self._type, topic, callback, self._qos[reliable])

    def publisher(self, topic: str, reliable: bool = True) -> tuple[Callable[[Any], None], Callable[[], int]]:
        made = self._node.create_publisher(self._type, topic, self._qos[reliable])
        return made.publish, made.get_subscription_count

    def spin(self) -> None:
        from rclpy.executors import ExternalShutdownException

        with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
            self._executor.spin()

    def until(self, done: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                return False
            self._executor.spin_once(timeout_sec=0.05)
        return True

    def close(self) -> None:
        self._node.destroy_node()
        self._rclpy.try_shutdown()

    def message(self, kind: str) -> Any:
        if kind == "string":
            return self._type(data="x" * 64)
        data = array.array("B", np.random.default_rng(1).integers(0, 256, SIZES[kind], np.uint8).tobytes())
        if kind == "image_1mb":
            return self._type(height=546, width=640, encoding="rgb8", step=640 * 3, data=data)
        return self._type(height=1, width=131_072, point_step=16, row_step=SIZES[kind], data=data)


class RoslessLink:
    """The same over the package rosless; each subscription has a thread that reads."""

    def __init__(self, role: str, kind: str) -> None:
        import rosless

        self._kind, self._type = kind, TYPES[kind]
        self._node = rosless.Node(domain=int(os.environ.get("ROS_DOMAIN_ID") or 0))
        self._message = rosless.Message
        self._news = threading.Event()

    def subscribe(self, topic: str, callback: Callable[[Any], None], reliable: bool = True) -> None:
        reliability = "reliable" if reliable else "best_effort"
        subscription = self._node.subscribe(topic, self._type, reliability=reliability, history="keep_last", depth=3000)

        def read() -> None:
            while True:
                if (message := subscription.read(timeout=1.0)) is not None:
                    callback(message)
                    self._news.set()

        threading.Thread(target=read, daemon=True).start()

    def publisher(self, topic: str, reliable: bool = True) -> tuple[Callable[[Any], None], Callable[[], int]]:
        made = self._node.advertise(
            topic, self._type, reliability="reliable" if reliable else "best_effort", history="keep_last", depth=3000
        )
        count = made.subscriber_count
        return made.send, count if callable(count) else lambda: made.subscriber_count

    def spin(self) -> None:
        threading.Event().wait()

    def until(self, done: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                return False
            self._news.wait(0.05)
            self._news.clear()
        return True

    def close(self) -> None:
        """At once: with threads that still read, the package crashes when the interpreter ends."""
        sys.stdout.flush()
        os._exit(0)

    def message(self, kind: str) -> Any:
        if kind == "string":
            return {"data": "x" * 64}
        data = np.random.default_rng(1).integers(0, 256, SIZES[kind], np.uint8).tobytes()
        if kind == "image_1mb":
            return {"height": 546, "width": 640, "encoding": "rgb8", "step": 640 * 3, "data": data}
        return {"height": 1, "width": 131_072, "point_step": 16, "row_step": SIZES[kind], "data": data}


def echo(link: Any) -> None:
    """Returns every ping; after a burst or a stream says how much arrived, in the length of the answer."""
    back, _ = link.publisher("bench/pong")
    link.subscribe("bench/ping", lambda message: back(message))
    counted, _ = link.publisher("bench/counted")
    link.subscribe("bench/burst", lambda message: counted(message))
    link.subscribe("bench/stream", lambda message: counted(message), reliable=False)


def ping(link: Any, kind: str, seconds: float, peer: psutil.Process | None) -> dict[str, Any]:
    arrived = [0, 0]
    link.subscribe("bench/pong", lambda _: arrived.__setitem__(0, arrived[0] + 1))
    link.subscribe("bench/counted", lambda _: arrived.__setitem__(1, arrived[1] + 1))
    ends = [link.publisher(f"bench/{name}", name != "stream") for name in ("ping", "burst", "stream")]
    if not link.until(lambda: all(count() for _, count in ends), 20.0):
        raise SystemExit("the other side was not found")
    (send, _), (burst, _), (stream, _) = ends
    message = link.message(kind)
    link.until(lambda: False, 0.5)
    round_trips_ms, cpu_ms = measure_round_trips(link, send, message, arrived, seconds, peer)
    count = BURST[kind]
    arrived[1] = 0
    began = time.perf_counter()
    for _ in range(count):
        burst(message)
    link.until(lambda: arrived[1] >= count, 30.0)
    span_s = time.perf_counter() - began
    burst_arrived, arrived[1] = arrived[1], 0
    sent = measure_stream(link, stream, message, seconds)
    link.until(lambda: arrived[1] >= sent, 2.0)
    p50, p99 = np.percentile(round_trips_ms, [50, 99])
    return {
        "rtt_p50_ms": float(p50), "rtt_p99_ms": float(p99), "round_trips": len(round_trips_ms),
        "messages_per_s": burst_arrived / span_s, "burst": f"{burst_arrived}/{count}",
        "megabytes_per_s": burst_arrived * max(SIZES[kind], 64) / span_s / 1e6,
        "at_30hz": f"{arrived[1]}/{sent}", "cpu_ms_per_message": cpu_ms,
    }  # fmt: skip


def measure_round_trips(
    link: Any, send: Callable[[Any], None], message: Any, arrived: list[int], seconds: float,
    peer: psutil.Process | None,
) -> tuple[list[float], float]:  # fmt: skip
    found: list[float] = []
    started_cpu, end = 0.0, 0.0
    while len(found) < WARM_UP or time.monotonic() < end:
        if len(found) == WARM_UP:
            started_cpu = cpu_s(peer)
        if not end:
            end = time.monotonic() + seconds
        before, began = arrived[0], time.perf_counter()
        send(message)
        if not link.until(lambda before=before: arrived[0] > before, 5.0):
            raise SystemExit("a reliable message did not come back within 5 s")
        found.append((time.perf_counter() - began) * 1e3)
    used_ms = (cpu_s(peer) - started_cpu) * 1e3
    return found[WARM_UP:], used_ms / (2 * max(1, len(found) - WARM_UP))


def measure_stream(link: Any, send: Callable[[Any], None], message: Any, seconds: float) -> int:
    count = int(30 * seconds)
    began = time.monotonic()
    for i in range(count):
        send(message)
        link.until(lambda due=began + (i + 1) / 30: time.monotonic() >= due, 1.0)
    return count


def cpu_s(peer: psutil.Process | None) -> float:
    own = time.process_time()
    if peer is None:
        return own
    times = peer.cpu_times()
    return own + float(times.user + times.system)


def main() -> None:
    role, runtime, kind, seconds, *rest = sys.argv[1:]
    make = RoslessLink if runtime == "rosless" else RclpyLink
    link = make(role, kind)
    if role == "echo":
        echo(link)
        link.spin()
    else:
        if runtime == "inprocess":
            echo(link)
        peer = psutil.Process(int(rest[0])) if runtime != "inprocess" else None
        print(json.dumps(ping(link, kind, float(seconds), peer)), flush=True)
    link.close()


if __name__ == "__main__":
    main()
