"""Default context and small helpers."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pocketros import arguments
from pocketros.transports import transport

from .constants import S_TO_NS
from .context import Context, default_scope


def get_default_context(*, shutting_down: bool = False) -> Context:
    """The default context: the process's, or a launched executable's within its threads."""
    return default_scope().context


def ok(*, context: Context | None = None) -> bool:
    return (context or get_default_context()).ok()


def shutdown(*, context: Context | None = None) -> None:
    (context or get_default_context()).shutdown()


def try_shutdown(*, context: Context | None = None) -> None:
    (context or get_default_context()).try_shutdown()


def remove_ros_args(args: Sequence[str] | None = None) -> list[str]:
    return arguments.remove_ros_args(sys.argv if args is None else args)


def get_rmw_implementation_identifier() -> str:
    """`pocketros_inprocess` or `pocketros_dds`."""
    return f"pocketros_{transport()}"


def timeout_sec_to_nsec(timeout_sec: float | None) -> int:
    """Nanoseconds of a timeout; None or a negative one means forever, spelt -1."""
    return -1 if timeout_sec is None or timeout_sec < 0 else int(float(timeout_sec) * S_TO_NS)
