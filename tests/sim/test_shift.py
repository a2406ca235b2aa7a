"""The whole path in one small shift: sensors and words in, orders from another process, deliveries out."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sim.metrics import TIMING_KEYS

ROOT = Path(__file__).parent.parent.parent
SMALL = """
name: small
seed: 3
duration_s: 150
robots: 2
orders: 2
people: 1
forklifts: 0
release_s: 5
lidar_columns: 360
warehouse: {width: 20, height: 18, blocks: 1, aisles: [1, 2], stations: 2, chargers: 2, parking: 2, bays: 1}
items:
  - {id: tote_blue, cls: tote, colour: blue, near: charger_2, offset_m: 2.0}
instruction: {text: bring the blue tote near charger 2 to station 1, at_s: 8, target: tote_blue, destination: station_1}
"""


def validate(folder: Path) -> tuple[int, dict]:
    """In a process of its own: the closed loop owns rclpy's context."""
    (folder / "small.yaml").write_text(SMALL)
    command = [sys.executable, "-m", "cli.main", "validate", "small.yaml", "--out", "out", "--json", "result.json"]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    code = subprocess.run(command, cwd=folder, env=env, timeout=280, check=False).returncode
    return code, json.loads((folder / "result.json").read_text())["scenarios"][0]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, dict]:
    folder = tmp_path_factory.mktemp("shift")
    return folder, *validate(folder)


def test_orders_are_delivered_and_the_instruction_is_carried_out(first: tuple[Path, int, dict]) -> None:
    _, code, shift = first
    assert code == 0 and shift["ok"], shift
    assert shift["metrics"]["orders_done"] == 2 and shift["metrics"]["collisions"] == 0
    assert shift["metrics"]["instruction"]["status"] == "grounded" and shift["metrics"]["instruction"]["delivered"]


def test_it_leaves_a_page_and_a_recording_that_others_can_read(first: tuple[Path, int, dict]) -> None:
    from mcap.reader import make_reader

    out = first[0] / "out" / "small"
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 4 and "http" not in page.replace("http://www.w3.org", "")
    with (out / "run.mcap").open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None and summary.statistics is not None
    topics = {c.topic for c in summary.channels.values() if summary.statistics.channel_message_counts.get(c.id)}
    assert {"/tf", "/world_state", "/fleet_plan", "/robot_1/detections", "/robot_1/lidar/points"} <= topics


def test_a_signal_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    command = [sys.executable, "-m", "cli.main", "validate", "small.yaml", "--out", "out"]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)
    end = time.monotonic() + 120.0
    recording = tmp_path / "out" / "small" / "run.mcap"
    while not (recording.exists() and recording.stat().st_size > 100_000) and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130


@pytest.mark.slow
def test_the_same_scenario_and_seed_give_the_same_metrics(first: tuple[Path, int, dict], tmp_path: Path) -> None:
    again = validate(tmp_path)[1]

    def kept(shift: dict) -> dict:
        return {k: v for k, v in shift["metrics"].items() if k not in TIMING_KEYS}

    assert kept(again) == kept(first[2])
