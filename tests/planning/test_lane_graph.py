"""What lanes cost and who may be where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from aislewise.lanes import Lanes, Layer
from aislewise.sitemap import SiteMap
from planning.distance import MAX_COST, DistanceTables, neighbours
from planning.lane_graph import crossing_costs, leave_of, neighbours_of, open_to, sources_of
from planning.mapfiles import site_of


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_without_lanes_the_tables_are_those_of_the_grid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    free = rng.random((int(rng.integers(1, 8)), int(rng.integers(1, 8)))) > 0.3
    assert (neighbours_of(free) == neighbours(free)).all() and (sources_of(free) == neighbours(free)).all()
    assert leave_of(replace(site_of(free, 1.0), lanes=Lanes(np.full(free.shape, 15, np.uint8)))) is None


def test_a_cell_driven_at_half_the_speed_costs_twice_as_much() -> None:
    limits = np.array([[np.inf, 2.0, 1.0, 0.5, 0.7, 1e-3]])
    assert crossing_costs(limits, 1.0).tolist() == [1, 1, 1, 2, 1, MAX_COST]
    assert crossing_costs(limits, 1.0, unit=4).tolist() == [4, 4, 4, 8, 6, MAX_COST]
    tables = DistanceTables(np.ones((1, 6), bool), crossing_costs(limits, 1.0))
    assert tables.to(4)[2] == 3  # it takes them as they are
    for bad in (0.0, np.inf, np.nan):
        with pytest.raises(InputError, match="speed_mps"):
            crossing_costs(limits, bad)
    with pytest.raises(InputError, match="limits"):
        crossing_costs(np.zeros((1, 1)), 1.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.booleans())
def test_a_wide_robot_is_where_all_that_it_covers_is_open_to_it(seed: int, side: int, skilled: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = (6, 7)
    lanes = Lanes(
        only=Layer((rng.random(shape) < 0.1).astype(np.uint8), (frozenset({"fork", "tug"}),)),
        width_cells=Layer((rng.random(shape) < 0.1).astype(np.uint8), (2,)),
    )  # fmt: skip
    site = SiteMap("s", 1.0, 0.0, 0.0, (rng.random(shape) < 0.1).astype(np.uint8), {}, {}, lanes)
    got = open_to(site, ["tug"] if skilled else [], side)
    assert lanes.only is not None and lanes.width_cells is not None
    for row, col in np.ndindex(shape):
        low_r, low_c = row - (side - 1) // 2, col - (side - 1) // 2
        square = [(r, c) for r in range(low_r, low_r + side) for c in range(low_c, low_c + side)]
        fits = all(0 <= r < 6 and 0 <= c < 7 for r, c in square) and all(
            site.free[r, c] and (skilled or not lanes.only.codes[r, c]) and (side <= 2 or not lanes.width_cells.codes[r, c])
            for r, c in square
        )
        assert got[row, col] == fits
    assert (open_to(site, None, side) == open_to(site, ["fork"], side)).all()


def test_a_robot_wider_than_the_site_is_refused() -> None:
    with pytest.raises(InputError, match="width_cells"):
        open_to(site_of(np.ones((3, 9), bool), 1.0), width_cells=4)
