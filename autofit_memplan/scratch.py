"""Work areas that libraries allocate while a program runs, which XLA's analysis cannot see.

On a GPU, cuFFT and cuSOLVER take theirs at run time from the pool that everything else is in;
the compiled program tells which of their functions are called, on which shapes. cuBLAS, cuDNN and
CUB get theirs as a result of the call, inside the program's temporaries. What each library is
asked for was read in XLA's ``fft_thunk.cc`` and JAX's ``solver_kernels_ffi.cc``; the bounds were
measured on an H100 with CUDA 13.0 (cuFFT: ``cufftMakePlanMany`` with automatic allocation off;
cuSOLVER: its ``bufferSize`` functions, and the allocator's peak less XLA's own figures). For CPUs
see `_cpu_scratch`.

One area is alive at a time. XLA runs these calls one after the other on one stream: they are not
taken into command buffers (``command_buffer_conversion_pass.cc`` has no FFT, and takes only
custom calls that declare themselves compatible, which JAX's solvers do not), and each returns
its area before the next call asks (``OwningScratchAllocator`` frees when it goes out of scope).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from autofit_memplan._cpu_scratch import cpu_scratch_bytes
from autofit_memplan._hlo import Array, LibraryCall, library_calls
from autofit_memplan.units import KIB, MIB

_REAL = ("fft_type=RFFT", "fft_type=IRFFT")
_SMALL = MIB  # tables, pointers, and blocks of fixed size that do not grow with the operand
_UNTUNED = '"algo_id":"-1"'


class LibraryScratch(NamedTuple):
    """What a program's library calls need at run time.

    Attributes
    ----------
    nbytes
        Bound on the work areas alive at one time.
    warnings
        Calls for which no bound is known, by name.
    """

    nbytes: int
    warnings: tuple[str, ...]


def library_scratch(program_text: str | None, platform: str) -> LibraryScratch:
    """Bound on the library work areas alive at one time in a compiled program.

    Parameters
    ----------
    program_text
        ``executable.as_text()`` of the very program that will run; ``None`` where there is none.
    platform
        ``"cpu"`` or ``"gpu"``.
    """
    if program_text is None:
        return LibraryScratch(
            0, ("the compiled program cannot be read: no scratch of libraries is in this plan",)
        )
    if platform == "cpu":
        return LibraryScratch(cpu_scratch_bytes(program_text), ())
    largest, warnings = 0, {}
    for call in library_calls(program_text):
        has_shapes = call.target == "fft" or call.operands
        if call.target in _BOUNDS and has_shapes:
            largest = max(largest, _BOUNDS[call.target](call) + _SMALL)
        elif call.target.startswith("__cudnn$") and _UNTUNED in call.attributes:
            warnings[
                f"library call {call.target}: cuDNN chooses its algorithm, and with it its "
                "scratch, on the GPU itself; none is in this plan"
            ] = None
        elif not call.target.startswith(_WITHOUT_SCRATCH):
            warnings[f"library call {call.target}: its scratch is not modelled"] = None
    return LibraryScratch(largest, tuple(warnings))


def _largest_prime(length: int) -> int:
    prime = 2
    while prime * prime <= length:
        if length % prime == 0:
            length //= prime
        else:
            prime += 1
    return length


def _fft(call: LibraryCall) -> int:
    """cuFFT, in units of the whole transform as complex numbers.

    Of 3,600 sampled plans (1-D to 2^20, 2-D to 1,448², batches of 1 to 50, all types) those with
    no prime factor above 127 asked for at most 1.97, and so did all 2-D plans. Other lengths go
    through Bluestein's algorithm, in two copies padded to a power of two of up to four times the
    length: 4.98 among the samples, 9.0 at 65,537, which is the worst case. NVIDIA's own words
    (cuFFT documentation, "cuFFT Estimated Size of Work Area"): powers of two need little; large
    primes "may need up to the eight times that of a similarly sized power of 2".

    Real data of an even number of samples a line, with no prime factor above 7 in any length, is
    transformed as half as many complex numbers: at most 0.51 in every case that was recorded
    (1,440², 10^8, 180² and back). What lines of an odd number take was not.
    """
    (result,) = call.results
    itemsize = result.itemsize if result.dtype.startswith("c") else 2 * result.itemsize
    batch = math.prod(result.shape[: -len(call.fft_lengths)])
    transform = batch * math.prod(call.fft_lengths) * itemsize
    if any(n > 1448 and _largest_prime(n) > 127 for n in call.fft_lengths):
        return 9 * transform
    is_real = any(kind in call.attributes for kind in _REAL)
    is_smooth = max(map(_largest_prime, call.fft_lengths)) <= 7
    return (1 if is_real and is_smooth and call.fft_lengths[-1] % 2 == 0 else 2) * transform


def _all_at_once(call: LibraryCall) -> int:
    """Below one copy of the operands, the whole batch of them."""
    return sum(array.nbytes for array in call.operands)


def _one_by_one(call: LibraryCall) -> int:
    """``lwork`` of one matrix, used again for each of the batch, or two pointers per matrix.

    ``lwork`` of one is below one copy of it.
    """
    batch = _batch(call.operands[0])
    return _all_at_once(call) // batch + 16 * batch


def _eigh(call: LibraryCall) -> int:
    """Eigenvectors of each symmetric matrix of the batch, all at once.

    ``cusolverDnXsyevBatched_bufferSize`` is 4 matrices and 0.6 to 3.3 MB more for each of 8² to
    3,000²; Jacobi, taken up to 32², needs 4 matrices and less than 16 KiB.
    """
    matrices = call.operands[0]
    n = matrices.shape[-1]
    each = 16 * KIB if n <= 32 else 2 * MIB + n * KIB
    return 4 * matrices.nbytes + _batch(matrices) * each


def _svd(call: LibraryCall) -> int:
    """Singular values and vectors: up to 4.1 operands, for one matrix of 1,500².

    ``gesvdj`` works on a batch at once up to 32², everything else on one matrix after the other.
    """
    matrices = call.operands[0]
    largest = max(array.nbytes for array in (matrices, *call.results))
    is_batched = max(matrices.shape[-2:]) <= 32
    return 5 * largest // (1 if is_batched else _batch(matrices))


def _batch(matrices: Array) -> int:
    return max(1, math.prod(matrices.shape[:-2]))


_BOUNDS: dict[str, Callable[[LibraryCall], int]] = {
    "fft": _fft,
    "cusolver_potrf_ffi": _all_at_once,
    "cusolver_getrf_ffi": _one_by_one,
    "cusolver_geqrf_ffi": _one_by_one,
    "cusolver_orgqr_ffi": _one_by_one,
    "cusolver_ormqr_ffi": _one_by_one,
    "cusolver_sytrd_ffi": _one_by_one,
    "cusolver_syevd_ffi": _eigh,
    "cusolver_gesvd_ffi": _svd,
    "cusolver_gesvdj_ffi": _svd,
    "cusparse_gtsv2_ffi": _all_at_once,
}

_WITHOUT_SCRATCH = (
    # XLA's own kernels.
    "sort",
    "dot",
    # One of the results is the work area, so it is among the temporaries.
    "__cublas$",
    "__cudnn$",
    "__cub$",
    "__cusolver$",
    "cusparse_coo_",
    "cusparse_csr_",
    # Kernels with operands and results only.
    "__gpu$",
    "cu_cholesky_update_ffi",
    "cu_lu_pivots_to_permutation",
    "cu_threefry2x32_ffi",
    "cusolver_syrk_ffi",
    "triton_kernel_call",
    # Host functions, of which the trace warns (see `jaxprs.findings`).
    "xla_ffi_python_gpu_callback",
    "xla_python_gpu_callback",
)
