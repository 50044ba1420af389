"""What `python -m benchmarks.gpu` does: its parts on a CPU at tiny sizes, its time and its end."""

import json
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from rich.console import Console

from benchmarks.fresh_process import lines_from
from benchmarks.gpu import budget as gpu_budget
from benchmarks.gpu import busy as gpu_busy
from benchmarks.gpu import card as gpu_card
from benchmarks.gpu import command as gpu
from benchmarks.gpu import peaks as gpu_peaks
from benchmarks.sweep.command import Sizes, spec_of

ROOT = Path(__file__).parents[2]
SMALL = spec_of("pixelization", "small")
TINY = Sizes(num_delete=4, num_inner_steps=1, seconds=0.0, timeout=200.0)
QUIET = Console(quiet=True)
H100 = "NVIDIA H100 80GB HBM3, 580.159.04, 81559, 0, 81079"


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch):
    """Where `python -m benchmarks.…` finds its modules."""
    monkeypatch.chdir(ROOT)


def seconds_left():
    return 200.0


def test_the_process_that_waits_starts_no_device():
    """On a GPU it would hold three quarters of the memory that others are to be measured in."""
    code = "import benchmarks.gpu.command; from jax._src import xla_bridge as bridge; "
    code += "print(bridge.backends_are_initialized())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_budgets_are_read_with_and_without_preallocation():
    rows = gpu_budget.budgets(seconds_left)
    assert list(rows) == ["preallocate true", "preallocate false"]
    for moments in rows.values():
        for reading in moments.values():
            assert 0 < reading["budget"]["limit_bytes"] < psutil.virtual_memory().total
    assert gpu_budget.table(rows).row_count == 4


def test_the_other_process_holds_what_it_says_and_lets_go():
    wanted, before = 200 * 2**20, set(psutil.Process().children())
    with gpu_busy.holding(wanted) as held:
        assert held == wanted
        [child] = set(psutil.Process().children()) - before
        assert child.memory_info().rss > wanted
    assert not child.is_running()


def test_a_process_that_cannot_hold_it_is_an_error():
    with pytest.raises(RuntimeError, match="could not be had"), gpu_busy.holding(-4):
        pass


def test_a_process_that_does_not_let_go_is_ended(tmp_path, monkeypatch):
    stubborn = tmp_path / "python"
    stubborn.write_text("#!/bin/sh\necho '{\"held_bytes\": 7}'\nexec sleep 60\n")
    stubborn.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stubborn))
    monkeypatch.setattr(gpu_busy, "_SECONDS_TO_END", 0.1)
    with gpu_busy.holding() as held:
        start = time.perf_counter()
    assert held == 7
    assert time.perf_counter() - start < 30


def test_a_fit_on_a_crowded_card_takes_only_what_it_needs(monkeypatch):
    """As the notes of a plan advise there; the process that holds the rest does not."""
    seen = []

    def lines_from(*arguments, environment, **_):
        seen.append(environment["XLA_PYTHON_CLIENT_PREALLOCATE"])
        return [], "late"

    card = gpu_card.parsed("NVIDIA H100 80GB HBM3, 580.159.04, 81559, 73403, 7676")
    monkeypatch.setattr(gpu_busy, "lines_from", lines_from)
    monkeypatch.setattr(gpu_busy, "holding", lambda n_bytes: nullcontext(73_000_000_000))
    monkeypatch.setattr(gpu_busy, "nvidia_smi", lambda: card)
    rows = gpu_busy.busy_fits(seconds_left)
    assert seen == ["false", "false"]
    assert all(row["environment"] == {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} for row in rows)
    shown = gpu_busy.table(rows)
    assert list(shown.columns[2].cells) == ["7.5 GiB", "7.5 GiB"]
    assert shown.title.endswith("with XLA_PYTHON_CLIENT_PREALLOCATE=false")


def test_a_fit_beside_it_is_planned_and_made():
    job = gpu_busy.Fit(spec=SMALL, n_live=20, num_delete=4, num_inner_steps=1, max_iterations=2)
    [row] = gpu_busy.busy_fits(seconds_left, (job,), n_bytes=2**20)
    assert row["held_bytes"] == 2**20
    assert [(each["name"], each["n"]) for each in row["programs"]] == [("init", 20), ("step", 4)]
    assert row["ended"] == "max_iterations"
    assert row["total_samples"] == 20 + 2 * 4
    assert np.isfinite(row["log_evidence"])
    assert gpu_busy.table([row]).row_count == 1


def test_a_step_is_also_predicted_for_a_gpu_that_is_not_here():
    [found] = gpu_peaks.cell_peaks(
        seconds_left, ("pixelization",), ("small",), [2], TINY, target="a100-sxm-80gb"
    )
    assert found.measured_bytes > 0
    assert found.useful_per_second is None  # others may run at the same time
    if find_spec("jax_plugins.xla_cuda12") is None:
        assert "no prediction without the GPU" in found.note
    else:
        assert found.note == ""
        assert found.target_footprint.argument_bytes == found.footprint.argument_bytes
        assert found.target_footprint.temp_bytes != found.footprint.temp_bytes


