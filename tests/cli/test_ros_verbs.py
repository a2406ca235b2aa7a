"""`aislewise topic` and its kin: pocketros' verbs, which know our messages here, or ros2's own."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

import cli.ros
from cli.main import main


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POCKETROS_TRANSPORT", "inprocess")
    monkeypatch.setenv("ROS_DOMAIN_ID", "99")


def test_the_verbs_know_our_own_messages(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["topic", "pub", "/state", "aislewise_msgs/msg/RobotState", "{}", "-1", "-w", "0", "--spin-time", "0"]
    assert main(line) == 0
    assert "publishing #1: aislewise_msgs.msg.RobotState(" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["topic", "node", "service", "param", "bag"])
def test_each_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([verb, "--help"])
    assert end.value.code == 0 and "COMMAND" in capsys.readouterr().out


def test_failures_are_statuses_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["param", "get", "/nobody", "x", "--spin-time", "0", "--timeout", "0"]) == 1
    assert capsys.readouterr().err == "Node not found\n"
    with pytest.raises(SystemExit) as end:
        main(["topic", "echo"])
    assert end.value.code == 2


def test_with_ros2_installed_its_own_command_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class Replaced(BaseException):
        pass

    def execvp(file: str, arguments: list[str]) -> None:
        raise Replaced(file, arguments)

    monkeypatch.setattr(cli.ros, "activate", lambda: "rclpy")
    monkeypatch.setattr(shutil, "which", lambda _: "/opt/ros/jazzy/bin/ros2")
    monkeypatch.setattr(os, "execvp", execvp)
    monkeypatch.setattr(sys, "argv", ["aislewise", "topic", "list", "-t"])
    with pytest.raises(Replaced) as call:
        main(["topic", "list", "-t"])
    assert call.value.args == ("ros2", ["ros2", "topic", "list", "-t"])
