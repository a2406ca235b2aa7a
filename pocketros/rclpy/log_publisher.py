"""A node's log on /rosout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rcl_interfaces.msg import Log

from . import logging
from .qos import QoSProfile

if TYPE_CHECKING:
    from .node import Node


class LogPublisher:
    """Publishes what the node logs on /rosout, as far as somebody listens.

    Unlike rcl it keeps no history for late listeners: a thousand log messages per node, for nobody.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._name = node.get_logger().name
        self._publisher = node.create_publisher(Log, "/rosout", QoSProfile(depth=1000))
        node._publishers.remove(self._publisher)  # rclpy's node.publishers does not list it either
        logging.add_sink(self._name, self._publish)

    def detach(self) -> None:
        logging.remove_sink(self._name)
        self._publisher.destroy()

    def _publish(
        self, severity: int, name: str, message: str, caller: tuple[str, str, int]
    ) -> None:
        if self._publisher.get_subscription_count():
            file, function, line = caller
            self._publisher.publish(
                Log(
                    stamp=self._node.get_clock().now().to_msg(), level=int(severity), name=name,
                    msg=message, file=file, function=function, line=line,
                )
            )  # fmt: skip
