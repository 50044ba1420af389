"""What a fit writes on its way and at its end, on disks that fail and with what users pass."""

from pathlib import Path

import pytest
from problems import CorrelatedGaussian, cube

import autofit as af
from autofit.non_linear.errors import CheckpointError, OptionError
from autofit.non_linear.fitness import Fitness
from autofit.non_linear.search.nest.nss import _output

SMALL = {"n_live": 60, "num_delete": 20, "num_mcmc_steps": 10, "silence": True}


@pytest.fixture(autouse=True)
def output(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PYAUTOFIT_OUTPUT", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("info", [{"when": Path("here")}, {("a", "b"): 1}, {"some": {1, 2}}])
def test_info_without_a_json_form_is_refused_before_sampling(info):
    with pytest.raises(OptionError, match="info cannot be kept with the samples"):
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
