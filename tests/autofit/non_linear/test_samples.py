"""Samples: estimates against analytic values and anesthetic, and the table on disk bit for bit."""

import csv
from dataclasses import dataclass

import anesthetic
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from autofit.mapper import Collection, GaussianPrior, Model
from autofit.non_linear.samples import Samples
from autofit.non_linear.weighted_quantile import sigma_probabilities, weighted_quantile

MEANS, SIGMAS = np.array([1.0, -2.0]), np.array([0.5, 2.0])


@dataclass
class Line:
    slope: float = 0.0
    offset: float = 0.0


def line_samples(parameters, log_likelihoods, weights, **kwargs):
    """Samples of a two-parameter line with flat log-priors."""
    prior = {"slope": GaussianPrior(0.0, 1.0), "offset": GaussianPrior(0.0, 1.0)}
    zeros = np.zeros(len(parameters))
    return Samples(Model(Line, **prior), parameters, log_likelihoods, zeros, weights, **kwargs)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_sigma_probabilities_are_those_of_a_gaussian(sigma):
    assert sigma_probabilities(sigma) == pytest.approx(stats.norm.cdf([-sigma, sigma]), rel=1e-12)


@pytest.mark.parametrize("sigma", [0.0, -1.0, np.nan, np.inf])
def test_a_sigma_that_is_no_width_is_refused(sigma):
    with pytest.raises(ValueError, match="not a positive number"):
        sigma_probabilities(sigma)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 9)), min_size=1, max_size=30),
    st.floats(0.001, 0.999),
)
def test_an_integer_weight_is_that_many_copies(points, probability):
    values, counts = np.array(points).T
    if counts.sum() == 0:
        return
    copies = np.sort(np.repeat(values, counts))
    position = probability * len(copies)
    if abs(position - round(position)) < 1e-9:
        return  # on the edge of a step the two neighbours differ by rounding alone
    result = weighted_quantile(values[:, None].astype(float), counts / 7.0, [probability])
    assert result[0, 0] == copies[int(np.ceil(position)) - 1]


def test_the_extreme_quantiles_are_samples_with_weight():
    values, weights = np.array([[-9.0], [1.0], [2.0], [9.0]]), np.array([0.0, 0.3, 0.7, 0.0])
    assert weighted_quantile(values, weights, [0.0, 1.0]).tolist() == [[1.0], [2.0]]


def test_medians_and_intervals_are_the_gaussian_s(samples):
    assert samples.median_pdf(as_instance=False) == pytest.approx(MEANS, abs=0.01)
    for sigma, tolerance in ((1.0, 0.01), (2.0, 0.02), (3.0, 0.05)):
        bounds = np.array(samples.values_at_sigma(sigma, as_instance=False))
        pulls = (bounds - MEANS[:, None]) / SIGMAS[:, None]
        assert pulls == pytest.approx(np.tile([-sigma, sigma], (2, 1)), abs=tolerance)


def test_estimates_agree_with_anesthetic(samples):
    peer = anesthetic.MCMCSamples(data=samples.parameters, weights=samples.weights)
    low, high = sigma_probabilities(1.0)
    for index, (lower, upper) in enumerate(samples.values_at_sigma(1.0, as_instance=False)):
        assert lower == pytest.approx(peer[index].quantile(low), abs=1e-3)
        assert upper == pytest.approx(peer[index].quantile(high), abs=1e-3)
    assert samples.covariance_matrix == pytest.approx(peer.cov().to_numpy(), rel=1e-3, abs=1e-3)
    assert samples.effective_sample_size == pytest.approx(peer.neff(beta="kish"), rel=1e-12)


def test_errors_are_distances_from_the_median(samples):
    median = samples.median_pdf(as_instance=False)
    lower = samples.values_at_lower_sigma(3.0, as_instance=False)
    upper = samples.values_at_upper_sigma(3.0, as_instance=False)
    assert samples.values_at_sigma(3.0, as_instance=False) == list(zip(lower, upper, strict=True))
    expected = [(m - a, b - m) for m, a, b in zip(median, lower, upper, strict=True)]
    assert samples.errors_at_sigma(3.0, as_instance=False) == expected


