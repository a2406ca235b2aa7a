"""Detections by class and range: each truth and each claim is counted once, where it belongs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.types import ObjectClass
from fusion.evaluate import RANGE_STEP_M, SURE, by_range, class_precisions

PERSON, TOTE = ObjectClass.PERSON, ObjectClass.TOTE


@dataclass
class Thing:
    """Either a truth or a claim."""

    cls: ObjectClass
    position: tuple[float, float]
    score: float = 0.9
    ignore: bool = False


def rows(found: list[list[Thing]], truth: list[list[Thing]]) -> dict[tuple[str, float], dict[str, Any]]:
    return {(cls, row["from_m"]): row for cls, part in by_range(found, truth).items() for row in part}


def test_what_is_found_counts_where_its_truth_is_and_a_false_claim_where_it_is_made() -> None:
    truth = [Thing(TOTE, (2.9, 0.0)), Thing(TOTE, (0.0, 7.0)), Thing(PERSON, (4.0, 0.0))]
    found = [Thing(TOTE, (3.2, 0.0)), Thing(TOTE, (10.0, 0.0)), Thing(PERSON, (4.1, 0.0)), Thing(PERSON, (5.0, 0.0))]
    got = rows([found], [truth])
    assert got["tote", 0.0] == {"from_m": 0.0, "to_m": 3.0, "truths": 1, "claims": 1, "recall": 1.0, "precision": 1.0, "ap": 1.0}
    assert (got["tote", 6.0]["recall"], got["tote", 6.0]["precision"]) == (0.0, None)
    assert (got["tote", 9.0]["recall"], got["tote", 9.0]["precision"], got["tote", 9.0]["ap"]) == (None, 0.0, None)
    assert (got["person", 3.0]["recall"], got["person", 3.0]["precision"]) == (1.0, 0.5)


def test_what_may_be_missed_neither_helps_nor_harms_and_doubtful_claims_only_count_for_precision_over_scores() -> None:
    truth = [Thing(TOTE, (1.0, 0.0), ignore=True), Thing(TOTE, (2.0, 0.0))]
    found = [Thing(TOTE, (1.0, 0.0)), Thing(TOTE, (2.0, 0.0), score=SURE - 0.01)]
    (row,) = rows([found], [truth]).values()
    assert (row["truths"], row["claims"], row["recall"], row["precision"], row["ap"]) == (1, 0, 0.0, None, 1.0)


things = st.lists(
    st.builds(
        Thing, st.sampled_from([PERSON, TOTE]), st.tuples(st.floats(-12.0, 12.0), st.floats(-12.0, 12.0)),
        st.floats(0.0, 1.0), st.booleans(),
    ), max_size=8,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(things, things), max_size=4))
def test_the_ranges_add_up_to_the_whole(frames: list[tuple[list[Thing], list[Thing]]]) -> None:
    found, truth = [f for f, _ in frames], [t for _, t in frames]
    table = by_range(found, truth)
    for cls in (PERSON, TOTE):
        part = table.get(cls.name.lower(), [])
        assert sum(r["truths"] for r in part) == sum(t.cls is cls and not t.ignore for frame in truth for t in frame)
        assert [r["from_m"] for r in part] == sorted({r["from_m"] for r in part})
        for row in part:
            assert row["to_m"] - row["from_m"] == RANGE_STEP_M
            hits = row["truths"] * (row["recall"] or 0.0), row["claims"] * (row["precision"] or 0.0)
            if row["truths"]:
                assert hits[0] == pytest.approx(hits[1], abs=0.01)
            assert all(v is None or 0.0 <= v <= 1.0 for v in (row["recall"], row["precision"], row["ap"]))


@settings(max_examples=40, deadline=None)
@given(things, things)
def test_with_one_range_for_all_it_is_the_average_precision_per_class(found: list[Thing], truth: list[Thing]) -> None:
    whole = by_range([found], [truth], step_m=100.0)
    for cls, ap in class_precisions([found], [truth]).items():
        assert whole[cls][0]["ap"] == pytest.approx(ap, abs=1e-4)
    assert np.isfinite([row["ap"] for rows_ in whole.values() for row in rows_ if row["ap"] is not None]).all()
