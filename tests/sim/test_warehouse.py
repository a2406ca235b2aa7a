"""The generated site must be usable by robots and agree with what the sensors see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from sim.warehouse import WarehouseConfig, generate

CONFIGS = st.builds(
    WarehouseConfig,
    width=st.integers(18, 60), height=st.integers(24, 80), blocks=st.integers(1, 3),
    aisles=st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple),
    stations=st.integers(1, 8), chargers=st.integers(1, 8), parking=st.integers(0, 8), bays=st.integers(0, 6),
)  # fmt: skip


def _cut_cells(free: np.ndarray) -> set[int]:
    """Articulation points of the free cells (Tarjan, iterative)."""
    width = free.shape[1]
    cells = {int(c) for c in np.flatnonzero(free.ravel())}

    def around(c: int) -> list[int]:
        steps = [c - width, c + width] + ([c - 1] if c % width else []) + ([c + 1] if (c + 1) % width else [])
        return [n for n in steps if n in cells]

    root = min(cells)
    order, low, cuts, children = {root: 0}, {root: 0}, set(), 0
    stack = [(root, -1, iter(around(root)))]
    while stack:
        cell, parent, rest = stack[-1]
        for n in rest:
            if n == parent:
                continue
            if n in order:
                low[cell] = min(low[cell], order[n])
                continue
            order[n] = low[n] = len(order)
            stack.append((n, cell, iter(around(n))))
            break
        else:
            stack.pop()
            if stack:
                above = stack[-1][0]
                low[above] = min(low[above], low[cell])
                if above == root:
                    children += 1
                elif low[cell] >= order[above]:
                    cuts.add(above)
    return cuts | ({root} if children > 1 else set())


@settings(max_examples=25, deadline=None)
@given(CONFIGS, st.integers(0, 1000))
def test_free_cells_are_connected_and_no_cell_is_a_trap(config: WarehouseConfig, seed: int) -> None:
    site = generate(config, np.random.default_rng(seed)).site
    start = int(np.flatnonzero(site.free.ravel())[0])
    assert (site.reachable_from(start) == site.free).all()
    assert not _cut_cells(site.free)


@settings(max_examples=25, deadline=None)
@given(CONFIGS, st.integers(0, 1000))
def test_every_place_stands_at_an_open_cell_of_its_own_kind(config: WarehouseConfig, seed: int) -> None:
    site = generate(config, np.random.default_rng(seed)).site
    docks = [p for p in site.places.values() if p.kind != "pick_face"]
    assert len({p.cell for p in docks}) == len(docks)
    for place in site.places.values():
        x, y = site.centre(place.cell)
        assert np.hypot(place.x_m - x, place.y_m - y) <= 1.01
        assert site.cell_at(place.x_m, place.y_m) != place.cell


def test_the_demo_site_has_what_a_shift_needs() -> None:
    hall = generate(WarehouseConfig(), np.random.default_rng(0))
    site = hall.site
    assert (site.width, site.height, site.resolution_m) == (40, 60, 1.0)
    assert len(site.of_kind("station")) >= 4
    assert len(site.of_kind("charger")) >= 6
    assert len(site.of_kind("pick_face")) >= 60
    assert len(site.skus) == len(site.of_kind("pick_face"))
    assert {a.width for a in hall.aisles} == {1, 2}
    assert "F03-07-L" in site.places


def test_no_rack_reaches_into_an_open_cell() -> None:
    hall = generate(WarehouseConfig(), np.random.default_rng(0))
    centres = hall.site.centres()[hall.site.free.ravel()]
    for x0, y0, x1, y1 in hall.obstacles:
        inside = (centres[:, 0] + 0.44 > x0) & (centres[:, 0] - 0.44 < x1)
        inside &= (centres[:, 1] + 0.44 > y0) & (centres[:, 1] - 0.44 < y1)
        assert not inside.any()


@pytest.mark.parametrize(
    "change", [{"width": 5}, {"blocks": 30}, {"aisles": ()}, {"aisles": (5,)}, {"fill": 2.0}, {"stations": 0}]
)
def test_an_impossible_layout_names_its_field(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        WarehouseConfig(**change)  # type: ignore[arg-type]
