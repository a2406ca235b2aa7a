"""Launch files: reading them into plans, and running plans in process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import pocketros

pocketros.activate(mode="always")

from pocketros import launcher
from pocketros.launch_substitutions import SubstitutionError, evaluate
from pocketros.launcher import LaunchError, load

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, text: str, name: str = "x.launch.yaml") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


def test_node_gets_name_namespace_parameters_and_remaps(tmp_path: Path) -> None:
    plan = load(write(tmp_path, """
        launch:
          - arg: {name: n, default: "3"}
          - set_parameter: {name: use_sim_time, value: "true"}
          - group:
              - push_ros_namespace: {namespace: a}
              - set_remap: {from: x, to: y}
              - node:
                  pkg: p
                  exec: e
                  name: me
                  namespace: b
                  param:
                    - {name: count, value: $(var n)}
                    - {name: text, value: "'$(var n)'"}
                    - {name: gain, value: 2.0}
                    - {name: names, value: [u, v]}
                    - name: nested
                      param: [{name: z, value: false}]
                  remap: [{from: in, to: /out}]
          - node: {pkg: p, exec: outside}
        """), {"n": "7"})  # fmt: skip
    inside, outside = plan.nodes
    assert (inside.name, inside.namespace) == ("me", "/a/b")
    text = " ".join(inside.argv)
    for part in (
        "__node:=me", "__ns:=/a/b", "use_sim_time:=true", "count:=7", 'text:="3"'.replace("3", "7"),
        "gain:=2.0", 'names:=["u", "v"]', "nested.z:=false", "x:=y", "in:=/out",
    ):  # fmt: skip
        assert part in text
    assert outside.argv == ("--ros-args", "-p", "use_sim_time:=true"), "the group ends its scope"


def test_include_passes_arguments_and_knows_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", """
        launch:
          - arg: {name: who}
          - node: {pkg: p, exec: e, args: "$(var who) $(dirname)"}
        """, "inner.yaml")  # fmt: skip
    outer = write(tmp_path, """
        launch:
          - include: {file: $(dirname)/sub/inner.yaml, arg: [{name: who, value: you}]}
        """)
    assert load(outer).nodes[0].argv == ("you", str(tmp_path / "sub"))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [("if: 'true'", 1), ("if: '0'", 0), ("unless: 'false'", 1), ("unless: $(var t)", 0)],
)
def test_conditions_decide(tmp_path: Path, condition: str, expected: int) -> None:
    plan = load(write(tmp_path, f"""
        launch:
          - let: {{name: t, value: "true"}}
          - node: {{pkg: p, exec: e, {condition}}}
        """))  # fmt: skip
    assert len(plan.nodes) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$(eval '1 + 2 * 3')", "7"),
        ("$(eval '\"$(var mode)\" == \"sim\" and $(var n) > 1')", "True"),
        ("$(env NOT_SET_ANYWHERE other)", "other"),
        ("$(not $(eval '1 > 2'))", "true"),
        ("$(if $(equals $(var mode) sim) yes no)-$(var n)", "yes-2"),
        (r"\$(var n)", "$(var n)"),
        ("plain", "plain"),
    ],
)
def test_substitutions(tmp_path: Path, text: str, value: str) -> None:
    plan = load(write(tmp_path, f"""
        launch:
          - let: {{name: mode, value: sim}}
          - let: {{name: n, value: "2"}}
          - log:
              message: |-
                {text}
        """))  # fmt: skip
    assert str(plan.steps[0]) == f"log: {value}"


@pytest.mark.parametrize(
    "expression",
    ["__import__('os')", "(1).__class__", "open('x')", "9**9**9", "[x for x in (1,)]", "'a'*10**9",
     "'%s' % 1", "lambda: 1", "1/0", "1 +", "x", "f'{1}'"],
)  # fmt: skip
def test_eval_refuses_what_could_reach_out_or_take_long(expression: str) -> None:
    with pytest.raises(SubstitutionError):
        evaluate(expression)


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("- lifecycle_node: {pkg: p, exec: e}", r"\[0\]: unknown entity 'lifecycle_node'"),
        ("- node: {pkg: p, exec: e, machine: x}", "unknown attribute 'machine'"),
        ("- node: {pkg: p}", "missing attribute 'exec'"),
        ("- node: {pkg: p, exec: e, name: 'a b'}", "node name"),
        ("- node: {pkg: p, exec: e, param: [{name: a, value: [1, b]}]}", "one type"),
        ("- node: {pkg: p, exec: e, param: [{from: /no/such.yaml}]}", "no parameter file"),
        ("- node: {pkg: p, exec: e, if: maybe}", "neither true nor false"),
        ("- set_parameter: {name: use_sim_time, value: true}", "must be a string"),
        ("- arg: {name: must}", "'must' is required"),
        ("- arg: {name: c, default: x, choice: [{value: a}, {value: b}]}", "is not one of a, b"),
        ("- log: {message: $(var nope)}", "'nope' is not set"),
        ("- log: {message: $(command ls)}", "not supported"),
        ("- log: {message: $(var x}", r"missing '\)'"),
        ("- log: {message: $(teleport home)}", "unknown substitution 'teleport'"),
        ("- include: {file: other.launch.py}", "YAML launch files only"),
        ("- include: {file: $(filename)}", "include each other"),
        ("- timer: {period: -1, children: []}", "at least 0"),
        ("- [1, 2]", "mapping with one key"),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path: Path, entry: str, complaint: str) -> None:
    with pytest.raises(LaunchError, match=complaint) as caught:
        load(write(tmp_path, f"launch:\n  {entry}\n"))
    assert "x.launch.yaml" in str(caught.value)


def test_an_argument_the_file_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"no argument 'robotz'.*robots"):
        load(write(tmp_path, "launch:\n  - arg: {name: robots, default: '1'}\n"), {"robotz": "3"})


def test_a_resolver_finds_missing_executables_at_load(tmp_path: Path) -> None:
    path = write(tmp_path, "launch:\n  - node: {pkg: nowhere, exec: nothing}\n")
    with pytest.raises(LaunchError, match=r"\[0\] node: no console script 'nothing'"):
        load(path, resolver=launcher.default_resolver)


def test_find_pkg_share_finds_the_source_tree_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "package.xml").write_text("<package><name>mine</name></package>")
    (tmp_path / "launch").mkdir()
    path = write(tmp_path / "launch", "launch:\n  - log: {message: $(find-pkg-share mine)/config}\n")
    assert str(load(path).steps[0]) == f"log: {tmp_path}/config"
    with pytest.raises(LaunchError, match="'theirs' is not installed"):
        load(write(tmp_path, "launch:\n  - log: {message: $(find-pkg-share theirs)}\n"))


def talk_and_listen(heard: list[str]) -> launcher.Resolver:
    """Two executables: one says its parameter on `chatter`, the other ends when it has heard it."""
    import rclpy
    from rclpy.node import Node
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from std_msgs.msg import String

    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

    def talker(args: list[str]) -> None:
        rclpy.init(args=args)
        node = Node("talker")
        word = node.declare_parameter("word", "").value
        node.create_publisher(String, "chatter", latched).publish(String(data=word))
        rclpy.spin(node)

    def listener() -> None:
        rclpy.init()
        node = Node("unnamed")

        def on_word(message: String) -> None:
            heard.append(f"{node.get_fully_qualified_name()}: {message.data}")
            rclpy.shutdown()

        node.create_subscription(String, "chatter", on_word, latched)
        rclpy.spin(node)

    mains = {"talker": talker, "listener": listener}
    return lambda package, executable: mains[executable]


def test_launched_nodes_have_their_own_context_and_share_the_bus(tmp_path: Path) -> None:
    heard: list[str] = []
    plan = load(write(tmp_path, """
        launch:
          - push_ros_namespace: {namespace: ns}
          - node: {pkg: p, exec: talker, param: [{name: word, value: hello}]}
          - node: {pkg: p, exec: listener, name: ear}
          - timer: {period: 0.3, children: [{shutdown: {reason: done}}]}
        """))  # fmt: skip
    assert launcher.run(plan, talk_and_listen(heard)) == 0
    assert heard == ["/ns/ear: hello"]


def test_a_main_that_raises_is_reported_and_fails_the_launch(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def main(args: list[str]) -> None:
        raise RuntimeError("the motor is on fire")

    plan = load(write(tmp_path, "launch:\n  - node: {pkg: p, exec: e, name: motor}\n"))
    assert launcher.run(plan, lambda package, executable: main) == 1
    err = capfd.readouterr().err
    assert "[motor]" in err and "the motor is on fire" in err and "Traceback" in err


def test_respawn_starts_a_node_again(tmp_path: Path) -> None:
    starts: list[float] = []
    holder: list[launcher.Launcher] = []

    def main(args: list[str]) -> None:
        starts.append(time.monotonic())
        if len(starts) == 3:
            holder[0].stop()
        raise RuntimeError("again")

    plan = load(write(tmp_path, "launch:\n  - node: {pkg: p, exec: e, respawn: 'true'}\n"))
    holder.append(launcher.Launcher(plan, lambda package, executable: main))
    holder[0].run()
    assert len(starts) == 3


def test_a_node_that_does_not_stop_fails_the_launch(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    release = threading.Event()
    plan = load(write(tmp_path, """
        launch:
          - node: {pkg: p, exec: e, name: stubborn}
          - shutdown: {}
        """))  # fmt: skip
    assert launcher.run(plan, lambda package, executable: lambda args: release.wait()) == 1
    release.set()
    assert "[stubborn]: did not stop" in capfd.readouterr().err


def test_environment_is_set_for_the_run_and_conflicts_are_refused(tmp_path: Path) -> None:
    seen: list[str | None] = []
    entry = "node: {pkg: p, exec: e, env: [{name: POCKETROS_TEST_X, value: '%s'}]}"
    plan = load(write(tmp_path, f"launch:\n  - {entry % 'one'}\n"))
    resolver: launcher.Resolver = lambda p, e: lambda args: seen.append(os.environ.get("POCKETROS_TEST_X"))  # noqa: E731
    assert launcher.run(plan, resolver) == 0
    assert seen == ["one"] and "POCKETROS_TEST_X" not in os.environ
    both = load(write(tmp_path, f"launch:\n  - {entry % 'one'}\n  - {entry % 'two'}\n"))
    with pytest.raises(LaunchError, match="POCKETROS_TEST_X"):
        launcher.run(both, resolver)


def test_executables_run_as_processes_and_failures_count(tmp_path: Path) -> None:
    command = f"{sys.executable} -c \\\"import sys; sys.exit(%d)\\\""
    for code in (0, 3):
        plan = load(write(tmp_path, f'launch:\n  - executable: {{cmd: "{command % code}"}}\n'))
        assert launcher.run(plan) == (code != 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_launch(tmp_path: Path, number: signal.Signals) -> None:
    path = write(tmp_path, "launch:\n  - node: {pkg: p, exec: e}\n")
    script = textwrap.dedent(f"""
        import pocketros; pocketros.activate(mode="always")
        import rclpy
        from rclpy.node import Node
        from pocketros import launcher
        def main(args):
            rclpy.init(args=args)
            node = Node("n")
            print("ready", flush=True)
            rclpy.spin(node)
        raise SystemExit(launcher.run(launcher.load({str(path)!r}), lambda p, e: main))
        """)
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.wait(timeout=20) == 0


def test_worker_threads_of_an_executor_know_their_launched_context(tmp_path: Path) -> None:
    import rclpy
    from rclpy.executors import MultiThreadedExecutor
    from rclpy.node import Node

    names: list[str] = []

    def main(args: list[str]) -> None:
        rclpy.init(args=args)
        node = Node("n")

        def work() -> None:
            names.append(node.get_name())
            rclpy.shutdown()  # the default context of this launched executable, and no other's

        executor = MultiThreadedExecutor(num_threads=2)
        executor.add_node(node)
        node.create_guard_condition(work).trigger()
        executor.spin()

    plan = load(write(tmp_path, """
        launch:
          - node: {pkg: p, exec: e, name: one}
          - node: {pkg: p, exec: e, name: two}
        """))  # fmt: skip
    assert launcher.run(plan, lambda package, executable: main) == 0
    assert sorted(names) == ["one", "two"]
