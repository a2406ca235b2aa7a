"""rclpy as pocketros offers it: same names and behaviour, no ROS 2 installation.

Import it as `rclpy`, after `pocketros.activate()`.
"""

from __future__ import annotations

if __name__ != "rclpy":
    raise ImportError("call pocketros.activate(), then import rclpy")

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import signals as _signals
from .context import Context, default_scope
from .signals import SignalHandlerOptions
from .utilities import get_default_context, get_rmw_implementation_identifier, ok

if TYPE_CHECKING:
    from .executors import Executor
    from .node import Node
    from .task import Future

__all__ = [
    "Context", "create_node", "get_default_context", "get_global_executor",
    "get_rmw_implementation_identifier", "init", "ok", "shutdown", "spin", "spin_once",
    "spin_until_future_complete", "try_shutdown",
]  # fmt: skip


_MODULES = frozenset(path.stem for path in Path(__file__).parent.iterdir() if path.stem[:1].isalpha())

_CLASSES = {"Future": "task", "Parameter": "parameter"}


def __getattr__(name: str) -> Any:
    """`rclpy.executors` and the like work after a plain `import rclpy`, as they do in rclpy."""
    if name in _CLASSES:
        return getattr(importlib.import_module(f"{__name__}.{_CLASSES[name]}"), name)
    if name not in _MODULES:
        raise AttributeError(f"module 'rclpy' has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def init(
    *,
    args: Sequence[str] | None = None,
    context: Context | None = None,
    domain_id: int | None = None,
    signal_handler_options: SignalHandlerOptions | None = None,
) -> None:
    """Start a context (the default one if none is given). RuntimeError if it is running already."""
    is_default = context is None
    context = context or get_default_context()
    context.init(args, domain_id=domain_id)
    if signal_handler_options is None:
        signal_handler_options = (
            SignalHandlerOptions.ALL if is_default else SignalHandlerOptions.NO
        )
    if signal_handler_options is not SignalHandlerOptions.NO:
        _signals.install_signal_handlers(signal_handler_options)
        _signals.track(context)


def get_global_executor() -> Executor:
    """The executor behind spin() and spin_once() when none is given."""
    from .executors import SingleThreadedExecutor

    scope = default_scope()
    executor = scope.executor
    if executor is None or executor._is_shutdown:
        executor = scope.executor = SingleThreadedExecutor()
        scope.context.on_shutdown(scope.forget_executor)
    return executor  # type: ignore[no-any-return]


def shutdown(*, context: Context | None = None, uninstall_handlers: bool | None = None) -> None:
    """Shut a context down. RuntimeError if it is not running."""
    is_default = context is None
    scope = default_scope()
    if scope.executor is not None:  # spin() ends; other executors learn of it by an exception
        scope.executor.shutdown()
        scope.executor = None
    (context or get_default_context()).shutdown()
    if uninstall_handlers or (uninstall_handlers is None and is_default):
        _signals.uninstall_signal_handlers()


def try_shutdown(*, context: Context | None = None, uninstall_handlers: bool | None = None) -> None:
    """Shut a context down if it is running."""
    context_to_stop = context or get_default_context()
    if context_to_stop.ok():
        shutdown(context=context, uninstall_handlers=uninstall_handlers)


def create_node(node_name: str, **kwargs: Any) -> Node:
    """`Node(node_name, **kwargs)`."""
    from .node import Node

    return Node(node_name, **kwargs)


def spin_once(
    node: Node, *, executor: Executor | None = None, timeout_sec: float | None = None
) -> None:
    """Run one callback of a node (of those in the executor); wait up to `timeout_sec` for one."""
    executor = executor or get_global_executor()
    added = executor.add_node(node)
    try:
        executor.spin_once(timeout_sec=timeout_sec)
    finally:
        if added:
            executor.remove_node(node)


def spin(node: Node, executor: Executor | None = None) -> None:
    """Run a node's callbacks until the context is shut down."""
    executor = executor or get_global_executor()
    added = executor.add_node(node)
    try:
        executor.spin()
    finally:
        if added:
            executor.remove_node(node)


def spin_until_future_complete(
    node: Node,
    future: Future,
    executor: Executor | None = None,
    timeout_sec: float | None = None,
) -> None:
    """Run a node's callbacks until the future is done, time is up, or shutdown."""
    executor = executor or get_global_executor()
    added = executor.add_node(node)
    try:
        executor.spin_until_future_complete(future, timeout_sec)
    finally:
        if added:
            executor.remove_node(node)
