"""Our nodes on a bus: parameters from config dataclasses, /diagnostics, and the lifecycle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String

from aislewise import messages, topics
from aislewise.clock import to_ns
from aislewise.errors import InputError
from aislewise.managed import ManagedNode, transition
from aislewise.node import AislewiseNode
from aislewise.settings import check, setting
from pocketros.testing import spin_until_idle


@dataclass(frozen=True)
class Config:
    """Of the nodes below."""

    period_s: float = setting(0.5, "between two ticks, s", low=0.1, high=10.0)
    least: int = setting(1, "lower end", low=0, high=100)
    most: int = setting(9, "upper end", low=0, high=100)
    path: str = setting("", "a file", live=False)

    def __post_init__(self) -> None:
        check(self)
        if self.least > self.most:
            raise InputError("least", f"{self.least}", f"at most {self.most}")


class Worker(ManagedNode):
    """Repeats what it hears, and ticks."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("worker", **kwargs)
        self.settings = self.config(Config, self.on_settings)
        self.ticks = 0
        self._timer: Any = None
        self.autostart()

    @transition
    def on_configure(self, state: Any) -> Any:
        if self.settings.path == "missing":
            raise InputError("path", "missing does not exist")
        if self.settings.path == "broken":
            raise RuntimeError("a mistake of ours")
        self._out = self.advertise(topics.INSTRUCTION_TEXT)
        self._timer = self.every(self.settings.period_s, self.tick)
        self.listen(topics.INSTRUCTION_TEXT, self.hear)
        self.listen(topics.SITE_MAP, self.hear)
        return super().on_configure(state)

    def on_settings(self, settings: Config) -> None:
        self.settings = settings
        self.retime(self._timer, settings.period_s)

    def tick(self) -> None:
        self.ticks += 1
        self._out.publish(String(data=f"tick {self.ticks}"))

    def hear(self, msg: Any) -> None:
        self.counts[msg.data] += 1


class Stage:
    """An executor in simulated time that a test moves on."""

    def __init__(self) -> None:
        rclpy.init(args=["--ros-args", "-p", "use_sim_time:=true"])
        self.executor = SingleThreadedExecutor()
        self.nodes: list[Any] = []
        self.bench = self.add(AislewiseNode("bench"))
        self.clock = self.bench.advertise(topics.CLOCK)
        self.text = self.bench.advertise(topics.INSTRUCTION_TEXT)
        self.site = self.bench.advertise(topics.SITE_MAP)
        self.reports: list[Any] = []
        self.bench.listen(topics.DIAGNOSTICS, self.reports.append)
        self.now_s = 0.0

    def add(self, node: Any) -> Any:
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def pass_time(self, seconds: float, step_s: float = 0.1, each: Callable[[], None] = lambda: None) -> None:
        for _ in range(round(seconds / step_s)):
            self.now_s += step_s
            self.clock.publish(Clock(clock=messages.to_stamp(to_ns(self.now_s))))
            each()
            spin_until_idle(self.executor)

    def status(self, name: str) -> Any:
        """The last DiagnosticStatus of that name."""
        return next(s for m in reversed(self.reports) for s in m.status if s.name == name)


@pytest.fixture
def stage() -> Iterator[Stage]:
    out = Stage()
    yield out
    for node in out.nodes:
        node.destroy_node()
    rclpy.try_shutdown()


def paused(**kwargs: Any) -> Worker:
    overrides = [Parameter("autostart", value=False), *(Parameter(k, value=v) for k, v in kwargs.items())]
    return Worker(parameter_overrides=overrides)


# --- parameters ------------------------------------------------------------------------------------


def test_descriptors_carry_meaning_limits_and_whether_a_change_is_safe(stage: Stage) -> None:
    worker = stage.add(Worker())
    period = worker.describe_parameter("period_s")
    assert period.description == "between two ticks, s" and not period.read_only
    assert (period.floating_point_range[0].from_value, period.floating_point_range[0].to_value) == (0.1, 10.0)
    assert worker.describe_parameter("most").integer_range[0].to_value == 100
    assert worker.describe_parameter("path").read_only and worker.describe_parameter("autostart").read_only


def test_a_change_takes_effect_at_once(stage: Stage) -> None:
    worker = stage.add(Worker())
    stage.pass_time(2.0)
    assert worker.ticks == 4
    assert worker.set_parameters([Parameter("period_s", value=0.1)])[0].successful
    stage.pass_time(2.0)
    assert worker.ticks == 24 and worker.settings.period_s == 0.1


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [("period_s", 60.0, "Max: 10.0"), ("least", 50, "least: 50 (limit: at most 9)"), ("path", "x", "read-only")],
)
def test_a_refused_change_names_field_and_limit_and_changes_nothing(
    stage: Stage, name: str, value: Any, reason: str
) -> None:
    worker = stage.add(Worker())
    result = worker.set_parameters([Parameter(name, value=value)])[0]
    assert not result.successful and name in result.reason and reason in result.reason
    assert worker.settings == Config() and worker.get_parameter(name).value == getattr(Config(), name)


def test_several_at_once_are_judged_together(stage: Stage) -> None:
    worker = stage.add(Worker())
    both = [Parameter("least", value=20), Parameter("most", value=30)]
    assert worker.set_parameters_atomically(both).successful and worker.settings.least == 20


def test_without_somebody_to_apply_it_nothing_may_change(stage: Stage) -> None:
    stage.bench.config(Config)
    assert stage.bench.describe_parameter("period_s").read_only


