"""Footprints and a budget in, chunk sizes out: integers only, no JAX.

A program that makes ``n`` calls in chunks of ``c`` takes ``ceil(n / c)`` waves, and among the
chunk sizes with the same number of waves the smallest needs the least memory and pads the
least. So only the *balanced* sizes ``ceil(n / w)``, ``w = 1, 2, …`` are ever worth compiling,
and the best of them is the one with the fewest waves that fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from numbers import Integral
from typing import NamedTuple


def check_chunk_size(chunk_size: object) -> int:
    """`chunk_size` as a positive int.

    Raises
    ------
    ValueError
        If it is something else; ``True`` and ``2.0`` are something else, too.
    """
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, Integral) or chunk_size < 1:
        raise ValueError(
            f"chunk_size={chunk_size!r} is not a number of calls; pass an int of at least 1, or "
            "None for all calls at once"
        )
    return int(chunk_size)


def waves(n: int, chunk_size: int) -> int:
    """Rounds needed for ``n`` calls, `chunk_size` at a time."""
    return -(-n // chunk_size)


def balance(n: int, chunk_size: int) -> int:
    """The smallest chunk with as many waves as `chunk_size` has."""
    return -(-n // waves(n, chunk_size))


def larger(n: int, chunk_size: int) -> int | None:
    """The next balanced size above a balanced `chunk_size`; ``None`` above ``n``."""
    rounds = waves(n, chunk_size)
    while rounds > 1:
        rounds -= 1
        size = -(-n // rounds)
        if size > chunk_size:
            return size
    return None


class Line(NamedTuple):
    """Bytes as a straight line in the chunk size: ``fixed + slope * chunk_size``, exactly."""

    fixed: Fraction | int
    slope: Fraction | int

    def at(self, chunk_size: int) -> Fraction | int:
        return self.fixed + self.slope * chunk_size

    def largest_within(self, limit_bytes: int, n: int) -> int:
        """The largest chunk in ``1 … n`` that the line puts within `limit_bytes` (at least 1)."""
        if self.slope <= 0:
            return n if self.fixed <= limit_bytes else 1
        return max(1, min(n, int((limit_bytes - self.fixed) // self.slope)))


def fit_line(measured: Mapping[int, int], limit_bytes: int, guess: Line) -> Line:
    """The secant through the two measured sizes whose bytes are nearest to the limit.

    With one measurement the guess keeps its fixed part and gets its slope from the
    measurement; with none the guess stands.
    """
    if not measured:
        return guess
    nearest = sorted(measured, key=lambda size: abs(measured[size] - limit_bytes))
    if len(nearest) == 1:
        (size,) = nearest
        fixed = min(guess.fixed, measured[size])
        return Line(fixed, Fraction(measured[size] - fixed) / size)
    low, high = sorted(nearest[:2])
    slope = Fraction(measured[high] - measured[low], high - low)
    return Line(measured[low] - slope * low, slope)


def next_chunk(n: int, limit_bytes: int, measured: Mapping[int, int], guess: Line) -> int | None:
    """The balanced chunk size worth compiling next; ``None`` when the best one is measured.

    Parameters
    ----------
    n
        Calls that the program makes.
    limit_bytes
        The budget.
    measured
        Bytes of the programs compiled so far, by balanced chunk size.
    guess
        Line to start from while nothing is measured.

    Notes
    -----
    Memory grows with the chunk, so measured sizes bracket the answer: the largest that fits
    from below, the smallest that does not from above. The secant says where to look between
    them. It may end the search, too, and spare the compilation that would only prove it right,
    but not across a bracket wider than a factor of two, where a bend could hide many waves.
    """
    fitting = max((c for c, needed in measured.items() if needed <= limit_bytes), default=0)
    failing = min((c for c, needed in measured.items() if needed > limit_bytes), default=n + 1)
    up = larger(n, fitting) if fitting else 1
    if up is None or up >= failing:
        return None
    line = fit_line(measured, limit_bytes, guess)
    if fitting and failing in measured and failing <= 2 * fitting and line.at(up) > limit_bytes:
        return None
    target = line.largest_within(limit_bytes, n)
    if not fitting and len(measured) > 2:  # the secant keeps missing: halve instead
        target = min(target, failing // 2)
    return balance(n, max(up, min(target, failing - 1)))


def choose_chunk(
    n: int,
    limit_bytes: int,
    bytes_at: Callable[[int], int],
    guess: Line,
    max_compiles: int = 8,
) -> tuple[int | None, dict[int, int]]:
    """Measure balanced chunk sizes until the one with the fewest waves within the limit is known.

    Parameters
    ----------
    bytes_at
        Compiles the program at a chunk size and returns its bytes.
    max_compiles
        After so many, the best size so far is taken as soon as there is one.

    Returns
    -------
    The chunk size, ``None`` when not even one call at a time fits; and all that was measured.
    """
    measured: dict[int, int] = {}
    while (size := next_chunk(n, limit_bytes, measured, guess)) is not None:
        measured[size] = bytes_at(size)
        if len(measured) >= max_compiles and min(measured.values()) <= limit_bytes:
            break
    fitting = [c for c, needed in measured.items() if needed <= limit_bytes]
    return (max(fitting) if fitting else None), measured
