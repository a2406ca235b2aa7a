"""The state of all tracks as arrays with one row per track, and the numerics on it.

Position: constant velocity while a track is seen; afterwards the velocity decays (Ornstein-Uhlenbeck),
so that it coasts and stops instead of running away. Classes that do not move have no velocity.
Names: beliefs are kept as logarithms, existence and attributes as log-odds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from aislewise.types import ATTRIBUTES, EMBEDDING_SIZE, F32, F64, Colour, ObjectClass

I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

CLASSES, COLOURS = len(ObjectClass), len(Colour)
GROUPS = np.zeros((CLASSES, 4))
"""(7, 4) one-hot: classes that a detector may take for one another share a group."""
for _cls, _group in zip(ObjectClass, (0, 1, 2, 2, 1, 2, 3)):
    GROUPS[_cls, _group] = 1.0

#                       PERSON FORKLIFT PALLET TOTE ROBOT BOX WET_FLOOR
STILL = np.array([False, False, True, True, False, True, True])
COAST_S = np.array([1.5, 2.0, 1.0, 1.0, 2.0, 1.0, 1.0])  # time in which an unseen velocity decays
WANDER = np.array([0.3, 0.5, 0.0, 0.0, 0.5, 0.0, 0.0])  # spectral density of acceleration, m2/s3
CREEP = np.array([0.0, 0.0, 1e-4, 1e-4, 0.0, 1e-4, 1e-4])  # random walk of still classes, m2/s
HALF_TURN = np.array([False, False, True, True, False, True, True])  # looks the same turned by pi
FORGET_S = np.array([60.0, 60.0, 3600.0, 3600.0, 30.0, 3600.0, 7200.0])  # unseen: gone by itself

UNSEEN_NS = 1_000_000_000  # after so long without a detection a moving track coasts to a stop
LOG_FLOOR = np.log(1e-3)  # a class or colour can always come back
NEW_VIEW_M, STALE_VIEW = 0.5, 0.25  # moved so far it is a new look; weight of the same look again
MAX_LOG_ODDS = 4.0  # 0.982: a track can always be lost within a few looks


@dataclass(frozen=True, slots=True)
class Measurements:
    """Detections of one frame in `map`, one row each. R: (M, 2, 2) position covariance, m2. in_view:
    whether a camera could see the object, so that its colour counts. offset: (M, 2) from the robot to the
    object, in base_link."""

    xy: F64
    z: F64
    R: F64
    yaw: F64
    size: F64
    score: F64
    class_probs: F64
    colour_probs: F64
    attributes: F64
    embedding: F64
    in_view: Mask
    offset: F64

    def __len__(self) -> int:
        return len(self.score)

    def take(self, index: NDArray[np.intp]) -> Measurements:
        return Measurements(*(getattr(self, f.name)[index] for f in fields(self)))


@dataclass(slots=True)
class Tracks:
    """mean: (N, 4) x, y, vx, vy in `map`; cov: (N, 4, 4). serial: 0 until confirmed, then the number
    in the id; birth: order of birth. view: (N, 2) object in base_link when it was last looked at; seen_by:
    frozensets of robot ids."""

    mean: F64
    cov: F64
    z: F64
    yaw: F64
    size: F64
    class_log: F64
    colour_log: F64
    attribute_odds: F64
    existence_odds: F64
    embedding: F64
    hits: I64
    first_ns: I64
    last_ns: I64
    serial: I64
    birth: I64
    view: F64
    seen_by: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.z)

    @staticmethod
    def empty() -> Tracks:
        n = (0,)
        serial = np.empty(n, np.int64)
        return Tracks(
            np.empty((0, 4)), np.empty((0, 4, 4)), np.empty(n), np.empty(n), np.empty((0, 3)),
            np.empty((0, CLASSES)), np.empty((0, COLOURS)), np.empty((0, len(ATTRIBUTES))), np.empty(n),
            np.empty((0, EMBEDDING_SIZE)), serial, serial, serial, serial, serial, np.empty((0, 2)),
            np.empty(n, object),
        )  # fmt: skip

    @property
    def cls(self) -> I64:
        """(N,) most likely ObjectClass."""
        return np.argmax(self.class_log, axis=1)

    @property
    def existence(self) -> F64:
        return 1.0 / (1.0 + np.exp(-self.existence_odds))

    def keep(self, mask: Mask) -> None:
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name)[mask])

    def born(
        self, m: Measurements, existence_odds: F64, stamp_ns: int, robot: str, first_birth: int
    ) -> None:
        """Adds one track per measurement."""
        n = len(m)
        new = Tracks.empty()
        new.mean = np.concatenate([m.xy, np.zeros((n, 2))], axis=1)
        new.cov = np.zeros((n, 4, 4))
        new.cov[:, :2, :2] = m.R
        moves = ~STILL[np.argmax(m.class_probs, axis=1)]
        new.cov[:, 2:, 2:] = moves[:, None, None] * np.eye(2)
        new.z, new.yaw, new.size = m.z, m.yaw, m.size
        new.class_log = normalise(np.log(np.maximum(m.class_probs, 1e-3)))
        new.colour_log = np.zeros((n, COLOURS)) - np.log(COLOURS)
        new.attribute_odds = np.zeros((n, len(ATTRIBUTES)))
        new.existence_odds, new.view = existence_odds, m.offset
        new.embedding = m.embedding
        new.hits = np.ones(n, np.int64)
        new.first_ns = new.last_ns = np.full(n, stamp_ns, np.int64)
        new.serial = np.zeros(n, np.int64)
        new.birth = first_birth + np.arange(n)
        new.seen_by = np.full(n, frozenset((robot,)), object)
        _believe(new, np.arange(n), m, classes=False)
        for f in fields(self):
            setattr(self, f.name, np.concatenate([getattr(self, f.name), getattr(new, f.name)]))


def predict(tracks: Tracks, dt_s: float, stamp_ns: int) -> None:
    """Moves every track on by dt_s to stamp_ns, in place."""
    cls = tracks.cls
    still, coast_s = STILL[cls], COAST_S[cls]
    unseen = stamp_ns - tracks.last_ns > UNSEEN_NS
    a = np.where(still, 0.0, np.where(unseen, np.exp(-dt_s / coast_s), 1.0))
    b = np.where(still, 0.0, np.where(unseen, coast_s * (1.0 - a), dt_s))
    mean, cov = tracks.mean, tracks.cov
    mean[:, :2] += b[:, None] * mean[:, 2:]
    mean[:, 2:] *= a[:, None]
    a3, b3 = a[:, None, None], b[:, None, None]
    pp, pv, vv = cov[:, :2, :2], cov[:, :2, 2:], cov[:, 2:, 2:]
    pp = pp + b3 * (pv + pv.transpose(0, 2, 1)) + b3 * b3 * vv
    pv = a3 * (pv + b3 * vv)
    vv = a3 * a3 * vv
    eye, s = np.eye(2), WANDER[cls][:, None, None]
    cov[:, :2, :2] = pp + (s * dt_s**3 / 3.0 + CREEP[cls][:, None, None] * dt_s) * eye
    cov[:, :2, 2:] = pv + s * dt_s**2 / 2.0 * eye
    cov[:, 2:, :2] = cov[:, :2, 2:].transpose(0, 2, 1)
    cov[:, 2:, 2:] = vv + s * dt_s * eye
    tracks.existence_odds -= dt_s / FORGET_S[cls] * 4.0


def association_cost(tracks: Tracks, m: Measurements, gate: float, min_affinity: float) -> F64:
    """(N, M) negative log-likelihood of track i giving measurement j; inf outside the gate (squared
    Mahalanobis distance) or where the classes do not go together."""
    d = m.xy[None, :, :] - tracks.mean[:, None, :2]
    S = tracks.cov[:, None, :2, :2] + m.R[None]
    a, b, c = S[..., 0, 0], S[..., 0, 1], S[..., 1, 1]
    det = a * c - b * b
    dx, dy = d[..., 0], d[..., 1]
    d2 = (c * dx * dx - 2.0 * b * dx * dy + a * dy * dy) / det
    affinity = (np.exp(tracks.class_log) @ GROUPS) @ (m.class_probs @ GROUPS).T
    cost = d2 + np.log(det) - 2.0 * np.log(np.maximum(affinity, 1e-9))
    cost[(d2 > gate) | (affinity < min_affinity)] = np.inf
    return cost


def correct(tracks: Tracks, rows: NDArray[np.intp], m: Measurements, stamp_ns: int, robot: str) -> None:
    """Kalman update of track rows[k] with measurement k, and of all that is believed of it."""
    cov = tracks.cov[rows]
    S = cov[:, :2, :2] + m.R
    det = S[:, 0, 0] * S[:, 1, 1] - S[:, 0, 1] ** 2
    inv = np.empty_like(S)
    inv[:, 0, 0], inv[:, 1, 1] = S[:, 1, 1], S[:, 0, 0]
    inv[:, 0, 1] = inv[:, 1, 0] = -S[:, 0, 1]
    gain = cov[:, :, :2] @ (inv / det[:, None, None])
    innovation = m.xy - tracks.mean[rows, :2]
    tracks.mean[rows] += (gain @ innovation[..., None])[..., 0]
    cov = cov - gain @ cov[:, :2, :]
    tracks.cov[rows] = 0.5 * (cov + cov.transpose(0, 2, 1))
    _believe(tracks, rows, m)
    hits = tracks.hits[rows]
    part = np.maximum(1.0 / (hits + 1.0), 0.1)
    tracks.z[rows] += part * (m.z - tracks.z[rows])
    tracks.size[rows] += part[:, None] * (m.size - tracks.size[rows])
    period = np.where(HALF_TURN[tracks.cls[rows]], np.pi, 2.0 * np.pi)
    turn = (m.yaw - tracks.yaw[rows] + period / 2.0) % period - period / 2.0
    tracks.yaw[rows] = (tracks.yaw[rows] + np.maximum(part, 0.2) * turn + np.pi) % (2.0 * np.pi) - np.pi
    tracks.embedding[rows] += part[:, None] * (m.embedding - tracks.embedding[rows])
    tracks.hits[rows] = hits + 1
    tracks.last_ns[rows] = np.maximum(tracks.last_ns[rows], stamp_ns)
    for row in rows:
        if robot not in tracks.seen_by[row]:
            tracks.seen_by[row] |= {robot}


def look(
    tracks: Tracks, rows: NDArray[np.intp], offset: F64, evidence: F64, sure: NDArray[np.bool_] | None = None
) -> None:
    """Adds log-odds of existence. Looks from where the object was looked at before repeat the same
    rights and wrongs of the detector, so they count for less, unless the place itself was seen empty
    (`sure`, (K,)). offset: (K, 2) object in base_link."""
    moved = np.linalg.norm(offset - tracks.view[rows], axis=1)
    novelty = np.clip(moved / NEW_VIEW_M, STALE_VIEW, 1.0)
    if sure is not None:
        novelty[sure] = 1.0
    odds = tracks.existence_odds[rows] + novelty * evidence
    tracks.existence_odds[rows] = np.minimum(odds, MAX_LOG_ODDS)
    tracks.view[rows] = offset


def _believe(tracks: Tracks, rows: NDArray[np.intp], m: Measurements, classes: bool = True) -> None:
    """Bayes over class, colour and attributes, tempered because frames are not independent. What says
    nothing (a flat distribution, an object no camera sees) must not add up to certainty."""
    if classes:
        log = tracks.class_log[rows] + 0.5 * np.log(np.maximum(m.class_probs, 0.01))
        tracks.class_log[rows] = normalise(log)
    flatness = -(m.colour_probs * np.log(np.maximum(m.colour_probs, 1e-9))).sum(axis=1) / np.log(COLOURS)
    weight = m.in_view * np.clip(1.0 - flatness, 0.0, 1.0)
    log = tracks.colour_log[rows] + weight[:, None] * np.log(np.maximum(m.colour_probs, 0.01))
    tracks.colour_log[rows] = normalise(log)
    said = 0.5 * logit(np.clip(m.attributes, 0.05, 0.95))
    said[:, ATTRIBUTES.index("vest")] *= m.in_view
    tracks.attribute_odds[rows] = np.clip(tracks.attribute_odds[rows] + said, -MAX_LOG_ODDS, MAX_LOG_ODDS)


def absorb(tracks: Tracks, senior: int, junior: int) -> None:
    """Merges a duplicate into the track that keeps its id; the caller removes the junior. The two share
    evidence, so the more certain position is taken and not their product."""
    if np.trace(tracks.cov[junior, :2, :2]) < np.trace(tracks.cov[senior, :2, :2]):
        for name in ("mean", "cov", "z", "yaw", "size"):
            getattr(tracks, name)[senior] = getattr(tracks, name)[junior]
    for name in ("class_log", "colour_log"):
        both = np.stack([getattr(tracks, name)[senior], getattr(tracks, name)[junior]])
        getattr(tracks, name)[senior] = normalise(both.mean(axis=0))
    hits = tracks.hits[[senior, junior]]
    for name in ("embedding", "attribute_odds"):
        values = getattr(tracks, name)
        values[senior] = np.average(values[[senior, junior]], axis=0, weights=hits)
    tracks.existence_odds[senior] = tracks.existence_odds[[senior, junior]].max()
    tracks.hits[senior] = hits.sum()
    tracks.first_ns[senior] = tracks.first_ns[[senior, junior]].min()
    tracks.last_ns[senior] = tracks.last_ns[[senior, junior]].max()
    tracks.seen_by[senior] |= tracks.seen_by[junior]


def normalise(log: F64) -> F64:
    """Log-probabilities that sum to one over the last axis, none below the floor."""
    log = log - log.max(axis=-1, keepdims=True)
    log = np.maximum(log, LOG_FLOOR)
    return log - np.log(np.exp(log).sum(axis=-1, keepdims=True))


def logit(p: F64) -> F64:
    p = np.clip(p, 1e-6, 1.0 - 1e-6)
    return np.log(p / (1.0 - p))


def unit(rows: F64) -> F32:
    """Rows scaled to length one; zero rows stay."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return (rows / np.maximum(length, 1e-9)).astype(np.float32)
