"""Double precision for these tests; single precision is asked for by the type of an array."""

import jax
import pytest


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield
