"""The words Aislewise knows: a closed lexicon, so that every other word is known to be unknown.

The language path never acts on a word that is not listed in `perception.wordlists`: a network trained
on templates alone is often confidently wrong on unseen wording. `annotate` turns text into items by
longest match; `perception.grammar` parses the items.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from perception.wordlists import (
    ATTRIBUTE_WORDS,
    CARRYABLE,
    CLASS_WORDS,
    COLOUR_TAILS,
    COLOUR_WORDS,
    INTENTS,
    NUMBER_WORDS,
    PLACE_WORDS,
    RELATIONS,
    SLOTS,
    TAGS,
    WORDS,
    Kind,
)

__all__ = ["ATTRIBUTE_WORDS", "CARRYABLE", "CLASS_WORDS", "COLOUR_WORDS", "INTENTS", "KNOWN", "RELATIONS",
           "SLOTS", "TABLE", "TAGS", "Item", "Kind", "annotate", "normalise", "place_keys", "suggest",
           "words"]

@dataclass(frozen=True, slots=True)
class Item:
    """A run of words [start, end) of the token list, and what it means."""

    kind: Kind
    value: object
    start: int
    end: int
    words: str


_CONTRACTIONS = (
    (re.compile(r"\bcan'?t\b|\bcannot\b"), "can not"), (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\bdont\b"), "do not"), (re.compile(r"\s?n't\b"), " not"),
    (re.compile(r"\blet's\b"), "let us"), (re.compile(r"\bi'd\b"), "i would"),
    (re.compile(r"'re\b"), " are"), (re.compile(r"\bwe'd\b"), "we would"),
    (re.compile(r"'ll\b"), " will"), (re.compile(r"'m\b"), " am"), (re.compile(r"'ve\b"), " have"),
    (re.compile(r"\b(there|that|it|who|which|what|where) ?'s\b"), r"\1 is"),
)
_WIDE_BERTH = re.compile(r"\bgive (.{1,80}?) (?:a wide berth|plenty of room|plenty of space|lots of room)\b")
_TOKEN = re.compile(r"\d+|[^\W\d_]+|'s\b|->|=>|\.\.\.|[^\w\s]")


def normalise(text: str) -> str:
    """NFKC, lower case, plain apostrophes, contractions spelt out, single spaces."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'").replace("_", " ")
    text = re.sub(r"(?<=\w)-(?=\w)", " ", text)
    for pattern, plain in _CONTRACTIONS:
        text = pattern.sub(plain, text)
    return _WIDE_BERTH.sub(r"avoid \1", " ".join(text.split()))


def words(text: str) -> list[str]:
    """Tokens of a text: runs of letters, runs of digits, and punctuation marks one by one."""
    return _TOKEN.findall(normalise(text))


def plural(noun: str) -> str:
    """Regular English plural of the last word."""
    return noun + ("es" if noun.endswith(("x", "s", "ch", "sh")) else "s")


def _table() -> dict[tuple[str, ...], tuple[Kind, object]]:
    table: dict[tuple[str, ...], tuple[Kind, object]] = {}

    def add(kind: Kind, phrase: str, value: object) -> None:
        key = tuple(words(phrase))
        if key:
            table.setdefault(key, (kind, value))

    for cls, nouns in CLASS_WORDS.items():
        for noun in nouns:
            add(Kind.NOUN, noun, cls)
            add(Kind.NOUN, plural(noun), cls)
    for colour, names in COLOUR_WORDS.items():
        for name in names:
            for tail in COLOUR_TAILS:
                add(Kind.COLOUR, name + tail, colour)
    for attribute, phrases in ATTRIBUTE_WORDS.items():
        for phrase in phrases:
            add(Kind.ATTRIBUTE, phrase, attribute)
    for place, names in PLACE_WORDS.items():
        for name in names:
            add(Kind.PLACE, name, place)
            add(Kind.PLACE, plural(name), place)
    for relation, phrases in RELATIONS.items():
        for phrase in phrases:
            add(Kind.RELATION, phrase, relation)
    for kind, phrases in WORDS.items():
        for phrase in phrases:
            add(kind, phrase, phrase)
    return table


TABLE = _table()
_LONGEST = max(map(len, TABLE))
KNOWN = frozenset(word for key in TABLE for word in key) | frozenset(NUMBER_WORDS)
"""Every single word that occurs in the lexicon."""


def place_keys(places: Iterable[str]) -> dict[tuple[str, ...], str]:
    """Place ids by how they read as tokens: "face_A_03" is met by "face A 3" and "face a03"."""
    return {tuple(_plain(w) for w in words(place)): place for place in places}


def _plain(word: str) -> str:
    return str(int(word)) if word.isdecimal() and len(word) <= 9 else word


def annotate(tokens: list[str], places: dict[tuple[str, ...], str] | None = None) -> list[Item]:
    """Items that cover all tokens, by longest match from the left; site places win over words."""
    places = places or {}
    plain = [_plain(str(NUMBER_WORDS.get(t, t))) for t in tokens]
    longest = max([_LONGEST, *map(len, places)])
    items: list[Item] = []
    at = 0
    while at < len(tokens):
        size = min(longest, len(tokens) - at)
        while size:
            place = places.get(tuple(plain[at : at + size]))
            if place is not None:
                kind, value = Kind.PLACE, f"={place}"
                break
            hit = TABLE.get(tuple(tokens[at : at + size]))
            if hit is not None:
                kind, value = hit  # type: ignore[assignment]
                break
            size -= 1
        else:
            size, token = 1, tokens[at]
            number = plain[at].isdecimal()
            kind, value = (Kind.NUMBER, plain[at]) if number else (Kind.UNKNOWN, token)
            code = _code_length(tokens, at)
            if code:
                size, kind, value = code, Kind.PLACE, "=" + "-".join(tokens[at : at + code])
        items.append(Item(kind, value, at, at + size, " ".join(tokens[at : at + size])))
        at += size
    return items


def _code_length(tokens: list[str], at: int) -> int:
    """How many tokens from here read like a place code ("F03-12-L"): a letter or two, then numbers
    and at most one letter at the end. 0 when they do not."""
    end = at + 1
    while end < len(tokens) and tokens[end].isdecimal():
        end += 1
    if end == at + 1 or not (tokens[at].isascii() and tokens[at].isalpha() and len(tokens[at]) <= 2):
        return 0
    last = tokens[end] if end < len(tokens) else ""
    return end - at + (len(last) == 1 and last.isascii() and last.isalpha() and last not in "ai")


def suggest(word: str) -> str:
    """The known word most like an unknown one ("pallte" -> "pallet"), or ""."""
    close = difflib.get_close_matches(word, sorted(w for w in KNOWN if len(w) > 2), n=1, cutoff=0.75)
    return close[0] if close else ""
