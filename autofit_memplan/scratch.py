"""Work areas that libraries allocate while a program runs, which XLA's analysis cannot see.

cuFFT and cuSOLVER take theirs from the same pool as everything else, at run time. The bounds
here are taken from each library's documentation of its work-area sizes and are meant to be upper
bounds for the batch that the program really makes. On CPU the libraries use per-thread buffers
that are small beside the operands, and nothing is added.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from jax.extend.core import ClosedJaxpr, Jaxpr

from autofit_memplan.jaxprs import equations


def scratch_bytes(jaxpr: ClosedJaxpr | Jaxpr, platform: str) -> int:
    """Bound on the library work areas alive at one time in a program.

    Parameters
    ----------
    jaxpr
        The traced program, with the batch that will run.
    platform
        ``"cpu"`` or ``"gpu"``.

    Returns
    -------
    Bytes of the largest single work area: libraries release one before the next call asks.
    """
    if platform == "cpu":
        return 0
    return max(
        (
            _BOUNDS[equation.primitive.name](equation)
            for equation in equations(jaxpr)
            if equation.primitive.name in _BOUNDS
        ),
        default=0,
    )


def _nbytes(variables) -> int:
    return sum(v.aval.size * v.aval.dtype.itemsize for v in variables if hasattr(v.aval, "dtype"))


def _is_smooth(length: int) -> bool:
    for prime in (2, 3, 5, 7):
        while length % prime == 0:
            length //= prime
    return length == 1


def _fft(equation) -> int:
    """cuFFT: about one complex copy of the data; twice that and padding for lengths with a
    prime factor above 7, which go through Bluestein's algorithm (cuFFT documentation,
    "Accuracy and Performance")."""
    data = max(_nbytes(equation.invars), _nbytes(equation.outvars))
    growth = math.prod(1 if _is_smooth(n) else 4 for n in equation.params["fft_lengths"])
    return data * growth


def _matrix(equation) -> int:
    """cuSOLVER factorisations: at most about one copy of the operand."""
    return _nbytes(equation.invars)


def _eigen(equation) -> int:
    """cuSOLVER eigen- and singular-value drivers: `lwork` of about two operands and a bit."""
    return 3 * _nbytes(equation.invars)


_BOUNDS: dict[str, Callable] = {
    "fft": _fft,
    "cholesky": _matrix,
    "lu": _matrix,
    "geqrf": _matrix,
    "householder_product": _matrix,
    "triangular_solve": _matrix,
    "eigh": _eigen,
    "svd": _eigen,
    "eig": _eigen,
}
