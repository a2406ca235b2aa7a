"""What the simulated world looks like: camera frames beside lidar sweeps, for each layout and light, and every prop.

    python -m tools.gallery --out DIR

Writes halls.png and props.png at full size, and gallery.png, both in small and in few colours (docs/gallery.png).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from aislewise.types import U8, Colour, Pose2D
from sim import bodies, props
from sim.mesh import Material, Mesh, boxes, join
from sim.scenario import scenario_from
from sim.scene import Base, Scene
from sim.sensor_models import GlareSetup
from sim.sensors import DARK, CameraConfig, LidarConfig, Lighting, Sweep, capture, sweep
from sim.world import SimWorld

LIDAR = LidarConfig(columns=1024)
CAMERA = CameraConfig()
HEIGHT_M = 3.5
"""Heights from the floor to here are coloured from blue to red."""
AROUND_M = 12.0
INK, PAPER = (235, 235, 235), (24, 25, 28)
DIM = Lighting(lamp=(0.16, 0.15, 0.13), ambient=(0.11, 0.11, 0.12), read_noise=0.008)
Shot = tuple[str, Image.Image]
"""A picture and its name."""
LIGHTS = ("normal", "dim", "dark", "glare")
PROP_M = 3.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a layout's hall the pictures are taken, and how large the hall is; sun_deg: of the low sun, to the left of
    where the camera looks."""

    layout: str
    width: int
    height: int
    pose: Pose2D
    sun_deg: float = -8.0


PLACES = (
    Place("rack_aisle", 26, 30, Pose2D(22.5, 2.6, 2.85), 15.0),
    Place("fulfilment", 26, 30, Pose2D(2.9, 2.9, 0.95)),
    Place("cross_dock", 32, 24, Pose2D(2.6, 2.8, 0.30)),
    Place("narrow_aisle", 24, 30, Pose2D(3.0, 3.2, 1.35), 15.0),
    Place("mixed", 30, 34, Pose2D(15.0, 17.0, 0.9)),
)


def hall_world(place: Place) -> SimWorld:
    """A hall with people, a forklift and props, some seconds into a shift."""
    world = SimWorld(scenario_from({
        "name": place.layout, "seed": 3, "robots": 3, "people": 6, "forklifts": 1, "orders": 0, "labels": True, "lights": True,
        "intent": True, "warehouse": {"layout": place.layout, "width": place.width, "height": place.height},
        "props": dict.fromkeys(props.SHAPES, 5),
    }))  # fmt: skip
    for _ in range(40):
        world.step(0.1)
    return world


def lit(light: str, place: Place) -> tuple[CameraConfig, Lighting]:
    if light == "glare":
        sun = (math.degrees(place.pose.yaw_rad) + place.sun_deg, 24.0)
        return replace(CAMERA, glare=GlareSetup(sun=sun, strength=6.0, scatter=2.0)), Lighting()
    return CAMERA, {"normal": Lighting(), "dim": DIM, "dark": DARK}[light]


def hue(share: np.ndarray) -> U8:
    """(N, 3) colours from blue over green and yellow to red for shares 0 to 1."""
    stops = np.array([[40, 70, 220], [20, 190, 200], [60, 210, 70], [245, 210, 40], [235, 50, 30]], float)
    at = np.linspace(0.0, 1.0, len(stops))
    return np.stack([np.interp(share, at, stops[:, k]) for k in range(3)], axis=-1).astype(np.uint8)


def from_above(turn: Sweep, size: int) -> Image.Image:
    """The sweep from above, robot in the middle and its front up, coloured by height, bright where the return was."""
    x, y, z, strength = turn.points.T
    column = ((0.5 - y / (2 * AROUND_M)) * size).astype(int)
    row = ((0.5 - x / (2 * AROUND_M)) * size).astype(int)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    order = np.argsort(z[inside], kind="stable")  # what stands high is drawn last
    height = (z[inside] + LIDAR.z_m)[order]
    bright = (0.55 + 0.45 * np.clip(strength[inside] / 0.4, 0.0, 1.0))[order, None]
    floor = height < 0.06
    colour = np.where(floor[:, None], 70, hue(np.clip(height / HEIGHT_M, 0.0, 1.0)))
    canvas = np.full((size, size, 3), PAPER, np.uint8)
    canvas[row[inside][order], column[inside][order]] = (colour * bright).astype(np.uint8)
    picture = Image.fromarray(canvas)
    pen, c, cell = ImageDraw.Draw(picture), size / 2, size / (2 * AROUND_M)
    pen.rectangle([c - 0.25 * cell, c - 0.35 * cell, c + 0.25 * cell, c + 0.35 * cell], outline=INK)
    pen.line([c, c - 0.35 * cell, c, c - 0.9 * cell], fill=INK)
    return picture


