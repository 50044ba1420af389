"""Result: what it passes on, how it reads, what it loads, and the corner plot."""

import os
import subprocess
import sys
from io import StringIO

import matplotlib
import numpy as np
import pytest
from rich.console import Console

from autofit.mapper import GaussianPrior, TruncatedGaussianPrior
from autofit.non_linear.corner import corner
from autofit.non_linear.paths import paths_for
from autofit.non_linear.result import Result
from autofit.non_linear.result_text import format_value
from autofit.non_linear.samples import Samples


@pytest.fixture
def result(samples, model):
    return Result(samples, model)


def test_the_instance_is_the_best_sample(result):
    best = np.argmax(result.samples.log_likelihoods)
    assert result.instance.line.slope == result.samples.parameters[best, 0]
    assert result.max_log_likelihood_instance is result.instance
    assert result.log_likelihood == result.samples.log_likelihoods[best]
    assert result.log_evidence == -12.345678901234567


def test_the_model_passes_gaussian_priors_on_within_their_limits(result, model):
    priors = result.model.priors
    assert [type(prior) for prior in priors] == [GaussianPrior, TruncatedGaussianPrior]
    assert priors[1].limits == model.priors[1].limits == (-20.0, 20.0)
    # The posterior of the fixture: means 1 and -2, standard deviations 0.5 and 2.
    assert [prior.mean for prior in priors] == pytest.approx([1.0, -2.0], abs=0.01)
    assert [prior.sigma for prior in priors] == pytest.approx([0.5, 2.0], rel=0.02)
    assert result.model.paths == model.paths
    assert model.priors[0].sigma == 3.0, "the fitted model keeps its priors"


def test_sigma_is_the_larger_of_the_two_errors(model):
    values = np.array([0.0, 1.0, 5.0])
    samples = _samples(model, np.column_stack((values, -values)), [0.25, 0.5, 0.25])
    assert [(p.mean, p.sigma) for p in Result(samples, model).model.priors] == [
        (1.0, 4.0),
        (-1.0, 4.0),
    ]


def test_a_prior_without_spread_keeps_its_own_width(model):
    samples = _samples(model, [[0.5, 2.0], [0.6, 2.0]], [0.9999, 0.0001])
    slope, offset = Result(samples, model).model.priors
    # slope had GaussianPrior(0, 3); 68.27 % of UniformPrior(-20, 20) is 13.654 to either side.
    assert (slope.mean, slope.sigma) == (0.5, pytest.approx(3.0))
    assert (offset.mean, offset.sigma) == (2.0, pytest.approx(13.6538, rel=1e-4))


def test_the_text_states_evidence_and_every_parameter_aligned(result):
    lines = result.info.splitlines()
    assert lines[0].split("  ")[0] == "Log evidence"
    assert lines[0].endswith("-12.346 ± 0.100")
    assert lines[1].split("  ")[0] == "Maximum log likelihood"
    assert float(lines[1].split()[-1]) == pytest.approx(result.log_likelihood, abs=5e-4)
    header, slope, offset = lines[-3:]
    titles = [title.strip() for title in header.split("  ") if title]
    assert titles == ["parameter", "median", "1 sigma", "3 sigma", "max log-likelihood"]
    for title in titles[1:]:
        start = header.index(title)
        assert slope[start - 1] == offset[start - 1] == " "
        assert slope[start] != " " and offset[start] != " "
    assert slope.split()[0] == "line_slope"
    assert float(slope.split()[1]) == pytest.approx(1.0, abs=0.01)
    assert float(offset.split()[1]) == pytest.approx(-2.0, abs=0.01)
    assert str(result) == result.info


def test_the_text_says_when_the_evidence_is_unknown(model):
    text = Result(_samples(model, [[0.0, 0.0], [1.0, 1.0]], [0.5, 0.5]), model).info
    assert text.splitlines()[0].split() == ["Log", "evidence", "unknown"]


def test_the_table_is_for_the_terminal(result):
    console = Console(file=StringIO(), width=120)
    console.print(result.table())
    assert "line_offset" in console.file.getvalue()


@pytest.mark.parametrize(
    ("value", "width", "text"),
    [
        (1.23456789, 0.0123, "1.2346"),
        (1234.56789, 210.0, "1235"),
        (1.23456789e-12, 3e-14, "1.2346e-12"),
        (5.4321e9, 1e7, "5.4321e+09"),
        (0.0, 1e-12, "0.00e+00"),
        (0.123456789, 0.0, "0.123457"),
        (3.0, float("nan"), "3"),
        (1.0000000001, 1e-30, "1.0000000001000000e+00"),
    ],
)
def test_numbers_get_the_digits_that_their_error_justifies(value, width, text):
    assert format_value(value, width) == text


def test_a_finished_folder_loads_as_the_same_result(samples, model, tmp_path):
    paths = paths_for("fit", output_path=tmp_path)
    saved = Result(samples, model, paths=paths)
    saved.save()
    loaded = Result.load(paths, model)
    for name in ("parameters", "log_likelihoods", "log_priors", "weights"):
        assert getattr(loaded.samples, name).tobytes() == getattr(samples, name).tobytes()
    assert loaded.samples.samples_info == samples.samples_info
    assert loaded.log_evidence == saved.log_evidence
    assert loaded.samples.log_evidence_error == samples.log_evidence_error
    assert loaded.info == saved.info == paths.load_text("model.results")
    assert [(p.mean, p.sigma) for p in loaded.model.priors] == [
        (p.mean, p.sigma) for p in saved.model.priors
    ]


def test_an_empty_folder_does_not_load(model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"samples_info\.json"):
        Result.load(paths_for("fit", output_path=tmp_path), model)


def test_a_corner_plot_is_a_png_and_leaves_the_backend_alone(model, tmp_path):
    rng = np.random.default_rng(1)
    samples = _samples(model, rng.normal(size=(300, 2)), rng.dirichlet(np.ones(300)))
    backend = matplotlib.get_backend()
    corner(samples, tmp_path / "corner.png")
    content = (tmp_path / "corner.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n") and len(content) > 5_000
    assert matplotlib.get_backend() == backend
    assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_a_corner_plot_of_too_few_samples_is_refused(model, tmp_path):
    samples = _samples(model, [[0.0, 0.0], [1.0, 1.0]], [0.5, 0.5])
    with pytest.raises(ValueError, match="too few"):
        corner(samples, tmp_path / "corner.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["anesthetic", "matplotlib.figure"])
def test_a_corner_plot_without_its_libraries_names_the_extra(
    samples, tmp_path, monkeypatch, missing
):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=rf"{missing.split('.')[0]}.*autofit-nss\[demo\]"):
        corner(samples, tmp_path / "corner.png")


def test_the_package_does_not_import_the_libraries_of_its_extras():
    program = "import sys, autofit.non_linear; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, env=environment, timeout=60, capture_output=True, check=True)
    assert not {"anesthetic", "matplotlib", "astropy"} & set(ran.stdout.decode().split())


def _samples(model, parameters, weights):
    n_samples = len(parameters)
    return Samples(model, parameters, np.linspace(-1, 0, n_samples), np.zeros(n_samples), weights)
