"""The tracked world: objects, occupancy, robots, keep-outs and sensor health as one WorldState."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from aislewise.clock import to_ns
from aislewise.errors import InputError, NotFoundError
from aislewise.geometry import rectangle, transform_xy
from aislewise.sitemap import SiteMap
from aislewise.types import (
    ATTRIBUTES,
    F64,
    DetectionFrame,
    KeepOut,
    ObjectClass,
    Phrase,
    Pose2D,
    RobotInfo,
    RobotMode,
    WorldObject,
    WorldState,
)
from fusion.latest import LatestFrames
from fusion.occupancy import OccupancyConfig, OccupancyMap
from fusion.referents import looks_like
from fusion.tracker import Tracker, TrackerConfig

Predicate = Callable[[WorldObject], bool]

SENSORS = ("camera", "lidar")
REMEMBERED_FRAMES = 32
"""Of each robot: a frame that comes a second time is known by its stamp."""
MOVERS = (ObjectClass.PERSON, ObjectClass.FORKLIFT)


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """stale_s: a sensor or robot not heard of for this long is lost. fit: probability from which an
    object fits a phrase that is to be avoided; avoid_existence: from which it is kept away from. settle_m: an avoided object's polygon follows it only
    when it moved or grew by more, so that plans are not redone for noise. mover_margin_m: round people and
    vehicles, where occupancy learns nothing. tracking: without it objects are what each robot's last frame shows."""

    stale_s: float = 1.5
    fit: float = 0.5
    avoid_existence: float = 0.5
    settle_m: float = 0.2
    mover_margin_m: float = 0.4
    max_keep_outs: int = 1000
    max_margin_m: float = 20.0
    tracking: bool = True
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    occupancy: OccupancyConfig = field(default_factory=OccupancyConfig)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.stale_s) and self.stale_s > 0.0):
            raise InputError("world.stale_s", f"{self.stale_s}", "above 0 s")
        if not 0.0 < self.fit <= 1.0:
            raise InputError("world.fit", f"{self.fit}", "above 0 to 1")
        if not 0.0 <= self.avoid_existence < 1.0:
            raise InputError("world.avoid_existence", f"{self.avoid_existence}", "0 to below 1")


@dataclass(slots=True)
class _Request:
    """A standing request to keep away, and the polygons it stands for now by object id."""

    fits: Predicate
    reason: str
    source: str
    margin_m: float
    until_ns: int
    polygons: dict[str, KeepOut] = field(default_factory=dict)


