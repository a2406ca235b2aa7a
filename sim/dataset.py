"""Labelled frames for training and evaluation: many small warehouses, each seen from several places.

World k of a seed is drawn from its own generator, so frames can be made in any order, resumed, and the
splits never share a world. What the truth asks for needs the camera: colour, vest, wet floor.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from aislewise.errors import InputError
from aislewise.geometry import transform_xy, wrap_angle
from aislewise.types import ATTRIBUTES, CameraModel, Colour, ObjectClass, Pose2D, SensorFrame
from sim import bodies
from sim.bodies import Body
from sim.scene import Base, Placed, Scene
from sim.sensors import CameraConfig, LidarConfig, Lighting, capture, sweep
from sim.truth import HALF_SIDE_M, Standing, TruthObject, labels
from sim.warehouse import Warehouse, WarehouseConfig
from sim.warehouse import generate as generate_warehouse

FRAMES_PER_WORLD = 5
OWN = 0
"""Instance of the robot that carries the sensors."""
ASIDE = 0.3
"""Share of objects that stand where robots do not drive."""

CLASS_WEIGHTS = {
    ObjectClass.PERSON: 0.20,
    ObjectClass.FORKLIFT: 0.09,
    ObjectClass.PALLET: 0.14,
    ObjectClass.TOTE: 0.24,
    ObjectClass.ROBOT: 0.11,
    ObjectClass.BOX: 0.11,
    ObjectClass.WET_FLOOR: 0.11,
}
SPEEDS = {ObjectClass.PERSON: 1.3, ObjectClass.FORKLIFT: 1.5, ObjectClass.ROBOT: 1.2}


@dataclass(frozen=True, slots=True)
class Sample:
    """frame.points are in base_link (floor at z = 0). objects: within HALF_SIDE_M and visible in at
    least one sensor."""

    frame: SensorFrame
    objects: tuple[TruthObject, ...]


def generate(seed: int, count: int, start: int = 0) -> Iterator[Sample]:
    """Samples start..start + count - 1 of a seed."""
    if count < 0 or start < 0:
        raise InputError("dataset.count", f"{count} from {start}", ">= 0")
    world, base, hall, look = -1, None, None, False
    for index in range(start, start + count):
        if index // FRAMES_PER_WORLD != world:
            world = index // FRAMES_PER_WORLD
            rng = np.random.default_rng([seed, world])
            look = bool(rng.random() < 0.35)
            hall = generate_warehouse(_layout(rng, look), rng)
            base = Base.of(hall.mesh)
        assert hall is not None and base is not None
        yield _sample(hall, base, look, np.random.default_rng([seed, world, index]), index)


def _layout(rng: np.random.Generator, like_demo: bool) -> WarehouseConfig:
    """like_demo: a piece of the kind of site that `aislewise demo` runs in."""
    aisles = (1, 1, 2) if like_demo else tuple(int(v) for v in rng.integers(1, 4, 3))
    return WarehouseConfig(
        width=int(rng.integers(18, 30)), height=int(rng.integers(18, 34)), blocks=int(rng.integers(1, 3)),
        aisles=aisles, stations=int(rng.integers(2, 7)), chargers=int(rng.integers(2, 7)),
        parking=int(rng.integers(0, 4)), bays=int(rng.integers(0, 5)), fill=0.85 if like_demo else float(rng.uniform(0.3, 1.0)),
    )  # fmt: skip


def _sample(hall: Warehouse, base: Base, like_demo: bool, rng: np.random.Generator, index: int) -> Sample:
    pose = _robot_pose(hall, rng)
    lidar, camera, light = _rig(rng, like_demo)
    things = _populate(hall, pose, rng)
    placed = [
        Placed(t.body.mesh.moved(t.pose.x_m, t.pose.y_m, t.pose.yaw_rad, t.z_m), k + 1, t.body.reflect)
        for k, t in enumerate(things)
    ]
    if abs(lidar.z_m - LidarConfig().z_m) < 0.01:
        carried = [bodies.shade(rng, bodies.any_colour(rng))] * int(rng.choice(3, p=[0.7, 0.2, 0.1]))
        own = bodies.robot_mesh(bodies.shade(rng, Colour.WHITE), carried)
        placed.append(Placed(own.moved(pose.x_m, pose.y_m, pose.yaw_rad), OWN))
    if not like_demo:
        placed += _clutter(hall, pose, things, rng)
    scene = Scene(base, placed)
    turn = sweep(scene, lidar, pose, rng, own=(OWN,))
    shot = capture(scene, camera, pose, light, rng)
    points = turn.points.copy()
    points[:, :3] += lidar.T_base_lidar[:3, 3].astype(np.float32)
    frame = SensorFrame("sim", index, pose, shot.image, camera.model, points)
    return Sample(frame, tuple(labels(things, pose, turn, shot)))


def _robot_pose(hall: Warehouse, rng: np.random.Generator) -> Pose2D:
    site = hall.site
    narrow = np.zeros(site.cells.shape, bool)
    for aisle in hall.aisles:
        narrow[aisle.rows[0] : aisle.rows[1], aisle.cols[0] : aisle.cols[1]] = True
    pick = narrow if rng.random() < 0.35 and narrow.any() else site.free & ~narrow
    x, y = site.centre(int(rng.choice(np.flatnonzero(pick.ravel()))))
    along = math.pi / 2 * int(rng.integers(4))
    yaw = along + rng.normal(0, 0.08) if rng.random() < 0.65 else rng.uniform(-math.pi, math.pi)
    return Pose2D(x + rng.uniform(-0.1, 0.1), y + rng.uniform(-0.1, 0.1), wrap_angle(float(yaw)))


def _rig(rng: np.random.Generator, like_demo: bool) -> tuple[LidarConfig, CameraConfig, Lighting]:
    """Sensors as mounted on our robots, and on others: height, beams, columns, intensity scale."""
    light = Lighting() if like_demo and rng.random() < 0.3 else Lighting.random(rng)
    lidar = LidarConfig(columns=720, intensity_scale=float(rng.uniform(0.7, 1.4)))
    camera = _CAMERA
    if not like_demo:
        lidar = replace(
            lidar,
            columns=int(rng.choice([360, 512, 720, 1024], p=[0.15, 0.15, 0.55, 0.15])),
            beams=int(rng.choice([16, 24, 32], p=[0.15, 0.1, 0.75])),
            z_m=0.9 if rng.random() < 0.6 else float(rng.uniform(0.5, 1.9)),
            range_noise_m=float(rng.uniform(0.01, 0.03)),
            intensity_scale=float(rng.uniform(0.4, 2.0)),
        )
        if rng.random() < 0.5:
            camera = CameraConfig(
                z_m=float(rng.uniform(0.7, 1.2)), pitch_down_rad=math.radians(float(rng.uniform(8, 22)))
            )
    return lidar, camera, light


_CAMERA = CameraConfig()


def _populate(hall: Warehouse, pose: Pose2D, rng: np.random.Generator) -> list[Standing]:
    """Objects around the robot, about half of them in front of the camera, clear of racks and of each
    other (a wet floor may lie under something)."""
    classes = list(CLASS_WEIGHTS)
    weights = np.array(list(CLASS_WEIGHTS.values())) / sum(CLASS_WEIGHTS.values())
    things: list[Standing] = []
    for cls in rng.choice(len(classes), size=int(rng.integers(10, 27)), p=weights):
        body = _body(classes[int(cls)], rng)
        spot = _spot(hall, pose, body, things, rng)
        if spot is not None:
            speed = rng.uniform(0.3, 1.0) * SPEEDS.get(body.cls, 0.0) * (rng.random() < 0.6)
            velocity = speed * np.array([math.cos(spot.yaw_rad), math.sin(spot.yaw_rad)])
            things.append(Standing(body, spot, 0.0, velocity))
    for x, y in hall.bays:
        if rng.random() < 0.8 and math.hypot(x - pose.x_m, y - pose.y_m) < 14:
            yaw = math.pi / 2 + float(rng.normal(0, 0.08))
            at = Pose2D(x + float(rng.uniform(-0.3, 0.3)), y + float(rng.uniform(-0.2, 0.2)), yaw)
            things.append(Standing(bodies.pallet(rng, bool(rng.random() < 0.5)), at))
    for place in hall.site.of_kind("station"):  # totes that were delivered stand on the tables
        for side in (-0.35, 0.35):
            if rng.random() < 0.4 and math.hypot(place.x_m - pose.x_m, place.y_m - pose.y_m) < 14:
                body = bodies.tote(rng, bodies.any_colour(rng))
                things.append(Standing(body, Pose2D(place.x_m + side, place.y_m, 0.0), 0.76))
    return things


def _body(cls: ObjectClass, rng: np.random.Generator) -> Body:
    if cls == ObjectClass.PERSON:
        return bodies.Person.random(rng).body(rng.uniform(0, 6.28), float(rng.random() < 0.6))
    if cls == ObjectClass.FORKLIFT:
        return bodies.forklift(rng, bodies.any_colour(rng), float(rng.uniform(0.05, 0.5)))
    if cls == ObjectClass.PALLET:
        return bodies.pallet(rng, bool(rng.random() < 0.5))
    if cls == ObjectClass.TOTE:
        return bodies.tote(rng, bodies.any_colour(rng))
    if cls == ObjectClass.ROBOT:
        body = bodies.robot(rng, colour := bodies.any_colour(rng))
        if rng.random() < 0.35:
            load = [bodies.shade(rng, bodies.any_colour(rng)) for _ in range(int(rng.integers(1, 3)))]
            body = replace(body, mesh=bodies.robot_mesh(bodies.shade(rng, colour), load))
        return body
    return bodies.cartons(rng) if cls == ObjectClass.BOX else bodies.wet_floor(rng)


def _spot(hall: Warehouse, pose: Pose2D, body: Body, others: Sequence[Standing],
          rng: np.random.Generator) -> Pose2D | None:  # fmt: skip
    """A free pose for the body, or None after some tries; often off the lanes, by a wall or rack."""
    flat = body.cls == ObjectClass.WET_FLOOR
    ahead = rng.random() < (0.8 if flat else 0.5)
    aside = not flat and rng.random() < ASIDE
    for _ in range(100 if aside else 25):
        bearing = rng.uniform(-0.75, 0.75) if ahead else rng.uniform(-math.pi, math.pi)
        reach = rng.uniform(0.9, 8.0 if flat else 11.5)
        x, y = transform_xy(pose, reach * np.array([math.cos(bearing), math.sin(bearing)]))
        cell = hall.site.cell_at(float(x), float(y))
        if cell < 0 or bool(hall.site.free.flat[cell]) == aside:
            continue
        aligned = rng.random() < 0.6
        yaw = math.pi / 2 * int(rng.integers(4)) + rng.normal(0, 0.1) if aligned else rng.uniform(-3.14, 3.14)
        spot = Pose2D(float(x), float(y), wrap_angle(float(yaw)))
        if _clear(hall, pose, spot, body.size, flat, others):
            return spot
    return None


def _half_extent(size: Sequence[float], yaw: float) -> tuple[float, float]:
    """Half sides of the upright rectangle around a turned one."""
    c, s = abs(math.cos(yaw)), abs(math.sin(yaw))
    return (c * size[0] + s * size[1]) / 2, (s * size[0] + c * size[1]) / 2


def _clear(hall: Warehouse, pose: Pose2D, spot: Pose2D, size: Sequence[float], flat: bool,
           others: Sequence[Standing]) -> bool:  # fmt: skip
    ex, ey = _half_extent(size, spot.yaw_rad)
    if not flat:
        r = hall.obstacles
        touch = (np.abs(spot.x_m - (r[:, 0] + r[:, 2]) / 2) < ex + (r[:, 2] - r[:, 0]) / 2) & (
            np.abs(spot.y_m - (r[:, 1] + r[:, 3]) / 2) < ey + (r[:, 3] - r[:, 1]) / 2
        )
        if touch.any() or max(abs(spot.x_m - pose.x_m) - ex, abs(spot.y_m - pose.y_m) - ey) < 0.5:
            return False
    for other in others:
        if flat != (other.body.cls == ObjectClass.WET_FLOOR):
            continue
        ox, oy = _half_extent(other.body.size, other.pose.yaw_rad)
        if abs(spot.x_m - other.pose.x_m) < ex + ox and abs(spot.y_m - other.pose.y_m) < ey + oy:
            return False
    return True


def _clutter(hall: Warehouse, pose: Pose2D, things: Sequence[Standing], rng: np.random.Generator) -> list[Placed]:
    """Things that have no class and must not be claimed."""
    out = []
    for _ in range(int(rng.integers(0, 8))):
        mesh, radius = bodies.clutter(rng)
        bearing, reach = rng.uniform(-math.pi, math.pi), rng.uniform(1.5, 12.0)
        x, y = transform_xy(pose, reach * np.array([math.cos(bearing), math.sin(bearing)]))
        spot = Pose2D(float(x), float(y), 0.0)
        if _clear(hall, pose, spot, (radius, radius), False, things):
            out.append(Placed(mesh.moved(x, y, rng.uniform(-3.14, 3.14)), -1, float(rng.uniform(0.5, 1.6))))
    return out


# ---- shards: the samples of a seed on disk -------------------------------------------------------

SHARD_SIZE = 100


def write_shards(path: Path | str, seed: int, count: int,
                 progress: Callable[[int, int], None] | None = None) -> list[Path]:  # fmt: skip
    """Writes samples 0..count-1 of a seed as compressed npz files and returns them. Shards that are
    already whole are kept, so an interrupted run resumes. progress(done, count) after each shard."""
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    for start in range(0, count, SHARD_SIZE):
        n = min(SHARD_SIZE, count - start)
        file = folder / f"seed{seed}_{start:06d}_{n}.npz"
        if not file.exists():
            part = file.with_suffix(".part")
            _save(part, _pack(list(generate(seed, n, start))))
            os.replace(part, file)
        out.append(file)
        if progress is not None:
            progress(start + n, count)
    return out


def read_shards(path: Path | str) -> Iterator[Sample]:
    """All samples under a folder, in the order of their file names."""
    files = sorted(Path(path).glob("seed*.npz"))
    if not files:
        raise InputError("dataset.path", f"no shards in {Path(path).name!r}")
    for file in files:
        yield from read_shard(file)


def _save(file: Path, arrays: dict[str, Any]) -> None:
    """np.savez_compressed at deflate level 1: camera noise does not compress better for more time."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle:
        for name, array in arrays.items():
            with bundle.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)


