"""The hall from above as a picture: what a policy did can be watched."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from aislewise.geometry import rectangle
from aislewise.types import U8, ObjectClass
from sim.bodies import ROBOT_LENGTH_M, ROBOT_WIDTH_M
from sim.gym_orders import Work
from sim.world import SimWorld

WIDEST_PX, FINEST_PX, COARSEST_PX = 720, 36, 4
RGB = tuple[int, int, int]
CLOSED, OPEN, GRID = (70, 76, 84), (244, 244, 240), (226, 226, 222)
PLACES: dict[str, RGB] = {
    "pick_face": (222, 207, 178), "station": (150, 200, 232), "charger": (190, 226, 168), "parking": (214, 208, 232),
}
WAITING, CARRIED, FREE, BUSY, CHARGES, HURT = (206, 88, 40), (206, 150, 40), (120, 120, 128), (36, 96, 168), (52, 140, 60), (190, 30, 40)
PERSON, THING = (230, 120, 170), (150, 130, 110)


def draw(world: SimWorld, waiting: Sequence[Work], carries: Mapping[str, Work | None], charging: Collection[str]) -> U8:
    """(H, W, 3) uint8, north up. Faces where orders wait, a line from each robot to where it is going, robots blue at
    work, grey without, green charging, red with a problem; their battery as a bar, their loads as squares."""
    site = world.site
    px = max(COARSEST_PX, min(FINEST_PX, WIDEST_PX // max(site.width, site.height)))
    canvas = _Canvas(px, site.height, site.resolution_m)
    image = Image.new("RGB", (site.width * px, site.height * px), CLOSED)
    pen = ImageDraw.Draw(image)
    for cell in np.flatnonzero(site.free.ravel()).tolist():
        pen.rectangle(canvas.cell(cell, site.width), fill=OPEN, outline=GRID)
    for place in site.places.values():
        pen.rectangle(canvas.cell(place.cell, site.width), fill=PLACES[place.kind], outline=GRID)
    for work in waiting:
        for stop in work.stops:
            if stop.kind == "pick":
                x, y = canvas.xy(*site.centre(stop.cell))
                pen.ellipse((x - px / 5, y - px / 5, x + px / 5, y + px / 5), fill=WAITING)
    for body in world.truth():
        outline = rectangle(body.pose, body.size[0], body.size[1])
        pen.polygon(canvas.shape(outline), fill=PERSON if body.cls is ObjectClass.PERSON else THING)
    for robot in world.robots:
        _robot(pen, canvas, world, robot, carries[robot], robot in charging)
    return np.asarray(image, np.uint8).copy()


class _Canvas:
    """From metres in `map` to pixels: y grows upwards in one and downwards in the other."""

    def __init__(self, px: int, rows: int, resolution_m: float) -> None:
        self.px, self._rows, self._scale = px, rows, px / resolution_m

    def xy(self, x_m: float, y_m: float) -> tuple[float, float]:
        return x_m * self._scale, self._rows * self.px - y_m * self._scale

    def shape(self, points: np.ndarray) -> list[tuple[float, float]]:
        return [self.xy(float(x), float(y)) for x, y in points]

    def cell(self, cell: int, width: int) -> tuple[int, int, int, int]:
        col, row = cell % width, self._rows - 1 - cell // width
        return col * self.px, row * self.px, (col + 1) * self.px, (row + 1) * self.px


def _robot(
    pen: ImageDraw.ImageDraw, canvas: _Canvas, world: SimWorld, robot: str, work: Work | None, charges: bool
) -> None:
    pose, info, px = world.true_pose(robot), world.robot_info(robot), canvas.px
    colour = HURT if info.problem else CHARGES if charges else BUSY if work is not None else FREE
    x, y = canvas.xy(pose.x_m, pose.y_m)
    if work is not None and work.stops:
        pen.line([(x, y), canvas.xy(*world.site.centre(work.stops[0].cell))], fill=colour, width=max(1, px // 16))
    pen.polygon(canvas.shape(rectangle(pose, ROBOT_LENGTH_M, ROBOT_WIDTH_M)), fill=colour)
    nose = canvas.xy(
        pose.x_m + 0.5 * ROBOT_LENGTH_M * math.cos(pose.yaw_rad), pose.y_m + 0.5 * ROBOT_LENGTH_M * math.sin(pose.yaw_rad)
    )
    pen.line([(x, y), nose], fill=(255, 255, 255), width=max(1, px // 12))
    for k in range(len(info.load)):
        left = x - px / 5 + k * px / 5
        pen.rectangle((left, y - px / 12, left + px / 7, y + px / 12), fill=CARRIED)
    bar = px * 0.7
    pen.rectangle((x - bar / 2, y + px * 0.36, x + bar / 2, y + px * 0.42), fill=(200, 200, 200))
    pen.rectangle((x - bar / 2, y + px * 0.36, x - bar / 2 + bar * info.battery, y + px * 0.42), fill=CHARGES)
