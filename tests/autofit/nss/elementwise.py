"""A fit of seconds whose values do not depend on the batch, and two of them compared."""

import numpy as np
from problems import cube

import autofit as af
from autofit.non_linear.result import Result
from autofit.non_linear.search.nest.nss import search as search_module
from autofit.non_linear.search.nest.nss._sampling import Sampling

SMALL = {"n_live": 24, "num_delete": 4, "num_mcmc_steps": 5, "silence": True}
N_STEP = SMALL["num_delete"]


class Elementwise(af.Analysis):
    """A round Gaussian without reductions or library calls."""

    def log_likelihood_function(self, instance):
        return -50.0 * (instance.x0 * instance.x0 + instance.x1 * instance.x1)


def fit(analysis: af.Analysis | None = None, name: str | None = None, **options) -> Result:
    analysis = Elementwise() if analysis is None else analysis
    return af.NSS(name, **{**SMALL, **options}).fit(cube(2, 5.0), analysis)


def assert_same_bits(ours: Result, theirs: Result) -> None:
    assert ours.samples.parameters.dtype == theirs.samples.parameters.dtype
    np.testing.assert_array_equal(ours.samples.parameters, theirs.samples.parameters)
    np.testing.assert_array_equal(ours.samples.log_likelihoods, theirs.samples.log_likelihoods)
    assert ours.log_evidence == theirs.log_evidence
    counts = [r.samples.samples_info["iterations"] for r in (ours, theirs)]
    assert counts[0] == counts[1]


def recorded_samplings(monkeypatch) -> list[Sampling]:
    """The `Sampling` of every fit from now on, with what happened in it."""
    made = []

    class Recorded(Sampling):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(search_module, "Sampling", Recorded)
    return made
