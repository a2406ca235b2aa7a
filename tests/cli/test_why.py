"""`aislewise why`: sentences from a running service or a store's file, exit status and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aislewise.clock import ManualClock
from aislewise.sitemap import SiteMap
from aislewise.types import Order, OrderLine
from cli.main import main
from planning.planner import Planner
from planning.rehearsal import Rehearsal
from planning.service import PlanningService
from planning.store import SqliteStore

ROOT = Path(__file__).parents[2]
Ask = Callable[..., int]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.sqlite"


@pytest.fixture
def service(file: Path) -> Iterator[PlanningService]:
    """Two robots after ten plans, with three orders."""
    site, clock = SiteMap.load(ROOT / "config" / "site.json"), ManualClock()
    faces, stations = site.of_kind("pick_face"), site.of_kind("station")
    with closing(SqliteStore(file)) as store:
        for k in range(3):
            store.submit(Order(f"A-{k}", (OrderLine(stations[0].id, pick_from=faces[k].id),)), 0)
        floor = Rehearsal(site, {f"robot_{k}": p.cell for k, p in enumerate(site.of_kind("parking")[:2])})
        planner = Planner(site, store)
        for _ in range(10):
            floor.obey(planner.step(floor.world(), floor.now_ns))
            floor.tick()
        clock.now_ns = floor.now_ns
        with PlanningService(store, site, clock, "tcp://127.0.0.1:*", floor=lambda: planner.floor) as running:
            yield running


@pytest.fixture
def ask(service: PlanningService) -> Ask:
    return lambda *arguments: main(["why", *arguments, "--endpoint", service.endpoint, "--timeout", "20"])


def test_an_order_has_its_robot_for_a_reason(ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "why.json"
    assert ask("A-0", "--json", str(out)) == 0
    printed = capsys.readouterr().out
    assert re.search(r"robot_[01] got it .* ago: it was to be there in [0-9.]+ s", printed)
    assert "It is to be delivered in" in printed
    why = json.loads(out.read_text())["why"]
    assert why["kind"] == "order" and why["live"] and why["text"] == printed.split("\n\n")[0].splitlines()
    assert why["chain"][0]["robot"] == why["state"].get("robot") or why["state"]["state"] == "PLANNED"


def test_a_robot_says_what_it_is_about(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("robot_0") == 0
    assert re.match(r"robot_0 (drives|picks|delivers|waits|has stood|parks|charges).*\n", capsys.readouterr().out)


def test_the_history_is_told_with_its_times(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("A-0", "--history") == 0
    lines = capsys.readouterr().out.split("All that is kept:\n")[1].splitlines()
    stamps = [float(m[1]) for m in (re.match(r"  t=([0-9.]+) s \(.* ago\)  .*\.$", line) for line in lines) if m]
    assert len(stamps) == len(lines) >= 2 and stamps == sorted(stamps)


def test_a_store_is_asked_without_a_service(
    ask: Ask, service: PlanningService, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = []
    for k, arguments in enumerate((["--endpoint", service.endpoint, "--timeout", "20"], ["--store", str(file)])):
        out = tmp_path / f"{k}.json"
        assert main(["why", "A-0", "--history", "--json", str(out), *arguments]) == 0
        answers.append(json.loads(out.read_text())["why"])
    assert answers[0]["decisions"] == answers[1]["decisions"]
    assert answers[0]["live"] and not answers[1]["live"] and answers[1]["chain"] == []


def test_an_unknown_id_is_an_error_that_names_those_near_it(ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "why.json"
    assert ask("A-O", "--json", str(out)) == 2
    assert "near it are A-" in capsys.readouterr().err
    assert json.loads(out.read_text())["error"]["code"] == "NOT_FOUND"


def test_a_file_that_is_no_store_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "A-0", "--store", str(tmp_path / "none.sqlite")]) == 2
    assert "none.sqlite" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_service_that_is_away_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "A-0", "--endpoint", "tcp://127.0.0.1:1", "--timeout", "0.05", "--retries", "0"]) == 2
    assert "no answer" in capsys.readouterr().err
