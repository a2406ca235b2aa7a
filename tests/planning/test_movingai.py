from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aislewise.errors import InputError
from planning.movingai import read_map, read_paths, read_scenario, write_paths

DATA = Path(__file__).parents[3] / "shared" / "data" / "mapf"
MAP = "type octile\nheight 2\nwidth 3\nmap\n..@\n.T.\n"


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_octile_and_plain_maps_read_the_same(tmp_path: Path) -> None:
    octile = read_map(written(tmp_path, "a.map", MAP))
    plain = read_map(written(tmp_path, "b.map", "2\n3\n0 0 1\n0 1 0\n"))
    assert octile.tolist() == plain.tolist() == [[True, True, False], [True, False, True]]


@pytest.mark.parametrize(
    "text",
    [
        "", "type octile\nheight 2\n", MAP.replace("height 2", "height 3"), MAP.replace("width 3", "width x"),
        MAP.replace("..@", "..?"), MAP.replace("..@", "..@."), MAP.replace("map\n", "mop\n"), "1\n99999999\n0\n",
    ],
)  # fmt: skip
def test_malformed_maps_are_typed_errors(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="map"):
        read_map(written(tmp_path, "bad.map", text))


def test_missing_or_binary_files_are_typed_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_map(tmp_path / "absent.map")
    (tmp_path / "binary.map").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a text file"):
        read_map(tmp_path / "binary.map")


def test_both_scenario_formats_give_starts_and_goals(tmp_path: Path) -> None:
    free = read_map(written(tmp_path, "a.map", MAP))
    long = "version 1\n0\ta.map\t3\t2\t0\t0\t0\t1\t1\n1\ta.map\t3\t2\t2\t1\t1\t0\t0\n"
    for text in (long, "2\n0 0 0 1\n2 1 1 0\n"):
        starts, goals = read_scenario(written(tmp_path, "a.scen", text), free)
        assert starts.tolist() == [0, 5] and goals.tolist() == [3, 1]
        assert read_scenario(tmp_path / "a.scen", free, 1)[0].tolist() == [0]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("1\n0 0 2 0\n", "scen[0].goal"),
        ("1\n9 0 0 0\n", "scen[0].start"),
        ("1\n0 0 0\n", "scen[0]"),
        ("1\n0 0 a 0\n", "scen[0]"),
        ("2\n0 0 0 1\n0 0 1 0\n", "scen.start"),
        ("0\n", "count"),
    ],
)
def test_malformed_scenarios_name_the_field(tmp_path: Path, text: str, field: str) -> None:
    free = read_map(written(tmp_path, "a.map", MAP))
    with pytest.raises(InputError) as error:
        read_scenario(written(tmp_path, "a.scen", text), free)
    assert error.value.field == field


def test_asking_for_more_agents_than_there_are_is_refused(tmp_path: Path) -> None:
    free = read_map(written(tmp_path, "a.map", MAP))
    with pytest.raises(InputError, match="has 1 agents"):
        read_scenario(written(tmp_path, "a.scen", "1\n0 0 0 1\n"), free, 2)


def test_paths_survive_writing_and_reading(tmp_path: Path) -> None:
    paths = np.array([[0, 5], [1, 5], [1, 2]], dtype=np.int32)
    write_paths(tmp_path / "out.txt", paths, 3)
    assert (tmp_path / "out.txt").read_text().splitlines()[0] == "0,0 1,0 1,0"
    assert np.array_equal(read_paths(tmp_path / "out.txt", 3), paths)
    with pytest.raises(InputError):
        read_paths(written(tmp_path, "bad.txt", "0,0 1;0\n"), 3)


@pytest.mark.skipif(not DATA.exists(), reason="public data not beside the checkout")
def test_public_files_read_with_their_known_sizes() -> None:
    from planning.distance import connectivity

    free = read_map(DATA / "warehouse-10-20-10-2-1.map")
    assert free.shape == (63, 161) and free.sum() == 5699
    assert connectivity(free).biconnected
    for scenario in sorted(DATA.glob("warehouse-10-20-10-2-1-*.scen")):
        starts, _ = read_scenario(scenario, free, 500)
        assert len(starts) == 500
    free = read_map(DATA / "random-32-32-20.map")
    assert len(read_scenario(DATA / "random-32-32-20-random-1.scen", free)[0]) == 409
