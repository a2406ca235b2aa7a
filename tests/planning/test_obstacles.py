"""From the seen world to blocked cells."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.geometry import rectangle
from aislewise.sitemap import CLOSED, SiteMap
from aislewise.types import GridMap, KeepOut, ObjectClass, Pose2D, RobotInfo, RobotMode, WorldState
from planning.config import PlannerConfig
from planning.obstacles import Obstacles, cells_in_polygon

S = 10**9
SITE = SiteMap("open floor", 1.0, -3.0, 2.0, np.zeros((8, 10), np.uint8), {})


def world(stamp_ns: int = 0, **fields: Any) -> WorldState:
    return WorldState(1, stamp_ns, **{"objects": (), "robots": (), **fields})


def cells(mask: Any) -> set[int]:
    return {int(c) for c in np.flatnonzero(mask)}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.floats(-4, 8), st.floats(1, 11), st.floats(-3.2, 3.2), st.floats(0.3, 4), st.floats(0.3, 4))
def test_a_polygon_blocks_the_cells_whose_middle_it_covers_and_none_it_does_not_touch(
    x: float, y: float, yaw: float, length: float, width: float
) -> None:
    hit = set(cells_in_polygon(SITE, rectangle(Pose2D(x, y, yaw), length, width)).tolist())
    c, s = np.cos(yaw), np.sin(yaw)
    for cell, centre in enumerate(SITE.centres()):
        u, v = centre - (x, y)
        along, across = abs(c * u + s * v), abs(c * v - s * u)
        if along < length / 2 and across < width / 2:
            assert cell in hit
        if along > length / 2 + 0.75 or across > width / 2 + 0.75:
            assert cell not in hit


def test_a_thin_line_blocks_the_cells_it_crosses() -> None:
    line = np.array([[-3.0, 4.5], [7.0, 4.5], [7.0, 4.51], [-3.0, 4.51]])
    assert cells_in_polygon(SITE, line).tolist() == [*range(20, 30)]


def test_degenerate_polygons_block_nothing() -> None:
    assert len(cells_in_polygon(SITE, np.zeros((2, 2)))) == 0
    assert len(cells_in_polygon(SITE, np.full((4, 2), np.nan))) == 0


def test_robots_wet_floor_and_doubtful_or_forgotten_objects_block_nothing(make: Any) -> None:
    spot = SITE.centre(34)
    pallet = make.seen("x", ObjectClass.PALLET, spot)
    ignored = [
        make.seen("r", ObjectClass.ROBOT, spot), make.seen("w", ObjectClass.WET_FLOOR, spot),
        dataclasses.replace(pallet, existence=0.2), dataclasses.replace(pallet, last_seen_ns=-(10**12)),
    ]  # fmt: skip
    for seen in ignored:
        assert not Obstacles(SITE, PlannerConfig()).update(world(objects=(seen,)), 0).any.any()
    blocked = Obstacles(SITE, PlannerConfig()).update(world(objects=(pallet,)), 0)
    assert cells(blocked.standing) == {34} and blocked.why[34] == "pallet x"


def test_a_walker_blocks_where_it_will_be_and_counts_as_standing_once_it_lingers(make: Any) -> None:
    obstacles = Obstacles(SITE, PlannerConfig(linger_s=3.0))
    walker = make.seen("p", ObjectClass.PERSON, SITE.centre(30), (1.0, 0.0))
    blocked = obstacles.update(world(objects=(walker,)), 0)
    assert {30, 31, 32} <= cells(blocked.passing) and not blocked.standing.any()
    assert 34 not in cells(blocked.passing)
    blocked = obstacles.update(world(objects=(walker,)), 3 * S)
    assert {30, 31, 32} <= cells(blocked.standing)
    assert not obstacles.update(world(), 4 * S).any.any()


def grid(cell: int, fine: int = 5) -> GridMap:
    data = np.zeros((8 * fine, 10 * fine), np.int8)
    row, col = divmod(cell, 10)
    data[row * fine : (row + 1) * fine, col * fine : (col + 1) * fine] = 100
    return GridMap(data, 1.0 / fine, -3.0, 2.0)


def test_an_occupied_cell_blocks_only_when_it_stays_occupied() -> None:
    obstacles = Obstacles(SITE, PlannerConfig(persist_s=1.0))
    assert not obstacles.update(world(occupancy=grid(44)), 0).any.any()
    assert cells(obstacles.update(world(occupancy=grid(44)), S).standing) == {44}
    assert not obstacles.update(world(occupancy=grid(45)), 2 * S).any.any()


def test_a_robot_is_not_in_its_own_way() -> None:
    obstacles = Obstacles(SITE, PlannerConfig(persist_s=0.0))
    x, y = SITE.centre(44)
    robot = RobotInfo("r", Pose2D(x, y), 1.0, (), RobotMode.IDLE, 0, 0)
    assert not obstacles.update(world(occupancy=grid(44), robots=(robot,)), 0).any.any()


def test_dirt_at_a_cells_edge_does_not_block_it() -> None:
    fine = np.zeros((160, 200), np.int8)
    fine[80, 80:84] = 100  # a quarter cell long, 5 cm thick, on the border between two rows
    obstacles = Obstacles(SITE, PlannerConfig(persist_s=0.0))
    assert not obstacles.update(world(occupancy=GridMap(fine, 0.05, -3.0, 2.0)), 0).any.any()


def test_a_keep_out_ends_when_it_says() -> None:
    square = np.array([[0.0, 4.0], [1.0, 4.0], [1.0, 5.0], [0.0, 5.0]])
    keep_out = KeepOut("k", square, "spill", until_ns=5 * S)
    obstacles = Obstacles(SITE, PlannerConfig())
    blocked = obstacles.update(world(keep_outs=(keep_out,)), 0)
    assert cells(blocked.standing) == cells(blocked.forbidden) == {23}
    assert not obstacles.update(world(keep_outs=(keep_out,)), 5 * S).any.any()


def test_what_seems_to_jut_out_of_a_rack_blocks_only_when_it_lasts_and_what_stands_on_the_floor_at_once(
    make: Any,
) -> None:
    closed = np.zeros((8, 10), np.uint8)
    closed[0] = CLOSED
    site = SiteMap("a rack along the wall", 1.0, 0.0, 0.0, closed, {})
    swollen = dataclasses.replace(
        make.seen("tote", ObjectClass.TOTE, (4.5, 0.73)), size=np.array([1.0, 1.0, 0.3]), yaw_rad=0.0
    )
    on_the_floor = dataclasses.replace(swollen, position=np.array([4.5, 1.5, 0.2]))
    for seen, blocked_at_once in ((swollen, False), (on_the_floor, True)):
        obstacles = Obstacles(site, PlannerConfig(linger_s=6.0))
        fresh = [dataclasses.replace(seen, last_seen_ns=t * S) for t in (0, 5, 7)]
        shut = [
            14 in cells(obstacles.update(world(t * S, objects=(o,)), t * S).standing)
            for o, t in zip(fresh, (0, 5, 7), strict=True)
        ]
        assert shut == [blocked_at_once, blocked_at_once, True]
