"""`aislewise plan`: problems as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aislewise.errors import InputError, UnknownPlaceError, UnreachableError
from cli.main import main
from planning.problem import Problem, solve

EXAMPLE = Path(__file__).parents[2] / "examples" / "problem.json"


def body() -> Any:
    return json.loads(EXAMPLE.read_text())


def read(data: Any) -> Problem:
    return Problem.from_json(json.dumps(data).encode())


def test_the_example_is_planned_to_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "plan.json"
    assert main(["plan", str(EXAMPLE), "--json", str(out)]) == 0
    plan = json.loads(out.read_text())
    assert plan["ok"] and plan["violations"] == [] and plan["solver"] in ("insertion", "lns", "routing")
    assert {row["state"] for row in plan["orders"].values()} == {"DONE"}
    assert set(plan["robots"]) == {f"robot-{k}" for k in (1, 2, 3, 4)}
    x, y, t = plan["robots"]["robot-4"]["path"][0]
    assert (x, y, t) == (4.5, 0.5, 0.0)
    assert "order-7" in capsys.readouterr().out


def test_the_same_problem_gives_the_same_plan() -> None:
    assert solve(Problem.load(EXAMPLE)) == solve(Problem.load(EXAMPLE))


def test_nobody_drives_through_a_keep_out() -> None:
    plan = solve(Problem.load(EXAMPLE))
    assert all([4.5, 5.5] != point[:2] for row in plan["robots"].values() for point in row["path"])


def test_goods_on_board_at_the_start_are_delivered() -> None:
    data = body()
    data["robots"][0]["load"] = ["order-1"]
    plan = solve(read(data))
    assert plan["ok"] and plan["orders"]["order-1"]["robot"] == "robot-1"
    mine = [t for t in plan["robots"]["robot-1"]["tasks"] if t["id"] == "order-1:0"]
    assert [t["kind"] for t in mine] == ["drop"]


def test_a_problem_that_cannot_be_finished_is_not_ok() -> None:
    data = body()
    data["orders"][0]["capability"] = "fork"
    data["config"]["unroutable_after_s"] = 30.0
    plan = solve(read(data))
    assert not plan["ok"] and plan["orders"]["order-1"]["state"] == "UNROUTABLE"
    assert plan["orders"]["order-1"]["reason"].startswith("CAPABILITY")


def change(*path: Any, value: Any) -> Any:
    data = body()
    at = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("data", "field", "kind"),
    [
        (change("robots", 0, "cell", value=-5), "robots[0].cell", InputError),
        (change("robots", 0, "cell", value=19), "robots[0].cell", InputError),
        (change("robots", 1, "cell", value=99), "robots[1].cell", InputError),
        (change("robots", 3, "x_m", value=1e9), "robots[3].x_m", InputError),
        (change("robots", 1, "id", value="robot-1"), "robots[1].id", InputError),
        (change("robots", 0, "battery", value=1.5), "robots[0].battery", InputError),
        (change("robots", 0, "load", value=["nope"]), "robots[0].load", InputError),
        (change("robots", 0, value={"id": "r"}), "robots[0]", InputError),
        (change("robots", value=[]), "robots", InputError),
        (change("orders", 0, "lines", 0, "sku", value="NOPE"), "orders[0].lines[0].sku", UnknownPlaceError),
        (change("orders", 0, "lines", 0, "deliver_to", value="x"), "orders[0].lines[0].deliver_to", UnknownPlaceError),
        (change("orders", 0, "lines", 0, "quantity", value=0), "orders[0].lines[0].quantity", InputError),
        (change("orders", 0, "lines", 0, "quantity", value="two"), "orders[0].lines[0].quantity", InputError),
        (change("orders", 1, "order_id", value="order-1"), "orders[1].order_id", InputError),
        (change("keep_outs", 0, "polygon", value=[[0, 0]]), "keep_outs[0].polygon", InputError),
        (change("config", "capacity", value=0), "capacity", InputError),
        (change("config", "speed", value=1), "config.speed", InputError),
        (change("config", "speed_mps", value="fast"), "config.speed_mps", InputError),
        (change("site", "cells", value=["..", "..."]), "site.cells", InputError),
        (change("site", value="missing.json"), "site", InputError),
        (change("colour", value="red"), "colour", InputError),
    ],
)
def test_what_is_wrong_is_named(data: Any, field: str, kind: type[InputError]) -> None:
    with pytest.raises(kind) as caught:
        read(data)
    assert caught.value.field == field


def test_a_walled_in_face_is_unreachable() -> None:
    data = body()
    rows = data["site"]["cells"]
    rows[3], rows[5] = "####.####", "####.####"
    rows[3] = "#" + rows[3][1:]
    data["orders"] = [data["orders"][0]]
    rows[4] = ".#" + rows[4][2:]
    data["robots"] = data["robots"][:1]
    with pytest.raises(UnreachableError) as caught:
        read(data)
    assert caught.value.field == "orders[0].lines[0].sku"


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_garbage_is_refused(raw: bytes) -> None:
    with pytest.raises(InputError):
        Problem.from_json(raw)


def test_the_command_reports_bad_input_with_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(tmp_path / "none.json"), "--json", str(tmp_path / "e.json")]) == 2
    assert json.loads((tmp_path / "e.json").read_text())["error"]["field"] == "problem"
    assert "Traceback" not in capsys.readouterr().err
