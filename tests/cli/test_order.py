"""`aislewise order` and `aislewise serve`: exit status, output and JSON results."""

from __future__ import annotations

import io
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aislewise.clock import ManualClock
from aislewise.sitemap import SiteMap
from aislewise.types import OrderState
from cli.main import main
from planning.service import PlanningService
from planning.store import MemoryStore

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "examples" / "orders.json")


@pytest.fixture
def service() -> Iterator[PlanningService]:
    site = SiteMap.load(ROOT / "config" / "site.json")
    with PlanningService(MemoryStore(), site, ManualClock(1_500_000_000), "tcp://127.0.0.1:*") as running:
        yield running


@pytest.fixture
def store(service: PlanningService) -> MemoryStore:
    return service.handler._store  # type: ignore[return-value]


@pytest.fixture
def order(service: PlanningService, tmp_path: Path) -> Callable[..., tuple[int, Any]]:
    """Runs `aislewise order ...`; exit status and JSON result."""

    def run(*arguments: str) -> tuple[int, Any]:
        out = tmp_path / "result.json"
        out.unlink(missing_ok=True)
        status = main(["order", *arguments, "--connect", service.endpoint, "--timeout", "20", "--json", str(out)])
        return status, json.loads(out.read_text())

    return run


def test_submitting_twice_is_submitting_once(order: Any, store: MemoryStore) -> None:
    first = order("submit", EXAMPLE)
    assert first[0] == 0 and first[1]["ok"]
    assert order("submit", EXAMPLE) == first
    assert len(store.list()) == len(first[1]["results"])


def test_a_refused_order_is_told_beside_those_accepted(
    order: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [{"sku": "SKU-0001", "deliver_to": "station_1"}]
    orders = [{"order_id": "good", "lines": lines}, {"order_id": "bad", "lines": [{**lines[0], "sku": "none"}]}]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(orders).encode())))
    status, result = order("submit", "-")
    assert (status, result["ok"]) == (1, False)
    assert [item["ok"] for item in result["results"]] == [True, False]
    assert result["results"][1]["error"]["field"] == "lines[0].sku"
    assert "bad  refused  UNKNOWN" in capsys.readouterr().out


def test_status_cancel_and_list(order: Any, capsys: pytest.CaptureFixture[str]) -> None:
    order("submit", EXAMPLE)
    assert order("status", "A-1001")[1]["record"]["state"] == "RECEIVED"
    assert order("cancel", "A-1001")[1]["record"]["state"] == "CANCELLING"
    capsys.readouterr()
    status, result = order("list", "--state", "CANCELLING")
    assert status == 0
    assert [r["order"]["order_id"] for r in result["orders"]] == ["A-1001"]
    assert capsys.readouterr().out == "A-1001  CANCELLING  0/1 lines\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["status", "none"], "NOT_FOUND"),
        (["list", "--state", "LOST"], "INVALID"),
        (["submit", "/no/such/file"], "INVALID"),
        (["submit", "EMPTY"], "INVALID"),
    ],
)
def test_wrong_calls_exit_with_2_and_a_typed_error(
    order: Any, arguments: list[str], code: str, tmp_path: Path
) -> None:
    (tmp_path / "EMPTY").write_text("[]")
    arguments = [str(tmp_path / a) if a == "EMPTY" else a for a in arguments]
    status, result = order(*arguments)
    assert (status, result["ok"], result["error"]["code"]) == (2, False, code)


def test_nobody_at_the_endpoint_is_a_typed_error(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    arguments = ["--connect", "tcp://127.0.0.1:9", "--timeout", "0.02", "--retries", "0", "--json", str(out)]
    assert main(["order", "list", *arguments]) == 2
    assert json.loads(out.read_text())["error"]["code"] == "UNAVAILABLE"


@pytest.mark.parametrize(("end", "status"), [(OrderState.DONE, 0), (OrderState.FAILED, 1)])
def test_watch_tells_an_orders_history_and_ends_with_it(
    order: Any, store: MemoryStore, end: OrderState, status: int
) -> None:
    order("submit", EXAMPLE)

    def drive() -> None:
        time.sleep(0.1)
        for state in (OrderState.PLANNED, OrderState.ASSIGNED, OrderState.RUNNING, end):
            store.transition("A-1001", state, 2_000_000_000, robot="r1")

    robot = threading.Thread(target=drive)
    robot.start()
    ended, result = order("watch", "A-1001")
    robot.join()
    assert ended == status
    assert [e["state"] for e in result["events"]] == ["RECEIVED", "PLANNED", "ASSIGNED", "RUNNING", end.value]


def test_serve_names_what_it_cannot_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text").write_text("no database")
    for arguments, word in (
        (["--site", str(tmp_path / "none.json")], "none.json"),
        (["--store", str(tmp_path / "text")], "not a database"),
        (["--store", ":memory:", "--bind", "tcp://nowhere"], "bind"),
    ):
        assert main(["serve", *arguments]) == 2
        assert word in capsys.readouterr().err
    assert not (tmp_path / "text.lock").exists()
