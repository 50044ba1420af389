"""What the comparison of ``"auto"`` with fixed chunks makes of its measurements."""

import io
import json
import sys
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from autofit.non_linear.search.nest.nss._seconds_left import SecondsLeft
from autofit.non_linear.search.nest.nss._steps import TunedStep
from autofit.non_linear.search.nest.nss._tuning import Tuner
from benchmarks.auto import command
from benchmarks.auto.figures import figures, tuning_seconds
from benchmarks.auto.worker import Size, Turn, _Turns
from benchmarks.fresh_process import Worker

SMALL = Size(n_live=64, num_delete=8, moves=3)


def a_round(auto, fixed, seconds=10.0, is_searching=False):
    """Turns at those speeds; those of fixed chunks take a second."""
    turns = {chunk: Turn(1.0, rate, rate, False) for chunk, rate in fixed.items()}
    useful = round(seconds * auto)
    return {"auto": Turn(seconds, useful, useful, is_searching), **turns}


def test_auto_is_held_against_the_fastest_chunk_over_all_of_the_time():
    rounds = [a_round(78, {"1": 50, "2": 80}), a_round(74, {"1": 82, "2": 80})]
    found = figures(rounds, n_live=100, planning_seconds=4.0, init_seconds=1.0)
    assert found.per_second == pytest.approx({"1": 66.0, "2": 80.0, "auto": 76.0})
    assert found.best == "2"
    assert found.whole_per_second == pytest.approx((100 + 780 + 740) / 25)
    assert found.share_of_best == pytest.approx(found.whole_per_second / 80)
    assert (found.tuning_seconds, found.cost_share) == (0.0, pytest.approx(4 / 25))


def test_a_round_that_a_chunk_missed_does_not_count_for_it():
    rounds = [a_round(80, {"1": 50, "2": 80}), a_round(80, {"1": 50})]
    assert figures(rounds, 0, 0.0, 0.0).per_second["2"] == pytest.approx(80)


def test_tuning_is_what_a_search_cost():
    # as fast as chunk 1, but for 20 seconds at 60 % of that
    rounds = [a_round(100, {"1": 100}), *2 * [a_round(60, {"1": 100}, is_searching=True)]]
    rounds += 3 * [a_round(100, {"1": 100})]
    assert tuning_seconds(rounds, "1") == pytest.approx(8.0)


def test_a_machine_that_was_slow_meanwhile_does_not_make_a_search_dear():
    rounds = [a_round(30, {"1": 50}, is_searching=True), a_round(120, {"1": 100})]
    assert tuning_seconds(rounds, "1") == pytest.approx(10 * (1 - 0.6 / 1.2))
    rounds = [a_round(60, {"1": 50}, is_searching=True), a_round(120, {"1": 100})]
    assert tuning_seconds(rounds, "1") == pytest.approx(0.0)


def test_tuning_where_nothing_was_searched_for_or_the_search_did_not_end():
    rounds = [a_round(100, {"1": 100})]
    assert tuning_seconds(rounds, "1") == 0.0
    rounds.append(a_round(100, {"1": 100}, is_searching=True))
    assert tuning_seconds(rounds, "1") is None
    assert figures(rounds, 0, 1.0, 1.0).cost_share is None


def test_a_cell_is_sampled_in_turns_until_the_time_of_auto_is_up(capsys):
    row = command.compare("mge:small", [4], 1.0, (0.4, 0.2), SMALL)
    assert row["complaints"] == {}
    assert len(row["rounds"]) >= 2
    own = [each["auto"] for each in row["rounds"]]
    assert sum(turn["seconds"] for turn in own) >= 1.0
    assert all(turn["useful"] > 0 for each in row["rounds"][:-1] for turn in each.values())
    assert row["ended"] == "max_seconds" and row["best"] == "4"
    assert (row["n_live"], row["num_delete"], row["moves"]) == (64, 8, 3)
    assert f"= {row['share_of_best']:.3f} of chunk 4" in capsys.readouterr().out


def test_a_chunk_that_does_not_work_is_said_and_the_others_go_on(monkeypatch, capsys):
    def worker(stack, cell, chunk, seconds, size):
        arguments = (cell, "none" if chunk == "2" else chunk, str(seconds), *map(str, size))
        return stack.enter_context(Worker("benchmarks.auto.worker", *arguments))

    monkeypatch.setattr(command, "_worker", worker)
    row = command.compare("mge:small", [2, 4], 0.5, (0.3, 0.2), SMALL)
    assert row["best"] == "4" and [*row["complaints"]] == ["2"]
    assert "chunk_size" in row["complaints"]["2"]
    assert row["complaints"]["2"] in capsys.readouterr().out


def test_a_search_is_known_by_what_the_progress_line_says_of_it(monkeypatch):
    """A turn has it from the sampler's own words, and does not end while the compiler works."""
    tuner = Tuner([2, 4], 2, 0.0)
    program = SimpleNamespace(lowered=[], refused=[], chunk_size=2)
    plan = SimpleNamespace(remembered=lambda name: None)
    step = TunedStep(program, plan, tuner, SecondsLeft(-3.0), lambda: None)
    run = SimpleNamespace(useful_evaluations=0, total_evaluations=0)

    def searching(seconds):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{seconds}\n60\n"))
        turns = _Turns(run, is_fixed=False)
        turns(run, step.note)
        return turns.turn(run)["is_searching"]

    assert not searching(60)
    tuner.observe(2, 1, 1.0)
    assert tuner.wanted(1e9, 1e9) == 4
    step._compiling = Future()
    assert searching(0)  # another turn would begin without a search
    step._compiling = None
    tuner.compiled(0.0)
    assert searching(60)


def test_a_worker_that_does_not_answer_is_ended():
    with Worker("benchmarks.auto.worker", "mge:small", "4", "1.0", *map(str, SMALL)) as worker:
        assert worker.answer(0.01) is None
        assert worker.complaint == "no answer within 0 s"


def test_a_cell_is_added_to_those_there_are(tmp_path, monkeypatch):
    def compare(cell, chunks, seconds, turn_seconds, size):
        return {"cell": cell, "asked": [chunks, seconds, [*turn_seconds], size.n_live]}

    monkeypatch.setattr(command, "compare", compare)
    path = tmp_path / "auto.json"
    for cells in ("demo,mge:small", "mge:euclid,demo"):
        arguments = ["auto", "--cells", cells, "--chunks", "1,2", "--output", str(path)]
        monkeypatch.setattr(sys, "argv", arguments)
        command.main()
    cells = json.loads(path.read_text())["cells"]
    assert [row["cell"] for row in cells] == ["mge:small", "mge:euclid", "demo"]
    assert all(row["asked"] == [[1, 2], 300.0, [10.0, 3.0], 1024] for row in cells)
    assert all(row["machine"]["platform"] == "cpu" for row in cells)
