"""The record of a fit's samples that is small enough to read: `files/samples_summary.json`."""

from pydantic import BaseModel, ConfigDict


class SamplesSummary(BaseModel):
    """Point estimates and intervals of the posterior; lists are in parameter order.

    Attributes
    ----------
    parameter_names
        Names of the parameters, as in `samples.csv`.
    max_log_likelihood
        Parameters of the sample of highest log-likelihood.
    median_pdf
        Median of each parameter, marginalised over the others.
    values_at_sigma_1, values_at_sigma_3
        Lower and upper bound of the central interval that 1 and 3 Gaussian sigma stand for.
    log_likelihood
        Highest log-likelihood.
    log_evidence, log_evidence_error
        Natural logarithm of the evidence and its standard deviation; None when unknown.
    effective_sample_size
        Number of equally weighted samples with the same variance (Kish).
    total_samples
        Number of weighted samples.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameter_names: tuple[str, ...]
    max_log_likelihood: tuple[float, ...]
    median_pdf: tuple[float, ...]
    values_at_sigma_1: tuple[tuple[float, float], ...]
    values_at_sigma_3: tuple[tuple[float, float], ...]
    log_likelihood: float
    log_evidence: float | None
    log_evidence_error: float | None
    effective_sample_size: float
    total_samples: int
