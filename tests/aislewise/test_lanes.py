"""Lanes and zones of a site map: what they mean, that they keep through JSON, and that bad ones are refused by name."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from aislewise.lanes import ANY_WAY, EAST, KEYS, Lanes, Layer, Zone, cells_of, layer_of
from aislewise.sitemap import SiteMap

ROOT = Path(__file__).parent.parent.parent
SITE = SiteMap("s", 0.5, -1.0, 2.0, np.zeros((3, 4), np.uint8), {})
SQUARE = ((0.0, 2.0), (1.0, 2.0), (1.0, 3.0), (0.0, 3.0))


def layer(rng: np.random.Generator, values: tuple[Any, ...]) -> Layer[Any]:
    return Layer(rng.integers(0, len(values) + 1, (3, 4)).astype(np.uint8), values)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_lanes_and_zones_come_back_from_json_as_they_were(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lanes = Lanes(
        rng.integers(0, 16, (3, 4)).astype(np.uint8), layer(rng, (0.7, 1.1)),
        layer(rng, (frozenset({"forklift"}), frozenset({"a", "b"}))), layer(rng, (1, 3)),
    )  # fmt: skip
    zones = (
        Zone("z", "slow", SQUARE, 0.4, 3600.0, 7200.5, True, "people"),
        Zone("k", "keep_out", SQUARE, to_s=9.5), Zone("all", "keep_out", SQUARE),
    )  # fmt: skip
    back = SiteMap.from_json(json.loads(json.dumps(replace(SITE, lanes=lanes, zones=zones).to_json())))
    assert back.zones == zones and back.lanes is not None
    assert back.lanes.leave is not None and (back.lanes.leave == lanes.leave).all()
    for name in ("speed_mps", "only", "width_cells"):
        mine, theirs = getattr(lanes, name), getattr(back.lanes, name)
        assert (mine.codes == theirs.codes).all() and mine.values == theirs.values


def test_a_site_without_lanes_says_nothing_of_them_in_json() -> None:
    text = (ROOT / "config" / "site.json").read_text()
    assert json.dumps(SiteMap.from_json(json.loads(text)).to_json(), indent=1) + "\n" == text
    assert SITE.lanes is None and SITE.zones == () and np.isinf(SITE.speed_limits()).all()


def test_the_least_limit_holds_where_lanes_and_slow_zones_meet() -> None:
    codes = np.zeros((3, 4), np.uint8)
    codes[:, 2:] = 1
    site = replace(
        SITE, lanes=Lanes(speed_mps=Layer(codes, (0.5,))),
        zones=(Zone("z", "slow", SQUARE, 0.8, 10.0, 20.0), Zone("shut", "keep_out", SQUARE, from_s=15.0)),
    )  # fmt: skip
    # The square covers columns 2 and 3 and rows 0 and 1.
    assert site.speed_limits(12.0)[0].tolist() == [math.inf, math.inf, 0.5, 0.5]
    slower = replace(site, zones=(Zone("z", "slow", SQUARE, 0.3),))
    assert slower.speed_limits(0.0).tolist() == [[math.inf, math.inf, 0.3, 0.3]] * 2 + [[math.inf, math.inf, 0.5, 0.5]]
    assert not site.kept_out(14.9).any()
    assert np.argwhere(site.kept_out(15.0)).tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(-4, 28), st.integers(-4, 28)), min_size=3, max_size=3, unique=True))
def test_a_triangle_covers_the_cells_whose_inside_it_meets(corners: list[tuple[int, int]]) -> None:
    """Against samples of a fine grid in each cell; corners on quarters of cells, samples not."""
    a, b, c = (np.array(p) / 4 for p in corners)
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if abs(area) < 0.2:
        return
    got = cells_of([tuple(a), tuple(b), tuple(c)], (6, 6))
    at = (np.arange(6 * 40) + 0.5) / 40
    x, y = np.meshgrid(at, at)
    signs = [((q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])) * np.sign(area) for p, q in ((a, b), (b, c), (c, a))]
    inside = (signs[0] > 0) & (signs[1] > 0) & (signs[2] > 0)
    met = inside.reshape(6, 40, 6, 40).any(axis=(1, 3))
    assert not (met & ~got).any()
    # A cell that only its tip or sliver meets may escape the samples, but never a cell that is apart from it.
    for row, col in np.argwhere(got & ~met):
        corner_signs = [
            max(((q[0] - p[0]) * (r - p[1]) - (q[1] - p[1]) * (k - p[0])) * np.sign(area) for r in (row, row + 1) for k in (col, col + 1))
            for p, q in ((a, b), (b, c), (c, a))
        ]
        assert min(corner_signs) > -1e-9


def test_a_zone_on_the_borders_of_cells_covers_no_cell_beside_it() -> None:
    assert np.argwhere(cells_of([(1, 1), (3, 1), (3, 2), (1, 2)], (4, 4))).tolist() == [[1, 1], [1, 2]]
    assert np.argwhere(cells_of([(1.1, 1.1), (1.2, 1.1), (1.2, 1.3)], (4, 4))).tolist() == [[1, 1]]  # within a cell


def test_daily_zones_hold_over_midnight_in_local_time_and_say_when_that_changes() -> None:
    night = Zone("n", "keep_out", SQUARE, from_s=22 * 3600.0, to_s=6 * 3600.0, daily=True)
    day, hour = 86_400.0, 3600.0
    assert [night.holds(3 * day + h * hour) for h in (21.9, 22, 23.9, 0, 5.9, 6)] == [False, True, True, True, True, False]
    assert night.holds(20 * hour, utc_offset_s=2 * hour) and not night.holds(4.5 * hour, utc_offset_s=2 * hour)
    assert night.next_change_s(day + 7 * hour) == day + 22 * hour
    assert night.next_change_s(day + 22 * hour) == 2 * day + 6 * hour
    once = Zone("o", "keep_out", SQUARE, from_s=10.0, to_s=20.0)
    assert [once.next_change_s(t) for t in (0, 10, 20)] == [10, 20, math.inf]
    assert Zone("a", "keep_out", SQUARE).next_change_s(0) == math.inf


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 24), st.integers(0, 24), st.integers(0, 48), st.integers(-12, 12))
def test_nothing_changes_before_the_next_change(begin: int, end: int, now: int, offset: int) -> None:
    if begin == end:
        return
    zone = Zone("z", "keep_out", SQUARE, from_s=begin * 3600.0, to_s=end * 3600.0, daily=True)
    change = zone.next_change_s(now * 3600.0, offset * 3600.0)
    times = np.arange(now * 3600.0, change, 600.0)
    assert len({zone.holds(float(t), offset * 3600.0) for t in times}) == 1


def test_a_layer_of_masks_is_none_when_nothing_is_said() -> None:
    assert layer_of({0.5: np.zeros((2, 2), bool)}, (2, 2)) is None
    with pytest.raises(InputError, match="different values"):
        layer_of({float(k): np.ones((2, 2), bool) for k in range(len(KEYS) + 1)}, (2, 2))


def good() -> dict[str, Any]:
    data = SITE.to_json()
    data["lanes"] = {
        "leave": ["ffff"] * 3, "speed_mps": {"key": {"a": 0.5}, "rows": ["..a."] * 3},
        "only": {"key": {"a": ["forklift"]}, "rows": ["...a"] * 3},
    }  # fmt: skip
    data["zones"] = [{"id": "z", "kind": "slow", "polygon": [list(c) for c in SQUARE], "speed_mps": 0.5}]
    return data


BAD = [
    ("lanes", [], "lanes"), ("lanes", {"leave": ["ffff"]}, "lanes.leave"), ("lanes", {"leave": ["fffg"] * 3}, r"lanes.leave\[0\]"),
    ("lanes", {"lave": []}, "lanes.lave"), ("lanes", {"speed_mps": {"key": {"a": -1}, "rows": ["...."] * 3}}, "lanes.speed_mps"),
    ("lanes", {"speed_mps": {"key": {"a": "x"}, "rows": ["...."] * 3}}, "lanes.speed_mps.key.a"),
    ("lanes", {"speed_mps": {"key": {"ab": 1}, "rows": ["...."] * 3}}, "lanes.speed_mps.key"),
    ("lanes", {"speed_mps": {"key": {"a": 1}, "rows": ["...b"] * 3}}, r"lanes.speed_mps.rows\[0\]"),
    ("lanes", {"only": {"key": {"a": []}, "rows": ["...."] * 3}}, "lanes.only"),
    ("lanes", {"only": {"key": {"a": "x"}, "rows": ["...."] * 3}}, "lanes.only.key.a"),
    ("lanes", {"width_cells": {"key": {"a": 1.5}, "rows": ["...."] * 3}}, "lanes.width_cells.key.a"),
    ("lanes", {"width_cells": {"key": {"a": 0}, "rows": ["...."] * 3}}, "lanes.width_cells"),
]  # fmt: skip
BAD_ZONES = [
    ("id", "", "zones.id"), ("kind", "fast", "zones.z.kind"), ("polygon", [[0, 0], [1, 1]], "zones.z.polygon"),
    ("polygon", [[0, 0], [1]], r"zones\[0\]"), ("polygon", [[0, 0], [1, 1], [1e9, 0]], "zones.z.polygon"),
    ("speed_mps", 0, "zones.z.speed_mps"), ("from_s", -1, "zones.z.from_s"), ("daily", True, "zones.z.daily"),
    ("daily", "yes", r"zones\[0\].daily"), ("until", 3, r"zones\[0\].until"), ("reason", "x" * 201, "zones.z.reason"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "field"), BAD)
def test_bad_lanes_are_refused_by_name(key: str, value: Any, field: str) -> None:
    SiteMap.from_json(good())
    with pytest.raises(InputError, match=f"^{field}"):
        SiteMap.from_json({**good(), key: value})


@pytest.mark.parametrize(("key", "value", "field"), BAD_ZONES)
def test_bad_zones_are_refused_by_name(key: str, value: Any, field: str) -> None:
    with pytest.raises(InputError, match=f"^{field}"):
        SiteMap.from_json({**good(), "zones": [{**good()["zones"][0], key: value}]})


def test_zones_that_end_before_they_begin_or_share_an_id_are_refused() -> None:
    with pytest.raises(InputError, match=r"zones.z.to_s"):
        Zone("z", "keep_out", SQUARE, from_s=5.0, to_s=5.0)
    with pytest.raises(InputError, match=r"zones.z.to_s"):
        Zone("z", "keep_out", SQUARE, from_s=6.0, to_s=5.0)
    with pytest.raises(InputError, match="same id"):
        replace(SITE, zones=(Zone("z", "keep_out", SQUARE), Zone("z", "keep_out", SQUARE)))


def test_arrays_of_another_shape_are_refused() -> None:
    for lanes in (
        Lanes(np.full((2, 2), ANY_WAY, np.uint8)), Lanes(np.full((3, 4), EAST, np.int64)),
        Lanes(speed_mps=Layer(np.ones((2, 2), np.uint8), (1.0,))), Lanes(speed_mps=Layer(np.full((3, 4), 2, np.uint8), (1.0,))),
    ):  # fmt: skip
        with pytest.raises(InputError, match="lanes"):
            replace(SITE, lanes=lanes)
