"""Who a phrase refers to: the probability of each tracked object to be "the blue tote near charger 2".

Existence x class x colour x attribute x relation, tilted by how well the object's embedding matches the
phrase's. Relations are measured from a place's or an object's edge. Left, right, behind and in front
are as seen by a robot that faces the place; of a person, forklift or robot they are its own; of things
without a front they are as drawn on the map (x to the right, y up).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from aislewise.sitemap import PLACE_KINDS, Place, SiteMap
from aislewise.types import ATTRIBUTES, F64, GroundingStatus, ObjectClass, Phrase, WorldObject, WorldState
from perception.lexicon import place_keys

_OWN_FRONT = (ObjectClass.PERSON, ObjectClass.FORKLIFT, ObjectClass.ROBOT)
_TURN = {"left_of": 0.5, "right_of": -0.5, "behind": 0.0, "in_front_of": 1.0}
"""Direction of a relation from the line of sight of someone who looks at the anchor, in units of pi."""
MAX_NAMED = 8


@dataclass(frozen=True, slots=True)
class GroundingConfig:
    """Thresholds and reaches.

    minimum: probability below which an object is not what was meant; sure: from which one without a
    rival is acted on; ratio: share of the best candidate's probability from which another is a rival;
    *_m: reach of the relations, soft_m their softness; cone: cosine of the half angle within which
    something is left, right, behind or in front; embedding_weight: nats that a cosine similarity lower
    by one costs; min_confidence: of the parse.
    """

    minimum: float = 0.2
    sure: float = 0.35
    ratio: float = 0.35
    near_m: float = 4.0
    on_m: float = 0.5
    next_m: float = 1.5
    side_m: float = 5.0
    cone: float = 0.6
    soft_m: float = 0.25
    embedding_weight: float = 0.5
    min_confidence: float = 0.45

    def __post_init__(self) -> None:
        for name in ("minimum", "sure", "ratio", "min_confidence"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise InputError(f"grounding.{name}", f"{getattr(self, name)}", "above 0 to 1")
        for name in ("near_m", "on_m", "next_m", "side_m", "soft_m"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0.0):
                raise InputError(f"grounding.{name}", f"{getattr(self, name)}", "above 0 m")


class Question(Exception):
    """The search for an answer ended in a question."""

    def __init__(self, status: GroundingStatus, question: str) -> None:
        super().__init__(question)
        self.status, self.question = status, question


@dataclass(frozen=True, slots=True)
class _Anchors:
    """What a relation refers to. xy: (n, 2); yaw: (n,) of a viewer who looks at it; weight: (n,) in
    [0, 1]; reach: (n,) half its size; own_front: (n,) whether it has a front; same: (objects, n)
    whether an anchor is the object itself."""

    xy: F64
    yaw: F64
    weight: F64
    reach: F64
    own_front: NDArray[np.bool_]
    same: NDArray[np.bool_]


class Referents:
    """The objects of one world and the places of one site, and how well phrases fit them."""

    def __init__(self, world: WorldState, site: SiteMap, config: GroundingConfig) -> None:
        self.objects, self.site, self.config = world.objects, site, config
        self._keys = place_keys(site.places)
        self._xy: F64 = np.array([o.position[:2] for o in self.objects], np.float64).reshape(-1, 2)

    def scores(self, phrase: Phrase) -> F64:
        """(n,) probability of each object of the world to be what the phrase says."""
        scores = self.appearance(phrase)
        if phrase.relation is None or not len(scores):
            return scores
        if phrase.anchor is None:
            what = phrase.relation.replace("_", " ")
            raise Question(GroundingStatus.AMBIGUOUS, f'"{phrase.words}": {what} what?')
        if phrase.relation == "between":
            return scores * self._between(phrase.anchor)
        if phrase.relation == "closest_to":
            return scores * self._closest(scores, self._anchors(phrase.anchor))
        return scores * self._related(phrase.relation, phrase.anchor)

    def appearance(self, phrase: Phrase) -> F64:
        """(n,) existence x class x colour x attribute x embedding; relations are left out."""
        objects = self.objects
        scores = np.array([o.existence * looks_like(phrase, o) for o in objects], np.float64)
        if phrase.embedding is not None and len(objects):
            likeness = np.array([float(o.embedding @ phrase.embedding) for o in objects])
            plausible = scores >= self.config.minimum
            if plausible.any() and np.isfinite(likeness).all():
                gap = np.clip(likeness[plausible].max() - likeness, 0.0, 2.0)
                scores *= np.exp(-self.config.embedding_weight * gap)
        return scores

    def _related(self, relation: str, phrase: Phrase) -> F64:
        """(n,) how well each object stands in a relation to the best fitting anchor."""
        if relation == "at" and phrase.place and phrase.place.startswith("aisle_"):
            return self._in_aisle(phrase)
        anchors = self._anchors(phrase)
        delta = self._xy[:, None, :] - anchors.xy[None]
        distance = np.linalg.norm(delta, axis=2)
        gap = np.maximum(distance - anchors.reach, 0.0)
        c = self.config
        if relation == "near" or (relation == "at" and phrase.place):
            fit = _below(gap, c.near_m, c.soft_m)
        elif relation == "at":
            fit = _below(gap, c.on_m, c.soft_m)
        elif relation == "next_to":
            fit = _below(gap, c.next_m, c.soft_m)
        elif relation in _TURN:
            heading = anchors.yaw + _TURN[relation] * math.pi
            if relation in ("behind", "in_front_of"):  # a thing's own front points away from its back
                heading = heading + np.where(anchors.own_front, math.pi, 0.0)
            along = delta[..., 0] * np.cos(heading) + delta[..., 1] * np.sin(heading)
            cosine = along / np.maximum(distance, 1e-6)
            fit = _below(gap, c.side_m, c.soft_m) * _below(c.cone - cosine, 0.0, 0.05)
        else:
            raise Question(GroundingStatus.AMBIGUOUS, f'I do not understand "{relation}".')
        best: F64 = np.where(anchors.same, 0.0, fit * anchors.weight).max(axis=1)
        return best

    def _closest(self, scores: F64, anchors: _Anchors) -> F64:
        """(n,) 1 for the object closest to an anchor, falling with every half metre further away."""
        distance = np.linalg.norm(self._xy[:, None] - anchors.xy[None], axis=2)
        distance[anchors.same | (anchors.weight < self.config.ratio)[None]] = np.inf
        nearest = distance.min(axis=1)
        plausible = scores >= max(self.config.minimum, self.config.ratio * float(scores.max()))
        if not np.isfinite(nearest[plausible]).any():
            return np.zeros(len(scores))
        falling: F64 = np.exp(-np.maximum(nearest - nearest[plausible].min(), 0.0) / 0.5)
        return falling

    def _between(self, phrase: Phrase) -> F64:
        """(n,) whether each object lies in the corridor between two anchors."""
        if phrase.relation != "and" or phrase.anchor is None:
            raise Question(GroundingStatus.AMBIGUOUS, f'Between "{phrase.words}" and what?')
        first = self._anchors(Phrase(phrase.words, phrase.cls, phrase.colour, phrase.attribute, phrase.place))
        second = self._anchors(phrase.anchor)
        at = self._xy
        best = np.zeros(len(at))
        likely = self.config.ratio
        for a, wa in ((x, w) for x, w in zip(first.xy, first.weight, strict=True) if w >= likely):
            for b, wb in ((x, w) for x, w in zip(second.xy, second.weight, strict=True) if w >= likely):
                span = b - a
                length = float(np.linalg.norm(span))
                if length < 1e-6:
                    continue
                along = (at - a) @ span / length**2
                aside = np.linalg.norm(at - a - along[:, None] * span, axis=1)
                inside = (along > 0.05) & (along < 0.95)
                width = max(self.config.next_m, 0.25 * length)
                best = np.maximum(best, wa * wb * inside * _below(aside, width, self.config.soft_m))
        return best

    def _in_aisle(self, phrase: Phrase) -> F64:
        """(n,) whether each object stands in the lane that an aisle's pick faces are reached from."""
        faces = self.places(str(phrase.place))
        if not faces:
            raise Question(GroundingStatus.AMBIGUOUS, f'There is no "{phrase.words}".')
        lane = np.array([self.site.centre(p.cell) for p in faces])
        margin = self.site.resolution_m
        at = self._xy
        inside = (at >= lane.min(axis=0) - margin) & (at <= lane.max(axis=0) + margin)
        return inside.all(axis=1).astype(np.float64)

    def _anchors(self, phrase: Phrase) -> _Anchors:
        """The places or the likely objects an anchor phrase names; asks when there are none."""
        if phrase.place is not None:
            places = self.places(phrase.place)
            if not places:
                known = f"I know {self.named('')}."
                raise Question(GroundingStatus.AMBIGUOUS, f'There is no "{phrase.words}". {known}')
            n = len(places)
            return _Anchors(
                np.array([(p.x_m, p.y_m) for p in places]), np.array([p.yaw_rad for p in places]),
                np.ones(n), np.full(n, 0.5), np.zeros(n, bool), np.zeros((len(self.objects), n), bool),
            )  # fmt: skip
        if phrase.cls is None:
            raise Question(GroundingStatus.AMBIGUOUS, f'I do not know where "{phrase.words}" is.')
        scores = self.scores(phrase)
        best = float(scores.max()) if len(scores) else 0.0
        if best < self.config.minimum:
            raise Question(GroundingStatus.NOT_FOUND, f'I see no "{phrase.words}".')
        fronts = np.array([o.cls in _OWN_FRONT for o in self.objects])
        yaws = np.array([o.yaw_rad for o in self.objects])
        reach = np.array([max(o.size[0], o.size[1]) / 2.0 for o in self.objects])
        same = np.eye(len(scores), dtype=bool)
        return _Anchors(
            self._xy, np.where(fronts, yaws, math.pi / 2.0), scores / best, reach, fronts, same
        )

    def places(self, name: str) -> list[Place]:
        """The place of that id however it is spelt, all places of a kind, or an aisle's pick faces
        (ids that start with a letter and the aisle's number: "F03-12-L" is in aisle 3)."""
        keys = self._keys
        key = next(iter(place_keys((name,))), ())
        if key in keys:
            return [self.site.places[keys[key]]]
        if name in PLACE_KINDS:
            return self.site.of_kind(name)
        if key[:1] == ("aisle",) and len(key) == 2:
            return [self.site.places[i] for k, i in keys.items() if self._is_face(k, i) and k[1] == key[1]]
        return []

    def _is_face(self, key: tuple[str, ...], place_id: str) -> bool:
        return self.site.places[place_id].kind == "pick_face" and len(key) > 1 and key[0].isalpha()

    def named(self, kind: str) -> str:
        """The ids of a kind of place to offer in a question; of all but pick faces where kind is ""."""
        ids = [p.id for p in self.site.places.values() if p.kind == kind or (not kind and p.kind != "pick_face")]
        return ", ".join(ids[:MAX_NAMED]) + (", ..." if len(ids) > MAX_NAMED else "")


def looks_like(phrase: Phrase, obj: WorldObject) -> float:
    """Probability in [0, 1] that the object looks as the phrase's class, colour and attribute say;
    an attribute "not_loaded" is the absence of "loaded"."""
    p = 1.0
    if phrase.cls is not None:
        p *= float(obj.class_probs[phrase.cls])
    if phrase.colour is not None:
        p *= float(obj.colour_probs[phrase.colour])
    if phrase.attribute is not None:
        name = phrase.attribute.removeprefix("not_")
        if name not in ATTRIBUTES:
            raise InputError("phrase.attribute", f"{phrase.attribute!r:.40}", ATTRIBUTES)
        has = float(obj.attributes[ATTRIBUTES.index(name)])
        p *= 1.0 - has if phrase.attribute.startswith("not_") else has
    return p


def _below(value: F64, limit: float, soft: float) -> F64:
    """1 well below the limit, 0 well above, a logistic step of width `soft` around it."""
    out: F64 = 1.0 / (1.0 + np.exp(np.clip((value - limit) / soft, -50.0, 50.0)))
    return out
