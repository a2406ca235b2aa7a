"""Runs rclpy's own tests on pocketros and writes docs/rclpy-tests.md.

    python -m tools.rclpy_tests PATH/TO/rclpy/test --interfaces PATH/TO/test_interface_files PATH/TO/test_msgs

Neither the tests nor the messages they use are part of this repository: the first path is the
folder `rclpy/test` of a checkout of github.com/ros2/rclpy (branch jazzy), the others are folders
with msg/, srv/ and action/ that together make the package test_msgs (github.com/ros2/
test_interface_files and test_msgs of github.com/ros2/rcl_interfaces).
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "rclpy-tests.md"
NAMES = (
    "node create_node timer clock time time_source duration parameter parameter_client parameter_event_handler "
    "parameter_service qos qos_event qos_overriding_options executor callback_group client service publisher "
    "subscription rate guard_condition lifecycle action_client action_server action_graph logging logging_rosout "
    "logging_service rosout_subscription task wait_for_message init_shutdown context expand_topic_name "
    "validate_full_topic_name validate_namespace validate_node_name validate_topic_name topic_or_service_is_hidden "
    "topic_endpoint_info type_hash type_support type_description_service utilities serialization messages "
    "service_introspection create_while_spinning destruction destruction_order waitable"
).split()
LIMIT_S = 240
C_HANDLE = re.compile(r"\b_rclpy\b|\.handle\b|\b_rclpy_pybind11\b|\brclpy\.impl\b|\brclpy_implementation\b|\bget_c_\w+\(")
RULE = (
    "A function touches private C handles if its source, or that of its class's setUp or tearDown, or of a helper function "
    "or class of its file that it uses, has `_rclpy`, `.handle`, `_rclpy_pybind11`, `rclpy.impl`, `rclpy_implementation` or "
    "`get_c_...(` in it, or a name that its file imports from `rclpy.impl`. pocketros has no C handles, so some of "
    "these cannot pass. Many only want an entity to have a `handle`: for the test run, and only there, each has one "
    "that does nothing, so that the rest of such a function counts for something too."
)

REASONS = {
    "node": "takes a message from a C handle",
    "parameter_event_handler": "puts objects that are no messages into messages; pocketros checks fields at once",
    "qos": "converts a profile to C",
    "qos_event": "deadlines and liveliness are not monitored; events of C handles",
    "executor": "wait sets",
    "client": "takes a request from a C handle",
    "topic_endpoint_info": "converts a profile from C",
    "type_description_service": "puts an object that is no string into a message; pocketros checks fields at once",
    "serialization": "strings of wide characters cannot be serialised",
    "service_introspection": "not offered",
    "create_while_spinning": "waitables are not offered",
    "destruction": "life time of C handles",
    "waitable": "waitables are not offered",
}
"""Why functions of a file fail, for the page."""


@dataclass
class Result:
    """Outcome of one file: function names, split by what came of them."""

    name: str
    functions: set[str]
    private: set[str]
    failed: dict[str, str] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)

    @property
    def public(self) -> set[str]:
        return self.functions - self.private - self.skipped

    @property
    def percent(self) -> str:
        return f"{100 * len(self.public & self.passed) / len(self.public):.0f}%" if self.public else "-"


def read_functions(source: str) -> tuple[set[str], set[str]]:
    """(names of all test functions, those that touch private C handles), as in pytest's node ids."""
    tree = ast.parse(source)
    imported = {  # names that stand for C handles
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rclpy.impl")
        for alias in node.names
    }
    functions: set[str] = set()
    private: set[str] = set()

    def is_private(node: ast.AST) -> bool:
        text = ast.get_source_segment(source, node) or ""
        return bool(C_HANDLE.search(text)) or any(re.search(rf"\b{name}\b", text) for name in imported)

    helpers = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.lower().startswith("test")
    ]
    while more := {node.name for node in helpers if is_private(node)} - imported:
        imported |= more  # whoever uses them is private too

    def visit(body: Sequence[ast.stmt], prefix: str) -> None:
        methods = [node for node in body if isinstance(node, ast.FunctionDef)]
        fixtures = any(is_private(m) for m in methods if m.name.lower().startswith(("setup", "teardown")))
        for node in methods:
            if node.name.startswith("test"):
                functions.add(prefix + node.name)
                if fixtures or is_private(node):
                    private.add(prefix + node.name)
        for node in body:
            if isinstance(node, ast.ClassDef) and is_collected(node):
                visit(node.body, f"{node.name}::")

    def is_collected(node: ast.ClassDef) -> bool:
        """As pytest does it: by the class's name or unittest's base class."""
        return node.name.startswith("Test") or any("TestCase" in ast.unparse(base) for base in node.bases)

    visit(tree.body, "")
    return functions, private


