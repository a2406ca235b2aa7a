"""Late, missing, early and unordered sensor messages never block a robot's sets."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aislewise.clock import to_ns
from aislewise.errors import InputError
from aislewise.geometry import camera_mount, intrinsics
from aislewise.types import CameraModel, Pose2D, SensorFrame
from fusion.sync import PoseBuffer, SyncConfig, Synchroniser

IMAGE = np.zeros((240, 320, 3), np.uint8)
CAMERA = CameraModel(320, 240, intrinsics(320, 240, 1.5), camera_mount(0.25, 0.85, 0.2))
POINTS = np.array([[3.0, 1.0, 0.5, 1.0]], np.float32)


def synchroniser(poses_until_s: float = 20.0, **config: float) -> Synchroniser:
    sync = Synchroniser("robot_1", SyncConfig(pose_window_s=60.0, **config))
    for k in range(int(poses_until_s * 5) + 1):
        sync.add_pose(to_ns(k / 5), Pose2D(0.5 * k / 5, 0.0, 0.0))  # 0.5 m/s along x
    return sync


def drain(sync: Synchroniser, now_s: float) -> list[SensorFrame]:
    frames = []
    while (frame := sync.pop(to_ns(now_s))) is not None:
        frames.append(frame)
    return frames


def test_a_complete_set_comes_at_once() -> None:
    sync = synchroniser()
    sync.add_lidar(to_ns(1.0), POINTS)
    assert drain(sync, 1.01) == []
    sync.add_camera(to_ns(1.0), IMAGE, CAMERA)
    (frame,) = drain(sync, 1.02)
    assert frame.image is IMAGE and frame.points is POINTS
    assert frame.age_ns == {"camera": 0, "lidar": 0}
    assert frame.T_map_base.x_m == pytest.approx(0.5)
    assert drain(sync, 5.0) == []


@pytest.mark.parametrize("present", ["camera", "lidar"])
def test_a_missing_sensor_is_waited_for_until_the_deadline_and_no_longer(present: str) -> None:
    sync = synchroniser(deadline_s=0.2)
    sync.pop(0)
    data = (IMAGE, CAMERA) if present == "camera" else POINTS
    sync.add(present, to_ns(1.0), data)
    assert drain(sync, 1.19) == []
    (frame,) = drain(sync, 1.2)
    assert list(frame.age_ns) == [present]
    assert (frame.image is None) == (present == "lidar")


def test_a_sensor_known_to_be_lost_is_not_waited_for() -> None:
    sync = synchroniser(lost_s=1.5)
    sync.pop(0)
    sync.add_lidar(to_ns(2.0), POINTS)
    assert len(drain(sync, 2.01)) == 1
    assert sync.health(to_ns(2.01)) == {"camera": "missing", "lidar": "ok"}


def test_a_partner_that_can_no_longer_come_is_not_waited_for() -> None:
    sync = synchroniser()
    sync.add_lidar(to_ns(1.0), POINTS)
    sync.add_camera(to_ns(1.15), IMAGE, CAMERA)
    frames = drain(sync, 1.16)
    assert frames[0].age_ns == {"lidar": 0}


def test_one_late_message_does_not_cost_the_set_and_joins_the_next_one() -> None:
    sync = synchroniser(deadline_s=0.2, max_age_s=0.6)
    sync.add_lidar(to_ns(1.0), POINTS)
    assert len(drain(sync, 1.25)) == 1
    sync.add_camera(to_ns(1.0), IMAGE, CAMERA)  # too late for its own set
    sync.add_lidar(to_ns(1.5), POINTS)
    (frame,) = drain(sync, 1.75)
    assert frame.stamp_ns == to_ns(1.5)
    assert frame.age_ns == {"camera": to_ns(0.5), "lidar": 0}
    assert frame.image is IMAGE


def test_a_message_is_never_used_twice() -> None:
    sync = synchroniser(max_age_s=2.0)
    sync.add_camera(to_ns(1.0), IMAGE, CAMERA)
    for k in range(4):
        sync.add_lidar(to_ns(1.0 + 0.25 * k), POINTS)
    frames = drain(sync, 3.0)
    assert len(frames) == 4
    assert [f.image is not None for f in frames] == [True, False, False, False]


def test_calibration_follows_the_robot_between_the_two_stamps() -> None:
    sync = synchroniser()
    sync.add_camera(to_ns(0.95), IMAGE, CAMERA)
    sync.add_lidar(to_ns(1.0), POINTS)
    (frame,) = drain(sync, 1.0)
    assert frame.stamp_ns == to_ns(1.0)
    assert frame.age_ns["camera"] == to_ns(0.05)
    assert frame.camera is not None
    moved = frame.camera.T_base_camera[:3, 3] - CAMERA.T_base_camera[:3, 3]
    assert np.allclose(moved, [-0.025, 0.0, 0.0])  # the camera was 0.5 m/s * 0.05 s further back


def test_a_point_fixed_in_the_map_stays_on_its_pixel_when_the_camera_is_older() -> None:
    sync = Synchroniser("r")
    then, now = Pose2D(1.0, 2.0, 0.3), Pose2D(1.1, 2.05, 0.4)
    sync.add_pose(to_ns(1.0), then)
    sync.add_pose(to_ns(1.1), now)
    sync.add_camera(to_ns(1.0), IMAGE, CAMERA)
    sync.add_lidar(to_ns(1.1), POINTS)
    (frame,) = drain(sync, 1.1)
    assert frame.camera is not None
    landmark = np.array([5.0, 4.0, 0.6])

    def pixel(pose: Pose2D, camera: CameraModel) -> np.ndarray:
        c, s = math.cos(pose.yaw_rad), math.sin(pose.yaw_rad)
        d = landmark - (pose.x_m, pose.y_m, 0.0)
        base = np.array([c * d[0] + s * d[1], -s * d[0] + c * d[1], d[2], 1.0])
        p = camera.K @ (np.linalg.inv(camera.T_base_camera) @ base)[:3]
        return p[:2] / p[2]

    assert np.allclose(pixel(then, CAMERA), pixel(now, frame.camera))


def test_a_set_waits_for_its_pose_and_is_dropped_without_one() -> None:
    sync = synchroniser(poses_until_s=1.0, deadline_s=0.2, pose_reach_s=0.25)
    sync.add_lidar(to_ns(1.1), POINTS)
    sync.add_camera(to_ns(1.1), IMAGE, CAMERA)
    assert drain(sync, 1.15) == []
    (frame,) = drain(sync, 1.3)  # deadline: extrapolated by 0.1 s
    assert frame.T_map_base.x_m == pytest.approx(0.55)
    sync.add_lidar(to_ns(2.0), POINTS)
    assert drain(sync, 2.5) == []
    assert sync.dropped["lidar"] == 1


def test_unordered_messages_come_out_in_order() -> None:
    sync = synchroniser()
    for t in (1.5, 1.0, 2.0):
        sync.add_lidar(to_ns(t), POINTS)
        sync.add_camera(to_ns(t), IMAGE, CAMERA)
    assert [f.stamp_ns for f in drain(sync, 2.1)] == [to_ns(t) for t in (1.0, 1.5, 2.0)]


def test_stamps_from_the_future_do_not_stop_the_present() -> None:
    sync = synchroniser()
    sync.add_camera(to_ns(50.0), IMAGE, CAMERA)
    sync.add_lidar(to_ns(1.0), POINTS)
    assert len(drain(sync, 1.3)) == 1
    assert sync.dropped["camera"] == 1
    sync.add_lidar(to_ns(1.5), POINTS)
    sync.add_camera(to_ns(1.5), IMAGE, CAMERA)
    assert len(drain(sync, 1.5)) == 1


@given(
    st.lists(
        st.tuples(st.sampled_from(["camera", "lidar"]), st.integers(0, 40), st.integers(0, 8)), max_size=40
    )
)
def test_whatever_comes_every_message_is_used_dropped_or_expired_and_stamps_only_rise(messages) -> None:
    """Messages (sensor, stamp, delay), both in 0.1 s."""
    sync = synchroniser(poses_until_s=6.0)
    frames = []
    arriving = sorted(messages, key=lambda m: m[1] + m[2])
    for tick in range(60):
        for sensor, stamp, delay in arriving:
            if stamp + delay == tick:
                sync.add(sensor, to_ns(stamp / 10), (IMAGE, CAMERA) if sensor == "camera" else POINTS)
        frames += drain(sync, tick / 10)
    stamps = [f.stamp_ns for f in frames]
    assert stamps == sorted(set(stamps))
    for sensor in ("camera", "lidar"):
        used = sum(sensor in f.age_ns for f in frames)
        sent = sum(m[0] == sensor for m in messages)
        late = len(sync._streams[sensor].pending)
        assert used + sync.dropped[sensor] + late == sent
    # A message that came in time is the start or a part of some set.
    for sensor, stamp, delay in messages:
        if delay == 0 and not any(m[0] == sensor and m[1] == stamp and m[2] for m in messages):
            assert any(f.stamp_ns - f.age_ns.get(sensor, -1) == to_ns(stamp / 10) for f in frames) or any(
                0 <= f.stamp_ns - to_ns(stamp / 10) <= to_ns(0.4) for f in frames
            )


@given(st.floats(-3.1, 3.1), st.floats(-1.0, 1.0), st.floats(0.0, 1.0))
def test_poses_interpolate_across_the_turn_of_the_angle(yaw: float, turn: float, part: float) -> None:
    buffer = PoseBuffer(5.0, 0.2)
    buffer.add(0, Pose2D(0.0, 0.0, yaw))
    buffer.add(to_ns(1.0), Pose2D(2.0, 0.0, yaw + turn))
    pose = buffer.at(to_ns(part))
    assert pose is not None
    assert pose.x_m == pytest.approx(2.0 * part, abs=1e-6)
    assert math.cos(pose.yaw_rad - yaw - part * turn) == pytest.approx(1.0, abs=1e-6)


def test_the_pose_buffer_is_short_and_honest() -> None:
    buffer = PoseBuffer(2.0, 0.2)
    assert buffer.at(0) is None
    for k in range(100):
        buffer.add(to_ns(k / 10), Pose2D(k / 10, 0.0))
    assert len(buffer._stamps) == 21
    assert buffer.at(to_ns(5.0)) is None
    assert buffer.at(to_ns(10.5)) is None
    assert buffer.at(to_ns(10.0)) == Pose2D(10.0, 0.0, 0.0)


def test_bad_input_is_refused_by_field() -> None:
    sync = synchroniser()
    for call, field in (
        (lambda: sync.add("radar", 0, None), "sensor"),
        (lambda: sync.add_lidar(-1, POINTS), "lidar.stamp_ns"),
        (lambda: sync.add_pose(0, Pose2D(math.nan, 0.0)), "pose"),
        (lambda: SyncConfig(deadline_s=-1.0), "sync.deadline_s"),
        (lambda: SyncConfig(sensors=("radar",)), "sync.sensors"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.field == field
