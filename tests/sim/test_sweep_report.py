"""What a sweep leaves for people and for CI systems: the report, JUnit XML, and the figures in them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.stats import binomtest, t

from aislewise.sitemap import SiteMap
from sim.intervals import mean_t, wilson
from sim.junit import write_junit
from sim.sweep import Result
from sim.sweep_report import write_sweep_report
from sim.tracks import load_tracks, save_tracks
from tests.sim.sweep_bench import ROOT, Bench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return Bench(tmp_path)


@pytest.fixture
def mixed(bench: Bench) -> tuple[list[Result], Path]:
    """Two scenarios: one passes, of the other one seed passes, one fails a gate, one crashes."""
    bench.act({"b/2": "fail", "b/3": "crash"})
    return bench.run(bench.jobs("a", "b", seeds=3)), bench.out


def test_junit_has_a_suite_for_each_scenario_and_a_case_for_each_seed_and_gate(mixed: tuple[list[Result], Path]) -> None:
    results, out = mixed
    with (out / "b/seed_3/log.txt").open("ab") as log:
        log.write(b"\x1b[31mred <&> \x00\xff\n")  # no XML holds these as they are
    write_junit(results, out)
    root = ElementTree.parse(out / "junit.xml").getroot()
    assert root.tag == "testsuites" and [s.get("name") for s in root] == ["a", "b"]
    counts = [tuple(int(s.get(k, "-1")) for k in ("id", "tests", "failures", "errors")) for s in root]
    assert counts == [(0, 3, 0, 0), (1, 3, 1, 1)]
    for suite in root:
        assert set(suite.keys()) == {
            "name", "package", "id", "timestamp", "hostname", "tests", "failures", "errors", "time",
        }  # fmt: skip
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp", ""))
        tags = [e.tag for e in suite]
        assert tags == ["properties", *["testcase"] * 3, "system-out", "system-err"]
        assert all(set(c.keys()) == {"classname", "name", "time"} for c in suite.iter("testcase"))
    names = [c.get("name") for c in root.iter("testcase")]
    assert names[3:] == ["seed 1: orders_done", "seed 2: orders_done", "seed 3: run"]
    failure, error = next(root.iter("failure")), next(root.iter("error"))
    assert failure.get("message") == "orders_done: 1 (limit 2)" and "b/seed_2/run.mcap" in (failure.text or "")
    assert "out of paper" in (error.get("message") or "") and "red <&>" in (error.text or "")
    assert failure.get("type") and error.get("type")


def test_the_report_is_one_page_that_says_what_failed_and_links_to_it(mixed: tuple[list[Result], Path]) -> None:
    results, out = mixed
    site = SiteMap("s", 1.0, 0.0, 0.0, np.zeros((4, 5), np.uint8), {})
    save_tracks(out / "a/seed_1/tracks.npz", site, {"robot_1": [(0.0, 0.5, 0.5), (1.0, 1.5, 0.5), (3.0, 1.5, 1.5)]})
    write_sweep_report(results, out)
    page = (out / "report.html").read_text()
    assert "http" not in page and not re.search(r"<(script|link|iframe)", page)
    assert page.count("data:image/png;base64,") == 2
    assert "4 of 6 runs of 2 scenarios" in page and "Validation: <span class=\"bad\">FAIL" in page
    assert "orders_done: 1 (limit 2)" in page and "out of paper" in page
    assert "1 to 2 (limit 2)" in page and "102 <span class=\"ci\">± 2" in page  # 101, 102 and 103 picks per hour
    low, high = wilson(3, 3)
    assert f"{100 * low:.0f} to {100 * high:.0f} %" in page
    links = [unquote(link) for link in re.findall(r'href="([^"]+)"', page)]
    assert {"b/seed_2/run.mcap", "b/seed_2/report.html", "b/seed_3/log.txt"} <= set(links)
    assert all((out / link).is_file() for link in links) and "a/seed_1/run.mcap" not in links


def test_the_report_escapes_what_others_wrote(bench: Bench) -> None:
    name = 'x" <b>&é #1'
    results = bench.run(bench.jobs(name, seeds=1), keep_recordings=True)
    results.append({**results[0], "seed": 2, "ok": False, "error": "<script>alert(1)</script>", "gates": {}, "metrics": {}})
    write_sweep_report(results, bench.out)
    write_junit(results, bench.out)
    page = (bench.out / "report.html").read_text()
    assert "<script" not in page and "<b>" not in page
    assert all((bench.out / unquote(link)).is_file() for link in re.findall(r'href="([^"]+)"', page))
    assert ElementTree.parse(bench.out / "junit.xml").getroot()[0].get("name") == name


def test_a_report_of_crashes_alone_still_appears(bench: Bench) -> None:
    bench.act({"a/1": "crash"})
    write_sweep_report(bench.run(bench.jobs("a", seeds=1)), bench.out)
    assert "0 of 1 runs of 1 scenario " in (bench.out / "report.html").read_text()


def test_tracks_come_back_as_seconds_in_each_cell(tmp_path: Path) -> None:
    site = SiteMap("s", 0.5, 1.0, 2.0, np.zeros((4, 6), np.uint8), {})
    tracks = {"r1": [(0.0, 1.1, 2.1), (1.0, 1.6, 2.1), (3.5, 1.6, 2.6)], "r2": [(0.0, 1.1, 2.1), (4.0, 9.0, 9.0), (5.0, 1.1, 2.1)]}
    save_tracks(tmp_path / "tracks.npz", site, tracks)
    kept = load_tracks(tmp_path / "tracks.npz")
    assert kept is not None
    expected = np.zeros((4, 6))
    expected[0, 0], expected[0, 1] = 1.0 + 4.0, 2.5
    np.testing.assert_allclose(kept.seconds_per_cell(), expected)
    (tmp_path / "tracks.npz").write_bytes(b"PK no archive")
    assert load_tracks(tmp_path / "tracks.npz") is None and load_tracks(tmp_path / "none.npz") is None


def test_intervals_are_those_of_the_books() -> None:
    for passed, total in ((0, 1), (1, 1), (3, 5), (5, 5), (0, 20), (19, 20)):
        reference = binomtest(passed, total).proportion_ci(0.95, "wilson")
        np.testing.assert_allclose(wilson(passed, total), (reference.low, reference.high), atol=1e-12)
    values = [4.0, 5.0, 7.5, 3.25]
    mean, half = mean_t(values)
    low, high = t.interval(0.95, 3, loc=np.mean(values), scale=np.std(values, ddof=1) / 2)
    np.testing.assert_allclose((mean - half, mean + half), (low, high))
    assert mean_t([2.0]) == (2.0, None)
