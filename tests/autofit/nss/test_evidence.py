"""The evidence of whole fits against analytic values, and the estimator against its peers."""

import tracemalloc

import anesthetic
import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blackjax.ns.base import NSInfo, StateWithLogLikelihood
from problems import CorrelatedGaussian, Image, TwoModes, cube
from scipy import stats

import autofit as af
from autofit.non_linear.search.nest.nss import _evidence
from autofit.non_linear.search.nest.nss._evidence import evidence, live_points_at_death


@pytest.mark.parametrize("problem", [CorrelatedGaussian(), TwoModes()], ids=["gaussian", "modes"])
def test_evidence_over_five_seeds(problem):
    pulls = []
    for seed in range(5):
        search = af.NSS(
            n_live=300, num_delete=60, num_mcmc_steps=15, seed=seed, chunk_size=20, silence=True
        )
        samples = search.fit(cube(problem.n_dim, problem.half_width), problem).samples
        pulls.append((samples.log_evidence - problem.log_evidence) / samples.log_evidence_error)
    assert np.max(np.abs(pulls)) < 3.0, pulls
    assert abs(np.mean(pulls)) < 3.0 / np.sqrt(5), pulls
    assert len(set(pulls)) == 5


def test_priors_that_are_not_flat_count_once():
    class Measured(af.Analysis):
        def log_likelihood_function(self, instance):
            return jax.scipy.stats.norm.logpdf(instance.x, 3.0, 1.0)

    model = af.Collection(x=af.GaussianPrior(1.0, 2.0), y=af.LogUniformPrior(0.1, 10.0))
    search = af.NSS(n_live=400, num_delete=100, num_mcmc_steps=10, silence=True)
    samples = search.fit(model, Measured()).samples
    x, y = samples.parameters.T
    truth = stats.norm(1.0, np.sqrt(5)).logpdf(3.0)
    assert abs(samples.log_evidence - truth) < 3 * samples.log_evidence_error
    assert samples.weights @ x == pytest.approx(2.6, abs=0.12), "2.33 if it counted twice"
    assert samples.weights @ np.log(y) == pytest.approx(0.0, abs=0.25), "-1.3 if it counted twice"
    log_priors = stats.norm(1.0, 2.0).logpdf(x) + stats.loguniform(0.1, 10.0).logpdf(y)
    np.testing.assert_allclose(samples.log_priors, log_priors, atol=1e-9)


def test_where_bits_part_the_statistics_agree():
    """A likelihood that rounds by batch size: other chains, the same evidence and posterior."""
    problem, options = Image(), {"n_live": 300, "num_delete": 60, "num_mcmc_steps": 15}
    fits = {}
    for chunk_size in (60, 7, 1):
        search = af.NSS(**options, seed=1, chunk_size=chunk_size, silence=True)
        fits[chunk_size] = search.fit(cube(5, problem.half_width), problem).samples
    assert len({samples.log_evidence for samples in fits.values()}) > 1
    width = np.sqrt(np.diag(problem.covariance))
    for samples in fits.values():
        assert abs(samples.log_evidence - problem.log_evidence) < 3 * samples.log_evidence_error
        weights, points = np.asarray(samples.weight_list), np.asarray(samples.parameter_lists)
        mean = weights @ points / weights.sum()
        spread = np.sqrt(weights @ (points - mean) ** 2 / weights.sum())
        error = width * np.sqrt(np.sum(weights**2)) / weights.sum()
        assert np.all(np.abs(mean) < 4 * error)
        np.testing.assert_allclose(spread, width, rtol=0.15)


@pytest.fixture
def nested_run():
    """Points of a perfect nested sampling run that deletes ten of its fifty live points at once."""
    rng = np.random.default_rng(5)
    live, births = np.sort(rng.random(50)), np.full(50, np.nan)
    deaths, death_births = [], []
    for _ in range(60):
        contour = live[9]
        deaths.append(live[:10])
        death_births.append(births[:10])
        order = np.argsort(new := np.append(live[10:], contour + (1 - contour) * rng.random(10)))
        births = np.append(births[10:], np.full(10, contour))[order]
        live = new[order]
    volume_seen = np.concatenate([*deaths, live])
    return 3.0 * np.log(volume_seen), 3.0 * np.log(np.concatenate([*death_births, births]))


def test_live_points_agree_with_blackjax(nested_run):
    log_l, birth = nested_run
    order = np.argsort(log_l)
    particles = StateWithLogLikelihood(
        jnp.zeros(len(log_l)), jnp.zeros(len(log_l)), jnp.asarray(log_l), jnp.asarray(birth)
    )
    theirs = blackjax.ns.utils.compute_num_live(
        NSInfo(jax.tree.map(lambda x: x[order], particles), None)
    )
    np.testing.assert_array_equal(live_points_at_death(log_l[order], birth), theirs)


def test_evidence_agrees_with_anesthetic(nested_run):
    log_l, birth = nested_run
    ours = evidence(log_l, birth)
    theirs = anesthetic.NestedSamples(
        data=np.zeros((len(log_l), 1)), logL=log_l, logL_birth=np.nan_to_num(birth, nan=-np.inf)
    )
    assert ours.log_evidence == pytest.approx(theirs.logZ(), abs=0.3 * ours.log_evidence_error)
    spread = theirs.logZ(200).std()
    assert ours.log_evidence_error == pytest.approx(spread, rel=0.3)


def test_points_without_likelihood_have_no_weight():
    log_l = np.array([-np.inf, -np.inf, -1.0, -0.5])
    result = evidence(log_l, np.full(4, np.nan))
    assert np.isfinite(result.log_evidence)
    np.testing.assert_array_equal(result.weights[:2], 0.0)
    assert result.weights.sum() == pytest.approx(1.0)


def test_evidence_in_memory_that_holds_the_points_a_few_times():
    rng = np.random.default_rng(2)
    log_l = np.sort(rng.normal(size=200_000))
    birth = log_l - rng.random(len(log_l))
    birth[:100] = np.nan
    tracemalloc.start()
    evidence(log_l, birth)
    assert tracemalloc.get_traced_memory()[1] < 20 * log_l.nbytes
    tracemalloc.stop()


@pytest.mark.parametrize("rows", [2, 7, 650])
def test_evidence_in_blocks_of_any_size(nested_run, rows, monkeypatch):
    whole = evidence(*nested_run)
    monkeypatch.setattr(_evidence, "_ROWS", rows)
    blocks = evidence(*nested_run)
    assert blocks[:2] == pytest.approx(whole[:2], rel=1e-13)
    np.testing.assert_allclose(blocks.weights, whole.weights, rtol=1e-13)