def test_instances_hold_the_same_numbers_as_lists(samples):
    best = samples.parameters[np.argmax(samples.log_likelihoods)]
    line = samples.max_log_likelihood().line
    assert (line.slope, line.offset) == tuple(best)
    line = samples.median_pdf().line
    assert [line.slope, line.offset] == samples.median_pdf(as_instance=False)
    line = samples.values_at_sigma(1.0).line
    pairs = [tuple(line.slope), tuple(line.offset)]
    assert pairs == samples.values_at_sigma(1.0, as_instance=False)
    line = samples.errors_at_sigma(1.0).line
    pairs = [tuple(line.slope), tuple(line.offset)]
    assert pairs == samples.errors_at_sigma(1.0, as_instance=False)
    line = samples.values_at_upper_sigma(1.0).line
    assert [line.slope, line.offset] == samples.values_at_upper_sigma(1.0, as_instance=False)


def test_instances_of_models_with_arithmetic_and_assertions():
    slope = GaussianPrior(0.0, 1.0)
    model = Model(Line, slope=slope, offset=2.0 * slope)
    model.add_assertion(slope > 10.0)
    values = np.array([[0.0], [1.0], [2.0]])
    samples = Samples(model, values, [0.0, 1.0, 0.0], np.zeros(3), [0.25, 0.5, 0.25])
    line = samples.values_at_sigma(1.0)
    assert (tuple(line.slope), tuple(line.offset)) == ((0.0, 2.0), (0.0, 4.0))
    assert samples.median_pdf() == Line(slope=1.0, offset=2.0)


def test_what_a_model_computes_has_medians_and_errors_of_its_own():
    slope, offset = GaussianPrior(0.0, 1.0), GaussianPrior(0.0, 1.0)
    model = Collection(
        shifted=Model(Line, slope=slope, offset=10.0 + slope),
        both=Model(Line, slope=offset, offset=(5.0 - slope) ** 2 - offset),
    )
    values = np.random.default_rng(1).normal(size=(4001, 2))
    n = len(values)
    samples = Samples(model, values, np.zeros(n), np.zeros(n), np.full(n, 1 / n))
    errors, median = samples.errors_at_sigma(1.0), samples.median_pdf()
    assert errors.shifted.offset == pytest.approx(errors.shifted.slope)
    assert median.shifted.offset == pytest.approx(10.0 + median.shifted.slope)
    computed = (5.0 - values[:, 0]) ** 2 - values[:, 1]
    assert median.both.offset == pytest.approx(np.median(computed))
    bounds = samples.values_at_sigma(1.0).both.offset
    expected = np.quantile(computed, sigma_probabilities(1.0), method="inverted_cdf")
    assert bounds == pytest.approx(expected)
    assert errors.both.offset == pytest.approx(np.abs(expected - np.median(computed)))
    assert samples.values_at_lower_sigma(1.0).both.offset == pytest.approx(expected[0])
    assert len(samples.errors_at_sigma(1.0, as_instance=False)) == 2
    best = samples.max_log_likelihood()
    assert best.shifted.offset == 10.0 + best.shifted.slope


def test_random_draws_follow_the_weights():
    samples = line_samples([[0, 0], [1, 1], [2, 2]], [-np.inf, 0.0, 1.0], [0.0, 0.25, 0.75])
    rng = np.random.default_rng(3)
    draws = [samples.draw_randomly_via_pdf(as_instance=False, rng=rng)[0] for _ in range(4000)]
    counts = np.bincount(np.array(draws, dtype=int), minlength=3)
    assert counts[0] == 0
    assert stats.binomtest(int(counts[2]), 4000, 0.75).pvalue > 1e-3
    assert samples.draw_randomly_via_pdf(rng=rng).slope in (1.0, 2.0)


def test_excluded_points_change_no_estimate():
    parameters = np.random.default_rng(0).normal(size=(50, 2))
    log_likelihoods = -np.sum(parameters**2, axis=1)
    plain = line_samples(parameters, log_likelihoods, np.full(50, 0.02))
    padded = line_samples(
        np.vstack((parameters, [[-1e6, 1e6]])),
        np.append(log_likelihoods, -np.inf),
        np.append(np.full(50, 0.02), 0.0),
    )
    before, after = plain.summary().model_dump(), padded.summary().model_dump()
    assert (before.pop("total_samples"), after.pop("total_samples")) == (50, 51)
    assert before.pop("effective_sample_size") == pytest.approx(after.pop("effective_sample_size"))
    assert after == before
    assert padded.covariance_matrix == pytest.approx(plain.covariance_matrix)
    assert padded.log_posterior_list[-1] == -np.inf


