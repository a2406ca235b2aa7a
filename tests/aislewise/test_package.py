"""What the package promises to ROS is what the code needs: dependencies, executables, launch files."""

from __future__ import annotations

import ast
import importlib
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from aislewise.managed import ManagedConfig
from aislewise.settings import settings_of
from cli.robots import RobotsConfig
from fusion.fusion_node import FusionNodeConfig
from fusion.world_node import WorldNodeConfig
from perception.lidar import LidarConfig
from planning.config import PlannerConfig
from planning.nav2 import FollowConfig
from planning.nav2_node import Nav2NodeConfig
from planning.planner_node import PlannerNodeConfig
from pocketros import launcher
from sim.sim_node import SimNodeConfig

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("aislewise", "perception", "fusion", "planning", "sim", "cli")
LAUNCH_FILES = sorted(ROOT.glob("launch/*.launch.yaml"))
OPTIONAL = {"nav2_msgs"}
"""Imported where it is needed only, with a clear error."""
CONFIGS: dict[str, tuple[type, ...]] = {
    "camera_node": (), "instruction_node": (), "lidar_node": (LidarConfig,),
    "fusion_node": (ManagedConfig, FusionNodeConfig), "world_node": (ManagedConfig, WorldNodeConfig),
    "planner_node": (ManagedConfig, PlannerNodeConfig, PlannerConfig), "nav2_adapter": (Nav2NodeConfig, FollowConfig),
    "robots": (RobotsConfig, ManagedConfig, FusionNodeConfig, LidarConfig), "sim_node": (SimNodeConfig,),
}  # fmt: skip


def imported() -> set[str]:
    """Top-level names of ROS packages that our rooms import."""
    found = set()
    for room in ROOMS:
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.split(".")[0])
                elif isinstance(node, ast.Import):
                    found.update(alias.name.split(".")[0] for alias in node.names)
    return {name for name in found if name.endswith(("_msgs", "_interfaces")) or name == "rclpy"}


def dependencies(path: str = "package.xml") -> set[str]:
    return {e.text or "" for e in ET.parse(ROOT / path).getroot().iter() if e.tag in ("depend", "exec_depend")}


def message_packages_of_the_table() -> set[str]:
    from aislewise.topics import TOPICS

    return {t.type.split("/")[0] for t in TOPICS}


def test_every_message_package_in_use_is_a_dependency() -> None:
    used = imported() | message_packages_of_the_table()
    assert used - OPTIONAL <= dependencies()
    messages = {d for d in dependencies() if d.endswith(("_msgs", "_interfaces"))}
    assert messages - used <= {"lifecycle_msgs"}  # rclpy.lifecycle speaks it for us


def test_our_interfaces_depend_on_what_their_fields_are_made_of() -> None:
    text = "\n".join(p.read_text() for p in (ROOT / "interfaces").glob("*/*.msg"))
    used = {w.split("/")[0] for w in text.split() if "_msgs/" in w or "_interfaces/" in w}
    cmake = (ROOT / "interfaces" / "CMakeLists.txt").read_text()
    assert used <= dependencies("interfaces/package.xml") and all(f"find_package({u} " in cmake for u in used)


def test_the_executables_of_setup_py_are_there() -> None:
    scripts = dict(re.findall(r'"(\w+) = ([\w.]+:\w+)"', (ROOT / "setup.py").read_text()))
    assert set(CONFIGS) | {"aislewise"} <= set(scripts)
    for name in CONFIGS:
        module, function = scripts[name].split(":")
        assert callable(getattr(importlib.import_module(module), function))


def nodes(file: Path, **arguments: str) -> list[Any]:
    return list(launcher.load(file, arguments).nodes)


def parameters(node: Any) -> dict[str, Any]:
    """As the node's process gets them."""
    pairs = [word for flag, word in zip(node.argv, node.argv[1:]) if flag == "-p"]
    return {name: yaml.safe_load(value) for name, value in (p.split(":=", 1) for p in pairs)}


@pytest.mark.parametrize("file", LAUNCH_FILES, ids=lambda f: f.name)
def test_use_sim_time_reaches_every_node_of_every_launch_file(file: Path) -> None:
    for wanted in ("true", "false"):
        extra = {"nav2": "true"} if file.name.startswith("robot") else {}
        for node in nodes(file, use_sim_time=wanted, **extra):
            assert parameters(node)["use_sim_time"] is (wanted == "true"), node.executable


@pytest.mark.parametrize("file", LAUNCH_FILES, ids=lambda f: f.name)
def test_parameters_have_the_declared_types_whatever_the_arguments_look_like(file: Path) -> None:
    looks_like_numbers = {"store": "7", "site": "1.5", "scenario": "on", "robot": "robot_7", "nav2": "true"}
    known = {e["arg"]["name"] for e in yaml.safe_load(file.read_text())["launch"] if "arg" in e}
    for node in nodes(file, **{k: v for k, v in looks_like_numbers.items() if k in known}):
        kinds = {n: kind for cls in CONFIGS[node.executable] for n, (kind, _, _) in settings_of(cls).items()}
        for name, value in parameters(node).items():
            if name in kinds:
                assert type(value) is kinds[name], (node.executable, name, value)


@pytest.mark.parametrize("file", LAUNCH_FILES, ids=lambda f: f.name)
def test_all_but_the_simulator_are_started_again_when_they_die(file: Path) -> None:
    for node in nodes(file):
        assert node.respawn == (node.executable != "sim_node")
        assert not node.respawn or node.respawn_delay_s > 0
    for entry in walk(yaml.safe_load(file.read_text())["launch"]):  # what Jazzy's YAML front end takes
        assert isinstance(entry.get("respawn", ""), str) and isinstance(entry.get("respawn_delay", 0.0), float)


def walk(entries: list[dict[str, Any]]) -> Any:
    for entry in entries:
        for kind, body in entry.items():
            if kind == "group":
                yield from walk(body)
            elif kind == "node":
                yield body


def test_the_robots_nodes_are_in_its_namespace() -> None:
    found = nodes(ROOT / "launch" / "robot.launch.yaml", robot="robot_9", nav2="true")
    assert {n.namespace for n in found} == {"/robot_9"} and len(found) == 4


def test_no_folder_of_ours_shadows_a_package_of_ros() -> None:
    assert not (ROOT / "launch" / "__init__.py").exists()