def _pack(samples: Sequence[Sample]) -> dict[str, Any]:
    """Points as int16 millimetres and 8-bit intensity, inside the square the model looks at."""
    clouds, objects = [], [o for s in samples for o in s.objects]
    for sample in samples:
        points = sample.frame.points
        assert points is not None
        clouds.append(points[(np.abs(points[:, :2]) < HALF_SIDE_M + 0.8).all(axis=1)])
    cloud = np.concatenate(clouds)
    cameras = [s.frame.camera for s in samples if s.frame.camera is not None]
    return {
        "image": np.stack([s.frame.image for s in samples if s.frame.image is not None]),
        "K": np.stack([c.K for c in cameras]),
        "T_base_camera": np.stack([c.T_base_camera for c in cameras]),
        "pose": np.array([[s.frame.T_map_base.x_m, s.frame.T_map_base.y_m, s.frame.T_map_base.yaw_rad] for s in samples]),
        "stamp_ns": np.array([s.frame.stamp_ns for s in samples], np.int64),
        "xyz_mm": np.rint(cloud[:, :3] * 1000).astype(np.int16),
        "intensity": np.rint(cloud[:, 3] * 255).astype(np.uint8),
        "point_count": np.array([len(c) for c in clouds], np.int64),
        "object_count": np.array([len(s.objects) for s in samples], np.int64),
        "cls": np.array([o.cls for o in objects], np.int8),
        "colour": np.array([-1 if o.colour is None else o.colour for o in objects], np.int8),
        "attributes": np.array([[o.attributes.get(a, -1) for a in ATTRIBUTES] for o in objects], np.int8).reshape(-1, len(ATTRIBUTES)),
        "box": np.array([[*o.position, *o.size, o.yaw, *o.velocity] for o in objects]).reshape(-1, 9),
        "seen": np.array([[o.lidar_points, o.camera_pixels] for o in objects], np.int32).reshape(-1, 2),
    }  # fmt: skip


