"""Priors that are flat in the value or in its logarithm."""

import math
from typing import Any

from autofit.mapper.errors import PriorLimitError
from autofit.mapper.prior import Prior, checked_limits, checked_number

#: The quotient of two limits still fits single precision, which ends at exp(88).
_LARGEST_LOG_QUOTIENT = 80.0


class UniformPrior(Prior):
    """Every value between two limits is equally likely.

    Raises
    ------
    PriorLimitError
        If a limit, or the distance between them, is not finite, or the interval is empty.
    """

    def __init__(self, lower_limit: float = 0.0, upper_limit: float = 1.0) -> None:
        super().__init__()
        self.lower_limit = checked_number("UniformPrior", "lower_limit", lower_limit)
        self.upper_limit = checked_number("UniformPrior", "upper_limit", upper_limit)
        checked_limits("UniformPrior", self.lower_limit, self.upper_limit)
        self._width = checked_number(
            "UniformPrior", "upper_limit - lower_limit", self.upper_limit - self.lower_limit
        )

    def _value(self, unit: Any, xp: Any) -> Any:
        # A weighted mean meets both limits exactly; rounding may still leave the interval.
        value = (1.0 - unit) * self.lower_limit + unit * self.upper_limit
        return xp.clip(value, self.lower_limit, self.upper_limit)

    def _unit(self, value: Any, xp: Any) -> Any:
        return (value - self.lower_limit) / self._width

    def _log_density(self, value: Any, xp: Any) -> Any:
        return 0.0 * value - math.log(self._width)


class LogUniformPrior(Prior):
    """Every decade between two positive limits is equally likely: density 1 / value.

    Raises
    ------
    PriorLimitError
        If `lower_limit` is not above zero, a limit is not finite, or the interval is empty.
    """

    def __init__(self, lower_limit: float = 1e-6, upper_limit: float = 1.0) -> None:
        super().__init__()
        self.lower_limit = checked_number("LogUniformPrior", "lower_limit", lower_limit)
        self.upper_limit = checked_number("LogUniformPrior", "upper_limit", upper_limit)
        if self.lower_limit <= 0.0:
            raise PriorLimitError(
                f"LogUniformPrior: lower_limit must be above 0, not {self.lower_limit}. "
                "Use a small positive limit, or a UniformPrior if zero must be allowed"
            )
        checked_limits("LogUniformPrior", self.lower_limit, self.upper_limit)
        # The first form keeps its precision when the limits are close, the second never overflows.
        relative = (self.upper_limit - self.lower_limit) / self.lower_limit
        self._log_ratio = (
            math.log1p(relative)
            if relative < 1.0
            else math.log(self.upper_limit) - math.log(self.lower_limit)
        )

    def _value(self, unit: Any, xp: Any) -> Any:
        # From the nearer limit, so that neither end is rounded away from its limit.
        from_lower = self.lower_limit * xp.exp(unit * self._log_ratio)
        from_upper = self.upper_limit * xp.exp((unit - 1.0) * self._log_ratio)
        value = xp.where(unit < 0.5, from_lower, from_upper)
        return xp.clip(value, self.lower_limit, self.upper_limit)

    def _unit(self, value: Any, xp: Any) -> Any:
        if self._log_ratio < _LARGEST_LOG_QUOTIENT:
            return xp.log(value / self.lower_limit) / self._log_ratio
        return (xp.log(value) - math.log(self.lower_limit)) / self._log_ratio

    def _log_density(self, value: Any, xp: Any) -> Any:
        return -xp.log(value) - math.log(self._log_ratio)
