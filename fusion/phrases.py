"""Words as numbers: tokeniser, training sentences and truthful noun phrases for the text tower.

A word of the frozen vocabulary is one id; any other word is spelt as up to four hashed pieces of three
letters, so that unseen words are representable and look unseen. Ids are the same on every machine.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from aislewise.types import ATTRIBUTES, F32, Colour, ObjectClass
from fusion import templates
from fusion.vocabulary import VOCABULARY
from perception.lexicon import ATTRIBUTE_WORDS, CLASS_WORDS, COLOUR_WORDS, INTENTS, RELATIONS, TAGS, words

MAX_LEN = 48
"""Pieces of a sentence that the network reads; later ones are cut."""

PAD = 0
HASH_BUCKETS = 1024
_FIRST_WORD = 1 + HASH_BUCKETS
_WORD_ID = {word: _FIRST_WORD + i for i, word in enumerate(VOCABULARY)}
VOCAB_SIZE = _FIRST_WORD + len(VOCABULARY)
_PIECES = 4

I64 = NDArray[np.int64]
_PLURAL = frozenset("people men women staff persons anyone anybody personnel".split())
_SINGULAR = {cls: [w for w in nouns if w not in _PLURAL] for cls, nouns in CLASS_WORDS.items()}


def pieces(word: str) -> list[int]:
    """Ids of one word: its own, or those of its spelling in pieces of three letters."""
    known = _WORD_ID.get(word)
    if known is not None:
        return [known]
    chunks = [word[i : i + 3] for i in range(0, len(word), 3)][:_PIECES]
    return [1 + zlib.crc32(f"{i}{c}".encode()) % HASH_BUCKETS for i, c in enumerate(chunks)]


def encode_words(tokens: Sequence[str], max_len: int = MAX_LEN) -> tuple[I64, list[int]]:
    """ids: (max_len,) int64, padded with PAD; and for each word the index of its first piece (-1: cut)."""
    ids = np.full(max_len, PAD, np.int64)
    first: list[int] = []
    at = 0
    for token in tokens:
        first.append(at if at < max_len else -1)
        for piece in pieces(token):
            if at < max_len:
                ids[at] = piece
                at += 1
    return ids, first


def encode(text: str, max_len: int = MAX_LEN) -> I64:
    """(max_len,) int64 ids of a text."""
    return encode_words(words(text), max_len)[0]


def decode(
    text: str, intent_logits: F32, tag_logits: F32, embedding: F32
) -> tuple[F32, tuple[str, ...], F32]:
    """What perception.language.Tagger.encode promises, from the network's output for one text.

    intent_logits (I,), tag_logits (T, K), embedding (32,) -> intent probabilities in the order of
    INTENTS, one tag for each of `perception.lexicon.words(text)`, the embedding.
    """
    shifted = np.exp(intent_logits - intent_logits.max())
    best = tag_logits.argmax(axis=-1)
    _, first = encode_words(words(text), len(best))
    tags = tuple(TAGS[int(best[i])] if i >= 0 else "O" for i in first)
    return (shifted / shifted.sum()).astype(np.float32), tags, embedding


def pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def describe(
    cls: ObjectClass,
    colour: Colour | None,
    attributes: Sequence[float],
    rng: np.random.Generator,
    colour_rate: float = 0.8,
) -> str:
    """A true noun phrase for an object, such as "the blue crate" or "a worker without a safety vest".

    attributes: 0 or 1 in the order of aislewise.types.ATTRIBUTES. Colour and attribute are left out at
    random; the colour of people and spills is never named (nobody says it).
    """
    noun = pick(rng, _SINGULAR[cls])
    if rng.random() < 0.5:
        noun = _SINGULAR[cls][0]
    before, after = "", ""
    if colour is not None and cls not in (ObjectClass.PERSON, ObjectClass.WET_FLOOR):
        if rng.random() < colour_rate:
            before = pick(rng, COLOUR_WORDS[colour]) + " "
    owner = {ObjectClass.PERSON: "vest", ObjectClass.PALLET: "loaded"}.get(cls)
    if owner is not None and rng.random() < 0.6:
        has = attributes[ATTRIBUTES.index(owner)] > 0.5
        said = pick(rng, ATTRIBUTE_WORDS[owner if has else f"not_{owner}"])
        if " " in said or said == "vested":
            after = f" {said}"
        else:
            before = f"{said} {before}"
    article = pick(rng, ("the", "the", "a", ""))
    return f"{article} {before}{noun}{after}".strip()


def _place(rng: np.random.Generator) -> str:
    kind = pick(rng, ("station", "station", "station", "charger", "pick face", "parking spot", "aisle",
                      "packing station", "charging station", "workstation"))
    number = str(int(rng.integers(1, 31)))
    if rng.random() < 0.15:
        number = pick(rng, ("one", "two", "three", "four", "five", "six"))
    return f"{kind} {pick(rng, ('', '', '', 'number', 'no'))} {number}"


def _noun(rng: np.random.Generator) -> list[tuple[str, str]]:
    """Runs of (words, slot) of a random object, at times with a relation and its anchor."""
    cls = ObjectClass(int(rng.integers(len(ObjectClass))))
    colour = Colour(int(rng.integers(len(Colour))))
    said = describe(cls, colour, rng.integers(0, 2, len(ATTRIBUTES)).tolist(), rng)
    if rng.random() < 0.2:
        said = pick(rng, templates.THINGS)
    runs = [(said, "target")]
    if rng.random() < 0.4:
        relation = pick(rng, list(RELATIONS))
        anchor = _place(rng) if rng.random() < 0.7 else "the " + pick(rng, _SINGULAR[cls])
        runs += [(pick(rng, RELATIONS[relation]), ""), (anchor, "anchor")]
    return runs


def _fill(template: str, rng: np.random.Generator) -> list[tuple[str, str]]:
    """A template as runs of (words, slot)."""
    simple: dict[str, Callable[[], list[tuple[str, str]]]] = {
        "x": lambda: [(pick(rng, templates.THINGS), "")],
        "q": lambda: [(pick(rng, templates.TOPICS), "")],
        "r": lambda: [(pick(rng, templates.ROOMS), "destination")],
        "c": lambda: [(pick(rng, templates.CHORES), "")],
        "d": lambda: [(_place(rng), "destination")],
        "t": lambda: _noun(rng),
        "a": lambda: [(w, "avoid" if s == "target" else s) for w, s in _noun(rng)],
    }
    runs: list[tuple[str, str]] = []
    for part in re.split(r"(\{\w\})", template):
        runs += simple[part[1]]() if part.startswith("{") else [(part, "")]
    return runs


def _typo(word: str, rng: np.random.Generator) -> str:
    """The word with two neighbouring letters swapped."""
    if len(word) < 4 or not word.isalpha():
        return word
    i = int(rng.integers(1, len(word) - 1))
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :]


def sentence(rng: np.random.Generator) -> tuple[list[str], str, list[str]]:
    """A random instruction: its words, its intent, and one BIO tag per word."""
    intent = pick(rng, ("bring", "bring", "go", "avoid", "cancel", "none", "none"))
    frames = {"bring": templates.BRING, "go": templates.GO, "avoid": templates.AVOID,
              "cancel": templates.CANCEL, "none": templates.NONE}[intent]
    runs = _fill(pick(rng, frames), rng)
    if intent in ("bring", "go") and rng.random() < 0.25:
        runs += _fill(pick(rng, templates.AVOID_TAIL), rng)
    if intent != "none":
        runs = [(pick(rng, templates.PREFIXES), ""), *runs, (pick(rng, templates.SUFFIXES), "")]
    tokens: list[str] = []
    tags: list[str] = []
    for said, slot in runs:
        for i, token in enumerate(words(said)):
            tokens.append(_typo(token, rng) if rng.random() < 0.02 else token)
            keep = slot and intent != "none"
            tags.append(f"{'I' if i else 'B'}-{slot}" if keep else "O")
    return tokens, intent, tags


def text_batch(rng: np.random.Generator, n: int, max_len: int = MAX_LEN) -> dict[str, NDArray[np.int64]]:
    """n training sentences. ids (n, max_len) int64; intent (n,) int64 index into INTENTS; tags
    (n, max_len) int64 index into TAGS at the first piece of each word, -100 (ignored) elsewhere."""
    ids = np.zeros((n, max_len), np.int64)
    intents = np.zeros(n, np.int64)
    labels = np.full((n, max_len), -100, np.int64)
    for row in range(n):
        tokens, intent, tags = sentence(rng)
        ids[row], first = encode_words(tokens, max_len)
        intents[row] = INTENTS.index(intent)
        for i, tag in zip(first, tags, strict=True):
            if i >= 0:
                labels[row, i] = TAGS.index(tag)
    return {"ids": ids, "intent": intents, "tags": labels}
