"""Priors against SciPy, in both directions, in NumPy and JAX and both precisions."""

import copy
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from autofit.mapper import (
    GaussianPrior,
    LogGaussianPrior,
    LogUniformPrior,
    ModelError,
    PriorLimitError,
    TruncatedGaussianPrior,
    UniformPrior,
)

UNIT = np.concatenate([[1e-12, 1e-5], np.linspace(0.01, 0.99, 25), [1.0 - 1e-5, 1.0 - 1e-9]])


def _truncnorm(mean, sigma, lower, upper):
    return stats.truncnorm((lower - mean) / sigma, (upper - mean) / sigma, mean, sigma)


CASES = [
    (UniformPrior(-2.0, 5.0), stats.uniform(-2.0, 7.0)),
    (UniformPrior(1e6, 1e6 + 1.0), stats.uniform(1e6, 1.0)),
    (LogUniformPrior(1e-6, 1e6), stats.loguniform(1e-6, 1e6)),
    (LogUniformPrior(2.0, 3.0), stats.loguniform(2.0, 3.0)),
    (GaussianPrior(3.0, 0.2), stats.norm(3.0, 0.2)),
    (LogGaussianPrior(0.5, 0.7), stats.lognorm(0.7, scale=math.exp(0.5))),
    (TruncatedGaussianPrior(0.0, 1.0, -1.0, 2.0), _truncnorm(0.0, 1.0, -1.0, 2.0)),
    (TruncatedGaussianPrior(1.0, 2.0, lower_limit=0.0), _truncnorm(1.0, 2.0, 0.0, math.inf)),
    (TruncatedGaussianPrior(1.0, 2.0, upper_limit=-3.0), _truncnorm(1.0, 2.0, -math.inf, -3.0)),
    (TruncatedGaussianPrior(3.0, 0.2), stats.norm(3.0, 0.2)),
    (TruncatedGaussianPrior(0.0, 1.0, 9.9, 12.0), _truncnorm(0.0, 1.0, 9.9, 12.0)),
]
IDS = [repr(prior) for prior, _ in CASES]
# Values near 1e6 leave no room in single precision for an interval of 1.
SINGLE = [prior for prior, _ in CASES if prior.lower_limit < 1e5]


def _quantile(reference, unit):
    """SciPy's `ppf` loses digits near 1 where the support has no upper end, its `isf` elsewhere."""
    if math.isfinite(reference.support()[1]):
        return reference.ppf(unit)
    return np.where(unit < 0.5, reference.ppf(unit), reference.isf(1.0 - unit))


@pytest.fixture(params=["numpy", "jax"])
def evaluate(request):
    """Call a map of a prior on an array, eagerly in NumPy or compiled and batched in JAX."""

    def call(function, values):
        if request.param == "numpy":
            return function(values)
        return np.asarray(jax.jit(jax.vmap(lambda value: function(value, xp=jnp)))(values))

    return call


@pytest.mark.parametrize(("prior", "reference"), CASES, ids=IDS)
def test_value_for_is_the_quantile(prior, reference, evaluate):
    np.testing.assert_allclose(
        evaluate(prior.value_for, UNIT), _quantile(reference, UNIT), rtol=3e-12, atol=1e-15
    )


@pytest.mark.parametrize(("prior", "reference"), CASES, ids=IDS)
def test_unit_value_for_is_the_cumulative_probability(prior, reference, evaluate):
    values = reference.ppf(UNIT)
    # A value near a far limit cannot hold a smaller share than its rounding.
    np.testing.assert_allclose(
        evaluate(prior.unit_value_for, values), reference.cdf(values), rtol=1e-9, atol=2e-13
    )


@pytest.mark.parametrize(("prior", "reference"), CASES, ids=IDS)
def test_log_prior_is_the_log_density(prior, reference, evaluate):
    values = reference.ppf(UNIT)
    if isinstance(prior, TruncatedGaussianPrior) and np.all(np.isinf(prior.limits)):
        reference = stats.norm(prior.mean, prior.sigma)
    np.testing.assert_allclose(
        evaluate(prior.log_prior_from_value, values), reference.logpdf(values), atol=2e-11
    )


