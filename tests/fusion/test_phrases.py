"""Words as numbers, and training sentences that mean what their labels say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aislewise.types import ATTRIBUTES, Colour, ObjectClass
from fusion import templates
from fusion.phrases import (
    MAX_LEN,
    PAD,
    VOCAB_SIZE,
    decode,
    describe,
    encode,
    encode_words,
    pieces,
    sentence,
    text_batch,
)
from fusion.vocabulary import VOCABULARY
from perception.language import parse
from perception.lexicon import INTENTS, TAGS, words


def test_the_vocabulary_is_frozen_and_without_repeats() -> None:
    assert len(set(VOCABULARY)) == len(VOCABULARY)
    assert pieces("tote") == [1025 + VOCABULARY.index("tote")]


@given(st.text(max_size=400))
def test_any_text_encodes_to_ids_in_range(text: str) -> None:
    ids = encode(text)
    assert ids.shape == (MAX_LEN,) and ids.dtype == np.int64
    assert ids.min() >= PAD and ids.max() < VOCAB_SIZE
    used = np.flatnonzero(ids)
    assert not len(used) or used[-1] == len(used) - 1  # padding only at the end


def test_unseen_words_are_spelt_in_pieces_that_tell_them_apart() -> None:
    assert len(pieces("flurbish")) == 3 and len(pieces("x" * 400)) == 4
    assert pieces("flurbish") != pieces("flurbash") and max(pieces("flurbish")) <= 1024


def test_each_word_knows_its_first_piece_and_words_beyond_the_end_are_cut() -> None:
    ids, first = encode_words(["bring", "flurbish", "tote"], 4)
    assert first == [0, 1, -1] and (ids != PAD).all()


@pytest.mark.parametrize("cls", list(ObjectClass))
def test_descriptions_are_true(cls: ObjectClass) -> None:
    rng = np.random.default_rng(int(cls))
    for _ in range(200):
        colour = Colour(int(rng.integers(8)))
        has = rng.integers(0, 2, len(ATTRIBUTES)).tolist()
        text = describe(cls, colour, has, rng)
        said = parse(f"avoid {text}")
        assert not said.unknown, text
        phrase = said.avoid[0]
        assert phrase.cls is cls and phrase.colour in (None, colour)
        if phrase.attribute is not None:
            name = phrase.attribute.removeprefix("not_")
            assert bool(has[ATTRIBUTES.index(name)]) != phrase.attribute.startswith("not_")


def test_sentences_are_labelled_word_by_word_and_never_begin_inside_a_slot() -> None:
    rng = np.random.default_rng(1)
    for _ in range(500):
        tokens, intent, tags = sentence(rng)
        assert len(tokens) == len(tags) and intent in INTENTS and set(tags) <= set(TAGS)
        before = "O"
        for tag in tags:
            assert not tag.startswith("I-") or before[2:] == tag[2:]
            before = tag
        assert intent != "none" or set(tags) == {"O"}


def test_batches_repeat_with_the_seed_and_hold_every_intent() -> None:
    one, two = text_batch(np.random.default_rng(3), 64), text_batch(np.random.default_rng(3), 64)
    assert all((one[k] == two[k]).all() for k in one)
    assert set(one["intent"].tolist()) == set(range(len(INTENTS)))
    labelled = one["tags"] >= 0
    assert (one["ids"][labelled] != PAD).all() and one["tags"].max() < len(TAGS)


def test_there_are_more_than_two_hundred_templates_and_no_repeats() -> None:
    frames = [f for g in ("BRING", "GO", "AVOID", "AVOID_TAIL", "CANCEL", "NONE") for f in getattr(templates, g)]
    assert len(frames) > 200 and len(set(frames)) == len(frames)


def test_decoding_gives_one_tag_per_word_and_probabilities() -> None:
    text = "bring flurbish tote"
    _, first = encode_words(words(text))
    logits = np.zeros((MAX_LEN, len(TAGS)), np.float32)
    logits[first[2], TAGS.index("B-target")] = 5.0
    probs, tags, _ = decode(text, np.array([3, 0, 0, 0, 0], np.float32), logits, np.zeros(32, np.float32))
    assert tags == ("O", "O", "B-target") and probs.sum() == pytest.approx(1.0) and probs.argmax() == 0
