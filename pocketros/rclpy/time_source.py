"""Simulated time: follows the parameter `use_sim_time` and the topic /clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import SetParametersResult

from .clock import ROSClock
from .constants import S_TO_NS
from .parameter import Parameter
from .qos import QoSProfile, ReliabilityPolicy

if TYPE_CHECKING:
    from .node import Node

CLOCK_TOPIC = "/clock"
USE_SIM_TIME_NAME = "use_sim_time"


class TimeSource:
    """Sets its clocks the moment a /clock message is published, not when a callback runs.

    As in rclcpp, where /clock has its own thread: time does not stand still for a busy executor.
    """

    def __init__(self, *, node: Node | None = None) -> None:
        self._node: Node | None = None
        self._clocks: list[ROSClock] = []
        self._clock_sub: Any = None
        self._active = False
        self._last_ns = 0
        if node is not None:
            self.attach_node(node)

    @property
    def ros_time_is_active(self) -> bool:
        return self._active

    @ros_time_is_active.setter
    def ros_time_is_active(self, enabled: bool) -> None:
        if enabled == self._active:
            return
        self._active = enabled
        for clock in self._clocks:
            clock._set_ros_time_is_active(enabled)
        if enabled:
            self._subscribe()
        else:
            self._unsubscribe()

    def attach_node(self, node: Node) -> None:
        """Follow this node's `use_sim_time` and its view of /clock."""
        if not hasattr(node, "resolve_topic_name"):
            raise TypeError("Node must be of type rclpy.node.Node")
        if self._node is not None:
            self.detach_node()
        self._node = node
        if not node.has_parameter(USE_SIM_TIME_NAME):
            node.declare_parameter(USE_SIM_TIME_NAME, False)
        self.ros_time_is_active = bool(node.get_parameter(USE_SIM_TIME_NAME).value)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._on_set)

    def _get_node(self) -> Node | None:
        return self._node

    def detach_node(self) -> None:
        self._unsubscribe()
        self._node = None

    def attach_clock(self, clock: ROSClock) -> None:
        if not isinstance(clock, ROSClock):
            raise ValueError("Only clocks with type ROS_TIME can be attached.")
        clock._override(self._last_ns)
        clock._set_ros_time_is_active(self._active)
        self._clocks.append(clock)

    def clock_callback(self, msg: Any) -> None:
        self._last_ns = msg.clock.sec * S_TO_NS + msg.clock.nanosec
        for clock in self._clocks:
            clock._override(self._last_ns)

    def _subscribe(self) -> None:
        if self._node is None or self._clock_sub is not None:
            return
        from rosgraph_msgs.msg import Clock

        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        endpoint = self._node._endpoint("subscription", CLOCK_TOPIC, Clock, qos)
        endpoint.deliver = self.clock_callback
        self._clock_sub = self._node.context.bus.create_reader(endpoint)

    def _unsubscribe(self) -> None:
        if self._clock_sub is not None:
            self._clock_sub.close()
            self._clock_sub = None

    def _check(self, parameters: list[Parameter]) -> Any:
        for parameter in parameters:
            if parameter.name == USE_SIM_TIME_NAME and parameter.type_ is not Parameter.Type.BOOL:
                reason = f"{USE_SIM_TIME_NAME} parameter set to something besides a bool"
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _on_set(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == USE_SIM_TIME_NAME:
                self.ros_time_is_active = parameter.value
