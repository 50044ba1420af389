"""A whole fit: output, reload, counts of compilations, interruption, what goes wrong."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import CorrelatedGaussian, cube, vector
from threadpoolctl import threadpool_info, threadpool_limits

import autofit as af
from autofit.non_linear.errors import CheckpointError, EvidenceError
from autofit.non_linear.search.nest.nss._output import RunOutput

SMALL = {"n_live": 60, "num_delete": 20, "num_mcmc_steps": 10, "silence": True}


pytestmark = pytest.mark.usefixtures("output")


@pytest.fixture
def compilations():
    """Programs compiled so far, by name."""
    counts = Counter()

    def listen(event, duration, **keywords):
        if event == "/jax/core/compile/backend_compile_duration":
            counts[keywords["fun_name"]] += 1

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield counts
    jax.monitoring.unregister_event_duration_listener(listen)


def test_a_fit_of_something_else_has_another_folder():
    def folder(model=None, **options):
        search = af.NSS("name", **SMALL | options)
        return search._paths(model or cube(5, 5.0)).output_path.name

    same = [
        {},
        {"chunk_size": 7},
        {"scheduler": "map"},
        {"max_iterations": 3},
        {"max_seconds": 1.0},
    ]
    changes = [{"seed": 1}, {"n_live": 80}, {"num_delete": 10}, {"num_mcmc_steps": 11}]
    changes += [{"termination": -4.0}, {"unique_tag": "b"}, {"model": cube(5, 4.0)}]
    one = {folder(**options) for options in same}
    others = {folder(**options) for options in changes}
    assert len(one) == 1 and len(others) == len(changes) and not one & others


def test_options_reach_the_sampler():
    def samples(**options):
        return af.NSS(**SMALL | options).fit(cube(5, 5.0), CorrelatedGaussian()).samples

    few, many = samples(max_iterations=3), samples(max_iterations=3, num_mcmc_steps=20, seed=43)
    useful = [each.samples_info["useful_evaluations"] - 60 for each in (few, many)]
    assert useful[1] / useful[0] == pytest.approx(2.0, rel=0.2)
    assert (few.parameters[0] != many.parameters).all(), "the first points are drawn with the seed"
    soon = samples(termination=50.0).samples_info
    assert soon["ended"] == "converged" and soon["iterations"] < 20, "some 60 by default"


def test_blas_has_one_thread_while_sampling_and_then_its_own_again(monkeypatch):
    def threads():
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    seen, update = [], RunOutput.update

    def noting(self, run):
        seen.append(threads())
        update(self, run)

    monkeypatch.setattr(RunOutput, "update", noting)
    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        af.NSS(**SMALL, max_iterations=2).fit(cube(5, 5.0), CorrelatedGaussian())
        assert threads() == before
    assert seen and all(each == {1} for each in seen) and before != {1}


def test_planning_adds_no_second_compilation(compilations):
    """`auto` where all fits: one call, init and step are each compiled once, and run."""
    af.NSS(**SMALL, chunk_size="auto").fit(cube(5, 5.0), CorrelatedGaussian())
    programs = {
        name: count
        for name, count in compilations.items()
        if any(part in name for part in ("log_likelihood", "init", "program", "draw", "describe"))
    }
    assert programs == {
        "jit(log_likelihood)": 1,
        "jit(init)": 1,
        "jit(program)": 1,
        "jit(draw)": 1,
        "jit(describe)": 1,
    }
    assert sum(compilations.values()) <= len(programs) + 8, compilations


def test_a_finished_fit_is_loaded(output, compilations):
    search = af.NSS("name", path_prefix="prefix", unique_tag="tag", **SMALL)
    first = search.fit(cube(5, 5.0), CorrelatedGaussian())
    (folder,) = (output / "prefix" / "tag" / "name").iterdir()
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        ".completed",
        "model.info",
        "model.results",
        "search.summary",
        "search.log",
        *(
            f"files/{name}"
            for name in (
                "model.json",
                "search.json",
                "samples.csv",
                "samples_info.json",
                "samples_summary.json",
                "covariance.csv",
                "memory_plan.json",
                "chunk_sizes.json",
            )
        ),
    }
    info = json.loads((folder / "files/samples_info.json").read_text())
    assert 0 < info["useful_evaluations"] < info["total_evaluations"]
    compilations.clear()
    again = search.fit(cube(5, 5.0), CorrelatedGaussian())
    assert not compilations
    np.testing.assert_array_equal(again.samples.parameters, first.samples.parameters)
    assert again.log_evidence == first.log_evidence


def test_chunks_and_schedulers_change_nothing_but_the_cost():
    def fit(**chunks):
        return af.NSS(**SMALL, **chunks).fit(cube(5, 5.0), CorrelatedGaussian())

    whole = fit(chunk_size=None)
    waves = fit(chunk_size=7, scheduler="map")
    lanes = fit(chunk_size=7)
    for other in (waves, lanes):
        np.testing.assert_array_equal(whole.samples.parameters, other.samples.parameters)
        assert whole.log_evidence == other.log_evidence
    info = [result.samples.samples_info for result in (whole, waves, lanes)]
    useful = [i["useful_evaluations"] for i in info]
    total = [i["total_evaluations"] for i in info]
    assert useful[0] == useful[1] > useful[2]
    assert total[0] > total[1] > total[2]


def test_the_kind_of_key_that_jax_makes_by_default_changes_nothing():
    def fit():
        return af.NSS(**SMALL, chunk_size=7).fit(cube(5, 5.0), CorrelatedGaussian())

    expected = fit()
    with jax.default_prng_impl("rbg"):
        np.testing.assert_array_equal(fit().samples.parameters, expected.samples.parameters)


def test_max_iterations_gives_what_there_is(output):
    search = af.NSS("short", **SMALL, max_iterations=5)
    result = search.fit(cube(5, 5.0), CorrelatedGaussian())
    info = result.samples.samples_info
    assert info["iterations"] == 5 and info["ended"] == "max_iterations"
    assert len(result.samples) == 5 * 20 + 60
    assert not list(output.rglob(".completed"))


def test_an_unfinished_fit_goes_on_to_the_same_result():
    model, analysis = cube(5, 5.0), CorrelatedGaussian()
    whole = af.NSS("whole", **SMALL).fit(model, analysis)
    af.NSS("parts", **SMALL, max_iterations=7).fit(model, analysis)
    parts = af.NSS("parts", **SMALL).fit(model, analysis)
    np.testing.assert_array_equal(whole.samples.parameters, parts.samples.parameters)
    assert whole.log_evidence == parts.log_evidence
    for name in ("iterations", "useful_evaluations", "total_evaluations"):
        assert whole.samples.samples_info[name] == parts.samples.samples_info[name]


def test_an_unfinished_fit_of_other_data_is_refused():
    af.NSS("mixed", **SMALL, max_iterations=3).fit(cube(5, 5.0), CorrelatedGaussian(0.7))
    with pytest.raises(CheckpointError, match="another fit: the log likelihoods of the first live"):
        af.NSS("mixed", **SMALL).fit(cube(5, 5.0), CorrelatedGaussian(0.2))


def test_ctrl_c_leaves_output_and_the_fit_goes_on(output):
    """A real SIGINT to a real process in the middle of sampling."""
    script = Path(__file__).with_name("slow_fit.py")
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    log = ""
    deadline = time.monotonic() + 120
    while " dead" not in log and time.monotonic() < deadline:
        time.sleep(0.2)
        log = "".join(path.read_text() for path in output.rglob("search.log"))
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    assert "Interrupted, before convergence" in printed
    assert "Run the same script again to go on" in printed
    (table,) = output.rglob("samples.csv")
    rows = np.genfromtxt(table, delimiter=",", names=True)
    assert len(rows) > 60 and np.isfinite(rows["x0"]).all()
    assert not list(output.rglob(".completed"))
    assert list(output.rglob("manifest-*.json"))


class Nowhere(af.Analysis):
    def log_likelihood_function(self, instance):
        return vector(instance, 5).sum() * jnp.nan


class Infinite(af.Analysis):
    def log_likelihood_function(self, instance):
        x = vector(instance, 5)
        return jnp.where(jnp.sum(x**2) < 0.5, jnp.inf, -jnp.sum(x**2))


class Spike(af.Analysis):
    """So large inside a small ball that a change of 1 cannot be told from none."""

    def log_likelihood_function(self, instance):
        r2 = jnp.sum(vector(instance, 5) ** 2)
        return jnp.where(r2 < 0.5, 1e17, -r2)


class FlatTop(af.Analysis):
    """A Gaussian in two dimensions whose top is cut off one standard deviation from its middle."""

    def log_likelihood_function(self, instance):
        return jnp.minimum(-0.5 * jnp.sum(vector(instance, 2) ** 2), -0.5)

    # the disk of radius 1, and the tail outside of it
    log_evidence = np.log((np.pi + 2 * np.pi) * np.exp(-0.5) / 10.0**2)


class HalfNaN(CorrelatedGaussian):
    def log_likelihood_function(self, instance):
        return jnp.where(instance.x0 > 0, super().log_likelihood_function(instance), jnp.nan)


def test_a_likelihood_that_is_nan_everywhere():
    with pytest.raises(EvidenceError, match="none of the 60 points drawn from the prior"):
        af.NSS(**SMALL).fit(cube(5, 5.0), Nowhere())


def test_a_likelihood_beyond_all_bounds_stops_with_the_point():
    with pytest.raises(EvidenceError, match=r"has log likelihood 1e\+17.*unit cube"):
        af.NSS(**SMALL).fit(cube(5, 5.0), Spike())


def test_a_state_that_leads_nowhere_replaces_no_saved_one(output):
    search = af.NSS("spike", **SMALL, checkpoint_interval=1)
    with pytest.raises(EvidenceError) as stopped:
        search.fit(cube(5, 5.0), Spike())
    last = int(re.search(r"after (\d+) iterations", str(stopped.value))[1])
    manifests = [json.loads(path.read_text()) for path in output.rglob("manifest-*.json")]
    assert 0 < max(manifest["counts"]["iterations"] for manifest in manifests) < last


def test_a_flat_top_ends_the_run_with_its_evidence():
    samples = af.NSS(**SMALL).fit(cube(2, 5.0), FlatTop()).samples
    assert samples.samples_info["ended"] == "plateau"
    assert abs(samples.log_evidence - FlatTop.log_evidence) < 3 * samples.log_evidence_error
    on_top = samples.log_likelihoods == -0.5
    assert samples.weights[on_top].sum() == pytest.approx(1 / 3, abs=0.15)


def test_a_flat_top_has_no_bias_when_many_points_are_replaced():
    """Copies of points below the top, counted as if they had been found, made log Z too low."""
    options = SMALL | {"num_delete": 45, "num_mcmc_steps": 5}
    fits = [af.NSS(**options, seed=seed).fit(cube(2, 5.0), FlatTop()) for seed in range(12)]
    errors = [fit.samples.log_evidence - FlatTop.log_evidence for fit in fits]
    stated = np.mean([fit.samples.log_evidence_error for fit in fits]) / len(fits) ** 0.5
    assert abs(np.mean(errors)) < 3 * stated
    assert {fit.samples.samples_info["ended"] for fit in fits} == {"plateau"}


def test_an_infinite_likelihood_stops_with_the_point():
    with pytest.raises(EvidenceError, match=r"has log likelihood inf.*unit cube"):
        af.NSS(**SMALL).fit(cube(5, 1.0), Infinite())


def test_nan_is_no_likelihood():
    """Half of a symmetric Gaussian: the evidence is half of the whole's."""
    problem = HalfNaN(correlation=0.0)
    search = af.NSS(n_live=400, num_delete=100, num_mcmc_steps=15, silence=True)
    samples = search.fit(cube(5, 5.0), problem).samples
    expected = problem.log_evidence - np.log(2.0)
    assert abs(samples.log_evidence - expected) < 3 * samples.log_evidence_error
    assert (samples.parameters[samples.weights > 0, 0] > 0).all()


