"""The spine: geometry, site map, layout of the repository."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aislewise.errors import InputError, UnknownPlaceError, UnreachableError
from aislewise.geometry import compose, inverse, rectangle, rectangles_overlap, transform_xy, wrap_angle
from aislewise.sitemap import Place, SiteMap
from aislewise.types import OrderState, Pose2D

ROOT = Path(__file__).resolve().parents[2]
metres = st.floats(-100, 100)
poses = st.builds(Pose2D, metres, metres, st.floats(-math.pi, math.pi))


@given(poses)
def test_a_pose_and_its_inverse_compose_to_identity(pose: Pose2D) -> None:
    unit = compose(pose, inverse(pose))
    assert abs(unit.x_m) < 1e-9 and abs(unit.y_m) < 1e-9 and abs(wrap_angle(unit.yaw_rad)) < 1e-9


@given(poses, poses, metres, metres)
def test_composed_poses_transform_points_in_two_steps(a: Pose2D, b: Pose2D, x: float, y: float) -> None:
    point = np.array([x, y])
    assert np.allclose(transform_xy(compose(a, b), point), transform_xy(a, transform_xy(b, point)), atol=1e-6)


@given(st.floats(-1e3, 1e3))
def test_wrapped_angles_lie_in_one_turn_and_point_the_same_way(angle: float) -> None:
    wrapped = wrap_angle(angle)
    assert -math.pi < wrapped <= math.pi + 1e-12
    assert math.isclose(math.cos(wrapped), math.cos(angle), abs_tol=1e-6)


@given(poses, st.floats(0.2, 5), st.floats(0.2, 5))
def test_rectangles_overlap_themselves_and_not_a_far_copy(pose: Pose2D, length: float, width: float) -> None:
    here = rectangle(pose, length, width)
    assert rectangles_overlap(here, here)
    assert not rectangles_overlap(here, here + 20.0)


def site() -> SiteMap:
    cells = np.zeros((4, 5), np.uint8)
    cells[1, 1:4] = 1
    places = {
        "station_1": Place("station_1", "station", 0, 0.5, 0.5),
        "f1": Place("f1", "pick_face", 2 * 5 + 2, 2.5, 1.5, -1.57),
    }
    return SiteMap("test", 1.0, -2.0, 3.0, cells, places, {"sku": "f1"})


def test_a_site_map_survives_json() -> None:
    there = SiteMap.from_json(json.loads(json.dumps(site().to_json())))
    assert np.array_equal(there.cells, site().cells)
    assert there.places == site().places and there.skus == site().skus


@given(st.integers(0, 19))
def test_the_centre_of_a_cell_lies_in_that_cell(cell: int) -> None:
    assert site().cell_at(*site().centre(cell)) == cell


def test_points_outside_the_map_have_no_cell() -> None:
    assert site().cell_at(-2.1, 3.5) == -1 and site().cell_at(0.0, 7.1) == -1


def test_an_unknown_place_names_the_field_and_what_is_known() -> None:
    with pytest.raises(UnknownPlaceError, match=r"deliver_to.*station_9.*station_1"):
        site().place("station_9", "deliver_to", "station")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cells": ["..", "."]}, "site.cells"),
        ({"cells": ["x."]}, "site.cells"),
        ({"resolution_m": 0.0}, "resolution_m"),
        ({"places": [{"id": "a"}]}, "site"),
        ({"places": [{"id": "a", "kind": "moon", "cell": 0, "x_m": 0, "y_m": 0}]}, "places.a.kind"),
        ({"places": [{"id": "a", "kind": "station", "cell": 99, "x_m": 0, "y_m": 0}]}, "places.a.cell"),
        ({"places": [{"id": "a", "kind": "station", "cell": 6, "x_m": 0, "y_m": 0}]}, "places.a.cell"),
    ],
)
def test_a_bad_site_map_names_the_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(InputError) as caught:
        SiteMap.from_json(site().to_json() | {"skus": {}} | change)
    assert caught.value.field == field


def test_reachability_stops_at_closed_cells() -> None:
    cells = np.zeros((3, 3), np.uint8)
    cells[:, 1] = 1
    split = SiteMap("split", 1.0, 0.0, 0.0, cells, {})
    assert split.reachable_from(0).sum() == 3


def test_final_states_are_the_four_last_ones() -> None:
    assert {s for s in OrderState if s.final} == {
        OrderState.DONE, OrderState.CANCELLED, OrderState.FAILED, OrderState.UNROUTABLE,
    }  # fmt: skip


def test_launch_is_no_python_package_or_it_would_shadow_ros() -> None:
    assert not (ROOT / "launch" / "__init__.py").exists()
    assert list((ROOT / "launch").glob("*.launch.yaml"))


def test_every_room_of_the_setup_exists() -> None:
    text = (ROOT / "setup.py").read_text()
    for room in ("aislewise", "pocketros", "perception", "fusion", "planning", "sim", "cli"):
        assert f'"{room}"' in text and (ROOT / room / "__init__.py").exists()


@pytest.mark.parametrize("kind", [InputError, UnreachableError])
def test_an_error_gets_from_one_process_to_another_whole(kind: type[InputError]) -> None:
    error = pickle.loads(pickle.dumps(kind("lines[0].sku", "no way", 7)))
    assert type(error) is kind and (error.field, error.message, error.limit) == ("lines[0].sku", "no way", 7)
    assert str(error) == "lines[0].sku: no way (limit: 7)"
