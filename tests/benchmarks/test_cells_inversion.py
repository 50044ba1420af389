"""The regularisation coefficient of the truth, by the evidence of both source models."""

import jax
import numpy as np
import pytest

from benchmarks.cells import delaunay, pixelization
from benchmarks.cells.inversion import PRIORS, TRUTH


@pytest.mark.parametrize("module", [pixelization, delaunay], ids=["pixelization", "delaunay"])
def test_a_third_and_three_times_the_coefficient_are_less_probable(module):
    function, _ = module.euclid()
    compiled = jax.jit(function)
    is_coefficient = np.array(PRIORS.names) == "log10_coefficient"
    less, given, more = (
        float(compiled(PRIORS.unit(TRUTH + np.log10(factor) * is_coefficient)))
        for factor in (1 / 3, 1, 3)
    )
    assert given > less
    assert given > more
