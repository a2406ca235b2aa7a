"""The body of every executable: init, spin, and a clean end on SIGINT or SIGTERM."""

from __future__ import annotations

import atexit
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node

from aislewise.collector import settle
from aislewise.errors import AislewiseError


def run(make: Callable[[], Node | Sequence[Node]], args: list[str] | None = None, threads: int = 1) -> int:
    """Spin the nodes that `make` returns until a signal; the exit status: 0, or 1 when they cannot start.

    A callback that fails ends the process: what restarts it is the launch file's `respawn`. Afterwards the process
    hears no more signals: it is at its end."""
    nodes: list[Node] = []
    try:
        rclpy.init(args=args)
        made = make()
        nodes = list(made) if isinstance(made, Sequence) else [made]
        executor = SingleThreadedExecutor() if threads == 1 else MultiThreadedExecutor(num_threads=threads)
        for node in nodes:
            executor.add_node(node)
        settle()
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
        go_deaf()
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
        go_deaf()  # rclpy has put back the handlers that were there before it
    return 0


def go_deaf() -> None:
    """No more signals, until the process has ended. Ctrl-C reaches a process twice under `ros2 launch`, from the
    terminal and from the launcher: the second one must break off neither the cleaning up nor the interpreter's end,
    which would count as a death. Signals belong to Python's main thread only."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _ignore)
        atexit.unregister(_ignore_to_the_end)
        atexit.register(_ignore_to_the_end)


def _ignore(number: int, frame: Any) -> None:
    """Instead of SIG_IGN, which Python reports when a signal is already under way."""


def _ignore_to_the_end() -> None:
    """At its end the interpreter puts SIG_DFL in the place of every handler but SIG_IGN."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
