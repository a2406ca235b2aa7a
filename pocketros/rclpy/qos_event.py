"""The old name of rclpy.event_handler."""

from __future__ import annotations

import warnings

from .event_handler import *  # noqa: F403

warnings.warn("importing rclpy.qos_event is deprecated: use rclpy.event_handler", stacklevel=2)
