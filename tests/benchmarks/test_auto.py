"""What the comparison of ``"auto"`` with fixed chunks makes of its measurements."""

import json
import sys

import pytest

from benchmarks import auto


def test_tuning_is_what_a_search_cost():
    # 100/s but for the 15 seconds of the search, its deciding call included, which were at 60/s
    history = [(5.0, 1000, ""), (10.0, 1300, "chunk 1 or 2?"), (15.0, 1600, "chunk 2 or 4?")]
    history += [(20.0, 1900, "chunk 2"), (65.0, 6400, "chunk 2")]
    assert auto.tuning_seconds(history) == pytest.approx(6.0)


def test_tuning_where_nothing_was_searched_for_or_the_search_did_not_end():
    assert auto.tuning_seconds([(1.0, 10, ""), (2.0, 20, "chunk 4")]) == 0.0
    undecided = [(1.0, 10, ""), (2.0, 20, "chunk 4 or 8?")]
    assert auto.tuning_seconds(undecided) is None
    assert auto.tuning_seconds([*undecided, (3.0, 30, "chunk 4")]) is None


def measured(cell, chunk_size, seconds, size):
    """In the place of a fresh process; a chunk of 4 does not work."""
    if chunk_size == 4:
        return {"complaint": "ended with 1"}
    row = {"chunk_size": chunk_size, "per_second": {1: 50.0, 2: 80.0, "auto": 78.0}[chunk_size]}
    if chunk_size == "auto":
        trials = [{"chunk_size": 2, "evaluations_per_second": 80.0, "calls": 3}]
        row |= {"started_at": 1, "useful": 7_300, "wall_seconds": 100.0, "planning_seconds": 2.0}
        row |= {"tuning_seconds": 3.0, "trials": trials}
    return row


@pytest.fixture
def faked(monkeypatch):
    monkeypatch.setattr(auto, "in_fresh_process", measured)


def test_auto_is_held_against_the_best_chunk_that_works(faked, capsys):
    row = auto.compare("demo", [1, 2, 4], 100.0, 10.0, size=auto.Size(n_live=100))
    assert row["fixed_per_second"] == {1: [50.0, 50.0], 2: [80.0, 80.0]}
    assert row["share_of_best"] == pytest.approx(7_400 / 100 / 80)
    assert [each["chunk_size"] for each in row["fixed"]] == [1, 2, 4, 1, 2, 4]
    assert "74.0/s in all = 0.93" in (said := capsys.readouterr().out)
    assert "chunk    4 ended with 1" in said


def test_a_cell_is_added_to_those_there_are(faked, tmp_path, monkeypatch):
    path = tmp_path / "auto.json"
    for cells in ("demo,mge:small", "mge:euclid,demo"):
        arguments = ["auto", "--cells", cells, "--chunks", "1,2", "--output", str(path)]
        monkeypatch.setattr(sys, "argv", arguments)
        auto.main()
    cells = json.loads(path.read_text())["cells"]
    assert [row["cell"] for row in cells] == ["mge:small", "mge:euclid", "demo"]
    assert all(row["machine"]["platform"] == "cpu" for row in cells)


def test_a_cell_is_sampled_until_its_time_is_up():
    row = auto.sampled("mge:small", 4, 1.0, auto.Size(n_live=64, num_delete=8, moves=3))
    assert row["useful"] > 0
    assert row["sampling_seconds"] >= 1.0
    assert row["per_second"] == pytest.approx(row["useful"] / row["sampling_seconds"])
    assert row["tuning_seconds"] == 0.0
    assert (row["trials"], row["started_at"]) == ([], 4)
    assert (row["n_live"], row["num_delete"], row["moves"]) == (64, 8, 3)
