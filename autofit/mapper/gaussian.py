"""Priors that are normal in the value or in its logarithm."""

import math
from typing import Any

from autofit.mapper.normal import LOG_SQRT_2PI, ndtr, ndtri
from autofit.mapper.prior import Prior, checked_number, checked_sigma


class GaussianPrior(Prior):
    """A normal distribution without limits.

    Parameters
    ----------
    mean, sigma
        Centre and standard deviation, in the units of the parameter.

    Raises
    ------
    PriorLimitError
        If an argument is not finite or `sigma` is not above zero.
    """

    fields = ("mean", "sigma")

    def __init__(self, mean: float, sigma: float) -> None:
        super().__init__()
        self.mean = checked_number("GaussianPrior", "mean", mean)
        self.sigma = checked_sigma("GaussianPrior", sigma)
        self.lower_limit = -math.inf
        self.upper_limit = math.inf

    def _value(self, unit: Any, xp: Any) -> Any:
        return self.mean + self.sigma * ndtri(unit, xp)

    def _unit(self, value: Any, xp: Any) -> Any:
        return ndtr((value - self.mean) / self.sigma, xp)

    def _log_density(self, value: Any, xp: Any) -> Any:
        z = (value - self.mean) / self.sigma
        return -0.5 * z * z - (LOG_SQRT_2PI + math.log(self.sigma))


class LogGaussianPrior(Prior):
    """A positive value whose natural logarithm is normal.

    Parameters
    ----------
    mean, sigma
        Centre and standard deviation of the natural logarithm of the value.

    Raises
    ------
    PriorLimitError
        If an argument is not finite or `sigma` is not above zero.
    """

    fields = ("mean", "sigma")

    def __init__(self, mean: float, sigma: float) -> None:
        super().__init__()
        self.mean = checked_number("LogGaussianPrior", "mean", mean)
        self.sigma = checked_sigma("LogGaussianPrior", sigma)
        self.lower_limit = 0.0
        self.upper_limit = math.inf

    def _supports(self, value: Any, xp: Any) -> Any:
        return value > 0.0

    def _value(self, unit: Any, xp: Any) -> Any:
        return xp.exp(self.mean + self.sigma * ndtri(unit, xp))

    def _unit(self, value: Any, xp: Any) -> Any:
        return ndtr((xp.log(value) - self.mean) / self.sigma, xp)

    def _log_density(self, value: Any, xp: Any) -> Any:
        log_value = xp.log(value)
        z = (log_value - self.mean) / self.sigma
        return -0.5 * z * z - log_value - (LOG_SQRT_2PI + math.log(self.sigma))
