"""How much longer driving takes than it should: arrival times learn from what robots really needed."""

from __future__ import annotations

from collections import deque

import numpy as np

PRIOR = (1.0, 1.05, 1.1, 1.1, 1.2, 1.2, 1.3, 1.4, 1.6, 2.0)  # until there is experience
MEMORY = 100


class Pace:
    """Quantiles of (time needed) / (time on an empty floor) over the last tasks of all robots."""

    def __init__(self) -> None:
        self._ratios: deque[float] = deque(PRIOR, maxlen=MEMORY)
        self._running: dict[str, tuple[int, int, float]] = {}

    def start(self, robot: str, cell: int, now_ns: int, ideal_s: float) -> None:
        """The robot's next task is at `cell`; on an empty floor it would be done in `ideal_s`."""
        running = self._running.get(robot)
        if running is None or running[0] != cell:
            self._running[robot] = (cell, now_ns, ideal_s)

    def finish(self, robot: str, now_ns: int) -> None:
        running = self._running.pop(robot, None)
        if running is not None and running[2] > 0:
            ratio = (now_ns - running[1]) / 1e9 / running[2]
            self._ratios.append(float(np.clip(ratio, 0.5, 10.0)))

    def stretch(self) -> tuple[float, float]:
        """Factors for p50 and p90."""
        p50, p90 = np.quantile(np.array(self._ratios), (0.5, 0.9))
        return float(p50), float(p90)
