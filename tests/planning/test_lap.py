"""Linear assignment against scipy, brute force and its own proof."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from aislewise.errors import InputError
from cli.main import main
from planning.lap import FORBIDDEN, Assignment, assign


def table(seed: int, most: int = 7) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, most, 2))
    costs = rng.integers(-5, int(rng.choice([3, 30, 10_000])), shape)
    costs[rng.random(shape) < rng.choice([0.0, 0.3, 0.8])] = FORBIDDEN
    return costs


def best(costs: np.ndarray) -> tuple[int, int]:
    """(most pairs, their least cost), by trying all."""
    rows, cols = costs.shape
    out = (0, 0)
    for n in range(1, min(rows, cols) + 1):
        sums = [
            int(costs[list(r), list(c)].sum()) for r in itertools.combinations(range(rows), n) for c in itertools.permutations(range(cols), n)
        ]
        good = [s for s in sums if s < FORBIDDEN // 2]
        if good:
            out = (n, min(good))
    return out


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6))
def test_most_pairs_at_least_cost_whatever_is_forbidden(seed: int) -> None:
    costs = table(seed, 6)
    found = assign(costs)
    assert (int((found.column >= 0).sum()), found.cost) == best(costs)
    assert found.proven(costs)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_large_tables_cost_what_scipy_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 120, 2))
    xy = rng.integers(0, 60, (sum(shape), 2))
    costs = np.abs(xy[: shape[0], None] - xy[None, shape[0] :]).sum(-1)  # many ties
    found = assign(costs)
    assert found.cost == int(costs[linear_sum_assignment(costs)].sum())
    assert int((found.column >= 0).sum()) == min(shape) and found.proven(costs)


def test_a_proof_of_something_worse_is_refused() -> None:
    costs = np.array([[1, 2], [1, 5]])
    found = assign(costs)
    assert found.column.tolist() == [1, 0] and found.cost == 3
    worse = Assignment(np.array([0, 1]), 6, found.row_price, found.column_price)
    assert not worse.proven(costs)
    assert not Assignment(found.column, 3, found.row_price + 1, found.column_price).proven(costs)


def test_nothing_to_pair_and_costs_out_of_range() -> None:
    assert assign(np.empty((0, 3))).column.tolist() == [] and assign(np.empty((2, 0))).column.tolist() == [-1, -1]
    assert assign([[FORBIDDEN]]).column.tolist() == [-1]
    with pytest.raises(InputError, match="costs"):
        assign([[FORBIDDEN // 1000]])
    with pytest.raises(InputError, match="costs"):
        assign([1, 2])


def test_the_command_compares_and_proves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "f.json"
    assert main(["bench", "assign", "--robots", "30", "--orders", "60", "--seeds", "1", "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    assert result["valid"] and [r["kind"] for r in result["instances"]] == ["travel", "uniform"]
    assert all(r["proven"] and r["cost"] == r["scipy_cost"] and r["flow_cost_ratio"] >= 1.0 for r in result["instances"])
    assert main(["bench", "assign", "--robots", "0"]) != 0 and "robots" in capsys.readouterr().err