def test_every_cell_begins_at_once(monkeypatch):
    """The last one would have no time left otherwise."""
    together = Barrier(2 * len(gpu_peaks.CELLS))

    def begin(*arguments):
        together.wait(timeout=20)
        return []

    monkeypatch.setattr(gpu_peaks, "sweep", begin)
    assert gpu_peaks.cell_peaks(seconds_left) == []


def test_a_batch_has_the_figures_that_the_planner_is_held_to():
    committed = json.loads((ROOT / "benchmarks/results/gpu-h100.json").read_text())["peaks"][0]
    lines, why = lines_from("benchmarks.gpu.peaks", "cholesky-512", "16", timeout=200)
    assert why == ""
    row = json.loads(lines[-1])
    assert set(committed) - {"in_use_before"} <= set(row)
    assert row["predicted_bytes"] == pytest.approx(row["measured_bytes"], rel=0.2)
    assert row["finite"]


def test_spare_lanes_are_compared_with_none():
    alone, spare = gpu.look_ahead(seconds_left, SMALL, [4, 8], TINY)
    assert (alone.case.chunk_size, spare.case.chunk_size) == (4, 8)
    assert spare.first_log_evidence == pytest.approx(alone.first_log_evidence, abs=1e-9)
    assert spare.total / spare.case.chunk_size < alone.total / alone.case.chunk_size  # ticks


def test_a_part_without_time_says_so_and_can_be_shown_and_written():
    part = gpu.PARTS["c"]
    rows, is_well = gpu.measured(part, lambda: 0.0, QUIET)
    assert not is_well
    assert [row["case"]["scheduler"] for row in rows][:4] == ["lanes", "lanes", "upstream", "map"]
    assert {row["note"] for row in rows} == {"no start: not begun: no time was left"}
    assert json.loads(json.dumps(rows)) == rows


def test_a_part_that_fails_does_not_take_the_others_along():
    def fail(seconds_left):
        raise OSError("no such card")

    part = gpu.Part(1.0, fail, lambda result: [])
    assert gpu.measured(part, seconds_left, QUIET) == ({"error": "OSError: no such card"}, False)


def test_what_was_measured_is_kept_where_it_cannot_be_shown():
    def fail(result):
        raise ValueError("[/red] closes nothing")

    part = gpu.Part(1.0, lambda seconds_left: [7], fail)
    assert gpu.measured(part, seconds_left, QUIET) == ([7], False)


def test_what_cannot_be_written_is_an_error_of_its_part():
    part = gpu.Part(1.0, lambda seconds_left: [{7}], lambda result: [])
    (error, is_well) = gpu.measured(part, seconds_left, QUIET)
    assert error["error"].startswith("AttributeError")
    assert not is_well


@pytest.mark.parametrize(
    ("result", "is_well"),
    [
        ([], False),
        ([{"error": "late"}, {"error": "late"}], False),
        ([{"error": "late"}, {"seconds": 1.0}], True),
        ({"preallocate true": {"error": "late"}}, False),
        ({"preallocate true": {"before": {}}}, True),
        ([{"case": {}, "measured_bytes": None}], False),
        ([{"case": {}, "measured_bytes": 7}], True),
    ],
)
def test_a_part_is_well_if_anything_was_measured(result, is_well):
    part = gpu.Part(1.0, lambda seconds_left: result, lambda result: [])
    assert gpu.measured(part, seconds_left, QUIET) == (result, is_well)


@pytest.fixture
def clock(monkeypatch, tmp_path):
    """`main` with a card on which everything takes all the time it may, on a clock of its own."""
    now = SimpleNamespace(seconds=0.0, given={}, result=[{"seconds": 1.0}])

    def late(result, seconds):
        now.seconds += seconds
        return result

    def measure(name, seconds_left):
        now.given[name] = seconds_left()
        return late(now.result, now.given[name])

    card, here = gpu_card.parsed(H100), {"platform": "gpu"}
    monkeypatch.setattr(gpu, "time", SimpleNamespace(perf_counter=lambda: now.seconds))
    monkeypatch.setattr(gpu_card, "for_all", lambda given: {})
    monkeypatch.setattr(gpu_card, "nvidia_smi", lambda: late(card, gpu_card.SMI_SECONDS))
    monkeypatch.setattr(gpu, "machine_elsewhere", lambda timeout: late(here, timeout))
    for name, part in gpu.PARTS.items():
        fake = part._replace(measure=partial(measure, name), show=lambda _: [])
        monkeypatch.setitem(gpu.PARTS, name, fake)
    monkeypatch.setattr(sys, "argv", ["gpu", "--output", str(tmp_path / "gpu.json")])
    return now


def test_the_whole_takes_less_than_eight_minutes_where_everything_takes_all_it_may(clock):
    gpu.main()
    assert clock.given == pytest.approx({name: gpu.PARTS[name].seconds for name in clock.given})
    assert list(clock.given) == ["a", "d", "b", "c"]  # of the last two, cases can be missing
    assert clock.seconds <= 8 * 60 - 10  # which are for imports, and for processes to end


def test_parts_of_which_nothing_was_measured_fail_after_all_were_tried(clock, tmp_path):
    clock.result = [{"error": "late"}]
    with pytest.raises(SystemExit, match="nothing was measured: part a, d, b, c"):
        gpu.main()
    assert json.loads((tmp_path / "gpu.json").read_text())["parts"]["c"] == clock.result
