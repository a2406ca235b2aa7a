"""Waitables wait in rcl's wait sets; pocketros has none, its entities announce themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .exceptions import UnsupportedFeatureError


@dataclass
class NumberOfEntities:
    """How many entities of each kind something consists of."""

    num_subscriptions: int = 0
    num_guard_conditions: int = 0
    num_timers: int = 0
    num_clients: int = 0
    num_services: int = 0
    num_events: int = 0

    def __add__(self, other: NumberOfEntities) -> NumberOfEntities:
        names = self.__dataclass_fields__
        return NumberOfEntities(*(getattr(self, n) + getattr(other, n) for n in names))


class Waitable:
    def __init__(self, callback_group: Any) -> None:
        raise UnsupportedFeatureError("pocketros has no wait sets, thus no rclpy.waitable.Waitable")
