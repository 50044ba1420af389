"""The comparison of samplers: its problems' truths, small fits by each, what it writes."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.special import logsumexp

from benchmarks.machine import machine
from benchmarks.samplers.command import run_job
from benchmarks.samplers.outcome import kish, moments
from benchmarks.samplers.problems import PROBLEMS, correlated, rosenbrock, shells
from benchmarks.samplers.records import Job
from benchmarks.samplers.report import log_ticks, tables
from benchmarks.samplers.result import Result
from benchmarks.samplers.runs import SAMPLERS
from benchmarks.samplers.settings import SETTINGS, Settings

ROOT = Path(__file__).parents[2]
SMALL = Settings(n_live=100, n_live_nautilus=500, num_delete=20, n_eff=500)


def job(sampler, settings=SMALL, timeout=100):
    return Job(
        problem="gaussian-5d", sampler=sampler, seeds=(1,), settings=settings, timeout=timeout
    )


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch):
    """Where `python -m benchmarks.…` finds its modules."""
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("problem", (correlated(2), shells(2), rosenbrock(1)), ids=lambda p: p.name)
def test_truths_are_the_integrals_of_the_likelihoods(problem):
    side = 1_200
    ticks = (np.arange(side) + 0.5) / side
    points = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    values = jax.jit(jax.vmap(problem.log_likelihood))(points)
    assert problem.log_evidence == pytest.approx(logsumexp(values) - 2 * np.log(side), abs=2e-4)


@pytest.mark.parametrize(("n_dim", "published"), ((2, -1.75), (5, -5.67), (10, -14.59)))
def test_evidence_of_the_shells_is_the_published_one(n_dim, published):
    assert shells(n_dim).log_evidence == pytest.approx(published, abs=0.005)


def test_independent_pairs_multiply_their_evidence():
    assert rosenbrock(3).log_evidence == pytest.approx(3 * rosenbrock(1).log_evidence)


def test_kish_counts_equal_weights_and_ignores_their_scale():
    assert kish(np.full(7, -1e4)) == pytest.approx(7)
    assert kish(np.log([0.5, 0.25, 0.25])) == pytest.approx(1 / (0.25 + 0.125))


def test_moments_are_those_of_repeated_points():
    points = np.array([[0.0, 1.0], [2.0, 4.0]])
    mean, deviation = moments(points, np.log([3.0, 1.0]))
    repeated = points[[0, 0, 0, 1]]
    np.testing.assert_allclose(mean, repeated.mean(axis=0))
    np.testing.assert_allclose(deviation, repeated.std(axis=0))


def test_every_sampler_says_its_settings():
    assert set(SETTINGS) == set(SAMPLERS)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_small_fit_finds_the_evidence(sampler):
    if sampler in ("nautilus", "dynesty", "jaxns") and find_spec(sampler) is None:
        pytest.skip(f"{sampler} is not installed")
    (fit,), complaint = run_job(job(sampler, timeout=300))
    assert complaint == ""
    outcome = fit.outcome
    assert abs(fit.pull) < 4
    assert abs(fit.error) < 1.5
    assert outcome.sampling_seconds > 0
    assert outcome.other_seconds >= 0
    np.testing.assert_allclose(outcome.posterior_mean, 0.5, atol=0.03)
    np.testing.assert_allclose(outcome.posterior_deviation, 0.1, rtol=0.2)
    assert 100 < outcome.effective_sample_size < outcome.useful_evaluations
    if sampler in ("af.NSS auto", "af.NSS no chunks", "blackjax.nss"):
        share = outcome.useful_evaluations / outcome.total_evaluations
        assert 0.35 < share < 1  # lockstep wastes about half, nothing can be above 1
    [table] = tables([fit])
    assert table.row_count == 1


def test_a_file_of_before_an_option_was_there_was_measured_with_its_default(tmp_path):
    def result(**settings):
        return Result(machine=[machine()], settings=Settings(**settings).model_dump())

    old = result()
    del old.settings["n_live_nautilus"]
    (tmp_path / "old.json").write_text(old.model_dump_json())
    assert len(result().going_on_from(tmp_path / "old.json").machine) == 2
    with pytest.raises(ValueError, match="n_live_nautilus"):
        result(n_live_nautilus=500).going_on_from(tmp_path / "old.json")


def test_a_failure_is_passed_on():
    fits, complaint = run_job(job("af.NSS auto", settings=Settings(n_live=10, num_delete=50)))
    assert fits == []
    assert "num_delete=50 of n_live=10" in complaint


@pytest.mark.skipif(find_spec("dynesty") is None, reason="dynesty is not installed")
def test_the_command_writes_figures_and_a_picture_and_goes_on_from_them(tmp_path):
    output = tmp_path / "samplers.json"
    arguments = ["--only", "dynesty on gaussian-5d", "--n-live", "50", "--output", str(output)]
    command = [sys.executable, "-m", "benchmarks.samplers", *arguments]
    printed = run([*command, "--seeds", "1"])
    assert "dynesty on gaussian-5d, 1 of 1 fits" in printed
    assert "n_live=50" in printed
    [first] = json.loads(output.read_text())["fits"]
    assert "dynesty on gaussian-5d, 1 of 1 fits" in run([*command, "--seeds", "2"])
    result = json.loads(output.read_text())
    assert result["fits"][0] == first
    assert [(fit["sampler"], fit["seed"]) for fit in result["fits"]] == [
        ("dynesty", 1),
        ("dynesty", 2),
    ]
    for fit in result["fits"]:
        outcome = fit["outcome"]
        error = outcome["log_evidence"] - PROBLEMS["gaussian-5d"]().log_evidence
        assert fit["error"] == pytest.approx(error)
        assert fit["pull"] == pytest.approx(error / outcome["log_evidence_error"])
        assert abs(fit["pull"]) < 4
    assert result["missing"] == []
    assert result["settings"]["n_live"] == 50
    assert all(each["versions"]["dynesty"] for each in result["machine"])
    assert [each["command"][-9:] for each in result["machine"]] == ["--seeds 1", "--seeds 2"]
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def run(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (130_000.0, 410_000.0, [150_000, 200_000, 300_000]),
        (1.0, 1000.0, [1, 10, 100, 1000]),
        (0.04, 60.0, [0.1, 1, 10]),
        (1e-3, 1e4, [10.0**k for k in range(-3, 5)]),  # no fewer are round
    ],
)
def test_ticks_are_round_and_few(low, high, ticks):
    assert log_ticks(low, high) == pytest.approx(ticks)
