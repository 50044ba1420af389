"""Costs of a step, and one long fit watched from outside."""

import json
import sys

import numpy as np
import pytest

from benchmarks import scaling
from benchmarks.long_run import LongRun, Moment, watch
from benchmarks.scaling import measure


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch, pytestconfig):
    """Where `python -m benchmarks.…` finds its modules."""
    monkeypatch.chdir(pytestconfig.rootpath)


def straight(seconds, resident, n=41) -> LongRun:
    """A run with functions of the iteration for its clock and its memory."""
    iterations = np.linspace(0, 4_000, n).astype(int)
    moments = [
        Moment(iterations=i, seconds=seconds(i), dead_bytes=80 * i, resident_bytes=resident(i))
        for i in iterations
    ]
    return LongRun(n_dim=5, n_live=9, num_delete=1, moments=tuple(moments), peak_bytes=1)


def test_a_flat_run_is_called_flat_and_a_growing_one_growing():
    flat = straight(lambda i: 0.01 * i, lambda i: 10**8)
    assert flat.slowdown == pytest.approx(1)
    assert flat.growth == pytest.approx(0, abs=1e-3)
    assert flat.dead_growth == pytest.approx(80)
    worse = straight(lambda i: 1e-6 * i**2, lambda i: 10**8 + 300 * int(i))
    # the clock's slope at the middles of the quarters: 3,500 against 1,500
    assert worse.slowdown == pytest.approx(3_500 / 1_500)
    assert worse.growth == pytest.approx(300)


def test_lanes_cost_less_evaluations_than_they_compute_and_chains_do_not_depend_on_them():
    few, many = (measure("chunk", n_live=100, chunk_size=n, iterations=2) for n in (5, 50))
    assert few.useful_per_iteration == many.useful_per_iteration
    for cost in (few, many):
        assert 0.5 < cost.useful_per_iteration / cost.total_per_iteration < 1
        assert 2 * cost.total_per_iteration % cost.chunk_size == 0
        assert cost.num_inner_steps == 10
        # each move evaluates at least two ends and one point
        assert cost.useful_per_iteration > 2 * cost.num_inner_steps * cost.num_delete
    assert few.temp_bytes < many.temp_bytes


@pytest.fixture(scope="module")
def short_run():
    return watch(300, timeout=200)


def test_a_fit_is_watched_to_its_end(short_run):
    iterations = [moment.iterations for moment in short_run.moments]
    assert iterations == sorted(set(iterations))
    assert iterations[-1] == 300
    per_point = 8 * (short_run.n_dim + 3)  # position, log prior, log likelihood and its birth
    assert short_run.dead_growth == pytest.approx(per_point * short_run.num_delete)
    assert all(5e7 < moment.resident_bytes < 5e9 for moment in short_run.moments)
    assert short_run.peak_bytes >= short_run.moments[-1].resident_bytes
    assert 0.2 < short_run.slowdown < 5


def test_a_fit_that_takes_too_long_is_ended():
    with pytest.raises(RuntimeError, match=r"after 0 reports \(limit 0 s\)"):
        watch(100, timeout=0.3)


def test_the_command_writes_figures_and_a_picture(short_run, tmp_path, monkeypatch, capsys):
    output = tmp_path / "scaling.json"
    arguments = ["--only", "n_live|long", "--largest", "100", "--repeats", "1"]
    monkeypatch.setattr(sys, "argv", ["scaling", *arguments, "--output", str(output)])
    monkeypatch.setattr(scaling, "watch", lambda iterations, timeout: short_run)
    scaling.main()
    assert "one fit of 300 iterations" in capsys.readouterr().out
    result = json.loads(output.read_text())
    [cost] = result["costs"]
    assert (cost["sweep"], cost["n_live"]) == ("n_live", 100)
    assert (
        LongRun.model_validate({name: result["long_run"][name] for name in LongRun.model_fields})
        == short_run
    )
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
