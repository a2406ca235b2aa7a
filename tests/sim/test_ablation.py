"""Runs without one part of the stack: what they are, what counts as worse, and what becomes of it in results and report."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from cli.main import main
from sim.ablation import ABLATIONS, SCORES, changes, fold, parse_ablations
from sim.junit import write_junit
from sim.scenario import load_scenario, scenario_from
from sim.sweep import plan, variant
from sim.sweep_report import write_sweep_report
from tests.sim.sweep_bench import ROOT, Bench
from tests.sim.test_shift import SMALL


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return Bench(tmp_path)


FULL = {
    "detection_map": 0.8, "orders_done": 5, "instruction": {"done": True, "keep_out_entries": 0}, "collisions": 0,
    "sim_s": 100.0, "waited_s": 20.0, "false_blocked_s": 50.0,
}  # fmt: skip


def run(seed: int = 1, ablate: str = "", **changed: Any) -> dict[str, Any]:
    metrics = copy.deepcopy(FULL) | changed
    name = f"hall~no_{ablate}" if ablate else "hall"
    gates = {} if ablate else {"orders_done": {"value": 5, "limit": 5, "ok": True}}
    out = {"name": name, "seed": seed, "ok": True, "gates": gates, "metrics": metrics, "folder": f"{name}/seed_{seed}"}
    return out | ({"ablate": ablate} if ablate else {})


# --- the runs ----------------------------------------------------------------------------------------


def test_each_ablation_is_a_run_of_its_own_that_differs_in_one_thing(bench: Bench) -> None:
    jobs = plan([bench.scenario("a")], 2, None, bench.out, None, tuple(ABLATIONS))
    assert [(j.name, j.seed) for j in jobs[:4]] == [("a", 1), ("a", 2), ("a~no_camera", 1), ("a~no_camera", 2)]
    assert len(jobs) == 2 * (1 + len(ABLATIONS)) == len({j.fingerprint for j in jobs}) == len({j.folder for j in jobs})
    assert [j.ablate for j in jobs[::2]] == ["", *ABLATIONS]
    scenario = load_scenario(bench.scenario("a"))
    one = variant(scenario, 7, "words")
    assert (one.name, one.seed, one.ablate) == ("a~no_words", 7, "words")


def test_the_full_runs_are_the_same_jobs_with_ablations_and_without(bench: Bench) -> None:
    source = [bench.scenario("a")]
    assert plan(source, 2, None, bench.out, None, ("words",))[:2] == plan(source, 2, None, bench.out)


@pytest.mark.parametrize("text", ["", "cam", "camera,", "all,camera", "camera, lidar"])
def test_what_cannot_be_left_out_is_refused(text: str, bench: Bench) -> None:
    with pytest.raises(InputError) as caught:
        parse_ablations(text)
    assert caught.value.field == "ablate"
    assert main(["validate", bench.scenario("a"), "--ablate", text, "--out", str(bench.out)]) == 2 and not bench.out.exists()


def test_words_for_what_is_left_out_are_read() -> None:
    assert parse_ablations("all") == tuple(ABLATIONS)
    assert parse_ablations("words,camera,words") == ("words", "camera")


def test_a_scenario_goes_without_one_part_at_a_time_and_robots_without_sensors_lose_none(bench: Bench) -> None:
    with pytest.raises(InputError):
        plan([bench.scenario("a", ablate="words")], 1, None, bench.out, None, ("camera",))
    with pytest.raises(InputError):
        scenario_from({"ablate": "wheels"})
    fleet = {"robots": 20, "fidelity": {"sensor": 2}}
    assert scenario_from({**fleet, "ablate": "words"}).ablate == "words"
    for part in ("camera", "lidar"):
        with pytest.raises(InputError) as caught:
            scenario_from({**fleet, "ablate": part})
        assert caught.value.field == "ablate"


def test_nodes_that_run_elsewhere_are_not_ablated_from_here(bench: Bench) -> None:
    assert main(["validate", bench.scenario("a"), "--live", "--ablate", "words", "--out", str(bench.out)]) == 2
    assert main(["validate", bench.scenario("b", ablate="words"), "--live", "--out", str(bench.out)]) == 2


# --- what counts as worse ----------------------------------------------------------------------------


@pytest.mark.parametrize("score", SCORES, ids=lambda s: s.name)
def test_each_score_is_worse_from_its_margin_on_and_in_its_own_direction(score: Any) -> None:
    def shifted(by: float) -> dict[str, Any]:
        out = run()
        at = out["metrics"]
        for key in score.path[:-1]:
            at = at[key]
        at[score.path[-1]] = float(at[score.path[-1]]) - score.sign * by
        return out

    margin = changes([run()], [run()])[score.name]["margin"]
    for by, worse in ((0.99 * margin, False), (1.01 * margin, True), (-3 * margin, False), (0.0, False)):
        found = changes([run()], [shifted(by)])
        assert found[score.name]["worse"] is worse, by
        assert not any(s["worse"] for name, s in found.items() if name != score.name)


@settings(max_examples=60, deadline=None)
@given(losses=st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=6))
def test_worse_with_several_seeds_means_beyond_margin_and_chance(losses: list[float]) -> None:
    full = [run(seed) for seed in range(len(losses))]
    without = [run(seed, detection_map=0.8 - loss) for seed, loss in enumerate(losses)]
    found = changes(full, without)["detection_map"]
    mean = sum(losses) / len(losses)
    assert found["worse_by"] == pytest.approx(mean, abs=1e-4)
    assert not found["worse"] or mean >= 0.05 - 1e-9
    if len(losses) > 1:
        assert not found["worse"] or found["worse_by"] + 1e-3 > found["half"]
        if min(losses) >= 0.05 and max(losses) - min(losses) < 1e-6:
            assert found["worse"]


def test_a_figure_that_one_of_the_two_lacks_is_no_score() -> None:
    lacking = run()
    del lacking["metrics"]["waited_s"]
    lacking["metrics"]["detection_map"] = None
    assert {"waited_s", "detection_map"} & set(changes([lacking], [run()])) == set()


# --- results and report ------------------------------------------------------------------------------


def test_results_hold_full_runs_with_their_ablations_and_a_gate_for_each() -> None:
    folded = fold([run(), run(ablate="camera", orders_done=2), run(ablate="words")])
    assert [r["name"] for r in folded] == ["hall"]
    (result,) = folded
    assert result["ablation"]["camera"]["hurts"] and not result["ablation"]["words"]["hurts"]
    assert result["ablation"]["camera"]["scores"]["orders_done"]["worse_by"] == 3.0
    assert result["ablation"]["camera"]["folder"] == "hall~no_camera/seed_1"
    assert result["gates"]["ablation_camera_hurts"] == {"value": 1, "limit": 1, "ok": True}
    assert result["gates"]["ablation_words_hurts"] == {"value": 0, "limit": 1, "ok": False}
    assert result["ok"] is False and run()["ok"] is True
    json.dumps(folded)


def test_an_ablated_run_that_crashed_shows_nothing_and_a_crashed_full_run_has_no_gates() -> None:
    crash = {**run(ablate="lidar"), "ok": False, "error": "crashed: signal 9", "metrics": {"wall_s": 1.0}}
    (result,) = fold([run(), crash])
    assert not result["ok"] and not result["gates"]["ablation_lidar_hurts"]["ok"]
    assert result["ablation"]["lidar"]["error"] == "crashed: signal 9"
    gone = {**run(), "ok": False, "gates": {}, "error": "hung"}
    (result,) = fold([gone, run(ablate="lidar")])
    assert result["gates"] == {} and not result["ok"]


def test_without_ablations_results_stay_as_they_are() -> None:
    results = [run(1), run(2)]
    assert fold(results) == results


def test_the_report_and_junit_tell_of_ablations(tmp_path: Path) -> None:
    runs = [run(s) for s in (1, 2)]
    runs += [run(s, "camera", detection_map=0.3, orders_done=s) for s in (1, 2)] + [run(s, "words") for s in (1, 2)]
    results = fold(runs)
    (tmp_path / "hall~no_camera/seed_1").mkdir(parents=True)
    (tmp_path / "hall~no_camera/seed_1/report.html").touch()
    write_sweep_report(results, tmp_path)
    write_junit(results, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Ablation</h2>" in page and "hall: scores without each part" in page
    assert '<td>words</td><td class="bad">NOT NEEDED' in page
    assert '<td><a href="hall~no_camera/seed_1/report.html">camera</a></td><td class="ok">needed' in page
    assert "0.8 &rarr; 0.3" in page and "0 of 2 runs of 1 scenario " in page
    assert (tmp_path / "junit.xml").read_text().count("ablation_words_hurts: 0 (limit 1)") == 4  # message and text, per seed


# --- the closed loop ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_real_shifts_without_words_and_without_lidar_do_worse_and_say_in_what(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    command = [sys.executable, "-m", "cli.main", "validate", "small.yaml", "--ablate", "words,lidar", "--out", "out"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, timeout=500, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = json.loads((tmp_path / "out" / "results.json").read_text())["scenarios"]
    scores = {part: entry["scores"] for part, entry in result["ablation"].items()}
    assert scores["words"]["instruction_done"]["ablated"] == 0.0 and scores["words"]["instruction_done"]["worse"]
    assert scores["lidar"]["detection_map"]["worse"]
    assert "DONE small~no_words seed 3" in done.stdout and "PASS small seed 3" in done.stdout
    page = (tmp_path / "out" / "report.html").read_text()
    assert all(f"<h2>{part}</h2>" in page for part in ("Ablation", "Detection by range and class", "Faults and reactions"))
