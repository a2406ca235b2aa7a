"""The planner of a replay: robots drive by recorded routes, not by its own, and may do what it cannot make sense of."""

from __future__ import annotations

from typing import Any

from aislewise.errors import AislewiseError
from planning.planner import Planner
from planning.planner_node import PlannerNode


class OpenLoopPlanner(PlannerNode):
    """Begins anew from its store, as after a restart, where what the robots have done contradicts what it knows. A
    contradiction that comes at every step costs the plans, not the replay. restarts counts them."""

    def __init__(self, **kwargs: Any) -> None:
        self.restarts = 0
        super().__init__(**kwargs)

    def _step_if_due(self, periods: float) -> None:
        try:
            super()._step_if_due(periods)
        except AislewiseError as error:
            self.restarts += 1
            self.get_logger().warning(f"begins anew: {error}", throttle_duration_sec=60.0)
            if self.planner is not None and self.store is not None:
                self.planner = Planner(self.planner.site, self.store, self.planner_config, self.settings.seed)
