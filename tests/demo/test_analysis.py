"""The model, the analysis and the command line, as `af.NSS` meets them."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import autofit as af
from demo.__main__ import parse_arguments, truth_table
from demo.analysis import LensAnalysis, lens_model
from demo.simulator import TRUTH

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def result(likelihood, truth):
    rng = np.random.default_rng(8)
    model = lens_model()
    samples = af.Samples(
        model=model,
        parameters=truth + rng.normal(0, 0.002, (60, len(truth))),
        log_likelihoods=np.linspace(-30.0, 0.0, 60),
        log_priors=np.zeros(60),
        weights=np.full(60, 1 / 60),
    )
    return af.Result(samples, model)


def test_parameters_of_the_model_are_those_of_the_truth():
    model = lens_model()
    assert model.prior_count == 11
    assert model.parameter_names == list(TRUTH)


def test_likelihood_of_the_model_is_traced_and_finds_the_truth(likelihood, truth):
    model, analysis = lens_model(), LensAnalysis(likelihood)

    def log_likelihood(vector):
        return analysis.log_likelihood_function(model.instance_from_vector(vector, xp=jnp))

    vectors = np.stack([[TRUTH[name] for name in model.parameter_names]] * 3)
    vectors[1, model.parameter_names.index("lens_einstein_radius")] += 0.02
    vectors[2, model.parameter_names.index("shear_gamma_2")] *= -1
    true, larger, turned = jax.jit(jax.vmap(log_likelihood))(vectors)
    assert true > larger + 50
    assert true > turned + 50


def test_any_draw_from_the_prior_has_a_finite_likelihood(likelihood):
    model, analysis = lens_model(), LensAnalysis(likelihood)
    # Corners of the cube, far out in every Gaussian prior, and the middle.
    units = np.vstack(
        [np.random.default_rng(1).uniform(size=(60, 11)), np.eye(11) * 0.998 + 0.001, [[0.5] * 11]]
    )

    def log_likelihood(unit):
        vector = model.vector_from_unit_vector(unit, xp=jnp)
        return analysis.log_likelihood_function(model.instance_from_vector(vector, xp=jnp))

    assert np.all(np.isfinite(jax.jit(jax.vmap(log_likelihood))(units)))


def test_pictures_are_drawn_where_there_is_a_folder(likelihood, result, tmp_path, monkeypatch):
    # A corner plot of eleven parameters takes seconds and has tests of its own.
    corners = []
    monkeypatch.setattr("demo.analysis.draw_corner", lambda *given: corners.append(given))
    analysis = LensAnalysis(likelihood)

    analysis.save_results(SimpleNamespace(image_path=None), result)
    assert not corners
    analysis.save_results(SimpleNamespace(image_path=tmp_path), result)

    assert corners == [(result.samples, tmp_path / "corner.png")]
    assert (tmp_path / "fit.png").read_bytes().startswith(PNG_SIGNATURE)


def test_table_sets_the_posterior_beside_the_truth(result):
    columns = [list(column.cells) for column in truth_table(result).columns]
    assert columns[0] == list(TRUTH)
    assert [float(cell) for cell in columns[1]] == pytest.approx(list(TRUTH.values()))
    centre = np.mean(result.samples.parameters, axis=0)
    np.testing.assert_allclose([float(cell) for cell in columns[2]], centre, atol=2e-3)
    assert max(abs(float(cell)) for cell in columns[3]) < 1.0


def test_command_line_simulates_unless_it_is_given_a_folder(tmp_path):
    assert parse_arguments([]).data is None
    assert parse_arguments(["--data", str(tmp_path)]).data == tmp_path
