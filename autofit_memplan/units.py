"""Bytes to text and back; the only place that knows MiB from MB."""

from __future__ import annotations

import re
from decimal import Decimal

KIB = 1024
MIB = KIB**2
GIB = KIB**3

_PREFIXES = "KMGTP"
_IEC_NAMES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")

# Suffix in lower case -> bytes. A bare letter counts in 1024s, as it does for `ulimit`, Slurm's
# `--mem`, Docker and Java, which is where such text is usually copied from.
_FACTORS: dict[str, int] = {"": 1, "b": 1}
for _power, _letter in enumerate(_PREFIXES.lower(), start=1):
    _FACTORS[_letter] = 1024**_power
    _FACTORS[f"{_letter}ib"] = 1024**_power
    _FACTORS[f"{_letter}b"] = 1000**_power

_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-z]*)\s*")

ACCEPTED_SIZES = (
    '"8 GiB" (KiB, MiB, GiB, TiB, PiB: powers of 1024), "8 GB" (KB, MB, GB, TB, PB: powers of '
    '1000), "8G" (a bare K, M, G, T, P: powers of 1024) or "8589934592" (bytes)'
)


def format_bytes(n: int) -> str:
    """A byte count as short text in powers of 1024, for people.

    Parameters
    ----------
    n
        Bytes; may be negative.

    Returns
    -------
    str
        Whole bytes below 1 KiB, one decimal above: ``"512 B"``, ``"387.4 MiB"``, ``"-9.0 GiB"``.
    """
    size = float(abs(n))
    name = _IEC_NAMES[0]
    for name in _IEC_NAMES:
        # Compared as printed, so that 1048575 reads "1.0 MiB" and not "1024.0 KiB".
        if round(size, 1) < KIB:
            break
        if name != _IEC_NAMES[-1]:
            size /= KIB
    sign = "-" if n < 0 else ""
    return f"{sign}{size:.0f} B" if name == "B" else f"{sign}{size:.1f} {name}"


def parse_bytes(text: str) -> int:
    """A byte count from text such as ``"8 GiB"``, ``"8GB"``, ``"512M"`` or ``"1024"``.

    ``GiB`` and its kin are powers of 1024, ``GB`` and its kin powers of 1000. A bare letter
    (``"512M"``) is a power of 1024, as it is for ``ulimit``, Slurm and Docker. Upper and lower
    case are the same: a size is always bytes, never bits. Parts of a byte are dropped.

    Parameters
    ----------
    text
        The size; no sign, no exponent, no thousands separators.

    Returns
    -------
    int
        Bytes, zero or more.

    Raises
    ------
    ValueError
        When the text is not a size; it names the text and the forms that are accepted.
    """
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    factor = _FACTORS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"cannot read {text!r} as a size in bytes; write {ACCEPTED_SIZES}")
    return int(Decimal(match[1]) * factor)
