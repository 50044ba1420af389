"""Work areas on a CPU: what FFTs, sorts and matrix products take beside XLA's own buffers.

The bounds are what processes were seen to grow by, beyond XLA's figures, on two cores with AVX-512
(``memplan sweep``, see ``docs/scratch.md``). The transforms are DUCC's, the products YNNPACK's, the
sorts the C++ library's, the factorisations OpenBLAS's.

An FFT's area comes from ``malloc``. glibc gives what is above 32 MiB back at once; of smaller ones
each thread keeps its own for the next time (mallopt(3), M_MMAP_THRESHOLD), and XLA goes on in
whichever thread has ended the operation before: a call in a loop comes round to all of them.
"""

from __future__ import annotations

import heapq
import math

from autofit_memplan._hlo import LibraryCall, library_calls
from autofit_memplan.processor import usable_cores
from autofit_memplan.units import MIB

_KEPT_BYTES = 32 * MIB  # glibc's DEFAULT_MMAP_THRESHOLD_MAX with 64 bits
_SIMD_LINES = 8  # transforms of real lines that DUCC makes together, in the widest registers
_BLAS_ROWS, _BLAS_COLUMNS = 192, 384  # that OpenBLAS packs (DGEMM_DEFAULT_P and _Q of SKYLAKEX)
_BLAS_BYTES = 32 * MIB  # its buffer (BUFFER_SIZE)
_WORKSPACES = {"syevd": 2, "heevd": 3, "gesdd": 5, "gesvd": 5, "geev": 4}
"""Of LAPACK, in matrices, from the sizes of WORK, RWORK and IWORK in its documentation."""


def cpu_scratch_bytes(program_text: str, threads: int | None = None) -> int:
    """Bound on the work areas that are held at one time.

    XLA runs these calls in order: the largest area of those that are given back, beside those that
    threads keep and what factorisations take.

    Parameters
    ----------
    program_text
        The compiled program.
    threads
        Of XLA; as many as this process has cores when not given.
    """
    threads = threads or usable_cores()
    areas = {"fft": _fft, "sort": _sort, "dot": _product}
    passing, kept, packed = [0], [], [0]
    for call in library_calls(program_text):
        if call.target in areas:
            area = areas[call.target](call)
            if call.target == "fft" and area <= _KEPT_BYTES:
                kept += [area] * (threads if call.is_looped else 1)
            else:
                passing.append(area)
        elif call.target.startswith("lapack_") and call.operands:
            packed.append(_factorised(call, threads))
    return max(passing) + sum(heapq.nlargest(threads, kept)) + max(packed)


def _fft(call: LibraryCall) -> int:
    """A copy of what goes into a transform back to real data, and the lines being worked on.

    A copy, since all axes but the last are transformed in place. Lines count where they are long:
    one transform of 3 million real samples takes as much again.
    """
    (result,) = call.results
    is_real = not result.dtype.startswith("c") or "fft_type=RFFT" in call.attributes
    itemsize = result.itemsize if result.dtype.startswith("c") else 2 * result.itemsize
    *_, length = call.fft_lengths
    lines = math.prod(result.shape[:-1])
    copy = lines * (length // 2 + 1) * itemsize if "fft_type=IRFFT" in call.attributes else 0
    together = min(lines, _SIMD_LINES) if is_real else 1
    return copy + together * max(call.fft_lengths) * itemsize


def _sort(call: LibraryCall) -> int:
    """Two copies of the row that is being sorted, in all arrays that are sorted along."""
    assert call.axis is not None
    return 2 * sum(array.shape[call.axis] * array.itemsize for array in call.results)


def _product(call: LibraryCall) -> int:
    """What a product is made of and makes, where XLA leaves all of it to YNNPACK.

    XLA hands whole groups of operations to that library, which keeps the arrays between them to
    itself: the sum over a product of two matrices made on the spot is stated with 96 bytes.
    """
    if not call.is_grouped:
        return 0
    return sum(array.nbytes for array in (*call.operands, *call.results))


def _factorised(call: LibraryCall, threads: int) -> int:
    """Panels of matrix products inside factorisations and solves, and LAPACK's workspaces.

    XLA shares the matrices of a batch out to its threads. OpenBLAS has a buffer for each that calls
    it, of which small matrices touch little, and keeps it.
    """
    matrix = call.operands[0]
    n = matrix.shape[-1]
    rows, columns = min(n, _BLAS_ROWS), min(n, _BLAS_COLUMNS)
    panels = min(columns * (rows + n) * matrix.itemsize, _BLAS_BYTES)
    copies = next((m for name, m in _WORKSPACES.items() if name in call.target), 0)
    workspace = copies * math.prod(matrix.shape[-2:]) * matrix.itemsize
    return min(threads, math.prod(matrix.shape[:-2])) * (panels + workspace)
