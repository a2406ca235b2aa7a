"""Sweeps with a stand-in for the runs: scheduling, resuming, crashes, hangs and signals; and once with real ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from aislewise.errors import InputError
from cli.main import main
from sim import sweep_process
from sim.sweep import Job, Result, Stopped, Sweep, load_result, plan, start_process
from sim.sweep_report import write_sweep_report
from tests.sim.sweep_bench import PATIENCE_S, ROOT, Bench, alive, wait_until


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return Bench(tmp_path)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Ray cluster of this machine's cores: four, whatever it has, for runs that do next to nothing."""
    pytest.importorskip("ray", reason="ray, an extra, is not installed")
    from sim.sweep_ray import RayCluster

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)  # the nodes', which are started now
    with RayCluster(cores=4) as started:
        yield started
    os.environ.pop("PYTHONPATH", None)
    if before is not None:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(params=["processes", pytest.param("ray", marks=pytest.mark.slow)])
def either(request: pytest.FixtureRequest, bench: Bench) -> Bench:
    """What a sweep promises it keeps wherever its runs are."""
    if request.param == "ray":
        bench.start = request.getfixturevalue("cluster").start
    return bench


# --- scheduling --------------------------------------------------------------------------------------


def test_every_scenario_runs_with_its_own_seed_and_those_after_it(bench: Bench) -> None:
    jobs = plan([bench.scenario("a", seed=7), bench.scenario("b")], 3, None, bench.out)
    assert [(j.name, j.seed) for j in jobs] == [("a", 7), ("a", 8), ("a", 9), ("b", 1), ("b", 2), ("b", 3)]
    assert [j.seed for j in plan([bench.scenario("a", seed=7)], 2, 40, bench.out)] == [40, 41]
    assert len({j.fingerprint for j in jobs}) == 6 and len({j.folder for j in jobs}) == 6


def test_results_come_in_the_order_of_the_jobs_however_long_each_takes(either: Bench) -> None:
    either.act({"a/1": "slow"})
    results = either.run(either.jobs("a", "b"), workers=4)
    assert [(r["name"], r["seed"], r["ok"]) for r in results] == [("a", 1, True), ("a", 2, True), ("b", 1, True), ("b", 2, True)]


def test_as_many_run_at_once_as_there_are_workers_and_no_more(either: Bench) -> None:
    class Counter:
        most = 0

        def ended(self, job: Job, result: Result, earlier: bool) -> None: ...

        def running(self, jobs: list[tuple[Job, float]]) -> None:
            self.most = max(self.most, len(jobs))

    counter = Counter()
    either.act({f"a/{n}": "slow" for n in range(1, 6)})
    assert all(r["ok"] for r in either.run(either.jobs("a", seeds=5), workers=2, watcher=counter))
    assert counter.most == 2


@pytest.mark.parametrize(
    ("field", "change"),
    [("seeds", {"seeds": 0}), ("time-limit", {"limit_s": -1.0}), ("time-limit", {"limit_s": float("nan")}),
     ("scenario.name", {"name": "../evil"}), ("scenario.name", {"name": ".."})],
)  # fmt: skip
def test_what_is_wrong_is_said_before_anything_runs(bench: Bench, field: str, change: dict) -> None:
    path = bench.folder / "x.yaml"
    path.write_text(json.dumps({"name": change.get("name", "x")}))
    with pytest.raises(InputError) as caught:
        plan([str(path)], change.get("seeds", 1), None, bench.out, change.get("limit_s"))
    assert caught.value.field == field and not bench.out.exists()


def test_a_bad_file_among_good_ones_ends_the_command_with_2_before_any_simulation(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_process.subprocess, "Popen", lambda *a, **k: pytest.fail("a run was started"))
    good, out = bench.scenario("good"), bench.folder / "answer.json"
    (bench.folder / "bad.yaml").write_text("robots: many")
    arguments = ["validate", good, str(bench.folder / "bad.yaml"), "--out", str(bench.out), "--json", str(out)]
    assert main(arguments) == 2
    assert json.loads(out.read_text())["error"]["field"] == "scenario.robots"
    assert main(["validate", good, good, "--out", str(bench.out)]) == 2  # their runs would share folders
    assert main(["validate", good, "--seeds", "2", "--live", "--workers", "2"]) == 2


