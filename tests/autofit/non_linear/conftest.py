"""A small model and weighted samples of a known posterior, for the tests of this folder."""

import numpy as np
import pytest
from scipy.stats import qmc

from autofit.mapper import Collection, GaussianPrior, Model, UniformPrior
from autofit.non_linear.samples import Samples


class Line:
    """A straight line; a component with two parameters."""

    def __init__(self, slope=0.0, offset=0.0):
        self.slope = slope
        self.offset = offset


@pytest.fixture
def model():
    """Two free parameters, `line_slope` and `line_offset`."""
    return Collection(
        line=Model(
            Line,
            slope=GaussianPrior(mean=0.0, sigma=3.0),
            offset=UniformPrior(lower_limit=-20.0, upper_limit=20.0),
        )
    )


MEANS = np.array([1.0, -2.0])
SIGMAS = np.array([0.5, 2.0])


@pytest.fixture
def samples(model):
    """Uniform points weighted by independent Gaussians: MEANS and SIGMAS are the posterior's.

    Ten points are excluded: log-likelihood minus infinity, weight zero, and a far position that
    would be seen in any result that counted them.
    """
    # Sobol points, so that estimates come close to the analytic values.
    unit = qmc.Sobol(d=2, seed=7).random_base2(m=14)
    parameters = MEANS + SIGMAS * (12 * unit - 6)
    log_likelihoods = -0.5 * np.sum(((parameters - MEANS) / SIGMAS) ** 2, axis=1)
    parameters[:10] = 19.0
    log_likelihoods[:10] = -np.inf
    weights = np.exp(log_likelihoods)
    return Samples(
        model,
        parameters,
        log_likelihoods,
        log_priors=np.sin(parameters[:, 0]),
        weights=weights / weights.sum(),
        log_evidence=-12.345678901234567,
        log_evidence_error=0.1,
        samples_info={"total_evaluations": 16_384, "sampler": "test"},
    )
