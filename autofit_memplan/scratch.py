"""Work areas that libraries allocate while a program runs, which XLA's analysis cannot see.

On a GPU, cuFFT and cuSOLVER take theirs at run time from the pool that everything else is in.
The bounds here were measured on an H100 with CUDA 13.0 (cuFFT: ``cufftMakePlanMany`` with
automatic allocation off; cuSOLVER: its ``bufferSize`` functions, and the allocator's peak less
XLA's own figures); what the library is asked for was read in XLA's ``fft_thunk.cc`` and JAX's
``solver_kernels_ffi.cc``. They hold for the batch that the program really makes. On CPU, LAPACK
and FFT use buffers of a thread's own, of a few single matrices, and nothing is added.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from autofit_memplan.jaxprs import arrays, equations
from autofit_memplan.units import KIB, MIB

_SMALL = MIB  # tables, pointers, and blocks of fixed size that do not grow with the operand


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
    Bytes of the largest single work area: XLA releases one before the next call asks.
    """
    if platform == "cpu":
        return 0
    areas = (
        _BOUNDS[equation.primitive.name](equation) + _SMALL
        for equation in equations(jaxpr)
        if equation.primitive.name in _BOUNDS
    )
    return max(areas, default=0)


def _largest_prime(length: int) -> int:
    prime = 2
    while prime * prime <= length:
        if length % prime == 0:
            length //= prime
        else:
            prime += 1
    return length


def _fft(equation: JaxprEqn) -> int:
    """cuFFT, in units of the whole transform as complex numbers.

    Of 3,600 sampled plans (1-D to 2^20, 2-D to 1,448², batches of 1 to 50, all types) those with
    no prime factor above 127 asked for at most 1.97, and so did all 2-D plans. Other lengths go
    through Bluestein's algorithm, in two copies padded to a power of two of up to four times the
    length: 4.98 among the samples, 9.0 at 65,537, which is the worst case.
    """
    data = list(arrays((*equation.invars, *equation.outvars)))
    complex_bytes = max(a.dtype.itemsize for a in data) * max(a.size for a in data)
    is_padded = any(n > 1448 and _largest_prime(n) > 127 for n in equation.params["fft_lengths"])
    return complex_bytes * (9 if is_padded else 2)


def _factorisation(equation: JaxprEqn) -> int:
    """``lwork`` of one factorisation, or a pointer per matrix: below one copy of the operands."""
    return _nbytes(equation)


def _eigh(equation: JaxprEqn) -> int:
    """Eigenvectors of each symmetric matrix of the batch, all at once.

    ``cusolverDnXsyevBatched_bufferSize`` is 4 matrices and 0.6 to 3.3 MB more for each of 8² to
    3,000²; Jacobi, taken up to 32², needs 4 matrices and less than 16 KiB.
    """
    *batch, n = next(arrays(equation.invars)).shape[:-1]
    each = 16 * KIB if n <= 32 else 2 * MIB + n * KIB
    return 4 * _nbytes(equation) + math.prod(batch) * each


def _svd(equation: JaxprEqn) -> int:
    """Singular values and vectors: up to 4.1 operands, for one matrix of 1,500²."""
    return 5 * _nbytes(equation)


def _nbytes(equation: JaxprEqn) -> int:
    return sum(a.size * a.dtype.itemsize for a in arrays(equation.invars))


_BOUNDS: dict[str, Callable[[JaxprEqn], int]] = {
    "fft": _fft,
    "cholesky": _factorisation,
    "lu": _factorisation,
    "qr": _factorisation,
    "geqrf": _factorisation,
    "householder_product": _factorisation,
    "ormqr": _factorisation,
    "triangular_solve": _factorisation,
    "tridiagonal_solve": _factorisation,
    "eigh": _eigh,
    "svd": _svd,
    "eig": _svd,
}
