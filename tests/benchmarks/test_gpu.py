"""What `python -m benchmarks.gpu` does, on a CPU: its parts at tiny sizes, and without a GPU."""

import json
import os
import subprocess
import sys
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


@pytest.mark.skipif(gpu_budget.has_device_file(), reason="there is a GPU")
def test_without_a_gpu_it_is_skipped(tmp_path):
    output = tmp_path / "gpu.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--output", str(output)],
        env=os.environ | {"PATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "skipped: no NVIDIA GPU here\n"
    assert not output.exists()


def test_the_process_that_waits_starts_no_device():
    """On a GPU it would hold three quarters of the memory that others are to be measured in."""
    code = "import benchmarks.gpu.command; from jax._src import xla_bridge as bridge; "
    code += "print(bridge.backends_are_initialized())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_nvidia_smi_is_read_as_bytes():
    card = gpu_budget.parsed(H100)
    assert card == {
        "name": "NVIDIA H100 80GB HBM3",
        "driver_version": "580.159.04",
        "memory_total_bytes": 81559 * 2**20,
        "memory_used_bytes": 0,
        "memory_free_bytes": 81079 * 2**20,
    }


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
    rows = gpu.measured(part, lambda: 0.0, QUIET)
    assert [row["case"]["scheduler"] for row in rows][:4] == ["lanes", "lanes", "upstream", "map"]
    assert {row["note"] for row in rows} == {"no start: not begun: no time was left"}
    assert json.loads(json.dumps(rows)) == rows


def test_a_part_that_fails_does_not_take_the_others_along():
    def fail(seconds_left):
        raise OSError("no such card")

    part = gpu.Part(1.0, fail, lambda result: [])
    assert gpu.measured(part, seconds_left, QUIET) == {"error": "OSError: no such card"}


def test_what_was_measured_is_kept_where_it_cannot_be_shown():
    def fail(result):
        raise ValueError("[/red] closes nothing")

    part = gpu.Part(1.0, lambda seconds_left: [7], fail)
    assert gpu.measured(part, seconds_left, QUIET) == [7]


def test_with_a_gpu_that_jax_does_not_use_it_is_skipped(tmp_path):
    there = tmp_path / "nvidia-smi"
    there.write_text(f"#!/bin/sh\necho '{H100}'\n")
    there.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--output", str(tmp_path / "gpu.json")],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "JAX_PLATFORMS": "cpu"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "skipped: there is an NVIDIA GPU, but JAX runs on cpu here\n"


def test_with_a_gpu_on_which_jax_does_not_start_it_fails(tmp_path, monkeypatch):
    """A card that nothing came of is not "skipped"; it counts though `nvidia-smi` is missing."""
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(gpu_budget, "_DEVICES", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAX_PLATFORMS", "none_such")
    monkeypatch.setattr(sys, "argv", ["gpu", "--output", str(tmp_path / "gpu.json")])
    with pytest.raises(SystemExit) as end:
        gpu.main()
    assert end.value.code == 1


def test_the_whole_takes_less_than_eight_minutes_where_everything_takes_all_it_may(
    monkeypatch, tmp_path
):
    now, lefts = [0.0], []

    def late(result, seconds):
        now[0] += seconds
        return result

    def measure(seconds_left):
        lefts.append(seconds_left())
        return late([], lefts[-1])

    card, here = gpu_budget.parsed(H100), {"platform": "gpu"}
    monkeypatch.setattr(gpu, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(gpu_budget, "nvidia_smi", lambda: late(card, gpu_budget.SMI_SECONDS))
    monkeypatch.setattr(gpu, "machine_elsewhere", lambda timeout: late(here, timeout))
    for name, part in gpu.PARTS.items():
        monkeypatch.setitem(gpu.PARTS, name, part._replace(measure=measure, show=lambda _: []))
    monkeypatch.setattr(sys, "argv", ["gpu", "--output", str(tmp_path / "gpu.json")])

    gpu.main()

    assert lefts == pytest.approx([gpu.PARTS[name].seconds for name in gpu.DEFAULT.split(",")])
    assert now[0] <= 8 * 60 - 10  # which are for imports, and for processes to end
