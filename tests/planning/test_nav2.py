"""A released route becomes goals: never more than is released, and reached only what the robot's pose bears out."""

from __future__ import annotations

import math

import pytest

from aislewise.clock import to_ns
from aislewise.errors import InputError
from aislewise.types import Pose2D, RobotMode, Waypoint
from planning.nav2 import HOME, FollowConfig, RouteFollower, Target

S = to_ns(1.0)


def move(seq: int, x: float, y: float = 0.0) -> Waypoint:
    return Waypoint(seq, x, y, seq)


def act(seq: int, x: float, action: str = "pick", dwell_s: float = 2.0) -> Waypoint:
    return Waypoint(seq, x, 0.0, seq, action, "order-1:0", dwell_s)


def follower(x: float = 0.0, y: float = 0.0) -> RouteFollower:
    out = RouteFollower("r", FollowConfig())
    out.moved(Pose2D(x, y))
    return out


def start(f: RouteFollower, now_ns: int = 0) -> tuple[Target, ...]:
    """Send what is wanted, and have it accepted."""
    targets = f.wanted(now_ns)
    f.sent(targets)
    f.accepted()
    return targets


def test_poses_go_as_far_as_the_next_action_and_look_along_the_way() -> None:
    f = follower()
    f.set_route(0, [move(0, 1.0), move(1, 1.0, 1.0), act(2, 1.0), move(3, 2.0, 1.0)])
    targets = f.wanted(0)
    assert [(t.seq, t.x_m, t.y_m) for t in targets] == [(0, 1.0, 0.0), (1, 1.0, 1.0)]
    assert [t.yaw_rad for t in targets] == pytest.approx([math.pi / 2, math.pi / 2])


def test_a_goal_that_still_leads_there_is_left_alone_and_more_cells_want_a_longer_one() -> None:
    f = follower()
    f.set_route(0, [move(0, 1.0), move(1, 2.0)])
    start(f)
    assert f.agrees(f.wanted(0))
    f.set_route(2, [move(2, 3.0)])
    assert not f.agrees(f.wanted(0)) and [t.seq for t in f.wanted(0)] == [0, 1, 2]


def test_passed_is_reached_only_when_the_pose_bears_it_out() -> None:
    f = follower()
    f.set_route(0, [move(0, 1.0), move(1, 2.0), move(2, 3.0)])
    start(f)
    f.moved(Pose2D(0.4, 0.0))
    f.remaining(2)  # Nav2 strikes a pose off from 0.7 m away
    assert f.reached_seq == -1
    f.moved(Pose2D(0.75, 0.0))
    assert f.reached_seq == 0
    f.moved(Pose2D(2.1, 0.0))
    assert f.reached_seq == 0  # not before Nav2 says so, too
    f.remaining(0)
    assert f.reached_seq == 1  # the last one is reached when the goal is
    f.arrived()
    assert f.reached_seq == 2 and not f.route


def test_a_corner_that_is_cut_counts_once_the_next_cell_is_nearer() -> None:
    f = follower()
    f.set_route(0, [move(0, 1.0), move(1, 1.0, 1.0)])
    start(f)
    f.remaining(1)
    f.moved(Pose2D(0.6, 0.35))
    assert f.reached_seq == -1
    f.moved(Pose2D(0.7, 0.55))
    assert f.reached_seq == 0


def test_actions_take_their_dwell_and_change_the_load() -> None:
    f = follower()
    f.set_route(0, [act(0, 0.0), move(1, 1.0), act(2, 1.0, "drop")])
    f.tick(0)
    info = f.info(0.5, 0)
    assert info is not None and info.mode is RobotMode.ACTING and f.wanted(0) == ()
    f.tick(S)
    assert f.reached_seq == -1
    f.tick(2 * S)
    info = f.info(0.5, 2 * S)
    assert info is not None and (info.reached_seq, info.load) == (0, ("order-1",))
    start(f, 2 * S)
    f.tick(3 * S)
    assert f.reached_seq == 0  # the drop waits for the goal
    f.arrived()
    f.tick(3 * S)
    f.tick(5 * S)
    info = f.info(0.5, 5 * S)
    assert info is not None and (info.reached_seq, info.load, info.mode) == (2, (), RobotMode.IDLE)


def test_what_is_withdrawn_is_no_longer_wanted_and_the_robot_returns_to_its_cell() -> None:
    f = follower()
    f.set_route(0, [move(0, 1.0), move(1, 2.0)])
    start(f)
    f.moved(Pose2D(0.4, 0.0))
    f.set_route(-1, [])
    back = start(f)
    assert [(t.seq, t.x_m, t.y_m) for t in back] == [(HOME, 0.0, 0.0)]
    f.moved(Pose2D(0.1, 0.0))
    assert f.agrees(f.wanted(0))  # all the way, not only until it is near enough not to start
    f.moved(Pose2D(0.25, 0.0))
    f.arrived()
    assert f.wanted(0) == ()  # as near as the navigation gets, not again and again


def test_a_cell_that_is_all_but_entered_is_kept() -> None:
    f = follower()
    f.set_route(0, [move(0, 1.0), move(1, 2.0)])
    f.moved(Pose2D(0.6, 0.0))
    f.set_route(-1, [])
    assert [t.seq for t in f.wanted(0)] == [0]


def test_failures_are_said_and_tried_again_after_growing_pauses() -> None:
    f = follower()
    f.set_route(0, [move(0, 1.0)])
    pauses = []
    now = 0
    for _ in range(6):
        start(f, now)
        f.failed("Nav2 aborts", now)
        info = f.info(1.0, now)
        assert info is not None and info.problem == "Nav2 aborts" and info.mode is RobotMode.STOPPED
        waited = next(t for t in range(0, 100) if f.wanted(now + t * S))
        pauses.append(waited)
        now += waited * S
    assert pauses == [2, 4, 8, 16, 30, 30]
    start(f, now)
    f.arrived()
    assert f.problem == "" and f.reached_seq == 0


def test_a_problem_is_over_after_its_pause_when_the_way_was_withdrawn() -> None:
    f = follower()
    f.set_route(0, [move(0, 1.0)])
    start(f)
    f.failed("Nav2 aborts", 0)
    f.set_route(-1, [])
    f.tick(S)
    assert f.problem
    f.tick(2 * S)
    assert not f.problem


def test_a_gap_in_the_route_is_refused() -> None:
    f = follower()
    f.set_route(0, [move(0, 1.0)])
    with pytest.raises(InputError, match="first_seq"):
        f.set_route(3, [move(3, 4.0)])


def test_nothing_is_wanted_or_reported_before_the_first_pose() -> None:
    f = RouteFollower("r", FollowConfig())
    f.set_route(0, [move(0, 1.0)])
    assert f.wanted(0) == () and f.info(1.0, 0) is None


def test_a_lost_robot_says_so() -> None:
    info = follower().info(1.0, 0, lost=True)
    assert info is not None and info.mode is RobotMode.LOST
