"""What every prior has: an identity, a support, and exact maps in both directions."""

import copy
import itertools
import math
import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from autofit.mapper.errors import ModelError, PriorLimitError
from autofit.mapper.expression import Expression

#: Tells priors of this process from those of others, whose ids were counted elsewhere.
_ORIGIN = uuid.uuid4().hex


def _renew_origin() -> None:
    global _ORIGIN
    _ORIGIN = uuid.uuid4().hex


if hasattr(os, "register_at_fork"):  # children count on from the same id
    os.register_at_fork(after_in_child=_renew_origin)


class Prior(Expression, ABC):
    """The distribution of one free parameter before the data are seen.

    A prior *is* the parameter: the same object in two places of a model is one free parameter,
    and two priors are equal when they are the same parameter. `id` increases with creation, and
    a model orders its parameters by it. A copy keeps the identity, also when it was pickled in
    another process; `new` makes another parameter. What describes the distribution cannot be set
    anew, for the maps are derived from it.

    Subclasses give the three maps `_value`, `_unit` and `_log_density`, which receive arrays of any
    shape and of either precision, already checked to lie in the support.
    """

    _ids: ClassVar[Iterator[int]] = itertools.count()

    #: Constructor arguments, in order: all that distinguishes two priors of one class.
    fields: ClassVar[tuple[str, ...]] = ("lower_limit", "upper_limit")

    lower_limit: float
    upper_limit: float

    def __init__(self) -> None:
        self._identify()

    def _identify(self) -> None:
        self.id = next(Prior._ids)
        self._origin = _ORIGIN

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(self, name) and name in ("lower_limit", "upper_limit", *self.fields):
            raise ModelError(
                f"{name} of {self!r} cannot be set to {value!r}: a prior stays what it is. Make "
                "another one, and set the parameter of the model to it"
            )
        super().__setattr__(name, value)

    @abstractmethod
    def _value(self, unit: Any, xp: Any) -> Any: ...

    @abstractmethod
    def _unit(self, value: Any, xp: Any) -> Any: ...

    @abstractmethod
    def _log_density(self, value: Any, xp: Any) -> Any: ...

    def _supports(self, value: Any, xp: Any) -> Any:
        return (value >= self.lower_limit) & (value <= self.upper_limit)

    def value_for(self, unit: Any, xp: Any = np) -> Any:
        """Return the value below which the share `unit` of the prior lies.

        Parameters
        ----------
        unit
            Number or array in [0, 1]. Its floating-point type is that of the result.
        xp
            `numpy`, or `jax.numpy` inside `jit` and `vmap`.

        Raises
        ------
        PriorLimitError
            With `numpy`, for a `unit` outside [0, 1]; a traced value cannot be checked.
        """
        unit = xp.asarray(unit)
        if xp is np and not np.all((unit >= 0.0) & (unit <= 1.0)):
            raise PriorLimitError(f"a unit value must lie in [0, 1], not {unit}: {self!r}")
        return self._mapped(self._value, unit, xp)

    def unit_value_for(self, value: Any, xp: Any = np) -> Any:
        """Return the share of the prior below `value`: the inverse of `value_for`."""
        value = xp.clip(xp.asarray(value), self.lower_limit, self.upper_limit)
        return xp.clip(self._mapped(self._unit, value, xp), 0.0, 1.0)

    def log_prior_from_value(self, value: Any, xp: Any = np) -> Any:
        """Return the normalised log density at `value`; -inf outside the support (and for NaN)."""
        value = xp.asarray(value)
        inside = self._supports(value, xp)
        # The density is evaluated inside the support even where it is then discarded: a logarithm
        # of a negative value would warn in NumPy and poison gradients in JAX.
        anchor = xp.where(inside, value, self._inside_point())
        return xp.where(inside, self._mapped(self._log_density, anchor, xp), -math.inf)[()]

    def new(self) -> "Prior":
        """Return another parameter with the same distribution."""
        other = copy.copy(self)
        other._identify()
        return other

    @property
    def limits(self) -> tuple[float, float]:
        """Lower and upper end of the support."""
        return self.lower_limit, self.upper_limit

    @property
    def parameter_string(self) -> str:
        """Arguments as text, for example `mean = 0.0, sigma = 1.0`."""
        return ", ".join(f"{name} = {getattr(self, name)}" for name in self.fields)

    def value(self, arguments: Mapping[Any, Any]) -> Any:
        return arguments[self]

    def free(self) -> Iterator["Prior"]:
        yield self

    def replaced(self, new: Mapping[Any, Any]) -> Expression:
        return new.get(self, self)

    def text(self, label: Callable[[Any], str]) -> str:
        return label(self)

    def _inside_point(self) -> float:
        """Return a value at which the log density is finite, also in single precision."""
        return float(self.value_for(0.5))

    @staticmethod
    def _mapped(mapping: Callable[[Any, Any], Any], array: Any, xp: Any) -> Any:
        # Infinities at the ends of the unit interval are results here, not accidents.
        with np.errstate(all="ignore"):
            result = mapping(array, xp)
        return result[()] if xp is np else result

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prior) and (self.id, self._origin) == (other.id, other._origin)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={getattr(self, name)}" for name in self.fields)
        return f"{type(self).__name__}({arguments})"


def checked_number(prior: str, name: str, value: Any, *, infinite: bool = False) -> float:
    """Return `value` as a float, or refuse it.

    Raises
    ------
    PriorLimitError
        If it is no real number, is NaN, or is infinite where `infinite` is False.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise PriorLimitError(
            f"{prior}: {name} must be a real number, not {value!r}. Pass a plain float"
        ) from None
    if math.isnan(number) or (math.isinf(number) and not infinite):
        allowed = "a number or an infinity" if infinite else "a finite number"
        raise PriorLimitError(f"{prior}: {name} must be {allowed}, not {value!r}")
    return number


def checked_limits(prior: str, lower: float, upper: float) -> None:
    """Refuse limits that leave no interval between them.

    Raises
    ------
    PriorLimitError
        If `lower` is not below `upper`.
    """
    if not lower < upper:
        raise PriorLimitError(
            f"{prior}: lower_limit must be below upper_limit, but {lower} >= {upper}. "
            "Exchange them, or fix the parameter by setting it to a number"
        )


def checked_sigma(prior: str, value: Any) -> float:
    """Return the width `value` as a float, or refuse it.

    Raises
    ------
    PriorLimitError
        If it is not a finite number above zero.
    """
    sigma = checked_number(prior, "sigma", value)
    if sigma <= 0.0:
        raise PriorLimitError(
            f"{prior}: sigma must be above 0, not {sigma}. "
            "Fix the parameter by setting it to a number if it has no width"
        )
    return sigma
