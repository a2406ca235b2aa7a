"""Nav2 adapter: one robot's released route in, NavigateThroughPoses goals and the robot's report out.

Runs in the robot's namespace beside its Nav2. An action of the route (pick, drop, charge) takes its dwell time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from action_msgs.msg import GoalStatus
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionClient

from aislewise import messages, topics
from aislewise.clock import to_ns, to_s
from aislewise.diagnostics import Concern, Level
from aislewise.errors import InputError, UnsupportedError
from aislewise.frames import RobotFrames
from aislewise.node import AislewiseNode, message_class, run
from aislewise.settings import check, setting
from aislewise.types import Pose2D
from aislewise.visual import to_pose_msg
from planning.nav2 import FollowConfig, RouteFollower, Target


@dataclass(frozen=True)
class Nav2NodeConfig:
    """Parameters of the adapter, beside those of how routes are followed."""

    action: str = setting("navigate_through_poses", "action of Nav2, relative to the namespace", live=False)
    behavior_tree: str = setting("", "behaviour tree of the goals; empty: Nav2's default")
    period_s: float = setting(0.2, "between two reports of the robot, s", low=0.05, high=2.0)
    answer_s: float = setting(5.0, "a goal not answered for longer has failed, s", low=0.5, high=60.0)
    pose_stale_s: float = setting(2.0, "without a pose on /tf for longer the robot is lost, s", low=0.2, high=60.0)

    def __post_init__(self) -> None:
        check(self)


class Nav2Adapter(AislewiseNode):
    """One goal at a time: more released waypoints preempt it with a longer one, fewer with a shorter one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("nav2_adapter", **kwargs)
        self.settings = self.config(Nav2NodeConfig, self.on_settings)
        self.robot = self.get_namespace().strip("/")
        if not self.robot:
            raise InputError("namespace", "the adapter belongs to one robot", "/robot_1, for instance")
        self.follower = RouteFollower(self.robot, self.config(FollowConfig, self.on_follow_config))
        self.frames = RobotFrames(self.robot)
        self._action = navigate_through_poses()
        self._client = ActionClient(self, self._action, self.settings.action)
        self._battery, self._posed_ns = 1.0, 0
        self._number = 0  # of the goal in force: what is said about another one is of no interest
        self._handle: Any = None
        self._asked_ns: int | None = None
        self._state = self.advertise(topics.ROBOT_STATE)
        self._speed = self.advertise(topics.SPEED_LIMIT)
        self._told_mps = 0.0
        self.listen(topics.TF, self.on_tf)
        self.listen(topics.BATTERY, self.on_battery)
        self._newest = messages.Newest()
        self.listen(topics.ROUTE, self.on_route)
        self._timer = self.every(self.settings.period_s, self.on_timer)

    def on_settings(self, settings: Nav2NodeConfig) -> None:
        self.settings = settings
        self._timer.timer_period_ns = to_ns(settings.period_s)

    def on_follow_config(self, config: FollowConfig) -> None:
        self.follower.config = config

    # --- inputs ------------------------------------------------------------------------------------

    def on_tf(self, msg: Any) -> None:
        found = self.frames.on_tf(msg)
        if found is not None:
            self._posed_ns = self.now_ns()
            self.follower.moved(found[1])

    def on_battery(self, msg: Any) -> None:
        self._battery = min(1.0, max(0.0, messages.finite(msg.percentage, "percentage")))

    def on_route(self, msg: Any) -> None:
        self._newest.check("route", msg.header.stamp)
        _, first_seq, waypoints = messages.from_route_msg(msg)
        self.follower.set_route(first_seq, waypoints)
        self.steer()

    def on_timer(self) -> None:
        """Look after the goal, then report: the fleet must hear of us whatever Nav2 does."""
        now_ns = self.now_ns()
        if not self._client.server_is_ready():
            self._number, self._asked_ns, self._handle = self._number + 1, None, None
            self.follower.unavailable(f"{self._client_name()} is not there", now_ns)
        elif self._asked_ns is not None and now_ns - self._asked_ns > to_ns(self.settings.answer_s):
            self.give_up(f"{self._client_name()} does not answer")
        self.follower.tick(now_ns)
        self.steer()
        self.limit_speed()
        lost = to_s(now_ns - self._posed_ns) > self.settings.pose_stale_s
        info = self.follower.info(self._battery, now_ns, lost)
        if info is not None:
            self._state.publish(messages.to_robot_msg(info))

    def _client_name(self) -> str:
        return self.resolve_topic_name(self.settings.action)

    # --- goals -------------------------------------------------------------------------------------

    def steer(self) -> None:
        """Have the right goal in force. While one is being answered the next has to wait."""
        targets = self.follower.wanted(self.now_ns())
        if self._asked_ns is not None or self.follower.agrees(targets):
            return
        if targets and self._client.server_is_ready():
            self.send(targets)
        elif not targets and self.follower.in_force():
            self.cancel()

    def limit_speed(self) -> None:
        """Tell Nav2's controller server how fast it may drive, whenever that changes and then with every report until there
        is no limit any more: a controller that starts late must hear of it."""
        most = self.follower.max_speed_mps()
        if most or self._told_mps:
            self._told_mps = most
            head = messages.header(self.now_ns(), "map")
            self._speed.publish(message_class(topics.SPEED_LIMIT.type)(header=head, percentage=False, speed_limit=most))

    def send(self, targets: tuple[Target, ...]) -> None:
        self._number, self._asked_ns = self._number + 1, self.now_ns()
        self.counts["goals"] += 1
        self.follower.sent(targets)
        head = messages.header(self.now_ns(), "map")
        poses = [PoseStamped(header=head, pose=to_pose_msg(t.x_m, t.y_m, 0.0, t.yaw_rad)) for t in targets]
        goal = self._action.Goal(poses=poses, behavior_tree=self.settings.behavior_tree)
        answer = self._client.send_goal_async(goal, feedback_callback=partial(self.on_feedback, self._number))
        answer.add_done_callback(partial(self.on_answer, self._number))

    def cancel(self) -> None:
        self._number += 1
        self.follower.sent(())
        if self._handle is not None:
            self._handle.cancel_goal_async()
            self._handle = None

    def give_up(self, reason: str) -> None:
        """The goal in force has failed; forget it, and try again after a pause that grows."""
        self._number, self._asked_ns, self._handle = self._number + 1, None, None
        self.counts["failures"] += 1
        self.follower.failed(reason, self.now_ns())
        self.get_logger().warning(reason, throttle_duration_sec=5.0)

    def on_answer(self, number: int, future: Any) -> None:
        handle = future.result()
        if number != self._number:
            if handle.accepted:  # too late: we have given it up
                handle.cancel_goal_async()
            return
        self._asked_ns = None
        if not handle.accepted:
            self.give_up("Nav2 rejects the goal")
            return
        self._handle = handle
        self.follower.accepted()
        handle.get_result_async().add_done_callback(partial(self.on_result, number))
        self.steer()

    def on_feedback(self, number: int, msg: Any) -> None:
        if number != self._number:
            return
        try:
            self.follow(msg.feedback)
        except InputError as error:
            self.refuse(self.settings.action, error)

    def follow(self, feedback: Any) -> None:
        pose = feedback.current_pose
        if pose.header.frame_id == "map":
            at = pose.pose.position
            x, y = messages.finite(at.x, "current_pose.x"), messages.finite(at.y, "current_pose.y")
            self.follower.moved(Pose2D(x, y, messages.yaw_of(pose.pose.orientation)))
        self.follower.remaining(int(feedback.number_of_poses_remaining))

    def on_result(self, number: int, future: Any) -> None:
        if number != self._number:
            return
        answer = future.result()
        self._handle = None
        if answer.status == GoalStatus.STATUS_SUCCEEDED:
            self.follower.arrived()
            self.follower.tick(self.now_ns())
            self.steer()
        elif answer.status == GoalStatus.STATUS_CANCELED:
            self.give_up("Nav2's goal was cancelled by somebody else")
        else:
            words = getattr(answer.result, "error_msg", "")
            self.give_up(f"Nav2 aborts: error {getattr(answer.result, 'error_code', 0)} {words}".rstrip())

    # --- diagnostics -------------------------------------------------------------------------------

    def concerns(self, now_ns: int) -> Iterable[Concern]:
        follower = self.follower
        values = {
            "goals": str(self.counts["goals"]), "failures": str(self.counts["failures"]),
            "reached": str(follower.reached_seq), "released": str(len(follower.route)),
        }
        if follower.problem:
            return (Concern("navigation", Level.ERROR, follower.problem, values),)
        if to_s(now_ns - self._posed_ns) > self.settings.pose_stale_s:
            return (Concern("navigation", Level.STALE, "no pose of the robot on /tf", values),)
        return (Concern("navigation", values=values),)

    def destroy_node(self) -> None:
        self._client.destroy()
        super().destroy_node()


def navigate_through_poses() -> Any:
    """Nav2's action type; only this adapter needs nav2_msgs."""
    try:
        from nav2_msgs.action import NavigateThroughPoses
    except ImportError as error:
        raise UnsupportedError(f"the Nav2 adapter needs the package nav2_msgs: {error}") from error
    return NavigateThroughPoses


def main(args: list[str] | None = None) -> int:
    return run(Nav2Adapter, args)
