"""Directions of lanes from the map alone, and prices learnt from traffic."""

from __future__ import annotations

import numpy as np

from planning.guidance import AGAINST, Flow, lane_prices, lane_signs
from planning.lifelong_tables import UNIT, Roads


def aisles(rows: int = 34, racks: int = 8) -> np.ndarray:
    """One-wide aisles, three-wide racks, cross aisles at both ends and every tenth row."""
    free = np.zeros((rows, 4 * racks + 1), bool)
    free[:, ::4] = True
    free[::11] = True
    return free


def test_neighbouring_aisles_have_opposite_directions_all_along() -> None:
    free = aisles()
    columns = lane_signs(np.ascontiguousarray(free.T), 24).T[:, ::4]
    assert (columns == columns[0]).all() and (np.abs(columns[0]) == 1).all()
    assert (columns[0, 1:] == -columns[0, :-1]).all()
    rows = lane_signs(free, 24)[::11]
    assert (rows == rows[:, :1]).all() and (rows[1:, 0] == -rows[:-1, 0]).all()


def test_only_the_way_against_a_lane_is_dearer_and_short_lanes_have_no_direction() -> None:
    free = aisles()
    roads = Roads(free)
    price = lane_prices(free)
    aisle = roads.number[5 * free.shape[1] + 4]
    assert sorted(price[aisle, [1, 3]].tolist()) == [UNIT, UNIT + AGAINST]
    assert (price[aisle, [0, 2]] == UNIT).all()
    assert (lane_prices(np.ones((10, 10), bool)) == UNIT).all()


def test_traffic_makes_the_way_against_it_and_into_queues_dearer_and_is_forgotten() -> None:
    roads = Roads(np.ones((1, 6), bool))
    flow = Flow(roads, memory=10)
    for _ in range(30):
        for cell in range(5):
            flow.observe([cell], [cell + 1])
    price = flow.prices(against=8, standing=0)
    assert (price[:5, 0] == UNIT).all() and (price[1:, 2] > UNIT).all()
    for _ in range(200):
        flow.observe([3], [3])
    assert (flow.prices(against=8, standing=0) == UNIT).all()
    later = flow.prices(against=8, standing=4)
    assert later[2, 0] > UNIT and later[4, 2] > UNIT and later[0, 0] == UNIT