def read_shard(file: Path | str) -> Iterator[Sample]:
    """Samples of one shard."""
    try:
        with np.load(file, allow_pickle=False) as bundle:
            data = {k: bundle[k] for k in bundle.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError("dataset.shard", f"cannot read {Path(file).name}: {error}") from error
    cloud = np.empty((len(data["xyz_mm"]), 4), np.float32)
    cloud[:, :3] = data["xyz_mm"] / np.float32(1000)
    cloud[:, 3] = data["intensity"] / np.float32(255)
    first_point = np.cumsum(np.r_[0, data["point_count"]])
    first_object = np.cumsum(np.r_[0, data["object_count"]])
    for i, image in enumerate(data["image"]):
        camera = CameraModel(image.shape[1], image.shape[0], data["K"][i], data["T_base_camera"][i])
        frame = SensorFrame(
            "sim", int(data["stamp_ns"][i]), Pose2D(*(float(v) for v in data["pose"][i])), image, camera,
            cloud[first_point[i] : first_point[i + 1]],
        )  # fmt: skip
        yield Sample(frame, tuple(_unpack(data, j) for j in range(first_object[i], first_object[i + 1])))


def _unpack(data: dict[str, Any], j: int) -> TruthObject:
    box, colour = data["box"][j], int(data["colour"][j])
    attributes = {a: bool(v) for a, v in zip(ATTRIBUTES, data["attributes"][j], strict=True) if v >= 0}
    return TruthObject(
        ObjectClass(int(data["cls"][j])), None if colour < 0 else Colour(colour), attributes,
        box[:3], box[3:6], float(box[6]), box[7:9], int(data["seen"][j, 0]), int(data["seen"][j, 1]),
    )  # fmt: skip