# --- resuming ----------------------------------------------------------------------------------------


def test_finished_runs_are_not_run_again_and_failed_gates_are_finished(either: Bench) -> None:
    either.act({"a/2": "fail"})
    first = either.run(either.jobs("a"))
    again = either.run(either.jobs("a"))
    assert again == first and [r["ok"] for r in again] == [True, False]
    assert either.begun == ["a/1", "a/2"]


def test_fresh_runs_everything_again(either: Bench) -> None:
    either.run(either.jobs("a"))
    either.run(either.jobs("a"), fresh=True)
    assert either.begun == ["a/1", "a/2"] * 2


def test_what_an_earlier_run_left_is_not_taken_for_the_result_of_one_that_crashed(either: Bench) -> None:
    either.act({"a/1": "fail"})
    either.run(either.jobs("a", seeds=1))
    either.act({"a/1": "crash"})  # the exit status is that of a failed gate, too
    [result] = either.run(either.jobs("a", seeds=1), fresh=True)
    assert "error" in result and not (either.out / "a/seed_1/run.mcap").exists()


def test_more_seeds_run_only_what_is_new(either: Bench) -> None:
    either.run(either.jobs("a", seeds=1))
    assert len(either.run(either.jobs("a", seeds=3))) == 3
    assert either.begun == ["a/1", "a/2", "a/3"]


def test_a_changed_scenario_or_version_is_run_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run(bench.jobs("a", seeds=1))
    bench.run(bench.jobs("a", seeds=1, robots=3))
    monkeypatch.setattr("sim.sweep.__version__", "9.9.9")
    bench.run(bench.jobs("a", seeds=1, robots=3))
    assert bench.begun == ["a/1"] * 3


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"ok": true}', '{"name": 1, "seed": 1, "ok": 1, "gates": {}, "metrics": {}}'])
def test_a_damaged_result_is_no_result(bench: Bench, damage: str) -> None:
    [job] = bench.jobs("a", seeds=1)
    bench.run([job])
    (job.folder / "result.json").write_text(damage)
    assert load_result(job) is None
    assert bench.run([job])[0]["ok"] and bench.begun == ["a/1"] * 2


# --- crashes and hangs -------------------------------------------------------------------------------


def test_a_crash_is_a_failed_result_with_its_log_and_not_the_end(either: Bench) -> None:
    either.act({"a/1": "crash", "a/2": "kill", "a/3": "late"})
    results = either.run(either.jobs("a", seeds=4))
    assert [r["ok"] for r in results] == [False, False, False, True]
    assert "exit status 1" in results[0]["error"] and "out of paper" in results[0]["error"]
    assert "signal 11" in results[1]["error"]
    assert "exit status 3" in results[2]["error"]  # it judged itself well, and died
    assert "out of paper" in (either.out / "a" / "seed_1" / "log.txt").read_text()


def test_a_command_that_cannot_be_started_is_a_failed_result(either: Bench) -> None:
    [result] = Sweep(either.jobs("a", seeds=1), lambda job: ["/nowhere/python"], start=either.start).run()
    assert not result["ok"] and "could not be started" in result["error"]


def test_what_crashed_is_run_again_and_may_pass(either: Bench) -> None:
    either.act({"a/1": "crash"})
    assert [r["ok"] for r in either.run(either.jobs("a"))] == [False, True]
    either.act({})
    assert [r["ok"] for r in either.run(either.jobs("a"))] == [True, True]
    assert either.begun == ["a/1", "a/2", "a/1"]


def test_a_hang_ends_at_the_time_limit_with_all_its_processes(either: Bench) -> None:
    either.act({"a/1": "hang"})
    results = either.run(either.jobs("a", limit_s=3.0))
    assert [r["ok"] for r in results] == [False, True] and "no result within 3 s" in results[0]["error"]
    child = int((either.folder / "child_a_1.txt").read_text())
    wait_until(lambda: not alive(child))


