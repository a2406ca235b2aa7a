"""Shows routes to people: nav_msgs/Path per robot and lines on /world_markers, while somebody looks."""

from __future__ import annotations

from typing import Any

from aislewise import topics, visual
from aislewise.sitemap import SiteMap
from aislewise.types import Plan


class RouteView:
    """node: an AislewiseNode, which advertises for us."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._book = visual.MarkerBook()
        self._markers = node.advertise(topics.WORLD_MARKERS)
        self._paths: dict[str, tuple[Any, Any]] = {}

    def publish(self, plan: Plan, site: SiteMap) -> None:
        signs = []
        draw = self._markers.get_subscription_count() > 0
        for robot_plan in plan.robots:
            watched = self._watched_paths(robot_plan.robot)
            if not draw and not any(watched):
                continue
            released = [(w.x_m, w.y_m) for w in robot_plan.released]
            planned = [*released[-1:], *(site.centre(c) for c in robot_plan.horizon)]
            if draw:
                signs += visual.route_signs(robot_plan.robot, released, planned)
            for path, shown, points in zip(self._paths[robot_plan.robot], watched, (released, planned)):
                if shown:
                    path.publish(visual.to_path_msg(points, plan.stamp_ns))
        if draw:
            self._markers.publish(self._book.write(signs, plan.stamp_ns))

    def _watched_paths(self, robot: str) -> tuple[bool, bool]:
        """Whether anybody subscribes to the released and to the planned path of a robot."""
        if robot not in self._paths:
            prefix = f"/{robot}/"
            self._paths[robot] = (
                self._node.advertise(topics.ROUTE_PATH, prefix), self._node.advertise(topics.PLANNED_PATH, prefix),
            )
        released, planned = self._paths[robot]
        return released.get_subscription_count() > 0, planned.get_subscription_count() > 0

