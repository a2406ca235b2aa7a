"""Typed instructions: text in, Instruction out. Acts on nothing it has not understood word for word.

A grammar over a closed lexicon decides; a learned tagger, when there is one, adds embeddings, moves the
confidence, and widens what can be asked about, but never what is acted on: every word the grammar could
not use ends up in `Instruction.unknown`, and whoever executes must ask first.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from aislewise.errors import InputError
from aislewise.types import F32, Instruction, Phrase
from perception.grammar import parse_items
from perception.lexicon import INTENTS, Kind, annotate, place_keys, words
from perception.nouns import Cursor, noun_phrase

MAX_CHARS = 400
"""Longest instruction accepted, in characters."""

_REJECTED = ("Cc", "Cf", "Cs", "Co")
_SURE = 0.9


class Tagger(Protocol):
    """The learned part: fusion.infer implements it over the exported text tower."""

    def encode(self, text: str) -> tuple[F32, tuple[str, ...], F32]:
        """(5,) intent probabilities in the order of INTENTS, one BIO tag for each of
        `perception.lexicon.words(text)`, (32,) unit embedding."""
        ...


class InstructionParser:
    """`parse` with its tagger and the site's place ids bound: what a node holds."""

    def __init__(self, tagger: Tagger | None = None, places: Iterable[str] = ()) -> None:
        self.tagger, self.places = tagger, tuple(places)

    def parse(self, text: str) -> Instruction:
        return parse(text, self.tagger, self.places)


def parse(text: str, tagger: Tagger | None = None, places: Iterable[str] = ()) -> Instruction:
    """Instruction of a typed text.

    places: the site's place ids, so that ids of any form ("Dock-West") are recognised.
    Raises InputError("text", ...) when it is empty, longer than MAX_CHARS or has control characters.
    """
    checked = check_text(text)
    tokens = words(checked)
    if not tokens:
        raise InputError("text", "holds no words", "1 word or more")
    result = parse_items(annotate(tokens, place_keys(places)), text)
    return result if tagger is None else _with_tagger(result, checked, tokens, tagger)


def check_text(text: str) -> str:
    """The text, NFKC-normalised; InputError naming the limit it broke."""
    if not isinstance(text, str):
        raise InputError("text", f"must be a string, not {type(text).__name__}")
    if len(text) > MAX_CHARS:
        raise InputError("text", f"{len(text)} characters", MAX_CHARS)
    for char in text:
        if unicodedata.category(char) in _REJECTED and char not in "\t\n\r":
            raise InputError("text", f"control character U+{ord(char):04X}", "printable text")
    plain = unicodedata.normalize("NFKC", text)
    if not plain.strip():
        raise InputError("text", "is empty", "1 character or more")
    if len(plain) > MAX_CHARS:
        raise InputError("text", f"{len(plain)} characters after normalisation", MAX_CHARS)
    return plain


def _with_tagger(result: Instruction, text: str, tokens: list[str], tagger: Tagger) -> Instruction:
    """Adds embeddings and agreement; asks about a request that only the tagger recognises."""
    probs, tags, _ = tagger.encode(text)
    best = int(probs.argmax())
    if result.intent == "none":
        open_to_doubt = result.confidence < _SURE
        if open_to_doubt and INTENTS[best] in ("bring", "go", "avoid") and probs[best] > _SURE:
            result = _guess(result, tokens, tags, INTENTS[best], float(probs[best]))
    else:
        agreement = float(probs[INTENTS.index(result.intent)])
        result = replace(result, confidence=result.confidence * (0.6 + 0.4 * agreement))
    target = None if result.target is None else _embed(result.target, tagger)
    return replace(result, target=target, avoid=tuple(_embed(p, tagger) for p in result.avoid))


def _guess(
    refused: Instruction, tokens: list[str], tags: tuple[str, ...], intent: str, prob: float
) -> Instruction:
    """What the tagger believes was asked, marked as not understood so that it is only asked about.
    Nothing known among its slots: the refusal stands."""
    spans: dict[str, list[str]] = {}
    for token, tag in zip(tokens, tags, strict=True):
        if tag != "O":
            spans.setdefault(tag[2:], []).append(token)
    slots: dict[str, Phrase] = {}
    for slot, said in spans.items():
        phrase = noun_phrase(Cursor(annotate(said)))
        if phrase is not None and (phrase.cls is not None or phrase.place):
            slots[slot] = phrase
    if not {"target", "destination", "avoid"} & set(slots):
        return refused
    return replace(
        refused, intent=intent, confidence=0.5 * prob, unknown=refused.unknown or (" ".join(tokens),),
        target=slots.get("target") if intent == "bring" else None,
        destination=slots.get("destination") if intent != "avoid" else None,
        avoid=(slots["avoid"],) if "avoid" in slots else (),
    )  # fmt: skip


def _embed(phrase: Phrase, tagger: Tagger) -> Phrase:
    """The phrase with the embedding of its own words; the network never saw relations in phrases."""
    items = annotate(words(phrase.words))
    head = next((n for n, item in enumerate(items) if item.kind is Kind.NOUN), None)
    if phrase.cls is None or head is None:
        return phrase
    ends = (n for n in range(head, len(items)) if items[n].kind in (Kind.RELATION, Kind.FROM))
    said = " ".join(i.words for i in items[: next(ends, len(items))])
    return replace(phrase, embedding=tagger.encode(said)[2])
