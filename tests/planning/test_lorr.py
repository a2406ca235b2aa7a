"""League of Robot Runners: files in, rules, files out, and a judge that catches every lie."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aislewise.errors import InputError
from planning.lifelong_ops import CLOCKWISE, COUNTER, FORWARD, WAIT
from planning.lorr import Problem, read_problem
from planning.lorr_check import check_output
from planning.lorr_run import Pace, Runner
from planning.lorr_sim import League

DATA = Path(__file__).parents[3] / "shared" / "data" / "lorr2024" / "main_random.domain"


def write_problem(folder: Path, rows: list[str], starts: list[int], tasks: list[list[int]], reveal: float = 1.5) -> Path:
    (folder / "a.map").write_text(f"type octile\nheight {len(rows)}\nwidth {len(rows[0])}\nmap\n" + "\n".join(rows) + "\n")
    (folder / "a.agents").write_text("# version\n" + "\n".join(map(str, [len(starts), *starts])) + "\n")
    lines = [",".join(map(str, task)) for task in tasks]
    (folder / "a.tasks").write_text("\n".join([str(len(lines)), *lines]) + "\n")
    fields = {"mapFile": "a.map", "agentFile": "a.agents", "taskFile": "a.tasks", "teamSize": len(starts), "numTasksReveal": reveal}
    (folder / "p.json").write_text(json.dumps(fields))
    return folder / "p.json"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    rows = ["........", ".@@.@@..", "........", ".@E.@@..", "....S..."]
    cells = [i for i, letter in enumerate("".join(rows)) if letter != "@"]
    tasks = [rng.choice(cells, rng.integers(1, 4), replace=False).tolist() for _ in range(9)]
    return write_problem(tmp_path, rows, rng.permutation(cells)[:8].tolist(), tasks)


@pytest.fixture
def played(small: Path) -> tuple[Path, Path, dict[str, Any]]:
    runner = Runner(read_problem(small), Pace(rounds=60, clock=None))
    runner.prepare()
    for _ in range(80):
        runner.step()
    out = small.parent / "out.json"
    runner.league.write(out)
    return small, out, json.loads(out.read_text())


def test_files_are_read_as_the_start_kit_reads_them(small: Path) -> None:
    problem = read_problem(small)
    assert problem.robots == 8 and problem.tasks == 9 and problem.revealed == 12
    assert problem.free.shape == (5, 8) and not problem.free[1, 1] and problem.stations.tolist() == [26, 36]
    assert problem.errands[problem.offsets[0] : problem.offsets[1]].tolist()


@pytest.mark.parametrize(("name", "text", "field"), [
    ("p.json", "[]", "problem"), ("p.json", "{", "problem"), ("a.map", "type octile\n", "mapFile"),
    ("a.map", "type octile\nheight 2\nwidth 3\nmap\n...\n", "mapFile"), ("a.agents", "9\n0\n", "agentFile"),
    ("a.agents", "8\n0\n0\n1\n2\n3\n4\n5\n6\n", "agentFile"), ("a.tasks", "1\n0,9\n", "taskFile"),
    ("a.tasks", "1\n0,x\n", "taskFile"), ("a.tasks", "x\n", "taskFile"), ("a.tasks", "1\n0,99999\n", "taskFile"),
])  # fmt: skip
def test_malformed_files_name_the_field(small: Path, name: str, text: str, field: str) -> None:
    (small.parent / name).write_text(text)
    with pytest.raises(InputError) as caught:
        read_problem(small)
    assert caught.value.field == field


def test_missing_fields_and_files_are_named(small: Path) -> None:
    fields = json.loads(small.read_text())
    for key in ("mapFile", "agentFile", "taskFile", "teamSize"):
        small.write_text(json.dumps({k: v for k, v in fields.items() if k != key}))
        with pytest.raises(InputError, match=key):
            read_problem(small)
    small.write_text(json.dumps({**fields, "mapFile": "none.map"}))
    with pytest.raises(InputError, match="mapFile"):
        read_problem(small)


def league(rows: int, cols: int, starts: list[int], tasks: list[list[int]], revealed: int) -> League:
    flat = np.array([c for task in tasks for c in task], np.int32)
    offsets = np.cumsum([0, *map(len, tasks)]).astype(np.int64)
    return League(Problem("t", np.ones((rows, cols), bool), np.array(starts, np.int32), flat, offsets, revealed, np.empty(0, np.int32)))


def test_robots_move_and_turn_as_told_and_not_at_all_when_two_collide() -> None:
    world = league(2, 3, [0, 2], [[5]], 1)
    none = np.array([-1, -1])
    world.advance(np.array([CLOCKWISE, COUNTER]), none)
    assert world.heading.tolist() == [1, 3] and world.cell.tolist() == [0, 2]
    world.advance(np.array([FORWARD, CLOCKWISE]), none)
    assert world.cell.tolist() == [3, 2] and world.record.errors == []
    world.advance(np.array([FORWARD, WAIT]), none)
    assert world.record.errors[-1][0::3] == (0, "unallowed move") and world.cell.tolist() == [3, 2]
    world = league(1, 3, [0, 2], [[1]], 1)
    world.heading[1] = 2
    world.advance(np.array([FORWARD, FORWARD]), none)
    assert world.record.errors[-1][3] == "vertex conflict" and world.cell.tolist() == [0, 2]
    world.advance(np.array([FORWARD, WAIT]), none)
    world.advance(np.array([FORWARD, FORWARD]), none)
    assert world.record.errors[-1][3] == "edge conflict" and world.cell.tolist() == [1, 2]


def test_following_and_turning_rings_are_allowed() -> None:
    world = league(2, 2, [0, 1, 3, 2], [[0]], 1)
    world.heading[:] = [0, 1, 2, 3]
    world.advance(np.full(4, FORWARD), np.full(4, -1))
    assert world.cell.tolist() == [1, 3, 2, 0] and not world.record.errors


def test_errands_are_done_in_order_one_a_step_and_begun_tasks_stay() -> None:
    world = league(1, 4, [0, 3], [[1, 1, 2], [3]], 2)
    world.advance(np.array([FORWARD, WAIT]), np.array([0, -1]))
    assert world.record.events == [(1, 0, 0, 1)] and world.finished == 0
    world.advance(np.array([WAIT, WAIT]), np.array([-1, 0]))  # begun: it cannot be taken away
    assert len(world.record.schedule_errors) == 1 and world.assigned.tolist() == [0, -1]
    assert world.record.events[-1] == (2, 0, 0, 2)
    world.advance(np.array([FORWARD, WAIT]), np.array([0, 1]))
    assert world.finished == 2 and world.assigned.tolist() == [-1, -1]
    assert world.pool.tolist() == [2, 3] and world.record.revealed_at == [0, 0, 3, 3]
    world.advance(np.array([WAIT, WAIT]), np.array([2, 2]))
    assert world.record.schedule_errors[-1][4].startswith("task is already assigned")


def test_a_played_problem_passes_the_judge(played: tuple[Path, Path, dict[str, Any]]) -> None:
    problem, out, result = played
    verdict = check_output(problem, out)
    assert verdict.faults == () and verdict.tasks == result["numTaskFinished"] > 10 and verdict.steps == 80


def test_a_late_answer_costs_the_steps_that_pass_meanwhile(small: Path) -> None:
    ticks = iter(range(10**6))
    pace = Pace(step_s=1000.0, rounds=1, clock=lambda: float(next(ticks)))
    runner = Runner(read_problem(small), pace)
    runner.prepare()
    runner.step()
    assert runner.league.step == 1
    runner.pace = Pace(step_s=2.0, rounds=1, clock=pace.clock)
    while runner.league.step < 40:
        runner.step()
    missed = runner.league.record.missed
    assert len(missed) >= 10 and runner.league.step == len(runner.league.record.actions)
    runner.league.write(small.parent / "late.json")
    assert check_output(small, small.parent / "late.json").valid
    told = json.loads((small.parent / "late.json").read_text())
    told["events"].append([missed[3] + 1, 0, 0, 1])
    (small.parent / "late.json").write_text(json.dumps(told))
    assert not check_output(small, small.parent / "late.json").valid


def _tell(result: dict[str, Any], lie: str) -> None:
    paths = [path.split(",") for path in result["actualPaths"]]
    event = next(e for e in result["events"] if e[3] > 0)
    if lie == "count":
        result["numTaskFinished"] += 1
    elif lie == "wall":
        paths[0] = ["F"] * len(paths[0])
    elif lie == "letter":
        paths[0][3] = "X"
    elif lie == "start":
        result["start"][0], result["start"][1] = result["start"][1], result["start"][0]
    elif lie == "heading":
        result["start"][0][2] = "S"
    elif lie == "task":
        result["tasks"][0][2] = result["tasks"][0][2][:-2] + [0, 0]
    elif lie == "event":
        event[2] += 1
    elif lie == "short":
        paths[2].pop()
    elif lie == "early":
        late = max(result["tasks"], key=lambda task: task[1])
        late[1] = 0
    elif lie == "shared":
        result["actualSchedule"][1] = result["actualSchedule"][0]
    result["actualPaths"] = [",".join(path) for path in paths]


@pytest.mark.parametrize("lie", ["count", "wall", "letter", "start", "heading", "task", "event", "short", "early", "shared"])
def test_the_judge_catches_lies(played: tuple[Path, Path, dict[str, Any]], lie: str) -> None:
    problem, out, result = played
    told = copy.deepcopy(result)
    _tell(told, lie)
    out.write_text(json.dumps(told))
    assert not check_output(problem, out).valid


def test_the_judge_sees_meetings_and_swaps(tmp_path: Path) -> None:
    problem = write_problem(tmp_path, ["...."], [0, 3], [[2]], 1.0)
    result = {
        "teamSize": 2, "start": [[0, 0, "E"], [0, 3, "E"]], "tasks": [[0, 0, [0, 2]], [1, 0, [0, 2]]], "events": [],
        "numTaskFinished": 0, "plannerPaths": ["", ""], "actualSchedule": ["", ""],
    }  # fmt: skip
    for first, second, said in (("F,F,W", "R,R,F", "in (0, 2)"), ("F,W,W,F", "R,R,F,F", "change places")):
        (tmp_path / "o.json").write_text(json.dumps({**result, "actualPaths": [first, second]}))
        assert any(said in fault for fault in check_output(problem, tmp_path / "o.json").faults)


def test_counted_in_work_the_same_seed_gives_the_same_run(small: Path) -> None:
    outputs = []
    for _ in range(2):
        runner = Runner(read_problem(small), Pace(rounds=30, clock=None), seed=7)
        runner.prepare()
        for _ in range(25):
            runner.step()
        outputs.append({k: v for k, v in runner.league.output().items() if k != "plannerTimes"})
    assert outputs[0] == outputs[1]


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="public data not here")
@pytest.mark.parametrize(("name", "least"), [("RANDOM-01", 140), ("RANDOM-04", 280)])
def test_public_problems_run_well(tmp_path: Path, name: str, least: int) -> None:
    runner = Runner(read_problem(DATA / f"{name}.json"), Pace(rounds=500, clock=None))
    runner.prepare()
    for _ in range(150 if name == "RANDOM-01" else 100):
        runner.step()
    runner.league.write(tmp_path / "out.json")
    verdict = check_output(DATA / f"{name}.json", tmp_path / "out.json")
    assert verdict.valid and verdict.tasks >= least
