"""Instructions made concrete: which object, which place, or what to ask back.

An explicit executor over the tracked world: `fusion.referents` scores every object, and the ones that
survive are counted. One is grounded, several are asked about, none is not found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from aislewise.errors import InputError
from aislewise.sitemap import SiteMap
from aislewise.types import (
    ATTRIBUTES,
    GroundedInstruction,
    GroundingStatus,
    Instruction,
    ObjectClass,
    Phrase,
    WorldObject,
    WorldState,
)
from fusion.referents import MAX_NAMED, GroundingConfig, Question, Referents
from perception.lexicon import CARRYABLE, suggest

_CAN_DO = ("I can bring a pallet, tote or box to a station, go to a place, keep away from things, "
           "and cancel the last instruction.")  # fmt: skip


def ground(
    instruction: Instruction, world: WorldState, site: SiteMap, config: GroundingConfig | None = None
) -> GroundedInstruction:
    """Resolve an instruction over the world as it is now. Never raises on an odd instruction: what
    cannot be resolved comes back as ambiguous, not_found or refused with the question to ask."""
    return _Executor(instruction, world, site, config or GroundingConfig()).run()


class _Executor:
    def __init__(
        self, instruction: Instruction, world: WorldState, site: SiteMap, config: GroundingConfig
    ) -> None:
        self.said, self.site, self.config = instruction, site, config
        self.referents = Referents(world, site, config)
        self.objects = world.objects
        self.candidates: tuple[tuple[str, float], ...] = ()

    def run(self) -> GroundedInstruction:
        target_id = destination = question = ""
        avoid_ids: tuple[str, ...] = ()
        status = GroundingStatus.GROUNDED
        try:
            self._check_intent()
            avoid_ids = self._avoid_ids()
            self._check_understood()
            if self.said.intent in ("bring", "go"):
                destination = self._destination()
            if self.said.intent == "bring" and self.said.target is not None:
                target_id = self._target(self.said.target)
        except Question as ask:
            status, question = ask.status, ask.question
        except InputError as error:
            status, question = GroundingStatus.REFUSED, str(error)
        return GroundedInstruction(
            self.said, status, self.candidates, target_id, destination, avoid_ids, question
        )

    # -- what is asked for -------------------------------------------------------------------------

    def _check_intent(self) -> None:
        said = self.said
        if said.intent not in ("bring", "go", "avoid", "cancel"):
            raise Question(GroundingStatus.REFUSED, f"I cannot do that. {_CAN_DO}")
        if said.intent != "bring":
            return
        if said.target is None:
            raise Question(GroundingStatus.AMBIGUOUS, "What shall I bring?")
        if said.target.cls is None:
            if said.unknown:
                raise Question(GroundingStatus.REFUSED, f"I do not know {_quoted(said.unknown)}. {_CAN_DO}")
            raise Question(GroundingStatus.AMBIGUOUS, f'What do you mean by "{said.target.words}"?')
        if said.target.cls not in CARRYABLE:
            raise Question(GroundingStatus.REFUSED, f"I cannot carry a {_name(said.target.cls)}. {_CAN_DO}")

    def _check_understood(self) -> None:
        """Words nobody understood, or a parse that is no more than a guess, are asked about."""
        said = self.said
        if said.unknown:
            tail = f"{self._guess()} Please say it in other words."
            raise Question(GroundingStatus.AMBIGUOUS, f"I do not understand {_quoted(said.unknown)}.{tail}")
        if said.confidence < self.config.min_confidence:
            raise Question(GroundingStatus.AMBIGUOUS, f"I am not sure I understood.{self._guess()}")

    def _guess(self) -> str:
        """The object that the understood part of the sentence fits, as a question to confirm."""
        if self.said.intent != "bring" or self.said.target is None:
            return ""
        try:
            return f" Do you mean {self._describe(self._target(self.said.target))}?"
        except Question:
            return ""

    def _avoid_ids(self) -> tuple[str, ...]:
        """Objects to keep away from now, wherever they are: a relation in the phrase is not waited for.
        None is no error, because the request stands for objects that appear later."""
        found: list[str] = []
        for phrase in self.said.avoid:
            if phrase.cls is not None:
                scores = self.referents.appearance(phrase)
                found += [self.objects[i].id for i in np.flatnonzero(scores >= self.config.minimum)]
            elif not self.said.unknown:
                raise Question(
                    GroundingStatus.AMBIGUOUS,
                    f'I can keep away from objects, but "{phrase.words}" names none. What shall I avoid?',
                )
        if self.said.intent == "avoid" and not self.said.avoid and not self.said.unknown:
            raise Question(GroundingStatus.AMBIGUOUS, "What shall I keep away from?")
        return tuple(dict.fromkeys(found))

    def _target(self, phrase: Phrase) -> str:
        """Id of the one object that fits."""
        scores = self.referents.scores(phrase)
        order = [int(i) for i in np.argsort(-scores, kind="stable")]
        best = float(scores[order[0]]) if order else 0.0
        keep = [i for i in order if scores[i] >= max(self.config.minimum, self.config.ratio * best)]
        self.candidates = tuple((self.objects[i].id, float(scores[i])) for i in keep[:MAX_NAMED])
        if not keep:
            raise Question(GroundingStatus.NOT_FOUND, f'I see no "{phrase.words}".')
        if len(keep) > 1:
            raise Question(GroundingStatus.AMBIGUOUS, self._which([self.objects[i] for i in keep]))
        found = self.objects[keep[0]]
        if best < self.config.sure:
            maybe = self._describe(found.id)
            raise Question(GroundingStatus.NOT_FOUND, f'I see no clear "{phrase.words}". Is it {maybe}?')
        return found.id

    def _destination(self) -> str:
        """The place's id; for a delivery it must be a station."""
        said = self.said
        kind = "station" if said.intent == "bring" else ""
        phrase = said.destination
        ask = f"Where to? I know {self.referents.named(kind)}."
        if phrase is None:
            raise Question(GroundingStatus.AMBIGUOUS, ask)
        if phrase.place is None:
            raise Question(GroundingStatus.AMBIGUOUS, f'"{phrase.words}" is no place I know. {ask}')
        places = [p for p in self.referents.places(phrase.place) if not kind or p.kind == kind]
        if not places or phrase.place.startswith("aisle"):
            what = f'{kind or "place"} "{phrase.words}"'
            raise Question(GroundingStatus.AMBIGUOUS, f"There is no {what}. {ask}")
        if len(places) > 1:
            names = ", ".join(p.id for p in places[:MAX_NAMED])
            raise Question(GroundingStatus.AMBIGUOUS, f'Which "{phrase.words}": {names}?')
        return places[0].id

    # -- words ------------------------------------------------------------------------------------

    def _describe(self, object_id: str) -> str:
        found = next(o for o in self.objects if o.id == object_id)
        return f"the {_looks(found)} {self._where(found)}"

    def _where(self, obj: WorldObject) -> str:
        """Where an object is, by the nearest place people know by name."""
        x, y = float(obj.position[0]), float(obj.position[1])
        known = list(self.site.places.values())
        named = [p for p in known if p.kind != "pick_face"] or known
        if not named:
            return f"at ({x:.1f}, {y:.1f})"
        near = min(named, key=lambda p: math.hypot(p.x_m - x, p.y_m - y))
        return f"{math.hypot(near.x_m - x, near.y_m - y):.1f} m from {near.id.replace('_', ' ')}"

    def _which(self, rivals: Sequence[WorldObject]) -> str:
        """"Which of 2: the blue tote ... or the red tote ...?", named by what tells them apart."""
        rivals = rivals[:MAX_NAMED]
        looks = [_looks(o) for o in rivals]
        if len(set(looks)) == len(looks):
            names = [f"the {look}" for look in looks]
        else:
            names = [f"the {look} {self._where(o)}" for look, o in zip(looks, rivals, strict=True)]
            if len(set(names)) < len(names):
                names = [
                    f"the {look} at ({o.position[0]:.1f}, {o.position[1]:.1f})"
                    for look, o in zip(looks, rivals, strict=True)
                ]
        return f"Which of {len(rivals)}: {', '.join(names[:-1])} or {names[-1]}?"


def _name(cls: ObjectClass) -> str:
    return cls.name.lower().replace("_", " ")


def _looks(obj: WorldObject) -> str:
    """What one would call the object by sight: "blue tote", "loaded pallet"."""
    colour = obj.colour.name.lower() + " " if float(obj.colour_probs.max()) >= 0.5 else ""
    has = obj.attributes > 0.5
    if obj.cls is ObjectClass.PALLET:
        return ("loaded " if has[ATTRIBUTES.index("loaded")] else "empty ") + colour + "pallet"
    return colour + _name(obj.cls)


def _quoted(unknown: Sequence[str]) -> str:
    """The words not understood, with the known word each may be a slip of."""
    named = []
    for word in unknown[:MAX_NAMED]:
        close = suggest(word)
        named.append(f'"{word}"' + (f' (did you mean "{close}"?)' if close and close != word else ""))
    return ", ".join(named)