def test_assertions_cut_the_prior():
    model, problem = cube(5, 5.0), CorrelatedGaussian(correlation=0.0)
    model.add_assertion(model.x0 > model.x1)
    search = af.NSS(n_live=400, num_delete=100, num_mcmc_steps=15, silence=True)
    samples = search.fit(model, problem).samples
    expected = problem.log_evidence - np.log(2.0)
    assert abs(samples.log_evidence - expected) < 3 * samples.log_evidence_error


def test_a_parameter_that_changes_nothing_is_sampled_all_the_same():
    class Flat(af.Analysis):
        def log_likelihood_function(self, instance):
            return -0.5 * (instance.x0 / 0.1) ** 2

    result = af.NSS(**SMALL).fit(cube(2, 1.0), Flat())
    lower, upper = result.samples.values_at_sigma(1.0, as_instance=False)[1]
    assert lower < -0.4 and upper > 0.4


def test_pictures_and_results_are_written_on_the_way(output):
    class Drawing(CorrelatedGaussian):
        def visualize(self, paths, instance, during_analysis):
            (paths.image_path / f"{during_analysis}.txt").write_text("drawn")

        def save_results(self, paths, result):
            raise RuntimeError("no disk")

    search = af.NSS("drawn", **SMALL, iterations_per_quick_update=5, iterations_per_full_update=20)
    with pytest.warns(UserWarning, match="save_results failed with RuntimeError: no disk"):
        result = search.fit(cube(5, 5.0), Drawing())
    assert {path.name for path in output.rglob("*.txt")} == {"True.txt", "False.txt"}
    assert result.samples.samples_info["ended"] == "converged"
    assert list(output.rglob(".completed"))
