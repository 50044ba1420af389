"""PyAutoFit's `samples.csv`: one row per sample, at full precision, to text and back.

Columns: the parameters by name, then log_likelihood, log_prior, log_posterior and weight.
"""

from __future__ import annotations

import csv
import io
import os

import numpy as np
from numpy.typing import NDArray

from autofit.mapper import AbstractPriorModel

_COLUMNS = ["log_likelihood", "log_prior", "log_posterior", "weight"]


def table_text(
    model: AbstractPriorModel,
    parameters: NDArray[np.float64],
    log_likelihoods: NDArray[np.float64],
    log_priors: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> str:
    """The table of samples as text.

    Parameters
    ----------
    model
        The model that was fitted; it names the columns.
    parameters
        Shape (n_samples, n_dim).
    log_likelihoods, log_priors, weights
        Shape (n_samples,).
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_header(model))
    log_posteriors = log_likelihoods + log_priors
    # `csv` writes a Python float with `repr`, which reads back as the same float.
    writer.writerows(
        np.column_stack((parameters, log_likelihoods, log_priors, log_posteriors, weights)).tolist()
    )
    return text.getvalue()


def read_table(
    filename: str | os.PathLike[str], model: AbstractPriorModel
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Parameters, log-likelihoods, log-priors and weights of a table that `table_text` made.

    Returns
    -------
    tuple of numpy.ndarray
        Shapes (n_samples, n_dim) and three times (n_samples,).

    Raises
    ------
    ValueError
        When the columns of the table are not those of the model.
    """
    with open(filename, encoding="utf-8", newline="") as file:
        header = next(csv.reader(file), [])
        if header != _header(model):
            raise ValueError(
                f"{os.fspath(filename)} has the columns {header}; the model gives "
                f"{_header(model)}. Load the table with the model that was fitted."
            )
        table = np.loadtxt(file, delimiter=",", comments=None, ndmin=2)
    parameters = table[:, : model.prior_count]
    log_likelihoods, log_priors, _, weights = table[:, model.prior_count :].T
    return parameters, log_likelihoods, log_priors, weights


def _header(model: AbstractPriorModel) -> list[str]:
    return [*model.parameter_names, *_COLUMNS]
