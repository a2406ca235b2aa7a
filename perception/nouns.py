"""Noun phrases of an instruction: "the loaded pallet between chargers 1 and 2", "station one"."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from aislewise.types import Colour, ObjectClass, Phrase
from perception.lexicon import Item, Kind
from perception.wordlists import NUMBER_WORDS

NOUN_STARTS = (Kind.DETERMINER, Kind.COLOUR, Kind.ATTRIBUTE, Kind.NOUN, Kind.ONE, Kind.UNKNOWN,
               Kind.NUMBER, Kind.GUARD, Kind.PLACE, Kind.PRONOUN, Kind.HERE)  # fmt: skip
_SKIPPED = (Kind.FILLER, Kind.BREAK, Kind.DETERMINER)
_CONTINUE = (Kind.COLOUR, Kind.ATTRIBUTE, Kind.NOUN, Kind.ONE, Kind.RELATION, Kind.UNKNOWN, Kind.FROM)
_NOUN_LIKE_VERBS = (Kind.PUT, Kind.DROP, Kind.MOVE, Kind.OTHER, Kind.CANCEL)
"""Kinds of words that are nouns as often as verbs: "the tv set", "a stop", "the book"."""

_ATTRIBUTE_OF = {ObjectClass.PERSON: ("vest", "not_vest"), ObjectClass.PALLET: ("loaded", "not_loaded")}
_DEPTH = 3


@dataclass
class Cursor:
    """A position in the items of a sentence. unused: indices of items that found no place in its
    meaning; whoever acts on the sentence must ask about them first."""

    items: list[Item]
    at: int = 0
    unused: set[int] = field(default_factory=set)

    @property
    def item(self) -> Item | None:
        return self.items[self.at] if self.at < len(self.items) else None

    def peek(self, at: int, skip: tuple[Kind, ...] = ()) -> Item | None:
        """The first item from `at` on whose kind is not skipped."""
        return next((i for i in self.items[at:] if i.kind not in skip), None)

    def leave(self, start: int, end: int | None = None, only: tuple[Kind, ...] = ()) -> None:
        """Mark item `start`, or what matters of [start, end), as not understood."""
        for i in range(start, start + 1 if end is None else end):
            kind = self.items[i].kind
            if kind in only if only else (end is None or kind not in _SKIPPED):
                self.unused.add(i)

    def continues(self, at: int) -> bool:
        """Whether a filler inside a noun phrase is followed by more of it."""
        item = self.peek(at, (Kind.FILLER,))
        return item is not None and item.kind in _CONTINUE


def noun_phrase(
    c: Cursor, relations: bool = True, avoiding: bool = False, depth: int = _DEPTH
) -> Phrase | None:
    """The noun phrase that starts here, or None (and nothing consumed) when there is none.

    relations: whether "near charger 2" may belong to it; avoiding: whether "all" may introduce it.
    """
    start = c.at
    phrase, unknown = _before_head(c, avoiding)
    item = c.item
    if item is not None and item.kind is Kind.PLACE:
        phrase = replace(phrase, place=_place(c))
    elif item is not None and item.kind in (Kind.NOUN, Kind.ONE):
        c.at += 1
        phrase = replace(phrase, cls=item.value if isinstance(item.value, ObjectClass) else None)
    elif not unknown and phrase == Phrase(""):
        c.at = start
        return None
    if phrase.place is None:
        phrase = _after_head(c, phrase, relations, depth)
    _check_attribute(c, phrase, start)
    return replace(phrase, words=" ".join(i.words for i in c.items[start : c.at]))


def _before_head(c: Cursor, avoiding: bool) -> tuple[Phrase, int]:
    """What stands before the noun, and how much of it is unknown."""
    phrase, unknown, start = Phrase(""), 0, c.at
    while (item := c.item) is not None:
        if item.kind is Kind.COLOUR and phrase.colour is None and isinstance(item.value, Colour):
            phrase = replace(phrase, colour=item.value)
        elif item.kind is Kind.ATTRIBUTE and phrase.attribute is None:
            phrase = replace(phrase, attribute=str(item.value))
        elif item.words in ("nearest", "closest") and phrase.relation is None:
            phrase = replace(phrase, relation="closest_to")
        elif item.kind in (Kind.COLOUR, Kind.ATTRIBUTE, Kind.UNKNOWN, Kind.NUMBER, Kind.GUARD) or (
            unknown and item.kind in _NOUN_LIKE_VERBS and c.items[c.at - 1].kind is Kind.UNKNOWN
        ):
            unknown += 1
            if not (avoiding and item.words in ("all", "every", "each", "both")):
                c.leave(c.at)
        elif item.kind is Kind.FILLER:
            if c.at == start or not c.continues(c.at + 1):
                break
        elif item.kind is not Kind.DETERMINER:
            break
        c.at += 1
    return phrase, unknown


def _after_head(c: Cursor, phrase: Phrase, relations: bool, depth: int) -> Phrase:
    """What may follow the noun: colour, attribute, and one relation with its anchor."""
    while (item := c.item) is not None:
        follow = c.peek(c.at + 1)
        if item.kind is Kind.FILLER or item.words in ("is", "are"):
            if not c.continues(c.at + 1):
                break
            c.at += 1
        elif item.kind is Kind.COLOUR and phrase.colour is None and isinstance(item.value, Colour):
            phrase = replace(phrase, colour=item.value)
            c.at += 1
        elif item.kind is Kind.ATTRIBUTE and phrase.attribute is None:
            phrase = replace(phrase, attribute=str(item.value))
            c.at += 1
        elif item.words == "in" and follow is not None and follow.kind is Kind.COLOUR:
            c.at += 1
        elif relations and depth and phrase.relation is None and item.kind in (Kind.RELATION, Kind.FROM):
            mark = c.at
            c.at += 1
            relation = "at" if item.kind is Kind.FROM else str(item.value)
            found = anchor(c, relation, depth - 1)
            if found is None:
                c.at = mark
                break
            phrase = replace(phrase, relation=relation, anchor=found)
        else:
            break
    return phrase


def anchor(c: Cursor, relation: str, depth: int = _DEPTH) -> Phrase | None:
    """The phrase a relation refers to. Of "between A and B", B hangs below A by the relation "and"."""
    first = noun_phrase(c, relation != "between", depth=depth)
    if first is None or relation != "between":
        return first
    if c.item is not None and c.item.kind is Kind.AND:
        c.at += 1
        number = c.item
        if number is not None and number.kind is Kind.NUMBER and first.place:
            c.at += 1
            kind = first.place.rsplit("_", 1)[0]
            second: Phrase | None = Phrase(f"{kind} {number.value}", place=f"{kind}_{number.value}")
        else:
            second = noun_phrase(c, False, depth=depth)
        if second is not None:
            return replace(first, relation="and", anchor=second)
    return first


def _place(c: Cursor) -> str:
    """Id of "station 1", "charger number two", "pick face F03-12-L"; "station" where no number is said."""
    value = str(c.items[c.at].value)
    c.at += 1
    if value.startswith("="):
        return value[1:]
    code = c.item
    if code is not None and code.kind is Kind.PLACE and str(code.value).startswith("="):
        c.at += 1
        return str(code.value)[1:]
    mark = c.at
    while c.item is not None and c.item.kind is Kind.ORDINAL_MARK:
        c.at += 1
    item, suffix = c.item, ""
    if item is not None and item.kind is Kind.NUMBER:
        suffix = str(item.value)
    elif item is not None and item.words in NUMBER_WORDS:
        suffix = str(NUMBER_WORDS[item.words])
    elif item is not None and len(item.words) == 1 and item.words.isalpha():
        suffix = item.words
    c.at = c.at + 1 if suffix else mark
    return f"{value}_{suffix}" if suffix else value


def _check_attribute(c: Cursor, phrase: Phrase, start: int) -> None:
    """A look that the model cannot tell of that kind of thing ("empty tote") is not understood."""
    if phrase.place and (phrase.attribute or phrase.colour is not None):
        c.leave(start, c.at, (Kind.ATTRIBUTE, Kind.COLOUR))
    elif phrase.cls is not None and phrase.attribute:
        if phrase.attribute not in _ATTRIBUTE_OF.get(phrase.cls, ()):
            c.leave(start, c.at, (Kind.ATTRIBUTE,))
