"""docs/scenarios.md: the packaged scenarios with their reasons, gates and last results, and the grammar of faults.

`python -m tools.scenario_docs OUT` takes over the results of `aislewise validate sim/scenarios/*.yaml --out OUT`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from sim.faults import KINDS, Kind
from sim.scenario import Scenario, load_scenario

ROOT = Path(__file__).resolve().parent.parent
SCENARIOS = ROOT / "sim" / "scenarios"
PAGE = ROOT / "docs" / "scenarios.md"
RESULTS = ROOT / "docs" / "scenario_results.json"

INTRO = """# Scenarios

Made by `make docs` from sim/scenarios and the results kept in docs/scenario_results.json. A scenario is one YAML
file: site, robots, people, orders, what happens, and the gates that a run must meet. Run one with
`aislewise validate NAME`; the same file and seed give the same figures. Every run must end with all orders final
and the instruction, where there is one, carried out; every fault must have come about.

| name | why | faults | gates | seed | result |
|---|---|---|---|---|---|
"""
GRAMMAR = """
# Faults

A scenario's `faults:` is a list of lines of one form:

```
at TIME fault KIND [by|to AMOUNT] [robot=N,N...|robot=all] [at=X,Y] [for TIME]
at 30s fault camera dropout robot=3 for 10s
```

Times end in `s`, `ms` or `min`. `robot=` names one robot, several or all (the default). `for` may be left out: to
the end (a killed planner comes back after 5 s). The planner, its store and its clients take no `robot=`. `at=` is a place in `map`, m; left out, a fitting one is drawn by the scenario's seed. Something is only
put down where nobody stands or drives: until then it waits. A line that cannot be read is an error that names the
field and its limit (`faults[2].by: ...`).

| kind | amount | what it does |
|---|---|---|
"""
NOTES = """
What befalls the planning service needs the lock-step run: with `--live` such a line is an error, since the service is
somebody else's. While no order can be acknowledged the simulated clock goes on, and orders wait for their customer to
get through. A robot that has lost its way and does not know it is left out.
"""
MEANING = {
    "camera dropout": "no picture comes",
    "lidar dropout": "no cloud comes",
    "camera freeze": "the last picture comes again and again, under new stamps",
    "lidar freeze": "the last cloud comes again and again, under new stamps",
    "camera delay": "pictures come so much later, with the stamps of when they were taken",
    "lidar delay": "clouds come so much later, with the stamps of when they were taken",
    "camera skew": "stamps are so much ahead (negative: behind)",
    "lidar skew": "stamps are so much ahead (negative: behind)",
    "camera dirt": "soft blotches on the lens, over that share of the picture; they stay where they are",
    "lidar dirt": "nothing comes from that share of the sectors",
    "camera garbage": "that share of the pixels is noise",
    "lidar garbage": "that share of the points lies anywhere within 12 m",
    "camera misalign": "turned on its mount to the left (the picture shifts)",
    "lidar misalign": "turned on its mount to the left",
    "light blackout": "the lamps are out: only signs and screens glow in the camera; the lidar does not mind",
    "robot stop": "emergency stop: brakes, stands, says so (`RobotState.problem`), and goes on after",
    "robot slow": "that share of its speed is lost, when driving, turning and backing up",
    "robot silent": "no robot_state comes; poses, sensors and battery still do, and it drives on as released",
    "battery drop": "the charge falls to that at once, if it was higher",
    "aisle blocked": "boxes fall into a one-wide aisle",
    "person down": "somebody lies in a wide aisle",
    "spill": "a wet patch in a wide aisle",
    "robot lost": "localisation fails: the reported pose slides off within 3 s, by that far, and turns; the robot stands and says so (mode `lost`)",
    "network cut": "nothing passes between the robot and the rest: no states, poses, sensors, routes; it runs what it has, then stands",
    "network duplicate": "that share of the robot's messages, either way, comes a second time within 1 s",
    "network reorder": "that share of them comes after the next one on its topic, or 1 s late",
    "planner kill": "torn out as by SIGKILL, round one of its next commits: its store stays as it is on the disk; it is back at the end",
    "store full": "every write of the order store fails with SQLite's own `database or disk is full`",
    "client cut": "nothing passes between fleet managers and the planning service",
}


def scenarios_page() -> str:
    kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    rows = [_row(load_scenario(path), kept.get(path.stem)) for path in sorted(SCENARIOS.glob("*.yaml"))]
    kinds = [f"| `{name}` | {_amount(kind)} | {MEANING[name]} |" for name, kind in KINDS.items()]
    return INTRO + "\n".join(rows) + "\n" + GRAMMAR + "\n".join(kinds) + "\n" + NOTES


def _row(scenario: Scenario, result: dict[str, Any] | None) -> str:
    faults = "<br>".join(f"`{fault}`" for fault in scenario.faults) or "-"
    cells = (scenario.name, scenario.description, faults, _gates(scenario), str(scenario.seed), _result(scenario, result))
    return "| " + " | ".join(cells) + " |"


def _gates(scenario: Scenario) -> str:
    gates = scenario.gates
    parts = [f"collisions <= {gates.max_collisions}", f"done >= {gates.min_done_share:.0%}"]
    if gates.min_detection_map is not None:
        parts.append(f"mAP >= {gates.min_detection_map:g}")
    if gates.max_sim_s is not None:
        parts.append(f"within {gates.max_sim_s:g} s")
    return ", ".join(parts)


def _result(scenario: Scenario, result: dict[str, Any] | None) -> str:
    if result is None or result["seed"] != scenario.seed:
        return "none kept"
    verdict = "pass" if result["ok"] else "FAIL"
    return (
        f"{verdict}: {result['orders_done']} of {scenario.orders} in {result['sim_s']:.0f} s, "
        f"{result['collisions']} collisions" + (f", mAP {result['detection_map']:.2f}" if scenario.fidelity is None or scenario.fidelity.sensor else "")
    )


def _amount(kind: Kind) -> str:
    if not kind.word:
        return "-"
    left_out = "" if kind.default is None else f" (left out: {kind.default:g})"
    return f"`{kind.word}` {kind.low:g}{kind.unit} to {kind.high:g}{kind.unit}{left_out}"


def take_over(out: Path) -> None:
    """Keeps what the page shows of the runs in `out`."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for path in sorted(out.rglob("metrics.json")):
        metrics = json.loads(path.read_text())
        keys = ("seed", "ok", "orders_done", "sim_s", "collisions", "detection_map")
        if metrics["seed"] == _packaged_seed(metrics["scenario"]):
            kept[metrics["scenario"]] = {key: metrics[key] for key in keys}
    kept = {name: kept[name] for name in sorted(kept) if (SCENARIOS / f"{name}.yaml").is_file()}
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def _packaged_seed(name: str) -> int | None:
    path = SCENARIOS / f"{name}.yaml"
    return load_scenario(path).seed if path.is_file() else None


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        take_over(Path(folder))
    PAGE.write_text(scenarios_page(), encoding="utf-8")
