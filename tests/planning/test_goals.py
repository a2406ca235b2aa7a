"""Where robots wait for a place that is taken."""

from __future__ import annotations

import numpy as np

from aislewise.sitemap import Place, SiteMap
from planning.distance import DistanceTables
from planning.goals import Goals, Mover

WIDTH = 20
SITE = SiteMap(
    "hall", 1.0, 0.0, 0.0, np.zeros((4, WIDTH), np.uint8), {"station": Place("station", "station", 19, 19.5, 0.5)}
)


def test_a_robot_queues_near_the_place_it_waits_for_and_leaves_room_there() -> None:
    tables = DistanceTables(SITE.free)
    goals = Goals(SITE, tables, queue_gap=4)
    acting = Mover("a", 19, 19, stays=True)
    coming = Mover("b", 2 * WIDTH, 19, stays=False)
    nobody_shut = np.zeros(SITE.cells.size, bool)
    spot = goals([acting, coming], nobody_shut, frozenset())["b"].cell
    away, here = int(tables.to(19)[spot]), int(tables.to(2 * WIDTH)[spot])
    assert away == 4  # as near as leaves room
    assert here + away == int(tables.to(19)[2 * WIDTH])  # and no detour
