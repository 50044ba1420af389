"""Bad options are refused at once, with the value and the remedy."""

import pytest
from problems import CorrelatedGaussian, cube

import autofit as af
from autofit.non_linear.errors import OptionError


@pytest.mark.parametrize("chunk_size", [0, -1, True, False, 2.0, "max", "Auto", "8", (3, 4)])
def test_chunk_sizes_that_make_no_sense(chunk_size):
    with pytest.raises(OptionError, match=r'chunk_size must be None .*"auto".*positive int'):
        af.NSS(chunk_size=chunk_size)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_live": 50, "num_delete": 50}, "num_delete=50 of n_live=50"),
        ({"n_live": 50}, "at most n_live / 2 = 25"),
        ({"n_live": 1.5}, "n_live must be an int"),
        ({"num_mcmc_steps": 0}, "num_mcmc_steps must be an int of at least 1"),
        ({"num_delete": 0}, "num_delete must be an int of at least 1"),
        ({"termination": float("nan")}, "would never end"),
        ({"termination": "-3"}, "termination must be a number"),
        ({"seed": -1}, "seed must be an int of at least 0"),
        ({"seed": 2**63}, "seed must be an int of at most 9223372036854775807"),
        ({"max_iterations": 0}, "max_iterations must be an int of at least 1"),
        ({"checkpoint_interval": 0}, "checkpoint_interval must be an int of at least 1"),
    ],
)
def test_options_that_cannot_work(options, message):
    with pytest.raises(OptionError, match=message):
        af.NSS(**options)


@pytest.mark.parametrize("memory_limit", [0, -1, True, 1.5, "lots", float("nan")])
def test_memory_limits_that_make_no_sense(memory_limit):
    with pytest.raises(ValueError, match="limit"):
        af.NSS(memory_limit=memory_limit)


def test_too_few_live_points_for_the_dimensions():
    search = af.NSS(n_live=30, num_delete=10, num_mcmc_steps=40)
    with pytest.raises(OptionError, match="n_live=30 is too small for 20 free parameters"):
        search.fit(cube(20, 1.0), CorrelatedGaussian())


def test_no_free_parameter():
    with pytest.raises(OptionError, match="no free parameter"):
        af.NSS().fit(af.Collection(x0=1.0), CorrelatedGaussian())


def test_too_few_slice_moves_are_warned_about():
    search = af.NSS(n_live=40, num_delete=10, num_mcmc_steps=9, max_iterations=1, silence=True)
    with pytest.warns(UserWarning, match=r"= 10 for 5 free parameters.*\+8\.4 with 5 steps"):
        search.fit(cube(5, 5.0), CorrelatedGaussian())


def test_one_call_that_does_not_fit_is_refused_before_anything_runs():
    from autofit.non_linear.search.nest.nss._memory import InfeasibleError

    search = af.NSS(n_live=40, num_delete=10, num_mcmc_steps=10, chunk_size="auto", memory_limit=16)
    with pytest.raises(InfeasibleError, match=r"one call needs .* B; the budget is 16 B"):
        search.fit(cube(5, 5.0), CorrelatedGaussian())
