"""Results as JUnit XML, as CI systems read it: a test suite for each scenario, a test case for each seed and gate.

Keeps to the stricter of the usual schemas (Ant's), which wants every attribute and the order of the elements.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from sim.sweep import RECORDING, shown, tail

LINKED = ("report.html", RECORDING, "log.txt")
"""What a failure points to, where it is there."""
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(results: Sequence[dict[str, Any]], out: Path) -> None:
    """out / "junit.xml"; paths in it are below `out`."""
    root = ElementTree.Element("testsuites")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    for number, name in enumerate(dict.fromkeys(r["name"] for r in results)):
        root.append(_suite(name, number, [r for r in results if r["name"] == name], out, stamp))
    ElementTree.indent(root, " ")
    ElementTree.ElementTree(root).write(out / "junit.xml", encoding="utf-8", xml_declaration=True)


def _suite(name: str, number: int, runs: Sequence[dict[str, Any]], out: Path, stamp: str) -> ElementTree.Element:
    cases = [case for run in runs for case in _cases(run, out)]
    suite = ElementTree.Element(
        "testsuite", name=_text(name), package="aislewise.validate", id=str(number), timestamp=stamp,
        hostname="localhost", tests=str(len(cases)), failures=str(sum(c.find("failure") is not None for c in cases)),
        errors=str(sum(c.find("error") is not None for c in cases)), time=f"{sum(_wall_s(r) for r in runs):.3f}",
    )  # fmt: skip
    ElementTree.SubElement(suite, "properties")
    suite.extend(cases)
    ElementTree.SubElement(suite, "system-out")
    ElementTree.SubElement(suite, "system-err")
    return suite


def _cases(run: dict[str, Any], out: Path) -> list[ElementTree.Element]:
    """One for each gate; of a run that came to no judgement one that says why. The first bears the time."""
    if "error" in run:
        case = _case(run, "run", _wall_s(run))
        error = ElementTree.SubElement(case, "error", type="run", message=_text(run["error"]))
        error.text = _text(f"{_files(run, out)}\n{tail(out / run['folder'] / 'log.txt')}")
        return [case]
    cases = []
    for name, gate in run["gates"].items():
        case = _case(run, name, 0.0 if cases else _wall_s(run))
        if not gate["ok"]:
            message = _text(f"{name}: {shown(gate['value'])} (limit {shown(gate['limit'])})")
            failure = ElementTree.SubElement(case, "failure", type="gate", message=message)
            failure.text = _text(f"{message}\n{_files(run, out)}")
        cases.append(case)
    return cases


def _case(run: dict[str, Any], what: str, time_s: float) -> ElementTree.Element:
    classname, name = _text(run["name"]), _text(f"seed {run['seed']}: {what}")
    return ElementTree.Element("testcase", classname=classname, name=name, time=f"{time_s:.3f}")


def _wall_s(run: dict[str, Any]) -> float:
    return float(run["metrics"].get("wall_s", 0.0))


def _files(run: dict[str, Any], out: Path) -> str:
    return "\n".join(f"{run['folder']}/{n}" for n in LINKED if (out / run["folder"] / n).exists())


def _text(text: str) -> str:
    """What XML 1.0 may hold: a log holds anything."""
    return _FORBIDDEN.sub("?", text)
