"""Zones: cuts and gates that cannot deadlock, and merged plans that one independent checker finds sound."""

from __future__ import annotations

import heapq
import itertools
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from cli.main import main as aislewise
from planning.distance import largest_component
from planning.lifelong_tables import UNIT
from planning.lorr import read_problem
from planning.lorr_check import Verdict, check_output
from planning.lorr_run import Pace
from planning.zones import ZoneMap, cut
from planning.zones_floor import write_warehouse
from planning.zones_plan import ZonePlanner
from planning.zones_process import LocalZone, ProcessZone, ZoneDiedError, ZoneSpec
from planning.zones_roads import NO_WAY, GateGraph
from planning.zones_run import ZonedRunner

STEP = ((0, 1), (1, 0), (0, -1), (-1, 0))


@st.composite
def layouts(draw: st.DrawFn, closed: float = 0.3) -> ZoneMap:
    """A random floor and cut; those that need a wider border are passed over."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    shape = draw(st.integers(4, 12)), draw(st.integers(4, 12))
    free = largest_component(rng.random(shape) >= draw(st.floats(0.0, closed)))
    try:
        return cut(free, draw(st.integers(1, 4)))
    except InputError as error:
        assert "pieces" not in str(error), "a cut is to leave nothing stranded"
        return cut(np.ones(shape, bool), draw(st.integers(1, 4)))


def beside(cell: tuple[int, int]) -> Iterator[tuple[int, int]]:
    return ((cell[0] + dy, cell[1] + dx) for dy, dx in STEP)


def reached(start: Any, links: dict[Any, set[Any]]) -> set[Any]:
    seen, stack = {start}, [start]
    while stack:
        fresh = links.get(stack.pop(), set()) - seen
        seen |= fresh
        stack += fresh
    return seen


@given(layouts())
@settings(max_examples=60)
def test_zones_are_connected_and_gates_lead_from_every_zone_to_every_other(zones: ZoneMap) -> None:
    zone = {(int(y), int(x)): int(zones.label[y, x]) for y, x in np.argwhere(zones.free)}
    assert set(zone.values()) == set(range(zones.zones)) and (zones.label[~zones.free] == -1).all()
    inside = {cell: {other for other in beside(cell) if zone.get(other) == z} for cell, z in zone.items()}
    for z in range(zones.zones):
        cells = {cell for cell in zone if zone[cell] == z}
        assert reached(next(iter(cells)), inside) == cells
    gates, width = zones.gates, zones.free.shape[1]
    links: dict[int, set[int]] = {}
    for came, went, heading in zip(gates.from_cell.tolist(), gates.to_cell.tolist(), gates.heading.tolist()):
        (y, x), there = divmod(came, width), divmod(went, width)
        assert (y + STEP[heading][0], x + STEP[heading][1]) == there and zone[y, x] != zone[there]
        links.setdefault(zone[y, x], set()).add(zone[there])
    assert all(reached(z, links) == set(range(zones.zones)) for z in range(zones.zones))
    used = [*gates.from_cell.tolist(), *gates.to_cell.tolist()]
    assert len(set(used)) == len(used)


@given(st.integers(3, 14), st.integers(8, 14), st.integers(2, 4))
@settings(max_examples=25)
def test_open_borders_have_gates_both_ways_about_as_many(height: int, width: int, zones: int) -> None:
    gates = cut(np.ones((height, width), bool), zones).gates
    pairs = set(zip(gates.from_zone.tolist(), gates.to_zone.tolist()))
    for came, went in pairs:
        there = int(((gates.from_zone == came) & (gates.to_zone == went)).sum())
        back = int(((gates.from_zone == went) & (gates.to_zone == came)).sum())
        assert (back and abs(there - back) <= 1) or there + back == 1


def test_a_border_one_cell_wide_is_used_where_another_way_leads_back() -> None:
    ring = np.ones((5, 5), bool)
    ring[1:4, 1:4] = False
    label = np.array([[0, 0, 1, 1, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 2], [2, 2, 2, 2, 2]])
    gates = ZoneMap.of(ring, label).gates
    assert len(gates) == 3
    assert sorted(zip(gates.from_zone.tolist(), gates.to_zone.tolist())) in (
        [(0, 1), (1, 2), (2, 0)],
        [(0, 2), (1, 0), (2, 1)],
    )


def test_cuts_that_cannot_work_are_refused_by_name() -> None:
    corridor = np.ones((1, 12), bool)
    with pytest.raises(InputError, match="zones: no gates lead"):
        cut(corridor, 2)
    with pytest.raises(InputError, match="zone 1 is in 2 pieces"):
        ZoneMap.of(np.ones((3, 6), bool), np.tile([1, 1, 0, 0, 1, 1], (3, 1)))
    with pytest.raises(InputError, match="zone 1 is in 0 pieces"):
        ZoneMap.of(np.ones((3, 6), bool), np.tile([0, 0, 0, 2, 2, 2], (3, 1)))
    with pytest.raises(InputError, match="is in no zone"):
        ZoneMap.of(np.ones((3, 6), bool), np.tile([0, 0, 0, -1, 1, 1], (3, 1)))
    with pytest.raises(InputError, match="free: the floor is in 2 pieces"):
        cut(np.array([[1, 1, 0, 1, 1], [1, 1, 0, 1, 1], [1, 1, 0, 1, 1]], bool), 2)
    for many in (0, 5):
        with pytest.raises(InputError, match="zones"):
            cut(np.ones((4, 4), bool), many)


def ways_by_hand(zones: ZoneMap, goal: int) -> dict[tuple[int, int], int]:
    """Cost from every (cell, heading) to a goal, crossing borders at gates alone: Dijkstra backwards, written anew."""
    height, width = zones.free.shape
    zone = zones.label.ravel()
    open_gates = set(zip(zones.gates.from_cell.tolist(), zones.gates.to_cell.tolist()))
    cost = {(goal, h): 0 for h in range(4)}
    heap = [(0, goal, h) for h in range(4)]
    while heap:
        spent, cell, heading = heapq.heappop(heap)
        if spent > cost[cell, heading]:
            continue
        before = [(cell, (heading + 1) % 4), (cell, (heading + 3) % 4)]
        y, x = cell // width - STEP[heading][0], cell % width - STEP[heading][1]
        if 0 <= y < height and 0 <= x < width and zones.free[y, x]:
            came = y * width + x
            if zone[came] == zone[cell] or (came, cell) in open_gates:
                before.append((came, heading))
        for state in before:
            if spent + UNIT < cost.get(state, NO_WAY):
                cost[state] = spent + UNIT
                heapq.heappush(heap, (spent + UNIT, *state))
    return cost


@given(layouts(), st.integers(0, 10**6))
@settings(max_examples=25)
def test_ways_over_gates_are_the_shortest_there_are(zones: ZoneMap, seed: int) -> None:
    by_cell = np.full((zones.free.size, 4), UNIT, np.int32)
    planners = [ZonePlanner(zones, z, by_cell, 1, depth=2) for z in range(zones.zones)]
    graph = GateGraph(zones, [planner.hops() for planner in planners])
    goal = int(np.random.default_rng(seed).choice(np.flatnonzero(zones.free)))
    home = int(zones.label.ravel()[goal])
    ways = graph.to_goals(home, planners[home].from_gates(np.array([goal], np.int32)))[0]
    hand = ways_by_hand(zones, goal)
    for way, cell, heading in zip(ways.tolist(), zones.gates.to_cell.tolist(), zones.gates.heading.tolist()):
        assert way == hand[cell, heading]


def write_problem(folder: Path, free: np.ndarray, starts: list[int], tasks: list[list[int]]) -> Path:
    rows = "\n".join("".join(".@"[1 - int(c)] for c in row) for row in free)
    (folder / "z.map").write_text(f"type octile\nheight {free.shape[0]}\nwidth {free.shape[1]}\nmap\n{rows}\n")
    (folder / "z.agents").write_text("\n".join(map(str, [len(starts), *starts])) + "\n")
    (folder / "z.tasks").write_text("\n".join([str(len(tasks)), *(",".join(map(str, t)) for t in tasks)]) + "\n")
    names = {"mapFile": "z.map", "agentFile": "z.agents", "taskFile": "z.tasks"}
    (folder / "z.json").write_text(json.dumps({**names, "teamSize": len(starts), "numTasksReveal": 1.5}))
    return folder / "z.json"


def random_problem(folder: Path, zones: ZoneMap, crowd: float, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    cells = np.flatnonzero(zones.free)
    robots = max(1, int(crowd * len(cells)))
    tasks = [rng.choice(cells, int(rng.integers(1, 4))).tolist() for _ in range(40)]
    return write_problem(folder, zones.free, rng.permutation(cells)[:robots].tolist(), tasks)


def play(
    problem: Path, zones: ZoneMap, steps: int, start: type = LocalZone, **fields: object
) -> tuple[ZonedRunner, Verdict]:
    """The runner after so many steps, and what the judge says."""
    with ZonedRunner(read_problem(problem), zones, Pace(rounds=40, clock=None), start=start, **fields) as runner:  # type: ignore[arg-type]
        for _ in range(steps):
            runner.step()
    return runner, judge(problem, runner)


def judge(problem: Path, runner: ZonedRunner) -> Verdict:
    runner.league.write(problem.parent / "out.json")
    return check_output(problem, problem.parent / "out.json")


def moves_over_borders(problem: Path, zones: ZoneMap) -> set[tuple[int, int]]:
    """(from, to) of every move between zones, from the written paths alone."""
    told = json.loads((problem.parent / "out.json").read_text())
    moves, width = set(), zones.free.shape[1]
    for (y, x, _), path in zip(told["start"], told["actualPaths"], strict=True):
        heading = 0
        for letter in path.split(","):
            heading = (heading + {"R": 1, "C": 3}.get(letter, 0)) % 4
            if letter == "F":
                came = (y, x)
                y, x = y + STEP[heading][0], x + STEP[heading][1]
                if zones.label[came] != zones.label[y, x]:
                    moves.add((came[0] * width + came[1], y * width + x))
    return moves


@given(layouts(), st.floats(0.05, 0.85), st.integers(0, 10**6), st.integers(2, 4))
@settings(max_examples=30)
def test_merged_plans_are_sound_and_borders_are_crossed_at_gates_alone(
    tmp_path_factory: pytest.TempPathFactory, zones: ZoneMap, crowd: float, seed: int, depth: int
) -> None:
    problem = random_problem(tmp_path_factory.mktemp("zones"), zones, crowd, seed)
    runner, verdict = play(problem, zones, 60, depth=depth, seed=seed)
    assert verdict.faults == () and verdict.steps == 60
    moves = moves_over_borders(problem, zones)
    assert moves <= set(zip(zones.gates.from_cell.tolist(), zones.gates.to_cell.tolist()))
    assert len(moves) == int((runner.crossings > 0).sum())


def longest_waits(folder: Path, zones: ZoneMap, seed: int) -> dict[int, int]:
    """Of each robot of a fifth as many as cells, whose errands lie anywhere, the longest time without doing one in 200 steps."""
    rng = np.random.default_rng(seed)
    cells = np.flatnonzero(zones.free)
    robots = max(1, len(cells) // 5)
    tasks = [rng.choice(cells, 2).tolist() for _ in range(robots)]
    problem = write_problem(folder, zones.free, rng.permutation(cells)[:robots].tolist(), tasks)
    runner, verdict = play(problem, zones, 200, depth=4, seed=seed)
    assert verdict.valid
    steps = {robot: [0, *(step for step, who, *_ in runner.league.record.events if who == robot), 200] for robot in range(robots)}
    return {robot: max(b - a for a, b in itertools.pairwise(times)) for robot, times in steps.items()}


@given(layouts(closed=0.0), st.integers(0, 10**6))
@settings(max_examples=12, derandomize=True)
def test_every_robot_reaches_its_goals(tmp_path_factory: pytest.TempPathFactory, zones: ZoneMap, seed: int) -> None:
    """On an open floor: nobody goes for long without doing an errand. Not on every floor, see below."""
    assert max(longest_waits(tmp_path_factory.mktemp("zones"), zones, seed).values()) < 120


@pytest.mark.xfail(strict=True, reason="a jam at the borders of three small zones, found by chance, takes 143 steps to dissolve")
def test_no_jam_at_borders_lasts_for_long(tmp_path: Path) -> None:
    assert max(longest_waits(tmp_path, cut(np.ones((11, 12), bool), 3), 289568).values()) < 120


def test_full_zones_still_change_robots(tmp_path: Path) -> None:
    """Four cells in five are taken, every task lies on both sides of a border six cells wide, and one zone is full."""
    zones = cut(np.ones((6, 12), bool), 2)
    rng = np.random.default_rng(3)
    sides = [np.flatnonzero(zones.label == z) for z in range(2)]
    tasks = [[int(rng.choice(sides[k % 2])), int(rng.choice(sides[1 - k % 2]))] for k in range(60)]
    problem = write_problem(tmp_path, zones.free, rng.permutation(72)[:57].tolist(), tasks)
    crossed, fullest = [0], 0
    with ZonedRunner(read_problem(problem), zones, Pace(rounds=20, clock=None), depth=4, start=LocalZone) as runner:
        for _ in range(4):
            for _ in range(50):
                runner.step()
                fullest = max(fullest, int(np.bincount(zones.label.ravel()[runner.league.cell]).max()))
            crossed.append(int(runner.crossings.sum()))
    assert judge(problem, runner).valid
    assert all(after >= before + 5 for before, after in itertools.pairwise(crossed)), crossed
    assert fullest <= int(runner._room[0]) == 32


def test_a_full_zone_lets_in_only_as_many_as_go_out(tmp_path: Path) -> None:
    zones = cut(np.ones((6, 12), bool), 2)
    problem = random_problem(tmp_path, zones, 0.1, 0)
    with ZonedRunner(read_problem(problem), zones, Pace(rounds=1, clock=None), start=LocalZone) as runner:
        out = np.flatnonzero(zones.gates.from_zone == 0)[:2]
        back = np.flatnonzero(zones.gates.from_zone == 1)[:1]
        gates, yes = np.concatenate([out, back]).astype(np.int32), np.ones(3, bool)
        waited = np.array([1, 5, 0])
        assert runner._leave_room(gates, yes, np.array([20, 20]), waited).tolist() == [True, True, True]
        assert runner._leave_room(gates, yes, np.array([20, 32]), waited).tolist() == [False, True, True]
        assert runner._leave_room(gates[:2], yes[:2], np.array([20, 32]), waited[:2]).tolist() == [False, False]
        assert runner._leave_room(gates, yes, np.array([36, 36]), waited).tolist() == [False, True, True]


def test_nobody_waits_at_the_gates_of_a_full_zone(tmp_path: Path) -> None:
    """Those from a zone with room stand aside; once there is room they go on."""
    zones = cut(np.ones((6, 12), bool), 2)
    problem = random_problem(tmp_path, zones, 0.3, 0)
    with ZonedRunner(read_problem(problem), zones, Pace(rounds=20, clock=None), depth=3, start=LocalZone) as runner:
        into = zones.gates.to_zone == 1
        runner._room[1] = 1
        for _ in range(12):
            runner.step()
            assert (zones.label.ravel()[runner.league.cell] == 1).sum() > 1, "the zone is not full any more"
        assert runner.crossings[into].sum() == runner.waits[into].sum() == 0 < runner.crossings[~into].sum()
        runner._room[1] = 30
        for _ in range(40):
            runner.step()
        assert runner.crossings[into].sum() > 0
    assert judge(problem, runner).valid


def test_granting_what_is_not_free_makes_the_merged_plan_unsound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zones = cut(np.ones((6, 10), bool), 2)
    problem = random_problem(tmp_path, zones, 0.6, 5)
    assert play(problem, zones, 60)[1].valid

    def reckless(route, rank, count, held, at, occ, i):  # type: ignore[no-untyped-def]
        held[i], occ[at[i], 0] = rank[i, 0], i
        return True

    monkeypatch.setattr("planning.zones_plan.admit", reckless)
    assert not play(problem, zones, 60)[1].valid


def outcome(runner: ZonedRunner) -> dict[str, object]:
    return {key: value for key, value in runner.league.output().items() if key != "plannerTimes"}


def test_processes_do_as_one_process_does_and_are_started_again_when_killed(tmp_path: Path) -> None:
    zones = cut(np.ones((8, 16), bool), 2)
    problem = random_problem(tmp_path, zones, 0.3, 1)
    alone, _ = play(problem, zones, 20)
    with ZonedRunner(read_problem(problem), zones, Pace(rounds=40, clock=None)) as runner:
        for _ in range(20):
            runner.step()
        assert outcome(runner) == outcome(alone) and runner.crossings.sum() > 0
        worker = runner._workers[1]
        assert isinstance(worker, ProcessZone)
        first, places = worker.process.pid, runner.league.cell.copy()
        os.kill(first, signal.SIGKILL)
        runner.step()
        assert runner.deaths == [(20, 1)] and worker.process.pid != first
        assert (runner.league.cell == places).all()
        done, crossed = runner.league.finished, runner.crossings.sum()
        for _ in range(60):
            runner.step()
        assert runner.league.finished > done and runner.crossings.sum() > crossed and len(runner.deaths) == 1
        processes = [w.process for w in runner._workers if isinstance(w, ProcessZone)]
    assert judge(problem, runner).valid
    assert all(process.poll() is not None for process in processes), "a process outlived its site"


class Mortal(LocalZone):
    """Zone 1 dies in the middle of a step, after it let comers in; for good if `deaths` are not used up."""

    deaths = 1

    def ask(self, method: str, *args: object) -> None:
        if self._spec.zone == 1 and method == "plan_step" and len(args[1]) and args[1].any() and Mortal.deaths > 0:  # type: ignore[arg-type, attr-defined]
            Mortal.deaths -= 1
            raise ZoneDiedError(1, "killed")
        super().ask(method, *args)


def test_a_zone_that_dies_between_grant_and_crossing_leaves_the_plan_sound(tmp_path: Path) -> None:
    zones = cut(np.ones((8, 16), bool), 3)
    problem = random_problem(tmp_path, zones, 0.5, 1)
    Mortal.deaths = 3
    runner, verdict = play(problem, zones, 80, start=Mortal)
    assert verdict.valid and [zone for _, zone in runner.deaths] == [1, 1, 1]
    reborn = runner._workers[1]
    assert isinstance(reborn, LocalZone)
    goals = reborn.planner._robots.goal
    assert len(goals) and (reborn.planner._way_row[goals[goals >= 0]] >= 0).all(), "it was not told the ways again"


def test_a_zone_that_dies_again_and_again_is_named(tmp_path: Path) -> None:
    zones = cut(np.ones((6, 10), bool), 2)
    problem = random_problem(tmp_path, zones, 0.2, 1)

    class Dead(LocalZone):
        def ask(self, method: str, *args: object) -> None:
            if self._spec.zone == 1:
                raise ZoneDiedError(1, "no memory")
            super().ask(method, *args)

    with pytest.raises(ZoneDiedError, match="zone 1: no memory") as caught:
        play(problem, zones, 10, start=Dead)
    assert caught.value.zone == 1


def test_a_silent_process_counts_as_dead_and_faults_of_a_zone_reach_the_caller() -> None:
    zones = cut(np.ones((4, 8), bool), 2)
    worker = ProcessZone(ZoneSpec(zones, 0, np.full((32, 4), UNIT, np.int32), 3, 2))
    try:
        worker.ask("from_gates", np.array([7], np.int32))  # a cell of the other zone
        with pytest.raises(InputError, match="goals: cell 7 is not free"):
            worker.answer()
        worker.ask("from_gates", np.array([3, 8, 9], np.int32))
        worker.ask("from_gates", np.array([3], np.int32))  # nobody waits for the first answer
        assert worker.answer().shape == (1, 2)
        os.kill(worker.process.pid, signal.SIGSTOP)
        worker._answer_s = 0.05
        worker.ask("hops")
        with pytest.raises(ZoneDiedError, match="zone 0: its process gave no answer"):
            worker.answer()
        worker._answer_s = 60.0
        worker.start()
        worker.ask("hops")
        assert worker.answer().shape == (2, 2)
    finally:
        worker.stop()


def test_the_generated_warehouse_is_a_problem_and_the_same_each_time(tmp_path: Path) -> None:
    texts = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = write_warehouse(tmp_path / folder, 50, seed=4)
        problem = read_problem(path)
        assert problem.robots == 50 and cut(problem.free, 4).zones == 4 and len(problem.stations)
        texts.append([file.read_text() for file in sorted((tmp_path / folder).iterdir())])
    assert texts[0] == texts[1]
    with pytest.raises(InputError, match="robots"):
        write_warehouse(tmp_path, 0)


def test_the_command_measures_both_and_writes_what_it_says(tmp_path: Path) -> None:
    told, out = tmp_path / "told.json", tmp_path / "out.json"
    problem = write_warehouse(tmp_path, 40)
    command = ["bench", "zones", problem, "--zones", 2, "--steps", 60, "--json", told, "--out", out]
    assert aislewise([str(part) for part in command]) == 0
    result = json.loads(told.read_text())
    assert result["valid"] and result["one_planner_valid"] and result["tasks"] == check_output(problem, out).tasks > 0
    assert result["throughput_loss"] == round(1 - result["tasks"] / result["one_planner_tasks"], 4)
    assert sum(row["cells"] for row in result["per_zone"]) == int(read_problem(problem).free.sum())
    assert sum(row["waits"] for row in result["per_zone"]) == result["waits_at_gates"]
    assert aislewise(["bench", "zones", "--zones", "0"]) != 0