class WorldModel:
    """Fed by frames and robots' own reports; `state(now_ns)` is what everybody else sees."""

    def __init__(self, site: SiteMap, config: WorldConfig | None = None) -> None:
        self.site = site
        self.config = config or WorldConfig()
        self.tracker: Tracker | LatestFrames = Tracker(self.config.tracker)
        if not self.config.tracking:
            self.tracker = LatestFrames(self.config.tracker, self.config.stale_s)
        self.occupancy = OccupancyMap(site, self.config.occupancy)
        self._robots: dict[str, RobotInfo] = {}
        self._places: F64 | None = None
        self._row_of: dict[str, int] = {}
        self._keep_outs: dict[str, KeepOut] = {}
        self._requests: dict[str, _Request] = {}
        self._heard: dict[tuple[str, str], int] = {}
        self._taken: dict[str, deque[int]] = {}
        self._version = 0
        self._requested = 0

    def update(self, frame: DetectionFrame) -> None:
        """One robot's detections and sweep. Ignored: one that came before (evidence must not count twice), and that
        of a robot which says that it has lost its way (what it sees would stand in wrong places)."""
        taken = self._taken.setdefault(frame.robot, deque(maxlen=REMEMBERED_FRAMES))
        known = self._robots.get(frame.robot)
        if frame.stamp_ns in taken or (known is not None and known.mode is RobotMode.LOST):
            return
        taken.append(frame.stamp_ns)
        self.tracker.update(self._on_open_floor(frame), self._places_of_others(frame.robot))
        if frame.local_grid is None:
            self.occupancy.integrate(frame)
        else:
            others = [r.pose for r in self._robots.values() if r.id != frame.robot]
            self.occupancy.integrate(frame, others, self._movers(frame))
        for sensor in SENSORS:
            key = (frame.robot, sensor)
            # The first frame opens the account of both sensors: one that never came is missing too.
            opened = self._heard.setdefault(key, -1)
            if sensor in frame.sensors:
                self._heard[key] = max(opened, frame.stamp_ns)

    def _places_of_others(self, robot: str) -> F64:
        """(N, 2) where the others of the fleet are. Kept from frame to frame: each frame asks for all of them."""
        if self._places is None:
            self._row_of = {name: row for row, name in enumerate(self._robots)}
            self._places = np.array([(r.pose.x_m, r.pose.y_m) for r in self._robots.values()]).reshape(-1, 2)
        row = self._row_of.get(robot)
        return self._places if row is None else np.delete(self._places, row, axis=0)

    def _movers(self, frame: DetectionFrame) -> list[tuple[float, float, float]]:
        """(x, y, radius) of people and vehicles, seen now or tracked."""
        found = [d for d in frame.detections if d.cls in MOVERS and np.isfinite([*d.position[:2], *d.size]).all()]
        at = transform_xy(frame.T_map_base, np.array([d.position[:2] for d in found], np.float64).reshape(-1, 2))
        places, sizes = self.tracker.movers(MOVERS, frame.stamp_ns)
        spots = [(float(x), float(y), d.size) for (x, y), d in zip(at, found, strict=True)]
        spots += [(float(x), float(y), size) for (x, y), size in zip(places, sizes, strict=True)]
        return [(x, y, 0.5 * float(max(size[0], size[1])) + self.config.mover_margin_m) for x, y, size in spots]

    def _on_open_floor(self, frame: DetectionFrame) -> DetectionFrame:
        """Without wet floor claimed under racks and walls, where shadows lie and nobody drives."""
        wet = [d for d in frame.detections if d.cls is ObjectClass.WET_FLOOR]
        if not wet:
            return frame
        xy = transform_xy(frame.T_map_base, np.array([d.position[:2] for d in wet], np.float64))
        cells = [self.site.cell_at(*at) if np.isfinite(at).all() else -1 for at in xy.tolist()]
        hidden = {id(d) for d, c in zip(wet, cells, strict=True) if c < 0 or not self.site.free.flat[c]}
        return replace(frame, detections=tuple(d for d in frame.detections if id(d) not in hidden))

    def robot(self, info: RobotInfo) -> None:
        """A robot's own report; older ones than the last are ignored. Of a robot that has lost its way the last place
        counts that it was sure of; one that never was is not taken in."""
        if not info.id or not _finite(info.pose):
            raise InputError("robot.pose", f"{info.id!r:.40} at {info.pose}", "an id and finite numbers")
        known = self._robots.get(info.id)
        if info.mode is RobotMode.LOST:
            if known is None:
                return
            info = replace(info, pose=known.pose)
        if known is None or info.heard_at_ns >= known.heard_at_ns:
            self._robots[info.id] = info
            if known is None:
                self._places = None
            elif self._places is not None:
                self._places[self._row_of[info.id]] = info.pose.x_m, info.pose.y_m

    def remove_robot(self, robot: str) -> None:
        """A robot that left the fleet."""
        if self._robots.pop(robot, None) is None:
            raise NotFoundError(f"no robot {robot!r}")
        self._places = None
        self._heard = {key: ns for key, ns in self._heard.items() if key[0] != robot}

    def add_keep_out(self, keep_out: KeepOut) -> None:
        """Replaces the one of the same id."""
        polygon = keep_out.polygon
        if polygon.ndim != 2 or polygon.shape[1] != 2 or not 3 <= len(polygon) <= 1000:
            raise InputError("keep_out.polygon", f"shape {polygon.shape}", "(3 to 1000, 2)")
        if not np.isfinite(polygon).all():
            raise InputError("keep_out.polygon", "has corners that are no numbers", "finite")
        if keep_out.id not in self._keep_outs and len(self._keep_outs) >= self.config.max_keep_outs:
            raise InputError("keep_out", "too many", self.config.max_keep_outs)
        self._keep_outs[keep_out.id] = keep_out

    def remove_keep_out(self, keep_out_id: str) -> None:
        if self._keep_outs.pop(keep_out_id, None) is None:
            raise NotFoundError(f"no keep-out {keep_out_id!r}")

    def avoid(
        self, what: Phrase | Predicate, source: str = "instruction", margin_m: float = 0.5, until_ns: int = 0
    ) -> str:
        """Keeps robots away from every tracked object that fits, now and later, as long as the object
        exists. what: a phrase (its class, colour and attribute) or a predicate. Returns the request's
        id for `stop_avoiding`. The same phrase and source again replaces the old request."""
        if not (math.isfinite(margin_m) and 0.0 <= margin_m <= self.config.max_margin_m):
            raise InputError("margin_m", f"{margin_m}", f"0 to {self.config.max_margin_m} m")
        if isinstance(what, Phrase):
            phrase = what
            if phrase.cls is None and phrase.colour is None and phrase.attribute is None:
                raise InputError("avoid", f"{phrase.words!r:.80} names no kind of object")
            if phrase.attribute is not None and phrase.attribute.removeprefix("not_") not in ATTRIBUTES:
                raise InputError("avoid.attribute", f"{phrase.attribute!r:.40}", ATTRIBUTES)
            request_id = f"avoid-{_slug(phrase.words)}-{_slug(source)}"
            fits: Predicate = lambda obj: looks_like(phrase, obj) >= self.config.fit  # noqa: E731
            reason = f"keep away from {phrase.words}"
        else:
            self._requested += 1
            request_id, fits, reason = f"avoid-{self._requested}-{_slug(source)}", what, "keep away"
        self._requests[request_id] = _Request(fits, reason, source, margin_m, until_ns)
        return request_id

    def stop_avoiding(self, request_id: str) -> None:
        if self._requests.pop(request_id, None) is None:
            raise NotFoundError(f"no request {request_id!r}")

    def state(self, now_ns: int) -> WorldState:
        """The world now; each call is a new version."""
        self._version += 1
        self.occupancy.fade(now_ns)
        objects = self.tracker.objects(now_ns)
        return WorldState(
            version=self._version,
            stamp_ns=now_ns,
            objects=objects,
            robots=tuple(self._robots[name] for name in sorted(self._robots)),
            occupancy=self.occupancy.grid(),
            keep_outs=self._present_keep_outs(objects, now_ns),
            sensor_health=self.health(now_ns),
        )

    def health(self, now_ns: int) -> dict[str, str]:
        """"robot/sensor" and "robot" -> "ok", "stale" (was heard, not lately) or "missing" (never)."""
        stale_ns = to_ns(self.config.stale_s)
        out = {}
        for (robot, sensor), heard_ns in sorted(self._heard.items()):
            state = "missing" if heard_ns < 0 else "stale" if now_ns - heard_ns > stale_ns else "ok"
            out[f"{robot}/{sensor}"] = state
        for name in sorted(self._robots):
            out[name] = "stale" if now_ns - self._robots[name].heard_at_ns > stale_ns else "ok"
        return out

    def _present_keep_outs(self, objects: tuple[WorldObject, ...], now_ns: int) -> tuple[KeepOut, ...]:
        lasting = {k: v for k, v in self._keep_outs.items() if not v.until_ns or v.until_ns > now_ns}
        self._keep_outs = lasting
        self._requests = {k: r for k, r in self._requests.items() if not r.until_ns or r.until_ns > now_ns}
        out = [lasting[key] for key in sorted(lasting)]
        for request_id in sorted(self._requests):
            request = self._requests[request_id]
            request.polygons = {
                obj.id: self._around(request_id, request, obj)
                for obj in objects
                if obj.existence >= self.config.avoid_existence and request.fits(obj)
            }
            out += request.polygons.values()
        return tuple(out)

    def _around(self, request_id: str, request: _Request, obj: WorldObject) -> KeepOut:
        """The object's footprint grown by the margin; the last one while it is still about right."""
        polygon = footprint(obj, request.margin_m)
        known = request.polygons.get(obj.id)
        if known is not None and _gap(known.polygon, polygon) <= self.config.settle_m:
            return known
        keep_out = KeepOut(f"{request_id}-{obj.id}", polygon, request.reason, request.source)
        return replace(keep_out, until_ns=request.until_ns)


def footprint(obj: WorldObject, margin_m: float) -> F64:
    """(4, 2) corners in `map` of the object's box grown by the margin on all sides."""
    pose = Pose2D(float(obj.position[0]), float(obj.position[1]), obj.yaw_rad)
    return rectangle(pose, float(obj.size[0]) + 2.0 * margin_m, float(obj.size[1]) + 2.0 * margin_m)


def _gap(a: F64, b: F64) -> float:
    """Largest distance of a corner of b from the nearest corner of a: turning by pi is no change."""
    return float(np.linalg.norm(a[None] - b[:, None], axis=2).min(axis=1).max())


def _slug(text: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())[:60]


def _finite(pose: Pose2D) -> bool:
    return all(map(math.isfinite, (pose.x_m, pose.y_m, pose.yaw_rad)))
