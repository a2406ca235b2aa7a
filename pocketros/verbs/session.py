"""One command's node: joins the graph, listens for others during --spin-time, and leaves again."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from .errors import Interrupted, VerbError

SPIN_TIME_S = 0.5
HIDDEN = "_"
PATIENCE_S = 1.0
"""Signals so soon after the first are its echo: shells and `timeout` signal a process and its group."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options all commands share that look at a graph."""
    parser.add_argument(
        "--spin-time", type=float, default=SPIN_TIME_S, metavar="S",
        help="seconds to wait for discovery (default %(default)s)",
    )  # fmt: skip
    parser.add_argument("-s", "--use-sim-time", action="store_true", help="enable ROS simulation time")
    parser.add_argument("--no-daemon", action="store_true", help="accepted for ros2's sake: there is no daemon here")


class Session:
    """A node on the graph, made for one command. Use `opened(args)`.

    SIGINT and SIGTERM shut the context down: `spin`, `sleep` and `wait` then raise Interrupted, so a
    command ends between two callbacks and never within one.
    """

    def __init__(self, node: Any, executor: Any) -> None:
        self.node = node
        self._executor = executor
        self._signal = 0
        self._signal_s = 0.0

    def ok(self) -> bool:
        return bool(self.node.context.ok())

    def spin(self, done: Any = None, timeout_s: float | None = None) -> bool:
        """Run callbacks until the future `done` is; False when `timeout_s` has passed before that."""
        from rclpy.executors import ExternalShutdownException
        from rclpy.task import Future

        done = done or Future()
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin_until_future_complete(done, timeout_s)
        if not done.done() and not self.ok():
            raise Interrupted(self._signal)
        return bool(done.done())

    def sleep(self, seconds: float) -> None:
        """Run callbacks for so long."""
        if seconds > 0:
            self.spin(timeout_s=seconds)

    def wait(self, condition: Callable[[], bool], timeout_s: float | None = None, every_s: float = 0.1) -> bool:
        """Run callbacks until the condition holds; False when `timeout_s` has passed before that."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not condition():
            left = every_s if deadline is None else min(every_s, deadline - time.monotonic())
            if left <= 0:
                return False
            self.sleep(left)
        return True

    def call(self, service_type: Any, name: str, request: Any, timeout_s: float | None = None) -> Any:
        """The reply of a service, or None where none came in time or no server is there."""
        client = self.node.create_client(service_type, name)
        try:
            if not self.wait(client.service_is_ready, timeout_s):
                return None
            future = client.call_async(request)
            return future.result() if self.spin(future, timeout_s) else None
        finally:
            self.node.destroy_client(client)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if not self._signal:
            self._signal, self._signal_s = number, time.monotonic()
            self.node.context.try_shutdown()
        elif time.monotonic() > self._signal_s + PATIENCE_S:  # something does not heed the first one
            raise KeyboardInterrupt


@contextlib.contextmanager
def opened(args: argparse.Namespace, name: str | None = None) -> Iterator[Session]:
    """A session that has listened to the graph for `args.spin_time` seconds."""
    choose_transport()
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.parameter import Parameter

    session = None
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    try:
        node = rclpy.create_node(
            name or f"{HIDDEN}ros2cli_{os.getpid()}",
            context=context,
            start_parameter_services=False,
            parameter_overrides=[Parameter("use_sim_time", value=args.use_sim_time)],
        )
        executor = SingleThreadedExecutor(context=context)
        session = Session(node, executor)
        with _signals(session._on_signal):
            with node, executor:
                executor.add_node(node)
                session.sleep(args.spin_time)
                yield session
            context.try_shutdown()
    except Exception as error:
        if session is not None and session._signal:  # it came while something else than waiting was done
            raise Interrupted(session._signal) from error
        raise
    finally:
        context.try_shutdown()


def choose_transport() -> None:
    """A command line sees nothing within its own process: DDS, unless the user says otherwise."""
    if os.environ.get("POCKETROS_TRANSPORT"):
        return
    if importlib.util.find_spec("cyclonedds") is None:
        raise VerbError(
            "nodes of other processes are reached over DDS, which needs the package cyclonedds: "
            "pip install 'cyclonedds>=11,<12' (with Aislewise: pip install 'aislewise[dds]')"
        )
    os.environ["POCKETROS_TRANSPORT"] = "dds"


@contextlib.contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle SIGINT and SIGTERM; only Python's main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def is_hidden(name: str) -> bool:
    """True for names of which any part begins with an underscore."""
    return any(part.startswith(HIDDEN) for part in name.split("/"))
