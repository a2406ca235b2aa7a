"""Tracks are born, confirmed, kept, merged and lost for the right reasons, the same way every time."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.clock import to_ns
from aislewise.errors import InputError
from aislewise.types import Colour, Detection, DetectionFrame, GridMap, ObjectClass, Pose2D, WorldObject
from fusion.tracker import Tracker, TrackerConfig

PERSON, FORKLIFT, PALLET, TOTE, ROBOT, BOX, WET = ObjectClass
SIZES = {PERSON: (0.5, 0.6, 1.75), FORKLIFT: (2.0, 1.1, 2.1), PALLET: (1.2, 0.8, 0.6), TOTE: (0.6, 0.4, 0.3),
         ROBOT: (0.7, 0.5, 0.95), BOX: (0.4, 0.4, 0.4), WET: (1.2, 1.0, 0.02)}  # fmt: skip
BOTH = ("camera", "lidar")
HOME = Pose2D(0.0, 0.0, 0.0)


def detection(cls: ObjectClass, x: float, y: float, score: float = 0.9, colour: Colour | None = None,
              sure: float = 0.9, yaw: float = 0.0) -> Detection:  # fmt: skip
    """A detection at (x, y) of base_link."""
    probs = np.full(7, (1.0 - sure) / 6, np.float32)
    probs[cls] = sure
    colours = np.full(8, 0.125 if colour is None else 0.04, np.float32)
    if colour is not None:
        colours[colour] = 0.72
    embedding = np.zeros(32, np.float32)
    embedding[int(cls)] = 1.0
    size = np.array(SIZES[cls], np.float32)
    return Detection(probs, score, np.array([x, y, size[2] / 2], np.float32), size, yaw, colours,
                     np.full(2, 0.5, np.float32), embedding)  # fmt: skip


def frame(t_s: float, *detections: Detection, robot: str = "robot_1", pose: Pose2D = HOME,
          grid: GridMap | None = None, sensors: tuple[str, ...] = BOTH) -> DetectionFrame:  # fmt: skip
    return DetectionFrame(robot, to_ns(t_s), pose, detections, grid, sensors)


def evidence(value: int, size_m: float = 25.6, pose: Pose2D = HOME) -> GridMap:
    """A sweep's grid with the same value everywhere."""
    cells = round(size_m / 0.2)
    return GridMap(np.full((cells, cells), value, np.int8), 0.2, pose.x_m - size_m / 2, pose.y_m - size_m / 2)


def watched(*detections: Detection, looks: int = 6) -> Tracker:
    tracker = Tracker()
    for k in range(looks):
        tracker.update(frame(0.5 * k, *detections))
    return tracker


def only(tracker: Tracker) -> WorldObject:
    (found,) = tracker.objects()
    return found


def test_an_object_gets_its_id_at_the_second_look_and_keeps_it() -> None:
    tracker = Tracker()
    tracker.update(frame(0.0, detection(TOTE, 3, 1)))
    assert tracker.objects() == ()
    for k in range(1, 8):
        tracker.update(frame(0.5 * k, detection(TOTE, 3, 1)))
        assert only(tracker).id == "obj-0001"
    found = only(tracker)
    assert found.cls is TOTE
    assert found.position == pytest.approx([3, 1, 0.15], abs=1e-6)
    assert found.size == pytest.approx(SIZES[TOTE], abs=1e-6)
    assert found.existence > 0.9
    assert (found.first_seen_ns, found.last_seen_ns) == (0, to_ns(3.5))
    assert found.embedding[int(TOTE)] == pytest.approx(1.0)


def test_a_single_weak_claim_never_becomes_an_object() -> None:
    tracker = Tracker()
    tracker.update(frame(0.0, detection(TOTE, 3, 1, score=0.2), detection(BOX, 4, 1, score=0.5)))
    for k in range(1, 10):
        tracker.update(frame(0.5 * k))
    assert tracker.objects() == ()
    assert len(tracker.tracks) == 0


