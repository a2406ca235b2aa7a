"""Every test that touches ROS runs on pocketros; the genuine rclpy has its own contract runs."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from cli.ros import activate

activate("always")

from hypothesis import settings

# A shared machine may stall for a moment at any time: tests never judge by the wall clock.
# In CI the examples are fixed, so that one change is judged like the next; at home they are drawn anew.
settings.register_profile("aislewise", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("aislewise")
