"""The verbs that read files, on files: real sweeps and maps where the shared data are at hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cli.main import main

ROOT = Path(__file__).parent.parent.parent
SHARED = ROOT.parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="shared data are not at hand")


def result(tmp_path: Path, *arguments: object) -> tuple[int, dict]:
    out = tmp_path / "result.json"
    code = main([*map(str, arguments), "--json", str(out)])
    return code, json.loads(out.read_text())


def test_detect_reads_a_kitti_sweep_and_answers_in_the_lidars_frame(tmp_path: Path) -> None:
    from sim.dataset import generate

    sample = next(iter(generate(seed=777, count=1)))
    points = sample.frame.points - np.array([0.0, 0.0, 0.9, 0.0], np.float32)
    points.astype(np.float32).tofile(tmp_path / "sweep.bin")
    code, answer = result(tmp_path, "detect", "--points", tmp_path / "sweep.bin", "--sensor-height", 0.9)
    assert code == 0 and answer["objects"] and answer["latency_ms"] > 0
    assert set(answer["objects"][0]) == {"class", "position", "size", "yaw", "score"}
    truth = np.array([o.position - (0, 0, 0.9) for o in sample.objects])
    nearest = [np.linalg.norm(truth - o["position"], axis=1).min() for o in answer["objects"]]
    assert min(nearest) < 0.3


@pytest.mark.parametrize("name", ["garbage.bin", "garbage.pcd", "garbage.npz", "garbage.txt", "absent.bin"])
def test_detect_names_the_file_it_cannot_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if not name.startswith("absent"):
        path.write_bytes(np.random.default_rng(0).bytes(1003))
    code, answer = result(tmp_path, "detect", "--points", path)
    assert code == 2 and not answer["ok"] and answer["error"]["field"] and answer["error"]["message"]


@needs_shared
def test_detect_runs_clean_on_a_real_sweep_and_a_real_room(tmp_path: Path) -> None:
    clouds = sorted((SHARED / "pcl").glob("*.pcd"))
    assert clouds
    code, answer = result(tmp_path, "detect", "--points", clouds[0])
    assert code == 0 and all(np.isfinite(o["position"]).all() for o in answer["objects"])


def test_plan_delivers_the_example(tmp_path: Path) -> None:
    code, answer = result(tmp_path, "plan", ROOT / "examples" / "problem.json")
    assert code == 0 and answer["ok"] and not answer["violations"]
    assert all(row["state"] == "DONE" for row in answer["orders"].values())


def test_plan_names_what_is_wrong_with_a_problem(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text("{}")
    code, answer = result(tmp_path, "plan", tmp_path / "p.json")
    assert code == 2 and answer["error"]["field"]


@needs_shared
def test_bench_mapf_gives_valid_paths_on_a_public_map(tmp_path: Path) -> None:
    folder = SHARED / "mapf"
    name = "warehouse-10-20-10-2-1"
    scenario = sorted(folder.rglob(f"{name}*random-1.scen"))[0]
    paths = tmp_path / "paths.txt"
    code, answer = result(
        tmp_path, "bench", "mapf", next(folder.rglob(f"{name}.map")), scenario, "-n", 50, "--time-limit", 1,
        "--paths", paths,
    )
    assert code == 0 and answer["valid"] and answer["ratio"] >= 1.0
    lines = paths.read_text().splitlines()
    assert len(lines) == 50 and len({len(line.split()) for line in lines}) == 1


def test_launch_says_what_it_would_start(tmp_path: Path) -> None:
    code, answer = result(tmp_path, "launch", ROOT / "launch" / "sim.launch.yaml", "robots:=3", "--print")
    text = "\n".join(answer["plan"])
    assert code == 0 and all(name in text for name in ("sim_node", "world_node", "planner_node", "robots"))
