"""The outcome of a fit: its samples, the best instance, and the model for the fit that follows."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rich.table import Table

from autofit.mapper import AbstractPriorModel, GaussianPrior, TruncatedGaussianPrior
from autofit.mapper.prior import Prior
from autofit.non_linear.result_text import result_table, result_text
from autofit.non_linear.samples import Samples
from autofit.non_linear.weighted_quantile import sigma_probabilities

if TYPE_CHECKING:
    from autofit.non_linear.analysis import Analysis
    from autofit.non_linear.paths import AbstractPaths


class Result:
    """Result of a fit.

    Parameters
    ----------
    samples
        The weighted samples.
    model
        The model that was fitted; its priors are not changed.
    analysis
        The analysis that was fitted.
    paths
        Where the fit is written.
    """

    def __init__(
        self,
        samples: Samples,
        model: AbstractPriorModel,
        analysis: Analysis | None = None,
        paths: AbstractPaths | None = None,
    ) -> None:
        self.samples = samples
        self.fitted_model = model
        self.analysis = analysis
        self.paths = paths

    @classmethod
    def load(
        cls, paths: AbstractPaths, model: AbstractPriorModel, analysis: Analysis | None = None
    ) -> Result:
        """Result of a fit that `save` wrote, with the same samples bit for bit.

        Raises
        ------
        FileNotFoundError
            When the folder holds no samples.
        ValueError
            When they are samples of another model.
        """
        return cls(paths.load_samples(model), model, analysis=analysis, paths=paths)

    def save(self) -> None:
        """Write the samples and `model.results` to `paths`. Without paths, nothing is written."""
        if self.paths is not None:
            self.paths.save_samples(self.samples)
            self.paths.save_text("model.results", self.info)

    @cached_property
    def instance(self) -> Any:
        """Instance of the model with the parameters of highest log-likelihood."""
        return self.samples.max_log_likelihood()

    @property
    def max_log_likelihood_instance(self) -> Any:
        """The same as `instance`."""
        return self.instance

    @cached_property
    def model(self) -> AbstractPriorModel:
        """The model for a following fit: each prior is a Gaussian around what this fit found.

        The mean is the median, and sigma the larger of the two 1 sigma errors; the limits of the
        prior that was fitted stay. Where the samples show no spread (a single sample has most of
        the weight), sigma is half the 1 sigma interval of the prior that was fitted: the fit has
        not narrowed it.
        """
        lower, upper = sigma_probabilities(1.0)
        medians = self.samples.median_pdf(as_instance=False)
        errors = self.samples.errors_at_sigma(1.0, as_instance=False)
        passed_on = []
        for prior, median, error in zip(self.fitted_model.priors, medians, errors, strict=True):
            sigma = max(error)
            if not sigma > 0:
                sigma = float(prior.value_for(upper) - prior.value_for(lower)) / 2
            passed_on.append(_gaussian(median, sigma, *prior.limits))
        return self.fitted_model.with_priors(passed_on)

    @property
    def log_likelihood(self) -> float:
        """Highest log-likelihood."""
        return self.samples.log_likelihood

    @property
    def log_evidence(self) -> float | None:
        """Natural logarithm of the evidence; None when unknown."""
        return self.samples.log_evidence

    @property
    def info(self) -> str:
        """Text of `model.results`: evidence, best log-likelihood and the table of parameters."""
        return result_text(self.samples.summary())

    def table(self) -> Table:
        """Table of the parameters for the terminal: `rich.print(result.table())`."""
        return result_table(self.samples.summary())

    def __str__(self) -> str:
        return self.info


def _gaussian(mean: float, sigma: float, lower: float, upper: float) -> Prior:
    if math.isinf(lower) and math.isinf(upper):
        return GaussianPrior(mean=mean, sigma=sigma)
    return TruncatedGaussianPrior(mean=mean, sigma=sigma, lower_limit=lower, upper_limit=upper)