def test_a_still_object_does_not_drift_under_noise() -> None:
    rng = np.random.default_rng(0)
    tracker = Tracker()
    path = []
    for k in range(600):
        x, y = rng.normal((4.0, 2.0), 0.1)
        tracker.update(frame(0.5 * k, detection(PALLET, x, y)))
        if k > 20:
            path.append(only(tracker).position[:2])
    assert np.abs(np.array(path) - (4.0, 2.0)).max() < 0.1
    assert only(tracker).velocity == pytest.approx([0, 0])


def test_a_walking_person_is_followed_with_its_velocity() -> None:
    rng = np.random.default_rng(1)
    tracker = Tracker()
    for k in range(24):
        t = 0.25 * k
        tracker.update(frame(t, detection(PERSON, 6 - 1.2 * t + rng.normal(0, 0.05), 2 + rng.normal(0, 0.05))))
    found = only(tracker)
    assert found.velocity == pytest.approx([-1.2, 0.0], abs=0.3)
    ahead = tracker.objects(to_ns(t + 0.5))[0]
    assert ahead.position[0] == pytest.approx(found.position[0] + 0.5 * found.velocity[0])
    assert np.linalg.eigvalsh(found.covariance).min() > 0


def test_the_map_frame_is_what_is_tracked() -> None:
    tracker = Tracker()
    for k in range(6):
        pose = Pose2D(2.0 + 0.1 * k, -1.0, 0.3 * k)
        c, s = math.cos(pose.yaw_rad), math.sin(pose.yaw_rad)
        d = np.array([6.0, 3.0]) - (pose.x_m, pose.y_m)
        seen = detection(PALLET, c * d[0] + s * d[1], -s * d[0] + c * d[1], yaw=0.5 - pose.yaw_rad)
        tracker.update(frame(0.5 * k, seen, pose=pose))
    found = only(tracker)
    assert found.position[:2] == pytest.approx([6, 3], abs=1e-5)
    assert found.yaw_rad == pytest.approx(0.5, abs=1e-5)


def test_a_goods_yaw_turned_by_pi_is_the_same_yaw() -> None:
    tracker = Tracker()
    for k in range(10):
        tracker.update(frame(0.5 * k, detection(PALLET, 3, 1, yaw=0.4 + math.pi * (k % 2))))
    assert math.cos(2 * (only(tracker).yaw_rad - 0.4)) == pytest.approx(1.0, abs=1e-6)


def test_a_gone_object_vanishes_where_the_robot_sees_through_its_place() -> None:
    tracker = watched(detection(TOTE, 3, 1))
    for k in range(6):
        tracker.update(frame(3.0 + 0.5 * k, grid=evidence(0)))
    assert tracker.objects() == ()


@pytest.mark.parametrize(
    ("grid", "sensors", "pose"),
    [
        (evidence(-1), BOTH, HOME),  # hidden behind something
        (evidence(0, 4.0), BOTH, HOME),  # outside of what the sweep covers
        (evidence(0, pose=Pose2D(30.0, 0.0)), BOTH, Pose2D(30.0, 0.0)),  # elsewhere
        (None, (), HOME),  # a robot that lost its sensors
        (evidence(0, pose=Pose2D(2.8, 1.0)), BOTH, Pose2D(2.8, 1.0)),  # under the robot's nose
    ],
)
def test_an_object_nobody_looks_at_stays(grid, sensors, pose) -> None:
    tracker = watched(detection(TOTE, 3, 1))
    before = only(tracker).existence
    for k in range(40):
        tracker.update(frame(3.0 + 0.5 * k, grid=grid, sensors=sensors, pose=pose))
    assert only(tracker).existence > before - 0.05


def test_a_place_that_still_holds_something_loses_its_object_only_slowly() -> None:
    filled = watched(detection(TOTE, 3, 1))
    for k in range(4):
        filled.update(frame(3.0 + 0.5 * k, grid=evidence(100)))
    assert only(filled).existence > 0.8


