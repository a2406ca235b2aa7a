"""What faults make of a robot's camera and lidar on their way out: lost, late, frozen, dirty, false."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from aislewise.clock import to_ns
from aislewise.types import F32, U8
from sim.faults import SENSORS, Fault, FaultSchedule
from sim.sensors import RawFrame

GARBAGE_M = 12.0
"""Garbage points lie anywhere in this box round the lidar (half side)."""
SECTORS = 72
"""A dirty window hides some of so many sectors of the lidar's turn."""
MUD = np.array([58.0, 50.0, 40.0], np.float32)

Draw = Callable[..., np.random.Generator]
"""(fault, robot, more...) -> generator: the same for the same scenario and seed."""
Timing = Callable[[str, str, int], tuple[int, int]]
"""(robot, sensor, taken_ns) -> when the reading goes out and its stamp, ns, were nothing at fault."""


@dataclass(frozen=True, slots=True, order=True)
class Reading:
    """One sensor's message. due_ns: when it goes out; stamp_ns: when it says it was taken; data: image (H, W, 3)
    uint8, points (N, 4) float32 in the lidar frame, depth (H, W) float32, or what an inertial unit gives."""

    due_ns: int
    number: int
    robot: str = field(compare=False)
    sensor: str = field(compare=False)
    stamp_ns: int = field(compare=False)
    data: Any = field(compare=False)


class SensorFaults:
    """Frames in by `take`, readings out by `due` when their time has come."""

    def __init__(self, schedule: FaultSchedule, robots: Sequence[str], draw: Draw, focal_px: float,
                 timing: Timing | None = None) -> None:  # fmt: skip
        self.schedule, self._draw, self._focal_px = schedule, draw, focal_px
        self._timing = timing or (lambda robot, sensor, taken_ns: (taken_ns, taken_ns))
        self._index = {name: k for k, name in enumerate(robots)}
        self._waiting: list[Reading] = []
        self._last: dict[tuple[str, str], Any] = {}
        self._number = 0

    def take(self, robot: str, frame: RawFrame) -> RawFrame:
        """Returns the frame as it will be read: black or empty where a sensor fails."""
        image = self.send(robot, "camera", frame.stamp_ns, frame.image)
        points = self.send(robot, "lidar", frame.stamp_ns, frame.points)
        if frame.depth is not None:
            self.send(robot, "depth", frame.stamp_ns, frame.depth)
        return replace(
            frame,
            image=np.zeros_like(frame.image) if image is None else image,
            points=frame.points[:0] if points is None else points,
        )

    def due(self, now_ns: int) -> Iterator[Reading]:
        """By due time, then as they were taken."""
        while self._waiting and self._waiting[0].due_ns <= now_ns:
            yield heapq.heappop(self._waiting)

    def send(self, robot: str, sensor: str, taken_ns: int, data: Any) -> Any:
        """Puts one reading on its way, and returns its data as they will be read; None: it is lost."""
        faults = self.schedule.active(sensor, robot, taken_ns)
        effects = {f.effect for _, f in faults}
        key = (robot, sensor)
        if "freeze" in effects:  # the driver goes on repeating what it had, with new stamps
            data = self._last.setdefault(key, data)
        else:
            self._last[key] = data
        if "dropout" in effects:
            return None
        due_ns, stamp_ns = self._timing(robot, sensor, taken_ns)
        for index, fault in faults:
            amount = fault.amount or 0.0
            if fault.effect == "delay":
                due_ns += to_ns(amount)
            elif fault.effect == "skew":
                stamp_ns = max(0, stamp_ns + to_ns(amount))
            elif fault.effect != "freeze":
                data = self._spoil(data, index, fault, robot, taken_ns)
        self._number += 1
        heapq.heappush(self._waiting, Reading(due_ns, self._number, robot, sensor, stamp_ns, data))
        return data

    def _spoil(self, data: Any, index: int, fault: Fault, robot: str, taken_ns: int) -> Any:
        amount, where = fault.amount or 0.0, self._index[robot]
        camera = fault.subject == SENSORS[0]
        if fault.effect == "misalign":
            turn = math.radians(amount)
            return shifted(data, round(self._focal_px * math.tan(turn))) if camera else turned(data, -turn)
        if fault.effect == "dirt":  # sits still
            rng = self._draw(index, where)
            return muddied(data, amount, rng) if camera else half_blind(data, amount, rng)
        rng = self._draw(index, where, taken_ns)
        return static(data, amount, rng) if camera else scattered(data, amount, rng)


def muddied(image: U8, share: float, rng: np.random.Generator) -> U8:
    """Soft brown blotches, until that share of the picture is dull. Out of focus: the dirt is on the lens."""
    height, width = image.shape[:2]
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    clear = np.ones((height, width), np.float32)
    for _ in range(500):
        if float((clear < 0.5).mean()) >= share:
            break
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        radius = rng.uniform(0.03, 0.14) * width
        stretch, strength = rng.uniform(0.6, 1.0), rng.uniform(0.75, 0.97)
        far = np.hypot(u - x, (v - y) / stretch) / radius
        clear *= 1.0 - strength * np.clip(2.5 * (1.15 - far), 0.0, 1.0)
    out = clear[..., None] * image + (1.0 - clear[..., None]) * MUD
    return np.rint(out).astype(np.uint8)


def static(image: U8, share: float, rng: np.random.Generator) -> U8:
    """That share of the pixels is noise."""
    hit = rng.random(image.shape[:2]) < share
    noise = rng.integers(0, 256, image.shape, np.uint8)
    return np.where(hit[..., None], noise, image)


def shifted(image: U8, pixels: int) -> U8:
    """The camera looks further left by so many columns; what it has no picture of repeats the edge."""
    columns = np.clip(np.arange(image.shape[1]) - pixels, 0, image.shape[1] - 1)
    return np.ascontiguousarray(image[:, columns])


def half_blind(points: F32, share: float, rng: np.random.Generator) -> F32:
    """Nothing from that share of the sectors."""
    blind = rng.permutation(SECTORS)[: max(1, round(share * SECTORS))]
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    sector = np.floor((azimuth + math.pi) / (2 * math.pi) * SECTORS).astype(int) % SECTORS
    return points[~np.isin(sector, blind)]


def scattered(points: F32, share: float, rng: np.random.Generator) -> F32:
    """That share of the points lies anywhere."""
    hit = rng.random(len(points)) < share
    anywhere = rng.uniform([-GARBAGE_M, -GARBAGE_M, -0.9, 0.0], [GARBAGE_M, GARBAGE_M, 2.0, 1.0], (len(points), 4))
    return np.where(hit[:, None], anywhere, points).astype(np.float32)


def turned(points: F32, angle_rad: float) -> F32:
    """About the lidar's axis, as from a lidar that is turned the other way on its mount."""
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    out = points.copy()
    out[:, :2] = points[:, :2] @ np.array([[c, s], [-s, c]], np.float32)
    return out
