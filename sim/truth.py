"""What is really there, as labels: which objects the sensors of one frame saw, and how much of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from aislewise.geometry import compose, inverse, transform_xy
from aislewise.types import F64, Colour, ObjectClass, Pose2D
from sim.bodies import Body
from sim.sensors import Shot, Sweep

HALF_SIDE_M = 12.8
"""Labels reach as far as the model looks."""
CLEAR_POINTS, CLEAR_PIXELS = 4, 24
"""From here on an object counts as seen; with less it may be found or missed (`ignore`)."""


@dataclass(frozen=True, slots=True)
class TruthObject:
    """One true object in base_link. position (3,): box centre, m; size (3,): length, width, height;
    velocity (2,): over ground, m/s, in base_link axes. lidar_points, camera_pixels: how much of it the
    sensors of this frame saw; ignore: too little to ask for it."""

    cls: ObjectClass
    colour: Colour | None
    attributes: dict[str, bool]
    position: F64
    size: F64
    yaw: float
    velocity: F64
    lidar_points: int
    camera_pixels: int

    @property
    def ignore(self) -> bool:
        points = 0 if self.cls == ObjectClass.WET_FLOOR else self.lidar_points
        return points < CLEAR_POINTS and self.camera_pixels < CLEAR_PIXELS


@dataclass(frozen=True, slots=True)
class Standing:
    """A body at a pose in `map`, z_m above the floor; velocity (2,) m/s in `map`."""

    body: Body
    pose: Pose2D
    z_m: float = 0.0
    velocity: F64 = field(default_factory=lambda: np.zeros(2))


def labels(things: Sequence[Standing], T_map_base: Pose2D, turn: Sweep, shot: Shot) -> Iterator[TruthObject]:
    """Labels of the things within HALF_SIDE_M that show in at least one sensor. Thing k is instance
    k + 1 of the scene. A wet floor shows in the camera only: the lidar sees floor."""
    n = len(things) + 1
    points = np.bincount(turn.instance[turn.instance >= 0], minlength=n)
    pixels = np.bincount(shot.instance[shot.instance >= 0], minlength=n)
    T_base_map = inverse(T_map_base)
    for k, thing in enumerate(things, start=1):
        body, at = thing.body, compose(T_base_map, thing.pose)
        wet = body.cls == ObjectClass.WET_FLOOR
        seen = pixels[k] >= CLEAR_PIXELS if wet else points[k] >= 2 or pixels[k] >= CLEAR_PIXELS // 2
        if not seen or max(abs(at.x_m), abs(at.y_m)) > HALF_SIDE_M:
            continue
        turned = transform_xy(Pose2D(0.0, 0.0, T_base_map.yaw_rad), thing.velocity)
        yield TruthObject(
            body.cls, body.colour, dict(body.attributes),
            np.array([at.x_m, at.y_m, thing.z_m + body.z_m]), np.array(body.size), at.yaw_rad, turned,
            int(points[k]), int(pixels[k]),
        )  # fmt: skip
