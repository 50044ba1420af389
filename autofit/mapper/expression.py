"""Arithmetic and comparisons of priors: what `a + 1.0` and `a < b` build.

A prior stands for a number that is known only when a vector is mapped to an instance. Arithmetic
on priors gives an expression that a model takes in place of a prior; a comparison gives an
assertion that a model takes through `add_assertion`.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from numbers import Real
from typing import Any

import numpy as np

_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}


def _is_operand(value: Any) -> bool:
    return isinstance(value, Expression) or (
        isinstance(value, Real) and not isinstance(value, bool)
    )


class Expression:
    """Something with a numerical value once every prior has one."""

    # NumPy scalars then leave `np.float64(1.0) < prior` to the prior instead of comparing objects.
    __array_ufunc__ = None

    def value(self, arguments: Mapping[Any, Any]) -> Any:
        """Value for `arguments`, which maps each prior to its (possibly traced) value."""
        raise NotImplementedError

    def free(self) -> Iterator[Any]:
        """Priors that the value depends on."""
        raise NotImplementedError

    def replaced(self, new: Mapping[Any, Any]) -> "Expression":
        """Return the same expression of other priors."""
        raise NotImplementedError

    def text(self, label: Callable[[Any], str]) -> str:
        """Formula, each prior written as `label(prior)`."""
        raise NotImplementedError

    def _binary(self, symbol: str, left: Any, right: Any) -> "Arithmetic":
        if not (_is_operand(left) and _is_operand(right)):
            return NotImplemented
        return Arithmetic(symbol, left, right)

    def __add__(self, other: Any) -> "Arithmetic":
        return self._binary("+", self, other)

    def __radd__(self, other: Any) -> "Arithmetic":
        return self._binary("+", other, self)

    def __sub__(self, other: Any) -> "Arithmetic":
        return self._binary("-", self, other)

    def __rsub__(self, other: Any) -> "Arithmetic":
        return self._binary("-", other, self)

    def __mul__(self, other: Any) -> "Arithmetic":
        return self._binary("*", self, other)

    def __rmul__(self, other: Any) -> "Arithmetic":
        return self._binary("*", other, self)

    def __truediv__(self, other: Any) -> "Arithmetic":
        return self._binary("/", self, other)

    def __rtruediv__(self, other: Any) -> "Arithmetic":
        return self._binary("/", other, self)

    def __pow__(self, other: Any) -> "Arithmetic":
        return self._binary("**", self, other)

    def __neg__(self) -> "Arithmetic":
        return Arithmetic("*", -1.0, self)

    def __lt__(self, other: Any) -> "Assertion":
        return _compare(self, other, strict=True)

    def __le__(self, other: Any) -> "Assertion":
        return _compare(self, other, strict=False)

    def __gt__(self, other: Any) -> "Assertion":
        return _compare(other, self, strict=True)

    def __ge__(self, other: Any) -> "Assertion":
        return _compare(other, self, strict=False)


class Arithmetic(Expression):
    """Two operands and an operation; a model may hold it where it holds a prior."""

    def __init__(self, symbol: str, left: Any, right: Any) -> None:
        self.symbol = symbol
        self.left = left
        self.right = right

    def value(self, arguments: Mapping[Any, Any]) -> Any:
        return _OPERATIONS[self.symbol](_value(self.left, arguments), _value(self.right, arguments))

    def free(self) -> Iterator[Any]:
        yield from _free(self.left)
        yield from _free(self.right)

    def replaced(self, new: Mapping[Any, Any]) -> "Arithmetic":
        return Arithmetic(self.symbol, _replaced(self.left, new), _replaced(self.right, new))

    def text(self, label: Callable[[Any], str]) -> str:
        return f"({_text(self.left, label)} {self.symbol} {_text(self.right, label)})"


class Assertion:
    """Comparisons that must all hold: `a < b`, or `(a < b) < c` for an ordered chain."""

    __array_ufunc__ = None

    def __init__(self, comparisons: tuple[tuple[Any, Any, bool], ...], name: str = "") -> None:
        self.comparisons = comparisons
        self.name = name

    def holds(self, arguments: Mapping[Any, Any], xp: Any = np) -> Any:
        """Boolean scalar: whether every comparison is true for `arguments`."""
        result = xp.asarray(True)
        for lower, upper, strict in self.comparisons:
            low, high = _value(lower, arguments), _value(upper, arguments)
            result = xp.logical_and(result, low < high if strict else low <= high)
        return result

    def free(self) -> Iterator[Any]:
        """Priors that are compared."""
        for lower, upper, _ in self.comparisons:
            yield from _free(lower)
            yield from _free(upper)

    def replaced(self, new: Mapping[Any, Any]) -> "Assertion":
        """Return the same assertion about other priors."""
        return Assertion(
            tuple((_replaced(a, new), _replaced(b, new), s) for a, b, s in self.comparisons),
            self.name,
        )

    def text(self, label: Callable[[Any], str]) -> str:
        """Formula, each prior written as `label(prior)`."""
        return " and ".join(
            f"{_text(lower, label)} {'<' if strict else '<='} {_text(upper, label)}"
            for lower, upper, strict in self.comparisons
        )

    def _and(self, other: "Assertion") -> "Assertion":
        return Assertion(self.comparisons + other.comparisons, self.name)

    # The ends of a chain: `(a < b) < c` goes on from the upper side, `(a > b) > c` from the lower.
    def __lt__(self, other: Any) -> "Assertion":
        return self._and(_compare(self.comparisons[-1][1], other, strict=True))

    def __le__(self, other: Any) -> "Assertion":
        return self._and(_compare(self.comparisons[-1][1], other, strict=False))

    def __gt__(self, other: Any) -> "Assertion":
        return self._and(_compare(other, self.comparisons[-1][0], strict=True))

    def __ge__(self, other: Any) -> "Assertion":
        return self._and(_compare(other, self.comparisons[-1][0], strict=False))

    def __bool__(self) -> bool:
        raise TypeError(
            "a comparison of priors has no truth value before a fit. Python's chained `a < b < c`, "
            "`and`, `if` and `sorted` ask for one: write `(a < b) < c`, or pass each comparison to "
            "`model.add_assertion` by itself"
        )


def _compare(lower: Any, upper: Any, strict: bool) -> Assertion:
    if not (_is_operand(lower) and _is_operand(upper)):
        return NotImplemented
    return Assertion(((lower, upper, strict),))


def _value(operand: Any, arguments: Mapping[Any, Any]) -> Any:
    return operand.value(arguments) if isinstance(operand, Expression) else operand


def _free(operand: Any) -> Iterator[Any]:
    if isinstance(operand, Expression):
        yield from operand.free()


def _replaced(operand: Any, new: Mapping[Any, Any]) -> Any:
    return operand.replaced(new) if isinstance(operand, Expression) else operand


def _text(operand: Any, label: Callable[[Any], str]) -> str:
    return operand.text(label) if isinstance(operand, Expression) else repr(float(operand))
