"""Instructions: understood word for word, or asked about, or refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.errors import InputError
from aislewise.types import Colour, Instruction, ObjectClass
from benchmarks.language import acts, outcome, summary, wording
from perception.language import MAX_CHARS, InstructionParser, check_text, parse
from perception.lexicon import INTENTS, KNOWN, TABLE, annotate, normalise, suggest, words

DATA = Path(__file__).parents[3] / "shared" / "data"
WORDING = wording()


def test_the_demo_instruction_is_understood_in_full() -> None:
    said = parse("bring the blue tote near charger 2 to station 1, keep away from the wet floor")
    assert (said.intent, said.unknown) == ("bring", ()) and said.confidence > 0.9
    assert said.target is not None and said.target.words == "the blue tote near charger 2"
    assert (said.target.cls, said.target.colour, said.target.relation) == (ObjectClass.TOTE, Colour.BLUE, "near")
    assert said.target.anchor is not None and said.target.anchor.place == "charger_2"
    assert said.destination is not None and said.destination.place == "station_1"
    assert [p.cls for p in said.avoid] == [ObjectClass.WET_FLOOR]


@pytest.mark.parametrize(("text", "expected"), WORDING, ids=[t[:50] for t, _ in WORDING])
def test_held_out_wording_is_read_right_or_asked_about(text: str, expected: str) -> None:
    assert outcome(parse(text), expected) == "right", summary(parse(text))


@pytest.mark.skipif(not (DATA / "huric_dev").exists(), reason="public data not here")
def test_household_commands_are_never_acted_on() -> None:
    sentences = [e["sentence"] for e in json.loads((DATA / "huric_dev" / "commands.json").read_text())]
    assert not [s for s in sentences if acts(parse(s))]


@pytest.mark.skipif(not (DATA / "oos").exists(), reason="public data not here")
def test_questions_that_are_none_of_our_business_are_refused() -> None:
    questions = json.loads((DATA / "oos" / "queries.json").read_text())["out_of_scope"]
    assert not [q for q in questions if acts(parse(q))]
    assert sum(parse(q).intent == "none" for q in questions) >= 0.99 * len(questions)


@pytest.mark.parametrize(
    "word", ["shiny", "purple", "two", "all", "not", "sofa", "heavy", "tomorrow", "ünïcödé", "托盘", "🙂", "$"]
)
def test_a_word_that_changes_the_meaning_is_never_overlooked(word: str) -> None:
    said = parse(f"bring the {word} blue tote to station 1")
    assert word in said.unknown and not acts(said)


@pytest.mark.parametrize("place", range(5))
def test_an_unknown_word_anywhere_stops_the_robot(place: int) -> None:
    tokens = "bring the blue tote near charger 2 to station 1 and avoid the forklift".split()
    at = [0, 3, 6, 10, len(tokens)][place]
    said = parse(" ".join([*tokens[:at], "flurb", *tokens[at:]]))
    assert "flurb" in said.unknown and not acts(said)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("", "empty"), ("  \n ", "empty"), ("a" * (MAX_CHARS + 1), str(MAX_CHARS)), ("bring\x00it", "U+0000"),
        ("bring\x1b[2Jit", "U+001B"), ("bring \u202eit", "U+202E"), ("\ud800", "U+D800"), ("___", "no words"),
        ("ﷺ" * 100, "after normalisation"),
    ],
)  # fmt: skip
def test_unusable_text_is_refused_by_name(text: str, limit: str) -> None:
    with pytest.raises(InputError) as error:
        parse(text)
    assert error.value.field == "text" and limit in str(error.value)


def test_what_is_no_text_at_all_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="bytes"):
        check_text(b"bring")  # type: ignore[arg-type]


@settings(max_examples=300)
@given(st.text(st.characters(codec=None), max_size=MAX_CHARS + 5))
def test_any_text_yields_an_instruction_or_an_input_error(text: str) -> None:
    try:
        said = parse(text)
    except InputError:
        return
    assert isinstance(said, Instruction) and said.intent in INTENTS and 0.0 <= said.confidence <= 1.0


LEXICON = sorted(" ".join(key) for key in TABLE)


@settings(max_examples=400)
@given(st.lists(st.sampled_from([*LEXICON, "1", "2", "flurb", "f03-1"]), min_size=1, max_size=14))
def test_any_mixture_of_known_words_parses_and_loses_no_unknown_one(said: list[str]) -> None:
    text = " ".join(said)[:MAX_CHARS]
    got = parse(text)
    assert got.intent in INTENTS
    if "flurb" in text.split():
        assert not acts(got)


def test_the_longest_text_of_nested_phrases_is_read() -> None:
    for unit in ("avoid the box near ", "the tote between ", "to ", "and ", "box,", "bring "):
        parse((unit * MAX_CHARS)[:MAX_CHARS])
    assert len(parse("avoid " + "box," * 90).avoid) <= 32


def test_intent_does_not_depend_on_case_spacing_or_politeness() -> None:
    plain = summary(parse("bring the blue tote to station 1"))
    for text in ("BRING THE BLUE TOTE TO STATION 1", " bring  the\tblue tote to station 1 !",
                 "Hey robot, could you please bring the blue tote to station 1? Thanks.",
                 "bring the blue tote to station_1", "bring the blue tote to station #1",
                 "bring the blue tote to station no. 1", "bring the blue tote to station-01"):  # fmt: skip
        assert summary(parse(text)) == plain and acts(parse(text)), text


def test_a_sites_own_place_names_are_recognised() -> None:
    text = "bring the blue tote from Bay Q to Dock-West"
    assert not acts(parse(text))
    said = InstructionParser(places=["Dock-West", "bay_q"]).parse(text)
    assert said.destination is not None and said.destination.place == "Dock-West"
    assert said.target is not None and said.target.anchor is not None and said.target.anchor.place == "bay_q"


class FixedTagger:
    """Says the same of every text."""

    def __init__(self, intent: str, tags: dict[str, str], p: float = 0.95) -> None:
        self.tags = tags
        self.probs = np.full(5, (1 - p) / 4, np.float32)
        self.probs[INTENTS.index(intent)] = p
        self.asked: list[str] = []

    def encode(self, text: str) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
        self.asked.append(text)
        return self.probs, tuple(self.tags.get(w, "O") for w in words(text)), np.eye(32, dtype=np.float32)[0]


def test_the_tagger_adds_embeddings_of_the_bare_phrase() -> None:
    tagger = FixedTagger("bring", {})
    said = parse("bring the blue tote near charger 2 to station 1, avoid forklifts", tagger)
    assert said.target is not None and said.target.embedding is not None
    assert said.avoid[0].embedding is not None and "the blue tote" in tagger.asked


def test_a_tagger_that_disagrees_lowers_confidence_but_cannot_change_the_meaning() -> None:
    text = "bring the blue tote to station 1"
    agreed, opposed = parse(text, FixedTagger("bring", {})), parse(text, FixedTagger("none", {}))
    assert agreed.confidence > 0.85 > opposed.confidence
    assert summary(agreed) == summary(opposed)


def test_a_request_only_the_tagger_recognises_is_asked_about_and_never_acted_on() -> None:
    tags = {"tote": "B-target", "station": "B-destination", "1": "I-destination"}
    said = parse("tote would look nice station 1", FixedTagger("bring", tags))
    assert said.intent == "bring" and said.destination is not None and said.destination.place == "station_1"
    assert said.unknown and not acts(said)
    assert parse("gravity pulls", FixedTagger("bring", {"gravity": "B-target"})).intent == "none"
    assert parse("is the tote at station 1", FixedTagger("bring", tags)).intent == "none"


def test_annotation_covers_every_token_once_and_by_the_longest_match() -> None:
    tokens = words("keep away from the wet floor, flurb")
    items = annotate(tokens)
    assert [i.start for i in items[1:]] == [i.end for i in items[:-1]]
    assert items[0].start == 0 and items[-1].end == len(tokens)
    assert [i.words for i in items] == ["keep away from", "the", "wet floor", ",", "flurb"]


def test_no_word_means_two_colours_or_two_kinds_of_object() -> None:
    for key, (_, value) in TABLE.items():
        again = annotate(list(key))
        assert len(again) == 1 and again[0].value == value


def test_normalising_twice_changes_nothing_and_slips_are_recognised() -> None:
    for text in ("Don't", "I'd like", "station_1", "give the spill a wide berth", "ﬁnd"):
        assert normalise(normalise(text)) == normalise(text)
    assert (suggest("totte"), suggest("pallte"), suggest("zzzzzz")) == ("tote", "pallet", "")
    assert "tote" in KNOWN and sys.intern("flurb") not in KNOWN