def from_camera(turn: Sweep, camera: CameraConfig, dot: int = 1) -> Image.Image:
    """The sweep as seen from the camera's place, coloured by intensity."""
    model = camera.model
    T = np.linalg.inv(model.T_base_camera) @ LIDAR.T_base_lidar
    at = turn.points[:, :3].astype(np.float64) @ T[:3, :3].T + T[:3, 3]
    ahead = at[:, 2] > 0.2
    uv = at[ahead] @ model.K.T
    column, row = (uv[:, :2] / uv[:, 2:]).T.astype(int)
    colour = hue(np.clip(turn.points[ahead, 3] / 0.5, 0.0, 1.0))
    canvas = np.full((model.height, model.width, 3), PAPER, np.uint8)
    for dy in range(-dot, dot + 1):
        for dx in range(-dot, dot + 1):
            r, c = row + dy, column + dx
            inside = (r >= 0) & (r < model.height) & (c >= 0) & (c < model.width)
            canvas[r[inside], c[inside]] = colour[inside]
    return Image.fromarray(canvas)


def titled(shots: Sequence[Shot], height: int | None = None) -> list[Image.Image]:
    """Each with its name above, all of that height where one is given."""
    out = []
    for name, picture in shots:
        if height is not None:
            size = round(picture.width * height / picture.height), height
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        page = Image.new("RGB", (picture.width, picture.height + 14), PAPER)
        page.paste(picture, (0, 14))
        ImageDraw.Draw(page).text((3, 1), name, fill=INK, font=ImageFont.load_default(size=10))
        out.append(page)
    return out


def grid(pictures: Sequence[Image.Image], columns: int, gap: int = 3) -> Image.Image:
    """All in rows; each row as high as its highest."""
    rows = [pictures[k : k + columns] for k in range(0, len(pictures), columns)]
    width = max(sum(p.width + gap for p in row) for row in rows)
    out = Image.new("RGB", (width, sum(max(p.height for p in row) + gap for row in rows)), PAPER)
    y = 0
    for row in rows:
        x = 0
        for p in row:
            out.paste(p, (x, y))
            x += p.width + gap
        y += max(p.height for p in row) + gap
    return out


def halls(places: Sequence[Place], lidar_px: int = 240) -> list[Shot]:
    """For each place a camera frame in each light, and the sweep, which no light changes."""
    out = []
    for place in places:
        world = hall_world(place)
        scene = world.scene()
        rng = np.random.default_rng(0)
        for light in LIGHTS:
            camera, lighting = lit(light, place)
            shot = capture(scene, camera, place.pose, lighting, rng)
            out.append((f"{place.layout}, {light}", Image.fromarray(shot.image)))
        out.append((f"{place.layout}, lidar", from_above(sweep(scene, LIDAR, place.pose, rng), lidar_px)))
    return out


def booth() -> Mesh:
    """A floor and a wall far enough behind what stands on it."""
    floor = boxes([0, 0, -0.5], [60, 60, 1.0], (0.27, 0.27, 0.26), Material.CONCRETE)
    wall = boxes([6.2, 0, 3.0], [0.3, 30, 6.0], (0.55, 0.56, 0.55), Material.WALL)
    return join([floor, wall])


def stand(mesh: Mesh, camera: CameraConfig, name: str, far_m: float = PROP_M) -> list[Shot]:
    """A shape that far off, a little from the side: as the camera and as the lidar has it."""
    scene = Scene(Base.of(join([booth(), mesh.moved(far_m, 0.0, math.pi + 0.6)])), [])
    pose, rng = Pose2D(0.0, 0.0, 0.0), np.random.default_rng(0)
    shot = capture(scene, camera, pose, Lighting(), rng)
    turn = sweep(scene, LIDAR, pose, rng)
    return [(name, Image.fromarray(shot.image)), (f"{name}, lidar", from_camera(turn, camera))]


def prop_shots() -> list[Shot]:
    camera = replace(CAMERA, hfov_rad=math.radians(58.0), pitch_down_rad=math.radians(6.0))
    out = []
    for kind in props.SHAPES:
        out += stand(props.build(kind, np.random.default_rng(6)), camera, kind)
    rng = np.random.default_rng(2)
    out += stand(bodies.forklift(rng, Colour.YELLOW, 1.3, loaded=True).mesh, camera, "forklift, 4.2 m", 4.2)
    out += stand(bodies.tote(rng, Colour.BLUE, label=True).mesh, camera, "tote, 2.2 m", 2.2)
    person = bodies.Person.random(rng, vest=True)
    out += stand(replace(person, holds="carton").body(0.8).mesh, camera, "person")
    return out


def save_small(picture: Image.Image, path: Path) -> None:
    """In a fixed palette of greys, cardboard's browns and a few colours: noise in hue is not worth its bytes."""
    grey = np.linspace(0, 255, 48)[:, None].repeat(3, 1)
    brown = np.linspace(20, 230, 28)[:, None] * [1.0, 0.80, 0.60]
    cube = np.stack(np.meshgrid(*[np.linspace(0, 255, n) for n in (7, 6, 4)], indexing="ij"), axis=-1).reshape(-1, 3)
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.concatenate([grey, brown, cube]).round().astype(np.uint8).tobytes())
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--layout", help="one layout only")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    shots = halls([p for p in PLACES if args.layout in (None, p.layout)])
    shapes = prop_shots()
    grid(titled(shots), len(LIGHTS) + 1).save(args.out / "halls.png", optimize=True)
    grid(titled(shapes), 8).save(args.out / "props.png", optimize=True)
    both = [grid(titled(shots, 150), len(LIGHTS) + 1), grid(titled(shapes, 84), 8)]
    save_small(grid(both, 1), args.out / "gallery.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