def test_a_wet_floor_persists_though_lidar_sees_through_it_and_goes_when_the_camera_sees_dry() -> None:
    tracker = watched(detection(WET, 3, 0))
    for k in range(60):  # lidar alone, then a camera that looks the other way
        sensors = ("lidar",) if k < 30 else BOTH
        pose = HOME if k < 30 else Pose2D(0.0, 0.0, math.pi)
        tracker.update(frame(3.0 + 0.5 * k, grid=evidence(0), sensors=sensors, pose=pose))
    assert only(tracker).existence > 0.9
    for k in range(30):
        tracker.update(frame(40.0 + 0.5 * k, grid=evidence(0)))
    assert tracker.objects() == ()


def test_a_lost_person_is_given_up_when_it_may_be_anywhere() -> None:
    tracker = watched(detection(PERSON, 3, 1))
    for k in range(10):
        tracker.update(frame(3.0 + 0.5 * k, grid=evidence(-1)))
    assert len(tracker.objects()) == 1
    for k in range(400):
        tracker.update(frame(13.0 + 0.5 * k, grid=evidence(-1)))
    assert tracker.objects() == ()


def test_near_objects_of_one_kind_stay_two() -> None:
    tracker = watched(detection(TOTE, 3, 1), detection(TOTE, 3, 1.55))
    assert len(tracker.objects()) == 2
    tracker.update(frame(3.5, detection(TOTE, 3.02, 1.0)))
    assert len(tracker.objects()) == 2


def test_one_object_seen_by_two_robots_is_one_object() -> None:
    tracker = Tracker()
    for k in range(8):
        tracker.update(frame(0.5 * k, detection(PALLET, 4, 0), robot="robot_1"))
        other = Pose2D(8.0, 0.0, math.pi)
        tracker.update(frame(0.5 * k, detection(PALLET, 4.1, 0.05), robot="robot_2", pose=other))
    found = only(tracker)
    assert found.seen_by == ("robot_1", "robot_2")


def test_tracks_that_meet_are_merged_under_the_older_id() -> None:
    tracker = watched(detection(BOX, 4, 0), detection(BOX, 5, 0))
    assert [o.id for o in tracker.objects()] == ["obj-0001", "obj-0002"]
    tracker.tracks.mean[1, :2] = tracker.tracks.mean[0, :2] + 0.05
    tracker.update(frame(3.0, detection(BOX, 4, 0)))
    assert only(tracker).id == "obj-0001"


def test_two_claims_for_one_thing_in_one_frame_are_one() -> None:
    tracker = watched(detection(TOTE, 3, 1, score=0.9), detection(BOX, 3.05, 1.0, score=0.5))
    assert only(tracker).cls is TOTE


def test_class_and_colour_add_up_over_frames() -> None:
    tracker = Tracker()
    for k in range(10):
        cls = BOX if k % 4 == 3 else TOTE
        tracker.update(frame(0.5 * k, detection(cls, 3, 0, sure=0.6, colour=Colour.BLUE)))
    found = only(tracker)
    assert found.cls is TOTE
    assert found.colour is Colour.BLUE
    assert found.colour_probs[Colour.BLUE] > 0.9
    assert found.class_probs.sum() == pytest.approx(1.0, abs=1e-4)
    assert found.colour_probs.sum() == pytest.approx(1.0, abs=1e-4)


def test_a_colour_counts_only_where_a_camera_looks() -> None:
    behind = watched(detection(TOTE, -3, 0, colour=Colour.RED))
    blind = Tracker()
    for k in range(6):
        blind.update(frame(0.5 * k, detection(TOTE, 3, 0, colour=Colour.RED), sensors=("lidar",)))
    for tracker in (behind, blind):
        assert only(tracker).colour_probs == pytest.approx(np.full(8, 0.125), abs=1e-6)


def test_a_wrong_first_colour_is_corrected() -> None:
    tracker = watched(detection(TOTE, 3, 0, colour=Colour.RED), looks=5)
    for k in range(15):
        tracker.update(frame(3 + 0.5 * k, detection(TOTE, 3, 0, colour=Colour.BLUE)))
    assert only(tracker).colour is Colour.BLUE


