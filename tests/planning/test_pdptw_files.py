"""Files of pickup and delivery problems, their checker and `aislewise bench pdptw`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aislewise.errors import InputError
from cli.main import main as aislewise
from planning.pdptw_check import check_files, check_routes
from planning.pdptw_files import Best, best_known, read_problem, write_solution

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LI_LIM = """2 10 1
0 0 0 0 0 100 0 0 0
1 3 4 6 0 50 2 0 3
2 0 5 6 0 50 2 0 4
3 6 8 -6 0 50 2 1 0
4 0 10 -6 0 50 2 2 0
"""
SARTORI = """NAME: tiny
LOCATION: nowhere
TYPE: PDPTW
SIZE: 5
CAPACITY: 10
NODES
0 0.0 0.0 0 0 100 0 0 0
1 0.1 0.0 6 0 50 2 0 3
2 0.1 0.0 6 0 50 2 0 4
3 0.1 0.0 -6 0 50 2 1 0
4 0.1 0.0 -6 0 50 2 2 0
EDGES
0 5 6 7 8
5 0 1 5 9
4 1 0 9 6
6 5 9 0 3
9 7 5 2 0
EOF
"""


def put(folder: Path, text: str, name: str = "tiny.txt") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_li_lim_files_are_read(tmp_path: Path) -> None:
    problem = read_problem(put(tmp_path, LI_LIM))
    assert (problem.capacity, problem.vehicles, problem.pairs.tolist()) == (10.0, 2, [[1, 3], [2, 4]])
    assert problem.travel[0].tolist() == [0.0, 5.0, 5.0, 10.0, 10.0]
    assert problem.demand.tolist() == [0, 6, 6, -6, -6]
    assert problem.latest.tolist() == [100, 50, 50, 50, 50]
    assert problem.service.tolist() == [0, 2, 2, 2, 2]


def test_sartori_buriol_files_are_read(tmp_path: Path) -> None:
    problem = read_problem(put(tmp_path, SARTORI))
    assert (problem.capacity, problem.vehicles, problem.pairs.tolist()) == (10.0, None, [[1, 3], [2, 4]])
    assert (problem.travel[1, 4], problem.travel[4, 1], problem.distance[4, 1]) == (9.0, 7.0, 7.0)


@pytest.mark.parametrize(
    ("text", "old", "new", "field"),
    [
        (LI_LIM, LI_LIM, "", "file"),
        (LI_LIM, "2 10 1\n", "2 ten 1\n", "file.header"),
        (LI_LIM, "2 10 1\n", "2 10\n", "file.header"),
        (LI_LIM, "1 3 4 6 0 50 2 0 3", "1 3 4 6 0 50 2 0", "file.nodes[1]"),
        (LI_LIM, "1 3 4 6 0 50 2 0 3", "1 3 inf 6 0 50 2 0 3", "file.nodes[1]"),
        (LI_LIM, "1 3 4 6 0 50 2 0 3", "7 3 4 6 0 50 2 0 3", "file.nodes"),
        (LI_LIM, "1 3 4 6 0 50 2 0 3", "1 3 4 6 0 50 2 0 9", "file.nodes[1]"),
        (LI_LIM, "1 3 4 6 0 50 2 0 3", "1 3 4 6 0 50 2 0 4", "file.nodes[1]"),
        (LI_LIM, "3 6 8 -6", "3 6 8 -5", "problem.demand[1]"),
        (SARTORI, "EDGES", "LEDGES", "file"),
        (SARTORI, "SIZE: 5", "SIZE: 6", "file.NODES"),
        (SARTORI, "SIZE: 5", "", "file.SIZE"),
        (SARTORI, "CAPACITY: 10", "CAPACITY: much", "file.CAPACITY"),
        (SARTORI, "9 7 5 2 0\nEOF\n", "", "file.EDGES"),
        (SARTORI, "9 7 5 2 0", "9 7 5 2", "file.EDGES[4]"),
        (SARTORI, "9 7 5 2 0", "9 7 -5 2 0", "problem.travel"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, text: str, old: str, new: str, field: str) -> None:
    assert old in text
    with pytest.raises(InputError) as error:
        read_problem(put(tmp_path, text.replace(old, new, 1)))
    assert error.value.field == field


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_problem(tmp_path / "none.txt")


def test_the_checker_counts_as_on_paper(tmp_path: Path) -> None:
    verdict = check_routes(put(tmp_path, LI_LIM), [[1, 3], [2, 4]])
    assert (verdict.faults, verdict.vehicles, verdict.distance) == ([], 2, 40.0)
    assert check_routes(put(tmp_path, SARTORI), [[1, 3, 2, 4]]).distance == 5 + 5 + 9 + 6 + 9


@pytest.mark.parametrize(
    ("old", "new", "routes", "words"),
    [
        ("", "", [[1, 3]], "task 2: visited 0 times"),
        ("", "", [[1, 3], [2, 4], [2, 4]], "task 4: visited 2 times"),
        ("", "", [[1, 3], [2, 4, 5]], "no task 5"),
        ("", "", [[1, 3], [2, 4], []], "empty"),
        ("", "", [[3, 1], [2, 4]], "task 3 delivers what is not aboard"),
        ("", "", [[1, 4], [2, 3]], "task 1 is never delivered"),
        ("", "", [[1, 2, 3, 4]], "12 aboard after task 2"),
        ("2 10 1", "1 10 1", [[1, 3], [2, 4]], "2 routes for 1 vehicles"),
        ("1 3 4 6 0 50", "1 3 4 6 0 4", [[1, 3], [2, 4]], "task 1 begins at 5, closed since 4"),
        ("3 6 8 -6 0 50", "3 6 8 -6 0 11", [[1, 3], [2, 4]], "task 3 begins at 12, closed since 11"),
        ("3 6 8 -6 0 50", "3 6 8 -6 45 50", [[1, 3, 2, 4]], "task 2 begins at 53"),
        ("0 0 0 0 0 100", "0 0 0 0 0 23", [[1, 3], [2, 4]], "back at 24"),
    ],
)  # fmt: skip
def test_the_checker_finds_planted_faults(tmp_path: Path, old: str, new: str, routes: list[list[int]], words: str) -> None:
    verdict = check_routes(put(tmp_path, LI_LIM.replace(old, new, 1)), routes)
    assert any(words in fault for fault in verdict.faults), verdict.faults


def test_solutions_are_written_so_that_the_checker_reads_them(tmp_path: Path) -> None:
    file, out = put(tmp_path, LI_LIM), tmp_path / "out.txt"
    write_solution(out, "tiny", ((1, 3), (2, 4)))
    assert out.read_text().splitlines()[-2:] == ["Route 1 : 1 3", "Route 2 : 2 4"]
    assert check_files(file, out).valid


def test_best_known_values_are_found_beside_the_files(tmp_path: Path) -> None:
    (tmp_path / "best_known").mkdir()
    put(tmp_path / "best_known", "", "lc1_2_1.20_2704.5678.txt")
    put(tmp_path, "instance;size;vehicles;cost;reference;date\nbar-n100-1;100;6;732;X;1-jan-20\n", "bks.dat")
    assert best_known([tmp_path / "x.txt"]) == {"lc1_2_1": Best(20, 2704.5678), "bar-n100-1": Best(6, 732.0)}


def test_bench_solves_writes_and_judges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "best_known").mkdir()
    put(tmp_path / "best_known", "", "tiny.1_32.0.txt")
    files = [put(tmp_path, LI_LIM), put(tmp_path, SARTORI, "other.txt")]
    out = tmp_path / "out.json"
    command = ["bench", "pdptw", *files, "--cpu-limit", 0.1, "--solutions", tmp_path / "found", "--json", out]
    assert aislewise([str(part) for part in command]) == 0
    result = json.loads(out.read_text())
    assert (result["valid"], result["files"], result["with_best_known"], result["vehicles_over_best"]) == (True, 2, 1, 0.0)
    tiny = result["instances"][0]
    assert tiny["vehicles"] == 1
    assert tiny["distance_gap"] == pytest.approx(tiny["distance"] / 32.0 - 1, abs=1e-5)
    assert all(check_files(file, tmp_path / "found" / file.name).valid for file in files)
    assert "NOT VALID" not in capsys.readouterr().out


def test_bench_fails_where_a_request_cannot_be_served(tmp_path: Path) -> None:
    file = put(tmp_path, LI_LIM.replace("1 3 4 6 0 50", "1 3 4 6 0 4"))
    assert aislewise(["bench", "pdptw", str(file), "--cpu-limit", "0.05"]) == 1


def test_bench_reads_all_files_before_it_solves_any(tmp_path: Path) -> None:
    good, bad = put(tmp_path, LI_LIM), put(tmp_path, LI_LIM[:40], "bad.txt")
    assert aislewise(["bench", "pdptw", str(good), str(bad), "--cpu-limit", "0.05", "--solutions", str(tmp_path / "o")]) != 0
    assert not (tmp_path / "o").exists()


@pytest.mark.skipif(not (DATA / "lilim_pdptw").is_dir(), reason="no public data here")
@pytest.mark.parametrize("name", ["lc103", "lr204", "lrc1_2_6"])
def test_published_solutions_pass_the_checker(name: str) -> None:
    folder = DATA / "lilim_pdptw"
    (solution,) = (folder / "best_known").glob(f"{name}.*.txt")
    best = best_known([folder / "x"])[name]
    verdict = check_files(folder / f"{name}.txt", solution)
    assert verdict.faults == []
    assert verdict.vehicles == best.vehicles
    assert verdict.distance == pytest.approx(best.distance, abs=1e-3)
