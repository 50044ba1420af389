"""Quantiles of weighted samples, and the probabilities that a number of sigma stands for."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def sigma_probabilities(sigma: float) -> tuple[float, float]:
    """Lower and upper tail positions of a central interval of `sigma` Gaussian standard deviations.

    One sigma gives about 0.1587 and 0.8413, so that the interval holds 68.27 % of the probability.

    Raises
    ------
    ValueError
        When `sigma` is not a positive, finite number.
    """
    if not (math.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma={sigma!r} is not a positive number. Use 1.0, 2.0 or 3.0.")
    lower = 0.5 * math.erfc(sigma / math.sqrt(2))
    return lower, 1.0 - lower


def weighted_quantile(
    values: NDArray[np.float64], weights: NDArray[np.float64], probabilities: Sequence[float]
) -> NDArray[np.float64]:
    """Quantiles of each column of weighted samples.

    The definition is the inverted cumulative distribution: the quantile at p is the smallest
    sample at or below which at least the share p of the total weight lies. So a quantile is always
    a sample, an integer weight is the same as that many copies, and a monotonic change of variable
    changes nothing but the unit (Hyndman and Fan 1996, definition 1, weighted).

    Parameters
    ----------
    values
        Samples, shape (n_samples, n_dim).
    weights
        Not negative, shape (n_samples,), in any normalisation. Samples of weight zero do not count.
    probabilities
        Between 0 and 1, length n_probabilities.

    Returns
    -------
    numpy.ndarray
        Shape (n_probabilities, n_dim).
    """
    # Not left to NumPy: the quantile at p = 0 has to be a point that the posterior allows.
    kept = weights > 0
    return np.quantile(
        values[kept],
        np.asarray(probabilities, dtype=np.float64),
        axis=0,
        weights=weights[kept],
        method="inverted_cdf",
    )
