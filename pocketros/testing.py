"""Extras for tests and simulators that run nodes in lock step. Not part of rclpy."""

from __future__ import annotations

from typing import Any


class LivelockError(RuntimeError):
    """Callbacks keep making each other ready."""


def spin_until_idle(executor: Any, max_callbacks: int = 100_000) -> int:
    """Run every ready callback, and those they make ready, in the executor's order; no waiting.

    For a SingleThreadedExecutor. Returns the number of callbacks run; LivelockError if more than
    `max_callbacks` would. Stops early when the context is shut down.
    """
    pop, execute, context = executor._pop, executor._execute, executor.context
    count = 0
    while context._valid and (entity := pop()) is not None:
        if count >= max_callbacks:
            entity._queued = False
            executor._release(entity)  # puts it back into the queue
            raise LivelockError(f"not idle after {max_callbacks} callbacks")
        execute(entity)
        count += 1
    return count
