"""What a shift's timeline is made of, and the pictures of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.sitemap import SiteMap
from aislewise.types import RobotMode
from sim.range_plots import by_range, pooled
from sim.robot_config import RobotConfig
from sim.sweep_report import write_sweep_report
from sim.timeline_plots import faults_of, timeline
from sim.tracks import load_tracks, save_tracks
from sim.watch import DOING, Trail, Travel, Watch

SITE = SiteMap("s", 1.0, 0.0, 0.0, np.zeros((10, 10), np.uint8), {})
FAULTS = [
    {"kind": "camera dropout", "at_s": 1.0, "until_s": 3.0, "robots": ["r1"], "text": "at 1s fault camera dropout robot=1 for 2s"},
    {"kind": "spill", "at_s": 0.5, "until_s": None, "robots": [], "text": "at 0.5s fault spill"},
]


def watched(steps: int = 8) -> Watch:
    watch = Watch(SITE, ["r1", "r2"], 0.5)
    for k in range(steps):
        mode = RobotMode.MOVING if k % 2 else RobotMode.IDLE
        places = {"r1": (1.5, 1.5), "r2": (5.5, 5.5)}
        watch.sample(0.5 * k, {"r1": mode, "r2": RobotMode.ACTING}, places, {"r1"}, [99, 33], [(3.5, 3.0, 0.5)])
    return watch


def test_a_robot_with_work_that_neither_drives_nor_handles_goods_waits() -> None:
    watch = watched()
    series = watch.series()
    assert series["waiting"].tolist() == [1, 0] * 4 and series["moving"].tolist() == [0, 1] * 4
    assert series["working"].tolist() == [1] * 8 and not series["idle"].any()
    assert watch.waited_s == 2.0 == watch.waits[1, 1] == watch.waits.sum()


def test_travel_tells_empty_from_laden_ways_and_counts_what_batteries_lose_not_gain() -> None:
    robot = SimpleNamespace(id="r1", distance_m=5.0, battery=0.5, load=[], config=RobotConfig(battery_s=7200.0))
    travel = Travel()
    travel.sample([robot])
    assert travel.driven_m == 0.0 == travel.empty_share  # what was before nobody saw
    for distance_m, battery, load in ((7.0, 0.4, ["a"]), (13.0, 0.35, ["a"]), (15.0, 0.9, []), (17.0, 0.85, [])):
        robot.distance_m, robot.battery, robot.load = distance_m, battery, load
        travel.sample([robot])
    assert (travel.driven_m, travel.empty_m) == (12.0, 4.0)
    assert travel.energy_h == pytest.approx(0.2 * 2.0)


def test_a_blocked_cell_with_nothing_about_is_blocked_for_no_reason() -> None:
    watch = watched()  # cell 33 is at (3.5, 3.5), beside the thing; 99 in an empty corner
    assert watch.series()["blocked"].tolist() == [2] * 8 and watch.series()["false_blocked"].tolist() == [1] * 8
    assert watch.false_blocked_s == 4.0
    alone = Watch(SITE, [], 0.5)
    alone.sample(0.0, {}, {}, set(), [5, 6], [])
    assert alone.false_blocked_s == 1.0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(RobotMode)), st.sampled_from(list(RobotMode)), st.booleans()), max_size=12))
def test_every_robot_does_one_thing_at_a_time(samples: list[tuple[RobotMode, RobotMode, bool]]) -> None:
    watch = Watch(SITE, ["r1", "r2"], 0.5)
    for k, (a, b, busy) in enumerate(samples):
        watch.sample(float(k), {"r1": a, "r2": b}, {"r1": (1, 1), "r2": (2, 2)}, {"r1"} if busy else set(), [], [])
    series = watch.series()
    assert sum(series[name] for name in DOING).tolist() == [2] * len(samples) if samples else not len(series["t_s"])
    assert watch.waited_s == 0.5 * series["waiting"].sum()


def test_tracks_keep_waits_and_series(tmp_path: Path) -> None:
    watch = watched()
    save_tracks(tmp_path / "t.npz", SITE, {"r1": [(0.0, 1.5, 1.5)]}, watch.waits, watch.series())
    kept = load_tracks(tmp_path / "t.npz")
    assert kept is not None and set(kept.series) == set(watch.series())
    assert kept.waits is not None
    np.testing.assert_array_equal(kept.waits, watch.waits)
    save_tracks(tmp_path / "old.npz", SITE, {"r1": [(0.0, 1.5, 1.5)]})
    old = load_tracks(tmp_path / "old.npz")
    assert old is not None and not old.series and old.waits is None
    save_tracks(tmp_path / "wrong.npz", SITE, {}, np.zeros((3, 2)))
    assert load_tracks(tmp_path / "wrong.npz") is None


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 300))
def test_a_long_shift_is_kept_coarsely_and_in_bounded_memory(steps: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.watch.MOST_ROWS", 16)
        series = watched(steps).series()
    rows = len(series["t_s"])
    assert rows < 16 and rows >= min(steps, 7)
    assert series["t_s"][0] == 0.0 and np.ptp(np.diff(series["t_s"])) < 1e-9 if rows > 1 else rows == 1
    np.testing.assert_allclose(sum(series[name] for name in DOING), 2.0)
    if steps >= 16:
        np.testing.assert_allclose(series["waiting"], 0.5)


def test_the_timeline_has_a_bar_for_each_fault_over_rows_of_what_happened() -> None:
    series = watched().series() | {"orders_done_s": np.array([2.0, 1.0]), "frames": np.array([[0.5, 3, 1, 1], [2.5, 2, 0, 1]])}
    figure = timeline(series, faults_of({"faults": FAULTS}))
    assert len(figure.axes) == 6  # five rows, one of them with two scales
    faults, _, orders = figure.axes[:3]
    assert [t.get_text() for t in faults.get_yticklabels()] == ["spill", "camera dropout robot=1 for 2s"]
    assert [(bar.get_x(), bar.get_width()) for bar in faults.patches] == [(0.5, 3.0), (1.0, 2.0)]
    (done,) = [line for line in orders.lines if len(line.get_xdata()) == 4]
    assert done.get_xdata().tolist() == [0.0, 1.0, 2.0, 3.5] and list(done.get_ydata()) == [0, 1, 2, 2]
    assert len(timeline(series, []).axes) == 5 and len(timeline(watched().series(), []).axes) == 5


@pytest.mark.parametrize("faults", [None, {}, {"begun": 2}, [1, "x", {"text": "no time"}], []])
def test_metrics_of_earlier_versions_have_no_faults_to_draw(faults: Any) -> None:
    assert faults_of({"faults": faults}) == [] and faults_of({}) == []
    assert timeline({}, []) is None


ROW = {"from_m": 0.0, "to_m": 3.0, "truths": 10, "claims": 8, "recall": 0.6, "precision": 0.75, "ap": 0.5}


def test_runs_are_pooled_by_what_each_saw() -> None:
    other = {**ROW, "truths": 30, "claims": 0, "recall": 0.2, "precision": None, "ap": 0.1}
    far = {**ROW, "from_m": 3.0, "to_m": 6.0, "truths": 0, "recall": None, "ap": None}
    (near, beyond) = pooled([{"tote": [ROW]}, {"tote": [other, far]}])["tote"]
    assert (near["truths"], near["claims"]) == (40, 8)
    assert near["recall"] == pytest.approx(12 / 40) and near["precision"] == 0.75 and near["ap"] == pytest.approx(0.2)
    assert beyond["recall"] is None and beyond["ap"] is None
    assert pooled([]) == {} and by_range({}) is None and by_range({"tote": [far]}) is None
    panels = by_range({"tote": [ROW], "person": [far, ROW]}).axes
    assert [a.get_title() for a in panels if a.get_title()] == ["tote", "person"]


def test_the_report_draws_what_runs_have_and_leaves_out_what_they_lack(tmp_path: Path) -> None:
    def run(name: str, metrics: dict[str, Any]) -> dict[str, Any]:
        (tmp_path / name).mkdir()
        return {"name": name, "seed": 1, "ok": True, "gates": {}, "metrics": metrics, "folder": name}

    watch = watched()
    runs = [
        run("new", {"detection_by_range": {"tote": [ROW]}, "faults": FAULTS}),
        run("old", {"faults": {"begun": 1}}), run("older", {}),
    ]  # fmt: skip
    tracks = {"r1": [(0.0, 1.5, 1.5), (1.0, 1.5, 1.5)]}
    save_tracks(tmp_path / "new/tracks.npz", SITE, tracks, watch.waits, watch.series())
    save_tracks(tmp_path / "old/tracks.npz", SITE, tracks)
    write_sweep_report(runs, tmp_path)
    page = (tmp_path / "report.html").read_text()
    for alt in ("detection by range and class", "new, seed 1: faults and reactions", "where robots waited"):
        assert f'alt="{alt}"' in page
    assert "old, seed 1: faults" not in page and "<h2>Ablation</h2>" not in page
    write_sweep_report(runs[2:], tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "Faults and reactions" not in page and "Detection by" not in page


@given(count=st.integers(0, 500), most=st.integers(2, 40))
def test_a_trail_stays_short_and_even(count: int, most: int) -> None:
    trail = Trail(most)
    for k in range(count):
        trail.append((float(k), 0.0, 0.0))
    times = [t for t, _, _ in trail]
    assert len(trail) < max(most, 2) or count < 2
    assert not count or times[0] == 0.0
    steps = {b - a for a, b in zip(times, times[1:], strict=False)}
    assert len(steps) <= 1
    assert not count or count - times[-1] <= 2 * max(steps, default=count)
