"""Managed nodes: a state machine decides when a node is configured, active or finalized."""

from __future__ import annotations

from .managed_entity import ManagedEntity, SimpleManagedEntity
from .node import LifecycleNode, LifecycleNodeMixin, LifecycleState
from .publisher import LifecyclePublisher
from .state_machine import TransitionCallbackReturn

# Short names, so that `from rclpy.lifecycle import Node` works; kept out of __all__ as in rclpy.
Node = LifecycleNode
NodeMixin = LifecycleNodeMixin
State = LifecycleState
Publisher = LifecyclePublisher

__all__ = [
    "LifecycleNode", "LifecycleNodeMixin", "LifecyclePublisher", "LifecycleState", "ManagedEntity",
    "SimpleManagedEntity", "TransitionCallbackReturn",
]  # fmt: skip
