"""How good the detections are. numpy only; works on any frames of detections and truth.

Detections are matched to truth by the distance of their centres on the floor, best score first, and
averaged over classes (Caesar et al. 2020, nuScenes; here one distance, 0.5 m).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from aislewise.types import ATTRIBUTES, Detection, ObjectClass, SensorFrame
from fusion.grid import NO_COLOUR, BevConfig
from fusion.infer import Detector

RADIUS_M = 0.5
RANGE_STEP_M = 3.0
SURE = 0.3
"""Score from which a claim counts where recall and precision are asked for."""
MIN_LIDAR_POINTS = 4
MIN_CAMERA_PIXELS = 24
"""An object counts as visible to a sensor from this many returns or pixels on."""
MODES: dict[str, tuple[str, ...]] = {"fused": (), "lidar": ("image",), "camera": ("points",)}
"""What is taken away from each frame."""
OWNERS = {"vest": ObjectClass.PERSON, "loaded": ObjectClass.PALLET}


def match(found: Sequence[Any], truth: Sequence[Any], radius_m: float = RADIUS_M) -> list[int]:
    """For each detection (score order is taken here) the index of its truth of the same class, or -1.

    Both need `.cls` and `.position` in one frame; detections also `.score`. A truth is used once.
    """
    out = [-1] * len(found)
    if not truth or not found:
        return out
    places = np.array([[*t.position[:2]] for t in truth], np.float64)
    classes = np.array([int(t.cls) for t in truth])
    free = np.ones(len(truth), bool)
    for i in sorted(range(len(found)), key=lambda k: -found[k].score):
        distance = np.hypot(*(places - np.asarray(found[i].position[:2], np.float64)).T)
        distance[~free | (classes != int(found[i].cls))] = np.inf
        best = int(distance.argmin())
        if distance[best] <= radius_m:
            out[i], free[best] = best, False
    return out


def average_precision(scores: Sequence[float], hits: Sequence[bool], positives: int) -> float:
    """Area under the precision-recall curve with precision made monotone (Everingham et al. 2010)."""
    if positives == 0:
        return float("nan")
    if not len(scores):
        return 0.0
    order = np.argsort(-np.asarray(scores), kind="stable")
    true = np.cumsum(np.asarray(hits, float)[order])
    precision = true / np.arange(1, len(true) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    recall = np.concatenate([[0.0], true / positives])
    return float(np.sum(np.diff(recall) * precision))


def class_precisions(
    detections: Sequence[Any], truths: Sequence[Sequence[Any]], radius_m: float = RADIUS_M
) -> dict[str, float]:
    """Average precision per class that occurs in the truth, by its lower-case name.

    detections: per frame a sequence of Detection, or anything with `.detections` (DetectionFrame);
    truths: per frame objects with `.cls` and `.position` in the same frame of reference. A truth with
    a true `.ignore` may be found or missed without a gain or loss.
    """
    scores: dict[int, list[float]] = {c: [] for c in ObjectClass}
    hits: dict[int, list[bool]] = {c: [] for c in ObjectClass}
    positives = dict.fromkeys(ObjectClass, 0)
    for frame, truth in zip(detections, truths, strict=True):
        found = getattr(frame, "detections", frame)
        for t in truth:
            positives[ObjectClass(int(t.cls))] += not getattr(t, "ignore", False)
        for d, k in zip(found, match(found, truth, radius_m), strict=True):
            if k >= 0 and getattr(truth[k], "ignore", False):
                continue
            scores[int(d.cls)].append(float(d.score))
            hits[int(d.cls)].append(k >= 0)
    return {
        c.name.lower(): average_precision(scores[c], hits[c], positives[c])
        for c in ObjectClass
        if positives[c]
    }


def detection_map(
    detections: Sequence[Any], truths: Sequence[Sequence[Any]], radius_m: float = RADIUS_M
) -> float:
    """Mean of class_precisions, 0 when there is no truth at all."""
    each = class_precisions(detections, truths, radius_m)
    return float(np.mean(list(each.values()))) if each else 0.0


def by_range(
    detections: Sequence[Any], truths: Sequence[Sequence[Any]], radius_m: float = RADIUS_M, step_m: float = RANGE_STEP_M
) -> dict[str, list[dict[str, Any]]]:
    """How well each class is found near and far: rows of from_m, to_m (distance over the floor from base_link),
    truths, claims, recall, precision (None without claims) and ap (None without truths). Recall and precision are of
    claims with a score of at least SURE. What is found counts where its truth is, a false claim where it is made.
    Arguments as class_precisions takes them; all in base_link."""
    rows: dict[tuple[int, int], _Bin] = {}
    for frame, truth in zip(detections, truths, strict=True):
        found = getattr(frame, "detections", frame)
        counts = [not getattr(t, "ignore", False) for t in truth]
        places = [(int(t.cls), int(np.hypot(*t.position[:2]) // step_m)) for t in truth]
        for place, counted in zip(places, counts, strict=True):
            if counted:
                rows.setdefault(place, _Bin()).truths += 1
        for d, k in zip(found, match(found, truth, radius_m), strict=True):
            if k >= 0 and not counts[k]:
                continue
            place = places[k] if k >= 0 else (int(d.cls), int(np.hypot(*d.position[:2]) // step_m))
            part = rows.setdefault(place, _Bin())
            part.scores.append(float(d.score))
            part.hits.append(k >= 0)
    out: dict[str, list[dict[str, Any]]] = {}
    for cls, part_of in sorted(rows):
        row = {"from_m": part_of * step_m, "to_m": (part_of + 1) * step_m, **rows[cls, part_of].figures()}
        out.setdefault(ObjectClass(cls).name.lower(), []).append(row)
    return out


@dataclass(slots=True)
class _Bin:
    """One class at one range."""

    truths: int = 0
    scores: list[float] = field(default_factory=list)
    hits: list[bool] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        sure = [hit for score, hit in zip(self.scores, self.hits, strict=True) if score >= SURE]
        return {
            "truths": self.truths,
            "claims": len(sure),
            "recall": round(sum(sure) / self.truths, 4) if self.truths else None,
            "precision": round(sum(sure) / len(sure), 4) if sure else None,
            "ap": round(average_precision(self.scores, self.hits, self.truths), 4) if self.truths else None,
        }


@dataclass(frozen=True, slots=True)
class KnownObject:
    """A labelled object as the metrics use it."""

    cls: int
    position: Any
    colour: int
    attributes: Any
    seen: bool
    ignore: bool


@dataclass(slots=True)
class Tally:
    """What one mode of the network found over all frames."""

    found: list[tuple[Detection, ...]] = field(default_factory=list)
    truth: list[list[KnownObject]] = field(default_factory=list)
    in_view: list[list[KnownObject]] = field(default_factory=list)


def evaluate(
    detector: Detector, samples: Iterable[Any], modes: Sequence[str] = tuple(MODES)
) -> dict[str, dict[str, Any]]:
    """Figures of one network with both sensors, and with one taken away, on labelled frames.

    samples: objects with `.frame` and `.objects` (see fusion.dataset.Labelled). Per mode: map over
    all objects that either sensor saw; map_in_view over those the camera saw (so that a camera is
    not blamed for what is behind it); per class; recall, precision, colour and attribute accuracy of
    what was found with a score of at least 0.3, on objects the camera saw.
    """
    tallies = {mode: Tally() for mode in modes}
    for sample in samples:
        known = [known_object(o, detector.config) for o in sample.objects]
        shown = [replace(k, ignore=k.ignore or not k.seen) for k in known]
        for mode, tally in tallies.items():
            gone: dict[str, Any] = dict.fromkeys(MODES[mode])
            frame: SensorFrame = replace(sample.frame, **gone)
            tally.found.append(detector.detect(frame))
            tally.truth.append(known)
            tally.in_view.append(shown)
    return {mode: summary(tally) for mode, tally in tallies.items()}


def known_object(truth: Any, config: BevConfig) -> KnownObject:
    """Objects hardly seen by any sensor, or at the rim of the grid, are ignored."""
    seen = truth.camera_pixels >= MIN_CAMERA_PIXELS
    visible = seen or truth.lidar_points >= MIN_LIDAR_POINTS
    inside = bool(np.abs(np.asarray(truth.position[:2])).max() < config.half_extent_m - 0.2)
    return KnownObject(
        int(truth.cls), truth.position, NO_COLOUR if truth.colour is None else int(truth.colour),
        [bool(truth.attributes.get(a, False)) for a in ATTRIBUTES], bool(seen),
        not (visible and inside),
    )  # fmt: skip


def summary(tally: Tally) -> dict[str, Any]:
    each = class_precisions(tally.found, tally.truth)
    return {
        "map": round(float(np.mean(list(each.values()))), 4) if each else 0.0,
        "map_in_view": round(_map_in_view(tally), 4),
        "per_class": {k: round(v, 4) for k, v in each.items()},
        **_looks(tally),
    }


def _map_in_view(tally: Tally) -> float:
    """Detections that no object in view explains count only where the camera could see: those that
    match an object out of view are ignored with it."""
    return detection_map(tally.found, tally.in_view)


def _looks(tally: Tally, score: float = SURE) -> dict[str, Any]:
    """Recall, precision, and how often colour and attributes of found objects are right."""
    good, claimed, present = 0, 0, 0
    right: dict[str, list[bool]] = {name: [] for name in ("colour", *ATTRIBUTES)}
    for frame, truth in zip(tally.found, tally.truth, strict=True):
        found = [d for d in frame if d.score >= score]
        present += sum(not t.ignore for t in truth)
        for d, k in zip(found, match(found, truth), strict=True):
            if k >= 0 and truth[k].ignore:
                continue
            claimed += 1
            if k < 0:
                continue
            good += 1
            if truth[k].seen:
                _compare(d, truth[k], right)
    shares = {f"{k}_accuracy": round(float(np.mean(v)), 4) for k, v in right.items() if v}
    return {
        "recall": round(good / max(present, 1), 4), "precision": round(good / max(claimed, 1), 4),
        "objects": present, **shares,
    }  # fmt: skip


def _compare(d: Detection, truth: KnownObject, right: dict[str, list[bool]]) -> None:
    if truth.colour != NO_COLOUR:
        right["colour"].append(int(d.colour_probs.argmax()) == truth.colour)
    for i, name in enumerate(ATTRIBUTES):
        if truth.cls == OWNERS[name]:
            right[name].append(bool(d.attributes[i] > 0.5) == bool(truth.attributes[i]))
