"""The verbs as argparse sees them, and the one place where their failures become exit statuses."""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .errors import Interrupted, VerbError

VERBS = {
    "topic": "look into topics: list, echo, hz, bw, delay, info, type, find, pub",
    "node": "list nodes and what they offer",
    "service": "list, look into and call services",
    "param": "read and set the parameters of nodes",
    "bag": "record, play and describe bags",
}

Command = Callable[[argparse.Namespace], "int | None"]
Prepare = Callable[[], object]


class Commands:
    """The commands of one verb: `add(name, func, text)` returns the command's parser."""

    def __init__(self, parser: argparse.ArgumentParser, prepare: Prepare) -> None:
        self._prepare = prepare
        self._parsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(
        self, name: str, func: Command, text: str, endless: Callable[[argparse.Namespace], object] = lambda _: False
    ) -> argparse.ArgumentParser:
        """`endless(args)`: whether Ctrl-C is the command's usual end, and thus exit status 0."""
        parser = self._parsers.add_parser(name, help=text, description=text)
        parser.set_defaults(func=functools.partial(run, self._prepare, func, endless))
        return parser


def add(subparsers: Any, verb: str, prepare: Prepare) -> None:
    """Add one verb to a parser's subparsers. `prepare()` runs before the command: it activates pocketros."""
    module = importlib.import_module(f"pocketros.verbs.{verb}")
    parser = subparsers.add_parser(verb, help=VERBS[verb], description=module.__doc__)
    module.add(Commands(parser, prepare))


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m pocketros VERB ...`. Exit status: 0 good, 1 it did not work, 2 bad input, 128 + signal."""
    top = argparse.ArgumentParser("pocketros", description="ROS 2 graphs and bags without ROS 2.")
    top.add_argument(
        "--interfaces", action="append", default=[], metavar="DIR",
        help="ROS interface package (package.xml, msg/, srv/) to know as well; may be repeated",
    )  # fmt: skip
    subparsers = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        add(subparsers, verb, lambda: activate(args.interfaces))
    args = top.parse_args(argv)
    return int(args.func(args))


def activate(interface_paths: Sequence[str]) -> None:
    import pocketros

    pocketros.activate(interface_paths, mode="always")


def run(
    prepare: Prepare, func: Command, endless: Callable[[argparse.Namespace], object], args: argparse.Namespace
) -> int:
    """Run a command; whatever goes wrong is one line on stderr and a status."""
    with contextlib.suppress(AttributeError, ValueError):  # ValueError: not a file of this process
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        prepare()
        return func(args) or 0
    except VerbError as error:
        print(error, file=sys.stderr)
        return error.status
    except Interrupted as stop:
        return 0 if endless(args) else stop.status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # `... | head`: nobody reads any more, and nothing may be flushed at exit
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("POCKETROS_TRACEBACK"):
            raise
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