@pytest.mark.parametrize("prior", [prior for prior, _ in CASES], ids=IDS)
def test_log_prior_is_minus_infinity_outside_the_support(prior, evaluate):
    outside = [v for v in (prior.lower_limit - 1.0, prior.upper_limit + 1.0) if math.isfinite(v)]
    if isinstance(prior, LogGaussianPrior):
        outside.append(0.0)
    logs = evaluate(prior.log_prior_from_value, np.array([*outside, math.nan]))
    assert np.all(logs == -math.inf)


@pytest.mark.parametrize("prior", SINGLE, ids=repr)
def test_single_precision_stays_single_and_close(prior, evaluate):
    unit = np.linspace(1e-3, 0.999, 40, dtype=np.float32)
    values = evaluate(prior.value_for, unit)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, prior.value_for(unit.astype(float)), rtol=4e-6, atol=2e-6)
    logs = evaluate(prior.log_prior_from_value, values)
    assert logs.dtype == np.float32
    exact = prior.log_prior_from_value(values.astype(float))
    np.testing.assert_allclose(logs, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("prior", [prior for prior, _ in CASES], ids=IDS)
def test_every_drawn_value_is_allowed(prior, dtype, evaluate):
    unit = np.array([0.0, 1e-30, 0.5, 1.0 - np.finfo(dtype).epsneg, 1.0], dtype=dtype)
    values = evaluate(prior.value_for, unit)
    assert np.all(values[1:] >= values[:-1])
    assert np.all(values >= dtype(prior.lower_limit))
    assert np.all(values <= dtype(prior.upper_limit))
    assert np.all(np.isfinite(evaluate(prior.log_prior_from_value, values[1:-1])))
    if all(map(math.isfinite, prior.limits)):
        rounding = 4.0 * np.finfo(dtype).eps
        np.testing.assert_allclose(values[[0, -1]], prior.limits, rtol=rounding)


finite = st.floats(-1e3, 1e3)
width = st.floats(1e-3, 1e3)
inner = st.floats(1e-6, 1.0 - 1e-6)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(mean=finite, sigma=width, lower=st.floats(-50.0, 50.0), span=width, unit=inner)
def test_truncated_round_trip(mean, sigma, lower, span, unit):
    low = mean + lower * sigma
    prior = TruncatedGaussianPrior(mean, sigma, low, low + span * sigma)
    value = prior.value_for(unit)
    assert prior.lower_limit <= value <= prior.upper_limit
    # Rounding of the value, times the density, is what the unit value can be off by.
    rounding = 8.0 * np.spacing(abs(mean) + abs(value) + abs(low))
    slack = 1e-11 + rounding * math.exp(prior.log_prior_from_value(value))
    assert prior.unit_value_for(value) == pytest.approx(unit, abs=slack)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(lower=st.floats(1e-12, 1e6), factor=st.floats(1.001, 1e12), unit=inner)
def test_log_uniform_quantile(lower, factor, unit):
    prior = LogUniformPrior(lower, lower * factor)
    reference = stats.loguniform(lower, lower * factor)
    assert prior.value_for(unit) == pytest.approx(reference.ppf(unit), rel=1e-12)
    assert prior.unit_value_for(prior.value_for(unit)) == pytest.approx(unit, abs=1e-11)


def test_single_precision_log_uniform_over_more_decades_than_a_quotient_can_hold():
    prior = LogUniformPrior(1e-30, 1e30)
    unit = prior.unit_value_for(jnp.asarray([1e-15, 1.0, 1e15], dtype=jnp.float32), xp=jnp)
    np.testing.assert_allclose(unit, [0.25, 0.5, 0.75], rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UniformPrior(1.0, 1.0), "lower_limit must be below"),
        (lambda: UniformPrior(2.0, 1.0), "lower_limit must be below"),
        (lambda: UniformPrior(0.0, math.inf), "finite"),
        (lambda: UniformPrior(-1e308, 1e308), "finite"),
        (lambda: UniformPrior("a", 1.0), "real number"),
        (lambda: LogUniformPrior(0.0, 1.0), "above 0"),
        (lambda: LogUniformPrior(2.0, 1.0), "lower_limit must be below"),
        (lambda: GaussianPrior(0.0, 0.0), "sigma must be above 0"),
        (lambda: GaussianPrior(math.nan, 1.0), "finite"),
        (lambda: LogGaussianPrior(0.0, -1.0), "sigma must be above 0"),
        (lambda: TruncatedGaussianPrior(0.0, 1.0, 2.0, 1.0), "lower_limit must be below"),
        (lambda: TruncatedGaussianPrior(0.0, 1.0, math.nan, 1.0), "not nan"),
        (lambda: TruncatedGaussianPrior(0.0, 1e300, 0.0, 1e-300), "told apart"),
        (lambda: UniformPrior().value_for(1.5), r"\[0, 1\]"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(PriorLimitError, match=message):
        make()


def test_ids_increase_and_copies_keep_them():
    first, second = UniformPrior(), UniformPrior()
    assert first.id < second.id
    assert first != second
    other = first.new()
    assert other.id > second.id
    assert other.limits == first.limits
    assert copy.deepcopy(first) == pickle.loads(pickle.dumps(first)) == first


def test_priors_of_two_processes_are_not_confused():
    script = "import pickle, sys; from autofit.mapper import UniformPrior; " + (
        "sys.stdout.buffer.write(pickle.dumps([UniformPrior() for _ in range(3)]))"
    )
    root = str(Path(__file__).parents[3])
    environment = dict(os.environ, PYTHONPATH=root, JAX_PLATFORMS="cpu")
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=100)
    loaded = pickle.loads(done.stdout)
    own = UniformPrior()
    own.id = loaded[1].id
    assert own not in loaded
    assert len({*loaded, own}) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_priors_of_two_forked_processes_are_not_confused():
    script = """
import os, pickle, sys
from autofit.mapper import UniformPrior
def child():
    end, start = os.pipe()
    if os.fork() == 0:
        os.write(start, pickle.dumps(UniformPrior()))
        os._exit(0)
    os.wait()
    return pickle.loads(os.read(end, 100_000))
first, second = child(), child()
sys.exit(first.id != second.id or first == second)
"""
    root = str(Path(__file__).parents[3])
    environment = dict(os.environ, PYTHONPATH=root, JAX_PLATFORMS="cpu")
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=100)


@pytest.mark.parametrize("prior", [prior for prior, _ in CASES], ids=repr)
def test_what_describes_a_prior_cannot_be_set_anew(prior):
    for name in {"lower_limit", "upper_limit", *prior.fields}:
        before = getattr(prior, name)
        with pytest.raises(ModelError, match=f"{name} of {type(prior).__name__}.* stays what it"):
            setattr(prior, name, 0.5)
        assert getattr(prior, name) == before
    prior.note = "something of the user's own"


def test_scalars_in_scalars_out():
    for prior, _ in CASES:
        assert np.ndim(prior.value_for(0.5)) == 0
        assert isinstance(prior.log_prior_from_value(prior.value_for(0.5)), float)


def test_attributes_read_by_scripts():
    prior = TruncatedGaussianPrior(mean=1.0, sigma=2.0, lower_limit=0.0, upper_limit=5.0)
    assert (prior.mean, prior.sigma, prior.lower_limit, prior.upper_limit) == (1.0, 2.0, 0.0, 5.0)
    assert UniformPrior().limits == (0.0, 1.0)
    assert LogUniformPrior().limits == (1e-6, 1.0)
    assert GaussianPrior(0.0, 1.0).limits == (-math.inf, math.inf)