def test_what_does_not_listen_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_process, "GRACE_S", 0.2)
    monkeypatch.setattr(sweep_process.Process, "_dump", lambda self: None)  # SIGUSR1 would end the stand-in
    bench.act({"a/1": "deaf"})
    assert "hung" in bench.run(bench.jobs("a", seeds=1, limit_s=3.0))[0]["error"]
    pids = [int((bench.folder / "begun.txt").read_text().split()[1]), int((bench.folder / "child_a_1.txt").read_text())]
    wait_until(lambda: not any(alive(p) for p in pids))


def test_a_signal_ends_also_what_does_not_listen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_process, "GRACE_S", 0.2)
    child = bench.folder / "child_a_1.txt"

    class Killer:
        def ended(self, job: Job, result: Result, earlier: bool) -> None: ...

        def running(self, jobs: list[tuple[Job, float]]) -> None:
            if child.exists() and child.read_text():
                os.kill(os.getpid(), signal.SIGTERM)

    bench.act({"a/1": "deaf"})
    with pytest.raises(Stopped):
        bench.run(bench.jobs("a", seeds=1), watcher=Killer())
    pids = [int((bench.folder / "begun.txt").read_text().split()[1]), int(child.read_text())]
    wait_until(lambda: not any(alive(p) for p in pids))


def test_a_hang_writes_down_where_it_hangs(either: Bench) -> None:
    either.act({"a/1": "follow"})
    assert not either.run(either.jobs("a", seeds=1, limit_s=3.0))[0]["ok"]
    log = (either.out / "a" / "seed_1" / "log.txt").read_text()
    assert "most recent call first" in log and "runner.py" in log


# --- on a Ray cluster --------------------------------------------------------------------------------


def worker_of(bench: Bench, number: int) -> int:
    """The Ray worker over the run that was begun with that many before it."""
    wait_until(lambda: (bench.folder / "begun.txt").exists() and len(bench.begun) > number)
    pid = (bench.folder / "begun.txt").read_text().splitlines()[number].split()[1]
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


class Losses:
    """Kills the worker of each run that is begun, up to `count` of them; then the runs are let pass."""

    def __init__(self, bench: Bench, count: int) -> None:
        self.bench, self.left, self.seen = bench, count, 0

    def ended(self, job: Job, result: Result, earlier: bool) -> None: ...

    def running(self, jobs: list[tuple[Job, float]]) -> None:
        if self.left and len(self.bench.begun) > self.seen:
            worker = worker_of(self.bench, self.seen)
            self.seen, self.left = self.seen + 1, self.left - 1
            if not self.left:
                self.bench.act({})
            os.kill(worker, signal.SIGKILL)


@pytest.mark.slow
def test_a_run_whose_node_is_lost_is_begun_again(bench: Bench, cluster: Any) -> None:
    bench.act({"a/1": "follow"})
    [result] = bench.run(bench.jobs("a", seeds=1), start=cluster.start, watcher=Losses(bench, 1))
    assert result["ok"] and bench.begun == ["a/1", "a/1"]
    assert "lost with its node" in (bench.out / "a/seed_1/log.txt").read_text()


@pytest.mark.slow
def test_a_run_that_loses_every_node_is_a_failed_result(bench: Bench, cluster: Any) -> None:
    bench.act({"a/1": "follow"})
    [result] = bench.run(bench.jobs("a", seeds=1), start=cluster.start, watcher=Losses(bench, 3))
    assert not result["ok"] and "lost 3 times" in result["error"] and bench.begun == ["a/1"] * 3


