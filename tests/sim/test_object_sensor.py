"""Robots of object fidelity see as often, and as wrongly, as the network does."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from aislewise.errors import InputError
from aislewise.types import ObjectClass, Pose2D
from sim import error_model as em
from sim.bodies import wet_floor
from sim.error_model import ErrorModel
from sim.faults import FaultSchedule, parse_fault
from sim.object_sensor import ObjectSensor
from sim.scenario import Fidelity, Scenario
from sim.setup import Thing
from sim.warehouse import WarehouseConfig
from sim.world import SimWorld

HALL = WarehouseConfig(width=20, height=20, blocks=1, aisles=(1, 2), stations=3, chargers=6, parking=4, bays=1)


def world(people: int = 0) -> SimWorld:
    return SimWorld(Scenario(seed=1, robots=2, people=people, forklifts=0, warehouse=HALL, fidelity=Fidelity()))


def quiet(model: ErrorModel, **changes: object) -> ErrorModel:
    """Without claims of nothing, finds not remembered."""
    return dataclasses.replace(
        model, ghosts_per_m2=np.zeros(2), false_rate=0.0, memory=np.zeros(em.CLASSES), **changes
    )  # type: ignore[arg-type]


def beside(w: SimWorld, x_m: float, y_m: float, yaw_rad: float) -> None:
    """Puts the first robot of the fleet there."""
    assert w.fleet is not None
    w.fleet.state[0, :3] = x_m, y_m, yaw_rad


def test_a_person_in_the_open_is_found_as_often_as_the_model_says() -> None:
    w = world(people=1)
    person = next(iter(w.people.values()))
    person.pose = Pose2D(2.5, 6.5, 0.0)
    beside(w, 2.5, 2.5, math.pi / 2)  # 4 m away on the ring road, ahead
    found = np.full((em.CLASSES, 2, 3, 6), 0.3)
    sensor = ObjectSensor(w, quiet(em.packaged(), found=found))
    name, hits = w.fleet.names[0] if w.fleet else "", 0
    for k in range(1000):
        w.now_ns = k * 500_000_000
        claims = [d for d in sensor.frames([name])[0].detections if math.hypot(d.position[0] - 4.0, d.position[1]) < 0.8]
        hits += bool(claims)
    assert hits / 1000 == pytest.approx(0.3, abs=0.05)


def test_nothing_is_found_behind_a_rack_or_out_of_reach() -> None:
    w = world()
    x, y = (float(v) for v in w.hall.racks[0][0::2])
    (c0, c1, r0, r1) = w.hall.racks[0]
    free = w.site.free
    eyes = np.array([[c0 - 0.5, (r0 + r1) / 2]])
    behind = np.array([[c1 + 0.5, (r0 + r1) / 2], [c0 - 0.5, (r0 + r1) / 2 + 1.5], [x + 60.0, y]])
    out = np.zeros((1, 3))
    em.clearness(free, eyes, behind, np.full(3, 0.3), out)
    assert out[0].tolist() == [0.0, 1.0, 0.0]


def test_frames_repeat_for_the_same_seed_whoever_else_looks() -> None:
    a, b = world(people=3), world(people=3)
    one, both = ObjectSensor(a), ObjectSensor(b)
    names = list(a.robots)
    for _ in range(5):
        a.step(0.5)
        b.step(0.5)
        frame, other = one.frames(names[:1])[0], both.frames(names[::-1])[1]
        assert [d.position.tolist() for d in frame.detections] == [d.position.tolist() for d in other.detections]
        assert frame.T_map_base == other.T_map_base


def test_finds_are_remembered_from_look_to_look() -> None:
    def switches(memory: float) -> int:
        w = world(people=1)
        next(iter(w.people.values())).pose = Pose2D(2.5, 6.5, 0.0)
        beside(w, 2.5, 2.5, math.pi / 2)
        model = quiet(em.packaged(), found=np.full((em.CLASSES, 2, 3, 6), 0.5))
        sensor = ObjectSensor(w, dataclasses.replace(model, memory=np.full(em.CLASSES, memory)))
        assert w.fleet is not None
        seen = []
        for k in range(400):
            w.now_ns = (k + 1) * 500_000_000
            seen.append(any(d.cls is ObjectClass.PERSON for d in sensor.frames([w.fleet.names[0]])[0].detections))
        return sum(x != y for x, y in zip(seen, seen[1:], strict=False))

    assert switches(0.95) < 0.5 * switches(0.0)


def test_ghosts_are_as_dense_as_measured_and_stay_where_they_are() -> None:
    w = world()
    model = dataclasses.replace(em.packaged(), ghosts_per_m2=np.array([0.0, 2.0]))
    sensor = ObjectSensor(w, model)
    open_m2 = int(w.site.free.sum())
    assert len(sensor._ghost) == pytest.approx(2.0 * open_m2, rel=0.2)
    cells = [w.site.cell_at(float(x), float(y)) for x, y in sensor._ghost_xy]
    assert all(w.site.free.flat[c] for c in cells)
    assert (ObjectSensor(w, model)._ghost_xy == sensor._ghost_xy).all()


def test_the_model_says_what_only_the_camera_sees() -> None:
    """Wet floor is flat: without the camera it is not found."""
    wet = em.packaged().found[ObjectClass.WET_FLOOR]
    assert wet[1, :, 1:4].mean() > 0.4 > 0.1 > wet[0, :, 1:].mean()


def test_a_model_survives_saving(tmp_path: Path) -> None:
    model = em.packaged()
    model.save(tmp_path / "model.npz")
    again = ErrorModel.load(tmp_path / "model.npz")
    assert (again.found == model.found).all() and again.about == model.about
    assert np.allclose(again.examples.score, model.examples.score, atol=1e-3)
    (tmp_path / "broken.npz").write_bytes(b"no model")
    with pytest.raises(InputError, match="error_model"):
        ErrorModel.load(tmp_path / "broken.npz")


def test_without_the_camera_wet_floor_is_not_found_and_without_the_lidar_nothing() -> None:
    def claims(*faults: str) -> tuple[int, set[tuple[str, ...]]]:
        w = world()
        w.faults = FaultSchedule(tuple(parse_fault(text, "faults") for text in faults))
        w.things["patch"] = Thing("patch", wet_floor(np.random.default_rng(1), 0.9), Pose2D(2.5, 6.5))
        beside(w, 2.5, 2.5, math.pi / 2)
        sensor = ObjectSensor(w, quiet(em.packaged()))
        assert w.fleet is not None
        count, used = 0, set()
        for k in range(1, 100):
            w.now_ns = k * 500_000_000
            for frame in sensor.frames([w.fleet.names[0]]):
                used.add(frame.sensors)
                count += sum(math.hypot(d.position[0] - 4.0, d.position[1]) < 1.0 for d in frame.detections)
        return count, used

    assert claims()[0] > 20
    blind, used = claims("at 0s fault camera dropout")
    assert blind < 5 and used == {("lidar",)}
    assert claims("at 0s fault lidar dropout") == (0, {("camera",)})
    assert claims("at 0s fault lidar dropout", "at 0s fault camera dropout") == (0, set())


def test_faults_that_need_real_sensors_are_refused() -> None:
    fault = parse_fault("at 1s fault camera dirt by 0.3", "faults")
    with pytest.raises(InputError, match="object fidelity"):
        Scenario(robots=3, fidelity=Fidelity(sensor=1), faults=(fault,))
    Scenario(robots=3, fidelity=Fidelity(sensor=1), faults=(dataclasses.replace(fault, robots=(1,)),))
