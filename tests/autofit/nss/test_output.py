"""What a fit writes on its way and at its end, on disks that fail and with what users pass."""

from pathlib import Path

import pytest
from problems import CorrelatedGaussian, cube

import autofit as af
from autofit.non_linear.errors import CheckpointError, OptionError
from autofit.non_linear.fitness import Fitness
from autofit.non_linear.search.nest.nss import _output

SMALL = {"n_live": 60, "num_delete": 20, "num_mcmc_steps": 10, "silence": True}


pytestmark = pytest.mark.usefixtures("output")


@pytest.mark.parametrize(
    "info", [{"when": Path("here")}, {("a", "b"): 1}, {"some": {1, 2}}, ["run", 7], "run 7"]
)
def test_info_without_a_json_form_is_refused_before_sampling(info):
    with pytest.raises(OptionError, match=r"info (cannot be kept with the samples|must be a dict)"):
        af.NSS(**SMALL).fit(cube(5, 5.0), CorrelatedGaussian(), info=info)


def test_a_full_disk_under_the_log_takes_no_result_away(output):
    """``/dev/full`` has no room for anything, and says so when the file is closed, too."""
    options = {"name": "full", **SMALL}
    af.NSS(**options, max_iterations=1).fit(cube(5, 5.0), CorrelatedGaussian())
    (log,) = output.rglob("search.log")
    log.unlink()
    log.symlink_to("/dev/full")
    result = af.NSS(**options, max_iterations=3).fit(cube(5, 5.0), CorrelatedGaussian())
    assert result.samples.samples_info["iterations"] == 3


def test_results_on_the_way_compile_nothing_new(monkeypatch):
    traces, describe = [], Fitness.describe

    def counting(self, unit_vectors):
        traces.append(unit_vectors.shape)
        return describe(self, unit_vectors)

    monkeypatch.setattr(Fitness, "describe", counting)
    search = af.NSS(name="often", iterations_per_full_update=1, **SMALL)
    search.fit(cube(5, 5.0), CorrelatedGaussian())
    assert len(traces) == 1


def test_a_file_that_cannot_be_read_on_the_way_is_reported_and_sampling_goes_on(
    monkeypatch, caplog
):
    samples_of, calls = _output.samples_of, []

    def unreadable_at_first(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise CheckpointError("dead-000000.npy cannot be read: Stale file handle")
        return samples_of(*arguments)

    monkeypatch.setattr(_output, "samples_of", unreadable_at_first)
    search = af.NSS(name="stale", iterations_per_full_update=1, **SMALL)
    result = search.fit(cube(5, 5.0), CorrelatedGaussian())
    assert "could not write the results on the way" in caplog.text
    assert "Stale file handle" in caplog.text
    assert result.samples.samples_info["ended"] == "converged" and len(calls) > 1


class Extended(af.Result):
    @property
    def best(self):
        return self.log_likelihood


def test_a_loaded_result_is_of_the_analysis_s_own_class():
    class Own(CorrelatedGaussian):
        Result = Extended

    search = af.NSS(name="own", **SMALL)
    first, again = (search.fit(cube(5, 5.0), Own()) for _ in range(2))
    assert isinstance(first, Extended) and isinstance(again, Extended)
    assert again.best == first.best and again.paths.is_complete


class Failing(CorrelatedGaussian):
    """Hooks as of another package: the samples are worth more than them."""

    def make_result(self, samples_summary, paths):
        raise AssertionError("never called with these arguments")

    def visualize(self, paths, instance, during_analysis):
        raise ZeroDivisionError

    def modify_after_fit(self, paths, model, result):
        raise KeyError("there is nothing to let go of")


def test_hooks_that_fail_cost_no_samples(output):
    with pytest.warns(UserWarning) as said:
        result = af.NSS(name="hooks", **SMALL).fit(cube(5, 5.0), Failing())
    texts = " ".join(str(warning.message) for warning in said)
    for hook in ("make_result", "visualize", "modify_after_fit"):
        assert f"Analysis.{hook} failed" in texts
    assert type(result) is af.Result and result.paths.is_complete
    assert list(output.rglob("samples.csv")) and list(output.rglob("model.results"))


def test_what_may_let_go_of_memory_is_called_last_and_only_after_convergence():
    calls = []

    class Told(CorrelatedGaussian):
        def visualize(self, paths, instance, during_analysis):
            calls.append("visualize")

        def modify_after_fit(self, paths, model, result):
            calls.append("modify_after_fit")

    search = af.NSS(name="order", max_iterations=2, **SMALL)
    search.fit(cube(5, 5.0), Told())
    assert calls == []
    af.NSS(name="order", **SMALL).fit(cube(5, 5.0), Told())
    assert calls == ["visualize", "modify_after_fit"]


def test_a_finished_fit_is_loaded_by_any_number_of_runs_at_once():
    search = af.NSS(name="shared", **SMALL)
    first = search.fit(cube(5, 5.0), CorrelatedGaussian())

    class Meeting(CorrelatedGaussian):
        def make_result(self, samples, model, paths):
            inner = af.NSS(name="shared", **SMALL).fit(cube(5, 5.0), CorrelatedGaussian())
            assert inner.log_likelihood == first.log_likelihood
            return super().make_result(samples, model, paths)

    assert search.fit(cube(5, 5.0), Meeting()).log_likelihood == first.log_likelihood


def test_the_analysis_may_change_the_model_and_itself_before_the_fit():
    class Narrow(CorrelatedGaussian):
        scale = 1.0

        def modify_model(self, model):
            return cube(5, 2.0)

        def modify_before_fit(self, paths, model):
            assert [prior.upper_limit for prior in model.priors] == [2.0] * 5
            self.scale = 0.5
            return self

        def log_likelihood_function(self, instance):
            return self.scale * super().log_likelihood_function(instance)

    analysis = Narrow()
    result = af.NSS(**SMALL).fit(cube(5, 5.0), analysis)
    assert abs(result.samples.parameters).max() <= 2.0
    best = result.samples.log_likelihood
    assert best == pytest.approx(float(analysis.log_likelihood_function(result.instance)))
    assert analysis.scale == 0.5


def test_names_in_brackets_are_said_as_they_are(capsys):
    options = SMALL | {"silence": False, "max_iterations": 1}
    af.NSS(name="hst[f814w]", **options).fit(cube(5, 5.0), CorrelatedGaussian())
    assert "hst[f814w]" in capsys.readouterr().out.replace("\n", "")
