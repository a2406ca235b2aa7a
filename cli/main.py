"""The `aislewise` command. Each verb lives in a file of its own that is imported only when it is used."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any

from aislewise import __version__
from aislewise.errors import AislewiseError, InputError
from pocketros.bus import TransportError

VERBS = {
    "demo": "run one simulated warehouse shift from sensors to deliveries",
    "validate": "run a scenario file and judge it by its gates",
    "detect": "one lidar (and camera) frame in, fused objects out",
    "plan": "site map, robots and orders in, checked plan out",
    "map": "import, export and show site maps",
    "bench": "measure against public benchmarks",
    "serve": "run the planning service",
    "order": "submit, cancel, list and watch orders",
    "why": "say why an order or a robot is where it is",
    "train": "train the compact model",
    "eval": "measure the model on unseen worlds",
    "export": "export the model to ONNX",
    "launch": "run a ROS 2 launch file, with or without ROS 2",
    "topic": "look into topics: list, echo, hz, bw, delay, info, type, find, pub",
    "node": "list nodes and what they offer",
    "service": "list, look into and call services",
    "param": "read and set the parameters of nodes",
    "bag": "record, play and describe bags",
}


def parser(verb: str | None) -> argparse.ArgumentParser:
    """The whole parser; only `verb`'s own file is imported (all of them for None)."""
    top = argparse.ArgumentParser("aislewise", description="Warehouse robots that see, understand and move together.")
    top.add_argument("--version", action="version", version=f"aislewise {__version__}")
    subparsers = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, text in VERBS.items():
        if verb in (name, None):
            importlib.import_module(f"cli.{name}").add(subparsers)
        else:
            subparsers.add_parser(name, help=text, add_help=False)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 good, 1 a gate or check failed, 2 bad input."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb = next((a for a in arguments if a in VERBS), "")
    args = parser(verb).parse_args(arguments)
    try:
        return int(args.func(args))
    except AislewiseError as error:
        return report_error(error, getattr(args, "json", None))
    except TransportError as error:
        print(f"aislewise: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        return 130


def report_error(error: AislewiseError, json_file: str | None) -> int:
    """One line for people, the same as JSON for programs."""
    print(f"aislewise: {error}", file=sys.stderr)
    if json_file:
        body: dict[str, Any] = {"code": error.code, "message": str(error)}
        if isinstance(error, InputError):
            body |= {"field": error.field, "limit": error.limit if error.limit is None else str(error.limit)}
        with open(json_file, "w", encoding="utf-8") as out:
            json.dump({"ok": False, "error": body}, out, indent=1)
    return 2


if __name__ == "__main__":
    sys.exit(main())
