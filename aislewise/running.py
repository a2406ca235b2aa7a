"""The body of every executable: init, spin, and a clean end on SIGINT or SIGTERM."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node

from aislewise.errors import AislewiseError


def run(make: Callable[[], Node | Sequence[Node]], args: list[str] | None = None, threads: int = 1) -> int:
    """Spin the nodes that `make` returns until a signal; the exit status: 0, or 1 when they cannot start.

    A callback that fails ends the process: what restarts it is the launch file's `respawn`."""
    nodes: list[Node] = []
    try:
        rclpy.init(args=args)
        made = make()
        nodes = list(made) if isinstance(made, Sequence) else [made]
        executor = SingleThreadedExecutor() if threads == 1 else MultiThreadedExecutor(num_threads=threads)
        for node in nodes:
            executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except AislewiseError as error:
        get_logger(nodes[0].get_name() if nodes else "aislewise").fatal(f"ends: {error}" if nodes else f"cannot start: {error}")
        return 1
    except Exception as error:
        if rclpy.ok():  # else a signal took the context away from under a callback, or before it
            get_logger(nodes[0].get_name() if nodes else "aislewise").fatal(f"ends: {type(error).__name__}: {error}")
            raise
    finally:
        with deaf_to_interrupts():
            for node in nodes:
                node.destroy_node()
            rclpy.try_shutdown()
    return 0


@contextlib.contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Ctrl-C reaches a process twice under `ros2 launch`, from the terminal and from the launcher: the second one
    must not break off the cleaning up. Signals belong to Python's main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ignore(number: int, frame: Any) -> None:
        """Instead of SIG_IGN, which Python reports when a signal is already under way."""

    before = {number: signal.signal(number, ignore) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
