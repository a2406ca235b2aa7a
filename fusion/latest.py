"""The world as the last frames alone show it: what tracking is measured against.

Nothing is remembered, filtered or confirmed over time, and what two robots see is two objects.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aislewise.clock import to_ns
from aislewise.types import F64, DetectionFrame, ObjectClass, Pose2D, WorldObject
from fusion.tracker import Tracker, TrackerConfig


class LatestFrames:
    """Takes a Tracker's place: `update` with each frame, `objects(now_ns)` for what each robot's last one shows.

    A claim's existence is what the tracker would give it at first sight. keep_s: a frame older than this shows
    nothing any more."""

    def __init__(self, config: TrackerConfig | None = None, keep_s: float = 1.5) -> None:
        config = config or TrackerConfig()
        self.config = replace(config, confirm=config.publish, confirm_hits=1)
        self.rejected = 0
        self._keep_ns = to_ns(keep_s)
        self._frames: dict[str, tuple[int, tuple[WorldObject, ...]]] = {}
        self._numbers = itertools.count(1)

    def update(self, frame: DetectionFrame, robots: Sequence[Pose2D] | F64 = ()) -> None:
        """See Tracker.update. A frame older than the robot's last is not used."""
        if frame.stamp_ns < self._frames.get(frame.robot, (frame.stamp_ns, ()))[0]:
            self.rejected += 1
            return
        first_look = Tracker(self.config)
        first_look.update(frame, robots)
        self.rejected += first_look.rejected
        seen = tuple(replace(o, id=f"obj-{next(self._numbers):04d}") for o in first_look.objects(frame.stamp_ns))
        self._frames[frame.robot] = (frame.stamp_ns, seen)

    def objects(self, now_ns: int | None = None) -> tuple[WorldObject, ...]:
        """In the order of their ids; nothing is carried on to now_ns."""
        newest = max((stamp for stamp, _ in self._frames.values()), default=0)
        oldest = (newest if now_ns is None else now_ns) - self._keep_ns
        recent = [o for stamp, seen in self._frames.values() if stamp >= oldest for o in seen]
        return tuple(sorted(recent, key=lambda o: (len(o.id), o.id)))

    def movers(self, classes: Sequence[ObjectClass], now_ns: int) -> tuple[F64, F64]:
        """See Tracker.movers."""
        found = [o for o in self.objects(now_ns) if o.cls in classes]
        return np.array([o.position[:2] for o in found]).reshape(-1, 2), np.array([o.size for o in found]).reshape(-1, 3)
