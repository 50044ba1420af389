"""What the tests of both inversions share: an image with a lopsided PSF, and points of the cube."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.cells.instruments import simulated
from benchmarks.cells.inversion import PRIORS, TRUTH
from tests.benchmarks import inversion_reference as reference


@pytest.fixture(scope="module")
def imaging():
    small = simulated("small")
    return replace(small, psf=reference.lopsided(small))


@pytest.fixture(scope="module")
def points():
    truth = PRIORS.unit(TRUTH)
    return np.stack([truth, *np.random.default_rng(1).uniform(0.1, 0.9, (3, len(truth)))])
