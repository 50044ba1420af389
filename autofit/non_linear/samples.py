"""The weighted samples of a fit: what is known about the parameters, on the host in float64."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autofit.mapper import AbstractPriorModel
from autofit.non_linear.atomic_file import replace_on_success
from autofit.non_linear.samples_summary import SamplesSummary
from autofit.non_linear.samples_table import read_table, table_text
from autofit.non_linear.weighted_quantile import sigma_probabilities, weighted_quantile


class Samples:
    """Weighted posterior samples of a nested sampling run.

    Methods that return parameters take `as_instance`: True gives an instance of the model, False a
    list in parameter order. What a model computes from its parameters, `model.x = 2.0 * model.y`,
    has medians, bounds and errors of its own in an instance.

    Parameters
    ----------
    model
        The model that was fitted.
    parameters
        Physical parameters, shape (n_samples, n_dim), in the model's parameter order.
    log_likelihoods
        Shape (n_samples,). Minus infinity is allowed where the weight is zero.
    log_priors
        Log prior density of each sample, shape (n_samples,).
    weights
        Posterior weights, shape (n_samples,), of sum 1.
    log_evidence, log_evidence_error
        Natural logarithm of the evidence and its standard deviation.
    samples_info
        What else is worth keeping, for instance the number of likelihood evaluations. It has to
        have a JSON form. The evidence and its error are added to it, as in PyAutoFit's files.

    Raises
    ------
    ValueError
        When shapes disagree, a parameter or weight is not finite, a log-likelihood is NaN, or the
        weights do not sum to 1.
    """

    def __init__(
        self,
        model: AbstractPriorModel,
        parameters: ArrayLike,
        log_likelihoods: ArrayLike,
        log_priors: ArrayLike,
        weights: ArrayLike,
        log_evidence: float | None = None,
        log_evidence_error: float | None = None,
        samples_info: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.parameters = _frozen(parameters)
        self.log_likelihoods = _frozen(log_likelihoods)
        self.log_priors = _frozen(log_priors)
        self.weights = _frozen(weights)
        self.log_evidence = None if log_evidence is None else float(log_evidence)
        self.log_evidence_error = None if log_evidence_error is None else float(log_evidence_error)
        self.samples_info = {
            **(samples_info or {}),
            "log_evidence": self.log_evidence,
            "log_evidence_error": self.log_evidence_error,
        }
        self._check()

    def _check(self) -> None:
        n_dim = self.model.prior_count
        if self.parameters.ndim != 2 or self.parameters.shape[1] != n_dim:
            raise ValueError(
                f"parameters have shape {self.parameters.shape}; the model has {n_dim} free "
                f"parameters, so pass an array of shape (n_samples, {n_dim})."
            )
        n_samples = len(self.parameters)
        for name in ("log_likelihoods", "log_priors", "weights"):
            shape = getattr(self, name).shape
            if shape != (n_samples,):
                raise ValueError(
                    f"{name} have shape {shape}, but there are {n_samples} samples. "
                    f"Pass one value per sample: shape ({n_samples},)."
                )
        if not np.isfinite(self.parameters).all():
            raise ValueError(
                f"{np.sum(~np.isfinite(self.parameters))} parameter values are not finite. "
                "Leave out samples whose position is unknown."
            )
        if np.isnan(self.log_likelihoods).any():
            raise ValueError(
                f"{np.sum(np.isnan(self.log_likelihoods))} log-likelihoods are NaN. "
                "Give excluded points minus infinity and weight zero."
            )
        total = self.weights.sum()
        if not (np.isfinite(total) and (self.weights >= 0).all() and abs(total - 1) < 1e-5):
            raise ValueError(
                f"weights have sum {total!s} and minimum {self.weights.min(initial=0.0)!s}. "
                "Pass finite weights, none negative, divided by their sum."
            )

    @property
    def total_samples(self) -> int:
        """Number of weighted samples."""
        return len(self.parameters)

    def __len__(self) -> int:
        return self.total_samples

    @property
    def parameter_lists(self) -> list[list[float]]:
        """Parameters of every sample: n_samples lists of n_dim numbers."""
        return self.parameters.tolist()

    @property
    def weight_list(self) -> list[float]:
        """Posterior weight of every sample; the sum is 1."""
        return self.weights.tolist()

    @property
    def log_likelihood_list(self) -> list[float]:
        """Log-likelihood of every sample."""
        return self.log_likelihoods.tolist()

    @property
    def log_prior_list(self) -> list[float]:
        """Log prior density of every sample."""
        return self.log_priors.tolist()

    @property
    def log_posterior_list(self) -> list[float]:
        """Sum of log-likelihood and log prior of every sample, without the evidence."""
        return (self.log_likelihoods + self.log_priors).tolist()

    @property
    def log_likelihood(self) -> float:
        """Highest log-likelihood of all samples."""
        return float(self.log_likelihoods.max())

    @property
    def effective_sample_size(self) -> float:
        """Kish's effective sample size, (sum of w)² / (sum of w²)."""
        return float(self.weights.sum() ** 2 / np.sum(self.weights**2))

    @cached_property
    def covariance_matrix(self) -> NDArray[np.float64]:
        """Weighted covariance of the parameters, shape (n_dim, n_dim), with NumPy's `aweights`.

        NaN where one sample has all the weight, as early in a run: there is no spread to measure.
        """
        kept = self.weights > 0
        n_dim = self.parameters.shape[1]
        if np.sum(self.weights**2) > 1 - 1e-12:
            return np.full((n_dim, n_dim), np.nan)
        covariance = np.cov(self.parameters[kept], rowvar=False, aweights=self.weights[kept])
        return covariance.reshape(n_dim, n_dim)

    def max_log_likelihood(self, as_instance: bool = True) -> Any:
        """Parameters of the sample of highest log-likelihood."""
        return self._parameters(self.parameters[np.argmax(self.log_likelihoods)], as_instance)

    def median_pdf(self, as_instance: bool = True) -> Any:
        """Median of each parameter, marginalised over the others; see `weighted_quantile`."""
        return self._marginals(self._quantiles((0.5,), as_instance)[0], as_instance)

    def values_at_sigma(self, sigma: float, as_instance: bool = True) -> Any:
        """Bounds of each parameter's central interval of `sigma` Gaussian standard deviations.

        Returns
        -------
        list of (lower, upper), or an instance
            Instances hold an array of the two bounds where the parameter's value would be.
        """
        lower, upper = self._quantiles(sigma_probabilities(sigma), as_instance)
        return self._pairs(lower, upper, as_instance)

    def values_at_lower_sigma(self, sigma: float, as_instance: bool = True) -> Any:
        """Lower bound of each parameter; see `values_at_sigma`."""
        lower, _ = self._quantiles(sigma_probabilities(sigma), as_instance)
        return self._marginals(lower, as_instance)

    def values_at_upper_sigma(self, sigma: float, as_instance: bool = True) -> Any:
        """Upper bound of each parameter; see `values_at_sigma`."""
        _, upper = self._quantiles(sigma_probabilities(sigma), as_instance)
        return self._marginals(upper, as_instance)

    def errors_at_sigma(self, sigma: float, as_instance: bool = True) -> Any:
        """Distances from the median to the lower and upper bounds of `values_at_sigma`."""
        low, high = sigma_probabilities(sigma)
        lower, median, upper = self._quantiles((low, 0.5, high), as_instance)
        return self._pairs(median - lower, upper - median, as_instance)

    def draw_randomly_via_pdf(
        self, as_instance: bool = True, rng: np.random.Generator | None = None
    ) -> Any:
        """Parameters of one sample, drawn with its weight as the probability.

        Parameters
        ----------
        rng
            Source of randomness; pass `numpy.random.default_rng(seed)` to repeat a draw.
        """
        generator = np.random.default_rng() if rng is None else rng
        probabilities = self.weights / self.weights.sum()
        index = generator.choice(self.total_samples, p=probabilities)
        return self._parameters(self.parameters[index], as_instance)

    def summary(self) -> SamplesSummary:
        """The record of point estimates and intervals that goes to `samples_summary.json`."""
        return SamplesSummary(
            parameter_names=tuple(self.model.parameter_names),
            max_log_likelihood=tuple(self.max_log_likelihood(as_instance=False)),
            median_pdf=tuple(self.median_pdf(as_instance=False)),
            values_at_sigma_1=tuple(self.values_at_sigma(1.0, as_instance=False)),
            values_at_sigma_3=tuple(self.values_at_sigma(3.0, as_instance=False)),
            log_likelihood=self.log_likelihood,
            log_evidence=self.log_evidence,
            log_evidence_error=self.log_evidence_error,
            effective_sample_size=self.effective_sample_size,
            total_samples=self.total_samples,
        )

    def to_csv(self) -> str:
        """The samples as the text of PyAutoFit's `samples.csv`; see `samples_table`."""
        return table_text(
            self.model, self.parameters, self.log_likelihoods, self.log_priors, self.weights
        )

    def write_table(self, filename: str | os.PathLike[str]) -> None:
        """Write `to_csv` to a file, atomically."""
        with replace_on_success(filename) as temporary:
            temporary.write_text(self.to_csv(), encoding="utf-8")

    @classmethod
    def from_csv(
        cls,
        filename: str | os.PathLike[str],
        model: AbstractPriorModel,
        samples_info: Mapping[str, Any] | None = None,
    ) -> Samples:
        """Samples from a table that `write_table` wrote; every float is the one that was written.

        Parameters
        ----------
        filename
            The table.
        model
            The model that was fitted.
        samples_info
            Content of `samples_info.json`, from which the evidence and its error are taken.

        Raises
        ------
        ValueError
            When the columns of the table are not those of the model.
        """
        info = dict(samples_info or {})
        return cls(
            model,
            *read_table(filename, model),
            log_evidence=info.get("log_evidence"),
            log_evidence_error=info.get("log_evidence_error"),
            samples_info=info,
        )

    def _parameters(self, vector: NDArray[np.float64], as_instance: bool) -> Any:
        values = vector.tolist()
        if as_instance:
            return self.model.instance_from_vector(values, ignore_assertions=True)
        return values

    def _quantiles(self, probabilities: Sequence[float], as_instance: bool) -> NDArray[np.float64]:
        """Of the parameters, and for an instance of what its model computes from them as well."""
        values = self.parameters
        if as_instance:
            with np.errstate(all="ignore"):
                values = np.column_stack(self.model.quantities_from_vector(values.T))
        return weighted_quantile(values, self.weights, probabilities)

    def _marginals(self, quantities: NDArray[np.float64], as_instance: bool) -> Any:
        values = quantities.tolist()
        return self.model.instance_from_quantities(values) if as_instance else values

    def _pairs(
        self, first: NDArray[np.float64], second: NDArray[np.float64], as_instance: bool
    ) -> Any:
        if as_instance:
            return self.model.instance_from_quantities(list(np.column_stack((first, second))))
        return list(zip(first.tolist(), second.tolist(), strict=True))


def _frozen(values: ArrayLike) -> NDArray[np.float64]:
    """A read-only float64 copy, so that cached results cannot go stale."""
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array
