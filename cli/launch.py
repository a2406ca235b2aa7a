"""`aislewise launch`: run a ROS 2 YAML launch file; with ROS 2 installed it is handed to `ros2 launch`."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from aislewise.errors import InputError
from aislewise.resources import share_dir


def add(subparsers: Any) -> None:
    p = subparsers.add_parser("launch", help="run a launch file", description=__doc__)
    p.add_argument("file", help="launch file, or the name of one in launch/")
    p.add_argument("arguments", nargs="*", metavar="ARG:=VALUE")
    p.add_argument("--print", action="store_true", dest="dry", help="say what would be started, start nothing")
    p.add_argument("--json", metavar="FILE", help="write what is started there")
    p.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    from cli.ros import activate

    path = find(args.file)
    given = dict(split(a) for a in args.arguments)
    if activate() == "rclpy" and not args.dry:
        os.execvp("ros2", ["ros2", "launch", str(path), *args.arguments])
    from pocketros import launcher

    os.environ.setdefault("POCKETROS_TRANSPORT", "inprocess")  # all nodes share this process
    try:
        plan = launcher.load(path, given)
    except launcher.LaunchError as error:
        raise InputError("file", str(error)) from error
    if args.json:
        Path(args.json).write_text(json.dumps({"ok": True, "plan": str(plan).splitlines()}, indent=1) + "\n")
    if args.dry:
        print(plan)
        return 0
    return int(launcher.run(plan))


def find(name: str) -> Path:
    for path in (Path(name), share_dir() / "launch" / name, share_dir() / "launch" / f"{name}.launch.yaml"):
        if path.is_file():
            return path
    raise InputError("file", f"no launch file {name!r}", "a path, or a file of launch/")


def split(argument: str) -> tuple[str, str]:
    name, found, value = argument.partition(":=")
    if not found or not name:
        raise InputError("arguments", f"{argument!r}", "NAME:=VALUE")
    return name, value