def test_fleet_members_are_no_objects_but_strange_robots_are() -> None:
    tracker = Tracker()
    for k in range(6):
        seen = (detection(ROBOT, 4.3, 0), detection(ROBOT, 9, 3), detection(TOTE, 4.1, 0.0))
        tracker.update(frame(0.5 * k, *seen), [Pose2D(4.0, 0.0, 0.0)])
    found = only(tracker)
    assert found.cls is ROBOT
    assert found.position[:2] == pytest.approx([9, 3], abs=1e-6)


def test_a_crowd_gets_distinct_ids_in_order() -> None:
    tracker = watched(*(detection(TOTE, 2 + 1.0 * (k % 8), -4 + 1.0 * (k // 8)) for k in range(64)))
    assert [o.id for o in tracker.objects()] == [f"obj-{k:04d}" for k in range(1, 65)]


def test_the_number_of_tracks_is_bounded() -> None:
    tracker = Tracker(TrackerConfig(max_tracks=10))
    tracker.update(frame(0.0, *(detection(TOTE, 2 + k, 0, score=0.3 + 0.01 * k) for k in range(30))))
    assert len(tracker.tracks) == 10


def test_what_is_not_finite_is_left_out_and_counted() -> None:
    good = detection(TOTE, 3, 1)
    bad = [
        dataclasses.replace(good, position=np.array([np.nan, 0, 0], np.float32)),
        dataclasses.replace(good, size=np.array([-1, 1, 1], np.float32)),
        dataclasses.replace(good, yaw_rad=math.inf),
        dataclasses.replace(good, score=1.7),
        dataclasses.replace(good, score=math.nan),
    ]
    odd = dataclasses.replace(
        good, colour_probs=np.full(8, np.nan, np.float32), class_probs=good.class_probs * 0 + np.nan,
        embedding=np.full(32, np.inf, np.float32),
    )  # fmt: skip
    tracker = watched(good, *bad, looks=4)
    assert tracker.rejected == 4 * len(bad)
    tracker.update(frame(3.0, odd))
    found = only(tracker)
    for values in (found.position, found.class_probs, found.colour_probs, found.embedding, found.covariance):
        assert np.isfinite(values).all()


def test_a_frame_that_is_far_too_late_is_left_out_and_a_slightly_late_one_used() -> None:
    tracker = watched(detection(TOTE, 3, 1))
    tracker.update(frame(2.4, detection(TOTE, 3, 1), robot="robot_2"))
    assert only(tracker).seen_by == ("robot_1", "robot_2")
    tracker.update(frame(0.1, detection(BOX, 8, 1), robot="robot_3"))
    assert tracker.rejected == 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_same_frames_give_the_same_world_and_valid_numbers(seed: int) -> None:
    def run() -> tuple[WorldObject, ...]:
        rng = np.random.default_rng(seed)
        tracker = Tracker()
        for k in range(15):
            seen = [
                detection(ObjectClass(rng.integers(7)), *rng.uniform(-12, 12, 2), score=float(rng.uniform(0.1, 1)))
                for _ in range(rng.integers(0, 20))
            ]
            tracker.update(frame(0.3 * k, *seen, grid=evidence(int(rng.choice([-1, 0, 100])))))
        return tracker.objects()

    first, again = run(), run()
    assert [o.id for o in first] == [o.id for o in again]
    for a, b in zip(first, again):
        assert np.array_equal(a.position, b.position) and np.array_equal(a.class_probs, b.class_probs)
        assert 0.0 <= a.existence <= 1.0
        assert np.allclose(a.covariance, a.covariance.T)
        assert np.linalg.eigvalsh(a.covariance).min() > -1e-9
        assert np.linalg.norm(a.embedding) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    "bad", [{"birth_score": 2.0}, {"gate": 0.0}, {"gate": math.nan}, {"max_tracks": 0}, {"forget": -0.1}]
)
def test_a_bad_config_names_its_field(bad) -> None:
    with pytest.raises(InputError, match=f"tracker.{next(iter(bad))}"):
        TrackerConfig(**bad)
