"""A normal prior between limits, exact also when the limits are far in a tail."""

import math
from typing import Any, Protocol

import numpy as np

from autofit.mapper.errors import PriorLimitError
from autofit.mapper.normal import LOG_SQRT_2PI, log_mills_ratio, ndtr, ndtri
from autofit.mapper.prior import Prior, checked_limits, checked_number, checked_sigma

#: Standard deviations from the mean beyond which an interval is treated as a tail.
_TAIL_STARTS = 10.0
_NEWTON_STEPS = 4


class TruncatedGaussianPrior(Prior):
    """A normal distribution cut at two limits and normalised between them.

    Parameters
    ----------
    mean, sigma
        Centre and standard deviation before the cut.
    lower_limit, upper_limit
        Ends of the support; either may be infinite, and `mean` may lie outside.

    Raises
    ------
    PriorLimitError
        If the limits leave no interval, `sigma` is not above zero, or an argument is NaN.
    """

    fields = ("mean", "sigma", "lower_limit", "upper_limit")

    def __init__(
        self,
        mean: float,
        sigma: float,
        lower_limit: float = -math.inf,
        upper_limit: float = math.inf,
    ) -> None:
        super().__init__()
        name = "TruncatedGaussianPrior"
        self.mean = checked_number(name, "mean", mean)
        self.sigma = checked_sigma(name, sigma)
        self.lower_limit = checked_number(name, "lower_limit", lower_limit, infinite=True)
        self.upper_limit = checked_number(name, "upper_limit", upper_limit, infinite=True)
        checked_limits(name, self.lower_limit, self.upper_limit)
        low = (self.lower_limit - self.mean) / self.sigma
        high = (self.upper_limit - self.mean) / self.sigma
        width = (self.upper_limit - self.lower_limit) / self.sigma
        if not (low < high and width > 0.0 and low < math.inf and high > -math.inf):
            raise PriorLimitError(
                f"{name}: the limits {self.lower_limit} and {self.upper_limit} cannot be told "
                f"apart in units of sigma = {self.sigma} around mean = {self.mean}. "
                "Use a UniformPrior between them, or a larger sigma"
            )
        self._shape: _Shape
        if low >= _TAIL_STARTS:
            self._shape = _Tail(self.lower_limit, 1.0, self.sigma, start=low, width=width)
        elif high <= -_TAIL_STARTS:
            self._shape = _Tail(self.upper_limit, -1.0, self.sigma, start=-high, width=width)
        else:
            self._shape = _Body(self.mean, self.sigma, low, high)

    def _value(self, unit: Any, xp: Any) -> Any:
        return xp.clip(self._shape.value(unit, xp), self.lower_limit, self.upper_limit)

    def _unit(self, value: Any, xp: Any) -> Any:
        return self._shape.unit(value, xp)

    def _log_density(self, value: Any, xp: Any) -> Any:
        return self._shape.log_density(value, xp)


class _Shape(Protocol):
    def value(self, unit: Any, xp: Any) -> Any: ...

    def unit(self, value: Any, xp: Any) -> Any: ...

    def log_density(self, value: Any, xp: Any) -> Any: ...


class _Body:
    """The cut normal where probabilities themselves can be used.

    Both the probability below and that above a point are weighted means of their values at the
    limits, so neither suffers cancellation; the smaller of the two is inverted.
    """

    def __init__(self, mean: float, sigma: float, low: float, high: float) -> None:
        self._mean = mean
        self._sigma = sigma
        self._below = _probability(low), _probability(high)
        self._above = _probability(-low), _probability(-high)
        # Mirrored when wholly above the mean: the left tail keeps its relative precision.
        self._mirror = -1.0 if low > 0.0 else 1.0
        start, end = (-high, -low) if low > 0.0 else (low, high)
        self._start = _probability(start)
        self._mass = _mass(start, end)
        self._log_scale = LOG_SQRT_2PI + math.log(sigma) + math.log(self._mass)

    def value(self, unit: Any, xp: Any) -> Any:
        below = (1.0 - unit) * self._below[0] + unit * self._below[1]
        above = (1.0 - unit) * self._above[0] + unit * self._above[1]
        z = xp.where(below < above, 1.0, -1.0) * ndtri(xp.minimum(below, above), xp)
        return self._mean + self._sigma * z.astype(below.dtype)

    def unit(self, value: Any, xp: Any) -> Any:
        z = (value - self._mean) / self._sigma
        unit = (ndtr(self._mirror * z, xp) - self._start) / self._mass
        return unit if self._mirror > 0.0 else 1.0 - unit

    def log_density(self, value: Any, xp: Any) -> Any:
        z = (value - self._mean) / self._sigma
        return -0.5 * z * z - self._log_scale


class _Tail:
    """The cut normal more than 10 sigma from its mean, as a distance from the nearer limit.

    With the nearer limit at `start` sigma and a point `d` sigma beyond it, the probability beyond
    the point is exp(-w) of that beyond the limit, where
    w = start d + d^2 / 2 - log(R(start + d) / R(start)) and R is Mills' ratio. Working with `d`
    keeps the relative precision of the distance, which is about 1 / `start`.
    """

    def __init__(
        self, limit: float, direction: float, sigma: float, start: float, width: float
    ) -> None:
        self._limit = limit
        self._direction = direction
        self._sigma = sigma
        self._start = start
        self._log_mills = float(log_mills_ratio(start))
        span = math.inf if math.isinf(width) else float(self._depth(np.float64(width), np))
        self._share = -math.expm1(-span)
        self._log_scale = math.log(sigma) + self._log_mills + math.log(self._share)

    def _depth(self, distance: Any, xp: Any) -> Any:
        gain = log_mills_ratio(self._start + distance, xp) - self._log_mills
        return self._start * distance + 0.5 * distance * distance - gain

    def value(self, unit: Any, xp: Any) -> Any:
        share = unit if self._direction > 0.0 else 1.0 - unit
        depth = -xp.log1p(-share * self._share)
        # The root without the term in R is right to 1 %; each Newton step then doubles the digits,
        # for the slope of w is the hazard 1 / R, which changes by less than 1 per unit of d.
        distance = 2.0 * depth / (self._start + xp.sqrt(self._start * self._start + 2.0 * depth))
        for _ in range(_NEWTON_STEPS):
            mills = xp.exp(log_mills_ratio(self._start + distance, xp))
            distance = xp.maximum(distance - (self._depth(distance, xp) - depth) * mills, 0.0)
        distance = xp.where(xp.isinf(depth), math.inf, distance)
        return self._limit + self._direction * self._sigma * distance

    def unit(self, value: Any, xp: Any) -> Any:
        distance = self._direction * (value - self._limit) / self._sigma
        share = -xp.expm1(-self._depth(distance, xp)) / self._share
        return share if self._direction > 0.0 else 1.0 - share

    def log_density(self, value: Any, xp: Any) -> Any:
        distance = self._direction * (value - self._limit) / self._sigma
        return -(self._start * distance + 0.5 * distance * distance) - self._log_scale


def _probability(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def _mass(start: float, end: float) -> float:
    """Probability between two points, also where the difference would cancel."""
    width, middle = end - start, 0.5 * (start + end)
    if width * (1.0 + abs(middle)) < 1e-3:
        # Midpoint rule with its first correction: relative error below 1e-15 for such widths.
        density = math.exp(-0.5 * middle * middle - LOG_SQRT_2PI)
        return density * width * (1.0 + width * width * (middle * middle - 1.0) / 24.0)
    return _probability(end) - _probability(start)
