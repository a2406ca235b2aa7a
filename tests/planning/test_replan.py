"""Plans after a change, judged by the checker, and the checker judged by plans that are wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.main import main
from planning.config import PlannerConfig
from planning.replan import CHANGES, Floor
from planning.replan_check import check
from planning.replan_file import PlansFile
from sim.layouts import WarehouseConfig
from sim.warehouse import generate

HALL = WarehouseConfig(width=40, height=40, layout="fulfilment", stations=6, chargers=4, parking=4)


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Changes of all kinds, with goods on board, on a floor that is partly closed."""
    floor = Floor(generate(HALL, np.random.default_rng(1)).site, 10, 45, 2, PlannerConfig(search_rounds=60, sequence_loads=0))
    floor.change()
    file = tmp_path_factory.mktemp("replan") / "plans.jsonl"
    with PlansFile(file, floor) as out:
        for _ in range(12 * len(CHANGES)):
            floor.go_on()
            before = dict(floor.in_force)
            first = floor.change()
            out.write(first, floor.search(), before)
    return file


def test_every_plan_is_whole_and_none_is_worse_than_the_one_in_force(plans: Path) -> None:
    verdict = check(plans)
    assert verdict.faults == [] and verdict.changes == 12 * len(CHANGES)
    assert 0 < verdict.better < verdict.first
    lines = [json.loads(line) for line in plans.read_text().splitlines()[1:]]
    assert {line["kind"] for line in lines} == {"order", "cancel", "closure", "reopening", "robot lost", "robot back"}
    assert any(load[4] for line in lines for order in line["orders"].values() for load in order[3])
    assert any(line["waiting"] for line in lines) and any(len(line["closed"]) > 3 for line in lines)


def busiest(plan: dict[str, Any]) -> str:
    return max(plan, key=lambda robot: (len(plan[robot]), robot))


def lose(change: dict[str, Any]) -> None:
    plan = change["better"]
    plan[busiest(plan)].pop()


def twice(change: dict[str, Any]) -> None:
    plan = change["better"]
    robot = busiest(plan)
    plan[next(other for other in plan if other != robot)] += plan[robot][-2:]


def drop_first(change: dict[str, Any]) -> None:
    stops = change["better"][busiest(change["better"])]
    k = next(k for k, stop in enumerate(stops) if stop[1] == "pick")
    drop = stops.index([stops[k][0], "drop"])
    stops[k], stops[drop] = stops[drop], stops[k]


def reorder(change: dict[str, Any]) -> None:
    change["first"][busiest(change["first"])].reverse()


def overload(change: dict[str, Any]) -> None:
    plan = change["better"]
    robot = busiest(plan)
    plan[robot].sort(key=lambda stop: stop[1] == "drop")


def shut(change: dict[str, Any]) -> None:
    load = next(stop[0] for stop in change["better"][busiest(change["better"])] if stop[1] == "drop")
    change["closed"].append(next(item[2] for order in change["orders"].values() for item in order[3] if item[0] == load))


def worsen(change: dict[str, Any]) -> None:
    plan = change["better"] = json.loads(json.dumps(change["first"]))
    robot = busiest(plan)
    pairs = [stop for stop in plan[robot] if [stop[0], "pick"] in plan[robot]]
    aboard = [stop for stop in plan[robot] if stop not in pairs]
    loads = list(dict.fromkeys(stop[0] for stop in pairs))[::-1]
    plan[robot] = aboard + [[load, what] for load in loads for what in ("pick", "drop")]


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (lose, "left out without a reason"), (twice, "goes with two robots"), (drop_first, "out of turn"), (reorder, "loses or swaps"),
        (overload, "carries"), (shut, "no way from"), (worsen, "better costs"),
    ],
)  # fmt: skip
def test_the_checker_finds(wrong: Callable[[dict[str, Any]], None], fault: str, plans: Path, tmp_path: Path) -> None:
    head, *lines = plans.read_text().splitlines()
    change = json.loads(lines[5])
    wrong(change)
    file = tmp_path / "wrong.jsonl"
    file.write_text(f"{head}\n{json.dumps(change)}\n")
    assert any(fault in found for found in check(file).faults)


def test_the_command_says_how_soon_and_how_good(tmp_path: Path) -> None:
    words = ["bench", "replan", "--robots", "6", "--orders", "24", "--changes", "8", "--peer-every", "8", "--peer-limit", "0.1"]
    assert main([*words, "--json", str(tmp_path / "f.json"), "--plans", str(tmp_path / "plans.jsonl")]) == 0
    result = json.loads((tmp_path / "f.json").read_text())
    assert result["valid"] and result["checked"] == 8 and len(result["rows"]) == 8
    assert set(result["ms"]) == {"p50", "p99", "max"} and "searched_over_peer" in result
    assert main(["bench", "replan", "--robots", "1"]) != 0