@pytest.mark.slow
def test_a_signal_ends_the_runs_on_the_cluster(bench: Bench, cluster: Any) -> None:
    child = bench.folder / "child_a_1.txt"

    class Killer:
        def ended(self, job: Job, result: Result, earlier: bool) -> None: ...

        def running(self, jobs: list[tuple[Job, float]]) -> None:
            if child.exists() and child.read_text():
                os.kill(os.getpid(), signal.SIGINT)

    bench.act({"a/1": "hang"})
    with pytest.raises(Stopped):
        bench.run(bench.jobs("a"), start=cluster.start, watcher=Killer(), workers=1)
    wait_until(lambda: not alive(int(child.read_text())))
    bench.act({})
    assert [r["ok"] for r in bench.run(bench.jobs("a"), start=cluster.start)] == [True, True]


@pytest.mark.slow
def test_the_same_runs_give_the_same_report_here_and_on_a_cluster(tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pages, results = [], []
    for name, start in (("here", start_process), ("there", cluster.start)):
        folder = tmp_path / name
        folder.mkdir()
        bench = Bench(folder, start=start)
        bench.act({"a/2": "fail", "b/1": "crash"})
        results.append([{k: v for k, v in r.items() if k != "metrics" or "error" not in r} for r in bench.run(bench.jobs("a", "b"))])
        for result in results[-1]:
            result.setdefault("metrics", {"wall_s": 0.0})
        write_sweep_report(results[-1], bench.out)
        pages.append((bench.out / "report.html").read_bytes())
    assert results[0] == results[1] and pages[0] == pages[1]


def test_a_cluster_gets_the_files_a_scenario_names_and_no_path_of_this_machine(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from sim.sweep_ray import RemoteRun, request_of

    (bench.folder / "past").mkdir()
    (bench.folder / "past/orders.csv").write_bytes((ROOT / "sim/scenarios/csv_orders.csv").read_bytes())
    [job] = plan([bench.scenario("a", demand={"csv": "past/orders.csv"})], 1, None, bench.out)
    command = [sys.executable, "-c", CHECK, job.source, "--into", str(job.folder)]
    request = request_of(job, command)
    words = [w for k, w in enumerate(request.command) if k not in request.replaced]
    assert words == ["-c", CHECK, "--into"]
    (bench.folder / "past/orders.csv").unlink()  # the node has none of it
    Path(job.source).unlink()
    run = RemoteRun(request)
    assert run.start() == ""
    wait_until(lambda: run.poll(0)[0] is not None)
    code, log = run.poll(0)
    run.close()
    assert code == 0 and log.decode().strip() == job.fingerprint


def test_a_node_of_another_version_does_not_run_anything(bench: Bench) -> None:
    from dataclasses import replace

    from sim.sweep_ray import RemoteRun, request_of

    [job] = bench.jobs("a", seeds=1)
    run = RemoteRun(replace(request_of(job, bench.command(job)), version="0.0.1"))
    assert "0.0.1" in run.start() and bench.begun == []
    run.close()


def test_workers_are_a_number_or_ray(bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        main(["validate", bench.scenario("a"), "--workers", "raj"])
    assert "raj" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    assert main(["validate", bench.scenario("a"), "--workers", "ray", "--out", str(bench.out)]) == 2
    assert "aislewise[ray]" in capsys.readouterr().err


# --- signals -----------------------------------------------------------------------------------------

CHECK = "import sys; from sim.sweep import fingerprint; from sim.scenario import load_scenario; print(fingerprint(load_scenario(sys.argv[1])))"
SWEEPER = """
import sys
from pathlib import Path
from sim.sweep import Stopped, Sweep
from tests.sim.sweep_bench import Bench
bench = Bench(Path(sys.argv[1]), prepare=False)
try:
    Sweep(bench.jobs("a", seeds=3), bench.command, workers=1).run()
except Stopped as stop:
    sys.exit(128 + stop.number)
"""


def start_sweep(bench: Bench) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SWEEPER, str(bench.folder)])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_sweep_with_nothing_left_running_and_what_is_finished_stays(bench: Bench, number: int) -> None:
    bench.act({"a/2": "hang"})
    process = start_sweep(bench)
    wait_until(lambda: (bench.folder / "child_a_2.txt").exists() and (bench.folder / "child_a_2.txt").read_text())
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == 128 + number
    pids = [int(line.split()[1]) for line in (bench.folder / "begun.txt").read_text().splitlines()]
    pids.append(int((bench.folder / "child_a_2.txt").read_text()))
    wait_until(lambda: not any(alive(p) for p in pids))
    bench.act({})
    assert [r["ok"] for r in bench.run(bench.jobs("a", seeds=3))] == [True] * 3
    assert bench.begun == ["a/1", "a/2", "a/2", "a/3"]


def test_a_run_does_not_outlive_a_sweep_that_is_killed(bench: Bench) -> None:
    bench.act({"a/1": "follow"})
    process = start_sweep(bench)
    wait_until(lambda: (bench.folder / "following.txt").exists() and (bench.folder / "following.txt").read_text())
    process.kill()
    process.wait()
    pid = int((bench.folder / "following.txt").read_text())
    wait_until(lambda: not alive(pid))


def test_signals_are_handled_as_before_when_the_sweep_is_over(bench: Bench) -> None:
    before = signal.getsignal(signal.SIGTERM)

    class Killer:
        def ended(self, job: Job, result: Result, earlier: bool) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

        def running(self, jobs: list[tuple[Job, float]]) -> None: ...

    with pytest.raises(Stopped) as stopped:
        bench.run(bench.jobs("a"), watcher=Killer())
    assert (stopped.value.number, stopped.value.done) == (signal.SIGTERM, 1)
    assert signal.getsignal(signal.SIGTERM) is before


def test_recordings_of_passed_runs_are_deleted_unless_they_are_to_be_kept(either: Bench) -> None:
    either.act({"a/2": "fail"})
    either.run(either.jobs("a"))
    assert [(either.out / f"a/seed_{n}/run.mcap").exists() for n in (1, 2)] == [False, True]
    either.run(either.jobs("b", seeds=1), keep_recordings=True)
    assert (either.out / "b/seed_1/run.mcap").exists()


# --- the whole path ----------------------------------------------------------------------------------

TINY = """
name: {name}
duration_s: 12
robots: 1
orders: 1
people: 0
forklifts: 0
release_s: 1
lidar_columns: 180
warehouse: {{width: 20, height: 18, blocks: 1, aisles: [1, 2], stations: 2, chargers: 2, parking: 2, bays: 1}}
gates: {{min_done_share: 0.0}}
"""


@pytest.mark.slow
def test_two_real_scenarios_with_two_workers(tmp_path: Path) -> None:
    """In twelve seconds no order is delivered: a gate fails, for the same reason, with every seed."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(TINY.format(name=name))
    command = [
        sys.executable, "-m", "cli.main", "validate", "one.yaml", "two.yaml", "--seeds", "2", "--workers", "2",
        "--json", "copy.json", "--out", "out",
    ]  # fmt: skip
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    first = subprocess.run(command, cwd=tmp_path, env=environment, timeout=280, check=False, capture_output=True, text=True)
    assert first.returncode == 1, first.stdout + first.stderr
    out = tmp_path / "out"
    answer = json.loads((out / "results.json").read_text())
    assert answer == json.loads((tmp_path / "copy.json").read_text()) and not answer["ok"]
    assert [(r["name"], r["seed"]) for r in answer["scenarios"]] == [("one", 1), ("one", 2), ("two", 1), ("two", 2)]
    for run in answer["scenarios"]:
        assert "error" not in run, run
        assert [n for n, g in run["gates"].items() if not g["ok"]] == ["orders_final"]
        assert {"run.mcap", "report.html", "tracks.npz", "log.txt"} <= {p.name for p in (out / run["folder"]).iterdir()}
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 5 and 'href="two/seed_2/run.mcap"' in page
    assert len(list(ElementTree.parse(out / "junit.xml").getroot().iter("failure"))) == 4
    again = subprocess.run(command, cwd=tmp_path, env=environment, timeout=60, check=False, capture_output=True, text=True)
    assert again.returncode == 1 and again.stdout.count("(before)") == 4
