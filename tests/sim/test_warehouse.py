"""The generated site must be usable by robots and agree with what the sensors see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from sim.layouts import LAYOUTS, NOT_USED
from sim.mesh import Material
from sim.scenario import load_scenario, scenario_from
from sim.setup import event_spots, place_forklift, place_items, place_robots, walkable
from sim.warehouse import MAX_PALLETS, Warehouse, WarehouseConfig, generate

NEW = tuple(name for name in LAYOUTS if name != "rack_aisle")
RACKS = st.builds(
    WarehouseConfig,
    width=st.integers(18, 60), height=st.integers(24, 80), blocks=st.integers(1, 3),
    aisles=st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple),
    stations=st.integers(1, 8), chargers=st.integers(1, 8), parking=st.integers(0, 8), bays=st.integers(0, 6),
)  # fmt: skip


@st.composite
def _other_layouts(draw: st.DrawFn) -> WarehouseConfig:
    layout = draw(st.sampled_from(NEW))
    more = {} if "cross" in NOT_USED[layout] else {"cross": draw(st.integers(1, 4))}
    return WarehouseConfig(
        layout=layout, width=draw(st.integers(20, 80)), height=draw(st.integers(20, 80)), stations=draw(st.integers(1, 8)),
        chargers=draw(st.integers(1, 8)), parking=draw(st.integers(0, 8)), face_step=draw(st.integers(1, 6)), **more,
    )  # fmt: skip


CONFIGS = st.one_of(RACKS, _other_layouts())


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


@settings(max_examples=40, deadline=None)
@given(CONFIGS, st.integers(0, 1000))
def test_free_cells_are_connected_and_no_cell_is_a_trap(config: WarehouseConfig, seed: int) -> None:
    site = generate(config, np.random.default_rng(seed)).site
    start = int(np.flatnonzero(site.free.ravel())[0])
    assert (site.reachable_from(start) == site.free).all()
    assert not _cut_cells(site.free)


@settings(max_examples=40, deadline=None)
@given(CONFIGS, st.integers(0, 1000))
def test_every_place_stands_at_an_open_cell_of_its_own_kind(config: WarehouseConfig, seed: int) -> None:
    site = generate(config, np.random.default_rng(seed)).site
    assert {p.kind for p in site.places.values()} >= {"station", "charger"}
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


@settings(max_examples=25, deadline=None)
@given(CONFIGS, st.integers(0, 1000))
def test_nothing_solid_reaches_into_an_open_cell(config: WarehouseConfig, seed: int) -> None:
    """What robots are judged against, and every triangle that is low enough to be driven into."""
    hall = generate(config, np.random.default_rng(seed))
    free, pallets = hall.site.free, [(x - 0.4, y - 0.6, x + 0.4, y + 0.6) for x, y in hall.bays]
    for x0, y0, x1, y1 in [*hall.obstacles, *pallets]:
        columns = slice(int(np.floor(x0 + 0.05)), int(np.ceil(x1 - 0.05)))
        rows = slice(int(np.floor(y0 + 0.05)), int(np.ceil(y1 - 0.05)))
        assert not free[rows, columns].any()
    corners = hall.mesh.vertices[hall.mesh.triangles]
    low = (corners[:, :, 2].max(axis=1) > 0.01) & (corners[:, :, 2].min(axis=1) < 0.6)
    middle = corners[low & (hall.mesh.material != Material.CONCRETE)].mean(axis=1)
    col, row = (np.clip(middle[:, k].astype(int), 0, n - 1) for k, n in ((0, config.width), (1, config.height)))
    assert not free[row, col].any()


@settings(max_examples=15, deadline=None)
@given(CONFIGS, st.integers(0, 1000))
def test_the_same_seed_gives_the_same_hall_and_another_gives_other_goods_only(config: WarehouseConfig, seed: int) -> None:
    one, same, other = (generate(config, np.random.default_rng(s)) for s in (seed, seed, seed + 1))
    assert one.site.to_json() == same.site.to_json() == other.site.to_json()
    assert one.bays == same.bays and (one.mesh.vertices == same.mesh.vertices).all()
    if config.layout != "cross_dock":  # there the goods are pallets, which are no part of the hall
        assert one.mesh.size != other.mesh.size or (one.mesh.colour != other.mesh.colour).any()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(20, 30), (30, 20), (150, 100)])
def test_each_layout_gives_a_site_that_a_shift_can_be_run_on(layout: str, size: tuple[int, int]) -> None:
    blocks = {"blocks": 2} if layout == "rack_aisle" else {}
    hall = generate(WarehouseConfig(layout=layout, width=size[0], height=size[1], **blocks), np.random.default_rng(0))
    site = hall.site
    assert (site.width, site.height) == size
    assert len(site.of_kind("pick_face")) >= (8 if max(size) < 100 else 100)
    assert len(site.of_kind("station")) >= 4 and len(site.of_kind("charger")) >= 6
    assert not _cut_cells(site.free)
    assert len(hall.bays) <= MAX_PALLETS and (layout not in ("cross_dock", "mixed") or len(hall.bays) >= 2)
    assert hall.mesh.size < 1_500_000


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_has_a_small_packaged_scenario(layout: str) -> None:
    scenario = load_scenario(f"layout_{layout}")
    assert scenario.warehouse.layout == layout and scenario.name == f"layout_{layout}"
    generate(scenario.warehouse, np.random.default_rng(scenario.seed))


def _hall(layout: str, width: int, height: int) -> Warehouse:
    return generate(WarehouseConfig(layout=layout, width=width, height=height), np.random.default_rng(0))


def test_pods_are_two_by_five_with_one_wide_lanes_both_ways() -> None:
    hall = _hall("fulfilment", 40, 40)
    assert {(c1 - c0, r1 - r0) for c0, c1, r0, r1 in hall.pods} == {(2, 5)} and not hall.racks
    assert {a.width for a in hall.aisles} == {1} and {a.across for a in hall.aisles} == {True, False}


@pytest.mark.parametrize(("size", "wall"), [((60, 30), "y"), ((30, 60), "x")])
def test_dock_doors_are_on_the_two_long_walls(size: tuple[int, int], wall: str) -> None:
    hall = _hall("cross_dock", *size)
    short = min(size)
    at = {round(getattr(p, f"{wall}_m"), 3) for p in hall.site.of_kind("station")}
    assert at == {0.6, short - 0.6} and not hall.racks and not hall.pods and len(hall.bays) > 20


def test_narrow_aisles_are_one_wide_and_cut_in_the_middle() -> None:
    hall = _hall("narrow_aisle", 40, 60)
    assert {a.width for a in hall.aisles} == {1}
    assert hall.site.free[29:31, 1:-1].all() and hall.site.free[2:4, 1:-1].all() and hall.site.free[-4:-2, 1:-1].all()


def test_a_mixed_hall_has_racks_pods_and_pallets() -> None:
    hall = _hall("mixed", 40, 40)
    assert hall.racks and hall.pods and hall.bays


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(24, 40), (40, 24)])
def test_robots_people_pallets_a_forklift_and_events_find_room(layout: str, size: tuple[int, int]) -> None:
    blocks = {"blocks": 2} if layout == "rack_aisle" else {}
    kind = "wet_floor" if layout == "cross_dock" else "blocked_aisle"
    scenario = scenario_from({
        "robots": 8, "events": [{"kind": kind, "at_s": 1.0}],
        "warehouse": {"layout": layout, "width": size[0], "height": size[1], **blocks},
    })  # fmt: skip
    hall = generate(scenario.warehouse, np.random.default_rng(0))
    free = hall.site.free
    robots = [(r.pose.x_m, r.pose.y_m) for r in place_robots(scenario, hall).values()]
    assert len(set(robots)) == 8 and all(free.flat[hall.site.cell_at(x, y)] for x, y in robots)
    assert len(place_items(scenario, hall)) == len(hall.bays)
    assert (walkable(hall) & free).sum() > 50
    spots = event_spots(scenario.events[0], scenario, hall, 0)
    assert spots and all(free.flat[hall.site.cell_at(x, y)] for x, y in spots)
    forklift = place_forklift(scenario, hall)
    assert forklift is not None
    corners = forklift.circuit
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        for t in np.linspace(0, 1, 200):
            x, y = x0 + t * (x1 - x0), y0 + t * (y1 - y0)
            assert free.flat[hall.site.cell_at(float(x), float(y))]


@pytest.mark.parametrize(
    "change", [{"width": 5}, {"blocks": 30}, {"aisles": ()}, {"aisles": (5,)}, {"fill": 2.0}, {"stations": 0},
     {"layout": "maze"}, {"width": 19, "layout": "mixed"}, {"aisles": (1,), "layout": "fulfilment"},
     {"bays": 2, "layout": "cross_dock"}, {"blocks": 3, "layout": "narrow_aisle"}]
)
def test_an_impossible_layout_names_its_field(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        WarehouseConfig(**change)  # type: ignore[arg-type]