def test_one_sample_has_no_spread():
    samples = line_samples([[1.0, 2.0]], [-3.0], [1.0])
    assert samples.values_at_sigma(3.0, as_instance=False) == [(1.0, 1.0), (2.0, 2.0)]
    assert np.isnan(samples.covariance_matrix).all()
    assert samples.effective_sample_size == 1.0


def test_lists_are_plain_floats_in_order(samples):
    assert len(samples) == samples.total_samples == 16_384
    assert samples.parameter_lists[123] == list(samples.parameters[123])
    total = samples.log_likelihood_list[123] + samples.log_prior_list[123]
    assert samples.log_posterior_list[123] == total
    assert type(samples.weight_list[0]) is float
    assert sum(samples.weight_list) == pytest.approx(1.0)


def test_the_table_has_pyautofit_s_columns(samples, tmp_path):
    samples.write_table(tmp_path / "samples.csv")
    with open(tmp_path / "samples.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == [
        *("line_slope", "line_offset"),
        *("log_likelihood", "log_prior", "log_posterior", "weight"),
    ]
    assert len(rows) == samples.total_samples
    assert rows[0][2] == "-inf"
    assert [float(cell) for cell in rows[20][:2]] == samples.parameter_lists[20]


def test_a_table_reads_back_bit_for_bit(samples, tmp_path):
    samples.write_table(tmp_path / "samples.csv")
    loaded = Samples.from_csv(tmp_path / "samples.csv", samples.model, samples.samples_info)
    for name in ("parameters", "log_likelihoods", "log_priors", "weights"):
        assert getattr(loaded, name).tobytes() == getattr(samples, name).tobytes()
    assert loaded.samples_info == samples.samples_info
    assert loaded.summary() == samples.summary()


def test_awkward_floats_read_back_bit_for_bit(tmp_path):
    awkward = [5e-324, -0.0, 1.7976931348623157e308, 0.1 + 0.2, 1 / 3, 2.2250738585072014e-308]
    parameters = np.array(awkward).reshape(3, 2)
    samples = line_samples(parameters, [-np.inf, -1e300, 1e-300], [0.0, 1 / 3, 2 / 3])
    samples.write_table(tmp_path / "samples.csv")
    loaded = Samples.from_csv(tmp_path / "samples.csv", samples.model)
    assert loaded.parameters.tobytes() == parameters.tobytes()
    assert loaded.log_likelihoods.tobytes() == samples.log_likelihoods.tobytes()
    assert loaded.weights.tobytes() == samples.weights.tobytes()


def test_a_table_of_another_model_is_refused(samples, tmp_path):
    samples.write_table(tmp_path / "samples.csv")
    with pytest.raises(ValueError, match=r"line_slope.*Load the table with the model"):
        Samples.from_csv(tmp_path / "samples.csv", line_samples([[0, 0]], [0], [1]).model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameters": [[1.0], [2.0]]}, r"shape \(2, 1\); the model has 2 free"),
        ({"log_likelihoods": [0.0]}, r"log_likelihoods have shape \(1,\), but there are 2"),
        ({"weights": [2.0, 2.0]}, r"sum 4\.0 .*divided by their sum"),
        ({"weights": [1.5, -0.5]}, r"minimum -0\.5"),
        ({"weights": [np.nan, 1.0]}, r"sum nan"),
        ({"log_likelihoods": [np.nan, 0.0]}, r"1 log-likelihoods are NaN"),
        ({"parameters": [[np.nan, 0.0], [0.0, 0.0]]}, r"1 parameter values are not finite"),
    ],
)
def test_bad_samples_are_refused(change, message):
    arguments = {
        "parameters": [[0.0, 0.0], [1.0, 1.0]],
        "log_likelihoods": [0.0, 0.0],
        "weights": [0.5, 0.5],
    }
    with pytest.raises(ValueError, match=message):
        line_samples(**(arguments | change))


def test_arrays_cannot_be_changed_behind_the_cache(samples):
    with pytest.raises(ValueError, match="read-only"):
        samples.weights[0] = 1.0
