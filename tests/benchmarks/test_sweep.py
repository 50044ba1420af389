"""The sweep of schedulers: its cases, its arithmetic, and real steps in processes of their own."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from autofit_memplan import Footprint
from benchmarks.fresh_process import lines_from
from benchmarks.schedulers import run
from benchmarks.sweep.case import run_step
from benchmarks.sweep.command import cases_of, num_inner_steps, spec_of, sweep
from benchmarks.sweep.records import COLD, Case, Outcome, Sizes
from benchmarks.sweep.report import draw, summary, table

ROOT = Path(__file__).parents[2]
SMALL = spec_of("pixelization", "small")
TINY = Sizes(num_delete=4, num_inner_steps=1, seconds=0.0, timeout=200.0)


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch):
    """Where `python -m benchmarks.…` finds its modules."""
    monkeypatch.chdir(ROOT)


def case(scheduler="lanes", chunk_size=4):
    [only] = [
        each
        for each in cases_of(SMALL, [chunk_size], [scheduler], Sizes())
        if each.chunk_size == chunk_size
    ]
    return only


def outcome(scheduler="lanes", chunk_size=4, grown_bytes=950, **figures):
    footprint = Footprint(
        argument_bytes=40,
        output_bytes=60,
        alias_bytes=0,
        temp_bytes=800,
        constant_bytes=10,
        scratch_bytes=90,
        compile_seconds=1.0,
    )
    of = case(scheduler, chunk_size)
    return Outcome(case=of, footprint=footprint, grown_bytes=grown_bytes, **figures)


def test_only_lanes_go_beyond_one_wave_and_upstream_has_one_size():
    made = cases_of(SMALL, [1, 9, 16, 32], ["upstream", "map", "lanes"], Sizes(num_delete=16))
    assert [(each.scheduler, each.chunk_size) for each in made] == [
        ("upstream", 16),
        ("map", 1),
        ("map", 8),  # 9 would be made as two waves of 8
        ("lanes", 1),
        ("lanes", 9),
        ("lanes", 16),
        ("lanes", 32),
    ]


def test_names_of_cells_are_those_of_their_factories():
    assert spec_of("mge", "hst") == "benchmarks.cells.mge:hst"
    assert spec_of("sparse-pixelization", "ao") == "benchmarks.cells.pixelization:sparse_ao"


@pytest.mark.parametrize(("call_seconds", "moves"), ((1e-3, 3), (0.08, 2), (0.15, 1), (5.0, 1)))
def test_heavy_calls_get_fewer_moves(call_seconds, moves):
    assert num_inner_steps(call_seconds, 16) == moves


def test_measured_and_predicted_are_on_the_same_footing():
    one = outcome(seconds=2.0, iterations=4, useful=30, total=60)
    assert one.predicted_bytes == 1_000  # 40 + 60 + 800 + 10 + 90
    assert one.measured_bytes == 1_000  # 950 above the arguments and constants
    assert one.predicted_over_measured == 1.0
    assert one.predicted_over_own is None
    assert one.model_copy(update={"own_grown_bytes": 750}).predicted_over_own == 1.25
    assert (one.useful_per_second, one.total_per_second) == (15.0, 30.0)
    assert one.iterations_per_second == 2.0
    assert one.noted("late").noted("").noted("again").note == "late; again"


def test_the_summary_counts_chunks_of_four_and_more():
    rows = [
        outcome(chunk_size=2, grown_bytes=2_000),
        outcome(chunk_size=4, grown_bytes=990),
        outcome(chunk_size=8, grown_bytes=1_100, own_grown_bytes=930),
        Outcome(case=case("upstream", 16), note="not done after 9 s"),
    ]
    text = summary(rows)
    assert "1 of 2 cases" in text
    assert "not pixelization:small lanes 8: predicted/measured 0.870, of 0.0 MiB; 1.020" in text
    assert "lanes 2:" not in text
    assert table(rows).row_count == 4


def test_the_summary_holds_a_gpu_to_what_a_plan_promises_there():
    """A plan holds back what libraries take at their first call, however small the step is."""
    one, workspaces = outcome(platform="gpu"), 128 * 2**20
    grown = [one.grown_bytes + more for more in (0, workspaces, workspaces + 1)]
    rows = [one.model_copy(update={"grown_bytes": n}) for n in grown]
    rows.append(outcome(platform="gpu", grown_bytes=None))
    assert "predicted + 128 MiB of workspaces: 2 of 3" in summary(rows)
    assert "workspaces" not in summary([outcome(platform="cpu")])


def test_the_summary_tells_chains_that_differ():
    rows = [outcome(first_log_evidence=-7.0), outcome("upstream", 16, first_log_evidence=-7.5)]
    assert "log Z after the first iteration within 5.0e-01 in 2 cases" in summary(rows)


def test_what_was_timed_cold_has_a_star():
    rows = [outcome(iterations=1, seconds=0.5, is_cold=is_cold) for is_cold in (False, True)]
    shown = table(rows)
    assert list(shown.columns[7].cells) == ["2", "2*"]
    assert shown.caption == "* timed without warming up: the first iteration"
    assert table(rows[:1]).caption is None


def test_what_an_older_file_notes_of_it_is_read():
    record = outcome(iterations=1).model_dump(exclude={"is_cold"})
    notes = ("", COLD, f"late; {COLD}; again")
    read = [Outcome.model_validate(record | {"note": note}) for note in notes]
    assert [(each.is_cold, each.note) for each in read] == [
        (False, ""),
        (True, ""),
        (True, "late; again"),
    ]


@pytest.mark.parametrize(
    ("seconds", "iterations"), ((0.5, [1, 10]), (9.0, [1, 1]), (59.0, [1, 1]), (61.0, [1]))
)
def test_a_step_is_timed_warm_if_it_takes_less_than_a_minute(seconds, iterations, monkeypatch):
    asked = []

    def run(executable, state, most):
        asked.append(most)
        figures = {"iterations": most, "useful": 3, "total": 4, "log_evidence": -7.0}
        return {"seconds": seconds * most, **figures}

    monkeypatch.setattr("benchmarks.sweep.case.run", run)
    *_, last = run_step(outcome(), None, None)
    assert asked == iterations
    assert last.iterations == iterations[-1]
    assert last.is_cold == (len(iterations) == 1)


def test_a_timed_run_that_fails_costs_only_the_timing(monkeypatch):
    results = [{"seconds": 0.5, "log_evidence": -7.0}]

    def run(*arguments):
        if not results:
            raise RuntimeError("RESOURCE_EXHAUSTED: so many bytes\nand more")
        return results.pop()

    monkeypatch.setattr("benchmarks.sweep.case.run", run)
    before, after = run_step(outcome(grown_bytes=None), None, None)
    assert (before.note, after.note) == ("", "failed: RESOURCE_EXHAUSTED: so many bytes")
    for each in (before, after):
        assert each.grown_bytes is not None and each.own_grown_bytes is not None
        assert each.first_log_evidence == -7.0
        assert each.iterations is None


@pytest.mark.parametrize("grown_bytes", [None, 950])
def test_a_picture_is_drawn_of_cells_that_were_not_run(tmp_path, grown_bytes):
    """Where one chunk does not fit, there is its prediction and nothing else."""
    found = [outcome("upstream", 16, None), outcome("lanes", 1, grown_bytes)]
    draw(found, tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").stat().st_size > 10_000


def test_a_process_that_is_late_or_fails_is_said_to_be():
    assert lines_from("timeit", timeout=0) == ([], "not begun: no time was left")
    assert lines_from("timeit", "import time; time.sleep(9)", timeout=0.5) == (
        [],
        "not done after 0 s",
    )
    lines, why = lines_from("timeit", "-s", "raise ValueError('so')", timeout=60)
    assert lines == []
    assert why == "ValueError: so"


def test_without_live_points_every_case_says_why():
    found = list(sweep(["benchmarks.cells.mge:none"], [2], ["upstream", "lanes"], TINY))
    assert len(found) == 2
    assert all("no 'none'" in each.note and each.footprint is None for each in found)


def test_what_cannot_fit_is_predicted_and_not_run():
    sizes = TINY.model_copy(update={"limit": "5 MiB"})
    [found] = sweep([SMALL], [2], ["lanes"], sizes)
    assert found.note == "not run: the budget is 5.0 MiB"
    assert found.predicted_bytes > 5 * 2**20 == found.budget_bytes
    assert found.measured_bytes is None
    assert found.iterations is None


def test_where_not_even_one_call_fits_every_case_is_predicted():
    sizes = TINY.model_copy(update={"limit": "100 KiB"})
    [found] = sweep([SMALL], [2], ["lanes"], sizes)
    assert found.note.startswith(
        "not run: the budget is 100.0 KiB; no start: MemoryError: one call"
    )
    assert found.predicted_bytes > found.budget_bytes
    assert found.measured_bytes is None


def test_a_step_that_cannot_go_on_is_an_error_and_no_endless_loop():
    stuck = SimpleNamespace(rng_key=0, state=0, is_converged=False, iterations=0)
    with pytest.raises(RuntimeError, match="no iteration after 0"):
        run(lambda *_: stuck, None, 5)


def test_the_command_runs_all_schedulers_on_the_same_chains(tmp_path):
    output = tmp_path / "sweep.json"
    command = [sys.executable, "-m", "benchmarks.sweep", "--cells", "pixelization"]
    command += ["--instruments", "small", "--schedulers", "upstream,map,lanes"]
    command += ["--chunks", "2", "--num-delete", "4", "--num-inner-steps", "1", "--seconds", "0.2"]
    done = subprocess.run(
        [*command, "--output", str(output)], check=True, capture_output=True, text=True
    )
    assert "steps of nested sampling" in done.stdout
    result = json.loads(output.read_text())
    upstream, waves, lanes = (Outcome.model_validate(each) for each in result["cases"])
    assert (upstream.case.scheduler, upstream.case.chunk_size) == ("upstream", 4)
    assert (waves.case.scheduler, waves.case.chunk_size) == ("map", 2)
    assert (lanes.case.scheduler, lanes.case.chunk_size) == ("lanes", 2)
    for each in (waves, lanes):
        # upstream's step is blackjax's own: the others must make the same chains
        assert each.first_log_evidence == pytest.approx(upstream.first_log_evidence, abs=1e-9)
        assert each.predicted_bytes < upstream.predicted_bytes
    for each in (upstream, waves, lanes):
        assert each.note == ""
        assert 0 < each.useful <= each.total
        assert each.seconds > 0
        # of so small a step a library's own buffers are a large share
        assert abs(each.predicted_bytes - each.measured_bytes) < 10 * 2**20
    assert result["sizes"]["n_live"] == 16
    [machine] = result["machine"]
    assert machine["versions"]["jax"]
    assert "--num-delete 4" in machine["command"]
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_a_case_goes_to_a_process_as_json():
    one = case()
    assert Case.model_validate_json(one.model_dump_json()) == one
