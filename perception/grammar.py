"""The grammar of instructions: items of the lexicon in, an Instruction out.

One pass from left to right; every item either finds its place in the meaning or is reported as not
understood. It covers commands ("bring X to P"), needs ("station 2 needs X"), passives ("X must go to
P"), telegrams ("X to P"), lead-ins ("find X and bring it to P"), and requests to keep away or cancel.
"""

from __future__ import annotations

from dataclasses import replace

from aislewise.types import Instruction, ObjectClass, Phrase
from perception.lexicon import Item, Kind
from perception.nouns import NOUN_STARTS, Cursor, anchor, noun_phrase
from perception.wordlists import CANCEL_ALONE, JOB_WORDS

_GLUE = frozenset({"of", "'s"})
_DESTINATION_RELATIONS = ("at", "near", "next_to", "in_front_of")
_WEAK = (Kind.NEED, Kind.PASSIVE, Kind.DROP)
_VERBS = (Kind.BRING, Kind.PUT, Kind.GO, Kind.MOVE, Kind.FIND, Kind.AVOID, Kind.CANCEL, Kind.OTHER, *_WEAK)
_LOOSE = (Kind.FILLER, Kind.BREAK)
_MAX_AVOID = 32


def parse_items(items: list[Item], text: str) -> Instruction:
    """The meaning of a sentence; intent "none" when it is no request we serve."""
    return _Parser(items).run(text)


