"""One simulated image, its cut-out and likelihood for all tests of the demo."""

import numpy as np
import pytest

from demo import simulator
from demo.cutout import Cutout
from demo.likelihood import LensLikelihood


@pytest.fixture(scope="session")
def imaging():
    return simulator.simulate(seed=1)


@pytest.fixture(scope="session")
def cutout(imaging):
    return Cutout(imaging)


@pytest.fixture(scope="session")
def likelihood(cutout):
    return LensLikelihood(cutout)


@pytest.fixture(scope="session")
def truth():
    return np.array(list(simulator.TRUTH.values()))