def all_nodes() -> list[Callable[[], Any]]:
    from cli.robots import make
    from fusion.fusion_node import FusionNode
    from fusion.world_node import WorldNode
    from perception.camera_node import CameraNode
    from perception.instruction_node import InstructionNode
    from perception.lidar_node import LidarNode
    from planning.planner_node import PlannerNode
    from sim.sim_node import SimNode

    idle = [Parameter("autostart", value=False)]
    return [
        CameraNode, LidarNode, InstructionNode, lambda: FusionNode(parameter_overrides=idle),
        lambda: WorldNode(parameter_overrides=idle), lambda: PlannerNode(parameter_overrides=idle),
        lambda: make()[0], lambda: SimNode(parameter_overrides=[Parameter("workers", value=0)]),
    ]


@pytest.mark.parametrize("number", range(8))
def test_every_parameter_of_every_node_says_what_it_is(stage: Stage, number: int) -> None:
    made = stage.add(all_nodes()[number]())
    names = [n for n in made.list_parameters([], 0).names if n != "use_sim_time"]
    blank = [n for n in names if not made.describe_parameter(n).description]
    assert blank == []


# --- diagnostics -----------------------------------------------------------------------------------


def test_inputs_callbacks_and_silence_are_on_diagnostics_in_simulated_time(stage: Stage) -> None:
    listener = stage.add(AislewiseNode("listener"))
    heard = topics.Topic("numbers", "std_msgs/msg/String", "reliable", 10.0, 1.5)

    def use(msg: Any) -> None:
        if msg.data == "bad":
            raise InputError("data", "is bad")

    listener.listen(heard, use)
    source = stage.bench.advertise(heard)
    stage.pass_time(2.0)
    assert stage.status("/listener: input numbers").level == DiagnosticStatus.STALE
    stage.pass_time(3.0, each=lambda: source.publish(String(data="good")))
    good = stage.status("/listener: input numbers")
    assert good.level == DiagnosticStatus.OK and {v.key: v.value for v in good.values}["rate Hz"] == "10.00"
    source.publish(String(data="bad"))
    stage.pass_time(1.0, each=lambda: source.publish(String(data="good")))
    warned = stage.status("/listener: input numbers")
    assert warned.level == DiagnosticStatus.WARN and "data: is bad" in warned.message
    stage.pass_time(3.0)
    assert stage.status("/listener: input numbers").level == DiagnosticStatus.ERROR
    assert {v.key for v in stage.status("/listener: callbacks").values} >= {"p50 ms", "p99 ms", "numbers.refused"}
    stamps = [messages.from_stamp(m.header.stamp) for m in stage.reports if "/listener" in m.status[0].name]
    assert stamps == [to_ns(float(s)) for s in range(1, 10)]


# --- lifecycle -------------------------------------------------------------------------------------


def test_an_autostarted_node_is_active(stage: Stage) -> None:
    worker = stage.add(Worker())
    stage.text.publish(String(data="hello"))
    stage.pass_time(1.0)
    assert worker.is_active and worker.counts["hello"] == 1 and worker.ticks == 2


def test_an_inactive_node_neither_works_nor_listens_but_keeps_latched_messages(stage: Stage) -> None:
    worker = stage.add(paused())
    assert worker.trigger_configure() == TransitionCallbackReturn.SUCCESS
    stage.text.publish(String(data="hello"))
    stage.site.publish(String(data="site"))
    stage.pass_time(2.0)
    assert worker.ticks == 0 and worker.counts["hello"] == 0 and worker.counts["site"] == 1
    lifecycle = stage.status("/worker: lifecycle")
    assert lifecycle.level == DiagnosticStatus.WARN and lifecycle.message == "not active"
    worker.trigger_activate()
    stage.pass_time(1.0)
    assert worker.ticks == 2 and stage.status("/worker: lifecycle").message == "active"


def test_deactivate_stops_the_work_and_activate_takes_it_up_again(stage: Stage) -> None:
    worker = stage.add(Worker())
    stage.pass_time(1.0)
    worker.trigger_deactivate()
    stage.pass_time(3.0)
    assert worker.ticks == 2
    worker._out.publish(String(data="nobody hears this"))
    worker.trigger_activate()
    stage.pass_time(1.0)
    assert worker.ticks == 4 and worker.counts["nobody hears this"] == 0


def test_cleanup_leaves_nothing_behind_and_the_node_can_start_again(stage: Stage) -> None:
    worker = stage.add(paused())
    before = [len(list(getattr(worker, kind))) for kind in ("publishers", "subscriptions", "timers", "services")]
    for _ in range(2):
        for step in ("configure", "activate", "deactivate", "cleanup"):
            assert getattr(worker, f"trigger_{step}")() == TransitionCallbackReturn.SUCCESS
        after = [len(list(getattr(worker, kind))) for kind in ("publishers", "subscriptions", "timers", "services")]
        assert after == before
    assert worker.trigger_shutdown() == TransitionCallbackReturn.SUCCESS


def test_what_makes_a_start_impossible_is_raised_and_an_inactive_node_refuses_it(stage: Stage) -> None:
    with pytest.raises(InputError, match="missing does not exist"):
        Worker(parameter_overrides=[Parameter("path", value="missing")])
    worker = stage.add(paused(path="missing"))
    assert worker.trigger_configure() == TransitionCallbackReturn.FAILURE


def test_a_mistake_of_ours_leaves_the_node_unconfigured(stage: Stage) -> None:
    worker = stage.add(paused(path="broken"))
    assert worker.trigger_configure() == TransitionCallbackReturn.ERROR
    assert worker.trigger_configure() == TransitionCallbackReturn.ERROR  # thus unconfigured, not finalized
