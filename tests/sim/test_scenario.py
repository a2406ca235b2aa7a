"""Scenarios are checked before a shift begins; orders follow from them alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from sim.demand import make_orders
from sim.scenario import Scenario, load_scenario, scenario_from
from sim.warehouse import WarehouseConfig, generate

SITE = generate(WarehouseConfig(), np.random.default_rng(0)).site


def test_the_demo_scenario_is_what_the_readme_says() -> None:
    scenario = load_scenario("shift")
    assert (scenario.robots, scenario.orders, scenario.people, scenario.forklifts) == (6, 20, 4, 1)
    assert {e.kind for e in scenario.events} == {"wet_floor", "blocked_aisle"}
    assert scenario.instruction is not None and "blue tote near charger 2" in scenario.instruction.text
    assert scenario.instruction.target in {i.id for i in scenario.items}
    assert scenario.gates.max_collisions == 0


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ([], "scenario"),
        ({"robot_count": 3}, "robot_count"),
        ({"robots": "six"}, "robots"),
        ({"robots": True}, "robots"),
        ({"robots": 500}, "robots"),
        ({"duration_s": float("nan")}, "duration_s"),
        ({"battery": [0.5]}, "battery"),
        ({"battery": [0.9, 0.2]}, "battery"),
        ({"events": [{"kind": "meteor", "at_s": 1}]}, "events.kind"),
        ({"events": [{"at_s": 1}]}, r"events\[0\]"),
        ({"events": [{"kind": "wet_floor", "at_s": 1, "at": [1]}]}, r"events\[0\].at"),
        ({"items": [{"id": "a", "cls": "dragon", "near": "charger_1"}]}, "items.a.cls"),
        ({"items": [{"id": "a", "cls": "tote", "near": "charger_1"}] * 2}, "items"),
        ({"instruction": {"text": "", "at_s": 1}}, "instruction.text"),
        ({"warehouse": {"width": 3}}, "warehouse.width"),
        ({"gates": {"min_done_share": 2}}, "gates.min_done_share"),
        ({"robot": {"speed_mps": 0}}, "robot.speed_mps"),
    ],
)
def test_a_bad_scenario_names_its_field(data: Any, field: str) -> None:
    with pytest.raises(InputError, match=field):
        scenario_from(data)


def test_unreadable_files_are_typed_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        load_scenario(tmp_path / "none.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("robots: [")
    with pytest.raises(InputError, match="cannot read"):
        load_scenario(bad)
    bad.write_bytes(b"#" * 1_100_000)
    with pytest.raises(InputError, match="bytes"):
        load_scenario(bad)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60))
def test_orders_are_distinct_servable_and_in_time(seed: int, count: int) -> None:
    scenario = Scenario(seed=seed, orders=count)
    orders = make_orders(scenario, SITE)
    assert orders == make_orders(scenario, SITE)
    assert len({o.order_id for o in orders}) == len(orders) == count
    assert [o.release_ns for o in orders] == sorted(o.release_ns for o in orders)
    for order in orders:
        assert 0 <= order.release_ns <= scenario.release_s * 1e9
        assert order.due_ns == 0 or order.due_ns > order.release_ns
        for line in order.lines:
            assert bool(line.pick_from) != bool(line.sku)
            assert SITE.place(line.deliver_to).kind == "station"
            assert SITE.place(line.pick_from or SITE.skus[line.sku]).kind == "pick_face"


def test_other_seeds_give_other_orders() -> None:
    assert make_orders(Scenario(seed=1), SITE) != make_orders(Scenario(seed=2), SITE)