class _Parser:
    def __init__(self, items: list[Item]) -> None:
        self.c = Cursor(items)
        self.intent = ""
        self.verb: Kind | None = None
        self.weak = False  # the verb alone is no proof of a request: "need", "should be"
        self.puts = False  # "at" introduces the destination, as in "put it at station 1"
        self.target: Phrase | None = None
        self.destination: Phrase | None = None
        self.avoid: list[Phrase] = []
        self.go_from = 0
        self.decided = False  # by the sentence as a whole
        self.accounted: set[int] = set()  # unknown words that do no harm where they stand

    def run(self, text: str) -> Instruction:
        intent = self._whole_sentence()
        self.decided = bool(intent)
        if not intent:
            self._skip_greeting()
            while self.c.item is not None:
                self._step(self.c.item)
            self._put_where_it_was_said_to_be()
            intent = self._intent()
        return self._result(text, intent)

    # -- whole sentences ---------------------------------------------------------------------------

    def _whole_sentence(self) -> str:
        """"cancel" or "none" when the sentence as a whole decides it, else ""."""
        items = self.c.items
        solid = [n for n, i in enumerate(items) if i.kind not in (*_LOOSE, Kind.AND)]
        if " ".join(items[n].words for n in solid) in CANCEL_ALONE:
            self.accounted = set(solid)
            return "cancel"
        cancels = [n for n in solid if items[n].kind is Kind.CANCEL]
        if cancels:
            rest = [n for n in solid if n not in cancels]
            strange = {n for n in rest if not set(items[n].words.split()) <= JOB_WORDS}
            if solid[0] == cancels[0] or not strange:
                self.c.unused, self.accounted = strange, set(rest) - strange
                return "cancel"
        spoken = [n for n in range(len(items)) if items[n].kind is not Kind.BREAK and not self._calls(n)]
        if spoken and items[spoken[0]].words.split()[0] in ("who", "which"):
            return "none"
        opening = next((items[n] for n in solid if not self._calls(n)), None)
        asks = opening is not None and opening.kind in (Kind.QUESTION, Kind.OTHER)
        return "none" if asks else ""

    def _calls(self, index: int) -> bool:
        """Whether this item only calls the robot, as in "robot, go to ..."."""
        after = self.c.peek(index + 1)
        return self.c.items[index].value is ObjectClass.ROBOT and after is not None and after.kind not in (
            Kind.NUMBER, Kind.TO, Kind.RELATION, Kind.FROM, Kind.PASSIVE, Kind.NEED, Kind.NOUN,
        )  # fmt: skip

    def _skip_greeting(self) -> None:
        while (item := self.c.item) is not None and (item.kind in _LOOSE or self._calls(self.c.at)):
            self.c.at += 1

    # -- one item at a time ------------------------------------------------------------------------

    def _step(self, item: Item) -> None:
        kind, c = item.kind, self.c
        if kind in _VERBS:
            self._on_verb(item)
        elif kind in (*_LOOSE, Kind.AND) or item.words in ("is", "are"):
            c.at += 1
        elif kind is Kind.TO:
            self._on_destination()
        elif kind in (Kind.RELATION, Kind.FROM):
            self._on_relation(item)
        elif kind is Kind.PRONOUN:
            c.at += 1
            if self.target is None and self.intent == "bring":
                self.target = Phrase(item.words)
        elif kind is Kind.HERE:
            c.at += 1
            if self.destination is None:
                self.destination = Phrase(item.words)
        elif kind in NOUN_STARTS:
            self._on_noun()
        else:
            c.leave(c.at)
            c.at += 1

    def _on_verb(self, item: Item) -> None:
        start = self.c.at
        self.c.at += 1
        kind = self._move_or_go() if item.kind is Kind.MOVE else item.kind
        if kind is Kind.AVOID:
            self._on_avoid(start)
        elif kind is Kind.GO:
            self._on_go(start)
        elif kind is Kind.FIND and not self.intent:
            self.verb = Kind.FIND
        elif kind in (Kind.FIND, Kind.OTHER, Kind.CANCEL):
            self.c.leave(start)
        else:
            self._on_bring(kind, item, start)

    def _on_bring(self, kind: Kind, item: Item, start: int) -> None:
        complete = self.destination is not None and self.destination.place
        if (self.intent == "bring" and complete) or (self.intent == "go" and kind is Kind.PASSIVE):
            self.c.leave(start)
            return
        if self.intent == "go":  # "go there and bring ...": two jobs in one sentence
            self.c.leave(self.go_from, start)
            self.destination = None
        self.weak = kind in _WEAK and (self.weak or self.intent != "bring")
        self.intent, self.verb = "bring", kind
        self.puts = kind in (Kind.PUT, *_WEAK) or item.words == "drop off"

    def _on_go(self, start: int) -> None:
        follow = self.c.peek(self.c.at, _LOOSE)
        if self.intent == "go" and (follow is None or follow.kind is Kind.HERE):
            return  # "... and wait there"
        if self.intent or self.target is not None:
            self.c.leave(start)
        elif follow is None or follow.kind not in (Kind.BRING, Kind.FIND):
            self.intent, self.verb, self.go_from = "go", Kind.GO, start

    def _move_or_go(self) -> Kind:
        """"move the pallet" brings, "move to the pallet" goes; "send a robot" goes as well."""
        c = self.c
        follow = c.peek(c.at, (Kind.FILLER, Kind.DETERMINER))
        if follow is None or follow.kind not in NOUN_STARTS:
            return Kind.GO
        if follow.value is ObjectClass.ROBOT and self.c.items[c.at - 1].words == "send":
            c.at = c.items.index(follow) + 1
            return Kind.GO
        return Kind.BRING

    def _on_avoid(self, start: int) -> None:
        """One or more noun phrases joined by commas, "and" and "or"."""
        c, before = self.c, len(self.avoid)
        while (phrase := noun_phrase(c, avoiding=True)) is not None:
            if len(self.avoid) < _MAX_AVOID:
                self.avoid.append(phrase)
            else:
                c.leave(start)
            mark = c.at
            while c.item is not None and c.item.kind in (*_LOOSE, Kind.AND):
                c.at += 1
            if c.item is None or c.item.kind not in NOUN_STARTS or c.item.kind in (Kind.PRONOUN, Kind.HERE):
                c.at = mark
                break
        if len(self.avoid) == before:
            if c.items[start].words in ("go around", "drive around") and not self.intent:
                self.intent, self.verb = "go", Kind.GO
            else:
                c.leave(start)

    def _on_relation(self, item: Item) -> None:
        """A place given apart from the object: "put it on station 1", "wait at charger 2"."""
        c, start = self.c, self.c.at
        follow = c.peek(start + 1)
        if item.words == "off" and follow is not None and follow.kind in (Kind.RELATION, Kind.TO):
            c.at += 1  # "drop it off at"
            return
        free = self.destination is None and (self.intent == "go" or (self.puts and self.target is not None))
        if free and item.value in _DESTINATION_RELATIONS:
            self._on_destination()
            return
        c.at += 1
        relation = "at" if item.kind is Kind.FROM else str(item.value)
        # Behind the destination only "from" is clear: "to station 1 near charger 2" may mean the station.
        clear = item.kind is Kind.FROM or self.destination is None
        if clear and self.target is not None and self.target.relation is None:
            found = anchor(c, relation)
            if found is not None:
                self.target = replace(self.target, relation=relation, anchor=found)
                return
        else:
            noun_phrase(c)
        c.leave(start)

    def _on_destination(self) -> None:
        """A preposition and the place it leads to."""
        c, start = self.c, self.c.at
        c.at += 1
        here = c.peek(c.at, _LOOSE)
        if here is not None and here.kind is Kind.HERE:
            c.at = c.items.index(here) + 1
            phrase: Phrase | None = Phrase(here.words)
        else:
            phrase = noun_phrase(c, relations=False)
        if phrase is None or (self.destination is not None and self.destination.place):
            c.leave(start, c.at)
            return
        self.destination = phrase

    def _on_noun(self) -> None:
        start = self.c.at
        settled = self.intent == "go" or (self.verb is not None and self.target is not None)
        phrase = noun_phrase(self.c, relations=not settled)
        if phrase is None:
            self.c.leave(start, self.c.at)
            self.c.at = max(self.c.at, start + 1)
        elif phrase.place and self._is_goal():
            self.destination = phrase
        elif self.target is None and self.intent != "go":
            self.target = phrase
        elif self.intent == "go" and self.destination is None:
            self.destination = phrase
        else:
            self.c.leave(start, self.c.at)

    def _is_goal(self) -> bool:
        """A bare place is where to in "bring station 1 the box" and "station 1 needs the box"."""
        if self.destination is not None:
            return False
        follow = self.c.peek(self.c.at, _LOOSE)
        if self.intent == "go" or (follow is not None and follow.kind is Kind.NEED):
            return True
        return self.intent == "bring" and self.target is None and follow is not None and (
            follow.kind in NOUN_STARTS
        )

    # -- the outcome -------------------------------------------------------------------------------

    def _put_where_it_was_said_to_be(self) -> None:
        """"put the tote near charger 2 at station 1": the last place named is where it goes."""
        target = self.target
        if not self.puts or self.destination is not None or target is None or target.anchor is None:
            return
        chain = [target]
        while chain[-1].anchor is not None and chain[-1].relation != "between":
            chain.append(chain[-1].anchor)
        if len(chain) < 2 or not chain[-1].place or chain[-2].relation not in _DESTINATION_RELATIONS:
            return
        self.destination = chain[-1]
        kept = replace(chain[-2], relation=None, anchor=None)
        for phrase in reversed(chain[:-2]):
            kept = replace(phrase, anchor=kept)
        said = kept.words.removesuffix(self.destination.words).split()
        self.target = replace(kept, words=" ".join(said[:-1]))

    def _intent(self) -> str:
        known = self.target is not None and self.target.cls is not None
        if self.intent == "bring":
            asks = any(self.c.items[i].kind is Kind.QUESTION for i in self.c.unused)
            drops = self.verb is Kind.DROP and self.destination is None
            return "none" if drops or (not known and (self.weak or asks)) else "bring"
        if self.intent:
            return self.intent
        if known and self.destination is not None and self.destination.place is not None:
            return "bring"  # "blue tote to station 1"; an unknown verb is asked about
        return "avoid" if self.avoid and self.verb is None else "none"

    def _result(self, text: str, intent: str) -> Instruction:
        unknown = self._unknown()
        has = {"cancel": True, "avoid": bool(self.avoid), "go": self.destination is not None,
               "bring": self.target is not None and self.destination is not None, "none": self.decided}
        sure = has[intent] and (not unknown or intent == "none")
        return Instruction(
            text=text,
            intent=intent,
            confidence=0.95 if sure else 0.6,
            target=self.target if intent == "bring" else None,
            destination=self.destination if intent in ("bring", "go") else None,
            avoid=tuple(self.avoid) if intent in ("bring", "go", "avoid") else (),
            unknown=unknown,
        )

    def _unknown(self) -> tuple[str, ...]:
        """Unknown words one by one; known words that fitted nowhere as runs."""
        found: list[str] = []
        last = -2
        for index, item in enumerate(self.c.items):
            if index in self.accounted:
                continue
            if item.kind is Kind.UNKNOWN:
                found.append(item.words)
            elif index in self.c.unused:
                if last == index - 1:
                    found[-1] += " " + item.words
                else:
                    found.append(item.words)
                last = index
        content = [w for w in found if w not in _GLUE]
        return tuple(dict.fromkeys(content or found))
