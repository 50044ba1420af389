"""The limit that a user gives: bytes, text, or a share of what is available."""

from __future__ import annotations

import math
import re
from numbers import Integral, Real
from typing import NamedTuple

from autofit_memplan.errors import LimitError
from autofit_memplan.units import ACCEPTED_SIZES, format_bytes, parse_bytes

_PERCENT = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*%\s*")

_MOST_BYTES = 2**63
_ACCEPTED = (
    f"bytes as an int, text such as {ACCEPTED_SIZES}, "
    'a share of the available memory as "60%", or the same as a float in (0, 1]'
)


class Limit(NamedTuple):
    """A user's limit: either ``bytes`` or ``fraction`` is set. ``text`` is how to show it."""

    text: str
    bytes: int | None = None
    fraction: float | None = None

    def resolve(self, available_bytes: int) -> int:
        """The limit in whole bytes, one at least, given what is available."""
        if self.bytes is not None:
            return self.bytes
        assert self.fraction is not None
        return max(int(self.fraction * available_bytes), 1)


def parse_limit(limit: object) -> Limit:
    """Read and check a limit.

    Parameters
    ----------
    limit
        An int is bytes; a float in (0, 1] and text such as ``"60%"`` are a share of the available
        memory; other text is a size (`units.parse_bytes`).

    Raises
    ------
    LimitError
        For anything else: a bool, zero, a negative number, NaN, a float above 1, unreadable text.
    """
    if isinstance(limit, bool):
        raise _refusal(limit, "it is a bool")
    if isinstance(limit, Integral):
        return _of_bytes(limit, int(limit))
    if isinstance(limit, Real):
        return _of_fraction(limit, float(limit))
    if not isinstance(limit, str):
        raise _refusal(limit, f"it is a {type(limit).__name__}")
    percent = _PERCENT.fullmatch(limit)
    if percent:
        return _of_fraction(limit, float(percent[1]) / 100)
    try:
        n = parse_bytes(limit)
    except ValueError as error:
        raise _refusal(limit, "it is neither a size nor a percentage") from error
    return _of_bytes(limit, n)


def _of_bytes(limit: object, n: int) -> Limit:
    if abs(n) >= _MOST_BYTES:
        raise _refusal("…", "no machine has 2^63 bytes")  # not shown: it may have 5,000 digits
    if n <= 0:
        raise _refusal(limit, "a limit must be more than zero bytes")
    return Limit(limit.strip() if isinstance(limit, str) else format_bytes(n), bytes=n)


def _of_fraction(limit: object, fraction: float) -> Limit:
    if math.isnan(fraction) or not 0 < fraction <= 1:
        raise _refusal(limit, "a share must be above 0 and at most 1 (100%)")
    return Limit(f"{fraction * 100:g} % of available", fraction=fraction)


def _refusal(limit: object, why: str) -> LimitError:
    return LimitError(f"limit={limit!r} cannot be used: {why}. Give {_ACCEPTED}.")
