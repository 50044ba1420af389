"""Work areas on a CPU: what FFTs, sorts and matrix products take beside XLA's own buffers.

The bounds are what processes were seen to grow by, beyond XLA's figures, on two cores with AVX-512
(``memplan sweep``, see ``docs/scratch.md``). The transforms are DUCC's, the products YNNPACK's, the
sorts the C++ library's. LAPACK and YNNPACK take some MiB for their threads, whatever the batch,
which the reserve of the budget holds.
"""

from __future__ import annotations

import math

from autofit_memplan._hlo import LibraryCall, library_calls

_SIMD_LINES = 8  # transforms of real lines that DUCC makes together, in the widest registers


def cpu_scratch_bytes(program_text: str) -> int:
    """Bound on the work areas alive at one time: the largest, for XLA runs these calls in order."""
    areas = {"fft": _fft, "sort": _sort, "dot": _product}
    calls = library_calls(program_text)
    return max((areas[call.target](call) for call in calls if call.target in areas), default=0)


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