def run_file(folder: Path, interfaces: Path, helpers: str, name: str) -> Result:
    """Run one file in its own process; functions that left no outcome count as failed."""
    path = folder / f"test_{name}.py"
    result = Result(name, *read_functions(path.read_text(encoding="utf-8")))
    report = folder / f"{name}.jsonl"
    report.touch()
    environment = {
        **os.environ, "RCLPY_TESTS_REPORT": str(report), "RCLPY_TESTS_INTERFACES": str(interfaces),
        "RCLPY_TESTS_HELPERS": helpers, "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    with (folder / f"{name}.log").open("w") as log:
        _run_pytest([str(path)], folder, environment, log)
        _read_report(report, result)
        if again := sorted(f"{path}::{function}" for function in result.failed if function not in result.private):
            report.write_text("")
            before, result.failed = result.failed, {f: m for f, m in result.failed.items() if f in result.private}
            _run_pytest(again, folder, environment, log)
            _read_report(report, result)
            result.failed = {f: before.get(f, m) for f, m in result.failed.items()}
    return result


def _run_pytest(what: list[str], folder: Path, environment: dict[str, str], log: TextIO) -> None:
    command = [
        sys.executable, "-m", "pytest", "-p", "tools.rclpy_tests_plugin", "-q", "--import-mode=importlib", "--timeout=60",
        f"--rootdir={folder}", f"--confcutdir={folder}", "-c", os.devnull, "-p", "no:cacheprovider", *what,
    ]  # fmt: skip
    try:
        subprocess.run(
            command, cwd=folder, env=environment, timeout=LIMIT_S, stdout=log, stderr=subprocess.STDOUT, check=False
        )
    except subprocess.TimeoutExpired:
        log.write(f"stopped after {LIMIT_S} s\n")


def _read_report(report: Path, result: Result) -> None:
    """Add the outcomes that the plugin noted. Functions that left none count as failed."""
    for line in report.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        kind, function = entry["outcome"], entry["function"]
        if kind == "failed":
            result.failed[function] = entry["message"]
        elif kind == "skipped":
            result.skipped.add(function)
        else:
            result.passed.add(function)
    result.passed -= result.failed.keys()
    result.skipped -= result.passed | result.failed.keys()
    for function in result.functions - result.passed - result.skipped - result.failed.keys():
        result.failed[function] = "did not run to its end"


def prepare(tests: Path, interfaces: Sequence[Path], target: Path) -> tuple[Path, Path, str]:
    """Copy the tests, without the package's __init__.py (it wants a C extension), and make test_msgs."""
    folder, package = target / "rclpy_tests", target / "test_msgs"
    shutil.copytree(tests, folder)
    (folder / "__init__.py").write_text("")
    package.mkdir()
    (package / "package.xml").write_text("<package><name>test_msgs</name></package>")
    helpers = ""
    for source in interfaces:
        for kind in ("msg", "srv", "action"):
            for path in (source / kind).glob(f"*.{kind}"):
                (package / kind).mkdir(exist_ok=True)
                shutil.copy(path, package / kind / path.name)
        if (source / "src" / "test_msgs").is_dir():
            helpers = str((source / "src" / "test_msgs").resolve())
    return folder, package, helpers


def page(results: Sequence[Result]) -> str:
    rows, failures = [], []
    for r in results:
        rows.append(
            f"| {r.name} | {len(r.functions)} | {len(r.passed)} | {len(r.failed)} | {len(r.skipped)} | {len(r.private)} "
            f"| {len(r.public & r.passed)} of {len(r.public)} | {r.percent} |"
        )
        failures += [f"| {r.name} | `{f}` | {'yes' if f in r.private else ''} | {REASONS.get(r.name, '')} |" for f in sorted(r.failed)]
    public, passed = (sum(len(s) for s in sets) for sets in ([r.public for r in results], [r.public & r.passed for r in results]))
    total, all_passed = sum(len(r.functions) for r in results), sum(len(r.passed) for r in results)
    return "\n".join([
        "# rclpy's own tests on pocketros", "",
        "Written by `python -m tools.rclpy_tests`, which runs the test files of genuine rclpy (branch jazzy), unmodified,",
        f"on pocketros: each file in a process of its own, {LIMIT_S} s at most. A function passes if all its cases do;",
        "one that fails is tried once more by itself, because many wait for wall-clock milliseconds.", "",
        *textwrap.wrap(RULE, 118), "",
        f"Of {total} functions {all_passed} pass; of the {public} that touch no private C handle and are not skipped, "
        f"{passed} ({100 * passed / max(1, public):.1f}%).", "",
        "| file | functions | passed | failed | skipped by the test | touch private C handles | public: passed | share |",
        "|---|---|---|---|---|---|---|---|", *rows, "",
        "## What fails", "", "| file | function | touches private C handles | why |", "|---|---|---|---|", *failures, "",
    ])  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", type=Path, help="the folder rclpy/test of a checkout of ros2/rclpy")
    parser.add_argument("--interfaces", type=Path, nargs="+", required=True, help="folders that make test_msgs")
    parser.add_argument("--only", nargs="+", help="these files only (node, timer...); the page is not written then")
    parser.add_argument("--logs", type=Path, help="keep pytest's output here")
    options = parser.parse_args(argv)
    names = [n for n in options.only or NAMES if (options.tests / f"test_{n}.py").is_file()]
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        folder, package, helpers = prepare(options.tests, options.interfaces, Path(scratch))
        for name in names:
            result = run_file(folder, package, helpers, name)
            results.append(result)
            print(f"{name}: {len(result.public & result.passed)} of {len(result.public)} public functions", flush=True)
            for function, message in sorted(result.failed.items()):
                private = "(C) " if function in result.private else ""
                print(f"    {private}{function}: {message.splitlines()[0] if message else ''}")
            if options.logs:
                options.logs.mkdir(parents=True, exist_ok=True)
                shutil.copy(folder / f"{name}.log", options.logs)
    if not options.only:
        PAGE.write_text(page(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
