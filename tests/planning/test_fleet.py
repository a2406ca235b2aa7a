"""What the planner believes of robots must come true in the end, however late or wrong their reports were."""

from __future__ import annotations

import numpy as np

from aislewise.clock import to_ns
from aislewise.sitemap import SiteMap
from aislewise.types import Pose2D, RobotInfo, RobotMode
from planning.config import PlannerConfig
from planning.fleet import Fleet

SITE = SiteMap("lane", 1.0, 0.0, 0.0, np.zeros((1, 9), np.uint8), {}, {})
NOBODY = np.zeros(9, np.bool_)


def report(robot: str, x_m: float, now_ns: int, reached: int = -1, mode: RobotMode = RobotMode.IDLE) -> RobotInfo:
    return RobotInfo(robot, Pose2D(x_m, 0.5), 0.9, (), mode, reached, now_ns)


def test_a_robot_that_was_enrolled_beside_where_it_stands_is_found_there_when_it_does_not_get_on() -> None:
    """It would refuse for ever what begins two cells from it."""
    config = PlannerConfig(stall_s=15.0)
    fleet = Fleet(SITE, config)
    fleet.hear([report("r1", 2.5, 0), report("r2", 2.5, 0)], 0)  # r2 says it is where r1 is: it gets the cell beside
    wrong = fleet.robots["r2"].cell
    assert wrong in (1, 3)
    onward = wrong + (wrong - 2)
    fleet.hear([report("r1", 7.5, 1), report("r2", 2.5, 1)], 1)  # r1 was carried away
    now_ns = to_ns(2.0)
    fleet.send_cells(fleet.graph.extend(["r2"], np.array([[wrong], [onward]]), NOBODY))
    for second in range(2, 15):
        now_ns = to_ns(float(second))
        fleet.hear([report("r1", 7.5, now_ns), report("r2", 2.5, now_ns)], now_ns)
        assert fleet.unstick(now_ns) == ([], [])
    now_ns = to_ns(20.0)
    fleet.hear([report("r1", 7.5, now_ns), report("r2", 2.5, now_ns)], now_ns)
    assert fleet.unstick(now_ns) == ([], ["r2"])
    assert fleet.robots["r2"].cell == 2 and fleet.graph.held("r2") == (2,)


def test_a_robot_that_waits_on_its_way_to_the_next_cell_is_not_enrolled_anew() -> None:
    fleet = Fleet(SITE, PlannerConfig(stall_s=15.0))
    fleet.hear([report("r1", 2.5, 0)], 0)
    fleet.send_cells(fleet.graph.extend(["r1"], np.array([[2], [3], [4]]), NOBODY))
    now_ns = to_ns(20.0)
    fleet.hear([report("r1", 3.1, now_ns)], now_ns)
    fleet.unstick(now_ns)
    assert fleet.robots["r1"].cell == 2 and [w.cell for w in fleet.robots["r1"].pending] == [2]  # it comes back


def test_a_robot_enrolled_on_its_way_first_finishes_the_leg_it_is_on() -> None:
    """Stopped a hand's breadth before the cell that it numbers 8, it will be there when it says 8, and nowhere else."""
    fleet = Fleet(SITE, PlannerConfig())
    fleet.hear([report("r1", 3.48, 0, 7, RobotMode.STOPPED), report("r2", 7.5, 0, 4)], 0)
    assert [(w.seq, w.cell, w.action) for w in fleet.robots["r1"].pending] == [(8, 3, "")]
    assert not fleet.robots["r2"].pending  # at rest there is no leg to finish
    fleet.send_cells(fleet.graph.extend(["r1"], np.array([[3], [4]]), NOBODY))
    fleet.hear([report("r1", 3.5, 1, 8, RobotMode.STOPPED), report("r2", 7.5, 1, 4)], 1)
    assert fleet.robots["r1"].cell == 3 and [w.seq for w in fleet.robots["r1"].pending] == [9]
