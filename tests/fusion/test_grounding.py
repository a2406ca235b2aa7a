"""Grounding: from parsed words to one object, one place, or the right question."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aislewise.errors import InputError
from aislewise.sitemap import Place, SiteMap
from aislewise.types import (
    Colour,
    GroundedInstruction,
    GroundingStatus,
    Instruction,
    ObjectClass,
    Phrase,
    WorldObject,
    WorldState,
)
from fusion.grounding import ground
from fusion.referents import GroundingConfig, looks_like
from perception.language import parse

BLUE, RED = Colour.BLUE, Colour.RED
TOTE, PALLET, FORKLIFT, WET = ObjectClass.TOTE, ObjectClass.PALLET, ObjectClass.FORKLIFT, ObjectClass.WET_FLOOR
GROUNDED, AMBIGUOUS = GroundingStatus.GROUNDED, GroundingStatus.AMBIGUOUS
NOT_FOUND, REFUSED = GroundingStatus.NOT_FOUND, GroundingStatus.REFUSED


def site() -> SiteMap:
    def place(name: str, kind: str, col: int, row: int, yaw: float = 0.0) -> Place:
        return Place(name, kind, row * 40 + col, col + 0.5, row + 0.5, yaw)

    places = [
        place("station_1", "station", 5, 1, -math.pi / 2), place("station_2", "station", 15, 1, -math.pi / 2),
        place("charger_1", "charger", 1, 10, math.pi), place("charger_2", "charger", 1, 20, math.pi),
        place("parking_1", "parking", 25, 1),
        *(place(f"F03-{n:02d}-L", "pick_face", 20, 10 + 3 * n) for n in range(1, 5)),
    ]  # fmt: skip
    return SiteMap("test", 1.0, 0.0, 0.0, np.zeros((40, 40), np.uint8), {p.id: p for p in places})


def sharp(size: int, index: int | None, p: float = 0.95) -> np.ndarray:
    out = np.full(size, 1.0 / size if index is None else (1.0 - p) / (size - 1), np.float32)
    if index is not None:
        out[index] = p
    return out


def thing(
    name: str, cls: ObjectClass, x: float, y: float, colour: Colour | None = None, loaded: float = 0.0,
    vest: float = 0.0, yaw: float = 0.0, existence: float = 0.95, embedding: np.ndarray | None = None,
) -> WorldObject:  # fmt: skip
    return WorldObject(
        id=name, class_probs=sharp(7, cls), colour_probs=sharp(8, colour),
        attributes=np.array([vest, loaded], np.float32), position=np.array([x, y, 0.2]), yaw_rad=yaw,
        size=np.array([0.6, 0.4, 0.4]), velocity=np.zeros(2), covariance=np.eye(4) * 0.01,
        existence=existence, embedding=np.zeros(32, np.float32) if embedding is None else embedding,
        first_seen_ns=0, last_seen_ns=0, seen_by=("r1",),
    )  # fmt: skip


def ask(text: str, *objects: WorldObject) -> GroundedInstruction:
    return ground(parse(text), WorldState(1, 0, objects, ()), site())


SCENE = (
    thing("blue_near", TOTE, 3.0, 20.0, BLUE), thing("blue_far", TOTE, 30.0, 30.0, BLUE),
    thing("red", TOTE, 30.0, 10.0, RED), thing("spill", WET, 10.0, 10.0),
    thing("full", PALLET, 12.0, 30.0, loaded=0.95), thing("bare", PALLET, 18.0, 30.0, loaded=0.05),
)  # fmt: skip


def test_the_demo_instruction_grounds_target_destination_and_what_to_avoid() -> None:
    got = ask("bring the blue tote near charger 2 to station 1, keep away from the wet floor", *SCENE)
    assert (got.status, got.target_id, got.destination) == (GROUNDED, "blue_near", "station_1")
    assert got.avoid_ids == ("spill",) and got.question == ""
    assert got.candidates[0][0] == "blue_near" and got.candidates[0][1] > 0.5


def test_two_that_fit_are_asked_about_by_what_tells_them_apart() -> None:
    got = ask("bring the blue tote to station 1", *SCENE)
    assert got.status is AMBIGUOUS and {c for c, _ in got.candidates} == {"blue_near", "blue_far"}
    assert "Which of 2" in got.question and "charger 2" in got.question and got.target_id == ""
    got = ask("bring the tote to station 1", *SCENE[1:3])
    assert "the blue tote or the red tote" in got.question


def test_questions_differ_even_for_twins_side_by_side() -> None:
    got = ask("bring the tote to station 1", thing("a", TOTE, 10.0, 10.0, BLUE), thing("b", TOTE, 10.0, 10.2, BLUE))
    named = got.question.removeprefix("Which of 2: ").rstrip("?").split(" or ")
    assert got.status is AMBIGUOUS and len(set(named)) == 2


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("the loaded pallet", "full"),
        ("the empty pallet", "bare"),
        ("the tote closest to charger 2", "blue_near"),
        ("the pallet next to the tote", "beside"),
        ("the pallet left of the forklift", "fork_left"),
        ("the pallet right of the forklift", "fork_right"),
        ("the pallet behind the forklift", "fork_behind"),
        ("the pallet in front of the forklift", "fork_ahead"),
        ("the box in aisle 3", "in_lane"),
        ("the box near F03-02-L", "in_lane"),
        ("the box between charger 1 and charger 2", "middle"),
        ("the box between chargers 1 and 2", "middle"),
        ("the box left of station 1", "east"),
        ("the box right of station 1", "west"),
        ("the box in front of station 2", "front"),
        ("the box on the red pallet", "on_top"),
    ],
)
def test_relations_pick_the_object_they_describe(words: str, found: str) -> None:
    box = ObjectClass.BOX
    scenes = {
        "pallet": [thing("full", PALLET, 12, 30, loaded=0.95), thing("bare", PALLET, 18, 30, loaded=0.05)],
        "forklift": [
            thing("fork", FORKLIFT, 20, 20, yaw=0.0), thing("fork_left", PALLET, 20, 23),
            thing("fork_right", PALLET, 20, 17), thing("fork_behind", PALLET, 17, 20),
            thing("fork_ahead", PALLET, 23, 20),
        ],
        "next to the tote": [
            thing("t", TOTE, 8, 8, BLUE), thing("beside", PALLET, 9, 8), thing("away", PALLET, 20, 8),
        ],
        "closest": list(SCENE[:3]),
        "box": [
            thing("in_lane", box, 20.4, 16.0), thing("middle", box, 1.6, 15.0), thing("east", box, 8.4, 1.5),
            thing("west", box, 2.6, 1.5), thing("front", box, 15.5, 4.0),
        ],
        "on the red pallet": [
            thing("rp", PALLET, 30, 30, RED), thing("on_top", box, 30.1, 30), thing("off", box, 32, 30),
        ],
    }  # fmt: skip
    key = next(k for k in ("forklift", "next to the tote", "closest", "on the red pallet", "box", "pallet")
               if k in words)  # fmt: skip
    got = ask(f"bring {words} to station 2", *scenes[key])
    assert (got.status, got.target_id) == (GROUNDED, found), got.question


def test_an_object_is_not_its_own_anchor() -> None:
    got = ask("bring the tote next to the tote to station 1", SCENE[0], SCENE[1])
    assert got.status is NOT_FOUND


def test_colour_nobody_has_seen_is_not_taken_for_the_colour_asked_for() -> None:
    unseen = thing("unseen", TOTE, 3.0, 20.0, None)
    assert ask("bring the blue tote to station 1", unseen).status is NOT_FOUND
    assert ask("bring the blue tote to station 1", unseen, SCENE[1]).target_id == "blue_far"


def test_an_unlikely_object_is_not_acted_on_but_named() -> None:
    ghost = thing("ghost", TOTE, 3.0, 20.0, BLUE, existence=0.3)
    got = ask("bring the blue tote to station 1", ghost)
    assert got.status is NOT_FOUND and got.candidates[0][0] == "ghost" and "Is it" in got.question


def test_embedding_tilts_between_lookalikes_but_never_overrules_words() -> None:
    e = np.eye(32, dtype=np.float32)
    said = parse("bring the tote to station 1")
    assert said.target is not None
    said = replace(said, target=replace(said.target, embedding=e[0]))
    pair = (thing("a", TOTE, 5, 5, BLUE, embedding=e[0]), thing("b", TOTE, 9, 9, BLUE, embedding=e[1]))
    got = ground(said, WorldState(1, 0, pair, ()), site())
    assert got.status is AMBIGUOUS and got.candidates[0][0] == "a"
    pallet = thing("p", PALLET, 5, 5, embedding=e[0])
    assert ground(said, WorldState(1, 0, (pallet, pair[1]), ()), site()).target_id == "b"


@pytest.mark.parametrize(
    ("text", "status", "part"),
    [
        ("where is the blue tote", REFUSED, "I can bring"),
        ("bring me my wheelchair", REFUSED, "wheelchair"),
        ("bring the person to station 1", REFUSED, "carry a person"),
        ("bring the blue tote near charger 2", AMBIGUOUS, "Where to"),
        ("bring the blue tote near charger 2 to station 9", AMBIGUOUS, "station_1, station_2"),
        ("bring the blue tote near charger 2 to charger 1", AMBIGUOUS, "no station"),
        ("bring the blue tote near charger 2 to the station", AMBIGUOUS, "station_1, station_2"),
        ("bring the blue tote near charger 2 to the canteen", AMBIGUOUS, "canteen"),
        ("bring the shiny blue tote near charger 2 to station 1", AMBIGUOUS, "shiny"),
        ("bring the blue totte to station 1", REFUSED, 'did you mean "tote"'),
        ("bring the blue tote near charger 7 to station 1", AMBIGUOUS, "charger 7"),
        ("bring the nearest tote to station 1", AMBIGUOUS, "closest to what"),
        ("bring it to station 1", AMBIGUOUS, "mean"),
        ("bring to station 1", AMBIGUOUS, "What shall I bring"),
        ("bring the box to station 1", NOT_FOUND, "box"),
        ("bring the tote near the box to station 1", NOT_FOUND, "box"),
        ("go to the pallet", AMBIGUOUS, "no place"),
        ("go to aisle 3", AMBIGUOUS, "aisle 3"),
        ("go to charger 3 then to charger 1", AMBIGUOUS, "understand"),
        ("keep away from charger 2", AMBIGUOUS, "objects"),
        ("avoid the banana", AMBIGUOUS, "banana"),
    ],
)
def test_what_cannot_be_done_comes_back_with_a_question(text: str, status: GroundingStatus, part: str) -> None:
    got = ask(text, *SCENE)
    assert got.status is status and part in got.question, got.question
    assert got.target_id == ""


@pytest.mark.parametrize(
    ("text", "destination"),
    [("go to charger 2", "charger_2"), ("go to parking one", "parking_1"), ("drive to F03-02-L", "F03-02-L"),
     ("head to pick face f03-2-l", "F03-02-L"), ("go to station no. 2", "station_2")],
)  # fmt: skip
def test_going_needs_a_place_however_it_is_spelt(text: str, destination: str) -> None:
    got = ask(text)
    assert (got.status, got.destination) == (GROUNDED, destination)


def test_a_request_to_keep_away_stands_though_nothing_fits_yet() -> None:
    got = ask("keep away from the wet floor")
    assert got.status is GROUNDED and got.avoid_ids == ()
    people = (thing("p1", ObjectClass.PERSON, 5, 5, vest=0.9), thing("p2", ObjectClass.PERSON, 9, 9, vest=0.1))
    assert ask("avoid people without a vest", *people).avoid_ids == ("p2",)
    assert ask("avoid everyone" " and all people", *people).status is AMBIGUOUS


def test_cancel_is_grounded_without_objects() -> None:
    assert ask("cancel that").status is GROUNDED


def test_looks_negate_and_unknown_attributes_name_the_field() -> None:
    full = thing("full", PALLET, 0, 0, loaded=0.9)
    assert looks_like(Phrase("", attribute="loaded"), full) == pytest.approx(0.9)
    assert looks_like(Phrase("", attribute="not_loaded"), full) == pytest.approx(0.1)
    with pytest.raises(InputError, match="attribute"):
        looks_like(Phrase("", attribute="shiny"), full)
    odd = Instruction("", "bring", 0.9, Phrase("x", TOTE, attribute="shiny"), Phrase("s", place="station_1"))
    assert ground(odd, WorldState(1, 0, SCENE, ()), site()).status is REFUSED


def test_config_names_the_field_that_is_wrong() -> None:
    for bad in ({"minimum": 0.0}, {"near_m": -1.0}, {"ratio": 2.0}, {"side_m": math.nan}):
        with pytest.raises(InputError, match=next(iter(bad))):
            GroundingConfig(**bad)


phrases = st.recursive(
    st.builds(
        Phrase, st.text(max_size=8), st.sampled_from([None, *ObjectClass]), st.sampled_from([None, *Colour]),
        st.sampled_from([None, "vest", "not_loaded", "odd"]), st.sampled_from([None, "station_1", "aisle_3", "x"]),
    ),
    lambda inner: st.builds(
        Phrase, st.just("w"), st.sampled_from([None, *ObjectClass]), relation=st.sampled_from(
            [None, "near", "at", "next_to", "left_of", "behind", "closest_to", "between", "and", "odd"]),
        anchor=st.one_of(st.none(), inner),
    ),
    max_leaves=4,
)  # fmt: skip


@given(
    st.sampled_from(["bring", "go", "avoid", "cancel", "none", "odd"]), st.none() | phrases, st.none() | phrases,
    st.lists(phrases, max_size=2), st.booleans(),
)  # fmt: skip
def test_no_instruction_however_odd_raises(
    intent: str, target: Phrase | None, destination: Phrase | None, avoid: list[Phrase], empty: bool
) -> None:
    said = Instruction("t", intent, 0.9, target, destination, tuple(avoid))
    got = ground(said, WorldState(1, 0, () if empty else SCENE, ()), site())
    assert got.status is GROUNDED or got.question
    if got.status is GROUNDED and intent == "bring":
        assert got.target_id in {o.id for o in SCENE} and got.destination in ("station_1", "station_2")
